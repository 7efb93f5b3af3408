/*
 * The event API: what the shop's servers call.
 *
 *     POST events               one event, an array of them, or NDJSON
 *     POST events/ID/reversal   takes an event back, whole or in part
 *
 * A request is read, becomes one step or a batch of steps, and is answered
 * when Redis has decided.  While it waits the client may go away: the
 * cleanup detaches what is under way, whose outcome stands, and a repeat
 * finds it as a duplicate.
 */

#include "ngx_http_loyalty_access.h"
#include "ngx_http_loyalty_event.h"
#include "ngx_http_loyalty_body.h"


#define NGX_HTTP_LOYALTY_REPLY_FIRST  1024


typedef struct {
    ngx_http_loyalty_body_t       body;           /* first: its reader looks
                                                     for it here */
    ngx_http_loyalty_step_t       step;           /* a single one */
    ngx_http_loyalty_batch_t     *batch;          /* or many */
    ngx_str_t                     event;          /* to reverse */
    unsigned                      reversal:1;
    unsigned                      ndjson:1;
} ngx_http_loyalty_event_ctx_t;


static ngx_uint_t ngx_http_loyalty_event_again(ngx_http_request_t *r);
static ngx_int_t ngx_http_loyalty_event_path(ngx_http_request_t *r,
    ngx_http_loyalty_event_ctx_t *ctx, ngx_http_loyalty_fault_t *fault);
static ngx_int_t ngx_http_loyalty_event_type(ngx_http_request_t *r,
    ngx_http_loyalty_event_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_event_problem(ngx_http_request_t *r,
    ngx_http_loyalty_problem_e problem, ngx_str_t *detail,
    ngx_str_t *pointer, ngx_str_t *allow);
static ngx_int_t ngx_http_loyalty_event_fault(ngx_http_request_t *r,
    ngx_http_loyalty_fault_t *fault);
static ngx_int_t ngx_http_loyalty_event_too_large(ngx_http_request_t *r,
    off_t max);

static void ngx_http_loyalty_event_body(ngx_http_request_t *r,
    ngx_http_loyalty_body_t *body, ngx_int_t rc);
static ngx_int_t ngx_http_loyalty_event_run(ngx_http_request_t *r,
    ngx_http_loyalty_event_ctx_t *ctx);
static void ngx_http_loyalty_event_done(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static void ngx_http_loyalty_event_cleanup(void *data);


ngx_int_t
ngx_http_loyalty_event_api(ngx_http_request_t *r)
{
    ngx_str_t                      detail;
    ngx_http_cleanup_t            *cln;
    ngx_http_loyalty_fault_t       fault;
    ngx_http_loyalty_loc_conf_t   *llcf;
    ngx_http_loyalty_event_ctx_t  *ctx;

    static ngx_str_t  allow = ngx_string("POST");
    static ngx_str_t  main = ngx_string("only a request of a client's own is "
                                        "answered, and only once");
    static ngx_str_t  types = ngx_string("application/json or "
                                         "application/x-ndjson is expected");

    /*
     * The body belongs to the main request.  A subrequest that came here (a
     * mirror, SSI) would tell its event once more, and so would a request
     * that has been here and is redirected back.
     */

    if (r != r->main || ngx_http_loyalty_event_again(r)) {
        return ngx_http_loyalty_event_problem(r,
                                              NGX_HTTP_LOYALTY_P_UNKNOWN_PATH,
                                              &main, NULL, NULL);
    }

    if (ngx_http_loyalty_access(r, &detail) != NGX_OK) {
        return ngx_http_loyalty_event_problem(r,
                                         NGX_HTTP_LOYALTY_P_INVALID_SIGNATURE,
                                         &detail, NULL, NULL);
    }

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_module);

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_loyalty_event_ctx_t));
    cln = ngx_http_cleanup_add(r, 0);

    if (ctx == NULL || cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_loyalty_event_cleanup;
    cln->data = ctx;

    ctx->step.request = r;
    ctx->step.program = llcf->program;

    ngx_http_set_ctx(r, ctx, ngx_http_loyalty_module);

    if (ngx_http_loyalty_event_path(r, ctx, &fault) != NGX_OK) {
        return ngx_http_loyalty_event_fault(r, &fault);
    }

    if (r->method != NGX_HTTP_POST) {
        return ngx_http_loyalty_event_problem(r, NGX_HTTP_LOYALTY_P_METHOD,
                                              NULL, NULL, &allow);
    }

    if (ngx_http_loyalty_event_type(r, ctx) != NGX_OK) {
        return ngx_http_loyalty_event_problem(r,
                                          NGX_HTTP_LOYALTY_P_UNSUPPORTED_TYPE,
                                          &types, NULL, NULL);
    }

    ctx->body.max = ngx_http_loyalty_body_max(r, NGX_HTTP_LOYALTY_BODY);
    ctx->body.handler = ngx_http_loyalty_event_body;

    if (r->headers_in.content_length_n > ctx->body.max) {
        return ngx_http_loyalty_event_too_large(r, ctx->body.max);
    }

    return ngx_http_loyalty_body_read(r, &ctx->body);
}


/* the context of a redirected request is gone, its cleanups are not */

static ngx_uint_t
ngx_http_loyalty_event_again(ngx_http_request_t *r)
{
    ngx_http_cleanup_t  *cln;

    for (cln = r->main->cleanup; cln != NULL; cln = cln->next) {
        if (cln->handler == ngx_http_loyalty_event_cleanup) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_loyalty_event_path(ngx_http_request_t *r,
    ngx_http_loyalty_event_ctx_t *ctx, ngx_http_loyalty_fault_t *fault)
{
    ngx_str_t   segments[3];
    ngx_uint_t  n;

    if (ngx_http_loyalty_path(r, segments, 3, &n) != NGX_OK
        || segments[0].len != 6
        || ngx_memcmp(segments[0].data, "events", 6) != 0)
    {
        goto unknown;
    }

    if (n == 1) {
        return NGX_OK;
    }

    if (n != 3 || segments[2].len != 8
        || ngx_memcmp(segments[2].data, "reversal", 8) != 0)
    {
        goto unknown;
    }

    if (ngx_http_loyalty_text_check(&segments[1], NGX_HTTP_LOYALTY_ID)
        != NGX_OK)
    {
        ngx_http_loyalty_fault(fault, NGX_HTTP_LOYALTY_P_INVALID_FIELD,
                               "the id in the path is not UTF-8 without "
                               "control characters");
        return NGX_ERROR;
    }

    ctx->reversal = 1;
    ctx->event = segments[1];

    return NGX_OK;

unknown:

    ngx_http_loyalty_fault(fault, NGX_HTTP_LOYALTY_P_UNKNOWN_PATH,
                           "events and events/ID/reversal are what there is");

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_loyalty_event_type(ngx_http_request_t *r,
    ngx_http_loyalty_event_ctx_t *ctx)
{
    switch (ngx_http_loyalty_body_type(r)) {

    case NGX_HTTP_LOYALTY_BODY_JSON:
        return NGX_OK;

    case NGX_HTTP_LOYALTY_BODY_NDJSON:
        ctx->ndjson = 1;
        return ctx->reversal ? NGX_DECLINED : NGX_OK;

    default: /* NGX_HTTP_LOYALTY_BODY_OTHER */
        return NGX_DECLINED;
    }
}


static ngx_int_t
ngx_http_loyalty_event_problem(ngx_http_request_t *r,
    ngx_http_loyalty_problem_e problem, ngx_str_t *detail,
    ngx_str_t *pointer, ngx_str_t *allow)
{
    ngx_http_loyalty_loc_conf_t  *llcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_module);

    ngx_http_loyalty_stat_request(llcf->program, NGX_HTTP_LOYALTY_API_EVENT,
                                  problem);

    return ngx_http_loyalty_problem_send(r, problem, detail, pointer, allow);
}


static ngx_int_t
ngx_http_loyalty_event_fault(ngx_http_request_t *r,
    ngx_http_loyalty_fault_t *fault)
{
    return ngx_http_loyalty_event_problem(r, fault->problem, &fault->detail,
                                          &fault->pointer, NULL);
}


static ngx_int_t
ngx_http_loyalty_event_too_large(ngx_http_request_t *r, off_t max)
{
    ngx_http_loyalty_fault_t  fault;

    ngx_http_loyalty_fault(&fault, NGX_HTTP_LOYALTY_P_TOO_LARGE,
                           "a body of at most %O bytes is expected", max);

    return ngx_http_loyalty_event_fault(r, &fault);
}


static void
ngx_http_loyalty_event_body(ngx_http_request_t *r,
    ngx_http_loyalty_body_t *body, ngx_int_t rc)
{
    ngx_http_loyalty_event_ctx_t  *ctx;

    ctx = (ngx_http_loyalty_event_ctx_t *) body;

    if (rc == NGX_DECLINED) {
        rc = ngx_http_loyalty_event_too_large(r, body->max);

    } else if (rc == NGX_OK) {
        rc = ngx_http_loyalty_event_run(r, ctx);
    }

    ngx_http_loyalty_body_done(r, rc);
}


/* NGX_BUSY: a step is under way; else what the request is finalized with */

static ngx_int_t
ngx_http_loyalty_event_run(ngx_http_request_t *r,
    ngx_http_loyalty_event_ctx_t *ctx)
{
    json_t                     *json;
    ngx_int_t                   rc;
    ngx_str_t                   text, detail;
    ngx_http_loyalty_fault_t    fault;
    ngx_http_loyalty_step_t    *step;

    step = &ctx->step;

    text.data = ctx->body.start;
    text.len = ctx->body.last - ctx->body.start;

    if (ngx_http_loyalty_access_body(r, &text, &detail) != NGX_OK) {
        return ngx_http_loyalty_event_problem(r,
                                         NGX_HTTP_LOYALTY_P_INVALID_SIGNATURE,
                                         &detail, NULL, NULL);
    }

    if (ctx->ndjson) {
        rc = ngx_http_loyalty_batch_lines(r, step->program, &text,
                                          &ctx->batch, &fault);

        return rc == NGX_ERROR ? ngx_http_loyalty_event_fault(r, &fault) : rc;
    }

    json = ngx_http_loyalty_json(&text, &fault);
    if (json == NULL) {
        return ngx_http_loyalty_event_fault(r, &fault);
    }

    if (json_is_array(json) && !ctx->reversal) {
        rc = ngx_http_loyalty_batch_array(r, step->program, json,
                                          &ctx->batch, &fault);

        return rc == NGX_ERROR ? ngx_http_loyalty_event_fault(r, &fault) : rc;
    }

    step->json = json;

    if (ctx->reversal) {
        rc = ngx_http_loyalty_step_reversal(step, &ctx->event,
                                            ngx_http_loyalty_event_done, ctx,
                                            &fault);

    } else {
        rc = ngx_http_loyalty_step_event(step, NGX_HTTP_LOYALTY_INTERACTIVE,
                                         ngx_http_loyalty_event_done, ctx,
                                         &fault);
    }

    return rc == NGX_OK ? NGX_BUSY : ngx_http_loyalty_event_fault(r, &fault);
}


ngx_uint_t
ngx_http_loyalty_event_waits(ngx_http_request_t *r,
    ngx_http_loyalty_batch_t *batch)
{
    ngx_http_loyalty_event_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_loyalty_module);

    return ctx != NULL && ctx->batch == batch;
}


static void
ngx_http_loyalty_event_done(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_event_ctx_t *ctx = data;

    ngx_int_t                  rc;
    loyalty_out_t              out;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_loyalty_fault_t   fault;

    static ngx_str_t  type = ngx_string("application/json");

    r = ctx->step.request;
    c = r->connection;
    ctx->step.op = NULL;

    if (ngx_http_get_module_ctx(r, ngx_http_loyalty_module) != ctx) {
        return;
    }

    ngx_http_set_log_request(c->log, r);

    ngx_http_loyalty_out_pool(&out, r->pool, NGX_HTTP_LOYALTY_REPLY_FIRST);

    rc = ngx_http_loyalty_step_reply(&ctx->step, status, reply, 0, &out,
                                     &fault);

    ngx_http_loyalty_step_done(&ctx->step);

    if (rc == NGX_OK) {
        ngx_http_loyalty_stat_request(ctx->step.program,
                                      NGX_HTTP_LOYALTY_API_EVENT,
                                      NGX_HTTP_LOYALTY_P_NONE);

        rc = ngx_http_loyalty_send(r, NGX_HTTP_OK, &type, &out);

    } else {
        rc = ngx_http_loyalty_event_fault(r, &fault);
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_loyalty_event_cleanup(void *data)
{
    ngx_http_loyalty_event_ctx_t *ctx = data;

    ngx_http_loyalty_step_done(&ctx->step);

    if (ctx->batch != NULL) {
        ngx_http_loyalty_batch_cleanup(ctx->batch);
    }
}
