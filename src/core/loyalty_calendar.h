/*
 * The calendar: RFC 3339 instants, IANA time zones read from the system's
 * TZif files (RFC 8536, version 2+, with the POSIX rule of the footer), and
 * the numbered periods (days, ISO weeks, months) that games count in.
 */

#ifndef _LOYALTY_CALENDAR_H_INCLUDED_
#define _LOYALTY_CALENDAR_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


typedef struct loyalty_zone_s  loyalty_zone_t;

typedef enum {
    LOYALTY_DAY = 1,          /* days since 1970-01-01 */
    LOYALTY_WEEK,             /* weeks since Monday 1969-12-29 */
    LOYALTY_MONTH             /* months since January 1970 */
} loyalty_unit_e;


/*
 * Loads a zone by its IANA name from dir (NULL: /usr/share/zoneinfo).
 * Returns NULL and a reason in err (errlen about 256); names that leave dir
 * are refused.
 * The zone is one malloc'ed block that is read only afterwards.
 */
loyalty_zone_t *loyalty_zone_load(const char *dir, const char *name,
    char *err, size_t errlen);
void loyalty_zone_free(loyalty_zone_t *zone);

/* seconds to add to UTC at that instant */
int32_t loyalty_zone_offset(const loyalty_zone_t *zone, int64_t unix_s);

/*
 * The instant of a local wall time.  0: exact; 1: ambiguous (the earlier
 * one is given); 2: missing (the first instant after the gap is given).
 */
int loyalty_zone_instant(const loyalty_zone_t *zone, int64_t local_s,
    int64_t *unix_s);

/*
 * The number of the period that holds the instant t (ms).  A period starts
 * when the zone's clock first shows day_starts (seconds, 0 .. 86399) on its
 * first day, or anything later: a day that a zone left out is empty, and no
 * instant has its number.
 */
int64_t loyalty_period(const loyalty_zone_t *zone, loyalty_unit_e unit,
    int32_t day_starts, int64_t t);

/* the first instant (ms) of a period, days without midnight included */
int64_t loyalty_period_start(const loyalty_zone_t *zone, loyalty_unit_e unit,
    int32_t day_starts, int64_t period);

/* "2026-11-22", "2026-W47", "2026-11"; returns the length, dst: 32 bytes */
size_t loyalty_period_name(loyalty_unit_e unit, int64_t period,
    unsigned char *dst);

/* civil date <-> days since 1970-01-01, proleptic Gregorian */
int64_t loyalty_days(int64_t year, int month, int day);
void loyalty_civil(int64_t days, int64_t *year, int *month, int *day);

/*
 * RFC 3339 with an offset (Z or +hh:mm), fraction of up to 9 digits (cut to
 * ms), instants of the years 1970 to 9999 in UTC; a leap second, at the end
 * of a month in UTC, counts as the second after.  0, or -1 when it is
 * anything else.
 */
int loyalty_rfc3339_parse(const unsigned char *s, size_t n, int64_t *ms);

/* in UTC with Z, ms only when not zero; returns the length, dst: 40 bytes */
size_t loyalty_rfc3339_format(unsigned char *dst, int64_t ms);


#endif /* _LOYALTY_CALENDAR_H_INCLUDED_ */
