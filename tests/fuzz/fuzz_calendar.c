/*
 * Any bytes as an instant of RFC 3339, as a zone's file and as its rule.
 * Whatever clock a file describes, each instant must lie in its period, and
 * periods must follow each other without a gap.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "loyalty_zone.h"


#define CHECK(x)  do { if (!(x)) { abort(); } } while (0)


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_time(const uint8_t *data, size_t size);
static void fuzz_rule(const uint8_t *data, size_t size);
static void fuzz_rule_zone(const loyalty_tzrule_t *rule, const uint8_t *data,
    size_t size);
static void fuzz_zone(const uint8_t *data, size_t size);
static void fuzz_instant(const loyalty_zone_t *zone, int64_t ms,
    int32_t day_starts);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_time(data, size);
    fuzz_rule(data, size);
    fuzz_zone(data, size);

    return 0;
}


static void
fuzz_time(const uint8_t *data, size_t size)
{
    size_t         n;
    int64_t        ms, again;
    unsigned char  buf[40];

    if (loyalty_rfc3339_parse(data, size, &ms) != 0) {
        return;
    }

    CHECK(ms >= 0 && ms <= 253402300799999LL);

    n = loyalty_rfc3339_format(buf, ms);
    CHECK(n == 20 || n == 24);
    CHECK(loyalty_rfc3339_parse(buf, n, &again) == 0 && again == ms);
}


static void
fuzz_rule(const uint8_t *data, size_t size)
{
    int32_t           offset;
    int64_t           t, start, end;
    loyalty_tzrule_t  rule;

    if (loyalty_tzrule_parse(&rule, data, size) != 0) {
        return;
    }

    for (t = -62135596800LL; t < 253402300800LL; t += 2500000001LL) {
        offset = loyalty_tzrule_offset(&rule, t);
        CHECK(offset == rule.std || (rule.has_dst && offset == rule.dst));

        if (rule.has_dst) {
            loyalty_tzrule_year(&rule, t / 31556952 + 1970, &start, &end);
        }
    }

    fuzz_rule_zone(&rule, data, size);
}


/* a file with nothing but the rule: its table must agree with the rule */

static void
fuzz_rule_zone(const loyalty_tzrule_t *rule, const uint8_t *data, size_t size)
{
    char             err[256];
    int64_t          t;
    uint8_t         *file;
    loyalty_zone_t  *zone;

    /* version 2, one type, one character; then six bytes and that one */

    static const uint8_t  head[44] = {
        'T', 'Z', 'i', 'f', '2', [39] = 1, [43] = 1
    };

    file = calloc(1, 2 * 51 + size + 2);
    CHECK(file != NULL);
    memcpy(file, head, 44);
    memcpy(file + 51, head, 44);
    file[102] = '\n';
    memcpy(file + 103, data, size);
    file[103 + size] = '\n';

    zone = loyalty_zone_parse(file, 2 * 51 + size + 2, err, sizeof(err));
    CHECK(zone != NULL);

    for (t = -20000000000LL; t < 40000000000LL; t += 50000017) {
        CHECK(loyalty_zone_offset(zone, t)
              == loyalty_tzrule_offset(rule, t));
    }

    loyalty_zone_free(zone);

    fuzz_zone(file, 2 * 51 + size + 2);
    free(file);
}


static void
fuzz_zone(const uint8_t *data, size_t size)
{
    char             err[256];
    size_t           i;
    int64_t          ms;
    loyalty_zone_t  *zone;

    static const int64_t  instants[] = {
        0, 999, 1795341600000LL, 1774746000000LL, 1792890000000LL, -1,
        32503680000000LL, 253402300799999LL, -62135596800000LL,
        9000000000000000000LL, -9000000000000000000LL
    };

    err[0] = '\0';
    zone = loyalty_zone_parse(data, size, err, sizeof(err));

    if (zone == NULL) {
        CHECK(err[0] != '\0');
        return;
    }

    for (i = 0; i < sizeof(instants) / sizeof(instants[0]); i++) {
        fuzz_instant(zone, instants[i], 0);
        fuzz_instant(zone, instants[i], 14400);
    }

    /* around each change, and the end of what is laid out */

    for (i = 1; i < zone->n; i++) {

        if (zone->at[i] < -9000000000000000LL
            || zone->at[i] > 9000000000000000LL)
        {
            continue;
        }

        ms = zone->at[i] * 1000;
        fuzz_instant(zone, ms - 1, 86399);
        fuzz_instant(zone, ms, 0);
        fuzz_instant(zone, ms + 3600000, 0);
    }

    if (zone->high < 9000000000000000LL) {
        fuzz_instant(zone, zone->high * 1000 - 1, 0);
        fuzz_instant(zone, zone->high * 1000, 0);
        fuzz_instant(zone, zone->base * 1000 - 1, 0);
    }

    loyalty_zone_free(zone);
}


static void
fuzz_instant(const loyalty_zone_t *zone, int64_t ms, int32_t day_starts)
{
    int             rc, unit;
    int32_t         offset;
    int64_t         p, t, s;
    unsigned char   name[32];

    for (unit = LOYALTY_DAY; unit <= LOYALTY_MONTH; unit++) {
        p = loyalty_period(zone, (loyalty_unit_e) unit, day_starts, ms);
        CHECK(loyalty_period_start(zone, (loyalty_unit_e) unit, day_starts, p)
              <= ms);
        CHECK(loyalty_period_start(zone, (loyalty_unit_e) unit, day_starts,
                                   p + 1)
              > ms);
        CHECK(loyalty_period_name((loyalty_unit_e) unit, p, name) <= 32);
    }

    s = ms / 1000;
    offset = loyalty_zone_offset(zone, s);
    CHECK(offset >= LOYALTY_OFFSET_MIN && offset <= LOYALTY_OFFSET_MAX);

    /* the clock shows it at s, so it was shown no later than that */

    rc = loyalty_zone_instant(zone, s + offset, &t);
    CHECK(rc >= 0 && rc <= 2 && t <= s);
    CHECK(rc == 2 || t + loyalty_zone_offset(zone, t) == s + offset);
    CHECK(rc != 0 || t == s);
}
