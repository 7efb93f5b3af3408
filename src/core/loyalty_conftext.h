/*
 * The text of a configuration of nginx, to find a place in it: nginx does not
 * tell where a variable is used, and a mistake is told with its line.  It is
 * looked at once there is one, and is otherwise nginx's to understand.
 */

#ifndef _LOYALTY_CONFTEXT_H_INCLUDED_
#define _LOYALTY_CONFTEXT_H_INCLUDED_


#include <stddef.h>


typedef struct {
    const unsigned char  *pos;
    const unsigned char  *end;
    unsigned              line;        /* of pos, from 1 */
    int                   first;       /* a directive begins at pos */
} loyalty_conftext_t;


typedef struct {
    const unsigned char  *p;           /* without quotes, else as written */
    size_t                n;
    unsigned              line;        /* of p */
    int                   first;       /* it is a directive's name */
} loyalty_confword_t;


void loyalty_conftext_init(loyalty_conftext_t *text, const void *p, size_t n);

/* 1, or 0 at the end */
int loyalty_conftext_word(loyalty_conftext_t *text, loyalty_confword_t *word);

/* the line of the first $name or ${name} from here on, 0: none */
unsigned loyalty_conftext_variable(loyalty_conftext_t *text, const void *name,
    size_t len);

/* 1 and what the next "include" names, or 0 when there is no more */
int loyalty_conftext_include(loyalty_conftext_t *text,
    loyalty_confword_t *word);


#endif /* _LOYALTY_CONFTEXT_H_INCLUDED_ */
