/*
 * A record as Redis keeps it (docs/internals.md), read and told in JSON:
 * the effects in the order in which they happened, and the balances.
 *
 * What comes from Redis is checked like any input: every index and length
 * is bounded, and NGX_ERROR means that the bytes are not what they should
 * be.
 */

#include "ngx_http_loyalty_http.h"


#define NGX_HTTP_LOYALTY_REST      16      /* at, accepted, fingerprint */

#define NGX_HTTP_LOYALTY_E_POINTS    1
#define NGX_HTTP_LOYALTY_E_TIER     10
#define NGX_HTTP_LOYALTY_E_REVERSES 11
#define NGX_HTTP_LOYALTY_E_OWED     13


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
    { 5, 0, 2 },                   /* challenge */
    { 3, 0, 2 },
    { 5, 2, 2 },
    { 3, 2, 2 },
    { 4, 0, 3 },                   /* streak */
    { 6, 0, 3 },
    { 2, 0, 3 },
    { 2, 0, 0 },                   /* tier */
    { 3, 0, 0 },                   /* what a reversal reverses */
    { 3, 0, 2 },                   /* challenge opened */
    { 2, 0, 0 }                    /* owed */
};

#define NGX_HTTP_LOYALTY_ENTRY_FORMS                                         \
    (sizeof(ngx_http_loyalty_entry_forms)                                    \
     / sizeof(ngx_http_loyalty_entry_form_t))


typedef struct {
    ngx_uint_t                    kind;
    loyalty_mpr_t                 values;         /* behind the kind, and not
                                                     further */
} ngx_http_loyalty_entry_t;

typedef struct {
    ngx_http_loyalty_program_t   *program;
    ngx_http_loyalty_record_t    *record;
    loyalty_out_t                *out;
    int64_t                      *balances;       /* as the steps go by */
    ngx_uint_t                    n;              /* effects written */
} ngx_http_loyalty_effects_t;


static uint64_t ngx_http_loyalty_number_be(const u_char *p, ngx_uint_t n);
static ngx_int_t ngx_http_loyalty_body_parse(ngx_pool_t *pool,
    const u_char *p, size_t len, ngx_http_loyalty_record_t *record);
static ngx_int_t ngx_http_loyalty_reverses_parse(
    ngx_http_loyalty_record_t *record);
static ngx_int_t ngx_http_loyalty_entry_next(loyalty_mpr_t *r,
    ngx_http_loyalty_entry_t *entry);
static ngx_int_t ngx_http_loyalty_entry_wallet(
    ngx_http_loyalty_record_t *record, loyalty_mpr_t *r, ngx_uint_t *wallet);
static ngx_int_t ngx_http_loyalty_balances_before(
    ngx_http_loyalty_record_t *record, int64_t *balances);

static ngx_int_t ngx_http_loyalty_effect(ngx_http_loyalty_effects_t *ctx,
    ngx_http_loyalty_entry_t *entry);
static ngx_int_t ngx_http_loyalty_effect_points(
    ngx_http_loyalty_effects_t *ctx, loyalty_mpr_t *r);
static ngx_int_t ngx_http_loyalty_effect_owed(
    ngx_http_loyalty_effects_t *ctx, loyalty_mpr_t *r);
static ngx_int_t ngx_http_loyalty_effect_tier(
    ngx_http_loyalty_effects_t *ctx, loyalty_mpr_t *r);
static ngx_int_t ngx_http_loyalty_effect_game(
    ngx_http_loyalty_effects_t *ctx, ngx_http_loyalty_entry_t *entry);

static void ngx_http_loyalty_out_wallet(ngx_http_loyalty_effects_t *ctx,
    ngx_uint_t wallet);
static ngx_int_t ngx_http_loyalty_out_tier(ngx_http_loyalty_effects_t *ctx,
    loyalty_mpr_t *r);
static void ngx_http_loyalty_unknown_name(const u_char *hash, u_char *buf,
    ngx_str_t *name);


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
    int64_t         program, multiplier, n;
    uint32_t        size;
    ngx_uint_t      i;
    loyalty_mpr_t   r, number;
    loyalty_mpv_t   amount;

    loyalty_mpr_init(&r, p, len);

    if (loyalty_mpr_array(&r, &size) != 0
        || loyalty_mpr_int(&r, &record->seq) != 0
        || loyalty_mpr_int(&r, &program) != 0
        || loyalty_mpr_int(&r, &record->type) != 0)
    {
        return NGX_ERROR;
    }

    record->amount = -1;
    number = r;

    if (loyalty_mpr_next(&r, &amount) != 0) {
        return NGX_ERROR;
    }

    if (amount.type != LOYALTY_MP_BOOL && amount.type != LOYALTY_MP_NIL
        && loyalty_mpr_int(&number, &record->amount) != 0)
    {
        return NGX_ERROR;
    }

    /* then items and what is reversed: the member API has no use for them */

    if (loyalty_mpr_int(&r, &multiplier) != 0
        || loyalty_mpr_skip(&r) != 0
        || loyalty_mpr_skip(&r) != 0
        || loyalty_mpr_int(&r, &n) != 0
        || n < 0 || (ngx_uint_t) n > record->nwallets)
    {
        return NGX_ERROR;
    }

    record->nbalances = (ngx_uint_t) n;
    record->balances = NULL;

    if (n) {
        record->balances = ngx_palloc(pool, n * sizeof(int64_t));
        if (record->balances == NULL) {
            return NGX_ERROR;
        }
    }

    for (i = 0; i < record->nbalances; i++) {
        if (loyalty_mpr_int(&r, &record->balances[i]) != 0) {
            return NGX_ERROR;
        }
    }

    record->entries = r;

    return ngx_http_loyalty_reverses_parse(record);
}


/* a reversal says in an entry which event it reverses */

static ngx_int_t
ngx_http_loyalty_reverses_parse(ngx_http_loyalty_record_t *record)
{
    ngx_int_t                  rc;
    uint32_t                   len;
    loyalty_mpr_t              r;
    const unsigned char       *id;
    ngx_http_loyalty_entry_t   entry;

    ngx_str_null(&record->reverses);

    if (record->type != 0) {
        return NGX_OK;
    }

    r = record->entries;

    for ( ;; ) {
        rc = ngx_http_loyalty_entry_next(&r, &entry);

        if (rc != NGX_OK) {
            return rc == NGX_DONE ? NGX_OK : NGX_ERROR;
        }

        if (entry.kind != NGX_HTTP_LOYALTY_E_REVERSES) {
            continue;
        }

        if (loyalty_mpr_str(&entry.values, &id, &len) != 0) {
            return NGX_ERROR;
        }

        record->reverses.data = (u_char *) id;
        record->reverses.len = len;

        return NGX_OK;
    }
}


/* NGX_DONE: there is none any more */

static ngx_int_t
ngx_http_loyalty_entry_next(loyalty_mpr_t *r,
    ngx_http_loyalty_entry_t *entry)
{
    int64_t                               kind, n;
    ngx_uint_t                            i;
    const ngx_http_loyalty_entry_form_t  *form;

    if (r->pos == r->end) {
        return NGX_DONE;
    }

    if (loyalty_mpr_int(r, &kind) != 0
        || kind < 1 || kind >= (int64_t) NGX_HTTP_LOYALTY_ENTRY_FORMS)
    {
        return NGX_ERROR;
    }

    form = &ngx_http_loyalty_entry_forms[kind];

    entry->kind = (ngx_uint_t) kind;
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


/* the index of a wallet, from 0 */

static ngx_int_t
ngx_http_loyalty_entry_wallet(ngx_http_loyalty_record_t *record,
    loyalty_mpr_t *r, ngx_uint_t *wallet)
{
    int64_t  n;

    if (loyalty_mpr_int(r, &n) != 0
        || n < 1 || (uint64_t) n > record->nbalances)
    {
        return NGX_ERROR;
    }

    *wallet = (ngx_uint_t) n - 1;

    return NGX_OK;
}


/* a record holds the balances after it; its points lead back */

static ngx_int_t
ngx_http_loyalty_balances_before(ngx_http_loyalty_record_t *record,
    int64_t *balances)
{
    int64_t                    amount;
    ngx_int_t                  rc;
    ngx_uint_t                 wallet;
    loyalty_mpr_t              r;
    ngx_http_loyalty_entry_t   entry;

    if (record->nbalances) {
        ngx_memcpy(balances, record->balances,
                   record->nbalances * sizeof(int64_t));
    }

    r = record->entries;

    for ( ;; ) {
        rc = ngx_http_loyalty_entry_next(&r, &entry);

        if (rc != NGX_OK) {
            return rc == NGX_DONE ? NGX_OK : NGX_ERROR;
        }

        if (entry.kind != NGX_HTTP_LOYALTY_E_POINTS) {
            continue;
        }

        if (ngx_http_loyalty_entry_wallet(record, &entry.values, &wallet)
            != NGX_OK
            || loyalty_mpr_int(&entry.values, &amount) != 0
            || amount > LOYALTY_MAX_INT || amount < -LOYALTY_MAX_INT)
        {
            return NGX_ERROR;
        }

        balances[wallet] -= amount;
    }
}


ngx_int_t
ngx_http_loyalty_effects_json(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_record_t *record, loyalty_out_t *out)
{
    int64_t                      balances[256];   /* the wallets of a u8 */
    ngx_int_t                    rc;
    loyalty_mpr_t                r;
    ngx_http_loyalty_entry_t     entry;
    ngx_http_loyalty_effects_t   ctx;

    if (ngx_http_loyalty_balances_before(record, balances) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx.program = program;
    ctx.record = record;
    ctx.out = out;
    ctx.balances = balances;
    ctx.n = 0;

    loyalty_out_lit(out, "\"effects\":[");

    r = record->entries;

    for ( ;; ) {
        rc = ngx_http_loyalty_entry_next(&r, &entry);

        if (rc == NGX_DONE) {
            break;
        }

        if (rc != NGX_OK
            || ngx_http_loyalty_effect(&ctx, &entry) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    loyalty_out_lit(out, "]");

    return out->failed ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_effect(ngx_http_loyalty_effects_t *ctx,
    ngx_http_loyalty_entry_t *entry)
{
    size_t          used;
    ngx_int_t       rc;
    loyalty_mpr_t  *r;
    loyalty_out_t  *out;

    r = &entry->values;
    out = ctx->out;
    used = out->pos - out->start;

    if (ctx->n) {
        loyalty_out_lit(out, ",");
    }

    switch (entry->kind) {

    case NGX_HTTP_LOYALTY_E_POINTS:
        rc = ngx_http_loyalty_effect_points(ctx, r);
        break;

    case NGX_HTTP_LOYALTY_E_TIER:
        rc = ngx_http_loyalty_effect_tier(ctx, r);
        break;

    case NGX_HTTP_LOYALTY_E_OWED:
        rc = ngx_http_loyalty_effect_owed(ctx, r);
        break;

    case NGX_HTTP_LOYALTY_E_REVERSES:
        rc = NGX_DECLINED;
        break;

    default:
        rc = ngx_http_loyalty_effect_game(ctx, entry);
    }

    if (rc == NGX_DECLINED) {

        /* not an effect: the comma goes, too */

        if (!out->failed) {
            out->pos = out->start + used;
        }

        return NGX_OK;
    }

    ctx->n++;

    return rc;
}


static ngx_int_t
ngx_http_loyalty_effect_points(ngx_http_loyalty_effects_t *ctx,
    loyalty_mpr_t *r)
{
    u_char                    buf[1 + 2 * NGX_HTTP_LOYALTY_HASH];
    int64_t                   amount, slot;
    ngx_str_t                 name;
    ngx_uint_t                wallet;
    const u_char             *hash;
    loyalty_out_t            *out;
    ngx_http_loyalty_rule_t  *rule;

    if (ngx_http_loyalty_entry_wallet(ctx->record, r, &wallet) != NGX_OK
        || loyalty_mpr_int(r, &amount) != 0
        || loyalty_mpr_int(r, &slot) != 0
        || slot < 0 || (uint64_t) slot > ctx->record->nslots)
    {
        return NGX_ERROR;
    }

    ngx_str_set(&name, "adjustment");

    if (slot > 0) {
        hash = ctx->record->slots + NGX_HTTP_LOYALTY_HASH * (slot - 1);
        rule = ngx_http_loyalty_rule_by_hash(ctx->program, hash);

        if (rule != NULL) {
            name = rule->reason;

        } else {
            ngx_http_loyalty_unknown_name(hash, buf, &name);
        }
    }

    ctx->balances[wallet] += amount;
    out = ctx->out;

    loyalty_out_lit(out, "{\"type\":\"points\",\"wallet\":");
    ngx_http_loyalty_out_wallet(ctx, wallet);
    loyalty_out_lit(out, ",\"amount\":");
    loyalty_out_int(out, amount);
    loyalty_out_lit(out, ",\"reason\":");
    loyalty_out_str(out, name.data, name.len);
    loyalty_out_lit(out, ",\"balance\":");
    loyalty_out_int(out, ctx->balances[wallet]);
    loyalty_out_lit(out, "}");

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_effect_owed(ngx_http_loyalty_effects_t *ctx,
    loyalty_mpr_t *r)
{
    int64_t     amount;
    ngx_uint_t  wallet;

    if (ngx_http_loyalty_entry_wallet(ctx->record, r, &wallet) != NGX_OK
        || loyalty_mpr_int(r, &amount) != 0)
    {
        return NGX_ERROR;
    }

    loyalty_out_lit(ctx->out, "{\"type\":\"owed\",\"wallet\":");
    ngx_http_loyalty_out_wallet(ctx, wallet);
    loyalty_out_lit(ctx->out, ",\"amount\":");
    loyalty_out_int(ctx->out, amount);
    loyalty_out_lit(ctx->out, "}");

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_effect_tier(ngx_http_loyalty_effects_t *ctx,
    loyalty_mpr_t *r)
{
    loyalty_out_lit(ctx->out, "{\"type\":\"tier\",\"from\":");

    if (ngx_http_loyalty_out_tier(ctx, r) != NGX_OK) {
        return NGX_ERROR;
    }

    loyalty_out_lit(ctx->out, ",\"to\":");

    if (ngx_http_loyalty_out_tier(ctx, r) != NGX_OK) {
        return NGX_ERROR;
    }

    loyalty_out_lit(ctx->out, "}");

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_effect_game(ngx_http_loyalty_effects_t *ctx,
    ngx_http_loyalty_entry_t *entry)
{
    u_char                     buf[1 + 2 * NGX_HTTP_LOYALTY_HASH];
    int64_t                    slot;
    ngx_str_t                  name;
    ngx_uint_t                 i, kind;
    const u_char              *hash;
    ngx_http_loyalty_rule_t   *rule;
    ngx_http_loyalty_game_t   *game;

    if (loyalty_mpr_int(&entry->values, &slot) != 0
        || slot < 1 || (uint64_t) slot > ctx->record->nslots)
    {
        return NGX_ERROR;
    }

    hash = ctx->record->slots + NGX_HTTP_LOYALTY_HASH * (slot - 1);
    rule = ngx_http_loyalty_rule_by_hash(ctx->program, hash);

    if (rule != NULL) {
        game = rule->game;
        name = rule->name;

    } else {
        kind = ngx_http_loyalty_entry_forms[entry->kind].game;
        game = NULL;

        for (i = 0; ngx_http_loyalty_games[i] != NULL; i++) {
            if (ngx_http_loyalty_games[i]->kind == kind) {
                game = ngx_http_loyalty_games[i];
                break;
            }
        }

        ngx_http_loyalty_unknown_name(hash, buf, &name);
    }

    if (game == NULL || game->effect == NULL) {
        return NGX_DECLINED;
    }

    return game->effect(ctx->program, rule, &name, entry->kind,
                        &entry->values, ctx->out);
}


static void
ngx_http_loyalty_out_wallet(ngx_http_loyalty_effects_t *ctx,
    ngx_uint_t wallet)
{
    u_char                      buf[1 + 2 * NGX_HTTP_LOYALTY_HASH];
    ngx_str_t                   name;
    ngx_uint_t                  i;
    const u_char               *hash;
    ngx_http_loyalty_wallet_t  *wallets;

    hash = ctx->record->wallets + NGX_HTTP_LOYALTY_HASH * wallet;
    wallets = ctx->program->wallets.elts;

    for (i = 0; i < ctx->program->wallets.nelts; i++) {
        if (ngx_memcmp(wallets[i].hash, hash, NGX_HTTP_LOYALTY_HASH) == 0) {
            loyalty_out_str(ctx->out, wallets[i].name.data,
                            wallets[i].name.len);
            return;
        }
    }

    ngx_http_loyalty_unknown_name(hash, buf, &name);
    loyalty_out_str(ctx->out, name.data, name.len);
}


/* zeros stand for no tier */

static ngx_int_t
ngx_http_loyalty_out_tier(ngx_http_loyalty_effects_t *ctx, loyalty_mpr_t *r)
{
    u_char                    buf[1 + 2 * NGX_HTTP_LOYALTY_HASH];
    uint32_t                  len;
    ngx_str_t                 name;
    ngx_uint_t                i;
    const unsigned char      *hash;
    ngx_http_loyalty_tier_t  *tier;

    static const u_char  none[NGX_HTTP_LOYALTY_HASH];

    if (loyalty_mpr_str(r, &hash, &len) != 0
        || len != NGX_HTTP_LOYALTY_HASH)
    {
        return NGX_ERROR;
    }

    if (ngx_memcmp(hash, none, NGX_HTTP_LOYALTY_HASH) == 0) {
        loyalty_out_lit(ctx->out, "null");
        return NGX_OK;
    }

    tier = ctx->program->tiers.elts;

    for (i = 0; i < ctx->program->tiers.nelts; i++) {
        if (ngx_memcmp(tier[i].hash, hash, NGX_HTTP_LOYALTY_HASH) == 0) {
            loyalty_out_str(ctx->out, tier[i].name.data, tier[i].name.len);
            return NGX_OK;
        }
    }

    ngx_http_loyalty_unknown_name(hash, buf, &name);
    loyalty_out_str(ctx->out, name.data, name.len);

    return NGX_OK;
}


/* what the configuration does not name any more */

static void
ngx_http_loyalty_unknown_name(const u_char *hash, u_char *buf,
    ngx_str_t *name)
{
    buf[0] = '~';

    name->data = buf;
    name->len = ngx_hex_dump(buf + 1, (u_char *) hash, NGX_HTTP_LOYALTY_HASH)
                - buf;
}


ngx_int_t
ngx_http_loyalty_balances_json(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_record_t *record, loyalty_out_t *out)
{
    int64_t                     balance;
    ngx_uint_t                  i, k;
    ngx_http_loyalty_wallet_t  *wallet;

    loyalty_out_lit(out, "\"balances\":{");

    wallet = program->wallets.elts;

    for (i = 0; i < program->wallets.nelts; i++) {
        balance = 0;

        for (k = 0; k < record->nbalances; k++) {
            if (ngx_memcmp(record->wallets + NGX_HTTP_LOYALTY_HASH * k,
                           wallet[i].hash, NGX_HTTP_LOYALTY_HASH)
                == 0)
            {
                balance = record->balances[k];
                break;
            }
        }

        if (i) {
            loyalty_out_lit(out, ",");
        }

        loyalty_out_str(out, wallet[i].name.data, wallet[i].name.len);
        loyalty_out_lit(out, ":");
        loyalty_out_int(out, balance);
    }

    loyalty_out_lit(out, "}");

    return out->failed ? NGX_ERROR : NGX_OK;
}
