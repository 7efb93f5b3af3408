/*
 * secret_file: the secrets that seeds, chains, pseudonyms and signatures
 * derive from.  A file of lines ID:HEX; the first one is for new campaigns,
 * the others for those that began with them.
 *
 * What is read is never in a pool, a log or an error message, and in no core
 * dump: it lives in pages of its own, which are left out of dumps and wiped
 * when the configuration goes.
 */

#include "ngx_http_loyalty_draws_private.h"

#include <sys/mman.h>


static ngx_int_t ngx_http_loyalty_secret_parse(ngx_conf_t *cf,
    ngx_http_loyalty_secrets_t *secrets, ngx_str_t *text, ngx_str_t *path);
static ngx_int_t ngx_http_loyalty_secret_line(
    ngx_http_loyalty_secrets_t *secrets, u_char *p, u_char *last);
static void ngx_http_loyalty_secret_cleanup(void *data);


static size_t
ngx_http_loyalty_secret_size(size_t size)
{
    return ngx_align(size, ngx_pagesize);
}


void *
ngx_http_loyalty_secret_alloc(size_t size, ngx_log_t *log)
{
    void  *p;

    size = ngx_http_loyalty_secret_size(size);

    p = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS,
             -1, 0);

    if (p == MAP_FAILED) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "mmap(%uz) failed", size);
        return NULL;
    }

#ifdef MADV_DONTDUMP
    if (madvise(p, size, MADV_DONTDUMP) == -1) {
        ngx_log_error(NGX_LOG_WARN, log, ngx_errno,
                      "madvise(MADV_DONTDUMP) failed, a core dump would hold "
                      "secrets");
    }
#endif

    return p;
}


void
ngx_http_loyalty_secret_free(void *p, size_t size)
{
    if (p == NULL) {
        return;
    }

    loyalty_wipe(p, size);
    (void) munmap(p, ngx_http_loyalty_secret_size(size));
}


static void
ngx_http_loyalty_secret_cleanup(void *data)
{
    ngx_http_loyalty_secret_free(data, sizeof(ngx_http_loyalty_secrets_t));
}


char *
ngx_http_loyalty_secret_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t                    rc;
    ngx_str_t                   *value, text;
    ngx_file_info_t              fi;
    ngx_pool_cleanup_t          *cln;
    ngx_http_loyalty_block_t    *block;
    ngx_http_loyalty_draws_t    *draws;
    ngx_http_loyalty_secrets_t  *secrets;

    block = cf->ctx;
    value = cf->args->elts;

    draws = ngx_http_loyalty_draws(cf, block->program);
    if (draws == NULL) {
        return NGX_CONF_ERROR;
    }

    if (draws->secrets != NULL) {
        return "is duplicate";
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    secrets = ngx_http_loyalty_secret_alloc(
                                       sizeof(ngx_http_loyalty_secrets_t),
                                       cf->log);
    if (secrets == NULL) {
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_loyalty_secret_cleanup;
    cln->data = secrets;

    text.data = secrets->text;

    rc = ngx_http_loyalty_draws_file(cf, "secret_file", &value[1],
                                     NGX_HTTP_LOYALTY_SECRET_FILE, &text);

    if (rc == NGX_OK) {
        rc = ngx_http_loyalty_secret_parse(cf, secrets, &text, &value[1]);
    }

    loyalty_wipe(secrets->text, NGX_HTTP_LOYALTY_SECRET_FILE);

    if (rc != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_file_info(value[1].data, &fi) != NGX_FILE_ERROR
        && (fi.st_mode & (S_IRWXG|S_IRWXO)))
    {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "secret_file \"%V\" is open to others than its "
                           "owner: \"chmod 600\" is expected", &value[1]);
    }

    draws->secrets = secrets;
    ngx_http_loyalty_games_place(cf, &draws->place);

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_loyalty_secret_parse(ngx_conf_t *cf,
    ngx_http_loyalty_secrets_t *secrets, ngx_str_t *text, ngx_str_t *path)
{
    u_char      *p, *last, *end;
    ngx_int_t    rc;
    ngx_uint_t   line;

    p = text->data;
    end = p + text->len;

    for (line = 1; p < end; line++) {

        last = ngx_strlchr(p, end, LF);
        if (last == NULL) {
            last = end;
        }

        rc = ngx_http_loyalty_secret_line(secrets, p, last);

        /* the line itself is not told: it may be a secret */

        if (rc == NGX_ERROR) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid line %ui of secret_file \"%V\": "
                               "ID:HEX is expected, an id of letters, "
                               "digits, \"_\" and \"-\" and 64 hexadecimal "
                               "digits, as \"openssl rand -hex 32\" makes "
                               "them", line, path);
            return NGX_ERROR;
        }

        if (rc == NGX_DECLINED) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid line %ui of secret_file \"%V\": its "
                               "id is that of an earlier line", line, path);
            return NGX_ERROR;
        }

        if (rc == NGX_ABORT) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "too many lines in secret_file \"%V\": at "
                               "most %d are expected", path,
                               NGX_HTTP_LOYALTY_SECRETS);
            return NGX_ERROR;
        }

        p = last + 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_secret_line(ngx_http_loyalty_secrets_t *secrets, u_char *p,
    u_char *last)
{
    u_char                     *colon, c;
    size_t                      i;
    ngx_uint_t                  n;
    ngx_http_loyalty_secret_t  *secret;

    if (last > p && last[-1] == CR) {
        last--;
    }

    colon = ngx_strlchr(p, last, ':');

    if (colon == NULL || colon == p
        || colon - p > NGX_HTTP_LOYALTY_SECRET_ID)
    {
        return NGX_ERROR;
    }

    for (i = 0; p + i < colon; i++) {
        c = p[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z')
            && !(c >= '0' && c <= '9') && c != '_' && c != '-')
        {
            return NGX_ERROR;
        }
    }

    if (secrets->n == NGX_HTTP_LOYALTY_SECRETS) {
        return NGX_ABORT;
    }

    for (n = 0; n < secrets->n; n++) {
        if (secrets->secret[n].len == i
            && ngx_memcmp(secrets->secret[n].id, p, i) == 0)
        {
            return NGX_DECLINED;
        }
    }

    secret = &secrets->secret[secrets->n];

    if (loyalty_unhex(secret->key, NGX_HTTP_LOYALTY_SECRET, colon + 1,
                      last - colon - 1)
        != 0
        || loyalty_zero(secret->key, NGX_HTTP_LOYALTY_SECRET))
    {
        return NGX_ERROR;
    }

    ngx_memcpy(secret->id, p, i);
    secret->len = i;
    secrets->n++;

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_secret_vkey(ngx_http_loyalty_program_t *program,
    ngx_uint_t n, ngx_str_t *id, u_char *dst, size_t *len)
{
    u_char                      seed[LOYALTY_HASH];
    ngx_int_t                   rc;
    loyalty_signkey_t           key;
    ngx_http_loyalty_secret_t  *secret;

    if (program->draws == NULL || program->draws->secrets == NULL
        || n >= program->draws->secrets->n)
    {
        return NGX_DECLINED;
    }

    secret = &program->draws->secrets->secret[n];

    rc = (loyalty_sign_seed(seed, secret->key, program->name.data,
                            program->name.len)
          == 0
          && loyalty_signkey_init(&key, program->name.data,
                                  program->name.len, seed)
             == 0)
         ? NGX_OK : NGX_ERROR;

    loyalty_wipe(seed, LOYALTY_HASH);

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    id->data = secret->id;
    id->len = secret->len;

    *len = loyalty_vkey(dst, &key);
    loyalty_signkey_free(&key);

    return NGX_OK;
}
