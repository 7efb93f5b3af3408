/*
 * The admin API on the program: what was done and what is left.
 */

#include "ngx_http_loyalty_admin.h"


#define NGX_HTTP_LOYALTY_STATS_KEYS  1024


static ngx_int_t ngx_http_loyalty_admin_pools_json(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_reply_t *reply,
    loyalty_out_t *out);
static ngx_int_t ngx_http_loyalty_admin_stats_reply(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);


ngx_int_t
ngx_http_loyalty_admin_stats(ngx_http_loyalty_member_ctx_t *ctx)
{
    u_char         buf[16];
    ngx_str_t      arg, *keys;
    ngx_uint_t     n;
    loyalty_mpw_t  w;

    keys = ngx_palloc(ctx->request->pool,
                      NGX_HTTP_LOYALTY_STATS_KEYS * sizeof(ngx_str_t));
    if (keys == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    n = ngx_http_loyalty_pool_keys(ctx->program, keys,
                                   NGX_HTTP_LOYALTY_STATS_KEYS);
    n += ngx_http_loyalty_reward_keys(ctx->program, &keys[n],
                                      NGX_HTTP_LOYALTY_STATS_KEYS - n);

    loyalty_mpw_init(&w, buf, sizeof(buf));
    loyalty_mpw_int(&w, ctx->program->pools.nelts);

    arg.data = buf;
    arg.len = w.pos - w.start;

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_FN_LEFT, n,
                                        keys, &arg,
                                        ngx_http_loyalty_admin_stats_reply);
}


static ngx_int_t
ngx_http_loyalty_admin_stats_reply(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    loyalty_out_t                out;
    ngx_http_loyalty_program_t  *program;

    program = ctx->program;

    ngx_http_loyalty_out_pool(&out, ctx->request->pool, 1024);

    loyalty_out_lit(&out, "{\"program\":");
    loyalty_out_str(&out, program->name.data, program->name.len);
    loyalty_out_lit(&out, ",\"events\":");
    loyalty_out_int(&out, ngx_http_loyalty_stat_read(program,
                                             NGX_HTTP_LOYALTY_STAT_EVENTS));
    loyalty_out_lit(&out, ",\"reversals\":");
    loyalty_out_int(&out, ngx_http_loyalty_stat_read(program,
                                          NGX_HTTP_LOYALTY_STAT_REVERSALS));
    loyalty_out_lit(&out, ",\"pools\":[");

    if (ngx_http_loyalty_admin_pools_json(program, reply, &out) != NGX_OK) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    loyalty_out_lit(&out, "],\"rewards\":[");

    if (ngx_http_loyalty_reward_stats_json(program, reply, &out) != NGX_OK) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    loyalty_out_lit(&out, "]}");

    return ngx_http_loyalty_member_send(ctx, &out);
}


static ngx_int_t
ngx_http_loyalty_admin_pools_json(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_reply_t *reply, loyalty_out_t *out)
{
    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_http_loyalty_pool_t  **pool;

    if (reply->n < 2 * program->pools.nelts) {
        return NGX_ERROR;
    }

    pool = program->pools.elts;
    value = reply->values;

    for (i = 0; i < program->pools.nelts; i++, value += 2) {

        if (i) {
            loyalty_out_lit(out, ",");
        }

        loyalty_out_lit(out, "{\"name\":");
        loyalty_out_str(out, pool[i]->name.data, pool[i]->name.len);
        loyalty_out_lit(out, ",\"unused\":");
        loyalty_out_raw(out, value[0].data, value[0].len);
        loyalty_out_lit(out, ",\"imported\":");
        loyalty_out_raw(out, value[1].data, value[1].len);
        loyalty_out_lit(out, "}");
    }

    return NGX_OK;
}
