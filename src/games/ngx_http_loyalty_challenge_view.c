/*
 * A challenge as the member sees it: the instances that are open now, read
 * from the slot's state (docs/internals.md), as JSON.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_challenge.h"


/* one instance; goal is the one it was completed with, 0 while open */

typedef struct {
    int64_t                        id;
    int64_t                        opens;         /* ms, -1: not said */
    int64_t                        progress;
    int64_t                        goal;
} ngx_http_loyalty_challenge_instance_t;


typedef struct {
    ngx_http_loyalty_program_t    *program;
    ngx_http_loyalty_rule_t       *rule;
    int64_t                        now;
    loyalty_out_t                 *out;
    ngx_uint_t                    *n;
    ngx_uint_t                     brief;         /* not JSON, one of them */
} ngx_http_loyalty_challenge_view_t;


static ngx_int_t ngx_http_loyalty_challenge_view_state(
    ngx_http_loyalty_challenge_view_t *view, loyalty_mpr_t *state);
static ngx_int_t ngx_http_loyalty_challenge_view_every(
    ngx_http_loyalty_challenge_view_t *view, loyalty_mpr_t *r,
    uint32_t left);
static ngx_int_t ngx_http_loyalty_challenge_view_windows(
    ngx_http_loyalty_challenge_view_t *view, loyalty_mpr_t *r,
    uint32_t left);
static ngx_int_t ngx_http_loyalty_challenge_read(loyalty_mpr_t *r,
    ngx_http_loyalty_challenge_instance_t *inst);
static void ngx_http_loyalty_challenge_write(
    ngx_http_loyalty_challenge_view_t *view,
    ngx_http_loyalty_challenge_instance_t *inst);
static void ngx_http_loyalty_challenge_brief(
    ngx_http_loyalty_challenge_view_t *view, int64_t progress, int64_t goal);


void
ngx_http_loyalty_challenge_number(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_challenge_conf_t *ccf, int64_t n, loyalty_out_t *out)
{
    if (ccf != NULL && ngx_http_loyalty_challenge_is_amount(ccf)) {
        loyalty_out_money(out, n, program->scale);
        return;
    }

    loyalty_out_int(out, n);
}


void
ngx_http_loyalty_challenge_instance(ngx_http_loyalty_challenge_conf_t *ccf,
    int64_t instance, loyalty_out_t *out)
{
    if (ccf != NULL && ccf->shape == NGX_HTTP_LOYALTY_SHAPE_EVERY) {
        loyalty_out_lit(out, ",\"instance\":");
        ngx_http_loyalty_games_period_json(ccf->common.unit, instance, out);
        return;
    }

    if (instance != 0) {
        loyalty_out_lit(out, ",\"instance\":\"");
        loyalty_out_int(out, instance);
        loyalty_out_lit(out, "\"");
    }
}


ngx_int_t
ngx_http_loyalty_challenge_view(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, loyalty_head_t *head,
    loyalty_mpr_t *state, int64_t now, loyalty_out_t *out, ngx_uint_t *n)
{
    ngx_http_loyalty_challenge_view_t  view;

    view.program = program;
    view.rule = rule;
    view.now = now;
    view.out = out;
    view.n = n;
    view.brief = 0;

    return ngx_http_loyalty_challenge_view_state(&view, state);
}


/* "3/5"; of several windows the one that was opened first, of none nothing */

ngx_int_t
ngx_http_loyalty_challenge_text(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, loyalty_mpr_t *state, int64_t now,
    loyalty_out_t *out)
{
    ngx_uint_t                         n;
    ngx_http_loyalty_challenge_view_t  view;

    n = 0;

    view.program = program;
    view.rule = rule;
    view.now = now;
    view.out = out;
    view.n = &n;
    view.brief = 1;

    return ngx_http_loyalty_challenge_view_state(&view, state);
}


static ngx_int_t
ngx_http_loyalty_challenge_view_state(
    ngx_http_loyalty_challenge_view_t *view, loyalty_mpr_t *state)
{
    int64_t                                 form;
    uint32_t                                left;
    ngx_http_loyalty_challenge_conf_t      *ccf;
    ngx_http_loyalty_challenge_instance_t   inst;

    ccf = view->rule->conf;

    if (ngx_http_loyalty_games_state(state, &left) != NGX_OK) {
        return NGX_ERROR;
    }

    if (left != 0) {
        if (loyalty_mpr_int(state, &form) != 0
            || form != (int64_t) (ccf->shape * 8 + ccf->mode))
        {
            return NGX_ERROR;
        }

        left--;
    }

    switch (ccf->shape) {

    case NGX_HTTP_LOYALTY_SHAPE_ONCE:
        ngx_memzero(&inst, sizeof(inst));
        inst.opens = -1;

        if (left != 0
            && ngx_http_loyalty_challenge_read(state, &inst) != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_http_loyalty_challenge_write(view, &inst);

        return NGX_OK;

    case NGX_HTTP_LOYALTY_SHAPE_EVERY:
        return ngx_http_loyalty_challenge_view_every(view, state, left);

    default:
        return ngx_http_loyalty_challenge_view_windows(view, state, left);
    }
}


static ngx_int_t
ngx_http_loyalty_challenge_view_every(
    ngx_http_loyalty_challenge_view_t *view, loyalty_mpr_t *r, uint32_t left)
{
    ngx_http_loyalty_challenge_conf_t      *ccf;
    ngx_http_loyalty_challenge_instance_t   inst, current;

    ccf = view->rule->conf;

    ngx_memzero(&current, sizeof(current));
    current.id = ngx_http_loyalty_games_period(view->program, &ccf->common,
                                               view->now);
    current.opens = -1;
    inst.opens = -1;

    for ( /* void */ ; left >= 2; left -= 2) {

        if (loyalty_mpr_int(r, &inst.id) != 0
            || ngx_http_loyalty_challenge_read(r, &inst) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (inst.id == current.id) {
            current = inst;
        }
    }

    ngx_http_loyalty_challenge_write(view, &current);

    return NGX_OK;
}


/*
 * window: the one that runs, or an empty one.  opens_on: all that run, one
 * after the other in the order in which they were opened.
 */

static ngx_int_t
ngx_http_loyalty_challenge_view_windows(
    ngx_http_loyalty_challenge_view_t *view, loyalty_mpr_t *r, uint32_t left)
{
    int64_t                                 next;
    ngx_uint_t                              several;
    ngx_http_loyalty_challenge_conf_t      *ccf;
    ngx_http_loyalty_challenge_instance_t   inst, running;

    ccf = view->rule->conf;
    several = (ccf->shape == NGX_HTTP_LOYALTY_SHAPE_OPENS);

    ngx_memzero(&running, sizeof(running));
    running.opens = -1;

    if (left != 0 && loyalty_mpr_int(r, &next) != 0) {
        return NGX_ERROR;
    }

    for ( /* void */ ; left >= 4; left -= 3) {

        if (loyalty_mpr_int(r, &inst.id) != 0
            || loyalty_mpr_int(r, &inst.opens) != 0
            || ngx_http_loyalty_challenge_read(r, &inst) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (inst.goal != 0 || view->now >= inst.opens + ccf->window) {
            continue;
        }

        if (several) {
            ngx_http_loyalty_challenge_write(view, &inst);

        } else if (inst.id > running.id) {
            running = inst;
        }
    }

    if (!several) {
        ngx_http_loyalty_challenge_write(view, &running);
    }

    return NGX_OK;
}


/* an entry: a number, or [progress, goal, paid, values] */

static ngx_int_t
ngx_http_loyalty_challenge_read(loyalty_mpr_t *r,
    ngx_http_loyalty_challenge_instance_t *inst)
{
    loyalty_mpv_t  v;

    if (loyalty_mpr_next(r, &v) != 0) {
        return NGX_ERROR;
    }

    inst->goal = 0;

    if (v.type == LOYALTY_MP_INT) {
        inst->progress = v.i;
        return NGX_OK;
    }

    if (v.type != LOYALTY_MP_ARRAY || v.n == 0
        || loyalty_mpr_int(r, &inst->progress) != 0)
    {
        return NGX_ERROR;
    }

    if (v.n > 1 && loyalty_mpr_int(r, &inst->goal) != 0) {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_games_skip(r, (int64_t) v.n - 2);
}


static void
ngx_http_loyalty_challenge_write(ngx_http_loyalty_challenge_view_t *view,
    ngx_http_loyalty_challenge_instance_t *inst)
{
    int64_t                             goal, progress;
    loyalty_out_t                      *out;
    ngx_http_loyalty_challenge_conf_t  *ccf;

    ccf = view->rule->conf;
    out = view->out;

    /* a completed one keeps the goal it was completed with */

    goal = (inst->goal != 0) ? inst->goal : ccf->goal;
    progress = ngx_min(inst->progress, goal);

    if (view->brief) {
        ngx_http_loyalty_challenge_brief(view, progress, goal);
        return;
    }

    if ((*view->n)++ > 0) {
        loyalty_out_lit(out, ",");
    }

    loyalty_out_lit(out, "{\"name\":");
    loyalty_out_str(out, view->rule->name.data, view->rule->name.len);
    loyalty_out_lit(out, ",\"progress\":");
    ngx_http_loyalty_challenge_number(view->program, ccf, progress, out);
    loyalty_out_lit(out, ",\"goal\":");
    ngx_http_loyalty_challenge_number(view->program, ccf, goal, out);
    loyalty_out_lit(out, ",\"missing\":");
    ngx_http_loyalty_challenge_number(view->program, ccf, goal - progress,
                                      out);

    if (inst->goal != 0) {
        loyalty_out_lit(out, ",\"completed\":true");
    } else {
        loyalty_out_lit(out, ",\"completed\":false");
    }

    ngx_http_loyalty_challenge_instance(ccf, inst->id, out);

    if (ccf->shape == NGX_HTTP_LOYALTY_SHAPE_EVERY) {
        loyalty_out_lit(out, ",\"ends\":");
        ngx_http_loyalty_games_start_json(view->program, &ccf->common,
                                          inst->id + 1, out);

    } else if (inst->opens >= 0) {
        loyalty_out_lit(out, ",\"opens\":");
        loyalty_out_time(out, inst->opens);
        loyalty_out_lit(out, ",\"ends\":");
        loyalty_out_time(out, inst->opens + ccf->window);
    }

    loyalty_out_lit(out, "}");
}


static void
ngx_http_loyalty_challenge_brief(ngx_http_loyalty_challenge_view_t *view,
    int64_t progress, int64_t goal)
{
    size_t                              n;
    u_char                              buf[LOYALTY_MONEY_LEN];
    loyalty_out_t                      *out;
    ngx_http_loyalty_challenge_conf_t  *ccf;

    if ((*view->n)++ > 0) {
        return;
    }

    ccf = view->rule->conf;
    out = view->out;

    if (!ngx_http_loyalty_challenge_is_amount(ccf)) {
        loyalty_out_int(out, progress);
        loyalty_out_lit(out, "/");
        loyalty_out_int(out, goal);

        return;
    }

    n = loyalty_money_format(buf, progress, view->program->scale);
    loyalty_out_raw(out, buf, n);
    loyalty_out_lit(out, "/");

    n = loyalty_money_format(buf, goal, view->program->scale);
    loyalty_out_raw(out, buf, n);
}
