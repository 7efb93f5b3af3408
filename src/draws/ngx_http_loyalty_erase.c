/*
 * DELETE members/ID of the admin API.
 *
 * Logs and entries know no ids and stay as they are.  But what a member has
 * played and entered is counted in the account, and goes with it: somebody who
 * took part in a campaign that goes on could begin anew, beyond its limits,
 * and a verifier would find plays with numbers that were used before.  So the
 * pseudonyms in such campaigns, which their logs have anyway, are kept beside
 * the logs, and take part no more.  Where this server has stopped a campaign
 * they are made all the same, unless its secret is not known.
 *
 * Nor does who has listened to a signed request begin the account anew: as long
 * as its signature may be good, digests are kept of what was told.
 */

#include "ngx_http_loyalty_access.h"
#include "ngx_http_loyalty_admin.h"
#include "ngx_http_loyalty_await.h"
#include "ngx_http_loyalty_split.h"


#define NGX_HTTP_LOYALTY_ERASE_ARG  8192


typedef struct {
    ngx_http_loyalty_await_t          await;
    ngx_uint_t                        i;          /* of the campaigns */
    ngx_uint_t                        n;          /* that go on */
    ngx_http_loyalty_call_t           call;
    loyalty_mpw_t                     games;      /* hash, person, ... */
    u_char                            buf[NGX_HTTP_LOYALTY_ERASE_ARG];
} ngx_http_loyalty_erase_t;


static ngx_int_t ngx_http_loyalty_erase_next(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_erase_ready(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_erase_unknown(
    ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_campaign_t *campaign);
static ngx_int_t ngx_http_loyalty_erase_send(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_erase_reply(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);


ngx_int_t
ngx_http_loyalty_admin_erase(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_int_t                  rc;
    ngx_http_loyalty_erase_t  *erase;

    rc = ngx_http_loyalty_admin_known(ctx);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    erase = ngx_pcalloc(ctx->request->pool, sizeof(ngx_http_loyalty_erase_t));
    if (erase == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    erase->await.shows = 1;
    ctx->data = erase;

    ngx_http_loyalty_call_member(&erase->call, ctx->program, &ctx->member);
    loyalty_mpw_init(&erase->games, erase->buf, sizeof(erase->buf));

    return ngx_http_loyalty_erase_next(ctx);
}


/* the next campaign that goes on, or the call */

static ngx_int_t
ngx_http_loyalty_erase_next(ngx_http_loyalty_member_ctx_t *ctx)
{
    int64_t                       now;
    ngx_http_loyalty_erase_t     *erase;
    ngx_http_loyalty_campaign_t  *campaign;

    erase = ctx->data;
    now = ngx_http_loyalty_now();

    for ( ;; ) {
        campaign = ngx_http_loyalty_campaign(ctx->program, erase->i);

        if (campaign == NULL) {
            return ngx_http_loyalty_erase_send(ctx);
        }

        if (now < campaign->close + NGX_HTTP_LOYALTY_LATE) {
            return ngx_http_loyalty_await(&erase->await, ctx, campaign,
                                          ngx_http_loyalty_erase_ready);
        }

        erase->i++;
    }
}


static ngx_int_t
ngx_http_loyalty_erase_ready(ngx_http_loyalty_member_ctx_t *ctx)
{
    u_char                        person[LOYALTY_HASH];
    ngx_http_loyalty_erase_t     *erase;
    ngx_http_loyalty_campaign_t  *campaign;

    erase = ctx->data;
    campaign = ngx_http_loyalty_campaign(ctx->program, erase->i);

    if (erase->await.stopped && !ngx_http_loyalty_campaign_known(campaign)) {
        return ngx_http_loyalty_erase_unknown(ctx, campaign);
    }

    if (ngx_http_loyalty_campaign_person(campaign, &ctx->member, person)
        != NGX_OK
        || ngx_http_loyalty_split_key(&erase->call, campaign, "gone",
                                      &ctx->member)
           != NGX_OK)
    {
        return ngx_http_loyalty_member_problem(ctx,
                                       NGX_HTTP_LOYALTY_P_INTERNAL, NULL);
    }

    loyalty_mpw_str(&erase->games, campaign->rule->hash,
                    NGX_HTTP_LOYALTY_HASH);
    loyalty_mpw_str(&erase->games, person, LOYALTY_HASH);

    erase->i++;
    erase->n++;

    return ngx_http_loyalty_erase_next(ctx);
}


static ngx_int_t
ngx_http_loyalty_erase_unknown(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_campaign_t *campaign)
{
    u_char                     text[256];
    ngx_str_t                  detail;
    ngx_http_loyalty_erase_t  *erase;

    erase = ctx->data;

    detail.data = text;
    detail.len = ngx_snprintf(text, sizeof(text),
                              "this server does not know who takes part in "
                              "%V: nobody is erased who could begin it anew",
                              &campaign->rule->reason)
                 - text;

    return ngx_http_loyalty_member_problem(ctx, erase->await.stopped,
                                           &detail);
}


static ngx_int_t
ngx_http_loyalty_erase_send(ngx_http_loyalty_member_ctx_t *ctx)
{
    size_t                     len;
    u_char                     buf[NGX_HTTP_LOYALTY_ERASE_ARG
                                   + NGX_HTTP_LOYALTY_ACTOR + 64];
    ngx_str_t                  arg;
    ngx_time_t                *tp;
    loyalty_mpw_t              w;
    ngx_http_loyalty_erase_t  *erase;

    erase = ctx->data;
    tp = ngx_timeofday();

    loyalty_mpw_init(&w, buf, sizeof(buf));
    loyalty_mpw_int(&w, ctx->program->feed_max);
    loyalty_mpw_str(&w, ctx->actor.data, ctx->actor.len);
    loyalty_mpw_array(&w, 2 * erase->n);

    len = erase->games.pos - erase->games.start;

    loyalty_mpw_raw(&w, erase->buf, len);
    loyalty_mpw_int(&w, (int64_t) tp->sec * 1000 + tp->msec);
    loyalty_mpw_int(&w, ngx_http_loyalty_access_longest(ctx->request));

    if (w.failed || erase->games.failed
        || ngx_http_loyalty_call_told(&erase->call, ctx->program) != NGX_OK)
    {
        return ngx_http_loyalty_member_problem(ctx,
                                       NGX_HTTP_LOYALTY_P_INTERNAL, NULL);
    }

    arg.data = buf;
    arg.len = w.pos - w.start;

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_FN_ERASE,
                                        erase->call.nkeys, erase->call.keys,
                                        &arg, ngx_http_loyalty_erase_reply);
}


static ngx_int_t
ngx_http_loyalty_erase_reply(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    loyalty_out_t  out;

    if (reply->array || reply->n != 1 || reply->values[0].len != 1) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    if (reply->values[0].data[0] != '1') {
        return ngx_http_loyalty_member_problem(ctx,
                                  NGX_HTTP_LOYALTY_P_UNKNOWN_MEMBER, NULL);
    }

    ngx_http_loyalty_out_pool(&out, ctx->request->pool, 256);

    loyalty_out_lit(&out, "{\"member\":");
    loyalty_out_str(&out, ctx->member.data, ctx->member.len);
    loyalty_out_lit(&out, ",\"erased\":true}");

    return ngx_http_loyalty_member_send(ctx, &out);
}
