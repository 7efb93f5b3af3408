/*
 * Patterns of match lines: PCRE2 directly, since nginx's own regexes have no
 * limits.  Events come from outside, and a pattern that is harmless on most
 * texts can need ages for a chosen one; here it gives up after a bounded
 * number of steps, does not match, and is logged at most once a second.
 *
 * Patterns are compiled while nginx reads its configuration.  Match data and
 * the JIT's stack are made then too, and each worker uses its own copy of
 * them: it runs one match at a time.
 */

#include "ngx_http_loyalty_private.h"

#define PCRE2_CODE_UNIT_WIDTH  8
#include <pcre2.h>


#define NGX_HTTP_LOYALTY_REGEX_STEPS    10000
#define NGX_HTTP_LOYALTY_REGEX_DEPTH    1000
#define NGX_HTTP_LOYALTY_REGEX_HEAP     1024         /* kB */
#define NGX_HTTP_LOYALTY_REGEX_SUBJECT  4096         /* bytes */
#define NGX_HTTP_LOYALTY_REGEX_PATTERN  1024         /* bytes */
#define NGX_HTTP_LOYALTY_REGEX_STACK    (32 * 1024)


typedef struct {
    pcre2_match_context  *context;
    pcre2_match_data     *data;
    pcre2_jit_stack      *stack;
    time_t                logged;
    ngx_uint_t            suppressed;
} ngx_http_loyalty_regexes_t;


static void ngx_http_loyalty_regex_cleanup(void *data);
static void ngx_http_loyalty_regexes_cleanup(void *data);
static void ngx_http_loyalty_regex_runaway(
    ngx_http_loyalty_regexes_t *regexes, ngx_http_loyalty_match_t *match,
    ngx_http_loyalty_listener_t *listener, int rc);


ngx_int_t
ngx_http_loyalty_regex_compile(ngx_conf_t *cf,
    ngx_http_loyalty_match_t *match)
{
    int                  error;
    u_char               message[256];
    uint32_t             options;
    ngx_str_t           *pattern;
    PCRE2_SIZE           offset;
    pcre2_code          *code;
    ngx_pool_cleanup_t  *cln;

    pattern = &match->values[0];

    if (pattern->len > NGX_HTTP_LOYALTY_REGEX_PATTERN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too long a regular expression: at most %d bytes "
                           "are expected", NGX_HTTP_LOYALTY_REGEX_PATTERN);
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    options = PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C;

    /* variables hold any bytes; what is no UTF-8 in them never matches */

#ifdef PCRE2_MATCH_INVALID_UTF
    options |= PCRE2_MATCH_INVALID_UTF;
#endif

    if (match->op == NGX_HTTP_LOYALTY_OP_CASELESS) {
        options |= PCRE2_CASELESS;
    }

    code = pcre2_compile(pattern->data, pattern->len, options, &error,
                         &offset, NULL);

    if (code == NULL) {
        pcre2_get_error_message(error, message, sizeof(message));

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid regular expression \"%V\": %s at byte "
                           "%uz", pattern, message, (size_t) offset);
        return NGX_ERROR;
    }

    cln->handler = ngx_http_loyalty_regex_cleanup;
    cln->data = code;
    match->regex = code;

    /* where there is no JIT, PCRE2 interprets the pattern */

    error = pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);

    if (error != 0 && error != PCRE2_ERROR_JIT_BADOPTION) {
        pcre2_get_error_message(error, message, sizeof(message));

        ngx_conf_log_error(NGX_LOG_INFO, cf, 0,
                           "regular expression \"%V\" is interpreted: %s",
                           pattern, message);
    }

    return NGX_OK;
}


static void
ngx_http_loyalty_regex_cleanup(void *data)
{
    pcre2_code_free(data);
}


ngx_int_t
ngx_http_loyalty_regexes_create(ngx_pool_t *pool,
    ngx_http_loyalty_program_t *program)
{
    ngx_pool_cleanup_t          *cln;
    ngx_http_loyalty_regexes_t  *regexes;

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_http_loyalty_regexes_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    regexes = cln->data;
    ngx_memzero(regexes, sizeof(ngx_http_loyalty_regexes_t));

    cln->handler = ngx_http_loyalty_regexes_cleanup;

    /* only whether it matches is asked: room for the whole match will do */

    regexes->data = pcre2_match_data_create(1, NULL);
    regexes->context = pcre2_match_context_create(NULL);
    regexes->stack = pcre2_jit_stack_create(NGX_HTTP_LOYALTY_REGEX_STACK,
                                            8 * NGX_HTTP_LOYALTY_REGEX_STACK,
                                            NULL);

    /* without a JIT there is no stack either */

    if (regexes->data == NULL || regexes->context == NULL) {
        return NGX_ERROR;
    }

    pcre2_set_match_limit(regexes->context, NGX_HTTP_LOYALTY_REGEX_STEPS);
    pcre2_set_depth_limit(regexes->context, NGX_HTTP_LOYALTY_REGEX_DEPTH);
    pcre2_set_heap_limit(regexes->context, NGX_HTTP_LOYALTY_REGEX_HEAP);

    if (regexes->stack != NULL) {
        pcre2_jit_stack_assign(regexes->context, NULL, regexes->stack);
    }

    program->regexes = regexes;

    return NGX_OK;
}


static void
ngx_http_loyalty_regexes_cleanup(void *data)
{
    ngx_http_loyalty_regexes_t  *regexes = data;

    pcre2_match_data_free(regexes->data);
    pcre2_match_context_free(regexes->context);
    pcre2_jit_stack_free(regexes->stack);
}


ngx_int_t
ngx_http_loyalty_regex_match(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_match_t *match, ngx_http_loyalty_listener_t *listener,
    ngx_str_t *subject)
{
    int                          rc;
    ngx_http_loyalty_regexes_t  *regexes;

    regexes = program->regexes;

    if (subject->len > NGX_HTTP_LOYALTY_REGEX_SUBJECT) {
        return NGX_DECLINED;
    }

    rc = pcre2_match(match->regex, subject->data, subject->len, 0, 0,
                     regexes->data, regexes->context);

    if (rc >= 0) {
        return NGX_OK;
    }

    if (rc == PCRE2_ERROR_NOMATCH
        || (rc <= PCRE2_ERROR_UTF8_ERR1 && rc >= PCRE2_ERROR_UTF8_ERR21))
    {
        return NGX_DECLINED;
    }

    ngx_http_loyalty_regex_runaway(regexes, match, listener, rc);

    return NGX_ABORT;
}


static void
ngx_http_loyalty_regex_runaway(ngx_http_loyalty_regexes_t *regexes,
    ngx_http_loyalty_match_t *match, ngx_http_loyalty_listener_t *listener,
    int rc)
{
    u_char  message[256];

    if (regexes->logged == ngx_time()) {
        regexes->suppressed++;
        return;
    }

    pcre2_get_error_message(rc, message, sizeof(message));

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "regular expression \"%V\" of %V gave up and did not "
                  "match: %s (%ui more since the last such line), in %s:%ui",
                  &match->values[0], &listener->rule->reason, message,
                  regexes->suppressed, match->place.file, match->place.line);

    regexes->logged = ngx_time();
    regexes->suppressed = 0;
}
