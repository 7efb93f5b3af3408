/*
 * What the files of the streak share among themselves, and with nobody else.
 */

#ifndef _NGX_HTTP_LOYALTY_STREAK_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_STREAK_H_INCLUDED_


#include "ngx_http_loyalty_games.h"


typedef struct {
    ngx_http_loyalty_games_conf_t  common;        /* first */
    int64_t                        freezes;       /* granted */
    int64_t                        earn_every;    /* 0: none are earned */
    int64_t                        max;
    ngx_uint_t                     freeze;        /* "freeze" was written */
} ngx_http_loyalty_streak_conf_t;


/* see ngx_http_loyalty_game_s */

ngx_int_t ngx_http_loyalty_streak_view(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, loyalty_head_t *head,
    loyalty_mpr_t *state, int64_t now, loyalty_out_t *out, ngx_uint_t *n);

ngx_int_t ngx_http_loyalty_streak_value(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, loyalty_mpr_t *state, int64_t now,
    loyalty_out_t *out);


#endif /* _NGX_HTTP_LOYALTY_STREAK_H_INCLUDED_ */
