/*
 * What the files of the sweepstakes share: its configuration, the keys it
 * has in Redis, and what each of them offers to the others.
 */

#ifndef _NGX_HTTP_LOYALTY_SWEEPSTAKES_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_SWEEPSTAKES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_draws.h"
#include "ngx_http_loyalty_split.h"


#define NGX_HTTP_LOYALTY_POSITIONS        10000   /* winners and alternates */
#define NGX_HTTP_LOYALTY_TICKETS          4294967295    /* of one entry */

/* entries of a record, docs/internals.md */
#define NGX_HTTP_LOYALTY_ENTRY_TICKETS    15
#define NGX_HTTP_LOYALTY_ENTRY_VOIDED     16


/* phases of G:s */

typedef enum {
    NGX_HTTP_LOYALTY_PHASE_OPEN = 0,
    NGX_HTTP_LOYALTY_PHASE_CLOSING,
    NGX_HTTP_LOYALTY_PHASE_CLOSED,
    NGX_HTTP_LOYALTY_PHASE_WAITING,
    NGX_HTTP_LOYALTY_PHASE_DRAWN
} ngx_http_loyalty_phase_e;


typedef struct ngx_http_loyalty_machine_s  ngx_http_loyalty_machine_t;


typedef struct {
    ngx_http_loyalty_campaign_t   campaign;       /* first */
    ngx_flag_t                    free_entry;
    ngx_flag_t                    seed;           /* off: the beacon alone */
    int64_t                       claim_within;   /* ms, 0: for ever */
    ngx_uint_t                    alternates;     /* it was written */
    ngx_http_loyalty_machine_t   *machine;        /* of the worker that
                                                     leads */
} ngx_http_loyalty_sweepstakes_conf_t;


/* where it stands: the first values of sweepstakes_H's reply */

#define NGX_HTTP_LOYALTY_STANDING_VALUES  9

typedef struct {
    int64_t                       phase;
    int64_t                       paused;
    int64_t                       entries;
    int64_t                       tickets;
    int64_t                       voided;
    int64_t                       done;           /* entries in the tree */
    int64_t                       ended;          /* ms, of the close */
    int64_t                       round;          /* it waits for; 0: for a
                                                     timestamp */
    int64_t                       late;
} ngx_http_loyalty_standing_t;


/* a prize after the draw: what G:w says of its position */

#define NGX_HTTP_LOYALTY_WHO   (8 + LOYALTY_HASH + 8)

/* what sweepstakes_H says of one: u32 row, u8 status, who */
#define NGX_HTTP_LOYALTY_TOLD  (5 + NGX_HTTP_LOYALTY_WHO)

typedef enum {
    NGX_HTTP_LOYALTY_HELD = 0,
    NGX_HTTP_LOYALTY_CLAIMED,
    NGX_HTTP_LOYALTY_DELIVERED,
    NGX_HTTP_LOYALTY_VACANT,
    NGX_HTTP_LOYALTY_AWAITING             /* a fresh alternate */
} ngx_http_loyalty_held_e;

typedef struct {
    int64_t                       row;
    int64_t                       status;
    int64_t                       since;          /* ms */
    ngx_str_t                     who;            /* u64 seq, person, u64
                                                     ticket; or len 0 */
} ngx_http_loyalty_held_t;


/* a line of the file "picks", docs/proof.md */

typedef struct {
    uint64_t                      ticket;
    uint64_t                      seq;
    uint32_t                      attempt;
    u_char                        person[LOYALTY_HASH];
} ngx_http_loyalty_pick_t;


typedef struct {
    ngx_uint_t                    npicks;         /* by position */
    ngx_http_loyalty_pick_t      *picks;
    ngx_uint_t                    nfresh;         /* fresh alternates, by k */
    ngx_http_loyalty_pick_t      *fresh;
} ngx_http_loyalty_picks_t;


/*
 * A call on the game's own slot: its keys, and its argument in the making.
 * Small arguments are written into buf, others elsewhere.
 */

#define NGX_HTTP_LOYALTY_GAME_KEYS  8
#define NGX_HTTP_LOYALTY_GAME_ARG   1024

typedef struct {
    ngx_uint_t                    nkeys;
    ngx_str_t                     keys[NGX_HTTP_LOYALTY_GAME_KEYS];
    ngx_str_t                     arg;
    loyalty_mpw_t                 w;
    u_char                        names[NGX_HTTP_LOYALTY_GAME_KEYS
                                        * NGX_HTTP_LOYALTY_CAMPAIGN_KEY];
    u_char                        buf[NGX_HTTP_LOYALTY_GAME_ARG];
} ngx_http_loyalty_game_call_t;


/* ---- sweepstakes.c ---- */

/* the campaign of this name, NULL: there is none */
ngx_http_loyalty_campaign_t *ngx_http_loyalty_sweepstakes_find(
    ngx_http_loyalty_program_t *program, ngx_str_t *name);


/* ---- sweepstakes_call.c ---- */

/* a call with keys G:WHAT, words separated by spaces, and no argument yet */
void ngx_http_loyalty_game_call(ngx_http_loyalty_game_call_t *call,
    ngx_http_loyalty_campaign_t *campaign, const char *what);

/* one more key: chunk N of the entries */
void ngx_http_loyalty_game_chunk(ngx_http_loyalty_game_call_t *call,
    ngx_http_loyalty_campaign_t *campaign, int64_t n);

/* claim_H: position -1 and a person, or a position; what: CLAIMED or
   DELIVERED */
void ngx_http_loyalty_claim_call(ngx_http_loyalty_game_call_t *call,
    ngx_http_loyalty_campaign_t *campaign, int64_t now, int64_t position,
    const u_char *person, ngx_http_loyalty_held_e what);

/* the reply as JSON: word is "claimed" or "delivered"; NGX_DECLINED: Redis
   refused, and *problem and *detail say why */
ngx_int_t ngx_http_loyalty_claim_json(ngx_http_loyalty_campaign_t *campaign,
    ngx_http_loyalty_reply_t *reply, const char *word, loyalty_out_t *out,
    ngx_http_loyalty_problem_e *problem, ngx_str_t *detail);

/*
 * What enter_H refused because the target did not hold: NGX_OK, it is to be
 * sent again; NGX_AGAIN, when the campaign is ready again; NGX_DECLINED, for
 * another reason.
 */
ngx_int_t ngx_http_loyalty_entry_retry(ngx_http_loyalty_campaign_t *campaign,
    ngx_str_t *value);


/* ---- sweepstakes_dq.c ---- */

/* what a dq says, and its note in pool */
ngx_int_t ngx_http_loyalty_dq_note(ngx_http_loyalty_campaign_t *campaign,
    ngx_pool_t *pool, loyalty_dq_t *dq, ngx_str_t *who, ngx_str_t *note);

/* the argument of disqualify_H; keys and argument in call, buf from pool */
ngx_int_t ngx_http_loyalty_dq_call(ngx_http_loyalty_game_call_t *call,
    ngx_http_loyalty_campaign_t *campaign, ngx_pool_t *pool,
    loyalty_dq_t *dq, ngx_str_t *who, ngx_str_t *note);

/*
 * The notes of the file "dq", one after another: moves text behind the next
 * one.  NGX_DONE: there is none.
 */
ngx_int_t ngx_http_loyalty_dq_next(ngx_str_t *text, ngx_str_t *note,
    u_char *statement, size_t *len);


/* ---- sweepstakes_state.c: what Redis keeps, read ---- */

/* NGX_DECLINED: Redis knows no such campaign */
ngx_int_t ngx_http_loyalty_standing(ngx_http_loyalty_reply_t *reply,
    ngx_http_loyalty_standing_t *standing);

/* "open", "waiting", ... as docs/proof.md has them */
ngx_str_t *ngx_http_loyalty_standing_name(
    ngx_http_loyalty_campaign_t *campaign,
    ngx_http_loyalty_standing_t *standing);

/* ,"state":"open","opens":...; stopped: why it is on this node */
void ngx_http_loyalty_standing_json(ngx_http_loyalty_campaign_t *campaign,
    ngx_http_loyalty_standing_t *standing,
    ngx_http_loyalty_problem_e stopped, loyalty_out_t *out);

ngx_int_t ngx_http_loyalty_held(ngx_str_t *value,
    ngx_http_loyalty_held_t *held);

/* the name of a row of the prize table, as JSON */
void ngx_http_loyalty_prize_json(ngx_http_loyalty_campaign_t *campaign,
    int64_t row, loyalty_out_t *out);

/* who was picked, by the file "picks"; arrays come from pool */
ngx_int_t ngx_http_loyalty_picks_read(ngx_http_loyalty_picks_t *list,
    ngx_pool_t *pool, ngx_str_t *text);


/* ---- machine.c: what the leader does ---- */

void ngx_http_loyalty_sweepstakes_tick(ngx_http_loyalty_campaign_t *campaign,
    int64_t now);


/* ---- sweepstakes_entry.c ---- */

/* the target of an entry, and its keys; id: what the entry is committed to */
ngx_int_t ngx_http_loyalty_entry_target(
    ngx_http_loyalty_campaign_t *campaign, ngx_str_t *member, ngx_str_t *id,
    const u_char *salt, int64_t now, ngx_http_loyalty_call_t *call,
    loyalty_mpw_t *w);


/* ---- sweepstakes_split.c ---- */

extern ngx_http_loyalty_split_room_t  ngx_http_loyalty_sweepstakes_room;

/* an entry in three steps; what is in ctx->data begins with it */

typedef struct {
    ngx_http_loyalty_steps_t          steps;
    ngx_http_loyalty_campaign_t      *campaign;
    ngx_http_loyalty_idempotency_t   *idempotency;
    u_char                           *needle;
    u_char                           *salt;       /* LOYALTY_SALT bytes */
    ngx_str_t                        *id;         /* what it is committed to */
    int64_t                           now;
    int64_t                           tickets;
    ngx_uint_t                        method;
    ngx_http_loyalty_member_reply_pt  reply;      /* of one in a single step */
    ngx_http_loyalty_member_start_pt  again;      /* send it anew */
} ngx_http_loyalty_enter_t;

ngx_int_t ngx_http_loyalty_enter_reserve(ngx_http_loyalty_member_ctx_t *ctx);

/* goes on with a reservation, "N" or "O" in front of it */
ngx_int_t ngx_http_loyalty_enter_steps(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_str_t *value);


ngx_int_t ngx_http_loyalty_sweepstakes_target(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule,
    ngx_str_t *member, ngx_str_t *id, int64_t now,
    ngx_http_loyalty_call_t *call, loyalty_mpw_t *w);
void ngx_http_loyalty_sweepstakes_missed(ngx_http_loyalty_rule_t *rule,
    int64_t seq);


#endif /* _NGX_HTTP_LOYALTY_SWEEPSTAKES_H_INCLUDED_ */
