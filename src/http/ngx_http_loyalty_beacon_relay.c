/*
 * What the worker that leads fetches, and from whom.
 *
 * Rounds that are needed come in an order: the newest ones, those that
 * somebody wants, gaps behind the newest.  Each relay is asked for one round
 * at a time, the first in this order to which its word may still add
 * something: as many relays have to agree as the quorum says, and no more
 * are asked than that takes.  So a relay that is slow or away holds nothing
 * up while others answer, and one that lies is seen.
 */


#include "ngx_http_loyalty_beacon_private.h"
#include "loyalty_draw.h"


#define NGX_HTTP_LOYALTY_RELAY_GAP      24        /* rounds: 72 s */
#define NGX_HTTP_LOYALTY_RELAY_FIRST    400       /* ms after it came out */
#define NGX_HTTP_LOYALTY_RELAY_EARLY    700       /* ms to the next try */
#define NGX_HTTP_LOYALTY_RELAY_LATE     10000     /* ms: not early any more */
#define NGX_HTTP_LOYALTY_RELAY_VOTE     30000     /* ms that a word counts */
#define NGX_HTTP_LOYALTY_RELAY_PAUSE    10000     /* ms, the longest */
#define NGX_HTTP_LOYALTY_RELAY_REMIND   60000     /* ms between two lines */

#define NGX_HTTP_LOYALTY_RELAY_PATH                                          \
    (sizeof("/" LOYALTY_QUICKNET "/public/") + NGX_INT64_LEN)


static void ngx_http_loyalty_relay_needs(ngx_http_loyalty_beacon_t *beacon);
static void ngx_http_loyalty_relay_need(ngx_http_loyalty_beacon_t *beacon,
    uint64_t round);
static void ngx_http_loyalty_relay_jobs(
    ngx_http_loyalty_beacon_worker_t *worker);
static ngx_http_loyalty_job_t *ngx_http_loyalty_relay_job(
    ngx_http_loyalty_beacon_worker_t *worker, uint64_t round);
static ngx_uint_t ngx_http_loyalty_relay_useful(
    ngx_http_loyalty_relay_t *relay, ngx_http_loyalty_job_t *job);
static void ngx_http_loyalty_relay_ask(ngx_http_loyalty_relay_t *relay,
    uint64_t round);
static void ngx_http_loyalty_relay_answered(void *data,
    ngx_http_loyalty_fetched_t *fetched);
static void ngx_http_loyalty_relay_reply(ngx_http_loyalty_relay_t *relay,
    ngx_http_loyalty_job_t *job, ngx_str_t *body);
static void ngx_http_loyalty_relay_early(ngx_http_loyalty_relay_t *relay,
    ngx_http_loyalty_job_t *job, ngx_uint_t status);
static void ngx_http_loyalty_relay_failed(ngx_http_loyalty_relay_t *relay,
    ngx_str_t *text);
static void ngx_http_loyalty_relay_works(ngx_http_loyalty_relay_t *relay);
static void ngx_http_loyalty_relay_count(ngx_http_loyalty_beacon_t *beacon,
    ngx_http_loyalty_job_t *job, ngx_uint_t mine);
static void ngx_http_loyalty_relay_contradicts(
    ngx_http_loyalty_relay_t *relay);
static void ngx_http_loyalty_relay_disagree(ngx_http_loyalty_beacon_t *beacon,
    uint64_t round, ngx_str_t *one, ngx_str_t *two);


/* at each tick, and whenever a relay has answered */

void
ngx_http_loyalty_beacon_fetch(ngx_http_loyalty_beacon_t *beacon)
{
    ngx_uint_t                         i, n;
    ngx_http_loyalty_job_t            *job;
    ngx_http_loyalty_relay_t          *relay;
    ngx_http_loyalty_beacon_worker_t  *worker;

    worker = beacon->worker;

    ngx_http_loyalty_relay_needs(beacon);
    ngx_http_loyalty_relay_jobs(worker);

    for (i = 0; i < beacon->nrelays; i++) {
        relay = &beacon->relays[i];

        if (relay->fetch != NULL
            || (relay->failures != 0
                && (ngx_msec_int_t) (ngx_current_msec - relay->again) < 0))
        {
            continue;
        }

        for (n = 0; n < worker->nrounds; n++) {
            job = ngx_http_loyalty_relay_job(worker, worker->rounds[n]);

            if (ngx_http_loyalty_relay_useful(relay, job)) {
                ngx_http_loyalty_relay_ask(relay, job->round);
                break;
            }
        }
    }
}


static void
ngx_http_loyalty_relay_needs(ngx_http_loyalty_beacon_t *beacon)
{
    int64_t                            now;
    uint64_t                           latest, round;
    unsigned                           place;
    ngx_uint_t                         i, follows;
    ngx_http_loyalty_beacon_worker_t  *worker;

    worker = beacon->worker;
    worker->nrounds = 0;

    now = ngx_http_loyalty_now() - NGX_HTTP_LOYALTY_RELAY_FIRST;
    latest = (now > 0) ? loyalty_round_at((uint64_t) now) : 0;
    place = 0;

    ngx_shmtx_lock(&beacon->shpool->mutex);

    for (i = 0; i < NGX_HTTP_LOYALTY_RELAY_GAP && i < latest; i++) {

        follows = ngx_http_loyalty_beacon_follows(beacon,
                               (int64_t) loyalty_round_time(latest - i));

        if (follows) {
            ngx_http_loyalty_relay_need(beacon, latest - i);
        }

        /* rounds by name come behind the two newest ones */

        while (i == 1
               && (round = loyalty_beacons_missing(&beacon->shm->table,
                                                   latest, &place))
                  != 0)
        {
            ngx_http_loyalty_relay_need(beacon, round);
        }
    }

    ngx_shmtx_unlock(&beacon->shpool->mutex);
}


static void
ngx_http_loyalty_relay_need(ngx_http_loyalty_beacon_t *beacon,
    uint64_t round)
{
    ngx_uint_t                         i;
    ngx_http_loyalty_beacon_worker_t  *worker;

    worker = beacon->worker;

    if (worker->nrounds == NGX_HTTP_LOYALTY_BEACON_JOBS
        || loyalty_beacons_get(&beacon->shm->table, round) != NULL)
    {
        return;
    }

    for (i = 0; i < worker->nrounds; i++) {
        if (worker->rounds[i] == round) {
            return;
        }
    }

    worker->rounds[worker->nrounds++] = round;
}


/* a job for each round that is needed, and for no other */

static void
ngx_http_loyalty_relay_jobs(ngx_http_loyalty_beacon_worker_t *worker)
{
    ngx_uint_t               i, n;
    ngx_http_loyalty_job_t  *job;

    for (i = 0; i < NGX_HTTP_LOYALTY_BEACON_JOBS; i++) {
        worker->jobs[i].needed = 0;
    }

    for (n = 0; n < worker->nrounds; n++) {
        job = ngx_http_loyalty_relay_job(worker, worker->rounds[n]);

        if (job != NULL) {
            job->needed = 1;
        }
    }

    for (i = 0; i < NGX_HTTP_LOYALTY_BEACON_JOBS; i++) {
        if (!worker->jobs[i].needed) {
            ngx_memzero(&worker->jobs[i], sizeof(ngx_http_loyalty_job_t));
        }
    }

    for (n = 0; n < worker->nrounds; n++) {

        if (ngx_http_loyalty_relay_job(worker, worker->rounds[n]) == NULL) {

            /* there are as many jobs as there may be rounds */

            job = ngx_http_loyalty_relay_job(worker, 0);
            job->round = worker->rounds[n];
            job->needed = 1;
        }
    }
}


static ngx_http_loyalty_job_t *
ngx_http_loyalty_relay_job(ngx_http_loyalty_beacon_worker_t *worker,
    uint64_t round)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_LOYALTY_BEACON_JOBS; i++) {
        if (worker->jobs[i].round == round) {
            return &worker->jobs[i];
        }
    }

    return NULL;
}


/* whether the relay's word is missing */

static ngx_uint_t
ngx_http_loyalty_relay_useful(ngx_http_loyalty_relay_t *relay,
    ngx_http_loyalty_job_t *job)
{
    ngx_uint_t                  i, n, agree, best, pending;
    ngx_http_loyalty_vote_t    *vote;
    ngx_http_loyalty_beacon_t  *beacon;

    beacon = relay->beacon;
    vote = &job->votes[relay - beacon->relays];

    if (vote->again != 0
        && (ngx_msec_int_t) (ngx_current_msec - vote->again) < 0)
    {
        return 0;
    }

    vote->state = NGX_HTTP_LOYALTY_VOTE_NONE;
    vote->again = 0;

    best = 0;
    pending = 0;

    for (i = 0; i < beacon->nrelays; i++) {
        vote = &job->votes[i];

        if (beacon->relays[i].fetch != NULL
            && beacon->relays[i].round == job->round)
        {
            pending++;
        }

        if (vote->state != NGX_HTTP_LOYALTY_VOTE_GIVEN) {
            continue;
        }

        for (agree = 0, n = 0; n < beacon->nrelays; n++) {
            agree += (job->votes[n].state == NGX_HTTP_LOYALTY_VOTE_GIVEN
                      && ngx_memcmp(job->votes[n].sig, vote->sig,
                                    LOYALTY_BEACON_SIG)
                         == 0);
        }

        best = ngx_max(best, agree);
    }

    return best + pending < beacon->quorum;
}


static void
ngx_http_loyalty_relay_ask(ngx_http_loyalty_relay_t *relay, uint64_t round)
{
    u_char                         path[NGX_HTTP_LOYALTY_RELAY_PATH];
    ngx_http_loyalty_fetch_conf_t  conf;

    ngx_memzero(&conf, sizeof(ngx_http_loyalty_fetch_conf_t));

    conf.url = relay->url;
    conf.path.data = path;
    conf.path.len = ngx_sprintf(path, "/" LOYALTY_QUICKNET "/public/%uL",
                                round)
                    - path;
    ngx_str_set(&conf.headers, "Accept: application/json" CRLF);
    conf.timeout = relay->beacon->timeout;
    conf.max_body = LOYALTY_BEACON_JSON;
    conf.handler = ngx_http_loyalty_relay_answered;
    conf.data = relay;

    relay->round = round;
    relay->fetch = ngx_http_loyalty_fetch_start(&conf);

    ngx_http_loyalty_stat(relay->beacon->program,
                          NGX_HTTP_LOYALTY_STAT_BEACON_FETCHES, 1);
}


static void
ngx_http_loyalty_relay_answered(void *data,
    ngx_http_loyalty_fetched_t *fetched)
{
    u_char                     buf[sizeof("status ") + NGX_INT_T_LEN];
    ngx_str_t                  text;
    ngx_http_loyalty_job_t    *job;
    ngx_http_loyalty_relay_t  *relay;

    relay = data;
    relay->fetch = NULL;

    job = ngx_http_loyalty_relay_job(relay->beacon->worker, relay->round);

    if (fetched->status == 200) {
        ngx_http_loyalty_relay_reply(relay, job, &fetched->body);

    } else if (fetched->status == 404 || fetched->status == 425) {
        ngx_http_loyalty_relay_early(relay, job, fetched->status);

    } else if (fetched->status != 0) {
        text.data = buf;
        text.len = ngx_sprintf(buf, "status %ui", fetched->status) - buf;
        ngx_http_loyalty_relay_failed(relay, &text);

    } else {
        ngx_http_loyalty_relay_failed(relay, &fetched->error);
    }

    relay->beacon->shm->failing
        = ngx_http_loyalty_beacon_failing(relay->beacon);

    ngx_http_loyalty_beacon_fetch(relay->beacon);
}


/* job is NULL when the round is not needed any more */

static void
ngx_http_loyalty_relay_reply(ngx_http_loyalty_relay_t *relay,
    ngx_http_loyalty_job_t *job, ngx_str_t *body)
{
    ngx_str_t                  text;
    ngx_uint_t                 i;
    const char                *error;
    loyalty_beacon_t           said;
    ngx_http_loyalty_vote_t   *vote;
    ngx_http_loyalty_round_t   held;

    i = relay - relay->beacon->relays;
    error = NULL;

    if (loyalty_beacon_parse(&said, body->data, body->len, relay->round,
                             &error)
        == 0
        && relay->beacon->quorum == 1
        && loyalty_bls_verify(said.round, said.sig) != 0)
    {
        error = "the signature is not quicknet's";
    }

    if (error != NULL) {
        text.data = (u_char *) error;
        text.len = ngx_strlen(error);
        ngx_http_loyalty_relay_failed(relay, &text);

    } else {
        ngx_http_loyalty_relay_works(relay);

        /* others agreed, or it was put here by hand, in the meantime */

        if (ngx_http_loyalty_beacon_round(relay->beacon->program,
                                          said.round, &held)
            == NGX_OK)
        {
            if (ngx_memcmp(held.sig, said.sig, LOYALTY_BEACON_SIG) != 0) {
                ngx_http_loyalty_relay_contradicts(relay);
            }

            return;
        }
    }

    if (job == NULL) {
        return;
    }

    vote = &job->votes[i];
    vote->again = ngx_current_msec + NGX_HTTP_LOYALTY_RELAY_VOTE;

    if (error != NULL) {
        vote->state = NGX_HTTP_LOYALTY_VOTE_BAD;
        return;
    }

    vote->state = NGX_HTTP_LOYALTY_VOTE_GIVEN;
    ngx_memcpy(vote->sig, said.sig, LOYALTY_BEACON_SIG);

    ngx_http_loyalty_relay_count(relay->beacon, job, i);
}


/* it does not have the round: a trouble only when it should have it */

static void
ngx_http_loyalty_relay_early(ngx_http_loyalty_relay_t *relay,
    ngx_http_loyalty_job_t *job, ngx_uint_t status)
{
    int64_t     now;
    ngx_uint_t  late;

    now = ngx_http_loyalty_now();

    late = (now > (int64_t) loyalty_round_time(relay->round)
                  + NGX_HTTP_LOYALTY_RELAY_LATE);

    if (job != NULL) {
        job->votes[relay - relay->beacon->relays].again = ngx_current_msec
            + (late ? NGX_HTTP_LOYALTY_RELAY_VOTE
                    : NGX_HTTP_LOYALTY_RELAY_EARLY);
    }

    if (late) {
        ngx_http_loyalty_stat(relay->beacon->program,
                              NGX_HTTP_LOYALTY_STAT_BEACON_FAILURES, 1);
    }

    if (late
        && (relay->lacked == 0
            || ngx_current_msec - relay->lacked
               >= NGX_HTTP_LOYALTY_RELAY_REMIND))
    {
        relay->lacked = ngx_current_msec;

        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "beacon relay \"%V\" of loyalty program \"%V\" does not "
                      "have round %uL: status %ui", &relay->url->text,
                      &relay->beacon->program->name, relay->round, status);
    }

    /* it answers, however */

    ngx_http_loyalty_relay_works(relay);
}


static void
ngx_http_loyalty_relay_failed(ngx_http_loyalty_relay_t *relay,
    ngx_str_t *text)
{
    ngx_msec_t                 pause;
    ngx_http_loyalty_beacon_t  *beacon;

    beacon = relay->beacon;

    pause = 500;
    pause <<= ngx_min(relay->failures, 5);
    pause = ngx_min(pause, NGX_HTTP_LOYALTY_RELAY_PAUSE);

    relay->failures++;
    relay->again = ngx_current_msec + pause;

    ngx_http_loyalty_stat(beacon->program,
                          NGX_HTTP_LOYALTY_STAT_BEACON_FAILURES, 1);

    if (relay->told != 0
        && ngx_current_msec - relay->told < NGX_HTTP_LOYALTY_RELAY_REMIND)
    {
        return;
    }

    relay->told = ngx_current_msec;

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "beacon relay \"%V\" of loyalty program \"%V\" failed, "
                  "round %uL: %V", &relay->url->text, &beacon->program->name,
                  relay->round, text);
}


static void
ngx_http_loyalty_relay_works(ngx_http_loyalty_relay_t *relay)
{
    if (relay->failures == 0) {
        return;
    }

    relay->failures = 0;
    relay->told = 0;

    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "beacon relay \"%V\" of loyalty program \"%V\" answers "
                  "again", &relay->url->text, &relay->beacon->program->name);
}


/* after a relay's word: is the round certain now? */

static void
ngx_http_loyalty_relay_count(ngx_http_loyalty_beacon_t *beacon,
    ngx_http_loyalty_job_t *job, ngx_uint_t mine)
{
    ngx_int_t                 rc;
    ngx_uint_t                i, agree;
    ngx_http_loyalty_vote_t  *vote;

    agree = 0;
    vote = &job->votes[mine];

    for (i = 0; i < beacon->nrelays; i++) {

        if (job->votes[i].state != NGX_HTTP_LOYALTY_VOTE_GIVEN) {
            continue;
        }

        if (ngx_memcmp(job->votes[i].sig, vote->sig, LOYALTY_BEACON_SIG)
            == 0)
        {
            agree++;
            continue;
        }

        if (!job->disagreed) {
            job->disagreed = 1;

            ngx_http_loyalty_relay_disagree(beacon, job->round,
                                            &beacon->relays[i].url->text,
                                            &beacon->relays[mine].url->text);
        }
    }

    if (agree < beacon->quorum) {
        return;
    }

    rc = ngx_http_loyalty_beacon_keep(beacon, job->round, vote->sig,
                                      (beacon->quorum == 1)
                                      ? NGX_HTTP_LOYALTY_BEACON_BLS
                                      : NGX_HTTP_LOYALTY_BEACON_RELAYS);

    if (rc == LOYALTY_BEACON_OTHER) {
        ngx_http_loyalty_relay_contradicts(&beacon->relays[mine]);

    } else if (rc == NGX_ERROR) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "round %uL of the beacon of loyalty program \"%V\" "
                      "could not be kept", job->round,
                      &beacon->program->name);
    }
}


static void
ngx_http_loyalty_relay_contradicts(ngx_http_loyalty_relay_t *relay)
{
    ngx_str_t  held = ngx_string("the round that is held");

    ngx_http_loyalty_relay_disagree(relay->beacon, relay->round, &held,
                                    &relay->url->text);
}


static void
ngx_http_loyalty_relay_disagree(ngx_http_loyalty_beacon_t *beacon,
    uint64_t round, ngx_str_t *one, ngx_str_t *two)
{
    ngx_http_loyalty_beacon_worker_t  *worker;

    ngx_http_loyalty_stat(beacon->program,
                          NGX_HTTP_LOYALTY_STAT_BEACON_DISAGREEMENTS, 1);

    worker = beacon->worker;

    if (worker->disagreed != 0
        && ngx_current_msec - worker->disagreed
           < NGX_HTTP_LOYALTY_RELAY_REMIND)
    {
        return;
    }

    worker->disagreed = ngx_current_msec;

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "\"%V\" and \"%V\" disagree on the signature of beacon round "
                  "%uL, loyalty program \"%V\"", one, two, round,
                  &beacon->program->name);
}


ngx_uint_t
ngx_http_loyalty_beacon_failing(ngx_http_loyalty_beacon_t *beacon)
{
    ngx_uint_t  i, n;

    for (i = 0, n = 0; i < beacon->nrelays; i++) {
        n += (beacon->relays[i].failures != 0);
    }

    return n;
}
