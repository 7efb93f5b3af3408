/*
 * A challenge and an event: what of the event counts, as arguments for
 * challenge.lua, and what the entries of a record mean, as effects.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <openssl/sha.h>

#include "ngx_http_loyalty_challenge.h"


#define NGX_HTTP_LOYALTY_DISTINCT_LEN  8          /* bytes of a value */


static ngx_int_t ngx_http_loyalty_challenge_counts(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_hit_t *hit,
    ngx_http_loyalty_event_t *event, loyalty_mpw_t *w);
static ngx_int_t ngx_http_loyalty_challenge_values(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_hit_t *hit,
    ngx_http_loyalty_event_t *event, loyalty_mpw_t *w);
static void ngx_http_loyalty_challenge_value(loyalty_mpw_t *w,
    ngx_uint_t index, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_challenge_entry(ngx_uint_t kind,
    loyalty_mpr_t *r, int64_t *instance, int64_t *progress, int64_t *goal);


ngx_int_t
ngx_http_loyalty_challenge_args(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_hit_t *hit, ngx_http_loyalty_event_t *event,
    loyalty_mpw_t *w)
{
    ngx_int_t                           rc;
    ngx_uint_t                          role;
    unsigned char                      *role_pos;
    loyalty_mpw_t                       save;
    ngx_http_loyalty_games_conf_t      *gcf;
    ngx_http_loyalty_challenge_conf_t  *ccf;

    ccf = hit->rule->conf;
    gcf = &ccf->common;
    role = hit->role;
    save = *w;

    if (ccf->shape == NGX_HTTP_LOYALTY_SHAPE_EVERY) {
        loyalty_mpw_int(w, ngx_http_loyalty_games_period(program, gcf,
                                                         event->at));
        loyalty_mpw_int(w, ngx_http_loyalty_games_period(program, gcf,
                                      event->now - program->max_event_age));

        /* an event may have come late, and can be reversed from then on */

        loyalty_mpw_int(w, ngx_http_loyalty_games_period(program, gcf,
                                      event->now - program->remember
                                      - program->max_event_age));
    }

    role_pos = w->pos;

    if (ccf->shape == NGX_HTTP_LOYALTY_SHAPE_OPENS) {
        loyalty_mpw_int(w, role);
    }

    rc = NGX_DECLINED;

    if (role & NGX_HTTP_LOYALTY_COUNTS) {
        rc = ngx_http_loyalty_challenge_counts(program, hit, event, w);
    }

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (!(role & NGX_HTTP_LOYALTY_OPENS)) {
        *w = save;
        return NGX_DECLINED;
    }

    /* it opens an instance and counts in none */

    w->pos = role_pos;
    w->failed = save.failed;

    loyalty_mpw_int(w, NGX_HTTP_LOYALTY_OPENS);

    if (ccf->mode != NGX_HTTP_LOYALTY_MODE_EVENTS
        && ccf->mode != NGX_HTTP_LOYALTY_MODE_AMOUNT)
    {
        loyalty_mpw_array(w, 0);
    }

    return NGX_OK;
}


/* what the event counts, NGX_DECLINED: nothing */

static ngx_int_t
ngx_http_loyalty_challenge_counts(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_hit_t *hit, ngx_http_loyalty_event_t *event,
    loyalty_mpw_t *w)
{
    ngx_uint_t                          priced;
    ngx_http_loyalty_hit_t              counted;
    ngx_http_loyalty_challenge_conf_t  *ccf;

    ccf = hit->rule->conf;

    switch (ccf->mode) {

    case NGX_HTTP_LOYALTY_MODE_EVENTS:
        return NGX_OK;

    case NGX_HTTP_LOYALTY_MODE_AMOUNT:
        return (event->amount < 0) ? NGX_DECLINED : NGX_OK;

    case NGX_HTTP_LOYALTY_MODE_DISTINCT:
        return ngx_http_loyalty_challenge_values(program, hit, event, w);

    default:
        priced = (ccf->mode == NGX_HTTP_LOYALTY_MODE_ITEM_AMOUNT);

        if (ngx_http_loyalty_games_items(hit, event, priced, &counted) == 0) {
            return NGX_DECLINED;
        }

        ngx_http_loyalty_hit_items(&counted, event, w);

        return NGX_OK;
    }
}


static ngx_int_t
ngx_http_loyalty_challenge_values(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_hit_t *hit, ngx_http_loyalty_event_t *event,
    loyalty_mpw_t *w)
{
    size_t                              place;
    u_char                              buf[NGX_HTTP_LOYALTY_DIGITS];
    ngx_int_t                           rc;
    ngx_str_t                           value;
    ngx_uint_t                          i, n;
    ngx_http_loyalty_hit_t              counted;
    ngx_http_loyalty_challenge_conf_t  *ccf;

    ccf = hit->rule->conf;

    if (!ccf->field.item) {
        rc = ngx_http_loyalty_field_value(&ccf->field, program, event, NULL,
                                          buf, &value);
        if (rc != NGX_OK) {
            return rc;
        }

        loyalty_mpw_array(w, 2);
        ngx_http_loyalty_challenge_value(w, 0, &value);

        return NGX_OK;
    }

    (void) ngx_http_loyalty_games_items(hit, event, 0, &counted);

    place = loyalty_mpw_array16(w);
    n = 0;

    for (i = 0; i < event->nitems && i < NGX_HTTP_LOYALTY_ITEMS; i++) {

        if (!(counted.items[i / 64] & ((uint64_t) 1 << (i % 64)))) {
            continue;
        }

        rc = ngx_http_loyalty_field_value(&ccf->field, program, event,
                                          &event->items[i], buf, &value);
        if (rc == NGX_DECLINED) {
            continue;
        }

        if (rc != NGX_OK) {
            return rc;
        }

        ngx_http_loyalty_challenge_value(w, i + 1, &value);
        n += 2;
    }

    loyalty_mpw_array16_set(w, place, n);

    return (n == 0) ? NGX_DECLINED : NGX_OK;
}


static void
ngx_http_loyalty_challenge_value(loyalty_mpw_t *w, ngx_uint_t index,
    ngx_str_t *value)
{
    u_char  digest[SHA256_DIGEST_LENGTH];

    SHA256(value->data, value->len, digest);

    loyalty_mpw_int(w, index);
    loyalty_mpw_str(w, digest, NGX_HTTP_LOYALTY_DISTINCT_LEN);
}


ngx_int_t
ngx_http_loyalty_challenge_effect(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_rule_t *rule, ngx_str_t *name, ngx_uint_t kind,
    loyalty_mpr_t *r, loyalty_out_t *out)
{
    int64_t                             instance, progress, goal;
    ngx_int_t                           rc;
    ngx_http_loyalty_challenge_conf_t  *ccf;

    rc = ngx_http_loyalty_challenge_entry(kind, r, &instance, &progress,
                                          &goal);
    if (rc != NGX_OK) {
        return rc;
    }

    ccf = (rule != NULL) ? rule->conf : NULL;

    /* what came after the completion, reversed when that no longer stands */

    if (goal == 0 && ccf != NULL) {
        goal = ccf->goal;
    }

    loyalty_out_lit(out, "{\"type\":\"challenge\",\"name\":");
    loyalty_out_str(out, name->data, name->len);
    loyalty_out_lit(out, ",\"progress\":");
    ngx_http_loyalty_challenge_number(program, ccf,
                                      (goal != 0) ? ngx_min(progress, goal)
                                                  : progress, out);
    loyalty_out_lit(out, ",\"goal\":");
    ngx_http_loyalty_challenge_number(program, ccf, goal, out);
    loyalty_out_lit(out, ",\"completed\":");

    if (goal != 0 && progress >= goal) {
        loyalty_out_lit(out, "true");
    } else {
        loyalty_out_lit(out, "false");
    }

    ngx_http_loyalty_challenge_instance(ccf, instance, out);
    loyalty_out_lit(out, "}");

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_challenge_entry(ngx_uint_t kind, loyalty_mpr_t *r,
    int64_t *instance, int64_t *progress, int64_t *goal)
{
    int64_t     n;
    ngx_uint_t  effect, list;

    effect = 0;
    list = 0;
    n = 0;

    switch (kind) {

    case NGX_HTTP_LOYALTY_ENTRY_ITEMS:
        if (loyalty_mpr_int(r, &n) != 0
            || ngx_http_loyalty_games_skip(r, n) != NGX_OK)
        {
            return NGX_ERROR;
        }

        return NGX_DECLINED;

    case NGX_HTTP_LOYALTY_ENTRY_OPENED:
        *progress = 0;

        if (loyalty_mpr_int(r, instance) != 0) {
            return NGX_ERROR;
        }

        return (loyalty_mpr_int(r, goal) == 0) ? NGX_OK : NGX_ERROR;

    case NGX_HTTP_LOYALTY_ENTRY_PROGRESS:
        effect = 1;
        break;

    case NGX_HTTP_LOYALTY_ENTRY_DISTINCT:
        effect = 1;
        list = 1;
        break;

    case NGX_HTTP_LOYALTY_ENTRY_AFTER:
        break;

    case NGX_HTTP_LOYALTY_ENTRY_DAFTER:
        list = 1;
        break;

    default:
        return NGX_ERROR;
    }

    if (loyalty_mpr_int(r, instance) != 0) {
        return NGX_ERROR;
    }

    if (effect
        && (loyalty_mpr_int(r, progress) != 0
            || loyalty_mpr_int(r, goal) != 0))
    {
        return NGX_ERROR;
    }

    /* n pairs of item and value */

    if (list
        && (loyalty_mpr_int(r, &n) != 0
            || ngx_http_loyalty_games_skip(r, n * 2) != NGX_OK))
    {
        return NGX_ERROR;
    }

    return effect ? NGX_OK : NGX_DECLINED;
}
