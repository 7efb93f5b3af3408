
/*
 * V16: disqualifications.  Those of fresh alternates wait for a round of their
 * own, and each had to be known to outsiders before it.
 */

#include "loyalty-verify.h"

#include <stdlib.h>
#include <string.h>


static int lv_dq_read(lv_t *v, lv_note_t *note, lv_dq_t *dq);
static void lv_dq_again(lv_t *v, const lv_dq_t *before, const lv_dq_t *dq);


void
lv_dqs(lv_t *v)
{
    lv_dq_t    dq;
    lv_str_t   rest;
    lv_note_t  note;

    rest = lv_file(v, "dq");

    while (rest.len) {
        if (!lv_note_next(v, &rest, &note, "dq")) {
            lv_incomplete(v, 16, "the notes cannot be read");
            return;
        }

        if (!lv_dq_read(v, &note, &dq)) {
            lv_fail(v, 16, "a dq is malformed or out of place");
            free(note.statement);
            return;
        }

        dq.subject = lv_subject_add(v, &note, dq.k);

        free(note.statement);

        if (dq.t > v->latest) {
            v->latest = dq.t;
        }

        if (dq.k <= v->ndqs) {
            if (dq.t <= v->dq[dq.k - 1].t) {
                lv_fail(v, 16, "dq %u is repeated with no later time", dq.k);
            }

            v->again = lv_grow(v->again, v->nagain, sizeof(lv_dq_t));
            v->again[v->nagain++] = v->dq[dq.k - 1];
            v->dq[dq.k - 1] = dq;
            continue;
        }

        v->dq = lv_grow(v->dq, v->ndqs, sizeof(lv_dq_t));
        v->dq[v->ndqs++] = dq;
    }
}


static int
lv_dq_read(lv_t *v, lv_note_t *note, lv_dq_t *dq)
{
    u_char         head[64];
    size_t         actor;
    const u_char  *p;

    (void) lv_put(lv_tag(head, "dq"), v->last->cid, 16);

    /* T("dq") is 19 bytes; with the cid 35 */

    p = note->statement;

    if (note->len < 129 || memcmp(p, head, 35) != 0) {
        return 0;
    }

    actor = lv_get32(p + 93);

    if (actor > 255 || note->len != 129 + actor
        || lv_get64(p + 39) >> 48 || lv_get32(p + 35) == 0
        || lv_get32(p + 35) > v->ndqs + 1)
    {
        return 0;
    }

    dq->k = lv_get32(p + 35);
    dq->t = lv_get64(p + 39);
    dq->position = lv_get32(p + 47);
    dq->seq = lv_get64(p + 51);
    memcpy(dq->person, p + 59, 32);

    lv_leaf(dq->leaf, p, note->len);

    /* the reason is one of those that the protocol names */

    return p[91] == 0 && p[92] >= 1 && p[92] <= 6
           && dq->position < v->last->winners && dq->t >= v->last->close;
}


void
lv_dqs_dated(lv_t *v)
{
    size_t         i;
    int64_t        before;
    lv_dq_t       *dq;
    lv_subject_t  *subject;

    if (!(v->last->flags & 2)) {
        lv_info(v, 16, "%u", v->ndqs);
        return;
    }

    for (i = 0; i < v->ndqs; i++) {
        dq = &v->dq[i];
        subject = &v->subject[dq->subject];
        before = lv_round_time(lv_round_at(dq->t + 60000) + 1);

        lv_stamped(v, 16, subject, before);
        lv_single(v, 16, subject, before);
    }

    for (i = 0; i < v->nagain; i++) {
        lv_dq_again(v, &v->again[i], &v->dq[v->again[i].k - 1]);
    }

    lv_info(v, 16, "%u", v->ndqs);
}


/* only one whose token came too late may be made again */

static void
lv_dq_again(lv_t *v, const lv_dq_t *before, const lv_dq_t *dq)
{
    lv_subject_t  *subject;

    subject = &v->subject[before->subject];

    if (subject->token < lv_round_time(lv_round_at(before->t + 60000) + 1)) {
        lv_fail(v, 16, "dq %u was in time, and has been made again",
                before->k);
        return;
    }

    if (before->position != dq->position || before->seq != dq->seq
        || memcmp(before->person, dq->person, 32) != 0)
    {
        lv_fail(v, 16, "dq %u has been made again for somebody else",
                before->k);
        return;
    }

    lv_incomplete(v, 16, "dq %u came late and has been made again", dq->k);
}
