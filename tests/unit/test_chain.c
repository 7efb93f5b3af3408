/*
 * Epochs and their chain: every link from every spacing of what is kept, and
 * winning moments in slices.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "draw.h"
#include "loyalty_chain.h"
#include "loyalty_moments.h"


#define EPOCHS  40
#define UNITS   200


static void place_all(loyalty_moments_t *m, const loyalty_epochs_t *epochs,
    uint32_t from, uint32_t to, uint32_t slice);
static void epoch_key(uint32_t e, unsigned char *key);


static void
test_epochs(void **state)
{
    loyalty_epochs_t  e;

    assert_ok(loyalty_epochs_init(&e, OPEN, OPEN + 1010000, 60000));
    assert_int_equal(e.epochs, 17);

    assert_int_equal(loyalty_epoch(&e, OPEN - 1), 0);
    assert_int_equal(loyalty_epoch(&e, OPEN), 1);
    assert_int_equal(loyalty_epoch(&e, OPEN + 59999), 1);
    assert_int_equal(loyalty_epoch(&e, OPEN + 60000), 2);
    assert_int_equal(loyalty_epoch(&e, OPEN + 1009999), 17);
    assert_int_equal(loyalty_epoch(&e, OPEN + 1010000), 0);

    assert_int_equal(loyalty_epoch_start(&e, 1), OPEN);
    assert_int_equal(loyalty_epoch_end(&e, 1), OPEN + 60000);
    assert_int_equal(loyalty_epoch_start(&e, 17), OPEN + 960000);
    assert_int_equal(loyalty_epoch_end(&e, 17), OPEN + 1010000);

    /* R_e = round_at(open + (e - 1) L - 6 s) */

    assert_int_equal(loyalty_epoch_round(&e, 3),
                     (OPEN + 114000 - 1692803367000ULL) / 3000 + 1);

    assert_ok(loyalty_epochs_init(&e, OPEN, OPEN + 120000, 60000));
    assert_int_equal(e.epochs, 2);
    assert_ok(loyalty_epochs_init(&e, OPEN, OPEN + 1, 60000));
    assert_int_equal(e.epochs, 1);
    assert_int_equal(loyalty_epoch_end(&e, 1), OPEN + 1);
}


static void
test_epochs_refused(void **state)
{
    loyalty_epochs_t  e;

    assert_int_equal(loyalty_epochs_init(&e, OPEN, OPEN, 60000), -1);
    assert_int_equal(loyalty_epochs_init(&e, OPEN, OPEN - 1, 60000), -1);
    assert_int_equal(loyalty_epochs_init(&e, OPEN, OPEN + 1, 0), -1);
    assert_int_equal(loyalty_epochs_init(&e, LOYALTY_GENESIS_MS + 5999,
                                         OPEN, 60000), -1);
    assert_int_equal(loyalty_epochs_init(&e, OPEN, 1ULL << 53, UINT32_MAX),
                     -1);

    assert_ok(loyalty_epochs_init(&e, OPEN, OPEN + (1U << 24), 1));
    assert_int_equal(loyalty_epochs_init(&e, OPEN, OPEN + (1U << 24) + 1, 1),
                     -1);
}


/* c_e is the same whatever was kept, and H of the one after it */

static void
test_chain(void **state)
{
    int              rc;
    size_t           n;
    uint32_t         every, e, epochs, slices;
    unsigned char    master[LOYALTY_HASH], cid[LOYALTY_CID];
    unsigned char    want[EPOCHS + 1][LOYALTY_HASH], c[LOYALTY_HASH];
    unsigned char  (*points)[LOYALTY_HASH];
    loyalty_chain_t  chain;

    vector_master(master);
    memset(cid, 7, sizeof(cid));

    for (epochs = 1; epochs <= EPOCHS; epochs++) {
        assert_ok(loyalty_chain_tip(want[epochs], master, cid, 3, epochs));

        for (e = epochs; e > 0; e--) {
            assert_ok(loyalty_chain_step(want[e - 1], cid, e, want[e]));
        }

        for (every = 1; every <= epochs + 2; every++) {
            n = loyalty_chain_points(epochs, every);
            points = malloc(n * LOYALTY_HASH);
            assert_non_null(points);

            assert_ok(loyalty_chain_init(&chain, master, cid, 3, epochs,
                                         every, points));
            assert_int_equal(loyalty_chain_get(&chain, epochs, c), -1);

            for (slices = 1;
                 (rc = loyalty_chain_build(&chain, 7)) == 1;
                 slices++) { /* void */ }

            assert_ok(rc);
            assert_int_equal(slices, (epochs + 6) / 7);

            for (e = 0; e <= epochs; e++) {
                assert_ok(loyalty_chain_get(&chain, e, c));
                assert_memory_equal(c, want[e], LOYALTY_HASH);
            }

            assert_int_equal(loyalty_chain_get(&chain, epochs + 1, c), -1);
            free(points);
        }
    }
}


static void
test_chain_refused(void **state)
{
    unsigned char    secret[LOYALTY_HASH], points[2][LOYALTY_HASH];
    loyalty_chain_t  chain;

    memset(secret, 1, sizeof(secret));

    assert_int_equal(loyalty_chain_init(&chain, secret, secret, 1, 0, 1,
                                        points), -1);
    assert_int_equal(loyalty_chain_init(&chain, secret, secret, 1, 1, 0,
                                        points), -1);
    assert_int_equal(loyalty_chain_init(&chain, secret, secret, 1,
                                        LOYALTY_EPOCHS_MAX + 1, UINT32_MAX,
                                        points), -1);
}


/* K_e and u, byte after byte */

static void
test_play_keys(void **state)
{
    unsigned char   c[LOYALTY_HASH], mh[LOYALTY_HASH], chain[LOYALTY_HASH];
    unsigned char   b[LOYALTY_HASH], person[LOYALTY_HASH];
    unsigned char   got[LOYALTY_HASH], want[LOYALTY_HASH], text[256], *p;
    loyalty_hmac_t  key;

    memset(c, 1, sizeof(c));
    memset(mh, 2, sizeof(mh));
    memset(chain, 3, sizeof(chain));
    memset(b, 4, sizeof(b));
    memset(person, 5, sizeof(person));

    memcpy(text, "nginx-loyalty/1 epoch-key", 26);
    memcpy(text + 26, mh, 32);
    memcpy(text + 58, "\x00\x00\x01\x02", 4);
    memcpy(text + 62, chain, 32);
    memcpy(text + 94, "\x00\x00\x00\x00\x00\xdd\x10\x3a", 8);
    memcpy(text + 102, b, 32);
    assert_ok(loyalty_hmac(want, c, 32, text, 134));

    assert_ok(loyalty_epoch_key(got, c, mh, 0x102, chain, 0xdd103a, b));
    assert_memory_equal(got, want, sizeof(got));

    memcpy(text, "nginx-loyalty/1 play", 21);
    memcpy(text + 21, mh, 32);
    p = loyalty_put_u32(text + 53, 0x102);
    p = loyalty_put_u64(p, 0xdd103a);
    memcpy(p, b, 32);
    memcpy(p + 32, person, 32);
    memcpy(p + 64, "\x00\x00\x00\x07\x00\x00\x00\x09", 8);
    assert_ok(loyalty_hmac(want, got, 32, text, 137));

    assert_ok(loyalty_hmac_key(&key, got, 32));
    assert_ok(loyalty_play_u(got, &key, mh, 0x102, 0xdd103a, b, person, 7,
                             9));
    assert_memory_equal(got, want, sizeof(got));
}


static void
epoch_key(uint32_t e, unsigned char *key)
{
    sha_numbered(key, "epoch", e, 4);
}


static void
place_all(loyalty_moments_t *m, const loyalty_epochs_t *epochs,
    uint32_t from, uint32_t to, uint32_t slice)
{
    int            rc;
    unsigned char  key[LOYALTY_HASH];

    for ( /* void */ ; from <= to; from++) {
        epoch_key(from, key);
        assert_ok(loyalty_moments_epoch(m, epochs, from, key));

        do {
            /* neither another epoch nor more units while one is placed */

            assert_int_equal(loyalty_moments_epoch(m, epochs, from + 1, key),
                             -1);
            assert_int_equal(loyalty_moments_grow(m, epochs, m->at,
                                                  m->units), -1);
            rc = loyalty_moments_place(m, slice);
        } while (rc == 1);

        assert_ok(rc);
    }
}


/* by the definition, in one go, and in slices */

static void
test_moments(void **state)
{
    uint32_t           e, k, a, slice;
    uint64_t           x, at[UNITS], want[UNITS], start;
    unsigned char      key[LOYALTY_HASH];
    loyalty_hmac_t     ready;
    loyalty_epochs_t   epochs;
    loyalty_moments_t  m;

    assert_ok(loyalty_epochs_init(&epochs, OPEN, OPEN + 590001, 60000));
    assert_int_equal(epochs.epochs, 10);

    for (k = 0; k < UNITS; k++) {
        want[k] = LOYALTY_UNPLACED;

        for (e = 1; e <= 10 && want[k] == LOYALTY_UNPLACED; e++) {
            epoch_key(e, key);
            assert_ok(loyalty_hmac_key(&ready, key, sizeof(key)));

            a = 0;
            assert_ok(loyalty_pick(&ready, "moment", k, 10 - e + 1, &a, &x));

            if (x != 0) {
                continue;
            }

            start = OPEN + (e - 1) * 60000;

            a = 0;
            assert_ok(loyalty_pick(&ready, "offset", k,
                                   e == 10 ? 50001 : 60000, &a, &x));
            want[k] = start + x;
        }
    }

    for (slice = 1; slice <= UNITS + 1; slice += 40) {
        assert_ok(loyalty_moments_init(&m, &epochs, at, UNITS));
        place_all(&m, &epochs, 1, 10, slice);
        assert_memory_equal(at, want, sizeof(at));
    }

    epoch_key(11, key);
    assert_int_equal(loyalty_moments_epoch(&m, &epochs, 11, key), -1);
}


/* stock that comes later stands where it would have stood from then on */

static void
test_moments_grow(void **state)
{
    uint32_t           k;
    uint64_t           at[UNITS], more[UNITS];
    loyalty_epochs_t   epochs;
    loyalty_moments_t  m;

    assert_ok(loyalty_epochs_init(&epochs, OPEN, OPEN + 600000, 60000));

    assert_ok(loyalty_moments_init(&m, &epochs, at, 50));
    place_all(&m, &epochs, 1, 4, 1000);

    memcpy(more, at, sizeof(at));
    assert_ok(loyalty_moments_grow(&m, &epochs, more, UNITS));
    assert_int_equal(loyalty_moments_place(&m, 1000), 0);

    for (k = 0; k < 50; k++) {
        assert_true(more[k] == at[k]);
    }

    for ( /* void */ ; k < UNITS; k++) {
        assert_true(more[k] == LOYALTY_UNPLACED);
    }

    place_all(&m, &epochs, 5, 10, 1000);

    for (k = 0; k < UNITS; k++) {
        assert_in_range(more[k], OPEN + (k < 50 ? 0 : 240000),
                        OPEN + 599999);
        assert_true(k >= 50 || at[k] == LOYALTY_UNPLACED
                    || more[k] == at[k]);
    }

    assert_int_equal(loyalty_moments_grow(&m, &epochs, more, UNITS - 1), -1);
    assert_int_equal(loyalty_moments_grow(&m, &epochs, NULL, 10000001), -1);
}


static void
test_moments_bound(void **state)
{
    uint64_t           at[1];
    loyalty_epochs_t   epochs;
    loyalty_moments_t  m;

    assert_ok(loyalty_epochs_init(&epochs, OPEN, OPEN + 100000, 1));
    assert_int_equal(loyalty_moments_init(&m, &epochs, NULL, 1001), -1);
    assert_ok(loyalty_moments_init(&m, &epochs, at, 1));
    assert_int_equal(loyalty_moments_init(&m, &epochs, NULL, UINT32_MAX),
                     -1);
}


static void
test_order(void **state)
{
    uint32_t           i, n, order[UNITS];
    uint64_t           at[UNITS];
    loyalty_moments_t  m;

    memset(&m, 0, sizeof(m));
    m.at = at;

    for (m.units = 0; m.units <= UNITS; m.units++) {

        for (i = 0, n = 0; i < m.units; i++) {
            at[i] = (i * 7919 + m.units) % 53;

            if (at[i] == 0) {
                at[i] = LOYALTY_UNPLACED;
            }

            n += (at[i] != LOYALTY_UNPLACED);
        }

        assert_int_equal(loyalty_moments_order(&m, order), n);

        for (i = 1; i < n; i++) {
            assert_true(at[order[i - 1]] < at[order[i]]
                        || (at[order[i - 1]] == at[order[i]]
                            && order[i - 1] < order[i]));
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_epochs),
        cmocka_unit_test(test_epochs_refused),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_chain_refused),
        cmocka_unit_test(test_play_keys),
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_moments_grow),
        cmocka_unit_test(test_moments_bound),
        cmocka_unit_test(test_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
