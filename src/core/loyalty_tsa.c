/*
 * RFC 3161 with libcrypto, which parses and verifies; here stand what is
 * asked for, what is expected of the answer, and what to say when it is not
 * so.  The bytes of a token are those that the authority sent, never encoded
 * anew.
 *
 * libcrypto's queue of errors is left empty: others who look at it later
 * would take them for their own.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pkcs7.h>
#include <openssl/ts.h>
#include <openssl/x509.h>

#include "loyalty_tsa.h"


#define TSA_DER_TEXT  64                     /* of a refusal, bytes shown */


static int tsa_fail(loyalty_tsa_t *tsa, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static int tsa_imprint(TS_REQ *req, const unsigned char *hash);
static ASN1_INTEGER *tsa_nonce(const unsigned char *nonce);
static int tsa_split(loyalty_tsa_t *tsa, const unsigned char *der, size_t n);
static int tsa_element(const unsigned char **p, const unsigned char *last);
static int tsa_granted(loyalty_tsa_t *tsa, TS_RESP *resp);
static int tsa_check(loyalty_tsa_t *tsa, PKCS7 *token,
    const unsigned char *hash, const unsigned char *nonce, void *trust);
static int tsa_info(loyalty_tsa_t *tsa, TS_TST_INFO *info,
    const unsigned char *hash, const unsigned char *nonce);
static int tsa_time(const ASN1_GENERALIZEDTIME *time, int64_t *ms);
static int tsa_digits(const unsigned char *s, size_t n, int64_t *value);
static int64_t tsa_days(int64_t y, int64_t m, int64_t d);
static int tsa_signed(loyalty_tsa_t *tsa, PKCS7 *token, void *trust);
static X509_STORE *tsa_own(X509 *signer);


size_t
loyalty_tsa_request(unsigned char *dst, const unsigned char *hash,
    const unsigned char *nonce)
{
    int            len;
    TS_REQ        *req;
    ASN1_INTEGER  *number;
    unsigned char  *p;

    len = 0;
    p = dst;
    number = tsa_nonce(nonce);
    req = TS_REQ_new();

    if (req != NULL && number != NULL
        && TS_REQ_set_version(req, 1)
        && tsa_imprint(req, hash) == 0
        && TS_REQ_set_nonce(req, number)
        && TS_REQ_set_cert_req(req, 1))
    {
        len = i2d_TS_REQ(req, NULL);

        if (len > 0 && len <= LOYALTY_TSA_REQUEST) {
            len = i2d_TS_REQ(req, &p);

        } else {
            len = 0;
        }
    }

    ASN1_INTEGER_free(number);
    TS_REQ_free(req);
    ERR_clear_error();

    return (len > 0) ? (size_t) len : 0;
}


static int
tsa_imprint(TS_REQ *req, const unsigned char *hash)
{
    int              rc;
    X509_ALGOR      *algo;
    TS_MSG_IMPRINT  *imprint;

    imprint = TS_MSG_IMPRINT_new();
    algo = X509_ALGOR_new();

    rc = (imprint != NULL && algo != NULL
          && X509_ALGOR_set0(algo, OBJ_nid2obj(NID_sha256), V_ASN1_NULL, NULL)
          && TS_MSG_IMPRINT_set_algo(imprint, algo)
          && TS_MSG_IMPRINT_set_msg(imprint, (unsigned char *) hash,
                                    LOYALTY_TSA_HASH)
          && TS_REQ_set_msg_imprint(req, imprint))
         ? 0 : -1;

    /* both were copied */

    X509_ALGOR_free(algo);
    TS_MSG_IMPRINT_free(imprint);

    return rc;
}


static ASN1_INTEGER *
tsa_nonce(const unsigned char *nonce)
{
    BIGNUM        *bn;
    ASN1_INTEGER  *number;

    bn = BN_bin2bn(nonce, LOYALTY_TSA_NONCE, NULL);
    if (bn == NULL) {
        return NULL;
    }

    number = BN_to_ASN1_INTEGER(bn, NULL);

    BN_free(bn);

    return number;
}


int
loyalty_tsa_response(loyalty_tsa_t *tsa, const unsigned char *der, size_t n,
    const unsigned char *hash, const unsigned char *nonce, void *trust)
{
    int                   rc;
    PKCS7                *token;
    TS_RESP              *resp;
    const unsigned char  *p;

    memset(tsa, 0, sizeof(loyalty_tsa_t));

    if (n == 0 || n > LOYALTY_TSA_SIZE) {
        return tsa_fail(tsa, "the response is empty or too large");
    }

    p = der;
    resp = d2i_TS_RESP(NULL, &p, (long) n);

    if (resp == NULL || p != der + n) {
        TS_RESP_free(resp);
        ERR_clear_error();
        return tsa_fail(tsa, "the response is no TimeStampResp");
    }

    rc = tsa_granted(tsa, resp);

    if (rc == 0) {
        token = TS_RESP_get_token(resp);

        if (token == NULL || tsa_split(tsa, der, n) != 0) {
            rc = tsa_fail(tsa, "the response has no token");

        } else {
            rc = tsa_check(tsa, token, hash, nonce, trust);
        }
    }

    TS_RESP_free(resp);
    ERR_clear_error();

    return rc;
}


int
loyalty_tsa_token(loyalty_tsa_t *tsa, const unsigned char *der, size_t n,
    const unsigned char *hash, const unsigned char *nonce, void *trust)
{
    int                   rc;
    PKCS7                *token;
    const unsigned char  *p;

    memset(tsa, 0, sizeof(loyalty_tsa_t));

    if (n == 0 || n > LOYALTY_TSA_SIZE) {
        return tsa_fail(tsa, "the token is empty or too large");
    }

    p = der;
    token = d2i_PKCS7(NULL, &p, (long) n);

    if (token == NULL || p != der + n) {
        rc = tsa_fail(tsa, "it is no token of RFC 3161");

    } else {
        tsa->token = der;
        tsa->len = n;
        rc = tsa_check(tsa, token, hash, nonce, trust);
    }

    PKCS7_free(token);
    ERR_clear_error();

    return rc;
}


static int
tsa_fail(loyalty_tsa_t *tsa, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(tsa->error, LOYALTY_TSA_ERROR, fmt, args);
    va_end(args);

    tsa->time = 0;
    tsa->token = NULL;
    tsa->len = 0;

    return -1;
}


/* SEQUENCE { PKIStatusInfo, token }: the token's own bytes */

static int
tsa_split(loyalty_tsa_t *tsa, const unsigned char *der, size_t n)
{
    int                   tag, class;
    long                  len;
    const unsigned char  *p, *last;

    p = der;

    if (ASN1_get_object(&p, &len, &tag, &class, (long) n) != V_ASN1_CONSTRUCTED
        || tag != V_ASN1_SEQUENCE || p + len != der + n)
    {
        return -1;
    }

    last = der + n;

    if (tsa_element(&p, last) != 0) {
        return -1;
    }

    tsa->token = p;
    tsa->len = (size_t) (last - p);

    return (tsa_element(&p, last) == 0 && p == last) ? 0 : -1;
}


/* moves behind a SEQUENCE of definite length */

static int
tsa_element(const unsigned char **p, const unsigned char *last)
{
    int   tag, class;
    long  len;

    if (*p == last
        || ASN1_get_object(p, &len, &tag, &class, (long) (last - *p))
           != V_ASN1_CONSTRUCTED
        || tag != V_ASN1_SEQUENCE)
    {
        return -1;
    }

    *p += len;

    return 0;
}


static int
tsa_granted(loyalty_tsa_t *tsa, TS_RESP *resp)
{
    int                           i, n;
    long                          status;
    char                          text[TSA_DER_TEXT + 1];
    const ASN1_UTF8STRING        *said;
    const unsigned char          *data;
    TS_STATUS_INFO               *info;
    const STACK_OF(ASN1_UTF8STRING)  *texts;

    info = TS_RESP_get_status_info(resp);
    status = ASN1_INTEGER_get(TS_STATUS_INFO_get0_status(info));

    if (status == TS_STATUS_GRANTED || status == TS_STATUS_GRANTED_WITH_MODS)
    {
        return 0;
    }

    /* what it says to that, as far as it can be shown in a log */

    n = 0;
    texts = TS_STATUS_INFO_get0_text(info);
    said = (texts != NULL && sk_ASN1_UTF8STRING_num(texts) > 0)
               ? sk_ASN1_UTF8STRING_value(texts, 0) : NULL;

    if (said != NULL) {
        data = ASN1_STRING_get0_data(said);
        n = ASN1_STRING_length(said);
        n = (n < TSA_DER_TEXT) ? n : TSA_DER_TEXT;

        for (i = 0; i < n; i++) {
            text[i] = (data[i] >= 0x20 && data[i] < 0x7f) ? (char) data[i]
                                                          : '?';
        }
    }

    text[n] = '\0';

    return tsa_fail(tsa, "the authority refused: status %ld%s%s%s", status,
                    n ? ", \"" : "", text, n ? "\"" : "");
}


static int
tsa_check(loyalty_tsa_t *tsa, PKCS7 *token, const unsigned char *hash,
    const unsigned char *nonce, void *trust)
{
    int           rc;
    TS_TST_INFO  *info;

    if (!PKCS7_type_is_signed(token) || token->d.sign == NULL) {
        return tsa_fail(tsa, "the token is not signed");
    }

    info = PKCS7_to_TS_TST_INFO(token);
    if (info == NULL) {
        return tsa_fail(tsa, "the token says nothing about a time");
    }

    rc = tsa_info(tsa, info, hash, nonce);

    TS_TST_INFO_free(info);

    return (rc == 0) ? tsa_signed(tsa, token, trust) : rc;
}


static int
tsa_info(loyalty_tsa_t *tsa, TS_TST_INFO *info, const unsigned char *hash,
    const unsigned char *nonce)
{
    int                   differs;
    ASN1_INTEGER         *asked;
    TS_MSG_IMPRINT       *imprint;
    ASN1_OCTET_STRING    *msg;
    const ASN1_INTEGER   *answered;
    const ASN1_OBJECT    *algo;

    if (TS_TST_INFO_get_version(info) != 1) {
        return tsa_fail(tsa, "the token has an unknown version");
    }

    imprint = TS_TST_INFO_get_msg_imprint(info);
    X509_ALGOR_get0(&algo, NULL, NULL, TS_MSG_IMPRINT_get_algo(imprint));
    msg = TS_MSG_IMPRINT_get_msg(imprint);

    if (OBJ_obj2nid(algo) != NID_sha256
        || ASN1_STRING_length(msg) != LOYALTY_TSA_HASH
        || memcmp(ASN1_STRING_get0_data(msg), hash, LOYALTY_TSA_HASH) != 0)
    {
        return tsa_fail(tsa, "the token is over another hash");
    }

    if (nonce != NULL) {
        answered = TS_TST_INFO_get_nonce(info);
        asked = tsa_nonce(nonce);

        differs = (answered == NULL || asked == NULL
                   || ASN1_INTEGER_cmp(answered, asked) != 0);

        ASN1_INTEGER_free(asked);

        if (differs) {
            return tsa_fail(tsa, "the token answers another request");
        }
    }

    if (tsa_time(TS_TST_INFO_get_time(info), &tsa->time) != 0) {
        return tsa_fail(tsa, "the token has a time that is none");
    }

    return 0;
}


/* "20261107120000Z", "20261107120000.123Z" */

static int
tsa_time(const ASN1_GENERALIZEDTIME *time, int64_t *ms)
{
    int                   i, n;
    int64_t               v[6], part, scale;
    const unsigned char  *s;

    static const size_t   size[6] = { 4, 2, 2, 2, 2, 2 };
    static const int64_t  least[6] = { 1970, 1, 1, 0, 0, 0 };
    static const int64_t  most[6] = { 9999, 12, 31, 23, 59, 60 };

    if (time == NULL) {
        return -1;
    }

    s = ASN1_STRING_get0_data(time);
    n = ASN1_STRING_length(time);

    if (n < 15 || s[n - 1] != 'Z' || !ASN1_GENERALIZEDTIME_check(time)) {
        return -1;
    }

    for (i = 0; i < 6; i++) {
        if (tsa_digits(s, size[i], &v[i]) != 0
            || v[i] < least[i] || v[i] > most[i])
        {
            return -1;
        }

        s += size[i];
    }

    n -= 15;
    part = 0;

    if (n > 0) {
        if (n < 2 || *s++ != '.' || n > 10
            || tsa_digits(s, (size_t) n - 1, &part) != 0)
        {
            return -1;
        }

        for (scale = 1, i = 1; i < n; i++) {
            scale *= 10;
        }

        part = part * 1000 / scale;
    }

    *ms = ((tsa_days(v[0], v[1], v[2]) * 24 + v[3]) * 60 + v[4]) * 60 + v[5];
    *ms = *ms * 1000 + part;

    return 0;
}


static int
tsa_digits(const unsigned char *s, size_t n, int64_t *value)
{
    int64_t  v;

    for (v = 0; n; n--, s++) {

        if (*s < '0' || *s > '9') {
            return -1;
        }

        v = v * 10 + (*s - '0');
    }

    *value = v;

    return 0;
}


/* since 1970-01-01, in the proleptic Gregorian calendar */

static int64_t
tsa_days(int64_t y, int64_t m, int64_t d)
{
    /* years begin in March, so that leap days end them */

    if (m <= 2) {
        y--;
        m += 12;
    }

    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * (m - 3) + 2) / 5 + d
           - 1 - 719468;
}


/*
 * libcrypto checks the signature, that the certificate is the one that the
 * signature names and is for timestamping, and the chain.  Without trusted
 * authorities the chain is the signer's certificate alone.
 */

static int
tsa_signed(loyalty_tsa_t *tsa, PKCS7 *token, void *trust)
{
    int                rc;
    X509              *signer;
    unsigned long      err;
    X509_STORE        *store, *own;
    STACK_OF(X509)    *signers;
    X509_VERIFY_PARAM *param;

    signers = PKCS7_get0_signers(token, NULL, 0);

    if (signers == NULL || sk_X509_num(signers) != 1) {
        sk_X509_free(signers);
        return tsa_fail(tsa, "the token does not hold the certificate of its "
                             "one signer");
    }

    own = NULL;
    store = trust;

    if (store == NULL) {
        own = tsa_own(sk_X509_value(signers, 0));
        store = own;
    }

    sk_X509_free(signers);

    if (store == NULL) {
        return tsa_fail(tsa, "no memory");
    }

    /* a certificate that has run out since was good then */

    param = X509_STORE_get0_param(store);
    X509_VERIFY_PARAM_set_time(param, (time_t) (tsa->time / 1000));

    ERR_clear_error();
    signer = NULL;

    rc = TS_RESP_verify_signature(token, NULL, store, &signer);

    err = ERR_peek_last_error();

    X509_free(signer);
    X509_STORE_free(own);

    if (rc != 1) {
        return tsa_fail(tsa, "the token's signature was not accepted%s%s%s",
                        ERR_reason_error_string(err) ? " (" : "",
                        ERR_reason_error_string(err)
                            ? ERR_reason_error_string(err) : "",
                        ERR_reason_error_string(err) ? ")" : "");
    }

    return 0;
}


static X509_STORE *
tsa_own(X509 *signer)
{
    X509_STORE  *store;

    store = X509_STORE_new();

    if (store == NULL || !X509_STORE_add_cert(store, signer)
        || !X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN))
    {
        X509_STORE_free(store);
        return NULL;
    }

    return store;
}


void *
loyalty_tsa_trust(const char *file)
{
    X509_STORE  *store;

    store = X509_STORE_new();

    if (store != NULL && !X509_STORE_load_locations(store, file, NULL)) {
        X509_STORE_free(store);
        store = NULL;
    }

    ERR_clear_error();

    return store;
}


void
loyalty_tsa_trust_free(void *trust)
{
    X509_STORE_free(trust);
}
