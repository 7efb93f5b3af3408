/*
 * HTTP requests, prepared before, over connections that are kept open.
 *
 *     load IP:PORT FILE [-c CONNECTIONS] [-n COUNT] [-r RATE]
 *
 * Without a rate each connection sends the next request as soon as it has
 * read the last response.  With one, requests are due at equal distances
 * whatever the server does, and a latency is the time since a request was
 * due: waiting for a free connection counts.
 *
 * Prints throughput, latencies in microseconds, the bytes of all bodies, and
 * how many responses were not 200.  With a rate it says, too, which part of
 * the requests was due while the machine was steady (pulse.h), and their
 * latencies.
 */


#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "pulse.h"


#define LOAD_CONNECTIONS  1024
#define LOAD_HEAD         4096
#define LOAD_BUFFER       (256 * 1024)


typedef struct load_conn_s  load_conn_t;

struct load_conn_s {
    int           fd;
    const char   *out;
    size_t        out_len;
    uint64_t      since;                  /* ns: sent, or due */
    size_t        body;                   /* bytes still to come */
    unsigned      in_body:1;
    unsigned      writing:1;
    size_t        head_len;
    char          head[LOAD_HEAD];
    load_conn_t  *next;                   /* of those that are free */
};

typedef struct {
    uint64_t            due;
    uint64_t            took;
} load_sample_t;

typedef struct {
    bench_file_t        file;
    bench_histogram_t   latency;
    size_t              next;
    size_t              answered;
    size_t              wrong;
    uint64_t            bytes;
    char                first[256];       /* of what was wrong */

    int                 epoll;
    int                 timer;
    double              rate;             /* 0: as fast as possible */
    uint64_t            start;
    load_sample_t      *samples;          /* with a rate */
    pulses_t            pulses;

    struct sockaddr_in  addr;
    load_conn_t        *conns;
    load_conn_t        *idle;
    size_t              nconn;
    char                buffer[LOAD_BUFFER];
} load_t;


static void load_options(load_t *l, int argc, char **argv, size_t *max);
static void load_connect(load_t *l, load_conn_t *conn);
static void load_run(load_t *l);
static uint64_t load_due(load_t *l);
static void load_pace(load_t *l);
static void load_send(load_t *l, load_conn_t *conn, uint64_t since);
static void load_write(load_t *l, load_conn_t *conn);
static void load_read(load_t *l, load_conn_t *conn);
static size_t load_head(load_t *l, load_conn_t *conn, const char *p,
    size_t len);
static void load_done(load_t *l, load_conn_t *conn);
static void load_report(load_t *l, uint64_t ns, double cpu);
static void load_report_steady(load_t *l);


int
main(int argc, char **argv)
{
    size_t          i, max;
    double          cpu;
    static load_t   l;

    load_options(&l, argc, argv, &max);
    bench_load(&l.file, argv[2], max);

    l.conns = calloc(l.nconn, sizeof(load_conn_t));
    l.epoll = epoll_create1(0);
    if (l.conns == NULL || l.epoll == -1) {
        bench_die("epoll");
    }

    for (i = 0; i < l.nconn; i++) {
        load_connect(&l, &l.conns[i]);
    }

    /* the servers accept them all before the clock starts */

    usleep(20000);

    cpu = bench_cpu();
    l.start = bench_now();

    load_run(&l);
    load_report(&l, bench_now() - l.start, bench_cpu() - cpu);

    return l.wrong ? 1 : 0;
}


static void
load_options(load_t *l, int argc, char **argv, size_t *max)
{
    int    c;
    char  *colon;

    l->nconn = 64;
    *max = SIZE_MAX;

    colon = (argc < 3) ? NULL : strchr(argv[1], ':');

    if (colon == NULL) {
        fprintf(stderr, "usage: load IP:PORT FILE [-c CONNECTIONS] "
                        "[-n COUNT] [-r RATE]\n");
        exit(2);
    }

    *colon = '\0';
    l->addr.sin_family = AF_INET;
    l->addr.sin_port = htons(bench_number(colon + 1, 1, 65535));

    if (inet_pton(AF_INET, argv[1], &l->addr.sin_addr) != 1) {
        bench_die(argv[1]);
    }

    optind = 3;

    while ((c = getopt(argc, argv, "c:n:r:")) != -1) {
        switch (c) {
        case 'c':
            l->nconn = bench_number(optarg, 1, LOAD_CONNECTIONS);
            break;
        case 'n':
            *max = bench_number(optarg, 1, 1000000000);
            break;
        case 'r':
            l->rate = bench_number(optarg, 1, 10000000);
            break;
        default:
            exit(2);
        }
    }
}


static void
load_connect(load_t *l, load_conn_t *conn)
{
    int                 on;
    struct epoll_event  ev;

    conn->fd = socket(AF_INET, SOCK_STREAM, 0);

    if (conn->fd == -1
        || connect(conn->fd, (struct sockaddr *) &l->addr, sizeof(l->addr))
           == -1
        || fcntl(conn->fd, F_SETFL, O_NONBLOCK) == -1)
    {
        bench_die("connect");
    }

    on = 1;
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));

    ev.events = EPOLLIN;
    ev.data.ptr = conn;

    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, conn->fd, &ev) == -1) {
        bench_die("epoll");
    }

    conn->next = l->idle;
    l->idle = conn;
}


static void
load_run(load_t *l)
{
    int                 i, n;
    load_conn_t        *conn;
    struct epoll_event  ev, events[256];

    if (l->rate > 0) {
        l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
        ev.events = EPOLLIN;
        ev.data.ptr = NULL;

        if (l->timer == -1
            || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->timer, &ev) == -1)
        {
            bench_die("timer");
        }

        l->samples = calloc(l->file.n, sizeof(load_sample_t));
        if (l->samples == NULL) {
            bench_die("memory");
        }
    }

    load_pace(l);

    while (l->answered < l->file.n) {
        n = epoll_wait(l->epoll, events, 256, 30000);

        if (n < 1) {
            fprintf(stderr, "no response in 30 seconds\n");
            exit(2);
        }

        if (l->rate > 0) {
            pulse_take(&l->pulses);
        }

        for (i = 0; i < n; i++) {
            conn = events[i].data.ptr;

            if (conn == NULL) {
                continue;
            }

            if (events[i].events & EPOLLOUT) {
                load_write(l, conn);
            }

            if (events[i].events & ~EPOLLOUT) {
                load_read(l, conn);
            }
        }

        load_pace(l);
    }
}


static uint64_t
load_due(load_t *l)
{
    return l->start + (uint64_t) (l->next * 1e9 / l->rate);
}


/* sends what is due on the connections that are free */

static void
load_pace(load_t *l)
{
    uint64_t           now, due;
    load_conn_t       *conn;
    struct itimerspec  its;

    now = bench_now();
    due = now;

    while (l->idle != NULL && l->next < l->file.n) {

        if (l->rate > 0) {
            due = load_due(l);

            if (due > now) {
                memset(&its, 0, sizeof(its));
                its.it_value.tv_sec = due / 1000000000;
                its.it_value.tv_nsec = due % 1000000000;
                timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &its, NULL);
                return;
            }
        }

        conn = l->idle;
        l->idle = conn->next;

        load_send(l, conn, due);
    }

    /* nothing to wait for but responses */

    if (l->rate > 0) {
        memset(&its, 0, sizeof(its));
        timerfd_settime(l->timer, 0, &its, NULL);
    }
}


static void
load_send(load_t *l, load_conn_t *conn, uint64_t since)
{
    bench_request_t  *r;

    r = &l->file.requests[l->next++];

    conn->out = r->data;
    conn->out_len = r->len;
    conn->since = since;
    conn->in_body = 0;
    conn->head_len = 0;

    load_write(l, conn);
}


static void
load_write(load_t *l, load_conn_t *conn)
{
    ssize_t             n;
    struct epoll_event  ev;

    while (conn->out_len) {
        n = send(conn->fd, conn->out, conn->out_len, MSG_NOSIGNAL);

        if (n == -1 && errno == EAGAIN) {
            break;
        }

        if (n < 1) {
            bench_die("send");
        }

        conn->out += n;
        conn->out_len -= n;
    }

    if (conn->writing == (conn->out_len > 0)) {
        return;
    }

    conn->writing = (conn->out_len > 0);

    ev.events = EPOLLIN | (conn->writing ? EPOLLOUT : 0);
    ev.data.ptr = conn;

    if (epoll_ctl(l->epoll, EPOLL_CTL_MOD, conn->fd, &ev) == -1) {
        bench_die("epoll");
    }
}


static void
load_read(load_t *l, load_conn_t *conn)
{
    size_t   pos, part;
    ssize_t  n;

    n = recv(conn->fd, l->buffer, LOAD_BUFFER, 0);

    if (n == -1 && errno == EAGAIN) {
        return;
    }

    if (n < 1) {
        bench_die("the server closed a connection");
    }

    for (pos = 0; pos < (size_t) n; pos += part) {

        if (!conn->in_body) {
            part = load_head(l, conn, l->buffer + pos, n - pos);

        } else {
            part = n - pos;
            part = (part < conn->body) ? part : conn->body;
            conn->body -= part;
            l->bytes += part;
        }

        if (conn->in_body && conn->body == 0) {
            load_done(l, conn);
        }
    }
}


/* collects the head; the bytes that were taken */

static size_t
load_head(load_t *l, load_conn_t *conn, const char *p, size_t len)
{
    char    *end, *length;
    size_t   had, room;

    had = conn->head_len;
    room = LOAD_HEAD - 1 - had;
    len = (len < room) ? len : room;

    memcpy(conn->head + had, p, len);
    conn->head[had + len] = '\0';
    conn->head_len += len;

    end = strstr(conn->head, "\r\n\r\n");

    if (end == NULL) {
        if (len == 0) {
            fprintf(stderr, "a response head over %d bytes\n", LOAD_HEAD);
            exit(2);
        }

        return len;
    }

    *end = '\0';
    len = end + 4 - conn->head - had;

    if (strncmp(conn->head, "HTTP/1.1 200 ", 13) != 0 && l->wrong++ == 0) {
        snprintf(l->first, sizeof(l->first), "%.255s", conn->head);
    }

    length = strcasestr(conn->head, "\r\ncontent-length:");

    if (length == NULL) {
        fprintf(stderr, "a response without a length: %s\n", conn->head);
        exit(2);
    }

    conn->body = strtoul(length + 17, NULL, 10);
    conn->in_body = 1;

    return len;
}


static void
load_done(load_t *l, load_conn_t *conn)
{
    uint64_t  now;

    now = bench_now();
    bench_record(&l->latency, now - conn->since);

    if (l->rate > 0) {
        l->samples[l->answered].due = conn->since;
        l->samples[l->answered].took = now - conn->since;
    }

    l->answered++;

    conn->in_body = 0;
    conn->head_len = 0;

    if (l->rate == 0 && l->next < l->file.n) {
        load_send(l, conn, now);
        return;
    }

    conn->next = l->idle;
    l->idle = conn;
}


static void
load_report(load_t *l, uint64_t ns, double cpu)
{
    printf("requests=%zu wrong=%zu seconds=%.6f rate=%.1f cpu=%.6f "
           "bytes=%llu p50=%.1f p90=%.1f p99=%.1f p999=%.1f max=%.1f\n",
           l->answered, l->wrong, ns / 1e9, l->answered / (ns / 1e9), cpu,
           (unsigned long long) l->bytes,
           bench_quantile(&l->latency, 0.5),
           bench_quantile(&l->latency, 0.9),
           bench_quantile(&l->latency, 0.99),
           bench_quantile(&l->latency, 0.999), l->latency.max / 1e3);

    if (l->rate > 0) {
        load_report_steady(l);
    }

    if (l->wrong) {
        fprintf(stderr, "the first wrong response: %s\n", l->first);
    }
}


static void
load_report_steady(load_t *l)
{
    size_t                    i;
    static bench_histogram_t  latency;

    pulse_judge(&l->pulses);

    for (i = 0; i < l->answered; i++) {
        if (pulse_steady(&l->pulses, l->samples[i].due)) {
            bench_record(&latency, l->samples[i].took);
        }
    }

    printf("steady=%.4f steady_p50=%.1f steady_p90=%.1f steady_p99=%.1f "
           "steady_p999=%.1f steady_max=%.1f\n",
           (double) latency.n / l->answered,
           bench_quantile(&latency, 0.5), bench_quantile(&latency, 0.9),
           bench_quantile(&latency, 0.99), bench_quantile(&latency, 0.999),
           latency.max / 1e3);
}
