#!/usr/bin/perl

# The spool at its limits: full, slow, too late, and shared.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::FakeRedis;
use Loyalty::Shop;
use Test::More;
use Time::HiRes qw(sleep);

my $HTTP = <<'END';
loyalty_ring  zone=seen:64k;
loyalty_spool path=%%TESTDIR%%/spool max=64k;
END


# ---- two nginx with one spool, and a program that is not observed ----

{
    my $t = Loyalty::Shop->start(http => $HTTP);
    my $shop = Loyalty::Shop->new($t);
    my $dir = $t->dir;

    # the other has the same program in the same Redis, and observes nothing
    my $other = Loyalty::Test->new(redis => 0, program => <<"END",
redis unix:$dir/redis.sock timeout=300ms;
wallet points;
earn purchase points 1 per=1.00;
END
        http => "loyalty_spool path=$dir/spool max=64k;");

    $t->redis_kill;
    $shop->buy(80, 'the first of two');
    $shop->settled('the first of two');
    ok(-e "$dir/spool/shop.lock", 'the spool is locked');
    my ($file) = $shop->files;
    $t->redis_start;
    $shop->credited('one of them sends what is there');

    # the first is gone
    sleep 1;
    $t->redis_kill;
    $shop->buy(80, 'before it quits');
    $shop->settled('before it quits');
    ok($t->quit, 'it quits');
    ok(scalar $shop->files, 'and leaves files');
    ok($other->reload(wait => 1), 'the other looks into the directory');
    $t->redis_start;
    ok($other->wait_for(sub { !$shop->files }), 'it sends them');
    $t->start;
    $shop->credited('each of them');
    is($shop->metric('observed_duplicates_total'), 0, 'none twice');
}


done_testing();
