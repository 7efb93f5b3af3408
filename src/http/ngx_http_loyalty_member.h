/*
 * What the files of the member API share: its paths, one request to it, and
 * from bytes of Redis to JSON.  The admin API has other paths and another
 * way to know who asks, and is answered in the same way.
 *
 * NGX_ERROR of the functions that write JSON means that the bytes are not
 * what this module writes, or that memory ran out (out->failed).
 */

#ifndef _NGX_HTTP_LOYALTY_MEMBER_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_MEMBER_H_INCLUDED_


#include "ngx_http_loyalty_event.h"
#include "ngx_http_loyalty_body.h"


#define NGX_HTTP_LOYALTY_MEMBER_SEGMENTS  5       /* of a path, at most */
#define NGX_HTTP_LOYALTY_MEMBER_BODY      NGX_HTTP_LOYALTY_TEXT


/*
 * A request to the member API.  It is answered in steps: the path's start(),
 * then, as often as a step is under way, the reply handler that was given to
 * ngx_http_loyalty_member_call().  Each returns NGX_BUSY when a step is under
 * way, else what the request is finalized with; the functions below that
 * call and answer return just that.
 */

typedef struct ngx_http_loyalty_member_ctx_s  ngx_http_loyalty_member_ctx_t;

typedef ngx_int_t (*ngx_http_loyalty_member_start_pt)(
    ngx_http_loyalty_member_ctx_t *ctx);
typedef ngx_int_t (*ngx_http_loyalty_member_reply_pt)(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);

typedef struct ngx_http_loyalty_member_path_s  ngx_http_loyalty_member_path_t;

struct ngx_http_loyalty_member_ctx_s {
    ngx_http_loyalty_body_t           body;       /* first: its reader looks
                                                     for it here */
    ngx_http_loyalty_api_e            api;
    ngx_http_loyalty_member_path_t   *paths;
    ngx_http_loyalty_member_path_t   *path;       /* of them */
    ngx_http_request_t               *request;
    ngx_http_loyalty_program_t       *program;
    ngx_http_loyalty_op_t            *op;         /* NULL: none runs */
    ngx_http_loyalty_member_reply_pt  reply;      /* of op */
    ngx_http_loyalty_member_start_pt  then;       /* of an admin's change */
    ngx_str_t                         member;     /* of the admin API: set by
                                                     _member_is() */
    ngx_str_t                         actor;      /* of the admin API */
    ngx_str_t                         segments[
                                           NGX_HTTP_LOYALTY_MEMBER_SEGMENTS];
    ngx_uint_t                        nsegments;
    ngx_str_t                         name;       /* what stood for NAME */
    ngx_str_t                         second;     /* and for a second one */
    ngx_str_t                         keys[4];
    ngx_uint_t                        partition;
    json_t                           *json;       /* the object of a POST, or
                                                     NULL: it has no body, or
                                                     lines */
    void                             *data;       /* the path's own */
};


/*
 * A line of the table in member_api.c.  A segment in capital letters stands
 * for a name, which becomes ctx->name; several lines may have the same path
 * and other methods.  NGX_HTTP_GET includes HEAD.  A POST may only be the
 * client's own request, and its body is a JSON object or nothing; or, with
 * _LINES, the lines that ctx->body holds.
 */

#define NGX_HTTP_LOYALTY_MEMBER_LINES  0x80000000

struct ngx_http_loyalty_member_path_s {
    ngx_str_t                         path;
    ngx_uint_t                        method;
    ngx_http_loyalty_member_start_pt  start;
};

/* a request to an API with these paths */
ngx_int_t ngx_http_loyalty_member_serve(ngx_http_request_t *r,
    ngx_http_loyalty_api_e api, ngx_http_loyalty_member_path_t *paths);

/* the member that an admin's request is about: keys and partition are set;
   NGX_DECLINED: it cannot be a member's id */
ngx_int_t ngx_http_loyalty_member_is(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_str_t *member);


/*
 * Sends fn(keys, arg) on the connection of the member's partition; reply is
 * called with what Redis said.  That it said nothing is answered here.
 */
ngx_int_t ngx_http_loyalty_member_call(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_fn_e fn, ngx_uint_t nkeys, ngx_str_t *keys,
    ngx_str_t *arg, ngx_http_loyalty_member_reply_pt reply);

/* the answer: what out holds with status 200 */
ngx_int_t ngx_http_loyalty_member_send(ngx_http_loyalty_member_ctx_t *ctx,
    loyalty_out_t *out);

/* or a problem; detail may be NULL */
ngx_int_t ngx_http_loyalty_member_problem(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_problem_e problem, ngx_str_t *detail);
ngx_int_t ngx_http_loyalty_member_fault(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_fault_t *fault);

/* the same with "retry_at", ms: when it is worth another try */
ngx_int_t ngx_http_loyalty_member_retry_at(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_problem_e problem,
    ngx_str_t *detail, int64_t at);

/* or what Redis holds of the member is damaged: logged, and a problem */
ngx_int_t ngx_http_loyalty_member_damaged(ngx_http_loyalty_member_ctx_t *ctx);

/*
 * A step that waited for something else than Redis, called from the event
 * loop: goes on with the request as after a reply.
 */
typedef ngx_int_t (*ngx_http_loyalty_member_step_pt)(void *data);

void ngx_http_loyalty_member_resume(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_member_step_pt step, void *data);


/* ---- the paths ---- */

ngx_int_t ngx_http_loyalty_member_me(ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_member_me_reply(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
ngx_int_t ngx_http_loyalty_member_history(ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_reward_redeem(ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_sweepstakes_enter(
    ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_sweepstakes_show(
    ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_sweepstakes_claim(
    ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_instant_play(ngx_http_loyalty_member_ctx_t *ctx);


/* ---- for me and me/history ---- */

/* at most this many records in one reply of me/history */
#define NGX_HTTP_LOYALTY_HISTORY_MAX      100
#define NGX_HTTP_LOYALTY_HISTORY_DEFAULT  20


/*
 * GET me: value is the member's value, or has NULL data for a member never
 * seen; now in ms.
 */
ngx_int_t ngx_http_loyalty_account_json(ngx_http_loyalty_program_t *program,
    ngx_pool_t *pool, ngx_str_t *member, ngx_str_t *value, int64_t now,
    loyalty_out_t *out);


/* parts of it: the states of all slots, that of one (NULL: none), and how
   many tiers are reached (of a program that has a wallet) */
ngx_int_t ngx_http_loyalty_account_states(ngx_pool_t *pool,
    loyalty_head_t *head, loyalty_mpr_t **states);
loyalty_mpr_t *ngx_http_loyalty_account_state(loyalty_head_t *head,
    loyalty_mpr_t *states, u_char *hash);
ngx_uint_t ngx_http_loyalty_account_tiers(
    ngx_http_loyalty_program_t *program, loyalty_head_t *head,
    int64_t *lifetime);


typedef struct {
    int64_t                       before;         /* seq, 0: from the newest */
    ngx_uint_t                    limit;
} ngx_http_loyalty_history_args_t;

/* limit= and cursor=; NGX_DECLINED: detail says what is wrong */
ngx_int_t ngx_http_loyalty_history_args(ngx_http_request_t *r,
    ngx_http_loyalty_history_args_t *args, ngx_str_t *detail);

/* asks for a page: one record more than the limit, so that what follows is
   known, or fewer, where they are large */
ngx_int_t ngx_http_loyalty_history_ask(ngx_http_loyalty_member_ctx_t *ctx,
    int64_t before, ngx_uint_t limit,
    ngx_http_loyalty_member_reply_pt reply);

/* a page; admin: with what events and reversals were of, and who made a change
   by hand and why.  *next: before what the next one is, 0: there is none */
ngx_int_t ngx_http_loyalty_history_json(ngx_http_loyalty_program_t *program,
    ngx_pool_t *pool, ngx_str_t *member, ngx_http_loyalty_reply_t *reply,
    ngx_uint_t limit, ngx_uint_t admin, loyalty_out_t *out, int64_t *next);


#endif /* _NGX_HTTP_LOYALTY_MEMBER_H_INCLUDED_ */
