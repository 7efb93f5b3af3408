/*
 * Calls on the slot that a sweepstakes has in Redis, by requests and by the
 * worker that leads.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_sweepstakes.h"


static void ngx_http_loyalty_game_key(ngx_http_loyalty_game_call_t *call,
    ngx_http_loyalty_campaign_t *campaign, const char *what, int64_t n);


/* what claim_H says behind an "E" */

typedef struct {
    ngx_str_t                     code;
    ngx_http_loyalty_problem_e    problem;
    ngx_str_t                     detail;
} ngx_http_loyalty_claim_error_t;

static const ngx_http_loyalty_claim_error_t
    ngx_http_loyalty_claim_errors[] =
{
    { ngx_string("Enot_open"), NGX_HTTP_LOYALTY_P_NOT_OPEN,
      ngx_string("nothing is drawn yet") },

    { ngx_string("Enot_eligible"), NGX_HTTP_LOYALTY_P_NOT_ELIGIBLE,
      ngx_string("there is no such winner") },

    { ngx_string("Eclosed"), NGX_HTTP_LOYALTY_P_CLOSED,
      ngx_string("the time to claim this prize is over") },

    { ngx_null_string, NGX_HTTP_LOYALTY_P_INTERNAL, ngx_null_string }
};


void
ngx_http_loyalty_game_call(ngx_http_loyalty_game_call_t *call,
    ngx_http_loyalty_campaign_t *campaign, const char *what)
{
    char        word[16];
    ngx_uint_t  n;

    call->nkeys = 0;
    loyalty_mpw_init(&call->w, call->buf, sizeof(call->buf));

    while (*what != '\0') {

        for (n = 0; what[n] != '\0' && what[n] != ' '; n++) {
            word[n] = what[n];
        }

        word[n] = '\0';

        ngx_http_loyalty_game_key(call, campaign, word, -1);

        what += n + (what[n] == ' ');
    }
}


void
ngx_http_loyalty_game_chunk(ngx_http_loyalty_game_call_t *call,
    ngx_http_loyalty_campaign_t *campaign, int64_t n)
{
    ngx_http_loyalty_game_key(call, campaign, "e", n);
}


static void
ngx_http_loyalty_game_key(ngx_http_loyalty_game_call_t *call,
    ngx_http_loyalty_campaign_t *campaign, const char *what, int64_t n)
{
    ngx_http_loyalty_campaign_key(campaign, what, n,
                                  call->names + call->nkeys
                                  * NGX_HTTP_LOYALTY_CAMPAIGN_KEY,
                                  &call->keys[call->nkeys]);
    call->nkeys++;
}


void
ngx_http_loyalty_claim_call(ngx_http_loyalty_game_call_t *call,
    ngx_http_loyalty_campaign_t *campaign, int64_t now, int64_t position,
    const u_char *person, ngx_http_loyalty_held_e what)
{
    ngx_http_loyalty_sweepstakes_conf_t  *scf;

    scf = (ngx_http_loyalty_sweepstakes_conf_t *) campaign;

    ngx_http_loyalty_game_call(call, campaign, "w f:picks");

    loyalty_mpw_int(&call->w, now);
    loyalty_mpw_int(&call->w, position);
    loyalty_mpw_str(&call->w, person, (person == NULL) ? 0 : LOYALTY_HASH);
    loyalty_mpw_int(&call->w, what);
    loyalty_mpw_int(&call->w, scf->claim_within);

    call->arg.data = call->w.start;
    call->arg.len = call->w.pos - call->w.start;
}


ngx_int_t
ngx_http_loyalty_claim_json(ngx_http_loyalty_campaign_t *campaign,
    ngx_http_loyalty_reply_t *reply, const char *word, loyalty_out_t *out,
    ngx_http_loyalty_problem_e *problem, ngx_str_t *detail)
{
    int64_t                                 v[3];
    ngx_str_t                              *value;
    ngx_uint_t                              i;
    const ngx_http_loyalty_claim_error_t   *e;

    value = reply->values;

    if (!reply->array && reply->n == 1) {

        for (e = ngx_http_loyalty_claim_errors; e->code.len; e++) {
            if (e->code.len == value->len
                && ngx_memcmp(e->code.data, value->data, value->len) == 0)
            {
                *problem = e->problem;
                *detail = e->detail;

                return NGX_DECLINED;
            }
        }
    }

    if (!reply->array || reply->n != 4) {
        return NGX_ERROR;
    }

    for (i = 0; i < 3; i++) {
        v[i] = ngx_atoof(value[i + 1].data, value[i + 1].len);

        if (v[i] == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    loyalty_out_lit(out, "{\"sweepstakes\":");
    loyalty_out_str(out, campaign->rule->name.data,
                    campaign->rule->name.len);
    loyalty_out_lit(out, ",\"position\":");
    loyalty_out_int(out, v[0]);
    loyalty_out_lit(out, ",\"prize\":");
    ngx_http_loyalty_prize_json(campaign, v[1], out);
    loyalty_out_lit(out, ",");
    loyalty_out_str(out, word, ngx_strlen(word));
    loyalty_out_lit(out, ":");
    loyalty_out_time(out, v[2]);
    loyalty_out_lit(out, "}");

    return out->failed ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_http_loyalty_entry_retry(ngx_http_loyalty_campaign_t *campaign,
    ngx_str_t *value)
{
    size_t  len;

    static ngx_str_t  retry = ngx_string("Eretry");

    len = retry.len + NGX_HTTP_LOYALTY_HASH;

    if (value->len < len
        || ngx_memcmp(value->data, retry.data, retry.len) != 0)
    {
        return NGX_DECLINED;
    }

    if (value->len == len) {
        ngx_http_loyalty_campaign_refresh(campaign);
        return NGX_AGAIN;
    }

    ngx_http_loyalty_campaign_saw(campaign,
                                  ngx_atoof(value->data + len,
                                            value->len - len));
    return NGX_OK;
}
