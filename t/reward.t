#!/usr/bin/perl

# reward: points are paid and the reward handed out in one step, once for each
# key; stock, limits and codes hold, and awards hand out the same.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Games;
use Test::More;


my $shop = Loyalty::Games->new(program => <<'EOC');
    wallet points;
    earn purchase points 1 per=1.00;
    reward coffee { cost points 100;  codes coffee; }
    reward tea    { cost points 10;   stock 2; }
    reward daily  { limit 1 per day;  limit 2 per member; }
    reward cake   { cost points 1; codes coffee; }
    challenge gift { on gift;  goal 1;  every day;  award reward coffee; }
    challenge cup  { on cup;   goal 1;  every day;  award reward tea; }
EOC

my $t = $shop->t;
my $n = 0;


sub redeem {
    my ($reward, %arg) = @_;
    my $key = $arg{key} // 'key-' . ++$n;

    return $t->post("/loyalty/rewards/$reward/redemptions", $arg{body},
                    headers => { 'X-Member' => $arg{member} // 'm',
                                 length $key
                                 ? ('Idempotency-Key' => $key) : () });
}


sub balance {
    return $t->me($_[0] // 'm')->json->{wallets}{points}{balance};
}


sub refused {
    my ($response, $status, $code, $name) = @_;

    is($response->status . ' ' . ($response->code // ''), "$status $code",
       $name);
    return $response;
}


$t->redis->call('RPUSH', '{shop:c:coffee}:l', 'AAA', 'BBB', 'CCC');
$shop->send(purchase => amount => '250.00');

# ---- what is refused changes nothing ----

refused(redeem('beer'), 404, 'unknown_reward', 'a reward that is not there');
refused(redeem('coffee', key => ''), 400, 'idempotency_key_required',
        'without a key');
refused(redeem('coffee', body => '{"code":"AAA"}'), 400, 'invalid_field',
        'a field');
refused(redeem('coffee', member => 'poor'), 409, 'insufficient_balance',
        'without points');
is(balance(), 250, 'nothing was charged');
is($t->redis->call('LLEN', '{shop:c:coffee}:l'), 3, 'no code is gone');

# ---- one redemption ----

my $first = redeem('coffee', key => 'one');

is($first->status, 200, 'redeemed');
is($first->json->{code}, 'AAA', 'with the first code');
is($first->json->{reward}, 'coffee', 'the reward');
like($first->json->{redemption}, qr/^[0-9a-f]{32}$/, 'its id');
is($first->json->{balances}{points}, 150, 'charged');
is_deeply([ map { $_->{type} } @{$first->json->{effects}} ],
          [ 'points', 'reward' ], 'both effects');
is($first->header('Idempotency-Replayed'), undef, 'not a repeat');

my $me = (grep { $_->{name} eq 'coffee' } @{$t->me('m')->json->{rewards}})[0];

is_deeply($me, { name => 'coffee', missing => 0, redeemed => 1,
                 cost => { wallet => 'points', amount => 100 },
                 affordable => JSON::PP::true }, 'GET me');
is($t->me('m')->json->{wallets}{points}{lifetime}, 250,
   'lifetime points stay');

# ---- the same again ----

my $again = redeem('coffee', key => 'one');

is($again->body, $first->body, 'the same key: the same answer');
is($again->header('Idempotency-Replayed'), 'true', 'said to be a repeat');
is(balance(), 150, 'charged once');
refused(redeem('tea', key => 'one'), 200, '', 'a key belongs to its path');

# ---- codes run out, shared by two rewards and awards ----

is(redeem('cake')->json->{code}, 'BBB', 'the pool is shared');
like($shop->send(gift => member => 'g'), qr/reward coffee CCC$/,
     'awarded with the last code');
like($shop->send(gift => member => 'h'), qr/reward coffee sold out$/,
     'an award that finds none says so');
refused(redeem('coffee'), 409, 'sold_out', 'no code is left');
is(balance(), 139, 'nothing was charged');
is($t->redis->call('LLEN', '{shop:c:coffee}:l'), 0, 'each was used once');

# ---- stock, shared with awards ----

like($shop->send(cup => member => 'g'), qr/reward tea$/, 'the last one');
refused(redeem('tea'), 409, 'sold_out', 'no stock is left');
is($t->redis->call('GET', '{shop:r:tea}:n'), 2, 'two are gone');

# ---- limits ----

is(redeem('daily')->status, 200, 'the first today');

my $limited = refused(redeem('daily'), 409, 'limit_reached', 'the second');
like($limited->json->{retry_at} // '', qr/T00:00:00Z$/, 'until midnight');

is(redeem('daily', member => 'g')->status, 200, 'another member may');

# ---- history ----

my ($line) = grep { $_->{id} eq $first->json->{redemption} }
             @{$t->history('m', 'limit=50')->json->{history}};

is($line->{type}, 'redemption', 'the history has it');
is_deeply($line->{effects}, $first->json->{effects}, 'the history tells it');

# ---- what was handed out stays ----

$shop->send(gift => id => 'gift-back', member => 'k');
unlike($shop->reverse('gift-back', member => 'k'), qr/reward/,
       'an award that is taken back leaves the reward');

done_testing();
