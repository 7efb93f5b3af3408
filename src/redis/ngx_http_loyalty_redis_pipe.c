/*
 * What travels on a connection.
 *
 * Out: a posted event copies the commands that wait into one buffer and
 * writes it, once per turn of the event loop.  A command's place in the stream
 * is known, so it is known whether any of it left when the connection breaks.
 *
 * In: replies come in the order of commands.  Each goes to the oldest command
 * sent, whoever still waits for it.  A reply without a command means that
 * the two have lost step, and nothing on this connection can be trusted.
 */


#include "ngx_http_loyalty_redis_private.h"


static void ngx_http_loyalty_pipe_fill(ngx_http_loyalty_link_t *link);
static ngx_http_loyalty_op_t *ngx_http_loyalty_pipe_next(
    ngx_http_loyalty_link_t *link);
static ngx_uint_t ngx_http_loyalty_pipe_confirmed(
    ngx_http_loyalty_op_t *op);
static ngx_http_loyalty_op_t *ngx_http_loyalty_pipe_wait(
    ngx_http_loyalty_link_t *link);
static ngx_int_t ngx_http_loyalty_pipe_acked(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply);
static ngx_int_t ngx_http_loyalty_pipe_send(ngx_http_loyalty_link_t *link);
static ngx_int_t ngx_http_loyalty_pipe_recv(ngx_http_loyalty_link_t *link);
static ngx_int_t ngx_http_loyalty_pipe_replies(
    ngx_http_loyalty_link_t *link);
static ngx_int_t ngx_http_loyalty_pipe_reply(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply, uint64_t now);
static ngx_int_t ngx_http_loyalty_pipe_answer(ngx_http_loyalty_op_t *op,
    loyalty_resp_reply_t *reply);
static void ngx_http_loyalty_pipe_closed(ngx_http_loyalty_link_t *link);
static void ngx_http_loyalty_pipe_protocol(ngx_http_loyalty_link_t *link,
    const char *what, const char *detail);


void
ngx_http_loyalty_pipe_write(ngx_event_t *wev)
{
    ngx_connection_t         *c;
    ngx_http_loyalty_link_t  *link;

    c = wev->data;
    link = c->data;

    ngx_http_loyalty_pipe_flush(&link->flush);
}


void
ngx_http_loyalty_pipe_flush(ngx_event_t *ev)
{
    ngx_http_loyalty_link_t  *link;

    link = ev->data;

    if (link->state >= NGX_HTTP_LOYALTY_LINK_GREETING) {

        if (ngx_http_loyalty_pipe_send(link) != NGX_OK) {
            ngx_http_loyalty_pipe_closed(link);
            return;
        }

        ngx_http_loyalty_lists_arm(link);
    }

    ngx_http_loyalty_lists_rest(link);
}


static ngx_int_t
ngx_http_loyalty_pipe_send(ngx_http_loyalty_link_t *link)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = link->dial.connection;

    for ( ;; ) {
        ngx_http_loyalty_pipe_fill(link);

        if (link->pos == link->last) {
            return NGX_OK;
        }

        n = c->send(c, link->pos, link->last - link->pos);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n < 0) {
            return NGX_ERROR;
        }

        link->pos += n;
        link->written += n;

        /*
         * not before all is written: TLS wants to be asked again with the
         * bytes in the same place
         */

        if (link->pos == link->last) {
            link->pos = link->out;
            link->last = link->out;
        }
    }

    return ngx_handle_write_event(c->write, 0);
}


/* copies what may be sent now into the buffer, as far as there is room */

static void
ngx_http_loyalty_pipe_fill(ngx_http_loyalty_link_t *link)
{
    size_t                  n, room;
    ngx_http_loyalty_op_t  *op;

    for ( ;; ) {
        room = link->out + NGX_HTTP_LOYALTY_REDIS_OUT - link->last;

        if (room == 0) {
            return;
        }

        op = link->partial;

        if (op == NULL) {
            op = ngx_http_loyalty_pipe_next(link);
            if (op == NULL) {
                return;
            }

            if (link->counts[NGX_HTTP_LOYALTY_LIST_SENT] == 0) {
                link->progress = ngx_current_msec;
            }

            ngx_http_loyalty_op_move(op, NGX_HTTP_LOYALTY_LIST_SENT);
            op->start = link->copied;
            link->unacked += ngx_http_loyalty_pipe_confirmed(op);
        }

        n = ngx_min(room, op->len - op->copied);

        link->last = ngx_cpymem(link->last, op->buf + op->copied, n);
        link->copied += n;
        op->copied += n;

        link->partial = (op->copied < op->len) ? op : NULL;
    }
}


static ngx_http_loyalty_op_t *
ngx_http_loyalty_pipe_next(ngx_http_loyalty_link_t *link)
{
    ngx_queue_t            *own, *queue;
    ngx_http_loyalty_op_t  *op;

    own = &link->lists[NGX_HTTP_LOYALTY_LIST_OWN];
    queue = &link->lists[NGX_HTTP_LOYALTY_LIST_QUEUE];

    if (!ngx_queue_empty(own)) {
        return ngx_queue_data(ngx_queue_head(own), ngx_http_loyalty_op_t,
                              queue);
    }

    if (link->unacked < NGX_HTTP_LOYALTY_REDIS_BURST
        && link->state == NGX_HTTP_LOYALTY_LINK_READY
        && !link->loading && !ngx_queue_empty(queue))
    {
        op = ngx_queue_data(ngx_queue_head(queue), ngx_http_loyalty_op_t,
                            queue);

        if (link->proven || op->fn == NGX_HTTP_LOYALTY_GET) {
            return op;
        }

        /*
         * a new connection tries the library with one call alone: were it
         * missing, and loaded by another worker in between, calls that
         * follow would be run before those that have to be sent again
         */

        if (!link->probing) {
            link->probing = 1;
            return op;
        }
    }

    return (link->unacked != 0) ? ngx_http_loyalty_pipe_wait(link) : NULL;
}


/* a write whose reply is held until replicas have it */

static ngx_uint_t
ngx_http_loyalty_pipe_confirmed(ngx_http_loyalty_op_t *op)
{
    return op->link->redis->durability == NGX_HTTP_LOYALTY_DURABILITY_REPLICAS
           && (ngx_http_loyalty_functions[op->fn].flags
               & NGX_HTTP_LOYALTY_WRITES);
}


/* WAIT for all writes before it */

static ngx_http_loyalty_op_t *
ngx_http_loyalty_pipe_wait(ngx_http_loyalty_link_t *link)
{
    u_char                  replicas[NGX_INT_T_LEN], ms[NGX_INT_T_LEN];
    ngx_str_t               args[3];
    ngx_http_loyalty_op_t  *op;

    ngx_str_set(&args[0], "WAIT");

    args[1].data = replicas;
    args[1].len = ngx_sprintf(replicas, "%ui", link->redis->replicas)
                  - replicas;

    args[2].data = ms;
    args[2].len = ngx_sprintf(ms, "%M", link->redis->wait) - ms;

    op = ngx_http_loyalty_op_own(link, 3, args, ngx_http_loyalty_pipe_acked);

    if (op != NULL) {
        link->unacked = 0;
    }

    return op;
}


static ngx_int_t
ngx_http_loyalty_pipe_acked(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply)
{
    ngx_int_t                   n;
    ngx_uint_t                  drain;
    loyalty_resp_value_t       *value;
    ngx_http_loyalty_status_e   status;

    status = NGX_HTTP_LOYALTY_UNKNOWN;
    drain = 0;

    if (ngx_http_loyalty_error(reply)) {
        (void) ngx_http_loyalty_error_status(link, reply, &drain);

    } else {
        value = reply->values;
        n = (reply->n == 1 && value->type == LOYALTY_RESP_INTEGER)
                ? ngx_atoi((u_char *) value->data, value->len) : NGX_ERROR;

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (n >= (ngx_int_t) link->redis->replicas) {
            status = NGX_HTTP_LOYALTY_REPLY;

            if (link->trouble == NGX_HTTP_LOYALTY_TROUBLE_WAIT) {
                ngx_http_loyalty_trouble_over(link);
            }

        } else {
            ngx_http_loyalty_trouble(link, NGX_HTTP_LOYALTY_TROUBLE_WAIT,
                                     "%i of %ui replicas have confirmed "
                                     "writes within %M ms", n,
                                     link->redis->replicas,
                                     link->redis->wait);
        }
    }

    /* all that were answered were sent before this WAIT */

    ngx_http_loyalty_lists_fail_one(link, NGX_HTTP_LOYALTY_LIST_ACKED, status);

    if (drain) {
        ngx_http_loyalty_lists_drain(link);
    }

    return NGX_OK;
}


void
ngx_http_loyalty_pipe_read(ngx_event_t *rev)
{
    ngx_int_t                 rc;
    ngx_connection_t         *c;
    ngx_http_loyalty_link_t  *link;

    c = rev->data;
    link = c->data;

    if (c->close) {
        ngx_http_loyalty_link_close(link);
        return;
    }

    rc = ngx_http_loyalty_pipe_recv(link);

    if (rc == NGX_OK && ngx_handle_read_event(rev, 0) != NGX_OK) {
        rc = NGX_ERROR;
    }

    if (rc == NGX_DONE) {
        ngx_http_loyalty_pipe_closed(link);
        return;
    }

    if (rc != NGX_OK) {
        ngx_http_loyalty_link_lost(link);
        return;
    }

    ngx_http_loyalty_lists_rest(link);
}


/* NGX_DONE: Redis closed; NGX_ERROR: was logged, the connection must go */

static ngx_int_t
ngx_http_loyalty_pipe_recv(ngx_http_loyalty_link_t *link)
{
    u_char            *in;
    ssize_t            n;
    ngx_connection_t  *c;

    c = link->dial.connection;
    in = link->worker->in;

    do {
        n = c->recv(c, in, NGX_HTTP_LOYALTY_REDIS_IN);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n <= 0) {
            return NGX_DONE;
        }

        if (loyalty_resp_feed(link->resp, in, n) != 0) {
            ngx_http_loyalty_pipe_protocol(link, "sent a bad reply",
                                           loyalty_resp_error(link->resp));
            return NGX_ERROR;
        }

        if (ngx_http_loyalty_pipe_replies(link) != NGX_OK) {
            return NGX_ERROR;
        }

    } while (c->read->ready);

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_pipe_replies(ngx_http_loyalty_link_t *link)
{
    int                    rc;
    uint64_t               now;
    loyalty_resp_reply_t  *reply;

    now = ngx_http_loyalty_usec();

    for ( ;; ) {
        rc = loyalty_resp_next(link->resp, &reply);

        if (rc == 0) {
            break;
        }

        if (rc < 0) {
            ngx_http_loyalty_pipe_protocol(link, "sent a bad reply",
                                           loyalty_resp_error(link->resp));
            return NGX_ERROR;
        }

        if (ngx_http_loyalty_pipe_reply(link, reply, now) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    /* half a reply, and no command it could be for */

    if (loyalty_resp_partial(link->resp)
        && link->counts[NGX_HTTP_LOYALTY_LIST_SENT] == 0)
    {
        ngx_http_loyalty_pipe_protocol(link, "sent what was not asked for",
                                       NULL);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_pipe_reply(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply, uint64_t now)
{
    ngx_queue_t                 *sent;
    ngx_http_loyalty_op_t       *op;
    ngx_http_loyalty_answer_pt   answer;

    sent = &link->lists[NGX_HTTP_LOYALTY_LIST_SENT];
    op = ngx_queue_empty(sent)
             ? NULL
             : ngx_queue_data(ngx_queue_head(sent), ngx_http_loyalty_op_t,
                              queue);

    if (op == NULL || op->copied < op->len
        || link->written < op->start + op->len)
    {
        ngx_http_loyalty_pipe_protocol(link, "sent what was not asked for",
                                       NULL);
        return NGX_ERROR;
    }

    link->progress = ngx_current_msec;

    if (op->own) {
        answer = op->answer;

        ngx_http_loyalty_op_move(op, NGX_HTTP_LOYALTY_LIST_NONE);
        ngx_http_loyalty_op_release(op);

        return answer(link, reply);
    }

    if (op->handler == NULL || op->due) {
        ngx_http_loyalty_stat(link->redis->program,
                              NGX_HTTP_LOYALTY_STAT_LATE, 1);
    }

    if (ngx_http_loyalty_library_missing(reply)) {
        return ngx_http_loyalty_library_load(link, op);
    }

    ngx_http_loyalty_stat_latency(link->redis->program, op->fn,
                                  (now > op->queued)
                                      ? (ngx_uint_t) (now - op->queued) : 0);

    return ngx_http_loyalty_pipe_answer(op, reply);
}


static ngx_int_t
ngx_http_loyalty_pipe_answer(ngx_http_loyalty_op_t *op,
    loyalty_resp_reply_t *reply)
{
    ngx_uint_t                  drain;
    ngx_http_loyalty_link_t    *link;
    ngx_http_loyalty_status_e   status;

    link = op->link;
    drain = 0;

    if (op->fn != NGX_HTTP_LOYALTY_GET && link->probing) {
        link->probing = 0;
        ngx_post_event(&link->flush, &ngx_posted_events);
    }

    if (ngx_http_loyalty_error(reply)) {
        status = ngx_http_loyalty_error_status(link, reply, &drain);

    } else {
        status = NGX_HTTP_LOYALTY_REPLY;

        if (op->fn != NGX_HTTP_LOYALTY_GET) {
            link->proven = 1;
        }

        if (link->trouble != NGX_HTTP_LOYALTY_TROUBLE_NONE
            && link->trouble != NGX_HTTP_LOYALTY_TROUBLE_WAIT)
        {
            ngx_http_loyalty_trouble_over(link);
        }
    }

    if (status == NGX_HTTP_LOYALTY_REPLY && op->handler != NULL && !op->due) {

        if (ngx_http_loyalty_op_keep(op, reply) != NGX_OK) {
            status = NGX_HTTP_LOYALTY_UNKNOWN;

        } else if (ngx_http_loyalty_pipe_confirmed(op)) {
            ngx_http_loyalty_op_move(op, NGX_HTTP_LOYALTY_LIST_ACKED);
            return NGX_OK;
        }
    }

    ngx_http_loyalty_op_finish(op, status);
    ngx_http_loyalty_op_move(op, NGX_HTTP_LOYALTY_LIST_NONE);
    ngx_http_loyalty_op_release(op);

    if (drain) {
        ngx_http_loyalty_lists_drain(link);
    }

    return NGX_OK;
}


/* Redis closed; between two commands this is no trouble */

static void
ngx_http_loyalty_pipe_closed(ngx_http_loyalty_link_t *link)
{
    ngx_uint_t  n;

    n = ngx_http_loyalty_lists_total(link);

    if (n != 0) {
        ngx_http_loyalty_stat(link->redis->program,
                              NGX_HTTP_LOYALTY_STAT_ERR_CLOSED, 1);
        ngx_http_loyalty_trouble(link, NGX_HTTP_LOYALTY_TROUBLE_CLOSED,
                                 "redis closed the connection with %ui "
                                 "operations waiting", n);

    } else {
        ngx_log_error(NGX_LOG_INFO, &link->log, 0,
                      "redis closed the connection");
    }

    ngx_http_loyalty_link_lost(link);
}


static void
ngx_http_loyalty_pipe_protocol(ngx_http_loyalty_link_t *link,
    const char *what, const char *detail)
{
    ngx_http_loyalty_stat(link->redis->program,
                          NGX_HTTP_LOYALTY_STAT_ERR_PROTOCOL, 1);

    ngx_http_loyalty_trouble(link, NGX_HTTP_LOYALTY_TROUBLE_PROTOCOL,
                             "redis %s%s%s, connection given up", what,
                             (detail != NULL) ? ": " : "",
                             (detail != NULL) ? detail : "");
}
