/*
 * The admin API on an instant win: how many of its prizes were won, against
 * what its odds promise; pausing; a timestamp that was fetched by hand.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_instant.h"
#include "ngx_http_loyalty_change.h"


#define NGX_HTTP_LOYALTY_IADMIN_ROWS   257        /* prizes and blanks */


typedef struct {
    ngx_http_loyalty_change_t          change;    /* first */
    ngx_uint_t                         pause;

    /* fields of the body */
    ngx_str_t                          token;
    int64_t                            number;
} ngx_http_loyalty_iadmin_t;


static ngx_int_t ngx_http_loyalty_iadmin(ngx_http_loyalty_member_ctx_t *ctx,
    const ngx_http_loyalty_fields_t *fields,
    ngx_http_loyalty_member_start_pt next, ngx_uint_t pause);
static ngx_int_t ngx_http_loyalty_iadmin_ask(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_iadmin_state(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static const char *ngx_http_loyalty_iadmin_stage(
    ngx_http_loyalty_campaign_t *campaign, int64_t now, int64_t close,
    int64_t paused);
static ngx_int_t ngx_http_loyalty_iadmin_prizes(
    ngx_http_loyalty_version_t *version, loyalty_mpr_t *r, int64_t plays,
    loyalty_out_t *out);
static void ngx_http_loyalty_iadmin_prize(loyalty_prize_t *row,
    int64_t awarded, int64_t plays, loyalty_out_t *out);
static ngx_int_t ngx_http_loyalty_iadmin_pause(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_iadmin_stamp(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_iadmin_token(
    ngx_http_loyalty_member_ctx_t *ctx);


static const ngx_http_loyalty_fields_t  ngx_http_loyalty_iadmin_none[] = {
    { NULL, 0, 0, 0, 0, 0 }
};


static const ngx_http_loyalty_fields_t  ngx_http_loyalty_iadmin_fields[] = {

    { "token", NGX_HTTP_LOYALTY_FIELD_TEXT,
      offsetof(ngx_http_loyalty_iadmin_t, token), 0, NGX_HTTP_LOYALTY_TOKEN,
      1 },

    { "number", NGX_HTTP_LOYALTY_FIELD_INT,
      offsetof(ngx_http_loyalty_iadmin_t, number), 1, 1000000, 0 },

    { NULL, 0, 0, 0, 0, 0 }
};


ngx_int_t
ngx_http_loyalty_admin_instant(ngx_http_loyalty_member_ctx_t *ctx)
{
    return ngx_http_loyalty_iadmin(ctx, ngx_http_loyalty_iadmin_none,
                                   ngx_http_loyalty_iadmin_ask, 0);
}


ngx_int_t
ngx_http_loyalty_admin_instant_pause(ngx_http_loyalty_member_ctx_t *ctx)
{
    return ngx_http_loyalty_iadmin(ctx, ngx_http_loyalty_iadmin_none,
                                   ngx_http_loyalty_iadmin_pause, 1);
}


ngx_int_t
ngx_http_loyalty_admin_instant_resume(ngx_http_loyalty_member_ctx_t *ctx)
{
    return ngx_http_loyalty_iadmin(ctx, ngx_http_loyalty_iadmin_none,
                                   ngx_http_loyalty_iadmin_pause, 0);
}


ngx_int_t
ngx_http_loyalty_admin_instant_timestamp(ngx_http_loyalty_member_ctx_t *ctx)
{
    return ngx_http_loyalty_iadmin(ctx, ngx_http_loyalty_iadmin_fields,
                                   ngx_http_loyalty_iadmin_stamp, 0);
}


static ngx_int_t
ngx_http_loyalty_iadmin(ngx_http_loyalty_member_ctx_t *ctx,
    const ngx_http_loyalty_fields_t *fields,
    ngx_http_loyalty_member_start_pt next, ngx_uint_t pause)
{
    ngx_int_t                   rc;
    ngx_http_loyalty_iadmin_t  *a;

    a = ngx_pcalloc(ctx->request->pool, sizeof(ngx_http_loyalty_iadmin_t));
    if (a == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    a->pause = pause;
    a->number = 1;

    rc = ngx_http_loyalty_change(&a->change, ctx, LOYALTY_INSTANT_WIN,
                                 fields);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    a->change.await.shows = (next == ngx_http_loyalty_iadmin_ask
                             || next == ngx_http_loyalty_iadmin_pause);

    return ngx_http_loyalty_await(&a->change.await, ctx, a->change.campaign,
                                  next);
}


/* ---- what was won ---- */

static ngx_int_t
ngx_http_loyalty_iadmin_ask(ngx_http_loyalty_member_ctx_t *ctx)
{
    u_char                      buf[NGX_HTTP_LOYALTY_CAMPAIGN_KEY];
    ngx_str_t                   key;
    ngx_http_loyalty_iadmin_t  *a;

    a = ctx->data;

    if (a->change.await.stopped
        && ngx_http_loyalty_campaign_version(a->change.campaign) == NULL)
    {
        return ngx_http_loyalty_member_problem(ctx, a->change.await.stopped,
                                               NULL);
    }

    ngx_http_loyalty_campaign_key(a->change.campaign, "s", -1, buf, &key);

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_GET, 1, &key,
                                        NULL, ngx_http_loyalty_iadmin_state);
}


static ngx_int_t
ngx_http_loyalty_iadmin_state(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    int64_t                       format, plays, paused, now;
    const char                   *stage;
    loyalty_mpr_t                 r;
    loyalty_out_t                 out;
    ngx_http_loyalty_iadmin_t    *a;
    ngx_http_loyalty_version_t   *version;
    ngx_http_loyalty_campaign_t  *campaign;

    a = ctx->data;
    campaign = a->change.campaign;

    now = ngx_http_loyalty_now();

    version = ngx_http_loyalty_campaign_holds(campaign, now);

    if (version == NULL || reply->array || reply->n != 1
        || reply->values[0].data == NULL)
    {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    loyalty_mpr_init(&r, reply->values[0].data, reply->values[0].len);

    if (loyalty_mpr_int(&r, &format) != 0
        || loyalty_mpr_int(&r, &plays) != 0
        || loyalty_mpr_int(&r, &paused) != 0
        || ngx_http_loyalty_games_skip(&r, 3) != NGX_OK)
    {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    stage = ngx_http_loyalty_iadmin_stage(campaign, now,
                                          (int64_t) version->manifest.close,
                                          paused);

    ngx_http_loyalty_out_pool(&out, ctx->request->pool, 1024);

    loyalty_out_lit(&out, "{\"name\":");
    loyalty_out_str(&out, ctx->name.data, ctx->name.len);
    loyalty_out_lit(&out, ",\"state\":");
    loyalty_out_str(&out, stage, ngx_strlen(stage));
    ngx_http_loyalty_held_json(paused, &out);
    ngx_http_loyalty_stopped_json(a->change.await.stopped, &out);
    loyalty_out_lit(&out, ",\"version\":");
    loyalty_out_int(&out, version->version);

    /* one that waits for its timestamp, or for its epoch */

    if (campaign->version > version->version) {
        loyalty_out_lit(&out, ",\"next_version\":");
        loyalty_out_int(&out, campaign->version);
    }

    loyalty_out_lit(&out, ",\"opens\":");
    loyalty_out_time(&out, campaign->open);
    loyalty_out_lit(&out, ",\"closes\":");
    loyalty_out_time(&out, (int64_t) version->manifest.close);
    loyalty_out_lit(&out, ",\"plays\":");
    loyalty_out_int(&out, plays);

    if (ngx_http_loyalty_iadmin_prizes(version, &r, plays, &out) != NGX_OK) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    loyalty_out_lit(&out, "}");

    return out.failed ? NGX_HTTP_INTERNAL_SERVER_ERROR
                      : ngx_http_loyalty_member_send(ctx, &out);
}


static const char *
ngx_http_loyalty_iadmin_stage(ngx_http_loyalty_campaign_t *campaign,
    int64_t now, int64_t close, int64_t paused)
{
    return (paused >= NGX_HTTP_LOYALTY_REWOUND) ? "paused"
           : (now < campaign->open) ? "planned"
           : (now >= close) ? "over"
           : paused ? "paused" : "open";
}


/* Redis counts by names of rows, those of earlier versions among them */

static ngx_int_t
ngx_http_loyalty_iadmin_prizes(ngx_http_loyalty_version_t *version,
    loyalty_mpr_t *r, int64_t plays, loyalty_out_t *out)
{
    u_char                hash[NGX_HTTP_LOYALTY_IADMIN_ROWS]
                              [NGX_HTTP_LOYALTY_HASH];
    int64_t               n, wins, taken[NGX_HTTP_LOYALTY_IADMIN_ROWS];
    uint32_t              len, k;
    ngx_uint_t            i, nrows, told;
    const unsigned char  *names;

    nrows = ngx_min(version->nrows, NGX_HTTP_LOYALTY_IADMIN_ROWS);
    ngx_memzero(taken, sizeof(taken));
    wins = 0;
    told = 0;

    for (i = 0; i < nrows; i++) {
        ngx_http_loyalty_instant_name(&version->rows[i], hash[i]);
    }

    if (loyalty_mpr_str(r, &names, &len) != 0) {
        return NGX_ERROR;
    }

    for (k = 0; k + NGX_HTTP_LOYALTY_HASH <= len; k += NGX_HTTP_LOYALTY_HASH)
    {
        if (loyalty_mpr_int(r, &n) != 0) {
            return NGX_ERROR;
        }

        for (i = 0; i < nrows; i++) {
            if (ngx_memcmp(hash[i], names + k, NGX_HTTP_LOYALTY_HASH) == 0) {
                taken[i] = n;
            }
        }

        if (ngx_memcmp(names + k, "\0\0\0\0", NGX_HTTP_LOYALTY_HASH) != 0) {
            wins += n;
        }
    }

    loyalty_out_lit(out, ",\"wins\":");
    loyalty_out_int(out, wins);
    loyalty_out_lit(out, ",\"prizes\":[");

    for (i = 0; i < nrows; i++) {

        /* a deck's blanks have no name, and nobody wins one */

        if (version->rows[i].len == 0) {
            continue;
        }

        if (told++ > 0) {
            loyalty_out_lit(out, ",");
        }

        ngx_http_loyalty_iadmin_prize(&version->rows[i], taken[i], plays,
                                      out);
    }

    loyalty_out_lit(out, "]");

    return NGX_OK;
}


static void
ngx_http_loyalty_iadmin_prize(loyalty_prize_t *row, int64_t awarded,
    int64_t plays, loyalty_out_t *out)
{
    u_char       odds[2 * NGX_INT64_LEN + 1];
    __uint128_t  expected;

    loyalty_out_lit(out, "{\"name\":");
    loyalty_out_str(out, row->name, row->len);
    loyalty_out_lit(out, ",\"awarded\":");
    loyalty_out_int(out, awarded);

    if (row->stock != LOYALTY_UNLIMITED) {
        loyalty_out_lit(out, ",\"stock\":");
        loyalty_out_int(out, (int64_t) row->stock);
        loyalty_out_lit(out, ",\"left\":");
        loyalty_out_int(out, ngx_max((int64_t) row->stock - awarded, 0));
    }

    if (row->den != 0) {
        loyalty_out_lit(out, ",\"odds\":");
        loyalty_out_str(out, odds, ngx_sprintf(odds, "%uL/%uL", row->num,
                                               row->den)
                                   - odds);

        /* to the nearest hundredth; by the odds of this version alone */

        expected = ((__uint128_t) plays * row->num * 200 + row->den)
                   / (2 * (__uint128_t) row->den);

        loyalty_out_lit(out, ",\"expected\":");
        loyalty_out_money(out, (int64_t) expected, 2);
    }

    loyalty_out_lit(out, "}");
}


/* ---- pause, resume ---- */

static ngx_int_t
ngx_http_loyalty_iadmin_pause(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_http_loyalty_iadmin_t  *a;

    a = ctx->data;

    return ngx_http_loyalty_change_pause(ctx, a->pause,
                                         ngx_http_loyalty_iadmin_ask);
}


/* ---- timestamps of manifests ---- */

static ngx_int_t
ngx_http_loyalty_iadmin_stamp(ngx_http_loyalty_member_ctx_t *ctx)
{
    u_char                     *p;
    ngx_int_t                   rc;
    ngx_str_t                   version;
    ngx_http_loyalty_iadmin_t  *a;

    a = ctx->data;

    rc = ngx_http_loyalty_change_token(ctx, &a->token);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    p = ngx_pnalloc(ctx->request->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    version.data = p;
    version.len = ngx_sprintf(p, "%L", a->number) - p;

    return ngx_http_loyalty_admin_note(ctx, "timestamp", &ctx->name, &version,
                                       ngx_http_loyalty_iadmin_token);
}


static ngx_int_t
ngx_http_loyalty_iadmin_token(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_http_loyalty_iadmin_t  *a;

    a = ctx->data;

    return ngx_http_loyalty_change_stamp(ctx, "manifest", a->number, NULL,
                                         &a->token);
}
