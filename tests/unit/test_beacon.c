/*
 * Rounds of a beacon: real ones of quicknet, replies that are not what they
 * should be, and a table that forgets the right ones.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loyalty_beacon.h"
#include "loyalty_bls.h"


typedef struct {
    uint64_t     round;
    const char  *sig;
    const char  *b;
} round_t;


static const round_t  rounds[] = {
    { 123, "b75c69d0b72a5d906e854e808ba7e2accb1542ac355ae486d591aa9d43765482"
           "e26cd02df835d3546d23c4b13e0dfc92",
      "fb8f7bc29bf24db51871ec8c79f3a1e4bd0557bc0dfcee9ed1d924e69d1c60dc" },
    { 1000, "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125"
            "e342b73a8dd2bacbe47e4b6b63ed5e39",
      "fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd" },
    { 657413, "b713718a38ae728dfd477991af2822e08d2f305e47718cef9f7848ce4050e7"
              "be41076862b98fad56e91a6b85b89cd97b",
      "fc1873a13f3545aeade8401532ef5519920652eee6b0d2b19ca12643b87b3587" },
    { 4810223, "a276c597d6525953db73c02713eac9409e847f5c696898d6f5827a41926dd"
               "face6133b0da770947a5f1151131a197142",
      "3a7bb41dc289dcce3b5f4c9ef1067b4861777f30a95a663e97cee46ec6cabc07" },
    { 14517013, "83236a954108c9de257b6a10c838f3e3f215eb3bd25c2261f42b4a6204d6"
                "b00a3f216b8d88dcd7947cba97d39f2e16c5",
      "97d920a0817f74b4dbff89a721faeda4ea307bc5d8890ebb833700ea68b2d106" },
};


static void refused(const char *json, uint64_t round, const char *what);
static loyalty_beacon_t made(uint64_t round, unsigned variant);
static unsigned missing(loyalty_beacons_t *t, uint64_t latest,
    uint64_t *rounds, unsigned max);


static void
test_parse(void **state)
{
    int               n;
    char              json[1024];
    size_t            i;
    const char       *error;
    unsigned char     sig[LOYALTY_BEACON_SIG], b[LOYALTY_HASH];
    loyalty_beacon_t  beacon;

    for (i = 0; i < sizeof(rounds) / sizeof(rounds[0]); i++) {
        n = snprintf(json, sizeof(json), "{\"round\":%llu,\"randomness\":"
                     "\"%s\",\"signature\":\"%s\"}\n",
                     (unsigned long long) rounds[i].round, rounds[i].b,
                     rounds[i].sig);

        assert_int_equal(loyalty_beacon_parse(&beacon, json, (size_t) n,
                                              rounds[i].round, &error), 0);
        assert_int_equal(beacon.round, rounds[i].round);
        assert_int_equal(loyalty_unhex(sig, sizeof(sig),
                                       (const unsigned char *) rounds[i].sig,
                                       strlen(rounds[i].sig)), 0);
        assert_int_equal(loyalty_unhex(b, sizeof(b),
                                       (const unsigned char *) rounds[i].b,
                                       strlen(rounds[i].b)), 0);
        assert_memory_equal(beacon.sig, sig, sizeof(sig));
        assert_memory_equal(beacon.b, b, sizeof(b));

        refused(json, rounds[i].round + 1, "another round");
        refused(json, 0, "another round");
    }
}


static void
refused(const char *json, uint64_t round, const char *what)
{
    const char       *error;
    loyalty_beacon_t  beacon;

    error = NULL;

    if (loyalty_beacon_parse(&beacon, json, strlen(json), round, &error)
        != -1)
    {
        fail_msg("taken: %s", json);
    }

    assert_non_null(error);

    if (strstr(error, what) == NULL) {
        fail_msg("%s: %s", json, error);
    }
}


#define SIG  "\"b75c69d0b72a5d906e854e808ba7e2accb1542ac355ae486d591aa9d43765" \
             "482e26cd02df835d3546d23c4b13e0dfc92\""
#define B    "\"fb8f7bc29bf24db51871ec8c79f3a1e4bd0557bc0dfcee9ed1d924e69d1c6" \
             "0dc\""


static void
test_refused(void **state)
{
    char              json[LOYALTY_BEACON_JSON + 16];
    const char       *error;
    loyalty_beacon_t  beacon;

    refused("", 123, "no JSON object");
    refused("<html>", 123, "no JSON object");
    refused("[]", 123, "no JSON object");
    refused("123", 123, "no JSON object");
    refused("{\"round\":123,\"randomness\":" B ",\"signature\":" SIG "} x",
            123, "no JSON object");
    refused("{\"round\":123,\"round\":123,\"randomness\":" B ",\"signature\":"
            SIG "}", 123, "no JSON object");
    refused("{}", 123, "has no round");
    refused("{\"randomness\":" B ",\"signature\":" SIG "}", 123,
            "has no round");
    refused("{\"round\":\"123\",\"randomness\":" B ",\"signature\":" SIG "}",
            123, "has no round");
    refused("{\"round\":123.0,\"randomness\":" B ",\"signature\":" SIG "}",
            123, "has no round");
    refused("{\"round\":0,\"randomness\":" B ",\"signature\":" SIG "}", 123,
            "has no round");
    refused("{\"round\":-123,\"randomness\":" B ",\"signature\":" SIG "}",
            123, "has no round");
    refused("{\"round\":123,\"signature\":" SIG "}", 123, "has no round");
    refused("{\"round\":123,\"randomness\":" B "}", 123, "has no round");
    refused("{\"round\":123,\"randomness\":" B ",\"signature\":" B "}", 123,
            "has no round");
    refused("{\"round\":123,\"randomness\":" SIG ",\"signature\":" SIG "}",
            123, "has no round");
    refused("{\"round\":123,\"randomness\":null,\"signature\":" SIG "}", 123,
            "has no round");
    refused("{\"round\":123,\"randomness\":\"fb8f7bc29bf24db51871ec8c79f3a1e4"
            "bd0557bc0dfcee9ed1d924e69d1c60dg\",\"signature\":" SIG "}", 123,
            "has no round");

    /* the one that matters */

    refused("{\"round\":123,\"randomness\":\"fb8f7bc29bf24db51871ec8c79f3a1e4"
            "bd0557bc0dfcee9ed1d924e69d1c60dd\",\"signature\":" SIG "}", 123,
            "not the hash of its signature");

    memset(json, ' ', sizeof(json));
    memcpy(json, "{\"round\":123,\"randomness\":" B ",\"signature\":" SIG "}",
           sizeof("{\"round\":123,\"randomness\":" B ",\"signature\":" SIG
                  "}") - 1);
    assert_int_equal(loyalty_beacon_parse(&beacon, json, LOYALTY_BEACON_JSON,
                                          123, &error), 0);
    assert_int_equal(loyalty_beacon_parse(&beacon, json,
                                          LOYALTY_BEACON_JSON + 1, 123,
                                          &error), -1);
}


static loyalty_beacon_t
made(uint64_t round, unsigned variant)
{
    unsigned char     sig[LOYALTY_BEACON_SIG];
    loyalty_beacon_t  beacon;

    memset(sig, (int) variant, sizeof(sig));
    memcpy(sig, &round, sizeof(round));
    memset(&beacon, 0, sizeof(beacon));
    assert_int_equal(loyalty_beacon_set(&beacon, round, sig, variant), 0);

    return beacon;
}


static unsigned
missing(loyalty_beacons_t *t, uint64_t latest, uint64_t *out, unsigned max)
{
    unsigned  i, n;
    uint64_t  round;

    i = 0;
    n = 0;

    while ((round = loyalty_beacons_missing(t, latest, &i)) != 0) {
        assert_true(n < max);
        out[n++] = round;
    }

    return n;
}


static void
test_recent(void **state)
{
    uint64_t            r;
    unsigned            held, wanted;
    loyalty_beacon_t    b;
    loyalty_beacons_t  *t;

    t = calloc(1, sizeof(loyalty_beacons_t));
    assert_non_null(t);

    assert_null(loyalty_beacons_get(t, 0));
    assert_null(loyalty_beacons_get(t, 64));

    for (r = 1000; r < 1200; r++) {
        b = made(r, 1);
        assert_int_equal(loyalty_beacons_put(t, &b), 0);
        assert_int_equal(t->newest.round, r);
    }

    for (r = 1; r < 1300; r++) {
        if (r < 1136 || r >= 1200) {
            assert_null(loyalty_beacons_get(t, r));

        } else {
            b = made(r, 1);
            assert_non_null(loyalty_beacons_get(t, r));
            assert_memory_equal(loyalty_beacons_get(t, r), &b, sizeof(b));
        }
    }

    loyalty_beacons_count(t, &held, &wanted);
    assert_int_equal(held, 64);
    assert_int_equal(wanted, 0);

    /* a round does not change */

    b = made(1150, 1);
    assert_int_equal(loyalty_beacons_put(t, &b), LOYALTY_BEACON_SAME);
    b = made(1150, 2);
    assert_int_equal(loyalty_beacons_put(t, &b), LOYALTY_BEACON_OTHER);
    assert_int_equal(loyalty_beacons_get(t, 1150)->source, 1);
    b = made(0, 2);
    assert_int_equal(loyalty_beacons_put(t, &b), -1);

    /* gaps are filled, and the newest stays so */

    b = made(1300, 1);
    assert_int_equal(loyalty_beacons_put(t, &b), 0);
    b = made(1250, 1);
    assert_int_equal(loyalty_beacons_put(t, &b), 0);
    assert_int_equal(t->newest.round, 1300);
    assert_non_null(loyalty_beacons_get(t, 1250));

    /* an old one by hand, without being asked for: kept, not among these */

    b = made(5, 3);
    assert_int_equal(loyalty_beacons_put(t, &b), 0);
    assert_int_equal(loyalty_beacons_get(t, 5)->source, 3);
    assert_int_equal(t->newest.round, 1300);

    free(t);
}


static void
test_wanted(void **state)
{
    uint64_t            r, out[LOYALTY_BEACON_WANTED];
    unsigned            held, wanted;
    loyalty_beacon_t    b;
    loyalty_beacons_t  *t;

    t = calloc(1, sizeof(loyalty_beacons_t));
    assert_non_null(t);

    assert_int_equal(loyalty_beacons_want(t, 0), 0);
    assert_int_equal(missing(t, UINT64_MAX, out, 1), 0);

    assert_int_equal(loyalty_beacons_want(t, 900), 0);
    assert_int_equal(loyalty_beacons_want(t, 100), 0);
    assert_int_equal(loyalty_beacons_want(t, 900), 0);

    assert_int_equal(missing(t, 99, out, 1), 0);
    assert_int_equal(missing(t, 899, out, 1), 1);
    assert_int_equal(out[0], 100);
    assert_int_equal(missing(t, 900, out, 2), 2);

    /* wanted first, then recent: both ways it stays for good */

    b = made(100, 1);
    assert_int_equal(loyalty_beacons_put(t, &b), 0);
    b = made(200, 1);
    assert_int_equal(loyalty_beacons_put(t, &b), 0);
    assert_int_equal(loyalty_beacons_want(t, 200), 0);
    assert_int_equal(missing(t, 1000, out, 1), 1);
    loyalty_beacons_count(t, &held, &wanted);
    assert_int_equal(held, 2);
    assert_int_equal(wanted, 1);

    for (r = 1000; r < 1200; r++) {
        b = made(r, 1);
        assert_int_equal(loyalty_beacons_put(t, &b), 0);
    }

    assert_non_null(loyalty_beacons_get(t, 100));
    assert_non_null(loyalty_beacons_get(t, 200));
    b = made(200, 2);
    assert_int_equal(loyalty_beacons_put(t, &b), LOYALTY_BEACON_OTHER);
    b = made(200, 1);
    assert_int_equal(loyalty_beacons_put(t, &b), LOYALTY_BEACON_SAME);

    loyalty_beacons_count(t, &held, &wanted);
    assert_int_equal(held, 66);
    assert_int_equal(wanted, 1);

    free(t);
}


static void
test_full(void **state)
{
    uint64_t            r, out[LOYALTY_BEACON_WANTED];
    loyalty_beacon_t    b;
    loyalty_beacons_t  *t;

    t = calloc(1, sizeof(loyalty_beacons_t));
    assert_non_null(t);

    for (r = 1; r <= LOYALTY_BEACON_WANTED; r++) {
        assert_int_equal(loyalty_beacons_want(t, r), 0);
    }

    assert_int_equal(loyalty_beacons_want(t, 7), 0);
    assert_int_equal(loyalty_beacons_want(t, 5000), -1);
    assert_int_equal(missing(t, 5000, out, LOYALTY_BEACON_WANTED),
                     LOYALTY_BEACON_WANTED);

    /* places are made by what is held, the one first that was wanted longest
       ago; what is not there yet is not given up */

    for (r = 10; r <= 12; r++) {
        b = made(r, 1);
        assert_int_equal(loyalty_beacons_put(t, &b), 0);
    }

    /* so that they are only where they were wanted */

    for (r = 2000; r < 2064; r++) {
        b = made(r, 1);
        assert_int_equal(loyalty_beacons_put(t, &b), 0);
    }

    assert_int_equal(loyalty_beacons_want(t, 10), 0);
    assert_int_equal(loyalty_beacons_want(t, 5000), 0);
    assert_null(loyalty_beacons_get(t, 11));
    assert_non_null(loyalty_beacons_get(t, 10));
    assert_non_null(loyalty_beacons_get(t, 12));
    assert_int_equal(loyalty_beacons_want(t, 5001), 0);
    assert_null(loyalty_beacons_get(t, 12));
    assert_int_equal(loyalty_beacons_want(t, 5002), 0);
    assert_null(loyalty_beacons_get(t, 10));
    assert_int_equal(loyalty_beacons_want(t, 5003), -1);

    /* one by hand that nobody wanted has no place either */

    b = made(1500, 1);
    assert_int_equal(loyalty_beacons_put(t, &b), -1);
    assert_int_equal(missing(t, UINT64_MAX, out, LOYALTY_BEACON_WANTED),
                     LOYALTY_BEACON_WANTED);

    free(t);
}


static void
test_bls(void **state)
{
    int            bit;
    size_t         i;
    unsigned char  sig[LOYALTY_BEACON_SIG];

    memset(sig, 0, sizeof(sig));

    if (!loyalty_bls()) {
        assert_int_equal(loyalty_bls_verify(123, sig), -1);
        return;
    }

    for (i = 0; i < sizeof(rounds) / sizeof(rounds[0]); i++) {
        assert_int_equal(loyalty_unhex(sig, sizeof(sig),
                                       (const unsigned char *) rounds[i].sig,
                                       strlen(rounds[i].sig)), 0);
        assert_int_equal(loyalty_bls_verify(rounds[i].round, sig), 0);
        assert_int_equal(loyalty_bls_verify(rounds[i].round + 1, sig), -1);
        assert_int_equal(loyalty_bls_verify(0, sig), -1);

        for (bit = 0; bit < LOYALTY_BEACON_SIG * 8; bit += 5) {
            sig[bit / 8] ^= (unsigned char) (1 << bit % 8);
            assert_int_equal(loyalty_bls_verify(rounds[i].round, sig), -1);
            sig[bit / 8] ^= (unsigned char) (1 << bit % 8);
        }
    }

    /* the point at infinity, and no point at all */

    memset(sig, 0, sizeof(sig));
    assert_int_equal(loyalty_bls_verify(123, sig), -1);
    sig[0] = 0xc0;
    assert_int_equal(loyalty_bls_verify(123, sig), -1);
    memset(sig, 0xff, sizeof(sig));
    assert_int_equal(loyalty_bls_verify(123, sig), -1);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_recent),
        cmocka_unit_test(test_wanted),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_bls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
