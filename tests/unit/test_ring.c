/*
 * The ring: each change of a slot, and processes that are killed at any
 * moment while they use it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "loyalty_ring.h"


#define SLOTS    50
#define WORKERS  4
#define ROUNDS   60
#define MOST     (1 << 20)             /* events of one process, and more */


/* what the processes tell each other, beside the ring */

typedef struct {
    uint32_t   published[WORKERS];     /* numbers below it are in the ring */
    uint8_t    seen[WORKERS][MOST];
} shared_t;


static loyalty_ring_t *ring_of(size_t slots);
static void put(loyalty_ring_t *ring, size_t slot, uint64_t me, uint32_t who,
    uint32_t n);
static void take(loyalty_ring_t *ring, size_t slot, uint64_t me,
    shared_t *shared);
static void live(loyalty_ring_t *ring, shared_t *shared, unsigned who,
    unsigned seed);
static void bury(loyalty_ring_t *ring, shared_t *shared, uint64_t dead,
    uint64_t me);


static loyalty_ring_t *
ring_of(size_t slots)
{
    void    *p;
    size_t   size;

    size = offsetof(loyalty_ring_t, words) + 64
           + slots * (LOYALTY_RECORD + sizeof(uint64_t));

    p = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_ANON|MAP_SHARED, -1, 0);
    assert_ptr_not_equal(p, MAP_FAILED);

    return loyalty_ring_init(p, size);
}


static void
test_size(void **state)
{
    size_t  size, n;

    assert_null(loyalty_ring_init(&size, sizeof(size)));
    assert_int_equal(loyalty_ring_slots(0), 0);

    for (size = 0; size < 100000; size += 8) {
        n = loyalty_ring_slots(size);
        assert_true(n * (LOYALTY_RECORD + sizeof(uint64_t)) <= size);
    }

    assert_true(loyalty_ring_slots(8 << 20) > 8000);
    assert_true(ring_of(SLOTS)->nslots >= SLOTS);
}


static void
test_changes(void **state)
{
    size_t             hint, i;
    int64_t            slot;
    uint64_t           word;
    loyalty_ring_t    *ring;
    loyalty_record_t   record;

    ring = ring_of(SLOTS);
    hint = 3;

    slot = loyalty_ring_claim(ring, 7, &hint);
    assert_int_equal(slot, 3);
    assert_int_equal(loyalty_ring_used(ring), 1);

    word = loyalty_ring_word(ring, 3);
    assert_int_equal(loyalty_ring_owner(word), 7);
    assert_int_equal(loyalty_ring_state(word), LOYALTY_RING_WRITING);

    /* what is being written is nobody else's, nor is it ready */

    assert_int_equal(loyalty_ring_adopt(ring, 3, word, 8), 0);
    assert_int_equal(loyalty_ring_read(ring, 3, 7, &record), -1);
    assert_int_equal(loyalty_ring_offer(ring, 3, 7), 0);
    assert_int_equal(loyalty_ring_done(ring, 3, 7), 0);

    memcpy(loyalty_ring_payload(ring, 3), "hello", 5);
    loyalty_ring_publish(ring, 3, 7, 5);

    assert_int_equal(loyalty_ring_read(ring, 3, 7, &record), 0);
    assert_int_equal(record.seq, 1);
    assert_int_equal(record.len, 5);
    assert_memory_equal(record.payload, "hello", 5);
    assert_int_equal(loyalty_ring_read(ring, 3, 8, &record), -1);
    assert_int_equal(loyalty_ring_done(ring, 3, 8), 0);

    /* one of two adopts it */

    word = loyalty_ring_word(ring, 3);
    assert_int_equal(loyalty_ring_adopt(ring, 3, word, 8), 1);
    assert_int_equal(loyalty_ring_adopt(ring, 3, word, 9), 0);
    assert_int_equal(loyalty_ring_done(ring, 3, 7), 0);
    assert_int_equal(loyalty_ring_offer(ring, 3, 8), 1);
    assert_int_equal(loyalty_ring_done(ring, 3, 8), 0);

    word = loyalty_ring_word(ring, 3);
    assert_int_equal(loyalty_ring_owner(word), 0);
    assert_int_equal(loyalty_ring_adopt(ring, 3, word, 9), 1);

    /* a damaged one is told from a whole one */

    loyalty_ring_payload(ring, 3)[1] ^= 1;
    assert_int_equal(loyalty_ring_read(ring, 3, 9, &record), 1);
    assert_int_equal(loyalty_ring_done(ring, 3, 9), 1);
    assert_int_equal(loyalty_ring_done(ring, 3, 9), 0);
    assert_int_equal(loyalty_ring_clear(ring, 3, 0), 0);
    assert_int_equal(loyalty_ring_used(ring), 0);

    /* all of them, and no more */

    for (i = 0; i < ring->nslots; i++) {
        assert_int_equal(loyalty_ring_claim(ring, 7, &hint),
                         (4 + i) % ring->nslots);
    }

    assert_int_equal(loyalty_ring_claim(ring, 7, &hint), LOYALTY_RING_FULL);
    loyalty_ring_cancel(ring, 20, 7);
    assert_int_equal(loyalty_ring_claim(ring, 8, &hint), 20);

    /* a count that is wrong is mended */

    ring->used = -100;
    assert_int_equal(loyalty_ring_claim(ring, 7, &hint), LOYALTY_RING_FULL);
    assert_int_equal(loyalty_ring_recount(ring), ring->nslots);
    assert_int_equal(loyalty_ring_used(ring), ring->nslots);
}


/* event n of a process; most of the payload tells whether it is whole */

static void
put(loyalty_ring_t *ring, size_t slot, uint64_t me, uint32_t who, uint32_t n)
{
    size_t          len;
    unsigned char  *p;

    p = loyalty_ring_payload(ring, slot);
    len = 8 + n % 900;

    memcpy(p, &who, 4);
    memcpy(p + 4, &n, 4);
    memset(p + 8, (int) (n & 0xff), len - 8);

    loyalty_ring_publish(ring, slot, me, len);
}


/* as Redis would: counts it, then the slot is free */

static void
take(loyalty_ring_t *ring, size_t slot, uint64_t me, shared_t *shared)
{
    uint32_t          who, n;
    loyalty_record_t  record;

    if (loyalty_ring_read(ring, slot, me, &record) != 0) {
        abort();
    }

    memcpy(&who, record.payload, 4);
    memcpy(&n, record.payload + 4, 4);

    if (who >= WORKERS || n >= MOST || record.len != 8 + n % 900
        || (record.len > 8 && record.payload[record.len - 1] != (n & 0xff)))
    {
        abort();
    }

    shared->seen[who][n] = 1;

    if (loyalty_ring_done(ring, slot, me) != 1) {
        abort();
    }
}


static void
live(loyalty_ring_t *ring, shared_t *shared, unsigned who, unsigned seed)
{
    size_t    hint, own[8], n;
    int64_t   slot;
    uint32_t  next;
    uint64_t  me;

    me = (uint64_t) getpid();
    hint = seed;
    next = shared->published[who];

    for (n = 0; ; /* void */) {

        slot = loyalty_ring_claim(ring, me, &hint);

        if (slot != LOYALTY_RING_FULL) {
            put(ring, (size_t) slot, me, who, next);
            own[n++] = (size_t) slot;
            __atomic_store_n(&shared->published[who], ++next,
                             __ATOMIC_SEQ_CST);
        }

        if (n == 8 || slot == LOYALTY_RING_FULL) {

            while (n > 0) {
                n--;

                /* another may take it, or this one does */

                if (own[n] % 3 == 0) {
                    (void) loyalty_ring_offer(ring, own[n], me);

                } else {
                    take(ring, own[n], me, shared);
                }
            }
        }
    }
}


static void
bury(loyalty_ring_t *ring, shared_t *shared, uint64_t dead, uint64_t me)
{
    size_t    i;
    uint64_t  word;

    for (i = 0; i < ring->nslots; i++) {
        word = loyalty_ring_word(ring, i);

        if (loyalty_ring_owner(word) == dead
            && loyalty_ring_state(word) == LOYALTY_RING_WRITING)
        {
            (void) loyalty_ring_clear(ring, i, word);
            continue;
        }

        if (word != 0
            && (loyalty_ring_owner(word) == dead
                || loyalty_ring_owner(word) == 0)
            && loyalty_ring_adopt(ring, i, word, me))
        {
            take(ring, i, me, shared);
        }
    }
}


static void
test_killed(void **state)
{
    int               status;
    pid_t             pids[WORKERS], pid;
    uint32_t          i, n;
    unsigned          who, round;
    shared_t         *shared;
    loyalty_ring_t   *ring;
    struct timespec   moment;

    ring = ring_of(SLOTS);
    shared = mmap(NULL, sizeof(shared_t), PROT_READ|PROT_WRITE,
                  MAP_ANON|MAP_SHARED, -1, 0);
    assert_ptr_not_equal(shared, MAP_FAILED);

    for (round = 0; round < ROUNDS + WORKERS; round++) {
        who = round % WORKERS;

        if (round >= WORKERS) {
            pid = pids[who];

            moment.tv_sec = 0;
            moment.tv_nsec = 100000 + rand() % 2000000;
            nanosleep(&moment, NULL);

            assert_int_equal(kill(pid, SIGKILL), 0);
            assert_int_equal(waitpid(pid, &status, 0), pid);
            assert_true(WIFSIGNALED(status));
            assert_int_equal(WTERMSIG(status), SIGKILL);

            bury(ring, shared, (uint64_t) pid, (uint64_t) getpid());
        }

        if (round < ROUNDS) {
            pids[who] = fork();
            assert_true(pids[who] >= 0);

            if (pids[who] == 0) {
                live(ring, shared, who, round);
                _exit(1);
            }
        }
    }

    /* what they offered at last */

    bury(ring, shared, 0, (uint64_t) getpid());

    assert_int_equal(loyalty_ring_recount(ring), 0);

    for (who = 0, n = 0; who < WORKERS; who++) {
        assert_in_range(shared->published[who], 1, MOST - 1);

        for (i = 0; i < shared->published[who]; i++) {
            assert_int_equal(shared->seen[who][i], 1);
        }

        n += shared->published[who];
    }

    assert_true(n > ROUNDS);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_killed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
