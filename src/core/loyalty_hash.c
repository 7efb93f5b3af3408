/*
 * Hashing for draws.  A play hashes four blocks: with libcrypto's EVP layer,
 * fetching, allocating and copying contexts would cost more than those, so
 * this file, and no other, uses SHA-256 directly and builds HMAC (RFC 2104)
 * on it, with the key's two blocks hashed once.
 */

#define OPENSSL_SUPPRESS_DEPRECATED

#include "loyalty_hash.h"

#include <string.h>

#include <openssl/crypto.h>


#define LOYALTY_HMAC_IPAD  0x36
#define LOYALTY_HMAC_OPAD  0x5c


static int loyalty_hmac_pad(SHA256_CTX *sha, const unsigned char *key,
    size_t n, unsigned char pad);
static int loyalty_unhex_digit(unsigned char c);
static int loyalty_unbase64_digit(unsigned char c);


void
loyalty_sha_init(loyalty_sha_t *s)
{
    s->failed = (SHA256_Init(&s->sha) != 1);
}


void
loyalty_sha_raw(loyalty_sha_t *s, const void *p, size_t n)
{
    if (n > 0 && !s->failed && SHA256_Update(&s->sha, p, n) != 1) {
        s->failed = 1;
    }
}


void
loyalty_sha_u8(loyalty_sha_t *s, uint8_t v)
{
    loyalty_sha_raw(s, &v, 1);
}


void
loyalty_sha_u32(loyalty_sha_t *s, uint32_t v)
{
    unsigned char  buf[4];

    loyalty_put_u32(buf, v);
    loyalty_sha_raw(s, buf, sizeof(buf));
}


void
loyalty_sha_u64(loyalty_sha_t *s, uint64_t v)
{
    unsigned char  buf[8];

    loyalty_put_u64(buf, v);
    loyalty_sha_raw(s, buf, sizeof(buf));
}


void
loyalty_sha_lp(loyalty_sha_t *s, const void *p, size_t n)
{
    if (n > UINT32_MAX) {
        s->failed = 1;
        return;
    }

    loyalty_sha_u32(s, (uint32_t) n);
    loyalty_sha_raw(s, p, n);
}


void
loyalty_sha_tag(loyalty_sha_t *s, const char *tag)
{
    loyalty_sha_raw(s, LOYALTY_TAG, sizeof(LOYALTY_TAG) - 1);
    loyalty_sha_raw(s, tag, strlen(tag) + 1);
}


int
loyalty_sha_final(loyalty_sha_t *s, unsigned char *dst)
{
    if (s->failed || SHA256_Final(dst, &s->sha) != 1) {
        s->failed = 1;
        memset(dst, 0, LOYALTY_HASH);
        return -1;
    }

    return 0;
}


int
loyalty_sha(unsigned char *dst, const void *p, size_t n)
{
    loyalty_sha_t  s;

    loyalty_sha_init(&s);
    loyalty_sha_raw(&s, p, n);

    return loyalty_sha_final(&s, dst);
}


int
loyalty_hmac_key(loyalty_hmac_t *key, const void *p, size_t n)
{
    unsigned char         digest[LOYALTY_HASH];
    const unsigned char  *k;

    k = p;
    key->failed = 0;

    if (n > SHA256_CBLOCK) {
        key->failed = (loyalty_sha(digest, p, n) != 0);
        k = digest;
        n = LOYALTY_HASH;
    }

    if (loyalty_hmac_pad(&key->inner, k, n, LOYALTY_HMAC_IPAD) != 0
        || loyalty_hmac_pad(&key->outer, k, n, LOYALTY_HMAC_OPAD) != 0)
    {
        key->failed = 1;
    }

    loyalty_wipe(digest, sizeof(digest));

    return key->failed ? -1 : 0;
}


static int
loyalty_hmac_pad(SHA256_CTX *sha, const unsigned char *key, size_t n,
    unsigned char pad)
{
    int            rc;
    size_t         i;
    unsigned char  block[SHA256_CBLOCK];

    memset(block, pad, sizeof(block));

    for (i = 0; i < n; i++) {
        block[i] ^= key[i];
    }

    rc = SHA256_Init(sha) == 1
         && SHA256_Update(sha, block, sizeof(block)) == 1;

    loyalty_wipe(block, sizeof(block));

    return rc ? 0 : -1;
}


void
loyalty_hmac_init(loyalty_sha_t *s, const loyalty_hmac_t *key)
{
    s->sha = key->inner;
    s->failed = key->failed;
}


int
loyalty_hmac_final(loyalty_sha_t *s, const loyalty_hmac_t *key,
    unsigned char *dst)
{
    unsigned char  inner[LOYALTY_HASH];

    if (loyalty_sha_final(s, inner) != 0) {
        memset(dst, 0, LOYALTY_HASH);
        return -1;
    }

    s->sha = key->outer;
    loyalty_sha_raw(s, inner, sizeof(inner));

    return loyalty_sha_final(s, dst);
}


int
loyalty_hmac_raw(unsigned char *dst, const loyalty_hmac_t *key,
    const void *p, size_t n)
{
    loyalty_sha_t  s;

    loyalty_hmac_init(&s, key);
    loyalty_sha_raw(&s, p, n);

    return loyalty_hmac_final(&s, key, dst);
}


int
loyalty_hmac(unsigned char *dst, const void *key, size_t nkey,
    const void *p, size_t n)
{
    int             rc;
    loyalty_hmac_t  ready;

    (void) loyalty_hmac_key(&ready, key, nkey);
    rc = loyalty_hmac_raw(dst, &ready, p, n);

    loyalty_wipe(&ready, sizeof(ready));

    return rc;
}


int
loyalty_equal(const void *a, const void *b, size_t n)
{
    return CRYPTO_memcmp(a, b, n) == 0;
}


void
loyalty_wipe(void *p, size_t n)
{
    OPENSSL_cleanse(p, n);
}


int
loyalty_zero(const void *p, size_t n)
{
    size_t                i;
    unsigned char         any;
    const unsigned char  *s;

    s = p;
    any = 0;

    for (i = 0; i < n; i++) {
        any |= s[i];
    }

    return any == 0;
}


unsigned char *
loyalty_put_u16(unsigned char *p, uint16_t v)
{
    *p++ = (unsigned char) (v >> 8);
    *p++ = (unsigned char) v;

    return p;
}


unsigned char *
loyalty_put_u32(unsigned char *p, uint32_t v)
{
    p = loyalty_put_u16(p, (uint16_t) (v >> 16));

    return loyalty_put_u16(p, (uint16_t) v);
}


unsigned char *
loyalty_put_u64(unsigned char *p, uint64_t v)
{
    p = loyalty_put_u32(p, (uint32_t) (v >> 32));

    return loyalty_put_u32(p, (uint32_t) v);
}


uint16_t
loyalty_get_u16(const unsigned char *p)
{
    return (uint16_t) (p[0] << 8 | p[1]);
}


uint32_t
loyalty_get_u32(const unsigned char *p)
{
    return (uint32_t) loyalty_get_u16(p) << 16 | loyalty_get_u16(p + 2);
}


uint64_t
loyalty_get_u64(const unsigned char *p)
{
    return (uint64_t) loyalty_get_u32(p) << 32 | loyalty_get_u32(p + 4);
}


size_t
loyalty_hex(unsigned char *dst, const void *p, size_t n)
{
    size_t                i;
    const unsigned char  *s;

    static const char     digits[] = "0123456789abcdef";

    s = p;

    for (i = 0; i < n; i++) {
        *dst++ = (unsigned char) digits[s[i] >> 4];
        *dst++ = (unsigned char) digits[s[i] & 15];
    }

    return loyalty_hex_len(n);
}


int
loyalty_unhex(unsigned char *dst, size_t n, const unsigned char *s,
    size_t len)
{
    int     high, low;
    size_t  i;

    if (len % 2 != 0 || len / 2 != n) {
        return -1;
    }

    for (i = 0; i < n; i++) {
        high = loyalty_unhex_digit(s[2 * i]);
        low = loyalty_unhex_digit(s[2 * i + 1]);

        if (high < 0 || low < 0) {
            return -1;
        }

        dst[i] = (unsigned char) (high << 4 | low);
    }

    return 0;
}


static int
loyalty_unhex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : -1;
}


size_t
loyalty_base64(unsigned char *dst, const void *p, size_t n)
{
    size_t                len;
    uint32_t              bits;
    const unsigned char  *s;

    static const char     digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    len = loyalty_base64_len(n);

    for (s = p; n > 0; s += 3) {
        bits = (uint32_t) s[0] << 16;
        bits |= (n > 1) ? (uint32_t) s[1] << 8 : 0;
        bits |= (n > 2) ? s[2] : 0;

        *dst++ = (unsigned char) digits[bits >> 18];
        *dst++ = (unsigned char) digits[bits >> 12 & 63];
        *dst++ = (unsigned char) (n > 1 ? digits[bits >> 6 & 63] : '=');
        *dst++ = (unsigned char) (n > 2 ? digits[bits & 63] : '=');

        n -= (n > 2) ? 3 : n;
    }

    return len;
}


int
loyalty_unbase64(unsigned char *dst, size_t size, size_t *n,
    const unsigned char *s, size_t len)
{
    int       digit;
    size_t    i, bytes;
    uint32_t  bits;

    if (len % 4 != 0) {
        return -1;
    }

    bytes = len / 4 * 3;

    if (len > 0 && s[len - 1] == '=') {
        bytes -= (s[len - 2] == '=') ? 2 : 1;
        len -= (s[len - 2] == '=') ? 2 : 1;
    }

    if (bytes > size) {
        return -1;
    }

    *n = bytes;
    bits = 0;

    for (i = 0; i < len; i++) {
        digit = loyalty_unbase64_digit(s[i]);

        if (digit < 0) {
            return -1;
        }

        bits = bits << 6 | (uint32_t) digit;

        if (i % 4 != 0) {
            *dst++ = (unsigned char) (bits >> (6 - 2 * (i % 4)));
            bits &= (1U << (6 - 2 * (i % 4))) - 1;
        }
    }

    /* what is left are padding bits */

    return bits == 0 ? 0 : -1;
}


static int
loyalty_unbase64_digit(unsigned char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }

    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }

    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }

    return (c == '+') ? 62 : (c == '/') ? 63 : -1;
}
