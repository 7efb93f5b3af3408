/*
 * The admin API on a sweepstakes: closing and drawing what is due, pausing,
 * and prizes that were claimed or delivered.
 *
 * Close and draw are the leader's to do, by the clock; asking for them says
 * how far that is.  A draw that is done stays as it is.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_sweepstakes.h"
#include "ngx_http_loyalty_sweepstakes_admin.h"


static ngx_int_t ngx_http_loyalty_admin_sweepstakes_found(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_admin_close_ready(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_admin_close_send(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_admin_close_asked(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_admin_where(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_admin_standing(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_admin_standing_json(
    ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_standing_t *standing, ngx_str_t *told);
static void ngx_http_loyalty_admin_winner_json(
    ngx_http_loyalty_campaign_t *campaign, ngx_uint_t position,
    const u_char *told, loyalty_out_t *out);
static ngx_int_t ngx_http_loyalty_admin_pause_ready(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_admin_prize(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_held_e what);
static ngx_int_t ngx_http_loyalty_admin_prize_ready(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_admin_prize_send(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_admin_prize_reply(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);


static const ngx_http_loyalty_fields_t  ngx_http_loyalty_no_fields[] = {
    { NULL, 0, 0, 0, 0, 0 }
};


ngx_int_t
ngx_http_loyalty_sadmin(ngx_http_loyalty_member_ctx_t *ctx,
    const ngx_http_loyalty_fields_t *fields,
    ngx_http_loyalty_member_start_pt next)
{
    ngx_int_t                   rc;
    ngx_http_loyalty_sadmin_t  *a;

    a = ngx_pcalloc(ctx->request->pool, sizeof(ngx_http_loyalty_sadmin_t));
    if (a == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    a->ticket = -1;
    a->what = (ngx_uint_t) (uintptr_t) ctx->data;

    rc = ngx_http_loyalty_change(&a->change, ctx, LOYALTY_SWEEPSTAKES,
                                 fields ? fields : ngx_http_loyalty_no_fields);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    a->change.await.shows = (next == ngx_http_loyalty_admin_sweepstakes_found
                             || next == ngx_http_loyalty_admin_pause_ready);

    return ngx_http_loyalty_await(&a->change.await, ctx, a->change.campaign,
                                  next);
}


static ngx_int_t
ngx_http_loyalty_admin_sweepstakes_found(ngx_http_loyalty_member_ctx_t *ctx)
{
    return ngx_http_loyalty_admin_where(ctx);
}


ngx_int_t
ngx_http_loyalty_admin_sweepstakes(ngx_http_loyalty_member_ctx_t *ctx)
{
    ctx->data = NULL;

    return ngx_http_loyalty_sadmin(ctx, NULL,
                                   ngx_http_loyalty_admin_sweepstakes_found);
}


/* ---- close, draw ---- */

ngx_int_t
ngx_http_loyalty_admin_close(ngx_http_loyalty_member_ctx_t *ctx)
{
    ctx->data = (void *) NGX_HTTP_LOYALTY_SADMIN_CLOSE;

    return ngx_http_loyalty_sadmin(ctx, NULL,
                                   ngx_http_loyalty_admin_close_ready);
}


ngx_int_t
ngx_http_loyalty_admin_draw(ngx_http_loyalty_member_ctx_t *ctx)
{
    ctx->data = (void *) NGX_HTTP_LOYALTY_SADMIN_DRAW;

    return ngx_http_loyalty_sadmin(ctx, NULL,
                                   ngx_http_loyalty_admin_close_ready);
}


static ngx_int_t
ngx_http_loyalty_admin_close_ready(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_str_t                   none;
    ngx_http_loyalty_sadmin_t  *a;

    a = ctx->data;
    ngx_str_null(&none);

    return ngx_http_loyalty_admin_note(ctx,
                         a->what == NGX_HTTP_LOYALTY_SADMIN_CLOSE ? "close"
                                                                  : "draw",
                         &ctx->name, &none,
                         ngx_http_loyalty_admin_close_send);
}


static ngx_int_t
ngx_http_loyalty_admin_close_send(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_http_loyalty_sadmin_t  *a;

    a = ctx->data;

    ngx_http_loyalty_game_call(&a->call, a->change.campaign, "s meta");
    loyalty_mpw_int(&a->call.w, a->change.campaign->close);
    loyalty_mpw_int(&a->call.w,
                    ngx_http_loyalty_campaign_generation(a->change.campaign));

    a->call.arg.data = a->call.w.start;
    a->call.arg.len = a->call.w.pos - a->call.w.start;

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_FN_CLOSING,
                                        a->call.nkeys, a->call.keys,
                                        &a->call.arg,
                                        ngx_http_loyalty_admin_close_asked);
}


static ngx_int_t
ngx_http_loyalty_admin_close_asked(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    u_char                      buf[128];
    ngx_str_t                   detail;
    loyalty_out_t               out;
    ngx_http_loyalty_sadmin_t  *a;

    a = ctx->data;

    if (!reply->array) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    if (reply->n == 0) {
        ngx_str_set(&detail, "it is held: see its log, then resume it");
        return ngx_http_loyalty_member_problem(ctx, NGX_HTTP_LOYALTY_P_PAUSED,
                                               &detail);
    }

    if (ngx_atoi(reply->values[0].data, reply->values[0].len)
        != NGX_HTTP_LOYALTY_PHASE_OPEN)
    {
        return ngx_http_loyalty_admin_where(ctx);
    }

    /* what is published says when it closes, and that holds */

    ngx_http_loyalty_out_pool(&out, ctx->request->pool, 64);
    loyalty_out_time(&out, a->change.campaign->close);

    if (out.failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    detail.data = buf;
    detail.len = ngx_snprintf(buf, sizeof(buf),
                              "it closes at %*s, and not before",
                              (size_t) (out.pos - out.start - 2),
                              out.start + 1)
                 - buf;

    return ngx_http_loyalty_member_problem(ctx, NGX_HTTP_LOYALTY_P_NOT_OPEN,
                                           &detail);
}


static ngx_int_t
ngx_http_loyalty_admin_where(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_http_loyalty_sadmin_t  *a;

    a = ctx->data;

    ngx_http_loyalty_game_call(&a->call, a->change.campaign, "s meta w");
    loyalty_mpw_str(&a->call.w, "", 0);

    a->call.arg.data = a->call.w.start;
    a->call.arg.len = a->call.w.pos - a->call.w.start;

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_FN_SWEEPSTAKES,
                                        a->call.nkeys, a->call.keys,
                                        &a->call.arg,
                                        ngx_http_loyalty_admin_standing);
}


static ngx_int_t
ngx_http_loyalty_admin_standing(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_int_t                     rc;
    ngx_http_loyalty_sadmin_t    *a;
    ngx_http_loyalty_standing_t   standing;

    a = ctx->data;

    rc = ngx_http_loyalty_standing(reply, &standing);

    if (rc == NGX_DECLINED && a->change.await.stopped) {
        return ngx_http_loyalty_member_problem(ctx, a->change.await.stopped,
                                               NULL);
    }

    if (rc != NGX_OK || reply->n <= NGX_HTTP_LOYALTY_STANDING_VALUES)
    {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    if (a->what == NGX_HTTP_LOYALTY_SADMIN_DRAW
        && standing.phase == NGX_HTTP_LOYALTY_PHASE_DRAWN)
    {
        ngx_log_error(NGX_LOG_NOTICE, ctx->request->connection->log, 0,
                      "loyalty program \"%V\": %V was to be drawn again by "
                      "\"%V\": its first result stands",
                      &ctx->program->name, &a->change.campaign->rule->reason,
                      &ctx->actor);
    }

    return ngx_http_loyalty_admin_standing_json(ctx, &standing,
                         &reply->values[NGX_HTTP_LOYALTY_STANDING_VALUES]);
}


static ngx_int_t
ngx_http_loyalty_admin_standing_json(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_standing_t *standing, ngx_str_t *told)
{
    u_char                     *p, *last;
    ngx_uint_t                  i;
    loyalty_out_t               out;
    ngx_http_loyalty_sadmin_t  *a;

    a = ctx->data;

    ngx_http_loyalty_out_pool(&out, ctx->request->pool, 512);

    loyalty_out_lit(&out, "{\"name\":");
    loyalty_out_str(&out, ctx->name.data, ctx->name.len);
    ngx_http_loyalty_standing_json(a->change.campaign, standing,
                                   a->change.await.stopped, &out);

    if (standing->phase == NGX_HTTP_LOYALTY_PHASE_DRAWN) {
        loyalty_out_lit(&out, ",\"winners\":[");

        last = told->data + told->len;

        for (i = 0, p = told->data;
             last - p >= NGX_HTTP_LOYALTY_TOLD;
             i++, p += NGX_HTTP_LOYALTY_TOLD)
        {
            ngx_http_loyalty_admin_winner_json(a->change.campaign, i, p, &out);
        }

        loyalty_out_lit(&out, "]");
    }

    loyalty_out_lit(&out, "}");

    if (out.failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_loyalty_member_send(ctx, &out);
}


/* u32 row, u8 status, u64 seq, person, u64 ticket */

static void
ngx_http_loyalty_admin_winner_json(ngx_http_loyalty_campaign_t *campaign,
    ngx_uint_t position, const u_char *told, loyalty_out_t *out)
{
    u_char       text[2 * LOYALTY_HASH];
    const char  *status;

    static const char  *statuses[] = {
        "held", "claimed", "delivered", "vacant", "awaiting"
    };

    status = statuses[ngx_min(told[4], NGX_HTTP_LOYALTY_AWAITING)];

    if (position > 0) {
        loyalty_out_lit(out, ",");
    }

    loyalty_out_lit(out, "{\"position\":");
    loyalty_out_int(out, position);
    loyalty_out_lit(out, ",\"prize\":");
    ngx_http_loyalty_prize_json(campaign, loyalty_get_u32(told), out);
    loyalty_out_lit(out, ",\"status\":");
    loyalty_out_str(out, status, ngx_strlen(status));

    if (told[4] < NGX_HTTP_LOYALTY_VACANT) {
        loyalty_out_lit(out, ",\"ticket\":");
        loyalty_out_int(out, (int64_t) loyalty_get_u64(told + 13
                                                       + LOYALTY_HASH));
        loyalty_out_lit(out, ",\"entry\":");
        loyalty_out_int(out, (int64_t) loyalty_get_u64(told + 5));
        loyalty_out_lit(out, ",\"person\":");
        loyalty_out_str(out, text, loyalty_hex(text, told + 13,
                                               LOYALTY_HASH));
    }

    loyalty_out_lit(out, "}");
}


/* ---- pause, resume ---- */

ngx_int_t
ngx_http_loyalty_admin_sweepstakes_pause(ngx_http_loyalty_member_ctx_t *ctx)
{
    ctx->data = (void *) NGX_HTTP_LOYALTY_SADMIN_PAUSE;

    return ngx_http_loyalty_sadmin(ctx, NULL,
                                   ngx_http_loyalty_admin_pause_ready);
}


ngx_int_t
ngx_http_loyalty_admin_sweepstakes_resume(ngx_http_loyalty_member_ctx_t *ctx)
{
    ctx->data = (void *) NGX_HTTP_LOYALTY_SADMIN_RESUME;

    return ngx_http_loyalty_sadmin(ctx, NULL,
                                   ngx_http_loyalty_admin_pause_ready);
}


static ngx_int_t
ngx_http_loyalty_admin_pause_ready(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_http_loyalty_sadmin_t  *a;

    a = ctx->data;

    return ngx_http_loyalty_change_pause(ctx,
                               a->what == NGX_HTTP_LOYALTY_SADMIN_PAUSE,
                               ngx_http_loyalty_admin_where);
}


/* ---- what became of a prize ---- */

ngx_int_t
ngx_http_loyalty_admin_claim(ngx_http_loyalty_member_ctx_t *ctx)
{
    return ngx_http_loyalty_admin_prize(ctx, NGX_HTTP_LOYALTY_CLAIMED);
}


ngx_int_t
ngx_http_loyalty_admin_deliver(ngx_http_loyalty_member_ctx_t *ctx)
{
    return ngx_http_loyalty_admin_prize(ctx, NGX_HTTP_LOYALTY_DELIVERED);
}


static ngx_int_t
ngx_http_loyalty_admin_prize(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_held_e what)
{
    ctx->data = (void *) (uintptr_t) what;

    return ngx_http_loyalty_sadmin(ctx, NULL,
                                   ngx_http_loyalty_admin_prize_ready);
}


static ngx_int_t
ngx_http_loyalty_admin_prize_ready(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_str_t                   detail;
    ngx_http_loyalty_sadmin_t  *a;

    a = ctx->data;

    a->number = ngx_atoi(ctx->second.data, ctx->second.len);

    if (a->number < 0 || a->number >= NGX_HTTP_LOYALTY_POSITIONS) {
        ngx_str_set(&detail, "a position is a number from 0");

        return ngx_http_loyalty_member_problem(ctx,
                                 NGX_HTTP_LOYALTY_P_UNKNOWN_PATH, &detail);
    }

    return ngx_http_loyalty_admin_note(ctx,
                         a->what == NGX_HTTP_LOYALTY_CLAIMED ? "claim"
                                                             : "deliver",
                         &ctx->name, &ctx->second,
                         ngx_http_loyalty_admin_prize_send);
}


static ngx_int_t
ngx_http_loyalty_admin_prize_send(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_http_loyalty_sadmin_t  *a;

    a = ctx->data;

    ngx_http_loyalty_claim_call(&a->call, a->change.campaign,
                                ngx_http_loyalty_now(), a->number, NULL,
                                a->what);

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_FN_CLAIM,
                                        a->call.nkeys, a->call.keys,
                                        &a->call.arg,
                                        ngx_http_loyalty_admin_prize_reply);
}


static ngx_int_t
ngx_http_loyalty_admin_prize_reply(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_int_t                    rc;
    ngx_str_t                    detail;
    loyalty_out_t                out;
    ngx_http_loyalty_sadmin_t   *a;
    ngx_http_loyalty_problem_e   problem;

    a = ctx->data;

    ngx_http_loyalty_out_pool(&out, ctx->request->pool, 256);

    rc = ngx_http_loyalty_claim_json(a->change.campaign, reply,
                                     a->what == NGX_HTTP_LOYALTY_CLAIMED
                                     ? "claimed" : "delivered",
                                     &out, &problem, &detail);

    if (rc == NGX_DECLINED) {
        return ngx_http_loyalty_member_problem(ctx, problem, &detail);
    }

    if (rc != NGX_OK) {
        return ngx_http_loyalty_member_problem(ctx,
                                        NGX_HTTP_LOYALTY_P_INTERNAL, NULL);
    }

    return ngx_http_loyalty_member_send(ctx, &out);
}


ngx_uint_t
ngx_http_loyalty_sadmin_is(ngx_str_t *text, const char *word)
{
    return text->len == ngx_strlen(word)
           && ngx_memcmp(text->data, word, text->len) == 0;
}
