#!/usr/bin/perl
# Function libraries that nobody has used for a week are deleted, those in use
# are not, and nothing depends on it.

use strict;
use warnings;

use lib 't/lib';
use Loyalty::FakeRedis;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(sleep);

my $KEY = 'loyalty:libraries';
my $DAY = 86400;

my $t = Loyalty::Test->new(start => 0, program => <<'END');
redis unix:%%TESTDIR%%/fake.sock timeout=2s;
wallet points;
earn purchase points 1 per=1.00;
END

my $fake = Loyalty::FakeRedis->new($t, [
    # one connection breaks on what the hash holds
    [ qr/^HRANDFIELD/, FORWARD => 1, times => 5 ],
    [ qr/^HRANDFIELD/, SEND => "*1\r\n*1\r\n*0\r\n", times => 99 ],
]);

my $redis = $t->redis;
my $n = 0;

sub library {
    my ($hash, $used) = @_;
    $redis->call('FUNCTION', 'LOAD', "#!lua name=loyalty_$hash\n"
                 . "redis.register_function('f_$hash', "
                 . 'function() return 1 end)');
    $redis->call('HSET', $KEY, $hash, $used) if defined $used;
    return;
}

sub libraries {
    return join ' ', sort map { $_->[1] =~ /^loyalty_(.*)/ }
                          @{$redis->call('FUNCTION', 'LIST')};
}

sub used { return { @{$redis->call('HGETALL', $KEY)} } }

sub buy {
    return $t->post('/loyalty-in/events',
                    { id => 'e' . ++$n, member => 'm', type => 'purchase',
                      amount => '1.00' })->status;
}

# the connection of single requests is replaced; the request that finds it
# broken is lost
sub reconnected {
    my $asked = () = $fake->commands(qr/^HRANDFIELD/);

    $redis->call('CLIENT', 'KILL', 'SKIPME', 'yes');

    return $t->wait_for(sub {
        my $status = buy();
        my @now = $fake->commands(qr/^HRANDFIELD/);
        return $status == 200 && @now > $asked }, 10);
}


# ---- the first connection ----

my $now = time;

library('aaaaaaaaaaaa', $now - 8 * $DAY);
library('bbbbbbbbbbbb', $now - 6 * $DAY);
library('cccccccccccc', 'long ago');
library('dddddddddddd', $now + 400 * $DAY);
library('eeeeeeeeeeee', '99999999999999999999999999');
library('ffffffffffff', '');
library('1234567890ab');
$redis->call('HSET', $KEY, 'not a hash', 1, '', 1, 'AAAAAAAAAAAA', 1,
             "aaaaaaaaaaa\0", $now, 'x' x 1000, 'y' x 1000,
             '0123456789abc', $now, '999999999999', 1);

$t->start;
is(buy(), 200, 'an event');

ok($t->wait_for(sub { libraries() !~ /a{12}/ }, 5), 'the old one is deleted');

(my $own) = grep { !/^(?:(.)\1{11}|1234567890ab)$/ } split ' ', libraries();
like($own, qr/^[0-9a-f]{12}$/, 'ours is there');
is(libraries(), join(' ', sort $own, qw(1234567890ab bbbbbbbbbbbb cccccccccccc
                                        dddddddddddd eeeeeeeeeeee
                                        ffffffffffff)), 'no other is deleted');

ok($t->wait_for(sub { keys %{used()} == 6 }, 5), 'what is none is removed');

my $used = used();
is(join(' ', sort keys %$used),
   join(' ', sort $own, qw(bbbbbbbbbbbb cccccccccccc dddddddddddd eeeeeeeeeeee
                           ffffffffffff)), 'and nothing else');
is($used->{bbbbbbbbbbbb}, $now - 6 * $DAY, 'a young one stays as it was');

for my $hash ($own, map { $_ x 12 } 'c' .. 'f') {
    like($used->{$hash}, qr/^\d+$/, "$hash has a time");
    cmp_ok(abs(($used->{$hash} =~ /^(\d+)$/)[0] - $now), '<', 60,
           "$hash: from now");
}

like($t->log, qr/\[notice\].*deleted function library loyalty_a{12}, /,
     'a notice');
unlike($t->log, qr/deleted function library loyalty_9/,
       'none of one that was not there');


# ---- ours, though its time is old; more than are deleted at once ----

$redis->call('HSET', $KEY, $own, 1);
library(sprintf('%012x', $_), 1) for 1 .. 40;

# 32 of 46 are looked at, of which 6 may be young or ours
ok(reconnected(), 'a new connection');
ok($t->wait_for(sub { keys %{used()} <= 20 }, 5), 'some are forgotten');
sleep 0.3;
cmp_ok(scalar(keys %{used()}), '>=', 14, 'but not all at once');
cmp_ok(scalar(() = libraries() =~ /\b0{10}/g), '<=', 14, 'and deleted');
cmp_ok(scalar(() = libraries() =~ /\b0{10}/g), '>=', 8, 'no more of them');
like(libraries(), qr/\b$own\b/, 'ours stays');
cmp_ok(used()->{$own}, '>=', $now, 'and its time is new');

ok(reconnected(), 'a new connection');
ok($t->wait_for(sub { libraries() !~ /\b0{10}/ }, 5), 'the rest');
ok($t->wait_for(sub { keys %{used()} == 6 }, 5), 'is forgotten');
is(buy(), 200, 'an event');
is($t->metrics->{'nginx_loyalty_redis_function_loads_total{program="shop"}'},
   1, 'ours was never lost');


# ---- forbidden ----

library('aaaaaaaaaaaa', 1);
library('999999999999', 1);
$redis->call('ACL', 'SETUSER', 'default', '-function|delete');
$redis->call('ACL', 'LOG', 'RESET');
ok(reconnected(), 'without the permission to delete');
ok($t->wait_for(sub { @{$redis->call('ACL', 'LOG')} == 1 }, 5), 'refused');
is(buy(), 200, 'no event is');
is({ @{$redis->call('ACL', 'LOG')->[0]} }->{count}, 1, 'asked once');
like(libraries(), qr/9{12}.*a{12}/, 'both are there');
is(used()->{$_}, 1, 'and known') for qw(aaaaaaaaaaaa 999999999999);

$redis->call('ACL', 'SETUSER', 'default', '+function|delete', '-hset',
             '-hrandfield', '-hdel');
ok(reconnected(), 'without the permission to use the hash');
is(buy(), 200, 'events go on') for 1 .. 3;
is(() = $t->log =~ /\[notice\].*keeps function libraries that nobody uses/g, 1,
   'one notice of all this');
unlike($t->log, qr/\[error\].*(?:HRANDFIELD|hrandfield)/, 'and no error');

$redis->call('ACL', 'SETUSER', 'default', '+@all');
like(libraries(), qr/a{12}/, 'still there');


# ---- a reply that ends the connection ----

ok($t->wait_for(sub { reconnected() }, 10), 'a bad reply');
ok($t->wait_for(sub { buy() == 200 }, 10), 'the next connection is good');
my $asked = () = $fake->commands(qr/^HRANDFIELD/);
$redis->call('CLIENT', 'KILL', 'SKIPME', 'yes');
ok($t->wait_for(sub { buy() == 200 }, 10), 'and so is another');
is(buy(), 200, 'which stays') for 1 .. 3;
is(() = $fake->commands(qr/^HRANDFIELD/), $asked, 'as it was not asked again');

ok($t->wait_for(sub {
    $t->metrics->{"nginx_loyalty_redis_$_\{program=\"shop\"}"} == 0 }, 5),
   "gauge $_ is back at zero")
    for qw(inflight_operations queued_operations queued_bytes);

done_testing();
