/*
 * What loyalty_jwt tells the handlers of APIs, and what its files share.
 */

#ifndef _NGX_HTTP_LOYALTY_JWT_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_JWT_H_INCLUDED_


#include "ngx_http_loyalty_http.h"
#include "loyalty_jwt.h"


/*
 * NGX_OK: the request's token is good, or there is none, or the location
 * has no loyalty_jwt.  NGX_DECLINED: there is one that is refused, and
 * detail says why.
 */
ngx_int_t ngx_http_loyalty_jwt_check(ngx_http_request_t *r,
    ngx_str_t *detail);

/* WWW-Authenticate for a 401, in a location with loyalty_jwt */
ngx_int_t ngx_http_loyalty_jwt_challenge(ngx_http_request_t *r,
    ngx_http_loyalty_problem_e problem);


/* one loyalty_jwt */

typedef struct {
    ngx_str_t                     key_file;
    ngx_str_t                     jwks_file;
    ngx_str_t                     issuer;
    ngx_str_t                     audience;
    unsigned                      algs;           /* 0: any */
    time_t                        leeway;
    ngx_http_complex_value_t     *token;          /* NULL: Authorization */
    loyalty_jwt_rules_t           rules;
    loyalty_jwks_t                keys;
} ngx_http_loyalty_jwt_t;


/* jwt_conf.c: the directive's arguments, and the keys they name; jwt is
   zeroed */
ngx_int_t ngx_http_loyalty_jwt_parse(ngx_conf_t *cf,
    ngx_http_loyalty_jwt_t *jwt);


#endif /* _NGX_HTTP_LOYALTY_JWT_H_INCLUDED_ */
