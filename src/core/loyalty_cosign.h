/*
 * Cosignatures of witnesses (C2SP tlog-cosignature, Ed25519): a witness has
 * seen a note's text, says when, and that it has cosigned no other one in its
 * place.  Who witnesses is nobody's to say here: the verifier's user pins
 * keys.  What is published has been verified with the key it came with.
 */

#ifndef _LOYALTY_COSIGN_H_INCLUDED_
#define _LOYALTY_COSIGN_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


#define LOYALTY_COSIGNED_MAX  1024          /* bytes of a text */


/* parts of the line */

typedef struct {
    const unsigned char  *name;
    size_t                len;
    const unsigned char  *base64;
    size_t                nbase64;
    uint64_t              time;             /* seconds since 1970 */
} loyalty_cosignature_t;


/*
 * The line is "— NAME BASE64", as it stands below a note, the key a vkey of
 * type 4, both without line ends.  The text is the note's first two lines.
 * NULL, or what is wrong.
 */
const char *loyalty_cosignature(loyalty_cosignature_t *c,
    const unsigned char *vkey, size_t nvkey, const unsigned char *line,
    size_t nline, const unsigned char *text, size_t ntext);


#endif /* _LOYALTY_COSIGN_H_INCLUDED_ */
