/*
 * A program as one line of JSON: what "nginx -T" shows of it behind the
 * configuration, and what Redis keeps as {PROGRAM}:conf of the nginx that
 * ran last, so that loyalty-check can hold one against the other.
 *
 * nginx prints what is in its list of files: the line goes there as a
 * comment, and the output stays a configuration.
 */

#include "ngx_http_loyalty_http.h"
#include "ngx_http_loyalty_draws.h"


#define NGX_HTTP_LOYALTY_DUMP_FIRST  4096


static ngx_int_t ngx_http_loyalty_dump_json(
    ngx_http_loyalty_program_t *program, loyalty_out_t *out);
static void ngx_http_loyalty_dump_text(loyalty_out_t *out, const char *name,
    ngx_str_t *text);
static void ngx_http_loyalty_dump_number(loyalty_out_t *out,
    const char *name, int64_t n);
static void ngx_http_loyalty_dump_hex(loyalty_out_t *out, const char *name,
    const u_char *p, size_t len);
static void ngx_http_loyalty_dump_wallets(
    ngx_http_loyalty_program_t *program, loyalty_out_t *out);
static void ngx_http_loyalty_dump_rules(ngx_http_loyalty_program_t *program,
    loyalty_out_t *out);
static ngx_int_t ngx_http_loyalty_dump_secrets(
    ngx_http_loyalty_program_t *program, loyalty_out_t *out);
static void ngx_http_loyalty_dump_draws(ngx_http_loyalty_program_t *program,
    loyalty_out_t *out);
static ngx_int_t ngx_http_loyalty_dump_show(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program);


ngx_int_t
ngx_http_loyalty_dump(ngx_conf_t *cf, ngx_http_loyalty_program_t *program)
{
    loyalty_out_t  out;

    ngx_http_loyalty_out_pool(&out, cf->pool, NGX_HTTP_LOYALTY_DUMP_FIRST);

    if (ngx_http_loyalty_dump_json(program, &out) != NGX_OK || out.failed) {
        return NGX_ERROR;
    }

    program->dump.data = out.start;
    program->dump.len = out.pos - out.start;

    return ngx_dump_config ? ngx_http_loyalty_dump_show(cf, program)
                           : NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_dump_json(ngx_http_loyalty_program_t *program,
    loyalty_out_t *out)
{
    loyalty_out_lit(out, "{\"program\":");
    loyalty_out_str(out, program->name.data, program->name.len);
    ngx_http_loyalty_dump_text(out, "timezone", &program->timezone);
    ngx_http_loyalty_dump_text(out, "currency", &program->currency);
    ngx_http_loyalty_dump_number(out, "decimals", program->scale);
    ngx_http_loyalty_dump_number(out, "max_event_age",
                                 program->max_event_age);
    ngx_http_loyalty_dump_number(out, "remember", program->remember);

    ngx_http_loyalty_dump_wallets(program, out);
    ngx_http_loyalty_dump_rules(program, out);
    ngx_http_loyalty_dump_draws(program, out);

    if (ngx_http_loyalty_dump_secrets(program, out) != NGX_OK) {
        return NGX_ERROR;
    }

    loyalty_out_lit(out, "}");

    return NGX_OK;
}


static void
ngx_http_loyalty_dump_text(loyalty_out_t *out, const char *name,
    ngx_str_t *text)
{
    loyalty_out_lit(out, ",\"");
    loyalty_out_raw(out, name, ngx_strlen(name));
    loyalty_out_lit(out, "\":");
    loyalty_out_str(out, text->data, text->len);
}


static void
ngx_http_loyalty_dump_number(loyalty_out_t *out, const char *name, int64_t n)
{
    loyalty_out_lit(out, ",\"");
    loyalty_out_raw(out, name, ngx_strlen(name));
    loyalty_out_lit(out, "\":");
    loyalty_out_int(out, n);
}


static void
ngx_http_loyalty_dump_hex(loyalty_out_t *out, const char *name,
    const u_char *p, size_t len)
{
    size_t  n;
    u_char  buf[64], *last;

    loyalty_out_lit(out, ",\"");
    loyalty_out_raw(out, name, ngx_strlen(name));
    loyalty_out_lit(out, "\":\"");

    while (len) {
        n = ngx_min(len, sizeof(buf) / 2);
        last = ngx_hex_dump(buf, (u_char *) p, n);
        loyalty_out_raw(out, buf, last - buf);
        p += n;
        len -= n;
    }

    loyalty_out_lit(out, "\"");
}


static void
ngx_http_loyalty_dump_wallets(ngx_http_loyalty_program_t *program,
    loyalty_out_t *out)
{
    ngx_uint_t                  i;
    ngx_http_loyalty_tier_t    *tier;
    ngx_http_loyalty_wallet_t  *wallet;

    loyalty_out_lit(out, ",\"wallets\":[");

    wallet = program->wallets.elts;

    for (i = 0; i < program->wallets.nelts; i++) {
        loyalty_out_raw(out, i ? ",{\"name\":" : "{\"name\":",
                        sizeof("{\"name\":") - 1 + (i != 0));
        loyalty_out_str(out, wallet[i].name.data, wallet[i].name.len);
        ngx_http_loyalty_dump_number(out, "negative", wallet[i].negative);
        loyalty_out_lit(out, "}");
    }

    loyalty_out_lit(out, "],\"tiers\":[");

    tier = program->tiers.elts;

    for (i = 0; i < program->tiers.nelts; i++) {
        loyalty_out_raw(out, i ? ",{\"name\":" : "{\"name\":",
                        sizeof("{\"name\":") - 1 + (i != 0));
        loyalty_out_str(out, tier[i].name.data, tier[i].name.len);
        ngx_http_loyalty_dump_number(out, "threshold", tier[i].threshold);
        ngx_http_loyalty_dump_number(out, "multiplier", tier[i].multiplier);
        loyalty_out_lit(out, "}");
    }

    loyalty_out_lit(out, "]");
}


static void
ngx_http_loyalty_dump_rules(ngx_http_loyalty_program_t *program,
    loyalty_out_t *out)
{
    ngx_uint_t                 i;
    ngx_http_loyalty_rule_t  **rule;

    loyalty_out_lit(out, ",\"rules\":[");

    rule = program->rules.elts;

    for (i = 0; i < program->rules.nelts; i++) {

        if (i) {
            loyalty_out_lit(out, ",");
        }

        loyalty_out_lit(out, "{\"game\":");
        loyalty_out_str(out, rule[i]->game->name.data,
                        rule[i]->game->name.len);
        ngx_http_loyalty_dump_text(out, "name", &rule[i]->name);
        ngx_http_loyalty_dump_text(out, "reason", &rule[i]->reason);
        ngx_http_loyalty_dump_text(out, "canonical", &rule[i]->canonical);
        ngx_http_loyalty_dump_hex(out, "blob", rule[i]->blob.data,
                                  rule[i]->blob.len);
        ngx_http_loyalty_dump_text(out, "codes", &rule[i]->codes);
        ngx_http_loyalty_dump_text(out, "stock", &rule[i]->stock);
        loyalty_out_lit(out, "}");
    }

    loyalty_out_lit(out, "]");
}


static void
ngx_http_loyalty_dump_draws(ngx_http_loyalty_program_t *program,
    loyalty_out_t *out)
{
    ngx_uint_t                    i;
    ngx_http_loyalty_campaign_t  *campaign;

    loyalty_out_lit(out, ",\"draws\":[");

    for (i = 0; ; i++) {
        campaign = ngx_http_loyalty_campaign(program, i);

        if (campaign == NULL) {
            break;
        }

        if (i) {
            loyalty_out_lit(out, ",");
        }

        loyalty_out_lit(out, "{\"game\":");
        loyalty_out_str(out, campaign->rule->game->name.data,
                        campaign->rule->game->name.len);
        ngx_http_loyalty_dump_text(out, "name", &campaign->rule->name);
        ngx_http_loyalty_dump_hex(out, "cid", campaign->cid, LOYALTY_CID);
        ngx_http_loyalty_dump_number(out, "open", campaign->open);
        ngx_http_loyalty_dump_number(out, "close", campaign->close);
        ngx_http_loyalty_dump_number(out, "version", campaign->version);
        ngx_http_loyalty_dump_number(out, "mode", campaign->mode);
        ngx_http_loyalty_dump_number(out, "epoch", campaign->length);
        ngx_http_loyalty_dump_number(out, "beacon",
                                     ngx_http_loyalty_beacon_given(program));
        ngx_http_loyalty_dump_hex(out, "terms", campaign->terms_hash,
                                  LOYALTY_HASH);
        ngx_http_loyalty_dump_hex(out, "prizes", campaign->table_hash,
                                  LOYALTY_HASH);
        ngx_http_loyalty_dump_hex(out, "rules", campaign->rules_hash,
                                  LOYALTY_HASH);
        ngx_http_loyalty_dump_hex(out, "table", campaign->table.data,
                                  campaign->table.len);
        loyalty_out_lit(out, "}");
    }

    loyalty_out_lit(out, "]");
}


/* not the secrets: the keys by which anyone verifies what they sign */

static ngx_int_t
ngx_http_loyalty_dump_secrets(ngx_http_loyalty_program_t *program,
    loyalty_out_t *out)
{
    u_char      vkey[LOYALTY_VKEY_MAX];
    size_t      len;
    ngx_int_t   rc;
    ngx_str_t   id;
    ngx_uint_t  i;

    loyalty_out_lit(out, ",\"secrets\":[");

    for (i = 0; ; i++) {
        rc = ngx_http_loyalty_secret_vkey(program, i, &id, vkey, &len);

        if (rc != NGX_OK) {
            break;
        }

        loyalty_out_raw(out, i ? ",{\"id\":" : "{\"id\":",
                        sizeof("{\"id\":") - 1 + (i != 0));
        loyalty_out_str(out, id.data, id.len);
        loyalty_out_lit(out, ",\"vkey\":");
        loyalty_out_str(out, vkey, len);
        loyalty_out_lit(out, "}");
    }

    loyalty_out_lit(out, "]");

    return (rc == NGX_DECLINED) ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_loyalty_dump_show(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program)
{
    u_char           *p;
    ngx_buf_t        *b;
    ngx_conf_dump_t  *dump;

    dump = ngx_array_push(&cf->cycle->config_dump);
    b = ngx_create_temp_buf(cf->pool, program->dump.len + 4);
    p = ngx_pnalloc(cf->pool, sizeof("loyalty_program ")
                              + program->name.len);

    if (dump == NULL || b == NULL || p == NULL) {
        return NGX_ERROR;
    }

    dump->name.data = p;
    p = ngx_sprintf(p, "loyalty_program %V", &program->name);
    dump->name.len = p - dump->name.data;
    *p = '\0';

    b->last = ngx_sprintf(b->last, "# %V\n", &program->dump);
    dump->buffer = b;

    return NGX_OK;
}
