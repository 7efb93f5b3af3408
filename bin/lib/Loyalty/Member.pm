package Loyalty::Member;

# A member as docs/internals.md describes the bytes in Redis, taken apart
# and checked in Perl, without a line of the Lua that wrote them.
#
#     my $m = Loyalty::Member::parse($value);
#     $m->{seq} {alias} {oldest} {kept}
#     $m->{wallets}   [ { hash, balance, lifetime, opening, owed }, ... ]
#     $m->{slots}     [ { hash, state }, ... ]
#     $m->{records}   [ record, ... ], oldest first
#
#     my $r = Loyalty::Member::parse_record($bytes);   # with its length
#     $r->{id} {at} {accepted} {fingerprint} {seq} {program} {type} {amount}
#     {multiplier} {items} {reversed} {balances} {entries}; an entry is
#     [ kind, numbers... ]; {points} is [ sum of each wallet ]
#
#     my ($program, $partition, $kind, $member)
#         = Loyalty::Member::parse_key($key);
#     my $key = Loyalty::Member::key($program, 'm', $member);
#
# Everything dies with one line that says what is wrong.  Hashes are 8 hex
# digits, slots and wallets are counted from 1 in entries and from 0 in the
# lists here.

use strict;
use warnings;

use Loyalty::MsgPack;

our $FORMAT = 1;
our $PARTITIONS = 64;
our $KEPT = 16;                         # most records in the string
our $REST = 16;                         # bytes: at, accepted, fingerprint
our $MAX = 9_007_199_254_740_991;

# how many values stand behind an entry's kind; a list: the place of a count
# and how many values each of what it counts has
my %ENTRY = (
    1 => 3, 2 => [2, 1], 3 => 4, 4 => 2, 5 => [5, 2], 6 => [3, 2], 7 => 4,
    8 => 6, 9 => 2, 10 => 2, 11 => 3, 12 => 3, 13 => 2, 14 => 7, 15 => 7,
    16 => 4, 17 => 2, 18 => 2, 19 => 2, 20 => 2, 21 => 3,
);

# kinds whose first value is a slot, and whose first is a wallet
my %SLOT = map { $_ => 1 } 2 .. 9, 12, 14 .. 19, 21;
my %WALLET = (1 => 1, 13 => 1);


sub parse {
    my ($bytes) = @_;

    my $behind = 0;
    my $next = sub {
        (my $value, $behind) = Loyalty::MsgPack::decode_at($bytes, $behind);
        return $value;
    };
    my $head = [ map { $next->() } 1 .. 7 ];

    die "the head has no format $FORMAT\n"
        if !_is_int($head->[0]) || $head->[0] != $FORMAT;

    my %m;

    @m{qw(seq alias oldest kept)} = @$head[1 .. 4];

    for (qw(seq alias oldest kept)) {
        die "$_ of the head is no count\n"
            if !_is_int($m{$_}) || $m{$_} < 0;
    }

    die "kept of the head is $m{kept}, over $KEPT\n" if $m{kept} > $KEPT;

    my @hashes = _hashes($head->[5], 'wallet');
    my @slots = _hashes($head->[6], 'slot');
    my @numbers = map { $next->() } 1 .. 4 * @hashes;

    for my $hash (@hashes) {
        my %wallet = (hash => $hash);

        @wallet{qw(balance lifetime opening owed)} = splice @numbers, 0, 4;

        for (qw(balance lifetime opening owed)) {
            die "$_ of a wallet is no whole number\n"
                if !_is_int($wallet{$_});
        }

        push @{$m{wallets}}, \%wallet;
    }

    my @states = map { _state($next->()) } @slots;

    $m{wallets} //= [];
    $m{slots} = [ map { { hash => $slots[$_], state => $states[$_] } }
                  0 .. $#slots ];
    $m{records} = [ _records($bytes, $behind) ];

    return \%m;
}


# the values of a state, the name of an event type, or undef

sub _state {
    my ($packed) = @_;

    return undef if ref $packed && !$packed;

    die "a state is no string\n" if ref $packed || !defined $packed;

    return substr $packed, 1 if $packed =~ /^\xc1/;

    return [ Loyalty::MsgPack::decode_all($packed) ];
}


sub _hashes {
    my ($value, $what) = @_;

    die "$what hashes of the head are no string of 4 bytes each\n"
        if !defined $value || ref $value || length($value) % 4;

    my @hashes = unpack '(H8)*', $value;
    my %seen;

    for (@hashes) {
        die "$what $_ stands in the head twice\n" if $seen{$_}++;
    }

    return @hashes;
}


sub _records {
    my ($bytes, $at) = @_;
    my @records;

    while ($at < length $bytes) {
        die "the last record is cut off\n" if length($bytes) - $at < 2;

        my $n = 2 + unpack 'n', substr $bytes, $at, 2;

        die "the last record is cut off\n" if length($bytes) - $at < $n;

        push @records, parse_record(substr $bytes, $at, $n);
        $at += $n;
    }

    return @records;
}


sub parse_record {
    my ($bytes) = @_;

    die "a record is cut off\n" if length $bytes < 3 + $REST;

    my ($length, $id_length) = unpack 'nC', $bytes;

    die "a record's length is wrong\n" if $length != length($bytes) - 2;
    die "a record's id has $id_length bytes\n"
        if $id_length < 1 || $id_length > 128;
    die "a record is cut off\n" if $length < 1 + $id_length + $REST;

    my %r = (id => substr $bytes, 3, $id_length);

    my ($high, $low, $accepted, $print)
        = unpack 'nNNH12', substr $bytes, 3 + $id_length, $REST;

    $r{at} = $high * 4_294_967_296 + $low;
    $r{accepted} = $accepted;
    $r{fingerprint} = $print;

    eval {
        _body(\%r, Loyalty::MsgPack::decode_all(
                      substr $bytes, 3 + $id_length + $REST));
        1;
    } or die "record \"$r{id}\": $@";

    return \%r;
}


sub _body {
    my ($r, @body) = @_;

    die "the body is cut off\n" if @body < 8;

    @$r{qw(seq program type amount multiplier items reversed)}
        = splice @body, 0, 7;

    for (qw(seq program type multiplier)) {
        die "$_ is no count\n" if !_is_int($r->{$_}) || $r->{$_} < 0;
    }

    die "seq is 0\n" if $r->{seq} == 0;

    for (qw(amount items reversed)) {
        undef $r->{$_} if !_is_int($r->{$_}) && !$r->{$_};
    }

    die "amount is no number\n" if defined $r->{amount}
        && !_is_int($r->{amount});

    for (qw(items reversed)) {
        die "$_ is no array\n" if defined $r->{$_}
            && ref $r->{$_} ne 'ARRAY';
    }

    $r->{entries} = [ _entries(\@body) ];
    $r->{balances} = \@body;

    for (@{$r->{balances}}) {
        die "a balance is no whole number\n" if !_is_int($_);
    }

    $r->{points} = _points($r);

    return;
}


sub _entries {
    my ($values) = @_;
    my @entries;

    for (;;) {
        die "the entries have no end\n" if !@$values;

        my $kind = $values->[0];

        if (_is_int($kind) && $kind == 0) {
            shift @$values;
            return @entries;
        }

        my $form = _is_int($kind) ? $ENTRY{$kind} : undef;

        die "an entry of unknown kind\n" if !defined $form;

        my $n = $form;

        if (ref $form) {
            my ($place, $each) = @$form;

            die "an entry of kind $kind is cut off\n" if @$values <= $place;

            my $count = $values->[$place];

            die "an entry of kind $kind has no count\n"
                if !_is_int($count) || $count < 0 || $count > @$values;

            $n = $place + $each * $count;
        }

        die "an entry of kind $kind is cut off\n" if @$values <= $n;

        push @entries, [ splice @$values, 0, $n + 1 ];
    }
}


sub _points {
    my ($r) = @_;
    my @points = (0) x @{$r->{balances}};

    for my $entry (@{$r->{entries}}) {
        my ($kind, $first, $amount) = @$entry;

        if ($SLOT{$kind} || $WALLET{$kind}) {
            die "an entry of kind $kind has no index\n"
                if !_is_int($first) || $first < 1;
        }

        if ($WALLET{$kind}) {
            die "an entry names wallet $first of ", scalar @points, "\n"
                if $first > @points;
            die "an entry's amount is no whole number\n"
                if !_is_int($amount);
        }

        $points[$first - 1] += $amount if $kind == 1;
    }

    return \@points;
}


# the highest slot that a record names
sub highest_slot {
    my ($r) = @_;
    my $highest = 0;

    for ($r->{program}, $r->{type},
         map { $SLOT{$_->[0]} ? $_->[1] : $_->[0] == 1 ? $_->[3] : () }
             @{$r->{entries}})
    {
        $highest = $_ if _is_int($_) && $_ > $highest;
    }

    return $highest;
}


sub _is_int {
    my ($v) = @_;

    return defined $v && !ref $v && $v =~ /^-?[0-9]{1,16}\z/ && $v <= $MAX
           && $v >= -$MAX;
}


# ---- keys ----

sub parse_key {
    my ($key) = @_;

    my ($program, $partition, $kind, $length, $member)
        = $key =~ /^\{([A-Za-z0-9_-]+):([0-9]+)\.[0-9]+\}:([mx]):([0-9]+):(.*)\z/s
        or die "no key of a member\n";

    die "the key's length of the member is wrong\n"
        if $length != length $member;

    return ($program, $partition, $kind, $member);
}


sub key {
    my ($program, $kind, $member) = @_;

    return tag($program, partition($member)) . ":$kind:" . length($member)
           . ":$member";
}


sub partition { return crc32($_[0]) % $PARTITIONS }


my %tags;

sub tag {
    my ($program, $p) = @_;

    return $tags{"$program:$p"} //= do {
        my $n = 0;
        $n++ while crc16("$program:$p.$n") % 16384 >> 8 != $p;
        "{$program:$p.$n}";
    };
}


my @crc32 = map {
    my $crc = $_;
    $crc = $crc & 1 ? $crc >> 1 ^ 0xedb88320 : $crc >> 1 for 1 .. 8;
    $crc;
} 0 .. 255;

sub crc32 {
    my ($bytes) = @_;
    my $crc = 0xffffffff;

    $crc = $crc >> 8 ^ $crc32[($crc ^ $_) & 0xff] for unpack 'C*', $bytes;

    return $crc ^ 0xffffffff;
}


sub crc16 {
    my ($bytes) = @_;
    my $crc = 0;

    for my $byte (unpack 'C*', $bytes) {
        $crc ^= $byte << 8;
        $crc = ($crc & 0x8000 ? $crc << 1 ^ 0x1021 : $crc << 1) & 0xffff
            for 1 .. 8;
    }

    return $crc;
}


1;
