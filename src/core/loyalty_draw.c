/*
 * Rounds of the beacon, and the keys and commitments of a campaign.
 */

#include "loyalty_draw.h"

#include <string.h>


static int loyalty_hmac_end(loyalty_sha_t *s, loyalty_hmac_t *key,
    unsigned char *dst);


uint64_t
loyalty_round_at(uint64_t t)
{
    if (t < LOYALTY_GENESIS_MS) {
        return 0;
    }

    return (t - LOYALTY_GENESIS_MS) / LOYALTY_ROUND_MS + 1;
}


uint64_t
loyalty_round_time(uint64_t r)
{
    return LOYALTY_GENESIS_MS + (r - 1) * LOYALTY_ROUND_MS;
}


uint64_t
loyalty_round_close(uint64_t close)
{
    return loyalty_round_at(close + LOYALTY_CLOSE_WAIT_MS) + 1;
}


uint64_t
loyalty_round_dq(uint64_t t)
{
    return loyalty_round_at(t + LOYALTY_DQ_WAIT_MS) + 1;
}


uint64_t
loyalty_round_play(uint64_t t)
{
    return (t < LOYALTY_PLAY_BACK_MS) ? 0
           : loyalty_round_at(t - LOYALTY_PLAY_BACK_MS);
}


int
loyalty_randomness(unsigned char *dst, const void *signature, size_t n)
{
    return loyalty_sha(dst, signature, n);
}


int
loyalty_cid(unsigned char *dst, const void *program, size_t nprogram,
    const void *game, size_t ngame, uint64_t open)
{
    int            rc;
    loyalty_sha_t  s;
    unsigned char  hash[LOYALTY_HASH];

    loyalty_sha_init(&s);
    loyalty_sha_tag(&s, "campaign");
    loyalty_sha_lp(&s, program, nprogram);
    loyalty_sha_lp(&s, game, ngame);
    loyalty_sha_u64(&s, open);

    rc = loyalty_sha_final(&s, hash);
    memcpy(dst, hash, LOYALTY_CID);

    return rc;
}


/* what a secret has left on the stack goes */

static int
loyalty_hmac_end(loyalty_sha_t *s, loyalty_hmac_t *key, unsigned char *dst)
{
    int  rc;

    rc = loyalty_hmac_final(s, key, dst);

    loyalty_wipe(s, sizeof(loyalty_sha_t));
    loyalty_wipe(key, sizeof(loyalty_hmac_t));

    return rc;
}


int
loyalty_kp(unsigned char *dst, const unsigned char *master,
    const unsigned char *cid, const unsigned char *salt)
{
    loyalty_sha_t   s;
    loyalty_hmac_t  key;

    (void) loyalty_hmac_key(&key, master, LOYALTY_HASH);

    loyalty_hmac_init(&s, &key);
    loyalty_sha_tag(&s, "pseudonym-key");
    loyalty_sha_raw(&s, cid, LOYALTY_CID);
    loyalty_sha_raw(&s, salt, LOYALTY_SALT);

    return loyalty_hmac_end(&s, &key, dst);
}


int
loyalty_kp_commit(unsigned char *dst, const unsigned char *cid,
    const unsigned char *kp)
{
    loyalty_sha_t  s;

    loyalty_sha_init(&s);
    loyalty_sha_tag(&s, "pseudonym-commit");
    loyalty_sha_raw(&s, cid, LOYALTY_CID);
    loyalty_sha_raw(&s, kp, LOYALTY_HASH);

    return loyalty_sha_final(&s, dst);
}


int
loyalty_person(unsigned char *dst, const loyalty_hmac_t *kp,
    const unsigned char *cid, const void *member, size_t n)
{
    loyalty_sha_t  s;

    loyalty_hmac_init(&s, kp);
    loyalty_sha_tag(&s, "person");
    loyalty_sha_raw(&s, cid, LOYALTY_CID);
    loyalty_sha_lp(&s, member, n);

    return loyalty_hmac_final(&s, kp, dst);
}


int
loyalty_play_id(unsigned char *dst, const loyalty_hmac_t *kp,
    const unsigned char *cid, const unsigned char *person, const void *key,
    size_t n)
{
    int            rc;
    loyalty_sha_t  s;
    unsigned char  hash[LOYALTY_HASH];

    loyalty_hmac_init(&s, kp);
    loyalty_sha_tag(&s, "play-id");
    loyalty_sha_raw(&s, cid, LOYALTY_CID);
    loyalty_sha_raw(&s, person, LOYALTY_HASH);
    loyalty_sha_lp(&s, key, n);

    rc = loyalty_hmac_final(&s, kp, hash);
    memcpy(dst, hash, LOYALTY_PLAY_ID);

    return rc;
}


int
loyalty_seed(unsigned char *dst, const unsigned char *master,
    const unsigned char *cid, uint32_t version)
{
    loyalty_sha_t   s;
    loyalty_hmac_t  key;

    (void) loyalty_hmac_key(&key, master, LOYALTY_HASH);

    loyalty_hmac_init(&s, &key);
    loyalty_sha_tag(&s, "draw-seed");
    loyalty_sha_raw(&s, cid, LOYALTY_CID);
    loyalty_sha_u32(&s, version);

    return loyalty_hmac_end(&s, &key, dst);
}


int
loyalty_seed_commit(unsigned char *dst, const unsigned char *cid,
    uint32_t version, const unsigned char *seed)
{
    loyalty_sha_t  s;

    if (loyalty_zero(seed, LOYALTY_HASH)) {
        memset(dst, 0, LOYALTY_HASH);
        return 0;
    }

    loyalty_sha_init(&s);
    loyalty_sha_tag(&s, "seed-commit");
    loyalty_sha_raw(&s, cid, LOYALTY_CID);
    loyalty_sha_u32(&s, version);
    loyalty_sha_raw(&s, seed, LOYALTY_HASH);

    return loyalty_sha_final(&s, dst);
}


int
loyalty_sign_seed(unsigned char *dst, const unsigned char *master,
    const void *program, size_t n)
{
    loyalty_sha_t   s;
    loyalty_hmac_t  key;

    (void) loyalty_hmac_key(&key, master, LOYALTY_HASH);

    loyalty_hmac_init(&s, &key);
    loyalty_sha_tag(&s, "sign-key");
    loyalty_sha_lp(&s, program, n);

    return loyalty_hmac_end(&s, &key, dst);
}


/* the second part is one length-prefixed string that holds two */

int
loyalty_entry_commit(unsigned char *dst, const unsigned char *salt,
    const void *member, size_t nmember, const void *id, size_t nid)
{
    loyalty_sha_t  s;

    if (nmember > UINT32_MAX / 4 || nid > UINT32_MAX / 4) {
        memset(dst, 0, LOYALTY_HASH);
        return -1;
    }

    loyalty_sha_init(&s);
    loyalty_sha_tag(&s, "entry-commit");
    loyalty_sha_lp(&s, salt, LOYALTY_SALT);
    loyalty_sha_u32(&s, (uint32_t) (4 + nmember + 4 + nid));
    loyalty_sha_lp(&s, member, nmember);
    loyalty_sha_lp(&s, id, nid);

    return loyalty_sha_final(&s, dst);
}


int
loyalty_draw_key(unsigned char *dst, const unsigned char *mh,
    const unsigned char *root, uint64_t entries, uint64_t tickets,
    const unsigned char *chain, uint64_t round,
    const unsigned char *randomness, const unsigned char *seed)
{
    loyalty_sha_t  s;

    loyalty_sha_init(&s);
    loyalty_sha_tag(&s, "draw-key");
    loyalty_sha_raw(&s, mh, LOYALTY_HASH);
    loyalty_sha_raw(&s, root, LOYALTY_HASH);
    loyalty_sha_u64(&s, entries);
    loyalty_sha_u64(&s, tickets);
    loyalty_sha_raw(&s, chain, LOYALTY_HASH);
    loyalty_sha_u64(&s, round);
    loyalty_sha_raw(&s, randomness, LOYALTY_HASH);
    loyalty_sha_raw(&s, seed, LOYALTY_HASH);

    return loyalty_sha_final(&s, dst);
}


int
loyalty_alt_key(unsigned char *dst, const unsigned char *draw_key,
    uint32_t k, const unsigned char *leaf, uint64_t round,
    const unsigned char *randomness)
{
    loyalty_sha_t  s;

    loyalty_sha_init(&s);
    loyalty_sha_tag(&s, "alt-key");
    loyalty_sha_raw(&s, draw_key, LOYALTY_HASH);
    loyalty_sha_u32(&s, k);
    loyalty_sha_raw(&s, leaf, LOYALTY_HASH);
    loyalty_sha_u64(&s, round);
    loyalty_sha_raw(&s, randomness, LOYALTY_HASH);

    return loyalty_sha_final(&s, dst);
}
