#!/usr/bin/perl
# A silent connection is asked whether it is still there.

use strict;
use warnings;

use lib 't/lib';
use Loyalty::FakeRedis;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(sleep);

my $t = Loyalty::Test->new(start => 0, program => <<'END');
redis unix:%%TESTDIR%%/fake.sock keepalive=300ms timeout=200ms;
wallet points;
earn purchase points 1 per=1.00;
END

my $fake = Loyalty::FakeRedis->new($t, [
    [ qr/^PING/, FORWARD => 1, times => 3 ],
    [ qr/^PING/, STALL => 1 ],
]);

$t->start;

sub pings {
    return scalar(() = $fake->commands(qr/^PING$/));
}

is($t->me('m')->status, 200, 'connected');

for (1 .. 8) {
    sleep 0.1;
    $t->me('m');
}
is(pings(), 0, 'none while there are requests');

ok($t->wait_for(sub { pings() >= 3 }, 5), 'asked while there are none');
is($t->metrics->{'nginx_loyalty_redis_connects_total{program="shop"}'}, 1,
   'still the first connection');

# the fourth is not answered: the peer is gone without a word
ok($t->wait_for(sub { $t->log =~ /redis does not answer, connection given/ },
   5), 'no answer: the connection is given up');
ok($t->wait_for(sub { $t->metrics->{
    'nginx_loyalty_redis_connects_total{program="shop"}'} == 2 }, 5),
   'and replaced before anybody asks');
is($t->me('m')->status, 200, 'the next request finds it');

ok($t->quit, 'quit');

done_testing();
