/*
 * instant_win: a play is drawn when it is played.
 *
 *     instant_win scratch {
 *         open             2026-11-01T00:00:00+01:00;
 *         close            2026-12-24T00:00:00+01:00;
 *         cost             points 100;
 *         limit            3 per day;
 *         wins_per_member  1;
 *         draw             odds;
 *         prize mug        { stock 500; odds 1/50; }
 *         prize tiny       { odds 1/5; award points 20; }
 *     }
 *
 * Here are its directives.  What most of the block says is the campaign's.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_instant.h"


#define NGX_HTTP_LOYALTY_INSTANT_EPOCH  86400000LL    /* ms: the longest */
#define NGX_HTTP_LOYALTY_INSTANT_POOLS  8


static char *ngx_http_loyalty_instant_win(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_loyalty_instant_pools(ngx_conf_t *cf,
    ngx_http_loyalty_instant_conf_t *icf);
static char *ngx_http_loyalty_instant_draw(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_loyalty_instant_deck(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign, ngx_str_t *arg);
static char *ngx_http_loyalty_instant_wins(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_loyalty_instant_epoch(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_loyalty_instant_degraded(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

static ngx_int_t ngx_http_loyalty_instant_init(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule);
static ngx_int_t ngx_http_loyalty_instant_check(ngx_conf_t *cf,
    ngx_http_loyalty_instant_conf_t *icf);
static ngx_int_t ngx_http_loyalty_instant_useless(ngx_conf_t *cf,
    ngx_http_loyalty_instant_conf_t *icf);
static ngx_int_t ngx_http_loyalty_instant_worth(ngx_conf_t *cf,
    ngx_http_loyalty_rule_t *rule, ngx_array_t *awards);


static ngx_command_t  ngx_http_loyalty_instant_win_commands[] = {

    { ngx_string("instant_win"),
      NGX_LOYALTY_PROGRAM_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_loyalty_instant_win,
      0,
      0,
      NULL },

    { ngx_string("draw"),
      NGX_LOYALTY_INSTANT_CONF|NGX_CONF_TAKE12,
      ngx_http_loyalty_campaign_line,
      0,
      0,
      (void *) ngx_http_loyalty_instant_draw },

    { ngx_string("wins_per_member"),
      NGX_LOYALTY_INSTANT_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_campaign_line,
      0,
      0,
      (void *) ngx_http_loyalty_instant_wins },

    { ngx_string("epoch"),
      NGX_LOYALTY_INSTANT_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_campaign_line,
      0,
      0,
      (void *) ngx_http_loyalty_instant_epoch },

    { ngx_string("degraded"),
      NGX_LOYALTY_INSTANT_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_campaign_line,
      0,
      0,
      (void *) ngx_http_loyalty_instant_degraded },

      ngx_null_command
};


ngx_module_t  ngx_http_loyalty_instant_win_module = {
    NGX_MODULE_V1,
    NULL,                                  /* module context */
    ngx_http_loyalty_instant_win_commands, /* module directives */
    NGX_LOYALTY_MODULE,                    /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


ngx_http_loyalty_game_t  ngx_http_loyalty_instant_win_game = {
    ngx_string("instant_win"),
    4,
    ngx_http_loyalty_instant_init,
    NULL,                                  /* no event touches it */
    ngx_http_loyalty_instant_effect,
    ngx_http_loyalty_instant_view,
    ngx_string("games"),
    NGX_HTTP_LOYALTY_AWARD_PLAYS,
    ngx_http_loyalty_campaign_identify,
    NULL,                                  /* plays are the member's */
    NULL,
    NULL
};


static char *
ngx_http_loyalty_instant_win(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                             *rv;
    ngx_pool_cleanup_t               *cln;
    ngx_http_loyalty_rule_t          *rule;
    ngx_http_loyalty_instant_conf_t  *icf;

    /* no round yet, and no prize */
    static ngx_str_t  state = ngx_string("\x00\xa0");

    icf = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_instant_conf_t));
    if (icf == NULL) {
        return NGX_CONF_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_loyalty_instant_cleanup;
    cln->data = icf;

    icf->degraded = NGX_CONF_UNSET;
    icf->campaign.state = state;
    icf->campaign.room = &ngx_http_loyalty_instant_room;

    rv = ngx_http_loyalty_campaign_block(cf,
                                         &ngx_http_loyalty_instant_win_game,
                                         NGX_LOYALTY_INSTANT_CONF,
                                         LOYALTY_INSTANT_WIN, &icf->campaign,
                                         &rule);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    ngx_conf_init_value(icf->degraded, 0);

    if (icf->degraded) {
        icf->campaign.flags |= LOYALTY_MAY_DEGRADE;
    }

    return ngx_http_loyalty_instant_pools(cf, icf);
}


static char *
ngx_http_loyalty_instant_pools(ngx_conf_t *cf,
    ngx_http_loyalty_instant_conf_t *icf)
{
    ngx_uint_t                 i, n;
    ngx_http_loyalty_pool_t   *pool, **pools;
    ngx_http_loyalty_prize_t  *prize;

    if (ngx_array_init(&icf->pools, cf->pool, 2,
                       sizeof(ngx_http_loyalty_pool_t *))
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    prize = icf->campaign.prizes.elts;

    for (i = 0; i < icf->campaign.prizes.nelts; i++) {

        if (prize[i].codes.len == 0) {
            continue;
        }

        pool = ngx_http_loyalty_pool_add(cf, icf->campaign.program,
                                         &prize[i].codes);
        if (pool == NULL) {
            return NGX_CONF_ERROR;
        }

        pools = icf->pools.elts;

        for (n = 0; n < icf->pools.nelts && pools[n] != pool; n++) {
            /* void */
        }

        if (n < icf->pools.nelts) {
            continue;
        }

        pools = ngx_array_push(&icf->pools);
        if (pools == NULL) {
            return NGX_CONF_ERROR;
        }

        *pools = pool;
    }

    /* each is a key of the call, beside those of sweepstakes */

    if (icf->pools.nelts > NGX_HTTP_LOYALTY_INSTANT_POOLS) {
        ngx_http_loyalty_conf_error(cf, &icf->campaign.rule->place,
                                    "instant_win \"%V\" has codes of too "
                                    "many pools: at most %d are expected",
                                    &icf->campaign.rule->name,
                                    NGX_HTTP_LOYALTY_INSTANT_POOLS);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_loyalty_instant_draw(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                        *value;
    ngx_uint_t                        i;
    ngx_http_loyalty_block_t         *block;
    ngx_http_loyalty_instant_conf_t  *icf;

    static ngx_str_t  modes[] = {
        ngx_null_string, ngx_string("odds"), ngx_string("deck"),
        ngx_string("moments")
    };

    block = cf->ctx;
    icf = block->rule->conf;
    value = cf->args->elts;

    if (icf->draw_place.line != 0) {
        return "is duplicate";
    }

    ngx_http_loyalty_games_place(cf, &icf->draw_place);

    for (i = LOYALTY_MODE_ODDS; i <= LOYALTY_MODE_MOMENTS; i++) {
        if (value[1].len == modes[i].len
            && ngx_strncmp(value[1].data, modes[i].data, modes[i].len) == 0)
        {
            icf->campaign.mode = i;
            break;
        }
    }

    if (icf->campaign.mode == LOYALTY_MODE_DECK && cf->args->nelts == 3) {
        return ngx_http_loyalty_instant_deck(cf, &icf->campaign, &value[2]);
    }

    if (icf->campaign.mode != LOYALTY_MODE_NONE
        && icf->campaign.mode != LOYALTY_MODE_DECK
        && cf->args->nelts == 2)
    {
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid draw \"%V\": \"odds\", \"deck blanks=N\" or "
                       "\"moments\" is expected", &value[1]);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_loyalty_instant_deck(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign, ngx_str_t *arg)
{
    int64_t    blanks;
    ngx_str_t  number;

    if (arg->len < 7 || ngx_strncmp(arg->data, "blanks=", 7) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" of \"draw deck\": "
                           "\"blanks=N\" is expected", arg);
        return NGX_CONF_ERROR;
    }

    number.data = arg->data + 7;
    number.len = arg->len - 7;

    if (ngx_http_loyalty_number(cf, "blanks", &number, 0,
                                LOYALTY_DECK_MAX - 1, &blanks)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    campaign->blanks = (uint64_t) blanks;

    return NGX_CONF_OK;
}


static char *
ngx_http_loyalty_instant_wins(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                        *value;
    ngx_http_loyalty_block_t         *block;
    ngx_http_loyalty_instant_conf_t  *icf;

    block = cf->ctx;
    icf = block->rule->conf;
    value = cf->args->elts;

    if (icf->wins != 0) {
        return "is duplicate";
    }

    return ngx_http_loyalty_number(cf, "wins_per_member", &value[1], 1,
                                   LOYALTY_MAX_INT, &icf->wins)
           == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_loyalty_instant_epoch(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    int64_t                           length;
    ngx_str_t                        *value;
    ngx_http_loyalty_block_t         *block;
    ngx_http_loyalty_instant_conf_t  *icf;

    block = cf->ctx;
    icf = block->rule->conf;
    value = cf->args->elts;

    if (icf->epoch_place.line != 0) {
        return "is duplicate";
    }

    ngx_http_loyalty_games_place(cf, &icf->epoch_place);

    if (ngx_http_loyalty_duration(cf, "epoch", &value[1], &length)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (length < LOYALTY_EPOCH_MS || length > NGX_HTTP_LOYALTY_INSTANT_EPOCH)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid epoch \"%V\": a minute to a day is "
                           "expected", &value[1]);
        return NGX_CONF_ERROR;
    }

    icf->campaign.length = (uint32_t) length;

    return NGX_CONF_OK;
}


static char *
ngx_http_loyalty_instant_degraded(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_command_t                     flag;
    ngx_http_loyalty_block_t         *block;
    ngx_http_loyalty_instant_conf_t  *icf;

    block = cf->ctx;
    icf = block->rule->conf;

    ngx_http_loyalty_games_place(cf, &icf->degraded_place);

    flag = *cmd;
    flag.offset = offsetof(ngx_http_loyalty_instant_conf_t, degraded);
    flag.post = NULL;

    return ngx_conf_set_flag_slot(cf, &flag, icf);
}


static ngx_int_t
ngx_http_loyalty_instant_init(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule)
{
    ngx_http_loyalty_instant_conf_t  *icf;

    icf = rule->conf;

    if (ngx_http_loyalty_instant_check(cf, icf) != NGX_OK
        || ngx_http_loyalty_campaign_init(cf, program, rule) != NGX_OK
        || ngx_http_loyalty_instant_useless(cf, icf) != NGX_OK
        || ngx_http_loyalty_instant_names(cf, icf) != NGX_OK
        || ngx_http_loyalty_instant_cards(cf, icf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_instant_blob(cf, icf);
}


static ngx_int_t
ngx_http_loyalty_instant_check(ngx_conf_t *cf,
    ngx_http_loyalty_instant_conf_t *icf)
{
    ngx_str_t                    *reason;
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = &icf->campaign;
    reason = &campaign->rule->reason;

    if (campaign->mode == LOYALTY_MODE_NONE) {
        ngx_http_loyalty_conf_error(cf, &campaign->rule->place,
                                    "%V has no \"draw\": \"odds\", \"deck "
                                    "blanks=N\" or \"moments\" is expected",
                                    reason);
        return NGX_ERROR;
    }

    if (campaign->mode != LOYALTY_MODE_MOMENTS && icf->epoch_place.line != 0)
    {
        ngx_http_loyalty_conf_error(cf, &icf->epoch_place,
                                    "%V has an \"epoch\", which is for "
                                    "\"draw moments\" alone", reason);
        return NGX_ERROR;
    }

    if (!icf->degraded) {
        return NGX_OK;
    }

    if (campaign->mode == LOYALTY_MODE_MOMENTS
        || !ngx_http_loyalty_beacon_given(campaign->program))
    {
        ngx_http_loyalty_conf_error(cf, &icf->degraded_place,
                                    "%V has \"degraded on\", but its plays "
                                    "do not use a round of a beacon",
                                    reason);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* plays that are awarded, by others or by its own prizes, must be worth
   something */

static ngx_int_t
ngx_http_loyalty_instant_useless(ngx_conf_t *cf,
    ngx_http_loyalty_instant_conf_t *icf)
{
    ngx_uint_t                  i;
    ngx_http_loyalty_rule_t   **rules;
    ngx_http_loyalty_prize_t   *prize;

    prize = icf->campaign.prizes.elts;

    for (i = 0; i < icf->campaign.prizes.nelts; i++) {
        if (ngx_http_loyalty_instant_worth(cf, icf->campaign.rule,
                                           &prize[i].awards)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    rules = icf->campaign.program->rules.elts;

    for (i = 0; i < icf->campaign.program->rules.nelts; i++) {
        if (ngx_http_loyalty_instant_worth(cf, rules[i], &rules[i]->awards)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_instant_worth(ngx_conf_t *cf, ngx_http_loyalty_rule_t *rule,
    ngx_array_t *awards)
{
    ngx_uint_t                        i;
    ngx_http_loyalty_award_t         *award;
    ngx_http_loyalty_instant_conf_t  *icf;

    award = awards->elts;

    for (i = 0; i < awards->nelts; i++) {

        if (award[i].kind != NGX_HTTP_LOYALTY_AWARD_PLAYS
            || award[i].target == NULL)
        {
            continue;
        }

        icf = award[i].target->conf;

        if (icf->campaign.cost.kind == NGX_HTTP_LOYALTY_COST_FREE) {
            ngx_http_loyalty_conf_error(cf, &award[i].place,
                                        "%V awards plays of %V, which costs "
                                        "nothing", &rule->reason,
                                        &award[i].target->reason);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_http_loyalty_instant_conf_t *
ngx_http_loyalty_instant_find(ngx_http_loyalty_program_t *program,
    ngx_str_t *name)
{
    /* which its configuration begins with */

    return (ngx_http_loyalty_instant_conf_t *)
           ngx_http_loyalty_campaign_find(program, LOYALTY_INSTANT_WIN, name);
}
