/*
 * Closing: every entry gets into the Merkle tree, a slice after the other
 * beside live traffic, and then the close note says how many they are.
 *
 * With each chunk of 4096 the frontier is written down, with the tickets
 * before each chunk, by which the draw finds owners, and the entries that
 * were voided.  Whoever takes over hashes at most a chunk again.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_machine.h"


static ngx_int_t ngx_http_loyalty_close_frontier(
    ngx_http_loyalty_machine_t *m, ngx_str_t *frontier);
static void ngx_http_loyalty_close_slice(ngx_http_loyalty_machine_t *m);
static void ngx_http_loyalty_close_timer(ngx_event_t *ev);
static void ngx_http_loyalty_close_records(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_close_record(ngx_http_loyalty_machine_t *m,
    const u_char *record);
static void ngx_http_loyalty_close_write(ngx_http_loyalty_machine_t *m);
static void ngx_http_loyalty_close_written(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply);
static void ngx_http_loyalty_close_note(ngx_http_loyalty_machine_t *m);
static void ngx_http_loyalty_close_done(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply);


void
ngx_http_loyalty_machine_close(ngx_http_loyalty_machine_t *m,
    ngx_str_t *frontier)
{
    if (ngx_http_loyalty_close_frontier(m, frontier) != NGX_OK) {
        ngx_http_loyalty_machine_damaged(m, "meta");
        return;
    }

    m->written = m->done;
    m->nchunks = 0;
    m->nvoids = 0;

    m->voids = ngx_pnalloc(m->pool, 8 * NGX_HTTP_LOYALTY_CHUNK);
    if (m->voids == NULL) {
        ngx_http_loyalty_machine_failed(m);
        return;
    }

    ngx_http_loyalty_close_slice(m);
}


/* the tree, and behind it how many tickets it covers */

static ngx_int_t
ngx_http_loyalty_close_frontier(ngx_http_loyalty_machine_t *m,
    ngx_str_t *frontier)
{
    loyalty_merkle_init(&m->tree);
    m->sold = 0;

    if (m->done == 0) {
        return NGX_OK;
    }

    if (frontier->len < 8
        || loyalty_merkle_read(&m->tree, frontier->data, frontier->len - 8)
           != 0
        || m->tree.size != (uint64_t) m->done
        || m->done > m->entries)
    {
        return NGX_ERROR;
    }

    m->sold = loyalty_get_u64(frontier->data + frontier->len - 8);

    return NGX_OK;
}


static void
ngx_http_loyalty_close_slice(ngx_http_loyalty_machine_t *m)
{
    int64_t  place, n;

    if (m->done == m->entries) {

        if (m->written < m->done) {
            ngx_http_loyalty_close_write(m);
            return;
        }

        ngx_http_loyalty_close_note(m);
        return;
    }

    place = m->done % NGX_HTTP_LOYALTY_CHUNK;

    n = ngx_min(NGX_HTTP_LOYALTY_SLICE, NGX_HTTP_LOYALTY_CHUNK - place);
    n = ngx_min(n, m->entries - m->done);

    ngx_http_loyalty_game_call(&m->call, m->campaign, "");
    ngx_http_loyalty_game_chunk(&m->call, m->campaign,
                                m->done / NGX_HTTP_LOYALTY_CHUNK);

    loyalty_mpw_int(&m->call.w, place * LOYALTY_ENTRY_LEN);
    loyalty_mpw_int(&m->call.w, n * LOYALTY_ENTRY_LEN);

    ngx_http_loyalty_machine_send(m, NGX_HTTP_LOYALTY_FN_SLICE,
                                  ngx_http_loyalty_close_records);
}


static void
ngx_http_loyalty_close_records(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply)
{
    size_t      i;
    ngx_str_t  *value;

    value = reply->values;

    if (reply->array || reply->n != 1 || value->len == 0
        || value->len % LOYALTY_ENTRY_LEN != 0
        || value->len > NGX_HTTP_LOYALTY_SLICE * LOYALTY_ENTRY_LEN)
    {
        ngx_http_loyalty_machine_damaged(m, "e");
        return;
    }

    for (i = 0; i < value->len; i += LOYALTY_ENTRY_LEN) {
        if (ngx_http_loyalty_close_record(m, value->data + i) != NGX_OK) {
            ngx_http_loyalty_machine_damaged(m, "e");
            return;
        }
    }

    if (m->done % NGX_HTTP_LOYALTY_CHUNK == 0) {
        ngx_http_loyalty_close_write(m);
        return;
    }

    if (m->done % (4 * NGX_HTTP_LOYALTY_SLICE) == 0) {
        ngx_http_loyalty_machine_later(m, ngx_http_loyalty_close_timer);
        return;
    }

    ngx_http_loyalty_close_slice(m);
}


/* a worker that closes without a pause leaves the others no core */

static void
ngx_http_loyalty_close_timer(ngx_event_t *ev)
{
    ngx_http_loyalty_close_slice(ev->data);
}


/* what cannot be drawn from is noticed here, before it is signed */

static ngx_int_t
ngx_http_loyalty_close_record(ngx_http_loyalty_machine_t *m,
    const u_char *record)
{
    loyalty_entry_t  entry;

    if (loyalty_entry_decode(record, LOYALTY_ENTRY_LEN, &entry) != 0
        || ngx_memcmp(entry.cid, m->campaign->cid, LOYALTY_CID) != 0
        || entry.seq != (uint64_t) m->done
        || loyalty_merkle_append_record(&m->tree, record, LOYALTY_ENTRY_LEN)
           != 0)
    {
        return NGX_ERROR;
    }

    if (m->done % NGX_HTTP_LOYALTY_CHUNK == 0) {
        loyalty_put_u64(m->chunks, m->sold);
        m->nchunks = 8;
    }

    m->done++;

    if (entry.flags & LOYALTY_VOID) {
        loyalty_put_u64(m->voids + m->nvoids, entry.first);
        m->nvoids += 8;

        return (entry.first + entry.tickets <= m->sold) ? NGX_OK : NGX_ERROR;
    }

    if (entry.first != m->sold) {
        return NGX_ERROR;
    }

    m->sold += entry.tickets;

    return NGX_OK;
}


static void
ngx_http_loyalty_close_write(ngx_http_loyalty_machine_t *m)
{
    u_char         *buf;
    size_t          len, size;
    u_char          frontier[LOYALTY_MERKLE_LEN + 8];
    loyalty_mpw_t  *w;

    size = sizeof(frontier) + m->nvoids + 128;

    buf = ngx_pnalloc(m->pool, size);
    if (buf == NULL) {
        ngx_http_loyalty_machine_failed(m);
        return;
    }

    len = loyalty_merkle_write(&m->tree, frontier);
    loyalty_put_u64(frontier + len, m->sold);

    ngx_http_loyalty_game_call(&m->call, m->campaign, "s meta v");

    w = &m->call.w;

    loyalty_mpw_init(w, buf, size);
    loyalty_mpw_int(w, m->written);
    loyalty_mpw_int(w, m->done);
    loyalty_mpw_str(w, frontier, len + 8);
    loyalty_mpw_str(w, m->chunks, m->nchunks);
    loyalty_mpw_str(w, m->voids, m->nvoids);

    ngx_http_loyalty_machine_send(m, NGX_HTTP_LOYALTY_FN_COVERED,
                                  ngx_http_loyalty_close_written);
}


/* "R": another leader is at it; the next step begins with what it has done */

static void
ngx_http_loyalty_close_written(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply)
{
    if (!ngx_http_loyalty_machine_said(reply, 'N')) {
        ngx_http_loyalty_machine_end(m, 0);
        return;
    }

    m->written = m->done;
    m->nchunks = 0;
    m->nvoids = 0;

    /* a pool does not give back: a step is so many chunks */

    if (m->done < m->entries
        && m->done / NGX_HTTP_LOYALTY_CHUNK % 16 == 0)
    {
        ngx_http_loyalty_machine_end(m, 1);
        return;
    }

    ngx_http_loyalty_close_slice(m);
}


static void
ngx_http_loyalty_close_note(ngx_http_loyalty_machine_t *m)
{
    size_t                       len;
    ngx_str_t                    note;
    loyalty_mpw_t               *w;
    u_char                       statement[LOYALTY_CLOSE_LEN], *buf;
    ngx_http_loyalty_version_t  *version;

    if (m->sold != (uint64_t) m->tickets) {
        ngx_http_loyalty_machine_damaged(m, "s");
        return;
    }

    version = ngx_http_loyalty_campaign_version(m->campaign);

    ngx_memcpy(m->close.mh, version->mh, LOYALTY_HASH);
    m->close.entries = (uint64_t) m->entries;
    m->close.tickets = (uint64_t) m->tickets;
    m->close.t = (uint64_t) m->now;

    if (loyalty_merkle_root(&m->tree, m->close.root) != 0) {
        ngx_http_loyalty_machine_failed(m);
        return;
    }

    len = loyalty_close_encode(statement, sizeof(statement), &m->close);

    if (len == 0
        || ngx_http_loyalty_campaign_note(m->campaign, m->pool,
                                          LOYALTY_NOTE_CLOSE, statement, len,
                                          &note)
           != NGX_OK)
    {
        ngx_http_loyalty_machine_failed(m);
        return;
    }

    buf = ngx_pnalloc(m->pool, note.len + 128);
    if (buf == NULL) {
        ngx_http_loyalty_machine_failed(m);
        return;
    }

    ngx_http_loyalty_game_call(&m->call, m->campaign, "s meta f:close");

    w = &m->call.w;

    loyalty_mpw_init(w, buf, note.len + 128);
    loyalty_mpw_int(w, m->entries);
    loyalty_mpw_str(w, note.data, note.len);
    loyalty_mpw_int(w, m->now);

    ngx_http_loyalty_machine_send(m, NGX_HTTP_LOYALTY_FN_CLOSED,
                                  ngx_http_loyalty_close_done);
}


static void
ngx_http_loyalty_close_done(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply)
{
    if (ngx_http_loyalty_machine_said(reply, 'N')) {
        ngx_log_error(NGX_LOG_NOTICE, m->log, 0,
                      "loyalty program \"%V\": %V is closed with %L entries "
                      "and %L tickets", &m->campaign->program->name,
                      &m->campaign->rule->reason, m->entries, m->tickets);
    }

    ngx_http_loyalty_machine_end(m, !ngx_http_loyalty_machine_said(reply,
                                                                   'R'));
}
