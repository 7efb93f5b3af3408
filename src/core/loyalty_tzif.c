/*
 * Reads a time zone from a TZif file (RFC 8536) as the system's tzdata
 * package installs them.  A file is read once, at configuration time, and
 * laid out as the table of loyalty_zone.h.  Nothing in the file is trusted:
 * every count is checked against the size of the block before it is used.
 */

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "loyalty_zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>


#define LOYALTY_ZONEINFO       "/usr/share/zoneinfo"
#define LOYALTY_TZIF_MAX       65536       /* the largest of tzdata: 4 kB */
#define LOYALTY_TZIF_HEADER    44
#define LOYALTY_TZIF_FAR       (1LL << 59)
#define LOYALTY_ZONE_NAME_MAX  128
#define LOYALTY_ZONE_PATH_MAX  1024

/* years of a rule that are laid out: a cycle, and some on either side */
#define LOYALTY_RULE_YEARS     406


/* one data block and its parts; counts as in the file's header */
typedef struct {
    uint64_t              isutcnt;
    uint64_t              isstdcnt;
    uint64_t              leapcnt;
    uint64_t              timecnt;
    uint64_t              typecnt;
    uint64_t              charcnt;
    const unsigned char  *times;
    const unsigned char  *indices;
    const unsigned char  *types;
} loyalty_tzif_t;


static int loyalty_zone_name_ok(const char *name);
static ssize_t loyalty_tzif_read(const char *path, unsigned char *buf,
    size_t size, char *err, size_t errlen);

static const char *loyalty_tzif_blocks(loyalty_tzif_t *tz,
    const unsigned char **pos, const unsigned char *end);
static void loyalty_tzif_counts(loyalty_tzif_t *tz, const unsigned char *p);
static uint64_t loyalty_tzif_size(const loyalty_tzif_t *tz, unsigned width);
static const char *loyalty_tzif_footer(loyalty_tzrule_t *rule, int *has_rule,
    const unsigned char *p, const unsigned char *end);

static loyalty_zone_t *loyalty_zone_alloc(size_t n);
static const char *loyalty_zone_fill(loyalty_zone_t *zone,
    const loyalty_tzif_t *tz);
static void loyalty_zone_add(loyalty_zone_t *zone, int64_t at,
    int32_t offset);
static void loyalty_zone_rule(loyalty_zone_t *zone,
    const loyalty_tzrule_t *rule);
static int64_t loyalty_zone_rule_year(loyalty_zone_t *zone,
    const loyalty_tzrule_t *rule, int64_t year, int64_t last);

static uint32_t loyalty_be32(const unsigned char *p);
static int64_t loyalty_be64(const unsigned char *p);


loyalty_zone_t *
loyalty_zone_load(const char *dir, const char *name, char *err,
    size_t errlen)
{
    int              n;
    char             path[LOYALTY_ZONE_PATH_MAX];
    ssize_t          size;
    struct stat      st;
    loyalty_zone_t  *zone;
    unsigned char   *buf;
    char             reason[256];

    if (dir == NULL) {
        dir = LOYALTY_ZONEINFO;
    }

    if (!loyalty_zone_name_ok(name)) {
        snprintf(err, errlen, "not a time zone's name, expected one such as "
                 "\"Europe/Madrid\" or \"UTC\"");
        return NULL;
    }

    if (stat(dir, &st) != 0) {
        snprintf(err, errlen, "cannot look into \"%s\" (%s), is the package "
                 "tzdata installed?", dir, strerror(errno));
        return NULL;
    }

    n = snprintf(path, sizeof(path), "%s/%s", dir, name);

    if (n < 0 || (size_t) n >= sizeof(path)) {
        snprintf(err, errlen, "the path of the zone's file is too long");
        return NULL;
    }

    buf = malloc(LOYALTY_TZIF_MAX + 1);

    if (buf == NULL) {
        snprintf(err, errlen, "no memory");
        return NULL;
    }

    zone = NULL;
    size = loyalty_tzif_read(path, buf, LOYALTY_TZIF_MAX + 1, err, errlen);

    if (size >= 0) {
        zone = loyalty_zone_parse(buf, (size_t) size, reason, sizeof(reason));

        if (zone == NULL) {
            snprintf(err, errlen, "\"%s\" %s", path, reason);
        }
    }

    free(buf);

    return zone;
}


void
loyalty_zone_free(loyalty_zone_t *zone)
{
    free(zone);
}


/* components of letters, digits, "_", "+", "-" and inner dots, none empty */

static int
loyalty_zone_name_ok(const char *name)
{
    char    c, last;
    size_t  i;

    if (name == NULL) {
        return 0;
    }

    last = '/';

    for (i = 0; name[i] != '\0'; i++) {
        c = name[i];

        if (i == LOYALTY_ZONE_NAME_MAX) {
            return 0;
        }

        if (last == '/' && (c == '/' || c == '.')) {
            return 0;
        }

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
              || (c >= '0' && c <= '9') || c == '_' || c == '+' || c == '-'
              || c == '.' || c == '/'))
        {
            return 0;
        }

        last = c;
    }

    return last != '/';
}


/* a FIFO or a device in that place must not hold up the configuration */

static ssize_t
loyalty_tzif_read(const char *path, unsigned char *buf, size_t size,
    char *err, size_t errlen)
{
    int          fd;
    size_t       used;
    ssize_t      n;
    struct stat  st;

    fd = open(path, O_RDONLY|O_NONBLOCK|O_CLOEXEC);

    if (fd == -1) {
        snprintf(err, errlen, (errno == ENOENT || errno == ENOTDIR)
                 ? "there is no zone file \"%s\" (%s)"
                 : "cannot open the zone file \"%s\" (%s)",
                 path, strerror(errno));
        return -1;
    }

    used = 0;

    if (fstat(fd, &st) != 0) {
        snprintf(err, errlen, "cannot stat \"%s\" (%s)", path,
                 strerror(errno));
        (void) close(fd);
        return -1;
    }

    if (!S_ISREG(st.st_mode)) {
        snprintf(err, errlen, "\"%s\" is %s, not the file of a time zone",
                 path, S_ISDIR(st.st_mode) ? "a directory" : "special");
        (void) close(fd);
        return -1;
    }

    while (used < size) {
        n = read(fd, buf + used, size - used);

        if (n == 0) {
            break;
        }

        if (n == -1) {

            if (errno == EINTR) {
                continue;
            }

            snprintf(err, errlen, "cannot read \"%s\" (%s)", path,
                     strerror(errno));
            (void) close(fd);
            return -1;
        }

        used += (size_t) n;
    }

    (void) close(fd);

    return (ssize_t) used;
}


loyalty_zone_t *
loyalty_zone_parse(const unsigned char *data, size_t n, char *err,
    size_t errlen)
{
    int                   has_rule;
    const char           *reason;
    loyalty_tzif_t        tz;
    loyalty_zone_t       *zone;
    loyalty_tzrule_t      rule;
    const unsigned char  *pos, *end;

    if (n > LOYALTY_TZIF_MAX) {
        snprintf(err, errlen, "is over %d bytes, no time zone is that large",
                 LOYALTY_TZIF_MAX);
        return NULL;
    }

    pos = data;
    end = data + n;
    reason = loyalty_tzif_blocks(&tz, &pos, end);

    if (reason == NULL) {
        reason = loyalty_tzif_footer(&rule, &has_rule, pos, end);
    }

    if (reason != NULL) {
        snprintf(err, errlen, "%s", reason);
        return NULL;
    }

    zone = loyalty_zone_alloc(1 + tz.timecnt + 2 * LOYALTY_RULE_YEARS);

    if (zone == NULL) {
        snprintf(err, errlen, "no memory");
        return NULL;
    }

    reason = loyalty_zone_fill(zone, &tz);

    if (reason != NULL) {
        snprintf(err, errlen, "%s", reason);
        loyalty_zone_free(zone);
        return NULL;
    }

    if (has_rule) {
        loyalty_zone_rule(zone, &rule);
    }

    return zone;
}


/* past the block of 32-bit times, which serves old readers, to the other */

static const char *
loyalty_tzif_blocks(loyalty_tzif_t *tz, const unsigned char **pos,
    const unsigned char *end)
{
    int                   i;
    uint64_t              size;
    const unsigned char  *p;

    p = *pos;
    size = 0;

    for (i = 0; i < 2; i++) {
        p += size;

        if (end - p < LOYALTY_TZIF_HEADER || memcmp(p, "TZif", 4) != 0) {
            return (i == 0) ? "is not a time zone's file (TZif)"
                            : "is a truncated time zone's file";
        }

        if (p[4] < '2') {
            return "is a time zone's file of version 1, expected version 2 "
                   "or later";
        }

        loyalty_tzif_counts(tz, p);
        p += LOYALTY_TZIF_HEADER;

        size = loyalty_tzif_size(tz, (i == 0) ? 4 : 8);

        if ((uint64_t) (end - p) < size) {
            return "is a truncated time zone's file";
        }
    }

    if (tz->leapcnt > 0) {
        return "counts leap seconds, which event times do not: take the "
               "zone's name without \"right/\"";
    }

    if (tz->typecnt == 0) {
        return "is a damaged time zone's file: it has no local time types";
    }

    tz->times = p;
    tz->indices = tz->times + tz->timecnt * 8;
    tz->types = tz->indices + tz->timecnt;

    *pos = p + size;

    return NULL;
}


static void
loyalty_tzif_counts(loyalty_tzif_t *tz, const unsigned char *p)
{
    tz->isutcnt = loyalty_be32(p + 20);
    tz->isstdcnt = loyalty_be32(p + 24);
    tz->leapcnt = loyalty_be32(p + 28);
    tz->timecnt = loyalty_be32(p + 32);
    tz->typecnt = loyalty_be32(p + 36);
    tz->charcnt = loyalty_be32(p + 40);
}


/* of a data block, at most 2^32 * 38: no overflow */

static uint64_t
loyalty_tzif_size(const loyalty_tzif_t *tz, unsigned width)
{
    return tz->timecnt * (width + 1) + tz->typecnt * 6 + tz->charcnt
           + tz->leapcnt * (width + 4) + tz->isstdcnt + tz->isutcnt;
}


static const char *
loyalty_tzif_footer(loyalty_tzrule_t *rule, int *has_rule,
    const unsigned char *p, const unsigned char *end)
{
    size_t                n;
    const unsigned char  *lf;

    if (end - p < 2 || *p != '\n') {
        return "is a truncated time zone's file: it has no footer";
    }

    p++;
    lf = memchr(p, '\n', (size_t) (end - p));

    if (lf == NULL) {
        return "is a truncated time zone's file: its footer does not end";
    }

    n = (size_t) (lf - p);
    *has_rule = (n > 0);

    if (n > 0 && loyalty_tzrule_parse(rule, p, n) != 0) {
        return "is a damaged time zone's file: the rule in its footer cannot "
               "be read";
    }

    return NULL;
}


static loyalty_zone_t *
loyalty_zone_alloc(size_t n)
{
    loyalty_zone_t  *zone;

    /* n is bounded by the file's size; the widest members come first */

    zone = malloc(sizeof(loyalty_zone_t)
                  + n * (2 * sizeof(int64_t) + sizeof(int32_t)));

    if (zone == NULL) {
        return NULL;
    }

    zone->n = 0;
    zone->at = (int64_t *) (zone + 1);
    zone->peak = zone->at + n;
    zone->offset = (int32_t *) (zone->peak + n);
    zone->low = INT64_MIN;
    zone->high = INT64_MAX;
    zone->base = 0;

    return zone;
}


static const char *
loyalty_zone_fill(loyalty_zone_t *zone, const loyalty_tzif_t *tz)
{
    int32_t   offset;
    int64_t   at;
    uint64_t  i;
    unsigned  type;

    for (i = 0; i < tz->typecnt; i++) {
        offset = (int32_t) loyalty_be32(tz->types + 6 * i);

        if (offset < LOYALTY_OFFSET_MIN || offset > LOYALTY_OFFSET_MAX) {
            return "is a damaged time zone's file: an offset is over a day";
        }
    }

    loyalty_zone_add(zone, INT64_MIN, (int32_t) loyalty_be32(tz->types));

    for (i = 0; i < tz->timecnt; i++) {
        at = loyalty_be64(tz->times + 8 * i);
        type = tz->indices[i];

        if (at < -LOYALTY_TZIF_FAR || at > LOYALTY_TZIF_FAR
            || at <= zone->at[zone->n - 1] || type >= tz->typecnt)
        {
            return "is a damaged time zone's file: its changes are not in "
                   "order";
        }

        loyalty_zone_add(zone, at, (int32_t) loyalty_be32(tz->types
                                                          + 6 * type));
    }

    return NULL;
}


static void
loyalty_zone_add(loyalty_zone_t *zone, int64_t at, int32_t offset)
{
    size_t   i;
    int64_t  shown;

    i = zone->n++;
    zone->at[i] = at;
    zone->offset[i] = offset;
    zone->peak[i] = INT64_MIN;

    if (i > 0) {
        shown = at + zone->offset[i - 1] - 1;
        zone->peak[i] = (shown > zone->peak[i - 1]) ? shown
                                                    : zone->peak[i - 1];
    }
}


/* from the last change on (all the time where there is none) a rule holds */

static void
loyalty_zone_rule(loyalty_zone_t *zone, const loyalty_tzrule_t *rule)
{
    int      i, month, day;
    size_t   known;
    int64_t  last, first;

    known = zone->n;
    last = zone->at[known - 1];

    loyalty_civil((known > 1) ? last / LOYALTY_DAY_S : 0, &first, &month,
                  &day);
    first--;

    if (known == 1) {
        last = loyalty_days(first, 1, 1) * LOYALTY_DAY_S;
    }

    zone->offset[known - 1] = loyalty_tzrule_offset(rule, last);

    if (!rule->has_dst) {
        return;
    }

    for (i = 0; i < LOYALTY_RULE_YEARS; i++) {
        last = loyalty_zone_rule_year(zone, rule, first + i, last);
    }

    if (zone->n == known) {
        return;
    }

    zone->base = loyalty_days(first + 3, 1, 1) * LOYALTY_DAY_S;
    zone->high = zone->base + LOYALTY_CYCLE_S;

    if (known == 1) {
        zone->low = zone->base;
    }
}


/* adds what changes in a year after last; returns the last change */

static int64_t
loyalty_zone_rule_year(loyalty_zone_t *zone, const loyalty_tzrule_t *rule,
    int64_t year, int64_t last)
{
    int      i;
    int32_t  offset;
    int64_t  at[2], swap;

    loyalty_tzrule_year(rule, year, &at[0], &at[1]);

    if (at[0] > at[1]) {
        swap = at[0];
        at[0] = at[1];
        at[1] = swap;
    }

    for (i = 0; i < 2; i++) {

        if (at[i] <= last) {
            continue;
        }

        offset = loyalty_tzrule_offset(rule, at[i]);

        /* where it lasts all year nothing changes at its dates */

        if (offset != zone->offset[zone->n - 1]) {
            loyalty_zone_add(zone, at[i], offset);
            last = at[i];
        }
    }

    return last;
}


static uint32_t
loyalty_be32(const unsigned char *p)
{
    return ((uint32_t) p[0] << 24) | ((uint32_t) p[1] << 16)
           | ((uint32_t) p[2] << 8) | p[3];
}


static int64_t
loyalty_be64(const unsigned char *p)
{
    return (int64_t) (((uint64_t) loyalty_be32(p) << 32)
                      | loyalty_be32(p + 4));
}
