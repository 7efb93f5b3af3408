/*
 * Whether requests wait for a program's Redis.  A stalled one would cost
 * each request its timeout: after a few in a row nobody waits any more.  Once
 * a second somebody's request is asked for without waiting, and when that is
 * answered in time, requests wait again.
 */

#include "ngx_http_loyalty_lookup.h"


#define NGX_HTTP_LOYALTY_PATIENCE_LATE   3        /* in a row */
#define NGX_HTTP_LOYALTY_PATIENCE_PROBE  1000     /* ms between probes */


static void ngx_http_loyalty_patience_probed(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);


ngx_uint_t
ngx_http_loyalty_patience_waits(ngx_http_loyalty_patience_t *patience)
{
    return patience->late < NGX_HTTP_LOYALTY_PATIENCE_LATE;
}


void
ngx_http_loyalty_patience_answered(ngx_http_loyalty_patience_t *patience)
{
    if (!ngx_http_loyalty_patience_waits(patience)) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "loyalty program \"%V\": Redis answers, lookups wait "
                      "for it again", &patience->program->name);
    }

    patience->late = 0;
}


void
ngx_http_loyalty_patience_late(ngx_http_loyalty_patience_t *patience)
{
    if (++patience->late != NGX_HTTP_LOYALTY_PATIENCE_LATE) {
        return;
    }

    patience->next = ngx_current_msec + NGX_HTTP_LOYALTY_PATIENCE_PROBE;

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "loyalty program \"%V\": Redis was too slow for %d lookups "
                  "in a row, no request waits for it until it answers in time",
                  &patience->program->name, NGX_HTTP_LOYALTY_PATIENCE_LATE);
}


void
ngx_http_loyalty_patience_probe(ngx_http_loyalty_patience_t *patience,
    ngx_msec_t timeout, ngx_uint_t partition, ngx_str_t *key)
{
    ngx_http_loyalty_status_e  status;

    if (patience->probing
        || (ngx_msec_int_t) (ngx_current_msec - patience->next) < 0)
    {
        return;
    }

    patience->next = ngx_current_msec + NGX_HTTP_LOYALTY_PATIENCE_PROBE;
    patience->until = ngx_current_msec + timeout;

    if (ngx_http_loyalty_redis_call(patience->program,
                                    NGX_HTTP_LOYALTY_INTERACTIVE, partition,
                                    NGX_HTTP_LOYALTY_GET, 1, key, NULL,
                                    ngx_http_loyalty_patience_probed,
                                    patience, &status)
        != NULL)
    {
        patience->probing = 1;
    }
}


static void
ngx_http_loyalty_patience_probed(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_patience_t *patience = data;

    patience->probing = 0;

    if (status == NGX_HTTP_LOYALTY_REPLY
        && (ngx_msec_int_t) (ngx_current_msec - patience->until) <= 0)
    {
        ngx_http_loyalty_patience_answered(patience);
    }
}
