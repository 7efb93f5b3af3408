/*
 * The walk over the positions of a sweepstakes: which ticket, and whether
 * its person may still be picked.  Persons are 32 uniform bytes, so their
 * first four are their hash.
 */

#include "loyalty_draw.h"

#include <string.h>


#define LOYALTY_WINNERS_IDLE     0           /* no range */
#define LOYALTY_WINNERS_DRAW     1           /* a ticket is to be picked */
#define LOYALTY_WINNERS_OWNER    2           /* its owner is awaited */
#define LOYALTY_WINNERS_FILLED   3           /* the position has its winner */


static uint32_t *loyalty_winners_place(loyalty_winners_t *w,
    const unsigned char *person);


size_t
loyalty_winners_index(uint32_t places)
{
    size_t  n;

    for (n = 4; n < 2 * (size_t) places; n *= 2) { /* void */ }

    return n;
}


int
loyalty_winners_init(loyalty_winners_t *w,
    unsigned char (*chosen)[LOYALTY_HASH], uint32_t *index, uint32_t places,
    uint64_t tickets, uint64_t persons)
{
    size_t  n;

    if (places == 0 || places > LOYALTY_POSITIONS_MAX
        || tickets >= LOYALTY_TICKETS_MAX || persons > tickets)
    {
        return -1;
    }

    n = loyalty_winners_index(places);

    memset(w, 0, sizeof(loyalty_winners_t));
    memset(index, 0, n * sizeof(uint32_t));

    w->tickets = tickets;
    w->persons = persons;
    w->chosen = chosen;
    w->index = index;
    w->mask = (uint32_t) (n - 1);
    w->places = places;

    return 0;
}


/* where the person's number, from 1, is or would be; 0 is a free place */

static uint32_t *
loyalty_winners_place(loyalty_winners_t *w, const unsigned char *person)
{
    uint32_t  i, n;

    i = loyalty_get_u32(person) & w->mask;

    for ( ;; ) {
        n = w->index[i];

        if (n == 0 || memcmp(w->chosen[n - 1], person, LOYALTY_HASH) == 0) {
            return &w->index[i];
        }

        i = (i + 1) & w->mask;
    }
}


int
loyalty_winners_exclude(loyalty_winners_t *w, const unsigned char *person)
{
    uint32_t  *place;

    place = loyalty_winners_place(w, person);

    if (*place != 0) {
        return 0;
    }

    if (w->nchosen == w->places) {
        return -1;
    }

    memcpy(w->chosen[w->nchosen], person, LOYALTY_HASH);
    *place = ++w->nchosen;

    return 0;
}


int
loyalty_winners_has(loyalty_winners_t *w, const unsigned char *person)
{
    return *loyalty_winners_place(w, person) != 0;
}


int
loyalty_winners_range(loyalty_winners_t *w, const loyalty_hmac_t *key,
    const char *tag, uint32_t first, uint32_t end)
{
    if (first > end) {
        return -1;
    }

    w->key = key;
    w->tag = tag;
    w->position = first;
    w->end = end;
    w->attempt = 0;
    w->state = LOYALTY_WINNERS_DRAW;

    return 0;
}


int
loyalty_winners_next(loyalty_winners_t *w)
{
    int  rc;

    switch (w->state) {

    case LOYALTY_WINNERS_DRAW:
        break;

    case LOYALTY_WINNERS_OWNER:
        return LOYALTY_WAITING;

    case LOYALTY_WINNERS_FILLED:
        w->state = LOYALTY_WINNERS_DRAW;
        w->position++;
        w->attempt = 0;
        break;

    default:
        return -1;
    }

    if (w->position == w->end || w->nchosen >= w->persons) {
        return LOYALTY_DONE;
    }

    rc = loyalty_pick(w->key, w->tag, w->position, w->tickets, &w->attempt,
                      &w->ticket);

    if (rc != 0) {
        return rc;
    }

    w->state = LOYALTY_WINNERS_OWNER;

    return LOYALTY_WAITING;
}


int
loyalty_winners_owner(loyalty_winners_t *w, const unsigned char *person,
    int voided)
{
    if (w->state != LOYALTY_WINNERS_OWNER) {
        return -1;
    }

    if (voided || *loyalty_winners_place(w, person) != 0) {
        w->state = LOYALTY_WINNERS_DRAW;
        w->attempt++;

        return LOYALTY_WAITING;
    }

    if (loyalty_winners_exclude(w, person) != 0) {
        return -1;
    }

    w->state = LOYALTY_WINNERS_FILLED;

    return 0;
}
