/*
 * Verifying a token.  The two libraries at hand were not strict enough:
 * libjwt of Debian 12 knows no EdDSA and no key sets, and librhonabwy takes
 * critical headers that it does not know and members that come twice.  So
 * the form is checked here, JSON is jansson's and the signature OpenSSL's.
 */

#include "loyalty_jwt.h"

#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "loyalty_base64.h"


#define LOYALTY_JWT_HALF    32             /* of an ES256 signature */
#define LOYALTY_JWT_ECDSA   80             /* the same in DER, at most */
#define LOYALTY_JWT_SECOND  9007199254740991LL


typedef struct {
    const unsigned char  *p;
    size_t                n;
} loyalty_jwt_part_t;


/* header, claims, signature, and what is signed */

typedef struct {
    loyalty_jwt_part_t    parts[3];
    loyalty_jwt_part_t    text;
} loyalty_jwt_token_t;


static loyalty_jwt_e loyalty_jwt_split(loyalty_jwt_token_t *token,
    const unsigned char *p, size_t n);
static loyalty_jwt_e loyalty_jwt_object(const loyalty_jwt_part_t *part,
    json_t **json);
static loyalty_jwt_e loyalty_jwt_signed(const loyalty_jwks_t *keys,
    const loyalty_jwt_token_t *token, json_t *header);
static int loyalty_jwt_key_fits(const loyalty_jwk_t *key, unsigned alg,
    json_t *id);
static int loyalty_jwt_matches(const loyalty_jwk_t *key,
    const loyalty_jwt_part_t *text, const unsigned char *sig, size_t n);
static int loyalty_jwt_hmac(const loyalty_jwk_t *key,
    const loyalty_jwt_part_t *text, const unsigned char *sig, size_t n);
static int loyalty_jwt_public(const loyalty_jwk_t *key,
    const loyalty_jwt_part_t *text, const unsigned char *sig, size_t n);
static int loyalty_jwt_der(unsigned char *dst, const unsigned char *sig,
    size_t n);
static loyalty_jwt_e loyalty_jwt_allowed(const loyalty_jwt_rules_t *rules,
    json_t *claims, int64_t now);
static int loyalty_jwt_time(json_t *claims, const char *name, int64_t *t);
static int loyalty_jwt_is(json_t *value, const char *text, size_t n);
static loyalty_jwt_e loyalty_jwt_audience(const loyalty_jwt_rules_t *rules,
    json_t *claims);
static int loyalty_jwt_same(const char *claim, const char *name, size_t n);


loyalty_jwt_e
loyalty_jwt_verify(const loyalty_jwks_t *keys,
    const loyalty_jwt_rules_t *rules, const void *p, size_t n, int64_t now,
    json_t **claims)
{
    json_t               *json;
    loyalty_jwt_e         status;
    loyalty_jwt_token_t   token;

    *claims = NULL;

    status = loyalty_jwt_split(&token, p, n);
    if (status != LOYALTY_JWT_OK) {
        return status;
    }

    status = loyalty_jwt_object(&token.parts[0], &json);
    if (status != LOYALTY_JWT_OK) {
        return status;
    }

    status = loyalty_jwt_signed(keys, &token, json);

    json_decref(json);

    if (status != LOYALTY_JWT_OK) {
        return status;
    }

    status = loyalty_jwt_object(&token.parts[1], &json);
    if (status != LOYALTY_JWT_OK) {
        return status;
    }

    status = loyalty_jwt_allowed(rules, json, now);

    if (status != LOYALTY_JWT_OK) {
        json_decref(json);
        return status;
    }

    *claims = json;

    return LOYALTY_JWT_OK;
}


static loyalty_jwt_e
loyalty_jwt_split(loyalty_jwt_token_t *token, const unsigned char *p,
    size_t n)
{
    int                   i;
    const unsigned char  *start, *last;

    if (n > LOYALTY_JWT_MAX) {
        return LOYALTY_JWT_TOO_LARGE;
    }

    token->text.p = p;
    last = p + n;

    for (i = 0; i < 3; i++) {

        for (start = p; p < last && *p != '.'; p++) {
            /* void */
        }

        token->parts[i].p = start;
        token->parts[i].n = p - start;

        if (i < 2) {
            if (p == last) {
                return LOYALTY_JWT_MALFORMED;
            }

            token->text.n = p - token->text.p;
            p++;
        }
    }

    /* five parts are an encrypted token */

    return (p == last) ? LOYALTY_JWT_OK : LOYALTY_JWT_MALFORMED;
}


static loyalty_jwt_e
loyalty_jwt_object(const loyalty_jwt_part_t *part, json_t **json)
{
    long           n;
    json_error_t   error;
    unsigned char  buf[loyalty_base64url_size(LOYALTY_JWT_MAX)];

    n = loyalty_base64url_decode(buf, part->p, part->n);

    if (n < 0) {
        return LOYALTY_JWT_MALFORMED;
    }

    *json = json_loadb((char *) buf, (size_t) n, JSON_REJECT_DUPLICATES,
                       &error);

    if (*json == NULL) {
        return LOYALTY_JWT_MALFORMED;
    }

    if (!json_is_object(*json)) {
        json_decref(*json);
        return LOYALTY_JWT_MALFORMED;
    }

    return LOYALTY_JWT_OK;
}


static loyalty_jwt_e
loyalty_jwt_signed(const loyalty_jwks_t *keys,
    const loyalty_jwt_token_t *token, json_t *header)
{
    long           n;
    json_t        *alg, *id;
    unsigned       i, bit, tried;
    unsigned char  sig[loyalty_base64url_size(LOYALTY_JWT_MAX)];

    alg = json_object_get(header, "alg");
    id = json_object_get(header, "kid");

    if (!json_is_string(alg) || (id != NULL && !json_is_string(id))) {
        return LOYALTY_JWT_MALFORMED;
    }

    bit = loyalty_jwk_alg(json_string_value(alg), json_string_length(alg));

    if (bit == 0) {
        return LOYALTY_JWT_ALGORITHM;
    }

    /* no extension is known, whatever it is called */

    if (json_object_get(header, "crit") != NULL) {
        return LOYALTY_JWT_CRITICAL;
    }

    n = loyalty_base64url_decode(sig, token->parts[2].p, token->parts[2].n);

    if (n < 0) {
        return LOYALTY_JWT_MALFORMED;
    }

    tried = 0;

    for (i = 0; i < keys->n; i++) {

        if (!loyalty_jwt_key_fits(&keys->keys[i], bit, id)) {
            continue;
        }

        tried = 1;

        if (loyalty_jwt_matches(&keys->keys[i], &token->text, sig,
                                (size_t) n))
        {
            return LOYALTY_JWT_OK;
        }
    }

    return tried ? LOYALTY_JWT_SIGNATURE : LOYALTY_JWT_KEY;
}


/* a key without a name is tried for every token of its kind */

static int
loyalty_jwt_key_fits(const loyalty_jwk_t *key, unsigned alg, json_t *id)
{
    if (key->alg != alg) {
        return 0;
    }

    return id == NULL || key->id == NULL
           || loyalty_jwt_is(id, key->id, key->id_len);
}


static int
loyalty_jwt_matches(const loyalty_jwk_t *key, const loyalty_jwt_part_t *text,
    const unsigned char *sig, size_t n)
{
    int            len, ok;
    unsigned char  der[LOYALTY_JWT_ECDSA];

    if (key->alg == LOYALTY_JWK_HS256) {
        return loyalty_jwt_hmac(key, text, sig, n);
    }

    if (key->alg == LOYALTY_JWK_ES256) {

        len = loyalty_jwt_der(der, sig, n);
        if (len < 0) {
            return 0;
        }

        sig = der;
        n = (size_t) len;
    }

    ok = loyalty_jwt_public(key, text, sig, n);

    /* or the next one to look, nginx, would take them for its own */

    ERR_clear_error();

    return ok;
}


static int
loyalty_jwt_hmac(const loyalty_jwk_t *key, const loyalty_jwt_part_t *text,
    const unsigned char *sig, size_t n)
{
    int            ok;
    unsigned       len;
    unsigned char  mac[EVP_MAX_MD_SIZE];

    if (HMAC(EVP_sha256(), key->secret, (int) key->secret_len, text->p,
             text->n, mac, &len)
        == NULL)
    {
        return 0;
    }

    ok = (n == len && CRYPTO_memcmp(mac, sig, n) == 0);

    OPENSSL_cleanse(mac, sizeof(mac));

    return ok;
}


static int
loyalty_jwt_public(const loyalty_jwk_t *key, const loyalty_jwt_part_t *text,
    const unsigned char *sig, size_t n)
{
    int            ok;
    EVP_MD_CTX    *ctx;
    const EVP_MD  *md;

    ctx = EVP_MD_CTX_new();
    if (ctx == NULL) {
        return 0;
    }

    md = (key->alg == LOYALTY_JWK_EDDSA) ? NULL : EVP_sha256();

    ok = EVP_DigestVerifyInit(ctx, NULL, md, NULL, key->pkey) == 1
         && EVP_DigestVerify(ctx, sig, n, text->p, text->n) == 1;

    EVP_MD_CTX_free(ctx);

    return ok;
}


/* R and S of 32 bytes each as OpenSSL takes them; the length, or -1 */

static int
loyalty_jwt_der(unsigned char *dst, const unsigned char *sig, size_t n)
{
    int         len;
    BIGNUM     *r, *s;
    ECDSA_SIG  *ecdsa;

    if (n != 2 * LOYALTY_JWT_HALF) {
        return -1;
    }

    len = -1;
    ecdsa = ECDSA_SIG_new();
    r = BN_bin2bn(sig, LOYALTY_JWT_HALF, NULL);
    s = BN_bin2bn(sig + LOYALTY_JWT_HALF, LOYALTY_JWT_HALF, NULL);

    if (ecdsa != NULL && r != NULL && s != NULL
        && ECDSA_SIG_set0(ecdsa, r, s) == 1)
    {
        /* they are its own now */

        r = NULL;
        s = NULL;

        if (i2d_ECDSA_SIG(ecdsa, NULL) <= LOYALTY_JWT_ECDSA) {
            len = i2d_ECDSA_SIG(ecdsa, &dst);
        }
    }

    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(ecdsa);

    return len > 0 ? len : -1;
}


static loyalty_jwt_e
loyalty_jwt_allowed(const loyalty_jwt_rules_t *rules, json_t *claims,
    int64_t now)
{
    int64_t  t;

    if (loyalty_jwt_time(claims, "exp", &t) != 0) {
        return LOYALTY_JWT_MALFORMED;
    }

    if (t < 0 || now - rules->leeway >= t) {
        return LOYALTY_JWT_EXPIRED;
    }

    if (loyalty_jwt_time(claims, "nbf", &t) != 0) {
        return LOYALTY_JWT_MALFORMED;
    }

    if (t > now + rules->leeway) {
        return LOYALTY_JWT_EARLY;
    }

    if (rules->issuer_len
        && !loyalty_jwt_is(json_object_get(claims, "iss"), rules->issuer,
                           rules->issuer_len))
    {
        return LOYALTY_JWT_ISSUER;
    }

    return loyalty_jwt_audience(rules, claims);
}


/* seconds since 1970, -1: the claim is not there */

static int
loyalty_jwt_time(json_t *claims, const char *name, int64_t *t)
{
    double   real;
    json_t  *value;

    *t = -1;
    value = json_object_get(claims, name);

    if (value == NULL) {
        return 0;
    }

    if (!json_is_number(value)) {
        return -1;
    }

    real = json_number_value(value);

    if (!(real >= 0 && real <= LOYALTY_JWT_SECOND)) {
        return -1;
    }

    *t = (int64_t) real;

    /* a token that is good from within a second is not good before it */

    if (name[0] == 'n' && (double) *t < real) {
        (*t)++;
    }

    return 0;
}


static int
loyalty_jwt_is(json_t *value, const char *text, size_t n)
{
    return json_is_string(value) && json_string_length(value) == n
           && memcmp(json_string_value(value), text, n) == 0;
}


static loyalty_jwt_e
loyalty_jwt_audience(const loyalty_jwt_rules_t *rules, json_t *claims)
{
    size_t   i;
    json_t  *value;

    value = json_object_get(claims, "aud");

    if (rules->audience_len == 0) {
        return value == NULL ? LOYALTY_JWT_OK : LOYALTY_JWT_AUDIENCE;
    }

    if (loyalty_jwt_is(value, rules->audience, rules->audience_len)) {
        return LOYALTY_JWT_OK;
    }

    for (i = 0; i < json_array_size(value); i++) {
        if (loyalty_jwt_is(json_array_get(value, i), rules->audience,
                           rules->audience_len))
        {
            return LOYALTY_JWT_OK;
        }
    }

    return LOYALTY_JWT_AUDIENCE;
}


const char *
loyalty_jwt_word(loyalty_jwt_e status)
{
    static const char *words[] = {
        "ok", "malformed", "too_large", "algorithm", "critical", "no_key",
        "bad_signature", "expired", "not_yet_valid", "issuer", "audience"
    };

    return words[status];
}


json_t *
loyalty_jwt_claim(json_t *claims, const char *name, size_t n)
{
    json_t      *value, *found;
    const char  *key;

    found = NULL;

    json_object_foreach(claims, key, value) {

        if (strlen(key) == n && memcmp(key, name, n) == 0) {
            return value;
        }
    }

    json_object_foreach(claims, key, value) {

        if (loyalty_jwt_same(key, name, n)) {

            if (found != NULL) {
                return NULL;
            }

            found = value;
        }
    }

    return found;
}


static int
loyalty_jwt_same(const char *claim, const char *name, size_t n)
{
    size_t  i;
    char    c;

    for (i = 0; i < n; i++) {

        c = claim[i];

        if (c >= 'A' && c <= 'Z') {
            c |= 0x20;

        } else if (c != '\0' && !(c >= 'a' && c <= 'z')
                   && !(c >= '0' && c <= '9'))
        {
            c = '_';
        }

        if (c != name[i]) {
            return 0;
        }
    }

    return claim[n] == '\0';
}
