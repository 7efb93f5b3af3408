/*
 * One HTTP/1.1 response, read from bytes that come in pieces of any size.
 *
 * It is a client's reader that wants little and trusts nothing: lines end
 * with CRLF, the head has a limit, lengths are numbers, one body encoding at
 * most.  What is not so is an error in words, never a guess.  Responses of
 * 1xx are skipped; the method was not HEAD.
 *
 *     loyalty_http_init(&h, 16384, 65536);
 *
 *     while bytes come in, from p to last:
 *         do {
 *             rc = loyalty_http_read(&h, &p, last, &data, &len);
 *             with LOYALTY_HTTP_BODY: len bytes of the body are at data
 *         } while (rc == LOYALTY_HTTP_BODY);
 *
 *     when the connection ends before LOYALTY_HTTP_DONE:
 *         rc = loyalty_http_end(&h);
 */

#ifndef _LOYALTY_HTTP_H_INCLUDED_
#define _LOYALTY_HTTP_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


#define LOYALTY_HTTP_AGAIN  0                /* all bytes were taken */
#define LOYALTY_HTTP_BODY   1                /* a piece of the body */
#define LOYALTY_HTTP_DONE   2                /* what follows is not taken */
#define LOYALTY_HTTP_ERROR  (-1)             /* see error */

#define LOYALTY_HTTP_LINE   256              /* bytes that are looked at */


typedef struct {
    unsigned       status;                   /* 200 to 599, once it is known */
    const char    *error;                    /* after LOYALTY_HTTP_ERROR */

    /* private */
    size_t         max_head;                 /* of head, chunk sizes, trailer */
    uint64_t       max_body;
    size_t         head;                     /* bytes of it so far */
    uint64_t       body;
    uint64_t       length;                   /* of Content-Length */
    uint64_t       left;                     /* of the body, or of a chunk */
    unsigned       state;
    unsigned       minor;                    /* of HTTP/1.x */
    unsigned       has_length;
    unsigned       chunked;
    size_t         len;                      /* of line; more are not kept */
    unsigned       cr;                       /* the last byte was one */
    unsigned char  line[LOYALTY_HTTP_LINE];
} loyalty_http_t;


/* a body over max_body is an error */
void loyalty_http_init(loyalty_http_t *h, size_t max_head, uint64_t max_body);

int loyalty_http_read(loyalty_http_t *h, const unsigned char **p,
    const unsigned char *last, const unsigned char **data, size_t *len);

/* LOYALTY_HTTP_DONE when the end of the connection is the end of the body */
int loyalty_http_end(loyalty_http_t *h);


#endif /* _LOYALTY_HTTP_H_INCLUDED_ */
