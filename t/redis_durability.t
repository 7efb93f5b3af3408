#!/usr/bin/perl
# How durable a change is before it is acknowledged, and what Redis says
# about its store.

use strict;
use warnings;

use lib 't/lib';
use Loyalty::FakeRedis;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(time sleep);

sub buy {
    my ($t, $id, $member, $program) = @_;
    my $uri = defined $program ? "/$program/events" : '/loyalty-in/events';
    return $t->post($uri, { id => $id, member => $member // 'm',
                            type => 'purchase', amount => '1.00' });
}

sub balance {
    my ($t, $member) = @_;
    return $t->me($member)->json->{wallets}{points}{balance};
}


# replicas=1

my $t = Loyalty::Test->new(redis => { port => 1 }, start => 0,
                           program => <<'END');
redis unix:%%TESTDIR%%/fake.sock timeout=2s;
durability replicas=1 timeout=300ms;
wallet points;
earn purchase points 1 per=1.00;
END
my $fake = Loyalty::FakeRedis->new($t, []);
$t->start;

my $started = time;
my $response = buy($t, 'a');
is($response->status, 504, 'no replica: outcome unknown');
is($response->code, 'outcome_unknown', 'and said so');
cmp_ok(time - $started, '>', 0.25, 'after the timeout of durability');
cmp_ok(time - $started, '<', 1.5, 'and not much later');
is($t->me('m')->status, 200, 'reading needs no replica');
like($t->log, qr/redis has 0 replicas, though "durability replicas=1"/,
     'warned on connecting');
like($t->log, qr/0 of 1 replicas have confirmed writes within 300 ms/,
     'and logged');

my $replica = Loyalty::Test->new(start => 0, redis => { args => [
    '--replicaof', '127.0.0.1 ' . $t->port('redis'),
    '--repl-diskless-sync-delay', '0' ] });
ok($t->wait_for(sub {
    $t->redis->call('INFO', 'replication') =~ /state=online/ }), 'a replica');

ok($t->wait_for(sub { buy($t, 'b')->status == 200 }, 5), 'acknowledged');
is(buy($t, 'a')->json->{duplicate}, JSON::PP::true,
   'what was unknown had happened');
like($t->log, qr/redis is available again/, 'the trouble is over');

my @commands = $fake->commands(qr/^WAIT /);
is_deeply([ @{$commands[-1]}[1 .. 3] ], [qw(WAIT 1 300)], 'WAIT');

# one WAIT for a burst, not one for each
my $before = @commands;
my @lines = map { { id => "l$_", member => 'batch' . $_ % 5,
    type => 'purchase', amount => '1.00' } } 1 .. 300;
my @replies = $t->events(\@lines)->lines;
is(scalar(grep { $_->{status} == 200 } @replies), 300, 'a batch of 300');
@commands = $fake->commands(qr/^WAIT /);
cmp_ok(@commands - $before, '<', 150, 'with fewer WAITs than lines');

# every acknowledged event is at the replica already
is(buy($t, 'c', 'seen')->status, 200, 'acknowledged');
my ($key) = grep { /:m:4:seen$/ } @{$replica->redis->call('KEYS', '*')};
ok(defined $key, 'and there');

# the library is loaded in between
$t->redis->call('FUNCTION', 'FLUSH');
@replies = $t->events([ map { { %$_, id => "again$_->{id}" } } @lines ])
    ->lines;
is(scalar(grep { $_->{status} == 200 } @replies), 300,
   'a batch that finds no functions');

# the replica stalls: writes are unknown, reads go on
$replica->redis_stall;
$response = buy($t, 'd', 'stalled');
is($response->status, 504, 'a stalled replica: outcome unknown');
is(balance($t, 'stalled'), 1, 'the master has it');
$replica->redis_go;
ok($t->wait_for(sub { buy($t, 'd', 'stalled')->status == 200 }, 5),
   'confirmed later');
is(balance($t, 'stalled'), 1, 'counted once');

ok($t->wait_for(sub {
    $t->metrics->{"nginx_loyalty_redis_$_\{program=\"shop\"}"} == 0 }, 5),
   "gauge $_ is back at zero")
    for qw(inflight_operations queued_operations queued_bytes);


# a replica is no place to write to

{
    my $t2 = Loyalty::Test->new(redis => 0, program =>
        'redis unix:' . $replica->dir . "/redis.sock;\nwallet points;\n"
        . "earn purchase points 1 per=1.00;\n");
    is(buy($t2, 'x')->status, 503, 'a replica: unavailable');
    sleep 0.3;
    is(buy($t2, 'x')->status, 503, 'still');
    is(() = $t2->log =~ /redis is a replica, a master is needed/g, 1,
       'one line about it');

    $replica->redis->call('REPLICAOF', 'NO', 'ONE');
    ok($t2->wait_for(sub { buy($t2, 'x')->status == 200 }, 5),
       'promoted: it works');

    # demoted while connected
    $replica->redis->call('REPLICAOF', '127.0.0.1', $t->port('redis'));
    my %n;
    $n{buy($t2, "y$_")->status}++ for 1 .. 5;
    is_deeply(\%n, { 503 => 5 }, 'demoted: unavailable, never unknown');
    like($t2->log, qr/redis is a read-only replica: "READONLY/, 'logged');
    is($t2->metrics->{'nginx_loyalty_redis_errors_total'
                      . '{program="shop",class="readonly"}'}, 1,
       'one operation had to find out');
}


# refusals that pass

{
    my $t2 = Loyalty::Test->new(start => 0, program =>
        "redis unix:%%TESTDIR%%/fake.sock;\nwallet points;\n"
        . "earn purchase points 1 per=1.00;\n");
    my $fake2 = Loyalty::FakeRedis->new($t2, [
        [ qr/^FCALL .*:loading/s, SEND => "-LOADING Redis is loading\r\n" ],
        [ qr/^FCALL .*:oom/s, SEND => "-OOM command not allowed\r\n" ],
        [ qr/^FCALL .*:full/s, SEND => "-MISCONF Errors writing to the AOF "
                                       . "file: No space left on device\r\n" ],
        [ qr/^FCALL .*:moved/s, SEND => "-MOVED 1 127.0.0.1:1\r\n" ],
        [ qr/^FCALL .*:odd/s, SEND => "-ERR odd\tthing\r\n", times => 3 ],
        [ qr/^INFO/, SEND => "\$9\r\nloading:1\r\n" ],
    ]);
    $t2->start;

    is(buy($t2, 'first')->status, 503, 'Redis that loads its data');
    like($t2->log, qr/redis is loading its data/, 'logged');
    ok($t2->wait_for(sub { buy($t2, 'first')->status == 200 }, 5), 'loaded');

    is(buy($t2, 'a', 'loading')->status, 503, 'LOADING: unavailable');
    ok($t2->wait_for(sub { buy($t2, 'a', 'loading')->status == 200 }, 5),
       'loaded');
    is(buy($t2, 'b', 'oom')->status, 503, 'OOM: unavailable');
    is(buy($t2, 'b', 'oom')->status, 200, 'on the same connection');
    is(buy($t2, 'b', 'full')->code, 'unavailable', 'a full disk');
    like($t2->log, qr/MISCONF.*No space left on device/, 'logged');
    is(buy($t2, 'b', 'full')->status, 200, 'until there is room again');
    is(buy($t2, 'c', 'moved')->status, 500, 'MOVED: an error');
    like($t2->log, qr/part of a cluster, which is not supported in this v/,
         'that says why');
    is(buy($t2, 'd', 'odd')->status, 500, 'another error') for 1 .. 3;
    is(() = $t2->log =~ /redis answered with an error: "ERR odd/g, 1,
       'one line about it');
    is(buy($t2, 'd', 'odd')->status, 200, 'and on it goes');
}


# what the store is like: warned about once a change

sub store {
    my ($name, $durability, $redis, $expected) = @_;
    my $t2 = Loyalty::Test->new(redis => $redis, program =>
        "$durability\nwallet points;\nearn purchase points 1 per=1.00;\n");

    is(buy($t2, 'a')->status, 200, "$name: it works");
    my @warned = map { /\[warn\] .*?: (?:\*\d+ )?(.*?) while/ ? $1 : () }
                 split /\n/, $t2->log;
    is_deeply(\@warned, $expected, "$name: warnings");
    return $t2;
}

my @none = ('redis keeps no append-only file, though "durability %s" asks '
            . 'for it; set "appendonly yes" there, or "unsafe_store on" here');
my %aof = (appendonly => 1);
my @weak = 'appendfsync of redis is weaker than "durability always"';

sub with { my ($d, @lines) = @_; return [ map { sprintf $_, $d } @lines ] }

store('always, none', '', {}, with('always', @none));
store('everysec, none', 'durability everysec;', {},
      with('everysec', @none));
store('none', 'durability none;', {}, []);
store('unsafe_store', 'unsafe_store on;', {}, []);
store('always', 'durability always;', \%aof, []);
store('always, everysec', 'durability always;',
      { %aof, appendfsync => 'everysec' }, \@weak);
store('everysec', 'durability everysec;',
      { %aof, appendfsync => 'everysec' }, []);
store('everysec, no', 'durability everysec;',
      { %aof, appendfsync => 'no' },
      ['appendfsync of redis is weaker than "durability everysec"']);
my $last = store('evicting', '', { %aof, args =>
    [ '--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru' ] },
    ['redis may evict members when memory is short; set "maxmemory-policy '
     . 'noeviction" there']);

# the other lane, and another connection, find the same
$last->events([{ id => 'b', member => 'm', type => 'purchase',
                 amount => '1.00' }]);
$last->redis->call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
ok($last->wait_for(sub { buy($last, 'c')->status == 200 }, 5),
   'connected again');
is(() = $last->log =~ /\[warn\]/g, 1, 'nothing new, no other warning');
$last->redis->call('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
$last->redis->call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
ok($last->wait_for(sub {
    buy($last, 'd'); $last->log =~ /stores as "durability always" asks/ }, 5),
   'mended: said so');

done_testing();
