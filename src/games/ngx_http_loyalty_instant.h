/*
 * What the files of the instant win share.
 */

#ifndef _NGX_HTTP_LOYALTY_INSTANT_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_INSTANT_H_INCLUDED_


#include "ngx_http_loyalty_draws.h"


typedef struct ngx_http_loyalty_moment_s  ngx_http_loyalty_moment_t;
typedef struct ngx_http_loyalty_cards_s   ngx_http_loyalty_cards_t;

typedef struct {
    ngx_http_loyalty_campaign_t   campaign;       /* first */
    int64_t                       wins;           /* wins_per_member, 0: no
                                                     end of them */
    ngx_flag_t                    degraded;
    ngx_http_loyalty_place_t      draw_place;     /* line 0: not written */
    ngx_http_loyalty_place_t      epoch_place;
    ngx_http_loyalty_place_t      degraded_place;
    ngx_array_t                   pools;          /* of _pool_t *, that its
                                                     prizes have codes of */
    u_char                      (*hashes)[NGX_HTTP_LOYALTY_HASH];
                                                  /* of the rows' names */
    ngx_http_loyalty_cards_t     *cards;          /* written by workers */
    ngx_http_loyalty_moment_t    *moments;        /* a worker's, or NULL */
} ngx_http_loyalty_instant_conf_t;


/* ---- instant_win.c ---- */

/* an instant win by its name, NULL: there is none */
ngx_http_loyalty_instant_conf_t *ngx_http_loyalty_instant_find(
    ngx_http_loyalty_program_t *program, ngx_str_t *name);


/* ---- instant_blob.c: while the configuration is read ---- */

/* icf->hashes; no two rows may have the same */
ngx_int_t ngx_http_loyalty_instant_names(ngx_conf_t *cf,
    ngx_http_loyalty_instant_conf_t *icf);
/* the rule's blob, docs/internals.md */
ngx_int_t ngx_http_loyalty_instant_blob(ngx_conf_t *cf,
    ngx_http_loyalty_instant_conf_t *icf);

/* by what Redis counts a row: 4 bytes of its name's hash, a deck's blanks by
   zeros */
void ngx_http_loyalty_instant_name(loyalty_prize_t *row, u_char *hash);


/* ---- instant_moments.c ---- */

/* one that waits for moments to be placed: embedded in what the caller holds
   for its request */

typedef struct {
    ngx_queue_t                   queue;
    ngx_uint_t                    waits;
    void                        (*handler)(void *data);
    void                         *data;
} ngx_http_loyalty_placing_t;

/* the handler is called once, from the event loop: then ask again */
void ngx_http_loyalty_instant_wait(ngx_http_loyalty_instant_conf_t *icf,
    ngx_http_loyalty_placing_t *placing);
/* the request has gone */
void ngx_http_loyalty_instant_forget(ngx_http_loyalty_placing_t *placing);
/* of the pool that icf, data, is in */
void ngx_http_loyalty_instant_cleanup(void *data);

/*
 * NGX_OK: the epoch that holds t is placed.  NGX_BUSY: it is being placed,
 * one may wait.  NGX_AGAIN: a round of the beacon is missing.  NGX_DECLINED:
 * Redis cannot be asked.  NGX_ERROR.  The epoch is that of t again.
 */
ngx_int_t ngx_http_loyalty_instant_placed(
    ngx_http_loyalty_instant_conf_t *icf, int64_t t,
    ngx_http_loyalty_epoch_t **epoch);

/* three values of the argument: base, how many units are due at t, and the
   first of them behind base with their rows in the version */
ngx_int_t ngx_http_loyalty_instant_due(ngx_http_loyalty_instant_conf_t *icf,
    ngx_http_loyalty_version_t *version, int64_t t, int64_t base,
    loyalty_mpw_t *w);

/* how many units are awarded, as far as this worker has heard */
int64_t ngx_http_loyalty_instant_awarded(
    ngx_http_loyalty_instant_conf_t *icf);
void ngx_http_loyalty_instant_heard(ngx_http_loyalty_instant_conf_t *icf,
    int64_t awarded);
void ngx_http_loyalty_instant_took(ngx_http_loyalty_instant_conf_t *icf,
    uint64_t unit);


/* ---- instant_split.c ---- */

extern ngx_http_loyalty_split_room_t  ngx_http_loyalty_instant_room;


/* ---- instant_json.c ---- */

/* the reply to a play: its record, and its bytes in the log */
ngx_int_t ngx_http_loyalty_instant_json(ngx_http_loyalty_instant_conf_t *icf,
    ngx_http_loyalty_record_t *record, loyalty_playrec_t *rec,
    ngx_str_t *bytes, loyalty_out_t *out);

ngx_int_t ngx_http_loyalty_instant_effect(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule,
    ngx_str_t *name, ngx_uint_t kind, loyalty_mpr_t *r, loyalty_out_t *out);


/* ---- instant_view.c ---- */

ngx_int_t ngx_http_loyalty_instant_view(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, loyalty_head_t *head, loyalty_mpr_t *state,
    int64_t now, loyalty_out_t *out, ngx_uint_t *n);

/* while the configuration is read */
ngx_int_t ngx_http_loyalty_instant_cards(ngx_conf_t *cf,
    ngx_http_loyalty_instant_conf_t *icf);


#endif /* _NGX_HTTP_LOYALTY_INSTANT_H_INCLUDED_ */
