/*
 * Codes into a pool: lines of JSON, each a string or {"code":"..."}.
 *
 * They go to Redis a few hundred at a time, so that neither nginx nor Redis
 * is busy with a million at once.  A code that is known already is passed
 * over: an import that broke off is sent again as it is.
 */

#include "ngx_http_loyalty_admin.h"


#define NGX_HTTP_LOYALTY_CODES       500          /* in one call */
#define NGX_HTTP_LOYALTY_CODE        128          /* bytes */
#define NGX_HTTP_LOYALTY_CODES_ARG                                            \
    (NGX_HTTP_LOYALTY_CODES * (NGX_HTTP_LOYALTY_CODE + 5))


typedef struct {
    ngx_http_loyalty_pool_t          *pool;
    u_char                           *pos;        /* in the body */
    ngx_uint_t                        line;       /* read so far */
    int64_t                           added;
    int64_t                           unused;
    u_char                            buf[NGX_HTTP_LOYALTY_CODES_ARG];
} ngx_http_loyalty_import_t;


static ngx_int_t ngx_http_loyalty_admin_import(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_pool_t *pool);
static ngx_int_t ngx_http_loyalty_admin_import_next(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_admin_code(ngx_http_loyalty_import_t *in,
    ngx_str_t *line, loyalty_mpw_t *w, ngx_http_loyalty_fault_t *fault);
static ngx_int_t ngx_http_loyalty_admin_code_object(json_t *json,
    ngx_str_t *code, ngx_http_loyalty_fault_t *fault);
static ngx_int_t ngx_http_loyalty_admin_import_reply(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_admin_import_done(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_admin_import_fault(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_fault_t *fault);


ngx_int_t
ngx_http_loyalty_admin_codes(ngx_http_loyalty_member_ctx_t *ctx)
{
    return ngx_http_loyalty_admin_import(ctx,
                           ngx_http_loyalty_pool(ctx->program, &ctx->name));
}


/* the pool of a reward */

ngx_int_t
ngx_http_loyalty_admin_reward_codes(ngx_http_loyalty_member_ctx_t *ctx)
{
    return ngx_http_loyalty_admin_import(ctx,
                    ngx_http_loyalty_reward_pool(ctx->program, &ctx->name));
}


static ngx_int_t
ngx_http_loyalty_admin_import(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_pool_t *pool)
{
    ngx_str_t                   none;
    ngx_http_loyalty_import_t  *in;

    if (pool == NULL) {
        return ngx_http_loyalty_member_problem(ctx,
                                  NGX_HTTP_LOYALTY_P_UNKNOWN_REWARD, NULL);
    }

    in = ngx_pcalloc(ctx->request->pool, sizeof(ngx_http_loyalty_import_t));
    if (in == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    in->pool = pool;
    in->pos = ctx->body.start;
    in->unused = -1;

    ctx->data = in;

    ngx_str_null(&none);

    return ngx_http_loyalty_admin_note(ctx, "codes", &pool->name, &none,
                                       ngx_http_loyalty_admin_import_next);
}


static ngx_int_t
ngx_http_loyalty_admin_import_next(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_str_t                   arg, line, keys[2];
    ngx_uint_t                  n;
    loyalty_mpw_t               w;
    ngx_http_loyalty_fault_t    fault;
    ngx_http_loyalty_import_t  *in;

    in = ctx->data;

    loyalty_mpw_init(&w, in->buf, sizeof(in->buf));

    for (n = 0; n < NGX_HTTP_LOYALTY_CODES; n++) {

        if (ngx_http_loyalty_body_line(&ctx->body, &in->pos, &in->line, &line)
            != NGX_OK)
        {
            break;
        }

        if (ngx_http_loyalty_admin_code(in, &line, &w, &fault) != NGX_OK) {
            return ngx_http_loyalty_admin_import_fault(ctx, &fault);
        }
    }

    if (n == 0 && in->unused >= 0) {
        return ngx_http_loyalty_admin_import_done(ctx);
    }

    /* an import of nothing asks how many there are */

    arg.data = w.start;
    arg.len = w.pos - w.start;

    keys[0] = in->pool->unused;
    keys[1] = in->pool->all;

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_FN_IMPORT, 2,
                                        keys, &arg,
                                        ngx_http_loyalty_admin_import_reply);
}


static ngx_int_t
ngx_http_loyalty_admin_code(ngx_http_loyalty_import_t *in, ngx_str_t *line,
    loyalty_mpw_t *w, ngx_http_loyalty_fault_t *fault)
{
    json_t     *json;
    ngx_int_t   rc;
    ngx_str_t   code;

    json = ngx_http_loyalty_json(line, fault);
    if (json == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_OK;

    if (json_is_string(json)) {
        code.data = (u_char *) json_string_value(json);
        code.len = json_string_length(json);

    } else {
        rc = ngx_http_loyalty_admin_code_object(json, &code, fault);
    }

    if (rc == NGX_OK
        && ngx_http_loyalty_text_check(&code, NGX_HTTP_LOYALTY_CODE)
           != NGX_OK)
    {
        fault->item = -1;
        rc = ngx_http_loyalty_json_fault(fault, NULL, NULL,
                       "a code is a string of 1 to %d bytes without control "
                       "characters", NGX_HTTP_LOYALTY_CODE);
    }

    if (rc == NGX_OK) {
        loyalty_mpw_str(w, code.data, code.len);
    }

    json_decref(json);

    return rc;
}


static ngx_int_t
ngx_http_loyalty_admin_code_object(json_t *json, ngx_str_t *code,
    ngx_http_loyalty_fault_t *fault)
{
    static const ngx_http_loyalty_fields_t  fields[] = {

        { "code", NGX_HTTP_LOYALTY_FIELD_TEXT, 0, 0, NGX_HTTP_LOYALTY_CODE,
          1 },

        { NULL, 0, 0, 0, 0, 0 }
    };

    if (!json_is_object(json)) {
        fault->item = -1;
        return ngx_http_loyalty_json_fault(fault, NULL, NULL,
                                 "a string or {\"code\":...} is expected");
    }

    return ngx_http_loyalty_fields(json, fields, code, fault);
}


static ngx_int_t
ngx_http_loyalty_admin_import_reply(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_int_t                   added, unused;
    ngx_http_loyalty_import_t  *in;

    in = ctx->data;

    if (!reply->array || reply->n != 2) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    added = ngx_atoi(reply->values[0].data, reply->values[0].len);
    unused = ngx_atoi(reply->values[1].data, reply->values[1].len);

    if (added == NGX_ERROR || unused == NGX_ERROR) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    in->added += added;
    in->unused = unused;

    return ngx_http_loyalty_admin_import_next(ctx);
}


static ngx_int_t
ngx_http_loyalty_admin_import_done(ngx_http_loyalty_member_ctx_t *ctx)
{
    loyalty_out_t               out;
    ngx_http_loyalty_import_t  *in;

    in = ctx->data;

    ngx_http_loyalty_out_pool(&out, ctx->request->pool, 256);

    loyalty_out_lit(&out, "{\"pool\":");
    loyalty_out_str(&out, in->pool->name.data, in->pool->name.len);
    loyalty_out_lit(&out, ",\"added\":");
    loyalty_out_int(&out, in->added);
    loyalty_out_lit(&out, ",\"unused\":");
    loyalty_out_int(&out, in->unused);
    loyalty_out_lit(&out, "}");

    return ngx_http_loyalty_member_send(ctx, &out);
}


static ngx_int_t
ngx_http_loyalty_admin_import_fault(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_fault_t *fault)
{
    u_char                      buf[512];
    ngx_str_t                   detail;
    ngx_http_loyalty_import_t  *in;

    in = ctx->data;

    detail.data = buf;
    detail.len = ngx_snprintf(buf, sizeof(buf),
                              "line %ui%s%V: %V; %L codes of the lines "
                              "before it were added", in->line,
                              fault->pointer.len ? ", " : "",
                              &fault->pointer, &fault->detail, in->added)
                 - buf;

    return ngx_http_loyalty_member_problem(ctx, fault->problem, &detail);
}
