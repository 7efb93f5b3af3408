/*
 * The keys of a call: a member's four, then those of the games that what is
 * decided may award, and the games' targets in the argument.  The layout is
 * in docs/internals.md; nothing here allocates.
 */

#include "ngx_http_loyalty_private.h"


static u_char *ngx_http_loyalty_key(u_char *p, ngx_str_t *tag,
    const char *kind, ngx_str_t *member, ngx_str_t *key);


void
ngx_http_loyalty_call_member(ngx_http_loyalty_call_t *call,
    ngx_http_loyalty_program_t *program, ngx_str_t *member)
{
    call->partition = ngx_http_loyalty_keys(program, member, call->buf,
                                            call->keys);
    call->nkeys = 4;
    call->pos = call->keys[3].data + call->keys[3].len;
}


ngx_int_t
ngx_http_loyalty_call_key(ngx_http_loyalty_call_t *call, const char *fmt, ...)
{
    u_char     *last;
    va_list     args;
    ngx_str_t  *key;

    if (call->nkeys == NGX_HTTP_LOYALTY_CALL_KEYS) {
        return NGX_ERROR;
    }

    last = call->buf + sizeof(call->buf);

    if ((size_t) (last - call->pos) > NGX_HTTP_LOYALTY_GAME_KEY) {
        last = call->pos + NGX_HTTP_LOYALTY_GAME_KEY;
    }

    key = &call->keys[call->nkeys];
    key->data = call->pos;

    va_start(args, fmt);
    call->pos = ngx_vslprintf(call->pos, last, fmt, args);
    va_end(args);

    /* a key that was cut off would be another one */

    if (call->pos == last) {
        return NGX_ERROR;
    }

    key->len = call->pos - key->data;

    return ++call->nkeys;
}


ngx_int_t
ngx_http_loyalty_call_told(ngx_http_loyalty_call_t *call,
    ngx_http_loyalty_program_t *program)
{
    return ngx_http_loyalty_call_key(call, "%V:told",
                                     &program->tags[call->partition])
           == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_http_loyalty_call_targets(ngx_http_loyalty_call_t *call,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_rule_t **rules,
    ngx_uint_t n, ngx_str_t *member, ngx_str_t *id, int64_t now,
    loyalty_mpw_t *w)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    if (n == 0) {
        loyalty_mpw_nil(w);
        return NGX_OK;
    }

    loyalty_mpw_array(w, n);

    for (i = 0; i < n; i++) {
        rc = rules[i]->game->target(program, rules[i], member, id, now, call,
                                    w);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_call_all_targets(ngx_http_loyalty_call_t *call,
    ngx_http_loyalty_program_t *program, ngx_str_t *member, ngx_str_t *id,
    int64_t now, loyalty_mpw_t *w)
{
    return ngx_http_loyalty_call_targets(call, program,
                                         program->targets.elts,
                                         program->targets.nelts, member, id,
                                         now, w);
}


ngx_uint_t
ngx_http_loyalty_keys(ngx_http_loyalty_program_t *program, ngx_str_t *member,
    u_char *buf, ngx_str_t keys[4])
{
    u_char      *p;
    ngx_str_t   *tag;
    ngx_uint_t   partition;

    partition = loyalty_partition(member->data, member->len);
    tag = &program->tags[partition];

    p = ngx_http_loyalty_key(buf, tag, ":m:", member, &keys[0]);
    p = ngx_http_loyalty_key(p, tag, ":x:", member, &keys[1]);
    p = ngx_http_loyalty_key(p, tag, ":feed", NULL, &keys[2]);
    ngx_http_loyalty_key(p, tag, ":al", NULL, &keys[3]);

    return partition;
}


static u_char *
ngx_http_loyalty_key(u_char *p, ngx_str_t *tag, const char *kind,
    ngx_str_t *member, ngx_str_t *key)
{
    key->data = p;

    p = ngx_cpymem(p, tag->data, tag->len);
    p = ngx_cpymem(p, kind, ngx_strlen(kind));

    if (member != NULL) {
        p = ngx_sprintf(p, "%uz:", member->len);
        p = ngx_cpymem(p, member->data, member->len);
    }

    key->len = p - key->data;

    return p;
}


/* "Eretry", the hash of the game, and its next record's number or nothing */

ngx_int_t
ngx_http_loyalty_call_missed(ngx_http_loyalty_program_t *program,
    ngx_str_t *value)
{
    size_t                    len;
    int64_t                   seq;
    ngx_http_loyalty_rule_t  *rule;

    static ngx_str_t  retry = ngx_string("Eretry");

    len = retry.len + NGX_HTTP_LOYALTY_HASH;

    if (value->len < len
        || ngx_memcmp(value->data, retry.data, retry.len) != 0)
    {
        return NGX_DECLINED;
    }

    rule = ngx_http_loyalty_rule_by_hash(program, value->data + retry.len);

    if (rule == NULL || rule->game->missed == NULL) {
        return NGX_DECLINED;
    }

    seq = -1;

    if (value->len > len) {
        seq = ngx_atoof(value->data + len, value->len - len);
    }

    rule->game->missed(rule, seq);

    return NGX_OK;
}


int64_t
ngx_http_loyalty_now(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (int64_t) tp->sec * 1000 + tp->msec;
}
