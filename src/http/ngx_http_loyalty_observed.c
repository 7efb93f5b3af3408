/*
 * An observed event as a call, and what Redis said of it.
 *
 * A record holds what the event says.  It is turned into the JSON that a
 * shop's server would have sent and goes through the same door: the same
 * checks, the same fingerprint, so that a purchase that is observed and also
 * reported under the same id counts once.  The rules are those of the moment
 * of sending, which mostly is that of the request; after a reload they may be
 * newer.  "at" stays the moment of the request.
 */

#include "ngx_http_loyalty_observe.h"


static json_t *ngx_http_loyalty_observed_json(
    ngx_http_loyalty_program_t *program, loyalty_observed_t *observed);
static ngx_int_t ngx_http_loyalty_observed_data(json_t *json,
    loyalty_observed_t *observed);
static ngx_int_t ngx_http_loyalty_observed_set(json_t *json, const char *name,
    loyalty_text_t *text);
static void ngx_http_loyalty_observed_captured(
    ngx_http_loyalty_program_t *program, loyalty_observed_t *observed,
    ngx_http_loyalty_event_t *event);
static ngx_int_t ngx_http_loyalty_observed_call(
    ngx_http_loyalty_program_t *program, json_t *json,
    ngx_http_loyalty_event_t *event, int64_t at,
    ngx_http_loyalty_op_handler_pt handler, void *data,
    ngx_http_loyalty_op_t **op, ngx_http_loyalty_status_e *status,
    ngx_http_loyalty_refusal_e *refusal);


ngx_int_t
ngx_http_loyalty_observed_send(ngx_http_loyalty_program_t *program,
    loyalty_record_t *record, ngx_http_loyalty_op_handler_pt handler,
    void *data, ngx_http_loyalty_op_t **op,
    ngx_http_loyalty_status_e *status, ngx_http_loyalty_refusal_e *refusal)
{
    json_t                       *json;
    ngx_int_t                     rc;
    loyalty_observed_t            observed;
    ngx_http_loyalty_event_t      event;
    ngx_http_loyalty_captured_t   captured[LOYALTY_OBSERVED_PAIRS];

    if (loyalty_observed_read(&observed, record->payload, record->len) != 0) {
        *refusal = NGX_HTTP_LOYALTY_REFUSE_DAMAGED;
        return NGX_DECLINED;
    }

    event.request = NULL;
    event.captured = captured;
    event.now = ngx_http_loyalty_now();

    if (observed.at < event.now - program->max_event_age) {
        *refusal = NGX_HTTP_LOYALTY_REFUSE_TOO_OLD;
        return NGX_DECLINED;
    }

    json = ngx_http_loyalty_observed_json(program, &observed);
    if (json == NULL) {
        *status = NGX_HTTP_LOYALTY_FAILED;
        return NGX_AGAIN;
    }

    ngx_http_loyalty_observed_captured(program, &observed, &event);

    /* a clock that was set back must not make an event of the future */

    rc = ngx_http_loyalty_observed_call(program, json, &event,
                                        ngx_min(observed.at, event.now),
                                        handler, data, op, status, refusal);

    json_decref(json);

    return rc;
}


/* NULL: no memory, as all texts were checked when they were observed */

static json_t *
ngx_http_loyalty_observed_json(ngx_http_loyalty_program_t *program,
    loyalty_observed_t *observed)
{
    json_t          *json;
    u_char           amount[LOYALTY_MONEY_LEN];
    loyalty_text_t   text;

    json = json_object();

    if (ngx_http_loyalty_observed_set(json, "id", &observed->id) != NGX_OK
        || ngx_http_loyalty_observed_set(json, "member", &observed->member)
           != NGX_OK
        || ngx_http_loyalty_observed_set(json, "type", &observed->type)
           != NGX_OK
        || ngx_http_loyalty_observed_set(json, "channel", &observed->channel)
           != NGX_OK
        || ngx_http_loyalty_observed_set(json, "partner", &observed->partner)
           != NGX_OK
        || ngx_http_loyalty_observed_data(json, observed) != NGX_OK)
    {
        goto failed;
    }

    if (observed->amount >= 0) {
        text.data = amount;
        text.len = loyalty_money_format(amount, observed->amount,
                                        program->scale);

        if (ngx_http_loyalty_observed_set(json, "amount", &text) != NGX_OK) {
            goto failed;
        }
    }

    if (observed->quantity >= 0
        && json_object_set_new(json, "quantity",
                               json_integer(observed->quantity))
           != 0)
    {
        goto failed;
    }

    return json;

failed:

    json_decref(json);

    return NULL;
}


static ngx_int_t
ngx_http_loyalty_observed_data(json_t *json, loyalty_observed_t *observed)
{
    json_t          *data;
    u_char           name[LOYALTY_RECORD_PAYLOAD + 1];
    uint32_t         i;
    loyalty_pair_t  *pair;

    if (observed->ndata == 0) {
        return NGX_OK;
    }

    data = json_object();

    if (json_object_set_new(json, "data", data) != 0) {
        return NGX_ERROR;
    }

    for (i = 0; i < observed->ndata; i++) {
        pair = &observed->data[i];

        (void) ngx_cpystrn(name, (u_char *) pair->name.data,
                           pair->name.len + 1);

        if (ngx_http_loyalty_observed_set(data, (char *) name, &pair->value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* an empty text is absent */

static ngx_int_t
ngx_http_loyalty_observed_set(json_t *json, const char *name,
    loyalty_text_t *text)
{
    if (text->len == 0) {
        return NGX_OK;
    }

    return json_object_set_new(json, name,
                               json_stringn((char *) text->data, text->len))
           == 0 ? NGX_OK : NGX_ERROR;
}


/* variables by the index that this configuration gives them; one that no rule
   names any more is left out */

static void
ngx_http_loyalty_observed_captured(ngx_http_loyalty_program_t *program,
    loyalty_observed_t *observed, ngx_http_loyalty_event_t *event)
{
    uint32_t                      i;
    ngx_str_t                     name;
    ngx_uint_t                    n;
    ngx_http_loyalty_variable_t  *variable;
    ngx_http_loyalty_captured_t  *captured;

    event->ncaptured = 0;
    variable = program->variables.elts;

    for (i = 0; i < observed->nvariables; i++) {
        name.data = (u_char *) observed->variables[i].name.data;
        name.len = observed->variables[i].name.len;

        for (n = 0; n < program->variables.nelts; n++) {

            if (!ngx_http_loyalty_observe_same(&variable[n].name, &name)) {
                continue;
            }

            captured = &event->captured[event->ncaptured++];

            captured->index = variable[n].index;
            captured->value.data = (u_char *)
                                   observed->variables[i].value.data;
            captured->value.len = observed->variables[i].value.len;
            break;
        }
    }
}


static ngx_int_t
ngx_http_loyalty_observed_call(ngx_http_loyalty_program_t *program,
    json_t *json, ngx_http_loyalty_event_t *event, int64_t at,
    ngx_http_loyalty_op_handler_pt handler, void *data,
    ngx_http_loyalty_op_t **op, ngx_http_loyalty_status_e *status,
    ngx_http_loyalty_refusal_e *refusal)
{
    ngx_int_t                    rc;
    ngx_str_t                    arg;
    ngx_uint_t                   hits;
    loyalty_mpw_t                w;
    ngx_http_loyalty_call_t     *call;
    ngx_http_loyalty_fault_t     fault;
    ngx_http_loyalty_scratch_t   scratch;

    if (ngx_http_loyalty_event_parse(program, json, event, &scratch, &fault)
        != NGX_OK)
    {
        *refusal = NGX_HTTP_LOYALTY_REFUSE_DAMAGED;
        return NGX_DECLINED;
    }

    event->at = at;

    call = &scratch.call;
    loyalty_mpw_init(&w, scratch.buf, sizeof(scratch.buf));

    rc = ngx_http_loyalty_event_arg(program, event, &w, call, &hits);

    if (rc == NGX_AGAIN || rc == NGX_BUSY) {
        *status = NGX_HTTP_LOYALTY_UNAVAILABLE;
        return NGX_AGAIN;
    }

    if (rc != NGX_OK) {
        *refusal = NGX_HTTP_LOYALTY_REFUSE_TOO_LARGE;
        return NGX_DECLINED;
    }

    arg.data = w.start;
    arg.len = w.pos - w.start;

    *op = ngx_http_loyalty_redis_call(program, NGX_HTTP_LOYALTY_BULK,
                                      call->partition,
                                      NGX_HTTP_LOYALTY_FN_EVENT, call->nkeys,
                                      call->keys, &arg, handler, data,
                                      status);

    if (*op == NULL) {
        return NGX_AGAIN;
    }

    if (hits) {
        ngx_http_loyalty_stat(program, NGX_HTTP_LOYALTY_STAT_RULES_MATCHED,
                              hits);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_observed_reply(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_reply_t *reply, ngx_http_loyalty_refusal_e *refusal)
{
    u_char      letter;
    ngx_str_t  *value;

    static ngx_str_t  conflict = ngx_string("Eevent_conflict");
    static ngx_str_t  limit = ngx_string("Elimit_reached");
    static ngx_str_t  skew = ngx_string("Eclock_skew");

    value = reply->values;
    letter = (reply->n == 1 && !reply->array && value->len > 1)
             ? value->data[0] : 0;

    switch (letter) {

    case 'N':
        ngx_http_loyalty_stat(program, NGX_HTTP_LOYALTY_STAT_EVENTS, 1);
        ngx_http_loyalty_stat(program, NGX_HTTP_LOYALTY_STAT_OBS_CREDITED, 1);
        return NGX_OK;

    case 'D':
        ngx_http_loyalty_stat(program, NGX_HTTP_LOYALTY_STAT_DUPLICATES, 1);
        ngx_http_loyalty_stat(program, NGX_HTTP_LOYALTY_STAT_OBS_DUPLICATES,
                              1);
        return NGX_OK;
    }

    if (letter == 'E' && ngx_http_loyalty_observe_same(value, &conflict)) {
        *refusal = NGX_HTTP_LOYALTY_REFUSE_CONFLICT;
        return NGX_DECLINED;
    }

    if (letter == 'E' && ngx_http_loyalty_observe_same(value, &limit)) {
        *refusal = NGX_HTTP_LOYALTY_REFUSE_LIMIT;
        return NGX_DECLINED;
    }

    /* a game that is awarded has changed: it has been told of that */

    /* it awards tickets: until the clock is right */

    if (letter == 'E' && ngx_http_loyalty_observe_same(value, &skew)) {
        return NGX_AGAIN;
    }

    if (letter == 'E'
        && ngx_http_loyalty_call_missed(program, value) == NGX_OK)
    {
        return NGX_AGAIN;
    }

    return NGX_ERROR;
}


void
ngx_http_loyalty_observed_awarded(ngx_http_loyalty_program_t *program,
    loyalty_record_t *record, ngx_http_loyalty_reply_t *reply, ngx_log_t *log)
{
    ngx_str_t                   rest, member;
    ngx_pool_t                 *pool;
    loyalty_observed_t          observed;
    ngx_http_loyalty_record_t   made;

    if (reply->values[0].data[0] != 'N'
        || loyalty_observed_read(&observed, record->payload, record->len)
           != 0)
    {
        return;
    }

    pool = ngx_create_pool(1024, log);
    if (pool == NULL) {
        return;
    }

    member.data = (u_char *) observed.member.data;
    member.len = observed.member.len;

    if (ngx_http_loyalty_hashes_parse(&reply->values[0], &made, &rest)
        == NGX_OK
        && ngx_http_loyalty_record_parse(pool, &rest, &made) == NGX_OK)
    {
        ngx_http_loyalty_awarded(program, &made, &member, log);
    }

    ngx_destroy_pool(pool);
}
