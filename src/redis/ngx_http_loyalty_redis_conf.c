/*
 * The directives of loyalty_program that say where Redis is, how to talk to
 * it, and how durable a change has to be before it is acknowledged.
 */


#include "ngx_http_loyalty_redis_private.h"


#define NGX_HTTP_LOYALTY_REDIS_PASSWORD  4096     /* bytes of the file */
#define NGX_HTTP_LOYALTY_REDIS_WAIT      50       /* ms */


static char *ngx_http_loyalty_redis(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_loyalty_durability(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_loyalty_unsafe_store(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

static ngx_http_loyalty_redis_t *ngx_http_loyalty_redis_conf(ngx_conf_t *cf);
static ngx_int_t ngx_http_loyalty_redis_address(ngx_conf_t *cf,
    ngx_http_loyalty_redis_t *redis, ngx_str_t *address);
static ngx_int_t ngx_http_loyalty_redis_password(ngx_conf_t *cf,
    ngx_http_loyalty_redis_t *redis);
static ssize_t ngx_http_loyalty_redis_file(ngx_conf_t *cf, ngx_str_t *name,
    u_char *buf, size_t size);
static ngx_int_t ngx_http_loyalty_redis_tls(ngx_conf_t *cf,
    ngx_http_loyalty_redis_t *redis);
static ngx_int_t ngx_http_loyalty_redis_replicas(ngx_conf_t *cf,
    ngx_http_loyalty_redis_t *redis);


static ngx_command_t  ngx_http_loyalty_redis_commands[] = {

    { ngx_string("redis"),
      NGX_LOYALTY_PROGRAM_CONF|NGX_CONF_1MORE,
      ngx_http_loyalty_redis,
      0,
      0,
      NULL },

    { ngx_string("durability"),
      NGX_LOYALTY_PROGRAM_CONF|NGX_CONF_TAKE12,
      ngx_http_loyalty_durability,
      0,
      0,
      NULL },

    { ngx_string("unsafe_store"),
      NGX_LOYALTY_PROGRAM_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_unsafe_store,
      0,
      0,
      NULL },

      ngx_null_command
};


ngx_module_t  ngx_http_loyalty_redis_module = {
    NGX_MODULE_V1,
    NULL,                                         /* module context */
    ngx_http_loyalty_redis_commands,              /* module directives */
    NGX_LOYALTY_MODULE,                           /* module type */
    NULL,                                         /* init master */
    NULL,                                         /* init module */
    NULL,                                         /* init process */
    NULL,                                         /* init thread */
    NULL,                                         /* exit thread */
    NULL,                                         /* exit process */
    NULL,                                         /* exit master */
    NGX_MODULE_V1_PADDING
};


/* of the program being read; everything unset but what pcalloc has set */

static ngx_http_loyalty_redis_t *
ngx_http_loyalty_redis_conf(ngx_conf_t *cf)
{
    ngx_http_conf_ctx_t       *ctx;
    ngx_http_loyalty_block_t  *block;
    ngx_http_loyalty_redis_t  *redis;

    block = cf->ctx;

    if (block->program->redis != NULL) {
        return block->program->redis;
    }

    redis = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_redis_t));
    if (redis == NULL) {
        return NULL;
    }

    ctx = block->http_ctx;

    redis->program = block->program;
    redis->db = NGX_CONF_UNSET_UINT;
    redis->remote.what = "redis";
    redis->remote.clcf = ctx->loc_conf[ngx_http_core_module.ctx_index];
    redis->remote.log_error = NGX_ERROR_ERR;
    redis->remote.tls = NGX_CONF_UNSET;
    redis->remote.tls_verify = NGX_CONF_UNSET;
    redis->connections = NGX_CONF_UNSET_UINT;
    redis->timeout = NGX_CONF_UNSET_MSEC;
    redis->connect_timeout = NGX_CONF_UNSET_MSEC;
    redis->keepalive = NGX_CONF_UNSET_MSEC;
    redis->max_inflight = NGX_CONF_UNSET_UINT;
    redis->max_queue = NGX_CONF_UNSET_SIZE;
    redis->max_reply = NGX_CONF_UNSET_SIZE;
    redis->durability = NGX_CONF_UNSET_UINT;
    redis->wait = NGX_CONF_UNSET_MSEC;
    redis->unsafe_store = NGX_CONF_UNSET;

    block->program->redis = redis;

    return redis;
}


static char *
ngx_http_loyalty_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                 *value;
    ngx_http_loyalty_redis_t  *redis;

    value = cf->args->elts;

    redis = ngx_http_loyalty_redis_conf(cf);
    if (redis == NULL) {
        return NGX_CONF_ERROR;
    }

    if (redis->remote.address.len != 0) {
        return "is duplicate";
    }

    if (ngx_strcmp(value[1].data, "cluster") == 0
        || ngx_strcmp(value[1].data, "sentinel") == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"redis %V\" is not supported in this version",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_loyalty_redis_address(cf, redis, &value[1]) != NGX_OK
        || ngx_http_loyalty_redis_options(cf, redis) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    ngx_conf_init_uint_value(redis->db, 0);
    ngx_conf_init_uint_value(redis->connections, 1);
    ngx_conf_init_msec_value(redis->timeout, 1000);
    ngx_conf_init_msec_value(redis->connect_timeout, 1000);
    ngx_conf_init_msec_value(redis->keepalive, 30000);
    ngx_conf_init_uint_value(redis->max_inflight, 4096);
    ngx_conf_init_size_value(redis->max_queue, 16 * 1024 * 1024);
    ngx_conf_init_size_value(redis->max_reply, 1024 * 1024);

    if (ngx_http_loyalty_redis_password(cf, redis) != NGX_OK
        || ngx_http_loyalty_redis_tls(cf, redis) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_loyalty_redis_address(ngx_conf_t *cf, ngx_http_loyalty_redis_t *redis,
    ngx_str_t *address)
{
    char       *err;
    ngx_int_t   rc;

    err = NULL;

    rc = ngx_http_loyalty_remote_address(cf, &redis->remote, address, 0,
                                         &err);

    if (rc == NGX_DECLINED) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid address \"%V\"%s%s: HOST:PORT, IP:PORT, "
                           "[IPv6]:PORT or unix:/PATH is expected", address,
                           err ? ", " : "", err ? err : "");
    }

    return rc;
}


/* the first line of the file, and nothing else may be in it */

static ngx_int_t
ngx_http_loyalty_redis_password(ngx_conf_t *cf,
    ngx_http_loyalty_redis_t *redis)
{
    u_char     *eol;
    ssize_t     n;
    ngx_str_t  *name;
    u_char      buf[NGX_HTTP_LOYALTY_REDIS_PASSWORD];

    name = &redis->password_file;

    if (name->len == 0) {
        if (redis->user.len == 0) {
            return NGX_OK;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"user=%V\" needs \"password_file=\"",
                           &redis->user);
        return NGX_ERROR;
    }

    n = ngx_http_loyalty_redis_file(cf, name, buf, sizeof(buf));
    if (n == NGX_ERROR) {
        return NGX_ERROR;
    }

    eol = ngx_strlchr(buf, buf + n, '\n');

    if (n == (ssize_t) sizeof(buf) || (eol != NULL && eol + 1 != buf + n)) {
        n = 0;

    } else if (eol != NULL) {
        n--;
        n -= (n != 0 && buf[n - 1] == '\r');
    }

    if (n == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "file \"%V\": one line with the password is "
                           "expected", name);
        return NGX_ERROR;
    }

    n = ngx_http_loyalty_remote_text(cf, &redis->password, buf, n);

    ngx_explicit_memzero(buf, sizeof(buf));

    return n;
}


/* at most size bytes of it; how many there are, or NGX_ERROR */

static ssize_t
ngx_http_loyalty_redis_file(ngx_conf_t *cf, ngx_str_t *name, u_char *buf,
    size_t size)
{
    ssize_t     n;
    ngx_file_t  file;

    if (ngx_conf_full_name(cf->cycle, name, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memzero(&file, sizeof(ngx_file_t));

    file.name = *name;
    file.log = cf->log;
    file.fd = ngx_open_file(name->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (file.fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", name);
        return NGX_ERROR;
    }

    n = ngx_read_file(&file, buf, size, 0);

    if (n == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "file \"%V\" could not be read", name);
    }

    if (ngx_close_file(file.fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", name);
    }

    return n;
}


static ngx_int_t
ngx_http_loyalty_redis_tls(ngx_conf_t *cf, ngx_http_loyalty_redis_t *redis)
{
    ngx_uint_t                  given;
    ngx_http_loyalty_remote_t  *remote;

    remote = &redis->remote;

    given = (remote->tls_verify != NGX_CONF_UNSET || remote->tls_ca.len != 0
             || remote->tls_name.len != 0 || remote->tls_cert.len != 0
             || remote->tls_key.len != 0);

    ngx_conf_init_value(remote->tls, 0);
    ngx_conf_init_value(remote->tls_verify, 1);

    if (!remote->tls) {
        if (given) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"tls_verify=\", \"tls_ca=\", \"tls_name=\", "
                               "\"tls_cert=\" and \"tls_key=\" need "
                               "\"tls=on\"");
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    if ((remote->tls_cert.len == 0) != (remote->tls_key.len == 0)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"tls_cert=\" and \"tls_key=\" need each other");
        return NGX_ERROR;
    }

    if (remote->tls_name.len == 0) {
        remote->tls_name = remote->server;
    }

    if (remote->tls_verify && remote->tls_name.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "TLS to a unix socket needs \"tls_name=\" or "
                           "\"tls_verify=off\"");
        return NGX_ERROR;
    }

    return ngx_http_loyalty_remote_tls(cf, remote);
}


static char *
ngx_http_loyalty_durability(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                 *value;
    ngx_http_loyalty_redis_t  *redis;

    value = cf->args->elts;

    redis = ngx_http_loyalty_redis_conf(cf);
    if (redis == NULL) {
        return NGX_CONF_ERROR;
    }

    if (redis->durability != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    if (ngx_strncmp(value[1].data, "replicas=", 9) == 0) {
        redis->durability = NGX_HTTP_LOYALTY_DURABILITY_REPLICAS;

        return (ngx_http_loyalty_redis_replicas(cf, redis) == NGX_OK)
                   ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 2) {

        if (ngx_strcmp(value[1].data, "always") == 0) {
            redis->durability = NGX_HTTP_LOYALTY_DURABILITY_ALWAYS;
            return NGX_CONF_OK;
        }

        if (ngx_strcmp(value[1].data, "everysec") == 0) {
            redis->durability = NGX_HTTP_LOYALTY_DURABILITY_EVERYSEC;
            return NGX_CONF_OK;
        }

        if (ngx_strcmp(value[1].data, "none") == 0) {
            redis->durability = NGX_HTTP_LOYALTY_DURABILITY_NONE;
            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid durability \"%V\": \"always\", \"everysec\", "
                       "\"none\" or \"replicas=N [timeout=TIME]\" is expected",
                       &value[cf->args->nelts - 1]);

    return NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_loyalty_redis_replicas(ngx_conf_t *cf,
    ngx_http_loyalty_redis_t *redis)
{
    ngx_int_t   n;
    ngx_str_t  *value, text;

    value = cf->args->elts;

    n = ngx_atoi(value[1].data + 9, value[1].len - 9);

    if (n == NGX_ERROR || n < 1 || n > 100) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\": a number from 1 to 100 "
                           "is expected", &value[1]);
        return NGX_ERROR;
    }

    redis->replicas = (ngx_uint_t) n;
    n = NGX_HTTP_LOYALTY_REDIS_WAIT;

    if (cf->args->nelts == 3) {
        n = NGX_ERROR;

        if (ngx_strncmp(value[2].data, "timeout=", 8) == 0) {
            text.data = value[2].data + 8;
            text.len = value[2].len - 8;

            n = ngx_parse_time(&text, 0);
        }
    }

    /* a WAIT of 0 ms would be one without end */

    if (n == NGX_ERROR || n < 1 || n > 3600000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\": \"timeout=\" with a "
                           "time from 1ms to 1h is expected", &value[2]);
        return NGX_ERROR;
    }

    redis->wait = (ngx_msec_t) n;

    return NGX_OK;
}


static char *
ngx_http_loyalty_unsafe_store(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                 *value;
    ngx_http_loyalty_redis_t  *redis;

    value = cf->args->elts;

    redis = ngx_http_loyalty_redis_conf(cf);
    if (redis == NULL) {
        return NGX_CONF_ERROR;
    }

    if (redis->unsafe_store != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    if (ngx_strcmp(value[1].data, "on") == 0) {
        redis->unsafe_store = 1;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "off") == 0) {
        redis->unsafe_store = 0;
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\": \"on\" or \"off\" is expected",
                       &value[1]);

    return NGX_CONF_ERROR;
}


ngx_int_t
ngx_http_loyalty_redis_init(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program)
{
    ngx_http_loyalty_redis_t  *redis;

    redis = program->redis;

    if (redis == NULL || redis->remote.address.len == 0) {
        ngx_http_loyalty_conf_error(cf, &program->place,
                                    "loyalty_program \"%V\" has no \"redis\", "
                                    "such as \"redis 127.0.0.1:6379\"",
                                    &program->name);
        return NGX_ERROR;
    }

    ngx_conf_init_uint_value(redis->durability,
                             NGX_HTTP_LOYALTY_DURABILITY_ALWAYS);
    ngx_conf_init_value(redis->unsafe_store, 0);

    if (redis->durability == NGX_HTTP_LOYALTY_DURABILITY_REPLICAS
        && redis->wait >= redis->timeout)
    {
        ngx_http_loyalty_conf_error(cf, &program->place,
                                    "the timeout of \"durability replicas\" "
                                    "(%M ms) has to be shorter than that of "
                                    "\"redis\" (%M ms)", redis->wait,
                                    redis->timeout);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_loyalty_redis_store(ngx_http_loyalty_program_t *program,
    u_char *hash)
{
    uint32_t                   crc;
    ngx_http_loyalty_redis_t  *redis;

    redis = program->redis;

    ngx_crc32_init(crc);
    ngx_crc32_update(&crc, redis->remote.address.data,
                     redis->remote.address.len);
    ngx_crc32_update(&crc, (u_char *) &redis->db, sizeof(redis->db));
    ngx_crc32_final(crc);

    ngx_memcpy(hash, &crc, sizeof(uint32_t));
}


ngx_int_t
ngx_http_loyalty_redis_check(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program)
{
    ngx_http_loyalty_redis_t  *redis;

    redis = program->redis;

    if (ngx_http_loyalty_remote_check(&redis->remote) != NGX_OK) {
        ngx_http_loyalty_conf_error(cf, &program->place,
                                    "redis \"%V\" is a host name, which needs "
                                    "a \"resolver\" in http {}",
                                    &redis->remote.address);
        return NGX_ERROR;
    }

    return NGX_OK;
}
