/*
 * The records of entries and plays.  Each kind has one function that goes
 * over its fields, for writing and for reading, and one that says whether
 * they can be, asked before writing and after reading.
 */

#include "loyalty_statement.h"
#include "loyalty_io.h"


static void loyalty_entry_fields(loyalty_io_t *io, loyalty_entry_t *entry);
static int loyalty_entry_check(const loyalty_entry_t *entry);

static void loyalty_playrec_fields(loyalty_io_t *io, loyalty_playrec_t *rec);
static int loyalty_playrec_check(const loyalty_playrec_t *rec);
static int loyalty_playrec_sample(const loyalty_playrec_t *rec);


static void
loyalty_entry_fields(loyalty_io_t *io, loyalty_entry_t *entry)
{
    loyalty_io_tag(io, "entry");
    loyalty_io_raw(io, entry->cid, sizeof(entry->cid));
    loyalty_io_u64(io, &entry->seq);
    loyalty_io_u64(io, &entry->t);
    loyalty_io_u64(io, &entry->first);
    loyalty_io_u32(io, &entry->tickets);
    loyalty_io_raw(io, entry->person, sizeof(entry->person));
    loyalty_io_raw(io, entry->commit, sizeof(entry->commit));
    loyalty_io_u8(io, &entry->method);
    loyalty_io_u8(io, &entry->flags);
}


static int
loyalty_entry_check(const loyalty_entry_t *entry)
{
    if (entry->seq >= LOYALTY_INSTANT_MAX
        || entry->t >= LOYALTY_INSTANT_MAX
        || entry->first >= LOYALTY_TICKETS_MAX
        || entry->tickets == 0
        || entry->first + entry->tickets >= LOYALTY_TICKETS_MAX
        || entry->method < LOYALTY_PURCHASE
        || entry->method > LOYALTY_IMPORT
        || entry->flags > LOYALTY_VOID)
    {
        return -1;
    }

    if ((entry->flags == LOYALTY_VOID)
        != loyalty_zero(entry->commit, LOYALTY_HASH))
    {
        return -1;
    }

    return 0;
}


size_t
loyalty_entry_encode(unsigned char *dst, size_t size,
    const loyalty_entry_t *entry)
{
    loyalty_io_t     io;
    loyalty_entry_t  fields;

    if (loyalty_entry_check(entry) != 0) {
        return 0;
    }

    fields = *entry;
    loyalty_io_write(&io, dst, size);
    loyalty_entry_fields(&io, &fields);

    return loyalty_io_written(&io);
}


int
loyalty_entry_decode(const unsigned char *p, size_t n,
    loyalty_entry_t *entry)
{
    loyalty_io_t  io;

    loyalty_io_read(&io, p, n);
    loyalty_entry_fields(&io, entry);

    if (loyalty_io_end(&io) != 0) {
        return -1;
    }

    return loyalty_entry_check(entry);
}


static void
loyalty_playrec_fields(loyalty_io_t *io, loyalty_playrec_t *rec)
{
    loyalty_io_tag(io, "playrec");
    loyalty_io_raw(io, rec->cid, sizeof(rec->cid));
    loyalty_io_u64(io, &rec->seq);
    loyalty_io_u64(io, &rec->t);
    loyalty_io_u32(io, &rec->e);
    loyalty_io_u64(io, &rec->round);
    loyalty_io_raw(io, rec->person, sizeof(rec->person));
    loyalty_io_raw(io, rec->play_id, sizeof(rec->play_id));
    loyalty_io_u32(io, &rec->idx);
    loyalty_io_u32(io, &rec->ctr);
    loyalty_io_u8(io, &rec->mode);
    loyalty_io_u64(io, &rec->n);
    loyalty_io_u64(io, &rec->r);
    loyalty_io_u32(io, &rec->tier);
    loyalty_io_u64(io, &rec->serial);
    loyalty_io_u32(io, &rec->status);
    loyalty_io_raw(io, rec->u, sizeof(rec->u));
}


static int
loyalty_playrec_check(const loyalty_playrec_t *rec)
{
    uint32_t  status;

    status = rec->status & ~(uint32_t) LOYALTY_DEGRADED;

    if (rec->seq >= LOYALTY_INSTANT_MAX
        || rec->t >= LOYALTY_INSTANT_MAX
        || rec->e == 0
        || rec->round >= LOYALTY_INSTANT_MAX
        || status > LOYALTY_WINS_REACHED)
    {
        return -1;
    }

    if ((status == LOYALTY_LOSE) != (rec->tier == LOYALTY_NO_TIER)) {
        return -1;
    }

    if (status != LOYALTY_WIN && rec->serial != LOYALTY_NO_SERIAL) {
        return -1;
    }

    if (status == LOYALTY_TIER_EMPTY && rec->mode != LOYALTY_MODE_ODDS) {
        return -1;
    }

    return loyalty_playrec_sample(rec);
}


/* what was sampled; a moment is no sample of the play's own */

static int
loyalty_playrec_sample(const loyalty_playrec_t *rec)
{
    switch (rec->mode) {

    case LOYALTY_MODE_ODDS:
    case LOYALTY_MODE_DECK:
        return (rec->n < LOYALTY_DECK_MAX && rec->r < rec->n) ? 0 : -1;

    case LOYALTY_MODE_MOMENTS:
        break;

    default:
        return -1;
    }

    if (rec->round != 0 || rec->idx != 0 || rec->ctr != 0
        || !loyalty_zero(rec->u, sizeof(rec->u))
        || (rec->status & LOYALTY_DEGRADED))
    {
        return -1;
    }

    if (rec->n == 0) {
        return (rec->r == LOYALTY_NO_DRAW
                && rec->tier == LOYALTY_NO_TIER) ? 0 : -1;
    }

    return (rec->n <= UINT32_MAX && rec->r < UINT32_MAX
            && rec->tier != LOYALTY_NO_TIER) ? 0 : -1;
}


size_t
loyalty_playrec_encode(unsigned char *dst, size_t size,
    const loyalty_playrec_t *rec)
{
    loyalty_io_t       io;
    loyalty_playrec_t  fields;

    if (loyalty_playrec_check(rec) != 0) {
        return 0;
    }

    fields = *rec;
    loyalty_io_write(&io, dst, size);
    loyalty_playrec_fields(&io, &fields);

    return loyalty_io_written(&io);
}


int
loyalty_playrec_decode(const unsigned char *p, size_t n,
    loyalty_playrec_t *rec)
{
    loyalty_io_t  io;

    loyalty_io_read(&io, p, n);
    loyalty_playrec_fields(&io, rec);

    if (loyalty_io_end(&io) != 0) {
        return -1;
    }

    return loyalty_playrec_check(rec);
}
