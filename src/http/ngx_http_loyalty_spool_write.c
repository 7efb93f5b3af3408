/*
 * Writing to the spool: whole records, appended by one write, many at a time.
 *
 * A record leaves the ring only when the kernel has it, so that it outlives
 * any process.  A file is not synced unless sync=on asks for it: a machine
 * that loses its power may then lose what the kernel has not written yet,
 * about half a minute.  With sync=on each batch is on the disk before it
 * leaves the ring, and the worker waits for the disk as long as that takes.
 *
 * When a write fails, the records that got whole into the file stay there, the
 * others in the ring, and what was written of those is cut off; should even
 * that fail, the file is left, and its reader passes over what is no record.
 *
 * Who gets the lock goes on with the last file there is, or a long outage, in
 * which it changes hands every few seconds, would leave as many files.
 */

#include "ngx_http_loyalty_sender.h"


static ngx_int_t ngx_http_loyalty_spool_open(ngx_http_loyalty_spool_t *spool);
static ngx_int_t ngx_http_loyalty_spool_resume(
    ngx_http_loyalty_spool_t *spool);
static void ngx_http_loyalty_spool_cut(ngx_http_loyalty_spool_t *spool,
    ngx_http_loyalty_segment_t *segment, off_t size);
static void ngx_http_loyalty_spool_leave(ngx_http_loyalty_spool_t *spool,
    ngx_http_loyalty_segment_t *segment);
static ngx_int_t ngx_http_loyalty_spool_write(ngx_fd_t fd, u_char *p,
    size_t n, size_t *done);
static size_t ngx_http_loyalty_spool_whole(u_char *p, size_t n);
static ngx_int_t ngx_http_loyalty_spool_sync(ngx_http_loyalty_spool_t *spool);

static ngx_int_t ngx_http_loyalty_save_found(void *data, ngx_str_t *program,
    uint64_t number, off_t size);
static ngx_fd_t ngx_http_loyalty_save_open(ngx_cycle_t *cycle,
    ngx_http_loyalty_spool_conf_t *conf, ngx_str_t *program,
    uint64_t number, u_char *name);


/* while what is left is saved */

typedef struct {
    uint64_t                      number;
    off_t                         bytes;
} ngx_http_loyalty_save_t;


off_t
ngx_http_loyalty_spool_room(ngx_http_loyalty_spool_t *spool)
{
    off_t  used;

    used = spool->bytes;

    if (spool->out == NGX_INVALID_FILE) {
        used += LOYALTY_SPOOL_HEAD;
    }

    return (used < spool->conf->max) ? spool->conf->max - used : 0;
}


ngx_int_t
ngx_http_loyalty_spool_append(ngx_http_loyalty_spool_t *spool, u_char *p,
    size_t n, size_t *done)
{
    size_t                       written;
    ngx_int_t                    rc;
    ngx_queue_t                 *q;
    ngx_http_loyalty_segment_t  *segment;

    *done = 0;

    if (spool->failing
        && ngx_current_msec - spool->failed < NGX_HTTP_LOYALTY_SPOOL_AGAIN)
    {
        return NGX_ERROR;
    }

    if (spool->out == NGX_INVALID_FILE
        && ngx_http_loyalty_spool_resume(spool) != NGX_OK
        && ngx_http_loyalty_spool_open(spool) != NGX_OK)
    {
        return NGX_ERROR;
    }

    q = ngx_queue_last(&spool->segments);
    segment = ngx_queue_data(q, ngx_http_loyalty_segment_t, queue);

    rc = ngx_http_loyalty_spool_write(spool->out, p, n, done);
    written = *done;

    if (rc != NGX_OK) {
        ngx_http_loyalty_spool_failed(spool, ngx_errno, ngx_write_fd_n,
                                      segment->number);
        *done = ngx_http_loyalty_spool_whole(p, *done);
    }

    if (*done && ngx_http_loyalty_spool_sync(spool) != NGX_OK) {
        ngx_http_loyalty_spool_failed(spool, ngx_errno, "fdatasync()",
                                      segment->number);
        *done = 0;
        rc = NGX_ERROR;
    }

    segment->size += *done;
    spool->bytes += *done;

    if (rc != NGX_OK) {

        ngx_http_loyalty_spool_cut(spool, segment,
                                   segment->size - *done + written);
        ngx_http_loyalty_spool_leave(spool, segment);
        ngx_http_loyalty_spool_tell(spool);

        return NGX_ERROR;
    }

    spool->failing = 0;

    if (segment->size >= spool->conf->segment) {
        ngx_http_loyalty_spool_seal(spool);
    }

    ngx_http_loyalty_spool_tell(spool);

    return NGX_OK;
}


/* what follows the records that are whole; but for what is not ours: size is
   how much there should be, and a process that ends may have written to the
   file that was gone on with, without the lock */

static void
ngx_http_loyalty_spool_cut(ngx_http_loyalty_spool_t *spool,
    ngx_http_loyalty_segment_t *segment, off_t size)
{
    ngx_file_info_t  fi;

    if (ngx_fd_info(spool->out, &fi) == NGX_FILE_ERROR
        || ngx_file_size(&fi) > size)
    {
        return;
    }

    if (ftruncate(spool->out, segment->size) == -1) {
        ngx_log_error(NGX_LOG_CRIT, spool->log, ngx_errno,
                      "ftruncate() of a file of the spool \"%V\" failed",
                      &spool->conf->path->name);
    }
}


/* bytes of the records that are whole in the first n */

static size_t
ngx_http_loyalty_spool_whole(u_char *p, size_t n)
{
    size_t            whole;
    loyalty_record_t  record;

    for (whole = 0; whole < n; whole += record.size) {
        if (loyalty_spool_next(p + whole, n - whole, 1, &record)
            != LOYALTY_SPOOL_RECORD)
        {
            break;
        }
    }

    return whole;
}


/* the next attempt begins with a file of its own; one that nothing got into
   does not stay, or a disk that is full would get one each second */

static void
ngx_http_loyalty_spool_leave(ngx_http_loyalty_spool_t *spool,
    ngx_http_loyalty_segment_t *segment)
{
    ngx_uint_t  resumed;

    resumed = spool->resumed;

    ngx_http_loyalty_spool_seal(spool);

    if (!resumed && segment->size == LOYALTY_SPOOL_HEAD) {
        ngx_http_loyalty_spool_delete(spool, segment);
    }
}


/* the last file, as it was left by whoever had the lock before */

static ngx_int_t
ngx_http_loyalty_spool_resume(ngx_http_loyalty_spool_t *spool)
{
    u_char                       name[NGX_MAX_PATH];
    ngx_queue_t                 *q;
    ngx_http_loyalty_segment_t  *last;

    if (!spool->resume) {
        return NGX_DECLINED;
    }

    spool->resume = 0;

    if (ngx_queue_empty(&spool->segments)) {
        return NGX_DECLINED;
    }

    q = ngx_queue_last(&spool->segments);
    last = ngx_queue_data(q, ngx_http_loyalty_segment_t, queue);

    if (last->over || last == spool->reading
        || last->size < LOYALTY_SPOOL_HEAD
        || last->size >= spool->conf->segment)
    {
        return NGX_DECLINED;
    }

    ngx_http_loyalty_spool_name(spool->conf, &spool->program->name,
                                last->number, name);

    spool->out = ngx_open_file(name, NGX_FILE_APPEND, NGX_FILE_OPEN, 0);

    if (spool->out == NGX_INVALID_FILE) {
        return NGX_DECLINED;
    }

    spool->resumed = 1;

    ngx_http_loyalty_store_opened(spool);

    return NGX_OK;
}


/* a new file, behind all others */

static ngx_int_t
ngx_http_loyalty_spool_open(ngx_http_loyalty_spool_t *spool)
{
    u_char                       name[NGX_MAX_PATH];
    size_t                       done;
    ngx_http_loyalty_segment_t  *segment;

    segment = ngx_calloc(sizeof(ngx_http_loyalty_segment_t), spool->log);
    if (segment == NULL) {
        return NGX_ERROR;
    }

    segment->number = ++spool->number;
    segment->size = LOYALTY_SPOOL_HEAD;

    ngx_http_loyalty_spool_name(spool->conf, &spool->program->name,
                                segment->number, name);

    spool->out = ngx_open_file(name, NGX_FILE_APPEND, O_CREAT|O_EXCL,
                               NGX_FILE_OWNER_ACCESS);

    if (spool->out == NGX_INVALID_FILE) {
        ngx_http_loyalty_spool_failed(spool, ngx_errno, ngx_open_file_n,
                                      segment->number);
        ngx_free(segment);
        return NGX_ERROR;
    }

    ngx_http_loyalty_store_opened(spool);

    ngx_queue_insert_tail(&spool->segments, &segment->queue);
    spool->bytes += segment->size;

    if (ngx_http_loyalty_spool_write(spool->out,
                                     (u_char *) LOYALTY_SPOOL_MAGIC,
                                     LOYALTY_SPOOL_HEAD, &done)
        != NGX_OK)
    {
        ngx_http_loyalty_spool_failed(spool, ngx_errno, ngx_write_fd_n,
                                      segment->number);
        ngx_http_loyalty_spool_leave(spool, segment);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* *done: bytes that were written, all of them or not */

static ngx_int_t
ngx_http_loyalty_spool_write(ngx_fd_t fd, u_char *p, size_t n, size_t *done)
{
    ssize_t  written;

    *done = 0;

    while (*done < n) {
        written = ngx_write_fd(fd, p + *done, n - *done);

        if (written == -1) {

            if (ngx_errno == NGX_EINTR) {
                continue;
            }

            return NGX_ERROR;
        }

        *done += written;
    }

    return NGX_OK;
}


/* of the file, and of the directory that has its name */

static ngx_int_t
ngx_http_loyalty_spool_sync(ngx_http_loyalty_spool_t *spool)
{
    int                          rc;
    ngx_fd_t                     fd;
    ngx_queue_t                 *q;
    ngx_http_loyalty_segment_t  *segment;

    if (!spool->conf->sync) {
        return NGX_OK;
    }

    if (fdatasync(spool->out) == -1) {
        return NGX_ERROR;
    }

    q = ngx_queue_last(&spool->segments);
    segment = ngx_queue_data(q, ngx_http_loyalty_segment_t, queue);

    if (segment->size > LOYALTY_SPOOL_HEAD) {
        return NGX_OK;
    }

    fd = ngx_open_file(spool->conf->path->name.data, NGX_FILE_RDONLY,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        return NGX_ERROR;
    }

    rc = fsync(fd);

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, spool->log, ngx_errno,
                      ngx_close_file_n " \"%V\" failed",
                      &spool->conf->path->name);
    }

    return (rc == 0) ? NGX_OK : NGX_ERROR;
}


void
ngx_http_loyalty_spool_seal(ngx_http_loyalty_spool_t *spool)
{
    if (spool->out == NGX_INVALID_FILE) {
        return;
    }

    if (ngx_close_file(spool->out) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, spool->log, ngx_errno,
                      ngx_close_file_n " of a file of the spool \"%V\" failed",
                      &spool->conf->path->name);
    }

    spool->out = NGX_INVALID_FILE;
    spool->resumed = 0;
}


ngx_uint_t
ngx_http_loyalty_spool_save(ngx_cycle_t *cycle,
    ngx_http_loyalty_spool_conf_t *conf, ngx_str_t *program,
    loyalty_ring_t *ring, ngx_http_loyalty_slot_t *slots, ngx_uint_t n)
{
    u_char                    name[NGX_MAX_PATH];
    off_t                     size;
    size_t                    done;
    ngx_fd_t                  fd;
    ngx_uint_t                i;
    loyalty_record_t          record;
    ngx_http_loyalty_save_t   save;

    save.number = 0;
    save.bytes = 0;

    if (ngx_http_loyalty_spool_files(conf, program, cycle->log,
                                     ngx_http_loyalty_save_found, &save)
        != NGX_OK)
    {
        return n;
    }

    if (ngx_http_loyalty_store_save(conf, program, save.number != 0, ring,
                                    cycle->log)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                      "what is in \"%V\" is of another redis, nothing is "
                      "added", &conf->path->name);
        return n;
    }

    fd = ngx_http_loyalty_save_open(cycle, conf, program, save.number + 1,
                                    name);
    if (fd == NGX_INVALID_FILE) {
        return n;
    }

    size = LOYALTY_SPOOL_HEAD;
    i = 0;

    if (ngx_http_loyalty_spool_write(fd, (u_char *) LOYALTY_SPOOL_MAGIC,
                                     LOYALTY_SPOOL_HEAD, &done)
        != NGX_OK)
    {
        goto failed;
    }

    for ( /* void */ ; i < n; i++) {

        if (loyalty_ring_read(ring, slots[i].slot, ngx_pid, &record) != 0) {
            continue;
        }

        size += record.size;

        if (save.bytes + size > conf->max) {
            break;
        }

        if (ngx_http_loyalty_spool_write(fd, (u_char *) record.payload
                                             - LOYALTY_RECORD_HEAD,
                                         record.size, &done)
            != NGX_OK)
        {
            goto failed;
        }

        (void) loyalty_ring_done(ring, slots[i].slot, ngx_pid);
    }

    if (fsync(fd) == -1) {
        goto failed;
    }

    goto done;

failed:

    ngx_log_error(NGX_LOG_CRIT, cycle->log, ngx_errno,
                  ngx_write_fd_n " to \"%s\" failed", name);

    if (i == 0 && ngx_delete_file(name) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_CRIT, cycle->log, ngx_errno,
                      ngx_delete_file_n " \"%s\" failed", name);
    }

done:

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_errno,
                      ngx_close_file_n " \"%s\" failed", name);
    }

    return n - i;
}


static ngx_int_t
ngx_http_loyalty_save_found(void *data, ngx_str_t *program, uint64_t number,
    off_t size)
{
    ngx_http_loyalty_save_t *save = data;

    save->number = ngx_max(save->number, number);
    save->bytes += size;

    return NGX_OK;
}


/* the master is root, the workers that will read the file are not */

static ngx_fd_t
ngx_http_loyalty_save_open(ngx_cycle_t *cycle,
    ngx_http_loyalty_spool_conf_t *conf, ngx_str_t *program,
    uint64_t number, u_char *name)
{
    ngx_fd_t          fd;
    ngx_uint_t        tries;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    /* another process may take the same number */

    for (tries = 0; tries < 10; tries++) {

        ngx_http_loyalty_spool_name(conf, program, number + tries, name);

        fd = ngx_open_file(name, NGX_FILE_APPEND, O_CREAT|O_EXCL,
                           NGX_FILE_OWNER_ACCESS);

        if (fd != NGX_INVALID_FILE) {

            if (geteuid() == 0
                && fchown(fd, ccf->user, ccf->group) == -1)
            {
                ngx_log_error(NGX_LOG_CRIT, cycle->log, ngx_errno,
                              "fchown() of \"%s\" failed", name);
            }

            return fd;
        }

        if (ngx_errno != NGX_EEXIST) {
            break;
        }
    }

    ngx_log_error(NGX_LOG_CRIT, cycle->log, ngx_errno,
                  ngx_open_file_n " \"%s\" failed", name);

    return NGX_INVALID_FILE;
}
