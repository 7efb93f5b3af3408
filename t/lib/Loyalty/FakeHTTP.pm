package Loyalty::FakeHTTP;

# An HTTP server that misbehaves to order: what relays and authorities of
# tests have in common.  A class of its own says
#
#     sub respond { my ($self, $head, $body, $mode, $value) = @_; ... }
#
# which returns the bytes of a response, or undef for none.
#
#     my $server = Loyalty::FakeRelay->new($t, 'one', ...);
#     ... http://127.0.0.1:%%PORT_one%% ...
#     $server->mode('slow 2');
#
# How it answers from now on, or always where the URL says so by "/as/MODE" or
# "/as/MODE/VALUE" in front of its path:
#     ok          as it should, or as the URL says
#     well        as it should, whatever the URL says
#     slow S      the same after S seconds
#     chunked, dribble (byte by byte), closed (without a length)
#     status N    that status, and a good body
#     redirect    302
#     garbage     no HTTP
#     huge        a body of 1 MB;  head: a head of 1 MB
#     cut         half of a good response
#     hangup      no response
#     stall       never anything
# and what the class knows beside these.
#
#     $server->lines     the first lines of the requests
#     $server->stop  $server->start

use strict;
use warnings;

use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep);

use parent 'Loyalty::Child';


sub new {
    my ($class, $t, $name, %arg) = @_;

    my $self = bless {
        %arg, t => $t, name => $name, port => $t->port($name), owner => $$,
        group => 1,
        log => $t->dir . "/http-$name.log",
        file => $t->dir . "/http-$name.mode",
    }, $class;

    $self->mode('ok');

    return $self->start;
}


sub start {
    my ($self) = @_;

    my $listen = IO::Socket::INET->new(Listen => 64, ReuseAddr => 1,
        LocalAddr => '127.0.0.1', LocalPort => $self->{port})
        or die "cannot listen for $self->{name}: $!\n";

    my $pid = fork;
    defined $pid or die "fork: $!";

    if (!$pid) {
        setpgrp 0, 0;
        $SIG{TERM} = 'DEFAULT';
        $SIG{CHLD} = 'IGNORE';
        open $_, '+<', '/dev/null' for *STDIN, *STDOUT;

        # with the test, whose end it may not hear of
        my $parent = getppid;
        local $SIG{ALRM} = sub {
            kill 'KILL', -$$ if getppid != $parent;
            alarm 1;
        };
        alarm 1;

        while (1) {
            my $sock = $listen->accept or next;
            my $child = fork // next;

            if (!$child) {
                alarm 0;
                $SIG{CHLD} = 'DEFAULT';
                close $listen;
                eval { $self->_serve($sock) };
                print STDERR "$self->{name}: $@" if $@;
                POSIX::_exit(0);
            }
        }
    }

    $self->{pid} = $pid;
    $self->{t}->guard($pid);

    return $self;
}


# in one step, so that no request sees half of it
sub mode {
    my ($self, $mode) = @_;

    open my $fh, '>', "$self->{file}.new" or die "$self->{file}: $!";
    print {$fh} $mode;
    close $fh or die "$self->{file}: $!";
    rename "$self->{file}.new", $self->{file} or die "$self->{file}: $!";

    return;
}


sub lines {
    my ($self) = @_;

    open my $fh, '<', $self->{log} or return;
    chomp(my @lines = <$fh>);

    return @lines;
}


# a response with a length
sub http {
    my ($self, $status, $body, $type) = @_;

    $type //= 'text/plain';

    return "HTTP/1.1 $status Status\r\nContent-Type: $type\r\n"
           . 'Content-Length: ' . length($body) . "\r\n\r\n$body";
}


sub _serve {
    my ($self, $sock) = @_;

    $sock->autoflush(1);

    my $head = '';
    while ($head !~ /\r\n\r\n/) {
        sysread($sock, $head, 65536, length $head) or return;

        if ($head !~ /^[GP]/) {
            print {$sock} $self->http(400, "no HTTP\n");
            return;
        }
    }

    ($head, my $body) = $head =~ /^(.*?\r\n\r\n)(.*)$/s;
    my ($length) = $head =~ /^content-length: (\d+)\r$/mi;

    while (length $body < ($length // 0)) {
        sysread($sock, $body, 65536, length $body) or return;
    }

    open my $log, '>>', $self->{log} or die "$self->{log}: $!";
    syswrite $log, ($head =~ /^([^\r\n]*)/)[0] . "\n";

    open my $fh, '<', $self->{file} or die "$self->{file}: $!";
    my ($mode, $value) = split ' ', scalar <$fh>;

    ($mode, $value) = ($1, $2)
        if $mode eq 'ok' && $head =~ m{^\w+ /as/(\w+)(?:/([\w.]+))?[/ ]};

    if ($mode eq 'stall') { sleep 3600; return }
    return if $mode eq 'hangup';

    sleep $value if $mode eq 'slow';

    my $response = $self->respond($head, $body, $mode, $value) // return;
    $response = _misbehave($response, $mode, $value);

    if ($mode eq 'dribble') {
        for (split //, $response) {
            print {$sock} $_ or return;
            sleep 0.0003;
        }
    } else {
        print {$sock} $response;
    }

    return;
}


sub _misbehave {
    my ($response, $mode, $value) = @_;

    return "-ERR unknown command\r\n" if $mode eq 'garbage';
    return "HTTP/1.1 200 OK\r\n\r\n" . 'x' x 1000000 if $mode eq 'huge';
    return "HTTP/1.1 200 OK\r\nX: " . 'x' x 1000000 . "\r\n\r\n"
        if $mode eq 'head';
    return "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n"
           . "Content-Length: 0\r\n\r\n" if $mode eq 'redirect';
    return substr $response, 0, length($response) - 20 if $mode eq 'cut';

    my ($body) = $response =~ /\r\n\r\n(.*)$/s;

    return "HTTP/1.0 200 OK\r\n\r\n$body" if $mode eq 'closed';
    return $response =~ s/^HTTP\/1\.1 \d+/HTTP\/1.1 $value/r
        if $mode eq 'status';

    return $response if $mode ne 'chunked';

    return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
           . join('', map { sprintf "%x\r\n%s\r\n", length, $_ }
                      $body =~ /(.{1,7})/gs)
           . "0\r\n\r\n";
}


1;
