/*
 * The admin API on the beacon: what is held, a round by hand, a round to be
 * fetched.
 */

#include "ngx_http_loyalty_admin.h"
#include "ngx_http_loyalty_beacon.h"
#include "loyalty_draw.h"


#define NGX_HTTP_LOYALTY_ROUND_MAX  9007199254740991LL    /* 2^53 - 1 */


typedef struct {
    int64_t                           round;
    ngx_str_t                         signature;
    u_char                            sig[NGX_HTTP_LOYALTY_BEACON_SIG];
} ngx_http_loyalty_posted_t;


static ngx_int_t ngx_http_loyalty_admin_beacon_none(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_admin_beacon_put(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_admin_beacon_want(
    ngx_http_loyalty_member_ctx_t *ctx, uint64_t number);
static ngx_int_t ngx_http_loyalty_admin_beacon_fault(
    ngx_http_loyalty_member_ctx_t *ctx, const char *field, const char *what);
static ngx_int_t ngx_http_loyalty_admin_beacon_send(
    ngx_http_loyalty_member_ctx_t *ctx, uint64_t number);


static const ngx_http_loyalty_fields_t  ngx_http_loyalty_beacon_fields[] = {

    { "round", NGX_HTTP_LOYALTY_FIELD_INT,
      offsetof(ngx_http_loyalty_posted_t, round),
      1, NGX_HTTP_LOYALTY_ROUND_MAX, 1 },

    { "signature", NGX_HTTP_LOYALTY_FIELD_TEXT,
      offsetof(ngx_http_loyalty_posted_t, signature),
      0, 2 * NGX_HTTP_LOYALTY_BEACON_SIG, 0 },

    { NULL, 0, 0, 0, 0, 0 }
};


/* in the order of ngx_http_loyalty_beacon_source_e */

static const ngx_str_t  ngx_http_loyalty_beacon_sources[] = {
    ngx_string("none"),
    ngx_string("relays"),
    ngx_string("verified"),
    ngx_string("admin")
};


/* GET beacons */

ngx_int_t
ngx_http_loyalty_admin_beacons(ngx_http_loyalty_member_ctx_t *ctx)
{
    loyalty_out_t                      out;
    ngx_http_loyalty_beacon_status_t   status;

    if (ngx_http_loyalty_beacon_status(ctx->program, &status) != NGX_OK) {
        return ngx_http_loyalty_admin_beacon_none(ctx);
    }

    ngx_http_loyalty_out_pool(&out, ctx->request->pool, 512);

    loyalty_out_lit(&out, "{\"chain\":\"" LOYALTY_QUICKNET "\",\"newest\":");

    if (status.newest != 0) {
        loyalty_out_int(&out, (int64_t) status.newest);

    } else {
        loyalty_out_lit(&out, "null");
    }

    loyalty_out_lit(&out, ",\"due\":");
    loyalty_out_int(&out, (int64_t) loyalty_round_at(
                                   (uint64_t) ngx_http_loyalty_now()));
    loyalty_out_lit(&out, ",\"held\":");
    loyalty_out_int(&out, status.held);
    loyalty_out_lit(&out, ",\"wanted\":");
    loyalty_out_int(&out, status.wanted);
    loyalty_out_lit(&out, ",\"relays\":");
    loyalty_out_int(&out, status.relays);
    loyalty_out_lit(&out, ",\"failing\":");
    loyalty_out_int(&out, status.failing);
    loyalty_out_lit(&out, "}");

    return ngx_http_loyalty_member_send(ctx, &out);
}


/* GET beacons/ROUND */

ngx_int_t
ngx_http_loyalty_admin_beacon(ngx_http_loyalty_member_ctx_t *ctx)
{
    off_t  number;

    if (!ngx_http_loyalty_beacon_given(ctx->program)) {
        return ngx_http_loyalty_admin_beacon_none(ctx);
    }

    number = ngx_atoof(ctx->name.data, ctx->name.len);

    if (number < 1 || number > NGX_HTTP_LOYALTY_ROUND_MAX) {
        return ngx_http_loyalty_member_problem(ctx,
                                    NGX_HTTP_LOYALTY_P_UNKNOWN_PATH, NULL);
    }

    return ngx_http_loyalty_admin_beacon_send(ctx, (uint64_t) number);
}


/* POST beacons: a round with its signature, or one to be fetched */

ngx_int_t
ngx_http_loyalty_admin_beacon_post(ngx_http_loyalty_member_ctx_t *ctx)
{
    u_char                      buf[NGX_INT64_LEN];
    ngx_str_t                   subject;
    ngx_http_loyalty_fault_t    fault;
    ngx_http_loyalty_posted_t  *posted;

    if (!ngx_http_loyalty_beacon_given(ctx->program)) {
        return ngx_http_loyalty_admin_beacon_none(ctx);
    }

    posted = ngx_pcalloc(ctx->request->pool,
                         sizeof(ngx_http_loyalty_posted_t));
    if (posted == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_loyalty_fields(ctx->json, ngx_http_loyalty_beacon_fields,
                                posted, &fault)
        != NGX_OK)
    {
        return ngx_http_loyalty_member_fault(ctx, &fault);
    }

    if (posted->signature.len == 0) {
        return ngx_http_loyalty_admin_beacon_want(ctx,
                                                  (uint64_t) posted->round);
    }

    if (loyalty_unhex(posted->sig, NGX_HTTP_LOYALTY_BEACON_SIG,
                      posted->signature.data, posted->signature.len)
        != 0)
    {
        return ngx_http_loyalty_admin_beacon_fault(ctx, "signature",
                                             "is not 96 hexadecimal digits");
    }

    ctx->data = posted;

    subject.data = buf;
    subject.len = ngx_sprintf(buf, "%L", posted->round) - buf;

    return ngx_http_loyalty_admin_note(ctx, "beacon", &subject,
                                       &posted->signature,
                                       ngx_http_loyalty_admin_beacon_put);
}


static ngx_int_t
ngx_http_loyalty_admin_beacon_put(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_str_t                   detail;
    ngx_http_loyalty_posted_t  *posted;

    posted = ctx->data;

    switch (ngx_http_loyalty_beacon_put(ctx->program,
                                        (uint64_t) posted->round,
                                        posted->sig))
    {

    case NGX_OK:
        return ngx_http_loyalty_admin_beacon_send(ctx,
                                                  (uint64_t) posted->round);

    case NGX_AGAIN:
        return ngx_http_loyalty_admin_beacon_fault(ctx, "round",
                                                   "has not come out yet");

    case NGX_ABORT:
        return ngx_http_loyalty_admin_beacon_fault(ctx, "signature",
                                                   "is not quicknet's");

    case NGX_DECLINED:
        ngx_str_set(&detail, "the round is held with another signature, "
                             "which stays");
        return ngx_http_loyalty_member_problem(ctx,
                                NGX_HTTP_LOYALTY_P_EVENT_CONFLICT, &detail);

    case NGX_BUSY:
        ngx_str_set(&detail, "too many rounds are wanted and not there");
        return ngx_http_loyalty_member_problem(ctx, NGX_HTTP_LOYALTY_P_BUSY,
                                               &detail);

    default:
        return ngx_http_loyalty_member_problem(ctx,
                                        NGX_HTTP_LOYALTY_P_INTERNAL, NULL);
    }
}


static ngx_int_t
ngx_http_loyalty_admin_beacon_want(ngx_http_loyalty_member_ctx_t *ctx,
    uint64_t number)
{
    ngx_str_t  detail;

    if (ngx_http_loyalty_beacon_want(ctx->program, number) != NGX_OK) {
        ngx_str_set(&detail, "too many rounds are wanted and not there");
        return ngx_http_loyalty_member_problem(ctx, NGX_HTTP_LOYALTY_P_BUSY,
                                               &detail);
    }

    return ngx_http_loyalty_admin_beacon_send(ctx, number);
}


static ngx_int_t
ngx_http_loyalty_admin_beacon_none(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_str_t  detail;

    ngx_str_set(&detail, "the program has no \"beacon\"");

    return ngx_http_loyalty_member_problem(ctx,
                                 NGX_HTTP_LOYALTY_P_UNKNOWN_PATH, &detail);
}


static ngx_int_t
ngx_http_loyalty_admin_beacon_fault(ngx_http_loyalty_member_ctx_t *ctx,
    const char *field, const char *what)
{
    ngx_http_loyalty_fault_t  fault;

    fault.item = -1;

    (void) ngx_http_loyalty_json_fault(&fault, field, NULL, "%s", what);

    return ngx_http_loyalty_member_fault(ctx, &fault);
}


static ngx_int_t
ngx_http_loyalty_admin_beacon_send(ngx_http_loyalty_member_ctx_t *ctx,
    uint64_t number)
{
    u_char                     hex[2 * NGX_HTTP_LOYALTY_BEACON_SIG];
    ngx_int_t                  rc;
    loyalty_out_t              out;
    const ngx_str_t           *source;
    ngx_http_loyalty_round_t   round;

    rc = ngx_http_loyalty_beacon_round(ctx->program, number, &round);

    ngx_http_loyalty_out_pool(&out, ctx->request->pool, 512);

    loyalty_out_lit(&out, "{\"round\":");
    loyalty_out_int(&out, (int64_t) number);
    loyalty_out_lit(&out, ",\"state\":");

    if (rc != NGX_OK) {

        if (rc == NGX_AGAIN) {
            loyalty_out_lit(&out, "\"waiting\"}");

        } else {
            loyalty_out_lit(&out, "\"missing\"}");
        }

        return ngx_http_loyalty_member_send(ctx, &out);
    }

    source = &ngx_http_loyalty_beacon_sources[round.source];

    loyalty_out_lit(&out, "\"held\",\"source\":\"");
    loyalty_out_raw(&out, source->data, source->len);
    loyalty_out_lit(&out, "\",\"signature\":\"");
    loyalty_out_raw(&out, hex, loyalty_hex(hex, round.sig,
                                           NGX_HTTP_LOYALTY_BEACON_SIG));
    loyalty_out_lit(&out, "\",\"randomness\":\"");
    loyalty_out_raw(&out, hex, loyalty_hex(hex, round.b,
                                           NGX_HTTP_LOYALTY_BEACON_B));
    loyalty_out_lit(&out, "\"}");

    return ngx_http_loyalty_member_send(ctx, &out);
}
