/*
 * A play in three steps: reserve here, draw and settle as the room's part of
 * what the draws do with a reservation.
 *
 * Everything that decides is in the reservation: t, e, R_p and idx.  So it
 * does not matter who draws, and a draw that comes too late draws nothing.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_instant_play.h"
#include "ngx_http_loyalty_request.h"


#define NGX_HTTP_LOYALTY_SPLIT_KNOWN  9           /* "K" and a seq */


typedef struct {
    ngx_http_loyalty_split_t          split;      /* first */
    ngx_http_loyalty_instant_conf_t  *icf;
    int64_t                           e;
    int64_t                           round;      /* R_p */
    int64_t                           degraded;
    int64_t                           idx;
    int64_t                           wins;
    int64_t                           seq;        /* in whose chunk it is, -1:
                                                     the next one */
    ngx_uint_t                        width;      /* ctr, from 0 */
    ngx_uint_t                        held;       /* b is R_p's */
    u_char                            b[LOYALTY_HASH];
    u_char                            draws[NGX_HTTP_LOYALTY_PLAY_CTR
                                            * LOYALTY_HASH];
} ngx_http_loyalty_instant_split_t;


static ngx_int_t ngx_http_loyalty_play_reserve_arg(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_epoch_t *epoch,
    const char *bar, ngx_http_loyalty_call_t *call, loyalty_mpw_t *w);
static ngx_int_t ngx_http_loyalty_play_reserved(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_play_known(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_play_logged(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_play_anew(
    ngx_http_loyalty_member_ctx_t *ctx);

static ngx_int_t ngx_http_loyalty_instant_read(
    ngx_http_loyalty_split_t *split, loyalty_mpr_t *r);
static ngx_int_t ngx_http_loyalty_instant_draw_arg(
    ngx_http_loyalty_split_t *split, ngx_http_loyalty_call_t *call,
    loyalty_mpw_t *w);
static const char *ngx_http_loyalty_instant_held(
    ngx_http_loyalty_instant_split_t *is, ngx_http_loyalty_epoch_t **epoch);
static ngx_int_t ngx_http_loyalty_instant_drawn(
    ngx_http_loyalty_split_t *split, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_instant_settle_arg(
    ngx_http_loyalty_split_t *split, ngx_http_loyalty_call_t *call,
    loyalty_mpw_t *w);


ngx_http_loyalty_split_room_t  ngx_http_loyalty_instant_room = {
    sizeof(ngx_http_loyalty_instant_split_t),
    NGX_HTTP_LOYALTY_FN_PLAY_DRAW,
    NGX_HTTP_LOYALTY_FN_PLAY_SETTLE,
    ngx_http_loyalty_instant_read,
    ngx_http_loyalty_instant_draw_arg,
    ngx_http_loyalty_instant_settle_arg,
    ngx_http_loyalty_instant_drawn
};


ngx_int_t
ngx_http_loyalty_play_reserve(ngx_http_loyalty_member_ctx_t *ctx)
{
    u_char                     buf[NGX_HTTP_LOYALTY_ARG];
    ngx_int_t                  rc;
    ngx_str_t                  arg;
    const char                *bar;
    loyalty_mpw_t              w;
    ngx_http_loyalty_play_t   *play;
    ngx_http_loyalty_call_t    call;
    ngx_http_loyalty_epoch_t  *epoch;

    play = ctx->data;

    rc = ngx_http_loyalty_steps_begin(&play->steps, ctx, &play->icf->campaign,
                                      ngx_http_loyalty_play_send);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    rc = ngx_http_loyalty_play_clock(ctx, &epoch, &bar);

    if (rc == NGX_BUSY) {
        return ngx_http_loyalty_play_wait(ctx);
    }

    loyalty_mpw_init(&w, buf, sizeof(buf));

    if (rc != NGX_OK
        || ngx_http_loyalty_play_reserve_arg(ctx, epoch, bar, &call, &w)
           != NGX_OK)
    {
        return ngx_http_loyalty_member_problem(ctx,
                                       NGX_HTTP_LOYALTY_P_INTERNAL, NULL);
    }

    arg.data = buf;
    arg.len = w.pos - buf;

    return ngx_http_loyalty_member_call(ctx,
                                        NGX_HTTP_LOYALTY_FN_PLAY_RESERVE,
                                        call.nkeys, call.keys, &arg,
                                        ngx_http_loyalty_play_reserved);
}


static ngx_int_t
ngx_http_loyalty_play_reserve_arg(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_epoch_t *epoch, const char *bar,
    ngx_http_loyalty_call_t *call, loyalty_mpw_t *w)
{
    ngx_http_loyalty_play_t      *play;
    ngx_http_loyalty_version_t   *version;
    ngx_http_loyalty_campaign_t  *campaign;

    play = ctx->data;
    campaign = &play->icf->campaign;

    version = (epoch != NULL) ? epoch->version
                              : ngx_http_loyalty_campaign_version(campaign);

    if (ngx_http_loyalty_split_keys(call, campaign, &ctx->member, 1)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_loyalty_request_arg(ctx, &play->idempotency, play->needle,
                                 play->t, w);
    loyalty_mpw_str(w, version->blob.data, version->blob.len);
    loyalty_mpw_str(w, bar, ngx_strlen(bar));
    loyalty_mpw_int(w, epoch != NULL ? epoch->e : 0);
    loyalty_mpw_int(w, (int64_t) play->round);
    loyalty_mpw_int(w, play->degraded);
    ngx_http_loyalty_request_periods(ctx->program, play->t, w);
    loyalty_mpw_str(w, play->person, LOYALTY_HASH);

    return w->failed ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_play_reserved(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_str_t                *value;
    ngx_http_loyalty_play_t  *play;

    play = ctx->data;
    value = reply->values;

    play->steps.well = 1;

    if (reply->array || reply->n != 1 || value->len < 2) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    if (value->data[0] == 'N' || value->data[0] == 'O') {
        return ngx_http_loyalty_play_steps(ctx, value);
    }

    ngx_http_loyalty_steps_end(&play->steps);

    return (value->data[0] == 'K') ? ngx_http_loyalty_play_known(ctx, value)
                                   : ngx_http_loyalty_play_reply(ctx, reply);
}


/* its bytes are in the log, which is in another slot */

static ngx_int_t
ngx_http_loyalty_play_known(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_str_t *value)
{
    u_char                    buf[64], name[NGX_HTTP_LOYALTY_CAMPAIGN_KEY];
    int64_t                   seq;
    ngx_str_t                 key, arg;
    ngx_uint_t                i;
    loyalty_mpw_t             w;
    ngx_http_loyalty_play_t  *play;

    play = ctx->data;

    if (value->len <= NGX_HTTP_LOYALTY_SPLIT_KNOWN) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    for (i = 1, seq = 0; i < NGX_HTTP_LOYALTY_SPLIT_KNOWN; i++) {
        seq = (seq << 8) | value->data[i];
    }

    play->known.len = value->len - NGX_HTTP_LOYALTY_SPLIT_KNOWN;
    play->known.data = ngx_pnalloc(ctx->request->pool,
                                   play->known.len + LOYALTY_PLAYREC_LEN);
    if (play->known.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(play->known.data, value->data + NGX_HTTP_LOYALTY_SPLIT_KNOWN,
               play->known.len);

    ngx_http_loyalty_campaign_key(&play->icf->campaign, "l",
                                  seq / NGX_HTTP_LOYALTY_CHUNK, name, &key);

    loyalty_mpw_init(&w, buf, sizeof(buf));
    loyalty_mpw_int(&w, seq % NGX_HTTP_LOYALTY_CHUNK * LOYALTY_PLAYREC_LEN);
    loyalty_mpw_int(&w, LOYALTY_PLAYREC_LEN);

    arg.data = buf;
    arg.len = w.pos - buf;

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_FN_PIECE, 1,
                                        &key, &arg,
                                        ngx_http_loyalty_play_logged);
}


static ngx_int_t
ngx_http_loyalty_play_logged(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_play_t   *play;
    ngx_http_loyalty_reply_t   known;

    play = ctx->data;

    if (reply->n != 2 || reply->values[1].len != LOYALTY_PLAYREC_LEN) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    ngx_memcpy(play->known.data + play->known.len, reply->values[1].data,
               LOYALTY_PLAYREC_LEN);
    play->known.len += LOYALTY_PLAYREC_LEN;

    ngx_memzero(&known, sizeof(ngx_http_loyalty_reply_t));
    known.n = 1;
    known.values = &play->known;

    return ngx_http_loyalty_play_reply(ctx, &known);
}


ngx_int_t
ngx_http_loyalty_play_steps(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_str_t *value)
{
    ngx_http_loyalty_play_t           *play;
    ngx_http_loyalty_split_t          *split;
    ngx_http_loyalty_instant_split_t  *is;

    play = ctx->data;

    split = ngx_http_loyalty_split_create(ctx->request->pool,
                                          &ngx_http_loyalty_instant_room,
                                          &play->icf->campaign,
                                          &ctx->member);
    if (split == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* its own round may be one that takes another one's place */

    if (value->data[0] == 'N') {
        is = (ngx_http_loyalty_instant_split_t *) split;
        is->held = 1;
        ngx_memcpy(is->b, play->b, LOYALTY_HASH);
    }

    play->steps.reply = ngx_http_loyalty_play_reply;
    play->steps.more = LOYALTY_PLAYREC_LEN;
    play->steps.again = ngx_http_loyalty_play_anew;

    return ngx_http_loyalty_steps(&play->steps, ctx, split, value);
}


static ngx_int_t
ngx_http_loyalty_play_anew(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_http_loyalty_play_t  *play;

    play = ctx->data;
    play->fixed = 0;

    return ngx_http_loyalty_play_send(ctx);
}


/* ---- what a reservation says, and the steps that follow it ---- */

static ngx_int_t
ngx_http_loyalty_instant_read(ngx_http_loyalty_split_t *split,
    loyalty_mpr_t *r)
{
    ngx_http_loyalty_instant_split_t  *is;

    is = (ngx_http_loyalty_instant_split_t *) split;

    is->icf = (ngx_http_loyalty_instant_conf_t *) split->campaign;
    is->seq = -1;
    is->width = 1;

    return (loyalty_mpr_int(r, &is->e) == 0
            && loyalty_mpr_int(r, &is->round) == 0
            && loyalty_mpr_int(r, &is->degraded) == 0
            && loyalty_mpr_int(r, &is->idx) == 0
            && loyalty_mpr_int(r, &is->wins) == 0)
           ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_loyalty_instant_draw_arg(ngx_http_loyalty_split_t *split,
    ngx_http_loyalty_call_t *call, loyalty_mpw_t *w)
{
    u_char                             person[LOYALTY_HASH];
    int64_t                            chunk;
    const char                        *bar;
    ngx_http_loyalty_epoch_t          *epoch;
    ngx_http_loyalty_version_t        *version;
    ngx_http_loyalty_campaign_t       *campaign;
    ngx_http_loyalty_drawing_t         draws;
    ngx_http_loyalty_instant_split_t  *is;

    is = (ngx_http_loyalty_instant_split_t *) split;
    campaign = split->campaign;

    if (ngx_http_loyalty_campaign_person(campaign, &split->member, person)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    bar = ngx_http_loyalty_instant_held(is, &epoch);

    version = (epoch != NULL)
              ? epoch->version
              : ngx_http_loyalty_split_version(split, (uint32_t) is->e);

    if (ngx_http_loyalty_campaign_appends(campaign, "l", is->seq, call, &chunk)
        == NGX_ERROR
        || ngx_http_loyalty_call_key(call, "%V:d", &campaign->tag)
           == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    loyalty_mpw_int(w, split->t);
    loyalty_mpw_str(w, split->needle + 2, LOYALTY_PLAY_ID);
    loyalty_mpw_str(w, version->blob.data, version->blob.len);
    loyalty_mpw_int(w, ngx_http_loyalty_campaign_generation(campaign));
    loyalty_mpw_int(w, chunk);
    loyalty_mpw_str(w, bar, ngx_strlen(bar));
    loyalty_mpw_int(w, is->e);
    loyalty_mpw_int(w, is->round);
    loyalty_mpw_int(w, is->degraded);
    loyalty_mpw_str(w, person, LOYALTY_HASH);
    loyalty_mpw_int(w, is->idx);
    loyalty_mpw_int(w, is->wins);

    draws.icf = is->icf;
    draws.t = split->t;
    draws.round = (uint64_t) is->round;
    draws.b = is->b;
    draws.person = person;
    draws.base = is->idx;
    draws.many = 1;
    draws.width = is->width;
    draws.u = is->draws;

    return ngx_http_loyalty_play_draws(&draws, epoch, w);
}


/* why it cannot be drawn by this worker, "": it can, and epoch is set */

static const char *
ngx_http_loyalty_instant_held(ngx_http_loyalty_instant_split_t *is,
    ngx_http_loyalty_epoch_t **epoch)
{
    uint64_t                      round;
    ngx_uint_t                    degraded;
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = is->split.campaign;

    if (!is->split.late
        && ngx_http_loyalty_campaign_epoch(campaign, is->split.t, epoch)
           == NGX_OK
        && (int64_t) (*epoch)->e == is->e)
    {
        if (campaign->mode == LOYALTY_MODE_MOMENTS) {
            is->held = (ngx_http_loyalty_instant_placed(is->icf, is->split.t,
                                                        epoch)
                        == NGX_OK);

        } else if (!is->held) {
            is->held = (ngx_http_loyalty_campaign_round(campaign, is->split.t,
                                               &round, is->b, &degraded)
                        == NGX_OK
                        && (int64_t) round == is->round
                        && (int64_t) degraded == is->degraded);
        }

        if (is->held) {
            return "";
        }
    }

    *epoch = NULL;

    return "busy";
}


static ngx_int_t
ngx_http_loyalty_instant_drawn(ngx_http_loyalty_split_t *split,
    ngx_str_t *value)
{
    int64_t                            n;
    ngx_http_loyalty_instant_split_t  *is;

    is = (ngx_http_loyalty_instant_split_t *) split;

    if (value->data[0] != 'R') {
        return (value->data[0] == 'E'
                || value->len >= 1 + LOYALTY_PLAYREC_LEN)
               ? NGX_OK : NGX_ERROR;
    }

    n = (value->len > 2) ? ngx_atoof(value->data + 2, value->len - 2) : 0;

    switch (value->len > 1 ? value->data[1] : 0) {

    case 't':
        return NGX_OK;

    case 'l':
        ngx_http_loyalty_campaign_saw(split->campaign, n);
        is->seq = n;
        return NGX_AGAIN;

    case 'a':
        ngx_http_loyalty_instant_heard(is->icf, n);
        return NGX_AGAIN;

    case 'c':
        return (++is->width > NGX_HTTP_LOYALTY_PLAY_CTR) ? NGX_ERROR
                                                         : NGX_AGAIN;

    case 'g':
        ngx_http_loyalty_campaign_refresh(split->campaign);
        return NGX_BUSY;

    default:
        return NGX_ERROR;
    }
}


static ngx_int_t
ngx_http_loyalty_instant_settle_arg(ngx_http_loyalty_split_t *split,
    ngx_http_loyalty_call_t *call, loyalty_mpw_t *w)
{
    u_char                            *p;
    size_t                             len, code;
    ngx_http_loyalty_version_t        *version;
    ngx_http_loyalty_instant_split_t  *is;

    is = (ngx_http_loyalty_instant_split_t *) split;
    version = ngx_http_loyalty_split_version(split, (uint32_t) is->e);

    /* of what was refused nothing is written */

    p = split->outcome.data + 1;
    len = (p[-1] == 'P') ? LOYALTY_PLAYREC_LEN : 0;
    code = (len != 0) ? split->outcome.len - 1 - len : 0;

    loyalty_mpw_str(w, version->blob.data, version->blob.len);
    loyalty_mpw_int(w, split->t);
    loyalty_mpw_str(w, p, len);
    loyalty_mpw_str(w, p + len, code);
    ngx_http_loyalty_request_periods(split->campaign->program, split->t, w);
    loyalty_mpw_nil(w);

    return w->failed ? NGX_ERROR : NGX_OK;
}
