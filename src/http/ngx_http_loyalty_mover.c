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


static ngx_int_t ngx_http_loyalty_mover_batch(
    ngx_http_loyalty_sender_t *sender, u_char *buf);
static void ngx_http_loyalty_mover_back(ngx_http_loyalty_sender_t *sender,
    ngx_http_loyalty_moved_t *moved, ngx_uint_t n);
static ngx_int_t ngx_http_loyalty_mover_take(
    ngx_http_loyalty_sender_t *sender, ngx_http_loyalty_moved_t *moved);
static void ngx_http_loyalty_mover_full(ngx_http_loyalty_sender_t *sender,
    ngx_uint_t full);


void
ngx_http_loyalty_mover_offer(ngx_http_loyalty_sender_t *sender)
{
    ngx_http_loyalty_moved_t  moved;

    while (ngx_http_loyalty_mover_take(sender, &moved) == NGX_OK) {
        (void) loyalty_ring_offer(moved.backlog->ring->ring, moved.slot,
                                  ngx_pid);
    }
}


void
ngx_http_loyalty_mover_move(ngx_http_loyalty_sender_t *sender)
{
    u_char      *buf;
    ngx_uint_t   n;

    buf = ngx_alloc(NGX_HTTP_LOYALTY_SPOOL_BATCH, sender->log);
    if (buf == NULL) {
        return;
    }

    for (n = 0; n < NGX_HTTP_LOYALTY_MOVER_BATCHES; n++) {
        if (ngx_http_loyalty_mover_batch(sender, buf) != NGX_OK) {
            break;
        }
    }

    ngx_free(buf);
}


/* NGX_DECLINED: there is no more, or it cannot be written */

static ngx_int_t
ngx_http_loyalty_mover_batch(ngx_http_loyalty_sender_t *sender, u_char *buf)
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
           && ngx_http_loyalty_mover_take(sender, &moved[n]) == NGX_OK)
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
 * The oldest slot that is ours.  One that is under way comes back, or is done,
 * within the time that Redis has; what is behind it waits for that, lest it
 * should be moved to before it.  When there is hardly any room left, room is
 * worth more than order.
 */

static ngx_int_t
ngx_http_loyalty_mover_take(ngx_http_loyalty_sender_t *sender,
    ngx_http_loyalty_moved_t *moved)
{
    ngx_uint_t                   i, urgent;
    ngx_queue_t                 *q;
    ngx_http_loyalty_sending_t  *sending;

    urgent = ngx_http_loyalty_spooler_urgent(sender);

    for (q = ngx_queue_head(&sender->sent);
         q != ngx_queue_sentinel(&sender->sent);
         q = ngx_queue_next(q))
    {
        sending = ngx_queue_data(q, ngx_http_loyalty_sending_t, queue);

        if (sending->backlog == NULL) {
            continue;
        }

        if (!sending->flying) {
            moved->backlog = sending->backlog;
            moved->slot = sending->slot;
            ngx_http_loyalty_sender_drop(sending);
            return NGX_OK;
        }

        if (!urgent) {
            return NGX_DECLINED;
        }
    }

    for (i = sender->nbacklogs; i > 0; i--) {
        moved->backlog = &sender->backlogs[i - 1];

        if (ngx_http_loyalty_backlog_take(moved->backlog, &moved->slot)
            == NGX_OK)
        {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
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
