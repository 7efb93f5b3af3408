/*
 * RESP over hiredis's reader.
 *
 * The reader's own objects are not used: they cost several allocations a
 * reply and know no limits.  The functions given to it instead append the
 * values of the reply to one block of memory that is kept from reply to reply,
 * and refuse what passes a limit.  Values are told apart by offsets until
 * the reply is complete, because the block may move while it grows.
 */


#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "loyalty_resp.h"


#define LOYALTY_RESP_KEEP   65536       /* bytes kept from reply to reply */
#define LOYALTY_RESP_SLACK  65536       /* one read more than a reply */


struct loyalty_resp_s {
    redisReader            *reader;

    size_t                  max_bytes;
    size_t                  max_values;

    unsigned char          *bytes;
    size_t                  size;

    loyalty_resp_value_t   *values;
    size_t                 *offsets;
    size_t                  room;       /* values there is memory for */

    loyalty_resp_reply_t    reply;
    int                     begun;      /* a reply that is not complete */
    const char             *error;
};


static void *loyalty_resp_string(const redisReadTask *task, char *data,
    size_t len);
static void *loyalty_resp_integer(const redisReadTask *task, long long n);
static void *loyalty_resp_nil(const redisReadTask *task);
static void loyalty_resp_keep(void *object);
static void *loyalty_resp_refuse(const redisReadTask *task,
    const char *error);
static void *loyalty_resp_open(const redisReadTask *task, size_t n);
static void *loyalty_resp_add(const redisReadTask *task,
    loyalty_resp_type_e type, const char *data, size_t len);
static int loyalty_resp_reserve_values(loyalty_resp_t *resp, size_t n);
static int loyalty_resp_reserve_bytes(loyalty_resp_t *resp, size_t n);
static void loyalty_resp_reset(loyalty_resp_t *resp);
static size_t loyalty_resp_unread(loyalty_resp_t *resp);
static unsigned char *loyalty_resp_line(unsigned char *p, char type,
    size_t n);


#if (HIREDIS_MAJOR >= 1)

static void *
loyalty_resp_array_object(const redisReadTask *task, size_t n)
{
    return loyalty_resp_open(task, n);
}


static void *
loyalty_resp_double(const redisReadTask *task, double n, char *data,
    size_t len)
{
    return loyalty_resp_refuse(task, "a type of RESP3");
}


static void *
loyalty_resp_bool(const redisReadTask *task, int n)
{
    return loyalty_resp_refuse(task, "a type of RESP3");
}

#else

static void *
loyalty_resp_array_object(const redisReadTask *task, int n)
{
    return loyalty_resp_open(task, (size_t) n);
}

#endif


static redisReplyObjectFunctions  loyalty_resp_functions = {
    .createString = loyalty_resp_string,
    .createArray = loyalty_resp_array_object,
    .createInteger = loyalty_resp_integer,
#if (HIREDIS_MAJOR >= 1)
    .createDouble = loyalty_resp_double,
    .createBool = loyalty_resp_bool,
#endif
    .createNil = loyalty_resp_nil,
    .freeObject = loyalty_resp_keep
};


loyalty_resp_t *
loyalty_resp_create(size_t max_bytes, size_t max_values)
{
    loyalty_resp_t  *resp;

    resp = calloc(1, sizeof(loyalty_resp_t));
    if (resp == NULL) {
        return NULL;
    }

    resp->max_bytes = max_bytes;
    resp->max_values = max_values;

    resp->reader = redisReaderCreateWithFunctions(&loyalty_resp_functions);
    if (resp->reader == NULL) {
        free(resp);
        return NULL;
    }

    resp->reader->privdata = resp;
    resp->reader->maxbuf = LOYALTY_RESP_KEEP;

    if (loyalty_resp_reserve_values(resp, 1) != 0
        || loyalty_resp_reserve_bytes(resp, 1) != 0)
    {
        loyalty_resp_free(resp);
        return NULL;
    }

    return resp;
}


void
loyalty_resp_free(loyalty_resp_t *resp)
{
    if (resp == NULL) {
        return;
    }

    redisReaderFree(resp->reader);

    free(resp->bytes);
    free(resp->values);
    free(resp->offsets);
    free(resp);
}


int
loyalty_resp_feed(loyalty_resp_t *resp, const void *data, size_t n)
{
    /*
     * hiredis keeps a string until it is complete, however long it was
     * announced to be; what it may keep ends here
     */

    if (resp->error == NULL
        && loyalty_resp_unread(resp) > resp->max_bytes + LOYALTY_RESP_SLACK)
    {
        resp->error = "too long";
    }

    if (resp->error != NULL) {
        return -1;
    }

    if (redisReaderFeed(resp->reader, data, n) != REDIS_OK) {
        resp->error = resp->reader->errstr;
        return -1;
    }

    return 0;
}


int
loyalty_resp_next(loyalty_resp_t *resp, loyalty_resp_reply_t **reply)
{
    void    *object;
    size_t   i;

    if (resp->reply.values != NULL) {
        loyalty_resp_reset(resp);
    }

    if (resp->error == NULL && !resp->begun && loyalty_resp_unread(resp) == 0)
    {
        return 0;
    }

    resp->begun = 1;
    object = NULL;

    if (resp->error == NULL
        && redisReaderGetReply(resp->reader, &object) != REDIS_OK
        && resp->error == NULL)
    {
        resp->error = resp->reader->errstr;
    }

    if (resp->error != NULL) {
        return -1;
    }

    if (object == NULL) {
        return 0;
    }

    for (i = 0; i < resp->reply.n; i++) {
        if (resp->values[i].type != LOYALTY_RESP_NIL) {
            resp->values[i].data = resp->bytes + resp->offsets[i];
        }
    }

    resp->begun = 0;
    resp->reply.values = resp->values;
    *reply = &resp->reply;

    return 1;
}


int
loyalty_resp_partial(loyalty_resp_t *resp)
{
    return resp->begun;
}


/* the only look into the reader: bytes it holds and has not parsed */

static size_t
loyalty_resp_unread(loyalty_resp_t *resp)
{
    return resp->reader->len - resp->reader->pos;
}


const char *
loyalty_resp_error(loyalty_resp_t *resp)
{
    return (resp->error != NULL) ? resp->error : "";
}


static void
loyalty_resp_reset(loyalty_resp_t *resp)
{
    if (resp->size > LOYALTY_RESP_KEEP) {
        free(resp->bytes);
        resp->bytes = NULL;
        resp->size = 0;
    }

    memset(&resp->reply, 0, sizeof(loyalty_resp_reply_t));
}


static void *
loyalty_resp_string(const redisReadTask *task, char *data, size_t len)
{
    switch (task->type) {

    case REDIS_REPLY_STRING:
        return loyalty_resp_add(task, LOYALTY_RESP_STRING, data, len);

    case REDIS_REPLY_STATUS:
        return loyalty_resp_add(task, LOYALTY_RESP_STATUS, data, len);

    case REDIS_REPLY_ERROR:
        return loyalty_resp_add(task, LOYALTY_RESP_ERROR, data, len);

    default:
        return loyalty_resp_refuse(task, "a type of RESP3");
    }
}


static void *
loyalty_resp_integer(const redisReadTask *task, long long n)
{
    int   len;
    char  text[LOYALTY_RESP_LINE];

    len = snprintf(text, sizeof(text), "%lld", n);

    return loyalty_resp_add(task, LOYALTY_RESP_INTEGER, text, (size_t) len);
}


static void *
loyalty_resp_nil(const redisReadTask *task)
{
    /* in RESP2 it is a string or an array that is nil */

    if (task->type != REDIS_REPLY_STRING && task->type != REDIS_REPLY_ARRAY) {
        return loyalty_resp_refuse(task, "a type of RESP3");
    }

    return loyalty_resp_add(task, LOYALTY_RESP_NIL, NULL, 0);
}


static void
loyalty_resp_keep(void *object)
{
    /* objects are all the one loyalty_resp_t, which stays */
}


static void *
loyalty_resp_refuse(const redisReadTask *task, const char *error)
{
    loyalty_resp_t  *resp;

    resp = task->privdata;

    if (resp->error == NULL) {
        resp->error = error;
    }

    return NULL;
}


static void *
loyalty_resp_open(const redisReadTask *task, size_t n)
{
    loyalty_resp_t  *resp;

    resp = task->privdata;

    if (task->type != REDIS_REPLY_ARRAY) {
        return loyalty_resp_refuse(task, "a type of RESP3");
    }

    if (task->parent != NULL) {
        return loyalty_resp_refuse(task, "nested too deep");
    }

    if (n > resp->max_values) {
        return loyalty_resp_refuse(task, "an array of too many values");
    }

    resp->reply.array = 1;

    return resp;
}


static void *
loyalty_resp_add(const redisReadTask *task, loyalty_resp_type_e type,
    const char *data, size_t len)
{
    loyalty_resp_t        *resp;
    loyalty_resp_value_t  *value;

    resp = task->privdata;

    if (len > resp->max_bytes - resp->reply.bytes) {
        return loyalty_resp_refuse(task, "too long");
    }

    /* one byte more: the data of an empty string is not NULL */

    if (loyalty_resp_reserve_values(resp, resp->reply.n + 1) != 0
        || loyalty_resp_reserve_bytes(resp, resp->reply.bytes + len + 1) != 0)
    {
        return loyalty_resp_refuse(task, "more than there is memory for");
    }

    value = &resp->values[resp->reply.n];
    value->type = type;
    value->len = len;
    value->data = NULL;

    resp->offsets[resp->reply.n] = resp->reply.bytes;

    if (len != 0) {
        memcpy(resp->bytes + resp->reply.bytes, data, len);
    }

    resp->reply.n++;
    resp->reply.bytes += len;

    return resp;
}


static int
loyalty_resp_reserve_values(loyalty_resp_t *resp, size_t n)
{
    size_t                 room, *offsets;
    loyalty_resp_value_t  *values;

    if (n <= resp->room) {
        return 0;
    }

    room = (resp->room == 0) ? 16 : 2 * resp->room;

    values = realloc(resp->values, room * sizeof(loyalty_resp_value_t));
    if (values == NULL) {
        return -1;
    }

    resp->values = values;

    offsets = realloc(resp->offsets, room * sizeof(size_t));
    if (offsets == NULL) {
        return -1;
    }

    resp->offsets = offsets;
    resp->room = room;

    return 0;
}


static int
loyalty_resp_reserve_bytes(loyalty_resp_t *resp, size_t n)
{
    size_t          size;
    unsigned char  *bytes;

    if (n <= resp->size) {
        return 0;
    }

    size = (resp->size == 0) ? 1024 : resp->size;

    while (size < n) {
        size *= 2;
    }

    bytes = realloc(resp->bytes, size);
    if (bytes == NULL) {
        return -1;
    }

    resp->bytes = bytes;
    resp->size = size;

    return 0;
}


unsigned char *
loyalty_resp_array(unsigned char *p, size_t n)
{
    return loyalty_resp_line(p, '*', n);
}


unsigned char *
loyalty_resp_bulk(unsigned char *p, const void *data, size_t len)
{
    p = loyalty_resp_line(p, '$', len);

    if (len != 0) {
        memcpy(p, data, len);
        p += len;
    }

    *p++ = '\r';
    *p++ = '\n';

    return p;
}


static unsigned char *
loyalty_resp_line(unsigned char *p, char type, size_t n)
{
    size_t  i;
    char    digits[LOYALTY_RESP_LINE];

    i = 0;

    do {
        digits[i++] = (char) ('0' + n % 10);
        n /= 10;
    } while (n != 0);

    *p++ = (unsigned char) type;

    while (i > 0) {
        *p++ = (unsigned char) digits[--i];
    }

    *p++ = '\r';
    *p++ = '\n';

    return p;
}
