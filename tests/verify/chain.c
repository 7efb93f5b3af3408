
/*
 * A beacon for tests: signs any round with a secret of its own, as drand's
 * quicknet does.
 *
 *     chain HEX        prints the public key; then, for each number that it
 *                      reads, the signature of that round
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include <blst.h>


#define DST  "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"


static void print_hex(const unsigned char *p, size_t n);


int
main(int argc, char **argv)
{
    int                 i;
    char                line[64];
    byte                seed[32], out[96], number[8], digest[32];
    blst_p1             point;
    blst_p2             key;
    unsigned            digit;
    blst_scalar         secret;
    unsigned long long  round;

    if (argc != 2 || strlen(argv[1]) != 64) {
        return 1;
    }

    for (i = 0; i < 32; i++) {
        if (sscanf(&argv[1][2 * i], "%2x", &digit) != 1) {
            return 1;
        }

        seed[i] = digit;
    }

    blst_keygen(&secret, seed, sizeof(seed), NULL, 0);

    blst_sk_to_pk_in_g2(&key, &secret);
    blst_p2_compress(out, &key);
    print_hex(out, 96);

    while (fgets(line, sizeof(line), stdin) != NULL) {
        round = strtoull(line, NULL, 10);

        for (i = 0; i < 8; i++) {
            number[i] = round >> (56 - 8 * i);
        }

        SHA256(number, sizeof(number), digest);

        blst_hash_to_g1(&point, digest, sizeof(digest), (const byte *) DST,
                        sizeof(DST) - 1, NULL, 0);
        blst_sign_pk_in_g2(&point, &point, &secret);
        blst_p1_compress(out, &point);
        print_hex(out, 48);
    }

    return 0;
}


static void
print_hex(const unsigned char *p, size_t n)
{
    while (n--) {
        printf("%02x", *p++);
    }

    printf("\n");
    (void) fflush(stdout);
}
