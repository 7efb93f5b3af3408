#!/usr/bin/perl

# GET me: challenges and streaks in every state they can be in today.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Loyalty::Games;
use POSIX qw(strftime);
use Test::More;

my ($true, $false) = (JSON::PP::true, JSON::PP::false);
my $day = 86400;


# the test is about today: it may not see two of them

my $left = $day - time % $day;
sleep $left + 1 if $left < 60;

my $now = time;
my $today = $now - $now % $day;


sub instant { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $_[0]) }


# noon, so many days ago; of today a second ago
sub ago { return instant($_[0] ? $today - $_[0] * $day + $day / 2 : $now - 1) }


my $shop = Loyalty::Games->new(program => <<'END');
wallet points negative=on;
money EUR 2;
timezone UTC;
max_event_age 40y;
remember 41y;
earn purchase points 1 per=1.00;

challenge once { on once; goal 2; award points 10; }
challenge spend { on spend; goal 50.00 of amount; award points 10; }
challenge daily { on day; goal 2; every day; }
challenge weekly { on week; goal 2; every week; }
challenge monthly { on month; goal 2; every month; }
challenge window { on win; goal 2; window 7d; }
challenge offer { on order; goal 2; window 7d; opens_on offer; }
challenge values { on value; goal 2 distinct data; }

streak plain { on plain; every day; award points 5 at=3;
               award points 6 at=3; award points 7 every=4; }
streak ice { on ice; every day; freeze 2 earn_every=5 max=3;
             award points 1 at=2; award points 3 at=4; }
streak week { on weekly; every week; }
streak month { on monthly; every month; }
streak night { on night; every day; day_starts 23:59; }
END


# a member that nothing has happened to
my $fresh = 0;
sub fresh { $shop->member('m' . ++$fresh); return }


sub challenge {
    my ($name) = @_;

    return [ map { delete $_->{name}; $_ }
             grep { $_->{name} eq $name } @{$shop->me('challenges')} ];
}


sub streak {
    my ($name) = @_;
    my $streak = $shop->me('streaks', $name);

    delete $streak->{name};
    return $streak;
}


# ---- a member never seen ----

is_deeply([ map { $_->{name} } @{$shop->me('challenges')} ],
          [ qw(once spend daily weekly monthly window values) ],
          'every challenge is listed in order, without open instances');
is_deeply([ map { $_->{name} } @{$shop->me('streaks')} ],
          [ qw(plain ice week month night) ], 'every streak');
is_deeply(challenge('once'), [ { progress => 0, goal => 2, missing => 2,
                                 completed => $false } ], 'once ever');
is_deeply(streak('ice'),
          { length => 0, best => 0, state => 'none', freezes => 2,
            last_length => 0, next_award => { at => 2, award => [
                { wallet => 'points', amount => 1 } ] } },
          'a streak never begun');
is($shop->balance, 0, 'an empty account');


# ---- challenges ----

fresh();
$shop->send('once');
is_deeply(challenge('once'), [ { progress => 1, goal => 2, missing => 1,
                                 completed => $false } ], 'once: begun');
$shop->send('once') for 1 .. 3;
is_deeply(challenge('once'), [ { progress => 2, goal => 2, missing => 0,
                                 completed => $true } ],
          'once: complete, progress capped');

is_deeply(challenge('spend'), [ { progress => '0.00', goal => '50.00',
          missing => '50.00', completed => $false } ], 'amount: nothing yet');
$shop->send('spend', amount => '12.34');
is_deeply(challenge('spend'), [ { progress => '12.34', goal => '50.00',
          missing => '37.66', completed => $false } ],
          'amount: decimal strings');

$shop->send('value', data => { data => 'a' });
is_deeply(challenge('values'), [ { progress => 1, goal => 2, missing => 1,
                                   completed => $false } ], 'distinct');
$shop->send('value', data => { data => 'b' });
is_deeply(challenge('values'), [ { progress => 2, goal => 2, missing => 0,
                                   completed => $true } ],
          'distinct: complete');

# 4 January is in week 1, whatever the year
my $monday = $today - (gmtime($today))[6] * $day + $day;
$monday -= 7 * $day if $monday > $today;
my ($year, $month) = ((gmtime $today)[5] + 1900, (gmtime $today)[4] + 1);
my $next_month = sprintf '%04d-%02d-01T00:00:00Z',
    $month == 12 ? ($year + 1, 1) : ($year, $month + 1);

my %period = (
    daily => [ day => strftime('%Y-%m-%d', gmtime $today),
               instant($today + $day), ago(1) ],
    weekly => [ week => strftime('%G-W%V', gmtime $today),
                instant($monday + 7 * $day), instant($monday - 1) ],
    monthly => [ month => strftime('%Y-%m', gmtime $today), $next_month,
                 instant($today - 40 * $day) ],
);

for my $name (sort keys %period) {
    my ($type, $instance, $ends, $before) = @{$period{$name}};

    my $is = sub {
        my ($progress, $test) = @_;

        is_deeply(challenge($name), [ { progress => $progress, goal => 2,
            missing => 2 - $progress, instance => $instance, ends => $ends,
            completed => $progress == 2 ? $true : $false } ],
            "$name: $test");
    };

    $is->(0, 'the period that runs, nothing yet');
    $shop->send($type, at => $before);
    $is->(0, 'an event of an earlier period');
    $shop->send($type, at => ago(0));
    $is->(1, 'begun');
    $shop->send($type, at => ago(0)) for 1 .. 2;
    $is->(2, 'complete');
}

is_deeply(challenge('window'), [ { progress => 0, goal => 2, missing => 2,
          completed => $false } ], 'window: none runs');
$shop->send('win', at => ago(8));
is_deeply(challenge('window'), [ { progress => 0, goal => 2, missing => 2,
          completed => $false } ], 'window: over');
$shop->send('win', at => ago(1));
is_deeply(challenge('window'), [ { progress => 1, goal => 2, missing => 1,
          completed => $false, instance => '2', opens => ago(1),
          ends => ago(-6) } ], 'window: one runs');
$shop->send('win', at => ago(0));
is_deeply(challenge('window'), [ { progress => 0, goal => 2, missing => 2,
          completed => $false } ], 'window: complete, none runs');

is_deeply(challenge('offer'), [], 'opens_on: none');
$shop->send('offer', at => ago(9));
is_deeply(challenge('offer'), [], 'opens_on: over');
$shop->send('offer', at => ago($_)) for 3, 1;
is_deeply(challenge('offer'), [
    { progress => 0, goal => 2, missing => 2, completed => $false,
      instance => '2', opens => ago(3), ends => ago(-4) },
    { progress => 0, goal => 2, missing => 2, completed => $false,
      instance => '3', opens => ago(1), ends => ago(-6) } ],
    'opens_on: two are open');
$shop->send('order', at => ago(2)) for 1 .. 2;
is_deeply(challenge('offer'), [
    { progress => 0, goal => 2, missing => 2, completed => $false,
      instance => '3', opens => ago(1), ends => ago(-6) } ],
    'opens_on: one is complete');


# ---- streaks ----

my $three = { at => 3, award => [ { wallet => 'points', amount => 5 },
                                  { wallet => 'points', amount => 6 } ] };
my $four = { at => 4, award => [ { wallet => 'points', amount => 7 } ] };

fresh();
$shop->send('plain', at => ago(0));
is_deeply(streak('plain'),
    { length => 1, best => 1, state => 'active', freezes => 0,
      last_length => 1, ends => instant($today + 2 * $day),
      next_award => $three }, 'active');

fresh();
$shop->send('plain', at => ago($_)) for 3, 2, 1;
is_deeply(streak('plain'),
    { length => 3, best => 3, state => 'at_risk', freezes => 0,
      last_length => 3, ends => instant($today + $day),
      next_award => $four }, 'at risk until this day ends');
$shop->send('plain', at => ago(0));
is_deeply(streak('plain')->{next_award},
    { at => 8, award => [ { wallet => 'points', amount => 7 } ] },
    'every= has always a next one');

fresh();
$shop->send('plain', at => ago($_)) for 4, 3, 2;
is_deeply(streak('plain'),
    { length => 0, best => 3, state => 'broken', freezes => 0,
      last_length => 3, next_award => $three }, 'broken');

fresh();
$shop->send('plain', at => ago($_)) for 5, 4, 3, 1;
is_deeply(streak('plain'),
    { length => 1, best => 3, state => 'at_risk', freezes => 0,
      last_length => 1, ends => instant($today + $day),
      next_award => $three }, 'a second run');

my @run = map { fresh() if !$_; $shop->send('plain', at => ago(1 - $_));
                $shop->last_id } 0 .. 1;
$shop->reverse($run[1]);
is_deeply([ @{streak('plain')}{qw(length state)} ], [ 1, 'at_risk' ],
          'the newest day reversed');
$shop->reverse($run[0]);
is_deeply(streak('plain'),
    { length => 0, best => 0, state => 'none', freezes => 0,
      last_length => 0, next_award => $three }, 'and the other: none');

fresh();
$shop->send('plain', at => ago($_)) for reverse 0 .. 79;
is_deeply([ @{streak('plain')}{qw(length best state)} ],
          [ 80, 80, 'active' ], 'longer than the map');
$shop->reverse($shop->last_id);
is_deeply([ @{streak('plain')}{qw(length best state)} ],
          [ 79, 79, 'at_risk' ], 'and its newest day reversed');

# freezes

fresh();
$shop->send('ice', at => ago(1));
is_deeply(streak('ice'),
    { length => 1, best => 1, state => 'at_risk', freezes => 2,
      last_length => 1, ends => instant($today + 3 * $day),
      next_award => { at => 2, award => [ { wallet => 'points',
                                            amount => 1 } ] } },
    'two freezes: it breaks two days later');

fresh();
$shop->send('ice', at => ago(3));
is_deeply(streak('ice'),
    { length => 3, best => 3, state => 'at_risk', freezes => 0,
      last_length => 3, ends => instant($today + $day),
      next_award => { at => 2, award => [ { wallet => 'points',
                                            amount => 1 } ] } },
    'two days are frozen and count; their award comes with the next event');
is($shop->send('ice', at => ago(0)),
   'ice 4/4 ' . strftime('%Y-%m-%d', gmtime $today) . ' frozen 2; '
   . '+1 points (streak ice) =1; +3 points (streak ice) =4', 'which says so');
is_deeply(streak('ice'),
    { length => 4, best => 4, state => 'active', freezes => 0,
      last_length => 4, ends => instant($today + 2 * $day) },
    'none left, no further award');

fresh();
$shop->send('ice', at => ago(4));
is_deeply(streak('ice'),
    { length => 0, best => 3, state => 'broken', freezes => 0,
      last_length => 3, next_award => { at => 2, award => [
          { wallet => 'points', amount => 1 } ] } },
    'three missed, two freezes: broken after both');
is($shop->send('ice', at => ago(0)),
   'ice 1/3 ' . strftime('%Y-%m-%d', gmtime $today) . ' broken 3 frozen 2',
   'and the next event says the same');

fresh();
$shop->send('ice', at => ago($_)) for reverse 0 .. 4;
is_deeply([ @{streak('ice')}{qw(length freezes ends)} ],
          [ 5, 3, instant($today + 5 * $day) ], 'a freeze earned');

# weeks, months, and a day that starts late

fresh();
$shop->send('weekly', at => instant($monday - 1));
is_deeply([ @{streak('week')}{qw(length state ends)} ],
          [ 1, 'at_risk', instant($monday + 7 * $day) ], 'weeks: at risk');
$shop->send('weekly', at => ago(0));
is_deeply([ @{streak('week')}{qw(length state ends)} ],
          [ 2, 'active', instant($monday + 14 * $day) ], 'weeks: active');
$shop->send('monthly', at => ago(0));
like(streak('month')->{ends}, qr/^\d{4}-\d\d-01T00:00:00Z$/,
     'months end with a month');
$shop->send('night', at => instant($today - 60));
is_deeply([ @{streak('night')}{qw(length state ends)} ],
          [ 1, 'active', instant($today + 2 * $day - 60) ],
          'a day that starts at 23:59') if $now - $today < $day - 60;

done_testing();
