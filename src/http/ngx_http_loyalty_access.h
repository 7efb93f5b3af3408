/*
 * Who may call the event and admin APIs: for the handlers of those APIs.
 *
 * A handler asks _access() before it reads the body, and _access_body() when
 * all of it is there and nothing has been done yet.  Both say NGX_OK where
 * the location has no loyalty_signature: nginx -t has seen to it that other
 * directives restrict access then.  NGX_DECLINED: the request is answered
 * with the problem invalid_signature and this detail.
 */

#ifndef _NGX_HTTP_LOYALTY_ACCESS_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_ACCESS_H_INCLUDED_


#include "ngx_http_loyalty_http.h"
#include "loyalty_hash.h"
#include "loyalty_signature.h"


ngx_int_t ngx_http_loyalty_access(ngx_http_request_t *r, ngx_str_t *detail);

/* body: its raw bytes, none of a request without one; NULL: they are in
   r->request_body, in memory or in a file */
ngx_int_t ngx_http_loyalty_access_body(ngx_http_request_t *r,
    ngx_str_t *body, ngx_str_t *detail);

/* of a request that was let in because it is signed: its time as it is
   written, and how far from now, ms, that may be; NGX_DECLINED: it need not be
   signed */
ngx_int_t ngx_http_loyalty_access_signed(ngx_http_request_t *r,
    ngx_msec_t *window, ngx_str_t *time);

/* ... and that must not be done because it was done before */
void ngx_http_loyalty_access_used(ngx_http_request_t *r, ngx_str_t *detail);

/* how long any signature may be good, ms, with room for other clocks: from the
   earliest time that it may have to the latest */
int64_t ngx_http_loyalty_access_longest(ngx_http_request_t *r);

/* the id of the key that signed the request, len 0: none did */
void ngx_http_loyalty_access_key(ngx_http_request_t *r, ngx_str_t *id);

/* from the merging of a location without loyalty_signature: its API needs
   another way to know who calls */
ngx_int_t ngx_http_loyalty_access_rule(ngx_conf_t *cf,
    ngx_http_loyalty_loc_conf_t *llcf);


/* ---- signed.c ---- */

/* how often a header is there; value: of the last one */
ngx_uint_t ngx_http_loyalty_signed_header(ngx_http_request_t *r,
    ngx_str_t *name, ngx_str_t *value);

/* what has to be signed, behind the time, to key; body as above */
ngx_int_t ngx_http_loyalty_signed(ngx_http_request_t *r,
    loyalty_signature_key_t *key, ngx_str_t *body);

/* of the admin API: LOYALTY_HASH bytes that all of it has in common with
   nothing else */
ngx_int_t ngx_http_loyalty_signed_digest(ngx_http_request_t *r,
    ngx_str_t *time, ngx_str_t *body, u_char *digest);


#endif /* _NGX_HTTP_LOYALTY_ACCESS_H_INCLUDED_ */
