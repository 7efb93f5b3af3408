#!/usr/bin/perl
# Redis goes, and comes back: killed in mid-pipeline, stalled, not there at
# all, restarted without its data.  Other programs notice nothing.

use strict;
use warnings;

use lib 't/lib';
use Loyalty::FakeRedis;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(time sleep);

my $t = Loyalty::Test->new(redis => { appendonly => 1 }, program => <<'END',
redis unix:%%REDIS%% timeout=500ms;
wallet points;
earn purchase points 1 per=1.00;
END
    http => <<'END',
    loyalty_program other {
        redis unix:%%TESTDIR%%/other.sock timeout=500ms;
        wallet points;
        earn purchase points 1 per=1.00;
    }
    loyalty_program nobody {
        redis 127.0.0.1:%%PORT_closed%% connect_timeout=300ms;
        wallet points;
    }
    loyalty_program nowhere {
        redis unix:%%TESTDIR%%/absent.sock;
        wallet points;
    }
END
    server => <<'END',
        location /other/ { loyalty_member_api other;
                           loyalty_member $test_member; }
        location /nobody/ { loyalty_member_api nobody;
                            loyalty_member $test_member; }
        location /nowhere/ { loyalty_member_api nowhere;
                             loyalty_member $test_member; }
END
);

my $second = Loyalty::Test->new(start => 0);
my $fake = Loyalty::FakeRedis->new($t, [], name => 'other',
    upstream => $second->dir . '/redis.sock');

sub metric {
    my ($name, $label, $program) = @_;
    $program //= 'shop';
    $label = defined $label ? ",$label" : '';
    return $t->metrics->{
        "nginx_loyalty_redis_$name\{program=\"$program\"$label}"};
}

sub batch {
    my ($from, $to) = @_;
    return [ map { { id => "e$_", member => 'm' . $_ % 7,
                     type => 'purchase', amount => '1.00' } } $from .. $to ];
}

sub statuses {
    my ($response) = @_;
    my %n;
    $n{$_->{status}}++ for $response->lines;
    return \%n;
}

sub total {
    my $sum = 0;
    $sum += $t->me("m$_")->json->{wallets}{points}{balance} for 0 .. 6;
    return $sum;
}


# nobody listens

my $started = time;
my $response = $t->get('/nobody/me?member=a');
is($response->status, 503, 'connection refused: unavailable');
is($response->code, 'unavailable', 'and said so');
ok(defined $response->header('Retry-After'), 'with Retry-After');
cmp_ok(time - $started, '<', 1, 'at once');
is($t->get('/nowhere/me?member=a')->status, 503, 'no such socket');
$t->get('/nobody/me?member=a') for 1 .. 5;
is($t->get('/nobody/me?member=a')->status, 503, 'fails fast while it pauses');
cmp_ok(metric(drops_total => 'reason="down"', 'nobody'), '>', 0,
       'and is counted');
cmp_ok(metric(errors_total => 'class="connect"', 'nobody'), '>', 0,
       'so is the failure');
is(() = $t->log =~ /redis is not available while .*program: nobody/g, 1,
   'one line, whatever the number of calls');


# killed while a pipeline is full

is(($t->events(batch(1, 1))->lines)[0]{status}, 200, 'all is well');

$t->redis_stall;
my @socks = map {
    my $sock = $t->connect;
    my $body = join '', map { JSON::PP::encode_json($_) . "\n" }
               @{batch(100 * $_, 100 * $_ + 39)};
    print {$sock} Loyalty::HTTP::format_request('POST',
        '/loyalty-in/events', $body,
        'Content-Type' => 'application/x-ndjson');
    $sock->flush;
    $sock;
} 1 .. 5;
ok($t->wait_for(sub { metric('inflight_operations') == 200 }),
   '200 operations are in flight');

$t->redis_kill;
my %n;
for my $sock (@socks) {
    my ($answer) = Loyalty::HTTP::exchange(10, [$sock, '']);
    my $statuses = statuses($answer);
    $n{$_} += $statuses->{$_} for keys %$statuses;
}
is_deeply(\%n, { 504 => 200 }, 'killed in mid-pipeline: outcome unknown');
is(metric(errors_total => 'class="closed"'), 1, 'one connection broke');
ok($t->wait_for(sub { metric('inflight_operations') == 0 }),
   'nothing is in flight');
is($t->me('m1')->status, 503, 'now it is away');

is($t->get('/other/me?member=a')->status, 200,
   'another program does not notice');

$t->redis_start;
ok($t->wait_for(sub { $t->me('m1')->status == 200 }, 5), 'and back');
ok($t->wait_for(sub { ($t->events(batch(1, 1))->lines)[0]{status} == 200 }, 1),
   'so is the other lane, which does not wait for its own turn');
like($t->log, qr/redis is available again.*program: shop/, 'logged');
is(metric('reconnects_total'), 1, 'the one that was connected is again');

for (1 .. 5) {
    my $answer = $t->events(batch(100 * $_, 100 * $_ + 39));
    is_deeply(statuses($answer), { 200 => 40 }, "batch $_ once more");
}
is(total(), 201, 'each event counts once');


# stalled

$t->redis_stall;
$started = time;
my @responses = $t->parallel(
    [ POST => '/loyalty-in/events', batch(900, 900)->[0] ],
    map { [ GET => '/other/me?member=b' ] } 1 .. 5);
my $took = time - $started;
is($responses[0]->status, 504, 'stalled: outcome unknown');
cmp_ok($took, '>', 0.4, 'after the timeout');
cmp_ok($took, '<', 1.5, 'and not much later');
is(scalar(grep { $_->status == 200 } @responses[1 .. 5]), 5,
   'another program does not notice');

$started = time;
is($t->get('/other/me?member=b')->status, 200, 'and does not wait');
cmp_ok(time - $started, '<', 0.3, 'at all');

$t->redis_go;
ok($t->wait_for(sub { $t->me('m1')->status == 200 }, 5), 'on it goes');
is(($t->events(batch(900, 900))->lines)[0]{duplicate}, JSON::PP::true,
   'what was unknown had happened');
cmp_ok(metric('late_replies_total'), '>=', 1, 'its reply came late');

# for longer than anybody waits
$t->redis_stall;
is($t->me('m1')->status, 504, 'stalled for long');
ok($t->wait_for(sub { $t->log =~ /redis does not answer, connection given/ },
   5), 'the connection is given up');
$t->redis_go;
ok($t->wait_for(sub { $t->me('m1')->status == 200 }, 5), 'on it goes');


# closed while nothing is in flight: not a trouble

sleep 1.1;
my $error = qr/\[error\].*program: shop$/m;
my $lines = () = $t->log =~ /$error/g;
$t->redis->call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
sleep 0.2;
is($t->me('m1')->status, 200, 'an idle connection is replaced');
is(() = $t->log =~ /$error/g, $lines, 'without a word');


# restarted without data: the library is gone, too

$t->redis_stop;
unlink glob $t->dir . '/appendonlydir/*';
$t->redis_start;
ok($t->wait_for(sub { $t->me('m1')->status == 200 }, 5), 'empty, and back');
$response = $t->event({ id => 'new', member => 'm1', type => 'purchase',
                        amount => '5.00' });
is($response->status, 200, 'the library is loaded again');
is($t->me('m1')->json->{wallets}{points}{balance}, 5, 'from nothing');
is(metric('function_loads_total'), 2, 'loads');


ok($t->wait_for(sub {
    $t->metrics->{"nginx_loyalty_redis_$_\{program=\"shop\"}"} == 0 }, 5),
   "gauge $_ is back at zero")
    for qw(inflight_operations queued_operations queued_bytes);

done_testing();
