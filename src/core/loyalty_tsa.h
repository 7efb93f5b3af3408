/*
 * RFC 3161 timestamps: a request for a SHA-256 hash, and what came back,
 * checked with libcrypto.
 *
 * A token is taken when it is over this hash, answers this request where
 * there was one, and is signed by exactly one certificate for timestamping,
 * which is in it.  With trusted authorities that certificate has to chain to
 * one of them, and to have been valid at the token's time; without them
 * anybody may have signed, and those who verify a draw say whom they trust.
 */

#ifndef _LOYALTY_TSA_H_INCLUDED_
#define _LOYALTY_TSA_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


#define LOYALTY_TSA_HASH     32              /* bytes of SHA-256 */
#define LOYALTY_TSA_NONCE    8
#define LOYALTY_TSA_REQUEST  128             /* at most */
#define LOYALTY_TSA_SIZE     65536           /* most bytes of a response */
#define LOYALTY_TSA_ERROR    256             /* bytes of an error, with '\0' */


typedef struct {
    int64_t               time;              /* its genTime, ms since 1970;
                                                parts of a ms are dropped */
    const unsigned char  *token;             /* DER, in what was given */
    size_t                len;
    char                  error[LOYALTY_TSA_ERROR];
} loyalty_tsa_t;


/* a TimeStampReq with certReq: its length; 0 when libcrypto fails */
size_t loyalty_tsa_request(unsigned char *dst, const unsigned char *hash,
    const unsigned char *nonce);

/*
 * A TimeStampResp, and a token without one around it.  0, or -1 and error
 * says in words why it is not taken.  trust may be NULL, nonce too: then it
 * is not looked at.
 */
int loyalty_tsa_response(loyalty_tsa_t *tsa, const unsigned char *der,
    size_t n, const unsigned char *hash, const unsigned char *nonce,
    void *trust);
int loyalty_tsa_token(loyalty_tsa_t *tsa, const unsigned char *der, size_t n,
    const unsigned char *hash, const unsigned char *nonce, void *trust);

/* the authorities in a file of PEM certificates; NULL: none could be read */
void *loyalty_tsa_trust(const char *file);
void loyalty_tsa_trust_free(void *trust);


#endif /* _LOYALTY_TSA_H_INCLUDED_ */
