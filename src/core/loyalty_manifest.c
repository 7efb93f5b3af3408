/*
 * The prize table and the manifest: what an operator commits to.
 */

#include "loyalty_statement.h"
#include "loyalty_draw.h"
#include "loyalty_io.h"


static void loyalty_prize_fields(loyalty_io_t *io, loyalty_prize_t *prize);
static int loyalty_prize_check(const loyalty_prize_t *prize, int last);

static void loyalty_manifest_fields(loyalty_io_t *io, loyalty_manifest_t *m);
static int loyalty_manifest_check(const loyalty_manifest_t *m);
static int loyalty_manifest_sweepstakes(const loyalty_manifest_t *m);
static int loyalty_manifest_instant(const loyalty_manifest_t *m);


static void
loyalty_prize_fields(loyalty_io_t *io, loyalty_prize_t *prize)
{
    loyalty_io_lp(io, &prize->name, &prize->len, LOYALTY_PRIZE_NAME_MAX);
    loyalty_io_u64(io, &prize->stock);
    loyalty_io_u64(io, &prize->num);
    loyalty_io_u64(io, &prize->den);
}


static int
loyalty_prize_check(const loyalty_prize_t *prize, int last)
{
    uint64_t  num, den;

    if (prize->len == 0
        && (!last || prize->stock == LOYALTY_UNLIMITED || prize->den != 0))
    {
        return -1;
    }

    if (prize->den == 0) {
        return prize->num == 0 ? 0 : -1;
    }

    if (prize->num == 0 || prize->num > prize->den
        || prize->den >= LOYALTY_ODDS_MAX)
    {
        return -1;
    }

    num = prize->num;
    den = prize->den;
    loyalty_odds_lowest(&num, &den);

    return den == prize->den ? 0 : -1;
}


size_t
loyalty_prizes_len(const loyalty_prize_t *prizes, size_t count)
{
    size_t  i, len;

    len = sizeof(LOYALTY_TAG "prizes") + 4;

    for (i = 0; i < count; i++) {
        len += 4 + prizes[i].len + 24;
    }

    return len;
}


size_t
loyalty_prizes_encode(unsigned char *dst, size_t size,
    const loyalty_prize_t *prizes, size_t count)
{
    size_t           i;
    uint32_t         n;
    loyalty_io_t     io;
    loyalty_prize_t  prize;

    if (count == 0 || count > LOYALTY_PRIZES_MAX) {
        return 0;
    }

    n = (uint32_t) count;

    loyalty_io_write(&io, dst, size);
    loyalty_io_tag(&io, "prizes");
    loyalty_io_u32(&io, &n);

    for (i = 0; i < count; i++) {
        prize = prizes[i];
        loyalty_odds_lowest(&prize.num, &prize.den);

        if (loyalty_prize_check(&prize, i + 1 == count) != 0) {
            return 0;
        }

        loyalty_prize_fields(&io, &prize);
    }

    return loyalty_io_written(&io);
}


int
loyalty_prizes_decode(const unsigned char *p, size_t n, uint32_t *count,
    const unsigned char **rows)
{
    uint32_t         i;
    loyalty_io_t     io;
    loyalty_prize_t  prize;

    loyalty_io_read(&io, p, n);
    loyalty_io_tag(&io, "prizes");
    loyalty_io_u32(&io, count);

    if (io.failed || *count == 0 || *count > LOYALTY_PRIZES_MAX) {
        return -1;
    }

    *rows = io.in;

    for (i = 0; i < *count; i++) {
        loyalty_prize_fields(&io, &prize);

        if (io.failed || loyalty_prize_check(&prize, i + 1 == *count) != 0) {
            return -1;
        }
    }

    return loyalty_io_end(&io);
}


const unsigned char *
loyalty_prizes_next(const unsigned char *row, loyalty_prize_t *prize)
{
    loyalty_io_t  io;

    loyalty_io_read(&io, row, 4 + LOYALTY_PRIZE_NAME_MAX + 24);
    loyalty_prize_fields(&io, prize);

    return io.in;
}


static void
loyalty_manifest_fields(loyalty_io_t *io, loyalty_manifest_t *m)
{
    loyalty_io_tag(io, "manifest");
    loyalty_io_raw(io, m->cid, sizeof(m->cid));
    loyalty_io_u32(io, &m->version);
    loyalty_io_raw(io, m->prev_mh, sizeof(m->prev_mh));
    loyalty_io_u8(io, &m->kind);
    loyalty_io_u8(io, &m->mode);
    loyalty_io_u64(io, &m->open);
    loyalty_io_u64(io, &m->close);
    loyalty_io_u32(io, &m->length);
    loyalty_io_u32(io, &m->epochs);
    loyalty_io_raw(io, m->rules, sizeof(m->rules));
    loyalty_io_raw(io, m->terms, sizeof(m->terms));
    loyalty_io_raw(io, m->prizes, sizeof(m->prizes));
    loyalty_io_raw(io, m->chain, sizeof(m->chain));
    loyalty_io_u64(io, &m->round);
    loyalty_io_raw(io, m->seed_commit, sizeof(m->seed_commit));
    loyalty_io_raw(io, m->kp_commit, sizeof(m->kp_commit));
    loyalty_io_raw(io, m->anchor, sizeof(m->anchor));
    loyalty_io_u32(io, &m->winners);
    loyalty_io_u32(io, &m->alternates);
    loyalty_io_u8(io, &m->flags);
}


static int
loyalty_manifest_check(const loyalty_manifest_t *m)
{
    if (m->version == 0
        || (m->version == 1) != loyalty_zero(m->prev_mh, LOYALTY_HASH)
        || m->open >= m->close
        || m->close >= LOYALTY_INSTANT_MAX
        || m->round >= LOYALTY_INSTANT_MAX
        || m->flags > (LOYALTY_MAY_DEGRADE | LOYALTY_FRESH))
    {
        return -1;
    }

    switch (m->kind) {

    case LOYALTY_SWEEPSTAKES:
        return loyalty_manifest_sweepstakes(m);

    case LOYALTY_INSTANT_WIN:
        return loyalty_manifest_instant(m);

    default:
        return -1;
    }
}


/* it rests on a beacon, on a seed, or on both: never on nothing */

static int
loyalty_manifest_sweepstakes(const loyalty_manifest_t *m)
{
    int  beacon;

    beacon = !loyalty_zero(m->chain, LOYALTY_HASH);

    if (m->mode != LOYALTY_MODE_NONE
        || m->length != 0
        || m->epochs != 0
        || !loyalty_zero(m->anchor, LOYALTY_HASH)
        || m->winners == 0
        || (uint64_t) m->winners + m->alternates > LOYALTY_POSITIONS_MAX)
    {
        return -1;
    }

    if (beacon) {
        return m->round > 0 ? 0 : -1;
    }

    if (m->round != 0
        || loyalty_zero(m->seed_commit, LOYALTY_HASH)
        || (m->flags & LOYALTY_FRESH))
    {
        return -1;
    }

    return 0;
}


static int
loyalty_manifest_instant(const loyalty_manifest_t *m)
{
    if (m->mode < LOYALTY_MODE_ODDS
        || m->mode > LOYALTY_MODE_MOMENTS
        || m->length == 0
        || m->epochs > LOYALTY_EPOCHS_MAX
        || m->epochs != (m->close - m->open + m->length - 1) / m->length
        || loyalty_zero(m->anchor, LOYALTY_HASH)
        || m->round != 0
        || !loyalty_zero(m->seed_commit, LOYALTY_HASH)
        || m->winners != 0
        || m->alternates != 0
        || (m->flags & LOYALTY_FRESH))
    {
        return -1;
    }

    return 0;
}


size_t
loyalty_manifest_encode(unsigned char *dst, size_t size,
    const loyalty_manifest_t *m)
{
    loyalty_io_t        io;
    loyalty_manifest_t  fields;

    if (loyalty_manifest_check(m) != 0) {
        return 0;
    }

    fields = *m;
    loyalty_io_write(&io, dst, size);
    loyalty_manifest_fields(&io, &fields);

    return loyalty_io_written(&io);
}


int
loyalty_manifest_decode(const unsigned char *p, size_t n,
    loyalty_manifest_t *m)
{
    loyalty_io_t  io;

    loyalty_io_read(&io, p, n);
    loyalty_manifest_fields(&io, m);

    if (loyalty_io_end(&io) != 0) {
        return -1;
    }

    return loyalty_manifest_check(m);
}
