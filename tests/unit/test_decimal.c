/*
 * Decimal numbers: what is one, and which of two is greater, exactly.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "loyalty_decimal.h"


static int parse(const char *s, loyalty_decimal_t *d);
static int sign(int n);


static int
parse(const char *s, loyalty_decimal_t *d)
{
    return loyalty_decimal_parse((const unsigned char *) s, strlen(s), d);
}


static int
sign(int n)
{
    return (n > 0) - (n < 0);
}


static void
test_syntax(void **state)
{
    size_t              i;
    loyalty_decimal_t   d;

    static const char  *good[] = {
        "0", "00", "7", "007", "-7", "0.0", "12.50", "-0.05", "9999999999"
        "99999999999999999999999999999999.1", NULL
    };
    static const char  *bad[] = {
        "", "-", ".", ".5", "5.", "-.5", "1.2.3", "+1", " 1", "1 ", "1,5",
        "0x10", "abc", "1e5", "1.5E-7", "--1", "1-", "NaN", NULL
    };

    for (i = 0; good[i] != NULL; i++) {
        assert_int_equal(parse(good[i], &d), 0);
    }

    for (i = 0; bad[i] != NULL; i++) {
        assert_int_equal(parse(bad[i], &d), -1);
    }
}


/* each list ascends: every one is compared with every other, both ways */

static void
test_order(void **state)
{
    size_t              i, n;
    loyalty_decimal_t   a, b;

    static const char  *ascending[] = {
        "-1000000000000000000000", "-1000", "-999.99", "-10", "-2", "-1.5",
        "-1.49", "-1", "-0.1", "-0.01", "-0.000000001", "0", "0.000000001",
        "0.00123", "0.0123", "0.1",
        "0.10000000000000000000000000000000000000000000001", "0.2", "0.99",
        "1", "1.0000000000000001", "1.01", "2", "9", "9.9", "10", "99", "100",
        "9007199254740992", "9007199254740993", "18446744073709551616",
        "100000000000000000000", "123456789012345678901234567890", NULL
    };

    for (i = 0; ascending[i] != NULL; i++) {
        for (n = 0; ascending[n] != NULL; n++) {
            assert_int_equal(parse(ascending[i], &a), 0);
            assert_int_equal(parse(ascending[n], &b), 0);
            assert_int_equal(sign(loyalty_decimal_cmp(&a, &b)),
                             (i > n) - (i < n));
        }
    }
}


static void
test_equal(void **state)
{
    size_t              i;
    loyalty_decimal_t   a, b;

    static const char  *pairs[][2] = {
        { "0", "-0" }, { "0", "0.000" }, { "1", "1.0" }, { "007", "7" },
        { "12.5", "12.50" }, { "-3", "-3.00" }, { "0010.10", "10.1" },
        { "000.0500", "0.05" }
    };

    for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        assert_int_equal(parse(pairs[i][0], &a), 0);
        assert_int_equal(parse(pairs[i][1], &b), 0);
        assert_int_equal(loyalty_decimal_cmp(&a, &b), 0);
        assert_int_equal(loyalty_decimal_cmp(&b, &a), 0);
    }
}


/* the parser stops where it is told to */

static void
test_length(void **state)
{
    loyalty_decimal_t  a, b;

    assert_int_equal(loyalty_decimal_parse((const unsigned char *) "1299", 2,
                                           &a), 0);
    assert_int_equal(parse("12", &b), 0);
    assert_int_equal(loyalty_decimal_cmp(&a, &b), 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
