/*
 * GAME/CID/proof?seq=N: that record N is in the log, by the Merkle path from
 * its leaf to the root of a head or of the close.  Who holds a receipt and a
 * note needs no more, whatever the size of the log.
 *
 * Roots of full chunks are kept in G:roots once somebody has computed them: a
 * chunk never changes any more, so a proof reads the chunk of the record and
 * the last one.
 */

#include "ngx_http_loyalty_proof.h"


#define NGX_HTTP_LOYALTY_CHUNK_LEVEL  12          /* 2^12 records */
#define NGX_HTTP_LOYALTY_ROOTS_SAVED  16          /* new roots at a time */


typedef struct {
    uint64_t                      seq;
    uint64_t                      size;           /* 0: of the newest note */
    uint64_t                      records;
    ngx_str_t                     roots;          /* known */
    u_char                        leaf[LOYALTY_HASH];

    uint64_t                      at;             /* the next record */
    loyalty_merkle_prover_t       prover;
    loyalty_merkle_t              tree;           /* all, for the root */
    loyalty_merkle_t              chunk;          /* under way */

    uint64_t                      stored;         /* roots in Redis */
    ngx_uint_t                    nfresh;
    u_char                        fresh[NGX_HTTP_LOYALTY_ROOTS_SAVED]
                                       [LOYALTY_HASH];
} ngx_http_loyalty_path_t;


static ngx_int_t ngx_http_loyalty_path_arg(ngx_http_request_t *r,
    const char *name, uint64_t *n);
static ngx_int_t ngx_http_loyalty_path_invalid(ngx_http_loyalty_proof_t *ctx,
    const char *detail);
static void ngx_http_loyalty_path_key(ngx_http_loyalty_proof_t *ctx,
    const char *what, int64_t n, u_char *buf, ngx_str_t *key);
static ngx_int_t ngx_http_loyalty_path_ask(ngx_http_loyalty_proof_t *ctx,
    uint64_t at, uint64_t n, ngx_http_loyalty_proof_pt reply);
static ngx_int_t ngx_http_loyalty_path_record(ngx_http_loyalty_proof_t *ctx);
static ngx_int_t ngx_http_loyalty_path_recorded(
    ngx_http_loyalty_proof_t *ctx, ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_path_note(ngx_http_loyalty_proof_t *ctx);
static size_t ngx_http_loyalty_path_note_len(ngx_http_loyalty_proof_t *ctx);
static ngx_int_t ngx_http_loyalty_path_noted(ngx_http_loyalty_proof_t *ctx,
    ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_path_statement(
    ngx_http_loyalty_proof_t *ctx, ngx_str_t *notes, uint64_t *size);
static ngx_int_t ngx_http_loyalty_path_roots(ngx_http_loyalty_proof_t *ctx);
static ngx_int_t ngx_http_loyalty_path_rooted(ngx_http_loyalty_proof_t *ctx,
    ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_path_next(ngx_http_loyalty_proof_t *ctx);
static ngx_int_t ngx_http_loyalty_path_known(ngx_http_loyalty_path_t *path);
static ngx_int_t ngx_http_loyalty_path_piece(ngx_http_loyalty_proof_t *ctx,
    ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_path_chunk(ngx_http_loyalty_path_t *path);
static ngx_int_t ngx_http_loyalty_path_save(ngx_http_loyalty_proof_t *ctx);
static ngx_int_t ngx_http_loyalty_path_saved(ngx_http_loyalty_proof_t *ctx,
    ngx_http_loyalty_reply_t *reply);
static ngx_int_t ngx_http_loyalty_path_send(ngx_http_loyalty_proof_t *ctx);


ngx_int_t
ngx_http_loyalty_proof_path(ngx_http_loyalty_proof_t *ctx)
{
    ngx_http_loyalty_path_t  *path;

    path = ngx_pcalloc(ctx->request->pool, sizeof(ngx_http_loyalty_path_t));
    if (path == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->path = path;

    if (ngx_http_loyalty_path_arg(ctx->request, "seq", &path->seq) != NGX_OK)
    {
        return ngx_http_loyalty_path_invalid(ctx, "\"seq\", the number of "
                                             "the record, is expected");
    }

    switch (ngx_http_loyalty_path_arg(ctx->request, "size", &path->size)) {

    case NGX_OK:
        if (path->size > path->seq) {
            break;
        }

        /* fall through */

    case NGX_ERROR:
        return ngx_http_loyalty_path_invalid(ctx, "\"size\", of a tree that "
                                             "holds the record, is expected");

    default: /* NGX_DECLINED */
        break;
    }

    /* a log or entries: where the record is tells */

    ctx->record = LOYALTY_PLAYREC_LEN;

    return ngx_http_loyalty_path_record(ctx);
}


/* NGX_DECLINED: it is not there */

static ngx_int_t
ngx_http_loyalty_path_arg(ngx_http_request_t *r, const char *name,
    uint64_t *n)
{
    off_t      value;
    ngx_str_t  text;

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), &text) != NGX_OK) {
        return NGX_DECLINED;
    }

    value = ngx_atoof(text.data, text.len);

    if (value == NGX_ERROR || value > LOYALTY_MAX_INT) {
        return NGX_ERROR;
    }

    *n = (uint64_t) value;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_path_invalid(ngx_http_loyalty_proof_t *ctx,
    const char *detail)
{
    ngx_str_t  text;

    text.data = (u_char *) detail;
    text.len = ngx_strlen(detail);

    return ngx_http_loyalty_problem_send(ctx->request,
                                         NGX_HTTP_LOYALTY_P_INVALID_FIELD,
                                         &text, NULL, NULL);
}


static void
ngx_http_loyalty_path_key(ngx_http_loyalty_proof_t *ctx, const char *what,
    int64_t n, u_char *buf, ngx_str_t *key)
{
    key->data = buf;
    key->len = ((n < 0) ? ngx_sprintf(buf, "%*s:%s", ctx->ntag, ctx->tag,
                                      what)
                        : ngx_sprintf(buf, "%*s:%s:%L", ctx->ntag, ctx->tag,
                                      what, n))
               - buf;
}


static ngx_int_t
ngx_http_loyalty_path_ask(ngx_http_loyalty_proof_t *ctx, uint64_t at,
    uint64_t n, ngx_http_loyalty_proof_pt reply)
{
    u_char         buf[2][NGX_HTTP_LOYALTY_CAMPAIGN_KEY + 128], text[32];
    ngx_str_t      key[2], arg;
    loyalty_mpw_t  w;

    ngx_http_loyalty_path_key(ctx, "s", -1, buf[0], &key[0]);
    ngx_http_loyalty_path_key(ctx,
                              ctx->record == LOYALTY_PLAYREC_LEN ? "l" : "e",
                              at / NGX_HTTP_LOYALTY_CHUNK, buf[1], &key[1]);

    loyalty_mpw_init(&w, text, sizeof(text));
    loyalty_mpw_int(&w, at % NGX_HTTP_LOYALTY_CHUNK * ctx->record);
    loyalty_mpw_int(&w, n * ctx->record);

    arg.data = text;
    arg.len = w.pos - w.start;

    return ngx_http_loyalty_proof_call(ctx, NGX_HTTP_LOYALTY_FN_PIECE, 2, key,
                                       &arg, reply);
}


static ngx_int_t
ngx_http_loyalty_path_record(ngx_http_loyalty_proof_t *ctx)
{
    ngx_http_loyalty_path_t  *path;

    path = ctx->path;

    return ngx_http_loyalty_path_ask(ctx, path->seq, 1,
                                     ngx_http_loyalty_path_recorded);
}


static ngx_int_t
ngx_http_loyalty_path_recorded(ngx_http_loyalty_proof_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    int64_t                   records;
    ngx_http_loyalty_path_t  *path;

    path = ctx->path;

    if (reply->n != 2
        || ngx_http_loyalty_reply_numbers(reply, 0, 1, &records) != NGX_OK
        || path->seq >= (uint64_t) records)
    {
        return ngx_http_loyalty_proof_unknown(ctx);
    }

    if (reply->values[1].len != ctx->record) {

        if (ctx->record == LOYALTY_ENTRY_LEN) {
            return ngx_http_loyalty_proof_unknown(ctx);
        }

        ctx->record = LOYALTY_ENTRY_LEN;
        return ngx_http_loyalty_path_record(ctx);
    }

    path->records = (uint64_t) records;

    if (loyalty_merkle_leaf(path->leaf, reply->values[1].data, ctx->record)
        != 0)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (path->size > path->records) {
        return ngx_http_loyalty_path_invalid(ctx, "the log is not of that "
                                             "\"size\" yet");
    }

    return path->size ? ngx_http_loyalty_path_roots(ctx)
                      : ngx_http_loyalty_path_note(ctx);
}


/* the size that the newest head, or the close, has signed */

static ngx_int_t
ngx_http_loyalty_path_note(ngx_http_loyalty_proof_t *ctx)
{
    u_char         buf[NGX_HTTP_LOYALTY_CAMPAIGN_KEY + 128], text[32];
    ngx_str_t      key, arg;
    loyalty_mpw_t  w;

    ngx_http_loyalty_path_key(ctx, ctx->record == LOYALTY_PLAYREC_LEN
                                   ? "f:heads" : "f:close",
                              -1, buf, &key);

    /* from the end: notes of one kind are of one length */

    loyalty_mpw_init(&w, text, sizeof(text));
    loyalty_mpw_int(&w, -(int64_t) ngx_http_loyalty_path_note_len(ctx));
    loyalty_mpw_int(&w, (int64_t) ngx_http_loyalty_path_note_len(ctx));

    arg.data = text;
    arg.len = w.pos - w.start;

    return ngx_http_loyalty_proof_call(ctx, NGX_HTTP_LOYALTY_FN_PIECE, 1,
                                       &key, &arg,
                                       ngx_http_loyalty_path_noted);
}


static size_t
ngx_http_loyalty_path_note_len(ngx_http_loyalty_proof_t *ctx)
{
    return (ctx->record == LOYALTY_PLAYREC_LEN)
           ? loyalty_note_len(sizeof("head") - 1, LOYALTY_HEAD_LEN,
                              ctx->program->name.len)
           : loyalty_note_len(sizeof("close") - 1, LOYALTY_CLOSE_LEN,
                              ctx->program->name.len);
}


static ngx_int_t
ngx_http_loyalty_path_noted(ngx_http_loyalty_proof_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_path_t  *path;

    path = ctx->path;

    if (reply->n != 2
        || ngx_http_loyalty_path_statement(ctx, &reply->values[1],
                                           &path->size)
           != NGX_OK
        || path->size <= path->seq || path->size > path->records)
    {
        return ngx_http_loyalty_path_invalid(ctx, "no head holds the record "
                                             "yet: a head is signed every "
                                             "minute, entries are at the "
                                             "close");
    }

    return ngx_http_loyalty_path_roots(ctx);
}


/* its own note: who asks verifies the signature */

static ngx_int_t
ngx_http_loyalty_path_statement(ngx_http_loyalty_proof_t *ctx,
    ngx_str_t *note, uint64_t *size)
{
    u_char               bytes[LOYALTY_CLOSE_LEN + 8], *p, *last, *end;
    size_t               len;
    loyalty_close_t      close;
    loyalty_tree_head_t  head;

    p = note->data;
    last = p + note->len;

    p = ngx_strlchr(p, last, LF);
    end = (p != NULL) ? ngx_strlchr(p + 1, last, LF) : NULL;

    if (end == NULL
        || loyalty_unbase64(bytes, sizeof(bytes), &len, p + 1, end - p - 1)
           != 0)
    {
        return NGX_ERROR;
    }

    if (ctx->record == LOYALTY_PLAYREC_LEN) {

        if (loyalty_tree_head_decode(bytes, len, &head) != 0) {
            return NGX_ERROR;
        }

        *size = head.size;
        return NGX_OK;
    }

    if (loyalty_close_decode(bytes, len, &close) != 0) {
        return NGX_ERROR;
    }

    *size = close.entries;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_path_roots(ngx_http_loyalty_proof_t *ctx)
{
    u_char                    buf[NGX_HTTP_LOYALTY_CAMPAIGN_KEY + 128];
    u_char                    text[32];
    ngx_str_t                 key, arg;
    loyalty_mpw_t             w;
    ngx_http_loyalty_path_t  *path;

    path = ctx->path;

    ngx_http_loyalty_path_key(ctx, "roots", -1, buf, &key);

    loyalty_mpw_init(&w, text, sizeof(text));
    loyalty_mpw_int(&w, 0);
    loyalty_mpw_int(&w, (int64_t) (path->size / NGX_HTTP_LOYALTY_CHUNK)
                        * LOYALTY_HASH);

    arg.data = text;
    arg.len = w.pos - w.start;

    return ngx_http_loyalty_proof_call(ctx, NGX_HTTP_LOYALTY_FN_PIECE, 1,
                                       &key, &arg,
                                       ngx_http_loyalty_path_rooted);
}


static ngx_int_t
ngx_http_loyalty_path_rooted(ngx_http_loyalty_proof_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_path_t  *path;

    path = ctx->path;

    if (reply->n != 2 || reply->values[1].len % LOYALTY_HASH != 0) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    path->roots.len = reply->values[1].len;
    path->roots.data = ngx_pstrdup(ctx->request->pool, &reply->values[1]);

    if (path->roots.data == NULL && path->roots.len != 0) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    path->stored = path->roots.len / LOYALTY_HASH;

    loyalty_merkle_init(&path->tree);
    loyalty_merkle_init(&path->chunk);

    if (loyalty_merkle_prover_path(&path->prover, path->seq, path->size)
        != 0)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_loyalty_path_next(ctx);
}


static ngx_int_t
ngx_http_loyalty_path_next(ngx_http_loyalty_proof_t *ctx)
{
    uint64_t                  n;
    ngx_int_t                 rc;
    ngx_http_loyalty_path_t  *path;

    path = ctx->path;

    if (path->nfresh == NGX_HTTP_LOYALTY_ROOTS_SAVED) {
        return ngx_http_loyalty_path_save(ctx);
    }

    while (path->at < path->size) {

        rc = ngx_http_loyalty_path_known(path);

        if (rc == NGX_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (rc == NGX_OK) {
            continue;
        }

        n = NGX_HTTP_LOYALTY_CHUNK - path->at % NGX_HTTP_LOYALTY_CHUNK;
        n = ngx_min(n, path->size - path->at);
        n = ngx_min(n, NGX_HTTP_LOYALTY_PIECE / ctx->record);

        return ngx_http_loyalty_path_ask(ctx, path->at, n,
                                         ngx_http_loyalty_path_piece);
    }

    if (path->nfresh > 0) {
        return ngx_http_loyalty_path_save(ctx);
    }

    return ngx_http_loyalty_path_send(ctx);
}


/* a whole chunk at once: NGX_DECLINED, its records have to be read */

static ngx_int_t
ngx_http_loyalty_path_known(ngx_http_loyalty_path_t *path)
{
    u_char    *root;
    uint64_t   chunk;

    chunk = path->at / NGX_HTTP_LOYALTY_CHUNK;

    if (path->at % NGX_HTTP_LOYALTY_CHUNK != 0
        || (chunk + 1) * LOYALTY_HASH > path->roots.len
        || path->at + NGX_HTTP_LOYALTY_CHUNK > path->size
        || !loyalty_merkle_prover_fits(&path->prover,
                                       NGX_HTTP_LOYALTY_CHUNK_LEVEL))
    {
        return NGX_DECLINED;
    }

    root = path->roots.data + chunk * LOYALTY_HASH;

    if (loyalty_merkle_prover_append_subtree(&path->prover,
                                             NGX_HTTP_LOYALTY_CHUNK_LEVEL,
                                             root)
        != 0
        || loyalty_merkle_append_subtree(&path->tree,
                                         NGX_HTTP_LOYALTY_CHUNK_LEVEL, root)
           != 0)
    {
        return NGX_ERROR;
    }

    path->at += NGX_HTTP_LOYALTY_CHUNK;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_path_piece(ngx_http_loyalty_proof_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    u_char                   *p, *last, leaf[LOYALTY_HASH];
    ngx_str_t                *bytes;
    ngx_http_loyalty_path_t  *path;

    path = ctx->path;

    if (reply->n != 2 || reply->values[1].len == 0
        || reply->values[1].len % ctx->record != 0)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    bytes = &reply->values[1];
    last = bytes->data + bytes->len;

    for (p = bytes->data; p < last; p += ctx->record) {

        if (loyalty_merkle_leaf(leaf, p, ctx->record) != 0
            || loyalty_merkle_prover_append(&path->prover, leaf) != 0
            || loyalty_merkle_append(&path->tree, leaf) != 0
            || loyalty_merkle_append(&path->chunk, leaf) != 0)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        path->at++;

        if (path->at % NGX_HTTP_LOYALTY_CHUNK == 0
            && ngx_http_loyalty_path_chunk(path) != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    return ngx_http_loyalty_path_next(ctx);
}


/* a chunk is full: its root is worth keeping, unless it is kept */

static ngx_int_t
ngx_http_loyalty_path_chunk(ngx_http_loyalty_path_t *path)
{
    ngx_int_t  rc;

    rc = NGX_OK;

    if (path->at / NGX_HTTP_LOYALTY_CHUNK
        == path->stored + path->nfresh + 1
        && path->nfresh < NGX_HTTP_LOYALTY_ROOTS_SAVED)
    {
        rc = (loyalty_merkle_root(&path->chunk, path->fresh[path->nfresh])
              == 0) ? NGX_OK : NGX_ERROR;
        path->nfresh++;
    }

    loyalty_merkle_init(&path->chunk);

    return rc;
}


static ngx_int_t
ngx_http_loyalty_path_save(ngx_http_loyalty_proof_t *ctx)
{
    u_char                    buf[NGX_HTTP_LOYALTY_CAMPAIGN_KEY + 128];
    u_char                    text[NGX_HTTP_LOYALTY_ROOTS_SAVED
                                   * LOYALTY_HASH + 32];
    ngx_str_t                 key, arg;
    loyalty_mpw_t             w;
    ngx_http_loyalty_path_t  *path;

    path = ctx->path;

    ngx_http_loyalty_path_key(ctx, "roots", -1, buf, &key);

    loyalty_mpw_init(&w, text, sizeof(text));
    loyalty_mpw_int(&w, (int64_t) path->stored * LOYALTY_HASH);
    loyalty_mpw_str(&w, path->fresh, path->nfresh * LOYALTY_HASH);

    arg.data = text;
    arg.len = w.pos - w.start;

    /* somebody may have been first, with the same ones */

    path->stored += path->nfresh;
    path->nfresh = 0;

    return ngx_http_loyalty_proof_call(ctx, NGX_HTTP_LOYALTY_FN_PUBLISH, 1,
                                       &key, &arg,
                                       ngx_http_loyalty_path_saved);
}


static ngx_int_t
ngx_http_loyalty_path_saved(ngx_http_loyalty_proof_t *ctx,
    ngx_http_loyalty_reply_t *reply)
{
    return ngx_http_loyalty_path_next(ctx);
}


static ngx_int_t
ngx_http_loyalty_path_send(ngx_http_loyalty_proof_t *ctx)
{
    size_t                    n, i;
    u_char                   *text, *p, root[LOYALTY_HASH];
    u_char                    proof[LOYALTY_MERKLE_PROOF][LOYALTY_HASH];
    u_char                    hex[2 * LOYALTY_HASH];
    ngx_http_loyalty_path_t  *path;

    path = ctx->path;

    if (loyalty_merkle_prover_finish(&path->prover, proof, &n) != 0
        || loyalty_merkle_root(&path->tree, root) != 0
        || loyalty_merkle_verify_path(path->leaf, path->seq, path->size, root,
                              (const u_char (*)[LOYALTY_HASH]) proof, n)
           != 0)
    {
        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "no proof of record %uL of %*s", path->seq, ctx->ntag,
                      ctx->tag);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text = ngx_pnalloc(ctx->request->pool, 128 + (n + 2) * 80);
    if (text == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    loyalty_hex(hex, path->leaf, LOYALTY_HASH);
    p = ngx_sprintf(text, "nginx-loyalty/1 proof\nseq %uL\nsize %uL\n"
                    "leaf %*s\n", path->seq, path->size, sizeof(hex), hex);

    loyalty_hex(hex, root, LOYALTY_HASH);
    p = ngx_sprintf(p, "root %*s\n", sizeof(hex), hex);

    for (i = 0; i < n; i++) {
        loyalty_hex(hex, proof[i], LOYALTY_HASH);
        p = ngx_sprintf(p, "path %*s\n", sizeof(hex), hex);
    }

    return ngx_http_loyalty_proof_text(ctx, text, p - text);
}
