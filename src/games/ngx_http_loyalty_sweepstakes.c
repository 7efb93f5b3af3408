/*
 * sweepstakes: tickets until it closes, then a draw among them.
 *
 *     sweepstakes spring {
 *         open          2026-11-01T00:00:00+01:00;
 *         close         2026-12-24T00:00:00+01:00;
 *         cost          points 50;
 *         limit         100 per campaign;
 *         free_entry    on;
 *         prize trip    { stock 3; }
 *         alternates    5;
 *         claim_within  7d;
 *     }
 *
 * Here are its directives, what an event or a reversal brings along for it,
 * and its part of GET me.  What most of the block says is the campaign's.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_sweepstakes.h"


static char *ngx_http_loyalty_sweepstakes(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_loyalty_sweepstakes_alternates(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_loyalty_sweepstakes_claim_within(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_loyalty_sweepstakes_flag(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static ngx_int_t ngx_http_loyalty_sweepstakes_init(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule);
static ngx_int_t ngx_http_loyalty_sweepstakes_check(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign);
static ngx_int_t ngx_http_loyalty_sweepstakes_blob(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign);
static ngx_int_t ngx_http_loyalty_sweepstakes_effect(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule,
    ngx_str_t *name, ngx_uint_t kind, loyalty_mpr_t *r, loyalty_out_t *out);
static ngx_int_t ngx_http_loyalty_sweepstakes_refused(ngx_str_t *name,
    loyalty_mpr_t *r, loyalty_out_t *out);
static ngx_int_t ngx_http_loyalty_sweepstakes_view(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule,
    loyalty_head_t *head, loyalty_mpr_t *state, int64_t now,
    loyalty_out_t *out, ngx_uint_t *n);


static ngx_command_t  ngx_http_loyalty_sweepstakes_commands[] = {

    { ngx_string("sweepstakes"),
      NGX_LOYALTY_PROGRAM_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_loyalty_sweepstakes,
      0,
      0,
      NULL },

    { ngx_string("alternates"),
      NGX_LOYALTY_SWEEPSTAKES_CONF|NGX_CONF_TAKE12,
      ngx_http_loyalty_campaign_line,
      0,
      0,
      (void *) ngx_http_loyalty_sweepstakes_alternates },

    { ngx_string("claim_within"),
      NGX_LOYALTY_SWEEPSTAKES_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_campaign_line,
      0,
      0,
      (void *) ngx_http_loyalty_sweepstakes_claim_within },

    { ngx_string("free_entry"),
      NGX_LOYALTY_SWEEPSTAKES_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_campaign_line,
      0,
      offsetof(ngx_http_loyalty_sweepstakes_conf_t, free_entry),
      (void *) ngx_http_loyalty_sweepstakes_flag },

    { ngx_string("seed"),
      NGX_LOYALTY_SWEEPSTAKES_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_campaign_line,
      0,
      offsetof(ngx_http_loyalty_sweepstakes_conf_t, seed),
      (void *) ngx_http_loyalty_sweepstakes_flag },

      ngx_null_command
};


ngx_module_t  ngx_http_loyalty_sweepstakes_module = {
    NGX_MODULE_V1,
    NULL,                                  /* module context */
    ngx_http_loyalty_sweepstakes_commands, /* module directives */
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


ngx_http_loyalty_game_t  ngx_http_loyalty_sweepstakes_game = {
    ngx_string("sweepstakes"),
    5,
    ngx_http_loyalty_sweepstakes_init,
    NULL,                                  /* no event touches it */
    ngx_http_loyalty_sweepstakes_effect,
    ngx_http_loyalty_sweepstakes_view,
    ngx_string("sweepstakes"),
    NGX_HTTP_LOYALTY_AWARD_TICKETS,
    ngx_http_loyalty_campaign_identify,
    ngx_http_loyalty_sweepstakes_target,
    NULL,
    ngx_http_loyalty_sweepstakes_missed
};


static char *
ngx_http_loyalty_sweepstakes(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                                 *rv;
    ngx_http_loyalty_rule_t              *rule;
    ngx_http_loyalty_sweepstakes_conf_t  *scf;

    /* phase, tickets and voided tickets of a new campaign */
    static ngx_str_t  state = ngx_string("\0\0\0");

    scf = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_sweepstakes_conf_t));
    if (scf == NULL) {
        return NGX_CONF_ERROR;
    }

    scf->free_entry = NGX_CONF_UNSET;
    scf->seed = NGX_CONF_UNSET;
    scf->campaign.state = state;
    scf->campaign.tick = ngx_http_loyalty_sweepstakes_tick;
    scf->campaign.room = &ngx_http_loyalty_sweepstakes_room;

    rv = ngx_http_loyalty_campaign_block(cf,
                                         &ngx_http_loyalty_sweepstakes_game,
                                         NGX_LOYALTY_SWEEPSTAKES_CONF,
                                         LOYALTY_SWEEPSTAKES, &scf->campaign,
                                         &rule);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    ngx_conf_init_value(scf->free_entry, 0);
    ngx_conf_init_value(scf->seed, 1);

    scf->campaign.alone = !scf->seed;

    return NGX_CONF_OK;
}


static char *
ngx_http_loyalty_sweepstakes_alternates(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    int64_t                               n;
    ngx_str_t                            *value;
    ngx_http_loyalty_block_t             *block;
    ngx_http_loyalty_sweepstakes_conf_t  *scf;

    block = cf->ctx;
    scf = block->rule->conf;
    value = cf->args->elts;

    if (scf->alternates) {
        return "is duplicate";
    }

    scf->alternates = 1;

    if (ngx_http_loyalty_number(cf, "alternates", &value[1], 0,
                                NGX_HTTP_LOYALTY_POSITIONS, &n)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    scf->campaign.alternates = (uint32_t) n;

    if (cf->args->nelts == 2 || ngx_strcmp(value[2].data, "listed") == 0) {
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[2].data, "fresh") == 0) {
        scf->campaign.flags |= LOYALTY_FRESH;
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\", \"alternates\" expects "
                       "\"listed\" or \"fresh\"", &value[2]);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_loyalty_sweepstakes_claim_within(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_str_t                            *value;
    ngx_http_loyalty_block_t             *block;
    ngx_http_loyalty_sweepstakes_conf_t  *scf;

    block = cf->ctx;
    scf = block->rule->conf;
    value = cf->args->elts;

    if (scf->claim_within != 0) {
        return "is duplicate";
    }

    return ngx_http_loyalty_duration(cf, "claim_within", &value[1],
                                     &scf->claim_within)
           == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* nginx's own handler of flags, on this block's configuration */

static char *
ngx_http_loyalty_sweepstakes_flag(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_command_t              flag;
    ngx_http_loyalty_block_t  *block;

    block = cf->ctx;

    flag = *cmd;
    flag.post = NULL;

    return ngx_conf_set_flag_slot(cf, &flag, block->rule->conf);
}


static ngx_int_t
ngx_http_loyalty_sweepstakes_init(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t *rule)
{
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = rule->conf;

    if (ngx_http_loyalty_campaign_init(cf, program, rule) != NGX_OK
        || ngx_http_loyalty_sweepstakes_check(cf, campaign) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_sweepstakes_blob(cf, campaign);
}


static ngx_int_t
ngx_http_loyalty_sweepstakes_check(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign)
{
    ngx_uint_t                 i;
    ngx_http_loyalty_prize_t  *prize;

    prize = campaign->prizes.elts;

    for (i = 0; i < campaign->prizes.nelts; i++) {

        if (prize[i].awards.nelts != 0 || prize[i].codes.len != 0) {
            ngx_http_loyalty_conf_error(cf, &prize[i].place,
                                        "prize \"%V\" of %V has \"award\" or "
                                        "\"codes\", which an instant win "
                                        "alone hands out", &prize[i].name,
                                        &campaign->rule->reason);
            return NGX_ERROR;
        }
    }

    if (campaign->winners == 0
        || campaign->winners > NGX_HTTP_LOYALTY_POSITIONS
                               - campaign->alternates)
    {
        ngx_http_loyalty_conf_error(cf, &campaign->rule->place,
                                    "%V has %uD winners and %uD alternates: "
                                    "1 to %d together are expected",
                                    &campaign->rule->reason,
                                    campaign->winners, campaign->alternates,
                                    NGX_HTTP_LOYALTY_POSITIONS);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_sweepstakes_blob(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign)
{
    u_char                   *p, prefix[64];
    size_t                    size;
    loyalty_mpw_t             w;
    ngx_http_loyalty_rule_t  *rule;

    rule = campaign->rule;

    /* T("entry") and the cid */

    p = ngx_cpymem(prefix, LOYALTY_TAG "entry", sizeof(LOYALTY_TAG "entry"));
    p = ngx_cpymem(p, campaign->cid, LOYALTY_CID);

    for (size = 4096; ; size *= 2) {

        loyalty_mpw_init(&w, ngx_pnalloc(cf->pool, size), size);

        if (w.start == NULL) {
            return NGX_ERROR;
        }

        loyalty_mpw_array(&w, 8);
        loyalty_mpw_int(&w, ngx_http_loyalty_sweepstakes_game.kind);
        loyalty_mpw_str(&w, rule->hash, NGX_HTTP_LOYALTY_HASH);
        loyalty_mpw_int(&w, campaign->open);
        loyalty_mpw_int(&w, campaign->close);
        loyalty_mpw_str(&w, prefix, p - prefix);
        ngx_http_loyalty_campaign_blob(campaign, &w);

        if (!w.failed || size >= NGX_HTTP_LOYALTY_ARG / 4) {
            break;
        }
    }

    if (w.failed) {
        ngx_http_loyalty_conf_error(cf, &rule->place,
                                    "%V has too many \"limit\" and "
                                    "\"eligible\" lines", &rule->reason);
        return NGX_ERROR;
    }

    rule->blob.data = w.start;
    rule->blob.len = w.pos - w.start;

    return NGX_OK;
}


ngx_http_loyalty_campaign_t *
ngx_http_loyalty_sweepstakes_find(ngx_http_loyalty_program_t *program,
    ngx_str_t *name)
{
    return ngx_http_loyalty_campaign_find(program, LOYALTY_SWEEPSTAKES, name);
}


static ngx_int_t
ngx_http_loyalty_sweepstakes_effect(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, ngx_str_t *name, ngx_uint_t kind,
    loyalty_mpr_t *r, loyalty_out_t *out)
{
    int64_t  seq, first, n;

    if (kind == NGX_HTTP_LOYALTY_ENTRY_REFUSED) {
        return ngx_http_loyalty_sweepstakes_refused(name, r, out);
    }

    if (loyalty_mpr_int(r, &seq) != 0
        || loyalty_mpr_int(r, &first) != 0
        || loyalty_mpr_int(r, &n) != 0)
    {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, "{\"type\":\"tickets\",\"sweepstakes\":");
    loyalty_out_str(out, name->data, name->len);
    loyalty_out_lit(out, ",\"first\":");
    loyalty_out_int(out, first);
    loyalty_out_lit(out, ",\"count\":");
    loyalty_out_int(out, kind == NGX_HTTP_LOYALTY_ENTRY_VOIDED ? -n : n);
    loyalty_out_lit(out, "}");

    return NGX_OK;
}


/* tickets that an award did not bring */

static ngx_int_t
ngx_http_loyalty_sweepstakes_refused(ngx_str_t *name, loyalty_mpr_t *r,
    loyalty_out_t *out)
{
    int64_t               n;
    uint32_t              len;
    const unsigned char  *reason;

    if (loyalty_mpr_int(r, &n) != 0
        || loyalty_mpr_str(r, &reason, &len) != 0)
    {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, "{\"type\":\"tickets_refused\",\"sweepstakes\":");
    loyalty_out_str(out, name->data, name->len);
    loyalty_out_lit(out, ",\"count\":");
    loyalty_out_int(out, n);
    loyalty_out_lit(out, ",\"reason\":");
    loyalty_out_str(out, reason, len);
    loyalty_out_lit(out, "}");

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_sweepstakes_view(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, loyalty_head_t *head,
    loyalty_mpr_t *state, int64_t now, loyalty_out_t *out, ngx_uint_t *n)
{
    int64_t                               tickets;
    loyalty_mpr_t                         r;
    ngx_http_loyalty_campaign_t          *campaign;
    ngx_http_loyalty_sweepstakes_conf_t  *scf;

    scf = rule->conf;
    campaign = &scf->campaign;
    tickets = 0;

    if (state != NULL) {
        r = *state;

        if (loyalty_mpr_int(&r, &tickets) != 0) {
            return NGX_ERROR;
        }
    }

    if ((*n)++ > 0) {
        loyalty_out_lit(out, ",");
    }

    loyalty_out_lit(out, "{\"name\":");
    loyalty_out_str(out, rule->name.data, rule->name.len);
    loyalty_out_lit(out, ",\"tickets\":");
    loyalty_out_int(out, tickets);
    loyalty_out_lit(out, ",\"odds\":\"depends on entries\",\"opens\":");
    loyalty_out_time(out, campaign->open);
    loyalty_out_lit(out, ",\"closes\":");
    loyalty_out_time(out, campaign->close);

    if (campaign->cost.kind == NGX_HTTP_LOYALTY_COST_WALLET) {
        loyalty_out_lit(out, ",\"cost\":{\"wallet\":");
        loyalty_out_str(out, campaign->cost.name.data,
                        campaign->cost.name.len);
        loyalty_out_lit(out, ",\"amount\":");
        loyalty_out_int(out, campaign->cost.amount);
        loyalty_out_lit(out, "}");
    }

    if (scf->free_entry) {
        loyalty_out_lit(out, ",\"free_entry\":true}");

    } else {
        loyalty_out_lit(out, ",\"free_entry\":false}");
    }

    return NGX_OK;
}
