/*
 * Decimal numbers compared as they are written, exactly, whatever their
 * length: no floating point and no conversion stands between "0.1" and a
 * rule that asks for 0.1.
 */

#ifndef _LOYALTY_DECIMAL_H_INCLUDED_
#define _LOYALTY_DECIMAL_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


typedef struct {
    const unsigned char  *digits;      /* from the first that is not 0 */
    const unsigned char  *last;        /* behind the last digit */
    int64_t               magnitude;   /* the first digit stands for
                                          digit * 10^magnitude */
    int                   negative;
    int                   zero;
} loyalty_decimal_t;


/*
 * [-]digits[.digits]: 0, or -1 when it is anything else.  The decimal points
 * into s.
 */
int loyalty_decimal_parse(const unsigned char *s, size_t n,
    loyalty_decimal_t *d);

/* below 0, 0, above 0 as a is less than, equal to, greater than b */
int loyalty_decimal_cmp(const loyalty_decimal_t *a,
    const loyalty_decimal_t *b);


#endif /* _LOYALTY_DECIMAL_H_INCLUDED_ */
