/*
 * GET me and GET me/history: each is one operation in Redis that writes
 * nothing.
 */

#include "ngx_http_loyalty_member.h"


#define NGX_HTTP_LOYALTY_ME_FIRST  2048           /* bytes of a reply */


static ngx_int_t ngx_http_loyalty_member_history_reply(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_member_json(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_int_t rc, loyalty_out_t *out);


ngx_int_t
ngx_http_loyalty_member_me(ngx_http_loyalty_member_ctx_t *ctx)
{
    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_GET, 1,
                                        ctx->keys, NULL,
                                        ngx_http_loyalty_member_me_reply);
}


ngx_int_t
ngx_http_loyalty_member_me_reply(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_int_t       rc;
    loyalty_out_t   out;

    if (reply->array || reply->n != 1) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    ngx_http_loyalty_out_pool(&out, ctx->request->pool,
                              NGX_HTTP_LOYALTY_ME_FIRST);

    rc = ngx_http_loyalty_account_json(ctx->program, ctx->request->pool,
                               &ctx->member, &reply->values[0],
                               ngx_http_loyalty_now(), &out);

    return ngx_http_loyalty_member_json(ctx, rc, &out);
}


ngx_int_t
ngx_http_loyalty_member_history(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_str_t                         detail;
    ngx_http_loyalty_history_args_t  *args;

    args = ngx_palloc(ctx->request->pool,
                      sizeof(ngx_http_loyalty_history_args_t));
    if (args == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_loyalty_history_args(ctx->request, args, &detail) != NGX_OK)
    {
        return ngx_http_loyalty_member_problem(ctx,
                                 NGX_HTTP_LOYALTY_P_INVALID_FIELD, &detail);
    }

    ctx->data = args;

    return ngx_http_loyalty_history_ask(ctx, args->before, args->limit,
                                        ngx_http_loyalty_member_history_reply);
}


static ngx_int_t
ngx_http_loyalty_member_history_reply(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    int64_t                           next;
    ngx_int_t                         rc;
    loyalty_out_t                     out;
    ngx_http_loyalty_history_args_t  *args;

    args = ctx->data;

    /* a member has an empty history, a name that is mistyped has none */

    if (ctx->api == NGX_HTTP_LOYALTY_API_ADMIN && reply->array
        && reply->n == 0)
    {
        return ngx_http_loyalty_member_problem(ctx,
                                  NGX_HTTP_LOYALTY_P_UNKNOWN_MEMBER, NULL);
    }

    ngx_http_loyalty_out_pool(&out, ctx->request->pool,
                              NGX_HTTP_LOYALTY_ME_FIRST);

    rc = ngx_http_loyalty_history_json(ctx->program, ctx->request->pool,
                                       &ctx->member, reply, args->limit,
                                       ctx->api == NGX_HTTP_LOYALTY_API_ADMIN,
                                       &out, &next);

    return ngx_http_loyalty_member_json(ctx, rc, &out);
}


static ngx_int_t
ngx_http_loyalty_member_json(ngx_http_loyalty_member_ctx_t *ctx, ngx_int_t rc,
    loyalty_out_t *out)
{
    if (out->failed) {
        return ngx_http_loyalty_member_problem(ctx,
                                       NGX_HTTP_LOYALTY_P_INTERNAL, NULL);
    }

    if (rc != NGX_OK) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    return ngx_http_loyalty_member_send(ctx, out);
}
