/*
 * What the files of draws/ share among themselves.
 */

#ifndef _NGX_HTTP_LOYALTY_DRAWS_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_DRAWS_PRIVATE_H_INCLUDED_


#include "ngx_http_loyalty_draws.h"
#include "loyalty_moments.h"


#define NGX_HTTP_LOYALTY_CAMPAIGNS       64       /* of one program */
#define NGX_HTTP_LOYALTY_PRIZES          256      /* of one campaign */
#define NGX_HTTP_LOYALTY_EPOCHS          5000000  /* of one campaign */
#define NGX_HTTP_LOYALTY_SECRETS         16       /* of one file */
#define NGX_HTTP_LOYALTY_SECRET          32       /* bytes */
#define NGX_HTTP_LOYALTY_SECRET_ID       64       /* bytes */
#define NGX_HTTP_LOYALTY_SECRET_FILE     8192     /* bytes */
#define NGX_HTTP_LOYALTY_RULES_FILE      1048576  /* bytes */
#define NGX_HTTP_LOYALTY_EXCLUDE_FILE    16777216 /* bytes */
#define NGX_HTTP_LOYALTY_TERMS           1048576  /* bytes */


/*
 * The secrets live in pages of their own, which no core dump holds, and which
 * are wiped when the configuration goes: never in a pool, a log or an error.
 */

typedef struct {
    size_t                        len;
    u_char                        id[NGX_HTTP_LOYALTY_SECRET_ID];
    u_char                        key[NGX_HTTP_LOYALTY_SECRET];
} ngx_http_loyalty_secret_t;


typedef struct {
    ngx_uint_t                    n;
    ngx_http_loyalty_secret_t     secret[NGX_HTTP_LOYALTY_SECRETS];
    u_char                        text[NGX_HTTP_LOYALTY_SECRET_FILE];
} ngx_http_loyalty_secrets_t;


/* "eligible" on a field of the member */

typedef enum {
    NGX_HTTP_LOYALTY_ELIGIBLE_TIER = 1,
    NGX_HTTP_LOYALTY_ELIGIBLE_BALANCE,
    NGX_HTTP_LOYALTY_ELIGIBLE_LIFETIME
} ngx_http_loyalty_eligible_e;


#define NGX_HTTP_LOYALTY_ELIGIBLE_IN  6           /* = != < <= > >= before */

typedef struct {
    ngx_http_loyalty_eligible_e   field;
    ngx_str_t                     name;           /* of the wallet */
    ngx_uint_t                    op;
    ngx_uint_t                    n;
    ngx_str_t                    *texts;
    int64_t                      *numbers;
    u_char                      (*hashes)[NGX_HTTP_LOYALTY_HASH];
                                                  /* of the wallet, or of the
                                                     tiers that are meant */
    ngx_http_loyalty_place_t      place;
} ngx_http_loyalty_eligible_t;


struct ngx_http_loyalty_draws_s {
    ngx_http_loyalty_program_t   *program;
    ngx_http_loyalty_secrets_t   *secrets;        /* NULL: no secret_file */
    ngx_http_loyalty_place_t      place;          /* of secret_file */
    ngx_array_t                   campaigns;      /* of _campaign_t * */
};


/* ---- draws.c ---- */

/* program->draws, made where it is missing */
ngx_http_loyalty_draws_t *ngx_http_loyalty_draws(ngx_conf_t *cf,
    ngx_http_loyalty_program_t *program);

/* a whole file of 1 to max bytes, in cf->pool; path becomes absolute; logs */
ngx_int_t ngx_http_loyalty_draws_file(ngx_conf_t *cf, const char *what,
    ngx_str_t *path, size_t max, ngx_str_t *text);


/* ---- secret.c ---- */

char *ngx_http_loyalty_secret_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* pages that no core dump holds; NULL: logged.  _free() wipes them. */
void *ngx_http_loyalty_secret_alloc(size_t size, ngx_log_t *log);
void ngx_http_loyalty_secret_free(void *p, size_t size);


/* ---- campaign_conf.c, eligible.c, prize.c: directives ---- */

char *ngx_http_loyalty_campaign_time(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_campaign_version_no(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_loyalty_campaign_cost(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_campaign_limit(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_campaign_exclude(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_campaign_rules(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

char *ngx_http_loyalty_eligible(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_http_loyalty_eligible_resolve(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign);
void ngx_http_loyalty_eligible_blob(ngx_http_loyalty_campaign_t *campaign,
    loyalty_mpw_t *w);

char *ngx_http_loyalty_prize(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_loyalty_prize_stock(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_prize_odds(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_prize_codes(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_prize_award(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* the table: checked against mode and kind, encoded, hashed */
ngx_int_t ngx_http_loyalty_prizes_init(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign);


/* ---- terms.c ---- */

/* the line of the directive that is being read; block: it opens one */
ngx_int_t ngx_http_loyalty_terms_add(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign, ngx_uint_t block);
ngx_int_t ngx_http_loyalty_terms_end(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign);
/* all of them, and their hash */
ngx_int_t ngx_http_loyalty_terms_init(ngx_conf_t *cf,
    ngx_http_loyalty_campaign_t *campaign);


#endif /* _NGX_HTTP_LOYALTY_DRAWS_PRIVATE_H_INCLUDED_ */
