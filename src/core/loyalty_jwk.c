/*
 * Key sets, and secrets.  The JSON is jansson's to read and the mathematics are
 * OpenSSL's; what is here is which members must be there and how long they
 * are.  Private parts that a set may hold are not looked at.
 */

#include "loyalty_jwk.h"

#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "loyalty_base64.h"


#define LOYALTY_JWK_EXPONENT   8           /* bytes */
#define LOYALTY_JWK_CURVE      32          /* bytes of a coordinate */


static const char *loyalty_jwk_json(loyalty_jwks_t *keys, json_t *json,
    unsigned algs);
static int loyalty_jwk_usable(json_t *json, unsigned alg);
static const char *loyalty_jwk_id(loyalty_jwks_t *keys, json_t *json,
    loyalty_jwk_t *key);
static unsigned loyalty_jwk_kind(json_t *json);
static const char *loyalty_jwk_parts(loyalty_jwk_t *key, json_t *json);
static const char *loyalty_jwk_oct(loyalty_jwk_t *key, json_t *json);
static const char *loyalty_jwk_rsa(loyalty_jwk_t *key, json_t *json);
static const char *loyalty_jwk_ec(loyalty_jwk_t *key, json_t *json);
static const char *loyalty_jwk_okp(loyalty_jwk_t *key, json_t *json);
static long loyalty_jwk_bytes(json_t *json, const char *name,
    unsigned char *dst, size_t max);
static void loyalty_jwk_reverse(unsigned char *p, long n);
static void *loyalty_jwk_pkey(const char *type, OSSL_PARAM *params);
static const char *loyalty_jwk_secret(loyalty_jwk_t *key, const void *p,
    size_t n);
static void loyalty_jwk_free(loyalty_jwk_t *key);


unsigned
loyalty_jwk_alg(const char *name, size_t n)
{
    size_t  i;

    static const struct {
        const char  *name;
        unsigned     alg;
    } algs[] = {
        { "HS256", LOYALTY_JWK_HS256 },
        { "RS256", LOYALTY_JWK_RS256 },
        { "ES256", LOYALTY_JWK_ES256 },
        { "EdDSA", LOYALTY_JWK_EDDSA }
    };

    for (i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
        if (n == 5 && memcmp(algs[i].name, name, 5) == 0) {
            return algs[i].alg;
        }
    }

    return 0;
}


const char *
loyalty_jwks_json(loyalty_jwks_t *keys, const void *p, size_t n,
    unsigned algs, unsigned *line)
{
    size_t         i;
    json_t        *json, *list;
    const char    *error;
    json_error_t   at;

    keys->n = 0;
    keys->skipped = 0;
    *line = 0;

    json = json_loadb(p, n, JSON_REJECT_DUPLICATES, &at);

    if (json == NULL) {
        *line = at.line > 0 ? (unsigned) at.line : 0;
        return "it is not JSON, or has a member twice";
    }

    list = json_object_get(json, "keys");

    if (!json_is_array(list)) {
        json_decref(json);
        return "an object with an array \"keys\" is expected";
    }

    error = NULL;

    for (i = 0; i < json_array_size(list) && error == NULL; i++) {
        error = loyalty_jwk_json(keys, json_array_get(list, i), algs);
    }

    json_decref(json);

    if (error == NULL && keys->n == 0) {
        return "there is no key in it for the algorithms wanted: HS256, "
               "RS256, ES256 with P-256 and EdDSA with Ed25519 are known";
    }

    return error;
}


/* a key of another kind, or for something else, is not an error: sets hold
   keys for several purposes */

static const char *
loyalty_jwk_json(loyalty_jwks_t *keys, json_t *json, unsigned algs)
{
    unsigned        alg;
    const char     *error;
    loyalty_jwk_t  *key;

    if (!json_is_object(json)) {
        return "a key that is no object";
    }

    if (!json_is_string(json_object_get(json, "kty"))) {
        return "a key without \"kty\"";
    }

    alg = loyalty_jwk_kind(json);

    if ((alg & algs) == 0 || !loyalty_jwk_usable(json, alg)) {
        keys->skipped++;
        return NULL;
    }

    if (keys->n == LOYALTY_JWK_KEYS) {
        return "there are more than 16 keys";
    }

    key = &keys->keys[keys->n];
    memset(key, 0, sizeof(loyalty_jwk_t));
    key->alg = alg;

    error = loyalty_jwk_id(keys, json, key);

    if (error == NULL) {
        error = loyalty_jwk_parts(key, json);
    }

    if (error != NULL) {
        loyalty_jwk_free(key);
        return error;
    }

    keys->n++;

    return NULL;
}


static int
loyalty_jwk_usable(json_t *json, unsigned alg)
{
    size_t       i;
    json_t      *value;
    const char  *text;

    value = json_object_get(json, "alg");
    text = json_string_value(value);

    if (value != NULL
        && (text == NULL || loyalty_jwk_alg(text, strlen(text)) != alg))
    {
        return 0;
    }

    value = json_object_get(json, "use");
    text = json_string_value(value);

    if (value != NULL && (text == NULL || strcmp(text, "sig") != 0)) {
        return 0;
    }

    value = json_object_get(json, "key_ops");

    if (value == NULL) {
        return 1;
    }

    for (i = 0; i < json_array_size(value); i++) {
        text = json_string_value(json_array_get(value, i));

        if (text != NULL && strcmp(text, "verify") == 0) {
            return 1;
        }
    }

    return 0;
}


static const char *
loyalty_jwk_id(loyalty_jwks_t *keys, json_t *json, loyalty_jwk_t *key)
{
    size_t       n;
    json_t      *value;
    unsigned     i;

    value = json_object_get(json, "kid");

    if (value == NULL) {
        return NULL;
    }

    n = json_string_length(value);

    if (!json_is_string(value) || n == 0 || n > LOYALTY_JWK_ID) {
        return "a \"kid\" that is not a string of 1 to 128 bytes";
    }

    for (i = 0; i < keys->n; i++) {
        if (keys->keys[i].alg == key->alg && keys->keys[i].id_len == n
            && memcmp(keys->keys[i].id, json_string_value(value), n) == 0)
        {
            return "two keys for one algorithm have the same \"kid\"";
        }
    }

    key->id = malloc(n);
    if (key->id == NULL) {
        return "no memory";
    }

    memcpy(key->id, json_string_value(value), n);
    key->id_len = n;

    return NULL;
}


static unsigned
loyalty_jwk_kind(json_t *json)
{
    const char  *kty, *crv;

    kty = json_string_value(json_object_get(json, "kty"));
    crv = json_string_value(json_object_get(json, "crv"));

    if (strcmp(kty, "oct") == 0) {
        return LOYALTY_JWK_HS256;
    }

    if (strcmp(kty, "RSA") == 0) {
        return LOYALTY_JWK_RS256;
    }

    if (strcmp(kty, "EC") == 0 && crv != NULL && strcmp(crv, "P-256") == 0) {
        return LOYALTY_JWK_ES256;
    }

    if (strcmp(kty, "OKP") == 0 && crv != NULL && strcmp(crv, "Ed25519") == 0)
    {
        return LOYALTY_JWK_EDDSA;
    }

    return 0;
}


static const char *
loyalty_jwk_parts(loyalty_jwk_t *key, json_t *json)
{
    const char  *error;

    switch (key->alg) {

    case LOYALTY_JWK_HS256:
        return loyalty_jwk_oct(key, json);

    case LOYALTY_JWK_RS256:
        error = loyalty_jwk_rsa(key, json);
        break;

    case LOYALTY_JWK_ES256:
        error = loyalty_jwk_ec(key, json);
        break;

    default: /* LOYALTY_JWK_EDDSA */
        error = loyalty_jwk_okp(key, json);
    }

    /* what OpenSSL says beyond that is about bytes of the key */

    ERR_clear_error();

    return error;
}


static const char *
loyalty_jwk_oct(loyalty_jwk_t *key, json_t *json)
{
    long           n;
    const char    *error;
    unsigned char  k[LOYALTY_JWK_MAX];

    n = loyalty_jwk_bytes(json, "k", k, sizeof(k));

    if (n < 0) {
        error = "an \"oct\" key whose \"k\" is not base64url of at most 1024 "
                "bytes";
    } else {
        error = loyalty_jwk_secret(key, k, (size_t) n);
    }

    OPENSSL_cleanse(k, sizeof(k));

    return error;
}


static const char *
loyalty_jwk_rsa(loyalty_jwk_t *key, json_t *json)
{
    long           nn, ne;
    OSSL_PARAM     params[3];
    unsigned char  n[LOYALTY_JWK_MAX], e[LOYALTY_JWK_EXPONENT];

    nn = loyalty_jwk_bytes(json, "n", n, sizeof(n));
    ne = loyalty_jwk_bytes(json, "e", e, sizeof(e));

    if (nn <= 0 || ne <= 0 || n[0] == 0 || e[0] == 0) {
        return "an RSA key whose \"n\" or \"e\" is no number in base64url, "
               "or too large";
    }

    if ((n[nn - 1] & 1) == 0 || (e[ne - 1] & 1) == 0 || (ne == 1 && e[0] < 3))
    {
        return "an RSA key whose \"n\" or \"e\" is no such number";
    }

    /* numbers of a parameter have the machine's order */

    loyalty_jwk_reverse(n, nn);
    loyalty_jwk_reverse(e, ne);

    params[0] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, n, nn);
    params[1] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, e, ne);
    params[2] = OSSL_PARAM_construct_end();

    key->pkey = loyalty_jwk_pkey("RSA", params);

    if (key->pkey == NULL) {
        return "an RSA key that OpenSSL does not take";
    }

    if (EVP_PKEY_get_bits(key->pkey) < LOYALTY_JWK_RSA_LEAST) {
        return "an RSA key of less than 2048 bits";
    }

    return NULL;
}


static const char *
loyalty_jwk_ec(loyalty_jwk_t *key, json_t *json)
{
    OSSL_PARAM     params[3];
    unsigned char  point[1 + 2 * LOYALTY_JWK_CURVE];

    static char  group[] = "P-256";

    point[0] = 4;                          /* uncompressed */

    if (loyalty_jwk_bytes(json, "x", point + 1, LOYALTY_JWK_CURVE)
        != LOYALTY_JWK_CURVE
        || loyalty_jwk_bytes(json, "y", point + 1 + LOYALTY_JWK_CURVE,
                             LOYALTY_JWK_CURVE)
           != LOYALTY_JWK_CURVE)
    {
        return "a key of P-256 whose \"x\" or \"y\" is not 32 bytes in "
               "base64url";
    }

    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
                                                 group, 0);
    params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
                                                  point, sizeof(point));
    params[2] = OSSL_PARAM_construct_end();

    key->pkey = loyalty_jwk_pkey("EC", params);

    return key->pkey ? NULL : "a key of P-256 that is no point of it";
}


static const char *
loyalty_jwk_okp(loyalty_jwk_t *key, json_t *json)
{
    unsigned char  x[LOYALTY_JWK_CURVE];

    if (loyalty_jwk_bytes(json, "x", x, sizeof(x)) != sizeof(x)) {
        return "a key of Ed25519 whose \"x\" is not 32 bytes in base64url";
    }

    key->pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x,
                                            sizeof(x));

    return key->pkey ? loyalty_jwk_ed25519(key->pkey)
                     : "a key of Ed25519 that OpenSSL does not take";
}


/*
 * OpenSSL takes any 32 bytes.  With a point of a small order, all zeros is
 * one, signatures that nobody made are right: these are the y of such points,
 * without the bit that is the sign of x.  No y is above 2^255 - 20.
 */

const char *
loyalty_jwk_ed25519(void *pkey)
{
    size_t         i, n;
    unsigned char  y[LOYALTY_JWK_CURVE];

    static const unsigned char  small[][LOYALTY_JWK_CURVE] = {
        { 0 },
        { 1 },
        { 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0,
          0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
          0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39,
          0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 },
        { 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f,
          0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
          0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6,
          0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a }
    };

    n = sizeof(y);

    if (EVP_PKEY_get_raw_public_key(pkey, y, &n) != 1 || n != sizeof(y)) {
        return "a key of Ed25519 that OpenSSL does not take";
    }

    y[n - 1] &= 0x7f;

    for (i = 0; i < sizeof(small) / sizeof(small[0]); i++) {
        if (memcmp(y, small[i], n) == 0) {
            return "a key of Ed25519 with which anybody can sign";
        }
    }

    /* -1, which is small too, and what is no number of the field */

    for (i = 1; i < n - 1 && y[i] == 0xff; i++) {
        /* void */
    }

    if (i == n - 1 && y[i] == 0x7f && y[0] >= 0xec) {
        return "a key of Ed25519 with which anybody can sign";
    }

    return NULL;
}


/* the number of bytes of a member, at most max, or -1 */

static long
loyalty_jwk_bytes(json_t *json, const char *name, unsigned char *dst,
    size_t max)
{
    long           n;
    size_t         len;
    json_t        *value;
    unsigned char  buf[loyalty_base64url_size(LOYALTY_JWK_MAX * 4 / 3 + 4)];

    value = json_object_get(json, name);
    len = json_string_length(value);

    if (!json_is_string(value) || len > LOYALTY_JWK_MAX * 4 / 3 + 4) {
        return -1;
    }

    n = loyalty_base64url_decode(buf, json_string_value(value), len);

    if (n > (long) max) {
        n = -1;
    }

    if (n > 0) {
        memcpy(dst, buf, n);
    }

    OPENSSL_cleanse(buf, sizeof(buf));

    return n;
}


static void
loyalty_jwk_reverse(unsigned char *p, long n)
{
    long           i;
    unsigned char  c;
    const int      one = 1;

    if (*(const char *) &one == 0) {
        return;
    }

    for (i = 0; i < n / 2; i++) {
        c = p[i];
        p[i] = p[n - 1 - i];
        p[n - 1 - i] = c;
    }
}


static void *
loyalty_jwk_pkey(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY      *pkey;
    EVP_PKEY_CTX  *ctx;

    ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (ctx == NULL) {
        return NULL;
    }

    pkey = NULL;

    if (EVP_PKEY_fromdata_init(ctx) != 1
        || EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
    {
        pkey = NULL;
    }

    EVP_PKEY_CTX_free(ctx);

    return pkey;
}


const char *
loyalty_jwks_secret(loyalty_jwks_t *keys, const void *p, size_t n)
{
    const char  *error;

    keys->n = 0;
    keys->skipped = 0;
    memset(&keys->keys[0], 0, sizeof(loyalty_jwk_t));

    keys->keys[0].alg = LOYALTY_JWK_HS256;
    error = loyalty_jwk_secret(&keys->keys[0], p, n);

    if (error == NULL) {
        keys->n = 1;
    }

    return error;
}


static const char *
loyalty_jwk_secret(loyalty_jwk_t *key, const void *p, size_t n)
{
    if (n < LOYALTY_JWK_SECRET || n > LOYALTY_JWK_MAX) {
        return "a secret of 32 to 1024 bytes is expected";
    }

    key->secret = malloc(n);
    if (key->secret == NULL) {
        return "no memory";
    }

    memcpy(key->secret, p, n);
    key->secret_len = n;

    return NULL;
}


void
loyalty_jwks_free(loyalty_jwks_t *keys)
{
    while (keys->n) {
        loyalty_jwk_free(&keys->keys[--keys->n]);
    }
}


static void
loyalty_jwk_free(loyalty_jwk_t *key)
{
    EVP_PKEY_free(key->pkey);
    free(key->id);

    if (key->secret != NULL) {
        OPENSSL_cleanse(key->secret, key->secret_len);
        free(key->secret);
    }

    memset(key, 0, sizeof(loyalty_jwk_t));
}
