/*
 * loyalty_metrics: the counters of all programs in the text format that
 * Prometheus reads, version 0.0.4.
 *
 * A family of samples is one or several rows of a table, so that its HELP
 * and TYPE are written once, with all its samples behind them.  No label
 * needs escaping: programs have names of letters, digits, "_" and "-", and
 * all other labels are words from this file and the table of problems.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_observe.h"

#include "ngx_http_loyalty_http.h"
#include "ngx_http_loyalty_beacon.h"
#include "ngx_http_loyalty_metrics.h"


typedef struct {
    const char               *name;
    const char               *type;
    const char               *help;
    const char               *label;              /* NULL: none */
    const char               *value;
    ngx_http_loyalty_stat_e   stat;
} ngx_http_loyalty_metric_t;


static void ngx_http_loyalty_metrics_stats(loyalty_out_t *out,
    ngx_array_t *programs);
static void ngx_http_loyalty_metrics_rings(loyalty_out_t *out,
    ngx_array_t *programs);
static void ngx_http_loyalty_metrics_requests(loyalty_out_t *out,
    ngx_array_t *programs);
static void ngx_http_loyalty_metrics_pools(loyalty_out_t *out,
    ngx_array_t *programs);
static void ngx_http_loyalty_metrics_latencies(loyalty_out_t *out,
    ngx_array_t *programs);
static void ngx_http_loyalty_metrics_latency(loyalty_out_t *out,
    ngx_http_loyalty_program_t *program, ngx_uint_t fn);
static void ngx_http_loyalty_metrics_beacons(loyalty_out_t *out,
    ngx_array_t *programs);


/* rows of one name are neighbours */

static const ngx_http_loyalty_metric_t  ngx_http_loyalty_metrics_table[] = {

    { "events_total", "counter",
      "New events that were decided.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_EVENTS },

    { "duplicates_total", "counter",
      "Events and reversals that were known already.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_DUPLICATES },

    { "reversals_total", "counter",
      "New reversals that were decided.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_REVERSALS },

    { "rules_matched_total", "counter",
      "Rules that events matched.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_RULES_MATCHED },

    { "redis_connections", "gauge",
      "Connections to Redis by state.", "state", "connected",
      NGX_HTTP_LOYALTY_STAT_CONNECTED },

    { "redis_connections", "gauge",
      NULL, "state", "connecting",
      NGX_HTTP_LOYALTY_STAT_CONNECTING },

    { "redis_inflight_operations", "gauge",
      "Operations that wait for a reply of Redis.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_INFLIGHT },

    { "redis_queued_operations", "gauge",
      "Operations that are not written yet.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_QUEUED },

    { "redis_queued_bytes", "gauge",
      "Bytes that are not written yet.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_QUEUED_BYTES },

    { "redis_connects_total", "counter",
      "Connections to Redis that became ready.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_CONNECTS },

    { "redis_reconnects_total", "counter",
      "Connections that took the place of a lost one.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_RECONNECTS },

    { "redis_late_replies_total", "counter",
      "Replies that nobody waited for any more.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_LATE },

    { "redis_function_loads_total", "counter",
      "Times the function library was sent to Redis.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_LOADS },

    { "redis_errors_total", "counter",
      "Failures of connections and operations by class.", "class", "connect",
      NGX_HTTP_LOYALTY_STAT_ERR_CONNECT },

    { "redis_errors_total", "counter", NULL, "class", "timeout",
      NGX_HTTP_LOYALTY_STAT_ERR_TIMEOUT },

    { "redis_errors_total", "counter", NULL, "class", "protocol",
      NGX_HTTP_LOYALTY_STAT_ERR_PROTOCOL },

    { "redis_errors_total", "counter", NULL, "class", "closed",
      NGX_HTTP_LOYALTY_STAT_ERR_CLOSED },

    { "redis_errors_total", "counter", NULL, "class", "readonly",
      NGX_HTTP_LOYALTY_STAT_ERR_READONLY },

    { "redis_errors_total", "counter", NULL, "class", "nofunction",
      NGX_HTTP_LOYALTY_STAT_ERR_NOFUNCTION },

    { "redis_errors_total", "counter", NULL, "class", "script",
      NGX_HTTP_LOYALTY_STAT_ERR_SCRIPT },

    { "redis_drops_total", "counter",
      "Operations refused before they were sent, by reason.",
      "reason", "inflight",
      NGX_HTTP_LOYALTY_STAT_DROP_INFLIGHT },

    { "redis_drops_total", "counter", NULL, "reason", "bytes",
      NGX_HTTP_LOYALTY_STAT_DROP_BYTES },

    { "redis_drops_total", "counter", NULL, "reason", "down",
      NGX_HTTP_LOYALTY_STAT_DROP_DOWN },

    { "lookups_total", "counter",
      "Lookups of members that loyalty_lookup began.", "status", "ok",
      NGX_HTTP_LOYALTY_STAT_LOOKUP_OK },

    { "lookups_total", "counter", NULL, "status", "hit",
      NGX_HTTP_LOYALTY_STAT_LOOKUP_HIT },

    { "lookups_total", "counter", NULL, "status", "timeout",
      NGX_HTTP_LOYALTY_STAT_LOOKUP_TIMEOUT },

    { "lookups_total", "counter", NULL, "status", "unavailable",
      NGX_HTTP_LOYALTY_STAT_LOOKUP_UNAVAILABLE },

    { "lookups_total", "counter", NULL, "status", "failed",
      NGX_HTTP_LOYALTY_STAT_LOOKUP_FAILED },

    { "lookup_cache_misses_total", "counter",
      "Lookups that their cache knew nothing for.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_CACHE_MISSES },

    { "lookup_cache_evictions_total", "counter",
      "Members that left a cache to make room for others.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_CACHE_EVICTIONS },

    { "observed_total", "counter",
      "Events that loyalty_observe took into the ring.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_OBSERVED },

    { "observed_credited_total", "counter",
      "Observed events that were new and decided.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_OBS_CREDITED },

    { "observed_duplicates_total", "counter",
      "Observed events that were known already.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_OBS_DUPLICATES },

    { "observed_refused_total", "counter",
      "Observed events that could not be credited, by reason.",
      "reason", "no_member",
      NGX_HTTP_LOYALTY_STAT_OBS_NO_MEMBER },

    { "observed_refused_total", "counter", NULL, "reason", "no_id",
      NGX_HTTP_LOYALTY_STAT_OBS_NO_ID },

    { "observed_refused_total", "counter", NULL, "reason", "invalid_member",
      NGX_HTTP_LOYALTY_STAT_OBS_MEMBER },

    { "observed_refused_total", "counter", NULL, "reason", "invalid_id",
      NGX_HTTP_LOYALTY_STAT_OBS_ID },

    { "observed_refused_total", "counter", NULL, "reason", "invalid_amount",
      NGX_HTTP_LOYALTY_STAT_OBS_AMOUNT },

    { "observed_refused_total", "counter", NULL, "reason", "invalid_quantity",
      NGX_HTTP_LOYALTY_STAT_OBS_QUANTITY },

    { "observed_refused_total", "counter", NULL, "reason", "invalid_text",
      NGX_HTTP_LOYALTY_STAT_OBS_TEXT },

    { "observed_refused_total", "counter", NULL, "reason", "too_large",
      NGX_HTTP_LOYALTY_STAT_OBS_TOO_LARGE },

    { "observed_refused_total", "counter", NULL, "reason", "too_old",
      NGX_HTTP_LOYALTY_STAT_OBS_TOO_OLD },

    { "observed_refused_total", "counter", NULL, "reason", "event_conflict",
      NGX_HTTP_LOYALTY_STAT_OBS_CONFLICT },

    { "observed_refused_total", "counter", NULL, "reason", "limit_reached",
      NGX_HTTP_LOYALTY_STAT_OBS_LIMIT },

    { "observed_refused_total", "counter", NULL, "reason", "failed",
      NGX_HTTP_LOYALTY_STAT_OBS_FAILED },

    { "observed_dropped_total", "counter",
      "Observed events that were lost, by reason.", "reason", "damaged",
      NGX_HTTP_LOYALTY_STAT_OBS_DAMAGED },

    { "observed_dropped_total", "counter", NULL, "reason", "ring_full",
      NGX_HTTP_LOYALTY_STAT_OBS_RING_FULL },

    { "observed_dropped_total", "counter", NULL, "reason", "spool_full",
      NGX_HTTP_LOYALTY_STAT_OBS_SPOOL_FULL },

    { "spooled_total", "counter",
      "Observed events that went from the ring to the spool.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_SPOOLED },

    { "spool_replayed_total", "counter",
      "Observed events of the spool that were sent and decided.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_REPLAYED },

    { "spool_errors_total", "counter",
      "Failures to write or to read a file of the spool.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_SPOOL_ERRORS },

    { "awards_refused_total", "counter",
      "Awards of tickets that brought none, by reason.",
      "reason", "rules_changed",
      NGX_HTTP_LOYALTY_STAT_AWARD_CHANGED },

    { "awards_refused_total", "counter", NULL, "reason", "stale_configuration",
      NGX_HTTP_LOYALTY_STAT_AWARD_STALE },

    { "awards_refused_total", "counter", NULL, "reason", "unavailable",
      NGX_HTTP_LOYALTY_STAT_AWARD_UNAVAILABLE },

    { "awards_refused_total", "counter", NULL, "reason", "not_open",
      NGX_HTTP_LOYALTY_STAT_AWARD_NOT_OPEN },

    { "awards_refused_total", "counter", NULL, "reason", "closed",
      NGX_HTTP_LOYALTY_STAT_AWARD_CLOSED },

    { "awards_refused_total", "counter", NULL, "reason", "paused",
      NGX_HTTP_LOYALTY_STAT_AWARD_PAUSED },

    { "awards_refused_total", "counter", NULL, "reason", "not_eligible",
      NGX_HTTP_LOYALTY_STAT_AWARD_NOT_ELIGIBLE },

    { "awards_refused_total", "counter", NULL, "reason", "limit_reached",
      NGX_HTTP_LOYALTY_STAT_AWARD_LIMIT },

    { "beacon_fetches_total", "counter",
      "Rounds that relays of the beacon were asked for.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_BEACON_FETCHES },

    { "beacon_failures_total", "counter",
      "Fetches that brought no round that can be used.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_BEACON_FAILURES },

    { "beacon_disagreements_total", "counter",
      "Rounds whose signature relays, or the admin, disagree on.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_BEACON_DISAGREEMENTS },

    { "timestamp_fetches_total", "counter",
      "Timestamps that the authority was asked for.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_STAMP_FETCHES },

    { "timestamp_failures_total", "counter",
      "Those that brought no token that can be used.", NULL, NULL,
      NGX_HTTP_LOYALTY_STAT_STAMP_FAILURES },

    { NULL, NULL, NULL, NULL, NULL, NGX_HTTP_LOYALTY_STATS }
};


/* in the order of ngx_http_loyalty_api_e and ngx_http_loyalty_fn_e */

static const char  *ngx_http_loyalty_metrics_apis[] = {
    "event", "member", "admin"
};

static const char  *ngx_http_loyalty_metrics_fns[] = {
    "event", "reverse", "history", "get", "other", "draw", "enter", "redeem",
    "play"
};


ngx_int_t
ngx_http_loyalty_metrics(ngx_http_request_t *r)
{
    ngx_int_t                      rc;
    loyalty_out_t                  out;
    ngx_http_loyalty_main_conf_t  *lmcf;

    static ngx_str_t  allow = ngx_string("GET, HEAD");
    static ngx_str_t  type = ngx_string("text/plain; version=0.0.4; "
                                        "charset=utf-8");

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_loyalty_problem_send(r, NGX_HTTP_LOYALTY_P_METHOD,
                                             NULL, NULL, &allow);
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    lmcf = ngx_http_get_module_main_conf(r, ngx_http_loyalty_module);

    ngx_http_loyalty_out_pool(&out, r->pool,
                              4096 + lmcf->programs.nelts * 16384);

    ngx_http_loyalty_metrics_stats(&out, &lmcf->programs);
    ngx_http_loyalty_metrics_rings(&out, &lmcf->programs);
    ngx_http_loyalty_metrics_requests(&out, &lmcf->programs);
    ngx_http_loyalty_metrics_pools(&out, &lmcf->programs);
    ngx_http_loyalty_metrics_latencies(&out, &lmcf->programs);
    ngx_http_loyalty_metrics_beacons(&out, &lmcf->programs);
    ngx_http_loyalty_metrics_draws(&out, &lmcf->programs);

    if (out.failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_loyalty_send(r, NGX_HTTP_OK, &type, &out);
}


static void
ngx_http_loyalty_metrics_stats(loyalty_out_t *out, ngx_array_t *programs)
{
    ngx_uint_t                         i;
    ngx_http_loyalty_program_t       **program;
    const ngx_http_loyalty_metric_t   *first, *metric, *next;

    program = programs->elts;

    for (first = ngx_http_loyalty_metrics_table; first->name; first = next) {

        ngx_http_loyalty_metrics_head(out, first->name, first->type,
                                      first->help);
        next = first;

        for (i = 0; i < programs->nelts; i++) {

            for (metric = first;
                 metric->name
                 && ngx_strcmp(metric->name, first->name) == 0;
                 metric++)
            {
                ngx_http_loyalty_metrics_sample(out, metric->name, "",
                                                program[i]);

                if (metric->label) {
                    ngx_http_loyalty_metrics_label(out, metric->label,
                                              (const u_char *) metric->value,
                                              ngx_strlen(metric->value));
                }

                ngx_http_loyalty_metrics_value(out,
                    ngx_http_loyalty_stat_read(program[i], metric->stat));
            }
        }

        while (next->name && ngx_strcmp(next->name, first->name) == 0) {
            next++;
        }
    }
}


/* slots of the rings; none where nothing is observed */

static void
ngx_http_loyalty_metrics_rings(loyalty_out_t *out, ngx_array_t *programs)
{
    ngx_uint_t                     i;
    ngx_atomic_int_t               slots, used;
    ngx_http_loyalty_program_t   **program;

    program = programs->elts;

    ngx_http_loyalty_metrics_head(out, "ring_slots", "gauge",
                                  "Observed events that the ring can hold.");

    for (i = 0; i < programs->nelts; i++) {
        ngx_http_loyalty_rings_count(program[i], &slots, &used);
        ngx_http_loyalty_metrics_sample(out, "ring_slots", "", program[i]);
        ngx_http_loyalty_metrics_value(out, slots);
    }

    ngx_http_loyalty_metrics_head(out, "spool_bytes", "gauge",
                                  "Bytes of observed events in the spool.");

    for (i = 0; i < programs->nelts; i++) {
        ngx_http_loyalty_metrics_sample(out, "spool_bytes", "", program[i]);
        ngx_http_loyalty_metrics_value(out,
                                  ngx_http_loyalty_spool_bytes(program[i]));
    }

    ngx_http_loyalty_metrics_head(out, "ring_used_slots", "gauge",
                                  "Observed events that the ring holds.");

    for (i = 0; i < programs->nelts; i++) {
        ngx_http_loyalty_rings_count(program[i], &slots, &used);
        ngx_http_loyalty_metrics_sample(out, "ring_used_slots", "",
                                        program[i]);
        ngx_http_loyalty_metrics_value(out, used);
    }
}


static void
ngx_http_loyalty_metrics_requests(loyalty_out_t *out, ngx_array_t *programs)
{
    u_char                         status[3];
    ngx_str_t                     *code;
    ngx_uint_t                     i, api, problem, class;
    ngx_http_loyalty_program_t   **program;

    static ngx_str_t  ok = ngx_string("ok");

    ngx_http_loyalty_metrics_head(out, "requests_total", "counter",
        "Finished requests, and lines of batches, by API, class of status "
        "and code of the problem.");

    program = programs->elts;

    for (i = 0; i < programs->nelts; i++) {
        for (api = 0; api < NGX_HTTP_LOYALTY_APIS; api++) {
            for (problem = 0; problem < NGX_HTTP_LOYALTY_PROBLEMS; problem++) {

                if (problem == NGX_HTTP_LOYALTY_P_NONE) {
                    code = &ok;
                    class = 2;

                } else {
                    code = &ngx_http_loyalty_problems[problem].code;
                    class = ngx_http_loyalty_problems[problem].status / 100;
                }

                ngx_sprintf(status, "%uixx", class);

                ngx_http_loyalty_metrics_sample(out, "requests_total", "",
                                                program[i]);
                ngx_http_loyalty_metrics_label(out, "api",
                    (const u_char *) ngx_http_loyalty_metrics_apis[api],
                    ngx_strlen(ngx_http_loyalty_metrics_apis[api]));
                ngx_http_loyalty_metrics_label(out, "status", status, 3);
                ngx_http_loyalty_metrics_label(out, "code", code->data,
                                               code->len);
                ngx_http_loyalty_metrics_value(out,
                    ngx_http_loyalty_stat_requests(program[i], api, problem));
            }
        }
    }
}


static void
ngx_http_loyalty_metrics_pools(loyalty_out_t *out, ngx_array_t *programs)
{
    ngx_uint_t                     i, n;
    ngx_atomic_int_t               left;
    ngx_http_loyalty_pool_t      **pool;
    ngx_http_loyalty_program_t   **program;

    ngx_http_loyalty_metrics_head(out, "codes_unused", "gauge",
                                  "Codes left in each pool.");

    program = programs->elts;

    for (i = 0; i < programs->nelts; i++) {
        pool = program[i]->pools.elts;

        for (n = 0; n < program[i]->pools.nelts; n++) {
            left = ngx_http_loyalty_stat_pool_left(program[i], n,
                                                   &pool[n]->name);
            if (left < 0) {
                continue;
            }

            ngx_http_loyalty_metrics_sample(out, "codes_unused", "",
                                            program[i]);
            ngx_http_loyalty_metrics_label(out, "pool", pool[n]->name.data,
                                           pool[n]->name.len);
            ngx_http_loyalty_metrics_value(out, left);
        }
    }
}


static void
ngx_http_loyalty_metrics_latencies(loyalty_out_t *out, ngx_array_t *programs)
{
    ngx_uint_t                     i, fn;
    ngx_http_loyalty_program_t   **program;

    ngx_http_loyalty_metrics_head(out, "redis_operation_duration_seconds",
        "histogram", "Time from queueing an operation to its reply.");

    program = programs->elts;

    for (i = 0; i < programs->nelts; i++) {
        for (fn = 0; fn < NGX_HTTP_LOYALTY_FNS; fn++) {
            ngx_http_loyalty_metrics_latency(out, program[i], fn);
        }
    }
}


static void
ngx_http_loyalty_metrics_latency(loyalty_out_t *out,
    ngx_http_loyalty_program_t *program, ngx_uint_t fn)
{
    u_char              seconds[NGX_ATOMIC_T_LEN + sizeof(".000000")], *p;
    ngx_str_t           le;
    ngx_uint_t          i;
    const char         *name;
    ngx_atomic_uint_t   buckets[NGX_HTTP_LOYALTY_BUCKETS + 1], count, sum;

    static ngx_str_t  inf = ngx_string("+Inf");

    name = ngx_http_loyalty_metrics_fns[fn];

    ngx_http_loyalty_stat_histogram(program, fn, buckets, &sum);

    count = 0;

    for (i = 0; i <= NGX_HTTP_LOYALTY_BUCKETS; i++) {
        count += buckets[i];

        le = (i == NGX_HTTP_LOYALTY_BUCKETS)
             ? inf : ngx_http_loyalty_stat_bounds[i].le;

        ngx_http_loyalty_metrics_sample(out,
            "redis_operation_duration_seconds", "_bucket", program);
        ngx_http_loyalty_metrics_label(out, "function", (const u_char *) name,
                                       ngx_strlen(name));
        ngx_http_loyalty_metrics_label(out, "le", le.data, le.len);
        ngx_http_loyalty_metrics_value(out, count);
    }

    ngx_http_loyalty_metrics_sample(out, "redis_operation_duration_seconds",
                                    "_sum", program);
    ngx_http_loyalty_metrics_label(out, "function", (const u_char *) name,
                                   ngx_strlen(name));

    p = ngx_sprintf(seconds, "%uA.%06uA", sum / 1000000, sum % 1000000);

    loyalty_out_lit(out, "} ");
    loyalty_out_raw(out, seconds, p - seconds);
    loyalty_out_lit(out, "\n");

    ngx_http_loyalty_metrics_sample(out, "redis_operation_duration_seconds",
                                    "_count", program);
    ngx_http_loyalty_metrics_label(out, "function", (const u_char *) name,
                                   ngx_strlen(name));
    ngx_http_loyalty_metrics_value(out, count);
}


/* what is held now, of programs that have a beacon */

static void
ngx_http_loyalty_metrics_beacons(loyalty_out_t *out, ngx_array_t *programs)
{
    ngx_uint_t                          i, n;
    ngx_atomic_int_t                    values[4];
    ngx_http_loyalty_program_t        **program;
    ngx_http_loyalty_beacon_status_t    status;

    static const char  *names[][2] = {
        { "beacon_round", "The newest round that is held, 0 for none." },
        { "beacon_age_seconds", "Time since that round came out." },
        { "beacon_wanted_rounds", "Rounds that are wanted and not held." },
        { "beacon_failing_relays", "Relays whose last answer was none." }
    };

    program = programs->elts;

    for (n = 0; n < 4; n++) {
        ngx_http_loyalty_metrics_head(out, names[n][0], "gauge", names[n][1]);

        for (i = 0; i < programs->nelts; i++) {

            if (ngx_http_loyalty_beacon_status(program[i], &status) != NGX_OK)
            {
                continue;
            }

            values[0] = status.newest;
            values[1] = status.age / 1000;
            values[2] = status.wanted;
            values[3] = status.failing;

            ngx_http_loyalty_metrics_sample(out, names[n][0], "", program[i]);
            ngx_http_loyalty_metrics_value(out, values[n]);
        }
    }
}


void
ngx_http_loyalty_metrics_head(loyalty_out_t *out, const char *name,
    const char *type, const char *help)
{
    loyalty_out_lit(out, "# HELP nginx_loyalty_");
    loyalty_out_raw(out, name, ngx_strlen(name));
    loyalty_out_lit(out, " ");
    loyalty_out_raw(out, help, ngx_strlen(help));
    loyalty_out_lit(out, "\n# TYPE nginx_loyalty_");
    loyalty_out_raw(out, name, ngx_strlen(name));
    loyalty_out_lit(out, " ");
    loyalty_out_raw(out, type, ngx_strlen(type));
    loyalty_out_lit(out, "\n");
}


/* a sample up to its first label, which is the program */

void
ngx_http_loyalty_metrics_sample(loyalty_out_t *out, const char *name,
    const char *suffix, ngx_http_loyalty_program_t *program)
{
    loyalty_out_lit(out, "nginx_loyalty_");
    loyalty_out_raw(out, name, ngx_strlen(name));
    loyalty_out_raw(out, suffix, ngx_strlen(suffix));
    loyalty_out_lit(out, "{program=\"");
    loyalty_out_raw(out, program->name.data, program->name.len);
    loyalty_out_lit(out, "\"");
}


void
ngx_http_loyalty_metrics_label(loyalty_out_t *out, const char *label,
    const u_char *value, size_t len)
{
    loyalty_out_lit(out, ",");
    loyalty_out_raw(out, label, ngx_strlen(label));
    loyalty_out_lit(out, "=\"");
    loyalty_out_raw(out, value, len);
    loyalty_out_lit(out, "\"");
}


void
ngx_http_loyalty_metrics_value(loyalty_out_t *out, ngx_atomic_int_t value)
{
    loyalty_out_lit(out, "} ");
    loyalty_out_int(out, value);
    loyalty_out_lit(out, "\n");
}
