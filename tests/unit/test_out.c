/*
 * JSON output: any bytes become a valid string, any size fits, and a block
 * that cannot be had is told once.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loyalty_out.h"


#define BLOCKS  64


typedef struct {
    void    *blocks[BLOCKS];
    size_t   n;
    size_t   left;            /* allocations that will succeed */
} heap_t;


static void *heap_alloc(void *ctx, size_t n);
static void heap_free(heap_t *heap);
static void expect_str(const char *in, size_t n, const char *json);


static void *
heap_alloc(void *ctx, size_t n)
{
    void    *p;
    heap_t  *heap;

    heap = ctx;

    if (heap->left == 0 || heap->n == BLOCKS) {
        return NULL;
    }

    p = malloc(n);

    if (p != NULL) {
        heap->left--;
        heap->blocks[heap->n++] = p;
    }

    return p;
}


static void
heap_free(heap_t *heap)
{
    while (heap->n > 0) {
        free(heap->blocks[--heap->n]);
    }
}


/* the text is read from a block of its exact size, written from room 1 up */

static void
expect_str(const char *in, size_t n, const char *json)
{
    char           *block;
    heap_t          heap;
    loyalty_out_t   o;

    memset(&heap, 0, sizeof(heap));
    heap.left = BLOCKS;
    block = malloc(n > 0 ? n : 1);
    assert_non_null(block);
    memcpy(block, in, n);

    loyalty_out_init(&o, heap_alloc, &heap, 1);
    loyalty_out_str(&o, block, n);

    assert_int_equal(o.failed, 0);
    assert_int_equal(o.pos - o.start, strlen(json));
    assert_memory_equal(o.start, json, strlen(json));

    free(block);
    heap_free(&heap);
}


#define EXPECT(in, json)  expect_str(in, sizeof(in) - 1, json)
#define BAD               "\xef\xbf\xbd"


static void
test_str(void **state)
{
    EXPECT("", "\"\"");
    EXPECT("abc", "\"abc\"");
    EXPECT("a\"b\\c", "\"a\\\"b\\\\c\"");
    EXPECT("\"\"", "\"\\\"\\\"\"");
    EXPECT("/", "\"/\"");
    EXPECT("\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"");
    EXPECT("\0\x01\x0b\x1f ", "\"\\u0000\\u0001\\u000b\\u001f \"");
    EXPECT("\x7f", "\"\x7f\"");
    EXPECT("x\0y", "\"x\\u0000y\"");
}


static void
test_str_utf8(void **state)
{
    EXPECT("caf\xc3\xa9", "\"caf\xc3\xa9\"");
    EXPECT("\xe2\x82\xac", "\"\xe2\x82\xac\"");
    EXPECT("\xf0\x9f\x8e\x81", "\"\xf0\x9f\x8e\x81\"");

    /* the first and last of each length */

    EXPECT("\xc2\x80\xdf\xbf", "\"\xc2\x80\xdf\xbf\"");
    EXPECT("\xe0\xa0\x80\xed\x9f\xbf", "\"\xe0\xa0\x80\xed\x9f\xbf\"");
    EXPECT("\xee\x80\x80\xef\xbf\xbf", "\"\xee\x80\x80\xef\xbf\xbf\"");
    EXPECT("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
           "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"");
}


static void
test_str_invalid(void **state)
{
    EXPECT("\x80", "\"" BAD "\"");
    EXPECT("a\x80z", "\"a" BAD "z\"");
    EXPECT("\xff\xfe", "\"" BAD BAD "\"");
    EXPECT("\xc0\xaf", "\"" BAD BAD "\"");                  /* overlong / */
    EXPECT("\xc1\xbf", "\"" BAD BAD "\"");
    EXPECT("\xe0\x80\xaf", "\"" BAD BAD BAD "\"");
    EXPECT("\xe0\x9f\xbf", "\"" BAD BAD BAD "\"");
    EXPECT("\xf0\x8f\xbf\xbf", "\"" BAD BAD BAD BAD "\"");
    EXPECT("\xed\xa0\x80", "\"" BAD BAD BAD "\"");          /* surrogate */
    EXPECT("\xed\xbf\xbf", "\"" BAD BAD BAD "\"");
    EXPECT("\xf4\x90\x80\x80", "\"" BAD BAD BAD BAD "\"");  /* U+110000 */
    EXPECT("\xf5\x80\x80\x80", "\"" BAD BAD BAD BAD "\"");

    /* cut off: one mark for what might have become a character */

    EXPECT("\xc3", "\"" BAD "\"");
    EXPECT("\xe2\x82", "\"" BAD "\"");
    EXPECT("\xf0\x9f\x8e", "\"" BAD "\"");
    EXPECT("\xf0\x9f\x8eX", "\"" BAD "X\"");
    EXPECT("\xe2\x82\xe2\x82\xac", "\"" BAD "\xe2\x82\xac\"");
    EXPECT("\xc3\"", "\"" BAD "\\\"\"");
    EXPECT("\xc3\n", "\"" BAD "\\n\"");
}


static void
test_values(void **state)
{
    heap_t         heap;
    loyalty_out_t  o;

    static const char  want[] =
        "{\"n\":-9223372036854775808,\"m\":\"12.50\",\"z\":0,"
        "\"t\":\"2026-11-22T10:00:00.250Z\",\"e\":\"-0.05\"}";

    memset(&heap, 0, sizeof(heap));
    heap.left = BLOCKS;

    loyalty_out_init(&o, heap_alloc, &heap, 0);
    loyalty_out_lit(&o, "{\"n\":");
    loyalty_out_int(&o, INT64_MIN);
    loyalty_out_lit(&o, ",\"m\":");
    loyalty_out_money(&o, 1250, 2);
    loyalty_out_lit(&o, ",\"z\":");
    loyalty_out_int(&o, 0);
    loyalty_out_lit(&o, ",\"t\":");
    loyalty_out_time(&o, 1795341600250LL);
    loyalty_out_lit(&o, ",\"e\":");
    loyalty_out_money(&o, -5, 2);
    loyalty_out_raw(&o, NULL, 0);
    loyalty_out_lit(&o, "}");

    assert_int_equal(o.failed, 0);
    assert_int_equal(o.pos - o.start, sizeof(want) - 1);
    assert_memory_equal(o.start, want, sizeof(want) - 1);

    heap_free(&heap);
}


static void
test_growth(void **state)
{
    int            i, v;
    char           digits[8];
    heap_t         heap;
    size_t         first;
    loyalty_out_t  o;

    for (first = 1; first < 40; first++) {
        memset(&heap, 0, sizeof(heap));
        heap.left = BLOCKS;
        loyalty_out_init(&o, heap_alloc, &heap, first);

        for (i = 0; i < 10000; i++) {
            loyalty_out_int(&o, 100000 + i);
        }

        assert_int_equal(o.failed, 0);
        assert_int_equal(o.pos - o.start, 60000);

        for (i = 0; i < 10000; i++) {
            memcpy(digits, o.start + 6 * i, 6);
            digits[6] = '\0';
            assert_int_equal(sscanf(digits, "%d", &v), 1);
            assert_int_equal(v, 100000 + i);
        }

        /* it doubles: few blocks, and not much over what is needed */

        assert_true(heap.n < 20);
        assert_true(o.end - o.start <= 120000);
        heap_free(&heap);
    }
}


static void
test_no_memory(void **state)
{
    heap_t         heap;
    size_t         left;
    loyalty_out_t  o;

    for (left = 0; left < 4; left++) {
        memset(&heap, 0, sizeof(heap));
        heap.left = left;

        loyalty_out_init(&o, heap_alloc, &heap, 4);
        assert_int_equal(o.failed, left == 0);

        loyalty_out_lit(&o, "1234");                 /* in the first block */
        loyalty_out_lit(&o, "5");                    /* the second */
        assert_int_equal(o.failed, left < 2);

        loyalty_out_lit(&o, "67890");                /* the third */
        assert_int_equal(o.failed, left < 3);

        /* dropped for good: a hole in the middle would be worse */

        if (o.failed) {
            heap.left = BLOCKS;
            loyalty_out_lit(&o, "x");
            loyalty_out_str(&o, "\"\xff", 2);
            loyalty_out_int(&o, 1);
            loyalty_out_time(&o, 1);
            assert_int_equal(o.failed, 1);
            assert_int_equal(heap.left, BLOCKS);
        }

        heap_free(&heap);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_str),
        cmocka_unit_test(test_str_utf8),
        cmocka_unit_test(test_str_invalid),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
