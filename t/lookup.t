#!/usr/bin/perl

# loyalty_lookup: what the backend, the page, the log and limits know of the
# member; once a request, wherever it ends.

use strict;
use warnings;

use FindBin;
use IO::Socket::INET;
use lib "$FindBin::Bin/lib";

use Loyalty::FakeRedis;
use Loyalty::H2;
use Loyalty::Test;
use Test::More;

my $program = <<'END';
redis     unix:%%TESTDIR%%/fake.sock;
money     EUR 2;
wallet    points negative=on;
wallet    Air-miles;
tier      bronze 0;
tier      silver 10;
earn      purchase points 1 per=1.00;
earn      trip Air-miles 7;
challenge big { on purchase; goal 50.00 of amount; every day; }
challenge five-cups { on purchase; goal 5; }
challenge offer {
    on purchase; opens_on offer; goal 2; window 1d;
}
streak    Days { on purchase; every day; }
END

my $lua = Loyalty::Test->lua_modules;

my $t = Loyalty::Test->new(start => 0,
    program => $program,
    modules => ($lua // '') . 'load_module %%MODULE%%;',
    files => { 'page.html' => "static page\n",
               'ssi.html' => '<!--# echo var="loyalty_status" -->,'
                   . '<!--# echo var="loyalty_balance_points" -->,'
                   . '<!--# echo var="loyalty_balance_nothing" -->,'
                   . '<!--# include virtual="/part" -->,'
                   . '<!--# include virtual="/looked/part" -->' },
    http => <<'END',
log_format look '$request_uri $status [$loyalty_status|$loyalty_member|$loyalty_tier|$loyalty_balance_points]';
access_log %%TESTDIR%%/look.log look;

map $loyalty_tier $greeting {
    default  "stranger";
    bronze   "friend";
    silver   "dear friend";
}
map $loyalty_tier $limited {
    default  "";
    bronze   $loyalty_member;
}
limit_req_zone $limited zone=limited:1m rate=1r/m;
END
    server => <<'END',
listen 127.0.0.1:%%PORT_h2%% http2;
root %%TESTDIR%%;
ssi_types text/plain;

set $late "";

location /back {
    return 200 "$request_method $http_x_status|$http_x_member|$http_x_tier|$http_x_points|$http_x_miles|$http_x_big|$http_x_five|$http_x_offer|$http_x_days|$http_x_greeting\n";
}
location /body { return 200 "$http_x_status $content_length\n"; }

location /proxy/ {
    loyalty_lookup shop member=$arg_m timeout=2s;
    proxy_set_header X-Status   $loyalty_status;
    proxy_set_header X-Member   $loyalty_member;
    proxy_set_header X-Tier     $loyalty_tier;
    proxy_set_header X-Points   $loyalty_balance_points;
    proxy_set_header X-Miles    $loyalty_balance_air_miles;
    proxy_set_header X-Big      $loyalty_challenge_big;
    proxy_set_header X-Five     $loyalty_challenge_five_cups;
    proxy_set_header X-Offer    $loyalty_challenge_offer;
    proxy_set_header X-Days     $loyalty_streak_days;
    proxy_set_header X-Greeting $greeting;
    proxy_pass http://127.0.0.1:%%PORT%%/back;
}
location /post/ {
    loyalty_lookup shop member=$arg_m timeout=2s;
    proxy_set_header X-Status $loyalty_status;
    proxy_pass http://127.0.0.1:%%PORT%%/body;
}
location = /page.html {
    loyalty_lookup shop member=$arg_m timeout=2s;
    add_header X-Tier $loyalty_tier;
}
location = /ssi.html {
    loyalty_lookup shop member=$arg_m timeout=2s;
    ssi on;
}
location = /part { ssi on; try_files /none /part.txt =404; }
location = /looked/part {
    ssi on;
    loyalty_lookup shop member=nobody-$arg_m;
    try_files /none /part.txt =404;
}

# the member of loyalty_member
location /own/ {
    loyalty_lookup shop timeout=2s;
    loyalty_member $arg_m;
    add_header X-Tier $loyalty_tier;
    try_files /page.html =404;
}

# before and after the lookup
location /early/ {
    loyalty_lookup shop member=$arg_m timeout=2s;
    set $late "$loyalty_tier-$loyalty_status";
    add_header X-Early $late;
    add_header X-Late "$loyalty_tier-$loyalty_status";
    try_files /page.html =404;
}

# redirected
location /try/ {
    loyalty_lookup shop member=$arg_m timeout=2s;
    try_files /none @named;
}
location @named {
    add_header X-Tier   $loyalty_tier always;
    add_header X-Member $loyalty_member always;
    return 404;
}
location /error/ {
    loyalty_lookup shop member=$arg_m timeout=2s;
    error_page 404 /after/x;
}
location /after/ {
    loyalty_lookup shop member=$http_x_other timeout=2s;
    add_header X-Tier "$loyalty_tier $loyalty_balance_points" always;
    try_files /page.html =404;
}
location /mirrored/ {
    loyalty_lookup shop member=$arg_m timeout=2s;
    mirror /mirror;
    try_files /page.html =404;
}
location /mirror {
    loyalty_lookup shop member=$arg_m timeout=2s;
    try_files /page.html =404;
}

# refused first
location /denied/ {
    loyalty_lookup shop member=$arg_m timeout=2s;
    deny all;
}
location /limit/ {
    loyalty_lookup shop member=$arg_m timeout=2s phase=preaccess;
    limit_req zone=limited;
    limit_req_status 429;
    try_files /page.html =404;
}
location /api/ {
    location /api/a/ { loyalty_event_api shop trusted; }
    location /api/b/ {
        loyalty_lookup shop member=$arg_m timeout=2s phase=preaccess;
        loyalty_member $arg_m;
        loyalty_member_api shop;
        add_header X-Tier "$loyalty_tier $loyalty_member" always;
    }
    loyalty_lookup shop member=$arg_m timeout=2s;
}
location /off/ {
    loyalty_lookup off;
    add_header X-Tier "[$loyalty_tier]";
    try_files /page.html =404;
}
END
);

if ($lua) {
    my $conf = $t->read_file('nginx.conf');
    $conf =~ s/^(\s*)location \/off\/ \{/
        location \/lua\/ {
            loyalty_lookup shop member=\$arg_m timeout=2s;
            content_by_lua_block {
                ngx.print(ngx.var.loyalty_tier, ngx.var.loyalty_balance_points,
                          tostring(ngx.var.loyalty_balance_none))
            }
        }
        $&/m;
    $t->write_file('nginx.conf', $conf);
}

my $fake = Loyalty::FakeRedis->new($t, []);
$t->start;

my $seen = 0;


# how often Redis was asked for a member since
sub asked {
    my $now = () = $fake->commands(qr/^GET /);
    my $n = $now - $seen;
    $seen = $now;
    return $n;
}


sub buy {
    my ($member, $amount, $type) = @_;

    return $t->event({ id => "$member-$amount", member => $member,
                       type => $type // 'purchase', amount => $amount })
             ->status;
}


is(buy('ada', '12.00'), 200, 'a purchase');
is(buy('ada', '0.50', 'trip'), 200, 'a trip');
is(buy('ada', '0.10', 'offer'), 200, 'an offer');
is(buy('ada', '30.25'), 200, 'another purchase');
is(buy('bob', '3.00'), 200, 'somebody else');
asked();


# ---- everything that is known ----

my $known = "GET ok|ada|silver|42|7|42.25/50.00|2/5|1/2|1|dear friend\n";

is($t->get('/proxy/?m=ada')->body, $known, 'to a backend');
is(asked(), 1, 'asked once');
is($t->get('/proxy/?m=bob')->body,
   "GET ok|bob|bronze|3|0|3.00/50.00|1/5||1|friend\n", 'of somebody else');
is($t->get('/proxy/?m=new')->body,
   "GET ok|new|bronze|0|0|0.00/50.00|0/5||0|friend\n",
   'of one who was never seen');
asked();

is($t->get('/proxy/')->body, "GET none|||||||||stranger\n", 'of nobody');
is($t->get('/proxy/?m=' . 'x' x 129)->body,
   "GET invalid|||||||||stranger\n", 'of an id that is none');
is(asked(), 0, 'Redis is not asked');

my $r = $t->get('/page.html?m=ada');
is($r->body . $r->header('X-Tier'), "static page\nsilver", 'a file');
$r = $t->get('/own/?m=bob');
is($r->body . $r->header('X-Tier'), "static page\nbronze",
   'the member of loyalty_member');
is($t->request('HEAD', '/page.html?m=bob')->header('X-Tier'), 'bronze',
   'HEAD');
is(asked(), 3, 'asked once each');

# 100 kB go through a temporary file
for my $size (0, 10, 100_000) {
    is($t->post('/post/?m=ada', 'x' x $size)->body, "ok $size\n",
       "a body of $size bytes");
}
asked();


# ---- subrequests, redirects ----

$t->write_file('part.txt', '<!--# echo var="loyalty_tier" --> '
                           . '<!--# echo var="loyalty_member" -->');
is($t->get('/ssi.html?m=ada')->body,
   'ok,42,(none),silver ada,silver ada', 'SSI');
is(asked(), 1, 'subrequests do not ask');

is($t->get('/mirrored/?m=ada')->status, 200, 'with a mirror');
is(asked(), 1, 'which does not ask');

$r = $t->get('/try/?m=ada');
is($r->header('X-Tier') . $r->header('X-Member'), 'silverada', 'try_files');
is(asked(), 1, 'asked once');

is($t->get('/error/x?m=ada')->header('X-Tier'), '',
   'a location with a lookup of its own, of nobody');
is(asked(), 1, 'asked once');
is($t->get('/error/x?m=ada', headers => { 'X-Other' => 'bob' })
       ->header('X-Tier'), 'bronze 3',
   'a location with a lookup of its own');
is(asked(), 2, 'asked twice');

$r = $t->get('/early/?m=ada');
is($r->header('X-Early'), '-', 'nothing is known in the rewrite phase');
is($r->header('X-Late'), 'silver-ok', 'and that does not stay');

is($t->get('/denied/?m=ada')->status, 403, 'denied');
asked();
is($t->get('/denied/?m=ada')->status, 403, 'denied');
is(asked(), 0, 'before anybody asks');

is($t->get('/off/?m=ada')->header('X-Tier'), '[]', 'off');
is(asked(), 0, 'and nobody asks');

is($t->get('/api/a/events?m=ada')->status, 405, 'an API');
is(asked(), 0, 'does not inherit it');
is($t->get('/api/b/me?m=bob')->header('X-Tier'), 'bronze bob',
   'an API with a lookup of its own');
is(asked(), 2, 'which asks as well');

is(join(' ', map { $t->get('/limit/?m=bob')->status } 1 .. 2), '200 429',
   'limits by tier');
is(join(' ', map { $t->get('/limit/?m=ada')->status } 1 .. 3), '200 200 200',
   'not for silver');
is(asked(), 5, 'asked each time');


# ---- HTTP/2, many at once, kept connections ----

my $sock = IO::Socket::INET->new(
    PeerAddr => '127.0.0.1:' . $t->port('h2')) or die "connect: $!";
my $h2 = Loyalty::H2->new($sock);
my @ids = map { $h2->request('GET', "/proxy/?m=$_") } ('ada', 'bob') x 10;

is((grep { $_->{status} == 200 } map { $h2->response($_) } @ids), 20,
   'HTTP/2: many at once');
is($h2->response($h2->request('GET', '/proxy/?m=ada'))->{body}, $known,
   'HTTP/2: to a backend');

my $two = join '', map { "GET /proxy/?m=$_ HTTP/1.1\r\nHost: x\r\n"
                         . ($_ eq 'ada' ? "Connection: close\r\n" : '')
                         . "\r\n" } 'bob', 'ada';
like($t->raw($two)->raw . '', qr/ok\|bob/, 'requests behind one another');

my @many = $t->parallel(map { ['GET', '/proxy/?m=ada'] } 1 .. 50);
is((grep { $_->body eq $known } @many), 50, 'many connections');

SKIP: {
    skip('no Lua module', 1) if !$lua;
    is($t->get('/lua/?m=ada')->body, 'silver42nil', 'Lua');
}


# ---- the log ----

my $log = $t->read_file('look.log');
like($log, qr{^/proxy/\?m=ada 200 \[ok\|ada\|silver\|42\]$}m, 'logged');
like($log, qr{^/proxy/ 200 \[none\|\|\|\]$}m, 'logged: nobody');
like($log, qr{^/error/x\?m=ada 404 \[ok\|bob\|bronze\|3\]$}m, 'logged: redirected');
like($log, qr{^/try/\?m=ada 404 \[ok\|ada\|silver\|42\]$}m,
     'logged: where no member is named');
like($log, qr{^/denied/\?m=ada 403 \[\|ada\|\|\]$}m, 'logged: denied');
like($log, qr{^/off/\?m=ada 200 \[\|\|\|\]$}m, 'logged: off');


# ---- a value that is damaged ----

my ($key) = grep { /:m:3:ada$/ } @{$t->redis->call('KEYS', '*')};
$t->redis->call('SET', $key, 'x');
is($t->get('/proxy/?m=ada')->body, "GET failed|ada||||||||stranger\n",
   'a damaged value');
like($t->log, qr/\[error\].*value of member "ada" in Redis is damaged/,
     'is logged');


# ---- nginx -t ----

sub check {
    my ($server, $program) = @_;

    return Loyalty::Test->check(program => $program // 'wallet points;
        wallet a-b; wallet x-y; wallet x_y; challenge c { on a; goal 1; }
        streak s { on a; every day; }', server => "\n$server");
}

my $lookup = 'loyalty_lookup shop member=$arg_m;';

for my $server (
    $lookup, 'loyalty_lookup shop member=a$arg_m timeout=5ms phase=preaccess;',
    'loyalty_lookup off;', 'loyalty_member $arg_m; loyalty_lookup shop;',
    "$lookup location /a { add_header X \$loyalty_balance_a_b; }",
    "$lookup location /a { add_header X \$loyalty_streak_s; }",
    "$lookup location /a { add_header X \$loyalty_challenge_c; }",
    'location /a { add_header X $loyalty_member; }',
) {
    my ($ok, $out) = check($server);
    ok($ok, $server) or diag($out);
}

for (['20', qr/\[warn\].*lets a request wait for Redis for 20 s: .*conf:\d+$/m],
     ['20ms', qr/^(?!.*\[warn\])/s])
{
    my ($timeout, $want) = @$_;
    my ($ok, $out) = check("loyalty_lookup shop member=\$arg_m "
                           . "timeout=$timeout;");

    ok($ok, "timeout=$timeout");
    like($out, $want, "timeout=$timeout: what is said of it");
}

for (
    ['loyalty_lookup shoe member=$arg_m;',
     qr/unknown program "shoe" in "loyalty_lookup".*nginx\.conf:\d+/],
    ['loyalty_lookup shop;',
     qr/needs "member=", or a "loyalty_member".*nginx\.conf:\d+/],
    ['loyalty_lookup shop member=ada;', qr/"ada" for everybody.*\.conf:\d/],
    ['loyalty_lookup shop member=;', qr/for everybody/],
    ["loyalty_lookup shop member=\$arg_m member=\$arg_m;",
     qr/invalid parameter "member=\$arg_m"/],
    ['loyalty_lookup shop member=$arg_m timeout=0;',
     qr/invalid parameter "timeout=0".*1ms to 1m/],
    ['loyalty_lookup shop member=$arg_m timeout=2m;',
     qr/invalid parameter "timeout=2m"/],
    ['loyalty_lookup shop member=$arg_m phase=access;',
     qr/invalid parameter "phase=access"/],
    ['loyalty_lookup shop member=$arg_m timeout=9ms timeout=8ms;',
     qr/invalid parameter "timeout=8ms".*once each/],
    ['loyalty_lookup shop member=$arg_m phase=preaccess phase=precontent;',
     qr/invalid parameter "phase=precontent"/],
    ['loyalty_lookup shop member=$arg_m late;',
     qr/invalid parameter "late"/],
    ["$lookup $lookup", qr/"loyalty_lookup" directive is duplicate/],
    ["$lookup location /a { add_header X \$loyalty_balance_stars; }",
     qr/"loyalty_balance_stars" is used, and no program/],
    ["$lookup location /a { add_header X \$loyalty_balance_; }",
     qr/"loyalty_balance_" is used, and no program/],
    ["$lookup location /a { add_header X \$loyalty_streak_c; }",
     qr/"loyalty_streak_c" is used, and no program/],
    ["$lookup location /a { add_header X \$loyalty_challenge_s; }",
     qr/"loyalty_challenge_s" is used, and no program/],
    ["$lookup location /a { add_header X \$loyalty_tier; }",
     qr/"loyalty_tier" is used, and no program/],
    ["$lookup location /a { add_header X \$loyalty_balance_x_y; }",
     qr/"loyalty_balance_x_y" is used, and stands for several names/],
    ['location /a { add_header X $loyalty_balance_a_b; }',
     qr/"loyalty_balance_a_b" is used, and no program/],
    ['location /a { add_header X $loyalty_status; }',
     qr/"loyalty_status" is used, and no program/],
    ['location /a { add_header X $loyalty_quest_a; }',
     qr/unknown "loyalty_quest_a" variable/],
) {
    my ($server, $want) = @$_;
    my ($ok, $out) = check($server);

    ok(!$ok, "$server: refused");
    like($out, $want, "$server: the reason");
}


done_testing();
