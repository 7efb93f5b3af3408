#!/usr/bin/perl

# conf/mobile.conf, as it is shipped: what an app does with the tokens of its
# members, what the site's servers report, and who is turned away.

use strict;
use warnings;

use Cwd qw(realpath);
use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Sample;
use Loyalty::Test;
use Loyalty::Token;
use Test::More;

my $token_sh = realpath("$FindBin::Bin/../conf/mobile/token.sh");
my $api = '/api/v1/loyalty';
my ($n, $keys) = (0, 0);

my $t = Loyalty::Test->new(start => 0, conf => Loyalty::Sample::conf('mobile'),
    redis => { appendonly => 1 },
    files => { 'draws.secret' => 'main:' . '0c' x 32 . "\n",
               'hooks.keys' => 'site:' . '0a' x 32 . "\n",
               'admin.keys' => 'boss:' . '0b' x 32 . "\n" });
my $dir = $t->dir;
my $site = 'http://127.0.0.1:' . $t->port . '/api/v1/hooks';
my $admin = 'http://127.0.0.1:' . $t->port('private') . '/loyalty-admin';

# the login service, and somebody else's
system($token_sh, 'key', "$dir/$_.pem") == 0 or die "no key\n"
    for 'login', 'forger';
$t->write_file('login.jwks', scalar `$token_sh jwks $dir/login.pem`);
like($t->read_file('login.jwks'), qr/"OKP"/, 'a key set');

$t->start;


sub token {
    my ($member, $seconds, $key) = @_;

    chomp(my $token = `$token_sh $dir/@{[ $key // 'login' ]}.pem $member @{[
                       $seconds // '' ]}`);
    return $token;
}


sub ask {
    my ($token, $method, $path, $body, %headers) = @_;

    return $t->request($method, $api . $path, $body, headers => {
        defined $token ? (Authorization => "Bearer $token") : (),
        %headers });
}


sub post {
    my ($token, $path, $body, $key) = @_;

    return ask($token, 'POST', $path, $body,
               'Idempotency-Key' => $key // 'k' . ++$keys);
}


sub balance {
    return ask($_[0], 'GET', '/me')->json->{wallets}{points}{balance};
}


sub bought {
    my ($member, $amount, $id) = @_;

    $id //= 'order-' . ++$n;
    return (Loyalty::Sample::call('--keys', "$dir/hooks.keys", "$site/events",
        qq({"id":"$id","member":"$member","type":"purchase",)
        . qq("amount":"$amount"})))[1];
}


sub operate {
    my ($path, $body, @more) = @_;

    return (Loyalty::Sample::call('--admin', '--keys', "$dir/admin.keys",
        @more, "$admin$path", defined $body ? $body : ()))[1];
}


# ---- who is it? ----

my $ada = token('ada');
my $r = ask($ada, 'GET', '/me');
is($r->status, 200, 'a member with a token');
is($r->json->{member}, 'ada', 'is who it says');
is($r->header('Access-Control-Allow-Origin'), undef, 'for no other page');

$r = ask(undef, 'GET', '/me');
is($r->status . $r->code, '401no_member', 'nobody');
is($r->header('Content-Type'), 'application/problem+json', 'is told so');

my $key = { alg => 'EdDSA', private => $t->read_file('login.pem') };
my %claims = (iss => 'https://login.example', aud => 'loyalty', sub => 'ada');

for (
    ['forged', token('ada', undef, 'forger'), 'bad_signature'],
    ['expired', token('ada', -60), 'expired'],
    ['cut', substr($ada, 0, -5), 'malformed'],
    ['for something else', Loyalty::Token::make($key,
        { %claims, aud => 'mail' }), 'audience'],
    ['of somebody else', Loyalty::Token::make($key,
        { %claims, iss => 'https://evil.example' }), 'issuer'],
    ['not signed', Loyalty::Token::make('', \%claims, { alg => 'none' }),
     'algorithm'],
) {
    my ($what, $token, $why) = @$_;

    $r = ask($token, 'POST', '/games/scratch/plays', undef,
             'Idempotency-Key' => 'x');
    is($r->status . $r->code, '401invalid_token', "a token that is $what");
    is($r->json->{detail}, $why, 'and why');
}

like($r->header('WWW-Authenticate'), qr/error="invalid_token"/,
     'in the header as well');
is(ask(token('ada', undef, 'forger'), 'GET', '/me')->code, 'rate_limited',
   'who goes on guessing is slowed down');
is(ask($ada, 'GET', '/me')->status, 200, 'others at that address are not');
is(ask(Loyalty::Token::make($key, { %claims, sub => 'eve' }), 'GET',
       '/me')->json->{member}, 'eve', 'a good one of the same key');


# ---- what the site reports ----

is(bought('ada', '60.00', 'order-a')->{balances}{points}, 60, 'a purchase');
ok(bought('ada', '60.00', 'order-a')->{duplicate}, 'once');
is(balance($ada), 60, 'is in the account');
is($t->post('/api/v1/hooks/events', '{}')->code, 'invalid_signature',
   'unsigned');
is((Loyalty::Sample::call('--keys', "$dir/admin.keys", "$site/events",
                          '{}'))[1]{code}, 'invalid_signature',
   'signed by somebody else');


# ---- plays ----

$r = ask($ada, 'POST', '/games/scratch/plays');
is($r->status . $r->code, '400idempotency_key_required', 'a play has a key');

bought('zed', '20.00');
is(post(token('zed'), '/games/scratch/plays')->code, 'sold_out',
   'not without the codes that it may give');
is(operate('/codes/coffee', join('', map { qq{"CUP-$_"\n} } 1 .. 20),
           '--type', 'application/x-ndjson')->{unused}, 20, 'codes');

my $play = post($ada, '/games/scratch/plays', undef, 'play-1');
is($play->status, 200, 'a play');
my $after = balance($ada);
$r = post($ada, '/games/scratch/plays', undef, 'play-1');
is($r->body, $play->body, 'whose answer was lost is the same one');
is($r->header('Idempotency-Replayed'), 'true', 'and says so');
is(balance($ada), $after, 'and is paid for once');
is($after, $play->json->{balances}{points}, 'as it was told');
is(post($ada, '/sweepstakes/spring/entries', { tickets => 1 }, 'play-1')
   ->status, 200, 'a key belongs to a path');
is(post($ada, '/sweepstakes/spring/entries', { tickets => 2 }, 'play-1')
   ->code, 'idempotency_conflict', 'and to a request');

my $bob = token('bob');
is(post($bob, '/games/scratch/plays')->code, 'insufficient_balance',
   'without points nobody plays');
bought('bob', '1.00') for 1 .. 3;
is(ask($bob, 'GET', '/me')->json->{games}[0]{plays}, 1,
   'a play for three orders');
is(post($bob, '/games/scratch/plays')->status, 200, 'which is played');
is(ask($bob, 'GET', '/me')->json->{games}[0]{plays}, 0, 'and gone');


# ---- the sweepstakes ----

$after = balance($ada);
my $entry = post($ada, '/sweepstakes/spring/entries', { tickets => 3 });
is($entry->status . $entry->json->{count}, '2003', 'tickets');
is(balance($ada), $after - 15, 'are paid for');
my $free = post($bob, '/sweepstakes/spring/entries',
                { tickets => 1, free => JSON::PP::true() });
is($free->status, 200, 'one for nothing');
is($free->json->{first}, $entry->json->{first} + 3, 'of the same pool');
is(ask($bob, 'GET', '/sweepstakes/spring')->json->{own}{tickets}, 1,
   'which the member sees');


# ---- rewards, operators ----

my $eve = token('eve');
bought('eve', '100.00');
$r = post($eve, '/rewards/free_coffee/redemptions', undef, 'coffee');
like($r->json->{code}, qr/^CUP-\d+$/, 'a coffee');
is(post($eve, '/rewards/free_coffee/redemptions', undef, 'coffee')->body,
   $r->body, 'once');
$r = post($eve, '/rewards/free_coffee/redemptions');
is($r->code, 'limit_reached', 'a day');
is($r->json->{title}, 'A limit is reached', 'and is told so');
is(balance($eve), 80, 'for 20 points');

is(operate('/games/scratch/pause', '{}')->{state}, 'paused', 'a pause');
is(post($eve, '/games/scratch/plays')->code, 'paused', 'for all');
is(operate('/games/scratch/resume', '{}')->{state}, 'open', 'and on');
is($t->get('/loyalty-admin/stats', port => 'private')->code,
   'invalid_signature', 'operators sign');


# ---- what nginx says by itself ----

for ('/', '/nothing', '/loyalty-admin/stats', '/metrics', '/loyalty/me') {
    $r = $t->get($_);
    is($r->status . ($r->code // ''), '404unknown_path', "$_ is not there");
}

is(ask($ada, 'GET', '/everything')->code, 'unknown_path', 'of the API');
is(post(token('pat'), '/games/nothing/plays')->code, 'unknown_game',
   'what the API says stays');

my $joe = token('joe');
my @many = map { post($joe, '/games/scratch/plays') } 1 .. 10;
my ($limited) = grep { $_->status == 429 } @many;
ok(defined $limited, 'a member who is too fast');
is($limited->code, 'rate_limited', 'is told so');
is($limited->header('Content-Type'), 'application/problem+json', 'by a problem');
is($limited->header('Retry-After'), 2, 'and when to try again');
is(post($eve, '/games/scratch/plays')->status, 200, 'another one is not');


# ---- proof ----

ok($t->wait_for(sub {
    $r = $t->get('/fair/games');
    return $r->body =~ /^scratch [0-9a-f]{32} /m;
}), 'proof is for anybody');
is($r->header('Access-Control-Allow-Origin'), '*', 'and any page');
unlike($r->body, qr/ada|bob|eve/, 'who are not in it');


# ---- without Redis ----

$t->redis_kill;
$r = post(token('zoe'), '/games/scratch/plays');
is($r->status . $r->code, '503unavailable', 'without Redis nothing is done');
ok($r->header('Retry-After') >= 1, 'for now');
$t->redis_start;
ok($t->wait_for(sub { ask($ada, 'GET', '/me')->status == 200 }),
   'and it goes on');
ok($t->wait_for(sub { post($ada, '/games/scratch/plays', undef, 'play-1')
                      ->body eq $play->body }), 'with what there was');


my $log = $t->read_file('access.log');
like($log, qr/member=ada token=ok/, 'the log has members');
like($log, qr/member= token=expired/, 'and why tokens were refused');
like($log, qr/key=site /, 'and who signed');
unlike($log, qr/\Q$ada/, 'and no tokens');

done_testing();
