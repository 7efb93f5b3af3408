
/*
 * The text formats: lines, words, decimal, hex and base64, each in exactly
 * one form.  What could be written in two ways is refused, so that no byte of
 * a file is without meaning.
 */

#include "loyalty-verify.h"

#include <stdlib.h>
#include <string.h>


static int lv_base64_digit(u_char c);


/* 1: a line was taken; 0: the end; -1: the last line has no line feed */

int
lv_line(lv_str_t *rest, lv_str_t *line)
{
    const u_char  *end;

    if (rest->len == 0) {
        return 0;
    }

    end = memchr(rest->data, '\n', rest->len);
    if (end == NULL) {
        return -1;
    }

    line->data = rest->data;
    line->len = end - rest->data;

    rest->data = end + 1;
    rest->len -= line->len + 1;

    return 1;
}


/* takes the next word of a line, and the one space behind it */

int
lv_word(lv_str_t *rest, lv_str_t *word)
{
    const u_char  *end;

    if (rest->len == 0) {
        return 0;
    }

    word->data = rest->data;

    end = memchr(rest->data, ' ', rest->len);

    if (end == NULL) {
        word->len = rest->len;
        rest->data += rest->len;
        rest->len = 0;
        return 1;
    }

    word->len = end - rest->data;
    rest->data = end + 1;
    rest->len -= word->len + 1;

    /* neither two spaces nor one at the end */

    return word->len != 0 && rest->len != 0;
}


int
lv_eq(lv_str_t s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.data, text, s.len) == 0;
}


int
lv_prefix(lv_str_t *s, const char *text)
{
    size_t  len;

    len = strlen(text);

    if (s->len < len || memcmp(s->data, text, len) != 0) {
        return 0;
    }

    s->data += len;
    s->len -= len;

    return 1;
}


int
lv_number(lv_str_t s, uint64_t *n)
{
    size_t    i;
    unsigned  digit;
    uint64_t  value;

    if (s.len == 0 || (s.len > 1 && s.data[0] == '0')) {
        return 0;
    }

    value = 0;

    for (i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9') {
            return 0;
        }

        digit = s.data[i] - '0';

        if (value > (UINT64_MAX - digit) / 10) {
            return 0;
        }

        value = value * 10 + digit;
    }

    *n = value;

    return 1;
}


int
lv_hex(lv_str_t s, u_char *out, size_t len)
{
    size_t  i;
    u_char  c, digit;

    if (s.len != 2 * len) {
        return 0;
    }

    for (i = 0; i < s.len; i++) {
        c = s.data[i];

        if (c >= '0' && c <= '9') {
            digit = c - '0';

        } else if (c >= 'a' && c <= 'f') {
            digit = c - 'a' + 10;

        } else {
            return 0;
        }

        out[i / 2] = (i & 1) ? out[i / 2] | digit : digit << 4;
    }

    return 1;
}


static int
lv_base64_digit(u_char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }

    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }

    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }

    return c == '+' ? 62 : c == '/' ? 63 : -1;
}


/* canonical: padded, and the bits that the padding leaves over are zero */

u_char *
lv_base64(lv_str_t s, size_t *len)
{
    int       digit;
    u_char   *out, *p;
    size_t    i, pad;
    unsigned  bits, left;

    if (s.len == 0 || s.len % 4 || s.len > 2 * LV_MAX_NOTE) {
        return NULL;
    }

    pad = s.data[s.len - 1] != '=' ? 0 : s.data[s.len - 2] != '=' ? 1 : 2;

    out = lv_alloc(s.len / 4, 3);
    p = out;
    bits = 0;
    left = 0;

    for (i = 0; i < s.len - pad; i++) {
        digit = lv_base64_digit(s.data[i]);
        if (digit < 0) {
            free(out);
            return NULL;
        }

        bits = (bits << 6 | digit) & 0xffffff;
        left += 6;

        if (left >= 8) {
            left -= 8;
            *p++ = bits >> left;
        }
    }

    if (bits & ((1u << left) - 1)) {
        free(out);
        return NULL;
    }

    *len = p - out;

    return out;
}


int
lv_zero(const u_char *p, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (p[i]) {
            return 0;
        }
    }

    return 1;
}
