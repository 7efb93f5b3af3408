/*
 * Picking: core/ says which ticket is next, here its entry is looked up.
 *
 * Tickets are looked up many at a time, the first attempts of the positions
 * to come among them; an entry that was seen answers for all its tickets.
 * After many attempts at one position somebody is searched for who may still
 * be picked at all: with nobody left, this position and all later ones stay
 * empty.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_machine.h"


#define NGX_HTTP_LOYALTY_PICK_STEPS     1000      /* in one turn of the loop */
#define NGX_HTTP_LOYALTY_PICK_PATIENCE  500       /* attempts */


typedef struct {
    ngx_rbtree_node_t             node;           /* key: first ticket */
    uint64_t                      end;            /* behind the last one */
    uint64_t                      seq;
    ngx_uint_t                    voided;
    u_char                        person[LOYALTY_HASH];
} ngx_http_loyalty_owner_t;


static void ngx_http_loyalty_pick_voids(ngx_http_loyalty_machine_t *m);
static int ngx_libc_cdecl ngx_http_loyalty_pick_compare(const void *one,
    const void *two);
static void ngx_http_loyalty_pick_go(ngx_http_loyalty_machine_t *m);
static ngx_int_t ngx_http_loyalty_pick_one(ngx_http_loyalty_machine_t *m);
static void ngx_http_loyalty_pick_timer(ngx_event_t *ev);
static ngx_http_loyalty_owner_t *ngx_http_loyalty_pick_known(
    ngx_http_loyalty_draw_t *draw, uint64_t ticket);
static void ngx_http_loyalty_pick_ask(ngx_http_loyalty_machine_t *m);
static ngx_int_t ngx_http_loyalty_pick_want(ngx_http_loyalty_machine_t *m,
    uint64_t ticket);
static int64_t ngx_http_loyalty_pick_chunk(ngx_http_loyalty_machine_t *m,
    uint64_t ticket);
static void ngx_http_loyalty_pick_owners(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_pick_learn(ngx_http_loyalty_machine_t *m,
    loyalty_entry_t *entry);
static ngx_uint_t ngx_http_loyalty_pick_voided(ngx_http_loyalty_draw_t *draw,
    uint64_t first);
static void ngx_http_loyalty_pick_search(ngx_http_loyalty_machine_t *m);
static void ngx_http_loyalty_pick_searched(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply);


ngx_int_t
ngx_http_loyalty_machine_pick(ngx_http_loyalty_machine_t *m,
    const u_char *key, const char *tag, uint32_t first, uint32_t end,
    uint32_t places)
{
    u_char                   (*chosen)[LOYALTY_HASH];
    uint32_t                  *index;
    ngx_http_loyalty_draw_t   *draw;

    draw = ngx_pcalloc(m->pool, sizeof(ngx_http_loyalty_draw_t));
    chosen = ngx_palloc(m->pool, places * LOYALTY_HASH);
    index = ngx_palloc(m->pool,
                       loyalty_winners_index(places) * sizeof(uint32_t));

    if (draw == NULL || chosen == NULL || index == NULL) {
        return NGX_ERROR;
    }

    draw->picks = ngx_pcalloc(m->pool, (end - first)
                                       * sizeof(ngx_http_loyalty_pick_t));

    /* nobody has counted persons: they are as many as tickets at most */

    if (draw->picks == NULL
        || loyalty_hmac_key(&draw->key, key, LOYALTY_HASH) != 0
        || loyalty_winners_init(&draw->winners, chosen, index, places,
                                m->close.tickets, m->close.tickets)
           != 0
        || loyalty_winners_range(&draw->winners, &draw->key, tag, first, end)
           != 0)
    {
        return NGX_ERROR;
    }

    draw->tag = tag;
    draw->first = first;
    draw->end = end;
    draw->ahead = first;

    ngx_rbtree_init(&draw->tree, &draw->sentinel, ngx_rbtree_insert_value);

    m->draw = draw;

    return NGX_OK;
}


void
ngx_http_loyalty_machine_run(ngx_http_loyalty_machine_t *m,
    void (*done)(ngx_http_loyalty_machine_t *m))
{
    m->draw->done = done;

    ngx_http_loyalty_machine_fetch(m, "v", ngx_http_loyalty_pick_voids);
}


static void
ngx_http_loyalty_pick_voids(ngx_http_loyalty_machine_t *m)
{
    ngx_uint_t                i;
    ngx_http_loyalty_draw_t  *draw;

    draw = m->draw;

    draw->nvoids = m->text.len / 8;
    draw->voids = ngx_palloc(m->pool, (draw->nvoids + 1) * sizeof(uint64_t));

    if (draw->voids == NULL) {
        ngx_http_loyalty_machine_failed(m);
        return;
    }

    for (i = 0; i < draw->nvoids; i++) {
        draw->voids[i] = loyalty_get_u64(m->text.data + 8 * i);
    }

    ngx_qsort(draw->voids, draw->nvoids, sizeof(uint64_t),
              ngx_http_loyalty_pick_compare);

    ngx_http_loyalty_pick_go(m);
}


static int ngx_libc_cdecl
ngx_http_loyalty_pick_compare(const void *one, const void *two)
{
    uint64_t  a, b;

    a = *(const uint64_t *) one;
    b = *(const uint64_t *) two;

    return (a > b) - (a < b);
}


static void
ngx_http_loyalty_pick_go(ngx_http_loyalty_machine_t *m)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_LOYALTY_PICK_STEPS; i++) {
        if (ngx_http_loyalty_pick_one(m) != NGX_OK) {
            return;
        }
    }

    ngx_http_loyalty_machine_later(m, ngx_http_loyalty_pick_timer);
}


/* NGX_DONE: the step goes on elsewhere, or is over */

static ngx_int_t
ngx_http_loyalty_pick_one(ngx_http_loyalty_machine_t *m)
{
    int                        rc;
    loyalty_winners_t         *w;
    ngx_http_loyalty_draw_t   *draw;
    ngx_http_loyalty_pick_t   *pick;
    ngx_http_loyalty_owner_t  *owner;

    draw = m->draw;
    w = &draw->winners;

    rc = loyalty_winners_next(w);

    if (rc == LOYALTY_DONE) {
        draw->done(m);
        return NGX_DONE;
    }

    if (rc == LOYALTY_EXHAUSTED) {
        ngx_log_error(NGX_LOG_EMERG, m->log, 0,
                      "loyalty program \"%V\": the draw of %V found nobody "
                      "for position %uD in 2^20 attempts",
                      &m->campaign->program->name,
                      &m->campaign->rule->reason, w->position);

        m->rest = m->now + NGX_HTTP_LOYALTY_TROUBLE;
        ngx_http_loyalty_machine_end(m, 0);
        return NGX_DONE;
    }

    if (rc != LOYALTY_WAITING) {
        ngx_http_loyalty_machine_failed(m);
        return NGX_DONE;
    }

    owner = ngx_http_loyalty_pick_known(draw, w->ticket);

    if (owner == NULL) {
        ngx_http_loyalty_pick_ask(m);
        return NGX_DONE;
    }

    pick = &draw->picks[draw->npicks];
    pick->ticket = w->ticket;
    pick->attempt = w->attempt;
    pick->seq = owner->seq;
    ngx_memcpy(pick->person, owner->person, LOYALTY_HASH);

    rc = loyalty_winners_owner(w, owner->person, owner->voided);

    if (rc == 0) {

        /* core/ is done with the position when it is asked for the next */

        draw->npicks++;
        return NGX_OK;
    }

    if (rc != LOYALTY_WAITING) {
        ngx_http_loyalty_machine_failed(m);
        return NGX_DONE;
    }

    if (w->attempt >= NGX_HTTP_LOYALTY_PICK_PATIENCE
        && (!draw->left || loyalty_winners_has(w, draw->somebody)))
    {
        ngx_http_loyalty_pick_search(m);
        return NGX_DONE;
    }

    return NGX_OK;
}


static void
ngx_http_loyalty_pick_timer(ngx_event_t *ev)
{
    ngx_http_loyalty_pick_go(ev->data);
}


static ngx_http_loyalty_owner_t *
ngx_http_loyalty_pick_known(ngx_http_loyalty_draw_t *draw, uint64_t ticket)
{
    ngx_rbtree_node_t         *node;
    ngx_http_loyalty_owner_t  *owner;

    owner = NULL;
    node = draw->tree.root;

    while (node != draw->tree.sentinel) {

        if (node->key <= ticket) {
            owner = (ngx_http_loyalty_owner_t *) node;
            node = node->right;

        } else {
            node = node->left;
        }
    }

    return (owner != NULL && ticket < owner->end) ? owner : NULL;
}


/* this ticket, a few attempts more where there were some, and then the first
   ones of positions to come */

static void
ngx_http_loyalty_pick_ask(ngx_http_loyalty_machine_t *m)
{
    u_char                     buf[NGX_HTTP_LOYALTY_OWNERS * 20];
    uint32_t                   a, last;
    uint64_t                   ticket;
    ngx_uint_t                 i;
    loyalty_mpw_t              w;
    loyalty_winners_t         *winners;
    ngx_http_loyalty_draw_t   *draw;

    draw = m->draw;
    winners = &draw->winners;

    draw->nasked = 0;
    draw->nkeys = 0;

    if (ngx_http_loyalty_pick_want(m, winners->ticket) == NGX_ERROR) {
        ngx_http_loyalty_machine_damaged(m, "meta");
        return;
    }

    last = winners->attempt + ngx_min(2 * winners->attempt,
                                      NGX_HTTP_LOYALTY_OWNERS / 2);

    for (a = winners->attempt + 1; a <= last; a++) {
        if (loyalty_pick(&draw->key, draw->tag, winners->position,
                         winners->tickets, &a, &ticket)
            != 0
            || ngx_http_loyalty_pick_want(m, ticket) != NGX_OK)
        {
            break;
        }
    }

    for ( /* void */ ; draw->ahead < draw->end; draw->ahead++) {
        a = 0;

        if (loyalty_pick(&draw->key, draw->tag, draw->ahead,
                         winners->tickets, &a, &ticket)
            != 0
            || ngx_http_loyalty_pick_want(m, ticket) != NGX_OK)
        {
            break;
        }
    }

    loyalty_mpw_init(&w, buf, sizeof(buf));

    for (i = 0; i < draw->nasked; i++) {
        loyalty_mpw_int(&w, draw->places[i]);
        loyalty_mpw_int(&w, (int64_t) draw->asked[i]);
    }

    ngx_http_loyalty_machine_ask(m, NGX_HTTP_LOYALTY_FN_OWNERS, draw->nkeys,
                                 draw->keys, &w,
                                 ngx_http_loyalty_pick_owners);
}


/* NGX_DECLINED: no room */

static ngx_int_t
ngx_http_loyalty_pick_want(ngx_http_loyalty_machine_t *m, uint64_t ticket)
{
    int64_t                   chunk;
    ngx_uint_t                i;
    ngx_http_loyalty_draw_t  *draw;

    draw = m->draw;

    if (ngx_http_loyalty_pick_known(draw, ticket) != NULL) {
        return NGX_OK;
    }

    if (draw->nasked == NGX_HTTP_LOYALTY_OWNERS) {
        return NGX_DECLINED;
    }

    chunk = ngx_http_loyalty_pick_chunk(m, ticket);

    if (chunk < 0) {
        return NGX_ERROR;
    }

    for (i = 0; i < draw->nkeys && draw->chunk[i] != chunk; i++) {
        /* void */
    }

    if (i == NGX_HTTP_LOYALTY_OWNER_KEYS) {
        return NGX_DECLINED;
    }

    if (i == draw->nkeys) {
        ngx_http_loyalty_campaign_key(m->campaign, "e", chunk,
                                      draw->names + i
                                      * NGX_HTTP_LOYALTY_CAMPAIGN_KEY,
                                      &draw->keys[i]);
        draw->chunk[i] = chunk;
        draw->nkeys++;
    }

    draw->places[draw->nasked] = i + 1;
    draw->asked[draw->nasked++] = ticket;

    return NGX_OK;
}


/* the last chunk that begins at this ticket or before */

static int64_t
ngx_http_loyalty_pick_chunk(ngx_http_loyalty_machine_t *m, uint64_t ticket)
{
    int64_t  lo, hi, mid;

    lo = 0;
    hi = (int64_t) m->index.len / 8;

    while (lo < hi) {
        mid = (lo + hi) / 2;

        if (loyalty_get_u64(m->index.data + 8 * mid) <= ticket) {
            lo = mid + 1;

        } else {
            hi = mid;
        }
    }

    return lo - 1;
}


static void
ngx_http_loyalty_pick_owners(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_str_t        *value;
    ngx_uint_t        i;
    loyalty_entry_t   entry;

    value = reply->values;

    if (!reply->array || reply->n != m->draw->nasked) {
        ngx_http_loyalty_machine_damaged(m, "e");
        return;
    }

    for (i = 0; i < reply->n; i++) {

        if (value[i].data == NULL
            || loyalty_entry_decode(value[i].data, value[i].len, &entry) != 0)
        {
            ngx_http_loyalty_machine_damaged(m, "e");
            return;
        }

        if (ngx_http_loyalty_pick_learn(m, &entry) != NGX_OK) {
            ngx_http_loyalty_machine_failed(m);
            return;
        }
    }

    ngx_http_loyalty_pick_go(m);
}


static ngx_int_t
ngx_http_loyalty_pick_learn(ngx_http_loyalty_machine_t *m,
    loyalty_entry_t *entry)
{
    ngx_http_loyalty_owner_t  *owner;

    if (ngx_http_loyalty_pick_known(m->draw, entry->first) != NULL) {
        return NGX_OK;
    }

    owner = ngx_palloc(m->pool, sizeof(ngx_http_loyalty_owner_t));
    if (owner == NULL) {
        return NGX_ERROR;
    }

    owner->node.key = entry->first;
    owner->end = entry->first + entry->tickets;
    owner->seq = entry->seq;
    owner->voided = ngx_http_loyalty_pick_voided(m->draw, entry->first);
    ngx_memcpy(owner->person, entry->person, LOYALTY_HASH);

    ngx_rbtree_insert(&m->draw->tree, &owner->node);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_loyalty_pick_voided(ngx_http_loyalty_draw_t *draw, uint64_t first)
{
    return bsearch(&first, draw->voids, draw->nvoids, sizeof(uint64_t),
                   ngx_http_loyalty_pick_compare)
           != NULL;
}


/* all before m->draw->searched are void or chosen */

static void
ngx_http_loyalty_pick_search(ngx_http_loyalty_machine_t *m)
{
    int64_t                   n, place;
    ngx_http_loyalty_draw_t  *draw;

    draw = m->draw;
    draw->left = 0;

    n = (int64_t) m->close.entries - draw->searched;

    if (n == 0) {
        draw->winners.persons = draw->winners.nchosen;
        ngx_http_loyalty_pick_go(m);
        return;
    }

    place = draw->searched % NGX_HTTP_LOYALTY_CHUNK;
    n = ngx_min(n, NGX_HTTP_LOYALTY_CHUNK - place);
    n = ngx_min(n, NGX_HTTP_LOYALTY_SLICE);

    ngx_http_loyalty_game_call(&m->call, m->campaign, "");
    ngx_http_loyalty_game_chunk(&m->call, m->campaign,
                                draw->searched / NGX_HTTP_LOYALTY_CHUNK);

    loyalty_mpw_int(&m->call.w, place * LOYALTY_ENTRY_LEN);
    loyalty_mpw_int(&m->call.w, n * LOYALTY_ENTRY_LEN);

    ngx_http_loyalty_machine_send(m, NGX_HTTP_LOYALTY_FN_SLICE,
                                  ngx_http_loyalty_pick_searched);
}


static void
ngx_http_loyalty_pick_searched(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply)
{
    size_t                    i;
    ngx_str_t                *value;
    loyalty_entry_t           entry;
    ngx_http_loyalty_draw_t  *draw;

    draw = m->draw;
    value = reply->values;

    if (reply->array || reply->n != 1 || value->len == 0) {
        ngx_http_loyalty_machine_damaged(m, "e");
        return;
    }

    for (i = 0; i < value->len; i += LOYALTY_ENTRY_LEN) {

        if (value->len - i < LOYALTY_ENTRY_LEN
            || loyalty_entry_decode(value->data + i, LOYALTY_ENTRY_LEN,
                                    &entry)
               != 0)
        {
            ngx_http_loyalty_machine_damaged(m, "e");
            return;
        }

        if (!(entry.flags & LOYALTY_VOID)
            && !ngx_http_loyalty_pick_voided(draw, entry.first)
            && !loyalty_winners_has(&draw->winners, entry.person))
        {
            draw->left = 1;
            ngx_memcpy(draw->somebody, entry.person, LOYALTY_HASH);
            ngx_http_loyalty_pick_go(m);
            return;
        }

        draw->searched++;
    }

    ngx_http_loyalty_pick_search(m);
}
