/*
 * The head of a member's value from any bytes: what is accepted can be read,
 * and lies within them.
 */

#include <stdint.h>
#include <stdlib.h>

#include "loyalty_head.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t           i;
    loyalty_mpr_t     *states;
    loyalty_head_t     head;
    loyalty_account_t  account;

    if (loyalty_head_parse(&head, data, size) != 0) {
        return 0;
    }

    for (i = 0; i < head.nwallets; i++) {
        if (loyalty_head_wallet(&head,
                                head.wallets + i * LOYALTY_HEAD_HASH,
                                &account)
            != 1)
        {
            abort();
        }
    }

    if (head.nslots == 0) {
        return 0;
    }

    states = malloc(head.nslots * sizeof(loyalty_mpr_t));
    if (states == NULL) {
        return 0;
    }

    loyalty_head_states(&head, states);

    for (i = 0; i < head.nslots; i++) {
        if (states[i].pos < data || states[i].pos > states[i].end
            || states[i].end > data + size)
        {
            abort();
        }

        while (states[i].pos < states[i].end) {
            if (loyalty_mpr_skip(&states[i]) != 0) {
                abort();
            }
        }
    }

    free(states);

    return 0;
}
