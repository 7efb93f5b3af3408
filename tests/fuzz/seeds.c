/*
 * A fuzzer without its engine, so that it runs wherever there is a compiler:
 *
 *     fuzz_NAME SECONDS FILE...
 *
 * Each file is tried: the seeds, and every input that once went wrong.  Then,
 * for so many seconds, what comes of changing and joining them.  What goes
 * wrong is written to fuzz_NAME.crash beside the program.
 */

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>


#define MOST   65536
#define FILES  1024


typedef struct {
    uint8_t  *p;
    size_t    n;
} seed_t;


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __sanitizer_set_death_callback(void (*callback)(void));

static void died(void);
static void aborted(int sig);
static void try(const uint8_t *p, size_t n);
static uint64_t below(uint64_t n);
static void load(const char *name, seed_t *seed);
static size_t change(uint8_t *buf, size_t n, const seed_t *seeds, size_t ns);


static const uint8_t  *input;
static size_t          input_len;
static const char     *crash;
static uint64_t        state;


static void
died(void)
{
    FILE  *f;

    f = fopen(crash, "wb");

    if (f != NULL) {
        (void) fwrite(input, 1, input_len, f);
        fclose(f);
    }

    fprintf(stderr, "%zu bytes that went wrong are in %s\n", input_len, crash);
}


static void
aborted(int sig)
{
    died();
    _Exit(1);
}


static void
try(const uint8_t *p, size_t n)
{
    input = p;
    input_len = n;

    LLVMFuzzerTestOneInput(p, n);
}


static uint64_t
below(uint64_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;

    return state % n;
}


static void
load(const char *name, seed_t *seed)
{
    FILE  *f;

    f = fopen(name, "rb");
    seed->p = malloc(MOST);

    if (f == NULL || seed->p == NULL) {
        fprintf(stderr, "%s: %s\n", name, strerror(errno));
        exit(2);
    }

    seed->n = fread(seed->p, 1, MOST, f);
    fclose(f);
}


static size_t
change(uint8_t *buf, size_t n, const seed_t *seeds, size_t ns)
{
    size_t         at, len, from;
    const seed_t  *other;

    static const char  bytes[] = "\0\1\x7f\x80\xff \n\"'{}[]:;,.$0-9%\\=";

    at = below(n + 1);

    switch (below(7)) {

    case 0:
        if (at < n) {
            buf[at] ^= (uint8_t) (1u << below(8));
        }

        return n;

    case 1:
        if (at < n) {
            buf[at] = (uint8_t) bytes[below(sizeof(bytes) - 1)];
        }

        return n;

    case 2:
        len = below(n - at + 1);
        memmove(buf + at, buf + at + len, n - at - len);
        return n - len;

    case 3:
        return at;

    case 4:
        if (n == MOST) {
            return n;
        }

        memmove(buf + at + 1, buf + at, n - at);
        buf[at] = (uint8_t) bytes[below(sizeof(bytes) - 1)];
        return n + 1;

    case 5:
        len = below((n - at < 64 ? n - at : 64) + 1);

        if (n + len > MOST) {
            return n;
        }

        memmove(buf + at + len, buf + at, n - at);
        return n + len;

    default:
        other = &seeds[below(ns)];
        from = below(other->n + 1);
        len = below((other->n - from < 256 ? other->n - from : 256) + 1);

        if (n + len > MOST) {
            return n;
        }

        memmove(buf + at + len, buf + at, n - at);
        memcpy(buf + at, other->p + from, len);
        return n + len;
    }
}


int
main(int argc, char **argv)
{
    int        i;
    char       name[1024];
    size_t     n, ns;
    time_t     end;
    uint64_t   tried, k, first;
    uint8_t   *buf, *copy;

    static seed_t  seeds[FILES];

    if (argc < 3 || argc - 2 > FILES) {
        fprintf(stderr, "usage: %s SECONDS FILE...\n", argv[0]);
        return 2;
    }

    snprintf(name, sizeof(name), "%s.crash", argv[0]);
    crash = name;
    remove(crash);

    __sanitizer_set_death_callback(died);
    signal(SIGABRT, aborted);

    for (i = 2; i < argc; i++) {
        load(argv[i], &seeds[i - 2]);
        try(seeds[i - 2].p, seeds[i - 2].n);
    }

    ns = (size_t) argc - 2;
    first = state = (uint64_t) time(NULL) * 2654435761u + (uint64_t) argc;
    end = time(NULL) + atoi(argv[1]);
    buf = malloc(MOST);

    for (tried = 0; buf != NULL && time(NULL) < end; tried++) {

        i = (int) below(ns);
        n = seeds[i].n;
        memcpy(buf, seeds[i].p, n);

        for (k = 1 + below(8); k; k--) {
            n = change(buf, n, seeds, ns);
        }

        /* a block of its own, so that reading past it is seen */

        copy = malloc(n ? n : 1);

        if (copy == NULL) {
            break;
        }

        memcpy(copy, buf, n);
        try(copy, n);
        free(copy);
    }

    printf("1..1\nok 1 - %zu seeds, %llu more from %llu\n", ns,
           (unsigned long long) tried, (unsigned long long) first);

    free(buf);

    while (ns) {
        free(seeds[--ns].p);
    }

    return 0;
}
