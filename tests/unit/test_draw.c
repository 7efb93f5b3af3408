/*
 * Rounds, samplers, odds, and the walk over winners at its edges.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "draw.h"


static int pick48_words(const uint64_t *words, uint64_t n, uint64_t *r);
static void walk_key(loyalty_hmac_t *key);
static uint32_t walk(loyalty_winners_t *w, const unsigned char *owners,
    uint32_t *tickets);
static int odds(const char *table, uint64_t *n, uint64_t *weights);


static void
test_rounds(void **state)
{
    assert_int_equal(loyalty_round_at(0), 0);
    assert_int_equal(loyalty_round_at(LOYALTY_GENESIS_MS - 1), 0);
    assert_int_equal(loyalty_round_at(LOYALTY_GENESIS_MS), 1);
    assert_int_equal(loyalty_round_at(LOYALTY_GENESIS_MS + 2999), 1);
    assert_int_equal(loyalty_round_at(LOYALTY_GENESIS_MS + 3000), 2);

    assert_int_equal(loyalty_round_time(1), LOYALTY_GENESIS_MS);
    assert_int_equal(loyalty_round_time(14517013),
                     LOYALTY_GENESIS_MS + 14517012 * 3000ULL);

    assert_int_equal(loyalty_round_close(CLOSE), 14517013);
    assert_int_equal(loyalty_round_dq(CLOSE + 7200000), 14518833);
    assert_int_equal(loyalty_round_play(OPEN + 1000), 0xdd103a);

    assert_int_equal(loyalty_round_play(0), 0);
    assert_int_equal(loyalty_round_play(LOYALTY_GENESIS_MS + 5999), 0);
    assert_int_equal(loyalty_round_play(LOYALTY_GENESIS_MS + 6000), 1);
}


/* real rounds of quicknet */

static void
test_randomness(void **state)
{
    size_t         i;
    unsigned char  signature[48], b[LOYALTY_HASH];

    static const struct {
        uint64_t         round;
        const char      *signature;
        const char      *randomness;
    } rounds[] = {
        { 123,
          "b75c69d0b72a5d906e854e808ba7e2accb1542ac355ae486d591aa9d43765482"
          "e26cd02df835d3546d23c4b13e0dfc92",
          "fb8f7bc29bf24db51871ec8c79f3a1e4bd0557bc0dfcee9ed1d924e69d1c60dc"
        },
        { 1000,
          "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125"
          "e342b73a8dd2bacbe47e4b6b63ed5e39",
          "fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd"
        },
        { 657413,
          "b713718a38ae728dfd477991af2822e08d2f305e47718cef9f7848ce4050e7be"
          "41076862b98fad56e91a6b85b89cd97b",
          "fc1873a13f3545aeade8401532ef5519920652eee6b0d2b19ca12643b87b3587"
        },
        { 4810223,
          "a276c597d6525953db73c02713eac9409e847f5c696898d6f5827a41926ddfac"
          "e6133b0da770947a5f1151131a197142",
          "3a7bb41dc289dcce3b5f4c9ef1067b4861777f30a95a663e97cee46ec6cabc07"
        },
        { 14517013,
          "83236a954108c9de257b6a10c838f3e3f215eb3bd25c2261f42b4a6204d6b00a"
          "3f216b8d88dcd7947cba97d39f2e16c5",
          "97d920a0817f74b4dbff89a721faeda4ea307bc5d8890ebb833700ea68b2d106"
        }
    };

    for (i = 0; i < sizeof(rounds) / sizeof(rounds[0]); i++) {
        from_hex(signature, sizeof(signature), rounds[i].signature);
        assert_ok(loyalty_randomness(b, signature, sizeof(signature)));
        assert_hex(b, sizeof(b), rounds[i].randomness);

        assert_int_equal(loyalty_round_at(
                             loyalty_round_time(rounds[i].round)),
                         rounds[i].round);
    }
}


/* all chains: randomness from the signature; quicknet: its clock, too */

static void
test_drand_shared(void **state)
{
    json_t         *root, *chain, *round, *info;
    size_t          i, j, n, seen;
    uint64_t        number;
    unsigned char  *signature, b[LOYALTY_HASH];

    root = shared_vectors("drand_rounds.json");

    if (root == NULL) {
        skip();
    }

    seen = 0;

    json_array_foreach(json_object_get(root, "chains"), i, chain) {
        info = json_object_get(chain, "info");

        json_array_foreach(json_object_get(chain, "rounds"), j, round) {
            signature = json_bytes(round, "signature", &n);
            assert_ok(loyalty_randomness(b, signature, n));
            assert_hex(b, sizeof(b), json_text(round, "randomness"));
            free(signature);

            if (!json_is_string(json_object_get(info, "hash"))
                || strcmp(json_text(info, "hash"), LOYALTY_QUICKNET) != 0)
            {
                continue;
            }

            seen++;
            number = (uint64_t) json_integer_value(
                                    json_object_get(round, "round"));
            assert_int_equal(loyalty_round_time(number),
                             1000 * json_integer_value(
                                 json_object_get(round,
                                                 "expected_unix_time")));
        }
    }

    assert_int_equal(seen, 7);
    json_decref(root);
}


/* vector H */

static void
test_pick(void **state)
{
    uint32_t        p, a;
    uint64_t        x;
    unsigned char   k[LOYALTY_HASH];
    loyalty_hmac_t  key;

    static const struct {
        uint64_t         x;
        uint32_t         a;
    } want[] = {
        { 3578249759469332422ULL, 3 }, { 2665178238864337130ULL, 0 },
        { 8823095347375104518ULL, 2 }, { 9218370202606828212ULL, 1 }
    };

    sha_text(k, "k");
    assert_ok(loyalty_hmac_key(&key, k, sizeof(k)));

    for (p = 0; p < 4; p++) {
        a = 0;
        assert_ok(loyalty_pick(&key, "pick", p, (1ULL << 63) + 1, &a, &x));
        assert_true(x == want[p].x);
        assert_int_equal(a, want[p].a);
    }
}


/* against the definition: the first eight bytes, rejected by division */

static void
test_pick_edges(void **state)
{
    size_t             i;
    uint32_t           a;
    uint64_t           x, word;
    loyalty_sha_t      s;
    unsigned char      hash[LOYALTY_HASH];
    loyalty_hmac_t     key;
    unsigned __int128  limit;

    static const uint64_t  ns[] = {
        1, 2, 3, 7, 30, 1ULL << 32, (1ULL << 32) + 1, 1ULL << 47,
        1ULL << 63, (1ULL << 63) + 1, UINT64_MAX - 1, UINT64_MAX
    };

    assert_ok(loyalty_hmac_key(&key, "key", 3));

    for (i = 0; i < sizeof(ns) / sizeof(ns[0]); i++) {
        a = 5;
        assert_ok(loyalty_pick(&key, "moment", 9, ns[i], &a, &x));
        assert_true(a >= 5);
        assert_true(x < ns[i]);

        loyalty_hmac_init(&s, &key);
        loyalty_sha_tag(&s, "moment");
        loyalty_sha_u32(&s, 9);
        loyalty_sha_u32(&s, a);
        assert_ok(loyalty_hmac_final(&s, &key, hash));

        word = loyalty_get_u64(hash);
        limit = ((unsigned __int128) 1 << 64) / ns[i] * ns[i];
        assert_true(word < limit);
        assert_true(x == word % ns[i]);
    }

    a = 0;
    assert_int_equal(loyalty_pick(&key, "pick", 0, 0, &a, &x), -1);

    a = LOYALTY_ATTEMPTS_MAX - 1;
    assert_ok(loyalty_pick(&key, "pick", 0, 1, &a, &x));
    assert_int_equal(a, LOYALTY_ATTEMPTS_MAX - 1);
    assert_int_equal(x, 0);

    a = LOYALTY_ATTEMPTS_MAX;
    assert_int_equal(loyalty_pick(&key, "pick", 0, 1, &a, &x),
                     LOYALTY_EXHAUSTED);
}


static int
pick48_words(const uint64_t *words, uint64_t n, uint64_t *r)
{
    size_t         i;
    unsigned char  u[LOYALTY_HASH], word[8];

    memset(u, 0, sizeof(u));

    for (i = 0; i < 5; i++) {
        loyalty_put_u64(word, words[i]);
        memcpy(u + 6 * i, word + 2, 6);
    }

    return loyalty_pick48(u, n, r);
}


/* vector H, and around the limit */

static void
test_pick48(void **state)
{
    uint64_t       r, limit;
    unsigned char  u[LOYALTY_HASH];

    const uint64_t  top = (1ULL << 48) - 1;

    memset(u, 0xff, sizeof(u));
    assert_int_equal(loyalty_pick48(u, 300, &r), LOYALTY_CTR);

    memset(u + 6, 0, sizeof(u) - 6);
    u[11] = 7;
    assert_ok(loyalty_pick48(u, 300, &r));
    assert_int_equal(r, 7);

    limit = (1ULL << 48) / 300 * 300;

    assert_ok(pick48_words((uint64_t[]) { limit - 1, 0, 0, 0, 0 }, 300,
                           &r));
    assert_int_equal(r, 299);
    assert_ok(pick48_words((uint64_t[]) { limit, 5, 0, 0, 0 }, 300, &r));
    assert_int_equal(r, 5);
    assert_ok(pick48_words((uint64_t[]) { top, top, top, top, 301 }, 300,
                           &r));
    assert_int_equal(r, 1);

    /* what divides 2^48 accepts every word */

    assert_ok(pick48_words((uint64_t[]) { top, 0, 0, 0, 0 }, 1, &r));
    assert_int_equal(r, 0);
    assert_ok(pick48_words((uint64_t[]) { top, 0, 0, 0, 0 }, 1ULL << 48,
                           &r));
    assert_true(r == top);
    assert_ok(pick48_words((uint64_t[]) { top - 1, 0, 0, 0, 0 }, top, &r));
    assert_true(r == top - 1);
    assert_ok(pick48_words((uint64_t[]) { top, 3, 0, 0, 0 }, top, &r));
    assert_int_equal(r, 3);

    assert_int_equal(loyalty_pick48(u, 0, &r), -1);
    assert_int_equal(loyalty_pick48(u, (1ULL << 48) + 1, &r), -1);
}


/* "1/100 1/20 1/6" */

static int
odds(const char *table, uint64_t *n, uint64_t *weights)
{
    char             *end;
    size_t            count;
    loyalty_prize_t   prizes[8];

    memset(prizes, 0, sizeof(prizes));

    for (count = 0; *table != '\0'; count++) {
        prizes[count].num = strtoull(table, &end, 10);
        prizes[count].den = strtoull(end + 1, &end, 10);
        table = end + (*end == ' ');
    }

    return loyalty_odds(prizes, count, n, weights);
}


static void
test_odds(void **state)
{
    uint64_t  n, w[8];

    assert_ok(odds("1/100 1/20 1/6", &n, w));
    assert_int_equal(n, 300);
    assert_int_equal(w[0], 3);
    assert_int_equal(w[1], 15);
    assert_int_equal(w[2], 50);

    /* lowest terms first */

    assert_ok(odds("2/200 50/1000", &n, w));
    assert_int_equal(n, 100);
    assert_int_equal(w[0], 1);
    assert_int_equal(w[1], 5);

    assert_ok(odds("1/1", &n, w));
    assert_int_equal(n, 1);
    assert_int_equal(w[0], 1);

    assert_ok(odds("1/2 1/3 1/6", &n, w));
    assert_int_equal(n, 6);
    assert_int_equal(w[0] + w[1] + w[2], 6);

    assert_ok(odds("2/3 1/4", &n, w));
    assert_int_equal(n, 12);
    assert_int_equal(w[0], 8);
    assert_int_equal(w[1], 3);

    /* the greatest common denominator that there is: 2^40 - 1 */

    assert_ok(odds("1/1099511627775", &n, w));
    assert_true(n == (1ULL << 40) - 1);
    assert_ok(odds("1/1048575 1/1048577", &n, w));
    assert_true(n == (1ULL << 40) - 1);
    assert_int_equal(w[0], 1048577);
    assert_int_equal(w[1], 1048575);
    assert_ok(odds("1/549755813888 1/2", &n, w));
    assert_true(n == 1ULL << 39);
}


static void
test_odds_refused(void **state)
{
    size_t    i;
    uint64_t  n, w[8];

    static const char  *bad[] = {
        "",                             /* no row */
        "0/100", "0/0", "1/0", "2/1", "101/100",
        "1/2 1/2 1/1000000", "2/3 1/3 1/1099511627775",
        "1/1099511627776", "1/1048576 1/1048577", "3/1099511627776",
        "1/1048575 1/1048577 1/2", "1/18446744073709551615",
        "1/1099511627689 1/1099511627690"
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(odds(bad[i], &n, w), -1);
    }

    /* over the limit as written, and not in lowest terms */

    assert_ok(odds("1048576/1099511627776", &n, w));
    assert_int_equal(n, 1048576);
}


static void
test_walk(void **state)
{
    static const uint64_t  weights[] = { 3, 0, 15, 50 };

    assert_int_equal(loyalty_walk(weights, 4, 0), 0);
    assert_int_equal(loyalty_walk(weights, 4, 2), 0);
    assert_int_equal(loyalty_walk(weights, 4, 3), 2);
    assert_int_equal(loyalty_walk(weights, 4, 17), 2);
    assert_int_equal(loyalty_walk(weights, 4, 18), 3);
    assert_int_equal(loyalty_walk(weights, 4, 67), 3);
    assert_int_equal(loyalty_walk(weights, 4, 68), 4);
    assert_int_equal(loyalty_walk(weights, 4, UINT64_MAX), 4);
    assert_int_equal(loyalty_walk(weights, 0, 0), 0);
}


static void
walk_key(loyalty_hmac_t *key)
{
    unsigned char  k[LOYALTY_HASH];

    sha_text(k, "winners");
    assert_ok(loyalty_hmac_key(key, k, sizeof(k)));
}


/*
 * Owners are letters, one a ticket, "." a void; to the end, giving how many
 * positions were filled.
 */

static uint32_t
walk(loyalty_winners_t *w, const unsigned char *owners, uint32_t *tickets)
{
    int            rc;
    uint32_t       n;
    unsigned char  person[LOYALTY_HASH];

    for (n = 0; /* void */ ; /* void */ ) {
        rc = loyalty_winners_next(w);

        if (rc != LOYALTY_WAITING) {
            assert_int_equal(rc, LOYALTY_DONE);
            return n;
        }

        assert_int_equal(loyalty_winners_next(w), LOYALTY_WAITING);

        memset(person, owners[w->ticket], sizeof(person));
        rc = loyalty_winners_owner(w, person, owners[w->ticket] == '.');

        if (rc == 0) {
            tickets[n++] = (uint32_t) w->ticket;

        } else {
            assert_int_equal(rc, LOYALTY_WAITING);
        }

        assert_int_equal(loyalty_winners_owner(w, person, 0), -1);
    }
}


static void
test_winners_each_once(void **state)
{
    size_t             i;
    uint32_t           n, index[16], tickets[8];
    unsigned char      chosen[6][LOYALTY_HASH];
    loyalty_hmac_t     key;
    loyalty_winners_t  w;

    static const unsigned char  owners[] = "aaaaaaaabbbbcc.......d";

    walk_key(&key);

    /* four persons, six positions: the last two stay empty */

    assert_ok(loyalty_winners_init(&w, chosen, index, 6, 22, 4));
    assert_int_equal(loyalty_winners_next(&w), -1);
    assert_ok(loyalty_winners_range(&w, &key, "pick", 0, 6));

    n = walk(&w, owners, tickets);
    assert_int_equal(n, 4);
    assert_int_equal(w.position, 4);

    for (i = 0; i < n; i++) {
        assert_int_not_equal(owners[tickets[i]], '.');
        assert_int_equal(owners[tickets[i]], chosen[i][0]);
        assert_true(i == 0 || chosen[i][0] != chosen[i - 1][0]);
    }

    /* two of them barred: two are left */

    assert_ok(loyalty_winners_init(&w, chosen, index, 6, 22, 4));
    memset(chosen[5], 'a', LOYALTY_HASH);
    assert_ok(loyalty_winners_exclude(&w, chosen[5]));
    assert_ok(loyalty_winners_exclude(&w, chosen[5]));
    memset(chosen[5], 'd', LOYALTY_HASH);
    assert_ok(loyalty_winners_exclude(&w, chosen[5]));
    assert_ok(loyalty_winners_range(&w, &key, "pick", 0, 6));

    n = walk(&w, owners, tickets);
    assert_int_equal(n, 2);
    assert_int_equal(owners[tickets[0]] + owners[tickets[1]], 'b' + 'c');
}


static void
test_winners_bounds(void **state)
{
    uint32_t           index[16], tickets[4];
    unsigned char      chosen[2][LOYALTY_HASH], person[LOYALTY_HASH];
    loyalty_hmac_t     key;
    loyalty_winners_t  w;

    walk_key(&key);

    /* no entries */

    assert_ok(loyalty_winners_init(&w, chosen, index, 2, 0, 0));
    assert_ok(loyalty_winners_range(&w, &key, "pick", 0, 2));
    assert_int_equal(walk(&w, NULL, tickets), 0);
    assert_int_equal(w.position, 0);

    /* no room for a third */

    assert_ok(loyalty_winners_init(&w, chosen, index, 2, 3, 3));
    assert_ok(loyalty_winners_range(&w, &key, "pick", 0, 3));
    memset(person, 1, sizeof(person));
    assert_int_equal(loyalty_winners_next(&w), LOYALTY_WAITING);
    assert_ok(loyalty_winners_owner(&w, person, 0));
    memset(person, 2, sizeof(person));
    assert_int_equal(loyalty_winners_next(&w), LOYALTY_WAITING);
    assert_ok(loyalty_winners_owner(&w, person, 0));
    memset(person, 3, sizeof(person));
    assert_int_equal(loyalty_winners_next(&w), LOYALTY_WAITING);
    assert_int_equal(loyalty_winners_owner(&w, person, 0), -1);

    assert_int_equal(loyalty_winners_init(&w, chosen, index, 0, 3, 3), -1);
    assert_int_equal(loyalty_winners_init(&w, chosen, index,
                                          LOYALTY_POSITIONS_MAX + 1, 3, 3),
                     -1);
    assert_int_equal(loyalty_winners_init(&w, chosen, index, 2,
                                          LOYALTY_TICKETS_MAX, 3), -1);
    assert_int_equal(loyalty_winners_init(&w, chosen, index, 2, 3, 4), -1);
    assert_ok(loyalty_winners_init(&w, chosen, index, 2,
                                   LOYALTY_TICKETS_MAX - 1, 3));
    assert_int_equal(loyalty_winners_range(&w, &key, "pick", 2, 1), -1);
}


/* a count of persons that is wrong ends loudly, not never */

static void
test_winners_exhausted(void **state)
{
    int                rc;
    uint32_t           index[4], passed;
    unsigned char      chosen[2][LOYALTY_HASH], person[LOYALTY_HASH];
    loyalty_hmac_t     key;
    loyalty_winners_t  w;

    walk_key(&key);
    memset(person, 1, sizeof(person));

    assert_ok(loyalty_winners_init(&w, chosen, index, 2, 10, 2));
    assert_ok(loyalty_winners_range(&w, &key, "pick", 0, 2));

    assert_int_equal(loyalty_winners_next(&w), LOYALTY_WAITING);
    assert_ok(loyalty_winners_owner(&w, person, 0));

    for (passed = 0;
         (rc = loyalty_winners_next(&w)) == LOYALTY_WAITING;
         passed++)
    {
        assert_int_equal(loyalty_winners_owner(&w, person, 0),
                         LOYALTY_WAITING);
    }

    assert_int_equal(rc, LOYALTY_EXHAUSTED);
    assert_int_equal(w.position, 1);
    assert_in_range(passed, LOYALTY_ATTEMPTS_MAX - 2, LOYALTY_ATTEMPTS_MAX);
}


/* many persons, whose first bytes collide in the index */

static void
test_winners_many(void **state)
{
    uint32_t           i, *index;
    unsigned char    (*chosen)[LOYALTY_HASH], person[LOYALTY_HASH];
    loyalty_winners_t  w;

    chosen = calloc(3000, LOYALTY_HASH);
    index = calloc(loyalty_winners_index(3000), sizeof(uint32_t));
    assert_non_null(chosen);
    assert_non_null(index);

    assert_ok(loyalty_winners_init(&w, chosen, index, 3000, 9000, 3000));

    for (i = 0; i < 9000; i++) {
        memset(person, 0xff, sizeof(person));
        loyalty_put_u32(person, i % 3);
        loyalty_put_u32(person + 28, i % 3000);
        assert_ok(loyalty_winners_exclude(&w, person));
        assert_int_equal(w.nchosen, i < 3000 ? i + 1 : 3000);
    }

    person[10] = 0;
    assert_int_equal(loyalty_winners_exclude(&w, person), -1);

    free(chosen);
    free(index);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_randomness),
        cmocka_unit_test(test_drand_shared),
        cmocka_unit_test(test_pick),
        cmocka_unit_test(test_pick_edges),
        cmocka_unit_test(test_pick48),
        cmocka_unit_test(test_odds),
        cmocka_unit_test(test_odds_refused),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_winners_each_once),
        cmocka_unit_test(test_winners_bounds),
        cmocka_unit_test(test_winners_exhausted),
        cmocka_unit_test(test_winners_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
