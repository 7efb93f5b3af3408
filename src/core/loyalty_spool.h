/*
 * Records of observed events, as they lie in a slot of the ring and in a file
 * of the spool: the same bytes, so that one becomes the other by copying.
 *
 *     "LyR1", u32 length of the payload, u64 seq, u32 CRC-32 of all of this
 *     but itself, payload; numbers are little-endian
 *
 * A file of the spool is LOYALTY_SPOOL_MAGIC and then records.  It may end
 * within one, when whoever wrote it was killed, and a disk may have changed
 * any byte: what is no record is passed over until the next one begins.
 */

#ifndef _LOYALTY_SPOOL_H_INCLUDED_
#define _LOYALTY_SPOOL_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


#define LOYALTY_RECORD           1024          /* bytes of the largest one */
#define LOYALTY_RECORD_HEAD      20
#define LOYALTY_RECORD_PAYLOAD   (LOYALTY_RECORD - LOYALTY_RECORD_HEAD)

#define LOYALTY_SPOOL_MAGIC      "loyalty-spool 1\n"
#define LOYALTY_SPOOL_HEAD       16


typedef enum {
    LOYALTY_SPOOL_RECORD = 0,          /* one is there */
    LOYALTY_SPOOL_MORE,                /* more bytes are needed to tell */
    LOYALTY_SPOOL_DAMAGED              /* size bytes are to be passed over */
} loyalty_spool_e;


typedef struct {
    uint64_t              seq;
    const unsigned char  *payload;
    size_t                len;         /* of the payload */
    size_t                size;        /* to what follows; never 0 */
} loyalty_record_t;


/*
 * The head of a record whose payload of at most LOYALTY_RECORD_PAYLOAD bytes
 * is in its place behind it.  Returns the record's size.
 */
size_t loyalty_record_seal(unsigned char *p, uint64_t seq, size_t len);

/* the number in a head, whatever else is there */
uint64_t loyalty_record_seq(const unsigned char *p);

/*
 * What the n bytes at p begin with.  eof: there are no others behind them, so
 * that a record that is not complete is damaged; no bytes at all are MORE.
 */
loyalty_spool_e loyalty_spool_next(const unsigned char *p, size_t n, int eof,
    loyalty_record_t *record);


#endif /* _LOYALTY_SPOOL_H_INCLUDED_ */
