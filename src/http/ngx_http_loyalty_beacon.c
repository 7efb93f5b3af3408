/*
 * The beacon as others see it: its directive, its shared memory, and the
 * rounds in it.
 *
 * A round is read from shared memory once by each worker and then from the
 * worker's own copy, as rounds do not change.
 */


#include "ngx_http_loyalty_beacon_private.h"
#include "ngx_http_loyalty_http.h"
#include "ngx_http_loyalty_private.h"
#include "loyalty_draw.h"


#define NGX_HTTP_LOYALTY_BEACON_TIMEOUT  5000     /* ms, of one fetch */
#define NGX_HTTP_LOYALTY_BEACON_LATE     10000    /* ms after it came out */
#define NGX_HTTP_LOYALTY_BEACON_AHEAD    15000    /* ms before it is needed:
                                                     plays look back */


static char *ngx_http_loyalty_beacon_directive(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static ngx_http_loyalty_beacon_t *ngx_http_loyalty_beacon_create(
    ngx_conf_t *cf, ngx_http_loyalty_program_t *program);
static char *ngx_http_loyalty_beacon_parameter(ngx_conf_t *cf,
    ngx_http_loyalty_beacon_t *beacon, ngx_str_t *value);
static char *ngx_http_loyalty_beacon_from(ngx_conf_t *cf,
    ngx_http_loyalty_beacon_t *beacon, ngx_str_t *text);
static ngx_int_t ngx_http_loyalty_beacon_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static void ngx_http_loyalty_beacon_copy(ngx_http_loyalty_round_t *round,
    const loyalty_beacon_t *beacon);


static ngx_command_t  ngx_http_loyalty_beacon_commands[] = {

    { ngx_string("beacon"),
      NGX_LOYALTY_PROGRAM_CONF|NGX_CONF_1MORE,
      ngx_http_loyalty_beacon_directive,
      0,
      0,
      NULL },

      ngx_null_command
};


ngx_module_t  ngx_http_loyalty_beacon_module = {
    NGX_MODULE_V1,
    NULL,                                  /* module context */
    ngx_http_loyalty_beacon_commands,      /* module directives */
    NGX_LOYALTY_MODULE,                    /* module type */
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
ngx_http_loyalty_beacon_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    char                       *rv;
    ngx_str_t                  *value, text;
    ngx_uint_t                  i;
    ngx_http_loyalty_block_t   *block;
    ngx_http_loyalty_beacon_t  *beacon;

    block = cf->ctx;
    value = cf->args->elts;

    if (block->program->beacon != NULL) {
        return "is duplicate";
    }

    if (ngx_strcmp(value[1].data, "drand_quicknet") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown beacon \"%V\": \"drand_quicknet\" is "
                           "expected", &value[1]);
        return NGX_CONF_ERROR;
    }

    beacon = ngx_http_loyalty_beacon_create(cf, block->program);
    if (beacon == NULL) {
        return NGX_CONF_ERROR;
    }

    /* what all relays share comes before the relays, wherever it is written */

    for (i = 2; i < cf->args->nelts; i++) {
        rv = ngx_http_loyalty_beacon_parameter(cf, beacon, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "from=", 5) == 0) {
            text.data = value[i].data + 5;
            text.len = value[i].len - 5;

            rv = ngx_http_loyalty_beacon_from(cf, beacon, &text);
            if (rv != NGX_CONF_OK) {
                return rv;
            }
        }
    }

    ngx_conf_init_msec_value(beacon->timeout, NGX_HTTP_LOYALTY_BEACON_TIMEOUT);
    ngx_conf_init_value(beacon->always, 0);

    if (beacon->nrelays < beacon->quorum) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "%s: the beacon's rounds come through the admin "
                           "API alone", loyalty_bls()
                           ? "no \"from=\""
                           : "two \"from=\" are expected, as this module was "
                             "built without blst and uses only what two "
                             "relays agree on");
    }

    block->program->beacon = beacon;

    return NGX_CONF_OK;
}


static ngx_http_loyalty_beacon_t *
ngx_http_loyalty_beacon_create(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program)
{
    ngx_http_loyalty_beacon_t  *beacon;

    beacon = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_beacon_t));
    if (beacon == NULL) {
        return NULL;
    }

    if (ngx_array_init(&beacon->follows, cf->pool, 4,
                       sizeof(ngx_http_loyalty_follow_t))
        != NGX_OK)
    {
        return NULL;
    }

    beacon->program = program;
    beacon->ident = -1;
    beacon->quorum = loyalty_bls() ? 1 : 2;
    beacon->timeout = NGX_CONF_UNSET_MSEC;
    beacon->always = NGX_CONF_UNSET;
    ngx_http_loyalty_place(cf, &beacon->place);

    return beacon;
}


/* all but "from=" */

static char *
ngx_http_loyalty_beacon_parameter(ngx_conf_t *cf,
    ngx_http_loyalty_beacon_t *beacon, ngx_str_t *value)
{
    ngx_uint_t  again;

    again = 0;

    if (ngx_strncmp(value->data, "from=", 5) == 0) {
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "timeout=", 8) == 0) {
        again = (beacon->timeout != NGX_CONF_UNSET_MSEC);

        if (ngx_http_loyalty_timeout(cf, value, &beacon->timeout) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

    } else if (ngx_strncmp(value->data, "tls_ca=", 7) == 0
               && value->len > 7)
    {
        again = (beacon->tls_ca.len != 0);
        beacon->tls_ca.data = value->data + 7;
        beacon->tls_ca.len = value->len - 7;

    } else if (ngx_strcmp(value->data, "follow=on") == 0
               || ngx_strcmp(value->data, "follow=off") == 0)
    {
        again = (beacon->always != NGX_CONF_UNSET);
        beacon->always = (value->data[8] == 'n');

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\": \"from=URL\", "
                           "\"timeout=TIME\", \"tls_ca=FILE\" or "
                           "\"follow=on|off\" is expected", value);
        return NGX_CONF_ERROR;
    }

    if (again) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "parameter \"%V\" is duplicate", value);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_loyalty_beacon_from(ngx_conf_t *cf,
    ngx_http_loyalty_beacon_t *beacon, ngx_str_t *text)
{
    ngx_uint_t                 i;
    ngx_http_loyalty_url_t    *url;
    ngx_http_loyalty_relay_t  *relay;

    if (beacon->nrelays == NGX_HTTP_LOYALTY_BEACON_RELAYS_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many \"from=\": at most %d are expected",
                           NGX_HTTP_LOYALTY_BEACON_RELAYS_MAX);
        return NGX_CONF_ERROR;
    }

    url = ngx_http_loyalty_url(cf, beacon->program, text,
                               beacon->tls_ca.len ? &beacon->tls_ca : NULL);
    if (url == NULL) {
        return NGX_CONF_ERROR;
    }

    /* a relay that agrees with itself says nothing */

    for (i = 0; i < beacon->nrelays; i++) {
        relay = &beacon->relays[i];

        if (relay->url->host.len == url->host.len
            && relay->url->path.len == url->path.len
            && ngx_strncasecmp(relay->url->host.data, url->host.data,
                               url->host.len)
               == 0
            && ngx_memcmp(relay->url->path.data, url->path.data,
                          url->path.len)
               == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"from=%V\" is duplicate: another relay is "
                               "expected", text);
            return NGX_CONF_ERROR;
        }
    }

    relay = &beacon->relays[beacon->nrelays++];
    relay->beacon = beacon;
    relay->url = url;

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_loyalty_beacon_follow(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, int64_t from, int64_t until)
{
    ngx_http_loyalty_follow_t  *follow;

    if (program->beacon == NULL) {
        return NGX_OK;
    }

    follow = ngx_array_push(&program->beacon->follows);
    if (follow == NULL) {
        return NGX_ERROR;
    }

    follow->from = from - NGX_HTTP_LOYALTY_BEACON_AHEAD;
    follow->until = until;

    return NGX_OK;
}


ngx_uint_t
ngx_http_loyalty_beacon_follows(ngx_http_loyalty_beacon_t *beacon,
    int64_t now)
{
    ngx_uint_t                  i;
    ngx_http_loyalty_follow_t  *follow;

    if (beacon->always) {
        return 1;
    }

    follow = beacon->follows.elts;

    for (i = 0; i < beacon->follows.nelts; i++) {
        if (now >= follow[i].from && now < follow[i].until) {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_loyalty_beacon_check(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program)
{
    size_t                      size;
    ngx_str_t                   name;
    ngx_uint_t                  i;
    ngx_http_loyalty_beacon_t  *beacon;

    beacon = program->beacon;

    if (beacon == NULL) {
        return NGX_OK;
    }

    for (i = 0; i < beacon->nrelays; i++) {
        if (ngx_http_loyalty_url_check(cf, beacon->relays[i].url) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    name.len = sizeof("loyalty_beacon:") - 1 + program->name.len;
    name.data = ngx_pnalloc(cf->pool, name.len);
    if (name.data == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(name.data, "loyalty_beacon:%V", &program->name);

    /* beside the structure: the slab's own pages */
    size = ngx_align(sizeof(ngx_http_loyalty_beacon_shm_t), ngx_pagesize)
           + 8 * ngx_pagesize;

    beacon->zone = ngx_shared_memory_add(cf, &name, size,
                                         &ngx_http_loyalty_module);
    if (beacon->zone == NULL) {
        return NGX_ERROR;
    }

    beacon->zone->init = ngx_http_loyalty_beacon_init_zone;
    beacon->zone->data = beacon;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_beacon_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    size_t                      len;
    ngx_slab_pool_t            *shpool;
    ngx_http_loyalty_beacon_t  *beacon;

    beacon = shm_zone->data;
    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    beacon->shpool = shpool;

    if (data || shm_zone->shm.exists) {
        beacon->shm = shpool->data;
        return NGX_OK;
    }

    beacon->shm = ngx_slab_calloc(shpool,
                                  sizeof(ngx_http_loyalty_beacon_shm_t));
    if (beacon->shm == NULL) {
        return NGX_ERROR;
    }

    shpool->data = beacon->shm;

    len = sizeof(" in beacon of loyalty program \"\"")
          + beacon->program->name.len;

    shpool->log_ctx = ngx_slab_alloc(shpool, len);
    if (shpool->log_ctx == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(shpool->log_ctx, " in beacon of loyalty program \"%V\"%Z",
                &beacon->program->name);

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_beacon_init_process(ngx_cycle_t *cycle,
    ngx_http_loyalty_program_t *program)
{
    ngx_http_loyalty_beacon_t         *beacon;
    ngx_http_loyalty_beacon_worker_t  *worker;

    beacon = program->beacon;

    if (beacon == NULL) {
        return NGX_OK;
    }

    worker = ngx_pcalloc(cycle->pool,
                         sizeof(ngx_http_loyalty_beacon_worker_t));
    if (worker == NULL) {
        return NGX_ERROR;
    }

    worker->tick.handler = ngx_http_loyalty_beacon_tick;
    worker->tick.data = beacon;
    worker->tick.log = cycle->log;
    worker->tick.cancelable = 1;

    beacon->worker = worker;

    if (beacon->nrelays >= beacon->quorum) {
        ngx_add_timer(&worker->tick, 1);
    }

    return NGX_OK;
}


void
ngx_http_loyalty_beacon_exit_process(ngx_http_loyalty_program_t *program)
{
    ngx_http_loyalty_beacon_t  *beacon;

    beacon = program->beacon;

    if (beacon == NULL || beacon->worker == NULL) {
        return;
    }

    if (beacon->worker->tick.timer_set) {
        ngx_del_timer(&beacon->worker->tick);
    }

    ngx_http_loyalty_beacon_resign(beacon);
    beacon->worker = NULL;
}


ngx_int_t
ngx_http_loyalty_beacon_round(ngx_http_loyalty_program_t *program,
    uint64_t number, ngx_http_loyalty_round_t *round)
{
    ngx_uint_t                  found;
    const loyalty_beacon_t     *held;
    ngx_http_loyalty_round_t   *cached;
    ngx_http_loyalty_beacon_t  *beacon;

    beacon = program->beacon;

    if (beacon == NULL || beacon->worker == NULL) {
        return NGX_ERROR;
    }

    if (number == 0) {
        return NGX_DECLINED;
    }

    cached = &beacon->worker->cache[number % LOYALTY_BEACON_RECENT];
    found = (cached->round == number);

    if (!found) {
        ngx_shmtx_lock(&beacon->shpool->mutex);

        held = loyalty_beacons_get(&beacon->shm->table, number);

        if (held != NULL) {
            ngx_http_loyalty_beacon_copy(cached, held);
            found = 1;
        }

        ngx_shmtx_unlock(&beacon->shpool->mutex);
    }

    if (found) {
        *round = *cached;
        return NGX_OK;
    }

    return ((uint64_t) ngx_http_loyalty_now()
            < loyalty_round_time(number) + NGX_HTTP_LOYALTY_BEACON_LATE)
           ? NGX_AGAIN : NGX_DECLINED;
}


static void
ngx_http_loyalty_beacon_copy(ngx_http_loyalty_round_t *round,
    const loyalty_beacon_t *beacon)
{
    round->round = beacon->round;
    round->source = beacon->source;
    ngx_memcpy(round->sig, beacon->sig, NGX_HTTP_LOYALTY_BEACON_SIG);
    ngx_memcpy(round->b, beacon->b, NGX_HTTP_LOYALTY_BEACON_B);
}


ngx_int_t
ngx_http_loyalty_beacon_newest(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_round_t *round)
{
    ngx_http_loyalty_beacon_t  *beacon;

    beacon = program->beacon;

    if (beacon == NULL || beacon->worker == NULL) {
        return NGX_DECLINED;
    }

    ngx_shmtx_lock(&beacon->shpool->mutex);
    ngx_http_loyalty_beacon_copy(round, &beacon->shm->table.newest);
    ngx_shmtx_unlock(&beacon->shpool->mutex);

    return (round->round != 0) ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_loyalty_beacon_want(ngx_http_loyalty_program_t *program,
    uint64_t number)
{
    int                         rc;
    ngx_http_loyalty_beacon_t  *beacon;

    beacon = program->beacon;

    if (beacon == NULL || beacon->worker == NULL) {
        return NGX_DECLINED;
    }

    ngx_shmtx_lock(&beacon->shpool->mutex);
    rc = loyalty_beacons_want(&beacon->shm->table, number);
    ngx_shmtx_unlock(&beacon->shpool->mutex);

    return (rc == 0) ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_loyalty_beacon_put(ngx_http_loyalty_program_t *program,
    uint64_t number, const u_char *sig)
{
    ngx_int_t                   rc;
    ngx_http_loyalty_beacon_t  *beacon;

    beacon = program->beacon;

    if (beacon == NULL || beacon->worker == NULL) {
        return NGX_ERROR;
    }

    if (number == 0 || number > loyalty_round_at(ngx_http_loyalty_now())) {
        return NGX_AGAIN;
    }

    if (loyalty_bls() && loyalty_bls_verify(number, sig) != 0) {
        return NGX_ABORT;
    }

    rc = ngx_http_loyalty_beacon_keep(beacon, number, sig,
                                      NGX_HTTP_LOYALTY_BEACON_ADMIN);

    switch (rc) {

    case 0:
    case LOYALTY_BEACON_SAME:
        return NGX_OK;

    case LOYALTY_BEACON_OTHER:
        return NGX_DECLINED;

    default:
        return NGX_BUSY;
    }
}


ngx_int_t
ngx_http_loyalty_beacon_keep(ngx_http_loyalty_beacon_t *beacon,
    uint64_t round, const u_char *sig, ngx_uint_t source)
{
    ngx_int_t         rc;
    loyalty_beacon_t  held;

    if (loyalty_beacon_set(&held, round, sig, source) != 0) {
        return NGX_ERROR;
    }

    ngx_shmtx_lock(&beacon->shpool->mutex);
    rc = loyalty_beacons_put(&beacon->shm->table, &held);
    ngx_shmtx_unlock(&beacon->shpool->mutex);

    return rc;
}


ngx_int_t
ngx_http_loyalty_beacon_status(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_beacon_status_t *status)
{
    unsigned                        held, wanted;
    ngx_http_loyalty_beacon_t      *beacon;
    ngx_http_loyalty_beacon_shm_t  *shm;

    beacon = program->beacon;

    if (beacon == NULL || beacon->shm == NULL) {
        return NGX_DECLINED;
    }

    ngx_memzero(status, sizeof(ngx_http_loyalty_beacon_status_t));

    shm = beacon->shm;

    ngx_shmtx_lock(&beacon->shpool->mutex);

    loyalty_beacons_count(&shm->table, &held, &wanted);
    status->newest = shm->table.newest.round;
    status->source = shm->table.newest.source;
    status->failing = shm->failing;
    status->pid = shm->pid;

    ngx_shmtx_unlock(&beacon->shpool->mutex);

    status->held = held;
    status->wanted = wanted;
    status->relays = beacon->nrelays;

    if (status->newest != 0) {
        status->age = ngx_http_loyalty_now()
                      - (int64_t) loyalty_round_time(status->newest);
    }

    return NGX_OK;
}
