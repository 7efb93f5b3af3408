#!/usr/bin/perl

# The log of a draw has lost a chunk: it pauses itself before anything more is
# acknowledged, whether somebody plays or only the leader looks; and it goes
# on once the data is back and it is resumed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Instant;
use Loyalty::Test;
use Test::More;

my $open = Loyalty::Instant::at(-30);
my $close = Loyalty::Instant::at(86400);
my $rule = "open $open;  close $close;";

my $t = Loyalty::Test->new(
    workers => 2, files => { secret => 'main:' . 'ab' x 32 . "\n" },
    server => 'location /fair/ { loyalty_proof shop; }',
    allow => [qr/ is damaged at record /], program => <<"END");
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
instant_win played { $rule  draw odds;  prize mug { odds 1/2; } }
instant_win alone { $rule  draw odds;  prize mug { odds 1/2; } }
sweepstakes entered { $rule  prize trip { stock 1; } }
sweepstakes left { $rule  prize trip { stock 1; } }
challenge buyer { on purchase; goal 1; every day; award tickets entered 2; }
END

my $redis = $t->redis;
my %g = map { $_ => Loyalty::Instant->new($t, $_) }
        qw(played alone entered left);
my $n = 0;

sub take {
    my ($name) = @_;
    my $path = $g{$name}{tag} && $name =~ /^(?:played|alone)/
               ? "games/$name/plays" : "sweepstakes/$name/entries";

    return $t->post("/loyalty/$path", $path =~ /plays/ ? undef
                                                       : { tickets => 1 },
                    headers => { 'X-Member' => 'm' . ++$n,
                                 'Idempotency-Key' => "k$n" });
}

sub admin {
    my ($name) = @_;
    my $path = $name =~ /^(?:played|alone)/ ? 'games' : 'sweepstakes';
    return "/loyalty-admin/$path/$name";
}

for my $name (qw(played alone entered left)) {
    is(take($name)->status, 200, "$name: one") for 1 .. 3;
}

my %chunk = map { $_ => "$g{$_}{tag}:" . (/played|alone/ ? 'l' : 'e') . ':0' }
            keys %g;
my %kept = map { $_ => $redis->call('DUMP', $chunk{$_}) } keys %g;

$redis->call('DEL', values %chunk);

is(take($_)->code, 'paused', "$_: nobody can") for qw(played entered);
is($redis->call('EXISTS', $chunk{$_}), 0, 'nothing is written')
    for qw(played entered);

for my $name (qw(played alone entered left)) {
    ok($t->wait_log(qr/\[emerg\].*the log of \S+ $name in Redis is damaged/),
       "$name: an emergency");
    ok($t->wait_for(sub { ($t->get(admin($name))->json->{held} // '')
                          eq 'damaged' }), 'it is held');
    is($t->get(admin($name))->json->{state}, 'paused', 'which is a pause');
    is(take($name)->code, 'paused', 'nobody goes on');
}

my $r = $t->event({ id => 'e', member => 'eve', type => 'purchase' });
is($r->status, 200, 'an event counts');
is_deeply([map { "$_->{type} " . ($_->{reason} // '') }
           grep { $_->{type} =~ /^tickets/ } @{ $r->json->{effects} }],
          ['tickets_refused paused'], 'without tickets');
is($t->metrics->{'nginx_loyalty_draw_held{program="shop",game="left"}'}, 1,
   'a metric says so');

# resumed too early it is held again

my $told = () = $t->log =~ /log of \S+ left in Redis/g;
is($t->post(admin('left') . '/resume', {})->status, 200, 'resumed');
ok($t->wait_for(sub { my $now = () = $t->log =~ /log of \S+ left in Redis/g;
                      $now > $told }), 'which is told once more');
ok($t->wait_for(sub { take('left')->code eq 'paused' }), 'it is held again');

$redis->call('RESTORE', $chunk{$_}, 0, $kept{$_}) for keys %g;

for my $name (qw(played alone entered left)) {
    is($t->post(admin($name) . '/resume', {})->status, 200, "$name: resumed");
    is(take($name)->status, 200, 'it goes on');
}

$t->wait_for(sub { 0 }, 2.2);
is($t->get(admin($_))->json->{held}, undef, "$_ stays open") for keys %g;

done_testing();
