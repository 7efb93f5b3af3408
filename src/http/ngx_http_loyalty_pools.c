/*
 * How many codes are left in each pool, for the metrics: the first worker of
 * an nginx asks Redis every few seconds and leaves the numbers in the
 * program's shared memory.
 *
 * A number stands beside a hash of its pool's name, so that after a reload
 * with other pools none is taken for another's.
 */

#include "ngx_http_loyalty_http.h"


#define NGX_HTTP_LOYALTY_POOLS_EVERY  2000        /* ms */


typedef struct {
    ngx_http_loyalty_program_t   *program;
    ngx_event_t                   timer;
    ngx_http_loyalty_op_t        *op;             /* NULL: none runs */
} ngx_http_loyalty_pools_t;


static void ngx_http_loyalty_pools_ask(ngx_event_t *ev);
static void ngx_http_loyalty_pools_told(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);


ngx_int_t
ngx_http_loyalty_pools_init_process(ngx_cycle_t *cycle,
    ngx_http_loyalty_program_t *program)
{
    ngx_http_loyalty_pools_t  *pools;

    if (program->pools.nelts == 0 || ngx_worker != 0) {
        return NGX_OK;
    }

    pools = ngx_pcalloc(cycle->pool, sizeof(ngx_http_loyalty_pools_t));
    if (pools == NULL) {
        return NGX_ERROR;
    }

    pools->program = program;
    pools->timer.handler = ngx_http_loyalty_pools_ask;
    pools->timer.data = pools;
    pools->timer.log = cycle->log;
    pools->timer.cancelable = 1;

    ngx_add_timer(&pools->timer, 1);

    return NGX_OK;
}


static void
ngx_http_loyalty_pools_ask(ngx_event_t *ev)
{
    u_char                      buf[16];
    ngx_str_t                   arg, keys[2 * NGX_HTTP_LOYALTY_POOLS];
    ngx_uint_t                  n;
    loyalty_mpw_t               w;
    ngx_http_loyalty_pools_t   *pools;
    ngx_http_loyalty_status_e   status;

    pools = ev->data;

    if (ngx_exiting || ngx_terminate) {
        return;
    }

    ngx_add_timer(ev, NGX_HTTP_LOYALTY_POOLS_EVERY);

    if (pools->op != NULL) {
        return;
    }

    n = ngx_http_loyalty_pool_keys(pools->program, keys,
                                   2 * NGX_HTTP_LOYALTY_POOLS);

    loyalty_mpw_init(&w, buf, sizeof(buf));
    loyalty_mpw_int(&w, n / 2);

    arg.data = buf;
    arg.len = w.pos - w.start;

    pools->op = ngx_http_loyalty_redis_call(pools->program,
                                            NGX_HTTP_LOYALTY_BULK, 0,
                                            NGX_HTTP_LOYALTY_FN_LEFT, n, keys,
                                            &arg, ngx_http_loyalty_pools_told,
                                            pools, &status);
}


static void
ngx_http_loyalty_pools_told(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_pools_t *pools = data;

    ngx_int_t                  left;
    ngx_uint_t                 i;
    ngx_http_loyalty_pool_t  **pool;

    pools->op = NULL;

    if (status != NGX_HTTP_LOYALTY_REPLY || !reply->array
        || reply->n < 2 * pools->program->pools.nelts)
    {
        return;
    }

    pool = pools->program->pools.elts;

    for (i = 0; i < pools->program->pools.nelts; i++) {
        left = ngx_atoi(reply->values[2 * i].data, reply->values[2 * i].len);

        if (left != NGX_ERROR) {
            ngx_http_loyalty_stat_pool(pools->program, i, &pool[i]->name,
                                       left);
        }
    }
}
