/*
 * Closed: the close note needs an outsider's timestamp that is earlier than
 * its round, and then the round.  A token that comes later moves the round:
 * the draw is late.  Without a beacon there is nothing to wait for.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_machine.h"


#define NGX_HTTP_LOYALTY_COMPLAIN  3600000        /* ms between warnings */


static void ngx_http_loyalty_wait_note(ngx_http_loyalty_machine_t *m);
static void ngx_http_loyalty_wait_stamp(ngx_http_loyalty_machine_t *m,
    const u_char *hash, loyalty_manifest_t *manifest);
static void ngx_http_loyalty_wait_round(ngx_http_loyalty_machine_t *m,
    uint64_t number);
static void ngx_http_loyalty_wait_tell(ngx_http_loyalty_machine_t *m,
    uint64_t round, ngx_uint_t late);
static void ngx_http_loyalty_wait_told(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply);
static void ngx_http_loyalty_wait_warn(ngx_http_loyalty_machine_t *m,
    const char *what);


void
ngx_http_loyalty_machine_wait(ngx_http_loyalty_machine_t *m)
{
    ngx_http_loyalty_machine_fetch(m, "f:close", ngx_http_loyalty_wait_note);
}


static void
ngx_http_loyalty_wait_note(ngx_http_loyalty_machine_t *m)
{
    u_char                       hash[LOYALTY_HASH];
    loyalty_manifest_t          *manifest;
    ngx_http_loyalty_version_t  *version;

    static u_char  none[LOYALTY_HASH];            /* Z */

    version = ngx_http_loyalty_campaign_version(m->campaign);
    manifest = &version->manifest;
    m->note = m->text;

    if (ngx_http_loyalty_machine_statement(m) != NGX_OK
        || ngx_memcmp(m->close.mh, version->mh, LOYALTY_HASH) != 0)
    {
        ngx_http_loyalty_machine_damaged(m, "f:close");
        return;
    }

    if (manifest->round == 0) {
        ngx_http_loyalty_machine_draw(m, 0, none);
        return;
    }

    if (loyalty_sha(hash, m->note.data, m->note.len) != 0) {
        ngx_http_loyalty_machine_failed(m);
        return;
    }

    ngx_http_loyalty_wait_stamp(m, hash, manifest);
}


ngx_int_t
ngx_http_loyalty_machine_statement(ngx_http_loyalty_machine_t *m)
{
    size_t      n;
    u_char      statement[LOYALTY_CLOSE_LEN];
    ngx_str_t   file, note, base64;

    file = m->note;

    if (ngx_http_loyalty_note_next(&file, &note, &base64) != NGX_OK
        || loyalty_unbase64(statement, sizeof(statement), &n, base64.data,
                            base64.len)
           != 0
        || loyalty_close_decode(statement, n, &m->close) != 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_loyalty_wait_stamp(ngx_http_loyalty_machine_t *m,
    const u_char *hash, loyalty_manifest_t *manifest)
{
    int64_t     time;
    uint64_t    number;
    ngx_int_t   rc;
    ngx_uint_t  late;

    /* one that was posted may be earlier than the one that was fetched */

    time = m->stamped;
    rc = NGX_OK;

    if (time == 0) {
        rc = ngx_http_loyalty_campaign_stamp(m->campaign, "close", 0, hash,
                                             &time);
    }

    if (rc != NGX_OK || m->stamped == 0) {

        if (rc == NGX_DECLINED) {
            ngx_http_loyalty_wait_warn(m, "a timestamp of its close note, "
                                          "which has to be posted");
        }

        ngx_http_loyalty_wait_tell(m, 0, 0);
        return;
    }

    number = manifest->round;
    late = 0;

    if ((uint64_t) time >= loyalty_round_time(number)) {
        number = loyalty_round_close((uint64_t) time);
        late = 1;
    }

    if (m->told != (int64_t) number) {
        ngx_http_loyalty_wait_tell(m, number, late);
        return;
    }

    ngx_http_loyalty_wait_round(m, number);
}


static void
ngx_http_loyalty_wait_round(ngx_http_loyalty_machine_t *m, uint64_t number)
{
    ngx_int_t                 rc;
    ngx_http_loyalty_round_t  round;

    rc = ngx_http_loyalty_beacon_round(m->campaign->program, number, &round);

    if (rc == NGX_OK) {
        ngx_http_loyalty_machine_draw(m, number, round.b);
        return;
    }

    /* nginx may have been started since */

    (void) ngx_http_loyalty_beacon_want(m->campaign->program, number);

    if (rc == NGX_DECLINED) {
        ngx_http_loyalty_wait_warn(m, "a round of the beacon that is out");
    }

    ngx_http_loyalty_machine_end(m, 0);
}


/* whoever asks is told what it waits for */

static void
ngx_http_loyalty_wait_tell(ngx_http_loyalty_machine_t *m, uint64_t round,
    ngx_uint_t late)
{
    ngx_http_loyalty_stat_draw(m->campaign->program, m->campaign->index,
                               m->campaign->cid, NGX_HTTP_LOYALTY_DRAW_ROUND,
                               (ngx_atomic_int_t) round);

    if (m->told == (int64_t) round) {
        ngx_http_loyalty_machine_end(m, 0);
        return;
    }

    m->told = (int64_t) round;

    if (late) {
        ngx_log_error(NGX_LOG_ERR, m->log, 0,
                      "loyalty program \"%V\": the timestamp of the close of "
                      "%V came after its round: the draw is late, and waits "
                      "for round %uL", &m->campaign->program->name,
                      &m->campaign->rule->reason, round);
    }

    ngx_http_loyalty_game_call(&m->call, m->campaign, "s meta");
    loyalty_mpw_int(&m->call.w, (int64_t) round);
    loyalty_mpw_int(&m->call.w, late);

    ngx_http_loyalty_machine_send(m, NGX_HTTP_LOYALTY_FN_WAITING,
                                  ngx_http_loyalty_wait_told);
}


static void
ngx_http_loyalty_wait_told(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_machine_end(m, m->told > 0);
}


static void
ngx_http_loyalty_wait_warn(ngx_http_loyalty_machine_t *m, const char *what)
{
    if (m->warned != 0 && m->now < m->warned + NGX_HTTP_LOYALTY_COMPLAIN) {
        return;
    }

    m->warned = m->now;

    ngx_log_error(NGX_LOG_WARN, m->log, 0,
                  "loyalty program \"%V\": %V waits for %s",
                  &m->campaign->program->name, &m->campaign->rule->reason,
                  what);
}
