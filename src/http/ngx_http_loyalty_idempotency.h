/*
 * Idempotency-Key: how a client says that a request is one it has sent
 * before.  A key belongs to a member, a method and a path; with another
 * request under it the answer is idempotency_conflict.
 */

#ifndef _NGX_HTTP_LOYALTY_IDEMPOTENCY_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_IDEMPOTENCY_H_INCLUDED_


#include "ngx_http_loyalty_member.h"


#define NGX_HTTP_LOYALTY_KEY             255      /* bytes of a key */
#define NGX_HTTP_LOYALTY_IDEMPOTENCY_ID  16

/* what a record is of whose needle is made from a key */

#define NGX_HTTP_LOYALTY_NEEDLE_PLAY        1
#define NGX_HTTP_LOYALTY_NEEDLE_ENTRY       2
#define NGX_HTTP_LOYALTY_NEEDLE_REDEMPTION  3
#define NGX_HTTP_LOYALTY_NEEDLE_GRANT       4

#define NGX_HTTP_LOYALTY_NEEDLE             18    /* bytes */


typedef struct {
    ngx_str_t                     key;            /* where none was sent and
                                                     none need be, one that
                                                     nobody else has */
    u_char                        fingerprint[6]; /* of the request */
} ngx_http_loyalty_idempotency_t;


/*
 * The key and the fingerprint of a POST whose body has been read: method,
 * path below the location, and the JSON, however it is written.  NGX_OK,
 * NGX_DECLINED and a fault, or NGX_ERROR.
 */
ngx_int_t ngx_http_loyalty_idempotency(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_idempotency_t *idempotency,
    ngx_http_loyalty_fault_t *fault);

/*
 * 16 bytes that stand for the key in its scope, the member aside: for records
 * of the member that have no id of another origin.
 */
ngx_int_t ngx_http_loyalty_idempotency_id(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_idempotency_t *idempotency, u_char *id);

/* the needle of such a record: no event's id can be like it */
void ngx_http_loyalty_idempotency_needle(u_char *needle, ngx_uint_t kind,
    const u_char *id);

/* "Idempotency-Replayed: true" */
ngx_int_t ngx_http_loyalty_idempotency_replayed(ngx_http_request_t *r);


#endif /* _NGX_HTTP_LOYALTY_IDEMPOTENCY_H_INCLUDED_ */
