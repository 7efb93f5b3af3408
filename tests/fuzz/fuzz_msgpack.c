/*
 * Any bytes as MessagePack: reading ends, stays within the block, and what
 * could be read is the same after it has been written and read again.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "loyalty_msgpack.h"


#define CHECK(x)  do { if (!(x)) { abort(); } } while (0)


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_tokens(const uint8_t *data, size_t size);
static void fuzz_write(loyalty_mpw_t *w, const loyalty_mpv_t *v);
static void fuzz_same(const loyalty_mpv_t *a, const loyalty_mpv_t *b);
static void fuzz_typed(const uint8_t *data, size_t size);
static void fuzz_skip(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_tokens(data, size);
    fuzz_typed(data, size);
    fuzz_skip(data, size);

    return 0;
}


static void
fuzz_tokens(const uint8_t *data, size_t size)
{
    uint8_t         *buf;
    loyalty_mpr_t    r, again;
    loyalty_mpv_t    v, u;
    loyalty_mpw_t    w;
    const uint8_t   *before;

    /*
     * The shortest form of a token is never longer than any other, but a
     * float of 4 bytes becomes one of 8.  Counts are checked against what
     * follows, which may be shorter now: ones are appended.
     */

    buf = malloc(3 * size + 1);
    CHECK(buf != NULL);
    memset(buf, 1, 3 * size + 1);
    loyalty_mpw_init(&w, buf, 2 * size);
    loyalty_mpr_init(&r, data, size);
    before = r.pos;

    while (loyalty_mpr_next(&r, &v) == 0) {
        CHECK(r.pos > before && r.pos <= r.end);
        before = r.pos;
        fuzz_write(&w, &v);
    }

    CHECK(r.pos == before);
    CHECK(!w.failed);

    loyalty_mpr_init(&r, data, size);
    loyalty_mpr_init(&again, buf, 3 * size);

    while (loyalty_mpr_next(&r, &v) == 0) {
        CHECK(loyalty_mpr_next(&again, &u) == 0);
        fuzz_same(&v, &u);
    }

    free(buf);
}


static void
fuzz_write(loyalty_mpw_t *w, const loyalty_mpv_t *v)
{
    int       i, n;
    uint64_t  bits;
    uint8_t   raw[9];

    switch (v->type) {

    case LOYALTY_MP_NIL:
        loyalty_mpw_nil(w);
        break;

    case LOYALTY_MP_BOOL:
        loyalty_mpw_raw(w, v->i ? "\xc3" : "\xc2", 1);
        break;

    case LOYALTY_MP_INT:
        loyalty_mpw_int(w, v->i);
        break;

    case LOYALTY_MP_DOUBLE:
        memcpy(&bits, &v->d, 8);
        raw[0] = 0xcb;

        for (i = 0; i < 8; i++) {
            raw[1 + i] = (uint8_t) (bits >> (56 - 8 * i));
        }

        loyalty_mpw_raw(w, raw, 9);
        break;

    case LOYALTY_MP_STR:
        loyalty_mpw_str(w, v->p, v->n);
        break;

    case LOYALTY_MP_ARRAY:
        loyalty_mpw_array(w, v->n);
        break;

    default:
        n = (v->n < 16) ? 0 : (v->n <= UINT16_MAX) ? 2 : 4;
        raw[0] = (uint8_t) ((n == 0) ? 0x80 | v->n : (n == 2) ? 0xde : 0xdf);

        for (i = 0; i < n; i++) {
            raw[1 + i] = (uint8_t) (v->n >> (8 * (n - 1 - i)));
        }

        loyalty_mpw_raw(w, raw, 1 + (size_t) n);
        break;
    }
}


static void
fuzz_same(const loyalty_mpv_t *a, const loyalty_mpv_t *b)
{
    CHECK(a->type == b->type);

    switch (a->type) {

    case LOYALTY_MP_BOOL:
    case LOYALTY_MP_INT:
        CHECK(a->i == b->i);
        break;

    case LOYALTY_MP_DOUBLE:
        CHECK(memcmp(&a->d, &b->d, sizeof(double)) == 0);
        break;

    case LOYALTY_MP_STR:
        CHECK(a->n == b->n && memcmp(a->p, b->p, a->n) == 0);
        break;

    case LOYALTY_MP_ARRAY:
    case LOYALTY_MP_MAP:
        CHECK(a->n == b->n);
        break;

    default:
        break;
    }
}


/* whichever of the typed readers takes a token, the others leave it alone */

static void
fuzz_typed(const uint8_t *data, size_t size)
{
    int                   taken;
    int64_t               i;
    uint32_t              n;
    loyalty_mpr_t         r;
    loyalty_mpv_t         v;
    const unsigned char  *p, *before;

    loyalty_mpr_init(&r, data, size);

    do {
        taken = 0;
        before = r.pos;

        if (loyalty_mpr_int(&r, &i) == 0) {
            taken = 1;

        } else if (loyalty_mpr_str(&r, &p, &n) == 0) {
            CHECK(p >= before && p + n == r.pos);
            taken = 1;

        } else {
            CHECK(r.pos == before);
            taken = (loyalty_mpr_next(&r, &v) == 0);
        }

        CHECK(taken ? r.pos > before : r.pos == before);

    } while (taken);
}


static void
fuzz_skip(const uint8_t *data, size_t size)
{
    loyalty_mpr_t         r;
    const unsigned char  *before;

    loyalty_mpr_init(&r, data, size);

    for (before = r.pos; loyalty_mpr_skip(&r) == 0; before = r.pos) {
        CHECK(r.pos > before && r.pos <= r.end);
    }

    CHECK(r.pos == before);
}
