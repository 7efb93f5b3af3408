#!/usr/bin/perl

# The admin API: looking at members, correcting them, forgetting them, codes;
# each change has its actor in the feed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Games;
use Loyalty::Member;
use Test::More;


my $shop = Loyalty::Games->new(program => <<'EOC', server => <<'EOS');
    wallet points;  wallet debts negative=on;
    tier bronze 0;  tier silver 100;
    earn purchase points 1 per=1.00;
    reward coffee { cost points 1;  codes coffee; }
    reward cup { stock 7; }
EOC
        location /loyalty-own/ {
            loyalty_admin_api shop trusted;
        }
EOS

my $t = $shop->t;
my $n = 0;


sub admin {
    my ($method, $path, $body, %headers) = @_;

    return $t->request($method, "/loyalty-admin/$path", $body,
        headers => { 'X-Actor' => 'olga', %headers });
}


sub adjust {
    my ($member, $wallet, $amount, %arg) = @_;

    return admin(POST => "members/$member/adjustments",
                 { wallet => $wallet, amount => $amount,
                   reason => $arg{reason} // 'a gift' },
                 'Idempotency-Key' => $arg{key} // 'key-' . ++$n);
}


sub refused {
    my ($response, $status, $code, $name) = @_;

    is($response->status . ' ' . ($response->code // ''), "$status $code",
       $name);
    return $response;
}


sub tag {
    return Loyalty::Member::tag('shop', Loyalty::Member::partition($_[0]));
}


sub feed {
    my ($key) = @_;
    my $lines = $t->redis->call('XRANGE', $key, '-', '+');

    return map { +{ @{$_->[1]} } } @$lines;
}


# ---- what is not there ----

refused(admin(GET => 'members/ada'), 404, 'unknown_member', 'a stranger');
refused(admin(GET => 'members/ada/export'), 404, 'unknown_member',
        'nothing to export');
refused(admin(GET => 'members/ada/history'), 404, 'unknown_member',
        'no history');
refused(admin(DELETE => 'members/ada'), 404, 'unknown_member',
        'nothing to erase');
refused(admin(GET => 'nonsense'), 404, 'unknown_path', 'an unknown path');
refused(admin(GET => 'members'), 404, 'unknown_path', 'members alone');
is(refused(admin(POST => 'members/ada', '{}'), 405, 'method_not_allowed',
           'a wrong method')->header('Allow'), 'GET, HEAD, DELETE',
   'which are right');
refused(admin(POST => 'games/wheel/grants', { member => 'ada', plays => 1 },
              'Idempotency-Key' => 'g'), 404, 'unknown_game',
        'plays of no game');

# ---- ids that look like paths ----

for (
    ['%2e%2e', '..'], ['..', '..'], ['a%2f..%2f..%2fb', 'a/../../b'],
    ['%2F', '/'], ['a%2Fhistory', 'a/history'], ['%25', '%'], ['%2500', '%00'],
    ['a%3Fb%23c', 'a?b#c'], ['%7Bx%7D', '{x}'], ['%22%5C', '"\\'],
    ['x' x 128, 'x' x 128],
) {
    my ($path, $id) = @$_;
    my $name = length $id > 20 ? 'the longest id' : "the id $id";
    my $r = adjust($path, 'points', 3);

    is($r->status, 200, "$name: points") or next;
    is($r->json->{member}, $id, "$name: of that member");
    is(admin(GET => "members/$path")->json->{wallets}{points}{balance}, 3,
       "$name: it is shown");
    is($t->redis->call('EXISTS', tag($id) . ':m:' . length($id) . ":$id"), 1,
       "$name: in its key");
    is(admin(DELETE => "members/$path")->status, 200, "$name: erased");
    refused(admin(GET => "members/$path"), 404, 'unknown_member',
            "$name: is gone");
}

my $before = join ' ', sort @{ $t->redis->call('KEYS', '{shop:*:m:*') };

for my $path ('%00', 'a%00b', 'a%0Ab', '%7F', '%FF', '%C0%AF', '%ED%A0%80',
              'x' x 129, 'x' x 300, '%2', '%zz', '', '../members',
              '..%2f..%2fetc', '../../etc', 'a//', '/a')
{
    my $name = 'no member: ' . substr $path, 0, 20;

    for my $r (adjust($path, 'points', 3), admin(GET => "members/$path"),
               admin(DELETE => "members/$path"))
    {
        like($r->status, qr/^4\d\d$/, $name);
    }
}

is(join(' ', sort @{ $t->redis->call('KEYS', '{shop:*:m:*') }), $before,
   'no key is made of those');

# ---- adjustments ----

my $r = adjust('ada', 'points', 150, key => 'one');

is($r->status, 200, 'points in');
is($r->json->{actor}, 'olga', 'by whom');
is_deeply([ map { "$_->{type} " . ($_->{amount} // $_->{to}) }
            @{$r->json->{effects}} ], [ 'points 150', 'tier silver' ],
          'points and the tier they reach');
is($r->json->{balances}{points}, 150, 'the balance');

my $again = adjust('ada', 'points', 150, key => 'one');

is($again->body, $r->body, 'repeated: the same answer');
is($again->header('Idempotency-Replayed'), 'true', 'said to be a repeat');
is(admin(POST => 'members/ada/adjustments',
         { wallet => 'points', amount => 150, reason => 'a gift' },
         'Idempotency-Key' => 'one', 'X-Actor' => 'eve')->json->{actor},
   'olga', 'by another one: who made it then');
refused(adjust('ada', 'points', 151, key => 'one'), 422,
        'idempotency_conflict', 'another change under the key');

is(adjust('ada', 'points', -60)->json->{balances}{points}, 90, 'points out');
is($t->me('ada')->json->{wallets}{points}{lifetime}, 90,
   'lifetime follows');
is($t->me('ada')->json->{tier}{name}, 'bronze', 'and the tier');
refused(adjust('ada', 'points', -91), 409, 'insufficient_balance',
        'more than there is');
is(adjust('ada', 'debts', -5)->json->{balances}{debts}, -5,
   'below zero where the wallet allows');

refused(adjust('ada', 'pints', 1), 400, 'invalid_field', 'no such wallet');
refused(adjust('ada', 'points', 0), 400, 'invalid_field', 'nothing');
refused(adjust('ada', 'points', '5'), 400, 'invalid_field', 'a text');
refused(adjust('ada', 'points', 9007199254740992), 400, 'invalid_field',
        'over 2^53');
refused(adjust('ada', 'points', 9007199254740991), 409, 'limit_reached',
        'a balance over 2^53');
refused(admin(POST => 'members/ada/adjustments',
              { wallet => 'points', amount => 1, reason => 'x' }), 400,
        'idempotency_key_required', 'without a key');
refused(admin(POST => 'members/ada/adjustments',
              { wallet => 'points', amount => 1, reason => 'x', who => 'me' },
              'Idempotency-Key' => 'k'), 400, 'invalid_field',
        'a field too many');
refused(admin(POST => 'members/ada/adjustments',
              { wallet => 'points', amount => 1 },
              'Idempotency-Key' => 'k'), 400, 'invalid_field',
        'without a reason');

# ---- looking ----

$r = admin(GET => 'members/ada');
is_deeply($r->json, $t->me('ada')->json, 'the account is that of GET me');
is($r->header('Cache-Control'), 'no-store', 'nobody keeps it');

$r = admin(GET => 'members/ada/history?limit=1')->json;
is($r->{history}[0]{type}, 'adjustment', 'the history');
is("@{$r->{history}[0]}{qw(actor reason)}", 'olga a gift',
   'who did it, and why');
is_deeply([ grep { exists $_->{actor} || exists $_->{reason} }
            @{$t->history('ada', 'limit=100')->json->{history}} ], [],
          'which is not for the member');

my $words = `$^X $FindBin::Bin/../bin/loyalty-member --redis unix:@{[
    $t->dir]}/redis.sock --program shop ada`;
like($words, qr/adjustment [0-9a-f]{32} .*by hand of olga: a gift/s, 'loyalty-member says who and why');

my @lines = feed(tag('ada') . ':feed');
is(scalar @lines, 3, 'each change is on the feed');

# ---- export: more than a page ----

for my $batch (0 .. 2) {
    $t->events([ map { { id => "p$batch-$_", member => 'ada',
                         type => 'purchase', amount => '1.00' } } 1 .. 50 ]);
}

$r = admin(GET => 'members/ada/export');
is($r->status, 200, 'export');
is($r->header('Content-Type'), 'application/x-ndjson', 'as lines');

my ($account, @pages) = $r->lines;
my @records = map { @{$_->{history}} } @pages;
my %seen = map { $_->{id} => 1 } @records;

is($account->{wallets}{points}{balance}, 240, 'the account');
is(scalar @records, 153, 'all records');
is(scalar keys %seen, 153, 'each once');
is(scalar(grep { ($_->{reason} // '') eq 'a gift' } @records), 3,
   'with the reasons');

# ---- erasing ----

is(admin(DELETE => 'members/ada')->json->{erased}, JSON::PP::true, 'erased');
refused(admin(GET => 'members/ada'), 404, 'unknown_member', 'and gone');
is($t->redis->call('EXISTS', tag('ada') . ':m:3:ada',
                   tag('ada') . ':x:3:ada'), 0, 'no key is left');
unlike($t->redis->call('GET', tag('ada') . ':al'), qr/ada/,
       'nor the id');

my $last = (feed(tag('ada') . ':feed'))[-1];
is("$last->{w} $last->{a}", 'erased olga', 'the feed says so');

$shop->send(purchase => member => 'ada', amount => '3.00');
is($t->me('ada')->json->{wallets}{points}{balance}, 3,
   'who comes back begins anew');

# ---- codes ----

sub codes {
    my ($path, $body) = @_;

    return admin(POST => $path, $body,
                 'Content-Type' => 'application/x-ndjson');
}


is_deeply(codes('codes/coffee', qq{"A-1"\n{"code":"A-2"}\r\n\n"A-3"})->json,
          { pool => 'coffee', added => 3, unused => 3 }, 'codes go in');
is_deeply(codes('rewards/coffee/codes', qq{"A-3"\n"A-4"\n"A-4"\n})->json,
          { pool => 'coffee', added => 1, unused => 4 },
          'those that are known do not');
like(refused(codes('codes/coffee', qq{"A-5"\n17\n}), 400, 'invalid_field',
             'a number')->json->{detail},
     qr/^line 2: .*0 codes of the lines before/, 'says where');
like(refused(codes('codes/coffee', qq{"A-5"\n{"code":17}\n}), 400,
             'invalid_field', 'a field')->json->{detail},
     qr{^line 2, /code: }, 'says which');
refused(codes('codes/tea', '"A"'), 404, 'unknown_reward', 'an unknown pool');
refused(codes('rewards/cup/codes', '"A"'), 404, 'unknown_reward',
        'a reward without codes');
refused(admin(POST => 'codes/coffee', '"A"'), 415, 'unsupported_type',
        'not lines');
is(codes('codes/coffee', '')->json->{added}, 0, 'no codes at all');

$t->post('/loyalty/rewards/coffee/redemptions', undef,
         headers => { 'X-Member' => 'ada', 'Idempotency-Key' => 'c' });
is_deeply(codes('codes/coffee', '"A-1"')->json,
          { pool => 'coffee', added => 0, unused => 3 },
          'one that was handed out is not imported again');

my $many = codes('codes/coffee', join '', map { "\"M-$_\"\n" } 1 .. 3000);
is($many->json->{added}, 3000, 'thousands');

is_deeply(admin(GET => 'stats')->json,
          { program => 'shop', events => 151, reversals => 0,
            pools => [ { name => 'coffee', unused => 3003,
                         imported => 3004 } ],
            rewards => [ { name => 'coffee', redeemed => 1 },
                         { name => 'cup', redeemed => 0, stock => 7 } ] },
          'stats');

my ($line) = grep { $_->{w} eq 'codes' } feed('{shop}:feed');
is("$line->{a} $line->{o}", 'olga coffee', 'the program\'s feed has it');

ok($t->wait_for(sub {
    ($t->metrics->{'nginx_loyalty_codes_unused{program="shop",pool="coffee"}'}
     // '') eq '3003' }), 'how many are left is a metric');

# ---- who it was, without loyalty_actor ----

is($t->post('/loyalty-own/members/bob/adjustments',
            { wallet => 'points', amount => 1, reason => 'x' },
            headers => { 'Idempotency-Key' => 'b' })->json->{actor}, 'admin',
   'nobody in particular');

is($t->metrics->{'nginx_loyalty_requests_total{program="shop",api="admin",'
                 . 'status="4xx",code="unknown_reward"}'}, 2, 'metrics');

done_testing();
