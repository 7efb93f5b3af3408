/*
 * Files of a spool that nobody sends: of a program that the configuration does
 * not have, or in a directory that was the spool's until a reload.  They stay
 * as they are; whoever has edited the configuration is told.
 */

#include "ngx_http_loyalty_observe.h"


typedef struct {
    ngx_str_t                              name;
    off_t                                  bytes;
} ngx_http_loyalty_left_t;


typedef struct {
    ngx_http_loyalty_observe_main_conf_t  *omcf;
    ngx_array_t                            programs;    /* of _left_t */
} ngx_http_loyalty_lefts_t;


static void ngx_http_loyalty_left_unknown(ngx_cycle_t *cycle,
    ngx_http_loyalty_observe_main_conf_t *omcf);
static ngx_int_t ngx_http_loyalty_left_found(void *data, ngx_str_t *program,
    uint64_t number, off_t size);
static void ngx_http_loyalty_left_moved(ngx_cycle_t *cycle,
    ngx_http_loyalty_observe_main_conf_t *before);
static ngx_int_t ngx_http_loyalty_left_sum(void *data, ngx_str_t *program,
    uint64_t number, off_t size);


void
ngx_http_loyalty_spool_left(ngx_cycle_t *cycle,
    ngx_http_loyalty_observe_main_conf_t *omcf,
    ngx_http_loyalty_observe_main_conf_t *before)
{
    if (omcf->spool != NULL) {
        ngx_http_loyalty_left_unknown(cycle, omcf);
    }

    if (before != NULL && before->spool != NULL
        && (omcf->spool == NULL
            || !ngx_http_loyalty_observe_same(&omcf->spool->path->name,
                                              &before->spool->path->name)))
    {
        ngx_http_loyalty_left_moved(cycle, before);
    }
}


static void
ngx_http_loyalty_left_unknown(ngx_cycle_t *cycle,
    ngx_http_loyalty_observe_main_conf_t *omcf)
{
    u_char                     shown[NGX_HTTP_LOYALTY_SHOWN];
    ngx_uint_t                 i;
    ngx_pool_t                *pool;
    ngx_http_loyalty_left_t   *left;
    ngx_http_loyalty_lefts_t   lefts;

    /* who only tests a configuration may not be who reads the spool */

    if (access((char *) omcf->spool->path->name.data, R_OK|X_OK) == -1) {
        return;
    }

    pool = ngx_create_pool(1024, cycle->log);
    if (pool == NULL) {
        return;
    }

    lefts.omcf = omcf;

    if (ngx_array_init(&lefts.programs, pool, 4,
                       sizeof(ngx_http_loyalty_left_t))
        == NGX_OK)
    {
        (void) ngx_http_loyalty_spool_files(omcf->spool, NULL, cycle->log,
                                            ngx_http_loyalty_left_found,
                                            &lefts);

        left = lefts.programs.elts;

        for (i = 0; i < lefts.programs.nelts; i++) {
            ngx_http_loyalty_show(&left[i].name, shown);

            ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                          "there are %O bytes of observed events in \"%V\" of "
                          "a program \"%V\", which is not there: they stay",
                          left[i].bytes, &omcf->spool->path->name,
                          &left[i].name);
        }
    }

    ngx_destroy_pool(pool);
}


static ngx_int_t
ngx_http_loyalty_left_found(void *data, ngx_str_t *program, uint64_t number,
    off_t size)
{
    ngx_http_loyalty_lefts_t *lefts = data;

    ngx_uint_t                      i;
    ngx_http_loyalty_left_t        *left;
    ngx_http_loyalty_observing_t  **observing;

    observing = lefts->omcf->observing.elts;

    for (i = 0; i < lefts->omcf->observing.nelts; i++) {
        if (ngx_http_loyalty_observe_same(&observing[i]->program->name,
                                          program))
        {
            return NGX_OK;
        }
    }

    left = lefts->programs.elts;

    for (i = 0; i < lefts->programs.nelts; i++) {
        if (ngx_http_loyalty_observe_same(&left[i].name, program)) {
            left[i].bytes += size;
            return NGX_OK;
        }
    }

    left = ngx_array_push(&lefts->programs);
    if (left == NULL) {
        return NGX_ERROR;
    }

    left->name.len = program->len;
    left->name.data = ngx_pstrdup(lefts->programs.pool, program);
    left->bytes = size;

    return left->name.data ? NGX_OK : NGX_ERROR;
}


/* in the directory that was the spool's before this reload */

static void
ngx_http_loyalty_left_moved(ngx_cycle_t *cycle,
    ngx_http_loyalty_observe_main_conf_t *before)
{
    off_t                           bytes;
    ngx_uint_t                      i;
    ngx_http_loyalty_observing_t  **observing;

    observing = before->observing.elts;

    for (i = 0; i < before->observing.nelts; i++) {
        bytes = 0;

        (void) ngx_http_loyalty_spool_files(before->spool,
                                            &observing[i]->program->name,
                                            cycle->log,
                                            ngx_http_loyalty_left_sum, &bytes);

        if (bytes) {
            ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                          "loyalty program \"%V\": there are %O bytes of "
                          "observed events in \"%V\", which is not the spool "
                          "any more: they stay",
                          &observing[i]->program->name, bytes,
                          &before->spool->path->name);
        }
    }
}


static ngx_int_t
ngx_http_loyalty_left_sum(void *data, ngx_str_t *program, uint64_t number,
    off_t size)
{
    off_t *bytes = data;

    *bytes += size;

    return NGX_OK;
}
