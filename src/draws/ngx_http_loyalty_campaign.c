/*
 * A campaign in the configuration: its block, what it is known by, and what
 * is computed once of what the block says.
 */

#include "ngx_http_loyalty_draws_private.h"


static ngx_int_t ngx_http_loyalty_campaign_create(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign);
static char *ngx_http_loyalty_campaign_check(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign);
static ngx_int_t ngx_http_loyalty_campaign_tag(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign);
static ngx_int_t ngx_http_loyalty_campaign_canonical(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign);
static ngx_int_t ngx_http_loyalty_campaign_cost_init(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign);
static ngx_int_t ngx_http_loyalty_campaign_clock(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign);
static ngx_int_t ngx_http_loyalty_campaign_beacon(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign);
static ngx_int_t ngx_http_loyalty_campaign_add(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign);


char *
ngx_http_loyalty_campaign_block(ngx_conf_t *cf, ngx_http_loyalty_game_t *game,
    ngx_uint_t cmd_type, ngx_uint_t kind,
    ngx_http_loyalty_campaign_t *campaign, ngx_http_loyalty_rule_t **rule)
{
    char                      *rv;
    ngx_http_loyalty_block_t  *block;

    block = cf->ctx;

    campaign->kind = kind;
    campaign->program = block->program;

    if (ngx_http_loyalty_campaign_create(cf, campaign) != NGX_OK
        || ngx_http_loyalty_terms_add(cf, campaign, 1) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_loyalty_games_block(cf, game, cmd_type, &campaign->common,
                                      rule);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (ngx_http_loyalty_terms_end(cf, campaign) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    campaign->rule = *rule;
    campaign->variables.rule = *rule;

    return ngx_http_loyalty_campaign_check(cf, campaign);
}


static ngx_int_t
ngx_http_loyalty_campaign_create(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign)
{
    /* the room's ngx_pcalloc() has set what begins at 0 or NULL */

    campaign->open = NGX_CONF_UNSET;
    campaign->close = NGX_CONF_UNSET;

    if (ngx_array_init(&campaign->limits, cf->pool, 4,
                       sizeof(ngx_http_loyalty_limit_t))
        != NGX_OK
        || ngx_array_init(&campaign->prizes, cf->pool, 8,
                          sizeof(ngx_http_loyalty_prize_t))
           != NGX_OK
        || ngx_array_init(&campaign->lines, cf->pool, 32, sizeof(ngx_str_t))
           != NGX_OK
        || ngx_array_init(&campaign->eligible, cf->pool, 2,
                          sizeof(ngx_http_loyalty_eligible_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_listener_init(cf, &campaign->variables, NULL);
}


static char *
ngx_http_loyalty_campaign_check(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign)
{
    const char                *missing;
    ngx_http_loyalty_rule_t   *rule;
    ngx_http_loyalty_draws_t  *draws;

    rule = campaign->rule;

    draws = ngx_http_loyalty_draws(cf, campaign->program);
    if (draws == NULL) {
        return NGX_CONF_ERROR;
    }

    missing = (campaign->open == NGX_CONF_UNSET) ? "open"
              : (campaign->close == NGX_CONF_UNSET) ? "close"
              : (campaign->prizes.nelts == 0) ? "prize" : NULL;

    if (missing != NULL) {
        ngx_http_loyalty_conf_error(cf, &rule->place, "%V \"%V\" has no "
                                    "\"%s\"", &rule->game->name, &rule->name,
                                    missing);
        return NGX_CONF_ERROR;
    }

    if (campaign->version == 0) {
        campaign->version = 1;
    }

    if (campaign->close <= campaign->open) {
        ngx_http_loyalty_conf_error(cf, &campaign->close_place,
                                    "%V \"%V\" closes when it opens or "
                                    "before: a later \"close\" is expected",
                                    &rule->game->name, &rule->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_loyalty_campaign_identify(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule)
{
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = rule->conf;

    if (loyalty_cid(campaign->cid, program->name.data, program->name.len,
                    rule->name.data, rule->name.len, campaign->open)
        != 0)
    {
        return NGX_ERROR;
    }

    loyalty_hex(campaign->hex, campaign->cid, LOYALTY_CID);

    if (ngx_http_loyalty_campaign_tag(cf, campaign) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_campaign_canonical(cf, campaign);
}


static ngx_int_t
ngx_http_loyalty_campaign_tag(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign)
{
    u_char      *p;
    ngx_str_t   *program, *game;

    program = &campaign->program->name;
    game = &campaign->rule->name;

    p = ngx_pnalloc(cf->pool, sizeof("{:g::}") - 1 + program->len + game->len
                              + 2 * LOYALTY_CID);
    if (p == NULL) {
        return NGX_ERROR;
    }

    campaign->tag.data = p;
    p = ngx_sprintf(p, "{%V:g:%V:%*s}", program, game,
                    (size_t) 2 * LOYALTY_CID, campaign->hex);
    campaign->tag.len = p - campaign->tag.data;

    return NGX_OK;
}


/*
 * A member's state in a campaign is this campaign's alone: the next one of
 * the same name begins with counters at 0.  What may change in a version is
 * no part of the text.
 */

static ngx_int_t
ngx_http_loyalty_campaign_canonical(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign)
{
    u_char                   *p;
    size_t                    len;
    ngx_http_loyalty_rule_t  *rule;

    rule = campaign->rule;
    len = rule->game->name.len + 1 + rule->name.len;

    p = ngx_pnalloc(cf->pool, len + 1 + 2 * LOYALTY_CID);
    if (p == NULL) {
        return NGX_ERROR;
    }

    rule->canonical.data = p;
    p = ngx_sprintf(p, "%V %V %*s", &rule->game->name, &rule->name,
                    (size_t) 2 * LOYALTY_CID, campaign->hex);
    rule->canonical.len = p - rule->canonical.data;

    rule->reason.data = rule->canonical.data;
    rule->reason.len = len;

    ngx_http_loyalty_hash4(rule->canonical.data, rule->canonical.len,
                           rule->hash);

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_campaign_init(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule)
{
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = rule->conf;

    if (program->draws->secrets == NULL) {
        ngx_http_loyalty_conf_error(cf, &rule->place,
                                    "%V needs a \"secret_file\" in "
                                    "loyalty_program \"%V\": a line ID:HEX, "
                                    "such as  echo main:$(openssl rand -hex "
                                    "32)  writes it", &rule->reason,
                                    &program->name);
        return NGX_ERROR;
    }

    if (ngx_http_loyalty_campaign_clock(cf, campaign) != NGX_OK
        || ngx_http_loyalty_campaign_cost_init(cf, campaign) != NGX_OK
        || ngx_http_loyalty_eligible_resolve(cf, campaign) != NGX_OK
        || ngx_http_loyalty_prizes_init(cf, campaign) != NGX_OK
        || ngx_http_loyalty_terms_init(cf, campaign) != NGX_OK
        || ngx_http_loyalty_campaign_beacon(cf, campaign) != NGX_OK
        || ngx_http_loyalty_chain_prepare(cf, campaign) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_campaign_add(cf, campaign);
}


static ngx_int_t
ngx_http_loyalty_campaign_clock(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign)
{
    loyalty_epochs_t  epochs;

    if (campaign->kind != LOYALTY_INSTANT_WIN) {
        campaign->length = 0;
        campaign->epochs = 0;
        return NGX_OK;
    }

    if (campaign->length == 0) {
        campaign->length = LOYALTY_EPOCH_MS;
    }

    if (loyalty_epochs_init(&epochs, campaign->open, campaign->close,
                            campaign->length)
        != 0
        || epochs.epochs > NGX_HTTP_LOYALTY_EPOCHS)
    {
        ngx_http_loyalty_conf_error(cf, &campaign->close_place,
                                    "%V lasts too long, or opens before "
                                    "2023-08-23T15:09:27Z: at most %d epochs "
                                    "of %uDs, which are %d days, are expected",
                                    &campaign->rule->reason,
                                    NGX_HTTP_LOYALTY_EPOCHS,
                                    campaign->length / 1000,
                                    (int) ((int64_t) NGX_HTTP_LOYALTY_EPOCHS
                                           * campaign->length / 86400000));
        return NGX_ERROR;
    }

    campaign->epochs = epochs.epochs;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_campaign_cost_init(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign)
{
    ngx_http_loyalty_cost_t    *cost;
    ngx_http_loyalty_wallet_t  *wallet;

    cost = &campaign->cost;

    if (cost->kind == NGX_HTTP_LOYALTY_COST_PLAYS) {
        ngx_memcpy(cost->hash, campaign->rule->hash, NGX_HTTP_LOYALTY_HASH);
    }

    if (cost->kind != NGX_HTTP_LOYALTY_COST_WALLET) {
        return NGX_OK;
    }

    wallet = ngx_http_loyalty_wallet(campaign->program, &cost->name);

    if (wallet == NULL) {
        ngx_http_loyalty_conf_error(cf, &cost->place,
                                    "unknown wallet \"%V\" in \"cost\": "
                                    "loyalty_program \"%V\" has no such "
                                    "\"wallet\" directive", &cost->name,
                                    &campaign->program->name);
        return NGX_ERROR;
    }

    ngx_memcpy(cost->hash, wallet->hash, NGX_HTTP_LOYALTY_HASH);

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_campaign_beacon(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign)
{
    ngx_http_loyalty_rule_t  *rule;

    rule = campaign->rule;

    if (ngx_http_loyalty_beacon_given(campaign->program)) {

        if (campaign->kind != LOYALTY_INSTANT_WIN) {
            return NGX_OK;
        }

        return ngx_http_loyalty_beacon_follow(cf, campaign->program,
                                              campaign->open,
                                              campaign->close);
    }

    if (campaign->alone || (campaign->flags & LOYALTY_FRESH)) {
        ngx_http_loyalty_conf_error(cf, &rule->place,
                                    "%V rests on a beacon: a \"beacon\" in "
                                    "loyalty_program \"%V\" is expected",
                                    &rule->reason, &campaign->program->name);
        return NGX_ERROR;
    }

    ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                  "%V has no \"beacon\": its draws rest on the secret alone, "
                  "and no verifier will call them more than INCOMPLETE, in "
                  "%s:%ui", &rule->reason, rule->place.file,
                  rule->place.line);

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_campaign_add(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign)
{
    ngx_uint_t                     i;
    ngx_http_loyalty_draws_t      *draws;
    ngx_http_loyalty_campaign_t  **all;

    draws = campaign->program->draws;
    all = draws->campaigns.elts;

    /* a name is both: its files and its keys are told by it */

    for (i = 0; i < draws->campaigns.nelts; i++) {

        if (ngx_memcmp(all[i]->cid, campaign->cid, LOYALTY_CID) == 0) {
            ngx_http_loyalty_conf_error(cf, &campaign->rule->place,
                                        "%V and %V in %s:%ui are one "
                                        "campaign: another name for one of "
                                        "them is expected",
                                        &campaign->rule->reason,
                                        &all[i]->rule->reason,
                                        all[i]->rule->place.file,
                                        all[i]->rule->place.line);
            return NGX_ERROR;
        }
    }

    if (draws->campaigns.nelts == NGX_HTTP_LOYALTY_CAMPAIGNS) {
        ngx_http_loyalty_conf_error(cf, &campaign->rule->place,
                                    "too many draws: at most %d are expected",
                                    NGX_HTTP_LOYALTY_CAMPAIGNS);
        return NGX_ERROR;
    }

    campaign->index = draws->campaigns.nelts;

    all = ngx_array_push(&draws->campaigns);
    if (all == NULL) {
        return NGX_ERROR;
    }

    *all = campaign;

    return NGX_OK;
}


void
ngx_http_loyalty_campaign_blob(ngx_http_loyalty_campaign_t *campaign,
    loyalty_mpw_t *w)
{
    ngx_uint_t                 i;
    ngx_http_loyalty_limit_t  *limit;

    loyalty_mpw_array(w, 3);
    loyalty_mpw_int(w, campaign->cost.kind);
    loyalty_mpw_str(w, campaign->cost.hash,
                    campaign->cost.kind == NGX_HTTP_LOYALTY_COST_FREE
                    ? 0 : NGX_HTTP_LOYALTY_HASH);
    loyalty_mpw_int(w, campaign->cost.amount);

    limit = campaign->limits.elts;

    loyalty_mpw_array(w, 2 * campaign->limits.nelts);

    for (i = 0; i < campaign->limits.nelts; i++) {
        loyalty_mpw_int(w, limit[i].unit);
        loyalty_mpw_int(w, limit[i].n);
    }

    ngx_http_loyalty_eligible_blob(campaign, w);
}


void
ngx_http_loyalty_campaign_key(ngx_http_loyalty_campaign_t *campaign,
    const char *what, int64_t n, u_char *buf, ngx_str_t *key)
{
    u_char  *p;

    key->data = buf;

    p = (n < 0) ? ngx_sprintf(buf, "%V:%s", &campaign->tag, what)
                : ngx_sprintf(buf, "%V:%s:%L", &campaign->tag, what, n);

    key->len = p - buf;
}


ngx_uint_t
ngx_http_loyalty_campaign_partition(ngx_http_loyalty_campaign_t *campaign)
{
    return loyalty_partition(campaign->cid, LOYALTY_CID);
}
