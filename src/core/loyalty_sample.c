/*
 * From random bytes to numbers without a bias, and from numbers to prizes.
 */

#include "loyalty_draw.h"

#include <string.h>


#define LOYALTY_WORDS   5
#define LOYALTY_WORD48  (1ULL << 48)


static uint64_t loyalty_word48(const unsigned char *p);


/*
 * 2^64 is divided into as many whole runs of n as there are; what is left
 * over at the end, 2^64 mod n, is not accepted.
 */

int
loyalty_pick(const loyalty_hmac_t *key, const char *tag, uint32_t p,
    uint64_t n, uint32_t *a, uint64_t *x)
{
    uint32_t        attempt;
    uint64_t        over, word;
    loyalty_sha_t   prefix, s;
    unsigned char   hash[LOYALTY_HASH];

    if (n == 0) {
        return -1;
    }

    over = (UINT64_MAX - n + 1) % n;

    loyalty_hmac_init(&prefix, key);
    loyalty_sha_tag(&prefix, tag);
    loyalty_sha_u32(&prefix, p);

    for (attempt = *a; attempt < LOYALTY_ATTEMPTS_MAX; attempt++) {
        s = prefix;
        loyalty_sha_u32(&s, attempt);

        if (loyalty_hmac_final(&s, key, hash) != 0) {
            return -1;
        }

        word = loyalty_get_u64(hash);

        if (word <= UINT64_MAX - over) {
            *a = attempt;
            *x = word % n;

            return 0;
        }
    }

    return LOYALTY_EXHAUSTED;
}


static uint64_t
loyalty_word48(const unsigned char *p)
{
    return (uint64_t) loyalty_get_u16(p) << 32 | loyalty_get_u32(p + 2);
}


int
loyalty_pick48(const unsigned char *u, uint64_t n, uint64_t *r)
{
    size_t    i;
    uint64_t  word, limit;

    if (n == 0 || n > LOYALTY_WORD48) {
        return -1;
    }

    limit = LOYALTY_WORD48 / n * n;

    for (i = 0; i < LOYALTY_WORDS; i++) {
        word = loyalty_word48(u + 6 * i);

        if (word < limit) {
            *r = word % n;
            return 0;
        }
    }

    return LOYALTY_CTR;
}


void
loyalty_odds_lowest(uint64_t *num, uint64_t *den)
{
    uint64_t  a, b, rest;

    a = *num;
    b = *den;

    while (b != 0) {
        rest = a % b;
        a = b;
        b = rest;
    }

    if (a > 1) {
        *num /= a;
        *den /= a;
    }
}


int
loyalty_odds(const loyalty_prize_t *prizes, size_t count, uint64_t *n,
    uint64_t *weights)
{
    size_t    i;
    uint64_t  num, den, common, step, rest, sum;

    if (count == 0 || count > LOYALTY_PRIZES_MAX) {
        return -1;
    }

    common = 1;

    for (i = 0; i < count; i++) {
        num = prizes[i].num;
        den = prizes[i].den;

        if (num == 0 || num > den) {
            return -1;
        }

        loyalty_odds_lowest(&num, &den);

        if (den >= LOYALTY_ODDS_MAX) {
            return -1;
        }

        /* lcm = common * (den / gcd); both are under 2^40 */

        step = den;
        rest = common;
        loyalty_odds_lowest(&rest, &step);

        if (step > (LOYALTY_ODDS_MAX - 1) / common) {
            return -1;
        }

        common *= step;
    }

    sum = 0;

    for (i = 0; i < count; i++) {
        num = prizes[i].num;
        den = prizes[i].den;
        loyalty_odds_lowest(&num, &den);

        weights[i] = num * (common / den);
        sum += weights[i];

        if (sum > common) {
            return -1;
        }
    }

    *n = common;

    return 0;
}


size_t
loyalty_walk(const uint64_t *weights, size_t count, uint64_t r)
{
    size_t  i;

    for (i = 0; i < count; i++) {
        if (r < weights[i]) {
            return i;
        }

        r -= weights[i];
    }

    return count;
}
