/*
 * POST sweepstakes/NAME/timestamp of the admin API: a token that was fetched
 * by hand, of the close note, of a disqualification or of a manifest.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_sweepstakes_admin.h"


static ngx_int_t ngx_http_loyalty_admin_token_ready(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_admin_token_standing(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_admin_token_note(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_admin_token_find(
    ngx_http_loyalty_sadmin_t *a, ngx_str_t *file, u_char *hash);
static ngx_int_t ngx_http_loyalty_admin_token_send(
    ngx_http_loyalty_member_ctx_t *ctx, const u_char *hash);
static ngx_int_t ngx_http_loyalty_admin_token_publish(
    ngx_http_loyalty_member_ctx_t *ctx);


static const ngx_http_loyalty_fields_t  ngx_http_loyalty_token_fields[] = {

    { "token", NGX_HTTP_LOYALTY_FIELD_TEXT,
      offsetof(ngx_http_loyalty_sadmin_t, token), 0, NGX_HTTP_LOYALTY_TOKEN,
      1 },

    { "for", NGX_HTTP_LOYALTY_FIELD_TEXT,
      offsetof(ngx_http_loyalty_sadmin_t, kind), 0, 16, 0 },

    { "number", NGX_HTTP_LOYALTY_FIELD_INT,
      offsetof(ngx_http_loyalty_sadmin_t, number), 0, 4294967295LL, 0 },

    { NULL, 0, 0, 0, 0, 0 }
};


ngx_int_t
ngx_http_loyalty_admin_timestamp(ngx_http_loyalty_member_ctx_t *ctx)
{
    ctx->data = NULL;

    return ngx_http_loyalty_sadmin(ctx, ngx_http_loyalty_token_fields,
                                   ngx_http_loyalty_admin_token_ready);
}


static ngx_int_t
ngx_http_loyalty_admin_token_ready(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_int_t                   rc;
    ngx_str_t                   detail;
    ngx_http_loyalty_sadmin_t  *a;

    a = ctx->data;

    if (a->kind.len == 0) {
        ngx_str_set(&a->kind, "close");
    }

    rc = ngx_http_loyalty_change_token(ctx, &a->token);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_http_loyalty_sadmin_is(&a->kind, "manifest")) {
        a->file = "manifest";
        return ngx_http_loyalty_admin_token_send(ctx, NULL);
    }

    if (ngx_http_loyalty_sadmin_is(&a->kind, "close")) {
        a->file = "close";
        a->number = 0;

    } else if (ngx_http_loyalty_sadmin_is(&a->kind, "dq")) {
        a->file = "dq";

    } else {
        ngx_str_set(&detail, "\"for\" is one of manifest, close and dq");

        return ngx_http_loyalty_member_problem(ctx,
                                 NGX_HTTP_LOYALTY_P_INVALID_FIELD, &detail);
    }

    ngx_http_loyalty_game_call(&a->call, a->change.campaign, "s meta");
    ngx_str_set(&a->call.arg, "");

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_FN_SWEEPSTAKES,
                                        a->call.nkeys, a->call.keys,
                                        &a->call.arg,
                                        ngx_http_loyalty_admin_token_standing);
}


/* a draw rests on the earliest timestamp that there was */

static ngx_int_t
ngx_http_loyalty_admin_token_standing(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    u_char                        buf[NGX_HTTP_LOYALTY_CAMPAIGN_KEY];
    ngx_str_t                     key;
    ngx_http_loyalty_sadmin_t    *a;
    ngx_http_loyalty_standing_t   standing;

    a = ctx->data;

    if (ngx_http_loyalty_standing(reply, &standing) != NGX_OK) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    if (a->number == 0
        && standing.phase == NGX_HTTP_LOYALTY_PHASE_DRAWN)
    {
        return ngx_http_loyalty_member_problem(ctx,
                                   NGX_HTTP_LOYALTY_P_ALREADY_DRAWN, NULL);
    }

    ngx_http_loyalty_campaign_key(a->change.campaign,
                                  a->number ? "f:dq" : "f:close", -1, buf,
                                  &key);

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_GET, 1, &key,
                                        NULL,
                                        ngx_http_loyalty_admin_token_note);
}


static ngx_int_t
ngx_http_loyalty_admin_token_note(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    u_char                      hash[LOYALTY_HASH];
    ngx_str_t                   detail;
    ngx_http_loyalty_sadmin_t  *a;

    a = ctx->data;

    if (reply->array || reply->n != 1
        || ngx_http_loyalty_admin_token_find(a, &reply->values[0], hash)
           != NGX_OK)
    {
        ngx_str_set(&detail, "there is no such note yet");

        return ngx_http_loyalty_member_problem(ctx,
                                     NGX_HTTP_LOYALTY_P_NOT_OPEN, &detail);
    }

    return ngx_http_loyalty_admin_token_send(ctx, hash);
}


/* the hash of the close note, or of the last dq of this number */

static ngx_int_t
ngx_http_loyalty_admin_token_find(ngx_http_loyalty_sadmin_t *a,
    ngx_str_t *file, u_char *hash)
{
    size_t        len;
    u_char        statement[LOYALTY_DQ_MAX];
    ngx_int_t     found;
    ngx_str_t     text, note;
    loyalty_dq_t  dq;

    if (file->len == 0) {
        return NGX_DECLINED;
    }

    if (a->number == 0) {
        return loyalty_sha(hash, file->data, file->len) == 0 ? NGX_OK
                                                             : NGX_ERROR;
    }

    text = *file;
    found = NGX_DECLINED;

    while (ngx_http_loyalty_dq_next(&text, &note, statement, &len) == NGX_OK)
    {
        if (loyalty_dq_decode(statement, len, &dq) == 0
            && dq.k == (uint32_t) a->number
            && loyalty_sha(hash, note.data, note.len) == 0)
        {
            found = NGX_OK;
        }
    }

    return found;
}


static ngx_int_t
ngx_http_loyalty_admin_token_send(ngx_http_loyalty_member_ctx_t *ctx,
    const u_char *hash)
{
    u_char                     *p;
    ngx_str_t                   details;
    ngx_http_loyalty_sadmin_t  *a;

    a = ctx->data;

    p = ngx_pnalloc(ctx->request->pool, NGX_INT64_LEN + 16);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    details.data = p;
    details.len = ngx_sprintf(p, "%s %L", a->file, a->number) - p;

    if (hash != NULL) {
        ngx_memcpy(a->hash, hash, LOYALTY_HASH);
        a->hashed = 1;
    }

    return ngx_http_loyalty_admin_note(ctx, "timestamp", &ctx->name, &details,
                                       ngx_http_loyalty_admin_token_publish);
}


static ngx_int_t
ngx_http_loyalty_admin_token_publish(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_http_loyalty_sadmin_t  *a;

    a = ctx->data;

    return ngx_http_loyalty_change_stamp(ctx, a->file, a->number,
                                         a->hashed ? a->hash : NULL,
                                         &a->token);
}
