/*
 * A signature of the admin API is good for one change.  Redis remembers which
 * were used for as long as they are in time, for all servers: what somebody
 * has listened to and sends once more, a pause, an erasure, does nothing,
 * whatever has happened in between.
 */

#include "ngx_http_loyalty_admin.h"
#include "ngx_http_loyalty_access.h"


#define NGX_HTTP_LOYALTY_ONCE_MORE  60000         /* ms, for other clocks */


static ngx_int_t ngx_http_loyalty_once_reply(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);


ngx_int_t
ngx_http_loyalty_admin_start(ngx_http_loyalty_member_ctx_t *ctx)
{
    u_char         buf[16], text[160], digest[LOYALTY_HASH];
    ngx_int_t      rc;
    ngx_str_t      arg, body, key, time;
    ngx_msec_t     window;
    loyalty_mpw_t  w;

    if (!(ctx->request->method & (NGX_HTTP_POST|NGX_HTTP_DELETE))) {
        return ctx->path->start(ctx);
    }

    rc = ngx_http_loyalty_access_signed(ctx->request, &window, &time);

    if (rc == NGX_DECLINED) {
        return ctx->path->start(ctx);
    }

    body.data = ctx->body.start;
    body.len = ctx->body.last - ctx->body.start;

    if (rc != NGX_OK
        || ngx_http_loyalty_signed_digest(ctx->request, &time, &body, digest)
           != NGX_OK)
    {
        return ngx_http_loyalty_member_problem(ctx,
                                       NGX_HTTP_LOYALTY_P_INTERNAL, NULL);
    }

    /* it may be as far ahead as it may be late */

    loyalty_mpw_init(&w, buf, sizeof(buf));
    loyalty_mpw_int(&w, 2 * window + NGX_HTTP_LOYALTY_ONCE_MORE);

    arg.data = w.start;
    arg.len = w.pos - w.start;

    key.data = text;
    key.len = ngx_snprintf(text, sizeof(text), "{%V}:signed:",
                           &ctx->program->name)
              - text;
    key.len = ngx_hex_dump(text + key.len, digest, 16) - text;

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_FN_ONCE, 1,
                                        &key, &arg,
                                        ngx_http_loyalty_once_reply);
}


static ngx_int_t
ngx_http_loyalty_once_reply(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_str_t  detail;

    if (reply->array || reply->n != 1 || reply->values[0].len != 1) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    if (reply->values[0].data[0] == '1') {
        return ctx->path->start(ctx);
    }

    ngx_http_loyalty_access_used(ctx->request, &detail);

    return ngx_http_loyalty_member_problem(ctx,
                             NGX_HTTP_LOYALTY_P_INVALID_SIGNATURE, &detail);
}
