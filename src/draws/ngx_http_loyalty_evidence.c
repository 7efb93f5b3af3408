/*
 * Evidence: when a campaign is finished and nothing is left to be published,
 * a signed note names every file with its hash.  When a file grows later (a
 * prize is claimed, a winner disqualified), another note follows.
 *
 * The leader reads the files as it reads logs, piece by piece; that they are
 * still what was read is checked in the step that publishes the note.
 */

#include "ngx_http_loyalty_draws_private.h"
#include "ngx_http_loyalty_timestamp.h"


#define NGX_HTTP_LOYALTY_GATHER_REST    5000      /* ms, and nothing grows */
#define NGX_HTTP_LOYALTY_GATHER_PIECE   131072    /* bytes */
#define NGX_HTTP_LOYALTY_GATHER_PIECES  16        /* of one pass */
#define NGX_HTTP_LOYALTY_GATHER_NAME    24
#define NGX_HTTP_LOYALTY_GATHER_TEXT    8192      /* lengths as a text */


typedef struct {
    size_t                        len;
    u_char                        name[NGX_HTTP_LOYALTY_GATHER_NAME];
    ngx_str_t                     key;            /* len 0: the log */
    int64_t                       length;
} ngx_http_loyalty_gather_file_t;


struct ngx_http_loyalty_gather_s {
    ngx_pool_t                   *pool;
    ngx_uint_t                    n;
    ngx_http_loyalty_gather_file_t  *file;
    loyalty_file_t               *named;          /* of those that there are */
    ngx_uint_t                    nnamed;
    int64_t                       records;
    ngx_uint_t                    reading;        /* 1: hashes are made */
    ngx_uint_t                    i;              /* of this file */
    int64_t                       at;
    ngx_uint_t                    pieces;         /* of this pass */
    loyalty_sha_t                 sha;
    size_t                        ntext;
    u_char                        text[NGX_HTTP_LOYALTY_GATHER_TEXT];
};


static ngx_uint_t ngx_http_loyalty_gather_due(ngx_http_loyalty_lead_t *lead);
static ngx_int_t ngx_http_loyalty_gather_create(
    ngx_http_loyalty_lead_t *lead);
static ngx_int_t ngx_http_loyalty_gather_add(ngx_http_loyalty_lead_t *lead,
    const char *name, uint32_t version);
static int ngx_libc_cdecl ngx_http_loyalty_gather_cmp(const void *one,
    const void *two);
static ngx_str_t *ngx_http_loyalty_gather_keys(ngx_http_loyalty_lead_t *lead,
    const char *more, ngx_uint_t *nkeys);
static ngx_int_t ngx_http_loyalty_gather_ask(ngx_http_loyalty_lead_t *lead);
static void ngx_http_loyalty_gather_lengths(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_gather_same(ngx_http_loyalty_lead_t *lead,
    ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_gather_read(ngx_http_loyalty_lead_t *lead);
static void ngx_http_loyalty_gather_piece(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_gather_hashed(
    ngx_http_loyalty_gather_t *gather);
static ngx_int_t ngx_http_loyalty_gather_note(ngx_http_loyalty_lead_t *lead,
    ngx_str_t *note);
static ngx_int_t ngx_http_loyalty_gather_publish(
    ngx_http_loyalty_lead_t *lead);
static void ngx_http_loyalty_gather_published(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);


ngx_int_t
ngx_http_loyalty_lead_evidence(ngx_http_loyalty_lead_t *lead)
{
    if (lead->held || lead->clock < lead->rest
        || !ngx_http_loyalty_gather_due(lead))
    {
        return NGX_OK;
    }

    if (lead->gather == NULL
        && ngx_http_loyalty_gather_create(lead) != NGX_OK)
    {
        ngx_http_loyalty_gather_free(lead);
        return NGX_ERROR;
    }

    lead->gather->pieces = 0;

    return lead->gather->reading ? ngx_http_loyalty_gather_read(lead)
                                 : ngx_http_loyalty_gather_ask(lead);
}


/* all that the clock asks for is done */

static ngx_uint_t
ngx_http_loyalty_gather_due(ngx_http_loyalty_lead_t *lead)
{
    uint32_t                      n;
    loyalty_epochs_t              clock;
    ngx_http_loyalty_version_t   *version;
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = lead->campaign;

    if (lead->nwanted != 0 || lead->nrounds != 0) {
        return 0;
    }

    for (n = 1; ngx_http_loyalty_timestamp_given(campaign->program); n++) {

        version = ngx_http_loyalty_campaign_version_n(campaign, n);

        if (version == NULL) {
            break;
        }

        if (version->stamped == 0) {
            return 0;
        }
    }

    if (campaign->kind != LOYALTY_INSTANT_WIN) {
        return campaign->stage != NULL
               && ngx_strcmp(campaign->stage, "drawn") == 0;
    }

    return ngx_http_loyalty_last(campaign->run, &clock) != NULL
           && lead->over >= (int64_t) clock.epochs
           && lead->revealed == lead->over
           && lead->headed >= (int64_t) clock.close
           && (int64_t) lead->tree.size == lead->records;
}


static ngx_int_t
ngx_http_loyalty_gather_create(ngx_http_loyalty_lead_t *lead)
{
    uint32_t                    v;
    ngx_uint_t                  i, n;
    ngx_pool_t                 *pool;
    ngx_http_loyalty_gather_t  *gather;

    static const char  *names[] = {
        "manifest", "heads", "close", "timestamps", "cosignatures",
        "beacons", "reveal", "picks", "dq", NULL
    };

    pool = ngx_create_pool(16384, lead->leader->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    gather = ngx_pcalloc(pool, sizeof(ngx_http_loyalty_gather_t));
    if (gather == NULL) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    gather->pool = pool;
    lead->gather = gather;

    n = 10 + 3 * lead->campaign->run->versions.nelts;

    gather->file = ngx_pcalloc(pool, n
                               * sizeof(ngx_http_loyalty_gather_file_t));
    gather->named = ngx_pcalloc(pool, n * sizeof(loyalty_file_t));

    if (gather->file == NULL || gather->named == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; names[i] != NULL; i++) {
        if (ngx_http_loyalty_gather_add(lead, names[i], 0) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    for (v = 1; v <= lead->campaign->run->versions.nelts; v++) {
        if (ngx_http_loyalty_gather_add(lead, "terms", v) != NGX_OK
            || ngx_http_loyalty_gather_add(lead, "prizes", v) != NGX_OK
            || ngx_http_loyalty_gather_add(lead, "rules", v) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    /* its key is that of the chunk that is read */

    gather->file[gather->n].len = ngx_sprintf(gather->file[gather->n].name,
                        lead->campaign->kind == LOYALTY_INSTANT_WIN
                        ? "log" : "entries")
                    - gather->file[gather->n].name;
    gather->n++;

    ngx_qsort(gather->file, gather->n,
              sizeof(ngx_http_loyalty_gather_file_t),
              ngx_http_loyalty_gather_cmp);

    return NGX_OK;
}


void
ngx_http_loyalty_gather_free(ngx_http_loyalty_lead_t *lead)
{
    if (lead->gather != NULL) {
        ngx_destroy_pool(lead->gather->pool);
        lead->gather = NULL;
    }
}


static ngx_int_t
ngx_http_loyalty_gather_add(ngx_http_loyalty_lead_t *lead, const char *name,
    uint32_t version)
{
    u_char                           *p, key[64];
    ngx_http_loyalty_gather_file_t   *file;

    file = &lead->gather->file[lead->gather->n++];

    p = version ? ngx_sprintf(file->name, "%s-%uD", name, version)
                : ngx_sprintf(file->name, "%s", name);

    file->len = p - file->name;

    ngx_sprintf(key, "f:%*s%Z", file->len, file->name);

    p = ngx_pnalloc(lead->gather->pool, NGX_HTTP_LOYALTY_CAMPAIGN_KEY);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_http_loyalty_campaign_key(lead->campaign, (char *) key, -1, p,
                                  &file->key);

    return NGX_OK;
}


static int ngx_libc_cdecl
ngx_http_loyalty_gather_cmp(const void *one, const void *two)
{
    ngx_int_t                              rc;
    const ngx_http_loyalty_gather_file_t  *first, *second;

    first = one;
    second = two;

    rc = ngx_memn2cmp((u_char *) first->name, (u_char *) second->name,
                      first->len, second->len);

    return (rc > 0) - (rc < 0);
}


/* the keys of all files but the log, behind meta, state and "more" others */

static ngx_str_t *
ngx_http_loyalty_gather_keys(ngx_http_loyalty_lead_t *lead, const char *more,
    ngx_uint_t *nkeys)
{
    u_char                     *buf;
    ngx_str_t                  *key;
    ngx_uint_t                  i, n;
    ngx_http_loyalty_gather_t  *gather;

    gather = lead->gather;

    key = ngx_palloc(gather->pool, (gather->n + 3) * sizeof(ngx_str_t));
    buf = ngx_pnalloc(gather->pool, 3 * NGX_HTTP_LOYALTY_CAMPAIGN_KEY);

    if (key == NULL || buf == NULL) {
        return NULL;
    }

    ngx_http_loyalty_campaign_key(lead->campaign, "meta", -1, buf, &key[0]);
    ngx_http_loyalty_campaign_key(lead->campaign, "s", -1,
                                  buf + NGX_HTTP_LOYALTY_CAMPAIGN_KEY,
                                  &key[1]);
    n = 2;

    if (more != NULL) {
        ngx_http_loyalty_campaign_key(lead->campaign, more, -1,
                                      buf + 2 * NGX_HTTP_LOYALTY_CAMPAIGN_KEY,
                                      &key[n++]);
    }

    for (i = 0; i < gather->n; i++) {
        if (gather->file[i].key.len != 0) {
            key[n++] = gather->file[i].key;
        }
    }

    *nkeys = n;

    return key;
}


static ngx_int_t
ngx_http_loyalty_gather_ask(ngx_http_loyalty_lead_t *lead)
{
    ngx_str_t   *key, arg;
    ngx_uint_t   n;

    key = ngx_http_loyalty_gather_keys(lead, NULL, &n);
    if (key == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&arg, "\xc0");

    return ngx_http_loyalty_lead_call(lead, NGX_HTTP_LOYALTY_FN_LENGTHS, n,
                                      key, &arg,
                                      ngx_http_loyalty_gather_lengths);
}


static void
ngx_http_loyalty_gather_lengths(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_lead_t *lead = data;

    ngx_int_t  rc;

    lead->op = NULL;

    rc = (status == NGX_HTTP_LOYALTY_REPLY && lead->gather != NULL)
         ? ngx_http_loyalty_gather_same(lead, reply) : NGX_ERROR;

    switch (rc) {

    case NGX_OK:                 /* nothing grows, and there is no note */
        lead->gather->reading = 1;
        lead->again = 1;
        break;

    case NGX_AGAIN:              /* look again whether it grows */
        lead->rest = lead->clock + NGX_HTTP_LOYALTY_GATHER_REST;
        break;

    case NGX_DECLINED:           /* there is a note about all this */
        lead->rest = lead->clock + NGX_HTTP_LOYALTY_GATHER_REST;
        ngx_http_loyalty_gather_free(lead);
        break;

    default: /* NGX_ERROR */
        ngx_http_loyalty_gather_free(lead);
        ngx_http_loyalty_lead_next(lead, NGX_ERROR);
        return;
    }

    ngx_http_loyalty_lead_next(lead, NGX_OK);
}


static ngx_int_t
ngx_http_loyalty_gather_same(ngx_http_loyalty_lead_t *lead,
    ngx_http_loyalty_reply_t *reply)
{
    u_char                           *p, *last;
    u_char                            text[NGX_HTTP_LOYALTY_GATHER_TEXT];
    int64_t                           record;
    ngx_uint_t                        i, n, same;
    ngx_http_loyalty_gather_t        *gather;
    ngx_http_loyalty_gather_file_t   *file;

    gather = lead->gather;

    record = (lead->campaign->kind == LOYALTY_INSTANT_WIN)
             ? LOYALTY_PLAYREC_LEN : LOYALTY_ENTRY_LEN;

    if (reply->n != gather->n + 1
        || ngx_http_loyalty_reply_numbers(reply, 1, 1, &gather->records)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    p = text;
    last = text + sizeof(text);

    for (i = 0, n = 2; i < gather->n; i++) {
        file = &gather->file[i];

        if (file->key.len == 0) {
            file->length = gather->records * record;

        } else if (ngx_http_loyalty_reply_numbers(reply, n++, 1,
                                                  &file->length)
                   != NGX_OK)
        {
            return NGX_ERROR;
        }

        p = ngx_slprintf(p, last, "%L ", file->length);
    }

    n = p - text;

    if (reply->values[0].len == n
        && ngx_memcmp(reply->values[0].data, text, n) == 0)
    {
        return NGX_DECLINED;
    }

    same = (gather->ntext == n && ngx_memcmp(gather->text, text, n) == 0);

    ngx_memcpy(gather->text, text, n);
    gather->ntext = n;

    return same ? NGX_OK : NGX_AGAIN;
}


/* the next piece of the file under way, of one chunk where it is the log */

static ngx_int_t
ngx_http_loyalty_gather_read(ngx_http_loyalty_lead_t *lead)
{
    u_char                            buf[2][NGX_HTTP_LOYALTY_CAMPAIGN_KEY];
    u_char                            text[32];
    int64_t                           at, len, chunk;
    ngx_str_t                         key[2], arg;
    ngx_uint_t                        n;
    loyalty_mpw_t                     w;
    ngx_http_loyalty_gather_t        *gather;
    ngx_http_loyalty_gather_file_t   *file;

    gather = lead->gather;

    while (gather->i < gather->n && gather->file[gather->i].length == 0) {
        gather->i++;
    }

    if (gather->i == gather->n) {
        return ngx_http_loyalty_gather_publish(lead);
    }

    file = &gather->file[gather->i];
    at = gather->at;
    len = ngx_min(file->length - at, NGX_HTTP_LOYALTY_GATHER_PIECE);

    if (at == 0) {
        loyalty_sha_init(&gather->sha);
    }

    key[0] = file->key;
    n = 1;

    if (file->key.len == 0) {
        chunk = ((lead->campaign->kind == LOYALTY_INSTANT_WIN)
                 ? LOYALTY_PLAYREC_LEN : LOYALTY_ENTRY_LEN)
                * NGX_HTTP_LOYALTY_CHUNK;

        ngx_http_loyalty_campaign_key(lead->campaign, "s", -1, buf[0],
                                      &key[0]);
        ngx_http_loyalty_campaign_key(lead->campaign,
                          lead->campaign->kind == LOYALTY_INSTANT_WIN
                          ? "l" : "e", at / chunk, buf[1], &key[1]);
        n = 2;

        len = ngx_min(len, chunk - at % chunk);
        at %= chunk;
    }

    loyalty_mpw_init(&w, text, sizeof(text));
    loyalty_mpw_int(&w, at);
    loyalty_mpw_int(&w, len);

    arg.data = text;
    arg.len = w.pos - w.start;

    return ngx_http_loyalty_lead_call(lead, NGX_HTTP_LOYALTY_FN_PIECE, n, key,
                                      &arg, ngx_http_loyalty_gather_piece);
}


static void
ngx_http_loyalty_gather_piece(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_lead_t *lead = data;

    ngx_int_t                         rc;
    ngx_str_t                        *bytes;
    ngx_http_loyalty_gather_t        *gather;
    ngx_http_loyalty_gather_file_t   *file;

    lead->op = NULL;

    gather = lead->gather;
    rc = NGX_ERROR;

    /* who no longer leads has put it away */

    if (status == NGX_HTTP_LOYALTY_REPLY && reply->n == 2
        && reply->values[1].len > 0 && gather != NULL)
    {
        file = &gather->file[gather->i];
        bytes = &reply->values[1];

        loyalty_sha_raw(&gather->sha, bytes->data, bytes->len);
        gather->at += bytes->len;

        rc = (gather->at == file->length)
             ? ngx_http_loyalty_gather_hashed(gather) : NGX_OK;
    }

    /* what lives beside it has its turn */

    if (rc == NGX_OK && ++gather->pieces == NGX_HTTP_LOYALTY_GATHER_PIECES) {
        lead->again = 1;
        ngx_http_loyalty_lead_next(lead, NGX_OK);
        return;
    }

    if (rc == NGX_OK) {
        rc = ngx_http_loyalty_gather_read(lead);

        if (rc == NGX_AGAIN) {
            return;
        }
    }

    ngx_http_loyalty_gather_free(lead);
    ngx_http_loyalty_lead_next(lead, NGX_ERROR);
}


static ngx_int_t
ngx_http_loyalty_gather_hashed(ngx_http_loyalty_gather_t *gather)
{
    loyalty_file_t                  *named;
    ngx_http_loyalty_gather_file_t  *file;

    file = &gather->file[gather->i];
    named = &gather->named[gather->nnamed++];

    named->name = file->name;
    named->len = file->len;

    gather->i++;
    gather->at = 0;

    return loyalty_sha_final(&gather->sha, named->hash) == 0 ? NGX_OK
                                                             : NGX_ERROR;
}


static ngx_int_t
ngx_http_loyalty_gather_note(ngx_http_loyalty_lead_t *lead, ngx_str_t *note)
{
    size_t                      size;
    u_char                     *statement;
    ngx_http_loyalty_gather_t  *gather;

    gather = lead->gather;

    size = loyalty_evidence_len(gather->named, gather->nnamed);

    statement = ngx_pnalloc(gather->pool, size);
    if (statement == NULL) {
        return NGX_ERROR;
    }

    size = loyalty_evidence_encode(statement, size, lead->campaign->cid,
                                   (uint64_t) lead->clock, gather->named,
                                   gather->nnamed);

    if (size == 0) {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_campaign_note(lead->campaign, gather->pool,
                                          LOYALTY_NOTE_EVIDENCE, statement,
                                          size, note);
}


static ngx_int_t
ngx_http_loyalty_gather_publish(ngx_http_loyalty_lead_t *lead)
{
    size_t                      size;
    ngx_str_t                  *key, arg, note;
    ngx_uint_t                  i, n;
    loyalty_mpw_t               w;
    ngx_http_loyalty_gather_t  *gather;

    gather = lead->gather;

    key = ngx_http_loyalty_gather_keys(lead, "f:evidence", &n);

    if (key == NULL || ngx_http_loyalty_gather_note(lead, &note) != NGX_OK) {
        return NGX_ERROR;
    }

    size = note.len + gather->ntext + 16 * (gather->n + 4);

    arg.data = ngx_pnalloc(gather->pool, size);
    if (arg.data == NULL) {
        return NGX_ERROR;
    }

    loyalty_mpw_init(&w, arg.data, size);
    loyalty_mpw_str(&w, note.data, note.len);
    loyalty_mpw_str(&w, gather->text, gather->ntext);
    loyalty_mpw_int(&w, gather->records);

    for (i = 0; i < gather->n; i++) {
        if (gather->file[i].key.len != 0) {
            loyalty_mpw_int(&w, gather->file[i].length);
        }
    }

    if (w.failed) {
        return NGX_ERROR;
    }

    arg.len = w.pos - w.start;

    return ngx_http_loyalty_lead_call(lead, NGX_HTTP_LOYALTY_FN_EVIDENCE, n,
                                      key, &arg,
                                      ngx_http_loyalty_gather_published);
}


static void
ngx_http_loyalty_gather_published(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_lead_t *lead = data;

    lead->op = NULL;
    lead->rest = lead->clock + NGX_HTTP_LOYALTY_GATHER_REST;

    ngx_http_loyalty_gather_free(lead);

    if (status == NGX_HTTP_LOYALTY_REPLY && reply->n == 1
        && reply->values[0].len == 1 && reply->values[0].data[0] == 'N')
    {
        ngx_log_error(NGX_LOG_NOTICE, lead->leader->log, 0,
                      "%V is finished: its evidence is published",
                      &lead->campaign->rule->reason);
    }

    ngx_http_loyalty_lead_next(lead, NGX_OK);
}
