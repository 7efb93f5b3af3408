package Loyalty::RESP;

# A client for Redis in core Perl: commands out, replies in.
#
#     my $redis = Loyalty::RESP->new('unix:/run/redis.sock', timeout => 5);
#     my $redis = Loyalty::RESP->new('127.0.0.1:6379', user => ..,
#                                    password => .., db => 0);
#     $redis->call('SET', 'key', $bytes);      # the reply; dies of an error
#     $redis->pipeline(['GET', 'a'], ['GET', 'b']);
#
# Everything is bytes.  A reply is a string, undef (nil), a number as Redis
# wrote it, or a reference to an array of replies.  call() dies with
# "Redis: MESSAGE"; pipeline() returns errors as Loyalty::RESP::Error
# objects, whose string is the message.

use strict;
use warnings;

use IO::Socket::INET;
use IO::Socket::UNIX;
use Socket qw(SOCK_STREAM);
use Time::HiRes qw(time);

our $MAX_DEPTH = 32;


sub new {
    my ($class, $where, %opt) = @_;

    my $self = bless {
        where => $where, timeout => $opt{timeout} // 10, buf => '',
    }, $class;

    $self->{sock} = $where =~ /^unix:(.*)/s
        ? IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $1)
        : IO::Socket::INET->new(PeerAddr => $where, Proto => 'tcp',
                                Timeout => $self->{timeout});

    defined $self->{sock} or die "cannot connect to $where: $!\n";
    binmode $self->{sock};

    if (defined $opt{password}) {
        $self->call('AUTH', defined $opt{user} ? $opt{user} : (),
                    $opt{password});
    }

    $self->call('SELECT', $opt{db}) if $opt{db};

    return $self;
}


sub call {
    my ($self, @args) = @_;

    my ($reply) = $self->pipeline(\@args);

    die "Redis: $$reply\n" if ref $reply eq 'Loyalty::RESP::Error';

    return $reply;
}


sub pipeline {
    my ($self, @commands) = @_;

    # not more in flight than fits the sockets' buffers both ways
    my @replies;
    while (my @some = splice @commands, 0, 500) {
        $self->write(join '', map { _format(@$_) } @some);
        push @replies, map { $self->read_reply } @some;
    }

    return @replies;
}


# bytes as they are, for tests that speak out of turn
sub write {
    my ($self, $bytes) = @_;
    my $off = 0;

    local $SIG{PIPE} = 'IGNORE';

    while ($off < length $bytes) {
        my $n = syswrite $self->{sock}, $bytes, length($bytes) - $off, $off;
        defined $n or die "write to $self->{where}: $!\n";
        $off += $n;
    }

    return;
}


sub read_reply {
    my ($self, $depth) = @_;

    $depth = ($depth // 0) + 1;
    die "reply is nested too deep\n" if $depth > $MAX_DEPTH;

    my $line = $self->_line;
    my $type = substr $line, 0, 1, '';

    return $line if $type eq '+' || $type eq ':';
    return bless \$line, 'Loyalty::RESP::Error' if $type eq '-';

    die "unexpected reply \"$type$line\"\n"
        if $type !~ /^[\$*]\z/ || $line !~ /^-?\d+\z/;

    return undef if $line < 0;
    return [ map { $self->read_reply($depth) } 1 .. $line ] if $type eq '*';

    my $bulk = $self->_take($line + 2);
    substr $bulk, -2, 2, '';

    return $bulk;
}


sub _format {
    return join '', '*', scalar @_, "\r\n",
        map { ('$', length, "\r\n", $_, "\r\n") } map { "$_" } @_;
}


sub _line {
    my ($self) = @_;
    my $end;

    while (($end = index $self->{buf}, "\r\n") < 0) {
        $self->_fill;
    }

    my $line = substr $self->{buf}, 0, $end + 2, '';
    return substr $line, 0, -2;
}


sub _take {
    my ($self, $n) = @_;

    $self->_fill while length $self->{buf} < $n;

    return substr $self->{buf}, 0, $n, '';
}


sub _fill {
    my ($self) = @_;
    my $bits = '';

    vec($bits, fileno $self->{sock}, 1) = 1;

    select(my $ready = $bits, undef, undef, $self->{timeout})
        or die "no reply from $self->{where} in $self->{timeout} s\n";

    my $n = sysread $self->{sock}, $self->{buf}, 65536, length $self->{buf};

    die "read from $self->{where}: $!\n" if !defined $n;
    die "$self->{where} closed the connection\n" if $n == 0;

    return;
}


package Loyalty::RESP::Error;

use overload '""' => sub { ${ $_[0] } }, fallback => 1;


1;
