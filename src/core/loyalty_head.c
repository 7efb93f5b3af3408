/*
 * The head of a member's value.  loyalty_head_parse() walks over all of it
 * once, so that what reads wallets and states afterwards cannot fail.
 */

#include "loyalty_head.h"
#include "loyalty_money.h"

#include <string.h>


#define LOYALTY_HEAD_NUMBERS  4        /* of a wallet */
#define LOYALTY_HEAD_TYPE     0xc1     /* marks the name of an event type */


static int loyalty_head_whole(loyalty_mpr_t *r, int64_t *i);
static int loyalty_head_count(loyalty_mpr_t *r, int64_t max, int64_t *i);
static int loyalty_head_hashes(loyalty_mpr_t *r, const unsigned char **p,
    uint32_t *n);
static int loyalty_head_wallets(loyalty_head_t *head, loyalty_mpr_t *r);
static int loyalty_head_slots(loyalty_head_t *head, loyalty_mpr_t *r);
static int loyalty_head_state(loyalty_mpr_t *r);


int
loyalty_head_parse(loyalty_head_t *head, const void *p, size_t n)
{
    int64_t        format;
    loyalty_mpr_t  r;

    loyalty_mpr_init(&r, p, n);

    if (loyalty_head_whole(&r, &format) != 0
        || format != LOYALTY_HEAD_FORMAT)
    {
        return -1;
    }

    if (loyalty_head_count(&r, LOYALTY_MAX_INT, &head->seq) != 0
        || loyalty_head_count(&r, LOYALTY_MAX_INT, &head->alias) != 0
        || loyalty_head_count(&r, head->seq, &head->oldest) != 0
        || loyalty_head_count(&r, LOYALTY_HEAD_RECORDS, &head->records) != 0
        || head->records > head->seq
        || loyalty_head_hashes(&r, &head->wallets, &head->nwallets) != 0
        || loyalty_head_hashes(&r, &head->slots, &head->nslots) != 0)
    {
        return -1;
    }

    if (loyalty_head_wallets(head, &r) != 0) {
        return -1;
    }

    return loyalty_head_slots(head, &r);
}


/* a number, where mpr_int would take nil and false for 0 */

static int
loyalty_head_whole(loyalty_mpr_t *r, int64_t *i)
{
    loyalty_mpr_t  ahead;
    loyalty_mpv_t  v;

    ahead = *r;

    if (loyalty_mpr_next(&ahead, &v) != 0
        || (v.type != LOYALTY_MP_INT && v.type != LOYALTY_MP_DOUBLE)
        || loyalty_mpr_int(r, i) != 0)
    {
        return -1;
    }

    return (*i >= -LOYALTY_MAX_INT && *i <= LOYALTY_MAX_INT) ? 0 : -1;
}


static int
loyalty_head_count(loyalty_mpr_t *r, int64_t max, int64_t *i)
{
    if (loyalty_head_whole(r, i) != 0) {
        return -1;
    }

    return (*i >= 0 && *i <= max) ? 0 : -1;
}


static int
loyalty_head_hashes(loyalty_mpr_t *r, const unsigned char **p, uint32_t *n)
{
    uint32_t  len;

    if (loyalty_mpr_str(r, p, &len) != 0 || len % LOYALTY_HEAD_HASH != 0) {
        return -1;
    }

    *n = len / LOYALTY_HEAD_HASH;

    return 0;
}


static int
loyalty_head_wallets(loyalty_head_t *head, loyalty_mpr_t *r)
{
    int64_t   number;
    uint32_t  i;

    head->numbers = *r;

    for (i = 0; i < head->nwallets * LOYALTY_HEAD_NUMBERS; i++) {
        if (loyalty_head_whole(r, &number) != 0) {
            return -1;
        }
    }

    head->numbers.end = r->pos;

    return 0;
}


static int
loyalty_head_slots(loyalty_head_t *head, loyalty_mpr_t *r)
{
    uint32_t  i;

    head->states = *r;

    for (i = 0; i < head->nslots; i++) {
        if (loyalty_head_state(r) != 0) {
            return -1;
        }
    }

    head->states.end = r->pos;

    return 0;
}


/*
 * Over one state: false, or a string of values.  Those who add its numbers
 * up rely on their range.
 */

static int
loyalty_head_state(loyalty_mpr_t *r)
{
    loyalty_mpv_t  v;
    loyalty_mpr_t  inner, ahead;

    if (loyalty_mpr_next(r, &v) != 0) {
        return -1;
    }

    if (v.type == LOYALTY_MP_BOOL && v.i == 0) {
        return 0;
    }

    if (v.type != LOYALTY_MP_STR) {
        return -1;
    }

    if (v.n > 0 && v.p[0] == LOYALTY_HEAD_TYPE) {
        return 0;
    }

    loyalty_mpr_init(&inner, v.p, v.n);
    ahead = inner;

    /* not nested deeper than a reader can skip */

    while (ahead.pos < ahead.end) {
        if (loyalty_mpr_skip(&ahead) != 0) {
            return -1;
        }
    }

    while (inner.pos < inner.end) {

        if (loyalty_mpr_next(&inner, &v) != 0) {
            return -1;
        }

        if (v.type == LOYALTY_MP_INT
            && (v.i > LOYALTY_MAX_INT || v.i < -LOYALTY_MAX_INT))
        {
            return -1;
        }
    }

    return 0;
}


int
loyalty_head_wallet(const loyalty_head_t *head, const unsigned char *hash,
    loyalty_account_t *account)
{
    uint32_t       i, k;
    loyalty_mpr_t  r;

    for (i = 0; i < head->nwallets; i++) {
        if (memcmp(&head->wallets[i * LOYALTY_HEAD_HASH], hash,
                   LOYALTY_HEAD_HASH)
            == 0)
        {
            break;
        }
    }

    memset(account, 0, sizeof(loyalty_account_t));

    if (i == head->nwallets) {
        return 0;
    }

    r = head->numbers;

    for (k = 0; k < i * LOYALTY_HEAD_NUMBERS; k++) {
        (void) loyalty_mpr_skip(&r);
    }

    (void) loyalty_mpr_int(&r, &account->balance);
    (void) loyalty_mpr_int(&r, &account->lifetime);
    (void) loyalty_mpr_int(&r, &account->opening);
    (void) loyalty_mpr_int(&r, &account->owed);

    return 1;
}


void
loyalty_head_states(const loyalty_head_t *head, loyalty_mpr_t *states)
{
    uint32_t       i;
    loyalty_mpr_t  r;
    loyalty_mpv_t  v;

    r = head->states;

    for (i = 0; i < head->nslots; i++) {
        states[i].pos = r.pos;
        states[i].end = r.pos;

        if (loyalty_mpr_next(&r, &v) == 0 && v.type == LOYALTY_MP_STR
            && v.n > 0 && v.p[0] != LOYALTY_HEAD_TYPE)
        {
            loyalty_mpr_init(&states[i], v.p, v.n);
        }
    }
}
