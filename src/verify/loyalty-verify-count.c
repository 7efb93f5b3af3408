
/*
 * Counts per person for the replay: plays under one idx, wins, plays per
 * period.  A slot is 16 bytes and points to the record that made it, so that
 * a million plays need some tens of megabytes.
 */

#include "loyalty-verify-plays.h"

#include <stdlib.h>
#include <string.h>


static uint64_t lv_count_hash(lv_plays_t *plays, const u_char *key,
    uint64_t what);
static void lv_count_grow(lv_plays_t *plays);
static void lv_limit(lv_plays_t *plays, const lv_play_t *play, unsigned what,
    char period, uint64_t which);


/* the pointer holds until the next call */

uint32_t *
lv_count(lv_plays_t *plays, const lv_play_t *play, unsigned what,
    uint64_t which)
{
    size_t         i, offset, len;
    uint64_t       tagged;
    lv_count_t    *slot;
    const u_char  *record;

    if (4 * plays->used >= 3 * plays->nslots) {
        lv_count_grow(plays);
    }

    tagged = which * 8 + what;
    offset = what == LV_COUNT_ID ? 100 : 68;
    len = what == LV_COUNT_ID ? 16 : 32;

    i = lv_count_hash(plays, play->data + offset, tagged);

    for ( ;; ) {
        slot = &plays->slot[i & (plays->nslots - 1)];

        if (slot->seq == 0) {
            slot->seq = play->seq + 1;
            slot->what = tagged;
            plays->used++;
            return &slot->count;
        }

        if (slot->what == tagged) {
            record = plays->log.data + (size_t) (slot->seq - 1) * LV_PLAY;

            if (memcmp(record + offset, play->data + offset, len) == 0) {
                return &slot->count;
            }
        }

        i++;
    }
}


/* salted: nobody can choose pseudonyms that all fall into one place */

static uint64_t
lv_count_hash(lv_plays_t *plays, const u_char *key, uint64_t what)
{
    uint64_t  h;

    h = (lv_get64(key) ^ plays->salt) * 0x9e3779b97f4a7c15ULL;
    h ^= h >> 32;
    h = (h ^ lv_get64(key + 8) ^ what) * 0xff51afd7ed558ccdULL;
    h ^= h >> 32;

    return h * (plays->salt | 1) >> 16;
}


static void
lv_count_grow(lv_plays_t *plays)
{
    size_t         i, j, n;
    lv_count_t    *old;
    const u_char  *record;

    old = plays->slot;
    n = plays->nslots;

    plays->nslots = n ? 2 * n : 1024;
    plays->slot = lv_alloc(plays->nslots, sizeof(lv_count_t));

    for (i = 0; i < n; i++) {
        if (old[i].seq == 0) {
            continue;
        }

        record = plays->log.data + (size_t) (old[i].seq - 1) * LV_PLAY;
        record += old[i].what % 8 == LV_COUNT_ID ? 100 : 68;

        j = lv_count_hash(plays, record, old[i].what);

        while (plays->slot[j & (plays->nslots - 1)].seq) {
            j++;
        }

        plays->slot[j & (plays->nslots - 1)] = old[i];
    }

    free(old);
}


/* V14, caps: every version counts what any version limits */

void
lv_limits(lv_plays_t *plays, const lv_play_t *play)
{
    int64_t   day;
    unsigned  i;

    static const struct {
        char      period;
        unsigned  what;
    } all[] = {
        { 'c', LV_COUNT_CAMPAIGN },
        { 'd', LV_COUNT_DAY },
        { 'w', LV_COUNT_WEEK },
        { 'm', LV_COUNT_MONTH }
    };

    day = 0;

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {

        if (!(plays->periods & 1u << all[i].what)) {
            continue;
        }

        if (i > 0 && !lv_day(&plays->days, plays->m->zone, play->t, &day)) {
            lv_incomplete(plays->v, 14, "the zone \"%s\" is not known here,"
                          " limits per day, week or month cannot be counted",
                          plays->m->zone);
            return;
        }

        lv_limit(plays, play, all[i].what, all[i].period,
                 lv_period(all[i].period, day));
    }
}


static void
lv_limit(lv_plays_t *plays, const lv_play_t *play, unsigned what, char period,
    uint64_t which)
{
    uint32_t       n;
    unsigned       i;
    lv_version_t  *m;

    m = plays->m;
    n = ++*lv_count(plays, play, what, which);

    for (i = 0; i < m->nlimits; i++) {
        if (m->limit[i].period == period && n > m->limit[i].count) {
            lv_fail(plays->v, 14, "play %u is over a limit", play->seq);
        }
    }
}
