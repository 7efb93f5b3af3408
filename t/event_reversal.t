#!/usr/bin/perl

# POST events/ID/reversal: whole, in parts, by items, until nothing is left.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;

my $t = Loyalty::Test->new(program => <<'END');
wallet points;
wallet stars negative=on;
money EUR 2;
tier bronze 0;
tier silver 100;

earn purchase points 1 per=1.00;
earn purchase stars 1;

challenge two {
    on     purchase;
    goal   2;
    award  points 50;
}
END

my $n = 0;


sub purchase {
    my ($id, $member, %more) = @_;

    my $r = $t->event({ id => $id, member => $member, type => 'purchase',
                        %more });
    is($r->status, 200, "purchase $id") or diag($r->body);

    return $r->json;
}


sub undo {
    my ($id, $member, %more) = @_;

    return $t->reversal($id, { id => 'r' . ++$n, member => $member, %more });
}


sub told {
    my ($r) = @_;

    return $r->status . ' ' . $r->code if $r->status != 200;

    return join ', ', map {
        $_->{type} eq 'points' || $_->{type} eq 'owed'
            ? join ' ', grep { defined } $_->{type} eq 'owed' ? 'owed' : undef,
                  $_->{wallet}, $_->{amount},
                  defined $_->{balance} ? "= $_->{balance}" : undef
            : $_->{type} eq 'tier' ? ($_->{from} // '-') . '>' . $_->{to}
            : "$_->{name} $_->{progress}/$_->{goal}"
              . ($_->{completed} ? ' done' : '')
    } @{$r->json->{effects}};
}


# ---- whole ----

purchase('a', 'm', amount => '12.34');

my $r = undo('a', 'm');
is($r->status, 200, 'status');
is($r->header('Content-Type'), 'application/json', 'type');

my $whole = $r->json;
is($whole->{id}, 'r1', 'its own id');
is($whole->{reverses}, 'a', 'what it reverses');
is($whole->{member}, 'm', 'the member');
is($whole->{duplicate}, JSON::PP::false(), 'not a repeat');
is_deeply($whole->{balances}, { points => 0, stars => 0 }, 'balances');
is(told($r), 'points -12 = 0, stars -1 = 0, two 0/2', 'effects');

is(told(undo('a', 'm')), '409 over_reversal', 'once more');

$r = $t->reversal('a', { id => 'r1', member => 'm' });
is_deeply($r->json, { %$whole, duplicate => JSON::PP::true() },
          'a repeat has the first result');

is($t->reversal('a', { id => 'r1', member => 'm', amount => '1.00' })->code,
   'event_conflict', 'other contents');
is($t->reversal('b', { id => 'r1', member => 'm' })->code, 'event_conflict',
   'another event');
is($t->reversal('a', { id => 'a', member => 'm' })->code, 'event_conflict',
   'the id of the event');
is($t->event({ id => 'r1', member => 'm', type => 'purchase' })->code,
   'event_conflict', 'an event with the id of a reversal');


# ---- what cannot be ----

is(told(undo('none', 'm')), '404 unknown_event', 'an event that never was');
is(told(undo('a', 'other')), '404 unknown_event', 'an event of another member');
is(told(undo('r1', 'm')), '404 unknown_event', 'a reversal');


# ---- in parts ----

purchase('p', 'n', amount => '10.00');

is(told(undo('p', 'n', amount => '3.50')), 'points -4 = 6',
   'a part: what stays is the rule applied to what remains');
is(told(undo('p', 'n', amount => '0.25')), '', 'a part that costs no point');
is(told(undo('p', 'n', amount => '6.26')), '409 over_reversal',
   'more than is left');
is(told(undo('p', 'n', amount => '6.25')),
   'points -6 = 0, stars -1 = 0, two 0/2', 'the rest');
is(told(undo('p', 'n', amount => '0.01')), '409 over_reversal', 'and no more');
is(told(undo('p', 'n')), '409 over_reversal', 'in no way');

purchase('q', 'n', amount => '10.00');
undo('q', 'n', amount => '3.00');
is(told(undo('q', 'n')), 'points -7 = 0, stars -1 = 0, two 0/2',
   'a part, then all that is left');


# ---- by items ----

purchase('i', 'i', items => [
    { sku => 'a', category => 'x', quantity => 4, amount => '8.00' },
    { sku => 'b', amount => '5.00' },
    { sku => 'a', category => 'y', amount => '3.00' } ]);

is(told(undo('i', 'i', items => [ { sku => 'a', category => 'x',
                                    quantity => 1 } ])),
   'points -2 = 14', 'one of four');
is(told(undo('i', 'i', items => [ { sku => 'b', amount => '4.00' } ])),
   'points -4 = 10', 'a part of the amount of an item');
is(told(undo('i', 'i', items => [ { sku => 'c' } ])), '400 invalid_field',
   'an item that is not in it');
is(told(undo('i', 'i', items => [ { sku => 'a', category => 'x',
                                    quantity => 4 } ])),
   '409 over_reversal', 'more pieces than are left');
is(told(undo('i', 'i', items => [ { sku => 'a', category => 'x' } ])),
   'points -6 = 4', 'all that is left of one');
is(told(undo('i', 'i')), 'points -4 = 0, stars -1 = 0, two 0/2', 'the rest');


# ---- what follows from it ----

purchase('t1', 't', amount => '60.00');
purchase('t2', 't', amount => '40.00');

$r = undo('t1', 't');
like(told($r), qr/points -60/, 'points go');
like(told($r), qr/points -50/, 'the award, too');
like(told($r), qr{two 1/2}, 'the progress');
like(told($r), qr/silver>bronze/, 'and the tier');
is($r->json->{balances}{points}, 40, 'what is left');

done_testing();
