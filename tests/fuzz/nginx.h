/*
 * The little of nginx that is needed to run some of its module's files without
 * it: its package for developers has headers alone.  Memory of pools is taken
 * block by block, so that each end is seen, and given back by fuzz_free().
 */

#ifndef _FUZZ_NGINX_H_INCLUDED_
#define _FUZZ_NGINX_H_INCLUDED_


#include <stdlib.h>

#include <ngx_config.h>
#include <ngx_core.h>


#define CHECK(x)  do { if (!(x)) { abort(); } } while (0)

#define FUZZ_BLOCKS  65536


static void   *fuzz_blocks[FUZZ_BLOCKS];
static size_t  fuzz_nblocks;


static void
fuzz_free(void)
{
    while (fuzz_nblocks) {
        free(fuzz_blocks[--fuzz_nblocks]);
    }
}


void *
ngx_palloc(ngx_pool_t *pool, size_t size)
{
    void  *p;

    if (fuzz_nblocks == FUZZ_BLOCKS) {
        return NULL;
    }

    p = malloc(size ? size : 1);
    CHECK(p != NULL);

    fuzz_blocks[fuzz_nblocks++] = p;

    return p;
}


void *
ngx_pnalloc(ngx_pool_t *pool, size_t size)
{
    return ngx_palloc(pool, size);
}


void *
ngx_array_push(ngx_array_t *a)
{
    u_char  *p;

    if (a->nelts == a->nalloc) {

        p = ngx_palloc(a->pool, 2 * a->nalloc * a->size);
        if (p == NULL) {
            return NULL;
        }

        ngx_memcpy(p, a->elts, a->nelts * a->size);

        a->elts = p;
        a->nalloc *= 2;
    }

    return (u_char *) a->elts + a->size * a->nelts++;
}


/* the conversions that are used: %V %s %*s %d %i %ui %uz %L %uL %% */

u_char *
ngx_vslprintf(u_char *buf, u_char *last, const char *fmt, va_list args)
{
    char         number[32];
    size_t       n, width;
    ngx_str_t   *v;
    const char  *s;

    while (*fmt && buf < last) {

        if (*fmt != '%') {
            *buf++ = (u_char) *fmt++;
            continue;
        }

        fmt++;
        width = (*fmt == '*') ? va_arg(args, size_t) : NGX_MAX_SIZE_T_VALUE;
        fmt += (*fmt == '*');
        fmt += (*fmt == 'u');

        switch (*fmt++) {

        case 'V':
            v = va_arg(args, ngx_str_t *);
            s = (char *) v->data;
            n = v->len;
            break;

        case 's':
            s = va_arg(args, const char *);
            n = (width == NGX_MAX_SIZE_T_VALUE) ? strlen(s) : width;
            break;

        case 'd':
            s = number;
            n = snprintf(number, sizeof(number), "%d", va_arg(args, int));
            break;

        case 'i':
        case 'z':
        case 'L':
            s = number;
            n = snprintf(number, sizeof(number), "%lld",
                         (long long) va_arg(args, int64_t));
            break;

        case '%':
            s = "%";
            n = 1;
            break;

        default:
            abort();
        }

        n = ngx_min(n, (size_t) (last - buf));
        buf = ngx_cpymem(buf, s, n);
    }

    return buf;
}


u_char *
ngx_slprintf(u_char *buf, u_char *last, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    buf = ngx_vslprintf(buf, last, fmt, args);
    va_end(args);

    return buf;
}


u_char *
ngx_sprintf(u_char *buf, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    buf = ngx_vslprintf(buf, (void *) -1, fmt, args);
    va_end(args);

    return buf;
}


/* a code point, or something over 0x10ffff; moves p */

uint32_t
ngx_utf8_decode(u_char **p, size_t n)
{
    size_t    len;
    uint32_t  u, least;

    u = *(*p)++;

    if (u < 0x80) {
        return u;
    }

    if (u >= 0xf0 && u < 0xf8) {
        len = 3;
        u &= 0x07;
        least = 0x10000;

    } else if (u >= 0xe0) {
        len = 2;
        u &= 0x0f;
        least = 0x800;

    } else if (u >= 0xc2) {
        len = 1;
        u &= 0x1f;
        least = 0x80;

    } else {
        return 0xffffffff;
    }

    if (n - 1 < len) {
        return 0xfffffffe;
    }

    while (len--) {

        if ((**p & 0xc0) != 0x80) {
            return 0xffffffff;
        }

        u = (u << 6) | (*(*p)++ & 0x3f);
    }

    return (u < least) ? 0xffffffff : u;
}


#endif /* _FUZZ_NGINX_H_INCLUDED_ */
