/*
 * Texts of a configuration.  The first byte says what the others are: 'm'
 * lines of "match", an empty line, and an event that they are held against;
 * 'n' a whole number, 'w' a name; 'v' a configuration in which places are
 * looked for.
 */

#include <ngx_config.h>   /* before the headers of the system */
#include <stdint.h>

#include "ngx_http_loyalty_event.h"
#include "ngx_http_loyalty_private.h"
#include "loyalty_conftext.h"
#include "nginx.h"

#include "ngx_http_loyalty_json.c"
#include "ngx_http_loyalty_event_json.c"
#include "ngx_http_loyalty_conf.c"
#include "ngx_http_loyalty_field.c"
#include "ngx_http_loyalty_match.c"


#define FUZZ_WORDS  64


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_match(const uint8_t *data, size_t size);
static ngx_int_t fuzz_lines(ngx_conf_t *cf,
    ngx_http_loyalty_listener_t *listener, const uint8_t *data, size_t size);
static void fuzz_against(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_listener_t *listener, const uint8_t *data, size_t size);
static void fuzz_number(const uint8_t *data, size_t size);
static void fuzz_name(const uint8_t *data, size_t size);
static void fuzz_places(const uint8_t *data, size_t size);
static ngx_str_t fuzz_word(const uint8_t *data, size_t size);
static void fuzz_cf(ngx_conf_t *cf);


/* ---- what is not here ---- */

volatile ngx_cycle_t  *ngx_cycle;
ngx_module_t           ngx_http_core_module;


void ngx_cdecl
ngx_conf_log_error(ngx_uint_t level, ngx_conf_t *cf, ngx_err_t err,
    const char *fmt, ...)
{
    u_char   buf[NGX_MAX_CONF_ERRSTR];
    va_list  args;

    va_start(args, fmt);
    (void) ngx_vslprintf(buf, buf + sizeof(buf), fmt, args);
    va_end(args);
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
}


u_char * ngx_cdecl
ngx_snprintf(u_char *buf, size_t max, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    buf = ngx_vslprintf(buf, buf + max, fmt, args);
    va_end(args);

    return buf;
}


ngx_int_t
ngx_parse_time(ngx_str_t *line, ngx_uint_t is_sec)
{
    return NGX_ERROR;
}


ngx_int_t
ngx_strncasecmp(u_char *s1, u_char *s2, size_t n)
{
    return strncasecmp((char *) s1, (char *) s2, n);
}


ngx_int_t
ngx_http_get_variable_index(ngx_conf_t *cf, ngx_str_t *name)
{
    return name->len % 3;
}


ngx_http_variable_value_t *
ngx_http_get_indexed_variable(ngx_http_request_t *r, ngx_uint_t index)
{
    return NULL;
}


ngx_int_t
ngx_http_loyalty_regex_compile(ngx_conf_t *cf,
    ngx_http_loyalty_match_t *match)
{
    match->regex = match;

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_regex_match(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_match_t *match, ngx_http_loyalty_listener_t *listener,
    ngx_str_t *subject)
{
    static const ngx_int_t  rc[] = { NGX_OK, NGX_DECLINED, NGX_ABORT };

    return rc[subject->len % 3];
}


/* ---- match ---- */

static void
fuzz_cf(ngx_conf_t *cf)
{
    static ngx_log_t  log;

    ngx_memzero(cf, sizeof(ngx_conf_t));
    cf->log = &log;
}


static ngx_str_t
fuzz_word(const uint8_t *data, size_t size)
{
    ngx_str_t  word;

    word.len = size;
    word.data = ngx_pnalloc(NULL, size + 1);
    CHECK(word.data != NULL);

    ngx_memcpy(word.data, data, size);
    word.data[size] = '\0';

    return word;
}


static ngx_int_t
fuzz_lines(ngx_conf_t *cf, ngx_http_loyalty_listener_t *listener,
    const uint8_t *data, size_t size)
{
    size_t      i, start;
    ngx_str_t   args[FUZZ_WORDS];
    ngx_uint_t  n;

    for (i = 0, n = 0, start = 0; i <= size; i++) {

        if (i < size && data[i] != ' ' && data[i] != '\n') {
            continue;
        }

        if (i > start && n < FUZZ_WORDS) {
            args[n++] = fuzz_word(data + start, i - start);
        }

        start = i + 1;

        if (i < size && data[i] == ' ') {
            continue;
        }

        if (n && (ngx_strcmp(args[0].data, "match") == 0
                  ? ngx_http_loyalty_match_inline(cf, listener, args, n)
                  : ngx_http_loyalty_match_add(cf, listener, args, n))
                 != NGX_OK)
        {
            return NGX_ERROR;
        }

        n = 0;
    }

    return NGX_OK;
}


static void
fuzz_match(const uint8_t *data, size_t size)
{
    size_t                        lines;
    ngx_str_t                     text;
    ngx_conf_t                    cf;
    ngx_http_loyalty_rule_t       rule;
    ngx_http_loyalty_block_t      block;
    ngx_http_loyalty_program_t    program;
    ngx_http_loyalty_listener_t   listener;

    fuzz_cf(&cf);
    ngx_memzero(&rule, sizeof(rule));
    ngx_memzero(&block, sizeof(block));
    ngx_memzero(&program, sizeof(program));
    ngx_memzero(&listener, sizeof(listener));

    block.program = &program;
    block.rule = &rule;
    listener.rule = &rule;
    cf.ctx = &block;
    program.scale = 2;
    program.max_event_age = 604800000;

    CHECK(ngx_array_init(&listener.matches, NULL, 2,
                         sizeof(ngx_http_loyalty_match_t))
          == NGX_OK);
    CHECK(ngx_array_init(&program.variables, NULL, 2,
                         sizeof(ngx_http_loyalty_variable_t))
          == NGX_OK);

    for (lines = 0; lines < size; lines++) {
        if (data[lines] == '\n' && (lines + 1 == size
                                    || data[lines + 1] == '\n'))
        {
            break;
        }
    }

    if (fuzz_lines(&cf, &listener, data, lines) != NGX_OK
        || ngx_http_loyalty_match_resolve(&cf, &program, &listener) != NGX_OK)
    {
        return;
    }

    ngx_str_set(&text, "x");
    CHECK(ngx_http_loyalty_match_text(NULL, &listener, &text) == NGX_OK);
    CHECK(text.len >= 1 && text.data[0] == 'x');

    if (size - lines > 2) {
        fuzz_against(&program, &listener, data + lines + 2, size - lines - 2);
    }
}


static void
fuzz_against(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_listener_t *listener, const uint8_t *data, size_t size)
{
    json_t                            *json;
    uint64_t                           items[2], again[2];
    ngx_str_t                          text;
    ngx_uint_t                         i, heard;
    ngx_http_loyalty_event_t           event;
    ngx_http_loyalty_fault_t           fault;
    ngx_http_loyalty_captured_t        captured;
    static ngx_http_loyalty_scratch_t  scratch;

    text.data = (u_char *) data;
    text.len = size;

    json = ngx_http_loyalty_json(&text, &fault);
    if (json == NULL) {
        return;
    }

    captured.index = 1;
    ngx_str_set(&captured.value, "42.5");

    ngx_memzero(&event, sizeof(event));
    event.now = INT64_C(1790000000000);
    event.ncaptured = 1;
    event.captured = &captured;

    if (ngx_http_loyalty_event_parse(program, json, &event, &scratch, &fault)
        == NGX_OK)
    {
        heard = ngx_http_loyalty_match_event(program, listener, &event, items);
        CHECK(ngx_http_loyalty_match_event(program, listener, &event, again)
              == heard);

        for (i = heard ? event.nitems : 128; i < 128; i++) {
            CHECK((items[i / 64] & ((uint64_t) 1 << (i % 64))) == 0);
        }

        CHECK(!heard || ngx_memcmp(items, again, sizeof(items)) == 0);
    }

    json_decref(json);
}


/* ---- numbers, names, places ---- */

static void
fuzz_number(const uint8_t *data, size_t size)
{
    int64_t     number;
    ngx_str_t   word;
    ngx_conf_t  cf;

    fuzz_cf(&cf);
    word = fuzz_word(data, size);

    if (ngx_http_loyalty_number(&cf, "a", &word, 3, 1000000, &number)
        == NGX_OK)
    {
        CHECK(number >= 3 && number <= 1000000);
    }
}


static void
fuzz_name(const uint8_t *data, size_t size)
{
    u_char      hash[NGX_HTTP_LOYALTY_HASH];
    ngx_str_t   word;
    ngx_conf_t  cf;

    fuzz_cf(&cf);
    word = fuzz_word(data, size);

    if (ngx_http_loyalty_name_check(&cf, "a", &word) == NGX_OK) {
        CHECK(word.len >= 1 && word.len <= 64);
        ngx_http_loyalty_hash_name("a", &word, hash);
    }
}


static void
fuzz_places(const uint8_t *data, size_t size)
{
    size_t              i;
    unsigned            line, lines;
    ngx_str_t           text;
    loyalty_confword_t  word;
    loyalty_conftext_t  reader;

    text = fuzz_word(data, size);

    for (i = 0, lines = 1; i < size; i++) {
        lines += (data[i] == '\n');
    }

    loyalty_conftext_init(&reader, text.data, size);
    line = loyalty_conftext_variable(&reader, "loyalty_tier", 12);
    CHECK(line <= lines);

    loyalty_conftext_init(&reader, text.data, size);
    line = 1;

    while (loyalty_conftext_include(&reader, &word)) {
        CHECK(word.line >= line && word.line <= lines);
        CHECK(word.p >= text.data && word.p + word.n <= text.data + size);
        line = word.line;
    }

    CHECK(reader.pos == reader.end && reader.line == lines);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }

    switch (data[0]) {

    case 'm':
        fuzz_match(data + 1, size - 1);
        break;

    case 'n':
        fuzz_number(data + 1, size - 1);
        break;

    case 'w':
        fuzz_name(data + 1, size - 1);
        break;

    case 'v':
        fuzz_places(data + 1, size - 1);
        break;

    default:
        break;
    }

    fuzz_free();

    return 0;
}
