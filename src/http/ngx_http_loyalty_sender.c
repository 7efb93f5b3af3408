/*
 * From the ring to Redis: each worker sends what it has observed itself, and
 * what it has adopted from workers that are gone; one of them also sends what
 * is in the spool.
 *
 * The events that are a worker's own wait in the order in which they were
 * observed.  At most 64 are under way; one leaves the ring when Redis has
 * answered.  One that comes back without an answer stays where it was and is
 * sent again before those behind it, so that the events of a member keep
 * their order; while nothing is answered the sender pauses, for longer each
 * time up to a second.
 *
 * An event that Redis itself fails on must not hold up others: after some
 * tries it is set aside and tried once in a while.  When it has failed more
 * often, and others have passed, it is given up.
 *
 * Its timers are cancelable: a worker that leaves stays for what is under way,
 * whose deadlines redis/ keeps, and leaves the rest to those that follow.
 */

#include "ngx_http_loyalty_sender.h"


#define NGX_HTTP_LOYALTY_SENDER_PAUSE    50       /* ms, the first */
#define NGX_HTTP_LOYALTY_SENDER_LONGEST  1000
#define NGX_HTTP_LOYALTY_SENDER_FIRST    100      /* ms to the first tick */
#define NGX_HTTP_LOYALTY_SENDER_TRIES    3        /* then it is set aside */
#define NGX_HTTP_LOYALTY_SENDER_GIVEN_UP 6
#define NGX_HTTP_LOYALTY_SENDER_ASIDE    2000     /* ms between those */


static ngx_int_t ngx_http_loyalty_sender_again(
    ngx_http_loyalty_sender_t *sender);
static ngx_int_t ngx_http_loyalty_sender_next(
    ngx_http_loyalty_sender_t *sender);
static ngx_int_t ngx_http_loyalty_sender_send(
    ngx_http_loyalty_sending_t *sending);
static void ngx_http_loyalty_sender_handler(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static void ngx_http_loyalty_sender_done(ngx_http_loyalty_sending_t *sending);
static void ngx_http_loyalty_sender_refused(
    ngx_http_loyalty_sending_t *sending,
    ngx_http_loyalty_refusal_e refusal);
static void ngx_http_loyalty_sender_failed(
    ngx_http_loyalty_sending_t *sending, ngx_http_loyalty_status_e status);
static void ngx_http_loyalty_sender_aside(
    ngx_http_loyalty_sending_t *sending);
static void ngx_http_loyalty_sender_answered(
    ngx_http_loyalty_sender_t *sender);
static uint64_t *ngx_http_loyalty_sender_trouble(
    ngx_http_loyalty_sender_t *sender);


ngx_int_t
ngx_http_loyalty_sender_init(ngx_cycle_t *cycle,
    ngx_http_loyalty_observing_t *observing)
{
    ngx_uint_t                    i;
    ngx_http_loyalty_ring_t     **ring;
    ngx_http_loyalty_sender_t    *sender;
    ngx_http_loyalty_backlog_t   *backlog;

    sender = ngx_pcalloc(cycle->pool, sizeof(ngx_http_loyalty_sender_t));
    if (sender == NULL) {
        return NGX_ERROR;
    }

    sender->observing = observing;
    sender->log = cycle->log;
    sender->nbacklogs = observing->rings.nelts;
    sender->backlogs = ngx_pcalloc(cycle->pool,
                                   sender->nbacklogs
                                   * sizeof(ngx_http_loyalty_backlog_t));
    if (sender->backlogs == NULL) {
        return NGX_ERROR;
    }

    ring = observing->rings.elts;

    for (i = 0; i < sender->nbacklogs; i++) {
        backlog = &sender->backlogs[i];

        if (ngx_http_loyalty_backlog_init(cycle, backlog, ring[i]) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_http_loyalty_backlog_adopt(backlog, 1);
    }

    /* workers look for free slots in different places */

    sender->hint = ngx_worker * 977;

    ngx_queue_init(&sender->sent);
    ngx_queue_init(&sender->free);

    for (i = 0; i < NGX_HTTP_LOYALTY_WINDOW; i++) {
        sender->sending[i].sender = sender;
        ngx_queue_insert_tail(&sender->free, &sender->sending[i].queue);
    }

    sender->go.handler = ngx_http_loyalty_sender_go;
    sender->go.data = sender;
    sender->go.log = cycle->log;

    sender->pause.handler = ngx_http_loyalty_sender_go;
    sender->pause.data = sender;
    sender->pause.log = cycle->log;
    sender->pause.cancelable = 1;

    sender->tick.handler = ngx_http_loyalty_spooler_tick;
    sender->tick.data = sender;
    sender->tick.log = cycle->log;
    sender->tick.cancelable = 1;

    ngx_add_timer(&sender->tick, NGX_HTTP_LOYALTY_SENDER_FIRST);

    observing->sender = sender;

    return ngx_http_loyalty_spooler_init(cycle, sender);
}


/* operations are gone by now, and their handlers will not be called */

void
ngx_http_loyalty_sender_exit(ngx_http_loyalty_observing_t *observing)
{
    ngx_http_loyalty_sender_t  *sender;

    sender = observing->sender;

    if (sender == NULL) {
        return;
    }

    observing->sender = NULL;

    if (sender->spool != NULL) {
        ngx_http_loyalty_spool_release(sender->spool);
    }

    if (sender->records != NULL) {
        ngx_free(sender->records);
        sender->records = NULL;
    }
}


size_t *
ngx_http_loyalty_sender_hint(ngx_http_loyalty_sender_t *sender)
{
    return &sender->hint;
}


void
ngx_http_loyalty_sender_add(ngx_http_loyalty_sender_t *sender, size_t slot)
{
    ngx_http_loyalty_backlog_put(&sender->backlogs[0], (uint32_t) slot);

    ngx_post_event(&sender->go, &ngx_posted_events);

    if (sender->spool != NULL) {
        ngx_http_loyalty_spooler_added(sender);
    }
}


void
ngx_http_loyalty_sender_go(ngx_event_t *ev)
{
    ngx_http_loyalty_sender_t  *sender;

    sender = ev->data;

    if (sender->pause.timer_set) {
        return;
    }

    if (sender->back && ngx_http_loyalty_sender_again(sender) != NGX_OK) {
        return;
    }

    while (ngx_http_loyalty_sender_next(sender) == NGX_OK) { /* void */ }
}


/* what has come back goes first; NGX_AGAIN: that has to wait */

static ngx_int_t
ngx_http_loyalty_sender_again(ngx_http_loyalty_sender_t *sender)
{
    ngx_queue_t                 *q, *next;
    ngx_http_loyalty_sending_t  *sending;

    for (q = ngx_queue_head(&sender->sent);
         q != ngx_queue_sentinel(&sender->sent);
         q = next)
    {
        next = ngx_queue_next(q);
        sending = ngx_queue_data(q, ngx_http_loyalty_sending_t, queue);

        if (sending->flying
            || (sending->backlog != NULL && sender->holding)
            || (sending->aside
                && (ngx_msec_int_t) (sending->due - ngx_current_msec) > 0))
        {
            continue;
        }

        if (sending->backlog == NULL
            && !ngx_http_loyalty_store_verified(sender))
        {
            return NGX_AGAIN;
        }

        if (ngx_http_loyalty_sender_send(sending) != NGX_OK) {
            return NGX_AGAIN;
        }
    }

    return NGX_OK;
}


/* one more: of the spool, then what was left by others, then what is new */

static ngx_int_t
ngx_http_loyalty_sender_next(ngx_http_loyalty_sender_t *sender)
{
    ngx_int_t                    rc;
    ngx_uint_t                   i;
    ngx_queue_t                 *q;
    ngx_http_loyalty_sending_t  *sending;

    if (ngx_queue_empty(&sender->free)) {
        return NGX_DECLINED;
    }

    q = ngx_queue_head(&sender->free);
    sending = ngx_queue_data(q, ngx_http_loyalty_sending_t, queue);

    sending->backlog = NULL;
    rc = NGX_DECLINED;

    if (sender->spool != NULL && ngx_http_loyalty_spool_mine(sender->spool)
        && ngx_http_loyalty_spool_first(sender->spool))
    {
        if (!ngx_http_loyalty_store_verified(sender)) {
            return NGX_DECLINED;
        }

        sending->record = sender->records
                          + (sending - sender->sending) * LOYALTY_RECORD;
        rc = ngx_http_loyalty_spool_next(sender->spool, sending->record,
                                         &sending->size, &sending->number);
    }

    if (rc != NGX_OK
        && (sender->holding || ngx_http_loyalty_spooler_first(sender)))
    {
        return NGX_DECLINED;
    }

    for (i = sender->nbacklogs; rc != NGX_OK && i > 0; i--) {
        sending->backlog = &sender->backlogs[i - 1];
        rc = ngx_http_loyalty_backlog_take(sending->backlog, &sending->slot);
    }

    if (rc != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_queue_remove(q);
    ngx_queue_insert_tail(&sender->sent, q);
    sender->back++;

    sending->tries = 0;
    sending->aside = 0;

    return ngx_http_loyalty_sender_send(sending);
}


/* NGX_AGAIN: nothing more can be sent now */

static ngx_int_t
ngx_http_loyalty_sender_send(ngx_http_loyalty_sending_t *sending)
{
    ngx_int_t                     rc;
    loyalty_record_t              record;
    ngx_http_loyalty_op_t        *op;
    ngx_http_loyalty_sender_t    *sender;
    ngx_http_loyalty_status_e     status;
    ngx_http_loyalty_refusal_e    refusal;

    sender = sending->sender;

    rc = ngx_http_loyalty_sender_record(sending, &record);

    if (rc == 1) {
        ngx_http_loyalty_sender_refused(sending,
                                        NGX_HTTP_LOYALTY_REFUSE_DAMAGED);
        return NGX_OK;
    }

    if (rc != 0) {
        ngx_http_loyalty_sender_drop(sending);
        return NGX_OK;
    }

    rc = ngx_http_loyalty_observed_send(sender->observing->program, &record,
                                        ngx_http_loyalty_sender_handler,
                                        sending, &op, &status, &refusal);

    if (rc == NGX_DECLINED) {
        ngx_http_loyalty_sender_refused(sending, refusal);
        return NGX_OK;
    }

    if (rc == NGX_AGAIN) {
        ngx_http_loyalty_sender_failed(sending, status);
        return sender->pause.timer_set ? NGX_AGAIN : NGX_OK;
    }

    sending->flying = 1;
    sender->back--;

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_sender_record(ngx_http_loyalty_sending_t *sending,
    loyalty_record_t *record)
{
    if (sending->backlog == NULL) {
        return loyalty_spool_next(sending->record, sending->size, 1, record)
               == LOYALTY_SPOOL_RECORD ? 0 : 1;
    }

    return loyalty_ring_read(sending->backlog->ring->ring, sending->slot,
                             ngx_pid, record);
}


static void
ngx_http_loyalty_sender_handler(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_sending_t *sending = data;

    ngx_int_t                    rc;
    loyalty_record_t             record;
    ngx_http_loyalty_sender_t   *sender;
    ngx_http_loyalty_program_t  *program;
    ngx_http_loyalty_refusal_e   refusal;

    sender = sending->sender;
    program = sender->observing->program;

    sending->flying = 0;
    sender->back++;

    rc = NGX_ERROR;

    if (status == NGX_HTTP_LOYALTY_REPLY) {
        status = NGX_HTTP_LOYALTY_FAILED;
        rc = ngx_http_loyalty_observed_reply(program, reply, &refusal);

        if (rc == NGX_AGAIN) {
            status = NGX_HTTP_LOYALTY_BUSY;
        }

        /* only what may be awarded to a game's slot is looked at again */

        if (rc == NGX_OK && program->targets.nelts != 0
            && ngx_http_loyalty_sender_record(sending, &record) == 0)
        {
            ngx_http_loyalty_observed_awarded(program, &record, reply,
                                              sender->log);
        }
    }

    if (rc == NGX_ERROR || rc == NGX_AGAIN) {
        ngx_http_loyalty_sender_failed(sending, status);

    } else {
        ngx_http_loyalty_sender_answered(sender);

        if (rc == NGX_OK) {
            ngx_http_loyalty_sender_done(sending);

        } else {
            ngx_http_loyalty_sender_refused(sending, refusal);
        }
    }

    /* at once, and not when it is posted: a worker that leaves would not stay
       for what is posted only */

    ngx_http_loyalty_sender_go(&sender->go);
}


/* it has been decided, and need not be kept any longer */

static void
ngx_http_loyalty_sender_done(ngx_http_loyalty_sending_t *sending)
{
    if (sending->backlog == NULL) {
        ngx_http_loyalty_spool_done(sending->sender->spool, sending->number);

    } else {
        (void) loyalty_ring_done(sending->backlog->ring->ring, sending->slot,
                                 ngx_pid);
    }

    ngx_http_loyalty_sender_drop(sending);
}


void
ngx_http_loyalty_sender_drop(ngx_http_loyalty_sending_t *sending)
{
    if (sending->aside && sending->backlog == NULL
        && sending->sender->spool->aside)
    {
        sending->sender->spool->aside--;
    }

    ngx_queue_remove(&sending->queue);
    ngx_queue_insert_head(&sending->sender->free, &sending->queue);

    sending->sender->back--;
}


static void
ngx_http_loyalty_sender_refused(ngx_http_loyalty_sending_t *sending,
    ngx_http_loyalty_refusal_e refusal)
{
    u_char                      shown[3][NGX_HTTP_LOYALTY_SHOWN];
    ngx_str_t                   type, id, member;
    ngx_uint_t                  silent;
    loyalty_record_t            record;
    loyalty_observed_t          observed;
    ngx_http_loyalty_sender_t  *sender;

    sender = sending->sender;

    if (ngx_http_loyalty_refused(sender->observing, refusal, &silent)) {

        ngx_str_set(&type, "event");
        ngx_str_set(&id, "unknown");
        ngx_str_set(&member, "unknown");

        if (ngx_http_loyalty_sender_record(sending, &record) == 0
            && loyalty_observed_read(&observed, record.payload, record.len)
               == 0)
        {
            type.data = (u_char *) observed.type.data;
            type.len = observed.type.len;
            id.data = (u_char *) observed.id.data;
            id.len = observed.id.len;
            member.data = (u_char *) observed.member.data;
            member.len = observed.member.len;
        }

        ngx_http_loyalty_show(&type, shown[0]);
        ngx_http_loyalty_show(&id, shown[1]);
        ngx_http_loyalty_show(&member, shown[2]);

        ngx_log_error(NGX_LOG_ERR, sender->log, 0,
                      "loyalty program \"%V\": observed \"%V\" with the id "
                      "\"%V\" of member \"%V\" is given up, reason: %s, %ui "
                      "more since the last such line",
                      &sender->observing->program->name, &type, &id, &member,
                      ngx_http_loyalty_refusal(refusal), silent);
    }

    ngx_http_loyalty_sender_done(sending);
}


/* it stays in its place among those sent, and is sent again */

static void
ngx_http_loyalty_sender_failed(ngx_http_loyalty_sending_t *sending,
    ngx_http_loyalty_status_e status)
{
    ngx_http_loyalty_sender_t  *sender;

    sender = sending->sender;

    if (sending->backlog == NULL && sending->number == 0) {

        /* the spool has become another's, and this with it */

        ngx_http_loyalty_sender_drop(sending);
        return;
    }

    /* when it is back it may be another Redis */

    if (status != NGX_HTTP_LOYALTY_FAILED && sender->spool != NULL) {
        sender->spool->verified = 0;
    }

    if (status == NGX_HTTP_LOYALTY_FAILED) {

        if (sending->tries++ == 0) {
            sending->answers = sender->answers;
        }

        if (sending->tries >= NGX_HTTP_LOYALTY_SENDER_TRIES) {
            ngx_http_loyalty_sender_aside(sending);
            return;
        }
    }

    ngx_http_loyalty_sender_wait(sender);
}


/* when others pass and this one does not, it never will */

static void
ngx_http_loyalty_sender_aside(ngx_http_loyalty_sending_t *sending)
{
    ngx_http_loyalty_sender_t  *sender;

    sender = sending->sender;

    if (sending->tries >= NGX_HTTP_LOYALTY_SENDER_GIVEN_UP
        && sender->answers != sending->answers)
    {
        ngx_http_loyalty_sender_refused(sending,
                                        NGX_HTTP_LOYALTY_REFUSE_FAILED);
        return;
    }

    if (!sending->aside && sending->backlog == NULL) {
        sender->spool->aside++;
        ngx_http_loyalty_spool_tell(sender->spool);
    }

    sending->aside = 1;
    sending->due = ngx_current_msec + NGX_HTTP_LOYALTY_SENDER_ASIDE;
}


static void
ngx_http_loyalty_sender_answered(ngx_http_loyalty_sender_t *sender)
{
    uint64_t  *trouble;

    trouble = ngx_http_loyalty_sender_trouble(sender);

    if (__atomic_load_n(trouble, __ATOMIC_RELAXED) != 0) {
        __atomic_store_n(trouble, 0, __ATOMIC_RELAXED);
    }

    sender->answers++;
    sender->failures = 0;

    if (sender->pause.timer_set) {
        ngx_del_timer(&sender->pause);
    }
}


/* since when nobody has been answered, of all workers; 0: somebody was */

static uint64_t *
ngx_http_loyalty_sender_trouble(ngx_http_loyalty_sender_t *sender)
{
    ngx_http_loyalty_ring_t  **own;

    own = sender->observing->rings.elts;

    return &own[0]->ring->user[NGX_HTTP_LOYALTY_RING_TROUBLE];
}


void
ngx_http_loyalty_sender_wait(ngx_http_loyalty_sender_t *sender)
{
    uint64_t    *trouble;
    ngx_msec_t   pause;

    if (sender->pause.timer_set) {
        return;
    }

    trouble = ngx_http_loyalty_sender_trouble(sender);

    if (__atomic_load_n(trouble, __ATOMIC_RELAXED) == 0) {
        __atomic_store_n(trouble, (uint64_t) ngx_current_msec | 1,
                         __ATOMIC_RELAXED);
    }

    if (sender->failures++ == 0) {
        sender->trouble = ngx_current_msec;
    }

    pause = NGX_HTTP_LOYALTY_SENDER_PAUSE
            << ngx_min(sender->failures - 1, (ngx_uint_t) 5);
    pause = ngx_min(pause, NGX_HTTP_LOYALTY_SENDER_LONGEST);

    /* workers must not come back in step */

    pause = pause / 2 + (ngx_msec_t) ngx_random() % (pause / 2 + 1);

    ngx_add_timer(&sender->pause, pause);
}
