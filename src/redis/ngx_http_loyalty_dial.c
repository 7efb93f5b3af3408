/*
 * How a connection comes about: the name is resolved, the addresses are
 * tried one after the other, TLS is agreed upon.
 */


#include "ngx_http_loyalty_dial.h"


static void ngx_http_loyalty_dial_resolve(ngx_http_loyalty_dial_t *dial,
    ngx_msec_t timeout);
static void ngx_http_loyalty_dial_answer(ngx_resolver_ctx_t *ctx);
static void ngx_http_loyalty_dial_resolved(ngx_event_t *ev);
static void ngx_http_loyalty_dial_next(ngx_http_loyalty_dial_t *dial);
static ngx_int_t ngx_http_loyalty_dial_connect(ngx_http_loyalty_dial_t *dial);
static void ngx_http_loyalty_dial_writable(ngx_event_t *ev);
static ngx_int_t ngx_http_loyalty_dial_test(ngx_http_loyalty_dial_t *dial);
static void ngx_http_loyalty_dial_connected(ngx_http_loyalty_dial_t *dial);
static void ngx_http_loyalty_dial_hangup(ngx_http_loyalty_dial_t *dial);


void
ngx_http_loyalty_dial_init(ngx_http_loyalty_dial_t *dial,
    ngx_http_loyalty_remote_t *remote, ngx_log_t *log)
{
    dial->remote = remote;
    dial->log = log;
    dial->ident = -1;

    dial->resolved.handler = ngx_http_loyalty_dial_resolved;
    dial->resolved.data = dial;
    dial->resolved.log = log;
}


void
ngx_http_loyalty_dial_start(ngx_http_loyalty_dial_t *dial, ngx_msec_t timeout)
{
    ngx_http_loyalty_remote_t  *remote;

    remote = dial->remote;

    dial->tried = 0;
    dial->naddrs = 0;
    dial->err = 0;

    if (remote->host.len != 0) {
        ngx_http_loyalty_dial_resolve(dial, timeout);
        return;
    }

    ngx_memcpy(&dial->addrs[0], remote->addr->sockaddr, remote->addr->socklen);
    dial->socklens[0] = remote->addr->socklen;
    dial->naddrs = 1;

    ngx_http_loyalty_dial_next(dial);
}


static void
ngx_http_loyalty_dial_resolve(ngx_http_loyalty_dial_t *dial,
    ngx_msec_t timeout)
{
    ngx_resolver_ctx_t  *ctx;

    dial->log->action = "resolving its name";

    ctx = ngx_resolve_start(dial->remote->clcf->resolver, NULL);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        dial->handler(dial, NGX_ERROR);
        return;
    }

    ctx->name = dial->remote->host;
    ctx->handler = ngx_http_loyalty_dial_answer;
    ctx->data = dial;
    ctx->timeout = timeout;
    ctx->cancelable = 1;

    dial->resolve = ctx;

    if (ngx_resolve_name(ctx) != NGX_OK) {
        dial->resolve = NULL;
        dial->handler(dial, NGX_ERROR);
    }
}


/*
 * Called by the resolver, perhaps while it walks other waiters of the same
 * name: takes the addresses and leaves the rest to a posted event.
 */

static void
ngx_http_loyalty_dial_answer(ngx_resolver_ctx_t *ctx)
{
    ngx_uint_t                i, j;
    ngx_http_loyalty_dial_t  *dial;

    dial = ctx->data;

    if (ctx->state != 0) {
        ngx_http_loyalty_dial_trouble(dial,
                                      "\"%V\" could not be resolved (%i: %s)",
                                      &ctx->name, ctx->state,
                                      ngx_resolver_strerror(ctx->state));
    }

    /* workers begin with different addresses */
    j = (ctx->state == 0 && ctx->naddrs != 0)
            ? (ngx_uint_t) ngx_random() % ctx->naddrs : 0;

    for (i = 0; ctx->state == 0 && i < ctx->naddrs
                && i < NGX_HTTP_LOYALTY_DIAL_ADDRS; i++)
    {
        ngx_memcpy(&dial->addrs[i], ctx->addrs[j].sockaddr,
                   ctx->addrs[j].socklen);
        dial->socklens[i] = ctx->addrs[j].socklen;

        ngx_inet_set_port((struct sockaddr *) &dial->addrs[i],
                          dial->remote->port);

        dial->naddrs++;
        j = (j + 1) % ctx->naddrs;
    }

    dial->resolve = NULL;
    ngx_resolve_name_done(ctx);

    ngx_post_event(&dial->resolved, &ngx_posted_events);
}


static void
ngx_http_loyalty_dial_resolved(ngx_event_t *ev)
{
    ngx_http_loyalty_dial_next(ev->data);
}


/* the next address, if any is left */

static void
ngx_http_loyalty_dial_next(ngx_http_loyalty_dial_t *dial)
{
    ngx_int_t  rc;

    while (dial->tried < dial->naddrs) {
        ngx_http_loyalty_dial_hangup(dial);

        rc = ngx_http_loyalty_dial_connect(dial);

        if (rc == NGX_AGAIN) {
            return;
        }

        if (rc == NGX_OK) {
            ngx_http_loyalty_dial_connected(dial);
            return;
        }
    }

    dial->handler(dial, NGX_ERROR);
}


static ngx_int_t
ngx_http_loyalty_dial_connect(ngx_http_loyalty_dial_t *dial)
{
    ngx_int_t          rc;
    ngx_uint_t         i;
    ngx_connection_t  *c;

    i = dial->tried++;

    dial->log->action = "connecting";

    dial->pool = ngx_create_pool(1024, dial->log);
    if (dial->pool == NULL) {
        return NGX_ERROR;
    }

    dial->name.data = dial->text;
    dial->name.len = ngx_sock_ntop((struct sockaddr *) &dial->addrs[i],
                                   dial->socklens[i], dial->text,
                                   NGX_SOCKADDR_STRLEN, 1);

    ngx_memzero(&dial->peer, sizeof(ngx_peer_connection_t));

    dial->peer.sockaddr = (struct sockaddr *) &dial->addrs[i];
    dial->peer.socklen = dial->socklens[i];
    dial->peer.name = &dial->name;
    dial->peer.get = ngx_event_get_peer;
    dial->peer.log = dial->log;
    dial->peer.log_error = dial->remote->log_error;

    ngx_set_socket_errno(0);

    rc = ngx_event_connect_peer(&dial->peer);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        dial->err = ngx_socket_errno;
        ngx_http_loyalty_dial_hangup(dial);
        return NGX_ERROR;
    }

    c = dial->peer.connection;

    dial->connection = c;
    dial->log->connection = c->number;

    c->data = dial;
    c->pool = dial->pool;
    c->log = dial->log;
    c->read->log = dial->log;
    c->write->log = dial->log;
    c->read->handler = ngx_http_loyalty_dial_writable;
    c->write->handler = ngx_http_loyalty_dial_writable;

    return rc;
}


static void
ngx_http_loyalty_dial_writable(ngx_event_t *ev)
{
    ngx_connection_t         *c;
    ngx_http_loyalty_dial_t  *dial;

    c = ev->data;
    dial = c->data;

    if (c->close) {
        dial->handler(dial, NGX_ABORT);
        return;
    }

    if (ngx_http_loyalty_dial_test(dial) != NGX_OK) {
        ngx_http_loyalty_dial_next(dial);
        return;
    }

    if (c->write->ready) {
        ngx_http_loyalty_dial_connected(dial);
    }
}


static ngx_int_t
ngx_http_loyalty_dial_test(ngx_http_loyalty_dial_t *dial)
{
    int                err;
    socklen_t          len;
    ngx_connection_t  *c;

    c = dial->connection;
    err = 0;
    len = sizeof(int);

    /* some systems return the error by errno */

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err != 0) {
        dial->err = err;
        (void) ngx_connection_error(c, err, "connecting failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_loyalty_dial_connected(ngx_http_loyalty_dial_t *dial)
{
    if (dial->peer.sockaddr->sa_family != AF_UNIX
        && ngx_tcp_nodelay(dial->connection) != NGX_OK)
    {
        dial->handler(dial, NGX_ERROR);
        return;
    }

#if (NGX_SSL)

    if (dial->remote->tls) {
        dial->log->action = "TLS handshaking";
        ngx_http_loyalty_dial_secure(dial);
        return;
    }

#endif

    dial->handler(dial, NGX_OK);
}


#if (NGX_SSL)

void
ngx_http_loyalty_dial_secured(ngx_http_loyalty_dial_t *dial, ngx_int_t rc)
{
    if (dial->connection->close) {
        dial->handler(dial, NGX_ABORT);
        return;
    }

    if (rc != NGX_OK) {
        ngx_http_loyalty_dial_next(dial);
        return;
    }

    dial->handler(dial, NGX_OK);
}

#endif


void
ngx_http_loyalty_dial_trouble(ngx_http_loyalty_dial_t *dial, const char *fmt,
    ...)
{
    u_char     buf[NGX_MAX_ERROR_STR];
    va_list    args;
    ngx_str_t  text;

    va_start(args, fmt);
    text.data = buf;
    text.len = ngx_vslprintf(buf, buf + sizeof(buf), fmt, args) - buf;
    va_end(args);

    dial->trouble(dial, &text);
}


void
ngx_http_loyalty_dial_close(ngx_http_loyalty_dial_t *dial)
{
    if (dial->resolve != NULL) {
        ngx_resolve_name_done(dial->resolve);
        dial->resolve = NULL;
    }

    if (dial->resolved.posted) {
        ngx_delete_posted_event(&dial->resolved);
    }

    ngx_http_loyalty_dial_hangup(dial);
}


/* with what belongs to it */

static void
ngx_http_loyalty_dial_hangup(ngx_http_loyalty_dial_t *dial)
{
    ngx_connection_t  *c;

    c = dial->connection;

    if (c != NULL) {

#if (NGX_SSL)
        if (c->ssl != NULL) {
            c->ssl->no_wait_shutdown = 1;
            c->ssl->no_send_shutdown = 1;
            (void) ngx_ssl_shutdown(c);
        }
#endif

        ngx_close_connection(c);

        dial->connection = NULL;
        dial->log->connection = 0;
    }

    if (dial->pool != NULL) {
        ngx_destroy_pool(dial->pool);
        dial->pool = NULL;
    }
}
