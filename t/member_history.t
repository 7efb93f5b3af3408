#!/usr/bin/perl

# GET me/history: pages of records, newest first.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;


my $t = Loyalty::Test->new(program => <<'END');
money EUR 2;
timezone UTC;
max_event_age 40y;

wallet points;

earn purchase points 1 per=1.00;
earn gift points 50;

challenge fourth {
    on purchase;
    goal 4;
    award points 7;
}
END


sub purchase {
    my ($member, $id, $amount, $at) = @_;

    my $r = $t->event({ id => $id, member => $member, type => 'purchase',
                        amount => $amount, at => $at });

    is($r->status, 200, "purchase $id of $member");

    return $r->json;
}


# ---- the shape ----

is_deeply($t->history('nobody')->json,
          { member => 'nobody', history => [], next => undef },
          'a member never seen has none');

my $first = purchase('anna', 'a1', '12.50', '2026-03-01T10:00:00+01:00');

is($t->event({ id => 'g1', member => 'anna', type => 'gift',
               at => '2026-03-02T00:00:00.250Z' })->status, 200, 'a gift');
is($t->reversal('a1', { member => 'anna', id => 'r1',
                        amount => '2.50' })->status, 200, 'a reversal');

my $r = $t->history('anna');
my $page = $r->json;

is($r->status, 200, 'history');
is($r->header('Content-Type'), 'application/json', 'is JSON');
is($r->header('Cache-Control'), 'no-store', 'which no cache keeps');
is($page->{member}, 'anna', 'the member');
is_deeply([map { $_->{id} } @{$page->{history}}], ['r1', 'g1', 'a1'],
          'newest first');
is($page->{next}, undef, 'that is all');

my ($reversal, $gift, $purchase) = @{$page->{history}};

is($purchase->{type}, 'purchase', 'type');
is($purchase->{amount}, '12.50', 'amount');
is($purchase->{at}, '2026-03-01T09:00:00Z', 'when it happened, in UTC');
like($purchase->{accepted}, qr/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$/,
     'when it was accepted');
is_deeply($purchase->{effects}, $first->{effects},
          'effects as in the first reply');
is_deeply($purchase->{balances}, $first->{balances}, 'balances, too');
ok(!exists $purchase->{reverses}, 'it reverses nothing');

is($gift->{type}, 'gift', 'another type');
is($gift->{at}, '2026-03-02T00:00:00.250Z', 'with milliseconds');
ok(!exists $gift->{amount}, 'no amount where it had none');
is($gift->{balances}{points}, 62, 'the balance after it');

is($reversal->{type}, 'reversal', 'a reversal');
is($reversal->{reverses}, 'a1', 'says what it reverses');
is($reversal->{balances}{points}, 60, 'and what remains');
is($reversal->{effects}[0]{amount}, -2, 'and takes back');


# ---- pages, in the value and in the overflow ----

purchase('bert', "b$_", '1.00', sprintf '2026-04-%02dT00:00:00Z', $_)
    for 1 .. 30;

my @all = map { "b$_" } reverse 1 .. 30;

is_deeply([map { $_->{id} } @{$t->history('bert')->json->{history}}],
          [@all[0 .. 19]], '20 where nothing is said');
is_deeply([map { $_->{id} }
           @{$t->history('bert', 'limit=100')->json->{history}}],
          \@all, 'all of them');
is($t->history('bert', 'limit=30')->json->{next}, undef,
   'a page that ends with the last record is the last');
ok(defined $t->history('bert', 'limit=29')->json->{next},
   'one that does not is not');

for my $limit (1, 7, 15, 16, 29) {
    my @seen;
    my $args = "limit=$limit";
    my $pages = 0;

    while ($pages++ < 40) {
        my $page = $t->history('bert', $args)->json;

        push @seen, map { $_->{id} } @{$page->{history}};
        last if !defined $page->{next};
        $args = "limit=$limit&cursor=$page->{next}";
    }

    is_deeply(\@seen, \@all, "pages of $limit");
}

my $cursor = $t->history('bert', 'limit=5')->json->{next};
purchase('bert', 'late', '1.00', '2026-04-01T00:00:00Z');

is($t->history('bert', "limit=1&cursor=$cursor")->json->{history}[0]{id},
   'b25', 'a new record does not move the next page');
is_deeply($t->history('bert', 'cursor=1')->json,
          { member => 'bert', history => [], next => undef },
          'nothing is before the first');


# ---- types in any slots ----

is($t->event({ id => "t$_", member => 'carl', type => "type_$_" })->status,
   200, "an event of type $_") for 1 .. 5;
is_deeply([map { $_->{type} } @{$t->history('carl')->json->{history}}],
          [map { "type_$_" } reverse 1 .. 5], 'types by name');


# ---- arguments ----

for my $bad ('limit=0', 'limit=101', 'limit=-1', 'limit=', 'limit=x',
             'limit=1.5', 'limit=99999999999999999999', 'cursor=',
             'cursor=0', 'cursor=-5', 'cursor=abc', 'cursor=5x',
             'cursor=99999999999999999999')
{
    my $r = $t->history('bert', $bad);

    is($r->status . ' ' . $r->code, '400 invalid_field', $bad);
}

is($t->history('bert', 'limit=100&cursor=9007199254740991')->status, 200,
   'the largest of both');
is($t->get('/loyalty/me/history')->code, 'no_member', 'no member');
is($t->post('/loyalty/me/history', '{}',
            headers => { 'X-Member' => 'bert' })->header('Allow'),
   'GET, HEAD', 'no other methods');

my $head = $t->request('HEAD', '/loyalty/me/history', undef,
                       headers => { 'X-Member' => 'bert' });

is($head->status, 200, 'HEAD');
is($head->header('Content-Length'), length $t->history('bert')->body,
   'its length');


# ---- pages of large records stay within what Redis may answer ----

$t = Loyalty::Test->new(
    program => "redis unix:%%REDIS%% max_reply=64k;\nwallet points;\n");

for my $n (1 .. 40) {
    $t->event({ id => "e$n", member => 'dora', type => 'purchase',
                items => [map { { sku => "$n/$_" . 's' x 40,
                                  amount => '1.00' } } 1 .. 60] });
}

for my $path ('/loyalty/me/history', '/loyalty-admin/members/dora/history') {
    my (@ids, @pages);
    my $cursor = '';

    do {
        my $page = $t->get("$path?limit=100$cursor",
                           headers => { 'X-Member' => 'dora' })->json;

        push @pages, scalar @{$page->{history} // []};
        push @ids, map { $_->{id} } @{$page->{history}};
        $cursor = $page->{next} ? "&cursor=$page->{next}" : '';
    } while ($cursor && @pages < 40);

    is("@ids", join(' ', map { "e$_" } reverse 1 .. 40), "$path: all of it");
    cmp_ok(scalar @pages, '>=', 4, 'on several pages') or diag "@pages";
}

my ($account, @lines) = $t->get('/loyalty-admin/members/dora/export')->lines;

is(scalar(map { @{$_->{history}} } @lines), 40, 'an export of all');
is($t->metrics->{'nginx_loyalty_redis_errors_total{program="shop",'
                 . 'class="protocol"}'}, 0, 'the connection has lasted');


# ---- items: they are the admin's to see ----

my @items = ({ sku => 'a', category => 'b/c', quantity => 2,
               amount => '2.50' },
             { sku => 'd', quantity => 1 });

$t->event({ id => 'e1', member => 'emil', type => 'purchase',
            amount => '3.00', items => \@items });
$t->reversal('e1', { id => 'r1', member => 'emil',
                     items => [{ sku => 'a', quantity => 1 }] });
$t->reversal('e1', { id => 'r2', member => 'emil', items => [{ sku => 'd' }] });
$t->reversal('e1', { id => 'r3', member => 'emil', amount => '1.00' });

my %told = map { $_->{id} => $_ }
           @{ $t->get('/loyalty-admin/members/emil/history')
              ->json->{history} };

is_deeply([@{$told{e1}}{qw(items amount)}], [\@items, '3.00'],
          'the items of an event');
is_deeply($told{r1}{items}, [{ sku => 'a', quantity => 1 }],
          'and of a reversal');
is_deeply($told{r2}{items}, [{ sku => 'd' }], 'all of an item');
is_deeply([@{$told{r3}}{qw(items amount)}], [undef, '1.00'],
          'a reversal of an amount');
is_deeply([grep { exists $_->{items} }
           @{$t->history('emil')->json->{history}}], [],
          'the member is told what it did');

done_testing();
