#!/usr/bin/perl

# A worker that cannot reach Redis while another can: what it has observed is
# sent by the other.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;
use Time::HiRes qw(sleep time);

for my $spool ('', 'loyalty_spool path=%%TESTDIR%%/spool max=1m;') {
    my $what = $spool ? 'with a spool' : 'without a spool';

    my $t = Loyalty::Test->new(workers => 2, http => $spool,
        program => <<'END', server => <<'END2');
redis     unix:%%REDIS%% timeout=300ms keepalive=1h;
wallet    points;
earn      purchase points 1 per=1.00;
END
location = /buy {
    loyalty_observe shop purchase member=$arg_m id=$request_id amount=1.00;
    return 200 "$pid\n";
}
END2

    my $metric = sub {
        return $t->metrics->{"nginx_loyalty_$_[0]\{program=\"shop\"}"};
    };

    # a purchase by a connection that stays; the worker's process id
    my $buy = sub {
        my ($sock) = @_;

        syswrite $sock, "GET /buy?m=m HTTP/1.1\r\nHost: x\r\n\r\n";
        sysread $sock, my $answer, 4096;
        my ($pid) = $answer =~ /^(\d+)$/m;
        return $pid;
    };

    my $first = $t->connect;
    my $near = $buy->($first);
    my $bought = 1;

    ok($t->wait_for(sub { $metric->('observed_credited_total') == 1 }),
       "$what: one worker is connected");

    my ($clients) = $t->redis->call('INFO', 'clients')
                    =~ /^connected_clients:(\d+)/m;
    is($t->redis->call('CONFIG', 'SET', 'maxclients', $clients), 'OK',
       'no other will be');

    my $far;

    for (1 .. 100) {
        my $sock = $t->connect;
        my $pid = $buy->($sock);

        $bought++;
        $far = $sock if $pid != $near;
        last if defined $far;
    }

    ok(defined $far, 'purchases that the other worker sees');

    my $deadline = time + 4;

    while (time < $deadline) {
        is($buy->($far), $buy->($far), 'they are served');
        $buy->($first);
        $bought += 3;
        sleep 0.2;
    }

    ok($t->wait_for(sub {
        $buy->($first);
        $bought++;
        return $metric->('observed_credited_total') >= $bought - 1;
    }, 5), 'the worker that can sends all of them');

    ok($t->log =~ /redis .*max number of clients/, 'the other cannot');
    ok($t->wait_for(sub {
        $metric->('observed_credited_total') == $bought }), 'each counts once');
    is($metric->('ring_used_slots'), 0, 'none is left');
}

done_testing();
