/*
 * MessagePack: the arguments of a call are written here, and the members
 * and records that come back are read here.  Both run several times an
 * event, and what is read comes over a socket, so the reader trusts no
 * length: a string must lie within the block, and an array may not promise
 * more elements than there are bytes left.
 */

#include "loyalty_msgpack.h"

#include <string.h>


#define LOYALTY_MP_DEPTH   32
#define LOYALTY_MP_EXACT   9007199254740992.0         /* 2^53 */


static unsigned char *loyalty_mpw_room(loyalty_mpw_t *w, size_t n);
static void loyalty_mpw_head(loyalty_mpw_t *w, unsigned char tag,
    unsigned bytes, uint64_t v);

static int loyalty_mpr_tagged(loyalty_mpr_t *r, loyalty_mpv_t *v,
    unsigned tag);
static int loyalty_mpr_sized(loyalty_mpr_t *r, loyalty_mpv_t *v,
    unsigned tag);
static int loyalty_mpr_uint(loyalty_mpr_t *r, unsigned bytes, uint64_t *u);
static int loyalty_mpr_float(loyalty_mpv_t *v, unsigned bytes, uint64_t u);
static int loyalty_mpr_bytes(loyalty_mpr_t *r, loyalty_mpv_t *v, uint64_t n);
static int loyalty_mpr_many(loyalty_mpr_t *r, loyalty_mpv_t *v,
    loyalty_mp_type_e type, uint64_t n);


void
loyalty_mpw_init(loyalty_mpw_t *w, void *buf, size_t size)
{
    w->start = buf;
    w->pos = buf;
    w->end = w->start + size;
    w->failed = 0;
}


/* n bytes to fill, or NULL: after a failure nothing more is written */

static unsigned char *
loyalty_mpw_room(loyalty_mpw_t *w, size_t n)
{
    unsigned char  *p;

    if (w->failed || (size_t) (w->end - w->pos) < n) {
        w->failed = 1;
        return NULL;
    }

    p = w->pos;
    w->pos += n;

    return p;
}


/* a tag and a big-endian number of 0, 1, 2, 4 or 8 bytes */

static void
loyalty_mpw_head(loyalty_mpw_t *w, unsigned char tag, unsigned bytes,
    uint64_t v)
{
    unsigned char  *p;

    p = loyalty_mpw_room(w, 1 + bytes);

    if (p == NULL) {
        return;
    }

    *p++ = tag;

    while (bytes > 0) {
        bytes--;
        *p++ = (unsigned char) (v >> (8 * bytes));
    }
}


void
loyalty_mpw_nil(loyalty_mpw_t *w)
{
    loyalty_mpw_head(w, 0xc0, 0, 0);
}


void
loyalty_mpw_int(loyalty_mpw_t *w, int64_t v)
{
    uint64_t  u;

    u = (uint64_t) v;

    if (v >= 0) {

        if (v < 128) {
            loyalty_mpw_head(w, (unsigned char) v, 0, 0);

        } else if (v <= UINT8_MAX) {
            loyalty_mpw_head(w, 0xcc, 1, u);

        } else if (v <= UINT16_MAX) {
            loyalty_mpw_head(w, 0xcd, 2, u);

        } else if (v <= UINT32_MAX) {
            loyalty_mpw_head(w, 0xce, 4, u);

        } else {
            loyalty_mpw_head(w, 0xcf, 8, u);
        }

        return;
    }

    if (v >= -32) {
        loyalty_mpw_head(w, (unsigned char) u, 0, 0);

    } else if (v >= INT8_MIN) {
        loyalty_mpw_head(w, 0xd0, 1, u);

    } else if (v >= INT16_MIN) {
        loyalty_mpw_head(w, 0xd1, 2, u);

    } else if (v >= INT32_MIN) {
        loyalty_mpw_head(w, 0xd2, 4, u);

    } else {
        loyalty_mpw_head(w, 0xd3, 8, u);
    }
}


void
loyalty_mpw_str(loyalty_mpw_t *w, const void *p, size_t n)
{
    if (n < 32) {
        loyalty_mpw_head(w, (unsigned char) (0xa0 | n), 0, 0);

    } else if (n <= UINT8_MAX) {
        loyalty_mpw_head(w, 0xd9, 1, n);

    } else if (n <= UINT16_MAX) {
        loyalty_mpw_head(w, 0xda, 2, n);

    } else if (n <= UINT32_MAX) {
        loyalty_mpw_head(w, 0xdb, 4, n);

    } else {
        w->failed = 1;
    }

    loyalty_mpw_raw(w, p, n);
}


void
loyalty_mpw_array(loyalty_mpw_t *w, uint32_t n)
{
    if (n < 16) {
        loyalty_mpw_head(w, (unsigned char) (0x90 | n), 0, 0);

    } else if (n <= UINT16_MAX) {
        loyalty_mpw_head(w, 0xdc, 2, n);

    } else {
        loyalty_mpw_head(w, 0xdd, 4, n);
    }
}


void
loyalty_mpw_raw(loyalty_mpw_t *w, const void *p, size_t n)
{
    unsigned char  *dst;

    dst = loyalty_mpw_room(w, n);

    if (dst != NULL && n > 0) {
        memcpy(dst, p, n);
    }
}


size_t
loyalty_mpw_array16(loyalty_mpw_t *w)
{
    size_t  place;

    place = (size_t) (w->pos - w->start);

    loyalty_mpw_head(w, 0xdc, 2, 0);

    return place;
}


void
loyalty_mpw_array16_set(loyalty_mpw_t *w, size_t place, uint32_t n)
{
    if (w->failed) {
        return;
    }

    if (n > UINT16_MAX) {
        w->failed = 1;
        return;
    }

    w->start[place + 1] = (unsigned char) (n >> 8);
    w->start[place + 2] = (unsigned char) n;
}


void
loyalty_mpr_init(loyalty_mpr_t *r, const void *p, size_t n)
{
    static const unsigned char  empty[1];

    /* arithmetic on NULL is undefined, even of 0 bytes */

    r->pos = (n > 0) ? p : empty;
    r->end = r->pos + n;
}


int
loyalty_mpr_next(loyalty_mpr_t *r, loyalty_mpv_t *v)
{
    unsigned              tag;
    const unsigned char  *start;

    if (r->pos == r->end) {
        return -1;
    }

    start = r->pos;
    tag = *r->pos++;

    if (tag < 0x80) {
        v->type = LOYALTY_MP_INT;
        v->i = tag;
        return 0;
    }

    if (tag >= 0xe0) {
        v->type = LOYALTY_MP_INT;
        v->i = (int64_t) tag - 256;
        return 0;
    }

    if (loyalty_mpr_tagged(r, v, tag) != 0) {
        r->pos = start;
        return -1;
    }

    return 0;
}


/* tags 0x80 to 0xdf; the extension types are not read */

static int
loyalty_mpr_tagged(loyalty_mpr_t *r, loyalty_mpv_t *v, unsigned tag)
{
    if (tag < 0x90) {
        return loyalty_mpr_many(r, v, LOYALTY_MP_MAP, tag & 0x0f);
    }

    if (tag < 0xa0) {
        return loyalty_mpr_many(r, v, LOYALTY_MP_ARRAY, tag & 0x0f);
    }

    if (tag < 0xc0) {
        return loyalty_mpr_bytes(r, v, tag & 0x1f);
    }

    switch (tag) {

    case 0xc0:
        v->type = LOYALTY_MP_NIL;
        v->i = 0;
        return 0;

    case 0xc2:
    case 0xc3:
        v->type = LOYALTY_MP_BOOL;
        v->i = tag & 1;
        return 0;

    default:
        return loyalty_mpr_sized(r, v, tag);
    }
}


/* tags that a number of 1, 2, 4 or 8 bytes follows: a value or a length */

static int
loyalty_mpr_sized(loyalty_mpr_t *r, loyalty_mpv_t *v, unsigned tag)
{
    unsigned  bytes;
    uint64_t  u;

    static const unsigned char  widths[32] = {
        0, 0, 0, 0, 1, 2, 4, 0, 0, 0, 4, 8, 1, 2, 4, 8,        /* c0 .. cf */
        1, 2, 4, 8, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4         /* d0 .. df */
    };

    bytes = widths[tag - 0xc0];

    if (bytes == 0 || loyalty_mpr_uint(r, bytes, &u) != 0) {
        return -1;
    }

    v->type = LOYALTY_MP_INT;

    switch (tag) {

    case 0xca: case 0xcb:
        return loyalty_mpr_float(v, bytes, u);

    case 0xcc: case 0xcd: case 0xce: case 0xcf: case 0xd3:
        v->i = (int64_t) u;
        return (tag != 0xcf || u <= INT64_MAX) ? 0 : -1;

    case 0xd0:
        v->i = (int8_t) u;
        return 0;

    case 0xd1:
        v->i = (int16_t) u;
        return 0;

    case 0xd2:
        v->i = (int32_t) u;
        return 0;

    case 0xdc: case 0xdd:
        return loyalty_mpr_many(r, v, LOYALTY_MP_ARRAY, u);

    case 0xde: case 0xdf:
        return loyalty_mpr_many(r, v, LOYALTY_MP_MAP, u);

    default:                                   /* c4 .. c6, d9 .. db */
        return loyalty_mpr_bytes(r, v, u);
    }
}


static int
loyalty_mpr_uint(loyalty_mpr_t *r, unsigned bytes, uint64_t *u)
{
    uint64_t  v;

    if ((size_t) (r->end - r->pos) < bytes) {
        return -1;
    }

    for (v = 0; bytes > 0; bytes--) {
        v = (v << 8) | *r->pos++;
    }

    *u = v;

    return 0;
}


static int
loyalty_mpr_float(loyalty_mpv_t *v, unsigned bytes, uint64_t u)
{
    float     f;
    uint32_t  u32;

    v->type = LOYALTY_MP_DOUBLE;

    if (bytes == 8) {
        memcpy(&v->d, &u, 8);
        return 0;
    }

    u32 = (uint32_t) u;
    memcpy(&f, &u32, 4);
    v->d = (double) f;

    return 0;
}


static int
loyalty_mpr_bytes(loyalty_mpr_t *r, loyalty_mpv_t *v, uint64_t n)
{
    if ((uint64_t) (r->end - r->pos) < n) {
        return -1;
    }

    v->type = LOYALTY_MP_STR;
    v->p = r->pos;
    v->n = (uint32_t) n;
    r->pos += n;

    return 0;
}


/* each element takes at least one byte, so callers may allocate n of them */

static int
loyalty_mpr_many(loyalty_mpr_t *r, loyalty_mpv_t *v, loyalty_mp_type_e type,
    uint64_t n)
{
    uint64_t  least;

    least = (type == LOYALTY_MP_MAP) ? 2 * n : n;

    if ((uint64_t) (r->end - r->pos) < least) {
        return -1;
    }

    v->type = type;
    v->n = (uint32_t) n;

    return 0;
}


int
loyalty_mpr_skip(loyalty_mpr_t *r)
{
    int                   depth;
    uint64_t              left[LOYALTY_MP_DEPTH + 1];
    loyalty_mpv_t         v;
    const unsigned char  *start;

    start = r->pos;
    depth = 0;
    left[0] = 1;

    for ( ;; ) {

        while (left[depth] == 0) {
            if (depth == 0) {
                return 0;
            }

            depth--;
        }

        left[depth]--;

        if (loyalty_mpr_next(r, &v) != 0) {
            break;
        }

        if (v.type != LOYALTY_MP_ARRAY && v.type != LOYALTY_MP_MAP) {
            continue;
        }

        if (depth == LOYALTY_MP_DEPTH) {
            break;
        }

        left[++depth] = (v.type == LOYALTY_MP_MAP) ? 2 * (uint64_t) v.n : v.n;
    }

    r->pos = start;

    return -1;
}


int
loyalty_mpr_int(loyalty_mpr_t *r, int64_t *i)
{
    loyalty_mpv_t         v;
    const unsigned char  *start;

    start = r->pos;

    if (loyalty_mpr_next(r, &v) != 0) {
        return -1;
    }

    switch (v.type) {

    case LOYALTY_MP_INT:
        *i = v.i;
        return 0;

    case LOYALTY_MP_NIL:
        *i = 0;
        return 0;

    case LOYALTY_MP_BOOL:
        if (v.i == 0) {
            *i = 0;
            return 0;
        }

        break;

    case LOYALTY_MP_DOUBLE:
        if (v.d >= -LOYALTY_MP_EXACT && v.d <= LOYALTY_MP_EXACT
            && (double) (int64_t) v.d == v.d)
        {
            *i = (int64_t) v.d;
            return 0;
        }

        break;

    default:
        break;
    }

    r->pos = start;

    return -1;
}


int
loyalty_mpr_str(loyalty_mpr_t *r, const unsigned char **p, uint32_t *n)
{
    loyalty_mpv_t         v;
    const unsigned char  *start;

    start = r->pos;

    if (loyalty_mpr_next(r, &v) != 0 || v.type != LOYALTY_MP_STR) {
        r->pos = start;
        return -1;
    }

    *p = v.p;
    *n = v.n;

    return 0;
}
