#!/usr/bin/perl

# The fields of an event and of a reversal: what is taken, what is refused,
# and that the reply names the place and what is expected there.

use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Loyalty::Test;
use POSIX qw(strftime);
use Test::More;

binmode Test::More->builder->$_, ':utf8'
    for qw(output failure_output todo_output);

my $t = Loyalty::Test->new(program => <<'END');
wallet points;
money EUR 2;
max_event_age 7d;
earn purchase points 1 per=1.00;
END

my $n = 0;


sub event { return { id => 'e' . ++$n, member => 'm', type => 'visit', @_ } }


sub refused {
    my ($event, $pointer, $detail, $name) = @_;

    my $r = $t->event($event);
    my $p = $r->json;

    is($r->status, 400, "$name: status");
    is($p->{code}, 'invalid_field', "$name: code");
    is($p->{pointer}, $pointer, "$name: pointer");
    like($p->{detail} // '', $detail, "$name: detail");

    return;
}


sub accepted {
    my ($event, $name) = @_;
    my $r = $t->event($event);

    is($r->status, 200, $name) or diag($r->body);
    return $r;
}


sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + $_[0])) }


# ---- required ----

for my $field (qw(id member type)) {
    my $event = event();
    delete $event->{$field};
    refused($event, "/$field", qr/missing.*string of 1 to \d+ bytes/,
            "no $field");

    for my $value ('', 1, undef, [], {}, JSON::PP::true()) {
        refused(event($field => $value), "/$field",
                qr/string of 1 to \d+ bytes/,
                "$field: " . JSON::PP->new->allow_nonref->encode($value));
    }
}


# ---- strings ----

for my $case ([ id => 128 ], [ member => 128 ], [ type => 64 ],
              [ channel => 128 ], [ partner => 128 ])
{
    my ($field, $max) = @$case;

    accepted(event($field => $n . 'x' x ($max - length $n)),
             "$field of $max bytes");
    refused(event($field => 'x' x ($max + 1)), "/$field",
            qr/1 to $max bytes/, "$field of one byte more");

    accepted(event($field => "\x{e9}\x{20ac}\x{1f600} '\"\\/$n"),
             "$field with characters");
    refused(event($field => "\x{20ac}" x 50), "/$field", qr/1 to $max bytes/,
            "$field counts bytes") if $max == 128;

    for my $bad ("a\nb", "a\tb", "\x01", "a\x7f", "a\x{80}", "\x{9f}b") {
        refused(event($field => $bad), "/$field", qr/control characters/,
                sprintf '%s with %vd', $field, $bad);
    }
}

accepted(event(id => "\x{a0}\x{ad}\x{2028}$n"), 'what is no control character');


# ---- unknown ----

refused(event(ammount => '1.00'), '/ammount',
        qr/unknown.*amount, at, channel, data, id, items, member, partner, /,
        'an unknown field');
refused(event('a/b~c' => 1), '/a~1b~0c', qr/unknown/, 'escaped in a pointer');
refused(event('' => 1), '/', qr/unknown/, 'an empty name');
refused(event('x' x 1000 => 1), '', qr/unknown/, 'a very long name');
refused(event('y' x 200 => 1), '/' . 'y' x 200, qr/unknown/, 'a long name');
refused(event(items => [ { sku => 'a' }, { price => 1 } ]), '/items/1/price',
        qr/unknown.*amount, category, quantity, sku/,
        'an unknown field of an item');


# ---- amounts ----

for my $good ('0', '0.5', '0.50', '12', '12.3', '12.34', '90071992547409.91') {
    accepted(event(amount => $good), "amount $good");
}

for my $bad ('', ' ', '1,5', '.5', '5.', '-1', '+1', '1e3', '01', '1.234',
             '1.2.3', ' 1', '1 ', '0x1', "1\n", 'one', '1.500', '٣')
{
    refused(event(amount => $bad), '/amount',
            qr/at most 2 decimals, such as "12\.50"/, "amount '$bad'");
}

for my $bad (1, 1.5, 0, undef, [], {}, JSON::PP::true()) {
    refused(event(amount => $bad), '/amount', qr/string with a decimal/,
            'amount ' . JSON::PP->new->allow_nonref->encode($bad));
}

refused(event(amount => '90071992547409.92'), '/amount', qr/too large/,
        'an amount of 2^53 units');
refused(event(amount => '9' x 100), '/amount', qr/too large/, 'an endless one');


# ---- counts ----

for my $field ([ '/quantity', sub { (quantity => $_[0]) } ],
               [ '/items/0/quantity',
                 sub { (items => [ { sku => 's', quantity => $_[0] } ]) } ])
{
    my ($pointer, $make) = @$field;

    accepted(event($make->(1)), "$pointer 1");
    accepted(event($make->(9007199254740991)), "$pointer 2^53 - 1");

    for my $bad (0, -1, 1.5, '1', undef, 9007199254740992, [],
                 JSON::PP::true())
    {
        refused(event($make->($bad)), $pointer, qr/whole number from 1 to/,
                "$pointer " . JSON::PP->new->allow_nonref->encode($bad));
    }
}


# ---- at ----

accepted(event(at => at(0)), 'at: now');
accepted(event(at => at(240)), 'at: 4 minutes ahead');
accepted(event(at => at(-7 * 86400 + 60)), 'at: 7 days less a minute ago');
refused(event(at => at(330)), '/at', qr/5 minutes ahead/, 'at: ahead');
refused(event(at => at(-7 * 86400 - 5)), '/at', qr/max_event_age, 604800 sec/,
        'at: too old');
refused(event(at => '1969-12-31T23:59:59Z'), '/at', qr/RFC 3339/,
        'at: before 1970');

for my $bad ('', 'now', '2026-11-22', '2026-11-22T10:00:00',
             '2026-11-22 10:00', '2026-02-30T10:00:00Z',
             '2026-11-22T24:00:00Z', 1763800000, undef)
{
    refused(event(at => $bad), '/at', qr/RFC 3339 with an offset/,
            'at: ' . JSON::PP->new->allow_nonref->encode($bad));
}


# ---- items ----

accepted(event(items => []), 'no items');
accepted(event(items => [ {} ]), 'an item that says nothing');
accepted(event(items => [ ({ sku => 's', category => 'c/d', quantity => 2,
                             amount => '1.00' }) x 100 ]), '100 items');
refused(event(items => [ ({ sku => 's' }) x 101 ]), '/items', qr/at most 100/,
        '101 items');
refused(event(items => { sku => 's' }), '/items', qr/array/,
        'items: an object');
refused(event(items => [ { sku => 's' }, 's' ]), '/items/1', qr/an object/,
        'an item that is a string');
refused(event(items => [ { sku => "a\x01b" } ]), '/items/0/sku',
        qr/control characters/, 'a control character in an item');
refused(event(items => [ ({ sku => 's' }) x 7, { sku => 's', amount => 1 } ]),
        '/items/7/amount', qr/decimal/, 'an amount in an item');
refused(event(items => [ { category => 'x' x 129 } ]), '/items/0/category',
        qr/128/, 'a category that is too long');

is_deeply(
    accepted(event(type => 'purchase', items => [
        { sku => 'a', quantity => 3, amount => '2.50' },
        { sku => 'b', amount => '0.50' } ]),
        'an event without an amount')->json->{effects}[0]{amount},
    3, 'has the sum of its items');

is_deeply(
    accepted(event(type => 'purchase', items => [
        { sku => 'a', amount => '2.50' }, { sku => 'b' } ]),
        'items of which one has no amount')->json->{effects},
    [], 'have no sum');

is_deeply(
    accepted(event(type => 'purchase', amount => '10.00', items => [
        { sku => 'a', amount => '2.50' } ]),
        'an event with an amount')->json->{effects}[0]{amount},
    10, 'keeps it');

refused(event(items => [ ({ amount => '90071992547409.91' }) x 2 ]), '/items',
        qr/sum/, 'a sum that is too large');


# ---- data ----

accepted(event(data => {}), 'no data');
accepted(event(data => { a => 'x', b => 1, c => JSON::PP::true(),
                         d => undef, e => '', 'f g' => -5 }), 'plain data');
accepted(event(data => { a => { b => [ 1, 'x', { c => undef } ] } }),
         'nested data');
accepted(event(data => { a => 9007199254740991, b => -9007199254740991 }),
         'large numbers in data');

refused(event(data => []), '/data', qr/object/, 'data: an array');
refused(event(data => 'x'), '/data', qr/object/, 'data: a string');
refused(event(data => { price => 1.5 }), '/data/price', qr/decimal number is/,
        'a decimal number in data');
refused(event(data => { a => { b => [ 1.5 ] } }), '/data/a', qr/whole number/,
        'a decimal number deep in data');
refused(event(data => { 'x/y' => 9007199254740992 }), '/data/x~1y',
        qr/9007199254740991/, 'a number that is too large');


# ---- size ----

my $r = $t->event(event(data => { map { ("k$_" => 'x' x 100) } 1 .. 400 }));
is($r->status, 200, 'an event of 40 kB');

$r = $t->event(event(data => { map { ("k$_" => 'x' x 100) } 1 .. 800 }));
is($r->status, 413, 'an event of 90 kB');
is($r->code, 'too_large', 'is too large');
like($r->json->{detail}, qr/65536 bytes/, 'and why');

my $text = JSON::PP->new->encode(event());
my $room = ' ' x (65536 - length $text);

is($t->post('/loyalty-in/events', $text . $room)->status, 200,
   'an event of 64 kB, most of it white space');

$r = $t->post('/loyalty-in/events', "$text$room ");
is($r->status, 413, 'and one byte more');
is($r->code, 'too_large', 'is too large');
like($r->json->{detail}, qr/65536 bytes/, 'and why');

$r = $t->post('/loyalty-in/events/x/reversal', '{"id":"y", "member":"m"'
              . ' ' x 65536 . '}');
is($r->code, 'too_large', 'and so is a reversal');


# ---- reversals ----

my $purchase = event(type => 'purchase', amount => '10.00');
accepted($purchase, 'a purchase');

for my $case (
    [ {}, '/id', qr/missing/, 'nothing' ],
    [ { id => 'r' }, '/member', qr/missing/, 'no member' ],
    [ { id => '', member => 'm' }, '/id', qr/string/, 'an empty id' ],
    [ { id => 'r', member => 'm', type => 'purchase' }, '/type',
      qr/unknown.*amount, id, items, member/, 'an unknown field' ],
    [ { id => 'r', member => 'm', amount => 1 }, '/amount', qr/decimal/,
      'a number' ],
    [ { id => 'r', member => 'm', amount => '0' }, '/amount', qr/over 0/,
      'nothing of the amount' ],
    [ { id => 'r', member => 'm', amount => '1.00',
        items => [ { sku => 'a' } ] }, '/items', qr/not both/, 'both' ],
    [ { id => 'r', member => 'm', items => [] }, '/items', qr/1 to 100/,
      'no items' ],
    [ { id => 'r', member => 'm', items => [ { quantity => 1 } ] },
      '/items/0/sku', qr/missing/, 'an item without a sku' ],
    [ [], '', qr/an object/, 'an array' ],
    [ { id => 'r', member => 'm', items => [ { sku => 'a' } ] }, '/items',
      qr/no such amount or item/, 'an item that the event does not have' ],
) {
    my ($reversal, $pointer, $detail, $name) = @$case;

    my $r = $t->reversal($purchase->{id}, $reversal);
    is($r->status, 400, "reversal with $name: status") or diag($r->body);
    is($r->code, 'invalid_field', "reversal with $name: code");
    is($r->json->{pointer}, $pointer, "reversal with $name: pointer");
    like($r->json->{detail}, $detail, "reversal with $name: detail");
}

my $visit = event();
accepted($visit, 'a visit');

$r = $t->reversal($visit->{id}, { id => 'r', member => 'm',
                                  amount => '1.00' });
is($r->code, 'invalid_field', 'an amount of an event without one');
is($r->json->{pointer}, '/amount', 'is to blame');

done_testing();
