/*
 * Merkle trees as in RFC 6962: leaves come one after another, and what is
 * kept of them is the frontier, the roots of the perfect subtrees that make
 * up the tree so far.  So a tree of any size is 2 kB, can be written down
 * and gone on with elsewhere, and knows its root at any moment.
 *
 * Hashes are 32 bytes.  Functions return 0, or -1: libcrypto failed, or what
 * was given is not right.
 */

#ifndef _LOYALTY_MERKLE_H_INCLUDED_
#define _LOYALTY_MERKLE_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>

#include "loyalty_hash.h"


#define LOYALTY_MERKLE_LEVELS    53          /* sizes under 2^53 */
#define LOYALTY_MERKLE_SIZE_MAX  (1ULL << LOYALTY_MERKLE_LEVELS)
#define LOYALTY_MERKLE_PROOF     (LOYALTY_MERKLE_LEVELS + 1)   /* hashes */
#define LOYALTY_MERKLE_LEN       (8 + LOYALTY_MERKLE_LEVELS * LOYALTY_HASH)


typedef struct {
    uint64_t        size;
    /* node[l] is the root of 2^l leaves when bit l of size is set */
    unsigned char   node[LOYALTY_MERKLE_LEVELS][LOYALTY_HASH];
} loyalty_merkle_t;


/* leaf(d) = H(0x00 ‖ d) and the node over two, H(0x01 ‖ left ‖ right) */
int loyalty_merkle_leaf(unsigned char *dst, const void *d, size_t n);
int loyalty_merkle_node(unsigned char *dst, const unsigned char *left,
    const unsigned char *right);


void loyalty_merkle_init(loyalty_merkle_t *tree);

/* one leaf hash, or one record */
int loyalty_merkle_append(loyalty_merkle_t *tree, const unsigned char *leaf);
int loyalty_merkle_append_record(loyalty_merkle_t *tree, const void *d,
    size_t n);
/*
 * The root of 2^level leaves at once, where size is a multiple of that: so
 * whole chunks of records, hashed once, make a tree in no time.
 */
int loyalty_merkle_append_subtree(loyalty_merkle_t *tree, unsigned level,
    const unsigned char *root);

/* of no leaf: SHA-256 of nothing */
int loyalty_merkle_root(const loyalty_merkle_t *tree, unsigned char *dst);

/*
 * u64 size and the nodes, largest subtree first; returns the length, at most
 * LOYALTY_MERKLE_LEN.  Parsing takes exactly that.
 */
size_t loyalty_merkle_write(const loyalty_merkle_t *tree,
    unsigned char *dst);
int loyalty_merkle_read(loyalty_merkle_t *tree, const unsigned char *p,
    size_t n);


/*
 * A proof that leaf "index" is in the tree of that size is made in one pass
 * over the leaf hashes 0 … size - 1, in order: init, append each (or
 * subtrees, where they lie within one part of the proof, which
 * loyalty_merkle_prover_fits() says), and finish gives the hashes in the order
 * of RFC 6962, at most LOYALTY_MERKLE_PROOF of them.
 */

typedef struct {
    uint64_t          size;
    unsigned          count;                 /* of parts */
    unsigned          part;                  /* that the next leaf is in */
    unsigned          order[LOYALTY_MERKLE_PROOF + 1];
    uint64_t          start[LOYALTY_MERKLE_PROOF + 1];
    uint64_t          end[LOYALTY_MERKLE_PROOF + 1];
    uint64_t          at;                    /* leaves seen */
    loyalty_merkle_t  tree;                  /* of the part so far */
    unsigned char     hash[LOYALTY_MERKLE_PROOF + 1][LOYALTY_HASH];
} loyalty_merkle_prover_t;


int loyalty_merkle_prover_path(loyalty_merkle_prover_t *prover,
    uint64_t index, uint64_t size);
int loyalty_merkle_prover_append(loyalty_merkle_prover_t *prover,
    const unsigned char *leaf);
int loyalty_merkle_prover_fits(const loyalty_merkle_prover_t *prover,
    unsigned level);
int loyalty_merkle_prover_append_subtree(loyalty_merkle_prover_t *prover,
    unsigned level, const unsigned char *root);
int loyalty_merkle_prover_finish(loyalty_merkle_prover_t *prover,
    unsigned char (*proof)[LOYALTY_HASH], size_t *n);


/* a proof as it comes: 0 when it holds, -1 when not */
int loyalty_merkle_verify_path(const unsigned char *leaf, uint64_t index,
    uint64_t size, const unsigned char *root,
    const unsigned char (*proof)[LOYALTY_HASH], size_t n);


#endif /* _LOYALTY_MERKLE_H_INCLUDED_ */
