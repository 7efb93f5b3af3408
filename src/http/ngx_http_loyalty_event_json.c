/*
 * From JSON to an event or a reversal, strictly: what is not expected is
 * refused and the reply says where and what is.
 *
 * The fields of an object are a table in the order of their names.  One
 * walk through it reads them, and writes them in canonical form for the
 * fingerprint, by which a repeat is told from another event under the same
 * id: field by field as sent, with amounts and times as numbers.
 */

#include "ngx_http_loyalty_event.h"

#include <openssl/evp.h>


typedef struct {
    ngx_http_loyalty_program_t   *program;
    ngx_http_loyalty_fault_t     *fault;
    ngx_http_loyalty_scratch_t   *scratch;
    ngx_uint_t                    nitems;
    unsigned                      items:1;        /* the field was there */
    int64_t                       now;
    loyalty_mpw_t                 canonical;
} ngx_http_loyalty_json_ctx_t;


typedef struct ngx_http_loyalty_json_field_s  ngx_http_loyalty_json_field_t;

struct ngx_http_loyalty_json_field_s {
    const char                   *name;
    ngx_int_t                   (*read)(ngx_http_loyalty_json_ctx_t *ctx,
                                    const ngx_http_loyalty_json_field_t *f,
                                    json_t *value, void *dst);
    size_t                        offset;
    size_t                        max;            /* bytes of a string */
    ngx_uint_t                    required;
};


static void ngx_http_loyalty_json_start(ngx_http_loyalty_json_ctx_t *ctx,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_scratch_t *scratch,
    ngx_http_loyalty_fault_t *fault);
static ngx_int_t ngx_http_loyalty_json_object(
    ngx_http_loyalty_json_ctx_t *ctx,
    const ngx_http_loyalty_json_field_t *fields, json_t *json, void *dst);
static ngx_int_t ngx_http_loyalty_json_unknown(
    ngx_http_loyalty_json_ctx_t *ctx,
    const ngx_http_loyalty_json_field_t *fields, json_t *json);
static ngx_int_t ngx_http_loyalty_json_digest(
    ngx_http_loyalty_json_ctx_t *ctx, u_char *fingerprint);
static ngx_int_t ngx_http_loyalty_json_sum(ngx_http_loyalty_json_ctx_t *ctx,
    int64_t *amount);

static ngx_int_t ngx_http_loyalty_json_text(ngx_http_loyalty_json_ctx_t *ctx,
    const ngx_http_loyalty_json_field_t *f, json_t *value, void *dst);
static ngx_int_t ngx_http_loyalty_json_amount(
    ngx_http_loyalty_json_ctx_t *ctx, const ngx_http_loyalty_json_field_t *f,
    json_t *value, void *dst);
static ngx_int_t ngx_http_loyalty_json_count(
    ngx_http_loyalty_json_ctx_t *ctx, const ngx_http_loyalty_json_field_t *f,
    json_t *value, void *dst);
static ngx_int_t ngx_http_loyalty_json_at(ngx_http_loyalty_json_ctx_t *ctx,
    const ngx_http_loyalty_json_field_t *f, json_t *value, void *dst);
static ngx_int_t ngx_http_loyalty_json_items(
    ngx_http_loyalty_json_ctx_t *ctx, const ngx_http_loyalty_json_field_t *f,
    json_t *value, void *dst);
static ngx_int_t ngx_http_loyalty_json_parts(
    ngx_http_loyalty_json_ctx_t *ctx, const ngx_http_loyalty_json_field_t *f,
    json_t *value, void *dst);
static ngx_int_t ngx_http_loyalty_json_list(ngx_http_loyalty_json_ctx_t *ctx,
    const ngx_http_loyalty_json_field_t *f,
    const ngx_http_loyalty_json_field_t *fields, json_t *value,
    uint64_t quantity);
static ngx_int_t ngx_http_loyalty_json_data(ngx_http_loyalty_json_ctx_t *ctx,
    const ngx_http_loyalty_json_field_t *f, json_t *value, void *dst);
static int ngx_http_loyalty_json_dump(const char *buffer, size_t size,
    void *data);


#define ngx_http_loyalty_event_offset(f)                                     \
    offsetof(ngx_http_loyalty_event_t, f)
#define ngx_http_loyalty_reversal_offset(f)                                  \
    offsetof(ngx_http_loyalty_reversal_t, f)
#define ngx_http_loyalty_item_offset(f)                                      \
    offsetof(ngx_http_loyalty_item_t, f)


/* in the order of their names: the fingerprint depends on it */

static const ngx_http_loyalty_json_field_t
    ngx_http_loyalty_event_fields[] =
{
    { "amount", ngx_http_loyalty_json_amount,
      ngx_http_loyalty_event_offset(amount), 0, 0 },

    { "at", ngx_http_loyalty_json_at,
      ngx_http_loyalty_event_offset(at), 0, 0 },

    { "channel", ngx_http_loyalty_json_text,
      ngx_http_loyalty_event_offset(channel), NGX_HTTP_LOYALTY_ID, 0 },

    { "data", ngx_http_loyalty_json_data,
      ngx_http_loyalty_event_offset(data), 0, 0 },

    { "id", ngx_http_loyalty_json_text,
      ngx_http_loyalty_event_offset(id), NGX_HTTP_LOYALTY_ID, 1 },

    { "items", ngx_http_loyalty_json_items,
      ngx_http_loyalty_event_offset(items), 0, 0 },

    { "member", ngx_http_loyalty_json_text,
      ngx_http_loyalty_event_offset(member), NGX_HTTP_LOYALTY_ID, 1 },

    { "partner", ngx_http_loyalty_json_text,
      ngx_http_loyalty_event_offset(partner), NGX_HTTP_LOYALTY_ID, 0 },

    { "quantity", ngx_http_loyalty_json_count,
      ngx_http_loyalty_event_offset(quantity), 0, 0 },

    { "type", ngx_http_loyalty_json_text,
      ngx_http_loyalty_event_offset(type), NGX_HTTP_LOYALTY_TYPE, 1 },

    { NULL, NULL, 0, 0, 0 }
};


static const ngx_http_loyalty_json_field_t
    ngx_http_loyalty_item_fields[] =
{
    { "amount", ngx_http_loyalty_json_amount,
      ngx_http_loyalty_item_offset(amount), 0, 0 },

    { "category", ngx_http_loyalty_json_text,
      ngx_http_loyalty_item_offset(category), NGX_HTTP_LOYALTY_ID, 0 },

    { "quantity", ngx_http_loyalty_json_count,
      ngx_http_loyalty_item_offset(quantity), 0, 0 },

    { "sku", ngx_http_loyalty_json_text,
      ngx_http_loyalty_item_offset(sku), NGX_HTTP_LOYALTY_ID, 0 },

    { NULL, NULL, 0, 0, 0 }
};


static const ngx_http_loyalty_json_field_t
    ngx_http_loyalty_reversal_fields[] =
{
    { "amount", ngx_http_loyalty_json_amount,
      ngx_http_loyalty_reversal_offset(amount), 0, 0 },

    { "id", ngx_http_loyalty_json_text,
      ngx_http_loyalty_reversal_offset(id), NGX_HTTP_LOYALTY_ID, 1 },

    { "items", ngx_http_loyalty_json_parts,
      ngx_http_loyalty_reversal_offset(items), 0, 0 },

    { "member", ngx_http_loyalty_json_text,
      ngx_http_loyalty_reversal_offset(member), NGX_HTTP_LOYALTY_ID, 1 },

    { NULL, NULL, 0, 0, 0 }
};


/* what a reversal says of an item: the sku must tell which */

static const ngx_http_loyalty_json_field_t
    ngx_http_loyalty_part_fields[] =
{
    { "amount", ngx_http_loyalty_json_amount,
      ngx_http_loyalty_item_offset(amount), 0, 0 },

    { "category", ngx_http_loyalty_json_text,
      ngx_http_loyalty_item_offset(category), NGX_HTTP_LOYALTY_ID, 0 },

    { "quantity", ngx_http_loyalty_json_count,
      ngx_http_loyalty_item_offset(quantity), 0, 0 },

    { "sku", ngx_http_loyalty_json_text,
      ngx_http_loyalty_item_offset(sku), NGX_HTTP_LOYALTY_ID, 1 },

    { NULL, NULL, 0, 0, 0 }
};


ngx_int_t
ngx_http_loyalty_event_parse(ngx_http_loyalty_program_t *program,
    json_t *json, ngx_http_loyalty_event_t *event,
    ngx_http_loyalty_scratch_t *scratch, ngx_http_loyalty_fault_t *fault)
{
    ngx_http_loyalty_json_ctx_t  ctx;

    ngx_http_loyalty_json_start(&ctx, program, scratch, fault);
    ctx.now = event->now;

    ngx_str_null(&event->channel);
    ngx_str_null(&event->partner);
    event->at = event->now;
    event->amount = -1;
    event->quantity = -1;
    event->data = NULL;

    loyalty_mpw_str(&ctx.canonical, "event", 5);

    if (ngx_http_loyalty_json_object(&ctx, ngx_http_loyalty_event_fields,
                                     json, event)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    event->nitems = ctx.nitems;
    event->items = scratch->items;

    if (event->amount < 0
        && ngx_http_loyalty_json_sum(&ctx, &event->amount) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_json_digest(&ctx, event->fingerprint);
}


ngx_int_t
ngx_http_loyalty_reversal_parse(ngx_http_loyalty_program_t *program,
    json_t *json, ngx_http_loyalty_reversal_t *reversal,
    ngx_http_loyalty_scratch_t *scratch, ngx_http_loyalty_fault_t *fault)
{
    ngx_http_loyalty_json_ctx_t  ctx;

    ngx_http_loyalty_json_start(&ctx, program, scratch, fault);
    ctx.now = reversal->now;

    reversal->amount = -1;

    loyalty_mpw_str(&ctx.canonical, "reversal", 8);
    loyalty_mpw_str(&ctx.canonical, reversal->event.data,
                    reversal->event.len);

    if (ngx_http_loyalty_json_object(&ctx, ngx_http_loyalty_reversal_fields,
                                     json, reversal)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (reversal->amount >= 0 && ctx.items) {
        return ngx_http_loyalty_json_fault(fault, "items", NULL,
                                           "an amount or items are expected, "
                                           "not both");
    }

    if (reversal->amount == 0) {
        return ngx_http_loyalty_json_fault(fault, "amount", NULL,
                                           "an amount over 0 is expected");
    }

    if (ctx.items && ctx.nitems == 0) {
        return ngx_http_loyalty_json_fault(fault, "items", NULL,
                                           "1 to %d items are expected",
                                           NGX_HTTP_LOYALTY_ITEMS);
    }

    reversal->nitems = ctx.nitems;
    reversal->items = scratch->items;

    return ngx_http_loyalty_json_digest(&ctx, reversal->fingerprint);
}


static void
ngx_http_loyalty_json_start(ngx_http_loyalty_json_ctx_t *ctx,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_scratch_t *scratch,
    ngx_http_loyalty_fault_t *fault)
{
    ctx->program = program;
    ctx->fault = fault;
    ctx->scratch = scratch;
    ctx->nitems = 0;
    ctx->fault->item = -1;
    ctx->items = 0;

    /* the buffer serves the call to Redis only when this is done */

    loyalty_mpw_init(&ctx->canonical, scratch->buf, sizeof(scratch->buf));
}


static ngx_int_t
ngx_http_loyalty_json_object(ngx_http_loyalty_json_ctx_t *ctx,
    const ngx_http_loyalty_json_field_t *fields, json_t *json, void *dst)
{
    size_t                                n;
    json_t                               *value;
    const ngx_http_loyalty_json_field_t  *f;

    if (!json_is_object(json)) {
        return ngx_http_loyalty_json_fault(ctx->fault, NULL, NULL,
                                           "an object is expected");
    }

    n = 0;

    for (f = fields; f->name != NULL; f++) {
        value = json_object_get(json, f->name);

        if (value == NULL) {

            if (!f->required) {
                continue;
            }

            return ngx_http_loyalty_json_fault(ctx->fault, f->name, NULL,
                                               "it is missing: a string of "
                                               "1 to %uz bytes is expected",
                                               f->max);
        }

        n++;

        loyalty_mpw_str(&ctx->canonical, f->name, ngx_strlen(f->name));

        if (f->read(ctx, f, value, (u_char *) dst + f->offset) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (n != json_object_size(json)) {
        return ngx_http_loyalty_json_unknown(ctx, fields, json);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_json_unknown(ngx_http_loyalty_json_ctx_t *ctx,
    const ngx_http_loyalty_json_field_t *fields, json_t *json)
{
    u_char                               *p, names[128];
    json_t                               *value;
    const char                           *key;
    const ngx_http_loyalty_json_field_t  *f;

    p = names;

    for (f = fields; f->name != NULL; f++) {
        p = ngx_slprintf(p, names + sizeof(names), "%s%s",
                         f == fields ? "" : ", ", f->name);
    }

    json_object_foreach(json, key, value) {

        for (f = fields; f->name != NULL; f++) {
            if (ngx_strcmp(f->name, key) == 0) {
                break;
            }
        }

        if (f->name == NULL) {
            break;
        }
    }

    return ngx_http_loyalty_json_fault(ctx->fault, key, NULL,
                                       "the field is unknown: expected are "
                                       "%*s", (size_t) (p - names), names);
}


static ngx_int_t
ngx_http_loyalty_json_digest(ngx_http_loyalty_json_ctx_t *ctx,
    u_char *fingerprint)
{
    u_char         md[EVP_MAX_MD_SIZE];
    loyalty_mpw_t  *w;

    w = &ctx->canonical;

    if (w->failed) {
        ngx_http_loyalty_fault(ctx->fault, NGX_HTTP_LOYALTY_P_TOO_LARGE,
                               "an event of at most %d bytes is expected",
                               NGX_HTTP_LOYALTY_TEXT);
        return NGX_ERROR;
    }

    if (EVP_Digest(w->start, w->pos - w->start, md, NULL, EVP_sha256(), NULL)
        != 1)
    {
        ngx_http_loyalty_fault(ctx->fault, NGX_HTTP_LOYALTY_P_INTERNAL,
                               "no fingerprint could be taken");
        return NGX_ERROR;
    }

    ngx_memcpy(fingerprint, md, 6);

    return NGX_OK;
}


/* an event without an amount has that of its items, if all have one */

static ngx_int_t
ngx_http_loyalty_json_sum(ngx_http_loyalty_json_ctx_t *ctx, int64_t *amount)
{
    int64_t     sum;
    ngx_uint_t  i;

    if (ctx->nitems == 0) {
        return NGX_OK;
    }

    for (i = 0, sum = 0; i < ctx->nitems; i++) {

        if (ctx->scratch->items[i].amount < 0) {
            return NGX_OK;
        }

        sum += ctx->scratch->items[i].amount;
    }

    if (sum > LOYALTY_MAX_INT) {
        return ngx_http_loyalty_json_fault(ctx->fault, "items", NULL,
                                           "the sum of the amounts is too "
                                           "large");
    }

    *amount = sum;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_json_text(ngx_http_loyalty_json_ctx_t *ctx,
    const ngx_http_loyalty_json_field_t *f, json_t *value, void *dst)
{
    ngx_str_t  *text = dst;

    if (json_is_string(value)) {
        text->data = (u_char *) json_string_value(value);
        text->len = json_string_length(value);

        if (ngx_http_loyalty_text_check(text, f->max) == NGX_OK) {
            loyalty_mpw_str(&ctx->canonical, text->data, text->len);
            return NGX_OK;
        }
    }

    return ngx_http_loyalty_json_fault(ctx->fault, f->name, NULL,
                                       "a string of 1 to %uz bytes without "
                                       "control characters is expected",
                                       f->max);
}


static ngx_int_t
ngx_http_loyalty_json_amount(ngx_http_loyalty_json_ctx_t *ctx,
    const ngx_http_loyalty_json_field_t *f, json_t *value, void *dst)
{
    int64_t     *amount = dst;
    u_char      *p, example[LOYALTY_MONEY_LEN];
    ngx_uint_t   scale;

    scale = ctx->program->scale;

    if (json_is_string(value)) {

        switch (loyalty_money_parse((u_char *) json_string_value(value),
                                    json_string_length(value), scale,
                                    amount))
        {
        case LOYALTY_MONEY_OK:
            loyalty_mpw_int(&ctx->canonical, *amount);
            return NGX_OK;

        case LOYALTY_MONEY_RANGE:
            return ngx_http_loyalty_json_fault(ctx->fault, f->name, NULL,
                                               "the amount is too large");
        }
    }

    p = example + loyalty_money_format(example, 1250, scale);

    return ngx_http_loyalty_json_fault(ctx->fault, f->name, NULL,
                                       "a string with a decimal number that "
                                       "has at most %ui decimals, such as "
                                       "\"%*s\", is expected", scale,
                                       (size_t) (p - example), example);
}


static ngx_int_t
ngx_http_loyalty_json_count(ngx_http_loyalty_json_ctx_t *ctx,
    const ngx_http_loyalty_json_field_t *f, json_t *value, void *dst)
{
    int64_t  *count = dst;

    if (json_is_integer(value)
        && json_integer_value(value) >= 1
        && json_integer_value(value) <= LOYALTY_MAX_INT)
    {
        *count = json_integer_value(value);
        loyalty_mpw_int(&ctx->canonical, *count);
        return NGX_OK;
    }

    return ngx_http_loyalty_json_fault(ctx->fault, f->name, NULL,
                                       "a whole number from 1 to %L is "
                                       "expected", LOYALTY_MAX_INT);
}


static ngx_int_t
ngx_http_loyalty_json_at(ngx_http_loyalty_json_ctx_t *ctx,
    const ngx_http_loyalty_json_field_t *f, json_t *value, void *dst)
{
    int64_t  *at = dst;

    if (!json_is_string(value)
        || loyalty_rfc3339_parse((u_char *) json_string_value(value),
                                 json_string_length(value), at)
           != 0)
    {
        return ngx_http_loyalty_json_fault(ctx->fault, f->name, NULL,
                                           "a time as in RFC 3339 with an "
                                           "offset, such as "
                                           "\"2026-03-29T10:15:00+02:00\", "
                                           "is expected");
    }

    if (*at < ctx->now - ctx->program->max_event_age) {
        return ngx_http_loyalty_json_fault(ctx->fault, f->name, NULL,
                                           "the event is older than "
                                           "max_event_age, %L seconds",
                                           ctx->program->max_event_age
                                           / 1000);
    }

    if (*at > ctx->now + NGX_HTTP_LOYALTY_AHEAD) {
        return ngx_http_loyalty_json_fault(ctx->fault, f->name, NULL,
                                           "the event is more than 5 minutes "
                                           "ahead");
    }

    loyalty_mpw_int(&ctx->canonical, *at);

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_json_items(ngx_http_loyalty_json_ctx_t *ctx,
    const ngx_http_loyalty_json_field_t *f, json_t *value, void *dst)
{
    return ngx_http_loyalty_json_list(ctx, f, ngx_http_loyalty_item_fields,
                                      value, 1);
}


static ngx_int_t
ngx_http_loyalty_json_parts(ngx_http_loyalty_json_ctx_t *ctx,
    const ngx_http_loyalty_json_field_t *f, json_t *value, void *dst)
{
    return ngx_http_loyalty_json_list(ctx, f, ngx_http_loyalty_part_fields,
                                      value, UINT64_MAX);
}


static ngx_int_t
ngx_http_loyalty_json_list(ngx_http_loyalty_json_ctx_t *ctx,
    const ngx_http_loyalty_json_field_t *f,
    const ngx_http_loyalty_json_field_t *fields, json_t *value,
    uint64_t quantity)
{
    ngx_uint_t                i, n;
    ngx_http_loyalty_item_t  *item;

    n = json_array_size(value);

    if (!json_is_array(value) || n > NGX_HTTP_LOYALTY_ITEMS) {
        return ngx_http_loyalty_json_fault(ctx->fault, f->name, NULL,
                                           "an array of at most %d items is "
                                           "expected",
                                           NGX_HTTP_LOYALTY_ITEMS);
    }

    loyalty_mpw_array(&ctx->canonical, n);

    for (i = 0; i < n; i++) {
        item = &ctx->scratch->items[i];

        ngx_str_null(&item->sku);
        ngx_str_null(&item->category);
        item->quantity = quantity;
        item->amount = -1;

        ctx->fault->item = i;

        if (ngx_http_loyalty_json_object(ctx, fields,
                                         json_array_get(value, i), item)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        /* where an item ends, whatever fields the next one has */

        loyalty_mpw_nil(&ctx->canonical);
    }

    ctx->fault->item = -1;
    ctx->items = 1;
    ctx->nitems = n;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_json_data(ngx_http_loyalty_json_ctx_t *ctx,
    const ngx_http_loyalty_json_field_t *f, json_t *value, void *dst)
{
    json_t      **data = dst;
    json_t       *v;
    const char   *key;

    if (!json_is_object(value)) {
        return ngx_http_loyalty_json_fault(ctx->fault, f->name, NULL,
                                           "an object is expected");
    }

    json_object_foreach(value, key, v) {
        if (!ngx_http_loyalty_json_plain(v)) {
            return ngx_http_loyalty_json_fault(ctx->fault, f->name, key,
                                               "a string, a whole number up "
                                               "to %L, a boolean or null is "
                                               "expected; a decimal number "
                                               "is written as a string",
                                               LOYALTY_MAX_INT);
        }
    }

    *data = value;

    /* text that does not fit is found by who takes the fingerprint */

    if (json_dump_callback(value, ngx_http_loyalty_json_dump,
                           &ctx->canonical, JSON_COMPACT|JSON_SORT_KEYS)
        != 0
        && !ctx->canonical.failed)
    {
        ngx_http_loyalty_fault(ctx->fault, NGX_HTTP_LOYALTY_P_INTERNAL,
                               "there is no memory left");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static int
ngx_http_loyalty_json_dump(const char *buffer, size_t size, void *data)
{
    loyalty_mpw_t  *w = data;

    loyalty_mpw_raw(w, buffer, size);

    return w->failed ? -1 : 0;
}
