/*
 * Tokens: those that are good, by four algorithms, and everything that makes
 * one bad.  The keys are made here; where the RFCs' own examples lie beside
 * the project, they are tried as well.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loyalty_base64.h"
#include "loyalty_jwt.h"


#define NOW      1790000000
#define SECRET   "0123456789abcdef0123456789abcdef"
#define VECTORS  "../shared/data/vectors/jws_rfc.json"

#define GOOD  "{\"sub\":\"ada\",\"exp\":1790000100}"


typedef struct {
    EVP_PKEY        *rsa;
    EVP_PKEY        *ec;
    EVP_PKEY        *ed;
    loyalty_jwks_t   keys;             /* all of them, and SECRET */
} fixture_t;


static size_t encode(char *dst, const void *p, size_t n);
static size_t member(char *dst, EVP_PKEY *pkey, const char *param);
static char *public_pem(EVP_PKEY *pkey);
static size_t sign(EVP_PKEY *pkey, const char *text, unsigned char *sig);
static char *token_of(EVP_PKEY *pkey, const char *header, const char *claims);
static loyalty_jwt_e verify(const loyalty_jwks_t *keys, const char *token);
static loyalty_jwt_e verify_as(const loyalty_jwks_t *keys, const char *token,
    const loyalty_jwt_rules_t *rules, int64_t now);
static loyalty_jwt_e claims(fixture_t *f, const char *text,
    const loyalty_jwt_rules_t *rules);
static const char *jwks(const char *text, unsigned algs, unsigned *line);


static size_t
encode(char *dst, const void *p, size_t n)
{
    size_t  len;
    char   *s;

    len = (size_t) EVP_EncodeBlock((unsigned char *) dst, p, (int) n);

    for (s = dst; *s; s++) {
        *s = (*s == '+') ? '-' : (*s == '/') ? '_' : *s;
    }

    while (len && dst[len - 1] == '=') {
        dst[--len] = '\0';
    }

    return len;
}


static size_t
member(char *dst, EVP_PKEY *pkey, const char *param)
{
    BIGNUM         *bn;
    unsigned char   buf[512];
    size_t          n;

    bn = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(pkey, param, &bn), 1);
    n = (size_t) BN_num_bytes(bn);

    if (n < 32 && EVP_PKEY_get_base_id(pkey) == EVP_PKEY_EC) {
        n = 32;
    }

    assert_true(n <= sizeof(buf));
    assert_int_equal(BN_bn2binpad(bn, buf, (int) n), n);
    BN_free(bn);

    return encode(dst, buf, n);
}


static char *
public_pem(EVP_PKEY *pkey)
{
    BIO   *bio;
    char  *p, *text;
    long   n;

    bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PUBKEY(bio, pkey), 1);
    n = BIO_get_mem_data(bio, &p);
    text = malloc(n + 1);
    assert_non_null(text);
    memcpy(text, p, n);
    text[n] = '\0';
    BIO_free(bio);

    return text;
}


/* as JWS wants it: 64 bytes for ES256 */

static size_t
sign(EVP_PKEY *pkey, const char *text, unsigned char *sig)
{
    size_t                n;
    const BIGNUM         *r, *s;
    ECDSA_SIG            *ecdsa;
    EVP_MD_CTX           *ctx;
    const unsigned char  *p;

    if (pkey == NULL) {
        HMAC(EVP_sha256(), SECRET, 32, (const unsigned char *) text,
             strlen(text), sig, NULL);
        return 32;
    }

    n = 512;
    ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, NULL,
        EVP_PKEY_get_base_id(pkey) == EVP_PKEY_ED25519 ? NULL : EVP_sha256(),
        NULL, pkey), 1);
    assert_int_equal(EVP_DigestSign(ctx, sig, &n,
                                    (const unsigned char *) text,
                                    strlen(text)), 1);
    EVP_MD_CTX_free(ctx);

    if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_EC) {
        return n;
    }

    p = sig;
    ecdsa = d2i_ECDSA_SIG(NULL, &p, (long) n);
    assert_non_null(ecdsa);
    ECDSA_SIG_get0(ecdsa, &r, &s);
    BN_bn2binpad(r, sig, 32);
    BN_bn2binpad(s, sig + 32, 32);
    ECDSA_SIG_free(ecdsa);

    return 64;
}


/* pkey NULL: by SECRET */

static char *
token_of(EVP_PKEY *pkey, const char *header, const char *text)
{
    char           *token;
    size_t          n;
    unsigned char   sig[512];

    token = malloc(2 * (strlen(header) + strlen(text)) + 1024);
    assert_non_null(token);

    n = encode(token, header, strlen(header));
    token[n++] = '.';
    n += encode(token + n, text, strlen(text));
    token[n] = '\0';

    encode(token + n + 1, sig, sign(pkey, token, sig));
    token[n] = '.';

    return token;
}


static loyalty_jwt_e
verify_as(const loyalty_jwks_t *keys, const char *token,
    const loyalty_jwt_rules_t *rules, int64_t now)
{
    char           *copy;
    json_t         *json;
    size_t          n;
    loyalty_jwt_e   status;

    n = strlen(token);
    copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, token, n);

    status = loyalty_jwt_verify(keys, rules, copy, n, now, &json);

    assert_int_equal(json != NULL, status == LOYALTY_JWT_OK);
    json_decref(json);
    free(copy);

    return status;
}


static loyalty_jwt_e
verify(const loyalty_jwks_t *keys, const char *token)
{
    loyalty_jwt_rules_t  rules;

    memset(&rules, 0, sizeof(rules));

    return verify_as(keys, token, &rules, NOW);
}


static int
setup(void **state)
{
    char       *p, n[700], e[16], x[64], y[64], ed[64], text[4096];
    size_t      len;
    unsigned    line;
    fixture_t  *f;
    unsigned char  raw[32];

    f = calloc(1, sizeof(fixture_t));
    assert_non_null(f);

    f->rsa = EVP_RSA_gen(2048);
    f->ec = EVP_EC_gen("P-256");
    f->ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    assert_true(f->rsa && f->ec && f->ed);

    member(n, f->rsa, OSSL_PKEY_PARAM_RSA_N);
    member(e, f->rsa, OSSL_PKEY_PARAM_RSA_E);
    member(x, f->ec, OSSL_PKEY_PARAM_EC_PUB_X);
    member(y, f->ec, OSSL_PKEY_PARAM_EC_PUB_Y);
    len = sizeof(raw);
    assert_int_equal(EVP_PKEY_get_raw_public_key(f->ed, raw, &len), 1);
    encode(ed, raw, len);

    p = text;
    p += sprintf(p, "{\"keys\":["
        "{\"kty\":\"RSA\",\"kid\":\"r\",\"alg\":\"RS256\",\"use\":\"sig\","
        "\"n\":\"%s\",\"e\":\"%s\"},"
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"e\","
        "\"key_ops\":[\"verify\"],\"x\":\"%s\",\"y\":\"%s\"},"
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"o\",\"x\":\"%s\"},",
        n, e, x, y, ed);
    encode(n, SECRET, 32);
    p += sprintf(p, "{\"kty\":\"oct\",\"kid\":\"h\",\"k\":\"%s\"},"
        "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"\"},"
        "{\"kty\":\"oct\",\"use\":\"enc\",\"k\":\"\"},"
        "{\"kty\":\"new\"}]}", n);

    assert_null(loyalty_jwks_json(&f->keys, text, strlen(text),
                                  LOYALTY_JWK_ANY, &line));
    assert_int_equal(f->keys.n, 4);
    assert_int_equal(f->keys.skipped, 3);

    *state = f;

    return 0;
}


static int
teardown(void **state)
{
    fixture_t *f = *state;

    loyalty_jwks_free(&f->keys);
    EVP_PKEY_free(f->rsa);
    EVP_PKEY_free(f->ec);
    EVP_PKEY_free(f->ed);
    free(f);

    return 0;
}


/* by each algorithm, with each other's header, and with one bit changed */

static void
test_algorithms(void **state)
{
    fixture_t *f = *state;

    int    i, k;
    char  *token, *p, header[64], c;

    EVP_PKEY    *pkeys[] = { NULL, f->rsa, f->ec, f->ed };
    const char  *algs[] = { "HS256", "RS256", "ES256", "EdDSA" };
    const char  *ids[] = { "h", "r", "e", "o" };

    for (i = 0; i < 4; i++) {
        for (k = 0; k < 4; k++) {
            sprintf(header, "{\"alg\":\"%s\"}", algs[k]);
            token = token_of(pkeys[i], header, GOOD);
            assert_int_equal(verify(&f->keys, token),
                             i == k ? LOYALTY_JWT_OK : LOYALTY_JWT_SIGNATURE);
            free(token);

            sprintf(header, "{\"alg\":\"%s\",\"kid\":\"%s\"}", algs[i],
                    ids[k]);
            token = token_of(pkeys[i], header, GOOD);
            assert_int_equal(verify(&f->keys, token),
                             i == k ? LOYALTY_JWT_OK : LOYALTY_JWT_KEY);
            free(token);
        }

        sprintf(header, "{\"alg\":\"%s\"}", algs[i]);
        token = token_of(pkeys[i], header, GOOD);

        for (p = token; *p; p++) {
            c = *p;
            *p = (c == 'A') ? 'B' : 'A';
            assert_int_not_equal(verify(&f->keys, token), LOYALTY_JWT_OK);
            *p = c;
        }

        /* cut anywhere */

        while (p > token) {
            *--p = '\0';
            assert_int_not_equal(verify(&f->keys, token), LOYALTY_JWT_OK);
        }

        free(token);
    }
}


/* a public key as the secret of HS256, in every form an attacker has it */

static void
test_confusion(void **state)
{
    fixture_t *f = *state;

    char            *pem, *token, text[1024];
    size_t           n;
    unsigned         line;
    loyalty_jwks_t   keys;
    unsigned char    mac[32];

    pem = public_pem(f->rsa);
    assert_null(loyalty_jwks_pem(&keys, pem, strlen(pem), LOYALTY_JWK_ANY,
                                 &line));
    assert_int_equal(keys.n, 1);

    n = encode(text, "{\"alg\":\"HS256\"}", 15);
    text[n++] = '.';
    n += encode(text + n, GOOD, strlen(GOOD));

    HMAC(EVP_sha256(), pem, (int) strlen(pem), (unsigned char *) text, n, mac,
         NULL);
    text[n++] = '.';
    encode(text + n, mac, 32);

    assert_int_equal(verify(&keys, text), LOYALTY_JWT_KEY);
    assert_int_equal(verify(&f->keys, text), LOYALTY_JWT_SIGNATURE);

    token = token_of(f->rsa, "{\"alg\":\"RS256\"}", GOOD);
    assert_int_equal(verify(&keys, token), LOYALTY_JWT_OK);
    free(token);

    loyalty_jwks_free(&keys);
    free(pem);
}


static void
test_header(void **state)
{
    fixture_t *f = *state;

    char     *token;
    size_t    i;

    static const struct {
        const char     *header;
        loyalty_jwt_e   status;
    } headers[] = {
        { "{\"typ\":\"JWT\",\"alg\":\"HS256\",\"x\":{}}", LOYALTY_JWT_OK },
        { "{\"alg\":\"none\"}", LOYALTY_JWT_ALGORITHM },
        { "{\"alg\":\"None\"}", LOYALTY_JWT_ALGORITHM },
        { "{\"alg\":\"hs256\"}", LOYALTY_JWT_ALGORITHM },
        { "{\"alg\":\"HS384\"}", LOYALTY_JWT_ALGORITHM },
        { "{\"alg\":\"\"}", LOYALTY_JWT_ALGORITHM },
        { "{\"alg\":null}", LOYALTY_JWT_MALFORMED },
        { "{\"alg\":[\"HS256\"]}", LOYALTY_JWT_MALFORMED },
        { "{}", LOYALTY_JWT_MALFORMED },
        { "[]", LOYALTY_JWT_MALFORMED },
        { "\"HS256\"", LOYALTY_JWT_MALFORMED },
        { "", LOYALTY_JWT_MALFORMED },
        { "{\"alg\":\"HS256\"", LOYALTY_JWT_MALFORMED },
        { "{\"alg\":\"HS256\"}x", LOYALTY_JWT_MALFORMED },
        { "{\"alg\":\"none\",\"alg\":\"HS256\"}", LOYALTY_JWT_MALFORMED },
        { "{\"alg\":\"HS256\",\"alg\":\"HS256\"}", LOYALTY_JWT_MALFORMED },
        { "{\"alg\":\"HS256\",\"kid\":\"h\"}", LOYALTY_JWT_OK },
        { "{\"alg\":\"HS256\",\"kid\":\"H\"}", LOYALTY_JWT_KEY },
        { "{\"alg\":\"HS256\",\"kid\":\"r\"}", LOYALTY_JWT_KEY },
        { "{\"alg\":\"HS256\",\"kid\":\"\"}", LOYALTY_JWT_KEY },
        { "{\"alg\":\"HS256\",\"kid\":1}", LOYALTY_JWT_MALFORMED },
        { "{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}",
          LOYALTY_JWT_CRITICAL },
        { "{\"alg\":\"HS256\",\"crit\":[]}", LOYALTY_JWT_CRITICAL },
        { "{\"alg\":\"HS256\",\"crit\":null}", LOYALTY_JWT_CRITICAL },
        { "{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}",
          LOYALTY_JWT_CRITICAL }
    };

    for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        token = token_of(NULL, headers[i].header, GOOD);

        if (verify(&f->keys, token) != headers[i].status) {
            fail_msg("%s: %s", headers[i].header,
                     loyalty_jwt_word(verify(&f->keys, token)));
        }

        free(token);
    }
}


static void
test_form(void **state)
{
    fixture_t *f = *state;

    char    *token, *more, *sig, last;
    size_t   n, pad;

    token = token_of(NULL, "{\"alg\":\"HS256\"}", GOOD);
    assert_int_equal(verify(&f->keys, token), LOYALTY_JWT_OK);

    n = strlen(token);
    sig = strrchr(token, '.');
    more = malloc(LOYALTY_JWT_MAX + 4);
    assert_non_null(more);

    /* without a signature, and with parts too many */

    sprintf(more, "%.*s.", (int) (sig - token), token);
    assert_int_equal(verify(&f->keys, more), LOYALTY_JWT_SIGNATURE);
    sprintf(more, "%s.", token);
    assert_int_equal(verify(&f->keys, more), LOYALTY_JWT_MALFORMED);
    sprintf(more, "%s.a.b", token);
    assert_int_equal(verify(&f->keys, more), LOYALTY_JWT_MALFORMED);
    sprintf(more, "%s=", token);
    assert_int_equal(verify(&f->keys, more), LOYALTY_JWT_MALFORMED);
    sprintf(more, " %s", token);
    assert_int_equal(verify(&f->keys, more), LOYALTY_JWT_MALFORMED);
    sprintf(more, "%s ", token);
    assert_int_equal(verify(&f->keys, more), LOYALTY_JWT_MALFORMED);
    assert_int_equal(verify(&f->keys, ""), LOYALTY_JWT_MALFORMED);
    assert_int_equal(verify(&f->keys, ".."), LOYALTY_JWT_MALFORMED);

    /* the last of 43 characters holds 4 bits: the others are 0 */

    strcpy(more, token);
    last = more[n - 1];

    for (pad = 1; pad < 4; pad++) {
        more[n - 1] = last + (char) pad;
        assert_int_equal(verify(&f->keys, more), LOYALTY_JWT_MALFORMED);
    }

    /* the alphabet of plain base64 */

    strcpy(more, token);
    more[n - 2] = '+';
    assert_int_equal(verify(&f->keys, more), LOYALTY_JWT_MALFORMED);

    memset(more, 'A', LOYALTY_JWT_MAX + 1);
    more[LOYALTY_JWT_MAX + 1] = '\0';
    assert_int_equal(verify(&f->keys, more), LOYALTY_JWT_TOO_LARGE);
    more[LOYALTY_JWT_MAX] = '\0';
    assert_int_equal(verify(&f->keys, more), LOYALTY_JWT_MALFORMED);

    free(more);
    free(token);
}


static loyalty_jwt_e
claims(fixture_t *f, const char *text, const loyalty_jwt_rules_t *rules)
{
    char           *token;
    loyalty_jwt_e   status;

    token = token_of(NULL, "{\"alg\":\"HS256\"}", text);
    status = verify_as(&f->keys, token, rules, NOW);
    free(token);

    return status;
}


static void
test_claims(void **state)
{
    fixture_t *f = *state;

    size_t                i;
    loyalty_jwt_rules_t   rules, wanted;

    static const struct {
        const char     *text;
        loyalty_jwt_e   plain;         /* without rules */
        loyalty_jwt_e   wanted;        /* with iss, aud and 10 s */
    } tests[] = {
        { "{\"exp\":1790000001,\"iss\":\"i\",\"aud\":\"a\"}",
          LOYALTY_JWT_AUDIENCE, LOYALTY_JWT_OK },
        { "{\"exp\":1790000001,\"iss\":\"i\",\"aud\":[\"b\",\"a\"]}",
          LOYALTY_JWT_AUDIENCE, LOYALTY_JWT_OK },
        { "{\"exp\":1790000001}", LOYALTY_JWT_OK, LOYALTY_JWT_ISSUER },
        { "{\"exp\":1790000001,\"iss\":\"i\"}", LOYALTY_JWT_OK,
          LOYALTY_JWT_AUDIENCE },
        { "{\"exp\":1790000001,\"iss\":\"i\",\"aud\":\"ab\"}",
          LOYALTY_JWT_AUDIENCE, LOYALTY_JWT_AUDIENCE },
        { "{\"exp\":1790000001,\"iss\":\"i\",\"aud\":[]}",
          LOYALTY_JWT_AUDIENCE, LOYALTY_JWT_AUDIENCE },
        { "{\"exp\":1790000001,\"iss\":\"i\",\"aud\":{\"a\":\"a\"}}",
          LOYALTY_JWT_AUDIENCE, LOYALTY_JWT_AUDIENCE },
        { "{\"exp\":1790000001,\"iss\":\"j\",\"aud\":\"a\"}",
          LOYALTY_JWT_AUDIENCE, LOYALTY_JWT_ISSUER },
        { "{\"exp\":1790000001,\"iss\":[\"i\"],\"aud\":\"a\"}",
          LOYALTY_JWT_AUDIENCE, LOYALTY_JWT_ISSUER },

        { "{\"exp\":1790000000}", LOYALTY_JWT_EXPIRED, LOYALTY_JWT_ISSUER },
        { "{\"exp\":1789999991}", LOYALTY_JWT_EXPIRED, LOYALTY_JWT_ISSUER },
        { "{\"exp\":1789999990}", LOYALTY_JWT_EXPIRED, LOYALTY_JWT_EXPIRED },
        { "{\"exp\":1790000000.9}", LOYALTY_JWT_EXPIRED, LOYALTY_JWT_ISSUER },
        { "{\"exp\":1.79e9}", LOYALTY_JWT_EXPIRED, LOYALTY_JWT_ISSUER },
        { "{\"exp\":0}", LOYALTY_JWT_EXPIRED, LOYALTY_JWT_EXPIRED },
        { "{}", LOYALTY_JWT_EXPIRED, LOYALTY_JWT_EXPIRED },
        { "{\"exp\":\"1790000001\"}", LOYALTY_JWT_MALFORMED,
          LOYALTY_JWT_MALFORMED },
        { "{\"exp\":null}", LOYALTY_JWT_MALFORMED, LOYALTY_JWT_MALFORMED },
        { "{\"exp\":-1}", LOYALTY_JWT_MALFORMED, LOYALTY_JWT_MALFORMED },
        { "{\"exp\":1e300}", LOYALTY_JWT_MALFORMED, LOYALTY_JWT_MALFORMED },
        { "{\"exp\":9007199254740992}", LOYALTY_JWT_MALFORMED,
          LOYALTY_JWT_MALFORMED },
        { "{\"exp\":99999999999999999999}", LOYALTY_JWT_MALFORMED,
          LOYALTY_JWT_MALFORMED },

        { "{\"exp\":1790000001,\"nbf\":1790000000}", LOYALTY_JWT_OK,
          LOYALTY_JWT_ISSUER },
        { "{\"exp\":1790000001,\"nbf\":1790000001}", LOYALTY_JWT_EARLY,
          LOYALTY_JWT_ISSUER },
        { "{\"exp\":1790000001,\"nbf\":1790000000.5}", LOYALTY_JWT_EARLY,
          LOYALTY_JWT_ISSUER },
        { "{\"exp\":1790000001,\"nbf\":1790000010}", LOYALTY_JWT_EARLY,
          LOYALTY_JWT_ISSUER },
        { "{\"exp\":1790000001,\"nbf\":1790000011}", LOYALTY_JWT_EARLY,
          LOYALTY_JWT_EARLY },
        { "{\"exp\":1790000001,\"nbf\":false}", LOYALTY_JWT_MALFORMED,
          LOYALTY_JWT_MALFORMED },

        { "{\"exp\":1,\"exp\":1790000001}", LOYALTY_JWT_MALFORMED,
          LOYALTY_JWT_MALFORMED },
        { "{\"exp\":1790000001,\"sub\":\"a\",\"sub\":\"b\"}",
          LOYALTY_JWT_MALFORMED, LOYALTY_JWT_MALFORMED },
        { "{\"exp\":1790000001,\"sub\":\"a\\u0000b\"}",
          LOYALTY_JWT_MALFORMED, LOYALTY_JWT_MALFORMED },
        { "{\"exp\":1790000001,\"sub\":\"a\xff\"}",
          LOYALTY_JWT_MALFORMED, LOYALTY_JWT_MALFORMED },
        { "[1790000001]", LOYALTY_JWT_MALFORMED, LOYALTY_JWT_MALFORMED },
        { "{\"exp\":1790000001}{}", LOYALTY_JWT_MALFORMED,
          LOYALTY_JWT_MALFORMED },
        { "", LOYALTY_JWT_MALFORMED, LOYALTY_JWT_MALFORMED }
    };

    memset(&rules, 0, sizeof(rules));
    memset(&wanted, 0, sizeof(wanted));

    wanted.issuer = "i";
    wanted.issuer_len = 1;
    wanted.audience = "a";
    wanted.audience_len = 1;
    wanted.leeway = 10;

    for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {

        if (claims(f, tests[i].text, &rules) != tests[i].plain) {
            fail_msg("%s: %s", tests[i].text,
                     loyalty_jwt_word(claims(f, tests[i].text, &rules)));
        }

        if (claims(f, tests[i].text, &wanted) != tests[i].wanted) {
            fail_msg("%s: %s with rules", tests[i].text,
                     loyalty_jwt_word(claims(f, tests[i].text, &wanted)));
        }
    }
}


static void
test_claim(void **state)
{
    json_t  *json;

    json = json_loads("{\"sub\":1,\"Sub\":2,\"customerId\":3,\"a-b\":4,"
                      "\"a.b\":5,\"https://x.y/tier\":6,\"A_C\":7,\"\":8}",
                      0, NULL);
    assert_non_null(json);

#define CLAIM(name)  json_integer_value(loyalty_jwt_claim(json, name,         \
                                                          strlen(name)))

    assert_int_equal(CLAIM("sub"), 1);
    assert_int_equal(CLAIM("customerid"), 3);
    assert_null(loyalty_jwt_claim(json, "a_b", 3));
    assert_int_equal(CLAIM("https___x_y_tier"), 6);
    assert_int_equal(CLAIM("a_c"), 7);
    assert_null(loyalty_jwt_claim(json, "su", 2));
    assert_null(loyalty_jwt_claim(json, "subs", 4));
    assert_null(loyalty_jwt_claim(json, "https___x_y_tie", 15));

    json_decref(json);
}


static const char *
jwks(const char *text, unsigned algs, unsigned *line)
{
    char            *copy;
    const char      *error;
    loyalty_jwks_t   keys;

    copy = malloc(strlen(text) + 1);
    assert_non_null(copy);
    memcpy(copy, text, strlen(text));

    error = loyalty_jwks_json(&keys, copy, strlen(text), algs, line);

    loyalty_jwks_free(&keys);
    free(copy);

    return error;
}


static void
test_key_sets(void **state)
{
    size_t       i;
    unsigned     line;
    const char  *error;

#define K32   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define OCT   "{\"kty\":\"oct\",\"k\":\"" K32 "\"}"
#define OCT4  OCT "," OCT "," OCT "," OCT
#define ED    "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"

    static const struct {
        const char  *text;
        const char  *error;            /* NULL: it is taken */
        unsigned     line;
    } sets[] = {
        { "{\"keys\":[" OCT "]}", NULL, 0 },
        { "{\"keys\":[" OCT4 "," OCT4 "," OCT4 "," OCT4 "]}", NULL, 0 },
        { "{\"keys\":[" OCT4 "," OCT4 "," OCT4 "," OCT4 "," OCT "]}",
          "more than 16", 0 },
        { "{\"keys\":[" OCT4 "," OCT4 "," OCT4 "," OCT4 ",{\"kty\":\"x\"}]}",
          NULL, 0 },
        { "", "not JSON", 1 },
        { "{\"keys\":[\n" OCT ",\n]}", "not JSON", 3 },
        { "{\"keys\":[" OCT "],\"keys\":[]}", "twice", 1 },
        { "[" OCT "]", "array \"keys\"", 0 },
        { "{\"keys\":{}}", "array \"keys\"", 0 },
        { "{\"keys\":[]}", "no key", 0 },
        { "{\"keys\":[1]}", "no object", 0 },
        { "{\"keys\":[{}]}", "without \"kty\"", 0 },
        { "{\"keys\":[{\"kty\":1}]}", "without \"kty\"", 0 },
        { "{\"keys\":[{\"kty\":\"oct\"}]}", "base64url", 0 },
        { "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA==\"}]}", "base64url", 0 },
        { "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}", "32 to 1024", 0 },
        { "{\"keys\":[{\"kty\":\"oct\",\"kid\":1,\"k\":\"" K32 "\"}]}",
          "\"kid\"", 0 },
        { "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"\",\"k\":\"" K32 "\"}]}",
          "\"kid\"", 0 },
        { "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"" K32 "\"},"
          "{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"" K32 "\"}]}",
          "same \"kid\"", 0 },
        { "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"" K32 "\"},"
          "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"a\",\"x\":\"" ED
          "\"}]}", NULL, 0 },
        { "{\"keys\":[{\"kty\":\"oct\",\"use\":\"enc\",\"k\":\"" K32 "\"}]}",
          "no key", 0 },
        { "{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS512\",\"k\":\"" K32
          "\"}]}", "no key", 0 },
        { "{\"keys\":[{\"kty\":\"oct\",\"alg\":\"RS256\",\"k\":\"" K32
          "\"}]}", "no key", 0 },
        { "{\"keys\":[{\"kty\":\"oct\",\"key_ops\":[\"sign\"],\"k\":\"" K32
          "\"}]}", "no key", 0 },
        { "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\"}]}", "an RSA key", 0 },
        { "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
          "2048 bits", 0 },
        { "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQ\"}]}",
          "an RSA key", 0 },
        { "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" K32 "\","
          "\"y\":\"" K32 "\"}]}", "no point", 0 },
        { "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\","
          "\"y\":\"" K32 "\"}]}", "32 bytes", 0 },
        { "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" K32 "\","
          "\"y\":\"" K32 "\"}]}", "no key", 0 },
        { "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}]}",
          "32 bytes", 0 },
        { "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":1}]}",
          "32 bytes", 0 }
    };

    for (i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        error = jwks(sets[i].text, LOYALTY_JWK_ANY, &line);

        if ((error == NULL) != (sets[i].error == NULL)
            || (error != NULL && strstr(error, sets[i].error) == NULL)
            || line != sets[i].line)
        {
            fail_msg("%s: line %u: %s", sets[i].text, line,
                     error ? error : "taken");
        }
    }

    error = jwks(sets[0].text, LOYALTY_JWK_ANY & ~LOYALTY_JWK_HS256, &line);
    assert_non_null(strstr(error, "no key"));
}


/* keys of Ed25519 under which a signature is right that nobody made */

static void
test_weak_keys(void **state)
{
    char            *pem, text[256], b64[64];
    size_t           i, n;
    unsigned         line, byte;
    EVP_PKEY        *pkey;
    const char      *error;
    unsigned char    x[32];
    loyalty_jwks_t   keys;

    static const char *weak[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
    };

    for (i = 0; i < 2 * sizeof(weak) / sizeof(weak[0]); i++) {

        for (n = 0; n < sizeof(x); n++) {
            assert_int_equal(sscanf(weak[i / 2] + 2 * n, "%2x", &byte), 1);
            x[n] = (unsigned char) byte;
        }

        x[31] |= (i % 2) << 7;

        encode(b64, x, sizeof(x));
        sprintf(text, "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
                      "\"x\":\"%s\"}]}", b64);
        error = jwks(text, LOYALTY_JWK_ANY, &line);
        assert_non_null(error);
        assert_non_null(strstr(error, "anybody can sign"));

        pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x,
                                           sizeof(x));
        assert_non_null(pkey);
        pem = public_pem(pkey);
        error = loyalty_jwks_pem(&keys, pem, strlen(pem), LOYALTY_JWK_ANY,
                                 &line);
        assert_non_null(error);
        assert_non_null(strstr(error, "anybody can sign"));
        assert_int_equal(line, 1);
        loyalty_jwks_free(&keys);
        EVP_PKEY_free(pkey);
        free(pem);
    }
}


static void
test_pem(void **state)
{
    fixture_t *f = *state;

    BIO             *bio;
    char            *rsa, *ec, *ed, *p, text[8192];
    long             n;
    unsigned         line;
    EVP_PKEY        *other;
    const char      *error;
    loyalty_jwks_t   keys;

    rsa = public_pem(f->rsa);
    ec = public_pem(f->ec);
    ed = public_pem(f->ed);

    sprintf(text, "the keys\n%s%s\n%s", rsa, ec, ed);
    assert_null(loyalty_jwks_pem(&keys, text, strlen(text), LOYALTY_JWK_ANY,
                                 &line));
    assert_int_equal(keys.n, 3);
    assert_int_equal(keys.keys[0].alg, LOYALTY_JWK_RS256);
    assert_int_equal(keys.keys[1].alg, LOYALTY_JWK_ES256);
    assert_int_equal(keys.keys[2].alg, LOYALTY_JWK_EDDSA);
    loyalty_jwks_free(&keys);

    assert_null(loyalty_jwks_pem(&keys, text, strlen(text), LOYALTY_JWK_ES256,
                                 &line));
    assert_int_equal(keys.n, 1);
    assert_int_equal(keys.skipped, 2);
    loyalty_jwks_free(&keys);

    error = loyalty_jwks_pem(&keys, text, strlen(text), LOYALTY_JWK_HS256,
                             &line);
    assert_non_null(strstr(error, "no key"));
    loyalty_jwks_free(&keys);

    /* a private key behind a public one */

    bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(bio, f->ec, NULL, NULL, 0, NULL,
                                              NULL), 1);
    n = BIO_get_mem_data(bio, &p);
    sprintf(text, "%s%.*s", ed, (int) n, p);
    BIO_free(bio);
    error = loyalty_jwks_pem(&keys, text, strlen(text), LOYALTY_JWK_ANY,
                             &line);
    assert_non_null(strstr(error, "private key"));
    assert_int_equal(line, 4);
    loyalty_jwks_free(&keys);

    /* a short one, another curve, a damaged one, something else */

    other = EVP_RSA_gen(1024);
    p = public_pem(other);
    error = loyalty_jwks_pem(&keys, p, strlen(p), LOYALTY_JWK_ANY, &line);
    assert_non_null(strstr(error, "2048 bits"));
    loyalty_jwks_free(&keys);
    EVP_PKEY_free(other);
    free(p);

    other = EVP_EC_gen("P-384");
    p = public_pem(other);
    error = loyalty_jwks_pem(&keys, p, strlen(p), LOYALTY_JWK_ANY, &line);
    assert_non_null(strstr(error, "no key"));
    loyalty_jwks_free(&keys);
    EVP_PKEY_free(other);
    free(p);

    ed[40] = (ed[40] == '!') ? '?' : '!';
    error = loyalty_jwks_pem(&keys, ed, strlen(ed), LOYALTY_JWK_ANY, &line);
    assert_non_null(error);
    loyalty_jwks_free(&keys);

    p = "-----BEGIN X-----\nAAAA\n-----END X-----\n";
    error = loyalty_jwks_pem(&keys, p, strlen(p), LOYALTY_JWK_ANY, &line);
    assert_non_null(strstr(error, "is expected"));
    loyalty_jwks_free(&keys);

    free(rsa);
    free(ec);
    free(ed);
}


static void
test_rfc(void **state)
{
    char                 *p, *set, *forged;
    json_t               *file, *tests, *test, *jwk, *pair;
    size_t                i;
    unsigned              line;
    const char           *jws, *alg;
    loyalty_jwks_t        keys;
    loyalty_jwt_e         status, want;
    loyalty_jwt_rules_t   rules;

    file = json_load_file(VECTORS, 0, NULL);

    if (file == NULL) {
        skip();
    }

    memset(&rules, 0, sizeof(rules));
    rules.issuer = "joe";
    rules.issuer_len = 3;

    tests = json_object_get(file, "tests");
    assert_true(json_array_size(tests) >= 6);

    json_array_foreach(tests, i, test) {

        jws = json_string_value(json_object_get(test, "jws"));
        alg = json_string_value(json_object_get(test, "alg"));
        jwk = json_object_get(test, "jwk");

        pair = json_pack("{s:[O]}", "keys", jwk ? jwk : json_null());
        set = json_dumps(pair, 0);
        json_decref(pair);

        if (jwk == NULL
            || loyalty_jwks_json(&keys, set, strlen(set), LOYALTY_JWK_ANY,
                                 &line) != NULL)
        {
            keys.n = 0;
        }

        assert_int_equal(keys.n, loyalty_jwk_alg(alg, strlen(alg)) ? 1 : 0);

        status = verify_as(&keys, jws, &rules, 1300819379);

        /* that of Ed25519 is over a text which is no JSON, and ES512 and
           none are nothing we know */

        want = (keys.n == 0) ? LOYALTY_JWT_ALGORITHM
               : (strcmp(alg, "EdDSA") == 0) ? LOYALTY_JWT_MALFORMED
               : LOYALTY_JWT_OK;

        if (status != want) {
            fail_msg("%s: %s", alg, loyalty_jwt_word(status));
        }

        if (want == LOYALTY_JWT_OK) {
            assert_int_equal(verify_as(&keys, jws, &rules, 1300819380),
                             LOYALTY_JWT_EXPIRED);
        }

        if (keys.n) {
            forged = strdup(jws);
            p = strrchr(forged, '.') + 10;
            *p = (*p == 'A') ? 'B' : 'A';

            assert_int_equal(verify_as(&keys, forged, &rules, 1300819379),
                             LOYALTY_JWT_SIGNATURE);
            free(forged);
        }

        loyalty_jwks_free(&keys);
        free(set);
    }

    json_decref(file);
}


static void
test_base64(void **state)
{
    size_t         i, n;
    char           text[64];
    unsigned char  bytes[20], back[64];

    for (n = 0; n < sizeof(bytes); n++) {

        for (i = 0; i < n; i++) {
            bytes[i] = (unsigned char) (0xff - 13 * i * n);
        }

        encode(text, bytes, n);
        assert_int_equal(loyalty_base64url_decode(back, text, strlen(text)),
                         n);
        assert_memory_equal(back, bytes, n);
    }

    assert_int_equal(loyalty_base64url_decode(back, "A", 1), -1);
    assert_int_equal(loyalty_base64url_decode(back, "AAAAA", 5), -1);
    assert_int_equal(loyalty_base64url_decode(back, "AA==", 4), -1);
    assert_int_equal(loyalty_base64url_decode(back, "AB", 2), -1);
    assert_int_equal(loyalty_base64url_decode(back, "AAB", 3), -1);
    assert_int_equal(loyalty_base64url_decode(back, "AA\n", 3), -1);
    assert_int_equal(loyalty_base64url_decode(back, "A/A", 3), -1);
    assert_int_equal(loyalty_base64url_decode(back, "A+A", 3), -1);
    assert_int_equal(loyalty_base64url_decode(back, "-_-_", 4), 3);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_algorithms),
        cmocka_unit_test(test_confusion),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_claim),
        cmocka_unit_test(test_key_sets),
        cmocka_unit_test(test_weak_keys),
        cmocka_unit_test(test_pem),
        cmocka_unit_test(test_rfc),
        cmocka_unit_test(test_base64)
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
