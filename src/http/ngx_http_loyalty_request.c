/*
 * What plays, entries and redemptions have in common.
 */

#include "ngx_http_loyalty_request.h"


#define NGX_HTTP_LOYALTY_REST  16


/* what Redis says behind an "E" */

typedef struct {
    ngx_str_t                     code;
    ngx_http_loyalty_problem_e    problem;
    ngx_str_t                     detail;
} ngx_http_loyalty_refusal_t;


static const ngx_http_loyalty_refusal_t  ngx_http_loyalty_refusals[] = {

    { ngx_string("idempotency_conflict"),
      NGX_HTTP_LOYALTY_P_IDEMPOTENCY_CONFLICT,
      ngx_string("the member sent another request with this "
                 "Idempotency-Key") },

    { ngx_string("insufficient_balance"),
      NGX_HTTP_LOYALTY_P_INSUFFICIENT_BALANCE,
      ngx_string("nothing was charged") },

    { ngx_string("limit_reached"), NGX_HTTP_LOYALTY_P_LIMIT_REACHED,
      ngx_string("as often as it is allowed, or a number of this member "
                 "would pass its limit") },

    { ngx_string("not_open"), NGX_HTTP_LOYALTY_P_NOT_OPEN,
      ngx_null_string },

    { ngx_string("closed"), NGX_HTTP_LOYALTY_P_CLOSED,
      ngx_null_string },

    { ngx_string("paused"), NGX_HTTP_LOYALTY_P_PAUSED,
      ngx_null_string },

    { ngx_string("not_eligible"), NGX_HTTP_LOYALTY_P_NOT_ELIGIBLE,
      ngx_null_string },

    { ngx_string("sold_out"), NGX_HTTP_LOYALTY_P_SOLD_OUT,
      ngx_string("nothing was charged") },

    { ngx_string("not_granted"), NGX_HTTP_LOYALTY_P_CLOSED,
      ngx_string("the game gives none now") },

    { ngx_string("clock_skew"), NGX_HTTP_LOYALTY_P_CLOCK_SKEW,
      ngx_string("nothing was charged") },

    { ngx_string("beacon_unavailable"),
      NGX_HTTP_LOYALTY_P_BEACON_UNAVAILABLE,
      ngx_string("nothing was charged") },

    { ngx_string("busy"), NGX_HTTP_LOYALTY_P_BUSY,
      ngx_string("nothing was charged") },

    /* what is known was told all the same */

    { ngx_string("rules_changed"), NGX_HTTP_LOYALTY_P_RULES_CHANGED,
      ngx_string("it is stopped on this server, whose error log says why") },

    { ngx_string("stale_configuration"),
      NGX_HTTP_LOYALTY_P_STALE_CONFIGURATION,
      ngx_string("it is stopped on this server, whose error log says why") },

    { ngx_string("unavailable"), NGX_HTTP_LOYALTY_P_UNAVAILABLE,
      ngx_string("it is stopped on this server, whose error log says why") },

    { ngx_string("unsafe_store"), NGX_HTTP_LOYALTY_P_UNSAFE_STORE,
      ngx_null_string },

    { ngx_null_string, NGX_HTTP_LOYALTY_P_INTERNAL, ngx_null_string }
};


void
ngx_http_loyalty_request_arg(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_idempotency_t *idempotency, const u_char *needle,
    int64_t now, loyalty_mpw_t *w)
{
    u_char      rest[NGX_HTTP_LOYALTY_REST];
    int64_t     accepted;
    ngx_uint_t  i;

    accepted = now / 1000;

    for (i = 0; i < 6; i++) {
        rest[i] = (u_char) (now >> (40 - 8 * i));
    }

    for (i = 0; i < 4; i++) {
        rest[6 + i] = (u_char) (accepted >> (24 - 8 * i));
    }

    ngx_memcpy(rest + 10, idempotency->fingerprint, 6);

    loyalty_mpw_int(w, now);
    loyalty_mpw_str(w, needle, NGX_HTTP_LOYALTY_NEEDLE);
    loyalty_mpw_str(w, rest, NGX_HTTP_LOYALTY_REST);
    loyalty_mpw_str(w, ctx->member.data, ctx->member.len);
    loyalty_mpw_str(w, ctx->program->constants.data,
                    ctx->program->constants.len);
}


void
ngx_http_loyalty_request_periods(ngx_http_loyalty_program_t *program,
    int64_t now, loyalty_mpw_t *w)
{
    ngx_uint_t  unit;

    loyalty_mpw_array(w, LOYALTY_MONTH);

    for (unit = LOYALTY_DAY; unit <= LOYALTY_MONTH; unit++) {
        loyalty_mpw_int(w, loyalty_period(program->zone, unit, 0, now));
    }
}


ngx_int_t
ngx_http_loyalty_request_refused(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_str_t *value, int64_t now)
{
    int64_t                            at;
    ngx_str_t                          code, detail;
    const char                        *unsafe;
    ngx_uint_t                         unit;
    const ngx_http_loyalty_refusal_t  *e;

    code.data = value->data + 1;
    code.len = value->len - 1;
    unit = 0;

    if (code.len > 2 && code.data[code.len - 2] == ':') {
        unit = code.data[code.len - 1] - '0';
        code.len -= 2;
    }

    for (e = ngx_http_loyalty_refusals; e->code.len; e++) {
        if (e->code.len == code.len
            && ngx_memcmp(e->code.data, code.data, code.len) == 0)
        {
            break;
        }
    }

    detail = e->detail;

    if (e->problem == NGX_HTTP_LOYALTY_P_UNSAFE_STORE) {
        unsafe = ngx_http_loyalty_redis_unsafe(ctx->program);

        if (unsafe != NULL) {
            detail.data = (u_char *) unsafe;
            detail.len = ngx_strlen(unsafe);
        }
    }

    if (e->problem == NGX_HTTP_LOYALTY_P_LIMIT_REACHED
        && unit >= LOYALTY_DAY && unit <= LOYALTY_MONTH)
    {
        at = loyalty_period(ctx->program->zone, unit, 0, now) + 1;
        at = loyalty_period_start(ctx->program->zone, unit, 0, at);

        return ngx_http_loyalty_member_retry_at(ctx, e->problem, &detail, at);
    }

    if (e->problem == NGX_HTTP_LOYALTY_P_INTERNAL) {
        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "loyalty program \"%V\": Redis refused a request of "
                      "member \"%V\": %V",
                      &ctx->program->name, &ctx->member, &code);
    }

    return ngx_http_loyalty_member_problem(ctx, e->problem, &detail);
}


ngx_int_t
ngx_http_loyalty_request_record(ngx_http_loyalty_member_ctx_t *ctx,
    ngx_http_loyalty_reply_t *reply, ngx_http_loyalty_record_t *record)
{
    ngx_str_t  *value, rest;

    value = reply->values;

    if (reply->array || reply->n != 1 || value->len < 2
        || (value->data[0] != 'N' && value->data[0] != 'D')
        || ngx_http_loyalty_hashes_parse(value, record, &rest) != NGX_OK
        || ngx_http_loyalty_record_parse(ctx->request->pool, &rest, record)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return (value->data[0] == 'D')
           ? ngx_http_loyalty_idempotency_replayed(ctx->request) : NGX_OK;
}
