
/*
 * V07 and V12: the secrets that were committed to.  A seed hashes to its
 * commitment; an epoch's c_e hashes down, epoch by epoch, to the anchor.
 */

#include "loyalty-verify.h"

#include <stdlib.h>
#include <string.h>


#define LV_MAX_EPOCHS  (1 << 23)


static void lv_reveal_line(lv_t *v, lv_str_t line);
static void lv_reveal_c(lv_t *v, lv_version_t *m, uint64_t e, lv_str_t hex);
static void lv_reveal_seed(lv_t *v, lv_version_t *m, lv_str_t hex);
static void lv_chain_version(lv_t *v, lv_version_t *m);


void
lv_reveal(lv_t *v)
{
    int       rc;
    lv_str_t  rest, line;

    rest = lv_file(v, "reveal");

    for ( ;; ) {
        rc = lv_line(&rest, &line);

        if (rc != 1) {
            break;
        }

        lv_reveal_line(v, line);
    }

    if (rc == -1) {
        lv_fail(v, v->last->kind == 1 ? 7 : 12, "reveal is cut off");
    }

    if (v->last->kind != 1 || lv_zero(v->last->seed_commit, 32)) {

        if (lv_zero(v->last->chain, 32) && v->last->kind == 1) {
            lv_fail(v, 7, "the draw rests on nothing: no beacon and no seed");
        }

        lv_info(v, 7, v->last->kind == 1 ? "no seed: the beacon alone"
                                         : "not of an instant win");
        return;
    }

    if (!v->last->seed_given) {
        if (lv_file(v, "picks").len) {
            lv_fail(v, 7, "the seed is withheld, and the draw has been made");

        } else {
            lv_incomplete(v, 7, "the seed is not revealed yet");
        }
    }
}


static void
lv_reveal_line(lv_t *v, lv_str_t line)
{
    unsigned   check;
    uint64_t   number, e;
    lv_str_t   what, word, epoch;

    check = v->last->kind == 1 ? 7 : 12;

    if (!lv_word(&line, &what) || !lv_word(&line, &word)
        || !lv_number(word, &number) || number == 0 || number > v->nversions)
    {
        lv_fail(v, check, "a malformed line in reveal");
        return;
    }

    if (check == 7 && lv_eq(what, "seed")) {
        lv_reveal_seed(v, &v->version[number - 1], line);
        return;
    }

    if (check == 12 && lv_eq(what, "c") && lv_word(&line, &epoch)
        && lv_number(epoch, &e))
    {
        lv_reveal_c(v, &v->version[number - 1], e, line);
        return;
    }

    lv_fail(v, check, "a malformed line in reveal");
}


static void
lv_reveal_seed(lv_t *v, lv_version_t *m, lv_str_t hex)
{
    u_char  data[128], hash[32], *p;

    if (m->seed_given || !lv_hex(hex, m->seed, 32)) {
        lv_fail(v, 7, "a malformed line in reveal");
        return;
    }

    m->seed_given = 1;

    p = lv_put(lv_tag(data, "seed-commit"), m->cid, 16);
    p = lv_put32(p, m->number);
    p = lv_put(p, m->seed, 32);
    lv_sha256(hash, data, p - data);

    if (memcmp(hash, m->seed_commit, 32) != 0) {
        lv_fail(v, 7, "the seed of version %u is not the one committed to",
                m->number);
    }
}


static void
lv_reveal_c(lv_t *v, lv_version_t *m, uint64_t e, lv_str_t hex)
{
    if (m->epochs > LV_MAX_EPOCHS) {
        lv_incomplete(v, 12, "more epochs than this program can hold");
        return;
    }

    if (m->c == NULL) {
        m->c = lv_alloc(m->epochs + 1, 32);
        m->revealed = lv_alloc(m->epochs + 1, 1);
    }

    if (e == 0 || e > m->epochs || m->revealed[e]
        || !lv_hex(hex, &m->c[32 * e], 32))
    {
        lv_fail(v, 12, "a malformed line in reveal");
        return;
    }

    m->revealed[e] = 1;
}


void
lv_chain(lv_t *v)
{
    uint32_t  i;

    for (i = 0; i < v->nversions; i++) {
        if (v->version[i].c != NULL) {
            lv_chain_version(v, &v->version[i]);
        }
    }
}


static void
lv_chain_version(lv_t *v, lv_version_t *m)
{
    u_char    data[128], c[32], *p;
    uint32_t  e;
    uint64_t  n;

    e = m->epochs;

    while (e && !m->revealed[e]) {
        e--;
    }

    n = 0;
    memset(c, 0, sizeof(c));

    for ( /* void */ ; e; e--) {

        if (m->revealed[e]) {
            if (n && memcmp(c, &m->c[32 * e], 32) != 0) {
                lv_fail(v, 12, "c of epoch %u does not link with the next",
                        e);
            }

            n++;
            memcpy(c, &m->c[32 * e], 32);
        }

        p = lv_put(lv_tag(data, "chain"), m->cid, 16);
        p = lv_put32(p, e);
        p = lv_put(p, c, 32);
        lv_sha256(c, data, p - data);
    }

    if (n && memcmp(c, m->anchor, 32) != 0) {
        lv_fail(v, 12, "the chain of version %u does not end at its anchor",
                m->number);
    }

    lv_info(v, 12, "version %u: %llu epochs revealed", m->number,
            (unsigned long long) n);
}
