/*
 * The lists of a link: what becomes of operations when their time is over, or
 * their connection; and when a link is at rest.
 *
 * Deadlines are in the order of the lists, as every operation of a program
 * has the same time: acked and held are older than sent, sent is older than
 * queue, and each list is in order.  So one timer serves them all.
 */


#include "ngx_http_loyalty_redis_private.h"


#define NGX_HTTP_LOYALTY_REDIS_NEVER  ((ngx_msec_int_t) NGX_MAX_INT32_VALUE)


static void ngx_http_loyalty_lists_expire(ngx_http_loyalty_link_t *link);
static void ngx_http_loyalty_lists_expire_one(ngx_http_loyalty_link_t *link,
    ngx_http_loyalty_list_e list, ngx_http_loyalty_status_e status);
static ngx_msec_int_t ngx_http_loyalty_lists_next(
    ngx_http_loyalty_link_t *link);
static ngx_msec_int_t ngx_http_loyalty_lists_limit(
    ngx_http_loyalty_link_t *link);
static ngx_uint_t ngx_http_loyalty_lists_waited(ngx_http_loyalty_link_t *link);
static void ngx_http_loyalty_lists_gauge(ngx_http_loyalty_link_t *link,
    ngx_http_loyalty_stat_e stat, ngx_int_t *counted, ngx_int_t value);


/* the deadlines are being watched from now on */

void
ngx_http_loyalty_lists_arm(ngx_http_loyalty_link_t *link)
{
    ngx_msec_int_t  next;

    if (link->deadline.timer_set) {
        return;
    }

    next = ngx_http_loyalty_lists_next(link);

    if (next != NGX_HTTP_LOYALTY_REDIS_NEVER) {
        ngx_add_timer(&link->deadline, (ngx_msec_t) ngx_max(next, 1));
    }
}


void
ngx_http_loyalty_lists_deadline(ngx_event_t *ev)
{
    ngx_http_loyalty_link_t  *link;

    link = ev->data;

    ngx_http_loyalty_lists_expire(link);

    if (link->counts[NGX_HTTP_LOYALTY_LIST_SENT] != 0
        && ngx_http_loyalty_lists_limit(link) <= 0)
    {
        ngx_http_loyalty_stat(link->redis->program,
                              NGX_HTTP_LOYALTY_STAT_ERR_TIMEOUT, 1);
        ngx_http_loyalty_trouble(link, NGX_HTTP_LOYALTY_TROUBLE_STALLED,
                                 "redis does not answer, connection given up");
        ngx_http_loyalty_link_lost(link);
        return;
    }

    ngx_http_loyalty_lists_arm(link);
    ngx_http_loyalty_lists_rest(link);
}


static void
ngx_http_loyalty_lists_expire(ngx_http_loyalty_link_t *link)
{
    /* Redis has refused those held, nothing came of them */

    ngx_http_loyalty_lists_expire_one(link, NGX_HTTP_LOYALTY_LIST_ACKED,
                                      NGX_HTTP_LOYALTY_UNKNOWN);
    ngx_http_loyalty_lists_expire_one(link, NGX_HTTP_LOYALTY_LIST_HELD,
                                      NGX_HTTP_LOYALTY_UNAVAILABLE);
    ngx_http_loyalty_lists_expire_one(link, NGX_HTTP_LOYALTY_LIST_SENT,
                                      NGX_HTTP_LOYALTY_UNKNOWN);
    ngx_http_loyalty_lists_expire_one(link, NGX_HTTP_LOYALTY_LIST_QUEUE,
                                      NGX_HTTP_LOYALTY_UNAVAILABLE);
}


static void
ngx_http_loyalty_lists_expire_one(ngx_http_loyalty_link_t *link,
    ngx_http_loyalty_list_e list, ngx_http_loyalty_status_e status)
{
    ngx_queue_t            *q, *next;
    ngx_http_loyalty_op_t  *op;

    for (q = ngx_queue_head(&link->lists[list]);
         q != ngx_queue_sentinel(&link->lists[list]);
         q = next)
    {
        next = ngx_queue_next(q);
        op = ngx_queue_data(q, ngx_http_loyalty_op_t, queue);

        if (op->own || op->handler == NULL || op->due) {
            continue;
        }

        if ((ngx_msec_int_t) (op->deadline - ngx_current_msec) > 0) {
            return;
        }

        ngx_http_loyalty_stat(link->redis->program,
                              NGX_HTTP_LOYALTY_STAT_ERR_TIMEOUT, 1);
        ngx_http_loyalty_trouble(link, NGX_HTTP_LOYALTY_TROUBLE_TIMEOUT,
                                 "redis did not answer within %M ms",
                                 link->redis->timeout);

        ngx_http_loyalty_op_finish(op, status);

        /* a reply will come to this place, and to no other operation */

        if (list != NGX_HTTP_LOYALTY_LIST_SENT) {
            ngx_http_loyalty_op_move(op, NGX_HTTP_LOYALTY_LIST_NONE);
            ngx_http_loyalty_op_release(op);
        }
    }
}


/* ms until something is due */

static ngx_msec_int_t
ngx_http_loyalty_lists_next(ngx_http_loyalty_link_t *link)
{
    ngx_uint_t              i;
    ngx_queue_t            *q;
    ngx_msec_int_t          left, next;
    ngx_http_loyalty_op_t  *op;

    next = NGX_HTTP_LOYALTY_REDIS_NEVER;

    if (link->counts[NGX_HTTP_LOYALTY_LIST_SENT] != 0) {
        next = ngx_http_loyalty_lists_limit(link);
    }

    for (i = NGX_HTTP_LOYALTY_LIST_QUEUE; i < NGX_HTTP_LOYALTY_LISTS; i++) {

        for (q = ngx_queue_head(&link->lists[i]);
             q != ngx_queue_sentinel(&link->lists[i]);
             q = ngx_queue_next(q))
        {
            op = ngx_queue_data(q, ngx_http_loyalty_op_t, queue);

            if (op->own || op->handler == NULL || op->due) {
                continue;
            }

            left = (ngx_msec_int_t) (op->deadline - ngx_current_msec);
            next = ngx_min(next, left);
            break;
        }
    }

    return next;
}


/* ms until a connection without any reply is given up */

static ngx_msec_int_t
ngx_http_loyalty_lists_limit(ngx_http_loyalty_link_t *link)
{
    ngx_msec_t  limit;

    limit = ngx_max(4 * link->redis->timeout, 1000);

    return (ngx_msec_int_t) (link->progress + limit - ngx_current_msec);
}


/* the connection is over, and everything that was on it */

void
ngx_http_loyalty_lists_fail(ngx_http_loyalty_link_t *link)
{
    ngx_queue_t            *q;
    ngx_http_loyalty_op_t  *op;

    ngx_http_loyalty_lists_fail_one(link, NGX_HTTP_LOYALTY_LIST_ACKED,
                                    NGX_HTTP_LOYALTY_UNKNOWN);
    ngx_http_loyalty_lists_fail_one(link, NGX_HTTP_LOYALTY_LIST_HELD,
                                    NGX_HTTP_LOYALTY_UNAVAILABLE);

    while (!ngx_queue_empty(&link->lists[NGX_HTTP_LOYALTY_LIST_SENT])) {
        q = ngx_queue_head(&link->lists[NGX_HTTP_LOYALTY_LIST_SENT]);
        op = ngx_queue_data(q, ngx_http_loyalty_op_t, queue);

        /* what was only copied for writing never left */

        ngx_http_loyalty_op_finish(op, (link->written > op->start)
                                           ? NGX_HTTP_LOYALTY_UNKNOWN
                                           : NGX_HTTP_LOYALTY_UNAVAILABLE);
        ngx_http_loyalty_op_move(op, NGX_HTTP_LOYALTY_LIST_NONE);
        ngx_http_loyalty_op_release(op);
    }

    ngx_http_loyalty_lists_fail_one(link, NGX_HTTP_LOYALTY_LIST_OWN,
                                    NGX_HTTP_LOYALTY_UNAVAILABLE);
    ngx_http_loyalty_lists_fail_one(link, NGX_HTTP_LOYALTY_LIST_QUEUE,
                                    NGX_HTTP_LOYALTY_UNAVAILABLE);

    link->partial = NULL;
    link->copied = 0;
    link->written = 0;
    link->unacked = 0;
    link->proven = 0;
    link->probing = 0;
    link->loading = 0;
    link->load_failed = 0;

    if (link->deadline.timer_set) {
        ngx_del_timer(&link->deadline);
    }

    if (link->flush.posted) {
        ngx_delete_posted_event(&link->flush);
    }
}


void
ngx_http_loyalty_lists_fail_one(ngx_http_loyalty_link_t *link,
    ngx_http_loyalty_list_e list, ngx_http_loyalty_status_e status)
{
    ngx_queue_t            *q;
    ngx_http_loyalty_op_t  *op;

    while (!ngx_queue_empty(&link->lists[list])) {
        q = ngx_queue_head(&link->lists[list]);
        op = ngx_queue_data(q, ngx_http_loyalty_op_t, queue);

        ngx_http_loyalty_op_finish(op, status);
        ngx_http_loyalty_op_move(op, NGX_HTTP_LOYALTY_LIST_NONE);
        ngx_http_loyalty_op_release(op);
    }
}


/*
 * Redis refused an operation in a way that concerns all that would follow: they
 * are not sent.  Those sent already get their own replies, and after
 * the last one the connection closes.
 */

void
ngx_http_loyalty_lists_drain(ngx_http_loyalty_link_t *link)
{
    if (link->state != NGX_HTTP_LOYALTY_LINK_READY) {
        return;
    }

    link->state = NGX_HTTP_LOYALTY_LINK_DRAINING;

    ngx_http_loyalty_lists_fail_one(link, NGX_HTTP_LOYALTY_LIST_HELD,
                                    NGX_HTTP_LOYALTY_UNAVAILABLE);
    ngx_http_loyalty_lists_fail_one(link, NGX_HTTP_LOYALTY_LIST_QUEUE,
                                    NGX_HTTP_LOYALTY_UNAVAILABLE);

    ngx_post_event(&link->flush, &ngx_posted_events);
}


ngx_uint_t
ngx_http_loyalty_lists_total(ngx_http_loyalty_link_t *link)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = NGX_HTTP_LOYALTY_LIST_OWN; i < NGX_HTTP_LOYALTY_LISTS; i++) {
        n += link->counts[i];
    }

    return n;
}


/* may close the connection; the link stays */

void
ngx_http_loyalty_lists_rest(ngx_http_loyalty_link_t *link)
{
    ngx_uint_t  empty;

    empty = (ngx_http_loyalty_lists_total(link) == 0);

    if (empty && link->state == NGX_HTTP_LOYALTY_LINK_DRAINING) {
        ngx_http_loyalty_link_lost(link);
        return;
    }

    /* a worker that leaves does not stay for replies that nobody reads */

    if (ngx_exiting && !ngx_http_loyalty_lists_waited(link)) {
        ngx_http_loyalty_link_close(link);
        return;
    }

    if (link->dial.connection != NULL) {
        link->dial.connection->idle = empty ? 1 : 0;
    }

    ngx_http_loyalty_lists_gauges(link);
}


static ngx_uint_t
ngx_http_loyalty_lists_waited(ngx_http_loyalty_link_t *link)
{
    ngx_uint_t              i;
    ngx_queue_t            *q;
    ngx_http_loyalty_op_t  *op;

    for (i = NGX_HTTP_LOYALTY_LIST_QUEUE; i < NGX_HTTP_LOYALTY_LISTS; i++) {

        for (q = ngx_queue_head(&link->lists[i]);
             q != ngx_queue_sentinel(&link->lists[i]);
             q = ngx_queue_next(q))
        {
            op = ngx_queue_data(q, ngx_http_loyalty_op_t, queue);

            if (op->handler != NULL && !op->due) {
                return 1;
            }
        }
    }

    return 0;
}


void
ngx_http_loyalty_lists_gauges(ngx_http_loyalty_link_t *link)
{
    ngx_uint_t  *counts;

    counts = link->counts;

    ngx_http_loyalty_lists_gauge(link, NGX_HTTP_LOYALTY_STAT_INFLIGHT,
                                 &link->gauge_inflight,
                                 counts[NGX_HTTP_LOYALTY_LIST_SENT]
                                 + counts[NGX_HTTP_LOYALTY_LIST_ACKED]);

    ngx_http_loyalty_lists_gauge(link, NGX_HTTP_LOYALTY_STAT_QUEUED,
                                 &link->gauge_queued,
                                 counts[NGX_HTTP_LOYALTY_LIST_OWN]
                                 + counts[NGX_HTTP_LOYALTY_LIST_QUEUE]
                                 + counts[NGX_HTTP_LOYALTY_LIST_HELD]);

    ngx_http_loyalty_lists_gauge(link, NGX_HTTP_LOYALTY_STAT_QUEUED_BYTES,
                                 &link->gauge_bytes, link->bytes);

    ngx_http_loyalty_lists_gauge(link, NGX_HTTP_LOYALTY_STAT_CONNECTING,
                                 &link->gauge_connecting,
                                 link->state > NGX_HTTP_LOYALTY_LINK_DOWN
                                 && link->state < NGX_HTTP_LOYALTY_LINK_READY);

    ngx_http_loyalty_lists_gauge(link, NGX_HTTP_LOYALTY_STAT_CONNECTED,
                                 &link->gauge_connected,
                                 link->state >= NGX_HTTP_LOYALTY_LINK_READY);
}


static void
ngx_http_loyalty_lists_gauge(ngx_http_loyalty_link_t *link,
    ngx_http_loyalty_stat_e stat, ngx_int_t *counted, ngx_int_t value)
{
    if (*counted != value) {
        ngx_http_loyalty_stat(link->redis->program, stat, value - *counted);
        *counted = value;
    }
}
