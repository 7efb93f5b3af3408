/*
 * reward: what points buy.
 *
 *     reward free_coffee {
 *         cost   points 100;
 *         stock  1000;
 *         limit  1 per day;
 *         codes  coffee;
 *     }
 *
 * A member redeems it (ngx_http_loyalty_reward_api.c), or a challenge, a
 * streak or a prize awards it ("award reward free_coffee"), which costs
 * nothing and knows no limit but the stock.  With "codes" each one comes
 * with a code of that pool.  Here: the block, and what GET me and effects
 * say; the transitions are in reward.lua.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_reward.h"


static char *ngx_http_loyalty_reward(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_loyalty_reward_cost(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_loyalty_reward_stock(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_loyalty_reward_limit(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_loyalty_reward_codes(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static ngx_int_t ngx_http_loyalty_reward_identify(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule);
static ngx_int_t ngx_http_loyalty_reward_init(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule);
static ngx_int_t ngx_http_loyalty_reward_blob(ngx_conf_t *cf,
    ngx_http_loyalty_rule_t *rule);


static ngx_command_t  ngx_http_loyalty_reward_commands[] = {

    { ngx_string("reward"),
      NGX_LOYALTY_PROGRAM_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_loyalty_reward,
      0,
      0,
      NULL },

    { ngx_string("cost"),
      NGX_LOYALTY_REWARD_CONF|NGX_CONF_TAKE2,
      ngx_http_loyalty_reward_cost,
      0,
      0,
      NULL },

    { ngx_string("stock"),
      NGX_LOYALTY_REWARD_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_reward_stock,
      0,
      0,
      NULL },

    { ngx_string("limit"),
      NGX_LOYALTY_REWARD_CONF|NGX_CONF_TAKE3,
      ngx_http_loyalty_reward_limit,
      0,
      0,
      NULL },

    { ngx_string("codes"),
      NGX_LOYALTY_REWARD_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_reward_codes,
      0,
      0,
      NULL },

      ngx_null_command
};


ngx_module_t  ngx_http_loyalty_reward_module = {
    NGX_MODULE_V1,
    NULL,                                  /* module context */
    ngx_http_loyalty_reward_commands,      /* module directives */
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


ngx_http_loyalty_game_t  ngx_http_loyalty_reward_game = {
    ngx_string("reward"),
    6,
    ngx_http_loyalty_reward_init,
    NULL,                                  /* no event touches it */
    ngx_http_loyalty_reward_effect,
    ngx_http_loyalty_reward_view,
    ngx_string("rewards"),
    NGX_HTTP_LOYALTY_AWARD_REWARD,
    ngx_http_loyalty_reward_identify,
    ngx_http_loyalty_reward_target,
    NULL,
    NULL
};


static char *
ngx_http_loyalty_reward(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                            *rv;
    ngx_http_loyalty_rule_t         *rule;
    ngx_http_loyalty_block_t        *block;
    ngx_http_loyalty_reward_conf_t  *rcf;

    rcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_reward_conf_t));
    if (rcf == NULL) {
        return NGX_CONF_ERROR;
    }

    rcf->stock = -1;

    rv = ngx_http_loyalty_games_block(cf, &ngx_http_loyalty_reward_game,
                                      NGX_LOYALTY_REWARD_CONF, &rcf->common,
                                      &rule);
    if (rv != NGX_CONF_OK || rcf->pool_name.len == 0) {
        return rv;
    }

    block = cf->ctx;

    rcf->pool = ngx_http_loyalty_pool_add(cf, block->program,
                                          &rcf->pool_name);

    return (rcf->pool == NULL) ? NGX_CONF_ERROR : NGX_CONF_OK;
}


static char *
ngx_http_loyalty_reward_cost(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                       *value;
    ngx_http_loyalty_block_t        *block;
    ngx_http_loyalty_reward_conf_t  *rcf;

    block = cf->ctx;
    rcf = block->rule->conf;
    value = cf->args->elts;

    if (rcf->cost.amount != 0) {
        return "is duplicate";
    }

    if (ngx_http_loyalty_award_parse(cf, "cost", &value[1], 2, &rcf->cost)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (rcf->cost.kind != NGX_HTTP_LOYALTY_AWARD_WALLET) {
        return "of a reward is in a wallet";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_loyalty_reward_stock(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                       *value;
    ngx_http_loyalty_block_t        *block;
    ngx_http_loyalty_reward_conf_t  *rcf;

    block = cf->ctx;
    rcf = block->rule->conf;
    value = cf->args->elts;

    if (rcf->stock != -1) {
        return "is duplicate";
    }

    if (ngx_http_loyalty_number(cf, "stock", &value[1], 0, LOYALTY_MAX_INT,
                                &rcf->stock)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    block->rule->stock = value[1];

    return NGX_CONF_OK;
}


static char *
ngx_http_loyalty_reward_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                       *value;
    ngx_uint_t                       unit;
    ngx_http_loyalty_block_t        *block;
    ngx_http_loyalty_reward_conf_t  *rcf;

    /* in the order of loyalty_unit_e, which begins with 1 */

    static ngx_str_t  units[] = {
        ngx_string("member"), ngx_string("day"), ngx_string("week"),
        ngx_string("month")
    };

    block = cf->ctx;
    rcf = block->rule->conf;
    value = cf->args->elts;

    for (unit = 0; unit < NGX_HTTP_LOYALTY_REWARD_UNITS; unit++) {
        if (ngx_strcmp(value[3].data, units[unit].data) == 0) {
            break;
        }
    }

    if (unit == NGX_HTTP_LOYALTY_REWARD_UNITS
        || ngx_strcmp(value[2].data, "per") != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid limit \"%V %V %V\": \"limit NUMBER per "
                           "day\", \"week\", \"month\" or \"member\" is "
                           "expected", &value[1], &value[2], &value[3]);
        return NGX_CONF_ERROR;
    }

    if (rcf->limits[unit] != 0) {
        return "is duplicate";
    }

    if (ngx_http_loyalty_number(cf, "limit", &value[1], 1, LOYALTY_MAX_INT,
                                &rcf->limits[unit])
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_loyalty_reward_codes(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                       *value;
    ngx_http_loyalty_block_t        *block;
    ngx_http_loyalty_reward_conf_t  *rcf;

    block = cf->ctx;
    rcf = block->rule->conf;
    value = cf->args->elts;

    if (rcf->pool_name.len != 0) {
        return "is duplicate";
    }

    if (ngx_http_loyalty_name_check(cf, "pool", &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    rcf->pool_name = value[1];
    block->rule->codes = value[1];

    return NGX_CONF_OK;
}


/* cost, stock and limits may be edited while the reward is on offer */

static ngx_int_t
ngx_http_loyalty_reward_identify(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule)
{
    u_char                          *p;
    ngx_http_loyalty_reward_conf_t  *rcf;

    if (ngx_http_loyalty_games_word(cf->pool, &rule->canonical, "reward",
                                    &rule->name)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    rule->reason = rule->canonical;

    ngx_http_loyalty_hash4(rule->canonical.data, rule->canonical.len,
                           rule->hash);

    rcf = rule->conf;

    p = ngx_pnalloc(cf->pool, program->name.len + rule->name.len
                              + sizeof("{:r:}:n"));
    if (p == NULL) {
        return NGX_ERROR;
    }

    rcf->counter.data = p;
    p = ngx_sprintf(p, "{%V:r:%V}:n", &program->name, &rule->name);
    rcf->counter.len = p - rcf->counter.data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_reward_init(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule)
{
    ngx_http_loyalty_reward_conf_t  *rcf;

    rcf = rule->conf;

    if (program->split) {
        ngx_http_loyalty_conf_error(cf, &rule->place,
                                    "rewards are not supported with "
                                    "\"redis ... split\": what is left of "
                                    "\"%V\" is in another slot than the "
                                    "member", &rule->name);
        return NGX_ERROR;
    }

    if (rcf->cost.amount != 0
        && ngx_http_loyalty_award_resolve(cf, program, rule, &rcf->cost)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_reward_blob(cf, rule);
}


static ngx_int_t
ngx_http_loyalty_reward_blob(ngx_conf_t *cf, ngx_http_loyalty_rule_t *rule)
{
    u_char                          *p;
    ngx_uint_t                       unit, n;
    loyalty_mpw_t                    w;
    ngx_http_loyalty_reward_conf_t  *rcf;

    rcf = rule->conf;

    p = ngx_pnalloc(cf->pool, 128);
    if (p == NULL) {
        return NGX_ERROR;
    }

    loyalty_mpw_init(&w, p, 128);
    loyalty_mpw_array(&w, 5);
    loyalty_mpw_int(&w, ngx_http_loyalty_reward_game.kind);
    loyalty_mpw_str(&w, rule->hash, NGX_HTTP_LOYALTY_HASH);

    if (rcf->cost.amount != 0) {
        loyalty_mpw_str(&w, rcf->cost.hash, NGX_HTTP_LOYALTY_HASH);

    } else {
        loyalty_mpw_raw(&w, "\xc2", 1);           /* false */
    }

    loyalty_mpw_int(&w, rcf->cost.amount);

    n = 0;

    for (unit = 0; unit < NGX_HTTP_LOYALTY_REWARD_UNITS; unit++) {
        n += (rcf->limits[unit] != 0);
    }

    loyalty_mpw_array(&w, 2 * n);

    for (unit = 0; unit < NGX_HTTP_LOYALTY_REWARD_UNITS; unit++) {
        if (rcf->limits[unit] != 0) {
            loyalty_mpw_int(&w, unit);
            loyalty_mpw_int(&w, rcf->limits[unit]);
        }
    }

    return ngx_http_loyalty_games_blob(cf, rule, &w);
}


ngx_int_t
ngx_http_loyalty_reward_target(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, ngx_str_t *member, ngx_str_t *id,
    int64_t now, ngx_http_loyalty_call_t *call, loyalty_mpw_t *w)
{
    ngx_int_t                        index;
    ngx_http_loyalty_reward_conf_t  *rcf;

    rcf = rule->conf;

    index = ngx_http_loyalty_call_key(call, "%V", &rcf->counter);

    if (index == NGX_ERROR
        || (rcf->pool != NULL
            && ngx_http_loyalty_call_key(call, "%V", &rcf->pool->unused)
               == NGX_ERROR))
    {
        return NGX_ERROR;
    }

    loyalty_mpw_array(w, 4);
    loyalty_mpw_str(w, rule->hash, NGX_HTTP_LOYALTY_HASH);
    loyalty_mpw_int(w, index);
    loyalty_mpw_int(w, rcf->stock);
    loyalty_mpw_int(w, rcf->pool != NULL);

    return NGX_OK;
}


/* a code is a string, false none, and 0 says that nothing was left */

ngx_int_t
ngx_http_loyalty_reward_effect(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, ngx_str_t *name, ngx_uint_t kind,
    loyalty_mpr_t *r, loyalty_out_t *out)
{
    loyalty_mpv_t  code;

    if (kind != NGX_HTTP_LOYALTY_ENTRY_REWARD
        || loyalty_mpr_next(r, &code) != 0)
    {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, "{\"type\":\"reward\",\"name\":");
    loyalty_out_str(out, name->data, name->len);

    switch (code.type) {

    case LOYALTY_MP_STR:
        loyalty_out_lit(out, ",\"code\":");
        loyalty_out_str(out, code.p, code.n);
        break;

    case LOYALTY_MP_BOOL:
        break;

    default:
        loyalty_out_lit(out, ",\"sold_out\":true");
    }

    loyalty_out_lit(out, "}");

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_reward_view(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, loyalty_head_t *head,
    loyalty_mpr_t *state, int64_t now, loyalty_out_t *out, ngx_uint_t *n)
{
    int64_t                          redeemed, missing;
    loyalty_account_t                account;
    ngx_http_loyalty_reward_conf_t  *rcf;

    rcf = rule->conf;
    redeemed = 0;
    missing = 0;

    if (state != NULL && loyalty_mpr_int(state, &redeemed) != 0) {
        return NGX_ERROR;
    }

    if (rcf->cost.amount != 0) {
        (void) loyalty_head_wallet(head, rcf->cost.hash, &account);
        missing = ngx_max(rcf->cost.amount - account.balance, 0);
    }

    if ((*n)++ > 0) {
        loyalty_out_lit(out, ",");
    }

    loyalty_out_lit(out, "{\"name\":");
    loyalty_out_str(out, rule->name.data, rule->name.len);

    if (rcf->cost.amount != 0) {
        loyalty_out_lit(out, ",\"cost\":");
        ngx_http_loyalty_games_award_json(&rcf->cost, out);
    }

    if (missing) {
        loyalty_out_lit(out, ",\"affordable\":false,\"missing\":");

    } else {
        loyalty_out_lit(out, ",\"affordable\":true,\"missing\":");
    }

    loyalty_out_int(out, missing);
    loyalty_out_lit(out, ",\"redeemed\":");
    loyalty_out_int(out, redeemed);
    loyalty_out_lit(out, "}");

    return NGX_OK;
}
