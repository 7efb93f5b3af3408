/*
 * Merkle trees: the roots of RFC 6962, and proofs of every leaf and of every
 * pair of sizes held against a tree that is built by the definition.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "draw.h"
#include "loyalty_merkle.h"


#define MANY  70

typedef const unsigned char (*proof_t)[LOYALTY_HASH];


static void make_leaves(unsigned char (*leaves)[LOYALTY_HASH], size_t n);
static void reference_root(unsigned char *dst,
    unsigned char (*leaves)[LOYALTY_HASH], size_t n);
static void grow(loyalty_merkle_t *tree,
    unsigned char (*leaves)[LOYALTY_HASH], size_t from, size_t to);
static void prove(loyalty_merkle_prover_t *prover,
    unsigned char (*leaves)[LOYALTY_HASH], size_t n,
    unsigned char (*proof)[LOYALTY_HASH], size_t *len);


static void
make_leaves(unsigned char (*leaves)[LOYALTY_HASH], size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        sha_numbered(leaves[i], "leaf", i, 8);
    }
}


/* MTH of RFC 6962, section 2.1, word for word */

static void
reference_root(unsigned char *dst, unsigned char (*leaves)[LOYALTY_HASH],
    size_t n)
{
    size_t         k;
    unsigned char  buf[1 + 2 * LOYALTY_HASH];

    if (n == 0) {
        assert_ok(loyalty_sha(dst, "", 0));
        return;
    }

    if (n == 1) {
        memcpy(dst, leaves[0], LOYALTY_HASH);
        return;
    }

    for (k = 1; 2 * k < n; k *= 2) { /* void */ }

    buf[0] = 1;
    reference_root(buf + 1, leaves, k);
    reference_root(buf + 1 + LOYALTY_HASH, leaves + k, n - k);
    assert_ok(loyalty_sha(dst, buf, sizeof(buf)));
}


static void
grow(loyalty_merkle_t *tree, unsigned char (*leaves)[LOYALTY_HASH],
    size_t from, size_t to)
{
    for ( /* void */ ; from < to; from++) {
        assert_ok(loyalty_merkle_append(tree, leaves[from]));
    }
}


static void
prove(loyalty_merkle_prover_t *prover, unsigned char (*leaves)[LOYALTY_HASH],
    size_t n, unsigned char (*proof)[LOYALTY_HASH], size_t *len)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        assert_int_equal(loyalty_merkle_prover_finish(prover, proof, len),
                         -1);
        assert_ok(loyalty_merkle_prover_append(prover, leaves[i]));
    }

    assert_int_equal(loyalty_merkle_prover_append(prover, leaves[0]), -1);
    assert_ok(loyalty_merkle_prover_finish(prover, proof, len));
}


static void
test_rfc6962(void **state)
{
    size_t            n;
    unsigned char     root[LOYALTY_HASH];
    loyalty_merkle_t  tree;

    static const struct {
        const char      *d;
        size_t           len;
        const char      *root;          /* of the tree so far */
    } leaves[] = {
        { "", 0,
          "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        },
        { "\x00", 1,
          "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
        },
        { "\x10", 1,
          "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"
        },
        { "\x20\x21", 2,
          "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
        },
        { "\x30\x31", 2,
          "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"
        },
        { "\x40\x41\x42\x43", 4,
          "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"
        },
        { "\x50\x51\x52\x53\x54\x55\x56\x57", 8,
          "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"
        },
        { "\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
          16,
          "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
        }
    };

    loyalty_merkle_init(&tree);
    assert_ok(loyalty_merkle_root(&tree, root));
    assert_hex(root, sizeof(root),
               "e3b0c44298fc1c149afbf4c8996fb924"
               "27ae41e4649b934ca495991b7852b855");

    for (n = 0; n < 8; n++) {
        assert_ok(loyalty_merkle_append_record(&tree, leaves[n].d,
                                               leaves[n].len));
        assert_int_equal(tree.size, n + 1);
        assert_ok(loyalty_merkle_root(&tree, root));
        assert_hex(root, sizeof(root), leaves[n].root);
    }
}


static void
test_roots(void **state)
{
    size_t            n;
    unsigned char     leaves[MANY][LOYALTY_HASH];
    unsigned char     root[LOYALTY_HASH], want[LOYALTY_HASH];
    loyalty_merkle_t  tree;

    make_leaves(leaves, MANY);
    loyalty_merkle_init(&tree);

    for (n = 0; n <= MANY; n++) {
        assert_ok(loyalty_merkle_root(&tree, root));
        reference_root(want, leaves, n);
        assert_memory_equal(root, want, sizeof(root));

        if (n < MANY) {
            grow(&tree, leaves, n, n + 1);
        }
    }
}


/* written down at any size, read elsewhere, gone on with */

static void
test_frontier(void **state)
{
    size_t            n, len, cut;
    unsigned char     leaves[MANY][LOYALTY_HASH];
    unsigned char     root[LOYALTY_HASH], want[LOYALTY_HASH];
    unsigned char     buf[LOYALTY_MERKLE_LEN + 1];
    loyalty_merkle_t  tree, other;

    make_leaves(leaves, MANY);
    reference_root(want, leaves, MANY);
    loyalty_merkle_init(&tree);

    for (n = 0; n <= MANY; n++) {
        memset(buf, 0, sizeof(buf));
        len = loyalty_merkle_write(&tree, buf);
        assert_int_equal(len, 8 + 32 * __builtin_popcountll(n));

        for (cut = 0; cut < len; cut++) {
            assert_int_equal(loyalty_merkle_read(&other, buf, cut), -1);
        }

        assert_int_equal(loyalty_merkle_read(&other, buf, len + 1), -1);

        assert_ok(loyalty_merkle_read(&other, buf, len));
        assert_int_equal(other.size, n);
        grow(&other, leaves, n, MANY);
        assert_ok(loyalty_merkle_root(&other, root));
        assert_memory_equal(root, want, sizeof(root));

        if (n < MANY) {
            grow(&tree, leaves, n, n + 1);
        }
    }

    loyalty_put_u64(buf, LOYALTY_MERKLE_SIZE_MAX);
    assert_int_equal(loyalty_merkle_read(&other, buf, 8), -1);
}


/* chunks of 8 leaves at once, and the rest one by one */

static void
test_subtrees(void **state)
{
    size_t            n;
    unsigned char     leaves[MANY][LOYALTY_HASH];
    unsigned char     root[LOYALTY_HASH], want[LOYALTY_HASH];
    loyalty_merkle_t  tree;

    make_leaves(leaves, MANY);
    loyalty_merkle_init(&tree);

    for (n = 0; n + 8 <= MANY; n += 8) {
        reference_root(root, leaves + n, 8);
        assert_ok(loyalty_merkle_append_subtree(&tree, 3, root));
    }

    grow(&tree, leaves, n, MANY);

    assert_ok(loyalty_merkle_root(&tree, root));
    reference_root(want, leaves, MANY);
    assert_memory_equal(root, want, sizeof(root));

    /* 70 is no multiple of 4 */

    assert_int_equal(loyalty_merkle_append_subtree(&tree, 2, root), -1);
    assert_int_equal(tree.size, MANY);
    assert_int_equal(loyalty_merkle_append_subtree(&tree,
                                                   LOYALTY_MERKLE_LEVELS,
                                                   root), -1);
}


static void
test_size_limit(void **state)
{
    unsigned char     hash[LOYALTY_HASH];
    loyalty_merkle_t  tree;

    memset(&tree, 0, sizeof(tree));
    memset(hash, 1, sizeof(hash));

    tree.size = LOYALTY_MERKLE_SIZE_MAX - 2;
    assert_ok(loyalty_merkle_append(&tree, hash));
    assert_int_equal(loyalty_merkle_append(&tree, hash), -1);
    assert_true(tree.size == LOYALTY_MERKLE_SIZE_MAX - 1);
}


/* each leaf of each size; nothing else passes for it */

static void
test_paths(void **state)
{
    size_t                   n, i, len, k;
    unsigned char            leaves[MANY][LOYALTY_HASH];
    unsigned char            proof[LOYALTY_MERKLE_PROOF][LOYALTY_HASH];
    unsigned char            root[LOYALTY_HASH];
    proof_t                  given;
    loyalty_merkle_prover_t  prover;

    make_leaves(leaves, MANY);
    given = (proof_t) proof;

    for (n = 1; n <= 40; n++) {
        reference_root(root, leaves, n);

        for (i = 0; i < n; i++) {
            assert_ok(loyalty_merkle_prover_path(&prover, i, n));
            prove(&prover, leaves, n, proof, &len);

            assert_ok(loyalty_merkle_verify_path(leaves[i], i, n, root,
                                                 given, len));

            assert_int_equal(loyalty_merkle_verify_path(leaves[i + 1], i, n,
                                                        root, given, len),
                             -1);
            assert_int_equal(loyalty_merkle_verify_path(leaves[i], n, n,
                                                        root, given, len),
                             -1);
            assert_int_equal(loyalty_merkle_verify_path(leaves[i], i, n,
                                                        root, given,
                                                        len + 1), -1);
            if (len > 0) {
                assert_int_equal(loyalty_merkle_verify_path(leaves[i], i, n,
                                                            root, given,
                                                            len - 1), -1);
                assert_int_equal(loyalty_merkle_verify_path(leaves[i], i ^ 1,
                                                            n, root, given,
                                                            len), -1);
            }

            for (k = 0; k < len; k++) {
                proof[k][k] ^= 1;
                assert_int_equal(loyalty_merkle_verify_path(leaves[i], i, n,
                                                            root, given,
                                                            len), -1);
                proof[k][k] ^= 1;
            }
        }
    }

    assert_int_equal(loyalty_merkle_prover_path(&prover, 5, 5), -1);
    assert_int_equal(loyalty_merkle_prover_path(&prover, 0, 0), -1);
}


/* the proof of RFC 6962, section 2.1.3, and the order of its hashes */

static void
test_example(void **state)
{
    size_t                   len;
    unsigned char            leaves[7][LOYALTY_HASH];
    unsigned char            proof[LOYALTY_MERKLE_PROOF][LOYALTY_HASH];
    unsigned char            want[LOYALTY_HASH];
    loyalty_merkle_prover_t  prover;

    make_leaves(leaves, 7);

    /* of d3: [c, g, l] */

    assert_ok(loyalty_merkle_prover_path(&prover, 3, 7));
    prove(&prover, leaves, 7, proof, &len);
    assert_int_equal(len, 3);
    assert_memory_equal(proof[0], leaves[2], LOYALTY_HASH);
    reference_root(want, leaves, 2);
    assert_memory_equal(proof[1], want, LOYALTY_HASH);
    reference_root(want, leaves + 4, 3);
    assert_memory_equal(proof[2], want, LOYALTY_HASH);
}


/* chunks at once wherever they lie within one part */

static void
test_prover_subtrees(void **state)
{
    size_t                   i, at, len, want;
    unsigned                 chunks;
    unsigned char            leaves[MANY][LOYALTY_HASH];
    unsigned char            proof[LOYALTY_MERKLE_PROOF][LOYALTY_HASH];
    unsigned char            same[LOYALTY_MERKLE_PROOF][LOYALTY_HASH];
    unsigned char            root[LOYALTY_HASH];
    loyalty_merkle_prover_t  prover;

    make_leaves(leaves, MANY);

    for (i = 0; i < MANY; i++) {
        assert_ok(loyalty_merkle_prover_path(&prover, i, MANY));
        prove(&prover, leaves, MANY, proof, &want);

        assert_ok(loyalty_merkle_prover_path(&prover, i, MANY));
        chunks = 0;

        for (at = 0; at < MANY; /* void */ ) {

            if (at % 8 == 0 && loyalty_merkle_prover_fits(&prover, 3)) {
                reference_root(root, leaves + at, 8);
                assert_ok(loyalty_merkle_prover_append_subtree(&prover, 3,
                                                               root));
                at += 8;
                chunks++;
                continue;
            }

            assert_ok(loyalty_merkle_prover_append(&prover, leaves[at]));
            at++;
        }

        assert_int_equal(chunks, i < 64 ? 7 : 8);
        assert_ok(loyalty_merkle_prover_finish(&prover, same, &len));
        assert_int_equal(len, want);
        assert_memory_equal(same, proof, len * LOYALTY_HASH);
    }

    assert_ok(loyalty_merkle_prover_path(&prover, 1, MANY));
    assert_int_equal(loyalty_merkle_prover_append_subtree(&prover, 3, root),
                     -1);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_rfc6962),
        cmocka_unit_test(test_roots),
        cmocka_unit_test(test_frontier),
        cmocka_unit_test(test_subtrees),
        cmocka_unit_test(test_size_limit),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_prover_subtrees),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
