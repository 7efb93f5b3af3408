/*
 * Any bytes as an HTTP response: read whole and in pieces, the outcome is
 * the same, the body within its limit, and nothing is taken behind the end.
 * The first byte says how long the pieces are.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "loyalty_http.h"


#define CHECK(x)  do { if (!(x)) { abort(); } } while (0)

#define MAX_HEAD  1024
#define MAX_BODY  512


typedef struct {
    int       rc;
    size_t    used;
    size_t    len;
    uint8_t   body[MAX_BODY];
    unsigned  status;
} fuzz_outcome_t;


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_read(const uint8_t *s, size_t n, size_t piece,
    fuzz_outcome_t *o);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_outcome_t  whole, pieces;

    if (size == 0) {
        return 0;
    }

    fuzz_read(data + 1, size - 1, size, &whole);
    fuzz_read(data + 1, size - 1, 1 + data[0] % 64, &pieces);

    CHECK(whole.rc == pieces.rc && whole.status == pieces.status);

    if (whole.rc == LOYALTY_HTTP_DONE) {
        CHECK(whole.used == pieces.used && whole.len == pieces.len);
        CHECK(memcmp(whole.body, pieces.body, whole.len) == 0);
        CHECK(whole.status >= 200 && whole.status <= 599);
    }

    return 0;
}


static void
fuzz_read(const uint8_t *s, size_t n, size_t piece, fuzz_outcome_t *o)
{
    int             rc;
    size_t          len;
    loyalty_http_t  h;
    const uint8_t  *p, *end, *last, *data;

    memset(o, 0, sizeof(fuzz_outcome_t));
    loyalty_http_init(&h, MAX_HEAD, MAX_BODY);

    p = s;
    end = s + n;
    rc = LOYALTY_HTTP_AGAIN;

    while (rc == LOYALTY_HTTP_AGAIN && p < end) {
        last = ((size_t) (end - p) < piece) ? end : p + piece;

        do {
            rc = loyalty_http_read(&h, &p, last, &data, &len);
            CHECK(p <= last);

            if (rc == LOYALTY_HTTP_BODY) {
                CHECK(len > 0 && len <= MAX_BODY - o->len);
                CHECK(data >= s && data + len == p);
                memcpy(o->body + o->len, data, len);
                o->len += len;
            }

        } while (rc == LOYALTY_HTTP_BODY);

        CHECK(rc != LOYALTY_HTTP_AGAIN || p == last);
    }

    o->used = (size_t) (p - s);
    o->rc = loyalty_http_end(&h);
    o->status = h.status;

    CHECK((o->rc == LOYALTY_HTTP_ERROR) == (h.error != NULL));
    CHECK(rc == LOYALTY_HTTP_AGAIN || rc == o->rc);
}
