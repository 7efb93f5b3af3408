#!/usr/bin/perl

# Redis comes back with less than it had acknowledged: a game that members
# were told more about is paused until somebody has looked.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Loyalty::Instant;
use Test::More;

my $open = Loyalty::Instant::at(-30);
my $close = Loyalty::Instant::at(86400);

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
END

my $redis = $t->redis;
my $g = Loyalty::Instant->new($t, 'scratch');
my $n = 0;

sub enter {
    return $t->post('/loyalty/sweepstakes/spring/entries', { tickets => 1 },
                    headers => { 'X-Member' => 'm' . ++$n,
                                 'Idempotency-Key' => "k$n" });
}

sub dump_all { return map { $_ => $redis->call('DUMP', $_) }
                      grep { !/leader/ } @{ $redis->call('KEYS', '{shop*') } }

is($g->play('m' . ++$n, "k$n")->status, 200, 'a play') for 1 .. 10;
is(enter()->status, 200, 'an entry') for 1 .. 5;
$t->wait_for(sub { $t->metrics->{'nginx_loyalty_draw_records'
                   . '{program="shop",game="spring"}'} // 0 == 5 });

my %before = dump_all();

$g->play('m' . ++$n, "k$n") for 1 .. 10;
enter() for 1 .. 5;

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
is(() = $t->log =~ /is rewound/g, 2, 'told once');

is($t->get('/loyalty-admin/games/scratch')->json->{state}, 'paused',
   'the admin sees it');

for ('games/scratch', 'sweepstakes/spring') {
    is($t->post("/loyalty-admin/$_/resume", {})->status, 200, "resume $_");
}

is($g->play('m' . ++$n, "k$n")->status, 200, 'it goes on');
is(enter()->status, 200, 'both do');
$t->wait_for(sub { 0 }, 2.5);
is(() = $t->log =~ /is rewound/g, 2, 'and nothing more is said');


done_testing();
