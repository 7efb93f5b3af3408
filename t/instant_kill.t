#!/usr/bin/perl

# kill -9 of workers, of nginx and of Redis in the midst of plays: no prize
# beyond its stock, no acknowledged win lost, one result for each key, each
# play charged once, and no gap in the log.  tests/soak/instant.pl does so for
# 100,000 plays.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Instant;
use Loyalty::Mayhem;
use Loyalty::Test;
use Test::More;

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
    prize car { stock 30; odds 1/20; award points 2; }
    prize pen { odds 1/7; }
}
END

my $m = Loyalty::Mayhem->new($t, 'scratch', members => 40, price => 3,
                             prize => 'car', award => 2, stock => 30,
                             points => 1000000, exhausts => 1, seed => 11);

$m->run(plays => 2400, kills => 12, seconds => 120);
is(join(' ', map { "$_ $m->{killed}{$_}" } sort keys %{ $m->{killed} }),
   'nginx 4 redis 4 worker 4', 'killed');
$m->check;

done_testing();
