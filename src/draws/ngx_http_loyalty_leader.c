/*
 * The leader: one worker of all nodes, which holds a lease in Redis and does
 * once a second what the clock asks for: heads and secrets of epochs, beacon
 * rounds and timestamps, and the rooms' own steps.  When it dies another one
 * takes the lease and finds in Redis all that it needs.
 */

#include "ngx_http_loyalty_draws_private.h"

#include <openssl/rand.h>


static void ngx_http_loyalty_leader_beat(ngx_event_t *ev);
static ngx_int_t ngx_http_loyalty_leader_ask(
    ngx_http_loyalty_leader_t *leader);
static void ngx_http_loyalty_leader_answered(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static void ngx_http_loyalty_leader_resign(ngx_http_loyalty_leader_t *leader);
static ngx_uint_t ngx_http_loyalty_leader_fit(
    ngx_http_loyalty_leader_t *leader);
static void ngx_http_loyalty_leader_passes(ngx_event_t *ev);
static void ngx_http_loyalty_lead_pass(ngx_http_loyalty_lead_t *lead);
static ngx_int_t ngx_http_loyalty_lead_ready(ngx_http_loyalty_lead_t *lead);
static ngx_int_t ngx_http_loyalty_lead_state(ngx_http_loyalty_lead_t *lead);
static const char *ngx_http_loyalty_lead_stage(ngx_http_loyalty_lead_t *lead);
static int64_t ngx_http_loyalty_lead_close(ngx_http_loyalty_lead_t *lead);
static void ngx_http_loyalty_lead_count(ngx_http_loyalty_lead_t *lead,
    const char *stage);
static void ngx_http_loyalty_lead_told(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_lead_tick(ngx_http_loyalty_lead_t *lead);


static ngx_http_loyalty_step_pt  ngx_http_loyalty_steps[] = {
    ngx_http_loyalty_lead_ready,
    ngx_http_loyalty_lead_sweep,
    ngx_http_loyalty_lead_tree,
    ngx_http_loyalty_lead_log,
    ngx_http_loyalty_lead_over,
    ngx_http_loyalty_lead_used,
    ngx_http_loyalty_lead_head,
    ngx_http_loyalty_lead_reveal,
    ngx_http_loyalty_lead_stamps,
    ngx_http_loyalty_lead_tick,
    ngx_http_loyalty_lead_state,
    ngx_http_loyalty_lead_evidence,
    NULL
};


ngx_int_t
ngx_http_loyalty_leader_create(ngx_cycle_t *cycle,
    ngx_http_loyalty_program_t *program)
{
    u_char                      random[16];
    ngx_uint_t                  i, n;
    ngx_http_loyalty_leader_t  *leader;

    n = program->draws->campaigns.nelts;

    leader = ngx_pcalloc(cycle->pool, sizeof(ngx_http_loyalty_leader_t));
    if (leader == NULL) {
        return NGX_ERROR;
    }

    leader->leads = ngx_pcalloc(cycle->pool,
                                n * sizeof(ngx_http_loyalty_lead_t));
    if (leader->leads == NULL) {
        return NGX_ERROR;
    }

    if (RAND_bytes(random, sizeof(random)) != 1) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, 0, "RAND_bytes() failed");
        return NGX_ERROR;
    }

    loyalty_hex(leader->token, random, sizeof(random));

    for (i = 0; i < n; i++) {
        leader->leads[i].leader = leader;
        leader->leads[i].campaign = ngx_http_loyalty_campaign(program, i);
        leader->leads[i].revealed = -1;
        ngx_queue_init(&leader->leads[i].slots);
    }

    leader->program = program;
    leader->log = cycle->log;
    leader->nleads = n;

    leader->timer.handler = ngx_http_loyalty_leader_beat;
    leader->timer.data = leader;
    leader->timer.log = cycle->log;
    leader->timer.cancelable = 1;

    leader->run.handler = ngx_http_loyalty_leader_passes;
    leader->run.data = leader;
    leader->run.log = cycle->log;

    program->draws->leader = leader;

    /* workers that start together need not all ask first */

    ngx_add_timer(&leader->timer, 1 + random[0] % 64);

    return NGX_OK;
}


void
ngx_http_loyalty_leader_destroy(ngx_http_loyalty_leader_t *leader)
{
    ngx_uint_t  i;

    if (leader->op != NULL) {
        ngx_http_loyalty_redis_detach(leader->op);
    }

    if (leader->timer.timer_set) {
        ngx_del_timer(&leader->timer);
    }

    if (leader->run.posted) {
        ngx_delete_posted_event(&leader->run);
    }

    for (i = 0; i < leader->nleads; i++) {
        if (leader->leads[i].op != NULL) {
            ngx_http_loyalty_redis_detach(leader->leads[i].op);
        }

        ngx_http_loyalty_sweep_free(&leader->leads[i]);
        ngx_http_loyalty_slots_free(&leader->leads[i]);
        ngx_http_loyalty_gather_free(&leader->leads[i]);
    }
}


static void
ngx_http_loyalty_leader_beat(ngx_event_t *ev)
{
    ngx_http_loyalty_leader_t  *leader;

    leader = ev->data;

    /* a worker that leaves leads no more: the next one is at hand */

    if (ngx_exiting) {
        ngx_http_loyalty_leader_resign(leader);
        return;
    }

    ngx_add_timer(ev, NGX_HTTP_LOYALTY_BEAT);

    if (leader->leading
        && (ngx_msec_int_t) (ngx_current_msec - leader->until) >= 0)
    {
        ngx_http_loyalty_leader_resign(leader);

        /*
         * Redis's lease ends a little later: who asked now would have it
         * again, and others, who can serve what this node cannot, never.
         */

        leader->shy = NGX_HTTP_LOYALTY_SHY - NGX_HTTP_LOYALTY_REST;
    }

    /* who cannot serve all campaigns leaves the lead to others first */

    if (ngx_http_loyalty_leader_fit(leader)) {
        leader->shy = 0;

    } else if (leader->leading || ++leader->shy < NGX_HTTP_LOYALTY_SHY) {
        return;
    }

    if (leader->op == NULL) {
        (void) ngx_http_loyalty_leader_ask(leader);
    }
}


/* all campaigns are ready; what is not is asked about once a second */

static ngx_uint_t
ngx_http_loyalty_leader_fit(ngx_http_loyalty_leader_t *leader)
{
    ngx_str_t                     detail;
    ngx_uint_t                    i, fit;
    ngx_http_loyalty_problem_e    problem;
    ngx_http_loyalty_campaign_t  *campaign;

    fit = 1;

    for (i = 0; i < leader->nleads; i++) {
        campaign = leader->leads[i].campaign;

        if (campaign->run->state != NGX_HTTP_LOYALTY_RUN_READY) {
            (void) ngx_http_loyalty_campaign_ready(campaign, NULL, &problem,
                                                   &detail);
            fit = 0;
        }
    }

    return fit;
}


static ngx_int_t
ngx_http_loyalty_leader_ask(ngx_http_loyalty_leader_t *leader)
{
    u_char                      buf[128], name[128];
    ngx_str_t                   key, arg;
    loyalty_mpw_t               w;
    ngx_http_loyalty_status_e   status;

    key.data = name;
    key.len = ngx_sprintf(name, "{%V}:leader", &leader->program->name)
              - name;

    loyalty_mpw_init(&w, buf, sizeof(buf));
    loyalty_mpw_str(&w, leader->token, sizeof(leader->token));
    loyalty_mpw_int(&w, NGX_HTTP_LOYALTY_LEASE);

    arg.data = buf;
    arg.len = w.pos - w.start;

    leader->asked = ngx_current_msec;

    leader->op = ngx_http_loyalty_redis_call(leader->program,
                                             NGX_HTTP_LOYALTY_BULK, 0,
                                             NGX_HTTP_LOYALTY_FN_LEASE, 1,
                                             &key, &arg,
                                             ngx_http_loyalty_leader_answered,
                                             leader, &status);

    return (leader->op != NULL) ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_loyalty_leader_answered(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_leader_t *leader = data;

    leader->op = NULL;

    if (status != NGX_HTTP_LOYALTY_REPLY || reply->n != 1
        || reply->values[0].len != 1 || reply->values[0].data[0] != '1')
    {
        /* without an answer the lease runs out by itself */

        if (status == NGX_HTTP_LOYALTY_REPLY) {
            ngx_http_loyalty_leader_resign(leader);
        }

        return;
    }

    /* counted from before the question: Redis's lease ends later */

    leader->until = leader->asked + NGX_HTTP_LOYALTY_LEASE;

    if (!leader->leading) {
        leader->leading = 1;
        ngx_log_error(NGX_LOG_INFO, leader->log, 0,
                      "this worker leads the draws of program \"%V\"",
                      &leader->program->name);
    }

    ngx_http_loyalty_leader_passes(&leader->run);
}


static void
ngx_http_loyalty_leader_resign(ngx_http_loyalty_leader_t *leader)
{
    ngx_uint_t                i;
    ngx_http_loyalty_lead_t  *lead;

    if (!leader->leading) {
        return;
    }

    leader->leading = 0;

    ngx_log_error(NGX_LOG_INFO, leader->log, 0,
                  "this worker no longer leads the draws of program \"%V\"",
                  &leader->program->name);

    for (i = 0; i < leader->nleads; i++) {
        lead = &leader->leads[i];

        lead->loaded = 0;
        lead->asked = 0;
        lead->nrounds = 0;
        lead->revealed = -1;
        lead->told = NULL;

        ngx_http_loyalty_slots_free(lead);
        ngx_http_loyalty_gather_free(lead);
    }
}


static void
ngx_http_loyalty_leader_passes(ngx_event_t *ev)
{
    ngx_uint_t                  i;
    ngx_http_loyalty_leader_t  *leader;

    leader = ev->data;

    for (i = 0; i < leader->nleads && leader->leading; i++) {
        if (!leader->leads[i].busy) {
            ngx_http_loyalty_lead_pass(&leader->leads[i]);
        }
    }
}


static void
ngx_http_loyalty_lead_pass(ngx_http_loyalty_lead_t *lead)
{
    lead->busy = 1;
    lead->again = 0;
    lead->step = 0;

    ngx_http_loyalty_lead_next(lead, NGX_DECLINED);
}


/* NGX_DECLINED: begins with the step; else the step under way came to rc */

void
ngx_http_loyalty_lead_next(ngx_http_loyalty_lead_t *lead, ngx_int_t rc)
{
    ngx_http_loyalty_leader_t  *leader;

    leader = lead->leader;

    if (rc == NGX_OK) {
        lead->step++;
    }

    while (rc != NGX_ERROR && ngx_http_loyalty_steps[lead->step] != NULL) {

        if (!leader->leading
            || (ngx_msec_int_t) (ngx_current_msec - leader->until) >= 0)
        {
            rc = NGX_ERROR;
            break;
        }

        rc = ngx_http_loyalty_steps[lead->step](lead);

        if (rc == NGX_AGAIN) {
            return;
        }

        if (rc == NGX_OK) {
            lead->step++;
        }
    }

    lead->busy = 0;

    if (rc == NGX_ERROR || !leader->leading) {

        /* whatever happened: the next pass begins with what Redis has */

        lead->loaded = 0;
        lead->nrounds = 0;
        return;
    }

    if (lead->again) {
        ngx_post_event(&leader->run, &ngx_posted_next_events);
    }
}


ngx_int_t
ngx_http_loyalty_lead_call(ngx_http_loyalty_lead_t *lead,
    ngx_http_loyalty_fn_e fn, ngx_uint_t nkeys, ngx_str_t *keys,
    ngx_str_t *arg, ngx_http_loyalty_op_handler_pt handler)
{
    ngx_http_loyalty_status_e  status;

    lead->op = ngx_http_loyalty_redis_call(lead->leader->program,
                           NGX_HTTP_LOYALTY_BULK,
                           ngx_http_loyalty_campaign_partition(lead->campaign),
                           fn, nkeys, keys, arg, handler, lead, &status);

    return (lead->op != NULL) ? NGX_AGAIN : NGX_ERROR;
}


ngx_http_loyalty_lead_t *
ngx_http_loyalty_lead(ngx_http_loyalty_campaign_t *campaign)
{
    ngx_http_loyalty_leader_t  *leader;

    leader = campaign->program->draws->leader;

    return (leader != NULL && leader->leading)
           ? &leader->leads[campaign->index] : NULL;
}


ngx_int_t
ngx_http_loyalty_reply_numbers(ngx_http_loyalty_reply_t *reply,
    ngx_uint_t first, ngx_uint_t n, int64_t *number)
{
    off_t       value;
    ngx_uint_t  i;

    if (first + n > reply->n) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {

        value = ngx_atoof(reply->values[first + i].data,
                          reply->values[first + i].len);

        if (value == NGX_ERROR) {
            return NGX_ERROR;
        }

        number[i] = value;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_lead_ready(ngx_http_loyalty_lead_t *lead)
{
    ngx_str_t                   detail;
    ngx_http_loyalty_problem_e  problem;

    return ngx_http_loyalty_campaign_ready(lead->campaign, NULL, &problem,
                                           &detail)
           == NGX_OK ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_loyalty_lead_tick(ngx_http_loyalty_lead_t *lead)
{
    if (lead->campaign->tick == NULL || lead->held) {
        return NGX_OK;
    }

    lead->ticking = 1;
    lead->campaign->tick(lead->campaign, lead->clock);

    return NGX_AGAIN;
}


void
ngx_http_loyalty_tick_done(ngx_http_loyalty_campaign_t *campaign,
    ngx_uint_t again)
{
    ngx_http_loyalty_lead_t  *lead;

    lead = &campaign->program->draws->leader->leads[campaign->index];

    if (!lead->ticking) {
        return;
    }

    lead->ticking = 0;

    if (again) {
        lead->again = 1;
    }

    ngx_http_loyalty_lead_next(lead, NGX_OK);
}


/* what the file "games" tells */

static ngx_int_t
ngx_http_loyalty_lead_state(ngx_http_loyalty_lead_t *lead)
{
    u_char                        name[128], field[128], value[128], buf[512];
    int64_t                       close;
    ngx_str_t                     key, arg;
    const char                   *stage;
    loyalty_mpw_t                 w;
    ngx_http_loyalty_rule_t      *rule;
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = lead->campaign;
    rule = campaign->rule;
    stage = ngx_http_loyalty_lead_stage(lead);

    ngx_http_loyalty_lead_count(lead, stage);

    close = ngx_http_loyalty_lead_close(lead);

    if (stage == lead->told && close == lead->told_close) {
        return NGX_OK;
    }

    lead->told = stage;
    lead->told_close = close;

    key.data = name;
    key.len = ngx_sprintf(name, "{%V}:games", &campaign->program->name)
              - name;

    loyalty_mpw_init(&w, buf, sizeof(buf));
    loyalty_mpw_str(&w, field,
                    ngx_sprintf(field, "%V/%*s", &rule->name,
                                (size_t) 2 * LOYALTY_CID, campaign->hex)
                    - field);
    loyalty_mpw_str(&w, value,
                    ngx_sprintf(value, "%L %V %s %L", campaign->open,
                                &rule->game->name, stage, close)
                    - value);

    arg.data = buf;
    arg.len = w.pos - w.start;

    return ngx_http_loyalty_lead_call(lead, NGX_HTTP_LOYALTY_FN_GAME, 1, &key,
                                      &arg, ngx_http_loyalty_lead_told);
}


static void
ngx_http_loyalty_lead_count(ngx_http_loyalty_lead_t *lead, const char *stage)
{
    uint32_t                      n;
    ngx_uint_t                    i;
    ngx_http_loyalty_version_t   *version;
    ngx_http_loyalty_campaign_t  *campaign;
    ngx_atomic_int_t              value[NGX_HTTP_LOYALTY_DRAW_LED + 1];

    campaign = lead->campaign;

    value[NGX_HTTP_LOYALTY_DRAW_STAGE] = ngx_http_loyalty_stage(stage);
    value[NGX_HTTP_LOYALTY_DRAW_RECORDS] = lead->records;
    value[NGX_HTTP_LOYALTY_DRAW_HEADED] = lead->headed / 1000;
    value[NGX_HTTP_LOYALTY_DRAW_UNREVEALED] =
                                lead->over - ngx_max(lead->revealed, 0);
    value[NGX_HTTP_LOYALTY_DRAW_WANTED] = lead->nwanted;
    value[NGX_HTTP_LOYALTY_DRAW_HELD] = lead->held;
    value[NGX_HTTP_LOYALTY_DRAW_UNSTAMPED] = 0;
    value[NGX_HTTP_LOYALTY_DRAW_LED] = ngx_time();

    for (n = 1; ; n++) {

        version = ngx_http_loyalty_campaign_version_n(campaign, n);
        if (version == NULL) {
            break;
        }

        if (version->stamped == 0) {
            value[NGX_HTTP_LOYALTY_DRAW_UNSTAMPED]++;
        }
    }

    for (i = 0; i <= NGX_HTTP_LOYALTY_DRAW_LED; i++) {
        ngx_http_loyalty_stat_draw(campaign->program, campaign->index,
                                   campaign->cid, i, value[i]);
    }
}


static const char *
ngx_http_loyalty_lead_stage(ngx_http_loyalty_lead_t *lead)
{
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = lead->campaign;

    if (campaign->stage != NULL) {
        return campaign->stage;
    }

    if (lead->held) {
        return "paused";
    }

    if (lead->clock < campaign->open) {
        return "planned";
    }

    if (lead->clock >= ngx_http_loyalty_lead_close(lead)) {
        return (campaign->kind == LOYALTY_INSTANT_WIN) ? "over" : "closing";
    }

    return lead->paused ? "paused" : "open";
}


/* by the version that governs last */

static int64_t
ngx_http_loyalty_lead_close(ngx_http_loyalty_lead_t *lead)
{
    loyalty_epochs_t              clock;
    ngx_http_loyalty_version_t   *last;
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = lead->campaign;

    last = (campaign->kind == LOYALTY_INSTANT_WIN)
           ? ngx_http_loyalty_last(campaign->run, &clock)
           : ngx_http_loyalty_campaign_version(campaign);

    return (last != NULL) ? (int64_t) last->manifest.close : campaign->close;
}


static void
ngx_http_loyalty_lead_told(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_lead_t *lead = data;

    lead->op = NULL;

    if (status != NGX_HTTP_LOYALTY_REPLY) {
        lead->told = NULL;
    }

    ngx_http_loyalty_lead_next(lead, NGX_OK);
}
