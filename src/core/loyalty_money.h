/*
 * Decimal amounts, held exactly as whole numbers of the smallest unit.
 */

#ifndef _LOYALTY_MONEY_H_INCLUDED_
#define _LOYALTY_MONEY_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


#define LOYALTY_MAX_INT          9007199254740991LL      /* 2^53 - 1 */
#define LOYALTY_MONEY_LEN        32      /* room for any formatted amount */

#define LOYALTY_MONEY_OK         0
#define LOYALTY_MONEY_SYNTAX    -1       /* not digits[.digits] */
#define LOYALTY_MONEY_SCALE     -2       /* more decimals than the scale */
#define LOYALTY_MONEY_RANGE     -3       /* over 2^53 - 1 units */


/*
 * "12.5" with scale 2 (0 to 15) is 1250 units.  No sign, no exponent, no
 * spaces, at least one digit on both sides of a dot; leading zeros only in
 * "0" and "0.x"; trailing zeros past the scale are a SCALE error too.
 * Of several errors the first in the order above is told.
 */
int loyalty_money_parse(const unsigned char *s, size_t n, unsigned scale,
    int64_t *units);

/* writes "12.50" for 1250 at scale 2, "-0.05" for -5; returns the length */
size_t loyalty_money_format(unsigned char *dst, int64_t units,
    unsigned scale);

/*
 * A decimal as a fraction in lowest terms: "1.25" is 5/4; at most 9
 * decimals; same errors as above (SCALE: over 9 decimals).
 */
int loyalty_decimal_fraction(const unsigned char *s, size_t n, int64_t *num,
    int64_t *den);


#endif /* _LOYALTY_MONEY_H_INCLUDED_ */
