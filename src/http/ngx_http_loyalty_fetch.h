/*
 * A small HTTP/1.1 client on nginx's own connections, for the background work
 * of one worker: a beacon's rounds, an authority's timestamps.  One request,
 * one response of bounded size, and the connection is closed.
 *
 * At nginx -t a URL becomes a ngx_http_loyalty_url_t, which belongs to the
 * configuration; in a worker it also holds the list of what is under way, so
 * that nothing is left open when the worker leaves.
 *
 * A fetch never keeps a worker from leaving: its timers are cancelable.
 */

#ifndef _NGX_HTTP_LOYALTY_FETCH_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_FETCH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_loyalty_dial.h"
#include "ngx_http_loyalty_program.h"


typedef struct ngx_http_loyalty_fetch_s  ngx_http_loyalty_fetch_t;


typedef struct {
    ngx_str_t                         text;       /* as written */
    ngx_http_loyalty_program_t       *program;
    ngx_http_loyalty_place_t          place;
    ngx_http_loyalty_remote_t         remote;
    ngx_str_t                         host;       /* for the header */
    ngx_str_t                         path;       /* without "/" at its end */
    ngx_queue_t                       fetches;    /* in a worker: under way */
} ngx_http_loyalty_url_t;


/* ---- while the configuration is read ---- */

/*
 * "http://HOST[:PORT][/PATH]" or "https://...", HOST a name or an address.
 * Where it was written is remembered, what is wrong with it is logged: NULL.
 *
 * tls_ca: a file of the authorities that https trusts, or NULL: the system's.
 * The server's certificate and its name are always checked.
 */
ngx_http_loyalty_url_t *ngx_http_loyalty_url(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_str_t *url, ngx_str_t *tls_ca);

/* from init_main_conf, when all of http {} is read: a host name needs a
   resolver; logs the place of the URL */
ngx_int_t ngx_http_loyalty_url_check(ngx_conf_t *cf,
    ngx_http_loyalty_url_t *url);


/* ---- in a worker ---- */

typedef struct {
    /*
     * The status of a complete response, 200 to 299 or 400 to 599, with its
     * body, perhaps empty; or 0, and error says in words what went wrong: no
     * connection, a certificate, a timeout, a redirect (none is followed), a
     * response that is too large, cut off, or not HTTP.
     * All of it lives until the handler returns.
     */
    ngx_uint_t                        status;
    ngx_str_t                         body;
    ngx_str_t                         error;
} ngx_http_loyalty_fetched_t;

/*
 * Called exactly once for each fetch, never from within _fetch_start(); not
 * called any more after _fetch_cancel(), nor when the process ends.  The
 * fetch is gone when it is called.  It may start another one.
 */
typedef void (*ngx_http_loyalty_fetch_handler_pt)(void *data,
    ngx_http_loyalty_fetched_t *fetched);


typedef struct {
    ngx_http_loyalty_url_t           *url;
    ngx_str_t                         path;       /* behind the URL's own */
    ngx_str_t                         headers;    /* "Name: value" CRLF, each;
                                                     Host, Connection and
                                                     Content-Length are there
                                                     already */
    ngx_str_t                         body;       /* data NULL: GET, or POST */
    ngx_msec_t                        timeout;    /* for all of it */
    size_t                            max_body;   /* bytes of the response */
    ngx_http_loyalty_fetch_handler_pt handler;
    void                             *data;
} ngx_http_loyalty_fetch_conf_t;

/*
 * Starts one.  Everything in conf is copied.  NULL: no memory; the handler
 * will not be called.
 */
ngx_http_loyalty_fetch_t *ngx_http_loyalty_fetch_start(
    ngx_http_loyalty_fetch_conf_t *conf);

/* the connection is closed, the handler not called */
void ngx_http_loyalty_fetch_cancel(ngx_http_loyalty_fetch_t *fetch);

/* from exit_process: cancels all that is under way to this URL */
void ngx_http_loyalty_url_exit(ngx_http_loyalty_url_t *url);


#endif /* _NGX_HTTP_LOYALTY_FETCH_H_INCLUDED_ */
