/*
 * Redis inside the event loop: a few connections per worker and program,
 * many requests multiplexed on each, one write per turn of the event loop.
 *
 * An operation is one command and one reply.  Its slot in the connection's
 * queue outlives the request that asked: a caller that goes away detaches,
 * and the reply is read and dropped.
 */

#ifndef _NGX_HTTP_LOYALTY_REDIS_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_REDIS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_loyalty_program.h"


typedef enum {
    NGX_HTTP_LOYALTY_INTERACTIVE = 0,
    NGX_HTTP_LOYALTY_BULK,
    NGX_HTTP_LOYALTY_LANES
} ngx_http_loyalty_lane_e;


/*
 * What can be asked of Redis; library.c has the table of functions, in the
 * same order.  Those in front have a latency of their own in the metrics;
 * those behind FNS are counted together as FN_DRAW.
 */

typedef enum {
    NGX_HTTP_LOYALTY_FN_EVENT = 0,
    NGX_HTTP_LOYALTY_FN_REVERSE,
    NGX_HTTP_LOYALTY_FN_HISTORY,
    NGX_HTTP_LOYALTY_GET,                 /* plain GET of keys[0] */
    NGX_HTTP_LOYALTY_FN_OTHER,            /* the layer's own commands */
    NGX_HTTP_LOYALTY_FN_DRAW,             /* never called by this name */
    NGX_HTTP_LOYALTY_FN_ENTER,
    NGX_HTTP_LOYALTY_FN_REDEEM,
    NGX_HTTP_LOYALTY_FN_PLAY,
    NGX_HTTP_LOYALTY_FNS,
    NGX_HTTP_LOYALTY_FN_IMPORT,
    NGX_HTTP_LOYALTY_FN_ADJUST,
    NGX_HTTP_LOYALTY_FN_GRANT,
    NGX_HTTP_LOYALTY_FN_ERASE,
    NGX_HTTP_LOYALTY_FN_NOTE,
    NGX_HTTP_LOYALTY_FN_ONCE,
    NGX_HTTP_LOYALTY_FN_STORE,
    NGX_HTTP_LOYALTY_FN_LEFT,
    NGX_HTTP_LOYALTY_FN_SWEEPSTAKES,
    NGX_HTTP_LOYALTY_FN_CLOSING,
    NGX_HTTP_LOYALTY_FN_SLICE,
    NGX_HTTP_LOYALTY_FN_COVERED,
    NGX_HTTP_LOYALTY_FN_CLOSED,
    NGX_HTTP_LOYALTY_FN_WAITING,
    NGX_HTTP_LOYALTY_FN_OWNERS,
    NGX_HTTP_LOYALTY_FN_DRAWN,
    NGX_HTTP_LOYALTY_FN_WINNERS,
    NGX_HTTP_LOYALTY_FN_CLAIM,
    NGX_HTTP_LOYALTY_FN_DISQUALIFY,
    NGX_HTTP_LOYALTY_FN_AGAIN,
    NGX_HTTP_LOYALTY_FN_FRESH,
    NGX_HTTP_LOYALTY_FN_UNCLAIMED,
    NGX_HTTP_LOYALTY_FN_MOMENTS,
    NGX_HTTP_LOYALTY_FN_CAMPAIGN,
    NGX_HTTP_LOYALTY_FN_REGISTER,
    NGX_HTTP_LOYALTY_FN_STAMPED,
    NGX_HTTP_LOYALTY_FN_OVER,
    NGX_HTTP_LOYALTY_FN_REVEAL,
    NGX_HTTP_LOYALTY_FN_TREE,
    NGX_HTTP_LOYALTY_FN_HEAD,
    NGX_HTTP_LOYALTY_FN_USED,
    NGX_HTTP_LOYALTY_FN_PUBLISH,
    NGX_HTTP_LOYALTY_FN_PAUSE,
    NGX_HTTP_LOYALTY_FN_PIECE,
    NGX_HTTP_LOYALTY_FN_FIELDS,
    NGX_HTTP_LOYALTY_FN_LEASE,
    NGX_HTTP_LOYALTY_FN_GAMES,
    NGX_HTTP_LOYALTY_FN_GAME,
    NGX_HTTP_LOYALTY_FN_LENGTHS,
    NGX_HTTP_LOYALTY_FN_EVIDENCE,
    NGX_HTTP_LOYALTY_FN_LINE,
    NGX_HTTP_LOYALTY_FN_OPEN,
    NGX_HTTP_LOYALTY_FN_PENDING,
    NGX_HTTP_LOYALTY_FN_FORGET,
    NGX_HTTP_LOYALTY_FN_PLAY_RESERVE,
    NGX_HTTP_LOYALTY_FN_PLAY_DRAW,
    NGX_HTTP_LOYALTY_FN_PLAY_SETTLE,
    NGX_HTTP_LOYALTY_FN_ENTER_RESERVE,
    NGX_HTTP_LOYALTY_FN_ENTER_DRAW,
    NGX_HTTP_LOYALTY_FN_ENTER_SETTLE
} ngx_http_loyalty_fn_e;


typedef enum {
    NGX_HTTP_LOYALTY_REPLY = 0,           /* reply is what Redis said */
    NGX_HTTP_LOYALTY_UNAVAILABLE,         /* nothing was sent: 503 */
    NGX_HTTP_LOYALTY_BUSY,                /* a cap was reached: 503 */
    NGX_HTTP_LOYALTY_UNKNOWN,             /* sent, no reply: 504 */
    NGX_HTTP_LOYALTY_FAILED               /* Redis answered an error that
                                             nothing here mends; logged */
} ngx_http_loyalty_status_e;


/*
 * A reply, flattened: a bulk or status string is one value; an array of
 * strings (one level) is several.  Integers are given as text.  nil has a
 * NULL data.  It is valid until the handler returns.
 */

typedef struct {
    ngx_uint_t                        n;
    ngx_str_t                        *values;
    unsigned                          array:1;
} ngx_http_loyalty_reply_t;


typedef struct ngx_http_loyalty_op_s  ngx_http_loyalty_op_t;

typedef void (*ngx_http_loyalty_op_handler_pt)(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);


/*
 * Sends fn(keys, arg) on the lane's connection of this partition.  keys and
 * arg are copied.  The handler is called exactly once, never from within
 * this call (a posted event runs it), unless the operation is detached
 * first.  NULL: no memory or a cap; the handler will not be called.
 * status then tells which (BUSY, UNAVAILABLE).
 *
 * arg is not used by GET.
 */
ngx_http_loyalty_op_t *ngx_http_loyalty_redis_call(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_lane_e lane,
    ngx_uint_t partition, ngx_http_loyalty_fn_e fn, ngx_uint_t nkeys,
    ngx_str_t *keys, ngx_str_t *arg, ngx_http_loyalty_op_handler_pt handler,
    void *data, ngx_http_loyalty_status_e *status);

void ngx_http_loyalty_redis_detach(ngx_http_loyalty_op_t *op);

/* in words why the store is weaker than the program asks for, as the newest
   connection found it; NULL: it is not, or "unsafe_store on" */
const char *ngx_http_loyalty_redis_unsafe(
    ngx_http_loyalty_program_t *program);


/* bytes that a reply which is cut into pages may have: far from max_reply=, as
   a larger one ends the connection for all */
size_t ngx_http_loyalty_redis_page(ngx_http_loyalty_program_t *program);


/* 4 bytes: which Redis the program is in, and which of its databases */
void ngx_http_loyalty_redis_store(ngx_http_loyalty_program_t *program,
    u_char *hash);


/* ---- for program/ and the module ---- */

/* in loyalty_program: redis, durability, unsafe_store, ...: its own private
   module's command table */
extern ngx_module_t  ngx_http_loyalty_redis_module;

/* defaults and checks when loyalty_program is closed */
ngx_int_t ngx_http_loyalty_redis_init(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program);

/* from the module's init_main_conf, when all of http {} is read: a host name
   needs a resolver, which may be written behind the program */
ngx_int_t ngx_http_loyalty_redis_check(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program);

/* from the module's init_process and exit_process, per program */
ngx_int_t ngx_http_loyalty_redis_init_process(ngx_cycle_t *cycle,
    ngx_http_loyalty_program_t *program);
void ngx_http_loyalty_redis_exit_process(ngx_cycle_t *cycle,
    ngx_http_loyalty_program_t *program);


#endif /* _NGX_HTTP_LOYALTY_REDIS_H_INCLUDED_ */
