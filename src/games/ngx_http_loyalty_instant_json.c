/*
 * What came of a play, in JSON: the reply to it, and the effects that a
 * member's history tells.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_instant.h"


/* a play as the member's record has it */

typedef struct {
    int64_t                       seq;
    int64_t                       tier;           /* -1: none */
    int64_t                       status;
    int64_t                       version;
    ngx_str_t                     code;           /* data NULL: none */
    int64_t                       left;           /* -1: no end */
    loyalty_mpr_t                 given;          /* entries behind it: what
                                                     the prize brought */
} ngx_http_loyalty_played_t;


static ngx_int_t ngx_http_loyalty_played_find(
    ngx_http_loyalty_record_t *record, ngx_http_loyalty_played_t *played);
static ngx_int_t ngx_http_loyalty_played_read(loyalty_mpr_t *r,
    ngx_http_loyalty_played_t *played);
static ngx_int_t ngx_http_loyalty_played_json(
    ngx_http_loyalty_instant_conf_t *icf, ngx_http_loyalty_played_t *played,
    ngx_uint_t awards, loyalty_out_t *out);
static loyalty_prize_t *ngx_http_loyalty_played_prize(
    ngx_http_loyalty_campaign_t *campaign,
    ngx_http_loyalty_played_t *played, ngx_str_t *blob);

static ngx_int_t ngx_http_loyalty_played_awards(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_played_t *played,
    ngx_str_t *blob, loyalty_out_t *out);
static ngx_int_t ngx_http_loyalty_played_award(
    ngx_http_loyalty_program_t *program, loyalty_mpr_t *r,
    ngx_http_loyalty_award_t *award);
static ngx_uint_t ngx_http_loyalty_played_given(loyalty_mpr_t *r,
    ngx_uint_t kind);
static ngx_int_t ngx_http_loyalty_played_receipt(
    ngx_http_loyalty_campaign_t *campaign, ngx_uint_t win, ngx_str_t *bytes,
    loyalty_out_t *out);


ngx_int_t
ngx_http_loyalty_instant_json(ngx_http_loyalty_instant_conf_t *icf,
    ngx_http_loyalty_record_t *record, loyalty_playrec_t *rec,
    ngx_str_t *bytes, loyalty_out_t *out)
{
    u_char                        hex[2 * LOYALTY_PLAY_ID];
    ngx_uint_t                    win;
    ngx_http_loyalty_played_t     played;
    ngx_http_loyalty_campaign_t  *campaign;

    campaign = &icf->campaign;

    if (ngx_http_loyalty_played_find(record, &played) != NGX_OK
        || (int64_t) rec->seq != played.seq)
    {
        return NGX_ERROR;
    }

    win = ((rec->status & ~LOYALTY_DEGRADED) == LOYALTY_WIN);

    loyalty_hex(hex, rec->play_id, LOYALTY_PLAY_ID);

    loyalty_out_lit(out, "{\"play\":");
    loyalty_out_str(out, hex, sizeof(hex));
    loyalty_out_lit(out, ",\"game\":");
    loyalty_out_str(out, campaign->rule->name.data, campaign->rule->name.len);

    if (ngx_http_loyalty_played_json(icf, &played, 1, out) != NGX_OK) {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, ",");

    if (ngx_http_loyalty_effects_json(campaign->program, record, out)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, ",");

    if (ngx_http_loyalty_balances_json(campaign->program, record, out)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, ",\"receipt\":");

    if (ngx_http_loyalty_played_receipt(campaign, win, bytes, out) != NGX_OK)
    {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, "}");

    return out->failed ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_played_find(ngx_http_loyalty_record_t *record,
    ngx_http_loyalty_played_t *played)
{
    int64_t                    slot;
    loyalty_mpr_t              r;
    ngx_http_loyalty_entry_t   entry;

    r = record->entries;

    do {
        if (ngx_http_loyalty_entry_next(&r, &entry) != NGX_OK) {
            return NGX_ERROR;
        }

    } while (entry.kind != NGX_HTTP_LOYALTY_ENTRY_PLAY);

    if (loyalty_mpr_int(&entry.values, &slot) != 0) {
        return NGX_ERROR;
    }

    played->given = r;

    return ngx_http_loyalty_played_read(&entry.values, played);
}


/* the values behind the slot */

static ngx_int_t
ngx_http_loyalty_played_read(loyalty_mpr_t *r,
    ngx_http_loyalty_played_t *played)
{
    loyalty_mpv_t  code;

    if (loyalty_mpr_int(r, &played->seq) != 0
        || loyalty_mpr_int(r, &played->tier) != 0
        || loyalty_mpr_int(r, &played->status) != 0
        || loyalty_mpr_int(r, &played->version) != 0
        || loyalty_mpr_next(r, &code) != 0
        || loyalty_mpr_int(r, &played->left) != 0)
    {
        return NGX_ERROR;
    }

    ngx_str_null(&played->code);

    if (code.type == LOYALTY_MP_STR) {
        played->code.data = (u_char *) code.p;
        played->code.len = code.n;
    }

    return NGX_OK;
}


/* outcome, prize, award, code, plays_left */

static ngx_int_t
ngx_http_loyalty_played_json(ngx_http_loyalty_instant_conf_t *icf,
    ngx_http_loyalty_played_t *played, ngx_uint_t awards, loyalty_out_t *out)
{
    ngx_int_t         rc;
    ngx_str_t         blob;
    loyalty_prize_t  *prize;

    rc = NGX_OK;

    if ((played->status & ~LOYALTY_DEGRADED) != LOYALTY_WIN) {
        loyalty_out_lit(out, ",\"outcome\":\"lose\"");

    } else {
        loyalty_out_lit(out, ",\"outcome\":\"win\"");

        prize = (icf == NULL) ? NULL
                : ngx_http_loyalty_played_prize(&icf->campaign, played,
                                                &blob);

        /* a version that this configuration does not have any more and
           Redis was not asked about yet: the row is what is known */

        if (prize == NULL) {
            loyalty_out_lit(out, ",\"row\":");
            loyalty_out_int(out, played->tier);

        } else {
            loyalty_out_lit(out, ",\"prize\":");
            loyalty_out_str(out, prize->name, prize->len);

            rc = awards
                 ? ngx_http_loyalty_played_awards(icf->campaign.program,
                                                  played, &blob, out)
                 : NGX_OK;
        }

        if (played->code.data != NULL) {
            loyalty_out_lit(out, ",\"code\":");
            loyalty_out_str(out, played->code.data, played->code.len);
        }
    }

    loyalty_out_lit(out, ",\"plays_left\":");

    if (played->left < 0) {
        loyalty_out_lit(out, "null");

    } else {
        loyalty_out_int(out, played->left);
    }

    return rc;
}


/* the row of the version that the play was drawn by, and its blob */

static loyalty_prize_t *
ngx_http_loyalty_played_prize(ngx_http_loyalty_campaign_t *campaign,
    ngx_http_loyalty_played_t *played, ngx_str_t *blob)
{
    ngx_http_loyalty_version_t  *version;

    version = NULL;

    if (campaign->run != NULL && played->version > 0
        && played->version <= UINT32_MAX)
    {
        version = ngx_http_loyalty_campaign_version_n(campaign,
                                                  (uint32_t) played->version);
    }

    /* before Redis was asked about it */

    if (version == NULL) {

        *blob = campaign->rule->blob;

        return (played->version == campaign->version && played->tier >= 0
                && (uint64_t) played->tier < campaign->nrows)
               ? &campaign->rows[played->tier] : NULL;
    }

    if (played->tier < 0 || (uint64_t) played->tier >= version->nrows) {
        return NULL;
    }

    *blob = version->blob;

    return &version->rows[played->tier];
}


/* what the prize awards, by the blob of its version, as far as it was given */

static ngx_int_t
ngx_http_loyalty_played_awards(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_played_t *played, ngx_str_t *blob, loyalty_out_t *out)
{
    uint32_t                   i;
    ngx_uint_t                 n;
    loyalty_mpr_t              r;
    loyalty_mpv_t              v;
    ngx_http_loyalty_award_t   award;

    loyalty_mpr_init(&r, blob->data, blob->len);

    if (loyalty_mpr_next(&r, &v) != 0
        || ngx_http_loyalty_games_skip(&r, 10) != NGX_OK
        || loyalty_mpr_next(&r, &v) != 0
        || ngx_http_loyalty_games_skip(&r, 5 * played->tier + 4) != NGX_OK
        || loyalty_mpr_next(&r, &v) != 0
        || v.type != LOYALTY_MP_ARRAY)
    {
        return NGX_ERROR;
    }

    n = 0;

    for (i = 0; i + 3 <= v.n; i += 3) {

        if (ngx_http_loyalty_played_award(program, &r, &award) != NGX_OK) {
            return NGX_ERROR;
        }

        if (!ngx_http_loyalty_played_given(&played->given, award.kind)) {
            continue;
        }

        if (n++ > 0) {
            loyalty_out_lit(out, ",");

        } else {
            loyalty_out_lit(out, ",\"award\":[");
        }

        ngx_http_loyalty_games_award_json(&award, out);
    }

    if (n > 0) {
        loyalty_out_lit(out, "]");
    }

    return NGX_OK;
}


/*
 * The entries behind a play are in the order of its awards.  Tickets may have
 * been refused, of a reward nothing may have been left; a badge that the
 * member has leaves no entry.
 */

static ngx_uint_t
ngx_http_loyalty_played_given(loyalty_mpr_t *r, ngx_uint_t kind)
{
    int64_t                    slot, none;
    ngx_uint_t                 of;
    loyalty_mpr_t              next;
    loyalty_mpv_t              code;
    ngx_http_loyalty_entry_t   entry;

    static const ngx_uint_t  awarded[] = {
        0, NGX_HTTP_LOYALTY_ENTRY_POINTS, NGX_HTTP_LOYALTY_ENTRY_TICKETS,
        NGX_HTTP_LOYALTY_ENTRY_PLAYS, NGX_HTTP_LOYALTY_ENTRY_BADGE,
        NGX_HTTP_LOYALTY_ENTRY_REWARD
    };

    if (kind == NGX_HTTP_LOYALTY_AWARD_BADGE) {
        return 1;
    }

    next = *r;

    do {
        if (ngx_http_loyalty_entry_next(&next, &entry) != NGX_OK) {
            return 0;
        }

        of = (entry.kind == NGX_HTTP_LOYALTY_ENTRY_REFUSED)
             ? NGX_HTTP_LOYALTY_ENTRY_TICKETS : entry.kind;

    } while (of != NGX_HTTP_LOYALTY_ENTRY_POINTS
             && of != NGX_HTTP_LOYALTY_ENTRY_TICKETS
             && of != NGX_HTTP_LOYALTY_ENTRY_PLAYS
             && of != NGX_HTTP_LOYALTY_ENTRY_REWARD);

    if (of != awarded[kind]) {
        return 0;
    }

    *r = next;

    if (of == NGX_HTTP_LOYALTY_ENTRY_REWARD) {

        if (loyalty_mpr_int(&entry.values, &slot) != 0) {
            return 0;
        }

        next = entry.values;

        if (loyalty_mpr_int(&next, &none) == 0) {
            return 0;
        }

        return loyalty_mpr_next(&entry.values, &code) == 0;
    }

    return entry.kind != NGX_HTTP_LOYALTY_ENTRY_REFUSED;
}


static ngx_int_t
ngx_http_loyalty_played_award(ngx_http_loyalty_program_t *program,
    loyalty_mpr_t *r, ngx_http_loyalty_award_t *award)
{
    int64_t                     kind;
    uint32_t                    len;
    ngx_uint_t                  i;
    const unsigned char        *hash;
    ngx_http_loyalty_rule_t    *rule;
    ngx_http_loyalty_wallet_t  *wallet;

    if (loyalty_mpr_int(r, &kind) != 0
        || kind < NGX_HTTP_LOYALTY_AWARD_WALLET
        || kind > NGX_HTTP_LOYALTY_AWARD_REWARD
        || loyalty_mpr_str(r, &hash, &len) != 0
        || len != NGX_HTTP_LOYALTY_HASH
        || loyalty_mpr_int(r, &award->amount) != 0)
    {
        return NGX_ERROR;
    }

    award->kind = (ngx_uint_t) kind;
    ngx_str_set(&award->name, "~");

    if (kind != NGX_HTTP_LOYALTY_AWARD_WALLET) {
        rule = ngx_http_loyalty_rule_by_hash(program, hash);

        if (rule != NULL) {
            award->name = rule->name;
        }

        return NGX_OK;
    }

    wallet = program->wallets.elts;

    for (i = 0; i < program->wallets.nelts; i++) {
        if (ngx_memcmp(wallet[i].hash, hash, NGX_HTTP_LOYALTY_HASH) == 0) {
            award->name = wallet[i].name;
        }
    }

    return NGX_OK;
}


/* docs/proof.md; what is lost needs no signature: nobody would deny it */

static ngx_int_t
ngx_http_loyalty_played_receipt(ngx_http_loyalty_campaign_t *campaign,
    ngx_uint_t win, ngx_str_t *bytes, loyalty_out_t *out)
{
    size_t  len;
    u_char  signature[LOYALTY_SIGNATURE];
    u_char  text[2 * LOYALTY_PLAYREC_LEN];

    loyalty_out_lit(out, "{\"campaign\":");
    loyalty_out_str(out, campaign->hex, sizeof(campaign->hex));
    loyalty_out_lit(out, ",\"record\":");

    len = loyalty_hex(text, bytes->data, bytes->len);
    loyalty_out_str(out, text, len);

    if (win) {

        if (ngx_http_loyalty_campaign_receipt(campaign, bytes->data,
                                              bytes->len, signature)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        len = loyalty_base64(text, signature, LOYALTY_SIGNATURE);

        loyalty_out_lit(out, ",\"signature\":");
        loyalty_out_str(out, text, len);
    }

    loyalty_out_lit(out, "}");

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_instant_effect(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, ngx_str_t *name, ngx_uint_t kind,
    loyalty_mpr_t *r, loyalty_out_t *out)
{
    int64_t                    count;
    ngx_http_loyalty_played_t  played;

    if (kind == NGX_HTTP_LOYALTY_ENTRY_PLAYS) {

        if (loyalty_mpr_int(r, &count) != 0) {
            return NGX_ERROR;
        }

        loyalty_out_lit(out, "{\"type\":\"plays\",\"game\":");
        loyalty_out_str(out, name->data, name->len);
        loyalty_out_lit(out, ",\"count\":");
        loyalty_out_int(out, count);
        loyalty_out_lit(out, "}");

        return NGX_OK;
    }

    if (ngx_http_loyalty_played_read(r, &played) != NGX_OK) {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, "{\"type\":\"play\",\"game\":");
    loyalty_out_str(out, name->data, name->len);

    /* what was awarded are effects of their own */

    if (ngx_http_loyalty_played_json(rule ? rule->conf : NULL, &played, 0,
                                     out)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, "}");

    return NGX_OK;
}
