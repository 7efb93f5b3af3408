/*
 * What the rooms in games/ share: the directives their blocks have in
 * common, canonical text, and reading what Lua packed.  A game includes this
 * and nothing of another game.
 */

#ifndef _NGX_HTTP_LOYALTY_GAMES_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_GAMES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_program.h"


/* entries of a record, docs/internals.md */

#define NGX_HTTP_LOYALTY_ENTRY_POINTS     1
#define NGX_HTTP_LOYALTY_ENTRY_ITEMS      2
#define NGX_HTTP_LOYALTY_ENTRY_PROGRESS   3
#define NGX_HTTP_LOYALTY_ENTRY_AFTER      4
#define NGX_HTTP_LOYALTY_ENTRY_DISTINCT   5
#define NGX_HTTP_LOYALTY_ENTRY_DAFTER     6
#define NGX_HTTP_LOYALTY_ENTRY_STREAK     7
#define NGX_HTTP_LOYALTY_ENTRY_BROKEN     8
#define NGX_HTTP_LOYALTY_ENTRY_SILENT     9
#define NGX_HTTP_LOYALTY_ENTRY_OPENED    12
#define NGX_HTTP_LOYALTY_ENTRY_PLAY      14
#define NGX_HTTP_LOYALTY_ENTRY_TICKETS   15
#define NGX_HTTP_LOYALTY_ENTRY_VOID      16
#define NGX_HTTP_LOYALTY_ENTRY_PLAYS     17
#define NGX_HTTP_LOYALTY_ENTRY_REWARD    18
#define NGX_HTTP_LOYALTY_ENTRY_BADGE     19
#define NGX_HTTP_LOYALTY_ENTRY_REFUSED   21


/*
 * The configuration of a game with a block begins with this, so that the
 * directives all blocks have are handled once.
 */

typedef struct {
    ngx_uint_t                    unit;           /* of "every", 0: none */
    int32_t                       day_starts;     /* seconds, -1: not said */
    ngx_http_loyalty_place_t      day_place;
} ngx_http_loyalty_games_conf_t;


extern ngx_module_t  ngx_http_loyalty_earn_module;
extern ngx_module_t  ngx_http_loyalty_challenge_module;
extern ngx_module_t  ngx_http_loyalty_streak_module;
extern ngx_module_t  ngx_http_loyalty_instant_win_module;
extern ngx_module_t  ngx_http_loyalty_badge_module;
extern ngx_module_t  ngx_http_loyalty_reward_module;
extern ngx_module_t  ngx_http_loyalty_sweepstakes_module;

extern ngx_http_loyalty_game_t  ngx_http_loyalty_earn_game;
extern ngx_http_loyalty_game_t  ngx_http_loyalty_challenge_game;
extern ngx_http_loyalty_game_t  ngx_http_loyalty_streak_game;
extern ngx_http_loyalty_game_t  ngx_http_loyalty_instant_win_game;
extern ngx_http_loyalty_game_t  ngx_http_loyalty_badge_game;
extern ngx_http_loyalty_game_t  ngx_http_loyalty_reward_game;
extern ngx_http_loyalty_game_t  ngx_http_loyalty_sweepstakes_game;


/*
 * Opens the block of a new rule: checks and takes its name (the directive's
 * first argument), parses the block with directives of type cmd_type.
 * conf becomes rule->conf.
 */
char *ngx_http_loyalty_games_block(ngx_conf_t *cf,
    ngx_http_loyalty_game_t *game, ngx_uint_t cmd_type,
    ngx_http_loyalty_games_conf_t *conf, ngx_http_loyalty_rule_t **rule);

/* handlers of "on", "match", "every", "day_starts" in such a block */
char *ngx_http_loyalty_games_on(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_games_match(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_games_every(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_games_day_starts(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* of "award"; cmd->offset 1: it takes at= or every= */
char *ngx_http_loyalty_games_award(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* the listener that counts (on) or opens (opens_on); NULL: not written */
ngx_http_loyalty_listener_t *ngx_http_loyalty_games_listener(
    ngx_http_loyalty_rule_t *rule, ngx_uint_t role);

/* file and line of the directive that is being read */
void ngx_http_loyalty_games_place(ngx_conf_t *cf,
    ngx_http_loyalty_place_t *place);


/* appends " WORD VALUE" (a space only between), value may be NULL */
ngx_int_t ngx_http_loyalty_games_word(ngx_pool_t *pool, ngx_str_t *text,
    const char *word, ngx_str_t *value);
ngx_int_t ngx_http_loyalty_games_word_int(ngx_pool_t *pool, ngx_str_t *text,
    const char *word, int64_t value);
/* " on TYPE" and the listener's match lines */
ngx_int_t ngx_http_loyalty_games_word_on(ngx_pool_t *pool, ngx_str_t *text,
    const char *word, ngx_http_loyalty_listener_t *listener);
/* " every UNIT" and " day_starts SECONDS" */
ngx_int_t ngx_http_loyalty_games_word_every(ngx_pool_t *pool,
    ngx_str_t *text, ngx_http_loyalty_games_conf_t *conf);

/* a finished msgpack buffer as rule->blob */
ngx_int_t ngx_http_loyalty_games_blob(ngx_conf_t *cf,
    ngx_http_loyalty_rule_t *rule, loyalty_mpw_t *w);


/*
 * The items a rule counts: those of the hit; with priced set, only those of
 * them that have an amount.  Sets counted to a hit with these items and
 * returns how many they are.
 */
ngx_uint_t ngx_http_loyalty_games_items(ngx_http_loyalty_hit_t *hit,
    ngx_http_loyalty_event_t *event, ngx_uint_t priced,
    ngx_http_loyalty_hit_t *counted);

/* the head of a slot's state; n is 0 when the member has none */
ngx_int_t ngx_http_loyalty_games_state(loyalty_mpr_t *state, uint32_t *n);
/* n values of a record */
ngx_int_t ngx_http_loyalty_games_skip(loyalty_mpr_t *r, int64_t n);

/* {"wallet":"points","amount":50}, or of the other kinds "sweepstakes" and
   "tickets", "game" and "plays", "badge", "reward" */
void ngx_http_loyalty_games_award_json(ngx_http_loyalty_award_t *award,
    loyalty_out_t *out);

/* [{"wallet":"points","amount":50},...] of those awards that fall due at
   this length (streaks); the array is never empty */
void ngx_http_loyalty_games_awards_json(ngx_array_t *awards, int64_t at,
    loyalty_out_t *out);

/* the first instant of a period of the rule's unit, as JSON */
void ngx_http_loyalty_games_start_json(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_games_conf_t *conf, int64_t period,
    loyalty_out_t *out);
/* "2026-W47" */
void ngx_http_loyalty_games_period_json(ngx_uint_t unit, int64_t period,
    loyalty_out_t *out);
/* the period that holds the instant */
int64_t ngx_http_loyalty_games_period(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_games_conf_t *conf, int64_t at);


#endif /* _NGX_HTTP_LOYALTY_GAMES_H_INCLUDED_ */
