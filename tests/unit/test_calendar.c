/*
 * Zones and periods of the system's tzdata: every offset against libc, and
 * every period against a clock that is watched minute by minute.
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


static const char  *zones[] = {
    "UTC",
    "Europe/Madrid",
    "Europe/Dublin",                   /* winter time is the special one */
    "America/New_York",
    "America/Sao_Paulo",               /* changed at midnight */
    "America/Havana",
    "America/St_Johns",                /* changed at 00:01 */
    "America/Goose_Bay",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Asia/Gaza",                       /* laid out to 2086 */
    "Africa/Casablanca",
    "Africa/Cairo",
    "Australia/Lord_Howe",             /* by half an hour */
    "Australia/Sydney",
    "Pacific/Apia",                    /* left a day out */
    "Pacific/Kwajalein",
    "Pacific/Chatham",
    "Antarctica/Troll",                /* by two hours */
    "America/Nuuk",                    /* changes on the day before */
    "Etc/GMT+12",
};

#define NZONES  (sizeof(zones) / sizeof(zones[0]))


static loyalty_zone_t *load(const char *name);
static int64_t instant(const char *rfc3339);
static int64_t libc_offset(int64_t t);
static int64_t floor_div(int64_t a, int64_t b);
static int64_t period_of_local(loyalty_unit_e unit, int64_t shown,
    int32_t day_starts);
static void watch(loyalty_zone_t *zone, const char *name, int64_t from,
    int64_t to, loyalty_unit_e unit, int32_t day_starts);


static loyalty_zone_t *
load(const char *name)
{
    char             err[256];
    loyalty_zone_t  *zone;

    zone = loyalty_zone_load(NULL, name, err, sizeof(err));

    if (zone == NULL) {
        fail_msg("%s: %s", name, err);
    }

    setenv("TZ", name, 1);
    tzset();

    return zone;
}


/* ms */

static int64_t
instant(const char *rfc3339)
{
    int64_t  ms;

    ms = -1;
    assert_int_equal(loyalty_rfc3339_parse((const unsigned char *) rfc3339,
                                           strlen(rfc3339), &ms),
                     0);

    return ms;
}


static int64_t
libc_offset(int64_t t)
{
    time_t     now;
    struct tm  tm;

    now = (time_t) t;
    assert_non_null(localtime_r(&now, &tm));

    return tm.tm_gmtoff;
}


static int64_t
floor_div(int64_t a, int64_t b)
{
    return (a >= 0) ? a / b : -((-a + b - 1) / b);
}


/* the period of what a clock shows, by way of libc's calendar */

static int64_t
period_of_local(loyalty_unit_e unit, int64_t shown, int32_t day_starts)
{
    time_t     t;
    struct tm  tm;

    t = (time_t) (shown - day_starts);

    switch (unit) {

    case LOYALTY_DAY:
        return floor_div(t, 86400);

    case LOYALTY_WEEK:
        return floor_div(t + 3 * 86400, 7 * 86400);

    default:
        assert_non_null(gmtime_r(&t, &tm));
        return (tm.tm_year - 70) * 12 + tm.tm_mon;
    }
}


static void
test_offsets_against_libc(void **state)
{
    size_t           i;
    int64_t          t;
    loyalty_zone_t  *zone;

    for (i = 0; i < NZONES; i++) {
        zone = load(zones[i]);

        /* from 1900, through the end of the file's table, to 2110 */

        for (t = -2208988800LL; t < 4417977600LL; t += 100003) {
            if (loyalty_zone_offset(zone, t) != libc_offset(t)) {
                fail_msg("%s at %lld: %d, libc says %lld", zones[i],
                         (long long) t, loyalty_zone_offset(zone, t),
                         (long long) libc_offset(t));
            }
        }

        /* far ahead, where whole cycles of 400 years are taken off */

        for (t = 4417977600LL; t < 253402300800LL; t += 43200007) {
            assert_int_equal(loyalty_zone_offset(zone, t), libc_offset(t));
        }

        loyalty_zone_free(zone);
    }
}


/* each change of offset that libc knows of, to the second */

static void
test_changes_against_libc(void **state)
{
    int              changes;
    size_t           i;
    int64_t          t, lo, hi, mid, step;
    loyalty_zone_t  *zone;

    step = 12 * 3600;

    for (i = 0; i < NZONES; i++) {
        zone = load(zones[i]);
        changes = 0;

        for (t = -2208988800LL; t < 4102444800LL; t += step) {

            if (libc_offset(t) == libc_offset(t + step)) {
                continue;
            }

            for (lo = t, hi = t + step; hi - lo > 1; /* void */) {
                mid = lo + (hi - lo) / 2;

                if (libc_offset(mid) == libc_offset(lo)) {
                    lo = mid;

                } else {
                    hi = mid;
                }
            }

            assert_int_equal(loyalty_zone_offset(zone, lo), libc_offset(lo));
            assert_int_equal(loyalty_zone_offset(zone, hi), libc_offset(hi));
            changes++;
        }

        assert_true(changes > 0 || strcmp(zones[i], "UTC") == 0
                    || strcmp(zones[i], "Etc/GMT+12") == 0);
        loyalty_zone_free(zone);
    }
}


/*
 * The definition, followed literally: the period of an instant is that of
 * the highest time that the clock has shown, and it starts when the clock
 * first gets there.
 */

static void
watch(loyalty_zone_t *zone, const char *name, int64_t from, int64_t to,
    loyalty_unit_e unit, int32_t day_starts)
{
    int64_t  t, shown, local, want, before, p;

    shown = INT64_MIN;
    before = INT64_MIN;

    for (t = from; t < to; t += 60) {
        local = t + libc_offset(t);
        shown = (local > shown) ? local : shown;

        /* what was shown before the watch began is not known at first */

        if (t < from + 2 * 86400) {
            continue;
        }

        want = period_of_local(unit, shown, day_starts);

        if (loyalty_period(zone, unit, day_starts, t * 1000 + 999) != want
            || loyalty_period(zone, unit, day_starts, t * 1000) != want)
        {
            fail_msg("%s, unit %d from %d: %lld is in %lld, not %lld", name,
                     (int) unit, day_starts, (long long) t,
                     (long long) want,
                     (long long) loyalty_period(zone, unit, day_starts,
                                                t * 1000));
        }

        if (before != INT64_MIN && want != before) {

            /* a period that was left out begins where the next one does */

            for (p = before + 1; p <= want; p++) {
                assert_int_equal(loyalty_period_start(zone, unit, day_starts,
                                                      p),
                                 t * 1000);
            }

            assert_int_equal(loyalty_period(zone, unit, day_starts,
                                            t * 1000 - 1),
                             before);
        }

        before = want;
    }
}


static void
test_periods_watched(void **state)
{
    int              unit;
    size_t           i, j, k;
    int64_t          at;
    loyalty_zone_t  *zone;

    static const struct {
        const char  *zone;
        const char  *at;
    } days[] = {
        { "America/Sao_Paulo", "2018-11-04T03:00:00Z" },
        { "America/Sao_Paulo", "2018-02-18T02:00:00Z" },
        { "Asia/Beirut", "2026-03-28T22:00:00Z" },
        { "Asia/Beirut", "2026-10-24T21:00:00Z" },
        { "America/Havana", "2024-11-03T05:00:00Z" },
        { "America/Havana", "2026-03-08T05:00:00Z" },
        { "America/Goose_Bay", "2010-11-07T03:01:00Z" },
        { "America/Goose_Bay", "2010-03-14T04:01:00Z" },
        { "America/St_Johns", "1988-10-30T01:31:00Z" },
        { "Pacific/Apia", "2011-12-30T10:00:00Z" },
        { "Pacific/Kwajalein", "1993-08-21T12:00:00Z" },
        { "Australia/Lord_Howe", "2026-04-04T15:00:00Z" },
        { "Australia/Lord_Howe", "2026-10-03T15:30:00Z" },
        { "Antarctica/Troll", "2026-10-25T01:00:00Z" },
        { "Europe/Madrid", "2026-10-25T01:00:00Z" },
        { "Europe/Madrid", "2026-03-29T01:00:00Z" },
        { "Europe/Madrid", "2027-01-01T00:00:00Z" },
        { "Europe/Madrid", "2099-10-25T01:00:00Z" },
        { "Europe/Madrid", "2499-10-25T01:00:00Z" },
        { "America/Nuuk", "2026-03-29T01:00:00Z" },
        { "Asia/Kathmandu", "1985-12-31T18:30:00Z" },
        { "UTC", "2026-11-30T00:00:00Z" },
    };

    static const int32_t  starts[] = { 0, 4 * 3600, 9000, 86399 - 59, 60 };

    for (i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
        zone = load(days[i].zone);
        at = instant(days[i].at) / 1000;

        for (j = 0; j < sizeof(starts) / sizeof(starts[0]); j++) {
            for (unit = LOYALTY_DAY; unit <= LOYALTY_MONTH; unit++) {
                watch(zone, days[i].zone, at - 4 * 86400, at + 3 * 86400,
                      (loyalty_unit_e) unit, starts[j]);
            }
        }

        loyalty_zone_free(zone);
    }

    /* the turn of a month that is also one of the clock, and a whole year */

    for (k = 0; k < NZONES; k += 7) {
        zone = load(zones[k]);
        at = instant("2026-01-01T00:00:00Z") / 1000;
        watch(zone, zones[k], at, at + 366 * 86400, LOYALTY_DAY, 0);
        watch(zone, zones[k], at, at + 366 * 86400, LOYALTY_WEEK, 3600);
        watch(zone, zones[k], at, at + 366 * 86400, LOYALTY_MONTH, 14400);
        loyalty_zone_free(zone);
    }
}


/* without libc, in words */

static void
test_known_days(void **state)
{
    int64_t          day;
    loyalty_zone_t  *zone;

    zone = load("America/Sao_Paulo");
    day = loyalty_days(2018, 11, 4);
    assert_int_equal(loyalty_period_start(zone, LOYALTY_DAY, 0, day),
                     instant("2018-11-04T01:00:00-02:00"));
    assert_int_equal(loyalty_period(zone, LOYALTY_DAY, 0,
                                    instant("2018-11-03T23:59:59-03:00")),
                     day - 1);
    loyalty_zone_free(zone);

    zone = load("Pacific/Apia");
    day = loyalty_days(2011, 12, 30);
    assert_int_equal(loyalty_period_start(zone, LOYALTY_DAY, 0, day),
                     instant("2011-12-31T00:00:00+14:00"));
    assert_int_equal(loyalty_period_start(zone, LOYALTY_DAY, 0, day + 1),
                     instant("2011-12-31T00:00:00+14:00"));
    assert_int_equal(loyalty_period(zone, LOYALTY_DAY, 0,
                                    instant("2011-12-29T23:59:59-10:00")),
                     day - 1);
    assert_int_equal(loyalty_period(zone, LOYALTY_DAY, 0,
                                    instant("2011-12-31T00:00:00+14:00")),
                     day + 1);
    loyalty_zone_free(zone);

    zone = load("Europe/Madrid");
    day = loyalty_days(2026, 10, 25);
    assert_int_equal(loyalty_period_start(zone, LOYALTY_DAY, 0, day + 1)
                     - loyalty_period_start(zone, LOYALTY_DAY, 0, day),
                     25 * 3600 * 1000);
    day = loyalty_days(2026, 3, 29);
    assert_int_equal(loyalty_period_start(zone, LOYALTY_DAY, 0, day + 1)
                     - loyalty_period_start(zone, LOYALTY_DAY, 0, day),
                     23 * 3600 * 1000);
    assert_int_equal(loyalty_period_start(zone, LOYALTY_DAY, 9000, day),
                     instant("2026-03-29T03:00:00+02:00"));

    /* a visit at 03:59 counts for the day before where days start at 04:00 */

    day = loyalty_days(2026, 11, 22);
    assert_int_equal(loyalty_period(zone, LOYALTY_DAY, 14400,
                                    instant("2026-11-22T03:59:59+01:00")),
                     day - 1);
    assert_int_equal(loyalty_period(zone, LOYALTY_DAY, 14400,
                                    instant("2026-11-22T04:00:00+01:00")),
                     day);
    assert_int_equal(loyalty_period(zone, LOYALTY_MONTH, 14400,
                                    instant("2026-11-01T03:59:59+01:00")),
                     (2026 - 1970) * 12 + 9);
    loyalty_zone_free(zone);
}


static void
test_instant(void **state)
{
    size_t           i;
    int64_t          local, t;
    loyalty_zone_t  *zone;

    static const struct {
        const char  *zone;
        const char  *local;
        int          rc;
        const char  *utc;
    } cases[] = {
        { "Europe/Madrid", "2026-11-22T12:00:00Z", 0, "2026-11-22T11:00:00Z" },
        { "Europe/Madrid", "2026-10-25T01:59:59Z", 0, "2026-10-24T23:59:59Z" },
        { "Europe/Madrid", "2026-10-25T02:00:00Z", 1, "2026-10-25T00:00:00Z" },
        { "Europe/Madrid", "2026-10-25T02:59:59Z", 1, "2026-10-25T00:59:59Z" },
        { "Europe/Madrid", "2026-10-25T03:00:00Z", 0, "2026-10-25T02:00:00Z" },
        { "Europe/Madrid", "2026-03-29T01:59:59Z", 0, "2026-03-29T00:59:59Z" },
        { "Europe/Madrid", "2026-03-29T02:00:00Z", 2, "2026-03-29T01:00:00Z" },
        { "Europe/Madrid", "2026-03-29T02:59:59Z", 2, "2026-03-29T01:00:00Z" },
        { "Europe/Madrid", "2026-03-29T03:00:00Z", 0, "2026-03-29T01:00:00Z" },
        { "Europe/Madrid", "2487-10-26T02:30:00Z", 1, "2487-10-26T00:30:00Z" },
        { "Pacific/Apia", "2011-12-30T12:00:00Z", 2, "2011-12-30T10:00:00Z" },
        { "Pacific/Apia", "2011-12-31T00:00:00Z", 0, "2011-12-30T10:00:00Z" },
        { "America/Havana", "2024-11-03T00:30:00Z", 1,
          "2024-11-03T04:30:00Z" },
        { "UTC", "2026-11-22T12:00:00Z", 0, "2026-11-22T12:00:00Z" },
        { "Asia/Kathmandu", "2026-11-22T05:45:00Z", 0,
          "2026-11-22T00:00:00Z" },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        zone = load(cases[i].zone);
        local = instant(cases[i].local) / 1000;

        if (loyalty_zone_instant(zone, local, &t) != cases[i].rc
            || t != instant(cases[i].utc) / 1000)
        {
            fail_msg("%s %s: %lld", cases[i].zone, cases[i].local,
                     (long long) t);
        }

        loyalty_zone_free(zone);
    }
}


static void
test_far_away(void **state)
{
    int              unit, kind;
    size_t           i, j;
    int64_t          p, t, start;
    loyalty_zone_t  *zone;

    static const int64_t  far[] = {
        0, -1, -4000000000000LL, 253402300800000LL, 9000000000000000LL,
        -9000000000000000LL, INT64_MAX, INT64_MIN
    };

    for (i = 0; i < NZONES; i++) {
        zone = load(zones[i]);

        for (j = 0; j < sizeof(far) / sizeof(far[0]); j++) {
            for (unit = LOYALTY_DAY; unit <= LOYALTY_MONTH; unit++) {
                p = loyalty_period(zone, (loyalty_unit_e) unit, 0, far[j]);
                start = loyalty_period_start(zone, (loyalty_unit_e) unit, 0,
                                             p);

                if (j < 6) {
                    assert_true(start <= far[j]);
                    assert_true(loyalty_period_start(zone,
                                                     (loyalty_unit_e) unit, 0,
                                                     p + 1)
                                > far[j]);
                }

                (void) loyalty_period_start(zone, (loyalty_unit_e) unit,
                                            86399, far[j]);
            }

            (void) loyalty_zone_offset(zone, far[j]);

            kind = loyalty_zone_instant(zone, far[j], &t);
            assert_true(kind >= 0 && kind <= 2);
        }

        loyalty_zone_free(zone);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_offsets_against_libc),
        cmocka_unit_test(test_changes_against_libc),
        cmocka_unit_test(test_periods_watched),
        cmocka_unit_test(test_known_days),
        cmocka_unit_test(test_instant),
        cmocka_unit_test(test_far_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
