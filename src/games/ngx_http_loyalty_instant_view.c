/*
 * An instant win in GET me: whether it is open, what it costs, how many
 * plays the member has left, and the odds in words.
 *
 * How much is left of a deck or of a stock is Redis's to know.  A worker
 * keeps what it heard last and asks again, at most once a second, while
 * somebody looks: GET me itself stays one question about one member.
 *
 * Prizes, odds, price, limits and the close are those of the version that
 * holds, which need not be that of the configuration.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_instant.h"


#define NGX_HTTP_LOYALTY_CARDS_FRESH  1000        /* ms */
#define NGX_HTTP_LOYALTY_CARDS_ROWS   257         /* prizes and blanks */
#define NGX_HTTP_LOYALTY_HOLDS_LIMITS 8


/* what holds: the rows of a version, or of the configuration */

typedef struct {
    uint32_t                      version;
    ngx_uint_t                    mode;
    int64_t                       close;
    loyalty_prize_t              *rows;
    ngx_uint_t                    nrows;
    ngx_http_loyalty_cost_t       cost;
    ngx_uint_t                    nlimits;
    ngx_http_loyalty_limit_t      limits[NGX_HTTP_LOYALTY_HOLDS_LIMITS];
} ngx_http_loyalty_holds_t;


struct ngx_http_loyalty_cards_s {
    ngx_http_loyalty_op_t        *op;             /* the question */
    ngx_msec_t                    asked;
    ngx_uint_t                    known;
    ngx_uint_t                    paused;
    uint32_t                      version;        /* whose rows */
    int64_t                       taken[NGX_HTTP_LOYALTY_CARDS_ROWS];
};


/* what a member's slot keeps of the game, docs/internals.md */

typedef struct {
    int64_t                       bank;
    int64_t                       wins;
    int64_t                       ever;
    int64_t                       period[3];
    int64_t                       count[3];
} ngx_http_loyalty_player_t;


static ngx_int_t ngx_http_loyalty_view_player(loyalty_mpr_t *state,
    ngx_http_loyalty_player_t *player);
static int64_t ngx_http_loyalty_view_left(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_holds_t *holds,
    loyalty_head_t *head, ngx_http_loyalty_player_t *player, int64_t now);
static int64_t ngx_http_loyalty_view_paid(ngx_http_loyalty_cost_t *cost,
    loyalty_head_t *head, ngx_http_loyalty_player_t *player);
static void ngx_http_loyalty_view_cost(ngx_http_loyalty_cost_t *cost,
    loyalty_out_t *out);
static void ngx_http_loyalty_view_prizes(
    ngx_http_loyalty_instant_conf_t *icf, ngx_http_loyalty_holds_t *holds,
    loyalty_out_t *out);
static void ngx_http_loyalty_view_odds(ngx_uint_t mode, loyalty_prize_t *row,
    int64_t left, int64_t cards, loyalty_out_t *out);

static void ngx_http_loyalty_holds(ngx_http_loyalty_campaign_t *campaign,
    int64_t now, ngx_http_loyalty_holds_t *holds);
static ngx_int_t ngx_http_loyalty_holds_price(
    ngx_http_loyalty_campaign_t *campaign, int64_t now,
    ngx_http_loyalty_holds_t *holds);
static ngx_int_t ngx_http_loyalty_holds_blob(
    ngx_http_loyalty_program_t *program, ngx_str_t *blob,
    ngx_http_loyalty_holds_t *holds);

static ngx_http_loyalty_cards_t *ngx_http_loyalty_cards(
    ngx_http_loyalty_instant_conf_t *icf);
static void ngx_http_loyalty_cards_done(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_cards_read(
    ngx_http_loyalty_instant_conf_t *icf, ngx_str_t *value);
static int64_t ngx_http_loyalty_cards_left(ngx_http_loyalty_holds_t *holds,
    ngx_http_loyalty_cards_t *cards, ngx_uint_t i);


ngx_int_t
ngx_http_loyalty_instant_view(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, loyalty_head_t *head, loyalty_mpr_t *state,
    int64_t now, loyalty_out_t *out, ngx_uint_t *n)
{
    int64_t                           left;
    const char                       *text;
    ngx_http_loyalty_cards_t         *cards;
    ngx_http_loyalty_holds_t          holds;
    ngx_http_loyalty_player_t         player;
    ngx_http_loyalty_campaign_t      *campaign;
    ngx_http_loyalty_instant_conf_t  *icf;

    icf = rule->conf;
    campaign = &icf->campaign;
    cards = ngx_http_loyalty_cards(icf);

    ngx_http_loyalty_holds(campaign, now, &holds);

    if (ngx_http_loyalty_holds_price(campaign, now, &holds) != NGX_OK
        || ngx_http_loyalty_view_player(state, &player) != NGX_OK)
    {
        return NGX_ERROR;
    }

    text = (now < campaign->open) ? "not_open"
           : (now >= holds.close) ? "closed"
           : (cards != NULL && cards->known && cards->paused) ? "paused"
                                                              : "open";

    left = ngx_http_loyalty_view_left(program, &holds, head, &player, now);

    if ((*n)++ > 0) {
        loyalty_out_lit(out, ",");
    }

    loyalty_out_lit(out, "{\"name\":");
    loyalty_out_str(out, rule->name.data, rule->name.len);
    loyalty_out_lit(out, ",\"state\":");
    loyalty_out_str(out, text, ngx_strlen(text));
    loyalty_out_lit(out, ",\"opens\":");
    loyalty_out_time(out, campaign->open);
    loyalty_out_lit(out, ",\"closes\":");
    loyalty_out_time(out, holds.close);

    ngx_http_loyalty_view_cost(&holds.cost, out);

    loyalty_out_lit(out, ",\"plays\":");
    loyalty_out_int(out, player.bank);
    loyalty_out_lit(out, ",\"plays_left\":");

    if (left < 0) {
        loyalty_out_lit(out, "null");

    } else {
        loyalty_out_int(out, left);
    }

    ngx_http_loyalty_view_prizes(icf, &holds, out);

    loyalty_out_lit(out, "}");

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_view_player(loyalty_mpr_t *state,
    ngx_http_loyalty_player_t *player)
{
    ngx_uint_t  i;

    ngx_memzero(player, sizeof(ngx_http_loyalty_player_t));

    if (state == NULL) {
        return NGX_OK;
    }

    if (loyalty_mpr_int(state, &player->bank) != 0
        || loyalty_mpr_int(state, &player->wins) != 0
        || loyalty_mpr_int(state, &player->ever) != 0)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < 3; i++) {
        if (loyalty_mpr_int(state, &player->period[i]) != 0
            || loyalty_mpr_int(state, &player->count[i]) != 0)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* by limits and by price, -1: no end */

static int64_t
ngx_http_loyalty_view_left(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_holds_t *holds, loyalty_head_t *head,
    ngx_http_loyalty_player_t *player, int64_t now)
{
    int64_t                    left, n, period;
    ngx_uint_t                 i, unit;
    ngx_http_loyalty_limit_t  *limit;

    left = ngx_http_loyalty_view_paid(&holds->cost, head, player);
    limit = holds->limits;

    for (i = 0; i < holds->nlimits; i++) {

        unit = limit[i].unit;
        n = limit[i].n - player->ever;

        if (unit != 0) {
            period = loyalty_period(program->zone, unit, 0, now);
            n = limit[i].n;

            if (player->period[unit - 1] == period) {
                n -= player->count[unit - 1];
            }
        }

        n = ngx_max(n, 0);

        if (left < 0 || n < left) {
            left = n;
        }
    }

    return left;
}


static int64_t
ngx_http_loyalty_view_paid(ngx_http_loyalty_cost_t *cost,
    loyalty_head_t *head, ngx_http_loyalty_player_t *player)
{
    int64_t             bank;
    loyalty_account_t   account;

    bank = ngx_max(player->bank, 0);

    switch (cost->kind) {

    case NGX_HTTP_LOYALTY_COST_FREE:
        return -1;

    case NGX_HTTP_LOYALTY_COST_PLAYS:
        return bank / cost->amount;

    default: /* NGX_HTTP_LOYALTY_COST_WALLET */
        (void) loyalty_head_wallet(head, cost->hash, &account);

        return bank + ngx_max(account.balance, 0) / cost->amount;
    }
}


static void
ngx_http_loyalty_view_cost(ngx_http_loyalty_cost_t *cost, loyalty_out_t *out)
{
    switch (cost->kind) {

    case NGX_HTTP_LOYALTY_COST_FREE:
        loyalty_out_lit(out, ",\"cost\":null");
        break;

    case NGX_HTTP_LOYALTY_COST_PLAYS:
        loyalty_out_lit(out, ",\"cost\":{\"plays\":");
        loyalty_out_int(out, cost->amount);
        loyalty_out_lit(out, "}");
        break;

    default: /* NGX_HTTP_LOYALTY_COST_WALLET */
        loyalty_out_lit(out, ",\"cost\":{\"wallet\":");
        loyalty_out_str(out, cost->name.data, cost->name.len);
        loyalty_out_lit(out, ",\"amount\":");
        loyalty_out_int(out, cost->amount);
        loyalty_out_lit(out, "}");
    }
}


/* the version that holds now; what is configured where none is registered */

static void
ngx_http_loyalty_holds(ngx_http_loyalty_campaign_t *campaign, int64_t now,
    ngx_http_loyalty_holds_t *holds)
{
    ngx_http_loyalty_version_t  *version;

    version = ngx_http_loyalty_campaign_holds(campaign, now);

    if (version != NULL) {
        holds->version = version->version;
        holds->mode = version->manifest.mode;
        holds->close = (int64_t) version->manifest.close;
        holds->rows = version->rows;
        holds->nrows = version->nrows;

    } else {
        holds->version = campaign->version;
        holds->mode = campaign->mode;
        holds->close = campaign->close;
        holds->rows = campaign->rows;
        holds->nrows = campaign->nrows;
    }
}


/* price and limits: those of the configuration, or as the version that holds
   was registered */

static ngx_int_t
ngx_http_loyalty_holds_price(ngx_http_loyalty_campaign_t *campaign,
    int64_t now, ngx_http_loyalty_holds_t *holds)
{
    ngx_uint_t                   i;
    ngx_http_loyalty_limit_t    *limit;
    ngx_http_loyalty_version_t  *version;

    version = ngx_http_loyalty_campaign_holds(campaign, now);

    if (version != NULL && version->version != campaign->version) {
        return ngx_http_loyalty_holds_blob(campaign->program, &version->blob,
                                           holds);
    }

    holds->cost = campaign->cost;

    limit = campaign->limits.elts;
    holds->nlimits = ngx_min(campaign->limits.nelts,
                             NGX_HTTP_LOYALTY_HOLDS_LIMITS);

    for (i = 0; i < holds->nlimits; i++) {
        holds->limits[i] = limit[i];
    }

    return NGX_OK;
}


/* docs/internals.md: cost and limits follow the rows */

static ngx_int_t
ngx_http_loyalty_holds_blob(ngx_http_loyalty_program_t *program,
    ngx_str_t *blob, ngx_http_loyalty_holds_t *holds)
{
    int64_t                     kind, unit, n;
    uint32_t                    len, i;
    ngx_uint_t                  k;
    loyalty_mpr_t               r;
    loyalty_mpv_t               v;
    const unsigned char        *hash;
    ngx_http_loyalty_cost_t    *cost;
    ngx_http_loyalty_wallet_t  *wallet;

    cost = &holds->cost;
    ngx_memzero(cost, sizeof(ngx_http_loyalty_cost_t));
    holds->nlimits = 0;

    loyalty_mpr_init(&r, blob->data, blob->len);

    if (loyalty_mpr_next(&r, &v) != 0
        || ngx_http_loyalty_games_skip(&r, 11) != NGX_OK
        || loyalty_mpr_next(&r, &v) != 0
        || loyalty_mpr_int(&r, &kind) != 0
        || loyalty_mpr_str(&r, &hash, &len) != 0
        || loyalty_mpr_int(&r, &cost->amount) != 0
        || loyalty_mpr_next(&r, &v) != 0
        || v.type != LOYALTY_MP_ARRAY
        || (kind != NGX_HTTP_LOYALTY_COST_FREE
            && (len != NGX_HTTP_LOYALTY_HASH || cost->amount < 1)))
    {
        return NGX_ERROR;
    }

    cost->kind = (ngx_uint_t) kind;
    ngx_memcpy(cost->hash, hash, len);
    ngx_str_set(&cost->name, "~");

    wallet = program->wallets.elts;

    for (k = 0; k < program->wallets.nelts; k++) {
        if (ngx_memcmp(wallet[k].hash, cost->hash, NGX_HTTP_LOYALTY_HASH)
            == 0)
        {
            cost->name = wallet[k].name;
        }
    }

    for (i = 0; i + 2 <= v.n; i += 2) {

        if (loyalty_mpr_int(&r, &unit) != 0 || loyalty_mpr_int(&r, &n) != 0
            || unit < 0 || unit > 3
            || holds->nlimits == NGX_HTTP_LOYALTY_HOLDS_LIMITS)
        {
            return NGX_ERROR;
        }

        holds->limits[holds->nlimits].unit = (ngx_uint_t) unit;
        holds->limits[holds->nlimits].n = n;
        holds->nlimits++;
    }

    return NGX_OK;
}


static void
ngx_http_loyalty_view_prizes(ngx_http_loyalty_instant_conf_t *icf,
    ngx_http_loyalty_holds_t *holds, loyalty_out_t *out)
{
    int64_t           left, cards, n;
    ngx_uint_t        i, told;
    loyalty_prize_t  *row;

    cards = 0;

    for (i = 0; i < holds->nrows; i++) {
        n = ngx_http_loyalty_cards_left(holds, icf->cards, i);
        cards = (n < 0 || cards < 0) ? -1 : cards + n;
    }

    loyalty_out_lit(out, ",\"prizes\":[");

    told = 0;

    for (i = 0; i < holds->nrows; i++) {

        row = &holds->rows[i];

        /* a deck's blanks have no name */

        if (row->len == 0) {
            continue;
        }

        left = ngx_http_loyalty_cards_left(holds, icf->cards, i);

        if (told++ > 0) {
            loyalty_out_lit(out, ",");
        }

        loyalty_out_lit(out, "{\"name\":");
        loyalty_out_str(out, row->name, row->len);
        loyalty_out_lit(out, ",\"odds\":");
        ngx_http_loyalty_view_odds(holds->mode, row, left, cards, out);

        if (row->stock != LOYALTY_UNLIMITED) {
            loyalty_out_lit(out, ",\"stock\":");
            loyalty_out_int(out, (int64_t) row->stock);

            if (left >= 0) {
                loyalty_out_lit(out, ",\"left\":");
                loyalty_out_int(out, left);
            }
        }

        loyalty_out_lit(out, "}");
    }

    loyalty_out_lit(out, "]");
}


/* in words; an empty row of odds is drawn all the same, and loses */

static void
ngx_http_loyalty_view_odds(ngx_uint_t mode, loyalty_prize_t *row,
    int64_t left, int64_t cards, loyalty_out_t *out)
{
    u_char  buf[96], *p;

    switch (mode) {

    case LOYALTY_MODE_ODDS:
        p = ngx_sprintf(buf, "%uL in %uL", row->num, row->den);
        break;

    case LOYALTY_MODE_DECK:
        p = (left < 0 || cards < 0)
            ? ngx_sprintf(buf, "a deck")
            : ngx_sprintf(buf, "%L of %L cards left", left, cards);
        break;

    default: /* LOYALTY_MODE_MOMENTS */
        p = ngx_sprintf(buf, "the first play after a moment that is drawn");
    }

    loyalty_out_str(out, buf, p - buf);
}


/* what was heard last; asks again where that is a while ago */

static ngx_http_loyalty_cards_t *
ngx_http_loyalty_cards(ngx_http_loyalty_instant_conf_t *icf)
{
    u_char                        buf[NGX_HTTP_LOYALTY_CAMPAIGN_KEY];
    ngx_str_t                     key;
    ngx_http_loyalty_cards_t     *cards;
    ngx_http_loyalty_status_e     status;
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = &icf->campaign;
    cards = icf->cards;

    if (cards->op != NULL || ngx_exiting
        || (cards->known && ngx_current_msec - cards->asked
                            < NGX_HTTP_LOYALTY_CARDS_FRESH))
    {
        return cards;
    }

    ngx_http_loyalty_campaign_key(campaign, "s", -1, buf, &key);

    cards->asked = ngx_current_msec;
    cards->op = ngx_http_loyalty_redis_call(campaign->program,
                                NGX_HTTP_LOYALTY_INTERACTIVE,
                                ngx_http_loyalty_campaign_partition(campaign),
                                NGX_HTTP_LOYALTY_GET, 1, &key, NULL,
                                ngx_http_loyalty_cards_done, icf, &status);

    return cards;
}


static void
ngx_http_loyalty_cards_done(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_instant_conf_t *icf = data;

    ngx_http_loyalty_cards_t  *cards;

    cards = icf->cards;
    cards->op = NULL;

    if (status != NGX_HTTP_LOYALTY_REPLY || reply->array || reply->n != 1
        || reply->values[0].data == NULL)
    {
        cards->known = 0;
        return;
    }

    cards->known = (ngx_http_loyalty_cards_read(icf, &reply->values[0])
                    == NGX_OK);
}


/* G:s, docs/internals.md */

static ngx_int_t
ngx_http_loyalty_cards_read(ngx_http_loyalty_instant_conf_t *icf,
    ngx_str_t *value)
{
    u_char                     hash[NGX_HTTP_LOYALTY_CARDS_ROWS]
                                   [NGX_HTTP_LOYALTY_HASH];
    int64_t                    paused, n;
    uint32_t                   len, k;
    ngx_uint_t                 i, nrows;
    loyalty_mpr_t              r;
    const unsigned char       *names;
    ngx_http_loyalty_cards_t  *cards;
    ngx_http_loyalty_holds_t   holds;

    ngx_http_loyalty_holds(&icf->campaign, ngx_http_loyalty_now(), &holds);

    cards = icf->cards;
    cards->version = holds.version;
    nrows = ngx_min(holds.nrows, NGX_HTTP_LOYALTY_CARDS_ROWS);

    loyalty_mpr_init(&r, value->data, value->len);

    if (ngx_http_loyalty_games_skip(&r, 2) != NGX_OK
        || loyalty_mpr_int(&r, &paused) != 0
        || ngx_http_loyalty_games_skip(&r, 3) != NGX_OK
        || loyalty_mpr_str(&r, &names, &len) != 0)
    {
        return NGX_ERROR;
    }

    cards->paused = (paused != 0);

    for (i = 0; i < nrows; i++) {
        ngx_http_loyalty_instant_name(&holds.rows[i], hash[i]);
        cards->taken[i] = 0;
    }

    for (k = 0; k + NGX_HTTP_LOYALTY_HASH <= len; k += NGX_HTTP_LOYALTY_HASH)
    {
        if (loyalty_mpr_int(&r, &n) != 0) {
            return NGX_ERROR;
        }

        for (i = 0; i < nrows; i++) {
            if (ngx_memcmp(hash[i], names + k, NGX_HTTP_LOYALTY_HASH) == 0) {
                cards->taken[i] = n;
            }
        }
    }

    return NGX_OK;
}


/* of a row, -1: not known, or no end */

static int64_t
ngx_http_loyalty_cards_left(ngx_http_loyalty_holds_t *holds,
    ngx_http_loyalty_cards_t *cards, ngx_uint_t i)
{
    if (!cards->known || cards->version != holds->version
        || i >= NGX_HTTP_LOYALTY_CARDS_ROWS
        || holds->rows[i].stock == LOYALTY_UNLIMITED)
    {
        return -1;
    }

    return ngx_max((int64_t) holds->rows[i].stock - cards->taken[i], 0);
}


ngx_int_t
ngx_http_loyalty_instant_cards(ngx_conf_t *cf,
    ngx_http_loyalty_instant_conf_t *icf)
{
    icf->cards = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_cards_t));

    return (icf->cards != NULL) ? NGX_OK : NGX_ERROR;
}
