/*
 * The header of a published file.  Files only grow, so their length tells
 * what they hold: it is their ETag.  A request asks for all of a file or for
 * one range of it; several ranges, or one beside If-None-Match, get the whole
 * file, which HTTP allows.
 */

#include "ngx_http_loyalty_proof.h"


static ngx_int_t ngx_http_loyalty_proof_etag(ngx_http_request_t *r,
    ngx_str_t *etag);
static ngx_int_t ngx_http_loyalty_proof_range(ngx_http_loyalty_proof_t *ctx,
    ngx_str_t *etag);
static ngx_int_t ngx_http_loyalty_proof_bytes(ngx_str_t *value, off_t size,
    off_t *at, off_t *end);
static off_t ngx_http_loyalty_proof_digits(u_char **p, u_char *last);
static ngx_int_t ngx_http_loyalty_proof_content_range(
    ngx_http_loyalty_proof_t *ctx, const char *fmt, ...);
static void ngx_http_loyalty_proof_type(ngx_http_loyalty_proof_t *ctx);


ngx_int_t
ngx_http_loyalty_proof_text(ngx_http_loyalty_proof_t *ctx, u_char *p,
    size_t len)
{
    u_char               hash[LOYALTY_HASH], hex[16];
    ngx_int_t            rc;
    ngx_buf_t           *b;
    ngx_str_t            etag;
    ngx_chain_t          out;
    ngx_http_request_t  *r;

    r = ctx->request;
    ctx->text = 1;

    if (len == 0) {
        return ngx_http_loyalty_proof_unknown(ctx);
    }

    etag.data = ngx_pnalloc(r->pool, sizeof(hex) + 2);
    b = ngx_calloc_buf(r->pool);

    if (etag.data == NULL || b == NULL || loyalty_sha(hash, p, len) != 0) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    loyalty_hex(hex, hash, sizeof(hex) / 2);
    etag.len = ngx_sprintf(etag.data, "\"%*s\"", sizeof(hex), hex)
               - etag.data;

    ngx_http_loyalty_proof_type(ctx);

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = len;

    if (ngx_http_loyalty_proof_etag(r, &etag) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* it is small, and all here: nginx itself cuts ranges out of it */

    r->allow_ranges = 1;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->pos = p;
    b->last = p + len;
    b->memory = 1;
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


ngx_int_t
ngx_http_loyalty_proof_header(ngx_http_loyalty_proof_t *ctx)
{
    ngx_int_t            rc;
    ngx_str_t            etag;
    ngx_http_request_t  *r;

    r = ctx->request;

    etag.data = ngx_pnalloc(r->pool, NGX_OFF_T_LEN + 2);
    if (etag.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    etag.len = ngx_sprintf(etag.data, "\"%xO\"", ctx->size) - etag.data;

    r->headers_out.status = NGX_HTTP_OK;
    ctx->at = 0;
    ctx->end = ctx->size;

    ngx_http_loyalty_proof_type(ctx);

    if (ngx_http_loyalty_proof_etag(r, &etag) != NGX_OK
        || ngx_http_loyalty_header(r, "Accept-Ranges",
                                   sizeof("Accept-Ranges") - 1,
                                   &(ngx_str_t) ngx_string("bytes"))
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_loyalty_proof_range(ctx, &etag);

    if (rc != NGX_OK) {
        return rc;
    }

    r->headers_out.content_length_n = ctx->end - ctx->at;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return (rc == NGX_OK) ? NGX_DONE : rc;
    }

    ctx->sent = 1;

    return NGX_OK;
}


static void
ngx_http_loyalty_proof_type(ngx_http_loyalty_proof_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ctx->text) {
        ngx_str_set(&r->headers_out.content_type, "text/plain");
        ngx_str_set(&r->headers_out.charset, "utf-8");

    } else {
        ngx_str_set(&r->headers_out.content_type, "application/octet-stream");
    }

    r->headers_out.content_type_len = r->headers_out.content_type.len;
}


static ngx_int_t
ngx_http_loyalty_proof_etag(ngx_http_request_t *r, ngx_str_t *etag)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    ngx_str_set(&h->key, "ETag");
    h->value = *etag;

#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    r->headers_out.etag = h;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_proof_range(ngx_http_loyalty_proof_t *ctx, ngx_str_t *etag)
{
    off_t                at, end;
    ngx_table_elt_t     *if_range;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (r->headers_in.range == NULL || r != r->main
        || r->headers_in.if_none_match != NULL)
    {
        return NGX_OK;
    }

    if_range = r->headers_in.if_range;

    if (if_range != NULL
        && (if_range->value.len != etag->len
            || ngx_memcmp(if_range->value.data, etag->data, etag->len) != 0))
    {
        return NGX_OK;
    }

    switch (ngx_http_loyalty_proof_bytes(&r->headers_in.range->value,
                                         ctx->size, &at, &end))
    {
    case NGX_OK:
        break;

    case NGX_DECLINED:
        return NGX_OK;

    default: /* NGX_ERROR: it is not satisfiable */
        if (ngx_http_loyalty_proof_content_range(ctx, "bytes */%O", ctx->size)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return NGX_HTTP_RANGE_NOT_SATISFIABLE;
    }

    ctx->at = at;
    ctx->end = end;

    r->headers_out.status = NGX_HTTP_PARTIAL_CONTENT;
    r->headers_out.status_line.len = 0;

    return ngx_http_loyalty_proof_content_range(ctx, "bytes %O-%O/%O", at,
                                                end - 1, ctx->size);
}


/* one range: NGX_OK; NGX_DECLINED: anything else, which is left alone */

static ngx_int_t
ngx_http_loyalty_proof_bytes(ngx_str_t *value, off_t size, off_t *at,
    off_t *end)
{
    u_char  *p, *last;
    off_t    first, final;

    p = value->data;
    last = p + value->len;

    if (value->len < 7
        || ngx_strncasecmp(p, (u_char *) "bytes=", 6) != 0)
    {
        return NGX_DECLINED;
    }

    p += 6;

    first = ngx_http_loyalty_proof_digits(&p, last);

    if (first == NGX_ERROR || p == last || *p != '-') {
        return NGX_DECLINED;
    }

    p++;

    final = ngx_http_loyalty_proof_digits(&p, last);

    if (final == NGX_ERROR || p != last
        || (first == NGX_DECLINED && final == NGX_DECLINED))
    {
        return NGX_DECLINED;
    }

    if (first == NGX_DECLINED) {

        /* the last so many bytes */

        if (final == 0) {
            return NGX_ERROR;
        }

        *at = (final >= size) ? 0 : size - final;
        *end = size;
        return NGX_OK;
    }

    if (final != NGX_DECLINED && final < first) {
        return NGX_DECLINED;
    }

    if (first >= size) {
        return NGX_ERROR;
    }

    *at = first;
    *end = (final == NGX_DECLINED || final >= size) ? size : final + 1;

    return NGX_OK;
}


/* NGX_DECLINED: there is none; NGX_ERROR: too many */

static off_t
ngx_http_loyalty_proof_digits(u_char **p, u_char *last)
{
    off_t    n;
    u_char  *start;

    start = *p;

    while (*p < last && **p >= '0' && **p <= '9') {
        (*p)++;
    }

    if (*p == start) {
        return NGX_DECLINED;
    }

    n = ngx_atoof(start, *p - start);

    return n;
}


static ngx_int_t
ngx_http_loyalty_proof_content_range(ngx_http_loyalty_proof_t *ctx,
    const char *fmt, ...)
{
    va_list              args;
    ngx_table_elt_t     *h;
    ngx_http_request_t  *r;

    r = ctx->request;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    ngx_str_set(&h->key, "Content-Range");

#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    h->value.data = ngx_pnalloc(r->pool, sizeof("bytes -/")
                                         + 3 * NGX_OFF_T_LEN);
    if (h->value.data == NULL) {
        h->hash = 0;
        return NGX_ERROR;
    }

    va_start(args, fmt);
    h->value.len = ngx_vslprintf(h->value.data,
                                 h->value.data + sizeof("bytes -/")
                                 + 3 * NGX_OFF_T_LEN, fmt, args)
                   - h->value.data;
    va_end(args);

    r->headers_out.content_range = h;

    return NGX_OK;
}
