/*
 * A step: one event or reversal that Redis decides at once, and the reply
 * that says everything that changed.
 */

#include "ngx_http_loyalty_access.h"
#include "ngx_http_loyalty_event.h"


#define NGX_HTTP_LOYALTY_STEP_TRIES  3
#define NGX_HTTP_LOYALTY_STEP_PAUSE  20           /* ms */
#define NGX_HTTP_LOYALTY_STEP_WAITS  50


static ngx_int_t ngx_http_loyalty_step_send(ngx_http_loyalty_step_t *step,
    ngx_http_loyalty_fault_t *fault);
static ngx_int_t ngx_http_loyalty_step_send_event(
    ngx_http_loyalty_step_t *step, ngx_http_loyalty_fault_t *fault);
static ngx_int_t ngx_http_loyalty_step_send_reversal(
    ngx_http_loyalty_step_t *step, ngx_http_loyalty_fault_t *fault);
static ngx_int_t ngx_http_loyalty_step_wait(ngx_http_loyalty_step_t *step);
static void ngx_http_loyalty_step_waited(ngx_event_t *ev);
static ngx_int_t ngx_http_loyalty_step_unfit(ngx_int_t rc, const char *what,
    ngx_http_loyalty_fault_t *fault);
static void ngx_http_loyalty_step_signed(ngx_http_loyalty_step_t *step,
    ngx_http_loyalty_call_t *call, loyalty_mpw_t *w);
static ngx_int_t ngx_http_loyalty_step_call(ngx_http_loyalty_step_t *step,
    ngx_http_loyalty_fn_e fn, ngx_http_loyalty_scratch_t *scratch,
    loyalty_mpw_t *w, ngx_http_loyalty_fault_t *fault);
static void ngx_http_loyalty_step_answer(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_reversal_arg(
    ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_reversal_t *reversal, ngx_http_loyalty_call_t *call,
    loyalty_mpw_t *w);
static void ngx_http_loyalty_reversal_items(
    ngx_http_loyalty_reversal_t *reversal, loyalty_mpw_t *w);
static void ngx_http_loyalty_step_needle(loyalty_mpw_t *w, ngx_str_t *id);
static ngx_int_t ngx_http_loyalty_step_json(ngx_http_loyalty_step_t *step,
    ngx_str_t *value, ngx_uint_t batch, loyalty_out_t *out);
static void ngx_http_loyalty_step_count(ngx_http_loyalty_step_t *step,
    u_char letter, ngx_http_loyalty_record_t *record);
static void ngx_http_loyalty_step_refused(ngx_http_loyalty_step_t *step,
    ngx_str_t *value, ngx_http_loyalty_fault_t *fault);


/* what Redis says behind an "E" */

typedef struct {
    ngx_str_t                     code;
    ngx_http_loyalty_problem_e    problem;
    ngx_str_t                     detail;
} ngx_http_loyalty_step_error_t;

static const ngx_http_loyalty_step_error_t
    ngx_http_loyalty_step_errors[] =
{
    { ngx_string("event_conflict"), NGX_HTTP_LOYALTY_P_EVENT_CONFLICT,
      ngx_string("the member has an event or a reversal with this id and "
                 "other contents") },

    { ngx_string("told_before"), NGX_HTTP_LOYALTY_P_EVENT_CONFLICT,
      ngx_string("the member had this event or reversal before being "
                 "erased") },

    { ngx_string("unknown_event"), NGX_HTTP_LOYALTY_P_UNKNOWN_EVENT,
      ngx_string("the member has no event with this id that is still "
                 "remembered") },

    { ngx_string("over_reversal"), NGX_HTTP_LOYALTY_P_OVER_REVERSAL,
      ngx_string("less is left of the event than is to be reversed") },

    { ngx_string("invalid_field"), NGX_HTTP_LOYALTY_P_INVALID_FIELD,
      ngx_string("the event has no such amount or item") },

    { ngx_string("limit_reached"), NGX_HTTP_LOYALTY_P_LIMIT_REACHED,
      ngx_string("a number of this member would pass 9007199254740991, or "
                 "the event touches more rules than one record holds") },

    /* a reversal that would void tickets of a campaign that is stopped */

    { ngx_string("rules_changed"), NGX_HTTP_LOYALTY_P_RULES_CHANGED,
      ngx_string("tickets that would be voided are of a sweepstakes that is "
                 "stopped: the error log says why") },

    { ngx_string("stale_configuration"),
      NGX_HTTP_LOYALTY_P_STALE_CONFIGURATION,
      ngx_string("tickets that would be voided are of a sweepstakes that is "
                 "stopped: the error log says why") },

    { ngx_string("unavailable"), NGX_HTTP_LOYALTY_P_UNAVAILABLE,
      ngx_string("tickets that would be voided are of a sweepstakes that is "
                 "stopped: the error log says why") },

    /* tickets whose record would have a wrong time */

    { ngx_string("clock_skew"), NGX_HTTP_LOYALTY_P_CLOCK_SKEW,
      ngx_string("tickets that would be awarded or voided are recorded with "
                 "their time, and nothing was changed") },

    { ngx_null_string, NGX_HTTP_LOYALTY_P_INTERNAL, ngx_null_string }
};


ngx_int_t
ngx_http_loyalty_step_event(ngx_http_loyalty_step_t *step,
    ngx_http_loyalty_lane_e lane, ngx_http_loyalty_op_handler_pt handler,
    void *data, ngx_http_loyalty_fault_t *fault)
{
    step->lane = lane;
    step->handler = handler;
    step->data = data;
    step->tries = 0;
    step->waits = 0;
    ngx_str_null(&step->event);

    return ngx_http_loyalty_step_send(step, fault);
}


ngx_int_t
ngx_http_loyalty_step_reversal(ngx_http_loyalty_step_t *step,
    ngx_str_t *event, ngx_http_loyalty_op_handler_pt handler, void *data,
    ngx_http_loyalty_fault_t *fault)
{
    step->lane = NGX_HTTP_LOYALTY_INTERACTIVE;
    step->handler = handler;
    step->data = data;
    step->tries = 0;
    step->waits = 0;
    step->event = *event;

    return ngx_http_loyalty_step_send(step, fault);
}


static ngx_int_t
ngx_http_loyalty_step_send(ngx_http_loyalty_step_t *step,
    ngx_http_loyalty_fault_t *fault)
{
    if (step->event.len != 0) {
        return ngx_http_loyalty_step_send_reversal(step, fault);
    }

    return ngx_http_loyalty_step_send_event(step, fault);
}


static ngx_int_t
ngx_http_loyalty_step_send_event(ngx_http_loyalty_step_t *step,
    ngx_http_loyalty_fault_t *fault)
{
    ngx_int_t                    rc;
    ngx_uint_t                   hits;
    loyalty_mpw_t                w;
    ngx_http_loyalty_event_t     event;
    ngx_http_loyalty_scratch_t   scratch;

    event.request = step->request;
    event.ncaptured = 0;
    event.now = ngx_http_loyalty_now();

    if (ngx_http_loyalty_event_parse(step->program, step->json, &event,
                                     &scratch, fault)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    step->member = event.member;

    loyalty_mpw_init(&w, scratch.buf, sizeof(scratch.buf));

    rc = ngx_http_loyalty_event_arg(step->program, &event, &w, &scratch.call,
                                    &hits);
    if (rc == NGX_AGAIN && ngx_http_loyalty_step_wait(step) == NGX_OK) {
        return NGX_OK;
    }

    ngx_http_loyalty_step_signed(step, &scratch.call, &w);

    if (rc != NGX_OK || w.failed) {
        return ngx_http_loyalty_step_unfit(rc, "event and the rules it "
                                               "touches do", fault);
    }

    if (hits && step->tries == 0) {
        ngx_http_loyalty_stat(step->program,
                              NGX_HTTP_LOYALTY_STAT_RULES_MATCHED, hits);
    }

    return ngx_http_loyalty_step_call(step, NGX_HTTP_LOYALTY_FN_EVENT,
                                      &scratch, &w, fault);
}


static ngx_int_t
ngx_http_loyalty_step_send_reversal(ngx_http_loyalty_step_t *step,
    ngx_http_loyalty_fault_t *fault)
{
    ngx_int_t                     rc;
    loyalty_mpw_t                 w;
    ngx_http_loyalty_scratch_t    scratch;
    ngx_http_loyalty_reversal_t   reversal;

    reversal.event = step->event;
    reversal.now = ngx_http_loyalty_now();

    if (ngx_http_loyalty_reversal_parse(step->program, step->json, &reversal,
                                        &scratch, fault)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    step->member = reversal.member;

    if (reversal.nitems) {
        ngx_str_set(&step->pointer, "/items");

    } else if (reversal.amount >= 0) {
        ngx_str_set(&step->pointer, "/amount");
    }

    loyalty_mpw_init(&w, scratch.buf, sizeof(scratch.buf));

    rc = ngx_http_loyalty_reversal_arg(step->program, &reversal,
                                       &scratch.call, &w);

    if (rc == NGX_AGAIN && ngx_http_loyalty_step_wait(step) == NGX_OK) {
        return NGX_OK;
    }

    ngx_http_loyalty_step_signed(step, &scratch.call, &w);

    if (rc != NGX_OK || w.failed) {
        return ngx_http_loyalty_step_unfit(rc, "reversal does", fault);
    }

    return ngx_http_loyalty_step_call(step, NGX_HTTP_LOYALTY_FN_REVERSE,
                                      &scratch, &w, fault);
}


/*
 * Right after nginx has started, or when a new version was registered, it may
 * take a moment until it is known what a game needs.  A line of a batch does
 * not wait: those behind it could be decided before it.
 */

static ngx_int_t
ngx_http_loyalty_step_wait(ngx_http_loyalty_step_t *step)
{
    if (step->lane != NGX_HTTP_LOYALTY_INTERACTIVE
        || step->waits++ >= NGX_HTTP_LOYALTY_STEP_WAITS)
    {
        return NGX_DECLINED;
    }

    step->timer.handler = ngx_http_loyalty_step_waited;
    step->timer.data = step;
    step->timer.log = step->request->connection->log;

    ngx_add_timer(&step->timer, NGX_HTTP_LOYALTY_STEP_PAUSE);

    return NGX_OK;
}


static void
ngx_http_loyalty_step_waited(ngx_event_t *ev)
{
    ngx_http_loyalty_step_t *step = ev->data;

    ngx_http_loyalty_fault_t  fault;

    if (ngx_http_loyalty_step_send(step, &fault) != NGX_OK) {
        step->handler(step->data, NGX_HTTP_LOYALTY_UNAVAILABLE, NULL);
    }
}


static ngx_int_t
ngx_http_loyalty_step_unfit(ngx_int_t rc, const char *what,
    ngx_http_loyalty_fault_t *fault)
{
    if (rc == NGX_AGAIN || rc == NGX_BUSY) {
        ngx_http_loyalty_fault(fault, NGX_HTTP_LOYALTY_P_UNAVAILABLE,
                               "what holds of a game that may be awarded is "
                               "not known yet");

    } else {
        ngx_http_loyalty_fault(fault, NGX_HTTP_LOYALTY_P_TOO_LARGE,
                               "the %s not fit into %d bytes", what,
                               NGX_HTTP_LOYALTY_ARG);
    }

    return NGX_ERROR;
}


/* what somebody has listened to does not begin an erased member anew */

static void
ngx_http_loyalty_step_signed(ngx_http_loyalty_step_t *step,
    ngx_http_loyalty_call_t *call, loyalty_mpw_t *w)
{
    ngx_str_t  key;

    ngx_http_loyalty_access_key(step->request, &key);

    if (key.len == 0) {
        return;
    }

    if (ngx_http_loyalty_call_told(call, step->program) == NGX_OK) {
        loyalty_mpw_int(w, 1);

    } else {
        w->failed = 1;
    }
}


static ngx_int_t
ngx_http_loyalty_step_call(ngx_http_loyalty_step_t *step,
    ngx_http_loyalty_fn_e fn, ngx_http_loyalty_scratch_t *scratch,
    loyalty_mpw_t *w, ngx_http_loyalty_fault_t *fault)
{
    ngx_str_t                   arg;
    ngx_http_loyalty_call_t    *call;
    ngx_http_loyalty_status_e   status;

    call = &scratch->call;

    arg.data = w->start;
    arg.len = w->pos - w->start;

    step->op = ngx_http_loyalty_redis_call(step->program, step->lane,
                                           call->partition, fn, call->nkeys,
                                           call->keys, &arg,
                                           ngx_http_loyalty_step_answer, step,
                                           &status);
    if (step->op == NULL) {
        ngx_http_loyalty_fault(fault,
                               ngx_http_loyalty_status_problem(status), "");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * What Redis did not decide because a target did not hold is sent once more,
 * behind what was sent since; else the caller has its answer.
 */

static void
ngx_http_loyalty_step_answer(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_step_t *step = data;

    ngx_http_loyalty_fault_t  fault;

    step->op = NULL;

    if (status == NGX_HTTP_LOYALTY_REPLY && !reply->array && reply->n == 1
        && ngx_http_loyalty_call_missed(step->program, &reply->values[0])
           == NGX_OK)
    {
        if (step->tries++ >= NGX_HTTP_LOYALTY_STEP_TRIES) {
            status = NGX_HTTP_LOYALTY_BUSY;

        } else if (ngx_http_loyalty_step_send(step, &fault) == NGX_OK) {
            return;

        } else {
            status = NGX_HTTP_LOYALTY_UNAVAILABLE;
        }
    }

    step->handler(step->data, status, reply);
}


/* ARG of reverse_H */

static ngx_int_t
ngx_http_loyalty_reversal_arg(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_reversal_t *reversal, ngx_http_loyalty_call_t *call,
    loyalty_mpw_t *w)
{
    u_char      rest[16];
    int64_t     at, accepted;
    ngx_uint_t  i;

    at = reversal->now;
    accepted = reversal->now / 1000;

    for (i = 0; i < 6; i++) {
        rest[i] = (u_char) (at >> (40 - 8 * i));
    }

    for (i = 0; i < 4; i++) {
        rest[6 + i] = (u_char) (accepted >> (24 - 8 * i));
    }

    ngx_memcpy(rest + 10, reversal->fingerprint, 6);

    loyalty_mpw_int(w, reversal->now);
    ngx_http_loyalty_step_needle(w, &reversal->id);
    loyalty_mpw_str(w, rest, sizeof(rest));
    ngx_http_loyalty_step_needle(w, &reversal->event);

    if (reversal->amount >= 0) {
        loyalty_mpw_int(w, reversal->amount);

    } else {
        loyalty_mpw_nil(w);
    }

    ngx_http_loyalty_reversal_items(reversal, w);

    loyalty_mpw_str(w, reversal->member.data, reversal->member.len);
    loyalty_mpw_str(w, program->constants.data, program->constants.len);

    ngx_http_loyalty_call_member(call, program, &reversal->member);

    return ngx_http_loyalty_call_all_targets(call, program,
                                             &reversal->member,
                                             &reversal->id, reversal->now, w);
}


static void
ngx_http_loyalty_reversal_items(ngx_http_loyalty_reversal_t *reversal,
    loyalty_mpw_t *w)
{
    ngx_uint_t                i;
    ngx_http_loyalty_item_t  *item;

    if (reversal->nitems == 0) {
        loyalty_mpw_nil(w);
        return;
    }

    loyalty_mpw_array(w, 4 * reversal->nitems);

    for (i = 0; i < reversal->nitems; i++) {
        item = &reversal->items[i];

        loyalty_mpw_str(w, item->sku.data, item->sku.len);
        loyalty_mpw_str(w, item->category.data, item->category.len);
        loyalty_mpw_int(w, item->quantity == UINT64_MAX
                           ? -1 : (int64_t) item->quantity);
        loyalty_mpw_int(w, item->amount);
    }
}


static void
ngx_http_loyalty_step_needle(loyalty_mpw_t *w, ngx_str_t *id)
{
    u_char  buf[1 + NGX_HTTP_LOYALTY_ID];

    buf[0] = (u_char) id->len;
    ngx_memcpy(buf + 1, id->data, id->len);

    loyalty_mpw_str(w, buf, 1 + id->len);
}


ngx_int_t
ngx_http_loyalty_step_reply(ngx_http_loyalty_step_t *step,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply,
    ngx_uint_t batch, loyalty_out_t *out, ngx_http_loyalty_fault_t *fault)
{
    size_t      used;
    ngx_str_t  *value;

    if (status != NGX_HTTP_LOYALTY_REPLY) {
        ngx_http_loyalty_fault(fault,
                               ngx_http_loyalty_status_problem(status), "");
        return NGX_ERROR;
    }

    value = reply->values;

    if (reply->n == 1 && !reply->array && value->len > 1) {

        if (value->data[0] == 'E') {
            ngx_http_loyalty_step_refused(step, value, fault);
            return NGX_ERROR;
        }

        used = out->pos - out->start;

        if (ngx_http_loyalty_step_json(step, value, batch, out) == NGX_OK) {
            return NGX_OK;
        }

        if (out->start != NULL) {
            out->pos = out->start + used;
        }
    }

    ngx_log_error(NGX_LOG_ERR, step->request->connection->log, 0,
                  "loyalty program \"%V\": the reply of Redis on an event of "
                  "member \"%V\" is not understood",
                  &step->program->name, &step->member);

    ngx_http_loyalty_fault(fault, NGX_HTTP_LOYALTY_P_INTERNAL, "");

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_loyalty_step_json(ngx_http_loyalty_step_t *step, ngx_str_t *value,
    ngx_uint_t batch, loyalty_out_t *out)
{
    ngx_str_t                   rest;
    ngx_http_loyalty_record_t   record;

    if ((value->data[0] != 'N' && value->data[0] != 'D')
        || ngx_http_loyalty_hashes_parse(value, &record, &rest) != NGX_OK
        || ngx_http_loyalty_record_parse(step->request->pool, &rest, &record)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, "{");

    if (batch) {
        loyalty_out_lit(out, "\"status\":200,");
    }

    loyalty_out_lit(out, "\"id\":");
    loyalty_out_str(out, record.id.data, record.id.len);
    loyalty_out_lit(out, ",\"member\":");
    loyalty_out_str(out, step->member.data, step->member.len);

    if (value->data[0] == 'D') {
        loyalty_out_lit(out, ",\"duplicate\":true,");

    } else {
        loyalty_out_lit(out, ",\"duplicate\":false,");
    }

    if (record.type == 0) {
        loyalty_out_lit(out, "\"reverses\":");
        loyalty_out_str(out, record.reverses.data, record.reverses.len);
        loyalty_out_lit(out, ",");
    }

    if (ngx_http_loyalty_effects_json(step->program, &record, out) != NGX_OK)
    {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, ",");

    if (ngx_http_loyalty_balances_json(step->program, &record, out)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, "}");

    ngx_http_loyalty_step_count(step, value->data[0], &record);

    if (value->data[0] == 'N') {
        ngx_http_loyalty_awarded(step->program, &record, &step->member,
                                 step->request->connection->log);
    }

    return out->failed ? NGX_ERROR : NGX_OK;
}


static void
ngx_http_loyalty_step_count(ngx_http_loyalty_step_t *step, u_char letter,
    ngx_http_loyalty_record_t *record)
{
    ngx_http_loyalty_stat_e  stat;

    if (letter == 'D') {
        stat = NGX_HTTP_LOYALTY_STAT_DUPLICATES;

    } else if (record->type == 0) {
        stat = NGX_HTTP_LOYALTY_STAT_REVERSALS;

    } else {
        stat = NGX_HTTP_LOYALTY_STAT_EVENTS;
    }

    ngx_http_loyalty_stat(step->program, stat, 1);
}


static void
ngx_http_loyalty_step_refused(ngx_http_loyalty_step_t *step,
    ngx_str_t *value, ngx_http_loyalty_fault_t *fault)
{
    ngx_str_t                             code;
    const ngx_http_loyalty_step_error_t  *e;

    code.data = value->data + 1;
    code.len = value->len - 1;

    for (e = ngx_http_loyalty_step_errors; e->code.len; e++) {
        if (e->code.len == code.len
            && ngx_memcmp(e->code.data, code.data, code.len) == 0)
        {
            break;
        }
    }

    ngx_http_loyalty_fault(fault, e->problem, "%V", &e->detail);

    if (e->problem == NGX_HTTP_LOYALTY_P_INVALID_FIELD) {
        fault->pointer = step->pointer;
    }

    if (e->problem == NGX_HTTP_LOYALTY_P_INTERNAL) {
        ngx_log_error(NGX_LOG_ERR, step->request->connection->log, 0,
                      "loyalty program \"%V\": Redis refused an event of "
                      "member \"%V\": %V",
                      &step->program->name, &step->member, &code);
    }
}


void
ngx_http_loyalty_step_done(ngx_http_loyalty_step_t *step)
{
    if (step->op != NULL) {
        ngx_http_loyalty_redis_detach(step->op);
        step->op = NULL;
    }

    if (step->timer.timer_set) {
        ngx_del_timer(&step->timer);
    }

    if (step->json != NULL) {
        json_decref(step->json);
        step->json = NULL;
    }
}
