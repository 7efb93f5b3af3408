/*
 * What both draws stand on: a campaign.
 *
 * A campaign is one instant win or one sweepstakes from its open to its
 * close, known by its cid.  Here is what they have in common: the directives
 * of their blocks, the text of their terms, the secret everything derives
 * from, manifests and their versions, the files that are published, and the
 * one worker of all nodes that does what the clock asks for.  What is drawn
 * and how is the rooms' own; the arithmetic is in core/loyalty_draw.h.
 *
 * A room's configuration begins with a ngx_http_loyalty_campaign_t.
 */

#ifndef _NGX_HTTP_LOYALTY_DRAWS_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_DRAWS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_games.h"
#include "ngx_http_loyalty_http.h"
#include "ngx_http_loyalty_beacon.h"
#include "loyalty_chain.h"
#include "loyalty_note.h"


#define NGX_HTTP_LOYALTY_CHUNK        4096        /* records of one key */
#define NGX_HTTP_LOYALTY_LATE         1500        /* ms: a clock may differ */


typedef struct ngx_http_loyalty_campaign_s  ngx_http_loyalty_campaign_t;
typedef struct ngx_http_loyalty_run_s       ngx_http_loyalty_run_t;
typedef struct ngx_http_loyalty_split_room_s  ngx_http_loyalty_split_room_t;


/* ---- what the blocks say ---- */

typedef struct {
    ngx_str_t                     name;
    uint64_t                      stock;          /* LOYALTY_UNLIMITED */
    uint64_t                      num;            /* odds in lowest terms, */
    uint64_t                      den;            /* 0/0: none */
    ngx_str_t                     codes;          /* pool, or len 0 */
    ngx_array_t                   awards;         /* of _award_t */
    ngx_http_loyalty_place_t      place;
    ngx_http_loyalty_place_t      odds_place;     /* line 0: not written */
    ngx_http_loyalty_place_t      stock_place;
    ngx_http_loyalty_place_t      codes_place;
} ngx_http_loyalty_prize_t;


typedef struct {
    int64_t                       n;
    ngx_uint_t                    unit;           /* LOYALTY_DAY, ...; 0: per
                                                     campaign */
} ngx_http_loyalty_limit_t;


/* what a play or a ticket costs */

#define NGX_HTTP_LOYALTY_COST_FREE    0
#define NGX_HTTP_LOYALTY_COST_WALLET  1
#define NGX_HTTP_LOYALTY_COST_PLAYS   3

typedef struct {
    ngx_uint_t                    kind;
    ngx_str_t                     name;           /* of the wallet */
    u_char                        hash[NGX_HTTP_LOYALTY_HASH];
    int64_t                       amount;
    ngx_http_loyalty_place_t      place;          /* line 0: not written */
} ngx_http_loyalty_cost_t;


/*
 * Calls the room once a second in the one worker that leads, and at once
 * when the last step said so; now is Redis's time.  A step may be
 * asynchronous: the next one is not begun before ngx_http_loyalty_tick_done().
 * Every step is idempotent, its state is in Redis alone: another leader goes
 * on in the middle, and twice the same step by two that both believe to lead
 * does no harm.
 */
typedef void (*ngx_http_loyalty_tick_pt)(ngx_http_loyalty_campaign_t *campaign,
    int64_t now);


struct ngx_http_loyalty_campaign_s {
    ngx_http_loyalty_games_conf_t common;         /* first */
    ngx_http_loyalty_program_t   *program;
    ngx_http_loyalty_rule_t      *rule;

    /* the block */
    int64_t                       open;           /* ms */
    int64_t                       close;
    uint32_t                      version;        /* from 1 */
    ngx_http_loyalty_cost_t       cost;
    ngx_array_t                   limits;         /* of _limit_t */
    ngx_array_t                   prizes;         /* of _prize_t */

    /*
     * Set by the room in its block or in its init, before _campaign_init().
     * kind is LOYALTY_SWEEPSTAKES or LOYALTY_INSTANT_WIN, from
     * _campaign_block(); mode is 0 for a sweepstakes.
     */
    ngx_uint_t                    kind;
    ngx_uint_t                    mode;           /* LOYALTY_MODE_* */
    uint64_t                      blanks;         /* of a deck */
    uint32_t                      length;         /* L, ms; 0: a minute */
    uint32_t                      alternates;
    ngx_uint_t                    flags;          /* LOYALTY_FRESH, ... */
    ngx_uint_t                    alone;          /* a sweepstakes that rests
                                                     on the beacon alone: its
                                                     seed is Z */
    ngx_http_loyalty_tick_pt      tick;           /* or NULL */
    ngx_http_loyalty_split_room_t  *room;         /* of its three steps */
    const char                   *stage;          /* written by the tick:
                                                     closing, closed, waiting,
                                                     drawn; NULL: by the
                                                     clock */
    ngx_str_t                     state;          /* what follows the common
                                                     part in a new G:s */

    /* from _campaign_identify() */
    u_char                        cid[LOYALTY_CID];
    u_char                        hex[2 * LOYALTY_CID];
    ngx_str_t                     tag;            /* "{shop:g:scratch:HEX}" */

    /* from _campaign_init() */
    uint32_t                      epochs;         /* 0: sweepstakes */
    uint32_t                      winners;        /* 0: instant win */
    ngx_str_t                     terms;          /* docs/proof.md */
    ngx_str_t                     table;          /* prizes, encoded */
    ngx_str_t                     rules;          /* the file, or data NULL */
    u_char                        terms_hash[LOYALTY_HASH];
    u_char                        table_hash[LOYALTY_HASH];
    u_char                        rules_hash[LOYALTY_HASH];
    uint64_t                      odds;           /* common denominator */
    uint64_t                     *weights;        /* of each prize */
    loyalty_prize_t              *rows;           /* of the table; a deck's
                                                     blanks are the last */
    ngx_uint_t                    nrows;

    /* private to draws/ */
    ngx_uint_t                    index;          /* in the program */
    ngx_array_t                   lines;          /* of the terms */
    ngx_http_loyalty_place_t      open_place;
    ngx_http_loyalty_place_t      close_place;
    ngx_array_t                   eligible;       /* of member fields */
    ngx_http_loyalty_listener_t   variables;      /* eligible $variable ... */
    ngx_array_t                  *excluded;       /* of ngx_str_t, sorted */
    void                         *chain;          /* of this version */
    ngx_http_loyalty_run_t       *run;            /* a worker's */
};


/* ---- while the configuration is read ---- */

/*
 * In loyalty_program: secret_file.  In instant_win and sweepstakes: open,
 * close, version, cost, limit, eligible, exclude_file, rules_file, prize; in
 * prize: stock, odds, award, codes.
 */
extern ngx_module_t  ngx_http_loyalty_draws_module;

/*
 * The terms are the block's directives as nginx read them, so every
 * directive in the block of a draw has this as its handler and its own one
 * as post:
 *
 *     { ngx_string("draw"),
 *       NGX_LOYALTY_INSTANT_CONF|NGX_CONF_TAKE12,
 *       ngx_http_loyalty_campaign_line,
 *       0,
 *       0,
 *       ngx_http_loyalty_instant_win_draw },
 *
 * It notes the line and calls the other.
 */
char *ngx_http_loyalty_campaign_line(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Opens the block of a draw, as ngx_http_loyalty_games_block() does; after
 * it open, close and a prize are there, and close is later than open.
 */
char *ngx_http_loyalty_campaign_block(ngx_conf_t *cf,
    ngx_http_loyalty_game_t *game, ngx_uint_t cmd_type, ngx_uint_t kind,
    ngx_http_loyalty_campaign_t *campaign, ngx_http_loyalty_rule_t **rule);

/* a game's identify: cid, tag, the rule's canonical text, hash and reason */
ngx_int_t ngx_http_loyalty_campaign_identify(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule);

/*
 * From a game's init: names and prizes are checked against mode and kind,
 * terms and table are made, the beacon is told.  It logs its own errors.
 */
ngx_int_t ngx_http_loyalty_campaign_init(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule);

/*
 * Three values for the rule's blob, which draws.lua understands:
 *     cost       [kind, hash4 or "", amount]
 *     limits     [unit, n, ...], unit 0: per campaign
 *     eligible   [[1, tier hash4, ...],
 *                 [2 balance or 3 lifetime, wallet hash4, op, n, ...], ...]
 *                op: 0 =, 1 !=, 2 <, 3 <=, 4 >, 5 >=, 6 in; all must hold
 */
void ngx_http_loyalty_campaign_blob(ngx_http_loyalty_campaign_t *campaign,
    loyalty_mpw_t *w);

/* the key that proofs under the n-th secret are verified with, as anyone may
   know it; dst has LOYALTY_VKEY_MAX bytes; NGX_DECLINED: there is no such */
ngx_int_t ngx_http_loyalty_secret_vkey(ngx_http_loyalty_program_t *program,
    ngx_uint_t n, ngx_str_t *id, u_char *dst, size_t *len);

/* campaigns of a program in the order of its rules; NULL at the end */
ngx_http_loyalty_campaign_t *ngx_http_loyalty_campaign(
    ngx_http_loyalty_program_t *program, ngx_uint_t i);

/* one of them by its name, of kind LOYALTY_SWEEPSTAKES or LOYALTY_INSTANT_WIN;
   NULL: there is no such */
ngx_http_loyalty_campaign_t *ngx_http_loyalty_campaign_find(
    ngx_http_loyalty_program_t *program, ngx_uint_t kind, ngx_str_t *name);


/* ---- keys in Redis ---- */

/*
 * G:WHAT and G:WHAT:N, docs/internals.md; buf has
 * NGX_HTTP_LOYALTY_CAMPAIGN_KEY bytes; n < 0: none.
 */
#define NGX_HTTP_LOYALTY_CAMPAIGN_KEY  256

void ngx_http_loyalty_campaign_key(ngx_http_loyalty_campaign_t *campaign,
    const char *what, int64_t n, u_char *buf, ngx_str_t *key);

/* the connection that the campaign's own calls take */
ngx_uint_t ngx_http_loyalty_campaign_partition(
    ngx_http_loyalty_campaign_t *campaign);


/* ---- a campaign in a worker ---- */

/* one that waits: embedded in what the caller holds for its request */

typedef struct {
    ngx_queue_t                   queue;
    ngx_http_loyalty_campaign_t  *campaign;       /* NULL: does not wait */
    void                        (*handler)(void *data);
    void                         *data;
} ngx_http_loyalty_waiter_t;

/*
 * Whether the campaign can be played or entered here and now, by what this
 * worker knows of it; open and close are the room's to check, in Redis too.
 *
 * NGX_OK.
 * NGX_AGAIN: this worker has yet to hear from Redis, or was told that
 *     something changed: the waiter's handler is called once, from the event
 *     loop and within the program's Redis timeout; then ask again, and after
 *     the second NGX_AGAIN answer "unavailable".  Without a waiter nobody is
 *     called.
 * NGX_DECLINED: *problem and *detail say why: rules_changed,
 *     stale_configuration, unavailable.
 */
ngx_int_t ngx_http_loyalty_campaign_ready(
    ngx_http_loyalty_campaign_t *campaign, ngx_http_loyalty_waiter_t *waiter,
    ngx_http_loyalty_problem_e *problem, ngx_str_t *detail);

/*
 * The same for an award.  NGX_AGAIN: it is not known yet, and nothing is to
 * be decided before.  NGX_BUSY: nor can it be asked now.  NGX_DECLINED: it
 * has been stopped, *problem says why, and the rest goes on.
 */
ngx_int_t ngx_http_loyalty_campaign_awards(
    ngx_http_loyalty_campaign_t *campaign,
    ngx_http_loyalty_problem_e *problem);

/* the request has gone */
void ngx_http_loyalty_campaign_forget(ngx_http_loyalty_waiter_t *waiter);

/*
 * The generation of what this worker knows of the campaign.  It travels with
 * each call; a transition that finds another one in G:s changes nothing and
 * says so (draws.lua, game_state), and then _campaign_refresh() makes
 * _campaign_ready() ask Redis first.
 */
int64_t ngx_http_loyalty_campaign_generation(
    ngx_http_loyalty_campaign_t *campaign);
void ngx_http_loyalty_campaign_refresh(ngx_http_loyalty_campaign_t *campaign);


/* whether the campaign's secret is known: pseudonyms can be made, although it
   may be stopped for another reason */
ngx_uint_t ngx_http_loyalty_campaign_known(
    ngx_http_loyalty_campaign_t *campaign);


/*
 * Everything below needs NGX_OK of _campaign_ready(), or what is said of it.
 */

/* a version as it was registered */

typedef struct {
    uint32_t                      version;
    loyalty_manifest_t            manifest;
    u_char                        mh[LOYALTY_HASH];
    uint32_t                      from;           /* first epoch it governs, 0:
                                                     not known before its
                                                     timestamp is there */
    int64_t                       stamped;        /* ms, genTime of the
                                                     earliest; 0: none yet */
    loyalty_prize_t              *rows;
    ngx_uint_t                    nrows;
    ngx_str_t                     blob;           /* the rule's: of this
                                                     configuration, or as the
                                                     version's node left it */
} ngx_http_loyalty_version_t;

/* the newest one: in a sweepstakes the one that holds; NULL: the campaign is
   not ready, and this worker has not heard of any */
ngx_http_loyalty_version_t *ngx_http_loyalty_campaign_version(
    ngx_http_loyalty_campaign_t *campaign);

/* by number, NULL: there is none */
ngx_http_loyalty_version_t *ngx_http_loyalty_campaign_version_n(
    ngx_http_loyalty_campaign_t *campaign, uint32_t version);

/* of an instant win the one that holds at t, whether the campaign is ready or
   stopped; NULL: this worker has yet to hear of it */
ngx_http_loyalty_version_t *ngx_http_loyalty_campaign_holds(
    ngx_http_loyalty_campaign_t *campaign, int64_t t);


/* pseudonyms and commitments; NGX_ERROR when libcrypto fails */

ngx_int_t ngx_http_loyalty_campaign_person(
    ngx_http_loyalty_campaign_t *campaign, ngx_str_t *member, u_char *person);
ngx_int_t ngx_http_loyalty_campaign_play_id(
    ngx_http_loyalty_campaign_t *campaign, const u_char *person,
    ngx_str_t *key, u_char *play_id);

/* seed of a sweepstakes' newest version: Z when it rests on the beacon
   alone; loyalty_wipe() it */
ngx_int_t ngx_http_loyalty_campaign_seed(
    ngx_http_loyalty_campaign_t *campaign, u_char *seed);

/* the signature of a receipt, LOYALTY_SIGNATURE bytes, and the note of a
   statement, in pool: both by the campaign's key */
ngx_int_t ngx_http_loyalty_campaign_receipt(
    ngx_http_loyalty_campaign_t *campaign, const u_char *record, size_t len,
    u_char *signature);
ngx_int_t ngx_http_loyalty_campaign_note(
    ngx_http_loyalty_campaign_t *campaign, ngx_pool_t *pool,
    loyalty_note_kind_e kind, const u_char *statement, size_t len,
    ngx_str_t *note);

/*
 * The notes of a published file, one after another: moves file behind the
 * next one, base64 is of its statement.  NGX_DONE: there is none.
 */
ngx_int_t ngx_http_loyalty_note_next(ngx_str_t *file, ngx_str_t *note,
    ngx_str_t *base64);


/*
 * The epoch of an instant win that holds t, the version that governs it, and
 * its key.  It belongs to the worker and is good until the caller returns to
 * the event loop.
 *
 * NGX_OK.  NGX_DECLINED: t is before open or not before close.  NGX_AGAIN:
 * round R_e is not here: beacon_unavailable.  NGX_ERROR: libcrypto.
 */
typedef struct {
    uint32_t                      e;              /* from 1 */
    int64_t                       start;          /* ms */
    int64_t                       end;
    uint64_t                      round;          /* R_e; 0 without beacon */
    loyalty_hmac_t                key;            /* K_e */
    ngx_http_loyalty_version_t   *version;
} ngx_http_loyalty_epoch_t;

ngx_int_t ngx_http_loyalty_campaign_epoch(
    ngx_http_loyalty_campaign_t *campaign, int64_t t,
    ngx_http_loyalty_epoch_t **epoch);

/*
 * R_p and B of a play at t: 0 and Z without beacon.  NGX_AGAIN: not here,
 * and, where the campaign allows degraded plays, the newest round held is
 * too old.  *degraded is 1 when the newest one held takes its place.
 */
ngx_int_t ngx_http_loyalty_campaign_round(
    ngx_http_loyalty_campaign_t *campaign, int64_t t, uint64_t *round,
    u_char *b, ngx_uint_t *degraded);

/*
 * Who may take part, by what C knows: not on the exclude_file, and the
 * $variables as eligible wants them; an award of an event has no request of
 * the member's, r is NULL then.  Member fields are Lua's part.  NGX_OK or
 * NGX_DECLINED.
 */
ngx_int_t ngx_http_loyalty_campaign_may(ngx_http_loyalty_campaign_t *campaign,
    ngx_http_request_t *r, ngx_str_t *member, int64_t now);

/*
 * The newest record number this worker has seen, to guess the chunk; and
 * what it saw.
 */
int64_t ngx_http_loyalty_campaign_seq(ngx_http_loyalty_campaign_t *campaign);
void ngx_http_loyalty_campaign_saw(ngx_http_loyalty_campaign_t *campaign,
    int64_t seq);

/*
 * The keys of a transition that appends a record: G:s, then the log's chunk N
 * that record seq is in, and the one behind it; seq -1: the next record, as
 * far as this worker knows.  log is "l" or "e".  Returns the index of the
 * first key, or NGX_ERROR.
 */
ngx_int_t ngx_http_loyalty_campaign_appends(
    ngx_http_loyalty_campaign_t *campaign, const char *log, int64_t seq,
    ngx_http_loyalty_call_t *call, int64_t *chunk);


/* ---- what is published ---- */

/*
 * Called once, from the event loop.  NGX_OK: done, or it had been done just
 * so.  NGX_DECLINED: Redis holds something else.  NGX_ERROR: Redis did not
 * answer; logged.  What value is depends on what was asked.
 *
 * Files are written in Lua, in the transition that changes the state they
 * tell of: draws.lua, publish(key, at, bytes).
 */
typedef void (*ngx_http_loyalty_publish_pt)(void *data, ngx_int_t rc,
    int64_t value);


/* ---- in the worker that leads ---- */

/* the step is over; again: the next one at once, else in a second */
void ngx_http_loyalty_tick_done(ngx_http_loyalty_campaign_t *campaign,
    ngx_uint_t again);

/*
 * A timestamp for a note (hash is SHA-256 of it): KIND KEY as in the file
 * "timestamps".  Asks the authority unless that is under way or failed a
 * moment ago; the token is checked and published, and its time noted in
 * G:meta as t:KIND:KEY when it is the earliest.  A step may call it every
 * second.  NGX_OK: a token is there, *time is its time.  NGX_AGAIN: not
 * yet.  NGX_DECLINED: the program has no timestamp_authority, the admin has
 * to post one.
 */
ngx_int_t ngx_http_loyalty_campaign_stamp(
    ngx_http_loyalty_campaign_t *campaign, const char *kind, uint32_t key,
    const u_char *hash, int64_t *time);

/*
 * The rounds were used: their signatures get into the file "beacons", each
 * once, as soon as this nginx has them.  Redis remembers what is still
 * missing.  n is at most 64.
 */
ngx_int_t ngx_http_loyalty_campaign_used(
    ngx_http_loyalty_campaign_t *campaign, uint64_t *rounds, ngx_uint_t n,
    ngx_http_loyalty_publish_pt handler, void *data);


/* ---- for the admin API, in any worker ---- */

/*
 * A token that was posted, DER; hash is that of the note, NULL: of manifest
 * KEY.  NGX_OK: the handler will be called, with the time of the earliest
 * token as value, or NGX_DECLINED: its version would govern an epoch that
 * has begun.  NGX_DECLINED: error says what is wrong with it.
 */
ngx_int_t ngx_http_loyalty_campaign_token(
    ngx_http_loyalty_campaign_t *campaign, ngx_pool_t *pool,
    const char *kind, uint32_t key, const u_char *hash, ngx_str_t *token,
    ngx_str_t *error, ngx_http_loyalty_publish_pt handler, void *data);

/*
 * What G:s says of it.  What is paused by hand closes and is drawn by the
 * clock; what is held is not: what Redis has of it is known to be wrong.
 */
typedef enum {
    NGX_HTTP_LOYALTY_NOT_PAUSED = 0,
    NGX_HTTP_LOYALTY_PAUSED,
    NGX_HTTP_LOYALTY_REWOUND,                     /* held from here on */
    NGX_HTTP_LOYALTY_DAMAGED
} ngx_http_loyalty_paused_e;

/* ,"held":"rewound" or "damaged" where it is held, else nothing */
void ngx_http_loyalty_held_json(int64_t paused, loyalty_out_t *out);

/* ,"stopped":"code" where this server has stopped it, else nothing */
void ngx_http_loyalty_stopped_json(ngx_http_loyalty_problem_e stopped,
    loyalty_out_t *out);

/* pause and resume; value in the handler is 1 when nothing changed */
ngx_int_t ngx_http_loyalty_campaign_pause(
    ngx_http_loyalty_campaign_t *campaign, ngx_http_loyalty_paused_e paused,
    ngx_http_loyalty_publish_pt handler, void *data);


/* ---- for the module ---- */

ngx_int_t ngx_http_loyalty_draws_init_process(ngx_cycle_t *cycle,
    ngx_http_loyalty_program_t *program);
void ngx_http_loyalty_draws_exit_process(ngx_cycle_t *cycle,
    ngx_http_loyalty_program_t *program);

/* content handler of loyalty_proof */
ngx_int_t ngx_http_loyalty_proof(ngx_http_request_t *r);


#endif /* _NGX_HTTP_LOYALTY_DRAWS_H_INCLUDED_ */
