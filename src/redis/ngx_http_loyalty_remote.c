/*
 * What the configuration says about a server: its address or name, and what
 * TLS with it needs.
 */


#include "ngx_http_loyalty_dial.h"


#define NGX_HTTP_LOYALTY_REMOTE_DEPTH  8          /* of a certificate chain */

/* what Debian and many others keep the system's authorities in */
#define NGX_HTTP_LOYALTY_REMOTE_SYSTEM  "/etc/ssl/certs/ca-certificates.crt"


#if (NGX_SSL)
static ngx_int_t ngx_http_loyalty_remote_context(ngx_conf_t *cf,
    ngx_http_loyalty_remote_t *remote);
static ngx_int_t ngx_http_loyalty_remote_system(ngx_conf_t *cf,
    ngx_ssl_t *ssl);
#endif


ngx_int_t
ngx_http_loyalty_remote_address(ngx_conf_t *cf,
    ngx_http_loyalty_remote_t *remote, ngx_str_t *address,
    in_port_t default_port, char **err)
{
    ngx_url_t   u;
    ngx_uint_t  local;

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = *address;
    u.default_port = default_port;
    u.no_resolve = 1;

    local = (address->len >= 5
             && ngx_strncmp(address->data, "unix:", 5) == 0);

    if (ngx_parse_url(cf->pool, &u) != NGX_OK || u.uri.len != 0
        || (!local && (u.host.len == 0
                       || (u.no_port && default_port == 0))))
    {
        *err = u.err;
        return NGX_DECLINED;
    }

    remote->address = *address;

    if (u.naddrs != 0) {
        remote->addr = &u.addrs[0];

    } else {
        remote->port = u.port;

        if (ngx_http_loyalty_remote_text(cf, &remote->host, u.host.data,
                                         u.host.len)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (local) {
        return NGX_OK;
    }

    /* the name a certificate has to bear, unless another one is written */

    if (address->data[0] == '[') {
        u.host.data = address->data + 1;
        u.host.len = ngx_strlchr(address->data, address->data + address->len,
                                 ']')
                     - u.host.data;
    }

    return ngx_http_loyalty_remote_text(cf, &remote->server, u.host.data,
                                        u.host.len);
}


ngx_int_t
ngx_http_loyalty_remote_text(ngx_conf_t *cf, ngx_str_t *dst, u_char *data,
    size_t len)
{
    dst->data = ngx_pnalloc(cf->pool, len + 1);
    if (dst->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(dst->data, data, len);
    dst->data[len] = '\0';
    dst->len = len;

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_remote_check(ngx_http_loyalty_remote_t *remote)
{
    ngx_resolver_t  *resolver;

    resolver = remote->clcf->resolver;

    /* nginx makes an empty one where none was written */

    return (remote->host.len != 0
            && (resolver == NULL || resolver->connections.nelts == 0))
           ? NGX_DECLINED : NGX_OK;
}


ngx_int_t
ngx_http_loyalty_remote_tls(ngx_conf_t *cf, ngx_http_loyalty_remote_t *remote)
{
#if (NGX_SSL)

    if (ngx_http_loyalty_remote_context(cf, remote) == NGX_OK) {
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "TLS to %s cannot be set up",
                       remote->what);
#else

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "TLS to %s needs nginx built with SSL", remote->what);
#endif

    return NGX_ERROR;
}


#if (NGX_SSL)

static ngx_int_t
ngx_http_loyalty_remote_context(ngx_conf_t *cf,
    ngx_http_loyalty_remote_t *remote)
{
    ngx_ssl_t           *ssl;
    ngx_pool_cleanup_t  *cln;

    ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (ssl == NULL) {
        return NGX_ERROR;
    }

    ssl->log = cf->log;

    if (ngx_ssl_create(ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(ssl);
        return NGX_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    if (remote->tls_cert.len != 0
        && ngx_ssl_certificate(cf, ssl, &remote->tls_cert, &remote->tls_key,
                               NULL)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (remote->tls_ca.len != 0) {
        if (ngx_ssl_trusted_certificate(cf, ssl, &remote->tls_ca,
                                        NGX_HTTP_LOYALTY_REMOTE_DEPTH)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

    } else if (remote->tls_verify
               && ngx_http_loyalty_remote_system(cf, ssl) != NGX_OK)
    {
        return NGX_ERROR;
    }

    remote->ssl = ssl;

    return NGX_OK;
}


/*
 * The system's authorities from one file, now.  Where there is none OpenSSL
 * knows its own places, which it may read when a worker shakes hands.
 */

static ngx_int_t
ngx_http_loyalty_remote_system(ngx_conf_t *cf, ngx_ssl_t *ssl)
{
    if (SSL_CTX_load_verify_locations(ssl->ctx,
                                      NGX_HTTP_LOYALTY_REMOTE_SYSTEM, NULL)
        == 1)
    {
        return NGX_OK;
    }

    ERR_clear_error();

    if (SSL_CTX_set_default_verify_paths(ssl->ctx) != 1) {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                      "SSL_CTX_set_default_verify_paths() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}

#endif
