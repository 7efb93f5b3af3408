#!/usr/bin/perl

# loyalty_lookup_cache: what is known of a member is known to all workers for
# a while, Redis asked or not, over a reload, and never for longer.

use strict;
use warnings;

use FindBin;
use Time::HiRes qw(time sleep);
use lib "$FindBin::Bin/lib";

use Loyalty::FakeRedis;
use Loyalty::Test;
use Test::More;

my $t = Loyalty::Test->new(start => 0, workers => 2, program => <<'END',
redis     unix:%%TESTDIR%%/fake.sock;
wallet    points;
tier      bronze 0;
tier      silver 10;
earn      purchase points 1 per=1.00;
challenge cups { on purchase; goal 5; }
streak    days { on purchase; every day; }
END
    http => <<'END',
loyalty_lookup_cache zone=members:1m;
loyalty_lookup_cache zone=few:32k;
END
    server => <<'END');
add_header X-Known "$loyalty_status|$loyalty_tier|$loyalty_balance_points|$loyalty_challenge_cups|$loyalty_streak_days";
add_header X-Worker $pid;
root %%TESTDIR%%;

location /long/ {
    loyalty_lookup shop member=$arg_m timeout=500ms cache=members:1m;
    try_files /page.html =404;
}
location /short/ {
    loyalty_lookup shop member=$arg_m timeout=500ms cache=members:300ms;
    try_files /page.html =404;
}
location /none/ {
    loyalty_lookup shop member=$arg_m timeout=500ms;
    try_files /page.html =404;
}
location /few/ {
    loyalty_lookup shop member=$arg_m timeout=500ms cache=few:1m;
    try_files /page.html =404;
}
END

$t->write_file('page.html', "a page\n");

my $fake = Loyalty::FakeRedis->new($t, [
    [ qr/^GET .*m:3:err/, SEND => "-ERR no\r\n", times => 2 ],
    [ qr/^GET .*m:4:late/, PAUSE => 0.7, FORWARD => 1, times => 1 ],
    [ qr/^GET .*m:3:bad/, SEND => "\$1\r\nx\r\n", times => 2 ],
]);
$t->start;

my $seen = 0;


sub known {
    my ($uri) = @_;
    my $r = $t->get($uri);

    is($r->status . $r->body, "200a page\n", "$uri: the page");

    return $r->header('X-Known');
}


# how often Redis was asked for a member since
sub asked {
    my $now = () = $fake->commands(qr/^GET /);
    my $n = $now - $seen;
    $seen = $now;
    return $n;
}


sub buy {
    my ($member, $amount) = @_;

    return $t->event({ id => "$member-$amount", member => $member,
                       type => 'purchase', amount => $amount })->status;
}


is(buy('ada', '12.00'), 200, 'a purchase');
is(buy('bob', '3.00'), 200, 'another');
asked();


# ---- asked once ----

is(known('/long/?m=ada'), 'ok|silver|12|1/5|1', 'the first asks');
is(known('/long/?m=ada'), 'hit|silver|12|1/5|1', 'the second need not');
is(known('/long/?m=bob'), 'ok|bronze|3|1/5|1', 'somebody else');
is(asked(), 2, 'Redis was asked once for each');

is(known('/long/?m=new'), 'ok|bronze|0|0/5|0', 'one who was never seen');
is(known('/long/?m=new'), 'hit|bronze|0|0/5|0', 'is known, too');
is(asked(), 1, 'Redis was asked once');

is(known('/none/?m=ada'), 'ok|silver|12|1/5|1', 'a lookup without a cache');
is(asked(), 1, 'asks');
is(known('/long/'), 'none||||', 'nobody');

# every worker has it
my %worker;

for (1 .. 200) {
    my $r = $t->get('/long/?m=ada');
    $worker{$r->header('X-Worker')}++ if $r->header('X-Known') =~ /^hit/;
    last if keys %worker == 2;
}

is(scalar(keys %worker), 2, 'both workers know');
is(asked(), 0, 'and did not ask');


# ---- how long ----

is(buy('ada', '5.00'), 200, 'a purchase');
is(known('/long/?m=ada'), 'hit|silver|12|1/5|1', 'what was known is shown');
sleep 0.3;
is(known('/short/?m=ada'), 'ok|silver|17|2/5|1', 'not where that is too old');
is(asked(), 1, 'Redis was asked');
is(known('/long/?m=ada'), 'hit|silver|17|2/5|1', 'then others know');

# it grows: a purchase makes the value longer than its place was
is(known('/short/?m=cy'), 'ok|bronze|0|0/5|0', 'an empty account');
is(buy('cy', '10.00'), 200, 'a purchase');
sleep 0.3;
is(known('/short/?m=cy'), 'ok|silver|10|1/5|1', 'and a longer value');
ok($t->wait_for(sub { $t->get('/short/?m=cy')->header('X-Known')
                      eq 'hit|silver|10|1/5|1' }), 'is kept as well');


# ---- what failed is not kept ----

asked();
is(known('/long/?m=err'), 'failed||||', 'an error');
is(known('/long/?m=err'), 'failed||||', 'is not kept');
is(known('/long/?m=err'), 'ok|bronze|0|0/5|0', 'when it is over');
is(known('/long/?m=bad'), 'failed||||', 'a damaged value');
is(known('/long/?m=bad'), 'failed||||', 'is not kept');
is(known('/long/?m=late'), 'timeout||||', 'a timeout');
sleep 0.3;
is(known('/long/?m=late'), 'ok|bronze|0|0/5|0', 'is not kept');
is(asked(), 7, 'asked each time');


# ---- a reload ----

is(known('/long/?m=ada'), 'hit|silver|17|2/5|1', 'before a reload');
ok($t->reload(wait => 1), 'reload');
is(known('/long/?m=ada'), 'hit|silver|17|2/5|1', 'after it');
is(asked(), 0, 'nobody asked');

my $program = $t->read_file('program.conf');
$t->write_file('program.conf', $program =~ s/silver 10/silver 20/r);
ok($t->reload(wait => 1), 'another program');
is(known('/long/?m=ada'), 'ok|bronze|17|2/5|1', 'asks anew');
is(asked(), 1, 'once');

my $other = Loyalty::FakeRedis->new($t, [], name => 'other');
$t->write_file('program.conf', $program =~ s/fake\.sock/other.sock/r);
ok($t->reload(wait => 1), 'another Redis');
is(known('/long/?m=ada'), 'ok|silver|17|2/5|1', 'is asked anew');
is(scalar(() = $other->commands(qr/^GET /)), 1, 'once');
is(asked(), 0, 'and the other is not');

$t->write_file('program.conf', $program);
ok($t->reload(wait => 1), 'back');
is(known('/long/?m=ada'), 'hit|silver|17|2/5|1', 'is still known');

my $conf = $t->read_file('nginx.conf');
$t->write_file('nginx.conf', $conf =~ s/zone=members:1m/zone=members:2m/r);
ok($t->reload(wait => 1), 'another size');
is(known('/long/?m=ada'), 'ok|silver|17|2/5|1', 'begins empty');
is(known('/long/?m=ada'), 'hit|silver|17|2/5|1', 'and works');
asked();


# ---- full ----

my $long = 'm' x 100;

known('/few/?m=ada');

for my $i (1 .. 300) {
    my $r = $t->get("/few/?m=$long-$i");
    fail("member $i") if $r->header('X-Known') ne 'ok|bronze|0|0/5|0';
    $t->get('/few/?m=ada') if $i % 10 == 0;
}

is(known('/few/?m=ada'), 'hit|silver|17|2/5|1', 'who comes often stays');
is(known("/few/?m=$long-300"), 'hit|bronze|0|0/5|0', 'so does the newest');
is(known("/few/?m=$long-1"), 'ok|bronze|0|0/5|0', 'the oldest is gone');
is(asked(), 302, 'asked once each');

# a value of another size finds room as well
is(buy('dan', '10.00'), 200, 'a purchase');
ok($t->wait_for(sub { $t->get('/few/?m=dan')->header('X-Known')
                      eq 'hit|silver|10|1/5|1' }), 'of other sizes, too');


# ---- Redis is gone ----

$fake->stop;
$t->redis_stop;
is(known('/long/?m=ada'), 'hit|silver|17|2/5|1', 'Redis is gone');
is(known('/long/?m=bob'), 'unavailable||||', 'and what is not known is not');

my $metrics = $t->metrics;
my %of = map { $_ => $metrics->{
    "nginx_loyalty_lookups_total{program=\"shop\",status=\"$_\"}" } }
    qw(hit ok);
my ($misses, $evictions) = map {
    $metrics->{"nginx_loyalty_lookup_cache_${_}_total{program=\"shop\"}"} }
    qw(misses evictions);

cmp_ok($of{hit}, '>=', 40, 'hits are counted');
cmp_ok($misses, '>', 300, 'misses are counted');
cmp_ok($evictions, '>', 50, 'evictions are counted');
ok($t->quit, 'the end');


# ---- nginx -t ----

sub check {
    my ($http, $server) = @_;

    return Loyalty::Test->check(program => 'wallet points;', http => $http,
                                server => "\n$server");
}

my $zone = 'loyalty_lookup_cache zone=members:32k;';

for my $cache ('members:1ms', 'members:500ms', 'members:1m') {
    my ($ok, $out) = check($zone, "loyalty_lookup shop member=\$arg_m "
                           . "timeout=5ms phase=preaccess cache=$cache;");
    ok($ok, $cache) or diag($out);
}

for (
    ['loyalty_lookup_cache zone=members;', '', qr/zone=NAME:SIZE.*conf:\d/],
    ['loyalty_lookup_cache zone=:1m;', '', qr/zone=NAME:SIZE/],
    ['loyalty_lookup_cache zone=members:much;', '', qr/zone=NAME:SIZE/],
    ['loyalty_lookup_cache members:1m;', '', qr/zone=NAME:SIZE/],
    ['loyalty_lookup_cache zone=members:4k;', '', qr/too small a cache.*32k/],
    ["$zone $zone", '', qr/duplicate cache "members".*conf:\d/],
    ['limit_req_zone $arg_a zone=members:1m rate=1r/s;' . $zone, '',
     qr/"members" is already.*conf:\d|conflicts.*conf:\d/],
    [$zone, 'cache=member:1s', qr/unknown cache "member".*nginx\.conf:\d/],
    [$zone, 'cache=members', qr/invalid parameter "cache=members".*ZONE:TIME/],
    [$zone, 'cache=:1s', qr/invalid parameter/],
    [$zone, 'cache=members:0', qr/invalid parameter "cache=members:0"/],
    [$zone, 'cache=members:61s', qr/invalid parameter/],
    [$zone, 'cache=members:1s cache=members:2s', qr/invalid parameter/],
) {
    my ($http, $cache, $want) = @$_;
    my ($ok, $out) = check($http, $cache
                           && "loyalty_lookup shop member=\$arg_m $cache;");

    ok(!$ok, "$http $cache: refused");
    like($out, $want, "$http $cache: the reason");
}


done_testing();
