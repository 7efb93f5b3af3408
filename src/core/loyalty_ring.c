/*
 * The ring: slots that change hands by one atomic word each.
 *
 * Words lie side by side in front of the slots: whoever looks for a free slot
 * or for those of the dead reads them alone.
 */

#include "loyalty_ring.h"

#include <string.h>


#define LOYALTY_RING_FORMAT  0x31474e4952594f4cULL       /* "LOYRING1" */
#define LOYALTY_RING_ALIGN   64

#define loyalty_ring_make(owner, state)                                      \
    (((uint64_t) (owner) << 8) | (state))


static unsigned char *loyalty_ring_slot(loyalty_ring_t *ring, size_t slot);
static size_t loyalty_ring_head(size_t nslots);
static int loyalty_ring_change(loyalty_ring_t *ring, size_t slot,
    uint64_t from, uint64_t to);


size_t
loyalty_ring_slots(size_t size)
{
    size_t  n;

    if (size < LOYALTY_RING_ALIGN + loyalty_ring_head(0)) {
        return 0;
    }

    n = size / (LOYALTY_RECORD + sizeof(uint64_t));

    while (n > 0 && loyalty_ring_head(n) + n * LOYALTY_RECORD > size) {
        n--;
    }

    return n;
}


/* what lies before the slots */

static size_t
loyalty_ring_head(size_t nslots)
{
    size_t  size;

    size = offsetof(loyalty_ring_t, words) + nslots * sizeof(uint64_t);

    return (size + LOYALTY_RING_ALIGN - 1) & ~(size_t) (LOYALTY_RING_ALIGN - 1);
}


static unsigned char *
loyalty_ring_slot(loyalty_ring_t *ring, size_t slot)
{
    return (unsigned char *) ring + loyalty_ring_head(ring->nslots)
           + slot * LOYALTY_RECORD;
}


loyalty_ring_t *
loyalty_ring_init(void *p, size_t size)
{
    size_t           n;
    loyalty_ring_t  *ring;

    n = loyalty_ring_slots(size);

    if (n == 0) {
        return NULL;
    }

    ring = p;
    memset(ring, 0, loyalty_ring_head(n));

    ring->format = LOYALTY_RING_FORMAT;
    ring->nslots = n;

    return ring;
}


int64_t
loyalty_ring_claim(loyalty_ring_t *ring, uint64_t me, size_t *hint)
{
    size_t  i, n;

    if (loyalty_ring_used(ring) >= (int64_t) ring->nslots) {
        return LOYALTY_RING_FULL;
    }

    i = *hint % ring->nslots;

    for (n = 0; n < ring->nslots; n++) {

        if (loyalty_ring_word(ring, i) == 0
            && loyalty_ring_change(ring, i, 0,
                                   loyalty_ring_make(me,
                                                     LOYALTY_RING_WRITING)))
        {
            (void) __atomic_add_fetch(&ring->used, 1, __ATOMIC_RELAXED);
            *hint = i + 1;
            return (int64_t) i;
        }

        i++;

        if (i == ring->nslots) {
            i = 0;
        }
    }

    return LOYALTY_RING_FULL;
}


unsigned char *
loyalty_ring_payload(loyalty_ring_t *ring, size_t slot)
{
    return loyalty_ring_slot(ring, slot) + LOYALTY_RECORD_HEAD;
}


void
loyalty_ring_publish(loyalty_ring_t *ring, size_t slot, uint64_t me,
    size_t len)
{
    uint64_t  seq;

    seq = __atomic_add_fetch(&ring->seq, 1, __ATOMIC_RELAXED);

    (void) loyalty_record_seal(loyalty_ring_slot(ring, slot), seq, len);

    /* all of the record is written before this */

    (void) loyalty_ring_change(ring, slot,
                               loyalty_ring_make(me, LOYALTY_RING_WRITING),
                               loyalty_ring_make(me, LOYALTY_RING_READY));
}


void
loyalty_ring_cancel(loyalty_ring_t *ring, size_t slot, uint64_t me)
{
    (void) loyalty_ring_clear(ring, slot,
                              loyalty_ring_make(me, LOYALTY_RING_WRITING));
}


uint64_t
loyalty_ring_word(loyalty_ring_t *ring, size_t slot)
{
    return __atomic_load_n(&ring->words[slot], __ATOMIC_ACQUIRE);
}


static int
loyalty_ring_change(loyalty_ring_t *ring, size_t slot, uint64_t from,
    uint64_t to)
{
    return __atomic_compare_exchange_n(&ring->words[slot], &from, to, 0,
                                       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
           ? 1 : 0;
}


int
loyalty_ring_read(loyalty_ring_t *ring, size_t slot, uint64_t me,
    loyalty_record_t *record)
{
    if (loyalty_ring_word(ring, slot)
        != loyalty_ring_make(me, LOYALTY_RING_READY))
    {
        return -1;
    }

    return loyalty_spool_next(loyalty_ring_slot(ring, slot), LOYALTY_RECORD, 1,
                              record)
           == LOYALTY_SPOOL_RECORD ? 0 : 1;
}


uint64_t
loyalty_ring_seq(loyalty_ring_t *ring, size_t slot)
{
    return loyalty_record_seq(loyalty_ring_slot(ring, slot));
}


int
loyalty_ring_adopt(loyalty_ring_t *ring, size_t slot, uint64_t word,
    uint64_t me)
{
    return loyalty_ring_state(word) == LOYALTY_RING_READY
           && loyalty_ring_change(ring, slot, word,
                                  loyalty_ring_make(me, LOYALTY_RING_READY));
}


int
loyalty_ring_clear(loyalty_ring_t *ring, size_t slot, uint64_t word)
{
    if (word == 0 || !loyalty_ring_change(ring, slot, word, 0)) {
        return 0;
    }

    (void) __atomic_sub_fetch(&ring->used, 1, __ATOMIC_RELAXED);

    return 1;
}


int
loyalty_ring_offer(loyalty_ring_t *ring, size_t slot, uint64_t me)
{
    return loyalty_ring_change(ring, slot,
                               loyalty_ring_make(me, LOYALTY_RING_READY),
                               loyalty_ring_make(0, LOYALTY_RING_READY));
}


int
loyalty_ring_done(loyalty_ring_t *ring, size_t slot, uint64_t me)
{
    return loyalty_ring_clear(ring, slot,
                              loyalty_ring_make(me, LOYALTY_RING_READY));
}


int64_t
loyalty_ring_used(loyalty_ring_t *ring)
{
    return __atomic_load_n(&ring->used, __ATOMIC_RELAXED);
}


int64_t
loyalty_ring_recount(loyalty_ring_t *ring)
{
    size_t   i;
    int64_t  used;

    for (i = 0, used = 0; i < ring->nslots; i++) {
        if (loyalty_ring_word(ring, i) != 0) {
            used++;
        }
    }

    __atomic_store_n(&ring->used, used, __ATOMIC_RELAXED);

    return used;
}
