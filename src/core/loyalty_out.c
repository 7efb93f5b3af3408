/*
 * JSON output.  Every reply is written through here, so one call to
 * loyalty_out_str() must be enough to make any bytes a valid JSON string.
 */

#include "loyalty_out.h"
#include "loyalty_calendar.h"
#include "loyalty_money.h"

#include <string.h>


#define LOYALTY_OUT_FIRST  256


static int loyalty_out_grow(loyalty_out_t *o, size_t n);
static size_t loyalty_out_escape(unsigned char *dst, unsigned char c);
static size_t loyalty_out_utf8(const unsigned char *s, size_t n, int *valid);


void
loyalty_out_init(loyalty_out_t *o, void *(*alloc)(void *, size_t), void *ctx,
    size_t first)
{
    if (first == 0) {
        first = LOYALTY_OUT_FIRST;
    }

    o->alloc = alloc;
    o->ctx = ctx;
    o->failed = 0;
    o->start = alloc(ctx, first);
    o->pos = o->start;
    o->end = o->start;

    if (o->start == NULL) {
        o->failed = 1;
        return;
    }

    o->end = o->start + first;
}


/* room for n more bytes, in a block of at least twice the size */

static int
loyalty_out_grow(loyalty_out_t *o, size_t n)
{
    size_t          used, size;
    unsigned char  *p;

    used = (size_t) (o->pos - o->start);
    size = (size_t) (o->end - o->start);

    if (n > SIZE_MAX / 4 - used || size > SIZE_MAX / 4) {
        o->failed = 1;
        return -1;
    }

    size *= 2;

    if (size < used + n) {
        size = used + n;
    }

    p = o->alloc(o->ctx, size);

    if (p == NULL) {
        o->failed = 1;
        return -1;
    }

    memcpy(p, o->start, used);

    o->start = p;
    o->pos = p + used;
    o->end = p + size;

    return 0;
}


void
loyalty_out_raw(loyalty_out_t *o, const void *p, size_t n)
{
    if (o->failed || n == 0) {
        return;
    }

    if ((size_t) (o->end - o->pos) < n && loyalty_out_grow(o, n) != 0) {
        return;
    }

    memcpy(o->pos, p, n);
    o->pos += n;
}


void
loyalty_out_str(loyalty_out_t *o, const void *p, size_t n)
{
    int                   valid;
    size_t                i, len, plain;
    unsigned char         esc[6];
    const unsigned char  *s;

    s = p;
    plain = 0;

    loyalty_out_lit(o, "\"");

    /* s[plain .. i) is copied in one piece when something has to change */

    for (i = 0; i < n; i += len) {

        if (s[i] < 0x80) {
            len = 1;

            if (s[i] >= 0x20 && s[i] != '"' && s[i] != '\\') {
                continue;
            }

            loyalty_out_raw(o, s + plain, i - plain);
            loyalty_out_raw(o, esc, loyalty_out_escape(esc, s[i]));
            plain = i + 1;
            continue;
        }

        len = loyalty_out_utf8(s + i, n - i, &valid);

        if (!valid) {
            loyalty_out_raw(o, s + plain, i - plain);
            loyalty_out_lit(o, "\xef\xbf\xbd");
            plain = i + len;
        }
    }

    if (plain < n) {
        loyalty_out_raw(o, s + plain, n - plain);
    }

    loyalty_out_lit(o, "\"");
}


static size_t
loyalty_out_escape(unsigned char *dst, unsigned char c)
{
    static const unsigned char  hex[] = "0123456789abcdef";

    dst[0] = '\\';

    switch (c) {

    case '"':
    case '\\':
        dst[1] = c;
        return 2;

    case '\b':
        dst[1] = 'b';
        return 2;

    case '\f':
        dst[1] = 'f';
        return 2;

    case '\n':
        dst[1] = 'n';
        return 2;

    case '\r':
        dst[1] = 'r';
        return 2;

    case '\t':
        dst[1] = 't';
        return 2;

    default:
        break;
    }

    dst[1] = 'u';
    dst[2] = '0';
    dst[3] = '0';
    dst[4] = hex[c >> 4];
    dst[5] = hex[c & 0x0f];

    return 6;
}


/*
 * The length of the character that starts at s (a byte over 0x7f), or of
 * the longest part of one that may begin like this: one U+FFFD stands for
 * that part, as Unicode recommends.  Overlong forms, surrogates and what is
 * over U+10FFFF are ruled out by the range of the second byte.
 */

static size_t
loyalty_out_utf8(const unsigned char *s, size_t n, int *valid)
{
    size_t         i, len;
    unsigned char  lo, hi;

    *valid = 0;
    lo = 0x80;
    hi = 0xbf;

    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        len = 2;

    } else if (s[0] >= 0xe0 && s[0] <= 0xef) {
        len = 3;
        lo = (s[0] == 0xe0) ? 0xa0 : lo;
        hi = (s[0] == 0xed) ? 0x9f : hi;

    } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        len = 4;
        lo = (s[0] == 0xf0) ? 0x90 : lo;
        hi = (s[0] == 0xf4) ? 0x8f : hi;

    } else {
        return 1;
    }

    for (i = 1; i < len; i++) {

        if (i == n || s[i] < lo || s[i] > hi) {
            return i;
        }

        lo = 0x80;
        hi = 0xbf;
    }

    *valid = 1;

    return len;
}


void
loyalty_out_int(loyalty_out_t *o, int64_t i)
{
    unsigned char  buf[LOYALTY_MONEY_LEN];

    loyalty_out_raw(o, buf, loyalty_money_format(buf, i, 0));
}


void
loyalty_out_money(loyalty_out_t *o, int64_t units, unsigned scale)
{
    size_t         n;
    unsigned char  buf[LOYALTY_MONEY_LEN + 2];

    buf[0] = '"';
    n = 1 + loyalty_money_format(buf + 1, units, scale);
    buf[n++] = '"';

    loyalty_out_raw(o, buf, n);
}


void
loyalty_out_time(loyalty_out_t *o, int64_t ms)
{
    size_t         n;
    unsigned char  buf[42];

    buf[0] = '"';
    n = 1 + loyalty_rfc3339_format(buf + 1, ms);
    buf[n++] = '"';

    loyalty_out_raw(o, buf, n);
}
