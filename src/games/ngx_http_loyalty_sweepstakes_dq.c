/*
 * Disqualifications: a signed note about whoever had a prize, in its own
 * number, and the call that vacates the prize for an alternate.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_sweepstakes.h"


ngx_int_t
ngx_http_loyalty_dq_note(ngx_http_loyalty_campaign_t *campaign,
    ngx_pool_t *pool, loyalty_dq_t *dq, ngx_str_t *who, ngx_str_t *note)
{
    size_t  len;
    u_char  statement[LOYALTY_DQ_MAX];

    if (who->len != NGX_HTTP_LOYALTY_WHO) {
        return NGX_ERROR;
    }

    ngx_memcpy(dq->cid, campaign->cid, LOYALTY_CID);
    dq->seq = loyalty_get_u64(who->data);
    ngx_memcpy(dq->person, who->data + 8, LOYALTY_HASH);

    len = loyalty_dq_encode(statement, sizeof(statement), dq);

    if (len == 0) {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_campaign_note(campaign, pool, LOYALTY_NOTE_DQ,
                                          statement, len, note);
}


ngx_int_t
ngx_http_loyalty_dq_call(ngx_http_loyalty_game_call_t *call,
    ngx_http_loyalty_campaign_t *campaign, ngx_pool_t *pool,
    loyalty_dq_t *dq, ngx_str_t *who, ngx_str_t *note)
{
    u_char         *buf;
    size_t          size;
    loyalty_mpw_t  *w;

    size = note->len + 256;

    buf = ngx_pnalloc(pool, size);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    ngx_http_loyalty_game_call(call, campaign, "w f:picks f:dq");

    w = &call->w;

    loyalty_mpw_init(w, buf, size);
    loyalty_mpw_int(w, (int64_t) dq->t);
    loyalty_mpw_int(w, dq->k);
    loyalty_mpw_int(w, dq->position);
    loyalty_mpw_str(w, who->data, who->len);
    loyalty_mpw_str(w, note->data, note->len);
    loyalty_mpw_int(w, (campaign->flags & LOYALTY_FRESH) ? 1 : 0);

    call->arg.data = buf;
    call->arg.len = w->pos - buf;

    return w->failed ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_http_loyalty_dq_next(ngx_str_t *text, ngx_str_t *note, u_char *statement,
    size_t *len)
{
    ngx_int_t  rc;
    ngx_str_t  base64;

    rc = ngx_http_loyalty_note_next(text, note, &base64);

    if (rc == NGX_OK
        && loyalty_unbase64(statement, LOYALTY_DQ_MAX, len, base64.data,
                            base64.len)
           != 0)
    {
        return NGX_ERROR;
    }

    return rc;
}
