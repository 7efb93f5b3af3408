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
    size_t                n;
    const uint8_t        *comma;
    loyalty_decimal_t     a, b;

    comma = size ? memchr(data, ',', size) : NULL;
    if (comma == NULL) {
        return 0;
    }

    n = comma - data;

    if (loyalty_decimal_parse(data, n, &a) != 0
        || loyalty_decimal_parse(comma + 1, size - n - 1, &b) != 0)
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
