/*
 * How a link gets its connection: it is dialled, and the greeting follows.
 */


#include "ngx_http_loyalty_redis_private.h"


static void ngx_http_loyalty_link_dialled(ngx_http_loyalty_dial_t *dial,
    ngx_int_t rc);
static void ngx_http_loyalty_link_trouble(ngx_http_loyalty_dial_t *dial,
    ngx_str_t *text);


/* posted: begins an attempt */

void
ngx_http_loyalty_link_start(ngx_event_t *ev)
{
    ngx_http_loyalty_link_t   *link;
    ngx_http_loyalty_redis_t  *redis;

    link = ev->data;
    redis = link->redis;

    if (link->state != NGX_HTTP_LOYALTY_LINK_DOWN) {
        return;
    }

    ngx_add_timer(&link->timer, redis->connect_timeout);

    link->state = NGX_HTTP_LOYALTY_LINK_CONNECTING;

    link->dial.data = link;
    link->dial.handler = ngx_http_loyalty_link_dialled;
    link->dial.trouble = ngx_http_loyalty_link_trouble;

    ngx_http_loyalty_dial_start(&link->dial, redis->connect_timeout);

    ngx_http_loyalty_lists_gauges(link);
}


static void
ngx_http_loyalty_link_dialled(ngx_http_loyalty_dial_t *dial, ngx_int_t rc)
{
    ngx_http_loyalty_link_t  *link;

    link = dial->data;

    if (rc == NGX_OK) {
        ngx_http_loyalty_link_greet(link);

    } else if (rc == NGX_ABORT) {
        ngx_http_loyalty_link_close(link);

    } else {
        ngx_http_loyalty_link_lost(link);
    }
}


static void
ngx_http_loyalty_link_trouble(ngx_http_loyalty_dial_t *dial, ngx_str_t *text)
{
    ngx_http_loyalty_trouble(dial->data, NGX_HTTP_LOYALTY_TROUBLE_CONNECT,
                             "%V", text);
}
