/*
 * Winning moments (FAIRNESS 4): every unit of the stock is placed, epoch by
 * epoch, at a millisecond that nobody knew before the epoch began.  An epoch
 * is placed under its own key, in slices: up to 10^8 samples a campaign.
 */

#ifndef _LOYALTY_MOMENTS_H_INCLUDED_
#define _LOYALTY_MOMENTS_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>

#include "loyalty_chain.h"


#define LOYALTY_MOMENTS_MAX  100000000ULL    /* units times epochs */
#define LOYALTY_UNPLACED     UINT64_MAX


typedef struct {
    uint64_t          *at;                   /* ms, or LOYALTY_UNPLACED */
    uint32_t           units;
    uint32_t           epoch;                /* the last one that was begun */
    uint32_t           unit;                 /* the next one to look at */
    uint64_t           start;                /* of the epoch */
    uint64_t           length;
    uint64_t           left;                 /* epochs - e + 1 */
    loyalty_hmac_t     key;                  /* K_e */
} loyalty_moments_t;


/* the caller's array of "units" times becomes unplaced; -1: 10^8 passed */
int loyalty_moments_init(loyalty_moments_t *m,
    const loyalty_epochs_t *epochs, uint64_t *at, uint32_t units);

/*
 * Units that a later version adds: at is a larger array that begins with the
 * old one's times.  Between epochs only.
 */
int loyalty_moments_grow(loyalty_moments_t *m,
    const loyalty_epochs_t *epochs, uint64_t *at, uint32_t units);

/*
 * Places one epoch: begin with K_e, then steps until 0.  Epochs follow each
 * other without a gap, -1 otherwise.  After a restart begin anew with epoch
 * 1, or set m->epoch and the times to what was kept.
 *
 * loyalty_moments_place() looks at up to so many units, about 0.5 µs each,
 * placed ones are nearly free: 1 when the epoch has more, 0 when it is done,
 * -1 on failure: nothing was placed wrongly, and it may be called again.
 */
int loyalty_moments_epoch(loyalty_moments_t *m,
    const loyalty_epochs_t *epochs, uint32_t e,
    const unsigned char *epoch_key);
int loyalty_moments_place(loyalty_moments_t *m, uint32_t steps);

/*
 * The placed units in the order in which they are due, time and then number:
 * order has room for m->units, the return value is how many there are.
 */
uint32_t loyalty_moments_order(const loyalty_moments_t *m, uint32_t *order);


#endif /* _LOYALTY_MOMENTS_H_INCLUDED_ */
