#!/usr/bin/perl
# Workers come and go while operations are on their way: reload, quit,
# worker_shutdown_timeout; a worker without connections left; one process.

use strict;
use warnings;

use lib 't/lib';
use Loyalty::FakeRedis;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(time sleep);

$SIG{PIPE} = 'IGNORE';

my $program = <<'END';
redis unix:%%TESTDIR%%/fake.sock timeout=3s;
wallet points;
earn purchase points 1 per=1.00;
END

sub test {
    my ($script, %arg) = @_;
    my $t = Loyalty::Test->new(start => 0, program => $program, %arg);
    my $fake = Loyalty::FakeRedis->new($t, $script);
    $t->start;
    return ($t, $fake);
}

sub send_event {
    my ($t, $id, $member) = @_;
    my $sock = $t->connect;
    print {$sock} Loyalty::HTTP::format_request('POST',
        '/loyalty-in/events', JSON::PP::encode_json({ id => $id,
        member => $member, type => 'purchase', amount => '1.00' }));
    $sock->flush;
    return $sock;
}

sub batch {
    my ($t, $member, $n) = @_;
    my $sock = $t->connect;
    print {$sock} Loyalty::HTTP::format_request('POST',
        '/loyalty-in/events', join('', map { JSON::PP::encode_json({
            id => "$member$_", member => $member, type => 'purchase',
            amount => '1.00' }) . "\n" } 1 .. $n),
        'Content-Type' => 'application/x-ndjson');
    $sock->flush;
    return $sock;
}

sub answer {
    my ($sock) = @_;
    my ($response) = Loyalty::HTTP::exchange(15, [$sock, '']);

    # nginx lingers until the client closes
    close $sock;
    return $response;
}

sub metric {
    my ($t, $name) = @_;
    return $t->metrics->{"nginx_loyalty_redis_$name\{program=\"shop\"}"};
}

sub in_flight {
    my ($t, $n) = @_;
    return $t->wait_for(sub { metric($t, 'inflight_operations') >= $n });
}


# reload with operations in flight

{
    my ($t, $fake) = test([ [ qr/:slow/, PAUSE => 0.7, FORWARD => 1, times => 9 ] ],
                   workers => 2);

    is($t->me('m')->status, 200, 'connected');
    my @socks = (send_event($t, 'a', 'slow'), send_event($t, 'b', 'slow'));
    ok(in_flight($t, 1), 'in flight');

    ok($t->reload, 'reload');
    is($t->me('m')->status, 200, 'new workers answer at once');
    is(answer($_)->status, 200, 'old workers answer what they were asked')
        for @socks;
    ok($t->wait_for(sub { $t->workers == 2 }, 5), 'and leave');
    is($t->me('slow')->json->{wallets}{points}{balance}, 2, 'counted once');

    # again and again under load
    my @batches = map { batch($t, "reload$_", 300) } 1 .. 4;
    for (1 .. 5) {
        ok($t->reload, 'reload under load');
    }
    my %n;
    for my $sock (@batches) {
        $n{$_->{status}}++ for answer($sock)->lines;
    }
    is_deeply(\%n, { 200 => 1200 }, 'no line was lost');
    ok($t->wait_for(sub { $t->workers == 2 }, 10), 'old workers are gone');

    ok($t->wait_for(sub { metric($t, $_) == 0 }, 5),
       "gauge $_ is back at zero")
        for qw(inflight_operations queued_operations queued_bytes);
    ok($t->quit, 'quit');
    unlike($t->log, qr/open socket/, 'no connection is left');
}


# quit with operations in flight

{
    my ($t, $fake) = test([ [ qr/:slow/, PAUSE => 0.5, FORWARD => 1, times => 9 ] ]);

    my $sock = send_event($t, 'a', 'slow');
    ok(in_flight($t, 1), 'in flight');
    my $started = time;
    kill 'QUIT', $t->pid;
    is(answer($sock)->status, 200, 'quit waits until the reply has come');
    ok($t->quit(5), 'and no longer');
    cmp_ok(time - $started, '<', 2, 'in time');
    unlike($t->log, qr/open socket/, 'no connection is left');
}

# quit before Redis was ever asked, and with idle connections only

{
    my ($t, $fake) = test([]);
    my $started = time;
    ok($t->quit(5), 'quit without a connection');
    cmp_ok(time - $started, '<', 2, 'at once');

    $t->start;
    is($t->me('m')->status, 200, 'connected');
    is(($t->events([{ id => 'a', member => 'm', type => 'purchase',
        amount => '1.00' }])->lines)[0]{status}, 200, 'both lanes');
    $started = time;
    ok($t->quit(5), 'quit with idle connections');
    cmp_ok(time - $started, '<', 0.9, 'at once');
    unlike($t->log, qr/open socket/, 'no connection is left');
}

# quit while Redis does not answer: not for ever

{
    my ($t, $fake) = test([ [ qr/:never/, STALL => 1 ] ]);
    is($t->me('m')->status, 200, 'connected');
    my $sock = send_event($t, 'a', 'never');
    ok(in_flight($t, 1), 'in flight');
    my $started = time;
    kill 'QUIT', $t->pid;
    is(answer($sock)->status, 504, 'quit waits for the timeout');
    ok($t->quit(5), 'and no longer');
    cmp_ok(time - $started, '<', 6, 'in time');
    unlike($t->log, qr/open socket/, 'no connection is left');
}

# terminated: at once, and clean

{
    my ($t, $fake) = test([ [ qr/:never/, STALL => 1 ] ]);
    my $sock = send_event($t, 'a', 'never');
    ok(in_flight($t, 1), 'in flight');
    my $started = time;
    ok($t->stop(5), 'terminated');
    cmp_ok(time - $started, '<', 2, 'at once');
    unlike($t->log, qr/open socket/, 'no connection is left');
}


# worker_shutdown_timeout

{
    my ($t, $fake) = test([ [ qr/:never/, STALL => 1 ] ],
                   main => 'worker_shutdown_timeout 500ms;');
    is($t->me('m')->status, 200, 'connected');
    my $sock = send_event($t, 'a', 'never');
    ok(in_flight($t, 1), 'in flight');
    my $started = time;
    ok($t->quit(10), 'worker_shutdown_timeout ends it');
    cmp_ok(time - $started, '<', 2, 'in time');
    cmp_ok(time - $started, '>', 0.4, 'and not before');
    unlike($t->log, qr/open socket/, 'no connection is left');
}

# the same while it is still connecting

{
    my ($t, $fake) = test([ [ qr/^INFO/, STALL => 1, times => 99 ] ],
                   main => 'worker_shutdown_timeout 300ms;');
    my $sock = send_event($t, 'a', 'm');
    sleep 0.2;
    my $started = time;
    ok($t->quit(10), 'while connecting');
    cmp_ok(time - $started, '<', 2, 'in time');
    unlike($t->log, qr/open socket/, 'no connection is left');
}


# no connection left for Redis

{
    my ($t, $fake) = test([], allow => [ qr/worker_connections are not enough/ ]);
    my $conf = $t->read_file('nginx.conf');
    $conf =~ s/worker_connections 512/worker_connections 8/;
    $t->write_file('nginx.conf', $conf);
    ok($t->reload(wait => 1), 'eight connections a worker');

    my @held;
    for (1 .. 12) {
        my $sock = eval { $t->connect } // last;
        print {$sock} "GET /loyalty/me?member=m HTTP/1.1\r\nHost: a\r\n";
        push @held, $sock;
        sleep 0.05;
        last if $t->log =~ /worker_connections are not enough/;
    }
    like($t->log, qr/worker_connections are not enough/, 'none is left');

    # the last one that was accepted asks
    my %n;
    for my $sock (@held) {
        $sock->blocking(1);
        print {$sock} "Connection: close\r\n\r\n";
        $sock->flush;
    }
    for my $sock (@held) {
        my ($response) = Loyalty::HTTP::exchange(5, [$sock, '']);
        $n{$response->status}++;
    }
    cmp_ok($n{503} // 0, '>', 0, 'unavailable, and no more than that');
    ok($t->wait_for(sub {
        my $response = eval { $t->me('m') };
        return $response && $response->status == 200 }, 8),
       'when there is room it works');
    ok($t->quit, 'quit');
    unlike($t->log, qr/open socket/, 'no connection is left');
}


# one process for all

{
    my ($t, $fake) = test([ [ qr/:slow/, PAUSE => 0.3, FORWARD => 1, times => 9 ] ],
                   main => 'master_process off;');
    is($t->me('m')->status, 200, 'master_process off');
    my $sock = send_event($t, 'a', 'slow');
    is(answer($sock)->status, 200, 'event');
    $t->redis->call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    ok($t->wait_for(sub { $t->me('m')->status == 200 }), 'reconnects');
    ok($t->quit, 'quit');
    unlike($t->log, qr/open socket/, 'no connection is left');
}

done_testing();
