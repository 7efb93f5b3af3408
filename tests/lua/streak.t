# Streaks, held against a model that knows only the set of periods.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Engine;
use Test::More;

my $e = Engine->new(wallets => ['WPTS', 1], remember => 4000 * 86400e3);
my $D0 = 19000;                     # a period to start from


sub rule {
    my (%o) = @_;
    my @awards = map { my ($at, $every, $n) = @$_;
                       ($at, $every, 1, \'WPTS', $n) } @{ $o{awards} // [] };
    return [3, \'STRK', 1, $o{granted} // 0, $o{earn} // 0, $o{max} // 0,
            \@awards];
}


# what the newest entry of the streak says

sub visit {
    my ($m, $id, $period, $rule) = @_;
    my $r = $e->event($m, id => $id, rules => [[$rule, $period]]);
    die $r->{code} if $r->{code};
    return $r;
}


sub streak_entry { return (grep { $_->[0] >= 7 && $_->[0] <= 9 }
                           @{ $_[0]{entries} })[0] }

sub points_of { my $n = 0;
                $_->[0] == 1 and $n += $_->[2] for @{ $_[0]{entries} };
                return $n }


my $plain = rule();

# the ordinary life of a streak

my $r = visit('a', 1, $D0, $plain);
is_deeply(streak_entry($r), [7, 3, $D0, 1, 1], 'first event');
$r = visit('a', 2, $D0, $plain);
is_deeply(streak_entry($r), [9, 3, $D0], 'again in the period: no effect');
$r = visit('a', 3, $D0 + 1, $plain);
is_deeply(streak_entry($r), [7, 3, $D0 + 1, 2, 2], 'the next period');
$r = visit('a', 4, $D0 + 3, $plain);
is_deeply(streak_entry($r), [8, 3, $D0 + 3, 1, 2, 2, 0], 'broken');
$r = visit('a', 5, $D0 + 2, $plain);
is_deeply(streak_entry($r), [7, 3, $D0 + 2, 4, 4], 'a late event joins');
$r = visit('a', 6, $D0 + 200, $plain);
is_deeply(streak_entry($r), [8, 3, $D0 + 200, 1, 4, 4, 0], 'much later');
$r = visit('a', 7, $D0 + 5, $plain);
is_deeply(streak_entry($r), [9, 3, $D0 + 5], 'older than the map');
is($e->state('a')->{states}{STRK}[3], 7, 'and counted in the total');

# awards: at, every, several at once, once a run

my $awards = rule(awards => [[3, 0, 10], [7, 0, 50], [0, 5, 7]]);

is(points_of(visit('w', 1, $D0, $awards)), 0, 'day 1');
is(points_of(visit('w', 2, $D0 + 1, $awards)), 0, 'day 2');
is(points_of(visit('w', 3, $D0 + 2, $awards)), 10, 'day 3');
is(points_of(visit('w', $_, $D0 + $_, $awards)), $_ == 6 ? 10 : 0,
   "day " . ($_ + 1)) for 4 .. 6;
$r = visit('w', 7, $D0 + 3, $awards);
is_deeply([map { $_->[2] } grep { $_->[0] == 1 } @{ $r->{entries} }],
          [7, 50], 'a late event passes 5 and 7, lowest first, 3 once a run');
is(points_of(visit('w', 8, $D0 + 3, $awards)), 0, 'not again');
is(points_of(visit('w', 100 + $_, $D0 + 20 + $_, $awards)),
   $_ == 2 ? 10 : 0, 'a new run is paid anew') for 0 .. 2;

# taken back when a run no longer stands

$r = $e->reverse('w', id => 'r1', of => 103 - 1);
is(points_of($r), -10, 'day 3 of the second run goes');
$r = $e->reverse('w', id => 'r2', of => 7);
is(points_of($r), 0, 'the period still has an event');
$r = $e->reverse('w', id => 'r3', of => 8);
is(points_of($r), -57, 'the run of 7 splits: 3 stands, 5 and 7 do not');
is($e->balance('w'), 20, 'what is left: both runs of 3');
$e->reverse('w', id => "q$_", of => $_) for 1 .. 6, 100, 101;
is($e->balance('w'), 0, 'all gone');
is($e->state('w')->{states}{STRK}, 0, 'and the streak');

# in whatever order it is reversed

for my $order ([4, 3], [3, 4], [5, 7], [7, 5], [3, 5, 4], [5, 3, 4]) {
    my $m = "order@$order";
    visit($m, $_, $D0 + $_, $awards) for 1 .. 7;
    $e->reverse($m, id => "r$_", of => $_) for @$order;
    is($e->balance($m), "@$order" =~ /3 5 4|5 3 4/ ? 0 : 10,
       "without @$order: what the days that remain are worth");
}

# what an old run was paid goes when the streak goes

visit('old', $_, $D0 + $_, $awards) for 0 .. 2;
visit('old', 'z', $D0 + 300, $awards);
is($e->balance('old'), 10, 'paid once');
$e->reverse('old', id => "r$_", of => $_) for 0 .. 2;
is($e->balance('old'), 10, 'older than the map: stands');
is($e->state('old')->{states}{STRK}[3], 1, 'the total falls');
$e->reverse('old', id => 'rz', of => 'z');
is($e->balance('old'), 0, 'taken back with the streak');

# runs of all lengths leave the map alike, with awards and without

for my $case (map { my $d = $_; map { [$d, $_] } 1, 2, 64, 70 } 63 .. 66) {
    my ($d, $run) = @$case;
    my @states;

    for my $rule ($plain, rule(awards => [[1000, 0, 1]])) {
        my $m = "far$d-$run-" . @states;

        visit($m, $_, $D0 + $_, $rule) for 1 .. $run;
        visit($m, 'far', $D0 + $run + $d, $rule);
        push @states, [map { $_ // 0 }
                       @{ $e->state($m)->{states}{STRK} }[0 .. 6]];
    }

    is_deeply($states[1], $states[0], "$d periods after $run");
    is($states[0][2], $run, 'best');
}

# every=1 for a year: one award a day, the state stays small

my $daily = rule(awards => [[0, 1, 1]]);
visit('year', $_, $D0 + $_, $daily) for 0 .. 399;
is($e->balance('year'), 400, '400 days, 400 points');
my $st = $e->state('year')->{states}{STRK};
is($st->[2], 400, 'best');
is($st->[6], 336, 'carry');
cmp_ok(length(Engine::encode($st)), '<', 2500, 'bounded state');
$r = $e->reverse('year', id => 'r', of => 390);
is(points_of($r), -1, 'a split at day 391: 390 and 9 stand for 399');

# freezes

my $ice = rule(granted => 1, earn => 3, max => 2);

visit('i', 1, $D0, $ice);
$r = visit('i', 2, $D0 + 2, $ice);
is_deeply(streak_entry($r), [8, 3, $D0 + 2, 3, 3, 0, 1],
          'a missed day is frozen and counts');
is($e->state('i')->{states}{STRK}[9] - 1, 1, 'the third day earned one');
$r = visit('i', 3, $D0 + 1, $ice);
is($e->state('i')->{states}{STRK}[9] - 1, 2, 'filled later: given back');
is_deeply(streak_entry($r), [7, 3, $D0 + 1, 3, 3], 'the same length');
$r = visit('i', 4, $D0 + 6, $ice);
is_deeply(streak_entry($r), [8, 3, $D0 + 6, 1, 5, 5, 2],
          'three missed, two freezes: spent from the first on, then broken');
is($e->state('i')->{states}{STRK}[9] - 1, 0, 'spent');
$r = visit('i', 5, $D0 + 5, $ice);
is_deeply(streak_entry($r), [7, 3, $D0 + 5, 7, 7],
          'the last missed day filled: all one run');
visit('i', 100 + $_, $D0 + 6 + $_, $ice) for 1 .. 20;
is($e->state('i')->{states}{STRK}[9] - 1, 2, 'no more than max are held');

my $full = rule(granted => 1, earn => 3, max => 1);
visit('j', $_, $D0 + $_, $full) for 0, 2;
is($e->state('j')->{states}{STRK}[9] - 1, 1, 'one spent, one earned');
visit('j', 'late', $D0 + 1, $full);
is($e->state('j')->{states}{STRK}[9] - 1, 1, 'nor when one is given back');

# nor after a reversal has given some back, nor when the rule allows fewer

my $few = rule(granted => 2, earn => 2, max => 2);
visit('few', $_, $D0 + $_, $few) for 0, 1, 3, 4;
is($e->state('few')->{states}{STRK}[9] - 1, 2, 'two are held, one day frozen');
$e->reverse('few', id => 'r', of => 1);
visit('few', 5, $D0 + 4, $few);
is($e->state('few')->{states}{STRK}[9] - 1, 2, 'it comes back, two are held');
visit('few', 6, $D0 + 4, rule(granted => 1, max => 1));
is($e->state('few')->{states}{STRK}[9] - 1, 1, 'the rule now allows one');

# what a freeze covers before the streak breaks pays nothing, until a late
# event stands on it or behind it

my $cold = rule(granted => 2, max => 2, awards => [[3, 0, 10], [0, 2, 1]]);

for my $case ([1, 1, 1, 'on the first of two frozen days'],
              [2, 11, 3, 'on the second'],
              [3, 12, 4, 'on the day behind them'])
{
    my ($day, $want, $length, $where) = @$case;
    my $m = "cold$day";

    visit($m, 1, $D0, $cold);
    $r = visit($m, 2, $D0 + 6, $cold);
    is_deeply(streak_entry($r), [8, 3, $D0 + 6, 1, 3, 3, 2],
              "$where: broken behind two freezes");
    is(points_of($r), 0, "$where: that pays nothing");
    $r = visit($m, 3, $D0 + $day, $cold);
    is(points_of($r), $want, "$where: a late event does, for $length days");
    is(points_of($e->reverse($m, id => 'r', of => 3)), -$want,
       "$where: and takes it along");
}

visit('tail', 1, $D0, $cold);
visit('tail', 2, $D0 + 6, $cold);
visit('tail', 3, $D0 - 2, $cold);
is(points_of(visit('tail', 4, $D0 - 1, $cold)), 11,
   'a run that is longer on its other side: frozen days are not paid');

# a freeze over the end of the map

my $deep = rule(granted => 70, max => 70);
visit('f', 1, $D0, $deep);
visit('f', 2, $D0 + 1, $deep);
$r = visit('f', 3, $D0 + 68, $deep);
is_deeply(streak_entry($r), [8, 3, $D0 + 68, 69, 69, 0, 66], '66 frozen');
$r = visit('f', 4, $D0 + 69, $deep);
is_deeply(streak_entry($r), [7, 3, $D0 + 69, 70, 70], 'and on');


# The model: a list of events, each in a period; best of the runs.

sub runs {
    my ($set) = @_;
    my ($best, $n, $last, @runs) = (0, 0);

    for my $p (sort { $a <=> $b } keys %$set) {
        $n = defined $last && $p == $last + 1 ? $n + 1 : 1;
        pop @runs if $n > 1;
        push @runs, $n;
        $best = $n if $n > $best;
        $last = $p;
    }

    return ($best, $runs[-1] // 0, @runs);
}


sub length_now {
    my ($st) = @_;
    my ($top, $lo, $hi, $carry) = @$st[0, 1, 5, 6];
    my $map = ($lo & 0xFFFFFFFF) | ((($hi // 0) & 0xFFFFFFFF) << 32);
    my ($i, $n) = (0, 0);

    $i++ while $i < 64 && !($map >> $i & 1);
    $n++, $i++ while $i < 64 && ($map >> $i & 1);
    $n += $carry // 0 if $i == 64;
    return $n;
}


srand(42);
my $bad = 0;

for my $round (1 .. 24) {
    my $m = "m$round";
    my $span = (8, 30, 60)[$round % 3];
    my $pay = rule(awards => [[2, 0, 3], [5, 0, 11], [0, 4, 100]]);
    my (%period, %set, $n);

    for my $step (1 .. 60) {
        if (rand() < 0.35 && %period) {
            my @ids = sort keys %period;
            my $id = $ids[rand @ids];
            my $p = delete $period{$id};

            delete $set{$p} if !grep { $_ == $p } values %period;
            $e->reverse($m, id => "r$round-$step", of => $id);

        } else {
            my $p = $D0 + int rand $span;
            my $id = 'v' . ++$n;

            visit($m, $id, $p, $pay);
            $period{$id} = $p;
            $set{$p} = 1;
        }

        my $st = $e->state($m);
        my $s = $st->{states}{STRK};
        my ($best, $now, @runs) = runs(\%set);
        my $least = 0;

        for my $len (@runs) {
            $least += 3 if $len >= 2;
        }

        my $ok = keys %set
            ? $s && $s->[2] == $best && length_now($s) == $now
              && $s->[3] == keys %period
            : !$s && $e->balance($m) == 0;

        $ok &&= $e->ledger($m) == $e->balance($m);

        if (!$ok && $bad++ < 5) {
            diag("round $round step $step: ", explain([$s, $best, $now,
                 scalar keys %period, $e->balance($m), $e->ledger($m)]));
        }
    }

    for my $id (sort keys %period) {
        $e->reverse($m, id => "end-$id", of => $id);
    }

    $bad++ if $e->balance($m) != 0 || $e->state($m)->{states}{STRK};
}

is($bad, 0, '1,440 random events and reversals agree with the model');


# In order, over years, with late events within 60 periods: best and length
# stay exact though the map moves on.

$bad = 0;

for my $round (1 .. 15) {
    my ($m, $top, %set) = ("o$round", $D0);
    my $dense = (0.5, 0.9, 0.97)[$round % 3];
    my @events;

    for my $p ($D0 .. $D0 + 300) {
        next if rand() > $dense;
        push @events, [$p, $p + (rand() < 0.25 ? int rand 55 : 0)];
    }

    my $n = 0;

    for my $ev (sort { $a->[1] <=> $b->[1] } @events) {
        visit($m, 'e' . ++$n, $ev->[0], $plain);
        $set{ $ev->[0] } = 1;
    }

    my $s = $e->state($m)->{states}{STRK};
    my ($best, $now) = runs(\%set);

    if ($s->[2] != $best || length_now($s) != $now || $s->[3] != @events) {
        diag("round $round: best $s->[2] for $best, now ", length_now($s),
             " for $now");
        $bad++;
    }
}

is($bad, 0, 'late events over 300 periods agree with the model');


# in order without reversals every threshold is paid once a run

$bad = 0;

for my $round (1 .. 8) {
    my ($m, $n, %set) = ("p$round", 0);
    my $pay = rule(awards => [[3, 0, 5], [7, 0, 9], [0, 10, 1]]);

    for my $p ($D0 .. $D0 + 200) {
        next if rand() > 0.93;
        visit($m, 'e' . ++$n, $p, $pay);
        $set{$p} = 1;
    }

    my (undef, undef, @runs) = runs(\%set);
    my $want = 0;
    $want += ($_ >= 3 ? 5 : 0) + ($_ >= 7 ? 9 : 0) + int($_ / 10) for @runs;

    $bad++ if $e->balance($m) != $want;
}

is($bad, 0, 'awards of every run');

done_testing();
