/*
 * What the files of the admin API on a sweepstakes share.
 */

#ifndef _NGX_HTTP_LOYALTY_SWEEPSTAKES_ADMIN_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_SWEEPSTAKES_ADMIN_H_INCLUDED_


#include "ngx_http_loyalty_sweepstakes.h"
#include "ngx_http_loyalty_change.h"


#define NGX_HTTP_LOYALTY_SADMIN_CLOSE   1
#define NGX_HTTP_LOYALTY_SADMIN_DRAW    2
#define NGX_HTTP_LOYALTY_SADMIN_PAUSE   3
#define NGX_HTTP_LOYALTY_SADMIN_RESUME  4


/* one request, between its JSON and its answer */

typedef struct {
    ngx_http_loyalty_change_t         change;     /* first */
    ngx_http_loyalty_game_call_t      call;
    ngx_uint_t                        what;

    /* fields of the body, those that a path takes */
    int64_t                           number;
    const char                       *file;
    u_char                            hash[LOYALTY_HASH];
    ngx_uint_t                        hashed;     /* 1: hash is the note's */
    ngx_str_t                         token;
    ngx_str_t                         kind;
    ngx_str_t                         reason;
    ngx_str_t                         evidence;
    int64_t                           ticket;     /* -1: not given */
    loyalty_dq_t                      dq;
    ngx_uint_t                        tries;
    u_char                            who[NGX_HTTP_LOYALTY_WHO];
} ngx_http_loyalty_sadmin_t;


/*
 * Begins a request: its sweepstakes is found, the fields of its body are read
 * (NULL: it has none), and next is called when the campaign is ready.  The
 * caller leaves in ctx->data what becomes a->what.
 */
ngx_int_t ngx_http_loyalty_sadmin(ngx_http_loyalty_member_ctx_t *ctx,
    const ngx_http_loyalty_fields_t *fields,
    ngx_http_loyalty_member_start_pt next);

ngx_uint_t ngx_http_loyalty_sadmin_is(ngx_str_t *text, const char *word);


#endif /* _NGX_HTTP_LOYALTY_SWEEPSTAKES_ADMIN_H_INCLUDED_ */
