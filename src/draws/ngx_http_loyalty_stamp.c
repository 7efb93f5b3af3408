/*
 * Timestamps of an outsider for a campaign's notes: every manifest gets one,
 * and what the rooms ask for.  A token that was fetched, or brought by hand,
 * is published and its time is noted in Redis; a later version of an instant
 * win governs from then on, two epochs later.
 */

#include "ngx_http_loyalty_draws_private.h"
#include "ngx_http_loyalty_timestamp.h"


#define NGX_HTTP_LOYALTY_SLOTS       256          /* notes at a time */
#define NGX_HTTP_LOYALTY_STAMP_WAIT  5000         /* ms after a failure */
#define NGX_HTTP_LOYALTY_STAMP_KIND  16


typedef enum {
    NGX_HTTP_LOYALTY_SLOT_NEW = 0,                /* Redis may have one */
    NGX_HTTP_LOYALTY_SLOT_NONE,                   /* it has not */
    NGX_HTTP_LOYALTY_SLOT_STAMPED
} ngx_http_loyalty_slot_e;


/* one note that wants a token, in the leader */

struct ngx_http_loyalty_slot_s {
    ngx_queue_t                   queue;
    ngx_http_loyalty_lead_t      *lead;
    char                          kind[NGX_HTTP_LOYALTY_STAMP_KIND];
    uint32_t                      key;
    u_char                        hash[LOYALTY_HASH];
    ngx_http_loyalty_slot_e       state;
    int64_t                       time;
    ngx_msec_t                    next;           /* not before */
    ngx_http_loyalty_stamp_t     *stamp;
    ngx_http_loyalty_op_t        *op;
    ngx_http_loyalty_ask_t       *ask;
};


static ngx_http_loyalty_slot_t *ngx_http_loyalty_slot(
    ngx_http_loyalty_lead_t *lead, const char *kind, uint32_t key,
    const u_char *hash);
static void ngx_http_loyalty_slot_ask(ngx_http_loyalty_slot_t *slot);
static void ngx_http_loyalty_slot_known(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static void ngx_http_loyalty_slot_fetched(void *data,
    ngx_http_loyalty_stamped_t *stamped);
static void ngx_http_loyalty_slot_stored(void *data, ngx_int_t rc,
    int64_t time);
static ngx_http_loyalty_ask_t *ngx_http_loyalty_stamp_store(
    ngx_http_loyalty_campaign_t *campaign, const char *kind, uint32_t key,
    ngx_str_t *token, int64_t time, ngx_http_loyalty_publish_pt handler,
    void *data);
static ngx_int_t ngx_http_loyalty_stamp_answer(ngx_http_loyalty_ask_t *ask,
    ngx_http_loyalty_reply_t *reply, int64_t *length);
static ngx_int_t ngx_http_loyalty_manifest_hash(
    ngx_http_loyalty_campaign_t *campaign,
    ngx_http_loyalty_version_t *version, u_char *hash);


ngx_int_t
ngx_http_loyalty_campaign_stamp(ngx_http_loyalty_campaign_t *campaign,
    const char *kind, uint32_t key, const u_char *hash, int64_t *time)
{
    ngx_http_loyalty_lead_t  *lead;
    ngx_http_loyalty_slot_t  *slot;

    lead = ngx_http_loyalty_lead(campaign);
    if (lead == NULL) {
        return NGX_AGAIN;
    }

    slot = ngx_http_loyalty_slot(lead, kind, key, hash);
    if (slot == NULL) {
        return NGX_AGAIN;
    }

    if (slot->state == NGX_HTTP_LOYALTY_SLOT_STAMPED) {
        *time = slot->time;
        return NGX_OK;
    }

    if (slot->op != NULL || slot->ask != NULL || slot->stamp != NULL
        || (ngx_msec_int_t) (ngx_current_msec - slot->next) < 0)
    {
        return (slot->state == NGX_HTTP_LOYALTY_SLOT_NONE
                && !ngx_http_loyalty_timestamp_given(campaign->program))
               ? NGX_DECLINED : NGX_AGAIN;
    }

    slot->next = ngx_current_msec + NGX_HTTP_LOYALTY_STAMP_WAIT;

    /* one may have been brought by hand, or by the leader before */

    if (slot->state == NGX_HTTP_LOYALTY_SLOT_NEW
        || !ngx_http_loyalty_timestamp_given(campaign->program))
    {
        ngx_http_loyalty_slot_ask(slot);
        return NGX_AGAIN;
    }

    slot->stamp = ngx_http_loyalty_timestamp_fetch(campaign->program, hash,
                                               ngx_http_loyalty_slot_fetched,
                                               slot);

    return NGX_AGAIN;
}


static ngx_http_loyalty_slot_t *
ngx_http_loyalty_slot(ngx_http_loyalty_lead_t *lead, const char *kind,
    uint32_t key, const u_char *hash)
{
    ngx_uint_t                n;
    ngx_queue_t              *q;
    ngx_http_loyalty_slot_t  *slot;

    n = 0;

    for (q = ngx_queue_head(&lead->slots);
         q != ngx_queue_sentinel(&lead->slots);
         q = ngx_queue_next(q))
    {
        slot = ngx_queue_data(q, ngx_http_loyalty_slot_t, queue);

        if (slot->key == key && ngx_strcmp(slot->kind, kind) == 0
            && ngx_memcmp(slot->hash, hash, LOYALTY_HASH) == 0)
        {
            return slot;
        }

        n++;
    }

    if (n == NGX_HTTP_LOYALTY_SLOTS
        || ngx_strlen(kind) >= NGX_HTTP_LOYALTY_STAMP_KIND)
    {
        return NULL;
    }

    slot = ngx_calloc(sizeof(ngx_http_loyalty_slot_t), lead->leader->log);
    if (slot == NULL) {
        return NULL;
    }

    slot->lead = lead;
    slot->key = key;
    slot->next = ngx_current_msec;
    ngx_memcpy(slot->kind, kind, ngx_strlen(kind));
    ngx_memcpy(slot->hash, hash, LOYALTY_HASH);

    ngx_queue_insert_tail(&lead->slots, &slot->queue);

    return slot;
}


void
ngx_http_loyalty_slots_free(ngx_http_loyalty_lead_t *lead)
{
    ngx_queue_t              *q;
    ngx_http_loyalty_slot_t  *slot;

    while (!ngx_queue_empty(&lead->slots)) {
        q = ngx_queue_head(&lead->slots);
        ngx_queue_remove(q);

        slot = ngx_queue_data(q, ngx_http_loyalty_slot_t, queue);

        if (slot->op != NULL) {
            ngx_http_loyalty_redis_detach(slot->op);
        }

        if (slot->ask != NULL) {
            ngx_http_loyalty_ask_free(slot->ask);
        }

        if (slot->stamp != NULL) {
            ngx_http_loyalty_timestamp_cancel(slot->stamp);
        }

        ngx_free(slot);
    }
}


static void
ngx_http_loyalty_slot_ask(ngx_http_loyalty_slot_t *slot)
{
    u_char                        buf[NGX_HTTP_LOYALTY_CAMPAIGN_KEY];
    u_char                        name[64], text[80];
    ngx_str_t                     key, arg;
    loyalty_mpw_t                 w;
    ngx_http_loyalty_status_e     status;
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = slot->lead->campaign;

    ngx_http_loyalty_campaign_key(campaign, "meta", -1, buf, &key);

    loyalty_mpw_init(&w, text, sizeof(text));
    loyalty_mpw_str(&w, name,
                    ngx_sprintf(name, "t:%s:%uD", slot->kind, slot->key)
                    - name);

    arg.data = text;
    arg.len = w.pos - w.start;

    slot->op = ngx_http_loyalty_redis_call(campaign->program,
                                 NGX_HTTP_LOYALTY_BULK,
                                 ngx_http_loyalty_campaign_partition(campaign),
                                 NGX_HTTP_LOYALTY_FN_FIELDS, 1, &key, &arg,
                                 ngx_http_loyalty_slot_known, slot, &status);
}


static void
ngx_http_loyalty_slot_known(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_slot_t *slot = data;

    slot->op = NULL;

    if (status != NGX_HTTP_LOYALTY_REPLY || reply->n != 1) {
        return;
    }

    if (reply->values[0].data == NULL) {

        if (slot->state == NGX_HTTP_LOYALTY_SLOT_NEW) {
            slot->state = NGX_HTTP_LOYALTY_SLOT_NONE;
            slot->next = ngx_current_msec;
        }

        return;
    }

    if (ngx_http_loyalty_reply_numbers(reply, 0, 1, &slot->time) == NGX_OK) {
        slot->state = NGX_HTTP_LOYALTY_SLOT_STAMPED;
    }
}


static void
ngx_http_loyalty_slot_fetched(void *data,
    ngx_http_loyalty_stamped_t *stamped)
{
    ngx_http_loyalty_slot_t *slot = data;

    slot->stamp = NULL;
    slot->next = ngx_current_msec + NGX_HTTP_LOYALTY_STAMP_WAIT;

    if (stamped->token.len == 0) {
        ngx_log_error(NGX_LOG_ERR, slot->lead->leader->log, 0,
                      "no timestamp for the %s of %V: %V", slot->kind,
                      &slot->lead->campaign->rule->reason, &stamped->error);
        return;
    }

    slot->ask = ngx_http_loyalty_stamp_store(slot->lead->campaign, slot->kind,
                                             slot->key, &stamped->token,
                                             stamped->time,
                                             ngx_http_loyalty_slot_stored,
                                             slot);
}


static void
ngx_http_loyalty_slot_stored(void *data, ngx_int_t rc, int64_t time)
{
    ngx_http_loyalty_slot_t *slot = data;

    slot->ask = NULL;

    if (rc == NGX_OK) {
        slot->state = NGX_HTTP_LOYALTY_SLOT_STAMPED;
        slot->time = time;

        ngx_log_error(NGX_LOG_INFO, slot->lead->leader->log, 0,
                      "a timestamp for the %s of %V", slot->kind,
                      &slot->lead->campaign->rule->reason);
    }
}


/* the file's line, and what its time means */

static ngx_http_loyalty_ask_t *
ngx_http_loyalty_stamp_store(ngx_http_loyalty_campaign_t *campaign,
    const char *kind, uint32_t key, ngx_str_t *token, int64_t time,
    ngx_http_loyalty_publish_pt handler, void *data)
{
    u_char                   buf[3][NGX_HTTP_LOYALTY_CAMPAIGN_KEY], *line;
    size_t                   size;
    ngx_str_t                keys[3], arg;
    ngx_uint_t               governs;
    loyalty_mpw_t            w;
    ngx_http_loyalty_ask_t  *ask;

    ngx_http_loyalty_campaign_key(campaign, "meta", -1, buf[0], &keys[0]);
    ngx_http_loyalty_campaign_key(campaign, "s", -1, buf[1], &keys[1]);
    ngx_http_loyalty_campaign_key(campaign, "f:timestamps", -1, buf[2],
                                  &keys[2]);

    governs = (campaign->kind == LOYALTY_INSTANT_WIN && key > 1
               && ngx_strcmp(kind, "manifest") == 0);

    size = loyalty_base64_len(token->len) + 64;

    line = ngx_alloc(2 * size + 128, ngx_cycle->log);
    if (line == NULL) {
        return NULL;
    }

    arg.data = ngx_sprintf(line, "%s %uD ", kind, key);
    arg.data += loyalty_base64(arg.data, token->data, token->len);
    *arg.data++ = LF;

    loyalty_mpw_init(&w, arg.data, size + 128);
    loyalty_mpw_str(&w, kind, ngx_strlen(kind));
    loyalty_mpw_int(&w, key);
    loyalty_mpw_int(&w, time);
    loyalty_mpw_str(&w, line, arg.data - line);
    loyalty_mpw_int(&w, governs ? campaign->open : 0);
    loyalty_mpw_int(&w, governs ? campaign->length : 0);

    arg.len = w.pos - w.start;

    ask = ngx_http_loyalty_ask(campaign, ngx_http_loyalty_stamp_answer,
                               handler, data);

    ask = ngx_http_loyalty_ask_send(ask, NGX_HTTP_LOYALTY_BULK,
                                    NGX_HTTP_LOYALTY_FN_STAMPED, 3, keys,
                                    &arg);

    ngx_free(line);

    return ask;
}


static ngx_int_t
ngx_http_loyalty_stamp_answer(ngx_http_loyalty_ask_t *ask,
    ngx_http_loyalty_reply_t *reply, int64_t *length)
{
    if (ngx_http_loyalty_reply_numbers(reply, 1, 1, length) != NGX_OK) {
        return NGX_ERROR;
    }

    if (reply->values[0].data[0] == 'L') {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "a timestamp for a version of %V came too late: the "
                      "epoch that it would govern from has begun",
                      &ask->campaign->rule->reason);
        return NGX_DECLINED;
    }

    /* from when a version governs may be known now */

    ngx_http_loyalty_campaign_refresh(ask->campaign);

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_campaign_token(ngx_http_loyalty_campaign_t *campaign,
    ngx_pool_t *pool, const char *kind, uint32_t key, const u_char *hash,
    ngx_str_t *token, ngx_str_t *error, ngx_http_loyalty_publish_pt handler,
    void *data)
{
    int64_t                      time;
    u_char                       own[LOYALTY_HASH];
    ngx_http_loyalty_version_t  *version;

    if (hash == NULL) {

        version = ngx_http_loyalty_campaign_version_n(campaign, key);

        if (version == NULL || ngx_strcmp(kind, "manifest") != 0) {
            ngx_str_set(error, "there is no such note");
            return NGX_DECLINED;
        }

        if (ngx_http_loyalty_manifest_hash(campaign, version, own) != NGX_OK)
        {
            return NGX_ERROR;
        }

        hash = own;
    }

    if (ngx_http_loyalty_timestamp_check_token(campaign->program, pool, token,
                                               hash, &time, error)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return ngx_http_loyalty_stamp_store(campaign, kind, key, token, time,
                                        handler, data)
           != NULL ? NGX_OK : NGX_ERROR;
}


/* Ed25519 gives the same note again */

static ngx_int_t
ngx_http_loyalty_manifest_hash(ngx_http_loyalty_campaign_t *campaign,
    ngx_http_loyalty_version_t *version, u_char *hash)
{
    u_char       bytes[LOYALTY_MANIFEST_LEN];
    ngx_int_t    rc;
    ngx_str_t    note;
    ngx_pool_t  *pool;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    rc = (loyalty_manifest_encode(bytes, LOYALTY_MANIFEST_LEN,
                                  &version->manifest)
          == LOYALTY_MANIFEST_LEN
          && ngx_http_loyalty_campaign_note(campaign, pool,
                                            LOYALTY_NOTE_MANIFEST, bytes,
                                            LOYALTY_MANIFEST_LEN, &note)
             == NGX_OK
          && loyalty_sha(hash, note.data, note.len) == 0)
         ? NGX_OK : NGX_ERROR;

    ngx_destroy_pool(pool);

    return rc;
}


/* every version's manifest wants a token */

ngx_int_t
ngx_http_loyalty_lead_stamps(ngx_http_loyalty_lead_t *lead)
{
    int64_t                       time;
    u_char                        hash[LOYALTY_HASH];
    uint32_t                      n;
    ngx_http_loyalty_version_t   *version;
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = lead->campaign;

    if (!ngx_http_loyalty_timestamp_given(campaign->program)) {
        return NGX_OK;
    }

    for (n = 1; ; n++) {

        version = ngx_http_loyalty_campaign_version_n(campaign, n);

        if (version == NULL) {
            break;
        }

        if (version->stamped != 0) {
            continue;
        }

        if (ngx_http_loyalty_manifest_hash(campaign, version, hash) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (ngx_http_loyalty_campaign_stamp(campaign, "manifest", n, hash,
                                            &time)
            == NGX_OK)
        {
            version->stamped = time;
        }
    }

    return NGX_OK;
}
