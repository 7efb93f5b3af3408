/*
 * Counters in shared memory, summed over all workers and kept over a reload.
 * Anyone may count; only loyalty_metrics reads.  Counting is one atomic add
 * and does nothing where no zone is attached yet (nginx -t).
 *
 * Each program has a zone of its own, named after it: one that a reload adds
 * begins at zero, one that it removes is freed by nginx, the others go on.
 */

#ifndef _NGX_HTTP_LOYALTY_STATS_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_STATS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_loyalty_program.h"


typedef enum {
    NGX_HTTP_LOYALTY_STAT_EVENTS = 0,     /* new, decided */
    NGX_HTTP_LOYALTY_STAT_DUPLICATES,
    NGX_HTTP_LOYALTY_STAT_REVERSALS,
    NGX_HTTP_LOYALTY_STAT_RULES_MATCHED,

    /* redis */
    NGX_HTTP_LOYALTY_STAT_CONNECTED,      /* gauge */
    NGX_HTTP_LOYALTY_STAT_CONNECTING,     /* gauge */
    NGX_HTTP_LOYALTY_STAT_INFLIGHT,       /* gauge */
    NGX_HTTP_LOYALTY_STAT_QUEUED,         /* gauge: ops not yet written */
    NGX_HTTP_LOYALTY_STAT_QUEUED_BYTES,   /* gauge */
    NGX_HTTP_LOYALTY_STAT_CONNECTS,       /* connections that became ready */
    NGX_HTTP_LOYALTY_STAT_RECONNECTS,
    NGX_HTTP_LOYALTY_STAT_LATE,           /* replies nobody waited for */
    NGX_HTTP_LOYALTY_STAT_LOADS,          /* FUNCTION LOADs sent */
    NGX_HTTP_LOYALTY_STAT_ERR_CONNECT,
    NGX_HTTP_LOYALTY_STAT_ERR_TIMEOUT,
    NGX_HTTP_LOYALTY_STAT_ERR_PROTOCOL,
    NGX_HTTP_LOYALTY_STAT_ERR_CLOSED,     /* in mid-pipeline */
    NGX_HTTP_LOYALTY_STAT_ERR_READONLY,
    NGX_HTTP_LOYALTY_STAT_ERR_NOFUNCTION,
    NGX_HTTP_LOYALTY_STAT_ERR_SCRIPT,     /* any other error reply */
    NGX_HTTP_LOYALTY_STAT_DROP_INFLIGHT,  /* refused: operation cap */
    NGX_HTTP_LOYALTY_STAT_DROP_BYTES,     /* refused: byte cap */
    NGX_HTTP_LOYALTY_STAT_DROP_DOWN,      /* refused: Redis away */

    /* lookups by what came of them */
    NGX_HTTP_LOYALTY_STAT_LOOKUP_OK,
    NGX_HTTP_LOYALTY_STAT_LOOKUP_HIT,
    NGX_HTTP_LOYALTY_STAT_LOOKUP_TIMEOUT,
    NGX_HTTP_LOYALTY_STAT_LOOKUP_UNAVAILABLE,
    NGX_HTTP_LOYALTY_STAT_LOOKUP_FAILED,
    NGX_HTTP_LOYALTY_STAT_CACHE_MISSES,
    NGX_HTTP_LOYALTY_STAT_CACHE_EVICTIONS,

    /* observing; refusals in the order of ngx_http_loyalty_refusal_e */
    NGX_HTTP_LOYALTY_STAT_OBSERVED,       /* taken into the ring */
    NGX_HTTP_LOYALTY_STAT_OBS_CREDITED,
    NGX_HTTP_LOYALTY_STAT_OBS_DUPLICATES,
    NGX_HTTP_LOYALTY_STAT_OBS_NO_MEMBER,
    NGX_HTTP_LOYALTY_STAT_OBS_NO_ID,
    NGX_HTTP_LOYALTY_STAT_OBS_MEMBER,
    NGX_HTTP_LOYALTY_STAT_OBS_ID,
    NGX_HTTP_LOYALTY_STAT_OBS_AMOUNT,
    NGX_HTTP_LOYALTY_STAT_OBS_QUANTITY,
    NGX_HTTP_LOYALTY_STAT_OBS_TEXT,
    NGX_HTTP_LOYALTY_STAT_OBS_TOO_LARGE,
    NGX_HTTP_LOYALTY_STAT_OBS_TOO_OLD,
    NGX_HTTP_LOYALTY_STAT_OBS_CONFLICT,
    NGX_HTTP_LOYALTY_STAT_OBS_LIMIT,
    NGX_HTTP_LOYALTY_STAT_OBS_FAILED,
    NGX_HTTP_LOYALTY_STAT_OBS_DAMAGED,
    NGX_HTTP_LOYALTY_STAT_OBS_RING_FULL,
    NGX_HTTP_LOYALTY_STAT_OBS_SPOOL_FULL,
    NGX_HTTP_LOYALTY_STAT_SPOOLED,
    NGX_HTTP_LOYALTY_STAT_REPLAYED,       /* and decided */
    NGX_HTTP_LOYALTY_STAT_SPOOL_ERRORS,

    /* awards of tickets that brought none, by reason: awarded.c */
    NGX_HTTP_LOYALTY_STAT_AWARD_CHANGED,
    NGX_HTTP_LOYALTY_STAT_AWARD_STALE,
    NGX_HTTP_LOYALTY_STAT_AWARD_UNAVAILABLE,
    NGX_HTTP_LOYALTY_STAT_AWARD_NOT_OPEN,
    NGX_HTTP_LOYALTY_STAT_AWARD_CLOSED,
    NGX_HTTP_LOYALTY_STAT_AWARD_PAUSED,
    NGX_HTTP_LOYALTY_STAT_AWARD_NOT_ELIGIBLE,
    NGX_HTTP_LOYALTY_STAT_AWARD_LIMIT,

    NGX_HTTP_LOYALTY_STAT_BEACON_FETCHES, /* of rounds, from relays */
    NGX_HTTP_LOYALTY_STAT_BEACON_FAILURES,
    NGX_HTTP_LOYALTY_STAT_BEACON_DISAGREEMENTS,
    NGX_HTTP_LOYALTY_STAT_STAMP_FETCHES,  /* timestamps asked for */
    NGX_HTTP_LOYALTY_STAT_STAMP_FAILURES,

    NGX_HTTP_LOYALTY_STATS
} ngx_http_loyalty_stat_e;


/* adds v (negative for gauges that fall); safe at any time in a worker */
void ngx_http_loyalty_stat(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_stat_e stat, ngx_atomic_int_t v);

/*
 * Whether a line about what a counter counts is due, for all workers once in so
 * many seconds; then *silent is how often it was not since the last one.
 */
ngx_uint_t ngx_http_loyalty_stat_due(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_stat_e stat, ngx_uint_t every,
    ngx_atomic_uint_t *silent);

/* time from queueing to reply of one operation */
void ngx_http_loyalty_stat_latency(ngx_http_loyalty_program_t *program,
    ngx_uint_t fn, ngx_uint_t usec);

/* a finished API request or batch line: api "event", "member"; the HTTP
   status and the problem's code ("" for none) */
typedef enum {
    NGX_HTTP_LOYALTY_API_EVENT = 0,
    NGX_HTTP_LOYALTY_API_MEMBER,
    NGX_HTTP_LOYALTY_API_ADMIN,
    NGX_HTTP_LOYALTY_APIS
} ngx_http_loyalty_api_e;

void ngx_http_loyalty_stat_request(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_api_e api, ngx_uint_t problem);

/* codes left in the program's i-th pool */
void ngx_http_loyalty_stat_pool(ngx_http_loyalty_program_t *program,
    ngx_uint_t i, ngx_str_t *name, ngx_atomic_int_t left);

/*
 * What the worker that leads knows of a draw, and whether this nginx has
 * stopped it; cid tells one campaign from another that had its place before
 * a reload.
 */

#define NGX_HTTP_LOYALTY_DRAW_STATS   64          /* campaigns */

typedef enum {
    NGX_HTTP_LOYALTY_DRAW_STAGE = 0,      /* its place in a list */
    NGX_HTTP_LOYALTY_DRAW_RECORDS,
    NGX_HTTP_LOYALTY_DRAW_HEADED,         /* s */
    NGX_HTTP_LOYALTY_DRAW_UNREVEALED,     /* epochs */
    NGX_HTTP_LOYALTY_DRAW_WANTED,         /* rounds */
    NGX_HTTP_LOYALTY_DRAW_UNSTAMPED,      /* notes */
    NGX_HTTP_LOYALTY_DRAW_HELD,           /* 1 */
    NGX_HTTP_LOYALTY_DRAW_LED,            /* when all this was told, s */
    NGX_HTTP_LOYALTY_DRAW_STOPPED,        /* 1 */
    NGX_HTTP_LOYALTY_DRAW_SEEN,           /* records that were answered */
    NGX_HTTP_LOYALTY_DRAW_COVERED,        /* entries, by the close */
    NGX_HTTP_LOYALTY_DRAW_ROUND,          /* that is waited for; 0: what is
                                             is a timestamp */
    NGX_HTTP_LOYALTY_DRAW_VALUES
} ngx_http_loyalty_draw_stat_e;

void ngx_http_loyalty_stat_draw(ngx_http_loyalty_program_t *program,
    ngx_uint_t i, const u_char *cid, ngx_http_loyalty_draw_stat_e which,
    ngx_atomic_int_t value);

/* the zones of these programs (an array of pointers); from the module's
   init_main_conf, once */
ngx_int_t ngx_http_loyalty_stats_zone(ngx_conf_t *cf, ngx_array_t *programs);


/* ---- for metrics.c ---- */

/*
 * A gauge is kept for each process apart, in the slot that nginx gives the
 * process, so that what a killed worker had open does not count for ever: a
 * slot counts only while the process that wrote it lives.
 */

#define NGX_HTTP_LOYALTY_GAUGE_FIRST  NGX_HTTP_LOYALTY_STAT_CONNECTED
#define NGX_HTTP_LOYALTY_GAUGE_LAST   NGX_HTTP_LOYALTY_STAT_QUEUED_BYTES
#define NGX_HTTP_LOYALTY_GAUGES                                               \
    (NGX_HTTP_LOYALTY_GAUGE_LAST - NGX_HTTP_LOYALTY_GAUGE_FIRST + 1)

#define NGX_HTTP_LOYALTY_BUCKETS      14

/* upper bounds, ascending; one more bucket has no bound */

typedef struct {
    ngx_uint_t                    usec;
    ngx_str_t                     le;             /* in seconds */
} ngx_http_loyalty_bound_t;

extern const ngx_http_loyalty_bound_t  ngx_http_loyalty_stat_bounds[];

/* the value of a counter, or of a gauge over all living processes */
ngx_atomic_int_t ngx_http_loyalty_stat_read(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_stat_e stat);

ngx_atomic_uint_t ngx_http_loyalty_stat_requests(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_api_e api,
    ngx_uint_t problem);

/* codes left, -1: not known yet */
ngx_atomic_int_t ngx_http_loyalty_stat_pool_left(
    ngx_http_loyalty_program_t *program, ngx_uint_t i, ngx_str_t *name);

/* 0 where nothing was told */
ngx_atomic_int_t ngx_http_loyalty_stat_draw_read(
    ngx_http_loyalty_program_t *program, ngx_uint_t i, const u_char *cid,
    ngx_http_loyalty_draw_stat_e which);

/*
 * The latency of one function: buckets has NGX_HTTP_LOYALTY_BUCKETS + 1
 * places and gets the number of operations in each, not cumulative; sum is
 * in microseconds.
 */
void ngx_http_loyalty_stat_histogram(ngx_http_loyalty_program_t *program,
    ngx_uint_t fn, ngx_atomic_uint_t *buckets, ngx_atomic_uint_t *sum);


#endif /* _NGX_HTTP_LOYALTY_STATS_H_INCLUDED_ */
