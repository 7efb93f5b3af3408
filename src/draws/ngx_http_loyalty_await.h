/*
 * A member's request about a campaign that waits until this worker knows
 * what Redis knows of it, and is told what to do when that has changed.
 */

#ifndef _NGX_HTTP_LOYALTY_AWAIT_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_AWAIT_H_INCLUDED_


#include "ngx_http_loyalty_draws.h"
#include "ngx_http_loyalty_member.h"


#define NGX_HTTP_LOYALTY_TRIES  3                 /* of one request */


typedef struct {
    ngx_http_loyalty_member_ctx_t    *ctx;
    ngx_http_loyalty_campaign_t      *campaign;
    ngx_http_loyalty_member_start_pt  next;
    ngx_http_loyalty_waiter_t         waiter;
    ngx_uint_t                        waits;
    ngx_uint_t                        tries;      /* the caller's own count */
    ngx_uint_t                        shows;      /* next() also where the
                                                     campaign is stopped */
    ngx_http_loyalty_problem_e        stopped;    /* why it is, then; else
                                                     NGX_HTTP_LOYALTY_P_NONE */
} ngx_http_loyalty_await_t;


/* what a member is told, without which secret and which terms */
#define NGX_HTTP_LOYALTY_STOPPED                                              \
    "it is stopped on this server, whose error log says why"


/*
 * Calls next(ctx) once the campaign is ready, or answers why it is not;
 * await begins zeroed and is asked again after
 * ngx_http_loyalty_campaign_refresh().  Returns what a step of the member
 * API does.
 */
ngx_int_t ngx_http_loyalty_await(ngx_http_loyalty_await_t *await,
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_campaign_t *campaign,
    ngx_http_loyalty_member_start_pt next);

#endif /* _NGX_HTTP_LOYALTY_AWAIT_H_INCLUDED_ */
