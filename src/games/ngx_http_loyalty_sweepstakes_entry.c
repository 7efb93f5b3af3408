/*
 * Entering a sweepstakes: POST sweepstakes/NAME/entries by the member, and
 * the target that an event or a reversal brings along when its awards may
 * enter or void tickets.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <openssl/rand.h>

#include "ngx_http_loyalty_sweepstakes.h"
#include "ngx_http_loyalty_await.h"
#include "ngx_http_loyalty_request.h"


#define NGX_HTTP_LOYALTY_ENTRY_ARG  8192          /* beside the rule's blob */
#define NGX_HTTP_LOYALTY_SALE_KEYS  3             /* the game's: no member's
                                                     go before them */


typedef struct {
    ngx_http_loyalty_enter_t        enter;        /* first */
    ngx_http_loyalty_await_t        await;
    ngx_http_loyalty_campaign_t    *campaign;
    ngx_http_loyalty_idempotency_t  idempotency;
    int64_t                         now;
    int64_t                         tickets;
    ngx_uint_t                      method;
    u_char                          needle[NGX_HTTP_LOYALTY_NEEDLE];
    u_char                          salt[LOYALTY_SALT];
    ngx_str_t                      *bar;          /* why nobody enters, or
                                                     NULL */
    ngx_http_loyalty_call_t         call;
} ngx_http_loyalty_entry_ctx_t;


/* an entry as the member's record remembers it */

typedef struct {
    loyalty_entry_t                 entry;
    const u_char                   *salt;
    ngx_str_t                       id;
} ngx_http_loyalty_ticket_t;


static ngx_int_t ngx_http_loyalty_entry_body(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_entry_ctx_t *ectx,
    ngx_http_loyalty_fault_t *fault);
static ngx_int_t ngx_http_loyalty_entry_ready(
    ngx_http_loyalty_member_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_entry_send(
    ngx_http_loyalty_member_ctx_t *ctx);
static void ngx_http_loyalty_entry_barred(ngx_http_loyalty_entry_ctx_t *ectx,
    loyalty_mpw_t *w);
static void ngx_http_loyalty_entry_enter(ngx_http_loyalty_entry_ctx_t *ectx);
static ngx_int_t ngx_http_loyalty_entry_reply(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_entry_refused(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_entry_find(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_record_t *record,
    ngx_http_loyalty_ticket_t *ticket);
static ngx_int_t ngx_http_loyalty_entry_read(loyalty_mpr_t *r,
    ngx_http_loyalty_ticket_t *ticket);
static ngx_int_t ngx_http_loyalty_entry_json(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_record_t *record,
    ngx_http_loyalty_ticket_t *ticket, loyalty_out_t *out);
static ngx_int_t ngx_http_loyalty_entry_receipt(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_ticket_t *ticket,
    loyalty_out_t *out);


ngx_int_t
ngx_http_loyalty_sweepstakes_enter(ngx_http_loyalty_member_ctx_t *ctx)
{
    u_char                         id[NGX_HTTP_LOYALTY_IDEMPOTENCY_ID];
    ngx_int_t                      rc;
    ngx_http_loyalty_fault_t       fault;
    ngx_http_loyalty_entry_ctx_t  *ectx;

    ectx = ngx_pcalloc(ctx->request->pool,
                       sizeof(ngx_http_loyalty_entry_ctx_t));
    if (ectx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->data = ectx;

    ectx->campaign = ngx_http_loyalty_sweepstakes_find(ctx->program,
                                                       &ctx->name);
    if (ectx->campaign == NULL) {
        return ngx_http_loyalty_member_problem(ctx,
                                    NGX_HTTP_LOYALTY_P_UNKNOWN_GAME, NULL);
    }

    rc = ngx_http_loyalty_entry_body(ctx, ectx, &fault);

    if (rc == NGX_OK) {
        rc = ngx_http_loyalty_idempotency(ctx, &ectx->idempotency, &fault);
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_loyalty_member_fault(ctx, &fault);
    }

    if (rc != NGX_OK
        || ngx_http_loyalty_idempotency_id(ctx, &ectx->idempotency, id)
           != NGX_OK
        || RAND_bytes(ectx->salt, LOYALTY_SALT) != 1)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_loyalty_idempotency_needle(ectx->needle,
                                        NGX_HTTP_LOYALTY_NEEDLE_ENTRY, id);

    /* what is known is told wherever the sweepstakes is configured */

    ectx->await.shows = 1;

    return ngx_http_loyalty_await(&ectx->await, ctx, ectx->campaign,
                                     ngx_http_loyalty_entry_ready);
}


/* {"tickets":3}, {"tickets":1,"free":true} */

static ngx_int_t
ngx_http_loyalty_entry_body(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_entry_ctx_t *ectx, ngx_http_loyalty_fault_t *fault)
{
    json_t                               *value;
    const char                           *name;
    ngx_http_loyalty_sweepstakes_conf_t  *scf;

    scf = (ngx_http_loyalty_sweepstakes_conf_t *) ectx->campaign;

    fault->item = -1;
    ectx->method = LOYALTY_PURCHASE;

    json_object_foreach(ctx->json, name, value) {

        if (ngx_strcmp(name, "tickets") == 0) {

            ectx->tickets = json_is_integer(value)
                            ? json_integer_value(value) : 0;

            if (ectx->tickets < 1
                || ectx->tickets > NGX_HTTP_LOYALTY_TICKETS)
            {
                (void) ngx_http_loyalty_json_fault(fault, name, NULL,
                                         "a whole number from 1 to %L is "
                                         "expected",
                                         (int64_t) NGX_HTTP_LOYALTY_TICKETS);
                return NGX_DECLINED;
            }

        } else if (ngx_strcmp(name, "free") == 0) {

            if (!json_is_boolean(value)) {
                (void) ngx_http_loyalty_json_fault(fault, name, NULL,
                                            "true or false is expected");
                return NGX_DECLINED;
            }

            if (json_is_true(value)) {
                ectx->method = LOYALTY_FREE_ENTRY;
            }

        } else {
            (void) ngx_http_loyalty_json_fault(fault, name, NULL,
                                        "the field is unknown: expected are "
                                        "tickets and free");
            return NGX_DECLINED;
        }
    }

    if (ectx->tickets == 0) {
        (void) ngx_http_loyalty_json_fault(fault, "tickets", NULL,
                                           "how many is expected");
        return NGX_DECLINED;
    }

    if (ectx->method == LOYALTY_FREE_ENTRY && !scf->free_entry) {
        (void) ngx_http_loyalty_json_fault(fault, "free", NULL,
                                           "this sweepstakes has no free "
                                           "entry");
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_entry_ready(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_str_t                      detail;
    ngx_http_loyalty_entry_ctx_t  *ectx;

    ectx = ctx->data;
    ectx->bar = NULL;

    if (ectx->await.stopped) {

        if (!ngx_http_loyalty_campaign_known(ectx->campaign)) {
            ngx_str_set(&detail, NGX_HTTP_LOYALTY_STOPPED);
            return ngx_http_loyalty_member_problem(ctx, ectx->await.stopped,
                                                   &detail);
        }

        ectx->bar = &ngx_http_loyalty_problems[ectx->await.stopped].code;

    } else if (ngx_http_loyalty_campaign_may(ectx->campaign, ctx->request,
                                             &ctx->member, ectx->now)
               != NGX_OK)
    {
        ectx->bar =
             &ngx_http_loyalty_problems[NGX_HTTP_LOYALTY_P_NOT_ELIGIBLE].code;
    }

    return ngx_http_loyalty_entry_send(ctx);
}


static ngx_int_t
ngx_http_loyalty_entry_send(ngx_http_loyalty_member_ctx_t *ctx)
{
    u_char                        *buf;
    size_t                         size;
    ngx_int_t                      rc;
    ngx_str_t                      arg;
    loyalty_mpw_t                  w;
    ngx_http_loyalty_entry_ctx_t  *ectx;

    ectx = ctx->data;
    ectx->now = ngx_http_loyalty_now();

    ngx_http_loyalty_entry_enter(ectx);

    if (ctx->program->split && ectx->bar == NULL) {
        return ngx_http_loyalty_enter_reserve(ctx);
    }

    size = NGX_HTTP_LOYALTY_ENTRY_ARG + ectx->campaign->rule->blob.len
           + ctx->program->constants.len;

    buf = ngx_pnalloc(ctx->request->pool, size);
    if (buf == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    loyalty_mpw_init(&w, buf, size);

    ngx_http_loyalty_call_member(&ectx->call, ctx->program, &ctx->member);
    ngx_http_loyalty_request_arg(ctx, &ectx->idempotency, ectx->needle,
                                 ectx->now, &w);

    if (ectx->bar != NULL) {
        ngx_http_loyalty_entry_barred(ectx, &w);
        rc = NGX_OK;

    } else {
        rc = ngx_http_loyalty_entry_target(ectx->campaign, &ctx->member,
                                           &ectx->idempotency.key, ectx->salt,
                                           ectx->now, &ectx->call, &w);
    }

    loyalty_mpw_int(&w, ectx->tickets);
    loyalty_mpw_int(&w, ectx->method);
    loyalty_mpw_str(&w, ectx->idempotency.key.data,
                    ectx->idempotency.key.len);

    if (rc != NGX_OK || w.failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    arg.data = buf;
    arg.len = w.pos - buf;

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_FN_ENTER,
                                        ectx->call.nkeys, ectx->call.keys,
                                        &arg, ngx_http_loyalty_entry_reply);
}


/* a target that is not there: an entry is told if it is known, and is not made
   otherwise */

static void
ngx_http_loyalty_entry_barred(ngx_http_loyalty_entry_ctx_t *ectx,
    loyalty_mpw_t *w)
{
    loyalty_mpw_array(w, 4);
    loyalty_mpw_str(w, ectx->campaign->rule->hash, NGX_HTTP_LOYALTY_HASH);
    loyalty_mpw_int(w, 0);
    loyalty_mpw_str(w, ectx->bar->data, ectx->bar->len);
    loyalty_mpw_int(w, ectx->campaign->close);
}


/* the same in three steps, or for what is found open */

static void
ngx_http_loyalty_entry_enter(ngx_http_loyalty_entry_ctx_t *ectx)
{
    ngx_http_loyalty_enter_t  *enter;

    enter = &ectx->enter;

    enter->campaign = ectx->campaign;
    enter->idempotency = &ectx->idempotency;
    enter->needle = ectx->needle;
    enter->salt = ectx->salt;
    enter->id = &ectx->idempotency.key;
    enter->now = ectx->now;
    enter->tickets = ectx->tickets;
    enter->method = ectx->method;
    enter->reply = ngx_http_loyalty_entry_reply;
    enter->again = ngx_http_loyalty_entry_send;
}


static ngx_int_t
ngx_http_loyalty_entry_reply(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    loyalty_out_t                  out;
    ngx_http_loyalty_record_t      record;
    ngx_http_loyalty_ticket_t      ticket;
    ngx_http_loyalty_entry_ctx_t  *ectx;

    ectx = ctx->data;

    if (reply->n == 1 && !reply->array && reply->values[0].len > 1) {

        if (reply->values[0].data[0] == 'E') {
            return ngx_http_loyalty_entry_refused(ctx, &reply->values[0]);
        }

        if (reply->values[0].data[0] == 'O') {
            return ngx_http_loyalty_enter_steps(ctx, &reply->values[0]);
        }
    }

    ngx_http_loyalty_out_pool(&out, ctx->request->pool, 1024);

    if (ngx_http_loyalty_request_record(ctx, reply, &record) != NGX_OK
        || ngx_http_loyalty_entry_find(ctx, &record, &ticket) != NGX_OK
        || ngx_http_loyalty_entry_json(ctx, &record, &ticket, &out) != NGX_OK)
    {
        return out.failed
               ? ngx_http_loyalty_member_problem(ctx,
                                        NGX_HTTP_LOYALTY_P_INTERNAL, NULL)
               : ngx_http_loyalty_member_damaged(ctx);
    }

    ngx_http_loyalty_campaign_saw(ectx->campaign, ticket.entry.seq + 1);

    return ngx_http_loyalty_member_send(ctx, &out);
}


/* another chunk, another generation, or a call that took long: once more */

static ngx_int_t
ngx_http_loyalty_entry_refused(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_str_t *value)
{
    ngx_int_t                      rc;
    ngx_http_loyalty_entry_ctx_t  *ectx;

    static ngx_str_t  skew = ngx_string("Eclock_skew");

    ectx = ctx->data;

    rc = ngx_http_loyalty_entry_retry(ectx->campaign, value);

    if (rc == NGX_DECLINED
        && value->len == skew.len
        && ngx_memcmp(value->data, skew.data, skew.len) == 0
        && ngx_http_loyalty_now() - ectx->now > NGX_HTTP_LOYALTY_LATE / 2)
    {
        rc = NGX_OK;
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_loyalty_request_refused(ctx, value, ectx->now);
    }

    if (ectx->await.tries++ >= NGX_HTTP_LOYALTY_TRIES) {
        return ngx_http_loyalty_member_problem(ctx, NGX_HTTP_LOYALTY_P_BUSY,
                                               NULL);
    }

    if (rc == NGX_OK) {
        return ngx_http_loyalty_entry_send(ctx);
    }

    return ngx_http_loyalty_await(&ectx->await, ctx, ectx->campaign,
                                     ngx_http_loyalty_entry_ready);
}


/* the record's entry of tickets, and the game's entry that it tells of */

static ngx_int_t
ngx_http_loyalty_entry_find(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_record_t *record, ngx_http_loyalty_ticket_t *ticket)
{
    ngx_int_t                      rc;
    loyalty_mpr_t                  r;
    ngx_http_loyalty_entry_t       entry;
    ngx_http_loyalty_campaign_t   *campaign;
    ngx_http_loyalty_entry_ctx_t  *ectx;

    ectx = ctx->data;
    campaign = ectx->campaign;
    r = record->entries;

    do {
        rc = ngx_http_loyalty_entry_next(&r, &entry);

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }

    } while (entry.kind != NGX_HTTP_LOYALTY_ENTRY_TICKETS);

    if (ngx_http_loyalty_entry_read(&entry.values, ticket) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memcpy(ticket->entry.cid, campaign->cid, LOYALTY_CID);
    ticket->entry.t = (uint64_t) record->at;
    ticket->entry.flags = 0;

    if (ngx_http_loyalty_campaign_person(campaign, &ctx->member,
                                         ticket->entry.person)
        != NGX_OK
        || loyalty_entry_commit(ticket->entry.commit, ticket->salt,
                                ctx->member.data, ctx->member.len,
                                ticket->id.data, ticket->id.len)
           != 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_entry_read(loyalty_mpr_t *r,
    ngx_http_loyalty_ticket_t *ticket)
{
    int64_t               slot, seq, first, n, method;
    uint32_t              len;
    const unsigned char  *p;

    if (loyalty_mpr_int(r, &slot) != 0
        || loyalty_mpr_int(r, &seq) != 0
        || loyalty_mpr_int(r, &first) != 0
        || loyalty_mpr_int(r, &n) != 0
        || loyalty_mpr_int(r, &method) != 0
        || loyalty_mpr_str(r, &ticket->salt, &len) != 0
        || len != LOYALTY_SALT
        || loyalty_mpr_str(r, &p, &len) != 0)
    {
        return NGX_ERROR;
    }

    ticket->entry.seq = (uint64_t) seq;
    ticket->entry.first = (uint64_t) first;
    ticket->entry.tickets = (uint32_t) n;
    ticket->entry.method = (uint8_t) method;
    ticket->id.data = (u_char *) p;
    ticket->id.len = len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_entry_json(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_record_t *record, ngx_http_loyalty_ticket_t *ticket,
    loyalty_out_t *out)
{
    loyalty_out_lit(out, "{\"sweepstakes\":");
    loyalty_out_str(out, ctx->name.data, ctx->name.len);
    loyalty_out_lit(out, ",\"entry\":");
    loyalty_out_int(out, (int64_t) ticket->entry.seq);
    loyalty_out_lit(out, ",\"first\":");
    loyalty_out_int(out, (int64_t) ticket->entry.first);
    loyalty_out_lit(out, ",\"count\":");
    loyalty_out_int(out, ticket->entry.tickets);

    if (ticket->entry.method == LOYALTY_FREE_ENTRY) {
        loyalty_out_lit(out, ",\"free\":true,");

    } else {
        loyalty_out_lit(out, ",\"free\":false,");
    }

    if (ngx_http_loyalty_effects_json(ctx->program, record, out) != NGX_OK) {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, ",");

    if (ngx_http_loyalty_balances_json(ctx->program, record, out) != NGX_OK) {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, ",\"receipt\":");

    if (ngx_http_loyalty_entry_receipt(ctx, ticket, out) != NGX_OK) {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, "}");

    return out->failed ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_entry_receipt(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_ticket_t *ticket, loyalty_out_t *out)
{
    size_t                         len;
    u_char                         record[LOYALTY_ENTRY_LEN];
    u_char                         signature[LOYALTY_SIGNATURE];
    u_char                         text[2 * LOYALTY_ENTRY_LEN];
    ngx_http_loyalty_entry_ctx_t  *ectx;

    ectx = ctx->data;

    if (loyalty_entry_encode(record, sizeof(record), &ticket->entry)
        != LOYALTY_ENTRY_LEN
        || ngx_http_loyalty_campaign_receipt(ectx->campaign, record,
                                             LOYALTY_ENTRY_LEN, signature)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, "{\"campaign\":");
    loyalty_out_str(out, ectx->campaign->hex, 2 * LOYALTY_CID);
    loyalty_out_lit(out, ",\"record\":");
    len = loyalty_hex(text, record, LOYALTY_ENTRY_LEN);
    loyalty_out_str(out, text, len);
    loyalty_out_lit(out, ",\"signature\":");
    len = loyalty_base64(text, signature, LOYALTY_SIGNATURE);
    loyalty_out_str(out, text, len);
    loyalty_out_lit(out, ",\"salt\":");
    len = loyalty_hex(text, ticket->salt, LOYALTY_SALT);
    loyalty_out_str(out, text, len);
    loyalty_out_lit(out, ",\"member\":");
    loyalty_out_str(out, ctx->member.data, ctx->member.len);
    loyalty_out_lit(out, ",\"event\":");
    loyalty_out_str(out, ticket->id.data, ticket->id.len);
    loyalty_out_lit(out, "}");

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_entry_target(ngx_http_loyalty_campaign_t *campaign,
    ngx_str_t *member, ngx_str_t *id, const u_char *salt, int64_t now,
    ngx_http_loyalty_call_t *call, loyalty_mpw_t *w)
{
    u_char                       person[LOYALTY_HASH], commit[LOYALTY_HASH];
    int64_t                      chunk;
    ngx_int_t                    index;
    ngx_http_loyalty_version_t  *version;

    version = ngx_http_loyalty_campaign_version(campaign);

    if (ngx_http_loyalty_campaign_person(campaign, member, person) != NGX_OK
        || loyalty_entry_commit(commit, salt, member->data, member->len,
                                id->data, id->len)
           != 0)
    {
        return NGX_ERROR;
    }

    index = ngx_http_loyalty_campaign_appends(campaign, "e", -1, call, &chunk);

    if (index == NGX_ERROR
        || (call->nkeys > NGX_HTTP_LOYALTY_SALE_KEYS
            && ngx_http_loyalty_split_key(call, campaign, "gone", member)
               != NGX_OK))
    {
        return NGX_ERROR;
    }

    loyalty_mpw_array(w, 10);
    loyalty_mpw_str(w, campaign->rule->hash, NGX_HTTP_LOYALTY_HASH);
    loyalty_mpw_int(w, index);
    loyalty_mpw_str(w, version->blob.data, version->blob.len);
    loyalty_mpw_str(w, person, LOYALTY_HASH);
    loyalty_mpw_str(w, commit, LOYALTY_HASH);
    loyalty_mpw_str(w, salt, LOYALTY_SALT);
    loyalty_mpw_int(w, chunk);
    ngx_http_loyalty_request_periods(campaign->program, now, w);
    loyalty_mpw_int(w, ngx_http_loyalty_campaign_generation(campaign));
    loyalty_mpw_int(w, ngx_http_loyalty_campaign_may(campaign, NULL, member,
                                                     now)
                       == NGX_OK ? 1 : 0);

    return NGX_OK;
}


/*
 * Of an event or a reversal.  A campaign that is stopped lets nobody enter,
 * and the event counts; one that this worker has yet to hear of has it sent
 * again, so that no award is lost.
 */

ngx_int_t
ngx_http_loyalty_sweepstakes_target(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, ngx_str_t *member, ngx_str_t *id,
    int64_t now, ngx_http_loyalty_call_t *call, loyalty_mpw_t *w)
{
    u_char                        salt[LOYALTY_SALT];
    ngx_int_t                     rc;
    ngx_str_t                    *code;
    ngx_http_loyalty_problem_e    problem;
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = rule->conf;

    rc = ngx_http_loyalty_campaign_awards(campaign, &problem);

    if (rc == NGX_AGAIN || rc == NGX_BUSY) {
        return rc;
    }

    if (rc != NGX_OK) {
        code = &ngx_http_loyalty_problems[problem].code;

        loyalty_mpw_array(w, 4);
        loyalty_mpw_str(w, rule->hash, NGX_HTTP_LOYALTY_HASH);
        loyalty_mpw_int(w, 0);
        loyalty_mpw_str(w, code->data, code->len);
        loyalty_mpw_int(w, campaign->close);

        return NGX_OK;
    }

    if (RAND_bytes(salt, LOYALTY_SALT) != 1) {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_entry_target(campaign, member, id, salt, now,
                                         call, w);
}


void
ngx_http_loyalty_sweepstakes_missed(ngx_http_loyalty_rule_t *rule,
    int64_t seq)
{
    if (seq < 0) {
        ngx_http_loyalty_campaign_refresh(rule->conf);

    } else {
        ngx_http_loyalty_campaign_saw(rule->conf, seq);
    }
}
