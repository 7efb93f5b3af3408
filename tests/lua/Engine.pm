package Engine;

# Calls the library's functions in a private Redis as nginx does, without
# nginx: arguments in msgpack, as docs/internals.md lays them down.
#
#     my $e = Engine->new;
#     my $r = $e->event('member', id => 'a', at => $ms, amount => 1250,
#                       rules => [[$blob, @dynamic], ...]);
#     $r->{code} or $r->{dup}, $r->{entries} (a list of lists), $r->{balances}
#     $e->reverse('member', id => 'r1', of => 'a', amount => ..)
#     $e->state('member')                   the decoded head
#     $e->call('function', [keys], [arguments])    what it replies
#
# An award into another game's slot takes keys => [...] and targets => [...].
# With Engine->new(clock => $ms) the library believes clock($ms, $off).
#
# In what is sent, a reference to a scalar is a string, a plain scalar a
# number, undef nil.

use strict;
use warnings;

use File::Temp ();
use FindBin ();
use IO::Handle;
use POSIX ();
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/../../bin/lib", "$FindBin::Bin/../../t/lib";
use Loyalty::MsgPack;
use Loyalty::RESP;

use parent 'Loyalty::Child';

our $NOW = 1_700_000_000_000;


sub new {
    my ($class, %opt) = @_;
    my $dir = File::Temp->newdir;
    my $lib = ($ENV{LOYALTY_BUILD} // "$FindBin::Bin/../../build")
              . '/loyalty.lua';

    open my $fh, '<:raw', $lib or die "$lib: $!\n";
    my $source = do { local $/; <$fh> };

    # Redis's clock is then what the test says: see clock()
    $opt{clock} and $source =~ s/= call\('TIME'\)/= call('LRANGE', 'clock',
                                                          0, 1)/
        || die "the library has no clock\n";

    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        open STDOUT, '>', "$dir/log";
        exec($ENV{LOYALTY_REDIS_SERVER} || 'redis-server', '--port', 0,
             '--unixsocket', "$dir/s", '--save', '', '--dir', "$dir")
            or POSIX::_exit(1);
    }

    # the socket is there a moment before it is listened to

    my $redis;

    for (1 .. 200) {
        $redis = eval { Loyalty::RESP->new("unix:$dir/s") } and last;
        sleep 0.05;
    }

    if (!$redis) {
        kill 'KILL', $pid;
        die "Redis does not start: $@";
    }

    my ($hash) = (eval { $redis->call('FUNCTION', 'LOAD', $source) } // '')
                 =~ /_(\w+)$/;

    if (!$hash) {
        kill 'KILL', $pid;
        die "the library does not load: $@";
    }

    my $self = bless {
        dir => $dir, pid => $pid, redis => $redis, hash => $hash, now => $NOW,
        owner => $$, remember => 90 * 86400e3, age => 7 * 86400e3,
        feed_max => 1000, wallets => ['WPTS', 0], tiers => [], %opt,
    }, $class;

    $self->clock($opt{clock}) if $opt{clock};

    return $self;
}


# sets the clocks of nginx and of Redis, which may be off by some ms

sub clock {
    my ($self, $ms, $off) = @_;
    my $redis = $ms + ($off // 0);

    $self->{now} = $ms;
    $self->{redis}->call('DEL', 'clock');
    $self->{redis}->call('RPUSH', 'clock', int($redis / 1000),
                         $redis % 1000 * 1000);
}


# references to scalars become strings, the rest numbers

sub plain {
    my ($v) = @_;

    return $v if !defined $v;
    return [map { plain($_) } @$v] if ref $v eq 'ARRAY';
    return ref $v ? "$$v" : $v + 0;
}


sub encode { return Loyalty::MsgPack::encode(plain($_[0])) }


# one value off the front of $$s

sub decode {
    my ($s) = @_;
    my ($value, $behind) = Loyalty::MsgPack::decode_at($$s, 0);

    substr $$s, 0, $behind, '';
    return unbool($value);
}


sub unbool {
    my ($v) = @_;

    return [map { unbool($_) } @$v] if ref $v eq 'ARRAY';
    return { map { $_ => unbool($v->{$_}) } keys %$v } if ref $v eq 'HASH';
    return ref $v ? $$v : $v;
}


# values one after another, as arguments go

sub values_of { return join '', map { encode($_) } @_ }


sub blob { my $b = encode($_[0]); return \$b }

sub needle { return \(chr(length $_[0]) . $_[0]) }


sub keys_of {
    my ($self, $member) = @_;
    my $tag = '{shop:0.0}';
    return ("$tag:m:$member", "$tag:x:$member", "$tag:feed", "$tag:al");
}


sub constants {
    my ($self) = @_;
    my @tiers = map { ref ? $_ : $_ } @{ $self->{tiers} };
    my @w = @{ $self->{wallets} };

    $_ % 2 == 0 and $w[$_] = \"$w[$_]" for 0 .. $#w;
    $_ % 3 == 2 and $tiers[$_] = \"$tiers[$_]" for 0 .. $#tiers;

    return blob([\'PROG', $self->{remember}, $self->{feed_max}, \@w, \@tiers,
                 $self->{age}]);
}


sub rest {
    my ($self, $at, $fp) = @_;
    my $acc = int($self->{now} / 1000);
    return \(pack('nNN', int($at / 2**32), $at % 2**32, $acc)
             . substr("$fp......", 0, 6));
}


sub fcall {
    my ($self, $fn, $member, $arg, @more) = @_;

    return parse($self->call($fn, [$self->keys_of($member), @more], $arg));
}


sub call {
    my ($self, $fn, $keys, $arg) = @_;

    return $self->{redis}->call('FCALL', "${fn}_$self->{hash}",
                                scalar @$keys, @$keys, values_of(@$arg));
}


sub event {
    my ($self, $member, %e) = @_;
    my $at = $e{at} // $self->{now};
    my @rules = map { my ($b, @d) = @$_; (blob($b), @d) } @{ $e{rules} // [] };
    my @items = @{ $e{items} // [] };

    for (my $i = 0; $i < @items; $i += 4) {
        $items[$i] = \"$items[$i]";
        $items[$i + 1] = \"$items[$i + 1]";
    }

    return $self->fcall('event', $member, [
        $self->{now}, $at, needle($e{id}), $self->rest($at, $e{fp} // ''),
        \substr(($e{type} // 'buy') . '    ', 0, 4), \($e{type} // 'buy'),
        $e{amount}, @items ? \@items : undef, \"$member", $self->constants,
        scalar @{ $e{rules} // [] }, @rules, $e{targets},
    ], @{ $e{keys} // [] });
}


sub reverse {
    my ($self, $member, %e) = @_;
    my @items = @{ $e{items} // [] };

    for (my $i = 0; $i < @items; $i += 4) {
        $items[$i] = \"$items[$i]";
        $items[$i + 1] = \"$items[$i + 1]";
    }

    return $self->fcall('reverse', $member, [
        $self->{now}, needle($e{id}),
        $self->rest($self->{now}, $e{fp} // ''), needle($e{of}), $e{amount},
        @items ? \@items : undef, \"$member", $self->constants,
        $e{targets},
    ], @{ $e{keys} // [] });
}


my %SIZE = (1 => 3, 3 => 4, 4 => 2, 7 => 4, 8 => 6, 9 => 2, 10 => 2, 11 => 3,
            12 => 3, 13 => 2, 14 => 7, 15 => 7, 16 => 4, 17 => 2, 18 => 2,
            19 => 2, 20 => 2, 21 => 3);

sub entries {
    my ($flat) = @_;
    my @out;

    while (my $k = shift @$flat) {
        my $n = $k == 2 ? 2 + $flat->[1] : $k == 5 ? 5 + 2 * $flat->[4]
              : $k == 6 ? 3 + 2 * $flat->[2] : $SIZE{$k} // die "entry $k\n";
        push @out, [$k, splice @$flat, 0, $n];
    }

    return \@out;
}


sub record {
    my ($bytes) = @_;
    my $n = unpack 'n', substr $bytes, 0, 2, '';
    my $idlen = ord $bytes;
    my $body = substr $bytes, 17 + $idlen, $n - 17 - $idlen;
    my @b;
    push @b, decode(\$body) while length $body;
    my ($seq, $prog, $type, $amount, $mult, $items, $rev) = splice @b, 0, 7;
    my $entries = entries(\@b);
    my @balances = @b;

    return {
        id => substr($bytes, 1, $idlen), seq => $seq, amount => $amount,
        type => $type, multiplier => $mult, reversed => $rev,
        items => $items, balances => \@balances, entries => $entries,
        size => $n + 2,
    };
}


sub hashes {
    my ($r) = @_;
    my ($nw, $ns) = unpack 'Cn', substr $$r, 0, 3, '';
    my @w = unpack '(a4)*', substr $$r, 0, 4 * $nw, '';
    my @s = unpack '(a4)*', substr $$r, 0, 4 * $ns, '';
    return (\@w, \@s);
}


sub parse {
    my ($r) = @_;
    my $kind = substr $r, 0, 1, '';

    return { code => $r, entries => [] } if $kind eq 'E';

    my ($w, $s) = hashes(\$r);

    return { %{ record($r) }, wallets => $w, slots => $s,
             dup => $kind eq 'D' ? 1 : 0 };
}


sub states_of {
    my ($st) = @_;
    my @values;

    return $st && substr $st, 1 if !$st || ord $st == 0xc1;

    push @values, decode(\$st) while length $st;
    return \@values;
}


# the member: head, with states by the rule's hash, and records

sub state {
    my ($self, $member) = @_;
    my ($key, $x) = $self->keys_of($member);
    my $raw = $self->{redis}->call('GET', $key) // return;
    my @h = map { decode(\$raw) } 1 .. 7;
    my @slots = unpack '(a4)*', $h[6];
    my @wallets = map { decode(\$raw) } 1 .. length $h[5];
    my @states = map { states_of(decode(\$raw)) } @slots;
    my @records;

    while (length $raw) {
        my $n = 2 + unpack 'n', $raw;
        push @records, record(substr $raw, 0, $n, '');
    }

    my %x = @{ $self->{redis}->call('HGETALL', $x) };
    my @old = map { record($x{"s$_"}) } $h[3] ? $h[3] .. $h[1] - $h[4] : ();

    return {
        seq => $h[1], alias => $h[2], oldest => $h[3], kept => $h[4],
        wallets => \@wallets, whashes => [unpack '(a4)*', $h[5]],
        states => { map { $slots[$_] => $states[$_] } 0 .. $#slots },
        records => \@records, old => \@old, overflow => \%x,
    };
}


sub balance {
    my ($self, $member) = @_;
    my $st = $self->state($member);
    return $st ? $st->{wallets}[0] // 0 : 0;
}


# opening + points of all records, which must be the balance

sub ledger {
    my ($self, $member) = @_;
    my $st = $self->state($member) // return 0;
    my $sum = $st->{wallets}[2] // 0;

    for my $r (@{ $st->{old} }, @{ $st->{records} }) {
        $_->[0] == 1 && $_->[1] == 1 and $sum += $_->[2]
            for @{ $r->{entries} };
    }

    return $sum;
}


sub raw { my ($self, @args) = @_; return $self->{redis}->call(@args) }


1;
