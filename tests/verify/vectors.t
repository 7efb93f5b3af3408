#!/usr/bin/perl
# The vectors of the protocol: the files that are made here have exactly its
# bytes, and the verifier draws from them what it says.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use File::Temp qw(tempdir);
use Test::More;

use Proof;
use Raffle;
use Wheel;

my $dir = tempdir(CLEANUP => 1);

my $R = 14517013;
my $signature = '83236a954108c9de257b6a10c838f3e3f215eb3bd25c2261f42b4a6204d6b'
              . '00a3f216b8d88dcd7947cba97d39f2e16c5';

my @entries = map { {
    member => 'member-' . $_ % 7, tickets => 1 + $_ ** 2 % 5,
    t => 1736266200000 + 1000 * $_, method => 1 + $_ % 2,
    salt => substr(H('entry salt' . u32($_)), 0, 16), event => "event-$_",
} } 0 .. 9;

my $quicknet = {
    chain => QUICKNET,
    signature => sub { return $_[0] == $R ? pack 'H*', $signature
                              : 'placeholder signature of R_1 (arithmetic'
                                . ' only)' },
};

my $test_beacon = {
    chain => QUICKNET,
    signature => sub { return 'test beacon' . u64($_[0]) },
};


sub hex_of { return unpack 'H*', $_[0] }


sub picks {
    my ($made) = @_;

    return join ' ', map { "($_->{a}, $_->{ticket}, $_->{seq})" }
                     @{ $made->{picks} };
}


# all checks but those that are named, with their status

sub checks {
    my ($made, $name, %other) = @_;

    my $got = run_verify($made->write("$dir/$name"));

    is($got->{differs}, undef, "$name: both verifiers say the same");

    for my $n (map { sprintf 'V%02d', $_ } 1 .. 19) {
        my $want = $other{$n} || 'PASS';
        is($got->{$n}, $want, "$name: $n $want")
            or diag(grep { /^$n/ } split /^/, $got->{text});
    }

    return;
}


# ---- RFC 6962 ----

my @inputs = map { pack 'H*', $_ } '', qw(00 10 2021 3031 40414243
                                          5051525354555657
                                          606162636465666768696a6b6c6d6e6f);

is(hex_of(root()), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852'
   . 'b855', 'the root of nothing');
is(hex_of(root(map { leaf($_) } @inputs[0 .. 2])),
   'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
   'the root of 3 leaves');
is(hex_of(root(map { leaf($_) } @inputs)),
   '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
   'the root of 8 leaves');


# ---- A, B, C: sweepstakes ----

my %common = (prizes => [['trip', 2]], alternates => 3, entries => \@entries,
              terms => 'terms bytes');
my %dq = (k => 1, t => 1736352600000 + 7200000, position => 0, fresh => 1);

my $both = Raffle->new(%common, beacon => $quicknet, seed => 1,
                    voids => [[3, 1736266200000 + 10000]], dqs => [\%dq]);

is(hex_of($both->{cid}), '14882ecf8eb28aca4d7efaf7a8eb5c7d', 'A: cid');
is(hex_of($both->{K_p}), '651a3523db09fcda077f4e54faa9176d604ffd6f1775354b2dd82de7'
   . '32f37a67', 'A: K_p');
is(hex_of($both->{seed_commit}), '152075fbd404807c0527522037a42e6ddf5126c57705271c3'
   . '1bf6235efbd89b9', 'A: seed_commit');
is(hex_of(H($both->{files}{'prizes-1'})), '2dcc4c051e2a5a2c299c07a580c4716fb698b566'
   . '361379646e35afa3614dc1b2', 'A: prizes');
is(hex_of($both->{mh}), '7ab3eb2460b3e34e1297170f2d22da1192561ec6dd00406ade49356c4c'
   . '3e11d6', 'A: mh');
is($both->{R}, $R, 'A: R');
is(hex_of($both->{root}), 'c87ad73fa325bc03bb3094396b792ef3c4facca58001cf387a7feb28'
   . '3ab9e8ac', 'A: root');
is(join(' ', map { hex_of($_) } path(3, @{ $both->{leaves} })),
   '23f0a70ae5ecfa31cbeb3d3f2f5c416601f1f7d0683f4b18c4c93ce36744feb3 '
   . '9e7fd70dfe4fde37fcb05c94abcc826f334571614f8f6d30cc637f7f380122d8 '
   . 'aa557ce4bf8157b53eb914901cfe84f2aa54aee11c611d0734fca3bffee1c664 '
   . '9fb50a2c96c018988733fce4dc76d712c6a53946de02edfbbffa9f10af733ea2',
   'A: the path of entry 3');
is((split /\n/, $both->{files}{close})[1],
   'bmdpbngtbG95YWx0eS8xIGNsb3NlAHqz6yRgs+NOEpcXDy0i2hGSVh7G3QBAat5JNWxMPhHWAAA'
   . 'AAAAAAAsAAAAAAAAAHsh61z+jJbwDuzCUOWt5LvPE+sylgAHPOHp/6yg6ueisAAABlEauE6g='
   , 'A: the close note');
is(hex_of($both->{K_draw}), 'e84b13cc5d66c64d99cee87ee6d55637410f16bbc7378ecaa33336'
   . '515d1c4e65', 'A: K_draw');
is(picks($both), '(0, 6, 2) (0, 13, 4) (0, 18, 7) (1, 2, 1) (5, 16, 6)',
   'A: picks');
is($both->{R_k}, 14518833, 'A: R_1');
is(hex_of($both->{K_alt}), '0f66df0faa7bc826d857e68aa85c296c40b1c8ebcc2071adc717a0e'
   . '06376ec38', 'A: K_alt');
is(join(' ', @{ $both->{fresh}[0] }{qw(a ticket seq)}), '34 15 5',
   'A: the fresh alternate');

# the verifier agrees; fresh alternates are not what this manifest says

checks($both, 'A', V04 => 'INCOMPLETE', V17 => 'FAIL',
       V06 => has_blst() ? 'FAIL' : 'INCOMPLETE');


my $alone = Raffle->new(%common, beacon => $quicknet,
                    voids => [[3, 1736266200000 + 10000]], dqs => [\%dq]);

is(hex_of($alone->{mh}), '37af6330f4f1c6505edfc2758b3a5ddf370fcba35fc07b4144551efb18'
   . '45907d', 'B: mh');
is(hex_of($alone->{K_draw}), '64811e2e3f884714996ff33eb97c0c39632353236d3e1aa7e205ec9'
   . 'f49263d74', 'B: K_draw');
is(picks($alone), '(0, 18, 7) (4, 25, 8) (2, 3, 2) (0, 16, 6) (13, 15, 5)',
   'B: picks');
is(hex_of($alone->{K_alt}), '7d2cac4e246d2cbc0e6d6031ea2013463f3c02e4983a4afb822f1151'
   . 'e1a60f57', 'B: K_alt');
is(join(' ', @{ $alone->{fresh}[0] }{qw(a ticket seq)}), '32 13 4',
   'B: the fresh alternate');

checks($alone, 'B', V04 => 'INCOMPLETE', V17 => 'FAIL',
       V06 => has_blst() ? 'FAIL' : 'INCOMPLETE');


my $c = Raffle->new(%common, seed => 1);

is(hex_of($c->{mh}), '34a17db6a29375a6f408452e19810a508c5545cfc2d721ef4de4630c5c'
   . '9852fc', 'C: mh');
is(hex_of($c->{root}), '4ef6d7aa7d590e7acd7a3e3b1d61b1952c6d7e51a2af50f7391d7599'
   . '3ae52283', 'C: root');
is(hex_of($c->{K_draw}), '371eb913fa5aafbd2ab5e5ff8d90fe4bd8ccd5c328126278c06050'
   . '875b0ffc8e', 'C: K_draw');
is(picks($c), '(0, 14, 4) (0, 26, 8) (0, 16, 6) (1, 3, 2) (2, 12, 3)',
   'C: picks');

checks($c, 'C', V04 => 'INCOMPLETE', V05 => 'INCOMPLETE');


# ---- D to G: instant wins ----

sub plays {
    my ($n, $members) = @_;

    return [map { { member => 'member-' . $_ % $members, key => "key-$_",
                    t => 1736266200000 + 1000 * $_ } } 0 .. $n - 1];
}


sub tiers {
    my ($made, $n) = @_;

    return join ' ', map { $_->{tier} == 0xffffffff ? '-' : $_->{tier} }
                     @{ $made->{played} }[0 .. $n - 1];
}


sub tier_hash {
    my ($made) = @_;

    return hex_of(H(join '', map { chr($_->{tier} & 255) }
                             @{ $made->{played} }));
}


# what the vectors leave out: heads and timestamps; and their beacon is none

my %instant = (rules => 'rules bytes', terms => 'terms bytes', few_heads => 1,
               close => 1736266200000 + 1020000);
my %unsigned = (V04 => 'INCOMPLETE', V06 => has_blst() ? 'FAIL' : 'INCOMPLETE');

my $d = Wheel->new(%instant, game => 'scratch', mode => 'deck', blanks => 900,
                   prizes => [['car', 1], ['mug', 5], ['coupon', 94]],
                   beacon => $test_beacon, plays => plays(1000, 50));

is(hex_of($d->{cid}), 'c2fd24333ac057630301cf6f70dea2a0', 'D: cid');
is(hex_of($d->{version}[0]{c}[0]), '4c22078833bf2492e05a02cb7eb1865d28cc4605bb5d'
   . '8d0b7a900d15ab193d9d', 'D: anchor');
is(hex_of(H($d->{files}{'prizes-1'})), 'a3ee9f0ebeaab497d20291fcc3ea01d10dabd8ab'
   . '3c2a641b20c45924b633c8ac', 'D: prizes');
is(hex_of($d->{mh}), 'bdd7b0fc6a52dbdec578c77413a56891d7cc98fd1a12aeecc2e6ae24f4'
   . '8569a3', 'D: mh');
is(hex_of($d->{K}{1}), '19b6bcf8f1b6e5a9ba9a24ff6eec00f4b93680b532ad1160a16c64e0'
   . 'eb08569e', 'D: K_1');
is(tiers($d, 20), '- - - 2 - - - - - - - 2 - - - - - 1 - -', 'D: tiers');
is(tier_hash($d), '00a18dbdfb9c73782be6d9ba0a433314722bccc0d3fa56d5d9ba23cca3f21'
   . 'e9b', 'D: all tiers');
is(hex_of(root(@{ $d->{leaves} })), '36d06b0f0ce4857f0d5b57d766f559bfd11a6677b1e'
   . '6f769faa40023d11fcdf4', 'D: the root of the log');
checks($d, 'D', %unsigned);


my %wheel = (%instant, game => 'wheel', mode => 'odds',
             prizes => [['car', 1, 1, 100], ['mug', 5, 1, 20],
                        ['coupon', undef, 1, 6]], plays => plays(600, 3));

my $e = Wheel->new(%wheel, beacon => $test_beacon);

is(hex_of(H($e->{files}{'prizes-1'})), '9140a3c62907ac59f87fd2c48666559426d93765'
   . '97aae29ceee70a260e6f3f0d', 'E: prizes');
is(hex_of($e->{mh}), 'c8dddea54269e5f27de32afecad7f38dd4ea1a2bb812bf0936c1be3a44'
   . 'f10d97', 'E: mh');
is(tiers($e, 20), '2 2 - - 2 - - 2 - - - - - - - - - - - -', 'E: tiers');
is(tier_hash($e), '8c744b7e114bd68a6686b1c7fc09375968b3507d4e42aa8305ec952332d04'
   . '31b', 'E: all tiers');
is(hex_of(root(@{ $e->{leaves} })), '782deae6b1b81ba4154d2a3b9823105421a910c7f18'
   . 'a55df3f5cec296a7e244c', 'E: the root of the log');
checks($e, 'E', %unsigned);


my $f = Wheel->new(%wheel);

is(hex_of($f->{K}{1}), '09ec4733dcad615b9e776b3ae6a74a9d6e91c73edd457a01f5d4998f'
   . '4bbc578c', 'F: K_1');
is(tiers($f, 20), '- - - - - - - - - - - 2 2 - - 2 - - 1 -', 'F: tiers');
is(tier_hash($f), '7a70826c4cea29994b34faa53ec73c1d4687f96ff34f4256d1426799f4ad2'
   . '93d', 'F: all tiers');
is(hex_of(root(@{ $f->{leaves} })), 'a5177d7898d8f6d4f34ac0bdb70f8b14691d535c688'
   . '663f4d6930b3c13163070', 'F: the root of the log');
checks($f, 'F', V04 => 'INCOMPLETE', V05 => 'INCOMPLETE');


# G has moments and no plays: one a minute, so that the verifier meets them

my $g = Wheel->new(%instant, game => 'calendar', mode => 'moments',
                   close => 1736266200000 + 1010000, beacon => $test_beacon,
                   prizes => [['car', 1], ['mug', 10]],
                   plays => [map { { member => "member-$_", key => "key-$_",
                                     t => 1736266200000 + 60000 * $_ - 1 } }
                             1 .. 16]);

is(hex_of($g->{K}{1}), '3ff8c0490b0076d80d947a73f8b4f8c039f18984daedd46b4e2327686'
   . 'fe0eafa', 'G: K_1');
is(join(' ', map { "($_->{k}, '$_->{name}', " . ($_->{t} - $g->{open}) . ')' }
             sort { $a->{t} <=> $b->{t} } do { $g->place(17);
                                                          @{ $g->{units} } }),
   q{(7, 'mug', 263086) (9, 'mug', 283386) (0, 'car', 293744) }
   . q{(6, 'mug', 519279) (8, 'mug', 695928) (5, 'mug', 730249) }
   . q{(2, 'mug', 742589) (10, 'mug', 906474) (3, 'mug', 933023) }
   . q{(1, 'mug', 1006938) (4, 'mug', 1007227)}, 'G: moments');
checks($g, 'G', %unsigned);


# ---- H: sampling ----

my $n = 9223372036854775809;

is(join(' ', map { '(' . join(', ', pick(H('k'), 'pick', $_, $n)) . ')' }
             0 .. 3),
   '(3578249759469332422, 3) (2665178238864337130, 0) '
   . '(8823095347375104518, 2) (9218370202606828212, 1)', 'H: pick');

is(pick48("\xff" x 32, 300), undef, 'H: no word is accepted');
is(pick48("\xff" x 6 . "\0\0\0\0\0\7" . "\0" x 20, 300), 7,
   'H: the second word');

done_testing();
