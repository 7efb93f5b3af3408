/*
 * The epochs of an instant win (FAIRNESS 4): when they are, the chain of
 * secrets that opens one epoch after the other, and what a play draws from.
 *
 * c_epochs comes from the master secret, each c_(i-1) from c_i, and c_0, the
 * anchor, is published before the first play.  Who has c_i has all before
 * it, and none after it.  Some of the chain is kept so that any c_e is at
 * most "every" steps away; the memory holds secrets: loyalty_wipe() it.
 */

#ifndef _LOYALTY_CHAIN_H_INCLUDED_
#define _LOYALTY_CHAIN_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>

#include "loyalty_draw.h"


#define LOYALTY_EPOCH_MS    60000           /* L where nothing else is said */


/* ---- the clock of a campaign; all in ms ---- */

typedef struct {
    uint64_t         open;
    uint64_t         close;
    uint32_t         length;                /* L */
    uint32_t         epochs;
} loyalty_epochs_t;


/*
 * 0, or -1: no length, close not after open, instants that reach 2^53, over
 * LOYALTY_EPOCHS_MAX epochs, or an open before the beacon's first round.
 */
int loyalty_epochs_init(loyalty_epochs_t *epochs, uint64_t open,
    uint64_t close, uint32_t length);

/* e(t), 1 … epochs; 0 when t is not in [open, close) */
uint32_t loyalty_epoch(const loyalty_epochs_t *epochs, uint64_t t);
/* e is 1 … epochs */
uint64_t loyalty_epoch_start(const loyalty_epochs_t *epochs, uint32_t e);
uint64_t loyalty_epoch_end(const loyalty_epochs_t *epochs, uint32_t e);
uint64_t loyalty_epoch_round(const loyalty_epochs_t *epochs, uint32_t e);


/* ---- the chain ---- */

typedef struct {
    unsigned char    cid[LOYALTY_CID];
    uint32_t         epochs;
    uint32_t         every;
    uint32_t         at;                    /* c is c_at while it is built */
    unsigned char    c[LOYALTY_HASH];

    /* points[j] is c_(j * every), the last one is the tip */
    unsigned char  (*points)[LOYALTY_HASH];
} loyalty_chain_t;


/* hashes that points has: one each "every" epochs, and the tip */
size_t loyalty_chain_points(uint32_t epochs, uint32_t every);

/*
 * Starts at the tip.  Then loyalty_chain_build() takes up to so many steps
 * (5 million a second and core, or so) and returns 1 while there are more, 0
 * when all points are there, -1 on failure.
 */
int loyalty_chain_init(loyalty_chain_t *chain, const unsigned char *master,
    const unsigned char *cid, uint32_t version, uint32_t epochs,
    uint32_t every, unsigned char (*points)[LOYALTY_HASH]);
int loyalty_chain_build(loyalty_chain_t *chain, uint32_t steps);

/* c_e of a built chain, e from 0 (the anchor) to epochs */
int loyalty_chain_get(const loyalty_chain_t *chain, uint32_t e,
    unsigned char *dst);

/* c_(i-1) from c_i; dst may be c */
int loyalty_chain_step(unsigned char *dst, const unsigned char *cid,
    uint32_t i, const unsigned char *c);
/* c_epochs itself */
int loyalty_chain_tip(unsigned char *dst, const unsigned char *master,
    const unsigned char *cid, uint32_t version, uint32_t epochs);


/* ---- what a play draws from ---- */

/* K_e; without a beacon chain (its hash) and randomness are Z, round is 0 */
int loyalty_epoch_key(unsigned char *dst, const unsigned char *c,
    const unsigned char *mh, uint32_t e, const unsigned char *chain,
    uint64_t round, const unsigned char *randomness);

/* u; epoch_key is K_e made ready by loyalty_hmac_key() */
int loyalty_play_u(unsigned char *dst, const loyalty_hmac_t *epoch_key,
    const unsigned char *mh, uint32_t e, uint64_t round,
    const unsigned char *randomness, const unsigned char *person,
    uint32_t idx, uint32_t ctr);


#endif /* _LOYALTY_CHAIN_H_INCLUDED_ */
