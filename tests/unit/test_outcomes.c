/*
 * What is drawn is drawn as often as it should be: the tests of tests/stats
 * with fewer outcomes, and a chi-square that can tell.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../stats/outcomes.h"


#define N  50000


/* tables give 3.841 for 5 % with one degree of freedom, 124.342 with 100 */

static void
test_chi_square(void **state)
{
    assert_true(fabs(gamma_q(0.5, 3.841459 / 2) - 0.05) < 1e-6);
    assert_true(fabs(gamma_q(50, 124.342113 / 2) - 0.05) < 1e-6);
    assert_true(fabs(gamma_q(4.5, 27.877165 / 2) - 0.001) < 1e-6);
    assert_true(fabs(gamma_q(1, 1) - exp(-1)) < 1e-12);
    assert_true(gamma_q(5, 0) == 1);
    assert_true(gamma_q(1, 400) < 1e-170);
}


/* it fails what is not so, and what is in no cell at all */

static void
test_tells(void **state)
{
    size_t   i;
    tally_t  t;

    tally_init(&t, 2);

    for (i = 0; i < 10000; i++) {
        tally_add(&t, i % 2);
    }

    assert_true(tally_p(&t) > 0.99);

    for (i = 0; i < 400; i++) {
        tally_add(&t, 0);
    }

    assert_true(tally_p(&t) < OUTCOMES_P);

    /* a cell that cannot be is no degree of freedom, and stays empty */

    tally_init(&t, 3);
    t.want[0] = t.want[1] = 0.5;
    t.want[2] = 0;
    t.seen[0] = 5100;
    t.seen[1] = 4900;
    t.n = 10000;

    assert_true(fabs(tally_p(&t) - gamma_q(0.5, 2)) < 1e-12);
    tally_add(&t, 2);
    assert_true(tally_p(&t) == 0);

    tally_init(&t, 2);

    for (i = 0; i < 10000; i++) {
        tally_add(&t, i % 3);
    }

    assert_true(tally_p(&t) < OUTCOMES_P);
}


static void
test_outcomes(void **state)
{
    size_t  i;
    double  p;

    for (i = 0; i < OUTCOMES; i++) {
        p = outcomes[i].p(N);

        if (!(p > OUTCOMES_P)) {
            fail_msg("%s: p = %g", outcomes[i].name, p);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_chi_square),
        cmocka_unit_test(test_tells),
        cmocka_unit_test(test_outcomes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
