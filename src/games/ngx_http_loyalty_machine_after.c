/*
 * After the draw: a prize that nobody claims in time is vacated, and where
 * alternates are fresh, each disqualification gets a draw of its own, from
 * the first round that comes a minute after it.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_machine.h"


/* a fresh alternate in the making */

struct ngx_http_loyalty_fresh_s {
    uint32_t                      k;
    u_char                        statement[LOYALTY_DQ_MAX];
    size_t                        len;
    loyalty_dq_t                  dq;
    ngx_str_t                     note;
    uint64_t                      round;
    u_char                        key[LOYALTY_HASH];        /* K_alt */
    ngx_http_loyalty_picks_t      picks;
    ngx_str_t                     notes;          /* the file "dq" */
};


static void ngx_http_loyalty_after_look(ngx_http_loyalty_machine_t *m,
    int64_t from);
static void ngx_http_loyalty_after_seen(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply);
static void ngx_http_loyalty_after_unclaimed(ngx_http_loyalty_machine_t *m,
    int64_t k, int64_t position, ngx_str_t *who);
static void ngx_http_loyalty_after_vacated(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply);

static void ngx_http_loyalty_fresh(ngx_http_loyalty_machine_t *m, uint32_t k);
static void ngx_http_loyalty_fresh_dq(ngx_http_loyalty_machine_t *m);
static ngx_int_t ngx_http_loyalty_fresh_find(ngx_http_loyalty_machine_t *m);
static void ngx_http_loyalty_fresh_again(ngx_http_loyalty_machine_t *m);
static void ngx_http_loyalty_fresh_close(ngx_http_loyalty_machine_t *m);
static void ngx_http_loyalty_fresh_picks(ngx_http_loyalty_machine_t *m);
static ngx_int_t ngx_http_loyalty_fresh_exclude(
    ngx_http_loyalty_machine_t *m);
static void ngx_http_loyalty_fresh_picked(ngx_http_loyalty_machine_t *m);
static void ngx_http_loyalty_fresh_used(void *data, ngx_int_t rc,
    int64_t length);
static void ngx_http_loyalty_fresh_written(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply);


static u_char  ngx_http_loyalty_after_actor[] = "claim_within";


void
ngx_http_loyalty_machine_after(ngx_http_loyalty_machine_t *m)
{
    ngx_http_loyalty_sweepstakes_conf_t  *scf;

    scf = (ngx_http_loyalty_sweepstakes_conf_t *) m->campaign;

    m->due = 0;

    ngx_http_loyalty_after_look(m, scf->claim_within ? 0 : -1);
}


static void
ngx_http_loyalty_after_look(ngx_http_loyalty_machine_t *m, int64_t from)
{
    ngx_http_loyalty_sweepstakes_conf_t  *scf;

    scf = (ngx_http_loyalty_sweepstakes_conf_t *) m->campaign;

    ngx_http_loyalty_game_call(&m->call, m->campaign, "w");
    loyalty_mpw_int(&m->call.w, from);
    loyalty_mpw_int(&m->call.w, m->now - scf->claim_within);

    ngx_http_loyalty_machine_send(m, NGX_HTTP_LOYALTY_FN_UNCLAIMED,
                                  ngx_http_loyalty_after_seen);
}


static void
ngx_http_loyalty_after_seen(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply)
{
    int64_t                               k, settled, position, next, since;
    ngx_str_t                            *value;
    ngx_http_loyalty_sweepstakes_conf_t  *scf;

    scf = (ngx_http_loyalty_sweepstakes_conf_t *) m->campaign;
    value = reply->values;

    if (!reply->array || reply->n != 6) {
        ngx_http_loyalty_machine_damaged(m, "w");
        return;
    }

    k = ngx_atoof(value[0].data, value[0].len);
    settled = ngx_atoof(value[1].data, value[1].len);
    position = ngx_atoof(value[2].data, value[2].len);   /* "-1": NGX_ERROR */
    next = ngx_atoof(value[4].data, value[4].len);
    since = ngx_atoof(value[5].data, value[5].len);

    if (k < 0 || settled < 0 || since < 0) {
        ngx_http_loyalty_machine_damaged(m, "w");
        return;
    }

    if (position >= 0) {
        ngx_http_loyalty_after_unclaimed(m, k, position, &value[3]);
        return;
    }

    if (since > 0) {
        since += scf->claim_within;
        m->due = (m->due == 0) ? since : ngx_min(m->due, since);
    }

    if (next >= 0) {
        ngx_http_loyalty_after_look(m, next);
        return;
    }

    if ((m->campaign->flags & LOYALTY_FRESH) && settled < k) {
        ngx_http_loyalty_fresh(m, (uint32_t) settled + 1);
        return;
    }

    m->rest = m->now + NGX_HTTP_LOYALTY_IDLE;

    if (m->due != 0) {
        m->rest = ngx_min(m->rest, m->due);
    }

    ngx_http_loyalty_machine_end(m, 0);
}


static void
ngx_http_loyalty_after_unclaimed(ngx_http_loyalty_machine_t *m, int64_t k,
    int64_t position, ngx_str_t *who)
{
    ngx_str_t     note;
    loyalty_dq_t  dq;

    ngx_memzero(&dq, sizeof(loyalty_dq_t));

    dq.k = (uint32_t) k + 1;
    dq.t = (uint64_t) m->now;
    dq.position = (uint32_t) position;
    dq.reason = LOYALTY_UNCLAIMED;
    dq.actor = ngx_http_loyalty_after_actor;
    dq.len = sizeof(ngx_http_loyalty_after_actor) - 1;

    if (ngx_http_loyalty_dq_note(m->campaign, m->pool, &dq, who, &note)
        != NGX_OK
        || ngx_http_loyalty_dq_call(&m->call, m->campaign, m->pool, &dq, who,
                                    &note)
           != NGX_OK)
    {
        ngx_http_loyalty_machine_failed(m);
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, m->log, 0,
                  "loyalty program \"%V\": the prize of position %uD of %V "
                  "was not claimed in time", &m->campaign->program->name,
                  dq.position, &m->campaign->rule->reason);

    ngx_http_loyalty_machine_send(m, NGX_HTTP_LOYALTY_FN_DISQUALIFY,
                                  ngx_http_loyalty_after_vacated);
}


static void
ngx_http_loyalty_after_vacated(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_machine_end(m, 1);
}


/* ---- fresh alternates ---- */

static void
ngx_http_loyalty_fresh(ngx_http_loyalty_machine_t *m, uint32_t k)
{
    m->fresh = ngx_pcalloc(m->pool, sizeof(ngx_http_loyalty_fresh_t));
    if (m->fresh == NULL) {
        ngx_http_loyalty_machine_failed(m);
        return;
    }

    m->fresh->k = k;

    ngx_http_loyalty_machine_fetch(m, "f:dq", ngx_http_loyalty_fresh_dq);
}


static void
ngx_http_loyalty_fresh_dq(ngx_http_loyalty_machine_t *m)
{
    u_char                     hash[LOYALTY_HASH], leaf[LOYALTY_HASH];
    int64_t                    time;
    ngx_int_t                  rc;
    ngx_http_loyalty_fresh_t  *fresh;
    ngx_http_loyalty_round_t   round;

    fresh = m->fresh;
    fresh->notes = m->text;

    if (ngx_http_loyalty_fresh_find(m) != NGX_OK) {
        ngx_http_loyalty_machine_damaged(m, "f:dq");
        return;
    }

    if (loyalty_sha(hash, fresh->note.data, fresh->note.len) != 0) {
        ngx_http_loyalty_machine_failed(m);
        return;
    }

    rc = ngx_http_loyalty_campaign_stamp(m->campaign, "dq", fresh->k, hash,
                                         &time);
    if (rc != NGX_OK) {
        ngx_http_loyalty_machine_end(m, 0);
        return;
    }

    fresh->round = loyalty_round_dq(fresh->dq.t);

    if ((uint64_t) time >= loyalty_round_time(fresh->round)) {
        ngx_http_loyalty_fresh_again(m);
        return;
    }

    rc = ngx_http_loyalty_beacon_round(m->campaign->program, fresh->round,
                                       &round);
    if (rc != NGX_OK) {
        (void) ngx_http_loyalty_beacon_want(m->campaign->program,
                                            fresh->round);
        ngx_http_loyalty_machine_end(m, 0);
        return;
    }

    if (loyalty_merkle_leaf(leaf, fresh->statement, fresh->len) != 0
        || loyalty_alt_key(fresh->key, m->draw_key, fresh->k, leaf,
                           fresh->round, round.b)
           != 0)
    {
        ngx_http_loyalty_machine_failed(m);
        return;
    }

    ngx_http_loyalty_machine_fetch(m, "f:close",
                                   ngx_http_loyalty_fresh_close);
}


/* the last note of number k */

static ngx_int_t
ngx_http_loyalty_fresh_find(ngx_http_loyalty_machine_t *m)
{
    size_t                     len;
    u_char                     statement[LOYALTY_DQ_MAX];
    ngx_int_t                  rc;
    ngx_str_t                  text, note;
    loyalty_dq_t               dq;
    ngx_http_loyalty_fresh_t  *fresh;

    fresh = m->fresh;
    text = fresh->notes;

    for ( ;; ) {
        rc = ngx_http_loyalty_dq_next(&text, &note, statement, &len);

        if (rc == NGX_DONE) {
            break;
        }

        if (rc != NGX_OK || loyalty_dq_decode(statement, len, &dq) != 0) {
            return NGX_ERROR;
        }

        if (dq.k == fresh->k) {
            ngx_memcpy(fresh->statement, statement, len);
            fresh->len = len;
            fresh->note = note;
        }
    }

    return (fresh->len != 0
            && loyalty_dq_decode(fresh->statement, fresh->len, &fresh->dq)
               == 0)
           ? NGX_OK : NGX_ERROR;
}


/* its token came too late: the same number once more, at another time */

static void
ngx_http_loyalty_fresh_again(ngx_http_loyalty_machine_t *m)
{
    u_char                    *buf, who[NGX_HTTP_LOYALTY_WHO];
    size_t                     size;
    ngx_str_t                  whom, note;
    loyalty_mpw_t             *w;
    ngx_http_loyalty_fresh_t  *fresh;

    fresh = m->fresh;

    ngx_log_error(NGX_LOG_ERR, m->log, 0,
                  "loyalty program \"%V\": the timestamp of disqualification "
                  "%uD of %V came after its round: the draw of the alternate "
                  "is late", &m->campaign->program->name, fresh->k,
                  &m->campaign->rule->reason);

    ngx_memzero(who, sizeof(who));
    loyalty_put_u64(who, fresh->dq.seq);
    ngx_memcpy(who + 8, fresh->dq.person, LOYALTY_HASH);

    whom.data = who;
    whom.len = sizeof(who);

    fresh->dq.t = (uint64_t) m->now;

    if (ngx_http_loyalty_dq_note(m->campaign, m->pool, &fresh->dq, &whom,
                                 &note)
        != NGX_OK)
    {
        ngx_http_loyalty_machine_failed(m);
        return;
    }

    size = note.len + 64;

    buf = ngx_pnalloc(m->pool, size);
    if (buf == NULL) {
        ngx_http_loyalty_machine_failed(m);
        return;
    }

    ngx_http_loyalty_game_call(&m->call, m->campaign, "w f:dq meta");

    w = &m->call.w;

    loyalty_mpw_init(w, buf, size);
    loyalty_mpw_int(w, fresh->k);
    loyalty_mpw_str(w, note.data, note.len);

    ngx_http_loyalty_machine_send(m, NGX_HTTP_LOYALTY_FN_AGAIN,
                                  ngx_http_loyalty_after_vacated);
}


static void
ngx_http_loyalty_fresh_close(ngx_http_loyalty_machine_t *m)
{
    m->note = m->text;

    if (ngx_http_loyalty_machine_statement(m) != NGX_OK) {
        ngx_http_loyalty_machine_damaged(m, "f:close");
        return;
    }

    ngx_http_loyalty_machine_fetch(m, "f:picks",
                                   ngx_http_loyalty_fresh_picks);
}


static void
ngx_http_loyalty_fresh_picks(ngx_http_loyalty_machine_t *m)
{
    ngx_http_loyalty_fresh_t  *fresh;

    fresh = m->fresh;

    if (ngx_http_loyalty_picks_read(&fresh->picks, m->pool, &m->text)
        != NGX_OK)
    {
        ngx_http_loyalty_machine_damaged(m, "f:picks");
        return;
    }

    if (ngx_http_loyalty_machine_pick(m, fresh->key, "alt", fresh->k,
                                      fresh->k + 1,
                                      fresh->picks.npicks
                                      + fresh->picks.nfresh + fresh->k + 1)
        != NGX_OK
        || ngx_http_loyalty_fresh_exclude(m) != NGX_OK)
    {
        ngx_http_loyalty_machine_failed(m);
        return;
    }

    ngx_http_loyalty_machine_run(m, ngx_http_loyalty_fresh_picked);
}


/* everybody picked before, and everybody disqualified by dq 1 to k */

static ngx_int_t
ngx_http_loyalty_fresh_exclude(ngx_http_loyalty_machine_t *m)
{
    size_t                     len;
    u_char                     statement[LOYALTY_DQ_MAX];
    ngx_str_t                  text, note;
    ngx_uint_t                 i;
    loyalty_dq_t               dq;
    loyalty_winners_t         *w;
    ngx_http_loyalty_fresh_t  *fresh;
    ngx_http_loyalty_picks_t  *picks;

    fresh = m->fresh;
    picks = &fresh->picks;
    w = &m->draw->winners;

    for (i = 0; i < picks->npicks; i++) {
        if (loyalty_winners_exclude(w, picks->picks[i].person) != 0) {
            return NGX_ERROR;
        }
    }

    for (i = 0; i < picks->nfresh; i++) {
        if (loyalty_winners_exclude(w, picks->fresh[i].person) != 0) {
            return NGX_ERROR;
        }
    }

    text = fresh->notes;

    while (ngx_http_loyalty_dq_next(&text, &note, statement, &len) == NGX_OK)
    {
        if (loyalty_dq_decode(statement, len, &dq) != 0) {
            return NGX_ERROR;
        }

        if (dq.k <= fresh->k
            && loyalty_winners_exclude(w, dq.person) != 0)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void
ngx_http_loyalty_fresh_picked(ngx_http_loyalty_machine_t *m)
{
    if (ngx_http_loyalty_campaign_used(m->campaign, &m->fresh->round, 1,
                                       ngx_http_loyalty_fresh_used, m)
        != NGX_OK)
    {
        ngx_http_loyalty_machine_end(m, 0);
    }
}


static void
ngx_http_loyalty_fresh_used(void *data, ngx_int_t rc, int64_t length)
{
    ngx_http_loyalty_machine_t *m = data;

    u_char                     who[NGX_HTTP_LOYALTY_WHO];
    loyalty_mpw_t             *w;
    ngx_http_loyalty_draw_t   *draw;
    ngx_http_loyalty_pick_t   *pick;

    if (rc != NGX_OK) {
        ngx_http_loyalty_machine_end(m, 0);
        return;
    }

    draw = m->draw;
    pick = draw->picks;

    ngx_http_loyalty_pick_who(pick, who);

    ngx_http_loyalty_game_call(&m->call, m->campaign, "w f:picks");

    w = &m->call.w;

    loyalty_mpw_int(w, m->now);
    loyalty_mpw_int(w, m->fresh->k);
    loyalty_mpw_int(w, pick->attempt);
    loyalty_mpw_int(w, (int64_t) pick->ticket);
    loyalty_mpw_str(w, who, draw->npicks ? sizeof(who) : 0);

    ngx_http_loyalty_machine_send(m, NGX_HTTP_LOYALTY_FN_FRESH,
                                  ngx_http_loyalty_fresh_written);
}


static void
ngx_http_loyalty_fresh_written(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_log_error(NGX_LOG_NOTICE, m->log, 0,
                  "loyalty program \"%V\": the alternate for "
                  "disqualification %uD of %V is drawn",
                  &m->campaign->program->name, m->fresh->k,
                  &m->campaign->rule->reason);

    ngx_http_loyalty_machine_end(m, 1);
}
