/*
 * Requests of the admin API about a campaign: what both rooms have.
 *
 * What a campaign tells later is told to a structure of its own, as the
 * request may have gone by then.
 */

#include "ngx_http_loyalty_change.h"


struct ngx_http_loyalty_told_s {
    ngx_http_loyalty_change_t        *change;     /* NULL: the request went */
    ngx_http_loyalty_member_step_pt   next;
};


static ngx_int_t ngx_http_loyalty_change_pause_send(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_change_paused(void *data);
static ngx_int_t ngx_http_loyalty_change_stamped(void *data);
static ngx_http_loyalty_told_t *ngx_http_loyalty_told(
    ngx_http_loyalty_change_t *change, ngx_http_loyalty_member_step_pt next);
static void ngx_http_loyalty_told_over(ngx_http_loyalty_told_t *told);
static void ngx_http_loyalty_told_published(void *data, ngx_int_t rc,
    int64_t value);
static void ngx_http_loyalty_told_cleanup(void *data);


ngx_int_t
ngx_http_loyalty_change(ngx_http_loyalty_change_t *change,
    ngx_http_loyalty_member_ctx_t *ctx, ngx_uint_t kind,
    const ngx_http_loyalty_fields_t *fields)
{
    ngx_http_loyalty_fault_t  fault;

    ctx->data = change;

    change->campaign = ngx_http_loyalty_campaign_find(ctx->program, kind,
                                                      &ctx->name);
    if (change->campaign == NULL) {
        return ngx_http_loyalty_member_problem(ctx,
                                    NGX_HTTP_LOYALTY_P_UNKNOWN_GAME, NULL);
    }

    if (ngx_http_loyalty_fields(ctx->json, fields, change, &fault) != NGX_OK)
    {
        return ngx_http_loyalty_member_fault(ctx, &fault);
    }

    /* the game's slot, and nobody's */

    ctx->partition = ngx_http_loyalty_campaign_partition(change->campaign);

    return NGX_DECLINED;
}


/* ---- pause, resume ---- */

ngx_int_t
ngx_http_loyalty_change_pause(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_uint_t pause, ngx_http_loyalty_member_start_pt next)
{
    ngx_str_t                   none;
    ngx_http_loyalty_change_t  *change;

    change = ctx->data;
    change->pause = pause;
    change->next = next;

    /* what Redis does not know, or has not told, cannot be paused there */

    if (change->await.stopped
        && ngx_http_loyalty_campaign_version(change->campaign) == NULL)
    {
        return ngx_http_loyalty_member_problem(ctx, change->await.stopped,
                                               NULL);
    }

    ngx_str_null(&none);

    return ngx_http_loyalty_admin_note(ctx, pause ? "pause" : "resume",
                                       &ctx->name, &none,
                                       ngx_http_loyalty_change_pause_send);
}


static ngx_int_t
ngx_http_loyalty_change_pause_send(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_http_loyalty_told_t    *told;
    ngx_http_loyalty_change_t  *change;

    change = ctx->data;

    told = ngx_http_loyalty_told(change, ngx_http_loyalty_change_paused);

    if (told == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_loyalty_campaign_pause(change->campaign, change->pause,
                                        ngx_http_loyalty_told_published, told)
        != NGX_OK)
    {
        ngx_http_loyalty_told_over(told);

        return ngx_http_loyalty_member_problem(ctx,
                                    NGX_HTTP_LOYALTY_P_UNAVAILABLE, NULL);
    }

    return NGX_BUSY;
}


static ngx_int_t
ngx_http_loyalty_change_paused(void *data)
{
    ngx_http_loyalty_change_t *change = data;

    if (change->rc != NGX_OK) {
        return ngx_http_loyalty_member_problem(change->await.ctx,
                                    NGX_HTTP_LOYALTY_P_UNAVAILABLE, NULL);
    }

    return change->next(change->await.ctx);
}


/* ---- timestamps ---- */

ngx_int_t
ngx_http_loyalty_change_token(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_str_t *token)
{
    size_t      len;
    u_char     *p;
    ngx_str_t   detail;

    p = ngx_pnalloc(ctx->request->pool, token->len);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (loyalty_unbase64(p, token->len, &len, token->data, token->len) != 0) {
        ngx_str_set(&detail, "\"token\" is not base64");

        return ngx_http_loyalty_member_problem(ctx,
                                 NGX_HTTP_LOYALTY_P_INVALID_FIELD, &detail);
    }

    token->data = p;
    token->len = len;

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_loyalty_change_stamp(ngx_http_loyalty_member_ctx_t *ctx,
    const char *file, int64_t number, const u_char *hash, ngx_str_t *token)
{
    ngx_int_t                   rc;
    ngx_str_t                   error;
    ngx_http_loyalty_told_t    *told;
    ngx_http_loyalty_change_t  *change;

    change = ctx->data;
    change->file = file;
    change->number = number;

    ngx_str_null(&error);

    told = ngx_http_loyalty_told(change, ngx_http_loyalty_change_stamped);

    if (told == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_loyalty_campaign_token(change->campaign, ctx->request->pool,
                                         file, (uint32_t) number, hash, token,
                                         &error,
                                         ngx_http_loyalty_told_published,
                                         told);
    if (rc == NGX_OK) {
        return NGX_BUSY;
    }

    ngx_http_loyalty_told_over(told);

    if (rc == NGX_DECLINED) {
        return ngx_http_loyalty_member_problem(ctx,
                                  NGX_HTTP_LOYALTY_P_INVALID_FIELD, &error);
    }

    return ngx_http_loyalty_member_problem(ctx,
                                    NGX_HTTP_LOYALTY_P_UNAVAILABLE, NULL);
}


static ngx_int_t
ngx_http_loyalty_change_stamped(void *data)
{
    ngx_http_loyalty_change_t *change = data;

    ngx_str_t                       detail;
    loyalty_out_t                   out;
    ngx_http_loyalty_member_ctx_t  *ctx;

    ctx = change->await.ctx;

    if (change->rc == NGX_DECLINED) {
        ngx_str_set(&detail, "the version would govern an epoch that has "
                             "begun: a newer token is expected");

        return ngx_http_loyalty_member_problem(ctx,
                                     NGX_HTTP_LOYALTY_P_CLOSED, &detail);
    }

    if (change->rc != NGX_OK) {
        return ngx_http_loyalty_member_problem(ctx,
                                    NGX_HTTP_LOYALTY_P_UNAVAILABLE, NULL);
    }

    ngx_http_loyalty_out_pool(&out, ctx->request->pool, 256);

    loyalty_out_lit(&out, "{\"for\":");
    loyalty_out_str(&out, change->file, ngx_strlen(change->file));
    loyalty_out_lit(&out, ",\"number\":");
    loyalty_out_int(&out, change->number);
    loyalty_out_lit(&out, ",\"earliest\":");
    loyalty_out_time(&out, change->time);
    loyalty_out_lit(&out, "}");

    return out.failed ? NGX_HTTP_INTERNAL_SERVER_ERROR
                      : ngx_http_loyalty_member_send(ctx, &out);
}


/* ---- what is told later ---- */

static ngx_http_loyalty_told_t *
ngx_http_loyalty_told(ngx_http_loyalty_change_t *change,
    ngx_http_loyalty_member_step_pt next)
{
    ngx_http_request_t       *r;
    ngx_http_cleanup_t       *cln;
    ngx_http_loyalty_told_t  *told;

    r = change->await.ctx->request;

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NULL;
    }

    told = ngx_alloc(sizeof(ngx_http_loyalty_told_t), r->connection->log);
    if (told == NULL) {
        return NULL;
    }

    told->change = change;
    told->next = next;
    change->told = told;

    cln->handler = ngx_http_loyalty_told_cleanup;
    cln->data = change;

    return told;
}


static void
ngx_http_loyalty_told_over(ngx_http_loyalty_told_t *told)
{
    if (told->change != NULL) {
        told->change->told = NULL;
    }

    ngx_free(told);
}


static void
ngx_http_loyalty_told_published(void *data, ngx_int_t rc, int64_t value)
{
    ngx_http_loyalty_told_t *told = data;

    ngx_http_loyalty_change_t        *change;
    ngx_http_loyalty_member_step_pt   next;

    change = told->change;
    next = told->next;

    ngx_http_loyalty_told_over(told);

    if (change != NULL) {
        change->rc = rc;
        change->time = value;
        ngx_http_loyalty_member_resume(change->await.ctx, next, change);
    }
}


static void
ngx_http_loyalty_told_cleanup(void *data)
{
    ngx_http_loyalty_change_t *change = data;

    if (change->told != NULL) {
        change->told->change = NULL;
        change->told = NULL;
    }
}
