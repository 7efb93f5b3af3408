#!/usr/bin/perl

# loyalty_lookup where Redis is away, stalled, slow or breaks off: every page
# is served, the same bytes, in time.

use strict;
use warnings;

use FindBin;
use IO::Socket::INET;
use Time::HiRes qw(time sleep);
use lib "$FindBin::Bin/lib";

use Loyalty::FakeRedis;
use Loyalty::H2;
use Loyalty::Test;
use Test::More;

my $page = join '', map { "line $_ of the page\n" } 1 .. 2000;


sub shop {
    my ($redis, %more) = @_;

    return Loyalty::Test->new(program => <<END, %more,
redis   $redis;
wallet  points;
earn    purchase points 1 per=1.00;
END
        files => { 'page.txt' => $page }, server => <<'END_SERVER');
listen 127.0.0.1:%%PORT_h2%% http2;
root %%TESTDIR%%;

location = /page.txt {
    loyalty_lookup shop member=$arg_m;
    add_header X-Status "$loyalty_status|$loyalty_balance_points";
}
location /patient/ {
    loyalty_lookup shop member=$arg_m timeout=500ms;
    add_header X-Status "$loyalty_status|$loyalty_balance_points";
    try_files /page.txt =404;
}
location /told/ {
    loyalty_lookup shop member=$arg_m timeout=500ms;
    proxy_ignore_client_abort on;
    proxy_set_header X-Status $loyalty_status;
    proxy_pass http://127.0.0.1:%%PORT%%/back;
}
location /early/ {
    loyalty_lookup shop member=$arg_m timeout=500ms phase=preaccess;
    proxy_set_header X-Status $loyalty_status;
    proxy_pass http://127.0.0.1:%%PORT%%/back;
}
location /back { return 200 "$request_method $http_x_status $content_length"; }
END_SERVER
}


sub served {
    my ($t, $status, $name, $uri) = @_;

    my $start = time;
    my $r = $t->get($uri // '/page.txt?m=ada');
    my $took = time - $start;

    is($r->status . ($r->body eq $page), 2001, "$name: the page");
    like($r->header('X-Status'), $status, "$name: what is known");
    cmp_ok($took, '<', 0.3 * $t->slow, "$name: in time") if !defined $uri;

    return;
}


# ---- away ----

my $t = shop('unix:%%TESTDIR%%/nothing.sock');

served($t, qr/^unavailable\|$/, "away, $_") for 1 .. 5;
is($t->post('/early/?m=ada', 'x' x 50_000)->body, 'POST unavailable 50000',
   'away: a body');
$t->stop;


# ---- stalled ----

$t = shop('unix:%%TESTDIR%%/fake.sock', start => 0);
my $fake = Loyalty::FakeRedis->new($t, [
    [ qr/^GET .*m:3:sly/, STALL => 1, times => 100 ],
    [ qr/^GET .*m:3:cut/, CLOSE => 1, times => 100 ],
    [ qr/^GET .*m:3:odd/, SEND => "*1\r\n\$1\r\nx\r\n", times => 100 ],
    [ qr/^GET .*m:3:err/, SEND => "-ERR no\r\n", times => 100 ],
    [ qr/^GET .*m:4:slow/, PAUSE => 0.2, FORWARD => 1, times => 100 ],
    [ qr/^GET .*m:5:bytes/, DRIBBLE => undef, times => 100 ],
]);
$t->start;

is($t->event({ id => 'a', member => 'ada', type => 'purchase',
               amount => '5.00' })->status, 200, 'a purchase');
is($t->event({ id => 'a', member => 'bytes', type => 'purchase',
               amount => '6.00' })->status, 200, 'another');

served($t, qr/^ok\|5$/, 'all is well', '/patient/?m=ada');
served($t, qr/^ok\|6$/, 'byte by byte', '/patient/?m=bytes');
served($t, qr/^unavailable\|$/, 'broken off', '/patient/?m=cut');
ok($t->wait_for(sub {
    $t->get('/patient/?m=ada')->header('X-Status') eq 'ok|5' }),
   'and connected again');
served($t, qr/^failed\|$/, 'an odd reply', '/patient/?m=odd');
served($t, qr/^failed\|$/, 'an error', '/patient/?m=err');
served($t, qr/^ok\|0$/, 'slow', '/patient/?m=slow');
is($t->post('/early/?m=ada', 'x' x 50_000)->body, 'POST ok 50000',
   'a body behind a lookup');

# clients that go away while they wait
my $sock = $t->connect;
syswrite $sock, "GET /patient/?m=slow HTTP/1.1\r\nHost: x\r\n\r\n";
sleep 0.05;
close $sock;

my $h2 = Loyalty::H2->new(IO::Socket::INET->new(
    PeerAddr => '127.0.0.1:' . $t->port('h2')));
my $gone = $h2->request('GET', '/patient/?m=slow');
sleep 0.05;
$h2->reset($gone);
is($h2->response($h2->request('GET', '/patient/?m=ada'))->{status}, 200,
   'others are served');
sleep 0.3;
served($t, qr/^ok\|5$/, 'clients that went away do no harm', '/patient/?m=ada');

# clients that have said all they say, and listen
for (['/patient/?m=slow', "\r\n", qr/^HTTP.1.1 200 .*line 2000 of the page\n\z/s],
     ['/told/?m=slow', "Content-Length: 3\r\n\r\nabc",
      qr/^HTTP.1.1 200 .*\bGET ok 3\z/s])
{
    my ($uri, $rest, $want) = @$_;

    $sock = $t->connect;
    syswrite $sock, "GET $uri HTTP/1.1\r\nHost: x\r\n"
                  . "Connection: close\r\n$rest";
    shutdown $sock, 1;
    like(do { local $/; scalar <$sock> }, $want, "half closed: $uri");
}

# one that waits while its worker is asked to leave
$sock = $t->connect;
syswrite $sock, "GET /patient/?m=slow HTTP/1.1\r\nHost: x\r\n"
              . "Connection: close\r\n\r\n";
sleep 0.05;
ok($t->reload, 'reload');
my $r = Loyalty::HTTP::exchange(10, [$sock, '']);
is($r->status . $r->header('X-Status'), '200ok|0',
   'who waited in the old worker is served');
ok($t->wait_for(sub { $t->workers == 1 }), 'which goes');

# too slow: some wait, then nobody does
served($t, qr/^timeout\|$/, "stalled, $_", '/page.txt?m=sly') for 1 .. 3;
like($t->log, qr/\[warn\].*"shop": Redis was too slow for 3 lookups in a row/,
     'logged');
served($t, qr/^unavailable\|$/, 'nobody waits', '/page.txt?m=ada');

my $start = time;
my @many = $t->parallel(map { ['GET', '/page.txt?m=ada'] } 1 .. 50);
is((grep { $_->body eq $page && $_->header('X-Status') eq 'unavailable|' }
    @many), 50, 'of many either');
cmp_ok(time - $start, '<', 1 * $t->slow, 'and it takes no time');

# the fake one stalls one connection; the next one is as good as new
ok($t->wait_for(sub {
    $t->get('/page.txt?m=ada')->header('X-Status') eq 'ok|5' }, 10),
   'it answers again');
like($t->log, qr/\[notice\].*"shop": Redis answers, lookups wait for it/,
     'logged, too');
served($t, qr/^ok\|5$/, 'and all is well', '/page.txt?m=ada');

my $metrics = $t->metrics;
my %lookups = map { $_ => $metrics->{
    "nginx_loyalty_lookups_total{program=\"shop\",status=\"$_\"}" } }
    qw(ok timeout unavailable failed);
is("$lookups{timeout} $lookups{failed}", '3 2', 'counted');
cmp_ok($lookups{ok}, '>=', 8, 'counted: ok');
cmp_ok($lookups{unavailable}, '>', 50, 'counted: unavailable');

# killed
$fake->stop;
served($t, qr/^unavailable\|$/, 'killed', '/patient/?m=ada');
ok($t->quit, 'and the worker leaves');
unlike($t->log, qr/open socket|\[alert\]/, 'nothing is left open');


# ---- a real one that stalls ----

$t = shop('unix:%%REDIS%%');

is($t->event({ id => 'a', member => 'ada', type => 'purchase',
               amount => '5.00' })->status, 200, 'a purchase');
served($t, qr/^ok\|5$/, 'a real one', '/patient/?m=ada');
$t->redis_stall;
served($t, $_ < 4 ? qr/^timeout\|$/ : qr/^unavailable\|$/, "stalled, $_")
    for 1 .. 8;
$t->redis_go;
ok($t->wait_for(sub {
    $t->get('/page.txt?m=ada')->header('X-Status') eq 'ok|5' }, 10),
   'and goes on');


done_testing();
