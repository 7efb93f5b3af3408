/*
 * The body of a request to an API: read into memory in one piece, within a
 * limit that is answered with a problem.
 */

#ifndef _NGX_HTTP_LOYALTY_BODY_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_BODY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


typedef struct ngx_http_loyalty_body_s  ngx_http_loyalty_body_t;

/*
 * Called once the body is there; rc is NGX_OK, NGX_DECLINED for a body that is
 * too large, or what the request is to be finalized with.
 */
typedef void (*ngx_http_loyalty_body_pt)(ngx_http_request_t *r,
    ngx_http_loyalty_body_t *body, ngx_int_t rc);

struct ngx_http_loyalty_body_s {
    u_char                       *start;
    u_char                       *last;           /* behind what was read */
    u_char                       *end;
    off_t                         max;            /* bytes */
    ngx_http_loyalty_body_pt      handler;
    unsigned                      unbuffered:1;
};


/* what the Content-Type says, with or without parameters */

typedef enum {
    NGX_HTTP_LOYALTY_BODY_OTHER = 0,              /* or nothing */
    NGX_HTTP_LOYALTY_BODY_JSON,
    NGX_HTTP_LOYALTY_BODY_NDJSON
} ngx_http_loyalty_body_e;

ngx_http_loyalty_body_e ngx_http_loyalty_body_type(ngx_http_request_t *r);


/* the limit, given the most that this API takes: client_max_body_size may
   be less */
off_t ngx_http_loyalty_body_max(ngx_http_request_t *r, off_t most);

/*
 * Reads the body of a main request; max and handler are the caller's.  The
 * module's context of the request is a structure whose first member is this
 * body.  Returns what a content handler returns.
 */
ngx_int_t ngx_http_loyalty_body_read(ngx_http_request_t *r,
    ngx_http_loyalty_body_t *body);

/*
 * The next line of a body that was read that is not empty, without its end;
 * pos begins at its start, number counts lines.  NGX_DONE: there is none.
 */
ngx_int_t ngx_http_loyalty_body_line(ngx_http_loyalty_body_t *body,
    u_char **pos, ngx_uint_t *number, ngx_str_t *line);

/*
 * What a content handler returns, or how a body's handler ends, when rc is
 * that of the first step: with NGX_BUSY the request waits for Redis, and a
 * client that goes away is noticed.
 */
ngx_int_t ngx_http_loyalty_body_none(ngx_http_request_t *r, ngx_int_t rc);
void ngx_http_loyalty_body_done(ngx_http_request_t *r, ngx_int_t rc);


#endif /* _NGX_HTTP_LOYALTY_BODY_H_INCLUDED_ */
