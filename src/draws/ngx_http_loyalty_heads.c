/*
 * Heads: once a minute a signed note says how long the log of an instant win
 * is and what its Merkle root is, so that nobody can change what has been
 * told.  The leader reads the log as it grows and keeps the frontier of the
 * tree; what is in Redis is enough for the next leader to go on.
 */

#include "ngx_http_loyalty_draws_private.h"


static void ngx_http_loyalty_lead_tree_is(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_lead_load(ngx_http_loyalty_lead_t *lead,
    ngx_str_t *frontier);
static void ngx_http_loyalty_lead_rewound(ngx_http_loyalty_lead_t *lead,
    int64_t records);
static void ngx_http_loyalty_lead_paused(void *data, ngx_int_t rc,
    int64_t length);
static void ngx_http_loyalty_lead_records(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static void ngx_http_loyalty_lead_last(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static void ngx_http_loyalty_lead_damaged(ngx_http_loyalty_lead_t *lead,
    int64_t record);
static ngx_uint_t ngx_http_loyalty_head_due(ngx_http_loyalty_lead_t *lead);
static ngx_int_t ngx_http_loyalty_head_note(ngx_http_loyalty_lead_t *lead,
    ngx_pool_t *pool, ngx_str_t *note);
static ngx_int_t ngx_http_loyalty_head_save(ngx_http_loyalty_lead_t *lead,
    ngx_str_t *note);
static void ngx_http_loyalty_lead_headed(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);


ngx_int_t
ngx_http_loyalty_lead_tree(ngx_http_loyalty_lead_t *lead)
{
    u_char     buf[2][NGX_HTTP_LOYALTY_CAMPAIGN_KEY];
    ngx_str_t  key[2], arg;

    ngx_http_loyalty_campaign_key(lead->campaign, "meta", -1, buf[0],
                                  &key[0]);
    ngx_http_loyalty_campaign_key(lead->campaign, "s", -1, buf[1], &key[1]);

    ngx_str_set(&arg, "\xc0");

    /* what was answered by now Redis has, when it answers this */

    lead->seen = ngx_max(ngx_http_loyalty_campaign_seen(lead->campaign),
                         lead->records);

    return ngx_http_loyalty_lead_call(lead, NGX_HTTP_LOYALTY_FN_TREE, 2, key,
                                      &arg, ngx_http_loyalty_lead_tree_is);
}


static void
ngx_http_loyalty_lead_tree_is(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_lead_t *lead = data;

    int64_t  number[8];

    lead->op = NULL;

    if (status != NGX_HTTP_LOYALTY_REPLY || reply->n != 8
        || ngx_http_loyalty_reply_numbers(reply, 0, 2, number) != NGX_OK
        || ngx_http_loyalty_reply_numbers(reply, 3, 5, number + 3) != NGX_OK)
    {
        /* it may be there no more */

        if (status == NGX_HTTP_LOYALTY_FAILED) {
            ngx_http_loyalty_campaign_refresh(lead->campaign);
        }

        ngx_http_loyalty_lead_next(lead, NGX_ERROR);
        return;
    }

    /*
     * Another version is registered, or governs from some epoch on.  Where
     * nobody plays by this node, nobody else tells it.
     */

    if (number[7] != ngx_http_loyalty_campaign_generation(lead->campaign)) {
        ngx_http_loyalty_campaign_refresh(lead->campaign);
        ngx_http_loyalty_lead_next(lead, NGX_ERROR);
        return;
    }

    lead->held = (number[6] >= NGX_HTTP_LOYALTY_REWOUND);

    /* it was resumed: what is wrong still is told once more */

    if (number[6] < NGX_HTTP_LOYALTY_DAMAGED) {
        lead->damaged = 0;
    }

    if (number[0] < lead->seen || number[0] < number[1]) {
        ngx_http_loyalty_lead_rewound(lead, number[0]);

    } else {
        lead->rewound = 0;
    }

    /* another leader may have been here meanwhile */

    if (lead->saved != number[1] || lead->headed != number[3]) {
        lead->loaded = 0;
    }

    lead->records = number[0];
    lead->saved = number[1];
    lead->headed = number[3];
    lead->over = number[4];
    lead->clock = number[5];
    lead->paused = (number[6] != 0);

    if (!lead->loaded
        && ngx_http_loyalty_lead_load(lead, &reply->values[2]) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ALERT, lead->leader->log, 0,
                      "the Merkle tree of %V in Redis is damaged",
                      &lead->campaign->rule->reason);
        ngx_http_loyalty_lead_next(lead, NGX_ERROR);
        return;
    }

    ngx_http_loyalty_campaign_saw(lead->campaign, lead->records);
    ngx_http_loyalty_lead_next(lead, NGX_OK);
}


static ngx_int_t
ngx_http_loyalty_lead_load(ngx_http_loyalty_lead_t *lead, ngx_str_t *frontier)
{
    loyalty_merkle_init(&lead->tree);

    if (frontier->len > 0
        && loyalty_merkle_read(&lead->tree, frontier->data, frontier->len)
           != 0)
    {
        return NGX_ERROR;
    }

    if ((int64_t) lead->tree.size != lead->saved) {
        return NGX_ERROR;
    }

    lead->loaded = 1;
    lead->nrounds = 0;

    return NGX_OK;
}


/* what was acknowledged is gone: nobody plays on before somebody has looked */

static void
ngx_http_loyalty_lead_rewound(ngx_http_loyalty_lead_t *lead, int64_t records)
{
    lead->loaded = 0;
    lead->held = 1;

    if (lead->rewound) {
        return;
    }

    lead->rewound = 1;

    ngx_log_error(NGX_LOG_EMERG, lead->leader->log, 0,
                  "%V is rewound: Redis had %L records and has %L; it is "
                  "paused, and neither closed nor drawn before it is "
                  "resumed", &lead->campaign->rule->reason,
                  ngx_max(lead->seen, lead->saved), records);

    ngx_http_loyalty_stat_draw(lead->campaign->program, lead->campaign->index,
                               lead->campaign->cid,
                               NGX_HTTP_LOYALTY_DRAW_SEEN, records);

    (void) ngx_http_loyalty_campaign_pause(lead->campaign,
                                           NGX_HTTP_LOYALTY_REWOUND,
                                           ngx_http_loyalty_lead_paused,
                                           lead);
}


static void
ngx_http_loyalty_lead_paused(void *data, ngx_int_t rc, int64_t length)
{
    ngx_http_loyalty_lead_t *lead = data;

    if (rc == NGX_ERROR) {
        lead->rewound = 0;
        lead->damaged = 0;
    }
}


/*
 * The next records, and which rounds they used; without any, and of a
 * sweepstakes, whose entries are read when it closes, the last one: it must
 * be where it was put.
 */

ngx_int_t
ngx_http_loyalty_lead_log(ngx_http_loyalty_lead_t *lead)
{
    u_char         buf[2][NGX_HTTP_LOYALTY_CAMPAIGN_KEY], text[32];
    size_t         len;
    int64_t        at, n, place;
    ngx_str_t      key[2], arg;
    ngx_uint_t     plays;
    loyalty_mpw_t  w;

    if (lead->records == 0) {
        return NGX_OK;
    }

    plays = (lead->campaign->kind == LOYALTY_INSTANT_WIN);
    len = plays ? LOYALTY_PLAYREC_LEN : LOYALTY_ENTRY_LEN;

    lead->last = (!plays || (int64_t) lead->tree.size >= lead->records);

    at = lead->last ? lead->records - 1 : (int64_t) lead->tree.size;
    place = at % NGX_HTTP_LOYALTY_CHUNK;

    n = lead->records - at;
    n = ngx_min(n, NGX_HTTP_LOYALTY_CHUNK - place);
    n = ngx_min(n, NGX_HTTP_LOYALTY_READ);

    ngx_http_loyalty_campaign_key(lead->campaign, "s", -1, buf[0], &key[0]);
    ngx_http_loyalty_campaign_key(lead->campaign, plays ? "l" : "e",
                                  at / NGX_HTTP_LOYALTY_CHUNK,
                                  buf[1], &key[1]);

    loyalty_mpw_init(&w, text, sizeof(text));
    loyalty_mpw_int(&w, place * len);
    loyalty_mpw_int(&w, n * len);

    arg.data = text;
    arg.len = w.pos - w.start;

    return ngx_http_loyalty_lead_call(lead, NGX_HTTP_LOYALTY_FN_PIECE, 2, key,
                                      &arg, lead->last
                                            ? ngx_http_loyalty_lead_last
                                            : ngx_http_loyalty_lead_records);
}


static void
ngx_http_loyalty_lead_last(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_lead_t *lead = data;

    ngx_str_t          *bytes;
    ngx_uint_t          sound;
    loyalty_entry_t     entry;
    loyalty_playrec_t   rec;

    lead->op = NULL;

    if (status != NGX_HTTP_LOYALTY_REPLY || reply->n != 2) {
        ngx_http_loyalty_lead_next(lead, NGX_ERROR);
        return;
    }

    bytes = &reply->values[1];

    sound = (lead->campaign->kind == LOYALTY_INSTANT_WIN)
            ? loyalty_playrec_decode(bytes->data, bytes->len, &rec) == 0
              && (int64_t) rec.seq == lead->records - 1
            : loyalty_entry_decode(bytes->data, bytes->len, &entry) == 0
              && (int64_t) entry.seq == lead->records - 1;

    if (!sound) {
        ngx_http_loyalty_lead_damaged(lead, lead->records - 1);
    }

    ngx_http_loyalty_lead_next(lead, NGX_OK);
}


/* what is there already is worth nothing with a gap before it */

static void
ngx_http_loyalty_lead_damaged(ngx_http_loyalty_lead_t *lead, int64_t record)
{
    lead->held = 1;

    if (lead->damaged) {
        return;
    }

    lead->damaged = 1;

    ngx_log_error(NGX_LOG_EMERG, lead->leader->log, 0,
                  "the log of %V in Redis is damaged at record %L: it is "
                  "paused, and neither closed nor drawn before its data is "
                  "back and it is resumed", &lead->campaign->rule->reason,
                  record);

    if (ngx_http_loyalty_campaign_pause(lead->campaign,
                                        NGX_HTTP_LOYALTY_DAMAGED,
                                        ngx_http_loyalty_lead_paused, lead)
        != NGX_OK)
    {
        lead->damaged = 0;
    }
}


static void
ngx_http_loyalty_lead_records(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_lead_t *lead = data;

    u_char             *p, *last;
    ngx_str_t          *bytes;
    loyalty_playrec_t   rec;

    lead->op = NULL;

    if (status != NGX_HTTP_LOYALTY_REPLY || reply->n != 2) {
        ngx_http_loyalty_lead_next(lead, NGX_ERROR);
        return;
    }

    bytes = &reply->values[1];
    last = bytes->data + bytes->len;

    if (bytes->len == 0 || bytes->len % LOYALTY_PLAYREC_LEN != 0) {
        goto damaged;
    }

    for (p = bytes->data; p < last; p += LOYALTY_PLAYREC_LEN) {

        if (loyalty_playrec_decode(p, LOYALTY_PLAYREC_LEN, &rec) != 0
            || rec.seq != lead->tree.size
            || loyalty_merkle_append_record(&lead->tree, p,
                                            LOYALTY_PLAYREC_LEN)
               != 0)
        {
            goto damaged;
        }

        ngx_http_loyalty_lead_round(lead, rec.round);

        /* the others come with the next pass */

        if (lead->nrounds >= NGX_HTTP_LOYALTY_USED
                             - NGX_HTTP_LOYALTY_REVEALED)
        {
            break;
        }
    }

    if ((int64_t) lead->tree.size < lead->records) {
        lead->again = 1;
    }

    ngx_http_loyalty_lead_next(lead, NGX_OK);
    return;

damaged:

    ngx_http_loyalty_lead_damaged(lead, (int64_t) lead->tree.size);
    ngx_http_loyalty_lead_next(lead, NGX_OK);
}


ngx_int_t
ngx_http_loyalty_lead_head(ngx_http_loyalty_lead_t *lead)
{
    ngx_int_t    rc;
    ngx_str_t    note;
    ngx_uint_t   due;
    ngx_pool_t  *pool;

    if (lead->campaign->kind != LOYALTY_INSTANT_WIN || lead->held) {
        return NGX_OK;
    }

    due = ngx_http_loyalty_head_due(lead);

    /* without a head the frontier is saved now and then while it catches up:
       rounds are told, and would be told again */

    if (!due && (int64_t) lead->tree.size
                < lead->saved + NGX_HTTP_LOYALTY_CHUNK)
    {
        return NGX_OK;
    }

    pool = ngx_create_pool(1024, lead->leader->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    ngx_str_null(&note);

    rc = due ? ngx_http_loyalty_head_note(lead, pool, &note) : NGX_OK;

    if (rc == NGX_OK) {
        rc = ngx_http_loyalty_head_save(lead, &note);
    }

    ngx_destroy_pool(pool);

    return rc;
}


/* every minute from open to close, and one at the close, when the log ends */

static ngx_uint_t
ngx_http_loyalty_head_due(ngx_http_loyalty_lead_t *lead)
{
    loyalty_epochs_t             clock;
    ngx_http_loyalty_version_t  *last;

    last = ngx_http_loyalty_last(lead->campaign->run, &clock);

    if (last == NULL || (int64_t) lead->tree.size != lead->records
        || lead->clock < lead->campaign->open)
    {
        return 0;
    }

    if (lead->over >= (int64_t) clock.epochs) {
        return lead->headed < (int64_t) clock.close;
    }

    return lead->clock - lead->headed >= NGX_HTTP_LOYALTY_HEAD_EVERY
           && lead->headed < (int64_t) clock.close
           && lead->clock < (int64_t) clock.close;
}


static ngx_int_t
ngx_http_loyalty_head_note(ngx_http_loyalty_lead_t *lead, ngx_pool_t *pool,
    ngx_str_t *note)
{
    size_t                        len;
    u_char                        bytes[LOYALTY_HEAD_LEN];
    uint32_t                      e;
    loyalty_epochs_t              clock;
    loyalty_tree_head_t           head;
    ngx_http_loyalty_version_t   *version, *last;
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = lead->campaign;

    last = ngx_http_loyalty_last(campaign->run, &clock);

    e = (uint32_t) ((lead->clock - campaign->open) / campaign->length) + 1;
    version = ngx_http_loyalty_governing(campaign->run,
                                         ngx_min(e, clock.epochs));
    if (version == NULL) {
        version = last;
    }

    ngx_memcpy(head.mh, version->mh, LOYALTY_HASH);
    head.size = lead->tree.size;
    head.t = (uint64_t) lead->clock;

    if (loyalty_merkle_root(&lead->tree, head.root) != 0) {
        return NGX_ERROR;
    }

    len = loyalty_tree_head_encode(bytes, LOYALTY_HEAD_LEN, &head);

    if (len == 0) {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_campaign_note(campaign, pool, LOYALTY_NOTE_HEAD,
                                          bytes, len, note);
}


static ngx_int_t
ngx_http_loyalty_head_save(ngx_http_loyalty_lead_t *lead, ngx_str_t *note)
{
    u_char         buf[2][NGX_HTTP_LOYALTY_CAMPAIGN_KEY];
    u_char         text[4096], tree[LOYALTY_MERKLE_LEN];
    ngx_str_t      key[2], arg;
    loyalty_mpw_t  w;

    ngx_http_loyalty_campaign_key(lead->campaign, "meta", -1, buf[0],
                                  &key[0]);
    ngx_http_loyalty_campaign_key(lead->campaign, "f:heads", -1, buf[1],
                                  &key[1]);

    loyalty_mpw_init(&w, text, sizeof(text));
    loyalty_mpw_int(&w, lead->saved);
    loyalty_mpw_int(&w, lead->headed);
    loyalty_mpw_int(&w, (int64_t) lead->tree.size);
    loyalty_mpw_str(&w, tree, loyalty_merkle_write(&lead->tree, tree));
    loyalty_mpw_str(&w, note->data, note->len);
    loyalty_mpw_int(&w, note->len ? lead->clock : lead->headed);

    if (w.failed) {
        return NGX_ERROR;
    }

    arg.data = text;
    arg.len = w.pos - w.start;

    if (note->len) {
        lead->headed = lead->clock;
    }

    return ngx_http_loyalty_lead_call(lead, NGX_HTTP_LOYALTY_FN_HEAD, 2, key,
                                      &arg, ngx_http_loyalty_lead_headed);
}


static void
ngx_http_loyalty_lead_headed(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_lead_t *lead = data;

    lead->op = NULL;

    if (status != NGX_HTTP_LOYALTY_REPLY || reply->n != 1
        || reply->values[0].len != 1 || reply->values[0].data[0] != 'N')
    {
        ngx_http_loyalty_lead_next(lead, NGX_ERROR);
        return;
    }

    lead->saved = (int64_t) lead->tree.size;

    ngx_http_loyalty_lead_next(lead, NGX_OK);
}
