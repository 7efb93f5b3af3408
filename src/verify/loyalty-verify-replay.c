
/*
 * V14: the state of the game after every record: what was left, which row the
 * number falls on, and what the play therefore was.
 */

#include "loyalty-verify-plays.h"

#include <string.h>


#define LV_KEY_KEPT  1440           /* minutes that a key is known at least */


static void lv_replay_odds(lv_plays_t *plays, const lv_play_t *play);
static void lv_replay_deck(lv_plays_t *plays, const lv_play_t *play);
static uint64_t lv_replay_left(lv_plays_t *plays, const lv_prize_t *prize);


void
lv_replay(lv_plays_t *plays, const lv_play_t *play)
{
    uint32_t  *count;
    uint64_t   which, minute;

    /*
     * A key is forgotten in the end, after a day at least: whoever uses it once
     * more then plays once more.  In whole minutes from 1, at which it was
     * used last.
     */

    count = lv_count(plays, play, LV_COUNT_ID, 0);
    minute = play->t / 60000 + 1;

    if (*count != 0 && minute < (uint64_t) *count + LV_KEY_KEPT) {
        lv_fail(plays->v, 14, "play %u is recorded twice", play->seq);
    }

    *count = (uint32_t) minute;

    if (play->mode != LV_MOMENTS) {
        which = (uint64_t) play->e << 37 | play->round;
        count = lv_count(plays, play, LV_COUNT_IDX, which);

        if (*count != play->idx) {
            lv_fail(plays->v, 14, "play %u has idx %u, and is number %u",
                    play->seq, play->idx, *count);
        }

        (*count)++;
    }

    if (plays->m->nprizes == 0) {
        lv_incomplete(plays->v, 14, "the prizes are not known");
        return;
    }

    switch (play->mode) {

    case LV_ODDS:
        lv_replay_odds(plays, play);
        break;

    case LV_DECK:
        lv_replay_deck(plays, play);
        break;

    default:
        lv_moments(plays, play);
    }
}


static void
lv_replay_odds(lv_plays_t *plays, const lv_play_t *play)
{
    uint32_t       i;
    uint64_t       r;
    lv_version_t  *m;

    m = plays->m;
    r = play->r;

    if (play->n != m->lcm || r >= m->lcm) {
        lv_fail(plays->v, 14, "play %u: n is not the odds' denominator",
                play->seq);
        return;
    }

    for (i = 0; i < m->nprizes && r >= m->prize[i].weight; i++) {
        r -= m->prize[i].weight;
    }

    lv_replay_award(plays, play, i < m->nprizes ? &m->prize[i] : NULL, i);
}


static void
lv_replay_deck(lv_plays_t *plays, const lv_play_t *play)
{
    uint32_t       i;
    uint64_t       r, n, left;
    lv_version_t  *m;

    m = plays->m;
    n = 0;

    for (i = 0; i < m->nprizes; i++) {
        n += lv_replay_left(plays, &m->prize[i]);
    }

    r = play->r;

    if (play->n != n || r >= n) {
        lv_fail(plays->v, 14, "play %u: n is not the %llu cards left",
                play->seq, (unsigned long long) n);
        return;
    }

    for (i = 0; i < m->nprizes; i++) {
        left = lv_replay_left(plays, &m->prize[i]);

        if (r < left) {
            break;
        }

        r -= left;
    }

    /* the last row is the blanks: the card goes, and nobody wins */

    if (i == m->nprizes - 1) {
        plays->v->awarded[m->prize[i].known]++;
        lv_replay_award(plays, play, NULL, 0);
        return;
    }

    lv_replay_award(plays, play, &m->prize[i], i);
}


static uint64_t
lv_replay_left(lv_plays_t *plays, const lv_prize_t *prize)
{
    uint64_t  awarded;

    awarded = plays->v->awarded[prize->known];

    return prize->stock > awarded ? prize->stock - awarded : 0;
}


/* the row is known, or there is none: what must the record say? */

void
lv_replay_award(lv_plays_t *plays, const lv_play_t *play, lv_prize_t *prize,
    uint32_t tier)
{
    int        full, empty, ok;
    lv_t      *v;
    uint32_t  *wins, status;
    uint64_t  *awarded, serial;

    v = plays->v;
    status = play->status & 3;

    if (prize == NULL) {
        if (status != 0 || play->tier != LV_NO_TIER
            || play->serial != LV_NO_SERIAL)
        {
            lv_fail(v, 14, "play %u has lost, and does not say so",
                    play->seq);
        }

        return;
    }

    awarded = &v->awarded[prize->known];
    wins = lv_count(plays, play, LV_COUNT_WINS, 0);

    empty = lv_replay_left(plays, prize) == 0;
    full = plays->m->wins && *wins >= plays->m->wins;
    serial = LV_NO_SERIAL;

    if (empty || full) {
        ok = (empty && status == 2) || (full && status == 3);

    } else {
        ok = status == 1;

        if (prize->stock != LV_UNLIMITED) {
            serial = *awarded;
        }
    }

    if (!ok || play->tier != tier || play->serial != serial) {
        lv_fail(v, 14, "play %u: row %u, and the record says something else",
                play->seq, tier);
    }

    if (!empty && !full) {
        (*awarded)++;
        (*wins)++;
    }
}


/* V18: what the last version offers is awarded or still there */

void
lv_stock(lv_t *v)
{
    uint32_t       i;
    uint64_t       awarded, offered, sum;
    lv_version_t  *m;

    m = v->last;
    sum = 0;
    offered = 0;

    if (m->nprizes == 0) {
        lv_incomplete(v, 18, "the prizes are not known");
        return;
    }

    for (i = 0; i < m->nprizes; i++) {

        if (m->prize[i].name.len == 0 || m->prize[i].stock == LV_UNLIMITED) {
            continue;
        }

        awarded = v->awarded[m->prize[i].known];

        if (awarded > m->prize[i].stock && v->nversions == 1) {
            lv_fail(v, 18, "row %u: %llu awarded, %llu offered", i,
                    (unsigned long long) awarded,
                    (unsigned long long) m->prize[i].stock);
        }

        sum += awarded;
        offered += m->prize[i].stock;
    }

    lv_info(v, 18, "of limited prizes awarded %llu, unclaimed %llu,"
            " offered %llu", (unsigned long long) sum,
            (unsigned long long) (offered > sum ? offered - sum : 0),
            (unsigned long long) offered);
}
