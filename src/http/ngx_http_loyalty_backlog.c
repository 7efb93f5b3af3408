/*
 * What of one ring is a worker's own and waits to be sent, in the order in
 * which it was observed; and how it comes to a worker that has not observed it
 * itself.
 */

#include "ngx_http_loyalty_observe.h"

#include <signal.h>


#define NGX_HTTP_LOYALTY_BACKLOG_NONE  UINT32_MAX


/* what is known of owners: the last one that was asked for */

typedef struct {
    uint64_t                      last;
    ngx_uint_t                    gone;
    ngx_uint_t                    start;
} ngx_http_loyalty_gone_t;


static ngx_uint_t ngx_http_loyalty_backlog_gone(ngx_http_loyalty_gone_t *gone,
    uint64_t word);
static int ngx_libc_cdecl ngx_http_loyalty_backlog_cmp(const void *one,
    const void *two);


ngx_int_t
ngx_http_loyalty_backlog_init(ngx_cycle_t *cycle,
    ngx_http_loyalty_backlog_t *backlog, ngx_http_loyalty_ring_t *ring)
{
    backlog->ring = ring;
    backlog->log = cycle->log;
    backlog->first = NGX_HTTP_LOYALTY_BACKLOG_NONE;
    backlog->last = NGX_HTTP_LOYALTY_BACKLOG_NONE;

    backlog->next = ngx_palloc(cycle->pool,
                               ring->ring->nslots * sizeof(uint32_t));

    return backlog->next ? NGX_OK : NGX_ERROR;
}


void
ngx_http_loyalty_backlog_adopt(ngx_http_loyalty_backlog_t *backlog,
    ngx_uint_t start)
{
    ngx_uint_t                n, dead;
    ngx_http_loyalty_slot_t  *slots;

    n = ngx_http_loyalty_ring_adopt(backlog->ring->ring, backlog->log, start,
                                    &slots, &dead);

    if (n == 0) {
        return;
    }

    ngx_http_loyalty_backlog_merge(backlog, slots, n);

    ngx_free(slots);

    if (dead) {
        ngx_log_error(NGX_LOG_NOTICE, backlog->log, 0,
                      "loyalty program \"%V\": %ui observed events of workers "
                      "that are gone are sent by this one",
                      &backlog->ring->program, dead);
    }
}


/*
 * Slots of those that are gone.  A slot with our own process id is ours,
 * except when we start: then it is of a process that had the id before us.
 */

ngx_uint_t
ngx_http_loyalty_ring_adopt(loyalty_ring_t *ring, ngx_log_t *log,
    ngx_uint_t start, ngx_http_loyalty_slot_t **slots, ngx_uint_t *dead)
{
    size_t                    i;
    uint64_t                  word;
    ngx_uint_t                n, max;
    ngx_http_loyalty_gone_t   gone;
    ngx_http_loyalty_slot_t  *slot;

    gone.start = start;
    gone.last = 0;
    gone.gone = 1;
    slot = NULL;
    n = 0;
    *dead = 0;

    max = loyalty_ring_recount(ring);

    for (i = 0; i < ring->nslots && n < max; i++) {

        word = loyalty_ring_word(ring, i);

        if (word == 0 || !ngx_http_loyalty_backlog_gone(&gone, word)) {
            continue;
        }

        if (loyalty_ring_state(word) != LOYALTY_RING_READY) {

            /* it was killed before the event was in the ring */

            (void) loyalty_ring_clear(ring, i, word);
            continue;
        }

        if (slot == NULL) {
            slot = ngx_alloc(max * sizeof(ngx_http_loyalty_slot_t), log);
            if (slot == NULL) {
                return 0;
            }
        }

        if (loyalty_ring_adopt(ring, i, word, ngx_pid)) {
            slot[n].slot = (uint32_t) i;
            slot[n].seq = loyalty_ring_seq(ring, i);
            *dead += (loyalty_ring_owner(word) != 0);
            n++;
        }
    }

    if (n == 0) {

        if (slot != NULL) {
            ngx_free(slot);
        }

        return 0;
    }

    ngx_qsort(slot, n, sizeof(ngx_http_loyalty_slot_t),
              ngx_http_loyalty_backlog_cmp);

    *slots = slot;

    return n;
}


static ngx_uint_t
ngx_http_loyalty_backlog_gone(ngx_http_loyalty_gone_t *gone, uint64_t word)
{
    uint64_t  pid;

    pid = loyalty_ring_owner(word);

    if (pid == 0) {
        return 1;
    }

    if (pid == (uint64_t) ngx_pid) {
        return gone->start;
    }

    if (pid != gone->last) {
        gone->last = pid;
        gone->gone = (kill((ngx_pid_t) pid, 0) == -1 && ngx_errno == ESRCH);
    }

    return gone->gone;
}


static int ngx_libc_cdecl
ngx_http_loyalty_backlog_cmp(const void *one, const void *two)
{
    const ngx_http_loyalty_slot_t  *first, *second;

    first = one;
    second = two;

    return (first->seq > second->seq) - (first->seq < second->seq);
}


void
ngx_http_loyalty_backlog_put(ngx_http_loyalty_backlog_t *backlog,
    uint32_t slot)
{
    backlog->next[slot] = NGX_HTTP_LOYALTY_BACKLOG_NONE;

    if (backlog->first == NGX_HTTP_LOYALTY_BACKLOG_NONE) {
        backlog->first = slot;

    } else {
        backlog->next[backlog->last] = slot;
    }

    backlog->last = slot;
}


ngx_int_t
ngx_http_loyalty_backlog_take(ngx_http_loyalty_backlog_t *backlog,
    uint32_t *slot)
{
    if (backlog->first == NGX_HTTP_LOYALTY_BACKLOG_NONE) {
        return NGX_DECLINED;
    }

    *slot = backlog->first;
    backlog->first = backlog->next[*slot];

    return NGX_OK;
}


uint64_t
ngx_http_loyalty_backlog_first(ngx_http_loyalty_backlog_t *backlog)
{
    return (backlog->first == NGX_HTTP_LOYALTY_BACKLOG_NONE)
           ? 0 : loyalty_ring_seq(backlog->ring->ring, backlog->first);
}


/* both are in the order of their numbers, and so is what becomes of them */

void
ngx_http_loyalty_backlog_merge(ngx_http_loyalty_backlog_t *backlog,
    ngx_http_loyalty_slot_t *adopted, ngx_uint_t n)
{
    uint32_t    rest, slot;
    ngx_uint_t  i;

    rest = backlog->first;
    backlog->first = NGX_HTTP_LOYALTY_BACKLOG_NONE;

    for (i = 0; i < n; i++) {

        while (rest != NGX_HTTP_LOYALTY_BACKLOG_NONE
               && loyalty_ring_seq(backlog->ring->ring, rest)
                  < adopted[i].seq)
        {
            slot = rest;
            rest = backlog->next[rest];
            ngx_http_loyalty_backlog_put(backlog, slot);
        }

        ngx_http_loyalty_backlog_put(backlog, adopted[i].slot);
    }

    while (rest != NGX_HTTP_LOYALTY_BACKLOG_NONE) {
        slot = rest;
        rest = backlog->next[rest];
        ngx_http_loyalty_backlog_put(backlog, slot);
    }
}
