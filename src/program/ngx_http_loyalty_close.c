/*
 * Closing a program: when its block has been read, what was left out gets
 * its default, names are resolved, rules are put in order, and everything
 * that an event will need is computed once.
 */

#include "ngx_http_loyalty_private.h"
#include "ngx_http_loyalty_redis.h"


#define NGX_HTTP_LOYALTY_DAY            86400000LL           /* ms */
#define NGX_HTTP_LOYALTY_DEFAULT_AGE    (7 * NGX_HTTP_LOYALTY_DAY)
#define NGX_HTTP_LOYALTY_DEFAULT_KEEP   (90 * NGX_HTTP_LOYALTY_DAY)
#define NGX_HTTP_LOYALTY_DEFAULT_FEED   10000
#define NGX_HTTP_LOYALTY_DEFAULT_SCALE  2


/* anything that Redis knows by a hash of its name */

typedef struct {
    const char                   *what;
    ngx_str_t                    *name;
    u_char                       *hash;
    ngx_http_loyalty_place_t     *place;
} ngx_http_loyalty_named_t;


static ngx_int_t ngx_http_loyalty_defaults(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program);
static ngx_int_t ngx_http_loyalty_tiers(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program);
static ngx_int_t ngx_http_loyalty_tier_cmp(const void *one,
    const void *two);
static ngx_int_t ngx_http_loyalty_rules(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program);
static void ngx_http_loyalty_rules_sort(ngx_http_loyalty_program_t *program);
static ngx_array_t *ngx_http_loyalty_named(ngx_pool_t *pool,
    ngx_http_loyalty_program_t *program);
static ngx_int_t ngx_http_loyalty_named_add(ngx_array_t *all,
    const char *what, ngx_str_t *name, u_char *hash,
    ngx_http_loyalty_place_t *place);
static ngx_int_t ngx_http_loyalty_collisions(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program);
static ngx_int_t ngx_http_loyalty_program_hash(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program);
static ngx_int_t ngx_http_loyalty_constants(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program);
static ngx_int_t ngx_http_loyalty_tags(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program);


ngx_int_t
ngx_http_loyalty_program_close(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program)
{
    if (ngx_http_loyalty_defaults(cf, program) != NGX_OK
        || ngx_http_loyalty_tiers(cf, program) != NGX_OK
        || ngx_http_loyalty_redis_init(cf, program) != NGX_OK
        || ngx_http_loyalty_rules(cf, program) != NGX_OK
        || ngx_http_loyalty_index_build(cf, program) != NGX_OK
        || ngx_http_loyalty_regexes_create(cf->pool, program) != NGX_OK
        || ngx_http_loyalty_program_hash(cf, program) != NGX_OK
        || ngx_http_loyalty_collisions(cf, program) != NGX_OK
        || ngx_http_loyalty_constants(cf, program) != NGX_OK
        || ngx_http_loyalty_tags(cf, program) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_defaults(ngx_conf_t *cf, ngx_http_loyalty_program_t *program)
{
    int64_t           least;
    static ngx_str_t  utc = ngx_string("UTC");

    if (program->zone == NULL
        && ngx_http_loyalty_zone(cf, program, &utc) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (program->scale == NGX_CONF_UNSET_UINT) {
        program->scale = NGX_HTTP_LOYALTY_DEFAULT_SCALE;
    }

    ngx_conf_init_value(program->feed_max, NGX_HTTP_LOYALTY_DEFAULT_FEED);
    ngx_conf_init_value(program->idempotency_optional, 0);
    ngx_conf_init_value(program->max_event_age, NGX_HTTP_LOYALTY_DEFAULT_AGE);

    /* a repeat must be known for longer than an event may be old */

    least = program->max_event_age + NGX_HTTP_LOYALTY_DAY;

    if (program->remember == NGX_CONF_UNSET) {
        program->remember = ngx_max(least, NGX_HTTP_LOYALTY_DEFAULT_KEEP);
    }

    if (program->remember < least) {
        ngx_http_loyalty_conf_error(cf, &program->remember_place,
                                    "invalid \"remember\": at least "
                                    "max_event_age and a day, %Ls, is "
                                    "expected", least / 1000);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_tiers(ngx_conf_t *cf, ngx_http_loyalty_program_t *program)
{
    ngx_uint_t                i;
    ngx_http_loyalty_tier_t  *tier;

    tier = program->tiers.elts;

    if (program->tiers.nelts == 0) {
        return NGX_OK;
    }

    if (program->wallets.nelts == 0) {
        ngx_http_loyalty_conf_error(cf, &tier[0].place,
                                    "tier \"%V\" without a wallet: tiers "
                                    "stand on the lifetime of the first "
                                    "\"wallet\", which is expected",
                                    &tier[0].name);
        return NGX_ERROR;
    }

    ngx_sort(tier, program->tiers.nelts, sizeof(ngx_http_loyalty_tier_t),
             ngx_http_loyalty_tier_cmp);

    if (tier[0].threshold != 0) {
        ngx_http_loyalty_conf_error(cf, &tier[0].place,
                                    "the lowest tier \"%V\" begins at %L: a "
                                    "tier with threshold 0 is expected",
                                    &tier[0].name, tier[0].threshold);
        return NGX_ERROR;
    }

    for (i = 1; i < program->tiers.nelts; i++) {

        if (tier[i].threshold == tier[i - 1].threshold) {
            ngx_http_loyalty_conf_error(cf, &tier[i].place,
                                        "tiers \"%V\" and \"%V\" have the "
                                        "same threshold %L: different ones "
                                        "are expected", &tier[i - 1].name,
                                        &tier[i].name, tier[i].threshold);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_tier_cmp(const void *one, const void *two)
{
    const ngx_http_loyalty_tier_t  *first, *second;

    first = one;
    second = two;

    return (first->threshold > second->threshold)
           - (first->threshold < second->threshold);
}


static ngx_int_t
ngx_http_loyalty_rules(ngx_conf_t *cf, ngx_http_loyalty_program_t *program)
{
    ngx_uint_t                    i, n;
    ngx_http_loyalty_rule_t     **rule;
    ngx_http_loyalty_listener_t  *listener;

    ngx_http_loyalty_rules_sort(program);

    rule = program->rules.elts;

    for (i = 0; i < program->rules.nelts; i++) {
        if (rule[i]->game->identify != NULL
            && rule[i]->game->identify(cf, program, rule[i]) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    for (i = 0; i < program->rules.nelts; i++) {

        rule[i]->order = i;
        listener = rule[i]->listeners.elts;

        for (n = 0; n < rule[i]->listeners.nelts; n++) {
            if (ngx_http_loyalty_match_resolve(cf, program, &listener[n])
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }

        if (rule[i]->game->init(cf, program, rule[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* by kind, and inside a kind as they were written */

static void
ngx_http_loyalty_rules_sort(ngx_http_loyalty_program_t *program)
{
    ngx_uint_t                 i, n;
    ngx_http_loyalty_rule_t  **rule, *moved;

    rule = program->rules.elts;

    for (i = 1; i < program->rules.nelts; i++) {
        moved = rule[i];

        for (n = i; n > 0 && rule[n - 1]->game->kind > moved->game->kind; n--)
        {
            rule[n] = rule[n - 1];
        }

        rule[n] = moved;
    }
}


static ngx_array_t *
ngx_http_loyalty_named(ngx_pool_t *pool, ngx_http_loyalty_program_t *program)
{
    ngx_uint_t                  i;
    ngx_array_t                *all;
    ngx_http_loyalty_tier_t    *tier;
    ngx_http_loyalty_type_t   **type;
    ngx_http_loyalty_rule_t   **rule;
    ngx_http_loyalty_wallet_t  *wallet;

    all = ngx_array_create(pool, 64, sizeof(ngx_http_loyalty_named_t));
    if (all == NULL) {
        return NULL;
    }

    if (ngx_http_loyalty_named_add(all, "program", &program->name,
                                   program->hash, &program->place)
        != NGX_OK)
    {
        return NULL;
    }

    wallet = program->wallets.elts;

    for (i = 0; i < program->wallets.nelts; i++) {
        if (ngx_http_loyalty_named_add(all, "wallet", &wallet[i].name,
                                       wallet[i].hash, &wallet[i].place)
            != NGX_OK)
        {
            return NULL;
        }
    }

    tier = program->tiers.elts;

    for (i = 0; i < program->tiers.nelts; i++) {
        if (ngx_http_loyalty_named_add(all, "tier", &tier[i].name,
                                       tier[i].hash, &tier[i].place)
            != NGX_OK)
        {
            return NULL;
        }
    }

    type = program->types.elts;

    for (i = 0; i < program->types.nelts; i++) {
        if (ngx_http_loyalty_named_add(all, "type", &type[i]->name,
                                       type[i]->hash, &type[i]->place)
            != NGX_OK)
        {
            return NULL;
        }
    }

    rule = program->rules.elts;

    for (i = 0; i < program->rules.nelts; i++) {
        if (ngx_http_loyalty_named_add(all, "", &rule[i]->reason,
                                       rule[i]->hash, &rule[i]->place)
            != NGX_OK)
        {
            return NULL;
        }
    }

    return all;
}


static ngx_int_t
ngx_http_loyalty_named_add(ngx_array_t *all, const char *what,
    ngx_str_t *name, u_char *hash, ngx_http_loyalty_place_t *place)
{
    ngx_http_loyalty_named_t  *named;

    named = ngx_array_push(all);
    if (named == NULL) {
        return NGX_ERROR;
    }

    named->what = what;
    named->name = name;
    named->hash = hash;
    named->place = place;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_collisions(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program)
{
    ngx_uint_t                 i, n;
    ngx_array_t               *all;
    ngx_http_loyalty_named_t  *named;

    all = ngx_http_loyalty_named(cf->temp_pool, program);
    if (all == NULL) {
        return NGX_ERROR;
    }

    named = all->elts;

    for (i = 1; i < all->nelts; i++) {
        for (n = 0; n < i; n++) {

            if (ngx_memcmp(named[i].hash, named[n].hash,
                           NGX_HTTP_LOYALTY_HASH)
                != 0)
            {
                continue;
            }

            ngx_http_loyalty_conf_error(cf, named[i].place,
                                        "\"%s%s%V\" and \"%s%s%V\" in %s:%ui "
                                        "have the same hash: another name "
                                        "for one of them is expected",
                                        named[i].what,
                                        *named[i].what ? " " : "",
                                        named[i].name, named[n].what,
                                        *named[n].what ? " " : "",
                                        named[n].name,
                                        named[n].place->file,
                                        named[n].place->line);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_array_t *
ngx_http_loyalty_names(ngx_pool_t *pool, ngx_http_loyalty_program_t *program)
{
    u_char                    *p;
    ngx_str_t                 *pair;
    ngx_uint_t                 i;
    ngx_array_t               *all, *names;
    ngx_http_loyalty_named_t  *named;

    all = ngx_http_loyalty_named(pool, program);
    if (all == NULL) {
        return NULL;
    }

    names = ngx_array_create(pool, 2 * all->nelts, sizeof(ngx_str_t));
    if (names == NULL) {
        return NULL;
    }

    named = all->elts;

    for (i = 0; i < all->nelts; i++) {

        pair = ngx_array_push_n(names, 2);
        if (pair == NULL) {
            return NULL;
        }

        p = ngx_pnalloc(pool, 2 * NGX_HTTP_LOYALTY_HASH
                              + sizeof("program ") + named[i].name->len);
        if (p == NULL) {
            return NULL;
        }

        pair[0].data = p;
        p = ngx_hex_dump(p, named[i].hash, NGX_HTTP_LOYALTY_HASH);
        pair[0].len = p - pair[0].data;

        pair[1].data = p;
        p = ngx_sprintf(p, "%s%s%V", named[i].what,
                        *named[i].what ? " " : "", named[i].name);
        pair[1].len = p - pair[1].data;
    }

    /* and the program itself, for loyalty-check */

    pair = ngx_array_push_n(names, 2);
    if (pair == NULL) {
        return NULL;
    }

    ngx_str_set(&pair[0], "conf");
    pair[1] = program->dump;

    return names;
}


/*
 * Two programs with the same hash decide the same: the text holds every
 * number, every name and, in the rules' blobs, every goal and award.
 */

static ngx_int_t
ngx_http_loyalty_program_hash(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program)
{
    u_char                      *p, *text;
    size_t                       size;
    ngx_uint_t                   i;
    ngx_http_loyalty_tier_t     *tier;
    ngx_http_loyalty_rule_t    **rule;
    ngx_http_loyalty_wallet_t   *wallet;

    wallet = program->wallets.elts;
    tier = program->tiers.elts;
    rule = program->rules.elts;

    size = 256 + program->name.len + program->timezone.len
           + program->currency.len;

    for (i = 0; i < program->wallets.nelts; i++) {
        size += 32 + wallet[i].name.len;
    }

    for (i = 0; i < program->tiers.nelts; i++) {
        size += 64 + tier[i].name.len;
    }

    for (i = 0; i < program->rules.nelts; i++) {
        size += 64 + rule[i]->canonical.len + rule[i]->blob.len;
    }

    text = ngx_palloc(cf->temp_pool, size);
    if (text == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(text, "program %V timezone %V money %V %ui "
                    "max_event_age %L remember %L",
                    &program->name, &program->timezone, &program->currency,
                    program->scale, program->max_event_age,
                    program->remember);

    for (i = 0; i < program->wallets.nelts; i++) {
        p = ngx_sprintf(p, " wallet %V %d", &wallet[i].name,
                        (int) wallet[i].negative);
    }

    for (i = 0; i < program->tiers.nelts; i++) {
        p = ngx_sprintf(p, " tier %V %L %L", &tier[i].name,
                        tier[i].threshold, tier[i].multiplier);
    }

    for (i = 0; i < program->rules.nelts; i++) {
        p = ngx_sprintf(p, " rule %uz:%V %uz:%V", rule[i]->canonical.len,
                        &rule[i]->canonical, rule[i]->blob.len,
                        &rule[i]->blob);
    }

    ngx_http_loyalty_hash4(text, p - text, program->hash);

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_constants(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program)
{
    u_char                     *p;
    size_t                      size;
    ngx_uint_t                  i;
    loyalty_mpw_t               w;
    ngx_http_loyalty_tier_t    *tier;
    ngx_http_loyalty_wallet_t  *wallet;

    wallet = program->wallets.elts;
    tier = program->tiers.elts;

    size = 64 + 16 * program->wallets.nelts + 32 * program->tiers.nelts;

    p = ngx_pnalloc(cf->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    loyalty_mpw_init(&w, p, size);
    loyalty_mpw_array(&w, 6);
    loyalty_mpw_str(&w, program->hash, NGX_HTTP_LOYALTY_HASH);
    loyalty_mpw_int(&w, program->remember);
    loyalty_mpw_int(&w, program->feed_max);

    loyalty_mpw_array(&w, 2 * program->wallets.nelts);

    for (i = 0; i < program->wallets.nelts; i++) {
        loyalty_mpw_str(&w, wallet[i].hash, NGX_HTTP_LOYALTY_HASH);
        loyalty_mpw_int(&w, wallet[i].negative);
    }

    loyalty_mpw_array(&w, 3 * program->tiers.nelts);

    for (i = 0; i < program->tiers.nelts; i++) {
        loyalty_mpw_int(&w, tier[i].threshold);
        loyalty_mpw_int(&w, tier[i].multiplier);
        loyalty_mpw_str(&w, tier[i].hash, NGX_HTTP_LOYALTY_HASH);
    }

    loyalty_mpw_int(&w, program->max_event_age);

    if (w.failed) {
        ngx_http_loyalty_conf_error(cf, &program->place,
                                    "too many wallets and tiers");
        return NGX_ERROR;
    }

    program->constants.data = p;
    program->constants.len = w.pos - w.start;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_tags(ngx_conf_t *cf, ngx_http_loyalty_program_t *program)
{
    u_char      *p;
    unsigned     n;
    ngx_uint_t   i;

    for (i = 0; i < LOYALTY_PARTITIONS; i++) {

        p = ngx_pnalloc(cf->pool, program->name.len + 2 * NGX_INT_T_LEN + 4);
        if (p == NULL) {
            return NGX_ERROR;
        }

        n = loyalty_tag_suffix((char *) program->name.data,
                               program->name.len, i);

        program->tags[i].data = p;
        p = ngx_sprintf(p, "{%V:%ui.%ui}", &program->name, i, (ngx_uint_t) n);
        program->tags[i].len = p - program->tags[i].data;
    }

    return NGX_OK;
}
