#!/usr/bin/perl

# earn: points by event, amount and items; rounding; tiers; what a reversal
# takes back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Games;
use Test::More;

my $shop = Loyalty::Games->new(program => <<'END');
wallet points negative=on;
wallet stars;
money EUR 2;
tier bronze 0;
tier silver 1000;
tier gold 2000 multiplier=1.5;

earn flat points 3;
earn floor points 1 per=1.00;
earn ceil points 1 per=1.00 round=ceil;
earn half points 1 per=1.00 round=half_up;
earn part points 1.5 per=0.50 of=amount;
earn third points 1 per=3.00;
earn quantity points 2 match item.category = coffee;
earn half_a_piece points 0.5 match item.category = coffee;
earn items points 1 per=1.00 match item.category = coffee;
earn all_items points 1 per=1.00 of=item.amount;
earn web points 1 match channel = web match partner in acme duff;
earn both points 1;
earn both stars 2;
END


sub item {
    my ($sku, $category, $quantity, $amount) = @_;

    return { sku => $sku, category => $category, quantity => $quantity,
             defined $amount ? (amount => $amount) : () };
}


# a member that nothing has happened to
sub fresh { $shop->member('m' . ++$main::fresh); return }


# ---- what is counted, and how it is rounded ----

my @cases = (
    [ 'flat', {}, 3 ],
    [ 'flat', { amount => '99.00' }, 3 ],
    [ 'floor', { amount => '12.99' }, 12 ],
    [ 'floor', { amount => '0.99' }, 0 ],
    [ 'floor', { amount => '0' }, 0 ],
    [ 'floor', {}, 0 ],
    [ 'floor', { items => [ item('a', 'x', 1, '1.50'),
                            item('b', 'x', 3, '1.50') ] }, 3 ],
    [ 'floor', { amount => '90071992547409.91' }, 90071992547409 ],
    [ 'ceil', { amount => '12.01' }, 13 ],
    [ 'ceil', { amount => '12.00' }, 12 ],
    [ 'half', { amount => '1.49' }, 1 ],
    [ 'half', { amount => '1.50' }, 2 ],
    [ 'part', { amount => '1.00' }, 3 ],
    [ 'part', { amount => '0.34' }, 1 ],
    [ 'part', { amount => '0.33' }, 0 ],
    [ 'third', { amount => '8.99' }, 2 ],
    [ 'third', { amount => '9.00' }, 3 ],
    [ 'quantity', { items => [ item('a', 'coffee', 2), item('b', 'tea', 5),
                               item('c', 'coffee', 1) ] }, 6 ],
    [ 'quantity', { items => [ item('b', 'tea', 5) ] }, 0 ],
    [ 'quantity', {}, 0 ],
    [ 'half_a_piece', { items => [ item('a', 'coffee', 3) ] }, 1 ],
    [ 'items', { amount => '50.00', items => [ item('a', 'coffee', 2, '3.40'),
          item('b', 'tea', 5, '9.00'), item('c', 'coffee', 1, '1.70') ] }, 5 ],
    [ 'items', { items => [ item('a', 'coffee', 2) ] }, 0 ],
    [ 'all_items', { amount => '50.00', items => [
          item('a', 'coffee', 2, '3.40'), item('b', 'tea', 1) ] }, 3 ],
    [ 'web', { channel => 'web', partner => 'duff' }, 1 ],
    [ 'web', { channel => 'web', partner => 'other' }, 0 ],
    [ 'web', { partner => 'duff' }, 0 ],
);

for my $case (@cases) {
    my ($type, $event, $points) = @$case;

    fresh();
    my $effects = $shop->send($type, %$event);
    $effects =~ s/; tier .*//;

    is($effects, $points ? "+$points points (earn $type) =$points" : '',
       "$type: " . join ' ', map { "$_ $event->{$_}" } sort keys %$event);
}

fresh();
is($shop->send('both'),
   '+1 points (earn both) =1; +2 stars (earn both) =2',
   'two rules, two wallets');


# ---- the form of the effect ----

{
    fresh();
    my $json = $shop->post('floor', id => 'form', amount => '12.50')->body;

    like($json, qr/"type":"points"/, 'form: type');
    like($json, qr/"amount":12[,}]/, 'form: a number');
    like($json, qr/"reason":"earn floor"/, 'form: reason');
    like($json, qr/"balances":\{[^}]*"points":12[,}]/, 'form: balances');
}


# ---- tiers: the one before the event, rounded once ----

fresh();
is($shop->send('floor', amount => '2000.00'),
   '+2000 points (earn floor) =2000; tier bronze>gold', 'to the highest tier');
is($shop->send('floor', amount => '3.00', id => 'tier-a'),
   '+4 points (earn floor) =2004', '3 x 1.5, floored');
is($shop->send('half', amount => '3.33'),
   '+5 points (earn half) =2009', '3.33 x 1.5 = 4.995, one rounding');
is($shop->send('both'), '+1 points (earn both) =2010; '
   . '+3 stars (earn both) =3', 'the multiplier is for all wallets');
is($shop->reverse('tier-a', amount => '1.00'),
   '-1 points (earn floor) =2009',
   'a reversal goes by the multiplier of its event: 4 - floor(2 x 1.5)');


# ---- reversals ----

fresh();
$shop->send('floor', id => 'a', amount => '12.99');
is($shop->reverse('a', amount => '0.99'), '', 'what stays is worth as much');
is($shop->reverse('a', amount => '0.01'), '-1 points (earn floor) =11',
   'and now it is not');
is($shop->reverse('a'), '-11 points (earn floor) =0', 'all that is left');
is($shop->reverse('a'), '409 over_reversal', 'nothing is left');

fresh();
$shop->send('half', id => 'h', amount => '3.00');
is($shop->reverse('h', amount => '1.50'), '-1 points (earn half) =2',
   'the rule applied to what remains: half up of 1.50 is 2');
is($shop->reverse('h', amount => '1.51'), '409 over_reversal',
   'more than is left');
is($shop->reverse('h', amount => '1.50'), '-2 points (earn half) =0',
   'the rest');

fresh();
$shop->send('quantity', id => 'q', items => [ item('a', 'coffee', 3),
                                              item('b', 'tea', 5) ]);
is($shop->reverse('q', items => [ { sku => 'b', quantity => 5 } ]), '',
   'items that were not counted');
is($shop->reverse('q', items => [ { sku => 'a', quantity => 1 } ]),
   '-2 points (earn quantity) =4', 'one of three');
is($shop->reverse('q', items => [ { sku => 'a', quantity => 3 } ]),
   '409 over_reversal', 'three of two');
is($shop->reverse('q', items => [ { sku => 'z', quantity => 1 } ]),
   '400 invalid_field', 'an item that was not there');
is($shop->reverse('q'), '-4 points (earn quantity) =0', 'the rest');

fresh();
$shop->send('items', id => 'i', items => [ item('a', 'coffee', 2, '5.00'),
                                           item('b', 'tea', 1, '9.00') ]);
is($shop->reverse('i', items => [ { sku => 'a', quantity => 1 } ]),
   '-3 points (earn items) =2', 'half of a line: floor(2.50) stays');

fresh();
$shop->send('both', id => 'b');
is($shop->reverse('b'), '-1 points (earn both) =0; -2 stars (earn both) =0',
   'both wallets');
is($shop->balance('points'), 0, 'GET me agrees');

done_testing();
