/*
 * Text to JSON, strictly, and what is said of a text that is refused.
 *
 * The library reads the text; what it does not tell is found before.
 */

#include "ngx_http_loyalty_event.h"


#define NGX_HTTP_LOYALTY_JSON_DEPTH     32
#define NGX_HTTP_LOYALTY_JANSSON_DEPTH  2000      /* it goes down to 2048 */
#define NGX_HTTP_LOYALTY_DETAIL         256       /* room kept for it */


typedef struct {
    ngx_uint_t                    depth;          /* the deepest */
    ngx_uint_t                    elements;       /* of the outermost array,
                                                     at least; 0: it is none,
                                                     but a single event */
    unsigned                      nul:1;
    unsigned                      open:1;         /* something is not closed */
} ngx_http_loyalty_json_scan_t;


static void ngx_http_loyalty_json_scan(ngx_str_t *text,
    ngx_http_loyalty_json_scan_t *scan);
static void ngx_http_loyalty_json_refused(ngx_http_loyalty_fault_t *fault,
    json_error_t *error);
static u_char *ngx_http_loyalty_json_pointer(u_char *p, u_char *last,
    const char *name);


void
ngx_http_loyalty_fault(ngx_http_loyalty_fault_t *fault,
    ngx_http_loyalty_problem_e problem, const char *fmt, ...)
{
    va_list  args;

    fault->problem = problem;
    fault->detail.data = fault->buf;
    ngx_str_null(&fault->pointer);

    va_start(args, fmt);
    fault->detail.len = ngx_vslprintf(fault->buf,
                                      fault->buf + sizeof(fault->buf), fmt,
                                      args)
                        - fault->buf;
    va_end(args);
}


ngx_int_t
ngx_http_loyalty_json_fault(ngx_http_loyalty_fault_t *fault,
    const char *field, const char *key, const char *fmt, ...)
{
    u_char   *p, *q, *last, *limit;
    va_list   args;

    fault->problem = NGX_HTTP_LOYALTY_P_INVALID_FIELD;

    p = fault->buf;
    last = p + sizeof(fault->buf);
    limit = last - NGX_HTTP_LOYALTY_DETAIL;

    fault->pointer.data = p;

    if (fault->item >= 0) {
        p = ngx_slprintf(p, last, "/items/%i", fault->item);
    }

    /* a name that does not fit is left out with its object named instead */

    if (field != NULL) {
        q = ngx_http_loyalty_json_pointer(p, limit, field);

        if (q != NULL && key != NULL) {
            p = q;
            q = ngx_http_loyalty_json_pointer(p, limit, key);
        }

        p = (q != NULL) ? q : p;
    }

    fault->pointer.len = p - fault->pointer.data;

    fault->detail.data = p;

    va_start(args, fmt);
    fault->detail.len = ngx_vslprintf(p, last, fmt, args) - p;
    va_end(args);

    return NGX_ERROR;
}


static u_char *
ngx_http_loyalty_json_pointer(u_char *p, u_char *last, const char *name)
{
    if (last - p < 1) {
        return NULL;
    }

    for (*p++ = '/'; *name; name++) {

        if (last - p < 2) {
            return NULL;
        }

        if (*name == '~' || *name == '/') {
            *p++ = '~';
            *p++ = (*name == '~') ? '0' : '1';
            continue;
        }

        *p++ = (u_char) *name;
    }

    return p;
}


json_t *
ngx_http_loyalty_json(ngx_str_t *text, ngx_http_loyalty_fault_t *fault)
{
    json_t                        *json;
    json_error_t                   error;
    ngx_http_loyalty_json_scan_t   scan;

    if (text->len == 0) {
        ngx_http_loyalty_fault(fault, NGX_HTTP_LOYALTY_P_INVALID_JSON,
                               "it is empty");
        return NULL;
    }

    ngx_http_loyalty_json_scan(text, &scan);

    if (scan.nul) {
        /* jansson passes over one behind a number */
        ngx_http_loyalty_fault(fault, NGX_HTTP_LOYALTY_P_INVALID_JSON,
                               "there is a NUL byte in it");
        return NULL;
    }

    if (scan.depth > NGX_HTTP_LOYALTY_JANSSON_DEPTH) {

        if (scan.open) {
            ngx_http_loyalty_fault(fault, NGX_HTTP_LOYALTY_P_INVALID_JSON,
                                   "an array or object is not closed");
            return NULL;
        }

        goto deep;
    }

    if (scan.elements > NGX_HTTP_LOYALTY_LINES) {
        ngx_http_loyalty_fault(fault, NGX_HTTP_LOYALTY_P_TOO_LARGE,
                               "at most %d events are expected",
                               NGX_HTTP_LOYALTY_LINES);
        return NULL;
    }

    if (scan.elements == 0 && text->len > NGX_HTTP_LOYALTY_TEXT) {
        ngx_http_loyalty_fault(fault, NGX_HTTP_LOYALTY_P_TOO_LARGE,
                               "an event of at most %d bytes is expected",
                               NGX_HTTP_LOYALTY_TEXT);
        return NULL;
    }

    json = json_loadb((char *) text->data, text->len,
                      JSON_REJECT_DUPLICATES|JSON_DECODE_ANY, &error);

    if (json == NULL) {
        ngx_http_loyalty_json_refused(fault, &error);
        return NULL;
    }

    if (scan.depth <= NGX_HTTP_LOYALTY_JSON_DEPTH) {
        return json;
    }

    json_decref(json);

deep:

    ngx_http_loyalty_fault(fault, NGX_HTTP_LOYALTY_P_JSON_NOT_SUPPORTED,
                           "it is nested deeper than %d levels",
                           NGX_HTTP_LOYALTY_JSON_DEPTH);
    return NULL;
}


/*
 * What jansson does not tell, or tells only after it has allocated memory
 * for all of it.  The text need not be JSON: then the figures mean nothing,
 * but jansson will refuse it anyway.
 */

static void
ngx_http_loyalty_json_scan(ngx_str_t *text,
    ngx_http_loyalty_json_scan_t *scan)
{
    u_char      *p, *last;
    ngx_uint_t   depth, array;

    ngx_memzero(scan, sizeof(ngx_http_loyalty_json_scan_t));

    p = text->data;
    last = p + text->len;
    depth = 0;
    array = 0;

    for ( /* void */ ; p < last; p++) {

        switch (*p) {

        case '\0':
            scan->nul = 1;
            break;

        case '"':
            for (p++; p < last && *p != '"'; p++) {
                if (*p == '\\') {
                    p++;

                } else if (*p == '\0') {
                    scan->nul = 1;
                }
            }

            break;

        case '[':
        case '{':
            if (depth++ == 0) {
                array = (*p == '[');
            }

            if (depth > scan->depth) {
                scan->depth = depth;
            }

            break;

        case ']':
        case '}':
            depth -= (depth > 0);
            break;

        case ',':
            if (depth == 1 && array) {
                scan->elements++;
            }

            break;
        }
    }

    scan->open = (depth > 0);
    scan->elements += array;
}


static void
ngx_http_loyalty_json_refused(ngx_http_loyalty_fault_t *fault,
    json_error_t *error)
{
    ngx_http_loyalty_problem_e  problem;

    switch (json_error_code(error)) {

    case json_error_out_of_memory:
        ngx_http_loyalty_fault(fault, NGX_HTTP_LOYALTY_P_INTERNAL,
                               "there is no memory left");
        return;

    case json_error_null_character:
    case json_error_null_byte_in_key:
        ngx_http_loyalty_fault(fault, NGX_HTTP_LOYALTY_P_JSON_NOT_SUPPORTED,
                               "line %d, column %d: \\u0000 in a string",
                               error->line, error->column);
        return;

    case json_error_duplicate_key:
    case json_error_stack_overflow:
        problem = NGX_HTTP_LOYALTY_P_JSON_NOT_SUPPORTED;
        break;

    default:
        problem = NGX_HTTP_LOYALTY_P_INVALID_JSON;
    }

    ngx_http_loyalty_fault(fault, problem, "line %d, column %d: %s",
                           error->line, error->column, error->text);
}


ngx_int_t
ngx_http_loyalty_text_check(ngx_str_t *text, size_t max)
{
    u_char    *p, *last;
    uint32_t   c;

    if (text->len == 0 || text->len > max) {
        return NGX_DECLINED;
    }

    p = text->data;
    last = p + text->len;

    while (p < last) {

        if (*p < 0x80) {
            if (*p < 0x20 || *p == 0x7f) {
                return NGX_DECLINED;
            }

            p++;
            continue;
        }

        c = ngx_utf8_decode(&p, last - p);

        if (c < 0xa0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* the depth is known to be small */

ngx_uint_t
ngx_http_loyalty_json_plain(json_t *json)
{
    size_t       i;
    json_t      *value;
    const char  *key;

    switch (json_typeof(json)) {

    case JSON_REAL:
        return 0;

    case JSON_INTEGER:
        return json_integer_value(json) <= LOYALTY_MAX_INT
               && json_integer_value(json) >= -LOYALTY_MAX_INT;

    case JSON_ARRAY:
        json_array_foreach(json, i, value) {
            if (!ngx_http_loyalty_json_plain(value)) {
                return 0;
            }
        }

        return 1;

    case JSON_OBJECT:
        json_object_foreach(json, key, value) {
            if (!ngx_http_loyalty_json_plain(value)) {
                return 0;
            }
        }

        return 1;

    default:
        return 1;
    }
}
