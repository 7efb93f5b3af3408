#!/usr/bin/perl

# The spool at its limits: slow, too late, and shared.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::FakeRedis;
use Loyalty::Shop;
use Test::More;
use Time::HiRes qw(sleep);

my $HTTP = <<'END';
loyalty_ring  zone=seen:256k;
loyalty_spool path=%%TESTDIR%%/spool max=64k;
END


# ---- a Redis that is slow, but there ----

{
    my $t = Loyalty::Shop->start(http => $HTTP, start => 0,
        redis_to => 'unix:%%TESTDIR%%/fake.sock timeout=500ms');
    my $fake = Loyalty::FakeRedis->new($t, [
        [ qr/^FCALL event_/, PAUSE => 0.015, FORWARD => 1, times => 150 ] ]);

    $t->start;

    my $shop = Loyalty::Shop->new($t);

    $shop->{pause} = 0.03;
    $shop->buy(500, 'Redis is slow');
    cmp_ok($shop->metric('spooled_total'), '>', 0, 'the ring is relieved');
    $shop->credited('Redis is slow', 15);
    is($shop->metric(observed_dropped_total => 'reason="ring_full"'), 0,
       'nothing is dropped');
}


# ---- an event in the spool that Redis fails on ----

{
    my $t = Loyalty::Shop->start(http => $HTTP);
    my $shop = Loyalty::Shop->new($t);
    my $key;

    $t->get('/buy?m=broken&o=b1');
    ok($t->wait_for(sub { ($key) = @{$t->redis->call('KEYS', '*:m:6:broken')};
                          defined $key }), 'a member');
    $t->redis->call('SET', $key, 'rubbish');
    sleep 1;
    $t->redis_kill;
    $t->get('/buy?m=broken&o=b2');
    $shop->settled('a damaged member');
    is(scalar $shop->files, 1, 'whose event is alone in the spool');
    $t->redis_start;
    sleep 1;
    $shop->buy(20, 'others');
    ok($t->wait_for(sub { $shop->sum == 20 }, 5), 'others are not held up');
    cmp_ok($shop->metric('spool_bytes'), '>', 0, 'while it is still there');
    $t->redis->call('DEL', $key);
    $shop->credited('the others');
    ok($t->wait_for(sub { $t->me('broken')->json->{wallets}{points}{balance}
                          == 1 }), 'and so is it, when it can be');
}


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


# ---- two that observe, and both have more than their rings hold ----

{
    my $http = 'loyalty_ring zone=seen:256k; '
             . 'loyalty_spool path=%%TESTDIR%%/spool max=1m;';
    my $t = Loyalty::Shop->start(http => $http);
    my $dir = $t->dir;
    my $other = Loyalty::Shop->start(redis => 0,
        redis_to => "unix:$dir/redis.sock timeout=300ms",
        http => $http =~ s/%%TESTDIR%%/$dir/r);
    my @shops = map { Loyalty::Shop->new($_) } $t, $other;

    $shops[1]{bought} = 10_000;
    $t->redis_kill;

    for my $round (1 .. 15) {
        $_->buy(40, "two without Redis, $round") for @shops;
    }

    is($_->metric(observed_dropped_total => 'reason="ring_full"'), 0,
       'each gets at the spool before its ring is full') for @shops;

    $shops[0]->lost(-600);
    $t->redis_start;
    $shops[0]->credited('the events of both', 20);
    ok($t->wait_for(sub { !-e "$dir/spool/shop.wait" }), 'nobody asks for it');
}


# ---- a worker that is short of file descriptors ----

SKIP: {
    skip 'no prlimit here' if system('prlimit --version >/dev/null 2>&1') != 0;

    my $t = Loyalty::Shop->start(http => $HTTP, workers => 1);
    my $shop = Loyalty::Shop->new($t);

    $t->redis_kill;
    $shop->buy(300, 'before there are none');
    $shop->settled('before there are none');
    cmp_ok(scalar $shop->files, '>', 1, 'files');

    # one is left, for the connection to Redis
    my ($worker) = $t->workers;
    my $free = 0;
    $free++ while -l "/proc/$worker/fd/$free";

    my $limit = sub {
        is(system('prlimit', '--pid', $worker, "--nofile=$_[0]:"), 0,
           "not more than $_[0] descriptors");
    };

    my ($had) = $t->read_file("/../../proc/$worker/limits")
                =~ /^Max open files +(\d+)/m;

    $limit->($free + 1);
    $t->redis_start;
    ok($t->wait_log(qr/open\(\) of a file of the spool .*\(24: /, 5),
       'a file cannot be opened');
    $limit->($had);
    $shop->credited('there are some again');
    is_deeply([$shop->files], [], 'no file was set aside');
}


# ---- too late ----

{
    my $t = Loyalty::Shop->start(http => $HTTP,
                                 rules => "max_event_age 2s;\n");
    my $shop = Loyalty::Shop->new($t);

    $t->redis_kill;
    $shop->buy(20, 'too early');
    sleep 2.5;
    $shop->buy(20, 'not too early');
    $t->redis_start;
    $shop->lost(20);
    $shop->credited('what is not too old');
    is($shop->metric(observed_refused_total => 'reason="too_old"'), 20,
       'what is too old is counted');
    ok($t->log =~ /of member "m\d" is given up, reason: too_old, \d+ more/,
       'and told');
}

done_testing();
