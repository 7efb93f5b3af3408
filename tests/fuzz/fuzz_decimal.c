/*
 * Two texts as decimal numbers: parsing stays inside them, and comparing
 * says the opposite the other way round.
 */

#include <stdlib.h>
#include <string.h>

#include "loyalty_decimal.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static int
sign(int n)
{
    return (n > 0) - (n < 0);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                   exponent;
    size_t                n;
    const uint8_t        *comma;
    loyalty_decimal_t     a, b;

    if (size < 2) {
        return 0;
    }

    exponent = data[0] & 1;
    data++;
    size--;

    comma = memchr(data, ',', size);
    if (comma == NULL) {
        return 0;
    }

    n = comma - data;

    if (loyalty_decimal_parse(data, n, exponent, &a) != 0
        || loyalty_decimal_parse(comma + 1, size - n - 1, exponent, &b) != 0)
    {
        return 0;
    }

    if (loyalty_decimal_cmp(&a, &a) != 0
        || loyalty_decimal_cmp(&b, &b) != 0
        || sign(loyalty_decimal_cmp(&a, &b))
           != -sign(loyalty_decimal_cmp(&b, &a)))
    {
        abort();
    }

    return 0;
}
