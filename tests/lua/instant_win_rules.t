#!/usr/bin/perl

# What a play asks for before it is drawn and changes afterwards: clocks,
# limits, price, stock, awards; and that a play that is refused changes
# nothing.

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
my $engine = Engine->new(clock => $OPEN, remember => 90 * $DAY,
                         wallets => ['WPTS', 0, 'WGEM', 0],
                         tiers => [0, 10000, 'BRNZ', 100, 12000, 'SLVR']);
my $names = 0;


sub game {
    my (%arg) = @_;

    return Plays->new($engine, name => 'game' . $names++, open => $OPEN,
                      close => $OPEN + 100 * $DAY, length => 3_600_000,
                      mode => 'odds', prizes => [[mug => -1, 1, 1]], %arg);
}


# everything in Redis but the test's clock; in three steps what a refusal
# leaves is no more than that, and an account with nothing in it

sub everything {
    my %all;

    for my $key (sort @{ $engine->raw('KEYS', '*') }) {
        next if $key eq 'clock';

        if (!$ENV{LOYALTY_SPLIT}) {
            $all{$key} = $engine->raw('DUMP', $key);

        } elsif ($key =~ /:m:(.*)/) {
            my $st = $engine->state($1);
            my %slots = %{ $st->{states} };

            delete @slots{ grep { !$slots{$_} || ref $slots{$_}
                                  && !grep { $_ } @{ $slots{$_} } }
                           keys %slots };
            $all{$key} = { %$st, states => \%slots, alias => 0 }
                if $st->{seq};

        } elsif ($key !~ /:(?:d|al)\z/) {
            $all{$key} = $engine->raw('DUMP', $key);
        }
    }

    return \%all;
}


sub refused {
    my ($what, $game, $code, @play) = @_;
    my $before = everything();
    my $r = $game->play(@play);

    is($r->{code}, $code, $what);
    is_deeply(everything(), $before, "$what: nothing changed");

    return $r;
}


sub earn {
    my ($member, $id, $amount, $wallet) = @_;

    $engine->{now} = $OPEN;
    $engine->event($member, id => $id, rules => [
        [[1, \substr("E$id   ", 0, 4), \($wallet // 'WPTS'), $amount, 1, 0, 0]]]);

    return;
}


sub give_plays {
    my ($member, $id, $game, $n) = @_;

    $engine->{now} = $OPEN;

    return $engine->event($member, id => $id, rules => [
        [[2, \substr("C$id   ", 0, 4), 1, 0, 0, 0, [3, \$game->{hash}, $n]]]]);
}


# ---- when ----

my $game = game(close => $OPEN + 2 * 3_600_000 + 1);
my $close = $game->{close};

is($game->play('anna', $OPEN, 'first')->{play}{seq}, 0, 'at open');

refused('before open', $game, 'not_open', 'anna', $OPEN - 1, 'early');
refused('at close', $game, 'closed', 'anna', $close, 'late');
is($game->play('anna', $close - 1, 'last')->{play}{e}, 3, 'before close');

my $r = refused('a clock that is behind', $game, 'Rt' . ($OPEN + 6501),
                'anna', $OPEN + 5000, 'a', off => 1501, reckless => 1);
refused('a clock that is ahead', $game, 'Rt' . ($OPEN + 3499),
        'anna', $OPEN + 5000, 'aa', off => -1501, reckless => 1);

is_deeply($game->play('anna', $OPEN + 5000, 'b', off => 1500)->{asked}, [],
          'a clock that is just so far off');
is_deeply($game->play('anna', $OPEN + 9000, 'c', off => -1500)->{asked}, [],
          'in both directions');
is_deeply($game->play('anna', $OPEN + 15000, 'd', off => 1600)->{asked},
          ['t' . ($OPEN + 16600)], 'Redis tells the time');

refused('another epoch than that of t', $game, 'Rt' . $OPEN, 'anna', $OPEN,
        'e', e => 2, reckless => 1);

$game->state(1);
refused('paused', $game, 'paused', 'anna', $OPEN + 1, 'f');
is($game->play('anna', $OPEN, 'first')->{dup}, 1, 'what is known is known');

$game->state(0, over => 1);
refused('an epoch that is over', $game, 'Rt' . ($OPEN + 3_599_999), 'anna',
        $OPEN + 3_599_999, 'g', reckless => 1);

$game->{generation} = 2;
refused('another generation', $game, 'Rg', 'anna', $OPEN + 1, 'h',
        reckless => 1);
$engine->raw('DEL', "$game->{tag}:s");
refused('a game that Redis does not know', $game, 'Rg', 'anna', $OPEN + 1,
        'h', reckless => 1);


$game = game();
refused('what nginx knows', $game, 'not_eligible', 'anna', $OPEN, 'i',
        bar => 'not_eligible');
refused('which is asked after the clock', $game, 'not_open', 'anna',
        $OPEN - 1, 'i', bar => 'not_eligible');
$game->play('anna', $OPEN, 'i');
is($game->play('anna', $OPEN, 'i', bar => 'not_eligible')->{dup}, 1,
   'and after what is known');


# ---- exactly once ----

$game = game();

my $first = $game->play('bert', $OPEN, 'key');
my $again = $game->play('bert', $OPEN + 40 * $DAY, 'key');

is($again->{dup}, 1, 'a repeat is known');
is_deeply($again->{play}, $first->{play}, 'and is the same play');
is(length $game->log, 189, 'in the log once');

refused('the key with another request', $game, 'idempotency_conflict',
        'bert', $OPEN, 'key', fp => 'other');
isnt($game->play('bert', $OPEN, 'other')->{play}{u}, $first->{play}{u},
     'another key is another play');
is($game->play('cora', $OPEN, 'key')->{dup}, 0, 'the key of another member');

is($game->play('bert', $close + $DAY, 'key')->{dup}, 1,
   'after the close, too');


# ---- idx ----

$game = game();
$r = $game->play('anna', $OPEN + 1000 * $_, "i$_") for 0 .. 4;
is($r->{play}{idx}, 1, 'idx counts in one epoch and round');

is_deeply([map { $game->play('anna', $OPEN + 4000, "j$_")->{play}{idx} }
           1 .. 5], [2 .. 6], 'without end');
is_deeply($game->play('anna', $OPEN + 4000, 'j9')->{asked},
          $ENV{LOYALTY_SPLIT} ? [] : ['i7'], 'it is asked for');
is($game->play('anna', $OPEN + 1999, 'back')->{play}{idx}, 3,
   'the round before still has its own');
is($game->play('anna', $OPEN + 7000, 'k')->{play}{idx}, 0, 'the next one');
is(scalar @{ $engine->state('anna')->{states}{ $game->{hash} } }, 9 + 6,
   'what cannot come again is forgotten');


# ---- limits ----

$game = game(limits => [1, 2, 2, 3, 0, 5]);

is($game->play('anna', $OPEN, 'd0')->{play}{left}, 1, 'one is left today');
is($game->play('anna', $OPEN, 'd1')->{play}{left}, 0, 'none is left today');
refused('a third one a day', $game, 'limit_reached:1', 'anna', $OPEN, 'd2');

my @tomorrow = (periods => [int($OPEN / $DAY) + 1, int($OPEN / $DAY / 7),
                            int($OPEN / $DAY / 30)]);

is($game->play('anna', $OPEN + $DAY, 'd3', @tomorrow)->{play}{left}, 0,
   'a week has fewer than two days');
refused('a fourth one a week', $game, 'limit_reached:2', 'anna',
        $OPEN + $DAY, 'd4', @tomorrow);
refused('a day that has been left', $game, 'Rt' . ($OPEN + $DAY), 'anna',
        $OPEN + $DAY, 'd5', periods => [1, 9e9, 9e9], reckless => 1);

is($game->play('anna', $OPEN + 40 * $DAY, 'd6')->{play}{left}, 1, 'later');
is($game->play('anna', $OPEN + 40 * $DAY, 'd7')->{play}{left}, 0, 'the last');
refused('a sixth one', $game, 'limit_reached:0', 'anna', $OPEN + 80 * $DAY,
        'd8');
is($game->play('bert', $OPEN + 80 * $DAY, 'd9')->{play}{left}, 1,
   'each member has its own');


# ---- price ----

$game = game(cost => [1, \'WGEM', 30]);
refused('with nothing', $game, 'insufficient_balance', 'dora', $OPEN, 'a');

earn('dora', 'g1', 80, 'WGEM');
$r = $game->play('dora', $OPEN, 'b');
is_deeply([@{ $r->{entries}[0] }[0 .. 2]], [1, 1, -30], 'the price is the first entry');
is($r->{balances}[0], 50, 'it is paid');
is($r->{play}{left}, 1, 'what is left is enough for one');
is($game->play('dora', $OPEN, 'b')->{balances}[0], 50, 'paid once');
is($game->play('dora', $OPEN, 'c')->{balances}[0], 20, 'and again');
refused('with too little', $game, 'insufficient_balance', 'dora', $OPEN, 'd');

my $st = $engine->state('dora');

is($st->{wallets}[1], 80, 'the lifetime stays');
is($st->{wallets}[0], $st->{wallets}[2] + 80 - 60, 'the ledger');

is(give_plays('dora', 'p1', $game, 2)->{entries}[1][2], 2,
   'plays are awarded');
$r = $game->play('dora', $OPEN, 'e');
is_deeply([@{ $r->{entries}[0] }[0, 2]], [17, -1], 'they go first');
is("$r->{balances}[0] $r->{play}{left}", '20 1', 'and cost nothing');
$game->play('dora', $OPEN, 'f');
refused('with none left', $game, 'insufficient_balance', 'dora', $OPEN, 'g');

$engine->{now} = $OPEN;
$engine->reverse('dora', id => 'r1', of => 'p1');
is_deeply($engine->state('dora')->{states}{ $game->{hash} }[0], -2,
          'plays that were used are owed');
give_plays('dora', 'p2', $game, 3);
is($game->play('dora', $OPEN, 'h')->{play}{left}, 0, 'and paid first');

$game = game(cost => [3, \'', 2]);
refused('no play awarded', $game, 'insufficient_balance', 'dora', $OPEN, 'a');
give_plays('dora', 'p3', $game, 5);
is($game->play('dora', $OPEN, 'b')->{play}{left}, 1, 'a play for two');
$game->play('dora', $OPEN, 'c');
refused('with one of two', $game, 'insufficient_balance', 'dora', $OPEN, 'd');


# ---- eligible ----

$game = game(eligible => [[1, \'SLVR', \'GOLD'], [2, \'WGEM', 5, 10]]);

refused('no tier', $game, 'not_eligible', 'emma', $OPEN, 'a');
earn('emma', 'e1', 100);
refused('no gems', $game, 'not_eligible', 'emma', $OPEN, 'a');
earn('emma', 'e2', 10, 'WGEM');
is($game->play('emma', $OPEN, 'a')->{play}{status}, 1, 'both');


# ---- stock, wins, awards ----

$game = game(prizes => [[mug => 2, 1, 1]], wins => 0,
             awards => { mug => [1, \'WPTS', 60] });

$r = $game->play('finn', $OPEN, 'a');
is("$r->{play}{status} $r->{play}{tier} $r->{play}{serial}", '1 0 0',
   'the first unit');
is_deeply([@{ $r->{entries}[1] }[0 .. 2]], [1, 1, 60], 'its points');
$r = $game->play('finn', $OPEN, 'b');
is("$r->{play}{status} $r->{play}{serial}", '1 1', 'the second');
is_deeply($r->{entries}[2], [10, 'BRNZ', 'SLVR'], 'points make a tier');
$r = $game->play('finn', $OPEN, 'c');
is("$r->{play}{status} $r->{play}{tier} $r->{play}{serial}", '2 0 -1',
   'an empty tier loses');
is_deeply($game->left, [0], 'nothing is left');

$game = $game->version(prizes => [[mug => 3, 1, 1], [pen => 5, 0, 1]]);
is($game->play('finn', $OPEN, 'd')->{play}{serial}, 2,
   'a new version has one more');
is($game->play('finn', $OPEN, 'e')->{play}{status}, 2, 'and no more');
is($game->play('finn', $OPEN, 'e')->{play}{version}, 2, 'says its version');

$game = game(prizes => [[mug => 9, 1, 1]], wins => 1);
is($game->play('gabi', $OPEN, 'a')->{play}{status}, 1, 'a win');
$r = $game->play('gabi', $OPEN, 'b');
is("$r->{play}{status} $r->{play}{tier} $r->{play}{serial}", '3 0 -1',
   'one a member');
is_deeply($game->left, [8], 'the stock stays');
is($game->play('hans', $OPEN, 'a')->{play}{serial}, 1, 'for others');

$game = game(mode => 'deck', prizes => [[mug => 1]], blanks => 2, wins => 0);

my @deck = map { $game->play("d$_", $OPEN, 'a') } 1 .. 3;

is_deeply([sort map { "$_->{play}{n} $_->{play}{tier}" } @deck],
          [sort map { my $t = $deck[$_]{play}{tier}; (3 - $_) . " $t" }
           0 .. 2], 'a deck gets smaller');
is(scalar(grep { $_->{play}{tier} == 0 } @deck), 1, 'the card is there');
refused('a deck with no card', $game, 'sold_out', 'd4', $OPEN, 'a');

$game = game(mode => 'deck', prizes => [[mug => 1]], blanks => 0, wins => 1);
$game->play('anna', $OPEN, 'x');
$game = $game->version(prizes => [[mug => 2]], blanks => 0);
is($game->play('anna', $OPEN, 'y')->{play}{status}, 3, 'a card stays');
is_deeply($game->left, [1, 0], 'in the deck');

$game = game(prizes => [[mug => -1, 1, 1]],
             awards => { mug => [1, \'WPTS', 9007199254740991] });
earn('ivan', 'big', 1);

if ($ENV{LOYALTY_SPLIT}) {
    is($game->play('ivan', $OPEN, 'a')->{play}{status}, 1,
       'what was drawn is won');
    is(scalar keys %{ $engine->state('ivan')->{states}{PROG} || {} }, 0,
       'nothing is open');
    is($engine->ledger('ivan'), 1, 'as the ledger says');

} else {
    refused('more than can be held', $game, 'limit_reached', 'ivan', $OPEN,
            'a');
}

is($engine->balance('ivan'), 1, 'more than can be held is not held');


# ---- codes ----

$game = game(prizes => [[mug => 3, 1, 1]],
             pools => { mug => '{shop:c:mugs}:u' });

my @pool = (keys => ['{shop:c:none}:u', '{shop:c:mugs}:u']);

refused('a prize without a code', $game, 'sold_out', 'jana', $OPEN, 'x',
        @pool);
$engine->raw('RPUSH', '{shop:c:mugs}:u', 'M-1', 'M-2');
refused('a pool that is not among the keys', $game, 'sold_out', 'jana', $OPEN,
        'y', keys => ['{shop:c:none}:u']);
refused('and with no pool at all', $game, 'sold_out', 'jana', $OPEN, 'z');
is($game->play('jana', $OPEN, 'a', @pool)->{play}{code}, 'M-1', 'a code');
is($game->play('jana', $OPEN, 'a', @pool)->{play}{code}, 'M-1',
   'the same for a repeat');
is($game->play('jana', $OPEN, 'b', @pool)->{play}{code}, 'M-2', 'the next');
refused('with no code left', $game, 'sold_out', 'jana', $OPEN, 'c', @pool);
$engine->raw('RPUSH', '{shop:c:mugs}:u', 'M-3', 'M-4');
is($game->play('jana', $OPEN, 'd', @pool)->{play}{code}, 'M-3', 'the last');
is($game->play('jana', $OPEN, 'e', @pool)->{play}{status}, 2,
   'nothing is left');
is($engine->raw('LLEN', '{shop:c:mugs}:u'), 1, 'which takes no code');
$engine->raw('DEL', '{shop:c:mugs}:u');
is($game->play('jana', $OPEN, 'f', @pool)->{play}{status}, 2,
   'and needs none');


# ---- degraded ----

$game = game();

my $round = $game->round($OPEN + 60000);

is($game->play('anna', $OPEN + 60000, 'a')->{play}{round}, $round, 'a round');
$r = $game->play('bert', $OPEN + 66000, 'b', degraded => 1,
                 round => $round);
is($r->{play}{status}, 257, 'one that is late is told');
is($game->play('bert', $OPEN + 66000, 'c', degraded => 1,
               round => $round - 1)->{play}{status}, 257, 'one before it');
refused('an older one than that', $game, 'beacon_unavailable', 'bert',
        $OPEN + 66000, 'd', degraded => 1, round => $round - 2);


# ---- the log ----

$game = game();
$game->state(0, records => 4095);
$engine->raw('SET', "$game->{tag}:l:0", 'x' x (189 * 4095));
$game->{seq} = 5000;
is_deeply($game->play('anna', $OPEN, 'a')->{asked}, ['l4095'],
          'the chunk that is next is asked for');
is($game->play('anna', $OPEN, 'b')->{play}{seq}, 4096, 'the next chunk');
is($engine->raw('STRLEN', "$game->{tag}:l:0"), 189 * 4096, 'is a key');
is($engine->raw('STRLEN', "$game->{tag}:l:1"), 189, 'of its own');


# ---- a log that is damaged ----

for (['lost', sub { $engine->raw('DEL', $_[0]) }],
     ['cut', sub { $engine->raw('SETRANGE', $_[0], 0, '');
                   $engine->raw('SET', $_[0], 'x' x 100) }],
     ['longer', sub { $engine->raw('APPEND', $_[0], 'x') }])
{
    my ($what, $damage) = @$_;
    my ($key, $member) = (undef, "of $what");

    $game = game(cost => [1, \'WPTS', 3]);
    $key = "$game->{tag}:l:0";
    earn($member, 'start', 30);
    $game->play($member, $OPEN, "k$_") for 1 .. 2;
    $damage->($key);

    my $before = $engine->raw('GET', $key);

    is($game->play($member, $OPEN, 'k3')->{code}, 'paused',
       "a log that is $what: no play");
    is($engine->raw('GET', $key), $before, 'the log as it was');
    is($game->values->[2], 3, 'the game is held');
    is($game->values->[1], 2, 'two plays');
    is($engine->state($member)->{wallets}[0], 24, 'and paid for two');
    is($game->play($member, $OPEN, 'k1')->{code}, undef, 'a known one')
        if $what eq 'longer';
}


# ---- many ----

my ($wins, $cost) = (0, 0);

$game = game(mode => 'deck', prizes => [[mug => 10]], blanks => 190,
             cost => [1, \'WPTS', 3], wins => 2,
             awards => { mug => [1, \'WPTS', 7] });

for my $m (0 .. 19) {
    earn("many$m", 'start', 30);

    for my $i (0 .. 9) {
        $r = $game->play("many$m", $OPEN + 20 * $i, "k$i");
        $wins++ if $r->{play}{status} == 1;
        $cost += 3;
    }
}

my $points = 0;

for my $m (0 .. 19) {
    my $st = $engine->state("many$m");

    is($engine->ledger("many$m"), $st->{wallets}[0], "ledger of many$m");
    $points += $st->{wallets}[0];
}

is($points, 20 * 30 - $cost + 7 * $wins, 'points in all');
is($game->left->[0], 10 - $wins, 'mugs in all');
is(length $game->log, 189 * 200, 'plays in all');

my @log = unpack '(a189)*', $game->log;

is_deeply([map { unpack 'Q>', substr $_, 40 } @log], [0 .. 199],
          'numbered without a gap');

done_testing();
