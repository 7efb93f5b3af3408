/*
 * Final outcomes of draws, counted and held against what they should be by
 * Pearson's chi-square test.  Keys come from fixed seeds: a run with so many
 * outcomes has the same result every time.
 *
 * Each function below plays a game as the protocol says, tickets and prizes
 * and all, and gives the p of what came out.
 */

#ifndef _OUTCOMES_H_INCLUDED_
#define _OUTCOMES_H_INCLUDED_


#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loyalty_chain.h"
#include "loyalty_draw.h"
#include "loyalty_moments.h"


#define OUTCOMES_P      1e-4         /* the least p that passes */
#define OUTCOMES_CELLS  1024

#define outcomes_check(rc)                                                    \
    do {                                                                      \
        if ((rc) != 0) {                                                      \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #rc);          \
            exit(2);                                                          \
        }                                                                     \
    } while (0)


typedef struct {
    size_t       cells;
    uint64_t     n;
    uint64_t     seen[OUTCOMES_CELLS];
    double       want[OUTCOMES_CELLS];        /* probabilities */
} tally_t;


typedef struct {
    const char  *name;
    double     (*p)(uint64_t n);
} outcome_t;


/* five persons with one to five tickets, one after another */

#define OUTCOMES_PERSONS  5
#define OUTCOMES_TICKETS  15

static const uint64_t  outcomes_held[] = { 1, 2, 3, 4, 5 };


/* ---- chi-square ---- */


/* the upper tail of the gamma distribution, Q(a, x) */

static inline double
gamma_q(double a, double x)
{
    int     i;
    double  sum, term, b, c, d, h, an;

    if (x <= 0) {
        return 1;
    }

    if (x < a + 1) {
        sum = term = 1 / a;

        for (i = 1; i < 100000 && term > sum * 1e-15; i++) {
            term *= x / (a + i);
            sum += term;
        }

        return 1 - sum * exp(a * log(x) - x - lgamma(a));
    }

    b = x + 1 - a;
    c = 1e300;
    d = 1 / b;
    h = d;

    for (i = 1; i < 100000; i++) {
        an = -i * (i - a);
        b += 2;
        d = 1 / (an * d + b);
        c = b + an / c;
        h *= d * c;

        if (fabs(d * c - 1) < 1e-15) {
            break;
        }
    }

    return h * exp(a * log(x) - x - lgamma(a));
}


static inline double
tally_p(const tally_t *t)
{
    size_t    i, possible;
    double    x, want;
    uint64_t  n;

    x = 0;
    n = 0;
    possible = 0;

    for (i = 0; i < t->cells; i++) {
        want = t->want[i] * (double) t->n;
        n += t->seen[i];

        if (want == 0) {
            if (t->seen[i] != 0) {
                return 0;
            }

            continue;
        }

        possible++;
        x += ((double) t->seen[i] - want) * ((double) t->seen[i] - want)
             / want;
    }

    /* what is in no cell should not be */

    if (n != t->n) {
        return 0;
    }

    return gamma_q(((double) possible - 1) / 2, x / 2);
}


static inline void
tally_init(tally_t *t, size_t cells)
{
    size_t  i;

    memset(t, 0, sizeof(tally_t));
    t->cells = cells;

    for (i = 0; i < cells; i++) {
        t->want[i] = 1 / (double) cells;
    }
}


static inline void
tally_add(tally_t *t, uint64_t cell)
{
    if (cell < t->cells) {
        t->seen[cell]++;
    }

    t->n++;
}


static inline void
outcomes_key(loyalty_hmac_t *key, const char *name, uint64_t i)
{
    loyalty_sha_t  s;
    unsigned char  hash[LOYALTY_HASH];

    loyalty_sha_init(&s);
    loyalty_sha_raw(&s, name, strlen(name));
    loyalty_sha_u64(&s, i);
    outcomes_check(loyalty_sha_final(&s, hash));
    outcomes_check(loyalty_hmac_key(key, hash, sizeof(hash)));
}


/* ---- instant wins ---- */


/* r of a play: the least ctr that is accepted */

static inline uint64_t
outcomes_play(const loyalty_hmac_t *key, uint32_t e, uint64_t round,
    uint32_t person, uint32_t idx, uint64_t n)
{
    uint32_t       ctr;
    uint64_t       r;
    unsigned char  mh[LOYALTY_HASH], b[LOYALTY_HASH], who[LOYALTY_HASH];
    unsigned char  u[LOYALTY_HASH];

    memset(mh, 1, sizeof(mh));
    memset(b, 2, sizeof(b));
    memset(who, 3, sizeof(who));
    loyalty_put_u32(who, person);

    for (ctr = 0; ctr < 64; ctr++) {
        outcomes_check(loyalty_play_u(u, key, mh, e, round, b, who, idx,
                                      ctr));

        switch (loyalty_pick48(u, n, &r)) {

        case 0:
            return r;

        case LOYALTY_CTR:
            break;

        default:
            exit(2);
        }
    }

    return UINT64_MAX;
}


/* 1/100, 1/20, 1/6 and nothing: many persons, each plays a few times */

static inline double
outcomes_win_rate(uint64_t n)
{
    uint64_t         i, common, weights[3];
    tally_t          t;
    loyalty_hmac_t   key;
    loyalty_prize_t  prizes[3];

    memset(prizes, 0, sizeof(prizes));
    prizes[0].num = prizes[1].num = prizes[2].num = 1;
    prizes[0].den = 100;
    prizes[1].den = 20;
    prizes[2].den = 6;
    outcomes_check(loyalty_odds(prizes, 3, &common, weights));

    tally_init(&t, 4);
    t.want[0] = 1. / 100;
    t.want[1] = 1. / 20;
    t.want[2] = 1. / 6;
    t.want[3] = 1 - t.want[0] - t.want[1] - t.want[2];

    outcomes_key(&key, "win rate", 0);

    for (i = 0; i < n; i++) {
        tally_add(&t, loyalty_walk(weights, 3,
                      outcomes_play(&key, 1, i / 1000, (uint32_t) (i / 5),
                                    i % 5, common)));
    }

    return tally_p(&t);
}


/* of each stretch of r the same share, where 2^48 is no multiple of n */

static inline double
outcomes_range48(uint64_t n)
{
    uint64_t        i;
    tally_t         t;
    loyalty_hmac_t  key;

    const uint64_t  range = 3ULL << 46;

    tally_init(&t, 48);
    outcomes_key(&key, "range48", 0);

    for (i = 0; i < n; i++) {
        tally_add(&t, outcomes_play(&key, 1, 1, (uint32_t) i, 0, range)
                      / (range / 48));
    }

    return tally_p(&t);
}


/* a small range to its ends */

static inline double
outcomes_faces(uint64_t n)
{
    uint64_t        i;
    tally_t         t;
    loyalty_hmac_t  key;

    tally_init(&t, 6);
    outcomes_key(&key, "faces", 0);

    for (i = 0; i < n; i++) {
        tally_add(&t, outcomes_play(&key, 1, 1, (uint32_t) i, 0, 6));
    }

    return tally_p(&t);
}


/* a person's play, and the next one under the same (e, R_p) */

static inline double
outcomes_next_play(uint64_t n)
{
    uint64_t        i, first;
    tally_t         t;
    loyalty_hmac_t  key;

    tally_init(&t, 100);
    outcomes_key(&key, "next play", 0);

    for (i = 0; i < n; i++) {
        first = outcomes_play(&key, 1, 1, (uint32_t) i, 0, 10);
        tally_add(&t, first * 10
                      + outcomes_play(&key, 1, 1, (uint32_t) i, 1, 10));
    }

    return tally_p(&t);
}


/* in which play of a deck of twelve the one car comes, to the last card */

static inline double
outcomes_deck(uint64_t n)
{
    size_t          row;
    tally_t         t;
    uint64_t        i, left[4], cards, position, car;
    loyalty_hmac_t  key;

    tally_init(&t, 12);

    for (i = 0; i < n; i++) {
        outcomes_key(&key, "deck", i);

        left[0] = 2;
        left[1] = 1;                          /* the car */
        left[2] = 3;
        left[3] = 6;
        car = UINT64_MAX;

        for (position = 0; position < 12; position++) {
            cards = 12 - position;
            row = loyalty_walk(left, 4, outcomes_play(&key, 1, position, 7,
                                                      0, cards));
            if (row == 4 || left[row] == 0) {
                return 0;
            }

            left[row]--;

            if (row == 1) {
                car = position;
            }
        }

        tally_add(&t, car);
    }

    return tally_p(&t);
}


/* when the units of a stock are due; the last epoch is a shorter one */

static inline double
outcomes_moments(uint64_t n)
{
    int                rc;
    tally_t            t;
    uint32_t           e, units, k;
    uint64_t           i, *at, start, length;
    unsigned char      epoch_key[LOYALTY_HASH];
    loyalty_sha_t      s;
    loyalty_epochs_t   epochs;
    loyalty_moments_t  m;

    units = (n < 50000) ? (uint32_t) n : 50000;
    at = malloc(units * sizeof(uint64_t));

    if (at == NULL) {
        exit(2);
    }

    outcomes_check(loyalty_epochs_init(&epochs, 1736266200000ULL,
                                       1736266200000ULL + 1010000, 60000));
    tally_init(&t, epochs.epochs * 20);

    for (i = 0; i < n; i += units) {
        outcomes_check(loyalty_moments_init(&m, &epochs, at, units));

        for (e = 1; e <= epochs.epochs; e++) {
            loyalty_sha_init(&s);
            loyalty_sha_u64(&s, i);
            loyalty_sha_u32(&s, e);
            outcomes_check(loyalty_sha_final(&s, epoch_key));
            outcomes_check(loyalty_moments_epoch(&m, &epochs, e,
                                                 epoch_key));
            while ((rc = loyalty_moments_place(&m, 1000)) == 1) { /* void */ }

            outcomes_check(rc);
        }

        for (k = 0; k < units; k++) {
            e = loyalty_epoch(&epochs, at[k]);

            if (e == 0) {
                free(at);
                return 0;
            }

            start = loyalty_epoch_start(&epochs, e);
            length = loyalty_epoch_end(&epochs, e) - start;
            tally_add(&t, (e - 1) * 20 + (at[k] - start) * 20 / length);
        }
    }

    free(at);

    return tally_p(&t);
}


/* ---- sweepstakes ---- */


/* the same share of each stretch, where 2^64 is no multiple of n */

static inline double
outcomes_range64(uint64_t n)
{
    uint32_t        a;
    uint64_t        i, x;
    tally_t         t;
    loyalty_hmac_t  key;

    const uint64_t  range = 3ULL << 62;

    tally_init(&t, 48);
    outcomes_key(&key, "range64", 0);

    for (i = 0; i < n; i++) {
        a = 0;
        outcomes_check(loyalty_pick(&key, "pick", (uint32_t) i, range, &a,
                                    &x));
        tally_add(&t, x / (range / 48));
    }

    return tally_p(&t);
}


/* an attempt, and the next one of the same position */

static inline double
outcomes_next_attempt(uint64_t n)
{
    uint32_t        a;
    uint64_t        i, x, y;
    tally_t         t;
    loyalty_hmac_t  key;

    tally_init(&t, 100);
    outcomes_key(&key, "next attempt", 0);

    for (i = 0; i < n; i++) {
        a = 0;
        outcomes_check(loyalty_pick(&key, "pick", (uint32_t) i, 10, &a,
                                    &x));
        a++;
        outcomes_check(loyalty_pick(&key, "pick", (uint32_t) i, 10, &a,
                                    &y));
        tally_add(&t, x * 10 + y);
    }

    return tally_p(&t);
}


/*
 * Fills the positions; who[i] is the person of position first + i, from 0.
 * Tickets of "voided" are void.
 */

static inline void
outcomes_fill(loyalty_winners_t *w, const loyalty_hmac_t *key,
    const char *tag, uint32_t first, uint32_t end, int voided, size_t *who)
{
    int            rc;
    size_t         person;
    unsigned char  hash[LOYALTY_HASH];

    outcomes_check(loyalty_winners_range(w, key, tag, first, end));

    while ((rc = loyalty_winners_next(w)) == LOYALTY_WAITING) {
        person = loyalty_walk(outcomes_held, OUTCOMES_PERSONS, w->ticket);

        memset(hash, 0, sizeof(hash));
        loyalty_put_u32(hash, (uint32_t) person);

        if (loyalty_winners_owner(w, hash, (int) person == voided) == 0) {
            who[w->position - first] = person;
        }
    }

    if (rc != LOYALTY_DONE) {
        exit(2);
    }
}


/* the probability of one person after another, with 0 … 2 of them gone */

static inline double
outcomes_share(size_t person, size_t gone, size_t also)
{
    double  all;

    if (person == gone || person == also || gone == also) {
        return 0;
    }

    all = OUTCOMES_TICKETS;
    all -= (gone < OUTCOMES_PERSONS) ? (double) outcomes_held[gone] : 0;
    all -= (also < OUTCOMES_PERSONS) ? (double) outcomes_held[also] : 0;

    return (double) outcomes_held[person] / all;
}


/*
 * Who is first, second and third.  Third is a listed alternate, or, when the
 * first was disqualified, a fresh one: then under another key and tag.
 */

static inline double
outcomes_three(uint64_t n, const char *name, int fresh)
{
    size_t             i, j, k, who[3];
    tally_t            t;
    uint64_t           draw;
    uint32_t           index[16];
    unsigned char      chosen[8][LOYALTY_HASH];
    loyalty_hmac_t     key;
    loyalty_winners_t  w;

    tally_init(&t, 125);

    for (i = 0; i < 5; i++) {
        for (j = 0; j < 5; j++) {
            for (k = 0; k < 5; k++) {
                t.want[25 * i + 5 * j + k] = outcomes_share(i, 5, 6)
                                             * outcomes_share(j, i, 6)
                                             * outcomes_share(k, i, j);
            }
        }
    }

    for (draw = 0; draw < n; draw++) {
        outcomes_key(&key, name, draw);
        outcomes_check(loyalty_winners_init(&w, chosen, index, 8,
                                            OUTCOMES_TICKETS,
                                            OUTCOMES_PERSONS));
        if (fresh) {
            outcomes_fill(&w, &key, "pick", 0, 2, -1, who);
            outcomes_fill(&w, &key, "alt", 1, 2, -1, who + 2);

        } else {
            outcomes_fill(&w, &key, "pick", 0, 3, -1, who);
        }

        tally_add(&t, 25 * who[0] + 5 * who[1] + who[2]);
    }

    return tally_p(&t);
}


static inline double
outcomes_listed(uint64_t n)
{
    return outcomes_three(n, "listed", 0);
}


static inline double
outcomes_fresh(uint64_t n)
{
    return outcomes_three(n, "fresh", 1);
}


/* the first winner, when the person with three tickets was voided */

static inline double
outcomes_voided(uint64_t n)
{
    size_t             i, who[1];
    tally_t            t;
    uint64_t           draw;
    uint32_t           index[16];
    unsigned char      chosen[8][LOYALTY_HASH];
    loyalty_hmac_t     key;
    loyalty_winners_t  w;

    tally_init(&t, OUTCOMES_PERSONS);

    for (i = 0; i < OUTCOMES_PERSONS; i++) {
        t.want[i] = outcomes_share(i, 2, 6);
    }

    for (draw = 0; draw < n; draw++) {
        outcomes_key(&key, "voided", draw);
        outcomes_check(loyalty_winners_init(&w, chosen, index, 8,
                                            OUTCOMES_TICKETS,
                                            OUTCOMES_PERSONS - 1));
        outcomes_fill(&w, &key, "pick", 0, 1, 2, who);
        tally_add(&t, who[0]);
    }

    return tally_p(&t);
}


static const outcome_t  outcomes[] = {
    { "win rate of odds",                  outcomes_win_rate },
    { "shares of a range below 2^48",      outcomes_range48 },
    { "each number of a small range",      outcomes_faces },
    { "a play and the next one",           outcomes_next_play },
    { "position of a card in its deck",    outcomes_deck },
    { "winning moments",                   outcomes_moments },
    { "shares of a range below 2^64",      outcomes_range64 },
    { "an attempt and the next one",       outcomes_next_attempt },
    { "winners and a listed alternate",    outcomes_listed },
    { "winners and a fresh alternate",     outcomes_fresh },
    { "winners beside voided tickets",     outcomes_voided }
};


#define OUTCOMES  (sizeof(outcomes) / sizeof(outcomes[0]))


#endif /* _OUTCOMES_H_INCLUDED_ */
