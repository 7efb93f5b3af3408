/*
 * What the files of the event API share: an event or a reversal read from
 * JSON, the step that decides it, and batches of steps.
 */

#ifndef _NGX_HTTP_LOYALTY_EVENT_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_EVENT_H_INCLUDED_


#include "ngx_http_loyalty_http.h"


#define NGX_HTTP_LOYALTY_TEXT      65536          /* bytes of one event */
#define NGX_HTTP_LOYALTY_BODY      (16 * 1024 * 1024)
#define NGX_HTTP_LOYALTY_LINES     1000           /* events in a batch */
#define NGX_HTTP_LOYALTY_WINDOW    64             /* of them in flight */
#define NGX_HTTP_LOYALTY_AHEAD     (5 * 60 * 1000)      /* at, ms from now */


/*
 * Why a text was refused.  detail and pointer lie in buf, so a fault must
 * not be copied; pointer.data is NULL where no field is to blame.
 */

typedef struct {
    ngx_http_loyalty_problem_e    problem;
    ngx_str_t                     detail;
    ngx_str_t                     pointer;
    ngx_int_t                     item;           /* to blame, -1: none */
    u_char                        buf[512];
} ngx_http_loyalty_fault_t;


typedef struct {
    ngx_str_t                     id;             /* its own */
    ngx_str_t                     member;
    ngx_str_t                     event;          /* to reverse */
    int64_t                       now;            /* ms */
    int64_t                       amount;         /* -1: absent */
    ngx_uint_t                    nitems;
    ngx_http_loyalty_item_t      *items;          /* sku, category (len 0:
                                                     any), quantity
                                                     (UINT64_MAX: all),
                                                     amount (-1: in
                                                     proportion) */
    u_char                        fingerprint[6];
} ngx_http_loyalty_reversal_t;


/* room for one step on its way to Redis; it is too large for a pool and is
   used only while the step is started, so that it lives on the stack */

typedef struct {
    ngx_http_loyalty_item_t       items[NGX_HTTP_LOYALTY_ITEMS];
    ngx_http_loyalty_call_t       call;
    u_char                        buf[NGX_HTTP_LOYALTY_ARG];
} ngx_http_loyalty_scratch_t;


/* ---- json.c ---- */

void ngx_http_loyalty_fault(ngx_http_loyalty_fault_t *fault,
    ngx_http_loyalty_problem_e problem, const char *fmt, ...);

/*
 * A field of the event or of fault->item that is not as expected, or a key
 * inside it; both NULL: the whole object.  Returns NGX_ERROR.
 */
ngx_int_t ngx_http_loyalty_json_fault(ngx_http_loyalty_fault_t *fault,
    const char *field, const char *key, const char *fmt, ...);

/* any JSON value, strictly; NULL and a fault for anything else */
json_t *ngx_http_loyalty_json(ngx_str_t *text,
    ngx_http_loyalty_fault_t *fault);

/* 1 to max bytes of UTF-8 without control characters */
ngx_int_t ngx_http_loyalty_text_check(ngx_str_t *text, size_t max);

/* 0: there is a number in it that another program might round */
ngx_uint_t ngx_http_loyalty_json_plain(json_t *json);


/* ---- event_json.c ---- */

/*
 * json as an event; NGX_ERROR and a fault when it is none.  Strings point
 * into json, items into scratch.  event->request and event->now are the
 * caller's.
 */
ngx_int_t ngx_http_loyalty_event_parse(ngx_http_loyalty_program_t *program,
    json_t *json, ngx_http_loyalty_event_t *event,
    ngx_http_loyalty_scratch_t *scratch, ngx_http_loyalty_fault_t *fault);

/* the same for a reversal; reversal->event and now are the caller's */
ngx_int_t ngx_http_loyalty_reversal_parse(
    ngx_http_loyalty_program_t *program, json_t *json,
    ngx_http_loyalty_reversal_t *reversal,
    ngx_http_loyalty_scratch_t *scratch, ngx_http_loyalty_fault_t *fault);


/* ---- step.c ---- */

/*
 * One event or reversal between its JSON and its reply.  json is the
 * step's own: it holds the strings that the reply repeats.
 */

typedef struct ngx_http_loyalty_step_s  ngx_http_loyalty_step_t;

struct ngx_http_loyalty_step_s {
    ngx_http_request_t               *request;
    ngx_http_loyalty_program_t       *program;
    ngx_http_loyalty_op_t            *op;         /* NULL: none in flight */
    json_t                           *json;
    ngx_str_t                         member;
    ngx_str_t                         pointer;    /* of a reversal's part */

    /* private to step.c: to send it once more */
    ngx_str_t                         event;      /* to reverse, or len 0 */
    ngx_http_loyalty_lane_e           lane;
    ngx_http_loyalty_op_handler_pt    handler;
    void                             *data;
    ngx_uint_t                        tries;
    ngx_uint_t                        waits;
    ngx_event_t                       timer;
};

/*
 * Sends the step to Redis; handler then is called as redis/ says.
 * NGX_ERROR: nothing was sent, and the fault says why.
 */
ngx_int_t ngx_http_loyalty_step_event(ngx_http_loyalty_step_t *step,
    ngx_http_loyalty_lane_e lane, ngx_http_loyalty_op_handler_pt handler,
    void *data, ngx_http_loyalty_fault_t *fault);
ngx_int_t ngx_http_loyalty_step_reversal(ngx_http_loyalty_step_t *step,
    ngx_str_t *event, ngx_http_loyalty_op_handler_pt handler, void *data,
    ngx_http_loyalty_fault_t *fault);

/*
 * The reply as a JSON object; one of a batch begins with its status.
 * NGX_ERROR: it is a problem, out is as it was, and the fault says which.
 */
ngx_int_t ngx_http_loyalty_step_reply(ngx_http_loyalty_step_t *step,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply,
    ngx_uint_t batch, loyalty_out_t *out, ngx_http_loyalty_fault_t *fault);

/* detaches the operation and frees the JSON; may be called again */
void ngx_http_loyalty_step_done(ngx_http_loyalty_step_t *step);


/* ---- batch.c ---- */

typedef struct ngx_http_loyalty_batch_s  ngx_http_loyalty_batch_t;

/*
 * Runs all events of the body, which stays where it is, and finalizes the
 * request.  NGX_BUSY: under way, *batch is to be given to
 * ngx_http_loyalty_batch_cleanup() when the request ends.  NGX_ERROR: nothing
 * was done, and the fault says why.
 */
ngx_int_t ngx_http_loyalty_batch_lines(ngx_http_request_t *r,
    ngx_http_loyalty_program_t *program, ngx_str_t *body,
    ngx_http_loyalty_batch_t **batch, ngx_http_loyalty_fault_t *fault);

/* the same for an array, which becomes the batch's own */
ngx_int_t ngx_http_loyalty_batch_array(ngx_http_request_t *r,
    ngx_http_loyalty_program_t *program, json_t *array,
    ngx_http_loyalty_batch_t **batch, ngx_http_loyalty_fault_t *fault);

void ngx_http_loyalty_batch_cleanup(ngx_http_loyalty_batch_t *batch);


/* ---- event_api.c ---- */

/* whether the request still waits for this; an internal redirect leaves it
   (post_action does so after a client has gone) */
ngx_uint_t ngx_http_loyalty_event_waits(ngx_http_request_t *r,
    ngx_http_loyalty_batch_t *batch);


#endif /* _NGX_HTTP_LOYALTY_EVENT_H_INCLUDED_ */
