#!/usr/bin/perl

# streak: runs of days, weeks and months, freezes, late events, awards and
# reversals, in zones whose days are not all alike.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Games;
use POSIX qw(strftime);
use Test::More;

my $common = <<'END';
wallet points negative=on;
max_event_age 40y;
remember 41y;
END

my $shop = Loyalty::Games->new(program => $common . <<'END');
timezone Europe/Madrid;

streak daily {
    on visit;
    match channel != robot;
    every day;
    award points 1 every=2;
    award points 10 at=3;
    award points 100 at=5;
    award points 1000 at=4;
    award points 2000 at=4;
}
streak weekly { on week; every week; award points 5 at=2; }
streak monthly { on month; every month; }
streak night { on night; every day; day_starts 04:00; }
streak gap { on gap; every day; day_starts 02:30; }
streak frozen { on ice; every day; freeze 1 earn_every=3 max=2;
                award points 7 at=7; }
streak granted { on grant; every day; freeze 2; award points 3 at=3; }
END

my %sent;
my $day = '2026-03-%02dT12:00:00Z';


sub visit { return on('visit', @_) }


sub on {
    my ($type, $n, %more) = @_;

    return $shop->send($type, at => sprintf($day, $n), %more);
}


# ---- a run, and what it pays ----

$shop->member('run');
is(visit(1), 'daily 1/1 2026-03-01', 'the first day');
is(visit(1), '', 'again');
is(visit(2, channel => 'robot'), '', 'an event that does not match');
is(visit(2), 'daily 2/2 2026-03-02; +1 points (streak daily) =1',
   'the second, an award');
is(visit(3, id => 'third'),
   'daily 3/3 2026-03-03; +10 points (streak daily) =11', 'the third');
is(visit(5), 'daily 1/3 2026-03-05 broken 3', 'a day missed');
is(visit(4, id => 'fourth'), 'daily 5/5 2026-03-04; '
   . '+1 points (streak daily) =12; +1000 points (streak daily) =1012; '
   . '+2000 points (streak daily) =3012; +100 points (streak daily) =3112',
   'a late event joins two runs: all awards, lowest first, each once');
is(visit(4, id => 'fourth-2'), '', 'and again');
is($shop->reverse('fourth'), '', 'the day loses one event of two');

my $split = $shop->reverse('fourth-2');
like($split, qr/^daily 1\/3 2026-03-04; /, 'and then the run splits');
like($split, qr/=11$/, 'and what the joined run paid is taken back');

is($shop->reverse('third'),
   'daily 1/2 2026-03-03; -10 points (streak daily) =1', 'shorter still');
is(visit(3), 'daily 1/3 2026-03-03; +10 points (streak daily) =11',
   'and that day again');
is(visit(6), 'daily 2/3 2026-03-06; +1 points (streak daily) =12',
   'the newest run earns for itself');

$shop->member('again');
my @ids;
for my $n (1 .. 4) {
    visit($n);
    push @ids, $shop->last_id;
}
is($shop->balance, 3012, 'four days');
$shop->reverse($_) for @ids[3, 1, 0, 2];
is($shop->balance, 0, 'all reversed: no points');
is_deeply([ @{$shop->me('streaks', 'daily')}{qw(state length best)} ],
          [ 'none', 0, 0 ], 'and no streak');
is(visit(1), 'daily 1/1 2026-03-01', 'it starts anew');

$shop->member('every');
visit($_) for 1 .. 9;
is(visit(10), 'daily 10/10 2026-03-10; +1 points (streak daily) =3115',
   'every= goes on: 5 x 1 + 10 + 3000 + 100');

$shop->member('order');
is(join(' | ', map { visit($_) } 7, 5, 6),
   'daily 1/1 2026-03-07 | daily 1/1 2026-03-05 | daily 3/3 2026-03-06; '
   . '+1 points (streak daily) =1; +10 points (streak daily) =11',
   'in any order');


# ---- older than the map ----

$shop->member('old');
visit(31);
is($shop->send('visit', at => '2026-01-27T12:00:00Z'),
   'daily 1/1 2026-01-27', '63 days before the newest');
is($shop->send('visit', at => '2026-01-26T12:00:00Z'), '',
   '64 days: only counted');
is($shop->send('visit', at => '2026-01-28T12:00:00Z'),
   'daily 1/2 2026-01-28; +1 points (streak daily) =1',
   'a run that is not the newest has effects too');

$shop->member('long');
is(long_run(0 .. 98), 'daily 99/99 2026-07-08', 'a run longer than the map');
is(long_run(110), 'daily 1/99 2026-07-20 broken 99', 'it breaks');
is(long_run(99 .. 109), 'daily 111/111 2026-07-19; '
   . '+1 points (streak daily) =3165',
   'late events join what is below the map to what is in it');

$shop->member('long 2');
long_run(0 .. 69, 71 .. 79);
is(long_run(70), 'daily 80/80 2026-06-10; '
   . join('; ', map { "+1 points (streak daily) =$_" } 6260 .. 6264),
   'two runs, the older of which began below the map: 72 to 80');

$shop->member('long-3');
long_run(0 .. 99);
$shop->reverse("long-3 $_") for reverse 40 .. 99;
is($shop->balance, 10 + 3000 + 100 + 20, 'the awards of 40 days are left');
is(long_run(40), 'daily 41/41 2026-05-11',
   '60 days reversed: the run goes on from what is below the map');
is(long_run(41), 'daily 42/42 2026-05-12; +1 points (streak daily) =3131',
   'and earns');


sub long_run {
    my ($effects);

    for my $n (@_) {
        $effects = $shop->send('visit', id => $shop->member . " $n" . (
            $sent{$shop->member . " $n"}++ ? ' again' : ''), at =>
            strftime('%Y-%m-%dT12:00:00Z', gmtime(1775044800 + 86400 * $n)));
    }

    return $effects;
}


# ---- weeks and months ----

$shop->member('weeks');
is($shop->send('week', at => '2020-12-27T22:59:59Z'), 'weekly 1/1 2020-W52',
   'the last second of a week');
is($shop->send('week', at => '2021-01-03T22:59:59Z'),
   'weekly 2/2 2020-W53; +5 points (streak weekly) =5', 'week 53');
is($shop->send('week', at => '2021-01-03T23:00:00Z'), 'weekly 3/3 2021-W01',
   'Monday has come');

$shop->member('months');
is($shop->send('month', at => '2025-12-31T12:00:00Z'), 'monthly 1/1 2025-12',
   'December');
is($shop->send('month', at => '2025-12-31T23:00:00Z'), 'monthly 2/2 2026-01',
   'January has come in Madrid');
is($shop->send('month', at => '2026-02-28T12:00:00Z'), 'monthly 3/3 2026-02',
   'February');
is($shop->send('month', at => '2026-04-01T12:00:00Z'),
   'monthly 1/3 2026-04 broken 3', 'March is missed');


# ---- days that are not all alike ----

$shop->member('clocks');
is($shop->send('visit', at => '2026-10-24T21:59:59Z'), 'daily 1/1 2026-10-24',
   'the day before clocks go back');
is($shop->send('visit', at => '2026-10-24T22:00:00Z'),
   'daily 2/2 2026-10-25; +1 points (streak daily) =1', 'a day of 25 hours');
is($shop->send('visit', at => '2026-10-25T22:59:59Z'), '', 'its last second');
is($shop->send('visit', at => '2026-10-25T23:00:00Z'),
   'daily 3/3 2026-10-26; +10 points (streak daily) =11', 'the day after');

is($shop->send('night', at => '2026-03-29T01:59:59Z'), 'night 1/1 2026-03-28',
   'before 04:00 it is yesterday, 03:59 of a day that has no 02:30');
is($shop->send('night', at => '2026-03-29T02:00:00Z'), 'night 2/2 2026-03-29',
   'from 04:00 on it is today');
is($shop->send('gap', at => '2026-03-29T00:59:59Z'), 'gap 1/1 2026-03-28',
   'day_starts 02:30 on a day that has none: before the gap');
is($shop->send('gap', at => '2026-03-29T01:00:00Z'), 'gap 2/2 2026-03-29',
   'and behind it');


# ---- freezes ----

$shop->member('ice');
is(on('ice', 1), 'frozen 1/1 2026-03-01', 'one freeze is granted');
is(on('ice', 2), 'frozen 2/2 2026-03-02', 'two');
is(on('ice', 4), 'frozen 4/4 2026-03-04 frozen 1',
   'a day missed is frozen and counts; the third day earns another');
is(on('ice', 6), 'frozen 6/6 2026-03-06 frozen 1', 'and again');
is(on('ice', 8), 'frozen 8/8 2026-03-08 frozen 1; '
   . '+7 points (streak frozen) =7', 'awards of frozen days are paid');
is(on('ice', 9), 'frozen 9/9 2026-03-09', 'the ninth earns a freeze');
is(on('ice', 7), 'frozen 9/9 2026-03-07',
   'an event on a frozen day gives the freeze back');
is(on('ice', 12), 'frozen 12/12 2026-03-12 frozen 2', 'so that two are held');
is(on('ice', 15), 'frozen 1/13 2026-03-15 broken 13 frozen 1',
   'the twelfth earned one, which is spent before the streak breaks');
is(on('ice', 17), 'frozen 1/13 2026-03-17', 'no freeze, no run');

$shop->member('grant');
is(on('grant', 1), 'granted 1/1 2026-03-01', 'two are granted');
is(on('grant', 4), 'granted 4/4 2026-03-04 frozen 2; '
   . '+3 points (streak granted) =3', 'both are spent');
my $fourth = $shop->last_id;
is(on('grant', 3), 'granted 4/4 2026-03-03', 'one comes back');
is(on('grant', 6), 'granted 6/6 2026-03-06 frozen 1', 'and is spent again');

$shop->member('unfreeze');
on('grant', 1);
is(on('grant', 4), 'granted 4/4 2026-03-04 frozen 2; '
   . '+3 points (streak granted) =3', 'frozen to the fourth');
is($shop->reverse($shop->last_id),
   'granted 1/1 2026-03-04; -3 points (streak granted) =0',
   'the event behind the frozen days is reversed: what it froze goes');
is(on('grant', 4), 'granted 4/4 2026-03-04 frozen 2; '
   . '+3 points (streak granted) =3', 'and comes again with another');

$shop->member('unfreeze 2');
my @some;
for my $n (1 .. 3) {
    on('grant', $n);
    push @some, $shop->last_id;
}
$shop->reverse($_) for @some[1, 2];
is(on('grant', 3), 'granted 3/3 2026-03-03 frozen 1; '
   . '+3 points (streak granted) =3',
   'a day that was reversed is like one without an event');

$shop->member('hopeless');
on('grant', 1);
is(on('grant', 20), 'granted 1/3 2026-03-20 broken 3 frozen 2',
   'too many missed: freezes are spent, oldest first, and it breaks');


# ---- the form of the effect ----

{
    $shop->member('form');
    on('grant', 1);
    my $body = $shop->post('grant', at => sprintf $day, 3)->body;

    like($body, qr/"type":"streak","name":"granted","length":3,"best":3,/,
         'form: numbers');
    like($body, qr/"period":"2026-03-03"/, 'form: the period');
    like($body, qr/"frozen":1/, 'form: frozen');
    unlike($body, qr/"broken"/, 'form: not broken');
}


# ---- zones where midnight is missing, and one far in the east ----

$shop = Loyalty::Games->new(program => $common . <<'END');
timezone America/Sao_Paulo;
streak daily { on visit; every day; }
END

is($shop->send('visit', at => '2018-11-04T02:59:59Z'), 'daily 1/1 2018-11-03',
   'Sao Paulo, the second before clocks go from 00:00 to 01:00');
is($shop->send('visit', at => '2018-11-04T03:00:00Z'), 'daily 2/2 2018-11-04',
   'the first of a day without midnight');
is($shop->send('visit', at => '2018-11-05T01:59:59Z'), '', 'its last');
is($shop->send('visit', at => '2018-11-05T02:00:00Z'), 'daily 3/3 2018-11-05',
   'and the next');

$shop = Loyalty::Games->new(program => $common . <<'END');
timezone Pacific/Kiritimati;
streak daily { on visit; every day; }
END

is($shop->send('visit', at => '2026-03-01T09:59:59Z'), 'daily 1/1 2026-03-01',
   'Kiritimati, 14 hours ahead');
is($shop->send('visit', at => '2026-03-01T10:00:00Z'), 'daily 2/2 2026-03-02',
   'and its midnight');

done_testing();
