/*
 * The spool: files that take observed events while Redis does not.
 */

#ifndef _NGX_HTTP_LOYALTY_SPOOL_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_SPOOL_H_INCLUDED_


#include "ngx_http_loyalty_http.h"
#include "loyalty_ring.h"


#define NGX_HTTP_LOYALTY_SPOOL_BATCH  65536       /* bytes of one write, and
                                                     of one read */
#define NGX_HTTP_LOYALTY_SPOOL_AGAIN  1000        /* ms after a failure */


#define NGX_HTTP_LOYALTY_STORE        32          /* bytes of a Redis's name */


/* a slot of the ring, where slots are put in order */

typedef struct {
    uint64_t                      seq;
    uint32_t                      slot;
} ngx_http_loyalty_slot_t;


/* loyalty_spool */

typedef struct {
    ngx_path_t                   *path;
    off_t                         max;
    off_t                         segment;        /* bytes of one file */
    ngx_flag_t                    sync;
    ngx_http_loyalty_place_t      place;
} ngx_http_loyalty_spool_conf_t;


/* one file */

typedef struct {
    ngx_queue_t                   queue;
    uint64_t                      number;
    off_t                         size;
    ngx_uint_t                    waiting;        /* records that were read and
                                                     are not done */
    unsigned                      over:1;         /* there are no others */
} ngx_http_loyalty_segment_t;


typedef struct {
    ngx_http_loyalty_spool_conf_t  *conf;
    ngx_http_loyalty_program_t     *program;
    ngx_log_t                      *log;
    loyalty_ring_t                 *ring;         /* where others are told */

    ngx_fd_t                        lock;         /* held: it is ours */
    ngx_queue_t                     segments;     /* the oldest first */
    off_t                           bytes;        /* of all of them */
    uint64_t                        number;       /* of the last one */

    ngx_fd_t                        out;          /* the last one, open */
    ngx_fd_t                        in;           /* one of them, open */
    ngx_http_loyalty_segment_t     *reading;      /* which, or NULL */
    off_t                           offset;       /* of what is read next */
    u_char                         *read;
    u_char                         *pos;
    u_char                         *last;
    ngx_uint_t                      waiting;      /* records that were read and
                                                     are not done */
    ngx_uint_t                      aside;        /* of these: set aside */

    ngx_msec_t                      acquired;
    ngx_msec_t                      looked;       /* and found nothing */
    ngx_msec_t                      failed;       /* when a file last did */
    ngx_msec_t                      starved;      /* when there was nothing to
                                                     open one with, or 0 */
    ngx_msec_t                      told;
    u_char                          store[NGX_HTTP_LOYALTY_STORE];
                                                  /* whose files these are */
    ngx_http_loyalty_op_t          *asked;        /* Redis, for its name */
    ngx_msec_t                      foreign_seen;
    ngx_msec_t                      foreign_told;
    unsigned                        stored:1;     /* store is known */
    unsigned                        verified:1;   /* and that of our Redis */
    unsigned                        foreign:1;    /* or another's */
    unsigned                        mute:1;       /* our Redis has no name */
    unsigned                        eof:1;        /* of what is read */
    unsigned                        known:1;      /* looked is a time */
    unsigned                        resume:1;     /* the last file may be gone
                                                     on with */
    unsigned                        resumed:1;    /* and out is that one */
    unsigned                        failing:1;
    unsigned                        full:1;
} ngx_http_loyalty_spool_t;


typedef ngx_int_t (*ngx_http_loyalty_spool_file_pt)(void *data,
    ngx_str_t *program, uint64_t number, off_t size);


/* ---- spool.c ---- */

ngx_http_loyalty_spool_t *ngx_http_loyalty_spool_create(ngx_pool_t *pool,
    ngx_log_t *log, ngx_http_loyalty_spool_conf_t *conf,
    ngx_http_loyalty_program_t *program, loyalty_ring_t *ring);

/* it is ours from now on, with the files there are; NGX_DECLINED: another
   process has it */
ngx_int_t ngx_http_loyalty_spool_acquire(ngx_http_loyalty_spool_t *spool);
void ngx_http_loyalty_spool_release(ngx_http_loyalty_spool_t *spool);

/*
 * Another nginx has it, and ours has hardly any room left: that one is asked
 * to leave it.  asked(): that one was, and is not any more.
 */
void ngx_http_loyalty_spool_ask(ngx_http_loyalty_spool_t *spool);
ngx_uint_t ngx_http_loyalty_spool_asked(ngx_http_loyalty_spool_t *spool);

#define ngx_http_loyalty_spool_mine(spool)                                    \
    ((spool)->lock != NGX_INVALID_FILE)

/* whether there are files at all; they may be another process's */
ngx_uint_t ngx_http_loyalty_spool_look(ngx_http_loyalty_spool_t *spool);

/* there is something in it that is not set aside: it goes before what is in
   the ring */
ngx_uint_t ngx_http_loyalty_spool_first(ngx_http_loyalty_spool_t *spool);

/* nothing is left in it, and nothing of it is under way */
ngx_uint_t ngx_http_loyalty_spool_empty(ngx_http_loyalty_spool_t *spool);

/* the name of a file; name has room for NGX_MAX_PATH bytes */
void ngx_http_loyalty_spool_name(ngx_http_loyalty_spool_conf_t *conf,
    ngx_str_t *program, uint64_t number, u_char *name);

/* files of a program, NULL: of all, by their numbers; handler may return
   NGX_ERROR */
ngx_int_t ngx_http_loyalty_spool_files(ngx_http_loyalty_spool_conf_t *conf,
    ngx_str_t *program, ngx_log_t *log,
    ngx_http_loyalty_spool_file_pt handler, void *data);

/* for the others: what the process that has it says */
void ngx_http_loyalty_spool_tell(ngx_http_loyalty_spool_t *spool);

/* a file failed: one line in ten seconds; the next try is in a second */
void ngx_http_loyalty_spool_failed(ngx_http_loyalty_spool_t *spool,
    ngx_err_t err, const char *what, uint64_t number);


/* ---- spool_write.c ---- */

/* bytes that still fit */
off_t ngx_http_loyalty_spool_room(ngx_http_loyalty_spool_t *spool);

/* appends whole records; NGX_ERROR: only the first *done bytes of them are
   there, which are whole ones, too */
ngx_int_t ngx_http_loyalty_spool_append(ngx_http_loyalty_spool_t *spool,
    u_char *p, size_t n, size_t *done);

/* no more is appended to the last file */
void ngx_http_loyalty_spool_seal(ngx_http_loyalty_spool_t *spool);

/*
 * When a process ends that nobody follows: n slots of a ring, which are ours,
 * go into a file of their own.  Returns how many are lost.
 */
ngx_uint_t ngx_http_loyalty_spool_save(ngx_cycle_t *cycle,
    ngx_http_loyalty_spool_conf_t *conf, ngx_str_t *program,
    loyalty_ring_t *ring, ngx_http_loyalty_slot_t *slots, ngx_uint_t n);


/* ---- replay.c ---- */

/* the next record, LOYALTY_RECORD bytes at most, and the number of its file;
   NGX_DECLINED: there is none */
ngx_int_t ngx_http_loyalty_spool_next(ngx_http_loyalty_spool_t *spool,
    u_char *record, size_t *size, uint64_t *number);

/* one of that file is done with */
void ngx_http_loyalty_spool_done(ngx_http_loyalty_spool_t *spool,
    uint64_t number);

/* nothing of this file is needed any more */
void ngx_http_loyalty_spool_delete(ngx_http_loyalty_spool_t *spool,
    ngx_http_loyalty_segment_t *segment);

/* the file that is being read is closed */
void ngx_http_loyalty_spool_close(ngx_http_loyalty_spool_t *spool);


#endif /* _NGX_HTTP_LOYALTY_SPOOL_H_INCLUDED_ */
