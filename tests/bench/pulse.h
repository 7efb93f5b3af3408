/*
 * Whether the machine itself keeps up.  A virtual machine now and then gets
 * only a tenth of its cores for some tens of milliseconds; whatever is
 * measured then says nothing about the program, and a p99 is made of it.
 *
 * A pulse is the time of the same few multiplications in registers, taken
 * whenever the load generator wakes.  The less of two in a row counts, so
 * that losing the core to another process or to an interrupt in between does
 * not: a slow program cannot make a pulse slow.  Over three times the median
 * the machine is slow.  What piled up meanwhile is worked off afterwards, at
 * half load in about as long; until twice as long has passed, a time is not
 * steady.  It depends on the pulses alone, not on any latency.
 */

#ifndef LOYALTY_PULSE_H
#define LOYALTY_PULSE_H


#include "bench.h"


#define PULSE_STEPS   150
#define PULSE_SLOW    3
#define PULSE_MARGIN  1000000             /* ns */

typedef struct {
    uint64_t  at;                         /* ns, when it was taken */
    uint64_t  took;                       /* ns */
} pulse_t;

typedef struct {
    uint64_t  from;
    uint64_t  to;
} pulse_span_t;

typedef struct {
    pulse_t       *all;
    size_t         n;
    size_t         room;
    pulse_span_t  *spans;                 /* not steady, in order */
    size_t         nspans;
} pulses_t;


/* room for one more; it dies when there is none */

static inline void *
bench_grow(void *array, size_t n, size_t *room, size_t size)
{
    if (n < *room) {
        return array;
    }

    *room = *room ? *room * 2 : 4096;

    array = realloc(array, *room * size);
    if (array == NULL) {
        bench_die("memory");
    }

    return array;
}


static inline uint64_t
pulse_once(void)
{
    int                       i;
    uint64_t                  x, start;
    static volatile uint64_t  seed = 1;

    start = bench_now();
    x = seed;

    for (i = 0; i < PULSE_STEPS; i++) {
        x = x * 6364136223846793005u + 1;
    }

    seed = x;

    return bench_now() - start;
}


static inline void
pulse_take(pulses_t *p)
{
    uint64_t  one, two;

    p->all = bench_grow(p->all, p->n, &p->room, sizeof(pulse_t));

    one = pulse_once();
    two = pulse_once();

    p->all[p->n].took = (one < two) ? one : two;
    p->all[p->n++].at = bench_now();
}


static inline int
pulse_compare(const void *one, const void *two)
{
    uint64_t  a = *(const uint64_t *) one, b = *(const uint64_t *) two;

    return (a > b) - (a < b);
}


static inline uint64_t
pulse_median(pulses_t *p)
{
    size_t     i;
    uint64_t  *took, median;

    took = calloc(p->n + 1, sizeof(uint64_t));
    if (took == NULL) {
        bench_die("memory");
    }

    for (i = 0; i < p->n; i++) {
        took[i] = p->all[i].took;
    }

    qsort(took, p->n, sizeof(uint64_t), pulse_compare);
    median = took[p->n / 2];
    free(took);

    return median;
}


/* the spans, after the last pulse */

static inline void
pulse_judge(pulses_t *p)
{
    size_t     i, room;
    uint64_t   slow, debt, since;
    pulse_t   *last, *pulse;

    slow = PULSE_SLOW * pulse_median(p);
    debt = 0;
    room = 0;

    for (i = 1; i < p->n; i++) {
        last = &p->all[i - 1];
        pulse = &p->all[i];
        since = pulse->at - last->at;

        if (pulse->took > slow) {

            if (debt == 0) {
                p->spans = bench_grow(p->spans, p->nspans, &room,
                                      sizeof(pulse_span_t));
                p->spans[p->nspans++].from = last->at - PULSE_MARGIN;
            }

            debt += since;

        } else {
            debt -= (debt < since / 2) ? debt : since / 2;
        }

        if (p->nspans && (debt || pulse->took > slow)) {
            p->spans[p->nspans - 1].to = pulse->at + 2 * debt + PULSE_MARGIN;
        }
    }
}


static inline int
pulse_steady(pulses_t *p, uint64_t at)
{
    size_t  i;

    for (i = 0; i < p->nspans; i++) {
        if (at >= p->spans[i].from && at < p->spans[i].to) {
            return 0;
        }
    }

    return 1;
}


#endif /* LOYALTY_PULSE_H */
