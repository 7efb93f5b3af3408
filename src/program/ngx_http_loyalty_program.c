/*
 * The loyalty_program block: opens a program, lets nginx look up the
 * directives in it, and closes it.  Its private module has the directives
 * that concern the program as a whole; games and redis/ bring their own.
 */

#include "ngx_http_loyalty_http.h"
#include "ngx_http_loyalty_private.h"


#define NGX_HTTP_LOYALTY_MAX_SCALE    6
#define NGX_HTTP_LOYALTY_CURRENCY     16
#define NGX_HTTP_LOYALTY_MAX_FEED     1000000000


static ngx_http_loyalty_program_t *ngx_http_loyalty_program_create(
    ngx_conf_t *cf, ngx_str_t *name);

static char *ngx_http_loyalty_timezone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static void ngx_http_loyalty_timezone_cleanup(void *data);
static char *ngx_http_loyalty_money(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_loyalty_max_event_age(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_loyalty_remember(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_loyalty_feed_max(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_loyalty_keys_optional(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);


static ngx_command_t  ngx_http_loyalty_program_commands[] = {

    { ngx_string("timezone"),
      NGX_LOYALTY_PROGRAM_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_timezone,
      0,
      0,
      NULL },

    { ngx_string("money"),
      NGX_LOYALTY_PROGRAM_CONF|NGX_CONF_TAKE2,
      ngx_http_loyalty_money,
      0,
      0,
      NULL },

    { ngx_string("max_event_age"),
      NGX_LOYALTY_PROGRAM_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_max_event_age,
      0,
      0,
      NULL },

    { ngx_string("remember"),
      NGX_LOYALTY_PROGRAM_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_remember,
      0,
      0,
      NULL },

    { ngx_string("feed_max"),
      NGX_LOYALTY_PROGRAM_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_feed_max,
      0,
      0,
      NULL },

    { ngx_string("idempotency"),
      NGX_LOYALTY_PROGRAM_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_keys_optional,
      0,
      0,
      NULL },

    { ngx_string("wallet"),
      NGX_LOYALTY_PROGRAM_CONF|NGX_CONF_1MORE,
      ngx_http_loyalty_wallet_directive,
      0,
      0,
      NULL },

    { ngx_string("tier"),
      NGX_LOYALTY_PROGRAM_CONF|NGX_CONF_TAKE23,
      ngx_http_loyalty_tier_directive,
      0,
      0,
      NULL },

      ngx_null_command
};


ngx_module_t  ngx_http_loyalty_program_module = {
    NGX_MODULE_V1,
    NULL,                                  /* module context */
    ngx_http_loyalty_program_commands,     /* module directives */
    NGX_LOYALTY_MODULE,                    /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


char *
ngx_http_loyalty_program_block(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                          *rv;
    ngx_str_t                     *value;
    ngx_conf_t                     pcf;
    ngx_http_loyalty_block_t       block;
    ngx_http_loyalty_program_t    *program, **programp;
    ngx_http_loyalty_main_conf_t  *lmcf;

    lmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_loyalty_module);
    value = cf->args->elts;

    if (ngx_http_loyalty_name_check(cf, "program", &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    program = ngx_http_loyalty_program_find(lmcf, &value[1]);

    if (program != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate loyalty_program \"%V\", the first is "
                           "in %s:%ui",
                           &value[1], program->place.file,
                           program->place.line);
        return NGX_CONF_ERROR;
    }

    program = ngx_http_loyalty_program_create(cf, &value[1]);
    if (program == NULL) {
        return NGX_CONF_ERROR;
    }

    programp = ngx_array_push(&lmcf->programs);
    if (programp == NULL) {
        return NGX_CONF_ERROR;
    }

    *programp = program;
    program->index = lmcf->programs.nelts - 1;

    ngx_memzero(&block, sizeof(ngx_http_loyalty_block_t));

    block.program = program;
    block.http_ctx = cf->ctx;

    pcf = *cf;
    cf->ctx = &block;
    cf->module_type = NGX_LOYALTY_MODULE;
    cf->cmd_type = NGX_LOYALTY_PROGRAM_CONF;

    rv = ngx_conf_parse(cf, NULL);

    if (rv == NGX_CONF_OK
        && ngx_http_loyalty_program_close(cf, program) != NGX_OK)
    {
        rv = NGX_CONF_ERROR;
    }

    *cf = pcf;

    return rv;
}


static ngx_http_loyalty_program_t *
ngx_http_loyalty_program_create(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_http_loyalty_program_t  *program;

    program = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_program_t));
    if (program == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     program->zone = NULL;
     *     program->currency = { 0, NULL };
     *     program->index_conf = NULL;
     *     program->redis = NULL;
     */

    program->name = *name;
    ngx_http_loyalty_place(cf, &program->place);

    program->scale = NGX_CONF_UNSET_UINT;
    program->max_event_age = NGX_CONF_UNSET;
    program->remember = NGX_CONF_UNSET;
    program->feed_max = NGX_CONF_UNSET;
    program->idempotency_optional = NGX_CONF_UNSET;

    if (ngx_array_init(&program->wallets, cf->pool, 2,
                       sizeof(ngx_http_loyalty_wallet_t))
        != NGX_OK
        || ngx_array_init(&program->tiers, cf->pool, 4,
                          sizeof(ngx_http_loyalty_tier_t))
           != NGX_OK
        || ngx_array_init(&program->targets, cf->pool, 1,
                          sizeof(ngx_http_loyalty_rule_t *))
           != NGX_OK
        || ngx_array_init(&program->pools, cf->pool, 1,
                          sizeof(ngx_http_loyalty_pool_t *))
           != NGX_OK
        || ngx_array_init(&program->variables, cf->pool, 4,
                          sizeof(ngx_http_loyalty_variable_t))
           != NGX_OK
        || ngx_array_init(&program->types, cf->pool, 8,
                          sizeof(ngx_http_loyalty_type_t *))
           != NGX_OK
        || ngx_array_init(&program->rules, cf->pool, 16,
                          sizeof(ngx_http_loyalty_rule_t *))
           != NGX_OK)
    {
        return NULL;
    }

    return program;
}


ngx_http_loyalty_program_t *
ngx_http_loyalty_program_find(ngx_http_loyalty_main_conf_t *lmcf,
    ngx_str_t *name)
{
    ngx_uint_t                    i;
    ngx_http_loyalty_program_t  **program;

    program = lmcf->programs.elts;

    for (i = 0; i < lmcf->programs.nelts; i++) {

        if (program[i]->name.len == name->len
            && ngx_memcmp(program[i]->name.data, name->data, name->len) == 0)
        {
            return program[i];
        }
    }

    return NULL;
}


ngx_http_loyalty_rule_t *
ngx_http_loyalty_rule_add(ngx_conf_t *cf, ngx_http_loyalty_game_t *game,
    ngx_str_t *name)
{
    ngx_uint_t                    i;
    ngx_http_loyalty_rule_t      *rule, **rules, **rulep;
    ngx_http_loyalty_block_t     *block;
    ngx_http_loyalty_program_t   *program;

    block = cf->ctx;
    program = block->program;
    rules = program->rules.elts;

    if (program->rules.nelts == NGX_HTTP_LOYALTY_RULES) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many rules in loyalty_program \"%V\": at "
                           "most %d are expected",
                           &program->name, NGX_HTTP_LOYALTY_RULES);
        return NULL;
    }

    for (i = 0; name->len && i < program->rules.nelts; i++) {

        if (rules[i]->game == game
            && rules[i]->name.len == name->len
            && ngx_memcmp(rules[i]->name.data, name->data, name->len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate %V \"%V\", the first is in %s:%ui",
                               &game->name, name, rules[i]->place.file,
                               rules[i]->place.line);
            return NULL;
        }
    }

    rule = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_rule_t));
    if (rule == NULL) {
        return NULL;
    }

    if (ngx_array_init(&rule->listeners, cf->pool, 2,
                       sizeof(ngx_http_loyalty_listener_t))
        != NGX_OK
        || ngx_array_init(&rule->awards, cf->pool, 2,
                          sizeof(ngx_http_loyalty_award_t))
           != NGX_OK
        || ngx_array_init(&rule->targets, cf->pool, 1,
                          sizeof(ngx_http_loyalty_rule_t *))
           != NGX_OK)
    {
        return NULL;
    }

    rulep = ngx_array_push(&program->rules);
    if (rulep == NULL) {
        return NULL;
    }

    *rulep = rule;

    rule->game = game;
    rule->name = *name;
    rule->order = program->rules.nelts - 1;
    ngx_http_loyalty_place(cf, &rule->place);

    return rule;
}


ngx_http_loyalty_listener_t *
ngx_http_loyalty_listener_add(ngx_conf_t *cf, ngx_http_loyalty_rule_t *rule,
    ngx_str_t *type, ngx_uint_t role)
{
    ngx_http_loyalty_listener_t  *listener;

    if (ngx_http_loyalty_type_check(cf, type) != NGX_OK) {
        return NULL;
    }

    /* callers keep pointers to listeners: the array must not grow */

    if (rule->listeners.nelts == rule->listeners.nalloc) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many event types: one that counts and one "
                           "that opens are expected at most");
        return NULL;
    }

    listener = ngx_array_push(&rule->listeners);
    if (listener == NULL) {
        return NULL;
    }

    if (ngx_http_loyalty_listener_init(cf, listener, rule) != NGX_OK) {
        return NULL;
    }

    listener->type = *type;
    listener->role = role;

    return listener;
}


ngx_int_t
ngx_http_loyalty_listener_init(ngx_conf_t *cf,
    ngx_http_loyalty_listener_t *listener, ngx_http_loyalty_rule_t *rule)
{
    ngx_memzero(listener, sizeof(ngx_http_loyalty_listener_t));

    listener->rule = rule;

    return ngx_array_init(&listener->matches, cf->pool, 2,
                          sizeof(ngx_http_loyalty_match_t));
}


ngx_int_t
ngx_http_loyalty_type_check(ngx_conf_t *cf, ngx_str_t *type)
{
    u_char      c;
    ngx_uint_t  i;

    if (type->len == 0 || type->len > NGX_HTTP_LOYALTY_TYPE) {
        goto invalid;
    }

    for (i = 0; i < type->len; i++) {
        c = type->data[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
            || (c >= '0' && c <= '9') || c == '_')
        {
            continue;
        }

        if (i == 0 || (c != '-' && c != '.' && c != ':' && c != '/')) {
            goto invalid;
        }
    }

    return NGX_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid event type \"%V\": 1 to %d letters, digits "
                       "and \"_-.:/\", the first a letter, a digit or \"_\", "
                       "are expected", type, NGX_HTTP_LOYALTY_TYPE);

    return NGX_ERROR;
}


static char *
ngx_http_loyalty_timezone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                   *value;
    ngx_http_loyalty_block_t    *block;
    ngx_http_loyalty_program_t  *program;

    block = cf->ctx;
    program = block->program;

    if (program->zone != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;

    return ngx_http_loyalty_zone(cf, program, &value[1]) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


ngx_int_t
ngx_http_loyalty_zone(ngx_conf_t *cf, ngx_http_loyalty_program_t *program,
    ngx_str_t *name)
{
    char                 reason[NGX_MAX_CONF_ERRSTR / 2];
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    /* what the configuration's lexer and this module give ends with '\0' */

    program->zone = loyalty_zone_load(NULL, (char *) name->data, reason,
                                      sizeof(reason));

    if (program->zone == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid timezone \"%V\": %s; an IANA name such "
                           "as \"Europe/Madrid\" is expected", name, reason);
        return NGX_ERROR;
    }

    cln->handler = ngx_http_loyalty_timezone_cleanup;
    cln->data = program->zone;

    program->timezone = *name;

    return NGX_OK;
}


static void
ngx_http_loyalty_timezone_cleanup(void *data)
{
    loyalty_zone_free(data);
}


static char *
ngx_http_loyalty_money(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char                       c;
    int64_t                      scale;
    ngx_str_t                   *value;
    ngx_uint_t                   i;
    ngx_http_loyalty_block_t    *block;
    ngx_http_loyalty_program_t  *program;

    block = cf->ctx;
    program = block->program;

    if (program->scale != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 0; i < value[1].len; i++) {
        c = value[1].data[i];

        if (!(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z')) {
            break;
        }
    }

    if (i == 0 || i > NGX_HTTP_LOYALTY_CURRENCY || i < value[1].len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid currency \"%V\": a code of letters, such "
                           "as \"EUR\", is expected", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_loyalty_number(cf, "number of decimals", &value[2], 0,
                                NGX_HTTP_LOYALTY_MAX_SCALE, &scale)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    program->currency = value[1];
    program->scale = scale;

    return NGX_CONF_OK;
}


static char *
ngx_http_loyalty_max_event_age(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                   *value;
    ngx_http_loyalty_block_t    *block;
    ngx_http_loyalty_program_t  *program;

    block = cf->ctx;
    program = block->program;

    if (program->max_event_age != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    return ngx_http_loyalty_duration(cf, "max_event_age", &value[1],
                                     &program->max_event_age)
           == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_loyalty_remember(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                   *value;
    ngx_http_loyalty_block_t    *block;
    ngx_http_loyalty_program_t  *program;

    block = cf->ctx;
    program = block->program;

    if (program->remember != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    ngx_http_loyalty_place(cf, &program->remember_place);

    return ngx_http_loyalty_duration(cf, "remember", &value[1],
                                     &program->remember)
           == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_loyalty_feed_max(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                   *value;
    ngx_http_loyalty_block_t    *block;
    ngx_http_loyalty_program_t  *program;

    block = cf->ctx;
    program = block->program;

    if (program->feed_max != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    return ngx_http_loyalty_number(cf, "feed_max", &value[1], 1,
                                   NGX_HTTP_LOYALTY_MAX_FEED,
                                   &program->feed_max)
           == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_loyalty_keys_optional(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                 *value;
    ngx_http_loyalty_block_t  *block;

    block = cf->ctx;
    value = cf->args->elts;

    if (block->program->idempotency_optional != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    if (ngx_strcmp(value[1].data, "required") == 0) {
        block->program->idempotency_optional = 0;

    } else if (ngx_strcmp(value[1].data, "optional") == 0) {
        block->program->idempotency_optional = 1;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\", \"idempotency\" expects "
                           "\"required\" or \"optional\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
