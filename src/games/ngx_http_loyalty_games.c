/*
 * The table of games, and what their rooms share: the directives that every
 * block has (on, match, every, day_starts, award), the canonical text a rule
 * is known by, and reading what the Lua side packed.
 *
 * A new game adds its line here, its command table to `config`, and nothing
 * else outside its own two files.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_games.h"


static ngx_int_t ngx_http_loyalty_games_append(ngx_pool_t *pool,
    ngx_str_t *text, const u_char *p, size_t len);


ngx_http_loyalty_game_t  *ngx_http_loyalty_games[] = {
    &ngx_http_loyalty_earn_game,
    &ngx_http_loyalty_challenge_game,
    &ngx_http_loyalty_streak_game,
    &ngx_http_loyalty_instant_win_game,
    &ngx_http_loyalty_reward_game,
    &ngx_http_loyalty_sweepstakes_game,
    &ngx_http_loyalty_badge_game,
    NULL
};


static ngx_str_t  ngx_http_loyalty_games_units[] = {
    ngx_null_string,
    ngx_string("day"),
    ngx_string("week"),
    ngx_string("month")
};


char *
ngx_http_loyalty_games_block(ngx_conf_t *cf, ngx_http_loyalty_game_t *game,
    ngx_uint_t cmd_type, ngx_http_loyalty_games_conf_t *conf,
    ngx_http_loyalty_rule_t **rule)
{
    char                      *rv;
    ngx_str_t                 *value;
    ngx_conf_t                 save;
    ngx_http_loyalty_block_t  *outer, block;

    outer = cf->ctx;
    value = cf->args->elts;

    if (ngx_http_loyalty_name_check(cf, (char *) game->name.data, &value[1])
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    *rule = ngx_http_loyalty_rule_add(cf, game, &value[1]);
    if (*rule == NULL) {
        return NGX_CONF_ERROR;
    }

    conf->day_starts = -1;
    (*rule)->conf = conf;

    block = *outer;
    block.rule = *rule;

    save = *cf;
    cf->ctx = &block;
    cf->cmd_type = cmd_type;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    return rv;
}


char *
ngx_http_loyalty_games_on(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                    *value;
    ngx_http_loyalty_block_t     *block;
    ngx_http_loyalty_listener_t  *listener;

    block = cf->ctx;
    value = cf->args->elts;

    if (ngx_http_loyalty_games_listener(block->rule,
                                        NGX_HTTP_LOYALTY_COUNTS) != NULL)
    {
        return "is duplicate";
    }

    listener = ngx_http_loyalty_listener_add(cf, block->rule, &value[1],
                                             NGX_HTTP_LOYALTY_COUNTS);

    return (listener == NULL) ? NGX_CONF_ERROR : NGX_CONF_OK;
}


char *
ngx_http_loyalty_games_match(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                    *value;
    ngx_http_loyalty_block_t     *block;
    ngx_http_loyalty_listener_t  *listener;

    block = cf->ctx;
    value = cf->args->elts;

    listener = ngx_http_loyalty_games_listener(block->rule,
                                               NGX_HTTP_LOYALTY_COUNTS);
    if (listener == NULL) {
        return "must come after \"on EVENT\"";
    }

    if (ngx_http_loyalty_match_add(cf, listener, &value[1],
                                   cf->args->nelts - 1)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_loyalty_games_every(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                      *value, *unit;
    ngx_uint_t                      i;
    ngx_http_loyalty_block_t       *block;
    ngx_http_loyalty_games_conf_t  *gcf;

    block = cf->ctx;
    gcf = block->rule->conf;
    value = cf->args->elts;
    unit = ngx_http_loyalty_games_units;

    if (gcf->unit != 0) {
        return "is duplicate";
    }

    for (i = LOYALTY_DAY; i <= LOYALTY_MONTH; i++) {
        if (value[1].len == unit[i].len
            && ngx_strncmp(value[1].data, unit[i].data, unit[i].len) == 0)
        {
            gcf->unit = i;
            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid period \"%V\", \"every\" expects "
                       "\"day\", \"week\" or \"month\"", &value[1]);

    return NGX_CONF_ERROR;
}


char *
ngx_http_loyalty_games_day_starts(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_int_t                       hours, minutes;
    ngx_str_t                      *value;
    ngx_http_loyalty_block_t       *block;
    ngx_http_loyalty_games_conf_t  *gcf;

    block = cf->ctx;
    gcf = block->rule->conf;
    value = cf->args->elts;

    if (gcf->day_starts != -1) {
        return "is duplicate";
    }

    hours = NGX_ERROR;
    minutes = NGX_ERROR;

    if (value[1].len == 5 && value[1].data[2] == ':') {
        hours = ngx_atoi(value[1].data, 2);
        minutes = ngx_atoi(value[1].data + 3, 2);
    }

    if (hours == NGX_ERROR || minutes == NGX_ERROR || hours > 23
        || minutes > 59)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid time \"%V\", \"day_starts\" expects "
                           "HH:MM from 00:00 to 23:59", &value[1]);
        return NGX_CONF_ERROR;
    }

    gcf->day_starts = (int32_t) (hours * 3600 + minutes * 60);
    ngx_http_loyalty_games_place(cf, &gcf->day_place);

    return NGX_CONF_OK;
}


char *
ngx_http_loyalty_games_award(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                 *value;
    ngx_http_loyalty_block_t  *block;

    block = cf->ctx;
    value = cf->args->elts;

    if (ngx_http_loyalty_award_add(cf, block->rule, &value[1],
                                   cf->args->nelts - 1, cmd->offset)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_http_loyalty_listener_t *
ngx_http_loyalty_games_listener(ngx_http_loyalty_rule_t *rule,
    ngx_uint_t role)
{
    ngx_uint_t                    i;
    ngx_http_loyalty_listener_t  *listener;

    listener = rule->listeners.elts;

    for (i = 0; i < rule->listeners.nelts; i++) {
        if (listener[i].role == role) {
            return &listener[i];
        }
    }

    return NULL;
}


void
ngx_http_loyalty_games_place(ngx_conf_t *cf, ngx_http_loyalty_place_t *place)
{
    place->file = cf->conf_file->file.name.data;
    place->line = cf->conf_file->line;
}


static ngx_int_t
ngx_http_loyalty_games_append(ngx_pool_t *pool, ngx_str_t *text,
    const u_char *p, size_t len)
{
    u_char  *data;

    data = ngx_pnalloc(pool, text->len + 1 + len);
    if (data == NULL) {
        return NGX_ERROR;
    }

    if (text->len != 0) {
        ngx_memcpy(data, text->data, text->len);
        data[text->len++] = ' ';
    }

    ngx_memcpy(data + text->len, p, len);

    text->data = data;
    text->len += len;

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_games_word(ngx_pool_t *pool, ngx_str_t *text,
    const char *word, ngx_str_t *value)
{
    if (ngx_http_loyalty_games_append(pool, text, (u_char *) word,
                                      ngx_strlen(word))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (value == NULL) {
        return NGX_OK;
    }

    return ngx_http_loyalty_games_append(pool, text, value->data, value->len);
}


ngx_int_t
ngx_http_loyalty_games_word_int(ngx_pool_t *pool, ngx_str_t *text,
    const char *word, int64_t value)
{
    ngx_str_t  digits;
    u_char     buf[NGX_INT64_LEN];

    digits.data = buf;
    digits.len = ngx_sprintf(buf, "%L", value) - buf;

    return ngx_http_loyalty_games_word(pool, text, word, &digits);
}


ngx_int_t
ngx_http_loyalty_games_word_on(ngx_pool_t *pool, ngx_str_t *text,
    const char *word, ngx_http_loyalty_listener_t *listener)
{
    if (ngx_http_loyalty_games_word(pool, text, word, &listener->type)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_match_text(pool, listener, text);
}


ngx_int_t
ngx_http_loyalty_games_word_every(ngx_pool_t *pool, ngx_str_t *text,
    ngx_http_loyalty_games_conf_t *conf)
{
    if (ngx_http_loyalty_games_word(pool, text, "every",
                                    &ngx_http_loyalty_games_units[conf->unit])
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* midnight said and midnight understood are the same rule */

    if (conf->day_starts == 0) {
        return NGX_OK;
    }

    return ngx_http_loyalty_games_word_int(pool, text, "day_starts",
                                           conf->day_starts);
}


ngx_int_t
ngx_http_loyalty_games_blob(ngx_conf_t *cf, ngx_http_loyalty_rule_t *rule,
    loyalty_mpw_t *w)
{
    if (w->failed) {
        ngx_http_loyalty_conf_error(cf, &rule->place,
                                    "%V has too many awards", &rule->reason);
        return NGX_ERROR;
    }

    rule->blob.data = w->start;
    rule->blob.len = w->pos - w->start;

    return NGX_OK;
}


ngx_uint_t
ngx_http_loyalty_games_items(ngx_http_loyalty_hit_t *hit,
    ngx_http_loyalty_event_t *event, ngx_uint_t priced,
    ngx_http_loyalty_hit_t *counted)
{
    uint64_t    bit;
    ngx_uint_t  i, n;

    *counted = *hit;
    n = 0;

    for (i = 0; i < event->nitems && i < NGX_HTTP_LOYALTY_ITEMS; i++) {

        bit = (uint64_t) 1 << (i % 64);

        if (!(hit->items[i / 64] & bit)) {
            continue;
        }

        if (priced && event->items[i].amount < 0) {
            counted->items[i / 64] &= ~bit;
            continue;
        }

        n++;
    }

    return n;
}


ngx_int_t
ngx_http_loyalty_games_state(loyalty_mpr_t *state, uint32_t *n)
{
    loyalty_mpr_t  ahead;

    *n = 0;

    if (state == NULL) {
        return NGX_OK;
    }

    for (ahead = *state; ahead.pos < ahead.end; (*n)++) {
        if (loyalty_mpr_skip(&ahead) != 0) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_games_skip(loyalty_mpr_t *r, int64_t n)
{
    while (n-- > 0) {
        if (loyalty_mpr_skip(r) != 0) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


void
ngx_http_loyalty_games_awards_json(ngx_array_t *awards, int64_t at,
    loyalty_out_t *out)
{
    ngx_uint_t                 i, n;
    ngx_http_loyalty_award_t  *award;

    award = awards->elts;
    n = 0;

    loyalty_out_lit(out, "[");

    for (i = 0; i < awards->nelts; i++) {

        if (award[i].at != at
            && (award[i].every == 0 || at % award[i].every != 0))
        {
            continue;
        }

        if (n++ > 0) {
            loyalty_out_lit(out, ",");
        }

        ngx_http_loyalty_games_award_json(&award[i], out);
    }

    loyalty_out_lit(out, "]");
}


void
ngx_http_loyalty_games_award_json(ngx_http_loyalty_award_t *award,
    loyalty_out_t *out)
{
    static const char  *names[] = {
        "wallet", "sweepstakes", "game", "badge", "reward"
    };
    static const char  *amounts[] = {
        "amount", "tickets", "plays", NULL, NULL
    };

    loyalty_out_lit(out, "{\"");
    loyalty_out_raw(out, names[award->kind - 1],
                    ngx_strlen(names[award->kind - 1]));
    loyalty_out_lit(out, "\":");
    loyalty_out_str(out, award->name.data, award->name.len);

    if (amounts[award->kind - 1] != NULL) {
        loyalty_out_lit(out, ",\"");
        loyalty_out_raw(out, amounts[award->kind - 1],
                        ngx_strlen(amounts[award->kind - 1]));
        loyalty_out_lit(out, "\":");
        loyalty_out_int(out, award->amount);
    }

    loyalty_out_lit(out, "}");
}


int64_t
ngx_http_loyalty_games_period(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_games_conf_t *conf, int64_t at)
{
    return loyalty_period(program->zone, conf->unit, conf->day_starts, at);
}


void
ngx_http_loyalty_games_start_json(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_games_conf_t *conf, int64_t period, loyalty_out_t *out)
{
    loyalty_out_time(out, loyalty_period_start(program->zone, conf->unit,
                                               conf->day_starts, period));
}


void
ngx_http_loyalty_games_period_json(ngx_uint_t unit, int64_t period,
    loyalty_out_t *out)
{
    size_t  len;
    u_char  buf[32];

    len = loyalty_period_name(unit, period, buf);
    loyalty_out_str(out, buf, len);
}
