/*
 * The statements and records of a draw, as bytes: the manifest and what it
 * commits to, the records of entries and plays, and what is signed as a
 * note.  All numbers are big-endian, times are Unix milliseconds, Z is 32
 * zero bytes.
 *
 * Encoders return the number of bytes written, or 0: the buffer is too
 * small, or a field is out of its range.  Decoders take exactly one
 * statement, refuse every field out of its range, and return 0, or -1 and
 * then the structure is not to be used.  What is encoded decodes to the same
 * fields, and what decodes is encoded to the same bytes.
 */

#ifndef _LOYALTY_STATEMENT_H_INCLUDED_
#define _LOYALTY_STATEMENT_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>

#include "loyalty_hash.h"


#define LOYALTY_CID             16
#define LOYALTY_SALT            16
#define LOYALTY_PLAY_ID         16

/* lengths in bytes */
#define LOYALTY_MANIFEST_LEN    344
#define LOYALTY_ENTRY_LEN       132
#define LOYALTY_PLAYREC_LEN     189
#define LOYALTY_CLOSE_LEN       110
#define LOYALTY_HEAD_LEN        101
#define LOYALTY_DQ_MIN          129             /* without the actor */
#define LOYALTY_DQ_MAX          (LOYALTY_DQ_MIN + LOYALTY_ACTOR_MAX)
#define LOYALTY_EVIDENCE_MIN    53              /* without a file */

/* what protocol and memory bound */
#define LOYALTY_PRIZE_NAME_MAX  255             /* bytes */
#define LOYALTY_PRIZES_MAX      65535           /* rows of a table */
#define LOYALTY_ACTOR_MAX       255             /* bytes */
#define LOYALTY_FILE_NAME_MAX   255             /* bytes */
#define LOYALTY_FILES_MAX       1048576
#define LOYALTY_TICKETS_MAX     (1ULL << 47)    /* exclusive */
#define LOYALTY_ODDS_MAX        (1ULL << 40)    /* exclusive: a denominator */
#define LOYALTY_DECK_MAX        (1ULL << 40)    /* exclusive: cards */
#define LOYALTY_INSTANT_MAX     (1ULL << 53)    /* exclusive: ms, rounds */
#define LOYALTY_EPOCHS_MAX      (1U << 24)      /* 32 years of minutes */
#define LOYALTY_POSITIONS_MAX   (1U << 24)      /* winners and alternates */

#define LOYALTY_UNLIMITED       UINT64_MAX      /* stock */
#define LOYALTY_NO_DRAW         UINT64_MAX      /* r of "no unit was due" */
#define LOYALTY_NO_TIER         UINT32_MAX
#define LOYALTY_NO_SERIAL       UINT64_MAX


/* manifest: kind, mode, flags */

#define LOYALTY_SWEEPSTAKES     1
#define LOYALTY_INSTANT_WIN     2

#define LOYALTY_MODE_NONE       0               /* a sweepstakes */
#define LOYALTY_MODE_ODDS       1
#define LOYALTY_MODE_DECK       2
#define LOYALTY_MODE_MOMENTS    3

#define LOYALTY_MAY_DEGRADE     0x01
#define LOYALTY_FRESH           0x02            /* fresh alternates */

/* entry: method, flags */

#define LOYALTY_PURCHASE        1
#define LOYALTY_FREE_ENTRY      2
#define LOYALTY_BONUS           3
#define LOYALTY_IMPORT          4

#define LOYALTY_VOID            0x01            /* voids an earlier entry */

/* playrec: status */

#define LOYALTY_LOSE            0
#define LOYALTY_WIN             1
#define LOYALTY_TIER_EMPTY      2
#define LOYALTY_WINS_REACHED    3               /* wins_per_member */
#define LOYALTY_DEGRADED        0x100           /* added */

/* dq: reason */

#define LOYALTY_INELIGIBLE      1
#define LOYALTY_UNREACHABLE     2
#define LOYALTY_UNCLAIMED       3
#define LOYALTY_DECLINED        4
#define LOYALTY_FRAUD           5
#define LOYALTY_EXCLUDED        6


/* a row of the prize table; odds are 0/0 where there are none */

typedef struct {
    const unsigned char  *name;                 /* empty: a deck's blanks */
    size_t                len;
    uint64_t              stock;
    uint64_t              num;
    uint64_t              den;
} loyalty_prize_t;


typedef struct {
    unsigned char         cid[LOYALTY_CID];
    uint32_t              version;              /* from 1 */
    unsigned char         prev_mh[LOYALTY_HASH];
    uint8_t               kind;
    uint8_t               mode;
    uint64_t              open;
    uint64_t              close;
    uint32_t              length;               /* L, ms; 0: sweepstakes */
    uint32_t              epochs;               /* 0: sweepstakes */
    unsigned char         rules[LOYALTY_HASH];  /* of the file, or Z */
    unsigned char         terms[LOYALTY_HASH];
    unsigned char         prizes[LOYALTY_HASH];
    unsigned char         chain[LOYALTY_HASH];  /* of the beacon, or Z */
    uint64_t              round;                /* R */
    unsigned char         seed_commit[LOYALTY_HASH];
    unsigned char         kp_commit[LOYALTY_HASH];
    unsigned char         anchor[LOYALTY_HASH];
    uint32_t              winners;
    uint32_t              alternates;
    uint8_t               flags;
} loyalty_manifest_t;


typedef struct {
    unsigned char         cid[LOYALTY_CID];
    uint64_t              seq;
    uint64_t              t;
    uint64_t              first;                /* ticket */
    uint32_t              tickets;              /* from 1 */
    unsigned char         person[LOYALTY_HASH];
    unsigned char         commit[LOYALTY_HASH]; /* Z in a void */
    uint8_t               method;
    uint8_t               flags;
} loyalty_entry_t;


typedef struct {
    unsigned char         cid[LOYALTY_CID];
    uint64_t              seq;
    uint64_t              t;
    uint32_t              e;                    /* from 1 */
    uint64_t              round;                /* R_p */
    unsigned char         person[LOYALTY_HASH];
    unsigned char         play_id[LOYALTY_PLAY_ID];
    uint32_t              idx;
    uint32_t              ctr;
    uint8_t               mode;
    uint64_t              n;
    uint64_t              r;
    uint32_t              tier;
    uint64_t              serial;
    uint32_t              status;
    unsigned char         u[LOYALTY_HASH];
} loyalty_playrec_t;


typedef struct {
    unsigned char         mh[LOYALTY_HASH];
    uint64_t              entries;              /* voids included */
    uint64_t              tickets;
    unsigned char         root[LOYALTY_HASH];
    uint64_t              t;
} loyalty_close_t;


typedef struct {
    unsigned char         mh[LOYALTY_HASH];
    uint64_t              size;
    unsigned char         root[LOYALTY_HASH];
    uint64_t              t;
} loyalty_tree_head_t;


typedef struct {
    unsigned char         cid[LOYALTY_CID];
    uint32_t              k;                    /* from 1 */
    uint64_t              t;
    uint32_t              position;
    uint64_t              seq;
    unsigned char         person[LOYALTY_HASH];
    uint16_t              reason;
    const unsigned char  *actor;                /* decoded: in the input */
    size_t                len;                  /* of actor, from 1 */
    unsigned char         evidence[LOYALTY_HASH];
} loyalty_dq_t;


typedef struct {
    const unsigned char  *name;
    size_t                len;                  /* from 1 */
    unsigned char         hash[LOYALTY_HASH];
} loyalty_file_t;


typedef struct {
    unsigned char         cid[LOYALTY_CID];
    uint64_t              t;
    uint32_t              count;                /* of files */
    const unsigned char  *pos;                  /* of the next file */
} loyalty_evidence_t;


/*
 * The prize table.  Odds are brought to their lowest terms here, 2/100 is
 * written as 1/50.  loyalty_prizes_len() is what loyalty_prizes_encode()
 * needs.  Reading back is one row at a time: _decode() checks all of the
 * bytes and gives the number of rows and where they start, _next() moves on;
 * call it at most *count times.
 */
size_t loyalty_prizes_len(const loyalty_prize_t *prizes, size_t count);
size_t loyalty_prizes_encode(unsigned char *dst, size_t size,
    const loyalty_prize_t *prizes, size_t count);
int loyalty_prizes_decode(const unsigned char *p, size_t n, uint32_t *count,
    const unsigned char **rows);
const unsigned char *loyalty_prizes_next(const unsigned char *row,
    loyalty_prize_t *prize);

/*
 * What a manifest may say is checked both ways.  mh is loyalty_sha() of the
 * encoded manifest, as its hashes are of the rules file, the terms and the
 * encoded prizes.
 */
size_t loyalty_manifest_encode(unsigned char *dst, size_t size,
    const loyalty_manifest_t *m);
int loyalty_manifest_decode(const unsigned char *p, size_t n,
    loyalty_manifest_t *m);

size_t loyalty_entry_encode(unsigned char *dst, size_t size,
    const loyalty_entry_t *entry);
int loyalty_entry_decode(const unsigned char *p, size_t n,
    loyalty_entry_t *entry);

size_t loyalty_playrec_encode(unsigned char *dst, size_t size,
    const loyalty_playrec_t *rec);
int loyalty_playrec_decode(const unsigned char *p, size_t n,
    loyalty_playrec_t *rec);

size_t loyalty_close_encode(unsigned char *dst, size_t size,
    const loyalty_close_t *c);
int loyalty_close_decode(const unsigned char *p, size_t n,
    loyalty_close_t *c);

size_t loyalty_tree_head_encode(unsigned char *dst, size_t size,
    const loyalty_tree_head_t *head);
int loyalty_tree_head_decode(const unsigned char *p, size_t n,
    loyalty_tree_head_t *head);

size_t loyalty_dq_encode(unsigned char *dst, size_t size,
    const loyalty_dq_t *dq);
int loyalty_dq_decode(const unsigned char *p, size_t n, loyalty_dq_t *dq);

/*
 * Evidence names files in ascending order of their bytes, each once:
 * anything else is refused both ways.  Decoding checks all of it; then
 * loyalty_evidence_next() gives the files, at most e->count times.
 */
size_t loyalty_evidence_len(const loyalty_file_t *files, size_t count);
size_t loyalty_evidence_encode(unsigned char *dst, size_t size,
    const unsigned char *cid, uint64_t t, const loyalty_file_t *files,
    size_t count);
int loyalty_evidence_decode(const unsigned char *p, size_t n,
    loyalty_evidence_t *e);
void loyalty_evidence_next(loyalty_evidence_t *e, loyalty_file_t *file);


#endif /* _LOYALTY_STATEMENT_H_INCLUDED_ */
