/*
 * The fields of a JSON object that an API takes, from a table: unknown ones
 * are refused, and so is a value that is not of the field's kind.
 */

#ifndef _NGX_HTTP_LOYALTY_FIELDS_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_FIELDS_H_INCLUDED_


#include "ngx_http_loyalty_event.h"


typedef enum {
    NGX_HTTP_LOYALTY_FIELD_TEXT = 0,      /* ngx_str_t, 1 to max bytes */
    NGX_HTTP_LOYALTY_FIELD_INT            /* int64_t, min to max */
} ngx_http_loyalty_fields_e;

typedef struct {
    const char                   *name;           /* NULL: the last */
    ngx_http_loyalty_fields_e     kind;
    size_t                        offset;         /* in dst */
    int64_t                       min;
    int64_t                       max;
    ngx_uint_t                    required;
} ngx_http_loyalty_fields_t;

/*
 * json is an object, or NULL for one without fields.  What is absent stays
 * as it is in dst.  Texts point into json.  NGX_ERROR and a fault.
 */
ngx_int_t ngx_http_loyalty_fields(json_t *json,
    const ngx_http_loyalty_fields_t *fields, void *dst,
    ngx_http_loyalty_fault_t *fault);


#endif /* _NGX_HTTP_LOYALTY_FIELDS_H_INCLUDED_ */
