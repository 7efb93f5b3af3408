/*
 * Sweepstakes from the first commitment to the last alternate: vectors A, B
 * and C of the protocol.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "draw.h"
#include "loyalty_merkle.h"
#include "loyalty_note.h"


#define ENTRIES  11

#define SIGNATURE                                                             \
    "83236a954108c9de257b6a10c838f3e3f215eb3bd25c2261f42b4a6204d6b00a"        \
    "3f216b8d88dcd7947cba97d39f2e16c5"
#define B_R                                                                   \
    "97d920a0817f74b4dbff89a721faeda4ea307bc5d8890ebb833700ea68b2d106"


typedef struct {
    uint32_t          position;
    uint32_t          attempt;
    uint64_t          ticket;
    uint64_t          seq;
} pick_t;


typedef struct {
    const char       *mh;
    const char       *root;
    const char       *draw_key;
    const char       *alt_key;          /* NULL: none */
    pick_t            picks[5];
    pick_t            alternate;
    uint64_t          round;
    int               beacon;
    int               seed;
    int               voided;
} vector_t;


typedef struct {
    unsigned char     master[LOYALTY_HASH];
    unsigned char     salt[LOYALTY_SALT];
    unsigned char     cid[LOYALTY_CID];
    unsigned char     kp[LOYALTY_HASH];
    unsigned char     seed[LOYALTY_HASH];
    unsigned char     mh[LOYALTY_HASH];
    unsigned char     root[LOYALTY_HASH];
    unsigned char     chain[LOYALTY_HASH];
    unsigned char     b[LOYALTY_HASH];
    loyalty_hmac_t    kp_key;
    loyalty_entry_t   entries[ENTRIES];
    unsigned char     records[ENTRIES][LOYALTY_ENTRY_LEN];
    unsigned char     leaves[ENTRIES][LOYALTY_HASH];
    uint64_t          n;
    uint64_t          tickets;
    unsigned char     manifest[LOYALTY_MANIFEST_LEN];
} campaign_t;


static const vector_t  vector_a = {
    "7ab3eb2460b3e34e1297170f2d22da1192561ec6dd00406ade49356c4c3e11d6",
    "c87ad73fa325bc03bb3094396b792ef3c4facca58001cf387a7feb283ab9e8ac",
    "e84b13cc5d66c64d99cee87ee6d55637410f16bbc7378ecaa33336515d1c4e65",
    "0f66df0faa7bc826d857e68aa85c296c40b1c8ebcc2071adc717a0e06376ec38",
    { { 0, 0, 6, 2 }, { 1, 0, 13, 4 }, { 2, 0, 18, 7 }, { 3, 1, 2, 1 },
      { 4, 5, 16, 6 } },
    { 1, 34, 15, 5 },
    14517013, 1, 1, 1
};

static const vector_t  vector_b = {
    "37af6330f4f1c6505edfc2758b3a5ddf370fcba35fc07b4144551efb1845907d",
    "c87ad73fa325bc03bb3094396b792ef3c4facca58001cf387a7feb283ab9e8ac",
    "64811e2e3f884714996ff33eb97c0c39632353236d3e1aa7e205ec9f49263d74",
    "7d2cac4e246d2cbc0e6d6031ea2013463f3c02e4983a4afb822f1151e1a60f57",
    { { 0, 0, 18, 7 }, { 1, 4, 25, 8 }, { 2, 2, 3, 2 }, { 3, 0, 16, 6 },
      { 4, 13, 15, 5 } },
    { 1, 32, 13, 4 },
    14517013, 1, 0, 1
};

static const vector_t  vector_c = {
    "34a17db6a29375a6f408452e19810a508c5545cfc2d721ef4de4630c5c9852fc",
    "4ef6d7aa7d590e7acd7a3e3b1d61b1952c6d7e51a2af50f7391d75993ae52283",
    "371eb913fa5aafbd2ab5e5ff8d90fe4bd8ccd5c328126278c06050875b0ffc8e",
    NULL,
    { { 0, 0, 14, 4 }, { 1, 0, 26, 8 }, { 2, 0, 16, 6 }, { 3, 1, 3, 2 },
      { 4, 2, 12, 3 } },
    { 0, 0, 0, 0 },
    0, 0, 1, 0
};


static void open_campaign(campaign_t *c, const vector_t *v);
static void write_manifest(campaign_t *c, const vector_t *v);
static void enter(campaign_t *c);
static void void_entry(campaign_t *c, uint64_t seq);
static void add_record(campaign_t *c);
static const loyalty_entry_t *owner(const campaign_t *c, uint64_t ticket,
    int *voided);
static uint64_t persons(const campaign_t *c);
static int draw_one(const campaign_t *c, loyalty_winners_t *w,
    uint64_t *seq);
static void draw(campaign_t *c, const vector_t *v);
static void disqualify(campaign_t *c, const vector_t *v,
    loyalty_winners_t *w, const unsigned char *draw_key);


static void
open_campaign(campaign_t *c, const vector_t *v)
{
    unsigned char  signature[48];

    memset(c, 0, sizeof(campaign_t));

    vector_master(c->master);
    vector_salt(c->salt);

    assert_ok(loyalty_cid(c->cid, "shop", 4, "spring", 6, OPEN));
    assert_ok(loyalty_kp(c->kp, c->master, c->cid, c->salt));
    assert_ok(loyalty_hmac_key(&c->kp_key, c->kp, LOYALTY_HASH));

    if (v->seed) {
        assert_ok(loyalty_seed(c->seed, c->master, c->cid, 1));
    }

    if (v->beacon) {
        from_hex(c->chain, LOYALTY_HASH, LOYALTY_QUICKNET);
        from_hex(signature, sizeof(signature), SIGNATURE);
        assert_ok(loyalty_randomness(c->b, signature, sizeof(signature)));
        assert_hex(c->b, LOYALTY_HASH, B_R);
    }

    write_manifest(c, v);
    enter(c);

    if (v->voided) {
        void_entry(c, 3);
    }
}


static void
write_manifest(campaign_t *c, const vector_t *v)
{
    size_t              n;
    unsigned char       buf[256];
    loyalty_manifest_t  m;

    static const loyalty_prize_t  trip = {
        (const unsigned char *) "trip", 4, 2, 0, 0
    };

    memset(&m, 0, sizeof(m));
    memcpy(m.cid, c->cid, LOYALTY_CID);
    m.version = 1;
    m.kind = LOYALTY_SWEEPSTAKES;
    m.open = OPEN;
    m.close = CLOSE;

    sha_text(m.rules, "rules bytes");
    sha_text(m.terms, "terms bytes");

    n = loyalty_prizes_encode(buf, sizeof(buf), &trip, 1);
    assert_int_equal(n, loyalty_prizes_len(&trip, 1));
    assert_ok(loyalty_sha(m.prizes, buf, n));

    memcpy(m.chain, c->chain, LOYALTY_HASH);
    m.round = v->beacon ? loyalty_round_close(CLOSE) : 0;
    assert_int_equal(m.round, v->round);

    assert_ok(loyalty_seed_commit(m.seed_commit, c->cid, 1, c->seed));
    assert_ok(loyalty_kp_commit(m.kp_commit, c->cid, c->kp));
    m.winners = 2;
    m.alternates = 3;

    n = loyalty_manifest_encode(c->manifest, sizeof(c->manifest), &m);
    assert_int_equal(n, LOYALTY_MANIFEST_LEN);
    assert_ok(loyalty_sha(c->mh, c->manifest, n));
    assert_hex(c->mh, LOYALTY_HASH, v->mh);
}


static void
enter(campaign_t *c)
{
    char              member[32], event[32];
    unsigned          i;
    unsigned char     hash[LOYALTY_HASH];
    loyalty_entry_t  *entry;

    for (i = 0; i < 10; i++) {
        entry = &c->entries[c->n];
        memset(entry, 0, sizeof(loyalty_entry_t));

        memcpy(entry->cid, c->cid, LOYALTY_CID);
        entry->seq = i;
        entry->t = OPEN + 1000 * i;
        entry->first = c->tickets;
        entry->tickets = 1 + i * i % 5;
        entry->method = (uint8_t) (1 + i % 2);

        snprintf(member, sizeof(member), "member-%u", i % 7);
        snprintf(event, sizeof(event), "event-%u", i);
        sha_numbered(hash, "entry salt", i, 4);

        assert_ok(loyalty_person(entry->person, &c->kp_key, c->cid, member,
                                 strlen(member)));
        assert_ok(loyalty_entry_commit(entry->commit, hash, member,
                                       strlen(member), event,
                                       strlen(event)));
        c->tickets += entry->tickets;
        add_record(c);
    }
}


static void
void_entry(campaign_t *c, uint64_t seq)
{
    loyalty_entry_t  *entry;

    entry = &c->entries[c->n];

    *entry = c->entries[seq];
    entry->seq = c->n;
    entry->t = OPEN + 1000 * c->n;
    entry->flags = LOYALTY_VOID;
    memset(entry->commit, 0, LOYALTY_HASH);

    add_record(c);
}


static void
add_record(campaign_t *c)
{
    assert_int_equal(loyalty_entry_encode(c->records[c->n],
                                          LOYALTY_ENTRY_LEN,
                                          &c->entries[c->n]),
                     LOYALTY_ENTRY_LEN);
    assert_ok(loyalty_merkle_leaf(c->leaves[c->n], c->records[c->n],
                                  LOYALTY_ENTRY_LEN));
    c->n++;
}


static const loyalty_entry_t *
owner(const campaign_t *c, uint64_t ticket, int *voided)
{
    uint64_t                i;
    const loyalty_entry_t  *entry, *found;

    found = NULL;
    *voided = 0;

    for (i = 0; i < c->n; i++) {
        entry = &c->entries[i];

        if (ticket < entry->first || ticket - entry->first >= entry->tickets)
        {
            continue;
        }

        if (entry->flags & LOYALTY_VOID) {
            *voided = 1;

        } else {
            found = entry;
        }
    }

    return found;
}


/* members 0 to 6, and who has nothing but the voided entry is not one */

static uint64_t
persons(const campaign_t *c)
{
    return c->n == ENTRIES ? 6 : 7;
}


static int
draw_one(const campaign_t *c, loyalty_winners_t *w, uint64_t *seq)
{
    int                     rc, voided;
    const loyalty_entry_t  *entry;

    for ( ;; ) {
        rc = loyalty_winners_next(w);

        if (rc != LOYALTY_WAITING) {
            return rc;
        }

        entry = owner(c, w->ticket, &voided);
        rc = loyalty_winners_owner(w, entry->person, voided);

        if (rc != LOYALTY_WAITING) {
            *seq = entry->seq;
            return rc;
        }
    }
}


static void
draw(campaign_t *c, const vector_t *v)
{
    size_t             i;
    uint64_t           seq;
    uint32_t           index[16];
    unsigned char      key[LOYALTY_HASH], chosen[8][LOYALTY_HASH];
    loyalty_hmac_t     ready;
    loyalty_merkle_t   tree;
    loyalty_winners_t  w;

    loyalty_merkle_init(&tree);

    for (i = 0; i < c->n; i++) {
        assert_ok(loyalty_merkle_append(&tree, c->leaves[i]));
    }

    assert_ok(loyalty_merkle_root(&tree, c->root));
    assert_hex(c->root, LOYALTY_HASH, v->root);
    assert_int_equal(c->n, v->voided ? 11 : 10);
    assert_int_equal(c->tickets, 30);

    assert_ok(loyalty_draw_key(key, c->mh, c->root, c->n, c->tickets,
                               c->chain, v->round, c->b, c->seed));
    assert_hex(key, LOYALTY_HASH, v->draw_key);
    assert_ok(loyalty_hmac_key(&ready, key, LOYALTY_HASH));

    assert_int_equal(loyalty_winners_index(8), 16);
    assert_ok(loyalty_winners_init(&w, chosen, index, 8, c->tickets,
                                   persons(c)));
    assert_ok(loyalty_winners_range(&w, &ready, "pick", 0, 5));

    for (i = 0; i < 5; i++) {
        assert_ok(draw_one(c, &w, &seq));
        assert_int_equal(w.position, v->picks[i].position);
        assert_int_equal(w.attempt, v->picks[i].attempt);
        assert_int_equal(w.ticket, v->picks[i].ticket);
        assert_int_equal(seq, v->picks[i].seq);
    }

    assert_int_equal(draw_one(c, &w, &seq), LOYALTY_DONE);

    if (v->alt_key != NULL) {
        disqualify(c, v, &w, key);
    }
}


static void
disqualify(campaign_t *c, const vector_t *v, loyalty_winners_t *w,
    const unsigned char *draw_key)
{
    size_t          n;
    uint64_t        seq, round;
    loyalty_dq_t    dq;
    unsigned char   record[LOYALTY_DQ_MAX], leaf[LOYALTY_HASH];
    unsigned char   b[LOYALTY_HASH], key[LOYALTY_HASH];
    loyalty_hmac_t  ready;

    memset(&dq, 0, sizeof(dq));
    memcpy(dq.cid, c->cid, LOYALTY_CID);
    dq.k = 1;
    dq.t = CLOSE + 2 * 3600 * 1000;
    dq.position = 0;
    dq.seq = v->picks[0].seq;
    memcpy(dq.person, c->entries[dq.seq].person, LOYALTY_HASH);
    dq.reason = LOYALTY_UNCLAIMED;
    dq.actor = (const unsigned char *) "ops";
    dq.len = 3;
    sha_text(dq.evidence, "evidence");

    n = loyalty_dq_encode(record, sizeof(record), &dq);
    assert_int_equal(n, LOYALTY_DQ_MIN + 3);

    if (v == &vector_a) {
        assert_hex(record, n,
                   "6e67696e782d6c6f79616c74792f312064710014882ecf8eb28aca4d7e"
                   "faf7a8eb5c7d0000000100000194471becc00000000000000000000000"
                   "02c47f967ad84cb3c01a787bcbf4e32dd4f7093b85e7867a2248cd2a3b"
                   "e219ca4a0003000000036f7073ee8250fb76e094b34b471f13a73dbbe5"
                   "1d1ae142e9df59d7c0d31ec20f0a0a8e");
    }

    assert_ok(loyalty_merkle_leaf(leaf, record, n));

    round = loyalty_round_dq(dq.t);
    assert_int_equal(round, 14518833);
    sha_text(b, "placeholder signature of R_1 (arithmetic only)");

    assert_ok(loyalty_alt_key(key, draw_key, 1, leaf, round, b));
    assert_hex(key, LOYALTY_HASH, v->alt_key);
    assert_ok(loyalty_hmac_key(&ready, key, LOYALTY_HASH));

    assert_ok(loyalty_winners_exclude(w, dq.person));
    assert_ok(loyalty_winners_range(w, &ready, "alt", 1, 2));
    assert_ok(draw_one(c, w, &seq));

    assert_int_equal(w->position, v->alternate.position);
    assert_int_equal(w->attempt, v->alternate.attempt);
    assert_int_equal(w->ticket, v->alternate.ticket);
    assert_int_equal(seq, v->alternate.seq);
}


static void
test_beacon_and_seed(void **state)
{
    campaign_t  c;

    open_campaign(&c, &vector_a);
    draw(&c, &vector_a);
}


static void
test_beacon_alone(void **state)
{
    campaign_t  c;

    open_campaign(&c, &vector_b);
    assert_true(loyalty_zero(c.seed, LOYALTY_HASH));
    draw(&c, &vector_b);
}


static void
test_seed_only(void **state)
{
    campaign_t  c;

    open_campaign(&c, &vector_c);
    draw(&c, &vector_c);
}


/* what vector A prints on the way to its picks */

static void
test_commitments(void **state)
{
    campaign_t          c;
    unsigned char       hash[LOYALTY_HASH];
    loyalty_manifest_t  m;

    open_campaign(&c, &vector_a);

    assert_hex(c.cid, LOYALTY_CID, "14882ecf8eb28aca4d7efaf7a8eb5c7d");
    assert_hex(c.kp, LOYALTY_HASH,
               "651a3523db09fcda077f4e54faa9176d"
               "604ffd6f1775354b2dd82de732f37a67");
    assert_ok(loyalty_kp_commit(hash, c.cid, c.kp));
    assert_hex(hash, LOYALTY_HASH,
               "e2c5d51cf6c70764b70b703e663b82fe"
               "1f674e961933c8530d4c7475a21e7362");
    assert_hex(c.seed, LOYALTY_HASH,
               "bea542eb14be0ebec4eecf607936beef"
               "f3717e03bbb10a18897942c9ed84629e");
    assert_ok(loyalty_seed_commit(hash, c.cid, 1, c.seed));
    assert_hex(hash, LOYALTY_HASH,
               "152075fbd404807c0527522037a42e6d"
               "df5126c57705271c31bf6235efbd89b9");

    assert_ok(loyalty_seed_commit(hash, c.cid, 1, zeros));
    assert_true(loyalty_zero(hash, LOYALTY_HASH));

    assert_ok(loyalty_manifest_decode(c.manifest, LOYALTY_MANIFEST_LEN, &m));
    assert_hex(m.prizes, LOYALTY_HASH,
               "2dcc4c051e2a5a2c299c07a580c4716f"
               "b698b566361379646e35afa3614dc1b2");

    assert_hex(c.manifest, LOYALTY_MANIFEST_LEN,
               "6e67696e782d6c6f79616c74792f31206d616e69666573740014882ecf8eb2"
               "8aca4d7efaf7a8eb5c7d000000010000000000000000000000000000000000"
               "0000000000000000000000000000000100000001944187b3c00000019446ae"
               "0fc0000000000000000046bf8eb9cc1b8e48f4bb6e30f7f11850abc8d11af1"
               "8d28d3d71d61dca9c10ecc4b947607f9847eb69d9106d018c5139e5cbe4b87"
               "815adcdc4b0e5b1c67994a2c2dcc4c051e2a5a2c299c07a580c4716fb698b5"
               "66361379646e35afa3614dc1b252db9ba70e0cc0f6eaf7803dd07447a1f547"
               "7735fd3f661792ba94600c84e9710000000000dd8315152075fbd404807c05"
               "27522037a42e6ddf5126c57705271c31bf6235efbd89b9e2c5d51cf6c70764"
               "b70b703e663b82fe1f674e961933c8530d4c7475a21e736200000000000000"
               "00000000000000000000000000000000000000000000000000000000020000"
               "000300");
}


static void
test_records(void **state)
{
    size_t                   i, n;
    campaign_t               c;
    unsigned char            root[LOYALTY_HASH];
    unsigned char            proof[LOYALTY_MERKLE_PROOF][LOYALTY_HASH];
    loyalty_merkle_prover_t  prover;

    static const char       *path[] = {
        "23f0a70ae5ecfa31cbeb3d3f2f5c416601f1f7d0683f4b18c4c93ce36744feb3",
        "9e7fd70dfe4fde37fcb05c94abcc826f334571614f8f6d30cc637f7f380122d8",
        "aa557ce4bf8157b53eb914901cfe84f2aa54aee11c611d0734fca3bffee1c664",
        "9fb50a2c96c018988733fce4dc76d712c6a53946de02edfbbffa9f10af733ea2"
    };

    open_campaign(&c, &vector_a);

    assert_hex(c.records[0], LOYALTY_ENTRY_LEN,
               "6e67696e782d6c6f79616c74792f3120656e7472790014882ecf8eb28aca4d"
               "7efaf7a8eb5c7d0000000000000000000001944187b3c00000000000000000"
               "00000001d92e3316e587d3dae28357a7c4cac2564fb54d9aadcd2ee739e96d"
               "4564d425367d3789ee27ac8a96fe267683527de46d2d301fce1d5228328014"
               "b349b6b05a880100");
    assert_hex(c.leaves[0], LOYALTY_HASH,
               "ac7d63e3fbbb7d7ac9f28f8ead3553a8"
               "16a716c9bfd7c279ca9b4e2a7b773eb3");

    assert_ok(loyalty_merkle_prover_path(&prover, 3, c.n));

    for (i = 0; i < c.n; i++) {
        assert_ok(loyalty_merkle_prover_append(&prover, c.leaves[i]));
    }

    assert_ok(loyalty_merkle_prover_finish(&prover, proof, &n));
    assert_int_equal(n, 4);

    for (i = 0; i < n; i++) {
        assert_hex(proof[i], LOYALTY_HASH, path[i]);
    }

    from_hex(root, LOYALTY_HASH, vector_a.root);
    assert_ok(loyalty_merkle_verify_path(c.leaves[3], 3, c.n, root,
                               (const unsigned char (*)[LOYALTY_HASH]) proof,
                               n));
}


static void
test_close_note(void **state)
{
    size_t           n;
    campaign_t       c;
    unsigned char    statement[LOYALTY_CLOSE_LEN], note[512];
    loyalty_close_t  close;

    static const char  text[] =
        "nginx-loyalty/1 close\n"
        "bmdpbngtbG95YWx0eS8xIGNsb3NlAHqz6yRgs+NOEpcXDy0i2hGSVh7G3QBAat5J"
        "NWxMPhHWAAAAAAAAAAsAAAAAAAAAHsh61z+jJbwDuzCUOWt5LvPE+sylgAHPOHp/"
        "6yg6ueisAAABlEauE6g=\n";

    open_campaign(&c, &vector_a);
    draw(&c, &vector_a);

    memcpy(close.mh, c.mh, LOYALTY_HASH);
    close.entries = c.n;
    close.tickets = c.tickets;
    memcpy(close.root, c.root, LOYALTY_HASH);
    close.t = CLOSE + 1000;

    n = loyalty_close_encode(statement, sizeof(statement), &close);
    assert_int_equal(n, LOYALTY_CLOSE_LEN);

    n = loyalty_note_text(note, sizeof(note), LOYALTY_NOTE_CLOSE, statement,
                          n);
    assert_int_equal(n, sizeof(text) - 1);
    assert_memory_equal(note, text, n);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_beacon_and_seed),
        cmocka_unit_test(test_beacon_alone),
        cmocka_unit_test(test_seed_only),
        cmocka_unit_test(test_commitments),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_close_note),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
