package Loyalty::Client;

# An HTTP client for a great many small requests: a few connections kept
# open, several requests under way on each (HTTP/1.1 pipelining).
#
#     my $client = Loyalty::Client->new(port => 8080, connections => 4,
#                                       depth => 16);
#     $client->run(sub {                # the next request, or nothing
#         return ($tag, 'GET', '/path', undef, 'X-Member' => 'm');
#     }, sub {
#         my ($tag, $status, $body) = @_;
#     });
#
# Answers come in the order of the requests on each connection; with
# connections => 1 in the order of all.  A broken response or a connection
# that ends dies.

use strict;
use warnings;

use IO::Socket::INET;

my $SECONDS = 120;              # without a byte


sub new {
    my ($class, %arg) = @_;

    return bless { host => '127.0.0.1', connections => 1, depth => 1, %arg },
                 $class;
}


sub run {
    my ($self, $next, $answer) = @_;
    my @open = map { $self->_connect } 1 .. $self->{connections};
    my $more = 1;

    local $SIG{PIPE} = 'IGNORE';

    while (1) {
        for my $conn (@open) {
            while ($more && @{$conn->{waiting}} < $self->{depth}) {
                my ($tag, @request) = $next->();
                $more = defined $tag or last;
                push @{$conn->{waiting}}, $tag;
                $conn->{out} .= $self->_format(@request);
            }
        }

        my @busy = grep { @{$_->{waiting}} } @open;
        return if !@busy;

        $self->_wait(\@busy, $answer);
    }
}


sub _connect {
    my ($self) = @_;

    my $sock = IO::Socket::INET->new(
        PeerAddr => "$self->{host}:$self->{port}", Proto => 'tcp')
        or die "cannot connect to port $self->{port}: $!\n";

    $sock->blocking(0);

    return { sock => $sock, in => '', out => '', waiting => [] };
}


sub _format {
    my ($self, $method, $uri, $body, %headers) = @_;

    $headers{'Content-Length'} = length $body if defined $body;

    return join '', "$method $uri HTTP/1.1\r\nHost: localhost\r\n",
                (map { "$_: $headers{$_}\r\n" } keys %headers), "\r\n",
                $body // '';
}


sub _wait {
    my ($self, $busy, $answer) = @_;
    my ($r, $w) = ('', '');

    for my $conn (@$busy) {
        vec($r, fileno $conn->{sock}, 1) = 1;
        vec($w, fileno $conn->{sock}, 1) = 1 if length $conn->{out};
    }

    select($r, $w, undef, $SECONDS) or die "no answer in $SECONDS s\n";

    for my $conn (@$busy) {
        my $fd = fileno $conn->{sock};

        if (vec $w, $fd, 1) {
            my $n = syswrite $conn->{sock}, $conn->{out};
            substr($conn->{out}, 0, $n) = '' if defined $n;
        }

        if (vec $r, $fd, 1) {
            my $n = sysread $conn->{sock}, $conn->{in}, 1 << 20,
                            length $conn->{in};
            next if !defined $n && $!{EAGAIN};
            die "the connection ended\n" if !$n;
            _answers($conn, $answer);
        }
    }

    return;
}


sub _answers {
    my ($conn, $answer) = @_;
    my $pos = 0;

    while (1) {
        my $end = index $conn->{in}, "\r\n\r\n", $pos;
        last if $end < 0;

        my $head = substr $conn->{in}, $pos, $end - $pos;
        my ($status) = $head =~ m{^HTTP/1\.1 (\d{3}) }
            or die "not a response: $head\n";
        my ($size) = $head =~ /^Content-Length: (\d+)\r?$/mi
            or die "a response without a length: $head\n";

        last if length($conn->{in}) < $end + 4 + $size;

        $answer->(shift @{$conn->{waiting}}, $status,
                  substr($conn->{in}, $end + 4, $size));
        $pos = $end + 4 + $size;
    }

    substr($conn->{in}, 0, $pos) = '' if $pos;

    return;
}


1;
