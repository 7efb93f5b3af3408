/*
 * The arguments of loyalty_jwt, and its keys.  What a file of keys holds is
 * never told, also where it is wrong.
 */

#include "ngx_http_loyalty_jwt.h"


#define NGX_HTTP_LOYALTY_JWT_FILE    262144
#define NGX_HTTP_LOYALTY_JWT_LEEWAY  10        /* s */
#define NGX_HTTP_LOYALTY_JWT_MOST    3600      /* of it */


static ngx_int_t ngx_http_loyalty_jwt_args(ngx_conf_t *cf,
    ngx_http_loyalty_jwt_t *jwt);
static ngx_int_t ngx_http_loyalty_jwt_text(ngx_http_loyalty_jwt_t *jwt,
    ngx_str_t *arg);
static ngx_int_t ngx_http_loyalty_jwt_value(ngx_conf_t *cf,
    ngx_http_loyalty_jwt_t *jwt, ngx_str_t *arg);
static ngx_int_t ngx_http_loyalty_jwt_token_arg(ngx_conf_t *cf,
    ngx_http_loyalty_jwt_t *jwt, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_jwt_keys(ngx_conf_t *cf,
    ngx_http_loyalty_jwt_t *jwt);
static const char *ngx_http_loyalty_jwt_secret(ngx_http_loyalty_jwt_t *jwt,
    ngx_str_t *text);


ngx_int_t
ngx_http_loyalty_jwt_parse(ngx_conf_t *cf, ngx_http_loyalty_jwt_t *jwt)
{
    jwt->leeway = NGX_CONF_UNSET;

    if (ngx_http_loyalty_jwt_args(cf, jwt) != NGX_OK
        || ngx_http_loyalty_jwt_keys(cf, jwt) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_conf_init_value(jwt->leeway, NGX_HTTP_LOYALTY_JWT_LEEWAY);

    jwt->rules.issuer = (char *) jwt->issuer.data;
    jwt->rules.issuer_len = jwt->issuer.len;
    jwt->rules.audience = (char *) jwt->audience.data;
    jwt->rules.audience_len = jwt->audience.len;
    jwt->rules.leeway = jwt->leeway;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_jwt_args(ngx_conf_t *cf, ngx_http_loyalty_jwt_t *jwt)
{
    ngx_int_t    rc;
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        rc = ngx_http_loyalty_jwt_text(jwt, &value[i]);

        if (rc == NGX_DECLINED) {
            rc = ngx_http_loyalty_jwt_value(cf, jwt, &value[i]);
        }

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DECLINED) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" of \"loyalty_jwt\": "
                               "one of key_file= and jwks_file=, alg= (HS256, "
                               "RS256, ES256, EdDSA; several times), and once "
                               "each iss=, aud=, leeway= (0 to 1h) and token= "
                               "are expected, or \"off\" alone", &value[i]);
            return NGX_ERROR;
        }
    }

    if ((jwt->key_file.len != 0) == (jwt->jwks_file.len != 0)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"loyalty_jwt\" needs either \"key_file=\" or "
                           "\"jwks_file=\"");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* parameters whose value is taken as it is */

static ngx_int_t
ngx_http_loyalty_jwt_text(ngx_http_loyalty_jwt_t *jwt, ngx_str_t *arg)
{
    size_t       len;
    ngx_str_t   *dst;
    ngx_uint_t   i;

    static const struct {
        ngx_str_t  name;
        size_t     offset;
    } texts[] = {
        { ngx_string("key_file="),
          offsetof(ngx_http_loyalty_jwt_t, key_file) },
        { ngx_string("jwks_file="),
          offsetof(ngx_http_loyalty_jwt_t, jwks_file) },
        { ngx_string("iss="), offsetof(ngx_http_loyalty_jwt_t, issuer) },
        { ngx_string("aud="), offsetof(ngx_http_loyalty_jwt_t, audience) },
        { ngx_null_string, 0 }
    };

    for (i = 0; texts[i].name.len; i++) {

        len = texts[i].name.len;
        dst = (ngx_str_t *) ((char *) jwt + texts[i].offset);

        if (arg->len > len
            && ngx_memcmp(arg->data, texts[i].name.data, len) == 0
            && dst->len == 0)
        {
            dst->data = arg->data + len;
            dst->len = arg->len - len;

            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_loyalty_jwt_value(ngx_conf_t *cf, ngx_http_loyalty_jwt_t *jwt,
    ngx_str_t *arg)
{
    unsigned   alg;
    ngx_str_t  value;

    if (ngx_strncmp(arg->data, "alg=", 4) == 0) {
        alg = loyalty_jwk_alg((char *) arg->data + 4, arg->len - 4);
        jwt->algs |= alg;

        return alg ? NGX_OK : NGX_DECLINED;
    }

    if (ngx_strncmp(arg->data, "leeway=", 7) == 0
        && jwt->leeway == NGX_CONF_UNSET)
    {
        value.data = arg->data + 7;
        value.len = arg->len - 7;

        jwt->leeway = ngx_parse_time(&value, 1);

        return (jwt->leeway >= 0
                && jwt->leeway <= NGX_HTTP_LOYALTY_JWT_MOST)
               ? NGX_OK : NGX_DECLINED;
    }

    if (ngx_strncmp(arg->data, "token=", 6) == 0 && jwt->token == NULL) {
        value.data = arg->data + 6;
        value.len = arg->len - 6;

        return ngx_http_loyalty_jwt_token_arg(cf, jwt, &value);
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_loyalty_jwt_token_arg(ngx_conf_t *cf, ngx_http_loyalty_jwt_t *jwt,
    ngx_str_t *value)
{
    ngx_http_compile_complex_value_t  ccv;

    jwt->token = ngx_pcalloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (jwt->token == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = value;
    ccv.complex_value = jwt->token;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_ERROR;
    }

    /* one token for everybody */

    if (jwt->token->lengths == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"token=\" of \"loyalty_jwt\": a variable, such "
                           "as \"token=$cookie_session\", is expected");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_jwt_keys(ngx_conf_t *cf, ngx_http_loyalty_jwt_t *jwt)
{
    unsigned     line, algs;
    ngx_str_t    text, *name;
    const char  *error;

    static u_char  begin[] = "-----BEGIN ";

    algs = jwt->algs ? jwt->algs : LOYALTY_JWK_ANY;
    name = jwt->jwks_file.len ? &jwt->jwks_file : &jwt->key_file;

    if (ngx_http_loyalty_file_read(cf, name, NGX_HTTP_LOYALTY_JWT_FILE,
                                   &text)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    line = 0;

    if (jwt->jwks_file.len) {
        error = loyalty_jwks_json(&jwt->keys, text.data, text.len, algs,
                                  &line);

    } else if (ngx_strnstr(text.data, (char *) begin, text.len) != NULL) {
        error = loyalty_jwks_pem(&jwt->keys, text.data, text.len, algs,
                                 &line);

    } else {
        error = ngx_http_loyalty_jwt_secret(jwt, &text);
    }

    ngx_explicit_memzero(text.data, text.len);

    if (error == NULL) {
        return NGX_OK;
    }

    if (line) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "key file \"%V\", line %ui: "
                           "%s", name, (ngx_uint_t) line, error);

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "key file \"%V\": %s", name,
                           error);
    }

    return NGX_ERROR;
}


/* a file of any other kind is a secret only where it is said to be one */

static const char *
ngx_http_loyalty_jwt_secret(ngx_http_loyalty_jwt_t *jwt, ngx_str_t *text)
{
    size_t  len;

    if (jwt->algs != LOYALTY_JWK_HS256) {
        return "a public key or a certificate in PEM is expected, or a "
               "secret with \"alg=HS256\"";
    }

    len = text->len;

    if (len && text->data[len - 1] == '\n') {
        len--;

        if (len && text->data[len - 1] == '\r') {
            len--;
        }
    }

    return loyalty_jwks_secret(&jwt->keys, text->data, len);
}
