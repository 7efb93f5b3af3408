/*
 * Awards: what a challenge, a streak or a prize pays.  "award points 50"
 * names a wallet; the words tickets, plays, badge and reward stand for
 * another game, which is looked up when the program is closed.  A word of
 * which no game in the table takes awards is refused.
 */

#include "ngx_http_loyalty_private.h"


#define NGX_HTTP_LOYALTY_AWARD_PERIODS  1000000


/* a word in front of a game's name, and whether a number follows it */

typedef struct {
    ngx_str_t                     word;
    ngx_uint_t                    kind;
    ngx_uint_t                    counted;
} ngx_http_loyalty_award_word_t;


static ngx_http_loyalty_award_word_t *ngx_http_loyalty_award_word(
    ngx_str_t *name);
static ngx_uint_t ngx_http_loyalty_award_built(ngx_uint_t kind);
static ngx_int_t ngx_http_loyalty_award_period(ngx_conf_t *cf,
    ngx_http_loyalty_award_t *award, ngx_str_t *arg);
static ngx_int_t ngx_http_loyalty_award_wallet(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_award_t *award);
static ngx_http_loyalty_rule_t *ngx_http_loyalty_award_game(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_award_t *award);
static ngx_int_t ngx_http_loyalty_award_target(ngx_conf_t *cf,
    ngx_array_t *targets, ngx_http_loyalty_award_t *award);


static ngx_http_loyalty_award_word_t  ngx_http_loyalty_award_words[] = {
    { ngx_string("tickets"), NGX_HTTP_LOYALTY_AWARD_TICKETS, 1 },
    { ngx_string("plays"), NGX_HTTP_LOYALTY_AWARD_PLAYS, 1 },
    { ngx_string("badge"), NGX_HTTP_LOYALTY_AWARD_BADGE, 0 },
    { ngx_string("reward"), NGX_HTTP_LOYALTY_AWARD_REWARD, 0 },
    { ngx_null_string, 0, 0 }
};


static ngx_http_loyalty_award_word_t *
ngx_http_loyalty_award_word(ngx_str_t *name)
{
    ngx_http_loyalty_award_word_t  *word;

    for (word = ngx_http_loyalty_award_words; word->word.len; word++) {

        if (word->word.len == name->len
            && ngx_memcmp(word->word.data, name->data, name->len) == 0)
        {
            return word;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_http_loyalty_reserved(ngx_str_t *name)
{
    return ngx_http_loyalty_award_word(name) != NULL;
}


static ngx_uint_t
ngx_http_loyalty_award_built(ngx_uint_t kind)
{
    ngx_uint_t  i;

    for (i = 0; ngx_http_loyalty_games[i] != NULL; i++) {
        if (ngx_http_loyalty_games[i]->award == kind) {
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

    award = ngx_array_push(&rule->awards);
    if (award == NULL) {
        return NGX_ERROR;
    }

    if (periodic && (n < 2 || ngx_strlchr(args[n - 1].data,
                                          args[n - 1].data
                                          + args[n - 1].len, '=')
                              == NULL))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number of arguments in \"award\" "
                           "directive: a wallet, an amount and at=N or "
                           "every=N are expected");
        return NGX_ERROR;
    }

    if (ngx_http_loyalty_award_parse(cf, "award", args,
                                     periodic ? n - 1 : n, award)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return periodic ? ngx_http_loyalty_award_period(cf, award, &args[n - 1])
                    : NGX_OK;
}


ngx_int_t
ngx_http_loyalty_award_parse(ngx_conf_t *cf, const char *what,
    ngx_str_t *args, ngx_uint_t n, ngx_http_loyalty_award_t *award)
{
    ngx_uint_t                      expected;
    ngx_http_loyalty_award_word_t  *word;

    ngx_memzero(award, sizeof(ngx_http_loyalty_award_t));
    ngx_http_loyalty_place(cf, &award->place);

    word = n ? ngx_http_loyalty_award_word(&args[0]) : NULL;

    if (word != NULL && !ngx_http_loyalty_award_built(word->kind)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s of \"%V\" is not supported in this "
                           "version: a wallet and an amount are expected",
                           what, &args[0]);
        return NGX_ERROR;
    }

    expected = (word == NULL) ? 2 : 2 + word->counted;

    if (n != expected) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number of arguments in \"%s\" "
                           "directive: %s expected", what,
                           word == NULL ? "a wallet and an amount are"
                           : word->counted ? "a game and a number are"
                                           : "a name is");
        return NGX_ERROR;
    }

    award->kind = (word == NULL) ? NGX_HTTP_LOYALTY_AWARD_WALLET : word->kind;
    award->name = args[word != NULL];
    award->amount = 1;

    if (word != NULL && !word->counted) {
        return NGX_OK;
    }

    return ngx_http_loyalty_number(cf, what, &args[n - 1], 1,
                                   LOYALTY_MAX_INT, &award->amount);
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
    ngx_uint_t                 i;
    ngx_http_loyalty_award_t  *award;

    award = rule->awards.elts;

    for (i = 0; i < rule->awards.nelts; i++) {
        if (ngx_http_loyalty_award_resolve(cf, program, rule, &award[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_award_resolve(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule,
    ngx_http_loyalty_award_t *award)
{
    if (award->kind == NGX_HTTP_LOYALTY_AWARD_WALLET) {
        return ngx_http_loyalty_award_wallet(cf, program, award);
    }

    award->target = ngx_http_loyalty_award_game(program, award);

    if (award->target == NULL) {
        ngx_http_loyalty_conf_error(cf, &award->place,
                                    "unknown name \"%V\" in an award of "
                                    "%s: loyalty_program \"%V\" has none "
                                    "of this name", &award->name,
                                    ngx_http_loyalty_award_words
                                        [award->kind - 2].word.data,
                                    &program->name);
        return NGX_ERROR;
    }

    ngx_memcpy(award->hash, award->target->hash, NGX_HTTP_LOYALTY_HASH);

    if (award->target->game->target == NULL) {
        return NGX_OK;
    }

    if (program->split) {
        ngx_http_loyalty_conf_error(cf, &award->place,
                                    "an award of %s is not supported with "
                                    "\"redis ... split\": \"%V\" is in "
                                    "another slot than the member",
                                    ngx_http_loyalty_award_words
                                        [award->kind - 2].word.data,
                                    &award->name);
        return NGX_ERROR;
    }

    if (ngx_http_loyalty_award_target(cf, &rule->targets, award) != NGX_OK
        || ngx_http_loyalty_award_target(cf, &program->targets, award)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_award_wallet(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_award_t *award)
{
    ngx_http_loyalty_wallet_t  *wallet;

    wallet = ngx_http_loyalty_wallet(program, &award->name);

    if (wallet == NULL) {
        ngx_http_loyalty_conf_error(cf, &award->place,
                                    "unknown wallet \"%V\": loyalty_program "
                                    "\"%V\" has no such \"wallet\" directive",
                                    &award->name, &program->name);
        return NGX_ERROR;
    }

    ngx_memcpy(award->hash, wallet->hash, NGX_HTTP_LOYALTY_HASH);

    return NGX_OK;
}


static ngx_http_loyalty_rule_t *
ngx_http_loyalty_award_game(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_award_t *award)
{
    ngx_uint_t                 i;
    ngx_http_loyalty_rule_t  **rule;

    rule = program->rules.elts;

    for (i = 0; i < program->rules.nelts; i++) {

        if (rule[i]->game->award == award->kind
            && rule[i]->name.len == award->name.len
            && ngx_memcmp(rule[i]->name.data, award->name.data,
                          award->name.len)
               == 0)
        {
            return rule[i];
        }
    }

    return NULL;
}


/* each once, and no more than one call carries */

static ngx_int_t
ngx_http_loyalty_award_target(ngx_conf_t *cf, ngx_array_t *targets,
    ngx_http_loyalty_award_t *award)
{
    ngx_uint_t                 i;
    ngx_http_loyalty_rule_t  **target;

    target = targets->elts;

    for (i = 0; i < targets->nelts; i++) {
        if (target[i] == award->target) {
            return NGX_OK;
        }
    }

    if (targets->nelts == NGX_HTTP_LOYALTY_TARGETS) {
        ngx_http_loyalty_conf_error(cf, &award->place,
                                    "too many games are awarded: at most %d "
                                    "of those with a draw or a pool of codes "
                                    "are expected",
                                    NGX_HTTP_LOYALTY_TARGETS);
        return NGX_ERROR;
    }

    target = ngx_array_push(targets);
    if (target == NULL) {
        return NGX_ERROR;
    }

    *target = award->target;

    return NGX_OK;
}
