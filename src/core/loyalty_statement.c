/*
 * What is signed beside the manifest: closing, tree heads, disqualifications
 * and evidence.
 */

#include "loyalty_statement.h"
#include "loyalty_io.h"

#include <string.h>


static void loyalty_close_fields(loyalty_io_t *io, loyalty_close_t *c);
static int loyalty_close_check(const loyalty_close_t *c);

static void loyalty_tree_head_fields(loyalty_io_t *io,
    loyalty_tree_head_t *head);
static int loyalty_tree_head_check(const loyalty_tree_head_t *head);

static void loyalty_dq_fields(loyalty_io_t *io, loyalty_dq_t *dq);
static int loyalty_dq_check(const loyalty_dq_t *dq);

static void loyalty_evidence_fields(loyalty_io_t *io, loyalty_evidence_t *e);
static void loyalty_file_fields(loyalty_io_t *io, loyalty_file_t *file);
static int loyalty_file_check(const loyalty_file_t *file,
    const loyalty_file_t *before);


static void
loyalty_close_fields(loyalty_io_t *io, loyalty_close_t *c)
{
    loyalty_io_tag(io, "close");
    loyalty_io_raw(io, c->mh, sizeof(c->mh));
    loyalty_io_u64(io, &c->entries);
    loyalty_io_u64(io, &c->tickets);
    loyalty_io_raw(io, c->root, sizeof(c->root));
    loyalty_io_u64(io, &c->t);
}


/* an entry has a ticket at least, a void has those of its entry */

static int
loyalty_close_check(const loyalty_close_t *c)
{
    if (c->entries >= LOYALTY_INSTANT_MAX
        || c->tickets >= LOYALTY_TICKETS_MAX
        || (c->entries == 0) != (c->tickets == 0)
        || c->t >= LOYALTY_INSTANT_MAX)
    {
        return -1;
    }

    return 0;
}


size_t
loyalty_close_encode(unsigned char *dst, size_t size,
    const loyalty_close_t *c)
{
    loyalty_io_t     io;
    loyalty_close_t  fields;

    if (loyalty_close_check(c) != 0) {
        return 0;
    }

    fields = *c;
    loyalty_io_write(&io, dst, size);
    loyalty_close_fields(&io, &fields);

    return loyalty_io_written(&io);
}


int
loyalty_close_decode(const unsigned char *p, size_t n,
    loyalty_close_t *c)
{
    loyalty_io_t  io;

    loyalty_io_read(&io, p, n);
    loyalty_close_fields(&io, c);

    if (loyalty_io_end(&io) != 0) {
        return -1;
    }

    return loyalty_close_check(c);
}


static void
loyalty_tree_head_fields(loyalty_io_t *io, loyalty_tree_head_t *head)
{
    loyalty_io_tag(io, "head");
    loyalty_io_raw(io, head->mh, sizeof(head->mh));
    loyalty_io_u64(io, &head->size);
    loyalty_io_raw(io, head->root, sizeof(head->root));
    loyalty_io_u64(io, &head->t);
}


static int
loyalty_tree_head_check(const loyalty_tree_head_t *head)
{
    return (head->size < LOYALTY_INSTANT_MAX
            && head->t < LOYALTY_INSTANT_MAX) ? 0 : -1;
}


size_t
loyalty_tree_head_encode(unsigned char *dst, size_t size,
    const loyalty_tree_head_t *head)
{
    loyalty_io_t         io;
    loyalty_tree_head_t  fields;

    if (loyalty_tree_head_check(head) != 0) {
        return 0;
    }

    fields = *head;
    loyalty_io_write(&io, dst, size);
    loyalty_tree_head_fields(&io, &fields);

    return loyalty_io_written(&io);
}


int
loyalty_tree_head_decode(const unsigned char *p, size_t n,
    loyalty_tree_head_t *head)
{
    loyalty_io_t  io;

    loyalty_io_read(&io, p, n);
    loyalty_tree_head_fields(&io, head);

    if (loyalty_io_end(&io) != 0) {
        return -1;
    }

    return loyalty_tree_head_check(head);
}


static void
loyalty_dq_fields(loyalty_io_t *io, loyalty_dq_t *dq)
{
    loyalty_io_tag(io, "dq");
    loyalty_io_raw(io, dq->cid, sizeof(dq->cid));
    loyalty_io_u32(io, &dq->k);
    loyalty_io_u64(io, &dq->t);
    loyalty_io_u32(io, &dq->position);
    loyalty_io_u64(io, &dq->seq);
    loyalty_io_raw(io, dq->person, sizeof(dq->person));
    loyalty_io_u16(io, &dq->reason);
    loyalty_io_lp(io, &dq->actor, &dq->len, LOYALTY_ACTOR_MAX);
    loyalty_io_raw(io, dq->evidence, sizeof(dq->evidence));
}


static int
loyalty_dq_check(const loyalty_dq_t *dq)
{
    if (dq->k == 0
        || dq->t >= LOYALTY_INSTANT_MAX
        || dq->seq >= LOYALTY_INSTANT_MAX
        || dq->reason < LOYALTY_INELIGIBLE
        || dq->reason > LOYALTY_EXCLUDED
        || dq->len == 0
        || dq->len > LOYALTY_ACTOR_MAX)
    {
        return -1;
    }

    return 0;
}


size_t
loyalty_dq_encode(unsigned char *dst, size_t size,
    const loyalty_dq_t *dq)
{
    loyalty_io_t  io;
    loyalty_dq_t  fields;

    if (loyalty_dq_check(dq) != 0) {
        return 0;
    }

    fields = *dq;
    loyalty_io_write(&io, dst, size);
    loyalty_dq_fields(&io, &fields);

    return loyalty_io_written(&io);
}


int
loyalty_dq_decode(const unsigned char *p, size_t n,
    loyalty_dq_t *dq)
{
    loyalty_io_t  io;

    loyalty_io_read(&io, p, n);
    loyalty_dq_fields(&io, dq);

    if (loyalty_io_end(&io) != 0) {
        return -1;
    }

    return loyalty_dq_check(dq);
}


/* without the files */

static void
loyalty_evidence_fields(loyalty_io_t *io, loyalty_evidence_t *e)
{
    loyalty_io_tag(io, "evidence");
    loyalty_io_raw(io, e->cid, sizeof(e->cid));
    loyalty_io_u64(io, &e->t);
    loyalty_io_u32(io, &e->count);
}


static void
loyalty_file_fields(loyalty_io_t *io, loyalty_file_t *file)
{
    loyalty_io_lp(io, &file->name, &file->len, LOYALTY_FILE_NAME_MAX);
    loyalty_io_raw(io, file->hash, sizeof(file->hash));
}


/* a name, and one that comes after the name before it */

static int
loyalty_file_check(const loyalty_file_t *file, const loyalty_file_t *before)
{
    int     order;
    size_t  n;

    if (file->len == 0 || file->len > LOYALTY_FILE_NAME_MAX) {
        return -1;
    }

    if (before == NULL) {
        return 0;
    }

    n = (file->len < before->len) ? file->len : before->len;
    order = memcmp(before->name, file->name, n);

    return (order < 0 || (order == 0 && before->len < file->len)) ? 0 : -1;
}


size_t
loyalty_evidence_len(const loyalty_file_t *files, size_t count)
{
    size_t  i, len;

    len = LOYALTY_EVIDENCE_MIN;

    for (i = 0; i < count; i++) {
        len += 4 + files[i].len + LOYALTY_HASH;
    }

    return len;
}


size_t
loyalty_evidence_encode(unsigned char *dst, size_t size,
    const unsigned char *cid, uint64_t t, const loyalty_file_t *files,
    size_t count)
{
    size_t              i;
    loyalty_io_t        io;
    loyalty_file_t      file;
    loyalty_evidence_t  e;

    if (t >= LOYALTY_INSTANT_MAX || count > LOYALTY_FILES_MAX) {
        return 0;
    }

    memcpy(e.cid, cid, sizeof(e.cid));
    e.t = t;
    e.count = (uint32_t) count;

    loyalty_io_write(&io, dst, size);
    loyalty_evidence_fields(&io, &e);

    for (i = 0; i < count; i++) {
        file = files[i];

        if (loyalty_file_check(&file, i > 0 ? &files[i - 1] : NULL) != 0) {
            return 0;
        }

        loyalty_file_fields(&io, &file);
    }

    return loyalty_io_written(&io);
}


int
loyalty_evidence_decode(const unsigned char *p, size_t n,
    loyalty_evidence_t *e)
{
    uint32_t        i;
    loyalty_io_t    io;
    loyalty_file_t  file, before;

    loyalty_io_read(&io, p, n);
    loyalty_evidence_fields(&io, e);

    if (io.failed || e->t >= LOYALTY_INSTANT_MAX
        || e->count > LOYALTY_FILES_MAX)
    {
        return -1;
    }

    e->pos = io.in;

    for (i = 0; i < e->count; i++) {
        loyalty_file_fields(&io, &file);

        if (io.failed
            || loyalty_file_check(&file, i > 0 ? &before : NULL) != 0)
        {
            return -1;
        }

        before = file;
    }

    return loyalty_io_end(&io);
}


void
loyalty_evidence_next(loyalty_evidence_t *e, loyalty_file_t *file)
{
    loyalty_io_t  io;

    loyalty_io_read(&io, e->pos, 4 + LOYALTY_FILE_NAME_MAX + LOYALTY_HASH);
    loyalty_file_fields(&io, file);

    e->pos = io.in;
}
