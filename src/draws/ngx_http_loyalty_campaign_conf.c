/*
 * The directives that the blocks of both draws share, but for eligible and
 * prize, which have files of their own.
 */

#include "ngx_http_loyalty_draws_private.h"


#define NGX_HTTP_LOYALTY_VERSIONS   1000000
#define NGX_HTTP_LOYALTY_MAX_LIMIT  1000000000


static ngx_int_t ngx_http_loyalty_campaign_members(ngx_conf_t *cf,
    ngx_str_t *text, ngx_str_t *path, ngx_array_t *members);


/* open; with cmd->offset 1 close */

char *
ngx_http_loyalty_campaign_time(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    int64_t                       *ms;
    ngx_str_t                     *value;
    ngx_http_loyalty_block_t      *block;
    ngx_http_loyalty_place_t      *place;
    ngx_http_loyalty_campaign_t   *campaign;

    block = cf->ctx;
    campaign = block->rule->conf;
    value = cf->args->elts;

    ms = cmd->offset ? &campaign->close : &campaign->open;
    place = cmd->offset ? &campaign->close_place : &campaign->open_place;

    if (*ms != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    if (loyalty_rfc3339_parse(value[1].data, value[1].len, ms) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid time \"%V\": a date and time with an "
                           "offset, such as \"2026-11-01T00:00:00+01:00\", "
                           "is expected", &value[1]);
        return NGX_CONF_ERROR;
    }

    ngx_http_loyalty_games_place(cf, place);

    return NGX_CONF_OK;
}


char *
ngx_http_loyalty_campaign_version_no(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    int64_t                       version;
    ngx_str_t                    *value;
    ngx_http_loyalty_block_t     *block;
    ngx_http_loyalty_campaign_t  *campaign;

    block = cf->ctx;
    campaign = block->rule->conf;
    value = cf->args->elts;

    if (campaign->version != 0) {
        return "is duplicate";
    }

    if (ngx_http_loyalty_number(cf, "version", &value[1], 1,
                                NGX_HTTP_LOYALTY_VERSIONS, &version)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    campaign->version = (uint32_t) version;

    return NGX_CONF_OK;
}


char *
ngx_http_loyalty_campaign_cost(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                    *value;
    ngx_http_loyalty_cost_t      *cost;
    ngx_http_loyalty_block_t     *block;
    ngx_http_loyalty_campaign_t  *campaign;

    block = cf->ctx;
    campaign = block->rule->conf;
    cost = &campaign->cost;
    value = cf->args->elts;

    if (cost->place.line != 0) {
        return "is duplicate";
    }

    ngx_http_loyalty_games_place(cf, &cost->place);

    cost->name = value[1];
    cost->kind = NGX_HTTP_LOYALTY_COST_WALLET;

    if (ngx_strcmp(value[1].data, "plays") == 0) {

        if (campaign->kind != LOYALTY_INSTANT_WIN) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid cost \"plays\": tickets of a "
                               "sweepstakes cost points, a wallet and an "
                               "amount are expected");
            return NGX_CONF_ERROR;
        }

        cost->kind = NGX_HTTP_LOYALTY_COST_PLAYS;

    } else if (ngx_strcmp(value[1].data, "tickets") == 0
               || ngx_strcmp(value[1].data, "badge") == 0
               || ngx_strcmp(value[1].data, "reward") == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid cost \"%V\": a wallet or \"plays\", and "
                           "an amount, are expected", &value[1]);
        return NGX_CONF_ERROR;
    }

    return ngx_http_loyalty_number(cf, "cost", &value[2], 1, LOYALTY_MAX_INT,
                                   &cost->amount)
           == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_http_loyalty_campaign_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    int64_t                       n;
    ngx_str_t                    *value;
    ngx_uint_t                    i, unit;
    ngx_http_loyalty_block_t     *block;
    ngx_http_loyalty_limit_t     *limit;
    ngx_http_loyalty_campaign_t  *campaign;

    static const char  *units[] = { "campaign", "day", "week", "month" };

    block = cf->ctx;
    campaign = block->rule->conf;
    value = cf->args->elts;

    for (unit = 0; unit <= LOYALTY_MONTH; unit++) {
        if (ngx_strcmp(value[3].data, units[unit]) == 0) {
            break;
        }
    }

    if (unit > LOYALTY_MONTH || ngx_strcmp(value[2].data, "per") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid limit \"%V %V %V\": \"N per day\", "
                           "\"week\", \"month\" or \"campaign\" is expected",
                           &value[1], &value[2], &value[3]);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_loyalty_number(cf, "limit", &value[1], 1,
                                NGX_HTTP_LOYALTY_MAX_LIMIT, &n)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    limit = campaign->limits.elts;

    for (i = 0; i < campaign->limits.nelts; i++) {
        if (limit[i].unit == unit) {
            return "is duplicate";
        }
    }

    limit = ngx_array_push(&campaign->limits);
    if (limit == NULL) {
        return NGX_CONF_ERROR;
    }

    limit->unit = unit;
    limit->n = n;

    return NGX_CONF_OK;
}


char *
ngx_http_loyalty_campaign_exclude(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_str_t                    *value, text;
    ngx_array_t                  *members;
    ngx_http_loyalty_block_t     *block;
    ngx_http_loyalty_campaign_t  *campaign;

    block = cf->ctx;
    campaign = block->rule->conf;
    value = cf->args->elts;

    if (campaign->excluded != NULL) {
        return "is duplicate";
    }

    text.data = NULL;

    if (ngx_http_loyalty_draws_file(cf, "exclude_file", &value[1],
                                    NGX_HTTP_LOYALTY_EXCLUDE_FILE, &text)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    members = ngx_array_create(cf->pool, 64, sizeof(ngx_str_t));
    if (members == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_loyalty_campaign_members(cf, &text, &value[1], members)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    ngx_qsort(members->elts, members->nelts, sizeof(ngx_str_t),
              ngx_http_loyalty_text_cmp);

    campaign->excluded = members;

    return NGX_CONF_OK;
}


/* a member's id a line */

static ngx_int_t
ngx_http_loyalty_campaign_members(ngx_conf_t *cf, ngx_str_t *text,
    ngx_str_t *path, ngx_array_t *members)
{
    u_char      *p, *last, *next, *end;
    ngx_str_t   *member;
    ngx_uint_t   line;

    end = text->data + text->len;

    for (p = text->data, line = 1; p < end; p = next, line++) {

        last = ngx_strlchr(p, end, LF);

        if (last == NULL) {
            last = end;
        }

        next = last + 1;

        if (last > p && last[-1] == CR) {
            last--;
        }

        if (last == p) {
            continue;
        }

        if (last - p > NGX_HTTP_LOYALTY_ID) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid line %ui of exclude_file \"%V\": the "
                               "id of a member has at most %d bytes", line,
                               path, NGX_HTTP_LOYALTY_ID);
            return NGX_ERROR;
        }

        member = ngx_array_push(members);
        if (member == NULL) {
            return NGX_ERROR;
        }

        member->data = p;
        member->len = last - p;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_campaign_may(ngx_http_loyalty_campaign_t *campaign,
    ngx_http_request_t *r, ngx_str_t *member, int64_t now)
{
    uint64_t                  items[2];
    ngx_http_loyalty_event_t  event;

    if (campaign->excluded != NULL
        && bsearch(member, campaign->excluded->elts,
                   campaign->excluded->nelts, sizeof(ngx_str_t),
                   ngx_http_loyalty_text_cmp)
           != NULL)
    {
        return NGX_DECLINED;
    }

    if (r == NULL || campaign->variables.matches.nelts == 0) {
        return NGX_OK;
    }

    /* the lines name $variables alone, which need the request and no more */

    ngx_memzero(&event, sizeof(ngx_http_loyalty_event_t));

    event.request = r;
    event.member = *member;
    event.at = now;
    event.now = now;
    event.amount = -1;
    event.quantity = -1;

    return ngx_http_loyalty_match_event(campaign->program,
                                        &campaign->variables, &event, items)
           ? NGX_OK : NGX_DECLINED;
}


char *
ngx_http_loyalty_campaign_rules(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                    *value;
    ngx_http_loyalty_block_t     *block;
    ngx_http_loyalty_campaign_t  *campaign;

    block = cf->ctx;
    campaign = block->rule->conf;
    value = cf->args->elts;

    if (campaign->rules.data != NULL) {
        return "is duplicate";
    }

    if (ngx_http_loyalty_draws_file(cf, "rules_file", &value[1],
                                    NGX_HTTP_LOYALTY_RULES_FILE,
                                    &campaign->rules)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (loyalty_sha(campaign->rules_hash, campaign->rules.data,
                    campaign->rules.len)
        != 0)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
