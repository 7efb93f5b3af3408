/*
 * A program: what the operator wrote in loyalty_program, checked, with its
 * names resolved and its rules indexed by the events that touch them.  It
 * is built once while nginx reads its configuration and is read only
 * afterwards; workers hang their own state off the redis member alone.
 *
 * http/ asks "what does this event touch?" here and never knows a game;
 * games/ are reached through ngx_http_loyalty_games, the one table.
 */

#ifndef _NGX_HTTP_LOYALTY_PROGRAM_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_PROGRAM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <jansson.h>

#include "loyalty_msgpack.h"
#include "loyalty_head.h"
#include "loyalty_money.h"
#include "loyalty_calendar.h"
#include "loyalty_slot.h"
#include "loyalty_out.h"


/*
 * Blocks inside http have command tables of their own: private modules of
 * this type, whose directives nginx itself looks up and checks for arity.
 * Their handlers get a ngx_http_loyalty_block_t as cf->ctx (conf is NULL).
 */
#define NGX_LOYALTY_MODULE           0x594C4F4C      /* "LOLY" */
#define NGX_LOYALTY_PROGRAM_CONF     0x02000000
#define NGX_LOYALTY_CHALLENGE_CONF   0x04000000
#define NGX_LOYALTY_STREAK_CONF      0x08000000
#define NGX_LOYALTY_INSTANT_CONF     0x10000000
#define NGX_LOYALTY_SWEEPSTAKES_CONF 0x20000000
#define NGX_LOYALTY_PRIZE_CONF       0x40000000
#define NGX_LOYALTY_REWARD_CONF      0x80000000

#define NGX_HTTP_LOYALTY_HASH        4               /* bytes of a name */
#define NGX_HTTP_LOYALTY_ITEMS       100             /* items of one event */
#define NGX_HTTP_LOYALTY_ID          128             /* bytes of an id */
#define NGX_HTTP_LOYALTY_TYPE        64              /* bytes of a type */
#define NGX_HTTP_LOYALTY_ONE         10000           /* multiplier of 1.0 */
#define NGX_HTTP_LOYALTY_ARG         65536           /* most bytes of ARG */
#define NGX_HTTP_LOYALTY_MAX_DURATION  3153600000LL  /* s: 100y */


typedef struct ngx_http_loyalty_program_s  ngx_http_loyalty_program_t;
typedef struct ngx_http_loyalty_game_s     ngx_http_loyalty_game_t;
typedef struct ngx_http_loyalty_rule_s     ngx_http_loyalty_rule_t;
typedef struct ngx_http_loyalty_redis_s    ngx_http_loyalty_redis_t;
typedef struct ngx_http_loyalty_stats_s    ngx_http_loyalty_stats_t;
typedef struct ngx_http_loyalty_observing_s
                                           ngx_http_loyalty_observing_t;
typedef struct ngx_http_loyalty_beacon_s   ngx_http_loyalty_beacon_t;
typedef struct ngx_http_loyalty_authority_s  ngx_http_loyalty_authority_t;
typedef struct ngx_http_loyalty_draws_s    ngx_http_loyalty_draws_t;


/* what an event says, parsed; http/ fills it in, match and games read it */

typedef struct {
    ngx_str_t                     sku;
    ngx_str_t                     category;
    uint64_t                      quantity;       /* 1 where absent */
    int64_t                       amount;         /* -1: absent; the line's */
} ngx_http_loyalty_item_t;


/* a $variable of a request that is over */

typedef struct {
    ngx_int_t                     index;
    ngx_str_t                     value;
} ngx_http_loyalty_captured_t;


typedef struct {
    ngx_http_request_t           *request;        /* for $variables, or NULL:
                                                     these were captured */
    ngx_uint_t                    ncaptured;
    ngx_http_loyalty_captured_t  *captured;
    ngx_str_t                     id;
    ngx_str_t                     member;
    ngx_str_t                     type;
    ngx_str_t                     channel;        /* len 0: absent */
    ngx_str_t                     partner;
    int64_t                       at;             /* ms */
    int64_t                       now;
    int64_t                       amount;         /* -1: absent */
    int64_t                       quantity;       /* -1: absent */
    ngx_uint_t                    nitems;
    ngx_http_loyalty_item_t      *items;
    json_t                       *data;           /* object or NULL */
    u_char                        fingerprint[6];
} ngx_http_loyalty_event_t;


/* where something was written, for errors found after parsing */

typedef struct {
    u_char                       *file;
    ngx_uint_t                    line;
} ngx_http_loyalty_place_t;


typedef struct {
    ngx_str_t                     name;
    u_char                        hash[NGX_HTTP_LOYALTY_HASH];
    unsigned                      negative:1;
    ngx_http_loyalty_place_t      place;
} ngx_http_loyalty_wallet_t;


typedef struct {
    ngx_str_t                     name;
    u_char                        hash[NGX_HTTP_LOYALTY_HASH];
    int64_t                       threshold;
    int64_t                       multiplier;     /* over 10000 */
    ngx_http_loyalty_place_t      place;
} ngx_http_loyalty_tier_t;


#define NGX_HTTP_LOYALTY_POOLS  64                /* of one program */

/* a pool of codes that rewards and prizes hand out; its keys in Redis */

typedef struct {
    ngx_str_t                     name;
    ngx_str_t                     unused;         /* "{shop:c:coffee}:l" */
    ngx_str_t                     all;            /* "{shop:c:coffee}:s" */
} ngx_http_loyalty_pool_t;


/*
 * An award.  "points 50" is a wallet's; "tickets GAME n", "plays GAME n",
 * "reward NAME" and "badge NAME" are another game's, which says in its table
 * entry that it takes this kind.
 */

#define NGX_HTTP_LOYALTY_AWARD_WALLET   1
#define NGX_HTTP_LOYALTY_AWARD_TICKETS  2
#define NGX_HTTP_LOYALTY_AWARD_PLAYS    3
#define NGX_HTTP_LOYALTY_AWARD_BADGE    4
#define NGX_HTTP_LOYALTY_AWARD_REWARD   5

typedef struct {
    ngx_uint_t                    kind;
    ngx_str_t                     name;           /* of wallet or game */
    u_char                        hash[NGX_HTTP_LOYALTY_HASH];
    ngx_http_loyalty_rule_t      *target;         /* NULL: a wallet */
    int64_t                       amount;         /* 1 of reward and badge */
    int64_t                       at;             /* streaks: 0 none */
    int64_t                       every;          /* streaks: 0 none */
    ngx_http_loyalty_place_t      place;
} ngx_http_loyalty_award_t;


/* which events a rule listens to; match lines are ANDed */

#define NGX_HTTP_LOYALTY_COUNTS  1                /* roles */
#define NGX_HTTP_LOYALTY_OPENS   2

typedef struct {
    ngx_str_t                     type;
    ngx_array_t                   matches;        /* ngx_http_loyalty_match_t,
                                                     private to match.c */
    ngx_uint_t                    role;
    ngx_uint_t                    item_matches;   /* how many name items */
    ngx_http_loyalty_rule_t      *rule;
} ngx_http_loyalty_listener_t;


struct ngx_http_loyalty_rule_s {
    ngx_http_loyalty_game_t      *game;
    ngx_str_t                     name;           /* empty: earn */
    u_char                        hash[NGX_HTTP_LOYALTY_HASH];
    ngx_str_t                     reason;         /* "challenge coffee" */
    ngx_str_t                     canonical;      /* what hash is of */
    ngx_str_t                     blob;           /* docs/internals.md */
    ngx_array_t                   listeners;      /* of _listener_t, 1 or 2 */
    ngx_array_t                   awards;         /* of _award_t */
    ngx_array_t                   targets;        /* of _rule_t *: games that
                                                     its awards reach and that
                                                     have a slot of their own
                                                     in Redis */
    ngx_str_t                     codes;          /* a pool, or len 0 */
    ngx_str_t                     stock;          /* as written, or len 0 */
    ngx_uint_t                    order;          /* in the program */
    ngx_http_loyalty_place_t      place;
    void                         *conf;           /* the game's own */
};


/* one matched rule of one event */

typedef struct {
    ngx_http_loyalty_rule_t      *rule;
    ngx_uint_t                    role;           /* bits */
    uint64_t                      items[2];       /* bit i: item i matched by
                                                     the counting listener */
} ngx_http_loyalty_hit_t;


/*
 * The keys of one call: a member's four and what was told before, those of the
 * games that are its targets, and those of a game that is played and of its
 * pools of codes.
 */

#define NGX_HTTP_LOYALTY_TARGETS      16
#define NGX_HTTP_LOYALTY_TARGET_KEYS  4
#define NGX_HTTP_LOYALTY_PLAY_KEYS    12
#define NGX_HTTP_LOYALTY_GAME_KEY     192         /* bytes of one at most */
#define NGX_HTTP_LOYALTY_CALL_KEYS                                            \
    (5 + NGX_HTTP_LOYALTY_TARGETS * NGX_HTTP_LOYALTY_TARGET_KEYS              \
     + NGX_HTTP_LOYALTY_PLAY_KEYS)

typedef struct {
    ngx_uint_t                    partition;      /* of the member */
    ngx_uint_t                    nkeys;
    ngx_str_t                     keys[NGX_HTTP_LOYALTY_CALL_KEYS];
    u_char                       *pos;
    u_char                        buf[NGX_HTTP_LOYALTY_CALL_KEYS
                                      * NGX_HTTP_LOYALTY_GAME_KEY];
} ngx_http_loyalty_call_t;


/*
 * A game is a room: this table entry is all that others know of it.
 */

struct ngx_http_loyalty_game_s {
    ngx_str_t                     name;
    ngx_uint_t                    kind;           /* of its rule blobs */

    /*
     * When loyalty_program is closed: resolve names (errors carry the
     * rule's place), fill in hash, reason, blob, listeners.
     */
    ngx_int_t                   (*init)(ngx_conf_t *cf,
                                    ngx_http_loyalty_program_t *program,
                                    ngx_http_loyalty_rule_t *rule);

    /*
     * The dynamic arguments of one hit.  NGX_DECLINED: the rule does not
     * apply after all (an amount rule, an event without one), nothing was
     * written.
     */
    ngx_int_t                   (*args)(ngx_http_loyalty_program_t *program,
                                    ngx_http_loyalty_hit_t *hit,
                                    ngx_http_loyalty_event_t *event,
                                    loyalty_mpw_t *w);

    /*
     * Writes the effect of one entry of a record as a JSON object; values
     * are read from r behind the entry's kind and slot.  NGX_DECLINED: an
     * entry that is no effect (it has been read all the same).  rule is
     * NULL when the configuration does not have it any more; name then is
     * "~" and the hash in hex, else the rule's.
     */
    ngx_int_t                   (*effect)(ngx_http_loyalty_program_t *program,
                                    ngx_http_loyalty_rule_t *rule,
                                    ngx_str_t *name, ngx_uint_t kind,
                                    loyalty_mpr_t *r, loyalty_out_t *out);

    /*
     * Writes the game's part of GET me for one rule: one or several JSON
     * objects, separated by commas, a comma before each when *n > 0; counts
     * them in *n.  head is the member's, state the slot's, or NULL when the
     * member has none.
     * A game without a list of its own in GET me has no view.
     */
    ngx_int_t                   (*view)(ngx_http_loyalty_program_t *program,
                                    ngx_http_loyalty_rule_t *rule,
                                    loyalty_head_t *head,
                                    loyalty_mpr_t *state, int64_t now,
                                    loyalty_out_t *out, ngx_uint_t *n);
    ngx_str_t                     list;           /* "challenges" */

    /* the kind of awards that reach the game, 0: none do */
    ngx_uint_t                    award;

    /* of such a game, before any rule's init: sets the rule's hash, which
       others carry in their blobs */
    ngx_int_t                   (*identify)(ngx_conf_t *cf,
                                    ngx_http_loyalty_program_t *program,
                                    ngx_http_loyalty_rule_t *rule);

    /*
     * For a game with a slot of its own in Redis, which an award changes in
     * the same call: adds its keys to call and writes its target, an array
     * that begins with the rule's hash and the index (from 1) of its first
     * key.  id is what the award is remembered by: the event's id, or of a
     * reversal its own.  NULL: the member's slot is all that an award
     * changes.  NGX_AGAIN: it cannot be told yet what the game needs, and
     * nothing is to be decided without it; NGX_BUSY: nor will it be soon.
     */
    ngx_int_t                   (*target)(ngx_http_loyalty_program_t *program,
                                    ngx_http_loyalty_rule_t *rule,
                                    ngx_str_t *member, ngx_str_t *id,
                                    int64_t now,
                                    ngx_http_loyalty_call_t *call,
                                    loyalty_mpw_t *w);

    /*
     * The value of $loyalty_NAME_RULE (NAME of the game) as short text; may
     * write nothing.  NULL: the game's rules have no variables.
     */
    ngx_int_t                   (*value)(ngx_http_loyalty_program_t *program,
                                    ngx_http_loyalty_rule_t *rule,
                                    loyalty_mpr_t *state, int64_t now,
                                    loyalty_out_t *out);

    /*
     * Redis did nothing, because the target did not hold any more: seq is
     * the right number of the game's next record, or -1 when the game has
     * changed otherwise.  Then the call is made anew.  NULL: its targets
     * always hold.
     */
    void                        (*missed)(ngx_http_loyalty_rule_t *rule,
                                    int64_t seq);
};


/* src/games/ngx_http_loyalty_games.c: the one table, NULL at the end */
extern ngx_http_loyalty_game_t   *ngx_http_loyalty_games[];


/* a $variable that a rule names */

typedef struct {
    ngx_str_t                     name;
    ngx_int_t                     index;
    ngx_http_loyalty_rule_t      *rule;
    ngx_http_loyalty_place_t      place;
} ngx_http_loyalty_variable_t;


struct ngx_http_loyalty_program_s {
    ngx_str_t                     name;
    ngx_http_loyalty_place_t      place;
    u_char                        hash[NGX_HTTP_LOYALTY_HASH];
    ngx_uint_t                    index;          /* among all programs */

    ngx_uint_t                    scale;          /* of money */
    ngx_str_t                     currency;
    loyalty_zone_t               *zone;
    ngx_str_t                     timezone;
    int64_t                       max_event_age;  /* ms */
    int64_t                       remember;       /* ms */
    ngx_http_loyalty_place_t      remember_place;
    int64_t                       feed_max;
    ngx_flag_t                    idempotency_optional;
    ngx_uint_t                    split;          /* no call to Redis has keys
                                                     of two slots */

    ngx_array_t                   wallets;        /* of _wallet_t */
    ngx_array_t                   tiers;          /* of _tier_t, ascending */
    ngx_array_t                   rules;          /* of _rule_t *, in order:
                                                     earn, challenges,
                                                     streaks */
    ngx_array_t                   targets;        /* of _rule_t *: games with
                                                     a slot of their own that
                                                     awards of events reach */
    ngx_array_t                   pools;          /* of _pool_t * */
    ngx_str_t                     dump;           /* in JSON, for
                                                     loyalty-check */
    ngx_array_t                   variables;      /* of _variable_t */
    ngx_array_t                   types;          /* private to program/ */
    ngx_str_t                     constants;      /* msgpack, internals.md */
    ngx_str_t                     tags[LOYALTY_PARTITIONS]; /* "{shop:0.3}" */
    void                         *index_conf;     /* private to index.c:
                                                     type -> listeners */
    void                         *regexes;        /* private to regex.c */
    ngx_http_loyalty_redis_t     *redis;          /* redis/ */
    ngx_http_loyalty_beacon_t    *beacon;         /* http/, or NULL */
    ngx_http_loyalty_authority_t *timestamp;      /* http/, or NULL */
    ngx_http_loyalty_draws_t     *draws;          /* draws/: secrets and
                                                     campaigns, or NULL */
    ngx_http_loyalty_stats_t     *stats;          /* http/: counters in shared
                                                     memory, or NULL */
    ngx_http_loyalty_observing_t *observing;      /* http/: what has been
                                                     observed, or NULL */
};


/* cf->ctx inside loyalty_program and the blocks in it */

typedef struct {
    void                        **confs;          /* always NULL: nginx looks
                                                     for it at offset 0 */
    ngx_http_loyalty_program_t   *program;
    ngx_http_loyalty_rule_t      *rule;           /* in a game's block */
    void                         *http_ctx;       /* cf->ctx of http {} */
} ngx_http_loyalty_block_t;


/* ---- for games/: parsing ---- */

/* a new rule of this program; game, order, place and arrays are set */
ngx_http_loyalty_rule_t *ngx_http_loyalty_rule_add(ngx_conf_t *cf,
    ngx_http_loyalty_game_t *game, ngx_str_t *name);

/* a listener of the rule for an event type; checks the type's form */
ngx_http_loyalty_listener_t *ngx_http_loyalty_listener_add(ngx_conf_t *cf,
    ngx_http_loyalty_rule_t *rule, ngx_str_t *type, ngx_uint_t role);

/*
 * One match line from args[0 .. n-1] = FIELD op VALUE...; logs its own
 * error and returns NGX_ERROR.  Inline forms ("opens_on X match a = b match
 * c = d") split at the word "match" first: _inline does so, args[0] being
 * the first "match".
 */
ngx_int_t ngx_http_loyalty_match_add(ngx_conf_t *cf,
    ngx_http_loyalty_listener_t *listener, ngx_str_t *args, ngx_uint_t n);
ngx_int_t ngx_http_loyalty_match_inline(ngx_conf_t *cf,
    ngx_http_loyalty_listener_t *listener, ngx_str_t *args, ngx_uint_t n);

/* a listener that is no rule's: its lines are for whoever asks */
ngx_int_t ngx_http_loyalty_listener_init(ngx_conf_t *cf,
    ngx_http_loyalty_listener_t *listener, ngx_http_loyalty_rule_t *rule);

/* at the end of the program: values that depend on its money */
ngx_int_t ngx_http_loyalty_match_resolve(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_listener_t *listener);

/*
 * Whether a listener hears the event.  items: bit i for item i when it does;
 * all of the event's items where no line names one.
 */
ngx_uint_t ngx_http_loyalty_match_event(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_listener_t *listener, ngx_http_loyalty_event_t *event,
    uint64_t items[2]);

/* the lines of a listener as canonical text, appended to what dst holds */
ngx_int_t ngx_http_loyalty_match_text(ngx_pool_t *pool,
    ngx_http_loyalty_listener_t *listener, ngx_str_t *dst);

/*
 * A FIELD that goal distinct or the match lines name, resolved for reading.
 * NGX_OK, or NGX_DECLINED when the event does not have it; value lives as
 * long as the event and buf, which has NGX_HTTP_LOYALTY_DIGITS bytes.  For
 * item fields item is the item.
 */

#define NGX_HTTP_LOYALTY_DIGITS      64              /* a number as text */

typedef struct {
    ngx_str_t                     name;
    unsigned                      item:1;
    ngx_uint_t                    which;          /* private to match.c */
    ngx_int_t                     variable;
} ngx_http_loyalty_field_t;

ngx_int_t ngx_http_loyalty_field_parse(ngx_conf_t *cf, ngx_str_t *name,
    ngx_http_loyalty_field_t *field);
ngx_int_t ngx_http_loyalty_field_value(ngx_http_loyalty_field_t *field,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_event_t *event,
    ngx_http_loyalty_item_t *item, u_char *buf, ngx_str_t *value);

/*
 * "award points 50" and, with periodic set, " at=3" or " every=30":
 * appends to rule->awards; args[0] is the word after "award".  The wallet is
 * looked up by _awards_resolve, from the game's init.
 */
ngx_int_t ngx_http_loyalty_award_add(ngx_conf_t *cf,
    ngx_http_loyalty_rule_t *rule, ngx_str_t *args, ngx_uint_t n,
    ngx_uint_t periodic);
ngx_int_t ngx_http_loyalty_awards_resolve(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule);

/*
 * The same for awards that are not the rule's own array (a prize's, a
 * price): one award from args[0 .. n-1], and its name.  The rule gets the
 * targets.
 */
ngx_int_t ngx_http_loyalty_award_parse(ngx_conf_t *cf, const char *what,
    ngx_str_t *args, ngx_uint_t n, ngx_http_loyalty_award_t *award);
ngx_int_t ngx_http_loyalty_award_resolve(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule,
    ngx_http_loyalty_award_t *award);

ngx_http_loyalty_wallet_t *ngx_http_loyalty_wallet(
    ngx_http_loyalty_program_t *program, ngx_str_t *name);

/* a pool by name, which a "codes" directive makes; it logs its own errors */
ngx_http_loyalty_pool_t *ngx_http_loyalty_pool_add(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_str_t *name);
/* NULL: no reward and no prize has codes of it */
ngx_http_loyalty_pool_t *ngx_http_loyalty_pool(
    ngx_http_loyalty_program_t *program, ngx_str_t *name);
/* unused and all of each pool, at most max; how many keys */
ngx_uint_t ngx_http_loyalty_pool_keys(ngx_http_loyalty_program_t *program,
    ngx_str_t *keys, ngx_uint_t max);

/* "name" of games, wallets, tiers, programs: [A-Za-z0-9_-]{1,64}, first a
   letter or digit; logs "invalid ... name" and returns NGX_ERROR */
ngx_int_t ngx_http_loyalty_name_check(ngx_conf_t *cf, const char *what,
    ngx_str_t *name);

/* the form of an event's type; logs and returns NGX_ERROR */
ngx_int_t ngx_http_loyalty_type_check(ngx_conf_t *cf, ngx_str_t *type);

/* a whole number from min to max; logs and returns NGX_ERROR */
ngx_int_t ngx_http_loyalty_number(ngx_conf_t *cf, const char *what,
    ngx_str_t *value, int64_t min, int64_t max, int64_t *number);

/* a time as nginx writes it ("7d", "1h 30m"), 1s to 100y, in ms; logs */
ngx_int_t ngx_http_loyalty_duration(ngx_conf_t *cf, const char *what,
    ngx_str_t *value, int64_t *ms);

/* of a parameter "timeout=TIME", 1ms to 1m; logs */
ngx_int_t ngx_http_loyalty_timeout(ngx_conf_t *cf, ngx_str_t *param,
    ngx_msec_t *ms);

/* for qsort() and bsearch() of ngx_str_t */
int ngx_libc_cdecl ngx_http_loyalty_text_cmp(const void *one,
    const void *two);

/* first 4 bytes of SHA-256 of text */
void ngx_http_loyalty_hash4(const u_char *text, size_t len, u_char *hash);

/* [emerg] with the place's file and line, for errors found at the end */
void ngx_http_loyalty_conf_error(ngx_conf_t *cf,
    ngx_http_loyalty_place_t *place, const char *fmt, ...);

/* the indices (from 1) of a hit's items as a msgpack array */
void ngx_http_loyalty_hit_items(ngx_http_loyalty_hit_t *hit,
    ngx_http_loyalty_event_t *event, loyalty_mpw_t *w);


/* ---- for http/ ---- */

/*
 * Names the file and line of a $variable that nothing defines.  From the
 * module's postconfiguration: nginx itself would refuse it a moment later,
 * without saying where it is.
 */
ngx_int_t ngx_http_loyalty_variables_check(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program);

/* whether anything defines the variable, when all of http {} is read */
ngx_uint_t ngx_http_loyalty_variable_known(ngx_conf_t *cf, ngx_str_t *name);

ngx_http_loyalty_rule_t *ngx_http_loyalty_rule_by_hash(
    ngx_http_loyalty_program_t *program, const u_char *hash);

/*
 * ARG of event_H into w (docs/internals.md): matches the event against the
 * rules of its type and lets each game write its arguments.  The keys of
 * the call become those of the member and of the games awarded.  *hits: the
 * number of rules matched.  NGX_ERROR: it does not fit.  NGX_AGAIN and
 * NGX_BUSY as of a target.
 */
ngx_int_t ngx_http_loyalty_event_arg(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_event_t *event, loyalty_mpw_t *w,
    ngx_http_loyalty_call_t *call, ngx_uint_t *hits);

/* the call's keys become the member's four */
void ngx_http_loyalty_call_member(ngx_http_loyalty_call_t *call,
    ngx_http_loyalty_program_t *program, ngx_str_t *member);

/* one more key: its index from 1, or NGX_ERROR when there is no room */
ngx_int_t ngx_http_loyalty_call_key(ngx_http_loyalty_call_t *call,
    const char *fmt, ...);

/* ... that of what members told before they were erased */
ngx_int_t ngx_http_loyalty_call_told(ngx_http_loyalty_call_t *call,
    ngx_http_loyalty_program_t *program);

/*
 * The targets of n rules as an array, or nil where there is none.  NGX_AGAIN
 * and NGX_BUSY as of a target.
 */
ngx_int_t ngx_http_loyalty_call_targets(ngx_http_loyalty_call_t *call,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t **rules,
    ngx_uint_t n, ngx_str_t *member, ngx_str_t *id, int64_t now,
    loyalty_mpw_t *w);

/* the targets of all rules of the program: what a reversal may reach */
ngx_int_t ngx_http_loyalty_call_all_targets(ngx_http_loyalty_call_t *call,
    ngx_http_loyalty_program_t *program, ngx_str_t *member, ngx_str_t *id,
    int64_t now, loyalty_mpw_t *w);

/* NGX_OK: Redis says that a target did not hold, the game has been told, and
   the call is to be made anew */
ngx_int_t ngx_http_loyalty_call_missed(ngx_http_loyalty_program_t *program,
    ngx_str_t *value);

/* ms since 1970, as the event loop knows it */
int64_t ngx_http_loyalty_now(void);

/*
 * The four keys of a member, in the order of docs/internals.md; buf has
 * NGX_HTTP_LOYALTY_KEYS bytes.  Returns the partition.
 */
#define NGX_HTTP_LOYALTY_KEYS  (4 * (96 + 16 + NGX_HTTP_LOYALTY_ID))

ngx_uint_t ngx_http_loyalty_keys(ngx_http_loyalty_program_t *program,
    ngx_str_t *member, u_char *buf, ngx_str_t keys[4]);


/* names of everything hashed: pairs (8 hex digits, words) for {PROGRAM}:names,
   and last ("conf", the program's dump); an array of ngx_str_t, even length */
ngx_array_t *ngx_http_loyalty_names(ngx_pool_t *pool,
    ngx_http_loyalty_program_t *program);


#endif /* _NGX_HTTP_LOYALTY_PROGRAM_H_INCLUDED_ */
