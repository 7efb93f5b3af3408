/*
 * Counters in shared memory, summed over all workers and kept over a reload.
 * Anyone may count; only loyalty_metrics reads.  Counting is one atomic add
 * and does nothing where no zone is attached yet (nginx -t).
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

    NGX_HTTP_LOYALTY_STATS
} ngx_http_loyalty_stat_e;


/* adds v (negative for gauges that fall); safe at any time in a worker */
void ngx_http_loyalty_stat(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_stat_e stat, ngx_atomic_int_t v);

/* time from queueing to reply of one operation */
void ngx_http_loyalty_stat_latency(ngx_http_loyalty_program_t *program,
    ngx_uint_t fn, ngx_uint_t usec);

/* a finished API request or batch line: api "event", "member"; the HTTP
   status and the problem's code ("" for none) */
typedef enum {
    NGX_HTTP_LOYALTY_API_EVENT = 0,
    NGX_HTTP_LOYALTY_API_MEMBER,
    NGX_HTTP_LOYALTY_APIS
} ngx_http_loyalty_api_e;

void ngx_http_loyalty_stat_request(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_api_e api, ngx_uint_t problem);

/* the shared zone; from the module's init_main_conf, once */
ngx_int_t ngx_http_loyalty_stats_zone(ngx_conf_t *cf, ngx_array_t *programs);


#endif /* _NGX_HTTP_LOYALTY_STATS_H_INCLUDED_ */
