package Samples;

# Campaigns for tests of the verifier, complete in every file: each of them is
# PASS with its options.  Arguments change what is made.

use strict;
use warnings;

use Exporter qw(import);

use Proof;
use Raffle;
use Wheel;

our @EXPORT = qw(raffle fresh wheel scratch calendar options
                 OPEN CLOSE);

use constant OPEN => 1736266200000;
use constant CLOSE => 1736352600000;

# the one round of quicknet that a draw here rests on: 30 min after CLOSE

my $R = 14517013;
my $signature = '83236a954108c9de257b6a10c838f3e3f215eb3bd25c2261f42b4a6204d6b'
              . '00a3f216b8d88dcd7947cba97d39f2e16c5';

my $own = beacon_chain('samples');


sub entries {
    my ($n, $members) = @_;

    return [map { {
        member => 'member-' . $_ % $members, tickets => 1 + $_ ** 2 % 5,
        t => OPEN + 1000 * $_, method => 1 + $_ % 2,
        salt => substr(H("salt $_"), 0, 16), event => "event-$_",
    } } 0 .. $n - 1];
}


# quicknet, a second version, voids, a winner who does not claim

sub raffle {
    return Raffle->new(
        authority => authority('tsa'), seed => 1, alternates => 3,
        prizes => [['trip', 1], ['mug', 1]], entries => entries(30, 9),
        voids => [[3, OPEN + 50000], [7, OPEN + 51000]],
        versions => [{ t => OPEN + 7200000,
                       prizes => [['trip', 1], ['mug', 2]] }],
        dqs => [{ t => CLOSE + 7 * 86400000, position => 1 }],
        beacon => {
            chain => QUICKNET,
            signature => sub {
                $_[0] == $R or die "no signature of round $_[0]";
                return pack 'H*', $signature;
            },
        }, @_);
}


# a beacon of our own, fresh alternates until nobody is left for the prize

sub fresh {
    return Raffle->new(
        authority => authority('tsa'), flags => 2, alternates => 1,
        game => 'summer', prizes => [['trip', 1], ['mug', 5]],
        entries => entries(30, 11), beacon => $own,
        voids => [[10, OPEN + 50000]],
        dqs => [map { { t => CLOSE + $_ * 86400000, position => 0,
                        reason => $_ } } 1 .. 5], @_);
}


sub plays {
    my ($n, $members, $step) = @_;

    return [map { { member => 'member-' . $_ % $members, key => "key-$_",
                    t => OPEN + $step * $_ } } 0 .. $n - 1];
}


# odds in two versions, limits, wins_per_member, degraded plays

sub wheel {
    my $plays = plays(200, 7, 1500);

    $plays->[$_]{degraded} = 1 for 20, 21, 150;

    return Wheel->new(
        authority => authority('tsa'), game => 'wheel', mode => 'odds',
        close => OPEN + 305000, flags => 1, wins => 9, beacon => $own,
        zone => 'Europe/Madrid',
        limits => ['40 per day', '40 per week', '40 per campaign'],
        prizes => [['car', 1, 1, 100], ['mug', 5, 1, 20],
                   ['coupon', undef, 1, 3]],
        versions => [{ t => OPEN + 70000,
                       prizes => [['mug', 8, 1, 10],
                                  ['coupon', undef, 1, 6]] }],
        plays => $plays, @_);
}


# a deck until it is sold out

sub scratch {
    return Wheel->new(
        authority => authority('tsa'), game => 'scratch', mode => 'deck',
        close => OPEN + 125000, beacon => $own, blanks => 50, wins => 4,
        prizes => [['car', 1], ['mug', 15], ['coupon', 14]],
        plays => plays(80, 11, 1500), @_);
}


sub calendar {
    return Wheel->new(
        authority => authority('tsa'), game => 'calendar', mode => 'moments',
        close => OPEN + 305000, beacon => $own, wins => 3,
        prizes => [['car', 1], ['mug', 12]],
        versions => [{ t => OPEN + 61000,
                       prizes => [['car', 1], ['pen', 2], ['mug', 14]] }],
        plays => plays(60, 5, 5000), @_);
}


# what the verifier's user has at hand: the authority, and the notes he saved

sub options {
    my ($made, $dir) = @_;

    my @notes = ($made->{close_note} // (),
                 ($made->{flags} & 2) && $made->{dq_notes}
                     ? @{ $made->{dq_notes} } : (),
                 $made->{close_note} ? () : @{ $made->{manifest_notes} });

    my @options = ('--saved-note', spew("$dir.saved", join '', @notes));

    if ($made->{authority}) {
        push @options, '--tsa-ca', "$made->{authority}/root.pem";
    }

    if ($made->{beacon} && $made->{beacon}{option}) {
        push @options, '--beacon', $made->{beacon}{option};
    }

    return @options;
}


1;
