/*
 * A record as Redis keeps it (docs/internals.md), taken apart.
 *
 * What comes from Redis is checked like any input: every index and length
 * is bounded, and NGX_ERROR means that the bytes are not what they should
 * be.
 */

#include "ngx_http_loyalty_http.h"


#define NGX_HTTP_LOYALTY_REST  16          /* at, accepted, fingerprint */


/*
 * The forms of the entries, so that one can be passed over without knowing
 * its game: how many values follow the kind; stride is not 0 when the last
 * of them counts groups of that many more.  game is the kind of the rules
 * that write it, needed when the rule itself is not configured any more; 0:
 * not a game's.
 */

typedef struct {
    ngx_uint_t                    values;
    ngx_uint_t                    stride;
    ngx_uint_t                    game;
} ngx_http_loyalty_entry_form_t;

static const ngx_http_loyalty_entry_form_t
    ngx_http_loyalty_entry_forms[] =
{
    { 0, 0, 0 },
    { 3, 0, 0 },                   /* points */
    { 2, 1, 1 },                   /* items that a rule counted */
    { 4, 0, 2 },                   /* challenge */
    { 2, 0, 2 },
    { 5, 2, 2 },
    { 3, 2, 2 },
    { 4, 0, 3 },                   /* streak */
    { 6, 0, 3 },
    { 2, 0, 3 },
    { 2, 0, 0 },                   /* tier */
    { 3, 0, 0 },                   /* what a reversal reverses */
    { 3, 0, 2 },                   /* challenge opened */
    { 2, 0, 0 },                   /* owed */
    { 7, 0, 4 },                   /* a play */
    { 7, 0, 5 },                   /* tickets */
    { 4, 0, 5 },                   /* tickets voided */
    { 2, 0, 4 },                   /* plays */
    { 2, 0, 6 },                   /* a reward */
    { 2, 0, 7 },                   /* a badge */
    { 2, 0, 0 },                   /* who did it by hand, and why */
    { 3, 0, 5 }                    /* tickets that were not awarded */
};

#define NGX_HTTP_LOYALTY_ENTRY_FORMS                                         \
    (sizeof(ngx_http_loyalty_entry_forms)                                    \
     / sizeof(ngx_http_loyalty_entry_form_t))


static uint64_t ngx_http_loyalty_number_be(const u_char *p, ngx_uint_t n);
static ngx_int_t ngx_http_loyalty_body_parse(ngx_pool_t *pool,
    const u_char *p, size_t len, ngx_http_loyalty_record_t *record);
static ngx_int_t ngx_http_loyalty_entries_parse(loyalty_mpr_t *r,
    ngx_http_loyalty_record_t *record);
static ngx_int_t ngx_http_loyalty_amount_parse(loyalty_mpr_t *r,
    ngx_http_loyalty_record_t *record);
static ngx_int_t ngx_http_loyalty_reverses_parse(loyalty_mpr_t *r,
    ngx_http_loyalty_record_t *record);
static ngx_int_t ngx_http_loyalty_text_parse(loyalty_mpr_t *r,
    ngx_str_t *text);
static ngx_int_t ngx_http_loyalty_balances_parse(ngx_pool_t *pool,
    loyalty_mpr_t *r, ngx_http_loyalty_record_t *record);


ngx_int_t
ngx_http_loyalty_hashes_parse(ngx_str_t *reply,
    ngx_http_loyalty_record_t *record, ngx_str_t *rest)
{
    u_char  *p;
    size_t   len;

    p = reply->data;

    /* the letter, u8 wallets, u16 slots */

    if (reply->len < 4) {
        return NGX_ERROR;
    }

    record->nwallets = p[1];
    record->nslots = (ngx_uint_t) ngx_http_loyalty_number_be(p + 2, 2);

    len = 4 + NGX_HTTP_LOYALTY_HASH * (record->nwallets + record->nslots);

    if (reply->len < len) {
        return NGX_ERROR;
    }

    record->wallets = p + 4;
    record->slots = p + 4 + NGX_HTTP_LOYALTY_HASH * record->nwallets;

    rest->data = p + len;
    rest->len = reply->len - len;

    return NGX_OK;
}


static uint64_t
ngx_http_loyalty_number_be(const u_char *p, ngx_uint_t n)
{
    uint64_t  v;

    for (v = 0; n; n--) {
        v = v << 8 | *p++;
    }

    return v;
}


ngx_int_t
ngx_http_loyalty_record_parse(ngx_pool_t *pool, ngx_str_t *data,
    ngx_http_loyalty_record_t *record)
{
    u_char  *p, *last;
    size_t   len;

    p = data->data;

    if (data->len < 2) {
        return NGX_ERROR;
    }

    len = (size_t) ngx_http_loyalty_number_be(p, 2);
    p += 2;

    if (data->len - 2 < len || len < 1) {
        return NGX_ERROR;
    }

    last = p + len;
    record->id.len = *p++;
    record->id.data = p;

    if ((size_t) (last - p) < record->id.len + NGX_HTTP_LOYALTY_REST) {
        return NGX_ERROR;
    }

    p += record->id.len;

    record->at = (int64_t) ngx_http_loyalty_number_be(p, 6);
    record->accepted = (int64_t) ngx_http_loyalty_number_be(p + 6, 4) * 1000;
    p += NGX_HTTP_LOYALTY_REST;

    if (ngx_http_loyalty_body_parse(pool, p, last - p, record) != NGX_OK) {
        return NGX_ERROR;
    }

    data->len -= last - data->data;
    data->data = last;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_body_parse(ngx_pool_t *pool, const u_char *p, size_t len,
    ngx_http_loyalty_record_t *record)
{
    int64_t         program, multiplier;
    loyalty_mpr_t   r;

    loyalty_mpr_init(&r, p, len);

    if (loyalty_mpr_int(&r, &record->seq) != 0
        || loyalty_mpr_int(&r, &program) != 0
        || loyalty_mpr_int(&r, &record->type) != 0)
    {
        return NGX_ERROR;
    }

    if (ngx_http_loyalty_amount_parse(&r, record) != NGX_OK) {
        return NGX_ERROR;
    }

    if (loyalty_mpr_int(&r, &multiplier) != 0) {
        return NGX_ERROR;
    }

    record->items = r;

    if (loyalty_mpr_skip(&r) != 0) {
        return NGX_ERROR;
    }

    record->items.end = r.pos;

    /* then what is reversed, which no reply tells */

    if (loyalty_mpr_skip(&r) != 0
        || ngx_http_loyalty_entries_parse(&r, record) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_balances_parse(pool, &r, record);
}


static ngx_int_t
ngx_http_loyalty_amount_parse(loyalty_mpr_t *r,
    ngx_http_loyalty_record_t *record)
{
    loyalty_mpr_t  number;
    loyalty_mpv_t  amount;

    record->amount = -1;
    number = *r;

    if (loyalty_mpr_next(r, &amount) != 0) {
        return NGX_ERROR;
    }

    if (amount.type == LOYALTY_MP_BOOL || amount.type == LOYALTY_MP_NIL) {
        return NGX_OK;
    }

    return loyalty_mpr_int(&number, &record->amount) == 0 ? NGX_OK
                                                          : NGX_ERROR;
}


/* which event a reversal reverses, who made a change by hand, and where the
   entries end */

static ngx_int_t
ngx_http_loyalty_entries_parse(loyalty_mpr_t *r,
    ngx_http_loyalty_record_t *record)
{
    int64_t                    end;
    ngx_int_t                  rc;
    ngx_http_loyalty_entry_t   entry;

    ngx_str_null(&record->reverses);
    ngx_str_null(&record->actor);
    ngx_str_null(&record->reason);

    record->entries = *r;

    while ((rc = ngx_http_loyalty_entry_next(r, &entry)) == NGX_OK) {

        if (entry.kind == NGX_HTTP_LOYALTY_E_REVERSES
            && ngx_http_loyalty_reverses_parse(&entry.values, record)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (entry.kind == NGX_HTTP_LOYALTY_E_BY_HAND
            && (ngx_http_loyalty_text_parse(&entry.values, &record->actor)
                != NGX_OK
                || ngx_http_loyalty_text_parse(&entry.values,
                                               &record->reason)
                   != NGX_OK))
        {
            return NGX_ERROR;
        }
    }

    if (rc != NGX_DONE || loyalty_mpr_int(r, &end) != 0) {
        return NGX_ERROR;
    }

    record->entries.end = r->pos;

    return NGX_OK;
}


/* which event, and how much of it */

static ngx_int_t
ngx_http_loyalty_reverses_parse(loyalty_mpr_t *r,
    ngx_http_loyalty_record_t *record)
{
    if (ngx_http_loyalty_text_parse(r, &record->reverses) != NGX_OK
        || ngx_http_loyalty_amount_parse(r, record) != NGX_OK)
    {
        return NGX_ERROR;
    }

    record->items = *r;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_text_parse(loyalty_mpr_t *r, ngx_str_t *text)
{
    uint32_t              len;
    const unsigned char  *p;

    if (loyalty_mpr_str(r, &p, &len) != 0) {
        return NGX_ERROR;
    }

    text->data = (u_char *) p;
    text->len = len;

    return NGX_OK;
}


/* a wallet that is younger than the record has no balance in it */

static ngx_int_t
ngx_http_loyalty_balances_parse(ngx_pool_t *pool, loyalty_mpr_t *r,
    ngx_http_loyalty_record_t *record)
{
    record->nbalances = 0;
    record->balances = NULL;

    if (r->pos == r->end) {
        return NGX_OK;
    }

    if (record->nwallets == 0) {
        return NGX_ERROR;
    }

    record->balances = ngx_palloc(pool, record->nwallets * sizeof(int64_t));
    if (record->balances == NULL) {
        return NGX_ERROR;
    }

    while (r->pos < r->end) {

        if (record->nbalances == record->nwallets
            || loyalty_mpr_int(r, &record->balances[record->nbalances]) != 0)
        {
            return NGX_ERROR;
        }

        record->nbalances++;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_entry_next(loyalty_mpr_t *r,
    ngx_http_loyalty_entry_t *entry)
{
    int64_t                               kind, n;
    ngx_uint_t                            i;
    loyalty_mpr_t                         rest;
    const ngx_http_loyalty_entry_form_t  *form;

    rest = *r;

    if (loyalty_mpr_int(r, &kind) != 0) {
        return NGX_ERROR;
    }

    if (kind == 0) {
        *r = rest;
        return NGX_DONE;
    }

    if (kind < 0 || kind >= (int64_t) NGX_HTTP_LOYALTY_ENTRY_FORMS) {
        return NGX_ERROR;
    }

    form = &ngx_http_loyalty_entry_forms[kind];

    entry->kind = (ngx_uint_t) kind;
    entry->game = form->game;
    entry->values = *r;

    for (i = 0; i + (form->stride != 0) < form->values; i++) {
        if (loyalty_mpr_skip(r) != 0) {
            return NGX_ERROR;
        }
    }

    if (form->stride) {

        if (loyalty_mpr_int(r, &n) != 0 || n < 0 || n > r->end - r->pos) {
            return NGX_ERROR;
        }

        for (n *= form->stride; n; n--) {
            if (loyalty_mpr_skip(r) != 0) {
                return NGX_ERROR;
            }
        }
    }

    entry->values.end = r->pos;

    return NGX_OK;
}
