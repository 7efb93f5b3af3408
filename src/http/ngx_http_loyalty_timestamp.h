/*
 * Timestamps of an outsider (RFC 3161): "timestamp_authority URL" in
 * loyalty_program, and a token for a hash, from any worker.
 */

#ifndef _NGX_HTTP_LOYALTY_TIMESTAMP_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_TIMESTAMP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_loyalty_program.h"


typedef struct ngx_http_loyalty_stamp_s  ngx_http_loyalty_stamp_t;


/* in loyalty_program: timestamp_authority */
extern ngx_module_t  ngx_http_loyalty_timestamp_module;

/* whether the program has one; known when its block has been read */
#define ngx_http_loyalty_timestamp_given(program)                            \
    ((program)->timestamp != NULL)


typedef struct {
    ngx_str_t                         token;      /* DER of the token; len 0:
                                                     there is none */
    int64_t                           time;       /* its genTime, ms */
    ngx_str_t                         error;      /* in words, no token */
} ngx_http_loyalty_stamped_t;

/*
 * Called exactly once, never from within _timestamp_fetch(); not called any
 * more after _timestamp_cancel(), nor when the process ends.  What it gets
 * lives until it returns.
 */
typedef void (*ngx_http_loyalty_stamp_handler_pt)(void *data,
    ngx_http_loyalty_stamped_t *stamped);

/*
 * A token over hash (32 bytes, SHA-256), fetched from the authority and
 * checked: it is granted, over this hash, an answer to this very request,
 * its signature is right, and, where trusted_certificate says whom to trust,
 * its signer is.  NULL: no memory, or the program has no authority.
 */
ngx_http_loyalty_stamp_t *ngx_http_loyalty_timestamp_fetch(
    ngx_http_loyalty_program_t *program, const u_char *hash,
    ngx_http_loyalty_stamp_handler_pt handler, void *data);

void ngx_http_loyalty_timestamp_cancel(ngx_http_loyalty_stamp_t *stamp);

/*
 * The same checks for a token that was brought by hand.  NGX_OK: *time is
 * its genTime in ms.  NGX_DECLINED: error says in words what is wrong with
 * it (a string constant or from pool).
 */
ngx_int_t ngx_http_loyalty_timestamp_check_token(
    ngx_http_loyalty_program_t *program, ngx_pool_t *pool, ngx_str_t *token,
    const u_char *hash, int64_t *time, ngx_str_t *error);


/* ---- for program/ and the module ---- */

ngx_int_t ngx_http_loyalty_timestamp_check(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program);
void ngx_http_loyalty_timestamp_exit_process(
    ngx_http_loyalty_program_t *program);


#endif /* _NGX_HTTP_LOYALTY_TIMESTAMP_H_INCLUDED_ */
