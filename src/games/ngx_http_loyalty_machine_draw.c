/*
 * The draw: its key, the walk over the positions, and the result, which is
 * written once whoever computes it, and how often.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_machine.h"


#define NGX_HTTP_LOYALTY_PICK_LINE  160           /* bytes, at most */


static void ngx_http_loyalty_draw_picked(ngx_http_loyalty_machine_t *m);
static void ngx_http_loyalty_draw_used(void *data, ngx_int_t rc,
    int64_t length);
static void ngx_http_loyalty_draw_write(ngx_http_loyalty_machine_t *m);
static ngx_int_t ngx_http_loyalty_draw_lines(ngx_http_loyalty_machine_t *m,
    ngx_str_t *text);
static u_char *ngx_http_loyalty_draw_hex(u_char *p, const u_char *person);
static uint32_t ngx_http_loyalty_draw_row(ngx_http_loyalty_version_t *version,
    ngx_uint_t position);
static ngx_int_t ngx_http_loyalty_draw_reveal(ngx_http_loyalty_machine_t *m,
    u_char *buf, ngx_str_t *reveal);
static void ngx_http_loyalty_draw_written(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply);


void
ngx_http_loyalty_machine_draw(ngx_http_loyalty_machine_t *m, uint64_t round,
    const u_char *b)
{
    int                          rc;
    u_char                       seed[LOYALTY_HASH], key[LOYALTY_HASH];
    uint32_t                     positions;
    loyalty_manifest_t          *manifest;
    ngx_http_loyalty_version_t  *version;

    version = ngx_http_loyalty_campaign_version(m->campaign);
    manifest = &version->manifest;
    positions = manifest->winners + manifest->alternates;

    if (ngx_http_loyalty_campaign_seed(m->campaign, seed) != NGX_OK) {
        ngx_http_loyalty_machine_failed(m);
        return;
    }

    rc = loyalty_draw_key(key, version->mh, m->close.root, m->close.entries,
                          m->close.tickets, manifest->chain, round, b, seed);

    loyalty_wipe(seed, sizeof(seed));

    if (rc != 0
        || ngx_http_loyalty_machine_pick(m, key, "pick", 0, positions,
                                         positions)
           != NGX_OK)
    {
        ngx_http_loyalty_machine_failed(m);
        return;
    }

    m->draw->round = round;
    m->draw->began = ngx_current_msec;
    ngx_memcpy(m->draw->draw_key, key, LOYALTY_HASH);

    ngx_http_loyalty_machine_run(m, ngx_http_loyalty_draw_picked);
}


/* the round's signature is published before what rests on it */

static void
ngx_http_loyalty_draw_picked(ngx_http_loyalty_machine_t *m)
{
    if (m->draw->round == 0) {
        ngx_http_loyalty_draw_write(m);
        return;
    }

    if (ngx_http_loyalty_campaign_used(m->campaign, &m->draw->round, 1,
                                       ngx_http_loyalty_draw_used, m)
        != NGX_OK)
    {
        ngx_http_loyalty_machine_end(m, 0);
    }
}


static void
ngx_http_loyalty_draw_used(void *data, ngx_int_t rc, int64_t length)
{
    ngx_http_loyalty_machine_t *m = data;

    if (rc != NGX_OK) {
        ngx_http_loyalty_machine_end(m, 0);
        return;
    }

    ngx_http_loyalty_draw_write(m);
}


static void
ngx_http_loyalty_draw_write(ngx_http_loyalty_machine_t *m)
{
    u_char                       line[128], *buf, *p;
    size_t                       size;
    ngx_str_t                    text, reveal;
    ngx_uint_t                   i;
    loyalty_mpw_t               *w;
    ngx_http_loyalty_draw_t     *draw;
    ngx_http_loyalty_version_t  *version;

    draw = m->draw;
    version = ngx_http_loyalty_campaign_version(m->campaign);

    if (ngx_http_loyalty_draw_lines(m, &text) != NGX_OK
        || ngx_http_loyalty_draw_reveal(m, line, &reveal) != NGX_OK)
    {
        ngx_http_loyalty_machine_failed(m);
        return;
    }

    size = 256 + text.len + reveal.len + 5 * version->manifest.winners
           + draw->npicks * NGX_HTTP_LOYALTY_WHO;

    buf = ngx_pnalloc(m->pool, size);
    p = ngx_pnalloc(m->pool, draw->npicks * NGX_HTTP_LOYALTY_WHO + 1);

    if (buf == NULL || p == NULL) {
        ngx_http_loyalty_machine_failed(m);
        return;
    }

    ngx_http_loyalty_game_call(&m->call, m->campaign,
                               "s meta w f:picks f:reveal");
    w = &m->call.w;

    loyalty_mpw_init(w, buf, size);
    loyalty_mpw_int(w, m->now);
    loyalty_mpw_int(w, draw->round != 0 ? m->stamped : 0);
    loyalty_mpw_str(w, text.data, text.len);
    loyalty_mpw_str(w, reveal.data, reveal.len);
    loyalty_mpw_array(w, version->manifest.winners);

    for (i = 0; i < version->manifest.winners; i++) {
        loyalty_mpw_int(w, ngx_http_loyalty_draw_row(version, i));
    }

    for (i = 0; i < draw->npicks; i++) {
        ngx_http_loyalty_pick_who(&draw->picks[i],
                                  p + i * NGX_HTTP_LOYALTY_WHO);
    }

    loyalty_mpw_str(w, p, draw->npicks * NGX_HTTP_LOYALTY_WHO);
    loyalty_mpw_str(w, draw->draw_key, LOYALTY_HASH);

    ngx_http_loyalty_machine_send(m, NGX_HTTP_LOYALTY_FN_DRAWN,
                                  ngx_http_loyalty_draw_written);
}


void
ngx_http_loyalty_pick_who(ngx_http_loyalty_pick_t *pick, u_char *who)
{
    who = loyalty_put_u64(who, pick->seq);
    who = ngx_cpymem(who, pick->person, LOYALTY_HASH);
    loyalty_put_u64(who, pick->ticket);
}


static ngx_int_t
ngx_http_loyalty_draw_lines(ngx_http_loyalty_machine_t *m, ngx_str_t *text)
{
    u_char                      *p;
    ngx_uint_t                   i;
    ngx_http_loyalty_draw_t     *draw;
    ngx_http_loyalty_pick_t     *pick;
    ngx_http_loyalty_version_t  *version;

    draw = m->draw;
    version = ngx_http_loyalty_campaign_version(m->campaign);

    p = ngx_pnalloc(m->pool, (draw->npicks + version->manifest.winners)
                             * NGX_HTTP_LOYALTY_PICK_LINE);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;

    for (i = 0; i < draw->npicks; i++) {
        pick = &draw->picks[i];

        p = ngx_sprintf(p, "pick %ui %uD %uL %uL ", i, pick->attempt,
                        pick->ticket, pick->seq);
        p = ngx_http_loyalty_draw_hex(p, pick->person);
    }

    for (i = 0; i < version->manifest.winners; i++) {

        if (i >= draw->npicks) {
            p = ngx_sprintf(p, "vacant %ui %uD\n", i,
                            ngx_http_loyalty_draw_row(version, i));
            continue;
        }

        p = ngx_sprintf(p, "winner %ui %uD %uL ", i,
                        ngx_http_loyalty_draw_row(version, i),
                        draw->picks[i].seq);
        p = ngx_http_loyalty_draw_hex(p, draw->picks[i].person);
    }

    text->len = p - text->data;

    return NGX_OK;
}


static u_char *
ngx_http_loyalty_draw_hex(u_char *p, const u_char *person)
{
    p += loyalty_hex(p, person, LOYALTY_HASH);
    *p++ = LF;

    return p;
}


/* positions fill the prizes in the order of their table */

static uint32_t
ngx_http_loyalty_draw_row(ngx_http_loyalty_version_t *version,
    ngx_uint_t position)
{
    uint32_t  row;

    for (row = 0; row + 1 < version->nrows; row++) {

        if (position < version->rows[row].stock) {
            break;
        }

        position -= version->rows[row].stock;
    }

    return row;
}


static ngx_int_t
ngx_http_loyalty_draw_reveal(ngx_http_loyalty_machine_t *m, u_char *buf,
    ngx_str_t *reveal)
{
    u_char                      *p, seed[LOYALTY_HASH];
    ngx_http_loyalty_version_t  *version;

    version = ngx_http_loyalty_campaign_version(m->campaign);

    if (ngx_http_loyalty_campaign_seed(m->campaign, seed) != NGX_OK) {
        return NGX_ERROR;
    }

    reveal->data = buf;
    reveal->len = 0;

    if (!loyalty_zero(seed, LOYALTY_HASH)) {
        p = ngx_sprintf(buf, "seed %uD ", version->version);
        p = ngx_http_loyalty_draw_hex(p, seed);
        reveal->len = p - buf;
    }

    loyalty_wipe(seed, sizeof(seed));

    return NGX_OK;
}


static void
ngx_http_loyalty_draw_written(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply)
{
    if (ngx_http_loyalty_machine_said(reply, 'N')) {
        ngx_log_error(NGX_LOG_NOTICE, m->log, 0,
                      "loyalty program \"%V\": %V is drawn: %ui of %uD "
                      "positions are filled, in %M ms",
                      &m->campaign->program->name,
                      &m->campaign->rule->reason, m->draw->npicks,
                      m->draw->end, ngx_current_msec - m->draw->began);

    } else if (ngx_http_loyalty_machine_said(reply, 'D')) {
        ngx_log_error(NGX_LOG_NOTICE, m->log, 0,
                      "loyalty program \"%V\": %V was drawn before, and its "
                      "first result stands", &m->campaign->program->name,
                      &m->campaign->rule->reason);
    }

    ngx_http_loyalty_machine_end(m, !ngx_http_loyalty_machine_said(reply,
                                                                   'R'));
}
