/*
 * Any bytes as a decimal amount: what is taken is the number that is
 * written there, and comes back as the same text but for trailing zeros.
 * The first byte is the scale.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "loyalty_money.h"


#define CHECK(x)  do { if (!(x)) { abort(); } } while (0)


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_amount(const uint8_t *s, size_t n, unsigned scale);
static void fuzz_fraction(const uint8_t *s, size_t n);
static void fuzz_format(const uint8_t *s, size_t n, unsigned scale);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned  scale;

    if (size == 0) {
        return 0;
    }

    scale = data[0] % 20;

    fuzz_amount(data + 1, size - 1, scale);
    fuzz_fraction(data + 1, size - 1);
    fuzz_format(data + 1, size - 1, scale);

    return 0;
}


static void
fuzz_amount(const uint8_t *s, size_t n, unsigned scale)
{
    int            rc;
    size_t         len;
    int64_t        units, again;
    unsigned char  buf[LOYALTY_MONEY_LEN];

    units = -1;
    rc = loyalty_money_parse(s, n, scale, &units);

    if (rc != LOYALTY_MONEY_OK) {
        CHECK(rc == LOYALTY_MONEY_SYNTAX || rc == LOYALTY_MONEY_SCALE
              || rc == LOYALTY_MONEY_RANGE);
        CHECK(units == -1);
        return;
    }

    CHECK(scale <= 15 && units >= 0 && units <= LOYALTY_MAX_INT);

    len = loyalty_money_format(buf, units, scale);
    CHECK(len <= sizeof(buf) && len >= n && memcmp(buf, s, n) == 0);

    /* what was added is ".00" or some of it */

    for ( /* void */ ; n < len; n++) {
        CHECK(buf[n] == '0' || buf[n] == '.');
    }

    CHECK(loyalty_money_parse(buf, len, scale, &again) == LOYALTY_MONEY_OK);
    CHECK(again == units);
}


static void
fuzz_fraction(const uint8_t *s, size_t n)
{
    int      rc, plain;
    int64_t  num, den, units, rest, a, b;

    num = -1;
    den = -1;
    rc = loyalty_decimal_fraction(s, n, &num, &den);
    plain = loyalty_money_parse(s, n, 9, &units);

    CHECK((rc == LOYALTY_MONEY_SYNTAX) == (plain == LOYALTY_MONEY_SYNTAX));
    CHECK((rc == LOYALTY_MONEY_SCALE) == (plain == LOYALTY_MONEY_SCALE));

    if (rc != LOYALTY_MONEY_OK) {
        CHECK(num == -1 && den == -1);
        CHECK(plain != LOYALTY_MONEY_OK);
        return;
    }

    CHECK(num >= 0 && num <= LOYALTY_MAX_INT);
    CHECK(den >= 1 && 1000000000 % den == 0);

    for (a = num, b = den; b != 0; a = b, b = rest) {
        rest = a % b;
    }

    CHECK(a == 1);

    if (plain == LOYALTY_MONEY_OK) {
        CHECK(num * (1000000000 / den) == units);
    }
}


/* any number, not only one that was parsed */

static void
fuzz_format(const uint8_t *s, size_t n, unsigned scale)
{
    size_t         i, len, dots;
    int64_t        units;
    unsigned char  buf[LOYALTY_MONEY_LEN];

    units = 0;
    memcpy(&units, s, n < sizeof(units) ? n : sizeof(units));
    len = loyalty_money_format(buf, units, scale);
    CHECK(len >= 1 && len <= sizeof(buf));
    CHECK((buf[0] == '-') == (units < 0));

    for (i = (units < 0), dots = 0; i < len; i++) {
        CHECK((buf[i] >= '0' && buf[i] <= '9') || buf[i] == '.');
        dots += (buf[i] == '.');
    }

    CHECK(dots == (scale > 0));
}
