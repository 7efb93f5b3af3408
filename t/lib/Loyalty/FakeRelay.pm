package Loyalty::FakeRelay;

# A relay of drand quicknet, for beacons in tests.  It serves the real rounds
# that it knows, and makes up the others: relays agree on them, as each one
# is a function of its number.
#
#     my $relay = Loyalty::FakeRelay->new($t, 'one');
#     ... beacon drand_quicknet from=http://127.0.0.1:%%PORT_one%% ...
#     $relay->mode('lie');
#
# It listens on the test's port of that name.  How it answers from now on, or
# always where the URL says so with "/as/MODE" or "/as/MODE/VALUE":
#     ok          as it should, or as the URL says
#     well        as it should, whatever the URL says
#     slow S      the same after S seconds
#     chunked, dribble (byte by byte), closed (without a length)
#     lie         a randomness that is not the signature's hash
#     other       another signature, with its hash: "other WORD" for more of
#                 them
#     wrong       another round
#     early       404, always;  late N: 404 in the first N ms of a round
#     status N    that status, and a good body
#     redirect    302
#     garbage     no HTTP;  html: no JSON
#     huge        a body of 1 MB;  head: a head of 1 MB
#     cut         half of a good response
#     hangup      no response
#     stall       never anything
#
#     $relay->requests      numbers of the rounds that were asked for
#     $relay->stop  $relay->start
#     Loyalty::FakeRelay::signature($round, $word)      bytes
#     Loyalty::FakeRelay::round_at($seconds)  newest round then

use strict;
use warnings;

use Digest::SHA qw(sha256 sha256_hex);
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(time sleep);

my $chain = '52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971';

my %real = (
    123 => 'b75c69d0b72a5d906e854e808ba7e2accb1542ac355ae486d591aa9d43765482'
         . 'e26cd02df835d3546d23c4b13e0dfc92',
    1000 => 'b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125'
          . 'e342b73a8dd2bacbe47e4b6b63ed5e39',
    657413 => 'b713718a38ae728dfd477991af2822e08d2f305e47718cef9f7848ce4050e7'
            . 'be41076862b98fad56e91a6b85b89cd97b',
    4810223 => 'a276c597d6525953db73c02713eac9409e847f5c696898d6f5827a41926dd'
             . 'face6133b0da770947a5f1151131a197142',
    14517013 => '83236a954108c9de257b6a10c838f3e3f215eb3bd25c2261f42b4a6204d6'
              . 'b00a3f216b8d88dcd7947cba97d39f2e16c5',
);


sub new {
    my ($class, $t, $name) = @_;

    my $self = bless {
        t => $t, name => $name, port => $t->port($name), owner => $$,
        log => $t->dir . "/relay-$name.log",
        file => $t->dir . "/relay-$name.mode",
    }, $class;

    $self->mode('ok');

    return $self->start;
}


sub start {
    my ($self) = @_;

    my $listen = IO::Socket::INET->new(Listen => 64, ReuseAddr => 1,
        LocalAddr => '127.0.0.1', LocalPort => $self->{port})
        or die "cannot listen for FakeRelay: $!\n";

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
                close $listen;
                eval { $self->_serve($sock) };
                print STDERR "FakeRelay: $@" if $@;
                POSIX::_exit(0);
            }
        }
    }

    $self->{pid} = $pid;
    $self->{t}->guard($pid);

    return $self;
}


sub stop {
    my ($self) = @_;

    my $pid = delete $self->{pid} // return;
    kill 'KILL', -$pid, $pid;
    waitpid $pid, 0;
    $self->{t}->unguard($pid) if defined $self->{t};

    return;
}


sub DESTROY {
    my ($self) = @_;

    local ($?, $!);
    $self->stop if $self->{owner} == $$;
    return;
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


sub requests {
    my ($self) = @_;

    open my $fh, '<', $self->{log} or return;
    return map { m{^GET /\S*/public/(\d+) } ? $1 : () } <$fh>;
}


sub round_at {
    my ($t) = @_;
    return int(($t * 1000 - 1692803367000) / 3000) + 1;
}


sub signature {
    my ($round, $word) = @_;

    return pack 'H*', $real{$round} if exists $real{$round} && !defined $word;

    $word //= '';
    return substr sha256("a $round $word") . sha256("b $round $word"), 0, 48;
}


sub _serve {
    my ($self, $sock) = @_;

    $sock->autoflush(1);

    my $head = '';
    while ($head !~ /\r\n\r\n/) {
        sysread($sock, $head, 4096, length $head) or return;

        if ($head !~ /^G/) {
            print {$sock} _http(400, 'Bad Request', "no HTTP\n");
            return;
        }
    }

    open my $log, '>>', $self->{log} or die "$self->{log}: $!";
    syswrite $log, ($head =~ /^([^\r\n]*)/)[0] . " \n";

    open my $fh, '<', $self->{file} or die "$self->{file}: $!";
    my ($mode, $value) = split ' ', scalar <$fh>;

    ($mode, $value) = ($1, $2)
        if $mode eq 'ok' && $head =~ m{^GET /as/(\w+)(?:/([\w.]+))?/$chain/};

    my $response = $self->_response($head, $mode, $value);
    return if !defined $response;

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


sub _response {
    my ($self, $head, $mode, $value) = @_;

    my ($round) = $head =~ m{^GET (?:/[\w.]+)*/$chain/public/(\d+|latest) HTTP/1\.[01]\r\n};
    return _http(404, 'Not Found', "no such path\n") if !defined $round;

    my $newest = round_at(time);
    $round = $newest if $round eq 'latest';
    my $age = (time * 1000 - 1692803367000) - ($round - 1) * 3000;

    if ($mode eq 'stall') { sleep 3600; return }
    return if $mode eq 'hangup';

    sleep $value if $mode eq 'slow';

    return _http(404, 'Not Found', "{}")
        if $round > $newest || $mode eq 'early'
           || $mode eq 'late' && $age < $value;

    my $sig = signature($round, $mode eq 'other' ? $value // 'x' : undef);
    my $randomness = sha256_hex($sig);

    $randomness =~ tr/0-9/1-90/ if $mode eq 'lie';
    $round++ if $mode eq 'wrong';

    my $json = sprintf '{"round":%d,"randomness":"%s","signature":"%s"}',
        $round, $randomness, unpack 'H*', $sig;

    return _mode($mode, $value, $json);
}


sub _mode {
    my ($mode, $value, $json) = @_;

    return "-ERR unknown command\r\n" if $mode eq 'garbage';
    return _http(200, 'OK', "<html>no</html>") if $mode eq 'html';
    return _http(200, 'OK', $json . ' ' x 1000000) if $mode eq 'huge';
    return "HTTP/1.1 200 OK\r\nX: " . 'x' x 1000000 . "\r\n\r\n"
        if $mode eq 'head';
    return "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n"
           . "Content-Length: 0\r\n\r\n" if $mode eq 'redirect';
    return _http($value, 'Status', $json) if $mode eq 'status';
    return substr _http(200, 'OK', $json), 0, 150 if $mode eq 'cut';
    return "HTTP/1.0 200 OK\r\n\r\n$json" if $mode eq 'closed';

    if ($mode eq 'chunked') {
        return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               . join('', map { sprintf "%x\r\n%s\r\n", length, $_ }
                          $json =~ /(.{1,7})/gs)
               . "0\r\n\r\n";
    }

    return _http(200, 'OK', $json);
}


sub _http {
    my ($status, $reason, $body) = @_;

    return "HTTP/1.1 $status $reason\r\nContent-Type: application/json\r\n"
           . 'Content-Length: ' . length($body) . "\r\n\r\n$body";
}


1;
