/*
 * Merkle trees of RFC 6962.  The tree over n leaves divides at the largest
 * power of two below n; so its perfect subtrees are those of the bits of n,
 * and one more leaf is an addition with carry.
 */

#include "loyalty_merkle.h"

#include <string.h>


#define LOYALTY_MERKLE_NOT_SENT  UINT32_MAX      /* a part of no proof */


static void loyalty_merkle_parts(loyalty_merkle_prover_t *prover,
    uint64_t index, uint64_t size);
static void loyalty_merkle_part(loyalty_merkle_prover_t *prover,
    unsigned i, uint64_t start, uint64_t end, unsigned order);
static int loyalty_merkle_part_end(loyalty_merkle_prover_t *prover);
static void loyalty_merkle_up(uint64_t *fn, uint64_t *sn);


int
loyalty_merkle_leaf(unsigned char *dst, const void *d, size_t n)
{
    loyalty_sha_t  s;

    loyalty_sha_init(&s);
    loyalty_sha_u8(&s, 0);
    loyalty_sha_raw(&s, d, n);

    return loyalty_sha_final(&s, dst);
}


int
loyalty_merkle_node(unsigned char *dst, const unsigned char *left,
    const unsigned char *right)
{
    unsigned char  buf[1 + 2 * LOYALTY_HASH];

    buf[0] = 1;
    memcpy(buf + 1, left, LOYALTY_HASH);
    memcpy(buf + 1 + LOYALTY_HASH, right, LOYALTY_HASH);

    return loyalty_sha(dst, buf, sizeof(buf));
}


void
loyalty_merkle_init(loyalty_merkle_t *tree)
{
    tree->size = 0;
}


int
loyalty_merkle_append(loyalty_merkle_t *tree, const unsigned char *leaf)
{
    return loyalty_merkle_append_subtree(tree, 0, leaf);
}


int
loyalty_merkle_append_record(loyalty_merkle_t *tree, const void *d, size_t n)
{
    unsigned char  leaf[LOYALTY_HASH];

    if (loyalty_merkle_leaf(leaf, d, n) != 0) {
        return -1;
    }

    return loyalty_merkle_append(tree, leaf);
}


int
loyalty_merkle_append_subtree(loyalty_merkle_t *tree, unsigned level,
    const unsigned char *root)
{
    uint64_t       leaves;
    unsigned char  hash[LOYALTY_HASH];

    if (level >= LOYALTY_MERKLE_LEVELS) {
        return -1;
    }

    leaves = 1ULL << level;

    if (tree->size % leaves != 0
        || tree->size >= LOYALTY_MERKLE_SIZE_MAX - leaves)
    {
        return -1;
    }

    memcpy(hash, root, LOYALTY_HASH);

    for ( /* void */ ; tree->size >> level & 1; level++) {
        if (loyalty_merkle_node(hash, tree->node[level], hash) != 0) {
            return -1;
        }
    }

    memcpy(tree->node[level], hash, LOYALTY_HASH);
    tree->size += leaves;

    return 0;
}


int
loyalty_merkle_root(const loyalty_merkle_t *tree, unsigned char *dst)
{
    int       some;
    unsigned  level;

    if (tree->size == 0) {
        return loyalty_sha(dst, NULL, 0);
    }

    some = 0;

    for (level = 0; level < LOYALTY_MERKLE_LEVELS; level++) {

        if ((tree->size >> level & 1) == 0) {
            continue;
        }

        if (!some) {
            memcpy(dst, tree->node[level], LOYALTY_HASH);
            some = 1;

        } else if (loyalty_merkle_node(dst, tree->node[level], dst) != 0) {
            return -1;
        }
    }

    return 0;
}


size_t
loyalty_merkle_write(const loyalty_merkle_t *tree, unsigned char *dst)
{
    unsigned        level;
    unsigned char  *p;

    p = loyalty_put_u64(dst, tree->size);

    for (level = LOYALTY_MERKLE_LEVELS; level > 0; level--) {
        if (tree->size >> (level - 1) & 1) {
            memcpy(p, tree->node[level - 1], LOYALTY_HASH);
            p += LOYALTY_HASH;
        }
    }

    return (size_t) (p - dst);
}


int
loyalty_merkle_read(loyalty_merkle_t *tree, const unsigned char *p, size_t n)
{
    unsigned  level;
    uint64_t  size;

    if (n < 8) {
        return -1;
    }

    size = loyalty_get_u64(p);
    p += 8;
    n -= 8;

    if (size >= LOYALTY_MERKLE_SIZE_MAX) {
        return -1;
    }

    for (level = LOYALTY_MERKLE_LEVELS; level > 0; level--) {

        if ((size >> (level - 1) & 1) == 0) {
            continue;
        }

        if (n < LOYALTY_HASH) {
            return -1;
        }

        memcpy(tree->node[level - 1], p, LOYALTY_HASH);
        p += LOYALTY_HASH;
        n -= LOYALTY_HASH;
    }

    tree->size = size;

    return n == 0 ? 0 : -1;
}


int
loyalty_merkle_prover_path(loyalty_merkle_prover_t *prover, uint64_t index,
    uint64_t size)
{
    if (size >= LOYALTY_MERKLE_SIZE_MAX || index >= size) {
        return -1;
    }

    loyalty_merkle_parts(prover, index, size);

    return 0;
}


/*
 * Down from the root to the leaf: what lies beside the way is the proof, the
 * deepest first.  The parts are put in the order of their leaves, those to the
 * left in front and those to the right at the end, to be moved up.
 */

static void
loyalty_merkle_parts(loyalty_merkle_prover_t *prover, uint64_t index,
    uint64_t size)
{
    uint64_t  start, end, half;
    unsigned  i, depth, left, right;

    prover->size = size;
    prover->at = 0;
    prover->part = 0;
    loyalty_merkle_init(&prover->tree);

    start = 0;
    end = size;
    depth = 0;
    left = 0;
    right = LOYALTY_MERKLE_PROOF + 1;

    while (end - start > 1) {

        for (half = 1; half < end - start - half; half *= 2) { /* void */ }

        if (index < start + half) {
            right--;
            loyalty_merkle_part(prover, right, start + half, end, depth);
            end = start + half;

        } else {
            loyalty_merkle_part(prover, left, start, start + half, depth);
            left++;
            start += half;
        }

        depth++;
    }

    loyalty_merkle_part(prover, left, start, end, LOYALTY_MERKLE_NOT_SENT);
    left++;

    for ( /* void */ ; right <= LOYALTY_MERKLE_PROOF; right++, left++) {
        loyalty_merkle_part(prover, left, prover->start[right],
                            prover->end[right], prover->order[right]);
    }

    prover->count = left;

    for (i = 0; i < left; i++) {
        if (prover->order[i] != LOYALTY_MERKLE_NOT_SENT) {
            prover->order[i] = depth - 1 - prover->order[i];
        }
    }
}


static void
loyalty_merkle_part(loyalty_merkle_prover_t *prover, unsigned i,
    uint64_t start, uint64_t end, unsigned order)
{
    prover->start[i] = start;
    prover->end[i] = end;
    prover->order[i] = order;
}


int
loyalty_merkle_prover_append(loyalty_merkle_prover_t *prover,
    const unsigned char *leaf)
{
    return loyalty_merkle_prover_append_subtree(prover, 0, leaf);
}


int
loyalty_merkle_prover_fits(const loyalty_merkle_prover_t *prover,
    unsigned level)
{
    uint64_t  leaves;

    if (level >= LOYALTY_MERKLE_LEVELS || prover->part == prover->count) {
        return 0;
    }

    leaves = 1ULL << level;

    return prover->tree.size % leaves == 0
           && leaves <= prover->end[prover->part] - prover->at;
}


int
loyalty_merkle_prover_append_subtree(loyalty_merkle_prover_t *prover,
    unsigned level, const unsigned char *root)
{
    if (!loyalty_merkle_prover_fits(prover, level)
        || loyalty_merkle_append_subtree(&prover->tree, level, root) != 0)
    {
        return -1;
    }

    prover->at += 1ULL << level;

    return (prover->at == prover->end[prover->part])
           ? loyalty_merkle_part_end(prover) : 0;
}


static int
loyalty_merkle_part_end(loyalty_merkle_prover_t *prover)
{
    unsigned       order;
    unsigned char  root[LOYALTY_HASH];

    if (loyalty_merkle_root(&prover->tree, root) != 0) {
        return -1;
    }

    order = prover->order[prover->part];

    if (order != LOYALTY_MERKLE_NOT_SENT) {
        memcpy(prover->hash[order], root, LOYALTY_HASH);
    }

    prover->part++;
    loyalty_merkle_init(&prover->tree);

    return 0;
}


int
loyalty_merkle_prover_finish(loyalty_merkle_prover_t *prover,
    unsigned char (*proof)[LOYALTY_HASH], size_t *n)
{
    size_t    count;
    unsigned  i;

    if (prover->part != prover->count) {
        return -1;
    }

    count = 0;

    for (i = 0; i < prover->count; i++) {
        count += (prover->order[i] != LOYALTY_MERKLE_NOT_SENT);
    }

    memcpy(proof, prover->hash, count * LOYALTY_HASH);
    *n = count;

    return 0;
}


/* to the next level at which the way comes from the right */

static void
loyalty_merkle_up(uint64_t *fn, uint64_t *sn)
{
    while ((*fn & 1) == 0 && *fn != 0) {
        *fn >>= 1;
        *sn >>= 1;
    }
}


int
loyalty_merkle_verify_path(const unsigned char *leaf, uint64_t index,
    uint64_t size, const unsigned char *root,
    const unsigned char (*proof)[LOYALTY_HASH], size_t n)
{
    int            rc;
    size_t         i;
    uint64_t       fn, sn;
    unsigned char  hash[LOYALTY_HASH];

    if (index >= size) {
        return -1;
    }

    fn = index;
    sn = size - 1;
    memcpy(hash, leaf, LOYALTY_HASH);

    for (i = 0; i < n; i++) {

        if (sn == 0) {
            return -1;
        }

        if ((fn & 1) || fn == sn) {
            rc = loyalty_merkle_node(hash, proof[i], hash);
            loyalty_merkle_up(&fn, &sn);

        } else {
            rc = loyalty_merkle_node(hash, hash, proof[i]);
        }

        if (rc != 0) {
            return -1;
        }

        fn >>= 1;
        sn >>= 1;
    }

    return (sn == 0 && loyalty_equal(hash, root, LOYALTY_HASH)) ? 0 : -1;
}
