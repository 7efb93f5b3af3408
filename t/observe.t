#!/usr/bin/perl

# loyalty_observe: which requests count, how often, and by whose rule.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::FastCGI;
use Loyalty::H2;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(sleep);

# %%BUY%% is a rule with the headers of whoever answered
my $BUY = 'member=$upstream_http_x_customer id=$upstream_http_x_order '
        . 'amount=$upstream_http_x_total';
my $VISIT = 'member=$arg_m id=visit-$arg_o';

my $server = <<'END';
        root %%TESTDIR%%/html;
        client_body_buffer_size 1k;

        location /plain/ { proxy_pass http://back/; }

        location /buy/ {
            proxy_pass http://back/;
            loyalty_observe shop purchase BUY if_status=2xx;
        }

        location = /buy.201 {
            rewrite ^ /buy break;
            proxy_pass http://back;
            loyalty_observe shop purchase BUY if_status=201;
        }

        location /redirecting/ {
            proxy_pass http://back/;
            loyalty_observe shop purchase BUY if_status=303;
        }

        location /static/ {
            alias %%TESTDIR%%/html/;
            if_modified_since before;
            loyalty_observe shop visit VISIT;
        }

        location /return {
            loyalty_observe shop visit VISIT;
            return 200 "here\n";
        }

        location /empty {
            loyalty_observe shop visit VISIT;
            return 204;
        }

        location /fast {
            fastcgi_pass unix:%%TESTDIR%%/fastcgi.sock;
            fastcgi_param QUERY_STRING $args;
            loyalty_observe shop purchase BUY;
        }

        location /cached/ {
            proxy_pass http://back/;
            proxy_cache pages;
            proxy_cache_key $arg_key;
            proxy_cache_valid 200 1h;
            loyalty_observe shop visit member=$arg_m
                            id=$request_id data.cache=$upstream_cache_status;
        }

        location /kept/ {
            proxy_pass http://back/;
            proxy_cache pages;
            proxy_cache_key kept$arg_key;
            proxy_cache_valid 200 1h;
            loyalty_observe shop purchase BUY;
        }

        # internal redirects

        location /rewritten/ {
            rewrite ^ /return last;
            loyalty_observe shop wrong VISIT;
        }

        location /tried/ {
            try_files /nothing.html @tried;
            loyalty_observe shop wrong VISIT;
        }

        location @tried {
            return 200 "tried\n";
            loyalty_observe shop visit VISIT;
        }

        location /tried.file/ {
            try_files /page.html =404;
            loyalty_observe shop visit VISIT;
        }

        location /index/ {
            alias %%TESTDIR%%/html/;
            index page.html;
            loyalty_observe shop wrong VISIT;
        }

        location = /index/page.html {
            alias %%TESTDIR%%/html/page.html;
            loyalty_observe shop visit VISIT;
        }

        location /accel/ {
            proxy_pass http://back/;
            loyalty_observe shop wrong VISIT;
        }

        location /protected/ {
            internal;
            alias %%TESTDIR%%/html/;
            loyalty_observe shop purchase BUY;
        }

        location /failing/ {
            proxy_pass http://back/;
            proxy_intercept_errors on;
            error_page 500 = @sorry;
            error_page 502 /sorry.html?$args;
            loyalty_observe shop wrong VISIT if_status=2xx,5xx;
        }

        location @sorry {
            return 200 "sorry\n";
            loyalty_observe shop apology VISIT if_status=200;
        }

        location = /sorry.html {
            loyalty_observe shop apology VISIT if_status=502;
        }

        location /plainly.failing/ {
            proxy_pass http://back/;
            loyalty_observe shop purchase BUY;
        }

        # subrequests

        location /ssi/ {
            alias %%TESTDIR%%/html/;
            ssi on;
            log_subrequest on;
            loyalty_observe shop visit VISIT;
        }

        location /added/ {
            proxy_pass http://back/;
            add_after_body /return;
            addition_types text/plain;
            log_subrequest on;
            loyalty_observe shop visit VISIT;
        }

        location /mirrored/ {
            proxy_pass http://back/;
            mirror /return;
            log_subrequest on;
            loyalty_observe shop purchase BUY;
        }

        location /guarded/ {
            auth_request /guard;
            log_subrequest on;
            proxy_pass http://back/;
            loyalty_observe shop purchase BUY;
        }

        location /guard {
            log_subrequest on;
            loyalty_observe shop wrong VISIT;
            return 204;
        }

        location /denied/ {
            auth_request /deny;
            proxy_pass http://back/;
            loyalty_observe shop purchase BUY;
        }

        location /deny {
            log_subrequest on;
            loyalty_observe shop wrong VISIT if_status=403;
            return 403;
        }

        location /after/ {
            proxy_pass http://back/;
            post_action @after;
            loyalty_observe shop wrong VISIT;
        }

        location @after {
            rewrite ^ /buy break;
            proxy_pass http://back;
            loyalty_observe shop purchase BUY;
        }

        # which rules

        location /two/ {
            proxy_pass http://back/;
            loyalty_observe shop purchase BUY;
            loyalty_observe shop visit VISIT;

            location /two/inherited/ { proxy_pass http://back/; }

            location /two/own/ {
                proxy_pass http://back/;
                loyalty_observe shop own VISIT;
            }

            location /two/off/ {
                proxy_pass http://back/;
                loyalty_observe off;
            }
        }

        location /if/ {
            loyalty_observe shop visit VISIT;
            if ($arg_x) { loyalty_observe shop special VISIT; }
            if ($arg_y) { set $unused 1; }
            return 200 "if\n";
        }

        location /filter/ {
            loyalty_observe shop visit VISIT if=$arg_f;
            return 200 "filter\n";
        }

        location /fields/ {
            loyalty_observe shop purchase VISIT amount=$arg_a quantity=$arg_q
                channel=$arg_c partner=x$arg_p data.offer=$arg_offer
                data.none=$arg_none;
            return 200 "fields\n";
        }

        location /variables/ {
            loyalty_observe shop review VISIT;
            return 200 "variables\n";
        }

        location /slow/ {
            proxy_pass http://back/;
            loyalty_observe shop visit VISIT if_status=2xx,4xx;
        }

        location /marker {
            loyalty_observe shop visit member=$arg_m id=$arg_o;
            return 200;
        }
END

my $back = <<'END';
    proxy_cache_path %%TESTDIR%%/cache keys_zone=pages:1m;
    proxy_http_version 1.1;

    upstream back { server 127.0.0.1:%%PORT_back%%; keepalive 4; }

    server {
        listen 127.0.0.1:%%PORT_back%%;
        add_header X-Customer $arg_m always;
        add_header X-Order $arg_o always;
        add_header X-Total $arg_t always;

        location / { return 404; }
        location /buy { return 200 "bought\n"; }
        location /created { return 201 "created\n"; }
        location /other { return 303 /thanks; }
        location /500 { return 500; }
        location /502 { return 502; }
        location /accel {
            add_header X-Customer $arg_m;
            add_header X-Order $arg_o;
            add_header X-Total $arg_t;
            add_header X-Accel-Redirect /protected/page.html;
            return 200;
        }
        location /large { root %%TESTDIR%%/html; }
        location /slow { limit_rate 1k; root %%TESTDIR%%/html; }
    }
END

s/BUY/$BUY/g, s/VISIT/$VISIT/g for $server;

my $t = Loyalty::Test->new(program => <<'END', server => <<'END2' . $server,
wallet points;
earn purchase points 1 per=1.00;
earn visit points 1;
earn apology points 100;
earn purchase points 7 match offer = seven;
earn purchase points 11 match channel = app match quantity >= 3;
earn purchase points 13 match partner = xair;
earn purchase points 17 match none != x match offer = eight;
earn review points 2;
earn review points 19 match $http_x_kind = long;
earn review points 23 match $arg_kind ~ ^v match $http_absent != 1;
challenge kinds { on review; goal 2 distinct $http_x_kind; award points 29; }
END
        listen 127.0.0.1:%%PORT_h2%% http2;
END2
    http => $back);

mkdir $t->dir . '/html';
$t->write_file('html/page.html', 'x' x 1000);
$t->write_file('html/large', 'x' x 3_000_000);
$t->write_file('html/sorry.html', 'sorry');
$t->write_file('html/slow', 'x' x 100_000);
$t->write_file('html/ssi.html',
    join '', map { qq{<!--# include virtual="$_?m=ssi&o=$_" -->} }
    '/return', '/static/page.html', '/ssi/page.html');

my $fcgi = Loyalty::FastCGI->new($t);
my $marks = 0;


sub metric {
    my ($name, $labels) = @_;

    $labels = defined $labels ? ",$labels" : '';
    return $t->metrics->{"nginx_loyalty_$name\{program=\"shop\"$labels}"};
}


# all that ended before this is counted, or never will be
sub settle {
    my $id = 'mark' . ++$marks;

    $t->get("/marker?m=marker&o=$id");

    $t->wait_for(sub {
        my $events = $t->history('marker', 'limit=1')->json->{history};
        return @$events && $events->[0]{id} eq $id
            && metric('ring_used_slots') == 0;
    }) or diag('the marker was not counted');

    return;
}


# the member's events as "type id amount", the oldest first
sub seen {
    my ($member) = @_;

    settle();

    return [ map { join ' ', $_->{type}, $_->{id}, $_->{amount} // () }
             reverse @{$t->history($member, 'limit=100')->json->{history}} ];
}


sub points { return $t->me($_[0])->json->{wallets}{points}{balance} }


# one request, what it is answered, and what has come of it
sub check {
    my ($what, $uri, $status, $want, %opt) = @_;
    my ($member) = $uri =~ /\bm=(\w+)/;

    is($t->get($uri, %opt)->status, $status, "$what: $uri");
    is_deeply(seen($member), $want, "$what: what is counted");
    return;
}


# ---- whoever answers ----

check('proxied', '/buy/buy?m=a1&o=o1&t=12.50', 200, ['purchase o1 12.50']);
is(points('a1'), 12, 'it is paid');
check('once more', '/buy/buy?m=a1&o=o1&t=12.50', 200, ['purchase o1 12.50']);
is(points('a1'), 12, 'and once only');
check('not observed', '/plain/buy?m=a2&o=o1&t=1.00', 200, []);
check('not found', '/buy/missing?m=a3&o=o1&t=1.00', 404, []);
check('created', '/buy/created?m=a4&o=o1&t=1.00', 201, ['purchase o1 1.00']);
check('another status', '/buy.201?m=a5&o=o1&t=1.00', 200, []);
check('a redirect', '/redirecting/other?m=a6&o=o1&t=1.00', 303,
      ['purchase o1 1.00']);
check('a redirect that is not asked for', '/buy/other?m=a7&o=o1&t=1.00', 303,
      []);
check('static', '/static/page.html?m=a8&o=1', 200, ['visit visit-1']);
check('not modified', '/static/page.html?m=a9&o=1', 304, [],
      headers => { 'If-Modified-Since' => 'Fri, 01 Jan 2100 00:00:00 GMT' });
check('return', '/return?m=b1&o=1', 200, ['visit visit-1']);
check('204', '/empty?m=b2&o=1', 204, ['visit visit-1']);
check('FastCGI', '/fast?m=b3&X-Customer=b3&X-Order=f1&X-Total=0.99', 200,
      ['purchase f1 0.99']);
check('FastCGI fails', '/fast?m=b4&X-Customer=b4&X-Order=f1&X-Total=9.99'
      . '&status=500', 500, []);

for (1 .. 3) {
    is($t->get('/cached/buy?m=b5&o=x&t=1.00&key=k')->status, 200,
       "cached, $_");
}
is_deeply([map { s/ .*//r } @{seen('b5')}], [('visit') x 3],
          'from the cache as well');

is($t->get("/kept/buy?m=b6&o=k1&t=2.00&key=k&n=$_")->status, 200, "kept, $_")
    for 1 .. 2;
is_deeply(seen('b6'), ['purchase k1 2.00'],
          'the headers of a cached answer name the same purchase');

is($t->request('HEAD', '/buy/buy?m=b7&o=o1&t=3.00')->status, 200, 'HEAD');
is_deeply(seen('b7'), ['purchase o1 3.00'], 'is a request as well');
is($t->post('/buy/buy?m=b8&o=o1&t=3.00', 'x' x 100_000)->status, 200, 'POST');
is_deeply(seen('b8'), ['purchase o1 3.00'], 'with a body');

check('a range', '/static/page.html?m=b9&o=1', 206, ['visit visit-1'],
      headers => { Range => 'bytes=0-9' });
check('ranges', '/static/page.html?m=c1&o=1', 206, ['visit visit-1'],
      headers => { Range => 'bytes=0-9,20-29,500-999' });
check('a range that is none', '/static/page.html?m=c2&o=1', 416, [],
      headers => { Range => 'bytes=5000-' });

{
    my $sock = $t->connect;

    # three requests in one packet
    my $response = Loyalty::HTTP::exchange(10, [$sock, join '', map {
        Loyalty::HTTP::format_request('GET', "/return?m=c3&o=$_", undef,
            Connection => $_ == 3 ? 'close' : 'keep-alive') } 1 .. 3]);
    close $sock;

    is($response->status, 200, 'pipelined');
    is_deeply(seen('c3'), [map { "visit visit-$_" } 1 .. 3],
              'each is counted');
}

{
    my $h2 = Loyalty::H2->new($t->connect('h2'));
    my @ids = map { $h2->request('GET', $_) }
              map({ "/buy/buy?m=c4&o=h$_&t=1.00" } 1 .. 5),
              '/static/page.html?m=c4&o=1', '/buy/missing?m=c4&o=h6&t=1.00';

    is_deeply([map { $h2->response($_, 10)->{status} } @ids],
              [(200) x 6, 404], 'HTTP/2');
    is_deeply([sort @{seen('c4')}],
              [map({ "purchase h$_ 1.00" } 1 .. 5), 'visit visit-1'],
              'each stream is a request');
}


# ---- by the rule of the location where the request ends ----

check('rewrite', '/rewritten/x?m=d1&o=1', 200, ['visit visit-1']);
check('try_files, to a named location', '/tried/x?m=d2&o=1', 200,
      ['visit visit-1']);
check('try_files, to a file', '/tried.file/x?m=d3&o=1', 200,
      ['visit visit-1']);
check('index', '/index/?m=d4&o=1', 200, ['visit visit-1']);
check('X-Accel-Redirect', '/accel/accel?m=d5&o=o1&t=4.00', 200,
      ['purchase o1 4.00']);
check('error_page, to a named location', '/failing/500?m=d6&o=1', 200,
      ['apology visit-1']);
check('error_page, to a page', '/failing/502?m=d7&o=1', 502,
      ['apology visit-1']);
check('an error of its own', '/plainly.failing/500?m=d8&o=o1&t=1.00', 500,
      []);
check('an internal location', '/protected/page.html?m=d9&o=1', 404, []);
check('post_action', '/after/buy?m=e1&o=o1&t=5.00', 200,
      ['purchase o1 5.00']);


# ---- a subrequest is no request of a client ----

is($t->get('/ssi/ssi.html?m=ssi&o=1')->status, 200, 'SSI');
is_deeply(seen('ssi'), ['visit visit-1'], 'counts once, its parts do not');
check('add_after_body', '/added/buy?m=f1&o=1&t=1', 200, ['visit visit-1']);
check('mirror', '/mirrored/buy?m=f2&o=o1&t=6.00', 200, ['purchase o1 6.00']);
check('auth_request', '/guarded/buy?m=f3&o=o1&t=7.00', 200,
      ['purchase o1 7.00']);
check('auth_request denies', '/denied/buy?m=f4&o=o1&t=7.00', 403, []);


# ---- which rules ----

check('several', '/two/buy?m=g1&o=o1&t=8.00', 200,
      ['purchase o1 8.00', 'visit visit-o1']);
check('inherited', '/two/inherited/buy?m=g2&o=o1&t=8.00', 200,
      ['purchase o1 8.00', 'visit visit-o1']);
check('its own', '/two/own/buy?m=g3&o=o1&t=8.00', 200, ['own visit-o1']);
check('off', '/two/off/buy?m=g4&o=o1&t=8.00', 200, []);
check('in an if', '/if/?m=g5&o=1&x=1', 200, ['special visit-1']);
check('in an if that says nothing of it', '/if/?m=g6&o=1&y=1', 200,
      ['visit visit-1']);
check('beside an if', '/if/?m=g7&o=1', 200, ['visit visit-1']);
check("if= is \"$_->[0]\"", "/filter/?m=$_->[1]&o=1&f=$_->[0]", 200, $_->[2])
    for ['', 'h1', []], ['0', 'h2', []], ['00', 'h3', ['visit visit-1']],
        ['no', 'h4', ['visit visit-1']];
check('if= is absent', '/filter/?m=h5&o=1', 200, []);


# ---- fields ----

check('fields', '/fields/?m=i1&o=1&a=5.00&q=3&c=app&p=air&offer=seven', 200,
      ['purchase visit-1 5.00']);
is(points('i1'), 5 + 7 + 11 + 13, 'reach the rules');
check('fields that are absent', '/fields/?m=i2&o=1&a=5.00&q=2&offer=eight',
      200, ['purchase visit-1 5.00']);
is(points('i2'), 5 + 17, 'are absent');
check('an amount without decimals', '/fields/?m=i3&o=1&a=5&q=1', 200,
      ['purchase visit-1 5.00']);
check('the largest amount', '/fields/?m=i4&o=1&a=90071992547409.91&q=1', 200,
      ['purchase visit-1 90071992547409.91']);
is(points('i4'), 90071992547409, 'is held exactly');

is($t->get('/variables/?m=j1&o=1', headers => { 'X-Kind' => 'long' })
   ->status, 200, 'a variable');
is($t->get('/variables/?m=j1&o=2&kind=very')->status, 200, 'another');
is($t->get('/variables/?m=j1&o=3&kind=very',
           headers => { 'X-Kind' => 'short' })->status, 200, 'both');
is_deeply(seen('j1'), [map { "review visit-$_" } 1 .. 3], 'are there');
is(points('j1'), 3 * 2 + 19 + 2 * 23 + 29,
   'when the request is over, for match and for distinct');


# ---- the same event from the shop's server ----

my $told = $t->event({ id => 'visit-1', member => 'i1', type => 'purchase',
                       amount => '5.00', quantity => 3, channel => 'app',
                       partner => 'xair', data => { offer => 'seven' } });
is($told->json->{duplicate}, JSON::PP::true,
   'an observed event that is reported, too, counts once');

is($t->event({ id => 'o9', member => 'k1', type => 'purchase',
               amount => '9.00' })->status, 200, 'and the other way round');
check('it is known', '/buy/buy?m=k1&o=o9&t=9.00', 200, ['purchase o9 9.00']);
is(metric('observed_duplicates_total'), 3, 'duplicates are counted');
is(points('k1'), 9, 'it was paid once');


# ---- a client that goes ----

{
    my $sock = $t->connect;
    print {$sock} Loyalty::HTTP::format_request('GET', '/slow/slow?m=l1&o=1',
                                                undef);
    $sock->flush;
    sysread $sock, my $bytes, 100;
    close $sock;
    sleep 0.1;
    is_deeply(seen('l1'), ['visit visit-1'],
              'one that goes in the midst of an answer has been answered');
}


# ---- the moment ----

my ($before, $at, $after) = (time, $t->history('a1')->json->{history}[0]{at});
like($at, qr/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/, 'at is a time');

my $count = grep { !/^#/ && /observed_total/ } split /\n/,
            $t->get('/metrics')->body;
is($count, 1, 'one sample of what is observed');
is(metric('observed_total'),
   metric('observed_credited_total') + metric('observed_duplicates_total'),
   'all that was observed is decided');
is(metric('ring_slots'), int(metric('ring_slots')), 'the ring has slots');
cmp_ok(metric('ring_slots'), '>', 8000, 'thousands of them');

done_testing();
