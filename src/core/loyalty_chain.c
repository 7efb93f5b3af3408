/*
 * Epochs, the chain of their secrets, and what a play draws from.
 */

#include "loyalty_chain.h"

#include <string.h>


int
loyalty_epochs_init(loyalty_epochs_t *epochs, uint64_t open, uint64_t close,
    uint32_t length)
{
    uint64_t  n;

    if (length == 0 || open >= close || close >= LOYALTY_INSTANT_MAX
        || open < LOYALTY_GENESIS_MS + LOYALTY_PLAY_BACK_MS)
    {
        return -1;
    }

    n = (close - open + length - 1) / length;

    if (n > LOYALTY_EPOCHS_MAX) {
        return -1;
    }

    epochs->open = open;
    epochs->close = close;
    epochs->length = length;
    epochs->epochs = (uint32_t) n;

    return 0;
}


uint32_t
loyalty_epoch(const loyalty_epochs_t *epochs, uint64_t t)
{
    if (t < epochs->open || t >= epochs->close) {
        return 0;
    }

    return (uint32_t) ((t - epochs->open) / epochs->length) + 1;
}


uint64_t
loyalty_epoch_start(const loyalty_epochs_t *epochs, uint32_t e)
{
    return epochs->open + (uint64_t) (e - 1) * epochs->length;
}


uint64_t
loyalty_epoch_end(const loyalty_epochs_t *epochs, uint32_t e)
{
    uint64_t  end;

    end = epochs->open + (uint64_t) e * epochs->length;

    return (end < epochs->close) ? end : epochs->close;
}


uint64_t
loyalty_epoch_round(const loyalty_epochs_t *epochs, uint32_t e)
{
    return loyalty_round_play(loyalty_epoch_start(epochs, e));
}


size_t
loyalty_chain_points(uint32_t epochs, uint32_t every)
{
    return ((size_t) epochs + every - 1) / every + 1;
}


int
loyalty_chain_tip(unsigned char *dst, const unsigned char *master,
    const unsigned char *cid, uint32_t version, uint32_t epochs)
{
    int             rc;
    loyalty_sha_t   s;
    loyalty_hmac_t  key;

    (void) loyalty_hmac_key(&key, master, LOYALTY_HASH);

    loyalty_hmac_init(&s, &key);
    loyalty_sha_tag(&s, "chain-tip");
    loyalty_sha_raw(&s, cid, LOYALTY_CID);
    loyalty_sha_u32(&s, version);
    loyalty_sha_u32(&s, epochs);

    rc = loyalty_hmac_final(&s, &key, dst);

    loyalty_wipe(&s, sizeof(s));
    loyalty_wipe(&key, sizeof(key));

    return rc;
}


int
loyalty_chain_step(unsigned char *dst, const unsigned char *cid, uint32_t i,
    const unsigned char *c)
{
    loyalty_sha_t  s;

    loyalty_sha_init(&s);
    loyalty_sha_tag(&s, "chain");
    loyalty_sha_raw(&s, cid, LOYALTY_CID);
    loyalty_sha_u32(&s, i);
    loyalty_sha_raw(&s, c, LOYALTY_HASH);

    return loyalty_sha_final(&s, dst);
}


int
loyalty_chain_init(loyalty_chain_t *chain, const unsigned char *master,
    const unsigned char *cid, uint32_t version, uint32_t epochs,
    uint32_t every, unsigned char (*points)[LOYALTY_HASH])
{
    size_t  last;

    if (epochs == 0 || epochs > LOYALTY_EPOCHS_MAX || every == 0) {
        return -1;
    }

    memcpy(chain->cid, cid, LOYALTY_CID);
    chain->epochs = epochs;
    chain->every = every;
    chain->at = epochs;
    chain->points = points;

    if (loyalty_chain_tip(chain->c, master, cid, version, epochs) != 0) {
        return -1;
    }

    last = loyalty_chain_points(epochs, every) - 1;
    memcpy(points[last], chain->c, LOYALTY_HASH);

    return 0;
}


int
loyalty_chain_build(loyalty_chain_t *chain, uint32_t steps)
{
    for ( /* void */ ; chain->at > 0 && steps > 0; steps--) {

        if (loyalty_chain_step(chain->c, chain->cid, chain->at, chain->c)
            != 0)
        {
            return -1;
        }

        chain->at--;

        if (chain->at % chain->every == 0) {
            memcpy(chain->points[chain->at / chain->every], chain->c,
                   LOYALTY_HASH);
        }
    }

    return chain->at > 0;
}


int
loyalty_chain_get(const loyalty_chain_t *chain, uint32_t e,
    unsigned char *dst)
{
    size_t    j;
    uint64_t  i;

    if (e > chain->epochs || chain->at > 0) {
        return -1;
    }

    /* the nearest point from e on */

    j = ((size_t) e + chain->every - 1) / chain->every;
    i = (uint64_t) j * chain->every;

    if (i > chain->epochs) {
        i = chain->epochs;
    }

    memcpy(dst, chain->points[j], LOYALTY_HASH);

    for ( /* void */ ; i > e; i--) {
        if (loyalty_chain_step(dst, chain->cid, (uint32_t) i, dst) != 0) {
            return -1;
        }
    }

    return 0;
}


int
loyalty_epoch_key(unsigned char *dst, const unsigned char *c,
    const unsigned char *mh, uint32_t e, const unsigned char *chain,
    uint64_t round, const unsigned char *randomness)
{
    int             rc;
    loyalty_sha_t   s;
    loyalty_hmac_t  key;

    (void) loyalty_hmac_key(&key, c, LOYALTY_HASH);

    loyalty_hmac_init(&s, &key);
    loyalty_sha_tag(&s, "epoch-key");
    loyalty_sha_raw(&s, mh, LOYALTY_HASH);
    loyalty_sha_u32(&s, e);
    loyalty_sha_raw(&s, chain, LOYALTY_HASH);
    loyalty_sha_u64(&s, round);
    loyalty_sha_raw(&s, randomness, LOYALTY_HASH);

    rc = loyalty_hmac_final(&s, &key, dst);

    loyalty_wipe(&s, sizeof(s));
    loyalty_wipe(&key, sizeof(key));

    return rc;
}


/* once a play: laid out first and hashed in one go */

int
loyalty_play_u(unsigned char *dst, const loyalty_hmac_t *epoch_key,
    const unsigned char *mh, uint32_t e, uint64_t round,
    const unsigned char *randomness, const unsigned char *person,
    uint32_t idx, uint32_t ctr)
{
    unsigned char  *p;
    unsigned char   buf[sizeof(LOYALTY_TAG "play") + 3 * LOYALTY_HASH + 20];

    memcpy(buf, LOYALTY_TAG "play", sizeof(LOYALTY_TAG "play"));
    p = buf + sizeof(LOYALTY_TAG "play");

    memcpy(p, mh, LOYALTY_HASH);
    p = loyalty_put_u32(p + LOYALTY_HASH, e);
    p = loyalty_put_u64(p, round);
    memcpy(p, randomness, LOYALTY_HASH);
    p += LOYALTY_HASH;
    memcpy(p, person, LOYALTY_HASH);
    p = loyalty_put_u32(p + LOYALTY_HASH, idx);
    p = loyalty_put_u32(p, ctr);

    return loyalty_hmac_raw(dst, epoch_key, buf, (size_t) (p - buf));
}
