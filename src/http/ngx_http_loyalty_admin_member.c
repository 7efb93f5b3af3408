/*
 * The admin API on one member: looking, correcting, giving.
 */

#include "ngx_http_loyalty_admin.h"
#include "ngx_http_loyalty_draws.h"


#define NGX_HTTP_LOYALTY_ADMIN_ARG     8192
#define NGX_HTTP_LOYALTY_EXPORT_PAGE   100
#define NGX_HTTP_LOYALTY_EXPORT_FIRST  16384


/* a change by hand, between its JSON and its reply */

typedef struct {
    ngx_http_loyalty_idempotency_t    idempotency;
    u_char                            needle[NGX_HTTP_LOYALTY_NEEDLE];
    int64_t                           now;
    ngx_str_t                         member;
    ngx_str_t                         wallet;
    ngx_str_t                         reason;
    ngx_str_t                         method;
    int64_t                           amount;
    ngx_http_loyalty_call_t           call;
    u_char                            buf[NGX_HTTP_LOYALTY_ADMIN_ARG];
} ngx_http_loyalty_change_t;


static ngx_int_t ngx_http_loyalty_admin_member_reply(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_admin_export_me(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_admin_export_reply(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_admin_change(
    ngx_http_loyalty_member_ctx_t *ctx,
    const ngx_http_loyalty_fields_t *fields,
    ngx_http_loyalty_change_t **changep);
static ngx_int_t ngx_http_loyalty_admin_grant_reason(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_change_t *change);
static ngx_int_t ngx_http_loyalty_admin_change_send(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_change_t *change,
    ngx_http_loyalty_fn_e fn, loyalty_mpw_t *w);
static ngx_int_t ngx_http_loyalty_admin_changed(
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_http_loyalty_rule_t *ngx_http_loyalty_admin_game(
    ngx_http_loyalty_program_t *program, ngx_str_t *name);


#define ngx_http_loyalty_change_offset(f)                                    \
    offsetof(ngx_http_loyalty_change_t, f)


static const ngx_http_loyalty_fields_t  ngx_http_loyalty_adjust_fields[] = {

    { "wallet", NGX_HTTP_LOYALTY_FIELD_TEXT,
      ngx_http_loyalty_change_offset(wallet), 0, NGX_HTTP_LOYALTY_ID, 1 },

    { "amount", NGX_HTTP_LOYALTY_FIELD_INT,
      ngx_http_loyalty_change_offset(amount),
      -LOYALTY_MAX_INT, LOYALTY_MAX_INT, 1 },

    { "reason", NGX_HTTP_LOYALTY_FIELD_TEXT,
      ngx_http_loyalty_change_offset(reason), 0, NGX_HTTP_LOYALTY_REASON, 1 },

    { NULL, 0, 0, 0, 0, 0 }
};


static const ngx_http_loyalty_fields_t  ngx_http_loyalty_grant_fields[] = {

    { "member", NGX_HTTP_LOYALTY_FIELD_TEXT,
      ngx_http_loyalty_change_offset(member), 0, NGX_HTTP_LOYALTY_ID, 1 },

    { "plays", NGX_HTTP_LOYALTY_FIELD_INT,
      ngx_http_loyalty_change_offset(amount), 1, 1000000, 1 },

    { "method", NGX_HTTP_LOYALTY_FIELD_TEXT,
      ngx_http_loyalty_change_offset(method), 0, NGX_HTTP_LOYALTY_ID, 0 },

    { "reason", NGX_HTTP_LOYALTY_FIELD_TEXT,
      ngx_http_loyalty_change_offset(reason), 0, NGX_HTTP_LOYALTY_REASON, 0 },

    { NULL, 0, 0, 0, 0, 0 }
};


ngx_int_t
ngx_http_loyalty_admin_known(ngx_http_loyalty_member_ctx_t *ctx)
{
    switch (ngx_http_loyalty_member_is(ctx, &ctx->name)) {

    case NGX_OK:
        return NGX_DECLINED;

    case NGX_DECLINED:
        return ngx_http_loyalty_member_problem(ctx,
                                  NGX_HTTP_LOYALTY_P_UNKNOWN_MEMBER, NULL);

    default: /* NGX_ERROR */
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
}


ngx_int_t
ngx_http_loyalty_admin_member(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_loyalty_admin_known(ctx);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_GET, 1,
                                        ctx->keys, NULL,
                                        ngx_http_loyalty_admin_member_reply);
}


static ngx_int_t
ngx_http_loyalty_admin_member_reply(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    if (!reply->array && reply->n == 1 && reply->values[0].data == NULL) {
        return ngx_http_loyalty_member_problem(ctx,
                                  NGX_HTTP_LOYALTY_P_UNKNOWN_MEMBER, NULL);
    }

    return ngx_http_loyalty_member_me_reply(ctx, reply);
}


ngx_int_t
ngx_http_loyalty_admin_history(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_loyalty_admin_known(ctx);

    return (rc == NGX_DECLINED) ? ngx_http_loyalty_member_history(ctx) : rc;
}


/*
 * All that is known of a member, as lines: the account, then pages of the
 * history, newest first.
 */

ngx_int_t
ngx_http_loyalty_admin_export(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_int_t       rc;
    loyalty_out_t  *out;

    rc = ngx_http_loyalty_admin_known(ctx);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    out = ngx_palloc(ctx->request->pool, sizeof(loyalty_out_t));
    if (out == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_loyalty_out_pool(out, ctx->request->pool,
                              NGX_HTTP_LOYALTY_EXPORT_FIRST);
    ctx->data = out;

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_GET, 1,
                                        ctx->keys, NULL,
                                        ngx_http_loyalty_admin_export_me);
}


static ngx_int_t
ngx_http_loyalty_admin_export_me(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    loyalty_out_t  *out;

    out = ctx->data;

    if (reply->array || reply->n != 1) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    if (reply->values[0].data == NULL) {
        return ngx_http_loyalty_member_problem(ctx,
                                  NGX_HTTP_LOYALTY_P_UNKNOWN_MEMBER, NULL);
    }

    if (ngx_http_loyalty_account_json(ctx->program, ctx->request->pool,
                                      &ctx->member, &reply->values[0],
                                      ngx_http_loyalty_now(), out)
        != NGX_OK)
    {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    loyalty_out_lit(out, "\n");

    return ngx_http_loyalty_history_ask(ctx, 0, NGX_HTTP_LOYALTY_EXPORT_PAGE,
                                        ngx_http_loyalty_admin_export_reply);
}


static ngx_int_t
ngx_http_loyalty_admin_export_reply(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    int64_t         next;
    loyalty_out_t  *out;

    static ngx_str_t  type = ngx_string("application/x-ndjson");

    out = ctx->data;

    if (ngx_http_loyalty_history_json(ctx->program, ctx->request->pool,
                                      &ctx->member, reply,
                                      NGX_HTTP_LOYALTY_EXPORT_PAGE, 1, out,
                                      &next)
        != NGX_OK)
    {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    loyalty_out_lit(out, "\n");

    if (next != 0) {
        return ngx_http_loyalty_history_ask(ctx, next,
                                         NGX_HTTP_LOYALTY_EXPORT_PAGE,
                                         ngx_http_loyalty_admin_export_reply);
    }

    ngx_http_loyalty_stat_request(ctx->program, ctx->api,
                                  NGX_HTTP_LOYALTY_P_NONE);

    return ngx_http_loyalty_send(ctx->request, NGX_HTTP_OK, &type, out);
}


/* NGX_DECLINED: *changep is what the body says */

static ngx_int_t
ngx_http_loyalty_admin_change(ngx_http_loyalty_member_ctx_t *ctx,
    const ngx_http_loyalty_fields_t *fields,
    ngx_http_loyalty_change_t **changep)
{
    u_char                      id[NGX_HTTP_LOYALTY_IDEMPOTENCY_ID];
    ngx_int_t                   rc;
    ngx_http_loyalty_fault_t    fault;
    ngx_http_loyalty_change_t  *change;

    change = ngx_pcalloc(ctx->request->pool,
                         sizeof(ngx_http_loyalty_change_t));
    if (change == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_loyalty_fields(ctx->json, fields, change, &fault) != NGX_OK)
    {
        return ngx_http_loyalty_member_fault(ctx, &fault);
    }

    rc = ngx_http_loyalty_idempotency(ctx, &change->idempotency, &fault);

    if (rc == NGX_DECLINED) {
        return ngx_http_loyalty_member_fault(ctx, &fault);
    }

    if (rc != NGX_OK
        || ngx_http_loyalty_idempotency_id(ctx, &change->idempotency, id)
           != NGX_OK)
    {
        return ngx_http_loyalty_member_problem(ctx,
                                       NGX_HTTP_LOYALTY_P_INTERNAL, NULL);
    }

    ngx_http_loyalty_idempotency_needle(change->needle,
                                        NGX_HTTP_LOYALTY_NEEDLE_GRANT, id);

    change->now = ngx_http_loyalty_now();

    ctx->data = change;
    *changep = change;

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_loyalty_admin_adjust(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_int_t                   rc;
    loyalty_mpw_t               w;
    ngx_http_loyalty_fault_t    fault;
    ngx_http_loyalty_wallet_t  *wallet;
    ngx_http_loyalty_change_t  *change;

    rc = ngx_http_loyalty_admin_known(ctx);

    if (rc == NGX_DECLINED) {
        rc = ngx_http_loyalty_admin_change(ctx,
                                     ngx_http_loyalty_adjust_fields, &change);
    }

    if (rc != NGX_DECLINED) {
        return rc;
    }

    wallet = ngx_http_loyalty_wallet(ctx->program, &change->wallet);

    if (wallet == NULL || change->amount == 0) {
        fault.item = -1;

        (void) ngx_http_loyalty_json_fault(&fault,
                                           wallet ? "amount" : "wallet", NULL,
                                           wallet ? "is zero"
                                                  : "is not the program's");

        return ngx_http_loyalty_member_fault(ctx, &fault);
    }

    loyalty_mpw_init(&w, change->buf, sizeof(change->buf));

    ngx_http_loyalty_request_arg(ctx, &change->idempotency, change->needle,
                                 change->now, &w);
    loyalty_mpw_str(&w, wallet->hash, NGX_HTTP_LOYALTY_HASH);
    loyalty_mpw_int(&w, change->amount);

    ngx_http_loyalty_call_member(&change->call, ctx->program, &ctx->member);

    return ngx_http_loyalty_admin_change_send(ctx, change,
                                           NGX_HTTP_LOYALTY_FN_ADJUST, &w);
}


ngx_int_t
ngx_http_loyalty_admin_grant(ngx_http_loyalty_member_ctx_t *ctx)
{
    ngx_int_t                     rc;
    ngx_str_t                     detail;
    loyalty_mpw_t                 w;
    ngx_http_loyalty_rule_t      *rule;
    ngx_http_loyalty_change_t    *change;
    ngx_http_loyalty_campaign_t  *campaign;

    rule = ngx_http_loyalty_admin_game(ctx->program, &ctx->name);

    if (rule == NULL) {
        return ngx_http_loyalty_member_problem(ctx,
                                    NGX_HTTP_LOYALTY_P_UNKNOWN_GAME, NULL);
    }

    rc = ngx_http_loyalty_admin_change(ctx, ngx_http_loyalty_grant_fields,
                                       &change);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    campaign = rule->conf;

    if (campaign->cost.kind == NGX_HTTP_LOYALTY_COST_FREE) {
        ngx_str_set(&detail, "the game costs nothing: who may play it needs "
                             "no plays");

        return ngx_http_loyalty_member_problem(ctx,
                                 NGX_HTTP_LOYALTY_P_INVALID_FIELD, &detail);
    }

    /* the fields' check has seen to the id's form */

    if (ngx_http_loyalty_member_is(ctx, &change->member) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_loyalty_admin_grant_reason(ctx, change) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    loyalty_mpw_init(&w, change->buf, sizeof(change->buf));

    ngx_http_loyalty_request_arg(ctx, &change->idempotency, change->needle,
                                 change->now, &w);
    loyalty_mpw_int(&w, rule->game->award);
    loyalty_mpw_str(&w, rule->hash, NGX_HTTP_LOYALTY_HASH);
    loyalty_mpw_int(&w, change->amount);
    loyalty_mpw_nil(&w);

    ngx_http_loyalty_call_member(&change->call, ctx->program, &ctx->member);

    return ngx_http_loyalty_admin_change_send(ctx, change,
                                              NGX_HTTP_LOYALTY_FN_GRANT, &w);
}


/* how they were asked for, and why: "method: reason", or what there is */

static ngx_int_t
ngx_http_loyalty_admin_grant_reason(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_change_t *change)
{
    u_char  *p;

    if (change->method.len == 0) {
        return NGX_OK;
    }

    if (change->reason.len == 0) {
        change->reason = change->method;
        return NGX_OK;
    }

    p = ngx_pnalloc(ctx->request->pool,
                    change->method.len + change->reason.len + 2);
    if (p == NULL) {
        return NGX_ERROR;
    }

    change->reason.len = ngx_sprintf(p, "%V: %V", &change->method,
                                     &change->reason)
                         - p;
    change->reason.data = p;

    return NGX_OK;
}


/* actor and reason stand last */

static ngx_int_t
ngx_http_loyalty_admin_change_send(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_change_t *change, ngx_http_loyalty_fn_e fn,
    loyalty_mpw_t *w)
{
    ngx_str_t  arg;

    loyalty_mpw_str(w, ctx->actor.data, ctx->actor.len);
    loyalty_mpw_str(w, change->reason.data, change->reason.len);

    if (w->failed) {
        return ngx_http_loyalty_member_problem(ctx,
                                       NGX_HTTP_LOYALTY_P_INTERNAL, NULL);
    }

    arg.data = w->start;
    arg.len = w->pos - w->start;

    return ngx_http_loyalty_member_call(ctx, fn, change->call.nkeys,
                                        change->call.keys, &arg,
                                        ngx_http_loyalty_admin_changed);
}


static ngx_int_t
ngx_http_loyalty_admin_changed(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    u_char                      hex[2 * NGX_HTTP_LOYALTY_IDEMPOTENCY_ID];
    loyalty_out_t               out;
    ngx_http_loyalty_change_t  *change;
    ngx_http_loyalty_record_t   record;

    change = ctx->data;

    if (!reply->array && reply->n == 1 && reply->values[0].len > 1
        && reply->values[0].data[0] == 'E')
    {
        return ngx_http_loyalty_request_refused(ctx, &reply->values[0],
                                                change->now);
    }

    ngx_http_loyalty_out_pool(&out, ctx->request->pool, 1024);

    /* of a repeat: who made it then */

    if (ngx_http_loyalty_request_record(ctx, reply, &record) != NGX_OK) {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    ngx_hex_dump(hex, &change->needle[2], NGX_HTTP_LOYALTY_IDEMPOTENCY_ID);

    loyalty_out_lit(&out, "{\"id\":");
    loyalty_out_str(&out, hex, sizeof(hex));
    loyalty_out_lit(&out, ",\"member\":");
    loyalty_out_str(&out, ctx->member.data, ctx->member.len);
    loyalty_out_lit(&out, ",\"actor\":");
    loyalty_out_str(&out, record.actor.data, record.actor.len);
    loyalty_out_lit(&out, ",");

    if (ngx_http_loyalty_effects_json(ctx->program, &record, &out) != NGX_OK)
    {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    loyalty_out_lit(&out, ",");

    if (ngx_http_loyalty_balances_json(ctx->program, &record, &out) != NGX_OK)
    {
        return ngx_http_loyalty_member_damaged(ctx);
    }

    loyalty_out_lit(&out, "}");

    return ngx_http_loyalty_member_send(ctx, &out);
}


static ngx_http_loyalty_rule_t *
ngx_http_loyalty_admin_game(ngx_http_loyalty_program_t *program,
    ngx_str_t *name)
{
    ngx_uint_t                 i;
    ngx_http_loyalty_rule_t  **rule;

    rule = program->rules.elts;

    for (i = 0; i < program->rules.nelts; i++) {

        if (rule[i]->game->award == NGX_HTTP_LOYALTY_AWARD_PLAYS
            && rule[i]->name.len == name->len
            && ngx_memcmp(rule[i]->name.data, name->data, name->len) == 0)
        {
            return rule[i];
        }
    }

    return NULL;
}
