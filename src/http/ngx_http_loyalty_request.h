/*
 * What plays, entries and redemptions have in common, between the request
 * and Redis: the beginning of their arguments, and what Redis refuses.
 */

#ifndef _NGX_HTTP_LOYALTY_REQUEST_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_REQUEST_H_INCLUDED_


#include "ngx_http_loyalty_idempotency.h"


/*
 * The first five values of ARG (request.lua): now, needle, rest, the
 * member's id, the program's constants.  The needle has
 * NGX_HTTP_LOYALTY_NEEDLE bytes.
 */
void ngx_http_loyalty_request_arg(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_idempotency_t *idempotency, const u_char *needle,
    int64_t now, loyalty_mpw_t *w);

/* the periods that hold the instant, for limits: [day, week, month] */
void ngx_http_loyalty_request_periods(ngx_http_loyalty_program_t *program,
    int64_t now, loyalty_mpw_t *w);

/*
 * Answers what Redis said behind an "E".  "limit_reached:UNIT" tells when
 * the unit's next period begins; a code that nobody here knows is logged and
 * answered as internal.
 */
ngx_int_t ngx_http_loyalty_request_refused(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_str_t *value, int64_t now);

/*
 * "N" or "D", hashes and record: parsed, and of a repeat the header
 * Idempotency-Replayed is set.  NGX_ERROR: not understood.
 */
ngx_int_t ngx_http_loyalty_request_record(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply, ngx_http_loyalty_record_t *record);


#endif /* _NGX_HTTP_LOYALTY_REQUEST_H_INCLUDED_ */
