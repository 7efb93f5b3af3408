/*
 * The first commands of a connection: who we are, which database, and what
 * kind of Redis this is.  Operations of others follow when all is answered.
 *
 * How Redis stores may change while a connection lives: one connection of each
 * worker asks again once a minute.
 */


#include "ngx_http_loyalty_redis_private.h"


/* what is weaker than the operator asked for */

#define NGX_HTTP_LOYALTY_WEAK_UNKNOWN   1
#define NGX_HTTP_LOYALTY_WEAK_NO_AOF    2
#define NGX_HTTP_LOYALTY_WEAK_FSYNC     4
#define NGX_HTTP_LOYALTY_WEAK_EVICTS    8
#define NGX_HTTP_LOYALTY_WEAK_REPLICAS  16

#define NGX_HTTP_LOYALTY_LOOK           60        /* s between questions */


static ngx_int_t ngx_http_loyalty_greeting_ask(ngx_http_loyalty_link_t *link,
    ngx_http_loyalty_answer_pt answer);
static ngx_int_t ngx_http_loyalty_greeting_auth(ngx_http_loyalty_link_t *link);
static ngx_int_t ngx_http_loyalty_greeting_select(
    ngx_http_loyalty_link_t *link);
static ngx_int_t ngx_http_loyalty_greeting_command(
    ngx_http_loyalty_link_t *link, const char *words,
    ngx_http_loyalty_answer_pt answer);
static ngx_int_t ngx_http_loyalty_greeting_must(
    ngx_http_loyalty_link_t *link, loyalty_resp_reply_t *reply);
static ngx_int_t ngx_http_loyalty_greeting_may(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply);
static ngx_int_t ngx_http_loyalty_greeting_info(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply);
static ngx_str_t ngx_http_loyalty_greeting_line(loyalty_resp_reply_t *reply,
    const char *name);
static ngx_uint_t ngx_http_loyalty_greeting_is(loyalty_resp_reply_t *reply,
    const char *name, const char *value);
static ngx_int_t ngx_http_loyalty_greeting_greeted(
    ngx_http_loyalty_link_t *link, loyalty_resp_reply_t *reply);
static ngx_int_t ngx_http_loyalty_greeting_looked(
    ngx_http_loyalty_link_t *link, loyalty_resp_reply_t *reply);
static void ngx_http_loyalty_greeting_fsync(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply);
static void ngx_http_loyalty_greeting_store(ngx_http_loyalty_link_t *link);
static ngx_uint_t ngx_http_loyalty_greeting_weakness(
    ngx_http_loyalty_link_t *link);
static ngx_int_t ngx_http_loyalty_greeting_named(
    ngx_http_loyalty_link_t *link, loyalty_resp_reply_t *reply);


static const char  *ngx_http_loyalty_durabilities[] = {
    "none", "everysec", "always", "replicas"
};


ngx_int_t
ngx_http_loyalty_greeting(ngx_http_loyalty_link_t *link)
{
    if (ngx_http_loyalty_greeting_auth(link) != NGX_OK
        || ngx_http_loyalty_greeting_select(link) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_loyalty_greeting_command(link,
                                          "CLIENT SETNAME nginx-loyalty",
                                          ngx_http_loyalty_greeting_may)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_greeting_ask(link,
                                         ngx_http_loyalty_greeting_greeted);
}


ngx_int_t
ngx_http_loyalty_greeting_look(ngx_http_loyalty_link_t *link)
{
    time_t                      now;
    ngx_http_loyalty_worker_t  *worker;

    worker = link->worker;
    now = ngx_time();

    /* a clock that was set back is no reason to look away */

    if (link->redis->unsafe_store
        || (now >= worker->looked && now - worker->looked
                                     < NGX_HTTP_LOYALTY_LOOK))
    {
        return NGX_OK;
    }

    worker->looked = now;

    return ngx_http_loyalty_greeting_ask(link,
                                         ngx_http_loyalty_greeting_looked);
}


/* how it stores: answer is that of the last command */

static ngx_int_t
ngx_http_loyalty_greeting_ask(ngx_http_loyalty_link_t *link,
    ngx_http_loyalty_answer_pt answer)
{
    link->store_known = 0;
    link->aof = 0;
    link->fsync_known = 0;
    link->evicts = 0;
    link->fsync = NGX_HTTP_LOYALTY_DURABILITY_NONE;
    link->slaves = 0;

    if (ngx_http_loyalty_greeting_command(link,
                                          "INFO server persistence memory "
                                          "replication",
                                          ngx_http_loyalty_greeting_info)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_greeting_command(link, "CONFIG GET appendfsync",
                                             answer);
}


static ngx_int_t
ngx_http_loyalty_greeting_auth(ngx_http_loyalty_link_t *link)
{
    ngx_str_t                  args[3];
    ngx_uint_t                 n;
    ngx_http_loyalty_redis_t  *redis;

    redis = link->redis;

    if (redis->password.len == 0) {
        return NGX_OK;
    }

    n = 0;

    ngx_str_set(&args[n], "AUTH");
    n++;

    if (redis->user.len != 0) {
        args[n++] = redis->user;
    }

    args[n++] = redis->password;

    return ngx_http_loyalty_op_own(link, n, args,
                                   ngx_http_loyalty_greeting_must)
           != NULL ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_loyalty_greeting_select(ngx_http_loyalty_link_t *link)
{
    u_char     number[NGX_INT_T_LEN];
    ngx_str_t  args[2];

    if (link->redis->db == 0) {
        return NGX_OK;
    }

    ngx_str_set(&args[0], "SELECT");

    args[1].data = number;
    args[1].len = ngx_sprintf(number, "%ui", link->redis->db) - number;

    return ngx_http_loyalty_op_own(link, 2, args,
                                   ngx_http_loyalty_greeting_must)
           != NULL ? NGX_OK : NGX_ERROR;
}


/* a command of fixed words, at most 8 */

static ngx_int_t
ngx_http_loyalty_greeting_command(ngx_http_loyalty_link_t *link,
    const char *words, ngx_http_loyalty_answer_pt answer)
{
    size_t      len;
    ngx_str_t   args[8];
    ngx_uint_t  n;

    for (n = 0; *words != '\0' && n < 8; n++) {
        len = strcspn(words, " ");

        args[n].data = (u_char *) words;
        args[n].len = len;

        words += len;
        words += (*words == ' ');
    }

    return ngx_http_loyalty_op_own(link, n, args, answer) != NULL
               ? NGX_OK : NGX_ERROR;
}


/* AUTH, SELECT */

static ngx_int_t
ngx_http_loyalty_greeting_must(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply)
{
    ngx_uint_t  drain;

    if (!ngx_http_loyalty_error(reply)) {
        return NGX_OK;
    }

    (void) ngx_http_loyalty_error_status(link, reply, &drain);

    return NGX_ERROR;
}


/* CLIENT SETNAME: a user may lack the permission for it */

static ngx_int_t
ngx_http_loyalty_greeting_may(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply)
{
    if (ngx_http_loyalty_error_is(reply, "NOPERM")) {
        return NGX_OK;
    }

    return ngx_http_loyalty_greeting_must(link, reply);
}


static ngx_int_t
ngx_http_loyalty_greeting_info(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply)
{
    ngx_int_t  n;
    ngx_str_t  line;

    if (ngx_http_loyalty_error(reply)) {
        return ngx_http_loyalty_greeting_may(link, reply);
    }

    if (reply->array || reply->values[0].data == NULL) {
        return NGX_OK;
    }

    if (ngx_http_loyalty_greeting_is(reply, "role", "slave")) {
        ngx_http_loyalty_trouble(link, NGX_HTTP_LOYALTY_TROUBLE_ROLE,
                                 "redis is a replica, a master is needed");
        return NGX_ERROR;
    }

    if (ngx_http_loyalty_greeting_is(reply, "loading", "1")) {
        ngx_http_loyalty_trouble(link, NGX_HTTP_LOYALTY_TROUBLE_ROLE,
                                 "redis is loading its data");
        return NGX_ERROR;
    }

    link->aof = ngx_http_loyalty_greeting_is(reply, "aof_enabled", "1");

    line = ngx_http_loyalty_greeting_line(reply, "connected_slaves");
    n = ngx_atoi(line.data, line.len);
    link->slaves = (n == NGX_ERROR) ? 0 : (ngx_uint_t) n;

    line = ngx_http_loyalty_greeting_line(reply, "maxmemory_policy");
    link->store_known = (line.len != 0);
    link->evicts = link->store_known
                   && !ngx_http_loyalty_greeting_is(reply, "maxmemory_policy",
                                                    "noeviction");

    return NGX_OK;
}


/* what follows "name:" at the beginning of a line of INFO */

static ngx_str_t
ngx_http_loyalty_greeting_line(loyalty_resp_reply_t *reply, const char *name)
{
    size_t      len;
    u_char     *p, *last, *end;
    ngx_str_t   value;

    ngx_str_null(&value);

    len = ngx_strlen(name);
    p = (u_char *) reply->values[0].data;
    last = p + reply->values[0].len;

    while (p < last) {
        end = ngx_strlchr(p, last, '\n');
        if (end == NULL) {
            end = last;
        }

        if ((size_t) (end - p) > len && p[len] == ':'
            && ngx_memcmp(p, name, len) == 0)
        {
            value.data = p + len + 1;
            value.len = end - value.data;

            if (value.len != 0 && value.data[value.len - 1] == '\r') {
                value.len--;
            }

            break;
        }

        p = end + 1;
    }

    return value;
}


static ngx_uint_t
ngx_http_loyalty_greeting_is(loyalty_resp_reply_t *reply, const char *name,
    const char *value)
{
    ngx_str_t  line;

    line = ngx_http_loyalty_greeting_line(reply, name);

    return line.len == ngx_strlen(value)
           && ngx_strncmp(line.data, value, line.len) == 0;
}


/* the last answer: of a connection that is new, and of one that goes on */

static ngx_int_t
ngx_http_loyalty_greeting_greeted(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply)
{
    ngx_http_loyalty_greeting_fsync(link, reply);

    return ngx_http_loyalty_link_ready(link);
}


static ngx_int_t
ngx_http_loyalty_greeting_looked(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply)
{
    ngx_http_loyalty_greeting_fsync(link, reply);

    return NGX_OK;
}


/* CONFIG GET appendfsync: often forbidden, then it is unknown */

static void
ngx_http_loyalty_greeting_fsync(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply)
{
    loyalty_resp_value_t  *value;

    if (reply->array && reply->n == 2 && reply->values[1].data != NULL) {
        value = &reply->values[1];
        link->fsync_known = 1;

        if (value->len == 6 && ngx_strncmp(value->data, "always", 6) == 0) {
            link->fsync = NGX_HTTP_LOYALTY_DURABILITY_ALWAYS;

        } else if (value->len == 8
                   && ngx_strncmp(value->data, "everysec", 8) == 0)
        {
            link->fsync = NGX_HTTP_LOYALTY_DURABILITY_EVERYSEC;
        }
    }

    ngx_http_loyalty_greeting_store(link);
}


/* says what is weaker than asked for, when that has changed */

static void
ngx_http_loyalty_greeting_store(ngx_http_loyalty_link_t *link)
{
    ngx_uint_t                  weakness;
    const char                 *durability;
    ngx_http_loyalty_redis_t   *redis;
    ngx_http_loyalty_worker_t  *worker;

    redis = link->redis;
    worker = link->worker;
    worker->looked = ngx_time();
    durability = ngx_http_loyalty_durabilities[redis->durability];

    weakness = ngx_http_loyalty_greeting_weakness(link);

    if (weakness == worker->weakness || redis->unsafe_store) {
        return;
    }

    worker->weakness = weakness;

    if (weakness == 0) {
        ngx_log_error(NGX_LOG_NOTICE, &link->log, 0,
                      "redis stores as \"durability %s\" asks", durability);
    }

    if (weakness & NGX_HTTP_LOYALTY_WEAK_UNKNOWN) {
        ngx_log_error(NGX_LOG_WARN, &link->log, 0,
                      "redis does not tell whether it stores as \"durability "
                      "%s\" asks; allow INFO and CONFIG GET, or set "
                      "\"unsafe_store on\"", durability);
    }

    if (weakness & NGX_HTTP_LOYALTY_WEAK_NO_AOF) {
        ngx_log_error(NGX_LOG_WARN, &link->log, 0,
                      "redis keeps no append-only file, though \"durability "
                      "%s\" asks for it; set \"appendonly yes\" there, or "
                      "\"unsafe_store on\" here", durability);
    }

    if (weakness & NGX_HTTP_LOYALTY_WEAK_FSYNC) {
        ngx_log_error(NGX_LOG_WARN, &link->log, 0,
                      "appendfsync of redis is weaker than \"durability %s\"",
                      durability);
    }

    if (weakness & NGX_HTTP_LOYALTY_WEAK_EVICTS) {
        ngx_log_error(NGX_LOG_WARN, &link->log, 0,
                      "redis may evict members when memory is short; set "
                      "\"maxmemory-policy noeviction\" there");
    }

    if (weakness & NGX_HTTP_LOYALTY_WEAK_REPLICAS) {
        ngx_log_error(NGX_LOG_WARN, &link->log, 0,
                      "redis has %ui replicas, though \"durability "
                      "replicas=%ui\" asks for more", link->slaves,
                      redis->replicas);
    }
}


static ngx_uint_t
ngx_http_loyalty_greeting_weakness(ngx_http_loyalty_link_t *link)
{
    ngx_uint_t                 weakness;
    ngx_http_loyalty_redis_t  *redis;

    redis = link->redis;
    weakness = 0;

    if (link->evicts) {
        weakness |= NGX_HTTP_LOYALTY_WEAK_EVICTS;
    }

    if (redis->durability == NGX_HTTP_LOYALTY_DURABILITY_NONE) {
        return weakness;
    }

    if (!link->store_known) {
        return weakness | NGX_HTTP_LOYALTY_WEAK_UNKNOWN;
    }

    if (redis->durability == NGX_HTTP_LOYALTY_DURABILITY_REPLICAS) {
        return (link->slaves < redis->replicas)
                   ? weakness | NGX_HTTP_LOYALTY_WEAK_REPLICAS : weakness;
    }

    if (!link->aof) {
        return weakness | NGX_HTTP_LOYALTY_WEAK_NO_AOF;
    }

    if (!link->fsync_known) {
        return weakness | NGX_HTTP_LOYALTY_WEAK_UNKNOWN;
    }

    return (link->fsync < redis->durability)
               ? weakness | NGX_HTTP_LOYALTY_WEAK_FSYNC : weakness;
}


/* {PROGRAM}:names, for those who read the keys; goes first on the line */

ngx_int_t
ngx_http_loyalty_greeting_names(ngx_http_loyalty_link_t *link)
{
    ngx_str_t                   *args, *name;
    ngx_array_t                 *names;
    ngx_http_loyalty_program_t  *program;

    program = link->redis->program;

    names = ngx_http_loyalty_names(link->dial.pool, program);
    if (names == NULL) {
        return NGX_ERROR;
    }

    if (names->nelts == 0) {
        return NGX_OK;
    }

    args = ngx_palloc(link->dial.pool, (2 + names->nelts) * sizeof(ngx_str_t));
    name = &args[1];

    if (args == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&args[0], "HSET");

    name->len = program->name.len + sizeof("{}:names") - 1;
    name->data = ngx_pnalloc(link->dial.pool, name->len);
    if (name->data == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(name->data, "{%V}:names", &program->name);
    ngx_memcpy(&args[2], names->elts, names->nelts * sizeof(ngx_str_t));

    return ngx_http_loyalty_op_own(link, 2 + names->nelts, args,
                                   ngx_http_loyalty_greeting_named)
           != NULL ? NGX_OK : NGX_ERROR;
}


/* without it tools show hashes for names, and no more is lost */

static ngx_int_t
ngx_http_loyalty_greeting_named(ngx_http_loyalty_link_t *link,
    loyalty_resp_reply_t *reply)
{
    size_t  len;

    if (ngx_http_loyalty_error(reply)) {
        len = ngx_min(reply->values[0].len, 256);

        ngx_log_error(NGX_LOG_WARN, &link->log, 0,
                      "redis refused to keep the names of rules: \"%*s\"",
                      len, reply->values[0].data);
    }

    return NGX_OK;
}


const char *
ngx_http_loyalty_redis_unsafe(ngx_http_loyalty_program_t *program)
{
    ngx_uint_t  weakness;

    if (program->redis->worker == NULL || program->redis->unsafe_store) {
        return NULL;
    }

    weakness = program->redis->worker->weakness;

    return (weakness == 0) ? NULL
           : (weakness & NGX_HTTP_LOYALTY_WEAK_UNKNOWN)
             ? "redis does not tell how it stores"
           : (weakness & NGX_HTTP_LOYALTY_WEAK_NO_AOF)
             ? "redis keeps no append-only file"
           : (weakness & NGX_HTTP_LOYALTY_WEAK_FSYNC)
             ? "appendfsync of redis is weaker than the program asks for"
           : (weakness & NGX_HTTP_LOYALTY_WEAK_EVICTS)
             ? "redis may evict what it holds"
           : "redis has fewer replicas than the program asks for";
}


size_t
ngx_http_loyalty_redis_page(ngx_http_loyalty_program_t *program)
{
    return program->redis->max_reply / 2;
}
