/*
 * MessagePack: what is written is the shortest form and reads back; what is
 * cut off anywhere, or promises more than there is, is refused.  Blocks to
 * be read are allocated at their exact size, so that a sanitizer sees a
 * reader that goes one byte too far.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loyalty_msgpack.h"


static void read_exact(const void *p, size_t n, loyalty_mpr_t *r,
    unsigned char **block);
static void expect_bytes(const loyalty_mpw_t *w, const char *bytes, size_t n);
static size_t write_sample(void *buf, size_t size, int *failed);


static void
read_exact(const void *p, size_t n, loyalty_mpr_t *r, unsigned char **block)
{
    *block = malloc(n > 0 ? n : 1);
    assert_non_null(*block);
    memcpy(*block, p, n);
    loyalty_mpr_init(r, *block, n);
}


static void
expect_bytes(const loyalty_mpw_t *w, const char *bytes, size_t n)
{
    assert_int_equal(w->failed, 0);
    assert_int_equal(w->pos - w->start, n);
    assert_memory_equal(w->start, bytes, n);
}


static void
test_int_forms(void **state)
{
    size_t         i;
    int64_t        v;
    loyalty_mpw_t  w;
    loyalty_mpr_t  r;
    unsigned char  buf[16], *block;

    static const struct {
        int64_t      v;
        const char  *bytes;
        size_t       n;
    } cases[] = {
        { 0, "\x00", 1 },
        { 127, "\x7f", 1 },
        { 128, "\xcc\x80", 2 },
        { 255, "\xcc\xff", 2 },
        { 256, "\xcd\x01\x00", 3 },
        { 65535, "\xcd\xff\xff", 3 },
        { 65536, "\xce\x00\x01\x00\x00", 5 },
        { 4294967295LL, "\xce\xff\xff\xff\xff", 5 },
        { 4294967296LL, "\xcf\0\0\0\x01\0\0\0\0", 9 },
        { 9007199254740991LL, "\xcf\x00\x1f\xff\xff\xff\xff\xff\xff", 9 },
        { INT64_MAX, "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", 9 },
        { -1, "\xff", 1 },
        { -32, "\xe0", 1 },
        { -33, "\xd0\xdf", 2 },
        { -128, "\xd0\x80", 2 },
        { -129, "\xd1\xff\x7f", 3 },
        { -32768, "\xd1\x80\x00", 3 },
        { -32769, "\xd2\xff\xff\x7f\xff", 5 },
        { INT32_MIN, "\xd2\x80\x00\x00\x00", 5 },
        { (int64_t) INT32_MIN - 1, "\xd3\xff\xff\xff\xff\x7f\xff\xff\xff", 9 },
        { INT64_MIN, "\xd3\x80\0\0\0\0\0\0\0", 9 },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        loyalty_mpw_init(&w, buf, sizeof(buf));
        loyalty_mpw_int(&w, cases[i].v);
        expect_bytes(&w, cases[i].bytes, cases[i].n);

        read_exact(cases[i].bytes, cases[i].n, &r, &block);
        assert_int_equal(loyalty_mpr_int(&r, &v), 0);
        assert_true(v == cases[i].v);
        assert_ptr_equal(r.pos, r.end);
        free(block);
    }
}


static void
test_int_round_trip(void **state)
{
    int            shift, near, sign;
    int64_t        v, got;
    loyalty_mpw_t  w;
    loyalty_mpr_t  r;
    unsigned char  buf[9];

    for (shift = 0; shift < 63; shift++) {
        for (near = -1; near <= 1; near++) {
            for (sign = -1; sign <= 1; sign += 2) {
                v = sign * (((int64_t) 1 << shift) + near);

                loyalty_mpw_init(&w, buf, sizeof(buf));
                loyalty_mpw_int(&w, v);
                assert_int_equal(w.failed, 0);

                loyalty_mpr_init(&r, buf, (size_t) (w.pos - w.start));
                assert_int_equal(loyalty_mpr_int(&r, &got), 0);
                assert_true(got == v);
                assert_ptr_equal(r.pos, r.end);
            }
        }
    }
}


static void
test_simple_values(void **state)
{
    loyalty_mpw_t  w;
    loyalty_mpr_t  r;
    loyalty_mpv_t  v;
    unsigned char  buf[3];

    loyalty_mpw_init(&w, buf, sizeof(buf));
    loyalty_mpw_nil(&w);
    loyalty_mpw_raw(&w, "\xc2\xc3", 2);
    expect_bytes(&w, "\xc0\xc2\xc3", 3);

    loyalty_mpr_init(&r, buf, sizeof(buf));
    assert_int_equal(loyalty_mpr_next(&r, &v), 0);
    assert_int_equal(v.type, LOYALTY_MP_NIL);
    assert_int_equal(loyalty_mpr_next(&r, &v), 0);
    assert_int_equal(v.type, LOYALTY_MP_BOOL);
    assert_int_equal(v.i, 0);
    assert_int_equal(loyalty_mpr_next(&r, &v), 0);
    assert_int_equal(v.type, LOYALTY_MP_BOOL);
    assert_int_equal(v.i, 1);
    assert_int_equal(loyalty_mpr_next(&r, &v), -1);
}


static void
test_strings(void **state)
{
    size_t                i, head, n;
    uint32_t              len;
    loyalty_mpw_t         w;
    loyalty_mpr_t         r;
    unsigned char        *buf, *text;
    const unsigned char  *p;

    static const struct {
        size_t         n;
        size_t         head;
        unsigned char  tag;
    } cases[] = {
        { 0, 1, 0xa0 }, { 1, 1, 0xa1 }, { 31, 1, 0xbf },
        { 32, 2, 0xd9 }, { 255, 2, 0xd9 },
        { 256, 3, 0xda }, { 65535, 3, 0xda },
        { 65536, 5, 0xdb }, { 70000, 5, 0xdb },
    };

    text = malloc(70000);
    assert_non_null(text);

    for (i = 0; i < 70000; i++) {
        text[i] = (unsigned char) (i * 31);
    }

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        n = cases[i].n;
        head = cases[i].head;
        buf = malloc(n + head);
        assert_non_null(buf);

        loyalty_mpw_init(&w, buf, n + head);
        loyalty_mpw_str(&w, text, n);
        assert_int_equal(w.failed, 0);
        assert_ptr_equal(w.pos, w.end);
        assert_int_equal(buf[0], cases[i].tag);

        loyalty_mpr_init(&r, buf, n + head);
        assert_int_equal(loyalty_mpr_str(&r, &p, &len), 0);
        assert_int_equal(len, n);
        assert_ptr_equal(p, buf + head);
        assert_memory_equal(p, text, n);
        assert_ptr_equal(r.pos, r.end);

        /* one byte too few to write, and one too few to read */

        loyalty_mpw_init(&w, buf, n + head - 1);
        loyalty_mpw_str(&w, text, n);
        assert_int_equal(w.failed, 1);

        if (n > 0) {
            loyalty_mpr_init(&r, buf, n + head - 1);
            assert_int_equal(loyalty_mpr_str(&r, &p, &len), -1);
            assert_ptr_equal(r.pos, buf);
        }

        free(buf);
    }

    free(text);
}


static void
test_bin_reads_as_str(void **state)
{
    size_t                i;
    uint32_t              n;
    loyalty_mpr_t         r;
    unsigned char        *block;
    const unsigned char  *p;

    static const struct {
        const char  *bytes;
        size_t       n;
    } cases[] = {
        { "\xc4\x03" "abc", 5 },
        { "\xc5\x00\x03" "abc", 6 },
        { "\xc6\x00\x00\x00\x03" "abc", 8 },
        { "\xd9\x03" "abc", 5 },
        { "\xda\x00\x03" "abc", 6 },
        { "\xdb\x00\x00\x00\x03" "abc", 8 },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        read_exact(cases[i].bytes, cases[i].n, &r, &block);
        assert_int_equal(loyalty_mpr_str(&r, &p, &n), 0);
        assert_int_equal(n, 3);
        assert_memory_equal(p, "abc", 3);
        assert_ptr_equal(r.pos, r.end);
        free(block);
    }
}


static void
test_counts(void **state)
{
    size_t         i;
    uint32_t       n;
    loyalty_mpw_t  w;
    unsigned char  buf[8];

    static const struct {
        uint32_t     n;
        const char  *array;
        size_t       len;
    } cases[] = {
        { 0, "\x90", 1 },
        { 15, "\x9f", 1 },
        { 16, "\xdc\x00\x10", 3 },
        { 65535, "\xdc\xff\xff", 3 },
        { 65536, "\xdd\0\x01\0\0", 5 },
        { UINT32_MAX, "\xdd\xff\xff\xff\xff", 5 },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        n = cases[i].n;

        loyalty_mpw_init(&w, buf, sizeof(buf));
        loyalty_mpw_array(&w, n);
        expect_bytes(&w, cases[i].array, cases[i].len);
    }
}


static void
test_counts_over_the_rest(void **state)
{
    size_t          i;
    loyalty_mpr_t   r;
    loyalty_mpv_t   v;
    unsigned char  *block;

    /* each promises one element more than there are bytes */

    static const struct {
        const char  *bytes;
        size_t       n;
        int          rc;
    } cases[] = {
        { "\x92\x01", 2, -1 },
        { "\x91\x01", 2, 0 },
        { "\x81\x01", 2, -1 },
        { "\x81\x01\x02", 3, 0 },
        { "\xdc\x00\x02\x01", 4, -1 },
        { "\xdd\xff\xff\xff\xff\x01", 6, -1 },
        { "\xdf\xff\xff\xff\xff\x01", 6, -1 },
        { "\xdf\x80\x00\x00\x00\x01", 6, -1 },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        read_exact(cases[i].bytes, cases[i].n, &r, &block);
        assert_int_equal(loyalty_mpr_next(&r, &v), cases[i].rc);

        if (cases[i].rc == -1) {
            assert_ptr_equal(r.pos, block);
        }

        free(block);
    }
}


static void
test_array16(void **state)
{
    size_t         outer, inner;
    loyalty_mpw_t  w;
    unsigned char  buf[32];

    loyalty_mpw_init(&w, buf, sizeof(buf));
    outer = loyalty_mpw_array16(&w);
    loyalty_mpw_int(&w, 5);
    inner = loyalty_mpw_array16(&w);
    loyalty_mpw_array16_set(&w, inner, 0);
    loyalty_mpw_array16_set(&w, outer, 2);
    expect_bytes(&w, "\xdc\x00\x02\x05\xdc\x00\x00", 7);

    loyalty_mpw_array16_set(&w, outer, 65535);
    assert_int_equal(w.failed, 0);
    assert_memory_equal(buf, "\xdc\xff\xff", 3);
    loyalty_mpw_array16_set(&w, outer, 65536);
    assert_int_equal(w.failed, 1);

    /* a header that did not fit is never filled in */

    memset(buf, 0x55, sizeof(buf));
    loyalty_mpw_init(&w, buf, 2);
    outer = loyalty_mpw_array16(&w);
    loyalty_mpw_array16_set(&w, outer, 1);
    assert_int_equal(w.failed, 1);
    assert_memory_equal(buf, "\x55\x55\x55\x55", 4);
}


/* one of everything that is written; returns the length */

static size_t
write_sample(void *buf, size_t size, int *failed)
{
    size_t         place;
    loyalty_mpw_t  w;

    loyalty_mpw_init(&w, buf, size);
    loyalty_mpw_array(&w, 9);
    loyalty_mpw_nil(&w);
    loyalty_mpw_raw(&w, "\xc3", 1);
    loyalty_mpw_int(&w, -70000);
    loyalty_mpw_int(&w, 1LL << 40);
    loyalty_mpw_str(&w, "0123456789012345678901234567890123456789", 40);
    loyalty_mpw_raw(&w, "\x81", 1);
    loyalty_mpw_str(&w, "key", 3);
    loyalty_mpw_int(&w, 300);
    place = loyalty_mpw_array16(&w);
    loyalty_mpw_int(&w, 1);
    loyalty_mpw_int(&w, 200);
    loyalty_mpw_array16_set(&w, place, 2);
    loyalty_mpw_raw(&w, "\xca\x3f\x80\x00\x00", 5);
    loyalty_mpw_raw(&w, "\xcb\x3f\xf8\0\0\0\0\0\0", 9);

    *failed = w.failed;

    return (size_t) (w.pos - w.start);
}


static void
test_writer_cut_anywhere(void **state)
{
    int             failed;
    size_t          n, size;
    loyalty_mpw_t   w;
    unsigned char   whole[256], *buf;

    n = write_sample(whole, sizeof(whole), &failed);
    assert_int_equal(failed, 0);

    for (size = 0; size <= n; size++) {
        buf = malloc(size > 0 ? size : 1);
        assert_non_null(buf);
        (void) write_sample(buf, size, &failed);
        assert_int_equal(failed, size < n);
        free(buf);
    }

    /* what is short enough to fit is not written after a failure either */

    loyalty_mpw_init(&w, whole, 3);
    loyalty_mpw_int(&w, 1);
    loyalty_mpw_int(&w, 70000);
    loyalty_mpw_int(&w, 1);
    assert_int_equal(w.failed, 1);
    assert_int_equal(w.pos - w.start, 1);
}


static void
test_reader_cut_anywhere(void **state)
{
    int             failed;
    size_t          n, size;
    loyalty_mpr_t   r;
    unsigned char   whole[256], *block;

    n = write_sample(whole, sizeof(whole), &failed);

    for (size = 0; size <= n; size++) {
        read_exact(whole, size, &r, &block);
        assert_int_equal(loyalty_mpr_skip(&r), size < n ? -1 : 0);
        assert_int_equal(r.end - r.pos, size < n ? size : 0);
        free(block);
    }
}


static void
test_doubles(void **state)
{
    loyalty_mpr_t  r;
    loyalty_mpv_t  v;

    loyalty_mpr_init(&r, "\xca\xbf\xc0\x00\x00", 5);
    assert_int_equal(loyalty_mpr_next(&r, &v), 0);
    assert_int_equal(v.type, LOYALTY_MP_DOUBLE);
    assert_true(v.d == -1.5);

    loyalty_mpr_init(&r, "\xcb\x40\x09\x21\xfb\x54\x44\x2d\x18", 9);
    assert_int_equal(loyalty_mpr_next(&r, &v), 0);
    assert_int_equal(v.type, LOYALTY_MP_DOUBLE);
    assert_true(fabs(v.d - 3.141592653589793) < DBL_EPSILON);
}


static void
test_int_from_others(void **state)
{
    size_t          i;
    int64_t         v;
    loyalty_mpr_t   r;
    unsigned char  *block;

    static const struct {
        const char  *bytes;
        size_t       n;
        int          rc;
        int64_t      v;
    } cases[] = {
        { "\xc0", 1, 0, 0 },                            /* nil */
        { "\xc2", 1, 0, 0 },                            /* false */
        { "\xc3", 1, -1, 0 },                           /* true */
        { "\xa1" "1", 2, -1, 0 },                       /* "1" */
        { "\x90", 1, -1, 0 },
        { "\x80", 1, -1, 0 },
        { "\xcb\x40\x45\0\0\0\0\0\0", 9, 0, 42 },       /* 42.0 */
        { "\xcb\xc0\x45\0\0\0\0\0\0", 9, 0, -42 },
        { "\xca\x42\x28\0\0", 5, 0, 42 },
        { "\xcb\x3f\xf8\0\0\0\0\0\0", 9, -1, 0 },       /* 1.5 */
        { "\xcb\x43\x40\0\0\0\0\0\0", 9, 0, 1LL << 53 },
        { "\xcb\x43\x40\0\0\0\0\0\x01", 9, -1, 0 },     /* 2^53 + 2 */
        { "\xcb\xc3\x40\0\0\0\0\0\0", 9, 0, -(1LL << 53) },
        { "\xcb\x7f\xf0\0\0\0\0\0\0", 9, -1, 0 },       /* inf */
        { "\xcb\xff\xf0\0\0\0\0\0\0", 9, -1, 0 },       /* -inf */
        { "\xcb\x7f\xf8\0\0\0\0\0\0", 9, -1, 0 },       /* NaN */
        { "\xcb\x7f\xef\xff\xff\xff\xff\xff\xff", 9, -1, 0 },
        { "\xcf\x80\0\0\0\0\0\0\0", 9, -1, 0 },         /* 2^63 */
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        read_exact(cases[i].bytes, cases[i].n, &r, &block);
        v = 77;
        assert_int_equal(loyalty_mpr_int(&r, &v), cases[i].rc);

        if (cases[i].rc == 0) {
            assert_true(v == cases[i].v);
            assert_ptr_equal(r.pos, r.end);

        } else {
            assert_int_equal(v, 77);
            assert_ptr_equal(r.pos, block);
        }

        free(block);
    }
}


static void
test_unknown_tags(void **state)
{
    size_t         i;
    loyalty_mpr_t  r;
    loyalty_mpv_t  v;
    unsigned char  buf[32];

    static const unsigned char  tags[] = {
        0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8
    };

    memset(buf, 0, sizeof(buf));

    for (i = 0; i < sizeof(tags); i++) {
        buf[0] = tags[i];
        loyalty_mpr_init(&r, buf, sizeof(buf));
        assert_int_equal(loyalty_mpr_next(&r, &v), -1);
        assert_ptr_equal(r.pos, buf);
        assert_int_equal(loyalty_mpr_skip(&r), -1);
    }
}


static void
test_every_tag_cut(void **state)
{
    int             tag;
    size_t          n;
    loyalty_mpr_t   r;
    loyalty_mpv_t   v;
    unsigned char   bytes[9], *block;

    for (tag = 0; tag < 256; tag++) {
        for (n = 1; n <= sizeof(bytes); n++) {
            memset(bytes, 0xff, sizeof(bytes));
            bytes[0] = (unsigned char) tag;
            read_exact(bytes, n, &r, &block);

            if (loyalty_mpr_next(&r, &v) == 0) {
                assert_true(r.pos > block && r.pos <= r.end);

                if (v.type == LOYALTY_MP_STR) {
                    assert_ptr_equal(v.p + v.n, r.pos);
                }

            } else {
                assert_ptr_equal(r.pos, block);
            }

            free(block);
        }
    }
}


static void
test_skip_depth(void **state)
{
    int            depth;
    loyalty_mpr_t  r;
    unsigned char  buf[80];

    for (depth = 0; depth < 40; depth++) {
        memset(buf, 0x91, sizeof(buf));
        buf[depth] = 0x07;
        loyalty_mpr_init(&r, buf, (size_t) depth + 1);
        assert_int_equal(loyalty_mpr_skip(&r), depth <= 32 ? 0 : -1);
        assert_int_equal(r.pos - buf, depth <= 32 ? depth + 1 : 0);
    }

    /* empty ones nest too, and end by themselves */

    memset(buf, 0x91, 31);
    buf[31] = 0x80;
    buf[32] = 0x2a;
    loyalty_mpr_init(&r, buf, 33);
    assert_int_equal(loyalty_mpr_skip(&r), 0);
    assert_int_equal(r.pos - buf, 32);
}


static void
test_skip_one_value(void **state)
{
    int64_t        i;
    loyalty_mpr_t  r;

    loyalty_mpr_init(&r, "\x93\x01\x82\xa1k\x90\x02\xc0\xa2xy\x2a", 12);
    assert_int_equal(loyalty_mpr_skip(&r), 0);
    assert_int_equal(loyalty_mpr_int(&r, &i), 0);
    assert_int_equal(i, 42);
    assert_int_equal(loyalty_mpr_skip(&r), -1);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_int_forms),
        cmocka_unit_test(test_int_round_trip),
        cmocka_unit_test(test_simple_values),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_bin_reads_as_str),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_counts_over_the_rest),
        cmocka_unit_test(test_array16),
        cmocka_unit_test(test_writer_cut_anywhere),
        cmocka_unit_test(test_reader_cut_anywhere),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_int_from_others),
        cmocka_unit_test(test_unknown_tags),
        cmocka_unit_test(test_every_tag_cut),
        cmocka_unit_test(test_skip_depth),
        cmocka_unit_test(test_skip_one_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
