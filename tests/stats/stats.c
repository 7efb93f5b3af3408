/*
 * The statistics that must hold: chi-square tests of a million outcomes and
 * more of everything that is drawn, or the raw stream of u for other tests of
 * randomness.
 *
 *     stats [N]            N outcomes each, 1000000 where nothing is said
 *     stats --stream       bytes of u, play after play, without an end
 */

#include "outcomes.h"


#define STREAM_PLAYS  2048


static int test_all(uint64_t n);
static int stream(void);


int
main(int argc, char **argv)
{
    uint64_t  n;

    if (argc > 1 && strcmp(argv[1], "--stream") == 0) {
        return stream();
    }

    n = (argc > 1) ? strtoull(argv[1], NULL, 10) : 1000000;

    if (n == 0) {
        fprintf(stderr, "usage: stats [N] | stats --stream\n");
        return 2;
    }

    return test_all(n);
}


static int
test_all(uint64_t n)
{
    int     failed;
    size_t  i;
    double  p;

    failed = 0;

    for (i = 0; i < OUTCOMES; i++) {
        p = outcomes[i].p(n);

        printf("%-34s %10llu outcomes  p = %.6f%s\n", outcomes[i].name,
               (unsigned long long) n, p, p > OUTCOMES_P ? "" : "  FAILED");
        fflush(stdout);

        failed |= !(p > OUTCOMES_P);
    }

    return failed;
}


/* as a busy game has it: persons in turn, a round every 3 s */

static int
stream(void)
{
    size_t           i;
    uint64_t         n;
    unsigned char    u[STREAM_PLAYS][LOYALTY_HASH];
    unsigned char    mh[LOYALTY_HASH], b[LOYALTY_HASH];
    unsigned char    person[LOYALTY_HASH];
    loyalty_hmac_t   key;

    memset(mh, 1, sizeof(mh));
    memset(b, 2, sizeof(b));
    memset(person, 0, sizeof(person));

    for (n = 0; /* void */ ; n++) {

        if (n % 20 == 0) {
            outcomes_key(&key, "stream", n / 20);
        }

        for (i = 0; i < STREAM_PLAYS; i++) {
            loyalty_put_u32(person, (uint32_t) (i / 2));
            outcomes_check(loyalty_play_u(u[i], &key, mh,
                                          (uint32_t) (n / 20 + 1), n, b,
                                          person, i % 2, 0));
        }

        if (fwrite(u, sizeof(u), 1, stdout) != 1) {
            return 0;
        }
    }
}
