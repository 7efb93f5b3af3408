/*
 * POST sweepstakes/NAME/disqualifications: whoever has the prize of a
 * position loses it, for a coded reason, to an alternate.
 *
 * The note is signed about who has it now and about the next number; when
 * that is taken in the meantime, it is made again.  Whoever else has the prize
 * by then keeps it; "ticket" says so, too, of a request that is repeated.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_sweepstakes_admin.h"


static ngx_int_t ngx_http_loyalty_vacate_ready(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_vacate_look(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_vacate_seen(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_vacate_send(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_str_t *who);
static ngx_int_t ngx_http_loyalty_vacate_reply(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);


static const ngx_http_loyalty_fields_t  ngx_http_loyalty_vacate_fields[] = {

    { "position", NGX_HTTP_LOYALTY_FIELD_INT,
      offsetof(ngx_http_loyalty_sadmin_t, number), 0,
      NGX_HTTP_LOYALTY_POSITIONS - 1, 1 },

    { "reason", NGX_HTTP_LOYALTY_FIELD_TEXT,
      offsetof(ngx_http_loyalty_sadmin_t, reason), 0, 32, 1 },

    { "ticket", NGX_HTTP_LOYALTY_FIELD_INT,
      offsetof(ngx_http_loyalty_sadmin_t, ticket), 0,
      LOYALTY_TICKETS_MAX - 1, 0 },

    { "evidence", NGX_HTTP_LOYALTY_FIELD_TEXT,
      offsetof(ngx_http_loyalty_sadmin_t, evidence), 0, 2 * LOYALTY_HASH,
      0 },

    { NULL, 0, 0, 0, 0, 0 }
};


/* the codes of reasons, from 1 */

static const char  *ngx_http_loyalty_vacate_reasons[] = {
    "ineligible", "unreachable", "unclaimed", "declined", "fraud", "excluded",
    NULL
};


ngx_int_t
ngx_http_loyalty_admin_disqualify(ngx_http_loyalty_member_ctx_t *ctx)
{
    ctx->data = NULL;

    return ngx_http_loyalty_sadmin(ctx, ngx_http_loyalty_vacate_fields,
                                   ngx_http_loyalty_vacate_ready);
}


static ngx_int_t
ngx_http_loyalty_vacate_ready(ngx_http_loyalty_member_ctx_t *ctx)
{
    u_char                      buf[64];
    ngx_str_t                   detail;
    ngx_uint_t                  i;
    ngx_http_loyalty_sadmin_t  *a;

    a = ctx->data;

    for (i = 0; ngx_http_loyalty_vacate_reasons[i] != NULL; i++) {
        if (ngx_http_loyalty_sadmin_is(&a->reason,
                                       ngx_http_loyalty_vacate_reasons[i]))
        {
            a->dq.reason = (uint16_t) (i + 1);
        }
    }

    if (a->dq.reason == 0) {
        ngx_str_set(&detail, "\"reason\" is one of ineligible, unreachable, "
                             "unclaimed, declined, fraud and excluded");

        return ngx_http_loyalty_member_problem(ctx,
                                 NGX_HTTP_LOYALTY_P_INVALID_FIELD, &detail);
    }

    if (a->evidence.len != 0
        && loyalty_unhex(a->dq.evidence, LOYALTY_HASH, a->evidence.data,
                         a->evidence.len)
           != 0)
    {
        ngx_str_set(&detail, "\"evidence\" is the SHA-256 of what proves it, "
                             "64 hexadecimal digits");

        return ngx_http_loyalty_member_problem(ctx,
                                 NGX_HTTP_LOYALTY_P_INVALID_FIELD, &detail);
    }

    a->dq.position = (uint32_t) a->number;
    a->dq.actor = ctx->actor.data;
    a->dq.len = ctx->actor.len;

    detail.data = buf;
    detail.len = ngx_sprintf(buf, "position %L, %V", a->number, &a->reason)
                 - buf;

    return ngx_http_loyalty_admin_note(ctx, "disqualify", &ctx->name, &detail,
                                       ngx_http_loyalty_vacate_look);
}


static ngx_int_t
ngx_http_loyalty_vacate_look(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_http_loyalty_sadmin_t  *a;

    a = ctx->data;

    ngx_http_loyalty_game_call(&a->call, a->change.campaign, "w");
    loyalty_mpw_int(&a->call.w, a->number);
    loyalty_mpw_str(&a->call.w, "", 0);

    a->call.arg.data = a->call.w.start;
    a->call.arg.len = a->call.w.pos - a->call.w.start;

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_FN_WINNERS,
                                        a->call.nkeys, a->call.keys,
                                        &a->call.arg,
                                        ngx_http_loyalty_vacate_seen);
}


static ngx_int_t
ngx_http_loyalty_vacate_seen(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_str_t                   detail, *value;
    ngx_http_loyalty_held_t     held;
    ngx_http_loyalty_sadmin_t  *a;

    a = ctx->data;
    value = reply->values;

    if (reply->array && reply->n == 0) {
        ngx_str_set(&detail, "nothing is drawn yet");

        return ngx_http_loyalty_member_problem(ctx,
                                     NGX_HTTP_LOYALTY_P_NOT_OPEN, &detail);
    }

    if (!reply->array || reply->n != 6) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    if (value[4].len == 0
        || ngx_http_loyalty_held(&value[4], &held) != NGX_OK
        || held.status >= NGX_HTTP_LOYALTY_VACANT
        || held.who.len != NGX_HTTP_LOYALTY_WHO)
    {
        ngx_str_set(&detail, "nobody has the prize of this position");

        return ngx_http_loyalty_member_problem(ctx,
                                  NGX_HTTP_LOYALTY_P_NOT_ELIGIBLE, &detail);
    }

    if ((a->ticket >= 0
         && (int64_t) loyalty_get_u64(held.who.data + 8 + LOYALTY_HASH)
            != a->ticket)
        || (a->tries > 0
            && ngx_memcmp(a->who, held.who.data, NGX_HTTP_LOYALTY_WHO) != 0))
    {
        ngx_str_set(&detail, "somebody else has the prize of this position "
                             "by now");

        return ngx_http_loyalty_member_problem(ctx,
                                  NGX_HTTP_LOYALTY_P_NOT_ELIGIBLE, &detail);
    }

    ngx_memcpy(a->who, held.who.data, NGX_HTTP_LOYALTY_WHO);

    a->dq.k = (uint32_t) ngx_atoi(value[2].data, value[2].len) + 1;
    a->dq.t = (uint64_t) ngx_http_loyalty_now();

    return ngx_http_loyalty_vacate_send(ctx, &held.who);
}


static ngx_int_t
ngx_http_loyalty_vacate_send(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_str_t *who)
{
    ngx_str_t                   note;
    ngx_http_loyalty_sadmin_t  *a;

    a = ctx->data;

    if (ngx_http_loyalty_dq_note(a->change.campaign, ctx->request->pool,
                                 &a->dq, who, &note)
        != NGX_OK
        || ngx_http_loyalty_dq_call(&a->call, a->change.campaign,
                                    ctx->request->pool, &a->dq, who, &note)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_FN_DISQUALIFY,
                                        a->call.nkeys, a->call.keys,
                                        &a->call.arg,
                                        ngx_http_loyalty_vacate_reply);
}


static ngx_int_t
ngx_http_loyalty_vacate_reply(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    loyalty_out_t               out;
    ngx_http_loyalty_sadmin_t  *a;

    a = ctx->data;

    if (reply->array || reply->n != 1 || reply->values[0].len != 1) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    if (reply->values[0].data[0] != 'N') {

        if (a->tries++ < NGX_HTTP_LOYALTY_TRIES) {
            return ngx_http_loyalty_vacate_look(ctx);
        }

        return ngx_http_loyalty_member_problem(ctx, NGX_HTTP_LOYALTY_P_BUSY,
                                               NULL);
    }

    ngx_http_loyalty_out_pool(&out, ctx->request->pool, 256);

    loyalty_out_lit(&out, "{\"sweepstakes\":");
    loyalty_out_str(&out, ctx->name.data, ctx->name.len);
    loyalty_out_lit(&out, ",\"number\":");
    loyalty_out_int(&out, a->dq.k);
    loyalty_out_lit(&out, ",\"position\":");
    loyalty_out_int(&out, a->number);
    loyalty_out_lit(&out, ",\"reason\":");
    loyalty_out_str(&out, a->reason.data, a->reason.len);
    loyalty_out_lit(&out, ",\"at\":");
    loyalty_out_time(&out, (int64_t) a->dq.t);

    if (a->change.campaign->flags & LOYALTY_FRESH) {
        loyalty_out_lit(&out, ",\"round\":");
        loyalty_out_int(&out, (int64_t) loyalty_round_dq(a->dq.t));
    }

    loyalty_out_lit(&out, "}");

    return out.failed ? NGX_HTTP_INTERNAL_SERVER_ERROR
                      : ngx_http_loyalty_member_send(ctx, &out);
}
