
/*
 * V14 of a sweepstakes: nobody has more tickets than the limits of the terms
 * allow.  A void gives its tickets back to the limit per campaign, and to no
 * other.
 *
 * Nothing that is published says at which entry a version began to govern, so
 * the limit that is held against an entry is the loosest of all versions.
 */

#include "loyalty-verify.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>


#define LV_PERIODS  4


/* tickets of the person of a record, in one period */

typedef struct {
    uint32_t       seq;           /* + 1; 0: the slot is free */
    uint32_t       period;
    int64_t        which;
    uint64_t       tickets;
} lv_held_t;


typedef struct {
    lv_t          *v;
    lv_days_t      days;
    uint64_t       most[LV_PERIODS];
    unsigned       limits;
    lv_held_t     *slot;
    size_t         nslots;
    size_t         used;
    uint64_t       salt;
} lv_entrants_t;


static const char  lv_periods[] = "cdwm";


static void lv_entrants_limits(lv_entrants_t *e);
static void lv_entrants_entry(lv_entrants_t *e, uint32_t seq,
    const u_char *p);
static lv_held_t *lv_entrants_held(lv_entrants_t *e, uint32_t seq,
    const u_char *person, uint32_t period, int64_t which);
static size_t lv_entrants_place(lv_entrants_t *e, const u_char *person,
    uint32_t period, int64_t which);
static void lv_entrants_grow(lv_entrants_t *e);
static const u_char *lv_entrants_person(lv_entrants_t *e, uint32_t seq);


void
lv_entry_limits(lv_t *v)
{
    uint32_t       n, seq;
    lv_entrants_t  e;

    memset(&e, 0, sizeof(lv_entrants_t));

    e.v = v;
    lv_entrants_limits(&e);

    if (e.limits == 0) {
        lv_info(v, 14, "the terms have no limit");
        return;
    }

    if (RAND_bytes((u_char *) &e.salt, sizeof(e.salt)) != 1) {
        lv_incomplete(v, 14, "no random bytes");
        return;
    }

    n = v->records.len / LV_ENTRY;

    for (seq = 0; seq < n; seq++) {
        lv_entrants_entry(&e, seq, v->records.data + (size_t) seq * LV_ENTRY);
    }

    lv_info(v, 14, "limits per person: %u", e.limits);

    free(e.slot);
}


static void
lv_entrants_limits(lv_entrants_t *e)
{
    unsigned       i, p;
    uint32_t       n;
    uint64_t       most;
    lv_version_t  *m;

    for (p = 0; p < LV_PERIODS; p++) {
        e->most[p] = 0;

        for (n = 0; n < e->v->nversions; n++) {
            m = &e->v->version[n];
            most = UINT64_MAX;

            for (i = 0; i < m->nlimits; i++) {
                if (m->limit[i].period == lv_periods[p]
                    && m->limit[i].count < most)
                {
                    most = m->limit[i].count;
                }
            }

            if (most > e->most[p]) {
                e->most[p] = most;
            }
        }

        e->limits += e->most[p] != UINT64_MAX;
    }

    for (n = 0; n < e->v->nversions; n++) {
        if (e->v->version[n].strange) {
            lv_incomplete(e->v, 14, "a limit in terms-%u is not understood",
                          e->v->version[n].number);
        }
    }
}


static void
lv_entrants_entry(lv_entrants_t *e, uint32_t seq, const u_char *p)
{
    int64_t      t, day;
    uint32_t     i, tickets;
    lv_held_t   *held;
    const char  *zone;

    tickets = lv_get32(p + LV_E_TICKETS);
    zone = e->v->last->zone;
    day = 0;

    if (e->most[1] != UINT64_MAX || e->most[2] != UINT64_MAX
        || e->most[3] != UINT64_MAX)
    {
        t = lv_get64(p + LV_E_T) >> 48 ? 0 : (int64_t) lv_get64(p + LV_E_T);

        if (!lv_day(&e->days, zone, t, &day)) {
            lv_incomplete(e->v, 14, "the zone \"%s\" is not known here, limits"
                          " per day, week or month cannot be counted", zone);
            e->most[1] = UINT64_MAX;
            e->most[2] = UINT64_MAX;
            e->most[3] = UINT64_MAX;
        }
    }

    for (i = 0; i < LV_PERIODS; i++) {

        if (e->most[i] == UINT64_MAX
            || ((p[LV_E_FLAGS] & 1) && lv_periods[i] != 'c'))
        {
            continue;
        }

        held = lv_entrants_held(e, seq, p + LV_E_PERSON, i,
                                lv_period(lv_periods[i], day));

        if (p[LV_E_FLAGS] & 1) {
            held->tickets -= held->tickets < tickets ? held->tickets
                                                     : tickets;
            continue;
        }

        held->tickets += tickets;

        if (held->tickets > e->most[i]) {
            lv_fail(e->v, 14, "entry %u is over a limit", seq);
        }
    }
}


/* the pointer holds until the next call */

static lv_held_t *
lv_entrants_held(lv_entrants_t *e, uint32_t seq, const u_char *person,
    uint32_t period, int64_t which)
{
    size_t      i;
    lv_held_t  *held;

    if (4 * e->used >= 3 * e->nslots) {
        lv_entrants_grow(e);
    }

    for (i = lv_entrants_place(e, person, period, which); ; i++) {
        held = &e->slot[i & (e->nslots - 1)];

        if (held->seq == 0) {
            held->seq = seq + 1;
            held->period = period;
            held->which = which;
            e->used++;
            return held;
        }

        if (held->period == period && held->which == which
            && memcmp(lv_entrants_person(e, held->seq - 1), person, 32) == 0)
        {
            return held;
        }
    }
}


/* salted: nobody can choose pseudonyms that all fall into one place */

static size_t
lv_entrants_place(lv_entrants_t *e, const u_char *person, uint32_t period,
    int64_t which)
{
    uint64_t  h;

    h = (lv_get64(person) ^ e->salt) * 0x9e3779b97f4a7c15ULL;
    h ^= h >> 32;
    h = (h ^ lv_get64(person + 8) ^ (which * LV_PERIODS + period))
        * 0xff51afd7ed558ccdULL;
    h ^= h >> 32;

    return h * (e->salt | 1) >> 16;
}


static void
lv_entrants_grow(lv_entrants_t *e)
{
    size_t      i, j, n;
    lv_held_t  *old;

    old = e->slot;
    n = e->nslots;

    e->nslots = n ? 2 * n : 1024;
    e->slot = lv_alloc(e->nslots, sizeof(lv_held_t));

    for (i = 0; i < n; i++) {
        if (old[i].seq == 0) {
            continue;
        }

        j = lv_entrants_place(e, lv_entrants_person(e, old[i].seq - 1),
                              old[i].period, old[i].which);

        while (e->slot[j & (e->nslots - 1)].seq) {
            j++;
        }

        e->slot[j & (e->nslots - 1)] = old[i];
    }

    free(old);
}


static const u_char *
lv_entrants_person(lv_entrants_t *e, uint32_t seq)
{
    return e->v->records.data + (size_t) seq * LV_ENTRY + LV_E_PERSON;
}
