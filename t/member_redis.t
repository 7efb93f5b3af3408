#!/usr/bin/perl

# The member API while Redis is slow or away, and clients that do not wait.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::H2;
use Loyalty::Test;
use Test::More;


my $t = Loyalty::Test->new(program => <<'END', server => <<'END');
redis unix:%%REDIS%% timeout=3s;
money EUR 2;
wallet points;
earn purchase points 1 per=1.00;
END
listen 127.0.0.1:%%PORT_h2%% http2;

location /after/ {
    loyalty_member_api shop;
    loyalty_member $test_member;
    post_action /gone;
}

location = /gone {
    return 204;
}
END

is($t->event({ id => '1', member => 'anna', type => 'purchase',
               amount => '3.00' })->status, 200, 'a purchase');


sub ask {
    my ($path, $member) = @_;
    my $sock = $t->connect;

    print $sock "GET $path HTTP/1.1\r\nHost: a\r\nX-Member: $member\r\n\r\n";

    return $sock;
}


sub metric {
    my ($name) = @_;

    return $t->metrics->{"nginx_loyalty_$name\{program=\"shop\"}"};
}


# ---- a stalled Redis ----

$t->redis_stall;

my $r = $t->me('anna');

is($r->status, 504, 'no reply in time');
is($r->code, 'outcome_unknown', 'its code');
ok($r->header('Retry-After'), 'to be tried again');

$t->redis_go;

ok($t->wait_for(sub { $t->me('anna')->status == 200 }), 'it is back');
is($t->me('anna')->json->{wallets}{points}{balance}, 3, 'with everything');


# ---- clients that go away ----

my $late = metric('redis_late_replies_total');

$t->redis_stall;

my @gone = map { ask($_, 'anna') } ('/loyalty/me', '/loyalty/me/history',
                                    '/after/me', '/after/me/history');
my $stays = ask('/loyalty/me', 'bert');

ok($t->wait_for(sub { metric('redis_inflight_operations') == 5 }),
   'all wait');

my $h2 = Loyalty::H2->new($t->connect('h2'));
my @streams = map { $h2->request('GET', '/loyalty/me', undef,
                                 'x-member' => $_) } qw(anna carl anna);

ok($t->wait_for(sub { metric('redis_inflight_operations') == 8 }),
   'streams, too');

close $_ for @gone;
$h2->reset($_) for @streams[0, 2];

# 204: post_action has the last word
ok($t->wait_for(sub {
    my @lines = $t->read_file('access.log') =~ / (?:499|204) 0 /g;
    return @lines >= 6;
}), 'nginx sees that they have gone');

$t->redis_go;

my $head = <$stays> // '';

like($head, qr/^HTTP\/1\.1 200 /, 'the one that stays is answered');
like(do { local $/ = '}}'; scalar <$stays> // '' }, qr/"member":"bert"/,
     'with its own account');

like($h2->response($streams[1])->{body}, qr/"member":"carl"/,
     'and the stream that stays with its own');

ok($t->wait_for(sub { metric('redis_inflight_operations') == 0 }),
   'nothing waits any more');
cmp_ok(metric('redis_late_replies_total'), '>=', $late + 6,
       'replies that nobody waited for');
is($t->me('anna')->json->{wallets}{points}{balance}, 3, 'me is as before');


# ---- no Redis ----

$t->redis_stop;

ok($t->wait_for(sub { $t->me('anna')->status == 503 }), 'no Redis');

$r = $t->me('anna');

is($r->code, 'unavailable', 'its code');
ok($r->header('Retry-After'), 'to be tried again');
is($r->header('Cache-Control'), 'no-store', 'and not to be kept');
is($t->history('anna')->code, 'unavailable', 'history');
is($t->get('/loyalty/me')->code, 'no_member',
   'what needs no Redis is said all the same');

$t->redis_start;
ok($t->wait_for(sub { $t->me('anna')->status == 200 }, 20), 'it is back');
is($t->history('anna')->status, 200,
   'history, though the library has to be loaded again');


# ---- reload while a request waits ----

$t->redis_stall;

my $waits = ask('/loyalty/me', 'carl');

ok($t->wait_for(sub { metric('redis_inflight_operations') >= 1 }), 'waits');
ok($t->reload, 'reload');

$t->redis_go;

like(scalar <$waits> // '', qr/^HTTP\/1\.1 200 /,
     'a request that waits is answered by the old worker');

done_testing();
