package Loyalty::Bench::Members;

# Two Redis servers, with 1,000 and with 1,000,000 members of the same state,
# and batches in turn for the one and the other: each batch is 1,000 new
# events of 1,000 members.
#
#     my %seconds = Loyalty::Bench::Members::measure($bench, $batches);
#         small => [seconds of a batch, ...], large => [...]
#
# Members are not made by events, which would take a minute, but copied: a
# state does not know whose it is.  Before each batch 1,000 members are put
# into that state again: of the few those that the batch is for, so that they
# do not grow; of the many others, so that it finds its own as they were.

use strict;
use warnings;

use Compress::Zlib ();
use IO::Socket::UNIX;
use Socket qw(SOCK_STREAM);
use Time::HiRes qw(time);

use Loyalty::Bench;
use Loyalty::Bench::Work;
use Loyalty::HTTP;
use Loyalty::Purchases;

my %MEMBERS = (small => 1000, large => 1_000_000);
my $LINES = 1000;
my $EVENTS = 4;                 # that a member's state comes from


sub measure {
    my ($bench, $batches) = @_;
    my %redis = map { $_ => Loyalty::Bench::redis_server() } keys %MEMBERS;
    my $nginx = $bench->module_nginx(
        map { $_ => $Loyalty::Bench::RULES, $redis{$_} } sort keys %redis);
    my (%sock, %members, %seconds, %value);

    for my $name (sort keys %MEMBERS) {
        $bench->say("making $MEMBERS{$name} members");

        $value{$name} = _template($nginx->port($name), $redis{$name});
        _copy($redis{$name}, $name, $value{$name},
              map { sprintf '%07d', $_ } 1 .. $MEMBERS{$name});

        $sock{$name} = Loyalty::HTTP::dial('127.0.0.1:'
                                           . $nginx->port($name));
        $members{$name} = _order($MEMBERS{$name}, $batches);
    }

    for my $round (0 .. $batches) {
        for my $name (sort keys %MEMBERS) {
            my @chosen = map { sprintf '%07d', $_ }
                         splice @{$members{$name}}, 0, $LINES;
            my @again = $name eq 'small' ? @chosen
                      : map { sprintf '%07d', $_ } 1 .. $LINES;

            _copy($redis{$name}, $name, $value{$name}, @again);

            my $took = _batch($sock{$name}, $round, @chosen);

            # the first one finds nothing where it will be
            push @{$seconds{$name}}, $took if $round > 0;
        }
    }

    for my $name (sort keys %MEMBERS) {
        my $has = $redis{$name}->redis->call('DBSIZE');
        $has > $MEMBERS{$name} or die "$name: only $has keys\n";
        $redis{$name}->redis_stop;
    }

    $nginx->stop;

    return %seconds;
}


# enough members for all batches, each as often as any other
sub _order {
    my ($n, $batches) = @_;
    my $wanted = ($batches + 1) * $LINES;
    my @order;

    if ($n == $LINES) {
        push @order, @{ Loyalty::Purchases::shuffled([1 .. $n], $_) }
            for 0 .. $batches;
        return \@order;
    }

    my $random = Loyalty::Purchases::generator(3);
    my %seen;

    while (@order < $wanted) {
        my $member = $LINES + 1 + $random->($n - $LINES);
        push @order, $member if !$seen{$member}++;
    }

    return \@order;
}


sub _event {
    my ($id, $member, $day) = @_;

    return sprintf '{"id":"%s","member":"%s","type":"purchase",'
                   . '"at":"1997-03-%02dT12:00:00Z","amount":"25.%02d"}' . "\n",
           $id, $member, $day, $day;
}


# what a member is after a few events
sub _template {
    my ($port, $redis) = @_;
    my $body = join '', map { _event("e$_", 'template', 2 * $_) }
                        1 .. $EVENTS;

    _post(Loyalty::HTTP::dial("127.0.0.1:$port"), $body, $EVENTS);

    my ($key) = @{ $redis->redis->call('KEYS', '*:m:8:template') };

    return $redis->redis->call('GET', $key);
}


# The tag of a partition is found by asking nobody: the numbers behind the
# partition are those that docs/internals.md says.
my %tags;

sub _key {
    my ($program, $member) = @_;
    my $p = Compress::Zlib::crc32($member) % 64;

    return ($tags{$program}{$p} //= _tag($program, $p))
           . ':m:' . length($member) . ":$member";
}


sub _tag {
    my ($program, $p) = @_;

    for (my $n = 0; ; $n++) {
        return "{$program:$p.$n}" if _slot("$program:$p.$n") >> 8 == $p;
    }
}


# Redis Cluster's: CRC-16 XMODEM modulo 16384
sub _slot {
    my ($text) = @_;
    my $crc = 0;

    for my $byte (unpack 'C*', $text) {
        $crc ^= $byte << 8;
        for (1 .. 8) {
            $crc = $crc & 0x8000 ? ($crc << 1 ^ 0x1021) & 0xffff
                                 : ($crc << 1) & 0xffff;
        }
    }

    return $crc % 16384;
}


sub _copy {
    my ($redis, $program, $value, @members) = @_;
    my $tail = "\r\n\$" . length($value) . "\r\n$value\r\n";
    my $sock = IO::Socket::UNIX->new(Type => SOCK_STREAM,
        Peer => Loyalty::Bench::socket_of($redis)) or die "Redis: $!\n";

    while (my @some = splice @members, 0, 1000) {
        my $n = @some;

        print {$sock} join '', map {
            my $key = _key($program, $_);
            "*3\r\n\$3\r\nSET\r\n\$" . length($key) . "\r\n$key$tail"
        } @some;
        $sock->flush;

        my $replies = '';
        while (length $replies < 5 * $n) {
            sysread $sock, $replies, 1 << 16, length $replies
                or die "Redis ended\n";
        }

        $replies eq "+OK\r\n" x $n or die "Redis: $replies\n";
    }

    return;
}


sub _batch {
    my ($sock, $round, @members) = @_;
    my $id = 0;
    my $body = join '', map { _event(sprintf('b%d.%d', $round, ++$id), $_, 20)
                        } @members;

    return _post($sock, $body, scalar @members);
}


# the seconds it took; every line must have been new
sub _post {
    my ($sock, $body, $lines) = @_;
    my $request = Loyalty::Bench::Work::post('application/x-ndjson', $body);
    my $start = time;
    my ($response) = Loyalty::HTTP::exchange(30, [$sock, $request]);
    my $took = time - $start;
    my $new = () = $response->body =~ /^\{"status":200,.*?"duplicate":false/mg;

    $new == $lines or die "only $new of $lines lines are new: ",
                          substr($response->body, 0, 300), "\n";

    return $took;
}


1;
