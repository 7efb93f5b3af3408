/*
 * An entry in three steps: reserve here, draw (which appends the entry) and
 * settle as the room's part of what the draws do with a reservation.
 */

#include "ngx_http_loyalty_sweepstakes.h"
#include "ngx_http_loyalty_request.h"


#define NGX_HTTP_LOYALTY_SOLD  16                 /* seq and first ticket */


typedef struct {
    ngx_http_loyalty_split_t          split;      /* first */
    int64_t                           tickets;
    int64_t                           method;
    u_char                            salt[LOYALTY_SALT];
    ngx_str_t                         id;
} ngx_http_loyalty_entry_split_t;


static ngx_int_t ngx_http_loyalty_enter_reserved(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);

static ngx_int_t ngx_http_loyalty_entry_split_read(
    ngx_http_loyalty_split_t *split, loyalty_mpr_t *r);
static ngx_int_t ngx_http_loyalty_entry_draw_arg(
    ngx_http_loyalty_split_t *split, ngx_http_loyalty_call_t *call,
    loyalty_mpw_t *w);
static ngx_int_t ngx_http_loyalty_entry_settle_arg(
    ngx_http_loyalty_split_t *split, ngx_http_loyalty_call_t *call,
    loyalty_mpw_t *w);
static ngx_int_t ngx_http_loyalty_entry_drawn(
    ngx_http_loyalty_split_t *split, ngx_str_t *value);


ngx_http_loyalty_split_room_t  ngx_http_loyalty_sweepstakes_room = {
    sizeof(ngx_http_loyalty_entry_split_t),
    NGX_HTTP_LOYALTY_FN_ENTER_DRAW,
    NGX_HTTP_LOYALTY_FN_ENTER_SETTLE,
    ngx_http_loyalty_entry_split_read,
    ngx_http_loyalty_entry_draw_arg,
    ngx_http_loyalty_entry_settle_arg,
    ngx_http_loyalty_entry_drawn
};


ngx_int_t
ngx_http_loyalty_enter_reserve(ngx_http_loyalty_member_ctx_t *ctx)
{
    u_char                        buf[NGX_HTTP_LOYALTY_ARG];
    u_char                        person[LOYALTY_HASH];
    ngx_int_t                     rc;
    ngx_str_t                     arg;
    loyalty_mpw_t                 w;
    ngx_http_loyalty_call_t       call;
    ngx_http_loyalty_enter_t     *enter;
    ngx_http_loyalty_version_t   *version;
    ngx_http_loyalty_campaign_t  *campaign;

    enter = ctx->data;
    campaign = enter->campaign;

    rc = ngx_http_loyalty_steps_begin(&enter->steps, ctx, campaign,
                                      enter->again);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    version = ngx_http_loyalty_campaign_version(campaign);

    if (ngx_http_loyalty_split_keys(&call, campaign, &ctx->member, 1)
        != NGX_OK
        || ngx_http_loyalty_campaign_person(campaign, &ctx->member, person)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    loyalty_mpw_init(&w, buf, sizeof(buf));

    ngx_http_loyalty_request_arg(ctx, enter->idempotency, enter->needle,
                                 enter->now, &w);
    loyalty_mpw_str(&w, version->blob.data, version->blob.len);
    loyalty_mpw_str(&w, person, LOYALTY_HASH);
    loyalty_mpw_int(&w, enter->tickets);
    loyalty_mpw_int(&w, enter->method);
    loyalty_mpw_str(&w, enter->salt, LOYALTY_SALT);
    loyalty_mpw_str(&w, enter->id->data, enter->id->len);
    ngx_http_loyalty_request_periods(ctx->program, enter->now, &w);

    if (w.failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    arg.data = buf;
    arg.len = w.pos - buf;

    return ngx_http_loyalty_member_call(ctx,
                                        NGX_HTTP_LOYALTY_FN_ENTER_RESERVE,
                                        call.nkeys, call.keys, &arg,
                                        ngx_http_loyalty_enter_reserved);
}


static ngx_int_t
ngx_http_loyalty_enter_reserved(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_str_t                 *value;
    ngx_http_loyalty_enter_t  *enter;

    enter = ctx->data;
    value = reply->values;

    enter->steps.well = 1;

    if (!reply->array && reply->n == 1 && value->len > 1
        && (value->data[0] == 'N' || value->data[0] == 'O'))
    {
        return ngx_http_loyalty_enter_steps(ctx, value);
    }

    ngx_http_loyalty_steps_end(&enter->steps);

    return enter->reply(ctx, reply);
}


ngx_int_t
ngx_http_loyalty_enter_steps(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_str_t *value)
{
    ngx_http_loyalty_enter_t  *enter;
    ngx_http_loyalty_split_t  *split;

    enter = ctx->data;

    split = ngx_http_loyalty_split_create(ctx->request->pool,
                                          &ngx_http_loyalty_sweepstakes_room,
                                          enter->campaign, &ctx->member);
    if (split == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    enter->steps.reply = enter->reply;
    enter->steps.again = enter->again;

    return ngx_http_loyalty_steps(&enter->steps, ctx, split, value);
}


static ngx_int_t
ngx_http_loyalty_entry_split_read(ngx_http_loyalty_split_t *split,
    loyalty_mpr_t *r)
{
    uint32_t                         n, len;
    const unsigned char             *salt, *id;
    ngx_http_loyalty_entry_split_t  *es;

    es = (ngx_http_loyalty_entry_split_t *) split;

    if (loyalty_mpr_int(r, &es->tickets) != 0
        || loyalty_mpr_int(r, &es->method) != 0
        || loyalty_mpr_str(r, &salt, &n) != 0
        || n != LOYALTY_SALT
        || loyalty_mpr_str(r, &id, &len) != 0)
    {
        return NGX_ERROR;
    }

    ngx_memcpy(es->salt, salt, LOYALTY_SALT);

    es->id.data = (u_char *) id;
    es->id.len = len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_entry_draw_arg(ngx_http_loyalty_split_t *split,
    ngx_http_loyalty_call_t *call, loyalty_mpw_t *w)
{
    const char                      *bar;
    ngx_http_loyalty_entry_split_t  *es;

    es = (ngx_http_loyalty_entry_split_t *) split;
    bar = split->late ? "busy" : "";

    loyalty_mpw_int(w, split->t);
    loyalty_mpw_str(w, split->needle + 2, NGX_HTTP_LOYALTY_IDEMPOTENCY_ID);
    loyalty_mpw_str(w, bar, ngx_strlen(bar));

    if (ngx_http_loyalty_entry_target(split->campaign, &split->member,
                                      &es->id, es->salt, split->t, call, w)
        != NGX_OK
        || ngx_http_loyalty_call_key(call, "%V:d", &split->campaign->tag)
           == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    loyalty_mpw_int(w, es->tickets);
    loyalty_mpw_int(w, es->method);

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_entry_drawn(ngx_http_loyalty_split_t *split,
    ngx_str_t *value)
{
    ngx_int_t  rc;

    if (value->data[0] == 'P') {
        return (value->len == 1 + NGX_HTTP_LOYALTY_SOLD) ? NGX_OK : NGX_ERROR;
    }

    rc = ngx_http_loyalty_entry_retry(split->campaign, value);

    return (rc == NGX_DECLINED) ? NGX_OK
           : (rc == NGX_OK) ? NGX_AGAIN : NGX_BUSY;
}


static ngx_int_t
ngx_http_loyalty_entry_settle_arg(ngx_http_loyalty_split_t *split,
    ngx_http_loyalty_call_t *call, loyalty_mpw_t *w)
{
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = split->campaign;

    loyalty_mpw_str(w, campaign->rule->hash, NGX_HTTP_LOYALTY_HASH);
    loyalty_mpw_int(w, split->t);
    loyalty_mpw_str(w, split->outcome.data + 1,
                    split->outcome.data[0] == 'P' ? NGX_HTTP_LOYALTY_SOLD
                                                  : 0);
    ngx_http_loyalty_request_periods(campaign->program, split->t, w);

    return NGX_OK;
}
