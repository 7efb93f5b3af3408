#!/usr/bin/perl

# Observing while Redis is a replica, asks for a password, or has no memory
# left: a real one, told so.  Each event is credited once when that is over,
# from the ring alone and with a spool.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Shop;
use Test::More;

my @master = ('127.0.0.1', 1);              # which is not there

my @states = (
    [ 'a replica', qr/READONLY/,
      sub { $_[0]->call('REPLICAOF', @master) },
      sub { $_[0]->call('REPLICAOF', 'NO', 'ONE') } ],
    [ 'a replica without its master', qr/MASTERDOWN|READONLY/,
      sub { $_[0]->call('CONFIG', 'SET', 'replica-serve-stale-data', 'no');
            $_[0]->call('REPLICAOF', @master) },
      sub { $_[0]->call('REPLICAOF', 'NO', 'ONE') } ],
    [ 'a password', qr/NOAUTH/,
      sub { $_[0]->call('CONFIG', 'SET', 'requirepass', 'secret');
            $_[0]->call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes') },
      sub { $_[0]->call('CONFIG', 'SET', 'requirepass', '') } ],
    [ 'no memory', qr/OOM/,
      sub { $_[0]->call('CONFIG', 'SET', 'maxmemory', '1mb') },
      sub { $_[0]->call('CONFIG', 'SET', 'maxmemory', '0') } ],
);

for my $spool ('', 'loyalty_spool path=%%TESTDIR%%/spool max=1m;') {
    my $with = $spool ? 'with a spool' : 'from the ring';
    my $t = Loyalty::Shop->start(http => $spool);
    my $shop = Loyalty::Shop->new($t);

    $shop->{pause} = 0.02;
    $shop->buy(20, "$with: in peace");
    $shop->credited("$with: in peace");

    for (@states) {
        my ($state, $error, $begin, $end) = @$_;
        my $name = "$with: $state";
        my $spooled = $spool ? $shop->metric('spooled_total') : 0;

        $begin->($t->redis);
        $shop->buy(60, $name);
        ok($t->wait_for(sub { $spool
            ? $shop->metric('spooled_total') >= $spooled + 60
            : $shop->metric('ring_used_slots') == 60 }, 15), "$name: they wait");
        ok($t->wait_log($error), "$name: it is told");
        $end->($t->redis);
        $shop->credited($name);
    }

    is($shop->metric(observed_refused_total => 'reason="failed"'), 0,
       "$with: none is given up");
    is($shop->metric(observed_dropped_total => "reason=\"$_\""), 0,
       "$with: none is dropped as $_") for qw(ring_full damaged);
}

done_testing();
