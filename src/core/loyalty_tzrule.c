/*
 * The rule in the footer of a zone file: the offsets and the two yearly
 * dates that hold from the file's last change on, in the form of the POSIX
 * variable TZ with the extensions of RFC 8536 (times from -167 to 167 hours).
 */

#include "loyalty_zone.h"


#define LOYALTY_TZ_TIME  7200          /* where a date names no time: 02:00 */


typedef struct {
    const unsigned char  *pos;
    const unsigned char  *end;
} loyalty_tzscan_t;


static int loyalty_tz_name(loyalty_tzscan_t *s);
static int loyalty_tz_number(loyalty_tzscan_t *s, int32_t min, int32_t max,
    int32_t *v);
static int loyalty_tz_time(loyalty_tzscan_t *s, int32_t hours, int32_t *v);
static int loyalty_tz_date(loyalty_tzscan_t *s, loyalty_tzdate_t *date);
static int loyalty_tz_char(loyalty_tzscan_t *s, unsigned char c);

static int64_t loyalty_tzdate_local(const loyalty_tzdate_t *date,
    int64_t year);
static int loyalty_tz_leap(int64_t year);


int
loyalty_tzrule_parse(loyalty_tzrule_t *rule, const unsigned char *s, size_t n)
{
    int32_t           west;
    loyalty_tzscan_t  scan;

    scan.pos = s;
    scan.end = s + n;

    if (loyalty_tz_name(&scan) != 0 || loyalty_tz_time(&scan, 24, &west) != 0)
    {
        return -1;
    }

    /* POSIX counts west of Greenwich */

    rule->std = -west;
    rule->dst = rule->std + 3600;
    rule->has_dst = (scan.pos != scan.end);

    if (!rule->has_dst) {
        return 0;
    }

    if (loyalty_tz_name(&scan) != 0 || scan.pos == scan.end) {
        return -1;
    }

    if (*scan.pos != ',') {

        if (loyalty_tz_time(&scan, 24, &west) != 0) {
            return -1;
        }

        rule->dst = -west;
    }

    if (loyalty_tz_char(&scan, ',') != 0
        || loyalty_tz_date(&scan, &rule->start) != 0
        || loyalty_tz_char(&scan, ',') != 0
        || loyalty_tz_date(&scan, &rule->end) != 0)
    {
        return -1;
    }

    return (scan.pos == scan.end) ? 0 : -1;
}


static int
loyalty_tz_char(loyalty_tzscan_t *s, unsigned char c)
{
    if (s->pos == s->end || *s->pos != c) {
        return -1;
    }

    s->pos++;

    return 0;
}


/* three letters or more, or <anything of letters, digits, + and -> */

static int
loyalty_tz_name(loyalty_tzscan_t *s)
{
    int                   quoted;
    unsigned char         c;
    const unsigned char  *start;

    quoted = (loyalty_tz_char(s, '<') == 0);
    start = s->pos;

    for ( /* void */ ; s->pos < s->end; s->pos++) {
        c = *s->pos;

        if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) {
            continue;
        }

        if (!quoted || !((c >= '0' && c <= '9') || c == '+' || c == '-')) {
            break;
        }
    }

    if (s->pos - start < 3) {
        return -1;
    }

    return quoted ? loyalty_tz_char(s, '>') : 0;
}


static int
loyalty_tz_number(loyalty_tzscan_t *s, int32_t min, int32_t max, int32_t *v)
{
    int      digits;
    int32_t  n;

    n = 0;

    for (digits = 0; digits < 3 && s->pos < s->end; digits++) {

        if (*s->pos < '0' || *s->pos > '9') {
            break;
        }

        n = n * 10 + (*s->pos++ - '0');
    }

    if (digits == 0 || n < min || n > max) {
        return -1;
    }

    *v = n;

    return 0;
}


/* [+-]h[h[h]][:mm[:ss]] */

static int
loyalty_tz_time(loyalty_tzscan_t *s, int32_t hours, int32_t *v)
{
    int32_t  sign, h, m, sec;

    sign = (loyalty_tz_char(s, '-') == 0) ? -1 : 1;

    if (sign == 1) {
        (void) loyalty_tz_char(s, '+');
    }

    m = 0;
    sec = 0;

    if (loyalty_tz_number(s, 0, hours, &h) != 0) {
        return -1;
    }

    if (loyalty_tz_char(s, ':') == 0) {

        if (loyalty_tz_number(s, 0, 59, &m) != 0) {
            return -1;
        }

        if (loyalty_tz_char(s, ':') == 0
            && loyalty_tz_number(s, 0, 59, &sec) != 0)
        {
            return -1;
        }
    }

    *v = sign * (h * 3600 + m * 60 + sec);

    return 0;
}


/* Jn, n or Mm.w.d, then perhaps /time */

static int
loyalty_tz_date(loyalty_tzscan_t *s, loyalty_tzdate_t *date)
{
    date->month = 0;
    date->week = 0;
    date->time = LOYALTY_TZ_TIME;

    if (loyalty_tz_char(s, 'J') == 0) {
        date->kind = LOYALTY_TZ_JULIAN;

        if (loyalty_tz_number(s, 1, 365, &date->day) != 0) {
            return -1;
        }

    } else if (loyalty_tz_char(s, 'M') == 0) {
        date->kind = LOYALTY_TZ_WEEKDAY;

        if (loyalty_tz_number(s, 1, 12, &date->month) != 0
            || loyalty_tz_char(s, '.') != 0
            || loyalty_tz_number(s, 1, 5, &date->week) != 0
            || loyalty_tz_char(s, '.') != 0
            || loyalty_tz_number(s, 0, 6, &date->day) != 0)
        {
            return -1;
        }

    } else {
        date->kind = LOYALTY_TZ_DAY;

        if (loyalty_tz_number(s, 0, 365, &date->day) != 0) {
            return -1;
        }
    }

    if (loyalty_tz_char(s, '/') == 0) {
        return loyalty_tz_time(s, 167, &date->time);
    }

    return 0;
}


/*
 * Daylight saving lasts from each start to the end that follows it.  Asking
 * whether an instant lies in one of these spans, rather than what changed
 * last, also serves zones that keep it all year, where the end of one year
 * is at or past the start of the next.
 */

int32_t
loyalty_tzrule_offset(const loyalty_tzrule_t *rule, int64_t unix_s)
{
    int      month, day;
    int64_t  year, y, days, start, end, next;

    if (!rule->has_dst) {
        return rule->std;
    }

    days = unix_s / LOYALTY_DAY_S - (unix_s % LOYALTY_DAY_S < 0);
    loyalty_civil(days, &year, &month, &day);

    /* a date may lie a week outside its year, and its span last for one */

    for (y = year - 2; y <= year + 1; y++) {
        loyalty_tzrule_year(rule, y, &start, &end);

        if (start > end) {
            loyalty_tzrule_year(rule, y + 1, &next, &end);
        }

        if (start <= unix_s && unix_s < end) {
            return rule->dst;
        }
    }

    return rule->std;
}


void
loyalty_tzrule_year(const loyalty_tzrule_t *rule, int64_t year,
    int64_t *start, int64_t *end)
{
    /* each date is told by the clock that it ends */

    *start = loyalty_tzdate_local(&rule->start, year) - rule->std;
    *end = loyalty_tzdate_local(&rule->end, year) - rule->dst;
}


static int64_t
loyalty_tzdate_local(const loyalty_tzdate_t *date, int64_t year)
{
    int      weekday, length;
    int64_t  day;

    static const int  lengths[12] = {
        31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
    };

    switch (date->kind) {

    case LOYALTY_TZ_JULIAN:
        day = loyalty_days(year, 1, 1) + date->day - 1;

        if (date->day > 59 && loyalty_tz_leap(year)) {
            day++;
        }

        break;

    case LOYALTY_TZ_DAY:
        day = loyalty_days(year, 1, 1) + date->day;
        break;

    default:                                   /* LOYALTY_TZ_WEEKDAY */
        day = loyalty_days(year, date->month, 1);
        length = lengths[date->month - 1];

        if (date->month == 2 && loyalty_tz_leap(year)) {
            length++;
        }

        /* 1970-01-01 was a Thursday; a remainder may be negative */

        weekday = (int) (((day + 4) % 7 + 7) % 7);
        weekday = (date->day - weekday + 7) % 7 + 7 * (date->week - 1);

        if (weekday >= length) {
            weekday -= 7;
        }

        day += weekday;
        break;
    }

    return day * LOYALTY_DAY_S + date->time;
}


static int
loyalty_tz_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}
