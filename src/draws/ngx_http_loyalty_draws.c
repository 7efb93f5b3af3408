/*
 * The directives of draws: secret_file in the program, and what the blocks of
 * both draws have in common.  Each of the latter is noted as a line of the
 * campaign's terms before its own handler sees it.
 */

#include "ngx_http_loyalty_draws_private.h"


static ngx_int_t ngx_http_loyalty_draws_read(ngx_conf_t *cf, ngx_fd_t fd,
    const char *what, ngx_str_t *path, size_t max, ngx_str_t *text);


static ngx_command_t  ngx_http_loyalty_draws_commands[] = {

    { ngx_string("secret_file"),
      NGX_LOYALTY_PROGRAM_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_secret_file,
      0,
      0,
      NULL },

    { ngx_string("open"),
      NGX_LOYALTY_INSTANT_CONF|NGX_LOYALTY_SWEEPSTAKES_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_campaign_line,
      0,
      0,
      (void *) ngx_http_loyalty_campaign_time },

    { ngx_string("close"),
      NGX_LOYALTY_INSTANT_CONF|NGX_LOYALTY_SWEEPSTAKES_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_campaign_line,
      0,
      1,
      (void *) ngx_http_loyalty_campaign_time },

    { ngx_string("version"),
      NGX_LOYALTY_INSTANT_CONF|NGX_LOYALTY_SWEEPSTAKES_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_campaign_line,
      0,
      0,
      (void *) ngx_http_loyalty_campaign_version_no },

    { ngx_string("cost"),
      NGX_LOYALTY_INSTANT_CONF|NGX_LOYALTY_SWEEPSTAKES_CONF|NGX_CONF_TAKE2,
      ngx_http_loyalty_campaign_line,
      0,
      0,
      (void *) ngx_http_loyalty_campaign_cost },

    { ngx_string("limit"),
      NGX_LOYALTY_INSTANT_CONF|NGX_LOYALTY_SWEEPSTAKES_CONF|NGX_CONF_TAKE3,
      ngx_http_loyalty_campaign_line,
      0,
      0,
      (void *) ngx_http_loyalty_campaign_limit },

    { ngx_string("eligible"),
      NGX_LOYALTY_INSTANT_CONF|NGX_LOYALTY_SWEEPSTAKES_CONF|NGX_CONF_2MORE,
      ngx_http_loyalty_campaign_line,
      0,
      0,
      (void *) ngx_http_loyalty_eligible },

    { ngx_string("exclude_file"),
      NGX_LOYALTY_INSTANT_CONF|NGX_LOYALTY_SWEEPSTAKES_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_campaign_line,
      0,
      0,
      (void *) ngx_http_loyalty_campaign_exclude },

    { ngx_string("rules_file"),
      NGX_LOYALTY_INSTANT_CONF|NGX_LOYALTY_SWEEPSTAKES_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_campaign_line,
      0,
      0,
      (void *) ngx_http_loyalty_campaign_rules },

    { ngx_string("prize"),
      NGX_LOYALTY_INSTANT_CONF|NGX_LOYALTY_SWEEPSTAKES_CONF|NGX_CONF_BLOCK
                              |NGX_CONF_TAKE1,
      ngx_http_loyalty_campaign_line,
      0,
      0,
      (void *) ngx_http_loyalty_prize },

    { ngx_string("stock"),
      NGX_LOYALTY_PRIZE_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_campaign_line,
      0,
      0,
      (void *) ngx_http_loyalty_prize_stock },

    { ngx_string("odds"),
      NGX_LOYALTY_PRIZE_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_campaign_line,
      0,
      0,
      (void *) ngx_http_loyalty_prize_odds },

    { ngx_string("award"),
      NGX_LOYALTY_PRIZE_CONF|NGX_CONF_1MORE,
      ngx_http_loyalty_campaign_line,
      0,
      0,
      (void *) ngx_http_loyalty_prize_award },

    { ngx_string("codes"),
      NGX_LOYALTY_PRIZE_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_campaign_line,
      0,
      0,
      (void *) ngx_http_loyalty_prize_codes },

      ngx_null_command
};


ngx_module_t  ngx_http_loyalty_draws_module = {
    NGX_MODULE_V1,
    NULL,                                  /* module context */
    ngx_http_loyalty_draws_commands,       /* module directives */
    NGX_LOYALTY_MODULE,                    /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


ngx_http_loyalty_draws_t *
ngx_http_loyalty_draws(ngx_conf_t *cf, ngx_http_loyalty_program_t *program)
{
    ngx_http_loyalty_draws_t  *draws;

    if (program->draws != NULL) {
        return program->draws;
    }

    draws = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_draws_t));
    if (draws == NULL) {
        return NULL;
    }

    if (ngx_array_init(&draws->campaigns, cf->pool, 4,
                       sizeof(ngx_http_loyalty_campaign_t *))
        != NGX_OK)
    {
        return NULL;
    }

    draws->program = program;
    program->draws = draws;
    ngx_queue_init(&draws->asks);

    return draws;
}


ngx_int_t
ngx_http_loyalty_draws_file(ngx_conf_t *cf, const char *what,
    ngx_str_t *path, size_t max, ngx_str_t *text)
{
    ngx_fd_t   fd;
    ngx_int_t  rc;

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    /* what is no file is not waited for */

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " %s \"%V\" failed", what, path);
        return NGX_ERROR;
    }

    rc = ngx_http_loyalty_draws_read(cf, fd, what, path, max, text);

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, cf->log, ngx_errno,
                      ngx_close_file_n " \"%V\" failed", path);
    }

    return rc;
}


/* text->data may be the caller's, with room for max bytes */

static ngx_int_t
ngx_http_loyalty_draws_read(ngx_conf_t *cf, ngx_fd_t fd, const char *what,
    ngx_str_t *path, size_t max, ngx_str_t *text)
{
    size_t           size;
    ssize_t          n;
    ngx_file_info_t  fi;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_fd_info_n " %s \"%V\" failed", what, path);
        return NGX_ERROR;
    }

    if (!ngx_is_file(&fi) || ngx_file_size(&fi) < 1
        || ngx_file_size(&fi) > (off_t) max)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid %s \"%V\": a file of 1 to %uz bytes is "
                           "expected", what, path, max);
        return NGX_ERROR;
    }

    size = (size_t) ngx_file_size(&fi);

    if (text->data == NULL) {
        text->data = ngx_pnalloc(cf->pool, size);
        if (text->data == NULL) {
            return NGX_ERROR;
        }
    }

    for (text->len = 0; text->len < size; text->len += n) {

        n = ngx_read_fd(fd, text->data + text->len, size - text->len);

        if (n == -1) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                               ngx_read_fd_n " %s \"%V\" failed", what, path);
            return NGX_ERROR;
        }

        if (n == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "%s \"%V\" became shorter while it was read",
                               what, path);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_http_loyalty_campaign_t *
ngx_http_loyalty_campaign(ngx_http_loyalty_program_t *program, ngx_uint_t i)
{
    ngx_http_loyalty_campaign_t  **campaign;

    if (program->draws == NULL || i >= program->draws->campaigns.nelts) {
        return NULL;
    }

    campaign = program->draws->campaigns.elts;

    return campaign[i];
}


ngx_http_loyalty_campaign_t *
ngx_http_loyalty_campaign_find(ngx_http_loyalty_program_t *program,
    ngx_uint_t kind, ngx_str_t *name)
{
    ngx_uint_t                    i;
    ngx_http_loyalty_campaign_t  *campaign;

    for (i = 0; /* void */ ; i++) {

        campaign = ngx_http_loyalty_campaign(program, i);

        if (campaign == NULL
            || (campaign->kind == kind
                && campaign->rule->name.len == name->len
                && ngx_memcmp(campaign->rule->name.data, name->data,
                              name->len)
                   == 0))
        {
            return campaign;
        }
    }
}
