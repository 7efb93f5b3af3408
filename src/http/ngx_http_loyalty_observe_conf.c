/*
 * The directives loyalty_observe, loyalty_ring and loyalty_spool.
 *
 * What is wrong with a directive by itself is found here, while it is read.
 */

#include "ngx_http_loyalty_observe.h"


#define NGX_HTTP_LOYALTY_RING_LEAST  (64 * 1024)
#define NGX_HTTP_LOYALTY_SPOOL_LEAST (64 * 1024)
#define NGX_HTTP_LOYALTY_SPOOL_FILE  (1024 * 1024)
#define NGX_HTTP_LOYALTY_DATA_NAME   128


static char *ngx_http_loyalty_observe_add(ngx_conf_t *cf,
    ngx_http_loyalty_observe_conf_t *ocf, ngx_http_loyalty_observe_t **rule);
static ngx_int_t ngx_http_loyalty_observe_param(ngx_conf_t *cf,
    ngx_http_loyalty_observe_t *rule, ngx_str_t *arg);
static ngx_int_t ngx_http_loyalty_observe_data(ngx_conf_t *cf,
    ngx_http_loyalty_observe_t *rule, ngx_str_t *arg);
static ngx_int_t ngx_http_loyalty_observe_value(ngx_conf_t *cf,
    ngx_str_t *arg, size_t name, ngx_http_complex_value_t *cv);
static ngx_int_t ngx_http_loyalty_observe_statuses(ngx_conf_t *cf,
    ngx_http_loyalty_observe_t *rule, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_spool_param(ngx_conf_t *cf,
    ngx_http_loyalty_spool_conf_t *spool, ngx_str_t *arg);
static ngx_int_t ngx_http_loyalty_spool_path(ngx_conf_t *cf,
    ngx_http_loyalty_spool_conf_t *spool, ngx_str_t *name);
static ngx_int_t ngx_http_loyalty_observe_required(ngx_conf_t *cf,
    ngx_http_complex_value_t *cv, const char *name, const char *example);


const ngx_http_loyalty_observe_param_t
    ngx_http_loyalty_observe_params[] =
{
    { ngx_string("member="), offsetof(ngx_http_loyalty_observe_t, member) },
    { ngx_string("id="), offsetof(ngx_http_loyalty_observe_t, id) },
    { ngx_string("amount="), offsetof(ngx_http_loyalty_observe_t, amount) },
    { ngx_string("quantity="),
      offsetof(ngx_http_loyalty_observe_t, quantity) },
    { ngx_string("channel="), offsetof(ngx_http_loyalty_observe_t, channel) },
    { ngx_string("partner="), offsetof(ngx_http_loyalty_observe_t, partner) },
    { ngx_string("if="), offsetof(ngx_http_loyalty_observe_t, filter) },
    { ngx_null_string, 0 }
};


char *
ngx_http_loyalty_observe_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_loyalty_observe_conf_t *ocf = conf;

    char                        *rv;
    ngx_str_t                   *value;
    ngx_uint_t                   i;
    ngx_http_loyalty_observe_t  *rule;

    static ngx_str_t  statuses = ngx_string("2xx");

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {

        if (ocf->rules != NGX_CONF_UNSET_PTR) {
            return "is duplicate";
        }

        ocf->rules = NULL;
        return NGX_CONF_OK;
    }

    if (cf->args->nelts < 3) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number of arguments in "
                           "\"loyalty_observe\": PROGRAM, EVENT, \"member=\" "
                           "and \"id=\", or \"off\" are expected");
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_loyalty_observe_add(cf, ocf, &rule);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (ngx_http_loyalty_name_check(cf, "program", &value[1]) != NGX_OK
        || ngx_http_loyalty_type_check(cf, &value[2]) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    rule->name = value[1];
    rule->type = value[2];

    for (i = 3; i < cf->args->nelts; i++) {
        if (ngx_http_loyalty_observe_param(cf, rule, &value[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_http_loyalty_observe_required(cf, rule->member, "member",
                                          "$upstream_http_x_customer")
        != NGX_OK
        || ngx_http_loyalty_observe_required(cf, rule->id, "id",
                                             "$upstream_http_x_order")
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (rule->statuses.nelts == 0
        && ngx_http_loyalty_observe_statuses(cf, rule, &statuses) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_loyalty_observe_add(ngx_conf_t *cf,
    ngx_http_loyalty_observe_conf_t *ocf, ngx_http_loyalty_observe_t **rule)
{
    ngx_http_loyalty_observe_t            *one, **here, **all;
    ngx_http_loyalty_observe_main_conf_t  *omcf;

    if (ocf->rules == NULL) {
        return "cannot be used together with \"off\"";
    }

    if (ocf->rules == NGX_CONF_UNSET_PTR) {
        ocf->rules = ngx_array_create(cf->pool, 2,
                                      sizeof(ngx_http_loyalty_observe_t *));
        if (ocf->rules == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    omcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_loyalty_observe_module);

    one = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_observe_t));
    here = ngx_array_push(ocf->rules);
    all = ngx_array_push(&omcf->rules);

    if (one == NULL || here == NULL || all == NULL
        || ngx_array_init(&one->data, cf->pool, 1,
                          sizeof(ngx_http_loyalty_observe_data_t))
           != NGX_OK
        || ngx_array_init(&one->statuses, cf->pool, 1,
                          sizeof(ngx_http_loyalty_statuses_t))
           != NGX_OK
        || ngx_array_init(&one->captures, cf->pool, 1,
                          sizeof(ngx_http_loyalty_variable_t *))
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    one->conf = ocf;
    one->place.file = cf->conf_file->file.name.data;
    one->place.line = cf->conf_file->line;

    *here = one;
    *all = one;
    *rule = one;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_loyalty_observe_param(ngx_conf_t *cf,
    ngx_http_loyalty_observe_t *rule, ngx_str_t *arg)
{
    ngx_str_t                                value;
    ngx_http_complex_value_t               **cv;
    const ngx_http_loyalty_observe_param_t  *param;

    for (param = ngx_http_loyalty_observe_params; param->name.len; param++) {

        if (arg->len < param->name.len
            || ngx_strncmp(arg->data, param->name.data, param->name.len) != 0)
        {
            continue;
        }

        cv = (ngx_http_complex_value_t **) ((u_char *) rule + param->offset);

        if (*cv != NULL) {
            goto duplicate;
        }

        *cv = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
        if (*cv == NULL) {
            return NGX_ERROR;
        }

        return ngx_http_loyalty_observe_value(cf, arg, param->name.len, *cv);
    }

    if (ngx_strncmp(arg->data, "data.", 5) == 0) {
        return ngx_http_loyalty_observe_data(cf, rule, arg);
    }

    if (ngx_strncmp(arg->data, "if_status=", 10) == 0) {

        if (rule->statuses.nelts) {
            goto duplicate;
        }

        value.data = arg->data + 10;
        value.len = arg->len - 10;

        return ngx_http_loyalty_observe_statuses(cf, rule, &value);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\": member=, id=, amount=, "
                       "quantity=, channel=, partner=, data.FIELD=, "
                       "if_status= or if= is expected", arg);
    return NGX_ERROR;

duplicate:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate parameter \"%V\"",
                       arg);
    return NGX_ERROR;
}


static ngx_int_t
ngx_http_loyalty_observe_data(ngx_conf_t *cf,
    ngx_http_loyalty_observe_t *rule, ngx_str_t *arg)
{
    u_char                           *p;
    ngx_str_t                         name;
    ngx_uint_t                        i;
    ngx_http_loyalty_observe_data_t  *data;

    p = ngx_strlchr(arg->data, arg->data + arg->len, '=');

    name.data = arg->data + 5;
    name.len = (p != NULL) ? (size_t) (p - name.data) : 0;

    if (p == NULL || ngx_http_loyalty_text_check(&name,
                                                 NGX_HTTP_LOYALTY_DATA_NAME)
                     != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\": data.FIELD=VALUE with "
                           "a name of 1 to %d bytes is expected", arg,
                           NGX_HTTP_LOYALTY_DATA_NAME);
        return NGX_ERROR;
    }

    data = rule->data.elts;

    for (i = 0; i < rule->data.nelts; i++) {
        if (ngx_http_loyalty_observe_same(&data[i].name, &name)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate parameter \"%V\"", arg);
            return NGX_ERROR;
        }
    }

    if (rule->data.nelts == LOYALTY_OBSERVED_PAIRS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many fields of data: at most %d are expected",
                           LOYALTY_OBSERVED_PAIRS);
        return NGX_ERROR;
    }

    data = ngx_array_push(&rule->data);
    if (data == NULL) {
        return NGX_ERROR;
    }

    data->name = name;

    return ngx_http_loyalty_observe_value(cf, arg, p + 1 - arg->data,
                                          &data->value);
}


/* what is behind the first bytes of arg, which are the parameter's name */

static ngx_int_t
ngx_http_loyalty_observe_value(ngx_conf_t *cf, ngx_str_t *arg, size_t name,
    ngx_http_complex_value_t *cv)
{
    ngx_str_t                          value;
    ngx_http_compile_complex_value_t   ccv;

    value.data = arg->data + name;
    value.len = arg->len - name;

    if (value.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\": a value, such as "
                           "\"$upstream_http_x_order\", is expected behind "
                           "the \"=\"", arg);
        return NGX_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value;
    ccv.complex_value = cv;

    return ngx_http_compile_complex_value(&ccv);
}


static ngx_int_t
ngx_http_loyalty_observe_statuses(ngx_conf_t *cf,
    ngx_http_loyalty_observe_t *rule, ngx_str_t *value)
{
    u_char                       *p, *last;
    ngx_int_t                     n;
    ngx_http_loyalty_statuses_t  *statuses;

    rule->if_status = *value;
    last = value->data + value->len;

    for (p = value->data; ; p += 4) {

        if (last - p < 3 || (last - p > 3 && p[3] != ',') || p[0] < '1'
            || p[0] > '5')
        {
            break;
        }

        statuses = ngx_array_push(&rule->statuses);
        if (statuses == NULL) {
            return NGX_ERROR;
        }

        if (p[1] == 'x' && p[2] == 'x') {
            statuses->first = (p[0] - '0') * 100;
            statuses->last = statuses->first + 99;

        } else {
            n = ngx_atoi(p, 3);

            if (n == NGX_ERROR) {
                break;
            }

            statuses->first = n;
            statuses->last = n;
        }

        if (last - p == 3) {
            return NGX_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"if_status=%V\": statuses from 100 "
                       "to 599 and classes, such as \"2xx\" or "
                       "\"200,201,3xx\", are expected", value);
    return NGX_ERROR;
}


/* one value for all requests would be one member, and one event, for ever */

static ngx_int_t
ngx_http_loyalty_observe_required(ngx_conf_t *cf,
    ngx_http_complex_value_t *cv, const char *name, const char *example)
{
    if (cv == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"loyalty_observe\" needs \"%s=\", such as "
                           "\"%s=%s\"", name, name, example);
        return NGX_ERROR;
    }

    if (cv->lengths == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%s=%V\" is the same in every request: a "
                           "variable, such as \"%s=%s\", is expected",
                           name, &cv->value, name, example);
        return NGX_ERROR;
    }

    return NGX_OK;
}


char *
ngx_http_loyalty_ring_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_loyalty_observe_main_conf_t *omcf = conf;

    u_char     *p;
    ssize_t     size;
    ngx_str_t  *value, s;

    if (omcf->size) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strncmp(value[1].data, "zone=", 5) != 0) {
        goto invalid;
    }

    p = (u_char *) ngx_strchr(value[1].data, ':');

    omcf->zone.data = value[1].data + 5;

    if (p == NULL || p == omcf->zone.data) {
        goto invalid;
    }

    omcf->zone.len = p - omcf->zone.data;

    s.data = p + 1;
    s.len = value[1].data + value[1].len - s.data;

    size = ngx_parse_size(&s);

    if (size == NGX_ERROR) {
        goto invalid;
    }

    if (size < NGX_HTTP_LOYALTY_RING_LEAST) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too small a ring \"%V\": at least %dk are "
                           "expected", &value[1],
                           NGX_HTTP_LOYALTY_RING_LEAST / 1024);
        return NGX_CONF_ERROR;
    }

    omcf->size = size;
    omcf->place.file = cf->conf_file->file.name.data;
    omcf->place.line = cf->conf_file->line;

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\": zone=NAME:SIZE, such as "
                       "\"zone=loyalty_ring:8m\", is expected", &value[1]);
    return NGX_CONF_ERROR;
}


char *
ngx_http_loyalty_spool_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_loyalty_observe_main_conf_t *omcf = conf;

    ngx_str_t                      *value;
    ngx_uint_t                      i;
    ngx_http_loyalty_spool_conf_t  *spool;

    if (omcf->spool != NULL) {
        return "is duplicate";
    }

    spool = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_spool_conf_t));
    if (spool == NULL) {
        return NGX_CONF_ERROR;
    }

    spool->sync = NGX_CONF_UNSET;
    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        if (ngx_http_loyalty_spool_param(cf, spool, &value[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (spool->path == NULL || spool->max == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"loyalty_spool\" needs \"path=\" and \"max=\", "
                           "such as \"path=/var/lib/nginx/loyalty max=1g\"");
        return NGX_CONF_ERROR;
    }

    /* files are small parts of it: what has been sent makes room soon */

    spool->segment = ngx_min(spool->max / 8, NGX_HTTP_LOYALTY_SPOOL_FILE);

    ngx_conf_init_value(spool->sync, 0);

    omcf->spool = spool;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_loyalty_spool_param(ngx_conf_t *cf,
    ngx_http_loyalty_spool_conf_t *spool, ngx_str_t *arg)
{
    ngx_str_t  value;

    if (ngx_strncmp(arg->data, "path=", 5) == 0 && spool->path == NULL) {
        value.data = arg->data + 5;
        value.len = arg->len - 5;

        return ngx_http_loyalty_spool_path(cf, spool, &value);
    }

    if (ngx_strncmp(arg->data, "max=", 4) == 0 && spool->max == 0) {
        value.data = arg->data + 4;
        value.len = arg->len - 4;

        spool->max = ngx_parse_offset(&value);

        if (spool->max >= NGX_HTTP_LOYALTY_SPOOL_LEAST) {
            return NGX_OK;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\": a size of at least %dk, "
                           "such as \"max=1g\", is expected", arg,
                           NGX_HTTP_LOYALTY_SPOOL_LEAST / 1024);
        return NGX_ERROR;
    }

    if (ngx_strcmp(arg->data, "sync=on") == 0
        && spool->sync == NGX_CONF_UNSET)
    {
        spool->sync = 1;
        return NGX_OK;
    }

    if (ngx_strcmp(arg->data, "sync=off") == 0
        && spool->sync == NGX_CONF_UNSET)
    {
        spool->sync = 0;
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\": path=DIRECTORY, max=SIZE or "
                       "sync=on|off, each once, is expected", arg);

    return NGX_ERROR;
}


/* nginx makes the directory, and gives it to the user of its workers */

static ngx_int_t
ngx_http_loyalty_spool_path(ngx_conf_t *cf,
    ngx_http_loyalty_spool_conf_t *spool, ngx_str_t *name)
{
    ngx_path_t  *path;

    if (name->len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"path=\": a directory is "
                           "expected");
        return NGX_ERROR;
    }

    path = ngx_pcalloc(cf->pool, sizeof(ngx_path_t));
    if (path == NULL) {
        return NGX_ERROR;
    }

    path->name = *name;

    if (path->name.len > 1 && path->name.data[path->name.len - 1] == '/') {
        path->name.data[--path->name.len] = '\0';
    }

    if (ngx_conf_full_name(cf->cycle, &path->name, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    /* with the name of a program, a number and what else there is */

    if (path->name.len > NGX_MAX_PATH - 128) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too long a path of the spool: \"%V\"",
                           &path->name);
        return NGX_ERROR;
    }

    path->conf_file = cf->conf_file->file.name.data;
    path->line = cf->conf_file->line;

    if (ngx_add_path(cf, &path) != NGX_OK) {
        return NGX_ERROR;
    }

    spool->path = path;

    return NGX_OK;
}
