/*
 * The RESP codec: replies in any number of pieces, limits, commands.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loyalty_resp.h"


#define MAX_BYTES   1000
#define MAX_VALUES  10


static void value(loyalty_resp_reply_t *reply, size_t i,
    loyalty_resp_type_e type, const char *text);
static void refused(const char *text, size_t len, const char *error);
static void check(loyalty_resp_reply_t *reply, int i);


static const char  stream[] =
    "$5\r\nhello\r\n"
    "$0\r\n\r\n"
    "$-1\r\n"
    "*-1\r\n"
    "+OK\r\n"
    "-ERR no\r\n"
    ":-42\r\n"
    "*0\r\n"
    "*4\r\n$1\r\na\r\n$-1\r\n:7\r\n$2\r\n\r\n\r\n"
    ":1\r\n";


static void
value(loyalty_resp_reply_t *reply, size_t i, loyalty_resp_type_e type,
    const char *text)
{
    assert_true(i < reply->n);
    assert_int_equal(reply->values[i].type, type);
    assert_int_equal(reply->values[i].len, strlen(text));
    assert_non_null(reply->values[i].data);
    assert_memory_equal(reply->values[i].data, text, strlen(text));
}


/* feeds all of text at once, and expects one error */

static void
refused(const char *text, size_t len, const char *error)
{
    int                    rc;
    loyalty_resp_t        *resp;
    loyalty_resp_reply_t  *reply;

    resp = loyalty_resp_create(MAX_BYTES, MAX_VALUES);
    assert_non_null(resp);

    assert_int_equal(loyalty_resp_feed(resp, text, len), 0);

    do {
        rc = loyalty_resp_next(resp, &reply);
    } while (rc == 1);

    assert_int_equal(rc, -1);
    assert_non_null(strstr(loyalty_resp_error(resp), error));

    /* and it stays refused */
    assert_int_equal(loyalty_resp_feed(resp, "+OK\r\n", 5), -1);
    assert_int_equal(loyalty_resp_next(resp, &reply), -1);

    loyalty_resp_free(resp);
}


/* the reply number i of stream */

static void
check(loyalty_resp_reply_t *reply, int i)
{
    assert_int_equal(reply->array, i == 7 || i == 8);
    assert_int_equal(reply->n, (i == 7) ? 0 : (i == 8) ? 4 : 1);

    switch (i) {
    case 0:
        value(reply, 0, LOYALTY_RESP_STRING, "hello");
        assert_int_equal(reply->bytes, 5);
        break;
    case 1:
        value(reply, 0, LOYALTY_RESP_STRING, "");
        break;
    case 2:
    case 3:
        assert_int_equal(reply->values[0].type, LOYALTY_RESP_NIL);
        assert_null(reply->values[0].data);
        break;
    case 4:
        value(reply, 0, LOYALTY_RESP_STATUS, "OK");
        break;
    case 5:
        value(reply, 0, LOYALTY_RESP_ERROR, "ERR no");
        break;
    case 6:
        value(reply, 0, LOYALTY_RESP_INTEGER, "-42");
        break;
    case 8:
        value(reply, 0, LOYALTY_RESP_STRING, "a");
        assert_int_equal(reply->values[1].type, LOYALTY_RESP_NIL);
        assert_null(reply->values[1].data);
        value(reply, 2, LOYALTY_RESP_INTEGER, "7");
        value(reply, 3, LOYALTY_RESP_STRING, "\r\n");
        assert_int_equal(reply->bytes, 4);
        break;
    case 9:
        value(reply, 0, LOYALTY_RESP_INTEGER, "1");
        break;
    }
}


static void
test_pieces(void **state)
{
    int                    n, rc;
    size_t                 i, piece, len, total;
    loyalty_resp_t        *resp;
    loyalty_resp_reply_t  *reply;

    total = sizeof(stream) - 1;

    for (piece = 1; piece <= total; piece++) {
        resp = loyalty_resp_create(MAX_BYTES, MAX_VALUES);
        assert_non_null(resp);

        n = 0;

        for (i = 0; i < total; i += len) {
            len = (total - i < piece) ? total - i : piece;

            assert_int_equal(loyalty_resp_feed(resp, stream + i, len), 0);

            for ( ;; ) {
                rc = loyalty_resp_next(resp, &reply);
                if (rc == 0) {
                    break;
                }

                assert_int_equal(rc, 1);
                check(reply, n++);
            }
        }

        assert_int_equal(n, 10);
        assert_false(loyalty_resp_partial(resp));

        loyalty_resp_free(resp);
    }
}


static void
test_partial(void **state)
{
    size_t                 i;
    loyalty_resp_t        *resp;
    loyalty_resp_reply_t  *reply;

    static const char  text[] = "*2\r\n$1\r\na\r\n$1\r\nb\r\n";

    resp = loyalty_resp_create(MAX_BYTES, MAX_VALUES);
    assert_non_null(resp);

    for (i = 0; i < sizeof(text) - 2; i++) {
        assert_int_equal(loyalty_resp_feed(resp, text + i, 1), 0);
        assert_int_equal(loyalty_resp_next(resp, &reply), 0);
        assert_true(loyalty_resp_partial(resp));
    }

    assert_int_equal(loyalty_resp_feed(resp, text + i, 1), 0);
    assert_int_equal(loyalty_resp_next(resp, &reply), 1);
    assert_int_equal(loyalty_resp_next(resp, &reply), 0);
    assert_false(loyalty_resp_partial(resp));

    loyalty_resp_free(resp);
}


#define REFUSED(text, error)  refused(text, sizeof(text) - 1, error)

static void
test_refused(void **state)
{
    REFUSED("hello\r\n", "Protocol error");
    REFUSED("*1\r\n*1\r\n:1\r\n", "nested too deep");
    REFUSED("*1\r\n*0\r\n", "nested too deep");
    REFUSED("*11\r\n", "too many values");
    REFUSED("*2147483647\r\n", "too many values");
    REFUSED("$x\r\n", "");
    REFUSED("*-2\r\n", "");
    REFUSED("$-2\r\n", "");
    REFUSED(":99999999999999999999\r\n", "");

    /* RESP3: refused by the reader, or by us where the reader knows it */
    REFUSED("%1\r\n+a\r\n+b\r\n", "");
    REFUSED("~1\r\n+a\r\n", "");
    REFUSED(">1\r\n+a\r\n", "");
    REFUSED("_\r\n", "");
    REFUSED("#t\r\n", "");
    REFUSED(",1.5\r\n", "");
    REFUSED("(123\r\n", "");
    REFUSED("=5\r\ntxt:a\r\n", "");
}


static void
test_bytes(void **state)
{
    char                   text[3000];
    int                    n;
    loyalty_resp_t        *resp;
    loyalty_resp_reply_t  *reply;

    /* as many as allowed, twice */

    n = snprintf(text, sizeof(text), "$%d\r\n%01000d\r\n", MAX_BYTES, 0);

    resp = loyalty_resp_create(MAX_BYTES, MAX_VALUES);
    assert_non_null(resp);

    assert_int_equal(loyalty_resp_feed(resp, text, n), 0);
    assert_int_equal(loyalty_resp_feed(resp, text, n), 0);
    assert_int_equal(loyalty_resp_next(resp, &reply), 1);
    assert_int_equal(reply->bytes, MAX_BYTES);
    assert_int_equal(loyalty_resp_next(resp, &reply), 1);
    assert_int_equal(reply->bytes, MAX_BYTES);
    assert_int_equal(loyalty_resp_next(resp, &reply), 0);

    loyalty_resp_free(resp);

    /* one more, in one value or in two */

    n = snprintf(text, sizeof(text), "$%d\r\n%01001d\r\n", MAX_BYTES + 1, 0);
    refused(text, n, "too long");

    n = snprintf(text, sizeof(text), "*2\r\n$1\r\n0\r\n$%d\r\n%01000d\r\n",
                 MAX_BYTES, 0);
    refused(text, n, "too long");
}


/* a string that was announced to be huge is not collected until it ends */

static void
test_endless(void **state)
{
    int              rc;
    char             text[1024];
    size_t           fed;
    loyalty_resp_t  *resp;

    loyalty_resp_reply_t  *reply;

    memset(text, 'x', sizeof(text));

    resp = loyalty_resp_create(MAX_BYTES, MAX_VALUES);
    assert_non_null(resp);

    assert_int_equal(loyalty_resp_feed(resp, "$2000000000\r\n", 13), 0);

    for (fed = 0; fed < 1024 * 1024; fed += sizeof(text)) {
        rc = loyalty_resp_feed(resp, text, sizeof(text));

        if (rc != 0) {
            break;
        }

        assert_int_equal(loyalty_resp_next(resp, &reply), 0);
    }

    assert_int_equal(rc, -1);
    assert_true(fed < 128 * 1024);
    assert_string_equal(loyalty_resp_error(resp), "too long");

    loyalty_resp_free(resp);
}


static void
test_commands(void **state)
{
    unsigned char   buf[128], *p;

    static const char  expected[] =
        "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$11\r\na\r\nb\0cdefgh\r\n";

    p = loyalty_resp_array(buf, 3);
    p = loyalty_resp_bulk(p, "SET", 3);
    p = loyalty_resp_bulk(p, NULL, 0);
    p = loyalty_resp_bulk(p, "a\r\nb\0cdefgh", 11);

    assert_int_equal(p - buf, sizeof(expected) - 1);
    assert_memory_equal(buf, expected, sizeof(expected) - 1);

    /* the longest line there can be */

    p = loyalty_resp_array(buf, SIZE_MAX);
    assert_true(p - buf <= LOYALTY_RESP_LINE);
    assert_memory_equal(buf, "*18446744073709551615\r\n", 23);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_partial),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_endless),
        cmocka_unit_test(test_commands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
