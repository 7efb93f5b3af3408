/*
 * streak: an event in one period after the other.
 *
 *     streak daily_visit {
 *         on      visit;
 *         every   day;  day_starts 04:00;
 *         freeze  1 earn_every=7 max=2;
 *         award   points 10 at=3;
 *     }
 *
 * The state is a map of the 64 latest periods (docs/internals.md).
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_streak.h"


#define NGX_HTTP_LOYALTY_FREEZES  32              /* most that can be held */


static char *ngx_http_loyalty_streak(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_loyalty_streak_freeze(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static ngx_int_t ngx_http_loyalty_streak_option(ngx_conf_t *cf,
    ngx_http_loyalty_streak_conf_t *scf, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_streak_init(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule);
static ngx_int_t ngx_http_loyalty_streak_blob(ngx_conf_t *cf,
    ngx_http_loyalty_rule_t *rule);
static ngx_int_t ngx_http_loyalty_streak_args(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_hit_t *hit,
    ngx_http_loyalty_event_t *event, loyalty_mpw_t *w);
static ngx_int_t ngx_http_loyalty_streak_effect(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule,
    ngx_str_t *name, ngx_uint_t kind, loyalty_mpr_t *r, loyalty_out_t *out);


static ngx_command_t  ngx_http_loyalty_streak_commands[] = {

    { ngx_string("streak"),
      NGX_LOYALTY_PROGRAM_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_loyalty_streak,
      0,
      0,
      NULL },

    { ngx_string("on"),
      NGX_LOYALTY_STREAK_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_games_on,
      0,
      0,
      NULL },

    { ngx_string("match"),
      NGX_LOYALTY_STREAK_CONF|NGX_CONF_2MORE,
      ngx_http_loyalty_games_match,
      0,
      0,
      NULL },

    { ngx_string("every"),
      NGX_LOYALTY_STREAK_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_games_every,
      0,
      0,
      NULL },

    { ngx_string("day_starts"),
      NGX_LOYALTY_STREAK_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_games_day_starts,
      0,
      0,
      NULL },

    { ngx_string("freeze"),
      NGX_LOYALTY_STREAK_CONF|NGX_CONF_TAKE123,
      ngx_http_loyalty_streak_freeze,
      0,
      0,
      NULL },

    { ngx_string("award"),
      NGX_LOYALTY_STREAK_CONF|NGX_CONF_1MORE,
      ngx_http_loyalty_games_award,
      0,
      1,                                   /* at= or every= */
      NULL },

      ngx_null_command
};


ngx_module_t  ngx_http_loyalty_streak_module = {
    NGX_MODULE_V1,
    NULL,                                  /* module context */
    ngx_http_loyalty_streak_commands,      /* module directives */
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


ngx_http_loyalty_game_t  ngx_http_loyalty_streak_game = {
    ngx_string("streak"),
    3,
    ngx_http_loyalty_streak_init,
    ngx_http_loyalty_streak_args,
    ngx_http_loyalty_streak_effect,
    ngx_http_loyalty_streak_view,
    ngx_string("streaks"),
    0,                                     /* no award reaches it */
    NULL,
    NULL,
    ngx_http_loyalty_streak_value,
    NULL
};


static char *
ngx_http_loyalty_streak(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                            *rv;
    ngx_http_loyalty_rule_t         *rule;
    ngx_http_loyalty_streak_conf_t  *scf;

    scf = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_streak_conf_t));
    if (scf == NULL) {
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_loyalty_games_block(cf, &ngx_http_loyalty_streak_game,
                                      NGX_LOYALTY_STREAK_CONF, &scf->common,
                                      &rule);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (ngx_http_loyalty_games_listener(rule, NGX_HTTP_LOYALTY_COUNTS)
        == NULL)
    {
        ngx_http_loyalty_conf_error(cf, &rule->place,
                                    "streak \"%V\" has no \"on EVENT\"",
                                    &rule->name);
        return NGX_CONF_ERROR;
    }

    if (scf->common.unit == 0) {
        ngx_http_loyalty_conf_error(cf, &rule->place,
                                    "streak \"%V\" has no \"every "
                                    "day|week|month\"", &rule->name);
        return NGX_CONF_ERROR;
    }

    if (scf->common.day_starts == -1) {
        scf->common.day_starts = 0;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_loyalty_streak_freeze(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_str_t                       *value;
    ngx_uint_t                       i;
    ngx_http_loyalty_block_t        *block;
    ngx_http_loyalty_streak_conf_t  *scf;

    block = cf->ctx;
    scf = block->rule->conf;
    value = cf->args->elts;

    if (scf->freeze) {
        return "is duplicate";
    }

    scf->freeze = 1;

    if (ngx_http_loyalty_number(cf, "freeze", &value[1], 0,
                                NGX_HTTP_LOYALTY_FREEZES, &scf->freezes)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_loyalty_streak_option(cf, scf, &value[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (scf->max == 0) {
        scf->max = scf->earn_every ? NGX_HTTP_LOYALTY_FREEZES : scf->freezes;
    }

    if (scf->max < scf->freezes) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"max=%L\" is less than the %L freezes granted",
                           scf->max, scf->freezes);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_loyalty_streak_option(ngx_conf_t *cf,
    ngx_http_loyalty_streak_conf_t *scf, ngx_str_t *value)
{
    int64_t     *target, most;
    ngx_str_t    number;
    const char  *what;

    if (ngx_strncmp(value->data, "earn_every=", 11) == 0) {
        what = "earn_every";
        target = &scf->earn_every;
        most = LOYALTY_MAX_INT;
        number.data = value->data + 11;

    } else if (ngx_strncmp(value->data, "max=", 4) == 0) {
        what = "max";
        target = &scf->max;
        most = NGX_HTTP_LOYALTY_FREEZES;
        number.data = value->data + 4;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", \"freeze\" expects "
                           "\"earn_every=\" or \"max=\"", value);
        return NGX_ERROR;
    }

    if (*target != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate parameter \"%V\"", value);
        return NGX_ERROR;
    }

    number.len = value->data + value->len - number.data;

    return ngx_http_loyalty_number(cf, what, &number, 1, most, target);
}


static ngx_int_t
ngx_http_loyalty_streak_init(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule)
{
    u_char                          *p;
    ngx_str_t                       *text;
    ngx_http_loyalty_listener_t     *listener;
    ngx_http_loyalty_streak_conf_t  *scf;

    scf = rule->conf;
    text = &rule->canonical;
    listener = ngx_http_loyalty_games_listener(rule, NGX_HTTP_LOYALTY_COUNTS);

    if (ngx_http_loyalty_awards_resolve(cf, program, rule) != NGX_OK
        || ngx_http_loyalty_games_word(cf->pool, text, "streak", &rule->name)
           != NGX_OK
        || ngx_http_loyalty_games_word_on(cf->pool, text, "on", listener)
           != NGX_OK
        || ngx_http_loyalty_games_word_every(cf->pool, text, &scf->common)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_loyalty_hash4(text->data, text->len, rule->hash);

    p = ngx_pnalloc(cf->pool, sizeof("streak ") - 1 + rule->name.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    rule->reason.data = p;
    rule->reason.len = ngx_sprintf(p, "streak %V", &rule->name) - p;

    return ngx_http_loyalty_streak_blob(cf, rule);
}


static ngx_int_t
ngx_http_loyalty_streak_blob(ngx_conf_t *cf, ngx_http_loyalty_rule_t *rule)
{
    size_t                           size;
    u_char                          *p;
    ngx_uint_t                       i;
    loyalty_mpw_t                    w;
    ngx_http_loyalty_award_t        *award;
    ngx_http_loyalty_streak_conf_t  *scf;

    scf = rule->conf;
    award = rule->awards.elts;

    /* 9 bytes an integer, 6 a hash */

    size = 64 + rule->awards.nelts * 42;

    p = ngx_pnalloc(cf->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    loyalty_mpw_init(&w, p, size);
    loyalty_mpw_array(&w, 7);
    loyalty_mpw_int(&w, ngx_http_loyalty_streak_game.kind);
    loyalty_mpw_str(&w, rule->hash, NGX_HTTP_LOYALTY_HASH);
    loyalty_mpw_int(&w, scf->common.unit);
    loyalty_mpw_int(&w, scf->freezes);
    loyalty_mpw_int(&w, scf->earn_every);
    loyalty_mpw_int(&w, scf->max);
    loyalty_mpw_array(&w, rule->awards.nelts * 5);

    for (i = 0; i < rule->awards.nelts; i++) {
        loyalty_mpw_int(&w, award[i].at);
        loyalty_mpw_int(&w, award[i].every);
        loyalty_mpw_int(&w, award[i].kind);
        loyalty_mpw_str(&w, award[i].hash, NGX_HTTP_LOYALTY_HASH);
        loyalty_mpw_int(&w, award[i].amount);
    }

    return ngx_http_loyalty_games_blob(cf, rule, &w);
}


static ngx_int_t
ngx_http_loyalty_streak_args(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_hit_t *hit, ngx_http_loyalty_event_t *event,
    loyalty_mpw_t *w)
{
    ngx_http_loyalty_streak_conf_t  *scf;

    scf = hit->rule->conf;

    loyalty_mpw_int(w, ngx_http_loyalty_games_period(program, &scf->common,
                                                     event->at));

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_streak_effect(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, ngx_str_t *name, ngx_uint_t kind,
    loyalty_mpr_t *r, loyalty_out_t *out)
{
    int64_t                          period, length, best, broken, frozen;
    ngx_http_loyalty_streak_conf_t  *scf;

    broken = 0;
    frozen = 0;

    if (loyalty_mpr_int(r, &period) != 0) {
        return NGX_ERROR;
    }

    if (kind == NGX_HTTP_LOYALTY_ENTRY_SILENT) {
        return NGX_DECLINED;
    }

    if ((kind != NGX_HTTP_LOYALTY_ENTRY_STREAK
         && kind != NGX_HTTP_LOYALTY_ENTRY_BROKEN)
        || loyalty_mpr_int(r, &length) != 0
        || loyalty_mpr_int(r, &best) != 0)
    {
        return NGX_ERROR;
    }

    if (kind == NGX_HTTP_LOYALTY_ENTRY_BROKEN
        && (loyalty_mpr_int(r, &broken) != 0
            || loyalty_mpr_int(r, &frozen) != 0))
    {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, "{\"type\":\"streak\",\"name\":");
    loyalty_out_str(out, name->data, name->len);
    loyalty_out_lit(out, ",\"length\":");
    loyalty_out_int(out, length);
    loyalty_out_lit(out, ",\"best\":");
    loyalty_out_int(out, best);
    loyalty_out_lit(out, ",\"period\":");

    if (rule != NULL) {
        scf = rule->conf;
        ngx_http_loyalty_games_period_json(scf->common.unit, period, out);

    } else {
        loyalty_out_lit(out, "\"");
        loyalty_out_int(out, period);
        loyalty_out_lit(out, "\"");
    }

    if (broken != 0) {
        loyalty_out_lit(out, ",\"broken\":");
        loyalty_out_int(out, broken);
    }

    if (frozen != 0) {
        loyalty_out_lit(out, ",\"frozen\":");
        loyalty_out_int(out, frozen);
    }

    loyalty_out_lit(out, "}");

    return NGX_OK;
}
