#!/usr/bin/perl

# The plays of the protocol's vectors: what is drawn, the records, the log.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../t/lib", $FindBin::Bin;

use Test::More;

use Engine;
use Loyalty::Fairness;
use Plays;

my $OPEN = 1736266200000;
my $engine = Engine->new(clock => $OPEN, remember => 90 * 86400e3);


# plays n times and compares with what the vectors say

sub replay {
    my ($what, $game, $members, $n, %expect) = @_;
    my ($tiers, @first, %other) = ('');

    for my $i (0 .. $n - 1) {
        my $r = $game->play('member-' . $i % $members, $OPEN + 1000 * $i,
                            "key-$i");

        if ($r->{code}) {
            fail("$what: play $i is $r->{code}");
            return;
        }

        $tiers .= chr($r->{play}{tier} & 255);
        push @first, $r->{play}{tier} < 0 ? '-' : $r->{play}{tier} if $i < 20;
        $other{join ' ', @{ $r->{asked} }}++;
    }

    is(unpack('H*', $game->{mh}), $expect{mh}, "$what: mh") if $expect{mh};
    is(unpack('H*', $game->epoch_key(1)), $expect{K_1}, "$what: K_1");
    is(unpack('H*', $game->epoch_key(2)), $expect{K_2}, "$what: K_2");
    is("@first", $expect{first}, "$what: tiers of plays 0 .. 19");
    is(unpack('H*', H($tiers)), $expect{tiers}, "$what: all tiers");

    my $log = $game->log;

    is(length $log, 189 * $n, "$what: a record a play");
    is(unpack('H*', substr $log, 189, 189), $expect{record},
       "$what: record 1") if $expect{record};
    is(unpack('H*', root(map { leaf($_) } unpack '(a189)*', $log)),
       $expect{root}, "$what: the root of the log");
    is_deeply($game->left, $expect{left}, "$what: what is left");

    return \%other;
}


replay('D', Plays->new($engine, name => 'scratch', open => $OPEN,
    close => $OPEN + 1020000, mode => 'deck', blanks => 900,
    prizes => [[car => 1], [mug => 5], [coupon => 94]]), 50, 1000,
    mh => 'bdd7b0fc6a52dbdec578c77413a56891d7cc98fd1a12aeecc2e6ae24f48569a3',
    K_1 => '19b6bcf8f1b6e5a9ba9a24ff6eec00f4b93680b532ad1160a16c64e0eb08569e',
    K_2 => '1be9e64879cd6f36b998a6a14077a41f4c0323c27210daede5b8cc98cb380963',
    first => '- - - 2 - - - - - - - 2 - - - - - 1 - -',
    tiers => '00a18dbdfb9c73782be6d9ba0a433314722bccc0d3fa56d5d9ba23cca3f21e9b',
    root => '36d06b0f0ce4857f0d5b57d766f559bfd11a6677b1e6f769faa40023d11fcdf4',
    record => '6e67696e782d6c6f79616c74792f3120706c617972656300c2fd24333ac0'
              . '57630301cf6f70dea2a00000000000000001000001944187b7a800000001'
              . '0000000000dd103ae7090fd120f9bf513faa5dfac45e5f1a9de431c6db55'
              . '8833395fbd39e06d954a41fc5b37fb7d0ab1979d92f952ac987200000000'
              . '000000000200000000000003e700000000000001ceffffffffffffffffff'
              . 'ffffff000000006d99efbf10f656d4c809cfd33a39e3e21f6a1ff29f0eb4'
              . '920e6c98b5a1d7c3ea',
    left => [0, 0, 0, 0]);

my @wheel = (name => 'wheel', open => $OPEN, close => $OPEN + 1020000,
             mode => 'odds', prizes => [[car => 1, 1, 100], [mug => 5, 1, 20],
                                        [coupon => -1, 1, 6]]);

replay('E', Plays->new($engine, @wheel), 3, 600,
    mh => 'c8dddea54269e5f27de32afecad7f38dd4ea1a2bb812bf0936c1be3a44f10d97',
    K_1 => 'eb10714820f8f3e8e129c3b06ea4843042c1ef905932f175d449e359ea6608da',
    K_2 => 'f85769751da630f24ec2570d28be8a6d82e7f61f3b506d7f80d3cb23b4fb14bf',
    first => '2 2 - - 2 - - 2 - - - - - - - - - - - -',
    tiers => '8c744b7e114bd68a6686b1c7fc09375968b3507d4e42aa8305ec952332d0431b',
    root => '782deae6b1b81ba4154d2a3b9823105421a910c7f18a55df3f5cec296a7e244c',
    left => [0, 0, undef]);

# the same campaign again

$engine->raw('FLUSHALL');

my $asked = replay('F', Plays->new($engine, @wheel, beacon => 0), 3, 600,
    K_1 => '09ec4733dcad615b9e776b3ae6a74a9d6e91c73edd457a01f5d4998f4bbc578c',
    K_2 => '46144038aee7668a010487ef4c84bd0ceeace01adb5e9ca3fc4f67dffe6b37b4',
    first => '- - - - - - - - - - - 2 2 - - 2 - - 1 -',
    tiers => '7a70826c4cea29994b34faa53ec73c1d4687f96ff34f4256d1426799f4ad293d',
    root => 'a5177d7898d8f6d4f34ac0bdb70f8b14691d535c688663f4d6930b3c13163070',
    left => [0, 0, undef]);

is($asked->{''}, $ENV{LOYALTY_SPLIT} ? 600 : 60,
   'F: the first two plays of an epoch need no asking');
is($asked->{i19} // 30, 30, 'F: others are told their idx');


# ---- moments ----

my $game = Plays->new($engine, name => 'calendar', open => $OPEN,
                      close => $OPEN + 1010000, mode => 'moments',
                      prizes => [[car => 1], [mug => 10]]);

is(unpack('H*', $game->epoch_key(1)),
   '3ff8c0490b0076d80d947a73f8b4f8c039f18984daedd46b4e2327686fe0eafa',
   'G: K_1');

my @units = ([7, 263086], [9, 283386], [0, 293744], [6, 519279], [8, 695928],
             [5, 730249], [2, 742589], [10, 906474], [3, 933023],
             [1, 1006938], [4, 1007227]);

is_deeply([map { [$_->[0], $_->[2] - $OPEN] } @{ $game->moments }], \@units,
          'G: the moments');

my $n = 0;

for my $unit (@units) {
    my ($k, $at) = ($unit->[0], $OPEN + $unit->[1]);
    my $before = $game->play('anna', $at - 1, 'before-' . $n);
    my $due = $game->play('bert', $at, 'at-' . $n);

    is("$before->{play}{n} $before->{play}{r} $before->{play}{tier} "
       . $before->{play}{status}, '0 -1 -1 0', "G: before unit $k");
    is("$due->{play}{n} $due->{play}{r} $due->{play}{tier} "
       . $due->{play}{status}, "1 $k " . ($k ? 1 : 0) . ' 1',
       "G: unit $k when it is due");
    is($due->{play}{serial}, $k ? $n - ($n > 2) : 0, 'G: its serial');
    $n++;
}

my $record = substr $game->log, 189 * 2, 189;

is(substr($record, 60, 8), "\0" x 8, 'G: no round in a record');
is(unpack('H*', substr $record, 116),
   '00000000' . '00000000' . '03' . '0' x 16 . 'f' x 40 . '00000000'
   . '0' x 64, 'G: nothing due is r = 2^64 - 1 and a u of zeros');


# ---- sampling ----

sub odds {
    my (%arg) = @_;

    return Plays->new($engine, name => 'odds', open => $OPEN - 86_400_000,
                      close => $OPEN, mode => 'odds', beacon => 0,
                      prizes => [[a => -1, 1, 300]], %arg);
}

my $none = "\xff" x 32;
my $seven = "\xff" x 6 . pack('H*', '000000000007') . "\0" x 20;
my $t = $OPEN - 1000;

is(odds()->play('anna', $t, 'k', us => $none, reckless => 1)->{code}, 'Rc0',
   'H: no word is accepted, the next ctr is asked for');
is(odds()->play('anna', $t, 'k', us => $none . $none, reckless => 1)->{code},
   'Rc0', 'H: and the one after that');

my $r = odds()->play('anna', $t, 'k', us => $none . $seven);

is("$r->{play}{n} $r->{play}{r} $r->{play}{ctr}", '300 7 1',
   'H: the second word of the second u');
is(substr($r->{play}{u}, 0, 32), $seven, 'H: which is the one remembered');

$r = odds()->play('bert', $t, 'k', us => $seven . $none);

is("$r->{play}{r} $r->{play}{ctr}", '7 0', 'H: the least ctr is taken');

# where the denominator does not divide 2^48, what is over is not taken

for my $n (3, 1000003, 2 ** 40 - 87) {
    my $top = 2 ** 48 - 2 ** 48 % $n;
    my $word = sub { substr(pack('Q>', $_[0]), 2) };
    my $game = odds(name => "n$n", prizes => [[a => -1, 1, $n]]);

    $r = $game->play('anna', $t, 'a',
                     us => $word->($top) . $word->($top - 1) . "\0" x 20);
    is($r->{play}{r}, $n - 1, "H: the last word that is taken for n = $n");

    $r = $game->play('bert', $t, 'b',
                     us => $word->(2 ** 48 - 1) . $word->($n + 5)
                           . "\0" x 20);
    is($r->{play}{r}, 5 % $n, "H: a word modulo n = $n");
}

done_testing();
