/*
 * Reading the spool: the records of the oldest file, in order.  When all of
 * them have been acknowledged the file is deleted, and the next one follows.
 *
 * The file that is being written is read, too, when it is the only one left:
 * it is closed for that, and what is appended then goes into another.
 *
 * Reading takes 64 kB at a time from the kernel, which mostly still has it in
 * its memory.
 */

#include "ngx_http_loyalty_observe.h"


static ngx_int_t ngx_http_loyalty_replay_open(ngx_http_loyalty_spool_t *spool);
static ngx_int_t ngx_http_loyalty_replay_read(ngx_http_loyalty_spool_t *spool);
static void ngx_http_loyalty_replay_damaged(ngx_http_loyalty_spool_t *spool,
    size_t size);
static void ngx_http_loyalty_replay_end(ngx_http_loyalty_spool_t *spool,
    ngx_uint_t keep);
static ngx_http_loyalty_segment_t *ngx_http_loyalty_replay_segment(
    ngx_http_loyalty_spool_t *spool);


ngx_int_t
ngx_http_loyalty_spool_next(ngx_http_loyalty_spool_t *spool, u_char *record,
    size_t *size)
{
    loyalty_record_t  found;

    if (!ngx_http_loyalty_spool_mine(spool)
        || ngx_queue_empty(&spool->segments)
        || (spool->in == NGX_INVALID_FILE
            && ngx_http_loyalty_replay_open(spool) != NGX_OK))
    {
        return NGX_DECLINED;
    }

    for ( ;; ) {

        switch (loyalty_spool_next(spool->pos, spool->last - spool->pos,
                                   spool->eof, &found))
        {
        case LOYALTY_SPOOL_RECORD:
            ngx_memcpy(record, spool->pos, found.size);
            *size = found.size;
            spool->pos += found.size;
            spool->waiting++;
            return NGX_OK;

        case LOYALTY_SPOOL_DAMAGED:
            ngx_http_loyalty_replay_damaged(spool, found.size);
            break;

        default: /* LOYALTY_SPOOL_MORE */

            if (!spool->eof) {

                if (ngx_http_loyalty_replay_read(spool) != NGX_OK) {
                    return NGX_DECLINED;
                }

                break;
            }

            if (spool->waiting) {
                return NGX_DECLINED;
            }

            ngx_http_loyalty_replay_end(spool, 0);

            if (ngx_queue_empty(&spool->segments)
                || ngx_http_loyalty_replay_open(spool) != NGX_OK)
            {
                return NGX_DECLINED;
            }
        }
    }
}


void
ngx_http_loyalty_spool_done(ngx_http_loyalty_spool_t *spool,
    ngx_uint_t opened)
{
    ngx_http_loyalty_stat(spool->program, NGX_HTTP_LOYALTY_STAT_REPLAYED, 1);

    /* a file that could not be read to its end was put aside meanwhile */

    if (spool->in == NGX_INVALID_FILE || spool->opened != opened) {
        return;
    }

    spool->waiting--;

    /* the file's end is seen by who asks for the next record: now, or there
       might be nobody to ask */

    if (spool->waiting == 0 && spool->eof && spool->pos == spool->last) {
        ngx_http_loyalty_replay_end(spool, 0);
    }
}


static ngx_http_loyalty_segment_t *
ngx_http_loyalty_replay_segment(ngx_http_loyalty_spool_t *spool)
{
    return ngx_queue_data(ngx_queue_head(&spool->segments),
                          ngx_http_loyalty_segment_t, queue);
}


static ngx_int_t
ngx_http_loyalty_replay_open(ngx_http_loyalty_spool_t *spool)
{
    u_char                       name[NGX_MAX_PATH];
    ngx_http_loyalty_segment_t  *segment;

    segment = ngx_http_loyalty_replay_segment(spool);

    if (&segment->queue == ngx_queue_last(&spool->segments)) {
        ngx_http_loyalty_spool_seal(spool);
    }

    ngx_http_loyalty_spool_name(spool->conf, &spool->program->name,
                                segment->number, name);

    spool->in = ngx_open_file(name, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    spool->opened++;
    spool->offset = 0;
    spool->pos = spool->read;
    spool->last = spool->read;
    spool->eof = 0;
    spool->waiting = 0;

    if (spool->in == NGX_INVALID_FILE) {
        ngx_http_loyalty_spool_failed(spool, ngx_errno, ngx_open_file_n,
                                      segment->number);
        ngx_http_loyalty_replay_end(spool, 1);
        return NGX_ERROR;
    }

    if (ngx_http_loyalty_replay_read(spool) != NGX_OK) {
        return NGX_ERROR;
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


/* more, behind what is there */

static ngx_int_t
ngx_http_loyalty_replay_read(ngx_http_loyalty_spool_t *spool)
{
    size_t                       room;
    ssize_t                      n;
    ngx_http_loyalty_segment_t  *segment;

    spool->last = ngx_movemem(spool->read, spool->pos,
                              spool->last - spool->pos);
    spool->pos = spool->read;

    room = NGX_HTTP_LOYALTY_SPOOL_BATCH - (spool->last - spool->read);

    n = pread(spool->in, spool->last, room, spool->offset);

    if (n == -1) {
        segment = ngx_http_loyalty_replay_segment(spool);

        ngx_http_loyalty_spool_failed(spool, ngx_errno, "pread()",
                                      segment->number);
        ngx_http_loyalty_replay_end(spool, 1);
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
    ngx_http_loyalty_segment_t  *segment;

    segment = ngx_http_loyalty_replay_segment(spool);

    ngx_http_loyalty_stat(spool->program, NGX_HTTP_LOYALTY_STAT_OBS_DAMAGED,
                          1);

    ngx_log_error(NGX_LOG_ERR, spool->log, 0,
                  "loyalty program \"%V\": %uz bytes at %O of the file %uxL "
                  "of the spool \"%V\" are no observed event",
                  &spool->program->name, size,
                  spool->offset - (spool->last - spool->pos), segment->number,
                  &spool->conf->path->name);

    spool->pos += size;
}


/* the first file is done with; keep: it cannot be read and is put aside */

static void
ngx_http_loyalty_replay_end(ngx_http_loyalty_spool_t *spool, ngx_uint_t keep)
{
    u_char                       name[NGX_MAX_PATH];
    u_char                       aside[NGX_MAX_PATH];
    ngx_http_loyalty_segment_t  *segment;

    segment = ngx_http_loyalty_replay_segment(spool);

    ngx_http_loyalty_spool_name(spool->conf, &spool->program->name,
                                segment->number, name);

    if (keep) {
        (void) ngx_sprintf(aside, "%s.bad%Z", name);

        if (ngx_rename_file(name, aside) == NGX_FILE_ERROR
            && ngx_errno != NGX_ENOENT)
        {
            ngx_log_error(NGX_LOG_CRIT, spool->log, ngx_errno,
                          ngx_rename_file_n " \"%s\" to \"%s\" failed", name,
                          aside);
        }

    } else if (ngx_delete_file(name) == NGX_FILE_ERROR
               && ngx_errno != NGX_ENOENT)
    {
        ngx_log_error(NGX_LOG_CRIT, spool->log, ngx_errno,
                      ngx_delete_file_n " \"%s\" failed", name);
    }

    ngx_queue_remove(&segment->queue);
    spool->bytes -= segment->size;
    spool->full = 0;
    ngx_free(segment);

    ngx_http_loyalty_spool_rewind(spool);
    ngx_http_loyalty_spool_tell(spool);
}


void
ngx_http_loyalty_spool_rewind(ngx_http_loyalty_spool_t *spool)
{
    if (spool->in != NGX_INVALID_FILE) {

        if (ngx_close_file(spool->in) == NGX_FILE_ERROR) {
            ngx_log_error(NGX_LOG_ALERT, spool->log, ngx_errno,
                          ngx_close_file_n " of a file of the spool \"%V\" "
                          "failed", &spool->conf->path->name);
        }

        spool->in = NGX_INVALID_FILE;
    }

    spool->pos = spool->read;
    spool->last = spool->read;
    spool->eof = 0;
    spool->waiting = 0;
}
