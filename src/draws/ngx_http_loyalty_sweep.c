/*
 * The leader looks for reservations that were cut off: the worker or the
 * client had gone, or Redis was away between two steps.  Nothing is drawn for
 * them any more; what was drawn is settled, and all else is given back.
 *
 * Each pass asks for the lists of some partitions, so that it takes a few
 * passes to see them all.  After that, what was decided about reservations
 * which are older than any that can be open is forgotten.
 */

#include "ngx_http_loyalty_draws_private.h"
#include "ngx_http_loyalty_split.h"


#define NGX_HTTP_LOYALTY_SWEEP_LISTS   16         /* in a pass */
#define NGX_HTTP_LOYALTY_SWEEP_MOST    64         /* of a list in a pass */
#define NGX_HTTP_LOYALTY_SWEEP_AGE     5000       /* ms: of a step nobody makes
                                                     any more */
#define NGX_HTTP_LOYALTY_SWEEP_FORGET  60000      /* ms */
#define NGX_HTTP_LOYALTY_SWEEP_KEY     256


struct ngx_http_loyalty_sweep_s {
    ngx_uint_t                    partition;      /* the next one */
    ngx_uint_t                    lists;          /* seen in this pass */
    int64_t                       begun;          /* ms: with partition 0 */
    unsigned                      unsure:1;       /* something stayed open */

    ngx_pool_t                   *pool;           /* of the list at hand */
    ngx_uint_t                    nmembers;
    ngx_str_t                    *members;
    ngx_uint_t                    i;              /* of them */
    ngx_http_loyalty_split_t     *split;          /* under way */
};


static ngx_int_t ngx_http_loyalty_sweep_list(ngx_http_loyalty_lead_t *lead);
static void ngx_http_loyalty_sweep_listed(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_sweep_members(
    ngx_http_loyalty_lead_t *lead, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_sweep_next(ngx_http_loyalty_lead_t *lead);
static ngx_int_t ngx_http_loyalty_sweep_member(ngx_http_loyalty_lead_t *lead);
static void ngx_http_loyalty_sweep_opened(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_sweep_resume(ngx_http_loyalty_lead_t *lead,
    ngx_str_t *value);
static void ngx_http_loyalty_sweep_over(void *data,
    ngx_http_loyalty_status_e status);
static ngx_int_t ngx_http_loyalty_sweep_forget(ngx_http_loyalty_lead_t *lead);
static void ngx_http_loyalty_sweep_forgot(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static void ngx_http_loyalty_sweep_done(ngx_http_loyalty_lead_t *lead,
    ngx_int_t rc);
static ngx_int_t ngx_http_loyalty_sweep_call(ngx_http_loyalty_lead_t *lead,
    ngx_http_loyalty_fn_e fn, ngx_uint_t partition, ngx_uint_t nkeys,
    ngx_str_t *keys, loyalty_mpw_t *w,
    ngx_http_loyalty_op_handler_pt handler);


/* a step of the leader's pass */

ngx_int_t
ngx_http_loyalty_lead_sweep(ngx_http_loyalty_lead_t *lead)
{
    if (!lead->campaign->program->split || lead->campaign->room == NULL) {
        return NGX_OK;
    }

    if (lead->sweep == NULL) {
        lead->sweep = ngx_pcalloc(ngx_cycle->pool,
                                  sizeof(ngx_http_loyalty_sweep_t));
        if (lead->sweep == NULL) {
            return NGX_ERROR;
        }
    }

    lead->sweep->lists = 0;

    return ngx_http_loyalty_sweep_list(lead);
}


void
ngx_http_loyalty_sweep_free(ngx_http_loyalty_lead_t *lead)
{
    ngx_http_loyalty_sweep_t  *sweep;

    sweep = lead->sweep;

    if (sweep == NULL || sweep->pool == NULL) {
        return;
    }

    if (sweep->split != NULL) {
        ngx_http_loyalty_split_stop(sweep->split);
        sweep->split = NULL;
    }

    ngx_destroy_pool(sweep->pool);
    sweep->pool = NULL;
}


static ngx_int_t
ngx_http_loyalty_sweep_list(ngx_http_loyalty_lead_t *lead)
{
    u_char                     buf[32], name[NGX_HTTP_LOYALTY_SWEEP_KEY];
    ngx_str_t                  key;
    loyalty_mpw_t              w;
    ngx_http_loyalty_sweep_t  *sweep;

    sweep = lead->sweep;

    if (sweep->partition == 0) {
        sweep->begun = ngx_http_loyalty_now();
        sweep->unsure = 0;
    }

    ngx_http_loyalty_split_name(lead->campaign, "o", sweep->partition, name,
                                sizeof(name), &key);

    loyalty_mpw_init(&w, buf, sizeof(buf));
    loyalty_mpw_int(&w, ngx_http_loyalty_now() - NGX_HTTP_LOYALTY_SWEEP_AGE);
    loyalty_mpw_int(&w, NGX_HTTP_LOYALTY_SWEEP_MOST);

    return ngx_http_loyalty_sweep_call(lead, NGX_HTTP_LOYALTY_FN_PENDING,
                                       sweep->partition, 1, &key, &w,
                                       ngx_http_loyalty_sweep_listed);
}


static void
ngx_http_loyalty_sweep_listed(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_lead_t *lead = data;

    ngx_int_t  rc;

    lead->op = NULL;

    if (status != NGX_HTTP_LOYALTY_REPLY) {
        ngx_http_loyalty_sweep_done(lead, NGX_ERROR);
        return;
    }

    rc = (reply->n == 0) ? ngx_http_loyalty_sweep_next(lead)
                         : ngx_http_loyalty_sweep_members(lead, reply);

    if (rc != NGX_AGAIN) {
        ngx_http_loyalty_sweep_done(lead, rc);
    }
}


static ngx_int_t
ngx_http_loyalty_sweep_members(ngx_http_loyalty_lead_t *lead,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_uint_t                 i;
    ngx_http_loyalty_sweep_t  *sweep;

    sweep = lead->sweep;

    ngx_http_loyalty_sweep_free(lead);

    sweep->pool = ngx_create_pool(4096, lead->leader->log);
    if (sweep->pool == NULL) {
        return NGX_ERROR;
    }

    sweep->members = ngx_palloc(sweep->pool, reply->n * sizeof(ngx_str_t));
    if (sweep->members == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < reply->n; i++) {
        sweep->members[i].len = reply->values[i].len;
        sweep->members[i].data = ngx_pstrdup(sweep->pool, &reply->values[i]);

        if (sweep->members[i].data == NULL) {
            return NGX_ERROR;
        }
    }

    sweep->nmembers = reply->n;
    sweep->i = 0;

    if (reply->n == NGX_HTTP_LOYALTY_SWEEP_MOST) {
        sweep->unsure = 1;
    }

    return ngx_http_loyalty_sweep_member(lead);
}


/* the list at hand is done */

static ngx_int_t
ngx_http_loyalty_sweep_next(ngx_http_loyalty_lead_t *lead)
{
    ngx_http_loyalty_sweep_t  *sweep;

    sweep = lead->sweep;

    ngx_http_loyalty_sweep_free(lead);

    sweep->partition = (sweep->partition + 1) % LOYALTY_PARTITIONS;

    if (sweep->partition == 0 && !sweep->unsure) {
        return ngx_http_loyalty_sweep_forget(lead);
    }

    if (++sweep->lists < NGX_HTTP_LOYALTY_SWEEP_LISTS) {
        return ngx_http_loyalty_sweep_list(lead);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_sweep_member(ngx_http_loyalty_lead_t *lead)
{
    u_char                      *buf;
    size_t                       size;
    ngx_str_t                   *member, keys[2];
    loyalty_mpw_t                w;
    ngx_http_loyalty_call_t      call;
    ngx_http_loyalty_sweep_t    *sweep;
    ngx_http_loyalty_program_t  *program;

    sweep = lead->sweep;
    program = lead->campaign->program;

    if (sweep->i == sweep->nmembers) {
        return ngx_http_loyalty_sweep_next(lead);
    }

    member = &sweep->members[sweep->i];

    ngx_http_loyalty_call_member(&call, program, member);

    keys[0] = call.keys[0];
    call.nkeys = 1;

    if (ngx_http_loyalty_split_key(&call, lead->campaign, "o", member)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    keys[1] = call.keys[1];

    size = program->constants.len + member->len + 64;

    buf = ngx_palloc(sweep->pool, size);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    loyalty_mpw_init(&w, buf, size);
    loyalty_mpw_str(&w, program->constants.data, program->constants.len);
    loyalty_mpw_str(&w, lead->campaign->rule->hash, NGX_HTTP_LOYALTY_HASH);
    loyalty_mpw_str(&w, member->data, member->len);

    return ngx_http_loyalty_sweep_call(lead, NGX_HTTP_LOYALTY_FN_OPEN,
                                       call.partition, 2, keys, &w,
                                       ngx_http_loyalty_sweep_opened);
}


static void
ngx_http_loyalty_sweep_opened(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_lead_t *lead = data;

    ngx_int_t   rc;
    ngx_str_t  *value;

    lead->op = NULL;
    value = reply->values;

    if (status != NGX_HTTP_LOYALTY_REPLY || reply->n != 1 || value->len == 0)
    {
        ngx_http_loyalty_sweep_done(lead, NGX_ERROR);
        return;
    }

    if (value->data[0] == 'O') {
        rc = ngx_http_loyalty_sweep_resume(lead, value);

    } else {
        lead->sweep->i++;
        rc = ngx_http_loyalty_sweep_member(lead);
    }

    if (rc != NGX_AGAIN) {
        ngx_http_loyalty_sweep_done(lead, rc);
    }
}


static ngx_int_t
ngx_http_loyalty_sweep_resume(ngx_http_loyalty_lead_t *lead, ngx_str_t *value)
{
    ngx_str_t                  reservation;
    ngx_http_loyalty_split_t  *split;
    ngx_http_loyalty_sweep_t  *sweep;

    sweep = lead->sweep;

    split = ngx_http_loyalty_split_create(sweep->pool, lead->campaign->room,
                                          lead->campaign,
                                          &sweep->members[sweep->i]);
    if (split == NULL) {
        return NGX_ERROR;
    }

    split->lane = NGX_HTTP_LOYALTY_BULK;
    split->handler = ngx_http_loyalty_sweep_over;
    split->data = lead;

    reservation.data = value->data + 1;
    reservation.len = value->len - 1;

    if (ngx_http_loyalty_split_open(split, &reservation) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, lead->leader->log, 0,
                      "what member \"%V\" reserved in %V is not understood",
                      &split->member, &lead->campaign->rule->reason);

        sweep->unsure = 1;
        sweep->i++;

        return ngx_http_loyalty_sweep_member(lead);
    }

    /* a new one, of a member whose old one has ended meanwhile */

    if (split->t > ngx_http_loyalty_now() - NGX_HTTP_LOYALTY_SWEEP_AGE) {
        sweep->i++;

        return ngx_http_loyalty_sweep_member(lead);
    }

    split->late = 1;
    sweep->split = split;

    return ngx_http_loyalty_split_go(split) == NGX_HTTP_LOYALTY_REPLY
           ? NGX_AGAIN : NGX_ERROR;
}


static void
ngx_http_loyalty_sweep_over(void *data, ngx_http_loyalty_status_e status)
{
    ngx_http_loyalty_lead_t *lead = data;

    ngx_int_t                  rc;
    ngx_http_loyalty_split_t  *split;
    ngx_http_loyalty_sweep_t  *sweep;

    sweep = lead->sweep;
    split = sweep->split;
    sweep->split = NULL;

    if (status != NGX_HTTP_LOYALTY_REPLY || split->reply.data[0] == 'E') {
        ngx_log_error(NGX_LOG_ERR, lead->leader->log, 0,
                      "what was cut off of member \"%V\" in %V stays open",
                      &split->member, &lead->campaign->rule->reason);
        sweep->unsure = 1;

    } else {
        ngx_log_error(NGX_LOG_NOTICE, lead->leader->log, 0,
                      "what was cut off of member \"%V\" in %V is %s",
                      &split->member, &lead->campaign->rule->reason,
                      split->outcome.data[0] == 'P' ? "settled"
                                                    : "given back");
    }

    if (status != NGX_HTTP_LOYALTY_REPLY) {
        ngx_http_loyalty_sweep_done(lead, NGX_ERROR);
        return;
    }

    sweep->i++;
    rc = ngx_http_loyalty_sweep_member(lead);

    if (rc != NGX_AGAIN) {
        ngx_http_loyalty_sweep_done(lead, rc);
    }
}


/* all lists were seen, and nothing as old as that is open */

static ngx_int_t
ngx_http_loyalty_sweep_forget(ngx_http_loyalty_lead_t *lead)
{
    u_char         buf[32], name[NGX_HTTP_LOYALTY_CAMPAIGN_KEY];
    ngx_str_t      key;
    loyalty_mpw_t  w;

    ngx_http_loyalty_campaign_key(lead->campaign, "d", -1, name, &key);

    loyalty_mpw_init(&w, buf, sizeof(buf));
    loyalty_mpw_int(&w, lead->sweep->begun - NGX_HTTP_LOYALTY_SWEEP_FORGET);

    return ngx_http_loyalty_sweep_call(lead, NGX_HTTP_LOYALTY_FN_FORGET,
                           ngx_http_loyalty_campaign_partition(lead->campaign),
                           1, &key, &w, ngx_http_loyalty_sweep_forgot);
}


static void
ngx_http_loyalty_sweep_forgot(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_lead_t *lead = data;

    lead->op = NULL;

    ngx_http_loyalty_lead_next(lead, status == NGX_HTTP_LOYALTY_REPLY
                                     ? NGX_OK : NGX_ERROR);
}


static void
ngx_http_loyalty_sweep_done(ngx_http_loyalty_lead_t *lead, ngx_int_t rc)
{
    ngx_http_loyalty_sweep_free(lead);
    ngx_http_loyalty_lead_next(lead, rc);
}


static ngx_int_t
ngx_http_loyalty_sweep_call(ngx_http_loyalty_lead_t *lead,
    ngx_http_loyalty_fn_e fn, ngx_uint_t partition, ngx_uint_t nkeys,
    ngx_str_t *keys, loyalty_mpw_t *w, ngx_http_loyalty_op_handler_pt handler)
{
    ngx_str_t                  arg;
    ngx_http_loyalty_status_e  status;

    if (w->failed) {
        return NGX_ERROR;
    }

    arg.data = w->start;
    arg.len = w->pos - w->start;

    lead->op = ngx_http_loyalty_redis_call(lead->campaign->program,
                                           NGX_HTTP_LOYALTY_BULK, partition,
                                           fn, nkeys, keys, &arg, handler,
                                           lead, &status);

    return (lead->op != NULL) ? NGX_AGAIN : NGX_ERROR;
}
