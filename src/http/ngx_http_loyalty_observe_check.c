/*
 * What of loyalty_observe depends on the whole configuration.
 *
 * A location is read before the programs it names need be there, and amounts
 * mean something only when the program's money is known: this is looked at
 * when all of http {} has been read, and an error names the place of the
 * directive.
 */

#include "ngx_http_loyalty_observe.h"


#define NGX_HTTP_LOYALTY_RING_ZONE  "loyalty_ring"
#define NGX_HTTP_LOYALTY_RING_SIZE  (8 * 1024 * 1024)


static ngx_int_t ngx_http_loyalty_observe_resolve(ngx_conf_t *cf,
    ngx_http_loyalty_observe_t *rule);
static void ngx_http_loyalty_observe_heard(ngx_conf_t *cf,
    ngx_http_loyalty_observe_t *rule);
static ngx_int_t ngx_http_loyalty_observe_constants(ngx_conf_t *cf,
    ngx_http_loyalty_observe_t *rule);
static ngx_int_t ngx_http_loyalty_observe_variables(ngx_conf_t *cf,
    ngx_http_loyalty_observe_t *rule);
static ngx_int_t ngx_http_loyalty_observe_known(ngx_conf_t *cf,
    ngx_http_loyalty_observe_t *rule, ngx_http_complex_value_t *cv);
static ngx_int_t ngx_http_loyalty_observe_captures(ngx_conf_t *cf,
    ngx_http_loyalty_observe_t *rule);
static ngx_uint_t ngx_http_loyalty_observe_asks(
    ngx_http_loyalty_observe_t *rule, ngx_http_loyalty_variable_t *variable);
static ngx_int_t ngx_http_loyalty_observe_distinct(ngx_conf_t *cf,
    ngx_http_loyalty_observe_t *rule, ngx_http_loyalty_observe_t *other);


ngx_int_t
ngx_http_loyalty_observe_check(ngx_conf_t *cf,
    ngx_http_loyalty_observe_main_conf_t *omcf)
{
    ngx_uint_t                    i, n;
    ngx_http_loyalty_observe_t  **rule;

    if (omcf->size == 0) {
        ngx_str_set(&omcf->zone, NGX_HTTP_LOYALTY_RING_ZONE);
        omcf->size = NGX_HTTP_LOYALTY_RING_SIZE;
        omcf->place.file = (u_char *) "the defaults";
    }

    rule = omcf->rules.elts;

    for (i = 0; i < omcf->rules.nelts; i++) {

        if (ngx_http_loyalty_observe_resolve(cf, rule[i]) != NGX_OK) {
            return NGX_ERROR;
        }

        for (n = 0; n < i; n++) {
            if (ngx_http_loyalty_observe_distinct(cf, rule[i], rule[n])
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_observe_resolve(ngx_conf_t *cf,
    ngx_http_loyalty_observe_t *rule)
{
    ngx_http_loyalty_main_conf_t  *lmcf;

    lmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_loyalty_module);

    rule->program = ngx_http_loyalty_program_find(lmcf, &rule->name);

    if (rule->program == NULL) {
        ngx_http_loyalty_conf_error(cf, &rule->place,
                                    "unknown program \"%V\" in "
                                    "\"loyalty_observe\": the name of a "
                                    "\"loyalty_program\" is expected",
                                    &rule->name);
        return NGX_ERROR;
    }

    ngx_http_loyalty_observe_heard(cf, rule);

    if (ngx_http_loyalty_observe_constants(cf, rule) != NGX_OK
        || ngx_http_loyalty_observe_variables(cf, rule) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_observe_captures(cf, rule);
}


/* what nothing listens to is only remembered: more likely it is misspelt */

static void
ngx_http_loyalty_observe_heard(ngx_conf_t *cf,
    ngx_http_loyalty_observe_t *rule)
{
    ngx_uint_t                     i, n;
    ngx_http_loyalty_rule_t      **one;
    ngx_http_loyalty_listener_t   *listener;

    one = rule->program->rules.elts;

    for (i = 0; i < rule->program->rules.nelts; i++) {

        listener = one[i]->listeners.elts;

        for (n = 0; n < one[i]->listeners.nelts; n++) {
            if (ngx_http_loyalty_observe_same(&listener[n].type, &rule->type)) {
                return;
            }
        }
    }

    ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                  "no rule of loyalty_program \"%V\" listens to \"%V\", "
                  "which is observed in %s:%ui", &rule->name, &rule->type,
                  rule->place.file, rule->place.line);
}


/* a value without variables is as good now as it will ever be */

static ngx_int_t
ngx_http_loyalty_observe_constants(ngx_conf_t *cf,
    ngx_http_loyalty_observe_t *rule)
{
    int64_t                    n;
    ngx_http_complex_value_t  *cv;

    cv = rule->amount;

    if (cv != NULL && cv->lengths == NULL
        && loyalty_money_parse(cv->value.data, cv->value.len,
                               rule->program->scale, &n)
           != LOYALTY_MONEY_OK)
    {
        ngx_http_loyalty_conf_error(cf, &rule->place,
                                    "invalid parameter \"amount=%V\": a "
                                    "variable or an amount with at most %ui "
                                    "decimals is expected", &cv->value,
                                    rule->program->scale);
        return NGX_ERROR;
    }

    cv = rule->quantity;

    if (cv != NULL && cv->lengths == NULL
        && (loyalty_money_parse(cv->value.data, cv->value.len, 0, &n)
            != LOYALTY_MONEY_OK
            || n == 0))
    {
        ngx_http_loyalty_conf_error(cf, &rule->place,
                                    "invalid parameter \"quantity=%V\": a "
                                    "variable or a whole number over 0 is "
                                    "expected", &cv->value);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_observe_variables(ngx_conf_t *cf,
    ngx_http_loyalty_observe_t *rule)
{
    ngx_uint_t                                i;
    ngx_http_complex_value_t                **cv;
    ngx_http_loyalty_observe_data_t          *data;
    const ngx_http_loyalty_observe_param_t   *param;

    for (param = ngx_http_loyalty_observe_params; param->name.len; param++) {

        cv = (ngx_http_complex_value_t **) ((u_char *) rule + param->offset);

        if (*cv != NULL
            && ngx_http_loyalty_observe_known(cf, rule, *cv) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    data = rule->data.elts;

    for (i = 0; i < rule->data.nelts; i++) {
        if (ngx_http_loyalty_observe_known(cf, rule, &data[i].value) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* nginx would refuse an unknown variable, too, but not say where it is */

static ngx_int_t
ngx_http_loyalty_observe_known(ngx_conf_t *cf,
    ngx_http_loyalty_observe_t *rule, ngx_http_complex_value_t *cv)
{
    u_char     *p, *last;
    ngx_str_t   name;

    if (cv->lengths == NULL) {
        return NGX_OK;
    }

    p = cv->value.data;
    last = p + cv->value.len;

    while (p < last) {

        if (*p++ != '$') {
            continue;
        }

        if (p < last && *p == '{') {
            p++;
        }

        for (name.data = p; p < last; p++) {
            if (!(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z')
                && !(*p >= '0' && *p <= '9') && *p != '_')
            {
                break;
            }
        }

        name.len = p - name.data;

        /* one digit is a capture of a location's pattern */

        if (name.len == 0 || (name.data[0] >= '1' && name.data[0] <= '9')) {
            continue;
        }

        if (!ngx_http_loyalty_variable_known(cf, &name)) {
            ngx_http_loyalty_conf_error(cf, &rule->place,
                                        "unknown variable \"$%V\" in "
                                        "\"loyalty_observe\"", &name);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_observe_captures(ngx_conf_t *cf,
    ngx_http_loyalty_observe_t *rule)
{
    ngx_uint_t                     i, n;
    ngx_http_loyalty_variable_t   *variable, **capture;

    variable = rule->program->variables.elts;

    for (i = 0; i < rule->program->variables.nelts; i++) {

        if (!ngx_http_loyalty_observe_asks(rule, &variable[i])) {
            continue;
        }

        capture = rule->captures.elts;

        for (n = 0; n < rule->captures.nelts; n++) {
            if (capture[n]->index == variable[i].index) {
                break;
            }
        }

        if (n < rule->captures.nelts) {
            continue;
        }

        if (n == LOYALTY_OBSERVED_PAIRS) {
            ngx_http_loyalty_conf_error(cf, &rule->place,
                                        "too many variables in the rules for "
                                        "\"%V\": at most %d are expected "
                                        "where it is observed", &rule->type,
                                        LOYALTY_OBSERVED_PAIRS);
            return NGX_ERROR;
        }

        capture = ngx_array_push(&rule->captures);
        if (capture == NULL) {
            return NGX_ERROR;
        }

        *capture = &variable[i];
    }

    return NGX_OK;
}


/* whether a rule that listens to this type names the variable */

static ngx_uint_t
ngx_http_loyalty_observe_asks(ngx_http_loyalty_observe_t *rule,
    ngx_http_loyalty_variable_t *variable)
{
    ngx_uint_t                    i;
    ngx_http_loyalty_listener_t  *listener;

    if (variable->rule == NULL) {
        return 1;
    }

    listener = variable->rule->listeners.elts;

    for (i = 0; i < variable->rule->listeners.nelts; i++) {
        if (ngx_http_loyalty_observe_same(&listener[i].type, &rule->type)) {
            return 1;
        }
    }

    return 0;
}


/* an id names one event of a member: the second of two would be a conflict */

static ngx_int_t
ngx_http_loyalty_observe_distinct(ngx_conf_t *cf,
    ngx_http_loyalty_observe_t *rule, ngx_http_loyalty_observe_t *other)
{
    if (rule->conf != other->conf || rule->program != other->program
        || rule->filter != NULL || other->filter != NULL
        || !ngx_http_loyalty_observe_same(&rule->id->value, &other->id->value)
        || !ngx_http_loyalty_observe_same(&rule->member->value,
                                          &other->member->value)
        || !ngx_http_loyalty_observe_same(&rule->if_status,
                                          &other->if_status))
    {
        return NGX_OK;
    }

    ngx_http_loyalty_conf_error(cf, &rule->place,
                                "\"id=%V\" is that of the \"loyalty_observe\" "
                                "in line %ui, too: each event needs an id of "
                                "its own, such as \"id=%V-%V\"",
                                &rule->id->value, other->place.line,
                                &rule->type, &rule->id->value);

    return NGX_ERROR;
}


ngx_uint_t
ngx_http_loyalty_observe_same(ngx_str_t *one, ngx_str_t *two)
{
    return one->len == two->len
           && ngx_memcmp(one->data, two->data, one->len) == 0;
}
