/*
 * Libraries that nobody uses any more are deleted.
 *
 * Every version of the module brings a library of its own, and Redis keeps all
 * of them.  The hash loyalty:libraries, one for all programs of a Redis, tells
 * when each was last in use: a connection writes it when it has greeted, and
 * once a day while it lives.  The first link of the interactive lane then
 * looks for libraries that are over a week behind.
 *
 * Nothing depends on any of this.  Who still needs a library that was deleted
 * loads it again, and who may not delete one is told once.
 */


#include "ngx_http_loyalty_redis_private.h"


#define NGX_HTTP_LOYALTY_LIBRARIES_DAY   86400000   /* ms */
#define NGX_HTTP_LOYALTY_LIBRARIES_KEEP  604800     /* s: 7 days */


static ngx_int_t ngx_http_loyalty_libraries_hash(
    ngx_http_loyalty_link_t *link, const char *command, ngx_str_t *field,
    ngx_str_t *value, ngx_http_loyalty_answer_pt answer);
static ngx_int_t ngx_http_loyalty_libraries_touch(
    ngx_http_loyalty_link_t *link, ngx_str_t *hash);
static ngx_int_t ngx_http_loyalty_libraries_ask(
    ngx_http_loyalty_link_t *link);
static ngx_int_t ngx_http_loyalty_libraries_listed(
    ngx_http_loyalty_link_t *link, loyalty_resp_reply_t *reply);
static ngx_int_t ngx_http_loyalty_libraries_judge(
    ngx_http_loyalty_link_t *link, loyalty_resp_value_t *value);
static ngx_uint_t ngx_http_loyalty_libraries_valid(ngx_str_t *hash);
static ngx_int_t ngx_http_loyalty_libraries_next(
    ngx_http_loyalty_link_t *link);
static ngx_int_t ngx_http_loyalty_libraries_deleted(
    ngx_http_loyalty_link_t *link, loyalty_resp_reply_t *reply);
static ngx_int_t ngx_http_loyalty_libraries_done(
    ngx_http_loyalty_link_t *link, loyalty_resp_reply_t *reply);
static ngx_uint_t ngx_http_loyalty_libraries_refused(
    ngx_http_loyalty_link_t *link, loyalty_resp_reply_t *reply);


ngx_int_t
ngx_http_loyalty_libraries(ngx_http_loyalty_link_t *link)
{
    ngx_str_t                   own;
    ngx_http_loyalty_worker_t  *worker;

    worker = link->worker;
    own = ngx_http_loyalty_library_hash;

    link->used_at = ngx_current_msec;

    if (ngx_http_loyalty_libraries_touch(link, &own) != NGX_OK) {
        return NGX_ERROR;
    }

    if (link != &worker->links[NGX_HTTP_LOYALTY_INTERACTIVE
                               * link->redis->connections])
    {
        return NGX_OK;
    }

    /* a connection that broke on it is not to break on it again and again */

    if (worker->asked
        && ngx_current_msec - worker->asked_at
           < NGX_HTTP_LOYALTY_LIBRARIES_DAY)
    {
        return NGX_OK;
    }

    return ngx_http_loyalty_libraries_ask(link);
}


ngx_uint_t
ngx_http_loyalty_libraries_due(ngx_http_loyalty_link_t *link)
{
    return ngx_current_msec - link->used_at >= NGX_HTTP_LOYALTY_LIBRARIES_DAY;
}


/* a command on the hash; value may be NULL */

static ngx_int_t
ngx_http_loyalty_libraries_hash(ngx_http_loyalty_link_t *link,
    const char *command, ngx_str_t *field, ngx_str_t *value,
    ngx_http_loyalty_answer_pt answer)
{
    ngx_str_t  args[4];

    args[0].data = (u_char *) command;
    args[0].len = ngx_strlen(command);

    ngx_str_set(&args[1], "loyalty:libraries");

    args[2] = *field;

    if (value != NULL) {
        args[3] = *value;
    }

    return ngx_http_loyalty_op_own(link, (value != NULL) ? 4 : 3, args, answer)
           != NULL ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_loyalty_libraries_touch(ngx_http_loyalty_link_t *link,
    ngx_str_t *hash)
{
    u_char     number[NGX_TIME_T_LEN];
    ngx_str_t  value;

    value.data = number;
    value.len = ngx_sprintf(number, "%T", ngx_time()) - number;

    return ngx_http_loyalty_libraries_hash(link, "HSET", hash, &value,
                                           ngx_http_loyalty_libraries_done);
}


/*
 * Not HGETALL: whoever filled the hash, the reply has a limit.  Of more than
 * that many a few are taken each time.
 */

static ngx_int_t
ngx_http_loyalty_libraries_ask(ngx_http_loyalty_link_t *link)
{
    u_char                      number[NGX_INT_T_LEN];
    ngx_str_t                   count;
    ngx_str_t                   values = ngx_string("WITHVALUES");
    ngx_http_loyalty_worker_t  *worker;

    worker = link->worker;

    worker->asked = 1;
    worker->asked_at = ngx_current_msec;
    worker->nold = 0;

    count.data = number;
    count.len = ngx_sprintf(number, "%d", NGX_HTTP_LOYALTY_REDIS_OLD) - number;

    return ngx_http_loyalty_libraries_hash(link, "HRANDFIELD", &count, &values,
                                           ngx_http_loyalty_libraries_listed);
}


/* pairs of 12 hex digits and a time in seconds */

static ngx_int_t
ngx_http_loyalty_libraries_listed(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply)
{
    size_t  i, n;

    link->worker->asked = 0;

    if (ngx_http_loyalty_libraries_refused(link, reply) || !reply->array) {
        return NGX_OK;
    }

    n = ngx_min(reply->n / 2, NGX_HTTP_LOYALTY_REDIS_OLD);

    for (i = 0; i < n; i++) {
        if (ngx_http_loyalty_libraries_judge(link, &reply->values[2 * i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_loyalty_libraries_next(link);
}


/* value[0] is a library, value[1] when it was last in use */

static ngx_int_t
ngx_http_loyalty_libraries_judge(ngx_http_loyalty_link_t *link,
    loyalty_resp_value_t *value)
{
    time_t                      now, used;
    ngx_str_t                   hash;
    ngx_http_loyalty_worker_t  *worker;

    worker = link->worker;
    now = ngx_time();

    hash.data = (u_char *) value[0].data;
    hash.len = value[0].len;

    if (hash.data == NULL) {
        return NGX_OK;
    }

    if (!ngx_http_loyalty_libraries_valid(&hash)) {
        return ngx_http_loyalty_libraries_hash(link, "HDEL", &hash, NULL,
                                             ngx_http_loyalty_libraries_done);
    }

    if (ngx_memcmp(hash.data, ngx_http_loyalty_library_hash.data, hash.len)
        == 0)
    {
        return NGX_OK;
    }

    used = (value[1].data == NULL)
               ? NGX_ERROR
               : ngx_atotm((u_char *) value[1].data, value[1].len);

    /* no time, or one a clock gave that was wrong: it has a week from now */

    if (used == NGX_ERROR || used - NGX_HTTP_LOYALTY_LIBRARIES_KEEP > now) {
        return ngx_http_loyalty_libraries_touch(link, &hash);
    }

    if (now - used > NGX_HTTP_LOYALTY_LIBRARIES_KEEP) {
        ngx_memcpy(worker->old[worker->nold++], hash.data, hash.len);
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_loyalty_libraries_valid(ngx_str_t *hash)
{
    size_t  i;

    if (hash->len != NGX_HTTP_LOYALTY_REDIS_HASH) {
        return 0;
    }

    for (i = 0; i < hash->len; i++) {
        if ((hash->data[i] < '0' || hash->data[i] > '9')
            && (hash->data[i] < 'a' || hash->data[i] > 'f'))
        {
            return 0;
        }
    }

    return 1;
}


/* one after another, so that a user without the permission is refused once */

static ngx_int_t
ngx_http_loyalty_libraries_next(ngx_http_loyalty_link_t *link)
{
    u_char                      name[sizeof("loyalty_") - 1
                                     + NGX_HTTP_LOYALTY_REDIS_HASH];
    ngx_str_t                   args[3];
    ngx_http_loyalty_worker_t  *worker;

    worker = link->worker;

    if (worker->nold == 0 || link->state != NGX_HTTP_LOYALTY_LINK_READY) {
        return NGX_OK;
    }

    ngx_str_set(&args[0], "FUNCTION");
    ngx_str_set(&args[1], "DELETE");

    args[2].data = name;
    args[2].len = sizeof(name);

    ngx_memcpy(ngx_cpymem(name, "loyalty_", sizeof("loyalty_") - 1),
               worker->old[worker->nold - 1], NGX_HTTP_LOYALTY_REDIS_HASH);

    return ngx_http_loyalty_op_own(link, 3, args,
                                   ngx_http_loyalty_libraries_deleted)
           != NULL ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_loyalty_libraries_deleted(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply)
{
    ngx_str_t                   hash;
    ngx_http_loyalty_worker_t  *worker;

    worker = link->worker;

    if (worker->nold == 0) {
        return NGX_OK;
    }

    if (!ngx_http_loyalty_error_is(reply, "ERR Library not found")) {

        if (ngx_http_loyalty_libraries_refused(link, reply)) {
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_NOTICE, &link->log, 0,
                      "deleted function library loyalty_%*s, which nobody has "
                      "used for a week", (size_t) NGX_HTTP_LOYALTY_REDIS_HASH,
                      worker->old[worker->nold - 1]);
    }

    hash.data = worker->old[--worker->nold];
    hash.len = NGX_HTTP_LOYALTY_REDIS_HASH;

    if (ngx_http_loyalty_libraries_hash(link, "HDEL", &hash, NULL,
                                        ngx_http_loyalty_libraries_done)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_libraries_next(link);
}


/* HSET, HDEL */

static ngx_int_t
ngx_http_loyalty_libraries_done(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply)
{
    (void) ngx_http_loyalty_libraries_refused(link, reply);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_loyalty_libraries_refused(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply)
{
    size_t  len;

    if (!ngx_http_loyalty_error(reply)) {
        return 0;
    }

    if (!link->worker->refused) {
        link->worker->refused = 1;

        len = ngx_min(reply->values[0].len, 256);

        ngx_log_error(NGX_LOG_NOTICE, &link->log, 0,
                      "redis keeps function libraries that nobody uses, as it "
                      "refused to say which or to delete them: \"%*s\"",
                      len, reply->values[0].data);
    }

    return 1;
}
