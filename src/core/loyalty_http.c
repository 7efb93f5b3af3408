/*
 * One HTTP/1.1 response as lines and runs of bytes: the head, chunk sizes
 * and the trailer are lines, the rest is counted.
 */

#include <string.h>

#include "loyalty_http.h"


enum {
    HTTP_STATUS = 0,                         /* lines */
    HTTP_FIELD,
    HTTP_CHUNK,
    HTTP_TRAILER,
    HTTP_CHUNK_END,                          /* the CRLF behind a chunk */
    HTTP_DATA,                               /* left bytes */
    HTTP_REST,                               /* until the connection ends */
    HTTP_DONE,
    HTTP_FAILED
};


static int http_fail(loyalty_http_t *h, const char *error);
static int http_line_byte(loyalty_http_t *h, unsigned char c);
static int http_line(loyalty_http_t *h);
static int http_status(loyalty_http_t *h);
static int http_field(loyalty_http_t *h);
static int http_known(loyalty_http_t *h, size_t colon);
static int http_length(loyalty_http_t *h, const unsigned char *s, size_t n);
static int http_head_end(loyalty_http_t *h);
static int http_chunk(loyalty_http_t *h);
static int http_data(loyalty_http_t *h, const unsigned char **p,
    const unsigned char *last, const unsigned char **data, size_t *len);
static int http_is(const unsigned char *s, size_t n, const char *word);
static int http_token(unsigned char c);


void
loyalty_http_init(loyalty_http_t *h, size_t max_head, uint64_t max_body)
{
    memset(h, 0, sizeof(loyalty_http_t));

    h->max_head = max_head;
    h->max_body = max_body;
    h->state = HTTP_STATUS;
}


int
loyalty_http_read(loyalty_http_t *h, const unsigned char **p,
    const unsigned char *last, const unsigned char **data, size_t *len)
{
    int  rc;

    for ( ;; ) {

        if (h->state == HTTP_DONE) {
            return LOYALTY_HTTP_DONE;
        }

        if (h->state == HTTP_FAILED) {
            return LOYALTY_HTTP_ERROR;
        }

        if (*p == last) {
            return LOYALTY_HTTP_AGAIN;
        }

        if (h->state == HTTP_DATA || h->state == HTTP_REST) {
            return http_data(h, p, last, data, len);
        }

        rc = http_line_byte(h, *(*p)++);

        if (rc != LOYALTY_HTTP_AGAIN) {
            return rc;
        }
    }
}


int
loyalty_http_end(loyalty_http_t *h)
{
    switch (h->state) {

    case HTTP_REST:
        h->state = HTTP_DONE;
        return LOYALTY_HTTP_DONE;

    case HTTP_DONE:
        return LOYALTY_HTTP_DONE;

    case HTTP_FAILED:
        return LOYALTY_HTTP_ERROR;

    case HTTP_STATUS:
    case HTTP_FIELD:
        return http_fail(h, (h->head == 0 && h->status == 0)
                            ? "the connection was closed without a response"
                            : "the connection was closed within the head of "
                              "the response");

    default:
        return http_fail(h, "the connection was closed within the body of "
                            "the response");
    }
}


static int
http_fail(loyalty_http_t *h, const char *error)
{
    h->error = error;
    h->state = HTTP_FAILED;

    return LOYALTY_HTTP_ERROR;
}


/*
 * Gathers a line without its CRLF.  What is longer than anything of interest
 * is counted, and not kept.
 */

static int
http_line_byte(loyalty_http_t *h, unsigned char c)
{
    if (h->head == h->max_head) {
        return http_fail(h, "the head of the response is too large");
    }

    h->head++;

    if (h->cr) {
        if (c != '\n') {
            return http_fail(h, "a line of the response does not end with "
                                "CRLF");
        }

        h->cr = 0;

        return http_line(h);
    }

    if (c == '\r') {
        h->cr = 1;
        return LOYALTY_HTTP_AGAIN;
    }

    if ((c < 0x20 && c != '\t') || c == 0x7f) {
        return http_fail(h, "the head of the response has a control "
                            "character");
    }

    if (h->len < LOYALTY_HTTP_LINE) {
        h->line[h->len] = c;
    }

    h->len++;

    return LOYALTY_HTTP_AGAIN;
}


static int
http_line(loyalty_http_t *h)
{
    int  rc;

    switch (h->state) {

    case HTTP_STATUS:
        rc = http_status(h);
        break;

    case HTTP_FIELD:
        rc = (h->len == 0) ? http_head_end(h) : http_field(h);
        break;

    case HTTP_CHUNK:
        rc = http_chunk(h);
        break;

    case HTTP_TRAILER:
        rc = LOYALTY_HTTP_AGAIN;

        if (h->len == 0) {
            h->state = HTTP_DONE;
            rc = LOYALTY_HTTP_DONE;
        }

        break;

    default: /* HTTP_CHUNK_END */
        if (h->len != 0) {
            return http_fail(h, "a chunk of the response does not end where "
                                "it should");
        }

        h->state = HTTP_CHUNK;
        rc = LOYALTY_HTTP_AGAIN;
    }

    h->len = 0;

    return rc;
}


/* "HTTP/1.1 200 OK", the reason may be missing with its space */

static int
http_status(loyalty_http_t *h)
{
    unsigned              i;
    const unsigned char  *s;

    s = h->line;

    if (h->len < 12 || memcmp(s, "HTTP/1.", 7) != 0
        || (s[7] != '0' && s[7] != '1') || s[8] != ' '
        || (h->len > 12 && s[12] != ' '))
    {
        return http_fail(h, "the response is not HTTP/1.1");
    }

    h->minor = s[7] - '0';
    h->status = 0;

    for (i = 9; i < 12; i++) {

        if (s[i] < '0' || s[i] > '9') {
            return http_fail(h, "the response has no status");
        }

        h->status = h->status * 10 + (s[i] - '0');
    }

    if (h->status < 100 || h->status > 599 || h->status == 101) {
        return http_fail(h, "the response has a status that makes no sense");
    }

    h->state = HTTP_FIELD;

    return LOYALTY_HTTP_AGAIN;
}


static int
http_field(loyalty_http_t *h)
{
    size_t  i, n;

    n = (h->len < LOYALTY_HTTP_LINE) ? h->len : LOYALTY_HTTP_LINE;

    for (i = 0; i < n && http_token(h->line[i]); i++) {
        /* void */
    }

    /* folded lines and spaces before a colon have been used for mischief */

    if (i == 0 || i == n || h->line[i] != ':') {
        return http_fail(h, "the response has a header that is none");
    }

    return http_known(h, i);
}


static int
http_known(loyalty_http_t *h, size_t colon)
{
    size_t                n;
    unsigned              length, transfer, content;
    const unsigned char  *s, *end;

    length = http_is(h->line, colon, "content-length");
    transfer = http_is(h->line, colon, "transfer-encoding");
    content = http_is(h->line, colon, "content-encoding");

    if (!length && !transfer && !content) {
        return LOYALTY_HTTP_AGAIN;
    }

    if (h->len > LOYALTY_HTTP_LINE) {
        return http_fail(h, "a header of the response is too long");
    }

    s = h->line + colon + 1;
    end = h->line + h->len;

    while (s < end && (*s == ' ' || *s == '\t')) {
        s++;
    }

    while (s < end && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }

    n = (size_t) (end - s);

    if (length) {
        return http_length(h, s, n);
    }

    if (content) {
        return http_is(s, n, "identity")
               ? LOYALTY_HTTP_AGAIN
               : http_fail(h, "the response has a Content-Encoding that was "
                              "not asked for");
    }

    if (h->chunked || h->minor == 0 || !http_is(s, n, "chunked")) {
        return http_fail(h, "the response has a Transfer-Encoding other than "
                            "chunked");
    }

    h->chunked = 1;

    return LOYALTY_HTTP_AGAIN;
}


static int
http_length(loyalty_http_t *h, const unsigned char *s, size_t n)
{
    uint64_t  length;

    if (h->has_length) {
        return http_fail(h, "the response has two headers Content-Length");
    }

    if (n == 0 || n > 18) {
        return http_fail(h, "the response has a Content-Length that is none");
    }

    for (length = 0; n; n--, s++) {

        if (*s < '0' || *s > '9') {
            return http_fail(h, "the response has a Content-Length that is "
                                "none");
        }

        length = length * 10 + (*s - '0');
    }

    h->has_length = 1;
    h->length = length;

    return LOYALTY_HTTP_AGAIN;
}


static int
http_head_end(loyalty_http_t *h)
{
    if (h->chunked && h->has_length) {
        return http_fail(h, "the response has both Content-Length and "
                            "Transfer-Encoding");
    }

    if (h->status < 200) {
        if (h->chunked || h->has_length) {
            return http_fail(h, "an interim response has a body");
        }

        /* another head follows */
        h->status = 0;
        h->state = HTTP_STATUS;
        return LOYALTY_HTTP_AGAIN;
    }

    if (h->status == 204 || h->status == 304
        || (h->has_length && h->length == 0))
    {
        h->state = HTTP_DONE;
        return LOYALTY_HTTP_DONE;
    }

    if (h->has_length && h->length > h->max_body) {
        return http_fail(h, "the body of the response is too large");
    }

    if (h->chunked) {
        h->state = HTTP_CHUNK;

    } else if (h->has_length) {
        h->state = HTTP_DATA;
        h->left = h->length;

    } else {
        h->state = HTTP_REST;
    }

    return LOYALTY_HTTP_AGAIN;
}


/* "1f", "1f;extension" */

static int
http_chunk(loyalty_http_t *h)
{
    size_t         i, n;
    uint64_t       size;
    unsigned char  c;

    n = (h->len < LOYALTY_HTTP_LINE) ? h->len : LOYALTY_HTTP_LINE;
    size = 0;

    for (i = 0; i < n; i++) {
        c = h->line[i];

        if (c >= '0' && c <= '9') {
            c = (unsigned char) (c - '0');

        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            c = (unsigned char) ((c | 0x20) - 'a' + 10);

        } else {
            break;
        }

        if (size >> 59) {
            return http_fail(h, "the body of the response is too large");
        }

        size = size * 16 + c;
    }

    if (i == 0 || (i < n && h->line[i] != ';' && h->line[i] != ' '
                   && h->line[i] != '\t'))
    {
        return http_fail(h, "the response has a chunk without a size");
    }

    if (size == 0) {
        h->state = HTTP_TRAILER;
        return LOYALTY_HTTP_AGAIN;
    }

    if (size > h->max_body - h->body) {
        return http_fail(h, "the body of the response is too large");
    }

    h->left = size;
    h->state = HTTP_DATA;

    return LOYALTY_HTTP_AGAIN;
}


static int
http_data(loyalty_http_t *h, const unsigned char **p,
    const unsigned char *last, const unsigned char **data, size_t *len)
{
    uint64_t  n;

    n = (uint64_t) (last - *p);

    if (h->state == HTTP_REST) {
        if (n > h->max_body - h->body) {
            return http_fail(h, "the body of the response is too large");
        }

    } else {
        n = (n < h->left) ? n : h->left;
        h->left -= n;

        if (h->left == 0) {
            h->state = h->chunked ? HTTP_CHUNK_END : HTTP_DONE;
        }
    }

    *data = *p;
    *len = (size_t) n;

    *p += n;
    h->body += n;

    return LOYALTY_HTTP_BODY;
}


/* in any case; word is lower case */

static int
http_is(const unsigned char *s, size_t n, const char *word)
{
    size_t         i;
    unsigned char  c;

    if (n != strlen(word)) {
        return 0;
    }

    for (i = 0; i < n; i++) {
        c = s[i];

        if (c >= 'A' && c <= 'Z') {
            c |= 0x20;
        }

        if (c != (unsigned char) word[i]) {
            return 0;
        }
    }

    return 1;
}


static int
http_token(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9')
           || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}
