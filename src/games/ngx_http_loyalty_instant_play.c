/*
 * POST games/NAME/plays.
 *
 * What a play draws from is hashed here, before the call, and decided in
 * Redis.  Where Redis has to know something else, the reply says what: the
 * call is made again, at most three times, and nothing has been written by
 * then.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_instant_play.h"
#include "ngx_http_loyalty_request.h"


/* room for one call on its way to Redis; it lives on the stack */

typedef struct {
    ngx_http_loyalty_call_t           call;
    u_char                            draws[64 * LOYALTY_HASH];
    u_char                            buf[NGX_HTTP_LOYALTY_ARG];
} ngx_http_loyalty_play_scratch_t;


static ngx_int_t ngx_http_loyalty_play_ready(
    ngx_http_loyalty_member_ctx_t *ctx);
static void ngx_http_loyalty_play_placed(void *data);
static ngx_int_t ngx_http_loyalty_play_resumed(void *data);
static void ngx_http_loyalty_play_cleanup(void *data);
static ngx_int_t ngx_http_loyalty_play_epoch(ngx_http_loyalty_play_t *play,
    ngx_http_loyalty_epoch_t **epoch, const char **bar);
static ngx_int_t ngx_http_loyalty_play_arg(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_epoch_t *epoch, const char *bar,
    ngx_http_loyalty_play_scratch_t *scratch, loyalty_mpw_t *w);
static ngx_int_t ngx_http_loyalty_play_keys(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_call_t *call,
    int64_t *chunk);

static ngx_int_t ngx_http_loyalty_play_pools(ngx_http_loyalty_play_t *play,
    ngx_http_loyalty_call_t *call);

static ngx_int_t ngx_http_loyalty_play_again(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_play_answer(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_play_late(
    ngx_http_loyalty_member_ctx_t *ctx, int64_t redis);


ngx_int_t
ngx_http_loyalty_instant_play(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_int_t                  rc;
    ngx_str_t                  detail;
    ngx_http_loyalty_fault_t   fault;
    ngx_http_loyalty_play_t   *play;

    play = ngx_pcalloc(ctx->request->pool, sizeof(ngx_http_loyalty_play_t));
    if (play == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->data = play;

    play->icf = ngx_http_loyalty_instant_find(ctx->program, &ctx->name);

    if (play->icf == NULL) {
        return ngx_http_loyalty_member_problem(ctx,
                                    NGX_HTTP_LOYALTY_P_UNKNOWN_GAME, NULL);
    }

    if (ctx->json != NULL && json_object_size(ctx->json) != 0) {
        ngx_str_set(&detail, "a play has no fields");

        return ngx_http_loyalty_member_problem(ctx,
                                 NGX_HTTP_LOYALTY_P_INVALID_FIELD, &detail);
    }

    rc = ngx_http_loyalty_idempotency(ctx, &play->idempotency, &fault);

    if (rc == NGX_DECLINED) {
        return ngx_http_loyalty_member_fault(ctx, &fault);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    play->many = NGX_HTTP_LOYALTY_PLAY_IDX;
    play->width = 1;
    play->seq = -1;

    /* what is known is told wherever the game is configured */

    play->await.shows = 1;

    return ngx_http_loyalty_await(&play->await, ctx,
                                     &play->icf->campaign,
                                     ngx_http_loyalty_play_ready);
}


static ngx_int_t
ngx_http_loyalty_play_ready(ngx_http_loyalty_member_ctx_t *ctx)
{
    u_char                        play_id[LOYALTY_PLAY_ID];
    ngx_str_t                     detail;
    ngx_http_loyalty_play_t      *play;
    ngx_http_loyalty_campaign_t  *campaign;

    play = ctx->data;
    campaign = &play->icf->campaign;

    if (play->await.stopped
        && (!ngx_http_loyalty_campaign_known(campaign)
            || ngx_http_loyalty_campaign_version(campaign) == NULL))
    {
        ngx_str_set(&detail, NGX_HTTP_LOYALTY_STOPPED);
        return ngx_http_loyalty_member_problem(ctx, play->await.stopped,
                                               &detail);
    }

    if (ngx_http_loyalty_campaign_person(campaign, &ctx->member, play->person)
        != NGX_OK
        || ngx_http_loyalty_campaign_play_id(campaign, play->person,
                                             &play->idempotency.key, play_id)
           != NGX_OK)
    {
        return ngx_http_loyalty_member_problem(ctx,
                                       NGX_HTTP_LOYALTY_P_INTERNAL, NULL);
    }

    ngx_http_loyalty_idempotency_needle(play->needle,
                                        NGX_HTTP_LOYALTY_NEEDLE_PLAY,
                                        play_id);

    return ngx_http_loyalty_play_send(ctx);
}


ngx_int_t
ngx_http_loyalty_play_send(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_int_t                         rc;
    ngx_str_t                         arg;
    const char                       *bar;
    loyalty_mpw_t                     w;
    ngx_http_loyalty_epoch_t         *epoch;
    ngx_http_loyalty_play_scratch_t   scratch;

    if (ctx->program->split) {
        return ngx_http_loyalty_play_reserve(ctx);
    }

    rc = ngx_http_loyalty_play_clock(ctx, &epoch, &bar);

    if (rc == NGX_BUSY) {
        return ngx_http_loyalty_play_wait(ctx);
    }

    loyalty_mpw_init(&w, scratch.buf, sizeof(scratch.buf));

    if (rc == NGX_OK) {
        rc = ngx_http_loyalty_play_arg(ctx, epoch, bar, &scratch, &w);
    }

    if (rc != NGX_OK) {
        return ngx_http_loyalty_member_problem(ctx,
                                       rc == NGX_AGAIN || rc == NGX_BUSY
                                       ? NGX_HTTP_LOYALTY_P_UNAVAILABLE
                                       : NGX_HTTP_LOYALTY_P_INTERNAL, NULL);
    }

    arg.data = w.start;
    arg.len = w.pos - w.start;

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_FN_PLAY,
                                        scratch.call.nkeys,
                                        scratch.call.keys, &arg,
                                        ngx_http_loyalty_play_reply);
}


/* until the moments are placed */

ngx_int_t
ngx_http_loyalty_play_wait(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_http_cleanup_t       *cln;
    ngx_http_loyalty_play_t  *play;

    play = ctx->data;

    if (play->placing.handler == NULL) {

        cln = ngx_http_cleanup_add(ctx->request, 0);
        if (cln == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        cln->handler = ngx_http_loyalty_play_cleanup;
        cln->data = play;

        play->ctx = ctx;
        play->placing.handler = ngx_http_loyalty_play_placed;
        play->placing.data = play;
        play->patience = ngx_current_msec + NGX_HTTP_LOYALTY_PLAY_PATIENCE;

    } else if ((ngx_msec_int_t) (ngx_current_msec - play->patience) > 0) {
        return ngx_http_loyalty_member_problem(ctx, NGX_HTTP_LOYALTY_P_BUSY,
                                               NULL);
    }

    ngx_http_loyalty_instant_wait(play->icf, &play->placing);

    return NGX_BUSY;
}


static void
ngx_http_loyalty_play_placed(void *data)
{
    ngx_http_loyalty_play_t *play = data;

    ngx_http_loyalty_member_resume(play->ctx, ngx_http_loyalty_play_resumed,
                                   play->ctx);
}


static ngx_int_t
ngx_http_loyalty_play_resumed(void *data)
{
    return ngx_http_loyalty_play_send(data);
}


static void
ngx_http_loyalty_play_cleanup(void *data)
{
    ngx_http_loyalty_play_t *play = data;

    ngx_http_loyalty_instant_forget(&play->placing);
}


/*
 * Epoch and round of t.  A play that cannot be drawn is asked for all the
 * same: it may be known already, and before open and after close Redis says
 * so.  bar is then why it cannot be, and the epoch is NULL.
 */

ngx_int_t
ngx_http_loyalty_play_clock(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_epoch_t **epoch, const char **bar)
{
    ngx_int_t                 rc;
    ngx_http_loyalty_play_t  *play;

    play = ctx->data;

    *bar = "";

    if (!play->fixed) {
        play->t = ngx_http_loyalty_now();
    }

    if (play->await.stopped) {
        *epoch = NULL;
        *bar = (const char *)
               ngx_http_loyalty_problems[play->await.stopped].code.data;
        return NGX_OK;
    }

    rc = ngx_http_loyalty_play_epoch(play, epoch, bar);

    if (rc == NGX_OK
        && ngx_http_loyalty_campaign_may(&play->icf->campaign, ctx->request,
                                         &ctx->member, play->t)
           != NGX_OK)
    {
        *bar = "not_eligible";
    }

    return rc;
}


static ngx_int_t
ngx_http_loyalty_play_epoch(ngx_http_loyalty_play_t *play,
    ngx_http_loyalty_epoch_t **epoch, const char **bar)
{
    ngx_int_t                     rc;
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = &play->icf->campaign;

    rc = ngx_http_loyalty_campaign_epoch(campaign, play->t, epoch);

    if (rc == NGX_OK && campaign->mode == LOYALTY_MODE_MOMENTS) {

        rc = ngx_http_loyalty_instant_placed(play->icf, play->t, epoch);

        if (rc == NGX_BUSY || rc == NGX_DECLINED) {
            return rc == NGX_BUSY ? rc : NGX_ERROR;
        }

    } else if (rc == NGX_OK && !play->fixed) {

        rc = ngx_http_loyalty_campaign_round(campaign, play->t, &play->round,
                                             play->b, &play->degraded);
    }

    if (rc == NGX_OK) {
        return NGX_OK;
    }

    *epoch = NULL;

    if (rc == NGX_AGAIN) {
        *bar = "beacon_unavailable";
        return NGX_OK;
    }

    return (rc == NGX_DECLINED) ? NGX_OK : NGX_ERROR;
}


/* docs/internals.md, instant_win.lua; NGX_AGAIN: a game that prizes award is
   not known yet */

static ngx_int_t
ngx_http_loyalty_play_arg(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_epoch_t *epoch, const char *bar,
    ngx_http_loyalty_play_scratch_t *scratch, loyalty_mpw_t *w)
{
    int64_t                       chunk;
    ngx_int_t                     rc;
    ngx_str_t                     id;
    ngx_http_loyalty_play_t      *play;
    ngx_http_loyalty_rule_t      *rule;
    ngx_http_loyalty_version_t   *version;
    ngx_http_loyalty_campaign_t  *campaign;
    ngx_http_loyalty_drawing_t    draws;

    play = ctx->data;
    campaign = &play->icf->campaign;
    rule = campaign->rule;

    version = (epoch != NULL) ? epoch->version
                              : ngx_http_loyalty_campaign_version(campaign);

    if (ngx_http_loyalty_play_keys(ctx, &scratch->call, &chunk) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_loyalty_request_arg(ctx, &play->idempotency, play->needle,
                                 play->t, w);
    loyalty_mpw_str(w, version->blob.data, version->blob.len);
    loyalty_mpw_int(w, ngx_http_loyalty_campaign_generation(campaign));
    loyalty_mpw_int(w, chunk);
    loyalty_mpw_str(w, bar, ngx_strlen(bar));
    loyalty_mpw_int(w, epoch != NULL ? epoch->e : 0);
    loyalty_mpw_int(w, (int64_t) play->round);
    loyalty_mpw_int(w, play->degraded);
    ngx_http_loyalty_request_periods(ctx->program, play->t, w);
    loyalty_mpw_str(w, play->person, LOYALTY_HASH);

    draws.icf = play->icf;
    draws.t = play->t;
    draws.round = play->round;
    draws.b = play->b;
    draws.person = play->person;
    draws.base = play->base;
    draws.many = play->many;
    draws.width = play->width;
    draws.u = scratch->draws;

    if (ngx_http_loyalty_play_draws(&draws, epoch, w) != NGX_OK) {
        return NGX_ERROR;
    }

    /* what a prize awards is remembered by the record's own id */

    id.data = play->needle + 1;
    id.len = NGX_HTTP_LOYALTY_NEEDLE - 1;

    rc = ngx_http_loyalty_call_targets(&scratch->call, ctx->program,
                                       rule->targets.elts,
                                       rule->targets.nelts, &ctx->member, &id,
                                       play->t, w);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_loyalty_play_pools(play, &scratch->call) != NGX_OK) {
        return NGX_ERROR;
    }

    return w->failed ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_http_loyalty_play_draws(ngx_http_loyalty_drawing_t *draws,
    ngx_http_loyalty_epoch_t *epoch, loyalty_mpw_t *w)
{
    u_char      *p;
    ngx_uint_t   i, ctr;

    if (epoch != NULL
        && draws->icf->campaign.mode == LOYALTY_MODE_MOMENTS)
    {
        return ngx_http_loyalty_instant_due(draws->icf, epoch->version,
                            draws->t,
                            ngx_http_loyalty_instant_awarded(draws->icf), w);
    }

    p = draws->u;

    for (i = 0; epoch != NULL && i < draws->many; i++) {

        for (ctr = 0; ctr < draws->width; ctr++) {

            if (loyalty_play_u(p, &epoch->key, epoch->version->mh, epoch->e,
                               draws->round, draws->b, draws->person,
                               (uint32_t) (draws->base + i), (uint32_t) ctr)
                != 0)
            {
                return NGX_ERROR;
            }

            p += LOYALTY_HASH;
        }
    }

    loyalty_mpw_int(w, draws->base);
    loyalty_mpw_int(w, draws->width);
    loyalty_mpw_str(w, draws->u, p - draws->u);

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_play_keys(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_call_t *call, int64_t *chunk)
{
    ngx_http_loyalty_play_t      *play;
    ngx_http_loyalty_campaign_t  *campaign;

    play = ctx->data;
    campaign = &play->icf->campaign;

    ngx_http_loyalty_call_member(call, ctx->program, &ctx->member);

    if (ngx_http_loyalty_campaign_appends(campaign, "l", play->seq, call,
                                         chunk)
        == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_split_key(call, campaign, "gone", &ctx->member);
}


static ngx_int_t
ngx_http_loyalty_play_pools(ngx_http_loyalty_play_t *play,
    ngx_http_loyalty_call_t *call)
{
    ngx_uint_t                 i;
    ngx_http_loyalty_pool_t  **pool;

    pool = play->icf->pools.elts;

    for (i = 0; i < play->icf->pools.nelts; i++) {
        if (ngx_http_loyalty_call_key(call, "%V", &pool[i]->unused)
            == NGX_ERROR)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_play_reply(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_str_t                *value;
    ngx_http_loyalty_play_t  *play;

    play = ctx->data;
    value = reply->values;

    if (reply->array || reply->n != 1 || value->len < 2) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    switch (value->data[0]) {

    case 'R':
        return ngx_http_loyalty_play_again(ctx, value);

    case 'E':
        if (ngx_http_loyalty_call_missed(ctx->program, value) == NGX_OK) {
            return ngx_http_loyalty_play_again(ctx, NULL);
        }

        return ngx_http_loyalty_request_refused(ctx, value, play->t);

    case 'O':
        return ngx_http_loyalty_play_steps(ctx, value);

    default:
        return ngx_http_loyalty_play_answer(ctx, reply);
    }
}


/* value: "R", a letter and a number; NULL: once more from the beginning */

static ngx_int_t
ngx_http_loyalty_play_again(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_str_t *value)
{
    int64_t                       n;
    ngx_http_loyalty_play_t      *play;
    ngx_http_loyalty_campaign_t  *campaign;

    play = ctx->data;
    campaign = &play->icf->campaign;

    if (play->tries++ == NGX_HTTP_LOYALTY_PLAY_TRIES) {
        return ngx_http_loyalty_member_problem(ctx, NGX_HTTP_LOYALTY_P_BUSY,
                                               NULL);
    }

    n = (value != NULL && value->len > 2)
        ? ngx_atoof(value->data + 2, value->len - 2) : 0;

    play->fixed = (value != NULL);
    play->many <<= 1;

    switch (value != NULL ? value->data[1] : 'g') {

    case 't':
        return ngx_http_loyalty_play_late(ctx, n);

    case 'i':
        play->base = n;
        play->width = 1;
        break;

    case 'a':
        ngx_http_loyalty_instant_heard(play->icf, n);
        break;

    case 'c':
        play->base = n;
        play->many = 1;

        if (++play->width > NGX_HTTP_LOYALTY_PLAY_CTR) {
            return ngx_http_loyalty_member_damaged(ctx);
        }

        break;

    case 'l':
        ngx_http_loyalty_campaign_saw(campaign, n);
        play->seq = n;
        break;

    default: /* 'g' */
        play->fixed = 0;

        if (value != NULL) {
            ngx_http_loyalty_campaign_refresh(campaign);
        }

        return ngx_http_loyalty_await(&play->await, ctx, campaign,
                                         ngx_http_loyalty_play_ready);
    }

    return ngx_http_loyalty_play_send(ctx);
}


/* t is not what Redis's clock says: the clock itself may be off */

static ngx_int_t
ngx_http_loyalty_play_late(ngx_http_loyalty_member_ctx_t *ctx, int64_t redis)
{
    int64_t                   off;
    ngx_http_loyalty_play_t  *play;

    play = ctx->data;
    off = ngx_http_loyalty_now() - redis;

    if (off > NGX_HTTP_LOYALTY_LATE || off < -NGX_HTTP_LOYALTY_LATE) {

        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "loyalty program \"%V\": the clock of this server and "
                      "that of Redis differ by %L ms", &ctx->program->name,
                      off);

        return ngx_http_loyalty_member_problem(ctx,
                                     NGX_HTTP_LOYALTY_P_CLOCK_SKEW, NULL);
    }

    play->fixed = 0;
    play->base = 0;
    play->width = 1;

    return ngx_http_loyalty_play_send(ctx);
}


static ngx_int_t
ngx_http_loyalty_play_answer(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_int_t                   rc;
    ngx_str_t                  *value, bytes;
    loyalty_out_t               out;
    loyalty_playrec_t           rec;
    ngx_http_loyalty_play_t    *play;
    ngx_http_loyalty_record_t   record;

    play = ctx->data;
    value = reply->values;

    if (value->len < LOYALTY_PLAYREC_LEN) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    bytes.data = value->data + value->len - LOYALTY_PLAYREC_LEN;
    bytes.len = LOYALTY_PLAYREC_LEN;

    if (ngx_http_loyalty_request_record(ctx, reply, &record) != NGX_OK
        || loyalty_playrec_decode(bytes.data, bytes.len, &rec) != 0)
    {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    ngx_http_loyalty_campaign_saw(&play->icf->campaign,
                                  (int64_t) rec.seq + 1);

    if (value->data[0] == 'N') {
        ngx_http_loyalty_awarded(ctx->program, &record, &ctx->member,
                                 ctx->request->connection->log);
    }

    if (rec.mode == LOYALTY_MODE_MOMENTS
        && (rec.status & ~LOYALTY_DEGRADED) == LOYALTY_WIN)
    {
        ngx_http_loyalty_instant_took(play->icf, rec.r);
    }

    ngx_http_loyalty_out_pool(&out, ctx->request->pool, 2048);

    rc = ngx_http_loyalty_instant_json(play->icf, &record, &rec, &bytes,
                                       &out);

    if (out.failed) {
        return ngx_http_loyalty_member_problem(ctx,
                                       NGX_HTTP_LOYALTY_P_INTERNAL, NULL);
    }

    if (rc != NGX_OK) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    return ngx_http_loyalty_member_send(ctx, &out);
}
