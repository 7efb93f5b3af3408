package Loyalty::H2;

# Enough HTTP/2 in core Perl to send requests and to break them off.
#
#     my $h2 = Loyalty::H2->new($sock);           # preface and settings
#     my $id = $h2->request('POST', '/x', $body, %headers);
#     my $id = $h2->headers($last, ':method' => 'POST', ...);
#     $h2->data($id, $bytes, $last);          # as fast as the server takes it
#     $h2->reset($id);
#     my $r = $h2->response($id, $seconds);   # status, body; undef: none

use strict;
use warnings;

use Time::HiRes qw(time);

use constant { DATA => 0, HEADERS => 1, RST_STREAM => 3, SETTINGS => 4,
               GOAWAY => 7, WINDOW_UPDATE => 8 };


sub new {
    my ($class, $sock) = @_;
    my $self = bless { sock => $sock, next => 1, in => '', streams => {},
                       initial => 65535, window => 65535 }, $class;

    $self->_write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    # a window that needs no care, for the streams and for the connection
    $self->frame(SETTINGS, 0, 0, pack 'nN', 4, 0x7fffffff);
    $self->frame(WINDOW_UPDATE, 0, 0, pack 'N', 0x7fff0000);

    return $self;
}


sub frame {
    my ($self, $type, $flags, $id, $payload) = @_;

    return $self->_write(substr(pack('N', length $payload), 1)
                         . pack('CCN', $type, $flags, $id) . $payload);
}


sub headers {
    my ($self, $last, @headers) = @_;
    my $id = $self->{next};
    my $block = '';

    $self->{next} += 2;
    $self->{streams}{$id} = { window => $self->{initial} };

    while (my ($name, $value) = splice @headers, 0, 2) {
        $block .= "\0" . _string($name) . _string($value);
    }

    $self->frame(HEADERS, 4 | ($last ? 1 : 0), $id, $block);

    return $id;
}


sub data {
    my ($self, $id, $bytes, $last) = @_;
    my @pieces = $bytes eq '' ? '' : unpack '(a16384)*', $bytes;
    my $stream = $self->{streams}{$id};

    while (defined(my $piece = shift @pieces)) {
        my $n = length $piece;

        while ($n > $stream->{window} || $n > $self->{window}) {
            return if $stream->{end} || !$self->_read(10);
        }

        $_->{window} -= $n for $self, $stream;
        $self->frame(DATA, $last && !@pieces ? 1 : 0, $id, $piece);
    }

    return;
}


sub request {
    my ($self, $method, $path, $body, %headers) = @_;

    my $id = $self->headers(!defined $body, ':method' => $method,
        ':path' => $path, ':scheme' => 'http', ':authority' => 'localhost',
        %headers);
    $self->data($id, $body, 1) if defined $body;

    return $id;
}


sub reset {
    my ($self, $id) = @_;

    return $self->frame(RST_STREAM, 0, $id, pack 'N', 8);
}


sub response {
    my ($self, $id, $seconds) = @_;
    my $deadline = time + ($seconds // 10);

    my $stream = $self->{streams}{$id};

    until ($stream->{end}) {
        return if !$self->_read($deadline - time);
    }

    return defined $stream->{status}
         ? { status => $stream->{status}, body => $stream->{body} // '' }
         : undef;
}


sub _read {
    my ($self, $left) = @_;
    my $rin = '';

    vec($rin, fileno $self->{sock}, 1) = 1;

    return if $left <= 0 || !select $rin, undef, undef, $left;
    return if !sysread $self->{sock}, $self->{in}, 65536, length $self->{in};

    $self->_parse;

    return 1;
}


sub _parse {
    my ($self) = @_;

    while (length $self->{in} >= 9) {
        my ($len, $type, $flags, $id)
            = unpack 'NCCN', "\0" . substr $self->{in}, 0, 9;

        last if length $self->{in} < 9 + $len;

        my $payload = substr $self->{in}, 9, $len;
        substr $self->{in}, 0, 9 + $len, '';

        my $stream = $id ? $self->{streams}{$id} // {} : $self;

        if ($type == DATA) {
            $stream->{body} .= $payload;
        } elsif ($type == HEADERS) {
            $stream->{status} = _status($payload);
        } elsif ($type == SETTINGS && !($flags & 1)) {
            my %set = unpack '(nN)*', $payload;
            $self->_initial($set{4}) if defined $set{4};
            $self->frame(SETTINGS, 1, 0, '');
        } elsif ($type == WINDOW_UPDATE) {
            $stream->{window} += unpack 'N', $payload;
        } elsif ($type == RST_STREAM) {
            $stream->{end} = 1;
        } elsif ($type == GOAWAY) {
            $_->{end} = 1 for values %{$self->{streams}};
        }

        $stream->{end} = 1 if ($type == DATA || $type == HEADERS)
                           && $flags & 1;
    }

    return;
}


# it holds for the streams that are open, too
sub _initial {
    my ($self, $size) = @_;

    $_->{window} += $size - $self->{initial} for values %{$self->{streams}};
    $self->{initial} = $size;

    return;
}


# :status is the first of nginx's headers: indexed, or a literal
sub _status {
    my ($block) = @_;
    my %static = (8 => 200, 9 => 204, 10 => 206, 11 => 304, 12 => 400,
                  13 => 404, 14 => 500);
    my $first = ord $block;

    return $static{$first & 0x7f} if $first & 0x80;
    return substr $block, 2, ord substr $block, 1;
}


sub _string {
    my ($text) = @_;
    my $n = length $text;
    my $head = $n < 127 ? chr $n : chr 127;

    for ($n -= 127; $n >= 0; $n >>= 7) {
        $head .= chr($n & 0x7f | ($n > 127 ? 0x80 : 0));
        last if $n < 128;
    }

    return $head . $text;
}


sub _write {
    my ($self, $bytes) = @_;

    while (length $bytes) {
        my $n = syswrite $self->{sock}, $bytes;
        return if !defined $n;
        substr $bytes, 0, $n, '';
    }

    return 1;
}


1;
