
/*
 * Heads of an instant win's log.  They are read here, with those that the
 * verifier's user holds, and put in order; the pass over the log compares the
 * roots.
 */

#include "loyalty-verify.h"

#include <stdlib.h>
#include <string.h>


static int lv_head_order(const void *one, const void *two);


void
lv_heads(lv_t *v)
{
    lv_str_t   rest;
    lv_note_t  note;

    rest = lv_file(v, "heads");

    if (rest.len == 0) {
        lv_incomplete(v, 3, "the file heads is missing");
    }

    while (rest.len) {
        if (!lv_note_next(v, &rest, &note, "head")) {
            lv_incomplete(v, 3, "the heads cannot be read");
            return;
        }

        lv_head_add(v, &note, 0);

        free(note.statement);
    }
}


void
lv_head_add(lv_t *v, const lv_note_t *note, int foreign)
{
    u_char         tag[32];
    uint32_t       i;
    lv_head_t     *head, *before;
    const u_char  *p;

    p = note->statement;

    if (note->len != LV_HEAD
        || memcmp(p, tag, lv_tag(tag, "head") - tag) != 0
        || lv_get64(p + 93) >> 48)
    {
        lv_fail(v, 2, "a head's statement is not a head");
        return;
    }

    for (i = 0; i < v->nversions; i++) {
        if (memcmp(p + 21, v->version[i].mh, 32) == 0) {
            break;
        }
    }

    if (i == v->nversions) {

        if (foreign) {
            lv_info(v, 3, "a saved head is of another campaign");

        } else {
            lv_fail(v, 2, "a head is of another campaign");
        }

        return;
    }

    v->head = lv_grow(v->head, v->nheads, sizeof(lv_head_t));
    head = &v->head[v->nheads];
    before = v->nheads ? head - 1 : NULL;

    head->size = lv_get64(p + 53);
    memcpy(head->root, p + 61, 32);
    head->t = lv_get64(p + 93);
    head->version = i;
    head->foreign = foreign;

    v->nheads++;

    if (head->t > v->latest) {
        v->latest = head->t;
    }

    if (foreign || before == NULL) {
        return;
    }

    if (head->size < before->size || head->t < before->t
        || head->version < before->version)
    {
        lv_fail(v, 3, "the head of %llu records goes back",
                (unsigned long long) head->size);
    }

    if (head->t - before->t > 65000) {
        v->gaps++;

        if (head->t - before->t > v->gap) {
            v->gap = head->t - before->t;
        }
    }
}


void
lv_heads_sort(lv_t *v)
{
    if (v->nheads) {
        qsort(v->head, v->nheads, sizeof(lv_head_t), lv_head_order);
    }

    if (v->gaps) {
        lv_info(v, 3, "%llu gaps over 65 s between heads, the longest %lld s",
                (unsigned long long) v->gaps, (long long) v->gap / 1000);
    }
}


static int
lv_head_order(const void *one, const void *two)
{
    const lv_head_t  *a, *b;

    a = one;
    b = two;

    if (a->size != b->size) {
        return a->size < b->size ? -1 : 1;
    }

    return a->t < b->t ? -1 : a->t > b->t;
}
