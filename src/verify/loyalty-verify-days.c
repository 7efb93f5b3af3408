
/*
 * Days, weeks and months in the zone of the program, for limits.
 */

#include "loyalty-verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>


static int lv_zone(const char *zone);
static int64_t lv_month(int64_t day);


/* offsets are looked up once per quarter of an hour: they change at no other */

int
lv_day(lv_days_t *days, const char *zone, int64_t t, int64_t *day)
{
    time_t     sec;
    struct tm  tm;

    if (!days->open || strcmp(days->zone, zone) != 0) {
        days->open = 1;
        days->bucket = -1;
        memcpy(days->zone, zone, sizeof(days->zone));
        days->known = lv_zone(zone);
    }

    if (!days->known) {
        return 0;
    }

    if (days->bucket != t / 900000) {
        days->bucket = t / 900000;
        sec = days->bucket * 900;

        if (localtime_r(&sec, &tm) == NULL) {
            return 0;
        }

        days->offset = (int64_t) tm.tm_gmtoff * 1000;
    }

    t += days->offset;
    *day = t >= 0 ? t / 86400000 : -1;

    return 1;
}


static int
lv_zone(const char *zone)
{
    char  path[128];

    (void) snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", zone);

    if (zone[0] == '\0' || zone[0] == '/' || strstr(zone, "..") != NULL
        || access(path, R_OK) == -1)
    {
        return 0;
    }

    (void) snprintf(path, sizeof(path), ":%s", zone);

    if (setenv("TZ", path, 1) == -1) {
        return 0;
    }

    tzset();

    return 1;
}


/* which of its kind the period is that a day is in */

int64_t
lv_period(char period, int64_t day)
{
    switch (period) {

    case 'c':
        return 0;

    case 'd':
        return day;

    case 'w':

        /* 1970-01-01 was a Thursday */

        return (day + 3) / 7;

    default:
        return lv_month(day);
    }
}


/* by the calendar that UTC has: the day is one of the zone already */

static int64_t
lv_month(int64_t day)
{
    time_t     sec;
    struct tm  tm;

    sec = day * 86400;

    if (gmtime_r(&sec, &tm) == NULL) {
        return 0;
    }

    return (int64_t) tm.tm_year * 12 + tm.tm_mon;
}


/* 2026-01-31T10:00:00Z, in 24 bytes */

const char *
lv_date(char *buf, int64_t t)
{
    time_t     sec;
    struct tm  tm;

    sec = t / 1000;

    if (gmtime_r(&sec, &tm) == NULL
        || strftime(buf, 24, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
    {
        buf[0] = '?';
        buf[1] = '\0';
    }

    return buf;
}
