/*
 * Wallets and tiers: what a program pays in, and where its members stand.
 */

#include "ngx_http_loyalty_private.h"


#define NGX_HTTP_LOYALTY_WALLETS  64
#define NGX_HTTP_LOYALTY_TIERS    64


static ngx_int_t ngx_http_loyalty_wallet_option(ngx_conf_t *cf,
    ngx_http_loyalty_wallet_t *wallet, ngx_str_t *option);
static ngx_int_t ngx_http_loyalty_tier_multiplier(ngx_conf_t *cf,
    ngx_http_loyalty_tier_t *tier, ngx_str_t *value);


char *
ngx_http_loyalty_wallet_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_str_t                   *value;
    ngx_uint_t                   i;
    ngx_http_loyalty_block_t    *block;
    ngx_http_loyalty_wallet_t   *wallet;
    ngx_http_loyalty_program_t  *program;

    block = cf->ctx;
    program = block->program;
    value = cf->args->elts;

    if (ngx_http_loyalty_name_check(cf, "wallet", &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_loyalty_reserved(&value[1])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid wallet name \"%V\": tickets, plays, badge "
                           "and reward are words of \"award\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    wallet = ngx_http_loyalty_wallet(program, &value[1]);

    if (wallet != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate wallet \"%V\", the first is in %s:%ui",
                           &value[1], wallet->place.file,
                           wallet->place.line);
        return NGX_CONF_ERROR;
    }

    if (program->wallets.nelts == NGX_HTTP_LOYALTY_WALLETS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many wallets: at most %d are expected",
                           NGX_HTTP_LOYALTY_WALLETS);
        return NGX_CONF_ERROR;
    }

    wallet = ngx_array_push(&program->wallets);
    if (wallet == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(wallet, sizeof(ngx_http_loyalty_wallet_t));

    wallet->name = value[1];
    ngx_http_loyalty_place(cf, &wallet->place);
    ngx_http_loyalty_hash_name("wallet", &wallet->name, wallet->hash);

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_loyalty_wallet_option(cf, wallet, &value[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_loyalty_wallet_option(ngx_conf_t *cf,
    ngx_http_loyalty_wallet_t *wallet, ngx_str_t *option)
{
    if (ngx_strcmp(option->data, "negative=on") == 0) {
        wallet->negative = 1;
        return NGX_OK;
    }

    if (ngx_strcmp(option->data, "negative=off") == 0) {
        wallet->negative = 0;
        return NGX_OK;
    }

    if (ngx_strncmp(option->data, "expires=", 8) == 0
        || ngx_strncmp(option->data, "pending=", 8) == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" of a wallet is not supported in this "
                           "version", option);
        return NGX_ERROR;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" in \"wallet\" directive: "
                       "negative=on or negative=off is expected", option);

    return NGX_ERROR;
}


char *
ngx_http_loyalty_tier_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                   *value;
    ngx_uint_t                   i;
    ngx_http_loyalty_tier_t     *tier;
    ngx_http_loyalty_block_t    *block;
    ngx_http_loyalty_program_t  *program;

    block = cf->ctx;
    program = block->program;
    value = cf->args->elts;

    if (ngx_http_loyalty_name_check(cf, "tier", &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    tier = program->tiers.elts;

    for (i = 0; i < program->tiers.nelts; i++) {

        if (tier[i].name.len == value[1].len
            && ngx_memcmp(tier[i].name.data, value[1].data, value[1].len)
               == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate tier \"%V\", the first is in "
                               "%s:%ui", &value[1], tier[i].place.file,
                               tier[i].place.line);
            return NGX_CONF_ERROR;
        }
    }

    if (program->tiers.nelts == NGX_HTTP_LOYALTY_TIERS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many tiers: at most %d are expected",
                           NGX_HTTP_LOYALTY_TIERS);
        return NGX_CONF_ERROR;
    }

    tier = ngx_array_push(&program->tiers);
    if (tier == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(tier, sizeof(ngx_http_loyalty_tier_t));

    tier->name = value[1];
    tier->multiplier = NGX_HTTP_LOYALTY_ONE;
    ngx_http_loyalty_place(cf, &tier->place);
    ngx_http_loyalty_hash_name("tier", &tier->name, tier->hash);

    if (ngx_http_loyalty_number(cf, "threshold", &value[2], 0,
                                LOYALTY_MAX_INT, &tier->threshold)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 4
        && ngx_http_loyalty_tier_multiplier(cf, tier, &value[3]) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_loyalty_tier_multiplier(ngx_conf_t *cf,
    ngx_http_loyalty_tier_t *tier, ngx_str_t *value)
{
    if (ngx_strncmp(value->data, "multiplier=", 11) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"tier\" directive: "
                           "multiplier=NUMBER is expected", value);
        return NGX_ERROR;
    }

    if (loyalty_money_parse(value->data + 11, value->len - 11, 4,
                            &tier->multiplier)
        != LOYALTY_MONEY_OK
        || tier->multiplier < 1
        || tier->multiplier > 100 * NGX_HTTP_LOYALTY_ONE)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"%V\": a multiplier over 0 and at most "
                           "100, with at most 4 decimals, is expected",
                           value);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_http_loyalty_wallet_t *
ngx_http_loyalty_wallet(ngx_http_loyalty_program_t *program, ngx_str_t *name)
{
    ngx_uint_t                  i;
    ngx_http_loyalty_wallet_t  *wallet;

    wallet = program->wallets.elts;

    for (i = 0; i < program->wallets.nelts; i++) {

        if (wallet[i].name.len == name->len
            && ngx_memcmp(wallet[i].name.data, name->data, name->len) == 0)
        {
            return &wallet[i];
        }
    }

    return NULL;
}
