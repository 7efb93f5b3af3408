/*
 * Moments in a worker: what the files that place and keep them share.
 */

#ifndef _NGX_HTTP_LOYALTY_INSTANT_MOMENTS_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_INSTANT_MOMENTS_H_INCLUDED_


#include "ngx_http_loyalty_instant.h"
#include "loyalty_moments.h"


typedef enum {
    NGX_HTTP_LOYALTY_MOMENTS_NEW = 0,
    NGX_HTTP_LOYALTY_MOMENTS_LOADING,
    NGX_HTTP_LOYALTY_MOMENTS_READY
} ngx_http_loyalty_moments_e;


struct ngx_http_loyalty_moment_s {
    ngx_http_loyalty_instant_conf_t  *icf;
    ngx_http_loyalty_moments_e    state;
    ngx_http_loyalty_op_t        *op;
    ngx_event_t                   timer;          /* cancelable while nobody
                                                     waits */
    ngx_queue_t                   waiters;        /* of _placing_t */

    loyalty_moments_t             placing;
    uint32_t                      version;        /* whose units these are */
    uint32_t                      done;           /* epochs placed */
    uint32_t                      by[2];          /* versions that governed
                                                     the last one and the one
                                                     before it, 0: kept */
    unsigned                      busy:1;         /* epoch done + 1 is */

    int64_t                       awarded;        /* units, as heard last */

    uint32_t                      hashed;         /* the version of hashes */
    u_char                      (*hashes)[NGX_HTTP_LOYALTY_HASH];
                                                  /* of its rows' names */

    uint32_t                      allocated;      /* units */
    uint64_t                     *at;
    u_char                      (*names)[NGX_HTTP_LOYALTY_HASH];
    uint32_t                     *order;
    uint32_t                      norder;
};


/* ---- instant_moments.c ---- */

/* all units of the versions up to this one */
ngx_int_t ngx_http_loyalty_moments_units(ngx_http_loyalty_moment_t *m,
    uint32_t version, loyalty_epochs_t *epochs);

/* those who wait ask again */
void ngx_http_loyalty_moments_wake(ngx_http_loyalty_moment_t *m);

/* places what is to be placed, in so many ms */
void ngx_http_loyalty_moments_wait(ngx_http_loyalty_moment_t *m,
    ngx_msec_t ms);


/* ---- instant_kept.c ---- */

/* what Redis keeps, or the beginning; NGX_BUSY: it is asked, NGX_DECLINED: it
   cannot be asked */
ngx_int_t ngx_http_loyalty_moments_load(ngx_http_loyalty_moment_t *m);

/* tells Redis, after an epoch was placed */
void ngx_http_loyalty_moments_keep(ngx_http_loyalty_moment_t *m);


#endif /* _NGX_HTTP_LOYALTY_INSTANT_MOMENTS_H_INCLUDED_ */
