/*
 * URLs in the configuration: what they may look like, and what they mean.
 */


#include "ngx_http_loyalty_fetch.h"
#include "ngx_http_loyalty_private.h"


#define NGX_HTTP_LOYALTY_URL  255                 /* bytes */


static ngx_int_t ngx_http_loyalty_url_split(ngx_http_loyalty_url_t *url,
    ngx_str_t *host);
static ngx_uint_t ngx_http_loyalty_url_char(u_char c);


ngx_http_loyalty_url_t *
ngx_http_loyalty_url(ngx_conf_t *cf, ngx_http_loyalty_program_t *program,
    ngx_str_t *text, ngx_str_t *tls_ca)
{
    char                       *err;
    ngx_int_t                   rc;
    ngx_str_t                   host;
    ngx_http_conf_ctx_t        *ctx;
    ngx_http_loyalty_url_t     *url;
    ngx_http_loyalty_block_t   *block;
    ngx_http_loyalty_remote_t  *remote;

    url = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_url_t));
    if (url == NULL) {
        return NULL;
    }

    block = cf->ctx;
    ctx = block->http_ctx;

    url->text = *text;
    url->program = program;
    ngx_http_loyalty_place(cf, &url->place);
    ngx_queue_init(&url->fetches);

    /* what the configuration's lexer gives ends with '\0' */

    remote = &url->remote;
    remote->what = (char *) text->data;
    remote->clcf = ctx->loc_conf[ngx_http_core_module.ctx_index];
    remote->log_error = NGX_ERROR_INFO;
    remote->tls_verify = 1;

    err = NULL;
    rc = ngx_http_loyalty_url_split(url, &host);

    if (rc == NGX_OK) {
        rc = ngx_http_loyalty_remote_address(cf, remote, &host,
                                             remote->tls ? 443 : 80, &err);
    }

    if (rc == NGX_DECLINED) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid URL \"%V\"%s%s: http://HOST[:PORT][/PATH] "
                           "or https://HOST[:PORT][/PATH] is expected",
                           text, err ? ", " : "", err ? err : "");
    }

    if (rc != NGX_OK) {
        return NULL;
    }

    url->host = host;

    if (remote->tls) {
        remote->tls_name = remote->server;

        if (tls_ca != NULL) {
            remote->tls_ca = *tls_ca;
        }

        if (ngx_http_loyalty_remote_tls(cf, remote) != NGX_OK) {
            return NULL;
        }
    }

    return url;
}


/* scheme, host with its port, path; NGX_DECLINED: no URL that serves here */

static ngx_int_t
ngx_http_loyalty_url_split(ngx_http_loyalty_url_t *url, ngx_str_t *host)
{
    u_char      *p, *last;
    size_t       scheme;
    ngx_str_t   *text;

    text = &url->text;

    if (text->len > NGX_HTTP_LOYALTY_URL) {
        return NGX_DECLINED;
    }

    if (ngx_strncasecmp(text->data, (u_char *) "http://", 7) == 0) {
        scheme = 7;

    } else if (ngx_strncasecmp(text->data, (u_char *) "https://", 8) == 0) {
        scheme = 8;
        url->remote.tls = 1;

    } else {
        return NGX_DECLINED;
    }

    last = text->data + text->len;

    for (p = text->data; p < last; p++) {
        if (!ngx_http_loyalty_url_char(*p)) {
            return NGX_DECLINED;
        }
    }

    host->data = text->data + scheme;

    p = ngx_strlchr(host->data, last, '/');
    if (p == NULL) {
        p = last;
    }

    host->len = p - host->data;

    while (last > p && last[-1] == '/') {
        last--;
    }

    url->path.data = p;
    url->path.len = last - p;

    /* "unix:" would be an address of another kind */

    if (host->len == 0
        || ngx_strncasecmp(host->data, (u_char *) "unix:", 5) == 0)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* no user, no query, no fragment, and nothing that a URL must not have */

static ngx_uint_t
ngx_http_loyalty_url_char(u_char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9')
           || (c != '\0' && strchr("-._~!$&'()*+,;=:/%[]", c) != NULL);
}


ngx_int_t
ngx_http_loyalty_url_check(ngx_conf_t *cf, ngx_http_loyalty_url_t *url)
{
    if (ngx_http_loyalty_remote_check(&url->remote) != NGX_OK) {
        ngx_http_loyalty_conf_error(cf, &url->place,
                                    "\"%V\" has a host name, which needs a "
                                    "\"resolver\" in http {}", &url->text);
        return NGX_ERROR;
    }

    return NGX_OK;
}
