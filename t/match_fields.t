#!/usr/bin/perl

# Match lines at work: every operator on every kind of field.  Each rule is a
# challenge; the reply's effects say which of them the event touched.

use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;

binmode Test::More->builder->$_, ':utf8'
    for qw(output failure_output todo_output);


# name => match lines

my @rules = (
    plain       => [],

    web         => [ 'channel = web' ],
    not_web     => [ 'channel != web' ],
    web_or_app  => [ 'channel in web app' ],
    chan_w      => [ 'channel ~ ^w' ],
    chan_w_any  => [ 'channel ~* ^W' ],
    acme        => [ 'partner = acme' ],
    spaced      => [ 'partner = "two words"' ],
    web_acme    => [ 'channel = web', 'partner = acme' ],

    amount_eq   => [ 'amount = 12.5' ],
    amount_ne   => [ 'amount != 12.5' ],
    amount_lt   => [ 'amount < 12.50' ],
    amount_le   => [ 'amount <= 12.50' ],
    amount_gt   => [ 'amount > 12.50' ],
    amount_ge   => [ 'amount >= 12.50' ],
    amount_in   => [ 'amount in 1 12.50 90.00' ],
    amount_99   => [ 'amount ~ \.99$' ],
    amount_band => [ 'amount >= 10.00', 'amount < 20.00' ],

    quantity_3  => [ 'quantity = 3' ],
    quantity_gt => [ 'quantity > 2' ],

    offer_7     => [ 'offer = 7' ],
    offer_not_7 => [ 'offer != 7' ],
    offer_in    => [ 'offer in 7 8 nine' ],
    offer_gt    => [ 'offer > 6.5' ],
    offer_le    => [ 'offer <= 7' ],
    offer_neg   => [ 'offer < -1' ],
    offer_true  => [ 'offer = true' ],
    offer_huge  => [ 'offer > 9007199254740992.5' ],
    offer_exact => [ 'offer >= 0.30000000000000000001',
                     'offer < 0.4' ],
    offer_empty => [ 'offer = ""' ],
    cafe        => [ 'place = café' ],
    cafe_re     => [ 'place ~* ^CAFÉ.$' ],
    key_spaced  => [ '"my key" = 1' ],
);

my $program = "wallet points;\nmoney EUR 2;\n";
my @names;

while (my ($name, $lines) = splice @rules, 0, 2) {
    push @names, $name;
    $program .= "challenge $name {\n    on buy;\n    goal 100000;\n"
                . join('', map { "    match $_;\n" } @$lines) . "}\n";
}

utf8::encode($program);

my $t = Loyalty::Test->new(program => $program);
my $id = 0;
my %touched;


# the rules that an event with these fields touches are exactly these
sub touches {
    my ($event, $wanted, $name) = @_;

    my $response = $t->event({ id => 'e' . ++$id, member => 'm',
                               type => 'buy', %$event });

    is($response->status, 200, "$name: 200") or diag($response->body);

    my @got = map { $_->{name} } grep { $_->{type} eq 'challenge' }
              @{ $response->json->{effects} // [] };

    $touched{$_} = 1 for @got;

    is_deeply(\@got, [ grep { my $rule = $_; grep { $_ eq $rule } @$wanted }
                       @names ], "$name: the rules, in order");
    is(scalar @got, @$wanted, "$name: every rule is known");

    return;
}


my @absent = qw(plain not_web amount_ne offer_not_7);

touches({}, \@absent, 'no fields');

sub with { my %drop = map { $_ => 1 } @{ $_[0] };
           return [ (grep { !$drop{$_} } @absent), @_[1 .. $#_] ] }

# ---- texts ----

touches({ channel => 'web' },
        with(['not_web'], qw(web web_or_app chan_w chan_w_any)), 'web');
touches({ channel => 'app' }, with([], qw(web_or_app)), 'app');
touches({ channel => 'Web' }, with([], qw(chan_w_any)), 'Web');
touches({ channel => 'weblog' }, with([], qw(chan_w chan_w_any)), 'weblog');
touches({ partner => 'acme' }, with([], qw(acme)), 'acme');
touches({ partner => 'two words' }, with([], qw(spaced)), 'two words');
touches({ channel => 'web', partner => 'acme' },
        with(['not_web'], qw(web web_or_app chan_w chan_w_any acme web_acme)),
        'lines are ANDed');

# ---- amounts ----

touches({ amount => '12.5' }, with(['amount_ne'], qw(amount_eq amount_le
        amount_ge amount_in amount_band)), '12.5');
touches({ amount => '12.50' }, with(['amount_ne'], qw(amount_eq amount_le
        amount_ge amount_in amount_band)), '12.50 is 12.5');
touches({ amount => '12.49' }, with([], qw(amount_lt amount_le amount_band)),
        '12.49');
touches({ amount => '12.51' }, with([], qw(amount_gt amount_ge amount_band)),
        '12.51');
touches({ amount => '0' }, with([], qw(amount_lt amount_le)), 'zero');
touches({ amount => '1.00' }, with([], qw(amount_lt amount_le amount_in)),
        'one of several amounts');
touches({ amount => '19.99' }, with([], qw(amount_gt amount_ge amount_99
        amount_band)), 'the text of an amount');
touches({ amount => '20.00' }, with([], qw(amount_gt amount_ge)), '20.00');

touches({ quantity => 3 }, with([], qw(quantity_3 quantity_gt)), 'quantity');
touches({ quantity => 2 }, with([], ()), 'quantity 2');

# ---- data ----

my $no_7 = ['offer_not_7'];

touches({ data => { offer => 7 } },
        with($no_7, qw(offer_7 offer_in offer_gt offer_le)), 'integer 7');
touches({ data => { offer => '7' } },
        with($no_7, qw(offer_7 offer_in offer_gt offer_le)), 'string 7');
touches({ data => { offer => '7.0' } }, with([], qw(offer_gt offer_le)),
        'the text 7.0 is not the text 7, but the number 7');
touches({ data => { offer => '6.5' } }, with([], qw(offer_le)), 'a decimal');
touches({ data => { offer => -2 } }, with([], qw(offer_le offer_neg)),
        'below zero');
touches({ data => { offer => '9007199254740993' } },
        with([], qw(offer_gt offer_huge)),
        'a number that no double holds');
touches({ data => { offer => '9007199254740992' } },
        with([], qw(offer_gt)), 'the one below');
touches({ data => { offer => '0.3' } }, with([], qw(offer_le)),
        'decimals are exact');
touches({ data => { offer => '0.300000000000000000010' } },
        with([], qw(offer_le offer_exact)), 'to the last digit');
touches({ data => { offer => 'nine' } }, with([], qw(offer_in)),
        'a text is no number');
touches({ data => { offer => JSON::PP::true() } }, with([], qw(offer_true)),
        'true');
touches({ data => { offer => JSON::PP::false() } }, with([], ()), 'false');
touches({ data => { offer => '' } }, with([], qw(offer_empty)), 'empty');
touches({ data => { offer => undef } }, with([], ()),
        'null is as good as absent');
touches({ data => { Offer => 7 } }, with([], ()), 'keys have a case');
touches({ data => { 'my key' => 1 } }, with([], qw(key_spaced)),
        'a key with a space');

# ---- UTF-8 ----

touches({ data => { place => 'café' } }, with([], qw(cafe)), 'café');
touches({ data => { place => 'CafÉ€' } }, with([], qw(cafe_re)),
        'a pattern counts characters, not bytes, and folds their case');
touches({ data => { place => 'cafe' } }, with([], ()), 'no accent, no match');

# ---- another type ----

{
    my $response = $t->event({ id => 'other', member => 'm', type => 'sell',
                               channel => 'web' });

    is($response->status, 200, 'another type: 200');
    is_deeply($response->json->{effects}, [], 'touches nothing');
}

is_deeply([ grep { !$touched{$_} } @names ], [], 'every rule was touched once');

done_testing();
