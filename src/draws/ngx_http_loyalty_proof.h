/*
 * What the files of loyalty_proof share: one request for a published file.
 */

#ifndef _NGX_HTTP_LOYALTY_PROOF_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_PROOF_H_INCLUDED_


#include "ngx_http_loyalty_draws_private.h"


#define NGX_HTTP_LOYALTY_PIECE      131072        /* bytes at a time */
#define NGX_HTTP_LOYALTY_PROOF_TAG  256           /* bytes */


typedef struct ngx_http_loyalty_proof_s  ngx_http_loyalty_proof_t;

/* NGX_BUSY: more is under way; else what the request is finalized with */
typedef ngx_int_t (*ngx_http_loyalty_proof_pt)(ngx_http_loyalty_proof_t *ctx,
    ngx_http_loyalty_reply_t *reply);

struct ngx_http_loyalty_proof_s {
    ngx_http_request_t           *request;
    ngx_http_loyalty_program_t   *program;
    ngx_http_loyalty_op_t        *op;
    ngx_http_loyalty_proof_pt     reply;          /* of op */

    size_t                        ntag;
    u_char                        tag[NGX_HTTP_LOYALTY_PROOF_TAG];
    ngx_str_t                     file;           /* in the path */
    ngx_uint_t                    partition;
    ngx_uint_t                    record;         /* bytes of one, 0: a file
                                                     of one key */
    ngx_uint_t                    text;           /* text/plain */

    off_t                         size;           /* of the file, when it was
                                                     asked first */
    off_t                         at;             /* of the next piece */
    off_t                         end;            /* of the last one */
    ngx_buf_t                    *buf;            /* of a piece */
    ngx_uint_t                    sent;           /* the header is out */

    void                         *path;           /* of an inclusion proof */
};


/* sends fn; NGX_BUSY, or a problem that was answered */
ngx_int_t ngx_http_loyalty_proof_call(ngx_http_loyalty_proof_t *ctx,
    ngx_http_loyalty_fn_e fn, ngx_uint_t nkeys, ngx_str_t *keys,
    ngx_str_t *arg, ngx_http_loyalty_proof_pt reply);

ngx_int_t ngx_http_loyalty_proof_unknown(ngx_http_loyalty_proof_t *ctx);

/* a text that is complete, with an ETag of what it says */
ngx_int_t ngx_http_loyalty_proof_text(ngx_http_loyalty_proof_t *ctx,
    u_char *p, size_t len);

/* content type, ETag, length; "at" and "end" by Range.  NGX_OK: it is out,
   and a body follows; else what the request is finalized with */
ngx_int_t ngx_http_loyalty_proof_header(ngx_http_loyalty_proof_t *ctx);

/* begins with the file */
ngx_int_t ngx_http_loyalty_proof_file(ngx_http_loyalty_proof_t *ctx);

/* begins with an inclusion proof */
ngx_int_t ngx_http_loyalty_proof_path(ngx_http_loyalty_proof_t *ctx);


#endif /* _NGX_HTTP_LOYALTY_PROOF_H_INCLUDED_ */
