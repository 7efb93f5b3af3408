/*
 * The variables of loyalty_lookup.  Before the lookup is over they are empty
 * and are asked for again; then they keep their value.
 *
 * Names of variables know neither capitals nor "-": a wallet or a rule is
 * found by its name with those made small and "_".
 */

#include "ngx_http_loyalty_lookup.h"
#include "ngx_http_loyalty_event.h"
#include "ngx_http_loyalty_member.h"


#define NGX_HTTP_LOYALTY_LOOKUP_TEXT  64          /* first bytes of a value */
#define NGX_HTTP_LOYALTY_BALANCE      "loyalty_balance_"


static ngx_int_t ngx_http_loyalty_lookup_who(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_loyalty_lookup_status(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_loyalty_lookup_tier(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_loyalty_lookup_balance(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_loyalty_lookup_rule(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_http_loyalty_lookup_ctx_t *ngx_http_loyalty_lookup_found(
    ngx_http_request_t *r, ngx_http_variable_value_t *v);
static void ngx_http_loyalty_lookup_set(ngx_http_variable_value_t *v,
    u_char *data, size_t len);

static ngx_int_t ngx_http_loyalty_lookup_prefix(ngx_conf_t *cf,
    ngx_str_t *name, ngx_http_get_variable_pt handler);
static ngx_str_t *ngx_http_loyalty_lookup_game_prefix(ngx_pool_t *pool,
    ngx_http_loyalty_game_t *game);
static ngx_uint_t ngx_http_loyalty_lookup_named(ngx_str_t *name,
    u_char *text, size_t len);
static ngx_http_loyalty_wallet_t *ngx_http_loyalty_lookup_wallet(
    ngx_http_loyalty_program_t *program, u_char *text, size_t len,
    ngx_uint_t *n);
static ngx_http_loyalty_rule_t *ngx_http_loyalty_lookup_rule_of(
    ngx_http_loyalty_program_t *program, ngx_str_t *variable, ngx_uint_t *n);
static ngx_int_t ngx_http_loyalty_lookup_variable_check(ngx_conf_t *cf,
    ngx_array_t *lookups, ngx_str_t *name);
static void ngx_http_loyalty_lookup_place(ngx_conf_t *cf,
    ngx_array_t *lookups, ngx_str_t *name, ngx_http_loyalty_place_t *place);
static ngx_uint_t ngx_http_loyalty_lookup_known(
    ngx_http_loyalty_program_t *program, ngx_str_t *name, ngx_uint_t *ours);


static ngx_http_variable_t  ngx_http_loyalty_lookup_vars[] = {

    { ngx_string("loyalty_member"), NULL,
      ngx_http_loyalty_lookup_who, 0, 0, 0 },

    { ngx_string("loyalty_status"), NULL,
      ngx_http_loyalty_lookup_status, 0, 0, 0 },

    { ngx_string("loyalty_tier"), NULL,
      ngx_http_loyalty_lookup_tier, 0, 0, 0 },

      ngx_http_null_variable
};


/* in the order of ngx_http_loyalty_lookup_e */

static ngx_str_t  ngx_http_loyalty_lookup_statuses[] = {
    ngx_null_string,
    ngx_string("ok"),
    ngx_string("hit"),
    ngx_string("none"),
    ngx_string("invalid"),
    ngx_string("timeout"),
    ngx_string("unavailable"),
    ngx_string("failed")
};


ngx_int_t
ngx_http_loyalty_lookup_variables(ngx_conf_t *cf)
{
    ngx_str_t                 *prefix;
    ngx_http_variable_t       *var, *v;
    ngx_http_loyalty_game_t  **game;

    static ngx_str_t  balance = ngx_string(NGX_HTTP_LOYALTY_BALANCE);

    for (v = ngx_http_loyalty_lookup_vars; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    if (ngx_http_loyalty_lookup_prefix(cf, &balance,
                                       ngx_http_loyalty_lookup_balance)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (game = ngx_http_loyalty_games; *game != NULL; game++) {

        if ((*game)->value == NULL) {
            continue;
        }

        prefix = ngx_http_loyalty_lookup_game_prefix(cf->pool, *game);

        if (prefix == NULL
            || ngx_http_loyalty_lookup_prefix(cf, prefix,
                                              ngx_http_loyalty_lookup_rule)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_lookup_prefix(ngx_conf_t *cf, ngx_str_t *name,
    ngx_http_get_variable_pt handler)
{
    ngx_http_variable_t  *var;

    var = ngx_http_add_variable(cf, name, NGX_HTTP_VAR_PREFIX);
    if (var == NULL) {
        return NGX_ERROR;
    }

    var->get_handler = handler;

    return NGX_OK;
}


/* "loyalty_streak_" */

static ngx_str_t *
ngx_http_loyalty_lookup_game_prefix(ngx_pool_t *pool,
    ngx_http_loyalty_game_t *game)
{
    ngx_str_t  *prefix;

    prefix = ngx_palloc(pool, sizeof(ngx_str_t));
    if (prefix == NULL) {
        return NULL;
    }

    prefix->data = ngx_pnalloc(pool, sizeof("loyalty__") + game->name.len);
    if (prefix->data == NULL) {
        return NULL;
    }

    prefix->len = ngx_sprintf(prefix->data, "loyalty_%V_", &game->name)
                  - prefix->data;

    return prefix;
}


ngx_int_t
ngx_http_loyalty_lookup_member(ngx_http_request_t *r, ngx_str_t *member,
    ngx_http_loyalty_lookup_e *status)
{
    ngx_http_complex_value_t        *value;
    ngx_http_loyalty_loc_conf_t     *llcf;
    ngx_http_loyalty_lookup_ctx_t   *ctx;
    ngx_http_loyalty_lookup_conf_t  *lcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_module);
    lcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_lookup_module);

    value = llcf->member;

    if (llcf->api != NGX_HTTP_LOYALTY_MEMBER_API
        && lcf->lookup != NULL && lcf->lookup->member != NULL)
    {
        value = lcf->lookup->member;
    }

    ngx_str_set(member, "");
    *status = NGX_HTTP_LOYALTY_LOOKUP_NONE;

    /* a location that names nobody, an error page's: who was looked up */

    if (value == NULL) {
        ctx = ngx_http_loyalty_lookup_ctx(r);

        if (ctx != NULL) {
            *member = ctx->member;
        }

        return NGX_OK;
    }

    if (ngx_http_complex_value(r, value, member) != NGX_OK) {
        return NGX_ERROR;
    }

    if (member->len == 0) {
        return NGX_OK;
    }

    if (ngx_http_loyalty_text_check(member, NGX_HTTP_LOYALTY_ID) != NGX_OK) {
        member->len = 0;
        *status = NGX_HTTP_LOYALTY_LOOKUP_INVALID;
        return NGX_OK;
    }

    *status = NGX_HTTP_LOYALTY_LOOKUP_OK;

    return NGX_OK;
}


/* needs no lookup, so that limits can be kept by it; who is nobody yet may be
   somebody after auth_request */

static ngx_int_t
ngx_http_loyalty_lookup_who(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                   member;
    ngx_http_loyalty_lookup_e   status;

    if (ngx_http_loyalty_lookup_member(r, &member, &status) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_loyalty_lookup_set(v, member.data, member.len);

    v->valid = (member.len != 0);

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_lookup_status(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                      *text;
    ngx_http_loyalty_lookup_ctx_t  *ctx;

    ctx = ngx_http_loyalty_lookup_ctx(r);

    text = &ngx_http_loyalty_lookup_statuses[
                       ctx ? ctx->status : NGX_HTTP_LOYALTY_LOOKUP_WAITS];

    ngx_http_loyalty_lookup_set(v, text->data, text->len);

    v->valid = (text->len != 0);

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_lookup_tier(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    int64_t                         lifetime;
    ngx_uint_t                      n;
    ngx_http_loyalty_tier_t        *tier;
    ngx_http_loyalty_program_t     *program;
    ngx_http_loyalty_lookup_ctx_t  *ctx;

    ctx = ngx_http_loyalty_lookup_found(r, v);

    if (ctx == NULL) {
        return NGX_OK;
    }

    program = ctx->lookup->program;

    if (program->tiers.nelts == 0) {
        return NGX_OK;
    }

    n = ngx_http_loyalty_account_tiers(program, &ctx->head, &lifetime);

    if (n > 0) {
        tier = program->tiers.elts;
        ngx_http_loyalty_lookup_set(v, tier[n - 1].name.data,
                                    tier[n - 1].name.len);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_lookup_balance(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t *name = (ngx_str_t *) data;

    u_char                         *p, *last;
    size_t                          len;
    ngx_uint_t                      n;
    loyalty_account_t               account;
    ngx_http_loyalty_wallet_t      *wallet;
    ngx_http_loyalty_lookup_ctx_t  *ctx;

    ctx = ngx_http_loyalty_lookup_found(r, v);

    if (ctx == NULL) {
        return NGX_OK;
    }

    len = sizeof(NGX_HTTP_LOYALTY_BALANCE) - 1;

    wallet = ngx_http_loyalty_lookup_wallet(ctx->lookup->program,
                                            name->data + len,
                                            name->len - len, &n);
    if (wallet == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    (void) loyalty_head_wallet(&ctx->head, wallet->hash, &account);

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    last = ngx_sprintf(p, "%L", account.balance);

    ngx_http_loyalty_lookup_set(v, p, last - p);

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_lookup_rule(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t *name = (ngx_str_t *) data;

    int64_t                         now;
    ngx_uint_t                      n;
    loyalty_mpr_t                  *state, copy;
    loyalty_out_t                   out;
    ngx_http_loyalty_rule_t        *rule;
    ngx_http_loyalty_lookup_ctx_t  *ctx;

    ctx = ngx_http_loyalty_lookup_found(r, v);

    if (ctx == NULL) {
        return NGX_OK;
    }

    rule = ngx_http_loyalty_lookup_rule_of(ctx->lookup->program, name, &n);

    if (rule == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    if (ctx->states == NULL
        && ngx_http_loyalty_account_states(r->pool, &ctx->head, &ctx->states)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    state = ngx_http_loyalty_account_state(&ctx->head, ctx->states,
                                           rule->hash);

    /* reading moves it, and the next variable reads it anew */

    if (state != NULL) {
        copy = *state;
        state = &copy;
    }

    now = ngx_http_loyalty_now();

    ngx_http_loyalty_out_pool(&out, r->pool, NGX_HTTP_LOYALTY_LOOKUP_TEXT);

    if (rule->game->value(ctx->lookup->program, rule, state, now, &out)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "loyalty program \"%V\": the state of \"%V\" of member "
                      "\"%V\" in Redis is damaged",
                      &ctx->lookup->program->name, &rule->reason,
                      &ctx->member);
        return NGX_OK;
    }

    if (out.failed) {
        return NGX_ERROR;
    }

    if (out.pos > out.start) {
        ngx_http_loyalty_lookup_set(v, out.start, out.pos - out.start);
    }

    return NGX_OK;
}


/* makes the value empty; NULL: it stays so */

static ngx_http_loyalty_lookup_ctx_t *
ngx_http_loyalty_lookup_found(ngx_http_request_t *r,
    ngx_http_variable_value_t *v)
{
    ngx_http_loyalty_lookup_ctx_t  *ctx;

    ngx_http_loyalty_lookup_set(v, (u_char *) "", 0);

    ctx = ngx_http_loyalty_lookup_ctx(r);

    if (ctx == NULL || ctx->status == NGX_HTTP_LOYALTY_LOOKUP_WAITS) {
        v->valid = 0;
        return NULL;
    }

    return (ctx->status == NGX_HTTP_LOYALTY_LOOKUP_OK
            || ctx->status == NGX_HTTP_LOYALTY_LOOKUP_HIT)
           ? ctx : NULL;
}


static void
ngx_http_loyalty_lookup_set(ngx_http_variable_value_t *v, u_char *data,
    size_t len)
{
    v->len = len;
    v->data = data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
}


/* text is that of a variable, in small letters */

static ngx_uint_t
ngx_http_loyalty_lookup_named(ngx_str_t *name, u_char *text, size_t len)
{
    u_char  c;
    size_t  i;

    if (name->len != len) {
        return 0;
    }

    for (i = 0; i < len; i++) {

        c = ngx_tolower(name->data[i]);

        if ((c == '-' ? '_' : c) != text[i]) {
            return 0;
        }
    }

    return 1;
}


/* n: how many there are of this name */

static ngx_http_loyalty_wallet_t *
ngx_http_loyalty_lookup_wallet(ngx_http_loyalty_program_t *program,
    u_char *text, size_t len, ngx_uint_t *n)
{
    ngx_uint_t                  i;
    ngx_http_loyalty_wallet_t  *wallet, *found;

    *n = 0;
    found = NULL;
    wallet = program->wallets.elts;

    for (i = 0; i < program->wallets.nelts; i++) {
        if (ngx_http_loyalty_lookup_named(&wallet[i].name, text, len)) {
            found = &wallet[i];
            (*n)++;
        }
    }

    return found;
}


static ngx_http_loyalty_rule_t *
ngx_http_loyalty_lookup_rule_of(ngx_http_loyalty_program_t *program,
    ngx_str_t *variable, ngx_uint_t *n)
{
    u_char                    *text;
    size_t                     len, start;
    ngx_uint_t                 i;
    ngx_http_loyalty_game_t   *game;
    ngx_http_loyalty_rule_t  **rule, *found;

    *n = 0;
    found = NULL;
    rule = program->rules.elts;
    start = sizeof("loyalty_") - 1;

    for (i = 0; i < program->rules.nelts; i++) {

        game = rule[i]->game;
        len = game->name.len;

        if (game->value == NULL || variable->len < start + len + 1
            || ngx_memcmp(variable->data + start, game->name.data, len) != 0
            || variable->data[start + len] != '_')
        {
            continue;
        }

        text = variable->data + start + len + 1;

        if (ngx_http_loyalty_lookup_named(&rule[i]->name, text,
                                          variable->data + variable->len
                                          - text))
        {
            found = rule[i];
            (*n)++;
        }
    }

    return found;
}


ngx_int_t
ngx_http_loyalty_lookup_variables_check(ngx_conf_t *cf, ngx_array_t *lookups)
{
    ngx_uint_t                  i;
    ngx_http_variable_t        *var;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    var = cmcf->variables.elts;

    for (i = 0; i < cmcf->variables.nelts; i++) {

        if (var[i].get_handler == NULL
            && ngx_http_loyalty_lookup_variable_check(cf, lookups,
                                                      &var[i].name)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_lookup_variable_check(ngx_conf_t *cf, ngx_array_t *lookups,
    ngx_str_t *name)
{
    ngx_uint_t                   i, n, ours;
    ngx_http_loyalty_place_t     place;
    ngx_http_loyalty_lookup_t  **lookup;

    ours = 0;
    lookup = lookups->elts;

    for (i = 0; i < lookups->nelts; i++) {

        n = ngx_http_loyalty_lookup_known(lookup[i]->program, name, &ours);

        if (n == 1 || !ours) {
            return NGX_OK;
        }

        if (n > 1) {
            ngx_http_loyalty_lookup_place(cf, lookups, name, &place);
            ngx_http_loyalty_conf_error(cf, &place,
                                        "variable \"%V\" is used, and stands "
                                        "for several names in loyalty program "
                                        "\"%V\"", name, &lookup[i]->name);
            return NGX_ERROR;
        }
    }

    if (lookups->nelts == 0) {
        (void) ngx_http_loyalty_lookup_known(NULL, name, &ours);
    }

    if (!ours) {
        return NGX_OK;
    }

    ngx_http_loyalty_lookup_place(cf, lookups, name, &place);
    ngx_http_loyalty_conf_error(cf, &place,
                                "variable \"%V\" is used, and no program that "
                                "a \"loyalty_lookup\" names has anything to "
                                "show in it", name);

    return NGX_ERROR;
}


/* where it is used, or else a lookup whose program it is not of */

static void
ngx_http_loyalty_lookup_place(ngx_conf_t *cf, ngx_array_t *lookups,
    ngx_str_t *name, ngx_http_loyalty_place_t *place)
{
    ngx_http_loyalty_lookup_t  **lookup;

    if (ngx_http_loyalty_variable_place(cf, name, place) != NGX_OK
        && lookups->nelts)
    {
        lookup = lookups->elts;
        *place = lookup[0]->place;
    }
}


/* how many the variable stands for in the program; ours: it is one of a
   lookup */

static ngx_uint_t
ngx_http_loyalty_lookup_known(ngx_http_loyalty_program_t *program,
    ngx_str_t *name, ngx_uint_t *ours)
{
    size_t                     len;
    ngx_uint_t                 n;
    ngx_http_loyalty_game_t  **game;

    static ngx_str_t  tier = ngx_string("loyalty_tier");
    static ngx_str_t  status = ngx_string("loyalty_status");

    *ours = 1;

    if (name->len == status.len
        && ngx_memcmp(name->data, status.data, status.len) == 0)
    {
        return (program != NULL);
    }

    if (name->len == tier.len
        && ngx_memcmp(name->data, tier.data, tier.len) == 0)
    {
        return (program != NULL && program->tiers.nelts > 0);
    }

    len = sizeof(NGX_HTTP_LOYALTY_BALANCE) - 1;

    if (name->len >= len
        && ngx_memcmp(name->data, NGX_HTTP_LOYALTY_BALANCE, len) == 0)
    {
        n = 0;

        if (program != NULL) {
            (void) ngx_http_loyalty_lookup_wallet(program, name->data + len,
                                                  name->len - len, &n);
        }

        return n;
    }

    for (game = ngx_http_loyalty_games; *game != NULL; game++) {

        len = (*game)->name.len;

        if ((*game)->value == NULL || name->len < 8 + len + 1
            || ngx_memcmp(name->data, "loyalty_", 8) != 0
            || ngx_memcmp(name->data + 8, (*game)->name.data, len) != 0
            || name->data[8 + len] != '_')
        {
            continue;
        }

        n = 0;

        if (program != NULL) {
            (void) ngx_http_loyalty_lookup_rule_of(program, name, &n);
        }

        return n;
    }

    *ours = 0;

    return 0;
}
