/*
 * The parameters of the directive "redis": one table says what each is called
 * and what is expected of it.
 */


#include "ngx_http_loyalty_redis_private.h"


typedef enum {
    NGX_HTTP_LOYALTY_OPTION_TEXT = 0,
    NGX_HTTP_LOYALTY_OPTION_FLAG,
    NGX_HTTP_LOYALTY_OPTION_NUMBER,
    NGX_HTTP_LOYALTY_OPTION_TIME,
    NGX_HTTP_LOYALTY_OPTION_SIZE
} ngx_http_loyalty_option_e;


typedef struct {
    ngx_str_t                    name;            /* with "=" */
    ngx_http_loyalty_option_e    type;
    size_t                       offset;
    ngx_int_t                    min;
    ngx_int_t                    max;
    const char                  *expected;
} ngx_http_loyalty_option_t;


static ngx_http_loyalty_option_t *ngx_http_loyalty_redis_option_find(
    ngx_conf_t *cf, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_redis_option(ngx_http_loyalty_redis_t *redis,
    ngx_http_loyalty_option_t *option, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_redis_number(ngx_http_loyalty_redis_t *redis,
    ngx_http_loyalty_option_t *option, ngx_str_t *value);


#define ngx_http_loyalty_redis_offset(member)                                \
    offsetof(ngx_http_loyalty_redis_t, member)


static ngx_http_loyalty_option_t  ngx_http_loyalty_redis_option_table[] = {

    { ngx_string("user="), NGX_HTTP_LOYALTY_OPTION_TEXT,
      ngx_http_loyalty_redis_offset(user), 0, 0, "a name" },

    { ngx_string("password_file="), NGX_HTTP_LOYALTY_OPTION_TEXT,
      ngx_http_loyalty_redis_offset(password_file), 0, 0, "a file" },

    { ngx_string("db="), NGX_HTTP_LOYALTY_OPTION_NUMBER,
      ngx_http_loyalty_redis_offset(db), 0, 9999,
      "a number from 0 to 9999" },

    { ngx_string("tls="), NGX_HTTP_LOYALTY_OPTION_FLAG,
      ngx_http_loyalty_redis_offset(remote.tls), 0, 0, "\"on\" or \"off\"" },

    { ngx_string("tls_verify="), NGX_HTTP_LOYALTY_OPTION_FLAG,
      ngx_http_loyalty_redis_offset(remote.tls_verify), 0, 0,
      "\"on\" or \"off\"" },

    { ngx_string("tls_ca="), NGX_HTTP_LOYALTY_OPTION_TEXT,
      ngx_http_loyalty_redis_offset(remote.tls_ca), 0, 0, "a file" },

    { ngx_string("tls_name="), NGX_HTTP_LOYALTY_OPTION_TEXT,
      ngx_http_loyalty_redis_offset(remote.tls_name), 0, 0, "a host name" },

    { ngx_string("tls_cert="), NGX_HTTP_LOYALTY_OPTION_TEXT,
      ngx_http_loyalty_redis_offset(remote.tls_cert), 0, 0, "a file" },

    { ngx_string("tls_key="), NGX_HTTP_LOYALTY_OPTION_TEXT,
      ngx_http_loyalty_redis_offset(remote.tls_key), 0, 0, "a file" },

    { ngx_string("connections="), NGX_HTTP_LOYALTY_OPTION_NUMBER,
      ngx_http_loyalty_redis_offset(connections), 1, 16,
      "a number from 1 to 16" },

    { ngx_string("timeout="), NGX_HTTP_LOYALTY_OPTION_TIME,
      ngx_http_loyalty_redis_offset(timeout), 1, 3600000,
      "a time from 1ms to 1h" },

    { ngx_string("connect_timeout="), NGX_HTTP_LOYALTY_OPTION_TIME,
      ngx_http_loyalty_redis_offset(connect_timeout), 1, 3600000,
      "a time from 1ms to 1h" },

    { ngx_string("keepalive="), NGX_HTTP_LOYALTY_OPTION_TIME,
      ngx_http_loyalty_redis_offset(keepalive), 1, 3600000,
      "a time from 1ms to 1h" },

    { ngx_string("max_inflight="), NGX_HTTP_LOYALTY_OPTION_NUMBER,
      ngx_http_loyalty_redis_offset(max_inflight), 1, 1000000,
      "a number from 1 to 1000000" },

    { ngx_string("max_queue="), NGX_HTTP_LOYALTY_OPTION_SIZE,
      ngx_http_loyalty_redis_offset(max_queue), 4096, 1073741824,
      "a size from 4k to 1g" },

    { ngx_string("max_reply="), NGX_HTTP_LOYALTY_OPTION_SIZE,
      ngx_http_loyalty_redis_offset(max_reply), 4096, 536870912,
      "a size from 4k to 512m" },

    { ngx_null_string, 0, 0, 0, 0, NULL }
};


ngx_int_t
ngx_http_loyalty_redis_options(ngx_conf_t *cf, ngx_http_loyalty_redis_t *redis)
{
    uint32_t                    bit, seen;
    ngx_str_t                  *value, text;
    ngx_uint_t                  i;
    ngx_http_loyalty_option_t  *option;

    seen = 0;
    value = cf->args->elts;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "split") == 0) {

            if (redis->program->split) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "parameter \"split\" is duplicate");
                return NGX_ERROR;
            }

            redis->program->split = 1;
            continue;
        }

        option = ngx_http_loyalty_redis_option_find(cf, &value[i]);
        if (option == NULL) {
            return NGX_ERROR;
        }

        bit = (uint32_t) 1 << (option - ngx_http_loyalty_redis_option_table);

        if (seen & bit) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "parameter \"%V\" is duplicate", &value[i]);
            return NGX_ERROR;
        }

        seen |= bit;

        text.data = value[i].data + option->name.len;
        text.len = value[i].len - option->name.len;

        if (ngx_http_loyalty_redis_option(redis, option, &text) != NGX_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": %s is expected",
                               &value[i], option->expected);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_http_loyalty_option_t *
ngx_http_loyalty_redis_option_find(ngx_conf_t *cf, ngx_str_t *value)
{
    ngx_http_loyalty_option_t  *option;

    for (option = ngx_http_loyalty_redis_option_table;
         option->name.len != 0;
         option++)
    {
        if (ngx_strncmp(value->data, option->name.data, option->name.len)
            == 0)
        {
            return option;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\": one of user=, "
                       "password_file=, db=, tls=, tls_verify=, tls_ca=, "
                       "tls_name=, tls_cert=, tls_key=, connections=, "
                       "timeout=, connect_timeout=, keepalive=, "
                       "max_inflight=, max_queue=, max_reply=, split is "
                       "expected",
                       value);

    return NULL;
}


/* NGX_DECLINED: not what is expected */

static ngx_int_t
ngx_http_loyalty_redis_option(ngx_http_loyalty_redis_t *redis,
    ngx_http_loyalty_option_t *option, ngx_str_t *value)
{
    u_char  *field;

    field = (u_char *) redis + option->offset;

    if (value->len == 0) {
        return NGX_DECLINED;
    }

    switch (option->type) {

    case NGX_HTTP_LOYALTY_OPTION_TEXT:
        *(ngx_str_t *) field = *value;
        return NGX_OK;

    case NGX_HTTP_LOYALTY_OPTION_FLAG:
        if (ngx_strcmp(value->data, "on") == 0) {
            *(ngx_flag_t *) field = 1;
            return NGX_OK;
        }

        if (ngx_strcmp(value->data, "off") == 0) {
            *(ngx_flag_t *) field = 0;
            return NGX_OK;
        }

        return NGX_DECLINED;

    default:
        return ngx_http_loyalty_redis_number(redis, option, value);
    }
}


static ngx_int_t
ngx_http_loyalty_redis_number(ngx_http_loyalty_redis_t *redis,
    ngx_http_loyalty_option_t *option, ngx_str_t *value)
{
    u_char     *field;
    ngx_int_t   n;

    field = (u_char *) redis + option->offset;

    if (option->type == NGX_HTTP_LOYALTY_OPTION_NUMBER) {
        n = ngx_atoi(value->data, value->len);

    } else if (option->type == NGX_HTTP_LOYALTY_OPTION_TIME) {
        n = ngx_parse_time(value, 0);

    } else {
        n = ngx_parse_size(value);
    }

    if (n == NGX_ERROR || n < option->min || n > option->max) {
        return NGX_DECLINED;
    }

    if (option->type == NGX_HTTP_LOYALTY_OPTION_SIZE) {
        *(size_t *) field = (size_t) n;

    } else if (option->type == NGX_HTTP_LOYALTY_OPTION_TIME) {
        *(ngx_msec_t *) field = (ngx_msec_t) n;

    } else {
        *(ngx_uint_t *) field = (ngx_uint_t) n;
    }

    return NGX_OK;
}
