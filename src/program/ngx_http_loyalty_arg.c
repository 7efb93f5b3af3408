/*
 * From an event to the argument of event_H, as docs/internals.md lays it
 * out.  It is written into the caller's buffer; nothing here allocates.
 */

#include "ngx_http_loyalty_private.h"


#define NGX_HTTP_LOYALTY_REST   16
#define NGX_HTTP_LOYALTY_COUNT  3                /* bytes of a count that is
                                                    known at the end */


static void ngx_http_loyalty_arg_event(ngx_http_loyalty_event_t *event,
    loyalty_mpw_t *w);
static void ngx_http_loyalty_arg_type(ngx_http_loyalty_event_t *event,
    ngx_http_loyalty_type_t *type, loyalty_mpw_t *w);
static void ngx_http_loyalty_arg_items(ngx_http_loyalty_event_t *event,
    loyalty_mpw_t *w);
static ngx_int_t ngx_http_loyalty_arg_rule(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_hit_t *hit,
    ngx_http_loyalty_event_t *event, loyalty_mpw_t *w);
static void ngx_http_loyalty_arg_awarded(ngx_http_loyalty_rule_t *rule,
    ngx_http_loyalty_rule_t **awarded, ngx_uint_t *n);


ngx_int_t
ngx_http_loyalty_event_arg(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_event_t *event, loyalty_mpw_t *w,
    ngx_http_loyalty_call_t *call, ngx_uint_t *hits)
{
    size_t                     at;
    u_char                     count[NGX_HTTP_LOYALTY_COUNT];
    ngx_int_t                  rc;
    ngx_uint_t                 n;
    ngx_http_loyalty_hit_t     hit;
    ngx_http_loyalty_rule_t   *awarded[NGX_HTTP_LOYALTY_TARGETS];
    ngx_http_loyalty_search_t  search;

    n = 0;
    *hits = 0;

    ngx_http_loyalty_call_member(call, program, &event->member);

    ngx_http_loyalty_search(program, event, &search);

    ngx_http_loyalty_arg_event(event, w);
    ngx_http_loyalty_arg_type(event, search.type, w);
    ngx_http_loyalty_arg_items(event, w);
    loyalty_mpw_str(w, event->member.data, event->member.len);
    loyalty_mpw_str(w, program->constants.data, program->constants.len);

    /* an unsigned 16-bit number, filled in below */

    at = w->pos - w->start;
    ngx_memzero(count, NGX_HTTP_LOYALTY_COUNT);
    loyalty_mpw_raw(w, count, NGX_HTTP_LOYALTY_COUNT);

    while (ngx_http_loyalty_search_next(&search, &hit) == NGX_OK) {

        rc = ngx_http_loyalty_arg_rule(program, &hit, event, w);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_OK) {
            (*hits)++;
            ngx_http_loyalty_arg_awarded(hit.rule, awarded, &n);
        }
    }

    rc = ngx_http_loyalty_call_targets(call, program, awarded, n,
                                       &event->member, &event->id,
                                       event->now, w);

    if (rc != NGX_OK || w->failed) {
        return (rc == NGX_AGAIN || rc == NGX_BUSY) ? rc : NGX_ERROR;
    }

    w->start[at] = 0xcd;
    w->start[at + 1] = (u_char) (*hits >> 8);
    w->start[at + 2] = (u_char) *hits;

    return NGX_OK;
}


/* elements 1 to 4: when it was, and how it is remembered */

static void
ngx_http_loyalty_arg_event(ngx_http_loyalty_event_t *event, loyalty_mpw_t *w)
{
    int      i;
    u_char   needle[1 + NGX_HTTP_LOYALTY_ID], rest[NGX_HTTP_LOYALTY_REST];
    int64_t  accepted;

    loyalty_mpw_int(w, event->now);
    loyalty_mpw_int(w, event->at);

    if (event->id.len > NGX_HTTP_LOYALTY_ID) {
        w->failed = 1;
        return;
    }

    needle[0] = (u_char) event->id.len;
    ngx_memcpy(needle + 1, event->id.data, event->id.len);
    loyalty_mpw_str(w, needle, 1 + event->id.len);

    accepted = event->now / 1000;

    for (i = 0; i < 6; i++) {
        rest[i] = (u_char) (event->at >> (40 - 8 * i));
    }

    for (i = 0; i < 4; i++) {
        rest[6 + i] = (u_char) (accepted >> (24 - 8 * i));
    }

    ngx_memcpy(rest + 10, event->fingerprint, 6);
    loyalty_mpw_str(w, rest, NGX_HTTP_LOYALTY_REST);
}


/* elements 5 to 7; a type that no rule knows is hashed here */

static void
ngx_http_loyalty_arg_type(ngx_http_loyalty_event_t *event,
    ngx_http_loyalty_type_t *type, loyalty_mpw_t *w)
{
    u_char  hash[NGX_HTTP_LOYALTY_HASH];

    if (type == NULL) {
        ngx_http_loyalty_hash_name("type", &event->type, hash);

    } else {
        ngx_memcpy(hash, type->hash, NGX_HTTP_LOYALTY_HASH);
    }

    loyalty_mpw_str(w, hash, NGX_HTTP_LOYALTY_HASH);
    loyalty_mpw_str(w, event->type.data, event->type.len);

    if (event->amount < 0) {
        loyalty_mpw_nil(w);

    } else {
        loyalty_mpw_int(w, event->amount);
    }
}


static void
ngx_http_loyalty_arg_items(ngx_http_loyalty_event_t *event, loyalty_mpw_t *w)
{
    ngx_uint_t                i;
    ngx_http_loyalty_item_t  *item;

    if (event->nitems == 0) {
        loyalty_mpw_nil(w);
        return;
    }

    loyalty_mpw_array(w, 4 * event->nitems);

    for (i = 0; i < event->nitems; i++) {
        item = &event->items[i];

        loyalty_mpw_str(w, item->sku.data, item->sku.len);
        loyalty_mpw_str(w, item->category.data, item->category.len);
        loyalty_mpw_int(w, (int64_t) item->quantity);
        loyalty_mpw_int(w, item->amount);
    }
}


/* the blob and what the game adds; nothing where the game declines */

static ngx_int_t
ngx_http_loyalty_arg_rule(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_hit_t *hit, ngx_http_loyalty_event_t *event,
    loyalty_mpw_t *w)
{
    u_char     *mark;
    ngx_int_t   rc;

    mark = w->pos;

    loyalty_mpw_str(w, hit->rule->blob.data, hit->rule->blob.len);

    rc = hit->rule->game->args(program, hit, event, w);

    if (w->failed) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK) {
        w->pos = mark;
    }

    return rc;
}


/* a program has no more targets than fit: close.c counts them */

static void
ngx_http_loyalty_arg_awarded(ngx_http_loyalty_rule_t *rule,
    ngx_http_loyalty_rule_t **awarded, ngx_uint_t *n)
{
    ngx_uint_t                 i, k;
    ngx_http_loyalty_rule_t  **target;

    target = rule->targets.elts;

    for (i = 0; i < rule->targets.nelts; i++) {

        for (k = 0; k < *n; k++) {
            if (awarded[k] == target[i]) {
                break;
            }
        }

        if (k == *n && k < NGX_HTTP_LOYALTY_TARGETS) {
            awarded[(*n)++] = target[i];
        }
    }
}


void
ngx_http_loyalty_hit_items(ngx_http_loyalty_hit_t *hit,
    ngx_http_loyalty_event_t *event, loyalty_mpw_t *w)
{
    ngx_uint_t  i;

    loyalty_mpw_array(w, __builtin_popcountll(hit->items[0])
                         + __builtin_popcountll(hit->items[1]));

    for (i = 0; i < event->nitems; i++) {
        if (hit->items[i / 64] & ((uint64_t) 1 << (i % 64))) {
            loyalty_mpw_int(w, i + 1);
        }
    }
}
