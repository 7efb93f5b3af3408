/*
 * Public keys and certificates in PEM, one block after the other.
 */

#include "loyalty_jwk.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>


static unsigned loyalty_jwk_line(const char *p, long n);
static const char *loyalty_jwk_pem(loyalty_jwks_t *keys, BIO *bio,
    unsigned algs);
static EVP_PKEY *loyalty_jwk_pem_key(const char *name,
    const unsigned char *data, long len);
static unsigned loyalty_jwk_pkey_alg(EVP_PKEY *pkey);


const char *
loyalty_jwks_pem(loyalty_jwks_t *keys, const void *p, size_t n,
    unsigned algs, unsigned *line)
{
    long         before;
    BIO         *bio;
    const char  *error;

    keys->n = 0;
    keys->skipped = 0;
    *line = 0;

    bio = BIO_new_mem_buf(p, (int) n);
    if (bio == NULL) {
        return "no memory";
    }

    do {
        before = (long) n - BIO_pending(bio);
        error = loyalty_jwk_pem(keys, bio, algs);

        if (error != NULL) {
            *line = loyalty_jwk_line(p, before);
        }

    } while (error == NULL && BIO_pending(bio) > 0);

    BIO_free(bio);
    ERR_clear_error();

    if (error == NULL && keys->n == 0) {
        return "there is no key in it for the algorithms wanted: RSA, P-256 "
               "and Ed25519 are known";
    }

    return error;
}


static unsigned
loyalty_jwk_line(const char *p, long n)
{
    unsigned  line;

    for (line = 1; n > 0; n--) {
        line += (*p++ == '\n');
    }

    return line;
}


/* the next block, if there is one */

static const char *
loyalty_jwk_pem(loyalty_jwks_t *keys, BIO *bio, unsigned algs)
{
    int             rc;
    long            len;
    char           *name, *header;
    unsigned        alg;
    EVP_PKEY       *pkey;
    const char     *error;
    unsigned char  *data;

    if (PEM_read_bio(bio, &name, &header, &data, &len) != 1) {
        rc = ERR_GET_REASON(ERR_peek_last_error());
        return rc == PEM_R_NO_START_LINE ? NULL : "it is no PEM";
    }

    pkey = loyalty_jwk_pem_key(name, data, len);
    error = NULL;

    if (strstr(name, "PRIVATE KEY") != NULL) {
        error = "a private key: what verifies tokens needs the public one";

    } else if (pkey == NULL) {
        error = "\"PUBLIC KEY\" or \"CERTIFICATE\" is expected";
    }

    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(data, len);

    if (error != NULL) {
        EVP_PKEY_free(pkey);
        return error;
    }

    alg = loyalty_jwk_pkey_alg(pkey);

    if (alg == LOYALTY_JWK_RS256
        && EVP_PKEY_get_bits(pkey) < LOYALTY_JWK_RSA_LEAST)
    {
        EVP_PKEY_free(pkey);
        return "an RSA key of less than 2048 bits";
    }

    if ((alg & algs) == 0) {
        EVP_PKEY_free(pkey);
        keys->skipped++;
        return NULL;
    }

    error = (alg == LOYALTY_JWK_EDDSA) ? loyalty_jwk_ed25519(pkey) : NULL;

    if (error != NULL) {
        EVP_PKEY_free(pkey);
        return error;
    }

    if (keys->n == LOYALTY_JWK_KEYS) {
        EVP_PKEY_free(pkey);
        return "there are more than 16 keys";
    }

    memset(&keys->keys[keys->n], 0, sizeof(loyalty_jwk_t));
    keys->keys[keys->n].alg = alg;
    keys->keys[keys->n].pkey = pkey;
    keys->n++;

    return NULL;
}


static EVP_PKEY *
loyalty_jwk_pem_key(const char *name, const unsigned char *data, long len)
{
    X509      *cert;
    EVP_PKEY  *pkey;

    if (strcmp(name, "PUBLIC KEY") == 0) {
        return d2i_PUBKEY(NULL, &data, len);
    }

    if (strcmp(name, "RSA PUBLIC KEY") == 0) {
        return d2i_PublicKey(EVP_PKEY_RSA, NULL, &data, len);
    }

    if (strcmp(name, "CERTIFICATE") != 0) {
        return NULL;
    }

    cert = d2i_X509(NULL, &data, len);
    if (cert == NULL) {
        return NULL;
    }

    pkey = X509_get_pubkey(cert);
    X509_free(cert);

    return pkey;
}


static unsigned
loyalty_jwk_pkey_alg(EVP_PKEY *pkey)
{
    char    group[32];
    size_t  n;

    switch (EVP_PKEY_get_base_id(pkey)) {

    case EVP_PKEY_RSA:
        return (EVP_PKEY_get_bits(pkey) <= 8 * LOYALTY_JWK_MAX)
               ? LOYALTY_JWK_RS256 : 0;

    case EVP_PKEY_ED25519:
        return LOYALTY_JWK_EDDSA;

    case EVP_PKEY_EC:
        if (EVP_PKEY_get_group_name(pkey, group, sizeof(group), &n) == 1
            && strcmp(group, "prime256v1") == 0)
        {
            return LOYALTY_JWK_ES256;
        }

        return 0;

    default:
        return 0;
    }
}
