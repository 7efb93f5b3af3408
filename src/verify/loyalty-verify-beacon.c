
/*
 * V05, V06: the chain is the one that is pinned here, and each round's
 * signature is that chain's.  The randomness of a round is the hash of its
 * signature, which nobody is trusted to have hashed.
 */

#include "loyalty-verify.h"

#include <stdlib.h>
#include <string.h>


#define LV_QUICKNET                                                           \
    "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971"

#define LV_QUICKNET_KEY                                                       \
    "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450" \
    "b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf8" \
    "09bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"


static int lv_beacon_pin(lv_t *v);
static void lv_beacon_line(lv_t *v, lv_str_t line);
static int lv_beacon_order(const void *one, const void *two);


void
lv_beacons(lv_t *v)
{
    int       rc;
    size_t    i;
    u_char    hash[32];
    lv_str_t  rest, line;

    if (!lv_beacon_pin(v)) {
        lv_incomplete(v, 5, "--beacon is not HASH:KEY");
    }

    if (lv_zero(v->last->chain, 32)) {
        lv_incomplete(v, 5, "seed only: no beacon, so that whoever has the"
                      " secret knows the outcome");

    } else if (memcmp(v->last->chain, v->pinned, 32) != 0) {
        lv_fail(v, 5, "the manifest's chain is not the one that is pinned");
    }

    rest = lv_file(v, "beacons");

    if (rest.len) {
        if (lv_line(&rest, &line) != 1 || !lv_prefix(&line, "chain ")
            || !lv_hex(line, hash, 32))
        {
            lv_fail(v, 6, "beacons does not begin with its chain");
            return;
        }

        if (memcmp(hash, v->last->chain, 32) != 0) {
            lv_fail(v, 5, "the chain in beacons is not the manifest's");
        }
    }

    for ( ;; ) {
        rc = lv_line(&rest, &line);

        if (rc != 1) {
            break;
        }

        lv_beacon_line(v, line);
    }

    if (rc == -1) {
        lv_fail(v, 6, "beacons is cut off");
    }

    if (v->nrounds) {
        qsort(v->round, v->nrounds, sizeof(lv_round_t), lv_beacon_order);
    }

    for (i = 1; i < v->nrounds; i++) {
        if (v->round[i].number == v->round[i - 1].number) {
            lv_fail(v, 6, "round %llu is there twice",
                    (unsigned long long) v->round[i].number);
        }
    }
}


static int
lv_beacon_pin(lv_t *v)
{
    lv_str_t  hash, key;

    (void) lv_hex(lv_str(LV_QUICKNET), v->pinned, 32);
    (void) lv_hex(lv_str(LV_QUICKNET_KEY), v->public_key, 96);

    if (v->options->chain == NULL) {
        return 1;
    }

    hash.data = (const u_char *) v->options->chain;
    hash.len = strlen(v->options->chain);

    if (hash.len != 257 || hash.data[64] != ':') {
        return 0;
    }

    key.data = hash.data + 65;
    key.len = 192;
    hash.len = 64;

    lv_info(v, 5, "a chain that the command line names");

    return lv_hex(hash, v->pinned, 32) && lv_hex(key, v->public_key, 96);
}


static void
lv_beacon_line(lv_t *v, lv_str_t line)
{
    u_char       signature[96];
    lv_str_t     number;
    lv_round_t  *round;

    v->round = lv_grow(v->round, v->nrounds, sizeof(lv_round_t));
    round = &v->round[v->nrounds];

    if (!lv_word(&line, &number) || !lv_number(number, &round->number)
        || line.len == 0 || line.len > 2 * sizeof(signature)
        || !lv_hex(line, signature, line.len / 2))
    {
        lv_fail(v, 6, "a malformed line in beacons");
        return;
    }

    round->signature = line;
    v->nrounds++;
}


static int
lv_beacon_order(const void *one, const void *two)
{
    const lv_round_t  *a, *b;

    a = one;
    b = two;

    return a->number < b->number ? -1 : a->number > b->number;
}


/* B of a round; most plays ask for the round of the play before them */

int
lv_beacon(lv_t *v, uint64_t number, u_char out[32])
{
    u_char       signature[96];
    size_t       low, high, middle;
    lv_round_t  *round;

    if (v->hit < v->nrounds && v->round[v->hit].number == number) {
        low = v->hit;

    } else {
        low = 0;
        high = v->nrounds;

        while (low < high) {
            middle = low + (high - low) / 2;

            if (v->round[middle].number < number) {
                low = middle + 1;

            } else {
                high = middle;
            }
        }
    }

    if (low == v->nrounds || v->round[low].number != number) {
        if (v->missing++ == 0) {
            v->first_missing = number;
        }

        return 0;
    }

    v->hit = low;
    round = &v->round[low];

    (void) lv_hex(round->signature, signature, round->signature.len / 2);
    lv_sha256(out, signature, round->signature.len / 2);

    return 1;
}


void
lv_beacons_done(lv_t *v)
{
    uint64_t  bad;

    if (v->missing) {
        lv_incomplete(v, 6, "round %llu is missing in beacons, asked for %llu"
                      " such rounds", (unsigned long long) v->first_missing,
                      (unsigned long long) v->missing);
    }

    if (v->nrounds == 0) {
        return;
    }

    if (!lv_bls_available()) {
        lv_incomplete(v, 6, "this loyalty-verify was built without a library"
                      " for BLS signatures");
        return;
    }

    if (!lv_bls(v->public_key, v->round, v->nrounds, &bad)) {
        lv_fail(v, 6, "the signature of round %llu is not the chain's",
                (unsigned long long) bad);
    }

    lv_info(v, 6, "%llu rounds", (unsigned long long) v->nrounds);
}
