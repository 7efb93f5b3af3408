#!/usr/bin/perl

# kill -9 of workers, of masters, of nginx and of Redis in the midst of plays:
# no prize beyond its stock, no acknowledged win lost, one result for each key,
# each play charged once, and no gap in the log.  LOYALTY_SOAK=100000, as in
# "make soak-plays", takes so many plays and LOYALTY_KILLS kills, and asks
# loyalty-verify; LOYALTY_SEED repeats a run, LOYALTY_SPLIT=1 has each play in
# three steps.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Instant;
use Loyalty::Mayhem;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(time);

my $plays = $ENV{LOYALTY_SOAK} || 2400;
my $large = $plays >= 10_000;
my $kills = $ENV{LOYALTY_KILLS} || ($large ? 200 : 12);
my $seed = $ENV{LOYALTY_SEED} || ($large ? time % 1_000_000 : 11);
my $cars = int $plays / 200;
my $codes = int $plays / 120;
my $blanks = int $plays / 2;
my $pins = int $plays / 8;                  # one of 25 is due
my $split = $ENV{LOYALTY_SPLIT};            # which has no codes

my ($open, $close) = map { Loyalty::Instant::at($_) } -3600, 86400;
my $program = <<END;
secret_file %%TESTDIR%%/secret;
durability always;
wallet points;
earn purchase points 1000000;
instant_win scratch {
    open $open; close $close; cost points 3; draw odds;
    prize car { stock $cars; odds 1/20; award points 2; }
    prize pen { odds 1/7; }
}
instant_win deck {
    open $open; close $close; cost points 1; draw deck blanks=$blanks;
    prize bag { stock $codes; @{[ $split ? '' : 'codes codes;' ]} }
    prize hat { stock 10; award points 5; }
}
instant_win calendar {
    open $open; close $close; cost points 1; draw moments;
    prize pin { stock $pins; award points 1; }
}
END
my %common = (workers => 2, allow => [qr/exited on signal 9/],
              files => { secret => 'main:' . '5a' x 32 . "\n" },
              server => 'location /fair/ { loyalty_proof shop; }');
my $t = Loyalty::Test->new(%common, program => $program,
    redis => { appendonly => 1, appendfsync => 'always' });

is($t->post('/loyalty-admin/codes/codes',
            join('', map { "\"code-$_\"\n" } 1 .. $codes),
            headers => { 'Content-Type' => 'application/x-ndjson' })->status,
   200, 'codes are imported') if !$split;

my $other = Loyalty::Test->new(%common, redis => 0,
    program => 'redis unix:' . $t->dir . '/redis.sock'
               . ($split ? ' split' : '') . ";\n$program");

my $m = Loyalty::Mayhem->new([$t, $other], {
    scratch => { price => 3, exhausts => 1,
                 prizes => { car => { stock => $cars, award => 2 },
                             pen => {} } },
    deck => { price => 1,
              prizes => { bag => { stock => $codes, codes => !$split },
                          hat => { stock => 10, award => 5 } } },
    calendar => { price => 1,
                  prizes => { pin => { stock => $pins, award => 1 } } },
}, members => $large ? 500 : 40, points => 1_000_000,
   pool => $split ? 0 : $codes, seed => $seed);
my $start = time;

$m->run(plays => $plays, kills => $kills, seconds => $large ? 3600 : 120);
is($m->killed, join(' ', map { "$_ " . $kills / 4 }
                             qw(master nginx redis worker)),
   sprintf 'seed %d, %d s, killed', $seed, time - $start);
diag sprintf '%d plays in %d s, seed %d, killed: %s', $plays, time - $start,
             $seed, $m->killed if $large;
$m->check;
$m->verify if $large;

done_testing();
