/*
 * What the files of redis/ share.
 *
 * A worker has for each program two lanes of links.  A link is one place in
 * the configuration where a connection to Redis belongs; the connection comes
 * and goes, the link and its operations' order stay.
 *
 * An operation moves through the lists of its link:
 *
 *     queue -> sent -> answered, its handler is due
 *                \--> acked: answered, but replicas have to confirm it
 *                \--> held: Redis lacked the function; sent again after the
 *                           library is loaded
 *
 * Handlers run from one posted event per worker and program, never from where
 * the lists are being walked.
 */

#ifndef _NGX_HTTP_LOYALTY_REDIS_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_REDIS_PRIVATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_redis.h"
#include "ngx_http_loyalty_dial.h"
#include "ngx_http_loyalty_stats.h"
#include "loyalty_resp.h"


#define NGX_HTTP_LOYALTY_REDIS_OUT      65536     /* bytes of one write */
#define NGX_HTTP_LOYALTY_REDIS_IN       32768     /* bytes of one read */
#define NGX_HTTP_LOYALTY_REDIS_VALUES   4096      /* of an array reply */
#define NGX_HTTP_LOYALTY_REDIS_FREE     1024      /* operations kept */
#define NGX_HTTP_LOYALTY_REDIS_KEEP     4096      /* bytes kept with each */
#define NGX_HTTP_LOYALTY_REDIS_TRIES    5         /* of one operation */
#define NGX_HTTP_LOYALTY_REDIS_BURST    64        /* writes between WAITs */
#define NGX_HTTP_LOYALTY_REDIS_BACKOFF  100       /* ms, the first */
#define NGX_HTTP_LOYALTY_REDIS_BACKOFF_MAX  2000
#define NGX_HTTP_LOYALTY_REDIS_STABLE   1000      /* ms */
#define NGX_HTTP_LOYALTY_REDIS_REMIND   10000     /* ms to the next line */
#define NGX_HTTP_LOYALTY_REDIS_RELOAD   1000      /* ms between failed loads */
#define NGX_HTTP_LOYALTY_REDIS_HASH     12        /* digits of a library */
#define NGX_HTTP_LOYALTY_REDIS_OLD      32        /* libraries looked at */


typedef struct ngx_http_loyalty_link_s    ngx_http_loyalty_link_t;
typedef struct ngx_http_loyalty_worker_s  ngx_http_loyalty_worker_t;


typedef enum {
    NGX_HTTP_LOYALTY_DURABILITY_NONE = 0,
    NGX_HTTP_LOYALTY_DURABILITY_EVERYSEC,
    NGX_HTTP_LOYALTY_DURABILITY_ALWAYS,
    NGX_HTTP_LOYALTY_DURABILITY_REPLICAS
} ngx_http_loyalty_durability_e;


/* the configuration; the worker's part is NULL in the master */

struct ngx_http_loyalty_redis_s {
    ngx_http_loyalty_program_t       *program;
    ngx_http_loyalty_remote_t         remote;

    ngx_str_t                         user;
    ngx_str_t                         password_file;
    ngx_str_t                         password;
    ngx_uint_t                        db;

    ngx_uint_t                        connections;
    ngx_msec_t                        timeout;
    ngx_msec_t                        connect_timeout;
    ngx_msec_t                        keepalive;
    ngx_uint_t                        max_inflight;
    size_t                            max_queue;
    size_t                            max_reply;

    ngx_uint_t                        durability;
    ngx_uint_t                        replicas;
    ngx_msec_t                        wait;
    ngx_flag_t                        unsafe_store;

    ngx_http_loyalty_worker_t        *worker;
};


typedef enum {
    NGX_HTTP_LOYALTY_LIST_NONE = 0,
    NGX_HTTP_LOYALTY_LIST_OWN,                    /* the layer's commands:
                                                     before the queue */
    NGX_HTTP_LOYALTY_LIST_QUEUE,
    NGX_HTTP_LOYALTY_LIST_SENT,
    NGX_HTTP_LOYALTY_LIST_HELD,
    NGX_HTTP_LOYALTY_LIST_ACKED,
    NGX_HTTP_LOYALTY_LISTS
} ngx_http_loyalty_list_e;


/*
 * The answer to a command of the layer's own, from within the read loop:
 * NGX_ERROR closes the connection.
 */
typedef ngx_int_t (*ngx_http_loyalty_answer_pt)(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply);


struct ngx_http_loyalty_op_s {
    ngx_queue_t                       queue;      /* in one of the lists */
    ngx_queue_t                       done;       /* handlers to run */

    ngx_http_loyalty_link_t          *link;

    ngx_http_loyalty_op_handler_pt    handler;    /* NULL: nobody waits */
    void                             *data;
    ngx_http_loyalty_answer_pt        answer;     /* the layer's own */

    u_char                           *buf;        /* command, then reply */
    size_t                            size;
    size_t                            len;
    size_t                            copied;     /* of the command */
    uint64_t                          start;      /* in the stream */

    uint64_t                          queued;     /* us */
    ngx_msec_t                        deadline;

    ngx_uint_t                        fn;
    ngx_uint_t                        tries;
    ngx_http_loyalty_list_e           list;

    ngx_http_loyalty_status_e         status;
    ngx_http_loyalty_reply_t          reply;

    unsigned                          own:1;      /* the layer's */
    unsigned                          due:1;      /* in the done list */
    unsigned                          running:1;  /* its handler runs */
};


typedef enum {
    NGX_HTTP_LOYALTY_LINK_DOWN = 0,
    NGX_HTTP_LOYALTY_LINK_CONNECTING,
    NGX_HTTP_LOYALTY_LINK_GREETING,               /* AUTH, SELECT, INFO, ... */
    NGX_HTTP_LOYALTY_LINK_READY,
    NGX_HTTP_LOYALTY_LINK_DRAINING                /* closes after the last
                                                     reply */
} ngx_http_loyalty_link_state_e;


/* what is wrong with a link, for one log line per change */

typedef enum {
    NGX_HTTP_LOYALTY_TROUBLE_NONE = 0,
    NGX_HTTP_LOYALTY_TROUBLE_CONNECT,
    NGX_HTTP_LOYALTY_TROUBLE_CLOSED,
    NGX_HTTP_LOYALTY_TROUBLE_PROTOCOL,
    NGX_HTTP_LOYALTY_TROUBLE_STALLED,
    NGX_HTTP_LOYALTY_TROUBLE_ROLE,                /* these end when a
                                                     connection is ready,
                                                     others by a reply */
    NGX_HTTP_LOYALTY_TROUBLE_TIMEOUT,
    NGX_HTTP_LOYALTY_TROUBLE_LIBRARY,
    NGX_HTTP_LOYALTY_TROUBLE_WAIT,
    NGX_HTTP_LOYALTY_TROUBLE_ERROR                /* plus the row of the
                                                     table of errors */
} ngx_http_loyalty_trouble_e;


struct ngx_http_loyalty_link_s {
    /* event ident must be after 3 pointers as in ngx_connection_t */
    ngx_http_loyalty_worker_t        *worker;
    ngx_http_loyalty_redis_t         *redis;
    loyalty_resp_t                   *resp;
    ngx_int_t                         ident;

    ngx_http_loyalty_link_state_e     state;
    ngx_http_loyalty_dial_t           dial;       /* and its connection */
    ngx_log_t                         log;

    ngx_queue_t                       lists[NGX_HTTP_LOYALTY_LISTS];
    ngx_uint_t                        counts[NGX_HTTP_LOYALTY_LISTS];
    ngx_uint_t                        calls;      /* of others than us */
    size_t                            bytes;      /* of their commands */

    u_char                           *out;
    u_char                           *pos;
    u_char                           *last;
    uint64_t                          copied;     /* into the stream */
    uint64_t                          written;
    ngx_http_loyalty_op_t            *partial;    /* copied in part */
    ngx_uint_t                        unacked;    /* writes since WAIT */

    ngx_event_t                       start;      /* posted: connect */
    ngx_event_t                       flush;      /* posted: write */
    ngx_event_t                       timer;      /* connecting, backoff,
                                                     keepalive: cancelable */
    ngx_event_t                       deadline;   /* of operations */

    ngx_msec_t                        progress;   /* the last reply */
    ngx_msec_t                        ready_at;
    ngx_msec_t                        load_failed_at;
    ngx_msec_t                        used_at;    /* the library, as told */
    ngx_uint_t                        failures;   /* to connect, in a row */

    ngx_uint_t                        trouble;    /* _trouble_e, now */
    ngx_uint_t                        told;       /* the last one logged */
    ngx_msec_t                        told_at;

    /* what has been counted in the gauges */
    ngx_int_t                         gauge_inflight;
    ngx_int_t                         gauge_queued;
    ngx_int_t                         gauge_bytes;
    ngx_int_t                         gauge_connecting;
    ngx_int_t                         gauge_connected;

    unsigned                          proven:1;   /* has the library */
    unsigned                          probing:1;  /* a call tries it */
    unsigned                          loading:1;  /* FUNCTION LOAD is out */
    unsigned                          load_failed:1;
    unsigned                          was_ready:1;
    unsigned                          unreached:1;  /* the last attempt
                                                       failed */
    unsigned                          active:1;   /* since the last ping */
    unsigned                          told_over:1;

    /* the store, as INFO and CONFIG GET tell */
    unsigned                          store_known:1;
    unsigned                          aof:1;
    unsigned                          fsync_known:1;
    unsigned                          evicts:1;
    ngx_uint_t                        fsync;      /* _durability_e */
    ngx_uint_t                        slaves;
};


struct ngx_http_loyalty_worker_s {
    ngx_http_loyalty_redis_t         *redis;
    ngx_http_loyalty_link_t          *links;      /* lanes * connections */
    ngx_queue_t                       done;
    ngx_event_t                       run;        /* posted: handlers */
    ngx_queue_t                       free;
    ngx_uint_t                        nfree;
    ngx_uint_t                        weakness;   /* of the store, as it was
                                                     logged */
    time_t                            looked;     /* at it */
    u_char                           *in;

    /* libraries to delete, the last one first */
    ngx_uint_t                        nold;
    u_char                            old[NGX_HTTP_LOYALTY_REDIS_OLD]
                                         [NGX_HTTP_LOYALTY_REDIS_HASH];
    ngx_msec_t                        asked_at;
    unsigned                          asked:1;    /* which there are */
    unsigned                          refused:1;  /* was logged */
};


/* redis.c: operations */

ngx_http_loyalty_op_t *ngx_http_loyalty_op_get(
    ngx_http_loyalty_worker_t *worker, size_t size);
void ngx_http_loyalty_op_move(ngx_http_loyalty_op_t *op,
    ngx_http_loyalty_list_e list);
void ngx_http_loyalty_op_back(ngx_http_loyalty_op_t *op);
void ngx_http_loyalty_op_finish(ngx_http_loyalty_op_t *op,
    ngx_http_loyalty_status_e status);
void ngx_http_loyalty_op_release(ngx_http_loyalty_op_t *op);
ngx_int_t ngx_http_loyalty_op_keep(ngx_http_loyalty_op_t *op,
    loyalty_resp_reply_t *reply);
ngx_http_loyalty_op_t *ngx_http_loyalty_op_own(ngx_http_loyalty_link_t *link,
    ngx_uint_t n, ngx_str_t *args, ngx_http_loyalty_answer_pt answer);
uint64_t ngx_http_loyalty_usec(void);

/* connect.c: how a connection comes about */

void ngx_http_loyalty_link_start(ngx_event_t *ev);

/* link.c: its life */

void ngx_http_loyalty_link_init(ngx_http_loyalty_link_t *link,
    ngx_http_loyalty_worker_t *worker, ngx_log_t *log);
void ngx_http_loyalty_link_greet(ngx_http_loyalty_link_t *link);
ngx_int_t ngx_http_loyalty_link_ready(ngx_http_loyalty_link_t *link);

/* the connection or the attempt is over, and the next one is due in time */
void ngx_http_loyalty_link_lost(ngx_http_loyalty_link_t *link);

/* the same, without a next one */
void ngx_http_loyalty_link_close(ngx_http_loyalty_link_t *link);

/* a call would fail: Redis is away, and no first attempt is running */
ngx_uint_t ngx_http_loyalty_link_down(ngx_http_loyalty_link_t *link);

/* pipe.c: what travels on it */

void ngx_http_loyalty_pipe_write(ngx_event_t *wev);
void ngx_http_loyalty_pipe_read(ngx_event_t *rev);
void ngx_http_loyalty_pipe_flush(ngx_event_t *ev);

/* lists.c: what becomes of operations when time or a connection is over */

void ngx_http_loyalty_lists_arm(ngx_http_loyalty_link_t *link);
void ngx_http_loyalty_lists_deadline(ngx_event_t *ev);
void ngx_http_loyalty_lists_fail(ngx_http_loyalty_link_t *link);
void ngx_http_loyalty_lists_drain(ngx_http_loyalty_link_t *link);
void ngx_http_loyalty_lists_fail_one(ngx_http_loyalty_link_t *link,
    ngx_http_loyalty_list_e list, ngx_http_loyalty_status_e status);
void ngx_http_loyalty_lists_rest(ngx_http_loyalty_link_t *link);
ngx_uint_t ngx_http_loyalty_lists_total(ngx_http_loyalty_link_t *link);
void ngx_http_loyalty_lists_gauges(ngx_http_loyalty_link_t *link);

/* greeting.c */

ngx_int_t ngx_http_loyalty_greeting(ngx_http_loyalty_link_t *link);

/* asks how Redis stores, where no link of the worker did for a minute */
ngx_int_t ngx_http_loyalty_greeting_look(ngx_http_loyalty_link_t *link);
ngx_int_t ngx_http_loyalty_greeting_names(ngx_http_loyalty_link_t *link);

/* library.c */

#define NGX_HTTP_LOYALTY_READS   1                /* FCALL_RO */
#define NGX_HTTP_LOYALTY_WRITES  2                /* its reply is held until
                                                     replicas have it */

typedef struct {
    ngx_str_t                     name;           /* empty: no function */
    ngx_uint_t                    flags;
} ngx_http_loyalty_function_t;

extern const ngx_http_loyalty_function_t  ngx_http_loyalty_functions[];
extern const ngx_str_t  ngx_http_loyalty_library_hash;

ngx_uint_t ngx_http_loyalty_library_missing(loyalty_resp_reply_t *reply);

/* op was answered so: it is held, and the library loaded */
ngx_int_t ngx_http_loyalty_library_load(ngx_http_loyalty_link_t *link,
    ngx_http_loyalty_op_t *op);

/* libraries.c */

/* says that ours is in use, and deletes those that are not */
ngx_int_t ngx_http_loyalty_libraries(ngx_http_loyalty_link_t *link);

/* that was a day ago */
ngx_uint_t ngx_http_loyalty_libraries_due(ngx_http_loyalty_link_t *link);

/* errors.c */

/* one line when trouble is another than before, or lasts */
void ngx_http_loyalty_trouble(ngx_http_loyalty_link_t *link,
    ngx_uint_t trouble, const char *fmt, ...);
void ngx_http_loyalty_trouble_over(ngx_http_loyalty_link_t *link);

ngx_uint_t ngx_http_loyalty_error(loyalty_resp_reply_t *reply);
ngx_uint_t ngx_http_loyalty_error_is(loyalty_resp_reply_t *reply,
    const char *prefix);

/*
 * Logs and counts an error reply and says what it means for its operation;
 * *drain: the connection is of no use, though others may still be answered.
 */
ngx_http_loyalty_status_e ngx_http_loyalty_error_status(
    ngx_http_loyalty_link_t *link, loyalty_resp_reply_t *reply,
    ngx_uint_t *drain);

/* options.c: the parameters of the directive "redis" */

ngx_int_t ngx_http_loyalty_redis_options(ngx_conf_t *cf,
    ngx_http_loyalty_redis_t *redis);


#endif /* _NGX_HTTP_LOYALTY_REDIS_PRIVATE_H_INCLUDED_ */
