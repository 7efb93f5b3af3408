/*
 * Any bytes as a timestamp's response and as a token: libcrypto parses, and
 * nothing that it says makes our side read elsewhere.  What is taken is a
 * part of what was given, and no error is left behind.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "loyalty_tsa.h"


#define CHECK(x)  do { if (!(x)) { abort(); } } while (0)


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_outcome(int rc, loyalty_tsa_t *tsa, const uint8_t *data,
    size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    loyalty_tsa_t  tsa;

    static const uint8_t  hash[LOYALTY_TSA_HASH] = { 1, 2, 3 };
    static const uint8_t  nonce[LOYALTY_TSA_NONCE] = { 0xff, 1, 2, 3 };

    fuzz_outcome(loyalty_tsa_response(&tsa, data, size, hash, NULL, NULL),
                 &tsa, data, size);
    fuzz_outcome(loyalty_tsa_response(&tsa, data, size, hash, nonce, NULL),
                 &tsa, data, size);
    fuzz_outcome(loyalty_tsa_token(&tsa, data, size, hash, nonce, NULL),
                 &tsa, data, size);

    return 0;
}


static void
fuzz_outcome(int rc, loyalty_tsa_t *tsa, const uint8_t *data, size_t size)
{
    CHECK(rc == 0 || rc == -1);
    CHECK(ERR_peek_error() == 0);

    if (rc == 0) {
        CHECK(tsa->error[0] == '\0' && tsa->len > 0);
        CHECK(tsa->token >= data && tsa->token + tsa->len <= data + size);

    } else {
        CHECK(tsa->error[0] != '\0' && tsa->token == NULL && tsa->time == 0);
        CHECK(memchr(tsa->error, '\0', LOYALTY_TSA_ERROR) != NULL);
    }
}
