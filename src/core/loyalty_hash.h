/*
 * SHA-256, HMAC-SHA-256 and the small things around them that the draw
 * protocol needs: big-endian numbers, length-prefixed strings and tags as
 * parts of what is hashed, hex, base64, comparing and wiping.
 *
 * Contexts belong to the caller and are plain structures: no allocation, no
 * clean-up but loyalty_wipe() where they hold a secret.  A failure of
 * libcrypto is kept in the context, what follows does nothing, and the final
 * call says so: callers check once.
 */

#ifndef _LOYALTY_HASH_H_INCLUDED_
#define _LOYALTY_HASH_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>

#include <openssl/sha.h>


#define LOYALTY_HASH        32               /* bytes of SHA-256 and of HMAC */
#define LOYALTY_TAG         "nginx-loyalty/1 "

#define loyalty_hex_len(n)     ((n) * 2)
#define loyalty_base64_len(n)  (((n) + 2) / 3 * 4)


typedef struct {
    SHA256_CTX  sha;
    int         failed;
} loyalty_sha_t;


/* a key made ready: it serves any number of messages and is not changed */

typedef struct {
    SHA256_CTX  inner;
    SHA256_CTX  outer;
    int         failed;
} loyalty_hmac_t;


/*
 * A hash over parts: loyalty_sha_init(), parts, loyalty_sha_final().
 * loyalty_sha_tag() is T(tag) of FAIRNESS: "nginx-loyalty/1 ", the tag, a
 * zero byte.  loyalty_sha_lp() is u32 length and the bytes.
 */
void loyalty_sha_init(loyalty_sha_t *s);
void loyalty_sha_raw(loyalty_sha_t *s, const void *p, size_t n);
void loyalty_sha_u8(loyalty_sha_t *s, uint8_t v);
void loyalty_sha_u32(loyalty_sha_t *s, uint32_t v);
void loyalty_sha_u64(loyalty_sha_t *s, uint64_t v);
void loyalty_sha_lp(loyalty_sha_t *s, const void *p, size_t n);
void loyalty_sha_tag(loyalty_sha_t *s, const char *tag);
/* 32 bytes to dst; 0, or -1 and then dst is all zeros */
int loyalty_sha_final(loyalty_sha_t *s, unsigned char *dst);

/* in one call; 0 or -1 as above */
int loyalty_sha(unsigned char *dst, const void *p, size_t n);

/*
 * HMAC over parts: loyalty_hmac_key() once for a key of any length, then for
 * each message loyalty_hmac_init(), parts with loyalty_sha_*(), and
 * loyalty_hmac_final().  A message of 137 bytes is four blocks.
 */
int loyalty_hmac_key(loyalty_hmac_t *key, const void *p, size_t n);
void loyalty_hmac_init(loyalty_sha_t *s, const loyalty_hmac_t *key);
int loyalty_hmac_final(loyalty_sha_t *s, const loyalty_hmac_t *key,
    unsigned char *dst);

/* one message under a ready key, and all in one call; 0 or -1 */
int loyalty_hmac_raw(unsigned char *dst, const loyalty_hmac_t *key,
    const void *p, size_t n);
int loyalty_hmac(unsigned char *dst, const void *key, size_t nkey,
    const void *p, size_t n);

/* 1 when equal, 0 when not; the time depends on n alone */
int loyalty_equal(const void *a, const void *b, size_t n);
/* zeros that no compiler leaves out */
void loyalty_wipe(void *p, size_t n);
/* all n bytes are zero: Z of FAIRNESS */
int loyalty_zero(const void *p, size_t n);

/* big-endian; they return what is behind */
unsigned char *loyalty_put_u16(unsigned char *p, uint16_t v);
unsigned char *loyalty_put_u32(unsigned char *p, uint32_t v);
unsigned char *loyalty_put_u64(unsigned char *p, uint64_t v);
uint16_t loyalty_get_u16(const unsigned char *p);
uint32_t loyalty_get_u32(const unsigned char *p);
uint64_t loyalty_get_u64(const unsigned char *p);

/*
 * Lower-case hex, 2n bytes, no zero at the end; returns 2n.  Reading takes
 * both cases and exactly 2n digits for n bytes: 0, or -1.
 */
size_t loyalty_hex(unsigned char *dst, const void *p, size_t n);
int loyalty_unhex(unsigned char *dst, size_t n, const unsigned char *s,
    size_t len);

/*
 * Base64 of RFC 4648, section 4, with padding and no line breaks; returns
 * loyalty_base64_len(n).  Reading takes that form only, padding bits zero:
 * the number of bytes, at most size, in *n; 0, or -1.
 */
size_t loyalty_base64(unsigned char *dst, const void *p, size_t n);
int loyalty_unbase64(unsigned char *dst, size_t size, size_t *n,
    const unsigned char *s, size_t len);


#endif /* _LOYALTY_HASH_H_INCLUDED_ */
