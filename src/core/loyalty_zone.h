/*
 * A time zone as the calendar works with it: a table of the stretches of
 * time in which the offset from UTC is the same.  A rule for all future is
 * laid out for one Gregorian cycle of 400 years, and later instants are
 * folded back into it, so that a lookup is one binary search.  Only the
 * calendar, the reader of zone files and their tests see this.
 */

#ifndef _LOYALTY_ZONE_H_INCLUDED_
#define _LOYALTY_ZONE_H_INCLUDED_


#include "loyalty_calendar.h"


#define LOYALTY_DAY_S    86400
#define LOYALTY_CYCLE_S  (146097LL * LOYALTY_DAY_S)      /* 400 years */

/* what RFC 8536 allows: more than -25 h, less than +26 h */
#define LOYALTY_OFFSET_MIN  -89999
#define LOYALTY_OFFSET_MAX  93599


struct loyalty_zone_s {
    size_t    n;              /* stretches, at least 1 */
    int64_t  *at;             /* start of each, UTC; first INT64_MIN */
    int64_t  *peak;           /* highest local second shown before at */
    int32_t  *offset;

    /* instants below low or from high on are folded into [base, base + C) */
    int64_t   low;
    int64_t   high;
    int64_t   base;
};


typedef enum {
    LOYALTY_TZ_JULIAN = 0,    /* day 1 .. 365, 29 February never counted */
    LOYALTY_TZ_DAY,           /* day 0 .. 365 */
    LOYALTY_TZ_WEEKDAY        /* day 0 .. 6 of week 1 .. 5 (last) of month */
} loyalty_tzdate_e;


typedef struct {
    loyalty_tzdate_e  kind;
    int32_t           month;
    int32_t           week;
    int32_t           day;
    int32_t           time;   /* seconds after local midnight, may be < 0 */
} loyalty_tzdate_t;


typedef struct {
    int32_t           std;    /* offsets, seconds to add to UTC */
    int32_t           dst;
    int               has_dst;
    loyalty_tzdate_t  start;
    loyalty_tzdate_t  end;
} loyalty_tzrule_t;


/* the rule of a footer, "CET-1CEST,M3.5.0,M10.5.0/3"; 0, or -1 */
int loyalty_tzrule_parse(loyalty_tzrule_t *rule, const unsigned char *s,
    size_t n);
int32_t loyalty_tzrule_offset(const loyalty_tzrule_t *rule, int64_t unix_s);
/* the instants at which daylight saving starts and ends in a year */
void loyalty_tzrule_year(const loyalty_tzrule_t *rule, int64_t year,
    int64_t *start, int64_t *end);

/* a zone from a TZif file in memory; NULL and a reason in err */
loyalty_zone_t *loyalty_zone_parse(const unsigned char *data, size_t n,
    char *err, size_t errlen);


#endif /* _LOYALTY_ZONE_H_INCLUDED_ */
