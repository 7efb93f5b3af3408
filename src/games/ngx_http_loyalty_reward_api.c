/*
 * POST rewards/NAME/redemptions: a member takes a reward.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_reward.h"
#include "ngx_http_loyalty_request.h"


#define NGX_HTTP_LOYALTY_REWARD_ARG  4096


typedef struct {
    ngx_http_loyalty_rule_t          *rule;
    ngx_http_loyalty_idempotency_t    idempotency;
    u_char                            needle[NGX_HTTP_LOYALTY_NEEDLE];
    int64_t                           now;
    ngx_http_loyalty_call_t           call;
    u_char                            buf[NGX_HTTP_LOYALTY_REWARD_ARG];
} ngx_http_loyalty_redemption_t;


static ngx_int_t ngx_http_loyalty_reward_send(
    ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_redemption_t *redemption);
static ngx_int_t ngx_http_loyalty_reward_reply(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_reward_json(
    ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_redemption_t *redemption,
    ngx_http_loyalty_record_t *record, loyalty_out_t *out);
static ngx_int_t ngx_http_loyalty_reward_code(
    ngx_http_loyalty_record_t *record, loyalty_out_t *out);


ngx_int_t
ngx_http_loyalty_reward_redeem(ngx_http_loyalty_member_ctx_t *ctx)
{
    u_char                          id[NGX_HTTP_LOYALTY_IDEMPOTENCY_ID];
    ngx_int_t                       rc;
    ngx_str_t                       detail;
    ngx_http_loyalty_fault_t        fault;
    ngx_http_loyalty_redemption_t  *redemption;

    redemption = ngx_palloc(ctx->request->pool,
                            sizeof(ngx_http_loyalty_redemption_t));
    if (redemption == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    redemption->rule = ngx_http_loyalty_reward_find(ctx->program, &ctx->name);

    if (redemption->rule == NULL) {
        return ngx_http_loyalty_member_problem(ctx,
                                  NGX_HTTP_LOYALTY_P_UNKNOWN_REWARD, NULL);
    }

    if (ctx->json != NULL && json_object_size(ctx->json) != 0) {
        ngx_str_set(&detail, "a redemption has no fields");

        return ngx_http_loyalty_member_problem(ctx,
                                 NGX_HTTP_LOYALTY_P_INVALID_FIELD, &detail);
    }

    rc = ngx_http_loyalty_idempotency(ctx, &redemption->idempotency, &fault);

    if (rc == NGX_DECLINED) {
        return ngx_http_loyalty_member_fault(ctx, &fault);
    }

    if (rc != NGX_OK
        || ngx_http_loyalty_idempotency_id(ctx, &redemption->idempotency, id)
           != NGX_OK)
    {
        return ngx_http_loyalty_member_problem(ctx,
                                       NGX_HTTP_LOYALTY_P_INTERNAL, NULL);
    }

    ngx_http_loyalty_idempotency_needle(redemption->needle,
                                    NGX_HTTP_LOYALTY_NEEDLE_REDEMPTION, id);

    redemption->now = ngx_http_loyalty_now();

    ctx->data = redemption;

    return ngx_http_loyalty_reward_send(ctx, redemption);
}


ngx_http_loyalty_rule_t *
ngx_http_loyalty_reward_find(ngx_http_loyalty_program_t *program,
    ngx_str_t *name)
{
    ngx_uint_t                 i;
    ngx_http_loyalty_rule_t  **rule;

    rule = program->rules.elts;

    for (i = 0; i < program->rules.nelts; i++) {

        if (rule[i]->game == &ngx_http_loyalty_reward_game
            && rule[i]->name.len == name->len
            && ngx_memcmp(rule[i]->name.data, name->data, name->len) == 0)
        {
            return rule[i];
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_loyalty_reward_send(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_redemption_t *redemption)
{
    ngx_str_t                 arg;
    loyalty_mpw_t             w;
    ngx_http_loyalty_rule_t  *rule;
    ngx_http_loyalty_call_t  *call;

    rule = redemption->rule;
    call = &redemption->call;

    loyalty_mpw_init(&w, redemption->buf, sizeof(redemption->buf));

    ngx_http_loyalty_request_arg(ctx, &redemption->idempotency,
                                 redemption->needle, redemption->now, &w);
    loyalty_mpw_str(&w, rule->blob.data, rule->blob.len);
    ngx_http_loyalty_request_periods(ctx->program, redemption->now, &w);

    ngx_http_loyalty_call_member(call, ctx->program, &ctx->member);

    if (ngx_http_loyalty_reward_target(ctx->program, rule, &ctx->member, NULL,
                                       redemption->now, call, &w)
        != NGX_OK
        || w.failed)
    {
        return ngx_http_loyalty_member_problem(ctx,
                                       NGX_HTTP_LOYALTY_P_INTERNAL, NULL);
    }

    arg.data = w.start;
    arg.len = w.pos - w.start;

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_FN_REDEEM,
                                        call->nkeys, call->keys, &arg,
                                        ngx_http_loyalty_reward_reply);
}


static ngx_int_t
ngx_http_loyalty_reward_reply(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    loyalty_out_t                   out;
    ngx_http_loyalty_record_t       record;
    ngx_http_loyalty_redemption_t  *redemption;

    redemption = ctx->data;

    if (!reply->array && reply->n == 1 && reply->values[0].len > 1
        && reply->values[0].data[0] == 'E')
    {
        return ngx_http_loyalty_request_refused(ctx, &reply->values[0],
                                                redemption->now);
    }

    ngx_http_loyalty_out_pool(&out, ctx->request->pool, 1024);

    if (ngx_http_loyalty_request_record(ctx, reply, &record) != NGX_OK
        || ngx_http_loyalty_reward_json(ctx, redemption, &record, &out)
           != NGX_OK)
    {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    return ngx_http_loyalty_member_send(ctx, &out);
}


static ngx_int_t
ngx_http_loyalty_reward_json(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_redemption_t *redemption,
    ngx_http_loyalty_record_t *record, loyalty_out_t *out)
{
    u_char      hex[2 * NGX_HTTP_LOYALTY_IDEMPOTENCY_ID];
    ngx_str_t  *name;

    name = &redemption->rule->name;

    ngx_hex_dump(hex, &redemption->needle[2],
                 NGX_HTTP_LOYALTY_IDEMPOTENCY_ID);

    loyalty_out_lit(out, "{\"redemption\":");
    loyalty_out_str(out, hex, sizeof(hex));
    loyalty_out_lit(out, ",\"reward\":");
    loyalty_out_str(out, name->data, name->len);

    if (ngx_http_loyalty_reward_code(record, out) != NGX_OK) {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, ",");

    if (ngx_http_loyalty_effects_json(ctx->program, record, out) != NGX_OK) {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, ",");

    if (ngx_http_loyalty_balances_json(ctx->program, record, out) != NGX_OK)
    {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, "}");

    return out->failed ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_reward_code(ngx_http_loyalty_record_t *record,
    loyalty_out_t *out)
{
    ngx_int_t                  rc;
    loyalty_mpr_t              r;
    loyalty_mpv_t              code;
    ngx_http_loyalty_entry_t   entry;

    r = record->entries;

    while ((rc = ngx_http_loyalty_entry_next(&r, &entry)) == NGX_OK) {

        if (entry.kind != NGX_HTTP_LOYALTY_ENTRY_REWARD) {
            continue;
        }

        if (loyalty_mpr_skip(&entry.values) != 0
            || loyalty_mpr_next(&entry.values, &code) != 0)
        {
            return NGX_ERROR;
        }

        if (code.type == LOYALTY_MP_STR) {
            loyalty_out_lit(out, ",\"code\":");
            loyalty_out_str(out, code.p, code.n);
        }
    }

    return (rc == NGX_DONE) ? NGX_OK : NGX_ERROR;
}
