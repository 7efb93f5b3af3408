#!/usr/bin/perl
# V14: limits of the terms, of plays and of entries, by day, week, month and
# campaign.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Test::More;

use Proof;
use Samples;
use Verdict;


# ---- plays ----

for my $period (qw(day week month campaign)) {
    verdict("over a limit per $period",
            wheel(limits => ["28 per $period"]), { V14 => 'FAIL' });
    verdict("just within a limit per $period",
            wheel(limits => ["29 per $period"]), {});
}

# Madrid's day ends at 23:00 UTC: the plays of one half do not count in the
# other, nor those of Sunday in Monday's week

{
    my $midnight = 1736636400000;    # 2025-01-11T23:00Z, Sunday begins
    my @plays = map { { member => 'm', key => $_, t => $_ } }
                map { $midnight + $_ * 1000 } -20, -10, 10, 20;
    my @week = map { { %$_, t => $_->{t} + 86400000 } } @plays;

    my %short = (versions => [], open => $midnight - 60000,
                 close => $midnight + 60000, few_heads => 0, flags => 0);

    verdict('a day ends at midnight of the zone',
            wheel(%short, limits => ['2 per day'], plays => \@plays), {});
    verdict('a day does not end at midnight UTC',
            wheel(%short, limits => ['2 per day'], zone => 'UTC',
                  plays => \@plays), { V14 => 'FAIL' });
    verdict('a week does not end on Saturday',
            wheel(%short, limits => ['2 per week'], plays => \@plays),
            { V14 => 'FAIL' });

    $short{$_} += 86400000 for qw(open close);

    verdict('a week ends on Sunday',
            wheel(%short, limits => ['2 per week'], plays => \@week), {});
    verdict('a zone that nobody knows',
            wheel(%short, limits => ['2 per day'], zone => 'Mars/Base',
                  plays => \@week),
            { V14 => 'INCOMPLETE', says => [qr{"Mars/Base" is not known}] });
}

# a key that is used again: within a day it is the same play, after what the
# program remembers it is another one

{
    my %long = (versions => [], close => OPEN + 86400000 + 120000,
                few_heads => 1, flags => 0);

    for my $case ([1000, 'FAIL'], [86400000 - 120000, 'FAIL'],
                  [86400000 + 60000, undef])
    {
        my ($after, $verdict) = @$case;

        verdict("a key that is used again after $after ms",
                wheel(%long, plays => [map { { member => 'm', key => 'k',
                                               t => OPEN + 1000 + $_ } }
                                       0, $after]),
                { $verdict ? (V14 => $verdict) : () });
    }
}

verdict('a limit that is not understood',
        wheel(limits => ['3 per moon']), { V14 => 'INCOMPLETE' });


# ---- entries ----

# the most that one of nine people has, voids or not

{
    my %all;

    for my $r (grep { !$_->{flags} } @{ raffle()->{records} }) {
        $all{$r->{person}} += $r->{tickets};
    }

    my ($most) = sort { $b <=> $a } values %all;

    for my $period (qw(day week month campaign)) {
        verdict("entries within a limit per $period",
                raffle(limits => ["$most per $period"]),
                { says => [qr/V14 PASS .*: limits per person: 1/] });
        verdict("an entry over a limit per $period",
                raffle(limits => [$most - 1 . " per $period"]),
                { V14 => 'FAIL', says => [qr/entry \d+ is over a limit/] });
    }

    verdict('no limit', raffle(), { says => [qr/V14 PASS .*no limit/] });
    verdict('a limit that a version has raised',
            raffle(limits => ['1 per day'], versions => [
                { t => OPEN + 7200000, limits => ["$most per day"] }]), {});
    verdict('a limit that no version has raised so far',
            raffle(limits => ['1 per day'], versions => [
                { t => OPEN + 7200000, limits => [$most - 1 . ' per day'] }]),
            { V14 => 'FAIL' });
    verdict('a limit of entries that is not understood',
            raffle(limits => ['3 per moon']), { V14 => 'INCOMPLETE' });
    verdict('entries in a zone that nobody knows',
            raffle(limits => ['3 per day', '900 per campaign'],
                   zone => 'Mars/Base'), { V14 => 'INCOMPLETE' });
}

{
    my @entries = map { { member => "m$_->[0]", t => OPEN + $_->[1],
                          tickets => $_->[2], salt => 's' x 16, method => 1,
                          event => "e$_->[1]" } }
                  ['a', 0, 5], ['a', 1000, 4], ['b', 2000, 5], ['c', 3000, 5];

    my %again = (entries => \@entries, voids => [[0, OPEN + 500]], dqs => [],
                 hook => { records => sub {
                               splice @{ $_[0] }, 1, 0, pop @{ $_[0] } } });

    verdict('what is voided may be entered again',
            raffle(%again, limits => ['5 per campaign']), {});
    verdict('but not on the same day',
            raffle(%again, limits => ['5 per day']), { V14 => 'FAIL' });

    # Madrid's day and month end at 23:00 UTC

    my $midnight = 1738364400000;    # 2025-01-31T23:00Z
    my @late = map { { %{ $entries[0] }, t => $midnight + $_,
                       event => "x$_" } } -1000, 1000;
    my %late = (entries => [@late, map { { %$_, t => $midnight + 5000 } }
                                   @entries[2, 3]],
                voids => [], dqs => [], versions => [], beacon => undef,
                open => $midnight - 60000, close => $midnight + 86400000,
                zone => 'Europe/Madrid');

    for my $period (qw(day month)) {
        verdict("a $period ends at midnight of the zone",
                raffle(%late, limits => ["5 per $period"]),
                { V04 => 'INCOMPLETE', V05 => 'INCOMPLETE' });
        verdict("a $period does not end at midnight UTC",
                raffle(%late, limits => ["5 per $period"], zone => 'UTC'),
                { V04 => 'INCOMPLETE', V05 => 'INCOMPLETE', V14 => 'FAIL' });
    }

    verdict('the week goes on',
            raffle(%late, limits => ['5 per week']),
            { V04 => 'INCOMPLETE', V05 => 'INCOMPLETE', V14 => 'FAIL' });
}

done_testing();
