/*
 * Instant wins from the chain to the log's root: vectors D, E, F and G of the
 * protocol, each play of them decided anew.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "draw.h"
#include "loyalty_chain.h"
#include "loyalty_merkle.h"
#include "loyalty_moments.h"


#define ROWS    4
#define PLAYS   1000
#define TRIES   16


typedef struct {
    const char         *game;
    int                 mode;
    int                 beacon;
    uint64_t            close;
    unsigned            plays;
    unsigned            members;
    unsigned            rows;
    loyalty_prize_t     prizes[ROWS];

    const char         *cid;            /* NULL: not printed */
    const char         *tip;
    const char         *anchor;
    const char         *prizes_hash;
    const char         *mh;
    const char         *k[2];           /* K_1, K_2 */
    const char         *u;              /* of play 1 */
    const char         *record;         /* 1 */
    const char         *first;          /* tiers of plays 0 … 19 */
    const char         *tiers;          /* H(all of them) */
    const char         *root;
    uint64_t            left[ROWS];
} vector_t;


typedef struct {
    const vector_t     *v;
    loyalty_epochs_t    epochs;
    loyalty_chain_t     chain;
    unsigned char       points[17 + 1][LOYALTY_HASH];
    unsigned char       cid[LOYALTY_CID];
    unsigned char       mh[LOYALTY_HASH];
    unsigned char       chain_hash[LOYALTY_HASH];
    unsigned char       k[17 + 1][LOYALTY_HASH];
    loyalty_hmac_t      kp;

    uint64_t            left[ROWS];
    uint64_t            awarded[ROWS];
    uint64_t            n;              /* common denominator */
    uint64_t            weights[ROWS];

    /* of each member: the last (e, R_p), and the plays under it */
    uint32_t            e[64];
    uint64_t            round[64];
    uint32_t            count[64];

    loyalty_merkle_t    log;
    unsigned char       records[PLAYS][LOYALTY_PLAYREC_LEN];
    unsigned char       tiers[PLAYS];
} game_t;


#define NAME(s)  (const unsigned char *) s, sizeof(s) - 1

static const vector_t  vector_d = {
    "scratch", LOYALTY_MODE_DECK, 1, OPEN + 1020000, 1000, 50, 4,
    { { NAME("car"), 1, 0, 0 }, { NAME("mug"), 5, 0, 0 },
      { NAME("coupon"), 94, 0, 0 }, { NAME(""), 900, 0, 0 } },
    "c2fd24333ac057630301cf6f70dea2a0",
    "9a085f0de9428cca0aad23145d3b7164ee4727704d6db79cab5826ebda68c138",
    "4c22078833bf2492e05a02cb7eb1865d28cc4605bb5d8d0b7a900d15ab193d9d",
    "a3ee9f0ebeaab497d20291fcc3ea01d10dabd8ab3c2a641b20c45924b633c8ac",
    "bdd7b0fc6a52dbdec578c77413a56891d7cc98fd1a12aeecc2e6ae24f48569a3",
    { "19b6bcf8f1b6e5a9ba9a24ff6eec00f4b93680b532ad1160a16c64e0eb08569e",
      "1be9e64879cd6f36b998a6a14077a41f4c0323c27210daede5b8cc98cb380963" },
    "6d99efbf10f656d4c809cfd33a39e3e21f6a1ff29f0eb4920e6c98b5a1d7c3ea",
    "6e67696e782d6c6f79616c74792f3120706c617972656300c2fd24333ac057630301"
    "cf6f70dea2a00000000000000001000001944187b7a8000000010000000000dd103a"
    "e7090fd120f9bf513faa5dfac45e5f1a9de431c6db558833395fbd39e06d954a41fc"
    "5b37fb7d0ab1979d92f952ac987200000000000000000200000000000003e7000000"
    "00000001ceffffffffffffffffffffffff000000006d99efbf10f656d4c809cfd33a"
    "39e3e21f6a1ff29f0eb4920e6c98b5a1d7c3ea",
    "- - - 2 - - - - - - - 2 - - - - - 1 - -",
    "00a18dbdfb9c73782be6d9ba0a433314722bccc0d3fa56d5d9ba23cca3f21e9b",
    "36d06b0f0ce4857f0d5b57d766f559bfd11a6677b1e6f769faa40023d11fcdf4",
    { 0, 0, 0, 0 }
};

static const vector_t  vector_e = {
    "wheel", LOYALTY_MODE_ODDS, 1, OPEN + 1020000, 600, 3, 3,
    { { NAME("car"), 1, 1, 100 }, { NAME("mug"), 5, 1, 20 },
      { NAME("coupon"), LOYALTY_UNLIMITED, 1, 6 } },
    "bd1d2728f5163e43e0befbc353dfca5d",
    "285c121bdc6348f1c0ba35532d7529c777989970b8a0d2e15f5899746f4a4716",
    "8daa60fe9d52095e87a588bb3331970ec742fd7db8cced1a62619a8cf70e2b12",
    "9140a3c62907ac59f87fd2c48666559426d9376597aae29ceee70a260e6f3f0d",
    "c8dddea54269e5f27de32afecad7f38dd4ea1a2bb812bf0936c1be3a44f10d97",
    { "eb10714820f8f3e8e129c3b06ea4843042c1ef905932f175d449e359ea6608da",
      "f85769751da630f24ec2570d28be8a6d82e7f61f3b506d7f80d3cb23b4fb14bf" },
    "a5567861abeadbf78f8be13eec3dc3ec5d201b9039075f2e9993e2fdfcfeb018",
    "6e67696e782d6c6f79616c74792f3120706c617972656300bd1d2728f5163e43e0be"
    "fbc353dfca5d0000000000000001000001944187b7a8000000010000000000dd103a"
    "2d1ffb526040587dba5edf0ec2280bceafa23b628ae910c6089df0cf517e71293646"
    "91895cefe2f7b9a3bf5430477ee0000000000000000001000000000000012c000000"
    "000000001200000002ffffffffffffffff00000001a5567861abeadbf78f8be13eec"
    "3dc3ec5d201b9039075f2e9993e2fdfcfeb018",
    "2 2 - - 2 - - 2 - - - - - - - - - - - -",
    "8c744b7e114bd68a6686b1c7fc09375968b3507d4e42aa8305ec952332d0431b",
    "782deae6b1b81ba4154d2a3b9823105421a910c7f18a55df3f5cec296a7e244c",
    { 0, 0, LOYALTY_UNLIMITED, 0 }
};

static const vector_t  vector_f = {
    "wheel", LOYALTY_MODE_ODDS, 0, OPEN + 1020000, 600, 3, 3,
    { { NAME("car"), 1, 1, 100 }, { NAME("mug"), 5, 1, 20 },
      { NAME("coupon"), LOYALTY_UNLIMITED, 1, 6 } },
    NULL, NULL, NULL, NULL, NULL,
    { "09ec4733dcad615b9e776b3ae6a74a9d6e91c73edd457a01f5d4998f4bbc578c",
      "46144038aee7668a010487ef4c84bd0ceeace01adb5e9ca3fc4f67dffe6b37b4" },
    NULL, NULL,
    "- - - - - - - - - - - 2 2 - - 2 - - 1 -",
    "7a70826c4cea29994b34faa53ec73c1d4687f96ff34f4256d1426799f4ad293d",
    "a5177d7898d8f6d4f34ac0bdb70f8b14691d535c688663f4d6930b3c13163070",
    { 0, 0, LOYALTY_UNLIMITED, 0 }
};

static const vector_t  vector_g = {
    "calendar", LOYALTY_MODE_MOMENTS, 1, OPEN + 1010000, 0, 0, 2,
    { { NAME("car"), 1, 0, 0 }, { NAME("mug"), 10, 0, 0 } },
    NULL, NULL, NULL, NULL, NULL,
    { "3ff8c0490b0076d80d947a73f8b4f8c039f18984daedd46b4e2327686fe0eafa",
      "ecd8a5870ee1160acb39bd093a622c885942798bbbe65d6247d75672f63ff5d1" },
    NULL, NULL, NULL, NULL, NULL,
    { 0, 0, 0, 0 }
};


static void open_game(game_t *g, const vector_t *v);
static void write_manifest(game_t *g, const unsigned char *kp);
static void open_epochs(game_t *g);
static void randomness(const game_t *g, uint64_t round, unsigned char *b);
static uint64_t known_round(const game_t *g, uint64_t t);
static void play(game_t *g, unsigned i);
static void sample(game_t *g, loyalty_playrec_t *rec);
static void take(game_t *g, loyalty_playrec_t *rec);
static void play_all(game_t *g);
static void first_tiers(const game_t *g);


static void
open_game(game_t *g, const vector_t *v)
{
    uint32_t        i;
    unsigned char   master[LOYALTY_HASH], salt[LOYALTY_SALT];
    unsigned char   kp[LOYALTY_HASH];

    memset(g, 0, sizeof(game_t));
    g->v = v;

    vector_master(master);
    vector_salt(salt);

    assert_ok(loyalty_cid(g->cid, "shop", 4, v->game, strlen(v->game),
                          OPEN));
    assert_ok(loyalty_kp(kp, master, g->cid, salt));
    assert_ok(loyalty_hmac_key(&g->kp, kp, LOYALTY_HASH));

    if (v->beacon) {
        from_hex(g->chain_hash, LOYALTY_HASH, LOYALTY_QUICKNET);
    }

    assert_ok(loyalty_epochs_init(&g->epochs, OPEN, v->close,
                                  LOYALTY_EPOCH_MS));
    assert_int_equal(g->epochs.epochs, 17);

    assert_ok(loyalty_chain_init(&g->chain, master, g->cid, 1, 17, 5,
                                 g->points));
    assert_int_equal(loyalty_chain_points(17, 5), 5);
    assert_int_equal(loyalty_chain_build(&g->chain, 16), 1);
    assert_int_equal(loyalty_chain_build(&g->chain, 1), 0);

    write_manifest(g, kp);
    open_epochs(g);

    for (i = 0; i < v->rows; i++) {
        g->left[i] = v->prizes[i].stock;
    }

    if (v->mode == LOYALTY_MODE_ODDS) {
        assert_ok(loyalty_odds(v->prizes, v->rows, &g->n, g->weights));
    }
}


static void
write_manifest(game_t *g, const unsigned char *kp)
{
    size_t              n;
    unsigned char       buf[512];
    const vector_t     *v;
    loyalty_manifest_t  m;

    v = g->v;

    memset(&m, 0, sizeof(m));
    memcpy(m.cid, g->cid, LOYALTY_CID);
    m.version = 1;
    m.kind = LOYALTY_INSTANT_WIN;
    m.mode = (uint8_t) v->mode;
    m.open = OPEN;
    m.close = v->close;
    m.length = LOYALTY_EPOCH_MS;
    m.epochs = g->epochs.epochs;

    sha_text(m.rules, "rules bytes");
    sha_text(m.terms, "terms bytes");

    n = loyalty_prizes_encode(buf, sizeof(buf), v->prizes, v->rows);
    assert_int_equal(n, loyalty_prizes_len(v->prizes, v->rows));
    assert_ok(loyalty_sha(m.prizes, buf, n));

    memcpy(m.chain, g->chain_hash, LOYALTY_HASH);
    assert_ok(loyalty_kp_commit(m.kp_commit, g->cid, kp));
    assert_ok(loyalty_chain_get(&g->chain, 0, m.anchor));

    n = loyalty_manifest_encode(buf, sizeof(buf), &m);
    assert_int_equal(n, LOYALTY_MANIFEST_LEN);
    assert_ok(loyalty_sha(g->mh, buf, n));

    if (v->cid == NULL) {
        return;
    }

    assert_hex(g->cid, LOYALTY_CID, v->cid);
    assert_hex(m.prizes, LOYALTY_HASH, v->prizes_hash);
    assert_hex(m.anchor, LOYALTY_HASH, v->anchor);
    assert_hex(g->mh, LOYALTY_HASH, v->mh);

    assert_ok(loyalty_chain_get(&g->chain, 17, buf));
    assert_hex(buf, LOYALTY_HASH, v->tip);
}


static void
open_epochs(game_t *g)
{
    uint32_t       e;
    uint64_t       round;
    unsigned char  c[LOYALTY_HASH], b[LOYALTY_HASH];

    for (e = 1; e <= g->epochs.epochs; e++) {
        round = g->v->beacon ? loyalty_epoch_round(&g->epochs, e) : 0;
        randomness(g, round, b);

        assert_ok(loyalty_chain_get(&g->chain, e, c));
        assert_ok(loyalty_epoch_key(g->k[e], c, g->mh, e, g->chain_hash,
                                    round, b));
    }

    assert_hex(g->k[1], LOYALTY_HASH, g->v->k[0]);
    assert_hex(g->k[2], LOYALTY_HASH, g->v->k[1]);
}


static void
randomness(const game_t *g, uint64_t round, unsigned char *b)
{
    memset(b, 0, LOYALTY_HASH);

    if (g->v->beacon) {
        sha_numbered(b, "test beacon", round, 8);
    }
}


static uint64_t
known_round(const game_t *g, uint64_t t)
{
    return g->v->beacon ? loyalty_round_play(t) : 0;
}


static void
play(game_t *g, unsigned i)
{
    char               text[32];
    unsigned           member;
    unsigned char      b[LOYALTY_HASH];
    loyalty_hmac_t     key;
    loyalty_playrec_t  rec;

    memset(&rec, 0, sizeof(rec));
    memcpy(rec.cid, g->cid, LOYALTY_CID);

    member = i % g->v->members;
    rec.seq = i;
    rec.t = OPEN + 1000 * i;
    rec.e = loyalty_epoch(&g->epochs, rec.t);
    rec.round = known_round(g, rec.t);
    rec.mode = (uint8_t) g->v->mode;

    snprintf(text, sizeof(text), "member-%u", member);
    assert_ok(loyalty_person(rec.person, &g->kp, g->cid, text,
                             strlen(text)));
    snprintf(text, sizeof(text), "key-%u", i);
    assert_ok(loyalty_play_id(rec.play_id, &g->kp, g->cid, rec.person, text,
                              strlen(text)));

    if (g->e[member] != rec.e || g->round[member] != rec.round) {
        g->e[member] = rec.e;
        g->round[member] = rec.round;
        g->count[member] = 0;
    }

    rec.idx = g->count[member]++;

    assert_ok(loyalty_hmac_key(&key, g->k[rec.e], LOYALTY_HASH));
    randomness(g, rec.round, b);

    for (rec.ctr = 0; rec.ctr < TRIES; rec.ctr++) {
        assert_ok(loyalty_play_u(rec.u, &key, g->mh, rec.e, rec.round, b,
                                 rec.person, rec.idx, rec.ctr));
        sample(g, &rec);

        if (rec.n > 0) {
            break;
        }
    }

    take(g, &rec);

    g->tiers[i] = (unsigned char) rec.tier;
    assert_int_equal(loyalty_playrec_encode(g->records[i],
                                            LOYALTY_PLAYREC_LEN, &rec),
                     LOYALTY_PLAYREC_LEN);
    assert_ok(loyalty_merkle_append_record(&g->log, g->records[i],
                                           LOYALTY_PLAYREC_LEN));
}


static void
sample(game_t *g, loyalty_playrec_t *rec)
{
    size_t    row;
    uint64_t  i, n;

    if (rec->mode == LOYALTY_MODE_ODDS) {
        n = g->n;

    } else {
        for (n = 0, i = 0; i < g->v->rows; i++) {
            n += g->left[i];
        }
    }

    rec->n = 0;

    if (loyalty_pick48(rec->u, n, &rec->r) == LOYALTY_CTR) {
        return;
    }

    rec->n = n;
    row = loyalty_walk(rec->mode == LOYALTY_MODE_ODDS ? g->weights
                                                      : g->left,
                       g->v->rows, rec->r);

    rec->tier = (row == g->v->rows) ? LOYALTY_NO_TIER : (uint32_t) row;
}


static void
take(game_t *g, loyalty_playrec_t *rec)
{
    uint32_t  row;

    row = rec->tier;
    rec->serial = LOYALTY_NO_SERIAL;
    rec->status = LOYALTY_LOSE;

    if (row == LOYALTY_NO_TIER) {
        return;
    }

    if (g->left[row] == LOYALTY_UNLIMITED) {
        rec->status = LOYALTY_WIN;
        return;
    }

    if (g->left[row] == 0) {
        rec->status = LOYALTY_TIER_EMPTY;
        return;
    }

    g->left[row]--;

    if (g->v->prizes[row].len == 0) {
        rec->tier = LOYALTY_NO_TIER;
        return;
    }

    rec->status = LOYALTY_WIN;
    rec->serial = g->awarded[row]++;
}


static void
play_all(game_t *g)
{
    unsigned       i;
    unsigned char  hash[LOYALTY_HASH];

    for (i = 0; i < g->v->plays; i++) {
        play(g, i);
    }

    first_tiers(g);

    assert_ok(loyalty_sha(hash, g->tiers, g->v->plays));
    assert_hex(hash, LOYALTY_HASH, g->v->tiers);

    assert_ok(loyalty_merkle_root(&g->log, hash));
    assert_hex(hash, LOYALTY_HASH, g->v->root);

    for (i = 0; i < g->v->rows; i++) {
        assert_int_equal(g->left[i], g->v->left[i]);
    }

    if (g->v->record != NULL) {
        assert_hex(g->records[1], LOYALTY_PLAYREC_LEN, g->v->record);
        assert_hex(g->records[1] + LOYALTY_PLAYREC_LEN - LOYALTY_HASH,
                   LOYALTY_HASH, g->v->u);
    }
}


static void
first_tiers(const game_t *g)
{
    char      text[64], *p;
    unsigned  i;

    p = text;

    for (i = 0; i < 20; i++) {
        *p++ = (g->tiers[i] == 0xff) ? '-' : (char) ('0' + g->tiers[i]);
        *p++ = ' ';
    }

    p[-1] = '\0';

    assert_string_equal(text, g->v->first);
}


static void
test_deck(void **state)
{
    game_t  *g;

    g = malloc(sizeof(game_t));
    open_game(g, &vector_d);
    play_all(g);
    free(g);
}


static void
test_odds(void **state)
{
    game_t  *g;

    g = malloc(sizeof(game_t));
    open_game(g, &vector_e);
    assert_int_equal(g->n, 300);
    assert_int_equal(g->weights[0], 3);
    assert_int_equal(g->weights[1], 15);
    assert_int_equal(g->weights[2], 50);
    play_all(g);
    free(g);
}


static void
test_odds_without_beacon(void **state)
{
    game_t  *g;

    g = malloc(sizeof(game_t));
    open_game(g, &vector_f);
    play_all(g);
    free(g);
}


/* what is picked in play 1 of D and of E */

static void
test_pick(void **state)
{
    size_t         i;
    uint64_t       r;
    unsigned char  u[LOYALTY_HASH];

    static const struct {
        const char      *u;
        uint64_t         n, r;
    } plays[] = {
        { "6d99efbf10f656d4c809cfd33a39e3e2"
          "1f6a1ff29f0eb4920e6c98b5a1d7c3ea", 999, 462 },
        { "a5567861abeadbf78f8be13eec3dc3ec"
          "5d201b9039075f2e9993e2fdfcfeb018", 300, 18 }
    };

    for (i = 0; i < 2; i++) {
        from_hex(u, sizeof(u), plays[i].u);

        assert_ok(loyalty_pick48(u, plays[i].n, &r));
        assert_int_equal(r, plays[i].r);
    }
}


static void
test_moments(void **state)
{
    int                i, rc;
    game_t            *g;
    uint64_t           at[11];
    uint32_t           e, order[11];
    loyalty_moments_t  m;

    static const struct {
        uint32_t         unit;
        uint64_t         after;
    } moments[] = {
        { 7, 263086 }, { 9, 283386 }, { 0, 293744 }, { 6, 519279 },
        { 8, 695928 }, { 5, 730249 }, { 2, 742589 }, { 10, 906474 },
        { 3, 933023 }, { 1, 1006938 }, { 4, 1007227 }
    };

    g = malloc(sizeof(game_t));
    open_game(g, &vector_g);

    assert_ok(loyalty_moments_init(&m, &g->epochs, at, 11));

    for (e = 1; e <= g->epochs.epochs; e++) {
        assert_ok(loyalty_moments_epoch(&m, &g->epochs, e, g->k[e]));

        do {
            rc = loyalty_moments_place(&m, 4);
        } while (rc == 1);

        assert_ok(rc);
    }

    assert_int_equal(loyalty_moments_order(&m, order), 11);

    for (i = 0; i < 11; i++) {
        assert_int_equal(order[i], moments[i].unit);
        assert_int_equal(at[order[i]], OPEN + moments[i].after);

        /* unit 0 is the car, the others are mugs */
        assert_int_equal(loyalty_walk(g->left, 2, order[i]), order[i] > 0);
    }

    free(g);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_deck),
        cmocka_unit_test(test_odds),
        cmocka_unit_test(test_odds_without_beacon),
        cmocka_unit_test(test_pick),
        cmocka_unit_test(test_moments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
