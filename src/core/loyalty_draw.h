/*
 * What a draw computes: beacon rounds, the keys and commitments of a
 * campaign, the samplers, odds, and the walk over the positions of a
 * sweepstakes.  FAIRNESS is the definition of all of it.
 *
 * Hashes, keys and seeds are 32 bytes, a campaign's id is 16; dst has room
 * for what it gets.  Texts are pointer and length.  Unless said otherwise a
 * function returns 0, or -1: libcrypto failed, or an argument is out of its
 * range; dst is then zeros or as it was, and nothing may be drawn from it.
 */

#ifndef _LOYALTY_DRAW_H_INCLUDED_
#define _LOYALTY_DRAW_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>

#include "loyalty_hash.h"
#include "loyalty_statement.h"


/* drand quicknet */
#define LOYALTY_GENESIS_MS      1692803367000ULL
#define LOYALTY_ROUND_MS        3000
#define LOYALTY_QUICKNET                                                      \
    "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971"

/* ms */
#define LOYALTY_CLOSE_WAIT_MS   1800000         /* close to round */
#define LOYALTY_DQ_WAIT_MS      60000           /* dq to round */
#define LOYALTY_PLAY_BACK_MS    6000            /* round to play, to epoch */

#define LOYALTY_ATTEMPTS_MAX    (1U << 20)

/* what samplers return beside 0 and -1 */
#define LOYALTY_CTR             1               /* ask with the next ctr */
#define LOYALTY_EXHAUSTED       2               /* 2^20 attempts */
#define LOYALTY_WAITING         3               /* a ticket wants its owner */
#define LOYALTY_DONE            4               /* no position is left */


/*
 * The round that is out at t, ms; 0 before the first.  loyalty_round_time()
 * is when round r, from 1, comes out.
 */
uint64_t loyalty_round_at(uint64_t t);
uint64_t loyalty_round_time(uint64_t r);

/* R of a sweepstakes, R' of a late one (t of the token), R_k of a dq, R_p */
uint64_t loyalty_round_close(uint64_t close);
uint64_t loyalty_round_dq(uint64_t t);
uint64_t loyalty_round_play(uint64_t t);
/* B: the randomness of a round from its signature, 48 bytes in quicknet */
int loyalty_randomness(unsigned char *dst, const void *signature, size_t n);


/* ---- commitments (FAIRNESS 2) ---- */

int loyalty_cid(unsigned char *dst, const void *program, size_t nprogram,
    const void *game, size_t ngame, uint64_t open);

/* K_p: from the master secret, 32 bytes, and the campaign's salt, 16 */
int loyalty_kp(unsigned char *dst, const unsigned char *master,
    const unsigned char *cid, const unsigned char *salt);
int loyalty_kp_commit(unsigned char *dst, const unsigned char *cid,
    const unsigned char *kp);
/* kp is K_p made ready by loyalty_hmac_key() */
int loyalty_person(unsigned char *dst, const loyalty_hmac_t *kp,
    const unsigned char *cid, const void *member, size_t n);
int loyalty_play_id(unsigned char *dst, const loyalty_hmac_t *kp,
    const unsigned char *cid, const unsigned char *person, const void *key,
    size_t n);

int loyalty_seed(unsigned char *dst, const unsigned char *master,
    const unsigned char *cid, uint32_t version);
/* Z when the seed is Z */
int loyalty_seed_commit(unsigned char *dst, const unsigned char *cid,
    uint32_t version, const unsigned char *seed);

/* the Ed25519 seed of a program, for loyalty_signer_init() */
int loyalty_sign_seed(unsigned char *dst, const unsigned char *master,
    const void *program, size_t n);

/* salt: 16 bytes; id: the event's id, or of bought tickets the key */
int loyalty_entry_commit(unsigned char *dst, const unsigned char *salt,
    const void *member, size_t nmember, const void *id, size_t nid);


/* ---- keys of a sweepstakes (FAIRNESS 3) ---- */

/*
 * chain, randomness (B_R) and seed may be Z, round 0.  leaf is the RFC 6962
 * leaf hash of the dq record.
 */
int loyalty_draw_key(unsigned char *dst, const unsigned char *mh,
    const unsigned char *root, uint64_t entries, uint64_t tickets,
    const unsigned char *chain, uint64_t round,
    const unsigned char *randomness, const unsigned char *seed);
int loyalty_alt_key(unsigned char *dst, const unsigned char *draw_key,
    uint32_t k, const unsigned char *leaf, uint64_t round,
    const unsigned char *randomness);


/* ---- samplers ---- */

/*
 * pick(): uniform over 0 … n - 1, n from 1.  *a is the first attempt that
 * may be made, and then the one that was accepted; to skip it, go on with
 * *a + 1.  0, -1, or LOYALTY_EXHAUSTED when *a reached 2^20.
 */
int loyalty_pick(const loyalty_hmac_t *key, const char *tag, uint32_t p,
    uint64_t n, uint32_t *a, uint64_t *x);

/* pick48(): 0, -1 (n is 0 or over 2^48), or LOYALTY_CTR */
int loyalty_pick48(const unsigned char *u, uint64_t n, uint64_t *r);


/* ---- odds, decks ---- */

/* lowest terms; 0/0 stays */
void loyalty_odds_lowest(uint64_t *num, uint64_t *den);

/*
 * The common denominator n of a table's odds and the weight of each row:
 * exact, or -1: odds of 0, over 1, or over 1 in sum; a denominator or n that
 * reaches 2^40.
 */
int loyalty_odds(const loyalty_prize_t *prizes, size_t count, uint64_t *n,
    uint64_t *weights);

/* the row that r falls into, or count: past the end */
size_t loyalty_walk(const uint64_t *weights, size_t count, uint64_t r);


/*
 * The positions of a sweepstakes, one ticket at a time, so that the caller
 * may look up the ticket's owner as it can, and in slices:
 *
 *     loyalty_winners_init(&w, chosen, index, places, tickets, persons);
 *     loyalty_winners_range(&w, &draw_key, "pick", 0, winners + alternates);
 *
 *     for ( ;; ) {
 *         rc = loyalty_winners_next(&w);
 *         if (rc != LOYALTY_WAITING) break;
 *         look up w.ticket: its entry's person, and whether it was voided;
 *         rc = loyalty_winners_owner(&w, person, voided);
 *         if (rc == 0) w.ticket fills w.position on attempt w.attempt;
 *     }
 *
 * next() gives LOYALTY_WAITING, or at the end LOYALTY_DONE, LOYALTY_EXHAUSTED
 * or -1.  owner() gives 0, or LOYALTY_WAITING when the ticket is passed over,
 * or -1.  persons is how many different persons hold a ticket that is not
 * void: when all of them are chosen, DONE comes early and w.position is the
 * first position that stays empty.
 *
 * A fresh alternate k: loyalty_winners_exclude() each person whom the
 * protocol names, then the range "alt" from k to k + 1 under K_alt.
 */

typedef struct {
    const loyalty_hmac_t  *key;
    const char            *tag;
    uint64_t               tickets;
    uint64_t               ticket;
    uint64_t               persons;
    uint32_t               position;
    uint32_t               end;                 /* behind the last position */
    uint32_t               attempt;
    uint32_t               state;

    unsigned char        (*chosen)[LOYALTY_HASH];
    uint32_t              *index;               /* hash table over chosen */
    uint32_t               mask;
    uint32_t               nchosen;
    uint32_t               places;
} loyalty_winners_t;


/* numbers that the index for so many places has: a power of two */
size_t loyalty_winners_index(uint32_t places);

/*
 * The memory is the caller's: chosen has room for "places" persons, all that
 * are picked or excluded, 1 to 2^24; index for loyalty_winners_index().
 */
int loyalty_winners_init(loyalty_winners_t *w,
    unsigned char (*chosen)[LOYALTY_HASH], uint32_t *index, uint32_t places,
    uint64_t tickets, uint64_t persons);
int loyalty_winners_exclude(loyalty_winners_t *w,
    const unsigned char *person);
/* 1: the person is picked or excluded */
int loyalty_winners_has(loyalty_winners_t *w, const unsigned char *person);
int loyalty_winners_range(loyalty_winners_t *w, const loyalty_hmac_t *key,
    const char *tag, uint32_t first, uint32_t end);
int loyalty_winners_next(loyalty_winners_t *w);
int loyalty_winners_owner(loyalty_winners_t *w, const unsigned char *person,
    int voided);


#endif /* _LOYALTY_DRAW_H_INCLUDED_ */
