/*
 * Slots that are ours leave us: to whoever takes them, or to the spool.
 */

#include "ngx_http_loyalty_sender.h"


#define NGX_HTTP_LOYALTY_MOVER_BATCHES  8         /* in a tick */
#define NGX_HTTP_LOYALTY_MOVER_MOST     1024      /* in a batch */


/* slots on their way to the spool */

typedef struct {
    ngx_http_loyalty_backlog_t   *backlog;
    uint32_t                      slot;
    uint32_t                      size;           /* of its record */
} ngx_http_loyalty_moved_t;


static uint64_t ngx_http_loyalty_mover_limit(
    ngx_http_loyalty_sender_t *sender);
static ngx_int_t ngx_http_loyalty_mover_batch(
    ngx_http_loyalty_sender_t *sender, u_char *buf, uint64_t limit);
static void ngx_http_loyalty_mover_back(ngx_http_loyalty_sender_t *sender,
    ngx_http_loyalty_moved_t *moved, ngx_uint_t n);
static ngx_int_t ngx_http_loyalty_mover_take(
    ngx_http_loyalty_sender_t *sender, ngx_http_loyalty_moved_t *moved,
    uint64_t limit);
static ngx_http_loyalty_backlog_t *ngx_http_loyalty_mover_waiting(
    ngx_http_loyalty_sender_t *sender);
static ngx_http_loyalty_sending_t *ngx_http_loyalty_mover_sent(
    ngx_http_loyalty_sender_t *sender);
static ngx_uint_t ngx_http_loyalty_mover_older(
    ngx_http_loyalty_backlog_t *one, uint64_t one_seq,
    ngx_http_loyalty_backlog_t *two, uint64_t two_seq);
static void ngx_http_loyalty_mover_full(ngx_http_loyalty_sender_t *sender,
    ngx_uint_t full);


void
ngx_http_loyalty_mover_offer(ngx_http_loyalty_sender_t *sender)
{
    ngx_http_loyalty_moved_t  moved;

    while (ngx_http_loyalty_mover_take(sender, &moved, UINT64_MAX) == NGX_OK) {
        (void) loyalty_ring_offer(moved.backlog->ring->ring, moved.slot,
                                  ngx_pid);
    }
}


void
ngx_http_loyalty_mover_move(ngx_http_loyalty_sender_t *sender)
{
    u_char      *buf;
    uint64_t     limit;
    ngx_uint_t   n;

    buf = ngx_alloc(NGX_HTTP_LOYALTY_SPOOL_BATCH, sender->log);
    if (buf == NULL) {
        return;
    }

    limit = ngx_http_loyalty_mover_limit(sender);

    for (n = 0; n < NGX_HTTP_LOYALTY_MOVER_BATCHES; n++) {
        if (ngx_http_loyalty_mover_batch(sender, buf, limit) != NGX_OK) {
            break;
        }
    }

    ngx_free(buf);
}


/*
 * The number of the oldest event that is not ours: what is newer waits until
 * its worker has offered it, in its next tick, and it is adopted, or until it
 * was answered.  When there is hardly any room left, room is worth more than
 * order.
 */

static uint64_t
ngx_http_loyalty_mover_limit(ngx_http_loyalty_sender_t *sender)
{
    size_t           i;
    uint64_t         word, seq, limit;
    loyalty_ring_t  *ring;

    ring = sender->spool->ring;
    limit = UINT64_MAX;

    if (ngx_http_loyalty_spooler_urgent(sender)) {
        return limit;
    }

    for (i = 0; i < ring->nslots; i++) {
        word = loyalty_ring_word(ring, i);

        if (loyalty_ring_state(word) != LOYALTY_RING_READY
            || loyalty_ring_owner(word) == (uint64_t) ngx_pid)
        {
            continue;
        }

        seq = loyalty_ring_seq(ring, i);
        limit = ngx_min(limit, seq);
    }

    return limit;
}


/* NGX_DECLINED: there is no more, or it cannot be written */

static ngx_int_t
ngx_http_loyalty_mover_batch(ngx_http_loyalty_sender_t *sender, u_char *buf,
    uint64_t limit)
{
    off_t                      room;
    size_t                     done;
    u_char                    *p;
    ngx_int_t                  rc;
    ngx_uint_t                 i, n;
    loyalty_record_t           record;
    ngx_http_loyalty_moved_t   moved[NGX_HTTP_LOYALTY_MOVER_MOST];

    room = ngx_min(ngx_http_loyalty_spool_room(sender->spool),
                   NGX_HTTP_LOYALTY_SPOOL_BATCH);

    p = buf;
    n = 0;

    while (n < NGX_HTTP_LOYALTY_MOVER_MOST
           && room - (p - buf) >= LOYALTY_RECORD
           && ngx_http_loyalty_mover_take(sender, &moved[n], limit) == NGX_OK)
    {
        rc = loyalty_ring_read(moved[n].backlog->ring->ring, moved[n].slot,
                               ngx_pid, &record);

        if (rc == 0) {
            p = ngx_cpymem(p, record.payload - LOYALTY_RECORD_HEAD,
                           record.size);
            moved[n++].size = (uint32_t) record.size;

        } else if (rc == 1) {
            ngx_http_loyalty_stat(sender->observing->program,
                                  NGX_HTTP_LOYALTY_STAT_OBS_DAMAGED, 1);
            (void) loyalty_ring_done(moved[n].backlog->ring->ring,
                                     moved[n].slot, ngx_pid);
        }
    }

    ngx_http_loyalty_mover_full(sender, room < LOYALTY_RECORD);

    if (n == 0) {
        return NGX_DECLINED;
    }

    rc = ngx_http_loyalty_spool_append(sender->spool, buf, p - buf, &done);

    for (i = 0; i < n && moved[i].size <= done; i++) {
        done -= moved[i].size;
        (void) loyalty_ring_done(moved[i].backlog->ring->ring, moved[i].slot,
                                 ngx_pid);
    }

    ngx_http_loyalty_stat(sender->observing->program,
                          NGX_HTTP_LOYALTY_STAT_SPOOLED, i);

    if (rc != NGX_OK) {
        ngx_http_loyalty_mover_back(sender, &moved[i], n - i);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* to where they were taken from */

static void
ngx_http_loyalty_mover_back(ngx_http_loyalty_sender_t *sender,
    ngx_http_loyalty_moved_t *moved, ngx_uint_t n)
{
    ngx_uint_t                i, b, k;
    ngx_http_loyalty_slot_t   slots[NGX_HTTP_LOYALTY_MOVER_MOST];

    for (b = 0; b < sender->nbacklogs; b++) {

        for (i = 0, k = 0; i < n; i++) {

            if (moved[i].backlog == &sender->backlogs[b]) {
                slots[k].slot = moved[i].slot;
                slots[k].seq = loyalty_ring_seq(moved[i].backlog->ring->ring,
                                                moved[i].slot);
                k++;
            }
        }

        ngx_http_loyalty_backlog_merge(&sender->backlogs[b], slots, k);
    }
}


/*
 * The oldest slot that is ours, of those that were sent in vain and of those
 * that wait, among which there may be older ones that others have offered.
 * One that is under way comes back, or is done, within the time that Redis
 * has; what is newer waits for that, lest it should be moved to before it, but
 * for want of room.
 */

static ngx_int_t
ngx_http_loyalty_mover_take(ngx_http_loyalty_sender_t *sender,
    ngx_http_loyalty_moved_t *moved, uint64_t limit)
{
    uint64_t                     seq, sent;
    ngx_http_loyalty_sending_t  *sending;

    moved->backlog = ngx_http_loyalty_mover_waiting(sender);
    seq = moved->backlog ? ngx_http_loyalty_backlog_first(moved->backlog) : 0;

    sending = ngx_http_loyalty_mover_sent(sender);

    if (sending != NULL) {
        sent = loyalty_ring_seq(sending->backlog->ring->ring, sending->slot);

        if (moved->backlog != NULL
            && ngx_http_loyalty_mover_older(moved->backlog, seq,
                                            sending->backlog, sent))
        {
            sending = NULL;

        } else if (sending->flying) {
            return NGX_DECLINED;

        } else {
            moved->backlog = sending->backlog;
            moved->slot = sending->slot;
            seq = sent;
        }
    }

    if (moved->backlog == NULL
        || (moved->backlog == &sender->backlogs[0] && seq > limit))
    {
        return NGX_DECLINED;
    }

    if (sending != NULL) {
        ngx_http_loyalty_sender_drop(sending);
        return NGX_OK;
    }

    return ngx_http_loyalty_backlog_take(moved->backlog, &moved->slot);
}


/* where the oldest of those is that wait; NULL: none does */

static ngx_http_loyalty_backlog_t *
ngx_http_loyalty_mover_waiting(ngx_http_loyalty_sender_t *sender)
{
    ngx_uint_t  i;

    for (i = sender->nbacklogs; i > 0; i--) {
        if (ngx_http_loyalty_backlog_first(&sender->backlogs[i - 1]) != 0) {
            return &sender->backlogs[i - 1];
        }
    }

    return NULL;
}


/* the oldest of the ring's that were sent; what is under way counts unless
   there is hardly any room left */

static ngx_http_loyalty_sending_t *
ngx_http_loyalty_mover_sent(ngx_http_loyalty_sender_t *sender)
{
    uint64_t                     seq, least;
    ngx_uint_t                   urgent;
    ngx_queue_t                 *q;
    ngx_http_loyalty_sending_t  *sending, *oldest;

    urgent = ngx_http_loyalty_spooler_urgent(sender);
    oldest = NULL;
    least = 0;

    for (q = ngx_queue_head(&sender->sent);
         q != ngx_queue_sentinel(&sender->sent);
         q = ngx_queue_next(q))
    {
        sending = ngx_queue_data(q, ngx_http_loyalty_sending_t, queue);

        if (sending->backlog == NULL || (sending->flying && urgent)) {
            continue;
        }

        seq = loyalty_ring_seq(sending->backlog->ring->ring, sending->slot);

        if (oldest == NULL
            || ngx_http_loyalty_mover_older(sending->backlog, seq,
                                            oldest->backlog, least))
        {
            oldest = sending;
            least = seq;
        }
    }

    return oldest;
}


/* of an older ring, all of which comes first, or of a lower number */

static ngx_uint_t
ngx_http_loyalty_mover_older(ngx_http_loyalty_backlog_t *one, uint64_t one_seq,
    ngx_http_loyalty_backlog_t *two, uint64_t two_seq)
{
    return one > two || (one == two && one_seq < two_seq);
}


static void
ngx_http_loyalty_mover_full(ngx_http_loyalty_sender_t *sender,
    ngx_uint_t full)
{
    ngx_http_loyalty_spool_t  *spool;

    spool = sender->spool;

    if (spool->full == full) {
        return;
    }

    spool->full = full;
    ngx_http_loyalty_spool_tell(spool);

    if (full) {
        ngx_log_error(NGX_LOG_ERR, sender->log, 0,
                      "loyalty program \"%V\": the spool \"%V\" is full, newer "
                      "observed events stay in the ring",
                      &sender->observing->program->name,
                      &spool->conf->path->name);
    }
}
