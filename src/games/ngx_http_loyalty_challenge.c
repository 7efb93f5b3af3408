/*
 * challenge: reach a goal by events, once ever, once a period, or within a
 * window of time, and get the awards.
 *
 *     challenge coffee_week {
 *         on     purchase;
 *         match  item.category ~ "^coffee/";
 *         goal   5;
 *         every  week;
 *         award  points 50;
 *     }
 *
 * Here: the block and what becomes of it.  What an event tells a challenge
 * and what its effects are is in ngx_http_loyalty_challenge_event.c, GET me's
 * part in ngx_http_loyalty_challenge_view.c, the transitions in
 * challenge.lua.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_challenge.h"


#define NGX_HTTP_LOYALTY_DISTINCT_MAX   255       /* values kept a member */


static char *ngx_http_loyalty_challenge(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_loyalty_challenge_goal(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_loyalty_challenge_goal_of(ngx_conf_t *cf,
    ngx_http_loyalty_challenge_conf_t *ccf, ngx_str_t *value);
static char *ngx_http_loyalty_challenge_window(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_loyalty_challenge_opens_on(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_loyalty_challenge_shape(ngx_conf_t *cf,
    ngx_http_loyalty_rule_t *rule);
static ngx_int_t ngx_http_loyalty_challenge_init(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule);
static ngx_int_t ngx_http_loyalty_challenge_amount(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_challenge_conf_t *ccf);
static ngx_int_t ngx_http_loyalty_challenge_canonical(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule);
static ngx_int_t ngx_http_loyalty_challenge_counted(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_challenge_conf_t *ccf, ngx_str_t *text);
static ngx_int_t ngx_http_loyalty_challenge_blob(ngx_conf_t *cf,
    ngx_http_loyalty_rule_t *rule);


static ngx_command_t  ngx_http_loyalty_challenge_commands[] = {

    { ngx_string("challenge"),
      NGX_LOYALTY_PROGRAM_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_loyalty_challenge,
      0,
      0,
      NULL },

    { ngx_string("on"),
      NGX_LOYALTY_CHALLENGE_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_games_on,
      0,
      0,
      NULL },

    { ngx_string("match"),
      NGX_LOYALTY_CHALLENGE_CONF|NGX_CONF_2MORE,
      ngx_http_loyalty_games_match,
      0,
      0,
      NULL },

    { ngx_string("goal"),
      NGX_LOYALTY_CHALLENGE_CONF|NGX_CONF_TAKE13,
      ngx_http_loyalty_challenge_goal,
      0,
      0,
      NULL },

    { ngx_string("every"),
      NGX_LOYALTY_CHALLENGE_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_games_every,
      0,
      0,
      NULL },

    { ngx_string("day_starts"),
      NGX_LOYALTY_CHALLENGE_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_games_day_starts,
      0,
      0,
      NULL },

    { ngx_string("window"),
      NGX_LOYALTY_CHALLENGE_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_challenge_window,
      0,
      0,
      NULL },

    { ngx_string("opens_on"),
      NGX_LOYALTY_CHALLENGE_CONF|NGX_CONF_1MORE,
      ngx_http_loyalty_challenge_opens_on,
      0,
      0,
      NULL },

    { ngx_string("award"),
      NGX_LOYALTY_CHALLENGE_CONF|NGX_CONF_1MORE,
      ngx_http_loyalty_games_award,
      0,
      0,
      NULL },

      ngx_null_command
};


ngx_module_t  ngx_http_loyalty_challenge_module = {
    NGX_MODULE_V1,
    NULL,                                  /* module context */
    ngx_http_loyalty_challenge_commands,   /* module directives */
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


ngx_http_loyalty_game_t  ngx_http_loyalty_challenge_game = {
    ngx_string("challenge"),
    2,
    ngx_http_loyalty_challenge_init,
    ngx_http_loyalty_challenge_args,
    ngx_http_loyalty_challenge_effect,
    ngx_http_loyalty_challenge_view,
    ngx_string("challenges"),
    0,                                     /* no award reaches it */
    NULL,
    NULL,
    ngx_http_loyalty_challenge_text,
    NULL
};


static char *
ngx_http_loyalty_challenge(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                               *rv;
    ngx_http_loyalty_rule_t            *rule;
    ngx_http_loyalty_challenge_conf_t  *ccf;

    ccf = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_challenge_conf_t));
    if (ccf == NULL) {
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_loyalty_games_block(cf, &ngx_http_loyalty_challenge_game,
                                      NGX_LOYALTY_CHALLENGE_CONF,
                                      &ccf->common, &rule);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (ngx_http_loyalty_games_listener(rule, NGX_HTTP_LOYALTY_COUNTS)
        == NULL)
    {
        ngx_http_loyalty_conf_error(cf, &rule->place,
                                    "challenge \"%V\" has no \"on EVENT\"",
                                    &rule->name);
        return NGX_CONF_ERROR;
    }

    if (ccf->place.line == 0) {
        ngx_http_loyalty_conf_error(cf, &rule->place,
                                    "challenge \"%V\" has no \"goal\"",
                                    &rule->name);
        return NGX_CONF_ERROR;
    }

    return ngx_http_loyalty_challenge_shape(cf, rule);
}


static char *
ngx_http_loyalty_challenge_goal(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_str_t                          *value;
    ngx_http_loyalty_block_t           *block;
    ngx_http_loyalty_challenge_conf_t  *ccf;

    block = cf->ctx;
    ccf = block->rule->conf;
    value = cf->args->elts;

    if (ccf->place.line != 0) {
        return "is duplicate";
    }

    ngx_http_loyalty_games_place(cf, &ccf->place);
    ccf->mode = NGX_HTTP_LOYALTY_MODE_EVENTS;

    if (cf->args->nelts == 4) {
        return ngx_http_loyalty_challenge_goal_of(cf, ccf, value);
    }

    if (ngx_http_loyalty_number(cf, "goal", &value[1], 1, LOYALTY_MAX_INT,
                                &ccf->goal)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_loyalty_challenge_goal_of(ngx_conf_t *cf,
    ngx_http_loyalty_challenge_conf_t *ccf, ngx_str_t *value)
{
    if (ngx_strcmp(value[2].data, "distinct") == 0) {

        ccf->mode = NGX_HTTP_LOYALTY_MODE_DISTINCT;

        if (ngx_http_loyalty_number(cf, "goal", &value[1], 1,
                                    NGX_HTTP_LOYALTY_DISTINCT_MAX,
                                    &ccf->goal)
            != NGX_OK
            || ngx_http_loyalty_field_parse(cf, &value[3], &ccf->field)
               != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    /* the money's decimals are known when the program is closed */

    ccf->text = value[1];

    if (ngx_strcmp(value[2].data, "of") == 0
        && ngx_strcmp(value[3].data, "amount") == 0)
    {
        ccf->mode = NGX_HTTP_LOYALTY_MODE_AMOUNT;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[2].data, "of") == 0
        && ngx_strcmp(value[3].data, "item.amount") == 0)
    {
        ccf->mode = NGX_HTTP_LOYALTY_MODE_ITEM_AMOUNT;
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid goal, expected \"goal N\", \"goal X of "
                       "amount\", \"goal X of item.amount\" or \"goal N "
                       "distinct FIELD\"");

    return NGX_CONF_ERROR;
}


static char *
ngx_http_loyalty_challenge_window(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_str_t                          *value;
    ngx_http_loyalty_block_t           *block;
    ngx_http_loyalty_challenge_conf_t  *ccf;

    block = cf->ctx;
    ccf = block->rule->conf;
    value = cf->args->elts;

    if (ccf->window != 0) {
        return "is duplicate";
    }

    if (ngx_http_loyalty_duration(cf, "window", &value[1], &ccf->window)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_loyalty_challenge_opens_on(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_str_t                    *value;
    ngx_http_loyalty_block_t     *block;
    ngx_http_loyalty_listener_t  *listener;

    block = cf->ctx;
    value = cf->args->elts;

    if (ngx_http_loyalty_games_listener(block->rule, NGX_HTTP_LOYALTY_OPENS)
        != NULL)
    {
        return "is duplicate";
    }

    listener = ngx_http_loyalty_listener_add(cf, block->rule, &value[1],
                                             NGX_HTTP_LOYALTY_OPENS);
    if (listener == NULL) {
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[2].data, "match") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", \"opens_on\" expects "
                           "EVENT [match FIELD op VALUE]", &value[2]);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_loyalty_match_inline(cf, listener, &value[2],
                                      cf->args->nelts - 2)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_loyalty_challenge_shape(ngx_conf_t *cf,
    ngx_http_loyalty_rule_t *rule)
{
    const char                         *err;
    ngx_uint_t                          opens;
    ngx_http_loyalty_challenge_conf_t  *ccf;

    ccf = rule->conf;
    opens = (ngx_http_loyalty_games_listener(rule, NGX_HTTP_LOYALTY_OPENS)
             != NULL);
    err = NULL;

    if (ccf->common.unit != 0 && ccf->window != 0) {
        err = "takes \"every\" or \"window\", not both";

    } else if (ccf->common.unit != 0 && opens) {
        err = "takes \"every\" or \"opens_on\", not both";

    } else if (opens && ccf->window == 0) {
        err = "has \"opens_on\" and needs a \"window\"";

    } else if (ccf->common.day_starts != -1 && ccf->common.unit == 0) {
        err = "has \"day_starts\" and needs \"every\"";
    }

    if (err != NULL) {
        ngx_http_loyalty_conf_error(cf, &rule->place, "challenge \"%V\" %s",
                                    &rule->name, err);
        return NGX_CONF_ERROR;
    }

    if (ccf->common.day_starts == -1) {
        ccf->common.day_starts = 0;
    }

    if (opens) {
        ccf->shape = NGX_HTTP_LOYALTY_SHAPE_OPENS;

    } else if (ccf->window != 0) {
        ccf->shape = NGX_HTTP_LOYALTY_SHAPE_WINDOW;

    } else if (ccf->common.unit != 0) {
        ccf->shape = NGX_HTTP_LOYALTY_SHAPE_EVERY;

    } else {
        ccf->shape = NGX_HTTP_LOYALTY_SHAPE_ONCE;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_loyalty_challenge_init(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule)
{
    u_char                             *p;
    ngx_http_loyalty_listener_t        *listener;
    ngx_http_loyalty_challenge_conf_t  *ccf;

    ccf = rule->conf;
    listener = ngx_http_loyalty_games_listener(rule, NGX_HTTP_LOYALTY_COUNTS);

    if (listener->item_matches != 0) {

        /* item lines: what is counted is the items they match */

        if (ccf->mode == NGX_HTTP_LOYALTY_MODE_EVENTS) {
            ccf->mode = NGX_HTTP_LOYALTY_MODE_QUANTITY;

        } else if (ccf->mode == NGX_HTTP_LOYALTY_MODE_AMOUNT) {
            ccf->mode = NGX_HTTP_LOYALTY_MODE_ITEM_AMOUNT;
        }
    }

    if (ngx_http_loyalty_challenge_amount(cf, program, ccf) != NGX_OK
        || ngx_http_loyalty_awards_resolve(cf, program, rule) != NGX_OK
        || ngx_http_loyalty_challenge_canonical(cf, program, rule) != NGX_OK)
    {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(cf->pool, sizeof("challenge ") - 1 + rule->name.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    rule->reason.data = p;
    rule->reason.len = ngx_sprintf(p, "challenge %V", &rule->name) - p;

    return ngx_http_loyalty_challenge_blob(cf, rule);
}


static ngx_int_t
ngx_http_loyalty_challenge_amount(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_challenge_conf_t *ccf)
{
    if (!ngx_http_loyalty_challenge_is_amount(ccf)) {
        return NGX_OK;
    }

    if (loyalty_money_parse(ccf->text.data, ccf->text.len, program->scale,
                            &ccf->goal)
        != LOYALTY_MONEY_OK
        || ccf->goal == 0)
    {
        ngx_http_loyalty_conf_error(cf, &ccf->place,
                                    "invalid goal \"%V\", expected an amount "
                                    "over 0 with at most %ui decimals",
                                    &ccf->text, program->scale);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * What may not change while the challenge runs.  Awards and how much the
 * goal is may.
 */

static ngx_int_t
ngx_http_loyalty_challenge_canonical(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule)
{
    ngx_str_t                          *text;
    ngx_pool_t                         *pool;
    ngx_http_loyalty_listener_t        *counts, *opens;
    ngx_http_loyalty_challenge_conf_t  *ccf;

    ccf = rule->conf;
    pool = cf->pool;
    text = &rule->canonical;
    counts = ngx_http_loyalty_games_listener(rule, NGX_HTTP_LOYALTY_COUNTS);
    opens = ngx_http_loyalty_games_listener(rule, NGX_HTTP_LOYALTY_OPENS);

    if (ngx_http_loyalty_games_word(pool, text, "challenge", &rule->name)
        != NGX_OK
        || ngx_http_loyalty_games_word_on(pool, text, "on", counts) != NGX_OK
        || ngx_http_loyalty_challenge_counted(cf, program, ccf, text)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ccf->common.unit != 0
        && ngx_http_loyalty_games_word_every(pool, text, &ccf->common)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ccf->window != 0
        && ngx_http_loyalty_games_word_int(pool, text, "window", ccf->window)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (opens != NULL
        && ngx_http_loyalty_games_word_on(pool, text, "opens_on", opens)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_loyalty_hash4(text->data, text->len, rule->hash);

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_challenge_counted(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_challenge_conf_t *ccf, ngx_str_t *text)
{
    static const char  *words[] = {
        "events", "quantity", "amount", "item.amount"
    };

    if (ccf->mode == NGX_HTTP_LOYALTY_MODE_DISTINCT) {
        return ngx_http_loyalty_games_word(cf->pool, text, "distinct",
                                           &ccf->field.name);
    }

    if (!ngx_http_loyalty_challenge_is_amount(ccf)) {
        return ngx_http_loyalty_games_word(cf->pool, text, words[ccf->mode],
                                           NULL);
    }

    /* progress in other units would be another progress */

    return ngx_http_loyalty_games_word_int(cf->pool, text, words[ccf->mode],
                                           program->scale);
}


static ngx_int_t
ngx_http_loyalty_challenge_blob(ngx_conf_t *cf,
    ngx_http_loyalty_rule_t *rule)
{
    size_t                              size;
    u_char                             *p;
    ngx_uint_t                          i;
    loyalty_mpw_t                       w;
    ngx_http_loyalty_award_t           *award;
    ngx_http_loyalty_challenge_conf_t  *ccf;

    ccf = rule->conf;
    award = rule->awards.elts;

    /* 9 bytes an integer, 6 a hash */

    size = 64 + rule->awards.nelts * 24;

    p = ngx_pnalloc(cf->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    loyalty_mpw_init(&w, p, size);
    loyalty_mpw_array(&w, 7);
    loyalty_mpw_int(&w, ngx_http_loyalty_challenge_game.kind);
    loyalty_mpw_str(&w, rule->hash, NGX_HTTP_LOYALTY_HASH);
    loyalty_mpw_int(&w, ccf->goal);
    loyalty_mpw_int(&w, ccf->mode);
    loyalty_mpw_int(&w, ccf->shape);
    loyalty_mpw_int(&w, ccf->window);
    loyalty_mpw_array(&w, rule->awards.nelts * 3);

    for (i = 0; i < rule->awards.nelts; i++) {
        loyalty_mpw_int(&w, award[i].kind);
        loyalty_mpw_str(&w, award[i].hash, NGX_HTTP_LOYALTY_HASH);
        loyalty_mpw_int(&w, award[i].amount);
    }

    return ngx_http_loyalty_games_blob(cf, rule, &w);
}
