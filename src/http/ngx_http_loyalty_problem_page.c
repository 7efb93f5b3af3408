/*
 * loyalty_problem: a location that answers with a problem, for error_page.
 * What nginx refuses by itself (limits, access rules) so looks like what
 * the APIs refuse.
 */

#include "ngx_http_loyalty_http.h"


#define NGX_HTTP_LOYALTY_RETRY_MOST  86400        /* s */


typedef struct {
    ngx_http_loyalty_problem_e    problem;        /* NONE: no directive */
    ngx_uint_t                    retry_after;    /* s, 0: the problem's */
} ngx_http_loyalty_page_conf_t;


static char *ngx_http_loyalty_problem(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_http_loyalty_problem_e ngx_http_loyalty_page_code(
    ngx_str_t *code);
static void *ngx_http_loyalty_page_create_conf(ngx_conf_t *cf);
static ngx_int_t ngx_http_loyalty_page(ngx_http_request_t *r);


static ngx_command_t  ngx_http_loyalty_page_commands[] = {

    { ngx_string("loyalty_problem"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_loyalty_problem,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_loyalty_page_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_loyalty_page_create_conf,     /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_loyalty_page_module = {
    NGX_MODULE_V1,
    &ngx_http_loyalty_page_module_ctx,     /* module context */
    ngx_http_loyalty_page_commands,        /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static char *
ngx_http_loyalty_problem(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_loyalty_page_conf_t *pcf = conf;

    time_t                        seconds;
    ngx_str_t                    *value, time;
    ngx_http_loyalty_loc_conf_t  *llcf;

    if (pcf->problem != NGX_HTTP_LOYALTY_P_NONE) {
        return "is duplicate";
    }

    value = cf->args->elts;
    pcf->problem = ngx_http_loyalty_page_code(&value[1]);

    /* that one is nothing without its "Allow" */

    if (pcf->problem == NGX_HTTP_LOYALTY_P_NONE
        || pcf->problem == NGX_HTTP_LOYALTY_P_METHOD)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid problem \"%V\" in \"loyalty_problem\": a "
                           "code such as \"rate_limited\" is expected",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 3) {

        seconds = 0;

        if (ngx_strncmp(value[2].data, "retry_after=", 12) == 0) {
            time.data = value[2].data + 12;
            time.len = value[2].len - 12;
            seconds = ngx_parse_time(&time, 1);
        }

        if (seconds < 1 || seconds > NGX_HTTP_LOYALTY_RETRY_MOST) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" of "
                               "\"loyalty_problem\": \"retry_after=\" with a "
                               "time from 1s to 1d is expected", &value[2]);
            return NGX_CONF_ERROR;
        }

        pcf->retry_after = (ngx_uint_t) seconds;
    }

    /* what is refused costs no lookup */

    llcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_loyalty_module);

    return ngx_http_loyalty_serve(cf, llcf, NGX_HTTP_LOYALTY_PROBLEM,
                                  ngx_http_loyalty_page);
}


static ngx_http_loyalty_problem_e
ngx_http_loyalty_page_code(ngx_str_t *code)
{
    ngx_uint_t   i;
    ngx_str_t   *known;

    for (i = NGX_HTTP_LOYALTY_P_NONE + 1; i < NGX_HTTP_LOYALTY_PROBLEMS; i++)
    {
        known = &ngx_http_loyalty_problems[i].code;

        if (known->len == code->len
            && ngx_memcmp(known->data, code->data, code->len) == 0)
        {
            return (ngx_http_loyalty_problem_e) i;
        }
    }

    return NGX_HTTP_LOYALTY_P_NONE;
}


static void *
ngx_http_loyalty_page_create_conf(ngx_conf_t *cf)
{
    /* by ngx_pcalloc(): problem is NONE, retry_after 0 */

    return ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_page_conf_t));
}


static ngx_int_t
ngx_http_loyalty_page(ngx_http_request_t *r)
{
    ngx_http_loyalty_page_conf_t  *pcf;

    pcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_page_module);

    return ngx_http_loyalty_problem_send_after(r, pcf->problem,
                                               pcf->retry_after);
}
