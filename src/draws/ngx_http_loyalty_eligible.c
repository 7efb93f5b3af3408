/*
 * eligible: who may take part.  A line about a field of the member (tier,
 * balance.WALLET, lifetime.WALLET) is for Lua, which alone sees the member as
 * it is; a line about a $variable is answered here, by the code that match
 * lines have.  All lines must hold.
 */

#include "ngx_http_loyalty_draws_private.h"


#define NGX_HTTP_LOYALTY_ELIGIBLE_MAX  64         /* lines */


static ngx_int_t ngx_http_loyalty_eligible_field(ngx_conf_t *cf,
    ngx_http_loyalty_eligible_t *line, ngx_str_t *name);
static ngx_int_t ngx_http_loyalty_eligible_op(ngx_conf_t *cf,
    ngx_http_loyalty_eligible_t *line, ngx_str_t *op, ngx_uint_t n);
static ngx_int_t ngx_http_loyalty_eligible_values(ngx_conf_t *cf,
    ngx_http_loyalty_eligible_t *line, ngx_str_t *values);
static ngx_int_t ngx_http_loyalty_eligible_wallet(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_eligible_t *line);
static ngx_int_t ngx_http_loyalty_eligible_tiers(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_eligible_t *line);
static ngx_int_t ngx_http_loyalty_eligible_tier(
    ngx_http_loyalty_program_t *program, ngx_str_t *name);
static ngx_uint_t ngx_http_loyalty_eligible_meant(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_eligible_t *line,
    ngx_int_t tier);


static const char  *ngx_http_loyalty_eligible_ops[] = {
    "=", "!=", "<", "<=", ">", ">=", "in"
};


char *
ngx_http_loyalty_eligible(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                    *value;
    ngx_uint_t                    n;
    ngx_http_loyalty_block_t     *block;
    ngx_http_loyalty_campaign_t  *campaign;
    ngx_http_loyalty_eligible_t  *line;

    block = cf->ctx;
    campaign = block->rule->conf;
    value = cf->args->elts;
    n = cf->args->nelts;

    if (n < 4) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number of arguments in \"eligible\": "
                           "FIELD, an operator and VALUE are expected");
        return NGX_CONF_ERROR;
    }

    if (campaign->eligible.nelts + campaign->variables.matches.nelts
        == NGX_HTTP_LOYALTY_ELIGIBLE_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many \"eligible\" directives: at most %d are "
                           "expected", NGX_HTTP_LOYALTY_ELIGIBLE_MAX);
        return NGX_CONF_ERROR;
    }

    if (value[1].data[0] == '$') {
        return ngx_http_loyalty_match_add(cf, &campaign->variables,
                                          &value[1], n - 1)
               == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    line = ngx_array_push(&campaign->eligible);
    if (line == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(line, sizeof(ngx_http_loyalty_eligible_t));
    ngx_http_loyalty_games_place(cf, &line->place);

    if (ngx_http_loyalty_eligible_field(cf, line, &value[1]) != NGX_OK
        || ngx_http_loyalty_eligible_op(cf, line, &value[2], n - 3) != NGX_OK
        || ngx_http_loyalty_eligible_values(cf, line, &value[3]) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_loyalty_eligible_field(ngx_conf_t *cf,
    ngx_http_loyalty_eligible_t *line, ngx_str_t *name)
{
    if (ngx_strcmp(name->data, "tier") == 0) {
        line->field = NGX_HTTP_LOYALTY_ELIGIBLE_TIER;
        return NGX_OK;
    }

    if (ngx_strncmp(name->data, "balance.", 8) == 0) {
        line->field = NGX_HTTP_LOYALTY_ELIGIBLE_BALANCE;
        line->name.data = name->data + 8;
        line->name.len = name->len - 8;

    } else if (ngx_strncmp(name->data, "lifetime.", 9) == 0) {
        line->field = NGX_HTTP_LOYALTY_ELIGIBLE_LIFETIME;
        line->name.data = name->data + 9;
        line->name.len = name->len - 9;
    }

    if (line->name.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid field \"%V\" in \"eligible\": \"tier\", "
                           "\"balance.WALLET\", \"lifetime.WALLET\" or a "
                           "$variable is expected", name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_eligible_op(ngx_conf_t *cf,
    ngx_http_loyalty_eligible_t *line, ngx_str_t *op, ngx_uint_t n)
{
    if (op->data[0] == '~') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid operator \"%V\" in \"eligible\": "
                           "patterns are for $variables", op);
        return NGX_ERROR;
    }

    for (line->op = 0; line->op <= NGX_HTTP_LOYALTY_ELIGIBLE_IN; line->op++) {
        if (ngx_strcmp(op->data, ngx_http_loyalty_eligible_ops[line->op])
            == 0)
        {
            break;
        }
    }

    if (line->op > NGX_HTTP_LOYALTY_ELIGIBLE_IN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid operator \"%V\" in \"eligible\": one of "
                           "= != < <= > >= in is expected", op);
        return NGX_ERROR;
    }

    if (line->op != NGX_HTTP_LOYALTY_ELIGIBLE_IN && n > 1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number of arguments in \"eligible\": one "
                           "value is expected behind \"%V\"", op);
        return NGX_ERROR;
    }

    line->n = n;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_eligible_values(ngx_conf_t *cf,
    ngx_http_loyalty_eligible_t *line, ngx_str_t *values)
{
    ngx_uint_t  i;

    line->texts = ngx_palloc(cf->pool, line->n * sizeof(ngx_str_t));
    line->numbers = ngx_palloc(cf->pool, line->n * sizeof(int64_t));

    if (line->texts == NULL || line->numbers == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < line->n; i++) {
        line->texts[i] = values[i];

        if (line->field != NGX_HTTP_LOYALTY_ELIGIBLE_TIER
            && ngx_http_loyalty_number(cf, "value in \"eligible\"",
                                       &values[i], 0, LOYALTY_MAX_INT,
                                       &line->numbers[i])
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_eligible_resolve(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign)
{
    ngx_int_t                     rc;
    ngx_uint_t                    i;
    ngx_http_loyalty_program_t   *program;
    ngx_http_loyalty_eligible_t  *line;

    program = campaign->program;
    line = campaign->eligible.elts;

    for (i = 0; i < campaign->eligible.nelts; i++) {

        rc = (line[i].field == NGX_HTTP_LOYALTY_ELIGIBLE_TIER)
             ? ngx_http_loyalty_eligible_tiers(cf, program, &line[i])
             : ngx_http_loyalty_eligible_wallet(cf, program, &line[i]);

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return ngx_http_loyalty_match_resolve(cf, program, &campaign->variables);
}


static ngx_int_t
ngx_http_loyalty_eligible_wallet(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_eligible_t *line)
{
    ngx_http_loyalty_wallet_t  *wallet;

    wallet = ngx_http_loyalty_wallet(program, &line->name);

    if (wallet == NULL) {
        ngx_http_loyalty_conf_error(cf, &line->place,
                                    "unknown wallet \"%V\" in \"eligible\": "
                                    "loyalty_program \"%V\" has no such "
                                    "\"wallet\" directive", &line->name,
                                    &program->name);
        return NGX_ERROR;
    }

    line->hashes = ngx_palloc(cf->pool, NGX_HTTP_LOYALTY_HASH);
    if (line->hashes == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(line->hashes[0], wallet->hash, NGX_HTTP_LOYALTY_HASH);

    return NGX_OK;
}


/* which tiers a line means is known now: n becomes their number */

static ngx_int_t
ngx_http_loyalty_eligible_tiers(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_eligible_t *line)
{
    ngx_uint_t                i, n;
    ngx_http_loyalty_tier_t  *tier;

    for (i = 0; i < line->n; i++) {

        if (ngx_http_loyalty_eligible_tier(program, &line->texts[i])
            == NGX_ERROR)
        {
            ngx_http_loyalty_conf_error(cf, &line->place,
                                        "unknown tier \"%V\" in "
                                        "\"eligible\": loyalty_program "
                                        "\"%V\" has no such \"tier\" "
                                        "directive", &line->texts[i],
                                        &program->name);
            return NGX_ERROR;
        }
    }

    line->hashes = ngx_palloc(cf->pool, program->tiers.nelts
                                        * NGX_HTTP_LOYALTY_HASH);
    if (line->hashes == NULL) {
        return NGX_ERROR;
    }

    tier = program->tiers.elts;
    n = 0;

    for (i = 0; i < program->tiers.nelts; i++) {
        if (ngx_http_loyalty_eligible_meant(program, line, i)) {
            ngx_memcpy(line->hashes[n++], tier[i].hash,
                       NGX_HTTP_LOYALTY_HASH);
        }
    }

    if (n == 0) {
        ngx_http_loyalty_conf_error(cf, &line->place,
                                    "\"eligible tier %s %V\" is no tier: "
                                    "nobody could take part",
                                    ngx_http_loyalty_eligible_ops[line->op],
                                    &line->texts[0]);
        return NGX_ERROR;
    }

    line->n = n;

    return NGX_OK;
}


/* the place of a tier among all, which ascend */

static ngx_int_t
ngx_http_loyalty_eligible_tier(ngx_http_loyalty_program_t *program,
    ngx_str_t *name)
{
    ngx_uint_t                i;
    ngx_http_loyalty_tier_t  *tier;

    tier = program->tiers.elts;

    for (i = 0; i < program->tiers.nelts; i++) {
        if (tier[i].name.len == name->len
            && ngx_memcmp(tier[i].name.data, name->data, name->len) == 0)
        {
            return i;
        }
    }

    return NGX_ERROR;
}


static ngx_uint_t
ngx_http_loyalty_eligible_meant(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_eligible_t *line, ngx_int_t tier)
{
    ngx_int_t   other;
    ngx_uint_t  i;

    other = ngx_http_loyalty_eligible_tier(program, &line->texts[0]);

    switch (line->op) {

    case 0:
        return tier == other;

    case 1:
        return tier != other;

    case 2:
        return tier < other;

    case 3:
        return tier <= other;

    case 4:
        return tier > other;

    case 5:
        return tier >= other;

    default: /* NGX_HTTP_LOYALTY_ELIGIBLE_IN */
        break;
    }

    for (i = 0; i < line->n; i++) {
        if (ngx_http_loyalty_eligible_tier(program, &line->texts[i]) == tier)
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_loyalty_eligible_blob(ngx_http_loyalty_campaign_t *campaign,
    loyalty_mpw_t *w)
{
    ngx_uint_t                    i, n;
    ngx_http_loyalty_eligible_t  *line;

    line = campaign->eligible.elts;

    loyalty_mpw_array(w, campaign->eligible.nelts);

    for (i = 0; i < campaign->eligible.nelts; i++) {

        if (line[i].field == NGX_HTTP_LOYALTY_ELIGIBLE_TIER) {
            loyalty_mpw_array(w, 1 + line[i].n);
            loyalty_mpw_int(w, line[i].field);

            for (n = 0; n < line[i].n; n++) {
                loyalty_mpw_str(w, line[i].hashes[n], NGX_HTTP_LOYALTY_HASH);
            }

            continue;
        }

        loyalty_mpw_array(w, 3 + line[i].n);
        loyalty_mpw_int(w, line[i].field);
        loyalty_mpw_str(w, line[i].hashes[0], NGX_HTTP_LOYALTY_HASH);
        loyalty_mpw_int(w, line[i].op);

        for (n = 0; n < line[i].n; n++) {
            loyalty_mpw_int(w, line[i].numbers[n]);
        }
    }
}
