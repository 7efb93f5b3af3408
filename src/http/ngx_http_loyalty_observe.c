/*
 * The module of loyalty_observe, the ring and the spool: its directives, and
 * its part in the life of nginx.  It is beside the module of the APIs, and
 * each knows of the other only what a program has.
 */

#include "ngx_http_loyalty_observe.h"


static ngx_int_t ngx_http_loyalty_observe_init(ngx_conf_t *cf);
static void *ngx_http_loyalty_observe_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_loyalty_observe_init_main_conf(ngx_conf_t *cf,
    void *conf);
static void *ngx_http_loyalty_observe_create_conf(ngx_conf_t *cf);
static char *ngx_http_loyalty_observe_merge_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_http_loyalty_observe_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_loyalty_observe_init_process(ngx_cycle_t *cycle);
static void ngx_http_loyalty_observe_exit_process(ngx_cycle_t *cycle);
static void ngx_http_loyalty_observe_exit_master(ngx_cycle_t *cycle);


/* in the order of ngx_http_loyalty_refusal_e */

static const char  *ngx_http_loyalty_refusal_names[] = {
    "no_member", "no_id", "invalid_member", "invalid_id", "invalid_amount",
    "invalid_quantity", "invalid_text", "too_large", "too_old",
    "event_conflict", "limit_reached", "failed", "damaged", "ring_full",
    "spool_full"
};


static ngx_command_t  ngx_http_loyalty_observe_commands[] = {

    { ngx_string("loyalty_observe"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF
                        |NGX_HTTP_LMT_CONF|NGX_CONF_1MORE,
      ngx_http_loyalty_observe_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("loyalty_ring"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_ring_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("loyalty_spool"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE23,
      ngx_http_loyalty_spool_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_loyalty_observe_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_loyalty_observe_init,         /* postconfiguration */

    ngx_http_loyalty_observe_create_main_conf,
    ngx_http_loyalty_observe_init_main_conf,

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_loyalty_observe_create_conf,  /* create location configuration */
    ngx_http_loyalty_observe_merge_conf    /* merge location configuration */
};


ngx_module_t  ngx_http_loyalty_observe_module = {
    NGX_MODULE_V1,
    &ngx_http_loyalty_observe_module_ctx,  /* module context */
    ngx_http_loyalty_observe_commands,     /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_loyalty_observe_init_module,  /* init module */
    ngx_http_loyalty_observe_init_process, /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_loyalty_observe_exit_process, /* exit process */
    ngx_http_loyalty_observe_exit_master,  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_loyalty_observe_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt                   *h;
    ngx_http_core_main_conf_t             *cmcf;
    ngx_http_loyalty_observe_main_conf_t  *omcf;

    omcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_loyalty_observe_module);

    if (omcf->rules.nelts == 0) {
        return NGX_OK;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_loyalty_observe_handler;

    return NGX_OK;
}


static void *
ngx_http_loyalty_observe_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_loyalty_observe_main_conf_t  *omcf;

    omcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_observe_main_conf_t));
    if (omcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     omcf->zone = { 0, NULL };
     *     omcf->size = 0;
     *     omcf->place = { NULL, 0 };
     *     omcf->spool = NULL;
     */

    if (ngx_array_init(&omcf->rules, cf->pool, 4,
                       sizeof(ngx_http_loyalty_observe_t *))
        != NGX_OK
        || ngx_array_init(&omcf->observing, cf->pool, 1,
                          sizeof(ngx_http_loyalty_observing_t *))
           != NGX_OK
        || ngx_array_init(&omcf->orphans, cf->pool, 1,
                          sizeof(ngx_http_loyalty_ring_t *))
           != NGX_OK)
    {
        return NULL;
    }

    return omcf;
}


static char *
ngx_http_loyalty_observe_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_loyalty_observe_main_conf_t *omcf = conf;

    if (ngx_http_loyalty_observe_check(cf, omcf) != NGX_OK
        || ngx_http_loyalty_rings(cf, omcf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static void *
ngx_http_loyalty_observe_create_conf(ngx_conf_t *cf)
{
    ngx_http_loyalty_observe_conf_t  *ocf;

    ocf = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_observe_conf_t));
    if (ocf == NULL) {
        return NULL;
    }

    ocf->rules = NGX_CONF_UNSET_PTR;

    return ocf;
}


static char *
ngx_http_loyalty_observe_merge_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_loyalty_observe_conf_t *prev = parent;
    ngx_http_loyalty_observe_conf_t *conf = child;

    ngx_conf_merge_ptr_value(conf->rules, prev->rules, NULL);

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_loyalty_observe_init_module(ngx_cycle_t *cycle)
{
    ngx_http_loyalty_observe_main_conf_t  *omcf, *before;

    omcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_loyalty_observe_module);

    if (omcf == NULL) {
        return NGX_OK;
    }

    before = NULL;

    if (!ngx_is_init_cycle(cycle->old_cycle)) {
        before = ngx_http_cycle_get_module_main_conf(cycle->old_cycle,
                                              ngx_http_loyalty_observe_module);
    }

    ngx_http_loyalty_spool_left(cycle, omcf, before);

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_observe_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                             i;
    ngx_http_loyalty_observing_t         **observing;
    ngx_http_loyalty_observe_main_conf_t  *omcf;

    if (ngx_process != NGX_PROCESS_WORKER
        && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    omcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_loyalty_observe_module);

    if (omcf == NULL) {
        return NGX_OK;
    }

    observing = omcf->observing.elts;

    for (i = 0; i < omcf->observing.nelts; i++) {
        if (ngx_http_loyalty_sender_init(cycle, observing[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void
ngx_http_loyalty_observe_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                             i;
    ngx_http_loyalty_observing_t         **observing;
    ngx_http_loyalty_observe_main_conf_t  *omcf;

    omcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_loyalty_observe_module);

    if (omcf == NULL) {
        return;
    }

    if (omcf->rules.nelts != 0) {
        ngx_http_loyalty_observe_answered(cycle);
    }

    observing = omcf->observing.elts;

    for (i = 0; i < omcf->observing.nelts; i++) {
        ngx_http_loyalty_sender_exit(observing[i]);
    }

    /* a worker whose master was killed has nobody to follow it */

    if (ngx_process == NGX_PROCESS_WORKER && getppid() != ngx_parent) {
        ngx_http_loyalty_rings_end(cycle, omcf);
    }
}


static void
ngx_http_loyalty_observe_exit_master(ngx_cycle_t *cycle)
{
    ngx_http_loyalty_observe_main_conf_t  *omcf;

    omcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_loyalty_observe_module);

    if (omcf != NULL) {
        ngx_http_loyalty_rings_end(cycle, omcf);
    }
}


ngx_uint_t
ngx_http_loyalty_refused(ngx_http_loyalty_observing_t *observing,
    ngx_http_loyalty_refusal_e refusal, ngx_uint_t *silent)
{
    time_t                     last, now;
    uint64_t                  *logged, *others;
    loyalty_ring_t            *ring;
    ngx_http_loyalty_ring_t  **own;

    ngx_http_loyalty_stat(observing->program,
                          NGX_HTTP_LOYALTY_STAT_OBS_NO_MEMBER + refusal, 1);

    own = observing->rings.elts;
    ring = own[0]->ring;

    if (ring == NULL) {
        return 0;
    }

    logged = &ring->user[NGX_HTTP_LOYALTY_RING_LOGGED + refusal];
    others = &ring->user[NGX_HTTP_LOYALTY_RING_SILENT + refusal];

    last = *(volatile uint64_t *) logged;
    now = ngx_time();

    if (last == now
        || !ngx_atomic_cmp_set((ngx_atomic_t *) logged,
                               (ngx_atomic_uint_t) last,
                               (ngx_atomic_uint_t) now))
    {
        (void) ngx_atomic_fetch_add((ngx_atomic_t *) others, 1);
        return 0;
    }

    do {
        *silent = *(volatile uint64_t *) others;
    } while (!ngx_atomic_cmp_set((ngx_atomic_t *) others, *silent, 0));

    return 1;
}


const char *
ngx_http_loyalty_refusal(ngx_http_loyalty_refusal_e refusal)
{
    return ngx_http_loyalty_refusal_names[refusal];
}


void
ngx_http_loyalty_show(ngx_str_t *text, u_char *buf)
{
    u_char      c;
    ngx_uint_t  i, n;

    n = ngx_min(text->len, NGX_HTTP_LOYALTY_SHOWN - 3);

    for (i = 0; i < n; i++) {
        c = text->data[i];
        buf[i] = (c < 0x20 || c > 0x7e || c == '"' || c == '\\') ? '?' : c;
    }

    if (n < text->len) {
        ngx_memcpy(buf + n, "...", 3);
        n += 3;
    }

    text->data = buf;
    text->len = n;
}
