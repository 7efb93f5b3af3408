/*
 * Decimal amounts: exactly what is a decimal, exact units, exact text.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "loyalty_money.h"


static int parse(const char *s, unsigned scale, int64_t *units);
static const char *format(int64_t units, unsigned scale);


static int
parse(const char *s, unsigned scale, int64_t *units)
{
    return loyalty_money_parse((const unsigned char *) s, strlen(s), scale,
                               units);
}


static const char *
format(int64_t units, unsigned scale)
{
    size_t                n;
    static unsigned char  buf[LOYALTY_MONEY_LEN + 1];

    n = loyalty_money_format(buf, units, scale);
    assert_true(n <= LOYALTY_MONEY_LEN);
    buf[n] = '\0';

    return (const char *) buf;
}


static void
test_parse(void **state)
{
    size_t   i;
    int64_t  units;

    static const struct {
        const char  *s;
        unsigned     scale;
        int64_t      units;
    } cases[] = {
        { "0", 0, 0 },
        { "0", 2, 0 },
        { "0.0", 2, 0 },
        { "0.00", 2, 0 },
        { "1", 0, 1 },
        { "12.5", 2, 1250 },
        { "12.50", 2, 1250 },
        { "12", 2, 1200 },
        { "0.05", 2, 5 },
        { "0.1", 1, 1 },
        { "1.001", 3, 1001 },
        { "10", 0, 10 },
        { "9007199254740991", 0, LOYALTY_MAX_INT },
        { "90071992547409.91", 2, LOYALTY_MAX_INT },
        { "90071992547409.9", 2, LOYALTY_MAX_INT - 1 },
        { "9.007199254740991", 15, LOYALTY_MAX_INT },
        { "1", 15, 1000000000000000LL },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        units = -1;
        assert_int_equal(parse(cases[i].s, cases[i].scale, &units),
                         LOYALTY_MONEY_OK);
        assert_true(units == cases[i].units);
    }
}


static void
test_parse_errors(void **state)
{
    size_t   i;
    int64_t  units;

    static const struct {
        const char  *s;
        unsigned     scale;
        int          rc;
    } cases[] = {
        { "", 2, LOYALTY_MONEY_SYNTAX },
        { ".", 2, LOYALTY_MONEY_SYNTAX },
        { ".5", 2, LOYALTY_MONEY_SYNTAX },
        { "5.", 2, LOYALTY_MONEY_SYNTAX },
        { "1.2.3", 2, LOYALTY_MONEY_SYNTAX },
        { "+1", 2, LOYALTY_MONEY_SYNTAX },
        { "-1", 2, LOYALTY_MONEY_SYNTAX },
        { " 1", 2, LOYALTY_MONEY_SYNTAX },
        { "1 ", 2, LOYALTY_MONEY_SYNTAX },
        { "1e2", 2, LOYALTY_MONEY_SYNTAX },
        { "1,5", 2, LOYALTY_MONEY_SYNTAX },
        { "1.5x", 2, LOYALTY_MONEY_SYNTAX },
        { "0x10", 2, LOYALTY_MONEY_SYNTAX },
        { "00", 2, LOYALTY_MONEY_SYNTAX },
        { "01", 2, LOYALTY_MONEY_SYNTAX },
        { "00.5", 2, LOYALTY_MONEY_SYNTAX },
        { "007", 2, LOYALTY_MONEY_SYNTAX },
        { "NaN", 2, LOYALTY_MONEY_SYNTAX },
        { "\xd9\xa1", 2, LOYALTY_MONEY_SYNTAX },         /* Arabic one */
        { "1.234", 2, LOYALTY_MONEY_SCALE },
        { "1.230", 2, LOYALTY_MONEY_SCALE },
        { "1.0", 0, LOYALTY_MONEY_SCALE },
        { "0.0000000000000001", 15, LOYALTY_MONEY_SCALE },
        { "1", 16, LOYALTY_MONEY_SCALE },
        { "9007199254740992", 0, LOYALTY_MONEY_RANGE },
        { "90071992547409.92", 2, LOYALTY_MONEY_RANGE },
        { "90071992547410", 2, LOYALTY_MONEY_RANGE },
        { "10", 15, LOYALTY_MONEY_RANGE },
        { "9223372036854775808", 0, LOYALTY_MONEY_RANGE },
        { "18446744073709551616", 0, LOYALTY_MONEY_RANGE },
        { "99999999999999999999999999999999999999", 0, LOYALTY_MONEY_RANGE },
        { "99999999999999999999999999999999999999", 2, LOYALTY_MONEY_RANGE },
        /* syntax is told before scale, scale before range */
        { "99999999999999999999.123x", 2, LOYALTY_MONEY_SYNTAX },
        { "99999999999999999999.123", 2, LOYALTY_MONEY_SCALE },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        units = -77;
        assert_int_equal(parse(cases[i].s, cases[i].scale, &units),
                         cases[i].rc);
        assert_int_equal(units, -77);
    }

    /* a NUL is no end */

    assert_int_equal(loyalty_money_parse((const unsigned char *) "1\0", 2, 2,
                                         &units),
                     LOYALTY_MONEY_SYNTAX);
}


static void
test_format(void **state)
{
    assert_string_equal(format(1250, 2), "12.50");
    assert_string_equal(format(0, 0), "0");
    assert_string_equal(format(0, 2), "0.00");
    assert_string_equal(format(5, 2), "0.05");
    assert_string_equal(format(-5, 2), "-0.05");
    assert_string_equal(format(-1250, 2), "-12.50");
    assert_string_equal(format(7, 0), "7");
    assert_string_equal(format(-7, 0), "-7");
    assert_string_equal(format(10, 1), "1.0");
    assert_string_equal(format(LOYALTY_MAX_INT, 0), "9007199254740991");
    assert_string_equal(format(LOYALTY_MAX_INT, 15), "9.007199254740991");
    assert_string_equal(format(1, 15), "0.000000000000001");
    assert_string_equal(format(INT64_MAX, 2), "92233720368547758.07");
    assert_string_equal(format(INT64_MIN, 0), "-9223372036854775808");
    assert_string_equal(format(INT64_MIN, 2), "-92233720368547758.08");
    assert_string_equal(format(1, 99), "0.000000000000001");
}


static void
test_round_trip(void **state)
{
    int64_t   units, got;
    uint32_t  seed;
    unsigned  scale, i;

    seed = 1;

    for (i = 0; i < 20000; i++) {
        seed = seed * 1664525 + 1013904223;
        units = ((int64_t) seed << 21 ^ seed) & LOYALTY_MAX_INT;
        units >>= seed % 53;
        scale = i % 16;

        assert_int_equal(parse(format(units, scale), scale, &got),
                         LOYALTY_MONEY_OK);
        assert_true(got == units);
    }
}


static void
test_fraction(void **state)
{
    int      rc;
    size_t   i;
    int64_t  num, den;

    static const struct {
        const char  *s;
        int          rc;
        int64_t      num;
        int64_t      den;
    } cases[] = {
        { "1", 0, 1, 1 },
        { "0", 0, 0, 1 },
        { "0.000", 0, 0, 1 },
        { "1.25", 0, 5, 4 },
        { "1.250", 0, 5, 4 },
        { "1.5", 0, 3, 2 },
        { "0.1", 0, 1, 10 },
        { "0.000000001", 0, 1, 1000000000 },
        { "3.14", 0, 157, 50 },
        { "100", 0, 100, 1 },
        { "9007199254740991", 0, LOYALTY_MAX_INT, 1 },
        { "9007199254740991.000000000", 0, LOYALTY_MAX_INT, 1 },
        { "9007199254.740991", 0, LOYALTY_MAX_INT, 1000000 },
        { "9007199254740991.5", LOYALTY_MONEY_RANGE, 0, 0 },
        { "9007199254740992", LOYALTY_MONEY_RANGE, 0, 0 },
        { "99999999999999999999", LOYALTY_MONEY_RANGE, 0, 0 },
        { "0.0000000001", LOYALTY_MONEY_SCALE, 0, 0 },
        { "1.0000000000", LOYALTY_MONEY_SCALE, 0, 0 },
        { "", LOYALTY_MONEY_SYNTAX, 0, 0 },
        { "-1", LOYALTY_MONEY_SYNTAX, 0, 0 },
        { "1.", LOYALTY_MONEY_SYNTAX, 0, 0 },
        { "01", LOYALTY_MONEY_SYNTAX, 0, 0 },
        { "1/2", LOYALTY_MONEY_SYNTAX, 0, 0 },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        num = -1;
        den = -1;
        rc = loyalty_decimal_fraction((const unsigned char *) cases[i].s,
                                      strlen(cases[i].s), &num, &den);
        assert_int_equal(rc, cases[i].rc);
        assert_true(num == (rc == 0 ? cases[i].num : -1));
        assert_true(den == (rc == 0 ? cases[i].den : -1));
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_errors),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_fraction),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
