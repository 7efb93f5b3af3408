
/*
 * V13: the random value of every play, from the epoch's secret, the round and
 * the play's own place in line; and that none was skipped for a better one.
 */

#include "loyalty-verify-plays.h"

#include <string.h>


/* a ctr above 0 has a chance of 2^-40 at most */

#define LV_MAX_CTR  16


static int lv_revealed(const lv_version_t *m, int64_t e);
static void lv_random_moment(lv_plays_t *plays, const lv_play_t *play);
static void lv_random_u(lv_plays_t *plays, const lv_play_t *play,
    lv_hmac_t *key, const u_char beacon[32], uint32_t ctr, u_char u[32]);
static int lv_pick48(const u_char u[32], uint64_t n, uint64_t *r);


/* NULL: the secret or the round of the epoch is missing */

lv_hmac_t *
lv_epoch_key(lv_plays_t *plays, lv_version_t *m, int64_t e)
{
    u_char           data[256], beacon[32], digest[32], *p;
    uint64_t         round;
    lv_hmac_t        tip;
    lv_epoch_key_t  *key;

    key = &plays->key[e & 1];

    if (key->e == e) {
        return key->ok ? &key->key : NULL;
    }

    key->e = e;
    key->ok = 0;

    memset(beacon, 0, sizeof(beacon));
    round = 0;

    if (!lv_revealed(m, e)) {
        return NULL;
    }

    if (!lv_zero(m->chain, 32)) {
        round = lv_round_at(lv_epoch_start(m, e) - 6000);

        if (!lv_beacon(plays->v, round, beacon)) {
            return NULL;
        }
    }

    p = lv_put(lv_tag(data, "epoch-key"), m->mh, 32);
    p = lv_put32(p, e);
    p = lv_put(p, m->chain, 32);
    p = lv_put64(p, round);
    p = lv_put(p, beacon, 32);

    lv_hmac_key(&tip, &m->c[32 * e], 32);
    lv_hmac(&tip, data, p - data, digest);
    lv_hmac_key(&key->key, digest, 32);

    key->ok = 1;

    return &key->key;
}


static int
lv_revealed(const lv_version_t *m, int64_t e)
{
    return m->c != NULL && e <= m->epochs && m->revealed[e];
}


void
lv_random(lv_plays_t *plays, const lv_play_t *play)
{
    lv_t       *v;
    u_char      u[32], beacon[32];
    uint32_t    ctr;
    uint64_t    due, r;
    lv_hmac_t  *key;

    v = plays->v;

    if (play->mode == LV_MOMENTS) {
        lv_random_moment(plays, play);
        return;
    }

    memset(beacon, 0, sizeof(beacon));
    due = 0;

    if (!lv_zero(plays->m->chain, 32)) {
        due = lv_round_at(play->t - 6000);

        if (!lv_beacon(v, play->round, beacon)) {
            lv_incomplete(v, 13, "play %u: round %llu is missing in beacons",
                          play->seq, (unsigned long long) play->round);
            return;
        }
    }

    if (play->round != due && !(play->status & 0x100)) {
        lv_fail(v, 13, "play %u rests on another round than that of its time",
                play->seq);
        return;
    }

    key = lv_epoch_key(plays, plays->m, play->e);

    if (key == NULL && !lv_revealed(plays->m, play->e)) {
        plays->sealed++;
        return;
    }

    if (key == NULL) {
        lv_incomplete(v, 13, "play %u: nothing to recompute epoch %u from",
                      play->seq, play->e);
        return;
    }

    if (play->n == 0 || play->n >> 40 || play->ctr > LV_MAX_CTR) {
        lv_fail(v, 13, "play %u cannot have been drawn", play->seq);
        return;
    }

    for (ctr = 0; ctr <= play->ctr; ctr++) {
        lv_random_u(plays, play, key, beacon, ctr, u);

        if (lv_pick48(u, play->n, &r) != (ctr == play->ctr)) {
            lv_fail(v, 13, "play %u has not the least ctr", play->seq);
            return;
        }
    }

    if (memcmp(u, play->u, 32) != 0 || r != play->r) {
        lv_fail(v, 13, "play %u has another u or r", play->seq);
    }
}


/* a play of moments has no random value of its own */

static void
lv_random_moment(lv_plays_t *plays, const lv_play_t *play)
{
    if (play->round || play->idx || play->ctr || !lv_zero(play->u, 32)) {
        lv_fail(plays->v, 13, "play %u has a random value, and is drawn by"
                " moments", play->seq);
    }
}


static void
lv_random_u(lv_plays_t *plays, const lv_play_t *play, lv_hmac_t *key,
    const u_char beacon[32], uint32_t ctr, u_char u[32])
{
    u_char  data[256], *p;

    p = lv_put(lv_tag(data, "play"), plays->m->mh, 32);
    p = lv_put32(p, play->e);
    p = lv_put64(p, play->round);
    p = lv_put(p, beacon, 32);
    p = lv_put(p, play->person, 32);
    p = lv_put32(p, play->idx);
    p = lv_put32(p, ctr);

    lv_hmac(key, data, p - data, u);
}


/* 0: none of the five words is accepted */

static int
lv_pick48(const u_char u[32], uint64_t n, uint64_t *r)
{
    uint64_t       word, bound;
    unsigned       i;
    const u_char  *p;

    bound = ((uint64_t) 1 << 48) / n * n;

    for (i = 0; i < 5; i++) {
        p = u + 6 * i;
        word = (uint64_t) p[0] << 40 | (uint64_t) p[1] << 32 | lv_get32(p + 2);

        if (word < bound) {
            *r = word % n;
            return 1;
        }
    }

    *r = 0;

    return 0;
}
