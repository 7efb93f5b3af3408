/*
 * Fetches: dialled, written, read, and reported once.
 *
 * A fetch owns its memory, its log and its connection; whichever way it ends,
 * all of it goes in one place.  While it lives it is in the list of its URL.
 */


#include "ngx_http_loyalty_fetch.h"
#include "loyalty_http.h"


#define NGX_HTTP_LOYALTY_FETCH_HEAD   16384       /* bytes of a response */
#define NGX_HTTP_LOYALTY_FETCH_READ   4096        /* at once */
#define NGX_HTTP_LOYALTY_FETCH_ERROR  256         /* bytes of an error */


struct ngx_http_loyalty_fetch_s {
    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_http_loyalty_url_t             *url;
    ngx_http_loyalty_fetch_handler_pt   handler;
    void                               *data;
    ngx_int_t                           ident;

    ngx_queue_t                         queue;
    ngx_pool_t                         *pool;
    ngx_log_t                           log;
    ngx_http_loyalty_dial_t             dial;
    ngx_event_t                         start;    /* posted */
    ngx_event_t                         timer;
    ngx_msec_t                          timeout;

    ngx_str_t                           rest;     /* of the request */
    loyalty_http_t                      http;
    ngx_str_t                           body;
    size_t                              room;

    size_t                              nerror;
    u_char                              error[NGX_HTTP_LOYALTY_FETCH_ERROR];
};


static ngx_int_t ngx_http_loyalty_fetch_request(
    ngx_http_loyalty_fetch_t *fetch, ngx_http_loyalty_fetch_conf_t *conf);
static u_char *ngx_http_loyalty_fetch_log(ngx_log_t *log, u_char *buf,
    size_t len);
static void ngx_http_loyalty_fetch_begin(ngx_event_t *ev);
static void ngx_http_loyalty_fetch_trouble(ngx_http_loyalty_dial_t *dial,
    ngx_str_t *text);
static void ngx_http_loyalty_fetch_dialled(ngx_http_loyalty_dial_t *dial,
    ngx_int_t rc);
static void ngx_http_loyalty_fetch_lost(ngx_http_loyalty_fetch_t *fetch);
static void ngx_http_loyalty_fetch_write(ngx_event_t *wev);
static void ngx_http_loyalty_fetch_written(ngx_event_t *wev);
static void ngx_http_loyalty_fetch_read(ngx_event_t *rev);
static ngx_int_t ngx_http_loyalty_fetch_feed(ngx_http_loyalty_fetch_t *fetch,
    u_char *buf, size_t n);
static ngx_int_t ngx_http_loyalty_fetch_keep(ngx_http_loyalty_fetch_t *fetch,
    const u_char *data, size_t len);
static void ngx_http_loyalty_fetch_timer(ngx_event_t *ev);
static void ngx_http_loyalty_fetch_fail(ngx_http_loyalty_fetch_t *fetch,
    const char *fmt, ...);
static void ngx_http_loyalty_fetch_finish(ngx_http_loyalty_fetch_t *fetch);
static void ngx_http_loyalty_fetch_close(ngx_http_loyalty_fetch_t *fetch);
static void ngx_http_loyalty_fetch_free(ngx_http_loyalty_fetch_t *fetch);


ngx_http_loyalty_fetch_t *
ngx_http_loyalty_fetch_start(ngx_http_loyalty_fetch_conf_t *conf)
{
    ngx_http_loyalty_fetch_t  *fetch;

    fetch = ngx_calloc(sizeof(ngx_http_loyalty_fetch_t), ngx_cycle->log);
    if (fetch == NULL) {
        return NULL;
    }

    fetch->url = conf->url;
    fetch->handler = conf->handler;
    fetch->data = conf->data;
    fetch->ident = -1;
    fetch->timeout = conf->timeout;

    fetch->log = *ngx_cycle->log;
    fetch->log.handler = ngx_http_loyalty_fetch_log;
    fetch->log.data = fetch;
    fetch->log.action = NULL;
    fetch->log.connection = 0;

    fetch->pool = ngx_create_pool(1024, &fetch->log);
    if (fetch->pool == NULL) {
        ngx_free(fetch);
        return NULL;
    }

    if (ngx_http_loyalty_fetch_request(fetch, conf) != NGX_OK) {
        ngx_http_loyalty_fetch_free(fetch);
        return NULL;
    }

    ngx_http_loyalty_dial_init(&fetch->dial, &conf->url->remote, &fetch->log);
    fetch->dial.data = fetch;
    fetch->dial.handler = ngx_http_loyalty_fetch_dialled;
    fetch->dial.trouble = ngx_http_loyalty_fetch_trouble;

    loyalty_http_init(&fetch->http, NGX_HTTP_LOYALTY_FETCH_HEAD,
                      conf->max_body);

    fetch->start.handler = ngx_http_loyalty_fetch_begin;
    fetch->start.data = fetch;
    fetch->start.log = &fetch->log;

    fetch->timer.handler = ngx_http_loyalty_fetch_timer;
    fetch->timer.data = fetch;
    fetch->timer.log = &fetch->log;
    fetch->timer.cancelable = 1;

    ngx_queue_insert_tail(&conf->url->fetches, &fetch->queue);
    ngx_add_timer(&fetch->timer, fetch->timeout);
    ngx_post_event(&fetch->start, &ngx_posted_events);

    return fetch;
}


static ngx_int_t
ngx_http_loyalty_fetch_request(ngx_http_loyalty_fetch_t *fetch,
    ngx_http_loyalty_fetch_conf_t *conf)
{
    u_char      *p;
    size_t       size;
    ngx_str_t   *path;

    static ngx_str_t  root = ngx_string("/");

    path = &conf->url->path;

    if (path->len == 0 && conf->path.len == 0) {
        path = &root;
    }

    size = sizeof("POST  HTTP/1.1" CRLF
                  "Host: " CRLF
                  "User-Agent: nginx-loyalty" CRLF
                  "Connection: close" CRLF
                  "Content-Length: " CRLF
                  CRLF)
           + NGX_SIZE_T_LEN + path->len + conf->path.len
           + conf->url->host.len + conf->headers.len + conf->body.len;

    p = ngx_pnalloc(fetch->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    fetch->rest.data = p;

    p = ngx_sprintf(p, "%s %V%V HTTP/1.1" CRLF
                       "Host: %V" CRLF
                       "User-Agent: nginx-loyalty" CRLF
                       "Connection: close" CRLF
                       "%V",
                    (conf->body.data == NULL) ? "GET" : "POST", path,
                    &conf->path, &conf->url->host, &conf->headers);

    if (conf->body.data != NULL) {
        p = ngx_sprintf(p, "Content-Length: %uz" CRLF, conf->body.len);
    }

    p = ngx_cpymem(p, CRLF, sizeof(CRLF) - 1);
    p = ngx_cpymem(p, conf->body.data, conf->body.len);

    fetch->rest.len = p - fetch->rest.data;

    return NGX_OK;
}


static u_char *
ngx_http_loyalty_fetch_log(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char                    *p;
    ngx_http_loyalty_fetch_t  *fetch;

    p = buf;
    fetch = log->data;

    if (log->action != NULL) {
        p = ngx_snprintf(p, len, " while %s", log->action);
        len -= p - buf;
    }

    return ngx_snprintf(p, len, ", url: %V, program: %V",
                        &fetch->url->text, &fetch->url->program->name);
}


static void
ngx_http_loyalty_fetch_begin(ngx_event_t *ev)
{
    ngx_http_loyalty_fetch_t  *fetch;

    fetch = ev->data;

    ngx_http_loyalty_dial_start(&fetch->dial, fetch->timeout);
}


/* kept for the report; the dialler goes on with the next address */

static void
ngx_http_loyalty_fetch_trouble(ngx_http_loyalty_dial_t *dial, ngx_str_t *text)
{
    ngx_http_loyalty_fetch_t  *fetch;

    fetch = dial->data;

    fetch->nerror = ngx_min(text->len, NGX_HTTP_LOYALTY_FETCH_ERROR);
    ngx_memcpy(fetch->error, text->data, fetch->nerror);
}


static void
ngx_http_loyalty_fetch_dialled(ngx_http_loyalty_dial_t *dial, ngx_int_t rc)
{
    ngx_connection_t          *c;
    ngx_http_loyalty_fetch_t  *fetch;

    fetch = dial->data;

    if (rc == NGX_ABORT) {
        ngx_http_loyalty_fetch_fail(fetch, "nginx closes its connections");
        return;
    }

    if (rc != NGX_OK) {
        ngx_http_loyalty_fetch_lost(fetch);
        return;
    }

    c = dial->connection;

    c->data = fetch;
    c->read->handler = ngx_http_loyalty_fetch_read;
    c->write->handler = ngx_http_loyalty_fetch_write;

    fetch->nerror = 0;
    fetch->log.action = "sending a request";

    /* what came before this handler was set will not be announced again */

    if (c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);
    }

    ngx_http_loyalty_fetch_write(c->write);
}


/* no address worked: what the last one had to say */

static void
ngx_http_loyalty_fetch_lost(ngx_http_loyalty_fetch_t *fetch)
{
    u_char  *last;
    u_char   text[NGX_HTTP_LOYALTY_FETCH_ERROR];

    if (fetch->nerror != 0) {
        ngx_http_loyalty_fetch_finish(fetch);
        return;
    }

#if (NGX_SSL)

    if (fetch->dial.connection != NULL && fetch->dial.connection->ssl != NULL)
    {
        ngx_http_loyalty_fetch_fail(fetch, "the TLS handshake failed");
        return;
    }

#endif

    if (fetch->dial.err != 0) {
        last = ngx_strerror(fetch->dial.err, text, sizeof(text));

        ngx_http_loyalty_fetch_fail(fetch, "no connection (%d: %*s)",
                                    fetch->dial.err, (size_t) (last - text),
                                    text);
        return;
    }

    ngx_http_loyalty_fetch_fail(fetch, "no connection");
}


static void
ngx_http_loyalty_fetch_write(ngx_event_t *wev)
{
    ssize_t                    n;
    ngx_connection_t          *c;
    ngx_http_loyalty_fetch_t  *fetch;

    c = wev->data;
    fetch = c->data;

    if (c->close) {
        ngx_http_loyalty_fetch_fail(fetch, "nginx closes its connections");
        return;
    }

    while (fetch->rest.len != 0) {
        n = c->send(c, fetch->rest.data, fetch->rest.len);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n <= 0) {
            ngx_http_loyalty_fetch_fail(fetch, "the request could not be "
                                        "sent");
            return;
        }

        fetch->rest.data += n;
        fetch->rest.len -= n;
    }

    if (fetch->rest.len == 0) {
        fetch->log.action = "reading a response";
        wev->handler = ngx_http_loyalty_fetch_written;
    }

    if (ngx_handle_write_event(wev, 0) != NGX_OK) {
        ngx_http_loyalty_fetch_fail(fetch, "no event");
    }
}


static void
ngx_http_loyalty_fetch_written(ngx_event_t *wev)
{
    ngx_connection_t  *c;

    c = wev->data;

    if (c->close) {
        ngx_http_loyalty_fetch_fail(c->data, "nginx closes its connections");
    }
}


static void
ngx_http_loyalty_fetch_read(ngx_event_t *rev)
{
    u_char                     buf[NGX_HTTP_LOYALTY_FETCH_READ];
    ssize_t                    n;
    ngx_int_t                  rc;
    ngx_connection_t          *c;
    ngx_http_loyalty_fetch_t  *fetch;

    c = rev->data;
    fetch = c->data;

    if (c->close) {
        ngx_http_loyalty_fetch_fail(fetch, "nginx closes its connections");
        return;
    }

    do {
        n = c->recv(c, buf, NGX_HTTP_LOYALTY_FETCH_READ);

        if (n == NGX_AGAIN) {
            if (ngx_handle_read_event(rev, 0) != NGX_OK) {
                ngx_http_loyalty_fetch_fail(fetch, "no event");
            }

            return;
        }

        if (n < 0) {
            ngx_http_loyalty_fetch_fail(fetch, "the connection broke");
            return;
        }

        rc = ngx_http_loyalty_fetch_feed(fetch, buf, n);

    } while (rc == NGX_AGAIN);

    if (rc == NGX_OK) {
        ngx_http_loyalty_fetch_finish(fetch);
    }
}


/* n of 0: the end.  NGX_OK: the response is complete; NGX_ERROR: the fetch
   is gone */

static ngx_int_t
ngx_http_loyalty_fetch_feed(ngx_http_loyalty_fetch_t *fetch, u_char *buf,
    size_t n)
{
    int                   rc;
    size_t                len;
    const u_char         *p, *data;
    loyalty_http_t       *http;

    http = &fetch->http;
    p = buf;

    if (n == 0) {
        rc = loyalty_http_end(http);

    } else {
        while ((rc = loyalty_http_read(http, &p, buf + n, &data, &len))
               == LOYALTY_HTTP_BODY)
        {
            if (ngx_http_loyalty_fetch_keep(fetch, data, len) != NGX_OK) {
                ngx_http_loyalty_fetch_fail(fetch, "no memory");
                return NGX_ERROR;
            }
        }
    }

    if (rc == LOYALTY_HTTP_AGAIN) {
        return NGX_AGAIN;
    }

    if (rc == LOYALTY_HTTP_ERROR) {
        ngx_http_loyalty_fetch_fail(fetch, "%s", http->error);
        return NGX_ERROR;
    }

    if (http->status >= 300 && http->status < 400) {
        ngx_http_loyalty_fetch_fail(fetch, "status %ui, and no redirect is "
                                    "followed", (ngx_uint_t) http->status);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_fetch_keep(ngx_http_loyalty_fetch_t *fetch,
    const u_char *data, size_t len)
{
    u_char  *p;
    size_t   room;

    if (len > fetch->room - fetch->body.len) {
        room = ngx_max(2 * fetch->room, fetch->body.len + len);
        room = ngx_max(room, NGX_HTTP_LOYALTY_FETCH_READ);

        p = ngx_palloc(fetch->pool, room);
        if (p == NULL) {
            return NGX_ERROR;
        }

        if (fetch->body.data != NULL) {
            ngx_memcpy(p, fetch->body.data, fetch->body.len);
            (void) ngx_pfree(fetch->pool, fetch->body.data);
        }

        fetch->body.data = p;
        fetch->room = room;
    }

    ngx_memcpy(fetch->body.data + fetch->body.len, data, len);
    fetch->body.len += len;

    return NGX_OK;
}


static void
ngx_http_loyalty_fetch_timer(ngx_event_t *ev)
{
    ngx_http_loyalty_fetch_t  *fetch;

    fetch = ev->data;

    ngx_http_loyalty_fetch_fail(fetch, "timed out%s%s",
                                fetch->log.action ? " while " : "",
                                fetch->log.action ? fetch->log.action : "");
}


static void
ngx_http_loyalty_fetch_fail(ngx_http_loyalty_fetch_t *fetch, const char *fmt,
    ...)
{
    va_list  args;

    va_start(args, fmt);
    fetch->nerror = ngx_vslprintf(fetch->error,
                                  fetch->error + NGX_HTTP_LOYALTY_FETCH_ERROR,
                                  fmt, args)
                    - fetch->error;
    va_end(args);

    ngx_http_loyalty_fetch_finish(fetch);
}


static void
ngx_http_loyalty_fetch_finish(ngx_http_loyalty_fetch_t *fetch)
{
    ngx_http_loyalty_fetched_t  fetched;

    ngx_http_loyalty_fetch_close(fetch);

    ngx_memzero(&fetched, sizeof(ngx_http_loyalty_fetched_t));

    if (fetch->nerror != 0) {
        fetched.error.data = fetch->error;
        fetched.error.len = fetch->nerror;

    } else {
        fetched.status = fetch->http.status;
        fetched.body = fetch->body;
    }

    fetch->handler(fetch->data, &fetched);

    ngx_http_loyalty_fetch_free(fetch);
}


void
ngx_http_loyalty_fetch_cancel(ngx_http_loyalty_fetch_t *fetch)
{
    ngx_http_loyalty_fetch_close(fetch);
    ngx_http_loyalty_fetch_free(fetch);
}


void
ngx_http_loyalty_url_exit(ngx_http_loyalty_url_t *url)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&url->fetches)) {
        q = ngx_queue_head(&url->fetches);

        ngx_http_loyalty_fetch_cancel(
                          ngx_queue_data(q, ngx_http_loyalty_fetch_t, queue));
    }
}


static void
ngx_http_loyalty_fetch_close(ngx_http_loyalty_fetch_t *fetch)
{
    ngx_queue_remove(&fetch->queue);

    if (fetch->timer.timer_set) {
        ngx_del_timer(&fetch->timer);
    }

    if (fetch->start.posted) {
        ngx_delete_posted_event(&fetch->start);
    }

    ngx_http_loyalty_dial_close(&fetch->dial);
}


static void
ngx_http_loyalty_fetch_free(ngx_http_loyalty_fetch_t *fetch)
{
    /* the pool logs, and its log is the fetch's */

    ngx_destroy_pool(fetch->pool);
    ngx_free(fetch);
}
