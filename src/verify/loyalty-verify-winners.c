
/*
 * V17 and V18: who has each prize, after disqualifications, and that every
 * prize on offer is accounted for.  The replay of what should have been
 * published runs along the lines that were.
 */

#include "loyalty-verify.h"

#include <stdlib.h>
#include <string.h>


/* a prize of its own: one unit of a row of the table */

typedef struct {
    uint32_t     prize;
    unsigned     held:1;
    unsigned     named:1;         /* in a line winner, or vacant */
    unsigned     redrawn:1;
    lv_pick_t    holder;
} lv_place_t;


typedef struct {
    lv_place_t  *place;
    uint32_t     n;
    uint32_t     next;            /* the next line to come: position, ... */
    uint32_t     k;               /* ... or, after all of them, dq */
    uint32_t     used;            /* alternates */
    unsigned     open:1;          /* what comes next is not known */
} lv_award_t;


static int lv_places(lv_t *v, lv_award_t *a);
static void lv_winner_line(lv_t *v, lv_award_t *a, lv_str_t line);
static void lv_winner_named(lv_t *v, lv_award_t *a, lv_str_t line, int held);
static lv_place_t *lv_winner_due(lv_t *v, lv_award_t *a, uint32_t *position);
static void lv_winner_replace(lv_t *v, lv_award_t *a, lv_place_t *place,
    uint32_t k);
static void lv_winner_told(lv_t *v, lv_award_t *a, lv_str_t line);
static void lv_accounts(lv_t *v, lv_award_t *a);


void
lv_winners(lv_t *v)
{
    int         rc;
    lv_str_t    rest, line;
    lv_award_t  award;

    rest = lv_file(v, "picks");

    if (!v->drawn || rest.len == 0) {
        lv_incomplete(v, 17, "no draw to compare the winners with");
        lv_incomplete(v, 18, "no draw to account for");
        return;
    }

    memset(&award, 0, sizeof(lv_award_t));

    if (!lv_places(v, &award)) {
        return;
    }

    for ( ;; ) {
        rc = lv_line(&rest, &line);

        if (rc != 1) {
            break;
        }

        lv_winner_line(v, &award, line);
    }

    lv_accounts(v, &award);

    free(award.place);
}


/* positions fill the prizes in table order; no prize is without a position */

static int
lv_places(lv_t *v, lv_award_t *a)
{
    uint32_t       i;
    uint64_t       unit, total;
    lv_version_t  *m;

    m = v->last;
    total = 0;

    for (i = 0; i < m->nprizes; i++) {
        total += m->prize[i].stock;
    }

    if (m->nprizes == 0) {
        lv_incomplete(v, 17, "the prizes are not known");
        lv_incomplete(v, 18, "the prizes are not known");
        return 0;
    }

    if (total != m->winners) {
        lv_fail(v, 18, "%llu prizes are offered, and %u winners are drawn",
                (unsigned long long) total, m->winners);
    }

    /* what is published is at most what can be looked at */

    if (m->winners > (1 << 26)) {
        lv_incomplete(v, 17, "more winners than this program can hold");
        lv_incomplete(v, 18, "more winners than this program can hold");
        return 0;
    }

    a->place = lv_alloc(m->winners, sizeof(lv_place_t));
    a->n = m->winners;

    i = 0;
    unit = 0;

    for (total = 0; total < a->n; total++) {

        while (i < m->nprizes - 1 && unit == m->prize[i].stock) {
            i++;
            unit = 0;
        }

        a->place[total].prize = i;
        unit++;

        if (total < v->npicks) {
            a->place[total].held = 1;
            a->place[total].holder = v->pick[total];
        }
    }

    a->used = a->n;

    return 1;
}


static void
lv_winner_line(lv_t *v, lv_award_t *a, lv_str_t line)
{
    if (lv_prefix(&line, "winner ")) {
        lv_winner_named(v, a, line, 1);

    } else if (lv_prefix(&line, "vacant ")) {
        lv_winner_named(v, a, line, 0);

    } else if (lv_prefix(&line, "claimed ") || lv_prefix(&line, "delivered ")) {
        lv_winner_told(v, a, line);

    } else if (!lv_prefix(&line, "pick ") && !lv_prefix(&line, "fresh ")) {
        lv_fail(v, 17, "a malformed line in picks");
    }
}


static void
lv_winner_named(lv_t *v, lv_award_t *a, lv_str_t line, int held)
{
    u_char       person[32];
    uint64_t     position, prize, seq;
    uint32_t     due;
    lv_str_t     word;
    unsigned     check;
    lv_place_t  *place;

    /* a line too few or too many of one kind is another check's than a name */

    check = held ? 17 : 18;
    seq = 0;

    place = lv_winner_due(v, a, &due);

    if (place == NULL) {
        if (a->open) {
            lv_incomplete(v, 17, "winners after dq %u cannot be known", a->k);
            return;
        }

        lv_fail(v, check, "a line of picks is of no prize");
        return;
    }

    if (!held && place->held) {
        lv_fail(v, 17, "position %u is said to be vacant, and is not", due);
        place->named = 0;
        return;
    }

    if (held && !place->held) {
        lv_fail(v, 17, "position %u has a winner, and is vacant", due);
        return;
    }

    place->named = 1;

    if (!lv_word(&line, &word) || !lv_number(word, &position)
        || !lv_word(&line, &word) || !lv_number(word, &prize)
        || (held && (!lv_word(&line, &word) || !lv_number(word, &seq)
                     || !lv_hex(line, person, 32)))
        || (!held && line.len))
    {
        lv_fail(v, check, "a malformed line in picks");
        return;
    }

    if (position != due || prize != place->prize
        || (held && (seq != place->holder.seq
                     || memcmp(person, place->holder.person, 32) != 0)))
    {
        lv_fail(v, check, "what is published of position %u is not what the"
                " draw gives", due);
    }
}


/*
 * The place that the next line is about: each one in turn, then that of each
 * dq in turn, from whose holder it was taken.
 */

static lv_place_t *
lv_winner_due(lv_t *v, lv_award_t *a, uint32_t *position)
{
    lv_dq_t     *dq;
    lv_place_t  *place;

    if (a->next < a->n) {
        *position = a->next;
        return &a->place[a->next++];
    }

    if (a->open || a->k == v->ndqs) {
        return NULL;
    }

    dq = &v->dq[a->k];

    if (dq->position >= a->n) {
        return NULL;
    }

    *position = dq->position;
    place = &a->place[dq->position];

    if (!place->held || place->holder.seq != dq->seq
        || memcmp(place->holder.person, dq->person, 32) != 0)
    {
        lv_fail(v, 17, "dq %u is of somebody who does not have the prize",
                dq->k);
    }

    lv_winner_replace(v, a, place, a->k);

    if (a->open) {
        return NULL;
    }

    a->k++;
    place->named = 0;

    return place;
}


static void
lv_winner_replace(lv_t *v, lv_award_t *a, lv_place_t *place, uint32_t k)
{
    place->held = 0;

    if (v->last->flags & 2) {

        if (k >= v->nfresh) {
            a->open = 1;
            return;
        }

        if (v->fresh[k].seq != UINT64_MAX) {
            place->held = 1;
            place->redrawn = 1;
            place->holder = v->fresh[k];
        }

        return;
    }

    if (a->used < v->npicks) {
        place->held = 1;
        place->redrawn = 1;
        place->holder = v->pick[a->used++];
    }
}


/* the operator's word: a prize that somebody has, and when */

static void
lv_winner_told(lv_t *v, lv_award_t *a, lv_str_t line)
{
    uint64_t  position, t;
    lv_str_t  word;

    if (!lv_word(&line, &word) || !lv_number(word, &position)
        || !lv_number(line, &t) || position >= a->n)
    {
        lv_fail(v, 17, "a malformed line in picks");
        return;
    }

    if (!a->place[position].named || !a->place[position].held) {
        lv_fail(v, 17, "position %llu is claimed, and nobody has it",
                (unsigned long long) position);
    }
}


static void
lv_accounts(lv_t *v, lv_award_t *a)
{
    uint32_t     i, awarded, redrawn, vacant, due;
    lv_place_t  *place;

    awarded = 0;
    redrawn = 0;
    vacant = 0;

    /* what the lines stopped short of */

    while (a->next < a->n) {
        (void) lv_winner_due(v, a, &due);
    }

    if (a->k < v->ndqs) {
        lv_incomplete(v, 17, "nothing is published of dq %u yet", a->k + 1);
        lv_incomplete(v, 18, "nothing is published of dq %u yet", a->k + 1);
    }

    for (i = 0; i < a->n; i++) {
        place = &a->place[i];

        if (!place->named) {

            if (place->held) {
                lv_fail(v, 17, "position %u has a winner who is not published",
                        i);

            } else if (!a->open) {
                lv_fail(v, 18, "position %u is neither awarded nor vacant", i);
            }
        }

        if (!place->held) {
            vacant++;

        } else if (place->redrawn) {
            redrawn++;

        } else {
            awarded++;
        }
    }

    if ((v->last->flags & 2) == 0 && v->nfresh) {
        lv_fail(v, 17, "fresh alternates, and the manifest has none");
    }

    lv_info(v, 17, "%u winners", awarded + redrawn);
    lv_info(v, 18, "awarded %u, redrawn %u, unclaimed %u, offered %u",
            awarded, redrawn, vacant, a->n);
}
