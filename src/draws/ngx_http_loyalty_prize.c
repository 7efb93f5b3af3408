/*
 * prize: what can be won.  The prizes of a campaign, in the order in which
 * they are written, are its table: it is published, and its hash is in the
 * manifest.
 */

#include "ngx_http_loyalty_draws_private.h"


#define NGX_HTTP_LOYALTY_PRIZE_AWARDS  16         /* of one prize */


static ngx_http_loyalty_prize_t *ngx_http_loyalty_prize_current(
    ngx_conf_t *cf);
static ngx_int_t ngx_http_loyalty_prize_check(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign, ngx_http_loyalty_prize_t *prize);
static ngx_int_t ngx_http_loyalty_prizes_sum(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign);
static ngx_int_t ngx_http_loyalty_prizes_odds(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign);
static ngx_int_t ngx_http_loyalty_prizes_table(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign);


char *
ngx_http_loyalty_prize(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                         *rv;
    ngx_str_t                    *value;
    ngx_uint_t                    i;
    ngx_conf_t                    save;
    ngx_http_loyalty_block_t     *block;
    ngx_http_loyalty_prize_t     *prize;
    ngx_http_loyalty_campaign_t  *campaign;

    block = cf->ctx;
    campaign = block->rule->conf;
    value = cf->args->elts;
    prize = campaign->prizes.elts;

    if (ngx_http_loyalty_name_check(cf, "prize", &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < campaign->prizes.nelts; i++) {

        if (prize[i].name.len == value[1].len
            && ngx_memcmp(prize[i].name.data, value[1].data, value[1].len)
               == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate prize \"%V\", the first is in "
                               "%s:%ui", &value[1], prize[i].place.file,
                               prize[i].place.line);
            return NGX_CONF_ERROR;
        }
    }

    if (campaign->prizes.nelts == NGX_HTTP_LOYALTY_PRIZES) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many prizes: at most %d are expected",
                           NGX_HTTP_LOYALTY_PRIZES);
        return NGX_CONF_ERROR;
    }

    prize = ngx_array_push(&campaign->prizes);
    if (prize == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(prize, sizeof(ngx_http_loyalty_prize_t));

    prize->name = value[1];
    prize->stock = LOYALTY_UNLIMITED;
    ngx_http_loyalty_games_place(cf, &prize->place);

    if (ngx_array_init(&prize->awards, cf->pool, 1,
                       sizeof(ngx_http_loyalty_award_t))
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    save = *cf;
    cf->cmd_type = NGX_LOYALTY_PRIZE_CONF;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    return rv;
}


/* the prize whose block is being read: the last one */

static ngx_http_loyalty_prize_t *
ngx_http_loyalty_prize_current(ngx_conf_t *cf)
{
    ngx_http_loyalty_block_t     *block;
    ngx_http_loyalty_prize_t     *prize;
    ngx_http_loyalty_campaign_t  *campaign;

    block = cf->ctx;
    campaign = block->rule->conf;
    prize = campaign->prizes.elts;

    return &prize[campaign->prizes.nelts - 1];
}


char *
ngx_http_loyalty_prize_stock(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    int64_t                    n;
    ngx_str_t                 *value;
    ngx_http_loyalty_prize_t  *prize;

    prize = ngx_http_loyalty_prize_current(cf);
    value = cf->args->elts;

    if (prize->stock_place.line != 0) {
        return "is duplicate";
    }

    ngx_http_loyalty_games_place(cf, &prize->stock_place);

    if (ngx_http_loyalty_number(cf, "stock", &value[1], 1,
                                LOYALTY_DECK_MAX - 1, &n)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    prize->stock = (uint64_t) n;

    return NGX_CONF_OK;
}


char *
ngx_http_loyalty_prize_odds(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char                    *slash;
    int64_t                    num, den;
    ngx_str_t                 *value, part;
    ngx_http_loyalty_prize_t  *prize;

    prize = ngx_http_loyalty_prize_current(cf);
    value = cf->args->elts;

    if (prize->odds_place.line != 0) {
        return "is duplicate";
    }

    ngx_http_loyalty_games_place(cf, &prize->odds_place);

    slash = ngx_strlchr(value[1].data, value[1].data + value[1].len, '/');

    if (slash == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid odds \"%V\": a fraction such as "
                           "\"1/50\" is expected", &value[1]);
        return NGX_CONF_ERROR;
    }

    part.data = value[1].data;
    part.len = slash - part.data;

    if (ngx_http_loyalty_number(cf, "odds", &part, 1, LOYALTY_ODDS_MAX - 1,
                                &num)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    part.data = slash + 1;
    part.len = value[1].data + value[1].len - part.data;

    if (ngx_http_loyalty_number(cf, "odds", &part, 1, LOYALTY_ODDS_MAX - 1,
                                &den)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (num > den) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid odds \"%V\": at most 1 is expected",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    prize->num = (uint64_t) num;
    prize->den = (uint64_t) den;

    loyalty_odds_lowest(&prize->num, &prize->den);

    return NGX_CONF_OK;
}


char *
ngx_http_loyalty_prize_codes(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                 *value;
    ngx_http_loyalty_prize_t  *prize;

    prize = ngx_http_loyalty_prize_current(cf);
    value = cf->args->elts;

    if (prize->codes.len != 0) {
        return "is duplicate";
    }

    if (ngx_http_loyalty_name_check(cf, "pool", &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    prize->codes = value[1];
    ngx_http_loyalty_games_place(cf, &prize->codes_place);

    return NGX_CONF_OK;
}


char *
ngx_http_loyalty_prize_award(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                 *value;
    ngx_http_loyalty_award_t  *award;
    ngx_http_loyalty_prize_t  *prize;

    prize = ngx_http_loyalty_prize_current(cf);
    value = cf->args->elts;

    if (prize->awards.nelts == NGX_HTTP_LOYALTY_PRIZE_AWARDS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many awards of one prize: at most %d are "
                           "expected", NGX_HTTP_LOYALTY_PRIZE_AWARDS);
        return NGX_CONF_ERROR;
    }

    award = ngx_array_push(&prize->awards);
    if (award == NULL) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_loyalty_award_parse(cf, "award", &value[1],
                                        cf->args->nelts - 1, award)
           == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}


ngx_int_t
ngx_http_loyalty_prizes_init(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign)
{
    ngx_uint_t                 i, n;
    ngx_http_loyalty_award_t  *award;
    ngx_http_loyalty_prize_t  *prize;

    prize = campaign->prizes.elts;

    for (i = 0; i < campaign->prizes.nelts; i++) {

        if (ngx_http_loyalty_prize_check(cf, campaign, &prize[i]) != NGX_OK) {
            return NGX_ERROR;
        }

        award = prize[i].awards.elts;

        for (n = 0; n < prize[i].awards.nelts; n++) {
            if (ngx_http_loyalty_award_resolve(cf, campaign->program,
                                               campaign->rule, &award[n])
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    if (ngx_http_loyalty_prizes_sum(cf, campaign) != NGX_OK
        || ngx_http_loyalty_prizes_table(cf, campaign) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_prizes_odds(cf, campaign);
}


/* odds belong to odds, everything else needs a stock */

static ngx_int_t
ngx_http_loyalty_prize_check(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign, ngx_http_loyalty_prize_t *prize)
{
    const char  *what;

    if (campaign->program->split && prize->codes.len != 0) {
        ngx_http_loyalty_conf_error(cf, &prize->codes_place,
                                    "codes of a pool are not supported with "
                                    "\"redis ... split\": a pool is in "
                                    "another slot than the game");
        return NGX_ERROR;
    }

    what = (campaign->kind == LOYALTY_SWEEPSTAKES) ? "a sweepstakes"
           : (campaign->mode == LOYALTY_MODE_DECK) ? "a deck"
           : (campaign->mode == LOYALTY_MODE_MOMENTS) ? "moments" : NULL;

    if (what == NULL) {

        if (prize->odds_place.line == 0) {
            ngx_http_loyalty_conf_error(cf, &prize->place,
                                        "prize \"%V\" has no \"odds\"",
                                        &prize->name);
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    if (prize->odds_place.line != 0) {
        ngx_http_loyalty_conf_error(cf, &prize->odds_place,
                                    "prize \"%V\" of %s has \"odds\", which "
                                    "are for \"draw odds\" alone",
                                    &prize->name, what);
        return NGX_ERROR;
    }

    if (prize->stock_place.line == 0) {
        ngx_http_loyalty_conf_error(cf, &prize->place,
                                    "prize \"%V\" of %s has no \"stock\"",
                                    &prize->name, what);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* how many there are in all: winners, cards or units */

static ngx_int_t
ngx_http_loyalty_prizes_sum(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign)
{
    uint64_t                   sum, most;
    ngx_uint_t                 i;
    const char                *what;
    ngx_http_loyalty_prize_t  *prize;

    if (campaign->kind == LOYALTY_SWEEPSTAKES) {
        most = 10000000;
        what = "winners";

    } else if (campaign->mode == LOYALTY_MODE_DECK) {
        most = LOYALTY_DECK_MAX - 1;
        what = "cards, blanks included";

    } else if (campaign->mode == LOYALTY_MODE_MOMENTS) {
        most = LOYALTY_MOMENTS_MAX / campaign->epochs;
        what = "prizes by moments in so many epochs";

    } else {
        return NGX_OK;
    }

    prize = campaign->prizes.elts;
    sum = campaign->blanks;

    for (i = 0; i < campaign->prizes.nelts; i++) {
        sum += prize[i].stock;

        /* none is over 2^40, and so the sum does not wrap */

        if (sum > most) {
            ngx_http_loyalty_conf_error(cf, &prize[i].place,
                                        "%V has too many %s: at most %uL "
                                        "are expected",
                                        &campaign->rule->reason, what, most);
            return NGX_ERROR;
        }
    }

    if (campaign->kind == LOYALTY_SWEEPSTAKES) {
        campaign->winners = (uint32_t) sum;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_prizes_table(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign)
{
    size_t                     size;
    ngx_uint_t                 i, n;
    loyalty_prize_t           *row;
    ngx_http_loyalty_prize_t  *prize;

    prize = campaign->prizes.elts;
    n = campaign->prizes.nelts;

    row = ngx_pcalloc(cf->pool, (n + 1) * sizeof(loyalty_prize_t));
    if (row == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        row[i].name = prize[i].name.data;
        row[i].len = prize[i].name.len;
        row[i].stock = prize[i].stock;
        row[i].num = prize[i].num;
        row[i].den = prize[i].den;
    }

    if (campaign->mode == LOYALTY_MODE_DECK) {
        row[n].name = (u_char *) "";
        row[n++].stock = campaign->blanks;
    }

    campaign->rows = row;
    campaign->nrows = n;

    size = loyalty_prizes_len(row, n);

    campaign->table.data = ngx_pnalloc(cf->pool, size);
    if (campaign->table.data == NULL) {
        return NGX_ERROR;
    }

    campaign->table.len = loyalty_prizes_encode(campaign->table.data, size,
                                                row, n);

    if (campaign->table.len == 0
        || loyalty_sha(campaign->table_hash, campaign->table.data,
                       campaign->table.len)
           != 0)
    {
        ngx_http_loyalty_conf_error(cf, &campaign->rule->place,
                                    "the prizes of %V cannot be encoded",
                                    &campaign->rule->reason);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_prizes_odds(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign)
{
    uint64_t                   n;
    ngx_uint_t                 i, k, over;
    __uint128_t                sum;
    ngx_http_loyalty_prize_t  *prize;

    if (campaign->mode != LOYALTY_MODE_ODDS) {
        return NGX_OK;
    }

    campaign->weights = ngx_palloc(cf->pool,
                                   campaign->nrows * sizeof(uint64_t));
    if (campaign->weights == NULL) {
        return NGX_ERROR;
    }

    prize = campaign->prizes.elts;
    n = 1;
    sum = 0;

    /* row by row, so that the error names the one that is too much */

    for (i = 0; i < campaign->nrows; i++) {

        if (loyalty_odds(campaign->rows, i + 1, &campaign->odds,
                         campaign->weights)
            == 0)
        {
            n = campaign->odds;

            for (k = 0, sum = 0; k <= i; k++) {
                sum += campaign->weights[k];
            }

            continue;
        }

        over = (sum * prize[i].den + (__uint128_t) prize[i].num * n
                > (__uint128_t) n * prize[i].den);

        ngx_http_loyalty_conf_error(cf, &prize[i].odds_place,
                                    "the odds of %V, up to prize \"%V\", %s",
                                    &campaign->rule->reason, &prize[i].name,
                                    over ? "are over 1 in sum"
                                         : "have a common denominator of "
                                           "2^40 or more");
        return NGX_ERROR;
    }

    return NGX_OK;
}
