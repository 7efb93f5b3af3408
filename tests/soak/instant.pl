#!/usr/bin/perl

# The long form of t/instant_kill.t: 100,000 plays with kill -9 of workers,
# nginx and Redis 300 times.
#
#     tests/soak/instant.pl [PLAYS [KILLS [SEED]]]

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../t/lib";

use Loyalty::Instant;
use Loyalty::Mayhem;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(time);

my ($plays, $kills, $seed) = @ARGV;

$plays ||= 100_000;
$kills ||= 300;
$seed ||= time;

my ($open, $close) = map { Loyalty::Instant::at($_) } -3600, 86400;

my $t = Loyalty::Test->new(
    workers => 2,
    redis => { appendonly => 1, appendfsync => 'always' },
    allow => [qr/exited on signal 9/],
    files => { secret => 'main:' . '5a' x 32 . "\n" },
    server => 'location /fair/ { loyalty_proof shop; }',
    program => <<END);
secret_file %%TESTDIR%%/secret;
durability always;
wallet points;
earn purchase points 1000000;
instant_win scratch {
    open $open; close $close; cost points 3; draw odds;
    prize car { stock 1000; odds 1/50; award points 2; }
    prize pen { odds 1/7; }
}
END

my $m = Loyalty::Mayhem->new($t, 'scratch', members => 500, price => 3,
                             prize => 'car', award => 2, stock => 1000,
                             points => 1_000_000, exhausts => $plays > 60_000,
                             seed => int $seed);
my $start = time;

$m->run(plays => $plays, kills => $kills, seconds => 3600);
diag sprintf 'seed %d, %d s, killed: %s', $seed, time - $start,
     join ', ', map { "$_ $m->{killed}{$_}" } sort keys %{ $m->{killed} };
$m->check;

done_testing();
