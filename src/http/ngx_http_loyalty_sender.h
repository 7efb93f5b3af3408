/*
 * A worker's sender, as the files that make it up see it: sender.c sends,
 * spooler.c sees to what cannot be sent, mover.c moves that.
 */

#ifndef _NGX_HTTP_LOYALTY_SENDER_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_SENDER_H_INCLUDED_


#include "ngx_http_loyalty_observe.h"


#define NGX_HTTP_LOYALTY_SENDER_AWAY  1000        /* ms until Redis is */


/* an event under way, or one that has come back */

typedef struct {
    ngx_queue_t                   queue;          /* in the order of sending,
                                                     or free */
    ngx_http_loyalty_sender_t    *sender;
    ngx_http_loyalty_backlog_t   *backlog;        /* NULL: of the spool */
    uint32_t                      slot;           /* in the ring */
    uint64_t                      number;         /* of a file of the spool */
    u_char                       *record;         /* where it then is */
    size_t                        size;
    ngx_uint_t                    tries;
    ngx_uint_t                    answers;        /* of others, by then */
    ngx_msec_t                    due;            /* when it is set aside */
    unsigned                      flying:1;
    unsigned                      aside:1;
} ngx_http_loyalty_sending_t;


struct ngx_http_loyalty_sender_s {
    ngx_http_loyalty_observing_t *observing;
    ngx_log_t                    *log;
    size_t                        hint;
    ngx_http_loyalty_spool_t     *spool;          /* NULL: there is none */
    u_char                       *records;        /* of the spool, one for each
                                                     of sending */

    ngx_uint_t                    nbacklogs;
    ngx_http_loyalty_backlog_t   *backlogs;       /* as the rings */

    ngx_queue_t                   sent;
    ngx_queue_t                   free;
    ngx_uint_t                    back;           /* of sent, not flying */
    ngx_http_loyalty_sending_t    sending[NGX_HTTP_LOYALTY_WINDOW];

    ngx_event_t                   go;             /* posted */
    ngx_event_t                   pause;
    ngx_event_t                   tick;

    ngx_uint_t                    answers;
    ngx_uint_t                    failures;       /* since the last answer */
    ngx_msec_t                    trouble;        /* since when */
    ngx_msec_t                    rest;           /* since when another may be
                                                     the spooler, or 0 */
    uint64_t                      spooler;        /* the last one seen */
    uint64_t                      drained;        /* up to this number, the
                                                     ring is to be */
    unsigned                      spooling:1;     /* which lives */
    unsigned                      draining:1;
    unsigned                      holding:1;      /* nothing is sent from the
                                                     ring: it is moved */
};


/* ---- sender.c ---- */

/* sends what can be sent now */
void ngx_http_loyalty_sender_go(ngx_event_t *ev);

/* Redis does not answer: the next attempt is in a while */
void ngx_http_loyalty_sender_wait(ngx_http_loyalty_sender_t *sender);

/* the record of what is sent: as loyalty_ring_read() */
ngx_int_t ngx_http_loyalty_sender_record(ngx_http_loyalty_sending_t *sending,
    loyalty_record_t *record);

/* it is not to be sent, for now; its slot or its file stays as it is */
void ngx_http_loyalty_sender_drop(ngx_http_loyalty_sending_t *sending);


/* ---- spooler.c ---- */

ngx_int_t ngx_http_loyalty_spooler_init(ngx_cycle_t *cycle,
    ngx_http_loyalty_sender_t *sender);

/* once in a while, and often when there is something to do */
void ngx_http_loyalty_spooler_tick(ngx_event_t *ev);

/* the spool is not ours any more */
void ngx_http_loyalty_spooler_leave(ngx_http_loyalty_sender_t *sender);

/* an event was added: it may be time to look */
void ngx_http_loyalty_spooler_added(ngx_http_loyalty_sender_t *sender);

/* the spool comes first: nothing is sent from the ring */
ngx_uint_t ngx_http_loyalty_spooler_first(ngx_http_loyalty_sender_t *sender);

/* there is hardly any room left in the ring */
ngx_uint_t ngx_http_loyalty_spooler_urgent(ngx_http_loyalty_sender_t *sender);


/* ---- mover.c ---- */

/* all slots that are ours are anybody's */
void ngx_http_loyalty_mover_offer(ngx_http_loyalty_sender_t *sender);

/* from the ring to the spool, which is ours, as much as there is time for */
void ngx_http_loyalty_mover_move(ngx_http_loyalty_sender_t *sender);


/* ---- spool_store.c ---- */

/* the files that are there are ours from now on; NGX_DECLINED: they are those
   of another Redis */
ngx_int_t ngx_http_loyalty_store_acquired(ngx_http_loyalty_spool_t *spool);

/* there is a new file; and, when none is left, there is nobody's */
void ngx_http_loyalty_store_opened(ngx_http_loyalty_spool_t *spool);
void ngx_http_loyalty_store_released(ngx_http_loyalty_spool_t *spool);

/* the same when a process ends that nobody follows: before a file is made;
   files: whether there are others */
ngx_int_t ngx_http_loyalty_store_save(ngx_http_loyalty_spool_conf_t *conf,
    ngx_str_t *program, ngx_uint_t files, loyalty_ring_t *ring,
    ngx_log_t *log);

/* they were another's a moment ago */
ngx_uint_t ngx_http_loyalty_store_waits(ngx_http_loyalty_spool_t *spool);

/* what is in our spool may be sent; if not, Redis is asked for its name, and
   the sender goes on when it is known */
ngx_uint_t ngx_http_loyalty_store_verified(ngx_http_loyalty_sender_t *sender);

/* asks when nobody has heard of it, or of the right one */
void ngx_http_loyalty_store_look(ngx_http_loyalty_sender_t *sender);


#endif /* _NGX_HTTP_LOYALTY_SENDER_H_INCLUDED_ */
