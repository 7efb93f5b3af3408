/*
 * An observed event between the request that it was seen in and its call to
 * Redis: as a payload of a record.  It holds what the event says, not what a
 * program makes of it, so that it can wait for longer than the configuration
 * and the version of the module that wrote it.
 *
 *     msgpack values: format (1), at, amount, quantity, type, id, member,
 *     channel, partner, data, variables
 *
 * Absent numbers are -1, absent texts empty.  data and variables are flat
 * arrays name, value, ….  What follows is of later versions and is ignored.
 */

#ifndef _LOYALTY_OBSERVED_H_INCLUDED_
#define _LOYALTY_OBSERVED_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


#define LOYALTY_OBSERVED_PAIRS  32     /* of data, and of variables */


typedef struct {
    const unsigned char      *data;
    size_t                    len;
} loyalty_text_t;


typedef struct {
    loyalty_text_t            name;
    loyalty_text_t            value;
} loyalty_pair_t;


typedef struct {
    int64_t                   at;      /* ms */
    int64_t                   amount;
    int64_t                   quantity;
    loyalty_text_t            type;
    loyalty_text_t            id;
    loyalty_text_t            member;
    loyalty_text_t            channel;
    loyalty_text_t            partner;
    uint32_t                  ndata;
    uint32_t                  nvariables;
    loyalty_pair_t            data[LOYALTY_OBSERVED_PAIRS];
    loyalty_pair_t            variables[LOYALTY_OBSERVED_PAIRS];
} loyalty_observed_t;


/* the payload's length, or 0 when it does not fit */
size_t loyalty_observed_write(const loyalty_observed_t *event,
    unsigned char *buf, size_t size);

/* 0, or -1 for anything but a payload; the texts point into it */
int loyalty_observed_read(loyalty_observed_t *event, const unsigned char *p,
    size_t n);


#endif /* _LOYALTY_OBSERVED_H_INCLUDED_ */
