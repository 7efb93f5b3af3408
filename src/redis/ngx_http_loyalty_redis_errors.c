/*
 * What Redis refuses, and what an operator reads about it: one line when the
 * state of a link changes, not one for every operation.
 */


#include "ngx_http_loyalty_redis_private.h"


#define NGX_HTTP_LOYALTY_ERROR_TEXT  256          /* bytes of it logged */


typedef struct {
    const char                 *prefix;
    ngx_http_loyalty_status_e   status;
    ngx_http_loyalty_stat_e     stat;
    ngx_uint_t                  drain;
    const char                 *meaning;
} ngx_http_loyalty_error_t;


/*
 * UNAVAILABLE where Redis refused before it ran anything and may do better
 * later; the last row is for all that is not listed.
 */

static const ngx_http_loyalty_error_t  ngx_http_loyalty_errors[] = {

    { "READONLY", NGX_HTTP_LOYALTY_UNAVAILABLE,
      NGX_HTTP_LOYALTY_STAT_ERR_READONLY, 1,
      "redis is a read-only replica" },

    { "MASTERDOWN", NGX_HTTP_LOYALTY_UNAVAILABLE,
      NGX_HTTP_LOYALTY_STAT_ERR_READONLY, 1,
      "redis is a replica without its master" },

    { "LOADING", NGX_HTTP_LOYALTY_UNAVAILABLE,
      NGX_HTTP_LOYALTY_STAT_ERR_SCRIPT, 1,
      "redis is loading its data" },

    { "NOAUTH", NGX_HTTP_LOYALTY_UNAVAILABLE,
      NGX_HTTP_LOYALTY_STAT_ERR_SCRIPT, 1,
      "redis asks for a password, see user= and password_file=" },

    { "WRONGPASS", NGX_HTTP_LOYALTY_UNAVAILABLE,
      NGX_HTTP_LOYALTY_STAT_ERR_SCRIPT, 1,
      "redis refused the user or the password" },

    { "NOPERM", NGX_HTTP_LOYALTY_FAILED,
      NGX_HTTP_LOYALTY_STAT_ERR_SCRIPT, 0,
      "the user lacks a permission in redis" },

    { "OOM", NGX_HTTP_LOYALTY_UNAVAILABLE,
      NGX_HTTP_LOYALTY_STAT_ERR_SCRIPT, 0,
      "redis has reached its maxmemory" },

    { "MISCONF", NGX_HTTP_LOYALTY_UNAVAILABLE,
      NGX_HTTP_LOYALTY_STAT_ERR_SCRIPT, 0,
      "redis cannot write to its disk" },

    { "NOREPLICAS", NGX_HTTP_LOYALTY_UNAVAILABLE,
      NGX_HTTP_LOYALTY_STAT_ERR_SCRIPT, 0,
      "redis has too few replicas to write" },

    { "BUSY", NGX_HTTP_LOYALTY_UNAVAILABLE,
      NGX_HTTP_LOYALTY_STAT_ERR_SCRIPT, 0,
      "redis is busy with a script" },

    { "MOVED", NGX_HTTP_LOYALTY_FAILED,
      NGX_HTTP_LOYALTY_STAT_ERR_SCRIPT, 0,
      "redis is part of a cluster, which is not supported in this version" },

    { "CLUSTERDOWN", NGX_HTTP_LOYALTY_FAILED,
      NGX_HTTP_LOYALTY_STAT_ERR_SCRIPT, 0,
      "redis is part of a cluster, which is not supported in this version" },

    { "", NGX_HTTP_LOYALTY_FAILED,
      NGX_HTTP_LOYALTY_STAT_ERR_SCRIPT, 0,
      "redis answered with an error" }
};


ngx_uint_t
ngx_http_loyalty_error(loyalty_resp_reply_t *reply)
{
    return !reply->array && reply->n == 1
           && reply->values[0].type == LOYALTY_RESP_ERROR;
}


ngx_uint_t
ngx_http_loyalty_error_is(loyalty_resp_reply_t *reply, const char *prefix)
{
    size_t  len;

    len = ngx_strlen(prefix);

    return ngx_http_loyalty_error(reply) && reply->values[0].len >= len
           && ngx_memcmp(reply->values[0].data, prefix, len) == 0;
}


ngx_http_loyalty_status_e
ngx_http_loyalty_error_status(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply, ngx_uint_t *drain)
{
    size_t                           len;
    ngx_uint_t                       i;
    const ngx_http_loyalty_error_t  *error;

    i = 0;

    while (!ngx_http_loyalty_error_is(reply,
                                      ngx_http_loyalty_errors[i].prefix))
    {
        i++;
    }

    error = &ngx_http_loyalty_errors[i];
    len = ngx_min(reply->values[0].len, NGX_HTTP_LOYALTY_ERROR_TEXT);

    ngx_http_loyalty_stat(link->redis->program, error->stat, 1);

    ngx_http_loyalty_trouble(link, NGX_HTTP_LOYALTY_TROUBLE_ERROR + i,
                             "%s: \"%*s\"", error->meaning, len,
                             reply->values[0].data);

    *drain = error->drain;

    return error->status;
}


void
ngx_http_loyalty_trouble(ngx_http_loyalty_link_t *link, ngx_uint_t trouble,
    const char *fmt, ...)
{
    u_char   *p, buf[NGX_MAX_ERROR_STR];
    va_list   args;

    link->trouble = trouble;

    /* one that comes and goes is silent, too */

    if (link->told == trouble
        && ngx_current_msec - link->told_at < NGX_HTTP_LOYALTY_REDIS_REMIND)
    {
        return;
    }

    link->told = trouble;
    link->told_at = ngx_current_msec;
    link->told_over = 0;

    va_start(args, fmt);
    p = ngx_vslprintf(buf, buf + sizeof(buf), fmt, args);
    va_end(args);

    ngx_log_error(NGX_LOG_ERR, &link->log, 0, "%*s", (size_t) (p - buf), buf);
}


void
ngx_http_loyalty_trouble_over(ngx_http_loyalty_link_t *link)
{
    if (link->trouble == NGX_HTTP_LOYALTY_TROUBLE_NONE) {
        return;
    }

    link->trouble = NGX_HTTP_LOYALTY_TROUBLE_NONE;

    if (link->told_over) {
        return;
    }

    link->told_over = 1;

    ngx_log_error(NGX_LOG_NOTICE, &link->log, 0, "redis is available again");
}
