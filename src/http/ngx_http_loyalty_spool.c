/*
 * The spool of a program: which process has it, and which files there are.
 *
 * One worker writes and reads for all.  Events of all workers so come into one
 * file in the order in which they were observed, and are sent in that order
 * when Redis is back, each file from its beginning; with a file for each
 * worker there would be no order among them.  The price is that this worker
 * writes for the others: 64 kB at a time, into the kernel's memory.
 *
 * Whoever holds the lock of DIR/PROGRAM.lock is that worker.  The kernel takes
 * the lock from a process that ends, however it ends, and it holds among
 * several nginx on one machine.  It is held only while there is something to
 * do: nothing touches the disk while Redis takes what is observed.  Another
 * nginx whose ring fills meanwhile makes DIR/PROGRAM.wait, and gets the lock.
 *
 * Files are DIR/PROGRAM.N, N of 16 hexadecimal digits, each a little part of
 * what the spool may hold.  One is deleted when all of its records have been
 * acknowledged; a process that is killed before leaves it to the next one,
 * which sends all of it again, and the ids decide that each counts once.
 */

#include "ngx_http_loyalty_sender.h"


#define NGX_HTTP_LOYALTY_SPOOL_DIGITS  16
#define NGX_HTTP_LOYALTY_SPOOL_PROGRAM 64         /* bytes of its name */
#define NGX_HTTP_LOYALTY_SPOOL_REMIND  10000      /* ms */


static ngx_int_t ngx_http_loyalty_spool_lock(ngx_http_loyalty_spool_t *spool);
static void ngx_http_loyalty_spool_wait(ngx_http_loyalty_spool_t *spool,
    u_char *name);
static ngx_int_t ngx_http_loyalty_spool_there(void *data, ngx_str_t *program,
    uint64_t number, off_t size);
static ngx_int_t ngx_http_loyalty_spool_number(ngx_str_t *name,
    ngx_str_t *program, uint64_t *number);
static ngx_int_t ngx_http_loyalty_spool_found(void *data, ngx_str_t *program,
    uint64_t number, off_t size);
static ngx_int_t ngx_http_loyalty_spool_sort(ngx_http_loyalty_spool_t *spool);
static int ngx_libc_cdecl ngx_http_loyalty_spool_cmp(const void *one,
    const void *two);


ngx_http_loyalty_spool_t *
ngx_http_loyalty_spool_create(ngx_pool_t *pool, ngx_log_t *log,
    ngx_http_loyalty_spool_conf_t *conf, ngx_http_loyalty_program_t *program,
    loyalty_ring_t *ring)
{
    ngx_http_loyalty_spool_t  *spool;

    spool = ngx_pcalloc(pool, sizeof(ngx_http_loyalty_spool_t));
    if (spool == NULL) {
        return NULL;
    }

    spool->conf = conf;
    spool->program = program;
    spool->log = log;
    spool->ring = ring;
    spool->lock = NGX_INVALID_FILE;
    spool->out = NGX_INVALID_FILE;
    spool->in = NGX_INVALID_FILE;

    ngx_queue_init(&spool->segments);

    return spool;
}


ngx_int_t
ngx_http_loyalty_spool_acquire(ngx_http_loyalty_spool_t *spool)
{
    ngx_int_t  rc;

    rc = ngx_http_loyalty_spool_lock(spool);

    if (rc != NGX_OK) {
        return rc;
    }

    spool->bytes = 0;
    spool->number = 0;
    spool->waiting = 0;
    spool->aside = 0;
    spool->full = 0;
    spool->stored = 0;
    spool->resume = 1;
    spool->acquired = ngx_current_msec;

    spool->read = ngx_alloc(NGX_HTTP_LOYALTY_SPOOL_BATCH, spool->log);

    if (spool->read == NULL
        || ngx_http_loyalty_spool_files(spool->conf,
                                        &spool->program->name, spool->log,
                                        ngx_http_loyalty_spool_found, spool)
           != NGX_OK
        || ngx_http_loyalty_spool_sort(spool) != NGX_OK)
    {
        ngx_http_loyalty_spool_release(spool);
        return NGX_ERROR;
    }

    if (ngx_http_loyalty_store_acquired(spool) != NGX_OK) {
        ngx_http_loyalty_spool_release(spool);
        return NGX_DECLINED;
    }

    if (spool->bytes) {
        ngx_log_error(NGX_LOG_NOTICE, spool->log, 0,
                      "loyalty program \"%V\": there are %O bytes of observed "
                      "events in \"%V\"", &spool->program->name, spool->bytes,
                      &spool->conf->path->name);
    }

    ngx_http_loyalty_spool_tell(spool);

    return NGX_OK;
}


ngx_uint_t
ngx_http_loyalty_spool_look(ngx_http_loyalty_spool_t *spool)
{
    ngx_uint_t  there;

    there = 0;

    (void) ngx_http_loyalty_spool_files(spool->conf, &spool->program->name,
                                        spool->log,
                                        ngx_http_loyalty_spool_there, &there);

    spool->looked = ngx_current_msec;
    spool->known = !there;

    return there;
}


static ngx_int_t
ngx_http_loyalty_spool_there(void *data, ngx_str_t *program, uint64_t number,
    off_t size)
{
    ngx_uint_t *there = data;

    *there = 1;

    return NGX_DONE;
}


static ngx_int_t
ngx_http_loyalty_spool_lock(ngx_http_loyalty_spool_t *spool)
{
    u_char     name[NGX_MAX_PATH];
    ngx_fd_t   fd;
    ngx_err_t  err;

    (void) ngx_sprintf(name, "%V/%V.lock%Z", &spool->conf->path->name,
                       &spool->program->name);

    fd = ngx_open_file(name, NGX_FILE_RDWR, NGX_FILE_CREATE_OR_OPEN,
                       NGX_FILE_OWNER_ACCESS);

    if (fd == NGX_INVALID_FILE) {
        ngx_http_loyalty_spool_failed(spool, ngx_errno, ngx_open_file_n, 0);
        return NGX_ERROR;
    }

    err = ngx_trylock_fd(fd);

    if (err != 0) {

        if (ngx_close_file(fd) == NGX_FILE_ERROR) {
            ngx_log_error(NGX_LOG_ALERT, spool->log, ngx_errno,
                          ngx_close_file_n " \"%s\" failed", name);
        }

        if (err == NGX_EAGAIN || err == NGX_EACCES) {
            return NGX_DECLINED;
        }

        ngx_http_loyalty_spool_failed(spool, err, ngx_trylock_fd_n, 0);
        return NGX_ERROR;
    }

    spool->lock = fd;

    return NGX_OK;
}


void
ngx_http_loyalty_spool_ask(ngx_http_loyalty_spool_t *spool)
{
    u_char    name[NGX_MAX_PATH];
    ngx_fd_t  fd;

    ngx_http_loyalty_spool_wait(spool, name);

    fd = ngx_open_file(name, NGX_FILE_WRONLY, NGX_FILE_CREATE_OR_OPEN,
                       NGX_FILE_OWNER_ACCESS);

    if (fd == NGX_INVALID_FILE) {
        ngx_http_loyalty_spool_failed(spool, ngx_errno, ngx_open_file_n, 0);
        return;
    }

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, spool->log, ngx_errno,
                      ngx_close_file_n " \"%s\" failed", name);
    }
}


ngx_uint_t
ngx_http_loyalty_spool_asked(ngx_http_loyalty_spool_t *spool)
{
    u_char  name[NGX_MAX_PATH];

    ngx_http_loyalty_spool_wait(spool, name);

    return ngx_delete_file(name) != NGX_FILE_ERROR;
}


static void
ngx_http_loyalty_spool_wait(ngx_http_loyalty_spool_t *spool, u_char *name)
{
    (void) ngx_sprintf(name, "%V/%V.wait%Z", &spool->conf->path->name,
                       &spool->program->name);
}


void
ngx_http_loyalty_spool_release(ngx_http_loyalty_spool_t *spool)
{
    ngx_queue_t                 *q;
    ngx_http_loyalty_segment_t  *segment;

    if (!ngx_http_loyalty_spool_mine(spool)) {
        return;
    }

    ngx_http_loyalty_spool_seal(spool);
    ngx_http_loyalty_spool_close(spool);
    ngx_http_loyalty_store_released(spool);

    if (ngx_queue_empty(&spool->segments)) {
        (void) ngx_http_loyalty_spool_asked(spool);
    }

    while (!ngx_queue_empty(&spool->segments)) {
        q = ngx_queue_head(&spool->segments);
        ngx_queue_remove(q);

        segment = ngx_queue_data(q, ngx_http_loyalty_segment_t, queue);
        ngx_free(segment);
    }

    if (spool->read != NULL) {
        ngx_free(spool->read);
        spool->read = NULL;
    }

    (void) ngx_atomic_cmp_set((ngx_atomic_t *)
                     &spool->ring->user[NGX_HTTP_LOYALTY_RING_SPOOLER],
                     (ngx_atomic_uint_t) ngx_pid, 0);

    if (ngx_close_file(spool->lock) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, spool->log, ngx_errno,
                      ngx_close_file_n " of a spool's lock failed");
    }

    spool->lock = NGX_INVALID_FILE;
}


ngx_uint_t
ngx_http_loyalty_spool_first(ngx_http_loyalty_spool_t *spool)
{
    ngx_http_loyalty_segment_t  *last;

    if (ngx_queue_empty(&spool->segments)) {
        return 0;
    }

    last = ngx_queue_data(ngx_queue_last(&spool->segments),
                          ngx_http_loyalty_segment_t, queue);

    return !last->over || spool->waiting > spool->aside;
}


ngx_uint_t
ngx_http_loyalty_spool_empty(ngx_http_loyalty_spool_t *spool)
{
    return ngx_queue_empty(&spool->segments);
}


void
ngx_http_loyalty_spool_tell(ngx_http_loyalty_spool_t *spool)
{
    uint64_t  *user;

    user = spool->ring->user;

    __atomic_store_n(&user[NGX_HTTP_LOYALTY_RING_SPOOLER], (uint64_t) ngx_pid,
                     __ATOMIC_RELEASE);
    __atomic_store_n(&user[NGX_HTTP_LOYALTY_RING_BYTES],
                     (uint64_t) spool->bytes, __ATOMIC_RELEASE);
    __atomic_store_n(&user[NGX_HTTP_LOYALTY_RING_SPOOL_FULL],
                     (uint64_t) spool->full, __ATOMIC_RELEASE);

    /* they also wait for what they have offered, which comes next */

    __atomic_store_n(&user[NGX_HTTP_LOYALTY_RING_FIRST],
                     (uint64_t) (ngx_queue_empty(&spool->segments)
                                 || ngx_http_loyalty_spool_first(spool)),
                     __ATOMIC_RELEASE);
}


void
ngx_http_loyalty_spool_name(ngx_http_loyalty_spool_conf_t *conf,
    ngx_str_t *program, uint64_t number, u_char *name)
{
    (void) ngx_sprintf(name, "%V/%V.%016xL%Z", &conf->path->name, program,
                       number);
}


ngx_int_t
ngx_http_loyalty_spool_files(ngx_http_loyalty_spool_conf_t *conf,
    ngx_str_t *program, ngx_log_t *log,
    ngx_http_loyalty_spool_file_pt handler, void *data)
{
    u_char           path[NGX_MAX_PATH];
    uint64_t         number;
    ngx_dir_t        dir;
    ngx_err_t        err;
    ngx_int_t        rc;
    ngx_str_t        name, own;
    ngx_file_info_t  fi;

    if (ngx_open_dir(&conf->path->name, &dir) == NGX_ERROR) {
        ngx_log_error(NGX_LOG_CRIT, log, ngx_errno,
                      ngx_open_dir_n " \"%V\" failed", &conf->path->name);
        return NGX_ERROR;
    }

    for (rc = NGX_OK; rc == NGX_OK; /* void */) {
        ngx_set_errno(0);

        if (ngx_read_dir(&dir) == NGX_ERROR) {
            err = ngx_errno;

            if (err != NGX_ENOMOREFILES && err != 0) {
                ngx_log_error(NGX_LOG_CRIT, log, err,
                              ngx_read_dir_n " \"%V\" failed",
                              &conf->path->name);
                rc = NGX_ERROR;
            }

            break;
        }

        name.len = ngx_de_namelen(&dir);
        name.data = ngx_de_name(&dir);

        if (program != NULL) {
            own = *program;

        } else {
            own.data = name.data;
            own.len = name.len
                      - ngx_min(name.len, NGX_HTTP_LOYALTY_SPOOL_DIGITS + 1);
        }

        if (own.len == 0 || own.len > NGX_HTTP_LOYALTY_SPOOL_PROGRAM
            || ngx_http_loyalty_spool_number(&name, &own, &number) != NGX_OK)
        {
            continue;
        }

        ngx_http_loyalty_spool_name(conf, &own, number, path);

        if (ngx_file_info(path, &fi) == NGX_FILE_ERROR) {
            continue;
        }

        rc = handler(data, &own, number, ngx_file_size(&fi));
    }

    if (ngx_close_dir(&dir) == NGX_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      ngx_close_dir_n " \"%V\" failed", &conf->path->name);
    }

    return rc;
}


static ngx_int_t
ngx_http_loyalty_spool_number(ngx_str_t *name, ngx_str_t *program,
    uint64_t *number)
{
    u_char      *p, c;
    ngx_uint_t   i;

    if (name->len != program->len + 1 + NGX_HTTP_LOYALTY_SPOOL_DIGITS
        || ngx_strncmp(name->data, program->data, program->len) != 0
        || name->data[program->len] != '.')
    {
        return NGX_DECLINED;
    }

    p = name->data + program->len + 1;

    for (i = 0, *number = 0; i < NGX_HTTP_LOYALTY_SPOOL_DIGITS; i++) {
        c = p[i];

        if (c >= '0' && c <= '9') {
            *number = *number * 16 + (c - '0');

        } else if (c >= 'a' && c <= 'f') {
            *number = *number * 16 + (c - 'a' + 10);

        } else {
            return NGX_DECLINED;
        }
    }

    /* the next number must be one, too */

    return *number < UINT64_MAX / 2 ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_loyalty_spool_found(void *data, ngx_str_t *program, uint64_t number,
    off_t size)
{
    ngx_http_loyalty_spool_t *spool = data;

    ngx_http_loyalty_segment_t  *segment;

    segment = ngx_calloc(sizeof(ngx_http_loyalty_segment_t), spool->log);
    if (segment == NULL) {
        return NGX_ERROR;
    }

    segment->number = number;
    segment->size = size;

    ngx_queue_insert_tail(&spool->segments, &segment->queue);

    spool->bytes += size;
    spool->number = ngx_max(spool->number, number);

    return NGX_OK;
}


/* ngx_queue_sort() would take seconds where there are many thousands */

static ngx_int_t
ngx_http_loyalty_spool_sort(ngx_http_loyalty_spool_t *spool)
{
    ngx_uint_t                    i, n;
    ngx_queue_t                  *q;
    ngx_http_loyalty_segment_t  **segments;

    if (ngx_queue_empty(&spool->segments)) {
        return NGX_OK;
    }

    n = 0;

    for (q = ngx_queue_head(&spool->segments);
         q != ngx_queue_sentinel(&spool->segments);
         q = ngx_queue_next(q))
    {
        n++;
    }

    segments = ngx_alloc(n * sizeof(ngx_http_loyalty_segment_t *), spool->log);
    if (segments == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        q = ngx_queue_head(&spool->segments);
        ngx_queue_remove(q);
        segments[i] = ngx_queue_data(q, ngx_http_loyalty_segment_t, queue);
    }

    ngx_qsort(segments, n, sizeof(ngx_http_loyalty_segment_t *),
              ngx_http_loyalty_spool_cmp);

    for (i = 0; i < n; i++) {
        ngx_queue_insert_tail(&spool->segments, &segments[i]->queue);
    }

    ngx_free(segments);

    return NGX_OK;
}


static int ngx_libc_cdecl
ngx_http_loyalty_spool_cmp(const void *one, const void *two)
{
    ngx_http_loyalty_segment_t  *first, *second;

    first = *(ngx_http_loyalty_segment_t **) one;
    second = *(ngx_http_loyalty_segment_t **) two;

    return (first->number > second->number)
           - (first->number < second->number);
}


void
ngx_http_loyalty_spool_failed(ngx_http_loyalty_spool_t *spool, ngx_err_t err,
    const char *what, uint64_t number)
{
    ngx_http_loyalty_stat(spool->program, NGX_HTTP_LOYALTY_STAT_SPOOL_ERRORS,
                          1);

    spool->failed = ngx_current_msec;

    if (spool->failing
        && ngx_current_msec - spool->told < NGX_HTTP_LOYALTY_SPOOL_REMIND)
    {
        return;
    }

    spool->failing = 1;
    spool->told = ngx_current_msec;

    ngx_log_error(NGX_LOG_CRIT, spool->log, err,
                  "loyalty program \"%V\": %s of a file of the spool \"%V\" "
                  "failed, number %uxL", &spool->program->name, what,
                  &spool->conf->path->name, number);
}
