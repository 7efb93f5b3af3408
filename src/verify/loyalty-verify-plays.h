
/*
 * What the replay of an instant win's log keeps while it runs along it.
 */

#ifndef _LOYALTY_VERIFY_PLAYS_H_INCLUDED_
#define _LOYALTY_VERIFY_PLAYS_H_INCLUDED_


#include "loyalty-verify.h"


/* what is counted: by person, but play ids */

#define LV_COUNT_IDX       0
#define LV_COUNT_ID        1
#define LV_COUNT_WINS      2
#define LV_COUNT_CAMPAIGN  3
#define LV_COUNT_DAY       4
#define LV_COUNT_WEEK      5
#define LV_COUNT_MONTH     6

#define LV_NO_TIER         UINT32_MAX
#define LV_NO_SERIAL       UINT64_MAX


/*
 * A count of something about the person of a record.  The person is not
 * copied: the record is where it was read first.
 */

typedef struct {
    uint32_t       seq;           /* + 1; 0: the slot is free */
    uint32_t       count;
    uint64_t       what;
} lv_count_t;


typedef struct {
    uint32_t       known;         /* the prize */
    unsigned       placed:1;
} lv_unit_t;


typedef struct {
    int64_t        t;
    uint64_t       k;
} lv_due_t;


typedef struct {
    int64_t        e;
    unsigned       ok:1;
    lv_hmac_t      key;
} lv_epoch_key_t;


/* a playrec's fields */

typedef struct {
    const u_char  *data;
    uint32_t       seq;
    int64_t        t;
    uint32_t       e;
    uint64_t       round;
    const u_char  *person;
    uint32_t       idx;
    uint32_t       ctr;
    u_char         mode;
    uint64_t       n;
    uint64_t       r;
    uint32_t       tier;
    uint64_t       serial;
    uint32_t       status;
    const u_char  *u;
} lv_play_t;


typedef struct {
    lv_t            *v;
    lv_str_t         log;
    uint32_t         n;

    lv_version_t    *m;           /* governs the record at hand */
    lv_epoch_key_t   key[2];      /* records of two epochs may alternate */
    u_char          *played;      /* a bit per epoch */
    int64_t          last_epoch;

    uint64_t         newest;      /* round in the log so far */
    uint64_t         degraded;

    lv_count_t      *slot;
    size_t           nslots;
    size_t           used;
    uint64_t         salt;
    unsigned         periods;     /* a bit per period some version limits */
    lv_days_t        days;
    uint64_t         sealed;      /* plays of epochs whose c is not there */

    lv_unit_t       *unit;
    uint64_t         nunits;
    uint32_t         versions;    /* whose units are there */
    int64_t          placed;      /* the last epoch that was placed */
    lv_due_t        *due;
    size_t           ndue;
    size_t           given;       /* units of due that were awarded */
    unsigned         stuck:1;     /* an epoch cannot be placed */
} lv_plays_t;


/* loyalty-verify-count.c */

uint32_t *lv_count(lv_plays_t *plays, const lv_play_t *play, unsigned what,
    uint64_t which);
void lv_limits(lv_plays_t *plays, const lv_play_t *play);

/* loyalty-verify-random.c */

lv_hmac_t *lv_epoch_key(lv_plays_t *plays, lv_version_t *m, int64_t e);
void lv_random(lv_plays_t *plays, const lv_play_t *play);

/* loyalty-verify-replay.c */

void lv_replay(lv_plays_t *plays, const lv_play_t *play);
void lv_replay_award(lv_plays_t *plays, const lv_play_t *play,
    lv_prize_t *prize, uint32_t tier);
void lv_stock(lv_t *v);

/* loyalty-verify-moments.c */

void lv_moments(lv_plays_t *plays, const lv_play_t *play);


#endif /* _LOYALTY_VERIFY_PLAYS_H_INCLUDED_ */
