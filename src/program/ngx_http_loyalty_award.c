/*
 * Awards: what a challenge or a streak pays.  "award points 50" names a
 * wallet; the words tickets, plays, badge and reward are kept for games that
 * can be won by other games, and are refused until those exist.
 */

#include "ngx_http_loyalty_private.h"


#define NGX_HTTP_LOYALTY_AWARD_PERIODS  1000000


static ngx_int_t ngx_http_loyalty_award_period(ngx_conf_t *cf,
    ngx_http_loyalty_award_t *award, ngx_str_t *arg);


static ngx_str_t  ngx_http_loyalty_reserved_words[] = {
    ngx_string("tickets"),
    ngx_string("plays"),
    ngx_string("badge"),
    ngx_string("reward"),
    ngx_null_string
};


ngx_uint_t
ngx_http_loyalty_reserved(ngx_str_t *name)
{
    ngx_str_t  *word;

    for (word = ngx_http_loyalty_reserved_words; word->len; word++) {

        if (word->len == name->len
            && ngx_memcmp(word->data, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_loyalty_award_add(ngx_conf_t *cf, ngx_http_loyalty_rule_t *rule,
    ngx_str_t *args, ngx_uint_t n, ngx_uint_t periodic)
{
    ngx_http_loyalty_award_t  *award;

    if (n > 0 && ngx_http_loyalty_reserved(&args[0])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "award of \"%V\" is not supported in this "
                           "version: a wallet and an amount are expected",
                           &args[0]);
        return NGX_ERROR;
    }

    if (n != (periodic ? 3 : 2)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number of arguments in \"award\" "
                           "directive: %s expected",
                           periodic ? "a wallet, an amount and at=N or "
                                      "every=N are"
                                    : "a wallet and an amount are");
        return NGX_ERROR;
    }

    award = ngx_array_push(&rule->awards);
    if (award == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(award, sizeof(ngx_http_loyalty_award_t));

    award->kind = NGX_HTTP_LOYALTY_AWARD_WALLET;
    award->name = args[0];
    ngx_http_loyalty_place(cf, &award->place);

    if (ngx_http_loyalty_number(cf, "award", &args[1], 1, LOYALTY_MAX_INT,
                                &award->amount)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return periodic ? ngx_http_loyalty_award_period(cf, award, &args[2])
                    : NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_award_period(ngx_conf_t *cf, ngx_http_loyalty_award_t *award,
    ngx_str_t *arg)
{
    ngx_str_t  value;

    if (arg->len > 3 && ngx_strncmp(arg->data, "at=", 3) == 0) {
        value.data = arg->data + 3;
        value.len = arg->len - 3;

        return ngx_http_loyalty_number(cf, "at", &value, 1,
                                       NGX_HTTP_LOYALTY_AWARD_PERIODS,
                                       &award->at);
    }

    if (arg->len > 6 && ngx_strncmp(arg->data, "every=", 6) == 0) {
        value.data = arg->data + 6;
        value.len = arg->len - 6;

        return ngx_http_loyalty_number(cf, "every", &value, 1,
                                       NGX_HTTP_LOYALTY_AWARD_PERIODS,
                                       &award->every);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" in \"award\" directive: "
                       "at=N or every=N is expected", arg);

    return NGX_ERROR;
}


ngx_int_t
ngx_http_loyalty_awards_resolve(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule)
{
    ngx_uint_t                  i;
    ngx_http_loyalty_award_t   *award;
    ngx_http_loyalty_wallet_t  *wallet;

    award = rule->awards.elts;

    for (i = 0; i < rule->awards.nelts; i++) {

        wallet = ngx_http_loyalty_wallet(program, &award[i].name);

        if (wallet == NULL) {
            ngx_http_loyalty_conf_error(cf, &award[i].place,
                                        "unknown wallet \"%V\": "
                                        "loyalty_program \"%V\" has no such "
                                        "\"wallet\" directive",
                                        &award[i].name, &program->name);
            return NGX_ERROR;
        }

        ngx_memcpy(award[i].hash, wallet->hash, NGX_HTTP_LOYALTY_HASH);
    }

    return NGX_OK;
}
