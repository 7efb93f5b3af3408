/*
 * A file that a directive names: keys, lists.  It is read while nginx reads
 * its configuration, whole, and with every error explained.
 */

#include "ngx_http_loyalty_http.h"


static ngx_int_t ngx_http_loyalty_file_text(ngx_conf_t *cf,
    ngx_file_t *file, size_t max, ngx_str_t *text);


ngx_int_t
ngx_http_loyalty_file_read(ngx_conf_t *cf, ngx_str_t *name, size_t max,
    ngx_str_t *text)
{
    ngx_int_t   rc;
    ngx_file_t  file;

    if (ngx_conf_full_name(cf->cycle, name, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memzero(&file, sizeof(ngx_file_t));

    file.name = *name;
    file.log = cf->log;
    file.fd = ngx_open_file(name->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (file.fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", name);
        return NGX_ERROR;
    }

    rc = ngx_http_loyalty_file_text(cf, &file, max, text);

    if (ngx_close_file(file.fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", name);
    }

    return rc;
}


static ngx_int_t
ngx_http_loyalty_file_text(ngx_conf_t *cf, ngx_file_t *file, size_t max,
    ngx_str_t *text)
{
    off_t    size;
    ssize_t  n;

    if (ngx_fd_info(file->fd, &file->info) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_fd_info_n " \"%V\" failed", &file->name);
        return NGX_ERROR;
    }

    size = ngx_file_size(&file->info);

    if (!ngx_is_file(&file->info) || size > (off_t) max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is no file of at most %uz bytes",
                           &file->name, max);
        return NGX_ERROR;
    }

    text->len = (size_t) size;
    text->data = ngx_palloc(cf->temp_pool, text->len + 1);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    for (size = 0; size < (off_t) text->len; size += n) {

        n = ngx_read_file(file, text->data + size,
                          text->len - (size_t) size, size);

        if (n == NGX_ERROR || n == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" could not be read", &file->name);
            return NGX_ERROR;
        }
    }

    text->data[text->len] = '\0';

    return NGX_OK;
}
