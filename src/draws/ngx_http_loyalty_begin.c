/*
 * A campaign that Redis does not know is begun, unless that cannot be meant:
 * members of this nginx were told of its records already, or another campaign
 * of the same name goes on.  A changed "open" would begin that one's stock
 * and limits anew beside it.
 */

#include "ngx_http_loyalty_draws_private.h"


/* what {PROGRAM}:games says of one: OPEN KIND STATE CLOSE */

typedef struct {
    int64_t                       open;
    int64_t                       close;
    ngx_str_t                     state;
} ngx_http_loyalty_begun_t;


static void ngx_http_loyalty_begin_known(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static ngx_uint_t ngx_http_loyalty_begin_same(
    ngx_http_loyalty_campaign_t *campaign, ngx_str_t *name);
static ngx_uint_t ngx_http_loyalty_begin_goes_on(ngx_str_t *value,
    ngx_http_loyalty_begun_t *begun);
static ngx_int_t ngx_http_loyalty_begin_read(ngx_str_t *value,
    ngx_http_loyalty_begun_t *begun);


void
ngx_http_loyalty_begin(ngx_http_loyalty_run_t *run)
{
    u_char                      name[128];
    ngx_str_t                   key, arg;
    ngx_http_loyalty_status_e   status;

    if (ngx_http_loyalty_campaign_seen(run->campaign) > 0) {
        ngx_http_loyalty_run_settle(run, NGX_HTTP_LOYALTY_RUN_LOST,
                                    "Redis has lost it: its data must come "
                                    "back, a campaign is not begun twice");
        return;
    }

    key.data = name;
    key.len = ngx_sprintf(name, "{%V}:games", &run->campaign->program->name)
              - name;

    ngx_str_set(&arg, "\xc0");

    run->op = ngx_http_loyalty_redis_call(run->campaign->program,
                                          NGX_HTTP_LOYALTY_INTERACTIVE, 0,
                                          NGX_HTTP_LOYALTY_FN_GAMES, 1, &key,
                                          &arg, ngx_http_loyalty_begin_known,
                                          run, &status);

    if (run->op == NULL) {
        ngx_http_loyalty_run_wake(run);
    }
}


static void
ngx_http_loyalty_begin_known(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_run_t *run = data;

    ngx_tm_t                   tm;
    ngx_uint_t                 i;
    ngx_http_loyalty_begun_t   begun;

    run->op = NULL;

    if (status != NGX_HTTP_LOYALTY_REPLY || !reply->array) {
        ngx_http_loyalty_run_wake(run);
        return;
    }

    for (i = 0; i + 1 < reply->n; i += 2) {

        if (!ngx_http_loyalty_begin_same(run->campaign, &reply->values[i])
            || !ngx_http_loyalty_begin_goes_on(&reply->values[i + 1], &begun))
        {
            continue;
        }

        ngx_gmtime((time_t) (begun.open / 1000), &tm);

        ngx_http_loyalty_run_settle(run, NGX_HTTP_LOYALTY_RUN_REOPENED,
                                    "a campaign of this name goes on, with "
                                    "\"open %4d-%02d-%02dT%02d:%02d:%02dZ;\": "
                                    "restore it, with a new \"version\" for "
                                    "other terms, or give this one another "
                                    "name", tm.ngx_tm_year, tm.ngx_tm_mon,
                                    tm.ngx_tm_mday, tm.ngx_tm_hour,
                                    tm.ngx_tm_min, tm.ngx_tm_sec);
        return;
    }

    run->begins = 1;

    if (ngx_http_loyalty_run_ask(run) != NGX_OK) {
        ngx_http_loyalty_run_wake(run);
    }
}


/* GAME/CID: the same name, another campaign */

static ngx_uint_t
ngx_http_loyalty_begin_same(ngx_http_loyalty_campaign_t *campaign,
    ngx_str_t *name)
{
    size_t      len;
    ngx_str_t  *own;

    own = &campaign->rule->name;
    len = own->len + 1 + 2 * LOYALTY_CID;

    return name->len == len
           && ngx_memcmp(name->data, own->data, own->len) == 0
           && name->data[own->len] == '/'
           && ngx_memcmp(name->data + own->len + 1, campaign->hex,
                         2 * LOYALTY_CID)
              != 0;
}


/* one that has not opened yet has sold nothing */

static ngx_uint_t
ngx_http_loyalty_begin_goes_on(ngx_str_t *value,
    ngx_http_loyalty_begun_t *begun)
{
    int64_t     now;
    ngx_str_t  *state;

    if (ngx_http_loyalty_begin_read(value, begun) != NGX_OK) {
        return 0;
    }

    now = ngx_http_loyalty_now();
    state = &begun->state;

    /* a sweepstakes is over when it is drawn, and has a close of 0 here */

    return now >= begun->open
           && (begun->close == 0 || now < begun->close)
           && !(state->len == 4 && ngx_memcmp(state->data, "over", 4) == 0)
           && !(state->len == 5 && ngx_memcmp(state->data, "drawn", 5) == 0);
}


static ngx_int_t
ngx_http_loyalty_begin_read(ngx_str_t *value, ngx_http_loyalty_begun_t *begun)
{
    u_char      *p, *end, *last;
    ngx_str_t    word[4];
    ngx_uint_t   n;

    ngx_memzero(word, sizeof(word));

    last = value->data + value->len;

    for (p = value->data, n = 0; p <= last && n < 4; p = end + 1, n++) {

        end = ngx_strlchr(p, last, ' ');
        if (end == NULL) {
            end = last;
        }

        word[n].data = p;
        word[n].len = end - p;
    }

    begun->open = ngx_atoof(word[0].data, word[0].len);
    begun->close = word[3].len ? ngx_atoof(word[3].data, word[3].len) : 0;
    begun->state = word[2];

    if (word[1].len == 11 && ngx_memcmp(word[1].data, "sweepstakes", 11) == 0)
    {
        begun->close = 0;
    }

    return (begun->open == NGX_ERROR || begun->close == NGX_ERROR
            || begun->state.len == 0) ? NGX_ERROR : NGX_OK;
}
