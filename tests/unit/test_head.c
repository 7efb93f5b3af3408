/*
 * The head of a member's value: a good one, and all that is not one.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "loyalty_head.h"


typedef struct {
    int64_t      format;
    int64_t      seq;
    int64_t      oldest;
    int64_t      kept;
    int64_t      number;               /* in a state */
    uint32_t     numbers;              /* of the wallets */
    uint32_t     states;
    const char  *wallets;
    const char  *slots;
} head_t;


static const head_t  good = {
    1, 20, 1, 12, -5, 8, 4, "WPTSWCRD", "PROGBUY EARNCHAL"
};


static size_t write_head(const head_t *h, unsigned char *buf, size_t size);
static void write_state(loyalty_mpw_t *w, int64_t i, int64_t number);
static int parse(const head_t *h);


static size_t
write_head(const head_t *h, unsigned char *buf, size_t size)
{
    int64_t        i;
    loyalty_mpw_t  w;

    loyalty_mpw_init(&w, buf, size);
    loyalty_mpw_int(&w, h->format);
    loyalty_mpw_int(&w, h->seq);
    loyalty_mpw_int(&w, 700);
    loyalty_mpw_int(&w, h->oldest);
    loyalty_mpw_int(&w, h->kept);
    loyalty_mpw_str(&w, h->wallets, strlen(h->wallets));
    loyalty_mpw_str(&w, h->slots, strlen(h->slots));

    for (i = 0; i < h->numbers; i++) {
        loyalty_mpw_int(&w, i * 100 - 200);
    }

    for (i = 0; i < h->states; i++) {
        switch (i) {

        case 0:
            loyalty_mpw_raw(&w, "\xc2", 1);
            break;

        case 1:
            loyalty_mpw_str(&w, "\xc1""buy", 4);
            break;

        default:
            write_state(&w, i, h->number);
        }
    }

    assert_int_equal(w.failed, 0);

    return (size_t) (w.pos - w.start);
}


/* a state is a string of values */

static void
write_state(loyalty_mpw_t *w, int64_t i, int64_t number)
{
    unsigned char  buf[64];
    loyalty_mpw_t  state;

    loyalty_mpw_init(&state, buf, sizeof(buf));
    loyalty_mpw_int(&state, i);
    loyalty_mpw_array(&state, 2);
    loyalty_mpw_int(&state, 7);
    loyalty_mpw_int(&state, number);

    loyalty_mpw_str(w, buf, (size_t) (state.pos - state.start));
}


static int
parse(const head_t *h)
{
    size_t           n;
    unsigned char    buf[512];
    loyalty_head_t   head;

    n = write_head(h, buf, sizeof(buf));

    return loyalty_head_parse(&head, buf, n);
}


static void
test_good(void **state)
{
    size_t             n;
    int64_t            i;
    loyalty_mpv_t      v;
    loyalty_mpr_t      states[4];
    unsigned char      buf[512];
    loyalty_head_t     head;
    loyalty_account_t  account;

    n = write_head(&good, buf, sizeof(buf));

    /* records follow the head and are no part of it */
    memset(buf + n, 0xc1, 8);

    assert_int_equal(loyalty_head_parse(&head, buf, n + 8), 0);
    assert_int_equal(head.seq, 20);
    assert_int_equal(head.alias, 700);
    assert_int_equal(head.oldest, 1);
    assert_int_equal(head.records, 12);
    assert_int_equal(head.nwallets, 2);
    assert_int_equal(head.nslots, 4);

    assert_int_equal(loyalty_head_wallet(&head,
                         (const unsigned char *) "WPTS", &account), 1);
    assert_int_equal(account.balance, -200);
    assert_int_equal(account.lifetime, -100);
    assert_int_equal(account.opening, 0);
    assert_int_equal(account.owed, 100);

    assert_int_equal(loyalty_head_wallet(&head,
                         (const unsigned char *) "WCRD", &account), 1);
    assert_int_equal(account.balance, 200);
    assert_int_equal(account.owed, 500);

    /* what spans two hashes is none */
    assert_int_equal(loyalty_head_wallet(&head,
                         (const unsigned char *) "TSWC", &account), 0);
    assert_int_equal(account.balance, 0);
    assert_int_equal(account.owed, 0);

    loyalty_head_states(&head, states);

    /* none, and a type's name */
    assert_true(states[0].pos == states[0].end);
    assert_true(states[1].pos == states[1].end);

    assert_int_equal(loyalty_mpr_int(&states[3], &i), 0);
    assert_int_equal(i, 3);
    assert_int_equal(loyalty_mpr_next(&states[3], &v), 0);
    assert_int_equal(v.type, LOYALTY_MP_ARRAY);
    assert_int_equal(v.n, 2);
    assert_int_equal(loyalty_mpr_skip(&states[3]), 0);
    assert_int_equal(loyalty_mpr_int(&states[3], &i), 0);
    assert_int_equal(i, -5);
    assert_true(states[3].pos == states[3].end);
}


static void
test_empty(void **state)
{
    head_t             h;
    size_t             n;
    unsigned char      buf[64];
    loyalty_head_t     head;
    loyalty_account_t  account;

    h = good;
    h.wallets = "";
    h.slots = "";
    h.numbers = 0;
    h.states = 0;

    n = write_head(&h, buf, sizeof(buf));

    assert_int_equal(loyalty_head_parse(&head, buf, n), 0);
    assert_int_equal(head.nwallets, 0);
    assert_int_equal(head.nslots, 0);
    assert_int_equal(loyalty_head_wallet(&head,
                         (const unsigned char *) "WPTS", &account), 0);
}


static void
test_refused(void **state)
{
    head_t  h;

    assert_int_equal(parse(&good), 0);

    h = good; h.format = 2;
    assert_int_equal(parse(&h), -1);

    h = good; h.seq = -1;
    assert_int_equal(parse(&h), -1);

    h = good; h.oldest = 21;                       /* newer than the newest */
    assert_int_equal(parse(&h), -1);

    h = good; h.kept = 17;
    assert_int_equal(parse(&h), -1);

    h = good; h.seq = 11; h.oldest = 0;            /* 12 of 11 records */
    assert_int_equal(parse(&h), -1);

    h = good; h.wallets = "WPTSWCR";
    assert_int_equal(parse(&h), -1);

    h = good; h.numbers = 7;
    assert_int_equal(parse(&h), -1);

    h = good; h.slots = "PROGBUY EARNCHA";
    assert_int_equal(parse(&h), -1);

    h = good; h.states = 3;
    assert_int_equal(parse(&h), -1);

    /* no number is larger than what Lua holds exactly */

    h = good; h.number = 9007199254740991LL;
    assert_int_equal(parse(&h), 0);

    h = good; h.number = 9007199254740992LL;
    assert_int_equal(parse(&h), -1);

    h = good; h.number = INT64_MIN;
    assert_int_equal(parse(&h), -1);
}


/* in a block of its own size, so that a sanitizer sees a read behind it */

static void
test_cut(void **state)
{
    size_t           i, n;
    unsigned char    buf[512], *copy;
    loyalty_head_t   head;

    n = write_head(&good, buf, sizeof(buf));

    for (i = 0; i < n; i++) {
        copy = malloc(i + 1);
        assert_non_null(copy);
        memcpy(copy, buf, i);

        assert_int_equal(loyalty_head_parse(&head, copy, i), -1);

        free(copy);
    }
}


/* any byte at any place: refused, or what is read is within the head */

static void
test_changed(void **state)
{
    int                value;
    size_t             i, n;
    uint32_t           k;
    unsigned char      buf[512], *copy;
    loyalty_mpr_t     *states;
    loyalty_head_t     head;
    loyalty_account_t  account;

    n = write_head(&good, buf, sizeof(buf));

    copy = malloc(n);
    assert_non_null(copy);

    for (i = 0; i < n; i++) {
        for (value = 0; value < 256; value++) {

            memcpy(copy, buf, n);
            copy[i] = (unsigned char) value;

            if (loyalty_head_parse(&head, copy, n) != 0) {
                continue;
            }

            (void) loyalty_head_wallet(&head,
                              (const unsigned char *) "WCRD", &account);

            states = calloc(head.nslots + 1, sizeof(loyalty_mpr_t));
            assert_non_null(states);

            loyalty_head_states(&head, states);

            for (k = 0; k < head.nslots; k++) {
                assert_true(states[k].pos >= copy);
                assert_true(states[k].pos <= states[k].end);
                assert_true(states[k].end <= copy + n);
            }

            free(states);
        }
    }

    free(copy);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_changed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
