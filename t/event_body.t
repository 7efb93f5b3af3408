#!/usr/bin/perl

# How a body comes: sizes, pieces, chunks, temporary files, limits.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;
use Time::HiRes qw(sleep);

my $t = Loyalty::Test->new(program => <<'END', server => <<'END_SERVER');
wallet points;
money EUR 2;
earn purchase points 1 per=1.00;
END
client_body_buffer_size 4k;
client_body_timeout 2s;

location /small/  { loyalty_event_api shop trusted; client_max_body_size 1k; }
location /large/  { loyalty_event_api shop trusted; client_max_body_size 64m; }
location /any/    { loyalty_event_api shop trusted; client_max_body_size 0; }
location /file/   {
    loyalty_event_api shop trusted;
    client_body_in_file_only clean;
}
location /mirror/ {
    loyalty_event_api shop trusted;
    mirror /sink;
}
location /except/ {
    loyalty_event_api shop trusted;
    client_max_body_size 1k;
    limit_except POST { deny all; }
}
location /if/ {
    loyalty_event_api shop trusted;
    client_max_body_size 1k;
    if ($arg_x) { set $y 1; }
}
location = /sink { return 204; }
END_SERVER

my $json = JSON::PP->new->utf8->canonical;
my $ndjson = 'application/x-ndjson';
my $n = 0;


sub lines {
    my ($count, $fill) = @_;

    return join '', map { $json->encode({ id => 'e' . ++$n, member => "m$_",
        type => 'visit', data => { x => 'x' x ($fill // 50) } }) . "\n" }
        1 .. $count;
}


sub new_ones {
    my ($r) = @_;

    return $r->status . ' ' . ($r->code // '') if $r->status != 200;
    return scalar grep { $_->{status} == 200 && !$_->{duplicate} } $r->lines;
}


sub post {
    my ($path, $body, %headers) = @_;

    return $t->post("/$path/events", $body,
                    headers => { 'Content-Type' => $ndjson, %headers });
}


sub chunked {
    my ($path, $size, $body) = @_;

    my $head = "POST /$path/events HTTP/1.1\r\nHost: localhost\r\n"
             . "Connection: close\r\nContent-Type: $ndjson\r\n"
             . "Transfer-Encoding: chunked\r\n\r\n";

    return $head . join('', map { sprintf "%x\r\n%s\r\n", length, $_ }
                        unpack("(a$size)*", $body)) . "0\r\n\r\n";
}


# ---- every way and size ----

for my $path ('loyalty-in', 'large', 'any', 'file', 'mirror') {
    for my $count (1, 20, 60, 500) {
        is(new_ones(post($path, lines($count))), $count,
           "/$path/: $count lines");
        is(new_ones($t->raw(chunked($path, 1000, lines($count)))), $count,
           "/$path/: $count lines in chunks");
    }
}

is(new_ones($t->raw(chunked('loyalty-in', 7, lines(100)))), 100,
   'very small chunks');
is(new_ones(post('loyalty-in', lines(900, 1000))), 900, 'nearly 1 MB');
is(new_ones(post('large', lines(900, 9000))), 900, '8 MB');
is(new_ones($t->raw(chunked('large', 100_000, lines(900, 9000)))), 900,
   '8 MB in chunks');


# ---- slowly ----

for my $form ('length', 'chunks') {
    my $body = lines(30, 200);
    my $bytes = $form eq 'chunks' ? chunked('loyalty-in', 97, $body)
              : Loyalty::HTTP::format_request('POST', '/loyalty-in/events',
                    $body, 'Content-Type' => $ndjson);
    my $sock = $t->connect;

    for my $piece (unpack '(a311)*', $bytes) {
        syswrite $sock, $piece;
        sleep 0.004;
    }

    is(new_ones(scalar Loyalty::HTTP::exchange(10, [$sock, ''])), 30,
       "piece by piece, by $form");
}

{
    my $bytes = Loyalty::HTTP::format_request('POST', '/loyalty-in/events',
        lines(1), 'Content-Type' => $ndjson);
    my $sock = $t->connect;

    for my $byte (split //, $bytes) {
        syswrite $sock, $byte;
        sleep 0.0005;
    }

    is(new_ones(scalar Loyalty::HTTP::exchange(10, [$sock, ''])), 1,
       'byte by byte');
}


# ---- several requests on a connection ----

{
    my @bodies = map { lines($_) } 1, 80, 3;
    my $bytes = join '', map {
        Loyalty::HTTP::format_request('POST', '/loyalty-in/events', $_,
            'Content-Type' => $ndjson, 'Connection' => 'keep-alive')
    } @bodies;
    $bytes .= chunked('loyalty-in', 50, lines(90));

    my $sock = $t->connect;
    syswrite $sock, $bytes;
    my $in = '';

    for my $want (1, 80, 3, 90) {
        my ($r, $used);

        until (($r, $used) = Loyalty::HTTP::parse($in, 0)) {
            my $rin = '';
            vec($rin, fileno $sock, 1) = 1;
            last if !select $rin, undef, undef, 10;
            last if !sysread $sock, $in, 65536, length $in;
        }

        is(defined $r ? new_ones($r) : 'nothing', $want,
           "pipelined: $want lines");
        substr $in, 0, $used // 0, '';
    }
}


# ---- too large ----

for my $path ('small', 'except', 'if') {
    my $body = lines(20);

    for my $r (post($path, $body), $t->raw(chunked($path, 500, $body)),
               $t->raw(chunked($path, 100_000, $body)),
               $path eq 'if' ? $t->post("/if/events?x=1", $body,
                   headers => { 'Content-Type' => $ndjson }) : ())
    {
        is($r->status, 413, "/$path/: status");
        is($r->code, 'too_large', "/$path/: code");
        is($r->header('Content-Type'), 'application/problem+json',
           "/$path/: type");
        like($r->json->{detail}, qr/at most 1024 bytes/, "/$path/: detail");
        ok($r->header('X-Request-Id'), "/$path/: request id");
    }

    is(new_ones(post($path, lines(2))), 2, "/$path/: what fits");
    is(new_ones($t->raw(chunked($path, 10, lines(2)))), 2,
       "/$path/: what fits, in chunks");
    is(new_ones(post('loyalty-in', $body)), 20,
       "/$path/: nothing was done before");
}

is($t->request('PUT', '/except/events', '{}')->status, 403,
   'limit_except still holds');

my $r = post('loyalty-in', lines(2, 600_000));
is($r->status, 413, 'over the default of 1 MB');

for my $path ('large', 'any') {
    $r = $t->raw("POST /$path/events HTTP/1.1\r\nHost: localhost\r\n"
                 . "Content-Type: $ndjson\r\nContent-Length: 20000000\r\n"
                 . "\r\n");
    is($r->status, 413, "/$path/: over 16 MB");
    like($r->json->{detail}, qr/16777216/, "/$path/: and why");
}

$r = $t->raw("POST /small/events HTTP/1.1\r\nHost: localhost\r\n"
             . "Content-Type: $ndjson\r\nExpect: 100-continue\r\n"
             . "Content-Length: 2000\r\n\r\n");
is($r->status, 413, 'the client that asks first');
unlike($r->raw, qr/100 Continue/, 'is not told to go on');

# whether it sends the body nevertheless cannot be known: what comes next on
# the connection would be taken for the body, or the body for a request

$r = $t->raw("POST /loyalty-in/nothing HTTP/1.1\r\nHost: localhost\r\n"
             . "Content-Type: application/json\r\nExpect: 100-continue\r\n"
             . "Content-Length: 40\r\n\r\n");
is($r->status, 404, 'a path that there is not');
is($r->header('Connection'), 'close', 'the connection ends with it');

$r = $t->raw("POST /small/events HTTP/1.1\r\nHost: localhost\r\n"
             . "Content-Type: application/json\r\nExpect: 100-continue\r\n"
             . "Connection: close\r\nContent-Length: 40\r\n\r\n"
             . '{"id":"ex","member":"m","type":"visit" }');
is($r->status, 200, 'the client that may');
is($r->json->{id}, 'ex', 'is heard');


# ---- no body, broken body ----

$r = $t->raw("POST /loyalty-in/events HTTP/1.1\r\nHost: localhost\r\n"
             . "Content-Type: application/json\r\nConnection: close\r\n\r\n");
is($r->code, 'invalid_json', 'no body at all');
is($t->post('/loyalty-in/events', '')->code, 'invalid_json', 'an empty body');

$r = $t->raw("POST /loyalty-in/events HTTP/1.1\r\nHost: localhost\r\n"
             . "Content-Type: application/json\r\nConnection: close\r\n"
             . "Transfer-Encoding: chunked\r\n\r\nxyz\r\n");
is($r->status, 400, 'chunks that are none');

$r = $t->raw("POST /loyalty-in/events HTTP/1.1\r\nHost: localhost\r\n"
             . "Content-Type: application/json\r\nConnection: close\r\n"
             . "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"id\"\r\nzz\r\n");
is($r->status, 400, 'and such that come later');

for my $form ("Content-Length: 9000\r\n\r\n" . 'x' x 5000,
              "Content-Length: 100\r\n\r\n{",
              "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"id\"\r\n")
{
    my $head = "POST /loyalty-in/events HTTP/1.1\r\nHost: localhost\r\n"
             . "Content-Type: application/json\r\n";

    $r = $t->raw($head . $form);
    is($r->error, 'closed', 'a body that does not end') or diag($r->raw);
    like($t->read_file('access.log'), qr/" 408 \S+ "[^\n]*\n\z/,
         'timed out');

    my $sock = $t->connect;
    syswrite $sock, $head . $form;
    sleep 0.05;
    close $sock;
}

is(new_ones(post('loyalty-in', lines(5))), 5, 'and all is well');

done_testing();
