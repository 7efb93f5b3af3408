/*
 * Signed notes, verifier keys and receipts.  A note is opened by building
 * what it must begin with and comparing: nothing about its form is guessed.
 */

#include "loyalty_note.h"

#include <string.h>


#define LOYALTY_ED25519          1            /* of C2SP signed-note */

#define LOYALTY_NOTE_KIND_MAX    16
#define LOYALTY_RECORD_MAX       256
#define LOYALTY_SIGNED_LEN       (LOYALTY_KEY_HASH + LOYALTY_SIGNATURE)
#define LOYALTY_DASH             "\xe2\x80\x94 "


static int loyalty_signkey_name(loyalty_signkey_t *key, const void *name,
    size_t len);
static int loyalty_signkey_space(const unsigned char *p, size_t n);
static int loyalty_signkey_hash(loyalty_signkey_t *key);
static int loyalty_receipt_text(unsigned char *dst, size_t *len,
    const void *record, size_t n);
static size_t loyalty_note_head(unsigned char *dst,
    loyalty_note_kind_e kind);


int
loyalty_signkey_init(loyalty_signkey_t *key, const void *name, size_t len,
    const unsigned char *seed)
{
    size_t  n;

    if (loyalty_signkey_name(key, name, len) != 0) {
        return -1;
    }

    key->pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed,
                                             LOYALTY_HASH);
    if (key->pkey == NULL) {
        return -1;
    }

    n = LOYALTY_PUBLIC_KEY;

    if (EVP_PKEY_get_raw_public_key(key->pkey, key->public, &n) != 1
        || n != LOYALTY_PUBLIC_KEY
        || loyalty_signkey_hash(key) != 0)
    {
        loyalty_signkey_free(key);
        return -1;
    }

    return 0;
}


int
loyalty_signkey_public(loyalty_signkey_t *key, const void *name, size_t len,
    const unsigned char *public_key)
{
    if (loyalty_signkey_name(key, name, len) != 0) {
        return -1;
    }

    memcpy(key->public, public_key, LOYALTY_PUBLIC_KEY);

    key->pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
                                            public_key, LOYALTY_PUBLIC_KEY);
    if (key->pkey == NULL) {
        return -1;
    }

    if (loyalty_signkey_hash(key) != 0) {
        loyalty_signkey_free(key);
        return -1;
    }

    return 0;
}


static int
loyalty_signkey_name(loyalty_signkey_t *key, const void *name, size_t len)
{
    size_t                i;
    const unsigned char  *p;

    memset(key, 0, sizeof(loyalty_signkey_t));

    if (len == 0 || len > LOYALTY_KEY_NAME_MAX) {
        return -1;
    }

    p = name;

    for (i = 0; i < len; i++) {
        if (p[i] <= 0x20 || p[i] == '+' || p[i] == 0x7f
            || loyalty_signkey_space(p + i, len - i))
        {
            return -1;
        }
    }

    memcpy(key->name, name, len);
    key->len = len;

    return 0;
}


/*
 * The white space of Unicode beyond ASCII: U+0085, U+00A0, U+1680,
 * U+2000 … U+200A, U+2028, U+2029, U+202F, U+205F, U+3000.
 */

static int
loyalty_signkey_space(const unsigned char *p, size_t n)
{
    if (n >= 2 && p[0] == 0xc2) {
        return p[1] == 0x85 || p[1] == 0xa0;
    }

    if (n < 3) {
        return 0;
    }

    switch (p[0] << 8 | p[1]) {

    case 0xe19a:
    case 0xe380:
        return p[2] == 0x80;

    case 0xe280:
        return p[2] <= 0x8a || p[2] == 0xa8 || p[2] == 0xa9 || p[2] == 0xaf;

    case 0xe281:
        return p[2] == 0x9f;

    default:
        return 0;
    }
}


/* the first bytes of H(name ‖ line end ‖ algorithm ‖ public key) */

static int
loyalty_signkey_hash(loyalty_signkey_t *key)
{
    loyalty_sha_t  s;
    unsigned char  hash[LOYALTY_HASH];

    loyalty_sha_init(&s);
    loyalty_sha_raw(&s, key->name, key->len);
    loyalty_sha_u8(&s, '\n');
    loyalty_sha_u8(&s, LOYALTY_ED25519);
    loyalty_sha_raw(&s, key->public, LOYALTY_PUBLIC_KEY);

    if (loyalty_sha_final(&s, hash) != 0) {
        return -1;
    }

    memcpy(key->hash, hash, LOYALTY_KEY_HASH);

    return 0;
}


void
loyalty_signkey_free(loyalty_signkey_t *key)
{
    EVP_PKEY_free(key->pkey);
    loyalty_wipe(key, sizeof(loyalty_signkey_t));
    key->pkey = NULL;
}


size_t
loyalty_vkey(unsigned char *dst, const loyalty_signkey_t *key)
{
    unsigned char  *p;
    unsigned char   public[1 + LOYALTY_PUBLIC_KEY];

    public[0] = LOYALTY_ED25519;
    memcpy(public + 1, key->public, LOYALTY_PUBLIC_KEY);

    memcpy(dst, key->name, key->len);
    p = dst + key->len;

    *p++ = '+';
    p += loyalty_hex(p, key->hash, LOYALTY_KEY_HASH);
    *p++ = '+';
    p += loyalty_base64(p, public, sizeof(public));

    return (size_t) (p - dst);
}


/* read the key, and see whether this is how it is written */

int
loyalty_signkey_vkey(loyalty_signkey_t *key, const unsigned char *vkey,
    size_t len)
{
    size_t                n;
    unsigned char         public[1 + LOYALTY_PUBLIC_KEY];
    unsigned char         same[LOYALTY_VKEY_MAX];
    const unsigned char  *plus;

    memset(key, 0, sizeof(loyalty_signkey_t));

    plus = memchr(vkey, '+', len);

    if (plus == NULL) {
        return -1;
    }

    n = (size_t) (plus - vkey) + 1 + loyalty_hex_len(LOYALTY_KEY_HASH) + 1;

    if (len < n
        || loyalty_unbase64(public, sizeof(public), &n, vkey + n, len - n)
           != 0
        || n != sizeof(public)
        || public[0] != LOYALTY_ED25519
        || loyalty_signkey_public(key, vkey, (size_t) (plus - vkey),
                                  public + 1)
           != 0)
    {
        return -1;
    }

    n = loyalty_vkey(same, key);

    if (n != len || memcmp(same, vkey, n) != 0) {
        loyalty_signkey_free(key);
        return -1;
    }

    return 0;
}


int
loyalty_sign(unsigned char *dst, const loyalty_signkey_t *key,
    const void *p, size_t n)
{
    int          rc;
    size_t       len;
    EVP_MD_CTX  *ctx;

    ctx = EVP_MD_CTX_new();

    if (ctx == NULL) {
        return -1;
    }

    len = LOYALTY_SIGNATURE;

    rc = EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->pkey) == 1
         && EVP_DigestSign(ctx, dst, &len, p, n) == 1
         && len == LOYALTY_SIGNATURE;

    EVP_MD_CTX_free(ctx);

    return rc ? 0 : -1;
}


int
loyalty_verify(const loyalty_signkey_t *key, const void *p, size_t n,
    const unsigned char *signature)
{
    int          rc;
    EVP_MD_CTX  *ctx;

    ctx = EVP_MD_CTX_new();

    if (ctx == NULL) {
        return -1;
    }

    rc = EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key->pkey) == 1
         && EVP_DigestVerify(ctx, signature, LOYALTY_SIGNATURE, p, n) == 1;

    EVP_MD_CTX_free(ctx);

    return rc ? 0 : -1;
}


static int
loyalty_receipt_text(unsigned char *dst, size_t *len, const void *record,
    size_t n)
{
    if (n > LOYALTY_RECORD_MAX) {
        return -1;
    }

    memcpy(dst, LOYALTY_TAG "receipt", sizeof(LOYALTY_TAG "receipt"));
    memcpy(dst + sizeof(LOYALTY_TAG "receipt"), record, n);
    *len = sizeof(LOYALTY_TAG "receipt") + n;

    return 0;
}


int
loyalty_receipt_sign(unsigned char *dst, const loyalty_signkey_t *key,
    const void *record, size_t n)
{
    size_t         len;
    unsigned char  buf[sizeof(LOYALTY_TAG "receipt") + LOYALTY_RECORD_MAX];

    if (loyalty_receipt_text(buf, &len, record, n) != 0) {
        return -1;
    }

    return loyalty_sign(dst, key, buf, len);
}


int
loyalty_receipt_verify(const loyalty_signkey_t *key, const void *record,
    size_t n, const unsigned char *signature)
{
    size_t         len;
    unsigned char  buf[sizeof(LOYALTY_TAG "receipt") + LOYALTY_RECORD_MAX];

    if (loyalty_receipt_text(buf, &len, record, n) != 0) {
        return -1;
    }

    return loyalty_verify(key, buf, len, signature);
}


const char *
loyalty_note_kind(loyalty_note_kind_e kind)
{
    static const char *const  kinds[] = {
        "manifest", "close", "dq", "head", "evidence"
    };

    return kinds[kind];
}


/* the first line */

static size_t
loyalty_note_head(unsigned char *dst, loyalty_note_kind_e kind)
{
    size_t       n;
    const char  *name;

    name = loyalty_note_kind(kind);
    n = strlen(name);

    memcpy(dst, LOYALTY_TAG, sizeof(LOYALTY_TAG) - 1);
    memcpy(dst + sizeof(LOYALTY_TAG) - 1, name, n);
    n += sizeof(LOYALTY_TAG) - 1;
    dst[n] = '\n';

    return n + 1;
}


size_t
loyalty_note_text(unsigned char *dst, size_t size, loyalty_note_kind_e kind,
    const void *statement, size_t n)
{
    size_t         head;
    unsigned char  line[sizeof(LOYALTY_TAG) + LOYALTY_NOTE_KIND_MAX];

    head = loyalty_note_head(line, kind);

    if (n == 0 || n > LOYALTY_STATEMENT_MAX
        || size < head + loyalty_base64_len(n) + 1)
    {
        return 0;
    }

    memcpy(dst, line, head);
    head += loyalty_base64(dst + head, statement, n);
    dst[head] = '\n';

    return head + 1;
}


size_t
loyalty_note_sign(unsigned char *dst, size_t size,
    const loyalty_signkey_t *key, loyalty_note_kind_e kind,
    const void *statement, size_t n)
{
    size_t          text;
    unsigned char  *p;
    unsigned char   line[LOYALTY_SIGNED_LEN];

    text = loyalty_note_text(dst, size, kind, statement, n);

    if (text == 0
        || size - text < 1 + sizeof(LOYALTY_DASH) - 1 + key->len + 1
                         + loyalty_base64_len(LOYALTY_SIGNED_LEN) + 1)
    {
        return 0;
    }

    memcpy(line, key->hash, LOYALTY_KEY_HASH);

    if (loyalty_sign(line + LOYALTY_KEY_HASH, key, dst, text) != 0) {
        return 0;
    }

    p = dst + text;
    *p++ = '\n';

    memcpy(p, LOYALTY_DASH, sizeof(LOYALTY_DASH) - 1);
    p += sizeof(LOYALTY_DASH) - 1;

    memcpy(p, key->name, key->len);
    p += key->len;
    *p++ = ' ';

    p += loyalty_base64(p, line, sizeof(line));
    *p++ = '\n';

    return (size_t) (p - dst);
}


int
loyalty_note_open(const loyalty_signkey_t *key, loyalty_note_kind_e kind,
    const unsigned char *note, size_t n, unsigned char *dst, size_t size,
    size_t *len)
{
    size_t                head, text, rest;
    unsigned char         line[sizeof(LOYALTY_TAG) + LOYALTY_NOTE_KIND_MAX];
    unsigned char         sig[LOYALTY_SIGNED_LEN];
    const unsigned char  *p;

    head = loyalty_note_head(line, kind);

    if (n < head || memcmp(note, line, head) != 0) {
        return -1;
    }

    p = memchr(note + head, '\n', n - head);

    if (p == NULL || p == note + head
        || loyalty_unbase64(dst, size, len, note + head,
                            (size_t) (p - note) - head)
           != 0)
    {
        return -1;
    }

    p++;
    text = (size_t) (p - note);
    rest = n - text;

    if (rest != 1 + sizeof(LOYALTY_DASH) - 1 + key->len + 1
                + loyalty_base64_len(LOYALTY_SIGNED_LEN) + 1
        || p[0] != '\n'
        || memcmp(p + 1, LOYALTY_DASH, sizeof(LOYALTY_DASH) - 1) != 0)
    {
        return -1;
    }

    p += 1 + sizeof(LOYALTY_DASH) - 1;

    if (memcmp(p, key->name, key->len) != 0 || p[key->len] != ' '
        || note[n - 1] != '\n')
    {
        return -1;
    }

    p += key->len + 1;

    if (loyalty_unbase64(sig, sizeof(sig), &rest, p,
                         loyalty_base64_len(LOYALTY_SIGNED_LEN))
        != 0
        || rest != sizeof(sig)
        || memcmp(sig, key->hash, LOYALTY_KEY_HASH) != 0)
    {
        return -1;
    }

    return loyalty_verify(key, note, text, sig + LOYALTY_KEY_HASH);
}
