/*
 * What the files of the member API share: from bytes of Redis to JSON.
 *
 * NGX_ERROR of the functions that write JSON means that the bytes are not
 * what this module writes, or that memory ran out (out->failed).
 */

#ifndef _NGX_HTTP_LOYALTY_MEMBER_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_MEMBER_H_INCLUDED_


#include "ngx_http_loyalty_http.h"


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


typedef struct {
    int64_t                       before;         /* seq, 0: from the newest */
    ngx_uint_t                    limit;
} ngx_http_loyalty_history_args_t;

/* limit= and cursor=; NGX_DECLINED: detail says what is wrong */
ngx_int_t ngx_http_loyalty_history_args(ngx_http_request_t *r,
    ngx_http_loyalty_history_args_t *args, ngx_str_t *detail);

/* GET me/history: the reply is of one record more than the limit, so that
   what follows is known */
ngx_int_t ngx_http_loyalty_history_json(ngx_http_loyalty_program_t *program,
    ngx_pool_t *pool, ngx_str_t *member, ngx_http_loyalty_reply_t *reply,
    ngx_uint_t limit, loyalty_out_t *out);


#endif /* _NGX_HTTP_LOYALTY_MEMBER_H_INCLUDED_ */
