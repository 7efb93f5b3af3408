/*
 * Signatures of drand quicknet: BLS12-381, the signature in G1, the public
 * key in G2, the message is SHA-256 of the round's number.
 *
 * Pairings are the business of a library, blst, which many systems do not
 * package; where configure does not find it this cannot tell right from
 * wrong, and says so.
 */

#ifndef _LOYALTY_BLS_H_INCLUDED_
#define _LOYALTY_BLS_H_INCLUDED_


#include <stdint.h>


/* 1: it can tell */
int loyalty_bls(void);

/* 0: quicknet signed the round so, 48 bytes; -1: it did not, or who knows */
int loyalty_bls_verify(uint64_t round, const unsigned char *sig);


#endif /* _LOYALTY_BLS_H_INCLUDED_ */
