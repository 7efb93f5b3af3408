/*
 * Records of observed events: sealed, and told from bytes that are none.
 */

#include "loyalty_spool.h"
#include "loyalty_slot.h"

#include <string.h>


#define LOYALTY_RECORD_MAGIC  "LyR1"
#define LOYALTY_RECORD_CRC    16               /* where it is */


static uint32_t loyalty_record_crc(const unsigned char *p, size_t len);
static void loyalty_record_put(unsigned char *p, uint64_t v, size_t n);
static uint64_t loyalty_record_get(const unsigned char *p, size_t n);
static size_t loyalty_spool_skip(const unsigned char *p, size_t n, int eof);


size_t
loyalty_record_seal(unsigned char *p, uint64_t seq, size_t len)
{
    memcpy(p, LOYALTY_RECORD_MAGIC, 4);
    loyalty_record_put(p + 4, len, 4);
    loyalty_record_put(p + 8, seq, 8);
    loyalty_record_put(p + LOYALTY_RECORD_CRC, loyalty_record_crc(p, len), 4);

    return LOYALTY_RECORD_HEAD + len;
}


/* of the head's own fields and of the payload, which do not adjoin */

static uint32_t
loyalty_record_crc(const unsigned char *p, size_t len)
{
    uint32_t  crcs[2];

    crcs[0] = loyalty_crc32(p, LOYALTY_RECORD_CRC);
    crcs[1] = loyalty_crc32(p + LOYALTY_RECORD_HEAD, len);

    /* a rotation: equal ones must not cancel each other */

    return ((crcs[0] << 7) | (crcs[0] >> 25)) ^ crcs[1];
}


static void
loyalty_record_put(unsigned char *p, uint64_t v, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        p[i] = (unsigned char) (v >> (8 * i));
    }
}


static uint64_t
loyalty_record_get(const unsigned char *p, size_t n)
{
    size_t    i;
    uint64_t  v;

    for (i = 0, v = 0; i < n; i++) {
        v |= (uint64_t) p[i] << (8 * i);
    }

    return v;
}


uint64_t
loyalty_record_seq(const unsigned char *p)
{
    return loyalty_record_get(p + 8, 8);
}


loyalty_spool_e
loyalty_spool_next(const unsigned char *p, size_t n, int eof,
    loyalty_record_t *record)
{
    size_t  len, begun;

    if (n == 0) {
        return LOYALTY_SPOOL_MORE;
    }

    begun = n < 4 ? n : 4;

    if (memcmp(p, LOYALTY_RECORD_MAGIC, begun) != 0) {
        goto damaged;
    }

    if (n < LOYALTY_RECORD_HEAD) {
        goto more;
    }

    len = (size_t) loyalty_record_get(p + 4, 4);

    if (len > LOYALTY_RECORD_PAYLOAD) {
        goto damaged;
    }

    if (n < LOYALTY_RECORD_HEAD + len) {
        goto more;
    }

    if (loyalty_record_get(p + LOYALTY_RECORD_CRC, 4)
        != loyalty_record_crc(p, len))
    {
        goto damaged;
    }

    record->seq = loyalty_record_seq(p);
    record->payload = p + LOYALTY_RECORD_HEAD;
    record->len = len;
    record->size = LOYALTY_RECORD_HEAD + len;

    return LOYALTY_SPOOL_RECORD;

more:

    if (!eof) {
        return LOYALTY_SPOOL_MORE;
    }

damaged:

    record->size = loyalty_spool_skip(p, n, eof);

    return LOYALTY_SPOOL_DAMAGED;
}


/* up to where the next record may begin, which is behind p */

static size_t
loyalty_spool_skip(const unsigned char *p, size_t n, int eof)
{
    size_t                i, begun;
    const unsigned char  *q;

    for (i = 1; i < n; i++) {

        q = memchr(p + i, LOYALTY_RECORD_MAGIC[0], n - i);
        if (q == NULL) {
            return n;
        }

        i = q - p;
        begun = n - i < 4 ? n - i : 4;

        /* the first bytes of one may be the last that were read */

        if ((begun == 4 || !eof)
            && memcmp(q, LOYALTY_RECORD_MAGIC, begun) == 0)
        {
            return i;
        }
    }

    return n;
}
