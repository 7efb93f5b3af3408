/*
 * What every response of the APIs has in common: problems (RFC 9457), the
 * sending of a body that is complete, X-Request-Id, and the API's path.
 *
 * Problems are ordinary responses: they are sent from here and never given
 * to nginx as a status, so that error_page cannot run the request again.
 */

#include "ngx_http_loyalty_http.h"

#include <openssl/rand.h>


#define NGX_HTTP_LOYALTY_PROBLEM_SIZE  512
#define NGX_HTTP_LOYALTY_URN           "urn:nginx-loyalty:problem:"


static void *ngx_http_loyalty_out_alloc(void *ctx, size_t n);
static void ngx_http_loyalty_problem_object(loyalty_out_t *out,
    ngx_http_loyalty_problem_e problem, ngx_str_t *detail,
    ngx_str_t *pointer, int64_t at, ngx_uint_t after);
static ngx_int_t ngx_http_loyalty_problem_answer(ngx_http_request_t *r,
    ngx_http_loyalty_problem_e problem, ngx_str_t *allow, ngx_uint_t after,
    loyalty_out_t *out);
static ngx_int_t ngx_http_loyalty_request_id_draw(ngx_http_request_t *r,
    ngx_http_loyalty_random_t *random, ngx_http_variable_value_t *vv);
static ngx_int_t ngx_http_loyalty_request_id(ngx_http_request_t *r);
static u_char *ngx_http_loyalty_path_behind(ngx_http_request_t *r,
    u_char *p, u_char *last, ngx_uint_t raw);
static ngx_int_t ngx_http_loyalty_path_byte(u_char **p, u_char *last,
    ngx_uint_t raw, u_char *c);
static ngx_int_t ngx_http_loyalty_path_segment(ngx_http_request_t *r,
    u_char *p, u_char *last, ngx_uint_t raw, ngx_str_t *segment);


/* in the order of ngx_http_loyalty_problem_e */

ngx_http_loyalty_problem_t  ngx_http_loyalty_problems[] = {

    { ngx_null_string, 200, ngx_null_string, 0 },

    { ngx_string("invalid_json"), 400,
      ngx_string("The body is not JSON"), 0 },

    { ngx_string("json_not_supported"), 400,
      ngx_string("The body is JSON of a kind that is refused"), 0 },

    { ngx_string("invalid_field"), 400,
      ngx_string("A field is not what is expected"), 0 },

    { ngx_string("idempotency_key_required"), 400,
      ngx_string("The request needs an Idempotency-Key"), 0 },

    { ngx_string("no_member"), 401,
      ngx_string("The request does not say which member it is for"), 0 },

    { ngx_string("invalid_token"), 401,
      ngx_string("The token of the request is refused"), 0 },

    { ngx_string("invalid_signature"), 403,
      ngx_string("The request is not signed as it must be"), 0 },

    { ngx_string("unknown_path"), 404,
      ngx_string("The API has no such path"), 0 },

    { ngx_string("unknown_event"), 404,
      ngx_string("The member has no such event"), 0 },

    { ngx_string("unknown_game"), 404,
      ngx_string("The program has no such game"), 0 },

    { ngx_string("unknown_reward"), 404,
      ngx_string("The program has no such reward"), 0 },

    { ngx_string("unknown_member"), 404,
      ngx_string("There is no such member"), 0 },

    { ngx_string("method_not_allowed"), 405,
      ngx_string("The path does not take this method"), 0 },

    { ngx_string("too_large"), 413,
      ngx_string("The body is too large"), 0 },

    { ngx_string("unsupported_type"), 415,
      ngx_string("The Content-Type is not supported"), 0 },

    { ngx_string("event_conflict"), 409,
      ngx_string("The id was used with other contents"), 0 },

    { ngx_string("over_reversal"), 409,
      ngx_string("The event has less left than is to be reversed"), 0 },

    { ngx_string("limit_reached"), 409,
      ngx_string("A limit is reached"), 0 },

    { ngx_string("insufficient_balance"), 409,
      ngx_string("The member has less than this costs"), 0 },

    { ngx_string("not_open"), 409,
      ngx_string("It has not opened yet"), 0 },

    { ngx_string("closed"), 409,
      ngx_string("It has closed"), 0 },

    { ngx_string("paused"), 409,
      ngx_string("It is paused"), 0 },

    { ngx_string("not_eligible"), 409,
      ngx_string("The member may not take part"), 0 },

    { ngx_string("sold_out"), 409,
      ngx_string("Nothing is left"), 0 },

    { ngx_string("already_drawn"), 409,
      ngx_string("The winners have been drawn"), 0 },

    { ngx_string("idempotency_conflict"), 422,
      ngx_string("The Idempotency-Key was used for another request"), 0 },

    { ngx_string("rate_limited"), 429,
      ngx_string("There are too many requests"), 1 },

    { ngx_string("unavailable"), 503,
      ngx_string("The store cannot be reached, nothing was done"), 1 },

    { ngx_string("busy"), 503,
      ngx_string("Too much is under way, nothing was done"), 1 },

    { ngx_string("clock_skew"), 503,
      ngx_string("The clocks of nginx and the store differ"), 5 },

    { ngx_string("rules_changed"), 503,
      ngx_string("The game's rules differ from those it was opened with"),
      60 },

    { ngx_string("stale_configuration"), 503,
      ngx_string("This server has an older version of the game's rules"),
      5 },

    { ngx_string("unsafe_store"), 503,
      ngx_string("The store is less durable than draws are promised"), 60 },

    { ngx_string("beacon_unavailable"), 503,
      ngx_string("The random beacon's round is not there yet"), 3 },

    { ngx_string("outcome_unknown"), 504,
      ngx_string("The store did not answer in time; repeat with the same id"),
      1 },

    { ngx_string("internal"), 500,
      ngx_string("An internal error"), 0 }
};


ngx_http_loyalty_problem_e
ngx_http_loyalty_status_problem(ngx_http_loyalty_status_e status)
{
    switch (status) {

    case NGX_HTTP_LOYALTY_REPLY:
        return NGX_HTTP_LOYALTY_P_NONE;

    case NGX_HTTP_LOYALTY_UNAVAILABLE:
        return NGX_HTTP_LOYALTY_P_UNAVAILABLE;

    case NGX_HTTP_LOYALTY_BUSY:
        return NGX_HTTP_LOYALTY_P_BUSY;

    case NGX_HTTP_LOYALTY_UNKNOWN:
        return NGX_HTTP_LOYALTY_P_OUTCOME_UNKNOWN;

    default: /* NGX_HTTP_LOYALTY_FAILED */
        return NGX_HTTP_LOYALTY_P_INTERNAL;
    }
}


void
ngx_http_loyalty_problem_json(loyalty_out_t *out,
    ngx_http_loyalty_problem_e problem, ngx_str_t *detail, ngx_str_t *pointer)
{
    ngx_http_loyalty_problem_object(out, problem, detail, pointer, -1, 0);
}


/* at: when to try again, ms, -1: nothing is said of it; after: in how many
   seconds, 0: as the table has it */

static void
ngx_http_loyalty_problem_object(loyalty_out_t *out,
    ngx_http_loyalty_problem_e problem, ngx_str_t *detail, ngx_str_t *pointer,
    int64_t at, ngx_uint_t after)
{
    ngx_http_loyalty_problem_t  *p;

    p = &ngx_http_loyalty_problems[problem];

    /* codes and titles are this file's own and need no escaping */

    loyalty_out_lit(out, "{\"type\":\"" NGX_HTTP_LOYALTY_URN);
    loyalty_out_raw(out, p->code.data, p->code.len);
    loyalty_out_lit(out, "\",\"title\":\"");
    loyalty_out_raw(out, p->title.data, p->title.len);
    loyalty_out_lit(out, "\",\"status\":");
    loyalty_out_int(out, p->status);

    if (detail != NULL && detail->len) {
        loyalty_out_lit(out, ",\"detail\":");
        loyalty_out_str(out, detail->data, detail->len);
    }

    loyalty_out_lit(out, ",\"code\":\"");
    loyalty_out_raw(out, p->code.data, p->code.len);
    loyalty_out_lit(out, "\"");

    /* an empty pointer is the whole document */

    if (pointer != NULL && pointer->data != NULL) {
        loyalty_out_lit(out, ",\"pointer\":");
        loyalty_out_str(out, pointer->data, pointer->len);
    }

    if (after == 0) {
        after = p->retry_after;
    }

    if (after) {
        loyalty_out_lit(out, ",\"retry_after\":");
        loyalty_out_int(out, after);
    }

    if (at >= 0) {
        loyalty_out_lit(out, ",\"retry_at\":");
        loyalty_out_time(out, at);
    }

    loyalty_out_lit(out, "}");
}


ngx_int_t
ngx_http_loyalty_problem_send(ngx_http_request_t *r,
    ngx_http_loyalty_problem_e problem, ngx_str_t *detail, ngx_str_t *pointer,
    ngx_str_t *allow)
{
    loyalty_out_t  out;

    ngx_http_loyalty_out_pool(&out, r->pool, NGX_HTTP_LOYALTY_PROBLEM_SIZE);
    ngx_http_loyalty_problem_json(&out, problem, detail, pointer);

    return ngx_http_loyalty_problem_answer(r, problem, allow, 0, &out);
}


ngx_int_t
ngx_http_loyalty_problem_send_at(ngx_http_request_t *r,
    ngx_http_loyalty_problem_e problem, ngx_str_t *detail, int64_t at)
{
    loyalty_out_t  out;

    ngx_http_loyalty_out_pool(&out, r->pool, NGX_HTTP_LOYALTY_PROBLEM_SIZE);
    ngx_http_loyalty_problem_object(&out, problem, detail, NULL, at, 0);

    return ngx_http_loyalty_problem_answer(r, problem, NULL, 0, &out);
}


ngx_int_t
ngx_http_loyalty_problem_send_after(ngx_http_request_t *r,
    ngx_http_loyalty_problem_e problem, ngx_uint_t after)
{
    loyalty_out_t  out;

    ngx_http_loyalty_out_pool(&out, r->pool, NGX_HTTP_LOYALTY_PROBLEM_SIZE);
    ngx_http_loyalty_problem_object(&out, problem, NULL, NULL, -1, after);

    return ngx_http_loyalty_problem_answer(r, problem, NULL, after, &out);
}


static ngx_int_t
ngx_http_loyalty_problem_answer(ngx_http_request_t *r,
    ngx_http_loyalty_problem_e problem, ngx_str_t *allow, ngx_uint_t after,
    loyalty_out_t *out)
{
    ngx_str_t                    retry;
    ngx_http_loyalty_problem_t  *p;

    static ngx_str_t  type = ngx_string("application/problem+json");

    p = &ngx_http_loyalty_problems[problem];

    /*
     * The body may not have been read.  A client that waits for "100
     * Continue" gets the answer instead of it, and may send the body all the
     * same or leave it out: what follows on the connection is not known.
     */

    if (r->headers_in.expect != NULL && !r->expect_tested) {
        r->expect_tested = 1;
        r->keepalive = 0;
    }

    if (ngx_http_discard_request_body(r) != NGX_OK
        || problem == NGX_HTTP_LOYALTY_P_TOO_LARGE)
    {
        r->keepalive = 0;
    }

    if (allow != NULL
        && ngx_http_loyalty_header(r, "Allow", sizeof("Allow") - 1, allow)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (after == 0) {
        after = p->retry_after;
    }

    if (after) {

        retry.data = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
        if (retry.data == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        retry.len = ngx_sprintf(retry.data, "%ui", after) - retry.data;

        if (ngx_http_loyalty_header(r, "Retry-After",
                                    sizeof("Retry-After") - 1, &retry)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    return ngx_http_loyalty_send(r, p->status, &type, out);
}


ngx_int_t
ngx_http_loyalty_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, loyalty_out_t *out)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (out->failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b = ngx_calloc_buf(r->pool);
    cl = ngx_alloc_chain_link(r->pool);

    if (b == NULL || cl == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->pos = out->start;
    b->last = out->pos;
    b->memory = (b->last > b->pos);
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    cl->buf = b;
    cl->next = NULL;

    return ngx_http_loyalty_send_chain(r, status, type, cl, b->last - b->pos);
}


ngx_int_t
ngx_http_loyalty_send_chain(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_chain_t *out, off_t length)
{
    ngx_int_t  rc;

    if (ngx_http_loyalty_request_id(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = status;
    r->headers_out.content_length_n = length;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;
    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, out);
}


ngx_int_t
ngx_http_loyalty_header(ngx_http_request_t *r, const char *name, size_t len,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = len;
    h->value = *value;

#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return NGX_OK;
}


/*
 * nginx asks for random bytes once a request, which takes longer than all
 * else that is done for the header.  They are drawn for many requests at a
 * time here, and are given to the variable before anybody reads it.
 */

static ngx_int_t
ngx_http_loyalty_request_id_draw(ngx_http_request_t *r,
    ngx_http_loyalty_random_t *random, ngx_http_variable_value_t *vv)
{
    u_char  *id;

    id = ngx_pnalloc(r->pool, 2 * NGX_HTTP_LOYALTY_REQUEST_ID);
    if (id == NULL) {
        return NGX_ERROR;
    }

    if (random->left < NGX_HTTP_LOYALTY_REQUEST_ID) {

        if (RAND_bytes(random->bytes, NGX_HTTP_LOYALTY_RANDOM) != 1) {
            return NGX_ERROR;
        }

        random->left = NGX_HTTP_LOYALTY_RANDOM;
    }

    random->left -= NGX_HTTP_LOYALTY_REQUEST_ID;

    ngx_hex_dump(id, random->bytes + random->left,
                 NGX_HTTP_LOYALTY_REQUEST_ID);

    vv->data = id;
    vv->len = 2 * NGX_HTTP_LOYALTY_REQUEST_ID;
    vv->valid = 1;
    vv->no_cacheable = 0;
    vv->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_request_id(ngx_http_request_t *r)
{
    ngx_str_t                      value;
    ngx_http_variable_value_t     *vv;
    ngx_http_loyalty_main_conf_t  *lmcf;

    lmcf = ngx_http_get_module_main_conf(r, ngx_http_loyalty_module);

    vv = &r->variables[lmcf->request_id];

    if (!vv->valid && !vv->not_found
        && ngx_http_loyalty_request_id_draw(r, lmcf->random, vv) != NGX_OK)
    {
        return NGX_ERROR;
    }

    vv = ngx_http_get_indexed_variable(r, lmcf->request_id);

    if (vv == NULL || vv->not_found || vv->len == 0) {
        return NGX_ERROR;
    }

    value.data = vv->data;
    value.len = vv->len;

    return ngx_http_loyalty_header(r, "X-Request-Id",
                                   sizeof("X-Request-Id") - 1, &value);
}


void
ngx_http_loyalty_out_pool(loyalty_out_t *out, ngx_pool_t *pool, size_t first)
{
    loyalty_out_init(out, ngx_http_loyalty_out_alloc, pool, first);
}


static void *
ngx_http_loyalty_out_alloc(void *ctx, size_t n)
{
    return ngx_pnalloc(ctx, n);
}


/*
 * An id may hold any character, so what the client wrote is split before it
 * is decoded: an escaped slash is part of a segment.  After a rewrite the
 * request line tells nothing any more, and the new URI, which is decoded
 * already, is what there is.
 */

ngx_int_t
ngx_http_loyalty_path(ngx_http_request_t *r, ngx_str_t *segments,
    ngx_uint_t max, ngx_uint_t *n)
{
    u_char      *p, *last, *end;
    ngx_str_t   *uri;
    ngx_uint_t   raw;

    raw = r->valid_unparsed_uri;
    uri = raw ? &r->unparsed_uri : &r->uri;

    p = uri->data;
    last = p + uri->len;

    if (raw) {
        for (end = p; end < last && *end != '?' && *end != '#'; end++) {
            /* void */
        }

        last = end;
    }

    p = ngx_http_loyalty_path_behind(r, p, last, raw);
    if (p == NULL) {
        return NGX_DECLINED;
    }

    for (*n = 0; *n < max; (*n)++) {

        end = ngx_strlchr(p, last, '/');

        if (ngx_http_loyalty_path_segment(r, p, end ? end : last, raw,
                                          &segments[*n])
            != NGX_OK)
        {
            return NGX_DECLINED;
        }

        if (end == NULL) {
            (*n)++;
            return NGX_OK;
        }

        p = end + 1;
    }

    return NGX_DECLINED;
}


/* where the API's path begins; NULL: the URI was written in such a way that
   it is found in the location only after nginx has normalized it */

static u_char *
ngx_http_loyalty_path_behind(ngx_http_request_t *r, u_char *p, u_char *last,
    ngx_uint_t raw)
{
    u_char                     c;
    size_t                     i;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    for (i = 0; i < clcf->name.len; i++) {

        if (ngx_http_loyalty_path_byte(&p, last, raw, &c) != NGX_OK
            || c != clcf->name.data[i])
        {
            return NULL;
        }
    }

    if (i > 0 && clcf->name.data[i - 1] == '/') {
        return p;
    }

    return (p < last && *p == '/') ? p + 1 : NULL;
}


static ngx_int_t
ngx_http_loyalty_path_byte(u_char **p, u_char *last, ngx_uint_t raw,
    u_char *c)
{
    ngx_int_t  value;

    if (*p == last) {
        return NGX_DECLINED;
    }

    *c = *(*p)++;

    if (!raw || *c != '%') {
        return NGX_OK;
    }

    if (last - *p < 2) {
        return NGX_DECLINED;
    }

    value = ngx_hextoi(*p, 2);
    if (value == NGX_ERROR) {
        return NGX_DECLINED;
    }

    *c = (u_char) value;
    *p += 2;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_path_segment(ngx_http_request_t *r, u_char *p, u_char *last,
    ngx_uint_t raw, ngx_str_t *segment)
{
    u_char  *dst;

    if (last - p == 0 || last - p > 3 * NGX_HTTP_LOYALTY_ID) {
        return NGX_DECLINED;
    }

    dst = ngx_pnalloc(r->pool, last - p);
    if (dst == NULL) {
        return NGX_DECLINED;
    }

    segment->data = dst;

    while (p < last) {
        if (ngx_http_loyalty_path_byte(&p, last, raw, dst++) != NGX_OK) {
            return NGX_DECLINED;
        }
    }

    segment->len = dst - segment->data;

    return segment->len <= NGX_HTTP_LOYALTY_ID ? NGX_OK : NGX_DECLINED;
}
