
/*
 * V04, single: a note that left the operator's hands before its round.  A
 * witness that the verifier's user pins has cosigned it, or the user has saved
 * it, or found it in a public log, and vouches for the time himself.
 */

#include "loyalty-verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


static void lv_cosignature_line(lv_t *v, lv_str_t line);
static int lv_cosigned(lv_t *v, lv_vkey_t *witness, lv_subject_t *subject,
    uint64_t t, const u_char *sig);
static void lv_saved_note(lv_t *v, lv_note_t *note);
static int lv_saved_ours(lv_t *v, lv_note_t *note);


void
lv_cosignatures(lv_t *v)
{
    int       rc;
    lv_str_t  rest, line;

    rest = lv_file(v, "cosignatures");

    for ( ;; ) {
        rc = lv_line(&rest, &line);

        if (rc != 1) {
            break;
        }

        lv_cosignature_line(v, line);
    }

    if (rc == -1) {
        lv_fail(v, 4, "cosignatures is cut off");
    }
}


static void
lv_cosignature_line(lv_t *v, lv_str_t line)
{
    size_t         i, len;
    u_char        *sig;
    uint64_t       key, t;
    lv_str_t       kind, word, name;
    unsigned       n, pinned, good;
    lv_vkey_t     *witness;
    lv_subject_t  *subject;

    sig = NULL;

    if (!lv_word(&line, &kind) || !lv_word(&line, &word)
        || !lv_number(word, &key) || !lv_word(&line, &name))
    {
        lv_fail(v, 4, "a malformed line in cosignatures");
        return;
    }

    sig = lv_base64(line, &len);
    if (sig == NULL || len != 76 || lv_get64(sig + 4) >> 40) {
        lv_fail(v, 4, "a malformed line in cosignatures");
        free(sig);
        return;
    }

    t = lv_get64(sig + 4);
    pinned = 0;
    good = 0;

    for (n = 0; n < v->options->nwitnesses; n++) {
        witness = &v->options->witness[n];

        if (witness->name.len != name.len
            || memcmp(witness->name.data, name.data, name.len) != 0
            || memcmp(witness->id, sig, 4) != 0)
        {
            continue;
        }

        pinned = 1;

        for (i = 0; i < v->nsubjects; i++) {
            subject = &v->subject[i];

            if (subject->key == key && subject->kind.len == kind.len
                && memcmp(subject->kind.data, kind.data, kind.len) == 0
                && lv_cosigned(v, witness, subject, t, sig + 12))
            {
                good = 1;

                if ((int64_t) t * 1000 < subject->cosigned) {
                    subject->cosigned = (int64_t) t * 1000;
                }
            }
        }
    }

    if (pinned && !good) {
        lv_fail(v, 4, "the cosignature of %.*s by %.*s is of another note",
                (int) kind.len, kind.data, (int) name.len, name.data);
    }

    free(sig);
}


static int
lv_cosigned(lv_t *v, lv_vkey_t *witness, lv_subject_t *subject, uint64_t t,
    const u_char *sig)
{
    int        ok, len;
    u_char    *p;
    lv_str_t   s;

    p = lv_alloc(64 + subject->text.len, 1);

    len = sprintf((char *) p, "cosignature/v1\ntime %llu\n",
                  (unsigned long long) t);
    memcpy(p + len, subject->text.data, subject->text.len);

    s.data = p;
    s.len = len + subject->text.len;

    ok = lv_signed(v->md, witness->key, sig, s);

    free(p);

    return ok;
}


void
lv_saved(lv_t *v)
{
    unsigned   i;
    lv_str_t   rest;
    lv_note_t  note;

    for (i = 0; i < v->options->nsaved; i++) {
        rest = v->options->saved[i];

        if (rest.len == 0) {
            lv_fail(v, 2, "a saved note is empty");
        }

        while (rest.len) {
            if (!lv_note_next(v, &rest, &note, NULL)) {
                break;
            }

            lv_saved_note(v, &note);

            free(note.statement);
        }
    }
}


static void
lv_saved_note(lv_t *v, lv_note_t *note)
{
    size_t         i;
    lv_subject_t  *subject;

    for (i = 0; i < v->nsubjects; i++) {
        subject = &v->subject[i];

        if (subject->raw.len == note->raw.len
            && memcmp(subject->raw.data, note->raw.data, note->raw.len) == 0)
        {
            subject->saved = 1;
            return;
        }
    }

    if (lv_eq(note->kind, "head")) {
        lv_head_add(v, note, 1);
        return;
    }

    if (lv_saved_ours(v, note)) {
        lv_fail(v, 4, "the key has signed two: the saved %.*s note is not the"
                " published one", (int) note->kind.len, note->kind.data);
        return;
    }

    lv_info(v, 4, "a saved %.*s note is of another campaign",
            (int) note->kind.len, note->kind.data);
}


/* is it about this campaign, though none of its published notes? */

static int
lv_saved_ours(lv_t *v, lv_note_t *note)
{
    size_t    len;
    u_char    tag[64];
    uint32_t  i;

    if (lv_eq(note->kind, "close")) {
        len = lv_tag(tag, "close") - tag;

        for (i = 0; i < v->nversions; i++) {
            if (note->len == LV_CLOSE
                && memcmp(note->statement + len, v->version[i].mh, 32) == 0)
            {
                return v->closed;
            }
        }

        return 0;
    }

    if (!lv_eq(note->kind, "manifest") && !lv_eq(note->kind, "dq")) {
        return 0;
    }

    len = lv_eq(note->kind, "dq") ? lv_tag(tag, "dq") - tag
                                  : lv_tag(tag, "manifest") - tag;

    return note->len >= len + 16
           && memcmp(note->statement + len, v->last->cid, 16) == 0;
}
