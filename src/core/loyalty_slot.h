/*
 * Where a member lives: the partition, and the tag that puts the partition
 * into its share of a Redis Cluster's slots.
 */

#ifndef _LOYALTY_SLOT_H_INCLUDED_
#define _LOYALTY_SLOT_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


#define LOYALTY_PARTITIONS  64


uint32_t loyalty_crc32(const void *p, size_t n);      /* IEEE, as zlib's */
unsigned loyalty_partition(const void *member, size_t n);   /* 0 .. 63 */
unsigned loyalty_key_slot(const void *key, size_t n); /* with {tag} rule */

/*
 * The smallest n >= 0 with slot("PROGRAM:P.n") >> 8 == P.
 */
unsigned loyalty_tag_suffix(const char *program, size_t len,
    unsigned partition);


#endif /* _LOYALTY_SLOT_H_INCLUDED_ */
