/*
 * The machine of a sweepstakes: one step a tick, by what Redis says of the
 * phase.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_machine.h"


static ngx_http_loyalty_machine_t *ngx_http_loyalty_machine_get(
    ngx_http_loyalty_campaign_t *campaign);
static void ngx_http_loyalty_machine_phase(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply);
static void ngx_http_loyalty_machine_reply(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static void ngx_http_loyalty_machine_slice(ngx_http_loyalty_machine_t *m);
static void ngx_http_loyalty_machine_part(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply);


/* by phase; while it is open the clock tells, and whether it is paused */

static const char  *ngx_http_loyalty_machine_stages[] = {
    NULL, "closing", "closed", "waiting", "drawn"
};


void
ngx_http_loyalty_sweepstakes_tick(ngx_http_loyalty_campaign_t *campaign,
    int64_t now)
{
    ngx_str_t                    detail;
    ngx_http_loyalty_machine_t  *m;
    ngx_http_loyalty_problem_e   problem;

    if (now < campaign->close + NGX_HTTP_LOYALTY_LATE) {
        ngx_http_loyalty_tick_done(campaign, 0);
        return;
    }

    m = ngx_http_loyalty_machine_get(campaign);

    if (m == NULL || m->rest > now
        || ngx_http_loyalty_campaign_ready(campaign, NULL, &problem, &detail)
           != NGX_OK)
    {
        ngx_http_loyalty_tick_done(campaign, 0);
        return;
    }

    m->now = now;

    m->pool = ngx_create_pool(16384, m->log);
    if (m->pool == NULL) {
        ngx_http_loyalty_tick_done(campaign, 0);
        return;
    }

    ngx_http_loyalty_game_call(&m->call, campaign, "s meta");
    loyalty_mpw_int(&m->call.w, campaign->close);
    loyalty_mpw_int(&m->call.w,
                    ngx_http_loyalty_campaign_generation(campaign));

    ngx_http_loyalty_machine_send(m, NGX_HTTP_LOYALTY_FN_CLOSING,
                                  ngx_http_loyalty_machine_phase);
}


static ngx_http_loyalty_machine_t *
ngx_http_loyalty_machine_get(ngx_http_loyalty_campaign_t *campaign)
{
    ngx_http_loyalty_machine_t           *m;
    ngx_http_loyalty_sweepstakes_conf_t  *scf;

    scf = (ngx_http_loyalty_sweepstakes_conf_t *) campaign;

    if (scf->machine != NULL) {
        return scf->machine;
    }

    m = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_http_loyalty_machine_t));
    if (m == NULL) {
        return NULL;
    }

    m->campaign = campaign;
    m->log = ngx_cycle->log;
    m->told = -1;

    scf->machine = m;

    return m;
}


static void
ngx_http_loyalty_machine_phase(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply)
{
    int64_t     v[4];
    ngx_str_t  *value;
    ngx_uint_t  i;

    value = reply->values;

    /* it is held until somebody has looked */

    if (reply->array && reply->n == 0) {
        ngx_http_loyalty_machine_end(m, 0);
        return;
    }

    if (!reply->array || reply->n != 8) {
        ngx_http_loyalty_machine_damaged(m, "state");
        return;
    }

    for (i = 0; i < 4; i++) {
        v[i] = ngx_atoof(value[i].data, value[i].len);

        if (v[i] == NGX_ERROR) {
            ngx_http_loyalty_machine_damaged(m, "state");
            return;
        }
    }

    m->phase = v[0];
    m->entries = v[1];
    m->tickets = v[2];
    m->done = v[3];

    m->stamped = ngx_atoof(value[7].data, value[7].len);

    if (m->stamped == NGX_ERROR) {
        ngx_http_loyalty_machine_damaged(m, "meta");
        return;
    }

    if (m->phase < 0 || m->phase > NGX_HTTP_LOYALTY_PHASE_DRAWN) {
        ngx_http_loyalty_machine_damaged(m, "state");
        return;
    }

    m->campaign->stage = ngx_http_loyalty_machine_stages[m->phase];

    ngx_http_loyalty_stat_draw(m->campaign->program, m->campaign->index,
                               m->campaign->cid,
                               NGX_HTTP_LOYALTY_DRAW_COVERED, m->done);

    /* the reply is gone when the step goes on */

    m->index.len = value[5].len;
    m->index.data = ngx_pstrdup(m->pool, &value[5]);

    if (m->index.data == NULL) {
        ngx_http_loyalty_machine_failed(m);
        return;
    }

    if (value[6].len == LOYALTY_HASH) {
        ngx_memcpy(m->draw_key, value[6].data, LOYALTY_HASH);
    }

    switch (m->phase) {

    case NGX_HTTP_LOYALTY_PHASE_OPEN:
        ngx_http_loyalty_machine_end(m, 0);
        return;

    case NGX_HTTP_LOYALTY_PHASE_CLOSING:
        ngx_http_loyalty_machine_close(m, &value[4]);
        return;

    case NGX_HTTP_LOYALTY_PHASE_DRAWN:
        ngx_http_loyalty_machine_after(m);
        return;

    default: /* closed, waiting */
        ngx_http_loyalty_machine_wait(m);
    }
}


void
ngx_http_loyalty_machine_send(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_fn_e fn, ngx_http_loyalty_machine_pt next)
{
    ngx_http_loyalty_machine_ask(m, fn, m->call.nkeys, m->call.keys,
                                 &m->call.w, next);
}


void
ngx_http_loyalty_machine_ask(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_fn_e fn, ngx_uint_t nkeys, ngx_str_t *keys,
    loyalty_mpw_t *w, ngx_http_loyalty_machine_pt next)
{
    ngx_str_t                    arg;
    ngx_http_loyalty_status_e    status;
    ngx_http_loyalty_program_t  *program;

    program = m->campaign->program;
    m->next = next;

    arg.data = w->start;
    arg.len = w->pos - w->start;

    if (w->failed
        || ngx_http_loyalty_redis_call(program, NGX_HTTP_LOYALTY_BULK,
                          ngx_http_loyalty_campaign_partition(m->campaign),
                          fn, nkeys, keys, &arg,
                          ngx_http_loyalty_machine_reply, m, &status)
           == NULL)
    {
        ngx_http_loyalty_machine_end(m, 0);
    }
}


/* Redis is away, or answered an error that is logged: the next tick */

static void
ngx_http_loyalty_machine_reply(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_machine_t *m = data;

    if (status != NGX_HTTP_LOYALTY_REPLY) {
        ngx_http_loyalty_machine_end(m, 0);
        return;
    }

    m->next(m, reply);
}


void
ngx_http_loyalty_machine_fetch(ngx_http_loyalty_machine_t *m,
    const char *what, void (*fetched)(ngx_http_loyalty_machine_t *m))
{
    m->what = what;
    m->fetched = fetched;
    m->text.len = 0;
    m->text.data = NULL;
    m->room = 0;

    ngx_http_loyalty_machine_slice(m);
}


static void
ngx_http_loyalty_machine_slice(ngx_http_loyalty_machine_t *m)
{
    ngx_http_loyalty_game_call(&m->call, m->campaign, m->what);
    loyalty_mpw_int(&m->call.w, m->text.len);
    loyalty_mpw_int(&m->call.w, NGX_HTTP_LOYALTY_SLICE_BYTES);

    ngx_http_loyalty_machine_send(m, NGX_HTTP_LOYALTY_FN_SLICE,
                                  ngx_http_loyalty_machine_part);
}


static void
ngx_http_loyalty_machine_part(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply)
{
    u_char     *p;
    ngx_str_t  *value;

    value = reply->values;

    if (reply->array || reply->n != 1) {
        ngx_http_loyalty_machine_damaged(m, m->what);
        return;
    }

    if (m->text.len + value->len > m->room) {
        m->room = 2 * (m->text.len + value->len);

        p = ngx_pnalloc(m->pool, m->room);
        if (p == NULL) {
            ngx_http_loyalty_machine_failed(m);
            return;
        }

        if (m->text.len != 0) {
            ngx_memcpy(p, m->text.data, m->text.len);
        }

        m->text.data = p;
    }

    ngx_memcpy(m->text.data + m->text.len, value->data, value->len);
    m->text.len += value->len;

    if (value->len == NGX_HTTP_LOYALTY_SLICE_BYTES) {
        ngx_http_loyalty_machine_slice(m);
        return;
    }

    m->fetched(m);
}


void
ngx_http_loyalty_machine_end(ngx_http_loyalty_machine_t *m, ngx_uint_t again)
{
    if (m->timer.timer_set) {
        ngx_del_timer(&m->timer);
    }

    ngx_destroy_pool(m->pool);

    m->pool = NULL;
    m->draw = NULL;
    m->voids = NULL;

    ngx_http_loyalty_tick_done(m->campaign, again);
}


void
ngx_http_loyalty_machine_damaged(ngx_http_loyalty_machine_t *m,
    const char *what)
{
    ngx_log_error(NGX_LOG_CRIT, m->log, 0,
                  "loyalty program \"%V\": %V stands still: \"%s\" of it in "
                  "Redis is not what it should be",
                  &m->campaign->program->name, &m->campaign->rule->reason,
                  what);

    m->rest = m->now + NGX_HTTP_LOYALTY_TROUBLE;

    ngx_http_loyalty_machine_end(m, 0);
}


void
ngx_http_loyalty_machine_failed(ngx_http_loyalty_machine_t *m)
{
    ngx_log_error(NGX_LOG_CRIT, m->log, 0,
                  "loyalty program \"%V\": %V stands still: memory or "
                  "libcrypto failed", &m->campaign->program->name,
                  &m->campaign->rule->reason);

    m->rest = m->now + NGX_HTTP_LOYALTY_TROUBLE;

    ngx_http_loyalty_machine_end(m, 0);
}


ngx_uint_t
ngx_http_loyalty_machine_said(ngx_http_loyalty_reply_t *reply, u_char letter)
{
    return !reply->array && reply->n == 1 && reply->values[0].len == 1
           && reply->values[0].data[0] == letter;
}


void
ngx_http_loyalty_machine_later(ngx_http_loyalty_machine_t *m,
    ngx_event_handler_pt handler)
{
    m->timer.handler = handler;
    m->timer.data = m;
    m->timer.log = m->log;

    ngx_add_timer(&m->timer, 1);
}
