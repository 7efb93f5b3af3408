/*
 * A file of the spool from any bytes, read at once and in pieces: both find
 * the same records, each of which lies within the bytes, is sealed as it says,
 * and is an event or is none.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "loyalty_observed.h"
#include "loyalty_spool.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t whole(const uint8_t *data, size_t size, uint64_t *sum);
static size_t pieces(const uint8_t *data, size_t size, size_t piece,
    uint64_t *sum);
static void one(const loyalty_record_t *record, uint64_t *sum);
static void text(const loyalty_record_t *record, const loyalty_text_t *t);


static size_t
whole(const uint8_t *data, size_t size, uint64_t *sum)
{
    size_t            at, n;
    loyalty_spool_e   rc;
    loyalty_record_t  record;

    for (at = 0, n = 0; at < size; at += record.size) {
        rc = loyalty_spool_next(data + at, size - at, 1, &record);

        if (rc == LOYALTY_SPOOL_MORE || record.size == 0
            || record.size > size - at)
        {
            abort();
        }

        if (rc == LOYALTY_SPOOL_RECORD) {

            if (record.payload != data + at + LOYALTY_RECORD_HEAD
                || record.len + LOYALTY_RECORD_HEAD != record.size
                || record.size > LOYALTY_RECORD)
            {
                abort();
            }

            one(&record, sum);
            n++;
        }
    }

    return n;
}


/* as a reader does it, whose buffer holds what is not used yet */

static size_t
pieces(const uint8_t *data, size_t size, size_t piece, uint64_t *sum)
{
    size_t             n, used, have, more;
    unsigned char     *buf;
    loyalty_spool_e    rc;
    loyalty_record_t   record;

    n = 0;
    have = 0;
    used = 0;

    for ( ;; ) {
        /* a block of its own, so that reading past it is seen */

        buf = malloc(have - used + 1);

        if (buf == NULL) {
            abort();
        }

        memcpy(buf, data + used, have - used);

        rc = loyalty_spool_next(buf, have - used, have == size, &record);

        if (rc == LOYALTY_SPOOL_RECORD) {
            one(&record, sum);
            n++;
        }

        free(buf);

        if (rc != LOYALTY_SPOOL_MORE) {
            used += record.size;
            continue;
        }

        if (have == size) {
            return n;
        }

        more = size - have < piece ? size - have : piece;
        have += more;
    }
}


static void
one(const loyalty_record_t *record, uint64_t *sum)
{
    uint32_t            i;
    unsigned char       copy[LOYALTY_RECORD];
    loyalty_observed_t  event;

    memcpy(copy + LOYALTY_RECORD_HEAD, record->payload, record->len);

    if (loyalty_record_seal(copy, record->seq, record->len) != record->size
        || memcmp(copy, record->payload - LOYALTY_RECORD_HEAD, record->size)
           != 0)
    {
        abort();
    }

    *sum = *sum * 31 + record->seq + record->len;

    if (loyalty_observed_read(&event, record->payload, record->len) != 0) {
        return;
    }

    text(record, &event.type);
    text(record, &event.id);
    text(record, &event.member);
    text(record, &event.channel);
    text(record, &event.partner);

    for (i = 0; i < event.ndata; i++) {
        text(record, &event.data[i].name);
        text(record, &event.data[i].value);
    }

    for (i = 0; i < event.nvariables; i++) {
        text(record, &event.variables[i].name);
        text(record, &event.variables[i].value);
    }
}


static void
text(const loyalty_record_t *record, const loyalty_text_t *t)
{
    if (t->len && (t->data < record->payload
                   || t->data + t->len > record->payload + record->len))
    {
        abort();
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t         n, piece, room;
    uint64_t       sums[3];
    unsigned char  copy[LOYALTY_RECORD];

    memset(sums, 0, sizeof(sums));

    n = whole(data, size, &sums[0]);
    piece = (size && size < 4096) ? 1 + data[0] % 64 : 4096;

    if (pieces(data, size, piece, &sums[1]) != n || sums[0] != sums[1]) {
        abort();
    }

    /* sealed, any bytes are a record; the checksum is not for the fuzzer to
       find */

    room = size < LOYALTY_RECORD_PAYLOAD ? size : LOYALTY_RECORD_PAYLOAD;
    memcpy(copy + LOYALTY_RECORD_HEAD, data, room);

    if (whole(copy, loyalty_record_seal(copy, size, room), &sums[2]) != 1) {
        abort();
    }

    return 0;
}
