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
    ngx_http_loyalty_reply_t *reply, ngx_uint_t n, ngx_uint_t admin,
    loyalty_out_t *out, int64_t *seq);
static ngx_int_t ngx_http_loyalty_history_record(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_record_t *record,
    ngx_str_t *types, ngx_uint_t admin, loyalty_out_t *out);
static ngx_int_t ngx_http_loyalty_history_items(
    ngx_http_loyalty_program_t *program, loyalty_mpr_t *items,
    loyalty_out_t *out);
static ngx_int_t ngx_http_loyalty_history_item(
    ngx_http_loyalty_program_t *program, loyalty_mpr_t *r,
    loyalty_out_t *out);
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
ngx_http_loyalty_history_ask(ngx_http_loyalty_member_ctx_t *ctx,
    int64_t before, ngx_uint_t limit, ngx_http_loyalty_member_reply_pt reply)
{
    u_char         buf[32];
    ngx_str_t      arg;
    loyalty_mpw_t  w;

    loyalty_mpw_init(&w, buf, sizeof(buf));
    loyalty_mpw_int(&w, before);
    loyalty_mpw_int(&w, limit + 1);
    loyalty_mpw_int(&w, ngx_http_loyalty_redis_page(ctx->program));

    arg.data = buf;
    arg.len = w.pos - w.start;

    return ngx_http_loyalty_member_call(ctx, NGX_HTTP_LOYALTY_FN_HISTORY, 2,
                                        ctx->keys, &arg, reply);
}


ngx_int_t
ngx_http_loyalty_history_json(ngx_http_loyalty_program_t *program,
    ngx_pool_t *pool, ngx_str_t *member, ngx_http_loyalty_reply_t *reply,
    ngx_uint_t limit, ngx_uint_t admin, loyalty_out_t *out, int64_t *next)
{
    ngx_uint_t  n, more;

    /* a member never seen has an empty array, others the hashes and the
       names of types ahead of the records */

    if (!reply->array || reply->n == 1 || reply->n > limit + 3) {
        return NGX_ERROR;
    }

    n = (reply->n > 2) ? reply->n - 2 : 0;

    /* one record too many, or what stands for those that were too large */

    more = (n > limit
            || (n > 1 && reply->values[reply->n - 1].data != NULL
                && reply->values[reply->n - 1].len == 0));
    n -= more;

    loyalty_out_lit(out, "{\"member\":");
    loyalty_out_str(out, member->data, member->len);
    loyalty_out_lit(out, ",\"history\":[");

    *next = 0;

    if (n > 0
        && ngx_http_loyalty_history_records(program, pool, reply, n, admin,
                                            out, next)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, "],\"next\":");

    if (more) {
        loyalty_out_lit(out, "\"");
        loyalty_out_int(out, *next);
        loyalty_out_lit(out, "\"");

    } else {
        loyalty_out_lit(out, "null");
        *next = 0;
    }

    loyalty_out_lit(out, "}");

    return out->failed ? NGX_ERROR : NGX_OK;
}


/* *seq: that of the last one */

static ngx_int_t
ngx_http_loyalty_history_records(ngx_http_loyalty_program_t *program,
    ngx_pool_t *pool, ngx_http_loyalty_reply_t *reply, ngx_uint_t n,
    ngx_uint_t admin, loyalty_out_t *out, int64_t *seq)
{
    ngx_str_t                  rest;
    ngx_uint_t                 i;
    ngx_http_loyalty_record_t  record;

    ngx_memzero(&record, sizeof(ngx_http_loyalty_record_t));

    if (reply->values[0].data == NULL
        || reply->values[1].data == NULL
        || ngx_http_loyalty_hashes_parse(&reply->values[0], &record, &rest)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

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

    if (admin
        && ngx_http_loyalty_history_items(program, &record->items, out)
           != NGX_OK)
    {
        return NGX_ERROR;
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


/* what an event or a reversal was of */

static ngx_int_t
ngx_http_loyalty_history_items(ngx_http_loyalty_program_t *program,
    loyalty_mpr_t *items, loyalty_out_t *out)
{
    uint32_t       i;
    loyalty_mpr_t  r;
    loyalty_mpv_t  list;

    r = *items;

    if (loyalty_mpr_next(&r, &list) != 0) {
        return NGX_ERROR;
    }

    if (list.type != LOYALTY_MP_ARRAY || list.n == 0) {
        return NGX_OK;
    }

    loyalty_out_lit(out, ",\"items\":[");

    for (i = 0; i < list.n; i += 4) {
        loyalty_out_raw(out, ",", i != 0);

        if (ngx_http_loyalty_history_item(program, &r, out) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    loyalty_out_lit(out, "]");

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_history_item(ngx_http_loyalty_program_t *program,
    loyalty_mpr_t *r, loyalty_out_t *out)
{
    int64_t               quantity, amount;
    uint32_t              nsku, ncategory;
    const unsigned char  *sku, *category;

    if (loyalty_mpr_str(r, &sku, &nsku) != 0
        || loyalty_mpr_str(r, &category, &ncategory) != 0
        || loyalty_mpr_int(r, &quantity) != 0
        || loyalty_mpr_int(r, &amount) != 0)
    {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, "{\"sku\":");
    loyalty_out_str(out, sku, nsku);

    if (ncategory) {
        loyalty_out_lit(out, ",\"category\":");
        loyalty_out_str(out, category, ncategory);
    }

    if (quantity >= 0) {
        loyalty_out_lit(out, ",\"quantity\":");
        loyalty_out_int(out, quantity);
    }

    if (amount >= 0) {
        loyalty_out_lit(out, ",\"amount\":");
        loyalty_out_money(out, amount, program->scale);
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
