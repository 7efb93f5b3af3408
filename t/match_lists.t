#!/usr/bin/perl

# Lists of many values: a catalogue of 100,000 articles in one rule, and
# spread over 40.  What they cost grows neither with their square when nginx
# reads them nor with their length when an event comes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;
use Time::HiRes qw(time);

my ($rules, $each) = (40, 2500);
my $all = $rules * $each;

sub skus { return join ' ', map { "sku-$_" } $_[0] .. $_[1] }
sub numbers { return join ' ', map { 7 * $_ } $_[0] .. $_[1] }

my $t = Loyalty::Test->new(start => 0, program => join "\n",
    'wallet points;', 'wallet some;', 'wallet counted;',
    'earn buy points 1 match item.sku in ' . skus(0, $all - 1) . ';',
    'earn count counted 1 match quantity in ' . numbers(1, $all) . ';',
    map { "earn buy some $_ match item.sku in "
          . skus(($_ - 1) * $each, $_ * $each - 1) . ';' } 1 .. $rules);

my $begin = time;
my ($ok, $output) = $t->check;
ok($ok, 'lists of 100,000 values') or diag($output);
cmp_ok(time - $begin, '<', 2 * $t->slow, 'are read soon');

$t->start;


# ---- which values are in a list ----

my $id = 0;

sub points {
    my (%event) = @_;

    return $t->event({ id => 'e' . ++$id, member => "m$id", %event })
             ->json->{balances};
}

for my $n (0, 1, 9, 10, 2499, 2500, 50_000, 99_998, 99_999) {
    my $points = points(type => 'buy', items => [{ sku => "sku-$n" }]);
    my $rule = int($n / $each) + 1;

    is($points->{points}, 1, "sku-$n is in the long list");
    is($points->{some}, $rule, 'and in one of the short ones');
}

for my $sku ('sku-100000', 'sku--1', 'sku-', 'sku', 'a', 'sku-00', 'sku-1 ') {
    is_deeply(points(type => 'buy', items => [{ sku => $sku }]),
              { points => 0, some => 0, counted => 0 }, "\"$sku\" is in none");
}

for my $n (7, 14, 7 * 4711, 700_000) {
    is(points(type => 'count', quantity => $n)->{counted}, 1, "$n is listed");
}

for my $n (1, 6, 8, 7 * 4711 + 1, 699_999, 700_001, 700_007) {
    is(points(type => 'count', quantity => $n)->{counted}, 0, "$n is not");
}


# ---- and at what cost ----

my @events = map {
    my $i = $_;
    { id => "b$i", member => "b$i", type => 'buy',
      items => [ map { { sku => 'sku-' . ($i * 7919 + $_ * 997) % $all } }
                 1 .. 100 ] }
} 1 .. 100;

$begin = time;
my @lines = $t->events(\@events, timeout => 60)->lines;

cmp_ok(time - $begin, '<', 2 * $t->slow, '10,000 items are looked up soon');
is(grep({ $_->{status} == 200 && $_->{balances}{points} == 100 } @lines), 100,
   'and each is found');

done_testing();
