/*
 * The calendar.  Periods follow the clock on the wall of the program's
 * zone, and one definition serves every oddity of such clocks: a period
 * begins at the first instant at which the clock shows its beginning or
 * anything later.  So a day whose midnight is skipped begins when the clock
 * jumps, an hour that is shown twice across midnight belongs to the new day
 * the second time too, and a day that a zone left out is empty.  Periods
 * therefore never overlap, and their numbers never fall as time goes on.
 */

#include "loyalty_calendar.h"
#include "loyalty_zone.h"


/* no clock is further from UTC */
#define LOYALTY_CLOCK_REACH  93600

/* what a caller may ask for, so that sums stay within 64 bits */
#define LOYALTY_FAR_S        (1LL << 56)
#define LOYALTY_FAR_DAYS     106751990000LL

#define LOYALTY_TIME_MAX     253402300799LL       /* 9999-12-31T23:59:59Z */


static int64_t loyalty_floor(int64_t a, int64_t b);
static int64_t loyalty_clamp(int64_t v, int64_t limit);

static int64_t loyalty_zone_fold(const loyalty_zone_t *zone, int64_t unix_s);
static size_t loyalty_zone_find(const loyalty_zone_t *zone, int64_t unix_s);
static int64_t loyalty_zone_end(const loyalty_zone_t *zone, size_t i);
static int64_t loyalty_zone_shown(const loyalty_zone_t *zone,
    int64_t unix_s);

static int64_t loyalty_period_day(loyalty_unit_e unit, int64_t period);
static unsigned char *loyalty_time_put(unsigned char *p, int64_t v, int width,
    unsigned char after);

static int loyalty_time_number(const unsigned char *s, size_t n, int *v);
static int loyalty_time_date(const unsigned char *s, int64_t *sec,
    int *leap);
static int loyalty_time_fraction(const unsigned char **s,
    const unsigned char *end, int *ms);
static int loyalty_time_zone(const unsigned char *s,
    const unsigned char *end, int *offset);


int32_t
loyalty_zone_offset(const loyalty_zone_t *zone, int64_t unix_s)
{
    unix_s = loyalty_clamp(unix_s, LOYALTY_FAR_S);
    unix_s -= loyalty_zone_fold(zone, unix_s);

    return zone->offset[loyalty_zone_find(zone, unix_s)];
}


/* whole cycles of 400 years to take off so that the table covers unix_s */

static int64_t
loyalty_zone_fold(const loyalty_zone_t *zone, int64_t unix_s)
{
    if (unix_s >= zone->low && unix_s < zone->high) {
        return 0;
    }

    if (zone->high == INT64_MAX) {
        return 0;
    }

    return loyalty_floor(unix_s - zone->base, LOYALTY_CYCLE_S)
           * LOYALTY_CYCLE_S;
}


static size_t
loyalty_zone_find(const loyalty_zone_t *zone, int64_t unix_s)
{
    size_t  i, n, half;

    i = 0;

    /* at[i] <= unix_s always; no branch to mispredict in the loop */

    for (n = zone->n; n > 1; n -= half) {
        half = n / 2;
        i = (zone->at[i + half] <= unix_s) ? i + half : i;
    }

    return i;
}


static int64_t
loyalty_zone_end(const loyalty_zone_t *zone, size_t i)
{
    return (i + 1 < zone->n) ? zone->at[i + 1] : INT64_MAX;
}


/* the highest second that the zone's clock has shown up to unix_s */

static int64_t
loyalty_zone_shown(const loyalty_zone_t *zone, int64_t unix_s)
{
    size_t   i;
    int64_t  fold, shown;

    fold = loyalty_zone_fold(zone, unix_s);
    unix_s -= fold;

    i = loyalty_zone_find(zone, unix_s);
    shown = unix_s + zone->offset[i];

    return fold + (shown > zone->peak[i] ? shown : zone->peak[i]);
}


int
loyalty_zone_instant(const loyalty_zone_t *zone, int64_t local_s,
    int64_t *unix_s)
{
    size_t   i;
    int64_t  fold, local, t;

    local_s = loyalty_clamp(local_s, LOYALTY_FAR_S);
    fold = loyalty_zone_fold(zone, local_s - LOYALTY_CLOCK_REACH);
    local = local_s - fold;

    /* stretch by stretch until one shows the time, or starts after it */

    i = loyalty_zone_find(zone, local - LOYALTY_CLOCK_REACH);
    t = local - zone->offset[i];

    while (t >= loyalty_zone_end(zone, i)) {
        i++;
        t = local - zone->offset[i];
    }

    if (t < zone->at[i]) {
        *unix_s = zone->at[i] + fold;
        return 2;
    }

    *unix_s = t + fold;

    for (i++; i < zone->n && zone->at[i] <= local + LOYALTY_CLOCK_REACH; i++)
    {
        t = local - zone->offset[i];

        if (t >= zone->at[i] && t < loyalty_zone_end(zone, i)) {
            return 1;
        }
    }

    return 0;
}


int64_t
loyalty_period(const loyalty_zone_t *zone, loyalty_unit_e unit,
    int32_t day_starts, int64_t t)
{
    int      month, mday;
    int64_t  day, year;

    day = loyalty_floor(loyalty_zone_shown(zone, loyalty_floor(t, 1000))
                        - day_starts, LOYALTY_DAY_S);

    switch (unit) {

    case LOYALTY_WEEK:
        return loyalty_floor(day + 3, 7);

    case LOYALTY_MONTH:
        loyalty_civil(day, &year, &month, &mday);
        return (year - 1970) * 12 + month - 1;

    default:                                   /* LOYALTY_DAY */
        return day;
    }
}


int64_t
loyalty_period_start(const loyalty_zone_t *zone, loyalty_unit_e unit,
    int32_t day_starts, int64_t period)
{
    int64_t  day, t;

    day = loyalty_period_day(unit, period);

    (void) loyalty_zone_instant(zone, day * LOYALTY_DAY_S + day_starts, &t);

    return t * 1000;
}


/* the first day of a period, numbers out of reach cut to the furthest */

static int64_t
loyalty_period_day(loyalty_unit_e unit, int64_t period)
{
    int64_t  year;

    switch (unit) {

    case LOYALTY_WEEK:
        return loyalty_clamp(period, LOYALTY_FAR_DAYS / 7) * 7 - 3;

    case LOYALTY_MONTH:
        period = loyalty_clamp(period, LOYALTY_FAR_DAYS / 31);
        year = loyalty_floor(period, 12);
        return loyalty_days(1970 + year, (int) (period - year * 12) + 1, 1);

    default:                                   /* LOYALTY_DAY */
        return loyalty_clamp(period, LOYALTY_FAR_DAYS);
    }
}


size_t
loyalty_period_name(loyalty_unit_e unit, int64_t period, unsigned char *dst)
{
    int             month, mday;
    int64_t         day, year, thursday;
    unsigned char  *p;

    day = loyalty_period_day(unit, period);

    if (unit == LOYALTY_WEEK) {

        /* a week belongs to the year that holds its Thursday */

        thursday = day + 3;
        loyalty_civil(thursday, &year, &month, &mday);
        p = loyalty_time_put(dst, year, 4, '-');
        *p++ = 'W';
        day = (thursday - loyalty_days(year, 1, 1)) / 7 + 1;
        p = loyalty_time_put(p, day, 2, '\0');

        return (size_t) (p - dst);
    }

    loyalty_civil(day, &year, &month, &mday);

    p = loyalty_time_put(dst, year, 4, '-');

    if (unit == LOYALTY_MONTH) {
        p = loyalty_time_put(p, month, 2, '\0');

    } else {
        p = loyalty_time_put(p, month, 2, '-');
        p = loyalty_time_put(p, mday, 2, '\0');
    }

    return (size_t) (p - dst);
}


/* a number of at least width digits, and what follows it unless '\0' */

static unsigned char *
loyalty_time_put(unsigned char *p, int64_t v, int width, unsigned char after)
{
    int            i, n;
    unsigned char  digits[20];

    if (v < 0) {
        *p++ = '-';
        v = -v;
    }

    for (n = 0; v > 0 || n < width; n++) {
        digits[n] = (unsigned char) ('0' + v % 10);
        v /= 10;
    }

    for (i = n; i > 0; i--) {
        *p++ = digits[i - 1];
    }

    if (after != '\0') {
        *p++ = after;
    }

    return p;
}


/*
 * Both conversions count years from March, so that the leap day is a year's
 * last, and eras of 400 years, which are all alike.
 */

int64_t
loyalty_days(int64_t year, int month, int day)
{
    int64_t  era, yoe, doy;

    year -= (month <= 2);
    era = loyalty_floor(year, 400);
    yoe = year - era * 400;
    doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    /* 719468 days lie between 0000-03-01 and 1970-01-01 */

    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}


void
loyalty_civil(int64_t days, int64_t *year, int *month, int *day)
{
    int64_t  era, doe, yoe, doy, m;

    days += 719468;
    era = loyalty_floor(days, 146097);
    doe = days - era * 146097;

    /* leap days are taken out before dividing by 365 */

    yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    doy = doe - (yoe * 365 + yoe / 4 - yoe / 100);
    m = (5 * doy + 2) / 153;

    *day = (int) (doy - (153 * m + 2) / 5 + 1);
    *month = (int) (m < 10 ? m + 3 : m - 9);
    *year = era * 400 + yoe + (*month <= 2);
}


static int64_t
loyalty_floor(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}


static int64_t
loyalty_clamp(int64_t v, int64_t limit)
{
    if (v > limit) {
        return limit;
    }

    return (v < -limit) ? -limit : v;
}


int
loyalty_rfc3339_parse(const unsigned char *s, size_t n, int64_t *ms)
{
    int                   leap, fraction, offset, month, day;
    int64_t               sec, year;
    const unsigned char  *p, *end;

    end = s + n;

    /* the shortest: 1970-01-01T00:00:00Z */

    if (n < 20 || loyalty_time_date(s, &sec, &leap) != 0) {
        return -1;
    }

    p = s + 19;

    if (loyalty_time_fraction(&p, end, &fraction) != 0
        || loyalty_time_zone(p, end, &offset) != 0)
    {
        return -1;
    }

    sec -= offset;

    if (sec < 0 || sec > LOYALTY_TIME_MAX) {
        return -1;
    }

    if (leap) {

        /* one is only ever inserted at the end of a month, in UTC */

        loyalty_civil(sec / LOYALTY_DAY_S, &year, &month, &day);

        if (sec % LOYALTY_DAY_S != 0 || day != 1) {
            return -1;
        }
    }

    *ms = sec * 1000 + fraction;

    return 0;
}


/* "1970-01-01T00:00:00", 19 bytes that are there */

static int
loyalty_time_date(const unsigned char *s, int64_t *sec, int *leap)
{
    int      year, month, day, h, m, second, mo, d;
    int64_t  days, y;

    if (loyalty_time_number(s, 4, &year) != 0 || s[4] != '-'
        || loyalty_time_number(s + 5, 2, &month) != 0 || s[7] != '-'
        || loyalty_time_number(s + 8, 2, &day) != 0
        || (s[10] != 'T' && s[10] != 't')
        || loyalty_time_number(s + 11, 2, &h) != 0 || s[13] != ':'
        || loyalty_time_number(s + 14, 2, &m) != 0 || s[16] != ':'
        || loyalty_time_number(s + 17, 2, &second) != 0)
    {
        return -1;
    }

    if (month < 1 || month > 12 || day < 1 || h > 23 || m > 59
        || second > 60)
    {
        return -1;
    }

    /* a day that the month does not have comes back as another */

    days = loyalty_days(year, month, day);
    loyalty_civil(days, &y, &mo, &d);

    if (y != year || mo != month || d != day) {
        return -1;
    }

    *sec = days * LOYALTY_DAY_S + h * 3600 + m * 60 + second;
    *leap = (second == 60);

    return 0;
}


static int
loyalty_time_number(const unsigned char *s, size_t n, int *v)
{
    size_t  i;

    *v = 0;

    for (i = 0; i < n; i++) {

        if (s[i] < '0' || s[i] > '9') {
            return -1;
        }

        *v = *v * 10 + (s[i] - '0');
    }

    return 0;
}


static int
loyalty_time_fraction(const unsigned char **s, const unsigned char *end,
    int *ms)
{
    int                   weight;
    const unsigned char  *p, *start;

    *ms = 0;
    p = *s;

    if (p == end || *p != '.') {
        return 0;
    }

    start = ++p;

    for (weight = 100; p < end && *p >= '0' && *p <= '9'; p++) {
        *ms += (*p - '0') * weight;
        weight /= 10;
    }

    if (p == start || p - start > 9) {
        return -1;
    }

    *s = p;

    return 0;
}


/* "Z" or "+01:00", and nothing after it; seconds to take off */

static int
loyalty_time_zone(const unsigned char *s, const unsigned char *end,
    int *offset)
{
    int  h, m;

    *offset = 0;

    if (end - s == 1) {
        return (*s == 'Z' || *s == 'z') ? 0 : -1;
    }

    if (end - s != 6 || (*s != '+' && *s != '-') || s[3] != ':'
        || loyalty_time_number(s + 1, 2, &h) != 0
        || loyalty_time_number(s + 4, 2, &m) != 0 || h > 23 || m > 59)
    {
        return -1;
    }

    *offset = (h * 60 + m) * 60;

    if (*s == '-') {
        *offset = -*offset;
    }

    return 0;
}


size_t
loyalty_rfc3339_format(unsigned char *dst, int64_t ms)
{
    int             month, mday;
    int64_t         sec, day, year;
    unsigned char  *p;

    sec = loyalty_floor(ms, 1000);
    ms = (ms % 1000 + 1000) % 1000;
    day = loyalty_floor(sec, LOYALTY_DAY_S);
    sec -= day * LOYALTY_DAY_S;

    loyalty_civil(day, &year, &month, &mday);

    p = loyalty_time_put(dst, year, 4, '-');
    p = loyalty_time_put(p, month, 2, '-');
    p = loyalty_time_put(p, mday, 2, 'T');
    p = loyalty_time_put(p, sec / 3600, 2, ':');
    p = loyalty_time_put(p, sec / 60 % 60, 2, ':');
    p = loyalty_time_put(p, sec % 60, 2, (ms != 0) ? '.' : 'Z');

    if (ms != 0) {
        p = loyalty_time_put(p, ms, 3, 'Z');
    }

    return (size_t) (p - dst);
}
