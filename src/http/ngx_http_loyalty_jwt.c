/*
 * loyalty_jwt: the claims of a token as variables $loyalty_jwt_CLAIM.
 *
 * A token is verified when somebody first asks, and once a request for each
 * loyalty_jwt that it comes to: internal redirects keep the result, which
 * hangs on the pool.  Variables are kept by nginx as soon as they are read,
 * so that they are those of the location where that was.
 */

#include "ngx_http_loyalty_jwt.h"


#define NGX_HTTP_LOYALTY_JWT_PREFIX  "loyalty_jwt_"


typedef struct {
    ngx_http_loyalty_jwt_t       *jwt;            /* NULL: off */
} ngx_http_loyalty_jwt_conf_t;


typedef struct {
    ngx_uint_t                    used;           /* there is a loyalty_jwt */
} ngx_http_loyalty_jwt_main_t;


/* what one loyalty_jwt said of the request's token */

typedef struct ngx_http_loyalty_jwt_result_s
    ngx_http_loyalty_jwt_result_t;

struct ngx_http_loyalty_jwt_result_s {
    ngx_http_loyalty_jwt_t         *jwt;
    ngx_str_t                       token;        /* data NULL: none */
    loyalty_jwt_e                   status;
    json_t                         *claims;       /* NULL: not good */
    ngx_http_loyalty_jwt_result_t  *next;
};


typedef struct {
    ngx_http_loyalty_jwt_result_t  *first;
} ngx_http_loyalty_jwt_ctx_t;


static char *ngx_http_loyalty_jwt(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static void ngx_http_loyalty_jwt_keys_free(void *data);

static ngx_int_t ngx_http_loyalty_jwt_variables(ngx_conf_t *cf);
static ngx_int_t ngx_http_loyalty_jwt_variables_used(ngx_conf_t *cf);
static void *ngx_http_loyalty_jwt_create_main(ngx_conf_t *cf);
static void *ngx_http_loyalty_jwt_create_conf(ngx_conf_t *cf);
static char *ngx_http_loyalty_jwt_merge_conf(ngx_conf_t *cf, void *parent,
    void *child);

static ngx_int_t ngx_http_loyalty_jwt_status(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_loyalty_jwt_claim(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_loyalty_jwt_claim_text(ngx_http_request_t *r,
    json_t *claim, ngx_str_t *text);
static ngx_int_t ngx_http_loyalty_jwt_dump(ngx_http_request_t *r,
    json_t *claim, ngx_str_t *text);
static ngx_int_t ngx_http_loyalty_jwt_result(ngx_http_request_t *r,
    ngx_http_loyalty_jwt_result_t **result);
static ngx_http_loyalty_jwt_ctx_t *ngx_http_loyalty_jwt_ctx(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_loyalty_jwt_token(ngx_http_request_t *r,
    ngx_http_loyalty_jwt_t *jwt, ngx_str_t *token);
static void ngx_http_loyalty_jwt_ctx_free(void *data);


static ngx_command_t  ngx_http_loyalty_jwt_commands[] = {

    { ngx_string("loyalty_jwt"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_loyalty_jwt,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_loyalty_jwt_module_ctx = {
    ngx_http_loyalty_jwt_variables,        /* preconfiguration */
    ngx_http_loyalty_jwt_variables_used,   /* postconfiguration */

    ngx_http_loyalty_jwt_create_main,      /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_loyalty_jwt_create_conf,      /* create location configuration */
    ngx_http_loyalty_jwt_merge_conf        /* merge location configuration */
};


ngx_module_t  ngx_http_loyalty_jwt_module = {
    NGX_MODULE_V1,
    &ngx_http_loyalty_jwt_module_ctx,      /* module context */
    ngx_http_loyalty_jwt_commands,         /* module directives */
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


static char *
ngx_http_loyalty_jwt(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_loyalty_jwt_conf_t *jcf = conf;

    ngx_str_t                    *value;
    ngx_pool_cleanup_t           *cln;
    ngx_http_loyalty_jwt_t       *jwt;
    ngx_http_loyalty_jwt_main_t  *jmcf;

    if (jcf->jwt != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        jcf->jwt = NULL;
        return NGX_CONF_OK;
    }

    jwt = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_jwt_t));
    cln = ngx_pool_cleanup_add(cf->pool, 0);

    if (jwt == NULL || cln == NULL) {
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_loyalty_jwt_keys_free;
    cln->data = jwt;

    if (ngx_http_loyalty_jwt_parse(cf, jwt) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    jcf->jwt = jwt;

    jmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_loyalty_jwt_module);
    jmcf->used = 1;

    return NGX_CONF_OK;
}


static void
ngx_http_loyalty_jwt_keys_free(void *data)
{
    ngx_http_loyalty_jwt_t *jwt = data;

    loyalty_jwks_free(&jwt->keys);
}


static ngx_int_t
ngx_http_loyalty_jwt_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var;

    static ngx_str_t  status = ngx_string("loyalty_jwt_status");
    static ngx_str_t  prefix = ngx_string(NGX_HTTP_LOYALTY_JWT_PREFIX);

    var = ngx_http_add_variable(cf, &status, 0);
    if (var == NULL) {
        return NGX_ERROR;
    }

    var->get_handler = ngx_http_loyalty_jwt_status;

    var = ngx_http_add_variable(cf, &prefix, NGX_HTTP_VAR_PREFIX);
    if (var == NULL) {
        return NGX_ERROR;
    }

    var->get_handler = ngx_http_loyalty_jwt_claim;

    return NGX_OK;
}


/* without a loyalty_jwt they would all be empty, for everybody */

static ngx_int_t
ngx_http_loyalty_jwt_variables_used(ngx_conf_t *cf)
{
    size_t                        len;
    ngx_uint_t                    i;
    ngx_http_variable_t          *var;
    ngx_http_loyalty_place_t      place;
    ngx_http_core_main_conf_t    *cmcf;
    ngx_http_loyalty_jwt_main_t  *jmcf;

    jmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_loyalty_jwt_module);

    if (jmcf->used) {
        return NGX_OK;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    var = cmcf->variables.elts;
    len = sizeof(NGX_HTTP_LOYALTY_JWT_PREFIX) - 1;

    for (i = 0; i < cmcf->variables.nelts; i++) {

        if (var[i].name.len > len
            && ngx_memcmp(var[i].name.data, NGX_HTTP_LOYALTY_JWT_PREFIX, len)
               == 0)
        {
            (void) ngx_http_loyalty_variable_place(cf, &var[i].name, &place);
            ngx_http_loyalty_conf_error(cf, &place,
                                        "variable \"%V\" is used, and there "
                                        "is no \"loyalty_jwt\"",
                                        &var[i].name);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void *
ngx_http_loyalty_jwt_create_main(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_jwt_main_t));
}


static void *
ngx_http_loyalty_jwt_create_conf(ngx_conf_t *cf)
{
    ngx_http_loyalty_jwt_conf_t  *jcf;

    jcf = ngx_palloc(cf->pool, sizeof(ngx_http_loyalty_jwt_conf_t));
    if (jcf == NULL) {
        return NULL;
    }

    jcf->jwt = NGX_CONF_UNSET_PTR;

    return jcf;
}


static char *
ngx_http_loyalty_jwt_merge_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_loyalty_jwt_conf_t *prev = parent;
    ngx_http_loyalty_jwt_conf_t *conf = child;

    ngx_conf_merge_ptr_value(conf->jwt, prev->jwt, NULL);

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_loyalty_jwt_check(ngx_http_request_t *r, ngx_str_t *detail)
{
    const char                     *word;
    ngx_http_loyalty_jwt_ctx_t     *ctx;
    ngx_http_loyalty_jwt_result_t  *result, *other;

    if (ngx_http_loyalty_jwt_result(r, &result) != NGX_OK) {
        ngx_str_set(detail, "the token could not be looked at");
        return NGX_DECLINED;
    }

    if (result == NULL) {
        return NGX_OK;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_loyalty_jwt_module);

    /* variables may have been read where another token is taken */

    for (other = ctx->first; other != NULL; other = other->next) {

        if (other->token.len != result->token.len
            || (result->token.len
                && ngx_memcmp(other->token.data, result->token.data,
                              result->token.len)
                   != 0))
        {
            ngx_str_set(detail, "the request has two tokens");
            return NGX_DECLINED;
        }
    }

    if (result->token.data == NULL || result->status == LOYALTY_JWT_OK) {
        return NGX_OK;
    }

    word = loyalty_jwt_word(result->status);

    detail->len = ngx_strlen(word);
    detail->data = (u_char *) word;

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_loyalty_jwt_challenge(ngx_http_request_t *r,
    ngx_http_loyalty_problem_e problem)
{
    ngx_str_t                     value;
    ngx_http_loyalty_jwt_conf_t  *jcf;

    jcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_jwt_module);

    if (jcf->jwt == NULL) {
        return NGX_OK;
    }

    if (problem == NGX_HTTP_LOYALTY_P_INVALID_TOKEN) {
        ngx_str_set(&value, "Bearer error=\"invalid_token\"");

    } else {
        ngx_str_set(&value, "Bearer");
    }

    return ngx_http_loyalty_header(r, "WWW-Authenticate",
                                   sizeof("WWW-Authenticate") - 1, &value);
}


static ngx_int_t
ngx_http_loyalty_jwt_status(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    const char                     *word;
    ngx_http_loyalty_jwt_result_t  *result;

    if (ngx_http_loyalty_jwt_result(r, &result) != NGX_OK) {
        return NGX_ERROR;
    }

    if (result == NULL) {
        word = "";

    } else if (result->token.data == NULL) {
        word = "none";

    } else {
        word = loyalty_jwt_word(result->status);
    }

    v->len = ngx_strlen(word);
    v->data = (u_char *) word;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_jwt_claim(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t *name = (ngx_str_t *) data;

    size_t                          len;
    json_t                         *claim;
    ngx_str_t                       text;
    ngx_http_loyalty_jwt_result_t  *result;

    if (ngx_http_loyalty_jwt_result(r, &result) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_str_set(&text, "");
    len = sizeof(NGX_HTTP_LOYALTY_JWT_PREFIX) - 1;

    if (result != NULL && result->claims != NULL) {

        claim = loyalty_jwt_claim(result->claims, (char *) name->data + len,
                                  name->len - len);

        if (claim != NULL
            && ngx_http_loyalty_jwt_claim_text(r, claim, &text) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    v->len = text.len;
    v->data = text.data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


/* strings live as long as the claims, that is, as the request */

static ngx_int_t
ngx_http_loyalty_jwt_claim_text(ngx_http_request_t *r, json_t *claim,
    ngx_str_t *text)
{
    size_t  i;

    switch (json_typeof(claim)) {

    case JSON_NULL:
        return NGX_OK;

    case JSON_TRUE:
        ngx_str_set(text, "true");
        return NGX_OK;

    case JSON_FALSE:
        ngx_str_set(text, "false");
        return NGX_OK;

    case JSON_STRING:
        break;

    default:
        return ngx_http_loyalty_jwt_dump(r, claim, text);
    }

    text->data = (u_char *) json_string_value(claim);
    text->len = json_string_length(claim);

    /* variables go into headers, where a line break begins another one */

    for (i = 0; i < text->len; i++) {
        if (text->data[i] < 0x20 || text->data[i] == 0x7f) {
            text->len = 0;
            break;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_jwt_dump(ngx_http_request_t *r, json_t *claim,
    ngx_str_t *text)
{
    char  *dump;

    dump = json_dumps(claim, JSON_COMPACT|JSON_ENCODE_ANY|JSON_ENSURE_ASCII);
    if (dump == NULL) {
        return NGX_ERROR;
    }

    text->len = ngx_strlen(dump);
    text->data = ngx_pnalloc(r->pool, text->len);

    if (text->data != NULL) {
        ngx_memcpy(text->data, dump, text->len);
    }

    free(dump);

    return text->data ? NGX_OK : NGX_ERROR;
}


/* NULL: the location has no loyalty_jwt */

static ngx_int_t
ngx_http_loyalty_jwt_result(ngx_http_request_t *r,
    ngx_http_loyalty_jwt_result_t **result)
{
    ngx_http_loyalty_jwt_ctx_t      *ctx;
    ngx_http_loyalty_jwt_conf_t     *jcf;
    ngx_http_loyalty_jwt_result_t  **link, *res;

    *result = NULL;
    jcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_jwt_module);

    if (jcf->jwt == NULL) {
        return NGX_OK;
    }

    ctx = ngx_http_loyalty_jwt_ctx(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    for (link = &ctx->first; *link != NULL; link = &(*link)->next) {
        if ((*link)->jwt == jcf->jwt) {
            *result = *link;
            return NGX_OK;
        }
    }

    res = ngx_pcalloc(r->pool, sizeof(ngx_http_loyalty_jwt_result_t));
    if (res == NULL) {
        return NGX_ERROR;
    }

    res->jwt = jcf->jwt;
    res->status = LOYALTY_JWT_MALFORMED;

    if (ngx_http_loyalty_jwt_token(r, jcf->jwt, &res->token) != NGX_OK) {
        return NGX_ERROR;
    }

    if (res->token.data != NULL) {
        res->status = loyalty_jwt_verify(&jcf->jwt->keys, &jcf->jwt->rules,
                                         res->token.data, res->token.len,
                                         ngx_time(), &res->claims);

        if (res->status != LOYALTY_JWT_OK) {
            ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                          "invalid token: %s",
                          loyalty_jwt_word(res->status));
        }
    }

    /* asking for the token may have brought results of others */

    while (*link != NULL) {
        link = &(*link)->next;
    }

    *link = res;
    *result = res;

    return NGX_OK;
}


/* an internal redirect takes the context away, and the pool keeps it */

static ngx_http_loyalty_jwt_ctx_t *
ngx_http_loyalty_jwt_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t          *cln;
    ngx_http_loyalty_jwt_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_loyalty_jwt_module);

    if (ctx != NULL) {
        return ctx;
    }

    for (cln = r->pool->cleanup; cln != NULL; cln = cln->next) {
        if (cln->handler == ngx_http_loyalty_jwt_ctx_free) {
            ngx_http_set_ctx(r, cln->data, ngx_http_loyalty_jwt_module);
            return cln->data;
        }
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_loyalty_jwt_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ctx->first = NULL;

    cln->handler = ngx_http_loyalty_jwt_ctx_free;

    ngx_http_set_ctx(r, ctx, ngx_http_loyalty_jwt_module);

    return ctx;
}


static ngx_int_t
ngx_http_loyalty_jwt_token(ngx_http_request_t *r,
    ngx_http_loyalty_jwt_t *jwt, ngx_str_t *token)
{
    ngx_str_t  value;

    ngx_str_null(token);

    if (jwt->token != NULL) {

        if (ngx_http_complex_value(r, jwt->token, &value) != NGX_OK) {
            return NGX_ERROR;
        }

        if (value.len) {
            *token = value;
        }

        return NGX_OK;
    }

    if (r->headers_in.authorization == NULL) {
        return NGX_OK;
    }

    value = r->headers_in.authorization->value;

    if (value.len < 7 || ngx_strncasecmp(value.data, (u_char *) "Bearer ", 7)
                         != 0)
    {
        return NGX_OK;
    }

    token->data = value.data + 7;
    token->len = value.len - 7;

    while (token->len && token->data[0] == ' ') {
        token->data++;
        token->len--;
    }

    return NGX_OK;
}


static void
ngx_http_loyalty_jwt_ctx_free(void *data)
{
    ngx_http_loyalty_jwt_ctx_t *ctx = data;

    ngx_http_loyalty_jwt_result_t  *result;

    for (result = ctx->first; result != NULL; result = result->next) {
        json_decref(result->claims);
    }
}
