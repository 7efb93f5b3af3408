/*
 * The admin API: a beacon's round by hand.
 */

#include "ngx_http_loyalty_admin.h"
#include "ngx_http_loyalty_beacon.h"


typedef struct {
    int64_t                           round;
    ngx_str_t                         signature;
    u_char                            bytes[NGX_HTTP_LOYALTY_BEACON_SIG];
} ngx_http_loyalty_admin_round_t;


static ngx_int_t ngx_http_loyalty_admin_hex(ngx_str_t *text, u_char *dst,
    size_t n);
static ngx_int_t ngx_http_loyalty_admin_put(
    ngx_http_loyalty_member_ctx_t *ctx);


static const ngx_http_loyalty_fields_t  ngx_http_loyalty_round_fields[] = {

    { "round", NGX_HTTP_LOYALTY_FIELD_INT,
      offsetof(ngx_http_loyalty_admin_round_t, round), 1, LOYALTY_MAX_INT,
      1 },

    { "signature", NGX_HTTP_LOYALTY_FIELD_TEXT,
      offsetof(ngx_http_loyalty_admin_round_t, signature), 0,
      2 * NGX_HTTP_LOYALTY_BEACON_SIG, 1 },

    { NULL, 0, 0, 0, 0, 0 }
};


ngx_int_t
ngx_http_loyalty_admin_beacon(ngx_http_loyalty_member_ctx_t *ctx)
{
    u_char                           text[NGX_INT64_LEN];
    ngx_str_t                        subject;
    ngx_http_loyalty_fault_t         fault;
    ngx_http_loyalty_admin_round_t  *round;

    round = ngx_pcalloc(ctx->request->pool,
                        sizeof(ngx_http_loyalty_admin_round_t));
    if (round == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_loyalty_fields(ctx->json, ngx_http_loyalty_round_fields,
                                round, &fault)
        != NGX_OK)
    {
        return ngx_http_loyalty_member_fault(ctx, &fault);
    }

    if (ngx_http_loyalty_admin_hex(&round->signature, round->bytes,
                                   NGX_HTTP_LOYALTY_BEACON_SIG)
        != NGX_OK)
    {
        (void) ngx_http_loyalty_json_fault(&fault, "signature", NULL,
                                           "is not %d bytes in hex",
                                           NGX_HTTP_LOYALTY_BEACON_SIG);

        return ngx_http_loyalty_member_fault(ctx, &fault);
    }

    ctx->data = round;

    subject.data = text;
    subject.len = ngx_sprintf(text, "%L", round->round) - text;

    return ngx_http_loyalty_admin_note(ctx, "beacon", &subject,
                                       &round->signature,
                                       ngx_http_loyalty_admin_put);
}


static ngx_int_t
ngx_http_loyalty_admin_hex(ngx_str_t *text, u_char *dst, size_t n)
{
    size_t     i;
    ngx_int_t  byte;

    if (text->len != 2 * n) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        byte = ngx_hextoi(text->data + 2 * i, 2);

        if (byte == NGX_ERROR) {
            return NGX_ERROR;
        }

        dst[i] = (u_char) byte;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_admin_put(ngx_http_loyalty_member_ctx_t *ctx)
{
    loyalty_out_t                    out;
    ngx_http_loyalty_fault_t         fault;
    ngx_http_loyalty_admin_round_t  *round;

    round = ctx->data;
    fault.item = -1;

    switch (ngx_http_loyalty_beacon_put(ctx->program, round->round,
                                        round->bytes))
    {
    case NGX_OK:
        break;

    case NGX_AGAIN:
        (void) ngx_http_loyalty_json_fault(&fault, "round", NULL,
                                           "has not come out yet");
        return ngx_http_loyalty_member_fault(ctx, &fault);

    case NGX_DECLINED:
        (void) ngx_http_loyalty_json_fault(&fault, "signature", NULL,
                              "differs from the one that is held");
        return ngx_http_loyalty_member_fault(ctx, &fault);

    case NGX_ABORT:
        (void) ngx_http_loyalty_json_fault(&fault, "signature", NULL,
                                           "is not the beacon's");
        return ngx_http_loyalty_member_fault(ctx, &fault);

    case NGX_BUSY:
        return ngx_http_loyalty_member_problem(ctx, NGX_HTTP_LOYALTY_P_BUSY,
                                               NULL);

    default: /* NGX_ERROR */
        (void) ngx_http_loyalty_json_fault(&fault, NULL, NULL,
                                           "the program has no beacon");
        return ngx_http_loyalty_member_fault(ctx, &fault);
    }

    ngx_http_loyalty_out_pool(&out, ctx->request->pool, 256);

    loyalty_out_lit(&out, "{\"round\":");
    loyalty_out_int(&out, round->round);
    loyalty_out_lit(&out, ",\"held\":true}");

    return ngx_http_loyalty_member_send(ctx, &out);
}
