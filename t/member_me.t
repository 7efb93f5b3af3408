#!/usr/bin/perl

# GET me: who the member is, what the account shows, what is refused.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;


my $t = Loyalty::Test->new(
    program => <<'END',
money EUR 2;
timezone UTC;
max_event_age 40y;

wallet points;
wallet credits;

tier bronze 0;
tier silver 1000 multiplier=1.25;
tier gold 5000 multiplier=1.5;

earn purchase points 1 per=1.00;

challenge three {
    on purchase;
    goal 3;
    award credits 5;
}

challenge monthly {
    on purchase;
    goal 100.00 of amount;
    every month;
}

streak visits {
    on visit;
    every week;
    award points 10 at=2;
}
END
    server => <<'END',
location /fixed/ {
    loyalty_member_api shop;
    loyalty_member "fixed $http_x_extra";
}

location /tab/ {
    loyalty_member_api shop;
    loyalty_member "a\tb$http_x_extra";
}

location /page.html {
    root %%TESTDIR%%;
    ssi on;
}
END
    files => { 'page.html' =>
               '[<!--# include virtual="/loyalty/me?member=ssi" -->]' });


# ---- a member never seen ----

my $r = $t->me('nobody');

is($r->status, 200, 'a member never seen has an account');
is($r->header('Content-Type'), 'application/json', 'it is JSON');
is($r->header('Cache-Control'), 'no-store', 'which no cache keeps');
like($r->header('X-Request-Id'), qr/^[0-9a-f]{32}$/, 'with a request id');

is_deeply([sort keys %{$r->json}],
          [qw(badges challenges games member rewards streaks sweepstakes tier
              wallets)], 'its parts');
is($r->json->{member}, 'nobody', 'the member');
is_deeply($r->json->{wallets},
          { points => { balance => 0, lifetime => 0 },
            credits => { balance => 0, lifetime => 0 } }, 'empty wallets');
is_deeply($r->json->{tier},
          { name => 'bronze', multiplier => '1',
            next => { name => 'silver', at => 1000, missing => 1000 } },
          'the lowest tier');
is_deeply([map { "$_->{name} $_->{progress} of $_->{goal}" }
           @{$r->json->{challenges}}],
          ['three 0 of 3', 'monthly 0.00 of 100.00'],
          'challenges in the order of the program');
is_deeply([map { "$_->{name} $_->{length} $_->{best} $_->{state}" }
           @{$r->json->{streaks}}], ['visits 0 0 none'], 'streaks');
is_deeply([grep { !/:(?:names|libraries)$/ }
           @{$t->redis->call('KEYS', '*')}], [],
          'looking leaves nothing behind');


# ---- an account with something in it ----

sub purchase {
    my ($member, $id, $amount) = @_;

    return $t->event({ id => "$id", member => $member, type => 'purchase',
                       amount => $amount });
}

is(purchase('anna', $_, '500.50')->status, 200, "purchase $_") for 1 .. 2;
is($t->event({ id => 'v', member => 'anna', type => 'visit' })->status, 200,
   'a visit');

$r = $t->me('anna')->json;

is_deeply($r->{wallets},
          { points => { balance => 1000, lifetime => 1000 },
            credits => { balance => 0, lifetime => 0 } }, 'points');
is_deeply($r->{tier},
          { name => 'silver', multiplier => '1.25',
            next => { name => 'gold', at => 5000, missing => 4000 } },
          'exactly at the threshold');
is_deeply([map { "$_->{name} $_->{progress} of $_->{goal}" }
           @{$r->{challenges}}],
          ['three 2 of 3', 'monthly 100.00 of 100.00'], 'challenges');
is_deeply([map { "$_->{name} $_->{length} $_->{best} $_->{state}" }
           @{$r->{streaks}}], ['visits 1 1 active'], 'streaks');

purchase('anna', 3, '3200.00');
$r = $t->me('anna')->json;

is_deeply($r->{wallets},
          { points => { balance => 5000, lifetime => 5000 },
            credits => { balance => 5, lifetime => 5 } },
          'multiplied points, and an award');
is_deeply($r->{tier}, { name => 'gold', multiplier => '1.5', next => undef },
          'the highest tier');

is($t->reversal(3, { member => 'anna', id => 'r3' })->status, 200,
   'a reversal');
is_deeply($t->me('anna')->json->{wallets},
          { points => { balance => 1000, lifetime => 1000 },
            credits => { balance => 0, lifetime => 0 } },
          'points and award taken back');


# ---- who the member is ----

is($t->get('/loyalty/me')->status, 401, 'no member');
is($t->get('/loyalty/me')->code, 'no_member', 'its code');
is($t->get('/loyalty/me')->header('Content-Type'),
   'application/problem+json', 'its type');

is($t->me('m' x 128)->status, 200, 'an id of 128 bytes');
is($t->me('m' x 129)->status, 400, 'of 129');
is($t->me('m' x 129)->code, 'invalid_field', 'its code');

is($t->me("Zo\xc3\xab")->json->{member}, "Zo\x{eb}", 'an id in UTF-8');

for my $bad (["\xff", 'no UTF-8'], ["a\xc3", 'cut off UTF-8'],
             ["\xc0\xaf", 'an overlong form'], ["\xed\xa0\x80", 'a surrogate'],
             ["\xc2\x85", 'a C1 control'], ["\xc2\x80", 'another'])
{
    my $r = $t->me($bad->[0]);

    is($r->status . ' ' . $r->code, '400 invalid_field', $bad->[1]);
}

is($t->get('/tab/me')->code, 'invalid_field', 'a tab');

is($t->get('/fixed/me', headers => { 'X-Extra' => 'x' })->json->{member},
   'fixed x', 'the member is a complex value');
is($t->get('/fixed/me?member=other')->json->{member}, 'fixed ',
   'and nothing else in the request is');


# ---- paths and methods ----

my %who = (headers => { 'X-Member' => 'anna' });

for my $path ('', 'you', 'me/', 'mex', 'me/historyx', 'me/history/x',
              'me/history/', '/me', 'me%2fhistory', 'ME')
{
    my $r = $t->get("/loyalty/$path", %who);

    is($r->status . ' ' . $r->code, '404 unknown_path', "path \"$path\"");
    like($r->json->{detail}, qr{me/history}, 'and which there are');
}

is($t->get('/loyalty/%6d%65', %who)->status, 200, 'an escaped path');

for my $method (qw(POST PUT DELETE OPTIONS)) {
    my $r = $t->request($method, '/loyalty/me', undef, %who);

    is($r->status, 405, $method);
    is($r->header('Allow'), 'GET, HEAD', 'what is allowed');
}

my $head = $t->request('HEAD', '/loyalty/me', undef, %who);

is($head->status, 200, 'HEAD');
is($head->body, '', 'without a body');
is($head->header('Content-Length'),
   length $t->get('/loyalty/me', %who)->body, 'but with its length');


# ---- bodies and connections ----

my $get = "GET /loyalty/me HTTP/1.1\r\nHost: a\r\nX-Member: anna\r\n";
my $last = "GET /loyalty/me HTTP/1.1\r\nHost: a\r\nX-Member: nobody\r\n"
           . "Connection: close\r\n\r\n";

my $sock = $t->connect;
print $sock $get, "Content-Length: 5\r\n\r\n12345", $last;
my $all = do { local $/; <$sock> };

is(() = $all =~ /HTTP\/1\.1 200 OK/g, 2,
   'a body is discarded, the next request is read behind it');
like($all, qr/"member":"anna".*"member":"nobody"/s, 'in order');

$sock = $t->connect;
print $sock $get, "Content-Length: 100000\r\n\r\n";
$sock->blocking(1);
print $sock 'x' x 50000;
select undef, undef, undef, 0.1;
print $sock 'x' x 50000, $last;
$all = do { local $/; <$sock> };

is(() = $all =~ /HTTP\/1\.1 200 OK/g, 2, 'a body that comes late');

like($t->get('/page.html')->body, qr/^\[\{"member":"ssi".*\}\s*\]$/s,
     'as a subrequest');

my @all = $t->parallel(map { ['GET', '/loyalty/me', undef,
                              headers => { 'X-Member' => "m$_" }] } 1 .. 50);

is_deeply([map { $_->json->{member} } @all], [map { "m$_" } 1 .. 50],
          'each of many gets its own');

done_testing();
