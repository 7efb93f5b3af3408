/*
 * Requests that the shop's servers sign:
 *
 *     Loyalty-Signature: t=1790000000,v1=HEX[,v1=HEX...]
 *
 * Each HEX is HMAC-SHA-256 under one key over the seconds as they are
 * written, a dot, and the request's bytes.  A server that changes its key
 * signs with both for a while, and nginx knows both.
 */

#ifndef _LOYALTY_SIGNATURE_H_INCLUDED_
#define _LOYALTY_SIGNATURE_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


#define LOYALTY_SIGNATURE_HEADER  1024     /* most bytes of the header */
#define LOYALTY_SIGNATURES        8        /* in one header */
#define LOYALTY_SIGNATURE_KEYS    8        /* in one file */
#define LOYALTY_SIGNATURE_ID      64
#define LOYALTY_SIGNATURE_KEY     32       /* least bytes of a key */
#define LOYALTY_SIGNATURE_KEY_MAX 64
#define LOYALTY_SIGNATURE_MAC     32


typedef struct {
    int64_t               t;               /* seconds since 1970 */
    const unsigned char  *text;            /* the same as it is written */
    size_t                len;
    unsigned              n;
    unsigned char         macs[LOYALTY_SIGNATURES][LOYALTY_SIGNATURE_MAC];
} loyalty_signature_t;


typedef struct {
    char                  id[LOYALTY_SIGNATURE_ID];
    size_t                id_len;
    void                 *mac;             /* holds the key */
} loyalty_signature_key_t;


typedef struct {
    loyalty_signature_key_t  keys[LOYALTY_SIGNATURE_KEYS];
    unsigned                 n;
} loyalty_signature_keys_t;


/*
 * The header's value: 0, or -1 for anything that is not of this form.  One
 * t and at least one v1, in any order; names that are not known are left for
 * later versions.
 */
int loyalty_signature_parse(loyalty_signature_t *s, const void *p, size_t n);

/*
 * A key file: lines "ID:HEX", and empty ones and those that begin with "#".
 * NULL, or what is wrong in the line *line (0: in none), without any byte
 * of the file.  keys is to be freed in either case.
 */
const char *loyalty_signature_keys_parse(loyalty_signature_keys_t *keys,
    const void *p, size_t n, unsigned *line);
void loyalty_signature_keys_free(loyalty_signature_keys_t *keys);

/*
 * Checks what comes in pieces against one key: begin, any number of updates,
 * and match: 1, or 0 when none of the signatures is the key's.  -1 is an
 * error of the library.  How long match takes does not depend on how much
 * of a signature is right.
 */
int loyalty_signature_begin(const loyalty_signature_t *s,
    loyalty_signature_key_t *key);
int loyalty_signature_update(loyalty_signature_key_t *key, const void *p,
    size_t n);
int loyalty_signature_match(const loyalty_signature_t *s,
    loyalty_signature_key_t *key);


#endif /* _LOYALTY_SIGNATURE_H_INCLUDED_ */
