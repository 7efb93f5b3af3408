/*
 * The index as index.c builds it and search.c reads it: tables with open
 * addressing, at least half free.
 */

#ifndef _NGX_HTTP_LOYALTY_INDEX_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_INDEX_H_INCLUDED_


#include "ngx_http_loyalty_private.h"


/* a value that some listeners ask for */

typedef struct {
    ngx_str_t                      text;
    ngx_uint_t                     field;         /* of the type's fields */
    ngx_array_t                    positions;     /* of ngx_uint_t */
} ngx_http_loyalty_value_t;


typedef struct {
    ngx_uint_t                     mask;
    ngx_http_loyalty_type_t      **table;
    ngx_uint_t                     rules_mask;
    ngx_http_loyalty_rule_t      **rules;
} ngx_http_loyalty_index_t;


/* where a value of a field begins in a type's table */

static ngx_inline uint32_t
ngx_http_loyalty_index_hash(ngx_uint_t field, ngx_str_t *text)
{
    return ngx_crc32_long(text->data, text->len)
           + (uint32_t) field * 0x9E3779B1;
}


/* where a rule begins in the table of rules; its hash is one already */

static ngx_inline uint32_t
ngx_http_loyalty_index_key(const u_char *hash)
{
    return (uint32_t) hash[0] << 24 | hash[1] << 16 | hash[2] << 8 | hash[3];
}


#endif /* _NGX_HTTP_LOYALTY_INDEX_H_INCLUDED_ */
