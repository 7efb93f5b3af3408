/*
 * What others ask of a campaign beside its play, and a pause is one of them.
 */

#include "ngx_http_loyalty_draws_private.h"


static ngx_int_t ngx_http_loyalty_pause_answer(ngx_http_loyalty_ask_t *ask,
    ngx_http_loyalty_reply_t *reply, int64_t *length);


ngx_http_loyalty_ask_t *
ngx_http_loyalty_ask(ngx_http_loyalty_campaign_t *campaign,
    ngx_http_loyalty_answered_pt answered,
    ngx_http_loyalty_publish_pt handler, void *data)
{
    ngx_http_loyalty_ask_t  *ask;

    ask = ngx_alloc(sizeof(ngx_http_loyalty_ask_t), ngx_cycle->log);
    if (ask == NULL) {
        return NULL;
    }

    ask->campaign = campaign;
    ask->op = NULL;
    ask->answered = answered;
    ask->handler = handler;
    ask->data = data;

    ngx_queue_insert_tail(&campaign->program->draws->asks, &ask->queue);

    return ask;
}


ngx_http_loyalty_ask_t *
ngx_http_loyalty_ask_send(ngx_http_loyalty_ask_t *ask,
    ngx_http_loyalty_lane_e lane, ngx_http_loyalty_fn_e fn, ngx_uint_t nkeys,
    ngx_str_t *keys, ngx_str_t *arg)
{
    ngx_http_loyalty_status_e  status;

    if (ask == NULL) {
        return NULL;
    }

    ask->op = ngx_http_loyalty_redis_call(ask->campaign->program, lane,
                            ngx_http_loyalty_campaign_partition(ask->campaign),
                            fn, nkeys, keys, arg,
                            ngx_http_loyalty_ask_answered, ask, &status);

    if (ask->op == NULL) {
        ngx_http_loyalty_ask_free(ask);
        return NULL;
    }

    return ask;
}


void
ngx_http_loyalty_ask_free(ngx_http_loyalty_ask_t *ask)
{
    if (ask->op != NULL) {
        ngx_http_loyalty_redis_detach(ask->op);
    }

    ngx_queue_remove(&ask->queue);
    ngx_free(ask);
}


void
ngx_http_loyalty_ask_answered(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_ask_t *ask = data;

    void                         *own;
    int64_t                       length;
    ngx_int_t                     rc;
    ngx_http_loyalty_publish_pt   handler;

    ask->op = NULL;
    length = 0;

    rc = (status == NGX_HTTP_LOYALTY_REPLY && reply->n > 0
          && reply->values[0].data != NULL)
         ? ask->answered(ask, reply, &length) : NGX_ERROR;

    handler = ask->handler;
    own = ask->data;

    ngx_http_loyalty_ask_free(ask);

    handler(own, rc, length);
}


ngx_int_t
ngx_http_loyalty_campaign_pause(ngx_http_loyalty_campaign_t *campaign,
    ngx_http_loyalty_paused_e paused, ngx_http_loyalty_publish_pt handler,
    void *data)
{
    u_char                   buf[NGX_HTTP_LOYALTY_CAMPAIGN_KEY], text[16];
    ngx_str_t                key, arg;
    loyalty_mpw_t            w;
    ngx_http_loyalty_ask_t  *ask;

    ngx_http_loyalty_campaign_key(campaign, "s", -1, buf, &key);

    loyalty_mpw_init(&w, text, sizeof(text));
    loyalty_mpw_int(&w, paused);

    arg.data = text;
    arg.len = w.pos - w.start;

    ask = ngx_http_loyalty_ask(campaign, ngx_http_loyalty_pause_answer,
                               handler, data);

    return ngx_http_loyalty_ask_send(ask, NGX_HTTP_LOYALTY_INTERACTIVE,
                                     NGX_HTTP_LOYALTY_FN_PAUSE, 1, &key,
                                     &arg)
           != NULL ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_loyalty_pause_answer(ngx_http_loyalty_ask_t *ask,
    ngx_http_loyalty_reply_t *reply, int64_t *length)
{
    *length = (reply->values[0].data[0] != 'N');

    return NGX_OK;
}


void
ngx_http_loyalty_held_json(int64_t paused, loyalty_out_t *out)
{
    if (paused >= NGX_HTTP_LOYALTY_DAMAGED) {
        loyalty_out_lit(out, ",\"held\":\"damaged\"");

    } else if (paused == NGX_HTTP_LOYALTY_REWOUND) {
        loyalty_out_lit(out, ",\"held\":\"rewound\"");
    }
}


void
ngx_http_loyalty_stopped_json(ngx_http_loyalty_problem_e stopped,
    loyalty_out_t *out)
{
    ngx_str_t  *code;

    if (stopped != NGX_HTTP_LOYALTY_P_NONE) {
        code = &ngx_http_loyalty_problems[stopped].code;

        loyalty_out_lit(out, ",\"stopped\":");
        loyalty_out_str(out, code->data, code->len);
    }
}
