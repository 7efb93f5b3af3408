/*
 * POST sweepstakes/NAME/claims: a member takes the prize that was won.  It
 * may be repeated: a prize is claimed once, and the answer is the same.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_sweepstakes.h"
#include "ngx_http_loyalty_await.h"


typedef struct {
    ngx_http_loyalty_await_t   await;
    ngx_http_loyalty_campaign_t  *campaign;
} ngx_http_loyalty_claim_ctx_t;


static ngx_int_t ngx_http_loyalty_claim_ready(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_claim_reply(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);


ngx_int_t
ngx_http_loyalty_sweepstakes_claim(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_http_loyalty_fault_t       fault;
    ngx_http_loyalty_claim_ctx_t  *cctx;

    cctx = ngx_pcalloc(ctx->request->pool,
                       sizeof(ngx_http_loyalty_claim_ctx_t));
    if (cctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->data = cctx;

    cctx->campaign = ngx_http_loyalty_sweepstakes_find(ctx->program,
                                                       &ctx->name);
    if (cctx->campaign == NULL) {
        return ngx_http_loyalty_member_problem(ctx,
                                    NGX_HTTP_LOYALTY_P_UNKNOWN_GAME, NULL);
    }

    if (ctx->json != NULL && json_object_size(ctx->json) != 0) {
        fault.item = -1;

        (void) ngx_http_loyalty_json_fault(&fault, NULL, NULL,
                                           "no body, or an empty object is "
                                           "expected");

        return ngx_http_loyalty_member_fault(ctx, &fault);
    }

    return ngx_http_loyalty_await(&cctx->await, ctx, cctx->campaign,
                                     ngx_http_loyalty_claim_ready);
}


static ngx_int_t
ngx_http_loyalty_claim_ready(ngx_http_loyalty_member_ctx_t *ctx)
{
    u_char                         person[LOYALTY_HASH];
    ngx_http_loyalty_game_call_t   call;
    ngx_http_loyalty_claim_ctx_t  *cctx;

    cctx = ctx->data;

    if (ngx_http_loyalty_campaign_person(cctx->campaign, &ctx->member, person)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_loyalty_claim_call(&call, cctx->campaign,
                                ngx_http_loyalty_now(), -1, person,
                                NGX_HTTP_LOYALTY_CLAIMED);

    /* the game's slot, not the member's */

    ctx->partition = ngx_http_loyalty_campaign_partition(cctx->campaign);

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_FN_CLAIM,
                                        call.nkeys, call.keys, &call.arg,
                                        ngx_http_loyalty_claim_reply);
}


static ngx_int_t
ngx_http_loyalty_claim_reply(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_int_t                      rc;
    ngx_str_t                      detail;
    loyalty_out_t                  out;
    ngx_http_loyalty_problem_e     problem;
    ngx_http_loyalty_claim_ctx_t  *cctx;

    cctx = ctx->data;

    ngx_http_loyalty_out_pool(&out, ctx->request->pool, 256);

    rc = ngx_http_loyalty_claim_json(cctx->campaign, reply, "claimed", &out,
                                     &problem, &detail);

    if (rc == NGX_DECLINED) {
        return ngx_http_loyalty_member_problem(ctx, problem, &detail);
    }

    if (rc != NGX_OK) {
        return ngx_http_loyalty_member_problem(ctx,
                                        NGX_HTTP_LOYALTY_P_INTERNAL, NULL);
    }

    return ngx_http_loyalty_member_send(ctx, &out);
}
