/*
 * Signatures of drand quicknet with blst, or without it.
 */

#include "loyalty_bls.h"


#if (LOYALTY_BLST)

#include <blst.h>

#include "loyalty_beacon.h"


#define BLS_KEY  96


static const char  bls_key[] =
    "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c"
    "8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb"
    "5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a";

static const char  bls_dst[] = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";


int
loyalty_bls(void)
{
    return 1;
}


int
loyalty_bls_verify(uint64_t round, const unsigned char *sig)
{
    unsigned char   key[BLS_KEY], msg[LOYALTY_HASH], number[8];
    blst_p1_affine  point;
    blst_p2_affine  public;

    (void) loyalty_put_u64(number, round);

    if (loyalty_sha(msg, number, sizeof(number)) != 0
        || loyalty_unhex(key, sizeof(key), (const unsigned char *) bls_key,
                         sizeof(bls_key) - 1)
           != 0
        || blst_p2_uncompress(&public, key) != BLST_SUCCESS)
    {
        return -1;
    }

    /* a point of the curve that is not of the group, or of no use in it,
       could pass where it must not */

    if (blst_p1_uncompress(&point, sig) != BLST_SUCCESS
        || blst_p1_affine_is_inf(&point)
        || !blst_p1_affine_in_g1(&point))
    {
        return -1;
    }

    return (blst_core_verify_pk_in_g2(&public, &point, 1, msg, sizeof(msg),
                                      (const unsigned char *) bls_dst,
                                      sizeof(bls_dst) - 1, NULL, 0)
            == BLST_SUCCESS)
           ? 0 : -1;
}

#else

int
loyalty_bls(void)
{
    return 0;
}


int
loyalty_bls_verify(uint64_t round, const unsigned char *sig)
{
    (void) round;
    (void) sig;

    return -1;
}

#endif
