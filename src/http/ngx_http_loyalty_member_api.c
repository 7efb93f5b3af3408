/*
 * The member API: what an app may call.  Who the member is comes from
 * loyalty_member alone, never from the request's path or body.
 *
 * A request is looked up in the table below, its body is read, and the path
 * takes over.  While an operation runs in Redis, the request waits with the
 * main request's count raised; the operation and the request know of each
 * other through the context, and whichever ends first takes itself out of it.
 */

#include "ngx_http_loyalty_jwt.h"
#include "ngx_http_loyalty_member.h"
#include "ngx_http_loyalty_admin.h"


/* what a step of a request in the event loop was told by Redis */

typedef struct {
    ngx_http_loyalty_member_ctx_t    *ctx;
    ngx_http_loyalty_status_e         status;
    ngx_http_loyalty_reply_t         *reply;
} ngx_http_loyalty_member_replied_t;


static ngx_int_t ngx_http_loyalty_member_prepare(ngx_http_request_t *r,
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_member_header(ngx_http_request_t *r);
static ngx_int_t ngx_http_loyalty_member_route(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_uint_t ngx_http_loyalty_member_match(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_str_t *path);
static ngx_int_t ngx_http_loyalty_member_unknown(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_member_method(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_uint_t methods);
static ngx_int_t ngx_http_loyalty_member_identity(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_member_refuse(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_problem_e problem,
    const char *detail);

static ngx_int_t ngx_http_loyalty_member_get(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_uint_t ngx_http_loyalty_member_again(ngx_http_request_t *r);
static ngx_int_t ngx_http_loyalty_member_post(
    ngx_http_loyalty_member_ctx_t *ctx);
static void ngx_http_loyalty_member_body(ngx_http_request_t *r,
    ngx_http_loyalty_body_t *body, ngx_int_t rc);
static ngx_int_t ngx_http_loyalty_member_object(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_member_start(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_member_too_large(
    ngx_http_loyalty_member_ctx_t *ctx);

static void ngx_http_loyalty_member_cleanup(void *data);
static void ngx_http_loyalty_member_done(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_member_replied(void *data);


/* what there is; paths of games stand behind those of the member */

static ngx_http_loyalty_member_path_t  ngx_http_loyalty_member_paths[] = {

    { ngx_string("me"), NGX_HTTP_GET,
      ngx_http_loyalty_member_me },

    { ngx_string("me/history"), NGX_HTTP_GET,
      ngx_http_loyalty_member_history },

    { ngx_string("rewards/NAME/redemptions"), NGX_HTTP_POST,
      ngx_http_loyalty_reward_redeem },

    { ngx_string("sweepstakes/NAME"), NGX_HTTP_GET,
      ngx_http_loyalty_sweepstakes_show },

    { ngx_string("sweepstakes/NAME/entries"), NGX_HTTP_POST,
      ngx_http_loyalty_sweepstakes_enter },

    { ngx_string("sweepstakes/NAME/claims"), NGX_HTTP_POST,
      ngx_http_loyalty_sweepstakes_claim },

    { ngx_string("games/NAME/plays"), NGX_HTTP_POST,
      ngx_http_loyalty_instant_play },

    { ngx_null_string, 0, NULL }
};


ngx_int_t
ngx_http_loyalty_member_api(ngx_http_request_t *r)
{
    return ngx_http_loyalty_member_serve(r, NGX_HTTP_LOYALTY_API_MEMBER,
                                         ngx_http_loyalty_member_paths);
}


ngx_int_t
ngx_http_loyalty_member_serve(ngx_http_request_t *r,
    ngx_http_loyalty_api_e api, ngx_http_loyalty_member_path_t *paths)
{
    ngx_int_t                       rc;
    ngx_http_loyalty_member_ctx_t  *ctx;

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_loyalty_member_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->api = api;
    ctx->paths = paths;

    rc = ngx_http_loyalty_member_prepare(r, ctx);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (r->method == NGX_HTTP_POST) {
        return ngx_http_loyalty_member_post(ctx);
    }

    return ngx_http_loyalty_member_get(ctx);
}


/* NGX_DECLINED: the request goes on; else it has been answered, and this is
   what the content handler returns */

static ngx_int_t
ngx_http_loyalty_member_prepare(ngx_http_request_t *r,
    ngx_http_loyalty_member_ctx_t *ctx)
{
    off_t                         most;
    ngx_int_t                     rc;
    ngx_http_cleanup_t           *cln;
    ngx_http_loyalty_loc_conf_t  *llcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_module);

    ctx->request = r;
    ctx->program = llcf->program;

    if (ngx_http_loyalty_member_header(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->api == NGX_HTTP_LOYALTY_API_ADMIN) {
        rc = ngx_http_loyalty_admin_access(ctx);

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    rc = ngx_http_loyalty_member_route(ctx);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    most = (r->method != NGX_HTTP_POST) ? NGX_MAX_OFF_T_VALUE
           : (ctx->path->method & NGX_HTTP_LOYALTY_MEMBER_LINES)
             ? NGX_HTTP_LOYALTY_BODY : NGX_HTTP_LOYALTY_MEMBER_BODY;

    ctx->body.max = ngx_http_loyalty_body_max(r, most);

    if (r->headers_in.content_length_n > ctx->body.max) {
        return ngx_http_loyalty_member_too_large(ctx);
    }

    /* what came here once and is redirected back has spent its body */

    if ((r->method & (NGX_HTTP_POST|NGX_HTTP_DELETE))
        && (r != r->main || ngx_http_loyalty_member_again(r)))
    {
        return ngx_http_loyalty_member_refuse(ctx,
                   NGX_HTTP_LOYALTY_P_UNKNOWN_PATH,
                   "only a request of a client's own is answered, and only "
                   "once");
    }

    rc = (ctx->api == NGX_HTTP_LOYALTY_API_ADMIN)
         ? ngx_http_loyalty_admin_identity(ctx)
         : ngx_http_loyalty_member_identity(ctx);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_loyalty_member_cleanup;
    cln->data = ctx;

    ngx_http_set_ctx(r, ctx, ngx_http_loyalty_module);

    return NGX_DECLINED;
}


/* the same URI is another account for another member */

static ngx_int_t
ngx_http_loyalty_member_header(ngx_http_request_t *r)
{
    static ngx_str_t  value = ngx_string("no-store");

    return ngx_http_loyalty_header(r, "Cache-Control",
                                   sizeof("Cache-Control") - 1, &value);
}


static ngx_int_t
ngx_http_loyalty_member_route(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_uint_t                       methods;
    ngx_http_request_t              *r;
    ngx_http_loyalty_member_path_t  *path;

    r = ctx->request;

    if (ngx_http_loyalty_path(r, ctx->segments,
                              NGX_HTTP_LOYALTY_MEMBER_SEGMENTS,
                              &ctx->nsegments)
        != NGX_OK)
    {
        return ngx_http_loyalty_member_unknown(ctx);
    }

    methods = 0;

    for (path = ctx->paths; path->path.len; path++) {

        if (!ngx_http_loyalty_member_match(ctx, &path->path)) {
            continue;
        }

        if ((r->method & path->method)
            || (r->method == NGX_HTTP_HEAD && path->method == NGX_HTTP_GET))
        {
            ctx->path = path;
            return NGX_DECLINED;
        }

        methods |= path->method;
    }

    return methods ? ngx_http_loyalty_member_method(ctx, methods)
                   : ngx_http_loyalty_member_unknown(ctx);
}


static ngx_uint_t
ngx_http_loyalty_member_match(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_str_t *path)
{
    u_char      *p, *last, *end;
    ngx_str_t   *segment;
    ngx_uint_t   i;

    p = path->data;
    last = p + path->len;

    ngx_str_null(&ctx->name);

    for (i = 0; i < ctx->nsegments; i++) {

        segment = &ctx->segments[i];

        if (p > last) {
            return 0;
        }

        end = ngx_strlchr(p, last, '/');
        end = (end != NULL) ? end : last;

        if (*p >= 'A' && *p <= 'Z') {

            if (ctx->name.len == 0) {
                ctx->name = *segment;

            } else {
                ctx->second = *segment;
            }

        } else if (segment->len != (size_t) (end - p)
                   || ngx_memcmp(segment->data, p, segment->len) != 0)
        {
            return 0;
        }

        p = end + 1;
    }

    return p > last;
}


static ngx_int_t
ngx_http_loyalty_member_unknown(ngx_http_loyalty_member_ctx_t *ctx)
{
    u_char                          *p, *last, text[384];
    ngx_str_t                        detail;
    ngx_http_loyalty_member_path_t  *path;

    /* they are too many to be listed */

    if (ctx->api == NGX_HTTP_LOYALTY_API_ADMIN) {
        return ngx_http_loyalty_member_problem(ctx,
                                   NGX_HTTP_LOYALTY_P_UNKNOWN_PATH, NULL);
    }

    p = text;
    last = p + sizeof(text);

    for (path = ctx->paths; path->path.len; path++) {

        if (path != ctx->paths) {
            p = ngx_slprintf(p, last, path[1].path.len ? ", " : " and ");
        }

        p = ngx_slprintf(p, last, "%V", &path->path);
    }

    p = ngx_slprintf(p, last, " are what there is");

    detail.data = text;
    detail.len = p - text;

    return ngx_http_loyalty_member_problem(ctx,
                                NGX_HTTP_LOYALTY_P_UNKNOWN_PATH, &detail);
}


static ngx_int_t
ngx_http_loyalty_member_method(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_uint_t methods)
{
    ngx_str_t  allow;

    switch (methods & (NGX_HTTP_GET|NGX_HTTP_POST|NGX_HTTP_DELETE)) {

    case NGX_HTTP_GET:
        ngx_str_set(&allow, "GET, HEAD");
        break;

    case NGX_HTTP_POST:
        ngx_str_set(&allow, "POST");
        break;

    case NGX_HTTP_GET|NGX_HTTP_DELETE:
        ngx_str_set(&allow, "GET, HEAD, DELETE");
        break;

    default:
        ngx_str_set(&allow, "GET, HEAD, POST");
    }

    ngx_http_loyalty_stat_request(ctx->program, ctx->api,
                                  NGX_HTTP_LOYALTY_P_METHOD);

    return ngx_http_loyalty_problem_send(ctx->request,
                                         NGX_HTTP_LOYALTY_P_METHOD, NULL,
                                         NULL, &allow);
}


static ngx_int_t
ngx_http_loyalty_member_identity(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_str_t                     member, detail;
    ngx_http_loyalty_loc_conf_t  *llcf;

    if (ngx_http_loyalty_jwt_check(ctx->request, &detail) != NGX_OK) {
        return ngx_http_loyalty_member_problem(ctx,
                   NGX_HTTP_LOYALTY_P_INVALID_TOKEN, &detail);
    }

    llcf = ngx_http_get_module_loc_conf(ctx->request,
                                        ngx_http_loyalty_module);

    if (ngx_http_complex_value(ctx->request, llcf->member, &member)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (member.len == 0) {
        return ngx_http_loyalty_member_refuse(ctx,
                   NGX_HTTP_LOYALTY_P_NO_MEMBER,
                   "the request names no member");
    }

    switch (ngx_http_loyalty_member_is(ctx, &member)) {

    case NGX_OK:
        return NGX_DECLINED;

    case NGX_DECLINED:
        return ngx_http_loyalty_member_refuse(ctx,
                   NGX_HTTP_LOYALTY_P_INVALID_FIELD,
                   "the member's id is not 1 to 128 bytes of printable "
                   "UTF-8");

    default: /* NGX_ERROR */
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
}


ngx_int_t
ngx_http_loyalty_member_is(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_str_t *member)
{
    u_char  *buf;

    if (ngx_http_loyalty_text_check(member, NGX_HTTP_LOYALTY_ID) != NGX_OK) {
        return NGX_DECLINED;
    }

    buf = ngx_pnalloc(ctx->request->pool, NGX_HTTP_LOYALTY_KEYS);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    ctx->member = *member;
    ctx->partition = ngx_http_loyalty_keys(ctx->program, &ctx->member, buf,
                                           ctx->keys);

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_member_refuse(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_problem_e problem, const char *detail)
{
    ngx_str_t  text;

    text.data = (u_char *) detail;
    text.len = ngx_strlen(detail);

    return ngx_http_loyalty_member_problem(ctx, problem, &text);
}


static ngx_int_t
ngx_http_loyalty_member_get(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_discard_request_body(ctx->request);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_loyalty_body_none(ctx->request,
                                      ngx_http_loyalty_member_start(ctx));
}


/* the context of a redirected request is gone, its cleanups are not */

static ngx_uint_t
ngx_http_loyalty_member_again(ngx_http_request_t *r)
{
    ngx_http_cleanup_t  *cln;

    for (cln = r->cleanup; cln != NULL; cln = cln->next) {
        if (cln->handler == ngx_http_loyalty_member_cleanup) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_loyalty_member_post(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_http_request_t       *r;
    ngx_http_loyalty_body_e   type;

    r = ctx->request;

    type = (ctx->path->method & NGX_HTTP_LOYALTY_MEMBER_LINES)
           ? NGX_HTTP_LOYALTY_BODY_NDJSON : NGX_HTTP_LOYALTY_BODY_JSON;

    if ((r->headers_in.chunked || r->headers_in.content_length_n > 0)
        && ngx_http_loyalty_body_type(r) != type)
    {
        return ngx_http_loyalty_member_refuse(ctx,
                   NGX_HTTP_LOYALTY_P_UNSUPPORTED_TYPE,
                   type == NGX_HTTP_LOYALTY_BODY_JSON
                   ? "application/json is expected"
                   : "application/x-ndjson is expected");
    }

    ctx->body.handler = ngx_http_loyalty_member_body;

    return ngx_http_loyalty_body_read(r, &ctx->body);
}


static void
ngx_http_loyalty_member_body(ngx_http_request_t *r,
    ngx_http_loyalty_body_t *body, ngx_int_t rc)
{
    ngx_http_loyalty_member_ctx_t  *ctx;

    ctx = (ngx_http_loyalty_member_ctx_t *) body;

    if (rc == NGX_DECLINED) {
        rc = ngx_http_loyalty_member_too_large(ctx);

    } else if (rc == NGX_OK) {
        rc = ngx_http_loyalty_member_object(ctx);
    }

    ngx_http_loyalty_body_done(r, rc);
}


static ngx_int_t
ngx_http_loyalty_member_object(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_str_t                 text;
    ngx_http_loyalty_fault_t  fault;

    text.data = ctx->body.start;
    text.len = ctx->body.last - ctx->body.start;

    if (ctx->api == NGX_HTTP_LOYALTY_API_ADMIN) {
        rc = ngx_http_loyalty_admin_body(ctx, &text);

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    if (text.len == 0 || (ctx->path->method & NGX_HTTP_LOYALTY_MEMBER_LINES))
    {
        return ngx_http_loyalty_member_start(ctx);
    }

    ctx->json = ngx_http_loyalty_json(&text, &fault);

    if (ctx->json == NULL) {
        return ngx_http_loyalty_member_fault(ctx, &fault);
    }

    if (!json_is_object(ctx->json)) {
        fault.item = -1;

        (void) ngx_http_loyalty_json_fault(&fault, NULL, NULL,
                                           "an object is expected");

        return ngx_http_loyalty_member_fault(ctx, &fault);
    }

    return ngx_http_loyalty_member_start(ctx);
}


static ngx_int_t
ngx_http_loyalty_member_start(ngx_http_loyalty_member_ctx_t *ctx)
{
    return (ctx->api == NGX_HTTP_LOYALTY_API_ADMIN)
           ? ngx_http_loyalty_admin_start(ctx) : ctx->path->start(ctx);
}


static ngx_int_t
ngx_http_loyalty_member_too_large(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_http_loyalty_fault_t  fault;

    ngx_http_loyalty_fault(&fault, NGX_HTTP_LOYALTY_P_TOO_LARGE,
                           "a body of at most %O bytes is expected",
                           ctx->body.max);

    return ngx_http_loyalty_member_fault(ctx, &fault);
}


ngx_int_t
ngx_http_loyalty_member_call(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_fn_e fn, ngx_uint_t nkeys, ngx_str_t *keys,
    ngx_str_t *arg, ngx_http_loyalty_member_reply_pt reply)
{
    ngx_http_loyalty_status_e  status;

    ctx->reply = reply;

    ctx->op = ngx_http_loyalty_redis_call(ctx->program,
                                          NGX_HTTP_LOYALTY_INTERACTIVE,
                                          ctx->partition, fn, nkeys, keys,
                                          arg, ngx_http_loyalty_member_done,
                                          ctx, &status);

    if (ctx->op == NULL) {
        return ngx_http_loyalty_member_problem(ctx,
                            ngx_http_loyalty_status_problem(status), NULL);
    }

    return NGX_BUSY;
}


static void
ngx_http_loyalty_member_cleanup(void *data)
{
    ngx_http_loyalty_member_ctx_t *ctx = data;

    if (ctx->op != NULL) {
        ngx_http_loyalty_redis_detach(ctx->op);
        ctx->op = NULL;
    }

    if (ctx->json != NULL) {
        json_decref(ctx->json);
        ctx->json = NULL;
    }
}


static void
ngx_http_loyalty_member_done(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_member_ctx_t *ctx = data;

    ngx_http_loyalty_member_replied_t  replied;

    ctx->op = NULL;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                   "loyalty member reply status:%ui", (ngx_uint_t) status);

    replied.ctx = ctx;
    replied.status = status;
    replied.reply = reply;

    ngx_http_loyalty_member_resume(ctx, ngx_http_loyalty_member_replied,
                                   &replied);
}


static ngx_int_t
ngx_http_loyalty_member_replied(void *data)
{
    ngx_http_loyalty_member_replied_t *replied = data;

    if (replied->status == NGX_HTTP_LOYALTY_REPLY) {
        return replied->ctx->reply(replied->ctx, replied->reply);
    }

    return ngx_http_loyalty_member_problem(replied->ctx,
                   ngx_http_loyalty_status_problem(replied->status), NULL);
}
