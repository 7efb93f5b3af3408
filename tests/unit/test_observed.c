/*
 * Observed events as payloads, and records of them one after another: what
 * was written is read, and whatever else lies between is passed over.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "loyalty_msgpack.h"
#include "loyalty_observed.h"
#include "loyalty_spool.h"


#define RECORDS  5


static loyalty_text_t text(const char *s);
static void sample(loyalty_observed_t *event);
static void same(const loyalty_text_t *a, const char *b);
static size_t records(unsigned char *buf, size_t *starts);
static unsigned found(const unsigned char *p, size_t n, unsigned *damaged);


static loyalty_text_t
text(const char *s)
{
    loyalty_text_t  t;

    t.data = (const unsigned char *) s;
    t.len = strlen(s);

    return t;
}


static void
sample(loyalty_observed_t *event)
{
    memset(event, 0, sizeof(loyalty_observed_t));

    event->at = 1795000000123;
    event->amount = 1250;
    event->quantity = -1;
    event->type = text("purchase");
    event->id = text("order-1");
    event->member = text("ada");
    event->partner = text("airline");
    event->ndata = 2;
    event->data[0].name = text("store");
    event->data[0].value = text("17");
    event->data[1].name = text("offer");
    event->data[1].value = text("x");
    event->nvariables = 1;
    event->variables[0].name = text("http_x_channel");
    event->variables[0].value = text("");
}


static void
same(const loyalty_text_t *a, const char *b)
{
    assert_int_equal(a->len, strlen(b));
    assert_memory_equal(a->data, b, a->len);
}


static void
test_round(void **state)
{
    size_t              n;
    unsigned char       buf[LOYALTY_RECORD_PAYLOAD];
    loyalty_observed_t  event, read;

    sample(&event);

    n = loyalty_observed_write(&event, buf, sizeof(buf));
    assert_true(n > 0);
    assert_int_equal(loyalty_observed_read(&read, buf, n), 0);

    assert_int_equal(read.at, event.at);
    assert_int_equal(read.amount, 1250);
    assert_int_equal(read.quantity, -1);
    same(&read.type, "purchase");
    same(&read.id, "order-1");
    same(&read.member, "ada");
    same(&read.channel, "");
    same(&read.partner, "airline");
    assert_int_equal(read.ndata, 2);
    same(&read.data[0].name, "store");
    same(&read.data[1].value, "x");
    assert_int_equal(read.nvariables, 1);
    same(&read.variables[0].name, "http_x_channel");
    same(&read.variables[0].value, "");
}


/* cut anywhere it is none; with more behind it, it is one */

static void
test_cut(void **state)
{
    size_t              n, i;
    unsigned char       buf[LOYALTY_RECORD_PAYLOAD], *p;
    loyalty_observed_t  event;

    sample(&event);
    n = loyalty_observed_write(&event, buf, sizeof(buf) - 1);
    buf[n] = 0xc0;
    assert_int_equal(loyalty_observed_read(&event, buf, n + 1), 0);

    for (i = 0; i < n; i++) {
        p = malloc(i + 1);
        assert_non_null(p);
        memcpy(p + 1, buf, i);
        assert_int_equal(loyalty_observed_read(&event, p + 1, i), -1);
        free(p);
    }

    sample(&event);

    for (i = 0; i < n; i++) {
        assert_int_equal(loyalty_observed_write(&event, buf, i), 0);
    }

    assert_int_equal(loyalty_observed_write(&event, buf, n), n);
}


/* one value of another kind in each place */

static void
test_unfit(void **state)
{
    int                 i, wrong;
    unsigned char       buf[256];
    loyalty_mpw_t       w;
    loyalty_observed_t  event;

    for (wrong = -1; wrong < 11; wrong++) {
        loyalty_mpw_init(&w, buf, sizeof(buf));

        for (i = 0; i < 11; i++) {
            if (i >= 9) {
                loyalty_mpw_array(&w, i == wrong ? 1 : 2);
                loyalty_mpw_str(&w, "a", 1);

                if (i != wrong) {
                    loyalty_mpw_str(&w, "b", 1);
                }

            } else if (i >= 4) {
                i == wrong ? loyalty_mpw_int(&w, 1)
                           : loyalty_mpw_str(&w, "x", 1);

            } else {
                loyalty_mpw_int(&w, i == wrong ? -2 : 1);
            }
        }

        assert_int_equal(loyalty_observed_read(&event, buf, w.pos - w.start),
                         wrong == -1 ? 0 : -1);
    }

    /* more pairs than there is room for */

    loyalty_mpw_init(&w, buf, sizeof(buf));

    for (i = 0; i < 9; i++) {
        i < 4 ? loyalty_mpw_int(&w, 1) : loyalty_mpw_str(&w, "", 0);
    }

    loyalty_mpw_array(&w, 2 * LOYALTY_OBSERVED_PAIRS + 2);

    for (i = 0; i < 2 * LOYALTY_OBSERVED_PAIRS + 2; i++) {
        loyalty_mpw_str(&w, "", 0);
    }

    loyalty_mpw_array(&w, 0);
    assert_false(w.failed);
    assert_int_equal(loyalty_observed_read(&event, buf, w.pos - w.start), -1);
}


/* records of 0, 100, 200, … bytes of payload; the numbers 1 to RECORDS */

static size_t
records(unsigned char *buf, size_t *starts)
{
    size_t    n;
    unsigned  i;

    for (i = 0, n = 0; i < RECORDS; i++) {
        starts[i] = n;
        memset(buf + n + LOYALTY_RECORD_HEAD, 'a' + i, i * 100);
        n += loyalty_record_seal(buf + n, i + 1, i * 100);
    }

    starts[RECORDS] = n;

    return n;
}


/* bit i: record i was read, whole; from a block that ends where the bytes do */

static unsigned
found(const unsigned char *bytes, size_t n, unsigned *damaged)
{
    size_t             at;
    unsigned           bits;
    unsigned char     *p;
    loyalty_record_t   record;

    p = malloc(n + 1);
    assert_non_null(p);
    memcpy(p + 1, bytes, n);
    p++;

    *damaged = 0;

    for (at = 0, bits = 0; at < n; at += record.size) {

        switch (loyalty_spool_next(p + at, n - at, 1, &record)) {

        case LOYALTY_SPOOL_RECORD:
            assert_in_range(record.seq, 1, RECORDS);
            assert_int_equal(record.len, (record.seq - 1) * 100);
            assert_true(record.len == 0
                        || (record.payload[0] == 'a' + record.seq - 1
                            && record.payload[record.len - 1]
                               == record.payload[0]));
            bits |= 1 << (record.seq - 1);
            break;

        case LOYALTY_SPOOL_DAMAGED:
            (*damaged)++;
            break;

        default:
            fail();
        }

        assert_in_range(record.size, 1, n - at);
    }

    free(p - 1);

    return bits;
}


static void
test_records(void **state)
{
    size_t            starts[RECORDS + 1], n, i;
    unsigned          damaged, whole;
    unsigned char     buf[4096];
    loyalty_record_t  record;

    n = records(buf, starts);
    assert_int_equal(found(buf, n, &damaged), (1 << RECORDS) - 1);
    assert_int_equal(damaged, 0);

    assert_int_equal(loyalty_spool_next(buf, 0, 1, &record),
                     LOYALTY_SPOOL_MORE);

    /* a torn tail costs the record that it is of */

    for (i = 0; i < n; i++) {
        for (whole = 0; starts[whole + 1] <= i; whole++) { /* void */ }

        assert_int_equal(found(buf, i, &damaged), (1 << whole) - 1);
        assert_int_equal(damaged, i == starts[whole] ? 0 : 1);
    }
}


/* any changed byte costs the record that it is in, and no other */

static void
test_damage(void **state)
{
    size_t         starts[RECORDS + 1], n, i;
    unsigned       damaged, hurt, bit;
    unsigned char  buf[4096];

    n = records(buf, starts);

    for (i = 0; i < n; i++) {
        for (hurt = 0; starts[hurt + 1] <= i; hurt++) { /* void */ }

        for (bit = 0; bit < 8; bit++) {
            buf[i] ^= 1 << bit;

            assert_int_equal(found(buf, n, &damaged),
                             ((1 << RECORDS) - 1) & ~(1 << hurt));
            assert_int_equal(damaged, 1);

            buf[i] ^= 1 << bit;
        }
    }
}


/* byte by byte: MORE until a record is there */

static void
test_more(void **state)
{
    size_t            starts[RECORDS + 1], i;
    unsigned char     buf[4096];
    loyalty_record_t  record;

    records(buf, starts);

    for (i = 0; i < starts[3] - starts[2]; i++) {
        assert_int_equal(loyalty_spool_next(buf + starts[2], i, 0, &record),
                         LOYALTY_SPOOL_MORE);
    }

    assert_int_equal(loyalty_spool_next(buf + starts[2], i, 0, &record),
                     LOYALTY_SPOOL_RECORD);
    assert_int_equal(record.seq, 3);

    /* the beginning of one that may follow is not passed over */

    memcpy(buf, "xxLyR", 5);
    assert_int_equal(loyalty_spool_next(buf, 5, 0, &record),
                     LOYALTY_SPOOL_DAMAGED);
    assert_int_equal(record.size, 2);
    assert_int_equal(loyalty_spool_next(buf, 5, 1, &record),
                     LOYALTY_SPOOL_DAMAGED);
    assert_int_equal(record.size, 5);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_unfit),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
