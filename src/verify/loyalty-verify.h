
/*
 * The independent verifier of draws, nginx-loyalty/1.
 *
 * It reads a campaign's published files (docs/proof.md) and recomputes the
 * draw.  It is written from the protocol and those formats, includes nothing
 * of the module and links libcrypto alone, and blst where there is one, so
 * that an error of the module is not repeated here.
 *
 * Every file of evidence is mapped, not read: what is kept in memory is a few
 * bytes per record, and the notes.
 */

#ifndef _LOYALTY_VERIFY_H_INCLUDED_
#define _LOYALTY_VERIFY_H_INCLUDED_


#define OPENSSL_SUPPRESS_DEPRECATED

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <openssl/evp.h>
#include <openssl/sha.h>


#define LV_CHECKS        19

#define LV_MANIFEST      344
#define LV_CLOSE         110
#define LV_HEAD          101
#define LV_ENTRY         132
#define LV_PLAY          189

/* where the fields of an entry are: T("entry") is 22 bytes */

#define LV_E_SEQ         38
#define LV_E_T           46
#define LV_E_FIRST       54
#define LV_E_TICKETS     62
#define LV_E_PERSON      66
#define LV_E_COMMIT      98
#define LV_E_METHOD      130
#define LV_E_FLAGS       131

#define LV_UNLIMITED     UINT64_MAX
#define LV_NEVER         INT64_MAX

#define LV_ODDS          1
#define LV_DECK          2
#define LV_MOMENTS       3

#define LV_MAX_NOTE      (1 << 20)
#define LV_MAX_FILES     1024
#define LV_MAX_VERSIONS  256
#define LV_MAX_PRIZES    4096
#define LV_MAX_ATTEMPTS  (1 << 20)

#define lv_str(s)        (lv_str_t) { (const u_char *) s, sizeof(s) - 1 }


typedef struct {
    const u_char  *data;
    size_t         len;
} lv_str_t;


/* the order is that of badness: a check keeps the worst it was told */

typedef enum {
    LV_PASS = 0,
    LV_INCOMPLETE,
    LV_FAIL
} lv_status_e;


typedef struct {
    lv_status_e    status;
    uint64_t       said;
    size_t         len;
    char           reason[600];
} lv_check_t;


/* a key with both of its HMAC blocks already hashed */

typedef struct {
    SHA256_CTX     inner;
    SHA256_CTX     outer;
} lv_hmac_t;


/* an RFC 6962 tree that grows on its right: a root per bit of its size */

typedef struct {
    uint64_t       size;
    u_char         node[64][32];
} lv_tree_t;


typedef struct {
    char           name[256];
    lv_str_t       content;
    unsigned       listed:1;
} lv_file_t;


typedef struct {
    lv_str_t       name;
    u_char         id[4];
    u_char         type;
    EVP_PKEY      *key;
} lv_vkey_t;


/* a signed note; the statement is allocated and belongs to the note */

typedef struct {
    lv_str_t       raw;
    lv_str_t       text;
    lv_str_t       kind;
    u_char        *statement;
    size_t         len;
} lv_note_t;


/*
 * A note that outsiders can have seen: when, by their own word.  Times are
 * Unix ms, LV_NEVER where nobody says anything.
 */

typedef struct {
    lv_str_t       kind;
    uint64_t       key;
    lv_str_t       raw;
    lv_str_t       text;
    u_char         hash[32];
    int64_t        token;         /* the earliest token, whoever signed it */
    int64_t        trusted;       /* the earliest of a pinned authority */
    int64_t        cosigned;      /* the earliest of a pinned witness */
    unsigned       saved:1;       /* by the verifier's user, in time */
} lv_subject_t;


typedef struct {
    lv_str_t       name;
    uint64_t       stock;
    uint64_t       num;
    uint64_t       den;
    uint64_t       weight;
    uint32_t       known;         /* index of the name over all versions */
} lv_prize_t;


typedef struct {
    uint64_t       count;
    char           period;        /* c, d, w or m */
} lv_limit_t;


/* the zone whose days were asked for last */

typedef struct {
    char           zone[64];
    int64_t        bucket;
    int64_t        offset;
    unsigned       open:1;
    unsigned       known:1;
} lv_days_t;


/* a version of a campaign: the manifest and what it commits to */

typedef struct {
    u_char         mh[32];
    u_char         prev[32];
    u_char         rules[32];
    u_char         terms[32];
    u_char         prizes[32];
    u_char         chain[32];
    u_char         seed_commit[32];
    u_char         kp_commit[32];
    u_char         anchor[32];
    u_char         cid[16];
    uint32_t       number;
    uint32_t       epochs;
    uint32_t       winners;
    uint32_t       alternates;
    int64_t        length;        /* of an epoch, ms */
    int64_t        open;
    int64_t        close;
    uint64_t       round;
    u_char         kind;
    u_char         mode;
    u_char         flags;

    lv_prize_t    *prize;
    uint32_t       nprizes;
    uint64_t       lcm;

    lv_limit_t     limit[8];
    unsigned       nlimits;
    uint64_t       wins;          /* wins_per_member, 0 is no limit */
    char           zone[64];
    unsigned       strange:1;     /* a limit that is not understood */

    u_char        *c;             /* revealed, 32 bytes per epoch, or NULL */
    u_char        *revealed;      /* a byte per epoch */
    u_char         seed[32];
    unsigned       seed_given:1;

    int64_t        from;          /* the first epoch that it governs */
    size_t         subject;
} lv_version_t;


typedef struct {
    uint64_t       number;
    lv_str_t       signature;     /* in hex, as it stands in the file */
} lv_round_t;


typedef struct {
    uint64_t       size;
    int64_t        t;
    u_char         root[32];
    uint32_t       version;
    unsigned       foreign:1;     /* held by the verifier's user */
} lv_head_t;


typedef struct {
    uint32_t       k;
    int64_t        t;
    uint32_t       position;
    uint64_t       seq;
    u_char         person[32];
    u_char         leaf[32];
    size_t         subject;
} lv_dq_t;


typedef struct {
    uint64_t       attempt;
    uint64_t       ticket;
    uint64_t       seq;
    u_char         person[32];
} lv_pick_t;


typedef struct {
    const char    *dir;
    const char    *ca;
    const char    *chain;
    lv_str_t       game;
    lv_str_t       receipts[16];
    unsigned       nreceipts;
    lv_str_t       saved[16];
    unsigned       nsaved;
    lv_vkey_t     *witness;
    unsigned       nwitnesses;
} lv_options_t;


typedef struct {
    lv_options_t  *options;
    lv_check_t     check[LV_CHECKS + 1];

    lv_file_t     *file;
    unsigned       nfiles;

    lv_vkey_t      vkey;
    EVP_MD_CTX    *md;

    lv_version_t  *version;
    uint32_t       nversions;
    lv_version_t  *last;
    unsigned       undated:1;     /* a version whose token is missing */

    lv_subject_t  *subject;
    size_t         nsubjects;

    u_char         pinned[32];
    u_char         public_key[96];
    lv_round_t    *round;
    size_t         nrounds;
    size_t         hit;
    uint64_t       missing;       /* rounds that were asked for in vain */
    uint64_t       first_missing;

    int64_t        latest;        /* of all that is dated in the files */

    /* a sweepstakes' */

    unsigned       closed:1;
    u_char         root[32];
    uint64_t       entries;
    uint64_t       tickets;
    size_t         close_subject;
    uint64_t       draw_round;
    unsigned       late:1;
    unsigned       unknown_round:1;

    lv_str_t       records;
    uint32_t      *owner;         /* seq of the records that hold tickets */
    uint32_t       nowners;
    u_char        *voided;        /* a bit per owner */

    lv_dq_t       *dq;            /* the ones that count, by k from 1 */
    uint32_t       ndqs;
    lv_dq_t       *again;         /* those that later ones took the place of */
    size_t         nagain;
    lv_pick_t     *pick;
    uint32_t       npicks;
    lv_pick_t     *fresh;         /* by k; seq is UINT64_MAX: nobody left */
    uint32_t       nfresh;
    unsigned       drawn:1;

    /* an instant win's */

    lv_head_t     *head;
    size_t         nheads;
    uint64_t       gaps;          /* over 65 s between two heads */
    int64_t        gap;           /* the longest of them */
    lv_str_t      *known;         /* names of prizes over all versions */
    uint64_t      *awarded;       /* by known name */
    uint32_t       nknown;
} lv_t;


/* loyalty-verify-report.c */

void lv_fail(lv_t *v, unsigned n, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void lv_incomplete(lv_t *v, unsigned n, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void lv_info(lv_t *v, unsigned n, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
lv_status_e lv_report(lv_t *v);
void *lv_alloc(size_t n, size_t size);
void *lv_grow(void *p, size_t n, size_t size);

/* loyalty-verify-text.c */

int lv_line(lv_str_t *rest, lv_str_t *line);
int lv_word(lv_str_t *rest, lv_str_t *word);
int lv_eq(lv_str_t s, const char *text);
int lv_prefix(lv_str_t *s, const char *text);
int lv_number(lv_str_t s, uint64_t *n);
int lv_hex(lv_str_t s, u_char *out, size_t len);
u_char *lv_base64(lv_str_t s, size_t *len);
int lv_zero(const u_char *p, size_t len);

/* loyalty-verify-hash.c */

u_char *lv_tag(u_char *p, const char *tag);
u_char *lv_put32(u_char *p, uint32_t x);
u_char *lv_put64(u_char *p, uint64_t x);
u_char *lv_put(u_char *p, const void *data, size_t len);
uint32_t lv_get32(const u_char *p);
uint64_t lv_get64(const u_char *p);
void lv_sha256(u_char out[32], const void *data, size_t len);
void lv_hmac_key(lv_hmac_t *key, const u_char *secret, size_t len);
void lv_hmac(const lv_hmac_t *key, const u_char *data, size_t len,
    u_char out[32]);
void lv_leaf(u_char out[32], const u_char *data, size_t len);
void lv_tree_add(lv_tree_t *tree, const u_char leaf[32]);
void lv_tree_root(const lv_tree_t *tree, u_char root[32]);
uint64_t lv_round_at(int64_t t);
int64_t lv_round_time(uint64_t round);
int lv_pick(const lv_hmac_t *key, const char *tag, uint32_t p, uint64_t n,
    uint32_t *a, uint64_t *x);

/* loyalty-verify-file.c */

int lv_map(const char *path, lv_str_t *content);
int lv_files(lv_t *v);
lv_str_t lv_file(lv_t *v, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void lv_evidence(lv_t *v);

/* loyalty-verify-note.c */

int lv_vkey_parse(lv_vkey_t *vkey, lv_str_t line);
int lv_signed(EVP_MD_CTX *md, EVP_PKEY *key, const u_char *sig,
    lv_str_t data);
int lv_note_next(lv_t *v, lv_str_t *rest, lv_note_t *note, const char *kind);
size_t lv_subject_add(lv_t *v, lv_note_t *note, uint64_t key);

/* loyalty-verify-manifest.c */

int lv_manifests(lv_t *v);
int64_t lv_epoch(const lv_version_t *version, int64_t t);
int64_t lv_epoch_start(const lv_version_t *version, int64_t e);
int64_t lv_epoch_end(const lv_version_t *version, int64_t e);

/* loyalty-verify-terms.c */

void lv_prizes(lv_t *v, lv_version_t *version, lv_str_t file);
void lv_terms(lv_t *v, lv_version_t *version, lv_str_t file);

/* loyalty-verify-state.c */

int lv_running(lv_t *v);
void lv_state(lv_t *v, char *text, size_t size);

/* loyalty-verify-stamp.c */

void lv_outsiders(lv_t *v);
void lv_stamped(lv_t *v, unsigned n, const lv_subject_t *subject,
    int64_t before);
void lv_single(lv_t *v, unsigned n, const lv_subject_t *subject,
    int64_t before);

/* loyalty-verify-saved.c */

void lv_cosignatures(lv_t *v);
void lv_saved(lv_t *v);

/* loyalty-verify-beacon.c */

void lv_beacons(lv_t *v);
int lv_beacon(lv_t *v, uint64_t round, u_char out[32]);
void lv_beacons_done(lv_t *v);

/* loyalty-verify-bls.c */

int lv_bls_available(void);
int lv_bls(const u_char key[96], const lv_round_t *round, size_t n,
    uint64_t *bad);

/* loyalty-verify-reveal.c */

void lv_reveal(lv_t *v);
void lv_chain(lv_t *v);

/* loyalty-verify-entries.c */

void lv_close(lv_t *v);
void lv_entries(lv_t *v);

/* loyalty-verify-limits.c */

void lv_entry_limits(lv_t *v);

/* loyalty-verify-days.c */

int lv_day(lv_days_t *days, const char *zone, int64_t t, int64_t *day);
int64_t lv_period(char period, int64_t day);
const char *lv_date(char *buf, int64_t t);

/* loyalty-verify-dq.c */

void lv_dqs(lv_t *v);
void lv_dqs_dated(lv_t *v);

/* loyalty-verify-draw.c */

void lv_draw(lv_t *v);

/* loyalty-verify-winners.c */

void lv_winners(lv_t *v);

/* loyalty-verify-heads.c */

void lv_heads(lv_t *v);
void lv_head_add(lv_t *v, const lv_note_t *note, int foreign);
void lv_heads_sort(lv_t *v);

/* loyalty-verify-plays.c */

void lv_plays(lv_t *v);

/* loyalty-verify-receipt.c */

void lv_receipts(lv_t *v);


#endif /* _LOYALTY_VERIFY_H_INCLUDED_ */
