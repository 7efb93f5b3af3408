/*
 * Decimal numbers compared as they are written.
 */

#include "loyalty_decimal.h"


static int loyalty_decimal_digit(const unsigned char **p,
    const unsigned char *last);


int
loyalty_decimal_parse(const unsigned char *s, size_t n, loyalty_decimal_t *d)
{
    int64_t               whole, zeros;
    const unsigned char  *p, *last, *point;

    if (n == 0) {
        return -1;
    }

    p = s;
    last = s + n;
    point = NULL;
    whole = 0;
    zeros = 0;

    d->negative = (p < last && *p == '-');
    d->digits = NULL;

    if (d->negative) {
        p++;
    }

    for (s = p; p < last; p++) {

        if (*p == '.' && point == NULL && p > s) {
            point = p;
            continue;
        }

        if (*p < '0' || *p > '9') {
            return -1;
        }

        whole += (point == NULL);

        if (d->digits == NULL) {

            if (*p == '0') {
                zeros++;

            } else {
                d->digits = p;
            }
        }
    }

    if (p == s || p - 1 == point) {
        return -1;
    }

    d->last = last;
    d->zero = (d->digits == NULL);
    d->magnitude = whole - 1 - zeros;

    return 0;
}


int
loyalty_decimal_cmp(const loyalty_decimal_t *a, const loyalty_decimal_t *b)
{
    int                   sign, x, y;
    const unsigned char  *p, *q;

    if (a->zero || b->zero) {
        x = a->zero ? 0 : (a->negative ? -1 : 1);
        y = b->zero ? 0 : (b->negative ? -1 : 1);

        return x - y;
    }

    if (a->negative != b->negative) {
        return a->negative ? -1 : 1;
    }

    sign = a->negative ? -1 : 1;

    if (a->magnitude != b->magnitude) {
        return a->magnitude < b->magnitude ? -sign : sign;
    }

    p = a->digits;
    q = b->digits;

    while (p < a->last || q < b->last) {
        x = loyalty_decimal_digit(&p, a->last);
        y = loyalty_decimal_digit(&q, b->last);

        if (x != y) {
            return x < y ? -sign : sign;
        }
    }

    return 0;
}


/* the next digit, 0 behind the end; the point is passed over */

static int
loyalty_decimal_digit(const unsigned char **p, const unsigned char *last)
{
    if (*p < last && **p == '.') {
        (*p)++;
    }

    if (*p >= last) {
        return 0;
    }

    return *(*p)++ - '0';
}
