/*
 * Times of moments that Redis keeps (G:m), those of epochs that are over: a
 * worker that starts late in a campaign would have to ask for the beacon's
 * rounds since its beginning.  Those of the epoch that runs are not kept: who
 * reads Redis would see the next moment.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_instant_moments.h"


#define NGX_HTTP_LOYALTY_MOMENTS_KEPT  12         /* bytes before the times */


static void ngx_http_loyalty_moments_loaded(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_moments_kept(ngx_http_loyalty_moment_t *m,
    ngx_str_t *value);
static void ngx_http_loyalty_moments_saved(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static uint32_t ngx_http_loyalty_moments_get32(const u_char *p);
static u_char *ngx_http_loyalty_moments_put32(u_char *p, uint32_t n);


ngx_int_t
ngx_http_loyalty_moments_load(ngx_http_loyalty_moment_t *m)
{
    u_char                        buf[NGX_HTTP_LOYALTY_CAMPAIGN_KEY];
    ngx_str_t                     key;
    ngx_http_loyalty_status_e     status;
    ngx_http_loyalty_campaign_t  *campaign;

    if (m->op != NULL) {
        return NGX_BUSY;
    }

    campaign = &m->icf->campaign;

    ngx_http_loyalty_campaign_key(campaign, "m", -1, buf, &key);

    m->state = NGX_HTTP_LOYALTY_MOMENTS_LOADING;
    m->op = ngx_http_loyalty_redis_call(campaign->program,
                                NGX_HTTP_LOYALTY_INTERACTIVE,
                                ngx_http_loyalty_campaign_partition(campaign),
                                NGX_HTTP_LOYALTY_GET, 1, &key, NULL,
                                ngx_http_loyalty_moments_loaded, m, &status);

    if (m->op == NULL) {
        m->state = NGX_HTTP_LOYALTY_MOMENTS_NEW;
        return NGX_DECLINED;
    }

    return NGX_BUSY;
}


static void
ngx_http_loyalty_moments_loaded(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_moment_t *m = data;

    m->op = NULL;
    m->state = NGX_HTTP_LOYALTY_MOMENTS_NEW;

    if (status != NGX_HTTP_LOYALTY_REPLY || reply->array || reply->n != 1) {
        ngx_http_loyalty_moments_wake(m);
        return;
    }

    m->version = 0;
    m->done = 0;
    m->busy = 0;
    m->norder = 0;
    ngx_memzero(m->by, sizeof(m->by));
    ngx_memzero(&m->placing, sizeof(loyalty_moments_t));

    if (reply->values[0].data != NULL
        && ngx_http_loyalty_moments_kept(m, &reply->values[0]) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "%V: what Redis keeps of its moments is not understood "
                      "and is made anew", &m->icf->campaign.rule->reason);

        m->version = 0;
        m->done = 0;
        ngx_memzero(&m->placing, sizeof(loyalty_moments_t));
    }

    m->state = NGX_HTTP_LOYALTY_MOMENTS_READY;

    ngx_http_loyalty_moments_wake(m);
}


/* G:m, docs/internals.md: epochs, version, units, the time of each */

static ngx_int_t
ngx_http_loyalty_moments_kept(ngx_http_loyalty_moment_t *m, ngx_str_t *value)
{
    u_char                        *p;
    uint32_t                       done, version, units, i, k;
    loyalty_epochs_t               epochs;
    ngx_http_loyalty_version_t    *v;

    p = value->data;

    if (value->len < NGX_HTTP_LOYALTY_MOMENTS_KEPT) {
        return NGX_ERROR;
    }

    done = ngx_http_loyalty_moments_get32(p);
    version = ngx_http_loyalty_moments_get32(p + 4);
    units = ngx_http_loyalty_moments_get32(p + 8);

    v = ngx_http_loyalty_campaign_version_n(&m->icf->campaign, version);

    if (v == NULL || v->from == 0 || v->from > done
        || done > v->manifest.epochs
        || loyalty_epochs_init(&epochs, v->manifest.open, v->manifest.close,
                               v->manifest.length)
           != 0
        || ngx_http_loyalty_moments_units(m, version, &epochs) != NGX_OK
        || units != m->placing.units
        || value->len != NGX_HTTP_LOYALTY_MOMENTS_KEPT + 8 * (size_t) units)
    {
        return NGX_ERROR;
    }

    p += NGX_HTTP_LOYALTY_MOMENTS_KEPT;

    for (i = 0; i < units; i++) {
        m->at[i] = 0;

        for (k = 0; k < 8; k++) {
            m->at[i] = m->at[i] << 8 | *p++;
        }
    }

    m->done = done;
    m->placing.epoch = done;
    m->norder = loyalty_moments_order(&m->placing, m->order);

    return NGX_OK;
}


/* the times of epochs that are over */

void
ngx_http_loyalty_moments_keep(ngx_http_loyalty_moment_t *m)
{
    size_t                        size;
    u_char                       *p, *value;
    u_char                        buf[NGX_HTTP_LOYALTY_CAMPAIGN_KEY];
    uint32_t                      i;
    uint64_t                      start, at;
    ngx_int_t                     k;
    ngx_str_t                     key, arg;
    loyalty_mpw_t                 w;
    ngx_http_loyalty_status_e     status;
    ngx_http_loyalty_version_t   *version;
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = &m->icf->campaign;

    /* the last one may be ahead of the clock, and the one before it runs */

    version = ngx_http_loyalty_campaign_version_n(campaign, m->version);

    if (m->done < 3 || m->op != NULL || ngx_exiting || version == NULL
        || version->from > m->done - 2)
    {
        return;
    }

    start = campaign->open + (uint64_t) (m->done - 2) * campaign->length;
    size = NGX_HTTP_LOYALTY_MOMENTS_KEPT + 8 * (size_t) m->placing.units;

    value = ngx_alloc(2 * size + 64, ngx_cycle->log);
    if (value == NULL) {
        return;
    }

    p = ngx_http_loyalty_moments_put32(value, m->done - 2);
    p = ngx_http_loyalty_moments_put32(p, m->version);
    p = ngx_http_loyalty_moments_put32(p, m->placing.units);

    for (i = 0; i < m->placing.units; i++) {
        at = (m->at[i] < start) ? m->at[i] : LOYALTY_UNPLACED;

        for (k = 56; k >= 0; k -= 8) {
            *p++ = (u_char) (at >> k);
        }
    }

    loyalty_mpw_init(&w, p, size + 64);
    loyalty_mpw_int(&w, m->done - 2);
    loyalty_mpw_str(&w, value, size);

    arg.data = w.start;
    arg.len = w.pos - w.start;

    ngx_http_loyalty_campaign_key(campaign, "m", -1, buf, &key);

    m->op = ngx_http_loyalty_redis_call(campaign->program,
                                NGX_HTTP_LOYALTY_BULK,
                                ngx_http_loyalty_campaign_partition(campaign),
                                NGX_HTTP_LOYALTY_FN_MOMENTS, 1, &key, &arg,
                                ngx_http_loyalty_moments_saved, m, &status);

    ngx_free(value);
}


static void
ngx_http_loyalty_moments_saved(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_moment_t *m = data;

    m->op = NULL;
}


static uint32_t
ngx_http_loyalty_moments_get32(const u_char *p)
{
    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16
           | (uint32_t) p[2] << 8 | p[3];
}


static u_char *
ngx_http_loyalty_moments_put32(u_char *p, uint32_t n)
{
    *p++ = (u_char) (n >> 24);
    *p++ = (u_char) (n >> 16);
    *p++ = (u_char) (n >> 8);
    *p++ = (u_char) n;

    return p;
}
