/*
 * What the files of the admin API share.  Its requests are those of the
 * member API (ngx_http_loyalty_member.h) but for who asks.
 */

#ifndef _NGX_HTTP_LOYALTY_ADMIN_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_ADMIN_H_INCLUDED_


#include "ngx_http_loyalty_request.h"
#include "ngx_http_loyalty_fields.h"


#define NGX_HTTP_LOYALTY_ACTOR   128              /* bytes */
#define NGX_HTTP_LOYALTY_REASON  512


/* ---- admin_api.c ---- */

/*
 * Who may ask, and who does: NGX_DECLINED when the request goes on, as
 * member_api.c's own functions; the last one when the body is there.
 */
ngx_int_t ngx_http_loyalty_admin_access(ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_identity(ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_body(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_str_t *body);

/* once.c: the path's start(), if the request's signature is a new one */
ngx_int_t ngx_http_loyalty_admin_start(ngx_http_loyalty_member_ctx_t *ctx);

/* NGX_DECLINED: ctx is about the member that the path names; else it has been
   answered */
ngx_int_t ngx_http_loyalty_admin_known(ngx_http_loyalty_member_ctx_t *ctx);

/*
 * A change that is no member's goes to the program's feed, with its actor,
 * before it is made: then() makes it.  what is a word such as "pause",
 * details a text, maybe empty.
 */
ngx_int_t ngx_http_loyalty_admin_note(ngx_http_loyalty_member_ctx_t *ctx,
    const char *what, ngx_str_t *subject, ngx_str_t *details,
    ngx_http_loyalty_member_start_pt then);


/* ---- of rewards ---- */

/* the pool of a reward, NULL: it has none, or is not there */
ngx_http_loyalty_pool_t *ngx_http_loyalty_reward_pool(
    ngx_http_loyalty_program_t *program, ngx_str_t *name);

/*
 * For left_H: a key for each reward behind those of the pools, at most max,
 * and how many they are.  Then what it replied, as JSON objects.
 */
ngx_uint_t ngx_http_loyalty_reward_keys(ngx_http_loyalty_program_t *program,
    ngx_str_t *keys, ngx_uint_t max);
ngx_int_t ngx_http_loyalty_reward_stats_json(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_reply_t *reply,
    loyalty_out_t *out);


/* ---- the paths ---- */

ngx_int_t ngx_http_loyalty_admin_member(ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_history(ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_export(ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_erase(ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_adjust(ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_grant(ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_codes(ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_reward_codes(
    ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_sweepstakes(
    ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_entries(ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_close(ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_draw(ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_timestamp(
    ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_disqualify(
    ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_claim(ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_deliver(ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_sweepstakes_pause(
    ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_sweepstakes_resume(
    ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_instant(ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_instant_pause(
    ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_instant_resume(
    ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_instant_timestamp(
    ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_instant_cosignature(
    ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_cosignature(
    ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_stats(ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_beacons(ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_beacon(ngx_http_loyalty_member_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_admin_beacon_post(
    ngx_http_loyalty_member_ctx_t *ctx);


#endif /* _NGX_HTTP_LOYALTY_ADMIN_H_INCLUDED_ */
