/*
 * The header Loyalty-Signature, key files, and what matches what.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "loyalty_signature.h"


#define HEX  "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef"
#define KEY  "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"


/* HMAC-SHA-256 of "1700000000.{}" under KEY, by "openssl dgst" */
#define MAC  "964e2b26140befacf0aaa228f3e88a10c4eb5e3e46d8877482e44d7ee8f35c2c"


static int parse(const char *text, loyalty_signature_t *s);
static const char *keys_of(const char *text, unsigned *line);


static int
parse(const char *text, loyalty_signature_t *s)
{
    int     rc;
    char   *copy;
    size_t  n;

    /* a block of its very size, so that reading past it is seen */

    n = strlen(text);
    copy = malloc(n + 1);
    assert_non_null(copy);
    memcpy(copy, text, n);

    rc = loyalty_signature_parse(s, copy, n);

    if (rc == 0) {
        assert_true((const char *) s->text >= copy
                    && (const char *) s->text + s->len <= copy + n);
    }

    free(copy);

    return rc;
}


static void
test_header(void **state)
{
    size_t               i;
    loyalty_signature_t  s;

    static const char *good[] = {
        "t=1,v1=" HEX, "v1=" HEX ",t=1", "t=1, v1=" HEX, "t=1,v1=" HEX ",v1="
        HEX, "t=999999999999,v1=" HEX, "t=1,v0=x,v1=" HEX ",v2=a=b"
    };
    static const char *bad[] = {
        "", "t=1", "v1=" HEX, "t=,v1=" HEX, "t=0,v1=" HEX, "t=01,v1=" HEX,
        "t=-1,v1=" HEX, "t=1x,v1=" HEX, "t=1000000000000,v1=" HEX,
        "t=1,t=1,v1=" HEX, "t=1,v1=", "t=1,v1=" HEX "0", "t=1,v1=00",
        "t=1,v1=g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde",
        "t=1,v1=" HEX ",", ",t=1,v1=" HEX, "t=1,,v1=" HEX, "t=1;v1=" HEX,
        "t=1,v1=" HEX " ", " t=1,v1=" HEX, "t=1,  v1=" HEX, "t = 1,v1=" HEX,
        "T=1,v1=" HEX, "t=1,v1=" HEX ",=x", "t=1,v1=" HEX ",x",
        "t=1,v1=" HEX ",v1=" HEX ",v1=" HEX ",v1=" HEX ",v1=" HEX ",v1=" HEX
        ",v1=" HEX ",v1=" HEX ",v1=" HEX
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (parse(good[i], &s) != 0) {
            fail_msg("refused: %s", good[i]);
        }
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (parse(bad[i], &s) == 0) {
            fail_msg("taken: %s", bad[i]);
        }
    }

    assert_int_equal(loyalty_signature_parse(&s, good[3], strlen(good[3])),
                     0);
    assert_int_equal(s.t, 1);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.macs[0][0], 0x01);
    assert_int_equal(s.macs[1][23], 0xef);
}


static void
test_header_size(void **state)
{
    char                 text[LOYALTY_SIGNATURE_HEADER + 2];
    loyalty_signature_t  s;

    memset(text, 'x', sizeof(text));
    memcpy(text, "t=1,v1=" HEX ",x=", 74);

    assert_int_equal(loyalty_signature_parse(&s, text,
                                             LOYALTY_SIGNATURE_HEADER), 0);
    assert_int_equal(loyalty_signature_parse(&s, text,
                                             LOYALTY_SIGNATURE_HEADER + 1),
                     -1);
}


static const char *
keys_of(const char *text, unsigned *line)
{
    const char                *error;
    loyalty_signature_keys_t   keys;

    error = loyalty_signature_keys_parse(&keys, text, strlen(text), line);

    loyalty_signature_keys_free(&keys);

    return error;
}


static void
test_keys(void **state)
{
    size_t       i;
    unsigned     line;
    const char  *error;

    static const struct {
        const char  *text;
        unsigned     line;
        const char  *error;
    } bad[] = {
        { "", 0, "no key" },
        { "# " KEY "\n\n", 0, "no key" },
        { KEY "\n", 1, "\"ID:KEY\"" },
        { "a:" KEY "\nb:" KEY "0\n", 2, "64 to 128" },
        { "a:" KEY "x0", 1, "64 to 128" },
        { "a:" KEY KEY "00", 1, "64 to 128" },
        { "a:00", 1, "64 to 128" },
        { "a: " KEY, 1, "64 to 128" },
        { ":" KEY, 1, "1 to 64" },
        { "a b:" KEY, 1, "letters" },
        { KEY "a:" KEY, 1, "1 to 64" },
        { "a:" KEY "\n#\na:" KEY, 3, "twice" },
        { "1:" KEY "\n2:" KEY "\n3:" KEY "\n4:" KEY "\n5:" KEY "\n6:" KEY
          "\n7:" KEY "\n8:" KEY "\n9:" KEY "\n", 9, "more than 8" }
    };

    assert_null(keys_of("a:" KEY, &line));
    assert_null(keys_of("# new\r\nshop-2.b:" KEY KEY "  \r\n\r\nB:" KEY "\n",
                        &line));

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        error = keys_of(bad[i].text, &line);

        if (error == NULL || strstr(error, bad[i].error) == NULL
            || line != bad[i].line)
        {
            fail_msg("key file %d: line %u: %s", (int) i, line,
                     error ? error : "taken");
        }

        assert_null(strstr(error, KEY));
    }
}


static void
test_match(void **state)
{
    size_t                     i;
    unsigned                   line;
    loyalty_signature_t        s;
    loyalty_signature_keys_t   keys;

    static const char file[] = "old:" KEY "\nnew:" HEX;
    static const char header[] = "t=1700000000,v1=" HEX ",v1=" MAC;

    assert_null(loyalty_signature_keys_parse(&keys, file, strlen(file),
                                             &line));
    assert_int_equal(keys.n, 2);
    assert_memory_equal(keys.keys[0].id, "old", 3);
    assert_int_equal(keys.keys[1].id_len, 3);
    assert_int_equal(loyalty_signature_parse(&s, header, strlen(header)), 0);

    /* again and again, in one piece and in two */

    for (i = 0; i < 3; i++) {
        assert_int_equal(loyalty_signature_begin(&s, &keys.keys[0]), 0);
        assert_int_equal(loyalty_signature_update(&keys.keys[0], "{", 1), 0);
        assert_int_equal(loyalty_signature_update(&keys.keys[0], "}", 1), 0);
        assert_int_equal(loyalty_signature_match(&s, &keys.keys[0]), 1);

        assert_int_equal(loyalty_signature_begin(&s, &keys.keys[0]), 0);
        assert_int_equal(loyalty_signature_update(&keys.keys[0], "{} ", 3),
                         0);
        assert_int_equal(loyalty_signature_match(&s, &keys.keys[0]), 0);

        assert_int_equal(loyalty_signature_begin(&s, &keys.keys[1]), 0);
        assert_int_equal(loyalty_signature_update(&keys.keys[1], "{}", 2), 0);
        assert_int_equal(loyalty_signature_match(&s, &keys.keys[1]), 0);
    }

    /* any bit of it */

    for (i = 0; i < 8 * LOYALTY_SIGNATURE_MAC; i++) {
        s.macs[1][i / 8] ^= 1 << i % 8;

        assert_int_equal(loyalty_signature_begin(&s, &keys.keys[0]), 0);
        assert_int_equal(loyalty_signature_update(&keys.keys[0], "{}", 2), 0);
        assert_int_equal(loyalty_signature_match(&s, &keys.keys[0]), 0);

        s.macs[1][i / 8] ^= 1 << i % 8;
    }

    loyalty_signature_keys_free(&keys);
    assert_int_equal(keys.n, 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_header_size),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_match)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
