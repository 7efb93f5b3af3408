
/*
 * V10: a sweepstakes drawn again from the close note, the beacon and the seed,
 * and what was published of it held against that.
 */

#include "loyalty-verify.h"

#include <stdlib.h>
#include <string.h>


/* persons that cannot be picked any more; they point into mapped files */

typedef struct {
    const u_char  **slot;
    size_t          size;
    size_t          n;
    uint32_t        cursor;       /* no owner before it can be picked */
} lv_people_t;


static int lv_draw_key(lv_t *v, u_char key[32]);
static void lv_draw_picks(lv_t *v, const u_char key[32], lv_people_t *people);
static void lv_draw_fresh(lv_t *v, const u_char key[32], lv_people_t *people);
static int lv_draw_alt_key(lv_t *v, const lv_dq_t *dq, const u_char key[32],
    lv_hmac_t *alt);
static int lv_draw_pick(lv_t *v, const lv_hmac_t *key, const char *tag,
    uint32_t p, lv_people_t *people, lv_pick_t *pick);
static const u_char *lv_draw_owner(lv_t *v, uint64_t ticket, uint32_t *owner);
static int lv_draw_left(lv_t *v, lv_people_t *people);
static const u_char **lv_people_find(lv_people_t *people,
    const u_char *person);
static void lv_people_add(lv_people_t *people, const u_char *person);
static int lv_draw_has_fresh(lv_t *v);
static void lv_draw_published(lv_t *v);
static int lv_draw_same(lv_str_t line, uint64_t number, const lv_pick_t *pick);
static void lv_draw_differs(lv_t *v, const char *what, uint64_t number);


void
lv_draw(lv_t *v)
{
    u_char       key[32];
    lv_people_t  people;

    if (!v->closed) {
        lv_incomplete(v, 10, "there is no close note to draw from");
        return;
    }

    memset(&people, 0, sizeof(lv_people_t));
    memset(key, 0, sizeof(key));

    if (v->tickets) {

        if (v->nowners == 0) {
            lv_incomplete(v, 10, "there are no entries to draw from");
            return;
        }

        if (!lv_draw_key(v, key)) {
            return;
        }

        lv_draw_picks(v, key, &people);
    }

    v->drawn = v->check[10].status != LV_FAIL;

    if (v->drawn && ((v->last->flags & 2) || lv_draw_has_fresh(v))) {
        lv_draw_fresh(v, key, &people);
    }

    if (v->drawn) {
        lv_draw_published(v);
    }

    free(people.slot);
}


static int
lv_draw_key(lv_t *v, u_char key[32])
{
    u_char         data[256], beacon[32], *p;
    lv_version_t  *m;

    m = v->last;
    memset(beacon, 0, sizeof(beacon));

    if (v->draw_round && !lv_beacon(v, v->draw_round, beacon)) {
        lv_incomplete(v, 10, "round %llu is missing in beacons",
                      (unsigned long long) v->draw_round);
        return 0;
    }

    if (!lv_zero(m->seed_commit, 32) && !m->seed_given) {
        lv_incomplete(v, 10, "the seed is missing in reveal");
        return 0;
    }

    p = lv_put(lv_tag(data, "draw-key"), m->mh, 32);
    p = lv_put(p, v->root, 32);
    p = lv_put64(p, v->entries);
    p = lv_put64(p, v->tickets);
    p = lv_put(p, m->chain, 32);
    p = lv_put64(p, v->draw_round);
    p = lv_put(p, beacon, 32);
    p = lv_put(p, m->seed, 32);

    lv_sha256(key, data, p - data);

    if (v->late) {
        lv_incomplete(v, 10, "LATE: drawn by round %llu in place of %llu",
                      (unsigned long long) v->draw_round,
                      (unsigned long long) m->round);
    }

    return 1;
}


static void
lv_draw_picks(lv_t *v, const u_char secret[32], lv_people_t *people)
{
    uint64_t    p, positions;
    lv_hmac_t   key;
    lv_pick_t  *pick;

    positions = (uint64_t) v->last->winners + v->last->alternates;

    lv_hmac_key(&key, secret, 32);

    for (p = 0; p < positions && lv_draw_left(v, people); p++) {
        v->pick = lv_grow(v->pick, v->npicks, sizeof(lv_pick_t));
        pick = &v->pick[v->npicks];

        if (!lv_draw_pick(v, &key, "pick", p, people, pick)) {
            return;
        }

        v->npicks++;
    }
}


/* stops at the first round that is not there yet: nfresh says where */

static void
lv_draw_fresh(lv_t *v, const u_char secret[32], lv_people_t *people)
{
    uint32_t    i;
    lv_dq_t    *dq;
    lv_hmac_t   key;
    lv_pick_t  *pick;

    v->fresh = lv_alloc(v->ndqs, sizeof(lv_pick_t));

    for (i = 0; i < v->ndqs; i++) {
        dq = &v->dq[i];
        pick = &v->fresh[i];

        lv_people_add(people, dq->person);

        if (v->tickets == 0 || !lv_draw_left(v, people)) {
            pick->seq = UINT64_MAX;
            v->nfresh++;
            continue;
        }

        if (!lv_draw_alt_key(v, dq, secret, &key)
            || !lv_draw_pick(v, &key, "alt", dq->k, people, pick))
        {
            return;
        }

        v->nfresh++;
    }
}


static int
lv_draw_alt_key(lv_t *v, const lv_dq_t *dq, const u_char secret[32],
    lv_hmac_t *alt)
{
    u_char    data[256], beacon[32], hash[32], *p;
    uint64_t  round;

    round = lv_round_at(dq->t + 60000) + 1;

    if (!lv_beacon(v, round, beacon)) {
        lv_incomplete(v, 10, "round %llu of dq %u is missing in beacons",
                      (unsigned long long) round, dq->k);
        return 0;
    }

    p = lv_put(lv_tag(data, "alt-key"), secret, 32);
    p = lv_put32(p, dq->k);
    p = lv_put(p, dq->leaf, 32);
    p = lv_put64(p, round);
    p = lv_put(p, beacon, 32);

    lv_sha256(hash, data, p - data);
    lv_hmac_key(alt, hash, 32);

    return 1;
}


/* somebody is left, so that attempts end: or the draw fails loudly */

static int
lv_draw_pick(lv_t *v, const lv_hmac_t *key, const char *tag, uint32_t p,
    lv_people_t *people, lv_pick_t *pick)
{
    uint32_t       a, owner;
    const u_char  *record, *person;

    for (a = 0; lv_pick(key, tag, p, v->tickets, &a, &pick->ticket); a++) {

        record = lv_draw_owner(v, pick->ticket, &owner);

        if (record == NULL) {
            lv_fail(v, 10, "ticket %llu is in no entry",
                    (unsigned long long) pick->ticket);
            return 0;
        }

        person = record + 66;

        if ((v->voided[owner / 8] >> owner % 8 & 1)
            || *lv_people_find(people, person) != NULL)
        {
            continue;
        }

        pick->attempt = a;
        pick->seq = v->owner[owner];
        memcpy(pick->person, person, 32);

        lv_people_add(people, person);

        return 1;
    }

    lv_fail(v, 10, "%s %u: 2^20 attempts", tag, p);

    return 0;
}


static const u_char *
lv_draw_owner(lv_t *v, uint64_t ticket, uint32_t *owner)
{
    uint32_t       low, high, middle;
    const u_char  *p;

    low = 0;
    high = v->nowners;

    /* the last owner whose first ticket is not beyond this one */

    while (high - low > 1) {
        middle = low + (high - low) / 2;
        p = v->records.data + (size_t) v->owner[middle] * LV_ENTRY;

        if (lv_get64(p + 54) <= ticket) {
            low = middle;

        } else {
            high = middle;
        }
    }

    p = v->records.data + (size_t) v->owner[low] * LV_ENTRY;
    *owner = low;

    return ticket - lv_get64(p + 54) < lv_get32(p + 62) ? p : NULL;
}


static int
lv_draw_left(lv_t *v, lv_people_t *people)
{
    uint32_t       i;
    const u_char  *p;

    for ( /* void */ ; people->cursor < v->nowners; people->cursor++) {
        i = people->cursor;
        p = v->records.data + (size_t) v->owner[i] * LV_ENTRY;

        if (people->size == 0) {
            lv_people_add(people, NULL);
        }

        if (!(v->voided[i / 8] >> i % 8 & 1)
            && *lv_people_find(people, p + 66) == NULL)
        {
            return 1;
        }
    }

    return 0;
}


static const u_char **
lv_people_find(lv_people_t *people, const u_char *person)
{
    size_t  i;

    i = lv_get64(person) & (people->size - 1);

    while (people->slot[i] != NULL
           && memcmp(people->slot[i], person, 32) != 0)
    {
        i = (i + 1) & (people->size - 1);
    }

    return &people->slot[i];
}


/* nobody is added when there is nobody: the table is made all the same */

static void
lv_people_add(lv_people_t *people, const u_char *person)
{
    size_t          i, size;
    const u_char  **old, **slot;

    if (2 * people->n >= people->size) {
        old = people->slot;
        size = people->size;

        people->size = size ? 2 * size : 64;
        people->slot = lv_alloc(people->size, sizeof(u_char *));

        for (i = 0; i < size; i++) {
            if (old[i] != NULL) {
                *lv_people_find(people, old[i]) = old[i];
            }
        }

        free(old);
    }

    if (person == NULL) {
        return;
    }

    slot = lv_people_find(people, person);
    people->n += *slot == NULL;
    *slot = person;
}


static int
lv_draw_has_fresh(lv_t *v)
{
    lv_str_t  rest, line;

    rest = lv_file(v, "picks");

    while (lv_line(&rest, &line) == 1) {
        if (lv_prefix(&line, "fresh ")) {
            return 1;
        }
    }

    return 0;
}


/* the lines of who was picked, in their order */

static void
lv_draw_published(lv_t *v)
{
    int         rc;
    uint32_t    picks, k;
    lv_str_t    rest, line;

    rest = lv_file(v, "picks");
    picks = 0;
    k = 0;

    if (rest.len == 0) {
        lv_incomplete(v, 10, "the file picks is missing");
        return;
    }

    for ( ;; ) {
        rc = lv_line(&rest, &line);

        if (rc != 1) {
            break;
        }

        if (lv_prefix(&line, "pick ")) {

            if (picks == v->npicks
                || !lv_draw_same(line, picks, &v->pick[picks]))
            {
                lv_draw_differs(v, "pick", picks);
            }

            picks += picks < v->npicks;
            continue;
        }

        if (lv_prefix(&line, "fresh ")) {

            while (k < v->nfresh && v->fresh[k].seq == UINT64_MAX) {
                k++;
            }

            if (k == v->nfresh && k < v->ndqs) {
                continue;
            }

            if (k == v->nfresh || !lv_draw_same(line, k + 1, &v->fresh[k])) {
                lv_draw_differs(v, "fresh", k + 1);
            }

            k += k < v->nfresh;
        }
    }

    if (rc == -1) {
        lv_fail(v, 10, "picks is cut off");
    }

    if (picks < v->npicks) {
        lv_draw_differs(v, "pick", picks);
    }

    while (k < v->nfresh && v->fresh[k].seq == UINT64_MAX) {
        k++;
    }

    if (k < v->nfresh) {
        lv_incomplete(v, 10, "the fresh alternate of dq %u is missing in"
                      " picks", k + 1);
    }

    lv_info(v, 10, "%u picks, %u fresh alternates", picks, k);
}


static int
lv_draw_same(lv_str_t line, uint64_t number, const lv_pick_t *pick)
{
    u_char    person[32];
    uint64_t  field[4];
    lv_str_t  word;
    unsigned  i;

    for (i = 0; i < 4; i++) {
        if (!lv_word(&line, &word) || !lv_number(word, &field[i])) {
            return 0;
        }
    }

    return lv_hex(line, person, 32) && field[0] == number
           && field[1] == pick->attempt && field[2] == pick->ticket
           && field[3] == pick->seq && memcmp(person, pick->person, 32) == 0;
}


/* without a token of the close note the round is a guess */

static void
lv_draw_differs(lv_t *v, const char *what, uint64_t number)
{
    if (v->unknown_round) {
        lv_incomplete(v, 10, "the round cannot be known without a token of"
                      " the close note");
        return;
    }

    lv_fail(v, 10, "%s %llu is not what the draw gives", what,
            (unsigned long long) number);
}
