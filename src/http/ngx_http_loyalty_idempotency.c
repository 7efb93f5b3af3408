/*
 * Idempotency-Key: read from the request, and made into what Redis keeps.
 *
 * The fingerprint and the id are hashes over lengths and texts, so that no
 * two scopes run into each other.  The id needs no secret: it stays inside
 * the member's record.
 */

#include "ngx_http_loyalty_idempotency.h"

#include <openssl/evp.h>
#include <openssl/rand.h>


static ngx_int_t ngx_http_loyalty_idempotency_key(ngx_http_request_t *r,
    ngx_str_t *key, ngx_http_loyalty_fault_t *fault);
static ngx_int_t ngx_http_loyalty_idempotency_draw(ngx_http_request_t *r,
    ngx_str_t *key);
static ngx_int_t ngx_http_loyalty_idempotency_scope(EVP_MD_CTX *md,
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_idempotency_text(EVP_MD_CTX *md,
    const u_char *p, size_t len);
static int ngx_http_loyalty_idempotency_dump(const char *buffer, size_t size,
    void *data);


ngx_int_t
ngx_http_loyalty_idempotency(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_idempotency_t *idempotency,
    ngx_http_loyalty_fault_t *fault)
{
    u_char       hash[EVP_MAX_MD_SIZE];
    ngx_int_t    rc;
    EVP_MD_CTX  *md;

    rc = ngx_http_loyalty_idempotency_key(ctx->request, &idempotency->key,
                                          fault);

    if (rc == NGX_DONE) {

        if (!ctx->program->idempotency_optional) {
            ngx_http_loyalty_fault(fault, NGX_HTTP_LOYALTY_P_KEY_REQUIRED,
                                   "an Idempotency-Key header of 1 to %d "
                                   "bytes is expected, new for each request "
                                   "and the same when it is repeated",
                                   NGX_HTTP_LOYALTY_KEY);
            return NGX_DECLINED;
        }

        rc = ngx_http_loyalty_idempotency_draw(ctx->request,
                                               &idempotency->key);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    md = EVP_MD_CTX_new();
    if (md == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_loyalty_idempotency_scope(md, ctx);

    /* no body and an empty object ask for the same */

    if (rc == NGX_OK && ctx->json != NULL && json_object_size(ctx->json)
        && json_dump_callback(ctx->json, ngx_http_loyalty_idempotency_dump,
                              md, JSON_COMPACT|JSON_SORT_KEYS)
           != 0)
    {
        rc = NGX_ERROR;
    }

    if (rc == NGX_OK && EVP_DigestFinal_ex(md, hash, NULL) != 1) {
        rc = NGX_ERROR;
    }

    EVP_MD_CTX_free(md);

    ngx_memcpy(idempotency->fingerprint, hash, 6);

    return rc;
}


/* NGX_DONE: there is none */

static ngx_int_t
ngx_http_loyalty_idempotency_key(ngx_http_request_t *r, ngx_str_t *key,
    ngx_http_loyalty_fault_t *fault)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    static ngx_str_t  name = ngx_string("idempotency-key");

    ngx_str_null(key);

    part = &r->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {

            if (part->next == NULL) {
                break;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].key.len != name.len
            || ngx_strncasecmp(h[i].key.data, name.data, name.len) != 0)
        {
            continue;
        }

        if (key->data != NULL || h[i].value.len > NGX_HTTP_LOYALTY_KEY) {
            ngx_http_loyalty_fault(fault, NGX_HTTP_LOYALTY_P_INVALID_FIELD,
                                   "one Idempotency-Key header of 1 to %d "
                                   "bytes is expected",
                                   NGX_HTTP_LOYALTY_KEY);
            return NGX_DECLINED;
        }

        *key = h[i].value;
    }

    return key->len ? NGX_OK : NGX_DONE;
}


/* such a request cannot be repeated */

static ngx_int_t
ngx_http_loyalty_idempotency_draw(ngx_http_request_t *r, ngx_str_t *key)
{
    u_char  bytes[NGX_HTTP_LOYALTY_IDEMPOTENCY_ID];

    key->len = 2 * NGX_HTTP_LOYALTY_IDEMPOTENCY_ID;

    key->data = ngx_pnalloc(r->pool, key->len);
    if (key->data == NULL) {
        return NGX_ERROR;
    }

    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        return NGX_ERROR;
    }

    ngx_hex_dump(key->data, bytes, sizeof(bytes));

    return NGX_OK;
}


/* begins a digest with method and path */

static ngx_int_t
ngx_http_loyalty_idempotency_scope(EVP_MD_CTX *md,
    ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_uint_t  i;

    if (EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1
        || ngx_http_loyalty_idempotency_text(md,
                                          ctx->request->method_name.data,
                                          ctx->request->method_name.len)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < ctx->nsegments; i++) {
        if (ngx_http_loyalty_idempotency_text(md, ctx->segments[i].data,
                                              ctx->segments[i].len)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_loyalty_idempotency_text(md, (u_char *) "", 0);
}


/* a text of at most 255 bytes, with its length */

static ngx_int_t
ngx_http_loyalty_idempotency_text(EVP_MD_CTX *md, const u_char *p, size_t len)
{
    u_char  n;

    n = (u_char) len;

    if (EVP_DigestUpdate(md, &n, 1) != 1
        || EVP_DigestUpdate(md, p, len) != 1)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static int
ngx_http_loyalty_idempotency_dump(const char *buffer, size_t size, void *data)
{
    return EVP_DigestUpdate(data, buffer, size) == 1 ? 0 : -1;
}


ngx_int_t
ngx_http_loyalty_idempotency_id(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_idempotency_t *idempotency, u_char *id)
{
    u_char       hash[EVP_MAX_MD_SIZE];
    ngx_int_t    rc;
    EVP_MD_CTX  *md;

    md = EVP_MD_CTX_new();
    if (md == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_loyalty_idempotency_scope(md, ctx);

    if (rc == NGX_OK
        && (ngx_http_loyalty_idempotency_text(md, idempotency->key.data,
                                              idempotency->key.len)
            != NGX_OK
            || EVP_DigestFinal_ex(md, hash, NULL) != 1))
    {
        rc = NGX_ERROR;
    }

    EVP_MD_CTX_free(md);

    if (rc == NGX_OK) {
        ngx_memcpy(id, hash, NGX_HTTP_LOYALTY_IDEMPOTENCY_ID);
    }

    return rc;
}


/* an event's id of 17 bytes does not begin with a control character */

void
ngx_http_loyalty_idempotency_needle(u_char *needle, ngx_uint_t kind,
    const u_char *id)
{
    needle[0] = 1 + NGX_HTTP_LOYALTY_IDEMPOTENCY_ID;
    needle[1] = (u_char) kind;
    ngx_memcpy(&needle[2], id, NGX_HTTP_LOYALTY_IDEMPOTENCY_ID);
}


ngx_int_t
ngx_http_loyalty_idempotency_replayed(ngx_http_request_t *r)
{
    static ngx_str_t  value = ngx_string("true");

    return ngx_http_loyalty_header(r, "Idempotency-Replayed",
                                   sizeof("Idempotency-Replayed") - 1,
                                   &value);
}
