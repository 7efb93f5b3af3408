/*
 * What the load generators share: a file of prepared requests, a clock, and
 * a histogram of latencies.
 *
 * The file is a sequence of records, u32 length (of this machine's byte
 * order) and as many bytes.  It is mapped, and read once before the clock
 * starts.
 */

#ifndef LOYALTY_BENCH_H
#define LOYALTY_BENCH_H


#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>


typedef struct {
    const char  *data;
    uint32_t     len;
} bench_request_t;

typedef struct {
    bench_request_t  *requests;
    size_t            n;
} bench_file_t;


/* 64 buckets for each power of two of nanoseconds: within 1.6 % */

#define BENCH_SUB       64
#define BENCH_BUCKETS   (BENCH_SUB * 40)

typedef struct {
    uint64_t  count[BENCH_BUCKETS];
    uint64_t  n;
    uint64_t  max;                        /* ns */
} bench_histogram_t;


static inline void
bench_die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(2);
}


static inline uint64_t
bench_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


/* CPU time of this process, seconds */

static inline double
bench_cpu(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);

    return ts.tv_sec + ts.tv_nsec / 1e9;
}


static inline void
bench_load(bench_file_t *file, const char *name, size_t max)
{
    int           fd;
    char         *data;
    size_t        pos, size, room;
    uint32_t      len;
    struct stat   st;

    fd = open(name, O_RDONLY);
    if (fd == -1 || fstat(fd, &st) == -1) {
        bench_die(name);
    }

    size = st.st_size;
    data = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (data == MAP_FAILED) {
        bench_die(name);
    }

    close(fd);

    file->requests = NULL;
    file->n = 0;
    room = 0;

    for (pos = 0; pos + sizeof(len) <= size && file->n < max; pos += len) {
        memcpy(&len, data + pos, sizeof(len));
        pos += sizeof(len);

        if (len == 0 || len > size - pos) {
            fprintf(stderr, "%s: broken at byte %zu\n", name, pos);
            exit(2);
        }

        if (file->n == room) {
            room = room ? room * 2 : 1024;
            file->requests = realloc(file->requests,
                                     room * sizeof(bench_request_t));
            if (file->requests == NULL) {
                bench_die("memory");
            }
        }

        file->requests[file->n].data = data + pos;
        file->requests[file->n++].len = len;
    }

    if (file->n == 0) {
        fprintf(stderr, "%s: no requests\n", name);
        exit(2);
    }
}


static inline void
bench_record(bench_histogram_t *h, uint64_t ns)
{
    int       shift;
    size_t    i;

    shift = (ns < BENCH_SUB) ? 0 : 63 - __builtin_clzll(ns) - 6;
    i = (size_t) shift * BENCH_SUB + (ns >> shift);

    h->count[i < BENCH_BUCKETS ? i : BENCH_BUCKETS - 1]++;
    h->n++;

    if (ns > h->max) {
        h->max = ns;
    }
}


/* in microseconds, the upper end of the bucket */

static inline double
bench_quantile(bench_histogram_t *h, double q)
{
    size_t    i, shift;
    uint64_t  seen, wanted;

    wanted = (uint64_t) (q * h->n + 0.5);
    seen = 0;

    for (i = 0; i < BENCH_BUCKETS; i++) {
        seen += h->count[i];

        if (seen >= wanted && seen > 0) {
            break;
        }
    }

    if (i < 2 * BENCH_SUB) {
        return (i + 1) / 1e3;
    }

    shift = i / BENCH_SUB - 1;

    return (double) ((i - shift * BENCH_SUB + 1) << shift) / 1e3;
}


static inline long
bench_number(const char *text, long min, long max)
{
    char  *end;
    long   n;

    n = strtol(text, &end, 10);

    if (*text == '\0' || *end != '\0' || n < min || n > max) {
        fprintf(stderr, "\"%s\" is not a number from %ld to %ld\n", text, min,
                max);
        exit(2);
    }

    return n;
}


#endif /* LOYALTY_BENCH_H */
