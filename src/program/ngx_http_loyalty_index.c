/*
 * The index: from an event's type to the listeners that may hear it, built
 * once when a program is closed.
 *
 * A type's listeners have positions in the order of their rules.  One that
 * asks for an equality ("partner = acme", "item.sku in a1 a2") is found by
 * that value alone; the others are candidates of every event of the type.
 * So an event costs as much as the rules that may match it, however many the
 * program has.  Candidates are a bitmap, which keeps the rules' order.
 */

#include "ngx_http_loyalty_index.h"


static ngx_int_t ngx_http_loyalty_index_types(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program);
static ngx_int_t ngx_http_loyalty_index_type_add(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_listener_t *listener);
static ngx_int_t ngx_http_loyalty_index_table(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program);
static ngx_int_t ngx_http_loyalty_index_rules(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program);
static ngx_int_t ngx_http_loyalty_index_listeners(ngx_conf_t *cf,
    ngx_http_loyalty_type_t *type);
static ngx_http_loyalty_match_t *ngx_http_loyalty_index_equality(
    ngx_http_loyalty_listener_t *listener);
static ngx_int_t ngx_http_loyalty_index_value_table(ngx_conf_t *cf,
    ngx_http_loyalty_type_t *type);
static ngx_int_t ngx_http_loyalty_index_values(ngx_conf_t *cf,
    ngx_http_loyalty_type_t *type, ngx_http_loyalty_match_t *match,
    ngx_uint_t position);
static ngx_int_t ngx_http_loyalty_index_field(
    ngx_http_loyalty_type_t *type, ngx_http_loyalty_field_t *field);
static ngx_int_t ngx_http_loyalty_index_value(ngx_conf_t *cf,
    ngx_http_loyalty_type_t *type, ngx_uint_t field, ngx_str_t *text,
    ngx_uint_t position);
static ngx_uint_t ngx_http_loyalty_index_size(ngx_uint_t n);


ngx_int_t
ngx_http_loyalty_index_build(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program)
{
    ngx_uint_t                 i;
    ngx_http_loyalty_type_t  **type;

    program->index_conf = ngx_pcalloc(cf->pool,
                                      sizeof(ngx_http_loyalty_index_t));
    if (program->index_conf == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_loyalty_index_types(cf, program) != NGX_OK
        || ngx_http_loyalty_index_table(cf, program) != NGX_OK
        || ngx_http_loyalty_index_rules(cf, program) != NGX_OK)
    {
        return NGX_ERROR;
    }

    type = program->types.elts;

    for (i = 0; i < program->types.nelts; i++) {
        if (ngx_http_loyalty_index_listeners(cf, type[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* the types of all listeners, each with its listeners in rule order */

static ngx_int_t
ngx_http_loyalty_index_types(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program)
{
    ngx_uint_t                    i, n;
    ngx_http_loyalty_rule_t     **rule;
    ngx_http_loyalty_listener_t  *listener;

    rule = program->rules.elts;

    for (i = 0; i < program->rules.nelts; i++) {
        listener = rule[i]->listeners.elts;

        for (n = 0; n < rule[i]->listeners.nelts; n++) {
            if (ngx_http_loyalty_index_type_add(cf, program, &listener[n])
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_index_type_add(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_listener_t *listener)
{
    ngx_uint_t                     i;
    ngx_http_loyalty_type_t       *type, **typep;
    ngx_http_loyalty_listener_t  **listenerp;

    typep = program->types.elts;
    type = NULL;

    for (i = 0; i < program->types.nelts; i++) {

        if (typep[i]->name.len == listener->type.len
            && ngx_memcmp(typep[i]->name.data, listener->type.data,
                          listener->type.len)
               == 0)
        {
            type = typep[i];
            break;
        }
    }

    if (type == NULL) {
        type = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_type_t));
        if (type == NULL) {
            return NGX_ERROR;
        }

        type->name = listener->type;
        type->place = listener->rule->place;
        ngx_http_loyalty_hash_name("type", &type->name, type->hash);

        if (ngx_array_init(&type->listeners, cf->pool, 4,
                           sizeof(ngx_http_loyalty_listener_t *))
            != NGX_OK
            || ngx_array_init(&type->fields, cf->pool, 2,
                              sizeof(ngx_http_loyalty_field_t))
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        typep = ngx_array_push(&program->types);
        if (typep == NULL) {
            return NGX_ERROR;
        }

        *typep = type;
    }

    listenerp = ngx_array_push(&type->listeners);
    if (listenerp == NULL) {
        return NGX_ERROR;
    }

    *listenerp = listener;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_index_table(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program)
{
    uint32_t                    hash;
    ngx_uint_t                  i;
    ngx_http_loyalty_type_t   **type;
    ngx_http_loyalty_index_t   *index;

    index = program->index_conf;
    index->mask = ngx_http_loyalty_index_size(program->types.nelts) - 1;
    index->table = ngx_pcalloc(cf->pool, (index->mask + 1)
                                         * sizeof(ngx_http_loyalty_type_t *));
    if (index->table == NULL) {
        return NGX_ERROR;
    }

    type = program->types.elts;

    for (i = 0; i < program->types.nelts; i++) {
        hash = ngx_crc32_long(type[i]->name.data, type[i]->name.len);

        while (index->table[hash & index->mask] != NULL) {
            hash++;
        }

        index->table[hash & index->mask] = type[i];
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_index_rules(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program)
{
    uint32_t                    hash;
    ngx_uint_t                  i;
    ngx_http_loyalty_rule_t   **rule;
    ngx_http_loyalty_index_t   *index;

    index = program->index_conf;
    index->rules_mask = ngx_http_loyalty_index_size(program->rules.nelts) - 1;
    index->rules = ngx_pcalloc(cf->pool, (index->rules_mask + 1)
                                         * sizeof(ngx_http_loyalty_rule_t *));
    if (index->rules == NULL) {
        return NGX_ERROR;
    }

    rule = program->rules.elts;

    for (i = 0; i < program->rules.nelts; i++) {
        hash = ngx_http_loyalty_index_key(rule[i]->hash);

        while (index->rules[hash & index->rules_mask] != NULL) {
            hash++;
        }

        index->rules[hash & index->rules_mask] = rule[i];
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_index_listeners(ngx_conf_t *cf,
    ngx_http_loyalty_type_t *type)
{
    ngx_uint_t                     i;
    ngx_http_loyalty_match_t      *match;
    ngx_http_loyalty_listener_t  **listener;

    type->words = (type->listeners.nelts + 63) / 64;
    type->always = ngx_pcalloc(cf->pool, type->words * sizeof(uint64_t));

    if (type->always == NULL
        || ngx_http_loyalty_index_value_table(cf, type) != NGX_OK)
    {
        return NGX_ERROR;
    }

    listener = type->listeners.elts;

    for (i = 0; i < type->listeners.nelts; i++) {

        match = ngx_http_loyalty_index_equality(listener[i]);

        if (match == NULL) {
            type->always[i / 64] |= (uint64_t) 1 << (i % 64);
            continue;
        }

        if (ngx_http_loyalty_index_values(cf, type, match, i) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* with room for the values of all lists, as if no two were the same */

static ngx_int_t
ngx_http_loyalty_index_value_table(ngx_conf_t *cf,
    ngx_http_loyalty_type_t *type)
{
    ngx_uint_t                     i, n;
    ngx_http_loyalty_match_t      *match;
    ngx_http_loyalty_listener_t  **listener;

    listener = type->listeners.elts;
    n = 0;

    for (i = 0; i < type->listeners.nelts; i++) {

        match = ngx_http_loyalty_index_equality(listener[i]);

        if (match != NULL) {
            n += match->nvalues;
        }
    }

    type->mask = ngx_http_loyalty_index_size(n) - 1;
    type->values = ngx_pcalloc(cf->pool, (type->mask + 1) * sizeof(void *));

    return (type->values == NULL) ? NGX_ERROR : NGX_OK;
}


/*
 * The line that is looked up: about the event rather than its items, one
 * value rather than several.
 */

static ngx_http_loyalty_match_t *
ngx_http_loyalty_index_equality(ngx_http_loyalty_listener_t *listener)
{
    ngx_uint_t                 i, rank, best;
    ngx_http_loyalty_match_t  *match, *found;

    match = listener->matches.elts;
    found = NULL;
    best = 0;

    for (i = 0; i < listener->matches.nelts; i++) {

        if (match[i].field.which == NGX_HTTP_LOYALTY_FIELD_VARIABLE
            || (match[i].op != NGX_HTTP_LOYALTY_OP_EQ
                && match[i].op != NGX_HTTP_LOYALTY_OP_IN))
        {
            continue;
        }

        rank = (match[i].field.item ? 1 : 3)
               + (match[i].op == NGX_HTTP_LOYALTY_OP_EQ);

        if (rank > best) {
            best = rank;
            found = &match[i];
        }
    }

    return found;
}


static ngx_int_t
ngx_http_loyalty_index_values(ngx_conf_t *cf, ngx_http_loyalty_type_t *type,
    ngx_http_loyalty_match_t *match, ngx_uint_t position)
{
    ngx_int_t   field;
    ngx_str_t   text;
    ngx_uint_t  i;

    field = ngx_http_loyalty_index_field(type, &match->field);
    if (field == NGX_ERROR) {
        return NGX_ERROR;
    }

    for (i = 0; i < match->nvalues; i++) {

        if (match->numbers == NULL) {
            text = match->values[i];

        } else {
            text.data = ngx_pnalloc(cf->pool, NGX_HTTP_LOYALTY_DIGITS);
            if (text.data == NULL) {
                return NGX_ERROR;
            }

            text.len = ngx_sprintf(text.data, "%L", match->numbers[i])
                       - text.data;
        }

        if (ngx_http_loyalty_index_value(cf, type, field, &text, position)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_index_field(ngx_http_loyalty_type_t *type,
    ngx_http_loyalty_field_t *field)
{
    ngx_uint_t                 i;
    ngx_http_loyalty_field_t  *fields;

    fields = type->fields.elts;

    for (i = 0; i < type->fields.nelts; i++) {

        if (fields[i].which == field->which
            && fields[i].name.len == field->name.len
            && ngx_memcmp(fields[i].name.data, field->name.data,
                          field->name.len)
               == 0)
        {
            return i;
        }
    }

    fields = ngx_array_push(&type->fields);
    if (fields == NULL) {
        return NGX_ERROR;
    }

    *fields = *field;

    return type->fields.nelts - 1;
}


static ngx_int_t
ngx_http_loyalty_index_value(ngx_conf_t *cf, ngx_http_loyalty_type_t *type,
    ngx_uint_t field, ngx_str_t *text, ngx_uint_t position)
{
    uint32_t                   hash;
    ngx_uint_t                *positions;
    ngx_http_loyalty_value_t  *value;

    for (hash = ngx_http_loyalty_index_hash(field, text); ; hash++) {

        value = type->values[hash & type->mask];

        if (value == NULL
            || (value->field == field && value->text.len == text->len
                && ngx_memcmp(value->text.data, text->data, text->len) == 0))
        {
            break;
        }
    }

    if (value == NULL) {
        value = ngx_palloc(cf->pool, sizeof(ngx_http_loyalty_value_t));
        if (value == NULL) {
            return NGX_ERROR;
        }

        value->text = *text;
        value->field = field;

        if (ngx_array_init(&value->positions, cf->pool, 1,
                           sizeof(ngx_uint_t))
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        type->values[hash & type->mask] = value;
    }

    positions = ngx_array_push(&value->positions);
    if (positions == NULL) {
        return NGX_ERROR;
    }

    *positions = position;

    return NGX_OK;
}


/* a power of two that leaves at least half of a table free */

static ngx_uint_t
ngx_http_loyalty_index_size(ngx_uint_t n)
{
    ngx_uint_t  size;

    for (size = 4; size < 2 * n; size *= 2) { /* void */ }

    return size;
}
