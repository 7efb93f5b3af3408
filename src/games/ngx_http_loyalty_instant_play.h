/*
 * What the two ways of a play share: in one call to Redis, and in three.
 */

#ifndef _NGX_HTTP_LOYALTY_INSTANT_PLAY_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_INSTANT_PLAY_H_INCLUDED_


#include "ngx_http_loyalty_instant.h"
#include "ngx_http_loyalty_await.h"
#include "ngx_http_loyalty_split.h"


#define NGX_HTTP_LOYALTY_PLAY_TRIES  3            /* after the first */
#define NGX_HTTP_LOYALTY_PLAY_IDX    2            /* u in advance, doubled
                                                     by each try */
#define NGX_HTTP_LOYALTY_PLAY_CTR    16           /* chance: 2^-640 */
#define NGX_HTTP_LOYALTY_PLAY_PATIENCE  3000      /* ms */


typedef struct {
    ngx_http_loyalty_await_t          await;
    ngx_http_loyalty_placing_t        placing;
    ngx_msec_t                        patience;   /* with placing */
    ngx_http_loyalty_member_ctx_t    *ctx;        /* for it */
    ngx_http_loyalty_instant_conf_t  *icf;
    ngx_http_loyalty_idempotency_t    idempotency;
    u_char                            person[LOYALTY_HASH];
    u_char                            needle[NGX_HTTP_LOYALTY_NEEDLE];
    ngx_uint_t                        tries;
    unsigned                          fixed:1;    /* t, e and R_p stay */
    int64_t                           seq;        /* in whose chunk the play
                                                     is, -1: the next one */

    ngx_http_loyalty_steps_t          steps;      /* of a play in three */
    ngx_str_t                         known;      /* reply to one that is */

    int64_t                           t;
    uint64_t                          round;      /* R_p */
    u_char                            b[LOYALTY_HASH];
    ngx_uint_t                        degraded;
    int64_t                           base;       /* the first idx */
    ngx_uint_t                        many;       /* idx in advance */
    ngx_uint_t                        width;      /* ctr of each */
} ngx_http_loyalty_play_t;


/* what a play is drawn from */

typedef struct {
    ngx_http_loyalty_instant_conf_t  *icf;
    int64_t                           t;
    uint64_t                          round;      /* R_p */
    const u_char                     *b;
    const u_char                     *person;
    int64_t                           base;       /* the first idx */
    ngx_uint_t                        many;       /* of them */
    ngx_uint_t                        width;      /* ctr of each */
    u_char                           *u;          /* room for all of these */
} ngx_http_loyalty_drawing_t;


/* ---- instant_play.c ---- */

/* from the beginning, or with what a reply told */
ngx_int_t ngx_http_loyalty_play_send(ngx_http_loyalty_member_ctx_t *ctx);

/* play->t, its epoch and round; bar, where it is not "", is why it cannot be
   drawn; NGX_BUSY: moments are being placed */
ngx_int_t ngx_http_loyalty_play_clock(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_epoch_t **epoch, const char **bar);
/* until they are; then from the beginning */
ngx_int_t ngx_http_loyalty_play_wait(ngx_http_loyalty_member_ctx_t *ctx);

/* three values of an argument: base, width, draws; none where epoch is NULL */
ngx_int_t ngx_http_loyalty_play_draws(ngx_http_loyalty_drawing_t *draws,
    ngx_http_loyalty_epoch_t *epoch, loyalty_mpw_t *w);

/* with what Redis said: "R", a letter and a number; "E" and a code; "N" or
   "D", hashes, record, and the play's bytes in the log */
ngx_int_t ngx_http_loyalty_play_reply(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply);


/* ---- instant_split.c ---- */

/* a play in three steps, from its first one */
ngx_int_t ngx_http_loyalty_play_reserve(ngx_http_loyalty_member_ctx_t *ctx);

/* goes on with a reservation, "N" or "O" in front of it */
ngx_int_t ngx_http_loyalty_play_steps(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_str_t *value);


#endif /* _NGX_HTTP_LOYALTY_INSTANT_PLAY_H_INCLUDED_ */
