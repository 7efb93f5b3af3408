/*
 * A batch: up to 1,000 events in one body, each a step of its own.
 *
 * At most 64 lines are under way, in a ring.  A line is parsed when its turn
 * comes and its JSON is freed with its result, and after a share of lines
 * the event loop gets its turn, so that a long body holds up nobody.
 * Results leave the ring in the order of the lines and are sent together:
 * a client that reads slowly keeps nothing of the store busy.
 */

#include "ngx_http_loyalty_event.h"


#define NGX_HTTP_LOYALTY_SHARE_LINES  NGX_HTTP_LOYALTY_WINDOW
#define NGX_HTTP_LOYALTY_SHARE_BYTES  (256 * 1024)
#define NGX_HTTP_LOYALTY_YIELD        60000       /* ms */

#define NGX_HTTP_LOYALTY_LINE_FIRST   512
#define NGX_HTTP_LOYALTY_BLOCK        32768       /* of the response */
#define NGX_HTTP_LOYALTY_BLOCK_FULL   (NGX_HTTP_LOYALTY_BLOCK - 4096)


typedef struct {
    ngx_http_loyalty_step_t       step;
    ngx_http_loyalty_batch_t     *batch;
    ngx_uint_t                    number;         /* from 0 */
    loyalty_out_t                 out;            /* when it is not its turn */
    ngx_uint_t                    done;
} ngx_http_loyalty_line_t;


struct ngx_http_loyalty_batch_s {
    ngx_http_request_t           *request;
    ngx_http_loyalty_program_t   *program;

    u_char                       *pos;            /* of lines */
    u_char                       *last;
    json_t                       *array;          /* or NULL */

    ngx_uint_t                    total;
    ngx_uint_t                    started;
    ngx_uint_t                    written;        /* results */

    loyalty_out_t                 out;
    ngx_chain_t                  *chain;
    ngx_chain_t                 **chain_last;
    off_t                         length;

    ngx_event_t                   event;          /* goes on with the lines */
    unsigned                      ended:1;
    unsigned                      failed:1;

    ngx_http_loyalty_line_t       lines[NGX_HTTP_LOYALTY_WINDOW];
};


static ngx_http_loyalty_batch_t *ngx_http_loyalty_batch_create(
    ngx_http_request_t *r, ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_fault_t *fault);
static ngx_uint_t ngx_http_loyalty_batch_count(ngx_str_t *body);
static void ngx_http_loyalty_batch_event(ngx_event_t *ev);
static void ngx_http_loyalty_batch_go(ngx_http_loyalty_batch_t *batch);
static void ngx_http_loyalty_batch_yield(ngx_http_loyalty_batch_t *batch);
static size_t ngx_http_loyalty_batch_start(ngx_http_loyalty_batch_t *batch,
    ngx_http_loyalty_line_t *line);
static json_t *ngx_http_loyalty_batch_next(ngx_http_loyalty_batch_t *batch,
    size_t *size, ngx_http_loyalty_fault_t *fault);
static void ngx_http_loyalty_batch_reply(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static loyalty_out_t *ngx_http_loyalty_batch_out(
    ngx_http_loyalty_line_t *line);
static void ngx_http_loyalty_batch_result(ngx_http_loyalty_line_t *line,
    loyalty_out_t *out, ngx_http_loyalty_fault_t *fault);
static void ngx_http_loyalty_batch_separate(ngx_http_loyalty_batch_t *batch);
static void ngx_http_loyalty_batch_block(ngx_http_loyalty_batch_t *batch);
static void ngx_http_loyalty_batch_end(ngx_http_loyalty_batch_t *batch);


ngx_int_t
ngx_http_loyalty_batch_lines(ngx_http_request_t *r,
    ngx_http_loyalty_program_t *program, ngx_str_t *body,
    ngx_http_loyalty_batch_t **batch, ngx_http_loyalty_fault_t *fault)
{
    u_char      *p;
    ngx_str_t    text;
    ngx_uint_t   n;

    text = *body;

    /* empty lines at the end do not count; elsewhere they are not JSON */

    while (text.len) {
        p = text.data + text.len - 1;

        if (*p != '\n' && *p != '\r' && *p != ' ' && *p != '\t') {
            break;
        }

        text.len--;
    }

    n = ngx_http_loyalty_batch_count(&text);

    if (n > NGX_HTTP_LOYALTY_LINES) {
        ngx_http_loyalty_fault(fault, NGX_HTTP_LOYALTY_P_TOO_LARGE,
                               "at most %d lines are expected",
                               NGX_HTTP_LOYALTY_LINES);
        return NGX_ERROR;
    }

    *batch = ngx_http_loyalty_batch_create(r, program, fault);
    if (*batch == NULL) {
        return NGX_ERROR;
    }

    (*batch)->pos = text.data;
    (*batch)->last = text.data + text.len;
    (*batch)->total = n;

    return NGX_BUSY;
}


ngx_int_t
ngx_http_loyalty_batch_array(ngx_http_request_t *r,
    ngx_http_loyalty_program_t *program, json_t *array,
    ngx_http_loyalty_batch_t **batch, ngx_http_loyalty_fault_t *fault)
{
    *batch = ngx_http_loyalty_batch_create(r, program, fault);
    if (*batch == NULL) {
        json_decref(array);
        return NGX_ERROR;
    }

    (*batch)->array = array;
    (*batch)->total = json_array_size(array);

    loyalty_out_lit(&(*batch)->out, "[");

    return NGX_BUSY;
}


static ngx_http_loyalty_batch_t *
ngx_http_loyalty_batch_create(ngx_http_request_t *r,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_fault_t *fault)
{
    ngx_http_loyalty_batch_t  *batch;

    batch = ngx_pcalloc(r->pool, sizeof(ngx_http_loyalty_batch_t));
    if (batch == NULL) {
        ngx_http_loyalty_fault(fault, NGX_HTTP_LOYALTY_P_INTERNAL,
                               "there is no memory left");
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     batch->array = NULL;
     *     batch->started = 0;
     *     batch->written = 0;
     *     batch->chain = NULL;
     *     batch->length = 0;
     *     batch->lines[] = { no operation, no JSON, no buffer };
     */

    batch->request = r;
    batch->program = program;
    batch->chain_last = &batch->chain;

    ngx_http_loyalty_out_pool(&batch->out, r->pool, NGX_HTTP_LOYALTY_BLOCK);

    batch->event.data = batch;
    batch->event.handler = ngx_http_loyalty_batch_event;
    batch->event.log = r->connection->log;

    ngx_post_event(&batch->event, &ngx_posted_events);

    return batch;
}


static ngx_uint_t
ngx_http_loyalty_batch_count(ngx_str_t *body)
{
    u_char      *p, *last;
    ngx_uint_t   n;

    p = body->data;
    last = p + body->len;

    for (n = 0; p < last; n++) {

        p = memchr(p, '\n', last - p);
        if (p == NULL) {
            return n + 1;
        }

        p++;
    }

    return n;
}


static void
ngx_http_loyalty_batch_event(ngx_event_t *ev)
{
    ngx_connection_t          *c;
    ngx_http_loyalty_batch_t  *batch;

    batch = ev->data;
    c = batch->request->connection;

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    if (!ngx_http_loyalty_event_waits(batch->request, batch)) {
        return;
    }

    ngx_http_set_log_request(c->log, batch->request);

    ngx_http_loyalty_batch_go(batch);
    ngx_http_run_posted_requests(c);
}


/* starts what there is room for, and ends the batch after the last result:
   neither the batch nor the request may be touched afterwards */

static void
ngx_http_loyalty_batch_go(ngx_http_loyalty_batch_t *batch)
{
    size_t                    bytes;
    ngx_uint_t                n;
    ngx_http_loyalty_line_t  *line;

    bytes = 0;
    n = 0;

    while (!batch->event.posted
           && batch->started < batch->total
           && batch->started - batch->written < NGX_HTTP_LOYALTY_WINDOW)
    {
        if (n == NGX_HTTP_LOYALTY_SHARE_LINES
            || bytes > NGX_HTTP_LOYALTY_SHARE_BYTES)
        {
            ngx_http_loyalty_batch_yield(batch);
            break;
        }

        line = &batch->lines[batch->started % NGX_HTTP_LOYALTY_WINDOW];

        line->batch = batch;
        line->number = batch->started++;
        line->done = 0;

        bytes += ngx_http_loyalty_batch_start(batch, line);
        n++;
    }

    if (batch->written == batch->total) {
        ngx_http_loyalty_batch_end(batch);
    }
}


/*
 * A worker that is to leave does so as soon as no timer is left, whatever is
 * posted: the timer, which never comes, keeps it until the event has.
 */

static void
ngx_http_loyalty_batch_yield(ngx_http_loyalty_batch_t *batch)
{
    ngx_post_event(&batch->event, &ngx_posted_next_events);
    ngx_add_timer(&batch->event, NGX_HTTP_LOYALTY_YIELD);
}


/* the number of bytes that were parsed */

static size_t
ngx_http_loyalty_batch_start(ngx_http_loyalty_batch_t *batch,
    ngx_http_loyalty_line_t *line)
{
    size_t                     size;
    ngx_http_loyalty_fault_t   fault;
    ngx_http_loyalty_step_t   *step;

    step = &line->step;

    step->request = batch->request;
    step->program = batch->program;
    step->op = NULL;
    step->json = ngx_http_loyalty_batch_next(batch, &size, &fault);

    if (step->json == NULL
        || ngx_http_loyalty_step_event(step, NGX_HTTP_LOYALTY_BULK,
                                       ngx_http_loyalty_batch_reply, line,
                                       &fault)
           != NGX_OK)
    {
        ngx_http_loyalty_batch_result(line, ngx_http_loyalty_batch_out(line),
                                      &fault);
    }

    return size;
}


/* the JSON of the next line */

static json_t *
ngx_http_loyalty_batch_next(ngx_http_loyalty_batch_t *batch, size_t *size,
    ngx_http_loyalty_fault_t *fault)
{
    u_char      *end;
    size_t       i;
    json_t      *json;
    ngx_str_t    text;

    if (batch->array != NULL) {
        i = batch->started - 1;

        *size = 0;
        json = json_incref(json_array_get(batch->array, i));

        /* from here on the line alone holds it; null is always there */

        (void) json_array_set_new(batch->array, i, json_null());

        return json;
    }

    text.data = batch->pos;

    end = memchr(batch->pos, '\n', batch->last - batch->pos);

    if (end == NULL) {
        end = batch->last;
        batch->pos = end;

    } else {
        batch->pos = end + 1;
    }

    text.len = end - text.data;
    *size = text.len;

    if (text.len > NGX_HTTP_LOYALTY_TEXT) {
        ngx_http_loyalty_fault(fault, NGX_HTTP_LOYALTY_P_TOO_LARGE,
                               "an event of at most %d bytes is expected",
                               NGX_HTTP_LOYALTY_TEXT);
        return NULL;
    }

    return ngx_http_loyalty_json(&text, fault);
}


static void
ngx_http_loyalty_batch_reply(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_line_t *line = data;

    ngx_int_t                  rc;
    loyalty_out_t             *out;
    ngx_connection_t          *c;
    ngx_http_loyalty_fault_t   fault;
    ngx_http_loyalty_batch_t  *batch;

    batch = line->batch;
    c = batch->request->connection;
    line->step.op = NULL;

    if (!ngx_http_loyalty_event_waits(batch->request, batch)) {
        return;
    }

    ngx_http_set_log_request(c->log, batch->request);

    out = ngx_http_loyalty_batch_out(line);

    rc = ngx_http_loyalty_step_reply(&line->step, status, reply, 1, out,
                                     &fault);

    ngx_http_loyalty_batch_result(line, out, rc == NGX_OK ? NULL : &fault);

    ngx_http_loyalty_batch_go(batch);
    ngx_http_run_posted_requests(c);
}


/* where the result of this line is to be written */

static loyalty_out_t *
ngx_http_loyalty_batch_out(ngx_http_loyalty_line_t *line)
{
    ngx_http_loyalty_batch_t  *batch;

    batch = line->batch;

    if (line->number == batch->written) {
        ngx_http_loyalty_batch_separate(batch);
        return &batch->out;
    }

    if (line->out.start == NULL) {
        ngx_http_loyalty_out_pool(&line->out, batch->request->pool,
                                  NGX_HTTP_LOYALTY_LINE_FIRST);

    } else {
        line->out.pos = line->out.start;
    }

    return &line->out;
}


/* the result is in out, or is this fault; results whose turn it is now
   follow */

static void
ngx_http_loyalty_batch_result(ngx_http_loyalty_line_t *line,
    loyalty_out_t *out, ngx_http_loyalty_fault_t *fault)
{
    ngx_http_loyalty_problem_e   problem;
    ngx_http_loyalty_batch_t    *batch;

    batch = line->batch;
    problem = NGX_HTTP_LOYALTY_P_NONE;

    if (fault != NULL) {
        problem = fault->problem;
        ngx_http_loyalty_problem_json(out, problem, &fault->detail,
                                      &fault->pointer);
    }

    ngx_http_loyalty_stat_request(batch->program, NGX_HTTP_LOYALTY_API_EVENT,
                                  problem);

    ngx_http_loyalty_step_done(&line->step);

    if (out->failed) {
        batch->failed = 1;
    }

    if (out == &line->out) {
        line->done = 1;
        return;
    }

    for (batch->written++; batch->written < batch->started; batch->written++)
    {
        line = &batch->lines[batch->written % NGX_HTTP_LOYALTY_WINDOW];

        if (!line->done) {
            break;
        }

        ngx_http_loyalty_batch_separate(batch);
        loyalty_out_raw(&batch->out, line->out.start,
                        line->out.pos - line->out.start);
    }
}


static void
ngx_http_loyalty_batch_separate(ngx_http_loyalty_batch_t *batch)
{
    if (batch->written == 0) {
        return;
    }

    if (batch->array != NULL) {
        loyalty_out_lit(&batch->out, ",");

    } else {
        loyalty_out_lit(&batch->out, "\n");
    }

    if (batch->out.pos - batch->out.start > NGX_HTTP_LOYALTY_BLOCK_FULL) {
        ngx_http_loyalty_batch_block(batch);

        ngx_http_loyalty_out_pool(&batch->out, batch->request->pool,
                                  NGX_HTTP_LOYALTY_BLOCK);
    }
}


/* what has been written goes to the response */

static void
ngx_http_loyalty_batch_block(ngx_http_loyalty_batch_t *batch)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    b = ngx_calloc_buf(batch->request->pool);
    cl = ngx_alloc_chain_link(batch->request->pool);

    if (b == NULL || cl == NULL || batch->out.failed) {
        batch->failed = 1;
        return;
    }

    b->pos = batch->out.start;
    b->last = batch->out.pos;
    b->memory = (b->last > b->pos);

    cl->buf = b;
    cl->next = NULL;

    *batch->chain_last = cl;
    batch->chain_last = &cl->next;

    batch->length += b->last - b->pos;

    b->last_buf = (batch->written == batch->total);
    b->last_in_chain = b->last_buf;
}


static void
ngx_http_loyalty_batch_end(ngx_http_loyalty_batch_t *batch)
{
    ngx_int_t            rc;
    ngx_str_t           *type;
    ngx_http_request_t  *r;

    static ngx_str_t  json = ngx_string("application/json");
    static ngx_str_t  ndjson = ngx_string("application/x-ndjson");

    if (batch->ended) {
        return;
    }

    batch->ended = 1;
    r = batch->request;

    if (batch->array != NULL) {
        type = &json;
        loyalty_out_lit(&batch->out, "]");

    } else {
        type = &ndjson;

        if (batch->total) {
            loyalty_out_lit(&batch->out, "\n");
        }
    }

    ngx_http_loyalty_batch_block(batch);

    if (batch->failed) {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else {
        rc = ngx_http_loyalty_send_chain(r, NGX_HTTP_OK, type, batch->chain,
                                         batch->length);
    }

    ngx_http_finalize_request(r, rc);
}


void
ngx_http_loyalty_batch_cleanup(ngx_http_loyalty_batch_t *batch)
{
    ngx_uint_t  i;

    if (batch->event.posted) {
        ngx_delete_posted_event(&batch->event);
    }

    if (batch->event.timer_set) {
        ngx_del_timer(&batch->event);
    }

    for (i = 0; i < NGX_HTTP_LOYALTY_WINDOW; i++) {
        ngx_http_loyalty_step_done(&batch->lines[i].step);
    }

    if (batch->array != NULL) {
        json_decref(batch->array);
        batch->array = NULL;
    }
}
