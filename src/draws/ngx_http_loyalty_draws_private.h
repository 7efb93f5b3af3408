/*
 * What the files of draws/ share among themselves.
 */

#ifndef _NGX_HTTP_LOYALTY_DRAWS_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_DRAWS_PRIVATE_H_INCLUDED_


#include "ngx_http_loyalty_draws.h"
#include "ngx_http_loyalty_redis.h"
#include "loyalty_moments.h"
#include "loyalty_merkle.h"


#define NGX_HTTP_LOYALTY_CAMPAIGNS       64       /* of one program */
#define NGX_HTTP_LOYALTY_PRIZES          256      /* of one campaign */
#define NGX_HTTP_LOYALTY_EPOCHS          5000000  /* of one campaign */
#define NGX_HTTP_LOYALTY_SECRETS         16       /* of one file */
#define NGX_HTTP_LOYALTY_SECRET          32       /* bytes */
#define NGX_HTTP_LOYALTY_SECRET_ID       64       /* bytes */
#define NGX_HTTP_LOYALTY_SECRET_FILE     8192     /* bytes */
#define NGX_HTTP_LOYALTY_RULES_FILE      1048576  /* bytes */
#define NGX_HTTP_LOYALTY_EXCLUDE_FILE    16777216 /* bytes */
#define NGX_HTTP_LOYALTY_TERMS           1048576  /* bytes */


/*
 * The secrets live in pages of their own, which no core dump holds, and which
 * are wiped when the configuration goes: never in a pool, a log or an error.
 */

typedef struct {
    size_t                        len;
    u_char                        id[NGX_HTTP_LOYALTY_SECRET_ID];
    u_char                        key[NGX_HTTP_LOYALTY_SECRET];
} ngx_http_loyalty_secret_t;


typedef struct {
    ngx_uint_t                    n;
    ngx_http_loyalty_secret_t     secret[NGX_HTTP_LOYALTY_SECRETS];
    u_char                        text[NGX_HTTP_LOYALTY_SECRET_FILE];
} ngx_http_loyalty_secrets_t;


/* "eligible" on a field of the member */

typedef enum {
    NGX_HTTP_LOYALTY_ELIGIBLE_TIER = 1,
    NGX_HTTP_LOYALTY_ELIGIBLE_BALANCE,
    NGX_HTTP_LOYALTY_ELIGIBLE_LIFETIME
} ngx_http_loyalty_eligible_e;


#define NGX_HTTP_LOYALTY_ELIGIBLE_IN  6           /* = != < <= > >= before */

typedef struct {
    ngx_http_loyalty_eligible_e   field;
    ngx_str_t                     name;           /* of the wallet */
    ngx_uint_t                    op;
    ngx_uint_t                    n;
    ngx_str_t                    *texts;
    int64_t                      *numbers;
    u_char                      (*hashes)[NGX_HTTP_LOYALTY_HASH];
                                                  /* of the wallet, or of the
                                                     tiers that are meant */
    ngx_http_loyalty_place_t      place;
} ngx_http_loyalty_eligible_t;


/*
 * The chain of an instant win's version under a secret; in secret pages.
 */

#define NGX_HTTP_LOYALTY_CHAIN_EVERY  256         /* steps between points */
#define NGX_HTTP_LOYALTY_CHAIN_SLICE  20000       /* steps at a time */

typedef struct {
    const ngx_http_loyalty_secret_t  *secret;
    uint32_t                      version;
    uint32_t                      epochs;
    unsigned                      built:1;
    size_t                        size;           /* of points */
    loyalty_chain_t               chain;
} ngx_http_loyalty_chain_t;


/* what a worker knows of a campaign, and whether it can go on */

typedef enum {
    NGX_HTTP_LOYALTY_RUN_NEW = 0,                 /* Redis was not heard */
    NGX_HTTP_LOYALTY_RUN_READY,
    NGX_HTTP_LOYALTY_RUN_CHANGED,                 /* terms without version */
    NGX_HTTP_LOYALTY_RUN_REOPENED,                /* another of its name goes
                                                     on */
    NGX_HTTP_LOYALTY_RUN_STALE,                   /* an older version */
    NGX_HTTP_LOYALTY_RUN_SECRET,                  /* lost or wrong */
    NGX_HTTP_LOYALTY_RUN_LOST,                    /* Redis lost it */
    NGX_HTTP_LOYALTY_RUN_FAILED                   /* what it has, nobody
                                                     understands */
} ngx_http_loyalty_run_e;


#define NGX_HTTP_LOYALTY_EPOCHS_KEPT  2
#define NGX_HTTP_LOYALTY_CHAINS_KEPT  4
#define NGX_HTTP_LOYALTY_DETAIL       512         /* bytes */
#define NGX_HTTP_LOYALTY_AGAIN        1000        /* ms between questions
                                                     about what is not ready */

/* in secret pages: K_p, keys of epochs */

struct ngx_http_loyalty_run_s {
    ngx_http_loyalty_campaign_t  *campaign;
    ngx_http_loyalty_run_e        state;
    ngx_uint_t                    fresh;          /* 0: ask Redis first */
    ngx_queue_t                   waiters;
    ngx_queue_t                   steps[LOYALTY_PARTITIONS];  /* by members */
    ngx_http_loyalty_op_t        *op;             /* the question */
    ngx_uint_t                    rounds;         /* of it, until an answer */
    ngx_uint_t                    begins;         /* the next one begins it */
    ngx_msec_t                    asked;
    ngx_event_t                   retry;          /* cancelable */
    ngx_event_t                   build;          /* chains, in slices */
    ngx_log_t                    *log;

    int64_t                       generation;
    int64_t                       seq;
    int64_t                       over;
    ngx_uint_t                    paused;

    ngx_pool_t                   *pool;           /* of what follows */
    ngx_array_t                   versions;       /* of _version_t *, which
                                                     stay until the end */
    const ngx_http_loyalty_secret_t  *secret;
    u_char                        salt[LOYALTY_SALT];
    ngx_uint_t                    known;          /* salt and secret are */
    loyalty_hmac_t                kp;
    u_char                        kp_commit[LOYALTY_HASH];

    ngx_uint_t                    nchains;
    ngx_http_loyalty_chain_t      chains[NGX_HTTP_LOYALTY_CHAINS_KEPT];
    ngx_uint_t                    nepochs;
    ngx_http_loyalty_epoch_t      epochs[NGX_HTTP_LOYALTY_EPOCHS_KEPT];

    size_t                        len;            /* of detail */
    u_char                        detail[NGX_HTTP_LOYALTY_DETAIL];
};


/*
 * The leader's way through one campaign, once a second: a list of steps, each
 * at most one question to Redis.  What is here is a cache of what Redis has;
 * another leader begins without it.
 */

#define NGX_HTTP_LOYALTY_LEASE        3000        /* ms */
#define NGX_HTTP_LOYALTY_BEAT         1000        /* ms between passes */
#define NGX_HTTP_LOYALTY_SHY          5           /* beats that a node waits
                                                     where not all campaigns
                                                     are ready */
#define NGX_HTTP_LOYALTY_REST         3           /* beats that it then leaves
                                                     to others, having led */
#define NGX_HTTP_LOYALTY_READ         512         /* records at a time */
#define NGX_HTTP_LOYALTY_USED         128         /* rounds at a time */
#define NGX_HTTP_LOYALTY_REVEALED     32          /* epochs at a time */
#define NGX_HTTP_LOYALTY_HEAD_EVERY   58000       /* ms: a pass may be late,
                                                     and 65 s are told of */

typedef struct ngx_http_loyalty_leader_s  ngx_http_loyalty_leader_t;
typedef struct ngx_http_loyalty_slot_s    ngx_http_loyalty_slot_t;
typedef struct ngx_http_loyalty_gather_s  ngx_http_loyalty_gather_t;
typedef struct ngx_http_loyalty_sweep_s   ngx_http_loyalty_sweep_t;

typedef struct {
    ngx_http_loyalty_leader_t    *leader;
    ngx_http_loyalty_campaign_t  *campaign;
    ngx_uint_t                    step;
    ngx_http_loyalty_op_t        *op;
    unsigned                      busy:1;         /* a pass is under way */
    unsigned                      ticking:1;      /* the room's step is */
    unsigned                      again:1;        /* the next pass at once */
    unsigned                      rewound:1;      /* told */
    unsigned                      damaged:1;      /* told */
    unsigned                      last:1;         /* only the last record is
                                                     looked at */
    unsigned                      held:1;         /* nothing is signed or
                                                     closed */
    int64_t                       seen;           /* before the question */

    /* as Redis said at the beginning of the pass */
    int64_t                       records;
    int64_t                       saved;          /* size under the frontier */
    int64_t                       headed;
    int64_t                       over;
    int64_t                       clock;
    ngx_uint_t                    paused;

    /* the frontier, which may be ahead of what is saved */
    loyalty_merkle_t              tree;
    unsigned                      loaded:1;

    int64_t                       revealed;       /* -1: not known */
    int64_t                       wait;           /* ms, until the next */
    uint32_t                      reveal;         /* up to this epoch */

    ngx_uint_t                    nrounds;        /* used, not yet told */
    uint64_t                      rounds[NGX_HTTP_LOYALTY_USED];
    ngx_uint_t                    nwanted;
    uint64_t                      wanted[NGX_HTTP_LOYALTY_USED];
    unsigned                      asked:1;        /* what is wanted */

    const char                   *told;           /* its state */
    int64_t                       told_close;
    ngx_queue_t                   slots;          /* timestamps */
    ngx_http_loyalty_gather_t    *gather;         /* evidence */
    ngx_http_loyalty_sweep_t     *sweep;          /* of what was cut off */
    int64_t                       rest;           /* ms: none before */
} ngx_http_loyalty_lead_t;


struct ngx_http_loyalty_leader_s {
    ngx_http_loyalty_program_t   *program;
    ngx_log_t                    *log;
    ngx_event_t                   timer;          /* cancelable */
    ngx_event_t                   run;            /* posted: next passes */
    ngx_http_loyalty_op_t        *op;             /* the lease */
    ngx_msec_t                    asked;
    ngx_msec_t                    until;
    ngx_uint_t                    leading;
    ngx_uint_t                    shy;
    u_char                        token[32];
    ngx_uint_t                    nleads;
    ngx_http_loyalty_lead_t      *leads;
};


struct ngx_http_loyalty_draws_s {
    ngx_http_loyalty_program_t   *program;
    ngx_http_loyalty_secrets_t   *secrets;        /* NULL: no secret_file */
    ngx_http_loyalty_place_t      place;          /* of secret_file */
    ngx_array_t                   campaigns;      /* of _campaign_t * */
    ngx_http_loyalty_leader_t    *leader;         /* a worker's */
    ngx_queue_t                   asks;           /* and what it asks */
};


/*
 * A question about a campaign for somebody who waits: the answer becomes what
 * a ngx_http_loyalty_publish_pt is told.
 */

typedef struct ngx_http_loyalty_ask_s  ngx_http_loyalty_ask_t;

/* what a reply means */
typedef ngx_int_t (*ngx_http_loyalty_answered_pt)(ngx_http_loyalty_ask_t *ask,
    ngx_http_loyalty_reply_t *reply, int64_t *length);

struct ngx_http_loyalty_ask_s {
    ngx_queue_t                   queue;
    ngx_http_loyalty_campaign_t  *campaign;
    ngx_http_loyalty_op_t        *op;
    ngx_http_loyalty_answered_pt  answered;
    ngx_http_loyalty_publish_pt   handler;
    void                         *data;
};


/* ---- draws.c ---- */

/* program->draws, made where it is missing */
ngx_http_loyalty_draws_t *ngx_http_loyalty_draws(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program);

/* a whole file of 1 to max bytes, in cf->pool; path becomes absolute; logs */
ngx_int_t ngx_http_loyalty_draws_file(ngx_conf_t *cf, const char *what,
    ngx_str_t *path, size_t max, ngx_str_t *text);


/* ---- secret.c ---- */

char *ngx_http_loyalty_secret_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* pages that no core dump holds; NULL: logged.  _free() wipes them. */
void *ngx_http_loyalty_secret_alloc(size_t size, ngx_log_t *log);
void ngx_http_loyalty_secret_free(void *p, size_t size);


/* ---- campaign_conf.c, eligible.c, prize.c: directives ---- */

char *ngx_http_loyalty_campaign_time(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_campaign_version_no(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_loyalty_campaign_cost(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_campaign_limit(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_campaign_exclude(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_campaign_rules(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

char *ngx_http_loyalty_eligible(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_http_loyalty_eligible_resolve(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign);
void ngx_http_loyalty_eligible_blob(ngx_http_loyalty_campaign_t *campaign,
    loyalty_mpw_t *w);

char *ngx_http_loyalty_prize(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_loyalty_prize_stock(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_prize_odds(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_prize_codes(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_prize_award(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* the table: checked against mode and kind, encoded, hashed */
ngx_int_t ngx_http_loyalty_prizes_init(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign);


/* ---- terms.c ---- */

/* the line of the directive that is being read; block: it opens one */
ngx_int_t ngx_http_loyalty_terms_add(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign, ngx_uint_t block);
ngx_int_t ngx_http_loyalty_terms_end(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign);
/* all of them, and their hash */
ngx_int_t ngx_http_loyalty_terms_init(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign);


/* ---- run.c: what a worker knows ---- */

ngx_http_loyalty_run_t *ngx_http_loyalty_run_create(ngx_cycle_t *cycle,
    ngx_http_loyalty_campaign_t *campaign);
void ngx_http_loyalty_run_destroy(ngx_http_loyalty_run_t *run);

/* asks Redis, unless that is under way; NGX_ERROR: it cannot be asked */
ngx_int_t ngx_http_loyalty_run_ask(ngx_http_loyalty_run_t *run);

/* the most records that any worker of this nginx was answered with */
int64_t ngx_http_loyalty_campaign_seen(ngx_http_loyalty_campaign_t *campaign);

/* there is an answer, or none for now: who waits asks again */
void ngx_http_loyalty_run_wake(ngx_http_loyalty_run_t *run);

/* it is known whether the campaign can go on */
void ngx_http_loyalty_run_settle(ngx_http_loyalty_run_t *run,
    ngx_http_loyalty_run_e state, const char *fmt, ...);


/* ---- begin.c ---- */

/* Redis has no such campaign: it is begun, or it is settled that it is not */
void ngx_http_loyalty_begin(ngx_http_loyalty_run_t *run);


/* ---- manifest.c: what the versions say ---- */

/* reads what Redis knows into run, and goes on with _manifest_settle() */
void ngx_http_loyalty_manifest_known(ngx_http_loyalty_run_t *run,
    ngx_http_loyalty_reply_t *reply);

/* the configuration's version held against what is known, or registered */
void ngx_http_loyalty_manifest_settle(ngx_http_loyalty_run_t *run);


/* ---- register.c ---- */

/* why its prizes cannot follow those of the version before, or NULL */
const char *ngx_http_loyalty_register_prizes(ngx_http_loyalty_run_t *run);

/* registers the configuration's version, then asks again; NGX_ERROR: it
   cannot be made */
ngx_int_t ngx_http_loyalty_register(ngx_http_loyalty_run_t *run,
    const u_char *manifest);


/* ---- chain.c ---- */

/* while nginx reads its configuration */
ngx_int_t ngx_http_loyalty_chain_prepare(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign);

/*
 * The chain of a version under the campaign's secret.  NGX_AGAIN: it is
 * being built, and then _manifest_settle() is called.
 */
ngx_int_t ngx_http_loyalty_chain(ngx_http_loyalty_run_t *run,
    uint32_t version, uint32_t epochs, ngx_http_loyalty_chain_t **chain);
void ngx_http_loyalty_chains_free(ngx_http_loyalty_run_t *run);


/* ---- keys.c ---- */

/* the campaign's signing key; loyalty_signkey_free() it at once */
ngx_int_t ngx_http_loyalty_run_key(ngx_http_loyalty_run_t *run,
    loyalty_signkey_t *key);

/* the version that governs epoch e */
ngx_http_loyalty_version_t *ngx_http_loyalty_governing(
    ngx_http_loyalty_run_t *run, uint32_t e);



/* ---- leader.c ---- */

ngx_int_t ngx_http_loyalty_leader_create(ngx_cycle_t *cycle,
    ngx_http_loyalty_program_t *program);
void ngx_http_loyalty_leader_destroy(ngx_http_loyalty_leader_t *leader);

/*
 * A step: NGX_OK, the next one may go; NGX_AGAIN, _lead_next() will be called
 * when it is over; NGX_ERROR, the rest of the pass has to wait for the next.
 */
typedef ngx_int_t (*ngx_http_loyalty_step_pt)(ngx_http_loyalty_lead_t *lead);

void ngx_http_loyalty_lead_next(ngx_http_loyalty_lead_t *lead, ngx_int_t rc);

/* a question about the campaign, of the step under way */
ngx_int_t ngx_http_loyalty_lead_call(ngx_http_loyalty_lead_t *lead,
    ngx_http_loyalty_fn_e fn, ngx_uint_t nkeys, ngx_str_t *keys,
    ngx_str_t *arg, ngx_http_loyalty_op_handler_pt handler);

/* the lead of a campaign, NULL: this worker does not lead */
ngx_http_loyalty_lead_t *ngx_http_loyalty_lead(
    ngx_http_loyalty_campaign_t *campaign);

/* numbers of a reply; NGX_ERROR: they are none */
ngx_int_t ngx_http_loyalty_reply_numbers(ngx_http_loyalty_reply_t *reply,
    ngx_uint_t first, ngx_uint_t n, int64_t *number);


/* ---- publish.c ---- */

/* NULL: no memory; gone after its handler was called */
ngx_http_loyalty_ask_t *ngx_http_loyalty_ask(
    ngx_http_loyalty_campaign_t *campaign,
    ngx_http_loyalty_answered_pt answered,
    ngx_http_loyalty_publish_pt handler, void *data);
/* sends it to the campaign's slot; NULL: it could not, or ask was NULL, and
   is gone */
ngx_http_loyalty_ask_t *ngx_http_loyalty_ask_send(
    ngx_http_loyalty_ask_t *ask, ngx_http_loyalty_lane_e lane,
    ngx_http_loyalty_fn_e fn, ngx_uint_t nkeys, ngx_str_t *keys,
    ngx_str_t *arg);
void ngx_http_loyalty_ask_free(ngx_http_loyalty_ask_t *ask);
/* the handler of its call */
void ngx_http_loyalty_ask_answered(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);


/* ---- sweep.c ---- */

ngx_int_t ngx_http_loyalty_lead_sweep(ngx_http_loyalty_lead_t *lead);
void ngx_http_loyalty_sweep_free(ngx_http_loyalty_lead_t *lead);


/* ---- heads.c ---- */

ngx_int_t ngx_http_loyalty_lead_tree(ngx_http_loyalty_lead_t *lead);
ngx_int_t ngx_http_loyalty_lead_log(ngx_http_loyalty_lead_t *lead);
ngx_int_t ngx_http_loyalty_lead_head(ngx_http_loyalty_lead_t *lead);


/* ---- reveal.c ---- */

/* the version that governs last, as far as is known, and its clock */
ngx_http_loyalty_version_t *ngx_http_loyalty_last(
    ngx_http_loyalty_run_t *run, loyalty_epochs_t *clock);

ngx_int_t ngx_http_loyalty_lead_over(ngx_http_loyalty_lead_t *lead);
ngx_int_t ngx_http_loyalty_lead_reveal(ngx_http_loyalty_lead_t *lead);


/* ---- used.c ---- */

void ngx_http_loyalty_lead_round(ngx_http_loyalty_lead_t *lead,
    uint64_t round);
ngx_int_t ngx_http_loyalty_lead_used(ngx_http_loyalty_lead_t *lead);


/* ---- stamp.c ---- */

ngx_int_t ngx_http_loyalty_lead_stamps(ngx_http_loyalty_lead_t *lead);
void ngx_http_loyalty_slots_free(ngx_http_loyalty_lead_t *lead);


/* ---- evidence.c ---- */

ngx_int_t ngx_http_loyalty_lead_evidence(ngx_http_loyalty_lead_t *lead);
void ngx_http_loyalty_gather_free(ngx_http_loyalty_lead_t *lead);


/* ---- metrics.c ---- */

/* the place of a state in the list of them */
ngx_uint_t ngx_http_loyalty_stage(const char *name);


#endif /* _NGX_HTTP_LOYALTY_DRAWS_PRIVATE_H_INCLUDED_ */
