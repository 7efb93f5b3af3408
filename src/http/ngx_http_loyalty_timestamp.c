/*
 * timestamp_authority: whom the program asks, and what came back.
 *
 * A request has a nonce of its own, so that no answer of another day is taken
 * for this one's.
 */


#include "ngx_http_loyalty_timestamp.h"
#include "ngx_http_loyalty_fetch.h"
#include "ngx_http_loyalty_private.h"
#include "ngx_http_loyalty_stats.h"
#include "loyalty_tsa.h"

#include <openssl/rand.h>


#define NGX_HTTP_LOYALTY_STAMP_TIMEOUT  10000     /* ms */


struct ngx_http_loyalty_authority_s {
    ngx_http_loyalty_program_t         *program;
    ngx_http_loyalty_url_t             *url;
    void                               *trust;    /* NULL: anybody */
    ngx_str_t                           trusted;
    ngx_str_t                           tls_ca;
    ngx_msec_t                          timeout;
    ngx_queue_t                         stamps;   /* in a worker: under way */
};


struct ngx_http_loyalty_stamp_s {
    ngx_queue_t                         queue;
    ngx_http_loyalty_authority_t       *authority;
    ngx_http_loyalty_fetch_t           *fetch;
    ngx_http_loyalty_stamp_handler_pt   handler;
    void                               *data;
    u_char                              hash[LOYALTY_TSA_HASH];
    u_char                              nonce[LOYALTY_TSA_NONCE];
};


static char *ngx_http_loyalty_timestamp_directive(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_loyalty_timestamp_parameter(ngx_conf_t *cf,
    ngx_http_loyalty_authority_t *authority, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_timestamp_trust(ngx_conf_t *cf,
    ngx_http_loyalty_authority_t *authority);
static void ngx_http_loyalty_timestamp_cleanup(void *data);
static void ngx_http_loyalty_timestamp_fetched(void *data,
    ngx_http_loyalty_fetched_t *fetched);


static ngx_command_t  ngx_http_loyalty_timestamp_commands[] = {

    { ngx_string("timestamp_authority"),
      NGX_LOYALTY_PROGRAM_CONF|NGX_CONF_1MORE,
      ngx_http_loyalty_timestamp_directive,
      0,
      0,
      NULL },

      ngx_null_command
};


ngx_module_t  ngx_http_loyalty_timestamp_module = {
    NGX_MODULE_V1,
    NULL,                                  /* module context */
    ngx_http_loyalty_timestamp_commands,   /* module directives */
    NGX_LOYALTY_MODULE,                    /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static char *
ngx_http_loyalty_timestamp_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    char                          *rv;
    ngx_str_t                     *value;
    ngx_uint_t                     i;
    ngx_http_loyalty_block_t      *block;
    ngx_http_loyalty_authority_t  *authority;

    block = cf->ctx;
    value = cf->args->elts;

    if (block->program->timestamp != NULL) {
        return "is duplicate";
    }

    authority = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_authority_t));
    if (authority == NULL) {
        return NGX_CONF_ERROR;
    }

    authority->program = block->program;
    authority->timeout = NGX_CONF_UNSET_MSEC;
    ngx_queue_init(&authority->stamps);

    for (i = 2; i < cf->args->nelts; i++) {
        rv = ngx_http_loyalty_timestamp_parameter(cf, authority, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    ngx_conf_init_msec_value(authority->timeout,
                             NGX_HTTP_LOYALTY_STAMP_TIMEOUT);

    authority->url = ngx_http_loyalty_url(cf, block->program, &value[1],
                                          authority->tls_ca.len
                                          ? &authority->tls_ca : NULL);

    if (authority->url == NULL
        || ngx_http_loyalty_timestamp_trust(cf, authority) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    block->program->timestamp = authority;

    return NGX_CONF_OK;
}


static char *
ngx_http_loyalty_timestamp_parameter(ngx_conf_t *cf,
    ngx_http_loyalty_authority_t *authority, ngx_str_t *value)
{
    ngx_uint_t  again;

    if (ngx_strncmp(value->data, "trusted_certificate=", 20) == 0
        && value->len > 20)
    {
        again = (authority->trusted.len != 0);
        authority->trusted.data = value->data + 20;
        authority->trusted.len = value->len - 20;

    } else if (ngx_strncmp(value->data, "tls_ca=", 7) == 0 && value->len > 7) {
        again = (authority->tls_ca.len != 0);
        authority->tls_ca.data = value->data + 7;
        authority->tls_ca.len = value->len - 7;

    } else if (ngx_strncmp(value->data, "timeout=", 8) == 0) {
        again = (authority->timeout != NGX_CONF_UNSET_MSEC);

        if (ngx_http_loyalty_timeout(cf, value, &authority->timeout)
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\": "
                           "\"trusted_certificate=FILE\", \"tls_ca=FILE\" or "
                           "\"timeout=TIME\" is expected", value);
        return NGX_CONF_ERROR;
    }

    if (again) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "parameter \"%V\" is duplicate", value);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_loyalty_timestamp_trust(ngx_conf_t *cf,
    ngx_http_loyalty_authority_t *authority)
{
    ngx_pool_cleanup_t  *cln;

    if (authority->trusted.len == 0) {
        return NGX_OK;
    }

    if (ngx_conf_full_name(cf->cycle, &authority->trusted, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    authority->trust = loyalty_tsa_trust((char *) authority->trusted.data);

    if (authority->trust == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" could not be read: a file of PEM "
                           "certificates is expected", &authority->trusted);
        return NGX_ERROR;
    }

    cln->handler = ngx_http_loyalty_timestamp_cleanup;
    cln->data = authority->trust;

    return NGX_OK;
}


static void
ngx_http_loyalty_timestamp_cleanup(void *data)
{
    loyalty_tsa_trust_free(data);
}


ngx_int_t
ngx_http_loyalty_timestamp_check(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program)
{
    if (program->timestamp == NULL) {
        return NGX_OK;
    }

    return ngx_http_loyalty_url_check(cf, program->timestamp->url);
}


ngx_http_loyalty_stamp_t *
ngx_http_loyalty_timestamp_fetch(ngx_http_loyalty_program_t *program,
    const u_char *hash, ngx_http_loyalty_stamp_handler_pt handler, void *data)
{
    u_char                         request[LOYALTY_TSA_REQUEST];
    ngx_http_loyalty_stamp_t      *stamp;
    ngx_http_loyalty_authority_t  *authority;
    ngx_http_loyalty_fetch_conf_t  conf;

    authority = program->timestamp;

    if (authority == NULL) {
        return NULL;
    }

    stamp = ngx_calloc(sizeof(ngx_http_loyalty_stamp_t), ngx_cycle->log);
    if (stamp == NULL) {
        return NULL;
    }

    ngx_memzero(&conf, sizeof(ngx_http_loyalty_fetch_conf_t));

    if (RAND_bytes(stamp->nonce, LOYALTY_TSA_NONCE) == 1) {
        conf.body.data = request;
        conf.body.len = loyalty_tsa_request(request, hash, stamp->nonce);
    }

    if (conf.body.len == 0) {
        ngx_free(stamp);
        return NULL;
    }

    conf.url = authority->url;
    ngx_str_set(&conf.headers,
                "Content-Type: application/timestamp-query" CRLF
                "Accept: application/timestamp-reply" CRLF);
    conf.timeout = authority->timeout;
    conf.max_body = LOYALTY_TSA_SIZE;
    conf.handler = ngx_http_loyalty_timestamp_fetched;
    conf.data = stamp;

    stamp->authority = authority;
    stamp->handler = handler;
    stamp->data = data;
    ngx_memcpy(stamp->hash, hash, LOYALTY_TSA_HASH);

    stamp->fetch = ngx_http_loyalty_fetch_start(&conf);
    if (stamp->fetch == NULL) {
        ngx_free(stamp);
        return NULL;
    }

    ngx_queue_insert_tail(&authority->stamps, &stamp->queue);

    ngx_http_loyalty_stat(program, NGX_HTTP_LOYALTY_STAT_STAMP_FETCHES, 1);

    return stamp;
}


static void
ngx_http_loyalty_timestamp_fetched(void *data,
    ngx_http_loyalty_fetched_t *fetched)
{
    u_char                       buf[sizeof("status ") + NGX_INT_T_LEN];
    loyalty_tsa_t                tsa;
    ngx_http_loyalty_stamp_t    *stamp;
    ngx_http_loyalty_stamped_t   stamped;

    stamp = data;
    ngx_memzero(&stamped, sizeof(ngx_http_loyalty_stamped_t));

    if (fetched->status == 0) {
        stamped.error = fetched->error;

    } else if (fetched->status != 200) {
        stamped.error.data = buf;
        stamped.error.len = ngx_sprintf(buf, "status %ui", fetched->status)
                            - buf;

    } else if (loyalty_tsa_response(&tsa, fetched->body.data,
                                    fetched->body.len, stamp->hash,
                                    stamp->nonce, stamp->authority->trust)
               != 0)
    {
        stamped.error.data = (u_char *) tsa.error;
        stamped.error.len = ngx_strlen(tsa.error);

    } else {
        stamped.token.data = (u_char *) tsa.token;
        stamped.token.len = tsa.len;
        stamped.time = tsa.time;
    }

    if (stamped.token.len == 0) {
        ngx_http_loyalty_stat(stamp->authority->program,
                              NGX_HTTP_LOYALTY_STAT_STAMP_FAILURES, 1);
    }

    ngx_queue_remove(&stamp->queue);

    stamp->handler(stamp->data, &stamped);

    ngx_free(stamp);
}


void
ngx_http_loyalty_timestamp_cancel(ngx_http_loyalty_stamp_t *stamp)
{
    ngx_http_loyalty_fetch_cancel(stamp->fetch);
    ngx_queue_remove(&stamp->queue);
    ngx_free(stamp);
}


ngx_int_t
ngx_http_loyalty_timestamp_check_token(ngx_http_loyalty_program_t *program,
    ngx_pool_t *pool, ngx_str_t *token, const u_char *hash, int64_t *time,
    ngx_str_t *error)
{
    void           *trust;
    loyalty_tsa_t   tsa;

    trust = (program->timestamp != NULL) ? program->timestamp->trust : NULL;

    if (loyalty_tsa_token(&tsa, token->data, token->len, hash, NULL, trust)
        == 0)
    {
        *time = tsa.time;
        return NGX_OK;
    }

    error->len = ngx_strlen(tsa.error);
    error->data = ngx_pnalloc(pool, error->len);

    if (error->data == NULL) {
        error->len = 0;

    } else {
        ngx_memcpy(error->data, tsa.error, error->len);
    }

    return NGX_DECLINED;
}


void
ngx_http_loyalty_timestamp_exit_process(ngx_http_loyalty_program_t *program)
{
    ngx_queue_t                   *q;
    ngx_http_loyalty_authority_t  *authority;

    authority = program->timestamp;

    while (authority != NULL && !ngx_queue_empty(&authority->stamps)) {
        q = ngx_queue_head(&authority->stamps);

        ngx_http_loyalty_timestamp_cancel(
                          ngx_queue_data(q, ngx_http_loyalty_stamp_t, queue));
    }
}
