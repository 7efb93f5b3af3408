/*
 * Fields of statements, written and read.
 */

#include "loyalty_io.h"

#include <string.h>

void
loyalty_io_write(loyalty_io_t *io, unsigned char *dst, size_t size)
{
    io->out = dst;
    io->in = NULL;
    io->left = size;
    io->done = 0;
    io->failed = (dst == NULL);
}


void
loyalty_io_read(loyalty_io_t *io, const unsigned char *p, size_t n)
{
    io->out = NULL;
    io->in = p;
    io->left = n;
    io->done = 0;
    io->failed = (p == NULL);
}


size_t
loyalty_io_written(const loyalty_io_t *io)
{
    return io->failed ? 0 : io->done;
}


/* all was read, and nothing is left */

int
loyalty_io_end(const loyalty_io_t *io)
{
    return (io->failed || io->left > 0) ? -1 : 0;
}


void
loyalty_io_raw(loyalty_io_t *io, void *p, size_t n)
{
    if (io->failed || n > io->left) {
        io->failed = 1;

        if (io->out == NULL && n > 0) {
            memset(p, 0, n);
        }

        return;
    }

    if (n == 0) {
        return;
    }

    if (io->out != NULL) {
        memcpy(io->out, p, n);
        io->out += n;

    } else {
        memcpy(p, io->in, n);
        io->in += n;
    }

    io->left -= n;
    io->done += n;
}


void
loyalty_io_tag(loyalty_io_t *io, const char *tag)
{
    size_t         n;
    unsigned char  want[32], got[32];

    n = strlen(tag) + 1;

    memcpy(want, LOYALTY_TAG, sizeof(LOYALTY_TAG) - 1);
    memcpy(want + sizeof(LOYALTY_TAG) - 1, tag, n);
    n += sizeof(LOYALTY_TAG) - 1;

    memcpy(got, want, n);
    loyalty_io_raw(io, got, n);

    if (memcmp(got, want, n) != 0) {
        io->failed = 1;
    }
}


void
loyalty_io_u8(loyalty_io_t *io, uint8_t *v)
{
    loyalty_io_raw(io, v, 1);
}


void
loyalty_io_u16(loyalty_io_t *io, uint16_t *v)
{
    unsigned char  buf[2];

    if (io->out != NULL) {
        loyalty_put_u16(buf, *v);
    }

    loyalty_io_raw(io, buf, sizeof(buf));

    if (io->out == NULL) {
        *v = loyalty_get_u16(buf);
    }
}


void
loyalty_io_u32(loyalty_io_t *io, uint32_t *v)
{
    unsigned char  buf[4];

    if (io->out != NULL) {
        loyalty_put_u32(buf, *v);
    }

    loyalty_io_raw(io, buf, sizeof(buf));

    if (io->out == NULL) {
        *v = loyalty_get_u32(buf);
    }
}


void
loyalty_io_u64(loyalty_io_t *io, uint64_t *v)
{
    unsigned char  buf[8];

    if (io->out != NULL) {
        loyalty_put_u64(buf, *v);
    }

    loyalty_io_raw(io, buf, sizeof(buf));

    if (io->out == NULL) {
        *v = loyalty_get_u64(buf);
    }
}


void
loyalty_io_lp(loyalty_io_t *io, const unsigned char **p, size_t *n,
    size_t max)
{
    uint32_t  len;

    len = 0;

    if (io->out != NULL) {

        if (*n > max) {
            io->failed = 1;
            return;
        }

        len = (uint32_t) *n;
        loyalty_io_u32(io, &len);
        loyalty_io_raw(io, (void *) *p, len);

        return;
    }

    loyalty_io_u32(io, &len);

    if (io->failed || len > max || len > io->left) {
        io->failed = 1;
        *p = NULL;
        *n = 0;
        return;
    }

    *p = io->in;
    *n = len;

    io->in += len;
    io->left -= len;
    io->done += len;
}
