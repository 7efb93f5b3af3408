#!/usr/bin/perl

# Two nginx that share a spool's directory by mistake: programs of one name in
# different Redis.  What was observed for one is never credited in the other.
# And a Redis whose data is gone, or that another one takes the place of.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp qw(tempdir);
use Loyalty::Test;
use Test::More;

my $dir = tempdir(CLEANUP => 1);
chmod 0755, $dir;

my $alert = qr/\[alert\].* observed events in "\S+" are another redis's.* delete "\S+\/shop\.store"/;


sub shop {
    my (%more) = @_;

    return Loyalty::Test->new(allow => [ $alert ],
        program => <<'END', http => <<"END2", server => <<'END3', %more);
redis unix:%%REDIS%% timeout=300ms;
wallet points;
earn purchase points 1 per=1.00;
END
loyalty_ring  zone=seen:256k;
loyalty_spool path=$dir/spool max=1m;
END2
location = /buy {
    loyalty_observe shop purchase member=$arg_m id=$arg_o amount=1.00;
    return 200 "bought\n";
}
END3
}

my $bought = 0;


sub buy {
    my ($t, $member, $n) = @_;

    return scalar grep { $_->status == 200 }
        map { $t->get("/buy?m=$member&o=" . ++$bought) } 1 .. $n;
}


sub balance {
    my ($t, $member) = @_;

    return eval { $t->me($member)->json->{wallets}{points}{balance} } // -1;
}


sub spooled {
    my ($t, $n) = @_;

    return $t->wait_for(sub {
        $t->metrics->{'nginx_loyalty_spooled_total{program="shop"}'} >= $n });
}

my ($a, $b) = map { shop(redis => { appendonly => $_ }) } 0, 1;
my $store = sub { return $_[0]->redis->call('GET', '{shop}:store') };

ok($_->wait_for(sub { ($store->($_) // '') =~ /^[0-9a-f]{32}$/ }),
   'a Redis has a name') for $a, $b;
isnt($store->($a), $store->($b), 'of its own');
my $name = $store->($a);


# ---- a name that has outlived its files ----

for my $end (1, 0) {
    my $member = "end$end";

    symlink 'e' x 32, "$dir/spool/shop.store" or die "symlink: $!";
    $a->redis_kill;
    is(buy($a, $member, 5), 5, 'Redis is killed');

    if ($end) {
        ok($a->stop, 'nginx stops');
        ok($a->log =~ /: 5 observed events went from the ring/, 'with a spool');

    } else {
        ok(spooled($a, 5), 'what is observed is spooled');
    }

    is(readlink "$dir/spool/shop.store", $name, 'by the right name');
    $a->redis_start;
    $a->redis->call('SET', '{shop}:store', $name);
    $a->start if $end;
    ok($a->wait_for(sub { balance($a, $member) == 5 }), 'and is credited');
    ok($a->wait_for(sub { !-l "$dir/spool/shop.store" }), 'the name goes');
}


# ---- the other one's events ----

$a->redis_kill;
is(buy($a, 'ada', 20), 20, 'Redis A is killed');
ok(spooled($a, 25), 'its events are in the spool');
is(readlink "$dir/spool/shop.store", $name, 'by its name');

$b->reload(wait => 1);
ok($b->wait_log($alert, 60), 'B finds them, and tells');
is(balance($b, 'ada'), 0, 'and credits none');
is(buy($b, 'bea', 5), 5, 'B goes on');
ok($b->wait_for(sub { balance($b, 'bea') == 5 }), 'with its own');

# B has nowhere to put its own
$b->redis_kill;
is(buy($b, 'bea', 5), 5, 'Redis B is killed');
ok($b->wait_log(qr/observed events wait for redis/), 'its events wait');

$a->redis_start;
ok($a->wait_for(sub { balance($a, 'ada') == 20 }), 'A credits what is its own');
is(balance($a, 'bea'), 0, 'and no more');
ok($a->wait_for(sub { (readlink "$dir/spool/shop.store" // '') ne $name }),
   'the spool is not A\'s when it is empty');

$b->redis_start;
ok($b->wait_for(sub { balance($b, 'bea') == 10 }), 'B credits its own');
is(balance($b, 'ada'), 0, 'and no more');
$b->stop;


# ---- a Redis that has lost everything ----

# redis_kill keeps nothing here: there is no file
$a->redis_kill;
buy($a, 'ada', 10);
ok(spooled($a, 35), 'Redis A is killed again');
$a->redis_start;
ok($a->wait_for(sub { balance($a, 'ada') == 10 }),
   'an empty one takes its place, and gets what waits');
is($store->($a), $name, 'with the name');


# ---- another one, while nginx runs: what is being sent comes to nothing ----

my $aof = $a->dir . '/data';
mkdir $aof;
{
    # made beforehand: it has its name from its first moment
    my $sock = $a->dir . '/made.sock';
    my $pid = fork // die "fork: $!";

    exec($ENV{LOYALTY_REDIS_SERVER} || 'redis-server', '--port', 0,
         '--unixsocket', $sock, '--dir', $aof, '--save', '', '--appendonly',
         'yes', '--appendfsync', 'always', '--logfile', '/dev/null') if !$pid;

    $a->guard($pid);
    my $other;
    $a->wait_for(sub { $other = eval { Loyalty::RESP->new("unix:$sock") } });
    $other->call('SET', '{shop}:store', 'e' x 32);
    kill 'KILL', $pid;
    waitpid $pid, 0;
    $a->unguard($pid);
}

my $told = () = $a->log =~ /$alert/g;
$a->redis_kill;
buy($a, 'ada', 10);
ok(spooled($a, 45), 'Redis A is killed once more');
$a->{redis}{args} = ['--dir', $aof, '--appendonly', 'yes'];
$a->redis_start;
is($store->($a), 'e' x 32, 'another one is in its place');
ok($a->wait_for(sub { $told < (() = $a->log =~ /$alert/g) }), 'it is told');
is(buy($a, 'ada', 2), 2, 'what is new');
ok($a->wait_for(sub { balance($a, 'ada') == 2 }), 'is credited, and no more');
$a->redis_kill;
$a->{redis}{args} = [];
$a->redis_start;
$a->redis->call('SET', '{shop}:store', $name);
ok($a->wait_for(sub { balance($a, 'ada') == 10 }, 15),
   'the one whose they are gets them');


# ---- another one, after a restart: the operator decides ----

$a->redis_kill;
buy($a, 'ada', 10);
ok(spooled($a, 55), 'Redis A is killed for good');
ok($a->stop, 'nginx stops');
is(readlink "$dir/spool/shop.store", $name, 'the spool keeps the name');
$a->redis_start;
$a->redis->call('SET', '{shop}:store', 'f' x 32);
$a->start;
ok($a->wait_log($alert), 'another Redis: it is told');
is(balance($a, 'ada'), 0, 'none is credited');
is(buy($a, 'ada', 3), 3, 'what is new');
ok($a->wait_for(sub { balance($a, 'ada') == 3 }), 'is credited');
unlink "$dir/spool/shop.store" or die "unlink: $!";
ok($a->wait_for(sub { balance($a, 'ada') == 13 }, 15),
   'the operator deletes the link: the rest, too');

done_testing();
