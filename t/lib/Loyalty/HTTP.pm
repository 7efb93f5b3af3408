package Loyalty::HTTP;

# An HTTP/1.1 client for tests, in core Perl.  It sends exactly what it is
# told to, reads several responses at once, and never hides a broken one.
#
#     my $sock = Loyalty::HTTP::dial('127.0.0.1:8080');
#     my $text = Loyalty::HTTP::format_request('POST', '/x', $body, %headers);
#     my @responses = Loyalty::HTTP::exchange($timeout, [$sock, $text], ...);
#
# A response: ->status (0: none came), ->header('Name'), ->body, ->json
# (decoded, undef when it is no JSON), ->lines (NDJSON, decoded), ->code (of
# a problem), ->raw, ->error ("timeout", "closed", undef).

use strict;
use warnings;

use IO::Socket::INET;
use IO::Socket::UNIX;
use JSON::PP ();
use Socket qw(SOCK_STREAM);
use Time::HiRes qw(time);

my $json = JSON::PP->new->utf8->allow_nonref->canonical;


sub dial {
    my ($where, $timeout) = @_;

    my $sock = $where =~ /^unix:(.*)/s
        ? IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $1)
        : IO::Socket::INET->new(PeerAddr => $where, Proto => 'tcp',
                                Timeout => $timeout // 10);

    defined $sock or die "cannot connect to $where: $!\n";
    binmode $sock;

    return $sock;
}


# headers given as undef are left out: Host and Content-Length too
sub format_request {
    my ($method, $uri, $body, %given) = @_;

    my %headers = ('Host' => 'localhost', 'Connection' => 'close');
    if (defined $body) {
        $headers{'Content-Type'} = 'application/json';
        $headers{'Content-Length'} = length $body;
    }

    %headers = (%headers, %given);

    return join '', "$method $uri HTTP/1.1\r\n",
        (map { "$_: $headers{$_}\r\n" }
         grep { defined $headers{$_} } sort keys %headers),
        "\r\n", $body // '';
}


# each request is [socket, bytes]; all at once, one response for each
sub exchange {
    my ($timeout, @requests) = @_;
    my $deadline = time + $timeout;

    my @open = map { {
        sock => $_->[0], out => $_->[1], in => '', n => $_,
        head => scalar($_->[1] =~ /^HEAD /),
    } } @requests;
    my @all = @open;

    local $SIG{PIPE} = 'IGNORE';

    $_->{sock}->blocking(0) for @open;

    while (@open) {
        my ($r, $w) = ('', '');

        for my $conn (@open) {
            vec($r, fileno $conn->{sock}, 1) = 1;
            vec($w, fileno $conn->{sock}, 1) = 1 if length $conn->{out};
        }

        my $left = $deadline - time;
        last if $left <= 0 || !select $r, $w, undef, $left;

        for my $conn (@open) {
            my $fd = fileno $conn->{sock};
            _send($conn) if vec $w, $fd, 1;
            _receive($conn) if vec $r, $fd, 1;
        }

        @open = grep { !defined $_->{response} } @open;
    }

    for my $conn (@open) {
        $conn->{response} = Loyalty::HTTP::Response->new(
            0, {}, '', $conn->{in}, 'timeout');
    }

    $_->{sock}->blocking(1) for @all;

    my @responses = map { $_->{response} } @all;
    return wantarray ? @responses : $responses[0];
}


sub _send {
    my ($conn) = @_;

    my $n = syswrite $conn->{sock}, $conn->{out};

    # a server may answer and close before it has read everything
    substr($conn->{out}, 0, $n // length $conn->{out}) = ''
        if defined $n || !$!{EAGAIN};

    return;
}


sub _receive {
    my ($conn) = @_;

    my $n = sysread $conn->{sock}, $conn->{in}, 65536, length $conn->{in};

    return if !defined $n && $!{EAGAIN};

    my ($response, $used) = parse($conn->{in}, !$n, $conn->{head});

    if (!defined $response && !$n) {
        $response = Loyalty::HTTP::Response->new(
            0, {}, '', $conn->{in}, 'closed');
    }

    $conn->{response} = $response;

    return;
}


# one response at the start of the bytes, and how many it took; an empty
# list when more is to come
sub parse {
    my ($bytes, $eof, $head) = @_;

    my $end = index $bytes, "\r\n\r\n";
    return if $end < 0;

    my ($line, @lines) = split /\r\n/, substr $bytes, 0, $end;
    my ($status) = $line =~ m{^HTTP/1\.[01] (\d{3})(?: |$)} or return;

    my %headers;
    for (@lines) {
        my ($name, $value) = /^([^:\s]+):\s*(.*?)\s*$/ or return;
        $name = lc $name;
        $headers{$name} = defined $headers{$name}
            ? "$headers{$name}, $value" : $value;
    }

    my $from = $end + 4;

    if ($status < 200) {
        my ($response, $used) = parse(substr($bytes, $from), $eof, $head);
        return defined $response ? ($response, $used + $from) : ();
    }

    my ($body, $used);

    if ($head || $status == 204 || $status == 304) {
        ($body, $used) = ('', 0);

    } elsif (($headers{'transfer-encoding'} // '') eq 'chunked') {
        ($body, $used) = _unchunk(substr $bytes, $from) or return;

    } elsif (defined $headers{'content-length'}) {
        $used = $headers{'content-length'};
        return if length($bytes) - $from < $used;
        $body = substr $bytes, $from, $used;

    } else {
        return if !$eof;
        $body = substr $bytes, $from;
        $used = length $body;
    }

    return (Loyalty::HTTP::Response->new($status, \%headers, $body,
                                 substr($bytes, 0, $from + $used), undef),
            $from + $used);
}


sub _unchunk {
    my ($bytes) = @_;
    my ($body, $pos) = ('', 0);

    pos($bytes) = 0;

    while ($bytes =~ /\G([0-9a-fA-F]+)[^\r\n]*\r\n/gc) {
        my $n = hex $1;
        $pos = pos $bytes;

        return if length($bytes) < $pos + $n + 2;
        return ($body, $pos + 2) if $n == 0;

        $body .= substr $bytes, $pos, $n;
        pos($bytes) = $pos + $n + 2;
    }

    return;
}


package Loyalty::HTTP::Response;

sub new {
    my ($class, $status, $headers, $body, $raw, $error) = @_;

    return bless { status => $status, headers => $headers, body => $body,
                   raw => $raw, error => $error }, $class;
}

sub status { return $_[0]{status} }
sub header { return $_[0]{headers}{lc $_[1]} }
sub body   { return $_[0]{body} }
sub raw    { return $_[0]{raw} }
sub error  { return $_[0]{error} }

sub json {
    my ($self) = @_;
    return $self->{json} //= eval { $json->decode($self->{body}) };
}

sub lines {
    my ($self) = @_;
    return map { $json->decode($_) } split /\n/, $self->{body};
}

sub code {
    my ($self) = @_;
    return ref $self->json eq 'HASH' ? $self->json->{code} : undef;
}


1;
