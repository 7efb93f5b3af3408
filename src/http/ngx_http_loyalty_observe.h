/*
 * What the files of observing share.
 *
 *     observe_conf.c, observe_check.c    the directives
 *     observe.c        the module
 *     observe_log.c    a request that ends becomes an event in the ring
 *     ring.c           where the ring comes from, and what outlives a reload
 *     backlog.c        what of it is a worker's own
 *     sender.c         from the ring to Redis
 *     spooler.c, mover.c    from the ring to the spool
 *     spool.c, spool_write.c, replay.c    its files
 *     spool_store.c    which Redis they are for
 *     spool_left.c     those that nobody sends
 *     observed.c       a record as a call
 *
 * A worker has one sender for each observed program.  An event is in the ring
 * from the request's log phase until Redis has answered.
 */

#ifndef _NGX_HTTP_LOYALTY_OBSERVE_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_OBSERVE_H_INCLUDED_


#include "ngx_http_loyalty_event.h"
#include "ngx_http_loyalty_spool.h"
#include "loyalty_observed.h"
#include "loyalty_ring.h"


/* why an event is not credited; in the order of the counters */

typedef enum {
    NGX_HTTP_LOYALTY_REFUSE_NO_MEMBER = 0,
    NGX_HTTP_LOYALTY_REFUSE_NO_ID,
    NGX_HTTP_LOYALTY_REFUSE_MEMBER,
    NGX_HTTP_LOYALTY_REFUSE_ID,
    NGX_HTTP_LOYALTY_REFUSE_AMOUNT,
    NGX_HTTP_LOYALTY_REFUSE_QUANTITY,
    NGX_HTTP_LOYALTY_REFUSE_TEXT,
    NGX_HTTP_LOYALTY_REFUSE_TOO_LARGE,
    NGX_HTTP_LOYALTY_REFUSE_TOO_OLD,
    NGX_HTTP_LOYALTY_REFUSE_CONFLICT,
    NGX_HTTP_LOYALTY_REFUSE_LIMIT,
    NGX_HTTP_LOYALTY_REFUSE_FAILED,
    NGX_HTTP_LOYALTY_REFUSE_DAMAGED,
    NGX_HTTP_LOYALTY_REFUSE_RING_FULL,
    NGX_HTTP_LOYALTY_REFUSE_SPOOL_FULL,
    NGX_HTTP_LOYALTY_REFUSALS
} ngx_http_loyalty_refusal_e;


/* words that the ring keeps for us: who has the spool, what is in it, whether
   that comes first; since when nobody has been answered; when each refusal was
   last logged, and how many were not since; the name of the Redis, 4 words;
   when the spool was left to another nginx */

#define NGX_HTTP_LOYALTY_RING_SPOOLER     0
#define NGX_HTTP_LOYALTY_RING_BYTES       1
#define NGX_HTTP_LOYALTY_RING_SPOOL_FULL  2
#define NGX_HTTP_LOYALTY_RING_FIRST       3
#define NGX_HTTP_LOYALTY_RING_TROUBLE     4
#define NGX_HTTP_LOYALTY_RING_TOLD        5       /* that they wait */
#define NGX_HTTP_LOYALTY_RING_LOGGED      6
#define NGX_HTTP_LOYALTY_RING_SILENT                                          \
    (NGX_HTTP_LOYALTY_RING_LOGGED + NGX_HTTP_LOYALTY_REFUSALS)
#define NGX_HTTP_LOYALTY_RING_STORE                                           \
    (NGX_HTTP_LOYALTY_RING_SILENT + NGX_HTTP_LOYALTY_REFUSALS)
#define NGX_HTTP_LOYALTY_RING_LEFT                                            \
    (NGX_HTTP_LOYALTY_RING_STORE + 4)


/* a "data." parameter */

typedef struct {
    ngx_str_t                     name;
    ngx_http_complex_value_t      value;
} ngx_http_loyalty_observe_data_t;


typedef struct {
    ngx_uint_t                    first;
    ngx_uint_t                    last;
} ngx_http_loyalty_statuses_t;


/* one loyalty_observe */

typedef struct {
    ngx_str_t                     name;           /* of the program */
    ngx_http_loyalty_program_t   *program;
    ngx_str_t                     type;
    ngx_http_complex_value_t     *member;
    ngx_http_complex_value_t     *id;
    ngx_http_complex_value_t     *amount;
    ngx_http_complex_value_t     *quantity;
    ngx_http_complex_value_t     *channel;
    ngx_http_complex_value_t     *partner;
    ngx_http_complex_value_t     *filter;         /* if= */
    ngx_array_t                   data;           /* of _observe_data_t */
    ngx_array_t                   statuses;       /* of _statuses_t */
    ngx_str_t                     if_status;      /* as written */
    ngx_array_t                   captures;       /* _variable_t *, of match
                                                     lines of this type */
    void                         *conf;           /* of its location */
    ngx_http_loyalty_place_t      place;
} ngx_http_loyalty_observe_t;


typedef struct {
    ngx_array_t                  *rules;          /* of _observe_t *, or
                                                     NULL */
} ngx_http_loyalty_observe_conf_t;


/* a ring of a program: its own, or one of an earlier configuration */

typedef struct {
    ngx_str_t                     zone;
    ngx_str_t                     program;
    size_t                        size;
    loyalty_ring_t               *ring;           /* NULL: nginx -t */
    unsigned                      carried:1;      /* an earlier one's */
} ngx_http_loyalty_ring_t;


typedef struct {
    ngx_array_t                   rules;          /* of _observe_t *, all */
    ngx_array_t                   observing;      /* of _observing_t * */
    ngx_array_t                   orphans;        /* of _ring_t *: rings of
                                                     programs that are gone */
    ngx_str_t                     zone;
    size_t                        size;
    ngx_http_loyalty_place_t      place;          /* of loyalty_ring */
    ngx_http_loyalty_spool_conf_t *spool;         /* NULL: there is none */
} ngx_http_loyalty_observe_main_conf_t;


typedef struct ngx_http_loyalty_sender_s  ngx_http_loyalty_sender_t;

struct ngx_http_loyalty_observing_s {
    ngx_http_loyalty_program_t   *program;
    ngx_array_t                   rings;          /* of _ring_t *: its own,
                                                     then carried ones */
    ngx_http_loyalty_spool_conf_t *spool;         /* NULL: there is none */
    ngx_http_loyalty_sender_t    *sender;         /* the worker's */
};


extern ngx_module_t  ngx_http_loyalty_observe_module;


/* ---- observe_conf.c ---- */

char *ngx_http_loyalty_observe_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_ring_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_spool_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* a parameter with a text of its own in _observe_t; name.len 0: the end */

typedef struct {
    ngx_str_t                     name;           /* with its "=" */
    size_t                        offset;
} ngx_http_loyalty_observe_param_t;

extern const ngx_http_loyalty_observe_param_t
    ngx_http_loyalty_observe_params[];


/* ---- observe_check.c ---- */

/* when all of http {} is read */
ngx_int_t ngx_http_loyalty_observe_check(ngx_conf_t *cf,
    ngx_http_loyalty_observe_main_conf_t *omcf);

ngx_uint_t ngx_http_loyalty_observe_same(ngx_str_t *one, ngx_str_t *two);


/* ---- observe_log.c ---- */

ngx_int_t ngx_http_loyalty_observe_handler(ngx_http_request_t *r);

/* requests that have been answered and will not come to the log phase, for
   the process ends */
void ngx_http_loyalty_observe_answered(ngx_cycle_t *cycle);


/* ---- observe.c ---- */

/*
 * Counts a refusal; 1: it is to be logged, and *silent others were not.  At
 * most one line a second is logged for each reason, of all workers.
 */
ngx_uint_t ngx_http_loyalty_refused(ngx_http_loyalty_observing_t *observing,
    ngx_http_loyalty_refusal_e refusal, ngx_uint_t *silent);

/* the name that the metrics give it */
const char *ngx_http_loyalty_refusal(ngx_http_loyalty_refusal_e refusal);

/* a text of anybody's for the log: without what could break the line, and cut;
   buf has NGX_HTTP_LOYALTY_SHOWN bytes and is where the text then is */

#define NGX_HTTP_LOYALTY_SHOWN  80

void ngx_http_loyalty_show(ngx_str_t *text, u_char *buf);


/* ---- ring.c ---- */

/* the rings of all that is observed, and those that go on from before */
ngx_int_t ngx_http_loyalty_rings(ngx_conf_t *cf,
    ngx_http_loyalty_observe_main_conf_t *omcf);

/* when a process ends that nobody follows: what is left in the rings goes to
   the spool, or is lost, which is said */
void ngx_http_loyalty_rings_end(ngx_cycle_t *cycle,
    ngx_http_loyalty_observe_main_conf_t *omcf);

/* slots there are, and slots in use, of all rings of a program */
void ngx_http_loyalty_rings_count(ngx_http_loyalty_program_t *program,
    ngx_atomic_int_t *slots, ngx_atomic_int_t *used);

/* bytes in the program's spool, as they were last told */
ngx_atomic_int_t ngx_http_loyalty_spool_bytes(
    ngx_http_loyalty_program_t *program);


/* ---- spool_left.c ---- */

/* says which files of a spool nobody sends; before: of the configuration that
   this one follows, or NULL */
void ngx_http_loyalty_spool_left(ngx_cycle_t *cycle,
    ngx_http_loyalty_observe_main_conf_t *omcf,
    ngx_http_loyalty_observe_main_conf_t *before);


/* ---- observed.c ---- */

/*
 * Sends the event of a payload; handler is then called as redis/ says.
 * NGX_OK: *op is under way.  NGX_AGAIN: nothing was sent, and *status says
 * why.  NGX_DECLINED: it never can be, for that reason.
 */
ngx_int_t ngx_http_loyalty_observed_send(ngx_http_loyalty_program_t *program,
    loyalty_record_t *record, ngx_http_loyalty_op_handler_pt handler,
    void *data, ngx_http_loyalty_op_t **op,
    ngx_http_loyalty_status_e *status, ngx_http_loyalty_refusal_e *refusal);

/* what was said of an event: NGX_OK; NGX_DECLINED for that reason; NGX_AGAIN:
   nothing, it has to be sent anew; NGX_ERROR: what this version does not
   understand */
ngx_int_t ngx_http_loyalty_observed_reply(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_reply_t *reply, ngx_http_loyalty_refusal_e *refusal);

/* and what a new one was awarded in vain: it is counted, and logged */
void ngx_http_loyalty_observed_awarded(ngx_http_loyalty_program_t *program,
    loyalty_record_t *record, ngx_http_loyalty_reply_t *reply,
    ngx_log_t *log);


/* ---- backlog.c ---- */

/* slots of one ring that are ours and wait to be sent */

typedef struct {
    ngx_http_loyalty_ring_t      *ring;
    ngx_log_t                    *log;
    uint32_t                     *next;           /* of each slot */
    uint32_t                      first;
    uint32_t                      last;
} ngx_http_loyalty_backlog_t;

ngx_int_t ngx_http_loyalty_backlog_init(ngx_cycle_t *cycle,
    ngx_http_loyalty_backlog_t *backlog, ngx_http_loyalty_ring_t *ring);

/* adds what is left of processes that are gone; start: also of one that had
   our process id */
void ngx_http_loyalty_backlog_adopt(ngx_http_loyalty_backlog_t *backlog,
    ngx_uint_t start);

void ngx_http_loyalty_backlog_put(ngx_http_loyalty_backlog_t *backlog,
    uint32_t slot);

/* NGX_DECLINED: it is empty */
ngx_int_t ngx_http_loyalty_backlog_take(ngx_http_loyalty_backlog_t *backlog,
    uint32_t *slot);

/* the number of the first one, 0: it is empty */
uint64_t ngx_http_loyalty_backlog_first(ngx_http_loyalty_backlog_t *backlog);

/* n slots, in the order of their numbers, each to its place */
void ngx_http_loyalty_backlog_merge(ngx_http_loyalty_backlog_t *backlog,
    ngx_http_loyalty_slot_t *slots, ngx_uint_t n);

/*
 * Slots of processes that are gone become ours, in order; start: those of one
 * that had our process id, too.  Returns how many there are in *slots, which
 * the caller frees, if any; *dead of them had an owner.
 */
ngx_uint_t ngx_http_loyalty_ring_adopt(loyalty_ring_t *ring, ngx_log_t *log,
    ngx_uint_t start, ngx_http_loyalty_slot_t **slots, ngx_uint_t *dead);


/* ---- sender.c ---- */

ngx_int_t ngx_http_loyalty_sender_init(ngx_cycle_t *cycle,
    ngx_http_loyalty_observing_t *observing);

void ngx_http_loyalty_sender_exit(ngx_http_loyalty_observing_t *observing);

/* a slot of the program's own ring is published */
void ngx_http_loyalty_sender_add(ngx_http_loyalty_sender_t *sender,
    size_t slot);

/* where to look for a free one */
size_t *ngx_http_loyalty_sender_hint(ngx_http_loyalty_sender_t *sender);


#endif /* _NGX_HTTP_LOYALTY_OBSERVE_H_INCLUDED_ */
