/*
 * What the files of http/ share: the module's configuration, problems,
 * replies.
 */

#ifndef _NGX_HTTP_LOYALTY_HTTP_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_HTTP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_program.h"
#include "ngx_http_loyalty_redis.h"
#include "ngx_http_loyalty_stats.h"


/* random bytes of a worker, drawn many at a time for request ids */

#define NGX_HTTP_LOYALTY_RANDOM       4096
#define NGX_HTTP_LOYALTY_REQUEST_ID   16          /* bytes, before hex */

typedef struct {
    ngx_uint_t                    left;
    u_char                        bytes[NGX_HTTP_LOYALTY_RANDOM];
} ngx_http_loyalty_random_t;


typedef struct {
    ngx_array_t                   programs;       /* of _program_t * */
    ngx_array_t                   references;     /* names used before they
                                                     are known */
    ngx_int_t                     request_id;     /* index of $request_id */
    ngx_http_loyalty_random_t    *random;         /* written by workers */
} ngx_http_loyalty_main_conf_t;


/* what a location serves */

#define NGX_HTTP_LOYALTY_NO_API       0
#define NGX_HTTP_LOYALTY_EVENT_API    1
#define NGX_HTTP_LOYALTY_MEMBER_API   2
#define NGX_HTTP_LOYALTY_METRICS_API  3
#define NGX_HTTP_LOYALTY_ADMIN_API    4
#define NGX_HTTP_LOYALTY_PROOF_API    5
#define NGX_HTTP_LOYALTY_PROBLEM      6

typedef struct {
    ngx_http_loyalty_program_t   *program;        /* of this location's API */
    ngx_uint_t                    api;            /* 0: none */
    ngx_http_handler_pt           handler;        /* and its handler */
    ngx_uint_t                    trusted;
    ngx_http_complex_value_t     *member;         /* loyalty_member */
    ngx_http_complex_value_t     *actor;          /* loyalty_actor */
    off_t                         max_body;       /* of APIs that read one;
                                                     0: no limit */
    ngx_http_loyalty_place_t      place;          /* of the API's directive */
} ngx_http_loyalty_loc_conf_t;


extern ngx_module_t  ngx_http_loyalty_module;

/* module.c: what the location is answered by; nothing else is to answer it */
char *ngx_http_loyalty_serve(ngx_conf_t *cf,
    ngx_http_loyalty_loc_conf_t *llcf, ngx_uint_t api,
    ngx_http_handler_pt handler);

/* program.c: the handler of the loyalty_program block */
char *ngx_http_loyalty_program_block(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* a program by name, NULL when there is none */
ngx_http_loyalty_program_t *ngx_http_loyalty_program_find(
    ngx_http_loyalty_main_conf_t *lmcf, ngx_str_t *name);


/* file.c: a file of at most max bytes that a directive names, in memory of
   cf->temp_pool with a zero behind it; name becomes absolute; logs */
ngx_int_t ngx_http_loyalty_file_read(ngx_conf_t *cf, ngx_str_t *name,
    size_t max, ngx_str_t *text);

/* place.c: where $name is used, of an error that is found when all is read;
   NGX_DECLINED: nobody knows, place is where http {} ends */
ngx_int_t ngx_http_loyalty_variable_place(ngx_conf_t *cf, ngx_str_t *name,
    ngx_http_loyalty_place_t *place);


/*
 * Problems (RFC 9457): one table of code, status and title in problem.c;
 * this list and that table are in the same order.
 */

typedef enum {
    NGX_HTTP_LOYALTY_P_NONE = 0,
    NGX_HTTP_LOYALTY_P_INVALID_JSON,
    NGX_HTTP_LOYALTY_P_JSON_NOT_SUPPORTED,
    NGX_HTTP_LOYALTY_P_INVALID_FIELD,
    NGX_HTTP_LOYALTY_P_KEY_REQUIRED,
    NGX_HTTP_LOYALTY_P_NO_MEMBER,
    NGX_HTTP_LOYALTY_P_INVALID_TOKEN,
    NGX_HTTP_LOYALTY_P_INVALID_SIGNATURE,
    NGX_HTTP_LOYALTY_P_UNKNOWN_PATH,
    NGX_HTTP_LOYALTY_P_UNKNOWN_EVENT,
    NGX_HTTP_LOYALTY_P_UNKNOWN_GAME,
    NGX_HTTP_LOYALTY_P_UNKNOWN_REWARD,
    NGX_HTTP_LOYALTY_P_UNKNOWN_MEMBER,
    NGX_HTTP_LOYALTY_P_METHOD,            /* with Allow */
    NGX_HTTP_LOYALTY_P_TOO_LARGE,
    NGX_HTTP_LOYALTY_P_UNSUPPORTED_TYPE,
    NGX_HTTP_LOYALTY_P_EVENT_CONFLICT,
    NGX_HTTP_LOYALTY_P_OVER_REVERSAL,
    NGX_HTTP_LOYALTY_P_LIMIT_REACHED,
    NGX_HTTP_LOYALTY_P_INSUFFICIENT_BALANCE,
    NGX_HTTP_LOYALTY_P_NOT_OPEN,
    NGX_HTTP_LOYALTY_P_CLOSED,
    NGX_HTTP_LOYALTY_P_PAUSED,
    NGX_HTTP_LOYALTY_P_NOT_ELIGIBLE,
    NGX_HTTP_LOYALTY_P_SOLD_OUT,
    NGX_HTTP_LOYALTY_P_ALREADY_DRAWN,
    NGX_HTTP_LOYALTY_P_IDEMPOTENCY_CONFLICT,
    NGX_HTTP_LOYALTY_P_RATE_LIMITED,
    NGX_HTTP_LOYALTY_P_UNAVAILABLE,
    NGX_HTTP_LOYALTY_P_BUSY,
    NGX_HTTP_LOYALTY_P_CLOCK_SKEW,
    NGX_HTTP_LOYALTY_P_RULES_CHANGED,
    NGX_HTTP_LOYALTY_P_STALE_CONFIGURATION,
    NGX_HTTP_LOYALTY_P_UNSAFE_STORE,
    NGX_HTTP_LOYALTY_P_BEACON_UNAVAILABLE,
    NGX_HTTP_LOYALTY_P_OUTCOME_UNKNOWN,
    NGX_HTTP_LOYALTY_P_INTERNAL,
    NGX_HTTP_LOYALTY_PROBLEMS
} ngx_http_loyalty_problem_e;

typedef struct {
    ngx_str_t                     code;           /* "invalid_json" */
    ngx_uint_t                    status;
    ngx_str_t                     title;
    ngx_uint_t                    retry_after;    /* seconds, 0 none */
} ngx_http_loyalty_problem_t;

extern ngx_http_loyalty_problem_t  ngx_http_loyalty_problems[];

/* the problem's JSON object; detail and pointer may be NULL */
void ngx_http_loyalty_problem_json(loyalty_out_t *out,
    ngx_http_loyalty_problem_e problem, ngx_str_t *detail,
    ngx_str_t *pointer);

/* sends it as the response: returns what a content handler returns */
ngx_int_t ngx_http_loyalty_problem_send(ngx_http_request_t *r,
    ngx_http_loyalty_problem_e problem, ngx_str_t *detail,
    ngx_str_t *pointer, ngx_str_t *allow);

/* the same with "retry_at": when it is worth another try, ms */
ngx_int_t ngx_http_loyalty_problem_send_at(ngx_http_request_t *r,
    ngx_http_loyalty_problem_e problem, ngx_str_t *detail, int64_t at);

/* the same with nothing but when to try again: in so many seconds, 0: as
   always */
ngx_int_t ngx_http_loyalty_problem_send_after(ngx_http_request_t *r,
    ngx_http_loyalty_problem_e problem, ngx_uint_t after);

/* a header of the response; name is a constant */
ngx_int_t ngx_http_loyalty_header(ngx_http_request_t *r, const char *name,
    size_t len, ngx_str_t *value);

/* sends what out holds, with X-Request-Id; type e.g. "application/json" */
ngx_int_t ngx_http_loyalty_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, loyalty_out_t *out);

/* the same for buffers of length bytes in all; the last one has last_buf */
ngx_int_t ngx_http_loyalty_send_chain(ngx_http_request_t *r,
    ngx_uint_t status, ngx_str_t *type, ngx_chain_t *out, off_t length);

/* an out buffer whose blocks come from the request's pool */
void ngx_http_loyalty_out_pool(loyalty_out_t *out, ngx_pool_t *pool,
    size_t first);

/* what redis/ says as a problem */
ngx_http_loyalty_problem_e ngx_http_loyalty_status_problem(
    ngx_http_loyalty_status_e status);


/*
 * A record as Redis gave it (docs/internals.md), and the hashes it needs.
 */

typedef struct {
    ngx_uint_t                    nwallets;
    const u_char                 *wallets;        /* 4 bytes each */
    ngx_uint_t                    nslots;
    const u_char                 *slots;
    ngx_str_t                     id;             /* of the event */
    int64_t                       at;             /* ms */
    int64_t                       accepted;       /* ms */
    int64_t                       seq;
    int64_t                       type;           /* slot; 0: a reversal */
    int64_t                       amount;         /* -1: none */
    ngx_uint_t                    nbalances;
    int64_t                      *balances;       /* per wallet of wallets */
    loyalty_mpr_t                 entries;
    loyalty_mpr_t                 items;          /* flat, or no array; of a
                                                     reversal: what it took */
    ngx_str_t                     reverses;       /* id, of a reversal */
    ngx_str_t                     actor;          /* who made it by hand, */
    ngx_str_t                     reason;         /* and why */
} ngx_http_loyalty_record_t;

/* the hashes in front of a reply ("N", "D", "H"): *rest is what follows */
ngx_int_t ngx_http_loyalty_hashes_parse(ngx_str_t *reply,
    ngx_http_loyalty_record_t *record, ngx_str_t *rest);

/* one record with its length; data is moved behind it; balances come from
   pool */
ngx_int_t ngx_http_loyalty_record_parse(ngx_pool_t *pool, ngx_str_t *data,
    ngx_http_loyalty_record_t *record);

/*
 * One entry of a record, whatever its kind: those that are not a game's own
 * have names here.
 */

#define NGX_HTTP_LOYALTY_E_POINTS     1
#define NGX_HTTP_LOYALTY_E_TIER      10
#define NGX_HTTP_LOYALTY_E_REVERSES  11
#define NGX_HTTP_LOYALTY_E_OWED      13
#define NGX_HTTP_LOYALTY_E_BY_HAND   20

typedef struct {
    ngx_uint_t                    kind;
    ngx_uint_t                    game;           /* kind of its rules, 0:
                                                     not a game's */
    loyalty_mpr_t                 values;         /* behind the kind, and not
                                                     further */
} ngx_http_loyalty_entry_t;

/* r stands before an entry and then behind it; NGX_DONE: it stands before
   the 0 behind the last one */
ngx_int_t ngx_http_loyalty_entry_next(loyalty_mpr_t *r,
    ngx_http_loyalty_entry_t *entry);

/* "effects":[...] and "balances":{...} without braces around them */
ngx_int_t ngx_http_loyalty_effects_json(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_record_t *record, loyalty_out_t *out);
ngx_int_t ngx_http_loyalty_balances_json(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_record_t *record, loyalty_out_t *out);


/* awarded.c: what a new record was awarded in vain is counted, and logged */
void ngx_http_loyalty_awarded(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_record_t *record, ngx_str_t *member, ngx_log_t *log);


/* dump.c: sets program->dump, and shows it with nginx -T; from
   init_main_conf */
ngx_int_t ngx_http_loyalty_dump(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program);

/* pools.c: asks how many codes are left, from the module's init_process */
ngx_int_t ngx_http_loyalty_pools_init_process(ngx_cycle_t *cycle,
    ngx_http_loyalty_program_t *program);


/* content handlers of the two APIs, and of loyalty_metrics */
ngx_int_t ngx_http_loyalty_event_api(ngx_http_request_t *r);
ngx_int_t ngx_http_loyalty_member_api(ngx_http_request_t *r);
ngx_int_t ngx_http_loyalty_admin_api(ngx_http_request_t *r);
ngx_int_t ngx_http_loyalty_metrics(ngx_http_request_t *r);

/*
 * The API's path: what follows the location's prefix in the raw request
 * URI, split at "/" and then decoded, without the query.  At most max
 * segments of 1 to 128 bytes; NGX_DECLINED for anything else.
 */
ngx_int_t ngx_http_loyalty_path(ngx_http_request_t *r, ngx_str_t *segments,
    ngx_uint_t max, ngx_uint_t *n);


#endif /* _NGX_HTTP_LOYALTY_HTTP_H_INCLUDED_ */
