/*
 * Counters in shared memory.
 *
 * The zone of a program holds one structure that is never freed or moved
 * while the zone lives, so that counting needs no lock: a worker adds to a
 * number, and nothing else happens.  Gauges are written by their own process
 * only; a worker that finds another process's number in its slot starts the
 * slot anew.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <signal.h>

#include "ngx_http_loyalty_http.h"


typedef struct {
    ngx_atomic_t   pid;
    ngx_atomic_t   values[NGX_HTTP_LOYALTY_GAUGES];
} ngx_http_loyalty_gauges_t;


typedef struct {
    ngx_atomic_t   sum;                           /* microseconds */
    ngx_atomic_t   buckets[NGX_HTTP_LOYALTY_BUCKETS + 1];
} ngx_http_loyalty_latency_t;


typedef struct {
    ngx_atomic_t   name;                          /* a hash of it */
    ngx_atomic_t   left;
} ngx_http_loyalty_pool_stat_t;


typedef struct {
    ngx_atomic_t   cid;                           /* its first bytes */
    ngx_atomic_t   values[NGX_HTTP_LOYALTY_DRAW_VALUES];
} ngx_http_loyalty_draw_stats_t;


typedef struct {
    ngx_atomic_t   told;                          /* s */
    ngx_atomic_t   silent;
} ngx_http_loyalty_told_t;


struct ngx_http_loyalty_stats_s {
    ngx_atomic_t                counters[NGX_HTTP_LOYALTY_STATS];
    ngx_http_loyalty_told_t     told[NGX_HTTP_LOYALTY_STATS];
    ngx_atomic_t                requests[NGX_HTTP_LOYALTY_APIS]
                                        [NGX_HTTP_LOYALTY_PROBLEMS];
    ngx_http_loyalty_latency_t  latency[NGX_HTTP_LOYALTY_FNS];
    ngx_http_loyalty_gauges_t   gauges[NGX_MAX_PROCESSES];
    ngx_http_loyalty_pool_stat_t  pools[NGX_HTTP_LOYALTY_POOLS];
    ngx_http_loyalty_draw_stats_t  draws[NGX_HTTP_LOYALTY_DRAW_STATS];
};


static ngx_int_t ngx_http_loyalty_stats_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_uint_t ngx_http_loyalty_stat_is_gauge(ngx_uint_t stat);
static ngx_atomic_uint_t ngx_http_loyalty_stat_pool_name(ngx_str_t *name);


const ngx_http_loyalty_bound_t  ngx_http_loyalty_stat_bounds[] = {
    { 100, ngx_string("0.0001") },
    { 250, ngx_string("0.00025") },
    { 500, ngx_string("0.0005") },
    { 1000, ngx_string("0.001") },
    { 2500, ngx_string("0.0025") },
    { 5000, ngx_string("0.005") },
    { 10000, ngx_string("0.01") },
    { 25000, ngx_string("0.025") },
    { 50000, ngx_string("0.05") },
    { 100000, ngx_string("0.1") },
    { 250000, ngx_string("0.25") },
    { 500000, ngx_string("0.5") },
    { 1000000, ngx_string("1") },
    { 2500000, ngx_string("2.5") }
};


ngx_int_t
ngx_http_loyalty_stats_zone(ngx_conf_t *cf, ngx_array_t *programs)
{
    size_t                        size;
    ngx_str_t                     name;
    ngx_uint_t                    i;
    ngx_shm_zone_t               *shm_zone;
    ngx_http_loyalty_program_t  **program;

    /* beside the structure: the slab's own pages */
    size = ngx_align(sizeof(ngx_http_loyalty_stats_t), ngx_pagesize)
           + 8 * ngx_pagesize;

    program = programs->elts;

    for (i = 0; i < programs->nelts; i++) {
        name.len = sizeof("loyalty_stats:") - 1 + program[i]->name.len;
        name.data = ngx_pnalloc(cf->pool, name.len);
        if (name.data == NULL) {
            return NGX_ERROR;
        }

        ngx_sprintf(name.data, "loyalty_stats:%V", &program[i]->name);

        shm_zone = ngx_shared_memory_add(cf, &name, size,
                                         &ngx_http_loyalty_module);
        if (shm_zone == NULL) {
            return NGX_ERROR;
        }

        shm_zone->init = ngx_http_loyalty_stats_init_zone;
        shm_zone->data = program[i];
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_stats_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    size_t                       len;
    ngx_slab_pool_t             *shpool;
    ngx_http_loyalty_program_t  *program;

    program = shm_zone->data;
    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (data || shm_zone->shm.exists) {
        program->stats = shpool->data;
        return NGX_OK;
    }

    program->stats = ngx_slab_calloc(shpool, sizeof(ngx_http_loyalty_stats_t));
    if (program->stats == NULL) {
        return NGX_ERROR;
    }

    shpool->data = program->stats;

    len = sizeof(" in loyalty program \"\"") + program->name.len;

    shpool->log_ctx = ngx_slab_alloc(shpool, len);
    if (shpool->log_ctx == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(shpool->log_ctx, " in loyalty program \"%V\"%Z",
                &program->name);

    return NGX_OK;
}


void
ngx_http_loyalty_stat(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_stat_e stat, ngx_atomic_int_t v)
{
    ngx_uint_t                  i;
    ngx_http_loyalty_gauges_t  *gauges;

    if (program->stats == NULL) {
        return;
    }

    if (!ngx_http_loyalty_stat_is_gauge(stat)) {
        (void) ngx_atomic_fetch_add(&program->stats->counters[stat], v);
        return;
    }

    gauges = &program->stats->gauges[ngx_process_slot];

    if (gauges->pid != (ngx_atomic_uint_t) ngx_pid) {

        /* the process that had this slot before is gone */

        for (i = 0; i < NGX_HTTP_LOYALTY_GAUGES; i++) {
            gauges->values[i] = 0;
        }

        gauges->pid = (ngx_atomic_uint_t) ngx_pid;
    }

    gauges->values[stat - NGX_HTTP_LOYALTY_GAUGE_FIRST] += v;
}


static ngx_uint_t
ngx_http_loyalty_stat_is_gauge(ngx_uint_t stat)
{
    return stat >= NGX_HTTP_LOYALTY_GAUGE_FIRST
           && stat <= NGX_HTTP_LOYALTY_GAUGE_LAST;
}


ngx_uint_t
ngx_http_loyalty_stat_due(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_stat_e stat, ngx_uint_t every,
    ngx_atomic_uint_t *silent)
{
    ngx_atomic_uint_t         last, now;
    ngx_http_loyalty_told_t  *told;

    if (program->stats == NULL) {
        return 0;
    }

    told = &program->stats->told[stat];
    last = told->told;
    now = (ngx_atomic_uint_t) ngx_time();

    /* a clock that was set back is no reason to be silent */

    if ((last != 0 && now >= last && now - last < every)
        || !ngx_atomic_cmp_set(&told->told, last, now))
    {
        (void) ngx_atomic_fetch_add(&told->silent, 1);
        return 0;
    }

    do {
        *silent = told->silent;
    } while (!ngx_atomic_cmp_set(&told->silent, *silent, 0));

    return 1;
}


void
ngx_http_loyalty_stat_latency(ngx_http_loyalty_program_t *program,
    ngx_uint_t fn, ngx_uint_t usec)
{
    ngx_uint_t                   i;
    ngx_http_loyalty_latency_t  *latency;

    if (program->stats == NULL) {
        return;
    }

    if (fn >= NGX_HTTP_LOYALTY_FNS) {
        fn = NGX_HTTP_LOYALTY_FN_DRAW;
    }

    latency = &program->stats->latency[fn];

    for (i = 0; i < NGX_HTTP_LOYALTY_BUCKETS; i++) {
        if (usec <= ngx_http_loyalty_stat_bounds[i].usec) {
            break;
        }
    }

    (void) ngx_atomic_fetch_add(&latency->buckets[i], 1);
    (void) ngx_atomic_fetch_add(&latency->sum, usec);
}


void
ngx_http_loyalty_stat_request(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_api_e api, ngx_uint_t problem)
{
    if (program->stats == NULL || problem >= NGX_HTTP_LOYALTY_PROBLEMS) {
        return;
    }

    (void) ngx_atomic_fetch_add(&program->stats->requests[api][problem], 1);
}


ngx_atomic_int_t
ngx_http_loyalty_stat_read(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_stat_e stat)
{
    ngx_pid_t                   pid;
    ngx_uint_t                  i;
    ngx_atomic_int_t            sum;
    ngx_http_loyalty_gauges_t  *gauges;

    if (program->stats == NULL) {
        return 0;
    }

    if (!ngx_http_loyalty_stat_is_gauge(stat)) {
        return program->stats->counters[stat];
    }

    sum = 0;

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {
        gauges = &program->stats->gauges[i];
        pid = (ngx_pid_t) gauges->pid;

        if (pid == 0 || (kill(pid, 0) == -1 && ngx_errno == ESRCH)) {
            continue;
        }

        sum += gauges->values[stat - NGX_HTTP_LOYALTY_GAUGE_FIRST];
    }

    return sum;
}


ngx_atomic_uint_t
ngx_http_loyalty_stat_requests(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_api_e api, ngx_uint_t problem)
{
    return (program->stats == NULL) ? 0
                                    : program->stats->requests[api][problem];
}


void
ngx_http_loyalty_stat_histogram(ngx_http_loyalty_program_t *program,
    ngx_uint_t fn, ngx_atomic_uint_t *buckets, ngx_atomic_uint_t *sum)
{
    ngx_uint_t                   i;
    ngx_http_loyalty_latency_t  *latency;

    ngx_memzero(buckets, (NGX_HTTP_LOYALTY_BUCKETS + 1)
                         * sizeof(ngx_atomic_uint_t));
    *sum = 0;

    if (program->stats == NULL) {
        return;
    }

    latency = &program->stats->latency[fn];

    for (i = 0; i <= NGX_HTTP_LOYALTY_BUCKETS; i++) {
        buckets[i] = latency->buckets[i];
    }

    *sum = latency->sum;
}


/* a hash is never 0, which a zone begins with */

static ngx_atomic_uint_t
ngx_http_loyalty_stat_pool_name(ngx_str_t *name)
{
    return (ngx_atomic_uint_t) ngx_crc32_long(name->data, name->len) + 1;
}


void
ngx_http_loyalty_stat_pool(ngx_http_loyalty_program_t *program, ngx_uint_t i,
    ngx_str_t *name, ngx_atomic_int_t left)
{
    if (program->stats == NULL || i >= NGX_HTTP_LOYALTY_POOLS) {
        return;
    }

    program->stats->pools[i].left = (ngx_atomic_uint_t) left;
    ngx_memory_barrier();
    program->stats->pools[i].name = ngx_http_loyalty_stat_pool_name(name);
}


ngx_atomic_int_t
ngx_http_loyalty_stat_pool_left(ngx_http_loyalty_program_t *program,
    ngx_uint_t i, ngx_str_t *name)
{
    if (program->stats == NULL || i >= NGX_HTTP_LOYALTY_POOLS
        || program->stats->pools[i].name
           != ngx_http_loyalty_stat_pool_name(name))
    {
        return -1;
    }

    return (ngx_atomic_int_t) program->stats->pools[i].left;
}


void
ngx_http_loyalty_stat_draw(ngx_http_loyalty_program_t *program, ngx_uint_t i,
    const u_char *cid, ngx_http_loyalty_draw_stat_e which,
    ngx_atomic_int_t value)
{
    ngx_uint_t                      n;
    ngx_atomic_uint_t               first;
    ngx_http_loyalty_draw_stats_t  *draw;

    if (program->stats == NULL || i >= NGX_HTTP_LOYALTY_DRAW_STATS) {
        return;
    }

    draw = &program->stats->draws[i];
    ngx_memcpy(&first, cid, sizeof(first));

    if (draw->cid != first) {
        for (n = 0; n < NGX_HTTP_LOYALTY_DRAW_VALUES; n++) {
            draw->values[n] = 0;
        }

        ngx_memory_barrier();
        draw->cid = first;
    }

    draw->values[which] = (ngx_atomic_uint_t) value;
}


ngx_atomic_int_t
ngx_http_loyalty_stat_draw_read(ngx_http_loyalty_program_t *program,
    ngx_uint_t i, const u_char *cid, ngx_http_loyalty_draw_stat_e which)
{
    ngx_atomic_uint_t  first;

    if (program->stats == NULL || i >= NGX_HTTP_LOYALTY_DRAW_STATS) {
        return 0;
    }

    ngx_memcpy(&first, cid, sizeof(first));

    return (program->stats->draws[i].cid == first)
           ? (ngx_atomic_int_t) program->stats->draws[i].values[which] : 0;
}
