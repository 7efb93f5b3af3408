#!/usr/bin/perl

# loyalty_signature: who may call the event API.  A credential that is
# missing, forged, cut, stale or of another request changes nothing.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_hex);
use FindBin;
use IO::Socket::INET;
use JSON::PP ();
use lib "$FindBin::Bin/lib";

use Loyalty::H2;
use Loyalty::Test;
use Test::More;

my %key = (old => '0a' x 32, new => '1b' x 32, long => 'c2' x 64);
my $json = JSON::PP->new->utf8->canonical;
my ($n, $r) = (0);

my $t = Loyalty::Test->new(
    files => {
        'hooks.keys' => "# servers\nold:$key{old}\n\nnew:$key{new}\r\n"
                      . "till-7.a:$key{long}\n",
    },
    program => 'wallet points; earn visit points 1;',
    http => <<'END',
log_format sig '$uri $loyalty_signature_status "$loyalty_signature_key"';
access_log %%TESTDIR%%/sig.log sig;
map $loyalty_signature_status $unsigned {
    default    $binary_remote_addr;
    ""         "";
    unchecked  "";
}
limit_req_zone $unsigned zone=unsigned:1m rate=1r/m;
END
    server => <<'END',
listen 127.0.0.1:%%PORT_h2%% http2;
client_body_buffer_size 4k;
loyalty_signature key_file=hooks.keys;

location /in/     { loyalty_event_api shop; }
location /file/   { loyalty_event_api shop; client_body_in_file_only clean; }
location /mirror/ { loyalty_event_api shop; mirror /sink; }
location /short/  {
    loyalty_event_api shop;
    loyalty_signature key_file=hooks.keys window=10s;
}
location /both/   { loyalty_event_api shop trusted; }
location /admin/  { loyalty_admin_api shop; }
location /off/    { loyalty_event_api shop trusted; loyalty_signature off; }
location /limit/  {
    loyalty_event_api shop;
    limit_req zone=unsigned;
    limit_req_status 429;
}
location = /sink  { return 204; }
END
);


sub event { return { id => 'e' . ++$n, member => 'm', type => 'visit', @_ } }


sub sign {
    my ($body, $key, $time) = @_;

    $time //= time;
    return "t=$time,v1=" . hmac_sha256_hex("$time.$body", pack 'H*', $key);
}


sub post {
    my ($path, $body, $signature, %headers) = @_;

    $body = $json->encode($body) if ref $body;
    $signature = sign($body, $key{old}) if @_ < 3;

    return $t->post("/$path/events", $body,
        headers => { 'Loyalty-Signature' => $signature, %headers });
}


sub told {
    my ($r) = @_;
    return $r->status . (defined $r->code ? ' ' . $r->code : '');
}


sub balance { return $t->me('m')->json->{wallets}{points}{balance} }


# ---- what is taken ----

is(told(post('in', event())), 200, 'signed');
is(told(post('both', event())), 200, 'with "trusted" as well');
is(told(post('off', event(), undef)), 200, 'off');
is(told($t->event(event())), '403 invalid_signature',
   'inherited: trusted is not enough');

for my $name (sort keys %key) {
    my $body = $json->encode(event());
    is(told(post('in', $body, sign($body, $key{$name}))), 200, "key $name");
}

my $body = $json->encode(event());
my $now = time;
my $zeros = '0' x 64;
my ($old, $new) = map { (sign($body, $key{$_}, $now) =~ /v1=(.*)/)[0] } qw(old new);

is(told(post('in', $body, "t=$now,v1=$zeros,v1=$new")), 200,
   'one of two signatures');
is(told(post('in', $body, "v1=\U$old\E, t=$now,v2=later")), 200,
   'another order, capitals, and what is not known');
is(post('in', $body, "t=$now,v1=$old")->json->{duplicate}, JSON::PP::true,
   'sent again, it is a duplicate');

my $credited = balance();
is($credited, 7, 'credited');


# ---- what is refused ----

$body = $json->encode(event());
$now = time;
my $good = hmac_sha256_hex("$now.$body", pack 'H*', $key{old});

for (
    ['no header', undef], ['an empty one', ''],
    ['no signature', "t=$now"], ['no time', "v1=$good"],
    ['cut', "t=$now,v1=" . substr $good, 0, 62],
    ['an odd number of digits', "t=$now,v1=" . substr $good, 0, 63],
    ['longer', "t=$now,v1=${good}00"],
    ['forged', "t=$now,v1=" . ($good =~ tr/0-9a-f/1-9a-f0/r)],
    ['an unknown key', sign($body, 'ff' x 32)],
    ['another time', "t=" . ($now + 1) . ",v1=$good"],
    ['two times', "t=$now,t=$now,v1=$good"],
    ['another body', sign("$body ", $key{old})],
    ['the body alone', "t=$now,v1=" . hmac_sha256_hex($body,
                                                     pack 'H*', $key{old})],
    ['the key as text', "t=$now,v1=" . hmac_sha256_hex("$now.$body",
                                                      $key{old})],
    ['stale', sign($body, $key{old}, $now - 302)],
    ['ahead', sign($body, $key{old}, $now + 310)],
    ['a time of other digits', "t=0$now,v1=" .
        hmac_sha256_hex("0$now.$body", pack 'H*', $key{old})],
    ['too long', "t=$now,v1=$good,x=" . 'x' x 1000],
) {
    my ($name, $signature) = @$_;
    $r = post('in', $body, $signature);

    is(told($r), '403 invalid_signature', $name);
    like($r->json->{detail}, qr/\w/, "$name: with a detail");
}

is(told(post('in', $body, "t=$now,v1=$good", 'loyalty-signature'
             => "t=$now,v1=$good")),
   '403 invalid_signature', 'the header twice');
is(told(post('short', $body, sign($body, $key{old}, $now - 12))),
   '403 invalid_signature', 'a window of its own');
is(told(post('in', '', sign(' ', $key{old}))), '403 invalid_signature',
   'no body, another one is signed');
is(told(post('in', '', sign('', $key{old}))), '400 invalid_json',
   'no body, signed');

# nothing is said about what there is
is(told($t->get('/in/nothing')), '403 invalid_signature', 'an unknown path');
is(told($t->get('/in/events')), '403 invalid_signature', 'another method');
is(told($t->get('/in/events', headers => {
        'Loyalty-Signature' => sign('', $key{old}) })),
   '405 method_not_allowed', 'another method, signed');

is(balance(), $credited, 'nothing has changed');
is(told(post('short', $body, sign($body, $key{old}, $now - 5))), 200,
   'and in time it is taken');
$credited++;


# ---- however the body comes ----

for my $path ('in', 'file', 'mirror') {
    for my $count (1, 60) {
        my $lines = join '', map { $json->encode(event()) . "\n" } 1 .. $count;
        my %type = ('Content-Type' => 'application/x-ndjson');

        $r = post($path, $lines, sign($lines, $key{new}), %type);
        is(scalar(grep { $_->{status} == 200 } $r->lines), $count,
           "/$path/: $count lines");
        $credited += $count;

        is(told(post($path, $lines, sign("$lines\n", $key{new}), %type)),
           '403 invalid_signature', "/$path/: of another body");

        my $signature = sign($lines, $key{new});
        my $head = "POST /$path/events HTTP/1.1\r\nHost: localhost\r\n"
                 . "Connection: close\r\n"
                 . "Content-Type: application/x-ndjson\r\n"
                 . "Transfer-Encoding: chunked\r\n"
                 . "Loyalty-Signature: $signature\r\n\r\n";
        my $chunks = join '', map { sprintf "%x\r\n%s\r\n", length, $_ }
                              unpack '(a100)*', $lines;

        $r = $t->raw("$head${chunks}0\r\n\r\n");
        is(scalar(grep { $_->{duplicate} } $r->lines), $count,
           "/$path/: $count lines in chunks");

        is(told($t->raw("$head$chunks" . "1\r\n\n\r\n0\r\n\r\n")),
           '403 invalid_signature', "/$path/: and one byte more");
    }
}

my $sock = IO::Socket::INET->new(
    PeerAddr => '127.0.0.1:' . $t->port('h2')) or die "connect: $!";
my $h2 = Loyalty::H2->new($sock);
my %type = ('content-type' => 'application/json');

$body = $json->encode(event());
is($h2->response($h2->request('POST', '/in/events', $body, %type,
        'loyalty-signature' => sign($body, $key{old})))->{status}, 200,
   'HTTP/2');
$credited++;
$body = $json->encode(event());
is($h2->response($h2->request('POST', '/in/events', $body, %type,
        'loyalty-signature' => sign("$body ", $key{old})))->{status}, 403,
   'HTTP/2: of another body');
is($h2->response($h2->request('POST', '/in/events', $body, %type))
       ->{status}, 403, 'HTTP/2: none');

is(balance(), $credited, 'and nothing else has changed');


# ---- the admin API: what is asked is signed with it ----

sub admin {
    my ($method, $uri, $body, $key, %signed) = @_;
    my $by = $signed{key} // $key;

    my $text = join "\n", ($signed{method} // $method) . ' '
             . ($signed{uri} // $uri), $by // '',
             $signed{body} // $body // '';

    return $t->request($method, $uri, $body, headers => {
        'Loyalty-Signature' => sign($text, $key{new}, $signed{time}),
        defined $key ? ('Idempotency-Key' => $key) : () });
}


my $plus = '{"wallet":"points","amount":5,"reason":"a gift"}';
my $gifts = '/admin/members/m/adjustments';

$now = time;
$r = admin('POST', $gifts, $plus, 'k1', time => $now);
is(told($r), 200, 'an adjustment');
is($r->json->{actor}, 'new', 'by the one whose key it is');
$credited += 5;
$r = admin('POST', $gifts, $plus, 'k1', time => $now + 1);
is(told($r), 200, 'signed again');
is($r->header('Idempotency-Replayed'), 'true', 'it was done once');
$r = admin('POST', $gifts, $plus, 'k1', time => $now);
is(told($r), '403 invalid_signature', 'a signature that was used');
like($r->json->{detail}, qr/was used .* sign it again, at a later time/,
     'what is expected');
is(told(admin('GET', '/admin/members/m', undef, undef)), 200, 'a question');
is(told(admin('GET', '/admin/stats?x=1', undef, undef)), 200, 'with a query');

for (
    ['another member', 'POST', '/admin/members/n/adjustments', $plus, 'k2',
     uri => $gifts],
    ['another key', 'POST', $gifts, $plus, 'k3', key => 'k1'],
    ['a key that was not signed', 'POST', $gifts, $plus, 'k4', key => ''],
    ['another body', 'POST', $gifts, $plus, 'k5', body => '{}'],
    ['a query that was not signed', 'POST', "$gifts?x", $plus, 'k6',
     uri => $gifts],
    ['another method', 'DELETE', '/admin/members/m', undef, 'k7',
     method => 'GET'],
    ['another question', 'GET', '/admin/members/m', undef, undef,
     uri => '/admin/stats'],
) {
    my ($name, @request) = @$_;
    is(told(admin(@request)), '403 invalid_signature', "admin: $name");
}

is(told($t->post($gifts, $plus, headers => { 'Idempotency-Key' => 'k8',
        'Loyalty-Signature' => sign($plus, $key{new}) })),
   '403 invalid_signature', 'admin: the body alone');
is(told($t->get('/admin/stats')), '403 invalid_signature', 'admin: nothing');
is(told($t->request(@$_)), '403 invalid_signature',
   "admin: nothing is told of $_->[1]")
    for ['GET', '/admin/none'], ['PUT', '/admin/stats'],
        ['POST', '/admin/games/none/pause', 'x' x 20_000];
is(balance(), $credited, 'and nothing else has changed');


# ---- variables ----

is($t->get('/limit/x')->status, 403, 'an unsigned request');
is($t->get('/limit/x')->status, 429, 'a second one is too many');
$body = $json->encode(event());
is(told(post('limit', $body, sign($body, $key{new}))), 200,
   'a signed one is not');

# a line is written when the answer has been read
my $log;
$t->wait_for(sub { ($log = $t->read_file('sig.log')) =~ m{^/limit/events}m });
like($log, qr{^/in/events ok "old"$}m, 'logged: the key');
like($log, qr{^/in/events ok "till-7.a"$}m, 'logged: another key');
like($log, qr{^/in/events wrong ""$}m, 'logged: wrong');
like($log, qr{^/in/events stale ""$}m, 'logged: stale');
like($log, qr{^/in/events malformed ""$}m, 'logged: malformed');
like($log, qr{^/in/events missing ""$}m, 'logged: missing');
like($log, qr{^/admin/members/m/adjustments used ""$}m, 'logged: used');
like($log, qr{^/limit/events ok "new"$}m, 'logged: what was not known first');
like($log, qr{^/off/events  ""$}m, 'logged: off');
like($t->log, qr/\[warn\].*invalid signature: .*too far/, 'and why');
unlike($t->log . $log, qr/$key{old}|$key{new}|$good/, 'no key in any log');


# ---- keys change with a reload ----

$t->write_file('hooks.keys', "newer:$key{long}\n");
ok($t->reload(wait => 1), 'reload');
$body = $json->encode(event());
is(told(post('in', $body, sign($body, $key{old}))), '403 invalid_signature',
   'the old key is gone');
is(told(post('in', $body, sign($body, $key{long}))), 200, 'the new one is there');

$t->allow(qr/key file .* line 1/);
$t->write_file('hooks.keys', "newer:$key{long}0\n");
kill 'HUP', $t->pid;
ok($t->wait_log(qr/\[emerg\].*key file "\S+hooks.keys", line 1: a key of/),
   'a damaged file is told');
is(told(post('in', $body, sign($body, $key{long}))), 200,
   'and the old keys stay');
unlike($t->log, qr/$key{long}/, 'no key in the log');


# ---- nginx -t ----

sub check {
    my ($directive, $api, %files) = @_;

    return Loyalty::Test->check(program => 'wallet points;',
        files => { keys => "a:$key{old}\n", %files },
        server => "\n$directive\nlocation /e/ { loyalty_event_api shop $api; }");
}

for (
    ['key_file=keys'], ['key_file=keys window=1m'],
    ['off', 'trusted'],
) {
    my ($args, $api) = @$_;
    my ($ok, $out) = check("loyalty_signature $args;", $api // '');
    ok($ok, "loyalty_signature $args") or diag($out);
}

for (
    ['off', qr/"loyalty_event_api" is open to anyone.*"loyalty_signature key/],
    ['window=1m', qr/needs "key_file=".*openssl rand.*nginx\.conf:\d+/],
    ['key_file=', qr/needs "key_file="/],
    ['key_file=no', qr/open\(\) "\S+no" failed.*No such file.*nginx\.conf:\d/],
    ['key_file=.', qr/is no file of at most/],
    ['key_file=keys window=0', qr/invalid window "0"/],
    ['key_file=keys windows=1m', qr/invalid parameter "windows=1m"/],
    ['key_file=keys off', qr/invalid parameter "off"/],
    ['key_file=bad', qr/key file "\S+bad", line 2: a key of 64.*\.conf:\d+/],
    ['key_file=empty', qr/key file "\S+empty": there is no key in it/],
    ['key_file=big', qr/is no file of at most 65536 bytes/],
) {
    my ($args, $want) = @$_;
    my ($ok, $out) = check("loyalty_signature $args;", '',
        bad => "a:$key{old}\nb:$key{new}x\n", empty => '',
        big => '#' x 70000);

    ok(!$ok, "loyalty_signature $args: refused");
    like($out, $want, "loyalty_signature $args: the reason");
    unlike($out, qr/$key{old}|$key{new}/, 'without keys');
}

my ($ok, $out) = check('loyalty_signature key_file=keys;
                        loyalty_signature key_file=keys;', '');
like($out, qr/"loyalty_signature" directive is duplicate/, 'twice');


done_testing();
