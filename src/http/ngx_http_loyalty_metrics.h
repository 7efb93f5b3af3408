/*
 * How a metric is written, for the files that have some.
 */

#ifndef _NGX_HTTP_LOYALTY_METRICS_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_METRICS_H_INCLUDED_


#include "ngx_http_loyalty_http.h"


/* HELP and TYPE of a family */
void ngx_http_loyalty_metrics_head(loyalty_out_t *out, const char *name,
    const char *type, const char *help);

/* a sample up to its first label, which is the program; further labels; the
   end of it */
void ngx_http_loyalty_metrics_sample(loyalty_out_t *out, const char *name,
    const char *suffix, ngx_http_loyalty_program_t *program);
void ngx_http_loyalty_metrics_label(loyalty_out_t *out, const char *label,
    const u_char *value, size_t len);
void ngx_http_loyalty_metrics_value(loyalty_out_t *out,
    ngx_atomic_int_t value);

/* draws/: of the campaigns of these programs */
void ngx_http_loyalty_metrics_draws(loyalty_out_t *out,
    ngx_array_t *programs);


#endif /* _NGX_HTTP_LOYALTY_METRICS_H_INCLUDED_ */
