/*
 * earn: points for an event, at once.
 *
 *     earn purchase points 1 per=1.00 match channel = web;
 *
 * The rate is kept as one reduced fraction of points over the smallest unit
 * of what is counted, so that Lua rounds once, on exact whole numbers.  Lua
 * works in doubles: a rate that would leave their 53 bits together with the
 * program's highest multiplier is refused when nginx starts.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_games.h"


#define NGX_HTTP_LOYALTY_EARN_EVENT     0         /* bases */
#define NGX_HTTP_LOYALTY_EARN_AMOUNT    1
#define NGX_HTTP_LOYALTY_EARN_QUANTITY  2
#define NGX_HTTP_LOYALTY_EARN_ITEMS     3

#define NGX_HTTP_LOYALTY_EARN_BLOB      64


typedef struct {
    ngx_str_t    wallet;
    ngx_str_t    points;
    ngx_str_t    per;
    ngx_str_t    of;
    ngx_str_t    rounding;
    ngx_uint_t   round;
    ngx_uint_t   basis;
    int64_t      num;
    int64_t      den;
} ngx_http_loyalty_earn_conf_t;


static char *ngx_http_loyalty_earn(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_loyalty_earn_option(ngx_conf_t *cf,
    ngx_http_loyalty_earn_conf_t *ecf, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_earn_round(ngx_conf_t *cf,
    ngx_http_loyalty_earn_conf_t *ecf);
static ngx_int_t ngx_http_loyalty_earn_init(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule);
static ngx_int_t ngx_http_loyalty_earn_basis(ngx_conf_t *cf,
    ngx_http_loyalty_rule_t *rule);
static ngx_int_t ngx_http_loyalty_earn_fraction(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule);
static ngx_int_t ngx_http_loyalty_earn_bound(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule);
static ngx_int_t ngx_http_loyalty_earn_canonical(ngx_conf_t *cf,
    ngx_http_loyalty_rule_t *rule);
static ngx_int_t ngx_http_loyalty_earn_twice(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule);
static ngx_int_t ngx_http_loyalty_earn_args(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_hit_t *hit,
    ngx_http_loyalty_event_t *event, loyalty_mpw_t *w);
static ngx_int_t ngx_http_loyalty_earn_effect(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule,
    ngx_str_t *name, ngx_uint_t kind, loyalty_mpr_t *r, loyalty_out_t *out);
static int64_t ngx_http_loyalty_earn_gcd(int64_t a, int64_t b);


static ngx_command_t  ngx_http_loyalty_earn_commands[] = {

    { ngx_string("earn"),
      NGX_LOYALTY_PROGRAM_CONF|NGX_CONF_2MORE,
      ngx_http_loyalty_earn,
      0,
      0,
      NULL },

      ngx_null_command
};


ngx_module_t  ngx_http_loyalty_earn_module = {
    NGX_MODULE_V1,
    NULL,                                  /* module context */
    ngx_http_loyalty_earn_commands,        /* module directives */
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


ngx_http_loyalty_game_t  ngx_http_loyalty_earn_game = {
    ngx_string("earn"),
    1,
    ngx_http_loyalty_earn_init,
    ngx_http_loyalty_earn_args,
    ngx_http_loyalty_earn_effect,
    NULL,                                  /* nothing in GET me */
    ngx_null_string,
    0,                                     /* no award reaches it */
    NULL,
    NULL,
    NULL,
    NULL
};


static char *
ngx_http_loyalty_earn(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                     *value, name;
    ngx_uint_t                     i;
    ngx_http_loyalty_rule_t       *rule;
    ngx_http_loyalty_listener_t   *listener;
    ngx_http_loyalty_earn_conf_t  *ecf;

    value = cf->args->elts;

    if (cf->args->nelts < 4) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"earn\" expects EVENT WALLET POINTS [per=AMOUNT "
                           "[of=FIELD]] [round=WAY] [match FIELD op VALUE]");
        return NGX_CONF_ERROR;
    }

    ecf = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_earn_conf_t));
    if (ecf == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_str_null(&name);

    rule = ngx_http_loyalty_rule_add(cf, &ngx_http_loyalty_earn_game, &name);
    if (rule == NULL) {
        return NGX_CONF_ERROR;
    }

    rule->conf = ecf;
    ecf->wallet = value[2];
    ecf->points = value[3];

    listener = ngx_http_loyalty_listener_add(cf, rule, &value[1],
                                             NGX_HTTP_LOYALTY_COUNTS);
    if (listener == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 4; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "match") == 0) {
            if (ngx_http_loyalty_match_inline(cf, listener, &value[i],
                                              cf->args->nelts - i)
                != NGX_OK)
            {
                return NGX_CONF_ERROR;
            }

            break;
        }

        if (ngx_http_loyalty_earn_option(cf, ecf, &value[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_http_loyalty_earn_round(cf, ecf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ecf->of.len != 0 && ecf->per.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"of=\" needs \"per=AMOUNT\" beside it");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_loyalty_earn_option(ngx_conf_t *cf,
    ngx_http_loyalty_earn_conf_t *ecf, ngx_str_t *value)
{
    size_t      len;
    ngx_str_t  *target;

    if (ngx_strncmp(value->data, "per=", 4) == 0) {
        target = &ecf->per;
        len = 4;

    } else if (ngx_strncmp(value->data, "of=", 3) == 0) {
        target = &ecf->of;
        len = 3;

    } else if (ngx_strncmp(value->data, "round=", 6) == 0) {
        target = &ecf->rounding;
        len = 6;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", \"earn\" expects "
                           "\"per=\", \"of=\", \"round=\" or \"match\"",
                           value);
        return NGX_ERROR;
    }

    if (target->len != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate parameter \"%V\"", value);
        return NGX_ERROR;
    }

    if (value->len == len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "parameter \"%V\" has no value", value);
        return NGX_ERROR;
    }

    target->data = value->data + len;
    target->len = value->len - len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_earn_round(ngx_conf_t *cf,
    ngx_http_loyalty_earn_conf_t *ecf)
{
    ngx_uint_t         i;
    static ngx_str_t   ways[] = {
        ngx_string("floor"),
        ngx_string("ceil"),
        ngx_string("half_up")
    };

    if (ecf->rounding.len == 0) {
        ecf->rounding = ways[0];
    }

    for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        if (ecf->rounding.len == ways[i].len
            && ngx_strncmp(ecf->rounding.data, ways[i].data, ways[i].len)
               == 0)
        {
            ecf->round = i;
            return NGX_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid rounding \"%V\", \"round=\" expects "
                       "\"floor\", \"ceil\" or \"half_up\"", &ecf->rounding);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_loyalty_earn_init(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule)
{
    u_char                        *p;
    loyalty_mpw_t                  w;
    ngx_http_loyalty_wallet_t     *wallet;
    ngx_http_loyalty_earn_conf_t  *ecf;

    ecf = rule->conf;

    wallet = ngx_http_loyalty_wallet(program, &ecf->wallet);
    if (wallet == NULL) {
        ngx_http_loyalty_conf_error(cf, &rule->place,
                                    "unknown wallet \"%V\": "
                                    "loyalty_program \"%V\" has no such "
                                    "\"wallet\" directive",
                                    &ecf->wallet, &program->name);
        return NGX_ERROR;
    }

    if (ngx_http_loyalty_earn_basis(cf, rule) != NGX_OK
        || ngx_http_loyalty_earn_fraction(cf, program, rule) != NGX_OK
        || ngx_http_loyalty_earn_bound(cf, program, rule) != NGX_OK
        || ngx_http_loyalty_earn_canonical(cf, rule) != NGX_OK
        || ngx_http_loyalty_earn_twice(cf, program, rule) != NGX_OK)
    {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(cf->pool, NGX_HTTP_LOYALTY_EARN_BLOB);
    if (p == NULL) {
        return NGX_ERROR;
    }

    loyalty_mpw_init(&w, p, NGX_HTTP_LOYALTY_EARN_BLOB);
    loyalty_mpw_array(&w, 7);
    loyalty_mpw_int(&w, ngx_http_loyalty_earn_game.kind);
    loyalty_mpw_str(&w, rule->hash, NGX_HTTP_LOYALTY_HASH);
    loyalty_mpw_str(&w, wallet->hash, NGX_HTTP_LOYALTY_HASH);
    loyalty_mpw_int(&w, ecf->num);
    loyalty_mpw_int(&w, ecf->den);
    loyalty_mpw_int(&w, ecf->round);
    loyalty_mpw_int(&w, ecf->basis);

    return ngx_http_loyalty_games_blob(cf, rule, &w);
}


/* what the points are for: known when all match lines are */

static ngx_int_t
ngx_http_loyalty_earn_basis(ngx_conf_t *cf, ngx_http_loyalty_rule_t *rule)
{
    ngx_uint_t                     items;
    ngx_http_loyalty_listener_t   *listener;
    ngx_http_loyalty_earn_conf_t  *ecf;

    ecf = rule->conf;
    listener = ngx_http_loyalty_games_listener(rule, NGX_HTTP_LOYALTY_COUNTS);
    items = (listener->item_matches != 0);

    if (ecf->per.len == 0) {
        ecf->basis = items ? NGX_HTTP_LOYALTY_EARN_QUANTITY
                           : NGX_HTTP_LOYALTY_EARN_EVENT;
        return NGX_OK;
    }

    if (ecf->of.len == 0
        || (ecf->of.len == sizeof("amount") - 1
            && ngx_strncmp(ecf->of.data, "amount", ecf->of.len) == 0))
    {
        ecf->basis = items ? NGX_HTTP_LOYALTY_EARN_ITEMS
                           : NGX_HTTP_LOYALTY_EARN_AMOUNT;
        return NGX_OK;
    }

    if (ecf->of.len == sizeof("item.amount") - 1
        && ngx_strncmp(ecf->of.data, "item.amount", ecf->of.len) == 0)
    {
        ecf->basis = NGX_HTTP_LOYALTY_EARN_ITEMS;
        return NGX_OK;
    }

    ngx_http_loyalty_conf_error(cf, &rule->place,
                                "invalid parameter \"of=%V\", expected "
                                "\"of=amount\" or \"of=item.amount\"",
                                &ecf->of);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_loyalty_earn_fraction(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule)
{
    int64_t                        gcd, per;
    ngx_http_loyalty_earn_conf_t  *ecf;

    ecf = rule->conf;

    if (loyalty_decimal_fraction(ecf->points.data, ecf->points.len,
                                 &ecf->num, &ecf->den)
        != LOYALTY_MONEY_OK
        || ecf->num == 0)
    {
        ngx_http_loyalty_conf_error(cf, &rule->place,
                                    "invalid points \"%V\", \"earn\" expects "
                                    "a number over 0 with at most 9 decimals",
                                    &ecf->points);
        return NGX_ERROR;
    }

    if (ecf->per.len == 0) {
        return NGX_OK;
    }

    if (loyalty_money_parse(ecf->per.data, ecf->per.len, program->scale, &per)
        != LOYALTY_MONEY_OK
        || per == 0)
    {
        ngx_http_loyalty_conf_error(cf, &rule->place,
                                    "invalid amount \"per=%V\", expected an "
                                    "amount over 0 with at most %ui decimals",
                                    &ecf->per, program->scale);
        return NGX_ERROR;
    }

    gcd = ngx_http_loyalty_earn_gcd(ecf->num, per);
    ecf->num /= gcd;
    per /= gcd;

    if (ecf->den > LOYALTY_MAX_INT / per) {
        ecf->den = LOYALTY_MAX_INT;        /* refused by the bound */
        return NGX_OK;
    }

    ecf->den *= per;

    return NGX_OK;
}


/* floor(b / D) * N + round(b % D * N / D) must be exact in doubles */

static ngx_int_t
ngx_http_loyalty_earn_bound(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule)
{
    int64_t                        limit, multiplier;
    ngx_uint_t                     i;
    ngx_http_loyalty_tier_t       *tier;
    ngx_http_loyalty_earn_conf_t  *ecf;

    ecf = rule->conf;
    tier = program->tiers.elts;
    multiplier = NGX_HTTP_LOYALTY_ONE;

    for (i = 0; i < program->tiers.nelts; i++) {
        if (tier[i].multiplier > multiplier) {
            multiplier = tier[i].multiplier;
        }
    }

    /* half of the doubles' range: rounding half up adds half of D */

    limit = LOYALTY_MAX_INT / 2 / NGX_HTTP_LOYALTY_ONE / multiplier;

    if (ecf->num > limit || ecf->den > limit / ecf->num) {
        ngx_http_loyalty_conf_error(cf, &rule->place,
                                    "the rate of \"earn\" is too fine to be "
                                    "exact: points and \"per=\" need fewer "
                                    "digits, or tiers a lower multiplier");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_earn_canonical(ngx_conf_t *cf,
    ngx_http_loyalty_rule_t *rule)
{
    u_char                        *p;
    ngx_str_t                     *text;
    ngx_pool_t                    *pool;
    ngx_http_loyalty_listener_t   *listener;
    ngx_http_loyalty_earn_conf_t  *ecf;

    ecf = rule->conf;
    pool = cf->pool;
    text = &rule->canonical;
    listener = ngx_http_loyalty_games_listener(rule, NGX_HTTP_LOYALTY_COUNTS);

    if (ngx_http_loyalty_games_word(pool, text, "earn", &ecf->wallet)
        != NGX_OK
        || ngx_http_loyalty_games_word_int(pool, text, "num", ecf->num)
           != NGX_OK
        || ngx_http_loyalty_games_word_int(pool, text, "den", ecf->den)
           != NGX_OK
        || ngx_http_loyalty_games_word_int(pool, text, "basis", ecf->basis)
           != NGX_OK
        || ngx_http_loyalty_games_word(pool, text, "round", &ecf->rounding)
           != NGX_OK
        || ngx_http_loyalty_games_word_on(pool, text, "on", listener)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_loyalty_hash4(text->data, text->len, rule->hash);

    p = ngx_pnalloc(pool, sizeof("earn ") - 1 + listener->type.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    rule->reason.data = p;
    rule->reason.len = ngx_sprintf(p, "earn %V", &listener->type) - p;

    return NGX_OK;
}


/* two equal lines would be one rule to Redis */

static ngx_int_t
ngx_http_loyalty_earn_twice(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule)
{
    ngx_uint_t                 i;
    ngx_http_loyalty_rule_t  **rules;

    rules = program->rules.elts;

    for (i = 0; i < program->rules.nelts && rules[i] != rule; i++) {

        if (rules[i]->game != rule->game
            || rules[i]->canonical.len != rule->canonical.len
            || ngx_memcmp(rules[i]->canonical.data, rule->canonical.data,
                          rule->canonical.len)
               != 0)
        {
            continue;
        }

        ngx_http_loyalty_conf_error(cf, &rule->place,
                                    "duplicate \"earn\", the same is in "
                                    "%s:%ui", rules[i]->place.file,
                                    rules[i]->place.line);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_earn_args(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_hit_t *hit, ngx_http_loyalty_event_t *event,
    loyalty_mpw_t *w)
{
    ngx_uint_t                     priced;
    ngx_http_loyalty_hit_t         counted;
    ngx_http_loyalty_earn_conf_t  *ecf;

    ecf = hit->rule->conf;

    if (ecf->basis == NGX_HTTP_LOYALTY_EARN_EVENT) {
        return NGX_OK;
    }

    if (ecf->basis == NGX_HTTP_LOYALTY_EARN_AMOUNT) {
        return (event->amount < 0) ? NGX_DECLINED : NGX_OK;
    }

    priced = (ecf->basis == NGX_HTTP_LOYALTY_EARN_ITEMS);

    if (ngx_http_loyalty_games_items(hit, event, priced, &counted) == 0) {
        return NGX_DECLINED;
    }

    ngx_http_loyalty_hit_items(&counted, event, w);

    return NGX_OK;
}


/* its points are entries of the wallet; what it counted is no effect */

static ngx_int_t
ngx_http_loyalty_earn_effect(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, ngx_str_t *name, ngx_uint_t kind,
    loyalty_mpr_t *r, loyalty_out_t *out)
{
    int64_t  n;

    if (kind != NGX_HTTP_LOYALTY_ENTRY_ITEMS
        || loyalty_mpr_int(r, &n) != 0
        || ngx_http_loyalty_games_skip(r, n) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_DECLINED;
}


static int64_t
ngx_http_loyalty_earn_gcd(int64_t a, int64_t b)
{
    int64_t  t;

    while (b != 0) {
        t = a % b;
        a = b;
        b = t;
    }

    return a;
}
