/*
 * Manifests: what a campaign promises, written once for each version.  What
 * the configuration says is held against what Redis knows, and registered
 * where it is new; a difference stops the campaign on this node and is told
 * in words.
 */

#include "ngx_http_loyalty_draws_private.h"


#define NGX_HTTP_LOYALTY_KNOWN  6                 /* values before versions */


static ngx_int_t ngx_http_loyalty_manifest_head(ngx_http_loyalty_run_t *run,
    ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_manifest_secret(
    ngx_http_loyalty_run_t *run, ngx_str_t *salt, ngx_str_t *id);
static ngx_int_t ngx_http_loyalty_manifest_version(
    ngx_http_loyalty_run_t *run, ngx_uint_t n, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_manifest_new(ngx_http_loyalty_run_t *run,
    ngx_uint_t n, ngx_str_t *text, ngx_http_loyalty_version_t **versionp);
static ngx_int_t ngx_http_loyalty_manifest_rows(ngx_http_loyalty_run_t *run,
    ngx_http_loyalty_version_t *version, ngx_str_t *table);
static ngx_int_t ngx_http_loyalty_manifest_key(ngx_http_loyalty_run_t *run,
    ngx_str_t *id);

static ngx_int_t ngx_http_loyalty_manifest_chains(
    ngx_http_loyalty_run_t *run);
static ngx_int_t ngx_http_loyalty_manifest_make(ngx_http_loyalty_run_t *run,
    loyalty_manifest_t *m);
static ngx_int_t ngx_http_loyalty_manifest_same(ngx_http_loyalty_run_t *run,
    const loyalty_manifest_t *m, const loyalty_manifest_t *known,
    ngx_uint_t next);


void
ngx_http_loyalty_manifest_known(ngx_http_loyalty_run_t *run,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_uint_t  i, n;

    if (reply->n == 0) {
        ngx_http_loyalty_run_settle(run, NGX_HTTP_LOYALTY_RUN_LOST,
                                    "Redis has lost it: its data must come "
                                    "back, a campaign is not begun twice");
        return;
    }

    if (reply->n < NGX_HTTP_LOYALTY_KNOWN
        || (reply->n - NGX_HTTP_LOYALTY_KNOWN) % 3 != 0
        || ngx_http_loyalty_manifest_head(run, reply->values) != NGX_OK)
    {
        goto failed;
    }

    switch (ngx_http_loyalty_manifest_secret(run, &reply->values[2],
                                             &reply->values[3]))
    {
    case NGX_OK:
        break;

    case NGX_DECLINED:
        return;

    default:
        goto failed;
    }

    n = (reply->n - NGX_HTTP_LOYALTY_KNOWN) / 3;

    for (i = 0; i < n; i++) {

        switch (ngx_http_loyalty_manifest_version(run, i,
                       &reply->values[NGX_HTTP_LOYALTY_KNOWN + 3 * i]))
        {
        case NGX_OK:
            break;

        case NGX_DECLINED:
            return;

        default:
            goto failed;
        }
    }

    if (ngx_http_loyalty_manifest_key(run, &reply->values[3]) != NGX_OK) {
        return;
    }

    if (run->versions.nelts > n) {
        ngx_http_loyalty_run_settle(run, NGX_HTTP_LOYALTY_RUN_LOST,
                                    "Redis has lost its version %ui: its "
                                    "data must come back",
                                    run->versions.nelts);
        return;
    }

    /* what governs an epoch may have become another version */

    run->nepochs = 0;

    ngx_http_loyalty_manifest_settle(run);
    return;

failed:

    ngx_http_loyalty_run_settle(run, NGX_HTTP_LOYALTY_RUN_FAILED,
                                "what Redis knows of it is not understood");
}


/* generation, over, records, paused */

static ngx_int_t
ngx_http_loyalty_manifest_head(ngx_http_loyalty_run_t *run, ngx_str_t *value)
{
    off_t       n[NGX_HTTP_LOYALTY_KNOWN];
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_LOYALTY_KNOWN; i++) {

        if (i == 2 || i == 3) {
            continue;
        }

        n[i] = ngx_atoof(value[i].data, value[i].len);

        if (n[i] == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    run->generation = n[0];
    run->over = n[1];
    run->seq = n[4];
    run->paused = (n[5] != 0);

    return NGX_OK;
}


/* NGX_DECLINED: it is settled; a secret that is not there is told later, when
   what is published is known */

static ngx_int_t
ngx_http_loyalty_manifest_secret(ngx_http_loyalty_run_t *run,
    ngx_str_t *salt, ngx_str_t *id)
{
    u_char                       kp[LOYALTY_HASH];
    ngx_int_t                    rc;
    ngx_uint_t                   i;
    ngx_http_loyalty_secrets_t  *secrets;

    if (salt->len != LOYALTY_SALT) {
        return NGX_ERROR;
    }

    if (run->known) {

        if (ngx_memcmp(run->salt, salt->data, LOYALTY_SALT) == 0) {
            return NGX_OK;
        }

        ngx_http_loyalty_run_settle(run, NGX_HTTP_LOYALTY_RUN_LOST,
                                    "Redis has lost it, and another one "
                                    "begun in its place: its data must come "
                                    "back");
        return NGX_DECLINED;
    }

    secrets = run->campaign->program->draws->secrets;

    for (i = 0; i < secrets->n; i++) {
        if (secrets->secret[i].len == id->len
            && ngx_memcmp(secrets->secret[i].id, id->data, id->len) == 0)
        {
            break;
        }
    }

    if (i == secrets->n) {
        return NGX_OK;
    }

    rc = NGX_ERROR;

    if (loyalty_kp(kp, secrets->secret[i].key, run->campaign->cid, salt->data)
        == 0
        && loyalty_hmac_key(&run->kp, kp, LOYALTY_HASH) == 0
        && loyalty_kp_commit(run->kp_commit, run->campaign->cid, kp) == 0)
    {
        ngx_memcpy(run->salt, salt->data, LOYALTY_SALT);
        run->secret = &secrets->secret[i];
        run->known = 1;
        rc = NGX_OK;
    }

    loyalty_wipe(kp, LOYALTY_HASH);

    return rc;
}


/* values: v:N, the first epoch, the time of its token */

static ngx_int_t
ngx_http_loyalty_manifest_version(ngx_http_loyalty_run_t *run, ngx_uint_t n,
    ngx_str_t *value)
{
    off_t                        from, stamped;
    ngx_int_t                    rc;
    ngx_http_loyalty_version_t  *version;

    from = ngx_atoof(value[1].data, value[1].len);
    stamped = ngx_atoof(value[2].data, value[2].len);

    if (from == NGX_ERROR || stamped == NGX_ERROR) {
        return NGX_ERROR;
    }

    rc = ngx_http_loyalty_manifest_new(run, n, &value[0], &version);
    if (rc != NGX_OK) {
        return rc;
    }

    version->from = (uint32_t) from;
    version->stamped = stamped;

    return NGX_OK;
}


/* a version never changes: one that is known is the same */

static ngx_int_t
ngx_http_loyalty_manifest_new(ngx_http_loyalty_run_t *run, ngx_uint_t n,
    ngx_str_t *text, ngx_http_loyalty_version_t **versionp)
{
    u_char                        mh[LOYALTY_HASH];
    ngx_str_t                     part[3];
    ngx_uint_t                    i;
    loyalty_mpr_t                 r;
    loyalty_manifest_t            m;
    ngx_http_loyalty_version_t  **slot, *version;

    loyalty_mpr_init(&r, text->data, text->len);

    for (i = 0; i < 3; i++) {
        const u_char  *p;
        uint32_t       len;

        if (loyalty_mpr_str(&r, &p, &len) != 0) {
            return NGX_ERROR;
        }

        part[i].data = (u_char *) p;
        part[i].len = len;
    }

    if (loyalty_manifest_decode(part[0].data, part[0].len, &m) != 0
        || m.version != n + 1
        || loyalty_sha(mh, part[0].data, part[0].len) != 0)
    {
        return NGX_ERROR;
    }

    slot = run->versions.elts;

    if (n < run->versions.nelts) {
        *versionp = slot[n];

        if (ngx_memcmp(slot[n]->mh, mh, LOYALTY_HASH) == 0) {
            return NGX_OK;
        }

        ngx_http_loyalty_run_settle(run, NGX_HTTP_LOYALTY_RUN_LOST,
                                    "Redis has another manifest of version "
                                    "%ui than before", n + 1);
        return NGX_DECLINED;
    }

    if (run->pool == NULL) {
        run->pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, run->log);

        if (run->pool == NULL
            || ngx_array_init(&run->versions, run->pool, 4,
                              sizeof(ngx_http_loyalty_version_t *))
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    version = ngx_pcalloc(run->pool, sizeof(ngx_http_loyalty_version_t));
    if (version == NULL) {
        return NGX_ERROR;
    }

    version->version = m.version;
    version->manifest = m;
    ngx_memcpy(version->mh, mh, LOYALTY_HASH);

    version->blob.len = part[2].len;
    version->blob.data = ngx_pstrdup(run->pool, &part[2]);

    if (version->blob.data == NULL
        || ngx_http_loyalty_manifest_rows(run, version, &part[1]) != NGX_OK)
    {
        return NGX_ERROR;
    }

    slot = ngx_array_push(&run->versions);
    if (slot == NULL) {
        return NGX_ERROR;
    }

    *slot = version;
    *versionp = version;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_manifest_rows(ngx_http_loyalty_run_t *run,
    ngx_http_loyalty_version_t *version, ngx_str_t *table)
{
    u_char               *p;
    uint32_t              i, n;
    const unsigned char  *row;

    p = ngx_pstrdup(run->pool, table);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (loyalty_prizes_decode(p, table->len, &n, &row) != 0) {
        return NGX_ERROR;
    }

    version->rows = ngx_palloc(run->pool, n * sizeof(loyalty_prize_t));
    if (version->rows == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        row = loyalty_prizes_next(row, &version->rows[i]);
    }

    version->nrows = n;

    return NGX_OK;
}


/* the secret is the one that all versions were made with, or it is settled */

static ngx_int_t
ngx_http_loyalty_manifest_key(ngx_http_loyalty_run_t *run, ngx_str_t *id)
{
    ngx_uint_t                    i;
    ngx_http_loyalty_version_t  **version;

    if (!run->known) {
        ngx_http_loyalty_run_settle(run, NGX_HTTP_LOYALTY_RUN_SECRET,
                                    "it began with the secret \"%V\", which "
                                    "is not in the secret_file", id);
        return NGX_DECLINED;
    }

    version = run->versions.elts;

    for (i = 0; i < run->versions.nelts; i++) {

        if (!loyalty_equal(version[i]->manifest.kp_commit, run->kp_commit,
                           LOYALTY_HASH))
        {
            run->known = 0;
            ngx_http_loyalty_run_settle(run, NGX_HTTP_LOYALTY_RUN_SECRET,
                                        "the secret \"%V\" is not the one "
                                        "that it began with", id);
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


void
ngx_http_loyalty_manifest_settle(ngx_http_loyalty_run_t *run)
{
    u_char                        bytes[LOYALTY_MANIFEST_LEN];
    u_char                        mh[LOYALTY_HASH];
    ngx_uint_t                    tip, own;
    const char                   *error;
    loyalty_manifest_t            m;
    ngx_http_loyalty_version_t  **version;

    tip = run->versions.nelts;
    own = run->campaign->version;
    version = run->versions.elts;

    if (tip > own) {
        ngx_http_loyalty_run_settle(run, NGX_HTTP_LOYALTY_RUN_STALE,
                                    "this node has version %ui of its terms, "
                                    "and version %ui is registered", own,
                                    tip);
        return;
    }

    if (tip + 1 < own) {
        ngx_http_loyalty_run_settle(run, NGX_HTTP_LOYALTY_RUN_CHANGED,
                                    "version %ui needs a version %ui with "
                                    "the same \"open\", and there is none",
                                    own, own - 1);
        return;
    }

    switch (ngx_http_loyalty_manifest_chains(run)) {

    case NGX_OK:
        break;

    case NGX_AGAIN:
        return;

    default:
        goto failed;
    }

    if (ngx_http_loyalty_manifest_make(run, &m) != NGX_OK
        || loyalty_manifest_encode(bytes, LOYALTY_MANIFEST_LEN, &m)
           != LOYALTY_MANIFEST_LEN
        || loyalty_sha(mh, bytes, LOYALTY_MANIFEST_LEN) != 0)
    {
        goto failed;
    }

    if (tip == own) {

        if (ngx_memcmp(mh, version[tip - 1]->mh, LOYALTY_HASH) != 0) {
            (void) ngx_http_loyalty_manifest_same(run, &m,
                                                  &version[tip - 1]->manifest,
                                                  0);
            return;
        }

        version[tip - 1]->blob = run->campaign->rule->blob;

        ngx_http_loyalty_run_settle(run, NGX_HTTP_LOYALTY_RUN_READY, NULL);
        return;
    }

    if (tip > 0) {

        if (ngx_http_loyalty_manifest_same(run, &m,
                                           &version[tip - 1]->manifest, 1)
            != NGX_OK)
        {
            return;
        }

        error = ngx_http_loyalty_register_prizes(run);

        if (error != NULL) {
            ngx_http_loyalty_run_settle(run, NGX_HTTP_LOYALTY_RUN_CHANGED,
                                        "version %ui is refused: %s", own,
                                        error);
            return;
        }
    }

    if (ngx_http_loyalty_register(run, bytes) == NGX_OK) {
        return;
    }

failed:

    ngx_http_loyalty_run_settle(run, NGX_HTTP_LOYALTY_RUN_FAILED,
                                "its manifest cannot be made");
}


/* those of versions that govern now or will */

static ngx_int_t
ngx_http_loyalty_manifest_chains(ngx_http_loyalty_run_t *run)
{
    int64_t                       now;
    uint32_t                      e;
    ngx_int_t                     rc, again;
    ngx_uint_t                    i;
    ngx_http_loyalty_chain_t     *chain;
    ngx_http_loyalty_version_t  **version, *first;
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = run->campaign;

    if (campaign->kind != LOYALTY_INSTANT_WIN) {
        return NGX_OK;
    }

    /* its own anchor is in its manifest */

    again = ngx_http_loyalty_chain(run, campaign->version, campaign->epochs,
                                   &chain);

    if (again != NGX_OK && again != NGX_AGAIN) {
        return again;
    }

    now = ngx_http_loyalty_now();
    e = (now < campaign->open)
        ? 1 : (uint32_t) ((now - campaign->open) / campaign->length) + 1;

    first = ngx_http_loyalty_governing(run, e);
    version = run->versions.elts;

    for (i = 0; i < run->versions.nelts; i++) {

        if (first != NULL && version[i]->version < first->version) {
            continue;
        }

        rc = ngx_http_loyalty_chain(run, version[i]->version,
                                    version[i]->manifest.epochs, &chain);

        if (rc == NGX_AGAIN) {
            again = NGX_AGAIN;

        } else if (rc != NGX_OK) {
            return rc;
        }
    }

    return again;
}


static ngx_int_t
ngx_http_loyalty_manifest_make(ngx_http_loyalty_run_t *run,
    loyalty_manifest_t *m)
{
    u_char                        seed[LOYALTY_HASH];
    ngx_int_t                     rc;
    ngx_http_loyalty_chain_t     *chain;
    ngx_http_loyalty_version_t  **version;
    ngx_http_loyalty_campaign_t  *c;

    c = run->campaign;

    ngx_memzero(m, sizeof(loyalty_manifest_t));

    ngx_memcpy(m->cid, c->cid, LOYALTY_CID);
    m->version = c->version;

    if (c->version > 1) {
        version = run->versions.elts;
        ngx_memcpy(m->prev_mh, version[c->version - 2]->mh, LOYALTY_HASH);
    }

    m->kind = (uint8_t) c->kind;
    m->mode = (uint8_t) c->mode;
    m->open = (uint64_t) c->open;
    m->close = (uint64_t) c->close;
    m->length = c->length;
    m->epochs = c->epochs;
    ngx_memcpy(m->rules, c->rules_hash, LOYALTY_HASH);
    ngx_memcpy(m->terms, c->terms_hash, LOYALTY_HASH);
    ngx_memcpy(m->prizes, c->table_hash, LOYALTY_HASH);
    ngx_memcpy(m->kp_commit, run->kp_commit, LOYALTY_HASH);
    m->winners = c->winners;
    m->alternates = c->alternates;
    m->flags = (uint8_t) c->flags;

    if (ngx_http_loyalty_beacon_given(c->program)
        && loyalty_unhex(m->chain, LOYALTY_HASH, (u_char *) LOYALTY_QUICKNET,
                         2 * LOYALTY_HASH)
           != 0)
    {
        return NGX_ERROR;
    }

    if (c->kind == LOYALTY_INSTANT_WIN) {

        if (ngx_http_loyalty_chain(run, c->version, c->epochs, &chain)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        return loyalty_chain_get(&chain->chain, 0, m->anchor) == 0
               ? NGX_OK : NGX_ERROR;
    }

    if (ngx_http_loyalty_beacon_given(c->program)) {
        m->round = loyalty_round_close(m->close);
    }

    if (c->alone) {
        return NGX_OK;
    }

    rc = (loyalty_seed(seed, run->secret->key, c->cid, c->version) == 0
          && loyalty_seed_commit(m->seed_commit, c->cid, c->version, seed)
             == 0)
         ? NGX_OK : NGX_ERROR;

    loyalty_wipe(seed, LOYALTY_HASH);

    return rc;
}


/*
 * What is not the same, in words.  next: known is that of the version before,
 * of which only some may not change.
 */

static ngx_int_t
ngx_http_loyalty_manifest_same(ngx_http_loyalty_run_t *run,
    const loyalty_manifest_t *m, const loyalty_manifest_t *known,
    ngx_uint_t next)
{
    u_char      *p, text[NGX_HTTP_LOYALTY_DETAIL];
    ngx_uint_t   i;

    struct {
        const char  *name;
        ngx_uint_t   fixed;
        ngx_uint_t   differs;
    } part[] = {
        { "the draw", 1, m->kind != known->kind || m->mode != known->mode },
        { "epoch", 1, m->length != known->length },
        { "the beacon", 1,
          ngx_memcmp(m->chain, known->chain, LOYALTY_HASH) != 0 },
        { "close", 0, m->close != known->close },
        { "prizes", 0,
          ngx_memcmp(m->prizes, known->prizes, LOYALTY_HASH) != 0 },
        { "rules_file", 0,
          ngx_memcmp(m->rules, known->rules, LOYALTY_HASH) != 0 },
        { "alternates", 0,
          m->alternates != known->alternates || m->flags != known->flags },
        { "terms", 0,
          ngx_memcmp(m->terms, known->terms, LOYALTY_HASH) != 0 },
        { "the secret", 0,
          ngx_memcmp(m->seed_commit, known->seed_commit, LOYALTY_HASH) != 0
          || ngx_memcmp(m->anchor, known->anchor, LOYALTY_HASH) != 0 },
    };

    p = text;

    for (i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
        if (part[i].differs && (!next || part[i].fixed)) {
            p = ngx_slprintf(p, text + sizeof(text), "%s%s",
                             p == text ? "" : ", ", part[i].name);
        }
    }

    if (next) {

        if (p == text) {
            return NGX_OK;
        }

        ngx_http_loyalty_run_settle(run, NGX_HTTP_LOYALTY_RUN_CHANGED,
                                    "no version may change %*s",
                                    (size_t) (p - text), text);
        return NGX_DECLINED;
    }

    ngx_http_loyalty_run_settle(run, NGX_HTTP_LOYALTY_RUN_CHANGED,
                                "version %uD is registered with other terms "
                                "(%*s): \"version %uD\" is expected for new "
                                "ones", known->version, (size_t) (p - text),
                                text, known->version + 1);

    return NGX_DECLINED;
}
