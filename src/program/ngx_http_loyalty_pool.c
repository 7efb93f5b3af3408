/*
 * Pools of codes: known by the rewards and prizes that hand them out, filled
 * by the admin API.
 */

#include "ngx_http_loyalty_private.h"


static ngx_int_t ngx_http_loyalty_pool_key(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_str_t *name, const char *what,
    ngx_str_t *key);


ngx_http_loyalty_pool_t *
ngx_http_loyalty_pool_add(ngx_conf_t *cf, ngx_http_loyalty_program_t *program,
    ngx_str_t *name)
{
    ngx_http_loyalty_pool_t  *pool, **poolp;

    if (ngx_http_loyalty_name_check(cf, "pool", name) != NGX_OK) {
        return NULL;
    }

    pool = ngx_http_loyalty_pool(program, name);
    if (pool != NULL) {
        return pool;
    }

    if (program->pools.nelts == NGX_HTTP_LOYALTY_POOLS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many pools of codes in loyalty_program "
                           "\"%V\": at most %d are expected",
                           &program->name, NGX_HTTP_LOYALTY_POOLS);
        return NULL;
    }

    pool = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_pool_t));
    if (pool == NULL) {
        return NULL;
    }

    pool->name = *name;

    if (ngx_http_loyalty_pool_key(cf, program, name, "l", &pool->unused)
        != NGX_OK
        || ngx_http_loyalty_pool_key(cf, program, name, "s", &pool->all)
           != NGX_OK)
    {
        return NULL;
    }

    poolp = ngx_array_push(&program->pools);
    if (poolp == NULL) {
        return NULL;
    }

    *poolp = pool;

    return pool;
}


static ngx_int_t
ngx_http_loyalty_pool_key(ngx_conf_t *cf, ngx_http_loyalty_program_t *program,
    ngx_str_t *name, const char *what, ngx_str_t *key)
{
    u_char  *p;

    p = ngx_pnalloc(cf->pool, program->name.len + name->len
                              + sizeof("{:c:}:") + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    key->data = p;
    p = ngx_sprintf(p, "{%V:c:%V}:%s", &program->name, name, what);
    key->len = p - key->data;

    return NGX_OK;
}


ngx_http_loyalty_pool_t *
ngx_http_loyalty_pool(ngx_http_loyalty_program_t *program, ngx_str_t *name)
{
    ngx_uint_t                 i;
    ngx_http_loyalty_pool_t  **pool;

    pool = program->pools.elts;

    for (i = 0; i < program->pools.nelts; i++) {

        if (pool[i]->name.len == name->len
            && ngx_memcmp(pool[i]->name.data, name->data, name->len) == 0)
        {
            return pool[i];
        }
    }

    return NULL;
}


ngx_uint_t
ngx_http_loyalty_pool_keys(ngx_http_loyalty_program_t *program,
    ngx_str_t *keys, ngx_uint_t max)
{
    ngx_uint_t                 i;
    ngx_http_loyalty_pool_t  **pool;

    pool = program->pools.elts;

    for (i = 0; i < program->pools.nelts && 2 * i + 2 <= max; i++) {
        keys[2 * i] = pool[i]->unused;
        keys[2 * i + 1] = pool[i]->all;
    }

    return 2 * i;
}
