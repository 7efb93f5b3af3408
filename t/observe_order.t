#!/usr/bin/perl

# What waited comes back in the order in which it was observed, whichever of
# many workers saw it, and whichever of them wrote it to the spool.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Shop;
use Test::More;

my $ROUNDS = 4;
my $EVENTS = 60;

my $t = Loyalty::Shop->start(workers => 6, http => <<'END');
loyalty_ring  zone=seen:256k;
loyalty_spool path=%%TESTDIR%%/spool max=1m;
END

my $shop = Loyalty::Shop->new($t);
my $seen = 0;


for my $round (1 .. $ROUNDS) {
    my $first = $round * 100;
    my @ids;

    # one after the other, each over a connection of its own: what the worker
    # that writes saw first is seldom what was observed first; a response is
    # out before its request is observed, so the next one waits for that
    $t->redis_kill;

    for my $id ($first .. $first + $EVENTS - 1) {
        $t->get("/buy?m=m$round&o=$id");
        $seen++;
        $t->wait_for(sub { $shop->metric('observed_total') == $seen });
    }

    $shop->settled("round $round");
    $t->redis_start;

    $t->wait_for(sub {
        my $r = eval { $t->history("m$round", 'limit=100') };

        @ids = reverse map { $_->{id} } @{($r && $r->json // {})->{history}
                                          // []};
        return @ids == $EVENTS });
    is_deeply(\@ids, [$first .. $first + $EVENTS - 1],
              "round $round: in order");
}

is($shop->metric('spooled_total'), $ROUNDS * $EVENTS, 'by way of the spool');

done_testing();
