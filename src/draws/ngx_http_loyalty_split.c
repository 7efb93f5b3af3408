/*
 * From a reservation to its end: the draw in the game's slot of Redis, then
 * the settle in the member's.
 */

#include "ngx_http_loyalty_draws_private.h"
#include "ngx_http_loyalty_split.h"


/* room for one call; it lives on the stack */

typedef struct {
    ngx_http_loyalty_call_t       call;
    u_char                        buf[NGX_HTTP_LOYALTY_ARG];
} ngx_http_loyalty_split_scratch_t;


static ngx_http_loyalty_status_e ngx_http_loyalty_split_send(
    ngx_http_loyalty_split_t *split);
static ngx_int_t ngx_http_loyalty_split_settle_arg(
    ngx_http_loyalty_split_t *split, ngx_http_loyalty_call_t *call,
    loyalty_mpw_t *w);
static void ngx_http_loyalty_split_done(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static ngx_http_loyalty_status_e ngx_http_loyalty_split_next(
    ngx_http_loyalty_split_t *split, ngx_str_t *value);
static ngx_http_loyalty_status_e ngx_http_loyalty_split_wait(
    ngx_http_loyalty_split_t *split);
static void ngx_http_loyalty_split_ready(void *data);
static ngx_int_t ngx_http_loyalty_split_copy(ngx_http_loyalty_split_t *split,
    ngx_str_t *dst, ngx_str_t *value);


ngx_http_loyalty_split_t *
ngx_http_loyalty_split_create(ngx_pool_t *pool,
    ngx_http_loyalty_split_room_t *room,
    ngx_http_loyalty_campaign_t *campaign, ngx_str_t *member)
{
    ngx_http_loyalty_split_t  *split;

    split = ngx_pcalloc(pool, room->size);
    if (split == NULL) {
        return NULL;
    }

    split->room = room;
    split->campaign = campaign;
    split->pool = pool;
    split->lane = NGX_HTTP_LOYALTY_INTERACTIVE;
    split->member = *member;

    return split;
}


ngx_int_t
ngx_http_loyalty_split_open(ngx_http_loyalty_split_t *split,
    ngx_str_t *reservation)
{
    uint32_t              n, rest;
    ngx_str_t             copy;
    loyalty_mpr_t         r;
    const unsigned char  *needle, *p;

    if (ngx_http_loyalty_split_copy(split, &copy, reservation) != NGX_OK) {
        return NGX_ERROR;
    }

    loyalty_mpr_init(&r, copy.data, copy.len);

    if (loyalty_mpr_str(&r, &needle, &n) != 0
        || n != NGX_HTTP_LOYALTY_NEEDLE
        || loyalty_mpr_str(&r, &p, &rest) != 0
        || rest != NGX_HTTP_LOYALTY_SPLIT_REST
        || loyalty_mpr_int(&r, &split->t) != 0)
    {
        return NGX_DECLINED;
    }

    ngx_memcpy(split->needle, needle, NGX_HTTP_LOYALTY_NEEDLE);
    ngx_memcpy(split->rest, p, NGX_HTTP_LOYALTY_SPLIT_REST);

    return split->room->read(split, &r) == NGX_OK ? NGX_OK : NGX_DECLINED;
}


ngx_http_loyalty_status_e
ngx_http_loyalty_split_go(ngx_http_loyalty_split_t *split)
{
    return ngx_http_loyalty_split_send(split);
}


void
ngx_http_loyalty_split_stop(ngx_http_loyalty_split_t *split)
{
    if (split->op != NULL) {
        ngx_http_loyalty_redis_detach(split->op);
        split->op = NULL;
    }

    ngx_http_loyalty_campaign_forget(&split->waiter);
}


/* the draw, or the settle once it is known what was drawn */

static ngx_http_loyalty_status_e
ngx_http_loyalty_split_send(ngx_http_loyalty_split_t *split)
{
    ngx_int_t                          rc;
    ngx_str_t                          arg;
    ngx_uint_t                         drawn, partition;
    loyalty_mpw_t                      w;
    ngx_http_loyalty_program_t        *program;
    ngx_http_loyalty_status_e          status;
    ngx_http_loyalty_split_scratch_t   scratch;

    drawn = (split->outcome.data != NULL);
    program = split->campaign->program;

    partition = loyalty_partition(split->member.data, split->member.len);

    scratch.call.nkeys = 0;
    scratch.call.pos = scratch.call.buf;

    loyalty_mpw_init(&w, scratch.buf, sizeof(scratch.buf));

    rc = drawn ? ngx_http_loyalty_split_settle_arg(split, &scratch.call, &w)
               : split->room->draw_arg(split, &scratch.call, &w);

    if (rc != NGX_OK || w.failed) {
        ngx_log_error(NGX_LOG_ERR, split->campaign->run->log, 0,
                      "%V cannot %s what was reserved",
                      &split->campaign->rule->reason,
                      drawn ? "settle" : "draw");

        return NGX_HTTP_LOYALTY_FAILED;
    }

    arg.data = scratch.buf;
    arg.len = w.pos - w.start;

    split->op = ngx_http_loyalty_redis_call(program, split->lane, partition,
                                            drawn ? split->room->settle
                                                  : split->room->draw,
                                            scratch.call.nkeys,
                                            scratch.call.keys, &arg,
                                            ngx_http_loyalty_split_done,
                                            split, &status);

    return (split->op != NULL) ? NGX_HTTP_LOYALTY_REPLY : status;
}


/* as of a request, request.lua, and what the room adds */

static ngx_int_t
ngx_http_loyalty_split_settle_arg(ngx_http_loyalty_split_t *split,
    ngx_http_loyalty_call_t *call, loyalty_mpw_t *w)
{
    ngx_http_loyalty_program_t  *program;

    program = split->campaign->program;

    if (ngx_http_loyalty_split_keys(call, split->campaign, &split->member, 0)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    loyalty_mpw_int(w, ngx_http_loyalty_now());
    loyalty_mpw_str(w, split->needle, NGX_HTTP_LOYALTY_NEEDLE);
    loyalty_mpw_str(w, split->rest, NGX_HTTP_LOYALTY_SPLIT_REST);
    loyalty_mpw_str(w, split->member.data, split->member.len);
    loyalty_mpw_str(w, program->constants.data, program->constants.len);

    return split->room->settle_arg(split, call, w);
}


static void
ngx_http_loyalty_split_done(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_split_t *split = data;

    split->op = NULL;

    if (status == NGX_HTTP_LOYALTY_REPLY) {

        if (reply->array || reply->n != 1 || reply->values[0].len == 0) {
            status = NGX_HTTP_LOYALTY_FAILED;

        } else if (split->outcome.data != NULL) {

            if (ngx_http_loyalty_split_copy(split, &split->reply,
                                            &reply->values[0])
                != NGX_OK)
            {
                status = NGX_HTTP_LOYALTY_UNKNOWN;
            }

        } else {
            status = ngx_http_loyalty_split_next(split, &reply->values[0]);

            if (status == NGX_HTTP_LOYALTY_REPLY) {
                return;
            }
        }
    }

    split->handler(split->data, status);
}


/* what the game said; REPLY: the next step is under way */

static ngx_http_loyalty_status_e
ngx_http_loyalty_split_next(ngx_http_loyalty_split_t *split, ngx_str_t *value)
{
    ngx_int_t  rc;

    rc = split->room->drawn(split, value);

    if (rc == NGX_OK) {

        if (ngx_http_loyalty_split_copy(split, &split->outcome, value)
            != NGX_OK)
        {
            return NGX_HTTP_LOYALTY_UNKNOWN;
        }

        return ngx_http_loyalty_split_send(split);
    }

    if (rc == NGX_ERROR) {
        return NGX_HTTP_LOYALTY_FAILED;
    }

    if (split->tries++ == NGX_HTTP_LOYALTY_SPLIT_TRIES) {
        return NGX_HTTP_LOYALTY_BUSY;
    }

    return (rc == NGX_BUSY) ? ngx_http_loyalty_split_wait(split)
                            : ngx_http_loyalty_split_send(split);
}


static ngx_http_loyalty_status_e
ngx_http_loyalty_split_wait(ngx_http_loyalty_split_t *split)
{
    ngx_int_t                   rc;
    ngx_str_t                   detail;
    ngx_http_loyalty_problem_e  problem;

    split->waiter.handler = ngx_http_loyalty_split_ready;
    split->waiter.data = split;

    rc = ngx_http_loyalty_campaign_ready(split->campaign, &split->waiter,
                                         &problem, &detail);

    return (rc == NGX_OK) ? ngx_http_loyalty_split_send(split)
           : (rc == NGX_AGAIN) ? NGX_HTTP_LOYALTY_REPLY
                               : NGX_HTTP_LOYALTY_UNAVAILABLE;
}


static void
ngx_http_loyalty_split_ready(void *data)
{
    ngx_http_loyalty_split_t *split = data;

    ngx_str_t                   detail;
    ngx_http_loyalty_status_e   status;
    ngx_http_loyalty_problem_e  problem;

    status = (ngx_http_loyalty_campaign_ready(split->campaign, NULL, &problem,
                                              &detail)
              == NGX_OK)
             ? ngx_http_loyalty_split_send(split)
             : NGX_HTTP_LOYALTY_UNAVAILABLE;

    if (status != NGX_HTTP_LOYALTY_REPLY) {
        split->handler(split->data, status);
    }
}


static ngx_int_t
ngx_http_loyalty_split_copy(ngx_http_loyalty_split_t *split, ngx_str_t *dst,
    ngx_str_t *value)
{
    dst->len = value->len;
    dst->data = ngx_pstrdup(split->pool, value);

    return (dst->data != NULL) ? NGX_OK : NGX_ERROR;
}


void
ngx_http_loyalty_split_name(ngx_http_loyalty_campaign_t *campaign,
    const char *what, ngx_uint_t partition, u_char *buf, size_t size,
    ngx_str_t *key)
{
    key->data = buf;
    key->len = ngx_snprintf(buf, size, "%V:%s:%V:%*s",
                            &campaign->program->tags[partition], what,
                            &campaign->rule->name, (size_t) 2 * LOYALTY_CID,
                            campaign->hex)
               - buf;
}


ngx_int_t
ngx_http_loyalty_split_key(ngx_http_loyalty_call_t *call,
    ngx_http_loyalty_campaign_t *campaign, const char *what,
    ngx_str_t *member)
{
    u_char     buf[NGX_HTTP_LOYALTY_GAME_KEY + 64];
    ngx_str_t  key;

    ngx_http_loyalty_split_name(campaign, what,
                                loyalty_partition(member->data, member->len),
                                buf, sizeof(buf), &key);

    return ngx_http_loyalty_call_key(call, "%V", &key) == NGX_ERROR
           ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_http_loyalty_split_keys(ngx_http_loyalty_call_t *call,
    ngx_http_loyalty_campaign_t *campaign, ngx_str_t *member,
    ngx_uint_t reserve)
{
    ngx_http_loyalty_call_member(call, campaign->program, member);

    if (ngx_http_loyalty_split_key(call, campaign, "o", member) != NGX_OK) {
        return NGX_ERROR;
    }

    return reserve ? ngx_http_loyalty_split_key(call, campaign, "gone",
                                                member)
                   : NGX_OK;
}


ngx_http_loyalty_version_t *
ngx_http_loyalty_split_version(ngx_http_loyalty_split_t *split, uint32_t e)
{
    ngx_http_loyalty_version_t  *version;

    version = ngx_http_loyalty_governing(split->campaign->run, e);

    return (version != NULL)
           ? version : ngx_http_loyalty_campaign_version(split->campaign);
}
