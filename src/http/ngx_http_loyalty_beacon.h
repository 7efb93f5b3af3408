/*
 * The beacon of a program: rounds of drand quicknet, fetched from relays by
 * one worker of this nginx, read by all.
 *
 * Rounds are kept in shared memory: the newest ones, and those that somebody
 * wants in particular.  A round is held once and never changes.  It is held
 * when its BLS signature was verified (where the module was built with blst),
 * or two relays agree on it, or the operator put it there by hand.
 */

#ifndef _NGX_HTTP_LOYALTY_BEACON_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_BEACON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_loyalty_program.h"


#define NGX_HTTP_LOYALTY_BEACON_SIG   48          /* bytes of a signature */
#define NGX_HTTP_LOYALTY_BEACON_B     32          /* of a round's randomness */


/* ---- while the configuration is read ---- */

/* in loyalty_program: beacon */
extern ngx_module_t  ngx_http_loyalty_beacon_module;

/* whether the program has a beacon; known when its block has been read */
#define ngx_http_loyalty_beacon_given(program)  ((program)->beacon != NULL)

/*
 * Every round that comes out from "from" until "until" (ms since 1970) is
 * needed as soon as it is there: an instant win between its open and its
 * close.  From a game's init.  NGX_OK also without a beacon.
 */
ngx_int_t ngx_http_loyalty_beacon_follow(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, int64_t from, int64_t until);


/* ---- in a worker ---- */

typedef enum {
    NGX_HTTP_LOYALTY_BEACON_RELAYS = 1,   /* two relays agreed */
    NGX_HTTP_LOYALTY_BEACON_BLS,          /* the signature was verified */
    NGX_HTTP_LOYALTY_BEACON_ADMIN         /* put there by hand */
} ngx_http_loyalty_beacon_source_e;

typedef struct {
    uint64_t                          round;
    u_char                            sig[NGX_HTTP_LOYALTY_BEACON_SIG];
    u_char                            b[NGX_HTTP_LOYALTY_BEACON_B];
    ngx_uint_t                        source;
} ngx_http_loyalty_round_t;

/*
 * NGX_OK: round is filled in.  NGX_AGAIN: it has not come out yet, or only
 * just; ask again.  NGX_DECLINED: it came out 10 s ago or more and is not
 * here: the beacon is late or away, or nobody asked for this round.
 * NGX_ERROR: the program has no beacon.
 */
ngx_int_t ngx_http_loyalty_beacon_round(ngx_http_loyalty_program_t *program,
    uint64_t number, ngx_http_loyalty_round_t *round);

/* the newest round that is held: NGX_OK, or NGX_DECLINED: none is */
ngx_int_t ngx_http_loyalty_beacon_newest(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_round_t *round);

/*
 * A round that will be needed, now or in months: fetched when it has come
 * out and kept.  It may be called again and again.  NGX_OK; NGX_DECLINED: so
 * many rounds are wanted and not there that there is no place for one more.
 * Shared memory outlives workers and reloads, not nginx itself: who wants a
 * round says so again when it finds it missing.
 */
ngx_int_t ngx_http_loyalty_beacon_want(ngx_http_loyalty_program_t *program,
    uint64_t number);

/*
 * A round by hand.  NGX_OK: it is held now, or was held just so.  NGX_AGAIN:
 * it has not come out yet.  NGX_DECLINED: the round is held with another
 * signature, and keeps it.  NGX_ABORT: the signature is wrong (where the
 * module can tell).  NGX_BUSY: no place for it.  NGX_ERROR: no beacon.
 */
ngx_int_t ngx_http_loyalty_beacon_put(ngx_http_loyalty_program_t *program,
    uint64_t number, const u_char *sig);


typedef struct {
    uint64_t                          newest;     /* round, 0: none */
    int64_t                           age;        /* ms since it came out */
    ngx_uint_t                        source;     /* of the newest one */
    ngx_uint_t                        held;
    ngx_uint_t                        wanted;     /* and not there */
    ngx_uint_t                        relays;     /* in the configuration */
    ngx_uint_t                        failing;    /* relays, at last try */
    ngx_pid_t                         pid;        /* who fetches, 0: nobody */
} ngx_http_loyalty_beacon_status_t;

/* NGX_OK, or NGX_DECLINED: the program has no beacon */
ngx_int_t ngx_http_loyalty_beacon_status(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_beacon_status_t *status);


/* ---- for program/ and the module ---- */

/* from init_main_conf: the shared memory, the resolver */
ngx_int_t ngx_http_loyalty_beacon_check(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program);

ngx_int_t ngx_http_loyalty_beacon_init_process(ngx_cycle_t *cycle,
    ngx_http_loyalty_program_t *program);
void ngx_http_loyalty_beacon_exit_process(
    ngx_http_loyalty_program_t *program);


#endif /* _NGX_HTTP_LOYALTY_BEACON_H_INCLUDED_ */
