#!/usr/bin/perl

# loyalty_lookup in the company of what else nginx does with a request: caches,
# FastCGI, ranges, auth_request, X-Accel-Redirect, fallbacks; and members whose
# ids are meant to do harm.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::FakeRedis;
use Loyalty::FastCGI;
use Loyalty::H2;
use Loyalty::Test;
use Test::More;

my $nginx = $ENV{LOYALTY_NGINX} || 'nginx';
my $slice = `$nginx -V 2>&1` =~ /http_slice_module/
    ? "slice 10; proxy_set_header Range \$slice_range;" : '';

my $back = <<'END';
proxy_cache_path %%TESTDIR%%/cache keys_zone=pages:1m;
large_client_header_buffers 8 32k;

log_format look escape=json '{"status":"$loyalty_status","member":"$loyalty_member","tier":"$loyalty_tier"}';
log_format early '$uri [$loyalty_member]';

limit_req_zone $loyalty_member zone=members:1m rate=1r/m;
limit_req_zone $arg_m zone=often:1m rate=1r/m;

server {
    listen 127.0.0.1:%%PORT_limited%%;
    loyalty_lookup   shop member=$arg_m timeout=2s;
    limit_req_status 429;
    error_page       429 @too_many;

    location / {
        limit_req    zone=often;
        add_header   X-Tier $loyalty_tier;
        root         %%TESTDIR%%;
        try_files    /page =404;
    }
    location @too_many { loyalty_problem rate_limited; }
}

server {
    listen 127.0.0.1:%%PORT_back%%;

    location / {
        return 200 "$uri|$http_x_member|$http_x_tier|$http_x_points\n";
    }
    location /session { add_header X-Who $http_x_session; return 204; }
    location /accel { add_header X-Accel-Redirect /inside/page; return 200; }
    location /accel.named { add_header X-Accel-Redirect @inside; return 200; }
    location /broken { return 500; }
    location /nothing { return 404; }
}
END

my $t = Loyalty::Test->new(start => 0, program => <<'END',
redis     unix:%%TESTDIR%%/fake.sock;
wallet    points;
tier      bronze 0;
tier      silver 10;
earn      purchase points 1 per=1.00;
END
    files => { page => join('', 0 .. 9) x 10 },
    http => $back, server => <<'END' =~ s/SLICE/$slice/r);
listen 127.0.0.1:%%PORT_h2%% http2;
access_log %%TESTDIR%%/early.log early;

proxy_set_header X-Member $loyalty_member;
proxy_set_header X-Tier   $loyalty_tier;
proxy_set_header X-Points $loyalty_balance_points;

# a page for each tier in the cache
location /cached/ {
    loyalty_lookup    shop member=$arg_m timeout=2s;
    proxy_pass        http://127.0.0.1:%%PORT_back%%/;
    proxy_cache       pages;
    proxy_cache_key   "$uri $loyalty_tier";
    proxy_cache_valid 200 1h;
    add_header        X-Cache $upstream_cache_status;
    add_header        X-Tier $loyalty_tier;
}

location /fast {
    loyalty_lookup shop member=$arg_m timeout=2s;
    fastcgi_pass   unix:%%TESTDIR%%/fastcgi.sock;
    fastcgi_param  QUERY_STRING X-Tier=$loyalty_tier&X-Points=$loyalty_balance_points;
    fastcgi_param  CONTENT_LENGTH $content_length;
}

location /range {
    loyalty_lookup shop member=$arg_m timeout=2s;
    alias          %%TESTDIR%%/page;
    add_header     X-Tier $loyalty_tier;
}

location /sliced {
    loyalty_lookup   shop member=$arg_m timeout=2s;
    SLICE
    proxy_set_header X-Tier $loyalty_tier;
    proxy_pass       http://127.0.0.1:%%PORT%%/whole;
    add_header       X-Tier $loyalty_tier;
}
location /whole { alias %%TESTDIR%%/page; }

# whoever is asked says who it is
location /asked/ {
    auth_request     /who;
    auth_request_set $who $upstream_http_x_who;
    limit_req        zone=members burst=100;
    loyalty_lookup   shop member=$who timeout=2s;
    proxy_pass       http://127.0.0.1:%%PORT_back%%/;
}
location = /who {
    internal;
    proxy_pass       http://127.0.0.1:%%PORT_back%%/session;
    proxy_set_header X-Session $http_x_session;
}

location /accel/ {
    loyalty_lookup shop member=$arg_m timeout=2s;
    proxy_pass     http://127.0.0.1:%%PORT_back%%/;
}
location /inside/ {
    internal;
    loyalty_lookup shop member=$arg_m timeout=2s;
    alias          %%TESTDIR%%/;
    add_header     X-Tier $loyalty_tier;
}
location @inside {
    add_header X-Tier $loyalty_tier;
    return 200 "named\n";
}

location /falling/ {
    loyalty_lookup         shop member=$arg_m timeout=2s;
    proxy_pass             http://127.0.0.1:%%PORT_back%%/;
    proxy_intercept_errors on;
    error_page             500 = @fallback;
    error_page             404 =200 /inside/page;
}
location @fallback {
    proxy_pass http://127.0.0.1:%%PORT_back%%;
}

location /any/ {
    satisfy        any;
    deny           all;
    auth_request   /who;
    loyalty_lookup shop member=$arg_m timeout=2s;
    proxy_pass     http://127.0.0.1:%%PORT_back%%/;
}

location /if/ {
    loyalty_lookup shop member=$arg_m timeout=2s;
    if ($arg_x) { set $unused 1; }
    proxy_pass     http://127.0.0.1:%%PORT_back%%;
}

location /hostile {
    access_log     %%TESTDIR%%/look.log look;
    loyalty_lookup shop member=$http_m timeout=2s;
    add_header     X-Status $loyalty_status;
    add_header     X-Member $loyalty_member;
    proxy_pass     http://127.0.0.1:%%PORT_back%%/;
}
END

my $fcgi = Loyalty::FastCGI->new($t);
my $fake = Loyalty::FakeRedis->new($t, []);
my $seen = 0;

$t->start;


# how often Redis was asked for a member since
sub asked {
    my $now = () = $fake->commands(qr/^GET /);
    my $n = $now - $seen;
    $seen = $now;
    return $n;
}


is($t->event({ id => 'a', member => $_, type => 'purchase',
               amount => $_ eq 'ada' ? '12.00' : '3.00' })->status, 200,
   "a purchase of $_") for qw(ada bob);
asked();


# ---- caches ----

my @cached = map { $t->get("/cached/page?m=$_") } qw(ada bob ada bob);
is(join(' ', map { $_->header('X-Cache') } @cached), 'MISS MISS HIT HIT',
   'a page for each tier is cached');
is($cached[2]->body, "/page|ada|silver|12\n", 'and is that tier\'s');
is($cached[3]->header('X-Tier'), 'bronze', 'with what is known of this one');
is(asked(), 4, 'asked each time');


# ---- FastCGI, ranges ----

my $r = $t->get('/fast?m=ada');
is($r->header('X-Tier') . $r->header('X-Points'), 'silver12', 'FastCGI');
is($t->post('/fast?m=bob', 'x' x 50_000)->header('X-Tier'), 'bronze',
   'with a body');
is(asked(), 2, 'asked once each');

$r = $t->get('/range?m=ada', headers => { Range => 'bytes=5-14' });
is($r->status . $r->body . $r->header('X-Tier'), '2065678901234silver',
   'a range');
is(asked(), 1, 'asked once');

$r = $t->get('/sliced?m=ada');
is(length($r->body) . $r->header('X-Tier'), '100silver', 'slices');
is(asked(), 1, 'which do not ask each');


# ---- auth_request ----

is($t->get('/asked/page', headers => { 'X-Session' => 'ada' })->body,
   "/page|ada|silver|12\n", 'whom auth_request tells');
is($t->get('/asked/page', headers => { 'X-Session' => 'bob' })->body,
   "/page|bob|bronze|3\n", 'another');
is($t->get('/asked/page')->body, "/page|||\n", 'nobody');
is(asked(), 2, 'asked once each');
is($t->get('/any/page?m=ada')->body, "/page|ada|silver|12\n", 'satisfy any');
is(asked(), 1, 'asked once');

# the limit has asked for the member before it was known
like($t->read_file('early.log'), qr/^\/asked\/page \[ada\]$/m,
     'who is nobody at first is known in the end');


is($t->get('/?m=ada', port => 'limited')->header('X-Tier'), 'silver',
   'a limit');
asked();
is(join(' ', map { $t->get('/?m=ada', port => 'limited')->code } 1 .. 3),
   join(' ', ('rate_limited') x 3), 'that is kept');
is(asked(), 0, 'and who is refused is not looked up');


# ---- redirects ----

$r = $t->get('/accel/accel?m=ada');
is($r->body, join('', 0 .. 9) x 10, 'X-Accel-Redirect');
is(asked(), 1, 'to a location without arguments: nobody is looked up anew');
$r = $t->get('/accel/accel.named?m=ada');
is($r->body . $r->header('X-Tier'), "named\nsilver", 'and to a named one');
is(asked(), 1, 'asked once');

is($t->get('/falling/broken?m=ada')->body, "/falling/broken|ada|silver|12\n",
   'a fallback');
is(asked(), 1, 'asked once');
is($t->get('/falling/nothing?m=ada')->status, 200, 'an error that is none');
asked();
is($t->get('/if/page?m=ada&x=1')->body, "/if/page|ada|silver|12\n",
   'in an if');
is(asked(), 1, 'asked once');


# ---- members that are meant to do harm ----

my @keys = sort @{$t->redis->call('KEYS', '*')};

for my $member ('{shop:0.0}', '}', '"', '\\', '\\r\\nSET x y', '*', '$http_m',
                '<script>', "caf\xc3\xa9", "'; DROP", 'x' x 128) {
    $r = $t->get('/hostile', headers => { M => $member });
    is($r->status . $r->header('X-Status'), '200ok', "member $member");
    is($r->body, "/|$member|bronze|0\n", 'is told to the backend as it is');
}

for (['a control byte', "a\x01b"], ['a tab', "a\tb"], ['DEL', "a\x7fb"],
     ['no UTF-8', "a\xffb"], ['300 bytes', 'x' x 300], ['8 kB', '{' x 8192]) {
    my ($what, $member) = @$_;

    $r = $t->get('/hostile', headers => { M => $member });
    is($r->status . $r->header('X-Status'), '200invalid', "$what: no member");
    is($r->body, "/|||\n", 'and nothing is told');
}

my $h2 = Loyalty::H2->new($t->connect('h2'));
for (['ada', "/|ada|silver|12\n"], ["a\x01b", "/|||\n"], ['x' x 300, "/|||\n"],
     ['{}', "/|{}|bronze|0\n"]) {
    my ($member, $want) = @$_;
    my $response = $h2->response($h2->request('GET', '/hostile', undef,
                                              m => $member));

    is($response->{body}, $want, 'by HTTP/2: ' . substr $member, 0, 10);
}

is_deeply([sort @{$t->redis->call('KEYS', '*')}], \@keys,
          'no key came of it');

my @lines = split /\n/, $t->read_file('look.log');
is(scalar(grep { !eval { JSON::PP->new->decode($_) } } @lines), 0,
   'each line of the log is JSON');
is(scalar @lines, 21, 'one for each request');
unlike($t->log, qr/[^\x20-\x7e\n]/, 'the error log can be read');
is($t->metrics->{'nginx_loyalty_lookups_total{program="shop",status="failed"}'},
   0, 'none has failed');

done_testing();
