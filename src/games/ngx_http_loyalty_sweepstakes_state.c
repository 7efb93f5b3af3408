/*
 * What Redis keeps of a sweepstakes, read: where it stands, who has a prize,
 * and the file of picks.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_loyalty_sweepstakes.h"


#define NGX_HTTP_LOYALTY_WORDS  6                 /* of a line, at most */


static int64_t ngx_http_loyalty_standing_close(
    ngx_http_loyalty_campaign_t *campaign);
static ngx_int_t ngx_http_loyalty_picks_line(ngx_http_loyalty_picks_t *list,
    ngx_str_t *line);
static ngx_uint_t ngx_http_loyalty_picks_words(ngx_str_t *line,
    ngx_str_t *word);
static ngx_uint_t ngx_http_loyalty_picks_is(ngx_str_t *word,
    const char *text);
static ngx_int_t ngx_http_loyalty_picks_numbers(ngx_str_t *word,
    ngx_uint_t n, int64_t *numbers);
static ngx_int_t ngx_http_loyalty_picks_person(ngx_str_t *word,
    u_char *person);


ngx_int_t
ngx_http_loyalty_standing(ngx_http_loyalty_reply_t *reply,
    ngx_http_loyalty_standing_t *standing)
{
    int64_t     *number;
    ngx_uint_t   i;

    if (reply->array && reply->n == 0) {
        return NGX_DECLINED;
    }

    if (!reply->array || reply->n < NGX_HTTP_LOYALTY_STANDING_VALUES) {
        return NGX_ERROR;
    }

    /* the members of the structure are in the order of the reply */

    number = &standing->phase;

    for (i = 0; i < NGX_HTTP_LOYALTY_STANDING_VALUES; i++) {

        number[i] = ngx_atoof(reply->values[i].data, reply->values[i].len);

        if (number[i] == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    return (standing->phase > NGX_HTTP_LOYALTY_PHASE_DRAWN) ? NGX_ERROR
                                                            : NGX_OK;
}


ngx_str_t *
ngx_http_loyalty_standing_name(ngx_http_loyalty_campaign_t *campaign,
    ngx_http_loyalty_standing_t *standing)
{
    int64_t  now;

    static ngx_str_t  planned = ngx_string("planned");
    static ngx_str_t  paused = ngx_string("paused");

    static ngx_str_t  names[] = {
        ngx_string("open"),
        ngx_string("closing"),
        ngx_string("closed"),
        ngx_string("waiting"),
        ngx_string("drawn")
    };

    if (standing->phase != NGX_HTTP_LOYALTY_PHASE_OPEN) {
        return &names[standing->phase];
    }

    now = ngx_http_loyalty_now();

    /* what is held does not close */

    if (standing->paused >= NGX_HTTP_LOYALTY_REWOUND) {
        return &paused;
    }

    /* the leader has yet to begin with the close */

    if (now >= ngx_http_loyalty_standing_close(campaign)) {
        return &names[NGX_HTTP_LOYALTY_PHASE_CLOSING];
    }

    if (standing->paused) {
        return &paused;
    }

    return (now < campaign->open) ? &planned : &names[0];
}


/* by the version that holds: where the campaign is stopped, that of the
   configuration does not */

static int64_t
ngx_http_loyalty_standing_close(ngx_http_loyalty_campaign_t *campaign)
{
    ngx_http_loyalty_version_t  *version;

    version = ngx_http_loyalty_campaign_version(campaign);

    return (version != NULL) ? (int64_t) version->manifest.close
                             : campaign->close;
}


void
ngx_http_loyalty_standing_json(ngx_http_loyalty_campaign_t *campaign,
    ngx_http_loyalty_standing_t *standing,
    ngx_http_loyalty_problem_e stopped, loyalty_out_t *out)
{
    ngx_str_t  *state;

    state = ngx_http_loyalty_standing_name(campaign, standing);

    loyalty_out_lit(out, ",\"state\":");
    loyalty_out_str(out, state->data, state->len);
    ngx_http_loyalty_held_json(standing->paused, out);

    ngx_http_loyalty_stopped_json(stopped, out);
    loyalty_out_lit(out, ",\"opens\":");
    loyalty_out_time(out, campaign->open);
    loyalty_out_lit(out, ",\"closes\":");
    loyalty_out_time(out, ngx_http_loyalty_standing_close(campaign));
    loyalty_out_lit(out, ",\"entries\":");
    loyalty_out_int(out, standing->entries);
    loyalty_out_lit(out, ",\"tickets\":");
    loyalty_out_int(out, standing->tickets);
    loyalty_out_lit(out, ",\"voided\":");
    loyalty_out_int(out, standing->voided);

    if (standing->phase == NGX_HTTP_LOYALTY_PHASE_CLOSING) {
        loyalty_out_lit(out, ",\"closing\":{\"done\":");
        loyalty_out_int(out, standing->done);
        loyalty_out_lit(out, ",\"total\":");
        loyalty_out_int(out, standing->entries);
        loyalty_out_lit(out, "}");
    }

    if (standing->phase == NGX_HTTP_LOYALTY_PHASE_WAITING
        && standing->round == 0)
    {
        loyalty_out_lit(out, ",\"waiting\":{\"for\":\"timestamp\"}");

    } else if (standing->phase == NGX_HTTP_LOYALTY_PHASE_WAITING) {
        loyalty_out_lit(out, ",\"waiting\":{\"for\":\"beacon\",\"round\":");
        loyalty_out_int(out, standing->round);
        loyalty_out_lit(out, ",\"until\":");
        loyalty_out_time(out, (int64_t) loyalty_round_time(standing->round));
        loyalty_out_lit(out, "}");
    }

    if (standing->late) {
        loyalty_out_lit(out, ",\"late\":true");
    }
}


ngx_int_t
ngx_http_loyalty_held(ngx_str_t *value, ngx_http_loyalty_held_t *held)
{
    uint32_t              len;
    loyalty_mpr_t         r;
    const unsigned char  *p;

    loyalty_mpr_init(&r, value->data, value->len);

    if (loyalty_mpr_int(&r, &held->row) != 0
        || loyalty_mpr_int(&r, &held->status) != 0
        || loyalty_mpr_int(&r, &held->since) != 0
        || loyalty_mpr_str(&r, &p, &len) != 0
        || (len != 0 && len != NGX_HTTP_LOYALTY_WHO))
    {
        return NGX_ERROR;
    }

    held->who.data = (u_char *) p;
    held->who.len = len;

    return NGX_OK;
}


void
ngx_http_loyalty_prize_json(ngx_http_loyalty_campaign_t *campaign,
    int64_t row, loyalty_out_t *out)
{
    ngx_http_loyalty_version_t  *version;

    version = ngx_http_loyalty_campaign_version(campaign);

    if (version == NULL || row < 0 || row >= (int64_t) version->nrows) {
        loyalty_out_lit(out, "null");
        return;
    }

    loyalty_out_str(out, version->rows[row].name, version->rows[row].len);
}


ngx_int_t
ngx_http_loyalty_picks_read(ngx_http_loyalty_picks_t *list, ngx_pool_t *pool,
    ngx_str_t *text)
{
    u_char                   *p, *last, *end;
    ngx_str_t                 line;
    ngx_uint_t                n;
    ngx_http_loyalty_pick_t  *pick;

    ngx_memzero(list, sizeof(ngx_http_loyalty_picks_t));

    last = text->data + text->len;
    n = 0;

    for (p = text->data; p < last; p++) {
        n += (*p == LF);
    }

    /* no array has more than there are lines */

    pick = ngx_palloc(pool, 2 * (n + 1) * sizeof(ngx_http_loyalty_pick_t));
    if (pick == NULL) {
        return NGX_ERROR;
    }

    list->picks = pick;
    list->fresh = pick + n + 1;

    for (p = text->data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, LF);

        if (end == NULL) {
            return NGX_ERROR;
        }

        line.data = p;
        line.len = end - p;

        if (ngx_http_loyalty_picks_line(list, &line) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* "pick POSITION ATTEMPT TICKET SEQ PERSON" and "fresh K ..." */

static ngx_int_t
ngx_http_loyalty_picks_line(ngx_http_loyalty_picks_t *list, ngx_str_t *line)
{
    int64_t                   v[4];
    ngx_str_t                 word[NGX_HTTP_LOYALTY_WORDS];
    ngx_http_loyalty_pick_t  *pick;

    if (ngx_http_loyalty_picks_words(line, word) != NGX_HTTP_LOYALTY_WORDS) {
        return NGX_OK;
    }

    pick = ngx_http_loyalty_picks_is(&word[0], "pick")
           ? &list->picks[list->npicks++]
           : &list->fresh[list->nfresh++];

    if (ngx_http_loyalty_picks_numbers(&word[1], 4, v) != NGX_OK) {
        return NGX_ERROR;
    }

    pick->attempt = (uint32_t) v[1];
    pick->ticket = (uint64_t) v[2];
    pick->seq = (uint64_t) v[3];

    return ngx_http_loyalty_picks_person(&word[5], pick->person);
}


static ngx_uint_t
ngx_http_loyalty_picks_words(ngx_str_t *line, ngx_str_t *word)
{
    u_char      *p, *last, *end;
    ngx_uint_t   n;

    p = line->data;
    last = p + line->len;

    for (n = 0; p <= last; n++) {

        if (n == NGX_HTTP_LOYALTY_WORDS) {
            return 0;
        }

        end = ngx_strlchr(p, last, ' ');
        end = (end != NULL) ? end : last;

        word[n].data = p;
        word[n].len = end - p;

        p = end + 1;
    }

    return n;
}


static ngx_uint_t
ngx_http_loyalty_picks_is(ngx_str_t *word, const char *text)
{
    return word->len == ngx_strlen(text)
           && ngx_memcmp(word->data, text, word->len) == 0;
}


static ngx_int_t
ngx_http_loyalty_picks_numbers(ngx_str_t *word, ngx_uint_t n,
    int64_t *numbers)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {

        numbers[i] = ngx_atoof(word[i].data, word[i].len);

        if (numbers[i] == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_picks_person(ngx_str_t *word, u_char *person)
{
    return loyalty_unhex(person, LOYALTY_HASH, word->data, word->len) == 0
           ? NGX_OK : NGX_ERROR;
}
