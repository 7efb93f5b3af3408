/*
 * A connection to a server of somebody else's: what the configuration says
 * about it, and how it comes about in a worker.  Redis is one such server;
 * those that the HTTP client asks are others.
 *
 * A remote belongs to the configuration: an address or a name, and TLS.  A
 * dial is one place in a worker that may hold a connection to it.  Dialling
 * resolves the name, tries the addresses one after the other and agrees on
 * TLS; what is then said is up to the owner.
 */

#ifndef _NGX_HTTP_LOYALTY_DIAL_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_DIAL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_program.h"


#define NGX_HTTP_LOYALTY_DIAL_ADDRS  16           /* of one name */


typedef struct {
    const char                       *what;       /* "redis", for messages */
    ngx_http_core_loc_conf_t         *clcf;       /* of http {}: resolver */
    ngx_uint_t                        log_error;  /* NGX_ERROR_ERR, or _INFO:
                                                     the owner logs */

    ngx_str_t                         address;    /* as written */
    ngx_str_t                         host;       /* len 0: addr is known */
    in_port_t                         port;
    ngx_str_t                         server;     /* host or IP address; len 0:
                                                     a unix socket */
    ngx_addr_t                       *addr;

    ngx_flag_t                        tls;
    ngx_flag_t                        tls_verify;
    ngx_str_t                         tls_ca;
    ngx_str_t                         tls_name;   /* in the certificate */
    ngx_str_t                         tls_cert;
    ngx_str_t                         tls_key;
#if (NGX_SSL)
    ngx_ssl_t                        *ssl;
#endif
} ngx_http_loyalty_remote_t;


typedef struct ngx_http_loyalty_dial_s  ngx_http_loyalty_dial_t;

/*
 * NGX_OK: there is a connection.  NGX_ERROR: no address, or none that works.
 * NGX_ABORT: nginx wants all connections closed.  It may be called from
 * within _dial_start().
 */
typedef void (*ngx_http_loyalty_dial_handler_pt)(
    ngx_http_loyalty_dial_t *dial, ngx_int_t rc);

/* what is in the way, in words, where nginx itself does not log it */
typedef void (*ngx_http_loyalty_dial_trouble_pt)(
    ngx_http_loyalty_dial_t *dial, ngx_str_t *text);


struct ngx_http_loyalty_dial_s {
    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_http_loyalty_remote_t        *remote;
    void                             *data;       /* the owner's */
    ngx_connection_t                 *connection;
    ngx_int_t                         ident;

    ngx_http_loyalty_dial_handler_pt  handler;
    ngx_http_loyalty_dial_trouble_pt  trouble;
    ngx_log_t                        *log;        /* the owner's */

    ngx_pool_t                       *pool;       /* of the connection */
    ngx_peer_connection_t             peer;
    ngx_str_t                         name;       /* its address */
    u_char                            text[NGX_SOCKADDR_STRLEN];
    ngx_err_t                         err;        /* of the last address */

    ngx_event_t                       resolved;   /* posted */
    ngx_resolver_ctx_t               *resolve;
    ngx_uint_t                        naddrs;
    ngx_uint_t                        tried;      /* of addrs */
    struct sockaddr_storage           addrs[NGX_HTTP_LOYALTY_DIAL_ADDRS];
    socklen_t                         socklens[NGX_HTTP_LOYALTY_DIAL_ADDRS];
};


/* ---- while the configuration is read: remote.c ---- */

/*
 * Sets host, port, server and addr from "HOST:PORT", "IP:PORT",
 * "[IPv6]:PORT", "unix:/PATH"; the port may be missing where there is a
 * default one.  NGX_DECLINED: it is none of these, *err may say why.
 */
ngx_int_t ngx_http_loyalty_remote_address(ngx_conf_t *cf,
    ngx_http_loyalty_remote_t *remote, ngx_str_t *address,
    in_port_t default_port, char **err);

/* makes the TLS context; logs its own error */
ngx_int_t ngx_http_loyalty_remote_tls(ngx_conf_t *cf,
    ngx_http_loyalty_remote_t *remote);

/* a copy that ends with '\0' */
ngx_int_t ngx_http_loyalty_remote_text(ngx_conf_t *cf, ngx_str_t *dst,
    u_char *data, size_t len);

/* a name without a resolver: NGX_DECLINED; when all of http {} is read */
ngx_int_t ngx_http_loyalty_remote_check(ngx_http_loyalty_remote_t *remote);


/* ---- in a worker: dial.c ---- */

/* the rest of *dial is zero */
void ngx_http_loyalty_dial_init(ngx_http_loyalty_dial_t *dial,
    ngx_http_loyalty_remote_t *remote, ngx_log_t *log);

/* the owner bounds how long it takes; timeout is for the resolver */
void ngx_http_loyalty_dial_start(ngx_http_loyalty_dial_t *dial,
    ngx_msec_t timeout);

/* the connection, and all that is under way to one */
void ngx_http_loyalty_dial_close(ngx_http_loyalty_dial_t *dial);


/* ---- shared by dial.c and dial_tls.c ---- */

void ngx_http_loyalty_dial_trouble(ngx_http_loyalty_dial_t *dial,
    const char *fmt, ...);

#if (NGX_SSL)

/* ends in _dial_secured(), at once or later */
void ngx_http_loyalty_dial_secure(ngx_http_loyalty_dial_t *dial);
void ngx_http_loyalty_dial_secured(ngx_http_loyalty_dial_t *dial,
    ngx_int_t rc);

#endif


#endif /* _NGX_HTTP_LOYALTY_DIAL_H_INCLUDED_ */
