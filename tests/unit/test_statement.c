/*
 * Statements and records: what is written is read, every cut is refused, and
 * so is every field that cannot be.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "draw.h"


/*
 * Written and refused, or written, read to the same bytes, and refused with a
 * byte less or more; read from a block of its own size.
 */

#define codec(kind, type)                                                     \
                                                                              \
static int                                                                    \
check_##kind(const type *fields)                                              \
{                                                                             \
    size_t         i, n;                                                      \
    type           read;                                                      \
    unsigned char  buf[1024], same[1024], *copy;                              \
                                                                              \
    n = loyalty_##kind##_encode(buf, sizeof(buf), fields);                    \
                                                                              \
    if (n == 0) {                                                             \
        return -1;                                                            \
    }                                                                         \
                                                                              \
    for (i = 0; i < n; i++) {                                                 \
        assert_int_equal(loyalty_##kind##_encode(same, i, fields), 0);        \
                                                                              \
        copy = malloc(i > 0 ? i : 1);                                         \
        assert_non_null(copy);                                                \
        memcpy(copy, buf, i);                                                 \
        assert_int_equal(loyalty_##kind##_decode(copy, i, &read), -1);        \
        free(copy);                                                           \
    }                                                                         \
                                                                              \
    buf[n] = 0;                                                               \
    assert_int_equal(loyalty_##kind##_decode(buf, n + 1, &read), -1);         \
                                                                              \
    assert_ok(loyalty_##kind##_decode(buf, n, &read));                        \
    assert_int_equal(loyalty_##kind##_encode(same, n, &read), n);             \
    assert_memory_equal(same, buf, n);                                        \
                                                                              \
    /* another tag */                                                         \
                                                                              \
    for (i = 0; i < 19; i++) {                                                \
        buf[i] ^= 1;                                                          \
        assert_int_equal(loyalty_##kind##_decode(buf, n, &read), -1);         \
        buf[i] ^= 1;                                                          \
    }                                                                         \
                                                                              \
    return 0;                                                                 \
}

codec(manifest, loyalty_manifest_t)
codec(entry, loyalty_entry_t)
codec(playrec, loyalty_playrec_t)
codec(close, loyalty_close_t)
codec(tree_head, loyalty_tree_head_t)
codec(dq, loyalty_dq_t)


#define refused(kind, fields, change)                                         \
    do {                                                                      \
        changed = fields;                                                     \
        change;                                                               \
        assert_int_equal(check_##kind(&changed), -1);                         \
    } while (0)

#define accepted(kind, fields, change)                                        \
    do {                                                                      \
        changed = fields;                                                     \
        change;                                                               \
        assert_ok(check_##kind(&changed));                                    \
    } while (0)


static void sweepstakes(loyalty_manifest_t *m);
static void instant_win(loyalty_manifest_t *m);
static void odds_play(loyalty_playrec_t *rec);
static void moment_play(loyalty_playrec_t *rec);
static size_t evidence(unsigned char *dst, const char *names, size_t size);


static void
sweepstakes(loyalty_manifest_t *m)
{
    memset(m, 0, sizeof(loyalty_manifest_t));
    memset(m->cid, 1, LOYALTY_CID);
    m->version = 1;
    m->kind = LOYALTY_SWEEPSTAKES;
    m->open = OPEN;
    m->close = CLOSE;
    memset(m->terms, 2, LOYALTY_HASH);
    memset(m->prizes, 3, LOYALTY_HASH);
    memset(m->chain, 4, LOYALTY_HASH);
    m->round = 14517013;
    memset(m->seed_commit, 5, LOYALTY_HASH);
    memset(m->kp_commit, 6, LOYALTY_HASH);
    m->winners = 2;
    m->alternates = 3;
    m->flags = LOYALTY_FRESH;
}


static void
instant_win(loyalty_manifest_t *m)
{
    sweepstakes(m);

    m->kind = LOYALTY_INSTANT_WIN;
    m->mode = LOYALTY_MODE_DECK;
    m->length = 60000;
    m->epochs = 1440;
    m->round = 0;
    memset(m->seed_commit, 0, LOYALTY_HASH);
    memset(m->anchor, 7, LOYALTY_HASH);
    m->winners = 0;
    m->alternates = 0;
    m->flags = LOYALTY_MAY_DEGRADE;
}


static void
test_manifest_sweepstakes(void **state)
{
    loyalty_manifest_t  good, changed;

    sweepstakes(&good);
    assert_ok(check_manifest(&good));

    accepted(manifest, good, (changed.version = 2,
                              changed.prev_mh[31] = 1));
    accepted(manifest, good, changed.rules[0] = 1);
    accepted(manifest, good, memset(changed.seed_commit, 0, LOYALTY_HASH));
    accepted(manifest, good, changed.winners = LOYALTY_POSITIONS_MAX - 3);
    accepted(manifest, good, changed.alternates = 0);

    refused(manifest, good, changed.version = 0);
    refused(manifest, good, changed.version = 2);
    refused(manifest, good, changed.prev_mh[0] = 1);
    refused(manifest, good, changed.kind = 0);
    refused(manifest, good, changed.kind = 3);
    refused(manifest, good, changed.mode = LOYALTY_MODE_ODDS);
    refused(manifest, good, changed.close = changed.open);
    refused(manifest, good, changed.close = LOYALTY_INSTANT_MAX);
    refused(manifest, good, changed.length = 1);
    refused(manifest, good, changed.epochs = 1);
    refused(manifest, good, changed.round = 0);
    refused(manifest, good, changed.round = LOYALTY_INSTANT_MAX);
    refused(manifest, good, changed.anchor[5] = 1);
    refused(manifest, good, changed.winners = 0);
    refused(manifest, good, changed.winners = LOYALTY_POSITIONS_MAX - 2);
    refused(manifest, good, changed.alternates = UINT32_MAX);
    refused(manifest, good, changed.flags = 4);

    /* no beacon: a seed, no round, no fresh alternates */

    memset(good.chain, 0, LOYALTY_HASH);
    good.round = 0;
    good.flags = 0;
    assert_ok(check_manifest(&good));

    refused(manifest, good, changed.round = 1);
    refused(manifest, good, changed.flags = LOYALTY_FRESH);
    refused(manifest, good, memset(changed.seed_commit, 0, LOYALTY_HASH));
}


static void
test_manifest_instant_win(void **state)
{
    loyalty_manifest_t  good, changed;

    instant_win(&good);
    assert_ok(check_manifest(&good));

    accepted(manifest, good, memset(changed.chain, 0, LOYALTY_HASH));
    accepted(manifest, good, changed.mode = LOYALTY_MODE_ODDS);
    accepted(manifest, good, changed.mode = LOYALTY_MODE_MOMENTS);
    accepted(manifest, good, (changed.close++, changed.epochs++));
    accepted(manifest, good, changed.close--);
    accepted(manifest, good, (changed.length *= 60, changed.epochs /= 60));

    refused(manifest, good, changed.mode = LOYALTY_MODE_NONE);
    refused(manifest, good, changed.mode = 4);
    refused(manifest, good, changed.length = 0);
    refused(manifest, good, changed.epochs++);
    refused(manifest, good, changed.epochs = 0);
    refused(manifest, good, changed.close++);
    refused(manifest, good, changed.close -= 60000);
    refused(manifest, good, (changed.length = 1,
                             changed.epochs = 86400000));
    refused(manifest, good, changed.round = 1);
    refused(manifest, good, changed.seed_commit[0] = 1);
    refused(manifest, good, memset(changed.anchor, 0, LOYALTY_HASH));
    refused(manifest, good, changed.winners = 1);
    refused(manifest, good, changed.alternates = 1);
    refused(manifest, good, changed.flags = LOYALTY_FRESH);
}


static void
test_entry(void **state)
{
    loyalty_entry_t  good, changed;

    memset(&good, 1, sizeof(good));
    good.seq = 5;
    good.t = OPEN;
    good.first = 40;
    good.tickets = 3;
    good.method = LOYALTY_IMPORT;
    good.flags = 0;

    assert_ok(check_entry(&good));

    accepted(entry, good, (changed.flags = LOYALTY_VOID,
                           memset(changed.commit, 0, LOYALTY_HASH)));
    accepted(entry, good, changed.first = LOYALTY_TICKETS_MAX - 4);

    refused(entry, good, changed.flags = LOYALTY_VOID);
    refused(entry, good, memset(changed.commit, 0, LOYALTY_HASH));
    refused(entry, good, changed.flags = 2);
    refused(entry, good, changed.tickets = 0);
    refused(entry, good, changed.first = LOYALTY_TICKETS_MAX - 3);
    refused(entry, good, changed.first = UINT64_MAX);
    refused(entry, good, changed.method = 0);
    refused(entry, good, changed.method = 5);
    refused(entry, good, changed.seq = LOYALTY_INSTANT_MAX);
    refused(entry, good, changed.t = LOYALTY_INSTANT_MAX);
}


static void
odds_play(loyalty_playrec_t *rec)
{
    memset(rec, 1, sizeof(loyalty_playrec_t));
    rec->seq = 5;
    rec->t = OPEN;
    rec->e = 1;
    rec->round = 14517013;
    rec->idx = 0;
    rec->ctr = 0;
    rec->mode = LOYALTY_MODE_ODDS;
    rec->n = 300;
    rec->r = 299;
    rec->tier = 2;
    rec->serial = 7;
    rec->status = LOYALTY_WIN;
}


static void
moment_play(loyalty_playrec_t *rec)
{
    odds_play(rec);
    rec->mode = LOYALTY_MODE_MOMENTS;
    rec->round = 0;
    rec->n = 1;
    rec->r = 9;
    memset(rec->u, 0, LOYALTY_HASH);
}


static void
test_playrec(void **state)
{
    loyalty_playrec_t  good, changed;

    odds_play(&good);
    assert_ok(check_playrec(&good));

    accepted(playrec, good, changed.mode = LOYALTY_MODE_DECK);
    accepted(playrec, good, changed.status |= LOYALTY_DEGRADED);
    accepted(playrec, good, changed.serial = LOYALTY_NO_SERIAL);
    accepted(playrec, good, (changed.round = 0, changed.tier = 0));
    accepted(playrec, good, (changed.status = LOYALTY_LOSE,
                             changed.tier = LOYALTY_NO_TIER,
                             changed.serial = LOYALTY_NO_SERIAL));
    accepted(playrec, good, (changed.status = LOYALTY_TIER_EMPTY,
                             changed.serial = LOYALTY_NO_SERIAL));
    accepted(playrec, good, (changed.status = LOYALTY_WINS_REACHED
                                              + LOYALTY_DEGRADED,
                             changed.serial = LOYALTY_NO_SERIAL));

    refused(playrec, good, changed.mode = LOYALTY_MODE_NONE);
    refused(playrec, good, changed.mode = 4);
    refused(playrec, good, changed.r = 300);
    refused(playrec, good, changed.n = 0);
    refused(playrec, good, changed.n = LOYALTY_DECK_MAX);
    refused(playrec, good, changed.e = 0);
    refused(playrec, good, changed.seq = LOYALTY_INSTANT_MAX);
    refused(playrec, good, changed.t = LOYALTY_INSTANT_MAX);
    refused(playrec, good, changed.round = LOYALTY_INSTANT_MAX);
    refused(playrec, good, changed.tier = LOYALTY_NO_TIER);
    refused(playrec, good, changed.status = LOYALTY_LOSE);
    refused(playrec, good, changed.status = LOYALTY_TIER_EMPTY);
    refused(playrec, good, changed.status = LOYALTY_WINS_REACHED);
    refused(playrec, good, changed.status = 4);
    refused(playrec, good, changed.status |= 0x200);
    refused(playrec, good, (changed.status = LOYALTY_TIER_EMPTY,
                            changed.serial = LOYALTY_NO_SERIAL,
                            changed.mode = LOYALTY_MODE_DECK));
}


static void
test_playrec_moments(void **state)
{
    loyalty_playrec_t  good, changed;

    moment_play(&good);
    assert_ok(check_playrec(&good));

    accepted(playrec, good, (changed.n = 0, changed.r = LOYALTY_NO_DRAW,
                             changed.status = LOYALTY_LOSE,
                             changed.tier = LOYALTY_NO_TIER,
                             changed.serial = LOYALTY_NO_SERIAL));
    accepted(playrec, good, (changed.status = LOYALTY_WINS_REACHED,
                             changed.serial = LOYALTY_NO_SERIAL));

    refused(playrec, good, changed.n = 0);
    refused(playrec, good, changed.r = LOYALTY_NO_DRAW);
    refused(playrec, good, changed.round = 1);
    refused(playrec, good, changed.idx = 1);
    refused(playrec, good, changed.ctr = 1);
    refused(playrec, good, changed.u[0] = 1);
    refused(playrec, good, changed.status |= LOYALTY_DEGRADED);
    refused(playrec, good, (changed.status = LOYALTY_LOSE,
                            changed.tier = LOYALTY_NO_TIER,
                            changed.serial = LOYALTY_NO_SERIAL));
    refused(playrec, good, (changed.n = 0, changed.r = 0,
                            changed.status = LOYALTY_LOSE,
                            changed.tier = LOYALTY_NO_TIER,
                            changed.serial = LOYALTY_NO_SERIAL));
}


static void
test_close_and_head(void **state)
{
    loyalty_close_t  close;
    unsigned char    buf[LOYALTY_CLOSE_LEN];

    memset(&close, 1, sizeof(close));
    close.entries = 11;
    close.tickets = 30;
    close.t = CLOSE;

    {
        loyalty_close_t  changed;

        assert_ok(check_close(&close));
        accepted(close, close, changed.entries = changed.tickets = 0);
        refused(close, close, changed.tickets = LOYALTY_TICKETS_MAX);
        refused(close, close, changed.entries = LOYALTY_INSTANT_MAX);
        refused(close, close, changed.t = LOYALTY_INSTANT_MAX);
        refused(close, close, changed.tickets = 0);
        refused(close, close, changed.entries = 0);
    }

    {
        loyalty_tree_head_t  head, changed;

        memset(&head, 1, sizeof(head));
        head.size = 0;
        head.t = OPEN;

        assert_ok(check_tree_head(&head));
        refused(tree_head, head, changed.size = LOYALTY_INSTANT_MAX);
        refused(tree_head, head, changed.t = LOYALTY_INSTANT_MAX);

        assert_int_equal(loyalty_tree_head_encode(buf, sizeof(buf), &head),
                         LOYALTY_HEAD_LEN);
        assert_hex(buf, 21, "6e67696e782d6c6f79616c74792f312068656164" "00");
    }
}


static void
test_dq(void **state)
{
    loyalty_dq_t   good, changed;
    unsigned char  actor[256];

    memset(&good, 1, sizeof(good));
    memset(actor, 'a', sizeof(actor));
    good.k = 1;
    good.t = CLOSE;
    good.seq = 4;
    good.reason = LOYALTY_EXCLUDED;
    good.actor = actor;
    good.len = 3;

    assert_ok(check_dq(&good));
    accepted(dq, good, changed.len = LOYALTY_ACTOR_MAX);
    accepted(dq, good, changed.position = UINT32_MAX);

    refused(dq, good, changed.len = 0);
    refused(dq, good, changed.len = LOYALTY_ACTOR_MAX + 1);
    refused(dq, good, changed.k = 0);
    refused(dq, good, changed.reason = 0);
    refused(dq, good, changed.reason = 7);
    refused(dq, good, changed.t = LOYALTY_INSTANT_MAX);
    refused(dq, good, changed.seq = LOYALTY_INSTANT_MAX);
}


/* files named by letters, the hash of each is its name */

static size_t
evidence(unsigned char *dst, const char *names, size_t size)
{
    size_t          i, n;
    unsigned char   cid[LOYALTY_CID];
    loyalty_file_t  files[8];

    memset(cid, 9, sizeof(cid));
    n = strlen(names);

    for (i = 0; i < n; i++) {
        files[i].name = (const unsigned char *) names + i;
        files[i].len = 1;
        memset(files[i].hash, names[i], LOYALTY_HASH);
    }

    assert_int_equal(loyalty_evidence_len(files, n),
                     LOYALTY_EVIDENCE_MIN + n * 37);

    return loyalty_evidence_encode(dst, size, cid, CLOSE, files, n);
}


static void
test_evidence(void **state)
{
    size_t              i, n;
    unsigned char       buf[512];
    loyalty_file_t      file;
    loyalty_evidence_t  e;

    n = evidence(buf, "abd", sizeof(buf));
    assert_int_equal(n, LOYALTY_EVIDENCE_MIN + 3 * 37);
    assert_int_equal(evidence(buf, "abd", n - 1), 0);

    assert_ok(loyalty_evidence_decode(buf, n, &e));
    assert_int_equal(e.count, 3);
    assert_int_equal(e.t, CLOSE);
    assert_int_equal(e.cid[15], 9);

    for (i = 0; i < 3; i++) {
        loyalty_evidence_next(&e, &file);
        assert_int_equal(file.len, 1);
        assert_int_equal(file.name[0], "abd"[i]);
        assert_int_equal(file.hash[31], "abd"[i]);
    }

    for (i = 0; i < n; i++) {
        assert_int_equal(loyalty_evidence_decode(buf, i, &e), -1);
    }

    assert_int_equal(loyalty_evidence_decode(buf, n + 1, &e), -1);

    /* order, both ways */

    assert_int_equal(evidence(buf + n, "ab" "a", sizeof(buf) - n), 0);
    assert_int_equal(evidence(buf + n, "aa", sizeof(buf) - n), 0);

    buf[LOYALTY_EVIDENCE_MIN + 4] = 'b';
    assert_int_equal(loyalty_evidence_decode(buf, n, &e), -1);
    buf[LOYALTY_EVIDENCE_MIN + 4] = 'c';
    assert_int_equal(loyalty_evidence_decode(buf, n, &e), -1);

    n = evidence(buf, "", sizeof(buf));
    assert_int_equal(n, LOYALTY_EVIDENCE_MIN);
    assert_ok(loyalty_evidence_decode(buf, n, &e));
    assert_int_equal(e.count, 0);

    /* more files than there are bytes */

    buf[n - 2] = 0xff;
    assert_int_equal(loyalty_evidence_decode(buf, n, &e), -1);
}


/* a name that begins another comes before it */

static void
test_evidence_names(void **state)
{
    unsigned char   buf[512], cid[LOYALTY_CID], name[256];
    loyalty_file_t  files[2];

    memset(cid, 0, sizeof(cid));
    memset(files, 0, sizeof(files));
    memset(name, 'n', sizeof(name));

    files[0].name = files[1].name = name;
    files[0].len = 3;
    files[1].len = 4;
    assert_int_not_equal(loyalty_evidence_encode(buf, sizeof(buf), cid, 1,
                                                 files, 2), 0);
    files[0].len = 4;
    assert_int_equal(loyalty_evidence_encode(buf, sizeof(buf), cid, 1,
                                             files, 2), 0);
    files[0].len = 5;
    assert_int_equal(loyalty_evidence_encode(buf, sizeof(buf), cid, 1,
                                             files, 2), 0);
    files[0].len = 0;
    assert_int_equal(loyalty_evidence_encode(buf, sizeof(buf), cid, 1,
                                             files, 1), 0);
    files[0].len = 256;
    assert_int_equal(loyalty_evidence_encode(buf, sizeof(buf), cid, 1,
                                             files, 1), 0);
    files[0].len = 255;
    assert_int_not_equal(loyalty_evidence_encode(buf, sizeof(buf), cid, 1,
                                                 files, 1), 0);
    assert_int_equal(loyalty_evidence_encode(buf, sizeof(buf), cid,
                                             LOYALTY_INSTANT_MAX, files, 1),
                     0);
}


/* what cannot be written is not read, either */

#define poked(kind, type, n, at, value)                                       \
    do {                                                                      \
        type           read;                                                  \
        unsigned char  was;                                                   \
                                                                              \
        was = buf[at];                                                        \
        assert_ok(loyalty_##kind##_decode(buf, n, &read));                    \
        buf[at] = value;                                                      \
        assert_int_equal(loyalty_##kind##_decode(buf, n, &read), -1);         \
        buf[at] = was;                                                        \
    } while (0)


static void
test_read_fields(void **state)
{
    loyalty_dq_t         dq;
    unsigned char        buf[512];
    loyalty_entry_t      entry;
    loyalty_close_t      close;
    loyalty_playrec_t    rec;
    loyalty_manifest_t   m;
    loyalty_tree_head_t  head;

    sweepstakes(&m);
    loyalty_manifest_encode(buf, sizeof(buf), &m);
    poked(manifest, loyalty_manifest_t, LOYALTY_MANIFEST_LEN, 44, 0);
    poked(manifest, loyalty_manifest_t, LOYALTY_MANIFEST_LEN, 77, 3);
    poked(manifest, loyalty_manifest_t, LOYALTY_MANIFEST_LEN, 343, 4);

    memset(&entry, 1, sizeof(entry));
    entry.seq = entry.t = entry.first = entry.flags = 0;
    loyalty_entry_encode(buf, sizeof(buf), &entry);
    poked(entry, loyalty_entry_t, LOYALTY_ENTRY_LEN, 130, 5);
    poked(entry, loyalty_entry_t, LOYALTY_ENTRY_LEN, 131, 1);

    odds_play(&rec);
    loyalty_playrec_encode(buf, sizeof(buf), &rec);
    poked(playrec, loyalty_playrec_t, LOYALTY_PLAYREC_LEN, 156, 0);
    poked(playrec, loyalty_playrec_t, LOYALTY_PLAYREC_LEN, 40, 0x80);

    memset(&close, 0, sizeof(close));
    loyalty_close_encode(buf, sizeof(buf), &close);
    poked(close, loyalty_close_t, LOYALTY_CLOSE_LEN, 61, 1);

    memset(&head, 0, sizeof(head));
    loyalty_tree_head_encode(buf, sizeof(buf), &head);
    poked(tree_head, loyalty_tree_head_t, LOYALTY_HEAD_LEN, 53, 1);

    memset(&dq, 0, sizeof(dq));
    dq.k = dq.reason = 1;
    dq.actor = (const unsigned char *) "a";
    dq.len = 1;
    loyalty_dq_encode(buf, sizeof(buf), &dq);
    poked(dq, loyalty_dq_t, LOYALTY_DQ_MIN + 1, 38, 0);
    poked(dq, loyalty_dq_t, LOYALTY_DQ_MIN + 1, 92, 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_manifest_sweepstakes),
        cmocka_unit_test(test_manifest_instant_win),
        cmocka_unit_test(test_entry),
        cmocka_unit_test(test_playrec),
        cmocka_unit_test(test_playrec_moments),
        cmocka_unit_test(test_close_and_head),
        cmocka_unit_test(test_dq),
        cmocka_unit_test(test_evidence),
        cmocka_unit_test(test_evidence_names),
        cmocka_unit_test(test_read_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
