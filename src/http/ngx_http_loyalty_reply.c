/*
 * A record told in JSON: the effects in the order in which they happened,
 * and the balances.  What a game did, the game tells.
 */

#include "ngx_http_loyalty_http.h"


typedef struct {
    ngx_http_loyalty_program_t   *program;
    ngx_http_loyalty_record_t    *record;
    loyalty_out_t                *out;
    int64_t                      *balances;       /* as the steps go by */
    ngx_uint_t                    n;              /* effects written */
} ngx_http_loyalty_effects_t;


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
    case NGX_HTTP_LOYALTY_E_BY_HAND:
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
    ngx_uint_t                 i;
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
        game = NULL;

        for (i = 0; ngx_http_loyalty_games[i] != NULL; i++) {
            if (ngx_http_loyalty_games[i]->kind == entry->game) {
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
