/*
 * Dates and RFC 3339 instants: against libc over the whole range, and by
 * the examples and the refusals of the RFC.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loyalty_calendar.h"


static int parse(const char *s, size_t n, int64_t *ms);
static const char *format(int64_t ms);
static const char *name(loyalty_unit_e unit, int64_t period);


/* from a block of its exact size */

static int
parse(const char *s, size_t n, int64_t *ms)
{
    int             rc;
    unsigned char  *block;

    block = malloc(n > 0 ? n : 1);
    assert_non_null(block);
    memcpy(block, s, n);
    rc = loyalty_rfc3339_parse(block, n, ms);
    free(block);

    return rc;
}


static const char *
format(int64_t ms)
{
    size_t                n;
    static unsigned char  buf[41];

    n = loyalty_rfc3339_format(buf, ms);
    assert_true(n <= 40);
    buf[n] = '\0';

    return (const char *) buf;
}


static const char *
name(loyalty_unit_e unit, int64_t period)
{
    size_t                n;
    static unsigned char  buf[33];

    n = loyalty_period_name(unit, period, buf);
    assert_true(n <= 32);
    buf[n] = '\0';

    return (const char *) buf;
}


static void
test_civil_against_libc(void **state)
{
    int        month, day;
    time_t     t;
    int64_t    days, year;
    struct tm  tm;

    /* every day from 1600 to 2400, then every 97th to 9999 and from -9999 */

    for (days = -4371000; days < 2932897;
         days += (days > -135140 && days < 157055) ? 1 : 97)
    {
        t = (time_t) days * 86400;
        assert_non_null(gmtime_r(&t, &tm));
        loyalty_civil(days, &year, &month, &day);

        assert_int_equal(year, tm.tm_year + 1900);
        assert_int_equal(month, tm.tm_mon + 1);
        assert_int_equal(day, tm.tm_mday);
        assert_int_equal(loyalty_days(year, month, day), days);
    }

    assert_int_equal(loyalty_days(1970, 1, 1), 0);
    assert_int_equal(loyalty_days(2000, 2, 29), 11016);
    assert_int_equal(loyalty_days(1969, 12, 29), -3);
}


static void
test_names_against_libc(void **state)
{
    char       want[32];
    time_t     t;
    int64_t    days, week;
    struct tm  tm;

    for (days = -3; days < 120000; days++) {
        t = (time_t) days * 86400;
        assert_non_null(gmtime_r(&t, &tm));

        strftime(want, sizeof(want), "%Y-%m-%d", &tm);
        assert_string_equal(name(LOYALTY_DAY, days), want);

        week = (days + 3) / 7;
        strftime(want, sizeof(want), "%G-W%V", &tm);
        assert_string_equal(name(LOYALTY_WEEK, week), want);

        strftime(want, sizeof(want), "%Y-%m", &tm);
        assert_string_equal(name(LOYALTY_MONTH, (tm.tm_year - 70) * 12
                                                + tm.tm_mon),
                            want);
    }

    assert_string_equal(name(LOYALTY_WEEK, loyalty_days(2027, 1, 1) / 7),
                        "2026-W53");

    /* numbers that no calendar has still fit the buffer */

    (void) name(LOYALTY_DAY, INT64_MAX);
    (void) name(LOYALTY_DAY, INT64_MIN);
    (void) name(LOYALTY_WEEK, INT64_MAX);
    (void) name(LOYALTY_WEEK, INT64_MIN);
    (void) name(LOYALTY_MONTH, INT64_MAX);
    (void) name(LOYALTY_MONTH, INT64_MIN);
}


static void
test_rfc3339_parse(void **state)
{
    size_t   i;
    int64_t  ms;

    static const struct {
        const char  *s;
        int64_t      ms;
    } cases[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "1970-01-01T00:00:00.001Z", 1 },
        { "1985-04-12T23:20:50.52Z", 482196050520LL },
        { "1996-12-19T16:39:57-08:00", 851042397000LL },
        { "1996-12-20T00:39:57Z", 851042397000LL },
        { "1937-01-01T12:00:27.87+00:20", -1 },          /* before 1970 */
        { "2026-11-22T10:00:00Z", 1795341600000LL },
        { "2026-11-22t10:00:00z", 1795341600000LL },
        { "2026-11-22T11:00:00+01:00", 1795341600000LL },
        { "2026-11-22T15:30:00+05:30", 1795341600000LL },
        { "2026-11-22T10:00:00-00:00", 1795341600000LL },
        { "2026-11-23T09:59:00+23:59", 1795341600000LL },
        { "2026-11-22T10:00:00.9Z", 1795341600900LL },
        { "2026-11-22T10:00:00.99Z", 1795341600990LL },
        { "2026-11-22T10:00:00.0009Z", 1795341600000LL },
        { "2026-11-22T10:00:00.123456789Z", 1795341600123LL },
        { "2026-11-22T10:00:00.999999999+00:00", 1795341600999LL },
        { "2000-02-29T00:00:00Z", 951782400000LL },
        { "2024-02-29T12:00:00Z", 1709208000000LL },
        { "9999-12-31T23:59:59.999Z", 253402300799999LL },
        { "1969-12-31T23:00:00-05:00", 14400000LL },
        { "1990-12-31T23:59:60Z", 662688000000LL },      /* leap seconds */
        { "1990-12-31T15:59:60-08:00", 662688000000LL },
        { "1990-12-31T23:59:60.5Z", 662688000500LL },
        { "2015-06-30T23:59:60Z", 1435708800000LL },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ms = -1;
        assert_int_equal(parse(cases[i].s, strlen(cases[i].s), &ms),
                         cases[i].ms == -1 ? -1 : 0);
        assert_true(ms == cases[i].ms);
    }
}


static void
test_rfc3339_refused(void **state)
{
    size_t   i;
    int64_t  ms;

    static const char  *cases[] = {
        "",
        "2026-11-22",
        "2026-11-22T10:00:00",
        "2026-11-22T10:00Z",
        "2026-11-22 10:00:00Z",
        "2026-11-22T10:00:00 Z",
        "2026-11-22T10:00:00Z ",
        " 2026-11-22T10:00:00Z",
        "2026-11-22T10:00:00ZZ",
        "2026-11-22T10:00:00.Z",
        "2026-11-22T10:00:00,5Z",
        "2026-11-22T10:00:00.1234567890Z",
        "2026-11-22T10:00:00.-1Z",
        "2026-11-22T10:00:00+01",
        "2026-11-22T10:00:00+0100",
        "2026-11-22T10:00:00+1:00",
        "2026-11-22T10:00:00+01:0",
        "2026-11-22T10:00:00+01:000",
        "2026-11-22T10:00:00+24:00",
        "2026-11-22T10:00:00+01:60",
        "2026-11-22T10:00:00*01:00",
        "2026-11-22T10:00:00UTC",
        "2026-11-22T24:00:00Z",
        "2026-11-22T10:60:00Z",
        "2026-11-22T10:00:61Z",
        "2026-11-22T10:00:60Z",
        "2026-11-22T23:59:60Z",
        "2026-11-30T23:59:60+01:00",
        "2026-00-22T10:00:00Z",
        "2026-13-22T10:00:00Z",
        "2026-11-00T10:00:00Z",
        "2026-11-31T10:00:00Z",
        "2026-02-29T10:00:00Z",
        "2100-02-29T10:00:00Z",
        "2026-1-22T10:00:00Z0",
        "26-11-22T10:00:00Z00",
        "+2026-11-22T10:00:00Z",
        "12026-11-22T10:00:00Z",
        "2026-11-22T1O:00:00Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-00:01",
        "9999-12-31T23:59:60Z",
        "2026-W47-7T10:00:00Z",
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ms = -77;

        if (parse(cases[i], strlen(cases[i]), &ms) != -1) {
            fail_msg("\"%s\" was taken", cases[i]);
        }

        assert_int_equal(ms, -77);
    }

    assert_int_equal(parse("2026-11-22T10:00:00Z\0", 21, &ms), -1);
}


/* cut off at every byte, and every byte replaced by every other */

static void
test_rfc3339_mutilated(void **state)
{
    int      c;
    char     s[40];
    size_t   n, i;
    int64_t  ms;

    static const char  whole[] = "2026-11-22T11:00:00.123456789+01:00";

    for (n = 0; n < sizeof(whole) - 1; n++) {
        assert_int_equal(parse(whole, n, &ms), -1);
    }

    for (i = 0; i < sizeof(whole) - 1; i++) {
        for (c = 0; c < 256; c++) {
            memcpy(s, whole, sizeof(whole));
            s[i] = (char) c;

            if (parse(s, sizeof(whole) - 1, &ms) == 0) {
                assert_true((c >= '0' && c <= '9') || c == 't' || c == '-'
                            || c == whole[i]);
                assert_true(ms >= 0);
            }
        }
    }
}


static void
test_rfc3339_format(void **state)
{
    int64_t   ms, got;
    uint32_t  seed;
    unsigned  i;

    assert_string_equal(format(0), "1970-01-01T00:00:00Z");
    assert_string_equal(format(1), "1970-01-01T00:00:00.001Z");
    assert_string_equal(format(1795341600120LL), "2026-11-22T10:00:00.120Z");
    assert_string_equal(format(-1), "1969-12-31T23:59:59.999Z");
    assert_string_equal(format(253402300799999LL),
                        "9999-12-31T23:59:59.999Z");
    assert_true(strlen(format(INT64_MAX)) <= 40);
    assert_true(strlen(format(INT64_MIN)) <= 40);

    seed = 7;

    for (i = 0; i < 50000; i++) {
        seed = seed * 1664525 + 1013904223;
        ms = (int64_t) (((uint64_t) seed << 16 ^ seed) % 253402300800000ULL);
        assert_int_equal(parse(format(ms), strlen(format(ms)), &got), 0);
        assert_true(got == ms);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_civil_against_libc),
        cmocka_unit_test(test_names_against_libc),
        cmocka_unit_test(test_rfc3339_parse),
        cmocka_unit_test(test_rfc3339_refused),
        cmocka_unit_test(test_rfc3339_mutilated),
        cmocka_unit_test(test_rfc3339_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
