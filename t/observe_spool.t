#!/usr/bin/perl

# The spool: what Redis does not take goes from the ring to files and comes
# back, each event once, whatever happens to workers meanwhile.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Shop;
use Test::More;
use Time::HiRes qw(sleep);

my $t = Loyalty::Shop->start(http => <<'END');
loyalty_ring  zone=seen:256k;
loyalty_spool path=%%TESTDIR%%/spool max=1m;
END

my $shop = Loyalty::Shop->new($t);


$shop->buy(100, 'in peace');
$shop->credited('in peace');
is_deeply([glob $t->dir . '/spool/*'], [], 'nothing touches the disk');
is((stat $t->dir . '/spool')[2] & 0777, 0700, 'whose directory is private');


# ---- Redis goes ----

$t->redis_kill;
$shop->buy(400, 'Redis is killed');
$shop->settled('Redis is killed');
is($shop->metric('spooled_total'), 400, 'all went to the spool');

my @files = $shop->files;
my $bytes = 0;
$bytes += -s for @files;
cmp_ok(scalar @files, '>', 0, 'in files');
is($shop->metric('spool_bytes'), $bytes, 'of that size');
is((stat $files[0])[2] & 0777, 0600, 'which are private');

$t->redis_start;
$shop->credited('Redis is killed');
is($shop->metric('spool_replayed_total'), 400, 'all came back');
is_deeply([$shop->files], [], 'the files are gone');
ok($t->log =~ /\[warn\].*observed events wait for redis/, 'this was told');

# what is new comes beside what is old
{
    my @ids;
    my $sock = $t->connect;

    $t->redis_stall;

    for my $i (1 .. 90) {
        print {$sock} "GET /buy?m=order&o=$i HTTP/1.1\r\nHost: x\r\n\r\n";
        $sock->flush;
        sleep 0.03;

        # however busy the machine is, what waits ends in files
        if ($i == 80) {
            $t->wait_for(sub { $shop->metric('spooled_total') > 400 });
            $t->redis_go;
        }
    }

    ok($t->wait_for(sub {
        @ids = eval { map { $_->{id} } @{$t->history('order', 'limit=100')
                                         ->json->{history}} };
        return @ids == 90 }), 'all are there');
    # what is sent in the moment in which Redis is back may overtake
    is_deeply([sort { $a <=> $b } @ids], [1 .. 90], 'each once');
    cmp_ok($shop->metric('spooled_total'), '>', 400,
           'though some were spooled');
}


# ---- reloads, and workers that go ----

my $spooled = $shop->metric('spooled_total');

$t->redis_kill;
$shop->buy(200, 'before reloads');
$shop->settled('before reloads');
ok($t->reload(wait => 1), 'reload');
$shop->buy(200, 'between reloads');
ok($t->reload(wait => 1), 'reload');
$shop->settled('after reloads');
is($shop->metric('spooled_total'), $spooled + 400, 'all were spooled');
is(scalar $shop->files, 1, 'in one file');
$t->redis_start;
$shop->credited('reloads');

for my $signal ('KILL', 'TERM') {
    $t->redis_kill;

    for my $round (1 .. 2) {
        $shop->buy(80, "workers get $signal, round $round");
        $shop->renewed($signal);
    }

    $shop->buy(80, "workers got $signal");
    $t->redis_start;

    # in the midst of the replay
    $spooled = $shop->metric('spool_replayed_total');
    $t->wait_for(sub { $shop->metric('spool_replayed_total') > $spooled });
    $shop->renewed($signal);
    $shop->credited("workers get $signal");
}

is($shop->metric(observed_dropped_total => "reason=\"$_\""), 0,
   "nothing was dropped as $_") for qw(ring_full spool_full damaged);

done_testing();
