/*
 * Decimal amounts.  Money never passes through floating point: the digits
 * of the text become whole units of the program's smallest coin, and an
 * amount that does not fit exactly is an error, not a rounded number.
 */

#include "loyalty_money.h"


#define LOYALTY_MONEY_MAX_SCALE      15      /* 10^15 < 2^53 */
#define LOYALTY_FRACTION_MAX_SCALE   9


/* the digits of a decimal before and after its dot */
typedef struct {
    const unsigned char  *whole;
    const unsigned char  *fraction;
    size_t                nwhole;
    size_t                nfraction;
} loyalty_digits_t;


static int loyalty_digits_split(loyalty_digits_t *d,
    const unsigned char *s, size_t n);
static int loyalty_digits_add(uint64_t *v, const unsigned char *s, size_t n);
static uint64_t loyalty_gcd(uint64_t a, uint64_t b);


int
loyalty_money_parse(const unsigned char *s, size_t n, unsigned scale,
    int64_t *units)
{
    size_t             zeros;
    uint64_t           v;
    loyalty_digits_t  d;

    if (loyalty_digits_split(&d, s, n) != 0) {
        return LOYALTY_MONEY_SYNTAX;
    }

    if (scale > LOYALTY_MONEY_MAX_SCALE || d.nfraction > scale) {
        return LOYALTY_MONEY_SCALE;
    }

    v = 0;

    if (loyalty_digits_add(&v, d.whole, d.nwhole) != 0
        || loyalty_digits_add(&v, d.fraction, d.nfraction) != 0)
    {
        return LOYALTY_MONEY_RANGE;
    }

    zeros = scale - d.nfraction;

    if (loyalty_digits_add(&v, (const unsigned char *) "000000000000000",
                           zeros)
        != 0
        || v > LOYALTY_MAX_INT)
    {
        return LOYALTY_MONEY_RANGE;
    }

    *units = (int64_t) v;

    return LOYALTY_MONEY_OK;
}


static int
loyalty_digits_split(loyalty_digits_t *d, const unsigned char *s, size_t n)
{
    size_t  i;

    for (i = 0; i < n && s[i] >= '0' && s[i] <= '9'; i++) { /* void */ }

    if (i == 0 || (i > 1 && s[0] == '0')) {
        return -1;
    }

    d->whole = s;
    d->nwhole = i;
    d->fraction = s + i;
    d->nfraction = 0;

    if (i == n) {
        return 0;
    }

    if (s[i] != '.') {
        return -1;
    }

    d->fraction = s + i + 1;

    for (i++; i < n && s[i] >= '0' && s[i] <= '9'; i++) {
        d->nfraction++;
    }

    return (i == n && d->nfraction > 0) ? 0 : -1;
}


/* v = v followed by n digits; -1 when it would pass 2^63 */

static int
loyalty_digits_add(uint64_t *v, const unsigned char *s, size_t n)
{
    size_t    i;
    uint64_t  u;

    u = *v;

    for (i = 0; i < n; i++) {

        if (u > (INT64_MAX - 9) / 10) {
            return -1;
        }

        u = u * 10 + (uint64_t) (s[i] - '0');
    }

    *v = u;

    return 0;
}


size_t
loyalty_money_format(unsigned char *dst, int64_t units, unsigned scale)
{
    size_t          len;
    unsigned        digits;
    uint64_t        u;
    unsigned char   buf[LOYALTY_MONEY_LEN];
    unsigned char  *p;

    if (scale > LOYALTY_MONEY_MAX_SCALE) {
        scale = LOYALTY_MONEY_MAX_SCALE;
    }

    u = (units < 0) ? 0 - (uint64_t) units : (uint64_t) units;
    p = buf + sizeof(buf);
    digits = 0;

    /* from the last digit on, with at least one before the dot */

    while (u > 0 || digits <= scale) {

        if (digits == scale && scale > 0) {
            *--p = '.';
        }

        *--p = (unsigned char) ('0' + u % 10);
        u /= 10;
        digits++;
    }

    if (units < 0) {
        *--p = '-';
    }

    len = 0;

    while (p < buf + sizeof(buf)) {
        dst[len++] = *p++;
    }

    return len;
}


int
loyalty_decimal_fraction(const unsigned char *s, size_t n, int64_t *num,
    int64_t *den)
{
    size_t             i;
    uint64_t           v, power, common;
    loyalty_digits_t  d;

    if (loyalty_digits_split(&d, s, n) != 0) {
        return LOYALTY_MONEY_SYNTAX;
    }

    if (d.nfraction > LOYALTY_FRACTION_MAX_SCALE) {
        return LOYALTY_MONEY_SCALE;
    }

    while (d.nfraction > 0 && d.fraction[d.nfraction - 1] == '0') {
        d.nfraction--;
    }

    v = 0;

    if (loyalty_digits_add(&v, d.whole, d.nwhole) != 0
        || loyalty_digits_add(&v, d.fraction, d.nfraction) != 0)
    {
        return LOYALTY_MONEY_RANGE;
    }

    for (power = 1, i = 0; i < d.nfraction; i++) {
        power *= 10;
    }

    common = loyalty_gcd(v, power);
    v /= common;

    if (v > LOYALTY_MAX_INT) {
        return LOYALTY_MONEY_RANGE;
    }

    *num = (int64_t) v;
    *den = (int64_t) (power / common);

    return LOYALTY_MONEY_OK;
}


static uint64_t
loyalty_gcd(uint64_t a, uint64_t b)
{
    uint64_t  rest;

    while (b != 0) {
        rest = a % b;
        a = b;
        b = rest;
    }

    return a;
}
