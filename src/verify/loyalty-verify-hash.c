
/*
 * The protocol's arithmetic: integers, hashes, the tree, rounds, pick().
 *
 * libcrypto's plain SHA-256 functions are used rather than EVP: a log of a
 * million plays is ten million hashes of a few blocks each.
 */

#include "loyalty-verify.h"

#include <string.h>


#define LV_GENESIS  1692803367000LL
#define LV_PERIOD   3000


static void lv_node(u_char out[32], const u_char left[32],
    const u_char right[32]);


u_char *
lv_tag(u_char *p, const char *tag)
{
    p = lv_put(p, "nginx-loyalty/1 ", 16);

    return lv_put(p, tag, strlen(tag) + 1);
}


u_char *
lv_put32(u_char *p, uint32_t x)
{
    *p++ = x >> 24;
    *p++ = x >> 16;
    *p++ = x >> 8;
    *p++ = x;

    return p;
}


u_char *
lv_put64(u_char *p, uint64_t x)
{
    p = lv_put32(p, x >> 32);

    return lv_put32(p, x);
}


u_char *
lv_put(u_char *p, const void *data, size_t len)
{
    memcpy(p, data, len);

    return p + len;
}


uint32_t
lv_get32(const u_char *p)
{
    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16
           | (uint32_t) p[2] << 8 | p[3];
}


uint64_t
lv_get64(const u_char *p)
{
    return (uint64_t) lv_get32(p) << 32 | lv_get32(p + 4);
}


void
lv_sha256(u_char out[32], const void *data, size_t len)
{
    SHA256_CTX  ctx;

    SHA256_Init(&ctx);
    SHA256_Update(&ctx, data, len);
    SHA256_Final(out, &ctx);
}


/* keys are at most a block long: c_e, K_e, K_draw, K_alt are 32 bytes */

void
lv_hmac_key(lv_hmac_t *key, const u_char *secret, size_t len)
{
    u_char  block[64];
    size_t  i;

    memset(block, 0x36, sizeof(block));

    for (i = 0; i < len; i++) {
        block[i] ^= secret[i];
    }

    SHA256_Init(&key->inner);
    SHA256_Update(&key->inner, block, sizeof(block));

    for (i = 0; i < sizeof(block); i++) {
        block[i] ^= 0x36 ^ 0x5c;
    }

    SHA256_Init(&key->outer);
    SHA256_Update(&key->outer, block, sizeof(block));
}


void
lv_hmac(const lv_hmac_t *key, const u_char *data, size_t len, u_char out[32])
{
    SHA256_CTX  ctx;

    ctx = key->inner;
    SHA256_Update(&ctx, data, len);
    SHA256_Final(out, &ctx);

    ctx = key->outer;
    SHA256_Update(&ctx, out, 32);
    SHA256_Final(out, &ctx);
}


void
lv_leaf(u_char out[32], const u_char *data, size_t len)
{
    SHA256_CTX  ctx;

    SHA256_Init(&ctx);
    SHA256_Update(&ctx, "\0", 1);
    SHA256_Update(&ctx, data, len);
    SHA256_Final(out, &ctx);
}


static void
lv_node(u_char out[32], const u_char left[32], const u_char right[32])
{
    u_char  data[65];

    data[0] = 1;
    memcpy(&data[1], left, 32);
    memcpy(&data[33], right, 32);

    lv_sha256(out, data, sizeof(data));
}


void
lv_tree_add(lv_tree_t *tree, const u_char leaf[32])
{
    u_char    node[32];
    unsigned  level;

    memcpy(node, leaf, 32);

    for (level = 0; tree->size >> level & 1; level++) {
        lv_node(node, tree->node[level], node);
    }

    memcpy(tree->node[level], node, 32);
    tree->size++;
}


void
lv_tree_root(const lv_tree_t *tree, u_char root[32])
{
    unsigned  level, found;

    found = 0;

    for (level = 0; level < 64; level++) {
        if (!(tree->size >> level & 1)) {
            continue;
        }

        if (found) {
            lv_node(root, tree->node[level], root);

        } else {
            memcpy(root, tree->node[level], 32);
            found = 1;
        }
    }

    if (!found) {
        lv_sha256(root, "", 0);
    }
}


/* a time before the first round has no round, which is said as 0 */

uint64_t
lv_round_at(int64_t t)
{
    if (t < LV_GENESIS) {
        return 0;
    }

    return (t - LV_GENESIS) / LV_PERIOD + 1;
}


/* a round that no 64-bit time reaches is as late as any time can be */

int64_t
lv_round_time(uint64_t round)
{
    if (round == 0 || round > (uint64_t) 1 << 50) {
        return round ? LV_NEVER - 1 : 0;
    }

    return LV_GENESIS + (int64_t) (round - 1) * LV_PERIOD;
}


/* tries from *a on; 0: no attempt below 2^20 is accepted */

int
lv_pick(const lv_hmac_t *key, const char *tag, uint32_t p, uint64_t n,
    uint32_t *a, uint64_t *x)
{
    u_char    data[64], digest[32], *end;
    uint64_t  value, rest;

    end = lv_put32(lv_tag(data, tag), p);

    /* 2^64 mod n: values from 2^64 - rest on are not accepted */

    rest = (UINT64_MAX % n + 1) % n;

    while (*a < LV_MAX_ATTEMPTS) {
        lv_hmac(key, data, lv_put32(end, *a) - data, digest);

        value = lv_get64(digest);

        if (rest == 0 || value <= UINT64_MAX - rest) {
            *x = value % n;
            return 1;
        }

        (*a)++;
    }

    return 0;
}
