/*
 * base64url: decoders at hand take padding, and bits that belong to no
 * byte, so that many texts stand for one token; this one does not.
 */

#include "loyalty_base64.h"

#include <stdint.h>


static int loyalty_base64url_value(unsigned char c);


long
loyalty_base64url_decode(unsigned char *dst, const void *p, size_t n)
{
    int                   value;
    size_t                i;
    uint32_t              bits;
    unsigned              have;
    unsigned char        *start;
    const unsigned char  *s;

    s = p;
    start = dst;
    bits = 0;
    have = 0;

    for (i = 0; i < n; i++) {

        value = loyalty_base64url_value(s[i]);
        if (value < 0) {
            return -1;
        }

        bits = (bits << 6 | (uint32_t) value) & 0xffff;
        have += 6;

        if (have >= 8) {
            have -= 8;
            *dst++ = (unsigned char) (bits >> have);
        }
    }

    /* 6 bits left over are one character too many */

    if (have == 6 || (bits & ((1U << have) - 1)) != 0) {
        return -1;
    }

    return dst - start;
}


static int
loyalty_base64url_value(unsigned char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }

    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }

    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }

    if (c == '-') {
        return 62;
    }

    return (c == '_') ? 63 : -1;
}
