/*
 * POST games/NAME/cosignature and sweepstakes/NAME/cosignature of the admin
 * API: a witness has cosigned a note, and its line gets into the file
 * "cosignatures".
 *
 * What is published stays, and a line that is of another note would be held
 * against the draw for ever.  So it comes with the witness's key and is
 * verified first.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_change.h"
#include "loyalty_cosign.h"


#define NGX_HTTP_LOYALTY_COSIGN_MAX  512          /* bytes of a line */


typedef struct {
    ngx_http_loyalty_change_t      change;        /* first */
    const char                    *kind;          /* of the note */
    loyalty_cosignature_t          cosignature;

    /* fields of the body */
    ngx_str_t                      line;
    ngx_str_t                      key;
    ngx_str_t                      what;
    int64_t                        number;
} ngx_http_loyalty_cosign_t;


static ngx_int_t ngx_http_loyalty_cosign(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_uint_t kind);
static ngx_int_t ngx_http_loyalty_cosign_kind(ngx_http_loyalty_cosign_t *c);
static ngx_int_t ngx_http_loyalty_cosign_ready(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_cosign_notes(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_cosign_text(ngx_http_loyalty_cosign_t *c,
    ngx_str_t *file, ngx_str_t *text);
static ngx_int_t ngx_http_loyalty_cosign_is(ngx_http_loyalty_cosign_t *c,
    ngx_str_t *base64, int64_t nth);
static ngx_int_t ngx_http_loyalty_cosign_send(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_cosign_answer(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);


static const ngx_http_loyalty_fields_t  ngx_http_loyalty_cosign_fields[] = {

    { "cosignature", NGX_HTTP_LOYALTY_FIELD_TEXT,
      offsetof(ngx_http_loyalty_cosign_t, line), 0,
      NGX_HTTP_LOYALTY_COSIGN_MAX, 1 },

    { "key", NGX_HTTP_LOYALTY_FIELD_TEXT,
      offsetof(ngx_http_loyalty_cosign_t, key), 0,
      NGX_HTTP_LOYALTY_COSIGN_MAX, 1 },

    { "for", NGX_HTTP_LOYALTY_FIELD_TEXT,
      offsetof(ngx_http_loyalty_cosign_t, what), 0, 16, 0 },

    { "number", NGX_HTTP_LOYALTY_FIELD_INT,
      offsetof(ngx_http_loyalty_cosign_t, number), 1, 4294967295LL, 0 },

    { NULL, 0, 0, 0, 0, 0 }
};


ngx_int_t
ngx_http_loyalty_admin_instant_cosignature(ngx_http_loyalty_member_ctx_t *ctx)
{
    return ngx_http_loyalty_cosign(ctx, LOYALTY_INSTANT_WIN);
}


ngx_int_t
ngx_http_loyalty_admin_cosignature(ngx_http_loyalty_member_ctx_t *ctx)
{
    return ngx_http_loyalty_cosign(ctx, LOYALTY_SWEEPSTAKES);
}


static ngx_int_t
ngx_http_loyalty_cosign(ngx_http_loyalty_member_ctx_t *ctx, ngx_uint_t kind)
{
    ngx_int_t                   rc;
    ngx_str_t                   detail;
    ngx_http_loyalty_cosign_t  *c;

    c = ngx_pcalloc(ctx->request->pool, sizeof(ngx_http_loyalty_cosign_t));
    if (c == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    c->number = 1;

    rc = ngx_http_loyalty_change(&c->change, ctx, kind,
                                 ngx_http_loyalty_cosign_fields);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_http_loyalty_cosign_kind(c) != NGX_OK) {
        ngx_str_set(&detail, "\"for\" is not a note of this draw that a "
                             "witness cosigns");

        return ngx_http_loyalty_member_problem(ctx,
                                 NGX_HTTP_LOYALTY_P_INVALID_FIELD, &detail);
    }

    return ngx_http_loyalty_await(&c->change.await, ctx, c->change.campaign,
                                  ngx_http_loyalty_cosign_ready);
}


/* the note that matters most is the one that is meant */

static ngx_int_t
ngx_http_loyalty_cosign_kind(ngx_http_loyalty_cosign_t *c)
{
    ngx_uint_t  i;

    static const char  *kinds[] = { "close", "manifest", "dq" };

    if (c->what.len == 0) {
        c->kind = kinds[c->change.campaign->kind == LOYALTY_INSTANT_WIN];

    } else {
        for (i = 0; i < 3; i++) {
            if (c->what.len == ngx_strlen(kinds[i])
                && ngx_memcmp(c->what.data, kinds[i], c->what.len) == 0)
            {
                c->kind = kinds[i];
            }
        }

        if (c->kind == NULL
            || (c->change.campaign->kind == LOYALTY_INSTANT_WIN
                && ngx_strcmp(c->kind, "manifest") != 0))
        {
            return NGX_DECLINED;
        }
    }

    if (ngx_strcmp(c->kind, "close") == 0) {
        c->number = 0;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_cosign_ready(ngx_http_loyalty_member_ctx_t *ctx)
{
    u_char                      buf[NGX_HTTP_LOYALTY_CAMPAIGN_KEY], name[32];
    ngx_str_t                   key;
    ngx_http_loyalty_cosign_t  *c;

    c = ctx->data;

    ngx_sprintf(name, "f:%s%Z", c->kind);
    ngx_http_loyalty_campaign_key(c->change.campaign, (char *) name, -1, buf,
                                  &key);

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_GET, 1, &key,
                                        NULL, ngx_http_loyalty_cosign_notes);
}


static ngx_int_t
ngx_http_loyalty_cosign_notes(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    u_char                     *p;
    ngx_str_t                   text, detail;
    const char                 *error;
    ngx_http_loyalty_cosign_t  *c;

    c = ctx->data;

    if (reply->array || reply->n != 1
        || ngx_http_loyalty_cosign_text(c, &reply->values[0], &text)
           != NGX_OK)
    {
        ngx_str_set(&detail, "there is no such note yet");

        return ngx_http_loyalty_member_problem(ctx,
                                     NGX_HTTP_LOYALTY_P_NOT_OPEN, &detail);
    }

    error = loyalty_cosignature(&c->cosignature, c->key.data, c->key.len,
                                c->line.data, c->line.len, text.data,
                                text.len);
    if (error != NULL) {
        detail.data = (u_char *) error;
        detail.len = ngx_strlen(error);

        return ngx_http_loyalty_member_problem(ctx,
                                 NGX_HTTP_LOYALTY_P_INVALID_FIELD, &detail);
    }

    /* the feed is told what is published, but for the name of the file */

    p = ngx_pnalloc(ctx->request->pool,
                    c->cosignature.len + c->cosignature.nbase64 + 64);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    c->line.data = p;
    p = ngx_sprintf(p, "%s %L ", c->kind, c->number);
    p = ngx_cpymem(p, c->cosignature.name, c->cosignature.len);
    *p++ = ' ';
    c->cosignature.name = p - 1 - c->cosignature.len;
    p = ngx_cpymem(p, c->cosignature.base64, c->cosignature.nbase64);
    c->line.len = p - c->line.data;

    return ngx_http_loyalty_admin_note(ctx, "cosignature", &ctx->name,
                                       &c->line,
                                       ngx_http_loyalty_cosign_send);
}


/* the text of the last note that is meant: a dq may have been made again */

static ngx_int_t
ngx_http_loyalty_cosign_text(ngx_http_loyalty_cosign_t *c, ngx_str_t *file,
    ngx_str_t *text)
{
    int64_t    nth;
    ngx_int_t  rc, found;
    ngx_str_t  rest, note, base64;

    rest = *file;
    found = NGX_DECLINED;

    for (nth = 1; /* void */ ; nth++) {

        rc = ngx_http_loyalty_note_next(&rest, &note, &base64);

        if (rc != NGX_OK) {
            return (rc == NGX_DONE) ? found : rc;
        }

        if (ngx_http_loyalty_cosign_is(c, &base64, nth) == NGX_OK) {
            text->data = note.data;
            text->len = base64.data + base64.len + 1 - note.data;
            found = NGX_OK;
        }
    }
}


static ngx_int_t
ngx_http_loyalty_cosign_is(ngx_http_loyalty_cosign_t *c, ngx_str_t *base64,
    int64_t nth)
{
    size_t        len;
    u_char        statement[LOYALTY_DQ_MAX];
    loyalty_dq_t  dq;

    if (c->kind[0] == 'c') {
        return NGX_OK;
    }

    if (c->kind[0] == 'm') {
        return (nth == c->number) ? NGX_OK : NGX_DECLINED;
    }

    return (loyalty_unbase64(statement, sizeof(statement), &len, base64->data,
                             base64->len)
            == 0
            && loyalty_dq_decode(statement, len, &dq) == 0
            && (int64_t) dq.k == c->number) ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_loyalty_cosign_send(ngx_http_loyalty_member_ctx_t *ctx)
{
    u_char                      buf[NGX_HTTP_LOYALTY_CAMPAIGN_KEY];
    u_char                      packed[NGX_HTTP_LOYALTY_COSIGN_MAX + 64];
    ngx_str_t                   key, arg;
    loyalty_mpw_t               w;
    ngx_http_loyalty_cosign_t  *c;

    c = ctx->data;

    c->line.data[c->line.len++] = LF;

    loyalty_mpw_init(&w, packed, sizeof(packed));
    loyalty_mpw_str(&w, c->line.data, c->line.len);

    if (w.failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    arg.data = w.start;
    arg.len = w.pos - w.start;

    ngx_http_loyalty_campaign_key(c->change.campaign, "f:cosignatures", -1,
                                  buf, &key);

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_FN_LINE, 1,
                                        &key, &arg,
                                        ngx_http_loyalty_cosign_answer);
}


static ngx_int_t
ngx_http_loyalty_cosign_answer(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_str_t                   detail;
    loyalty_out_t               out;
    ngx_http_loyalty_cosign_t  *c;

    c = ctx->data;

    if (reply->n == 0 || reply->values[0].len != 1) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    if (reply->values[0].data[0] == 'F') {
        ngx_str_set(&detail, "the file has as many cosignatures as it may");

        return ngx_http_loyalty_member_problem(ctx,
                                 NGX_HTTP_LOYALTY_P_LIMIT_REACHED, &detail);
    }

    ngx_http_loyalty_out_pool(&out, ctx->request->pool, 256);

    loyalty_out_lit(&out, "{\"for\":");
    loyalty_out_str(&out, c->kind, ngx_strlen(c->kind));
    loyalty_out_lit(&out, ",\"number\":");
    loyalty_out_int(&out, c->number);
    loyalty_out_lit(&out, ",\"witness\":");
    loyalty_out_str(&out, c->cosignature.name, c->cosignature.len);
    loyalty_out_lit(&out, ",\"time\":");
    loyalty_out_time(&out, (int64_t) c->cosignature.time * 1000);
    loyalty_out_lit(&out, "}");

    return out.failed ? NGX_HTTP_INTERNAL_SERVER_ERROR
                      : ngx_http_loyalty_member_send(ctx, &out);
}
