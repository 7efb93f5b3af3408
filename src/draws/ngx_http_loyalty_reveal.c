/*
 * Epochs that are over, and their secrets: once no play of an epoch can be
 * written any more, and a moment later, what it drew from is published, so
 * that everybody can compute its plays.
 */

#include "ngx_http_loyalty_draws_private.h"


#define NGX_HTTP_LOYALTY_REVEAL_LINE  128         /* bytes at most */


static void ngx_http_loyalty_lead_is_over(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_reveal_lines(ngx_http_loyalty_lead_t *lead,
    u_char *p, size_t *len);
static void ngx_http_loyalty_lead_revealed(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);


ngx_http_loyalty_version_t *
ngx_http_loyalty_last(ngx_http_loyalty_run_t *run, loyalty_epochs_t *clock)
{
    ngx_uint_t                    i;
    loyalty_manifest_t           *m;
    ngx_http_loyalty_version_t  **version;

    version = run->versions.elts;

    for (i = run->versions.nelts; i > 0; i--) {
        m = &version[i - 1]->manifest;

        if (version[i - 1]->from > 0 && version[i - 1]->from <= m->epochs
            && loyalty_epochs_init(clock, m->open, m->close, m->length) == 0)
        {
            return version[i - 1];
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_loyalty_lead_over(ngx_http_loyalty_lead_t *lead)
{
    u_char                       buf[2][NGX_HTTP_LOYALTY_CAMPAIGN_KEY];
    u_char                       text[32];
    int64_t                      t;
    uint32_t                     e;
    ngx_str_t                    key[2], arg;
    loyalty_mpw_t                w;
    loyalty_epochs_t             clock;

    lead->reveal = 0;

    if (lead->campaign->kind != LOYALTY_INSTANT_WIN
        || ngx_http_loyalty_last(lead->campaign->run, &clock) == NULL)
    {
        return NGX_OK;
    }

    /* the newest epoch whose end is far enough back */

    t = lead->clock - NGX_HTTP_LOYALTY_LATE;

    if (t >= (int64_t) clock.close) {
        e = clock.epochs;

    } else if (t < lead->campaign->open) {
        e = 0;

    } else {
        e = loyalty_epoch(&clock, (uint64_t) t) - 1;
    }

    if (e <= lead->over && lead->revealed == lead->over) {
        return NGX_OK;
    }

    e = (uint32_t) ngx_max((int64_t) e, lead->over);

    ngx_http_loyalty_campaign_key(lead->campaign, "meta", -1, buf[0],
                                  &key[0]);
    ngx_http_loyalty_campaign_key(lead->campaign, "s", -1, buf[1], &key[1]);

    loyalty_mpw_init(&w, text, sizeof(text));
    loyalty_mpw_int(&w, e);
    loyalty_mpw_int(&w, e ? (int64_t) loyalty_epoch_end(&clock, e)
                          : lead->campaign->open);

    arg.data = text;
    arg.len = w.pos - w.start;

    return ngx_http_loyalty_lead_call(lead, NGX_HTTP_LOYALTY_FN_OVER, 2, key,
                                      &arg, ngx_http_loyalty_lead_is_over);
}


static void
ngx_http_loyalty_lead_is_over(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_lead_t *lead = data;

    int64_t                      number[4], e;
    loyalty_epochs_t             clock;
    ngx_http_loyalty_version_t  *last;

    lead->op = NULL;

    if (status != NGX_HTTP_LOYALTY_REPLY
        || ngx_http_loyalty_reply_numbers(reply, 0, 4, number) != NGX_OK)
    {
        ngx_http_loyalty_lead_next(lead, NGX_ERROR);
        return;
    }

    lead->over = number[0];
    lead->revealed = number[3];

    last = ngx_http_loyalty_last(lead->campaign->run, &clock);

    if (number[2] == 0 && lead->revealed < lead->over && last != NULL) {

        lead->reveal = (uint32_t) ngx_min(lead->over,
                                          lead->revealed
                                          + NGX_HTTP_LOYALTY_REVEALED);

        /* their rounds are used, and told first */

        if (!loyalty_zero(last->manifest.chain, LOYALTY_HASH)) {
            for (e = lead->revealed + 1; e <= lead->reveal; e++) {
                ngx_http_loyalty_lead_round(lead,
                               loyalty_epoch_round(&clock, (uint32_t) e));
            }
        }
    }

    ngx_http_loyalty_lead_next(lead, NGX_OK);
}


ngx_int_t
ngx_http_loyalty_lead_reveal(ngx_http_loyalty_lead_t *lead)
{
    u_char         buf[3][NGX_HTTP_LOYALTY_CAMPAIGN_KEY];
    u_char         lines[NGX_HTTP_LOYALTY_REVEALED
                         * NGX_HTTP_LOYALTY_REVEAL_LINE];
    u_char         text[sizeof(lines) + 64];
    size_t         len;
    ngx_int_t      rc;
    ngx_str_t      key[3], arg;
    loyalty_mpw_t  w;

    if (lead->reveal == 0) {
        return NGX_OK;
    }

    rc = ngx_http_loyalty_reveal_lines(lead, lines, &len);

    /* a chain is being built: with a later pass */

    if (rc != NGX_OK) {
        return (rc == NGX_AGAIN) ? NGX_OK : NGX_ERROR;
    }

    ngx_http_loyalty_campaign_key(lead->campaign, "meta", -1, buf[0],
                                  &key[0]);
    ngx_http_loyalty_campaign_key(lead->campaign, "s", -1, buf[1], &key[1]);
    ngx_http_loyalty_campaign_key(lead->campaign, "f:reveal", -1, buf[2],
                                  &key[2]);

    loyalty_mpw_init(&w, text, sizeof(text));
    loyalty_mpw_int(&w, lead->revealed + 1);
    loyalty_mpw_int(&w, lead->reveal);
    loyalty_mpw_str(&w, lines, len);

    arg.data = text;
    arg.len = w.pos - w.start;

    return ngx_http_loyalty_lead_call(lead, NGX_HTTP_LOYALTY_FN_REVEAL, 3,
                                      key, &arg,
                                      ngx_http_loyalty_lead_revealed);
}


static ngx_int_t
ngx_http_loyalty_reveal_lines(ngx_http_loyalty_lead_t *lead, u_char *p,
    size_t *len)
{
    u_char                       c[LOYALTY_HASH], hex[2 * LOYALTY_HASH];
    u_char                      *start;
    uint32_t                     e;
    ngx_int_t                    rc;
    ngx_http_loyalty_run_t      *run;
    ngx_http_loyalty_chain_t    *chain;
    ngx_http_loyalty_version_t  *version;

    run = lead->campaign->run;
    start = p;

    for (e = (uint32_t) lead->revealed + 1; e <= lead->reveal; e++) {

        version = ngx_http_loyalty_governing(run, e);

        if (version == NULL || e > version->manifest.epochs) {
            continue;
        }

        rc = ngx_http_loyalty_chain(run, version->version,
                                    version->manifest.epochs, &chain);
        if (rc != NGX_OK) {
            return rc;
        }

        if (loyalty_chain_get(&chain->chain, e, c) != 0) {
            return NGX_ERROR;
        }

        loyalty_hex(hex, c, LOYALTY_HASH);
        p = ngx_sprintf(p, "c %uD %uD %*s\n", version->version, e,
                        sizeof(hex), hex);
    }

    *len = p - start;

    return NGX_OK;
}


static void
ngx_http_loyalty_lead_revealed(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_lead_t *lead = data;

    int64_t  revealed;

    lead->op = NULL;

    if (status != NGX_HTTP_LOYALTY_REPLY
        || ngx_http_loyalty_reply_numbers(reply, 1, 1, &revealed) != NGX_OK)
    {
        lead->revealed = -1;
        ngx_http_loyalty_lead_next(lead, NGX_ERROR);
        return;
    }

    lead->revealed = revealed;

    if (lead->revealed < lead->over) {
        lead->again = 1;
    }

    ngx_http_loyalty_lead_next(lead, NGX_OK);
}
