/*
 * GET me/history: the member's remembered records, newest first.  The
 * cursor is the seq of the last record shown: what follows is older, so new
 * events do not move a page that is being read.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_idempotency.h"


static ngx_int_t ngx_http_loyalty_history_number(ngx_http_request_t *r,
    ngx_str_t *name, int64_t max, int64_t *number);
static ngx_int_t ngx_http_loyalty_history_records(
    ngx_http_loyalty_program_t *program, ngx_pool_t *pool,
    ngx_http_loyalty_reply_t *reply, ngx_uint_t limit, ngx_uint_t admin,
    loyalty_out_t *out, int64_t *seq);
static ngx_int_t ngx_http_loyalty_history_record(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_record_t *record,
    ngx_str_t *types, ngx_uint_t admin, loyalty_out_t *out);
static void ngx_http_loyalty_history_id(ngx_http_loyalty_record_t *record,
    loyalty_out_t *out);
static ngx_uint_t ngx_http_loyalty_history_kind(
    ngx_http_loyalty_record_t *record);
static ngx_int_t ngx_http_loyalty_history_type(
    ngx_http_loyalty_record_t *record, ngx_str_t *types, loyalty_out_t *out);
static ngx_int_t ngx_http_loyalty_history_name(ngx_str_t *types, int64_t slot,
    const unsigned char **name, uint32_t *len);


ngx_int_t
ngx_http_loyalty_history_args(ngx_http_request_t *r,
    ngx_http_loyalty_history_args_t *args, ngx_str_t *detail)
{
    int64_t  number;

    static ngx_str_t  limit = ngx_string("limit");
    static ngx_str_t  cursor = ngx_string("cursor");

    number = NGX_HTTP_LOYALTY_HISTORY_DEFAULT;

    if (ngx_http_loyalty_history_number(r, &limit,
                                        NGX_HTTP_LOYALTY_HISTORY_MAX, &number)
        != NGX_OK)
    {
        ngx_str_set(detail, "limit must be a whole number from 1 to 100");
        return NGX_DECLINED;
    }

    args->limit = number;

    number = 0;

    if (ngx_http_loyalty_history_number(r, &cursor, LOYALTY_MAX_INT, &number)
        != NGX_OK)
    {
        ngx_str_set(detail, "cursor must be \"next\" of an earlier reply");
        return NGX_DECLINED;
    }

    args->before = number;

    return NGX_OK;
}


/* a number from 1 to max; left as it is where the argument is absent */

static ngx_int_t
ngx_http_loyalty_history_number(ngx_http_request_t *r, ngx_str_t *name,
    int64_t max, int64_t *number)
{
    off_t      value;
    ngx_str_t  text;

    if (ngx_http_arg(r, name->data, name->len, &text) != NGX_OK) {
        return NGX_OK;
    }

    value = ngx_atoof(text.data, text.len);

    if (value < 1 || value > max) {
        return NGX_DECLINED;
    }

    *number = value;

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_history_json(ngx_http_loyalty_program_t *program,
    ngx_pool_t *pool, ngx_str_t *member, ngx_http_loyalty_reply_t *reply,
    ngx_uint_t limit, ngx_uint_t admin, loyalty_out_t *out)
{
    int64_t  seq;

    /* a member never seen has an empty array, others the hashes and the
       names of types ahead of the records */

    if (!reply->array || reply->n == 1 || reply->n > limit + 3) {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, "{\"member\":");
    loyalty_out_str(out, member->data, member->len);
    loyalty_out_lit(out, ",\"history\":[");

    seq = 0;

    if (reply->n > 2
        && ngx_http_loyalty_history_records(program, pool, reply, limit,
                                            admin, out, &seq)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, "],\"next\":");

    if (reply->n == limit + 3) {
        loyalty_out_lit(out, "\"");
        loyalty_out_int(out, seq);
        loyalty_out_lit(out, "\"");

    } else {
        loyalty_out_lit(out, "null");
    }

    loyalty_out_lit(out, "}");

    return out->failed ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_history_records(ngx_http_loyalty_program_t *program,
    ngx_pool_t *pool, ngx_http_loyalty_reply_t *reply, ngx_uint_t limit,
    ngx_uint_t admin, loyalty_out_t *out, int64_t *seq)
{
    ngx_str_t                  rest;
    ngx_uint_t                 i, n;
    ngx_http_loyalty_record_t  record;

    ngx_memzero(&record, sizeof(ngx_http_loyalty_record_t));

    if (reply->values[0].data == NULL
        || reply->values[1].data == NULL
        || ngx_http_loyalty_hashes_parse(&reply->values[0], &record, &rest)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    n = ngx_min(reply->n - 2, limit);

    for (i = 0; i < n; i++) {

        if (reply->values[i + 2].data == NULL
            || ngx_http_loyalty_record_parse(pool, &reply->values[i + 2],
                                             &record)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (i > 0) {
            loyalty_out_lit(out, ",");
        }

        if (ngx_http_loyalty_history_record(program, &record,
                                            &reply->values[1], admin, out)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        *seq = record.seq;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_history_record(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_record_t *record, ngx_str_t *types, ngx_uint_t admin,
    loyalty_out_t *out)
{
    loyalty_out_lit(out, "{\"id\":");
    ngx_http_loyalty_history_id(record, out);

    if (ngx_http_loyalty_history_type(record, types, out) != NGX_OK) {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, ",\"at\":");
    loyalty_out_time(out, record->at);
    loyalty_out_lit(out, ",\"accepted\":");
    loyalty_out_time(out, record->accepted);

    if (record->amount >= 0) {
        loyalty_out_lit(out, ",\"amount\":");
        loyalty_out_money(out, record->amount, program->scale);
    }

    if (record->reverses.len > 0) {
        loyalty_out_lit(out, ",\"reverses\":");
        loyalty_out_str(out, record->reverses.data, record->reverses.len);
    }

    if (admin && record->actor.len > 0) {
        loyalty_out_lit(out, ",\"actor\":");
        loyalty_out_str(out, record->actor.data, record->actor.len);
        loyalty_out_lit(out, ",\"reason\":");
        loyalty_out_str(out, record->reason.data, record->reason.len);
    }

    loyalty_out_lit(out, ",");

    if (ngx_http_loyalty_effects_json(program, record, out) != NGX_OK) {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, ",");

    if (ngx_http_loyalty_balances_json(program, record, out) != NGX_OK) {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, "}");

    return NGX_OK;
}


/* what was asked for by a key is known by 16 bytes behind their kind */

static void
ngx_http_loyalty_history_id(ngx_http_loyalty_record_t *record,
    loyalty_out_t *out)
{
    u_char  hex[2 * NGX_HTTP_LOYALTY_IDEMPOTENCY_ID];

    if (ngx_http_loyalty_history_kind(record) == 0) {
        loyalty_out_str(out, record->id.data, record->id.len);
        return;
    }

    ngx_hex_dump(hex, record->id.data + 1, NGX_HTTP_LOYALTY_IDEMPOTENCY_ID);
    loyalty_out_str(out, hex, sizeof(hex));
}


/* 0: an event or a reversal, whose ids are printable */

static ngx_uint_t
ngx_http_loyalty_history_kind(ngx_http_loyalty_record_t *record)
{
    if (record->id.len != 1 + NGX_HTTP_LOYALTY_IDEMPOTENCY_ID
        || record->id.data[0] < NGX_HTTP_LOYALTY_NEEDLE_PLAY
        || record->id.data[0] > NGX_HTTP_LOYALTY_NEEDLE_GRANT)
    {
        return 0;
    }

    return record->id.data[0];
}


static ngx_int_t
ngx_http_loyalty_history_type(ngx_http_loyalty_record_t *record,
    ngx_str_t *types, loyalty_out_t *out)
{
    uint32_t              len;
    ngx_uint_t            kind;
    const unsigned char  *name;

    /* in the order of NGX_HTTP_LOYALTY_NEEDLE_PLAY and so on */

    static const ngx_str_t  kinds[] = {
        ngx_string("play"), ngx_string("entry"), ngx_string("redemption"),
        ngx_string("adjustment")
    };

    loyalty_out_lit(out, ",\"type\":");

    kind = ngx_http_loyalty_history_kind(record);

    if (kind) {
        loyalty_out_str(out, kinds[kind - 1].data, kinds[kind - 1].len);
        return NGX_OK;
    }

    if (record->type == 0) {
        loyalty_out_lit(out, "\"reversal\"");
        return NGX_OK;
    }

    if (ngx_http_loyalty_history_name(types, record->type, &name, &len)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    loyalty_out_str(out, name, len);

    return NGX_OK;
}


/*
 * The names are a map of slot to name; where the slots happen to be 1, 2,
 * 3 and so on, Lua cannot tell it from an array and sends one.
 */

static ngx_int_t
ngx_http_loyalty_history_name(ngx_str_t *types, int64_t slot,
    const unsigned char **name, uint32_t *len)
{
    int64_t        key;
    uint32_t       i;
    loyalty_mpr_t  r;
    loyalty_mpv_t  v;

    loyalty_mpr_init(&r, types->data, types->len);

    if (loyalty_mpr_next(&r, &v) != 0
        || (v.type != LOYALTY_MP_MAP && v.type != LOYALTY_MP_ARRAY))
    {
        return NGX_ERROR;
    }

    for (i = 1; i <= v.n; i++) {
        key = i;

        if (v.type == LOYALTY_MP_MAP && loyalty_mpr_int(&r, &key) != 0) {
            return NGX_ERROR;
        }

        if (key == slot) {
            return loyalty_mpr_str(&r, name, len) == 0 ? NGX_OK : NGX_ERROR;
        }

        if (loyalty_mpr_skip(&r) != 0) {
            return NGX_ERROR;
        }
    }

    return NGX_ERROR;
}
