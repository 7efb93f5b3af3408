/*
 * loyalty_observe: what nginx sees of a shop's own traffic becomes events.
 *
 * It acts in the log phase, as access_log does: when the response has been
 * sent, once for each request of a client, by the rules of the location where
 * the request ended.  A subrequest is no request of a client.  The values
 * are read, checked and put into the ring, and that is all that the request
 * waits for: no allocation but of the variables' own, no lock, no Redis.
 *
 * A client that has its answer and is to close the connection may take its
 * time: nginx waits for that, for five seconds, before the log phase.  When a
 * worker is terminated meanwhile, nginx leaves such requests as they are; they
 * are looked for, and observed as they would have been.
 *
 * What is refused here is counted by its reason, and told in the error log
 * once a second: the response has gone out, and nobody else could be told.
 */

#include "ngx_http_loyalty_observe.h"


#define NGX_HTTP_LOYALTY_OBSERVE_TEXT  LOYALTY_RECORD


static ngx_http_request_t *ngx_http_loyalty_observe_request(
    ngx_connection_t *c);
static ngx_uint_t ngx_http_loyalty_observe_applies(ngx_http_request_t *r,
    ngx_http_loyalty_observe_t *rule);
static ngx_uint_t ngx_http_loyalty_observe_status(ngx_http_request_t *r);
static void ngx_http_loyalty_observe(ngx_http_request_t *r,
    ngx_http_loyalty_observe_t *rule);
static ngx_int_t ngx_http_loyalty_observe_names(ngx_http_request_t *r,
    ngx_http_loyalty_observe_t *rule, loyalty_observed_t *event);
static ngx_int_t ngx_http_loyalty_observe_numbers(ngx_http_request_t *r,
    ngx_http_loyalty_observe_t *rule, loyalty_observed_t *event);
static ngx_int_t ngx_http_loyalty_observe_number(ngx_http_request_t *r,
    ngx_http_loyalty_observe_t *rule, ngx_http_complex_value_t *cv,
    ngx_uint_t scale, ngx_http_loyalty_refusal_e refusal, int64_t *number);
static ngx_int_t ngx_http_loyalty_observe_texts(ngx_http_request_t *r,
    ngx_http_loyalty_observe_t *rule, loyalty_observed_t *event);
static ngx_int_t ngx_http_loyalty_observe_text(ngx_http_request_t *r,
    ngx_http_loyalty_observe_t *rule, ngx_http_complex_value_t *cv,
    const char *what, ngx_str_t *name, size_t max, loyalty_text_t *text);
static void ngx_http_loyalty_observe_capture(ngx_http_request_t *r,
    ngx_http_loyalty_observe_t *rule, loyalty_observed_t *event);
static void ngx_http_loyalty_observe_store(ngx_http_request_t *r,
    ngx_http_loyalty_observe_t *rule, loyalty_observed_t *event);
static ngx_int_t ngx_http_loyalty_observe_refuse(ngx_http_request_t *r,
    ngx_http_loyalty_observe_t *rule, ngx_http_loyalty_refusal_e refusal,
    ngx_str_t *value, const char *fmt, ...);


ngx_int_t
ngx_http_loyalty_observe_handler(ngx_http_request_t *r)
{
    ngx_uint_t                        i;
    ngx_http_loyalty_observe_t      **rule;
    ngx_http_loyalty_observe_conf_t  *ocf;

    /* log_subrequest brings subrequests here, too */

    if (r != r->main) {
        return NGX_OK;
    }

    ocf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_observe_module);

    if (ocf->rules == NULL) {
        return NGX_OK;
    }

    rule = ocf->rules->elts;

    for (i = 0; i < ocf->rules->nelts; i++) {
        if (ngx_http_loyalty_observe_applies(r, rule[i])) {
            ngx_http_loyalty_observe(r, rule[i]);
        }
    }

    return NGX_OK;
}


void
ngx_http_loyalty_observe_answered(ngx_cycle_t *cycle)
{
    ngx_uint_t           i;
    ngx_http_request_t  *r;

    if (cycle->connections == NULL
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return;
    }

    for (i = 0; i < cycle->connection_n; i++) {
        r = ngx_http_loyalty_observe_request(&cycle->connections[i]);

        if (r != NULL && r->done && !r->post_action && !r->logged) {
            (void) ngx_http_loyalty_observe_handler(r);
        }
    }
}


/* the one that the connection is a client's for; what its data is depends on
   whose connection it is */

static ngx_http_request_t *
ngx_http_loyalty_observe_request(ngx_connection_t *c)
{
    ngx_http_request_t  *r;

    if (c->fd == (ngx_socket_t) -1 || c->read == NULL || c->read->accept
        || c->read->channel || c->data == NULL)
    {
        return NULL;
    }

    r = c->data;

    return (r->signature == NGX_HTTP_MODULE && r->connection == c
            && r->main == r)
           ? r : NULL;
}


static ngx_uint_t
ngx_http_loyalty_observe_applies(ngx_http_request_t *r,
    ngx_http_loyalty_observe_t *rule)
{
    ngx_str_t                     value;
    ngx_uint_t                    i, status;
    ngx_http_loyalty_statuses_t  *statuses;

    status = ngx_http_loyalty_observe_status(r);
    statuses = rule->statuses.elts;

    for (i = 0; i < rule->statuses.nelts; i++) {
        if (status >= statuses[i].first && status <= statuses[i].last) {
            break;
        }
    }

    if (i == rule->statuses.nelts) {
        return 0;
    }

    if (rule->filter == NULL) {
        return 1;
    }

    if (ngx_http_complex_value(r, rule->filter, &value) != NGX_OK) {
        return 0;
    }

    return value.len != 0 && !(value.len == 1 && value.data[0] == '0');
}


/* as $status has it */

static ngx_uint_t
ngx_http_loyalty_observe_status(ngx_http_request_t *r)
{
    return r->err_status ? r->err_status : r->headers_out.status;
}


static void
ngx_http_loyalty_observe(ngx_http_request_t *r,
    ngx_http_loyalty_observe_t *rule)
{
    loyalty_observed_t   event;

    event.at = ngx_http_loyalty_now();
    event.type.data = rule->type.data;
    event.type.len = rule->type.len;

    if (ngx_http_loyalty_observe_names(r, rule, &event) == NGX_OK
        && ngx_http_loyalty_observe_numbers(r, rule, &event) == NGX_OK
        && ngx_http_loyalty_observe_texts(r, rule, &event) == NGX_OK)
    {
        ngx_http_loyalty_observe_capture(r, rule, &event);
        ngx_http_loyalty_observe_store(r, rule, &event);
    }
}


static ngx_int_t
ngx_http_loyalty_observe_names(ngx_http_request_t *r,
    ngx_http_loyalty_observe_t *rule, loyalty_observed_t *event)
{
    ngx_str_t  member, id;

    if (ngx_http_complex_value(r, rule->member, &member) != NGX_OK
        || ngx_http_complex_value(r, rule->id, &id) != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* nobody is signed in: that is no mistake */

    if (member.len == 0) {
        return ngx_http_loyalty_observe_refuse(r, rule,
                                           NGX_HTTP_LOYALTY_REFUSE_NO_MEMBER,
                                           NULL, "there is no member");
    }

    if (ngx_http_loyalty_text_check(&member, NGX_HTTP_LOYALTY_ID) != NGX_OK) {
        return ngx_http_loyalty_observe_refuse(r, rule,
                                           NGX_HTTP_LOYALTY_REFUSE_MEMBER,
                                           &member, "the member is not 1 to "
                                           "%d bytes of UTF-8 without "
                                           "control characters",
                                           NGX_HTTP_LOYALTY_ID);
    }

    if (id.len == 0) {
        return ngx_http_loyalty_observe_refuse(r, rule,
                                           NGX_HTTP_LOYALTY_REFUSE_NO_ID,
                                           NULL, "the id is empty");
    }

    if (ngx_http_loyalty_text_check(&id, NGX_HTTP_LOYALTY_ID) != NGX_OK) {
        return ngx_http_loyalty_observe_refuse(r, rule,
                                           NGX_HTTP_LOYALTY_REFUSE_ID, &id,
                                           "the id is not 1 to %d bytes of "
                                           "UTF-8 without control "
                                           "characters", NGX_HTTP_LOYALTY_ID);
    }

    event->member.data = member.data;
    event->member.len = member.len;
    event->id.data = id.data;
    event->id.len = id.len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_observe_numbers(ngx_http_request_t *r,
    ngx_http_loyalty_observe_t *rule, loyalty_observed_t *event)
{
    if (ngx_http_loyalty_observe_number(r, rule, rule->amount,
                                        rule->program->scale,
                                        NGX_HTTP_LOYALTY_REFUSE_AMOUNT,
                                        &event->amount)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_observe_number(r, rule, rule->quantity, 0,
                                           NGX_HTTP_LOYALTY_REFUSE_QUANTITY,
                                           &event->quantity);
}


/* one that the directive names must be there: a purchase without its amount
   would use up its id and pay nothing */

static ngx_int_t
ngx_http_loyalty_observe_number(ngx_http_request_t *r,
    ngx_http_loyalty_observe_t *rule, ngx_http_complex_value_t *cv,
    ngx_uint_t scale, ngx_http_loyalty_refusal_e refusal, int64_t *number)
{
    ngx_str_t  value;

    *number = -1;

    if (cv == NULL) {
        return NGX_OK;
    }

    if (ngx_http_complex_value(r, cv, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    switch (loyalty_money_parse(value.data, value.len, scale, number)) {

    case LOYALTY_MONEY_OK:

        if (refusal == NGX_HTTP_LOYALTY_REFUSE_QUANTITY && *number == 0) {
            break;
        }

        return NGX_OK;

    case LOYALTY_MONEY_RANGE:
        return ngx_http_loyalty_observe_refuse(r, rule, refusal, &value,
                                               "the number is too large");
    }

    if (refusal == NGX_HTTP_LOYALTY_REFUSE_QUANTITY) {
        return ngx_http_loyalty_observe_refuse(r, rule, refusal, &value,
                                               "the quantity is no whole "
                                               "number over 0");
    }

    return ngx_http_loyalty_observe_refuse(r, rule, refusal, &value,
                                           "the amount is no decimal number "
                                           "with at most %ui decimals",
                                           scale);
}


static ngx_int_t
ngx_http_loyalty_observe_texts(ngx_http_request_t *r,
    ngx_http_loyalty_observe_t *rule, loyalty_observed_t *event)
{
    ngx_uint_t                        i;
    loyalty_pair_t                   *pair;
    ngx_http_loyalty_observe_data_t  *data;

    if (ngx_http_loyalty_observe_text(r, rule, rule->channel, "channel", NULL,
                                      NGX_HTTP_LOYALTY_ID, &event->channel)
        != NGX_OK
        || ngx_http_loyalty_observe_text(r, rule, rule->partner, "partner",
                                         NULL, NGX_HTTP_LOYALTY_ID,
                                         &event->partner)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    data = rule->data.elts;
    event->ndata = 0;

    for (i = 0; i < rule->data.nelts; i++) {
        pair = &event->data[event->ndata];

        if (ngx_http_loyalty_observe_text(r, rule, &data[i].value, "data.",
                                          &data[i].name,
                                          NGX_HTTP_LOYALTY_OBSERVE_TEXT,
                                          &pair->value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (pair->value.len) {
            pair->name.data = data[i].name.data;
            pair->name.len = data[i].name.len;
            event->ndata++;
        }
    }

    return NGX_OK;
}


/* an empty text is one that is absent */

static ngx_int_t
ngx_http_loyalty_observe_text(ngx_http_request_t *r,
    ngx_http_loyalty_observe_t *rule, ngx_http_complex_value_t *cv,
    const char *what, ngx_str_t *name, size_t max, loyalty_text_t *text)
{
    ngx_str_t  value;

    static ngx_str_t  none = ngx_string("");

    ngx_str_set(&value, "");

    if (cv != NULL && ngx_http_complex_value(r, cv, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    if (value.len && ngx_http_loyalty_text_check(&value, max) != NGX_OK) {
        return ngx_http_loyalty_observe_refuse(r, rule,
                                           NGX_HTTP_LOYALTY_REFUSE_TEXT,
                                           &value, "%s%V is not at most %uz "
                                           "bytes of UTF-8 without control "
                                           "characters", what,
                                           name ? name : &none, max);
    }

    text->data = value.data;
    text->len = value.len;

    return NGX_OK;
}


/* the request's variables that match lines ask for: the rules are looked at
   later */

static void
ngx_http_loyalty_observe_capture(ngx_http_request_t *r,
    ngx_http_loyalty_observe_t *rule, loyalty_observed_t *event)
{
    ngx_uint_t                     i;
    loyalty_pair_t                *pair;
    ngx_http_variable_value_t     *vv;
    ngx_http_loyalty_variable_t  **variable;

    variable = rule->captures.elts;
    event->nvariables = 0;

    for (i = 0; i < rule->captures.nelts; i++) {
        vv = ngx_http_get_indexed_variable(r, variable[i]->index);

        if (vv == NULL || vv->not_found) {
            continue;
        }

        pair = &event->variables[event->nvariables++];

        pair->name.data = variable[i]->name.data;
        pair->name.len = variable[i]->name.len;
        pair->value.data = vv->data;
        pair->value.len = vv->len;
    }
}


static void
ngx_http_loyalty_observe_store(ngx_http_request_t *r,
    ngx_http_loyalty_observe_t *rule, loyalty_observed_t *event)
{
    size_t                         len;
    int64_t                        slot;
    loyalty_ring_t                *ring;
    ngx_http_loyalty_ring_t      **own;
    ngx_http_loyalty_sender_t     *sender;
    ngx_http_loyalty_refusal_e     refusal;
    ngx_http_loyalty_observing_t  *observing;

    observing = rule->program->observing;
    sender = observing->sender;

    if (sender == NULL) {
        return;
    }

    own = observing->rings.elts;
    ring = own[0]->ring;

    slot = loyalty_ring_claim(ring, ngx_pid,
                              ngx_http_loyalty_sender_hint(sender));

    if (slot == LOYALTY_RING_FULL) {
        refusal = ring->user[NGX_HTTP_LOYALTY_RING_SPOOL_FULL]
                  ? NGX_HTTP_LOYALTY_REFUSE_SPOOL_FULL
                  : NGX_HTTP_LOYALTY_REFUSE_RING_FULL;

        (void) ngx_http_loyalty_observe_refuse(r, rule, refusal, NULL,
                                               "the ring \"%V\" is full",
                                               &own[0]->zone);
        return;
    }

    len = loyalty_observed_write(event,
                                 loyalty_ring_payload(ring, (size_t) slot),
                                 LOYALTY_RECORD_PAYLOAD);

    if (len == 0) {
        loyalty_ring_cancel(ring, (size_t) slot, ngx_pid);

        (void) ngx_http_loyalty_observe_refuse(r, rule,
                                         NGX_HTTP_LOYALTY_REFUSE_TOO_LARGE,
                                         NULL, "the event does not fit into "
                                         "%d bytes", LOYALTY_RECORD_PAYLOAD);
        return;
    }

    loyalty_ring_publish(ring, (size_t) slot, ngx_pid, len);

    ngx_http_loyalty_stat(rule->program, NGX_HTTP_LOYALTY_STAT_OBSERVED, 1);
    ngx_http_loyalty_sender_add(sender, (size_t) slot);
}


static ngx_int_t
ngx_http_loyalty_observe_refuse(ngx_http_request_t *r,
    ngx_http_loyalty_observe_t *rule, ngx_http_loyalty_refusal_e refusal,
    ngx_str_t *value, const char *fmt, ...)
{
    u_char      buf[NGX_HTTP_LOYALTY_SHOWN], text[256], *p;
    va_list     args;
    ngx_str_t   shown;
    ngx_uint_t  level, silent;

    if (!ngx_http_loyalty_refused(rule->program->observing, refusal, &silent))
    {
        return NGX_ERROR;
    }

    va_start(args, fmt);
    p = ngx_vslprintf(text, text + sizeof(text), fmt, args);
    va_end(args);

    ngx_str_set(&shown, "");

    if (value != NULL) {
        shown = *value;
        ngx_http_loyalty_show(&shown, buf);
    }

    level = (refusal == NGX_HTTP_LOYALTY_REFUSE_NO_MEMBER) ? NGX_LOG_INFO
                                                           : NGX_LOG_WARN;

    ngx_log_error(level, r->connection->log, 0,
                  "\"%V\" was not observed: %*s%s%V%s, reason: %s, %ui more "
                  "since the last such line, in %s:%ui",
                  &rule->type, (size_t) (p - text), text,
                  value ? ": \"" : "", &shown, value ? "\"" : "",
                  ngx_http_loyalty_refusal(refusal), silent,
                  rule->place.file, rule->place.line);

    return NGX_ERROR;
}
