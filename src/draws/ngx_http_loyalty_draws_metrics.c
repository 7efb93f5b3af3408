/*
 * Metrics of draws: what the leader knows is shown by its nginx alone, so that
 * each campaign has one series; whether a campaign is stopped is a matter of
 * each nginx.
 */

#include "ngx_http_loyalty_draws_private.h"
#include "ngx_http_loyalty_metrics.h"


#define NGX_HTTP_LOYALTY_LED  5                   /* s that a word holds */


typedef struct {
    const char                    *name;
    const char                    *help;
    ngx_http_loyalty_draw_stat_e   which;
    ngx_uint_t                     kind;          /* 0: of all */
    const char                    *stage;         /* NULL: in any */
} ngx_http_loyalty_draw_metric_t;


static void ngx_http_loyalty_metrics_draw(loyalty_out_t *out,
    const ngx_http_loyalty_draw_metric_t *metric,
    ngx_http_loyalty_campaign_t *campaign);
static void ngx_http_loyalty_metrics_draw_sample(loyalty_out_t *out,
    const char *name, ngx_http_loyalty_campaign_t *campaign);


/* in the order of docs/proof.md; NULL at the end */

static const char  *ngx_http_loyalty_stages[] = {
    "planned", "open", "paused", "closing", "closed", "waiting", "drawn",
    "over", NULL
};


static const ngx_http_loyalty_draw_metric_t  ngx_http_loyalty_draw_table[] = {

    { "draw_state",
      "1 for the state that the campaign is in.",
      NGX_HTTP_LOYALTY_DRAW_STAGE, 0, NULL },

    { "draw_records",
      "Plays, or entries and voids, in the campaign's log.",
      NGX_HTTP_LOYALTY_DRAW_RECORDS, 0, NULL },

    { "draw_head_age_seconds",
      "Time since the newest head of an instant win was signed.",
      NGX_HTTP_LOYALTY_DRAW_HEADED, LOYALTY_INSTANT_WIN, NULL },

    { "draw_unrevealed_epochs",
      "Epochs that are over and whose secret is not published.",
      NGX_HTTP_LOYALTY_DRAW_UNREVEALED, LOYALTY_INSTANT_WIN, NULL },

    { "draw_wanted_rounds",
      "Beacon rounds that were used and are not published.",
      NGX_HTTP_LOYALTY_DRAW_WANTED, 0, NULL },

    { "draw_missing_timestamps",
      "Manifests that no authority has stamped.",
      NGX_HTTP_LOYALTY_DRAW_UNSTAMPED, 0, NULL },

    { "draw_closing_done",
      "Entries that the close of a sweepstakes has gone through.",
      NGX_HTTP_LOYALTY_DRAW_COVERED, LOYALTY_SWEEPSTAKES, "closing" },

    { "draw_waiting_round",
      "The round that a sweepstakes waits for, 0 for a timestamp.",
      NGX_HTTP_LOYALTY_DRAW_ROUND, LOYALTY_SWEEPSTAKES, "waiting" },

    { "draw_held",
      "1 when what Redis has of it is wrong, and somebody has to look.",
      NGX_HTTP_LOYALTY_DRAW_HELD, 0, NULL },

    { "draw_stopped",
      "1 when this nginx has stopped the campaign: see the log.",
      NGX_HTTP_LOYALTY_DRAW_STOPPED, 0, NULL },

    { NULL, NULL, 0, 0, NULL }
};


ngx_uint_t
ngx_http_loyalty_stage(const char *name)
{
    ngx_uint_t  i;

    for (i = 0; ngx_http_loyalty_stages[i] != NULL; i++) {
        if (ngx_strcmp(ngx_http_loyalty_stages[i], name) == 0) {
            break;
        }
    }

    return i;
}


void
ngx_http_loyalty_metrics_draws(loyalty_out_t *out, ngx_array_t *programs)
{
    ngx_uint_t                             i, n;
    ngx_http_loyalty_program_t           **program;
    ngx_http_loyalty_campaign_t           *campaign;
    const ngx_http_loyalty_draw_metric_t  *metric;

    program = programs->elts;

    for (metric = ngx_http_loyalty_draw_table; metric->name; metric++) {

        ngx_http_loyalty_metrics_head(out, metric->name, "gauge",
                                      metric->help);

        for (i = 0; i < programs->nelts; i++) {

            for (n = 0; ; n++) {

                campaign = ngx_http_loyalty_campaign(program[i], n);
                if (campaign == NULL) {
                    break;
                }

                if (metric->kind == 0 || metric->kind == campaign->kind) {
                    ngx_http_loyalty_metrics_draw(out, metric, campaign);
                }
            }
        }
    }
}


static void
ngx_http_loyalty_metrics_draw(loyalty_out_t *out,
    const ngx_http_loyalty_draw_metric_t *metric,
    ngx_http_loyalty_campaign_t *campaign)
{
    const char        *stage;
    ngx_atomic_int_t   value, led, now;

    value = ngx_http_loyalty_stat_draw_read(campaign->program,
                                            campaign->index, campaign->cid,
                                            metric->which);

    if (metric->which != NGX_HTTP_LOYALTY_DRAW_STOPPED) {

        led = ngx_http_loyalty_stat_draw_read(campaign->program,
                                              campaign->index, campaign->cid,
                                              NGX_HTTP_LOYALTY_DRAW_LED);

        if (ngx_time() - led > NGX_HTTP_LOYALTY_LED) {
            return;
        }
    }

    if (metric->stage != NULL) {

        now = ngx_http_loyalty_stat_draw_read(campaign->program,
                                              campaign->index, campaign->cid,
                                              NGX_HTTP_LOYALTY_DRAW_STAGE);

        if (now != (ngx_atomic_int_t) ngx_http_loyalty_stage(metric->stage)) {
            return;
        }
    }

    switch (metric->which) {

    case NGX_HTTP_LOYALTY_DRAW_STAGE:
        stage = ngx_http_loyalty_stages[value];

        if (stage == NULL) {
            return;
        }

        ngx_http_loyalty_metrics_draw_sample(out, metric->name, campaign);
        ngx_http_loyalty_metrics_label(out, "state", (const u_char *) stage,
                                       ngx_strlen(stage));
        ngx_http_loyalty_metrics_value(out, 1);
        return;

    case NGX_HTTP_LOYALTY_DRAW_HEADED:

        if (value == 0) {
            return;
        }

        value = ngx_max(ngx_time() - value, 0);
        break;

    default:
        break;
    }

    ngx_http_loyalty_metrics_draw_sample(out, metric->name, campaign);
    ngx_http_loyalty_metrics_value(out, value);
}


static void
ngx_http_loyalty_metrics_draw_sample(loyalty_out_t *out, const char *name,
    ngx_http_loyalty_campaign_t *campaign)
{
    ngx_str_t  *game;

    game = &campaign->rule->name;

    ngx_http_loyalty_metrics_sample(out, name, "", campaign->program);
    ngx_http_loyalty_metrics_label(out, "game", game->data, game->len);
}
