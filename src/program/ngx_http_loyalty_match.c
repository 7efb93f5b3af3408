/*
 * Match lines: FIELD op VALUE.  Several lines are ANDed.  Lines about items
 * choose items: a listener that has some hears the event when at least one
 * item satisfies all of them.
 *
 * Amounts and quantities are whole numbers of their smallest unit and are
 * compared as numbers by every operator.  All other values are texts: = !=
 * in ~ and ~* compare the text, < <= > >= the decimal number it is, exactly;
 * a text that is no decimal number then does not match.  A field that the
 * event does not have matches nothing, except by !=.
 */

#include "ngx_http_loyalty_private.h"


static ngx_int_t ngx_http_loyalty_match_op(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_loyalty_op_e *op);
static ngx_int_t ngx_http_loyalty_match_values(ngx_conf_t *cf,
    ngx_http_loyalty_match_t *match, ngx_str_t *values, ngx_uint_t n);
static ngx_int_t ngx_http_loyalty_match_number(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_match_t *match,
    ngx_uint_t i);
static ngx_int_t ngx_http_loyalty_match_sort(ngx_conf_t *cf,
    ngx_http_loyalty_match_t *match);
static int ngx_libc_cdecl ngx_http_loyalty_match_number_cmp(const void *one,
    const void *two);
static ngx_int_t ngx_http_loyalty_match_line(
    ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_listener_t *listener, ngx_http_loyalty_match_t *match,
    ngx_http_loyalty_event_t *event, ngx_http_loyalty_item_t *item);
static ngx_uint_t ngx_http_loyalty_match_numbers(
    ngx_http_loyalty_match_t *match, int64_t number);
static ngx_uint_t ngx_http_loyalty_match_texts(
    ngx_http_loyalty_match_t *match, ngx_str_t *text);
static ngx_uint_t ngx_http_loyalty_match_order(ngx_http_loyalty_op_e op,
    int cmp);
static ngx_int_t ngx_http_loyalty_match_items(
    ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_listener_t *listener, ngx_http_loyalty_event_t *event,
    uint64_t items[2]);


/* in the order of ngx_http_loyalty_op_e */

static ngx_str_t  ngx_http_loyalty_ops[] = {
    ngx_string("="),
    ngx_string("!="),
    ngx_string("<"),
    ngx_string("<="),
    ngx_string(">"),
    ngx_string(">="),
    ngx_string("~"),
    ngx_string("~*"),
    ngx_string("in"),
    ngx_null_string
};


ngx_int_t
ngx_http_loyalty_match_add(ngx_conf_t *cf,
    ngx_http_loyalty_listener_t *listener, ngx_str_t *args, ngx_uint_t n)
{
    ngx_http_loyalty_match_t     *match;
    ngx_http_loyalty_block_t     *block;
    ngx_http_loyalty_variable_t  *variable;

    if (n < 3) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number of arguments in \"match\": FIELD, "
                           "an operator and VALUE are expected");
        return NGX_ERROR;
    }

    match = ngx_array_push(&listener->matches);
    if (match == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(match, sizeof(ngx_http_loyalty_match_t));
    ngx_http_loyalty_place(cf, &match->place);

    if (ngx_http_loyalty_field_parse(cf, &args[0], &match->field) != NGX_OK
        || ngx_http_loyalty_match_op(cf, &args[1], &match->op) != NGX_OK
        || ngx_http_loyalty_match_values(cf, match, &args[2], n - 2)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (match->field.item) {
        listener->item_matches++;
    }

    if (match->field.variable != NGX_CONF_UNSET) {
        block = cf->ctx;
        variable = block->program->variables.elts;
        variable[block->program->variables.nelts - 1].rule = listener->rule;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_match_inline(ngx_conf_t *cf,
    ngx_http_loyalty_listener_t *listener, ngx_str_t *args, ngx_uint_t n)
{
    ngx_uint_t  i, next;

    for (i = 0; i < n; i = next) {

        if (ngx_strcmp(args[i].data, "match") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": \"match FIELD "
                               "op VALUE\" is expected", &args[i]);
            return NGX_ERROR;
        }

        /* a field, an operator and the first value may be any word */

        for (next = ngx_min(i + 4, n); next < n; next++) {
            if (ngx_strcmp(args[next].data, "match") == 0) {
                break;
            }
        }

        if (ngx_http_loyalty_match_add(cf, listener, &args[i + 1],
                                       next - i - 1)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_match_op(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_loyalty_op_e *op)
{
    ngx_uint_t  i;

    for (i = 0; ngx_http_loyalty_ops[i].len; i++) {

        if (ngx_http_loyalty_ops[i].len == text->len
            && ngx_memcmp(ngx_http_loyalty_ops[i].data, text->data, text->len)
               == 0)
        {
            *op = i;
            return NGX_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid operator \"%V\": one of = != < <= > >= ~ ~* "
                       "in is expected", text);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_loyalty_match_values(ngx_conf_t *cf, ngx_http_loyalty_match_t *match,
    ngx_str_t *values, ngx_uint_t n)
{
    loyalty_decimal_t  decimal;

    if (match->op != NGX_HTTP_LOYALTY_OP_IN && n > 1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\": one value is expected "
                           "behind \"%V\"", &values[1],
                           &ngx_http_loyalty_ops[match->op]);
        return NGX_ERROR;
    }

    match->nvalues = n;
    match->values = ngx_palloc(cf->pool, n * sizeof(ngx_str_t));
    if (match->values == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(match->values, values, n * sizeof(ngx_str_t));

    switch (match->op) {

    case NGX_HTTP_LOYALTY_OP_REGEX:
    case NGX_HTTP_LOYALTY_OP_CASELESS:
        return ngx_http_loyalty_regex_compile(cf, match);

    case NGX_HTTP_LOYALTY_OP_LT:
    case NGX_HTTP_LOYALTY_OP_LE:
    case NGX_HTTP_LOYALTY_OP_GT:
    case NGX_HTTP_LOYALTY_OP_GE:

        if (loyalty_decimal_parse(values[0].data, values[0].len, &decimal)
            != 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value \"%V\": \"%V\" compares "
                               "numbers, a decimal number is expected",
                               &values[0], &ngx_http_loyalty_ops[match->op]);
            return NGX_ERROR;
        }

        break;

    default:
        break;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_match_resolve(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_listener_t *listener)
{
    ngx_uint_t                 i, n;
    ngx_http_loyalty_match_t  *match;

    match = listener->matches.elts;

    for (i = 0; i < listener->matches.nelts; i++) {

        if (!ngx_http_loyalty_field_is_number(&match[i].field)
            || match[i].regex != NULL)
        {
            if (ngx_http_loyalty_match_sort(cf, &match[i]) != NGX_OK) {
                return NGX_ERROR;
            }

            continue;
        }

        match[i].numbers = ngx_palloc(cf->pool,
                                      match[i].nvalues * sizeof(int64_t));
        if (match[i].numbers == NULL) {
            return NGX_ERROR;
        }

        for (n = 0; n < match[i].nvalues; n++) {
            if (ngx_http_loyalty_match_number(cf, program, &match[i], n)
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }

        ngx_qsort(match[i].numbers, match[i].nvalues, sizeof(int64_t),
                  ngx_http_loyalty_match_number_cmp);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_match_number(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_match_t *match,
    ngx_uint_t i)
{
    ngx_str_t   *value;
    ngx_uint_t   scale;

    value = &match->values[i];

    scale = (match->field.which == NGX_HTTP_LOYALTY_FIELD_AMOUNT
             || match->field.which == NGX_HTTP_LOYALTY_FIELD_ITEM_AMOUNT)
            ? program->scale : 0;

    if (loyalty_money_parse(value->data, value->len, scale,
                            &match->numbers[i])
        == LOYALTY_MONEY_OK)
    {
        return NGX_OK;
    }

    if (scale == 0) {
        ngx_http_loyalty_conf_error(cf, &match->place,
                                    "invalid value \"%V\" of \"%V\": a whole "
                                    "number is expected", value,
                                    &match->field.name);

    } else {
        ngx_http_loyalty_conf_error(cf, &match->place,
                                    "invalid value \"%V\" of \"%V\": an "
                                    "amount with at most %ui decimals is "
                                    "expected", value, &match->field.name,
                                    scale);
    }

    return NGX_ERROR;
}


/* a list may be a catalogue: each item of an event is looked up in it */

static ngx_int_t
ngx_http_loyalty_match_sort(ngx_conf_t *cf, ngx_http_loyalty_match_t *match)
{
    if (match->op != NGX_HTTP_LOYALTY_OP_IN) {
        return NGX_OK;
    }

    match->sorted = ngx_palloc(cf->pool, match->nvalues * sizeof(ngx_str_t));
    if (match->sorted == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(match->sorted, match->values,
               match->nvalues * sizeof(ngx_str_t));

    ngx_qsort(match->sorted, match->nvalues, sizeof(ngx_str_t),
              ngx_http_loyalty_text_cmp);

    return NGX_OK;
}


static int ngx_libc_cdecl
ngx_http_loyalty_match_number_cmp(const void *one, const void *two)
{
    int64_t  first, second;

    first = *(const int64_t *) one;
    second = *(const int64_t *) two;

    return (first > second) - (first < second);
}


int ngx_libc_cdecl
ngx_http_loyalty_text_cmp(const void *one, const void *two)
{
    const ngx_str_t  *first, *second;

    first = one;
    second = two;

    if (first->len != second->len) {
        return (first->len > second->len) ? 1 : -1;
    }

    return ngx_memcmp(first->data, second->data, first->len);
}


ngx_int_t
ngx_http_loyalty_match_text(ngx_pool_t *pool,
    ngx_http_loyalty_listener_t *listener, ngx_str_t *dst)
{
    u_char                    *p;
    size_t                     size;
    ngx_uint_t                 i, n;
    ngx_http_loyalty_match_t  *match;

    match = listener->matches.elts;
    size = dst->len;

    for (i = 0; i < listener->matches.nelts; i++) {

        size += sizeof(" match : in") + NGX_SIZE_T_LEN
                + match[i].field.name.len;

        for (n = 0; n < match[i].nvalues; n++) {
            size += sizeof(" :") + NGX_SIZE_T_LEN + match[i].values[n].len;
        }
    }

    p = ngx_pnalloc(pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (dst->len) {
        ngx_memcpy(p, dst->data, dst->len);
    }

    dst->data = p;
    p += dst->len;

    /* lengths keep two values apart from one with a space in it */

    for (i = 0; i < listener->matches.nelts; i++) {

        p = ngx_sprintf(p, " match %uz:%V %V", match[i].field.name.len,
                        &match[i].field.name,
                        &ngx_http_loyalty_ops[match[i].op]);

        for (n = 0; n < match[i].nvalues; n++) {
            p = ngx_sprintf(p, " %uz:%V", match[i].values[n].len,
                            &match[i].values[n]);
        }
    }

    dst->len = p - dst->data;

    return NGX_OK;
}


ngx_uint_t
ngx_http_loyalty_match_event(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_listener_t *listener, ngx_http_loyalty_event_t *event,
    uint64_t items[2])
{
    ngx_uint_t                 i;
    ngx_http_loyalty_match_t  *match;

    match = listener->matches.elts;

    for (i = 0; i < listener->matches.nelts; i++) {

        if (!match[i].field.item
            && ngx_http_loyalty_match_line(program, listener, &match[i],
                                           event, NULL)
               != NGX_OK)
        {
            return 0;
        }
    }

    return ngx_http_loyalty_match_items(program, listener, event, items)
           == NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_match_items(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_listener_t *listener, ngx_http_loyalty_event_t *event,
    uint64_t items[2])
{
    ngx_int_t                  rc;
    ngx_uint_t                 i, n;
    ngx_http_loyalty_match_t  *match;

    items[0] = 0;
    items[1] = 0;

    match = listener->matches.elts;

    for (n = 0; n < event->nitems; n++) {

        for (i = 0; i < listener->matches.nelts; i++) {

            if (!match[i].field.item) {
                continue;
            }

            rc = ngx_http_loyalty_match_line(program, listener, &match[i],
                                             event, &event->items[n]);

            if (rc == NGX_ABORT) {

                /* one runaway is enough: not again for each item */

                return NGX_DECLINED;
            }

            if (rc != NGX_OK) {
                break;
            }
        }

        if (i == listener->matches.nelts) {
            items[n / 64] |= (uint64_t) 1 << (n % 64);
        }
    }

    return (listener->item_matches == 0 || items[0] || items[1])
           ? NGX_OK : NGX_DECLINED;
}


/* NGX_OK, NGX_DECLINED, or NGX_ABORT when a pattern reached a limit */

static ngx_int_t
ngx_http_loyalty_match_line(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_listener_t *listener, ngx_http_loyalty_match_t *match,
    ngx_http_loyalty_event_t *event, ngx_http_loyalty_item_t *item)
{
    u_char     buf[NGX_HTTP_LOYALTY_DIGITS];
    int64_t    number;
    ngx_int_t  rc;
    ngx_str_t  text;

    if (match->numbers != NULL) {
        rc = ngx_http_loyalty_field_number(&match->field, event, item,
                                           &number);

    } else {
        rc = ngx_http_loyalty_field_value(&match->field, program, event, item,
                                         buf, &text);
    }

    if (rc != NGX_OK) {
        return match->op == NGX_HTTP_LOYALTY_OP_NE ? NGX_OK : NGX_DECLINED;
    }

    if (match->numbers != NULL) {
        return ngx_http_loyalty_match_numbers(match, number) ? NGX_OK
                                                             : NGX_DECLINED;
    }

    if (match->regex != NULL) {
        return ngx_http_loyalty_regex_match(program, match, listener, &text);
    }

    return ngx_http_loyalty_match_texts(match, &text) ? NGX_OK : NGX_DECLINED;
}


static ngx_uint_t
ngx_http_loyalty_match_numbers(ngx_http_loyalty_match_t *match,
    int64_t number)
{
    if (match->op != NGX_HTTP_LOYALTY_OP_IN) {
        return ngx_http_loyalty_match_order(match->op,
                                            (number > match->numbers[0])
                                            - (number < match->numbers[0]));
    }

    return bsearch(&number, match->numbers, match->nvalues, sizeof(int64_t),
                   ngx_http_loyalty_match_number_cmp)
           != NULL;
}


static ngx_uint_t
ngx_http_loyalty_match_texts(ngx_http_loyalty_match_t *match, ngx_str_t *text)
{
    loyalty_decimal_t  a, b;

    switch (match->op) {

    case NGX_HTTP_LOYALTY_OP_EQ:
        return ngx_http_loyalty_text_cmp(text, match->values) == 0;

    case NGX_HTTP_LOYALTY_OP_NE:
        return ngx_http_loyalty_text_cmp(text, match->values) != 0;

    case NGX_HTTP_LOYALTY_OP_IN:
        return bsearch(text, match->sorted, match->nvalues,
                       sizeof(ngx_str_t), ngx_http_loyalty_text_cmp)
               != NULL;

    default:
        break;
    }

    if (loyalty_decimal_parse(text->data, text->len, &a) != 0
        || loyalty_decimal_parse(match->values[0].data, match->values[0].len,
                                 &b)
           != 0)
    {
        return 0;
    }

    return ngx_http_loyalty_match_order(match->op,
                                        loyalty_decimal_cmp(&a, &b));
}


static ngx_uint_t
ngx_http_loyalty_match_order(ngx_http_loyalty_op_e op, int cmp)
{
    switch (op) {

    case NGX_HTTP_LOYALTY_OP_EQ:
        return cmp == 0;

    case NGX_HTTP_LOYALTY_OP_NE:
        return cmp != 0;

    case NGX_HTTP_LOYALTY_OP_LT:
        return cmp < 0;

    case NGX_HTTP_LOYALTY_OP_LE:
        return cmp <= 0;

    case NGX_HTTP_LOYALTY_OP_GT:
        return cmp > 0;

    default: /* NGX_HTTP_LOYALTY_OP_GE */
        return cmp >= 0;
    }
}
