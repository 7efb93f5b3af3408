/*
 * What the admin API does with a campaign, whatever its room: a request finds
 * it, pauses it, or brings a timestamp that was fetched by hand.
 */

#ifndef _NGX_HTTP_LOYALTY_CHANGE_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_CHANGE_H_INCLUDED_


#include "ngx_http_loyalty_await.h"
#include "ngx_http_loyalty_admin.h"


#define NGX_HTTP_LOYALTY_TOKEN  49152             /* bytes of base64 */


typedef struct ngx_http_loyalty_told_s  ngx_http_loyalty_told_t;


/* one request; a room's own structure begins with it, and is ctx->data */

typedef struct {
    ngx_http_loyalty_await_t          await;
    ngx_http_loyalty_campaign_t      *campaign;

    /* private */
    const char                       *file;       /* what is stamped */
    int64_t                           number;
    ngx_uint_t                        pause;
    ngx_http_loyalty_member_start_pt  next;
    ngx_int_t                         rc;         /* what was told */
    int64_t                           time;
    ngx_http_loyalty_told_t          *told;
} ngx_http_loyalty_change_t;


/*
 * Begins a request: NGX_DECLINED when ctx is about the campaign of this kind
 * that its path names, and the fields of its body are in change; else it has
 * been answered.
 */
ngx_int_t ngx_http_loyalty_change(ngx_http_loyalty_change_t *change,
    ngx_http_loyalty_member_ctx_t *ctx, ngx_uint_t kind,
    const ngx_http_loyalty_fields_t *fields);

/*
 * The rest needs the campaign to be ready, ngx_http_loyalty_await().
 */

/* pauses or resumes it, also where it is stopped (await.shows); then next(ctx)
   answers */
ngx_int_t ngx_http_loyalty_change_pause(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_uint_t pause, ngx_http_loyalty_member_start_pt next);

/* a token as it was posted: NGX_DECLINED when it is DER now; else it has been
   answered */
ngx_int_t ngx_http_loyalty_change_token(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_str_t *token);

/* publishes it, of the note with this hash; NULL: of manifest NUMBER */
ngx_int_t ngx_http_loyalty_change_stamp(ngx_http_loyalty_member_ctx_t *ctx,
    const char *file, int64_t number, const u_char *hash, ngx_str_t *token);


#endif /* _NGX_HTTP_LOYALTY_CHANGE_H_INCLUDED_ */
