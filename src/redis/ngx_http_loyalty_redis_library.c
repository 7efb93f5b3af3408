/*
 * The function library: when Redis does not know a function, because it is
 * new, was flushed, restarted without its data or failed over, the library is
 * loaded and the calls are sent again, in their order.
 *
 * While FUNCTION LOAD is under way no call is sent.  Its answer comes after
 * those of all calls sent before it, so by then every call that found no
 * function has been held, and they go back to the front of the queue together.
 */


#include "ngx_http_loyalty_redis_private.h"
#include "loyalty_library.h"


static ngx_int_t ngx_http_loyalty_library_send(ngx_http_loyalty_link_t *link);
static ngx_int_t ngx_http_loyalty_library_loaded(
    ngx_http_loyalty_link_t *link, loyalty_resp_reply_t *reply);


#define ngx_http_loyalty_function(name, flags)                               \
    { ngx_string(name "_" LOYALTY_LIBRARY_HASH), flags }

#define ngx_http_loyalty_no_function  { ngx_null_string, 0 }


const ngx_http_loyalty_function_t  ngx_http_loyalty_functions[] = {
    ngx_http_loyalty_function("event", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("reverse", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("history", NGX_HTTP_LOYALTY_READS),
    ngx_http_loyalty_no_function,                     /* GET */
    ngx_http_loyalty_no_function,                     /* other */
    ngx_http_loyalty_no_function,                     /* draw */
    ngx_http_loyalty_function("enter", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("redeem", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("play", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_no_function,                     /* the number of fns */
    ngx_http_loyalty_function("import", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("adjust", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("grant", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("erase", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("note", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("once", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("store", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("left", NGX_HTTP_LOYALTY_READS),
    ngx_http_loyalty_function("sweepstakes", NGX_HTTP_LOYALTY_READS),
    ngx_http_loyalty_function("closing", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("slice", NGX_HTTP_LOYALTY_READS),
    ngx_http_loyalty_function("covered", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("closed", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("waiting", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("owners", NGX_HTTP_LOYALTY_READS),
    ngx_http_loyalty_function("drawn", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("winners", NGX_HTTP_LOYALTY_READS),
    ngx_http_loyalty_function("claim", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("disqualify", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("again", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("fresh", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("unclaimed", NGX_HTTP_LOYALTY_READS),
    ngx_http_loyalty_function("moments", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("campaign", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("register", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("stamped", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("over", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("reveal", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("tree", NGX_HTTP_LOYALTY_READS),
    ngx_http_loyalty_function("head", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("used", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("publish", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("pause", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("piece", NGX_HTTP_LOYALTY_READS),
    ngx_http_loyalty_function("fields", NGX_HTTP_LOYALTY_READS),
    ngx_http_loyalty_function("lease", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("games", NGX_HTTP_LOYALTY_READS),
    ngx_http_loyalty_function("game", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("lengths", NGX_HTTP_LOYALTY_READS),
    ngx_http_loyalty_function("evidence", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("line", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("open", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("pending", NGX_HTTP_LOYALTY_READS),
    ngx_http_loyalty_function("forget", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("play_reserve", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("play_draw", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("play_settle", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("enter_reserve", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("enter_draw", NGX_HTTP_LOYALTY_WRITES),
    ngx_http_loyalty_function("enter_settle", NGX_HTTP_LOYALTY_WRITES)
};


const ngx_str_t  ngx_http_loyalty_library_hash =
    ngx_string(LOYALTY_LIBRARY_HASH);


ngx_uint_t
ngx_http_loyalty_library_missing(loyalty_resp_reply_t *reply)
{
    return ngx_http_loyalty_error_is(reply, "ERR Function not found");
}


ngx_int_t
ngx_http_loyalty_library_load(ngx_http_loyalty_link_t *link,
    ngx_http_loyalty_op_t *op)
{
    ngx_http_loyalty_stat(link->redis->program,
                          NGX_HTTP_LOYALTY_STAT_ERR_NOFUNCTION, 1);

    link->proven = 0;
    link->probing = 0;

    /* nothing was run: a caller that has gone gets what it was told */

    if (op->handler == NULL || op->due) {
        ngx_http_loyalty_op_move(op, NGX_HTTP_LOYALTY_LIST_NONE);
        ngx_http_loyalty_op_release(op);

    } else if (link->state == NGX_HTTP_LOYALTY_LINK_DRAINING) {
        ngx_http_loyalty_op_finish(op, NGX_HTTP_LOYALTY_UNAVAILABLE);
        ngx_http_loyalty_op_move(op, NGX_HTTP_LOYALTY_LIST_NONE);
        ngx_http_loyalty_op_release(op);
        return NGX_OK;

    } else if (++op->tries >= NGX_HTTP_LOYALTY_REDIS_TRIES) {
        ngx_http_loyalty_trouble(link, NGX_HTTP_LOYALTY_TROUBLE_LIBRARY,
                                 "redis loses the function library again and "
                                 "again");
        ngx_http_loyalty_op_finish(op, NGX_HTTP_LOYALTY_FAILED);
        ngx_http_loyalty_op_move(op, NGX_HTTP_LOYALTY_LIST_NONE);
        ngx_http_loyalty_op_release(op);

    } else {
        ngx_http_loyalty_op_move(op, NGX_HTTP_LOYALTY_LIST_HELD);
    }

    if (link->loading) {
        return NGX_OK;
    }

    if (link->load_failed
        && ngx_current_msec - link->load_failed_at
           < NGX_HTTP_LOYALTY_REDIS_RELOAD)
    {
        ngx_http_loyalty_lists_fail_one(link, NGX_HTTP_LOYALTY_LIST_HELD,
                                        NGX_HTTP_LOYALTY_FAILED);
        ngx_post_event(&link->flush, &ngx_posted_events);
        return NGX_OK;
    }

    return ngx_http_loyalty_library_send(link);
}


static ngx_int_t
ngx_http_loyalty_library_send(ngx_http_loyalty_link_t *link)
{
    ngx_str_t  args[3];

    ngx_str_set(&args[0], "FUNCTION");
    ngx_str_set(&args[1], "LOAD");

    args[2].data = (u_char *) loyalty_library;
    args[2].len = LOYALTY_LIBRARY_LEN;

    if (ngx_http_loyalty_op_own(link, 3, args,
                                ngx_http_loyalty_library_loaded)
        == NULL)
    {
        return NGX_ERROR;
    }

    link->loading = 1;

    ngx_http_loyalty_stat(link->redis->program,
                          NGX_HTTP_LOYALTY_STAT_LOADS, 1);
    ngx_log_error(NGX_LOG_NOTICE, &link->log, 0,
                  "loading function library loyalty_" LOYALTY_LIBRARY_HASH);

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_library_loaded(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply)
{
    size_t                  len;
    ngx_queue_t            *held;
    ngx_http_loyalty_op_t  *op;

    held = &link->lists[NGX_HTTP_LOYALTY_LIST_HELD];

    link->loading = 0;
    link->load_failed = 0;

    ngx_post_event(&link->flush, &ngx_posted_events);

    /* "already exists": another worker was first, and that is as good */

    if (ngx_http_loyalty_error(reply)
        && ngx_strlcasestrn((u_char *) reply->values[0].data,
                            (u_char *) reply->values[0].data
                            + reply->values[0].len,
                            (u_char *) "already exists",
                            sizeof("already exists") - 2)
           == NULL)
    {
        len = ngx_min(reply->values[0].len, 1024);

        ngx_http_loyalty_trouble(link, NGX_HTTP_LOYALTY_TROUBLE_LIBRARY,
                                 "redis refused FUNCTION LOAD: \"%*s\"", len,
                                 reply->values[0].data);

        link->load_failed = 1;
        link->load_failed_at = ngx_current_msec;

        ngx_http_loyalty_lists_fail_one(link, NGX_HTTP_LOYALTY_LIST_HELD,
                                        NGX_HTTP_LOYALTY_FAILED);
        return NGX_OK;
    }

    link->proven = 1;

    while (!ngx_queue_empty(held)) {
        op = ngx_queue_data(ngx_queue_last(held), ngx_http_loyalty_op_t,
                            queue);

        ngx_http_loyalty_op_back(op);
    }

    return NGX_OK;
}
