/*
 * What the files of the challenge room share.
 */

#ifndef _NGX_HTTP_LOYALTY_CHALLENGE_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_CHALLENGE_H_INCLUDED_


#include "ngx_http_loyalty_games.h"


/* what the goal counts, and how often there is one: docs/internals.md */

#define NGX_HTTP_LOYALTY_MODE_EVENTS       0
#define NGX_HTTP_LOYALTY_MODE_QUANTITY     1
#define NGX_HTTP_LOYALTY_MODE_AMOUNT       2
#define NGX_HTTP_LOYALTY_MODE_ITEM_AMOUNT  3
#define NGX_HTTP_LOYALTY_MODE_DISTINCT     4

#define NGX_HTTP_LOYALTY_SHAPE_ONCE        0
#define NGX_HTTP_LOYALTY_SHAPE_EVERY       1
#define NGX_HTTP_LOYALTY_SHAPE_WINDOW      2
#define NGX_HTTP_LOYALTY_SHAPE_OPENS       3


typedef struct {
    ngx_http_loyalty_games_conf_t  common;        /* first */
    ngx_uint_t                     mode;
    ngx_uint_t                     shape;
    int64_t                        goal;
    int64_t                        window;        /* ms, 0: none */
    ngx_str_t                      text;          /* of an amount goal */
    ngx_http_loyalty_field_t       field;         /* of a distinct goal */
    ngx_http_loyalty_place_t       place;         /* of goal; line 0: none */
} ngx_http_loyalty_challenge_conf_t;


#define ngx_http_loyalty_challenge_is_amount(ccf)                             \
    ((ccf)->mode == NGX_HTTP_LOYALTY_MODE_AMOUNT                              \
     || (ccf)->mode == NGX_HTTP_LOYALTY_MODE_ITEM_AMOUNT)


/* progress or goal: an integer, or a decimal amount; ccf NULL: an integer */
void ngx_http_loyalty_challenge_number(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_challenge_conf_t *ccf, int64_t n, loyalty_out_t *out);

/* ,"instance":"2026-W47"; nothing for once ever */
void ngx_http_loyalty_challenge_instance(
    ngx_http_loyalty_challenge_conf_t *ccf, int64_t instance,
    loyalty_out_t *out);

/* see ngx_http_loyalty_game_s */

ngx_int_t ngx_http_loyalty_challenge_args(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_hit_t *hit, ngx_http_loyalty_event_t *event,
    loyalty_mpw_t *w);

ngx_int_t ngx_http_loyalty_challenge_effect(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule,
    ngx_str_t *name, ngx_uint_t kind, loyalty_mpr_t *r, loyalty_out_t *out);

ngx_int_t ngx_http_loyalty_challenge_view(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, loyalty_head_t *head,
    loyalty_mpr_t *state, int64_t now, loyalty_out_t *out, ngx_uint_t *n);

ngx_int_t ngx_http_loyalty_challenge_text(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule,
    loyalty_mpr_t *state, int64_t now, loyalty_out_t *out);


#endif /* _NGX_HTTP_LOYALTY_CHALLENGE_H_INCLUDED_ */
