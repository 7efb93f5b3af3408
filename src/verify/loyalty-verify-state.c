
/*
 * How far a campaign is by its own files: what is missing because it is yet
 * to come is INCOMPLETE like anything else, and is told from what is not
 * there though it should be.
 */

#include "loyalty-verify.h"

#include <stdio.h>


/* nothing in the files is of after the close */

int
lv_running(lv_t *v)
{
    size_t  i;

    if (v->last == NULL || lv_file(v, "evidence").len) {
        return 0;
    }

    if (v->last->kind == 1) {
        return lv_file(v, "close").len == 0 && lv_file(v, "picks").len == 0;
    }

    for (i = 0; i < v->nheads; i++) {
        if (v->head[i].t >= v->last->close) {
            return 0;
        }
    }

    return 1;
}


/* for the last line; an empty text when all is over */

void
lv_state(lv_t *v, char *text, size_t size)
{
    char  date[24];

    text[0] = '\0';

    if (lv_running(v)) {
        (void) snprintf(text, size, "running, until %s",
                        lv_date(date, v->last->close));
        return;
    }

    if (v->last == NULL || !v->closed || lv_file(v, "picks").len) {
        return;
    }

    if (v->unknown_round) {
        (void) snprintf(text, size, "closed, the round of the draw is that of"
                        " a timestamp to come");

    } else if (v->draw_round) {
        (void) snprintf(text, size, "closed, to be drawn by round %llu of %s",
                        (unsigned long long) v->draw_round,
                        lv_date(date, lv_round_time(v->draw_round)));

    } else {
        (void) snprintf(text, size, "closed, to be drawn");
    }
}
