/*
 * Rounds of a beacon, parsed and kept.
 *
 * Recent rounds lie at their number modulo the size of their part, where a
 * newer one takes the place of an older one.  Wanted rounds lie anywhere in
 * theirs; when a place is needed, the one goes that is held and was wanted
 * longest ago.
 */

#include <string.h>

#include <jansson.h>

#include "loyalty_beacon.h"
#include "loyalty_draw.h"


static int beacon_bytes(json_t *value, unsigned char *dst, size_t n);
static int beacons_place(loyalty_beacons_t *table, uint64_t round);
static int beacons_find(const loyalty_beacons_t *table, uint64_t round);


int
loyalty_beacon_set(loyalty_beacon_t *beacon, uint64_t round,
    const unsigned char *sig, unsigned source)
{
    beacon->round = round;
    beacon->source = source;
    memcpy(beacon->sig, sig, LOYALTY_BEACON_SIG);

    return loyalty_randomness(beacon->b, beacon->sig, LOYALTY_BEACON_SIG);
}


int
loyalty_beacon_parse(loyalty_beacon_t *beacon, const void *json, size_t n,
    uint64_t round, const char **error)
{
    int            rc;
    json_t        *root, *number;
    unsigned char  sig[LOYALTY_BEACON_SIG], b[LOYALTY_HASH];

    rc = -1;
    root = NULL;

    if (n <= LOYALTY_BEACON_JSON) {
        root = json_loadb(json, n, JSON_REJECT_DUPLICATES, NULL);
    }

    number = json_object_get(root, "round");

    if (!json_is_object(root)) {
        *error = "the relay's reply is no JSON object";

    } else if (!json_is_integer(number) || json_integer_value(number) < 1
               || beacon_bytes(json_object_get(root, "signature"), sig,
                               LOYALTY_BEACON_SIG)
                  != 0
               || beacon_bytes(json_object_get(root, "randomness"), b,
                               LOYALTY_HASH)
                  != 0)
    {
        *error = "the relay's reply has no round, randomness and signature "
                 "as those of quicknet are";

    } else if ((uint64_t) json_integer_value(number) != round) {
        *error = "the relay replied with another round";

    } else if (loyalty_beacon_set(beacon, round, sig, 0) != 0) {
        *error = "libcrypto failed";

    } else if (memcmp(beacon->b, b, LOYALTY_HASH) != 0) {
        *error = "the relay's randomness is not the hash of its signature";

    } else {
        rc = 0;
    }

    json_decref(root);

    return rc;
}


static int
beacon_bytes(json_t *value, unsigned char *dst, size_t n)
{
    if (!json_is_string(value)) {
        return -1;
    }

    return loyalty_unhex(dst, n, (const unsigned char *)
                                 json_string_value(value),
                         json_string_length(value));
}


const loyalty_beacon_t *
loyalty_beacons_get(const loyalty_beacons_t *table, uint64_t round)
{
    int                      i;
    const loyalty_beacon_t  *beacon;

    if (round == 0) {
        return NULL;
    }

    beacon = &table->recent[round % LOYALTY_BEACON_RECENT];

    if (beacon->round == round) {
        return beacon;
    }

    if (table->newest.round == round) {
        return &table->newest;
    }

    i = beacons_find(table, round);

    return (i != -1 && table->held[i].round == round) ? &table->held[i]
                                                      : NULL;
}


int
loyalty_beacons_want(loyalty_beacons_t *table, uint64_t round)
{
    int                      i;
    loyalty_beacon_t         copy;
    const loyalty_beacon_t  *beacon;

    if (round == 0) {
        return 0;
    }

    i = beacons_find(table, round);

    if (i == -1) {

        /* what is here among the recent ones is to stay */

        memset(&copy, 0, sizeof(loyalty_beacon_t));

        beacon = loyalty_beacons_get(table, round);
        if (beacon != NULL) {
            copy = *beacon;
        }

        i = beacons_place(table, round);
        if (i == -1) {
            return -1;
        }

        table->held[i] = copy;
    }

    table->order[i] = ++table->seq;

    return 0;
}


int
loyalty_beacons_put(loyalty_beacons_t *table, const loyalty_beacon_t *beacon)
{
    int                      i;
    loyalty_beacon_t        *recent;
    const loyalty_beacon_t  *known;

    if (beacon->round == 0) {
        return -1;
    }

    known = loyalty_beacons_get(table, beacon->round);

    if (known != NULL) {
        return (memcmp(known->sig, beacon->sig, LOYALTY_BEACON_SIG) == 0)
               ? LOYALTY_BEACON_SAME : LOYALTY_BEACON_OTHER;
    }

    recent = &table->recent[beacon->round % LOYALTY_BEACON_RECENT];
    i = beacons_find(table, beacon->round);

    if (i == -1 && beacon->round < recent->round) {

        /* an old one that nobody has wanted yet */

        i = beacons_place(table, beacon->round);
        if (i == -1) {
            return -1;
        }
    }

    if (i != -1) {
        table->held[i] = *beacon;
    }

    if (beacon->round > recent->round) {
        *recent = *beacon;
    }

    if (beacon->round > table->newest.round) {
        table->newest = *beacon;
    }

    return 0;
}


uint64_t
loyalty_beacons_missing(const loyalty_beacons_t *table, uint64_t latest,
    unsigned *i)
{
    uint64_t  round;

    while (*i < LOYALTY_BEACON_WANTED) {
        round = table->wanted[*i];

        if (table->held[(*i)++].round == 0 && round != 0 && round <= latest) {
            return round;
        }
    }

    return 0;
}


void
loyalty_beacons_count(const loyalty_beacons_t *table, unsigned *held,
    unsigned *wanted)
{
    unsigned                 i;
    uint64_t                 round;
    const loyalty_beacon_t  *recent;

    *held = 0;
    *wanted = 0;

    for (i = 0; i < LOYALTY_BEACON_RECENT; i++) {
        *held += (table->recent[i].round != 0);
    }

    for (i = 0; i < LOYALTY_BEACON_WANTED; i++) {
        round = table->wanted[i];

        if (round == 0) {
            continue;
        }

        if (table->held[i].round == 0) {
            (*wanted)++;
            continue;
        }

        recent = &table->recent[round % LOYALTY_BEACON_RECENT];
        *held += (recent->round != round);
    }
}


static int
beacons_find(const loyalty_beacons_t *table, uint64_t round)
{
    int  i;

    for (i = 0; i < LOYALTY_BEACON_WANTED; i++) {
        if (table->wanted[i] == round) {
            return i;
        }
    }

    return -1;
}


/* a place for the round, with nothing held; -1: there is none */

static int
beacons_place(loyalty_beacons_t *table, uint64_t round)
{
    int  i, place;

    place = -1;

    for (i = 0; i < LOYALTY_BEACON_WANTED; i++) {

        if (table->wanted[i] == 0) {
            place = i;
            break;
        }

        if (table->held[i].round != 0
            && (place == -1 || table->order[i] < table->order[place]))
        {
            place = i;
        }
    }

    if (place == -1) {
        return -1;
    }

    table->wanted[place] = round;
    table->order[place] = ++table->seq;
    memset(&table->held[place], 0, sizeof(loyalty_beacon_t));

    return place;
}
