/*
 * The ring: observed events in memory that all workers share, until Redis has
 * acknowledged them or they are in the spool.  It has no lock.
 *
 * Each slot of fixed size has one word, and everything that happens to a slot
 * is one atomic change of its word, owner * 256 + state:
 *
 *     0             free
 *     pid  WRITING  claimed by that process, which is writing its record
 *     pid  READY    the record is whole; that process will send it
 *     0    READY    the record is whole; whoever takes it will send it
 *
 *     claim    0 -> me WRITING            the record is written then, its
 *     publish  me WRITING -> me READY     checksum before the word
 *     offer    me READY -> 0 READY
 *     adopt    0 READY, dead READY -> me READY
 *     clear    me READY, dead WRITING -> 0
 *
 * A process may be killed between any two instructions.  A slot that it was
 * writing is cleared by whoever finds it dead, for the event had not been
 * taken in yet; one that was ready is adopted by exactly one other.  A killed
 * process may have sent the record before: whoever adopts it sends it once
 * more, and the id of the event decides that it counts once.
 *
 * A process id alone says who owns a slot.  One that is given to a new worker
 * before anybody has looked for the dead one's slots makes them that worker's
 * own: it looks for such slots when it starts.
 */

#ifndef _LOYALTY_RING_H_INCLUDED_
#define _LOYALTY_RING_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>

#include "loyalty_spool.h"


#define LOYALTY_RING_USER   64         /* words kept for others */
#define LOYALTY_RING_FULL   (-1)


typedef enum {
    LOYALTY_RING_FREE = 0,
    LOYALTY_RING_WRITING,
    LOYALTY_RING_READY
} loyalty_ring_state_e;


typedef struct {
    uint64_t   format;
    uint64_t   nslots;
    uint64_t   seq;                    /* of the record published last */
    int64_t    used;                   /* about: a hint, see _recount() */
    uint64_t   user[LOYALTY_RING_USER];
    uint64_t   words[1];               /* nslots, and behind them the slots */
} loyalty_ring_t;


#define loyalty_ring_state(word)                                             \
    ((loyalty_ring_state_e) ((word) & 0xff))
#define loyalty_ring_owner(word)  ((word) >> 8)


/* how many slots fit into so many bytes */
size_t loyalty_ring_slots(size_t size);

/* an empty ring in size bytes at p, which is aligned to 8; NULL: too small */
loyalty_ring_t *loyalty_ring_init(void *p, size_t size);

/*
 * A free slot to write a record's payload into, or LOYALTY_RING_FULL; *hint
 * is where to look first and is moved on.
 */
int64_t loyalty_ring_claim(loyalty_ring_t *ring, uint64_t me, size_t *hint);

/* where the payload goes: LOYALTY_RECORD_PAYLOAD bytes */
unsigned char *loyalty_ring_payload(loyalty_ring_t *ring, size_t slot);

/* len bytes of payload are written: the record is whole */
void loyalty_ring_publish(loyalty_ring_t *ring, size_t slot, uint64_t me,
    size_t len);

/* claimed in vain */
void loyalty_ring_cancel(loyalty_ring_t *ring, size_t slot, uint64_t me);

uint64_t loyalty_ring_word(loyalty_ring_t *ring, size_t slot);

/*
 * The record of a slot that is mine.  -1: it is not, 1: it is damaged;
 * record->payload - LOYALTY_RECORD_HEAD is the record itself.
 */
int loyalty_ring_read(loyalty_ring_t *ring, size_t slot, uint64_t me,
    loyalty_record_t *record);

/* the number that its record says it has, damaged or not: for putting slots
   in order */
uint64_t loyalty_ring_seq(loyalty_ring_t *ring, size_t slot);

/* these change a slot that still has that word: 1, or 0 when it has not */
int loyalty_ring_adopt(loyalty_ring_t *ring, size_t slot, uint64_t word,
    uint64_t me);
int loyalty_ring_clear(loyalty_ring_t *ring, size_t slot, uint64_t word);

/* and these one that is mine and ready */
int loyalty_ring_offer(loyalty_ring_t *ring, size_t slot, uint64_t me);
int loyalty_ring_done(loyalty_ring_t *ring, size_t slot, uint64_t me);

/* slots that are not free, about */
int64_t loyalty_ring_used(loyalty_ring_t *ring);

/* counts them: what killed processes did not count any more is mended */
int64_t loyalty_ring_recount(loyalty_ring_t *ring);


#endif /* _LOYALTY_RING_H_INCLUDED_ */
