/*
 * Operations: made here, handed to a link, finished here.
 *
 * An operation and its buffer come from a list of the worker and go back to
 * it.  It goes back when two things are true: it is in no list of its link (its
 * reply has come, or never will), and its handler has run or been detached.
 * The two happen in any order.
 */


#include "ngx_http_loyalty_redis_private.h"


static ngx_int_t ngx_http_loyalty_redis_admit(ngx_http_loyalty_link_t *link,
    size_t size, ngx_http_loyalty_status_e *status);
static size_t ngx_http_loyalty_redis_size(ngx_uint_t fn, ngx_uint_t nkeys,
    ngx_str_t *keys, ngx_str_t *arg);
static size_t ngx_http_loyalty_redis_format(ngx_http_loyalty_op_t *op,
    ngx_uint_t fn, ngx_uint_t nkeys, ngx_str_t *keys, ngx_str_t *arg);
static void ngx_http_loyalty_redis_run(ngx_event_t *ev);
static void ngx_http_loyalty_op_leave(ngx_http_loyalty_op_t *op);
static void ngx_http_loyalty_op_enter(ngx_http_loyalty_op_t *op,
    ngx_http_loyalty_list_e list);


#define ngx_http_loyalty_redis_bulk(p, text)                                 \
    loyalty_resp_bulk(p, text, sizeof(text) - 1)


ngx_http_loyalty_op_t *
ngx_http_loyalty_redis_call(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_lane_e lane, ngx_uint_t partition,
    ngx_http_loyalty_fn_e fn, ngx_uint_t nkeys, ngx_str_t *keys,
    ngx_str_t *arg, ngx_http_loyalty_op_handler_pt handler, void *data,
    ngx_http_loyalty_status_e *status)
{
    size_t                      size;
    ngx_http_loyalty_op_t      *op;
    ngx_http_loyalty_link_t    *link;
    ngx_http_loyalty_redis_t   *redis;
    ngx_http_loyalty_worker_t  *worker;

    redis = program->redis;
    worker = redis->worker;
    *status = NGX_HTTP_LOYALTY_UNAVAILABLE;

    if (worker == NULL) {
        return NULL;
    }

    size = ngx_http_loyalty_redis_size(fn, nkeys, keys, arg);

    link = &worker->links[lane * redis->connections
                          + partition % redis->connections];

    if (ngx_http_loyalty_redis_admit(link, size, status) != NGX_OK) {
        return NULL;
    }

    op = ngx_http_loyalty_op_get(worker, size);
    if (op == NULL) {
        return NULL;
    }

    op->link = link;
    op->handler = handler;
    op->data = data;
    op->fn = fn;
    op->len = ngx_http_loyalty_redis_format(op, fn, nkeys, keys, arg);
    op->queued = ngx_http_loyalty_usec();
    op->deadline = ngx_current_msec + redis->timeout;

    ngx_http_loyalty_op_move(op, NGX_HTTP_LOYALTY_LIST_QUEUE);
    link->active = 1;

    /* it may be set for a connection's end, which is later */

    if (link->deadline.timer_set
        && (ngx_msec_int_t) (link->deadline.timer.key - op->deadline) > 0)
    {
        ngx_del_timer(&link->deadline);
    }

    if (!link->deadline.timer_set) {
        ngx_add_timer(&link->deadline, redis->timeout);
    }

    if (link->state == NGX_HTTP_LOYALTY_LINK_DOWN) {
        ngx_post_event(&link->start, &ngx_posted_events);
    }

    ngx_post_event(&link->flush, &ngx_posted_events);

    return op;
}


void
ngx_http_loyalty_redis_detach(ngx_http_loyalty_op_t *op)
{
    op->handler = NULL;

    if (op->running) {
        return;
    }

    if (op->due) {
        ngx_queue_remove(&op->done);
        op->due = 0;
    }

    /* a command that is on its way keeps its place until its reply is read */

    if (op->list != NGX_HTTP_LOYALTY_LIST_SENT) {
        ngx_http_loyalty_op_move(op, NGX_HTTP_LOYALTY_LIST_NONE);
        ngx_post_event(&op->link->flush, &ngx_posted_events);
    }

    ngx_http_loyalty_op_release(op);
}


static ngx_int_t
ngx_http_loyalty_redis_admit(ngx_http_loyalty_link_t *link, size_t size,
    ngx_http_loyalty_status_e *status)
{
    ngx_http_loyalty_stat_e    stat;
    ngx_http_loyalty_redis_t  *redis;

    redis = link->redis;

    if (ngx_http_loyalty_link_down(link)) {
        *status = NGX_HTTP_LOYALTY_UNAVAILABLE;
        stat = NGX_HTTP_LOYALTY_STAT_DROP_DOWN;

    } else if (link->calls >= redis->max_inflight) {
        *status = NGX_HTTP_LOYALTY_BUSY;
        stat = NGX_HTTP_LOYALTY_STAT_DROP_INFLIGHT;

    } else if (size > redis->max_queue
               || link->bytes > redis->max_queue - size)
    {
        *status = NGX_HTTP_LOYALTY_BUSY;
        stat = NGX_HTTP_LOYALTY_STAT_DROP_BYTES;

    } else {
        return NGX_OK;
    }

    ngx_http_loyalty_stat(redis->program, stat, 1);

    return NGX_DECLINED;
}


/* bytes that _format() needs at most */

static size_t
ngx_http_loyalty_redis_size(ngx_uint_t fn, ngx_uint_t nkeys, ngx_str_t *keys,
    ngx_str_t *arg)
{
    size_t      size;
    ngx_uint_t  i;

    /* the array's line, FCALL_RO, the function and the number of keys */
    size = 4 * (LOYALTY_RESP_LINE + 2) + 64;

    for (i = 0; i < nkeys; i++) {
        size += keys[i].len + LOYALTY_RESP_LINE + 2;
    }

    if (fn != NGX_HTTP_LOYALTY_GET) {
        size += arg->len + LOYALTY_RESP_LINE + 2;
    }

    return size;
}


static size_t
ngx_http_loyalty_redis_format(ngx_http_loyalty_op_t *op, ngx_uint_t fn,
    ngx_uint_t nkeys, ngx_str_t *keys, ngx_str_t *arg)
{
    u_char                             *p, number[NGX_INT_T_LEN], *end;
    ngx_uint_t                          i;
    const ngx_http_loyalty_function_t  *function;

    p = op->buf;

    if (fn == NGX_HTTP_LOYALTY_GET) {
        p = loyalty_resp_array(p, 2);
        p = ngx_http_loyalty_redis_bulk(p, "GET");
        p = loyalty_resp_bulk(p, keys[0].data, keys[0].len);

        return p - op->buf;
    }

    function = &ngx_http_loyalty_functions[fn];

    p = loyalty_resp_array(p, 3 + nkeys + 1);

    if (function->flags & NGX_HTTP_LOYALTY_READS) {
        p = ngx_http_loyalty_redis_bulk(p, "FCALL_RO");

    } else {
        p = ngx_http_loyalty_redis_bulk(p, "FCALL");
    }

    p = loyalty_resp_bulk(p, function->name.data, function->name.len);

    end = ngx_sprintf(number, "%ui", nkeys);
    p = loyalty_resp_bulk(p, number, end - number);

    for (i = 0; i < nkeys; i++) {
        p = loyalty_resp_bulk(p, keys[i].data, keys[i].len);
    }

    p = loyalty_resp_bulk(p, arg->data, arg->len);

    return p - op->buf;
}


/* handlers of all that was finished since */

static void
ngx_http_loyalty_redis_run(ngx_event_t *ev)
{
    void                            *data;
    ngx_queue_t                     *q;
    ngx_http_loyalty_op_t           *op;
    ngx_http_loyalty_worker_t       *worker;
    ngx_http_loyalty_op_handler_pt   handler;

    worker = ev->data;

    while (!ngx_queue_empty(&worker->done)) {
        q = ngx_queue_head(&worker->done);
        op = ngx_queue_data(q, ngx_http_loyalty_op_t, done);

        ngx_queue_remove(q);
        op->due = 0;
        op->running = 1;

        handler = op->handler;
        data = op->data;
        op->handler = NULL;

        handler(data, op->status,
                (op->status == NGX_HTTP_LOYALTY_REPLY) ? &op->reply : NULL);

        op->running = 0;
        ngx_http_loyalty_op_release(op);
    }
}


/* an operation with a buffer of at least size bytes */

ngx_http_loyalty_op_t *
ngx_http_loyalty_op_get(ngx_http_loyalty_worker_t *worker, size_t size)
{
    u_char                 *buf;
    size_t                  room;
    ngx_log_t              *log;
    ngx_queue_t            *q;
    ngx_http_loyalty_op_t  *op;

    log = worker->run.log;

    if (!ngx_queue_empty(&worker->free)) {
        q = ngx_queue_head(&worker->free);
        ngx_queue_remove(q);
        worker->nfree--;

        op = ngx_queue_data(q, ngx_http_loyalty_op_t, queue);
        buf = op->buf;
        room = op->size;

    } else {
        op = ngx_alloc(sizeof(ngx_http_loyalty_op_t), log);
        if (op == NULL) {
            return NULL;
        }

        buf = NULL;
        room = 0;
    }

    if (room < size) {
        if (buf != NULL) {
            ngx_free(buf);
        }

        room = ngx_align(size, 1024);

        buf = ngx_alloc(room, log);
        if (buf == NULL) {
            ngx_free(op);
            return NULL;
        }
    }

    ngx_memzero(op, sizeof(ngx_http_loyalty_op_t));

    op->buf = buf;
    op->size = room;
    op->fn = NGX_HTTP_LOYALTY_FN_OTHER;

    return op;
}


/* into the list, behind all others; NONE: into none */

void
ngx_http_loyalty_op_move(ngx_http_loyalty_op_t *op,
    ngx_http_loyalty_list_e list)
{
    ngx_http_loyalty_op_leave(op);

    if (list != NGX_HTTP_LOYALTY_LIST_NONE) {
        ngx_queue_insert_tail(&op->link->lists[list], &op->queue);
        ngx_http_loyalty_op_enter(op, list);
    }
}


/* to the front of the queue, as if it had never been sent */

void
ngx_http_loyalty_op_back(ngx_http_loyalty_op_t *op)
{
    ngx_http_loyalty_op_leave(op);

    op->copied = 0;

    ngx_queue_insert_head(&op->link->lists[NGX_HTTP_LOYALTY_LIST_QUEUE],
                          &op->queue);
    ngx_http_loyalty_op_enter(op, NGX_HTTP_LOYALTY_LIST_QUEUE);
}


static void
ngx_http_loyalty_op_leave(ngx_http_loyalty_op_t *op)
{
    if (op->list != NGX_HTTP_LOYALTY_LIST_NONE) {
        ngx_queue_remove(&op->queue);
        op->link->counts[op->list]--;

        if (!op->own) {
            op->link->calls--;
            op->link->bytes -= op->len;
        }

        op->list = NGX_HTTP_LOYALTY_LIST_NONE;
    }
}


static void
ngx_http_loyalty_op_enter(ngx_http_loyalty_op_t *op,
    ngx_http_loyalty_list_e list)
{
    op->list = list;
    op->link->counts[list]++;

    if (!op->own) {
        op->link->calls++;
        op->link->bytes += op->len;
    }
}


/* the handler is due, unless it has been before */

void
ngx_http_loyalty_op_finish(ngx_http_loyalty_op_t *op,
    ngx_http_loyalty_status_e status)
{
    ngx_http_loyalty_worker_t  *worker;

    if (op->handler == NULL || op->due) {
        return;
    }

    worker = op->link->worker;

    op->status = status;
    op->due = 1;

    ngx_queue_insert_tail(&worker->done, &op->done);
    ngx_post_event(&worker->run, &ngx_posted_events);
}


/* gives it back, once nothing refers to it */

void
ngx_http_loyalty_op_release(ngx_http_loyalty_op_t *op)
{
    ngx_http_loyalty_worker_t  *worker;

    if (op->list != NGX_HTTP_LOYALTY_LIST_NONE || op->due || op->running) {
        return;
    }

    worker = op->link->worker;

    if (worker->nfree >= NGX_HTTP_LOYALTY_REDIS_FREE) {
        ngx_free(op->buf);
        ngx_free(op);
        return;
    }

    if (op->size > NGX_HTTP_LOYALTY_REDIS_KEEP) {
        ngx_free(op->buf);
        op->buf = NULL;
        op->size = 0;
    }

    ngx_queue_insert_head(&worker->free, &op->queue);
    worker->nfree++;
}


/*
 * The reply becomes the operation's own; its buffer is free for that, as a
 * command that was answered is not sent again.
 */

ngx_int_t
ngx_http_loyalty_op_keep(ngx_http_loyalty_op_t *op,
    loyalty_resp_reply_t *reply)
{
    u_char                *p;
    size_t                 i, need;
    ngx_str_t             *values;
    loyalty_resp_value_t  *value;

    need = reply->n * sizeof(ngx_str_t) + reply->bytes + 1;

    if (need > op->size) {
        p = ngx_alloc(need, op->link->worker->run.log);
        if (p == NULL) {
            return NGX_ERROR;
        }

        ngx_free(op->buf);
        op->buf = p;
        op->size = need;
    }

    values = (ngx_str_t *) op->buf;
    p = op->buf + reply->n * sizeof(ngx_str_t);

    for (i = 0; i < reply->n; i++) {
        value = &reply->values[i];

        if (value->data == NULL) {
            ngx_str_null(&values[i]);
            continue;
        }

        values[i].data = p;
        values[i].len = value->len;
        p = ngx_cpymem(p, value->data, value->len);
    }

    op->reply.n = reply->n;
    op->reply.values = values;
    op->reply.array = reply->array ? 1 : 0;

    return NGX_OK;
}


/* a command of the layer itself, to go out before what is queued */

ngx_http_loyalty_op_t *
ngx_http_loyalty_op_own(ngx_http_loyalty_link_t *link, ngx_uint_t n,
    ngx_str_t *args, ngx_http_loyalty_answer_pt answer)
{
    u_char                 *p;
    size_t                  size;
    ngx_uint_t              i;
    ngx_http_loyalty_op_t  *op;

    size = LOYALTY_RESP_LINE;

    for (i = 0; i < n; i++) {
        size += args[i].len + LOYALTY_RESP_LINE + 2;
    }

    op = ngx_http_loyalty_op_get(link->worker, size);
    if (op == NULL) {
        return NULL;
    }

    p = loyalty_resp_array(op->buf, n);

    for (i = 0; i < n; i++) {
        p = loyalty_resp_bulk(p, args[i].data, args[i].len);
    }

    op->link = link;
    op->own = 1;
    op->answer = answer;
    op->len = p - op->buf;

    ngx_http_loyalty_op_move(op, NGX_HTTP_LOYALTY_LIST_OWN);
    ngx_post_event(&link->flush, &ngx_posted_events);

    return op;
}


uint64_t
ngx_http_loyalty_usec(void)
{
    struct timespec  ts;

    if (clock_gettime(CLOCK_MONOTONIC, &ts) != 0) {
        return 0;
    }

    return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}


ngx_int_t
ngx_http_loyalty_redis_init_process(ngx_cycle_t *cycle,
    ngx_http_loyalty_program_t *program)
{
    ngx_uint_t                  i, n;
    ngx_http_loyalty_redis_t   *redis;
    ngx_http_loyalty_worker_t  *worker;

    /* the cache manager and loader have nothing to say to Redis */

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    redis = program->redis;
    n = NGX_HTTP_LOYALTY_LANES * redis->connections;

    worker = ngx_pcalloc(cycle->pool, sizeof(ngx_http_loyalty_worker_t));
    if (worker == NULL) {
        return NGX_ERROR;
    }

    worker->links = ngx_pcalloc(cycle->pool,
                                n * sizeof(ngx_http_loyalty_link_t));
    if (worker->links == NULL) {
        return NGX_ERROR;
    }

    worker->in = ngx_pnalloc(cycle->pool, NGX_HTTP_LOYALTY_REDIS_IN);
    if (worker->in == NULL) {
        return NGX_ERROR;
    }

    worker->redis = redis;
    worker->run.handler = ngx_http_loyalty_redis_run;
    worker->run.data = worker;
    worker->run.log = cycle->log;

    ngx_queue_init(&worker->done);
    ngx_queue_init(&worker->free);

    for (i = 0; i < n; i++) {
        ngx_http_loyalty_link_init(&worker->links[i], worker, cycle->log);
    }

    redis->worker = worker;

    return NGX_OK;
}


void
ngx_http_loyalty_redis_exit_process(ngx_cycle_t *cycle,
    ngx_http_loyalty_program_t *program)
{
    ngx_uint_t                  i;
    ngx_queue_t                *q;
    ngx_http_loyalty_op_t      *op;
    ngx_http_loyalty_redis_t   *redis;
    ngx_http_loyalty_worker_t  *worker;

    redis = program->redis;

    if (redis == NULL || redis->worker == NULL) {
        return;
    }

    worker = redis->worker;
    redis->worker = NULL;

    for (i = 0; i < NGX_HTTP_LOYALTY_LANES * redis->connections; i++) {
        ngx_http_loyalty_link_close(&worker->links[i]);
    }

    if (worker->run.posted) {
        ngx_delete_posted_event(&worker->run);
    }

    /* requests are gone: their handlers must not run any more */

    while (!ngx_queue_empty(&worker->done)) {
        q = ngx_queue_head(&worker->done);
        op = ngx_queue_data(q, ngx_http_loyalty_op_t, done);

        ngx_queue_remove(q);
        op->due = 0;
        ngx_http_loyalty_op_release(op);
    }

    while (!ngx_queue_empty(&worker->free)) {
        q = ngx_queue_head(&worker->free);
        op = ngx_queue_data(q, ngx_http_loyalty_op_t, queue);

        ngx_queue_remove(q);

        if (op->buf != NULL) {
            ngx_free(op->buf);
        }

        ngx_free(op);
    }
}
