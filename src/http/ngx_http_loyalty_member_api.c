/*
 * The member API: what an app may call.  Who the member is comes from
 * loyalty_member alone, never from the request's path or body.
 *
 * Each request is one operation in Redis.  While it runs, the request waits
 * with the main request's count raised; the operation and the request know
 * of each other through the context below, and whichever ends first takes
 * itself out of it.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_event.h"
#include "ngx_http_loyalty_member.h"


typedef struct {
    ngx_http_request_t               *request;
    ngx_http_loyalty_program_t       *program;
    ngx_http_loyalty_op_t            *op;         /* NULL: none runs */
    ngx_str_t                         member;
    ngx_str_t                         keys[4];
    ngx_uint_t                        partition;
    ngx_uint_t                        history;
    ngx_http_loyalty_history_args_t   args;
} ngx_http_loyalty_member_ctx_t;


static ngx_int_t ngx_http_loyalty_member_header(ngx_http_request_t *r);
static ngx_int_t ngx_http_loyalty_member_path(ngx_http_request_t *r,
    ngx_uint_t *history);
static ngx_int_t ngx_http_loyalty_member_identity(ngx_http_request_t *r,
    ngx_str_t *member, ngx_http_loyalty_problem_e *problem,
    ngx_str_t *detail);
static ngx_int_t ngx_http_loyalty_member_start(ngx_http_request_t *r,
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_http_loyalty_op_t *ngx_http_loyalty_member_call(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_status_e *status);
static ngx_int_t ngx_http_loyalty_member_wait(ngx_http_request_t *r);
static void ngx_http_loyalty_member_cleanup(void *data);
static void ngx_http_loyalty_member_done(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_member_reply(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_member_problem(ngx_http_request_t *r,
    ngx_http_loyalty_problem_e problem, ngx_str_t *detail, ngx_str_t *allow);


ngx_int_t
ngx_http_loyalty_member_api(ngx_http_request_t *r)
{
    ngx_int_t                       rc;
    ngx_str_t                       detail;
    ngx_uint_t                      history;
    ngx_http_loyalty_problem_e      problem;
    ngx_http_loyalty_loc_conf_t    *llcf;
    ngx_http_loyalty_member_ctx_t  *ctx;

    static ngx_str_t  allow = ngx_string("GET, HEAD");
    static ngx_str_t  paths = ngx_string("me and me/history are what there is");

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_loyalty_member_header(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_loyalty_member_path(r, &history) != NGX_OK) {
        return ngx_http_loyalty_member_problem(r,
                            NGX_HTTP_LOYALTY_P_UNKNOWN_PATH, &paths, NULL);
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_loyalty_member_problem(r, NGX_HTTP_LOYALTY_P_METHOD,
                                               NULL, &allow);
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_loyalty_member_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_module);

    ctx->request = r;
    ctx->program = llcf->program;
    ctx->history = history;

    rc = ngx_http_loyalty_member_identity(r, &ctx->member, &problem, &detail);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_loyalty_member_problem(r, problem, &detail, NULL);
    }

    if (history
        && ngx_http_loyalty_history_args(r, &ctx->args, &detail) != NGX_OK)
    {
        return ngx_http_loyalty_member_problem(r,
                           NGX_HTTP_LOYALTY_P_INVALID_FIELD, &detail, NULL);
    }

    return ngx_http_loyalty_member_start(r, ctx);
}


/* the same URI is another account for another member */

static ngx_int_t
ngx_http_loyalty_member_header(ngx_http_request_t *r)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    ngx_str_set(&h->key, "Cache-Control");
    ngx_str_set(&h->value, "no-store");

#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_member_path(ngx_http_request_t *r, ngx_uint_t *history)
{
    ngx_str_t   segments[2];
    ngx_uint_t  n;

    static ngx_str_t  words[] = {
        ngx_string("me"), ngx_string("history")
    };

    if (ngx_http_loyalty_path(r, segments, 2, &n) != NGX_OK) {
        return NGX_DECLINED;
    }

    *history = (n == 2);

    while (n--) {
        if (segments[n].len != words[n].len
            || ngx_memcmp(segments[n].data, words[n].data, words[n].len) != 0)
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_member_identity(ngx_http_request_t *r, ngx_str_t *member,
    ngx_http_loyalty_problem_e *problem, ngx_str_t *detail)
{
    ngx_http_loyalty_loc_conf_t  *llcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_module);

    if (ngx_http_complex_value(r, llcf->member, member) != NGX_OK) {
        return NGX_ERROR;
    }

    if (member->len == 0) {
        *problem = NGX_HTTP_LOYALTY_P_NO_MEMBER;
        ngx_str_set(detail, "the request names no member");
        return NGX_DECLINED;
    }

    if (ngx_http_loyalty_text_check(member, NGX_HTTP_LOYALTY_ID) != NGX_OK) {
        *problem = NGX_HTTP_LOYALTY_P_INVALID_FIELD;
        ngx_str_set(detail, "the member's id is not 1 to 128 bytes of "
                            "printable UTF-8");
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_member_start(ngx_http_request_t *r,
    ngx_http_loyalty_member_ctx_t *ctx)
{
    u_char                     *buf;
    ngx_http_cleanup_t         *cln;
    ngx_http_loyalty_status_e   status;

    buf = ngx_pnalloc(r->pool, NGX_HTTP_LOYALTY_KEYS);
    if (buf == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->partition = ngx_http_loyalty_keys(ctx->program, &ctx->member, buf,
                                           ctx->keys);

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_loyalty_member_cleanup;
    cln->data = ctx;

    ngx_http_set_ctx(r, ctx, ngx_http_loyalty_module);

    ctx->op = ngx_http_loyalty_member_call(ctx, &status);

    if (ctx->op == NULL) {
        return ngx_http_loyalty_member_problem(r,
                      ngx_http_loyalty_status_problem(status), NULL, NULL);
    }

    return ngx_http_loyalty_member_wait(r);
}


static ngx_http_loyalty_op_t *
ngx_http_loyalty_member_call(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_status_e *status)
{
    u_char         buf[32];
    ngx_str_t      arg;
    loyalty_mpw_t  w;

    if (!ctx->history) {
        return ngx_http_loyalty_redis_call(ctx->program,
            NGX_HTTP_LOYALTY_INTERACTIVE, ctx->partition,
            NGX_HTTP_LOYALTY_GET, 1, ctx->keys, NULL,
            ngx_http_loyalty_member_done, ctx, status);
    }

    loyalty_mpw_init(&w, buf, sizeof(buf));
    loyalty_mpw_int(&w, ctx->args.before);
    loyalty_mpw_int(&w, ctx->args.limit + 1);

    arg.data = buf;
    arg.len = w.pos - w.start;

    return ngx_http_loyalty_redis_call(ctx->program,
        NGX_HTTP_LOYALTY_INTERACTIVE, ctx->partition,
        NGX_HTTP_LOYALTY_FN_HISTORY, 2, ctx->keys, &arg,
        ngx_http_loyalty_member_done, ctx, status);
}


static ngx_int_t
ngx_http_loyalty_member_wait(ngx_http_request_t *r)
{
    ngx_event_t  *rev;

    r->main->count++;

    /* a body that is still being discarded has its own reader */

    if (r != r->main || r->discard_body) {
        return NGX_DONE;
    }

    rev = r->connection->read;
    r->read_event_handler = ngx_http_test_reading;

    if (rev->ready) {
        ngx_post_event(rev, &ngx_posted_events);

    } else if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        r->main->count--;
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DONE;
}


static void
ngx_http_loyalty_member_cleanup(void *data)
{
    ngx_http_loyalty_member_ctx_t *ctx = data;

    if (ctx->op) {
        ngx_http_loyalty_redis_detach(ctx->op);
        ctx->op = NULL;
    }
}


static void
ngx_http_loyalty_member_done(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_member_ctx_t *ctx = data;

    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    ctx->op = NULL;

    r = ctx->request;
    c = r->connection;

    /* post_action goes on with the request of a client that has gone */

    if (ngx_http_get_module_ctx(r, ngx_http_loyalty_module) != ctx) {
        return;
    }

    ngx_http_set_log_request(c->log, r);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "loyalty member reply status:%ui history:%ui",
                   (ngx_uint_t) status, ctx->history);

    if (status == NGX_HTTP_LOYALTY_REPLY) {
        rc = ngx_http_loyalty_member_reply(ctx, reply);

    } else {
        rc = ngx_http_loyalty_member_problem(r,
                       ngx_http_loyalty_status_problem(status), NULL, NULL);
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_loyalty_member_reply(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_int_t            rc;
    ngx_time_t          *tp;
    loyalty_out_t        out;
    ngx_http_request_t  *r;

    static ngx_str_t  type = ngx_string("application/json");

    r = ctx->request;

    ngx_http_loyalty_out_pool(&out, r->pool, 2048);

    if (ctx->history) {
        rc = ngx_http_loyalty_history_json(ctx->program, r->pool,
                                           &ctx->member, reply,
                                           ctx->args.limit, &out);

    } else if (reply->array || reply->n != 1) {
        rc = NGX_ERROR;

    } else {
        tp = ngx_timeofday();

        rc = ngx_http_loyalty_account_json(ctx->program, r->pool,
                               &ctx->member, &reply->values[0],
                               (int64_t) tp->sec * 1000 + tp->msec, &out);
    }

    if (out.failed) {
        return ngx_http_loyalty_member_problem(r, NGX_HTTP_LOYALTY_P_INTERNAL,
                                               NULL, NULL);
    }

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "loyalty program \"%V\": the value of the key \"%V\" "
                      "in Redis is damaged", &ctx->program->name,
                      &ctx->keys[0]);

        return ngx_http_loyalty_member_problem(r, NGX_HTTP_LOYALTY_P_INTERNAL,
                                               NULL, NULL);
    }

    ngx_http_loyalty_stat_request(ctx->program, NGX_HTTP_LOYALTY_API_MEMBER,
                                  NGX_HTTP_LOYALTY_P_NONE);

    return ngx_http_loyalty_send(r, NGX_HTTP_OK, &type, &out);
}


static ngx_int_t
ngx_http_loyalty_member_problem(ngx_http_request_t *r,
    ngx_http_loyalty_problem_e problem, ngx_str_t *detail, ngx_str_t *allow)
{
    ngx_http_loyalty_loc_conf_t  *llcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_module);

    ngx_http_loyalty_stat_request(llcf->program, NGX_HTTP_LOYALTY_API_MEMBER,
                                  problem);

    return ngx_http_loyalty_problem_send(r, problem, detail, NULL, allow);
}
