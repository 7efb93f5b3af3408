#!/usr/bin/perl

# loyalty_jwt: who a member is by a token, in the member API and in
# variables.  Forged, cut and expired ones are nobody.

use strict;
use warnings;

use FindBin;
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 qw(encode_base64url);
use lib "$FindBin::Bin/lib";

use Loyalty::H2;
use Loyalty::Test;
use Loyalty::Token;
use Test::More;

my $secret = 'a secret of at least 32 bytes, is it?';
my %key = map { $_ => Loyalty::Token::key($_) } qw(RS256 ES256 EdDSA);
my $stranger = Loyalty::Token::key('ES256');
my $json = JSON::PP->new->utf8->canonical;

my %jwk = map { $_ => { %{Loyalty::Token::jwk($key{$_})}, kid => lc $_ } }
          keys %key;
my $set = $json->encode({ keys => [ @jwk{sort keys %jwk},
                                    { kty => 'new' } ] });

my %files = (
    secret => "$secret\n", 'set.json' => $set,
    'all.pem' => join('', map { $key{$_}{public} } sort keys %key),
    'rsa.pem' => $key{RS256}{public},
);

my $t = Loyalty::Test->new(
    files => \%files,
    program => 'wallet points; earn visit points 1;',
    http => <<'END',
log_format jwt '$uri $loyalty_jwt_status';
access_log %%TESTDIR%%/jwt.log jwt;

map $loyalty_jwt_status $failed {
    default  $binary_remote_addr;
    ""       "";
    none     "";
    ok       "";
}
limit_req_zone $failed zone=failed:1m rate=1r/m;
END
    server => <<'END',
listen 127.0.0.1:%%PORT_h2%% http2;
large_client_header_buffers 4 16k;
loyalty_member $loyalty_jwt_sub;
loyalty_jwt jwks_file=set.json;

location /set/    { loyalty_member_api shop; }
location /pem/    { loyalty_member_api shop; loyalty_jwt key_file=all.pem; }
location /rsa/    { loyalty_member_api shop; loyalty_jwt key_file=rsa.pem; }
location /hs/     {
    loyalty_member_api shop;
    loyalty_jwt key_file=secret alg=HS256 leeway=0;
}
location /ec/     {
    loyalty_member_api shop;
    loyalty_jwt jwks_file=set.json alg=ES256 alg=EdDSA;
}
location /strict/ {
    loyalty_member_api shop;
    loyalty_jwt key_file=secret alg=HS256 iss=https://login.shop aud=loyalty
                leeway=30s;
}
location /cookie/ {
    loyalty_member_api shop;
    loyalty_jwt key_file=secret alg=HS256 token=$cookie_session;
}
location /other/  { loyalty_member_api shop; loyalty_member $remote_user;
                    auth_basic off; }
location /off/    { loyalty_member_api shop; loyalty_jwt off; }
location /limit/  {
    loyalty_member_api shop;
    limit_req zone=failed;
    limit_req_status 429;
}

location = /claims {
    loyalty_jwt key_file=secret alg=HS256;
    return 200 "$loyalty_jwt_status|$loyalty_jwt_sub|$loyalty_jwt_n|$loyalty_jwt_x|$loyalty_jwt_customerid|$loyalty_jwt_https___shop_tier|$loyalty_jwt_none";
}
location = /header {
    loyalty_jwt key_file=secret alg=HS256;
    proxy_set_header X-Member $loyalty_jwt_sub;
    proxy_set_header X-Name $loyalty_jwt_name;
    proxy_pass http://127.0.0.1:%%PORT%%/echo;
}
location = /echo { return 200 "$http_x_member|$http_x_name|$http_x_admin"; }

# read in one location, used in another that has other keys
location /two/ {
    loyalty_jwt key_file=secret alg=HS256 token=$cookie_session;
    set $early $loyalty_jwt_sub;
    rewrite ^/two/(.*)$ /set/$1 last;
}
location /three/ {
    loyalty_jwt jwks_file=set.json;
    set $seen $loyalty_jwt_status;
    rewrite ^/three/(.*)$ /two/$1 last;
}
location /same/ {
    loyalty_jwt jwks_file=set.json;
    set $early $loyalty_jwt_sub;
    rewrite ^/same/(.*)$ /ec/$1 last;
}
END
);


sub me {
    my ($path, $token, %headers) = @_;

    $headers{Authorization} = "Bearer $token" if defined $token;
    return $t->get("/$path/me", headers => \%headers);
}


sub who {
    my $r = me(@_);

    return $r->status == 200 ? $r->json->{member}
         : $r->status . ' ' . $r->code;
}


sub token { return Loyalty::Token::make(@_) }


# ---- good ones ----

for my $alg (sort keys %key) {
    my $token = token($key{$alg}, { sub => "by $alg" });

    is(who('set', $token), "by $alg", "$alg of a key set");
    is(who('pem', $token), "by $alg", "$alg in PEM");
    is(who('ec', $token), $alg eq 'RS256' ? '401 invalid_token' : "by $alg",
       "$alg, where two are allowed");
    is(who('hs', $token), '401 invalid_token', "$alg, where it is a secret");
    is(who('set', token($key{$alg}, { sub => 'k' }, { kid => lc $alg })),
       'k', "$alg with its name");
    is(who('set', token($key{$alg}, { sub => 'k' }, { kid => 'x' })),
       '401 invalid_token', "$alg with an unknown name");
    is(who('pem', token($key{$alg}, { sub => 'k' }, { kid => 'x' })),
       'k', "$alg with a name, where keys have none");
}

is(who('hs', token($secret, { sub => 'ada' })), 'ada', 'HS256');
is(who('cookie', undef, Cookie => 'session=' . token($secret,
    { sub => 'ada' })), 'ada', 'from a cookie');
is(who('cookie', token($secret, { sub => 'ada' })), '401 no_member',
   'and from nowhere else');
is(me('hs', undef, Authorization => 'BEARER   '
      . token($secret, { sub => 'ada' }))->status, 200, 'spaces and capitals');


# ---- none ----

my $r = me('set', undef);
is($r->status . $r->code, '401no_member', 'no token');
is($r->header('WWW-Authenticate'), 'Bearer', 'what is expected');
is(who('set', undef, Authorization => 'Basic YWRhOmE='), '401 no_member',
   'another scheme');
is(who('set', ''), '401 no_member', 'the scheme alone');
$r = me('off', token($key{RS256}, { sub => 'ada' }));
is($r->status . $r->code, '401no_member', 'off');
is($r->header('WWW-Authenticate'), undef, 'nothing is expected');
is(who('set', token($key{RS256}, {})), '401 no_member',
   'a good token without a member');


# ---- bad ones ----

my $good = token($key{ES256}, { sub => 'ada' });
my ($head, $body, $sig) = split /\./, $good;
my ($none) = map { encode_base64url($_) } '{"alg":"none"}';

for (
    [set => 'x', 'malformed', 'no token'],
    [set => "$head.$body", 'malformed', 'no signature'],
    [set => "$head.$body.", 'bad_signature', 'an empty signature'],
    [set => "$none.$body.", 'algorithm', 'alg none'],
    [set => "$none.$body.$sig", 'algorithm', 'alg none with a signature'],
    [set => substr($good, 0, -6) . 'A', 'malformed', 'cut'],
    [set => substr($good, 0, -3) . 'A', 'bad_signature', 'cut elsewhere'],
    [set => "$good.$sig", 'malformed', 'four parts'],
    [set => token($stranger, { sub => 'ada' }), 'bad_signature',
     'a stranger\'s key'],
    [set => token($secret, { sub => 'ada' }), 'no_key', 'HS256'],
    [rsa => token($key{RS256}{public}, { sub => 'ada' }), 'no_key',
     'the public key as a secret'],
    [hs => token($key{RS256}{public}, { sub => 'ada' }), 'bad_signature',
     'the public key as a secret, where there is one'],
    [rsa => token({ %{$key{RS256}}, alg => 'RS256' }, { sub => 'ada' },
                  { alg => 'RS384' }), 'algorithm', 'RS384'],
    [set => token($key{ES256}, { sub => 'ada' }, { alg => 'RS256' }),
     'bad_signature', 'another alg'],
    [set => token($key{ES256}, { sub => 'ada' }, { crit => ['b64'],
                                                 b64 => JSON::PP::false }),
     'critical', 'crit'],
    [set => token($key{ES256}, '{"sub":"ada","sub":"bob","exp":9999999999}'),
     'malformed', 'a member twice'],
    [set => token($key{ES256}, { sub => 'ada' },
                  '{"alg":"none","alg":"ES256"}'), 'malformed',
     'alg twice'],
    [set => token($key{ES256}, { sub => 'ada', exp => time - 20 }), 'expired',
     'expired'],
    [set => token($key{ES256}, { sub => 'ada', exp => undef }), 'expired',
     'for ever'],
    [hs => token($secret, { sub => 'ada', exp => time - 1 }), 'expired',
     'expired, no leeway'],
    [set => token($key{ES256}, { sub => 'ada', nbf => time + 60 }),
     'not_yet_valid', 'not yet'],
    [set => token($key{ES256}, { sub => 'ada', aud => 'x' }), 'audience',
     'for somebody else'],
    [strict => token($secret, { sub => 'ada', aud => 'loyalty' }), 'issuer',
     'no issuer'],
    [strict => token($secret, { sub => 'ada', aud => 'loyalty',
                                iss => 'https://login.shop.evil' }),
     'issuer', 'another issuer'],
    [strict => token($secret, { sub => 'ada', iss => 'https://login.shop' }),
     'audience', 'no audience'],
    [strict => token($secret, { sub => 'ada', iss => 'https://login.shop',
                                aud => ['a', 'loyalty2'] }),
     'audience', 'other audiences'],
    [set => 'x' x 9000, 'too_large', 'large'],
    [set => token($key{ES256}, { sub => 'ada', x => 'x' x 7000 }),
     'too_large', 'large, and signed'],
) {
    my ($path, $token, $detail, $name) = @$_;
    my $r = me($path, $token);

    is($r->status . ' ' . $r->code . ' ' . $r->json->{detail},
       "401 invalid_token $detail", $name);
    is($r->header('WWW-Authenticate'), 'Bearer error="invalid_token"',
       "$name: said in the header");
}

is(who('strict', token($secret, { sub => 'ada', aud => ['x', 'loyalty'],
       iss => 'https://login.shop', exp => time - 20 })), 'ada',
   'issuer, audience, leeway');
is(who('other', $good), '401 no_member', 'a good token, another identity');
is(who('other', 'x'), '401 invalid_token', 'a bad token is refused');


# ---- members that are none ----

for my $member ("a\nb", "a\x7fb", "a\x01", 'x' x 129) {
    is(me('set', token($key{EdDSA}, { sub => $member }))->status,
       length $member > 128 ? 400 : 401, 'a member that is none');
}


# ---- variables ----

sub claims {
    my ($claims) = @_;

    return $t->get('/claims', headers => { Authorization => 'Bearer '
        . (ref $claims ? token($secret, $claims) : $claims) })->body;
}

is(claims({ sub => 'ada', n => -12, x => JSON::PP::true, customerId => 'c',
            'https://shop/tier' => 'gold' }), 'ok|ada|-12|true|c|gold|',
   'of every kind');
is(claims({ 'https___shop_tier' => 'a', 'https://shop/tier' => 'b' }),
   'ok|||||a|', 'an exact name goes first');
is(claims({ x => ['a', 'b', { c => undef }], n => 1.5, sub => undef }),
   'ok||1.5|["a","b",{"c":null}]|||', 'structures');
is(claims({ customerid => 1, customerId => 2, CustomerID => 3 }),
   'ok||||1||', 'several names, one exact');
is(claims({ customerId => 2, CustomerID => 3 }), 'ok||||||',
   'several names, none exact');
is(claims('x'), 'malformed||||||', 'a bad one');
is($t->get('/claims')->body, 'none||||||', 'none');

is($t->get('/header', headers => { Authorization => 'Bearer '
       . token($secret, { sub => 'ada', name => "x\r\nX-Admin: 1" }) })->body,
   'ada||', 'a claim begins no header');


# ---- two configurations in one request ----

is(who('two', token($key{RS256}, { sub => 'ada' }),
       Cookie => 'session=' . token($secret, { sub => 'bob' })),
   '401 invalid_token', 'two tokens');
is(who('three', token($key{RS256}, { sub => 'ada' }),
       Cookie => 'session=' . token($secret, { sub => 'bob' })),
   '401 invalid_token', 'two tokens, the first one again');
is(who('two', token($key{RS256}, { sub => 'ada' })), '401 invalid_token',
   'one token, not the one that was read');
is(who('same', token($key{EdDSA}, { sub => 'ada' })), 'ada',
   'one token under two configurations');
is(who('same', token($key{RS256}, { sub => 'ada' })), '401 invalid_token',
   'good under the first only');


# ---- HTTP/2 ----

my $sock = IO::Socket::INET->new(
    PeerAddr => '127.0.0.1:' . $t->port('h2')) or die "connect: $!";
my $h2 = Loyalty::H2->new($sock);

for ([$good, 200], ["$good.", 401], ["$head.$body.A$sig", 401]) {
    my ($token, $status) = @$_;
    is($h2->response($h2->request('GET', '/set/me', undef,
           authorization => "Bearer $token"))->{status}, $status, 'HTTP/2');
}


# ---- failures are counted and logged ----

is(me('limit', $good)->status, 200, 'a good token') for 1 .. 3;
is(me('limit', undef)->status, 401, 'none');
is(me('limit', 'x')->status, 401, 'a bad one');
is(me('limit', 'x')->status, 429, 'one too many');
is(me('limit', $good)->status, 200, 'a good one all the same');

my $log = $t->read_file('jwt.log');
like($log, qr{^/set/me $_$}m, "logged: $_")
    for qw(ok none malformed algorithm no_key bad_signature expired
           not_yet_valid critical audience too_large);
like($t->log, qr/\[info\].*invalid token: expired/, 'and in the error log');
unlike($log . $t->log, qr/$sig/, 'no token in any log');


# ---- keys change with a reload ----

$t->write_file('set.json', $json->encode({ keys =>
    [ Loyalty::Token::jwk($stranger) ] }));
ok($t->reload(wait => 1), 'reload');
is(who('set', $good), '401 invalid_token', 'the old key is gone');
is(who('set', token($stranger, { sub => 'eve' })), 'eve',
   'the new one is there');


# ---- nginx -t ----

sub check {
    my ($args, %more) = @_;

    return Loyalty::Test->check(program => 'wallet points;',
        files => { %files, 'bad.json' => "{\n\"keys\": [ $secret ]\n}",
            'twice.json' => '{"keys":[],"keys":[]}',
            'short' => 'x' x 31, 'text' => 'x' x 40,
            'private.pem' => "$key{ES256}{public}$key{RS256}{private}" },
        server => "\nloyalty_jwt $args;\nlocation / { return 200 "
                . '$loyalty_jwt_sub; }', %more);
}

for my $args ('key_file=all.pem', 'jwks_file=set.json alg=RS256 alg=EdDSA',
              'key_file=secret alg=HS256 leeway=0s', 'off; loyalty_jwt off',
              'key_file=all.pem iss=a aud=b leeway=1h token=$http_x_token')
{
    next if $args =~ /^off/;
    my ($ok, $out) = check($args);
    ok($ok, "loyalty_jwt $args") or diag($out);
}

for (
    ['iss=x', qr/needs either "key_file=" or "jwks_file=".*nginx\.conf:\d/],
    ['key_file=all.pem jwks_file=set.json', qr/needs either "key_file="/],
    ['key_file=no.pem', qr/open\(\) "\S+no.pem" failed.*nginx\.conf:\d/],
    ['key_file=all.pem alg=HS512', qr/invalid parameter "alg=HS512".*HS256/],
    ['key_file=all.pem alg=none', qr/invalid parameter "alg=none"/],
    ['key_file=all.pem leeway=2h', qr/invalid parameter "leeway=2h"/],
    ['key_file=all.pem leeway=1s leeway=2s',
     qr/invalid parameter "leeway=2s".*once each/],
    ['key_file=all.pem leeway=x', qr/invalid parameter "leeway=x"/],
    ['key_file=all.pem iss=', qr/invalid parameter "iss="/],
    ['key_file=all.pem iss=a iss=b', qr/invalid parameter "iss=b"/],
    ['key_file=all.pem off', qr/invalid parameter "off"/],
    ['key_file=all.pem token=x', qr/a variable, such as "token=\$cookie/],
    ['key_file=all.pem alg=HS256', qr/"\S+all.pem": there is no key in it/],
    ['key_file=text', qr/"\S+text": a public key .*or a secret with "alg=HS/],
    ['key_file=text alg=HS256 alg=RS256', qr/"\S+text": a public key/],
    ['key_file=short alg=HS256', qr/"\S+short": a secret of 32 to 1024/],
    ['key_file=private.pem', qr/"\S+private.pem", line \d+: a private key/],
    ['jwks_file=bad.json',
     qr/"\S+bad.json", line 2: it is not JSON.*nginx\.conf:\d/],
    ['jwks_file=twice.json', qr/it is not JSON, or has a member twice/],
    ['jwks_file=set.json alg=HS256', qr/"\S+set.json": there is no key/],
    ['jwks_file=all.pem', qr/"\S+all.pem", line 1: it is not JSON/],
    ['key_file=all.pem; loyalty_jwt key_file=all.pem', qr/is duplicate/],
) {
    my ($args, $want) = @$_;
    my ($ok, $out) = check($args);

    ok(!$ok, "loyalty_jwt $args: refused");
    like($out, $want, "loyalty_jwt $args: the reason");
    unlike($out, qr/a secret of at least 32|xxx|MII/, 'no byte of a key');
}

my ($ok, $out) = Loyalty::Test->check(program => 'wallet points;',
    server => 'location / { return 200 $loyalty_jwt_sub; }');
like($out, qr/"loyalty_jwt_sub" is used, and there is no "loyalty_jwt" in .*nginx\.conf:\d/,
     'variables without a loyalty_jwt');


done_testing();
