#!/usr/bin/perl
# Thousands of random draws, made by one program and recomputed by another:
# campaigns of every kind with numbers that nobody chose, by a fixed seed.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Digest::SHA qw(sha256);
use File::Temp qw(tempdir);
use Test::More;

use Proof;
use Samples;

my $rounds = $ENV{LOYALTY_DRAWS} || 12;
my $dir = tempdir(CLEANUP => 1);
my ($numbers, $draws) = (0, 0);

# what is not of interest here: nobody stamps, so that no time is wasted on it

my @want = (V04 => 'INCOMPLETE');


sub number {
    my ($below) = @_;

    return unpack('Q>', sha256('draws ' . $numbers++)) % $below;
}


sub agree {
    my ($what, $made, $n, @other) = @_;

    my %want = (@want, @other);
    my $at = $made->write("$dir/files");
    my $got = run_verify($at, options($made, $at));

    my @differ = grep { $got->{$_} ne ($want{$_} // 'PASS') }
                 grep { has_blst() || $_ ne 'V06' }
                 map { sprintf 'V%02d', $_ } 1 .. 19;

    is("@differ", '', "$what: $n draws") or diag($got->{text});

    $draws += $n;

    return;
}


sub raffles {
    my $n = 1 + number(60);
    my $members = 1 + number(40);

    my @entries = map { {
        member => 'member-' . number($members), t => OPEN + 1000 * $_,
        tickets => 1 + number(number(4) ? 4 : 60), method => 1 + number(4),
        salt => substr(sha256("salt $_"), 0, 16), event => "event-$_",
    } } 0 .. $n - 1;

    my %void = map { number($n) => 1 } 1 .. number(6);
    my $t = OPEN + 100000;

    my $made = raffle(
        authority => undef, entries => \@entries, dqs => [], versions => [],
        seed => number(2), alternates => number(20),
        prizes => [['one', 1 + number(10)], ['two', number(10)]],
        voids => [map { [$_, $t++] } sort { $a <=> $b } keys %void]);

    agree("$n entries of $members", $made, scalar @{ $made->{picks} || [] });

    return;
}


sub fresh_ones {
    my $n = 10 + number(40);
    my $winners = 1 + number(4);

    my $made = fresh(
        authority => undef, alternates => number(3),
        prizes => [['one', $winners]],
        entries => [map { {
            member => 'member-' . number(20), t => OPEN + 1000 * $_,
            tickets => 1 + number(9), method => 1, event => $_,
            salt => substr(sha256("salt $_"), 0, 16),
        } } 0 .. $n - 1],
        voids => [],
        dqs => [map { { t => CLOSE + $_ * 86400000 + number(86400000),
                        position => number($winners) } } 1 .. number(5)]);

    # a place that is vacant can lose nobody

    my @vacant = grep { /^vacant/ } @{ $made->{lines} };

    if (!@vacant) {
        agree("$n entries, alternates", $made,
              @{ $made->{picks} } + @{ $made->{dqs} },
              @{ $made->{dqs} } ? (V16 => 'INCOMPLETE') : ());
    }

    return;
}


sub games {
    my ($mode) = @_;

    my $n = 20 + number(400);
    my $span = 60000 + number(300000);
    my $members = 1 + number(30);
    my $kinds = 1 + number(4);
    my $t = OPEN;

    my @plays = map { {
        member => 'member-' . number($members), key => "key-$_",
        t => OPEN + number($span),
    } } 1 .. $n;

    my @prizes = map { [
        "prize-$_", $mode eq 'odds' && number(2) ? undef : 1 + number(30),
        $mode eq 'odds' ? (1, $kinds + 1 + number(50)) : (),
    ] } 1 .. $kinds;

    my $made = Wheel->new(
        game => 'any', mode => $mode, close => OPEN + $span, flags => 0,
        length => 60000 * (1 + number(2)), blanks => $n,
        prizes => \@prizes, wins => number(3) * number(3), few_heads => 1,
        beacon => number(2) ? wheel(authority => undef, plays => [])->{beacon}
                            : undef,
        plays => [sort { $a->{t} <=> $b->{t} } @plays]);

    agree("$n plays by $mode", $made, $n,
          $made->{beacon} ? () : (V05 => 'INCOMPLETE', V04 => 'INCOMPLETE'));

    return;
}


for (1 .. $rounds) {
    raffles() for 1 .. 4;
    fresh_ones();
    games($_) for qw(odds deck moments);
}

cmp_ok($draws, '>', 2000, "$draws draws") if $rounds >= 12;

done_testing();
