/*
 * The head of a member's value (docs/internals.md), taken apart for reading.
 * The bytes come from a store that others may have touched: everything is
 * checked before it is used, and nothing is read past the end.
 */

#ifndef _LOYALTY_HEAD_H_INCLUDED_
#define _LOYALTY_HEAD_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>

#include "loyalty_msgpack.h"


#define LOYALTY_HEAD_FORMAT   1
#define LOYALTY_HEAD_RECORDS  16       /* most records in the string */
#define LOYALTY_HEAD_HASH     4        /* bytes of a wallet's, a slot's name */


typedef struct {
    int64_t               seq;         /* of the newest record */
    int64_t               alias;
    int64_t               oldest;      /* in the overflow, 0: none */
    int64_t               records;     /* in the string */
    uint32_t              nwallets;
    const unsigned char  *wallets;     /* hashes */
    loyalty_mpr_t         numbers;     /* 4 for each wallet */
    uint32_t              nslots;
    const unsigned char  *slots;       /* hashes */
    loyalty_mpr_t         states;      /* one for each slot */
} loyalty_head_t;


typedef struct {
    int64_t               balance;
    int64_t               lifetime;
    int64_t               opening;
    int64_t               owed;
} loyalty_account_t;


/*
 * 0, or -1 for anything but a head of this format.  What head points into
 * is p; it ends where its states do, and records follow.
 */
int loyalty_head_parse(loyalty_head_t *head, const void *p, size_t n);

/* 1, or 0 and zeros where the member has no such wallet */
int loyalty_head_wallet(const loyalty_head_t *head,
    const unsigned char *hash, loyalty_account_t *account);

/*
 * The state of each slot as a reader of its own; states has room for nslots.
 * It is over the state's values; false and the name of an event type give
 * an empty reader: pos is end.
 */
void loyalty_head_states(const loyalty_head_t *head, loyalty_mpr_t *states);


#endif /* _LOYALTY_HEAD_H_INCLUDED_ */
