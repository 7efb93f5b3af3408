/*
 * The fields of a JSON object, read by a table.
 */

#include "ngx_http_loyalty_fields.h"


static ngx_int_t ngx_http_loyalty_field_read(json_t *value,
    const ngx_http_loyalty_fields_t *field, void *dst,
    ngx_http_loyalty_fault_t *fault);


ngx_int_t
ngx_http_loyalty_fields(json_t *json,
    const ngx_http_loyalty_fields_t *fields, void *dst,
    ngx_http_loyalty_fault_t *fault)
{
    json_t                           *value;
    const char                       *key;
    const ngx_http_loyalty_fields_t  *f;

    fault->item = -1;

    if (json != NULL) {
        json_object_foreach(json, key, value) {

            for (f = fields; f->name != NULL; f++) {
                if (ngx_strcmp(f->name, key) == 0) {
                    break;
                }
            }

            if (f->name == NULL) {
                return ngx_http_loyalty_json_fault(fault, key, NULL,
                                                   "is not a field here");
            }

            if (ngx_http_loyalty_field_read(value, f, dst, fault) != NGX_OK) {
                return NGX_ERROR;
            }
        }
    }

    for (f = fields; f->name != NULL; f++) {
        if (f->required
            && (json == NULL || json_object_get(json, f->name) == NULL))
        {
            return ngx_http_loyalty_json_fault(fault, f->name, NULL,
                                               "is required");
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_field_read(json_t *value,
    const ngx_http_loyalty_fields_t *field, void *dst,
    ngx_http_loyalty_fault_t *fault)
{
    int64_t     number;
    ngx_str_t  *text;

    switch (field->kind) {

    case NGX_HTTP_LOYALTY_FIELD_TEXT:
        text = (ngx_str_t *) ((u_char *) dst + field->offset);

        if (json_is_string(value)) {
            text->data = (u_char *) json_string_value(value);
            text->len = json_string_length(value);

            if (ngx_http_loyalty_text_check(text, field->max) == NGX_OK) {
                return NGX_OK;
            }
        }

        return ngx_http_loyalty_json_fault(fault, field->name, NULL,
                            "is not a text of 1 to %L printable bytes",
                            field->max);

    default: /* NGX_HTTP_LOYALTY_FIELD_INT */

        if (json_is_integer(value)) {
            number = json_integer_value(value);

            if (number >= field->min && number <= field->max) {
                *(int64_t *) ((u_char *) dst + field->offset) = number;
                return NGX_OK;
            }
        }

        return ngx_http_loyalty_json_fault(fault, field->name, NULL,
                            "is not a whole number from %L to %L",
                            field->min, field->max);
    }
}
