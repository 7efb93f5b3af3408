/*
 * The life of a link's connection: greeted, looked after, lost, and opened
 * again.
 *
 * The first attempt after a start, or after a connection that was good, is
 * made at once, and calls wait for it in the queue.  When it fails, calls
 * fail at once, and further attempts follow with growing, jittered pauses.
 *
 * One cancelable timer serves all of this, as a link does one of it at a
 * time: it bounds an attempt, measures a pause, or looks after a connection
 * that has been silent.
 */


#include "ngx_http_loyalty_redis_private.h"


static u_char *ngx_http_loyalty_link_log(ngx_log_t *log, u_char *buf,
    size_t len);
static void ngx_http_loyalty_link_timer(ngx_event_t *ev);
static void ngx_http_loyalty_link_ping(ngx_http_loyalty_link_t *link);
static ngx_int_t ngx_http_loyalty_link_pong(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply);
static void ngx_http_loyalty_link_again(ngx_http_loyalty_link_t *link);
static void ngx_http_loyalty_link_wake(ngx_http_loyalty_worker_t *worker);


void
ngx_http_loyalty_link_init(ngx_http_loyalty_link_t *link,
    ngx_http_loyalty_worker_t *worker, ngx_log_t *log)
{
    ngx_uint_t  i;

    link->worker = worker;
    link->redis = worker->redis;
    link->ident = -1;

    link->log = *log;
    link->log.handler = ngx_http_loyalty_link_log;
    link->log.data = link;
    link->log.action = NULL;
    link->log.connection = 0;

    ngx_http_loyalty_dial_init(&link->dial, &worker->redis->remote,
                               &link->log);

    for (i = 0; i < NGX_HTTP_LOYALTY_LISTS; i++) {
        ngx_queue_init(&link->lists[i]);
    }

    link->start.handler = ngx_http_loyalty_link_start;
    link->start.data = link;
    link->start.log = &link->log;

    link->flush.handler = ngx_http_loyalty_pipe_flush;
    link->flush.data = link;
    link->flush.log = &link->log;

    link->timer.handler = ngx_http_loyalty_link_timer;
    link->timer.data = link;
    link->timer.log = &link->log;
    link->timer.cancelable = 1;

    /* a worker must not exit while somebody waits for an operation */

    link->deadline.handler = ngx_http_loyalty_lists_deadline;
    link->deadline.data = link;
    link->deadline.log = &link->log;
}


static u_char *
ngx_http_loyalty_link_log(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char                   *p;
    ngx_http_loyalty_link_t  *link;

    p = buf;
    link = log->data;

    if (log->action != NULL) {
        p = ngx_snprintf(p, len, " while %s", log->action);
        len -= p - buf;
    }

    return ngx_snprintf(p, len, ", redis server: %V, program: %V",
                        &link->redis->remote.address,
                        &link->redis->program->name);
}


ngx_uint_t
ngx_http_loyalty_link_down(ngx_http_loyalty_link_t *link)
{
    switch (link->state) {

    case NGX_HTTP_LOYALTY_LINK_READY:
        return 0;

    case NGX_HTTP_LOYALTY_LINK_DRAINING:
        return 1;

    case NGX_HTTP_LOYALTY_LINK_DOWN:
        /* no pause is running when the worker exits: then try as well */
        return link->failures != 0 && link->timer.timer_set;

    default:
        return link->failures != 0;
    }
}


void
ngx_http_loyalty_link_greet(ngx_http_loyalty_link_t *link)
{
    ngx_connection_t          *c;
    ngx_http_loyalty_redis_t  *redis;

    c = link->dial.connection;
    redis = link->redis;

    link->state = NGX_HTTP_LOYALTY_LINK_GREETING;
    link->log.action = "greeting redis";
    link->progress = ngx_current_msec;

    c->data = link;
    c->read->handler = ngx_http_loyalty_pipe_read;
    c->write->handler = ngx_http_loyalty_pipe_write;

    link->resp = loyalty_resp_create(redis->max_reply,
                                     NGX_HTTP_LOYALTY_REDIS_VALUES);
    link->out = ngx_palloc(link->dial.pool, NGX_HTTP_LOYALTY_REDIS_OUT);
    link->pos = link->out;
    link->last = link->out;

    if (link->resp == NULL || link->out == NULL
        || ngx_http_loyalty_greeting(link) != NGX_OK)
    {
        ngx_http_loyalty_link_lost(link);
        return;
    }

    /* what came before this handler was set will not be announced again */

    if (c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);
    }

    ngx_post_event(&link->flush, &ngx_posted_events);
}


/* the greeting was answered well; from within the read loop */

ngx_int_t
ngx_http_loyalty_link_ready(ngx_http_loyalty_link_t *link)
{
    ngx_http_loyalty_program_t  *program;

    program = link->redis->program;

    if (ngx_http_loyalty_greeting_names(link) != NGX_OK) {
        return NGX_ERROR;
    }

    link->state = NGX_HTTP_LOYALTY_LINK_READY;
    link->log.action = "talking to redis";
    link->ready_at = ngx_current_msec;
    link->active = 0;

    ngx_http_loyalty_stat(program, NGX_HTTP_LOYALTY_STAT_CONNECTS, 1);

    if (link->was_ready) {
        ngx_http_loyalty_stat(program, NGX_HTTP_LOYALTY_STAT_RECONNECTS, 1);
    }

    link->was_ready = 1;

    if (link->trouble <= NGX_HTTP_LOYALTY_TROUBLE_ROLE) {
        ngx_http_loyalty_trouble_over(link);
    }

    ngx_add_timer(&link->timer, link->redis->keepalive);
    ngx_post_event(&link->flush, &ngx_posted_events);

    ngx_http_loyalty_link_wake(link->worker);

    return ngx_http_loyalty_libraries(link);
}


/*
 * Redis is there: links that could not reach it need not pause any longer.
 * Those that reached it and were cut off do, or two could chase each other.
 */

static void
ngx_http_loyalty_link_wake(ngx_http_loyalty_worker_t *worker)
{
    ngx_uint_t                i;
    ngx_http_loyalty_link_t  *link;

    for (i = 0; i < NGX_HTTP_LOYALTY_LANES * worker->redis->connections; i++) {
        link = &worker->links[i];

        if (link->state == NGX_HTTP_LOYALTY_LINK_DOWN && link->timer.timer_set
            && link->unreached)
        {
            ngx_del_timer(&link->timer);
            ngx_post_event(&link->start, &ngx_posted_events);
        }
    }
}


static void
ngx_http_loyalty_link_timer(ngx_event_t *ev)
{
    ngx_http_loyalty_link_t  *link;

    link = ev->data;

    switch (link->state) {

    case NGX_HTTP_LOYALTY_LINK_DOWN:
        ngx_post_event(&link->start, &ngx_posted_events);
        break;

    case NGX_HTTP_LOYALTY_LINK_READY:
        ngx_http_loyalty_link_ping(link);
        break;

    case NGX_HTTP_LOYALTY_LINK_DRAINING:
        break;

    default:
        ngx_http_loyalty_trouble(link, NGX_HTTP_LOYALTY_TROUBLE_CONNECT,
                                 "redis could not be reached within %M ms",
                                 link->redis->connect_timeout);
        ngx_http_loyalty_link_lost(link);
    }
}


/* a peer that is gone without a word shows only when spoken to */

static void
ngx_http_loyalty_link_ping(ngx_http_loyalty_link_t *link)
{
    ngx_str_t  ping = ngx_string("PING");

    if (!ngx_exiting && ngx_http_loyalty_greeting_look(link) != NGX_OK) {
        ngx_http_loyalty_link_lost(link);
        return;
    }

    if (ngx_http_loyalty_libraries_due(link) && !ngx_exiting) {
        if (ngx_http_loyalty_libraries(link) != NGX_OK) {
            ngx_http_loyalty_link_lost(link);
            return;
        }
    }

    if (!link->active && ngx_http_loyalty_lists_total(link) == 0
        && !ngx_exiting)
    {
        if (ngx_http_loyalty_op_own(link, 1, &ping,
                                    ngx_http_loyalty_link_pong)
            == NULL)
        {
            ngx_http_loyalty_link_lost(link);
            return;
        }
    }

    link->active = 0;

    ngx_add_timer(&link->timer, link->redis->keepalive);
}


static ngx_int_t
ngx_http_loyalty_link_pong(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply)
{
    ngx_uint_t  drain;

    if (!ngx_http_loyalty_error(reply)) {
        return NGX_OK;
    }

    (void) ngx_http_loyalty_error_status(link, reply, &drain);

    return drain ? NGX_ERROR : NGX_OK;
}


void
ngx_http_loyalty_link_lost(ngx_http_loyalty_link_t *link)
{
    ngx_uint_t  failures;

    failures = link->failures;

    if (link->state >= NGX_HTTP_LOYALTY_LINK_READY
        && ngx_current_msec - link->ready_at
           >= NGX_HTTP_LOYALTY_REDIS_STABLE)
    {
        failures = 0;
    }

    /* a connection that was good for a while is replaced without a pause */

    if (link->state != NGX_HTTP_LOYALTY_LINK_READY
        || ngx_current_msec - link->ready_at < NGX_HTTP_LOYALTY_REDIS_STABLE)
    {
        failures++;
    }

    link->unreached = (link->state < NGX_HTTP_LOYALTY_LINK_READY);

    if (link->unreached) {
        ngx_http_loyalty_stat(link->redis->program,
                              NGX_HTTP_LOYALTY_STAT_ERR_CONNECT, 1);

        if (link->trouble == NGX_HTTP_LOYALTY_TROUBLE_NONE) {
            ngx_http_loyalty_trouble(link, NGX_HTTP_LOYALTY_TROUBLE_CONNECT,
                                     "redis is not available");
        }
    }

    ngx_http_loyalty_link_close(link);

    link->failures = failures;

    if (!ngx_exiting && !ngx_terminate) {
        ngx_http_loyalty_link_again(link);
    }
}


static void
ngx_http_loyalty_link_again(ngx_http_loyalty_link_t *link)
{
    ngx_uint_t  i;
    ngx_msec_t  pause;

    if (link->failures == 0) {
        ngx_post_event(&link->start, &ngx_posted_events);
        return;
    }

    pause = NGX_HTTP_LOYALTY_REDIS_BACKOFF;

    for (i = 1; i < link->failures
                && pause < NGX_HTTP_LOYALTY_REDIS_BACKOFF_MAX; i++)
    {
        pause *= 2;
    }

    pause = ngx_min(pause, NGX_HTTP_LOYALTY_REDIS_BACKOFF_MAX);

    /* workers that lost the same Redis must not come back in step */
    pause = pause / 2 + (ngx_msec_t) ngx_random() % (pause / 2 + 1);

    ngx_add_timer(&link->timer, pause);
}


void
ngx_http_loyalty_link_close(ngx_http_loyalty_link_t *link)
{
    if (link->timer.timer_set) {
        ngx_del_timer(&link->timer);
    }

    if (link->start.posted) {
        ngx_delete_posted_event(&link->start);
    }

    ngx_http_loyalty_lists_fail(link);
    ngx_http_loyalty_dial_close(&link->dial);

    loyalty_resp_free(link->resp);
    link->resp = NULL;

    link->out = NULL;
    link->pos = NULL;
    link->last = NULL;

    link->state = NGX_HTTP_LOYALTY_LINK_DOWN;
    link->log.action = NULL;

    ngx_http_loyalty_lists_gauges(link);
}
