/*
 * What the files of the beacon share.
 */

#ifndef _NGX_HTTP_LOYALTY_BEACON_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_BEACON_PRIVATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_beacon.h"
#include "ngx_http_loyalty_fetch.h"
#include "ngx_http_loyalty_stats.h"
#include "loyalty_beacon.h"
#include "loyalty_bls.h"


#define NGX_HTTP_LOYALTY_BEACON_RELAYS_MAX  8
#define NGX_HTTP_LOYALTY_BEACON_JOBS        32    /* rounds under way */


/* times when rounds are needed as they come out, ms */

typedef struct {
    int64_t                           from;
    int64_t                           until;
} ngx_http_loyalty_follow_t;


/* in shared memory, under the zone's mutex */

typedef struct {
    ngx_pid_t                         pid;        /* who fetches, 0: nobody */
    ngx_msec_t                        expires;
    ngx_uint_t                        failing;    /* relays */
    loyalty_beacons_t                 table;
} ngx_http_loyalty_beacon_shm_t;


/* what a relay has said about a round */

typedef enum {
    NGX_HTTP_LOYALTY_VOTE_NONE = 0,
    NGX_HTTP_LOYALTY_VOTE_GIVEN,
    NGX_HTTP_LOYALTY_VOTE_BAD                     /* not one to be used */
} ngx_http_loyalty_vote_e;

typedef struct {
    ngx_uint_t                        state;
    ngx_msec_t                        again;      /* not before; 0: at once */
    u_char                            sig[LOYALTY_BEACON_SIG];
} ngx_http_loyalty_vote_t;


/* a round that is being fetched */

typedef struct {
    uint64_t                          round;      /* 0: free */
    ngx_uint_t                        needed;     /* still, at the last look */
    ngx_uint_t                        disagreed;  /* it has been counted */
    ngx_http_loyalty_vote_t           votes[
                                         NGX_HTTP_LOYALTY_BEACON_RELAYS_MAX];
} ngx_http_loyalty_job_t;


typedef struct {
    ngx_http_loyalty_beacon_t        *beacon;
    ngx_http_loyalty_url_t           *url;

    /* in the worker that fetches */
    ngx_http_loyalty_fetch_t         *fetch;
    uint64_t                          round;      /* that fetch's */
    ngx_uint_t                        failures;   /* in a row */
    ngx_msec_t                        again;      /* not before */
    ngx_msec_t                        told;       /* when it was logged */
    ngx_msec_t                        lacked;     /* the same of a round that
                                                     it should have */
} ngx_http_loyalty_relay_t;


/* a worker's */

typedef struct {
    ngx_event_t                       tick;
    ngx_uint_t                        leads;
    ngx_msec_t                        disagreed;  /* when it was logged */
    uint64_t                          rounds[NGX_HTTP_LOYALTY_BEACON_JOBS];
                                                  /* needed, in this order */
    ngx_uint_t                        nrounds;
    ngx_http_loyalty_job_t            jobs[NGX_HTTP_LOYALTY_BEACON_JOBS];
    ngx_http_loyalty_round_t          cache[LOYALTY_BEACON_RECENT];
} ngx_http_loyalty_beacon_worker_t;


struct ngx_http_loyalty_beacon_s {
    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_http_loyalty_program_t       *program;
    ngx_http_loyalty_beacon_worker_t *worker;     /* NULL in the master */
    ngx_shm_zone_t                   *zone;
    ngx_int_t                         ident;

    ngx_http_loyalty_beacon_shm_t    *shm;
    ngx_slab_pool_t                  *shpool;

    ngx_uint_t                        nrelays;
    ngx_http_loyalty_relay_t          relays[
                                         NGX_HTTP_LOYALTY_BEACON_RELAYS_MAX];
    ngx_uint_t                        quorum;     /* relays that have to agree,
                                                     1: verified instead */
    ngx_msec_t                        timeout;
    ngx_str_t                         tls_ca;
    ngx_flag_t                        always;     /* follow=on */
    ngx_array_t                       follows;    /* of _follow_t */
    ngx_http_loyalty_place_t          place;
};


/* what loyalty_beacons_put() says; NGX_ERROR: libcrypto failed */
ngx_int_t ngx_http_loyalty_beacon_keep(ngx_http_loyalty_beacon_t *beacon,
    uint64_t round, const u_char *sig, ngx_uint_t source);

/* whether the rounds that come out now are needed at once */
ngx_uint_t ngx_http_loyalty_beacon_follows(ngx_http_loyalty_beacon_t *beacon,
    int64_t now);


/* lead.c: which worker fetches, and when it looks around */

void ngx_http_loyalty_beacon_tick(ngx_event_t *ev);
void ngx_http_loyalty_beacon_resign(ngx_http_loyalty_beacon_t *beacon);

/* relay.c: what is fetched from whom */

void ngx_http_loyalty_beacon_fetch(ngx_http_loyalty_beacon_t *beacon);
ngx_uint_t ngx_http_loyalty_beacon_failing(ngx_http_loyalty_beacon_t *beacon);


#endif /* _NGX_HTTP_LOYALTY_BEACON_PRIVATE_H_INCLUDED_ */
