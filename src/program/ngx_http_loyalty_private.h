/*
 * What the files of program/ share among themselves.
 */

#ifndef _NGX_HTTP_LOYALTY_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_PRIVATE_H_INCLUDED_


#include "ngx_http_loyalty_program.h"
#include "loyalty_decimal.h"


#define NGX_HTTP_LOYALTY_RULES       1024            /* of one program */
#define NGX_HTTP_LOYALTY_LISTENERS   (2 * NGX_HTTP_LOYALTY_RULES)


/* fields: how a value is read, and how it is compared */

typedef enum {
    NGX_HTTP_LOYALTY_FIELD_AMOUNT = 0,               /* money */
    NGX_HTTP_LOYALTY_FIELD_QUANTITY,                 /* whole number */
    NGX_HTTP_LOYALTY_FIELD_CHANNEL,
    NGX_HTTP_LOYALTY_FIELD_PARTNER,
    NGX_HTTP_LOYALTY_FIELD_DATA,
    NGX_HTTP_LOYALTY_FIELD_VARIABLE,
    NGX_HTTP_LOYALTY_FIELD_ITEM_SKU,
    NGX_HTTP_LOYALTY_FIELD_ITEM_CATEGORY,
    NGX_HTTP_LOYALTY_FIELD_ITEM_QUANTITY,            /* whole number */
    NGX_HTTP_LOYALTY_FIELD_ITEM_AMOUNT               /* money */
} ngx_http_loyalty_field_e;


typedef enum {
    NGX_HTTP_LOYALTY_OP_EQ = 0,
    NGX_HTTP_LOYALTY_OP_NE,
    NGX_HTTP_LOYALTY_OP_LT,
    NGX_HTTP_LOYALTY_OP_LE,
    NGX_HTTP_LOYALTY_OP_GT,
    NGX_HTTP_LOYALTY_OP_GE,
    NGX_HTTP_LOYALTY_OP_REGEX,
    NGX_HTTP_LOYALTY_OP_CASELESS,
    NGX_HTTP_LOYALTY_OP_IN
} ngx_http_loyalty_op_e;


typedef struct {
    ngx_http_loyalty_field_t      field;
    ngx_http_loyalty_op_e         op;
    ngx_uint_t                    nvalues;
    ngx_str_t                    *values;         /* as written */
    ngx_str_t                    *sorted;         /* of "in", on texts */
    int64_t                      *numbers;        /* of fields that are whole
                                                     numbers or money;
                                                     ascending */
    void                         *regex;          /* pcre2_code */
    ngx_http_loyalty_place_t      place;
} ngx_http_loyalty_match_t;


/* an event type that some rule listens to */

typedef struct {
    ngx_str_t                     name;
    u_char                        hash[NGX_HTTP_LOYALTY_HASH];
    ngx_http_loyalty_place_t      place;
    ngx_array_t                   listeners;         /* _listener_t *, in the
                                                        order of the rules */
    ngx_uint_t                    words;             /* of a bitmap of them */
    uint64_t                     *always;            /* those that are found
                                                        by no value */
    ngx_array_t                   fields;            /* looked up by value */
    ngx_uint_t                    mask;
    void                        **values;            /* private to index.c */
} ngx_http_loyalty_type_t;


/* a search for the rules that an event touches */

typedef struct {
    ngx_http_loyalty_program_t   *program;
    ngx_http_loyalty_event_t     *event;
    ngx_http_loyalty_type_t      *type;              /* NULL: no rule's */
    ngx_uint_t                    word;
    uint64_t                      candidates[NGX_HTTP_LOYALTY_LISTENERS / 64];
} ngx_http_loyalty_search_t;


/* ---- conf.c ---- */

/* where the configuration is being read now */
void ngx_http_loyalty_place(ngx_conf_t *cf, ngx_http_loyalty_place_t *place);

/* hash4 of "WHAT NAME", the form of docs/internals.md */
void ngx_http_loyalty_hash_name(const char *what, ngx_str_t *name,
    u_char *hash);


/* ---- program.c ---- */

/* loads the program's zone; name ends with '\0' */
ngx_int_t ngx_http_loyalty_zone(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program, ngx_str_t *name);


/* ---- wallet.c ---- */

char *ngx_http_loyalty_wallet_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_tier_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/* ---- award.c ---- */

/* a word that is no wallet's name */
ngx_uint_t ngx_http_loyalty_reserved(ngx_str_t *name);


/* ---- field.c ---- */

/* the value as a whole number: NGX_DECLINED when absent */
ngx_int_t ngx_http_loyalty_field_number(ngx_http_loyalty_field_t *field,
    ngx_http_loyalty_event_t *event, ngx_http_loyalty_item_t *item,
    int64_t *number);

ngx_uint_t ngx_http_loyalty_field_is_number(ngx_http_loyalty_field_t *field);


/* ---- regex.c ---- */

/* compiles into match->regex; freed with cf->pool; logs its own error */
ngx_int_t ngx_http_loyalty_regex_compile(ngx_conf_t *cf,
    ngx_http_loyalty_match_t *match);

/* what one worker needs to run a program's patterns, into its regexes */
ngx_int_t ngx_http_loyalty_regexes_create(ngx_pool_t *pool,
    ngx_http_loyalty_program_t *program);

/* NGX_OK, NGX_DECLINED, or NGX_ABORT when a limit was reached */
ngx_int_t ngx_http_loyalty_regex_match(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_match_t *match, ngx_http_loyalty_listener_t *listener,
    ngx_str_t *subject);


/* ---- index.c ---- */

ngx_int_t ngx_http_loyalty_index_build(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program);


/* ---- search.c ---- */

/* begins a search for the rules that an event touches */
void ngx_http_loyalty_search(ngx_http_loyalty_program_t *program,
    ngx_http_loyalty_event_t *event, ngx_http_loyalty_search_t *search);

/* the next one, in the order of the rules; NGX_DONE: no more */
ngx_int_t ngx_http_loyalty_search_next(ngx_http_loyalty_search_t *search,
    ngx_http_loyalty_hit_t *hit);


/* ---- close.c ---- */

ngx_int_t ngx_http_loyalty_program_close(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program);


#endif /* _NGX_HTTP_LOYALTY_PRIVATE_H_INCLUDED_ */
