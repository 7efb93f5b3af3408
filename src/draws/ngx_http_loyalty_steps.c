/*
 * A member's play or entry in three steps.  A member has at most one
 * reservation for a game: a request that finds another one open brings that
 * to its end, and then reserves its own.
 */

#include "ngx_http_loyalty_split.h"


static void ngx_http_loyalty_steps_done(void *data,
    ngx_http_loyalty_status_e status);
static ngx_int_t ngx_http_loyalty_steps_over(void *data);
static ngx_int_t ngx_http_loyalty_steps_problem(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_status_e status);
static void ngx_http_loyalty_steps_cleanup(void *data);


ngx_int_t
ngx_http_loyalty_steps(ngx_http_loyalty_steps_t *steps,
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_split_t *split,
    ngx_str_t *value)
{
    ngx_int_t                   rc;
    ngx_str_t                   reservation;
    ngx_http_cleanup_t         *cln;
    ngx_http_loyalty_status_e   status;

    if (steps->ctx == NULL) {

        cln = ngx_http_cleanup_add(ctx->request, 0);
        if (cln == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        cln->handler = ngx_http_loyalty_steps_cleanup;
        cln->data = steps;

        steps->ctx = ctx;
    }

    steps->split = split;
    steps->own = (value->data[0] == 'N');

    split->handler = ngx_http_loyalty_steps_done;
    split->data = steps;

    reservation.data = value->data + 1;
    reservation.len = value->len - 1;

    rc = ngx_http_loyalty_split_open(split, &reservation);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? ngx_http_loyalty_member_damaged(ctx)
                                    : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    status = ngx_http_loyalty_split_go(split);

    return (status == NGX_HTTP_LOYALTY_REPLY)
           ? NGX_BUSY : ngx_http_loyalty_steps_problem(ctx, status);
}


static void
ngx_http_loyalty_steps_done(void *data, ngx_http_loyalty_status_e status)
{
    ngx_http_loyalty_steps_t *steps = data;

    steps->status = status;

    ngx_http_loyalty_member_resume(steps->ctx, ngx_http_loyalty_steps_over,
                                   steps);
}


static ngx_int_t
ngx_http_loyalty_steps_over(void *data)
{
    ngx_http_loyalty_steps_t *steps = data;

    if (steps->status != NGX_HTTP_LOYALTY_REPLY) {
        return ngx_http_loyalty_steps_problem(steps->ctx, steps->status);
    }

    if (steps->own) {
        return steps->over(steps->ctx);
    }

    if (steps->helped++ == NGX_HTTP_LOYALTY_STEPS_HELPED) {
        return ngx_http_loyalty_member_problem(steps->ctx,
                                         NGX_HTTP_LOYALTY_P_BUSY, NULL);
    }

    return steps->again(steps->ctx);
}


static ngx_int_t
ngx_http_loyalty_steps_problem(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_status_e status)
{
    return ngx_http_loyalty_member_problem(ctx,
                            ngx_http_loyalty_status_problem(status), NULL);
}


/* another request may have settled it: it is new all the same */

ngx_str_t
ngx_http_loyalty_steps_reply(ngx_http_loyalty_steps_t *steps, u_char *more,
    size_t len)
{
    u_char     *p;
    ngx_str_t   reply, *settled;

    settled = &steps->split->reply;

    reply.len = settled->len + len;
    reply.data = ngx_pnalloc(steps->split->pool, reply.len);

    if (reply.data != NULL) {
        p = ngx_cpymem(reply.data, settled->data, settled->len);
        reply.data[0] = 'N';

        if (len != 0) {
            ngx_memcpy(p, more, len);
        }
    }

    return reply;
}


ngx_int_t
ngx_http_loyalty_steps_lost(ngx_http_loyalty_steps_t *steps)
{
    ngx_http_loyalty_member_ctx_t  *ctx;

    ctx = steps->ctx;

    ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                  "loyalty program \"%V\": Redis has lost what member \"%V\" "
                  "reserved in %V, which the game has decided",
                  &ctx->program->name, &ctx->member,
                  &steps->split->campaign->rule->reason);

    return ngx_http_loyalty_member_problem(ctx,
                                   NGX_HTTP_LOYALTY_P_OUTCOME_UNKNOWN, NULL);
}


static void
ngx_http_loyalty_steps_cleanup(void *data)
{
    ngx_http_loyalty_steps_t *steps = data;

    if (steps->split != NULL) {
        ngx_http_loyalty_split_stop(steps->split);
    }
}
