#!/usr/bin/perl

# Redis comes back with less than it had acknowledged: a game that members
# were told more about is held until somebody has looked, and nothing is
# closed or drawn meanwhile, as it is where an operator has paused it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Loyalty::Instant;
use Test::More;

my $open = Loyalty::Instant::at(-30);
my $close = Loyalty::Instant::at(86400);
my $soon = int(time) + 8 * Loyalty::Test->slow;
my $then = Loyalty::Instant::at($soon - time);

my $t = Loyalty::Test->new(
    workers => 2, files => { secret => 'main:' . 'ab' x 32 . "\n" },
    server => 'location /fair/ { loyalty_proof shop; }',
    allow => [qr/is rewound: /], program => <<"END");
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
instant_win scratch {
    open $open;  close $close;  draw odds;  prize mug { odds 1/2; }
}
sweepstakes spring {
    open $open;  close $close;  prize trip { stock 1; }
}
sweepstakes soon { open $open;  close $then;  prize trip { stock 1; } }
sweepstakes calm { open $open;  close $then;  prize trip { stock 1; } }
END

my $redis = $t->redis;
my $g = Loyalty::Instant->new($t, 'scratch');
my $n = 0;

sub enter {
    my $name = shift // 'spring';
    return $t->post("/loyalty/sweepstakes/$name/entries", { tickets => 1 },
                    headers => { 'X-Member' => 'm' . ++$n,
                                 'Idempotency-Key' => "k$n" });
}

sub dump_all { return map { $_ => $redis->call('DUMP', $_) }
                      grep { !/leader/ } @{ $redis->call('KEYS', '{shop*') } }

is($g->play('m' . ++$n, "k$n")->status, 200, 'a play') for 1 .. 10;
is(enter()->status, 200, 'an entry') for 1 .. 5;
is(enter($_)->status, 200, "one in $_") for qw(soon calm);
is($t->post('/loyalty-admin/sweepstakes/calm/pause', {})->status, 200,
   'which is paused by hand');
$t->wait_for(sub { $t->metrics->{'nginx_loyalty_draw_records'
                   . '{program="shop",game="spring"}'} // 0 == 5 });

my %before = dump_all();

$g->play('m' . ++$n, "k$n") for 1 .. 10;
enter() for 1 .. 5;
enter('soon') for 1 .. 2;

# as after a restart with an older file
$redis->call('FLUSHALL');
$redis->call('RESTORE', $_, 0, $before{$_}) for keys %before;

ok($t->wait_log(qr/scratch is rewound: Redis had 20 records and has 10; it is/),
   'a rewound game is told');
like($t->log, qr/\[emerg\].*scratch is rewound/, 'as an emergency');
ok($t->wait_log(qr/spring is rewound: Redis had 10 records and has 5;/),
   'and a rewound sweepstakes');
ok($t->wait_for(sub { $g->play('m' . ++$n, "k$n")->json->{code} // ''
                      eq 'paused' }), 'nobody plays');
is(enter()->json->{code}, 'paused', 'or enters');
ok($t->wait_log(qr/soon is rewound/), 'the third');
is(() = $t->log =~ /is rewound/g, 3, 'told once');

sub admin { return $t->get("/loyalty-admin/$_[0]")->json }

is(admin('games/scratch')->{state}, 'paused', 'the admin sees it');
is(admin('games/scratch')->{held}, 'rewound', 'and why');
is($t->metrics->{'nginx_loyalty_draw_held{program="shop",game="soon"}'}, 1,
   'a metric says so');

# by the clock one of them is drawn, and the other one is not

is($t->post('/loyalty-admin/sweepstakes/soon/pause', {})->status, 200,
   'to pause it');
ok($t->wait_for(sub { admin('sweepstakes/calm')->{state} eq 'drawn' }, 20),
   'what is paused by hand is drawn');
$t->wait_for(sub { 0 }, 1.5);
is(admin('sweepstakes/soon')->{state}, 'paused', 'what is held is not');
is(admin('sweepstakes/soon')->{held}, 'rewound', 'which it still is');
is($t->post("/loyalty-admin/sweepstakes/soon/$_", {})->json->{code}, 'paused',
   "nor by hand: $_") for qw(close draw);
is($t->metrics->{'nginx_loyalty_draw_state{program="shop",game="soon",'
   . 'state="paused"}'}, 1, 'the metric');
is($t->post('/loyalty-admin/sweepstakes/soon/resume', {})->status, 200,
   'once it is resumed');
ok($t->wait_for(sub { admin('sweepstakes/soon')->{state} eq 'drawn' }, 10),
   'it is drawn');
is(admin('sweepstakes/soon')->{held}, undef, 'and not held');

for ('games/scratch', 'sweepstakes/spring') {
    is($t->post("/loyalty-admin/$_/resume", {})->status, 200, "resume $_");
}

is($g->play('m' . ++$n, "k$n")->status, 200, 'it goes on');
is(enter()->status, 200, 'both do');
$t->wait_for(sub { 0 }, 2.5);
is(() = $t->log =~ /is rewound/g, 3, 'and nothing more is said');


done_testing();
