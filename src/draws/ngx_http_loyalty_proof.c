/*
 * loyalty_proof: what is published about draws, for anyone.  A file is read
 * from Redis as it is sent, so that the largest log takes a piece of memory;
 * any campaign of the program is served, those of the past included.
 *
 * docs/proof.md has the files; what is in the header is in
 * ngx_http_loyalty_proof_header.c, sending a file in
 * ngx_http_loyalty_proof_file.c.
 */

#include "ngx_http_loyalty_proof.h"
#include "ngx_http_loyalty_body.h"


#define NGX_HTTP_LOYALTY_PROOF_GAMES  65536       /* campaigns, at most */


typedef struct {
    ngx_str_t                     name;           /* GAME/CID */
    ngx_str_t                     rest;           /* KIND STATE */
    off_t                         open;
} ngx_http_loyalty_proof_game_t;


static ngx_int_t ngx_http_loyalty_proof_start(ngx_http_loyalty_proof_t *ctx);
static ngx_int_t ngx_http_loyalty_proof_campaign(
    ngx_http_loyalty_proof_t *ctx, ngx_str_t *game, ngx_str_t *cid);
static ngx_uint_t ngx_http_loyalty_proof_known(ngx_http_loyalty_proof_t *ctx);
static ngx_int_t ngx_http_loyalty_proof_vkey(ngx_http_loyalty_proof_t *ctx);
static ngx_int_t ngx_http_loyalty_proof_games(ngx_http_loyalty_proof_t *ctx);
static ngx_int_t ngx_http_loyalty_proof_games_are(
    ngx_http_loyalty_proof_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_proof_game(
    ngx_http_loyalty_proof_game_t *game, ngx_str_t *name, ngx_str_t *value);
static int ngx_libc_cdecl ngx_http_loyalty_proof_game_cmp(const void *one,
    const void *two);
static void ngx_http_loyalty_proof_done(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);
static void ngx_http_loyalty_proof_cleanup(void *data);


/* files of a campaign, those with versions without them */

static ngx_str_t  ngx_http_loyalty_proof_texts[] = {
    ngx_string("manifest"),
    ngx_string("heads"),
    ngx_string("close"),
    ngx_string("timestamps"),
    ngx_string("cosignatures"),
    ngx_string("beacons"),
    ngx_string("reveal"),
    ngx_string("picks"),
    ngx_string("dq"),
    ngx_string("evidence"),
    ngx_string("vkey"),
    ngx_null_string
};


static ngx_str_t  ngx_http_loyalty_proof_versions[] = {
    ngx_string("terms-"),
    ngx_string("prizes-"),
    ngx_string("rules-"),
    ngx_null_string
};


ngx_int_t
ngx_http_loyalty_proof(ngx_http_request_t *r)
{
    ngx_int_t                     rc;
    ngx_http_cleanup_t           *cln;
    ngx_http_loyalty_proof_t     *ctx;
    ngx_http_loyalty_loc_conf_t  *llcf;

    static ngx_str_t  allow = ngx_string("GET, HEAD");

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_loyalty_problem_send(r, NGX_HTTP_LOYALTY_P_METHOD,
                                             NULL, NULL, &allow);
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_loyalty_proof_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_module);

    ctx->request = r;
    ctx->program = llcf->program;

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_loyalty_proof_cleanup;
    cln->data = ctx;

    ngx_http_set_ctx(r, ctx, ngx_http_loyalty_module);

    return ngx_http_loyalty_body_none(r, ngx_http_loyalty_proof_start(ctx));
}


static ngx_int_t
ngx_http_loyalty_proof_start(ngx_http_loyalty_proof_t *ctx)
{
    ngx_str_t   segment[3];
    ngx_uint_t  n;

    if (ngx_http_loyalty_path(ctx->request, segment, 3, &n) != NGX_OK) {
        return ngx_http_loyalty_proof_unknown(ctx);
    }

    if (n == 1 && segment[0].len == 4
        && ngx_strncmp(segment[0].data, "vkey", 4) == 0)
    {
        return ngx_http_loyalty_proof_vkey(ctx);
    }

    if (n == 1 && segment[0].len == 5
        && ngx_strncmp(segment[0].data, "games", 5) == 0)
    {
        return ngx_http_loyalty_proof_games(ctx);
    }

    if (n != 3
        || ngx_http_loyalty_proof_campaign(ctx, &segment[0], &segment[1])
           != NGX_OK)
    {
        return ngx_http_loyalty_proof_unknown(ctx);
    }

    ctx->file = segment[2];

    if (ctx->file.len == 5 && ngx_strncmp(ctx->file.data, "proof", 5) == 0) {
        return ngx_http_loyalty_proof_path(ctx);
    }

    if (!ngx_http_loyalty_proof_known(ctx)) {
        return ngx_http_loyalty_proof_unknown(ctx);
    }

    return ngx_http_loyalty_proof_file(ctx);
}


/* a campaign's tag: what is no name and no cid is nowhere in a key */

static ngx_int_t
ngx_http_loyalty_proof_campaign(ngx_http_loyalty_proof_t *ctx,
    ngx_str_t *game, ngx_str_t *cid)
{
    u_char  c, bytes[LOYALTY_CID];
    size_t  i;

    for (i = 0; i < game->len; i++) {
        c = game->data[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z')
            && !(c >= '0' && c <= '9') && c != '_' && c != '-')
        {
            return NGX_DECLINED;
        }
    }

    if (game->len > 64
        || loyalty_unhex(bytes, LOYALTY_CID, cid->data, cid->len) != 0)
    {
        return NGX_DECLINED;
    }

    for (i = 0; i < cid->len; i++) {
        if (cid->data[i] >= 'A' && cid->data[i] <= 'F') {
            return NGX_DECLINED;
        }
    }

    ctx->ntag = ngx_sprintf(ctx->tag, "{%V:g:%V:%V}", &ctx->program->name,
                            game, cid)
                - ctx->tag;
    ctx->partition = loyalty_partition(bytes, LOYALTY_CID);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_loyalty_proof_known(ngx_http_loyalty_proof_t *ctx)
{
    ngx_str_t  *name, *file;
    ngx_int_t   version;

    file = &ctx->file;

    if (file->len == 7 && ngx_strncmp(file->data, "entries", 7) == 0) {
        ctx->record = LOYALTY_ENTRY_LEN;
        return 1;
    }

    if (file->len == 3 && ngx_strncmp(file->data, "log", 3) == 0) {
        ctx->record = LOYALTY_PLAYREC_LEN;
        return 1;
    }

    for (name = ngx_http_loyalty_proof_texts; name->len; name++) {
        if (file->len == name->len
            && ngx_memcmp(file->data, name->data, name->len) == 0)
        {
            ctx->text = 1;
            return 1;
        }
    }

    for (name = ngx_http_loyalty_proof_versions; name->len; name++) {

        if (file->len <= name->len
            || ngx_memcmp(file->data, name->data, name->len) != 0
            || file->data[name->len] == '0')
        {
            continue;
        }

        version = ngx_atoi(file->data + name->len, file->len - name->len);

        if (version == NGX_ERROR) {
            return 0;
        }

        ctx->text = (name == ngx_http_loyalty_proof_versions);
        return 1;
    }

    return 0;
}


ngx_int_t
ngx_http_loyalty_proof_unknown(ngx_http_loyalty_proof_t *ctx)
{
    return ngx_http_loyalty_problem_send(ctx->request,
                                         NGX_HTTP_LOYALTY_P_UNKNOWN_PATH,
                                         NULL, NULL, NULL);
}


/* the key that new campaigns are signed with */

static ngx_int_t
ngx_http_loyalty_proof_vkey(ngx_http_loyalty_proof_t *ctx)
{
    u_char     *p;
    size_t      len;
    ngx_int_t   rc;
    ngx_str_t   id;

    p = ngx_pnalloc(ctx->request->pool, LOYALTY_VKEY_MAX + 1);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_loyalty_secret_vkey(ctx->program, 0, &id, p, &len);

    if (rc == NGX_DECLINED) {
        return ngx_http_loyalty_proof_unknown(ctx);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p[len++] = LF;

    return ngx_http_loyalty_proof_text(ctx, p, len);
}


static ngx_int_t
ngx_http_loyalty_proof_games(ngx_http_loyalty_proof_t *ctx)
{
    u_char     name[NGX_HTTP_LOYALTY_CAMPAIGN_KEY];
    ngx_str_t  key, arg;

    key.data = name;
    key.len = ngx_sprintf(name, "{%V}:games", &ctx->program->name) - name;

    ngx_str_set(&arg, "\xc0");

    return ngx_http_loyalty_proof_call(ctx, NGX_HTTP_LOYALTY_FN_GAMES, 1,
                                       &key, &arg,
                                       ngx_http_loyalty_proof_games_are);
}


static ngx_int_t
ngx_http_loyalty_proof_games_are(ngx_http_loyalty_proof_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    u_char                         *text, *p, *slash;
    size_t                          size;
    ngx_uint_t                      i, n;
    ngx_http_loyalty_proof_game_t  *game;

    if (reply->n == 0 || !reply->array) {
        return ngx_http_loyalty_proof_unknown(ctx);
    }

    game = ngx_palloc(ctx->request->pool, reply->n / 2
                      * sizeof(ngx_http_loyalty_proof_game_t));
    if (game == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    size = 0;

    for (i = 0, n = 0; i + 1 < reply->n; i += 2) {
        if (ngx_http_loyalty_proof_game(&game[n], &reply->values[i],
                                        &reply->values[i + 1])
            == NGX_OK)
        {
            size += game[n].name.len + game[n].rest.len + 2;
            n++;
        }
    }

    ngx_qsort(game, n, sizeof(ngx_http_loyalty_proof_game_t),
              ngx_http_loyalty_proof_game_cmp);

    text = ngx_pnalloc(ctx->request->pool, size);
    if (text == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    for (p = text, i = 0; i < n; i++) {
        slash = ngx_strlchr(game[i].name.data,
                            game[i].name.data + game[i].name.len, '/');
        if (slash != NULL) {
            *slash = ' ';
        }

        p = ngx_sprintf(p, "%V %V\n", &game[i].name, &game[i].rest);
    }

    return ngx_http_loyalty_proof_text(ctx, text, p - text);
}


/* OPEN KIND STATE, and what nobody is told */

static ngx_int_t
ngx_http_loyalty_proof_game(ngx_http_loyalty_proof_game_t *game,
    ngx_str_t *name, ngx_str_t *value)
{
    u_char  *p, *space;

    space = ngx_strlchr(value->data, value->data + value->len, ' ');

    if (space == NULL) {
        return NGX_DECLINED;
    }

    game->name = *name;
    game->open = ngx_atoof(value->data, space - value->data);
    game->rest.data = space + 1;
    game->rest.len = value->data + value->len - game->rest.data;

    p = ngx_strlchr(game->rest.data, value->data + value->len, ' ');

    if (p != NULL) {
        p = ngx_strlchr(p + 1, value->data + value->len, ' ');
    }

    if (p != NULL) {
        game->rest.len = p - game->rest.data;
    }

    return (game->open == NGX_ERROR) ? NGX_DECLINED : NGX_OK;
}


static int ngx_libc_cdecl
ngx_http_loyalty_proof_game_cmp(const void *one, const void *two)
{
    ngx_int_t                             rc;
    const ngx_http_loyalty_proof_game_t  *first, *second;

    first = one;
    second = two;

    if (first->open != second->open) {
        return (first->open > second->open) ? 1 : -1;
    }

    rc = ngx_memn2cmp(first->name.data, second->name.data, first->name.len,
                      second->name.len);

    return (rc > 0) - (rc < 0);
}


ngx_int_t
ngx_http_loyalty_proof_call(ngx_http_loyalty_proof_t *ctx,
    ngx_http_loyalty_fn_e fn, ngx_uint_t nkeys, ngx_str_t *keys,
    ngx_str_t *arg, ngx_http_loyalty_proof_pt reply)
{
    ngx_http_loyalty_status_e  status;

    ctx->reply = reply;

    ctx->op = ngx_http_loyalty_redis_call(ctx->program,
                                          NGX_HTTP_LOYALTY_BULK,
                                          ctx->partition, fn, nkeys, keys,
                                          arg, ngx_http_loyalty_proof_done,
                                          ctx, &status);

    if (ctx->op != NULL) {
        return NGX_BUSY;
    }

    return ctx->sent ? NGX_ERROR
           : ngx_http_loyalty_problem_send(ctx->request,
                                    ngx_http_loyalty_status_problem(status),
                                    NULL, NULL, NULL);
}


static void
ngx_http_loyalty_proof_done(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_proof_t *ctx = data;

    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    ctx->op = NULL;

    r = ctx->request;
    c = r->connection;

    if (ngx_http_get_module_ctx(r, ngx_http_loyalty_module) != ctx) {
        return;
    }

    ngx_http_set_log_request(c->log, r);

    if (status == NGX_HTTP_LOYALTY_REPLY) {
        rc = ctx->reply(ctx, reply);

    } else if (ctx->sent) {

        /* half of a file is no file: the connection is closed */

        rc = NGX_ERROR;

    } else {

        /* reading has no outcome that could be unknown */

        if (status == NGX_HTTP_LOYALTY_UNKNOWN) {
            status = NGX_HTTP_LOYALTY_UNAVAILABLE;
        }

        rc = ngx_http_loyalty_problem_send(r,
                                    ngx_http_loyalty_status_problem(status),
                                    NULL, NULL, NULL);
    }

    if (rc != NGX_BUSY) {
        ngx_http_finalize_request(r, rc);
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_loyalty_proof_cleanup(void *data)
{
    ngx_http_loyalty_proof_t *ctx = data;

    if (ctx->op != NULL) {
        ngx_http_loyalty_redis_detach(ctx->op);
        ctx->op = NULL;
    }
}
