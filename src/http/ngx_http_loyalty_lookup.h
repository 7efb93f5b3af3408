/*
 * What the files of loyalty_lookup share: the directive, and what is known
 * of the member when the request goes on.
 */

#ifndef _NGX_HTTP_LOYALTY_LOOKUP_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_LOOKUP_H_INCLUDED_


#include "ngx_http_loyalty_http.h"
#include "loyalty_head.h"


typedef struct ngx_http_loyalty_cache_s  ngx_http_loyalty_cache_t;


/* one loyalty_lookup */

typedef struct {
    ngx_str_t                     name;           /* of the program */
    ngx_http_loyalty_program_t   *program;
    ngx_http_complex_value_t     *member;         /* NULL: loyalty_member */
    ngx_msec_t                    timeout;
    ngx_uint_t                    phase;
    ngx_str_t                     cached;         /* name of its cache */
    ngx_http_loyalty_cache_t     *cache;          /* NULL: none */
    ngx_msec_t                    ttl;            /* in it */
    u_char                        source[2 * NGX_HTTP_LOYALTY_HASH];
                                                  /* whose values: the program
                                                     and its Redis */
    ngx_http_loyalty_place_t      place;
} ngx_http_loyalty_lookup_t;


typedef struct {
    ngx_http_loyalty_lookup_t    *lookup;         /* NULL: off */
} ngx_http_loyalty_lookup_conf_t;


/* of a worker with a program's Redis */

typedef struct {
    ngx_uint_t                    late;           /* lookups in a row */
    ngx_uint_t                    probing;
    ngx_msec_t                    next;           /* probe */
    ngx_msec_t                    until;          /* when it is too late */
    ngx_http_loyalty_program_t   *program;
} ngx_http_loyalty_patience_t;


typedef struct {
    ngx_array_t                   lookups;        /* of _lookup_t * */
    ngx_array_t                   caches;         /* of _cache_t * */
    ngx_http_loyalty_patience_t  *patience;       /* one for each program,
                                                     written by workers */
} ngx_http_loyalty_lookup_main_t;


/* the names in lookup_var.c are in the same order */

typedef enum {
    NGX_HTTP_LOYALTY_LOOKUP_WAITS = 0,
    NGX_HTTP_LOYALTY_LOOKUP_OK,
    NGX_HTTP_LOYALTY_LOOKUP_HIT,          /* as OK, from the cache */
    NGX_HTTP_LOYALTY_LOOKUP_NONE,         /* no member */
    NGX_HTTP_LOYALTY_LOOKUP_INVALID,      /* an id that is none */
    NGX_HTTP_LOYALTY_LOOKUP_TIMEOUT,
    NGX_HTTP_LOYALTY_LOOKUP_UNAVAILABLE,
    NGX_HTTP_LOYALTY_LOOKUP_FAILED
} ngx_http_loyalty_lookup_e;


typedef struct {
    ngx_http_request_t           *request;
    ngx_http_loyalty_lookup_t    *lookup;
    ngx_http_loyalty_patience_t  *patience;
    ngx_http_loyalty_op_t        *op;             /* NULL: none runs */
    ngx_event_t                   timer;
    ngx_msec_t                    asked;          /* Redis, when */
    ngx_http_loyalty_lookup_e     status;
    ngx_str_t                     member;
    loyalty_head_t                head;           /* when OK or HIT */
    loyalty_mpr_t                *states;         /* NULL: not yet asked */
} ngx_http_loyalty_lookup_ctx_t;


extern ngx_module_t  ngx_http_loyalty_lookup_module;

/* lookup_conf.c */
char *ngx_http_loyalty_lookup_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* the latest one of the request, NULL: none */
ngx_http_loyalty_lookup_ctx_t *ngx_http_loyalty_lookup_ctx(
    ngx_http_request_t *r);

/* who the request is for: len 0: nobody, also where the id is none */
ngx_int_t ngx_http_loyalty_lookup_member(ngx_http_request_t *r,
    ngx_str_t *member, ngx_http_loyalty_lookup_e *status);

/* from preconfiguration, and when all of http {} is read: whether every
   variable that is used has something to show */
ngx_int_t ngx_http_loyalty_lookup_variables(ngx_conf_t *cf);
ngx_int_t ngx_http_loyalty_lookup_variables_check(ngx_conf_t *cf,
    ngx_array_t *lookups);


/* ---- patience.c ---- */

/* 0: Redis has been too slow, requests are not to wait for it */
ngx_uint_t ngx_http_loyalty_patience_waits(
    ngx_http_loyalty_patience_t *patience);

/* a lookup was answered, or was not in time */
void ngx_http_loyalty_patience_answered(
    ngx_http_loyalty_patience_t *patience);
void ngx_http_loyalty_patience_late(ngx_http_loyalty_patience_t *patience);

/* in place of a lookup while nobody waits: asks for the key, now and then */
void ngx_http_loyalty_patience_probe(ngx_http_loyalty_patience_t *patience,
    ngx_msec_t timeout, ngx_uint_t partition, ngx_str_t *key);


/* ---- cache.c ---- */

char *ngx_http_loyalty_cache_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* NULL: there is none of this name */
ngx_http_loyalty_cache_t *ngx_http_loyalty_cache_named(
    ngx_http_loyalty_lookup_main_t *lmcf, ngx_str_t *name);

/* when the program is known */
void ngx_http_loyalty_cache_source(ngx_http_loyalty_lookup_t *lookup);

/* the head of the member's value, len 0: there was none; NGX_DECLINED: it is
   not in the cache, or too old */
ngx_int_t ngx_http_loyalty_cache_get(ngx_http_loyalty_lookup_t *lookup,
    ngx_str_t *redis_key, ngx_pool_t *pool, ngx_str_t *value);

/* asked: when Redis was, or earlier */
void ngx_http_loyalty_cache_put(ngx_http_loyalty_lookup_t *lookup,
    ngx_str_t *redis_key, ngx_str_t *value, ngx_msec_t asked);


#endif /* _NGX_HTTP_LOYALTY_LOOKUP_H_INCLUDED_ */
