/*
 * The prize table as bytes: what is written is read, in lowest terms, and
 * what cannot be is refused.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "draw.h"


static size_t prizes(unsigned char *dst, const loyalty_prize_t *rows,
    size_t count);


static size_t
prizes(unsigned char *dst, const loyalty_prize_t *rows, size_t count)
{
    return loyalty_prizes_encode(dst, loyalty_prizes_len(rows, count), rows,
                                 count);
}


static void
test_prizes(void **state)
{
    size_t                 i, n;
    uint32_t               count;
    unsigned char          buf[512], same[512];
    loyalty_prize_t        read[3];
    const unsigned char   *row;

    static const loyalty_prize_t  table[] = {
        { (unsigned char *) "car", 3, 1, 2, 100 },
        { (unsigned char *) "coupon", 6, LOYALTY_UNLIMITED, 1, 6 },
        { (unsigned char *) "", 0, 900, 0, 0 }
    };

    n = prizes(buf, table, 3);
    assert_int_equal(n, 23 + 4 + 3 * 28 + 9);
    assert_int_equal(loyalty_prizes_encode(same, n - 1, table, 3), 0);

    assert_ok(loyalty_prizes_decode(buf, n, &count, &row));
    assert_int_equal(count, 3);

    for (i = 0; i < count; i++) {
        row = loyalty_prizes_next(row, &read[i]);
        assert_int_equal(read[i].len, table[i].len);
        assert_memory_equal(read[i].name, table[i].name, table[i].len);
        assert_true(read[i].stock == table[i].stock);
    }

    assert_ptr_equal(row, buf + n);

    /* in lowest terms */

    assert_int_equal(read[0].num, 1);
    assert_int_equal(read[0].den, 50);
    assert_int_equal(prizes(same, read, 3), n);
    assert_memory_equal(same, buf, n);

    for (i = 0; i < n; i++) {
        assert_int_equal(loyalty_prizes_decode(buf, i, &count, &row), -1);
    }

    assert_int_equal(loyalty_prizes_decode(buf, n + 1, &count, &row), -1);

    /* 50/100 in the bytes: not in lowest terms */

    buf[23 + 4 + 4 + 3 + 8 + 7] = 50;
    buf[23 + 4 + 4 + 3 + 8 + 8 + 7] = 100;
    assert_int_equal(loyalty_prizes_decode(buf, n, &count, &row), -1);
}


static void
test_prizes_refused(void **state)
{
    size_t           i;
    unsigned char    buf[1024], name[256];
    loyalty_prize_t  two[2];

    static const loyalty_prize_t  bad[] = {
        { (unsigned char *) "a", 1, 1, 1, 0 },
        { (unsigned char *) "a", 1, 1, 0, 1 },
        { (unsigned char *) "a", 1, 1, 3, 2 },
        { (unsigned char *) "a", 1, 1, 1, 1ULL << 40 },
        { (unsigned char *) "", 0, LOYALTY_UNLIMITED, 0, 0 },
        { (unsigned char *) "", 0, 5, 1, 2 }
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(prizes(buf, &bad[i], 1), 0);
    }

    assert_int_equal(prizes(buf, bad, 0), 0);

    memset(name, 'n', sizeof(name));
    memset(two, 0, sizeof(two));
    two[0].name = name;
    two[0].len = 255;
    two[1].name = name;
    two[1].len = 0;
    assert_int_not_equal(prizes(buf, two, 2), 0);

    /* a name too long, blanks before a prize, too many rows */

    two[0].len = 256;
    assert_int_equal(prizes(buf, two, 2), 0);
    two[0].len = 0;
    assert_int_equal(prizes(buf, two, 2), 0);
    two[0].len = 1;
    assert_int_equal(loyalty_prizes_encode(buf, sizeof(buf), two,
                                           LOYALTY_PRIZES_MAX + 1), 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_prizes),
        cmocka_unit_test(test_prizes_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
