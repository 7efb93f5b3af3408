package Loyalty::MsgPack;

# MessagePack in core Perl, as much of it as the module and its Lua library
# exchange.
#
#     my $value = Loyalty::MsgPack::decode($bytes);
#     my ($value, $behind) = Loyalty::MsgPack::decode_at($bytes, $from);
#     my @values = Loyalty::MsgPack::decode_all($bytes);
#     my $bytes = Loyalty::MsgPack::encode($value);
#
# nil is undef; false and true are $FALSE and $TRUE, which act like 0 and 1;
# strings are bytes; arrays and maps are references.  decoding dies with one
# line for bytes that are no such value.

use strict;
use warnings;

use B ();

our $MAX_DEPTH = 32;

our $FALSE = do { bless \(my $v = 0), 'Loyalty::MsgPack::Bool' };
our $TRUE  = do { bless \(my $v = 1), 'Loyalty::MsgPack::Bool' };

# tag => [ template, bytes ] of what stands behind it
my %INT = (
    0xcc => ['C', 1], 0xcd => ['n', 2], 0xce => ['N', 4], 0xcf => ['Q>', 8],
    0xd0 => ['c', 1], 0xd1 => ['s>', 2], 0xd2 => ['l>', 4],
    0xd3 => ['q>', 8], 0xca => ['f>', 4], 0xcb => ['d>', 8],
);

my %STR = (
    0xc4 => ['C', 1], 0xc5 => ['n', 2], 0xc6 => ['N', 4],
    0xd9 => ['C', 1], 0xda => ['n', 2], 0xdb => ['N', 4],
);

my %ARRAY = (0xdc => ['n', 2], 0xdd => ['N', 4]);
my %MAP   = (0xde => ['n', 2], 0xdf => ['N', 4]);


sub decode {
    my ($bytes) = @_;
    my ($value, $behind) = decode_at($bytes, 0);

    die "bytes behind a MessagePack value\n" if $behind != length $bytes;

    return $value;
}


sub decode_at {
    my ($bytes, $at) = @_;

    # one copy; the value is walked with a position in it
    my $in = { bytes => $bytes, at => $at, end => length $bytes };

    return (_value($in, 0), $in->{at});
}


# values up to the end, one after another
sub decode_all {
    my ($bytes) = @_;
    my $in = { bytes => $bytes, at => 0, end => length $bytes };
    my @values;

    push @values, _value($in, 0) while $in->{at} < $in->{end};

    return @values;
}


sub _value {
    my ($in, $depth) = @_;

    die "MessagePack value is cut off\n" if $in->{at} >= $in->{end};

    my $tag = ord substr $in->{bytes}, $in->{at}++, 1;

    return $tag if $tag < 0x80;
    return $tag - 256 if $tag >= 0xe0;
    return _map($in, $tag & 0x0f, $depth) if $tag < 0x90;
    return _array($in, $tag & 0x0f, $depth) if $tag < 0xa0;
    return _take($in, $tag & 0x1f) if $tag < 0xc0;
    return undef if $tag == 0xc0;
    return $FALSE if $tag == 0xc2;
    return $TRUE if $tag == 0xc3;

    return _number($in, $INT{$tag}) if $INT{$tag};
    return _take($in, _number($in, $STR{$tag})) if $STR{$tag};
    return _array($in, _number($in, $ARRAY{$tag}), $depth) if $ARRAY{$tag};
    return _map($in, _number($in, $MAP{$tag}), $depth) if $MAP{$tag};

    die sprintf "unknown MessagePack tag 0x%02x\n", $tag;
}


sub _take {
    my ($in, $n) = @_;

    die "MessagePack value is cut off\n" if $n > $in->{end} - $in->{at};

    $in->{at} += $n;
    return substr $in->{bytes}, $in->{at} - $n, $n;
}


sub _number {
    my ($in, $form) = @_;

    return unpack $form->[0], _take($in, $form->[1]);
}


sub _array {
    my ($in, $n, $depth) = @_;

    die "MessagePack value is nested too deep\n" if $depth >= $MAX_DEPTH;
    die "MessagePack value is cut off\n" if $n > $in->{end} - $in->{at};

    return [ map { scalar _value($in, $depth + 1) } 1 .. $n ];
}


sub _map {
    my ($in, $n, $depth) = @_;
    my $pairs = _array($in, 2 * $n, $depth);

    # a key that is nil or an array has no place in a Perl hash
    for my $i (0 .. $n - 1) {
        my $key = $pairs->[2 * $i];
        die "MessagePack map has a key that is no string or number\n"
            if !defined $key || ref $key;
    }

    return { @$pairs };
}


sub encode {
    my ($value) = @_;

    return "\xc0" if !defined $value;

    if (my $kind = ref $value) {
        return $$value ? "\xc3" : "\xc2" if $kind eq 'Loyalty::MsgPack::Bool';

        return _count(0x90, 0xdc, scalar @$value)
               . join '', map { encode($_) } @$value if $kind eq 'ARRAY';

        return _count(0x80, 0xde, scalar keys %$value)
               . join '', map { encode($_) . encode($value->{$_}) }
                          sort keys %$value if $kind eq 'HASH';

        die "MessagePack has no form for a $kind\n";
    }

    my $flags = B::svref_2object(\$value)->FLAGS;

    return _encode_string($value) if $flags & B::SVp_POK;
    return _encode_int($value)
        if $flags & B::SVp_IOK || abs $value < 2**53 && $value == int $value;
    return "\xcb" . pack 'd>', $value;
}


sub _count {
    my ($fix, $tag, $n) = @_;

    return $n < 16 ? chr($fix | $n)
         : $n < 65536 ? pack('Cn', $tag, $n)
         : pack 'CN', $tag + 1, $n;
}


sub _encode_string {
    my ($value) = @_;
    my $n = length $value;

    return ($n < 32 ? chr(0xa0 | $n)
          : $n < 256 ? pack('CC', 0xd9, $n)
          : $n < 65536 ? pack('Cn', 0xda, $n)
          : pack 'CN', 0xdb, $n) . $value;
}


sub _encode_int {
    my ($value) = @_;

    return $value < -0x80000000 ? pack('Cq>', 0xd3, $value)
         : $value < -0x8000 ? pack('Cl>', 0xd2, $value)
         : $value < -0x80 ? pack('Cs>', 0xd1, $value)
         : $value < -0x20 ? pack('Cc', 0xd0, $value)
         : $value < 0x80 ? pack('c', $value)
         : $value < 0x100 ? pack('CC', 0xcc, $value)
         : $value < 0x10000 ? pack('Cn', 0xcd, $value)
         : $value < 4_294_967_296 ? pack('CN', 0xce, $value)
         : pack 'CQ>', 0xcf, $value;
}


package Loyalty::MsgPack::Bool;

use overload 'bool' => sub { ${ $_[0] } }, '0+' => sub { ${ $_[0] } },
             '""' => sub { ${ $_[0] } ? 'true' : 'false' }, fallback => 1;


1;
