/*
 * A version is registered: its manifest becomes a signed note, and what the
 * manifest has the hashes of is published beside it, in one step.
 */

#include "ngx_http_loyalty_draws_private.h"


static ngx_int_t ngx_http_loyalty_register_arg(ngx_http_loyalty_run_t *run,
    const u_char *manifest, ngx_str_t *note, ngx_pool_t *pool,
    ngx_str_t *arg);
static void ngx_http_loyalty_registered(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);


ngx_int_t
ngx_http_loyalty_register(ngx_http_loyalty_run_t *run, const u_char *manifest)
{
    u_char                        buf[7][NGX_HTTP_LOYALTY_CAMPAIGN_KEY];
    u_char                        name[3][32];
    ngx_int_t                     rc;
    ngx_str_t                     key[7], note, arg;
    ngx_uint_t                    i;
    ngx_pool_t                   *pool;
    ngx_http_loyalty_status_e     status;
    ngx_http_loyalty_campaign_t  *campaign;

    static const char  *files[] = { "terms", "prizes", "rules" };

    campaign = run->campaign;

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, run->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    ngx_http_loyalty_campaign_key(campaign, "meta", -1, buf[0], &key[0]);
    ngx_http_loyalty_campaign_key(campaign, "s", -1, buf[1], &key[1]);
    ngx_http_loyalty_campaign_key(campaign, "f:manifest", -1, buf[2],
                                  &key[2]);

    for (i = 0; i < 3; i++) {
        ngx_sprintf(name[i], "f:%s-%uD%Z", files[i], campaign->version);
        ngx_http_loyalty_campaign_key(campaign, (char *) name[i], -1,
                                      buf[3 + i], &key[3 + i]);
    }

    ngx_http_loyalty_campaign_key(campaign, "f:vkey", -1, buf[6], &key[6]);

    rc = NGX_ERROR;

    if (ngx_http_loyalty_campaign_note(campaign, pool, LOYALTY_NOTE_MANIFEST,
                                       manifest, LOYALTY_MANIFEST_LEN, &note)
        == NGX_OK
        && ngx_http_loyalty_register_arg(run, manifest, &note, pool, &arg)
           == NGX_OK)
    {
        run->op = ngx_http_loyalty_redis_call(campaign->program,
                                 NGX_HTTP_LOYALTY_INTERACTIVE,
                                 ngx_http_loyalty_campaign_partition(campaign),
                                 NGX_HTTP_LOYALTY_FN_REGISTER, 7, key, &arg,
                                 ngx_http_loyalty_registered, run, &status);

        /* what cannot be sent now is tried again with the next question */

        if (run->op == NULL) {
            ngx_http_loyalty_run_wake(run);
        }

        rc = NGX_OK;
    }

    ngx_destroy_pool(pool);

    return rc;
}


static ngx_int_t
ngx_http_loyalty_register_arg(ngx_http_loyalty_run_t *run,
    const u_char *manifest, ngx_str_t *note, ngx_pool_t *pool, ngx_str_t *arg)
{
    u_char                       *p, vkey[LOYALTY_VKEY_MAX + 1];
    size_t                        size, nvkey;
    ngx_str_t                    *blob;
    loyalty_mpw_t                 v, w;
    loyalty_signkey_t             key;
    ngx_http_loyalty_version_t   *last;
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = run->campaign;
    blob = &campaign->rule->blob;

    size = LOYALTY_MANIFEST_LEN + campaign->table.len + blob->len + 64;

    p = ngx_pnalloc(pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_loyalty_run_key(run, &key) != NGX_OK) {
        return NGX_ERROR;
    }

    nvkey = loyalty_vkey(vkey, &key);
    loyalty_signkey_free(&key);

    vkey[nvkey++] = LF;

    loyalty_mpw_init(&v, p, size);
    loyalty_mpw_str(&v, manifest, LOYALTY_MANIFEST_LEN);
    loyalty_mpw_str(&v, campaign->table.data, campaign->table.len);
    loyalty_mpw_str(&v, blob->data, blob->len);

    size += note->len + campaign->terms.len + campaign->table.len
            + campaign->rules.len + nvkey + 256;

    arg->data = ngx_pnalloc(pool, size);
    if (arg->data == NULL) {
        return NGX_ERROR;
    }

    last = ngx_http_loyalty_campaign_version(campaign);

    loyalty_mpw_init(&w, arg->data, size);
    loyalty_mpw_int(&w, campaign->version);
    loyalty_mpw_int(&w, last != NULL ? (int64_t) last->manifest.close : 0);
    loyalty_mpw_str(&w, v.start, v.pos - v.start);
    loyalty_mpw_str(&w, note->data, note->len);
    loyalty_mpw_str(&w, campaign->terms.data, campaign->terms.len);
    loyalty_mpw_str(&w, campaign->table.data, campaign->table.len);
    loyalty_mpw_str(&w, campaign->rules.data, campaign->rules.len);
    loyalty_mpw_str(&w, vkey, nvkey);

    arg->len = w.pos - w.start;

    return (v.failed || w.failed) ? NGX_ERROR : NGX_OK;
}


static void
ngx_http_loyalty_registered(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_run_t *run = data;

    run->op = NULL;

    if (status == NGX_HTTP_LOYALTY_REPLY && reply->n == 1
        && reply->values[0].len == 1 && reply->values[0].data[0] == 'C')
    {
        ngx_http_loyalty_run_settle(run, NGX_HTTP_LOYALTY_RUN_CHANGED,
                                    "version %uD comes too late, version %uD "
                                    "has closed", run->campaign->version,
                                    run->campaign->version - 1);
        return;
    }

    if (status == NGX_HTTP_LOYALTY_REPLY && reply->n == 1
        && reply->values[0].len == 1 && reply->values[0].data[0] == 'N')
    {
        ngx_log_error(NGX_LOG_NOTICE, run->log, 0,
                      "registered version %uD of %V",
                      run->campaign->version, &run->campaign->rule->reason);
    }

    /* whoever did it: what holds is what Redis says now */

    if (ngx_http_loyalty_run_ask(run) != NGX_OK) {
        ngx_http_loyalty_run_wake(run);
    }
}


/* units that are placed stay: with moments a stock only grows */

const char *
ngx_http_loyalty_register_prizes(ngx_http_loyalty_run_t *run)
{
    ngx_uint_t                    i, n;
    loyalty_prize_t              *row, *known;
    ngx_http_loyalty_version_t   *last;
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = run->campaign;

    if (campaign->mode != LOYALTY_MODE_MOMENTS) {
        return NULL;
    }

    last = ngx_http_loyalty_campaign_version(campaign);
    row = campaign->rows;

    for (i = 0; i < last->nrows; i++) {
        known = &last->rows[i];

        for (n = 0; n < campaign->nrows; n++) {
            if (row[n].len == known->len
                && ngx_memcmp(row[n].name, known->name, known->len) == 0)
            {
                break;
            }
        }

        if (n == campaign->nrows) {
            return "by moments no prize can be removed";
        }

        if (row[n].stock < known->stock) {
            return "by moments no stock can be lowered";
        }
    }

    return NULL;
}
