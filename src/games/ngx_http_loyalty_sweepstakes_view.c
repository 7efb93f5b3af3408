/*
 * GET sweepstakes/NAME: where it stands, what it is committed to, what the
 * member has in it, and who won.  Winners are told by position and ticket;
 * only the member's own prize says whose it is.
 *
 * All of this is Redis's to know: a campaign that is stopped on this node is
 * shown all the same.  Without its secret there are no pseudonyms, and which
 * winner the member is cannot be said.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_sweepstakes.h"
#include "ngx_http_loyalty_await.h"


#define NGX_HTTP_LOYALTY_RANGE_LEN     16         /* bytes, in a state */


typedef struct {
    ngx_http_loyalty_await_t   await;
    ngx_http_loyalty_campaign_t  *campaign;
    u_char                        person[LOYALTY_HASH];
    size_t                        len;            /* of person, 0: not known */
    ngx_uint_t                    asked;          /* the member was, alone */
    ngx_str_t                     member;         /* then */
} ngx_http_loyalty_view_ctx_t;


/* the reply of sweepstakes_H */

enum {
    NGX_HTTP_LOYALTY_VIEW_WINNERS = NGX_HTTP_LOYALTY_STANDING_VALUES,
    NGX_HTTP_LOYALTY_VIEW_POSITION,
    NGX_HTTP_LOYALTY_VIEW_PRIZE,
    NGX_HTTP_LOYALTY_VIEW_MEMBER,
    NGX_HTTP_LOYALTY_VIEW_VALUES
};


static ngx_int_t ngx_http_loyalty_view_ready(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_view_member(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_view_reply(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_view_json(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply,
    ngx_http_loyalty_standing_t *standing, loyalty_out_t *out);
static void ngx_http_loyalty_view_terms(
    ngx_http_loyalty_campaign_t *campaign, loyalty_out_t *out);
static void ngx_http_loyalty_view_hex(loyalty_out_t *out, const char *name,
    const u_char *p, size_t len);
static ngx_int_t ngx_http_loyalty_view_own(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_str_t *member,
    ngx_http_loyalty_standing_t *standing, loyalty_out_t *out);
static ngx_int_t ngx_http_loyalty_view_find(ngx_pool_t *pool,
    ngx_str_t *member, u_char *hash, loyalty_mpr_t *state);
static ngx_int_t ngx_http_loyalty_view_prize(
    ngx_http_loyalty_campaign_t *campaign, ngx_str_t *position,
    ngx_str_t *prize, loyalty_out_t *out);
static void ngx_http_loyalty_view_winners(ngx_http_loyalty_view_ctx_t *vctx,
    ngx_str_t *told, loyalty_out_t *out);


ngx_int_t
ngx_http_loyalty_sweepstakes_show(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_http_loyalty_view_ctx_t  *vctx;

    vctx = ngx_pcalloc(ctx->request->pool,
                       sizeof(ngx_http_loyalty_view_ctx_t));
    if (vctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->data = vctx;

    vctx->campaign = ngx_http_loyalty_sweepstakes_find(ctx->program,
                                                       &ctx->name);
    if (vctx->campaign == NULL) {
        return ngx_http_loyalty_member_problem(ctx,
                                    NGX_HTTP_LOYALTY_P_UNKNOWN_GAME, NULL);
    }

    vctx->await.shows = 1;

    return ngx_http_loyalty_await(&vctx->await, ctx, vctx->campaign,
                                     ngx_http_loyalty_view_ready);
}


static ngx_int_t
ngx_http_loyalty_view_ready(ngx_http_loyalty_member_ctx_t *ctx)
{
    u_char                       *p, arg[LOYALTY_HASH + 8];
    ngx_str_t                     keys[4], value;
    ngx_uint_t                    i;
    loyalty_mpw_t                 w;
    ngx_http_loyalty_view_ctx_t  *vctx;

    static const char  *what[] = { "s", "meta", "w" };

    vctx = ctx->data;

    /* the member is in another slot than the game */

    if (ctx->program->split && !vctx->asked) {
        return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_GET, 1,
                                            ctx->keys, NULL,
                                            ngx_http_loyalty_view_member);
    }

    p = ngx_pnalloc(ctx->request->pool, 3 * NGX_HTTP_LOYALTY_CAMPAIGN_KEY);

    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_loyalty_campaign_known(vctx->campaign)) {

        if (ngx_http_loyalty_campaign_person(vctx->campaign, &ctx->member,
                                             vctx->person)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        vctx->len = LOYALTY_HASH;
    }

    for (i = 0; i < 3; i++) {
        ngx_http_loyalty_campaign_key(vctx->campaign, what[i], -1, p,
                                      &keys[i]);
        p += NGX_HTTP_LOYALTY_CAMPAIGN_KEY;
    }

    keys[3] = ctx->keys[0];

    loyalty_mpw_init(&w, arg, sizeof(arg));
    loyalty_mpw_str(&w, vctx->person, vctx->len);

    value.data = arg;
    value.len = w.pos - arg;

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_FN_SWEEPSTAKES,
                                        vctx->asked ? 3 : 4, keys, &value,
                                        ngx_http_loyalty_view_reply);
}


static ngx_int_t
ngx_http_loyalty_view_member(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_view_ctx_t  *vctx;

    vctx = ctx->data;
    vctx->asked = 1;

    if (reply->n == 1 && reply->values[0].len != 0) {

        vctx->member.len = reply->values[0].len;
        vctx->member.data = ngx_pstrdup(ctx->request->pool,
                                        &reply->values[0]);
        if (vctx->member.data == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    return ngx_http_loyalty_view_ready(ctx);
}


static ngx_int_t
ngx_http_loyalty_view_reply(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_int_t                     rc;
    loyalty_out_t                 out;
    ngx_http_loyalty_standing_t   standing;
    ngx_http_loyalty_view_ctx_t  *vctx;

    vctx = ctx->data;

    ngx_http_loyalty_out_pool(&out, ctx->request->pool, 4096);

    rc = ngx_http_loyalty_standing(reply, &standing);

    if (rc == NGX_DECLINED && vctx->await.stopped) {
        return ngx_http_loyalty_member_problem(ctx, vctx->await.stopped,
                                               NULL);
    }

    if (rc == NGX_OK && reply->n != NGX_HTTP_LOYALTY_VIEW_VALUES) {
        rc = NGX_ERROR;
    }

    if (rc == NGX_OK && vctx->asked) {
        reply->values[NGX_HTTP_LOYALTY_VIEW_MEMBER] = vctx->member;
    }

    if (rc == NGX_OK) {
        rc = ngx_http_loyalty_view_json(ctx, reply, &standing, &out);
    }

    if (out.failed) {
        return ngx_http_loyalty_member_problem(ctx,
                                        NGX_HTTP_LOYALTY_P_INTERNAL, NULL);
    }

    if (rc != NGX_OK) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    return ngx_http_loyalty_member_send(ctx, &out);
}


static ngx_int_t
ngx_http_loyalty_view_json(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply, ngx_http_loyalty_standing_t *standing,
    loyalty_out_t *out)
{
    ngx_http_loyalty_view_ctx_t  *vctx;

    vctx = ctx->data;

    loyalty_out_lit(out, "{\"name\":");
    loyalty_out_str(out, ctx->name.data, ctx->name.len);
    ngx_http_loyalty_standing_json(vctx->campaign, standing,
                                   vctx->await.stopped, out);
    ngx_http_loyalty_view_terms(vctx->campaign, out);

    if (ngx_http_loyalty_view_own(ctx,
                               &reply->values[NGX_HTTP_LOYALTY_VIEW_MEMBER],
                               standing, out)
        != NGX_OK
        || ngx_http_loyalty_view_prize(vctx->campaign,
                             &reply->values[NGX_HTTP_LOYALTY_VIEW_POSITION],
                             &reply->values[NGX_HTTP_LOYALTY_VIEW_PRIZE], out)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (standing->phase == NGX_HTTP_LOYALTY_PHASE_DRAWN) {
        ngx_http_loyalty_view_winners(vctx,
                        &reply->values[NGX_HTTP_LOYALTY_VIEW_WINNERS], out);
    }

    loyalty_out_lit(out, "}");

    return NGX_OK;
}


/* what holds from the start, and can be checked in the end */

static void
ngx_http_loyalty_view_terms(ngx_http_loyalty_campaign_t *campaign,
    loyalty_out_t *out)
{
    ngx_uint_t                   i;
    loyalty_manifest_t          *manifest;
    ngx_http_loyalty_version_t  *version;

    version = ngx_http_loyalty_campaign_version(campaign);

    if (version == NULL) {
        return;
    }

    manifest = &version->manifest;

    loyalty_out_lit(out, ",\"prizes\":[");

    for (i = 0; i < version->nrows; i++) {

        if (i > 0) {
            loyalty_out_lit(out, ",");
        }

        loyalty_out_lit(out, "{\"name\":");
        loyalty_out_str(out, version->rows[i].name, version->rows[i].len);
        loyalty_out_lit(out, ",\"stock\":");
        loyalty_out_int(out, (int64_t) version->rows[i].stock);
        loyalty_out_lit(out, "}");
    }

    loyalty_out_lit(out, "],\"alternates\":");
    loyalty_out_int(out, manifest->alternates);
    loyalty_out_lit(out, ",\"commitments\":{\"version\":");
    loyalty_out_int(out, version->version);
    ngx_http_loyalty_view_hex(out, "cid", campaign->cid, LOYALTY_CID);
    ngx_http_loyalty_view_hex(out, "manifest", version->mh, LOYALTY_HASH);
    ngx_http_loyalty_view_hex(out, "terms", manifest->terms, LOYALTY_HASH);
    ngx_http_loyalty_view_hex(out, "prizes", manifest->prizes, LOYALTY_HASH);
    ngx_http_loyalty_view_hex(out, "rules", manifest->rules, LOYALTY_HASH);
    ngx_http_loyalty_view_hex(out, "seed", manifest->seed_commit,
                              LOYALTY_HASH);

    if (manifest->round != 0) {
        loyalty_out_lit(out, ",\"round\":");
        loyalty_out_int(out, (int64_t) manifest->round);
    }

    loyalty_out_lit(out, "}");
}


/* Z says that there is none */

static void
ngx_http_loyalty_view_hex(loyalty_out_t *out, const char *name,
    const u_char *p, size_t len)
{
    u_char  text[2 * LOYALTY_HASH];

    if (loyalty_zero(p, len)) {
        return;
    }

    loyalty_out_lit(out, ",");
    loyalty_out_str(out, name, ngx_strlen(name));
    loyalty_out_lit(out, ":");
    loyalty_out_str(out, text, loyalty_hex(text, p, len));
}


/* the member's tickets: how many of how many, and which */

static ngx_int_t
ngx_http_loyalty_view_own(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_str_t *member, ngx_http_loyalty_standing_t *standing,
    loyalty_out_t *out)
{
    u_char                        text[2 * NGX_INT64_LEN + sizeof(" of  now")];
    int64_t                       tickets;
    uint32_t                      len;
    ngx_int_t                     rc;
    ngx_uint_t                    i;
    const u_char                 *p;
    loyalty_mpr_t                 state;
    ngx_http_loyalty_view_ctx_t  *vctx;

    vctx = ctx->data;
    tickets = 0;
    len = 0;
    p = NULL;

    rc = ngx_http_loyalty_view_find(ctx->request->pool, member,
                                    vctx->campaign->rule->hash, &state);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_OK
        && (loyalty_mpr_int(&state, &tickets) != 0
            || ngx_http_loyalty_games_skip(&state, 6) != NGX_OK
            || loyalty_mpr_str(&state, &p, &len) != 0))
    {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, ",\"own\":{\"tickets\":");
    loyalty_out_int(out, tickets);
    loyalty_out_lit(out, ",\"odds\":");
    loyalty_out_str(out, text, ngx_sprintf(text, "%L of %L now", tickets,
                                           standing->tickets
                                           - standing->voided) - text);
    loyalty_out_lit(out, ",\"ranges\":[");

    for (i = 0; i + NGX_HTTP_LOYALTY_RANGE_LEN <= len;
         i += NGX_HTTP_LOYALTY_RANGE_LEN)
    {
        if (i > 0) {
            loyalty_out_lit(out, ",");
        }

        loyalty_out_lit(out, "{\"first\":");
        loyalty_out_int(out, (int64_t) (loyalty_get_u64(p + i + 4)
                                        & 0xffffffffffffULL));
        loyalty_out_lit(out, ",\"count\":");
        loyalty_out_int(out, loyalty_get_u32(p + i + 12));
        loyalty_out_lit(out, "}");
    }

    loyalty_out_lit(out, "]}");

    return NGX_OK;
}


/* the slot of the game in a member; NGX_DECLINED: the member has none */

static ngx_int_t
ngx_http_loyalty_view_find(ngx_pool_t *pool, ngx_str_t *member, u_char *hash,
    loyalty_mpr_t *state)
{
    uint32_t         i;
    loyalty_mpr_t   *states;
    loyalty_head_t   head;

    if (member->len == 0) {
        return NGX_DECLINED;
    }

    if (loyalty_head_parse(&head, member->data, member->len) != 0) {
        return NGX_ERROR;
    }

    for (i = 0; i < head.nslots; i++) {
        if (ngx_memcmp(&head.slots[i * NGX_HTTP_LOYALTY_HASH], hash,
                       NGX_HTTP_LOYALTY_HASH)
            == 0)
        {
            break;
        }
    }

    if (i == head.nslots) {
        return NGX_DECLINED;
    }

    states = ngx_palloc(pool, head.nslots * sizeof(loyalty_mpr_t));
    if (states == NULL) {
        return NGX_ERROR;
    }

    loyalty_head_states(&head, states);
    *state = states[i];

    return (state->pos < state->end) ? NGX_OK : NGX_DECLINED;
}


/* the prize that the member has, and until when it can be claimed */

static ngx_int_t
ngx_http_loyalty_view_prize(ngx_http_loyalty_campaign_t *campaign,
    ngx_str_t *position, ngx_str_t *prize, loyalty_out_t *out)
{
    ngx_http_loyalty_held_t               held;
    ngx_http_loyalty_sweepstakes_conf_t  *scf;

    scf = (ngx_http_loyalty_sweepstakes_conf_t *) campaign;

    if (position->len == 0) {
        return NGX_OK;
    }

    if (ngx_http_loyalty_held(prize, &held) != NGX_OK) {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, ",\"won\":{\"position\":");
    loyalty_out_raw(out, position->data, position->len);
    loyalty_out_lit(out, ",\"prize\":");
    ngx_http_loyalty_prize_json(campaign, held.row, out);

    if (held.status == NGX_HTTP_LOYALTY_HELD) {

        if (scf->claim_within != 0) {
            loyalty_out_lit(out, ",\"claim_until\":");
            loyalty_out_time(out, held.since + scf->claim_within);
        }

        loyalty_out_lit(out, ",\"claimed\":false}");

    } else {
        loyalty_out_lit(out, ",\"claimed\":true}");
    }

    return NGX_OK;
}


static void
ngx_http_loyalty_view_winners(ngx_http_loyalty_view_ctx_t *vctx,
    ngx_str_t *told, loyalty_out_t *out)
{
    u_char      *p, *last;
    ngx_uint_t   i, n;

    n = 0;
    last = told->data + told->len;

    loyalty_out_lit(out, ",\"winners\":[");

    for (i = 0, p = told->data;
         last - p >= NGX_HTTP_LOYALTY_TOLD;
         i++, p += NGX_HTTP_LOYALTY_TOLD)
    {
        if (p[4] >= NGX_HTTP_LOYALTY_VACANT) {
            continue;
        }

        if (n++ > 0) {
            loyalty_out_lit(out, ",");
        }

        loyalty_out_lit(out, "{\"position\":");
        loyalty_out_int(out, i);
        loyalty_out_lit(out, ",\"prize\":");
        ngx_http_loyalty_prize_json(vctx->campaign, loyalty_get_u32(p), out);
        loyalty_out_lit(out, ",\"ticket\":");
        loyalty_out_int(out, (int64_t) loyalty_get_u64(p + 13
                                                       + LOYALTY_HASH));

        if (vctx->len == 0) {
            loyalty_out_lit(out, "}");

        } else if (ngx_memcmp(p + 13, vctx->person, LOYALTY_HASH) == 0) {
            loyalty_out_lit(out, ",\"own\":true}");

        } else {
            loyalty_out_lit(out, ",\"own\":false}");
        }
    }

    loyalty_out_lit(out, "]");
}
