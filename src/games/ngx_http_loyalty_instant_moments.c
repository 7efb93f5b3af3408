/*
 * Winning moments in a worker: every unit of the stock gets its time in the
 * epoch that draws it, and a play takes the one that has been due for
 * longest.
 *
 * Each worker places by itself, all come to the same times.  The next epoch is
 * placed a few seconds before it begins, in slices, so that plays find it
 * done.
 *
 * Units are numbered in the order of the prize tables: what version N + 1
 * adds goes on behind those of version N.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_instant.h"
#include "ngx_http_loyalty_instant_moments.h"


#define NGX_HTTP_LOYALTY_MOMENTS_SLICE   10000    /* units looked at */
#define NGX_HTTP_LOYALTY_MOMENTS_AHEAD   5500     /* ms before an epoch */
#define NGX_HTTP_LOYALTY_MOMENTS_AGAIN   500      /* ms */
#define NGX_HTTP_LOYALTY_MOMENTS_WINDOW  64       /* units that a call has */


static ngx_http_loyalty_moment_t *ngx_http_loyalty_moments_create(
    ngx_http_loyalty_instant_conf_t *icf);

static ngx_int_t ngx_http_loyalty_moments_place(ngx_http_loyalty_moment_t *m,
    uint32_t e);
static ngx_int_t ngx_http_loyalty_moments_begin(ngx_http_loyalty_moment_t *m);
static ngx_int_t ngx_http_loyalty_moments_add(ngx_http_loyalty_moment_t *m,
    ngx_http_loyalty_version_t *version, ngx_http_loyalty_version_t *before,
    loyalty_epochs_t *epochs);
static ngx_int_t ngx_http_loyalty_moments_room(ngx_http_loyalty_moment_t *m,
    uint64_t units);
static void ngx_http_loyalty_moments_timer(ngx_event_t *ev);
static ngx_int_t ngx_http_loyalty_moments_row(ngx_http_loyalty_moment_t *m,
    ngx_http_loyalty_version_t *version, const u_char *name, uint32_t *row);
static ngx_int_t ngx_http_loyalty_moments_hash(ngx_http_loyalty_moment_t *m,
    ngx_http_loyalty_version_t *version);


ngx_int_t
ngx_http_loyalty_instant_placed(ngx_http_loyalty_instant_conf_t *icf,
    int64_t t, ngx_http_loyalty_epoch_t **epoch)
{
    uint32_t                    by, e;
    ngx_int_t                   rc;
    ngx_http_loyalty_moment_t  *m;

    m = icf->moments;

    if (m == NULL) {
        m = ngx_http_loyalty_moments_create(icf);
        if (m == NULL) {
            return NGX_ERROR;
        }
    }

    if (m->state != NGX_HTTP_LOYALTY_MOMENTS_READY) {
        return ngx_http_loyalty_moments_load(m);
    }

    e = (*epoch)->e;
    by = (m->done == e) ? m->by[0] : (m->done == e + 1) ? m->by[1] : 0;

    /* placed before a version was known that governs it */

    if (by != 0 && by != (*epoch)->version->version) {
        m->state = NGX_HTTP_LOYALTY_MOMENTS_NEW;
        return ngx_http_loyalty_moments_load(m);
    }

    rc = ngx_http_loyalty_moments_place(m, e);

    if (rc != NGX_OK) {
        ngx_http_loyalty_moments_wait(m, rc == NGX_BUSY ? 1
                                          : NGX_HTTP_LOYALTY_MOMENTS_AGAIN);
        return rc;
    }

    if (!m->timer.timer_set) {
        ngx_http_loyalty_moments_wait(m, NGX_HTTP_LOYALTY_MOMENTS_AGAIN);
    }

    /* earlier epochs may have been asked for in between */

    return ngx_http_loyalty_campaign_epoch(&icf->campaign, t, epoch);
}


static ngx_http_loyalty_moment_t *
ngx_http_loyalty_moments_create(ngx_http_loyalty_instant_conf_t *icf)
{
    ngx_http_loyalty_moment_t  *m;

    m = ngx_calloc(sizeof(ngx_http_loyalty_moment_t), ngx_cycle->log);
    if (m == NULL) {
        return NULL;
    }

    m->icf = icf;
    m->timer.handler = ngx_http_loyalty_moments_timer;
    m->timer.data = m;
    m->timer.log = ngx_cycle->log;
    ngx_queue_init(&m->waiters);

    icf->moments = m;

    return m;
}


/* with the configuration: nobody waits any more, and Redis was left before */

void
ngx_http_loyalty_instant_cleanup(void *data)
{
    ngx_http_loyalty_instant_conf_t *icf = data;

    ngx_http_loyalty_moment_t  *m;

    m = icf->moments;

    if (m == NULL) {
        return;
    }

    icf->moments = NULL;

    if (m->timer.timer_set) {
        ngx_del_timer(&m->timer);
    }

    if (m->hashes != NULL) {
        ngx_free(m->hashes);
    }

    if (m->allocated) {
        ngx_free(m->at);
        ngx_free(m->order);
        ngx_free(m->names);
    }

    loyalty_wipe(&m->placing.key, sizeof(loyalty_hmac_t));
    ngx_free(m);
}


/* all epochs up to e, or a slice of them */

static ngx_int_t
ngx_http_loyalty_moments_place(ngx_http_loyalty_moment_t *m, uint32_t e)
{
    int         more;
    uint32_t    before, budget;
    ngx_int_t   rc;

    budget = NGX_HTTP_LOYALTY_MOMENTS_SLICE;

    while (m->done < e) {

        if (budget == 0) {
            return NGX_BUSY;
        }

        if (!m->busy) {
            rc = ngx_http_loyalty_moments_begin(m);

            if (rc != NGX_OK) {
                return rc;
            }

            budget--;
        }

        before = m->placing.unit;

        more = loyalty_moments_place(&m->placing, budget);

        if (more < 0) {
            m->state = NGX_HTTP_LOYALTY_MOMENTS_NEW;
            return NGX_ERROR;
        }

        budget -= m->placing.unit - before;

        if (more) {
            return NGX_BUSY;
        }

        loyalty_wipe(&m->placing.key, sizeof(loyalty_hmac_t));

        m->busy = 0;
        m->done++;
        m->norder = loyalty_moments_order(&m->placing, m->order);

        ngx_http_loyalty_moments_keep(m);
    }

    return NGX_OK;
}


/* the next epoch: its key, and the units of the version that governs it */

static ngx_int_t
ngx_http_loyalty_moments_begin(ngx_http_loyalty_moment_t *m)
{
    int64_t                       start;
    ngx_int_t                     rc;
    loyalty_epochs_t              epochs;
    loyalty_manifest_t           *manifest;
    ngx_http_loyalty_epoch_t     *epoch;
    ngx_http_loyalty_campaign_t  *campaign;

    static const u_char  none[LOYALTY_HASH];

    campaign = &m->icf->campaign;
    start = campaign->open + (int64_t) m->done * campaign->length;

    rc = ngx_http_loyalty_campaign_epoch(campaign, start, &epoch);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_ERROR : rc;
    }

    manifest = &epoch->version->manifest;

    if (loyalty_epochs_init(&epochs, manifest->open, manifest->close,
                            manifest->length)
        != 0
        || ngx_http_loyalty_moments_units(m, epoch->version->version, &epochs)
           != NGX_OK
        || loyalty_moments_epoch(&m->placing, &epochs, epoch->e, none) != 0)
    {
        ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, 0,
                      "%V: the moments of epoch %uD cannot be placed",
                      &campaign->rule->reason, epoch->e);
        return NGX_ERROR;
    }

    m->placing.key = epoch->key;

    m->by[1] = m->by[0];
    m->by[0] = epoch->version->version;
    m->busy = 1;

    return NGX_OK;
}


/* all units of the versions up to this one */

ngx_int_t
ngx_http_loyalty_moments_units(ngx_http_loyalty_moment_t *m, uint32_t version,
    loyalty_epochs_t *epochs)
{
    ngx_http_loyalty_version_t   *v, *before;
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = &m->icf->campaign;

    while (m->version < version) {

        before = ngx_http_loyalty_campaign_version_n(campaign, m->version);
        v = ngx_http_loyalty_campaign_version_n(campaign, m->version + 1);

        if (v == NULL
            || ngx_http_loyalty_moments_add(m, v, before, epochs) != NGX_OK)
        {
            return NGX_ERROR;
        }

        m->version++;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_moments_add(ngx_http_loyalty_moment_t *m,
    ngx_http_loyalty_version_t *version, ngx_http_loyalty_version_t *before,
    loyalty_epochs_t *epochs)
{
    u_char      name[NGX_HTTP_LOYALTY_HASH];
    uint32_t    row, first;
    uint64_t    units, stock, had;
    ngx_uint_t  i;

    units = m->placing.units;

    for (i = 0; i < version->nrows; i++) {

        stock = version->rows[i].stock;
        had = 0;

        ngx_http_loyalty_instant_name(&version->rows[i], name);

        if (before != NULL
            && ngx_http_loyalty_moments_row(m, before, name, &row) == NGX_OK)
        {
            had = before->rows[row].stock;
        }

        if (stock < had || stock > LOYALTY_MOMENTS_MAX
            || ngx_http_loyalty_moments_room(m, units + stock - had)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        for ( /* void */ ; had < stock; had++) {
            ngx_memcpy(m->names[units++], name, NGX_HTTP_LOYALTY_HASH);
        }
    }

    first = m->placing.units;

    if (first == 0) {
        return loyalty_moments_init(&m->placing, epochs, m->at,
                                    (uint32_t) units)
               == 0 ? NGX_OK : NGX_ERROR;
    }

    return loyalty_moments_grow(&m->placing, epochs, m->at, (uint32_t) units)
           == 0 ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_loyalty_moments_room(ngx_http_loyalty_moment_t *m, uint64_t units)
{
    size_t     n;
    u_char   (*names)[NGX_HTTP_LOYALTY_HASH];
    uint32_t  *order;
    uint64_t  *at;

    if (units > LOYALTY_MOMENTS_MAX) {
        return NGX_ERROR;
    }

    if (units <= m->allocated) {
        return NGX_OK;
    }

    n = ngx_max((size_t) units, 2 * (size_t) m->allocated);

    at = ngx_alloc(n * sizeof(uint64_t), ngx_cycle->log);
    order = ngx_alloc(n * sizeof(uint32_t), ngx_cycle->log);
    names = ngx_alloc(n * NGX_HTTP_LOYALTY_HASH, ngx_cycle->log);

    if (at == NULL || order == NULL || names == NULL) {

        if (at != NULL) {
            ngx_free(at);
        }

        if (order != NULL) {
            ngx_free(order);
        }

        if (names != NULL) {
            ngx_free(names);
        }

        return NGX_ERROR;
    }

    if (m->allocated) {
        ngx_memcpy(at, m->at, m->allocated * sizeof(uint64_t));
        ngx_memcpy(order, m->order, m->allocated * sizeof(uint32_t));
        ngx_memcpy(names, m->names, m->allocated * NGX_HTTP_LOYALTY_HASH);

        ngx_free(m->at);
        ngx_free(m->order);
        ngx_free(m->names);
    }

    m->at = at;
    m->order = order;
    m->names = names;
    m->allocated = (uint32_t) n;
    m->placing.at = at;

    return NGX_OK;
}


/* the epoch that runs, and a little before its end the next one */

static void
ngx_http_loyalty_moments_timer(ngx_event_t *ev)
{
    ngx_http_loyalty_moment_t *m = ev->data;

    int64_t                       now, next;
    uint32_t                      e;
    ngx_int_t                     rc;
    ngx_str_t                     detail;
    ngx_http_loyalty_problem_e    problem;
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = &m->icf->campaign;
    now = ngx_http_loyalty_now();

    if (m->state != NGX_HTTP_LOYALTY_MOMENTS_READY
        || now >= campaign->close
        || ngx_http_loyalty_campaign_ready(campaign, NULL, &problem, &detail)
           != NGX_OK)
    {
        ngx_http_loyalty_moments_wake(m);
        return;
    }

    if (!ngx_exiting) {
        now += NGX_HTTP_LOYALTY_MOMENTS_AHEAD;
    }

    if (now < campaign->open) {
        ngx_http_loyalty_moments_wake(m);
        return;
    }

    e = (uint32_t) ((now - campaign->open) / campaign->length) + 1;
    e = ngx_min(e, campaign->epochs);

    rc = ngx_http_loyalty_moments_place(m, e);

    if (rc == NGX_BUSY) {
        ngx_http_loyalty_moments_wait(m, 1);
        return;
    }

    ngx_http_loyalty_moments_wake(m);

    if (rc != NGX_OK) {
        ngx_http_loyalty_moments_wait(m, NGX_HTTP_LOYALTY_MOMENTS_AGAIN);
        return;
    }

    next = campaign->open + (int64_t) e * campaign->length - now;

    if (e < campaign->epochs) {
        ngx_http_loyalty_moments_wait(m, (ngx_msec_t) ngx_max(next, 1));
    }
}


/* a worker that leaves places for those who wait, and not ahead */

void
ngx_http_loyalty_moments_wait(ngx_http_loyalty_moment_t *m, ngx_msec_t ms)
{
    if (ngx_exiting && ngx_queue_empty(&m->waiters)) {
        return;
    }

    /* nginx leaves a timer as it is that is to move by a little only */

    if (m->timer.timer_set) {
        ngx_del_timer(&m->timer);
    }

    m->timer.cancelable = ngx_queue_empty(&m->waiters);
    ngx_add_timer(&m->timer, ms);
}


void
ngx_http_loyalty_moments_wake(ngx_http_loyalty_moment_t *m)
{
    ngx_queue_t                  woken, *q;
    ngx_http_loyalty_placing_t  *placing;

    if (ngx_queue_empty(&m->waiters)) {
        return;
    }

    ngx_queue_init(&woken);
    ngx_queue_add(&woken, &m->waiters);
    ngx_queue_init(&m->waiters);

    while (!ngx_queue_empty(&woken)) {
        q = ngx_queue_head(&woken);
        ngx_queue_remove(q);

        placing = ngx_queue_data(q, ngx_http_loyalty_placing_t, queue);
        placing->waits = 0;

        placing->handler(placing->data);
    }
}


void
ngx_http_loyalty_instant_wait(ngx_http_loyalty_instant_conf_t *icf,
    ngx_http_loyalty_placing_t *placing)
{
    placing->waits = 1;
    ngx_queue_insert_tail(&icf->moments->waiters, &placing->queue);

    /* else Redis is asked, and its answer wakes them */

    if (icf->moments->state == NGX_HTTP_LOYALTY_MOMENTS_READY) {
        ngx_http_loyalty_moments_wait(icf->moments, 1);
    }
}


void
ngx_http_loyalty_instant_forget(ngx_http_loyalty_placing_t *placing)
{
    if (placing->waits) {
        ngx_queue_remove(&placing->queue);
        placing->waits = 0;
    }
}


static ngx_int_t
ngx_http_loyalty_moments_row(ngx_http_loyalty_moment_t *m,
    ngx_http_loyalty_version_t *version, const u_char *name, uint32_t *row)
{
    uint32_t  i;

    if (m->hashed != version->version
        && ngx_http_loyalty_moments_hash(m, version) != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < version->nrows; i++) {
        if (ngx_memcmp(m->hashes[i], name, NGX_HTTP_LOYALTY_HASH) == 0) {
            *row = i;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_loyalty_moments_hash(ngx_http_loyalty_moment_t *m,
    ngx_http_loyalty_version_t *version)
{
    ngx_uint_t  i;

    if (m->hashes != NULL) {
        ngx_free(m->hashes);
    }

    m->hashed = 0;
    m->hashes = ngx_alloc(version->nrows * NGX_HTTP_LOYALTY_HASH,
                          ngx_cycle->log);

    if (m->hashes == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < version->nrows; i++) {
        ngx_http_loyalty_instant_name(&version->rows[i], m->hashes[i]);
    }

    m->hashed = version->version;

    return NGX_OK;
}


/* what a play draws from: base, how many are due at t, units and rows */

ngx_int_t
ngx_http_loyalty_instant_due(ngx_http_loyalty_instant_conf_t *icf,
    ngx_http_loyalty_version_t *version, int64_t t, int64_t base,
    loyalty_mpw_t *w)
{
    size_t                      place;
    uint32_t                    low, high, middle, i, row, n;
    ngx_http_loyalty_moment_t  *m;

    m = icf->moments;

    low = 0;
    high = m->norder;

    while (low < high) {
        middle = low + (high - low) / 2;

        if (m->at[m->order[middle]] <= (uint64_t) t) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    loyalty_mpw_int(w, base);
    loyalty_mpw_int(w, low);

    place = loyalty_mpw_array16(w);
    n = 0;

    for (i = (uint32_t) base;
         i < low && n < NGX_HTTP_LOYALTY_MOMENTS_WINDOW;
         i++, n++)
    {
        if (ngx_http_loyalty_moments_row(m, version, m->names[m->order[i]],
                                         &row)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        loyalty_mpw_int(w, m->order[i]);
        loyalty_mpw_int(w, row);
    }

    loyalty_mpw_array16_set(w, place, 2 * n);

    return NGX_OK;
}


/* how many units are awarded, as far as this worker has heard */

int64_t
ngx_http_loyalty_instant_awarded(ngx_http_loyalty_instant_conf_t *icf)
{
    return (icf->moments != NULL) ? icf->moments->awarded : 0;
}


void
ngx_http_loyalty_instant_heard(ngx_http_loyalty_instant_conf_t *icf,
    int64_t awarded)
{
    if (icf->moments != NULL && icf->moments->awarded < awarded) {
        icf->moments->awarded = awarded;
    }
}


/* a play had this unit, and took it */

void
ngx_http_loyalty_instant_took(ngx_http_loyalty_instant_conf_t *icf,
    uint64_t unit)
{
    int64_t                     i;
    ngx_http_loyalty_moment_t  *m;

    m = icf->moments;

    if (m == NULL) {
        return;
    }

    for (i = m->awarded;
         i < m->norder && i < m->awarded + NGX_HTTP_LOYALTY_MOMENTS_WINDOW;
         i++)
    {
        if (m->order[i] == unit) {
            m->awarded = i + 1;
            return;
        }
    }
}
