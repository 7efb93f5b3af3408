/*
 * A member's request about a campaign, until the campaign is ready.
 */

#include "ngx_http_loyalty_await.h"


static ngx_int_t ngx_http_loyalty_await_ask(void *data);
static ngx_int_t ngx_http_loyalty_await_stopped(
    ngx_http_loyalty_await_t *await, ngx_http_loyalty_problem_e problem,
    ngx_str_t *detail);
static void ngx_http_loyalty_await_over(void *data);
static void ngx_http_loyalty_await_cleanup(void *data);


ngx_int_t
ngx_http_loyalty_await(ngx_http_loyalty_await_t *await,
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_campaign_t *campaign,
    ngx_http_loyalty_member_start_pt next)
{
    ngx_http_cleanup_t  *cln;

    if (await->ctx == NULL) {

        cln = ngx_http_cleanup_add(ctx->request, 0);
        if (cln == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        cln->handler = ngx_http_loyalty_await_cleanup;
        cln->data = await;

        await->ctx = ctx;
        await->waiter.handler = ngx_http_loyalty_await_over;
        await->waiter.data = await;
    }

    await->campaign = campaign;
    await->next = next;
    await->waits = 0;
    await->stopped = NGX_HTTP_LOYALTY_P_NONE;

    return ngx_http_loyalty_await_ask(await);
}


static ngx_int_t
ngx_http_loyalty_await_ask(void *data)
{
    ngx_http_loyalty_await_t *await = data;

    ngx_int_t                       rc;
    ngx_str_t                       detail;
    const char                     *unsafe;
    ngx_http_loyalty_problem_e      problem;
    ngx_http_loyalty_member_ctx_t  *ctx;

    ctx = await->ctx;
    ngx_str_null(&detail);

    rc = ngx_http_loyalty_campaign_ready(await->campaign,
                             await->waits ? NULL : &await->waiter,
                             &problem, &detail);

    if (rc == NGX_OK) {

        /* what was heard of the campaign came over a connection that looked:
           a win that is told must not be forgotten */

        unsafe = ngx_http_loyalty_redis_unsafe(ctx->program);

        if (unsafe == NULL) {
            return await->next(ctx);
        }

        detail.data = (u_char *) unsafe;
        detail.len = ngx_strlen(unsafe);

        return ngx_http_loyalty_await_stopped(await,
                                 NGX_HTTP_LOYALTY_P_UNSAFE_STORE, &detail);
    }

    if (rc == NGX_DECLINED) {

        /* which secret, and which terms, is no member's business */

        if (ctx->actor.len == 0) {
            ngx_str_set(&detail, NGX_HTTP_LOYALTY_STOPPED);
        }

        return ngx_http_loyalty_await_stopped(await, problem, &detail);
    }

    if (await->waits++) {
        return ngx_http_loyalty_await_stopped(await,
                                    NGX_HTTP_LOYALTY_P_UNAVAILABLE, &detail);
    }

    return NGX_BUSY;
}


/* who only looks goes on: what Redis knows is no secret of this node's */

static ngx_int_t
ngx_http_loyalty_await_stopped(ngx_http_loyalty_await_t *await,
    ngx_http_loyalty_problem_e problem, ngx_str_t *detail)
{
    if (await->shows && await->campaign->run != NULL) {
        await->stopped = problem;
        return await->next(await->ctx);
    }

    return ngx_http_loyalty_member_problem(await->ctx, problem,
                                           detail->len ? detail : NULL);
}


static void
ngx_http_loyalty_await_over(void *data)
{
    ngx_http_loyalty_await_t *await = data;

    ngx_http_loyalty_member_resume(await->ctx,
                                   ngx_http_loyalty_await_ask, await);
}


static void
ngx_http_loyalty_await_cleanup(void *data)
{
    ngx_http_loyalty_await_t *await = data;

    if (await->waiter.campaign != NULL) {
        ngx_http_loyalty_campaign_forget(&await->waiter);
    }
}
