/*
 * What the worker that leads does for a sweepstakes after its close: the
 * tree over all entries, the close note, waiting, the draw, and then
 * alternates for whoever lost a prize.
 *
 * A step goes on from what Redis holds, and is begun again from there by the
 * next tick, here or elsewhere, whatever became of it.
 */

#ifndef _NGX_HTTP_LOYALTY_MACHINE_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_MACHINE_H_INCLUDED_


#include "ngx_http_loyalty_sweepstakes.h"
#include "loyalty_merkle.h"


#define NGX_HTTP_LOYALTY_SLICE        256         /* records read at a time */
#define NGX_HTTP_LOYALTY_SLICE_BYTES  65536       /* of other strings */
#define NGX_HTTP_LOYALTY_IDLE         5000        /* ms between looks at a
                                                     draw that is done */
#define NGX_HTTP_LOYALTY_TROUBLE      30000       /* after what is damaged */


#define NGX_HTTP_LOYALTY_OWNERS       128         /* tickets in a lookup */
#define NGX_HTTP_LOYALTY_OWNER_KEYS   64          /* chunks they are in */


typedef struct ngx_http_loyalty_draw_s   ngx_http_loyalty_draw_t;
typedef struct ngx_http_loyalty_fresh_s  ngx_http_loyalty_fresh_t;

/* a step's own handler of what Redis said */
typedef void (*ngx_http_loyalty_machine_pt)(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_reply_t *reply);


struct ngx_http_loyalty_machine_s {
    ngx_http_loyalty_campaign_t      *campaign;
    ngx_pool_t                       *pool;       /* of this step */
    ngx_log_t                        *log;
    ngx_event_t                       timer;
    int64_t                           now;
    int64_t                           rest;       /* until then nothing is to
                                                     be done */
    int64_t                           told;       /* what state says it waits
                                                     for, -1: not known */
    int64_t                           warned;     /* when it last complained */

    ngx_http_loyalty_machine_pt       next;
    ngx_http_loyalty_game_call_t      call;

    /* the reply of closing_H */
    int64_t                           phase;
    int64_t                           entries;
    int64_t                           tickets;
    int64_t                           done;
    ngx_str_t                         index;      /* 8 bytes a chunk */
    u_char                            draw_key[LOYALTY_HASH];
    int64_t                           stamped;    /* the close note's earliest
                                                     timestamp, 0: none */

    /* the tree so far, and what is not written down of it */
    loyalty_merkle_t                  tree;
    int64_t                           written;    /* entries */
    uint64_t                          sold;       /* tickets so far */
    u_char                            chunks[8];
    size_t                            nchunks;    /* bytes */
    u_char                           *voids;
    size_t                            nvoids;     /* bytes */

    /* a string that is fetched in slices */
    const char                       *what;
    ngx_str_t                         text;
    size_t                            room;
    void                            (*fetched)(
                                         ngx_http_loyalty_machine_t *m);

    ngx_str_t                         note;
    loyalty_close_t                   close;
    ngx_http_loyalty_draw_t          *draw;
    ngx_http_loyalty_fresh_t         *fresh;
    int64_t                           due;        /* when the next prize has
                                                     not been claimed in time */
};


struct ngx_http_loyalty_draw_s {
    loyalty_hmac_t                    key;
    const char                       *tag;
    uint32_t                          first;
    uint32_t                          end;
    loyalty_winners_t                 winners;
    ngx_http_loyalty_pick_t          *picks;
    ngx_uint_t                        npicks;
    void                            (*done)(ngx_http_loyalty_machine_t *m);

    uint64_t                          round;
    u_char                            draw_key[LOYALTY_HASH];
    ngx_msec_t                        began;

    /* entries that were looked up, by their first ticket; who is void */
    ngx_rbtree_t                      tree;
    ngx_rbtree_node_t                 sentinel;
    uint64_t                         *voids;
    ngx_uint_t                        nvoids;

    /* what is being looked up */
    uint32_t                          ahead;      /* first attempts of the
                                                     positions before */
    ngx_uint_t                        nasked;
    uint64_t                          asked[NGX_HTTP_LOYALTY_OWNERS];
    ngx_uint_t                        places[NGX_HTTP_LOYALTY_OWNERS];
    ngx_uint_t                        nkeys;
    ngx_str_t                         keys[NGX_HTTP_LOYALTY_OWNER_KEYS];
    int64_t                           chunk[NGX_HTTP_LOYALTY_OWNER_KEYS];
    u_char                            names[NGX_HTTP_LOYALTY_OWNER_KEYS
                                            * NGX_HTTP_LOYALTY_CAMPAIGN_KEY];

    /* somebody who may still be picked, and where the search for the next
       one goes on */
    ngx_uint_t                        left;
    u_char                            somebody[LOYALTY_HASH];
    int64_t                           searched;
};


/* ---- machine.c ---- */

/* sends m->call; next gets the reply; a failure ends the step */
void ngx_http_loyalty_machine_send(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_fn_e fn, ngx_http_loyalty_machine_pt next);

/* the same with other keys */
void ngx_http_loyalty_machine_ask(ngx_http_loyalty_machine_t *m,
    ngx_http_loyalty_fn_e fn, ngx_uint_t nkeys, ngx_str_t *keys,
    loyalty_mpw_t *w, ngx_http_loyalty_machine_pt next);

/* m->text becomes all of G:WHAT, and fetched is called */
void ngx_http_loyalty_machine_fetch(ngx_http_loyalty_machine_t *m,
    const char *what, void (*fetched)(ngx_http_loyalty_machine_t *m));

/* the step is over; again: the next one at once */
void ngx_http_loyalty_machine_end(ngx_http_loyalty_machine_t *m,
    ngx_uint_t again);

/* the same, because something is not what it should be: logged */
void ngx_http_loyalty_machine_damaged(ngx_http_loyalty_machine_t *m,
    const char *what);

/* the same, because memory ran out */
void ngx_http_loyalty_machine_failed(ngx_http_loyalty_machine_t *m);

/* the reply is this letter */
ngx_uint_t ngx_http_loyalty_machine_said(ngx_http_loyalty_reply_t *reply,
    u_char letter);


/* handler(ev) in a moment, m being ev->data: others have their turn */
void ngx_http_loyalty_machine_later(ngx_http_loyalty_machine_t *m,
    ngx_event_handler_pt handler);


/* ---- machine_close.c ---- */

void ngx_http_loyalty_machine_close(ngx_http_loyalty_machine_t *m,
    ngx_str_t *frontier);


/* ---- machine_wait.c ---- */

void ngx_http_loyalty_machine_wait(ngx_http_loyalty_machine_t *m);

/* m->close from m->note */
ngx_int_t ngx_http_loyalty_machine_statement(ngx_http_loyalty_machine_t *m);


/* ---- machine_pick.c ---- */

/*
 * Picks for the positions from first to end, "places" persons chosen or
 * excluded at most: m->draw is made, more persons may be excluded
 * (m->draw->winners), then _run() looks up owners as it needs them and calls
 * done.  What was picked is in m->draw->picks, by position from first.
 */
ngx_int_t ngx_http_loyalty_machine_pick(ngx_http_loyalty_machine_t *m,
    const u_char *key, const char *tag, uint32_t first, uint32_t end,
    uint32_t places);
void ngx_http_loyalty_machine_run(ngx_http_loyalty_machine_t *m,
    void (*done)(ngx_http_loyalty_machine_t *m));


/* ---- machine_draw.c ---- */

/* round 0 and b Z without a beacon */
void ngx_http_loyalty_machine_draw(ngx_http_loyalty_machine_t *m,
    uint64_t round, const u_char *b);


/* as winners are kept, NGX_HTTP_LOYALTY_WHO bytes */
void ngx_http_loyalty_pick_who(ngx_http_loyalty_pick_t *pick, u_char *who);


/* ---- machine_after.c ---- */

void ngx_http_loyalty_machine_after(ngx_http_loyalty_machine_t *m);


#endif /* _NGX_HTTP_LOYALTY_MACHINE_H_INCLUDED_ */
