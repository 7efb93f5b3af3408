# Challenges: every shape and mode, forward and back, against a model.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Engine;
use Test::More;

my $e = Engine->new(wallets => ['WPTS', 1]);
my $DAY = 86400e3;
my $T = $Engine::NOW;

my ($ONCE, $EVERY, $WINDOW, $OPENS) = 0 .. 3;
my ($EVENTS, $QUANTITY, $AMOUNT, $ITEMS, $DISTINCT) = 0 .. 4;


sub rule {
    my (%o) = @_;
    return [2, \'CHAL', $o{goal}, $o{mode} // 0, $o{shape} // 0,
            $o{window} // 0, [map { (1, \'WPTS', $_) } @{ $o{awards} // [] }]];
}


my $n = 0;

sub hit {
    my ($m, $rule, $dyn, %o) = @_;
    my $r = $e->event($m, id => $o{id} // 'e' . ++$n,
                      rules => [[$rule, @$dyn]], %o);
    die $r->{code} if $r->{code};
    return $r;
}


sub chal { return [grep { ($_->[0] >= 3 && $_->[0] <= 6) || $_->[0] == 12 }
                   @{ $_[0]{entries} }] }

sub pts { my $p = 0;
          $_->[0] == 1 and $p += $_->[2] for @{ $_[0]{entries} };
          return $p }

sub state_of { return $e->state($_[0])->{states}{CHAL} }


# once ever, by events

my $three = rule(goal => 3, awards => [50]);
my $r = hit('a', $three, [], id => 'a1');
is_deeply(chal($r), [[3, 3, 0, 1, 3]], '1 of 3');
is_deeply(state_of('a'), [0, 1], 'the state is a number');
hit('a', $three, [], id => 'a2');
$r = hit('a', $three, [], id => 'a3');
is_deeply(chal($r), [[3, 3, 0, 3, 3]], '3 of 3');
is(pts($r), 50, 'and the award');
$r = hit('a', $three, [], id => 'a4');
is_deeply(chal($r), [[4, 3, 0]], 'counted past the goal, without effect');
$r = $e->reverse('a', id => 'x1', of => 'a1');
is_deeply(chal($r), [], 'the surplus goes first');
is($e->balance('a'), 50, 'the award stands');
$r = $e->reverse('a', id => 'x2', of => 'a4');
is_deeply(chal($r), [[3, 3, 0, 2, 3]], '2 of 3');
is(pts($r), -50, 'the award is taken back');
is(pts(hit('a', $three, [], id => 'a5')), 50, 'completed again');
$e->reverse('a', id => "y$_", of => $_) for qw(a2 a3 a5);
is($e->balance('a'), 0, 'all reversed');
ok(!state_of('a'), 'and no state left');

# the goal that it was completed with decides a reversal; a lower goal
# applies to what is open

my $two = rule(goal => 2, awards => [7]);
hit('g', $three, [], id => 'g1');
hit('g', $three, [], id => 'g2');
is(pts(hit('g', $two, [], id => 'g3')), 7, 'a lowered goal');
$r = $e->reverse('g', id => 'x', of => 'g3');
is(pts($r), 0, 'two of two stand');
$r = $e->reverse('g', id => 'y', of => 'g2');
is(pts($r), -7, 'one of two does not; what was paid is taken');

# sums, in parts

my $fifty = rule(goal => 5000, mode => $AMOUNT, awards => [5]);
hit('s', $fifty, [], id => 's1', amount => 4000);
$r = hit('s', $fifty, [], id => 's2', amount => 1500);
is_deeply(chal($r), [[3, 3, 0, 5500, 5000]], 'past the sum');
is(pts($r), 5, 'award');
$r = $e->reverse('s', id => 'x1', of => 's1', amount => 500);
is_deeply(chal($r), [], '5000 of 5000');
$r = $e->reverse('s', id => 'x2', of => 's1', amount => 1);
is_deeply(chal($r), [[3, 3, 0, 4999, 5000]], 'one cent below');
is(pts($r), -5, 'award back');
is(pts(hit('s', $fifty, [], id => 's3', amount => 1)), 5, 'and again');

# items: quantity and amount

my @items = ('c1', 'coffee', 3, 900, 't1', 'tea', 2, 500, 'c2', 'coffee', 1,
             250);
my $five = rule(goal => 4, mode => $QUANTITY, awards => [9]);
$r = hit('q', $five, [[1, 3]], id => 'q1', items => \@items);
is_deeply(chal($r), [[3, 3, 0, 4, 4]], 'quantity of matched items');
$r = $e->reverse('q', id => 'x1', of => 'q1', items => ['t1', '', -1, -1]);
is_deeply(chal($r), [], 'an item that does not count');
$r = $e->reverse('q', id => 'x2', of => 'q1', items => ['c1', '', 2, -1]);
is_deeply(chal($r), [[3, 3, 0, 2, 4]], 'two of three');
is(pts($r), -9, 'award back');
$e->reverse('q', id => 'x3', of => 'q1');
ok(!state_of('q'), 'the rest');

my $worth = rule(goal => 1000, mode => $ITEMS, awards => [9]);
$r = hit('v', $worth, [[1, 3]], id => 'v1', items => \@items);
is_deeply(chal($r), [[3, 3, 0, 1150, 1000]], 'amount of items');
$r = $e->reverse('v', id => 'x2', of => 'v1', items => ['c2', '', 1, 100]);
is_deeply(chal($r), [], '1050 stays');
$r = $e->reverse('v', id => 'x3', of => 'v1', items => ['c1', '', 1, -1]);
is_deeply(chal($r), [[3, 3, 0, 750, 1000]], 'a third of c1');

# distinct values

my $skus = rule(goal => 3, mode => $DISTINCT, awards => [4]);
my ($A, $B, $C) = map { \($_ x 8) } qw(A B C);
hit('d', $skus, [[0, $A]], id => 'd1');
$r = hit('d', $skus, [[0, $A]], id => 'd2');
is_deeply(chal($r), [[6, 3, 0, 1, 0, $$A]], 'a value twice: no effect');
$r = hit('d', $skus, [[1, $B, 2, $C]], id => 'd3',
         items => ['b', 'x', 1, -1, 'c', 'x', 1, -1]);
is_deeply(chal($r), [[5, 3, 0, 3, 3, 2, 1, $$B, 2, $$C]], 'two more');
is(pts($r), 4, 'award');
$r = $e->reverse('d', id => 'x1', of => 'd1');
is(pts($r), 0, 'A is there a second time');
$r = $e->reverse('d', id => 'x2', of => 'd3', items => ['c', '', 1, -1]);
is(pts($r), -4, 'C is gone with its item');
is(chal($r)->[0][3], 2, '2 of 3');
$e->reverse('d', id => 'x3', of => 'd3');
$e->reverse('d', id => 'x4', of => 'd2');
ok(!state_of('d'), 'all reversed');

hit('many', rule(goal => 255, mode => $DISTINCT), [[0, \sprintf('%08d', $_)]])
    for 1 .. 260;
is(state_of('many')->[1][0], 255, 'at most 255 values are kept');

# every period, late events in their own

my $month = rule(goal => 2, shape => $EVERY, awards => [10]);
hit('p', $month, [100, 90, 80], id => 'p1');
hit('p', $month, [101, 90, 80], id => 'p2');
$r = hit('p', $month, [100, 90, 80], id => 'p3');
is_deeply(chal($r), [[3, 3, 100, 2, 2]], 'a late event in its own period');
is(pts(hit('p', $month, [101, 90, 80], id => 'p4')), 10, 'and the next');
$e->reverse('p', id => 'x1', of => 'p1');
is($e->balance('p'), 10, 'one period falls');
$e->reverse('p', id => "x$_", of => $_) for qw(p2 p3 p4);
is($e->balance('p'), 0, 'all');
ok(!state_of('p'), 'no state');

hit('prune', $month, [$_, $_ - 3, $_ - 10]) for 1 .. 100;
cmp_ok(scalar @{ state_of('prune') }, '<=', 2 * 9 + 1,
       'old open periods are forgotten');
hit('keep', $month, [$_ >> 1, ($_ >> 1) - 3, ($_ >> 1) - 30]) for 2 .. 201;
my $kept = (@{ state_of('keep') } - 1) / 2;
cmp_ok($kept, '>=', 30, 'completed ones as long as they can be reversed');
cmp_ok($kept, '<=', 40, 'and no longer');

# a window from the first counted event to t + window

my $w = rule(goal => 3, shape => $WINDOW, window => 10 * $DAY, awards => [6]);
hit('w', $w, [], id => 'w1', at => $T);
$r = hit('w', $w, [], id => 'w0', at => $T - 1);
is_deeply(chal($r), [], 'before its start: counts nowhere');
hit('w', $w, [], id => 'w2', at => $T + 10 * $DAY - 1);
$r = hit('w', $w, [], id => 'w3', at => $T + 10 * $DAY);
is_deeply(chal($r), [[3, 3, 2, 1, 3]], 'at its end the next opens');
hit('w', $w, [], id => 'w4', at => $T + 11 * $DAY);
$r = hit('w', $w, [], id => 'w5', at => $T + 12 * $DAY);
is(pts($r), 6, 'completed');
$r = hit('w', $w, [], id => 'w6', at => $T + 13 * $DAY);
is_deeply(chal($r), [[3, 3, 3, 1, 3]], 'the next event opens another');
$r = $e->reverse('w', id => 'x1', of => 'w4');
is(pts($r), -6, 'the completed one no longer stands');
$r = $e->reverse('w', id => 'x2', of => 'w1');
is_deeply(chal($r), [], 'nothing of the first one is left to change');
$e->reverse('w', id => "x$_", of => $_) for qw(w0 w2 w3 w5 w6);
is($e->balance('w'), 0, 'all reversed');
is(scalar @{ state_of('w') }, 2, 'no instance left');
$r = hit('w', $w, [], at => $T + 20 * $DAY);
is(chal($r)->[0][2], 4, 'an ordinal is not given twice');

# opens_on: instances of their own, several at a time

my $o = rule(goal => 2, shape => $OPENS, window => 5 * $DAY, awards => [20]);
$r = hit('o', $o, [1], id => 'o0', at => $T);
is_deeply(chal($r), [], 'nothing is open');
$r = hit('o', $o, [2], id => 'open1', at => $T);
is_deeply(chal($r), [[12, 3, 1, 2]], 'an instance');
hit('o', $o, [2], id => 'open2', at => $T + 1 * $DAY);
$r = hit('o', $o, [1], id => 'o1', at => $T + 1 * $DAY);
is_deeply(chal($r), [[3, 3, 1, 1, 2], [3, 3, 2, 1, 2]],
          'one event counts in both');
$r = hit('o', $o, [1], id => 'o2', at => $T + 2 * $DAY);
is(pts($r), 40, 'and may complete both');
$r = hit('o', $o, [3], id => 'both', at => $T + 3 * $DAY);
is_deeply(chal($r), [[4, 3, 1], [4, 3, 2], [12, 3, 3, 2]],
          'an opener that counts does not count for itself');
$r = hit('o', $o, [1], id => 'o3', at => $T + 5 * $DAY);
is_deeply(chal($r), [[4, 3, 2], [3, 3, 3, 1, 2]],
          'the first has ended');
$r = $e->reverse('o', id => 'x1', of => 'open2');
is(pts($r), -20, 'reversing an opener removes its instance and its award');
$r = $e->reverse('o', id => 'x2', of => 'o1');
is_deeply(chal($r), [], 'the first keeps its surplus, the second is gone');
$r = $e->reverse('o', id => 'x3', of => 'o2');
is(pts($r), -20, 'now the first falls');
$e->reverse('o', id => "x$_", of => $_) for qw(open1 both o0 o3);
is($e->balance('o'), 0, 'all reversed');


# which instances are kept

sub ordinals {
    my (undef, undef, @st) = @{ state_of($_[0]) };
    return join ' ', map { $st[3 * $_] } 0 .. $#st / 3;
}

my $one = rule(goal => 1, shape => $OPENS, window => 5 * $DAY);
hit('old', $one, [2], at => $T - 20 * $DAY);
hit('old', $one, [1], at => $T - 19 * $DAY);
hit('old', $one, [2], at => $T - 12 * $DAY - 1);
hit('old', $one, [2], at => $T - 12 * $DAY);
hit('old', $one, [2], at => $T);
is(ordinals('old'), '1 3 4',
   'open ones as long as events for them may come, completed ones longer');
hit('old', $one, [2], at => $T - 100 * $DAY);
$e->{now} += 83 * $DAY;
hit('old', $one, [2], at => $T + 83 * $DAY);
is(ordinals('old'), '6', 'and those no longer than they can be reversed');
$e->{now} = $T;

hit('crowd', $one, [2]) for 1 .. 260;
is(ordinals('crowd'), join(' ', 6 .. 260), 'at most 255, the newest');


# an event that came late is remembered from then on, and its instance with it

for my $shape ($WINDOW, $OPENS) {
    my $late = Engine->new(remember => 8 * $DAY);
    my $r = rule(goal => 1, shape => $shape, window => $DAY, awards => [5]);
    my $send = sub {
        my ($id, $day, $role) = @_;
        my $reply = $late->event('l', id => $id, at => $T + $day * $DAY,
                                 rules => [[$r, $shape == $OPENS ? $role : ()]]);
        die $reply->{code} if $reply->{code};
    };

    $late->{now} = $T + 6 * $DAY;
    $send->('o1', 0, 2) if $shape == $OPENS;
    $send->('a', 0, 1);
    is($late->balance('l'), 5, "shape $shape: completed, six days late");

    $late->{now} = $T + 13 * $DAY;
    $send->("o$_", 13, 2) for 2 .. 3;
    is(pts($late->reverse('l', id => 'r', of => 'a')), -5,
       "shape $shape: its award is taken back a week later");
}


# The model: once ever and every period, sums with parts, at random.

srand(7);
my $bad = 0;

for my $round (1 .. 12) {
    my $m = "r$round";
    my $shape = $round % 2 ? $ONCE : $EVERY;
    my $rule = rule(goal => 1000, mode => $AMOUNT, shape => $shape,
                    awards => [10, 3]);
    my (%left, %in);

    for my $step (1 .. 60) {
        my @ids = sort grep { $left{$_} } keys %left;

        if (@ids && rand() < 0.4) {
            my $id = $ids[rand @ids];
            my $part = rand() < 0.5 ? 1 + int rand $left{$id} : $left{$id};

            $e->reverse($m, id => "x$step", of => $id, amount => $part);
            $left{$id} -= $part;

        } else {
            my $p = $shape == $ONCE ? 0 : int rand 4;
            my $amount = 1 + int rand 600;

            hit($m, $rule, $shape == $ONCE ? [] : [$p, 0, 0],
                id => "i$step", amount => $amount);
            ($left{"i$step"}, $in{"i$step"}) = ($amount, $p);
        }

        my (%sum, $want);
        $sum{ $in{$_} } += $left{$_} for keys %left;
        $want += $_ >= 1000 ? 13 : 0 for values %sum;

        if ($e->balance($m) != $want || $e->ledger($m) != $want) {
            diag("round $round step $step: ", $e->balance($m), " for $want")
                if $bad++ < 5;
        }
    }
}

is($bad, 0, '720 random events and reversals agree with the model');

done_testing();
