/*
 * loyalty_signature: requests of the shop's servers that carry an HMAC.
 *
 * Nothing is remembered of an event's signature: one that is sent again
 * within its window brings the same bytes, and with them the same ids, which
 * the store knows already.  What an operator changes need not have an id, and
 * may have been changed back: there a signature is good once (once.c).
 */

#include "ngx_http_loyalty_access.h"


#define NGX_HTTP_LOYALTY_KEY_FILE     65536
#define NGX_HTTP_LOYALTY_SIG_WINDOW   300
#define NGX_HTTP_LOYALTY_SIG_SLACK    60          /* s, for other clocks */


typedef struct {
    ngx_str_t                     file;
    time_t                        window;
    loyalty_signature_keys_t      keys;
} ngx_http_loyalty_signed_t;


typedef struct {
    ngx_http_loyalty_signed_t    *sign;           /* NULL: off */
} ngx_http_loyalty_signature_conf_t;


typedef struct {
    time_t                        window;         /* the longest */
} ngx_http_loyalty_signature_main_t;


/* what is known of a request's signature; the names in the same order */

typedef enum {
    NGX_HTTP_LOYALTY_SIG_OFF = 0,
    NGX_HTTP_LOYALTY_SIG_MISSING,
    NGX_HTTP_LOYALTY_SIG_MALFORMED,
    NGX_HTTP_LOYALTY_SIG_STALE,
    NGX_HTTP_LOYALTY_SIG_UNCHECKED,
    NGX_HTTP_LOYALTY_SIG_WRONG,
    NGX_HTTP_LOYALTY_SIG_USED,
    NGX_HTTP_LOYALTY_SIG_OK
} ngx_http_loyalty_sig_e;


typedef struct {
    ngx_http_loyalty_sig_e        status;         /* WRONG, USED or OK */
    ngx_str_t                     id;             /* of the key */
} ngx_http_loyalty_signature_ctx_t;


static char *ngx_http_loyalty_signature(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_loyalty_signature_args(ngx_conf_t *cf,
    ngx_http_loyalty_signed_t *sign);
static ngx_int_t ngx_http_loyalty_signature_keys(ngx_conf_t *cf,
    ngx_http_loyalty_signed_t *sign);
static void ngx_http_loyalty_signature_cleanup(void *data);

static ngx_int_t ngx_http_loyalty_signature_variables(ngx_conf_t *cf);
static ngx_int_t ngx_http_loyalty_signature_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static void *ngx_http_loyalty_signature_create_main(ngx_conf_t *cf);
static void *ngx_http_loyalty_signature_create_conf(ngx_conf_t *cf);
static char *ngx_http_loyalty_signature_merge_conf(ngx_conf_t *cf, void *parent,
    void *child);

static ngx_http_loyalty_sig_e ngx_http_loyalty_signature_header(
    ngx_http_request_t *r, ngx_http_loyalty_signed_t *sign,
    loyalty_signature_t *s);
static ngx_int_t ngx_http_loyalty_signature_refuse(ngx_http_request_t *r,
    ngx_http_loyalty_sig_e status, ngx_str_t *detail);


static ngx_command_t  ngx_http_loyalty_signature_commands[] = {

    { ngx_string("loyalty_signature"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_loyalty_signature,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_loyalty_signature_module_ctx = {
    ngx_http_loyalty_signature_variables,  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    ngx_http_loyalty_signature_create_main, /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_loyalty_signature_create_conf, /* create location configuration */
    ngx_http_loyalty_signature_merge_conf  /* merge location configuration */
};


ngx_module_t  ngx_http_loyalty_signature_module = {
    NGX_MODULE_V1,
    &ngx_http_loyalty_signature_module_ctx, /* module context */
    ngx_http_loyalty_signature_commands,   /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_str_t  ngx_http_loyalty_sig_names[] = {
    ngx_null_string,
    ngx_string("missing"),
    ngx_string("malformed"),
    ngx_string("stale"),
    ngx_string("unchecked"),
    ngx_string("wrong"),
    ngx_string("used"),
    ngx_string("ok")
};


static ngx_str_t  ngx_http_loyalty_sig_details[] = {
    ngx_null_string,
    ngx_string("the request has not exactly one header Loyalty-Signature"),
    ngx_string("Loyalty-Signature is not of the form \"t=SECONDS,v1=HEX\" "
               "with 64 hexadecimal digits"),
    ngx_string("the time in Loyalty-Signature is too far from that of the "
               "server"),
    ngx_null_string,
    ngx_string("Loyalty-Signature is not that of this request under any "
               "known key"),
    ngx_string("Loyalty-Signature was used for this change before: sign it "
               "again, at a later time")
};


static ngx_str_t  ngx_http_loyalty_sig_variables[] = {
    ngx_string("loyalty_signature_status"),
    ngx_string("loyalty_signature_key")
};


static char *
ngx_http_loyalty_signature(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_loyalty_signature_conf_t *acf = conf;

    ngx_str_t                          *value;
    ngx_pool_cleanup_t                 *cln;
    ngx_http_loyalty_signed_t          *sign;
    ngx_http_loyalty_signature_main_t  *amcf;

    if (acf->sign != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        acf->sign = NULL;
        return NGX_CONF_OK;
    }

    sign = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_signed_t));
    cln = ngx_pool_cleanup_add(cf->pool, 0);

    if (sign == NULL || cln == NULL) {
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_loyalty_signature_cleanup;
    cln->data = sign;

    sign->window = NGX_HTTP_LOYALTY_SIG_WINDOW;

    if (ngx_http_loyalty_signature_args(cf, sign) != NGX_OK
        || ngx_http_loyalty_signature_keys(cf, sign) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    acf->sign = sign;

    amcf = ngx_http_conf_get_module_main_conf(cf,
                                           ngx_http_loyalty_signature_module);
    amcf->window = ngx_max(amcf->window, sign->window);

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_loyalty_signature_args(ngx_conf_t *cf,
    ngx_http_loyalty_signed_t *sign)
{
    int64_t      ms;
    ngx_str_t   *value, arg;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "key_file=", 9) == 0
            && sign->file.len == 0)
        {
            sign->file.data = value[i].data + 9;
            sign->file.len = value[i].len - 9;
            continue;
        }

        if (ngx_strncmp(value[i].data, "window=", 7) == 0) {
            arg.data = value[i].data + 7;
            arg.len = value[i].len - 7;

            if (ngx_http_loyalty_duration(cf, "window", &arg, &ms) != NGX_OK)
            {
                return NGX_ERROR;
            }

            sign->window = (time_t) (ms / 1000);
            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" of "
                           "\"loyalty_signature\": \"key_file=\" and "
                           "\"window=\", or \"off\" alone, are expected",
                           &value[i]);
        return NGX_ERROR;
    }

    if (sign->file.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"loyalty_signature\" needs \"key_file=\": a "
                           "file with lines \"ID:KEY\"; \"openssl rand -hex "
                           "32\" makes a key");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_signature_keys(ngx_conf_t *cf,
    ngx_http_loyalty_signed_t *sign)
{
    unsigned     line;
    ngx_str_t    text;
    const char  *error;

    if (ngx_http_loyalty_file_read(cf, &sign->file,
                                   NGX_HTTP_LOYALTY_KEY_FILE, &text)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    error = loyalty_signature_keys_parse(&sign->keys, text.data, text.len,
                                         &line);

    ngx_explicit_memzero(text.data, text.len);

    if (error == NULL) {
        return NGX_OK;
    }

    if (line) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "key file \"%V\", line %ui: "
                           "%s", &sign->file, (ngx_uint_t) line, error);

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "key file \"%V\": %s",
                           &sign->file, error);
    }

    return NGX_ERROR;
}


static void
ngx_http_loyalty_signature_cleanup(void *data)
{
    ngx_http_loyalty_signed_t *sign = data;

    loyalty_signature_keys_free(&sign->keys);
}


static ngx_int_t
ngx_http_loyalty_signature_variables(ngx_conf_t *cf)
{
    ngx_uint_t            i;
    ngx_http_variable_t  *var;

    for (i = 0; i < 2; i++) {

        var = ngx_http_add_variable(cf, &ngx_http_loyalty_sig_variables[i],
                                    0);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = ngx_http_loyalty_signature_variable;
        var->data = i;
    }

    return NGX_OK;
}


/* 0: the status; 1: the key's id.  Until the body is there, nothing is final
   and the value is not kept (valid is 0). */

static ngx_int_t
ngx_http_loyalty_signature_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                       value;
    loyalty_signature_t             s;
    ngx_http_loyalty_signature_ctx_t   *ctx;
    ngx_http_loyalty_signature_conf_t  *acf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_loyalty_signature_module);
    acf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_signature_module);

    v->valid = (ctx != NULL);
    v->no_cacheable = 0;
    v->not_found = 0;

    ngx_str_null(&value);

    if (data) {
        ngx_http_loyalty_access_key(r, &value);

    } else if (ctx != NULL) {
        value = ngx_http_loyalty_sig_names[ctx->status];

    } else if (acf->sign != NULL) {
        value = ngx_http_loyalty_sig_names[
                      ngx_http_loyalty_signature_header(r, acf->sign, &s)];
    }

    v->len = value.len;
    v->data = value.data;

    return NGX_OK;
}


/* servers of a program need not have the same configuration */

static void *
ngx_http_loyalty_signature_create_main(ngx_conf_t *cf)
{
    ngx_http_loyalty_signature_main_t  *amcf;

    amcf = ngx_palloc(cf->pool, sizeof(ngx_http_loyalty_signature_main_t));

    if (amcf != NULL) {
        amcf->window = NGX_HTTP_LOYALTY_SIG_WINDOW;
    }

    return amcf;
}


static void *
ngx_http_loyalty_signature_create_conf(ngx_conf_t *cf)
{
    ngx_http_loyalty_signature_conf_t  *acf;

    acf = ngx_palloc(cf->pool, sizeof(ngx_http_loyalty_signature_conf_t));
    if (acf == NULL) {
        return NULL;
    }

    acf->sign = NGX_CONF_UNSET_PTR;

    return acf;
}


/* the API of the location is known by now: its module comes before this */

static char *
ngx_http_loyalty_signature_merge_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_loyalty_signature_conf_t *prev = parent;
    ngx_http_loyalty_signature_conf_t *conf = child;

    ngx_http_loyalty_loc_conf_t  *llcf;

    ngx_conf_merge_ptr_value(conf->sign, prev->sign, NULL);

    llcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_loyalty_module);

    if (conf->sign == NULL
        && ngx_http_loyalty_access_rule(cf, llcf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_loyalty_access(ngx_http_request_t *r, ngx_str_t *detail)
{
    loyalty_signature_t              s;
    ngx_http_loyalty_sig_e           status;
    ngx_http_loyalty_signature_conf_t  *acf;

    acf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_signature_module);

    if (acf->sign == NULL) {
        return NGX_OK;
    }

    status = ngx_http_loyalty_signature_header(r, acf->sign, &s);

    if (status == NGX_HTTP_LOYALTY_SIG_UNCHECKED) {
        return NGX_OK;
    }

    return ngx_http_loyalty_signature_refuse(r, status, detail);
}


ngx_int_t
ngx_http_loyalty_access_body(ngx_http_request_t *r, ngx_str_t *body,
    ngx_str_t *detail)
{
    int                              found;
    unsigned                         i;
    loyalty_signature_t              s;
    loyalty_signature_key_t         *key;
    ngx_http_loyalty_sig_e           status;
    ngx_http_loyalty_signature_ctx_t   *ctx;
    ngx_http_loyalty_signature_conf_t  *acf;

    acf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_signature_module);

    if (acf->sign == NULL) {
        return NGX_OK;
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_loyalty_signature_ctx_t));

    if (ctx == NULL) {
        return ngx_http_loyalty_signature_refuse(r,
                                       NGX_HTTP_LOYALTY_SIG_WRONG, detail);
    }

    ngx_http_set_ctx(r, ctx, ngx_http_loyalty_signature_module);

    ctx->status = NGX_HTTP_LOYALTY_SIG_WRONG;

    status = ngx_http_loyalty_signature_header(r, acf->sign, &s);

    if (status != NGX_HTTP_LOYALTY_SIG_UNCHECKED) {
        ctx->status = status;
        return ngx_http_loyalty_signature_refuse(r, status, detail);
    }

    for (i = 0; i < acf->sign->keys.n; i++) {
        key = &acf->sign->keys.keys[i];

        if (loyalty_signature_begin(&s, key) != 0
            || ngx_http_loyalty_signed(r, key, body) != NGX_OK)
        {
            break;
        }

        found = loyalty_signature_match(&s, key);

        if (found < 0) {
            break;
        }

        if (found) {
            ctx->status = NGX_HTTP_LOYALTY_SIG_OK;
            ctx->id.data = (u_char *) key->id;
            ctx->id.len = key->id_len;

            return NGX_OK;
        }
    }

    if (i < acf->sign->keys.n) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "the signature could not be computed");
    }

    return ngx_http_loyalty_signature_refuse(r, NGX_HTTP_LOYALTY_SIG_WRONG,
                                             detail);
}


int64_t
ngx_http_loyalty_access_longest(ngx_http_request_t *r)
{
    ngx_http_loyalty_signature_main_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r,
                                         ngx_http_loyalty_signature_module);

    return (2 * (int64_t) amcf->window + NGX_HTTP_LOYALTY_SIG_SLACK) * 1000;
}


void
ngx_http_loyalty_access_key(ngx_http_request_t *r, ngx_str_t *id)
{
    ngx_http_loyalty_signature_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_loyalty_signature_module);

    if (ctx != NULL) {
        *id = ctx->id;

    } else {
        ngx_str_null(id);
    }
}


ngx_int_t
ngx_http_loyalty_access_signed(ngx_http_request_t *r, ngx_msec_t *window,
    ngx_str_t *time)
{
    loyalty_signature_t                 s;
    ngx_http_loyalty_signature_conf_t  *acf;

    acf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_signature_module);

    if (acf->sign == NULL) {
        return NGX_DECLINED;
    }

    if (ngx_http_loyalty_signature_header(r, acf->sign, &s)
        != NGX_HTTP_LOYALTY_SIG_UNCHECKED)
    {
        return NGX_ERROR;
    }

    *window = (ngx_msec_t) acf->sign->window * 1000;
    time->data = (u_char *) s.text;
    time->len = s.len;

    return NGX_OK;
}


void
ngx_http_loyalty_access_used(ngx_http_request_t *r, ngx_str_t *detail)
{
    ngx_http_loyalty_signature_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_loyalty_signature_module);

    ctx->status = NGX_HTTP_LOYALTY_SIG_USED;
    ngx_str_null(&ctx->id);

    (void) ngx_http_loyalty_signature_refuse(r, ctx->status, detail);
}


/* UNCHECKED: it is well formed and in time.  What counts is when the request
   came, however long its body takes. */

static ngx_http_loyalty_sig_e
ngx_http_loyalty_signature_header(ngx_http_request_t *r,
    ngx_http_loyalty_signed_t *sign, loyalty_signature_t *s)
{
    int64_t    skew;
    ngx_str_t  value;

    static ngx_str_t  name = ngx_string("loyalty-signature");

    if (ngx_http_loyalty_signed_header(r, &name, &value) != 1) {
        return NGX_HTTP_LOYALTY_SIG_MISSING;
    }

    if (loyalty_signature_parse(s, value.data, value.len) != 0) {
        return NGX_HTTP_LOYALTY_SIG_MALFORMED;
    }

    skew = (int64_t) r->main->start_sec - s->t;

    if (skew > sign->window || -skew > sign->window) {
        return NGX_HTTP_LOYALTY_SIG_STALE;
    }

    return NGX_HTTP_LOYALTY_SIG_UNCHECKED;
}


static ngx_int_t
ngx_http_loyalty_signature_refuse(ngx_http_request_t *r,
    ngx_http_loyalty_sig_e status, ngx_str_t *detail)
{
    *detail = ngx_http_loyalty_sig_details[status];

    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "invalid signature: %V", detail);

    return NGX_DECLINED;
}
