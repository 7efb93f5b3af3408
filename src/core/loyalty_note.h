/*
 * Signatures of a program: notes as in C2SP signed-note with exactly one
 * Ed25519 signature, the verifier key (vkey) that is published, and receipts.
 *
 *     nginx-loyalty/1 KIND
 *     base64(statement)
 *
 *     — name base64(key hash ‖ signature)
 *
 * The key's name is the program's.  Functions return 0, or -1: libcrypto
 * failed, something does not fit, or is not what it should be.
 */

#ifndef _LOYALTY_NOTE_H_INCLUDED_
#define _LOYALTY_NOTE_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#include "loyalty_hash.h"


#define LOYALTY_PUBLIC_KEY       32
#define LOYALTY_SIGNATURE        64
#define LOYALTY_KEY_HASH         4
#define LOYALTY_KEY_NAME_MAX     255             /* bytes */
#define LOYALTY_VKEY_MAX         (LOYALTY_KEY_NAME_MAX + 1 + 8 + 1 + 44)
#define LOYALTY_STATEMENT_MAX    67108864        /* bytes of a statement */

/* the length of a note, exactly */
#define loyalty_note_len(nkind, nstatement, nname)                            \
    (16 + (nkind) + 1 + loyalty_base64_len(nstatement) + 1 + 1                \
     + 4 + (nname) + 1 + 92 + 1)


typedef enum {
    LOYALTY_NOTE_MANIFEST = 0,
    LOYALTY_NOTE_CLOSE,
    LOYALTY_NOTE_DQ,
    LOYALTY_NOTE_HEAD,
    LOYALTY_NOTE_EVIDENCE
} loyalty_note_kind_e;


typedef struct {
    unsigned char         public[LOYALTY_PUBLIC_KEY];
    unsigned char         hash[LOYALTY_KEY_HASH];
    unsigned char         name[LOYALTY_KEY_NAME_MAX];
    size_t                len;                   /* of name */
    EVP_PKEY             *pkey;
} loyalty_signkey_t;


/*
 * A signing key from its seed (loyalty_sign_seed()), or a verifying one from
 * a vkey or a public key.  Names: UTF-8 without white space, control bytes
 * and "+".  After success loyalty_signkey_free(), which wipes.
 */
int loyalty_signkey_init(loyalty_signkey_t *key, const void *name,
    size_t len, const unsigned char *seed);
int loyalty_signkey_public(loyalty_signkey_t *key, const void *name,
    size_t len, const unsigned char *public_key);
int loyalty_signkey_vkey(loyalty_signkey_t *key, const unsigned char *vkey,
    size_t len);
void loyalty_signkey_free(loyalty_signkey_t *key);

/* name+hash+key, without a line end; dst: LOYALTY_VKEY_MAX; the length */
size_t loyalty_vkey(unsigned char *dst, const loyalty_signkey_t *key);

/* Ed25519 over any message, 64 bytes; verifying is 0 or -1 */
int loyalty_sign(unsigned char *dst, const loyalty_signkey_t *key,
    const void *p, size_t n);
int loyalty_verify(const loyalty_signkey_t *key, const void *p, size_t n,
    const unsigned char *signature);

/* over T("receipt") ‖ record; records are at most 256 bytes */
int loyalty_receipt_sign(unsigned char *dst, const loyalty_signkey_t *key,
    const void *record, size_t n);
int loyalty_receipt_verify(const loyalty_signkey_t *key, const void *record,
    size_t n, const unsigned char *signature);


/* "manifest", "close", "dq", "head", "evidence" */
const char *loyalty_note_kind(loyalty_note_kind_e kind);

/*
 * The text of a note without its signature, and the whole of it.  They
 * return the length written, or 0.
 */
size_t loyalty_note_text(unsigned char *dst, size_t size,
    loyalty_note_kind_e kind, const void *statement, size_t n);
size_t loyalty_note_sign(unsigned char *dst, size_t size,
    const loyalty_signkey_t *key, loyalty_note_kind_e kind,
    const void *statement, size_t n);

/*
 * A note of this kind, signed by this key, and not one byte more.  The
 * statement goes to dst, its length to *len.  The kind and the statement's
 * own tag are two things: decode the statement, too.
 */
int loyalty_note_open(const loyalty_signkey_t *key, loyalty_note_kind_e kind,
    const unsigned char *note, size_t n, unsigned char *dst, size_t size,
    size_t *len);


#endif /* _LOYALTY_NOTE_H_INCLUDED_ */
