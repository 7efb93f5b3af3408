/*
 * MessagePack, as much of it as the module and its Lua library exchange:
 * integers, strings, arrays, maps, nil, booleans, doubles.  The writer fills
 * a buffer of fixed size and remembers that it did not fit; the reader
 * yields one token at a time and never reads past its end.
 */

#ifndef _LOYALTY_MSGPACK_H_INCLUDED_
#define _LOYALTY_MSGPACK_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


typedef struct {
    unsigned char        *start;
    unsigned char        *pos;
    unsigned char        *end;
    int                   failed;      /* 1: something did not fit */
} loyalty_mpw_t;


typedef enum {
    LOYALTY_MP_NIL = 0,
    LOYALTY_MP_BOOL,                   /* i */
    LOYALTY_MP_INT,                    /* i */
    LOYALTY_MP_DOUBLE,                 /* d */
    LOYALTY_MP_STR,                    /* p, n: str and bin alike */
    LOYALTY_MP_ARRAY,                  /* n elements follow */
    LOYALTY_MP_MAP                     /* n pairs follow */
} loyalty_mp_type_e;


typedef struct {
    const unsigned char  *pos;
    const unsigned char  *end;
} loyalty_mpr_t;


typedef struct {
    loyalty_mp_type_e     type;
    int64_t               i;
    double                d;
    const unsigned char  *p;
    uint32_t              n;
} loyalty_mpv_t;


void loyalty_mpw_init(loyalty_mpw_t *w, void *buf, size_t size);
void loyalty_mpw_nil(loyalty_mpw_t *w);
void loyalty_mpw_int(loyalty_mpw_t *w, int64_t v);
void loyalty_mpw_str(loyalty_mpw_t *w, const void *p, size_t n);
void loyalty_mpw_array(loyalty_mpw_t *w, uint32_t n);
void loyalty_mpw_raw(loyalty_mpw_t *w, const void *p, size_t n);

/*
 * An array whose length is known only when it is full: array16() reserves
 * a 3-byte header and returns its place, array16_set() fills it in.
 */
size_t loyalty_mpw_array16(loyalty_mpw_t *w);
void loyalty_mpw_array16_set(loyalty_mpw_t *w, size_t place, uint32_t n);

/*
 * All readers: 0 on success, -1 on a truncated, unknown or unfit token, and
 * then the place is as before.  Unknown are extension types and integers
 * over 2^63 - 1; truncated is a count that the rest has no bytes for, so n
 * elements may be allocated.
 */
void loyalty_mpr_init(loyalty_mpr_t *r, const void *p, size_t n);
int loyalty_mpr_next(loyalty_mpr_t *r, loyalty_mpv_t *v);
int loyalty_mpr_skip(loyalty_mpr_t *r);          /* one value, nested <= 32 */
int loyalty_mpr_int(loyalty_mpr_t *r, int64_t *i);   /* whole doubles too;
                                                        false and nil are 0,
                                                        true is unfit */
int loyalty_mpr_str(loyalty_mpr_t *r, const unsigned char **p, uint32_t *n);


#endif /* _LOYALTY_MSGPACK_H_INCLUDED_ */
