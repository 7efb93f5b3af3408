/*
 * How a request to the member API is answered: with JSON, or with a problem.
 * Either is counted.  And how one goes on that waited for something else than
 * Redis.
 */

#include "ngx_http_loyalty_jwt.h"
#include "ngx_http_loyalty_member.h"


ngx_int_t
ngx_http_loyalty_member_send(ngx_http_loyalty_member_ctx_t *ctx,
    loyalty_out_t *out)
{
    static ngx_str_t  type = ngx_string("application/json");

    ngx_http_loyalty_stat_request(ctx->program, ctx->api,
                                  NGX_HTTP_LOYALTY_P_NONE);

    return ngx_http_loyalty_send(ctx->request, NGX_HTTP_OK, &type, out);
}


ngx_int_t
ngx_http_loyalty_member_problem(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_problem_e problem, ngx_str_t *detail)
{
    ngx_http_loyalty_stat_request(ctx->program, ctx->api,
                                  problem);

    if ((problem == NGX_HTTP_LOYALTY_P_NO_MEMBER
         || problem == NGX_HTTP_LOYALTY_P_INVALID_TOKEN)
        && ngx_http_loyalty_jwt_challenge(ctx->request, problem) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_loyalty_problem_send(ctx->request, problem, detail, NULL,
                                         NULL);
}


ngx_int_t
ngx_http_loyalty_member_fault(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_fault_t *fault)
{
    ngx_http_loyalty_stat_request(ctx->program, ctx->api,
                                  fault->problem);

    return ngx_http_loyalty_problem_send(ctx->request, fault->problem,
                                         &fault->detail, &fault->pointer,
                                         NULL);
}


ngx_int_t
ngx_http_loyalty_member_retry_at(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_problem_e problem, ngx_str_t *detail, int64_t at)
{
    ngx_http_loyalty_stat_request(ctx->program, ctx->api,
                                  problem);

    return ngx_http_loyalty_problem_send_at(ctx->request, problem, detail,
                                            at);
}


ngx_int_t
ngx_http_loyalty_member_damaged(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                  "loyalty program \"%V\": the value of the key \"%V\" "
                  "in Redis is damaged", &ctx->program->name,
                  &ctx->keys[0]);

    return ngx_http_loyalty_member_problem(ctx, NGX_HTTP_LOYALTY_P_INTERNAL,
                                           NULL);
}


void
ngx_http_loyalty_member_resume(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_member_step_pt step, void *data)
{
    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    /* post_action goes on with the request of a client that has gone */

    if (ngx_http_get_module_ctx(r, ngx_http_loyalty_module) != ctx) {
        return;
    }

    ngx_http_set_log_request(c->log, r);

    rc = step(data);

    if (rc == NGX_BUSY) {
        return;
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}
