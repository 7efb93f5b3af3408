#!/usr/bin/perl

# "redis ... split": no call to Redis has keys of two slots, as a cluster
# wants it; what would need a third slot is refused; and the tests of plays and
# entries are made again with it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Instant;
use Loyalty::Monitor;
use Loyalty::Test;
use Test::More;

my ($open, $close) = map { Loyalty::Instant::at($_) } -3600, 86400;

# ---- the slots of all keys ----

my $t = Loyalty::Test->new(
    workers => 2, files => { secret => 'main:' . '5a' x 32 . "\n" },
    server => 'location /fair/ { loyalty_proof shop; }',
    program => "redis unix:%%REDIS%% split;\n" . <<END);
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
earn purchase points 100;
challenge buyer { on visit; goal 1; every day; award plays scratch 2; }
instant_win scratch { open $open; close $close; cost points 10; draw odds;
                      prize mug { stock 5; odds 1/2; award points 3; } }
instant_win deck { open $open; close $close; draw deck blanks=20;
                   prize bag { stock 5; award plays scratch 1; } }
instant_win when { open $open; close $close; draw moments;
                   prize hat { stock 5; } }
sweepstakes raffle { open $open; close $close; cost points 1; free_entry on;
                     limit 5 per day; prize trip { stock 1; } }
END

my %game = map { $_ => Loyalty::Instant->new($t, $_) } qw(scratch deck when);
my $monitor = Loyalty::Monitor->new($t);

for my $member (map { "m$_" } 1 .. 5) {
    $t->event({ id => "$_", member => $member, type => $_ })
        for qw(purchase visit);

    for my $name (sort keys %game) {
        is($game{$name}->play($member, $_)->status, 200, "$name: a play")
            for qw(a b a);
    }
}

sub enter {
    my ($member, $key, $tickets) = @_;

    return $t->post('/loyalty/sweepstakes/raffle/entries',
                    { tickets => $tickets },
                    headers => { 'X-Member' => $member,
                                 'Idempotency-Key' => $key });
}

is(enter('m1', 'a', 2)->json->{first}, 0, 'an entry');
is(enter('m1', 'a', 2)->json->{first}, 0, 'and once more');
is(enter('m1', 'b', 4)->code, 'limit_reached', 'over the limit');
is_deeply([@{ $t->post('/loyalty-admin/sweepstakes/raffle/entries',
    join('', map { qq({"member":"m$_","tickets":$_,"id":"i$_"}\n) } 2, 3, 6, 2),
    headers => { 'Content-Type' => 'application/x-ndjson' })->json }
        {qw(entered tickets duplicates refused)}], [2, 5, 1, 1],
    'an import');
is($t->request('DELETE', '/loyalty-admin/members/m2')->status, 200, 'erased');
is($game{scratch}->play('m2', 'again')->code, 'not_eligible',
   'and takes part no more');
is(enter('m2', 'again', 1)->code, 'not_eligible', 'nowhere');

# many of one member

my @many = $t->parallel(map { [$game{deck}->post('many', "k$_")] } 1 .. 60);

is(scalar(grep { $_->status == 200 } @many)
   + scalar(grep { ($_->code // '') eq 'sold_out' } @many), 60,
   'sixty plays of one member at once');

# and whatever else asks Redis

my $admin = sub {
    my ($path, $body) = @_;
    my %actor = (headers => { 'Loyalty-Actor' => 'olga',
                              'Idempotency-Key' => $path });

    is(($body ? $t->post("/loyalty-admin/$path", $body, %actor)
              : $t->get("/loyalty-admin/$path"))->status, 200, $path);
};

$admin->($_) for qw(stats members/m1 members/m1/export members/m1/history
                    games/deck);
$admin->('members/m1/adjustments', { wallet => 'points', amount => 1,
                                     reason => 'test' });
$admin->('games/scratch/grants', { member => 'm1', plays => 1,
                                   method => 'post' });
$admin->('games/deck/pause', {});
$admin->('games/deck/resume', {});
is($t->reversal('visit', { id => 'back', member => 'm1' })->status, 200,
   'a reversal');
is($t->me('m1')->status, 200, 'me');
is($t->get('/loyalty/sweepstakes/raffle', headers => { 'X-Member' => 'm1' })
   ->status, 200, 'a sweepstakes');

my @calls;

ok($t->wait_for(sub { push @calls, $monitor->calls;
                      return grep { $_->{name} eq 'pending' } @calls }),
   'the leader looks for what was cut off');

cmp_ok(scalar(grep { $_->{name} =~ /^play_/ } @calls), '>=', 5 * 3 * 2 * 3,
       'three calls for each play');
is_deeply([grep { $_->{name} =~ /^(?:play|enter)\z/ } @calls], [],
          'never one');
is_deeply([map { "$_->{name} @{ $_->{keys} }" } grep { $_->{slots} > 1 }
           @calls], [], 'no call has keys of two slots');
is(length($game{deck}->log) / 189, 25, 'all cards are drawn');
cmp_ok(scalar(grep { $_->{name} eq 'play_reserve' } @calls), '<', 5 * 60,
       'they do not get in each other\'s way');
$game{$_}->sound(stock => [5]) for sort keys %game;
Loyalty::Instant::fsck($t);


# ---- what is refused ----

sub refused {
    my ($line, $program, $like) = @_;
    my ($ok, $output) = Loyalty::Test->check(
        files => { secret => "main:" . "5a" x 32 . "\n" },
        program => "redis 127.0.0.1:1 split;\nwallet points;\n"
                   . "secret_file %%TESTDIR%%/secret;\n$program");

    ok(!$ok, "refused: $like");
    like($output, qr/\[emerg\] $like.*program\.conf:$line\b/,
         'with its line');
}

my $span = "open $open; close $close;";

refused(4, 'reward coffee { cost points 1; }', 'rewards are not supported');
refused(6, "instant_win a { $span draw odds;\n prize b { odds 1/2; stock 1;\n"
           . ' codes c; } }', 'codes of a pool are not supported');

for my $award ('tickets s 1', 'reward r') {
    my ($what) = $award =~ /(\w+)/;

    refused(5, "challenge a { on visit; goal 1;\n award $award; }\n"
               . ($what eq 'reward' ? 'reward r { }'
                  : "sweepstakes s { $span prize b { stock 1; } }"),
            "an award of $what is not supported");
}

refused(4, 'redis 127.0.0.1:1 split;', '"redis" directive is duplicate');


# ---- what holds of one call ----

my %again = (instant_play => 90, instant_parallel => 20, instant_kill => 20,
             sweepstakes_entry => 90);

for my $test (sort keys %again) {
    my $out = do {
        local @ENV{qw(LOYALTY_SPLIT LOYALTY_SOAK LOYALTY_KILLS)}
            = (1, 1200, 8);
        `$^X $FindBin::Bin/$test.t 2>&1 </dev/null`;
    };

    is($?, 0, "$test.t") or diag $out;
    unlike($out, qr/^not ok/m, "$test.t: every test");
    cmp_ok(scalar(() = $out =~ /^ok/mg), '>=', $again{$test},
           "$test.t: all of it");
}

done_testing();
