/*
 * What the files of the admin API on a sweepstakes share.
 */

#ifndef _NGX_HTTP_LOYALTY_SWEEPSTAKES_ADMIN_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_SWEEPSTAKES_ADMIN_H_INCLUDED_


#include "ngx_http_loyalty_sweepstakes.h"
#include "ngx_http_loyalty_await.h"
#include "ngx_http_loyalty_admin.h"


#define NGX_HTTP_LOYALTY_SADMIN_CLOSE   1
#define NGX_HTTP_LOYALTY_SADMIN_DRAW    2
#define NGX_HTTP_LOYALTY_SADMIN_PAUSE   3
#define NGX_HTTP_LOYALTY_SADMIN_RESUME  4


typedef struct ngx_http_loyalty_sadmin_s  ngx_http_loyalty_sadmin_t;

typedef struct {
    ngx_http_loyalty_sadmin_t        *admin;      /* NULL: the request went */
    ngx_http_loyalty_member_step_pt   next;
} ngx_http_loyalty_wait_t;


/* one request, between its JSON and its answer */

struct ngx_http_loyalty_sadmin_s {
    ngx_http_loyalty_await_t       await;
    ngx_http_loyalty_member_ctx_t    *ctx;
    ngx_http_loyalty_campaign_t      *campaign;
    ngx_http_loyalty_wait_t          *wait;
    ngx_http_loyalty_game_call_t      call;
    ngx_uint_t                        what;
    ngx_int_t                         rc;         /* of what it waited for */
    int64_t                           length;

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
};


/*
 * Begins a request: its sweepstakes is found, the fields of its body are read
 * (NULL: it has none), and next is called when the campaign is ready.  The
 * caller leaves in ctx->data what becomes a->what.
 */
ngx_int_t ngx_http_loyalty_sadmin(ngx_http_loyalty_member_ctx_t *ctx,
    const ngx_http_loyalty_fields_t *fields,
    ngx_http_loyalty_member_start_pt next);

/* the data of a ngx_http_loyalty_publish_pt that outlives the request */
ngx_http_loyalty_wait_t *ngx_http_loyalty_sadmin_wait(
    ngx_http_loyalty_sadmin_t *a, ngx_http_loyalty_member_step_pt next);
/* is that pt: goes on with the request, if it is there */
void ngx_http_loyalty_sadmin_published(void *data, ngx_int_t rc,
    int64_t length);
/* it will not be called */
void ngx_http_loyalty_sadmin_over(ngx_http_loyalty_wait_t *wait);

ngx_uint_t ngx_http_loyalty_sadmin_is(ngx_str_t *text, const char *word);


#endif /* _NGX_HTTP_LOYALTY_SWEEPSTAKES_ADMIN_H_INCLUDED_ */
