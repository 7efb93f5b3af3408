/*
 * The arguments of loyalty_lookup.
 */

#include "ngx_http_loyalty_lookup.h"


#define NGX_HTTP_LOYALTY_LOOKUP_DEFAULT  20       /* timeout, ms */
#define NGX_HTTP_LOYALTY_LOOKUP_LONG     5000     /* more likely a mistake */
#define NGX_HTTP_LOYALTY_LOOKUP_MOST     60000    /* of it, and in a cache */


static ngx_int_t ngx_http_loyalty_lookup_arg(ngx_conf_t *cf,
    ngx_http_loyalty_lookup_t *lookup, ngx_str_t *arg);
static ngx_int_t ngx_http_loyalty_lookup_ms(ngx_str_t *value,
    ngx_msec_t *ms);
static ngx_int_t ngx_http_loyalty_lookup_cache_arg(
    ngx_http_loyalty_lookup_t *lookup, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_lookup_member_arg(ngx_conf_t *cf,
    ngx_http_loyalty_lookup_t *lookup, ngx_str_t *value);


char *
ngx_http_loyalty_lookup_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_loyalty_lookup_conf_t *lcf = conf;

    ngx_str_t                       *value;
    ngx_uint_t                       i;
    ngx_http_loyalty_lookup_t       *lookup, **entry;
    ngx_http_loyalty_lookup_main_t  *lmcf;

    if (lcf->lookup != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        lcf->lookup = NULL;
        return NGX_CONF_OK;
    }

    lmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_loyalty_lookup_module);

    lookup = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_lookup_t));
    entry = ngx_array_push(&lmcf->lookups);

    if (lookup == NULL || entry == NULL) {
        return NGX_CONF_ERROR;
    }

    *entry = lookup;

    lookup->name = value[1];
    lookup->timeout = NGX_CONF_UNSET_MSEC;
    lookup->phase = NGX_CONF_UNSET_UINT;
    lookup->place.file = cf->conf_file->file.name.data;
    lookup->place.line = cf->conf_file->line;

    for (i = 2; i < cf->args->nelts; i++) {

        switch (ngx_http_loyalty_lookup_arg(cf, lookup, &value[i])) {

        case NGX_OK:
            break;

        case NGX_DECLINED:
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" of "
                               "\"loyalty_lookup\": a program, and once each "
                               "\"member=\", \"timeout=\" (1ms to 1m), "
                               "\"phase=\" (preaccess or precontent) and "
                               "\"cache=ZONE:TIME\" (1ms to 1m) are expected",
                               &value[i]);
            return NGX_CONF_ERROR;

        default: /* NGX_ERROR */
            return NGX_CONF_ERROR;
        }
    }

    ngx_conf_init_msec_value(lookup->timeout,
                             NGX_HTTP_LOYALTY_LOOKUP_DEFAULT);
    ngx_conf_init_uint_value(lookup->phase, NGX_HTTP_PRECONTENT_PHASE);

    if (lookup->timeout >= NGX_HTTP_LOYALTY_LOOKUP_LONG) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"loyalty_lookup\" lets a request wait for Redis "
                           "for %M s: \"timeout=20ms\" would be milliseconds",
                           lookup->timeout / 1000);
    }

    lcf->lookup = lookup;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_loyalty_lookup_arg(ngx_conf_t *cf, ngx_http_loyalty_lookup_t *lookup,
    ngx_str_t *arg)
{
    ngx_str_t  value;

    if (ngx_strncmp(arg->data, "member=", 7) == 0 && lookup->member == NULL) {
        value.data = arg->data + 7;
        value.len = arg->len - 7;

        return ngx_http_loyalty_lookup_member_arg(cf, lookup, &value);
    }

    if (ngx_strncmp(arg->data, "timeout=", 8) == 0
        && lookup->timeout == NGX_CONF_UNSET_MSEC)
    {
        value.data = arg->data + 8;
        value.len = arg->len - 8;

        return ngx_http_loyalty_lookup_ms(&value, &lookup->timeout);
    }

    if (ngx_strncmp(arg->data, "cache=", 6) == 0 && lookup->cached.len == 0) {
        value.data = arg->data + 6;
        value.len = arg->len - 6;

        return ngx_http_loyalty_lookup_cache_arg(lookup, &value);
    }

    if (lookup->phase != NGX_CONF_UNSET_UINT) {
        return NGX_DECLINED;
    }

    if (ngx_strcmp(arg->data, "phase=preaccess") == 0) {
        lookup->phase = NGX_HTTP_PREACCESS_PHASE;
        return NGX_OK;
    }

    if (ngx_strcmp(arg->data, "phase=precontent") == 0) {
        lookup->phase = NGX_HTTP_PRECONTENT_PHASE;
        return NGX_OK;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_loyalty_lookup_ms(ngx_str_t *value, ngx_msec_t *ms)
{
    ngx_int_t  n;

    n = ngx_parse_time(value, 0);

    if (n < 1 || n > NGX_HTTP_LOYALTY_LOOKUP_MOST) {
        return NGX_DECLINED;
    }

    *ms = (ngx_msec_t) n;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_lookup_cache_arg(ngx_http_loyalty_lookup_t *lookup,
    ngx_str_t *value)
{
    u_char     *p;
    ngx_str_t   ttl;

    p = ngx_strlchr(value->data, value->data + value->len, ':');

    if (p == NULL || p == value->data) {
        return NGX_DECLINED;
    }

    lookup->cached.data = value->data;
    lookup->cached.len = p - value->data;

    ttl.data = p + 1;
    ttl.len = value->data + value->len - ttl.data;

    return ngx_http_loyalty_lookup_ms(&ttl, &lookup->ttl);
}


static ngx_int_t
ngx_http_loyalty_lookup_member_arg(ngx_conf_t *cf,
    ngx_http_loyalty_lookup_t *lookup, ngx_str_t *value)
{
    ngx_http_compile_complex_value_t  ccv;

    lookup->member = ngx_pcalloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (lookup->member == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = value;
    ccv.complex_value = lookup->member;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_ERROR;
    }

    if (lookup->member->lengths == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"loyalty_lookup\" is of member \"%V\" for "
                           "everybody: a variable, such as "
                           "\"member=$remote_user\", is expected", value);
        return NGX_ERROR;
    }

    return NGX_OK;
}
