/*
 * How a link gets its connection: the name is resolved, the addresses are
 * tried one after the other, TLS is agreed upon, and the greeting follows.
 */


#include "ngx_http_loyalty_redis_private.h"


static void ngx_http_loyalty_link_resolve(ngx_http_loyalty_link_t *link);
static void ngx_http_loyalty_link_resolved(ngx_resolver_ctx_t *ctx);
static void ngx_http_loyalty_link_next(ngx_http_loyalty_link_t *link);
static void ngx_http_loyalty_link_connect(ngx_http_loyalty_link_t *link);
static void ngx_http_loyalty_link_writable(ngx_event_t *ev);
static ngx_int_t ngx_http_loyalty_link_test(ngx_connection_t *c);
static void ngx_http_loyalty_link_connected(ngx_http_loyalty_link_t *link);


/* posted: begins an attempt, or goes on after the name was resolved */

void
ngx_http_loyalty_link_start(ngx_event_t *ev)
{
    ngx_http_loyalty_link_t   *link;
    ngx_http_loyalty_redis_t  *redis;

    link = ev->data;
    redis = link->redis;

    if (link->state == NGX_HTTP_LOYALTY_LINK_RESOLVING
        && link->resolve == NULL)
    {
        ngx_http_loyalty_link_next(link);
        return;
    }

    if (link->state != NGX_HTTP_LOYALTY_LINK_DOWN) {
        return;
    }

    ngx_add_timer(&link->timer, redis->connect_timeout);

    link->tried = 0;
    link->naddrs = 0;

    if (redis->host.len != 0) {
        ngx_http_loyalty_link_resolve(link);

    } else {
        ngx_memcpy(&link->addrs[0], redis->addr->sockaddr,
                   redis->addr->socklen);
        link->socklens[0] = redis->addr->socklen;
        link->naddrs = 1;

        ngx_http_loyalty_link_next(link);
    }

    ngx_http_loyalty_lists_gauges(link);
}


static void
ngx_http_loyalty_link_resolve(ngx_http_loyalty_link_t *link)
{
    ngx_resolver_ctx_t        *ctx;
    ngx_http_loyalty_redis_t  *redis;

    redis = link->redis;

    link->state = NGX_HTTP_LOYALTY_LINK_RESOLVING;
    link->log.action = "resolving the name of redis";

    ctx = ngx_resolve_start(redis->clcf->resolver, NULL);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        ngx_http_loyalty_link_lost(link);
        return;
    }

    ctx->name = redis->host;
    ctx->handler = ngx_http_loyalty_link_resolved;
    ctx->data = link;
    ctx->timeout = redis->connect_timeout;
    ctx->cancelable = 1;

    link->resolve = ctx;

    if (ngx_resolve_name(ctx) != NGX_OK) {
        link->resolve = NULL;
        ngx_http_loyalty_link_lost(link);
    }
}


/*
 * Called by the resolver, perhaps while it walks other waiters of the same
 * name: takes the addresses and leaves the rest to a posted event.
 */

static void
ngx_http_loyalty_link_resolved(ngx_resolver_ctx_t *ctx)
{
    ngx_uint_t                i, j;
    ngx_http_loyalty_link_t  *link;

    link = ctx->data;

    if (ctx->state != 0) {
        ngx_http_loyalty_trouble(link, NGX_HTTP_LOYALTY_TROUBLE_CONNECT,
                                 "\"%V\" could not be resolved (%i: %s)",
                                 &ctx->name, ctx->state,
                                 ngx_resolver_strerror(ctx->state));
    }

    /* workers begin with different addresses */
    j = (ctx->state == 0 && ctx->naddrs != 0)
            ? (ngx_uint_t) ngx_random() % ctx->naddrs : 0;

    for (i = 0; ctx->state == 0 && i < ctx->naddrs
                && i < NGX_HTTP_LOYALTY_REDIS_ADDRS; i++)
    {
        ngx_memcpy(&link->addrs[i], ctx->addrs[j].sockaddr,
                   ctx->addrs[j].socklen);
        link->socklens[i] = ctx->addrs[j].socklen;

        ngx_inet_set_port((struct sockaddr *) &link->addrs[i],
                          link->redis->port);

        link->naddrs++;
        j = (j + 1) % ctx->naddrs;
    }

    link->resolve = NULL;
    ngx_resolve_name_done(ctx);

    ngx_post_event(&link->start, &ngx_posted_events);
}


/* the next address, if any is left */

static void
ngx_http_loyalty_link_next(ngx_http_loyalty_link_t *link)
{
    while (link->tried < link->naddrs) {
        ngx_http_loyalty_link_hangup(link);
        ngx_http_loyalty_link_connect(link);

        if (link->connection != NULL
            || link->state == NGX_HTTP_LOYALTY_LINK_DOWN)
        {
            return;
        }
    }

    ngx_http_loyalty_link_lost(link);
}


static void
ngx_http_loyalty_link_connect(ngx_http_loyalty_link_t *link)
{
    ngx_int_t          rc;
    ngx_uint_t         i;
    ngx_connection_t  *c;

    i = link->tried++;

    link->state = NGX_HTTP_LOYALTY_LINK_CONNECTING;
    link->log.action = "connecting to redis";

    link->pool = ngx_create_pool(1024, &link->log);
    if (link->pool == NULL) {
        return;
    }

    link->name.data = link->text;
    link->name.len = ngx_sock_ntop((struct sockaddr *) &link->addrs[i],
                                   link->socklens[i], link->text,
                                   NGX_SOCKADDR_STRLEN, 1);

    ngx_memzero(&link->peer, sizeof(ngx_peer_connection_t));

    link->peer.sockaddr = (struct sockaddr *) &link->addrs[i];
    link->peer.socklen = link->socklens[i];
    link->peer.name = &link->name;
    link->peer.get = ngx_event_get_peer;
    link->peer.log = &link->log;
    link->peer.log_error = NGX_ERROR_ERR;

    rc = ngx_event_connect_peer(&link->peer);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        ngx_http_loyalty_link_hangup(link);
        return;
    }

    c = link->peer.connection;

    link->connection = c;
    link->log.connection = c->number;

    c->data = link;
    c->pool = link->pool;
    c->log = &link->log;
    c->read->log = &link->log;
    c->write->log = &link->log;
    c->read->handler = ngx_http_loyalty_link_writable;
    c->write->handler = ngx_http_loyalty_link_writable;

    if (rc == NGX_OK) {
        ngx_http_loyalty_link_connected(link);
    }
}


static void
ngx_http_loyalty_link_writable(ngx_event_t *ev)
{
    ngx_connection_t         *c;
    ngx_http_loyalty_link_t  *link;

    c = ev->data;
    link = c->data;

    if (c->close) {
        ngx_http_loyalty_link_close(link);
        return;
    }

    if (ngx_http_loyalty_link_test(c) != NGX_OK) {
        ngx_http_loyalty_link_next(link);
        return;
    }

    if (c->write->ready) {
        ngx_http_loyalty_link_connected(link);
    }
}


static ngx_int_t
ngx_http_loyalty_link_test(ngx_connection_t *c)
{
    int        err;
    socklen_t  len;

    err = 0;
    len = sizeof(int);

    /* some systems return the error by errno */

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err != 0) {
        (void) ngx_connection_error(c, err, "connecting failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_loyalty_link_connected(ngx_http_loyalty_link_t *link)
{
    ngx_connection_t  *c;

    c = link->connection;

    if (link->peer.sockaddr->sa_family != AF_UNIX
        && ngx_tcp_nodelay(c) != NGX_OK)
    {
        ngx_http_loyalty_link_lost(link);
        return;
    }

#if (NGX_SSL)

    if (link->redis->tls) {
        link->log.action = "TLS handshaking with redis";
        ngx_http_loyalty_tls_start(link);
        return;
    }

#endif

    ngx_http_loyalty_link_greet(link);
}


#if (NGX_SSL)

void
ngx_http_loyalty_link_secured(ngx_http_loyalty_link_t *link, ngx_int_t rc)
{
    if (link->connection->close) {
        ngx_http_loyalty_link_close(link);
        return;
    }

    if (rc != NGX_OK) {
        ngx_http_loyalty_link_next(link);
        return;
    }

    ngx_http_loyalty_link_greet(link);
}

#endif
