/*
 * Any bytes as a relay's answer for a round: what is taken is of that round,
 * and its randomness is that of its signature.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "loyalty_beacon.h"
#include "loyalty_hash.h"


#define CHECK(x)  do { if (!(x)) { abort(); } } while (0)

#define ROUND  1000


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t           *copy;
    const char        *error;
    unsigned char      b[LOYALTY_HASH];
    loyalty_beacon_t   beacon;

    copy = malloc(size ? size : 1);
    CHECK(copy != NULL);

    memcpy(copy, data, size);
    error = NULL;

    if (loyalty_beacon_parse(&beacon, copy, size, ROUND, &error) != 0) {
        CHECK(error != NULL);
        free(copy);
        return 0;
    }

    CHECK(size <= LOYALTY_BEACON_JSON);
    CHECK(beacon.round == ROUND);

    memcpy(b, beacon.b, sizeof(b));
    CHECK(loyalty_beacon_set(&beacon, ROUND, beacon.sig, 0) == 0);
    CHECK(memcmp(b, beacon.b, sizeof(b)) == 0);

    free(copy);

    return 0;
}
