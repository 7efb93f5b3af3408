/*
 * A growing buffer that JSON is written into.  The owner supplies the
 * allocator (an nginx pool, malloc in tests); a failed allocation is
 * remembered and everything after it is dropped, so that callers check once.
 */

#ifndef _LOYALTY_OUT_H_INCLUDED_
#define _LOYALTY_OUT_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


typedef struct {
    unsigned char    *start;
    unsigned char    *pos;
    unsigned char    *end;
    /* returns a new block of n bytes or NULL; old ones are its own affair */
    void           *(*alloc)(void *ctx, size_t n);
    void             *ctx;
    int               failed;
} loyalty_out_t;


#define loyalty_out_lit(o, s)  loyalty_out_raw(o, s, sizeof(s) - 1)

void loyalty_out_init(loyalty_out_t *o, void *(*alloc)(void *, size_t),
    void *ctx, size_t first);
void loyalty_out_raw(loyalty_out_t *o, const void *p, size_t n);
/* a JSON string with its quotes; invalid UTF-8 becomes U+FFFD */
void loyalty_out_str(loyalty_out_t *o, const void *p, size_t n);
void loyalty_out_int(loyalty_out_t *o, int64_t i);
/* a JSON string that holds a decimal amount, e.g. "12.50" */
void loyalty_out_money(loyalty_out_t *o, int64_t units, unsigned scale);
/* a JSON string that holds an RFC 3339 instant */
void loyalty_out_time(loyalty_out_t *o, int64_t ms);


#endif /* _LOYALTY_OUT_H_INCLUDED_ */
