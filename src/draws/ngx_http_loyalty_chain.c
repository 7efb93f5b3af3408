/*
 * Chains of the epochs' secrets.  The one that a reload needs most, of this
 * version under the first secret, is made while nginx reads its
 * configuration, and workers inherit it; the others are made by the worker
 * that needs them, in slices between other events.
 */

#include "ngx_http_loyalty_draws_private.h"


static ngx_int_t ngx_http_loyalty_chain_init(ngx_http_loyalty_chain_t *chain,
    const ngx_http_loyalty_secret_t *secret, const u_char *cid,
    uint32_t version, uint32_t epochs, ngx_log_t *log);
static void ngx_http_loyalty_chain_free(ngx_http_loyalty_chain_t *chain);
static void ngx_http_loyalty_chain_cleanup(void *data);
static void ngx_http_loyalty_chain_build(ngx_event_t *ev);


static ngx_int_t
ngx_http_loyalty_chain_init(ngx_http_loyalty_chain_t *chain,
    const ngx_http_loyalty_secret_t *secret, const u_char *cid,
    uint32_t version, uint32_t epochs, ngx_log_t *log)
{
    u_char  (*points)[LOYALTY_HASH];

    chain->size = loyalty_chain_points(epochs, NGX_HTTP_LOYALTY_CHAIN_EVERY)
                  * LOYALTY_HASH;

    points = ngx_http_loyalty_secret_alloc(chain->size, log);
    if (points == NULL) {
        return NGX_ERROR;
    }

    chain->secret = secret;
    chain->version = version;
    chain->epochs = epochs;
    chain->built = 0;

    if (loyalty_chain_init(&chain->chain, secret->key, cid, version, epochs,
                           NGX_HTTP_LOYALTY_CHAIN_EVERY, points)
        != 0)
    {
        ngx_http_loyalty_secret_free(points, chain->size);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_loyalty_chain_free(ngx_http_loyalty_chain_t *chain)
{
    ngx_http_loyalty_secret_free(chain->chain.points, chain->size);
    loyalty_wipe(chain, sizeof(ngx_http_loyalty_chain_t));
}


ngx_int_t
ngx_http_loyalty_chain_prepare(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign)
{
    int                          rc;
    ngx_pool_cleanup_t          *cln;
    ngx_http_loyalty_chain_t    *chain;
    ngx_http_loyalty_secrets_t  *secrets;

    if (campaign->kind != LOYALTY_INSTANT_WIN) {
        return NGX_OK;
    }

    secrets = campaign->program->draws->secrets;

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    chain = ngx_http_loyalty_secret_alloc(sizeof(ngx_http_loyalty_chain_t),
                                          cf->log);
    if (chain == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_loyalty_chain_cleanup;
    cln->data = chain;

    if (ngx_http_loyalty_chain_init(chain, &secrets->secret[0],
                                    campaign->cid, campaign->version,
                                    campaign->epochs, cf->log)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    do {
        rc = loyalty_chain_build(&chain->chain, NGX_HTTP_LOYALTY_CHAIN_SLICE);
    } while (rc == 1);

    if (rc != 0) {
        ngx_http_loyalty_conf_error(cf, &campaign->rule->place,
                                    "the chain of %V cannot be made",
                                    &campaign->rule->reason);
        return NGX_ERROR;
    }

    chain->built = 1;
    campaign->chain = chain;

    return NGX_OK;
}


static void
ngx_http_loyalty_chain_cleanup(void *data)
{
    ngx_http_loyalty_chain_t *chain = data;

    if (chain->chain.points != NULL) {
        ngx_http_loyalty_secret_free(chain->chain.points, chain->size);
    }

    ngx_http_loyalty_secret_free(chain, sizeof(ngx_http_loyalty_chain_t));
}


ngx_int_t
ngx_http_loyalty_chain(ngx_http_loyalty_run_t *run, uint32_t version,
    uint32_t epochs, ngx_http_loyalty_chain_t **chainp)
{
    ngx_uint_t                    i;
    ngx_http_loyalty_chain_t     *chain;
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = run->campaign;
    chain = campaign->chain;

    if (chain != NULL && chain->secret == run->secret
        && chain->version == version && chain->epochs == epochs)
    {
        *chainp = chain;
        return NGX_OK;
    }

    for (i = 0; i < run->nchains; i++) {
        chain = &run->chains[i];

        if (chain->secret == run->secret && chain->version == version
            && chain->epochs == epochs)
        {
            break;
        }
    }

    if (i == run->nchains) {

        /* the oldest makes way */

        if (run->nchains == NGX_HTTP_LOYALTY_CHAINS_KEPT) {
            ngx_http_loyalty_chain_free(&run->chains[0]);
            ngx_memmove(&run->chains[0], &run->chains[1],
                        (NGX_HTTP_LOYALTY_CHAINS_KEPT - 1)
                        * sizeof(ngx_http_loyalty_chain_t));
            run->nchains--;
        }

        chain = &run->chains[run->nchains];

        if (ngx_http_loyalty_chain_init(chain, run->secret, campaign->cid,
                                        version, epochs, run->log)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        run->nchains++;
    }

    if (chain->built) {
        *chainp = chain;
        return NGX_OK;
    }

    if (!run->build.posted) {
        run->build.handler = ngx_http_loyalty_chain_build;
        run->build.data = run;
        ngx_post_event(&run->build, &ngx_posted_next_events);
    }

    return NGX_AGAIN;
}


static void
ngx_http_loyalty_chain_build(ngx_event_t *ev)
{
    int                        rc;
    ngx_uint_t                 i;
    ngx_http_loyalty_run_t    *run;
    ngx_http_loyalty_chain_t  *chain;

    run = ev->data;

    for (i = 0; i < run->nchains; i++) {
        chain = &run->chains[i];

        if (chain->built) {
            continue;
        }

        rc = loyalty_chain_build(&chain->chain, NGX_HTTP_LOYALTY_CHAIN_SLICE);

        if (rc == 1) {
            ngx_post_event(ev, &ngx_posted_next_events);
            return;
        }

        if (rc != 0) {
            ngx_http_loyalty_run_settle(run, NGX_HTTP_LOYALTY_RUN_FAILED,
                                        "its chain cannot be made");
            return;
        }

        chain->built = 1;
    }

    ngx_http_loyalty_manifest_settle(run);
}


void
ngx_http_loyalty_chains_free(ngx_http_loyalty_run_t *run)
{
    while (run->nchains > 0) {
        run->nchains--;
        ngx_http_loyalty_chain_free(&run->chains[run->nchains]);
    }
}
