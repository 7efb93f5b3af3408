/*
 * Winning moments: units of the stock placed in epochs, and which is due.
 */

#include "loyalty_moments.h"

#include <string.h>


static void loyalty_moments_sift(const uint64_t *at, uint32_t *order,
    uint32_t i, uint32_t n);
static int loyalty_moments_after(const uint64_t *at, uint32_t a, uint32_t b);


int
loyalty_moments_init(loyalty_moments_t *m, const loyalty_epochs_t *epochs,
    uint64_t *at, uint32_t units)
{
    memset(m, 0, sizeof(loyalty_moments_t));

    return loyalty_moments_grow(m, epochs, at, units);
}


int
loyalty_moments_grow(loyalty_moments_t *m, const loyalty_epochs_t *epochs,
    uint64_t *at, uint32_t units)
{
    uint32_t  i;

    if (m->unit != m->units || units < m->units
        || (uint64_t) units * epochs->epochs > LOYALTY_MOMENTS_MAX)
    {
        return -1;
    }

    for (i = m->units; i < units; i++) {
        at[i] = LOYALTY_UNPLACED;
    }

    m->at = at;
    m->units = units;
    m->unit = units;

    return 0;
}


int
loyalty_moments_epoch(loyalty_moments_t *m, const loyalty_epochs_t *epochs,
    uint32_t e, const unsigned char *epoch_key)
{
    if (e != m->epoch + 1 || e > epochs->epochs || m->unit != m->units
        || loyalty_hmac_key(&m->key, epoch_key, LOYALTY_HASH) != 0)
    {
        return -1;
    }

    m->epoch = e;
    m->unit = 0;
    m->start = loyalty_epoch_start(epochs, e);
    m->length = loyalty_epoch_end(epochs, e) - m->start;
    m->left = epochs->epochs - e + 1;

    return 0;
}


int
loyalty_moments_place(loyalty_moments_t *m, uint32_t steps)
{
    uint32_t  a;
    uint64_t  x;

    for ( /* void */ ; m->unit < m->units && steps > 0; m->unit++, steps--) {

        if (m->at[m->unit] != LOYALTY_UNPLACED) {
            continue;
        }

        a = 0;

        if (loyalty_pick(&m->key, "moment", m->unit, m->left, &a, &x) != 0) {
            return -1;
        }

        if (x != 0) {
            continue;
        }

        a = 0;

        if (loyalty_pick(&m->key, "offset", m->unit, m->length, &a, &x)
            != 0)
        {
            return -1;
        }

        m->at[m->unit] = m->start + x;
    }

    return m->unit < m->units;
}


/* a heap sort: no allocation, and no worst case */

uint32_t
loyalty_moments_order(const loyalty_moments_t *m, uint32_t *order)
{
    uint32_t  i, n, count, swap;

    count = 0;

    for (i = 0; i < m->units; i++) {
        if (m->at[i] != LOYALTY_UNPLACED) {
            order[count++] = i;
        }
    }

    for (i = count / 2; i > 0; i--) {
        loyalty_moments_sift(m->at, order, i - 1, count);
    }

    for (n = count; n > 1; n--) {
        swap = order[0];
        order[0] = order[n - 1];
        order[n - 1] = swap;

        loyalty_moments_sift(m->at, order, 0, n - 1);
    }

    return count;
}


static void
loyalty_moments_sift(const uint64_t *at, uint32_t *order, uint32_t i,
    uint32_t n)
{
    uint32_t  child, unit;

    unit = order[i];

    for ( ;; ) {
        child = 2 * i + 1;

        if (child >= n) {
            break;
        }

        if (child + 1 < n
            && loyalty_moments_after(at, order[child + 1], order[child]))
        {
            child++;
        }

        if (!loyalty_moments_after(at, order[child], unit)) {
            break;
        }

        order[i] = order[child];
        i = child;
    }

    order[i] = unit;
}


static int
loyalty_moments_after(const uint64_t *at, uint32_t a, uint32_t b)
{
    return at[a] > at[b] || (at[a] == at[b] && a > b);
}
