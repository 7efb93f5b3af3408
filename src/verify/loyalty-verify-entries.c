
/*
 * V08 and V09: a sweepstakes' close note, and the records that it counts.
 * Entries tile the tickets from 0 on without a gap, voids repeat the entry
 * that they void, and the tree over all of them has the root that was signed.
 */

#include "loyalty-verify.h"

#include <stdlib.h>
#include <string.h>


static int lv_close_read(lv_t *v, lv_note_t *note);
static int lv_entry(lv_t *v, uint32_t seq, const u_char *p, uint64_t *next);
static int lv_void(lv_t *v, const u_char *p);
static void lv_entries_totals(lv_t *v, uint64_t n, uint64_t next,
    const lv_tree_t *tree);


void
lv_close(lv_t *v)
{
    char       until[24];
    unsigned   notes;
    lv_str_t   rest;
    lv_note_t  note;

    rest = lv_file(v, "close");

    if (lv_running(v)) {
        lv_incomplete(v, 4, "running, until %s: the close note is yet to come",
                      lv_date(until, v->last->close));
        return;
    }

    if (rest.len == 0) {
        lv_incomplete(v, 4, "the file close is missing");
        return;
    }

    notes = 0;

    while (rest.len) {
        if (!lv_note_next(v, &rest, &note, "close")) {
            lv_incomplete(v, 4, "the close note cannot be read");
            return;
        }

        if (notes++) {
            lv_fail(v, 4, "the key has signed two close notes");

        } else if (lv_close_read(v, &note)) {
            v->close_subject = lv_subject_add(v, &note, 0);
            v->closed = 1;
        }

        free(note.statement);
    }
}


static int
lv_close_read(lv_t *v, lv_note_t *note)
{
    u_char         tag[32];
    int64_t        t;
    const u_char  *p;

    p = note->statement;

    if (note->len != LV_CLOSE
        || memcmp(p, tag, lv_tag(tag, "close") - tag) != 0
        || memcmp(p + 22, v->last->mh, 32) != 0)
    {
        lv_fail(v, 2, "the close note is not of the last manifest");
        return 0;
    }

    v->entries = lv_get64(p + 54);
    v->tickets = lv_get64(p + 62);
    memcpy(v->root, p + 70, 32);

    t = lv_get64(p + 102) >> 48 ? LV_NEVER - 1 : (int64_t) lv_get64(p + 102);

    if (t < v->last->close) {
        lv_fail(v, 4, "the close note is of before the close");
    }

    if (t > v->latest) {
        v->latest = t;
    }

    return 1;
}


void
lv_entries(lv_t *v)
{
    u_char         leaf[32];
    uint32_t       seq;
    uint64_t       n, next;
    lv_tree_t      tree;
    const u_char  *p;

    v->records = lv_file(v, "entries");
    n = v->records.len / LV_ENTRY;

    if (v->records.len % LV_ENTRY || n >= UINT32_MAX) {
        lv_fail(v, 8, "entries is not made of records");
        return;
    }

    v->owner = lv_alloc(n, sizeof(uint32_t));
    v->voided = lv_alloc(n / 8 + 1, 1);

    memset(&tree, 0, sizeof(lv_tree_t));
    next = 0;

    for (seq = 0; seq < n; seq++) {
        p = v->records.data + (size_t) seq * LV_ENTRY;

        if (!lv_entry(v, seq, p, &next)) {
            lv_fail(v, 8, "entry %u", seq);
        }

        lv_leaf(leaf, p, LV_ENTRY);
        lv_tree_add(&tree, leaf);
    }

    lv_entries_totals(v, n, next, &tree);
}


/* a range counts though something else of its record is wrong */

static int
lv_entry(lv_t *v, uint32_t seq, const u_char *p, uint64_t *next)
{
    int       ok;
    u_char    head[64], flags;
    int64_t   t;
    uint64_t  tickets;

    (void) lv_put(lv_tag(head, "entry"), v->last->cid, 16);

    tickets = lv_get32(p + LV_E_TICKETS);
    flags = p[LV_E_FLAGS];
    t = lv_get64(p + LV_E_T);

    ok = memcmp(p, head, LV_E_SEQ) == 0 && lv_get64(p + LV_E_SEQ) == seq
         && p[LV_E_METHOD] >= 1 && p[LV_E_METHOD] <= 4 && flags <= 1
         && t >= v->last->open && t < v->last->close;

    if (flags & 1) {
        return lv_void(v, p) && ok;
    }

    if (lv_get64(p + LV_E_FIRST) != *next || tickets == 0) {
        return 0;
    }

    v->owner[v->nowners++] = seq;
    *next += tickets;

    return ok && !(*next >> 47);
}


/* a void repeats an entry before it that no other void has */

static int
lv_void(lv_t *v, const u_char *p)
{
    uint64_t       first;
    uint32_t       low, high, middle;
    const u_char  *q;

    first = lv_get64(p + LV_E_FIRST);
    low = 0;
    high = v->nowners;

    while (low < high) {
        middle = low + (high - low) / 2;
        q = v->records.data + (size_t) v->owner[middle] * LV_ENTRY;

        if (lv_get64(q + LV_E_FIRST) < first) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    if (low == v->nowners || v->voided[low / 8] >> low % 8 & 1) {
        return 0;
    }

    q = v->records.data + (size_t) v->owner[low] * LV_ENTRY;

    /* the range and the person are neighbours */

    if (memcmp(p + LV_E_FIRST, q + LV_E_FIRST, LV_E_COMMIT - LV_E_FIRST) != 0)
    {
        return 0;
    }

    v->voided[low / 8] |= 1 << low % 8;

    return lv_zero(p + LV_E_COMMIT, 32) && p[LV_E_METHOD] == q[LV_E_METHOD];
}


static void
lv_entries_totals(lv_t *v, uint64_t n, uint64_t next, const lv_tree_t *tree)
{
    u_char  root[32];

    if (!v->closed) {
        lv_incomplete(v, 8, "there is no close note to count by");
        lv_incomplete(v, 9, "there is no close note to compare with");
        return;
    }

    if (n == 0 && v->entries) {
        lv_incomplete(v, 8, "the file entries is missing");
        lv_incomplete(v, 9, "the file entries is missing");
        return;
    }

    if (n != v->entries || next != v->tickets) {
        lv_fail(v, 8, "%llu entries with %llu tickets, the close note counts"
                " %llu and %llu", (unsigned long long) n,
                (unsigned long long) next, (unsigned long long) v->entries,
                (unsigned long long) v->tickets);
    }

    lv_tree_root(tree, root);

    if (memcmp(root, v->root, 32) != 0) {
        lv_fail(v, 9, "the tree over the entries has another root");
    }

    lv_info(v, 8, "%llu entries, %llu tickets", (unsigned long long) n,
            (unsigned long long) next);
}
