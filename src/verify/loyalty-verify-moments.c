
/*
 * V14 of a game by moments: every unit of the stock is placed at a time of its
 * own, epoch by epoch, and goes to the first play after it.
 */

#include "loyalty-verify-plays.h"

#include <stdlib.h>
#include <string.h>


#define LV_MAX_WORK  100000000


static int lv_units(lv_plays_t *plays, lv_version_t *until);
static int lv_units_add(lv_plays_t *plays, lv_version_t *m,
    lv_version_t *before);
static int lv_place(lv_plays_t *plays, int64_t e);
static int lv_due_order(const void *one, const void *two);
static uint64_t lv_due_until(lv_plays_t *plays, int64_t t);


void
lv_moments(lv_plays_t *plays, const lv_play_t *play)
{
    uint32_t   tier, known;
    uint64_t   n, k;
    lv_prize_t  *prize;

    while (!plays->stuck && plays->placed < play->e) {
        if (!lv_place(plays, plays->placed + 1)) {
            plays->stuck = 1;
        }

        plays->placed++;
    }

    if (plays->stuck) {
        return;
    }

    n = lv_due_until(plays, play->t);
    k = n ? plays->due[plays->given].k : UINT64_MAX;

    if (play->n != n || play->r != k) {
        lv_fail(plays->v, 14, "play %u: not the units that are due",
                play->seq);
        return;
    }

    if (n == 0) {
        lv_replay_award(plays, play, NULL, 0);
        return;
    }

    known = plays->unit[k].known;

    for (tier = 0; tier < plays->m->nprizes; tier++) {
        if (plays->m->prize[tier].known == known) {
            break;
        }
    }

    if (tier == plays->m->nprizes) {
        lv_fail(plays->v, 14, "play %u: the prize of a unit is gone",
                play->seq);
        return;
    }

    prize = &plays->m->prize[tier];
    k = plays->v->awarded[known];

    lv_replay_award(plays, play, prize, tier);

    /* with status 3 the unit stays */

    plays->given += plays->v->awarded[known] != k;
}


/* the units of all versions up to the one that governs the epoch at hand */

static int
lv_units(lv_plays_t *plays, lv_version_t *until)
{
    lv_t          *v;
    uint32_t       i;
    lv_version_t  *m;

    v = plays->v;

    while (plays->versions < v->nversions
           && &v->version[plays->versions] <= until)
    {
        i = plays->versions;
        m = &v->version[i];

        if (!lv_units_add(plays, m, i ? m - 1 : NULL)) {
            lv_fail(v, 14, "version %u takes units away, or has too many",
                    m->number);
            return 0;
        }

        plays->versions++;
    }

    return 1;
}


static int
lv_units_add(lv_plays_t *plays, lv_version_t *m, lv_version_t *before)
{
    uint32_t  i, j;
    uint64_t  old, added, kept;

    kept = 0;

    for (i = 0; i < m->nprizes; i++) {
        old = 0;

        for (j = 0; before != NULL && j < before->nprizes; j++) {
            if (before->prize[j].known == m->prize[i].known) {
                old = before->prize[j].stock;
                kept++;
            }
        }

        if (m->prize[i].stock < old) {
            return 0;
        }

        added = m->prize[i].stock - old;

        if ((plays->nunits + added) * m->epochs > LV_MAX_WORK) {
            return 0;
        }

        for ( /* void */ ; added; added--) {
            plays->unit = lv_grow(plays->unit, plays->nunits,
                                  sizeof(lv_unit_t));
            memset(&plays->unit[plays->nunits], 0, sizeof(lv_unit_t));
            plays->unit[plays->nunits++].known = m->prize[i].known;
        }
    }

    return before == NULL || kept == before->nprizes;
}


/* places units in epoch e, at times after all that are placed already */

static int
lv_place(lv_plays_t *plays, int64_t e)
{
    size_t         first;
    int64_t        start;
    uint32_t       a;
    uint64_t       k, x, length;
    lv_hmac_t     *key;
    lv_version_t  *m;

    for (m = plays->m; m != plays->v->version && m->from > e; m--) {
        /* void */
    }

    if (!lv_units(plays, m)) {
        return 0;
    }

    key = lv_epoch_key(plays, m, e);

    if (key == NULL || e > m->epochs) {
        lv_incomplete(plays->v, 14, "the moments of epoch %lld cannot be"
                      " known", (long long) e);
        return 0;
    }

    start = lv_epoch_start(m, e);
    length = lv_epoch_end(m, e) - start;
    first = plays->ndue;

    for (k = 0; k < plays->nunits; k++) {

        if (plays->unit[k].placed) {
            continue;
        }

        a = 0;

        if (!lv_pick(key, "moment", k, m->epochs - e + 1, &a, &x) || x) {
            continue;
        }

        a = 0;

        if (!lv_pick(key, "offset", k, length, &a, &x)) {
            return 0;
        }

        plays->due = lv_grow(plays->due, plays->ndue, sizeof(lv_due_t));
        plays->due[plays->ndue].t = start + (int64_t) x;
        plays->due[plays->ndue].k = k;
        plays->ndue++;

        plays->unit[k].placed = 1;
    }

    if (plays->ndue > first) {
        qsort(&plays->due[first], plays->ndue - first, sizeof(lv_due_t),
              lv_due_order);
    }

    return 1;
}


static int
lv_due_order(const void *one, const void *two)
{
    const lv_due_t  *a, *b;

    a = one;
    b = two;

    if (a->t != b->t) {
        return a->t < b->t ? -1 : 1;
    }

    return a->k < b->k ? -1 : a->k > b->k;
}


/* how many units are due at t and not given */

static uint64_t
lv_due_until(lv_plays_t *plays, int64_t t)
{
    size_t  low, high, middle;

    low = plays->given;
    high = plays->ndue;

    while (low < high) {
        middle = low + (high - low) / 2;

        if (plays->due[middle].t <= t) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    return low - plays->given;
}
