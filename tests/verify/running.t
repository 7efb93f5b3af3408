#!/usr/bin/perl
# What both verifiers say of campaigns that go on: nothing that is yet to come
# is a FAIL, all of it is named, and what is wrong by now is a FAIL now.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Test::More;

use Proof;
use Samples;
use Verdict;


# plays of two revealed epochs, of the one that is over but for its secret, and
# of the one that goes on

{
    my $until = OPEN + 184000;
    my @waits = map { $_ => 'INCOMPLETE' } qw(V03 V12 V19);
    my $says = qr/\(running, until 2025-01-07T16:15:05Z\)$/;

    for my $made (wheel(until => $until),
                  scratch(until => OPEN + 100000, close => OPEN + 305000))
    {
        verdict("a running $made->{mode}", $made,
                { @waits, V13 => 'INCOMPLETE',
                  says => [$says, qr/V03 INCOMPLETE .*is yet to come/,
                           qr/V13 INCOMPLETE .*: \d+ plays of epochs whose c/,
                           qr/V19 INCOMPLETE .*is yet to come/] });
    }

    verdict('running moments', calendar(until => $until),
            { @waits, V14 => 'INCOMPLETE', says => [$says] });

    verdict('all that was played is revealed',
            wheel(until => $until, plays => [@{ wheel()->{plays} }[0 .. 70]]),
            { V03 => 'INCOMPLETE', V19 => 'INCOMPLETE', says => [$says] });
    verdict('another u, while it runs',
            wheel(until => $until, play(50, sub { $_[0]{u} = H('x') })),
            { @waits, V13 => 'FAIL', says => [$says] });
    verdict('a log that is cut off, while it runs',
            wheel(until => $until,
                  hook => { files => sub { substr $_[0]{log}, -1890, 1890, ''
                                           } }),
            { @waits, V03 => 'FAIL', V13 => 'INCOMPLETE' });
    verdict('a secret that should be there, while it runs',
            wheel(until => $until,
                  hook => { files => sub { $_[0]{reveal} =~ s/^c 1 1 .*\n//m
                                           } }),
            { @waits, V12 => 'FAIL', V13 => 'INCOMPLETE' });

    my $open = raffle(dqs => [], hook => { files => sub {
        delete @{ $_[0] }{qw(close picks reveal beacons)};
        $_[0]{timestamps} =~ s/^close .*\n//m } });

    delete $open->{files}{evidence};
    delete $open->{close_note};

    verdict('a raffle that is open', $open,
            { no_rounds => 1,
              map({ $_ => 'INCOMPLETE' }
                  qw(V04 V07 V08 V09 V10 V17 V18 V19)),
              says => [qr/\(running, until 2025-01-08T16:10:00Z\)$/,
                       qr/V04 .*the close note is yet to come/] });

    my $closed = raffle(dqs => [], hook => { files => sub {
        delete @{ $_[0] }{qw(picks reveal beacons)} } });

    delete $closed->{files}{evidence};

    verdict('a raffle that is closed', $closed,
            { no_rounds => 1,
              map({ $_ => 'INCOMPLETE' } qw(V06 V07 V10 V17 V18 V19)),
              says => [qr/\(closed, to be drawn by round 14517013 of 2025-01/]
            });
}

done_testing();
