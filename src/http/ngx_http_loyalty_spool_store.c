/*
 * Whose events are in the spool: several nginx of one machine may share a
 * directory, and a program of one name may be kept in several Redis.  What was
 * observed for one of them is not to be credited in another.
 *
 * Each Redis has a name for each program, {PROGRAM}:store, which whoever comes
 * first gives it and which goes where its data goes: its address may change,
 * or a replica take its place.  While there are files of the spool,
 * DIR/PROGRAM.store is a symbolic link to that name, which takes no room on a
 * disk that is full.  Before files are sent, and again when Redis has been
 * away, it is asked for its name.  An empty one that takes the place of
 * another is given the name that was known before.
 *
 * Files of another Redis stay as they are, and nothing is added to them, until
 * that one's nginx sends them or the operator, who is told, deletes the link.
 * As long as a name is not known, or Redis does not allow one, all is sent.
 */

#include "ngx_http_loyalty_sender.h"

#include <openssl/rand.h>


#define NGX_HTTP_LOYALTY_STORE_AGAIN  3000        /* ms between looks whether
                                                     others' files are gone */
#define NGX_HTTP_LOYALTY_STORE_TELL   60000       /* ms between lines */


static void ngx_http_loyalty_store_path(ngx_http_loyalty_spool_conf_t *conf,
    ngx_str_t *program, u_char *path);
static ngx_int_t ngx_http_loyalty_store_known(loyalty_ring_t *ring,
    u_char *id);
static ngx_int_t ngx_http_loyalty_store_link(
    ngx_http_loyalty_spool_conf_t *conf, ngx_str_t *program, u_char *id,
    ngx_log_t *log);
static ngx_int_t ngx_http_loyalty_store_read(
    ngx_http_loyalty_spool_conf_t *conf, ngx_str_t *program, u_char *id);
static void ngx_http_loyalty_store_unlink(
    ngx_http_loyalty_spool_conf_t *conf, ngx_str_t *program, ngx_log_t *log);
static ngx_uint_t ngx_http_loyalty_store_foreign(
    ngx_http_loyalty_spool_t *spool);
static void ngx_http_loyalty_store_ask(ngx_http_loyalty_sender_t *sender);
static void ngx_http_loyalty_store_told(void *data,
    ngx_http_loyalty_status_e status, ngx_http_loyalty_reply_t *reply);


static void
ngx_http_loyalty_store_path(ngx_http_loyalty_spool_conf_t *conf,
    ngx_str_t *program, u_char *path)
{
    (void) ngx_snprintf(path, NGX_MAX_PATH, "%V/%V.store%Z",
                        &conf->path->name, program);
}


/* the name of the Redis that was heard of last, by any worker */

static ngx_int_t
ngx_http_loyalty_store_known(loyalty_ring_t *ring, u_char *id)
{
    uint64_t    word;
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_LOYALTY_STORE / sizeof(word); i++) {
        word = __atomic_load_n(&ring->user[NGX_HTTP_LOYALTY_RING_STORE + i],
                               __ATOMIC_RELAXED);
        if (word == 0) {
            return NGX_DECLINED;
        }

        id = ngx_cpymem(id, &word, sizeof(word));
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_store_read(ngx_http_loyalty_spool_conf_t *conf,
    ngx_str_t *program, u_char *id)
{
    u_char   path[NGX_MAX_PATH], name[NGX_HTTP_LOYALTY_STORE + 1];
    ssize_t  n;

    ngx_http_loyalty_store_path(conf, program, path);

    n = readlink((char *) path, (char *) name, sizeof(name));

    if (n != NGX_HTTP_LOYALTY_STORE) {
        return NGX_DECLINED;
    }

    ngx_memcpy(id, name, NGX_HTTP_LOYALTY_STORE);

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_store_link(ngx_http_loyalty_spool_conf_t *conf,
    ngx_str_t *program, u_char *id, ngx_log_t *log)
{
    u_char  path[NGX_MAX_PATH], name[NGX_HTTP_LOYALTY_STORE + 1];

    ngx_http_loyalty_store_path(conf, program, path);
    ngx_cpystrn(name, id, sizeof(name));

    if (symlink((char *) name, (char *) path) == -1) {
        ngx_log_error(NGX_LOG_WARN, log, ngx_errno,
                      "symlink() \"%s\" failed, what is in the spool is not "
                      "known to be of this redis", path);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_store_acquired(ngx_http_loyalty_spool_t *spool)
{
    spool->verified = 0;
    spool->stored = (ngx_http_loyalty_store_read(spool->conf,
                                                 &spool->program->name,
                                                 spool->store)
                     == NGX_OK);

    if (ngx_http_loyalty_store_foreign(spool)) {
        return NGX_DECLINED;
    }

    /* a name that has outlived its files says nothing of those to come */

    ngx_http_loyalty_store_released(spool);

    return NGX_OK;
}


/* they are another's: told once a minute, by this worker */

static ngx_uint_t
ngx_http_loyalty_store_foreign(ngx_http_loyalty_spool_t *spool)
{
    u_char  own[NGX_HTTP_LOYALTY_STORE];

    if (!spool->stored || ngx_queue_empty(&spool->segments)
        || ngx_http_loyalty_store_known(spool->ring, own) != NGX_OK
        || ngx_memcmp(own, spool->store, NGX_HTTP_LOYALTY_STORE) == 0)
    {
        spool->foreign = 0;
        return 0;
    }

    if (spool->foreign_told == 0
        || ngx_current_msec - spool->foreign_told
           >= NGX_HTTP_LOYALTY_STORE_TELL)
    {
        spool->foreign_told = ngx_current_msec | 1;

        ngx_log_error(NGX_LOG_ALERT, spool->log, 0,
                      "loyalty program \"%V\": observed events in \"%V\" are "
                      "another redis's, \"%*s\" and not \"%*s\": they stay, "
                      "and nothing is added; give each nginx a spool of its "
                      "own, or, where these belong here, delete "
                      "\"%V/%V.store\"",
                      &spool->program->name, &spool->conf->path->name,
                      (size_t) NGX_HTTP_LOYALTY_STORE, spool->store,
                      (size_t) NGX_HTTP_LOYALTY_STORE, own,
                      &spool->conf->path->name, &spool->program->name);
    }

    spool->foreign = 1;
    spool->foreign_seen = ngx_current_msec;

    return 1;
}


ngx_uint_t
ngx_http_loyalty_store_waits(ngx_http_loyalty_spool_t *spool)
{
    return spool->foreign
           && ngx_current_msec - spool->foreign_seen
              < NGX_HTTP_LOYALTY_STORE_AGAIN;
}


void
ngx_http_loyalty_store_opened(ngx_http_loyalty_spool_t *spool)
{
    if (spool->stored
        || ngx_http_loyalty_store_known(spool->ring, spool->store) != NGX_OK)
    {
        return;
    }

    spool->stored = (ngx_http_loyalty_store_link(spool->conf,
                                                 &spool->program->name,
                                                 spool->store, spool->log)
                     == NGX_OK);
}


void
ngx_http_loyalty_store_released(ngx_http_loyalty_spool_t *spool)
{
    if (!spool->stored || !ngx_queue_empty(&spool->segments)) {
        return;
    }

    spool->stored = 0;

    ngx_http_loyalty_store_unlink(spool->conf, &spool->program->name,
                                  spool->log);
}


static void
ngx_http_loyalty_store_unlink(ngx_http_loyalty_spool_conf_t *conf,
    ngx_str_t *program, ngx_log_t *log)
{
    u_char  path[NGX_MAX_PATH];

    ngx_http_loyalty_store_path(conf, program, path);

    if (ngx_delete_file(path) == NGX_FILE_ERROR && ngx_errno != NGX_ENOENT) {
        ngx_log_error(NGX_LOG_CRIT, log, ngx_errno,
                      ngx_delete_file_n " \"%s\" failed", path);
    }
}


ngx_int_t
ngx_http_loyalty_store_save(ngx_http_loyalty_spool_conf_t *conf,
    ngx_str_t *program, ngx_uint_t files, loyalty_ring_t *ring,
    ngx_log_t *log)
{
    u_char  own[NGX_HTTP_LOYALTY_STORE], id[NGX_HTTP_LOYALTY_STORE];

    if (ngx_http_loyalty_store_known(ring, own) != NGX_OK) {
        return NGX_OK;
    }

    if (ngx_http_loyalty_store_read(conf, program, id) == NGX_OK) {

        if (ngx_memcmp(own, id, NGX_HTTP_LOYALTY_STORE) == 0) {
            return NGX_OK;
        }

        if (files) {
            return NGX_DECLINED;
        }

        ngx_http_loyalty_store_unlink(conf, program, log);
    }

    (void) ngx_http_loyalty_store_link(conf, program, own, log);

    return NGX_OK;
}


void
ngx_http_loyalty_store_look(ngx_http_loyalty_sender_t *sender)
{
    u_char                     own[NGX_HTTP_LOYALTY_STORE];
    ngx_http_loyalty_spool_t  *spool;

    spool = sender->spool;

    /* the right one may be back where another one was */

    if (!spool->mute
        && (ngx_http_loyalty_store_known(spool->ring, own) != NGX_OK
            || (spool->foreign && !ngx_http_loyalty_store_waits(spool))))
    {
        ngx_http_loyalty_store_ask(sender);
    }
}


ngx_uint_t
ngx_http_loyalty_store_verified(ngx_http_loyalty_sender_t *sender)
{
    if (sender->spool->verified || sender->spool->mute) {
        return 1;
    }

    ngx_http_loyalty_store_ask(sender);

    return 0;
}


static void
ngx_http_loyalty_store_ask(ngx_http_loyalty_sender_t *sender)
{
    u_char                      buf[64], text[160], bytes[16];
    u_char                      name[NGX_HTTP_LOYALTY_STORE];
    ngx_str_t                   arg, key;
    loyalty_mpw_t               w;
    ngx_http_loyalty_spool_t   *spool;
    ngx_http_loyalty_status_e   status;

    spool = sender->spool;

    if (spool->asked != NULL || ngx_exiting) {
        return;
    }

    if (ngx_http_loyalty_store_known(spool->ring, name) != NGX_OK) {

        if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
            return;
        }

        (void) ngx_hex_dump(name, bytes, sizeof(bytes));
    }

    loyalty_mpw_init(&w, buf, sizeof(buf));
    loyalty_mpw_str(&w, name, sizeof(name));

    arg.data = w.start;
    arg.len = w.pos - w.start;

    key.data = text;
    key.len = ngx_snprintf(text, sizeof(text), "{%V}:store",
                           &spool->program->name)
              - text;

    spool->asked = ngx_http_loyalty_redis_call(spool->program,
                                               NGX_HTTP_LOYALTY_BULK, 0,
                                               NGX_HTTP_LOYALTY_FN_STORE, 1,
                                               &key, &arg,
                                               ngx_http_loyalty_store_told,
                                               sender, &status);

    if (spool->asked == NULL && ngx_http_loyalty_spool_mine(spool)) {
        ngx_http_loyalty_sender_wait(sender);
    }
}


static void
ngx_http_loyalty_store_told(void *data, ngx_http_loyalty_status_e status,
    ngx_http_loyalty_reply_t *reply)
{
    ngx_http_loyalty_sender_t *sender = data;

    uint64_t                   word;
    ngx_uint_t                 i;
    ngx_http_loyalty_spool_t  *spool;

    spool = sender->spool;
    spool->asked = NULL;

    if (status == NGX_HTTP_LOYALTY_REPLY && !reply->array && reply->n == 1
        && reply->values[0].len == NGX_HTTP_LOYALTY_STORE)
    {
        for (i = 0; i < NGX_HTTP_LOYALTY_STORE / sizeof(word); i++) {
            ngx_memcpy(&word, reply->values[0].data + i * sizeof(word),
                       sizeof(word));
            __atomic_store_n(
                          &spool->ring->user[NGX_HTTP_LOYALTY_RING_STORE + i],
                          word, __ATOMIC_RELAXED);
        }

    } else if (status == NGX_HTTP_LOYALTY_REPLY
               || status == NGX_HTTP_LOYALTY_FAILED)
    {
        /* it has no names, which the log says more of */

        spool->mute = 1;

    } else {

        if (ngx_http_loyalty_spool_mine(spool)) {
            ngx_http_loyalty_sender_wait(sender);
        }

        return;
    }

    if (!ngx_http_loyalty_spool_mine(spool)) {
        return;
    }

    if (!spool->mute && ngx_http_loyalty_store_foreign(spool)) {
        ngx_http_loyalty_spooler_leave(sender);

    } else {
        spool->verified = 1;
    }

    ngx_http_loyalty_sender_go(&sender->go);
}
