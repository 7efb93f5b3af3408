/*
 * What the tests of draws share: bytes as hex, the inputs of the protocol's
 * vectors, and the files of others' vectors where they lie beside the tree.
 */

#ifndef _DRAW_H_INCLUDED_
#define _DRAW_H_INCLUDED_


#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "loyalty_draw.h"


#define OPEN   1736266200000ULL
#define CLOSE  1736352600000ULL

#define assert_hex(p, n, hex)  compare_hex(p, n, hex, __FILE__, __LINE__)
#define assert_ok(rc)          assert_int_equal(rc, 0)


static const unsigned char  zeros[LOYALTY_HASH];


static inline void
compare_hex(const void *p, size_t n, const char *hex, const char *file,
    int line)
{
    char  *got;

    got = malloc(loyalty_hex_len(n) + 1);
    _assert_true(got != NULL, "malloc", file, line);

    loyalty_hex((unsigned char *) got, p, n);
    got[loyalty_hex_len(n)] = '\0';

    _assert_string_equal(got, hex, file, line);

    free(got);
}


static inline void
from_hex(unsigned char *dst, size_t n, const char *hex)
{
    assert_ok(loyalty_unhex(dst, n, (const unsigned char *) hex,
                            strlen(hex)));
}


static inline void
sha_text(unsigned char *dst, const char *text)
{
    assert_ok(loyalty_sha(dst, text, strlen(text)));
}


/* H(text ‖ number of so many bytes) */

static inline void
sha_numbered(unsigned char *dst, const char *text, uint64_t v, size_t width)
{
    size_t         n;
    unsigned char  buf[64], number[8];

    n = strlen(text);
    loyalty_put_u64(number, v);

    memcpy(buf, text, n);
    memcpy(buf + n, number + 8 - width, width);

    assert_ok(loyalty_sha(dst, buf, n + width));
}


static inline void
vector_master(unsigned char *dst)
{
    sha_text(dst, "test master secret");
}


static inline void
vector_salt(unsigned char *dst)
{
    unsigned char  hash[LOYALTY_HASH];

    sha_text(hash, "test campaign salt");
    memcpy(dst, hash, LOYALTY_SALT);
}


/* NULL: the file is not there, and the test has nothing to compare with */

static inline json_t *
shared_vectors(const char *name)
{
    char          path[512];
    json_t       *root;
    json_error_t  error;
    const char   *dir;
    FILE         *f;

    dir = getenv("LOYALTY_VECTORS");
    snprintf(path, sizeof(path), "%s/%s",
             dir != NULL ? dir : "../shared/data/vectors", name);

    f = fopen(path, "r");

    if (f == NULL) {
        return NULL;
    }

    root = json_loadf(f, 0, &error);
    fclose(f);

    if (root == NULL) {
        fail_msg("%s: %s", path, error.text);
    }

    return root;
}


static inline const char *
json_text(json_t *object, const char *key)
{
    const char  *text;

    text = json_string_value(json_object_get(object, key));
    assert_non_null(text);

    return text;
}


/* bytes from hex, on the heap; *n is how many */

static inline unsigned char *
json_bytes(json_t *object, const char *key, size_t *n)
{
    const char     *text;
    unsigned char  *p;

    text = json_text(object, key);
    *n = strlen(text) / 2;

    p = malloc(*n + 1);
    assert_non_null(p);
    from_hex(p, *n, text);

    return p;
}


#endif /* _DRAW_H_INCLUDED_ */
