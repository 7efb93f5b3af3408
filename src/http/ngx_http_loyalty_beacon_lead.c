/*
 * One worker of this nginx fetches the rounds of a program.
 *
 * Which one is a lease in shared memory: the owner's pid, and until when.
 * Who holds it renews it several times before it ends; it goes to another
 * worker when the owner gives it back, is gone, or has stood still for
 * longer than the lease.  Two that both think they hold it do no harm, as
 * rounds are held once.
 */


#include "ngx_http_loyalty_beacon_private.h"

#include <signal.h>


#define NGX_HTTP_LOYALTY_LEASE       5000         /* ms */
#define NGX_HTTP_LOYALTY_LEAD_TICK   250          /* ms, of who holds it */
#define NGX_HTTP_LOYALTY_OTHER_TICK  1000


static ngx_uint_t ngx_http_loyalty_beacon_elect(
    ngx_http_loyalty_beacon_t *beacon);
static void ngx_http_loyalty_beacon_stop(ngx_http_loyalty_beacon_t *beacon);


void
ngx_http_loyalty_beacon_tick(ngx_event_t *ev)
{
    ngx_http_loyalty_beacon_t         *beacon;
    ngx_http_loyalty_beacon_worker_t  *worker;

    beacon = ev->data;
    worker = beacon->worker;

    /* a worker that leaves may still serve for long; others are there */

    if (ngx_exiting || ngx_terminate) {
        ngx_http_loyalty_beacon_resign(beacon);
        return;
    }

    if (ngx_http_loyalty_beacon_elect(beacon)) {
        worker->leads = 1;
        ngx_http_loyalty_beacon_fetch(beacon);

    } else if (worker->leads) {
        ngx_http_loyalty_beacon_stop(beacon);
    }

    ngx_add_timer(ev, worker->leads ? NGX_HTTP_LOYALTY_LEAD_TICK
                                    : NGX_HTTP_LOYALTY_OTHER_TICK);
}


static ngx_uint_t
ngx_http_loyalty_beacon_elect(ngx_http_loyalty_beacon_t *beacon)
{
    ngx_pid_t                       before;
    ngx_uint_t                      mine;
    ngx_http_loyalty_beacon_shm_t  *shm;

    shm = beacon->shm;

    ngx_shmtx_lock(&beacon->shpool->mutex);

    before = shm->pid;

    mine = (before == ngx_pid || before == 0
            || (ngx_msec_int_t) (ngx_current_msec - shm->expires) >= 0
            || (kill(before, 0) == -1 && ngx_errno == ESRCH));

    if (mine) {
        shm->pid = ngx_pid;
        shm->expires = ngx_current_msec + NGX_HTTP_LOYALTY_LEASE;
    }

    ngx_shmtx_unlock(&beacon->shpool->mutex);

    if (mine && before != ngx_pid) {
        ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                      "this worker fetches the beacon's rounds of loyalty "
                      "program \"%V\"", &beacon->program->name);
    }

    return mine;
}


void
ngx_http_loyalty_beacon_resign(ngx_http_loyalty_beacon_t *beacon)
{
    ngx_http_loyalty_beacon_stop(beacon);

    ngx_shmtx_lock(&beacon->shpool->mutex);

    if (beacon->shm->pid == ngx_pid) {
        beacon->shm->pid = 0;
    }

    ngx_shmtx_unlock(&beacon->shpool->mutex);
}


static void
ngx_http_loyalty_beacon_stop(ngx_http_loyalty_beacon_t *beacon)
{
    ngx_uint_t  i;

    beacon->worker->leads = 0;

    for (i = 0; i < beacon->nrelays; i++) {
        ngx_http_loyalty_url_exit(beacon->relays[i].url);
        beacon->relays[i].fetch = NULL;
    }
}
