/*
 * Small things that every directive of a program needs: names, numbers and
 * durations that are checked and explained, places in the configuration,
 * hashes of names.
 */

#include "ngx_http_loyalty_private.h"

#include <openssl/sha.h>


#define NGX_HTTP_LOYALTY_NAME  64


void
ngx_http_loyalty_place(ngx_conf_t *cf, ngx_http_loyalty_place_t *place)
{
    if (cf->conf_file == NULL) {
        place->file = (u_char *) "command line";
        place->line = 0;
        return;
    }

    place->file = cf->conf_file->file.name.data;
    place->line = cf->conf_file->line;
}


void
ngx_http_loyalty_conf_error(ngx_conf_t *cf, ngx_http_loyalty_place_t *place,
    const char *fmt, ...)
{
    u_char   errstr[NGX_MAX_CONF_ERRSTR], *p;
    va_list  args;

    va_start(args, fmt);
    p = ngx_vslprintf(errstr, errstr + NGX_MAX_CONF_ERRSTR, fmt, args);
    va_end(args);

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "%*s in %s:%ui",
                  (size_t) (p - errstr), errstr, place->file, place->line);
}


ngx_int_t
ngx_http_loyalty_name_check(ngx_conf_t *cf, const char *what, ngx_str_t *name)
{
    u_char      c;
    ngx_uint_t  i, alnum;

    if (name->len == 0 || name->len > NGX_HTTP_LOYALTY_NAME) {
        goto invalid;
    }

    for (i = 0; i < name->len; i++) {
        c = name->data[i];

        alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
                || (c >= '0' && c <= '9');

        if (!alnum && (i == 0 || (c != '_' && c != '-'))) {
            goto invalid;
        }
    }

    return NGX_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid %s name \"%V\": 1 to %d letters, digits, "
                       "\"_\" and \"-\", the first a letter or digit, are "
                       "expected", what, name, NGX_HTTP_LOYALTY_NAME);

    return NGX_ERROR;
}


ngx_int_t
ngx_http_loyalty_number(ngx_conf_t *cf, const char *what, ngx_str_t *value,
    int64_t min, int64_t max, int64_t *number)
{
    u_char   *p, *last;
    int64_t   n;

    p = value->data;
    last = p + value->len;

    if (p == last) {
        goto invalid;
    }

    for (n = 0; p < last; p++) {

        if (*p < '0' || *p > '9' || n > (INT64_MAX - 9) / 10) {
            goto invalid;
        }

        n = n * 10 + (*p - '0');
    }

    if (n < min || n > max) {
        goto invalid;
    }

    *number = n;

    return NGX_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid %s \"%V\": a whole number from %L to %L is "
                       "expected", what, value, min, max);

    return NGX_ERROR;
}


ngx_int_t
ngx_http_loyalty_duration(ngx_conf_t *cf, const char *what, ngx_str_t *value,
    int64_t *ms)
{
    ngx_int_t  s;

    s = ngx_parse_time(value, 1);

    if (s == NGX_ERROR || s < 1 || s > NGX_HTTP_LOYALTY_MAX_DURATION) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid %s \"%V\": a time from 1s to 100y, such "
                           "as \"7d\" or \"12h\", is expected", what, value);
        return NGX_ERROR;
    }

    *ms = (int64_t) s * 1000;

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_timeout(ngx_conf_t *cf, ngx_str_t *param, ngx_msec_t *ms)
{
    ngx_int_t  n;
    ngx_str_t  text;

    text.data = param->data + 8;
    text.len = param->len - 8;

    n = ngx_parse_time(&text, 0);

    if (n == NGX_ERROR || n < 1 || n > 60000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\": a time from 1ms to 1m "
                           "is expected", param);
        return NGX_ERROR;
    }

    *ms = (ngx_msec_t) n;

    return NGX_OK;
}


void
ngx_http_loyalty_hash4(const u_char *text, size_t len, u_char *hash)
{
    u_char  digest[SHA256_DIGEST_LENGTH];

    if (SHA256(text, len, digest) == NULL) {
        ngx_memzero(digest, SHA256_DIGEST_LENGTH);
    }

    ngx_memcpy(hash, digest, NGX_HTTP_LOYALTY_HASH);
}


void
ngx_http_loyalty_hash_name(const char *what, ngx_str_t *name, u_char *hash)
{
    u_char  buf[16 + NGX_HTTP_LOYALTY_ID], *p;

    p = ngx_snprintf(buf, sizeof(buf), "%s %V", what, name);

    ngx_http_loyalty_hash4(buf, p - buf, hash);
}
