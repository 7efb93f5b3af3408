#!/usr/bin/perl

# "open" edited while a draw goes on: that would be another campaign of the
# same name, with full stock and limits anew.  It is refused until the first
# one is over; and what Redis has lost is not begun again by the next nginx.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Instant;
use Loyalty::Test;
use Test::More;

my $begin = int(time) - 3600;
my $end = int(time) + 10 * Loyalty::Test->slow;

sub at { return Loyalty::Instant::at($_[0] - time) }

sub program {
    my (%open) = @_;

    return "secret_file %%TESTDIR%%/secret; unsafe_store on;\n"
           . 'instant_win wheel { open ' . at($open{wheel} // $begin)
           . '; close ' . at($open{close} // $end + 3600)
           . '; draw odds; limit 1 per campaign; prize mug { stock 1;'
           . ' odds 1/1; } } sweepstakes short { open '
           . at($open{short} // $begin) . '; close '
           . at($open{short} ? $end + 7200 : $end)
           . '; prize trip { stock 1; } }'
           . ' instant_win later { open ' . at($open{later} // $end + 600)
           . '; close ' . at($end + 7200) . '; draw odds;'
           . " prize mug { odds 1/2; } }\n";
}

my $t = Loyalty::Test->new(
    workers => 2, files => { secret => 'main:' . '5a' x 32 . "\n" },
    server => 'location /fair/ { loyalty_proof shop; }',
    allow => [qr/is stopped: /], program => program());

my $wheel = Loyalty::Instant->new($t, 'wheel');

sub games { return $t->get('/fair/games')->body }
sub reload {
    $t->write_file('program.conf', program(@_));
    $t->reload(wait => 1);
}

sub enter {
    return $t->post('/loyalty/sweepstakes/short/entries', { tickets => 1 },
                    headers => { 'X-Member' => 'ada',
                                 'Idempotency-Key' => $_[0] });
}

is($wheel->play('ada', 'one')->json->{outcome}, 'win', 'the only mug');
is(enter('a')->status, 200, 'an entry');
ok($t->wait_for(sub { my $g = games(); $g =~ /^wheel .* open$/m
                      && $g =~ /^short .* open$/m
                      && $g =~ /^later .* planned$/m }), 'they go on');

my $before = games();

reload(wheel => $begin + 60, short => $begin + 60, later => $end + 660);

is($wheel->play('bob', 'two')->code, 'rules_changed', 'another open: no play');
is(enter('b')->code, 'rules_changed', 'and no entry');

for my $name ('instant_win wheel', 'sweepstakes short') {
    like($t->log, qr/\[emerg\].*$name is stopped: a campaign of this name goes on, with "open \Q@{[at($begin)]}\E;": restore it/,
         "an emergency tells which to restore: $name");
}

ok($t->wait_for(sub { games() =~ /^later .*\nlater /m }),
   'one that had not opened may have another');
is(join('', grep { !/^later/ } games() =~ /^(.*\n)/mg),
   join('', grep { !/^later/ } $before =~ /^(.*\n)/mg),
   'nothing else was begun');

# as it was: the members' limits hold

reload(later => $end + 660);
is($wheel->play('ada', 'three')->code, 'limit_reached', 'restored: it goes on');

# a sweepstakes that is drawn, an instant win that is over

ok($t->wait_for(sub { games() =~ /^short .* drawn$/m }, 30), 'it is drawn');
reload(short => $begin + 60, later => $end + 660);
ok($t->wait_for(sub { enter('c')->status == 200 }), 'the next of its name');
ok($t->wait_for(sub { 2 == (() = games() =~ /^short /mg) }),
   'is another campaign');

# Redis has lost all of it, and nginx is told to start anew

my $log = length $t->log;
$t->redis->call('FLUSHALL');
reload(short => $begin + 60, later => $end + 660);
ok($t->wait_for(sub { substr($t->log, $log)
                      =~ /wheel is stopped: Redis has lost it/ }),
   'what members were told of is not begun again');
is($wheel->play('eve', 'four')->code, 'unavailable', 'nobody plays');

done_testing();
