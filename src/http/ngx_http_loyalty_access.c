/*
 * The rule that nginx -t holds every location to whose API can credit any
 * member: clients are known by a signature or a certificate, or the word
 * "trusted" says that other directives see to it.
 */

#include "ngx_http_loyalty_access.h"


static ngx_int_t ngx_http_loyalty_verified(ngx_conf_t *cf);
static ngx_int_t ngx_http_loyalty_ssl_only(ngx_conf_t *cf);


ngx_int_t
ngx_http_loyalty_access_rule(ngx_conf_t *cf,
    ngx_http_loyalty_loc_conf_t *llcf)
{
    const char  *name;

    switch (llcf->api) {

    case NGX_HTTP_LOYALTY_EVENT_API:
        name = "loyalty_event_api";
        break;

    case NGX_HTTP_LOYALTY_ADMIN_API:
        name = "loyalty_admin_api";
        break;

    default:
        return NGX_OK;
    }

    if (llcf->trusted || ngx_http_loyalty_verified(cf) == NGX_OK) {
        return NGX_OK;
    }

    ngx_http_loyalty_conf_error(cf, &llcf->place,
                                "\"%s\" is open to anyone: write "
                                "\"loyalty_signature key_file=FILE\", or "
                                "\"ssl_verify_client on\" in the server and "
                                "\"ssl\" in each of its \"listen\" "
                                "directives, or add \"trusted\" where other "
                                "directives restrict access", name);

    return NGX_ERROR;
}


/* clients show a certificate on every way into the server */

static ngx_int_t
ngx_http_loyalty_verified(ngx_conf_t *cf)
{
#if (NGX_HTTP_SSL)
    ngx_http_ssl_srv_conf_t  *sscf;

    sscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_ssl_module);

    if (sscf != NULL && sscf->verify == 1) {
        return ngx_http_loyalty_ssl_only(cf);
    }
#endif

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_loyalty_ssl_only(ngx_conf_t *cf)
{
#if (NGX_HTTP_SSL)
    ngx_uint_t                   p, a, s;
    ngx_http_conf_port_t        *port;
    ngx_http_conf_addr_t        *addr;
    ngx_http_core_srv_conf_t    *cscf, **servers;
    ngx_http_core_main_conf_t   *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);

    if (cmcf->ports == NULL) {
        return NGX_DECLINED;
    }

    port = cmcf->ports->elts;

    for (p = 0; p < cmcf->ports->nelts; p++) {
        addr = port[p].addrs.elts;

        for (a = 0; a < port[p].addrs.nelts; a++) {

            if (addr[a].opt.ssl) {
                continue;
            }

#if (NGX_HTTP_V3 && nginx_version >= 1025000)
            if (addr[a].opt.quic) {
                continue;
            }
#endif

            servers = addr[a].servers.elts;

            for (s = 0; s < addr[a].servers.nelts; s++) {
                if (servers[s] == cscf) {
                    return NGX_DECLINED;
                }
            }
        }
    }

    return NGX_OK;
#else
    return NGX_DECLINED;
#endif
}
