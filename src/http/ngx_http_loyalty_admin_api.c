/*
 * The admin API: what operators and their tools call.  Its access rule is
 * that of the event API; who makes a change is what loyalty_actor says, else
 * the user or the key that the request was signed with.
 */

#include "ngx_http_loyalty_admin.h"
#include "ngx_http_loyalty_access.h"


#define NGX_HTTP_LOYALTY_NOTE  2048               /* bytes of an argument */


static ngx_int_t ngx_http_loyalty_admin_actor(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_admin_noted(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);


static ngx_http_loyalty_member_path_t  ngx_http_loyalty_admin_paths[] = {

    { ngx_string("members/ID"), NGX_HTTP_GET,
      ngx_http_loyalty_admin_member },

    { ngx_string("members/ID"), NGX_HTTP_DELETE,
      ngx_http_loyalty_admin_erase },

    { ngx_string("members/ID/history"), NGX_HTTP_GET,
      ngx_http_loyalty_admin_history },

    { ngx_string("members/ID/export"), NGX_HTTP_GET,
      ngx_http_loyalty_admin_export },

    { ngx_string("members/ID/adjustments"), NGX_HTTP_POST,
      ngx_http_loyalty_admin_adjust },

    { ngx_string("games/NAME"), NGX_HTTP_GET,
      ngx_http_loyalty_admin_instant },

    { ngx_string("games/NAME/grants"), NGX_HTTP_POST,
      ngx_http_loyalty_admin_grant },

    { ngx_string("games/NAME/pause"), NGX_HTTP_POST,
      ngx_http_loyalty_admin_instant_pause },

    { ngx_string("games/NAME/resume"), NGX_HTTP_POST,
      ngx_http_loyalty_admin_instant_resume },

    { ngx_string("games/NAME/timestamp"), NGX_HTTP_POST,
      ngx_http_loyalty_admin_instant_timestamp },

    { ngx_string("games/NAME/cosignature"), NGX_HTTP_POST,
      ngx_http_loyalty_admin_instant_cosignature },

    { ngx_string("codes/POOL"), NGX_HTTP_POST|NGX_HTTP_LOYALTY_MEMBER_LINES,
      ngx_http_loyalty_admin_codes },

    { ngx_string("rewards/NAME/codes"),
      NGX_HTTP_POST|NGX_HTTP_LOYALTY_MEMBER_LINES,
      ngx_http_loyalty_admin_reward_codes },

    { ngx_string("beacons"), NGX_HTTP_GET,
      ngx_http_loyalty_admin_beacons },

    { ngx_string("beacons"), NGX_HTTP_POST,
      ngx_http_loyalty_admin_beacon_post },

    { ngx_string("beacons/ROUND"), NGX_HTTP_GET,
      ngx_http_loyalty_admin_beacon },

    { ngx_string("sweepstakes/NAME"), NGX_HTTP_GET,
      ngx_http_loyalty_admin_sweepstakes },

    { ngx_string("sweepstakes/NAME/entries"),
      NGX_HTTP_POST|NGX_HTTP_LOYALTY_MEMBER_LINES,
      ngx_http_loyalty_admin_entries },

    { ngx_string("sweepstakes/NAME/close"), NGX_HTTP_POST,
      ngx_http_loyalty_admin_close },

    { ngx_string("sweepstakes/NAME/draw"), NGX_HTTP_POST,
      ngx_http_loyalty_admin_draw },

    { ngx_string("sweepstakes/NAME/timestamp"), NGX_HTTP_POST,
      ngx_http_loyalty_admin_timestamp },

    { ngx_string("sweepstakes/NAME/cosignature"), NGX_HTTP_POST,
      ngx_http_loyalty_admin_cosignature },

    { ngx_string("sweepstakes/NAME/disqualifications"), NGX_HTTP_POST,
      ngx_http_loyalty_admin_disqualify },

    { ngx_string("sweepstakes/NAME/winners/POS/claim"), NGX_HTTP_POST,
      ngx_http_loyalty_admin_claim },

    { ngx_string("sweepstakes/NAME/winners/POS/deliver"), NGX_HTTP_POST,
      ngx_http_loyalty_admin_deliver },

    { ngx_string("sweepstakes/NAME/pause"), NGX_HTTP_POST,
      ngx_http_loyalty_admin_sweepstakes_pause },

    { ngx_string("sweepstakes/NAME/resume"), NGX_HTTP_POST,
      ngx_http_loyalty_admin_sweepstakes_resume },

    { ngx_string("stats"), NGX_HTTP_GET,
      ngx_http_loyalty_admin_stats },

    { ngx_null_string, 0, NULL }
};


ngx_int_t
ngx_http_loyalty_admin_api(ngx_http_request_t *r)
{
    return ngx_http_loyalty_member_serve(r, NGX_HTTP_LOYALTY_API_ADMIN,
                                         ngx_http_loyalty_admin_paths);
}


/* who has not signed in time is not told what there is */

ngx_int_t
ngx_http_loyalty_admin_access(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_str_t  detail;

    if (ngx_http_loyalty_access(ctx->request, &detail) == NGX_OK) {
        return NGX_DECLINED;
    }

    return ngx_http_loyalty_member_problem(ctx,
                             NGX_HTTP_LOYALTY_P_INVALID_SIGNATURE, &detail);
}


ngx_int_t
ngx_http_loyalty_admin_identity(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_str_t  empty;

    if (ctx->request->method == NGX_HTTP_POST) {
        return NGX_DECLINED;
    }

    /* a request without a body is signed all the same */

    ngx_str_set(&empty, "");

    return ngx_http_loyalty_admin_body(ctx, &empty);
}


ngx_int_t
ngx_http_loyalty_admin_body(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_str_t *body)
{
    ngx_int_t  rc;
    ngx_str_t  detail;

    rc = ngx_http_loyalty_access_body(ctx->request, body, &detail);

    if (rc == NGX_DECLINED) {
        return ngx_http_loyalty_member_problem(ctx,
                             NGX_HTTP_LOYALTY_P_INVALID_SIGNATURE, &detail);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_loyalty_admin_actor(ctx);
}


static ngx_int_t
ngx_http_loyalty_admin_actor(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_str_t                     detail;
    ngx_http_request_t           *r;
    ngx_http_loyalty_loc_conf_t  *llcf;

    r = ctx->request;
    llcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_module);

    if (llcf->actor != NULL) {
        if (ngx_http_complex_value(r, llcf->actor, &ctx->actor) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

    } else {
        ngx_http_loyalty_access_key(r, &ctx->actor);

        if (ctx->actor.len == 0
            && ngx_http_auth_basic_user(r) == NGX_OK)
        {
            ctx->actor = r->headers_in.user;
        }

        if (ctx->actor.len == 0) {
            ngx_str_set(&ctx->actor, "admin");
        }
    }

    if (ngx_http_loyalty_text_check(&ctx->actor, NGX_HTTP_LOYALTY_ACTOR)
        == NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_str_set(&detail, "\"loyalty_actor\" is not 1 to 128 bytes of "
                         "printable UTF-8 in this request");

    return ngx_http_loyalty_member_problem(ctx,
                                 NGX_HTTP_LOYALTY_P_INVALID_FIELD, &detail);
}


ngx_int_t
ngx_http_loyalty_admin_note(ngx_http_loyalty_member_ctx_t *ctx,
    const char *what, ngx_str_t *subject, ngx_str_t *details,
    ngx_http_loyalty_member_start_pt then)
{
    u_char         buf[NGX_HTTP_LOYALTY_NOTE], text[160];
    ngx_str_t      arg, key;
    loyalty_mpw_t  w;

    ctx->then = then;

    loyalty_mpw_init(&w, buf, sizeof(buf));
    loyalty_mpw_int(&w, ctx->program->feed_max);
    loyalty_mpw_str(&w, ctx->actor.data, ctx->actor.len);
    loyalty_mpw_str(&w, what, ngx_strlen(what));
    loyalty_mpw_str(&w, subject->data, subject->len);
    loyalty_mpw_str(&w, details->data,
                    ngx_min(details->len, NGX_HTTP_LOYALTY_REASON));

    arg.data = w.start;
    arg.len = w.pos - w.start;

    key.data = text;
    key.len = ngx_snprintf(text, sizeof(text), "{%V}:feed",
                           &ctx->program->name)
              - text;

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_FN_NOTE, 1,
                                        &key, &arg,
                                        ngx_http_loyalty_admin_noted);
}


static ngx_int_t
ngx_http_loyalty_admin_noted(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    return ctx->then(ctx);
}
