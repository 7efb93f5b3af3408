/*
 * The rule of a zone file's footer, in all its forms: against libc where
 * libc knows the form, by hand where it does not.
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

#include "loyalty_zone.h"


static int rule_of(const char *s, loyalty_tzrule_t *rule);


/* from a block of its exact size */

static int
rule_of(const char *s, loyalty_tzrule_t *rule)
{
    int             rc;
    size_t          n;
    unsigned char  *block;

    n = strlen(s);
    block = malloc(n > 0 ? n : 1);
    assert_non_null(block);
    memcpy(block, s, n);
    rc = loyalty_tzrule_parse(rule, block, n);
    free(block);

    return rc;
}


static void
test_rules_against_libc(void **state)
{
    size_t            i;
    time_t            t;
    struct tm         tm;
    loyalty_tzrule_t  rule;

    static const char  *rules[] = {
        "UTC0",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "EST5EDT,M3.2.0,M11.1.0",
        "<+0545>-5:45",
        "<-03>3<-02>,M3.5.0/0,M10.5.0/0",
        "AEST-10AEDT,M10.1.0,M4.1.0/3",
        "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
        "NZST-12NZDT,M9.5.0,M4.1.0/3",
        "LMT0:14:44",
        "AAA3BBB,J60,J300",
        "AAA3BBB,J59/1:30,J365",
        "AAA3BBB,59,300/12",
        "AAA-3BBB,60/0,0/6",
        "AAA-3BBB,J60,J365/23",
        "IST-1GMT0,M10.5.0,M3.5.0/1",
        "AAA+5BBB+4,M2.5.3,M9.4.6",
    };

    for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        assert_int_equal(rule_of(rules[i], &rule), 0);
        setenv("TZ", rules[i], 1);
        tzset();

        for (t = 0; t < 4102444800LL; t += 28807) {
            assert_non_null(localtime_r(&t, &tm));

            if (loyalty_tzrule_offset(&rule, t) != tm.tm_gmtoff) {
                fail_msg("%s at %lld: %d, libc says %ld", rules[i],
                         (long long) t, loyalty_tzrule_offset(&rule, t),
                         tm.tm_gmtoff);
            }
        }
    }
}


static void
test_rule_fields(void **state)
{
    loyalty_tzrule_t  rule;

    assert_int_equal(rule_of("<-03>+3:30:15<-02>-1:00,J1/-167,"
                             "M12.5.6/167:59:59", &rule),
                     0);
    assert_int_equal(rule.std, -(3 * 3600 + 30 * 60 + 15));
    assert_int_equal(rule.has_dst, 1);
    assert_int_equal(rule.dst, 3600);
    assert_int_equal(rule.start.kind, LOYALTY_TZ_JULIAN);
    assert_int_equal(rule.start.day, 1);
    assert_int_equal(rule.start.time, -167 * 3600);
    assert_int_equal(rule.end.kind, LOYALTY_TZ_WEEKDAY);
    assert_int_equal(rule.end.month, 12);
    assert_int_equal(rule.end.week, 5);
    assert_int_equal(rule.end.day, 6);
    assert_int_equal(rule.end.time, 167 * 3600 + 59 * 60 + 59);

    assert_int_equal(rule_of("ABC-24DEF,0,365/0", &rule), 0);
    assert_int_equal(rule.std, 86400);
    assert_int_equal(rule.dst, 90000);
    assert_int_equal(rule.start.kind, LOYALTY_TZ_DAY);
    assert_int_equal(rule.start.time, 7200);
    assert_int_equal(rule.end.time, 0);
}


static void
test_rules_refused(void **state)
{
    size_t            i, n;
    char              cut[64];
    loyalty_tzrule_t  rule;

    static const char  whole[] = "CET-1CEST-2,M3.5.0/2,M10.5.0/3";

    static const char  *rules[] = {
        "", "CET", "C-1", "CE-1", "-1", "CET-", "CET-25", "CET-1:60",
        "CET-1:00:60", "CET--1", "CET 1", "CET-1 ", "<CET-1", "<CE>-1",
        "<C T>-1", "CET-1CEST", "CET-1CEST-2", "CET-1CE,J1,J2",
        "CET-1CEST,", "CET-1CEST,J1", "CET-1CEST,J1,", "CET-1CEST,J0,J5",
        "CET-1CEST,J366,J5", "CET-1CEST,366,J5", "CET-1CEST,M0.1.0,J5",
        "CET-1CEST,M13.1.0,J5", "CET-1CEST,M1.0.0,J5",
        "CET-1CEST,M1.6.0,J5", "CET-1CEST,M1.1.7,J5", "CET-1CEST,M1.1,J5",
        "CET-1CEST,M1.1.1.1,J5", "CET-1CEST,J1/168,J5",
        "CET-1CEST,J1/-168,J5", "CET-1CEST,J1/,J5", "CET-1CEST,J1,J5,J6",
        "CET-1CEST,J1,J5x", "CET-1CEST,J0001,J5", "CET-1CEST,-1,J5",
        "\xffXY-1", ":Europe/Madrid",
    };

    for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (rule_of(rules[i], &rule) != -1) {
            fail_msg("\"%s\" was taken", rules[i]);
        }
    }

    /* cut anywhere: a shorter one is a rule only where it is one in itself */

    for (n = 0; n < sizeof(whole); n++) {
        memcpy(cut, whole, n);
        cut[n] = '\0';
        assert_int_equal(rule_of(cut, &rule) == 0,
                         n == 5 || n == 28 || n == 30);
    }
}


static void
test_rule_all_year(void **state)
{
    int64_t           t;
    loyalty_tzrule_t  rule;

    /* daylight saving that ends when it starts again: RFC 8536, 3.3.1 */

    assert_int_equal(rule_of("EST5EDT,0/0,J365/25", &rule), 0);

    for (t = 0; t < 4102444800LL; t += 14407) {
        assert_int_equal(loyalty_tzrule_offset(&rule, t), -4 * 3600);
    }

    /* the same with an overlap, and one that is never reached */

    assert_int_equal(rule_of("EST5EDT,0/0,J365/150", &rule), 0);

    for (t = 0; t < 4102444800LL; t += 14407) {
        assert_int_equal(loyalty_tzrule_offset(&rule, t), -4 * 3600);
    }

    assert_int_equal(rule_of("EST5EDT,J100/1,J100/2", &rule), 0);

    for (t = 0; t < 4102444800LL; t += 14407) {
        assert_int_equal(loyalty_tzrule_offset(&rule, t), -5 * 3600);
    }
}


static void
test_rule_far_times(void **state)
{
    int64_t           start, end;
    loyalty_tzrule_t  rule;

    /* a week before 2026-01-01, and into 2027: both in other years */

    assert_int_equal(rule_of("AAA0BBB,J1/-167,J365/30", &rule), 0);
    loyalty_tzrule_year(&rule, 2026, &start, &end);
    assert_int_equal(start, 1767225600 - 167 * 3600);
    assert_int_equal(end, 1798675200 + 30 * 3600 - 3600);

    /* Greenland's: Saturday before the last Sunday */

    assert_int_equal(rule_of("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", &rule), 0);
    loyalty_tzrule_year(&rule, 2026, &start, &end);
    assert_int_equal(start, 1774746000);           /* 2026-03-29T01:00Z */
    assert_int_equal(end, 1792890000);             /* 2026-10-25T01:00Z */
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_rules_against_libc),
        cmocka_unit_test(test_rule_fields),
        cmocka_unit_test(test_rules_refused),
        cmocka_unit_test(test_rule_all_year),
        cmocka_unit_test(test_rule_far_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
