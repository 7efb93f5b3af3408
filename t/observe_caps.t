#!/usr/bin/perl

# Observed events over the caps of a connection: they wait in the ring, or go
# to the spool, and each is credited once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Shop;
use Test::More;
use Time::HiRes qw(sleep);

for my $cap ('max_inflight=4', 'max_queue=4k') {
    for my $spool ('', 'loyalty_spool path=%%TESTDIR%%/spool max=1m;') {
        my $what = "$cap, " . ($spool ? 'a spool' : 'no spool');
        my $t = Loyalty::Shop->start(
            redis_to => "unix:%%REDIS%% timeout=3s $cap",
            http => "loyalty_ring zone=seen:256k;\n$spool");
        my $shop = Loyalty::Shop->new($t);
        my $busy = sub {
            my $m = $t->metrics;
            my $n = 0;
            $n += $m->{$_} for grep {
                /redis_drops_total\{program="shop",reason="(?:inflight|bytes)"/
            } keys %$m;
            return $n;
        };

        $shop->{pause} = 0.01;
        $shop->buy(40, "$what: in peace");
        $shop->credited("$what: in peace");

        my $before = $busy->();

        $t->redis_stall;
        $shop->buy(120, "$what: Redis stalls");
        ok($t->wait_for(sub { $busy->() > $before }, 5),
           "$what: more than the caps allow");
        ok($t->wait_for(sub { $shop->metric('spooled_total') > 0 }, 5),
           "$what: goes to the spool") if $spool;
        $t->redis_go;
        $shop->credited("$what: Redis stalled");
        is($shop->metric('observed_total'),
           $shop->metric('observed_credited_total')
           + $shop->metric('observed_duplicates_total'),
           "$what: each is decided");
    }
}

done_testing();
