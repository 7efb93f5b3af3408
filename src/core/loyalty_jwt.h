/*
 * JSON Web Tokens (RFC 7519) in the compact form of RFC 7515: whether one is
 * good, and what it claims.
 *
 * Strict, as RFC 8725 asks: the algorithm is that of the key, headers that
 * are critical are not understood, keys come from the configuration and
 * never from the token, and nothing of the claims is read before the
 * signature is known to be right.
 */

#ifndef _LOYALTY_JWT_H_INCLUDED_
#define _LOYALTY_JWT_H_INCLUDED_


#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "loyalty_jwk.h"


#define LOYALTY_JWT_MAX  8192              /* most bytes of a token */


typedef enum {
    LOYALTY_JWT_OK = 0,
    LOYALTY_JWT_MALFORMED,                 /* no token of this form */
    LOYALTY_JWT_TOO_LARGE,
    LOYALTY_JWT_ALGORITHM,                 /* "none", and what is unknown */
    LOYALTY_JWT_CRITICAL,                  /* "crit" in the header */
    LOYALTY_JWT_KEY,                       /* no key for it */
    LOYALTY_JWT_SIGNATURE,
    LOYALTY_JWT_EXPIRED,                   /* also without "exp" */
    LOYALTY_JWT_EARLY,
    LOYALTY_JWT_ISSUER,
    LOYALTY_JWT_AUDIENCE,
    LOYALTY_JWT_STATUSES
} loyalty_jwt_e;


/* what is expected; len 0: nothing is said about it */

typedef struct {
    const char           *issuer;
    size_t                issuer_len;
    const char           *audience;
    size_t                audience_len;
    int64_t               leeway;          /* s */
} loyalty_jwt_rules_t;


/*
 * On LOYALTY_JWT_OK *claims is an object that is the caller's; NULL else.
 * now in seconds.  A token must say when it expires.  One that is for an
 * audience is refused where none is expected (RFC 7519, 4.1.3).
 */
loyalty_jwt_e loyalty_jwt_verify(const loyalty_jwks_t *keys,
    const loyalty_jwt_rules_t *rules, const void *token, size_t n,
    int64_t now, json_t **claims);

/* one word */
const char *loyalty_jwt_word(loyalty_jwt_e status);


/*
 * A claim by a name of small letters, digits and "_": first one of exactly
 * this name, then the only one that becomes it when its capitals are made
 * small and every other character "_".  NULL: none, or several.
 */
json_t *loyalty_jwt_claim(json_t *claims, const char *name, size_t n);


#endif /* _LOYALTY_JWT_H_INCLUDED_ */
