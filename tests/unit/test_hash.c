/*
 * Hashes, MACs, hex and base64, against the vectors of the RFCs.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "draw.h"


static int unbase64(const char *s, unsigned char *dst, size_t size,
    size_t *n);


static void
test_sha(void **state)
{
    unsigned char  hash[LOYALTY_HASH];

    assert_ok(loyalty_sha(hash, "", 0));
    assert_hex(hash, sizeof(hash),
               "e3b0c44298fc1c149afbf4c8996fb924"
               "27ae41e4649b934ca495991b7852b855");
    assert_ok(loyalty_sha(hash, NULL, 0));
    assert_hex(hash, 4, "e3b0c442");

    sha_text(hash, "abc");
    assert_hex(hash, sizeof(hash),
               "ba7816bf8f01cfea414140de5dae2223"
               "b00361a396177a9cb410ff61f20015ad");
}


/* parts are what they are together */

static void
test_parts(void **state)
{
    loyalty_sha_t  s;
    unsigned char  a[LOYALTY_HASH], b[LOYALTY_HASH];

    static const unsigned char  all[] =
        "nginx-loyalty/1 tag\0" "\x01\x04\x05\x06\x07"
        "\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
        "\x00\x00\x00\x03" "abc" "\x00\x00\x00\x00" "raw";

    loyalty_sha_init(&s);
    loyalty_sha_tag(&s, "tag");
    loyalty_sha_u8(&s, 0x01);
    loyalty_sha_u32(&s, 0x04050607);
    loyalty_sha_u64(&s, 0x08090a0b0c0d0e0fULL);
    loyalty_sha_lp(&s, "abc", 3);
    loyalty_sha_lp(&s, NULL, 0);
    loyalty_sha_raw(&s, "raw", 3);
    assert_ok(loyalty_sha_final(&s, a));

    assert_ok(loyalty_sha(b, all, sizeof(all) - 1));
    assert_memory_equal(a, b, sizeof(a));
}


/* what failed stays failed, and leaves no hash */

static void
test_failure_stays(void **state)
{
    loyalty_sha_t   s;
    unsigned char   hash[LOYALTY_HASH];
    loyalty_hmac_t  key;

    loyalty_sha_init(&s);
    s.failed = 1;
    loyalty_sha_raw(&s, "abc", 3);
    memset(hash, 0xff, sizeof(hash));
    assert_int_equal(loyalty_sha_final(&s, hash), -1);
    assert_memory_equal(hash, zeros, sizeof(hash));

    assert_ok(loyalty_hmac_key(&key, "key", 3));
    key.failed = 1;
    memset(hash, 0xff, sizeof(hash));
    assert_int_equal(loyalty_hmac_raw(hash, &key, "abc", 3), -1);
    assert_memory_equal(hash, zeros, sizeof(hash));

#if SIZE_MAX > UINT32_MAX
    loyalty_sha_init(&s);
    loyalty_sha_lp(&s, "abc", (size_t) UINT32_MAX + 1);
    assert_int_equal(loyalty_sha_final(&s, hash), -1);
#endif
}


/* RFC 4231, cases 1, 2 and 6: a short key, a shorter one, one over a block */

static void
test_hmac(void **state)
{
    unsigned char  key[131], hash[LOYALTY_HASH];

    memset(key, 0x0b, 20);
    assert_ok(loyalty_hmac(hash, key, 20, "Hi There", 8));
    assert_hex(hash, sizeof(hash),
               "b0344c61d8db38535ca8afceaf0bf12b"
               "881dc200c9833da726e9376c2e32cff7");

    assert_ok(loyalty_hmac(hash, "Jefe", 4,
                           "what do ya want for nothing?", 28));
    assert_hex(hash, sizeof(hash),
               "5bdcc146bf60754e6a042426089575c7"
               "5a003f089d2739839dec58b964ec3843");

    memset(key, 0xaa, 131);
    assert_ok(loyalty_hmac(hash, key, 131,
              "Test Using Larger Than Block-Size Key - Hash Key First", 54));
    assert_hex(hash, sizeof(hash),
               "60e431591ee0b67f0d8a26aacbf5b77f"
               "8e0bc6213728c5140546040f0ee37f54");
}


/* the key is made ready once, and messages do not change it */

static void
test_hmac_key(void **state)
{
    size_t          n;
    loyalty_sha_t   s;
    unsigned char   text[256], a[LOYALTY_HASH], b[LOYALTY_HASH];
    loyalty_hmac_t  key;

    memset(text, 'x', sizeof(text));
    assert_ok(loyalty_hmac_key(&key, "secret", 6));

    for (n = 0; n <= sizeof(text); n++) {
        assert_ok(loyalty_hmac(a, "secret", 6, text, n));
        assert_ok(loyalty_hmac_raw(b, &key, text, n));
        assert_memory_equal(a, b, sizeof(a));

        loyalty_hmac_init(&s, &key);
        loyalty_sha_raw(&s, text, n / 3);
        loyalty_sha_raw(&s, text + n / 3, n - n / 3);
        assert_ok(loyalty_hmac_final(&s, &key, b));
        assert_memory_equal(a, b, sizeof(a));
    }
}


static void
test_hmac_shared(void **state)
{
    json_t         *root, *test;
    size_t          i, nkey, ndata;
    unsigned char  *key, *data, hash[LOYALTY_HASH];

    root = shared_vectors("rfc4231_hmac.json");

    if (root == NULL) {
        skip();
    }

    json_array_foreach(json_object_get(root, "tests"), i, test) {
        key = json_bytes(test, "Key", &nkey);
        data = json_bytes(test, "Data", &ndata);

        assert_ok(loyalty_hmac(hash, key, nkey, data, ndata));

        /* case 5 is cut to 16 bytes */
        assert_hex(hash, strlen(json_text(test, "HMAC-SHA-256")) / 2,
                   json_text(test, "HMAC-SHA-256"));
        free(key);
        free(data);
    }

    assert_in_range(i, 6, 7);
    json_decref(root);
}


static void
test_equal_zero_wipe(void **state)
{
    unsigned char  a[8] = "abcdefg", b[8] = "abcdefg";

    assert_int_equal(loyalty_equal(a, b, 8), 1);
    b[7] = 1;
    assert_int_equal(loyalty_equal(a, b, 8), 0);
    assert_int_equal(loyalty_equal(a, b, 7), 1);

    assert_int_equal(loyalty_zero(a, 8), 0);
    loyalty_wipe(a, 7);
    assert_int_equal(loyalty_zero(a, 8), 1);
    a[7] = 0x80;
    assert_int_equal(loyalty_zero(a, 8), 0);
    assert_int_equal(loyalty_zero(a, 7), 1);
}


static void
test_numbers(void **state)
{
    unsigned char  buf[8];

    assert_ptr_equal(loyalty_put_u16(buf, 0xfedc), buf + 2);
    assert_hex(buf, 2, "fedc");
    assert_int_equal(loyalty_get_u16(buf), 0xfedc);

    assert_ptr_equal(loyalty_put_u32(buf, 0xfedcba98), buf + 4);
    assert_hex(buf, 4, "fedcba98");
    assert_int_equal(loyalty_get_u32(buf), 0xfedcba98);

    assert_ptr_equal(loyalty_put_u64(buf, 0xfedcba9876543210ULL), buf + 8);
    assert_hex(buf, 8, "fedcba9876543210");
    assert_true(loyalty_get_u64(buf) == 0xfedcba9876543210ULL);
}


static void
test_hex(void **state)
{
    unsigned       c;
    unsigned char  buf[4], text[8];

    assert_int_equal(loyalty_hex(text, "\x00\x9f\xa0\xff", 4), 8);
    assert_memory_equal(text, "009fa0ff", 8);

    assert_ok(loyalty_unhex(buf, 4, (unsigned char *) "009fA0fF", 8));
    assert_memory_equal(buf, "\x00\x9f\xa0\xff", 4);

    assert_int_equal(loyalty_unhex(buf, 4, text, 7), -1);
    assert_int_equal(loyalty_unhex(buf, 3, text, 8), -1);
    assert_int_equal(loyalty_unhex(buf, 4, text, 6), -1);
    assert_ok(loyalty_unhex(buf, 0, text, 0));

    for (c = 0; c < 256; c++) {
        text[0] = (unsigned char) c;
        text[1] = '0';
        assert_int_equal(loyalty_unhex(buf, 1, text, 2),
                         (c != 0 && strchr("0123456789abcdefABCDEF", (int) c)
                          != NULL) ? 0 : -1);
        text[1] = text[0];
        text[0] = '0';
        assert_int_equal(loyalty_unhex(buf, 1, text, 2),
                         (c != 0 && strchr("0123456789abcdefABCDEF", (int) c)
                          != NULL) ? 0 : -1);
    }
}


static int
unbase64(const char *s, unsigned char *dst, size_t size, size_t *n)
{
    return loyalty_unbase64(dst, size, n, (const unsigned char *) s,
                            strlen(s));
}


/* RFC 4648, section 10 */

static void
test_base64(void **state)
{
    size_t         i, n;
    unsigned char  text[16], buf[16];

    static const char  *pairs[][2] = {
        { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" }, { "\xfb\xff\xbf", "+/+/" }
    };

    for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        n = loyalty_base64(text, pairs[i][0], strlen(pairs[i][0]));
        assert_int_equal(n, strlen(pairs[i][1]));
        assert_memory_equal(text, pairs[i][1], n);

        assert_ok(unbase64(pairs[i][1], buf, strlen(pairs[i][0]), &n));
        assert_int_equal(n, strlen(pairs[i][0]));
        assert_memory_equal(buf, pairs[i][0], n);
    }

    assert_int_equal(unbase64("Zm9v", buf, 2, &n), -1);
}


/* one text for the same bytes, and no other */

static void
test_base64_strict(void **state)
{
    size_t         i, n;
    unsigned char  buf[64];

    static const char  *bad[] = {
        "Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "=", "==", "===", "====",
        "Z===", "Zg==Zg==", "Zm9v\n", "Zm 9", "Zm-_", "Zm9v====", "Zm8=Zm8=",
        "Zg= ", "Zg=Z", "=Zg=", "Z=g="
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(unbase64(bad[i], buf, sizeof(buf), &n), -1);
    }
}


/* any two characters before "==": only what is written by us is read */

static void
test_base64_canonical(void **state)
{
    size_t         n, good;
    unsigned       a, b;
    unsigned char  text[4], same[4], buf[4];

    good = 0;
    text[2] = '=';
    text[3] = '=';

    for (a = 0; a < 256; a++) {
        for (b = 0; b < 256; b++) {
            text[0] = (unsigned char) a;
            text[1] = (unsigned char) b;

            if (loyalty_unbase64(buf, sizeof(buf), &n, text, 4) != 0) {
                continue;
            }

            good++;
            assert_int_equal(n, 1);
            assert_int_equal(loyalty_base64(same, buf, 1), 4);
            assert_memory_equal(same, text, 4);
        }
    }

    assert_int_equal(good, 256);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_sha),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_failure_stays),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_hmac_key),
        cmocka_unit_test(test_hmac_shared),
        cmocka_unit_test(test_equal_zero_wipe),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_base64_strict),
        cmocka_unit_test(test_base64_canonical),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
