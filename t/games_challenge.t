#!/usr/bin/perl

# challenge: every shape with everything a goal can count, the edges of
# periods and windows, and what reversals take back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Games;
use Test::More;


# what a goal counts: its lines, the contents of three events that complete
# it, the progress after each, and a fourth event with what it is worth alone

sub item {
    my ($sku, $category, $quantity, $amount) = @_;

    return { sku => $sku, category => $category, quantity => $quantity,
             defined $amount ? (amount => $amount) : () };
}


sub bought { return (items => [ @_ ]) }


my %modes = (
    events => [ 'goal 3;', 0, 3,
        [ {}, 1 ], [ {}, 2 ], [ {}, 3 ], [ {}, 1 ] ],
    quantity => [ 'goal 5; match item.category ~ "^coffee";', 0, 5,
        [ { bought(item('a', 'coffee/hot', 2), item('b', 'tea', 9)) }, 2 ],
        [ { bought(item('a', 'coffee/hot', 1), item('c', 'coffee', 1)) }, 4 ],
        [ { bought(item('a', 'coffee', 3)) }, 5 ],
        [ { bought(item('a', 'coffee', 1)) }, 1 ] ],
    amount => [ 'goal 50.00 of amount;', '0.00', '50.00',
        [ { amount => '20.00' }, '20.00' ],
        [ { amount => '29.99' }, '49.99' ],
        [ { amount => '10' }, '50.00' ],
        [ { amount => '5' }, '5.00' ] ],
    item_amount => [ 'goal 10.00 of item.amount; match item.category = coffee;',
        '0.00', '10.00',
        [ { bought(item('a', 'coffee', 1, '4.00'),
                   item('b', 'tea', 1, '50.00')) }, '4.00' ],
        [ { bought(item('a', 'coffee', 2, '5.99')) }, '9.99' ],
        [ { bought(item('c', 'coffee', 1, '0.01')) }, '10.00' ],
        [ { bought(item('a', 'coffee', 1, '5.00')) }, '5.00' ] ],
    distinct => [ 'goal 3 distinct item.sku;', 0, 3,
        [ { bought(item('a', 'x', 1), item('a', 'y', 1)) }, 1 ],
        [ { bought(item('a', 'x', 1), item('b', 'x', 7)) }, 2 ],
        [ { bought(item('c', 'x', 1)) }, 3 ],
        [ { bought(item('d', 'x', 1)) }, 1 ] ],
);

my %shapes = (
    once => [ '', '' ],
    every => [ 'every month;', ' [2026-03]' ],
    window => [ 'window 7d;', ' [1]' ],
    opens => [ 'window 7d; opens_on %s_opener;', ' [1]' ],
);

my $program = <<'END';
wallet points negative=on;
wallet stars;
money EUR 2;
timezone Europe/Madrid;
max_event_age 40y;
remember 41y;
END

for my $shape (sort keys %shapes) {
    for my $mode (sort keys %modes) {
        my $name = "${shape}_$mode";
        my $more = $shapes{$shape}[0] =~ s/%s/$name/r;

        $program .= "challenge $name { on $name; $modes{$mode}[0] $more "
                    . "award points 10; }\n";
    }
}

my $shop = Loyalty::Games->new(program => $program . <<'END');
challenge daily { on d; goal 1; every day; }
challenge weekly { on w; goal 1; every week; }
challenge monthly { on m; goal 1; every month; }
challenge night { on n; goal 1; every day; day_starts 04:00; }
challenge late { on l; goal 2; every day; award points 1; }
challenge week { on win; goal 3; window 7d; award points 1; }
challenge offer {
    on purchase;
    goal 2;
    window 7d;
    opens_on offer match offer = 7;
    award points 7;
    award stars 1;
}
challenge self { on s; goal 1; window 1d; opens_on s; award points 1; }
challenge stores { on store; goal 2 distinct store; award points 1; }
challenge priced { on p; goal 5.00 of item.amount; award points 1; }
challenge mixed { on mix; match channel = app; match item.category = coffee;
                  goal 2 distinct item.sku; }
challenge big { on big; goal 255 distinct item.sku; award points 1; }
END

my $minute = 0;


sub at { return sprintf '2026-03-10T%02d:%02d:00Z', 10 + $minute / 60,
                $minute++ % 60 }


# ---- every shape with every mode ----

for my $shape (sort keys %shapes) {
    for my $mode (sort keys %modes) {
        my (undef, $zero, $goal, @steps) = @{$modes{$mode}};
        my $name = "${shape}_$mode";
        my $in = $shapes{$shape}[1];
        my (@ids, $second);

        $minute = 0;
        $shop->member("member-$name");

        if ($shape eq 'opens') {
            is($shop->send($name, at => at(), %{$steps[0][0]}), '',
               "$name: nothing is open yet");
            is($shop->send("${name}_opener", at => at()),
               "$name $zero/$goal$in", "$name: opened");
        }

        for my $i (0 .. 1) {
            is($shop->send($name, at => at(), %{$steps[$i][0]}),
               "$name $steps[$i][1]/$goal$in", "$name: event $i");
            push @ids, $shop->last_id;
        }

        my $done = "$name $goal/$goal done$in; "
                   . "+10 points (challenge $name) =10";

        is($shop->send($name, at => at(), %{$steps[2][0]}), $done,
           "$name: completed");
        push @ids, $shop->last_id;

        # behind completion: nothing; a window that is complete is over, and
        # the next event opens another

        $second = $shape eq 'window' ? "$name $steps[3][1]/$goal [2]" : '';
        is($shop->send($name, at => at(), %{$steps[3][0]}), $second,
           "$name: after completion");

        $second = $shape eq 'window' ? "$name $zero/$goal [2]" : '';
        is($shop->reverse($shop->last_id), $second,
           "$name: what came after it is reversed");

        is($shop->reverse($ids[2]),
           "$name $steps[1][1]/$goal$in; -10 points (challenge $name) =0",
           "$name: the event that completed it is reversed");

        is($shop->send($name, at => at(), %{$steps[2][0]}), $done,
           "$name: completed again");
        push @ids, $shop->last_id;

        $shop->reverse($_) for @ids[1, 3, 0];

        is($shop->balance, 0, "$name: all reversed, no points");

        my $me = $shop->me('challenges', $name);

        if ($shape eq 'opens' || $shape eq 'every') {
            pass("$name: of a time long past");
        } else {
            is("$me->{progress}", "$zero", "$name: all reversed, no progress");
        }
    }
}


# ---- the edges of periods ----

$shop->member('edges');

for ([ d => 'daily', '2026-03-10T22:59:59Z', '2026-03-10' ],
     [ d => 'daily', '2026-03-10T23:00:00Z', '2026-03-11' ],
     [ d => 'daily', '2026-03-28T22:59:59.999Z', '2026-03-28' ],
     [ d => 'daily', '2026-03-28T23:00:00Z', '2026-03-29' ],
     [ d => 'daily', '2026-03-29T22:00:00Z', '2026-03-30' ],
     [ d => 'daily', '2026-03-08T21:30:00-05:00', '2026-03-09' ],
     [ w => 'weekly', '2026-03-15T22:59:59Z', '2026-W11' ],
     [ w => 'weekly', '2026-03-15T23:00:00Z', '2026-W12' ],
     [ w => 'weekly', '2021-01-01T12:00:00Z', '2020-W53' ],
     [ w => 'weekly', '2018-12-31T12:00:00Z', '2019-W01' ],
     [ m => 'monthly', '2026-03-31T21:59:59Z', '2026-03' ],
     [ m => 'monthly', '2026-03-31T22:00:00Z', '2026-04' ],
     [ n => 'night', '2026-03-10T02:59:59Z', '2026-03-09' ],
     [ n => 'night', '2026-03-10T03:00:00Z', '2026-03-10' ],
     [ n => 'night', '2026-07-10T01:59:59Z', '2026-07-09' ],
     [ n => 'night', '2026-07-10T02:00:00Z', '2026-07-10' ])
{
    my ($type, $name, $at, $period) = @$_;

    is($shop->send($type, at => $at), "$name 1/1 done [$period]",
       "$name: $at is in $period");
}

is($shop->send('d', at => '2026-03-10T05:00:00Z'), '',
   'a period that is complete');

$shop->member('late');
is($shop->send('l', at => '2026-03-10T12:00:00Z'), 'late 1/2 [2026-03-10]',
   'a day');
is($shop->send('l', at => '2026-03-12T12:00:00Z'), 'late 1/2 [2026-03-12]',
   'another');
is($shop->send('l', at => '2026-03-10T13:00:00Z'),
   'late 2/2 done [2026-03-10]; +1 points (challenge late) =1',
   'a late event counts in its own');
is($shop->send('l', at => '2026-03-12T13:00:00Z'),
   'late 2/2 done [2026-03-12]; +1 points (challenge late) =2',
   'and the other goes on');


# ---- the edges of a window ----

$shop->member('window');
is($shop->send('win', at => '2026-03-10T10:00:00Z'), 'week 1/3 [1]',
   'a window starts with its first event');
is($shop->send('win', at => '2026-03-10T09:59:59Z'), '',
   'a late event before its start counts nowhere');
is($shop->send('win', at => '2026-03-10T10:00:00Z'), 'week 2/3 [1]',
   'an event at its start');
is($shop->send('win', at => '2026-03-17T10:00:00Z'), 'week 1/3 [2]',
   'an event at its end opens another');
is($shop->send('win', at => '2026-03-24T09:59:59.999Z'), 'week 2/3 [2]',
   'the last millisecond');
is($shop->send('win', at => '2026-03-24T09:59:59.999Z'),
   'week 3/3 done [2]; +1 points (challenge week) =1', 'completed');
is($shop->send('win', at => '2026-03-20T00:00:00Z'), 'week 1/3 [3]',
   'complete is over: the next event opens another at its own time');


# ---- opens_on ----

$shop->member('offers');
is($shop->send('purchase', at => '2026-03-10T09:00:00Z'), '',
   'no offer, nothing counts');
is($shop->send('offer', at => '2026-03-10T10:00:00Z', data => { offer => 8 }),
   '', 'another offer');
is($shop->send('offer', at => '2026-03-10T10:00:00Z', data => { offer => 7 }),
   'offer 0/2 [1]', 'an offer');
is($shop->send('offer', at => '2026-03-11T10:00:00Z',
               data => { offer => '7' }), 'offer 0/2 [2]', 'and another');
my $second = $shop->last_id;
is($shop->send('purchase', at => '2026-03-11T09:59:59Z'), 'offer 1/2 [1]',
   'before the second');
is($shop->send('purchase', at => '2026-03-12T10:00:00Z'),
   'offer 2/2 done [1]; +7 points (challenge offer) =7; '
   . '+1 stars (challenge offer) =1; offer 1/2 [2]', 'in both');
my $both = $shop->last_id;
is($shop->send('purchase', at => '2026-03-17T10:00:00Z'),
   'offer 2/2 done [2]; +7 points (challenge offer) =14; '
   . '+1 stars (challenge offer) =2', 'at the end of the first');
is($shop->reverse($second), 'offer 0/2 [2]; -7 points (challenge offer) =7; '
   . '-1 stars (challenge offer) =1',
   'reversing an opener removes its instance and its awards');
is($shop->reverse($both), 'offer 1/2 [1]; -7 points (challenge offer) =0; '
   . '-1 stars (challenge offer) =0', 'and the event that both had counted');

$shop->member('two at once');
$shop->send('offer', at => "2026-03-1${_}T10:00:00Z", data => { offer => 7 })
    for 0 .. 2;
$shop->send('purchase', at => '2026-03-13T10:00:00Z');
is($shop->send('purchase', at => '2026-03-14T10:00:00Z'),
   join('; ', map { "offer 2/2 done [$_]; +7 points (challenge offer) ="
                    . 7 * $_ . "; +1 stars (challenge offer) =$_" } 1 .. 3),
   'one event completes three');
my $completing = $shop->last_id;
is($shop->reverse($completing),
   join('; ', map { my $n = 3 - $_;
                    "offer 1/2 [$_]; -7 points (challenge offer) ="
                    . 7 * $n . "; -1 stars (challenge offer) =$n" } 1 .. 3),
   'and its reversal takes all three back');

$shop->member('late offers');
$shop->send('offer', at => '2026-03-10T10:00:00Z', data => { offer => 7 });
$shop->send('purchase', at => '2026-03-20T10:00:00Z');
is($shop->send('purchase', at => '2026-03-11T10:00:00Z'), 'offer 1/2 [1]',
   'a late purchase counts in the offer of its time');
is($shop->send('offer', at => '2026-03-19T10:00:00Z', data => { offer => 7 }),
   'offer 0/2 [2]', 'a late offer does not look back');

$shop->member('self');
is($shop->send('s', at => '2026-03-10T10:00:00Z'), 'self 0/1 [1]',
   'an event that opens does not count in what it opens');
is($shop->send('s', at => '2026-03-10T11:00:00Z'),
   'self 1/1 done [1]; +1 points (challenge self) =1; self 0/1 [2]',
   'but in what is open');


# ---- distinct ----

$shop->member('distinct');
is($shop->send('store', data => { store => 'madrid' }), 'stores 1/2',
   'a value of data');
is($shop->send('store', data => { store => 'madrid' }), '', 'the same');
my $again = $shop->last_id;
is($shop->send('store'), '', 'no value');
is($shop->send('store', data => { store => 'lugo' }),
   'stores 2/2 done; +1 points (challenge stores) =1', 'another');
is($shop->reverse($again), '', 'one of two events with a value');

$shop->member('mixed');
is($shop->send('mix', channel => 'app', bought(item('a', 'coffee', 1),
               item('b', 'tea', 1))), 'mixed 1/2', 'only matched items');
is($shop->send('mix', channel => 'web', bought(item('b', 'coffee', 1))), '',
   'a line about the event');
is($shop->send('mix', channel => 'app', bought(item('b', 'coffee', 1))),
   'mixed 2/2 done', 'completed');

$shop->member('big');
my $last;
for my $n (1 .. 3) {
    $last = $shop->send('big', id => "big-$n", bought(map {
        item("sku-$n-$_", 'x', 1) } 1 .. 85));
}
is($last, 'big 255/255 done; +1 points (challenge big) =1', '255 values');
is($shop->send('big', bought(item('one more', 'x', 1))), '', 'and no more');
is($shop->reverse('big-2', items => [ { sku => 'sku-2-7' } ]),
   'big 254/255; -1 points (challenge big) =0', 'one item is returned');


# ---- reversals of a part ----

$shop->member('parts');
my $shopping = 'once_quantity';
$shop->send($shopping, id => 'pa', bought(item('a', 'coffee', 4),
                                          item('b', 'coffee', 2)));
is($shop->balance, 10, 'six of five');
is($shop->reverse('pa', items => [ { sku => 'b', quantity => 1 } ]), '',
   'the surplus goes first');
is($shop->reverse('pa', items => [ { sku => 'a', quantity => 2 } ]),
   "$shopping 3/5; -10 points (challenge $shopping) =0",
   'then the award');
is($shop->reverse('pa'), "$shopping 0/5", 'and the rest');

is($shop->send('once_amount', id => 'pb', amount => '60.00'),
   'once_amount 50.00/50.00 done; '
   . '+10 points (challenge once_amount) =10', 'an amount');
is($shop->reverse('pb', amount => '10.00'), '', 'its surplus');
is($shop->reverse('pb', amount => '0.01'),
   'once_amount 49.99/50.00; -10 points (challenge once_amount) =0',
   'and a cent');

is($shop->send('p', bought(item('a', 'x', 1, '3.00'), item('b', 'y', 1),
                           item('c', 'z', 1, '1.00'))), 'priced 4.00/5.00',
   'item.amount without item lines: all items that have one');
is($shop->send('p', bought(item('b', 'y', 1))), '', 'no amount, no count');
is($shop->send('once_amount'), '', 'nor for an event without');


# ---- what came past the goal, when the goal is no longer reached ----

$shop->member('past');
my @past;
for my $n (1 .. 4) {
    $shop->send('l', at => '2026-03-10T10:00:00Z');
    push @past, $shop->last_id;
}

is($shop->reverse($past[0]), '', 'the surplus goes without an effect');
is($shop->reverse($past[1]), '', 'all of it');
is($shop->reverse($past[3]), 'late 1/2 [2026-03-10]; '
   . '-1 points (challenge late) =0', 'one event is left');
is($shop->reverse($past[2]), 'late 0/2 [2026-03-10]', 'and none');

$shop->member('past 2');
@past = ();
for my $n (1 .. 4) {
    $shop->send('l', at => '2026-03-10T10:00:00Z');
    push @past, $shop->last_id;
}

$shop->reverse($_) for @past[0, 1, 2];
is($shop->reverse($past[3]), 'late 0/2 [2026-03-10]',
   'reversed last, it has the goal');

$shop->member('past 3');
@past = ();
for my $store (1 .. 4) {
    $shop->send('store', data => { store => $store });
    push @past, $shop->last_id;
}

$shop->reverse($_) for @past[0, 1, 2];
is($shop->reverse($past[3]), 'stores 0/2', 'of distinct values, too');


# ---- the form of the effect ----

{
    $shop->member('form');
    my $body = $shop->post('once_amount', amount => '1.50')->body;

    like($body, qr/"type":"challenge"/, 'form: type');
    like($body, qr/"progress":"1.50"/, 'form: amounts are strings');
    like($body, qr/"goal":"50.00"/, 'form: the goal too');
    like($body, qr/"completed":false/, 'form: a boolean');
    unlike($body, qr/"instance"/, 'form: once ever has no instance');

    $body = $shop->post('d', at => '2026-03-10T10:00:00Z')->body;

    like($body, qr/"progress":1,"goal":1,/, 'form: counts are numbers');
    like($body, qr/"completed":true/, 'form: a boolean');
    like($body, qr/"instance":"2026-03-10"/, 'form: the period');
}

done_testing();
