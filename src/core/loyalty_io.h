/*
 * Fields of statements, written to a buffer or read from one by the same
 * calls, so that one function a kind of statement does for both.  What does
 * not fit or is not there is remembered; after it nothing is written, and
 * what is read is zeros.
 */

#ifndef _LOYALTY_IO_H_INCLUDED_
#define _LOYALTY_IO_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>

#include "loyalty_hash.h"


typedef struct {
    unsigned char        *out;         /* NULL: reading */
    const unsigned char  *in;
    size_t                left;
    size_t                done;
    int                   failed;
} loyalty_io_t;


void loyalty_io_write(loyalty_io_t *io, unsigned char *dst, size_t size);
void loyalty_io_read(loyalty_io_t *io, const unsigned char *p, size_t n);
/* the length, or 0 when something failed */
size_t loyalty_io_written(const loyalty_io_t *io);
/* 0 when all was read and nothing is left, or -1 */
int loyalty_io_end(const loyalty_io_t *io);

void loyalty_io_raw(loyalty_io_t *io, void *p, size_t n);
/* T(tag), of up to 15 bytes; read, it must be this one */
void loyalty_io_tag(loyalty_io_t *io, const char *tag);
void loyalty_io_u8(loyalty_io_t *io, uint8_t *v);
void loyalty_io_u16(loyalty_io_t *io, uint16_t *v);
void loyalty_io_u32(loyalty_io_t *io, uint32_t *v);
void loyalty_io_u64(loyalty_io_t *io, uint64_t *v);
/* u32 length and the bytes, which, read, stay where they are */
void loyalty_io_lp(loyalty_io_t *io, const unsigned char **p, size_t *n,
    size_t max);


#endif /* _LOYALTY_IO_H_INCLUDED_ */
