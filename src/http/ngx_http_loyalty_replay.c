/*
 * Reading the spool: the records of its files, the oldest first.  A file is
 * deleted when all of its records have been acknowledged.
 *
 * The file that is being written is read, too, when its turn comes: it is
 * closed for that, and what is appended then goes into another.
 *
 * Reading takes 64 kB at a time from the kernel, which mostly still has it in
 * its memory.
 */

#include "ngx_http_loyalty_observe.h"


static ngx_int_t ngx_http_loyalty_replay_open(ngx_http_loyalty_spool_t *spool);
static void ngx_http_loyalty_replay_unopened(ngx_http_loyalty_spool_t *spool,
    ngx_err_t err);
static ngx_int_t ngx_http_loyalty_replay_read(ngx_http_loyalty_spool_t *spool);
static void ngx_http_loyalty_replay_damaged(ngx_http_loyalty_spool_t *spool,
    size_t size);
static void ngx_http_loyalty_replay_over(ngx_http_loyalty_spool_t *spool);
static void ngx_http_loyalty_replay_bad(ngx_http_loyalty_spool_t *spool,
    ngx_err_t err, const char *what);
static void ngx_http_loyalty_replay_forget(ngx_http_loyalty_spool_t *spool,
    ngx_http_loyalty_segment_t *segment);


ngx_int_t
ngx_http_loyalty_spool_next(ngx_http_loyalty_spool_t *spool, u_char *record,
    size_t *size, uint64_t *number)
{
    loyalty_record_t  found;

    for ( ;; ) {

        if (spool->reading == NULL
            && ngx_http_loyalty_replay_open(spool) != NGX_OK)
        {
            return NGX_DECLINED;
        }

        switch (loyalty_spool_next(spool->pos, spool->last - spool->pos,
                                   spool->eof, &found))
        {
        case LOYALTY_SPOOL_RECORD:
            ngx_memcpy(record, spool->pos, found.size);
            *size = found.size;
            *number = spool->reading->number;

            spool->pos += found.size;
            spool->reading->waiting++;
            spool->waiting++;

            return NGX_OK;

        case LOYALTY_SPOOL_DAMAGED:
            ngx_http_loyalty_replay_damaged(spool, found.size);
            break;

        default: /* LOYALTY_SPOOL_MORE */

            if (spool->eof) {
                ngx_http_loyalty_replay_over(spool);

            } else if (ngx_http_loyalty_replay_read(spool) != NGX_OK) {
                ngx_http_loyalty_replay_bad(spool, ngx_errno, "pread()");
            }
        }
    }
}


void
ngx_http_loyalty_spool_done(ngx_http_loyalty_spool_t *spool, uint64_t number)
{
    ngx_queue_t                 *q;
    ngx_http_loyalty_segment_t  *segment;

    ngx_http_loyalty_stat(spool->program, NGX_HTTP_LOYALTY_STAT_REPLAYED, 1);

    /* one that could not be read to its end is there no more */

    for (q = ngx_queue_head(&spool->segments);
         q != ngx_queue_sentinel(&spool->segments);
         q = ngx_queue_next(q))
    {
        segment = ngx_queue_data(q, ngx_http_loyalty_segment_t, queue);

        if (segment->number == number) {
            segment->waiting--;
            spool->waiting--;

            if (segment->over && segment->waiting == 0) {
                ngx_http_loyalty_spool_delete(spool, segment);
            }

            return;
        }
    }
}


/* the first one that was not read; NGX_DECLINED: all were */

static ngx_int_t
ngx_http_loyalty_replay_open(ngx_http_loyalty_spool_t *spool)
{
    u_char                       name[NGX_MAX_PATH];
    ngx_queue_t                 *q;
    ngx_http_loyalty_segment_t  *segment;

    if (spool->starved
        && ngx_current_msec - spool->starved < NGX_HTTP_LOYALTY_SPOOL_AGAIN)
    {
        return NGX_DECLINED;
    }

    spool->starved = 0;
    segment = NULL;

    for (q = ngx_queue_head(&spool->segments);
         q != ngx_queue_sentinel(&spool->segments);
         q = ngx_queue_next(q))
    {
        segment = ngx_queue_data(q, ngx_http_loyalty_segment_t, queue);

        if (!segment->over) {
            break;
        }
    }

    if (q == ngx_queue_sentinel(&spool->segments)) {
        return NGX_DECLINED;
    }

    if (q == ngx_queue_last(&spool->segments)) {
        ngx_http_loyalty_spool_seal(spool);
    }

    ngx_http_loyalty_spool_name(spool->conf, &spool->program->name,
                                segment->number, name);

    spool->reading = segment;
    spool->offset = 0;
    spool->pos = spool->read;
    spool->last = spool->read;
    spool->eof = 0;

    spool->in = ngx_open_file(name, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (spool->in == NGX_INVALID_FILE) {
        ngx_http_loyalty_replay_unopened(spool, ngx_errno);
        return NGX_DECLINED;
    }

    if (ngx_http_loyalty_replay_read(spool) != NGX_OK) {
        ngx_http_loyalty_replay_bad(spool, ngx_errno, "pread()");
        return NGX_DECLINED;
    }

    /* what has no head is read all the same: its records are told from what
       is none */

    if (spool->last - spool->pos >= LOYALTY_SPOOL_HEAD
        && ngx_memcmp(spool->pos, LOYALTY_SPOOL_MAGIC, LOYALTY_SPOOL_HEAD)
           == 0)
    {
        spool->pos += LOYALTY_SPOOL_HEAD;
    }

    return NGX_OK;
}


/* that the process is short of something is no fault of the file's, which is
   tried again in a second */

static void
ngx_http_loyalty_replay_unopened(ngx_http_loyalty_spool_t *spool,
    ngx_err_t err)
{
    if (err != NGX_EMFILE && err != NGX_ENFILE && err != NGX_ENOMEM) {
        ngx_http_loyalty_replay_bad(spool, err, ngx_open_file_n);
        return;
    }

    ngx_http_loyalty_spool_failed(spool, err, ngx_open_file_n,
                                  spool->reading->number);

    spool->starved = ngx_max(ngx_current_msec, 1);
    spool->reading = NULL;
}


/* more, behind what is there */

static ngx_int_t
ngx_http_loyalty_replay_read(ngx_http_loyalty_spool_t *spool)
{
    size_t   room;
    ssize_t  n;

    spool->last = ngx_movemem(spool->read, spool->pos,
                              spool->last - spool->pos);
    spool->pos = spool->read;

    room = NGX_HTTP_LOYALTY_SPOOL_BATCH - (spool->last - spool->read);

    n = pread(spool->in, spool->last, room, spool->offset);

    if (n == -1) {
        return NGX_ERROR;
    }

    spool->last += n;
    spool->offset += n;
    spool->eof = (n == 0);

    return NGX_OK;
}


static void
ngx_http_loyalty_replay_damaged(ngx_http_loyalty_spool_t *spool, size_t size)
{
    ngx_http_loyalty_stat(spool->program, NGX_HTTP_LOYALTY_STAT_OBS_DAMAGED,
                          1);

    ngx_log_error(NGX_LOG_ERR, spool->log, 0,
                  "loyalty program \"%V\": %uz bytes at %O of the file %uxL "
                  "of the spool \"%V\" are no observed event",
                  &spool->program->name, size,
                  spool->offset - (spool->last - spool->pos),
                  spool->reading->number, &spool->conf->path->name);

    spool->pos += size;
}


/* all of it has been read */

static void
ngx_http_loyalty_replay_over(ngx_http_loyalty_spool_t *spool)
{
    ngx_http_loyalty_segment_t  *segment;

    segment = spool->reading;
    segment->over = 1;

    ngx_http_loyalty_spool_close(spool);

    if (segment->waiting == 0) {
        ngx_http_loyalty_spool_delete(spool, segment);
    }
}


void
ngx_http_loyalty_spool_delete(ngx_http_loyalty_spool_t *spool,
    ngx_http_loyalty_segment_t *segment)
{
    u_char  name[NGX_MAX_PATH];

    ngx_http_loyalty_spool_name(spool->conf, &spool->program->name,
                                segment->number, name);

    if (ngx_delete_file(name) == NGX_FILE_ERROR && ngx_errno != NGX_ENOENT) {
        ngx_log_error(NGX_LOG_CRIT, spool->log, ngx_errno,
                      ngx_delete_file_n " \"%s\" failed", name);
    }

    ngx_http_loyalty_replay_forget(spool, segment);
}


/* what is being read cannot be: it is put aside, for people to look at */

static void
ngx_http_loyalty_replay_bad(ngx_http_loyalty_spool_t *spool, ngx_err_t err,
    const char *what)
{
    u_char                       name[NGX_MAX_PATH], bad[NGX_MAX_PATH];
    ngx_http_loyalty_segment_t  *segment;

    segment = spool->reading;

    ngx_http_loyalty_spool_failed(spool, err, what, segment->number);

    /* the directory may come back, with all that is in it */

    spool->known = 0;

    ngx_http_loyalty_spool_name(spool->conf, &spool->program->name,
                                segment->number, name);

    (void) ngx_sprintf(bad, "%s.bad%Z", name);

    if (ngx_rename_file(name, bad) == NGX_FILE_ERROR
        && ngx_errno != NGX_ENOENT)
    {
        ngx_log_error(NGX_LOG_CRIT, spool->log, ngx_errno,
                      ngx_rename_file_n " \"%s\" to \"%s\" failed", name, bad);
    }

    ngx_http_loyalty_spool_close(spool);
    ngx_http_loyalty_replay_forget(spool, segment);
}


static void
ngx_http_loyalty_replay_forget(ngx_http_loyalty_spool_t *spool,
    ngx_http_loyalty_segment_t *segment)
{
    ngx_queue_remove(&segment->queue);

    spool->bytes -= segment->size;
    spool->waiting -= segment->waiting;
    spool->full = 0;

    ngx_free(segment);

    ngx_http_loyalty_spool_tell(spool);
}


void
ngx_http_loyalty_spool_close(ngx_http_loyalty_spool_t *spool)
{
    spool->reading = NULL;

    if (spool->in == NGX_INVALID_FILE) {
        return;
    }

    if (ngx_close_file(spool->in) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, spool->log, ngx_errno,
                      ngx_close_file_n " of a file of the spool \"%V\" failed",
                      &spool->conf->path->name);
    }

    spool->in = NGX_INVALID_FILE;
}
