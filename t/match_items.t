#!/usr/bin/perl

# Rules about items: they apply to those items for which all their item lines
# hold, and count what these items have.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;

my $t = Loyalty::Test->new(program => <<'END');
wallet  points;
money   EUR 2;

challenge coffee       { on buy; match item.category ~ "^coffee/"; goal 1000; }
challenge big_coffee   { on buy; match item.category ~ "^coffee/";
                         match item.amount >= 5.00; goal 1000; }
challenge web_coffee   { on buy; match channel = web;
                         match item.category ~ "^coffee/"; goal 1000; }
challenge sku          { on buy; match item.sku in a1 a2; goal 1000; }
challenge several      { on buy; match item.quantity > 1; goal 1000; }
challenge not_coffee   { on buy; match item.category != coffee/beans;
                         goal 1000; }
challenge unpriced     { on buy; match item.amount != 1.00; goal 1000; }
challenge last_item    { on buy; match item.sku = s99; goal 1000; }
END

my $id = 0;


# { name => contribution } of the rules that count something
sub progress {
    my ($event) = @_;

    my $response = $t->event({ id => 'e' . ++$id, member => "m$id",
                               type => 'buy', %$event });

    is($response->status, 200, "event $id: 200") or diag($response->body);

    return { map { $_->{name} => $_->{progress} }
             grep { $_->{type} eq 'challenge' }
             @{ $response->json->{effects} } };
}


is_deeply(progress({}), {}, 'no items, no rule about items');

is_deeply(progress({ items => [
    { sku => 'a1', category => 'coffee/beans', quantity => 2,
      amount => '9.00' },
    { sku => 'b1', category => 'tea', quantity => 1, amount => '4.00' },
    { sku => 'a2', category => 'coffee/cup', quantity => 5,
      amount => '4.99' } ] }),
    { coffee => 7, big_coffee => 2, sku => 7, several => 7, not_coffee => 6,
      unpriced => 8 },
    'quantities of the items that match all lines');

is_deeply(progress({ channel => 'web', items => [
    { sku => 'x', category => 'coffee/beans', quantity => 3,
      amount => '1.00' } ] }),
    { coffee => 3, web_coffee => 3, several => 3 },
    'lines about the event and about items');

is_deeply(progress({ items => [ { sku => 'x' } ] }),
    { not_coffee => 1, unpriced => 1 },
    'what an item does not have matches != alone; one piece by default');

is_deeply(progress({ items => [
    { sku => 'x', category => 'coffee/beans', amount => '4.00' },
    { sku => 'y', category => 'tea', amount => '9.00' } ] }),
    { coffee => 1, not_coffee => 1, unpriced => 2 },
    'two lines must hold for the same item');

is_deeply(progress({ items => [ map { { sku => "s$_", quantity => 1,
                                        amount => '1.00' } } 0 .. 99 ] }),
    { last_item => 1, not_coffee => 100 },
    'the hundredth item counts too');

done_testing();
