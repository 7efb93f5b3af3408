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


ngx_int_t ngx_http_loyalty_access(ngx_http_request_t *r, ngx_str_t *detail);

/* body: its raw bytes, none of a request without one; NULL: they are in
   r->request_body, in memory or in a file */
ngx_int_t ngx_http_loyalty_access_body(ngx_http_request_t *r,
    ngx_str_t *body, ngx_str_t *detail);

/* the id of the key that signed the request, len 0: none did */
void ngx_http_loyalty_access_key(ngx_http_request_t *r, ngx_str_t *id);

/* from the merging of a location without loyalty_signature: its API needs
   another way to know who calls */
ngx_int_t ngx_http_loyalty_access_rule(ngx_conf_t *cf,
    ngx_http_loyalty_loc_conf_t *llcf);


#endif /* _NGX_HTTP_LOYALTY_ACCESS_H_INCLUDED_ */
