
/*
 * C2SP signed notes and their keys.  Ours have two lines of text and exactly
 * one signature line; a note is read from exactly four lines, and its bytes
 * are all signed or checked.
 */

#include "loyalty-verify.h"

#include <stdlib.h>
#include <string.h>


#define LV_DASH  "\342\200\224 "


static int lv_note_parse(lv_t *v, lv_note_t *note, lv_str_t line[4]);


/* NAME+HEX8+BASE64, without its line feed */

int
lv_vkey_parse(lv_vkey_t *vkey, lv_str_t line)
{
    u_char        *raw, hash[32], id[4];
    size_t         len;
    lv_str_t       hex, base64;
    SHA256_CTX     ctx;
    const u_char  *plus;

    plus = memchr(line.data, '+', line.len);
    if (plus == NULL || plus == line.data
        || (size_t) (line.data + line.len - plus) < 10 || plus[9] != '+')
    {
        return 0;
    }

    vkey->name.data = line.data;
    vkey->name.len = plus - line.data;

    if (memchr(vkey->name.data, ' ', vkey->name.len) != NULL) {
        return 0;
    }

    hex.data = plus + 1;
    hex.len = 8;

    base64.data = plus + 10;
    base64.len = line.data + line.len - base64.data;

    if (!lv_hex(hex, id, 4)) {
        return 0;
    }

    raw = lv_base64(base64, &len);
    if (raw == NULL) {
        return 0;
    }

    vkey->key = NULL;

    if (len == 33) {
        SHA256_Init(&ctx);
        SHA256_Update(&ctx, vkey->name.data, vkey->name.len);
        SHA256_Update(&ctx, "\n", 1);
        SHA256_Update(&ctx, raw, len);
        SHA256_Final(hash, &ctx);

        if (memcmp(hash, id, 4) == 0) {
            memcpy(vkey->id, id, 4);
            vkey->type = raw[0];
            vkey->key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
                                                    raw + 1, 32);
        }
    }

    free(raw);

    return vkey->key != NULL;
}


int
lv_signed(EVP_MD_CTX *md, EVP_PKEY *key, const u_char *sig, lv_str_t data)
{
    EVP_MD_CTX_reset(md);

    return EVP_DigestVerifyInit(md, NULL, NULL, NULL, key) == 1
           && EVP_DigestVerify(md, sig, 64, data.data, data.len) == 1;
}


/*
 * The next note of a file, verified, with its statement decoded.  What is wrong
 * with it is said of V02; 0: do not go on.  Any kind will do where none is
 * asked for.
 */

int
lv_note_next(lv_t *v, lv_str_t *rest, lv_note_t *note, const char *kind)
{
    unsigned       i;
    lv_str_t       line[4];
    const u_char  *start;

    start = rest->data;
    memset(note, 0, sizeof(lv_note_t));

    for (i = 0; i < 4; i++) {
        if (lv_line(rest, &line[i]) != 1) {
            lv_fail(v, 2, "a %s note is cut off", kind ? kind : "saved");
            return 0;
        }
    }

    note->raw.data = start;
    note->raw.len = rest->data - start;
    note->text.data = start;
    note->text.len = line[2].data - start;

    if (!lv_note_parse(v, note, line)
        || (kind != NULL && !lv_eq(note->kind, kind)))
    {
        lv_fail(v, 2, "a %s note is malformed, or not signed by the key",
                kind ? kind : "saved");
        free(note->statement);
        note->statement = NULL;
        return 0;
    }

    return 1;
}


static int
lv_note_parse(lv_t *v, lv_note_t *note, lv_str_t line[4])
{
    int        ok;
    u_char    *sig;
    size_t     len;
    lv_str_t   s, name;

    s = line[0];

    if (!lv_prefix(&s, "nginx-loyalty/1 ") || s.len == 0 || s.len > 16
        || line[1].len > LV_MAX_NOTE || line[2].len)
    {
        return 0;
    }

    note->kind = s;

    note->statement = lv_base64(line[1], &note->len);
    if (note->statement == NULL) {
        return 0;
    }

    s = line[3];

    if (!lv_prefix(&s, LV_DASH) || !lv_word(&s, &name)
        || name.len != v->vkey.name.len
        || memcmp(name.data, v->vkey.name.data, name.len) != 0)
    {
        return 0;
    }

    sig = lv_base64(s, &len);
    if (sig == NULL) {
        return 0;
    }

    ok = len == 68 && memcmp(sig, v->vkey.id, 4) == 0
         && lv_signed(v->md, v->vkey.key, sig + 4, note->text);

    free(sig);

    return ok;
}


size_t
lv_subject_add(lv_t *v, lv_note_t *note, uint64_t key)
{
    lv_subject_t  *subject;

    v->subject = lv_grow(v->subject, v->nsubjects, sizeof(lv_subject_t));
    subject = &v->subject[v->nsubjects];

    memset(subject, 0, sizeof(lv_subject_t));

    subject->kind = note->kind;
    subject->key = key;
    subject->raw = note->raw;
    subject->text = note->text;
    subject->token = LV_NEVER;
    subject->trusted = LV_NEVER;
    subject->cosigned = LV_NEVER;

    lv_sha256(subject->hash, note->raw.data, note->raw.len);

    return v->nsubjects++;
}
