/*
 * A member's play or entry in three steps.  A member has at most one
 * reservation for a game: a request that finds another one open brings that
 * to its end, and then reserves its own.
 */

#include "ngx_http_loyalty_draws_private.h"
#include "ngx_http_loyalty_split.h"


static ngx_int_t ngx_http_loyalty_steps_init(ngx_http_loyalty_steps_t *steps,
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_uint_t ngx_http_loyalty_steps_same(ngx_http_loyalty_steps_t *a,
    ngx_http_loyalty_steps_t *b);
static void ngx_http_loyalty_steps_wake(ngx_event_t *ev);
static ngx_int_t ngx_http_loyalty_steps_start(void *data);
static void ngx_http_loyalty_steps_done(void *data,
    ngx_http_loyalty_status_e status);
static ngx_int_t ngx_http_loyalty_steps_over(void *data);
static ngx_int_t ngx_http_loyalty_steps_settled(
    ngx_http_loyalty_steps_t *steps);
static ngx_int_t ngx_http_loyalty_steps_reply(
    ngx_http_loyalty_steps_t *steps, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_steps_lost(
    ngx_http_loyalty_steps_t *steps);
static ngx_int_t ngx_http_loyalty_steps_problem(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_status_e status);
static void ngx_http_loyalty_steps_cleanup(void *data);


static ngx_int_t
ngx_http_loyalty_steps_init(ngx_http_loyalty_steps_t *steps,
    ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_http_cleanup_t  *cln;

    if (steps->ctx != NULL) {
        return NGX_OK;
    }

    cln = ngx_http_cleanup_add(ctx->request, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_loyalty_steps_cleanup;
    cln->data = steps;

    steps->ctx = ctx;
    steps->wake.handler = ngx_http_loyalty_steps_wake;
    steps->wake.data = steps;
    steps->wake.log = ngx_cycle->log;

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_steps_begin(ngx_http_loyalty_steps_t *steps,
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_campaign_t *campaign,
    ngx_http_loyalty_member_start_pt start)
{
    ngx_uint_t                 n;
    ngx_queue_t               *q, *line;
    ngx_http_loyalty_steps_t  *other;

    if (ngx_http_loyalty_steps_init(steps, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* once more; or another member's, of an import */

    if (steps->campaign != NULL && steps->len == ctx->member.len
        && ngx_memcmp(steps->member, ctx->member.data, steps->len) == 0)
    {
        return NGX_DECLINED;
    }

    ngx_http_loyalty_steps_end(steps);

    steps->partition = ctx->partition;
    steps->len = ctx->member.len;
    ngx_memcpy(steps->member, ctx->member.data, steps->len);

    line = &campaign->run->steps[steps->partition];
    n = 0;

    for (q = ngx_queue_head(line);
         q != ngx_queue_sentinel(line);
         q = ngx_queue_next(q))
    {
        other = ngx_queue_data(q, ngx_http_loyalty_steps_t, queue);
        n += ngx_http_loyalty_steps_same(steps, other);
    }

    if (n > NGX_HTTP_LOYALTY_STEPS_WAIT) {
        return ngx_http_loyalty_member_problem(ctx, NGX_HTTP_LOYALTY_P_BUSY,
                                               NULL);
    }

    steps->campaign = campaign;
    steps->start = start;
    steps->waits = (n > 0);
    steps->well = 0;

    ngx_queue_insert_tail(line, &steps->queue);

    return steps->waits ? NGX_BUSY : NGX_DECLINED;
}


static ngx_uint_t
ngx_http_loyalty_steps_same(ngx_http_loyalty_steps_t *a,
    ngx_http_loyalty_steps_t *b)
{
    return a->len == b->len && ngx_memcmp(a->member, b->member, a->len) == 0;
}


/* the next one's turn; where Redis did not answer, nobody waits any more */

void
ngx_http_loyalty_steps_end(ngx_http_loyalty_steps_t *steps)
{
    ngx_queue_t               *q, *line;
    ngx_http_loyalty_run_t    *run;
    ngx_http_loyalty_steps_t  *other;

    if (steps->campaign == NULL) {
        return;
    }

    run = steps->campaign->run;
    steps->campaign = NULL;

    if (steps->wake.posted) {
        ngx_delete_posted_event(&steps->wake);
    }

    if (run == NULL) {
        return;
    }

    ngx_queue_remove(&steps->queue);

    if (steps->waits) {
        return;
    }

    line = &run->steps[steps->partition];

    for (q = ngx_queue_head(line);
         q != ngx_queue_sentinel(line);
         q = ngx_queue_next(q))
    {
        other = ngx_queue_data(q, ngx_http_loyalty_steps_t, queue);

        if (!other->waits || !ngx_http_loyalty_steps_same(steps, other)) {
            continue;
        }

        other->waits = 0;
        ngx_post_event(&other->wake, &ngx_posted_events);

        if (steps->well) {
            return;
        }
    }
}


static void
ngx_http_loyalty_steps_wake(ngx_event_t *ev)
{
    ngx_http_loyalty_steps_t *steps = ev->data;

    ngx_http_loyalty_member_resume(steps->ctx, ngx_http_loyalty_steps_start,
                                   steps);
}


static ngx_int_t
ngx_http_loyalty_steps_start(void *data)
{
    ngx_http_loyalty_steps_t *steps = data;

    return steps->start(steps->ctx);
}


ngx_int_t
ngx_http_loyalty_steps(ngx_http_loyalty_steps_t *steps,
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_split_t *split,
    ngx_str_t *value)
{
    ngx_int_t                  rc;
    ngx_str_t                  reservation;
    ngx_http_loyalty_status_e  status;

    if (ngx_http_loyalty_steps_init(steps, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
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
    steps->well = (status == NGX_HTTP_LOYALTY_REPLY);

    ngx_http_loyalty_member_resume(steps->ctx, ngx_http_loyalty_steps_over,
                                   steps);
}


static ngx_int_t
ngx_http_loyalty_steps_over(void *data)
{
    ngx_http_loyalty_steps_t *steps = data;

    if (steps->status != NGX_HTTP_LOYALTY_REPLY) {
        ngx_http_loyalty_steps_end(steps);

        return ngx_http_loyalty_steps_problem(steps->ctx, steps->status);
    }

    if (steps->own) {
        ngx_http_loyalty_steps_end(steps);

        return ngx_http_loyalty_steps_settled(steps);
    }

    if (steps->helped++ == NGX_HTTP_LOYALTY_STEPS_HELPED) {
        return ngx_http_loyalty_member_problem(steps->ctx,
                                         NGX_HTTP_LOYALTY_P_BUSY, NULL);
    }

    return steps->again(steps->ctx);
}


/* what a call in one step would have replied */

static ngx_int_t
ngx_http_loyalty_steps_settled(ngx_http_loyalty_steps_t *steps)
{
    ngx_str_t                  value, *outcome, *settled;
    ngx_http_loyalty_reply_t   reply;

    outcome = &steps->split->outcome;
    settled = &steps->split->reply;

    if (outcome->data[0] != 'P') {
        value = *outcome;

    } else if (settled->data[0] == 'E') {
        value = *settled;

    } else if (settled->data[0] == 'G') {
        return ngx_http_loyalty_steps_lost(steps);

    } else if (ngx_http_loyalty_steps_reply(steps, &value) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memzero(&reply, sizeof(ngx_http_loyalty_reply_t));
    reply.n = 1;
    reply.values = &value;

    return steps->reply(steps->ctx, &reply);
}


/* another request may have settled it: it is new all the same */

static ngx_int_t
ngx_http_loyalty_steps_reply(ngx_http_loyalty_steps_t *steps,
    ngx_str_t *value)
{
    u_char     *p;
    ngx_str_t  *settled;

    settled = &steps->split->reply;

    value->len = settled->len + steps->more;
    value->data = ngx_pnalloc(steps->split->pool, value->len);

    if (value->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(value->data, settled->data, settled->len);
    value->data[0] = 'N';

    ngx_memcpy(p, steps->split->outcome.data + 1, steps->more);

    return NGX_OK;
}


/* what was drawn is there, and the reservation is not */

static ngx_int_t
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


static ngx_int_t
ngx_http_loyalty_steps_problem(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_status_e status)
{
    return ngx_http_loyalty_member_problem(ctx,
                            ngx_http_loyalty_status_problem(status), NULL);
}


static void
ngx_http_loyalty_steps_cleanup(void *data)
{
    ngx_http_loyalty_steps_t *steps = data;

    if (steps->split != NULL) {
        ngx_http_loyalty_split_stop(steps->split);
    }

    ngx_http_loyalty_steps_end(steps);
}
