
/*
 * Counts per person for the replay: plays under one idx, wins, plays per
 * period.  A slot is 16 bytes and points to the record that made it, so that
 * a million plays need some tens of megabytes.
 */

#include "loyalty-verify-plays.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>


static uint64_t lv_count_hash(lv_plays_t *plays, const u_char *key,
    uint64_t what);
static void lv_count_grow(lv_plays_t *plays);
static void lv_limit(lv_plays_t *plays, const lv_play_t *play, unsigned what,
    char period, uint64_t which);
static int lv_local_day(lv_plays_t *plays, int64_t t, int64_t *day);
static int lv_zone(lv_plays_t *plays);


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
    int64_t  day;

    if (plays->periods & 4) {
        lv_limit(plays, play, LV_COUNT_CAMPAIGN, 'c', 0);
    }

    if (!(plays->periods & 3)) {
        return;
    }

    if (!lv_local_day(plays, play->t, &day)) {
        lv_incomplete(plays->v, 14, "the zone \"%s\" is not known here,"
                      " limits per day or week cannot be counted",
                      plays->m->zone);
        return;
    }

    if (plays->periods & 1) {
        lv_limit(plays, play, LV_COUNT_DAY, 'd', day);
    }

    /* 1970-01-01 was a Thursday */

    if (plays->periods & 2) {
        lv_limit(plays, play, LV_COUNT_WEEK, 'w', (day + 3) / 7);
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


/* offsets are looked up once per quarter of an hour: they change at no other */

static int
lv_local_day(lv_plays_t *plays, int64_t t, int64_t *day)
{
    time_t     sec;
    struct tm  tm;

    if (strcmp(plays->zone, plays->m->zone) != 0 || plays->bucket < 0) {
        plays->no_zone = !lv_zone(plays);
        plays->bucket = -1;
    }

    if (plays->no_zone) {
        return 0;
    }

    if (plays->bucket != t / 900000) {
        plays->bucket = t / 900000;
        sec = plays->bucket * 900;

        if (localtime_r(&sec, &tm) == NULL) {
            return 0;
        }

        plays->offset = (int64_t) tm.tm_gmtoff * 1000;
    }

    t += plays->offset;
    *day = t >= 0 ? t / 86400000 : -1;

    return 1;
}


static int
lv_zone(lv_plays_t *plays)
{
    char         path[128];
    const char  *zone;

    zone = plays->m->zone;
    memcpy(plays->zone, zone, sizeof(plays->zone));

    (void) snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", zone);

    if (zone[0] == '\0' || zone[0] == '/' || strstr(zone, "..") != NULL
        || access(path, R_OK) == -1)
    {
        return 0;
    }

    (void) snprintf(path, sizeof(path), ":%s", zone);

    if (setenv("TZ", path, 1) == -1) {
        return 0;
    }

    tzset();

    return 1;
}
