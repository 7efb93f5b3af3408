/*
 * base64url without padding (RFC 4648, 5; RFC 7515, 2), read strictly: one
 * text for each sequence of bytes.
 */

#ifndef _LOYALTY_BASE64_H_INCLUDED_
#define _LOYALTY_BASE64_H_INCLUDED_


#include <stddef.h>


#define loyalty_base64url_size(n)  ((n) / 4 * 3 + 3)

/*
 * The number of bytes written to dst, which has loyalty_base64url_size(n),
 * or -1 for another alphabet, padding, a length that no bytes have, or bits
 * set behind the last byte.
 */
long loyalty_base64url_decode(unsigned char *dst, const void *p, size_t n);


#endif /* _LOYALTY_BASE64_H_INCLUDED_ */
