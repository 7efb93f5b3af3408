/*
 * Bytes from Redis: whatever they are, replies stay within their limits, and
 * are the same however the bytes were cut.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "loyalty_resp.h"


#define MAX_BYTES   500
#define MAX_VALUES  8


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t run(const uint8_t *data, size_t size, size_t piece,
    size_t *n);


/* a sum over all replies; *n counts them */

static uint64_t
run(const uint8_t *data, size_t size, size_t piece, size_t *n)
{
    int                    rc;
    size_t                 i, j, k, len;
    uint64_t               sum;
    loyalty_resp_t        *resp;
    loyalty_resp_reply_t  *reply;

    *n = 0;
    sum = 0;
    rc = 0;

    resp = loyalty_resp_create(MAX_BYTES, MAX_VALUES);
    if (resp == NULL) {
        abort();
    }

    for (i = 0; i < size && rc == 0; i += len) {
        len = (size - i < piece) ? size - i : piece;

        if (loyalty_resp_feed(resp, data + i, len) != 0) {
            break;
        }

        while ((rc = loyalty_resp_next(resp, &reply)) == 1) {
            (*n)++;

            if (reply->n > MAX_VALUES || reply->bytes > MAX_BYTES
                || (!reply->array && reply->n != 1))
            {
                abort();
            }

            for (j = 0; j < reply->n; j++) {
                sum = sum * 31 + reply->values[j].type;

                for (k = 0; k < reply->values[j].len; k++) {
                    sum = sum * 31 + reply->values[j].data[k];
                }
            }
        }
    }

    loyalty_resp_free(resp);

    return sum;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t    whole, pieces;
    uint64_t  sum;

    if (size > 60000) {
        return 0;
    }

    sum = run(data, size, size ? size : 1, &whole);

    if (run(data, size, 1, &pieces) != sum || whole != pieces) {
        abort();
    }

    return 0;
}
