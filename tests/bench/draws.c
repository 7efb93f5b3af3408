/*
 * What the arithmetic of draws costs, on one core, without nginx or Redis:
 *
 *     draws [SCALE]        SCALE 10: a tenth of the work
 */

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loyalty_chain.h"
#include "loyalty_draw.h"
#include "loyalty_merkle.h"
#include "loyalty_moments.h"
#include "loyalty_note.h"


#define MEMBERS     1000000
#define TICKETS     10                 /* of each member */
#define WINNERS     1000
#define YEAR        525600             /* minutes */

#define check(rc)                                                             \
    do {                                                                      \
        if ((rc) != 0) {                                                      \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #rc);          \
            exit(1);                                                          \
        }                                                                     \
    } while (0)


static double now(void);
static void say(const char *what, double from, uint64_t n);
static void *block(size_t n);
static void ready(loyalty_hmac_t *key, const char *text);

static void bench_play(uint64_t n);
static void bench_person(uint64_t n);
static void bench_pick(uint64_t n);
static void bench_winners(void);
static void bench_merkle(uint64_t n);
static void bench_chain(uint32_t epochs);
static void bench_moments(uint32_t units);
static void bench_sign(uint64_t n);


static double
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}


static void
say(const char *what, double from, uint64_t n)
{
    double  took;

    took = now() - from;

    printf("%-44s %10" PRIu64 "  %9.3f ms  %8.3f us each\n", what, n,
           took * 1e3, took * 1e6 / (double) n);
    fflush(stdout);
}


static void *
block(size_t n)
{
    void  *p;

    p = calloc(1, n);

    if (p == NULL) {
        perror("calloc");
        exit(1);
    }

    return p;
}


static void
ready(loyalty_hmac_t *key, const char *text)
{
    unsigned char  hash[LOYALTY_HASH];

    check(loyalty_sha(hash, text, strlen(text)));
    check(loyalty_hmac_key(key, hash, sizeof(hash)));
}


static void
bench_play(uint64_t n)
{
    double          from;
    uint64_t        i, r, sum;
    unsigned char   mh[LOYALTY_HASH], b[LOYALTY_HASH], who[LOYALTY_HASH];
    unsigned char   u[LOYALTY_HASH];
    loyalty_hmac_t  key;

    memset(mh, 1, sizeof(mh));
    memset(b, 2, sizeof(b));
    memset(who, 3, sizeof(who));
    ready(&key, "play");

    sum = 0;
    from = now();

    for (i = 0; i < n; i++) {
        check(loyalty_play_u(u, &key, mh, 1, 14517013, b, who, (uint32_t) i,
                             0));
        check(loyalty_pick48(u, 300, &r));
        sum += r;
    }

    say(sum > 0 ? "u and pick48" : "?", from, n);
}


static void
bench_person(uint64_t n)
{
    double          from;
    uint64_t        i;
    unsigned char   cid[LOYALTY_CID], who[LOYALTY_HASH], id[LOYALTY_PLAY_ID];
    loyalty_hmac_t  kp;

    memset(cid, 1, sizeof(cid));
    ready(&kp, "person");
    from = now();

    for (i = 0; i < n; i++) {
        check(loyalty_person(who, &kp, cid, &i, sizeof(i)));
        check(loyalty_play_id(id, &kp, cid, who, "0123456789abcdef", 16));
    }

    say("person and play id", from, n);
}


static void
bench_pick(uint64_t n)
{
    double          from;
    uint32_t        a;
    uint64_t        i, x;
    loyalty_hmac_t  key;

    ready(&key, "pick");
    from = now();

    for (i = 0; i < n; i++) {
        a = 0;
        check(loyalty_pick(&key, "pick", (uint32_t) i, MEMBERS * TICKETS, &a,
                           &x));
    }

    say("pick", from, n);
}


/* owners are found by binary search, as in a file of records */

static void
bench_winners(void)
{
    int                 rc;
    double              from;
    uint32_t           *index, low, high, middle, filled;
    uint64_t           *first;
    unsigned char     (*person)[LOYALTY_HASH], (*chosen)[LOYALTY_HASH];
    loyalty_hmac_t      key;
    loyalty_winners_t   w;

    first = block(MEMBERS * sizeof(uint64_t));
    person = block((size_t) MEMBERS * LOYALTY_HASH);
    chosen = block(WINNERS * LOYALTY_HASH);
    index = block(loyalty_winners_index(WINNERS) * sizeof(uint32_t));

    for (low = 0; low < MEMBERS; low++) {
        first[low] = (uint64_t) low * TICKETS;
        check(loyalty_sha(person[low], &low, sizeof(low)));
    }

    ready(&key, "winners");
    filled = 0;
    from = now();

    check(loyalty_winners_init(&w, chosen, index, WINNERS, MEMBERS * TICKETS,
                               MEMBERS));
    check(loyalty_winners_range(&w, &key, "pick", 0, WINNERS));

    while ((rc = loyalty_winners_next(&w)) == LOYALTY_WAITING) {
        low = 0;
        high = MEMBERS;

        while (high - low > 1) {
            middle = low + (high - low) / 2;

            if (first[middle] <= w.ticket) {
                low = middle;

            } else {
                high = middle;
            }
        }

        filled += (loyalty_winners_owner(&w, person[low], 0) == 0);
    }

    say(filled == WINNERS ? "winners of 10^7 tickets, 10^6 members" : "?",
        from, WINNERS);

    free(first);
    free(person);
    free(chosen);
    free(index);
}


static void
bench_merkle(uint64_t n)
{
    double             from;
    uint64_t           i;
    unsigned char      leaf[LOYALTY_HASH];
    unsigned char      record[LOYALTY_ENTRY_LEN];
    loyalty_merkle_t   tree;

    memset(leaf, 1, sizeof(leaf));
    memset(record, 2, sizeof(record));

    loyalty_merkle_init(&tree);
    from = now();

    for (i = 0; i < n; i++) {
        check(loyalty_merkle_append(&tree, leaf));
    }

    check(loyalty_merkle_root(&tree, leaf));
    say("Merkle tree of leaf hashes", from, n);

    loyalty_merkle_init(&tree);
    from = now();

    for (i = 0; i < n; i++) {
        check(loyalty_merkle_append_record(&tree, record, sizeof(record)));
    }

    check(loyalty_merkle_root(&tree, leaf));
    say("Merkle tree of 132-byte records", from, n);
}


static void
bench_chain(uint32_t epochs)
{
    double             from;
    uint32_t           e;
    unsigned char    (*points)[LOYALTY_HASH], c[LOYALTY_HASH];
    loyalty_chain_t    chain;

    points = block(loyalty_chain_points(epochs, 1024) * LOYALTY_HASH);
    memset(c, 1, sizeof(c));
    from = now();

    check(loyalty_chain_init(&chain, c, c, 1, epochs, 1024, points));

    while (loyalty_chain_build(&chain, 10000) == 1) { /* void */ }

    say("chain of epochs", from, epochs);

    from = now();

    for (e = 1; e < epochs; e += 521) {
        check(loyalty_chain_get(&chain, e, c));
    }

    say("c_e, a point kept each 1024", from, (epochs + 519) / 521);
    free(points);
}


static void
bench_moments(uint32_t units)
{
    double             from;
    uint64_t          *at;
    unsigned char      key[LOYALTY_HASH];
    loyalty_epochs_t   epochs;
    loyalty_moments_t  m;

    at = block(units * sizeof(uint64_t));
    memset(key, 1, sizeof(key));
    check(loyalty_epochs_init(&epochs, 1736266200000ULL, 1736352600000ULL,
                              3600000));
    from = now();

    check(loyalty_moments_init(&m, &epochs, at, units));
    check(loyalty_moments_epoch(&m, &epochs, 1, key));

    while (loyalty_moments_place(&m, 1000) == 1) { /* void */ }

    say("units looked at in one epoch", from, units);
    free(at);
}


static void
bench_sign(uint64_t n)
{
    double             from;
    uint64_t           i;
    unsigned char      seed[LOYALTY_HASH], record[LOYALTY_PLAYREC_LEN];
    unsigned char      sig[LOYALTY_SIGNATURE];
    loyalty_signkey_t  key;

    memset(seed, 1, sizeof(seed));
    memset(record, 2, sizeof(record));
    check(loyalty_signkey_init(&key, "shop", 4, seed));

    from = now();

    for (i = 0; i < n; i++) {
        check(loyalty_receipt_sign(sig, &key, record, sizeof(record)));
    }

    say("receipt, signed", from, n);
    from = now();

    for (i = 0; i < n; i++) {
        check(loyalty_receipt_verify(&key, record, sizeof(record), sig));
    }

    say("receipt, verified", from, n);
    loyalty_signkey_free(&key);
}


int
main(int argc, char **argv)
{
    uint32_t  scale;

    scale = (argc > 1) ? (uint32_t) strtoul(argv[1], NULL, 10) : 1;

    if (scale == 0 || scale > 1000) {
        fprintf(stderr, "usage: draws [SCALE]\n");
        return 1;
    }

    bench_play(2000000 / scale);
    bench_person(1000000 / scale);
    bench_pick(1000000 / scale);
    bench_winners();
    bench_merkle(1000000 / scale);
    bench_chain(YEAR / scale);
    bench_moments(1000000 / scale);
    bench_sign(10000 / scale);

    return 0;
}
