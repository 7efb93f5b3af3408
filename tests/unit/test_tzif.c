/*
 * Zone files: made up to be wrong in every field, mutilated and cut at every
 * byte; and names that are no zones.
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
#include <sys/stat.h>
#include <unistd.h>

#include "loyalty_zone.h"


/* a file to be: two changes, CET and CEST, unless a test says otherwise */
typedef struct {
    unsigned char  version;
    unsigned       types;
    unsigned       leaps;
    unsigned       times;
    int64_t        at[4];
    unsigned char  index[4];
    int32_t        offset[4];
    const char    *footer;
} file_t;


static const file_t  sample = {
    '2', 2, 0, 2, { 1000000000, 1020000000 }, { 1, 0 }, { 3600, 7200 },
    "\nCET-1CEST,M3.5.0,M10.5.0/3\n"
};


static unsigned char *put(unsigned char *p, uint64_t v, int bytes);
static size_t build(const file_t *file, unsigned char *buf);
static loyalty_zone_t *parse(const unsigned char *data, size_t n, char *err,
    size_t errlen);
static loyalty_zone_t *zone_of(const file_t *file);
static void refuse(const file_t *file, const char *reason);
static void write_file(const char *path, const void *p, size_t n);


static unsigned char *
put(unsigned char *p, uint64_t v, int bytes)
{
    while (bytes > 0) {
        bytes--;
        *p++ = (unsigned char) (v >> (8 * bytes));
    }

    return p;
}


static size_t
build(const file_t *file, unsigned char *buf)
{
    int             block, width;
    unsigned        i;
    unsigned char  *p;

    p = buf;

    for (block = 0; block < 2; block++) {
        width = (block == 0) ? 4 : 8;

        memcpy(p, "TZif", 4);
        memset(p + 4, 0, 16);
        p[4] = file->version;
        p = put(p + 20, 0, 4);                 /* isutcnt */
        p = put(p, 0, 4);                      /* isstdcnt */
        p = put(p, file->leaps, 4);
        p = put(p, file->times, 4);
        p = put(p, file->types, 4);
        p = put(p, 4, 4);                      /* charcnt */

        for (i = 0; i < file->times; i++) {
            p = put(p, (uint64_t) file->at[i], width);
        }

        for (i = 0; i < file->times; i++) {
            *p++ = file->index[i];
        }

        for (i = 0; i < file->types; i++) {
            p = put(p, (uint32_t) file->offset[i], 4);
            *p++ = 0;
            *p++ = 0;
        }

        memcpy(p, "ZZZ", 4);
        p += 4;

        for (i = 0; i < file->leaps; i++) {
            p = put(p, 78796800, width);
            p = put(p, 1, 4);
        }
    }

    memcpy(p, file->footer, strlen(file->footer));

    return (size_t) (p - buf) + strlen(file->footer);
}


/* from a block of its exact size */

static loyalty_zone_t *
parse(const unsigned char *data, size_t n, char *err, size_t errlen)
{
    unsigned char   *block;
    loyalty_zone_t  *zone;

    block = malloc(n > 0 ? n : 1);
    assert_non_null(block);
    memcpy(block, data, n);
    err[0] = '\0';
    zone = loyalty_zone_parse(block, n, err, errlen);
    free(block);

    return zone;
}


static loyalty_zone_t *
zone_of(const file_t *file)
{
    char             err[256];
    unsigned char    buf[1024];
    loyalty_zone_t  *zone;

    zone = parse(buf, build(file, buf), err, sizeof(err));

    if (zone == NULL) {
        fail_msg("refused: %s", err);
    }

    return zone;
}


static void
refuse(const file_t *file, const char *reason)
{
    char           err[256];
    unsigned char  buf[1024];

    assert_null(parse(buf, build(file, buf), err, sizeof(err)));

    if (strstr(err, reason) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err, reason);
    }
}


static void
test_parse_sample(void **state)
{
    loyalty_zone_t  *zone;

    zone = zone_of(&sample);
    assert_int_equal(loyalty_zone_offset(zone, INT64_MIN), 3600);
    assert_int_equal(loyalty_zone_offset(zone, 0), 3600);
    assert_int_equal(loyalty_zone_offset(zone, 999999999), 3600);
    assert_int_equal(loyalty_zone_offset(zone, 1000000000), 7200);
    assert_int_equal(loyalty_zone_offset(zone, 1019999999), 7200);

    /* from the last change on, the rule: 2002-04-28, then 2002-10-27 */

    assert_int_equal(loyalty_zone_offset(zone, 1020000000), 7200);
    assert_int_equal(loyalty_zone_offset(zone, 1035680399), 7200);
    assert_int_equal(loyalty_zone_offset(zone, 1035680400), 3600);
    loyalty_zone_free(zone);
}


static void
test_parse_without_rule(void **state)
{
    file_t           file;
    loyalty_zone_t  *zone;

    /* the last type holds */

    file = sample;
    file.footer = "\n\n";
    zone = zone_of(&file);
    assert_int_equal(loyalty_zone_offset(zone, 1000000000), 7200);
    assert_int_equal(loyalty_zone_offset(zone, 1020000000), 3600);
    assert_int_equal(loyalty_zone_offset(zone, INT64_MAX), 3600);
    loyalty_zone_free(zone);

    /* no change at all: the first type */

    file.times = 0;
    zone = zone_of(&file);
    assert_int_equal(loyalty_zone_offset(zone, 0), 3600);
    assert_int_equal(loyalty_zone_offset(zone, INT64_MAX), 3600);
    loyalty_zone_free(zone);
}


static void
test_parse_rule_only(void **state)
{
    size_t            i, n;
    file_t            file;
    int64_t           t, ms, p;
    loyalty_zone_t   *zone;
    loyalty_tzrule_t  rule;

    static const char  *footers[] = {
        "\nCET-1CEST,M3.5.0,M10.5.0/3\n",
        "\nAEST-10AEDT,M10.1.0,M4.1.0/3\n",
        "\nEST5EDT,0/0,J365/25\n",
        "\n<+0545>-5:45\n",
        /* both dates in the next year, now this one first and now that */
        "\nAAA22BBB22:58,M12.5.4/166:48,364/71:21\n",
    };

    /* without a change the rule holds for all time, the past included */

    for (i = 0; i < sizeof(footers) / sizeof(footers[0]); i++) {
        file = sample;
        file.times = 0;
        file.footer = footers[i];
        zone = zone_of(&file);

        n = strlen(footers[i]) - 2;
        assert_int_equal(loyalty_tzrule_parse(&rule,
                                              (const unsigned char *)
                                              footers[i] + 1, n),
                         0);

        for (t = -60000000000LL; t < 60000000000LL; t += 4000037) {
            ms = t * 1000;
            assert_int_equal(loyalty_zone_offset(zone, t),
                             loyalty_tzrule_offset(&rule, t));
            p = loyalty_period(zone, LOYALTY_DAY, 0, ms);
            assert_true(loyalty_period_start(zone, LOYALTY_DAY, 0, p) <= ms);
            assert_true(loyalty_period_start(zone, LOYALTY_DAY, 0, p + 1)
                        > ms);
        }

        loyalty_zone_free(zone);
    }
}


static void
test_parse_versions(void **state)
{
    file_t  file;

    file = sample;
    file.version = '3';
    loyalty_zone_free(zone_of(&file));
    file.version = '4';
    loyalty_zone_free(zone_of(&file));
    file.version = 0;
    refuse(&file, "version 1");
}


static void
test_parse_damaged(void **state)
{
    file_t  file;

    file = sample;
    file.types = 0;
    file.times = 0;
    refuse(&file, "no local time types");

    file = sample;
    file.index[1] = 2;
    refuse(&file, "not in order");

    file = sample;
    file.at[1] = file.at[0];
    refuse(&file, "not in order");

    file = sample;
    file.at[0] = INT64_MIN;
    refuse(&file, "not in order");

    file = sample;
    file.at[1] = INT64_MAX;
    refuse(&file, "not in order");

    file = sample;
    file.offset[1] = 93600;
    refuse(&file, "over a day");

    file = sample;
    file.offset[0] = -90000;
    refuse(&file, "over a day");

    file = sample;
    file.offset[0] = INT32_MIN;
    refuse(&file, "over a day");

    file = sample;
    file.leaps = 1;
    refuse(&file, "leap seconds");

    file = sample;
    file.footer = "";
    refuse(&file, "footer");

    file.footer = "\nUTC0";
    refuse(&file, "footer");

    file.footer = "UTC0\n";
    refuse(&file, "footer");

    file.footer = "\nnonsense\n";
    refuse(&file, "rule");
}


/* the widest that RFC 8536 allows, at the edges of time */

static void
test_parse_extremes(void **state)
{
    file_t           file;
    int64_t          t;
    loyalty_zone_t  *zone;

    file = sample;
    file.at[0] = -(1LL << 59);
    file.at[1] = 1LL << 59;
    file.offset[0] = -89999;
    file.offset[1] = 93599;
    zone = zone_of(&file);
    assert_int_equal(loyalty_zone_offset(zone, 0), 93599);
    assert_int_equal(loyalty_zone_instant(zone, 0, &t), 0);
    assert_int_equal(t, -93599);
    loyalty_zone_free(zone);

    /* a change a second, each over two days: clocks in a whirl */

    file.times = 4;
    file.at[0] = 0;
    file.at[1] = 1;
    file.at[2] = 2;
    file.at[3] = 3;
    file.index[0] = 1;
    file.index[1] = 0;
    file.index[2] = 1;
    file.index[3] = 0;
    zone = zone_of(&file);
    assert_int_equal(loyalty_zone_instant(zone, 93599, &t), 1);
    assert_int_equal(t, 0);
    assert_int_equal(loyalty_zone_instant(zone, 93600, &t), 2);
    assert_int_equal(t, 2);
    assert_int_equal(loyalty_period(zone, LOYALTY_DAY, 0, 1000), 1);
    loyalty_zone_free(zone);
}


static void
test_parse_cut_anywhere(void **state)
{
    char             err[256];
    size_t           n, size;
    unsigned char    buf[1024];
    loyalty_zone_t  *zone;

    size = build(&sample, buf);

    for (n = 0; n < size; n++) {
        assert_null(parse(buf, n, err, sizeof(err)));
        assert_true(strlen(err) > 10);
    }

    zone = parse(buf, size, err, sizeof(err));
    assert_non_null(zone);
    loyalty_zone_free(zone);
}


/* every byte replaced by every other: no crash, and a zone that works */

static void
test_parse_mutilated(void **state)
{
    int              c;
    char             err[256];
    size_t           i, size, zones;
    int64_t          p;
    unsigned char    buf[1024], was;
    loyalty_zone_t  *zone;

    size = build(&sample, buf);
    zones = 0;

    for (i = 0; i < size; i++) {
        was = buf[i];

        for (c = 0; c < 256; c++) {
            buf[i] = (unsigned char) c;
            zone = parse(buf, size, err, sizeof(err));

            if (zone == NULL) {
                assert_true(strlen(err) > 10);
                continue;
            }

            zones++;
            p = loyalty_period(zone, LOYALTY_DAY, 0, 1010000000000LL);
            assert_true(loyalty_period_start(zone, LOYALTY_DAY, 0, p)
                        <= 1010000000000LL);
            loyalty_zone_free(zone);
        }

        buf[i] = was;
    }

    assert_true(zones > size);
}


static void
write_file(const char *path, const void *p, size_t n)
{
    FILE  *f;

    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}


static void
test_load(void **state)
{
    char             dir[] = "/tmp/loyalty-zones-XXXXXX";
    char             path[256], err[256], *big;
    size_t           i, n;
    unsigned char    buf[1024];
    loyalty_zone_t  *zone;

    static const struct {
        const char  *name;
        const char  *reason;
    } cases[] = {
        { "Nowhere", "there is no zone file" },
        { "Good/Zone", "there is no zone file" },
        { "Folder", "a directory" },
        { "Pipe", "special" },
        { "Text", "not a time zone's file" },
        { "Empty", "not a time zone's file" },
        { "Big", "over 65536 bytes" },
        { "", "not a time zone's name" },
        { "/etc/localtime", "not a time zone's name" },
        { "../Good", "not a time zone's name" },
        { "Folder/../Good", "not a time zone's name" },
        { "..", "not a time zone's name" },
        { ".", "not a time zone's name" },
        { "./Good", "not a time zone's name" },
        { ".hidden", "not a time zone's name" },
        { "Folder/", "not a time zone's name" },
        { "Folder//Good", "not a time zone's name" },
        { "Go od", "not a time zone's name" },
        { "Good\n", "not a time zone's name" },
        { "Folder\\Good", "not a time zone's name" },
        { "G\xc3\xb6\xc3\xb6" "d", "not a time zone's name" },
    };

    assert_non_null(mkdtemp(dir));
    n = build(&sample, buf);

    snprintf(path, sizeof(path), "%s/Good", dir);
    write_file(path, buf, n);
    snprintf(path, sizeof(path), "%s/Text", dir);
    write_file(path, "# tzdb timezone descriptions\n", 29);
    snprintf(path, sizeof(path), "%s/Empty", dir);
    write_file(path, "", 0);
    snprintf(path, sizeof(path), "%s/Folder", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/Pipe", dir);
    assert_int_equal(mkfifo(path, 0600), 0);

    big = calloc(1, 70000);
    assert_non_null(big);
    memcpy(big, buf, n);
    snprintf(path, sizeof(path), "%s/Big", dir);
    write_file(path, big, 70000);
    free(big);

    zone = loyalty_zone_load(dir, "Good", err, sizeof(err));
    assert_non_null(zone);
    assert_int_equal(loyalty_zone_offset(zone, 1010000000), 7200);
    loyalty_zone_free(zone);
    loyalty_zone_free(NULL);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        err[0] = '\0';
        assert_null(loyalty_zone_load(dir, cases[i].name, err, sizeof(err)));

        if (strstr(err, cases[i].reason) == NULL) {
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].name, err,
                     cases[i].reason);
        }
    }

    snprintf(path, sizeof(path), "cd / && rm -r %s", dir);
    assert_int_equal(system(path), 0);

    /* the place itself is gone now */

    assert_null(loyalty_zone_load(dir, "Good", err, sizeof(err)));
    assert_non_null(strstr(err, "tzdata"));

    /* and a caller may not care why */

    assert_null(loyalty_zone_load(dir, "Good", NULL, 0));
}


static void
test_load_long_name(void **state)
{
    char  name[400], err[256];

    memset(name, 'A', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    assert_null(loyalty_zone_load(NULL, name, err, sizeof(err)));
    assert_non_null(strstr(err, "not a time zone's name"));
    assert_null(loyalty_zone_load(NULL, NULL, err, sizeof(err)));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_parse_sample),
        cmocka_unit_test(test_parse_without_rule),
        cmocka_unit_test(test_parse_rule_only),
        cmocka_unit_test(test_parse_versions),
        cmocka_unit_test(test_parse_damaged),
        cmocka_unit_test(test_parse_extremes),
        cmocka_unit_test(test_parse_cut_anywhere),
        cmocka_unit_test(test_parse_mutilated),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_load_long_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
