/*
 * Which rules does this event touch?  Candidates come from the index, their
 * match lines decide, and hits are given one at a time, in the order of the
 * rules, so that nothing has to be allocated for them.
 */

#include "ngx_http_loyalty_index.h"


static ngx_http_loyalty_type_t *ngx_http_loyalty_search_type(
    ngx_http_loyalty_program_t *program, ngx_str_t *name);
static void ngx_http_loyalty_search_values(
    ngx_http_loyalty_search_t *search);
static void ngx_http_loyalty_search_value(ngx_http_loyalty_search_t *search,
    ngx_uint_t n, ngx_http_loyalty_item_t *item);


void
ngx_http_loyalty_search(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_event_t *event, ngx_http_loyalty_search_t *search)
{
    search->program = program;
    search->event = event;
    search->word = 0;
    search->type = ngx_http_loyalty_search_type(program, &event->type);

    if (search->type == NULL) {
        return;
    }

    ngx_memcpy(search->candidates, search->type->always,
               search->type->words * sizeof(uint64_t));

    ngx_http_loyalty_search_values(search);
}


static ngx_http_loyalty_type_t *
ngx_http_loyalty_search_type(ngx_http_loyalty_program_t *program,
    ngx_str_t *name)
{
    uint32_t                   hash;
    ngx_http_loyalty_type_t   *type;
    ngx_http_loyalty_index_t  *index;

    index = program->index_conf;

    for (hash = ngx_crc32_long(name->data, name->len); ; hash++) {

        type = index->table[hash & index->mask];

        if (type == NULL) {
            return NULL;
        }

        if (type->name.len == name->len
            && ngx_memcmp(type->name.data, name->data, name->len) == 0)
        {
            return type;
        }
    }
}


/* adds the listeners that ask for a value that the event has */

static void
ngx_http_loyalty_search_values(ngx_http_loyalty_search_t *search)
{
    ngx_uint_t                 i, n;
    ngx_http_loyalty_field_t  *field;
    ngx_http_loyalty_event_t  *event;

    event = search->event;
    field = search->type->fields.elts;

    for (i = 0; i < search->type->fields.nelts; i++) {

        if (!field[i].item) {
            ngx_http_loyalty_search_value(search, i, NULL);
            continue;
        }

        for (n = 0; n < event->nitems; n++) {
            ngx_http_loyalty_search_value(search, i, &event->items[n]);
        }
    }
}


static void
ngx_http_loyalty_search_value(ngx_http_loyalty_search_t *search,
    ngx_uint_t n, ngx_http_loyalty_item_t *item)
{
    u_char                     buf[NGX_HTTP_LOYALTY_DIGITS];
    int64_t                    number;
    uint32_t                   hash;
    ngx_int_t                  rc;
    ngx_str_t                  text;
    ngx_uint_t                 i, *position;
    ngx_http_loyalty_type_t   *type;
    ngx_http_loyalty_field_t  *field;
    ngx_http_loyalty_value_t  *value;

    type = search->type;
    field = (ngx_http_loyalty_field_t *) type->fields.elts + n;

    if (ngx_http_loyalty_field_is_number(field)) {
        rc = ngx_http_loyalty_field_number(field, search->event, item,
                                           &number);
        text.data = buf;
        text.len = ngx_sprintf(buf, "%L", number) - buf;

    } else {
        rc = ngx_http_loyalty_field_value(field, search->program,
                                         search->event, item, buf, &text);
    }

    if (rc != NGX_OK) {
        return;
    }

    hash = ngx_http_loyalty_index_hash(n, &text);

    for ( ;; ) {
        value = type->values[hash++ & type->mask];

        if (value == NULL) {
            return;
        }

        if (value->field == n && value->text.len == text.len
            && ngx_memcmp(value->text.data, text.data, text.len) == 0)
        {
            break;
        }
    }

    position = value->positions.elts;

    for (i = 0; i < value->positions.nelts; i++) {
        search->candidates[position[i] / 64] |=
                                         (uint64_t) 1 << (position[i] % 64);
    }
}


ngx_int_t
ngx_http_loyalty_search_next(ngx_http_loyalty_search_t *search,
    ngx_http_loyalty_hit_t *hit)
{
    uint64_t                       items[2], *word;
    ngx_uint_t                     position;
    ngx_http_loyalty_listener_t  **listeners, *listener;

    hit->rule = NULL;

    if (search->type == NULL) {
        return NGX_DONE;
    }

    listeners = search->type->listeners.elts;

    while (search->word < search->type->words) {
        word = &search->candidates[search->word];

        if (*word == 0) {
            search->word++;
            continue;
        }

        position = search->word * 64 + __builtin_ctzll(*word);
        listener = listeners[position];

        /* a rule's two listeners stand side by side and make one hit */

        if (hit->rule != NULL && hit->rule != listener->rule) {
            return NGX_OK;
        }

        *word &= *word - 1;

        if (!ngx_http_loyalty_match_event(search->program, listener,
                                          search->event, items))
        {
            continue;
        }

        if (hit->rule == NULL) {
            hit->rule = listener->rule;
            hit->role = 0;
            hit->items[0] = 0;
            hit->items[1] = 0;
        }

        hit->role |= listener->role;

        if (listener->role & NGX_HTTP_LOYALTY_COUNTS) {
            hit->items[0] = items[0];
            hit->items[1] = items[1];
        }
    }

    return hit->rule != NULL ? NGX_OK : NGX_DONE;
}


ngx_http_loyalty_rule_t *
ngx_http_loyalty_rule_by_hash(ngx_http_loyalty_program_t *program,
    const u_char *hash)
{
    uint32_t                   key;
    ngx_http_loyalty_rule_t   *rule;
    ngx_http_loyalty_index_t  *index;

    index = program->index_conf;

    for (key = ngx_http_loyalty_index_key(hash); ; key++) {

        rule = index->rules[key & index->rules_mask];

        if (rule == NULL
            || ngx_memcmp(rule->hash, hash, NGX_HTTP_LOYALTY_HASH) == 0)
        {
            return rule;
        }
    }
}
