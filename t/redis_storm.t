#!/usr/bin/perl
# Everything at once for some seconds: Redis killed, stalled, emptied of its
# functions and its clients cut off, workers reloaded, clients that leave;
# and the same events posted again and again.  In the end each has counted
# once, and nothing is left over.

use strict;
use warnings;

use lib 't/lib';
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(time sleep);

my $EVENTS = 1000;
my $MEMBERS = 40;
my $SECONDS = $ENV{LOYALTY_STORM} || 8;

$SIG{PIPE} = 'IGNORE';

my $t = Loyalty::Test->new(workers => 2,
    redis => { appendonly => 1, appendfsync => 'no' },
    program => <<'END');
redis unix:%%REDIS%% timeout=150ms connect_timeout=200ms max_inflight=150
      connections=2;
unsafe_store on;
wallet points;
earn purchase points 1 per=1.00;
END

sub events {
    return [ map { { id => "e$_", member => 'm' . $_ % $MEMBERS,
                     type => 'purchase', amount => '1.00' } } @_ ];
}

sub client {
    my ($seed, $end) = @_;
    srand $seed;

    while (time < $end) {
        my @socks;
        for (1 .. 6) {
            my $sock = eval { $t->connect } or next;
            my $lines = events(map { int rand $EVENTS } 0 .. rand 60);
            print {$sock} Loyalty::HTTP::format_request('POST',
                '/loyalty-in/events',
                join('', map { JSON::PP::encode_json($_) . "\n" } @$lines),
                'Content-Type' => 'application/x-ndjson');
            $sock->flush;
            push @socks, $sock;
        }
        for my $sock (@socks) {
            eval { Loyalty::HTTP::exchange(5, [$sock, '']) } if rand > 0.3;
            close $sock;
        }
        eval { $t->me('m' . int rand $MEMBERS) } for 1 .. 5;
    }
    return;
}

my @trouble = (
    sub { eval { $t->redis->call('FUNCTION', 'FLUSH') } },
    sub { $t->redis_kill; sleep rand 0.3; $t->redis_start },
    sub { $t->redis_stall; sleep rand 0.8; $t->redis_go },
    sub { eval { $t->redis->call('CLIENT', 'KILL', 'TYPE', 'normal',
                                 'SKIPME', 'yes') } },
    sub { $t->reload },
);

my $end = time + $SECONDS;
my @clients = map {
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        client($_, $end);
        POSIX::_exit(0);
    }
    $pid;
} 1 .. 2;

for (my $n = 0; time < $end; $n++) {
    $trouble[$n % @trouble]->();
    sleep rand 0.4;
}

waitpid $_, 0 for @clients;


ok($t->wait_for(sub { $t->workers == 2 }, 10), 'old workers are gone');

for (my $from = 0; $from < $EVENTS; $from += 100) {
    my $some = events($from .. $from + 99);
    ok($t->wait_for(sub {
        100 == grep { $_->{status} == 200 } $t->events($some)->lines }, 10),
       "events from $from on are accepted");
}

my $sum = 0;
$sum += $t->me("m$_")->json->{wallets}{points}{balance}
    for 0 .. $MEMBERS - 1;
is($sum, $EVENTS, 'each event has counted once');

sub metric {
    return $t->metrics->{"nginx_loyalty_redis_$_[0]\{program=\"shop\"}"};
}

ok($t->wait_for(sub { metric($_) == 0 }, 5), "gauge $_ is back at zero")
    for qw(inflight_operations queued_operations queued_bytes);
is($t->metrics->{'nginx_loyalty_redis_errors_total'
                 . '{program="shop",class="protocol"}'}, 0,
   'replies were never out of step');
ok($t->quit, 'quit');
unlike($t->log, qr/open socket|exited on signal/, 'no crash, no socket left');

done_testing();
