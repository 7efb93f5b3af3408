/*
 * Fields: what match lines and "goal N distinct FIELD" may name.  A bare
 * name is a field of the event or a key of its data, item.NAME a field of an
 * item, $name an nginx variable.  Values come straight from the parsed
 * event; a variable is evaluated at most once a request, since nginx keeps
 * the value of an indexed variable.
 */

#include "ngx_http_loyalty_private.h"


#define NGX_HTTP_LOYALTY_DATA_KEY  128


static ngx_int_t ngx_http_loyalty_field_variable(ngx_conf_t *cf,
    ngx_str_t *name, ngx_http_loyalty_field_t *field);
static ngx_int_t ngx_http_loyalty_field_evaluate(ngx_int_t index,
    ngx_http_loyalty_event_t *event, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_field_data(json_t *data, ngx_str_t *name,
    u_char *buf, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_field_present(ngx_str_t *from,
    ngx_str_t *value);


typedef struct {
    ngx_str_t   name;
    ngx_uint_t  which;
} ngx_http_loyalty_field_name_t;


static ngx_http_loyalty_field_name_t  ngx_http_loyalty_field_names[] = {
    { ngx_string("amount"), NGX_HTTP_LOYALTY_FIELD_AMOUNT },
    { ngx_string("quantity"), NGX_HTTP_LOYALTY_FIELD_QUANTITY },
    { ngx_string("channel"), NGX_HTTP_LOYALTY_FIELD_CHANNEL },
    { ngx_string("partner"), NGX_HTTP_LOYALTY_FIELD_PARTNER },
    { ngx_string("item.sku"), NGX_HTTP_LOYALTY_FIELD_ITEM_SKU },
    { ngx_string("item.category"), NGX_HTTP_LOYALTY_FIELD_ITEM_CATEGORY },
    { ngx_string("item.quantity"), NGX_HTTP_LOYALTY_FIELD_ITEM_QUANTITY },
    { ngx_string("item.amount"), NGX_HTTP_LOYALTY_FIELD_ITEM_AMOUNT },
    { ngx_null_string, 0 }
};


ngx_int_t
ngx_http_loyalty_field_parse(ngx_conf_t *cf, ngx_str_t *name,
    ngx_http_loyalty_field_t *field)
{
    ngx_http_loyalty_field_name_t  *known;

    field->name = *name;
    field->variable = NGX_CONF_UNSET;
    field->item = (name->len >= 5
                   && ngx_strncmp(name->data, "item.", 5) == 0);

    for (known = ngx_http_loyalty_field_names; known->name.len; known++) {

        if (known->name.len == name->len
            && ngx_memcmp(known->name.data, name->data, name->len) == 0)
        {
            field->which = known->which;
            return NGX_OK;
        }
    }

    if (field->item) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown field \"%V\": item.sku, item.category, "
                           "item.quantity or item.amount is expected", name);
        return NGX_ERROR;
    }

    if (name->len && name->data[0] == '$') {
        return ngx_http_loyalty_field_variable(cf, name, field);
    }

    if (name->len == 0 || name->len > NGX_HTTP_LOYALTY_DATA_KEY) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid field \"%V\": amount, quantity, channel, "
                           "partner, a key of \"data\" of at most %d bytes, "
                           "item.NAME or $variable is expected",
                           name, NGX_HTTP_LOYALTY_DATA_KEY);
        return NGX_ERROR;
    }

    field->which = NGX_HTTP_LOYALTY_FIELD_DATA;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_field_variable(ngx_conf_t *cf, ngx_str_t *name,
    ngx_http_loyalty_field_t *field)
{
    void                         *ctx;
    u_char                        c;
    ngx_str_t                     variable;
    ngx_uint_t                    i;
    ngx_http_loyalty_block_t     *block;
    ngx_http_loyalty_variable_t  *used;

    block = cf->ctx;

    variable.data = name->data + 1;
    variable.len = name->len - 1;

    for (i = 0; i < variable.len; i++) {
        c = variable.data[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z')
            && !(c >= '0' && c <= '9') && c != '_')
        {
            break;
        }
    }

    if (i == 0 || i < variable.len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid variable name \"%V\": letters, digits "
                           "and \"_\" are expected behind \"$\"", name);
        return NGX_ERROR;
    }

    used = ngx_array_push(&block->program->variables);
    if (used == NULL) {
        return NGX_ERROR;
    }

    used->name = variable;
    used->rule = block->rule;
    ngx_http_loyalty_place(cf, &used->place);

    /* variables belong to http {}: nginx looks for them in its context */

    ctx = cf->ctx;
    cf->ctx = block->http_ctx;

    field->variable = ngx_http_get_variable_index(cf, &variable);

    cf->ctx = ctx;

    if (field->variable == NGX_ERROR) {
        return NGX_ERROR;
    }

    used->index = field->variable;

    field->which = NGX_HTTP_LOYALTY_FIELD_VARIABLE;

    return NGX_OK;
}


ngx_uint_t
ngx_http_loyalty_field_is_number(ngx_http_loyalty_field_t *field)
{
    return field->which == NGX_HTTP_LOYALTY_FIELD_AMOUNT
           || field->which == NGX_HTTP_LOYALTY_FIELD_QUANTITY
           || field->which == NGX_HTTP_LOYALTY_FIELD_ITEM_QUANTITY
           || field->which == NGX_HTTP_LOYALTY_FIELD_ITEM_AMOUNT;
}


ngx_int_t
ngx_http_loyalty_field_number(ngx_http_loyalty_field_t *field,
    ngx_http_loyalty_event_t *event, ngx_http_loyalty_item_t *item,
    int64_t *number)
{
    switch (field->which) {

    case NGX_HTTP_LOYALTY_FIELD_AMOUNT:
        *number = event->amount;
        break;

    case NGX_HTTP_LOYALTY_FIELD_QUANTITY:
        *number = event->quantity;
        break;

    case NGX_HTTP_LOYALTY_FIELD_ITEM_QUANTITY:
        *number = item->quantity;
        break;

    default: /* NGX_HTTP_LOYALTY_FIELD_ITEM_AMOUNT */
        *number = item->amount;
    }

    return *number < 0 ? NGX_DECLINED : NGX_OK;
}


ngx_int_t
ngx_http_loyalty_field_value(ngx_http_loyalty_field_t *field,
    ngx_http_loyalty_program_t *program, ngx_http_loyalty_event_t *event,
    ngx_http_loyalty_item_t *item, u_char *buf, ngx_str_t *value)
{
    int64_t  number;

    switch (field->which) {

    case NGX_HTTP_LOYALTY_FIELD_CHANNEL:
        return ngx_http_loyalty_field_present(&event->channel, value);

    case NGX_HTTP_LOYALTY_FIELD_PARTNER:
        return ngx_http_loyalty_field_present(&event->partner, value);

    case NGX_HTTP_LOYALTY_FIELD_ITEM_SKU:
        return ngx_http_loyalty_field_present(&item->sku, value);

    case NGX_HTTP_LOYALTY_FIELD_ITEM_CATEGORY:
        return ngx_http_loyalty_field_present(&item->category, value);

    case NGX_HTTP_LOYALTY_FIELD_DATA:
        return ngx_http_loyalty_field_data(event->data, &field->name, buf,
                                           value);

    case NGX_HTTP_LOYALTY_FIELD_VARIABLE:
        return ngx_http_loyalty_field_evaluate(field->variable, event, value);
    }

    if (ngx_http_loyalty_field_number(field, event, item, &number) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    value->data = buf;

    if (field->which == NGX_HTTP_LOYALTY_FIELD_AMOUNT
        || field->which == NGX_HTTP_LOYALTY_FIELD_ITEM_AMOUNT)
    {
        value->len = loyalty_money_format(buf, number, program->scale);

    } else {
        value->len = ngx_sprintf(buf, "%L", number) - buf;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_field_present(ngx_str_t *from, ngx_str_t *value)
{
    if (from->len == 0) {
        return NGX_DECLINED;
    }

    *value = *from;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_field_evaluate(ngx_int_t index,
    ngx_http_loyalty_event_t *event, ngx_str_t *value)
{
    ngx_uint_t                  i;
    ngx_http_variable_value_t  *vv;

    if (event->request != NULL) {
        vv = ngx_http_get_indexed_variable(event->request, index);

        if (vv == NULL || vv->not_found) {
            return NGX_DECLINED;
        }

        value->data = vv->data;
        value->len = vv->len;

        return NGX_OK;
    }

    for (i = 0; i < event->ncaptured; i++) {
        if (event->captured[i].index == index) {
            *value = event->captured[i].value;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* null is no value that a rule can compare; reals, arrays and objects are
   no data that an event may have */

static ngx_int_t
ngx_http_loyalty_field_data(json_t *data, ngx_str_t *name, u_char *buf,
    ngx_str_t *value)
{
    json_t  *json;

    if (data == NULL) {
        return NGX_DECLINED;
    }

    json = json_object_get(data, (char *) name->data);

    if (json == NULL) {
        return NGX_DECLINED;
    }

    value->data = buf;

    switch (json_typeof(json)) {

    case JSON_STRING:
        value->data = (u_char *) json_string_value(json);
        value->len = json_string_length(json);
        return NGX_OK;

    case JSON_INTEGER:
        value->len = ngx_sprintf(buf, "%L",
                                 (int64_t) json_integer_value(json)) - buf;
        return NGX_OK;

    case JSON_TRUE:
        ngx_str_set(value, "true");
        return NGX_OK;

    case JSON_FALSE:
        ngx_str_set(value, "false");
        return NGX_OK;

    default:
        return NGX_DECLINED;
    }
}


ngx_int_t
ngx_http_loyalty_variables_check(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program)
{
    ngx_uint_t                    i;
    ngx_http_loyalty_variable_t  *used;

    used = program->variables.elts;

    for (i = 0; i < program->variables.nelts; i++) {

        if (!ngx_http_loyalty_variable_known(cf, &used[i].name)) {
            ngx_http_loyalty_conf_error(cf, &used[i].place,
                                        "unknown variable \"$%V\"",
                                        &used[i].name);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_loyalty_variable_known(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_str_t                  *key;
    ngx_uint_t                  i;
    ngx_hash_key_t             *keys;
    ngx_http_variable_t        *prefix;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    keys = cmcf->variables_keys->keys.elts;

    for (i = 0; i < cmcf->variables_keys->keys.nelts; i++) {
        key = &keys[i].key;

        if (key->len == name->len
            && ngx_strncasecmp(key->data, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    prefix = cmcf->prefix_variables.elts;

    for (i = 0; i < cmcf->prefix_variables.nelts; i++) {
        key = &prefix[i].name;

        if (key->len <= name->len
            && ngx_strncasecmp(key->data, name->data, key->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}
