package Loyalty::Monitor;

# What a test's Redis is asked, as MONITOR tells it: the slots of Redis
# Cluster that each call needs.
#
#     my $m = Loyalty::Monitor->new($t);
#     $m->calls     since the last time: { name => 'event' (without its hash),
#                   keys => [...], slots => how many different ones }; keys are
#                   those that are declared, slots also counts those that the
#                   function uses

use strict;
use warnings;

use IO::Socket::UNIX;


sub new {
    my ($class, $t) = @_;
    my $socket = IO::Socket::UNIX->new($t->dir . '/redis.sock')
        or die "no Redis: $!\n";

    print {$socket} "MONITOR\r\n";
    <$socket> =~ /^\+OK/ or die "no MONITOR\n";

    return bless { t => $t, socket => $socket, n => 0 }, $class;
}


# CRC-16 XMODEM of what is in braces, modulo 16384

sub slot {
    my ($key) = @_;
    my $crc = 0;

    $key = $1 if $key =~ /\{([^}]+)\}/;

    for my $byte (unpack 'C*', $key) {
        $crc ^= $byte << 8;
        $crc = ($crc << 1 ^ ($crc & 0x8000 ? 0x1021 : 0)) & 0xffff
            for 1 .. 8;
    }

    return $crc % 16384;
}


sub calls {
    my ($self) = @_;
    my $mark = "monitor $$ " . $self->{n}++;
    my $socket = $self->{socket};
    my @calls;

    $self->{t}->redis->call('ECHO', $mark);

    while (my $line = <$socket>) {
        last if index($line, qq("$mark")) > 0;

        my ($lua) = $line =~ /\[\d+ (lua)\]/;
        my @words = map { s/\\x([0-9a-f]{2})/chr hex $1/ger }
                    $line =~ /"((?:[^"\\]|\\.)*)"/g;

        if (lc $words[0] eq 'fcall' || lc $words[0] eq 'fcall_ro') {
            my @keys = @words[3 .. 2 + $words[2]];
            my ($name) = $words[1] =~ /^(\w+)_[0-9a-f]{12}$/;

            push @calls, { name => $name, keys => \@keys,
                           at => { map { slot($_) => 1 } @keys } };

        } elsif ($lua && @calls && @words > 1) {
            $calls[-1]{at}{ slot($words[1]) } = 1;
        }
    }

    $_->{slots} = keys %{ $_->{at} } for @calls;

    return @calls;
}


1;
