/*
 * GET me: a member's account as JSON.  The head of the member's value is
 * walked once; each game shows its own rules through its view, and a rule
 * that the member never touched is shown all the same.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "loyalty_head.h"
#include "ngx_http_loyalty_member.h"


static void ngx_http_loyalty_account_wallets(
    ngx_http_loyalty_program_t *program, loyalty_head_t *head,
    loyalty_out_t *out);
static void ngx_http_loyalty_account_tier(ngx_http_loyalty_program_t *program,
    loyalty_head_t *head, loyalty_out_t *out);
static void ngx_http_loyalty_account_multiplier(int64_t multiplier,
    loyalty_out_t *out);
static ngx_int_t ngx_http_loyalty_account_lists(
    ngx_http_loyalty_program_t *program, loyalty_head_t *head,
    loyalty_mpr_t *states, int64_t now, loyalty_out_t *out);
static ngx_int_t ngx_http_loyalty_account_list(
    ngx_http_loyalty_program_t *program, ngx_str_t *list,
    loyalty_head_t *head, loyalty_mpr_t *states, int64_t now,
    loyalty_out_t *out);


ngx_int_t
ngx_http_loyalty_account_json(ngx_http_loyalty_program_t *program,
    ngx_pool_t *pool, ngx_str_t *member, ngx_str_t *value, int64_t now,
    loyalty_out_t *out)
{
    loyalty_mpr_t   *states;
    loyalty_head_t   head;

    ngx_memzero(&head, sizeof(loyalty_head_t));

    if (value->data != NULL
        && loyalty_head_parse(&head, value->data, value->len) != 0)
    {
        return NGX_ERROR;
    }

    if (ngx_http_loyalty_account_states(pool, &head, &states) != NGX_OK) {
        out->failed = 1;
        return NGX_ERROR;
    }

    loyalty_out_lit(out, "{\"member\":");
    loyalty_out_str(out, member->data, member->len);

    ngx_http_loyalty_account_wallets(program, &head, out);
    ngx_http_loyalty_account_tier(program, &head, out);

    if (ngx_http_loyalty_account_lists(program, &head, states, now, out)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, "}");

    return out->failed ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_http_loyalty_account_states(ngx_pool_t *pool, loyalty_head_t *head,
    loyalty_mpr_t **states)
{
    *states = NULL;

    if (head->nslots == 0) {
        return NGX_OK;
    }

    *states = ngx_palloc(pool, head->nslots * sizeof(loyalty_mpr_t));
    if (*states == NULL) {
        return NGX_ERROR;
    }

    loyalty_head_states(head, *states);

    return NGX_OK;
}


static void
ngx_http_loyalty_account_wallets(ngx_http_loyalty_program_t *program,
    loyalty_head_t *head, loyalty_out_t *out)
{
    ngx_uint_t                  i;
    loyalty_account_t           account;
    ngx_http_loyalty_wallet_t  *wallet;

    loyalty_out_lit(out, ",\"wallets\":{");

    wallet = program->wallets.elts;

    for (i = 0; i < program->wallets.nelts; i++) {
        (void) loyalty_head_wallet(head, wallet[i].hash, &account);

        if (i > 0) {
            loyalty_out_lit(out, ",");
        }

        loyalty_out_str(out, wallet[i].name.data, wallet[i].name.len);
        loyalty_out_lit(out, ":{\"balance\":");
        loyalty_out_int(out, account.balance);
        loyalty_out_lit(out, ",\"lifetime\":");
        loyalty_out_int(out, account.lifetime);

        if (account.owed != 0) {
            loyalty_out_lit(out, ",\"owed\":");
            loyalty_out_int(out, account.owed);
        }

        loyalty_out_lit(out, "}");
    }

    loyalty_out_lit(out, "}");
}


/* how many of the tiers, from the lowest, the lifetime of the first wallet
   reaches */

ngx_uint_t
ngx_http_loyalty_account_tiers(ngx_http_loyalty_program_t *program,
    loyalty_head_t *head, int64_t *lifetime)
{
    ngx_uint_t                  i;
    loyalty_account_t           account;
    ngx_http_loyalty_tier_t    *tier;
    ngx_http_loyalty_wallet_t  *wallet;

    tier = program->tiers.elts;
    wallet = program->wallets.elts;

    (void) loyalty_head_wallet(head, wallet[0].hash, &account);

    *lifetime = account.lifetime;

    for (i = 0; i < program->tiers.nelts; i++) {
        if (tier[i].threshold > account.lifetime) {
            break;
        }
    }

    return i;
}


/* below zero there is none, name is null and points are not multiplied */

static void
ngx_http_loyalty_account_tier(ngx_http_loyalty_program_t *program,
    loyalty_head_t *head, loyalty_out_t *out)
{
    int64_t                   lifetime;
    ngx_uint_t                i, n;
    ngx_http_loyalty_tier_t  *tier;

    n = program->tiers.nelts;

    if (n == 0 || program->wallets.nelts == 0) {
        return;
    }

    tier = program->tiers.elts;
    i = ngx_http_loyalty_account_tiers(program, head, &lifetime);

    loyalty_out_lit(out, ",\"tier\":{\"name\":");

    if (i > 0) {
        loyalty_out_str(out, tier[i - 1].name.data, tier[i - 1].name.len);

    } else {
        loyalty_out_lit(out, "null");
    }

    loyalty_out_lit(out, ",\"multiplier\":");
    ngx_http_loyalty_account_multiplier(i > 0 ? tier[i - 1].multiplier
                                              : NGX_HTTP_LOYALTY_ONE, out);

    if (i == n) {
        loyalty_out_lit(out, ",\"next\":null}");
        return;
    }

    loyalty_out_lit(out, ",\"next\":{\"name\":");
    loyalty_out_str(out, tier[i].name.data, tier[i].name.len);
    loyalty_out_lit(out, ",\"at\":");
    loyalty_out_int(out, tier[i].threshold);
    loyalty_out_lit(out, ",\"missing\":");
    loyalty_out_int(out, tier[i].threshold - lifetime);
    loyalty_out_lit(out, "}}");
}


/* a string of a decimal without zeros at its end: "1.25", "2" */

static void
ngx_http_loyalty_account_multiplier(int64_t multiplier, loyalty_out_t *out)
{
    size_t  len;
    u_char  buf[LOYALTY_MONEY_LEN];

    len = loyalty_money_format(buf, multiplier, 4);

    while (buf[len - 1] == '0') {
        len--;
    }

    if (buf[len - 1] == '.') {
        len--;
    }

    loyalty_out_str(out, buf, len);
}


static ngx_int_t
ngx_http_loyalty_account_lists(ngx_http_loyalty_program_t *program,
    loyalty_head_t *head, loyalty_mpr_t *states, int64_t now,
    loyalty_out_t *out)
{
    ngx_str_t                 *list;
    ngx_uint_t                 i, k;
    ngx_http_loyalty_game_t  **games;

    games = ngx_http_loyalty_games;

    for (i = 0; games[i] != NULL; i++) {

        if (games[i]->view == NULL) {
            continue;
        }

        /* games may share a list: the first one has written it */

        list = &games[i]->list;

        for (k = 0; k < i; k++) {
            if (games[k]->view != NULL
                && games[k]->list.len == list->len
                && ngx_memcmp(games[k]->list.data, list->data, list->len) == 0)
            {
                break;
            }
        }

        if (k < i) {
            continue;
        }

        loyalty_out_lit(out, ",");
        loyalty_out_str(out, list->data, list->len);
        loyalty_out_lit(out, ":[");

        if (ngx_http_loyalty_account_list(program, list, head, states, now,
                                          out)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        loyalty_out_lit(out, "]");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_account_list(ngx_http_loyalty_program_t *program,
    ngx_str_t *list, loyalty_head_t *head, loyalty_mpr_t *states, int64_t now,
    loyalty_out_t *out)
{
    ngx_uint_t                 i, n;
    loyalty_mpr_t             *state;
    ngx_http_loyalty_rule_t  **rule;

    n = 0;
    rule = program->rules.elts;

    for (i = 0; i < program->rules.nelts; i++) {

        if (rule[i]->game->view == NULL
            || rule[i]->game->list.len != list->len
            || ngx_memcmp(rule[i]->game->list.data, list->data, list->len)
               != 0)
        {
            continue;
        }

        state = ngx_http_loyalty_account_state(head, states, rule[i]->hash);

        if (rule[i]->game->view(program, rule[i], head, state, now, out, &n)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


loyalty_mpr_t *
ngx_http_loyalty_account_state(loyalty_head_t *head, loyalty_mpr_t *states,
    u_char *hash)
{
    uint32_t  i;

    for (i = 0; i < head->nslots; i++) {

        if (ngx_memcmp(&head->slots[i * NGX_HTTP_LOYALTY_HASH], hash,
                       NGX_HTTP_LOYALTY_HASH)
            == 0)
        {
            return (states[i].pos < states[i].end) ? &states[i] : NULL;
        }
    }

    return NULL;
}
