/*
 * Rounds of a beacon: what a relay says about one, and the table in which
 * rounds are kept.
 *
 * A relay's word for a round's randomness is checked and never used: it is
 * computed from the signature.
 *
 * The table is plain memory without pointers, for processes to share; who
 * shares it locks it.  It holds the newest rounds, so many of them, and any
 * rounds that were wanted in particular.  A round that is held does not
 * change.
 */

#ifndef _LOYALTY_BEACON_H_INCLUDED_
#define _LOYALTY_BEACON_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>

#include "loyalty_hash.h"


#define LOYALTY_BEACON_SIG       48          /* bytes of a signature */
#define LOYALTY_BEACON_JSON      4096        /* most bytes of a reply */
#define LOYALTY_BEACON_RECENT    64
#define LOYALTY_BEACON_WANTED    512

/* what loyalty_beacons_put() returns beside 0 and -1 */
#define LOYALTY_BEACON_SAME      1           /* it is held already */
#define LOYALTY_BEACON_OTHER     2           /* with another signature */


typedef struct {
    uint64_t       round;                    /* 0: none */
    uint32_t       source;                   /* the caller's */
    unsigned char  sig[LOYALTY_BEACON_SIG];
    unsigned char  b[LOYALTY_HASH];
} loyalty_beacon_t;


typedef struct {
    uint64_t          seq;                   /* of wants */
    loyalty_beacon_t  newest;
    loyalty_beacon_t  recent[LOYALTY_BEACON_RECENT];

    /* of place i: the round, 0 for none; when; and what, once it is held */
    uint64_t          wanted[LOYALTY_BEACON_WANTED];
    uint64_t          order[LOYALTY_BEACON_WANTED];
    loyalty_beacon_t  held[LOYALTY_BEACON_WANTED];
} loyalty_beacons_t;


/* computes b; 0, or -1: libcrypto failed */
int loyalty_beacon_set(loyalty_beacon_t *beacon, uint64_t round,
    const unsigned char *sig, unsigned source);

/*
 * {"round":N,"randomness":"HEX","signature":"HEX"}, as drand's relays answer
 * /CHAIN/public/ROUND.  0, or -1 and *error in words: no such JSON, another
 * round than this one, a randomness that is not the signature's hash.
 */
int loyalty_beacon_parse(loyalty_beacon_t *beacon, const void *json, size_t n,
    uint64_t round, const char **error);


/* all zeros is an empty table */

/* NULL: not held */
const loyalty_beacon_t *loyalty_beacons_get(const loyalty_beacons_t *table,
    uint64_t round);

/*
 * The round will be needed.  0, or -1: every place is taken by a round that
 * is wanted and not there.
 */
int loyalty_beacons_want(loyalty_beacons_t *table, uint64_t round);

/* 0: held now; SAME, OTHER; -1: no place for it */
int loyalty_beacons_put(loyalty_beacons_t *table,
    const loyalty_beacon_t *beacon);

/*
 * Wanted rounds that are not there and not later than "latest", from place
 * *i on, which moves behind it; 0: no more.
 */
uint64_t loyalty_beacons_missing(const loyalty_beacons_t *table,
    uint64_t latest, unsigned *i);

/* how many are held, and how many wanted and not there */
void loyalty_beacons_count(const loyalty_beacons_t *table, unsigned *held,
    unsigned *wanted);


#endif /* _LOYALTY_BEACON_H_INCLUDED_ */
