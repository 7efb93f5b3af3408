#!/usr/bin/perl

# A play in three steps: the tests of plays and entries in one, made in three,
# and what happens when a step does not follow the one before.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../t/lib", $FindBin::Bin;

use Test::More;

use Engine;
use Loyalty::Fairness;
use Plays;

my $DAY = 86_400_000;
my $OPEN = 1736266200000;

for my $test (qw(instant_win instant_win_rules sweepstakes)) {
    my $out = do {
        local $ENV{LOYALTY_SPLIT} = 1;
        `$^X $FindBin::Bin/$test.t 2>&1 </dev/null`;
    };

    is($?, 0, "$test.t in three steps") or diag $out;
    unlike($out, qr/^not ok/m, "$test.t: every test");
    cmp_ok(scalar(() = $out =~ /^ok/mg), '>', 60, "$test.t: all of it");
}

my $engine = Engine->new(clock => $OPEN, remember => 90 * $DAY,
                         wallets => ['WPTS', 0, 'WGEM', 0]);
my $names = 0;
my $plays = 0;


sub game {
    my (%arg) = @_;

    return Plays->new($engine, name => 'game' . $names++, open => $OPEN,
                      close => $OPEN + 100 * $DAY, length => 3_600_000,
                      mode => 'odds', prizes => [[mug => -1, 1, 1]], %arg);
}


sub earn {
    my ($member, $id, $amount) = @_;

    $engine->{now} = $OPEN;

    return $engine->event($member, id => $id, rules => [
        [[1, \substr("E$id   ", 0, 4), \'WPTS', $amount, 1, 0, 0]]]);
}


# what the steps of a play need

sub p {
    my ($game, $member, $t, %opt) = @_;
    my $person = person($game->{kp}, $game->{cid}, $member);

    $engine->clock($t);
    $game->{t} = $t;

    return { member => $member, person => $person, t => $t,
             id => pack('a16', 'play ' . ++$plays), base => 0, many => 1,
             width => 1, seq => 0, e => $game->epoch($t),
             round => $game->round($t),
             periods => [map { int($t / $DAY / $_) } 1, 7, 30], %opt };
}


sub open_of {
    my ($game, $member) = @_;

    return $engine->call('open', [($engine->keys_of($member))[0],
                                  $game->open_ones($member)],
                         [$engine->constants, \$game->{hash}, \$member]);
}


sub pending {
    my ($game, $member, $before) = @_;

    return $engine->call('pending', [$game->open_ones($member)],
                         [$before // $OPEN + $DAY, 16]);
}


# ---- between reserve and draw ----

my $game = game(cost => [1, \'WPTS', 30]);

is(open_of($game, 'nobody'), 'G', 'nothing is open of a member never seen');
earn('anna', 'e1', 50);
is(open_of($game, 'anna'), 'G', 'nor of one who does not play');

my $p = p($game, 'anna', $OPEN);
my $reply = $game->reserve_step($p);

like($reply, qr/^N/, 'reserved');

my $r = Plays::reservation(substr $reply, 1);

is_deeply([@$r{qw(t e idx wins plays)}], [$OPEN, 1, 0, 0, 0],
          'what a reservation says');
is(substr($reply, 1), substr(open_of($game, 'anna'), 1), 'it is open');
is($game->reserve_step($p), 'O' . substr($reply, 1),
   'and found by the same key');

my $q = p($game, 'anna', $OPEN + 1);

is($game->reserve_step($q), 'O' . substr($reply, 1), 'and by another one');
is($game->_at_once($q), 'O' . substr($reply, 1), 'and by a play in one step');
is_deeply(pending($game, 'anna'), ['anna'], 'it is on the list');
is_deeply(pending($game, 'anna', $OPEN), [], 'of those as old as that');
is($engine->balance('anna'), 50, 'the balance stays');
is($engine->ledger('anna'), 50, 'and so does the ledger');

# another game, and whatever else takes points, has what is not held

my $other = game(cost => [1, \'WPTS', 30]);

is($other->reserve_step(p($other, 'anna', $OPEN)), 'Einsufficient_balance',
   'the price is held');
is($other->_at_once(p($other, 'anna', $OPEN)), 'Einsufficient_balance',
   'for a play in one step, too');

my $cheap = game(cost => [1, \'WPTS', 20]);
my $c = p($cheap, 'anna', $OPEN);

like($cheap->reserve_step($c), qr/^N/, 'what is left can be held');
is($cheap->settle_step($c, Plays::reservation(substr open_of($cheap, 'anna'),
                                                     1)), 'C', 'given back');
is(open_of($cheap, 'anna'), 'G', 'and nothing is open');
is_deeply(pending($cheap, 'anna'), [], 'or on the list');

$engine->{now} = $OPEN;
$engine->reverse('anna', id => 'r1', of => 'e1');
is_deeply([@{ $engine->state('anna')->{wallets} }[0 .. 3]], [30, 0, 0, 30],
          'a reversal leaves what is held, and the rest is owed');
is($engine->ledger('anna'), 30, 'so says the ledger');


# ---- between draw and settle ----

my $drawn = $game->draw_step($p, $r);

like($drawn, qr/^P/, 'drawn');
is(length $drawn, 190, 'without a code');
is($game->draw_step($p, $r), $drawn, 'drawn once');
is(length $game->log, 189, 'in the log once');
$engine->clock($OPEN + 5000);
is($game->draw_step($p, $r), $drawn, 'later, too');
is($game->draw_step({ %$p, busy => 'busy' }, $r), $drawn,
   'by one who wants to give up, too');
is($game->draw_step({ %$p, seq => 9000 }, $r), 'Rl0',
   'by one who has another chunk, not yet');

like($game->settle_step($p, $r, substr $drawn, 1), qr/^N/, 'settled');
is($engine->balance('anna'), 0, 'the price is taken');
is($engine->ledger('anna'), 0, 'by the ledger');
is(open_of($game, 'anna'), 'G', 'nothing is open');
is_deeply(pending($game, 'anna'), [], 'or on the list');
like($game->settle_step($p, $r, substr $drawn, 1), qr/^D/,
     'settled once');
is($engine->balance('anna'), 0, 'and paid once');
like($game->reserve_step($p), qr/^K\0{8}D/, 'the key is known');


# ---- what is refused is refused for good ----

$game = game();
$p = p($game, 'bert', $OPEN);
$r = Plays::reservation(substr $game->reserve_step($p), 1);
$game->state(1);
is($game->draw_step($p, $r), 'Epaused', 'paused');
$game->state(0);
is($game->draw_step($p, $r), 'Epaused', 'and not drawn after that');
is($game->settle_step($p, $r), 'C', 'so it is given up');
is($game->settle_step($p, $r), 'G', 'once');
$p = { %{ p($game, 'bert', $OPEN + 1) }, id => $p->{id} };
$r = Plays::reservation(substr $game->reserve_step($p), 1);
like($game->draw_step($p, $r), qr/^P/, 'the key may try again');
is($game->settle_step($p, { %$r, t => $OPEN }), 'G',
   'and the one before it cannot be mistaken for it');
like(open_of($game, 'bert'), qr/^O/, 'it is still open');

$p = p($game, 'cora', $OPEN);
$r = Plays::reservation(substr $game->reserve_step($p), 1);
$engine->clock($OPEN + 1501);
is($game->draw_step($p, $r), 'Rt' . ($OPEN + 1501), 'too late');
$engine->clock($OPEN);
is($game->draw_step($p, $r), 'Rt' . ($OPEN + 1501), 'for good');

$p = p($game, 'dora', $OPEN);
$r = Plays::reservation(substr $game->reserve_step($p), 1);
is($game->draw_step({ %$p, busy => 'busy' }, $r), 'Ebusy', 'given up');
is($game->draw_step($p, $r), 'Ebusy', 'for good');


# ---- what is drawn is forgotten when nobody can ask for it ----

my $n = $engine->raw('ZCARD', "$game->{tag}:d");

is($n, 4, 'what was drawn and refused');
is($engine->call('forget', ["$game->{tag}:d"], [$OPEN]), 0,
   'nothing is so old');
is($engine->call('forget', ["$game->{tag}:d"], [$OPEN + 1]), 3,
   'three are older than that');
is($engine->raw('ZCARD', "$game->{tag}:d"), 1, 'one is not');


# ---- a code ----

$game = game(prizes => [[mug => 3, 1, 1]],
             pools => { mug => '{shop:c:mugs}:u' });
$engine->raw('RPUSH', '{shop:c:mugs}:u', 'M-1', 'M-2');
$p = p($game, 'emma', $OPEN, keys => ['{shop:c:mugs}:u']);
$r = Plays::reservation(substr $game->reserve_step($p), 1);
$drawn = $game->draw_step($p, $r);
is(substr($drawn, 190), 'M-1', 'a code is drawn');
is($game->draw_step($p, $r), $drawn, 'once');
is($engine->raw('LLEN', '{shop:c:mugs}:u'), 1, 'and leaves the pool');
like($game->settle_step($p, $r, substr($drawn, 1, 189), 'M-1'), qr/M-1/,
     'and gets to the member');


# ---- a member that is gone ----

$p = p($game, 'finn', $OPEN, keys => ['{shop:c:mugs}:u']);
$r = Plays::reservation(substr $game->reserve_step($p), 1);
$drawn = $game->draw_step($p, $r);
$engine->call('erase', [$engine->keys_of('finn')], [1000, \'boss', []]);
is($game->settle_step($p, $r, substr($drawn, 1, 189), 'M-2'), 'G',
   'there is nothing to settle');
is($engine->state('finn'), undef, 'and nobody');
is_deeply(pending($game, 'finn'), ['finn'], 'but a line on the list');
is(open_of($game, 'finn'), 'G', 'which who looks');
is_deeply(pending($game, 'finn'), [], 'takes off');

done_testing();
