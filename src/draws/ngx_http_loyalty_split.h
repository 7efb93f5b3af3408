/*
 * A play or an entry in three steps, each in one slot of Redis: reserve in
 * the member's, draw in the game's, settle in the member's.
 *
 * A room reserves by itself, and hands what was reserved to _split_open().
 * From there the way is the same whoever goes it: who reserved, another
 * request of the member that found the reservation open, or the leader, which
 * looks for what was cut off.  Every step may be made twice.
 */

#ifndef _NGX_HTTP_LOYALTY_SPLIT_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_SPLIT_H_INCLUDED_


#include "ngx_http_loyalty_draws.h"
#include "ngx_http_loyalty_member.h"
#include "ngx_http_loyalty_idempotency.h"


#define NGX_HTTP_LOYALTY_SPLIT_REST   16
#define NGX_HTTP_LOYALTY_SPLIT_TRIES  4           /* after the first */


typedef struct ngx_http_loyalty_split_s  ngx_http_loyalty_split_t;


/* what a room adds; its own structure begins with a _split_t */

struct ngx_http_loyalty_split_room_s {
    size_t                        size;           /* of it */
    ngx_http_loyalty_fn_e         draw;
    ngx_http_loyalty_fn_e         settle;

    /* the reservation's values behind needle, rest and t */
    ngx_int_t                   (*read)(ngx_http_loyalty_split_t *split,
                                    loyalty_mpr_t *r);

    /* keys and argument of the draw; of the settle what is behind those that
       every request has */
    ngx_int_t                   (*draw_arg)(ngx_http_loyalty_split_t *split,
                                    ngx_http_loyalty_call_t *call,
                                    loyalty_mpw_t *w);
    ngx_int_t                   (*settle_arg)(ngx_http_loyalty_split_t *split,
                                    ngx_http_loyalty_call_t *call,
                                    loyalty_mpw_t *w);

    /*
     * What the game said.  NGX_OK: that is final.  NGX_AGAIN: the draw is to
     * be asked for once more, NGX_BUSY: when the campaign is ready again.
     */
    ngx_int_t                   (*drawn)(ngx_http_loyalty_split_t *split,
                                    ngx_str_t *value);
};


struct ngx_http_loyalty_split_s {
    ngx_http_loyalty_split_room_t  *room;
    ngx_http_loyalty_campaign_t    *campaign;
    ngx_pool_t                     *pool;
    ngx_http_loyalty_lane_e         lane;
    ngx_str_t                       member;
    unsigned                        late:1;       /* nothing is drawn for it
                                                     any more: what was not
                                                     is given back */

    u_char                          needle[NGX_HTTP_LOYALTY_NEEDLE];
    u_char                          rest[NGX_HTTP_LOYALTY_SPLIT_REST];
    int64_t                         t;

    ngx_str_t                       outcome;      /* what is final of the
                                                     draw; data NULL: nothing
                                                     yet */
    ngx_str_t                       reply;        /* of the settle */

    /* called once, from the event loop; outcome and reply are there when
       status is REPLY */
    void                          (*handler)(void *data,
                                        ngx_http_loyalty_status_e status);
    void                           *data;

    /* private */
    ngx_uint_t                      tries;
    ngx_http_loyalty_op_t          *op;
    ngx_http_loyalty_waiter_t       waiter;
};


/* a zeroed structure of room->size bytes, in pool; NULL: no memory */
ngx_http_loyalty_split_t *ngx_http_loyalty_split_create(ngx_pool_t *pool,
    ngx_http_loyalty_split_room_t *room,
    ngx_http_loyalty_campaign_t *campaign, ngx_str_t *member);

/* reads a reservation, which is copied; NGX_DECLINED: it is none */
ngx_int_t ngx_http_loyalty_split_open(ngx_http_loyalty_split_t *split,
    ngx_str_t *reservation);

/* goes on with the draw; REPLY: the handler will be called, else why not */
ngx_http_loyalty_status_e ngx_http_loyalty_split_go(
    ngx_http_loyalty_split_t *split);

/* whoever waits has gone: the handler is not called */
void ngx_http_loyalty_split_stop(ngx_http_loyalty_split_t *split);

/*
 * The keys of a step in the member's slot: those of the account and "o"; of
 * a reserve "gone", too.
 */
ngx_int_t ngx_http_loyalty_split_keys(ngx_http_loyalty_call_t *call,
    ngx_http_loyalty_campaign_t *campaign, ngx_str_t *member,
    ngx_uint_t reserve);

/*
 * One more key, in the member's slot: "o", the list of reservations that are
 * open, or "gone", who was erased after having taken part.
 */
ngx_int_t ngx_http_loyalty_split_key(ngx_http_loyalty_call_t *call,
    ngx_http_loyalty_campaign_t *campaign, const char *what,
    ngx_str_t *member);

/* the same key's name, for a partition; buf has size bytes */
void ngx_http_loyalty_split_name(ngx_http_loyalty_campaign_t *campaign,
    const char *what, ngx_uint_t partition, u_char *buf, size_t size,
    ngx_str_t *key);

/* the version that governs epoch e, or the newest one */
ngx_http_loyalty_version_t *ngx_http_loyalty_split_version(
    ngx_http_loyalty_split_t *split, uint32_t e);


/* ---- steps.c: of a member's request ---- */

#define NGX_HTTP_LOYALTY_STEPS_HELPED  100        /* others, one by one */
#define NGX_HTTP_LOYALTY_STEPS_WAIT    100        /* of one member */

typedef struct {
    ngx_http_loyalty_member_ctx_t    *ctx;

    /* in line with others of the member in this worker */
    ngx_queue_t                       queue;
    ngx_http_loyalty_campaign_t      *campaign;   /* NULL: it is not */
    ngx_uint_t                        partition;
    size_t                            len;
    u_char                            member[NGX_HTTP_LOYALTY_ID];
    ngx_http_loyalty_member_start_pt  start;
    ngx_event_t                       wake;
    unsigned                          waits:1;
    unsigned                          well:1;     /* Redis answered */

    ngx_http_loyalty_split_t         *split;
    ngx_uint_t                        helped;
    ngx_uint_t                        own;
    ngx_http_loyalty_status_e         status;

    /* what is called when its own is over: with what a call in one step would
       have replied, of the draw's reply behind the settle's so many bytes */
    ngx_http_loyalty_member_reply_pt  reply;
    size_t                            more;

    ngx_http_loyalty_member_start_pt  again;      /* another one's is */
} ngx_http_loyalty_steps_t;

/*
 * Before a reservation: a worker makes those of one member one after another,
 * as each would have to wait for the one before.  NGX_DECLINED: go on.  Else
 * start(ctx) is called then, or it has been answered.
 */
ngx_int_t ngx_http_loyalty_steps_begin(ngx_http_loyalty_steps_t *steps,
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_campaign_t *campaign,
    ngx_http_loyalty_member_start_pt start);

/* it is answered, or begins anew: the next one's turn */
void ngx_http_loyalty_steps_end(ngx_http_loyalty_steps_t *steps);

/*
 * Goes on with what reserve replied, "N" and its own reservation or "O" and
 * one that was found, until it is over; steps begins zeroed, with reply, more
 * and again set.  split comes from _split_create().
 */
ngx_int_t ngx_http_loyalty_steps(ngx_http_loyalty_steps_t *steps,
    ngx_http_loyalty_member_ctx_t *ctx, ngx_http_loyalty_split_t *split,
    ngx_str_t *value);


#endif /* _NGX_HTTP_LOYALTY_SPLIT_H_INCLUDED_ */
