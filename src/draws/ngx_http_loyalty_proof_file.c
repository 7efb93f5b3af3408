/*
 * A published file, sent piece by piece: the next one is asked of Redis when
 * the client has taken the one before.
 */

#include "ngx_http_loyalty_proof.h"


static ngx_int_t ngx_http_loyalty_proof_size(ngx_http_loyalty_proof_t *ctx,
    ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_proof_next(ngx_http_loyalty_proof_t *ctx);
static ngx_int_t ngx_http_loyalty_proof_ask(ngx_http_loyalty_proof_t *ctx,
    off_t at, size_t len, ngx_http_loyalty_proof_pt reply);
static ngx_int_t ngx_http_loyalty_proof_piece(ngx_http_loyalty_proof_t *ctx,
    ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_proof_send(ngx_http_loyalty_proof_t *ctx,
    ngx_chain_t *out);
static void ngx_http_loyalty_proof_write(ngx_http_request_t *r);


/* first of all: how long it is, and that it is there; an instant win has a
   state like a sweepstakes, and no entries */

ngx_int_t
ngx_http_loyalty_proof_file(ngx_http_loyalty_proof_t *ctx)
{
    return ngx_http_loyalty_proof_ask(ctx, 0, 1, ngx_http_loyalty_proof_size);
}


static ngx_int_t
ngx_http_loyalty_proof_size(ngx_http_loyalty_proof_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    int64_t    n;
    ngx_int_t  rc;

    if (reply->n != 2
        || ngx_http_loyalty_reply_numbers(reply, 0, 1, &n) != NGX_OK
        || n == 0 || reply->values[1].len == 0)
    {
        return ngx_http_loyalty_proof_unknown(ctx);
    }

    ctx->size = ctx->record ? n * (off_t) ctx->record : n;

    rc = ngx_http_loyalty_proof_header(ctx);

    if (rc != NGX_OK) {
        return (rc == NGX_DONE) ? NGX_OK : rc;
    }

    ctx->buf = ngx_create_temp_buf(ctx->request->pool,
                      ngx_min(ctx->end - ctx->at, NGX_HTTP_LOYALTY_PIECE));
    if (ctx->buf == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_proof_next(ctx);
}


static ngx_int_t
ngx_http_loyalty_proof_next(ngx_http_loyalty_proof_t *ctx)
{
    off_t   left, chunk;
    size_t  len;

    left = ctx->end - ctx->at;
    len = (size_t) ngx_min(left, ctx->buf->end - ctx->buf->start);

    /* a piece lies in one chunk of a log */

    if (ctx->record) {
        chunk = (off_t) ctx->record * NGX_HTTP_LOYALTY_CHUNK;
        len = (size_t) ngx_min((off_t) len, chunk - ctx->at % chunk);
    }

    return ngx_http_loyalty_proof_ask(ctx, ctx->at, len,
                                      ngx_http_loyalty_proof_piece);
}


static ngx_int_t
ngx_http_loyalty_proof_ask(ngx_http_loyalty_proof_t *ctx, off_t at,
    size_t len, ngx_http_loyalty_proof_pt reply)
{
    u_char         buf[2][NGX_HTTP_LOYALTY_CAMPAIGN_KEY + 128], text[32];
    off_t          chunk;
    ngx_str_t      key[2], arg;
    ngx_uint_t     n;
    loyalty_mpw_t  w;

    n = 0;

    if (ctx->record) {
        chunk = (off_t) ctx->record * NGX_HTTP_LOYALTY_CHUNK;

        key[0].data = buf[0];
        key[0].len = ngx_sprintf(buf[0], "%*s:s", ctx->ntag, ctx->tag)
                     - buf[0];

        key[1].data = buf[1];
        key[1].len = ngx_sprintf(buf[1], "%*s:%s:%O", ctx->ntag, ctx->tag,
                                 ctx->record == LOYALTY_ENTRY_LEN ? "e" : "l",
                                 at / chunk)
                     - buf[1];
        at %= chunk;
        n = 2;

    } else {
        key[0].data = buf[0];
        key[0].len = ngx_sprintf(buf[0], "%*s:f:%V", ctx->ntag, ctx->tag,
                                 &ctx->file)
                     - buf[0];
        n = 1;
    }

    loyalty_mpw_init(&w, text, sizeof(text));
    loyalty_mpw_int(&w, at);
    loyalty_mpw_int(&w, (int64_t) len);

    arg.data = text;
    arg.len = w.pos - w.start;

    return ngx_http_loyalty_proof_call(ctx, NGX_HTTP_LOYALTY_FN_PIECE, n, key,
                                       &arg, reply);
}


static ngx_int_t
ngx_http_loyalty_proof_piece(ngx_http_loyalty_proof_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    size_t        len;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    b = ctx->buf;

    len = (reply->n == 2) ? reply->values[1].len : 0;

    if (len == 0 || len > (size_t) (b->end - b->start)
        || (off_t) len > ctx->end - ctx->at)
    {
        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "the published file \"%V\" became shorter in Redis "
                      "while it was sent", &ctx->file);
        return NGX_ERROR;
    }

    ngx_memcpy(b->start, reply->values[1].data, len);

    b->pos = b->start;
    b->last = b->start + len;
    ctx->at += len;

    b->flush = 1;
    b->last_buf = (ctx->at == ctx->end && ctx->request == ctx->request->main);
    b->last_in_chain = (ctx->at == ctx->end);

    out.buf = b;
    out.next = NULL;

    return ngx_http_loyalty_proof_send(ctx, &out);
}


/* out NULL: goes on with what nginx still has */

static ngx_int_t
ngx_http_loyalty_proof_send(ngx_http_loyalty_proof_t *ctx, ngx_chain_t *out)
{
    ngx_int_t                  rc;
    ngx_event_t               *wev;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = ctx->request;
    c = r->connection;

    rc = ngx_http_output_filter(r, out);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (ctx->at == ctx->end) {
        return rc;
    }

    if (!r->buffered && !(r == r->main && c->buffered)
        && ctx->buf->pos == ctx->buf->last)
    {
        return ngx_http_loyalty_proof_next(ctx);
    }

    wev = c->write;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    r->write_event_handler = ngx_http_loyalty_proof_write;

    if (!wev->delayed) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
        return NGX_ERROR;
    }

    return NGX_BUSY;
}


static void
ngx_http_loyalty_proof_write(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_event_t               *wev;
    ngx_connection_t          *c;
    ngx_http_loyalty_proof_t  *ctx;

    c = r->connection;
    wev = c->write;

    ctx = ngx_http_get_module_ctx(r, ngx_http_loyalty_module);

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client timed out");
        c->timedout = 1;
        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    if (ctx == NULL || ctx->op != NULL || wev->delayed) {
        return;
    }

    if (wev->timer_set) {
        ngx_del_timer(wev);
    }

    r->write_event_handler = ngx_http_request_empty_handler;

    rc = ngx_http_loyalty_proof_send(ctx, NULL);

    if (rc != NGX_BUSY) {
        ngx_http_finalize_request(r, rc);
    }
}
