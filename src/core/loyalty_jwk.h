/*
 * The keys that tokens are verified with: a JSON Web Key Set (RFC 7517, RFC
 * 8037), public keys or certificates in PEM, or a secret.
 *
 * What a key is decides what it verifies: a secret HS256, an RSA key RS256,
 * a key of P-256 ES256, one of Ed25519 EdDSA, and nothing else.  So no token
 * can have a public key taken for a secret.
 */

#ifndef _LOYALTY_JWK_H_INCLUDED_
#define _LOYALTY_JWK_H_INCLUDED_


#include <stddef.h>


#define LOYALTY_JWK_KEYS      16           /* in one set */
#define LOYALTY_JWK_ID        128          /* bytes of a kid */
#define LOYALTY_JWK_SECRET    32           /* least bytes of a secret */
#define LOYALTY_JWK_RSA_LEAST 2048         /* bits of an RSA key */
#define LOYALTY_JWK_MAX       1024         /* most; also of an RSA number */

/* algorithms, bits of a set */

#define LOYALTY_JWK_HS256     0x1
#define LOYALTY_JWK_RS256     0x2
#define LOYALTY_JWK_ES256     0x4
#define LOYALTY_JWK_EDDSA     0x8
#define LOYALTY_JWK_ANY       0xf


typedef struct {
    unsigned              alg;             /* one */
    char                 *id;              /* NULL: it has none */
    size_t                id_len;
    void                 *pkey;            /* EVP_PKEY; not of a secret */
    unsigned char        *secret;
    size_t                secret_len;
} loyalty_jwk_t;


typedef struct {
    loyalty_jwk_t         keys[LOYALTY_JWK_KEYS];
    unsigned              n;
    unsigned              skipped;         /* keys of other kinds */
} loyalty_jwks_t;


/* "RS256" as a bit; 0: unknown */
unsigned loyalty_jwk_alg(const char *name, size_t n);

/*
 * NULL, or what is wrong in the line *line (0: no certain one), without any
 * byte of the text.  algs: which are wanted; keys for others are skipped, and
 * a set in which none is left is wrong.  keys is to be freed in either case.
 */
const char *loyalty_jwks_json(loyalty_jwks_t *keys, const void *p, size_t n,
    unsigned algs, unsigned *line);
const char *loyalty_jwks_pem(loyalty_jwks_t *keys, const void *p, size_t n,
    unsigned algs, unsigned *line);
const char *loyalty_jwks_secret(loyalty_jwks_t *keys, const void *p,
    size_t n);

void loyalty_jwks_free(loyalty_jwks_t *keys);

/* NULL, or why a key of Ed25519, an EVP_PKEY, proves nothing: for both files
   that read keys */
const char *loyalty_jwk_ed25519(void *pkey);


#endif /* _LOYALTY_JWK_H_INCLUDED_ */
