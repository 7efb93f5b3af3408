#!/usr/bin/perl
# The function library: loaded when Redis lacks it, and what had to wait for
# it is done in its order.

use strict;
use warnings;

use lib 't/lib';
use Loyalty::FakeRedis;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(time sleep);

my $t = Loyalty::Test->new(start => 0, program => <<'END',
wallet points;
earn purchase points 1 per=1.00;
END
    http => <<'END',
    loyalty_program odd {
        redis unix:%%TESTDIR%%/fake.sock;
        wallet points;
        earn purchase points 1 per=1.00;
    }
END
    server => <<'END',
        location /odd-in/ { loyalty_event_api odd trusted; }
END
);

my $fake = Loyalty::FakeRedis->new($t, [
    # lost again as soon as it was loaded
    [ qr/^FCALL event.*:lost/s, SEND => "-ERR Function not found\r\n",
      times => 5 ],
]);

$t->start;

sub loads {
    my $program = shift // 'shop';
    return $t->metrics->{'nginx_loyalty_redis_function_loads_total'
                         . "{program=\"$program\"}"};
}

sub balance {
    my ($member) = @_;
    return $t->me($member)->json->{wallets}{points}{balance};
}

sub buy {
    my ($id, $member, $program) = @_;
    my $uri = defined $program ? "/$program-in/events" : '/loyalty-in/events';
    return $t->post($uri, { id => $id, member => $member, type => 'purchase',
                            amount => '1.00' });
}

# n lines of few members; the balances told must count up without a gap
sub in_order {
    my ($name, $n) = @_;
    my %seen;
    my @lines = map { { id => "$name-$_", member => $name . $_ % 3,
                        type => 'purchase', amount => '1.00' } } 1 .. $n;
    my @replies = $t->events(\@lines, timeout => 30)->lines;
    my $bad = grep { ($_->{status} // 0) != 200
                     || ++$seen{$_->{member}} != $_->{balances}{points} }
              @replies;

    is(scalar @replies, $n, "$name: every line is answered");
    is($bad, 0, "$name: in order, each once");
    return;
}


# the first call ever

is(buy('first', 'first')->status, 200, 'loaded on the first call');
is(loads(), 1, 'by one FUNCTION LOAD');

my @names = map { $_->[1] } @{$t->redis->call('FUNCTION', 'LIST')};
is(scalar @names, 1, 'one library');
like($names[0], qr/^loyalty_[0-9a-f]{12}$/, 'of the expected name');


# flushed between requests

$t->redis->call('FUNCTION', 'FLUSH');
is(buy('second', 'first')->status, 200, 'loaded again after FLUSH');
is(balance('first'), 2, 'counted once');
is(loads(), 2, 'by one FUNCTION LOAD');

# a burst that finds nothing

$t->redis->call('FUNCTION', 'FLUSH');
in_order('burst', 200);
is(loads(), 3, 'by one FUNCTION LOAD');


# flushed again and again under load

my $pid = fork // die "fork: $!";
if (!$pid) {
    my $redis = Loyalty::RESP->new('unix:' . $t->dir . '/redis.sock');
    for (1 .. 40) {
        $redis->call('FUNCTION', 'FLUSH');
        sleep 0.01;
    }
    POSIX::_exit(0);
}
in_order('load', 1000);
waitpid $pid, 0;
is($?, 0, 'flushed 40 times');
cmp_ok(loads(), '>', 3, 'loaded again');
in_order('after', 100);


# two versions side by side: another library with other names

my $source = $t->redis->call('FUNCTION', 'LIST', 'WITHCODE')->[0][7];
(my $hash) = $names[0] =~ /_(.*)/;
(my $other = $source) =~ s/$hash/0123456789ab/g;
$t->redis->call('FUNCTION', 'LOAD', $other);

is(buy('beside', 'beside')->status, 200, 'works beside another version');
is(scalar @{$t->redis->call('FUNCTION', 'LIST')}, 2, 'which stays');
$t->redis->call('FUNCTION', 'DELETE', $names[0]);
is(buy('beside2', 'beside')->status, 200, 'is loaded beside it');
is(balance('beside'), 2, 'and counts');
is(scalar @{$t->redis->call('FUNCTION', 'LIST')}, 2, 'two libraries');


# never for ever

my $started = time;
my $response = buy('lost', 'lost', 'odd');
is($response->status, 500, 'lost again and again: an error');
cmp_ok(time - $started, '<', 1, 'soon');
cmp_ok(loads('odd'), '<=', 5, 'after few loads');
like($t->log, qr/loses the function library again and again/, 'logged');
is(buy('lost', 'lost', 'odd')->status, 200, 'and it works again');

my @loads = $fake->commands(qr/^FUNCTION LOAD/);
is(scalar(grep { @$_ == 4 } @loads), scalar @loads,
   'the library replaces none: another worker may have been faster');


# Redis refuses the library

$t->redis->call('ACL', 'SETUSER', 'default', '-function|load');
$t->redis->call('FUNCTION', 'FLUSH');
$response = buy('refused', 'refused');
is($response->status, 500, 'FUNCTION LOAD refused: an error');
my $before = loads();
is(buy('refused', 'refused')->status, 500, 'still') for 1 .. 5;
is(loads(), $before, 'not asked again at once');
like($t->log, qr/redis refused FUNCTION LOAD: "NOPERM/, 'logged');

$t->redis->call('ACL', 'SETUSER', 'default', '+function|load');
ok($t->wait_for(sub { buy('refused', 'refused')->status == 200 }, 5),
   'allowed again: it works');
is(balance('refused'), 1, 'and counted once');

ok($t->wait_for(sub {
    $t->metrics->{"nginx_loyalty_redis_$_\{program=\"shop\"}"} == 0 }, 5),
   "gauge $_ is back at zero")
    for qw(inflight_operations queued_operations queued_bytes);

done_testing();
