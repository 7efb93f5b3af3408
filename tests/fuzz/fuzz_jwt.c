/*
 * Tokens and keys.  The first byte says what the others are: a token as it
 * comes, whose signature is never right, or whose time is over; the header and
 * the claims of one that is signed well, for nobody or for somebody; a key
 * set; or PEM.  The keys are one of each kind, those of RFC 7515 and 8037.
 */

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "loyalty_base64.h"
#include "loyalty_jwt.h"


#define CHECK(x)  do { if (!(x)) { abort(); } } while (0)

#define NOW     1790000000
#define SECRET  "0123456789abcdef0123456789abcdef"
#define ISSUER  "login"
#define READER  "shop"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t encode(char *dst, const void *p, size_t n);
static void fuzz_token(const uint8_t *data, size_t size);
static void fuzz_signed(const uint8_t *data, size_t size, int named);
static void fuzz_named(json_t *claims);
static void fuzz_keys(const uint8_t *data, size_t size, int pem);
static loyalty_jwt_e verify(const char *token, size_t n, int64_t now, int named,
    json_t **claims);


static const char  key_set[] =
    "{\"keys\":["
    "{\"kty\":\"oct\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\"},"
    "{\"kty\":\"EC\",\"crv\":\"P-256\","
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"},"
    "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\""
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp"
    "-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOW"
    "vG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUs"
    "LA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9k"
    "G4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2"
    "PAcDTW9gb54h4FRWyuXpoQ"
    "\"}]}";


static size_t
encode(char *dst, const void *p, size_t n)
{
    size_t          i, len;
    char            buf[12000];
    unsigned char   back[12000];

    len = (size_t) EVP_EncodeBlock((unsigned char *) buf, p, (int) n);

    while (len && buf[len - 1] == '=') {
        len--;
    }

    for (i = 0; i < len; i++) {
        dst[i] = (buf[i] == '+') ? '-' : (buf[i] == '/') ? '_' : buf[i];
    }

    CHECK(loyalty_base64url_decode(back, dst, len) == (long) n);
    CHECK(memcmp(back, p, n) == 0);

    return len;
}


static loyalty_jwt_e
verify(const char *token, size_t n, int64_t now, int named, json_t **claims)
{
    unsigned              line;
    loyalty_jwt_e         status;
    loyalty_jwt_rules_t   rules;

    static loyalty_jwks_t  keys;

    memset(&rules, 0, sizeof(rules));
    rules.leeway = 10;

    if (named) {
        rules.issuer = ISSUER;
        rules.issuer_len = sizeof(ISSUER) - 1;
        rules.audience = READER;
        rules.audience_len = sizeof(READER) - 1;
    }

    if (keys.n == 0) {
        CHECK(loyalty_jwks_json(&keys, key_set, sizeof(key_set) - 1,
                                LOYALTY_JWK_ANY, &line)
              == NULL);
        CHECK(keys.n == 4);
    }

    status = loyalty_jwt_verify(&keys, &rules, token, n, now, claims);

    CHECK(status < LOYALTY_JWT_STATUSES);
    CHECK((status == LOYALTY_JWT_OK) == (*claims != NULL));
    CHECK(loyalty_jwt_word(status) != NULL);

    return status;
}


static void
fuzz_token(const uint8_t *data, size_t size)
{
    json_t  *claims;

    CHECK(verify((const char *) data, size, NOW, 0, &claims)
          != LOYALTY_JWT_OK);
}


/* header, a line feed, claims */

static void
fuzz_signed(const uint8_t *data, size_t size, int named)
{
    char            token[24000];
    size_t          n;
    json_t         *claims, *exp;
    const uint8_t  *end;
    unsigned char   mac[32];

    end = memchr(data, '\n', size);

    if (end == NULL || size > 8000) {
        return;
    }

    n = encode(token, data, end - data);
    token[n++] = '.';
    n += encode(token + n, end + 1, data + size - end - 1);
    HMAC(EVP_sha256(), SECRET, 32, (unsigned char *) token, n, mac, NULL);
    token[n++] = '.';
    n += encode(token + n, mac, 32);

    if (verify(token, n, NOW, named, &claims) != LOYALTY_JWT_OK) {
        return;
    }

    CHECK(n <= LOYALTY_JWT_MAX);

    exp = json_object_get(claims, "exp");
    CHECK(json_number_value(exp) > NOW - 10);
    CHECK((json_object_get(claims, "aud") != NULL) == named);

    if (named) {
        fuzz_named(claims);
    }

    loyalty_jwt_claim(claims, "sub", 3);
    json_decref(claims);

    CHECK(verify(token, n, INT64_C(9007199254741002), named, &claims)
          == LOYALTY_JWT_EXPIRED);
}


static void
fuzz_named(json_t *claims)
{
    int      found;
    size_t   i;
    json_t  *aud;

    CHECK(strcmp(json_string_value(json_object_get(claims, "iss")), ISSUER)
          == 0);

    aud = json_object_get(claims, "aud");
    found = json_is_string(aud) && strcmp(json_string_value(aud), READER) == 0;

    for (i = 0; i < json_array_size(aud); i++) {
        found |= json_is_string(json_array_get(aud, i))
                 && strcmp(json_string_value(json_array_get(aud, i)), READER)
                    == 0;
    }

    CHECK(found);
}


static void
fuzz_keys(const uint8_t *data, size_t size, int pem)
{
    unsigned         line;
    const char      *error;
    loyalty_jwks_t   keys;

    error = pem ? loyalty_jwks_pem(&keys, data, size, LOYALTY_JWK_ANY, &line)
                : loyalty_jwks_json(&keys, data, size, LOYALTY_JWK_ANY,
                                    &line);

    CHECK(keys.n <= LOYALTY_JWK_KEYS);
    CHECK(error != NULL || keys.n > 0);

    loyalty_jwks_free(&keys);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }

    switch (data[0]) {

    case 't':
        fuzz_token(data + 1, size - 1);
        break;

    case 's':
        fuzz_signed(data + 1, size - 1, 0);
        break;

    case 'a':
        fuzz_signed(data + 1, size - 1, 1);
        break;

    case 'k':
        fuzz_keys(data + 1, size - 1, 0);
        break;

    case 'p':
        fuzz_keys(data + 1, size - 1, 1);
        break;

    default:
        break;
    }

    return 0;
}
