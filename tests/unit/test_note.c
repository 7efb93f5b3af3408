/*
 * Signed notes: Ed25519 against RFC 8032, keys as they are published, and
 * that nothing but the one note opens.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "draw.h"
#include "loyalty_cosign.h"
#include "loyalty_note.h"


#define SEED                                                                  \
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
#define PUBLIC                                                                \
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"

/* made with openssl: a witness at 2025-01-08T16:40:00Z */

#define WITNESS                                                               \
    "witness.example/one+718e94a0+BMhjmYquJOPYnB+utM7B45q5I/bfIEL"            \
    "/Ohcj7fhYa4fm"
#define NO_WITNESS                                                            \
    "witness.example/one+c936c8fd+AchjmYquJOPYnB+utM7B45q5I/bfIEL"            \
    "/Ohcj7fhYa4fm"
#define COSIGNED                                                              \
    "cY6UoAAAAABnfqpgPIXZ81Hedhfc/RhiNzogsGgAy5RpAK3RGOU5IBPn86sQ"            \
    "A3ne8AiDo14kFUpqwnMlkOEuC+ovNW+1yxyiJxAHAA=="
#define DASH  "\xe2\x80\x94 "
#define NAME  "witness.example/one"
#define TEXT  "nginx-loyalty/1 close\nAAAA\n"


static void program_key(loyalty_signkey_t *key, const char *name);
static int vkey(const char *s);
static int open_note(const loyalty_signkey_t *key, const void *note,
    size_t n);
static int cosigned(loyalty_cosignature_t *c, const char *vkey,
    const char *line, const char *text);


/* RFC 8032, section 7.1: tests 1 and 2 */

static void
test_ed25519(void **state)
{
    unsigned char      seed[LOYALTY_HASH], sig[LOYALTY_SIGNATURE];
    loyalty_signkey_t  key;

    from_hex(seed, sizeof(seed), SEED);
    assert_ok(loyalty_signkey_init(&key, "k", 1, seed));
    assert_hex(key.public, LOYALTY_PUBLIC_KEY, PUBLIC);

    assert_ok(loyalty_sign(sig, &key, "", 0));
    assert_hex(sig, sizeof(sig),
               "e5564300c360ac729086e2cc806e828a"
               "84877f1eb8e5d974d873e06522490155"
               "5fb8821590a33bacc61e39701cf9b46b"
               "d25bf5f0595bbe24655141438e7a100b");
    assert_ok(loyalty_verify(&key, "", 0, sig));
    assert_int_equal(loyalty_verify(&key, "x", 1, sig), -1);
    sig[63] ^= 1;
    assert_int_equal(loyalty_verify(&key, "", 0, sig), -1);
    loyalty_signkey_free(&key);
    loyalty_signkey_free(&key);
}


static void
test_ed25519_shared(void **state)
{
    json_t             *root, *test;
    size_t              i, n;
    unsigned char      *seed, *public, *msg, sig[LOYALTY_SIGNATURE];
    loyalty_signkey_t   key;

    root = shared_vectors("rfc8032_ed25519.json");

    if (root == NULL) {
        skip();
    }

    json_array_foreach(json_object_get(root, "tests"), i, test) {
        seed = json_bytes(test, "sk", &n);
        assert_int_equal(n, LOYALTY_HASH);
        public = json_bytes(test, "pk", &n);
        assert_int_equal(n, LOYALTY_PUBLIC_KEY);
        msg = json_bytes(test, "msg", &n);

        assert_ok(loyalty_signkey_init(&key, "k", 1, seed));
        assert_memory_equal(key.public, public, LOYALTY_PUBLIC_KEY);
        assert_ok(loyalty_sign(sig, &key, msg, n));
        assert_hex(sig, sizeof(sig), json_text(test, "sig"));
        loyalty_signkey_free(&key);

        assert_ok(loyalty_signkey_public(&key, "k", 1, public));
        assert_ok(loyalty_verify(&key, msg, n, sig));
        assert_int_equal(loyalty_sign(sig, &key, msg, n), -1);
        loyalty_signkey_free(&key);

        free(seed);
        free(public);
        free(msg);
    }

    assert_int_equal(i, 5);
    json_decref(root);
}


static void
program_key(loyalty_signkey_t *key, const char *name)
{
    unsigned char  master[LOYALTY_HASH], seed[LOYALTY_HASH];

    vector_master(master);
    assert_ok(loyalty_sign_seed(seed, master, name, strlen(name)));
    assert_ok(loyalty_signkey_init(key, name, strlen(name), seed));
}


static int
vkey(const char *s)
{
    int                rc;
    loyalty_signkey_t  key;

    rc = loyalty_signkey_vkey(&key, (const unsigned char *) s, strlen(s));

    if (rc == 0) {
        loyalty_signkey_free(&key);
    }

    return rc;
}


/* a key, a text and a signature that another implementation documents */

#define NEUMANN                                                               \
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
#define NEUMANN_SEED  "gQoUAtUUbI2E8kQzMPVAgOv5juF9nHT2JS/F1ccoMXM="
#define NEUMANN_TEXT                                                          \
    "If you think cryptography is the answer to your problem,\n"              \
    "then you don't know what your problem is.\n"
#define NEUMANN_SIGNED                                                        \
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqf"    \
    "qdngotpRZb6KE6RyyBwJnAM="


static void
test_others(void **state)
{
    size_t             n;
    unsigned char      seed[LOYALTY_HASH], text[LOYALTY_VKEY_MAX];
    unsigned char      sig[LOYALTY_KEY_HASH + LOYALTY_SIGNATURE];
    loyalty_signkey_t  key;

    assert_ok(loyalty_unbase64(seed, sizeof(seed), &n,
                               (const unsigned char *) NEUMANN_SEED,
                               sizeof(NEUMANN_SEED) - 1));
    assert_ok(loyalty_signkey_init(&key, "PeterNeumann", 12, seed));

    n = loyalty_vkey(text, &key);
    assert_int_equal(n, sizeof(NEUMANN) - 1);
    assert_memory_equal(text, NEUMANN, n);

    memcpy(sig, key.hash, LOYALTY_KEY_HASH);
    assert_ok(loyalty_sign(sig + LOYALTY_KEY_HASH, &key, NEUMANN_TEXT,
                           sizeof(NEUMANN_TEXT) - 1));
    n = loyalty_base64(text, sig, sizeof(sig));
    assert_int_equal(n, sizeof(NEUMANN_SIGNED) - 1);
    assert_memory_equal(text, NEUMANN_SIGNED, n);

    loyalty_signkey_free(&key);
}


static void
test_vkey(void **state)
{
    size_t             n;
    unsigned char      text[LOYALTY_VKEY_MAX];
    loyalty_signkey_t  key;

    assert_ok(loyalty_signkey_vkey(&key, (const unsigned char *) NEUMANN,
                                   sizeof(NEUMANN) - 1));
    assert_hex(key.hash, LOYALTY_KEY_HASH, "c74f20a3");
    assert_int_equal(key.len, 12);

    n = loyalty_vkey(text, &key);
    assert_int_equal(n, sizeof(NEUMANN) - 1);
    assert_memory_equal(text, NEUMANN, n);
    loyalty_signkey_free(&key);

    /* of a program: what is signed with one opens with the other */

    program_key(&key, "shop");
    n = loyalty_vkey(text, &key);
    loyalty_signkey_free(&key);
    assert_ok(loyalty_signkey_vkey(&key, text, n));
    assert_int_equal(key.len, 4);
    assert_memory_equal(key.name, "shop", 4);
    loyalty_signkey_free(&key);
}


static void
test_vkey_refused(void **state)
{
    size_t       i;
    char         text[sizeof(NEUMANN) + 1];

    static const char  *bad[] = {
        "", "+", "++", "a+", "a++", "a+c74f20a3", "a+c74f20a3+",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10",
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(vkey(bad[i]), -1);
    }

    for (i = 0; i < sizeof(NEUMANN) - 1; i++) {
        strcpy(text, NEUMANN);
        text[i] ^= 1;
        assert_int_equal(vkey(text), -1);

        text[i] = '\0';
        assert_int_equal(vkey(text), -1);
    }

    strcpy(text, NEUMANN);
    strcat(text, "\n");
    assert_int_equal(vkey(text), -1);
}


static void
test_names(void **state)
{
    size_t             i;
    char               name[300];
    unsigned char      seed[LOYALTY_HASH];
    loyalty_signkey_t  key;

    static const char  *bad[] = {
        "", " ", "a b", "a+b", "a\n", "\t", "a\x7f", "a\xc2\xa0",
        "a\xc2\x85", "\xe2\x80\x83", "\xe3\x80\x80", "\xe1\x9a\x80",
        "a\xe2\x80\xa8", "a\xe2\x80\xaf", "a\xe2\x81\x9f"
    };
    static const char  *good[] = {
        "shop", "a-b_c", "caf\xc3\xa9", "\xe2\x80\xa0", "example.com/x"
    };

    from_hex(seed, sizeof(seed), SEED);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(loyalty_signkey_init(&key, bad[i], strlen(bad[i]),
                                              seed), -1);
    }

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_ok(loyalty_signkey_init(&key, good[i], strlen(good[i]),
                                       seed));
        loyalty_signkey_free(&key);
    }

    memset(name, 'n', sizeof(name));
    assert_ok(loyalty_signkey_init(&key, name, 255, seed));
    loyalty_signkey_free(&key);
    assert_int_equal(loyalty_signkey_init(&key, name, 256, seed), -1);
}


static int
open_note(const loyalty_signkey_t *key, const void *note, size_t n)
{
    size_t         len;
    unsigned char  dst[256], *copy;
    int            rc;

    /* of its own size, so that a byte too far is seen */

    copy = malloc(n > 0 ? n : 1);
    assert_non_null(copy);
    memcpy(copy, note, n);

    rc = loyalty_note_open(key, LOYALTY_NOTE_HEAD, copy, n, dst, sizeof(dst),
                           &len);
    free(copy);

    return rc;
}


static void
test_note(void **state)
{
    size_t             n, len;
    unsigned char      note[512], dst[256];
    loyalty_signkey_t  key;

    static const char  begin[] =
        "nginx-loyalty/1 head\nc3RhdGVtZW50\n\n\xe2\x80\x94 shop ";

    program_key(&key, "shop");

    n = loyalty_note_sign(note, sizeof(note), &key, LOYALTY_NOTE_HEAD,
                          "statement", 9);
    assert_int_equal(n, loyalty_note_len(4, 9, 4));
    assert_memory_equal(note, begin, sizeof(begin) - 1);
    assert_int_equal(note[n - 1], '\n');

    assert_ok(loyalty_note_open(&key, LOYALTY_NOTE_HEAD, note, n, dst,
                                sizeof(dst), &len));
    assert_int_equal(len, 9);
    assert_memory_equal(dst, "statement", 9);

    /* room for exactly as much, and for less */

    assert_ok(loyalty_note_open(&key, LOYALTY_NOTE_HEAD, note, n, dst, 9,
                                &len));
    assert_int_equal(loyalty_note_open(&key, LOYALTY_NOTE_HEAD, note, n, dst,
                                       8, &len), -1);
    assert_int_equal(loyalty_note_sign(note, n, &key, LOYALTY_NOTE_HEAD,
                                       "statement", 9), n);

    for (len = 0; len < n; len++) {
        assert_int_equal(loyalty_note_sign(note, len, &key,
                                           LOYALTY_NOTE_HEAD, "statement",
                                           9), 0);
    }

    assert_int_equal(loyalty_note_sign(note, sizeof(note), &key,
                                       LOYALTY_NOTE_HEAD, "", 0), 0);

    loyalty_signkey_free(&key);
}


static void
test_note_kinds(void **state)
{
    size_t               n, len;
    unsigned char        note[512], dst[256];
    loyalty_signkey_t    key;
    loyalty_note_kind_e  kind, other;

    static const char  *names[] = {
        "manifest", "close", "dq", "head", "evidence"
    };

    program_key(&key, "shop");

    for (kind = LOYALTY_NOTE_MANIFEST; kind <= LOYALTY_NOTE_EVIDENCE; kind++)
    {
        assert_string_equal(loyalty_note_kind(kind), names[kind]);

        n = loyalty_note_sign(note, sizeof(note), &key, kind, "x", 1);
        assert_int_equal(n, loyalty_note_len(strlen(names[kind]), 1, 4));

        for (other = LOYALTY_NOTE_MANIFEST;
             other <= LOYALTY_NOTE_EVIDENCE;
             other++)
        {
            assert_int_equal(loyalty_note_open(&key, other, note, n, dst,
                                               sizeof(dst), &len),
                             other == kind ? 0 : -1);
        }
    }

    loyalty_signkey_free(&key);
}


/* every bit of it, every cut, anything behind it, another's signature */

static void
test_note_strict(void **state)
{
    size_t             i, n;
    unsigned           bit;
    unsigned char      note[1024], same[1024];
    loyalty_signkey_t  key, other;

    program_key(&key, "shop");
    program_key(&other, "market");

    n = loyalty_note_sign(note, sizeof(note), &key, LOYALTY_NOTE_HEAD,
                          "statement", 9);
    assert_ok(open_note(&key, note, n));
    assert_int_equal(open_note(&other, note, n), -1);

    for (i = 0; i < n; i++) {
        assert_int_equal(open_note(&key, note, i), -1);

        for (bit = 0; bit < 8; bit++) {
            note[i] ^= (unsigned char) (1 << bit);
            assert_int_equal(open_note(&key, note, n), -1);
            note[i] ^= (unsigned char) (1 << bit);
        }
    }

    /* one more signature line, a known or an unknown one; one more line */

    memcpy(same, note, n);
    memcpy(same + n, note + n - 92 - 10, 102);
    assert_int_equal(open_note(&key, same, n + 102), -1);

    same[n] = '\n';
    assert_int_equal(open_note(&key, same, n + 1), -1);
    same[n] = 0;
    assert_int_equal(open_note(&key, same, n + 1), -1);

    /* the same name, another key */

    loyalty_signkey_free(&other);
    memset(same, 3, LOYALTY_HASH);
    assert_ok(loyalty_signkey_init(&other, "shop", 4, same));
    assert_int_equal(open_note(&other, note, n), -1);

    loyalty_signkey_free(&other);
    loyalty_signkey_free(&key);
}


static void
test_receipt(void **state)
{
    unsigned char      sig[LOYALTY_SIGNATURE], text[300];
    loyalty_signkey_t  key;

    program_key(&key, "shop");
    memset(text, 'r', sizeof(text));

    assert_ok(loyalty_receipt_sign(sig, &key, text, LOYALTY_ENTRY_LEN));
    assert_ok(loyalty_receipt_verify(&key, text, LOYALTY_ENTRY_LEN, sig));
    assert_int_equal(loyalty_receipt_verify(&key, text,
                                            LOYALTY_ENTRY_LEN - 1, sig), -1);
    text[0]++;
    assert_int_equal(loyalty_receipt_verify(&key, text, LOYALTY_ENTRY_LEN,
                                            sig), -1);

    /* it is a signature over T("receipt") and the record */

    memcpy(text, "nginx-loyalty/1 receipt", 24);
    memset(text + 24, 'r', LOYALTY_ENTRY_LEN);
    assert_ok(loyalty_verify(&key, text, 24 + LOYALTY_ENTRY_LEN, sig));

    assert_ok(loyalty_receipt_sign(sig, &key, text, 256));
    assert_int_equal(loyalty_receipt_sign(sig, &key, text, 257), -1);
    assert_int_equal(loyalty_receipt_verify(&key, text, 257, sig), -1);

    loyalty_signkey_free(&key);
}


static int
cosigned(loyalty_cosignature_t *c, const char *vkey, const char *line,
    const char *text)
{
    return loyalty_cosignature(c, (const unsigned char *) vkey, strlen(vkey),
                               (const unsigned char *) line, strlen(line),
                               (const unsigned char *) text, strlen(text))
           == NULL ? 0 : -1;
}


static void
test_cosignature(void **state)
{
    char                  *changed;
    size_t                 i;
    loyalty_cosignature_t  c;

    const char  *line = DASH NAME " " COSIGNED;

    assert_ok(cosigned(&c, WITNESS, line, TEXT));
    assert_int_equal(c.time, 1736354400);
    assert_int_equal(c.len, strlen(NAME));
    assert_memory_equal(c.name, NAME, c.len);
    assert_int_equal(c.nbase64, strlen(COSIGNED));
    assert_memory_equal(c.base64, COSIGNED, c.nbase64);

    /* of another text, or of a note's other lines, too */

    assert_int_equal(cosigned(&c, WITNESS, line, TEXT "\n"), -1);
    assert_int_equal(cosigned(&c, WITNESS, line, ""), -1);

    /* a key of another kind, and what is none */

    assert_int_equal(cosigned(&c, NO_WITNESS, line, TEXT), -1);
    assert_int_equal(cosigned(&c, "", line, TEXT), -1);
    assert_int_equal(cosigned(&c, "+", line, TEXT), -1);
    assert_int_equal(cosigned(&c, WITNESS "\n", line, TEXT), -1);

    for (i = 0; i < 3; i++) {
        static const char  *const  none[] = {
            "", DASH, NAME " " COSIGNED
        };

        assert_int_equal(cosigned(&c, WITNESS, none[i], TEXT), -1);
    }

    assert_int_equal(cosigned(&c, WITNESS, DASH NAME " " COSIGNED "\n", TEXT),
                     -1);
    assert_int_equal(cosigned(&c, WITNESS, DASH NAME "  " COSIGNED, TEXT),
                     -1);

    /* any byte of either */

    changed = strdup(WITNESS);

    for (i = 0; changed[i] != '\0'; i++) {
        changed[i] ^= 1;
        assert_int_equal(cosigned(&c, changed, line, TEXT), -1);
        changed[i] ^= 1;
    }

    free(changed);
    changed = strdup(line);

    for (i = 0; changed[i] != '\0'; i++) {
        changed[i] ^= 1;
        assert_int_equal(cosigned(&c, WITNESS, changed, TEXT), -1);
        changed[i] ^= 1;
    }

    free(changed);
}


/* what is longer than a note that is cosigned is refused, not cut */

static void
test_cosignature_long(void **state)
{
    char                   text[LOYALTY_COSIGNED_MAX + 2];
    loyalty_cosignature_t  c;

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';

    assert_int_equal(cosigned(&c, WITNESS, DASH NAME " " COSIGNED, text), -1);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_ed25519),
        cmocka_unit_test(test_ed25519_shared),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_vkey),
        cmocka_unit_test(test_vkey_refused),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_note),
        cmocka_unit_test(test_note_kinds),
        cmocka_unit_test(test_note_strict),
        cmocka_unit_test(test_receipt),
        cmocka_unit_test(test_cosignature),
        cmocka_unit_test(test_cosignature_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
