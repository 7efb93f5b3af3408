/*
 * RESP, the protocol of Redis: bytes in, flat replies out; and commands as
 * bytes.  The only place that knows hiredis, which parses.
 *
 * A reply is one value, or one array of values.  What is longer, wider or
 * deeper than that, or is no RESP2, is an error, after which the reader is of
 * no more use: the stream has lost its beat and the connection must go.
 */

#ifndef _LOYALTY_RESP_H_INCLUDED_
#define _LOYALTY_RESP_H_INCLUDED_


#include <stddef.h>


/* most bytes of a number in a header line, with its type and line end */
#define LOYALTY_RESP_LINE  24


typedef enum {
    LOYALTY_RESP_STRING = 0,
    LOYALTY_RESP_STATUS,
    LOYALTY_RESP_ERROR,
    LOYALTY_RESP_INTEGER,               /* given as text */
    LOYALTY_RESP_NIL
} loyalty_resp_type_e;


typedef struct {
    loyalty_resp_type_e        type;
    size_t                     len;
    const unsigned char       *data;    /* NULL: nil; no byte follows it */
} loyalty_resp_value_t;


typedef struct {
    int                        array;   /* nil is no array */
    size_t                     n;       /* values; 1 unless array */
    size_t                     bytes;   /* of all values together */
    loyalty_resp_value_t      *values;
} loyalty_resp_reply_t;


typedef struct loyalty_resp_s  loyalty_resp_t;


/*
 * max_bytes: most bytes of the values of one reply together; max_values: most
 * values of an array.  NULL: no memory.
 */
loyalty_resp_t *loyalty_resp_create(size_t max_bytes, size_t max_values);
void loyalty_resp_free(loyalty_resp_t *resp);

/* takes n received bytes, at most 64 kB; -1: an error, see _error() */
int loyalty_resp_feed(loyalty_resp_t *resp, const void *data, size_t n);

/*
 * The next reply, in the order of arrival: 1 and *reply, valid until the next
 * call; 0: more bytes are needed; -1: an error.
 */
int loyalty_resp_next(loyalty_resp_t *resp, loyalty_resp_reply_t **reply);

/* after _next() gave 0: a reply has begun */
int loyalty_resp_partial(loyalty_resp_t *resp);

/* what is wrong with the reply, in words */
const char *loyalty_resp_error(loyalty_resp_t *resp);


/*
 * Commands: the number of arguments, then each argument.  Both return the
 * end of what they wrote; _bulk needs len + 2 + LOYALTY_RESP_LINE bytes.
 */
unsigned char *loyalty_resp_array(unsigned char *p, size_t n);
unsigned char *loyalty_resp_bulk(unsigned char *p, const void *data,
    size_t len);


#endif /* _LOYALTY_RESP_H_INCLUDED_ */
