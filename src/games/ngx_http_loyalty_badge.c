/*
 * badge: a mark that a member has.
 *
 *     badge early_bird;
 *
 * Nobody plays for it: challenges, streaks and prizes award it ("award badge
 * early_bird").  A member who is awarded it twice has it once, and loses it
 * when the last of its awards is taken back.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_games.h"


static char *ngx_http_loyalty_badge(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_loyalty_badge_identify(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule);
static ngx_int_t ngx_http_loyalty_badge_init(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule);
static ngx_int_t ngx_http_loyalty_badge_effect(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule,
    ngx_str_t *name, ngx_uint_t kind, loyalty_mpr_t *r, loyalty_out_t *out);
static ngx_int_t ngx_http_loyalty_badge_view(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule,
    loyalty_head_t *head, loyalty_mpr_t *state, int64_t now,
    loyalty_out_t *out, ngx_uint_t *n);


static ngx_command_t  ngx_http_loyalty_badge_commands[] = {

    { ngx_string("badge"),
      NGX_LOYALTY_PROGRAM_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_badge,
      0,
      0,
      NULL },

      ngx_null_command
};


ngx_module_t  ngx_http_loyalty_badge_module = {
    NGX_MODULE_V1,
    NULL,                                  /* module context */
    ngx_http_loyalty_badge_commands,       /* module directives */
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


ngx_http_loyalty_game_t  ngx_http_loyalty_badge_game = {
    ngx_string("badge"),
    7,
    ngx_http_loyalty_badge_init,
    NULL,                                  /* no event touches it */
    ngx_http_loyalty_badge_effect,
    ngx_http_loyalty_badge_view,
    ngx_string("badges"),
    NGX_HTTP_LOYALTY_AWARD_BADGE,
    ngx_http_loyalty_badge_identify,
    NULL,
    NULL,
    NULL
};


static char *
ngx_http_loyalty_badge(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                *value;
    ngx_http_loyalty_rule_t  *rule;

    value = cf->args->elts;

    if (ngx_http_loyalty_name_check(cf, "badge", &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    rule = ngx_http_loyalty_rule_add(cf, &ngx_http_loyalty_badge_game,
                                     &value[1]);

    return (rule == NULL) ? NGX_CONF_ERROR : NGX_CONF_OK;
}


static ngx_int_t
ngx_http_loyalty_badge_identify(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule)
{
    if (ngx_http_loyalty_games_word(cf->pool, &rule->canonical, "badge",
                                    &rule->name)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    rule->reason = rule->canonical;

    ngx_http_loyalty_hash4(rule->canonical.data, rule->canonical.len,
                           rule->hash);

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_badge_init(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule)
{
    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_badge_effect(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, ngx_str_t *name, ngx_uint_t kind,
    loyalty_mpr_t *r, loyalty_out_t *out)
{
    int64_t  has;

    if (kind != NGX_HTTP_LOYALTY_ENTRY_BADGE
        || loyalty_mpr_int(r, &has) != 0)
    {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, "{\"type\":\"badge\",\"name\":");
    loyalty_out_str(out, name->data, name->len);

    if (!has) {
        loyalty_out_lit(out, ",\"taken_back\":true");
    }

    loyalty_out_lit(out, "}");

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_badge_view(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, loyalty_head_t *head,
    loyalty_mpr_t *state, int64_t now, loyalty_out_t *out, ngx_uint_t *n)
{
    if (state == NULL) {
        return NGX_OK;
    }

    if ((*n)++ > 0) {
        loyalty_out_lit(out, ",");
    }

    loyalty_out_lit(out, "{\"name\":");
    loyalty_out_str(out, rule->name.data, rule->name.len);
    loyalty_out_lit(out, "}");

    return NGX_OK;
}
