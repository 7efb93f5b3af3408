/*
 * TLS to Redis, with nginx's own client functions.
 */


#include "ngx_http_loyalty_redis_private.h"


#if (NGX_SSL)

#define NGX_HTTP_LOYALTY_TLS_DEPTH  8             /* of a certificate chain */


static void ngx_http_loyalty_tls_done(ngx_connection_t *c);
static ngx_int_t ngx_http_loyalty_tls_verify(ngx_http_loyalty_link_t *link);
static ngx_uint_t ngx_http_loyalty_tls_literal(ngx_str_t *name);


ngx_int_t
ngx_http_loyalty_tls_conf(ngx_conf_t *cf, ngx_http_loyalty_redis_t *redis)
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

    if (redis->tls_cert.len != 0
        && ngx_ssl_certificate(cf, ssl, &redis->tls_cert, &redis->tls_key,
                               NULL)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (redis->tls_ca.len != 0) {
        if (ngx_ssl_trusted_certificate(cf, ssl, &redis->tls_ca,
                                        NGX_HTTP_LOYALTY_TLS_DEPTH)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

    } else if (redis->tls_verify
               && SSL_CTX_set_default_verify_paths(ssl->ctx) != 1)
    {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                      "SSL_CTX_set_default_verify_paths() failed");
        return NGX_ERROR;
    }

    redis->ssl = ssl;

    return NGX_OK;
}


/* ends in ngx_http_loyalty_link_secured(), at once or later */

void
ngx_http_loyalty_tls_start(ngx_http_loyalty_link_t *link)
{
    ngx_int_t                  rc;
    ngx_str_t                 *name;
    ngx_connection_t          *c;
    ngx_http_loyalty_redis_t  *redis;

    c = link->connection;
    redis = link->redis;
    name = &redis->tls_name;

    rc = ngx_ssl_create_connection(redis->ssl, c,
                                   NGX_SSL_BUFFER|NGX_SSL_CLIENT);

    if (rc == NGX_OK && name->len != 0
        && !ngx_http_loyalty_tls_literal(name)
        && SSL_set_tlsext_host_name(c->ssl->connection, (char *) name->data)
           == 0)
    {
        ngx_ssl_error(NGX_LOG_ERR, c->log, 0,
                      "SSL_set_tlsext_host_name(\"%V\") failed", name);
        rc = NGX_ERROR;
    }

    if (rc == NGX_OK) {
        rc = ngx_ssl_handshake(c);
    }

    if (rc == NGX_AGAIN) {
        c->ssl->handler = ngx_http_loyalty_tls_done;
        return;
    }

    if (rc == NGX_OK) {
        rc = ngx_http_loyalty_tls_verify(link);
    }

    ngx_http_loyalty_link_secured(link, rc);
}


static void
ngx_http_loyalty_tls_done(ngx_connection_t *c)
{
    ngx_int_t                 rc;
    ngx_http_loyalty_link_t  *link;

    link = c->data;

    rc = c->ssl->handshaked ? ngx_http_loyalty_tls_verify(link) : NGX_ERROR;

    ngx_http_loyalty_link_secured(link, rc);
}


static ngx_int_t
ngx_http_loyalty_tls_verify(ngx_http_loyalty_link_t *link)
{
    long               rc;
    X509              *cert;
    ngx_str_t         *name;
    ngx_connection_t  *c;

    if (!link->redis->tls_verify) {
        return NGX_OK;
    }

    c = link->connection;
    name = &link->redis->tls_name;

    rc = SSL_get_verify_result(c->ssl->connection);

    if (rc != X509_V_OK) {
        ngx_http_loyalty_trouble(link, NGX_HTTP_LOYALTY_TROUBLE_CONNECT,
                                 "the certificate of redis was not accepted "
                                 "(%l: %s)", rc,
                                 X509_verify_cert_error_string(rc));
        return NGX_ERROR;
    }

    if (ngx_http_loyalty_tls_literal(name)) {
        cert = SSL_get_peer_certificate(c->ssl->connection);

        rc = (cert != NULL
              && X509_check_ip_asc(cert, (char *) name->data, 0) == 1);

        X509_free(cert);

    } else {
        rc = (ngx_ssl_check_host(c, name) == NGX_OK);
    }

    if (!rc) {
        ngx_http_loyalty_trouble(link, NGX_HTTP_LOYALTY_TROUBLE_CONNECT,
                                 "the certificate of redis is not for \"%V\"",
                                 name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* an IP address: not for SNI, and matched in another way */

static ngx_uint_t
ngx_http_loyalty_tls_literal(ngx_str_t *name)
{
#if (NGX_HAVE_INET6)
    u_char  addr[16];

    if (ngx_inet6_addr(name->data, name->len, addr) == NGX_OK) {
        return 1;
    }
#endif

    return ngx_inet_addr(name->data, name->len) != INADDR_NONE;
}

#endif
