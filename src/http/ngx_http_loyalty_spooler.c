/*
 * What becomes of observed events while Redis does not take them: the tick of
 * a sender.
 *
 * Once a second it looks for slots of the ring whose owner is gone.  A worker
 * that is not answered while others are offers its own to them.
 *
 * With a spool there is more to do.  Workers are pressed when Redis has not
 * answered any of them for a second, or when more than half of the ring is in
 * use, whatever the reason.  A worker that is pressed tries to become the
 * spooler, of which there is one; if another is, it offers its slots, which
 * that one takes.  The spooler, while it is pressed, moves what it has to the
 * spool; and whenever it can send, it sends what is in the spool first.  Until
 * the spool is empty all workers keep what is new in the ring: so the order
 * stays.  A spooler that is not answered for long lets another try, whose
 * connection may be better.
 *
 * Several nginx may share a spool.  One that has filled half of its ring and
 * finds another's spooler at work asks for its place.  That one leaves, with
 * all of its nginx's workers, while nobody is answered; when it is, all can
 * send what they have, and it goes on.
 *
 * This happens twenty times a second, and more often when the ring is nearly
 * full: half of it is still free when it begins.
 */

#include "ngx_http_loyalty_sender.h"

#include <signal.h>


#define NGX_HTTP_LOYALTY_SPOOLER_TICK     1000    /* ms */
#define NGX_HTTP_LOYALTY_SPOOLER_FAST     50
#define NGX_HTTP_LOYALTY_SPOOLER_URGENT   5
#define NGX_HTTP_LOYALTY_SPOOLER_LOOK     60000   /* ms between looks into the
                                                     directory */
#define NGX_HTTP_LOYALTY_SPOOLER_TURN     5000    /* ms until another's turn */
#define NGX_HTTP_LOYALTY_SPOOLER_REST     200     /* ms */


static void ngx_http_loyalty_spooler_say(ngx_http_loyalty_sender_t *sender);
static ngx_msec_t ngx_http_loyalty_spooler_work(
    ngx_http_loyalty_sender_t *sender);
static ngx_uint_t ngx_http_loyalty_spooler_drained(
    ngx_http_loyalty_sender_t *sender);
static ngx_uint_t ngx_http_loyalty_spooler_asked(
    ngx_http_loyalty_sender_t *sender);
static ngx_uint_t ngx_http_loyalty_spooler_turn(
    ngx_http_loyalty_sender_t *sender);
static ngx_uint_t ngx_http_loyalty_spooler_rests(
    ngx_http_loyalty_sender_t *sender);
static ngx_uint_t ngx_http_loyalty_spooler_pressed(
    ngx_http_loyalty_sender_t *sender);
static ngx_uint_t ngx_http_loyalty_spooler_half(
    ngx_http_loyalty_sender_t *sender);
static ngx_uint_t ngx_http_loyalty_spooler_away(
    ngx_http_loyalty_sender_t *sender);
static ngx_uint_t ngx_http_loyalty_spooler_alone(
    ngx_http_loyalty_sender_t *sender);
static ngx_uint_t ngx_http_loyalty_spooler_other(
    ngx_http_loyalty_sender_t *sender, ngx_uint_t look);
static ngx_uint_t ngx_http_loyalty_spooler_wanted(
    ngx_http_loyalty_sender_t *sender, ngx_uint_t pressed);
static void ngx_http_loyalty_spooler_become(
    ngx_http_loyalty_sender_t *sender);
static void ngx_http_loyalty_spooler_adopt(ngx_http_loyalty_sender_t *sender);


ngx_int_t
ngx_http_loyalty_spooler_init(ngx_cycle_t *cycle,
    ngx_http_loyalty_sender_t *sender)
{
    ngx_http_loyalty_ring_t       **own;
    ngx_http_loyalty_observing_t   *observing;

    observing = sender->observing;

    if (observing->spool == NULL) {
        return NGX_OK;
    }

    own = observing->rings.elts;

    sender->spool = ngx_http_loyalty_spool_create(cycle->pool, cycle->log,
                                                  observing->spool,
                                                  observing->program,
                                                  own[0]->ring);

    return sender->spool ? NGX_OK : NGX_ERROR;
}


void
ngx_http_loyalty_spooler_tick(ngx_event_t *ev)
{
    ngx_msec_t                  next;
    ngx_http_loyalty_sender_t  *sender;

    sender = ev->data;
    next = NGX_HTTP_LOYALTY_SPOOLER_TICK;

    ngx_http_loyalty_spooler_say(sender);

    if (sender->spool != NULL) {
        next = ngx_http_loyalty_spooler_work(sender);

    } else if (ngx_http_loyalty_spooler_alone(sender)) {
        ngx_http_loyalty_mover_offer(sender);

    } else {
        ngx_http_loyalty_spooler_adopt(sender);
    }

    ngx_http_loyalty_sender_go(&sender->go);

    ngx_add_timer(&sender->tick, next);
}


/* once for all workers */

static void
ngx_http_loyalty_spooler_say(ngx_http_loyalty_sender_t *sender)
{
    ngx_uint_t                 away;
    ngx_atomic_t              *told;
    ngx_http_loyalty_ring_t  **own;

    own = sender->observing->rings.elts;
    told = (ngx_atomic_t *) &own[0]->ring->user[NGX_HTTP_LOYALTY_RING_TOLD];

    away = ngx_http_loyalty_spooler_away(sender);

    if (*told == away || !ngx_atomic_cmp_set(told, !away, away)) {
        return;
    }

    if (away) {
        ngx_log_error(NGX_LOG_WARN, sender->log, 0,
                      "loyalty program \"%V\": observed events wait for redis",
                      &sender->observing->program->name);
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, sender->log, 0,
                  "loyalty program \"%V\": observed events are sent to redis "
                  "again", &sender->observing->program->name);
}


/* ms to the next time */

static ngx_msec_t
ngx_http_loyalty_spooler_work(ngx_http_loyalty_sender_t *sender)
{
    ngx_uint_t                 pressed, other;
    ngx_http_loyalty_spool_t  *spool;

    spool = sender->spool;

    if (ngx_exiting || ngx_http_loyalty_spooler_asked(sender)
        || ngx_http_loyalty_spooler_turn(sender)
        || (ngx_http_loyalty_spool_mine(spool)
            && ngx_http_loyalty_spooler_alone(sender)))
    {
        ngx_http_loyalty_spooler_leave(sender);
    }

    ngx_http_loyalty_store_look(sender);

    other = ngx_http_loyalty_spooler_other(sender, 1);
    pressed = ngx_http_loyalty_spooler_pressed(sender);

    if (other && (sender->holding || ngx_http_loyalty_spooler_first(sender))) {

        /* who sends nothing is not answered, which says nothing */

        sender->failures = 0;
    }

    if (!other && !ngx_exiting
        && ngx_http_loyalty_spooler_wanted(sender, pressed))
    {
        ngx_http_loyalty_spooler_become(sender);
    }

    if ((other && pressed) || ngx_http_loyalty_spooler_alone(sender)) {
        ngx_http_loyalty_mover_offer(sender);

    } else if (!other) {
        ngx_http_loyalty_spooler_adopt(sender);
    }

    if (ngx_http_loyalty_spool_mine(spool)) {

        if (pressed) {
            sender->draining = 0;
            ngx_http_loyalty_mover_move(sender);

        } else if (ngx_http_loyalty_spool_empty(spool)
                   && ngx_http_loyalty_spooler_drained(sender))
        {
            ngx_http_loyalty_spool_release(spool);
        }
    }

    if (ngx_http_loyalty_spool_mine(spool)) {
        ngx_http_loyalty_spool_tell(spool);
    }

    sender->holding = pressed
                      && (other || ngx_http_loyalty_spooler_rests(sender)
                          || (ngx_http_loyalty_spool_mine(spool)
                              && !spool->failing && !spool->full));

    if (!pressed && !ngx_http_loyalty_spool_mine(spool)
        && !ngx_http_loyalty_spooler_first(sender))
    {
        return NGX_HTTP_LOYALTY_SPOOLER_TICK;
    }

    return ngx_http_loyalty_spooler_urgent(sender)
           ? NGX_HTTP_LOYALTY_SPOOLER_URGENT : NGX_HTTP_LOYALTY_SPOOLER_FAST;
}


/*
 * The spool is empty.  What others offered when it was not is older than what
 * they hold: it has just been adopted, and is sent before they go on.
 */

static ngx_uint_t
ngx_http_loyalty_spooler_drained(ngx_http_loyalty_sender_t *sender)
{
    ngx_uint_t                   i;
    ngx_queue_t                 *q;
    loyalty_ring_t              *ring;
    ngx_http_loyalty_sending_t  *sending;

    ring = sender->spool->ring;

    if (!sender->draining) {
        sender->draining = 1;
        sender->drained = __atomic_load_n(&ring->seq, __ATOMIC_RELAXED);
        return 0;
    }

    for (q = ngx_queue_head(&sender->sent);
         q != ngx_queue_sentinel(&sender->sent);
         q = ngx_queue_next(q))
    {
        sending = ngx_queue_data(q, ngx_http_loyalty_sending_t, queue);

        if (sending->backlog != NULL && !sending->aside
            && (sending->backlog != &sender->backlogs[0]
                || loyalty_ring_seq(ring, sending->slot) <= sender->drained))
        {
            return 0;
        }
    }

    for (i = 1; i < sender->nbacklogs; i++) {
        if (ngx_http_loyalty_backlog_first(&sender->backlogs[i])) {
            return 0;
        }
    }

    i = ngx_http_loyalty_backlog_first(&sender->backlogs[0]);

    if (i && i <= sender->drained) {
        return 0;
    }

    sender->draining = 0;

    return 1;
}


/* the spool is ours, and nobody is answered: another nginx has asked for it,
   whose turn it is before those of our own */

static ngx_uint_t
ngx_http_loyalty_spooler_asked(ngx_http_loyalty_sender_t *sender)
{
    if (!ngx_http_loyalty_spool_mine(sender->spool)
        || !ngx_http_loyalty_spooler_away(sender)
        || ngx_current_msec - sender->spool->acquired
           < NGX_HTTP_LOYALTY_SPOOLER_FAST
        || !ngx_http_loyalty_spool_asked(sender->spool))
    {
        return 0;
    }

    __atomic_store_n(&sender->spool->ring->user[NGX_HTTP_LOYALTY_RING_LEFT],
                     (uint64_t) ngx_current_msec, __ATOMIC_RELEASE);

    return 1;
}


/* the spool is ours, and nobody is answered: it is another's turn */

static ngx_uint_t
ngx_http_loyalty_spooler_turn(ngx_http_loyalty_sender_t *sender)
{
    return ngx_http_loyalty_spool_mine(sender->spool)
           && sender->failures
           && ngx_http_loyalty_spooler_away(sender)
           && ngx_current_msec - sender->spool->acquired
              >= NGX_HTTP_LOYALTY_SPOOLER_TURN;
}


void
ngx_http_loyalty_spooler_added(ngx_http_loyalty_sender_t *sender)
{
    ngx_msec_t  soon;

    if (!ngx_http_loyalty_spooler_half(sender)) {
        return;
    }

    soon = ngx_http_loyalty_spooler_urgent(sender)
           ? NGX_HTTP_LOYALTY_SPOOLER_URGENT : NGX_HTTP_LOYALTY_SPOOLER_FAST;

    if ((ngx_msec_int_t) (sender->tick.timer.key - ngx_current_msec)
        <= (ngx_msec_int_t) soon)
    {
        return;
    }

    ngx_del_timer(&sender->tick);
    ngx_add_timer(&sender->tick, soon);
}


/* it was the spooler, or one of its nginx was, and lets another be it */

static ngx_uint_t
ngx_http_loyalty_spooler_rests(ngx_http_loyalty_sender_t *sender)
{
    uint64_t  left;

    left = __atomic_load_n(&sender->spool->ring
                                   ->user[NGX_HTTP_LOYALTY_RING_LEFT],
                           __ATOMIC_ACQUIRE);

    if (left && ngx_current_msec - (ngx_msec_t) left
                < NGX_HTTP_LOYALTY_SPOOLER_REST)
    {
        return 1;
    }

    return sender->rest
           && ngx_current_msec - sender->rest < NGX_HTTP_LOYALTY_SPOOLER_REST;
}


/* there is hardly any room left */

ngx_uint_t
ngx_http_loyalty_spooler_urgent(ngx_http_loyalty_sender_t *sender)
{
    loyalty_ring_t            *ring;
    ngx_http_loyalty_ring_t  **own;

    own = sender->observing->rings.elts;
    ring = own[0]->ring;

    return loyalty_ring_used(ring) * 4 > (int64_t) ring->nslots * 3;
}


static ngx_uint_t
ngx_http_loyalty_spooler_pressed(ngx_http_loyalty_sender_t *sender)
{
    return ngx_http_loyalty_spooler_half(sender)
           || ngx_http_loyalty_spooler_away(sender);
}


/* more than half of the ring is in use */

static ngx_uint_t
ngx_http_loyalty_spooler_half(ngx_http_loyalty_sender_t *sender)
{
    loyalty_ring_t  *ring;

    ring = sender->spool->ring;

    return loyalty_ring_used(ring) * 2 > (int64_t) ring->nslots;
}


/* nobody has been answered for a while */

static ngx_uint_t
ngx_http_loyalty_spooler_away(ngx_http_loyalty_sender_t *sender)
{
    uint64_t                   since;
    ngx_http_loyalty_ring_t  **own;

    own = sender->observing->rings.elts;

    since = __atomic_load_n(&own[0]->ring
                                   ->user[NGX_HTTP_LOYALTY_RING_TROUBLE],
                            __ATOMIC_RELAXED);

    return since != 0
           && (ngx_msec_int_t) (ngx_current_msec - (ngx_msec_t) since)
              >= NGX_HTTP_LOYALTY_SENDER_AWAY;
}


/* this one has not, but others have */

static ngx_uint_t
ngx_http_loyalty_spooler_alone(ngx_http_loyalty_sender_t *sender)
{
    return sender->failures
           && ngx_current_msec - sender->trouble
              >= NGX_HTTP_LOYALTY_SENDER_AWAY
           && !ngx_http_loyalty_spooler_away(sender);
}


/* another process is the spooler; look: whether it lives is asked anew */

static ngx_uint_t
ngx_http_loyalty_spooler_other(ngx_http_loyalty_sender_t *sender,
    ngx_uint_t look)
{
    uint64_t  pid;

    pid = __atomic_load_n(&sender->spool->ring
                                  ->user[NGX_HTTP_LOYALTY_RING_SPOOLER],
                          __ATOMIC_ACQUIRE);

    if (pid == 0 || pid == (uint64_t) ngx_pid) {
        return 0;
    }

    if (look || pid != sender->spooler) {
        sender->spooler = pid;
        sender->spooling = !(kill((ngx_pid_t) pid, 0) == -1
                             && ngx_errno == ESRCH);
    }

    return sender->spooling;
}


ngx_uint_t
ngx_http_loyalty_spooler_first(ngx_http_loyalty_sender_t *sender)
{
    if (sender->spool == NULL) {
        return 0;
    }

    if (ngx_http_loyalty_spool_mine(sender->spool)) {
        return ngx_http_loyalty_spool_first(sender->spool);
    }

    return __atomic_load_n(&sender->spool->ring
                                   ->user[NGX_HTTP_LOYALTY_RING_FIRST],
                           __ATOMIC_ACQUIRE)
           != 0
           && ngx_http_loyalty_spooler_other(sender, 0);
}


/* there may be files of an earlier nginx, or of one that was killed */

static ngx_uint_t
ngx_http_loyalty_spooler_wanted(ngx_http_loyalty_sender_t *sender,
    ngx_uint_t pressed)
{
    ngx_http_loyalty_spool_t  *spool;

    spool = sender->spool;

    if (ngx_http_loyalty_spool_mine(spool)
        || ngx_http_loyalty_spooler_rests(sender)
        || ngx_http_loyalty_store_waits(spool))
    {
        return 0;
    }

    if (pressed || spool->ring->user[NGX_HTTP_LOYALTY_RING_BYTES] != 0) {
        return 1;
    }

    if (spool->known
        && ngx_current_msec - spool->looked < NGX_HTTP_LOYALTY_SPOOLER_LOOK)
    {
        return 0;
    }

    return ngx_http_loyalty_spool_look(spool);
}


static void
ngx_http_loyalty_spooler_become(ngx_http_loyalty_sender_t *sender)
{
    ngx_http_loyalty_spool_t  *spool;

    if (sender->records == NULL) {
        sender->records = ngx_alloc(NGX_HTTP_LOYALTY_WINDOW * LOYALTY_RECORD,
                                    sender->log);
        if (sender->records == NULL) {
            return;
        }
    }

    spool = sender->spool;

    if (ngx_http_loyalty_spool_acquire(spool) == NGX_DECLINED
        && !spool->foreign
        && !(spool->failing
             && ngx_current_msec - spool->failed
                < NGX_HTTP_LOYALTY_SPOOL_AGAIN)
        && spool->ring->user[NGX_HTTP_LOYALTY_RING_SPOOL_FULL] == 0
        && ngx_http_loyalty_spooler_half(sender))
    {
        ngx_http_loyalty_spool_ask(spool);
    }
}


/* others have the spool at once; what of it is under way comes to nothing
   here */

void
ngx_http_loyalty_spooler_leave(ngx_http_loyalty_sender_t *sender)
{
    ngx_queue_t                 *q, *next;
    ngx_http_loyalty_sending_t  *sending;

    if (!ngx_http_loyalty_spool_mine(sender->spool)) {
        return;
    }

    for (q = ngx_queue_head(&sender->sent);
         q != ngx_queue_sentinel(&sender->sent);
         q = next)
    {
        next = ngx_queue_next(q);
        sending = ngx_queue_data(q, ngx_http_loyalty_sending_t, queue);

        if (sending->backlog != NULL) {
            continue;
        }

        if (sending->flying) {
            sending->number = 0;
            sending->aside = 0;

        } else {
            ngx_http_loyalty_sender_drop(sending);
        }
    }

    ngx_http_loyalty_spool_release(sender->spool);

    sender->rest = ngx_current_msec;
}


static void
ngx_http_loyalty_spooler_adopt(ngx_http_loyalty_sender_t *sender)
{
    ngx_uint_t  i;

    for (i = 0; i < sender->nbacklogs; i++) {
        ngx_http_loyalty_backlog_adopt(&sender->backlogs[i], 0);
    }
}
