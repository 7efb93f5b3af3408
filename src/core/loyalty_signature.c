/*
 * The header Loyalty-Signature, the file of its keys, and the comparison.
 * HMAC is OpenSSL's; a key is given to it once, when the file is read, and
 * not kept anywhere else.
 */

#include "loyalty_signature.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>


#define LOYALTY_SIGNATURE_DIGITS  12       /* of t */


static int loyalty_signature_part(loyalty_signature_t *s,
    const unsigned char *p, const unsigned char *last);
static int loyalty_signature_time(loyalty_signature_t *s,
    const unsigned char *p, size_t n);
static int loyalty_signature_hex(unsigned char *dst, const unsigned char *p,
    size_t n);
static const char *loyalty_signature_line(loyalty_signature_keys_t *keys,
    const unsigned char *p, const unsigned char *last);
static const char *loyalty_signature_id(loyalty_signature_keys_t *keys,
    const unsigned char *p, size_t n);
static void *loyalty_signature_mac(const unsigned char *bytes, size_t n);


int
loyalty_signature_parse(loyalty_signature_t *s, const void *p, size_t n)
{
    const unsigned char  *pos, *end, *last;

    s->len = 0;
    s->n = 0;

    if (n > LOYALTY_SIGNATURE_HEADER) {
        return -1;
    }

    pos = p;
    last = pos + n;

    for ( ;; ) {

        for (end = pos; end < last && *end != ','; end++) {
            /* void */
        }

        if (loyalty_signature_part(s, pos, end) != 0) {
            return -1;
        }

        if (end == last) {
            break;
        }

        pos = end + 1;

        /* lists in headers have a space behind the comma */

        if (pos < last && *pos == ' ') {
            pos++;
        }
    }

    return (s->len && s->n) ? 0 : -1;
}


/* one NAME=VALUE */

static int
loyalty_signature_part(loyalty_signature_t *s, const unsigned char *p,
    const unsigned char *last)
{
    size_t                n;
    const unsigned char  *value;

    for (value = p; value < last && *value != '='; value++) {
        if (!(*value >= 'a' && *value <= 'z')
            && !(*value >= '0' && *value <= '9'))
        {
            return -1;
        }
    }

    if (value == p || last - value < 2) {
        return -1;
    }

    n = value - p;
    value++;

    if (n == 1 && *p == 't') {
        return loyalty_signature_time(s, value, last - value);
    }

    if (n != 2 || p[0] != 'v' || p[1] != '1') {
        return 0;
    }

    if (s->n == LOYALTY_SIGNATURES
        || last - value != 2 * LOYALTY_SIGNATURE_MAC
        || loyalty_signature_hex(s->macs[s->n], value, last - value) != 0)
    {
        return -1;
    }

    s->n++;

    return 0;
}


static int
loyalty_signature_time(loyalty_signature_t *s, const unsigned char *p,
    size_t n)
{
    size_t  i;

    /* a time is written in one way only, and once */

    if (s->len || n > LOYALTY_SIGNATURE_DIGITS || *p == '0') {
        return -1;
    }

    s->t = 0;

    for (i = 0; i < n; i++) {

        if (p[i] < '0' || p[i] > '9') {
            return -1;
        }

        s->t = s->t * 10 + (p[i] - '0');
    }

    s->text = p;
    s->len = n;

    return 0;
}


/* n is even */

static int
loyalty_signature_hex(unsigned char *dst, const unsigned char *p, size_t n)
{
    size_t         i;
    unsigned char  c, value;

    for (i = 0; i < n; i++) {

        c = p[i];

        if (c >= '0' && c <= '9') {
            value = c - '0';

        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            value = (c | 0x20) - 'a' + 10;

        } else {
            return -1;
        }

        if (i % 2 == 0) {
            dst[i / 2] = value << 4;

        } else {
            dst[i / 2] |= value;
        }
    }

    return 0;
}


const char *
loyalty_signature_keys_parse(loyalty_signature_keys_t *keys, const void *p,
    size_t n, unsigned *line)
{
    const char           *error;
    const unsigned char  *pos, *end, *next, *last;

    keys->n = 0;
    pos = p;
    last = pos + n;

    for (*line = 1; pos < last; pos = next, (*line)++) {

        for (end = pos; end < last && *end != '\n'; end++) {
            /* void */
        }

        next = (end < last) ? end + 1 : last;

        while (end > pos
               && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
        {
            end--;
        }

        if (pos == end || *pos == '#') {
            continue;
        }

        error = loyalty_signature_line(keys, pos, end);

        if (error != NULL) {
            return error;
        }
    }

    *line = 0;

    return keys->n ? NULL : "there is no key in it";
}


static const char *
loyalty_signature_line(loyalty_signature_keys_t *keys,
    const unsigned char *p, const unsigned char *last)
{
    size_t                    n;
    const char               *error;
    unsigned char             bytes[LOYALTY_SIGNATURE_KEY_MAX];
    const unsigned char      *hex;
    loyalty_signature_key_t  *key;

    for (hex = p; hex < last && *hex != ':'; hex++) {
        /* void */
    }

    if (hex == last) {
        return "\"ID:KEY\" is expected, the key in hexadecimal digits";
    }

    error = loyalty_signature_id(keys, p, hex - p);

    if (error != NULL) {
        return error;
    }

    hex++;
    n = last - hex;

    if (n % 2 != 0 || n < 2 * LOYALTY_SIGNATURE_KEY
        || n > 2 * LOYALTY_SIGNATURE_KEY_MAX
        || loyalty_signature_hex(bytes, hex, n) != 0)
    {
        OPENSSL_cleanse(bytes, sizeof(bytes));
        return "a key of 64 to 128 hexadecimal digits is expected";
    }

    key = &keys->keys[keys->n];
    key->mac = loyalty_signature_mac(bytes, n / 2);

    OPENSSL_cleanse(bytes, sizeof(bytes));

    if (key->mac == NULL) {
        return "OpenSSL has no HMAC-SHA-256 or no memory for it";
    }

    keys->n++;

    return NULL;
}


static const char *
loyalty_signature_id(loyalty_signature_keys_t *keys, const unsigned char *p,
    size_t n)
{
    size_t    i;
    unsigned  k;

    if (n == 0 || n > LOYALTY_SIGNATURE_ID) {
        return "an id of 1 to 64 letters, digits, \"_\", \"-\" and \".\" is "
               "expected before the colon";
    }

    for (i = 0; i < n; i++) {
        if (!(p[i] >= 'a' && p[i] <= 'z') && !(p[i] >= 'A' && p[i] <= 'Z')
            && !(p[i] >= '0' && p[i] <= '9')
            && p[i] != '_' && p[i] != '-' && p[i] != '.')
        {
            return "an id of letters, digits, \"_\", \"-\" and \".\" is "
                   "expected before the colon";
        }
    }

    for (k = 0; k < keys->n; k++) {
        if (keys->keys[k].id_len == n && memcmp(keys->keys[k].id, p, n) == 0)
        {
            return "the id is used twice";
        }
    }

    if (keys->n == LOYALTY_SIGNATURE_KEYS) {
        return "there are more than 8 keys";
    }

    memcpy(keys->keys[keys->n].id, p, n);
    keys->keys[keys->n].id_len = n;

    return NULL;
}


static void *
loyalty_signature_mac(const unsigned char *bytes, size_t n)
{
    EVP_MAC      *mac;
    OSSL_PARAM    params[2];
    EVP_MAC_CTX  *ctx;

    mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (mac == NULL) {
        return NULL;
    }

    ctx = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);

    if (ctx == NULL) {
        return NULL;
    }

    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                 "SHA256", 0);
    params[1] = OSSL_PARAM_construct_end();

    if (EVP_MAC_init(ctx, bytes, n, params) != 1) {
        EVP_MAC_CTX_free(ctx);
        return NULL;
    }

    return ctx;
}


void
loyalty_signature_keys_free(loyalty_signature_keys_t *keys)
{
    while (keys->n) {
        EVP_MAC_CTX_free(keys->keys[--keys->n].mac);
    }
}


int
loyalty_signature_begin(const loyalty_signature_t *s,
    loyalty_signature_key_t *key)
{
    /* without a key it begins anew with the one it has */

    if (EVP_MAC_init(key->mac, NULL, 0, NULL) != 1
        || EVP_MAC_update(key->mac, s->text, s->len) != 1
        || EVP_MAC_update(key->mac, (const unsigned char *) ".", 1) != 1)
    {
        return -1;
    }

    return 0;
}


int
loyalty_signature_update(loyalty_signature_key_t *key, const void *p,
    size_t n)
{
    return EVP_MAC_update(key->mac, p, n) == 1 ? 0 : -1;
}


int
loyalty_signature_match(const loyalty_signature_t *s,
    loyalty_signature_key_t *key)
{
    int            found;
    size_t         n;
    unsigned       i;
    unsigned char  mac[LOYALTY_SIGNATURE_MAC];

    if (EVP_MAC_final(key->mac, mac, &n, sizeof(mac)) != 1
        || n != sizeof(mac))
    {
        return -1;
    }

    found = 0;

    for (i = 0; i < s->n; i++) {
        found |= (CRYPTO_memcmp(s->macs[i], mac, sizeof(mac)) == 0);
    }

    OPENSSL_cleanse(mac, sizeof(mac));

    return found;
}
