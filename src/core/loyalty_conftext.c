/*
 * The text of a configuration as words.  Blocks of other languages, as of
 * content_by_lua_block, are taken for words as well: what is found in them may
 * be wrong, and nothing is read past the end.
 */

#include "loyalty_conftext.h"

#include <string.h>
#include <strings.h>


static int loyalty_conftext_space(unsigned char c);
static void loyalty_conftext_skip(loyalty_conftext_t *text);
static void loyalty_conftext_quoted(loyalty_conftext_t *text,
    loyalty_confword_t *word);
static void loyalty_conftext_plain(loyalty_conftext_t *text);
static int loyalty_conftext_named(const unsigned char *p,
    const unsigned char *end, const void *name, size_t len);


void
loyalty_conftext_init(loyalty_conftext_t *text, const void *p, size_t n)
{
    text->pos = p;
    text->end = text->pos + n;
    text->line = 1;
    text->first = 1;
}


static int
loyalty_conftext_space(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}


/* spaces, comments and what ends a directive */

static void
loyalty_conftext_skip(loyalty_conftext_t *text)
{
    unsigned char  c;

    for ( /* void */ ; text->pos < text->end; text->pos++) {

        c = *text->pos;

        if (c == '#') {
            while (text->pos < text->end && *text->pos != '\n') {
                text->pos++;
            }

            if (text->pos == text->end) {
                return;
            }

            c = '\n';
        }

        if (c == '\n') {
            text->line++;

        } else if (c == ';' || c == '{' || c == '}') {
            text->first = 1;

        } else if (!loyalty_conftext_space(c)) {
            return;
        }
    }
}


int
loyalty_conftext_word(loyalty_conftext_t *text, loyalty_confword_t *word)
{
    loyalty_conftext_skip(text);

    if (text->pos == text->end) {
        return 0;
    }

    word->first = text->first;
    word->line = text->line;
    text->first = 0;

    if (*text->pos == '"' || *text->pos == '\'') {
        loyalty_conftext_quoted(text, word);
        return 1;
    }

    word->p = text->pos;
    loyalty_conftext_plain(text);
    word->n = text->pos - word->p;

    return 1;
}


static void
loyalty_conftext_quoted(loyalty_conftext_t *text, loyalty_confword_t *word)
{
    unsigned char  quote;

    quote = *text->pos++;
    word->p = text->pos;

    while (text->pos < text->end && *text->pos != quote) {

        if (*text->pos == '\\' && text->end - text->pos > 1) {
            text->pos++;
        }

        if (*text->pos == '\n') {
            text->line++;
        }

        text->pos++;
    }

    word->n = text->pos - word->p;

    if (text->pos < text->end) {
        text->pos++;
    }
}


static void
loyalty_conftext_plain(loyalty_conftext_t *text)
{
    unsigned char  c, before;

    before = 0;

    for ( /* void */ ; text->pos < text->end; text->pos++) {

        c = *text->pos;

        if (before == '\\') {

            if (c == '\n') {
                text->line++;
            }

            before = 0;
            continue;
        }

        if (loyalty_conftext_space(c) || c == ';'
            || (c == '{' && before != '$'))
        {
            return;
        }

        before = c;
    }
}


unsigned
loyalty_conftext_variable(loyalty_conftext_t *text, const void *name,
    size_t len)
{
    size_t              i;
    unsigned            line;
    loyalty_confword_t  word;

    while (loyalty_conftext_word(text, &word)) {

        line = word.line;

        for (i = 0; i < word.n; i++) {

            if (word.p[i] == '\n') {
                line++;

            } else if (word.p[i] == '$'
                       && loyalty_conftext_named(word.p + i + 1,
                                                 word.p + word.n, name, len))
            {
                return line;
            }
        }
    }

    return 0;
}


/* p is behind a "$" */

static int
loyalty_conftext_named(const unsigned char *p, const unsigned char *end,
    const void *name, size_t len)
{
    int            brace;
    unsigned char  c;

    brace = (p < end && *p == '{');
    p += brace;

    if ((size_t) (end - p) < len
        || strncasecmp((const char *) p, name, len) != 0)
    {
        return 0;
    }

    p += len;

    if (brace) {
        return p < end && *p == '}';
    }

    if (p == end) {
        return 1;
    }

    c = *p | 0x20;

    return !((c >= 'a' && c <= 'z') || (*p >= '0' && *p <= '9') || *p == '_');
}


int
loyalty_conftext_include(loyalty_conftext_t *text, loyalty_confword_t *word)
{
    loyalty_confword_t  next;

    while (loyalty_conftext_word(text, &next)) {

        if (next.first && next.n == sizeof("include") - 1
            && memcmp(next.p, "include", next.n) == 0
            && loyalty_conftext_word(text, word) && !word->first)
        {
            return 1;
        }
    }

    return 0;
}
