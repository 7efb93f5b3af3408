/*
 * A streak as the member sees it.  No event has told whether the run still
 * stands today: that is answered here from the map of the latest periods and
 * the freezes held, as streak.lua does when the next event comes.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_streak.h"


#define NGX_HTTP_LOYALTY_MAP  64                  /* periods in the map */


/* the numbers in front of a state, in their order; what is left out is 0 */

typedef enum {
    NGX_HTTP_LOYALTY_STREAK_TOP = 0,
    NGX_HTTP_LOYALTY_STREAK_LO,
    NGX_HTTP_LOYALTY_STREAK_BEST,
    NGX_HTTP_LOYALTY_STREAK_TOTAL,
    NGX_HTTP_LOYALTY_STREAK_BELOW,
    NGX_HTTP_LOYALTY_STREAK_HI,
    NGX_HTTP_LOYALTY_STREAK_CARRY,
    NGX_HTTP_LOYALTY_STREAK_FROZEN_LO,
    NGX_HTTP_LOYALTY_STREAK_FROZEN_HI,
    NGX_HTTP_LOYALTY_STREAK_HELD,
    NGX_HTTP_LOYALTY_STREAK_NUMBERS
} ngx_http_loyalty_streak_number_e;


/* a streak today */

typedef struct {
    ngx_str_t                      state;
    int64_t                        length;
    int64_t                        paid;          /* length at the last event */
    int64_t                        best;
    int64_t                        freezes;
    int64_t                        last_length;
    int64_t                        ends;          /* period, 0: none */
} ngx_http_loyalty_streak_today_t;


static ngx_int_t ngx_http_loyalty_streak_now(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_streak_conf_t *scf,
    loyalty_mpr_t *state, int64_t now,
    ngx_http_loyalty_streak_today_t *today);
static ngx_int_t ngx_http_loyalty_streak_read(loyalty_mpr_t *r,
    int64_t *numbers);
static void ngx_http_loyalty_streak_today(
    ngx_http_loyalty_streak_conf_t *scf, int64_t *numbers, int64_t period,
    ngx_http_loyalty_streak_today_t *today);
static int64_t ngx_http_loyalty_streak_run(int64_t *numbers, int64_t *last);
static uint64_t ngx_http_loyalty_streak_bits(int64_t lo, int64_t hi);
static void ngx_http_loyalty_streak_next(ngx_http_loyalty_rule_t *rule,
    int64_t length, loyalty_out_t *out);


ngx_int_t
ngx_http_loyalty_streak_view(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, loyalty_head_t *head,
    loyalty_mpr_t *state, int64_t now, loyalty_out_t *out, ngx_uint_t *n)
{
    ngx_http_loyalty_streak_conf_t  *scf;
    ngx_http_loyalty_streak_today_t  today;

    scf = rule->conf;

    if (ngx_http_loyalty_streak_now(program, scf, state, now, &today)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if ((*n)++ > 0) {
        loyalty_out_lit(out, ",");
    }

    loyalty_out_lit(out, "{\"name\":");
    loyalty_out_str(out, rule->name.data, rule->name.len);
    loyalty_out_lit(out, ",\"length\":");
    loyalty_out_int(out, today.length);
    loyalty_out_lit(out, ",\"best\":");
    loyalty_out_int(out, today.best);
    loyalty_out_lit(out, ",\"state\":");
    loyalty_out_str(out, today.state.data, today.state.len);
    loyalty_out_lit(out, ",\"freezes\":");
    loyalty_out_int(out, today.freezes);
    loyalty_out_lit(out, ",\"last_length\":");
    loyalty_out_int(out, today.last_length);

    if (today.ends != 0) {
        loyalty_out_lit(out, ",\"ends\":");
        ngx_http_loyalty_games_start_json(program, &scf->common, today.ends,
                                          out);
    }

    ngx_http_loyalty_streak_next(rule, today.paid, out);

    loyalty_out_lit(out, "}");

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_streak_value(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, loyalty_mpr_t *state, int64_t now,
    loyalty_out_t *out)
{
    ngx_http_loyalty_streak_today_t  today;

    if (ngx_http_loyalty_streak_now(program, rule->conf, state, now, &today)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    loyalty_out_int(out, today.length);

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_streak_now(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_streak_conf_t *scf, loyalty_mpr_t *state, int64_t now,
    ngx_http_loyalty_streak_today_t *today)
{
    int64_t  period, numbers[NGX_HTTP_LOYALTY_STREAK_NUMBERS];

    ngx_memzero(numbers, sizeof(numbers));

    if (ngx_http_loyalty_streak_read(state, numbers) != NGX_OK) {
        return NGX_ERROR;
    }

    period = ngx_http_loyalty_games_period(program, &scf->common, now);
    ngx_http_loyalty_streak_today(scf, numbers, period, today);

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_streak_read(loyalty_mpr_t *r, int64_t *numbers)
{
    uint32_t  i, n;

    if (ngx_http_loyalty_games_state(r, &n) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {

        if (i >= NGX_HTTP_LOYALTY_STREAK_NUMBERS) {
            return ngx_http_loyalty_games_skip(r, n - i);
        }

        if (loyalty_mpr_int(r, &numbers[i]) != 0) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * The periods missed since the last event cost a freeze each, the oldest
 * first; when they run out the streak is broken, and those it froze count
 * in its length.  The period that runs is not missed yet.
 */

static void
ngx_http_loyalty_streak_today(ngx_http_loyalty_streak_conf_t *scf,
    int64_t *numbers, int64_t period, ngx_http_loyalty_streak_today_t *today)
{
    int64_t  held, missed, last, run;

    ngx_memzero(today, sizeof(ngx_http_loyalty_streak_today_t));

    held = numbers[NGX_HTTP_LOYALTY_STREAK_HELD] - 1;

    if (held < 0 || (scf->freezes == 0 && scf->earn_every == 0)) {
        held = scf->freezes;

    } else if (held > scf->max) {
        held = scf->max;
    }

    if (numbers[NGX_HTTP_LOYALTY_STREAK_TOTAL] <= 0) {
        ngx_str_set(&today->state, "none");
        today->freezes = held;
        return;
    }

    run = ngx_http_loyalty_streak_run(numbers, &last);
    missed = ngx_max(period - last - 1, 0);

    today->best = numbers[NGX_HTTP_LOYALTY_STREAK_BEST];

    if (run == 0 || missed > held) {
        ngx_str_set(&today->state, "broken");
        today->freezes = (run == 0) ? held : 0;
        today->last_length = (run == 0) ? 0 : run + held;
        today->best = ngx_max(today->best, today->last_length);
        return;
    }

    if (period > last) {
        ngx_str_set(&today->state, "at_risk");
    } else {
        ngx_str_set(&today->state, "active");
    }

    today->length = run + missed;
    today->last_length = today->length;
    today->paid = run;
    today->freezes = held - missed;
    today->best = ngx_max(today->best, today->length);
    today->ends = last + 2 + held;
}


/*
 * The length of the newest run and its last period.  0: a reversal took what
 * the map had, and below it no run goes on.
 */

static int64_t
ngx_http_loyalty_streak_run(int64_t *numbers, int64_t *last)
{
    int64_t     carry, length;
    uint64_t    map;
    ngx_uint_t  i;

    map = ngx_http_loyalty_streak_bits(numbers[NGX_HTTP_LOYALTY_STREAK_LO],
                                       numbers[NGX_HTTP_LOYALTY_STREAK_HI])
          | ngx_http_loyalty_streak_bits(
                                numbers[NGX_HTTP_LOYALTY_STREAK_FROZEN_LO],
                                numbers[NGX_HTTP_LOYALTY_STREAK_FROZEN_HI]);
    carry = numbers[NGX_HTTP_LOYALTY_STREAK_CARRY];
    *last = numbers[NGX_HTTP_LOYALTY_STREAK_TOP];

    if (map == 0) {
        *last -= NGX_HTTP_LOYALTY_MAP;
        return carry;
    }

    for (i = 0; !(map >> i & 1); i++) {
        (*last)--;
    }

    for (length = 0; i < NGX_HTTP_LOYALTY_MAP && map >> i & 1; i++) {
        length++;
    }

    return (i == NGX_HTTP_LOYALTY_MAP) ? length + carry : length;
}


static uint64_t
ngx_http_loyalty_streak_bits(int64_t lo, int64_t hi)
{
    return (uint64_t) (uint32_t) lo | (uint64_t) (uint32_t) hi << 32;
}


/* the lowest length over this one that has an award */

static void
ngx_http_loyalty_streak_next(ngx_http_loyalty_rule_t *rule, int64_t length,
    loyalty_out_t *out)
{
    int64_t                    at, next;
    ngx_uint_t                 i;
    ngx_http_loyalty_award_t  *award;

    award = rule->awards.elts;
    next = 0;

    for (i = 0; i < rule->awards.nelts; i++) {

        at = award[i].at;

        if (award[i].every != 0) {
            at = (length / award[i].every + 1) * award[i].every;
        }

        if (at > length && (next == 0 || at < next)) {
            next = at;
        }
    }

    if (next == 0) {
        return;
    }

    loyalty_out_lit(out, ",\"next_award\":{\"at\":");
    loyalty_out_int(out, next);
    loyalty_out_lit(out, ",\"award\":");
    ngx_http_loyalty_games_awards_json(&rule->awards, next, out);
    loyalty_out_lit(out, "}");
}
