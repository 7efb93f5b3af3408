/*
 * Key slots: the check values that zlib and Redis Cluster publish, the tag
 * rule of Redis Cluster, and tags that spread over its slots.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "loyalty_slot.h"


static unsigned slot(const char *key);


static unsigned
slot(const char *key)
{
    return loyalty_key_slot(key, strlen(key));
}


static void
test_crc32(void **state)
{
    assert_int_equal(loyalty_crc32("", 0), 0);
    assert_int_equal(loyalty_crc32("123456789", 9), 0xcbf43926);
    assert_int_equal(loyalty_crc32("a", 1), 0xe8b7be43);
    assert_int_equal(loyalty_crc32("\0", 1), 0xd202ef8d);
    assert_int_equal(loyalty_crc32("The quick brown fox jumps over the lazy "
                                   "dog", 43),
                     0x414fa339);
}


/* each byte value at each place of a short string, against the definition */

static void
test_crc32_definition(void **state)
{
    int            bit, value;
    size_t         i, place;
    uint32_t       crc;
    unsigned char  s[5];

    for (place = 0; place < sizeof(s); place++) {
        for (value = 0; value < 256; value++) {
            memset(s, 0xa5, sizeof(s));
            s[place] = (unsigned char) value;

            crc = 0xffffffff;

            for (i = 0; i < sizeof(s); i++) {
                crc ^= s[i];

                for (bit = 0; bit < 8; bit++) {
                    crc = (crc >> 1) ^ ((crc & 1) ? 0xedb88320 : 0);
                }
            }

            assert_int_equal(loyalty_crc32(s, sizeof(s)), ~crc);
        }
    }
}


static void
test_partition(void **state)
{
    int       i, n, counts[LOYALTY_PARTITIONS];
    char      member[32];
    unsigned  p;

    assert_int_equal(loyalty_partition("123456789", 9), 0xcbf43926 % 64);
    assert_int_equal(loyalty_partition("", 0), 0);

    memset(counts, 0, sizeof(counts));

    for (i = 0; i < 64000; i++) {
        n = snprintf(member, sizeof(member), "customer-%d", i);
        p = loyalty_partition(member, (size_t) n);
        assert_true(p < LOYALTY_PARTITIONS);
        counts[p]++;
    }

    for (p = 0; p < LOYALTY_PARTITIONS; p++) {
        assert_true(counts[p] >= 850 && counts[p] <= 1150);
    }
}


static void
test_key_slot(void **state)
{
    assert_int_equal(slot(""), 0);
    assert_int_equal(slot("123456789"), 12739);
    assert_int_equal(slot("foo"), 12182);
    assert_int_equal(slot("bar"), 5061);
    assert_int_equal(loyalty_key_slot("a\0b", 3) == slot("a"), 0);
}


static void
test_tag_rule(void **state)
{
    assert_int_equal(slot("{user1000}.following"), slot("user1000"));
    assert_int_equal(slot("{user1000}.followers"), slot("user1000"));
    assert_int_equal(slot("a{user1000}b"), slot("user1000"));
    assert_int_equal(slot("foo{bar}{zap}"), slot("bar"));
    assert_int_equal(slot("foo{{bar}}zap"), slot("{bar"));

    /* no tag: the whole key counts */

    assert_int_not_equal(slot("foo{}{bar}"), slot("bar"));
    assert_int_equal(slot("foo{}{bar}"), 8363);
    assert_int_not_equal(slot("{bar"), slot("bar"));
    assert_int_not_equal(slot("bar}"), slot("bar"));
    assert_int_not_equal(slot("}bar{"), slot("bar"));
    assert_int_not_equal(slot("bar{"), slot("bar"));
    assert_int_not_equal(slot("{}"), slot(""));
}


static void
test_tag_suffix(void **state)
{
    int       len;
    char      key[64];
    size_t    i;
    unsigned  n, p, suffix;

    static const char  *programs[] = { "shop", "a", "loyalty_program_2026" };

    for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        for (p = 0; p < LOYALTY_PARTITIONS; p++) {
            suffix = loyalty_tag_suffix(programs[i], strlen(programs[i]), p);

            /* this one fits, in braces within a key too, and none before */

            for (n = 0; n <= suffix; n++) {
                len = snprintf(key, sizeof(key), "{%s:%u.%u}:m:4:jane",
                               programs[i], p, n);
                assert_true(len > 0 && (size_t) len < sizeof(key));
                assert_int_equal(loyalty_key_slot(key, (size_t) len) >> 8
                                 == p,
                                 n == suffix);
            }
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_crc32),
        cmocka_unit_test(test_crc32_definition),
        cmocka_unit_test(test_partition),
        cmocka_unit_test(test_key_slot),
        cmocka_unit_test(test_tag_rule),
        cmocka_unit_test(test_tag_suffix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
