/*
 * The head of a member's value.  loyalty_head_parse() walks over all of it
 * once, so that what reads wallets and states afterwards cannot fail.
 */

#include "loyalty_head.h"
#include "loyalty_money.h"

#include <string.h>


#define LOYALTY_HEAD_NUMBERS  4        /* of a wallet */


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


/* over one state; those who add its numbers up rely on their range */

static int
loyalty_head_state(loyalty_mpr_t *r)
{
    uint64_t              left;
    loyalty_mpv_t         v;
    const unsigned char  *start;

    start = r->pos;

    for (left = 1; left > 0; left--) {

        if (loyalty_mpr_next(r, &v) != 0) {
            return -1;
        }

        if (v.type == LOYALTY_MP_INT
            && (v.i > LOYALTY_MAX_INT || v.i < -LOYALTY_MAX_INT))
        {
            return -1;
        }

        if (v.type == LOYALTY_MP_ARRAY) {
            left += v.n;

        } else if (v.type == LOYALTY_MP_MAP) {
            left += 2 * (uint64_t) v.n;
        }
    }

    /* not nested deeper than loyalty_head_states() can skip */

    r->pos = start;

    return loyalty_mpr_skip(r);
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
    loyalty_mpr_t  r, ahead;
    loyalty_mpv_t  v;

    r = head->states;

    for (i = 0; i < head->nslots; i++) {
        states[i].pos = r.pos;

        (void) loyalty_mpr_skip(&r);
        states[i].end = r.pos;

        ahead = states[i];

        if (loyalty_mpr_next(&ahead, &v) == 0
            && (v.type == LOYALTY_MP_NIL
                || (v.type == LOYALTY_MP_BOOL && v.i == 0)))
        {
            states[i].pos = states[i].end;
        }
    }
}
