/*
 * The reader of HTTP responses: each response is read whole, byte by byte,
 * and cut in two at every place, with the same outcome.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loyalty_http.h"


#define MAX_HEAD  512
#define MAX_BODY  64


typedef struct {
    int          rc;                         /* DONE, ERROR; AGAIN: cut off */
    unsigned     status;
    const char  *error;
    size_t       used;
    size_t       len;
    char         body[MAX_BODY + 1];
} outcome_t;


static void feed(loyalty_http_t *h, outcome_t *o, const char *s, size_t n);
static outcome_t whole(const char *s, size_t n);
static void check(const char *s, size_t n, outcome_t *want);
static void good(const char *s, unsigned status, const char *body);
static void bad(const char *s, const char *error);


static void
feed(loyalty_http_t *h, outcome_t *o, const char *s, size_t n)
{
    size_t                len;
    unsigned char        *copy;
    const unsigned char  *p, *data;

    /* a copy of its own, so that a byte too far is seen */
    copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, s, n);
    p = copy;

    do {
        o->rc = loyalty_http_read(h, &p, copy + n, &data, &len);

        if (o->rc == LOYALTY_HTTP_BODY) {
            assert_true(len > 0 && o->len + len <= MAX_BODY);
            memcpy(o->body + o->len, data, len);
            o->len += len;
        }

    } while (o->rc == LOYALTY_HTTP_BODY);

    o->used += (size_t) (p - copy);
    o->status = h->status;
    o->error = h->error;

    if (o->rc == LOYALTY_HTTP_AGAIN) {
        assert_ptr_equal(p, copy + n);
    }

    free(copy);
}


static outcome_t
whole(const char *s, size_t n)
{
    outcome_t       o;
    loyalty_http_t  h;

    memset(&o, 0, sizeof(outcome_t));
    loyalty_http_init(&h, MAX_HEAD, MAX_BODY);
    feed(&h, &o, s, n);

    if (o.rc == LOYALTY_HTTP_AGAIN) {
        o.rc = loyalty_http_end(&h);
        o.error = h.error;
    }

    return o;
}


static void
check(const char *s, size_t n, outcome_t *want)
{
    size_t          i, cut;
    outcome_t       o;
    loyalty_http_t  h;

    for (cut = 0; cut <= n + 1; cut++) {
        memset(&o, 0, sizeof(outcome_t));
        loyalty_http_init(&h, MAX_HEAD, MAX_BODY);

        if (cut <= n) {
            feed(&h, &o, s, cut);

            if (o.rc == LOYALTY_HTTP_AGAIN) {
                feed(&h, &o, s + cut, n - cut);
            }

        } else {
            o.rc = LOYALTY_HTTP_AGAIN;

            for (i = 0; i < n && o.rc == LOYALTY_HTTP_AGAIN; i++) {
                feed(&h, &o, s + i, 1);
            }
        }

        if (o.rc == LOYALTY_HTTP_AGAIN) {
            o.rc = loyalty_http_end(&h);
            o.error = h.error;
        }

        assert_int_equal(o.rc, want->rc);
        assert_int_equal(o.status, want->status);
        assert_true(o.error == want->error);

        if (o.rc == LOYALTY_HTTP_DONE) {
            assert_int_equal(o.len, want->len);
            assert_memory_equal(o.body, want->body, o.len);
            assert_int_equal(o.used, want->used);
        }

        /* an outcome is final */

        assert_int_equal(loyalty_http_end(&h), want->rc);
    }
}


static void
good(const char *s, unsigned status, const char *body)
{
    outcome_t  o;

    o = whole(s, strlen(s));

    if (o.rc != LOYALTY_HTTP_DONE) {
        fail_msg("%s: %s", s, o.error ? o.error : "not done");
    }

    assert_int_equal(o.status, status);
    assert_string_equal(o.body, body);

    check(s, strlen(s), &o);
}


/* error: a part of it */

static void
bad(const char *s, const char *error)
{
    outcome_t  o;

    o = whole(s, strlen(s));

    if (o.rc != LOYALTY_HTTP_ERROR) {
        fail_msg("\"%s\" was taken", s);
    }

    assert_non_null(o.error);

    if (strstr(o.error, error) == NULL) {
        fail_msg("\"%s\": %s", s, o.error);
    }

    check(s, strlen(s), &o);
}


static void
test_length(void **state)
{
    outcome_t  o;

    good("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello");
    good("HTTP/1.1 200\r\ncontent-length:5 \t\r\n\r\nhello", 200, "hello");
    good("HTTP/1.0 404 Not Found\r\nCONTENT-LENGTH: 2\r\n\r\nno", 404, "no");
    good("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "");
    good("HTTP/1.1 200 OK\r\nContent-Length: 0002\r\n\r\nab", 200, "ab");
    good("HTTP/1.1 200 OK\r\nA:\r\nContent-Length: 1\r\nX!#$%&'*+-.^_`|~9: "
         "b\r\nContent-Encoding: Identity\r\n\r\nx", 200, "x");

    /* what follows is not taken */

    o = whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabcd", 42);
    assert_int_equal(o.rc, LOYALTY_HTTP_DONE);
    assert_string_equal(o.body, "ab");
    assert_int_equal(o.used, 40);
}


static void
test_chunks(void **state)
{
    good("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
         "5\r\nhello\r\n1;a=b\r\n,\r\n0006 \r\n world\r\n0\r\n\r\n",
         200, "hello, world");
    good("HTTP/1.1 200 OK\r\ntransfer-encoding:CHUNKED\r\n\r\n"
         "a\r\n0123456789\r\nA\r\n0123456789\r\n00\r\nTrailer: x\r\n\r\n",
         200, "01234567890123456789");
    good("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
         "000;x\r\n\r\n", 200, "");

#define CHUNKED  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    bad(CHUNKED "\r\n", "without a size");
    bad(CHUNKED "x\r\n", "without a size");
    bad(CHUNKED "-1\r\n", "without a size");
    bad(CHUNKED "5x\r\n", "without a size");
    bad(CHUNKED "1\r\nab\r\n", "does not end where it should");
    bad(CHUNKED "1\r\na\n", "control character");
    bad(CHUNKED "41\r\n", "too large");
    bad(CHUNKED "20\r\n01234567890123456789012345678901\r\n21\r\n",
        "too large");
    bad(CHUNKED "ffffffffffffffffffffff\r\n", "too large");
    bad(CHUNKED "10000000000000000\r\n", "too large");
    bad(CHUNKED "5\r\nhello\r\n", "closed within the body");
    bad(CHUNKED "5\r\nhel", "closed within the body");
    bad(CHUNKED "0\r\n", "closed within the body");
    bad(CHUNKED "0\r\nA: b\r\n", "closed within the body");
}


static void
test_until_closed(void **state)
{
    good("HTTP/1.1 200 OK\r\n\r\nhello", 200, "hello");
    good("HTTP/1.0 200 OK\r\n\r\n", 200, "");
    bad("HTTP/1.1 200 OK\r\n\r\n"
        "0123456789012345678901234567890123456789012345678901234567890123x",
        "too large");
}


static void
test_no_body(void **state)
{
    good("HTTP/1.1 204 No Content\r\n\r\n", 204, "");
    good("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, "");
    good("HTTP/1.1 100 Continue\r\n\r\n"
         "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
         "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok", 201, "ok");
    bad("HTTP/1.1 101 Switching\r\n\r\n", "makes no sense");
    bad("HTTP/1.1 100 Continue\r\nContent-Length: 1\r\n\r\n",
        "interim response has a body");
    bad("HTTP/1.1 100 Continue\r\n\r\n", "closed within the head");
}


static void
test_garbage(void **state)
{
    bad("", "without a response");
    bad("H", "closed within the head");
    bad("HTTP/1.1 200 OK\r\n", "closed within the head");
    bad("HTTP/1.1 200 OK\r\nA: b\r\n", "closed within the head");
    bad("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na", "within the body");
    bad("HTTP/2 200 OK\r\n", "not HTTP/1.1");
    bad("HTTP/1.2 200 OK\r\n", "not HTTP/1.1");
    bad("HTTP/1.1 2000\r\n", "not HTTP/1.1");
    bad("HTTP/1.1  20\r\n", "no status");
    bad("HTTP/1.1 2x0 OK\r\n", "no status");
    bad("HTTP/1.1 099 OK\r\n", "makes no sense");
    bad("HTTP/1.1 600 OK\r\n", "makes no sense");
    bad("\r\n", "not HTTP/1.1");
    bad("-ERR unknown command\r\n", "not HTTP/1.1");
    bad("\x15\x03\x01\x00\x02\x02\x50", "control character");
    bad("HTTP/1.1 200 OK\n\n", "control character");
    bad("HTTP/1.1 200 OK\r\r\n", "end with CRLF");
    bad("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "header that is none");
    bad("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "header that is none");
    bad("HTTP/1.1 200 OK\r\n: b\r\n\r\n", "header that is none");
    bad("HTTP/1.1 200 OK\r\nAbc\r\n\r\n", "header that is none");
    bad("HTTP/1.1 200 OK\r\nA\xc3\xa4: b\r\n\r\n", "header that is none");
}


static void
test_lengths_that_lie(void **state)
{
    bad("HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n", "too large");
    bad("HTTP/1.1 200 OK\r\nContent-Length: 999999999999999999\r\n\r\n",
        "too large");
    bad("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551617\r\n\r\na",
        "Content-Length that is none");
    bad("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "Content-Length that is none");
    bad("HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
        "Content-Length that is none");
    bad("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "Content-Length that is none");
    bad("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "two headers");
    bad("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
        "Transfer-Encoding: chunked\r\n\r\n", "both");
    bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "other than chunked");
    bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
        "Transfer-Encoding: chunked\r\n\r\n", "other than chunked");
    bad("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "other than chunked");
    bad("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
        "Content-Encoding");
}


static void
test_head_limit(void **state)
{
    int        n;
    char       s[1024], value[1024];
    outcome_t  o;

    /* 44 bytes beside the value: the last one that fits, and one more */

    memset(value, 'v', sizeof(value));

    n = snprintf(s, sizeof(s), "HTTP/1.1 200 OK\r\nLong: %.*s\r\n"
                 "Content-Length: 1\r\n\r\na", MAX_HEAD - 46, value);
    o = whole(s, (size_t) n);
    assert_int_equal(o.rc, LOYALTY_HTTP_DONE);
    assert_string_equal(o.body, "a");
    check(s, (size_t) n, &o);

    n = snprintf(s, sizeof(s), "HTTP/1.1 200 OK\r\nLong: %.*s\r\n"
                 "Content-Length: 1\r\n\r\na", MAX_HEAD - 45, value);
    o = whole(s, (size_t) n);
    assert_int_equal(o.rc, LOYALTY_HTTP_ERROR);
    assert_non_null(strstr(o.error, "head of the response is too large"));

    /* a line without end */

    n = snprintf(s, sizeof(s), "HTTP/1.1 200 OK\r\nLong: %.*s", 900, value);
    o = whole(s, (size_t) n);
    assert_int_equal(o.rc, LOYALTY_HTTP_ERROR);
    assert_non_null(strstr(o.error, "too large"));

    /* only the beginning of a line is looked at: no length hides in it */

    n = snprintf(s, sizeof(s), "HTTP/1.1 200 OK\r\nContent-Length:%*s1\r\n"
                 "\r\na", LOYALTY_HTTP_LINE, "");
    o = whole(s, (size_t) n);
    assert_int_equal(o.rc, LOYALTY_HTTP_ERROR);
    assert_non_null(strstr(o.error, "too long"));

    /* extensions of chunks and trailers count, too */

    n = snprintf(s, sizeof(s), CHUNKED "1;%.*s\r\na\r\n0\r\n\r\n", 500,
                 value);
    o = whole(s, (size_t) n);
    assert_int_equal(o.rc, LOYALTY_HTTP_ERROR);
    assert_non_null(strstr(o.error, "too large"));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_until_closed),
        cmocka_unit_test(test_no_body),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_lengths_that_lie),
        cmocka_unit_test(test_head_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
