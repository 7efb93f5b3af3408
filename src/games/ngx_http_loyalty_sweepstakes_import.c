/*
 * POST sweepstakes/NAME/entries of the admin API: entries from elsewhere,
 * lines of {"member":"...","tickets":3,"id":"..."}, until the close.
 *
 * Each line is a step of its own, with the caps of every other entry and
 * without a price.  Its id is remembered: an import that broke off is sent
 * again as it is.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <openssl/rand.h>

#include "ngx_http_loyalty_sweepstakes_admin.h"


#define NGX_HTTP_LOYALTY_IMPORT_REFUSED  100      /* that are told */
#define NGX_HTTP_LOYALTY_IMPORT_ARG      8192


typedef struct {
    ngx_uint_t                        line;
    ngx_str_t                         code;
} ngx_http_loyalty_import_refused_t;


typedef struct {
    ngx_http_loyalty_enter_t          enter;      /* first */
    ngx_http_loyalty_await_t          await;
    ngx_http_loyalty_campaign_t      *campaign;
    u_char                           *pos;        /* in the body */
    ngx_uint_t                        line;
    int64_t                           entered;
    int64_t                           tickets;
    int64_t                           duplicates;
    int64_t                           nrefused;
    ngx_http_loyalty_import_refused_t refused[
                                            NGX_HTTP_LOYALTY_IMPORT_REFUSED];

    /* the line under way */
    json_t                           *json;
    ngx_str_t                         member;
    ngx_str_t                         id;
    int64_t                           n;
    int64_t                           now;
    ngx_uint_t                        tries;
    ngx_http_loyalty_idempotency_t    idempotency;
    u_char                            needle[NGX_HTTP_LOYALTY_NEEDLE];
    u_char                            salt[LOYALTY_SALT];
    ngx_http_loyalty_call_t           call;
    u_char                           *buf;
    size_t                            size;
} ngx_http_loyalty_import_ctx_t;


static ngx_int_t ngx_http_loyalty_import_ready(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_import_next(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_import_line(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_str_t *line,
    ngx_http_loyalty_fault_t *fault);
static ngx_int_t ngx_http_loyalty_import_known(
    ngx_http_loyalty_import_ctx_t *in);
static ngx_int_t ngx_http_loyalty_import_begin(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_import_send(
    ngx_http_loyalty_member_ctx_t *ctx);
static void ngx_http_loyalty_import_enter(ngx_http_loyalty_import_ctx_t *in);
static ngx_int_t ngx_http_loyalty_import_reply(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_import_error(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_str_t *value);
static void ngx_http_loyalty_import_refuse(ngx_http_loyalty_member_ctx_t *ctx,
    const u_char *code, size_t len);
static ngx_int_t ngx_http_loyalty_import_done(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_import_stop(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_problem_e problem,
    ngx_str_t *field, ngx_str_t *why);
static void ngx_http_loyalty_import_cleanup(void *data);


static const ngx_http_loyalty_fields_t  ngx_http_loyalty_import_fields[] = {

    { "member", NGX_HTTP_LOYALTY_FIELD_TEXT,
      offsetof(ngx_http_loyalty_import_ctx_t, member), 0,
      NGX_HTTP_LOYALTY_ID, 1 },

    { "tickets", NGX_HTTP_LOYALTY_FIELD_INT,
      offsetof(ngx_http_loyalty_import_ctx_t, n), 1,
      NGX_HTTP_LOYALTY_TICKETS, 1 },

    { "id", NGX_HTTP_LOYALTY_FIELD_TEXT,
      offsetof(ngx_http_loyalty_import_ctx_t, id), 0, NGX_HTTP_LOYALTY_ID,
      1 },

    { NULL, 0, 0, 0, 0, 0 }
};


ngx_int_t
ngx_http_loyalty_admin_entries(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_http_cleanup_t             *cln;
    ngx_http_loyalty_import_ctx_t  *in;

    in = ngx_pcalloc(ctx->request->pool,
                     sizeof(ngx_http_loyalty_import_ctx_t));
    if (in == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->data = in;
    in->pos = ctx->body.start;

    in->campaign = ngx_http_loyalty_sweepstakes_find(ctx->program,
                                                     &ctx->name);
    if (in->campaign == NULL) {
        return ngx_http_loyalty_member_problem(ctx,
                                    NGX_HTTP_LOYALTY_P_UNKNOWN_GAME, NULL);
    }

    cln = ngx_http_cleanup_add(ctx->request, 0);

    in->size = NGX_HTTP_LOYALTY_IMPORT_ARG + in->campaign->rule->blob.len
               + ctx->program->constants.len;
    in->buf = ngx_pnalloc(ctx->request->pool, in->size);

    if (cln == NULL || in->buf == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_loyalty_import_cleanup;
    cln->data = in;

    return ngx_http_loyalty_await(&in->await, ctx, in->campaign,
                                     ngx_http_loyalty_import_ready);
}


static ngx_int_t
ngx_http_loyalty_import_ready(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_str_t                       none;
    ngx_http_loyalty_import_ctx_t  *in;

    in = ctx->data;

    /* it is asked again in the middle of a line when something changed */

    if (in->json != NULL) {
        return ngx_http_loyalty_import_send(ctx);
    }

    ngx_str_null(&none);

    return ngx_http_loyalty_admin_note(ctx, "entries", &ctx->name, &none,
                                       ngx_http_loyalty_import_next);
}


static ngx_int_t
ngx_http_loyalty_import_next(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_int_t                       rc;
    ngx_str_t                       line;
    ngx_http_loyalty_fault_t        fault;
    ngx_http_loyalty_import_ctx_t  *in;

    in = ctx->data;

    while (ngx_http_loyalty_body_line(&ctx->body, &in->pos, &in->line, &line)
           == NGX_OK)
    {
        if (ngx_http_loyalty_import_line(ctx, &line, &fault) != NGX_OK) {
            return ngx_http_loyalty_import_stop(ctx, fault.problem,
                                                &fault.pointer,
                                                &fault.detail);
        }

        rc = ngx_http_loyalty_import_begin(ctx);

        /* NGX_DECLINED: this one may not enter, and is noted */

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    return ngx_http_loyalty_import_done(ctx);
}


static ngx_int_t
ngx_http_loyalty_import_line(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_str_t *line, ngx_http_loyalty_fault_t *fault)
{
    ngx_http_loyalty_import_ctx_t  *in;

    in = ctx->data;

    if (in->json != NULL) {
        json_decref(in->json);
    }

    in->json = ngx_http_loyalty_json(line, fault);
    if (in->json == NULL) {
        return NGX_ERROR;
    }

    fault->item = -1;

    if (!json_is_object(in->json)) {
        return ngx_http_loyalty_json_fault(fault, NULL, NULL,
                                           "an object is expected");
    }

    if (ngx_http_loyalty_fields(in->json, ngx_http_loyalty_import_fields, in,
                                fault)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_loyalty_import_known(in) != NGX_OK
        || RAND_bytes(in->salt, LOYALTY_SALT) != 1)
    {
        ngx_http_loyalty_fault(fault, NGX_HTTP_LOYALTY_P_INTERNAL, "");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* what the record is known by, and what it must repeat */

static ngx_int_t
ngx_http_loyalty_import_known(ngx_http_loyalty_import_ctx_t *in)
{
    u_char         hash[LOYALTY_HASH];
    loyalty_sha_t  sha;

    loyalty_sha_init(&sha);
    loyalty_sha_raw(&sha, "import", sizeof("import"));
    loyalty_sha_raw(&sha, in->campaign->cid, LOYALTY_CID);
    loyalty_sha_lp(&sha, in->id.data, in->id.len);

    if (loyalty_sha_final(&sha, hash) != 0) {
        return NGX_ERROR;
    }

    ngx_http_loyalty_idempotency_needle(in->needle,
                                        NGX_HTTP_LOYALTY_NEEDLE_ENTRY, hash);

    loyalty_sha_init(&sha);
    loyalty_sha_u64(&sha, (uint64_t) in->n);

    if (loyalty_sha_final(&sha, hash) != 0) {
        return NGX_ERROR;
    }

    in->idempotency.key = in->id;
    ngx_memcpy(in->idempotency.fingerprint, hash,
               sizeof(in->idempotency.fingerprint));

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_import_begin(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_http_loyalty_import_ctx_t  *in;

    in = ctx->data;
    in->tries = 0;

    switch (ngx_http_loyalty_member_is(ctx, &in->member)) {

    case NGX_OK:
        break;

    case NGX_DECLINED:
        ngx_http_loyalty_import_refuse(ctx, (u_char *) "unknown_member",
                                       sizeof("unknown_member") - 1);
        return NGX_DECLINED;

    default: /* NGX_ERROR */
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_loyalty_campaign_may(in->campaign, NULL, &ctx->member,
                                      ngx_http_loyalty_now())
        != NGX_OK)
    {
        ngx_http_loyalty_import_refuse(ctx, (u_char *) "not_eligible",
                                       sizeof("not_eligible") - 1);
        return NGX_DECLINED;
    }

    return ngx_http_loyalty_import_send(ctx);
}


static ngx_int_t
ngx_http_loyalty_import_send(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_int_t                       rc;
    ngx_str_t                       arg;
    loyalty_mpw_t                   w;
    ngx_http_loyalty_import_ctx_t  *in;

    in = ctx->data;
    in->now = ngx_http_loyalty_now();

    ngx_http_loyalty_import_enter(in);

    if (ctx->program->split) {
        return ngx_http_loyalty_enter_reserve(ctx);
    }

    loyalty_mpw_init(&w, in->buf, in->size);

    ngx_http_loyalty_call_member(&in->call, ctx->program, &ctx->member);
    ngx_http_loyalty_request_arg(ctx, &in->idempotency, in->needle, in->now,
                                 &w);

    rc = ngx_http_loyalty_entry_target(in->campaign, &ctx->member, &in->id,
                                       in->salt, in->now, &in->call, &w);

    loyalty_mpw_int(&w, in->n);
    loyalty_mpw_int(&w, LOYALTY_IMPORT);
    loyalty_mpw_str(&w, in->id.data, in->id.len);

    if (rc != NGX_OK || w.failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    arg.data = in->buf;
    arg.len = w.pos - in->buf;

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_FN_ENTER,
                                        in->call.nkeys, in->call.keys, &arg,
                                        ngx_http_loyalty_import_reply);
}


/* the same in three steps, or for what is found open */

static void
ngx_http_loyalty_import_enter(ngx_http_loyalty_import_ctx_t *in)
{
    ngx_http_loyalty_enter_t  *enter;

    enter = &in->enter;

    enter->campaign = in->campaign;
    enter->idempotency = &in->idempotency;
    enter->needle = in->needle;
    enter->salt = in->salt;
    enter->id = &in->id;
    enter->now = in->now;
    enter->tickets = in->n;
    enter->method = LOYALTY_IMPORT;
    enter->reply = ngx_http_loyalty_import_reply;
    enter->again = ngx_http_loyalty_import_send;
}


static ngx_int_t
ngx_http_loyalty_import_reply(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_str_t                      *value;
    ngx_http_loyalty_import_ctx_t  *in;

    in = ctx->data;
    value = reply->values;

    if (reply->array || reply->n != 1 || value->len < 2) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    switch (value->data[0]) {

    case 'N':
        in->entered++;
        in->tickets += in->n;
        break;

    case 'D':
        in->duplicates++;
        break;

    case 'O':
        return ngx_http_loyalty_enter_steps(ctx, value);

    default: /* 'E' */
        return ngx_http_loyalty_import_error(ctx, value);
    }

    return ngx_http_loyalty_import_next(ctx);
}


/* some codes are about this line, others about the campaign */

static ngx_int_t
ngx_http_loyalty_import_error(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_str_t *value)
{
    u_char                         *p;
    ngx_str_t                       code;
    ngx_uint_t                      i;
    ngx_http_loyalty_import_ctx_t  *in;

    static const struct {
        ngx_str_t                    code;
        ngx_http_loyalty_problem_e   problem;
    } all[] = {
        { ngx_string("not_open"), NGX_HTTP_LOYALTY_P_NOT_OPEN },
        { ngx_string("closed"), NGX_HTTP_LOYALTY_P_CLOSED },
        { ngx_string("paused"), NGX_HTTP_LOYALTY_P_PAUSED },
        { ngx_string("clock_skew"), NGX_HTTP_LOYALTY_P_CLOCK_SKEW }
    };

    in = ctx->data;

    code.data = value->data + 1;
    code.len = value->len - 1;

    switch (ngx_http_loyalty_entry_retry(in->campaign, value)) {

    case NGX_OK:
        if (in->tries++ < NGX_HTTP_LOYALTY_TRIES) {
            return ngx_http_loyalty_import_send(ctx);
        }

        return ngx_http_loyalty_import_stop(ctx, NGX_HTTP_LOYALTY_P_BUSY, NULL,
                                            NULL);

    case NGX_AGAIN:
        if (in->tries++ < NGX_HTTP_LOYALTY_TRIES) {
            return ngx_http_loyalty_await(&in->await, ctx, in->campaign,
                                             ngx_http_loyalty_import_ready);
        }

        return ngx_http_loyalty_import_stop(ctx, NGX_HTTP_LOYALTY_P_BUSY, NULL,
                                            NULL);

    default: /* NGX_DECLINED */
        break;
    }

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i].code.len == code.len
            && ngx_memcmp(all[i].code.data, code.data, code.len) == 0)
        {
            return ngx_http_loyalty_import_stop(ctx, all[i].problem, NULL,
                                                NULL);
        }
    }

    /* without the unit of a limit */

    p = ngx_strlchr(code.data, code.data + code.len, ':');

    if (p != NULL) {
        code.len = p - code.data;
    }

    ngx_http_loyalty_import_refuse(ctx, code.data, code.len);

    return ngx_http_loyalty_import_next(ctx);
}


static void
ngx_http_loyalty_import_refuse(ngx_http_loyalty_member_ctx_t *ctx,
    const u_char *code, size_t len)
{
    ngx_str_t                           text;
    ngx_http_loyalty_import_ctx_t      *in;
    ngx_http_loyalty_import_refused_t  *refused;

    in = ctx->data;

    if (in->nrefused++ >= NGX_HTTP_LOYALTY_IMPORT_REFUSED) {
        return;
    }

    text.data = (u_char *) code;
    text.len = len;

    refused = &in->refused[in->nrefused - 1];

    refused->line = in->line;
    refused->code.len = len;
    refused->code.data = ngx_pstrdup(ctx->request->pool, &text);

    if (refused->code.data == NULL) {
        refused->code.len = 0;
    }
}


static ngx_int_t
ngx_http_loyalty_import_done(ngx_http_loyalty_member_ctx_t *ctx)
{
    int64_t                         i;
    loyalty_out_t                   out;
    ngx_http_loyalty_import_ctx_t  *in;

    in = ctx->data;

    ngx_http_loyalty_out_pool(&out, ctx->request->pool, 512);

    loyalty_out_lit(&out, "{\"sweepstakes\":");
    loyalty_out_str(&out, ctx->name.data, ctx->name.len);
    loyalty_out_lit(&out, ",\"entered\":");
    loyalty_out_int(&out, in->entered);
    loyalty_out_lit(&out, ",\"tickets\":");
    loyalty_out_int(&out, in->tickets);
    loyalty_out_lit(&out, ",\"duplicates\":");
    loyalty_out_int(&out, in->duplicates);
    loyalty_out_lit(&out, ",\"refused\":");
    loyalty_out_int(&out, in->nrefused);
    loyalty_out_lit(&out, ",\"lines\":[");

    for (i = 0;
         i < in->nrefused && i < NGX_HTTP_LOYALTY_IMPORT_REFUSED;
         i++)
    {
        if (i > 0) {
            loyalty_out_lit(&out, ",");
        }

        loyalty_out_lit(&out, "{\"line\":");
        loyalty_out_int(&out, (int64_t) in->refused[i].line);
        loyalty_out_lit(&out, ",\"code\":");
        loyalty_out_str(&out, in->refused[i].code.data,
                        in->refused[i].code.len);
        loyalty_out_lit(&out, "}");
    }

    loyalty_out_lit(&out, "]}");

    return out.failed ? NGX_HTTP_INTERNAL_SERVER_ERROR
                      : ngx_http_loyalty_member_send(ctx, &out);
}


static ngx_int_t
ngx_http_loyalty_import_stop(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_problem_e problem, ngx_str_t *field, ngx_str_t *why)
{
    u_char                          buf[512];
    ngx_str_t                       detail;
    ngx_http_loyalty_import_ctx_t  *in;

    in = ctx->data;

    detail.data = buf;

    if (field != NULL && field->len != 0) {
        detail.len = ngx_snprintf(buf, sizeof(buf),
                                  "line %ui, %V: %V; %L of the lines before "
                                  "it were entered", in->line, field, why,
                                  in->entered)
                     - buf;

    } else if (why != NULL && why->len != 0) {
        detail.len = ngx_snprintf(buf, sizeof(buf),
                                  "line %ui: %V; %L of the lines before it "
                                  "were entered", in->line, why, in->entered)
                     - buf;

    } else {
        detail.len = ngx_snprintf(buf, sizeof(buf),
                                  "line %ui; %L of the lines before it were "
                                  "entered", in->line, in->entered)
                     - buf;
    }

    return ngx_http_loyalty_member_problem(ctx, problem, &detail);
}


static void
ngx_http_loyalty_import_cleanup(void *data)
{
    ngx_http_loyalty_import_ctx_t *in = data;

    if (in->json != NULL) {
        json_decref(in->json);
        in->json = NULL;
    }
}
