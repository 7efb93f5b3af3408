/*
 * An instant win as instant_win.lua decides by it: the rule's blob.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_instant.h"


static void ngx_http_loyalty_instant_rows(
    ngx_http_loyalty_instant_conf_t *icf, loyalty_mpw_t *w);
static void ngx_http_loyalty_instant_awards(ngx_http_loyalty_prize_t *prize,
    loyalty_mpw_t *w);


/* what is awarded of a prize is counted by 4 bytes of its name's hash */

ngx_int_t
ngx_http_loyalty_instant_names(ngx_conf_t *cf,
    ngx_http_loyalty_instant_conf_t *icf)
{
    ngx_uint_t                    i, n;
    ngx_http_loyalty_campaign_t  *campaign;

    static const u_char  blank[NGX_HTTP_LOYALTY_HASH];

    campaign = &icf->campaign;

    icf->hashes = ngx_palloc(cf->pool,
                             campaign->nrows * NGX_HTTP_LOYALTY_HASH);
    if (icf->hashes == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < campaign->nrows; i++) {

        ngx_http_loyalty_instant_name(&campaign->rows[i], icf->hashes[i]);

        for (n = 0; n < i; n++) {
            if (ngx_memcmp(icf->hashes[i], icf->hashes[n],
                           NGX_HTTP_LOYALTY_HASH)
                == 0)
            {
                break;
            }
        }

        if (n < i
            || (campaign->rows[i].len != 0
                && ngx_memcmp(icf->hashes[i], blank, NGX_HTTP_LOYALTY_HASH)
                   == 0))
        {
            ngx_http_loyalty_conf_error(cf, &campaign->rule->place,
                                        "prize \"%*s\" of %V has the hash of "
                                        "another one: another name is "
                                        "expected", campaign->rows[i].len,
                                        campaign->rows[i].name,
                                        &campaign->rule->reason);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


void
ngx_http_loyalty_instant_name(loyalty_prize_t *row, u_char *hash)
{
    if (row->len == 0) {
        ngx_memzero(hash, NGX_HTTP_LOYALTY_HASH);
        return;
    }

    ngx_http_loyalty_hash4(row->name, row->len, hash);
}


/* docs/internals.md, instant_win.lua */

ngx_int_t
ngx_http_loyalty_instant_blob(ngx_conf_t *cf,
    ngx_http_loyalty_instant_conf_t *icf)
{
    u_char                       *p, prefix[64];
    size_t                        size;
    loyalty_mpw_t                 w;
    ngx_http_loyalty_rule_t      *rule;
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = &icf->campaign;
    rule = campaign->rule;

    /* T("playrec") and the cid */

    p = ngx_cpymem(prefix, LOYALTY_TAG "playrec",
                   sizeof(LOYALTY_TAG "playrec"));
    p = ngx_cpymem(p, campaign->cid, LOYALTY_CID);

    for (size = 4096; ; size *= 2) {

        loyalty_mpw_init(&w, ngx_pnalloc(cf->pool, size), size);

        if (w.start == NULL) {
            return NGX_ERROR;
        }

        loyalty_mpw_array(&w, 14);
        loyalty_mpw_int(&w, ngx_http_loyalty_instant_win_game.kind);
        loyalty_mpw_str(&w, rule->hash, NGX_HTTP_LOYALTY_HASH);
        loyalty_mpw_str(&w, prefix, p - prefix);
        loyalty_mpw_int(&w, campaign->version);
        loyalty_mpw_int(&w, campaign->mode);
        loyalty_mpw_int(&w, campaign->open);
        loyalty_mpw_int(&w, campaign->close);
        loyalty_mpw_int(&w, campaign->length);
        loyalty_mpw_int(&w, icf->wins);
        loyalty_mpw_int(&w, campaign->odds);
        ngx_http_loyalty_instant_rows(icf, &w);
        ngx_http_loyalty_campaign_blob(campaign, &w);

        if (!w.failed || size >= NGX_HTTP_LOYALTY_ARG / 2) {
            break;
        }
    }

    if (w.failed) {
        ngx_http_loyalty_conf_error(cf, &rule->place,
                                    "%V has too many prizes, awards or "
                                    "\"eligible\" lines", &rule->reason);
        return NGX_ERROR;
    }

    rule->blob.data = w.start;
    rule->blob.len = w.pos - w.start;

    return NGX_OK;
}


static void
ngx_http_loyalty_instant_rows(ngx_http_loyalty_instant_conf_t *icf,
    loyalty_mpw_t *w)
{
    ngx_uint_t                    i;
    loyalty_prize_t              *row;
    ngx_http_loyalty_pool_t      *pool;
    ngx_http_loyalty_prize_t     *prize;
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = &icf->campaign;
    prize = campaign->prizes.elts;

    loyalty_mpw_array(w, 5 * campaign->nrows);

    for (i = 0; i < campaign->nrows; i++) {

        row = &campaign->rows[i];
        pool = NULL;

        loyalty_mpw_str(w, icf->hashes[i], NGX_HTTP_LOYALTY_HASH);
        loyalty_mpw_int(w, row->stock == LOYALTY_UNLIMITED
                           ? -1 : (int64_t) row->stock);
        loyalty_mpw_int(w, campaign->weights
                           ? (int64_t) campaign->weights[i] : 0);

        /* a deck's blanks are no prize */

        if (i == campaign->prizes.nelts) {
            loyalty_mpw_str(w, "", 0);
            loyalty_mpw_array(w, 0);
            continue;
        }

        if (prize[i].codes.len != 0) {
            pool = ngx_http_loyalty_pool(campaign->program, &prize[i].codes);
        }

        if (pool != NULL) {
            loyalty_mpw_str(w, pool->unused.data, pool->unused.len);

        } else {
            loyalty_mpw_str(w, "", 0);
        }

        ngx_http_loyalty_instant_awards(&prize[i], w);
    }
}


static void
ngx_http_loyalty_instant_awards(ngx_http_loyalty_prize_t *prize,
    loyalty_mpw_t *w)
{
    ngx_uint_t                 i;
    ngx_http_loyalty_award_t  *award;

    award = prize->awards.elts;

    loyalty_mpw_array(w, 3 * prize->awards.nelts);

    for (i = 0; i < prize->awards.nelts; i++) {
        loyalty_mpw_int(w, award[i].kind);
        loyalty_mpw_str(w, award[i].hash, NGX_HTTP_LOYALTY_HASH);
        loyalty_mpw_int(w, award[i].amount);
    }
}
