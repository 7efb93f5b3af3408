/*
 * TLS on a connection that was dialled, with nginx's own client functions.
 */


#include "ngx_http_loyalty_dial.h"


#if (NGX_SSL)

static void ngx_http_loyalty_dial_handshaken(ngx_connection_t *c);
static ngx_int_t ngx_http_loyalty_dial_verify(ngx_http_loyalty_dial_t *dial);
static ngx_uint_t ngx_http_loyalty_dial_literal(ngx_str_t *name);


void
ngx_http_loyalty_dial_secure(ngx_http_loyalty_dial_t *dial)
{
    ngx_int_t          rc;
    ngx_str_t         *name;
    ngx_connection_t  *c;

    c = dial->connection;
    name = &dial->remote->tls_name;

    rc = ngx_ssl_create_connection(dial->remote->ssl, c,
                                   NGX_SSL_BUFFER|NGX_SSL_CLIENT);

    if (rc == NGX_OK && name->len != 0
        && !ngx_http_loyalty_dial_literal(name)
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
        c->ssl->handler = ngx_http_loyalty_dial_handshaken;
        return;
    }

    if (rc == NGX_OK) {
        rc = ngx_http_loyalty_dial_verify(dial);
    }

    ngx_http_loyalty_dial_secured(dial, rc);
}


static void
ngx_http_loyalty_dial_handshaken(ngx_connection_t *c)
{
    ngx_int_t                 rc;
    ngx_http_loyalty_dial_t  *dial;

    dial = c->data;

    rc = c->ssl->handshaked ? ngx_http_loyalty_dial_verify(dial) : NGX_ERROR;

    ngx_http_loyalty_dial_secured(dial, rc);
}


static ngx_int_t
ngx_http_loyalty_dial_verify(ngx_http_loyalty_dial_t *dial)
{
    long               rc;
    X509              *cert;
    ngx_str_t         *name;
    ngx_connection_t  *c;

    if (!dial->remote->tls_verify) {
        return NGX_OK;
    }

    c = dial->connection;
    name = &dial->remote->tls_name;

    rc = SSL_get_verify_result(c->ssl->connection);

    if (rc != X509_V_OK) {
        ngx_http_loyalty_dial_trouble(dial,
                                      "the certificate of %s was not accepted "
                                      "(%l: %s)", dial->remote->what, rc,
                                      X509_verify_cert_error_string(rc));
        return NGX_ERROR;
    }

    if (ngx_http_loyalty_dial_literal(name)) {
        cert = SSL_get_peer_certificate(c->ssl->connection);

        rc = (cert != NULL
              && X509_check_ip_asc(cert, (char *) name->data, 0) == 1);

        X509_free(cert);

    } else {
        rc = (ngx_ssl_check_host(c, name) == NGX_OK);
    }

    if (!rc) {
        ngx_http_loyalty_dial_trouble(dial,
                                      "the certificate of %s is not for "
                                      "\"%V\"", dial->remote->what, name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* an IP address: not for SNI, and matched in another way */

static ngx_uint_t
ngx_http_loyalty_dial_literal(ngx_str_t *name)
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
