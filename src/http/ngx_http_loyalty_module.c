/*
 * The module: its directives outside loyalty_program, which location serves
 * which API, and the programs' connections in the life of a process.
 *
 * A location names a program that may be written further down, so names are
 * kept and looked up when all of http {} has been read.
 */

#include "ngx_http_loyalty_admin.h"
#include "ngx_http_loyalty_beacon.h"
#include "ngx_http_loyalty_draws.h"
#include "ngx_http_loyalty_timestamp.h"


/* a program's name where it was used */

typedef struct {
    ngx_str_t                     name;
    const char                   *directive;
    ngx_http_loyalty_loc_conf_t  *conf;
} ngx_http_loyalty_reference_t;


static char *ngx_http_loyalty_api(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_http_handler_pt ngx_http_loyalty_api_handler(ngx_uint_t api);
static char *ngx_http_loyalty_member_directive(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_loyalty_metrics_directive(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_loyalty_actor_directive(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static ngx_int_t ngx_http_loyalty_location_check(ngx_conf_t *cf);
static ngx_int_t ngx_http_loyalty_alone_check(ngx_conf_t *cf,
    ngx_http_loyalty_loc_conf_t *conf);

static void *ngx_http_loyalty_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_loyalty_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_loyalty_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_loyalty_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static void ngx_http_loyalty_limit_body(ngx_conf_t *cf,
    ngx_http_loyalty_loc_conf_t *conf);
static void ngx_http_loyalty_inherit_api(ngx_conf_t *cf,
    ngx_http_loyalty_loc_conf_t *prev, ngx_http_loyalty_loc_conf_t *conf);

static ngx_int_t ngx_http_loyalty_init_process(ngx_cycle_t *cycle);
static void ngx_http_loyalty_exit_process(ngx_cycle_t *cycle);


static ngx_command_t  ngx_http_loyalty_commands[] = {

    { ngx_string("loyalty_program"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_loyalty_program_block,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("loyalty_event_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_loyalty_api,
      NGX_HTTP_LOC_CONF_OFFSET,
      NGX_HTTP_LOYALTY_EVENT_API,
      NULL },

    { ngx_string("loyalty_member_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_api,
      NGX_HTTP_LOC_CONF_OFFSET,
      NGX_HTTP_LOYALTY_MEMBER_API,
      NULL },

    { ngx_string("loyalty_admin_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_loyalty_api,
      NGX_HTTP_LOC_CONF_OFFSET,
      NGX_HTTP_LOYALTY_ADMIN_API,
      NULL },

    { ngx_string("loyalty_proof"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_api,
      NGX_HTTP_LOC_CONF_OFFSET,
      NGX_HTTP_LOYALTY_PROOF_API,
      NULL },

    { ngx_string("loyalty_actor"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_actor_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_loyalty_loc_conf_t, actor),
      NULL },

    { ngx_string("loyalty_member"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_member_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_loyalty_loc_conf_t, member),
      NULL },

    { ngx_string("loyalty_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_loyalty_metrics_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_loyalty_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    ngx_http_loyalty_create_main_conf,     /* create main configuration */
    ngx_http_loyalty_init_main_conf,       /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_loyalty_create_loc_conf,      /* create location configuration */
    ngx_http_loyalty_merge_loc_conf        /* merge location configuration */
};


ngx_module_t  ngx_http_loyalty_module = {
    NGX_MODULE_V1,
    &ngx_http_loyalty_module_ctx,          /* module context */
    ngx_http_loyalty_commands,             /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_loyalty_init_process,         /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_loyalty_exit_process,         /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static char *
ngx_http_loyalty_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_loyalty_loc_conf_t *llcf = conf;

    ngx_str_t                     *value;
    ngx_http_loyalty_reference_t  *ref;
    ngx_http_loyalty_main_conf_t  *lmcf;

    if (llcf->api != NGX_HTTP_LOYALTY_NO_API) {
        return "is duplicate or the location has another API already";
    }

    if (ngx_http_loyalty_location_check(cf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    if (cf->args->nelts == 3) {

        if (ngx_strcmp(value[2].data, "trusted") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" of \"%V\": "
                               "\"trusted\" or nothing is expected",
                               &value[2], &cmd->name);
            return NGX_CONF_ERROR;
        }

        llcf->trusted = 1;
    }

    lmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_loyalty_module);

    ref = ngx_array_push(&lmcf->references);
    if (ref == NULL) {
        return NGX_CONF_ERROR;
    }

    ref->name = value[1];
    ref->directive = (const char *) cmd->name.data;
    ref->conf = llcf;

    return ngx_http_loyalty_serve(cf, llcf, cmd->offset,
                                  ngx_http_loyalty_api_handler(cmd->offset));
}


char *
ngx_http_loyalty_serve(ngx_conf_t *cf, ngx_http_loyalty_loc_conf_t *llcf,
    ngx_uint_t api, ngx_http_handler_pt handler)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler != NULL) {
        return "is in a location that has another handler already";
    }

    clcf->handler = handler;

    llcf->api = api;
    llcf->handler = handler;
    llcf->place.file = cf->conf_file->file.name.data;
    llcf->place.line = cf->conf_file->line;

    return NGX_CONF_OK;
}


static ngx_http_handler_pt
ngx_http_loyalty_api_handler(ngx_uint_t api)
{
    switch (api) {

    case NGX_HTTP_LOYALTY_EVENT_API:
        return ngx_http_loyalty_event_api;

    case NGX_HTTP_LOYALTY_MEMBER_API:
        return ngx_http_loyalty_member_api;

    case NGX_HTTP_LOYALTY_ADMIN_API:
        return ngx_http_loyalty_admin_api;

    case NGX_HTTP_LOYALTY_PROOF_API:
        return ngx_http_loyalty_proof;

    default: /* NGX_HTTP_LOYALTY_METRICS_API */
        return ngx_http_loyalty_metrics;
    }
}


/* a "$" that was forgotten would give one account to all members */

static char *
ngx_http_loyalty_member_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_loyalty_loc_conf_t *llcf = conf;

    char       *rv;
    ngx_str_t  *value;

    rv = ngx_http_set_complex_value_slot(cf, cmd, conf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    value = cf->args->elts;

    if (llcf->member->lengths == NULL && value[1].len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"loyalty_member\" is \"%V\" for everybody: a "
                           "variable, such as \"$remote_user\", is expected",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_loyalty_metrics_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_loyalty_loc_conf_t *llcf = conf;

    if (llcf->api != NGX_HTTP_LOYALTY_NO_API) {
        return "is duplicate or the location has another API already";
    }

    return ngx_http_loyalty_serve(cf, llcf, NGX_HTTP_LOYALTY_METRICS_API,
                                  ngx_http_loyalty_metrics);
}


/* one that is always refused would leave an API that answers nobody */

static char *
ngx_http_loyalty_actor_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_loyalty_loc_conf_t *llcf = conf;

    char       *rv;
    ngx_str_t  *value;

    rv = ngx_http_set_complex_value_slot(cf, cmd, conf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    value = cf->args->elts;

    if (llcf->actor->lengths == NULL
        && ngx_http_loyalty_text_check(&value[1], NGX_HTTP_LOYALTY_ACTOR)
           != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"loyalty_actor\" \"%V\": 1 to 128 bytes "
                           "of printable UTF-8, or a variable, are expected",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* the API's path is what follows the location's prefix: there must be one */

static ngx_int_t
ngx_http_loyalty_location_check(ngx_conf_t *cf)
{
    ngx_str_t                 *value;
    ngx_uint_t                 prefix;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    prefix = (clcf->name.len && clcf->name.data[0] == '/'
              && !clcf->named && !clcf->exact_match);

#if (NGX_PCRE)
    prefix = (prefix && clcf->regex == NULL);
#endif

    if (prefix) {
        return NGX_OK;
    }

    value = cf->args->elts;

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%V\" cannot be used in location \"%V\": what "
                       "follows the location's prefix is the API's path, so "
                       "a prefix location such as \"location /loyalty/\" is "
                       "expected", &value[0], &clcf->name);

    return NGX_ERROR;
}


static void *
ngx_http_loyalty_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_loyalty_main_conf_t  *lmcf;

    lmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_main_conf_t));
    if (lmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&lmcf->programs, cf->pool, 1,
                       sizeof(ngx_http_loyalty_program_t *))
        != NGX_OK
        || ngx_array_init(&lmcf->references, cf->pool, 4,
                          sizeof(ngx_http_loyalty_reference_t))
           != NGX_OK)
    {
        return NULL;
    }

    lmcf->random = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_random_t));
    if (lmcf->random == NULL) {
        return NULL;
    }

    return lmcf;
}


static char *
ngx_http_loyalty_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_loyalty_main_conf_t *lmcf = conf;

    ngx_uint_t                     i;
    ngx_http_loyalty_program_t   **program;
    ngx_http_loyalty_reference_t  *ref;

    static ngx_str_t  request_id = ngx_string("request_id");

    ref = lmcf->references.elts;

    for (i = 0; i < lmcf->references.nelts; i++) {

        ref[i].conf->program = ngx_http_loyalty_program_find(lmcf,
                                                             &ref[i].name);

        if (ref[i].conf->program == NULL) {
            ngx_http_loyalty_conf_error(cf, &ref[i].conf->place,
                                        "unknown program \"%V\" in \"%s\": "
                                        "the name of a \"loyalty_program\" "
                                        "is expected",
                                        &ref[i].name, ref[i].directive);
            return NGX_CONF_ERROR;
        }
    }

    program = lmcf->programs.elts;

    for (i = 0; i < lmcf->programs.nelts; i++) {
        if (ngx_http_loyalty_variables_check(cf, program[i]) != NGX_OK
            || ngx_http_loyalty_redis_check(cf, program[i]) != NGX_OK
            || ngx_http_loyalty_beacon_check(cf, program[i]) != NGX_OK
            || ngx_http_loyalty_timestamp_check(cf, program[i]) != NGX_OK
            || ngx_http_loyalty_dump(cf, program[i]) != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    lmcf->request_id = ngx_http_get_variable_index(cf, &request_id);

    if (lmcf->request_id == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_loyalty_stats_zone(cf, &lmcf->programs) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static void *
ngx_http_loyalty_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_loyalty_loc_conf_t  *llcf;

    llcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_loc_conf_t));
    if (llcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     llcf->program = NULL;
     *     llcf->api = NGX_HTTP_LOYALTY_NO_API;
     *     llcf->handler = NULL;
     *     llcf->trusted = 0;
     *     llcf->max_body = 0;
     *     llcf->place = { NULL, 0 };
     */

    llcf->member = NGX_CONF_UNSET_PTR;
    llcf->actor = NGX_CONF_UNSET_PTR;

    return llcf;
}


static char *
ngx_http_loyalty_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_loyalty_loc_conf_t *prev = parent;
    ngx_http_loyalty_loc_conf_t *conf = child;

    ngx_conf_merge_ptr_value(conf->member, prev->member, NULL);
    ngx_conf_merge_ptr_value(conf->actor, prev->actor, NULL);

    if (ngx_http_loyalty_alone_check(cf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    ngx_http_loyalty_inherit_api(cf, prev, conf);

    if (conf->api == NGX_HTTP_LOYALTY_MEMBER_API && conf->member == NULL) {
        ngx_http_loyalty_conf_error(cf, &conf->place,
                                    "\"loyalty_member_api\" needs a "
                                    "\"loyalty_member\" that says who asks, "
                                    "such as \"loyalty_member "
                                    "$remote_user\"");
        return NGX_CONF_ERROR;
    }

    if (conf->api == NGX_HTTP_LOYALTY_EVENT_API
        || conf->api == NGX_HTTP_LOYALTY_MEMBER_API
        || conf->api == NGX_HTTP_LOYALTY_ADMIN_API)
    {
        ngx_http_loyalty_limit_body(cf, conf);
    }

    return NGX_CONF_OK;
}


/* "proxy_pass" and the like, written behind an API, would answer for it */

static ngx_int_t
ngx_http_loyalty_alone_check(ngx_conf_t *cf,
    ngx_http_loyalty_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (conf->api == NGX_HTTP_LOYALTY_NO_API
        || clcf->handler == conf->handler)
    {
        return NGX_OK;
    }

    ngx_http_loyalty_conf_error(cf, &conf->place,
                                "location \"%V\" would not be answered by "
                                "this: another directive in it, such as "
                                "\"proxy_pass\", sets another handler",
                                &clcf->name);
    return NGX_ERROR;
}


/*
 * nginx would answer a body over client_max_body_size with a page in HTML,
 * before any handler of the location is asked: the limit moves to the
 * handler, which answers with a problem.
 */

static void
ngx_http_loyalty_limit_body(ngx_conf_t *cf, ngx_http_loyalty_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->client_max_body_size) {
        conf->max_body = clcf->client_max_body_size;
        clcf->client_max_body_size = 0;
    }
}


/* "if" and "limit_except" in a location have configurations of their own,
   but are the same place to who asks */

static void
ngx_http_loyalty_inherit_api(ngx_conf_t *cf,
    ngx_http_loyalty_loc_conf_t *prev, ngx_http_loyalty_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (conf->api != NGX_HTTP_LOYALTY_NO_API
        || prev->api == NGX_HTTP_LOYALTY_NO_API
        || prev->api == NGX_HTTP_LOYALTY_PROBLEM
        || clcf->handler != NULL
        || !(clcf->noname || clcf->lmt_excpt))
    {
        return;
    }

    conf->api = prev->api;
    conf->program = prev->program;
    conf->trusted = prev->trusted;
    conf->place = prev->place;

    conf->handler = prev->handler;

    clcf->handler = conf->handler;
}


static ngx_int_t
ngx_http_loyalty_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                     i;
    ngx_http_loyalty_program_t   **program;
    ngx_http_loyalty_main_conf_t  *lmcf;

    /* the cache manager and the cache loader are processes, too */

    if (ngx_process != NGX_PROCESS_WORKER
        && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    lmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_loyalty_module);

    if (lmcf == NULL || lmcf->programs.nelts == 0) {
        return NGX_OK;
    }

    /* jansson seeds its hashes from a device: not while a request waits */

    json_object_seed(0);

    program = lmcf->programs.elts;

    for (i = 0; i < lmcf->programs.nelts; i++) {
        if (ngx_http_loyalty_redis_init_process(cycle, program[i]) != NGX_OK
            || ngx_http_loyalty_pools_init_process(cycle, program[i])
               != NGX_OK
            || ngx_http_loyalty_beacon_init_process(cycle, program[i])
               != NGX_OK
            || ngx_http_loyalty_draws_init_process(cycle, program[i])
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void
ngx_http_loyalty_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                     i;
    ngx_http_loyalty_program_t   **program;
    ngx_http_loyalty_main_conf_t  *lmcf;

    if (ngx_process != NGX_PROCESS_WORKER
        && ngx_process != NGX_PROCESS_SINGLE)
    {
        return;
    }

    lmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_loyalty_module);

    if (lmcf == NULL) {
        return;
    }

    program = lmcf->programs.elts;

    for (i = 0; i < lmcf->programs.nelts; i++) {
        ngx_http_loyalty_draws_exit_process(cycle, program[i]);
        ngx_http_loyalty_timestamp_exit_process(program[i]);
        ngx_http_loyalty_beacon_exit_process(program[i]);
        ngx_http_loyalty_redis_exit_process(cycle, program[i]);
    }
}
