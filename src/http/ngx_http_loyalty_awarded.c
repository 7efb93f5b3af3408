/*
 * Awards that brought nothing.  The member's record says so, and whoever asks
 * for it is told; here it is counted by reason, and those reasons that an
 * operator can do something about are logged, at most once a minute each; once
 * an hour, where it may be that nothing is to be done.
 */

#include "ngx_http_loyalty_games.h"
#include "ngx_http_loyalty_http.h"
#include "ngx_http_loyalty_observe.h"


typedef struct {
    ngx_str_t                     code;
    ngx_http_loyalty_stat_e       stat;
    ngx_uint_t                    level;
    ngx_uint_t                    every;          /* s; 0: no line */
} ngx_http_loyalty_award_reason_t;


static void ngx_http_loyalty_awarded_in_vain(
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_record_t *record,
    loyalty_mpr_t *r, ngx_str_t *member, ngx_log_t *log);


/* a cap is meant, and who is not eligible is nobody's business */

static const ngx_http_loyalty_award_reason_t
    ngx_http_loyalty_award_reasons[] =
{
    { ngx_string("rules_changed"), NGX_HTTP_LOYALTY_STAT_AWARD_CHANGED,
      NGX_LOG_ERR, 60 },

    { ngx_string("stale_configuration"), NGX_HTTP_LOYALTY_STAT_AWARD_STALE,
      NGX_LOG_ERR, 60 },

    { ngx_string("unavailable"), NGX_HTTP_LOYALTY_STAT_AWARD_UNAVAILABLE,
      NGX_LOG_ERR, 60 },

    { ngx_string("not_open"), NGX_HTTP_LOYALTY_STAT_AWARD_NOT_OPEN,
      NGX_LOG_WARN, 3600 },

    { ngx_string("closed"), NGX_HTTP_LOYALTY_STAT_AWARD_CLOSED,
      NGX_LOG_WARN, 3600 },

    { ngx_string("paused"), NGX_HTTP_LOYALTY_STAT_AWARD_PAUSED,
      NGX_LOG_WARN, 60 },

    { ngx_string("not_eligible"), NGX_HTTP_LOYALTY_STAT_AWARD_NOT_ELIGIBLE,
      0, 0 },

    { ngx_string("limit_reached"), NGX_HTTP_LOYALTY_STAT_AWARD_LIMIT,
      0, 0 },

    { ngx_null_string, NGX_HTTP_LOYALTY_STATS, 0, 0 }
};


void
ngx_http_loyalty_awarded(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_record_t *record, ngx_str_t *member, ngx_log_t *log)
{
    loyalty_mpr_t              r;
    ngx_http_loyalty_entry_t   entry;

    if (program->targets.nelts == 0) {
        return;
    }

    r = record->entries;

    while (ngx_http_loyalty_entry_next(&r, &entry) == NGX_OK) {
        if (entry.kind == NGX_HTTP_LOYALTY_ENTRY_REFUSED) {
            ngx_http_loyalty_awarded_in_vain(program, record, &entry.values,
                                             member, log);
        }
    }
}


static void
ngx_http_loyalty_awarded_in_vain(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_record_t *record, loyalty_mpr_t *r, ngx_str_t *member,
    ngx_log_t *log)
{
    u_char                                  shown[2][NGX_HTTP_LOYALTY_SHOWN];
    int64_t                                 slot, n;
    uint32_t                                len;
    ngx_str_t                               text[2];
    const u_char                           *code;
    ngx_atomic_uint_t                       silent;
    ngx_http_loyalty_rule_t                *rule;
    const ngx_http_loyalty_award_reason_t  *reason;

    if (loyalty_mpr_int(r, &slot) != 0
        || loyalty_mpr_int(r, &n) != 0
        || loyalty_mpr_str(r, &code, &len) != 0
        || slot < 1 || (uint64_t) slot > record->nslots)
    {
        return;
    }

    for (reason = ngx_http_loyalty_award_reasons; reason->code.len; reason++) {
        if (reason->code.len == len
            && ngx_memcmp(reason->code.data, code, len) == 0)
        {
            break;
        }
    }

    rule = ngx_http_loyalty_rule_by_hash(program,
                                         record->slots
                                         + NGX_HTTP_LOYALTY_HASH * (slot - 1));

    if (rule == NULL || reason->code.len == 0) {
        return;
    }

    ngx_http_loyalty_stat(program, reason->stat, 1);

    if (reason->every == 0
        || !ngx_http_loyalty_stat_due(program, reason->stat, reason->every,
                                      &silent))
    {
        return;
    }

    text[0] = *member;
    text[1] = record->id;

    if (text[1].len != 0 && text[1].data[0] < 0x20) {
        ngx_str_set(&text[1], "a play");            /* bytes, and no id */
    }

    ngx_http_loyalty_show(&text[0], shown[0]);
    ngx_http_loyalty_show(&text[1], shown[1]);

    ngx_log_error(reason->level, log, 0,
                  "loyalty program \"%V\": an award of %L tickets of %V to "
                  "member \"%V\" for \"%V\" brought none, reason: %V, %uA "
                  "more since the last such line",
                  &program->name, n, &rule->reason, &text[0], &text[1],
                  &reason->code, silent);
}
