package Loyalty::Clock;

# Another time of day.
#
# A test from start to end, with all that it starts (nginx, Redis, openssl):
#     my $clock = Loyalty::Clock->everywhere;
#     $clock->set(1736266200);      # all of them, at once; timers go on
#
# Or one call:
#     my $ca = Loyalty::Clock->new->ago(86400, sub { Loyalty::CA->new });
#
# Or one program:
#     my $script = $clock->program('nginx');    # runs it, with its arguments
#     $clock->off(1.9);                         # seconds

use strict;
use warnings;

use Cwd qw(realpath);
use File::Temp qw(tempdir);
use Time::HiRes qw(time);

my $source = <<'END';
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *ms;
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void start(void)
{
    const char *name = getenv("LOYALTY_CLOCK");
    int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    void *p;
    real = (int (*)(clockid_t, struct timespec *))
           dlsym(RTLD_NEXT, "clock_gettime");
    if (fd == -1) return;
    p = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
    if (p != MAP_FAILED) ms = p;
    close(fd);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
    int64_t ns;
    if ((real ? real(id, ts) : syscall(SYS_clock_gettime, id, ts)) != 0)
        return -1;
    if (ms == NULL || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE))
        return 0;
    ns = ts->tv_nsec + *ms % 1000 * 1000000;
    ts->tv_sec += *ms / 1000;
    if (ns < 0) { ns += 1000000000; ts->tv_sec--; }
    if (ns >= 1000000000) { ns -= 1000000000; ts->tv_sec++; }
    ts->tv_nsec = ns;
    return 0;
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    struct timespec ts;
    (void) tz;
    if (clock_gettime(CLOCK_REALTIME, &ts) != 0) return -1;
    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *t)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    if (t) *t = ts.tv_sec;
    return ts.tv_sec;
}
END


sub new {
    my ($class) = @_;
    my $dir = tempdir(CLEANUP => 1);
    my $self = bless { dir => $dir, file => "$dir/ms", ms => 0 }, $class;

    chmod 0755, $dir;
    _write("$dir/clock.c", $source);
    _write($self->{file}, pack 'q', 0);
    system(qw(gcc -shared -fPIC -O1 -o), "$dir/clock.so",
           "$dir/clock.c", '-ldl') == 0 or die "gcc does not compile a clock\n";

    return $self;
}


# the test starts again, with a clock of its own

sub everywhere {
    my ($class) = @_;

    return bless { file => $ENV{LOYALTY_CLOCK}, ms => 0 }, $class
        if $ENV{LOYALTY_CLOCK};

    my $self = $class->new;

    local @ENV{qw(LOYALTY_CLOCK LD_PRELOAD)}
        = ($self->{file}, "$self->{dir}/clock.so");

    # a sanitizer wants to be the first, and need not be
    local $ENV{ASAN_OPTIONS} = join ':', $ENV{ASAN_OPTIONS} // (),
                               'verify_asan_link_order=0';

    my $rc = system $^X, (map { "-I$_" } @INC), realpath($0);

    # what there was to say was said
    $self = undef;
    Test::More->builder->no_ending(1) if Test::More->can('builder');
    exit($rc ? 1 : 0);
}


sub set {
    my ($self, $seconds) = @_;

    return $self->off($self->{ms} / 1000 + $seconds - time);
}


# the same file all the time: it is mapped

sub off {
    my ($self, $seconds) = @_;

    $self->{ms} = int($seconds * 1000);

    open my $fh, '+<:raw', $self->{file} or die "$self->{file}: $!\n";
    syswrite($fh, pack 'q', $self->{ms}) == 8 or die "$self->{file}: $!\n";
    close $fh;

    return;
}


sub ago {
    my ($self, $seconds, $sub) = @_;

    local @ENV{qw(LOYALTY_CLOCK LD_PRELOAD)}
        = ($self->{file}, "$self->{dir}/clock.so");

    _write($self->{file}, pack 'q', -$seconds * 1000);

    return $sub->();
}


sub program {
    my ($self, $program) = @_;
    my $script = "$self->{dir}/program";

    _write($script, "#!/bin/sh\nLOYALTY_CLOCK=$self->{file} "
                    . "LD_PRELOAD=$self->{dir}/clock.so exec $program \"\$@\"\n");
    chmod 0755, $script;

    return $script;
}


sub _write {
    my ($path, $bytes) = @_;

    open my $fh, '>:raw', $path or die "$path: $!\n";
    print {$fh} $bytes or die "$path: $!\n";
    close $fh or die "$path: $!\n";

    return;
}


1;
