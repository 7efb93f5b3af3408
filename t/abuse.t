#!/usr/bin/perl

# Limits: the configuration of docs/abuse.md, as it stands there, keeps
# members, addresses and failed authentications within them, and says so in
# problems.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_hex);
use FindBin;
use IO::Socket::INET;
use JSON::PP ();
use POSIX qw(strftime);
use Time::HiRes qw(sleep);
use lib "$FindBin::Bin/lib";

use Loyalty::FakeRedis;
use Loyalty::H2;
use Loyalty::Test;
use Loyalty::Token;
use Test::More;

my $json = JSON::PP->new->utf8->canonical;
my ($secret, $key) = ('a secret of at least 32 bytes, is it?', '0a' x 32);

open my $fh, '<', "$FindBin::Bin/../docs/abuse.md" or die "abuse.md: $!";
my ($example) = do { local $/; <$fh> } =~ /^```nginx\n(.*?)^```/ms;

my $redis = qr/redis\s+127\.0\.0\.1:6379;/;
my $listen = qr/listen 8080;/;
like($example, $redis, 'the example has a Redis');
like($example, $listen, 'and a port');


sub shop {
    my ($redis_at, %change) = @_;
    my $http = $example;

    $http =~ s/$redis/redis unix:$redis_at;/;
    $http =~ s/$listen/listen 127.0.0.1:%%PORT%%;
                       listen 127.0.0.1:%%PORT_h2%% http2;/;
    $http =~ s/\Q$_\E/$change{$_}/ or die "no $_" for keys %change;

    return Loyalty::Test->new(start => 0,
        files => { 'hooks.keys' => "a:$key\n", 'token.secret' => $secret },
        conf => <<END);
daemon off;
@{[ $> == 0 ? 'user root;' : '' ]}
pid %%TESTDIR%%/nginx.pid;
error_log %%TESTDIR%%/error.log info;
load_module %%MODULE%%;
events { }
http {
    access_log off;
    client_body_temp_path %%TESTDIR%%/client_temp;
    proxy_temp_path %%TESTDIR%%/proxy_temp;
    fastcgi_temp_path %%TESTDIR%%/fastcgi_temp;
    uwsgi_temp_path %%TESTDIR%%/uwsgi_temp;
    scgi_temp_path %%TESTDIR%%/scgi_temp;
$http
}
END
}


my $t = shop('%%REDIS%%');
$t->start;

my %token = map { $_ => Loyalty::Token::make($secret, { sub => $_ }) }
            'a' .. 'h';


sub statuses {
    my %n;
    $n{$_->status}++ for @_;
    return join ' ', map { "$_:$n{$_}" } sort keys %n;
}


sub me {
    my ($member, $times) = @_;

    return map { $t->get('/loyalty/me', headers => {
        Authorization => "Bearer $token{$member}" }) } 1 .. $times // 1;
}


sub redeem {
    my ($member, $times) = @_;

    return map { $t->post('/loyalty/rewards/mug/redemptions', '{}',
        headers => { Authorization => "Bearer $token{$member}",
                     'Idempotency-Key' => "k$_" }) } 1 .. $times;
}


sub hook {
    my ($event, $right) = @_;
    my $body = $json->encode({ type => 'purchase', amount => '1.00',
                               id => 'x', %$event });
    my $time = time;
    my $sig = hmac_sha256_hex("$time.$body", pack 'H*', $key);
    $sig =~ tr/0-9a-f/1-9a-f0/ if defined $right && !$right;

    return $t->post('/loyalty-in/events', $body,
        headers => { 'Loyalty-Signature' => "t=$time,v1=$sig" });
}


# ---- the answer ----

my @r = redeem('a', 8);
like(statuses(@r), qr/^409:[4-6] 429:[2-4]$/, 'a member who redeems too often');
is($r[0]->code, 'insufficient_balance', 'what passes is answered');

my ($no) = grep { $_->status == 429 } @r;
is($no->header('Content-Type'), 'application/problem+json', 'a problem');
is($no->header('Retry-After'), 2, 'when to try again');
ok(defined $no->header('X-Request-Id'), 'which request it was');
is_deeply($no->json, { type => 'urn:nginx-loyalty:problem:rate_limited',
    title => 'There are too many requests', status => 429,
    code => 'rate_limited', retry_after => 2 }, 'the problem');

is(statuses(redeem('b', 3)), '409:3', 'another member is not touched');
is(statuses(me('a', 5)), '200:5', 'nor is what changes nothing');


# ---- members, addresses ----

my %n;
$n{$_->status}++ for me('c', 60);
cmp_ok($n{200}, '>=', 21, 'a member who asks often');
cmp_ok($n{429} // 0, '>=', 1, 'is told so');
is(statuses(me('d')), '200:1', 'another one');

my $h2 = Loyalty::H2->new(IO::Socket::INET->new(
    PeerAddr => '127.0.0.1:' . $t->port('h2')) // die "connect: $!");
my @ids = map { $h2->request('GET', '/loyalty/me', undef,
              authorization => "Bearer $token{e}") } 1 .. 60;
%n = ();
$n{$h2->response($_)->{status}}++ for @ids;
cmp_ok($n{200}, '>=', 4, 'HTTP/2: some pass');
cmp_ok($n{429}, '>=', 30, 'HTTP/2: too many do not');

$t->stop;
$t = shop('%%REDIS%%', 'rate=50r/s' => 'rate=1r/m', 'burst=100' => 'burst=4');
$t->start;
is(statuses(map { me($_) } 'a' .. 'h'), '200:5 429:3',
   'an address of many members');
$t->stop;


# ---- what is refused is not counted ----

$t = shop('%%REDIS%%', 'rate=50r/s' => 'rate=1r/m', 'burst=100' => 'burst=9');
$t->start;

is(statuses(map { $t->get('/loyalty/me', headers => {
    Authorization => "Bearer $token{a}$_" }) } 1 .. 30), '401:6 429:24',
   'too many bad tokens');
is(statuses(me('a', 6)), '200:4 429:2',
   'those that were refused are not counted by the address');
$t->stop;


# ---- failed authentications ----

$t = shop('%%REDIS%%');
$t->start;

my @bad = map { $t->get('/loyalty/me', headers => {
    Authorization => "Bearer $token{a}$_" }) } 1 .. 10;
is(statuses(@bad), '401:6 429:4', 'tokens that are refused');
is(statuses(me('a', 3)), '200:3', 'good ones pass all the same');
is(statuses(map { $t->get('/loyalty/me') } 1 .. 10), '401:10',
   'no token is no guess');

my @unsigned = map { $t->post('/loyalty-in/events', '{}',
    headers => { $_ ? ('Loyalty-Signature' => $_) : () }) }
    (undef, 'x', 't=1,v1=' . '0' x 64) x 4;
is(statuses(@unsigned), '403:6 429:6', 'requests that are not signed');
is(statuses(map { hook({ id => "w$_", member => 'w' }, 0) } 1 .. 10),
   '403:10', 'a wrong signature is that of an address');
is(statuses(map { hook({ id => "i$_", member => 'a' }) } 1 .. 10), '200:10',
   'what is signed is taken');
is(statuses(map { hook({ id => "i$_", member => 'a' }) } 1 .. 10), '200:10',
   'and taken again');
is((me('a'))[0]->json->{wallets}{points}{balance}, 10, 'once');
$t->stop;


# ---- plays and entries ----

my ($open, $close) = map { strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + $_)) }
                     -600, 7200;

$t = shop('%%REDIS%%', 'reward  mug { cost points 10;  stock 5; }' => <<"END");
secret_file secret;
unsafe_store on;
instant_win wheel { open $open; close $close; draw odds;
    prize pen { stock 5; odds 1/10; } }
sweepstakes raffle { open $open; close $close; free_entry on;
    prize trip { stock 1; } }
END
$t->write_file(secret => 'main:' . '5a' x 32 . "\n");
$t->start;
ok($t->wait_log(qr/registered version 1 of $_/), "$_ is there")
    for 'instant_win wheel', 'sweepstakes raffle';

sub change {
    my ($member, $path, $body) = @_;

    return map { $t->post("/loyalty/$path", $body,
        headers => { Authorization => "Bearer $token{$member}",
                     'Idempotency-Key' => "k$_" }) } 1 .. 8;
}

sub records {
    my ($game, $chunks, $size) = @_;
    my $bytes = 0;

    $bytes += $t->redis->call('STRLEN', $_)
        for @{ $t->redis->call('KEYS', "{shop:g:$game:*}:$chunks:*") };

    return $bytes / $size;
}

for (['a', 'games/wheel/plays', {}, 'plays', 'wheel', 'l', 189],
     ['b', 'sweepstakes/raffle/entries', { tickets => 1, free => JSON::PP::true },
      'entries', 'raffle', 'e', 132])
{
    my ($member, $path, $body, $name, $game, $file, $size) = @$_;
    my @r = change($member, $path, $body);
    my $passed = grep { $_->status == 200 } @r;

    like(statuses(@r), qr/^200:[4-6] 429:[2-4]$/, "$name that are too many");
    is($_->code, 'rate_limited', "$name: a problem")
        for grep { $_->status == 429 } @r;
    is(records($game, $file, $size), $passed, "$name: no others are made");
}

is(statuses((change('b', 'games/wheel/plays', {}))[0, 1]), '429:2',
   'plays and entries count together');
$t->stop;


# ---- at once ----

$t = shop('%%TESTDIR%%/fake.sock',
          'zone=member:10m   rate=10r/s' => 'zone=member:10m rate=1r/m',
          'zone=member  burst=20' => 'zone=member burst=9');
my $fake = Loyalty::FakeRedis->new($t, [
    [ qr/^GET .*m:1:a/, PAUSE => 0.3, FORWARD => 1, times => 1 ] ]);
$t->start;

@r = $t->parallel(map { ['GET', '/loyalty/me', undef,
    headers => { Authorization => "Bearer $token{$_}" }] } ('a') x 8, 'b');
is(statuses(@r[0 .. 7]), '200:4 429:4', 'a member who asks at the same time');
is($r[8]->status, 200, 'another one');
is(statuses(me('a', 4)), '200:2 429:2',
   'those that limit_conn refused are counted by limit_req');


# ---- nginx -t ----

sub check {
    my ($server) = @_;

    return Loyalty::Test->check(program => 'wallet points;',
                                server => "\n$server");
}

for my $args ('rate_limited', 'busy retry_after=1d', 'no_member') {
    my ($ok, $out) = check("location /a { loyalty_problem $args; }");
    ok($ok, $args) or diag($out);
}

for (
    ['location /a { loyalty_problem slow; }',
     qr/invalid problem "slow".*"rate_limited" is expected.*\.conf:\d+/],
    ['location /a { loyalty_problem method_not_allowed; }',
     qr/invalid problem "method_not_allowed"/],
    ['location /a { loyalty_problem busy retry_after=0; }',
     qr/invalid parameter "retry_after=0".*1s to 1d/],
    ['location /a { loyalty_problem busy retry_after=2d; }',
     qr/invalid parameter "retry_after=2d"/],
    ['location /a { loyalty_problem busy 1s; }',
     qr/invalid parameter "1s"/],
    ['location /a { loyalty_problem busy; loyalty_problem busy; }',
     qr/"loyalty_problem" directive is duplicate/],
    ['location /a { loyalty_metrics; loyalty_problem busy; }',
     qr/is in a location that has another handler already/],
    ['location /a { loyalty_problem busy; loyalty_metrics; }',
     qr/the location has another API already/],
    ['loyalty_problem busy;', qr/is not allowed here/],
) {
    my ($server, $want) = @$_;
    my ($ok, $out) = check($server);

    ok(!$ok, "$server: refused");
    like($out, $want, "$server: the reason");
}

$t->stop;
$t = Loyalty::Test->new(program => 'wallet points;', server => <<'END');
location = /busy  { loyalty_problem busy; }
location = /plain { loyalty_problem not_open; }
location = /own   { error_page 403 = @closed; deny all; }
location @closed  { loyalty_problem not_eligible; }
END

$no = $t->post('/busy', 'x' x 100_000);
is($no->status . $no->code . $no->header('Retry-After'), '503busy1',
   'a problem with a time of its own');
$no = $t->get('/plain');
is($no->status . $no->code . ($no->header('Retry-After') // ''),
   '409not_open', 'one without');
$no = $t->request('HEAD', '/busy');
is($no->status . $no->body, '503', 'HEAD');
$no = $t->get('/own');
is($no->status . $no->code, '409not_eligible', 'for access rules');


done_testing();
