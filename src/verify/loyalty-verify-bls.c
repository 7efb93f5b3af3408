
/*
 * BLS signatures of the beacon, with blst where the build found it: signatures
 * in G1 over H(u64 round), the key in G2.
 *
 * Rounds are checked together: the sum of all signatures, each times a random
 * number, against the same sum of the hashed messages.  One pairing then does
 * for thousands of rounds; a wrong one passes with a chance of 2^-64.  When
 * the sum is wrong, one by one finds the culprit.
 */

#include "loyalty-verify.h"

#ifdef LV_BLST

#include <string.h>

#include <openssl/rand.h>

#include <blst.h>


#define LV_DST    "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"


static int lv_bls_point(const lv_round_t *round, blst_p1_affine *signature,
    blst_p1 *message);
static int lv_bls_equal(const blst_p2_affine *key, const blst_p1 *signature,
    const blst_p1 *message);


int
lv_bls_available(void)
{
    return 1;
}


int
lv_bls(const u_char key[96], const lv_round_t *round, size_t n, uint64_t *bad)
{
    byte            factor[8];
    size_t          i;
    blst_p1         sum, messages, message, point;
    blst_p1_affine  signature;
    blst_p2_affine  pk;

    *bad = 0;

    if (blst_p2_uncompress(&pk, key) != BLST_SUCCESS
        || blst_p2_affine_is_inf(&pk) || !blst_p2_affine_in_g2(&pk))
    {
        return 0;
    }

    memset(&sum, 0, sizeof(blst_p1));
    memset(&messages, 0, sizeof(blst_p1));

    for (i = 0; i < n; i++) {

        if (!lv_bls_point(&round[i], &signature, &message)
            || RAND_bytes(factor, sizeof(factor)) != 1)
        {
            *bad = round[i].number;
            return 0;
        }

        blst_p1_from_affine(&point, &signature);
        blst_p1_mult(&point, &point, factor, 64);
        blst_p1_mult(&message, &message, factor, 64);
        blst_p1_add_or_double(&sum, &sum, &point);
        blst_p1_add_or_double(&messages, &messages, &message);
    }

    if (lv_bls_equal(&pk, &sum, &messages)) {
        return 1;
    }

    for (i = 0; i < n; i++) {
        if (!lv_bls_point(&round[i], &signature, &message)) {
            break;
        }

        blst_p1_from_affine(&point, &signature);

        if (!lv_bls_equal(&pk, &point, &message)) {
            break;
        }
    }

    *bad = i < n ? round[i].number : 0;

    return 0;
}


static int
lv_bls_point(const lv_round_t *round, blst_p1_affine *signature,
    blst_p1 *message)
{
    byte    raw[48];
    u_char  number[8], digest[32];

    if (!lv_hex(round->signature, raw, sizeof(raw))
        || blst_p1_uncompress(signature, raw) != BLST_SUCCESS
        || blst_p1_affine_is_inf(signature)
        || !blst_p1_affine_in_g1(signature))
    {
        return 0;
    }

    (void) lv_put64(number, round->number);
    lv_sha256(digest, number, sizeof(number));

    blst_hash_to_g1(message, digest, sizeof(digest),
                    (const byte *) LV_DST, sizeof(LV_DST) - 1, NULL, 0);

    return 1;
}


/* e(signature, generator) = e(message, key) */

static int
lv_bls_equal(const blst_p2_affine *key, const blst_p1 *signature,
    const blst_p1 *message)
{
    blst_fp12       left, right;
    blst_p1_affine  s, m;

    blst_p1_to_affine(&s, signature);
    blst_p1_to_affine(&m, message);

    blst_miller_loop(&left, blst_p2_affine_generator(), &s);
    blst_miller_loop(&right, key, &m);

    return blst_fp12_finalverify(&left, &right);
}

#else

int
lv_bls_available(void)
{
    return 0;
}


int
lv_bls(const u_char key[96], const lv_round_t *round, size_t n, uint64_t *bad)
{
    (void) key;

    *bad = n ? round->number : 0;

    return 0;
}

#endif
