/*
 * The terms of a campaign: the directives of its block as nginx read them,
 * one a line, in the form of docs/proof.md.  Their hash is in the manifest,
 * so that a change of one word is seen by everybody.
 */

#include "ngx_http_loyalty_draws_private.h"


static ngx_int_t ngx_http_loyalty_terms_line(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign, ngx_str_t *words, ngx_uint_t n,
    const char *end);
static ngx_uint_t ngx_http_loyalty_terms_plain(ngx_str_t *word);
static u_char *ngx_http_loyalty_terms_word(u_char *p, ngx_str_t *word);
static ngx_uint_t ngx_http_loyalty_terms_utf8(ngx_str_t *text);


char *
ngx_http_loyalty_campaign_line(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                         *rv;
    ngx_uint_t                    opens;
    ngx_http_loyalty_block_t     *block;
    ngx_http_loyalty_campaign_t  *campaign;

    char  *(*handler)(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

    block = cf->ctx;
    campaign = block->rule->conf;
    opens = (cmd->type & NGX_CONF_BLOCK) ? 1 : 0;
    handler = (char *(*)(ngx_conf_t *, ngx_command_t *, void *)) cmd->post;

    if (ngx_http_loyalty_terms_add(cf, campaign, opens) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    rv = handler(cf, cmd, conf);

    if (rv == NGX_CONF_OK && opens
        && ngx_http_loyalty_terms_end(cf, campaign) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return rv;
}


ngx_int_t
ngx_http_loyalty_terms_add(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign, ngx_uint_t block)
{
    return ngx_http_loyalty_terms_line(cf, campaign, cf->args->elts,
                                       cf->args->nelts, block ? " {" : ";");
}


ngx_int_t
ngx_http_loyalty_terms_end(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign)
{
    return ngx_http_loyalty_terms_line(cf, campaign, NULL, 0, "}");
}


static ngx_int_t
ngx_http_loyalty_terms_line(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign, ngx_str_t *words, ngx_uint_t n,
    const char *end)
{
    u_char      *p;
    size_t       size;
    ngx_str_t   *line;
    ngx_uint_t   i;

    line = ngx_array_push(&campaign->lines);
    if (line == NULL) {
        return NGX_ERROR;
    }

    size = sizeof(" {\n");

    for (i = 0; i < n; i++) {
        size += sizeof(" \"\"") + 2 * words[i].len;
    }

    p = ngx_pnalloc(cf->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    line->data = p;

    for (i = 0; i < n; i++) {
        if (i > 0) {
            *p++ = ' ';
        }

        p = ngx_http_loyalty_terms_word(p, &words[i]);
    }

    p = ngx_cpymem(p, end, ngx_strlen(end));
    *p++ = LF;

    line->len = p - line->data;

    if (!ngx_http_loyalty_terms_utf8(line)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "terms are published in UTF-8: this directive is "
                           "not");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_loyalty_terms_plain(ngx_str_t *word)
{
    size_t  i;

    for (i = 0; i < word->len; i++) {

        switch (word->data[i]) {

        case ' ':
        case '\t':
        case CR:
        case LF:
        case '"':
        case '\'':
        case '\\':
        case ';':
        case '{':
        case '}':
        case '#':
            return 0;

        default:
            break;
        }
    }

    return word->len > 0;
}


static u_char *
ngx_http_loyalty_terms_word(u_char *p, ngx_str_t *word)
{
    size_t  i;

    if (ngx_http_loyalty_terms_plain(word)) {
        return ngx_cpymem(p, word->data, word->len);
    }

    *p++ = '"';

    for (i = 0; i < word->len; i++) {
        if (word->data[i] == '"' || word->data[i] == '\\') {
            *p++ = '\\';
        }

        *p++ = word->data[i];
    }

    *p++ = '"';

    return p;
}


static ngx_uint_t
ngx_http_loyalty_terms_utf8(ngx_str_t *text)
{
    u_char  *p, *last;

    p = text->data;
    last = p + text->len;

    while (p < last) {

        if (*p < 0x80) {
            p++;
            continue;
        }

        if (ngx_utf8_decode(&p, last - p) > 0x10ffff) {
            return 0;
        }
    }

    return 1;
}


ngx_int_t
ngx_http_loyalty_terms_init(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign)
{
    u_char      *p;
    size_t       size;
    ngx_str_t   *line, *zone;
    ngx_uint_t   i;

    /* the day of a limit is a day there */

    zone = &campaign->program->timezone;
    line = campaign->lines.elts;
    size = sizeof("timezone ;\n") - 1 + zone->len;

    for (i = 0; i < campaign->lines.nelts; i++) {
        size += line[i].len;
    }

    if (size > NGX_HTTP_LOYALTY_TERMS) {
        ngx_http_loyalty_conf_error(cf, &campaign->rule->place,
                                    "%V has terms of %uz bytes: at most %d "
                                    "are expected", &campaign->rule->reason,
                                    size, NGX_HTTP_LOYALTY_TERMS);
        return NGX_ERROR;
    }

    p = ngx_pnalloc(cf->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    campaign->terms.data = p;
    p = ngx_sprintf(p, "timezone %V;\n", zone);

    for (i = 0; i < campaign->lines.nelts; i++) {
        p = ngx_cpymem(p, line[i].data, line[i].len);
    }

    campaign->terms.len = p - campaign->terms.data;

    if (loyalty_sha(campaign->terms_hash, campaign->terms.data,
                    campaign->terms.len)
        != 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}
