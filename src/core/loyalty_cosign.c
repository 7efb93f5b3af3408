/*
 * Cosignatures: what a witness has signed is made again and verified.
 */

#include "loyalty_cosign.h"
#include "loyalty_hash.h"
#include "loyalty_note.h"

#include <stdio.h>
#include <string.h>


#define LOYALTY_WITNESS      4              /* type of its key */
#define LOYALTY_COSIGN_LEN   (LOYALTY_KEY_HASH + 8 + LOYALTY_SIGNATURE)
#define LOYALTY_COSIGN_END   253402300800   /* the year 10000 */
#define LOYALTY_COSIGN_DASH  "\xe2\x80\x94 "


static int loyalty_cosign_key(loyalty_signkey_t *key,
    const unsigned char *vkey, size_t n);
static int loyalty_cosign_line(loyalty_cosignature_t *c, unsigned char *sig,
    const unsigned char *line, size_t n);
static int loyalty_cosign_verify(const loyalty_signkey_t *key,
    loyalty_cosignature_t *c, const unsigned char *sig,
    const unsigned char *text, size_t n);


const char *
loyalty_cosignature(loyalty_cosignature_t *c, const unsigned char *vkey,
    size_t nvkey, const unsigned char *line, size_t nline,
    const unsigned char *text, size_t ntext)
{
    const char         *error;
    unsigned char       sig[LOYALTY_COSIGN_LEN];
    loyalty_signkey_t   key;

    if (loyalty_cosign_line(c, sig, line, nline) != 0) {
        return "this is not a cosignature's line";
    }

    if (loyalty_cosign_key(&key, vkey, nvkey) != 0) {
        return "this is not a witness's key";
    }

    error = NULL;

    if (key.len != c->len || memcmp(key.name, c->name, c->len) != 0
        || memcmp(key.hash, sig, LOYALTY_KEY_HASH) != 0)
    {
        error = "the cosignature is of another key";

    } else if (loyalty_cosign_verify(&key, c, sig, text, ntext) != 0) {
        error = "the cosignature is not of this note";
    }

    loyalty_signkey_free(&key);

    return error;
}


/* "NAME+HASH+BASE64": the key is read, and is written just so */

static int
loyalty_cosign_key(loyalty_signkey_t *key, const unsigned char *vkey,
    size_t n)
{
    size_t                len;
    loyalty_sha_t         s;
    unsigned char         public[1 + LOYALTY_PUBLIC_KEY];
    unsigned char         hash[LOYALTY_HASH];
    const unsigned char  *plus;

    plus = (n > 0) ? memchr(vkey, '+', n) : NULL;

    if (plus == NULL || n - (size_t) (plus - vkey) != 1 + 8 + 1 + 44
        || plus[9] != '+'
        || loyalty_unbase64(public, sizeof(public), &len, plus + 10, 44) != 0
        || len != sizeof(public) || public[0] != LOYALTY_WITNESS
        || loyalty_signkey_public(key, vkey, (size_t) (plus - vkey),
                                  public + 1)
           != 0)
    {
        return -1;
    }

    loyalty_sha_init(&s);
    loyalty_sha_raw(&s, key->name, key->len);
    loyalty_sha_u8(&s, '\n');
    loyalty_sha_u8(&s, LOYALTY_WITNESS);
    loyalty_sha_raw(&s, key->public, LOYALTY_PUBLIC_KEY);

    if (loyalty_sha_final(&s, hash) != 0
        || loyalty_unhex(key->hash, LOYALTY_KEY_HASH, plus + 1, 8) != 0
        || memcmp(hash, key->hash, LOYALTY_KEY_HASH) != 0)
    {
        loyalty_signkey_free(key);
        return -1;
    }

    return 0;
}


static int
loyalty_cosign_line(loyalty_cosignature_t *c, unsigned char *sig,
    const unsigned char *line, size_t n)
{
    size_t                len;
    const unsigned char  *p, *space;

    len = sizeof(LOYALTY_COSIGN_DASH) - 1;

    if (n <= len || memcmp(line, LOYALTY_COSIGN_DASH, len) != 0) {
        return -1;
    }

    p = line + len;
    n -= len;

    space = memchr(p, ' ', n);

    if (space == NULL) {
        return -1;
    }

    c->name = p;
    c->len = (size_t) (space - p);
    c->base64 = space + 1;
    c->nbase64 = n - c->len - 1;

    if (c->nbase64 != loyalty_base64_len(LOYALTY_COSIGN_LEN)
        || loyalty_unbase64(sig, LOYALTY_COSIGN_LEN, &len, c->base64,
                            c->nbase64)
           != 0
        || len != LOYALTY_COSIGN_LEN)
    {
        return -1;
    }

    c->time = loyalty_get_u64(sig + LOYALTY_KEY_HASH);

    return (c->time >= LOYALTY_COSIGN_END) ? -1 : 0;
}


static int
loyalty_cosign_verify(const loyalty_signkey_t *key, loyalty_cosignature_t *c,
    const unsigned char *sig, const unsigned char *text, size_t n)
{
    int            len;
    unsigned char  data[64 + LOYALTY_COSIGNED_MAX];

    if (n > LOYALTY_COSIGNED_MAX) {
        return -1;
    }

    len = snprintf((char *) data, 64, "cosignature/v1\ntime %llu\n",
                   (unsigned long long) c->time);

    memcpy(data + len, text, n);

    return loyalty_verify(key, data, (size_t) len + n,
                          sig + LOYALTY_KEY_HASH + 8);
}
