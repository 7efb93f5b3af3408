/*
 * What the files of the reward room share.
 */

#ifndef _NGX_HTTP_LOYALTY_REWARD_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_REWARD_H_INCLUDED_


#include "ngx_http_loyalty_games.h"


#define NGX_HTTP_LOYALTY_REWARD_UNITS  4          /* ever, day, week, month */


typedef struct {
    ngx_http_loyalty_games_conf_t  common;        /* first */
    ngx_http_loyalty_award_t       cost;          /* amount 0: free */
    int64_t                        stock;         /* -1: no end */
    int64_t                        limits[NGX_HTTP_LOYALTY_REWARD_UNITS];
                                                  /* by unit, 0: none */
    ngx_str_t                      pool_name;     /* len 0: no codes */
    ngx_http_loyalty_pool_t       *pool;
    ngx_str_t                      counter;       /* key: how many are gone */
} ngx_http_loyalty_reward_conf_t;


/* NULL: there is no such reward */
ngx_http_loyalty_rule_t *ngx_http_loyalty_reward_find(
    ngx_http_loyalty_program_t *program, ngx_str_t *name);

/* see ngx_http_loyalty_game_s */

ngx_int_t ngx_http_loyalty_reward_target(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, ngx_str_t *member, ngx_str_t *id,
    int64_t now, ngx_http_loyalty_call_t *call, loyalty_mpw_t *w);

ngx_int_t ngx_http_loyalty_reward_effect(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, ngx_str_t *name, ngx_uint_t kind,
    loyalty_mpr_t *r, loyalty_out_t *out);

ngx_int_t ngx_http_loyalty_reward_view(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, loyalty_head_t *head,
    loyalty_mpr_t *state, int64_t now, loyalty_out_t *out, ngx_uint_t *n);


#endif /* _NGX_HTTP_LOYALTY_REWARD_H_INCLUDED_ */
