/*
 * Beacon rounds that a campaign used: their signatures are published, each
 * once.  Redis remembers which rounds were used and which signatures are
 * still missing; this nginx gives those that it has and asks its relays for
 * the others.
 */

#include "ngx_http_loyalty_draws_private.h"


static ngx_int_t ngx_http_loyalty_used_call(
    ngx_http_loyalty_campaign_t *campaign, uint64_t *rounds, ngx_uint_t n,
    uint64_t *wanted, ngx_uint_t nwanted,
    ngx_http_loyalty_op_handler_pt handler, void *data,
    ngx_http_loyalty_op_t **op);
static ngx_uint_t ngx_http_loyalty_used_lines(
    ngx_http_loyalty_campaign_t *campaign, uint64_t *rounds, ngx_uint_t n,
    loyalty_mpw_t *w);
static uint64_t ngx_http_loyalty_used_base(
    ngx_http_loyalty_campaign_t *campaign);
static void ngx_http_loyalty_lead_wanted(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_used_answer(ngx_http_loyalty_ask_t *ask,
    ngx_http_loyalty_reply_t *reply, int64_t *length);


/* a round of a play or an epoch; the last ones are the likely ones */

void
ngx_http_loyalty_lead_round(ngx_http_loyalty_lead_t *lead, uint64_t round)
{
    ngx_uint_t  i;

    if (round == 0) {
        return;
    }

    for (i = lead->nrounds; i > 0; i--) {
        if (lead->rounds[i - 1] == round) {
            return;
        }
    }

    if (lead->nrounds < NGX_HTTP_LOYALTY_USED) {
        lead->rounds[lead->nrounds++] = round;
    }
}


ngx_int_t
ngx_http_loyalty_lead_used(ngx_http_loyalty_lead_t *lead)
{
    ngx_uint_t                i, n;
    ngx_http_loyalty_round_t  round;

    if (!ngx_http_loyalty_beacon_given(lead->leader->program)) {
        return NGX_OK;
    }

    /* is there anything to tell, or to be asked once? */

    n = lead->nrounds;

    for (i = 0; i < lead->nwanted && n == 0; i++) {

        if (ngx_http_loyalty_beacon_round(lead->leader->program,
                                          lead->wanted[i], &round)
            == NGX_OK)
        {
            n = 1;

        } else {
            (void) ngx_http_loyalty_beacon_want(lead->leader->program,
                                                lead->wanted[i]);
        }
    }

    if (n == 0 && lead->asked) {
        return NGX_OK;
    }

    return ngx_http_loyalty_used_call(lead->campaign, lead->rounds,
                                      lead->nrounds, lead->wanted,
                                      lead->nwanted,
                                      ngx_http_loyalty_lead_wanted, lead,
                                      &lead->op)
           == NGX_OK ? NGX_AGAIN : NGX_ERROR;
}


static void
ngx_http_loyalty_lead_wanted(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_lead_t *lead = data;

    ngx_str_t   *bytes;
    ngx_uint_t   i;

    lead->op = NULL;

    if (status != NGX_HTTP_LOYALTY_REPLY || reply->n != 1) {
        ngx_http_loyalty_lead_next(lead, NGX_ERROR);
        return;
    }

    bytes = &reply->values[0];

    for (i = 0; i < bytes->len / 8 && i < NGX_HTTP_LOYALTY_USED; i++) {
        lead->wanted[i] = loyalty_get_u64(bytes->data + 8 * i);
    }

    lead->nwanted = i;
    lead->nrounds = 0;
    lead->asked = 1;

    ngx_http_loyalty_lead_next(lead, NGX_OK);
}


/* the arguments grow with the number of rounds, which is bounded */

static ngx_int_t
ngx_http_loyalty_used_call(ngx_http_loyalty_campaign_t *campaign,
    uint64_t *rounds, ngx_uint_t n, uint64_t *wanted, ngx_uint_t nwanted,
    ngx_http_loyalty_op_handler_pt handler, void *data,
    ngx_http_loyalty_op_t **op)
{
    u_char                      buf[3][NGX_HTTP_LOYALTY_CAMPAIGN_KEY];
    u_char                      text[2 * NGX_HTTP_LOYALTY_USED * 160 + 512];
    u_char                      lines[2 * NGX_HTTP_LOYALTY_USED * 140];
    ngx_str_t                   key[3], arg;
    ngx_uint_t                  i, count;
    loyalty_mpw_t               w, list;
    ngx_http_loyalty_status_e   status;

    ngx_http_loyalty_campaign_key(campaign, "meta", -1, buf[0], &key[0]);
    ngx_http_loyalty_campaign_key(campaign, "rounds", -1, buf[1], &key[1]);
    ngx_http_loyalty_campaign_key(campaign, "f:beacons", -1, buf[2],
                                  &key[2]);

    loyalty_mpw_init(&list, lines, sizeof(lines));

    count = ngx_http_loyalty_used_lines(campaign, rounds, n, &list)
            + ngx_http_loyalty_used_lines(campaign, wanted, nwanted, &list);

    loyalty_mpw_init(&w, text, sizeof(text));
    loyalty_mpw_str(&w, "chain " LOYALTY_QUICKNET "\n",
                    sizeof("chain " LOYALTY_QUICKNET "\n") - 1);
    loyalty_mpw_int(&w, (int64_t) ngx_http_loyalty_used_base(campaign));
    loyalty_mpw_array(&w, n);

    for (i = 0; i < n; i++) {
        loyalty_mpw_int(&w, (int64_t) rounds[i]);
    }

    loyalty_mpw_array(&w, 2 * count);
    loyalty_mpw_raw(&w, list.start, list.pos - list.start);

    if (w.failed || list.failed) {
        return NGX_ERROR;
    }

    arg.data = text;
    arg.len = w.pos - w.start;

    *op = ngx_http_loyalty_redis_call(campaign->program,
                                 NGX_HTTP_LOYALTY_BULK,
                                 ngx_http_loyalty_campaign_partition(campaign),
                                 NGX_HTTP_LOYALTY_FN_USED, 3, key, &arg,
                                 handler, data, &status);

    return (*op != NULL) ? NGX_OK : NGX_ERROR;
}


/* ROUND SIGNATURE of those that are here; the others are wanted */

static ngx_uint_t
ngx_http_loyalty_used_lines(ngx_http_loyalty_campaign_t *campaign,
    uint64_t *rounds, ngx_uint_t n, loyalty_mpw_t *w)
{
    u_char                    line[2 * NGX_HTTP_LOYALTY_BEACON_SIG + 32], *p;
    u_char                    hex[2 * NGX_HTTP_LOYALTY_BEACON_SIG];
    ngx_uint_t                i, count;
    ngx_http_loyalty_round_t  round;

    count = 0;

    for (i = 0; i < n; i++) {

        if (ngx_http_loyalty_beacon_round(campaign->program, rounds[i],
                                          &round)
            != NGX_OK)
        {
            (void) ngx_http_loyalty_beacon_want(campaign->program, rounds[i]);
            continue;
        }

        loyalty_hex(hex, round.sig, NGX_HTTP_LOYALTY_BEACON_SIG);
        p = ngx_sprintf(line, "%uL %*s\n", round.round, sizeof(hex), hex);

        loyalty_mpw_int(w, (int64_t) round.round);
        loyalty_mpw_str(w, line, p - line);
        count++;
    }

    return count;
}


/* bit 0 of the bitmap: no round of the campaign is earlier.  A sweepstakes
   uses a few rounds far apart: 0, they are listed */

static uint64_t
ngx_http_loyalty_used_base(ngx_http_loyalty_campaign_t *campaign)
{
    return (campaign->kind == LOYALTY_INSTANT_WIN)
           ? loyalty_round_play((uint64_t) campaign->open) : 0;
}


ngx_int_t
ngx_http_loyalty_campaign_used(ngx_http_loyalty_campaign_t *campaign,
    uint64_t *rounds, ngx_uint_t n, ngx_http_loyalty_publish_pt handler,
    void *data)
{
    ngx_http_loyalty_ask_t  *ask;

    if (n > NGX_HTTP_LOYALTY_USED) {
        return NGX_ERROR;
    }

    ask = ngx_http_loyalty_ask(campaign, ngx_http_loyalty_used_answer,
                               handler, data);
    if (ask == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_loyalty_used_call(campaign, rounds, n, NULL, 0,
                                   ngx_http_loyalty_ask_answered, ask,
                                   &ask->op)
        != NGX_OK)
    {
        ngx_http_loyalty_ask_free(ask);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_used_answer(ngx_http_loyalty_ask_t *ask,
    ngx_http_loyalty_reply_t *reply, int64_t *length)
{
    ngx_http_loyalty_lead_t  *lead;

    /* what is wanted by now is asked for with the next pass */

    lead = ngx_http_loyalty_lead(ask->campaign);

    if (lead != NULL) {
        lead->asked = 0;
    }

    *length = (int64_t) reply->values[0].len / 8;

    return NGX_OK;
}
