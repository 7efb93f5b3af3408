/*
 * From an event to its call: the argument of event_H and a member's keys,
 * as docs/internals.md lays them out.  Both are written into the caller's
 * buffers; nothing here allocates.
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
static u_char *ngx_http_loyalty_key(u_char *p, ngx_str_t *tag,
    const char *kind, ngx_str_t *member, ngx_str_t *key);


ngx_int_t
ngx_http_loyalty_event_arg(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_event_t *event, loyalty_mpw_t *w, ngx_uint_t *hits)
{
    size_t                     at;
    u_char                     count[NGX_HTTP_LOYALTY_COUNT];
    ngx_int_t                  rc;
    ngx_http_loyalty_hit_t     hit;
    ngx_http_loyalty_search_t  search;

    *hits = 0;

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
        }
    }

    if (w->failed) {
        return NGX_ERROR;
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


ngx_uint_t
ngx_http_loyalty_keys(ngx_http_loyalty_program_t *program, ngx_str_t *member,
    u_char *buf, ngx_str_t keys[4])
{
    u_char      *p;
    ngx_str_t   *tag;
    ngx_uint_t   partition;

    partition = loyalty_partition(member->data, member->len);
    tag = &program->tags[partition];

    p = ngx_http_loyalty_key(buf, tag, ":m:", member, &keys[0]);
    p = ngx_http_loyalty_key(p, tag, ":x:", member, &keys[1]);
    p = ngx_http_loyalty_key(p, tag, ":feed", NULL, &keys[2]);
    ngx_http_loyalty_key(p, tag, ":al", NULL, &keys[3]);

    return partition;
}


static u_char *
ngx_http_loyalty_key(u_char *p, ngx_str_t *tag, const char *kind,
    ngx_str_t *member, ngx_str_t *key)
{
    key->data = p;

    p = ngx_cpymem(p, tag->data, tag->len);
    p = ngx_cpymem(p, kind, ngx_strlen(kind));

    if (member != NULL) {
        p = ngx_sprintf(p, "%uz:", member->len);
        p = ngx_cpymem(p, member->data, member->len);
    }

    key->len = p - key->data;

    return p;
}
