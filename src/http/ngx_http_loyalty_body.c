/*
 * The body of a request, in one piece.
 *
 * A body that fits into nginx's buffer is read as usual.  A larger one would
 * go through a temporary file, and one of unknown length past the limit that
 * is ours to watch: these are taken as they come.
 */

#include "ngx_http_loyalty_http.h"
#include "ngx_http_loyalty_body.h"


#define NGX_HTTP_LOYALTY_BODY_FIRST   16384


static void ngx_http_loyalty_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_loyalty_body_watch(ngx_http_request_t *r);
static ngx_int_t ngx_http_loyalty_body_collect(ngx_http_request_t *r,
    ngx_http_loyalty_body_t *body);
static ngx_int_t ngx_http_loyalty_body_copy(ngx_http_request_t *r,
    ngx_http_loyalty_body_t *body, ngx_buf_t *b);
static ngx_int_t ngx_http_loyalty_body_room(ngx_http_request_t *r,
    ngx_http_loyalty_body_t *body, off_t size);


ngx_http_loyalty_body_e
ngx_http_loyalty_body_type(ngx_http_request_t *r)
{
    u_char     *p, *last;
    ngx_str_t   type;

    static ngx_str_t  json = ngx_string("application/json");
    static ngx_str_t  ndjson = ngx_string("application/x-ndjson");

    if (r->headers_in.content_type == NULL) {
        return NGX_HTTP_LOYALTY_BODY_OTHER;
    }

    type = r->headers_in.content_type->value;
    last = type.data + type.len;

    /* parameters do not matter: JSON is UTF-8 */

    for (p = type.data; p < last; p++) {
        if (*p == ';' || *p == ' ' || *p == '\t') {
            break;
        }
    }

    type.len = p - type.data;

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    if (p < last && *p != ';') {
        return NGX_HTTP_LOYALTY_BODY_OTHER;
    }

    if (type.len == json.len
        && ngx_strncasecmp(type.data, json.data, json.len) == 0)
    {
        return NGX_HTTP_LOYALTY_BODY_JSON;
    }

    if (type.len == ndjson.len
        && ngx_strncasecmp(type.data, ndjson.data, ndjson.len) == 0)
    {
        return NGX_HTTP_LOYALTY_BODY_NDJSON;
    }

    return NGX_HTTP_LOYALTY_BODY_OTHER;
}


off_t
ngx_http_loyalty_body_max(ngx_http_request_t *r, off_t most)
{
    ngx_http_loyalty_loc_conf_t  *llcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_module);

    if (llcf->max_body && llcf->max_body < most) {
        return llcf->max_body;
    }

    return most;
}


ngx_int_t
ngx_http_loyalty_body_read(ngx_http_request_t *r,
    ngx_http_loyalty_body_t *body)
{
    ngx_int_t                  rc;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (r->headers_in.chunked
        || r->headers_in.content_length_n
           > (off_t) clcf->client_body_buffer_size)
    {
        r->request_body_no_buffering = 1;
    }

    rc = ngx_http_read_client_request_body(r, ngx_http_loyalty_body_handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


/* called when the body is there, or as it comes */

static void
ngx_http_loyalty_body_handler(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_http_loyalty_body_t  *body;

    body = ngx_http_get_module_ctx(r, ngx_http_loyalty_module);

    if (r->reading_body) {
        body->unbuffered = 1;
    }

    for ( ;; ) {

        rc = ngx_http_loyalty_body_collect(r, body);

        if (rc != NGX_OK || !r->reading_body) {
            break;
        }

        rc = ngx_http_read_unbuffered_request_body(r);

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
            break;
        }

        if (rc == NGX_AGAIN && r->request_body->bufs == NULL) {
            r->read_event_handler = ngx_http_loyalty_body_handler;
            return;
        }
    }

    if (rc == NGX_ERROR) {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    body->handler(r, body, rc);
}


/* NGX_DECLINED: the body is too large */

static ngx_int_t
ngx_http_loyalty_body_collect(ngx_http_request_t *r,
    ngx_http_loyalty_body_t *body)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t  *cl, *next;

    if (r->request_body == NULL) {
        return NGX_OK;
    }

    cl = r->request_body->bufs;

    if (cl == NULL) {
        return NGX_OK;
    }

    b = cl->buf;

    if (cl->next == NULL && ngx_buf_in_memory(b) && !r->reading_body
        && body->start == NULL)
    {
        /* all of it in one piece */

        body->start = b->pos;
        body->last = b->last;
        body->end = b->last;

        return (b->last - b->pos > body->max) ? NGX_DECLINED : NGX_OK;
    }

    for ( /* void */ ; cl != NULL; cl = next) {

        next = cl->next;

        rc = ngx_http_loyalty_body_copy(r, body, cl->buf);

        if (rc != NGX_OK) {
            return rc;
        }

        /* nginx reuses what is consumed; a body that another module had
           read before is left as it is */

        if (body->unbuffered) {
            cl->buf->pos = cl->buf->last;
            ngx_free_chain(r->pool, cl);
        }
    }

    if (body->unbuffered) {
        r->request_body->bufs = NULL;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_body_copy(ngx_http_request_t *r,
    ngx_http_loyalty_body_t *body, ngx_buf_t *b)
{
    off_t      size, offset;
    ssize_t    n;
    ngx_int_t  rc;

    size = ngx_buf_in_memory(b) ? b->last - b->pos
                                : b->in_file ? b->file_last - b->file_pos : 0;

    rc = ngx_http_loyalty_body_room(r, body, size);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_buf_in_memory(b)) {
        body->last = ngx_cpymem(body->last, b->pos, size);
        return NGX_OK;
    }

    for (offset = b->file_pos; size > 0; offset += n, size -= n) {

        n = ngx_read_file(b->file, body->last, (size_t) size, offset);

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (n == 0) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "the temporary file of the request body ended "
                          "early");
            return NGX_ERROR;
        }

        body->last += n;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_body_room(ngx_http_request_t *r,
    ngx_http_loyalty_body_t *body, off_t size)
{
    off_t    used, total;
    u_char  *p;

    used = body->last - body->start;

    if (size > body->max - used) {
        return NGX_DECLINED;
    }

    if (size <= body->end - body->last) {
        return NGX_OK;
    }

    if (r->headers_in.chunked) {
        total = ngx_max(2 * (body->end - body->start),
                        NGX_HTTP_LOYALTY_BODY_FIRST);

    } else {
        total = r->headers_in.content_length_n;
    }

    total = ngx_max(total, used + size);

    p = ngx_palloc(r->pool, (size_t) total);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (used) {
        ngx_memcpy(p, body->start, (size_t) used);
        ngx_pfree(r->pool, body->start);
    }

    body->start = p;
    body->last = p + used;
    body->end = p + total;

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_body_line(ngx_http_loyalty_body_t *body, u_char **pos,
    ngx_uint_t *number, ngx_str_t *line)
{
    u_char  *end;

    while (*pos < body->last) {

        end = ngx_strlchr(*pos, body->last, '\n');
        end = (end != NULL) ? end : body->last;

        line->data = *pos;
        line->len = end - *pos;

        *pos = end + 1;
        (*number)++;

        if (line->len && line->data[line->len - 1] == '\r') {
            line->len--;
        }

        if (line->len != 0) {
            return NGX_OK;
        }
    }

    return NGX_DONE;
}


ngx_int_t
ngx_http_loyalty_body_none(ngx_http_request_t *r, ngx_int_t rc)
{
    if (rc != NGX_BUSY) {
        return rc;
    }

    r->main->count++;

    if (ngx_http_loyalty_body_watch(r) != NGX_OK) {
        r->main->count--;
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DONE;
}


void
ngx_http_loyalty_body_done(ngx_http_request_t *r, ngx_int_t rc)
{
    if (rc == NGX_BUSY) {

        if (ngx_http_loyalty_body_watch(r) == NGX_OK) {
            return;
        }

        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_finalize_request(r, rc);
}


static ngx_int_t
ngx_http_loyalty_body_watch(ngx_http_request_t *r)
{
    ngx_event_t  *rev;

    /* a body that is still being discarded has its own reader */

    if (r != r->main || r->discard_body) {
        return NGX_OK;
    }

    rev = r->connection->read;

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    if (rev->ready) {
        ngx_post_event(rev, &ngx_posted_events);

    } else if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    return NGX_OK;
}
