/*
 * Any bytes as the header Loyalty-Signature and as a file of keys: what is
 * taken has a time and signatures that are written there.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "loyalty_signature.h"


#define CHECK(x)  do { if (!(x)) { abort(); } } while (0)


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_header(const uint8_t *data, size_t size);
static void fuzz_keys(const uint8_t *data, size_t size);


static void
fuzz_header(const uint8_t *data, size_t size)
{
    size_t               i;
    int64_t              t;
    loyalty_signature_t  s;

    if (loyalty_signature_parse(&s, data, size) != 0) {
        return;
    }

    CHECK(size <= LOYALTY_SIGNATURE_HEADER);
    CHECK(s.n >= 1 && s.n <= LOYALTY_SIGNATURES);
    CHECK(s.text >= data && s.text + s.len <= data + size);
    CHECK(s.text - data >= 2 && memcmp(s.text - 2, "t=", 2) == 0);

    for (i = 0, t = 0; i < s.len; i++) {
        t = t * 10 + (s.text[i] - '0');
    }

    CHECK(s.t == t && t > 0);
}


static void
fuzz_keys(const uint8_t *data, size_t size)
{
    unsigned                   line;
    const char                *error;
    loyalty_signature_t        s;
    loyalty_signature_keys_t   keys;

    static const char header[] = "t=1,v1=00000000000000000000000000000000"
                                 "00000000000000000000000000000000";

    error = loyalty_signature_keys_parse(&keys, data, size, &line);

    CHECK(keys.n <= LOYALTY_SIGNATURE_KEYS);
    CHECK(error != NULL || (keys.n > 0 && line == 0));
    CHECK(loyalty_signature_parse(&s, header, sizeof(header) - 1) == 0);

    if (error == NULL) {
        CHECK(loyalty_signature_begin(&s, &keys.keys[keys.n - 1]) == 0);
        CHECK(loyalty_signature_update(&keys.keys[keys.n - 1], data, size)
              == 0);
        CHECK(loyalty_signature_match(&s, &keys.keys[keys.n - 1]) == 0);
    }

    loyalty_signature_keys_free(&keys);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_header(data, size);
    fuzz_keys(data, size);

    return 0;
}
