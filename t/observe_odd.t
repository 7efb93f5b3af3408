#!/usr/bin/perl

# loyalty_observe and requests that are none, or that end as they should not:
# each counts as often as the access log has it, and as the status that is
# there.  Backends that are slow, fail, upgrade, or say things twice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::CA;
use Loyalty::H2;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(sleep);

# a backend: X-Customer and so on from the query
{
    package Backend;

    use parent -norequire, 'Loyalty::FakeHTTP';
    require Loyalty::FakeHTTP;

    sub respond {
        my ($self, $head, $body, $mode) = @_;
        my %arg = $head =~ /[?&](\w)=([\w.]+)/g;
        my $line = $mode eq 'upgrade' ? '101 Switching Protocols' : '200 OK';

        return "HTTP/1.1 $line\r\n"
            . join('', map { "X-Customer: $arg{m}\r\nX-Order: $arg{o}\r\n"
                             . "X-Total: $arg{t}\r\n" }
                   1 .. ($mode eq 'twice' ? 2 : 1))
            . ($mode eq 'upgrade'
               ? "Upgrade: chat\r\nConnection: upgrade\r\n\r\nhello"
               : "Content-Length: 700\r\n\r\n" . "bought\n" x 100);
    }
}

my $ca = Loyalty::CA->new;
$ca->certificate('server', 'subjectAltName=IP:127.0.0.1');

my $rule = 'loyalty_observe shop purchase member=$upstream_http_x_customer '
         . 'id=$upstream_http_x_order amount=$upstream_http_x_total';

my $t = Loyalty::Test->new(start => 0, program => <<'END', http => <<"END2",
wallet points;
earn purchase points 1 per=1.00;
earn request points 1;
END
    map \$status \$all { default "all"; }
    log_format status '\$status';
    client_header_timeout 300ms;
    client_body_timeout 300ms;
    client_header_buffer_size 1k;
    large_client_header_buffers 2 1k;

    upstream two {
        server 127.0.0.1:%%PORT_none%% max_fails=0;
        server 127.0.0.1:%%PORT_odd%%;
    }

    server {
        listen 127.0.0.1:%%PORT_all%% http2;
        listen 127.0.0.1:%%PORT_tls%% ssl;
        ssl_certificate     @{[ $ca->dir ]}/server.crt;
        ssl_certificate_key @{[ $ca->dir ]}/server.key;

        access_log %%TESTDIR%%/status.log status;
        loyalty_observe shop request member=\$all id=\$request_id
                        if_status=1xx,2xx,3xx,4xx,5xx;
        loyalty_lookup shop member=\$all timeout=2s phase=preaccess;
        client_max_body_size 10;

        location / { return 200 "fine\\n"; }
        location /closed { return 444; }
        location /body { proxy_pass http://127.0.0.1:%%PORT_odd%%; }
        location /away { proxy_pass http://127.0.0.1:%%PORT_none%%; }
    }

    server {
        listen 127.0.0.1:%%PORT_all1%%;

        access_log %%TESTDIR%%/status.log status;
        loyalty_observe shop request member=\$all id=\$request_id
                        if_status=1xx,2xx,3xx,4xx,5xx;
        loyalty_lookup shop member=\$all timeout=2s;
        client_max_body_size 10;

        location / { return 200 "fine\\n"; }
        location /closed { return 444; }
        location /body { proxy_pass http://127.0.0.1:%%PORT_odd%%; }
        location /away { proxy_pass http://127.0.0.1:%%PORT_none%%; }
    }
END2
    server => <<"END");
    location /as/ {
        proxy_pass http://127.0.0.1:%%PORT_odd%%;
        proxy_http_version 1.1;
        proxy_set_header Upgrade \$http_upgrade;
        proxy_set_header Connection upgrade;
        $rule if_status=1xx,2xx;
    }
    location /kept/ {
        proxy_pass http://127.0.0.1:%%PORT_odd%%/;
        proxy_ignore_client_abort on;
        $rule;
    }
    location /left/ {
        proxy_pass http://127.0.0.1:%%PORT_odd%%/;
        loyalty_observe shop purchase member=\$arg_m id=left-\$arg_o
                        amount=\$arg_t if_status=499;
        $rule;
    }
    location /two/ {
        proxy_pass http://two/;
        $rule;
    }
    location /marker {
        loyalty_observe shop visit member=\$arg_m id=\$arg_o;
        return 200;
    }
END

my $backend = Backend->new($t, 'odd');
my $marks = 0;

$t->start;


# all that ended before this is counted, or never will be
sub settle {
    my $id = 'mark' . ++$marks;

    $t->get("/marker?m=marker&o=$id");
    $t->wait_for(sub {
        my $events = $t->history('marker', 'limit=1')->json->{history};
        return @$events && $events->[0]{id} eq $id
            && $t->metrics->{'nginx_loyalty_ring_used_slots{program="shop"}'}
               == 0;
    }) or diag('the marker was not counted');

    return;
}


sub points { return $t->me($_[0])->json->{wallets}{points}{balance} }

sub logged { return [ split /\n/, $t->read_file('status.log') ] }


# ---- what is hardly a request ----

my $have = 0;


# bytes to a port, and the statuses that the log then has
sub odd {
    my ($what, $port, $bytes, @want) = @_;
    my $sock = $t->connect($port);

    print {$sock} $bytes;
    $sock->flush;

    # a request lingers until its client is gone
    vec(my $bits = '', fileno $sock, 1) = 1;
    1 while length $bytes && select(my $r = $bits, undef, undef, 2)
            && sysread $sock, my $answer, 65536;
    close $sock;

    $t->wait_for(sub { @{logged()} >= $have + @want }, 2);
    settle();

    my $log = logged();
    my @new = @{$log}[$have .. $#$log];

    # which 4xx it is differs from one nginx to the next
    is_deeply([map { int $_ / 100 } @new], [map { int $_ / 100 } @want],
              "$what: the log has @new");
    $have = @$log;
    is(points('all'), $have, "$what: counts as it does");

    return;
}


my $end = "Host: x\r\nConnection: close\r\n\r\n";

odd('a request', 'all1', "GET / HTTP/1.1\r\n$end", 200);
odd('HTTP/1.0', 'all1', "GET / HTTP/1.0\r\n\r\n", 200);
odd('HTTP/0.9', 'all1', "GET /\r\n", 200);
odd('an absolute URI', 'all1', "GET http://a.example/ HTTP/1.1\r\n$end", 200);
odd('no request', 'all1', "nonsense\r\n\r\n", 400);
odd('no host', 'all1', "GET / HTTP/1.1\r\n\r\n", 400);
odd('two hosts', 'all1', "GET / HTTP/1.1\r\nHost: a\r\n$end", 400);
odd('a host that is none', 'all1', "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400);
odd('a path that leads out', 'all1', "GET /../x HTTP/1.1\r\n$end", 400);
odd('TRACE', 'all1', "TRACE / HTTP/1.1\r\n$end", 405);
odd('an unknown version', 'all1', "GET / HTTP/3.7\r\n$end", 505);
odd('a long line', 'all1', 'GET /' . 'x' x 5000 . " HTTP/1.1\r\n$end", 414);
odd('a long header', 'all1', "GET / HTTP/1.1\r\nX: " . 'x' x 5000 . "\r\n$end",
    400);
odd('a header that does not come', 'all1', "GET / HTTP/1.1\r\nHo", 408);
odd('a body that does not come', 'all1',
    "POST /body HTTP/1.1\r\nContent-Length: 5\r\n$end", 408);
odd('too large a body', 'all1',
    "POST /body HTTP/1.1\r\nContent-Length: 11\r\n$end", 413);
odd('a length that is none', 'all1',
    "POST /body HTTP/1.1\r\nContent-Length: x\r\n$end", 400);
odd('Expect', 'all1', "POST /as/ok/body HTTP/1.1\r\nExpect: 100-continue\r\n"
    . "Content-Length: 2\r\n${end}ab", 200);
odd('a chunked body', 'all1', "POST /body?m=x&o=1&t=1 HTTP/1.1\r\n"
    . "Transfer-Encoding: chunked\r\n${end}2\r\nab\r\n0\r\n\r\n", 200);
odd('chunks that are none', 'all1', "POST /body HTTP/1.1\r\n"
    . "Transfer-Encoding: chunked\r\n${end}zz\r\n", 400);
odd('no answer', 'all1', "GET /closed HTTP/1.1\r\n$end", 444);
odd('no backend', 'all1', "GET /away HTTP/1.1\r\n$end", 502);
odd('three in a packet', 'all1', "GET / HTTP/1.1\r\nHost: x\r\n\r\n" x 2
    . "GET / HTTP/1.1\r\n$end", 200, 200, 200);
odd('one and a bad one', 'all1',
    "GET / HTTP/1.1\r\nHost: x\r\n\r\nnonsense\r\n\r\n", 200, 400);
odd('plain HTTP to a TLS port', 'tls', "GET / HTTP/1.1\r\n$end", 400);
odd('TLS to a plain port', 'all1', "\x16\x03\x01\x02\x00\x01\x00\x01", 400);
odd('nothing', 'all1', '');

my $h2 = Loyalty::H2->new($t->connect('all'));
$h2->response($h2->request('GET', '/'));
$h2->response($h2->request('GET', '/closed'), 0.2);
$h2->response($h2->request('POST', '/body', 'x' x 20));
$h2->response($h2->request('GET', '/', undef, 'x' => 'y' x 500));
settle();
is_deeply([splice @{logged()}, $have], [200, 444, 413, 200], 'HTTP/2: the log');
is(points('all'), scalar @{logged()}, 'HTTP/2: counts as it does');


# ---- clients that go before the answer ----

for (['left', 'l1', 5, 'as a request that nobody waited for'],
     ['kept', 'k1', 5, 'where the location waits for the answer'])
{
    my ($where, $member, $points, $what) = @$_;
    my $sock = $t->connect;

    print {$sock} "GET /$where/as/slow/0.3/buy?m=$member&o=1&t=5.00 "
                  . "HTTP/1.1\r\nHost: x\r\n\r\n";
    $sock->flush;
    sleep 0.1;
    close $sock;
    ok($t->wait_for(sub { points($member) == $points }, 3), "counts $what");
    is_deeply([ map { $_->{id} }
                @{$t->history($member, 'limit=9')->json->{history}} ],
              [ $where eq 'left' ? 'left-1' : '1' ], 'and once');
}


# ---- backends ----

is($t->get("/two/?m=n1&o=$_&t=1.00")->status, 200, 'the next backend')
    for 1 .. 4;
settle();
is(points('n1'), 4, 'is whose headers count, once');

for (['hangup', 502], ['cut', 200], ['garbage', undef]) {
    my ($mode, $status) = @$_;
    my $r = $t->get("/kept/as/$mode/buy?m=b1&o=$mode&t=1.00");

    is($r->status || 200, $status, "a backend: $mode") if defined $status;
}
settle();
is_deeply([ map { $_->{id} } @{$t->history('b1', 'limit=9')->json->{history}} ],
          ['cut'], 'an answer that began counts, none does not');

my $sock = $t->connect;
print {$sock} "GET /as/upgrade/?m=u1&o=1&t=7.00 HTTP/1.1\r\nHost: x\r\n"
              . "Upgrade: chat\r\nConnection: upgrade\r\n\r\n";
$sock->flush;
my $got = '';
$t->wait_for(sub { sysread $sock, $got, 4096, length $got;
                   return $got =~ /hello/ });
like($got, qr/^HTTP\/1.1 101 .*hello/s, 'an upgraded connection');
close $sock;
ok($t->wait_for(sub { points('u1') == 7 }), 'counts when it ends');

# nginx 1.22 takes the first of two headers, later ones join them
$t->get('/as/twice/?m=tw&o=1&t=9.00');
settle();
my $refused = $t->metrics->{'nginx_loyalty_observed_refused_total'
                            . '{program="shop",reason="invalid_amount"}'};
is($refused ? 9 : points('tw'), 9,
   'headers that are there twice count once, or are refused');

done_testing();
