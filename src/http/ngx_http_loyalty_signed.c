/*
 * What a signature is of.
 *
 * An event says all of itself in its body, and its id makes it count once.
 * What the admin API is asked stands in the path as well, and what makes it
 * count once in a header: there they are signed, too.
 */

#include "ngx_http_loyalty_access.h"


#define NGX_HTTP_LOYALTY_PIECE        8192
#define NGX_HTTP_LOYALTY_SIGNED_HEAD  6           /* parts */


static ngx_int_t ngx_http_loyalty_signed_head(ngx_http_request_t *r,
    ngx_str_t *parts);
static ngx_int_t ngx_http_loyalty_signed_file(loyalty_signature_key_t *key,
    ngx_buf_t *b);


ngx_uint_t
ngx_http_loyalty_signed_header(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    n = 0;
    ngx_str_null(value);

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        header = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (header[i].key.len == name->len
                && ngx_strncasecmp(header[i].key.data, name->data, name->len)
                   == 0)
            {
                *value = header[i].value;
                n++;
            }
        }
    }

    return n;
}


static ngx_int_t
ngx_http_loyalty_signed_head(ngx_http_request_t *r, ngx_str_t *parts)
{
    static ngx_str_t  name = ngx_string("idempotency-key");

    if (ngx_http_loyalty_signed_header(r, &name, &parts[4]) > 1) {
        return NGX_ERROR;
    }

    parts[0] = r->method_name;
    ngx_str_set(&parts[1], " ");
    parts[2] = r->unparsed_uri;
    ngx_str_set(&parts[3], "\n");
    ngx_str_set(&parts[5], "\n");

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_signed(ngx_http_request_t *r, loyalty_signature_key_t *key,
    ngx_str_t *body)
{
    ngx_int_t                     rc;
    ngx_buf_t                    *b;
    ngx_str_t                     parts[NGX_HTTP_LOYALTY_SIGNED_HEAD];
    ngx_uint_t                    i;
    ngx_chain_t                  *cl;
    ngx_http_loyalty_loc_conf_t  *llcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_module);

    if (llcf->api == NGX_HTTP_LOYALTY_ADMIN_API) {

        if (ngx_http_loyalty_signed_head(r, parts) != NGX_OK) {
            return NGX_ERROR;
        }

        for (i = 0; i < NGX_HTTP_LOYALTY_SIGNED_HEAD; i++) {
            if (parts[i].len
                && loyalty_signature_update(key, parts[i].data, parts[i].len)
                   != 0)
            {
                return NGX_ERROR;
            }
        }
    }

    if (body != NULL) {
        return (body->len == 0
                || loyalty_signature_update(key, body->data, body->len) == 0)
               ? NGX_OK : NGX_ERROR;
    }

    if (r->request_body == NULL) {
        return NGX_OK;
    }

    for (cl = r->request_body->bufs; cl != NULL; cl = cl->next) {

        b = cl->buf;
        rc = NGX_OK;

        if (ngx_buf_in_memory(b)) {
            if (b->last > b->pos) {
                rc = loyalty_signature_update(key, b->pos, b->last - b->pos);
            }

        } else if (b->in_file) {
            rc = ngx_http_loyalty_signed_file(key, b);
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_signed_file(loyalty_signature_key_t *key, ngx_buf_t *b)
{
    off_t    offset;
    size_t   size;
    u_char   piece[NGX_HTTP_LOYALTY_PIECE];
    ssize_t  n;

    for (offset = b->file_pos; offset < b->file_last; offset += n) {

        size = (size_t) ngx_min(b->file_last - offset,
                                NGX_HTTP_LOYALTY_PIECE);

        n = ngx_read_file(b->file, piece, size, offset);

        if (n == NGX_ERROR || n == 0
            || loyalty_signature_update(key, piece, n) != 0)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* the same bytes under a hash: whichever keys sign them, they are known */

ngx_int_t
ngx_http_loyalty_signed_digest(ngx_http_request_t *r, ngx_str_t *time,
    ngx_str_t *body, u_char *digest)
{
    ngx_str_t      parts[NGX_HTTP_LOYALTY_SIGNED_HEAD];
    ngx_uint_t     i;
    loyalty_sha_t  sha;

    if (ngx_http_loyalty_signed_head(r, parts) != NGX_OK) {
        return NGX_ERROR;
    }

    loyalty_sha_init(&sha);
    loyalty_sha_lp(&sha, time->data, time->len);

    for (i = 0; i < NGX_HTTP_LOYALTY_SIGNED_HEAD; i++) {
        loyalty_sha_lp(&sha, parts[i].data, parts[i].len);
    }

    loyalty_sha_lp(&sha, body->data, body->len);

    return (loyalty_sha_final(&sha, digest) == 0) ? NGX_OK : NGX_ERROR;
}
