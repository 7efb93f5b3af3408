/*
 * loyalty_lookup: the member is read before the request is passed on, so
 * that backends, pages and logs know whom they serve.
 *
 * It never does harm: whatever happens to Redis, the request goes on after
 * the timeout at the latest, with empty variables.  It waits in the
 * precontent phase, behind all that may refuse the request, or, where
 * limit_req and access rules are to know the member, in the preaccess phase
 * before them.  What it found stays with the request through internal
 * redirects; subrequests see it and do not look up themselves.
 */

#include "ngx_http_loyalty_lookup.h"


static void *ngx_http_loyalty_lookup_create_main(ngx_conf_t *cf);
static char *ngx_http_loyalty_lookup_init_main(ngx_conf_t *cf, void *conf);
static void *ngx_http_loyalty_lookup_create_conf(ngx_conf_t *cf);
static char *ngx_http_loyalty_lookup_merge_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_http_loyalty_lookup_phases(ngx_conf_t *cf);

static ngx_int_t ngx_http_loyalty_lookup_preaccess(ngx_http_request_t *r);
static ngx_int_t ngx_http_loyalty_lookup_precontent(ngx_http_request_t *r);
static ngx_int_t ngx_http_loyalty_lookup_run(ngx_http_request_t *r,
    ngx_uint_t phase);
static ngx_int_t ngx_http_loyalty_lookup_start(
    ngx_http_loyalty_lookup_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_lookup_cached(
    ngx_http_loyalty_lookup_ctx_t *ctx, ngx_str_t *key);
static ngx_int_t ngx_http_loyalty_lookup_wait(
    ngx_http_loyalty_lookup_ctx_t *ctx);
static void ngx_http_loyalty_lookup_done(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static ngx_http_loyalty_lookup_e ngx_http_loyalty_lookup_value(
    ngx_http_loyalty_lookup_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static void ngx_http_loyalty_lookup_keep(ngx_http_loyalty_lookup_ctx_t *ctx,
    u_char *value);
static void ngx_http_loyalty_lookup_timeout(ngx_event_t *ev);
static void ngx_http_loyalty_lookup_resume(
    ngx_http_loyalty_lookup_ctx_t *ctx);
static void ngx_http_loyalty_lookup_count(
    ngx_http_loyalty_lookup_ctx_t *ctx);
static void ngx_http_loyalty_lookup_cleanup(void *data);


static ngx_command_t  ngx_http_loyalty_lookup_commands[] = {

    { ngx_string("loyalty_lookup"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF
                        |NGX_CONF_1MORE,
      ngx_http_loyalty_lookup_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("loyalty_lookup_cache"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_cache_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_loyalty_lookup_module_ctx = {
    ngx_http_loyalty_lookup_variables,     /* preconfiguration */
    ngx_http_loyalty_lookup_phases,        /* postconfiguration */

    ngx_http_loyalty_lookup_create_main,   /* create main configuration */
    ngx_http_loyalty_lookup_init_main,     /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_loyalty_lookup_create_conf,   /* create location configuration */
    ngx_http_loyalty_lookup_merge_conf     /* merge location configuration */
};


ngx_module_t  ngx_http_loyalty_lookup_module = {
    NGX_MODULE_V1,
    &ngx_http_loyalty_lookup_module_ctx,   /* module context */
    ngx_http_loyalty_lookup_commands,      /* module directives */
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


static void *
ngx_http_loyalty_lookup_create_main(ngx_conf_t *cf)
{
    ngx_http_loyalty_lookup_main_t  *lmcf;

    lmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_lookup_main_t));
    if (lmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&lmcf->lookups, cf->pool, 4,
                       sizeof(ngx_http_loyalty_lookup_t *))
        != NGX_OK
        || ngx_array_init(&lmcf->caches, cf->pool, 1,
                          sizeof(ngx_http_loyalty_cache_t *))
           != NGX_OK)
    {
        return NULL;
    }

    return lmcf;
}


static char *
ngx_http_loyalty_lookup_init_main(ngx_conf_t *cf, void *conf)
{
    ngx_http_loyalty_lookup_main_t *lmcf = conf;

    ngx_uint_t                      i;
    ngx_http_loyalty_lookup_t     **lookup;
    ngx_http_loyalty_main_conf_t   *main;

    main = ngx_http_conf_get_module_main_conf(cf, ngx_http_loyalty_module);
    lookup = lmcf->lookups.elts;

    for (i = 0; i < lmcf->lookups.nelts; i++) {

        lookup[i]->program = ngx_http_loyalty_program_find(main,
                                                           &lookup[i]->name);

        if (lookup[i]->program == NULL) {
            ngx_http_loyalty_conf_error(cf, &lookup[i]->place,
                                        "unknown program \"%V\" in "
                                        "\"loyalty_lookup\": the name of a "
                                        "\"loyalty_program\" is expected",
                                        &lookup[i]->name);
            return NGX_CONF_ERROR;
        }

        if (lookup[i]->cached.len == 0) {
            continue;
        }

        lookup[i]->cache = ngx_http_loyalty_cache_named(lmcf,
                                                        &lookup[i]->cached);

        if (lookup[i]->cache == NULL) {
            ngx_http_loyalty_conf_error(cf, &lookup[i]->place,
                                        "unknown cache \"%V\" in "
                                        "\"loyalty_lookup\": the zone of a "
                                        "\"loyalty_lookup_cache\" is expected",
                                        &lookup[i]->cached);
            return NGX_CONF_ERROR;
        }

        ngx_http_loyalty_cache_source(lookup[i]);
    }

    lmcf->patience = ngx_pcalloc(cf->pool,
                                 (main->programs.nelts + 1)
                                 * sizeof(ngx_http_loyalty_patience_t));
    if (lmcf->patience == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < lmcf->lookups.nelts; i++) {
        lmcf->patience[lookup[i]->program->index].program
                                                       = lookup[i]->program;
    }

    return NGX_CONF_OK;
}


static void *
ngx_http_loyalty_lookup_create_conf(ngx_conf_t *cf)
{
    ngx_http_loyalty_lookup_conf_t  *lcf;

    lcf = ngx_palloc(cf->pool, sizeof(ngx_http_loyalty_lookup_conf_t));
    if (lcf == NULL) {
        return NULL;
    }

    lcf->lookup = NGX_CONF_UNSET_PTR;

    return lcf;
}


static char *
ngx_http_loyalty_lookup_merge_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_loyalty_lookup_conf_t *prev = parent;
    ngx_http_loyalty_lookup_conf_t *conf = child;

    ngx_http_loyalty_loc_conf_t  *llcf;

    llcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_loyalty_module);

    /* an API reads the member itself, a problem needs none */

    if (conf->lookup == NGX_CONF_UNSET_PTR
        && llcf->api != NGX_HTTP_LOYALTY_NO_API)
    {
        conf->lookup = NULL;
    }

    ngx_conf_merge_ptr_value(conf->lookup, prev->lookup, NULL);

    if (conf->lookup != NULL && conf->lookup->member == NULL
        && llcf->member == NULL)
    {
        ngx_http_loyalty_conf_error(cf, &conf->lookup->place,
                                    "\"loyalty_lookup\" needs \"member=\", "
                                    "or a \"loyalty_member\" in each location "
                                    "that it is for");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* handlers that are pushed last are asked first: limit_req comes after */

static ngx_int_t
ngx_http_loyalty_lookup_phases(ngx_conf_t *cf)
{
    ngx_http_handler_pt             *h;
    ngx_http_core_main_conf_t       *cmcf;
    ngx_http_loyalty_lookup_main_t  *lmcf;

    lmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_loyalty_lookup_module);

    if (ngx_http_loyalty_lookup_variables_check(cf, &lmcf->lookups)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (lmcf->lookups.nelts == 0) {
        return NGX_OK;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PREACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_loyalty_lookup_preaccess;

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_loyalty_lookup_precontent;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_lookup_preaccess(ngx_http_request_t *r)
{
    return ngx_http_loyalty_lookup_run(r, NGX_HTTP_PREACCESS_PHASE);
}


static ngx_int_t
ngx_http_loyalty_lookup_precontent(ngx_http_request_t *r)
{
    return ngx_http_loyalty_lookup_run(r, NGX_HTTP_PRECONTENT_PHASE);
}


static ngx_int_t
ngx_http_loyalty_lookup_run(ngx_http_request_t *r, ngx_uint_t phase)
{
    ngx_http_cleanup_t              *cln;
    ngx_pool_cleanup_t              *pcln;
    ngx_http_loyalty_lookup_t       *lookup;
    ngx_http_loyalty_lookup_ctx_t   *ctx;
    ngx_http_loyalty_lookup_conf_t  *lcf;
    ngx_http_loyalty_lookup_main_t  *lmcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_lookup_module);
    lookup = lcf->lookup;

    if (lookup == NULL || lookup->phase != phase || r != r->main) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_loyalty_lookup_ctx(r);

    if (ctx != NULL && ctx->lookup == lookup) {
        return (ctx->status == NGX_HTTP_LOYALTY_LOOKUP_WAITS)
               ? NGX_AGAIN : NGX_DECLINED;
    }

    /* the pool's cleanup keeps it until the request has been logged, that of
       the request takes its operation back when the request ends */

    pcln = ngx_pool_cleanup_add(r->pool,
                                sizeof(ngx_http_loyalty_lookup_ctx_t));
    cln = ngx_http_cleanup_add(r, 0);

    if (pcln == NULL || cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx = pcln->data;
    ngx_memzero(ctx, sizeof(ngx_http_loyalty_lookup_ctx_t));

    pcln->handler = ngx_http_loyalty_lookup_cleanup;
    cln->handler = ngx_http_loyalty_lookup_cleanup;
    cln->data = ctx;

    lmcf = ngx_http_get_module_main_conf(r, ngx_http_loyalty_lookup_module);

    ctx->request = r;
    ctx->lookup = lookup;
    ctx->patience = &lmcf->patience[lookup->program->index];

    ngx_http_set_ctx(r, ctx, ngx_http_loyalty_lookup_module);

    return ngx_http_loyalty_lookup_start(ctx);
}


static ngx_int_t
ngx_http_loyalty_lookup_start(ngx_http_loyalty_lookup_ctx_t *ctx)
{
    u_char                      buf[NGX_HTTP_LOYALTY_KEYS];
    ngx_str_t                   keys[4];
    ngx_uint_t                  partition;
    ngx_http_loyalty_status_e   status;

    if (ngx_http_loyalty_lookup_member(ctx->request, &ctx->member,
                                       &ctx->status)
        != NGX_OK)
    {
        ctx->status = NGX_HTTP_LOYALTY_LOOKUP_FAILED;
    }

    if (ctx->status != NGX_HTTP_LOYALTY_LOOKUP_OK) {
        return NGX_DECLINED;
    }

    partition = ngx_http_loyalty_keys(ctx->lookup->program, &ctx->member, buf,
                                      keys);

    if (ctx->lookup->cache != NULL
        && ngx_http_loyalty_lookup_cached(ctx, &keys[0]) == NGX_OK)
    {
        return NGX_DECLINED;
    }

    ctx->asked = ngx_current_msec;

    if (!ngx_http_loyalty_patience_waits(ctx->patience)) {
        ngx_http_loyalty_patience_probe(ctx->patience, ctx->lookup->timeout,
                                        partition, &keys[0]);
        ctx->status = NGX_HTTP_LOYALTY_LOOKUP_UNAVAILABLE;
        ngx_http_loyalty_lookup_count(ctx);
        return NGX_DECLINED;
    }

    ctx->op = ngx_http_loyalty_redis_call(ctx->lookup->program,
                                          NGX_HTTP_LOYALTY_INTERACTIVE,
                                          partition, NGX_HTTP_LOYALTY_GET, 1,
                                          keys, NULL,
                                          ngx_http_loyalty_lookup_done, ctx,
                                          &status);
    if (ctx->op == NULL) {
        ctx->status = NGX_HTTP_LOYALTY_LOOKUP_UNAVAILABLE;
        ngx_http_loyalty_lookup_count(ctx);
        return NGX_DECLINED;
    }

    return ngx_http_loyalty_lookup_wait(ctx);
}


static ngx_int_t
ngx_http_loyalty_lookup_cached(ngx_http_loyalty_lookup_ctx_t *ctx,
    ngx_str_t *key)
{
    ngx_str_t  value;

    if (ngx_http_loyalty_cache_get(ctx->lookup, key, ctx->request->pool,
                                   &value)
        != NGX_OK
        || (value.len
            && loyalty_head_parse(&ctx->head, value.data, value.len) != 0))
    {
        ngx_http_loyalty_stat(ctx->lookup->program,
                              NGX_HTTP_LOYALTY_STAT_CACHE_MISSES, 1);
        return NGX_DECLINED;
    }

    ctx->status = NGX_HTTP_LOYALTY_LOOKUP_HIT;
    ngx_http_loyalty_lookup_count(ctx);

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_lookup_wait(ngx_http_loyalty_lookup_ctx_t *ctx)
{
    ngx_event_t         *rev;
    ngx_http_request_t  *r;

    r = ctx->request;
    rev = r->connection->read;

    /*
     * A client may end its side of the connection as soon as it has asked, and
     * be served all the same: whether it is, is for what serves the request,
     * when the lookup is over.  A stream that is reset is gone.
     */

    r->read_event_handler = (r->http_version >= NGX_HTTP_VERSION_20)
                            ? ngx_http_test_reading : ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    if (rev->ready) {
        ngx_post_event(rev, &ngx_posted_events);

    } else if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_http_loyalty_lookup_cleanup(ctx);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->status = NGX_HTTP_LOYALTY_LOOKUP_WAITS;
    ctx->timer.handler = ngx_http_loyalty_lookup_timeout;
    ctx->timer.data = ctx;
    ctx->timer.log = r->connection->log;

    ngx_add_timer(&ctx->timer, ctx->lookup->timeout);

    return NGX_AGAIN;
}


static void
ngx_http_loyalty_lookup_done(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_lookup_ctx_t *ctx = data;

    ctx->op = NULL;

    if (status == NGX_HTTP_LOYALTY_REPLY) {
        ctx->status = ngx_http_loyalty_lookup_value(ctx, reply);
        ngx_http_loyalty_patience_answered(ctx->patience);

    } else if (status == NGX_HTTP_LOYALTY_FAILED) {
        ctx->status = NGX_HTTP_LOYALTY_LOOKUP_FAILED;

    } else {
        ctx->status = NGX_HTTP_LOYALTY_LOOKUP_UNAVAILABLE;
    }

    ngx_http_loyalty_lookup_resume(ctx);
}


static ngx_http_loyalty_lookup_e
ngx_http_loyalty_lookup_value(ngx_http_loyalty_lookup_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    u_char     *p;
    ngx_str_t  *value;

    value = reply->values;

    if (reply->array || reply->n != 1) {
        return NGX_HTTP_LOYALTY_LOOKUP_FAILED;
    }

    if (value->data == NULL) {
        ngx_http_loyalty_lookup_keep(ctx, NULL);
        return NGX_HTTP_LOYALTY_LOOKUP_OK;
    }

    /* the reply is gone when this returns */

    p = ngx_pnalloc(ctx->request->pool, value->len);
    if (p == NULL) {
        return NGX_HTTP_LOYALTY_LOOKUP_FAILED;
    }

    ngx_memcpy(p, value->data, value->len);

    if (loyalty_head_parse(&ctx->head, p, value->len) != 0) {
        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "loyalty program \"%V\": the value of member \"%V\" in "
                      "Redis is damaged", &ctx->lookup->program->name,
                      &ctx->member);
        return NGX_HTTP_LOYALTY_LOOKUP_FAILED;
    }

    ngx_http_loyalty_lookup_keep(ctx, p);

    return NGX_HTTP_LOYALTY_LOOKUP_OK;
}


/* for the next request: the head alone; NULL: that there is none */

static void
ngx_http_loyalty_lookup_keep(ngx_http_loyalty_lookup_ctx_t *ctx,
    u_char *value)
{
    u_char     buf[NGX_HTTP_LOYALTY_KEYS];
    ngx_str_t  head, keys[4];

    if (ctx->lookup->cache == NULL) {
        return;
    }

    head.data = value;
    head.len = value ? ctx->head.states.end - value : 0;

    (void) ngx_http_loyalty_keys(ctx->lookup->program, &ctx->member, buf,
                                 keys);

    ngx_http_loyalty_cache_put(ctx->lookup, &keys[0], &head, ctx->asked);
}


static void
ngx_http_loyalty_lookup_timeout(ngx_event_t *ev)
{
    ngx_http_loyalty_lookup_ctx_t *ctx = ev->data;

    ngx_http_loyalty_redis_detach(ctx->op);
    ctx->op = NULL;

    ctx->status = NGX_HTTP_LOYALTY_LOOKUP_TIMEOUT;
    ngx_http_loyalty_patience_late(ctx->patience);

    ngx_http_loyalty_lookup_resume(ctx);
}


static void
ngx_http_loyalty_lookup_resume(ngx_http_loyalty_lookup_ctx_t *ctx)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);
    ngx_http_loyalty_lookup_count(ctx);

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        ngx_http_run_posted_requests(c);
        return;
    }

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_core_run_phases;

    /* what has come, or ended, is for what serves the request */

    if (r->http_version < NGX_HTTP_VERSION_20 && c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);
    }

    ngx_http_core_run_phases(r);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_loyalty_lookup_count(ngx_http_loyalty_lookup_ctx_t *ctx)
{
    ngx_http_loyalty_stat_e  stat;

    switch (ctx->status) {

    case NGX_HTTP_LOYALTY_LOOKUP_OK:
        stat = NGX_HTTP_LOYALTY_STAT_LOOKUP_OK;
        break;

    case NGX_HTTP_LOYALTY_LOOKUP_HIT:
        stat = NGX_HTTP_LOYALTY_STAT_LOOKUP_HIT;
        break;

    case NGX_HTTP_LOYALTY_LOOKUP_TIMEOUT:
        stat = NGX_HTTP_LOYALTY_STAT_LOOKUP_TIMEOUT;
        break;

    case NGX_HTTP_LOYALTY_LOOKUP_UNAVAILABLE:
        stat = NGX_HTTP_LOYALTY_STAT_LOOKUP_UNAVAILABLE;
        break;

    default: /* NGX_HTTP_LOYALTY_LOOKUP_FAILED */
        stat = NGX_HTTP_LOYALTY_STAT_LOOKUP_FAILED;
    }

    ngx_http_loyalty_stat(ctx->lookup->program, stat, 1);
}


static void
ngx_http_loyalty_lookup_cleanup(void *data)
{
    ngx_http_loyalty_lookup_ctx_t *ctx = data;

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    if (ctx->op != NULL) {
        ngx_http_loyalty_redis_detach(ctx->op);
        ctx->op = NULL;
    }

    if (ctx->status == NGX_HTTP_LOYALTY_LOOKUP_WAITS) {
        ctx->status = NGX_HTTP_LOYALTY_LOOKUP_UNAVAILABLE;
    }
}


ngx_http_loyalty_lookup_ctx_t *
ngx_http_loyalty_lookup_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t             *cln;
    ngx_http_loyalty_lookup_ctx_t  *ctx;

    r = r->main;
    ctx = ngx_http_get_module_ctx(r, ngx_http_loyalty_lookup_module);

    if (ctx != NULL) {
        return ctx;
    }

    if (!r->internal && !r->filter_finalize) {
        return NULL;
    }

    for (cln = r->pool->cleanup; cln != NULL; cln = cln->next) {
        if (cln->handler == ngx_http_loyalty_lookup_cleanup) {
            ngx_http_set_ctx(r, cln->data, ngx_http_loyalty_lookup_module);
            return cln->data;
        }
    }

    return NULL;
}
