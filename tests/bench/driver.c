/*
 * The yardstick: commands that were recorded before, sent to Redis over a
 * unix socket as fast as it answers, so many at a time on each connection.
 *
 *     driver SOCKET FILE [-c CONNECTIONS] [-d DEPTH] [-n COUNT]
 *
 * prints what the replies were and how long all of them took.  A reply is
 * counted by its first byte: N (new), or anything else as wrong.
 */


#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "bench.h"


#define DRIVER_CONNECTIONS  16
#define DRIVER_BUFFER       (1 << 20)


typedef struct {
    int     fd;
    size_t  waiting;                      /* replies */
    char   *out;
    size_t  out_pos;
    size_t  out_len;
    char   *in;
    size_t  in_len;
} driver_conn_t;

typedef struct {
    bench_file_t  file;
    size_t        next;
    size_t        depth;
    size_t        answered;
    size_t        wrong;
    char          first[128];             /* of what was wrong */
} driver_t;


static void driver_options(driver_t *d, int argc, char **argv, size_t *nconn,
    size_t *max);
static void driver_connect(driver_conn_t *conn, const char *path);
static void driver_run(driver_t *d, driver_conn_t *conns, size_t nconn);
static void driver_fill(driver_t *d, driver_conn_t *conn);
static void driver_write(driver_conn_t *conn);
static void driver_read(driver_t *d, driver_conn_t *conn);
static size_t driver_reply(driver_t *d, const char *p, size_t len);


int
main(int argc, char **argv)
{
    size_t         i, nconn, max;
    double         cpu;
    uint64_t       start, end;
    driver_t       d;
    driver_conn_t  conns[DRIVER_CONNECTIONS];

    memset(&d, 0, sizeof(d));

    driver_options(&d, argc, argv, &nconn, &max);
    bench_load(&d.file, argv[2], max);

    for (i = 0; i < nconn; i++) {
        driver_connect(&conns[i], argv[1]);
    }

    cpu = bench_cpu();
    start = bench_now();

    driver_run(&d, conns, nconn);

    end = bench_now();

    printf("requests=%zu wrong=%zu seconds=%.6f rate=%.1f cpu=%.6f\n",
           d.answered, d.wrong, (end - start) / 1e9,
           d.answered / ((end - start) / 1e9), bench_cpu() - cpu);

    if (d.wrong) {
        fprintf(stderr, "the first wrong reply: %s\n", d.first);
    }

    return d.wrong ? 1 : 0;
}


static void
driver_options(driver_t *d, int argc, char **argv, size_t *nconn, size_t *max)
{
    int  c;

    *nconn = 1;
    *max = SIZE_MAX;
    d->depth = 64;

    if (argc < 3) {
        fprintf(stderr, "usage: driver SOCKET FILE [-c CONNECTIONS] "
                        "[-d DEPTH] [-n COUNT]\n");
        exit(2);
    }

    optind = 3;

    while ((c = getopt(argc, argv, "c:d:n:")) != -1) {
        switch (c) {
        case 'c':
            *nconn = bench_number(optarg, 1, DRIVER_CONNECTIONS);
            break;
        case 'd':
            d->depth = bench_number(optarg, 1, 4096);
            break;
        case 'n':
            *max = bench_number(optarg, 1, 1000000000);
            break;
        default:
            exit(2);
        }
    }
}


static void
driver_connect(driver_conn_t *conn, const char *path)
{
    struct sockaddr_un  sa;

    memset(conn, 0, sizeof(driver_conn_t));
    memset(&sa, 0, sizeof(sa));

    sa.sun_family = AF_UNIX;
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);

    conn->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    conn->in = malloc(DRIVER_BUFFER);
    conn->out = malloc(DRIVER_BUFFER);

    if (conn->fd == -1 || conn->in == NULL || conn->out == NULL
        || connect(conn->fd, (struct sockaddr *) &sa, sizeof(sa)) == -1
        || fcntl(conn->fd, F_SETFL, O_NONBLOCK) == -1)
    {
        bench_die(path);
    }
}


static void
driver_run(driver_t *d, driver_conn_t *conns, size_t nconn)
{
    size_t         i;
    struct pollfd  fds[DRIVER_CONNECTIONS];

    for (i = 0; i < nconn; i++) {
        driver_fill(d, &conns[i]);
    }

    while (d->answered < d->file.n) {

        for (i = 0; i < nconn; i++) {
            fds[i].fd = conns[i].fd;
            fds[i].events = POLLIN
                            | (conns[i].out_len > conns[i].out_pos ? POLLOUT
                                                                   : 0);
        }

        if (poll(fds, nconn, 10000) < 1) {
            fprintf(stderr, "no reply in 10 seconds\n");
            exit(2);
        }

        for (i = 0; i < nconn; i++) {
            if (fds[i].revents & POLLOUT) {
                driver_write(&conns[i]);
            }

            if (fds[i].revents & (POLLIN | POLLHUP | POLLERR)) {
                driver_read(d, &conns[i]);
                driver_fill(d, &conns[i]);
            }
        }
    }
}


/* commands up to the depth, in one write */

static void
driver_fill(driver_t *d, driver_conn_t *conn)
{
    bench_request_t  *r;

    if (conn->out_pos == conn->out_len) {
        conn->out_pos = conn->out_len = 0;
    }

    while (conn->waiting < d->depth && d->next < d->file.n) {
        r = &d->file.requests[d->next];

        if (r->len > DRIVER_BUFFER - conn->out_len) {
            break;
        }

        memcpy(conn->out + conn->out_len, r->data, r->len);
        conn->out_len += r->len;
        conn->waiting++;
        d->next++;
    }

    driver_write(conn);
}


static void
driver_write(driver_conn_t *conn)
{
    ssize_t  n;

    while (conn->out_pos < conn->out_len) {
        n = write(conn->fd, conn->out + conn->out_pos,
                  conn->out_len - conn->out_pos);

        if (n == -1 && errno == EAGAIN) {
            return;
        }

        if (n < 1) {
            bench_die("write");
        }

        conn->out_pos += n;
    }
}


static void
driver_read(driver_t *d, driver_conn_t *conn)
{
    size_t   pos, used;
    ssize_t  n;

    n = read(conn->fd, conn->in + conn->in_len,
             DRIVER_BUFFER - conn->in_len);

    if (n == -1 && errno == EAGAIN) {
        return;
    }

    if (n < 1) {
        bench_die("read");
    }

    conn->in_len += n;

    for (pos = 0; pos < conn->in_len; pos += used) {
        used = driver_reply(d, conn->in + pos, conn->in_len - pos);

        if (used == 0) {
            break;
        }

        conn->waiting--;
        d->answered++;
    }

    memmove(conn->in, conn->in + pos, conn->in_len - pos);
    conn->in_len -= pos;
}


/* the bytes of one reply, a bulk string or a line; 0 when more are to come */

static size_t
driver_reply(driver_t *d, const char *p, size_t len)
{
    char    kind;
    size_t  line, size;

    const char  *lf;

    lf = memchr(p, '\n', len);
    if (lf == NULL) {
        return 0;
    }

    line = lf - p + 1;
    size = line;
    kind = *p;

    if (kind == '$' && p[1] != '-') {
        size += strtoul(p + 1, NULL, 10) + 2;

        if (size > len) {
            return 0;
        }

        kind = p[line];
    }

    if (kind != 'N') {
        if (d->wrong++ == 0) {
            snprintf(d->first, sizeof(d->first), "%.*s", (int) size, p);
        }
    }

    return size;
}
