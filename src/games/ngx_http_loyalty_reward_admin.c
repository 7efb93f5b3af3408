/*
 * Rewards in the admin API: their pools, and how many are gone.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_reward.h"
#include "ngx_http_loyalty_admin.h"


ngx_http_loyalty_pool_t *
ngx_http_loyalty_reward_pool(ngx_http_loyalty_program_t *program,
    ngx_str_t *name)
{
    ngx_http_loyalty_rule_t         *rule;
    ngx_http_loyalty_reward_conf_t  *rcf;

    rule = ngx_http_loyalty_reward_find(program, name);

    if (rule == NULL) {
        return NULL;
    }

    rcf = rule->conf;

    return rcf->pool;
}


ngx_uint_t
ngx_http_loyalty_reward_keys(ngx_http_loyalty_program_t *program,
    ngx_str_t *keys, ngx_uint_t max)
{
    ngx_uint_t                        i, n;
    ngx_http_loyalty_rule_t         **rule;
    ngx_http_loyalty_reward_conf_t   *rcf;

    n = 0;
    rule = program->rules.elts;

    for (i = 0; i < program->rules.nelts && n < max; i++) {

        if (rule[i]->game == &ngx_http_loyalty_reward_game) {
            rcf = rule[i]->conf;
            keys[n++] = rcf->counter;
        }
    }

    return n;
}


ngx_int_t
ngx_http_loyalty_reward_stats_json(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_reply_t *reply, loyalty_out_t *out)
{
    ngx_str_t                        *value, *last;
    ngx_uint_t                        i, n;
    ngx_http_loyalty_rule_t         **rule;
    ngx_http_loyalty_reward_conf_t   *rcf;

    n = 0;
    rule = program->rules.elts;
    value = reply->values + 2 * program->pools.nelts;
    last = reply->values + reply->n;

    for (i = 0; i < program->rules.nelts && value < last; i++) {

        if (rule[i]->game != &ngx_http_loyalty_reward_game) {
            continue;
        }

        rcf = rule[i]->conf;

        if (n++) {
            loyalty_out_lit(out, ",");
        }

        loyalty_out_lit(out, "{\"name\":");
        loyalty_out_str(out, rule[i]->name.data, rule[i]->name.len);
        loyalty_out_lit(out, ",\"redeemed\":");
        loyalty_out_raw(out, value->data, value->len);

        if (rcf->stock >= 0) {
            loyalty_out_lit(out, ",\"stock\":");
            loyalty_out_int(out, rcf->stock);
        }

        loyalty_out_lit(out, "}");
        value++;
    }

    return NGX_OK;
}
