/*
 * What derives from a campaign's secret in a worker: pseudonyms, epoch keys,
 * signatures.  Keys are kept in secret pages; the signing key is made for
 * each signature, because libcrypto would keep it where a core dump finds it.
 */

#include "ngx_http_loyalty_draws_private.h"


#define NGX_HTTP_LOYALTY_DEGRADED  600000         /* ms: the oldest round */


static ngx_int_t ngx_http_loyalty_epoch_make(ngx_http_loyalty_run_t *run,
    ngx_http_loyalty_epoch_t *epoch);


ngx_http_loyalty_version_t *
ngx_http_loyalty_campaign_version(ngx_http_loyalty_campaign_t *campaign)
{
    return ngx_http_loyalty_campaign_version_n(campaign,
                                            campaign->run->versions.nelts);
}


ngx_http_loyalty_version_t *
ngx_http_loyalty_campaign_version_n(ngx_http_loyalty_campaign_t *campaign,
    uint32_t n)
{
    ngx_http_loyalty_version_t  **version;

    version = campaign->run->versions.elts;

    return (n > 0 && n <= campaign->run->versions.nelts) ? version[n - 1]
                                                         : NULL;
}


ngx_http_loyalty_version_t *
ngx_http_loyalty_governing(ngx_http_loyalty_run_t *run, uint32_t e)
{
    ngx_uint_t                    i;
    ngx_http_loyalty_version_t  **version;

    version = run->versions.elts;

    for (i = run->versions.nelts; i > 0; i--) {
        if (version[i - 1]->from > 0 && version[i - 1]->from <= e) {
            return version[i - 1];
        }
    }

    return NULL;
}


ngx_http_loyalty_version_t *
ngx_http_loyalty_campaign_holds(ngx_http_loyalty_campaign_t *campaign,
    int64_t t)
{
    int64_t  e;

    e = (t - campaign->open) / campaign->length + 1;

    return (campaign->run != NULL)
           ? ngx_http_loyalty_governing(campaign->run,
                                  (uint32_t) ngx_min(ngx_max(e, 1),
                                                     (int64_t) UINT32_MAX))
           : NULL;
}


ngx_int_t
ngx_http_loyalty_campaign_person(ngx_http_loyalty_campaign_t *campaign,
    ngx_str_t *member, u_char *person)
{
    return loyalty_person(person, &campaign->run->kp, campaign->cid,
                          member->data, member->len)
           == 0 ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_loyalty_campaign_play_id(ngx_http_loyalty_campaign_t *campaign,
    const u_char *person, ngx_str_t *key, u_char *play_id)
{
    return loyalty_play_id(play_id, &campaign->run->kp, campaign->cid, person,
                           key->data, key->len)
           == 0 ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_loyalty_campaign_seed(ngx_http_loyalty_campaign_t *campaign,
    u_char *seed)
{
    if (campaign->alone) {
        ngx_memzero(seed, LOYALTY_HASH);
        return NGX_OK;
    }

    return loyalty_seed(seed, campaign->run->secret->key, campaign->cid,
                        campaign->version)
           == 0 ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_loyalty_run_key(ngx_http_loyalty_run_t *run, loyalty_signkey_t *key)
{
    u_char      seed[LOYALTY_HASH];
    ngx_int_t   rc;
    ngx_str_t  *name;

    name = &run->campaign->program->name;

    rc = (loyalty_sign_seed(seed, run->secret->key, name->data, name->len)
          == 0
          && loyalty_signkey_init(key, name->data, name->len, seed) == 0)
         ? NGX_OK : NGX_ERROR;

    loyalty_wipe(seed, LOYALTY_HASH);

    return rc;
}


ngx_int_t
ngx_http_loyalty_campaign_receipt(ngx_http_loyalty_campaign_t *campaign,
    const u_char *record, size_t len, u_char *signature)
{
    ngx_int_t          rc;
    loyalty_signkey_t  key;

    if (ngx_http_loyalty_run_key(campaign->run, &key) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = (loyalty_receipt_sign(signature, &key, record, len) == 0)
         ? NGX_OK : NGX_ERROR;

    loyalty_signkey_free(&key);

    return rc;
}


ngx_int_t
ngx_http_loyalty_campaign_note(ngx_http_loyalty_campaign_t *campaign,
    ngx_pool_t *pool, loyalty_note_kind_e kind, const u_char *statement,
    size_t len, ngx_str_t *note)
{
    size_t             size;
    loyalty_signkey_t  key;

    size = loyalty_note_len(ngx_strlen(loyalty_note_kind(kind)), len,
                            campaign->program->name.len);

    note->data = ngx_pnalloc(pool, size);
    if (note->data == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_loyalty_run_key(campaign->run, &key) != NGX_OK) {
        return NGX_ERROR;
    }

    note->len = loyalty_note_sign(note->data, size, &key, kind, statement,
                                  len);
    loyalty_signkey_free(&key);

    return (note->len != 0) ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_loyalty_note_next(ngx_str_t *file, ngx_str_t *note,
    ngx_str_t *base64)
{
    u_char      *p, *last, *line[4];
    ngx_uint_t   i;

    if (file->len == 0) {
        return NGX_DONE;
    }

    p = file->data;
    last = p + file->len;

    /* a note is four lines, its statement is the second */

    for (i = 0; i < 4; i++) {
        line[i] = p;

        p = ngx_strlchr(p, last, LF);
        if (p == NULL) {
            return NGX_ERROR;
        }

        p++;
    }

    note->data = line[0];
    note->len = p - line[0];

    base64->data = line[1];
    base64->len = line[2] - 1 - line[1];

    file->data = p;
    file->len = last - p;

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_campaign_epoch(ngx_http_loyalty_campaign_t *campaign,
    int64_t t, ngx_http_loyalty_epoch_t **epochp)
{
    uint32_t                     e;
    ngx_int_t                    rc;
    ngx_uint_t                   i;
    ngx_http_loyalty_run_t      *run;
    ngx_http_loyalty_epoch_t    *epoch;
    ngx_http_loyalty_version_t  *version;

    run = campaign->run;

    if (t < campaign->open) {
        return NGX_DECLINED;
    }

    e = (uint32_t) ((t - campaign->open) / campaign->length) + 1;

    version = ngx_http_loyalty_governing(run, e);

    if (version == NULL || t >= (int64_t) version->manifest.close) {
        return NGX_DECLINED;
    }

    for (i = 0; i < run->nepochs; i++) {
        if (run->epochs[i].e == e && run->epochs[i].version == version) {
            *epochp = &run->epochs[i];
            return NGX_OK;
        }
    }

    /* two are enough: clocks differ by less than an epoch */

    i = (run->nepochs < NGX_HTTP_LOYALTY_EPOCHS_KEPT)
        ? run->nepochs : (run->epochs[0].e > run->epochs[1].e);

    epoch = &run->epochs[i];
    epoch->e = e;
    epoch->version = version;

    rc = ngx_http_loyalty_epoch_make(run, epoch);

    if (rc != NGX_OK) {
        epoch->e = 0;
        return rc;
    }

    if (i == run->nepochs) {
        run->nepochs++;
    }

    *epochp = epoch;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_epoch_make(ngx_http_loyalty_run_t *run,
    ngx_http_loyalty_epoch_t *epoch)
{
    u_char                        c[LOYALTY_HASH], key[LOYALTY_HASH];
    ngx_int_t                     rc;
    loyalty_epochs_t              clock;
    loyalty_manifest_t           *m;
    ngx_http_loyalty_chain_t     *chain;
    ngx_http_loyalty_round_t      round;
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = run->campaign;
    m = &epoch->version->manifest;

    if (loyalty_epochs_init(&clock, m->open, m->close, m->length) != 0) {
        return NGX_ERROR;
    }

    epoch->start = loyalty_epoch_start(&clock, epoch->e);
    epoch->end = loyalty_epoch_end(&clock, epoch->e);

    ngx_memzero(&round, sizeof(ngx_http_loyalty_round_t));

    if (!loyalty_zero(m->chain, LOYALTY_HASH)) {

        round.round = loyalty_epoch_round(&clock, epoch->e);

        if (ngx_http_loyalty_beacon_round(campaign->program, round.round,
                                          &round)
            != NGX_OK)
        {
            (void) ngx_http_loyalty_beacon_want(campaign->program,
                                                round.round);
            return NGX_AGAIN;
        }
    }

    epoch->round = round.round;

    rc = ngx_http_loyalty_chain(run, m->version, m->epochs, &chain);

    if (rc != NGX_OK) {
        return rc;
    }

    rc = (loyalty_chain_get(&chain->chain, epoch->e, c) == 0
          && loyalty_epoch_key(key, c, epoch->version->mh, epoch->e, m->chain,
                               round.round, round.b)
             == 0
          && loyalty_hmac_key(&epoch->key, key, LOYALTY_HASH) == 0)
         ? NGX_OK : NGX_ERROR;

    loyalty_wipe(c, LOYALTY_HASH);
    loyalty_wipe(key, LOYALTY_HASH);

    return rc;
}


ngx_int_t
ngx_http_loyalty_campaign_round(ngx_http_loyalty_campaign_t *campaign,
    int64_t t, uint64_t *number, u_char *b, ngx_uint_t *degraded)
{
    uint64_t                     wanted;
    ngx_http_loyalty_round_t     round;
    ngx_http_loyalty_version_t  *version;

    *degraded = 0;

    version = ngx_http_loyalty_campaign_version(campaign);

    if (loyalty_zero(version->manifest.chain, LOYALTY_HASH)) {
        *number = 0;
        ngx_memzero(b, LOYALTY_HASH);
        return NGX_OK;
    }

    wanted = loyalty_round_play(t);

    if (ngx_http_loyalty_beacon_round(campaign->program, wanted, &round)
        != NGX_OK)
    {
        if (!(campaign->flags & LOYALTY_MAY_DEGRADE)
            || ngx_http_loyalty_beacon_newest(campaign->program, &round)
               != NGX_OK
            || round.round > wanted
            || (int64_t) loyalty_round_time(round.round)
               < t - NGX_HTTP_LOYALTY_DEGRADED)
        {
            return NGX_AGAIN;
        }

        *degraded = 1;
    }

    *number = round.round;
    ngx_memcpy(b, round.b, LOYALTY_HASH);

    return NGX_OK;
}
