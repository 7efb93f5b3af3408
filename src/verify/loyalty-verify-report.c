
/*
 * What the checks found.  A check starts as PASS; the worst that it is told
 * stands, with the first reasons for it, so that each missing piece is named
 * and a million bad records are still one line.
 */

#include "loyalty-verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define LV_REASONS  5


static void lv_say(lv_t *v, unsigned n, lv_status_e status, const char *fmt,
    va_list args);


static const char *const  lv_title[LV_CHECKS + 1] = {
    NULL,
    "rules, terms, prizes",
    "signatures and statements",
    "heads and log",
    "outsiders' times",
    "beacon chain",
    "beacon signatures",
    "seed commitment",
    "entries and ticket ranges",
    "root of the entries",
    "picks and alternates",
    "receipts",
    "chain of epochs",
    "every outcome's random value",
    "replay of the game's state",
    "degraded plays",
    "disqualifications",
    "published winners",
    "prizes accounted for",
    "hashes of the evidence"
};

static const char *const  lv_status_word[] = {
    "PASS", "INCOMPLETE", "FAIL"
};


void
lv_fail(lv_t *v, unsigned n, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    lv_say(v, n, LV_FAIL, fmt, args);
    va_end(args);
}


void
lv_incomplete(lv_t *v, unsigned n, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    lv_say(v, n, LV_INCOMPLETE, fmt, args);
    va_end(args);
}


void
lv_info(lv_t *v, unsigned n, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    lv_say(v, n, LV_PASS, fmt, args);
    va_end(args);
}


static void
lv_say(lv_t *v, unsigned n, lv_status_e status, const char *fmt, va_list args)
{
    int          len;
    size_t       room;
    lv_check_t  *check;

    check = &v->check[n];

    if (status < check->status) {
        return;
    }

    if (status > check->status) {
        check->status = status;
        check->said = 0;
        check->len = 0;
        check->reason[0] = '\0';
    }

    if (check->said++ >= LV_REASONS) {
        return;
    }

    room = sizeof(check->reason) - check->len;

    len = snprintf(&check->reason[check->len], room, "%s",
                   check->len ? "; " : "");
    if (len < 0 || (size_t) len >= room) {
        return;
    }

    check->len += len;
    room -= len;

    len = vsnprintf(&check->reason[check->len], room, fmt, args);
    if (len < 0) {
        return;
    }

    check->len += (size_t) len < room ? (size_t) len : room - 1;
}


lv_status_e
lv_report(lv_t *v)
{
    char          state[128];
    u_char       *p;
    unsigned      i;
    lv_check_t   *check;
    lv_status_e   worst;

    worst = LV_PASS;

    for (i = 1; i <= LV_CHECKS; i++) {
        check = &v->check[i];

        /* names come from the files: nothing but printable ASCII leaves */

        for (p = (u_char *) check->reason; *p != '\0'; p++) {
            if (*p < 0x20 || *p > 0x7e) {
                *p = '?';
            }
        }

        printf("V%02u %s %s", i, lv_status_word[check->status], lv_title[i]);

        if (check->len) {
            printf(": %s", check->reason);
        }

        if (check->said > LV_REASONS) {
            printf("; and %llu more",
                   (unsigned long long) (check->said - LV_REASONS));
        }

        printf("\n");

        if (check->status > worst) {
            worst = check->status;
        }
    }

    printf("%s", lv_status_word[worst]);

    if (worst == LV_PASS) {
        printf(" (what no file can prove: that the entrants are real people,"
               " and that the prizes arrived)");
    }

    for (i = 1; i <= LV_CHECKS; i++) {
        if (worst != LV_PASS && v->check[i].status == worst) {
            printf(" V%02u", i);
        }
    }

    lv_state(v, state, sizeof(state));

    if (worst != LV_PASS && state[0] != '\0') {
        printf(" (%s)", state);
    }

    printf("\n");

    return worst;
}


/* memory that is not there ends the program: no verdict is a wrong one */

void *
lv_alloc(size_t n, size_t size)
{
    void  *p;

    p = calloc(n ? n : 1, size);
    if (p == NULL) {
        fprintf(stderr, "loyalty-verify: out of memory\n");
        exit(2);
    }

    return p;
}


/* room for one more than n: grows when n is a power of two */

void *
lv_grow(void *p, size_t n, size_t size)
{
    if (n & (n - 1)) {
        return p;
    }

    p = realloc(p, (n ? 2 * n : 1) * size);
    if (p == NULL) {
        fprintf(stderr, "loyalty-verify: out of memory\n");
        exit(2);
    }

    return p;
}
