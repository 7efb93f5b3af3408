/*
 * What a worker knows of a campaign.  It asks Redis when it starts, and again
 * when a transition finds that what it knows no longer holds; whoever wants
 * to play meanwhile waits for the answer.  The answer may need more: a chain
 * to be built, a manifest to be registered.
 */

#include "ngx_http_loyalty_draws_private.h"

#include <openssl/rand.h>


#define NGX_HTTP_LOYALTY_ROUNDS  8               /* of one question */


static void ngx_http_loyalty_run_answered(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static void ngx_http_loyalty_run_retry(ngx_event_t *ev);
static ngx_http_loyalty_problem_e ngx_http_loyalty_run_problem(
    ngx_http_loyalty_run_t *run);


ngx_http_loyalty_run_t *
ngx_http_loyalty_run_create(ngx_cycle_t *cycle,
    ngx_http_loyalty_campaign_t *campaign)
{
    ngx_uint_t               i;
    ngx_http_loyalty_run_t  *run;

    run = ngx_http_loyalty_secret_alloc(sizeof(ngx_http_loyalty_run_t),
                                        cycle->log);
    if (run == NULL) {
        return NULL;
    }

    /* fresh pages are zeros */

    run->campaign = campaign;
    run->log = cycle->log;

    ngx_queue_init(&run->waiters);

    for (i = 0; i < LOYALTY_PARTITIONS; i++) {
        ngx_queue_init(&run->steps[i]);
    }

    run->retry.handler = ngx_http_loyalty_run_retry;
    run->retry.data = run;
    run->retry.log = cycle->log;
    run->retry.cancelable = 1;

    run->build.log = cycle->log;

    return run;
}


void
ngx_http_loyalty_run_destroy(ngx_http_loyalty_run_t *run)
{
    if (run->op != NULL) {
        ngx_http_loyalty_redis_detach(run->op);
    }

    if (run->retry.timer_set) {
        ngx_del_timer(&run->retry);
    }

    if (run->build.posted) {
        ngx_delete_posted_event(&run->build);
    }

    if (run->pool != NULL) {
        ngx_destroy_pool(run->pool);
    }

    ngx_http_loyalty_chains_free(run);
    ngx_http_loyalty_secret_free(run, sizeof(ngx_http_loyalty_run_t));
}


ngx_int_t
ngx_http_loyalty_run_ask(ngx_http_loyalty_run_t *run)
{
    u_char                        keys[2][NGX_HTTP_LOYALTY_CAMPAIGN_KEY];
    u_char                        salt[LOYALTY_SALT];
    u_char                        buf[1024];
    ngx_str_t                     key[2], arg;
    loyalty_mpw_t                 w;
    ngx_http_loyalty_status_e     status;
    ngx_http_loyalty_secrets_t   *secrets;
    ngx_http_loyalty_campaign_t  *campaign;

    if (run->op != NULL || run->build.posted) {
        return NGX_OK;
    }

    campaign = run->campaign;
    secrets = campaign->program->draws->secrets;

    if (RAND_bytes(salt, LOYALTY_SALT) != 1) {
        ngx_log_error(NGX_LOG_ALERT, run->log, 0, "RAND_bytes() failed");
        return NGX_ERROR;
    }

    /* begun only when it is known that there is none: begin.c */

    loyalty_mpw_init(&w, buf, sizeof(buf));
    loyalty_mpw_str(&w, salt, run->begins ? LOYALTY_SALT : 0);
    loyalty_mpw_str(&w, secrets->secret[0].id, secrets->secret[0].len);
    loyalty_mpw_str(&w, campaign->state.data, campaign->state.len);

    if (w.failed) {
        return NGX_ERROR;
    }

    arg.data = buf;
    arg.len = w.pos - w.start;

    ngx_http_loyalty_campaign_key(campaign, "meta", -1, keys[0], &key[0]);
    ngx_http_loyalty_campaign_key(campaign, "s", -1, keys[1], &key[1]);

    run->asked = ngx_current_msec;
    run->begins = 0;

    run->op = ngx_http_loyalty_redis_call(campaign->program,
                                 NGX_HTTP_LOYALTY_INTERACTIVE,
                                 ngx_http_loyalty_campaign_partition(campaign),
                                 NGX_HTTP_LOYALTY_FN_CAMPAIGN, 2, key, &arg,
                                 ngx_http_loyalty_run_answered, run,
                                 &status);

    return (run->op != NULL) ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_loyalty_run_answered(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_run_t *run = data;

    run->op = NULL;

    if (status != NGX_HTTP_LOYALTY_REPLY || !reply->array) {
        ngx_http_loyalty_run_wake(run);
        return;
    }

    /* other nodes register, too: that takes a few questions at most */

    if (++run->rounds > NGX_HTTP_LOYALTY_ROUNDS) {
        ngx_http_loyalty_run_settle(run, NGX_HTTP_LOYALTY_RUN_FAILED,
                                    "its manifest cannot be registered");
        return;
    }

    /* this worker has not seen it, and Redis has none */

    if (reply->n == 0 && !run->known && run->versions.nelts == 0) {
        ngx_http_loyalty_begin(run);
        return;
    }

    ngx_http_loyalty_manifest_known(run, reply);
}


void
ngx_http_loyalty_run_settle(ngx_http_loyalty_run_t *run,
    ngx_http_loyalty_run_e state, const char *fmt, ...)
{
    u_char      *p, detail[NGX_HTTP_LOYALTY_DETAIL];
    size_t       len;
    va_list      args;
    ngx_str_t   *reason;
    ngx_uint_t   level;

    len = 0;

    if (fmt != NULL) {
        va_start(args, fmt);
        p = ngx_vslprintf(detail, detail + NGX_HTTP_LOYALTY_DETAIL, fmt,
                          args);
        va_end(args);

        len = p - detail;
    }

    reason = &run->campaign->rule->reason;

    /* one line when it becomes so, and not for each question */

    if (state == NGX_HTTP_LOYALTY_RUN_READY) {

        if (run->state != state) {
            ngx_log_error(NGX_LOG_INFO, run->log, 0,
                          "%V is ready, version %uD", reason,
                          run->campaign->version);
        }

    } else if (run->state != state || run->len != len
               || ngx_memcmp(run->detail, detail, len) != 0)
    {
        level = (state == NGX_HTTP_LOYALTY_RUN_CHANGED
                 || state == NGX_HTTP_LOYALTY_RUN_STALE)
                ? NGX_LOG_ERR : NGX_LOG_EMERG;

        ngx_log_error(level, run->log, 0, "%V is stopped: %*s", reason, len,
                      detail);
    }

    ngx_http_loyalty_stat_draw(run->campaign->program, run->campaign->index,
                               run->campaign->cid,
                               NGX_HTTP_LOYALTY_DRAW_STOPPED,
                               state != NGX_HTTP_LOYALTY_RUN_READY);

    run->state = state;
    run->len = len;
    ngx_memcpy(run->detail, detail, len);

    run->fresh = 1;
    run->rounds = 0;

    ngx_http_loyalty_run_wake(run);
}


/* those who wait ask again, and may wait again: this round's only */

void
ngx_http_loyalty_run_wake(ngx_http_loyalty_run_t *run)
{
    ngx_queue_t                 woken, *q;
    ngx_http_loyalty_waiter_t  *waiter;

    run->rounds = 0;

    if (!run->fresh && !run->retry.timer_set && !ngx_exiting) {
        ngx_add_timer(&run->retry, NGX_HTTP_LOYALTY_AGAIN);
    }

    if (ngx_queue_empty(&run->waiters)) {
        return;
    }

    ngx_queue_init(&woken);
    ngx_queue_add(&woken, &run->waiters);
    ngx_queue_init(&run->waiters);

    while (!ngx_queue_empty(&woken)) {
        q = ngx_queue_head(&woken);
        ngx_queue_remove(q);

        waiter = ngx_queue_data(q, ngx_http_loyalty_waiter_t, queue);
        waiter->campaign = NULL;

        waiter->handler(waiter->data);
    }
}


static void
ngx_http_loyalty_run_retry(ngx_event_t *ev)
{
    ngx_http_loyalty_run_t *run = ev->data;

    if (run->fresh || ngx_exiting) {
        return;
    }

    if (ngx_http_loyalty_run_ask(run) != NGX_OK) {
        ngx_add_timer(&run->retry, NGX_HTTP_LOYALTY_AGAIN);
    }
}


ngx_int_t
ngx_http_loyalty_campaign_ready(ngx_http_loyalty_campaign_t *campaign,
    ngx_http_loyalty_waiter_t *waiter, ngx_http_loyalty_problem_e *problem,
    ngx_str_t *detail)
{
    ngx_http_loyalty_run_t  *run;

    run = campaign->run;

    if (run == NULL) {
        *problem = NGX_HTTP_LOYALTY_P_UNAVAILABLE;
        ngx_str_set(detail, "nginx is leaving");
        return NGX_DECLINED;
    }

    if (run->fresh && run->state == NGX_HTTP_LOYALTY_RUN_READY) {
        return NGX_OK;
    }

    /* what stops a campaign may have been mended */

    if (run->fresh
        && ngx_current_msec - run->asked >= NGX_HTTP_LOYALTY_AGAIN)
    {
        run->fresh = 0;
    }

    if (!run->fresh) {

        if (ngx_http_loyalty_run_ask(run) != NGX_OK) {
            *problem = NGX_HTTP_LOYALTY_P_UNAVAILABLE;
            ngx_str_set(detail, "what holds of this campaign is not known "
                                "before Redis is there");
            return NGX_DECLINED;
        }

        if (waiter != NULL) {
            waiter->campaign = campaign;
            ngx_queue_insert_tail(&run->waiters, &waiter->queue);
        }

        return NGX_AGAIN;
    }

    *problem = ngx_http_loyalty_run_problem(run);

    detail->data = run->detail;
    detail->len = run->len;

    return NGX_DECLINED;
}


static ngx_http_loyalty_problem_e
ngx_http_loyalty_run_problem(ngx_http_loyalty_run_t *run)
{
    switch (run->state) {

    case NGX_HTTP_LOYALTY_RUN_CHANGED:
    case NGX_HTTP_LOYALTY_RUN_REOPENED:
    case NGX_HTTP_LOYALTY_RUN_SECRET:
        return NGX_HTTP_LOYALTY_P_RULES_CHANGED;

    case NGX_HTTP_LOYALTY_RUN_STALE:
        return NGX_HTTP_LOYALTY_P_STALE_CONFIGURATION;

    default:
        return NGX_HTTP_LOYALTY_P_UNAVAILABLE;
    }
}


ngx_int_t
ngx_http_loyalty_campaign_awards(ngx_http_loyalty_campaign_t *campaign,
    ngx_http_loyalty_problem_e *problem)
{
    ngx_int_t                rc;
    ngx_str_t                detail;
    ngx_http_loyalty_run_t  *run;

    run = campaign->run;

    if (run == NULL) {
        return NGX_BUSY;
    }

    rc = ngx_http_loyalty_campaign_ready(campaign, NULL, problem, &detail);

    if (rc == NGX_OK) {
        return NGX_OK;
    }

    /* while Redis is asked again, what was heard before holds */

    if (run->state == NGX_HTTP_LOYALTY_RUN_NEW
        || run->state == NGX_HTTP_LOYALTY_RUN_READY)
    {
        return (rc == NGX_AGAIN) ? NGX_AGAIN : NGX_BUSY;
    }

    *problem = ngx_http_loyalty_run_problem(run);

    return NGX_DECLINED;
}


void
ngx_http_loyalty_campaign_forget(ngx_http_loyalty_waiter_t *waiter)
{
    if (waiter->campaign != NULL) {
        ngx_queue_remove(&waiter->queue);
        waiter->campaign = NULL;
    }
}


ngx_uint_t
ngx_http_loyalty_campaign_known(ngx_http_loyalty_campaign_t *campaign)
{
    return campaign->run->known;
}


int64_t
ngx_http_loyalty_campaign_generation(ngx_http_loyalty_campaign_t *campaign)
{
    return campaign->run->generation;
}


void
ngx_http_loyalty_campaign_refresh(ngx_http_loyalty_campaign_t *campaign)
{
    campaign->run->fresh = 0;
}


int64_t
ngx_http_loyalty_campaign_seq(ngx_http_loyalty_campaign_t *campaign)
{
    return campaign->run->seq;
}


void
ngx_http_loyalty_campaign_saw(ngx_http_loyalty_campaign_t *campaign,
    int64_t seq)
{
    if (campaign->run->seq < seq) {
        campaign->run->seq = seq;
    }

    /* for the leader: two workers at a time lose at most the lower one */

    if (ngx_http_loyalty_campaign_seen(campaign) < seq) {
        ngx_http_loyalty_stat_draw(campaign->program, campaign->index,
                                   campaign->cid, NGX_HTTP_LOYALTY_DRAW_SEEN,
                                   seq);
    }
}


ngx_int_t
ngx_http_loyalty_campaign_appends(ngx_http_loyalty_campaign_t *campaign,
    const char *log, int64_t seq, ngx_http_loyalty_call_t *call,
    int64_t *chunk)
{
    ngx_int_t  index;

    if (seq < 0) {
        seq = ngx_http_loyalty_campaign_seq(campaign);
    }

    *chunk = seq / NGX_HTTP_LOYALTY_CHUNK;

    index = ngx_http_loyalty_call_key(call, "%V:s", &campaign->tag);

    return (ngx_http_loyalty_call_key(call, "%V:%s:%L", &campaign->tag, log,
                                      *chunk)
            == NGX_ERROR
            || ngx_http_loyalty_call_key(call, "%V:%s:%L", &campaign->tag,
                                         log, *chunk + 1)
               == NGX_ERROR)
           ? NGX_ERROR : index;
}


int64_t
ngx_http_loyalty_campaign_seen(ngx_http_loyalty_campaign_t *campaign)
{
    return ngx_http_loyalty_stat_draw_read(campaign->program,
                                           campaign->index, campaign->cid,
                                           NGX_HTTP_LOYALTY_DRAW_SEEN);
}


ngx_int_t
ngx_http_loyalty_draws_init_process(ngx_cycle_t *cycle,
    ngx_http_loyalty_program_t *program)
{
    ngx_uint_t                    i;
    ngx_http_loyalty_campaign_t  *campaign;

    for (i = 0; ; i++) {

        campaign = ngx_http_loyalty_campaign(program, i);
        if (campaign == NULL) {
            break;
        }

        campaign->run = ngx_http_loyalty_run_create(cycle, campaign);
        if (campaign->run == NULL) {
            return NGX_ERROR;
        }

        /* asked at once, so that the first play finds it known */

        ngx_add_timer(&campaign->run->retry, 1);
    }

    return (i > 0) ? ngx_http_loyalty_leader_create(cycle, program) : NGX_OK;
}


void
ngx_http_loyalty_draws_exit_process(ngx_cycle_t *cycle,
    ngx_http_loyalty_program_t *program)
{
    ngx_uint_t                    i;
    ngx_queue_t                  *q;
    ngx_http_loyalty_draws_t     *draws;
    ngx_http_loyalty_campaign_t  *campaign;

    draws = program->draws;

    if (draws == NULL) {
        return;
    }

    if (draws->leader != NULL) {
        ngx_http_loyalty_leader_destroy(draws->leader);
        draws->leader = NULL;
    }

    while (!ngx_queue_empty(&draws->asks)) {
        q = ngx_queue_head(&draws->asks);
        ngx_http_loyalty_ask_free(ngx_queue_data(q, ngx_http_loyalty_ask_t,
                                                 queue));
    }

    for (i = 0; ; i++) {

        campaign = ngx_http_loyalty_campaign(program, i);
        if (campaign == NULL) {
            break;
        }

        if (campaign->run != NULL) {
            ngx_http_loyalty_run_destroy(campaign->run);
            campaign->run = NULL;
        }
    }
}
