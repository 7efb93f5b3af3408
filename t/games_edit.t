#!/usr/bin/perl

# Editing a running program: what a reload keeps of challenges and streaks,
# and what it starts anew.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Games;
use Test::More;

my %rule = (
    coffee => { on => 'purchase', match => 'channel = app', goal => 5,
                award => 'points 50' },
    spend => { on => 'spend', goal => '10.00 of amount', every => 'month',
               award => 'points 1' },
    week => { on => 'week', goal => 3, window => '7d', award => 'points 1' },
    offer => { on => 'order', goal => 2, window => '7d',
               opens_on => 'offer match offer = 7', award => 'points 1' },
);

my %streak = (
    daily => { on => 'visit', every => 'day', award => 'points 5 at=3' },
);


sub block {
    my ($word, $name, $lines) = @_;

    return "$word $name {\n" . join('', map { "    $_ $lines->{$_};\n" }
        grep { defined $lines->{$_} }
        qw(on match goal every day_starts window opens_on freeze award))
        . "}\n";
}


sub program {
    return join '', "wallet points negative=on;\nmax_event_age 40y;\n",
        "remember 41y;\n",
        (map { block('challenge', $_, $rule{$_}) } sort keys %rule),
        (map { block('streak', $_, $streak{$_}) } sort keys %streak);
}


my $shop = Loyalty::Games->new(program => program());


sub reload {
    $shop->t->write_file('program.conf', program());
    $shop->t->reload(wait => 1) or die "nginx did not reload\n";
    return;
}


sub buy {
    my (%more) = @_;

    return $shop->send('purchase', channel => 'app',
                       at => '2026-03-10T10:00:00Z', %more);
}


sub coffee {
    my $me = $shop->me('challenges', 'coffee');

    return "$me->{progress}/$me->{goal} $me->{missing}"
           . ($me->{completed} ? ' done' : '');
}


# ---- goal and award apply to what is open ----

buy() for 1 .. 3;
is(coffee(), '3/5 2', 'three of five');

$rule{coffee}{award} = 'points 70';
$rule{coffee}{goal} = 4;
reload();

is(coffee(), '3/4 1', 'a changed goal shows at once');
is(buy(), 'coffee 4/4 done; +70 points (challenge coffee) =70',
   'goal and award apply to what is open');
my $completing = $shop->last_id;

$rule{coffee}{goal} = 10;
$rule{coffee}{award} = 'points 500';
reload();

is(coffee(), '4/4 0 done', 'what is complete stays so');
is(buy(), '', 'and has no effect any more');
is($shop->reverse($shop->last_id), '', 'nor its reversal');
is($shop->reverse($completing), 'coffee 3/4; -70 points (challenge coffee) =0',
   'a reversal takes back what was paid, not what would be paid now');
is(coffee(), '3/10 7', 'and it is open again, with the goal of now');

$rule{coffee}{goal} = 2;
reload();

is(coffee(), '2/2 0', 'a goal below the progress: shown capped, not complete');
is(buy(), 'coffee 2/2 done; +500 points (challenge coffee) =500',
   'until the next event');

$rule{coffee}{award} = undef;
$rule{coffee}{goal} = 10;
$shop->member('without');
reload();
buy() for 1 .. 2;


# ---- on, match, every, window: anew; back again: goes on ----

$rule{coffee}{match} = 'channel in app web';
reload();
is(coffee(), '0/10 10', 'a changed match starts anew');
is(buy(channel => 'web'), 'coffee 1/10', 'and counts');

$rule{coffee}{match} = 'channel = app';
reload();
is(coffee(), '2/10 8', 'the old line back: what was counted is still there');

$rule{coffee}{on} = 'purchases';
reload();
is(coffee(), '0/10 10', 'a changed event starts anew');
$rule{coffee}{on} = 'purchase';

$rule{coffee}{goal} = '3 distinct channel';
reload();
is(coffee(), '0/3 3', 'counting something else starts anew');
$rule{coffee}{goal} = 10;

$rule{coffee}{every} = 'week';
reload();
is(coffee(), '0/10 10', 'every starts anew');
$rule{coffee}{every} = undef;

$rule{espresso} = delete $rule{coffee};
reload();
is($shop->me('challenges', 'coffee'), undef, 'renamed: the old one is gone');
is($shop->me('challenges', 'espresso')->{progress}, 0, 'the new one is new');
is(buy(), 'espresso 1/10', 'and counts');

$rule{coffee} = delete $rule{espresso};
reload();
is(coffee(), '2/10 8', 'renamed back');


# ---- a rule that is not there any more ----

$shop->member('gone');
$shop->send('spend', id => 'spend-1', amount => '4.00',
            at => '2026-03-10T10:00:00Z');
$shop->send('visit', id => 'visit-1', at => '2026-03-10T10:00:00Z');

my $spend = delete $rule{spend};
my $daily = delete $streak{daily};
reload();

is_deeply($shop->me('streaks'), [], 'no streaks, an empty list');
like($shop->send('spend', id => 'spend-1', amount => '4.00',
                 at => '2026-03-10T10:00:00Z'),
     qr/^~[0-9a-f]{8} 400\/1000 \[674\]$/,
     'a repeat shows what is known: the hash and raw numbers');
like($shop->send('visit', id => 'visit-1', at => '2026-03-10T10:00:00Z'),
     qr/^~[0-9a-f]{8} 1\/1 20522$/, 'of a streak too');
like($shop->reverse('spend-1'), qr/^~[0-9a-f]{8} 0\/1000 \[674\]$/,
     'and its event can be reversed');

$rule{spend} = $spend;
$streak{daily} = $daily;
reload();

is($shop->send('spend', id => 'spend-1', amount => '4.00',
               at => '2026-03-10T10:00:00Z'), 'spend 4.00/10.00 [2026-03]',
   'with its rule back it has its name and form');


# ---- windows and instances ----

$shop->member('open');
$shop->send('offer', at => '2026-03-10T10:00:00Z', data => { offer => 7 });
$shop->send('order', at => '2026-03-11T10:00:00Z');
$shop->send('week', at => '2026-03-10T10:00:00Z');

$rule{offer}{goal} = 3;
$rule{offer}{award} = 'points 9';
$rule{week}{window} = '14d';
reload();

is($shop->send('order', at => '2026-03-12T10:00:00Z'), 'offer 2/3 [1]',
   'an open instance has the new goal');
is($shop->send('order', at => '2026-03-13T10:00:00Z'),
   'offer 3/3 done [1]; +9 points (challenge offer) =9', 'and the new award');
is($shop->send('week', at => '2026-03-11T10:00:00Z'), 'week 1/3 [1]',
   'a changed window starts anew');

$rule{offer}{opens_on} = 'offer match offer in 7 8';
reload();
is($shop->send('order', at => '2026-03-13T10:00:00Z'), '',
   'a changed opens_on starts anew');


# ---- streaks ----

$shop->member('run');
my @at = map { sprintf '2026-03-%02dT12:00:00Z', $_ } 0 .. 20;
$shop->send('visit', at => $at[$_]) for 1 .. 2;

$streak{daily}{award} = 'points 6 at=4';
$streak{daily}{freeze} = '1';
reload();

is($shop->send('visit', at => $at[4]),
   'daily 4/4 2026-03-04 frozen 1; +6 points (streak daily) =6',
   'a freeze granted later holds a run, a changed award is paid');

$streak{daily}{freeze} = undef;
$streak{daily}{award} = 'points 7 every=5';
reload();

is($shop->send('visit', at => $at[5]),
   'daily 5/5 2026-03-05; +7 points (streak daily) =13', 'another award');
is($shop->send('visit', at => $at[7]),
   'daily 1/5 2026-03-07 broken 5', 'no freezes any more');

$streak{daily}{day_starts} = '04:00';
reload();

is($shop->send('visit', at => $at[8]), 'daily 1/1 2026-03-08',
   'another start of the day starts anew');

$streak{daily}{day_starts} = '00:00';
reload();

is($shop->send('visit', at => $at[8]), 'daily 2/5 2026-03-08',
   '00:00 is what is understood without day_starts');

$streak{daily}{freeze} = '3';
reload();
$shop->member('held');
$shop->send('visit');
is($shop->me('streaks', 'daily')->{freezes}, 3, 'three freezes are held');

$streak{daily}{freeze} = '1';
reload();
is($shop->me('streaks', 'daily')->{freezes}, 1, 'the rule allows one now');

done_testing();
