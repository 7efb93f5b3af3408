
/*
 * Manifests: what each version of a campaign commits to, V01 and V02.
 */

#include "loyalty-verify.h"

#include <stdlib.h>
#include <string.h>


static int lv_manifest_read(lv_t *v, const lv_note_t *note);
static void lv_manifest_form(lv_t *v, const lv_version_t *m);
static void lv_manifest_chain(lv_t *v, const lv_version_t *m,
    const lv_version_t *before);
static void lv_manifest_cid(lv_t *v, const lv_version_t *m);
static void lv_manifest_files(lv_t *v, lv_version_t *m);
static lv_str_t lv_committed(lv_t *v, const char *what, uint32_t number,
    const u_char hash[32]);


/* 0: there is nothing to go on with */

int
lv_manifests(lv_t *v)
{
    uint32_t       i;
    lv_str_t       rest;
    lv_note_t      note;
    lv_version_t  *m;

    rest = lv_file(v, "manifest");

    if (rest.len == 0) {
        lv_incomplete(v, 2, "the file manifest is missing");
        return 0;
    }

    while (rest.len) {
        if (v->nversions == LV_MAX_VERSIONS) {
            lv_fail(v, 2, "too many versions");
            return 0;
        }

        if (!lv_note_next(v, &rest, &note, "manifest")) {
            return 0;
        }

        if (!lv_manifest_read(v, &note)) {
            free(note.statement);
            return 0;
        }

        m = &v->version[v->nversions - 1];
        m->subject = lv_subject_add(v, &note, m->number);

        free(note.statement);
    }

    v->last = &v->version[v->nversions - 1];

    for (i = 0; i < v->nversions; i++) {
        m = &v->version[i];

        lv_manifest_form(v, m);
        lv_manifest_chain(v, m, i ? &v->version[i - 1] : NULL);
        lv_manifest_files(v, m);
        lv_manifest_cid(v, m);
    }

    return v->check[2].status != LV_FAIL;
}


static int
lv_manifest_read(lv_t *v, const lv_note_t *note)
{
    u_char         tag[32];
    uint64_t       open, close;
    const u_char  *p;
    lv_version_t  *m;

    p = note->statement;

    if (note->len != LV_MANIFEST
        || memcmp(p, tag, lv_tag(tag, "manifest") - tag) != 0)
    {
        lv_fail(v, 2, "a manifest's statement is not a manifest");
        return 0;
    }

    v->version = lv_grow(v->version, v->nversions, sizeof(lv_version_t));
    m = &v->version[v->nversions];
    memset(m, 0, sizeof(lv_version_t));

    lv_sha256(m->mh, p, LV_MANIFEST);

    memcpy(m->cid, p + 25, 16);
    m->number = lv_get32(p + 41);
    memcpy(m->prev, p + 45, 32);
    m->kind = p[77];
    m->mode = p[78];
    open = lv_get64(p + 79);
    close = lv_get64(p + 87);
    m->length = lv_get32(p + 95);
    m->epochs = lv_get32(p + 99);
    memcpy(m->rules, p + 103, 32);
    memcpy(m->terms, p + 135, 32);
    memcpy(m->prizes, p + 167, 32);
    memcpy(m->chain, p + 199, 32);
    m->round = lv_get64(p + 231);
    memcpy(m->seed_commit, p + 239, 32);
    memcpy(m->kp_commit, p + 271, 32);
    memcpy(m->anchor, p + 303, 32);
    m->winners = lv_get32(p + 335);
    m->alternates = lv_get32(p + 339);
    m->flags = p[343];

    /* the year 10889: beyond, sums of times would not fit */

    if (open >= close || close >> 48) {
        lv_fail(v, 2, "a manifest opens when it is closed");
        return 0;
    }

    m->open = open;
    m->close = close;
    v->nversions++;

    return 1;
}


/* what the kind of game leaves no choice about */

static void
lv_manifest_form(lv_t *v, const lv_version_t *m)
{
    int       ok, beacon;
    uint64_t  round;

    beacon = !lv_zero(m->chain, 32);

    if (m->kind == 1) {
        round = beacon ? lv_round_at(m->close + 30 * 60 * 1000) + 1 : 0;

        ok = m->mode == 0 && m->length == 0 && m->epochs == 0
             && lv_zero(m->anchor, 32) && m->round == round
             && (beacon || !(m->flags & 2));

    } else {
        ok = m->kind == 2 && m->mode >= LV_ODDS && m->mode <= LV_MOMENTS
             && m->length != 0 && !lv_zero(m->anchor, 32)
             && m->epochs == (m->close - m->open + m->length - 1) / m->length
             && m->round == 0 && lv_zero(m->seed_commit, 32)
             && m->winners == 0 && m->alternates == 0 && !(m->flags & 2);
    }

    if (!ok || (m->flags & ~3)) {
        lv_fail(v, 2, "manifest %u contradicts itself", m->number);
    }
}


static void
lv_manifest_chain(lv_t *v, const lv_version_t *m, const lv_version_t *before)
{
    if (before == NULL) {
        if (m->number != 1 || !lv_zero(m->prev, 32)) {
            lv_fail(v, 2, "the first manifest is not version 1");
        }

        return;
    }

    if (m->number != before->number + 1
        || memcmp(m->prev, before->mh, 32) != 0)
    {
        lv_fail(v, 2, "manifest %u does not continue the one before it",
                m->number);
    }

    if (memcmp(m->cid, before->cid, 16) != 0 || m->kind != before->kind
        || m->mode != before->mode || m->open != before->open
        || m->length != before->length
        || memcmp(m->chain, before->chain, 32) != 0
        || memcmp(m->kp_commit, before->kp_commit, 32) != 0)
    {
        lv_fail(v, 2, "manifest %u changes what no version may change",
                m->number);
    }
}


/* the id of a campaign follows from its names, where they are known */

static void
lv_manifest_cid(lv_t *v, const lv_version_t *m)
{
    u_char      hash[32], data[64], *p;
    SHA256_CTX  ctx;

    if (v->options->game.len == 0) {
        return;
    }

    SHA256_Init(&ctx);

    p = lv_put32(lv_tag(data, "campaign"), v->vkey.name.len);
    SHA256_Update(&ctx, data, p - data);
    SHA256_Update(&ctx, v->vkey.name.data, v->vkey.name.len);

    p = lv_put32(data, v->options->game.len);
    SHA256_Update(&ctx, data, p - data);
    SHA256_Update(&ctx, v->options->game.data, v->options->game.len);

    p = lv_put64(data, m->open);
    SHA256_Update(&ctx, data, p - data);
    SHA256_Final(hash, &ctx);

    if (memcmp(hash, m->cid, 16) != 0) {
        lv_fail(v, 2, "manifest %u is not that of the game \"%.*s\"",
                m->number, (int) v->options->game.len,
                v->options->game.data);
    }
}


static void
lv_manifest_files(lv_t *v, lv_version_t *m)
{
    lv_str_t  s;

    s = lv_committed(v, "terms", m->number, m->terms);

    if (s.len) {
        lv_terms(v, m, s);
    }

    s = lv_committed(v, "prizes", m->number, m->prizes);

    if (s.len) {
        lv_prizes(v, m, s);
    }

    (void) lv_committed(v, "rules", m->number, m->rules);
}


static lv_str_t
lv_committed(lv_t *v, const char *what, uint32_t number,
    const u_char hash[32])
{
    u_char    found[32];
    lv_str_t  s;

    s = lv_file(v, "%s-%u", what, number);

    if (lv_zero(hash, 32)) {
        if (s.len) {
            lv_fail(v, 1, "%s-%u is there, and the manifest has none", what,
                    number);
        }

        s.len = 0;
        return s;
    }

    lv_sha256(found, s.data ? s.data : (const u_char *) "", s.len);

    if (memcmp(found, hash, 32) != 0) {

        if (s.len == 0) {
            lv_incomplete(v, 1, "%s-%u is missing", what, number);

        } else {
            lv_fail(v, 1, "%s-%u has another hash", what, number);
        }

        s.len = 0;
    }

    return s;
}


/* epochs count from 1; what is before the first one has numbers below it */

int64_t
lv_epoch(const lv_version_t *m, int64_t t)
{
    int64_t  d;

    d = t - m->open;

    return (d >= 0 ? d / m->length : -((m->length - 1 - d) / m->length)) + 1;
}


int64_t
lv_epoch_start(const lv_version_t *m, int64_t e)
{
    return m->open + (e - 1) * m->length;
}


int64_t
lv_epoch_end(const lv_version_t *m, int64_t e)
{
    int64_t  end;

    end = m->open + e * m->length;

    return end < m->close ? end : m->close;
}
