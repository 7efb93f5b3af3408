#!/usr/bin/perl

# conf/shop.conf, as it is shipped, in front of its backend: what customers,
# the shop's servers and its operators do, with Redis and without.

use strict;
use warnings;

use Cwd qw(realpath);
use FindBin;
use IO::Socket::INET;
use lib "$FindBin::Bin/lib";

use Loyalty::FakeRedis;
use Loyalty::HTTP;
use Loyalty::Sample;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(time);

my $conf = Loyalty::Sample::conf('shop');
my %files = ('events.keys' => 'shop-1:' . '0a' x 32 . "\n",
             'admin.keys' => "# who\nboss:" . '0b' x 32 . "\n");

my $t = Loyalty::Test->new(start => 0, conf => $conf, files => \%files,
                           redis => { appendonly => 1 });
my $backend = Loyalty::Sample::backend($t);
my $private = 'http://127.0.0.1:' . $t->port('private');
my $dir = $t->dir;
my $n = 0;

$t->start;


sub browse {
    my ($session, $uri, %opt) = @_;

    return $t->get($uri // '/', %opt, headers => {
        defined $session ? (Cookie => "lang=en; session=$session") : (),
        %{$opt{headers} // {}} });
}


sub direct { return browse($_[0], $_[1], port => 'backend') }


sub submit {
    my ($session, $uri, $form) = @_;

    return $t->post($uri, $form, headers => {
        'Content-Type' => 'application/x-www-form-urlencoded',
        defined $session ? (Cookie => "session=$session") : () });
}


sub sign_in {
    my ($name) = @_;
    my $r = submit(undef, '/login', "name=$name");

    my ($session) = ($r->header('Set-Cookie') // '') =~ /^session=(\w+)/;
    return $session // die 'not signed in: ' . $r->raw;
}


# the number of the order that the page would place
sub next_order {
    my ($session) = @_;

    return (direct($session)->body =~ /name="order" value="(\d+)"/)[0];
}


sub buy {
    my ($session, $item, $quantity, $order) = @_;

    $order //= next_order($session);
    return submit($session, '/checkout',
                  "order=$order&item=$item&quantity=$quantity");
}


sub me { return browse($_[0], '/loyalty/me')->json }

sub points { return (me($_[0]) // {})->{wallets}{points}{balance} // 'none' }

sub becomes {
    my ($session, $points, $what) = @_;

    ok($t->wait_for(sub { points($session) eq $points }, 8), $what)
        or diag(points($session));
    return;
}


sub metric {
    my ($name) = @_;

    my ($value) = $t->get('/metrics', port => 'private')->body
                =~ /^nginx_loyalty_$name\{program="shop"\} (\d+)$/m;
    return $value;
}


sub call {
    my ($keys, $path, $body, @more) = @_;

    return Loyalty::Sample::call('--keys', "$dir/$keys.keys", @more,
        "$private$path", defined $body ? $body : ());
}


# ---- the backend ----

open my $fh, '<', "$FindBin::Bin/../conf/shop/backend.pl" or die $!;
unlike(do { local $/; <$fh> }, qr/loyalty/i, 'the backend knows nothing');


# ---- nobody ----

my $r = browse();
is($r->status, 200, 'the shop');
is($r->body, direct()->body, 'for nobody: what the backend says');
like($r->body, qr/<meta name="viewport"/, 'for phones as well');
is(browse('0123')->body, $r->body, 'with a session that is none');
is(browse('0123')->header('X-Customer'), undef, 'which is nobody\'s');
is(browse(undef, '/nothing')->status, 404, 'a page that is not there');
is(browse(undef, '/loyalty/me')->code, 'no_member', 'there is no account');
$r = browse(undef, '/_session');
is($r->status . $r->body, '204', 'nobody is told whose session is whose');

unlike(browse(undef, '/headers', headers => { 'X-Loyalty-Tier' => 'gold',
    'X-Loyalty-Points' => 1e6 })->body, qr/gold|1000000|x-loyalty/i,
    'what clients say of their tier does not arrive');


# ---- a customer ----

my $ada = sign_in('ada');

like(browse($ada)->body, qr{</p>\s<p\ class="loyalty"[^>]*><b>bronze</b>\ &middot;
     \ 0\ points\ .*\ 0\.00/50\.00\ this\ week\ .*</p></header>}x,
     'a line in the page');
(my $plain = browse($ada)->body) =~ s{\n<p class="loyalty"[^>]*>.*?</p>}{};
is($plain, direct($ada)->body, 'and nothing else is changed');

like(browse($ada, '/headers', headers => { 'X-Loyalty-Tier' => 'gold' })->body,
     qr/^x-loyalty-points: 0\nx-loyalty-tier: bronze$/m,
     'the backend is told the tier');

my $order = next_order($ada);
$r = buy($ada, 'beans', 2, $order);
is($r->status, 201, 'a checkout');
like($r->body, qr/Thank you! Order $order/, 'as the shop answers it');
unlike($r->body, qr/class="loyalty"/, 'without the balance before it');
is_deeply([grep { defined $r->header($_) } qw(X-Customer X-Order X-Total)],
          [], 'what is meant for nginx stays there');
becomes($ada, 24, 'it is credited');

is(buy($ada, 'beans', 2, $order)->status, 200, 'sent again');
is(buy($ada, 'beans', 1, 12345)->status, 409, 'and one that is refused');
my $bob = sign_in('bob');
is(buy($bob, 'beans', 1, $order)->status, 409, 'or somebody else\'s');
is(buy(undef, 'beans', 1, 7)->status, 401, 'or nobody\'s');

is(buy($bob, 'mug', 1)->status, 201, 'another customer');
becomes($bob, 9, 'is credited');
is(points($ada), 24, 'and each purchase once');

my $account = me($ada);
is($account->{challenges}[0]{progress}, '24.00', 'progress');
is($account->{streaks}[0]{length}, 1, 'a visit');
my ($hour) = grep { /^visit-/ } map { $_->{id} }
    @{browse($ada, '/loyalty/me/history')->json->{history}};
like($hour, qr/^visit-\d{4}-\d\d-\d\dT\d\d$/, 'of this hour');
is(scalar(() = browse($ada, '/loyalty/me/history')->body =~ /"visit-/g), 1,
   'of many pages');

is(buy($ada, 'machine', 1)->status, 201, 'a machine');
becomes($ada, 24 + 249 + 100, 'and the challenge of the week');
like(browse($ada, '/headers')->body, qr/^x-loyalty-tier: silver$/m,
     'the next page knows the tier');
like(browse($ada)->body, qr{<b>silver</b> &middot; 373 points},
     'and says it');

my $log = $t->read_file('access.log');
like($log, qr{"GET /headers HTTP/1.1" 200 \d+ member=ada tier=silver loyalty=ok$}m,
     'so does the log');
like($log, qr{"GET / HTTP/1.1" 200 \d+ member= tier= loyalty=none$}m,
     'of nobody, too');


# ---- the shop's servers ----

my ($status, $reply) = call('events', "/loyalty-in/events/$order/reversal",
    '{"id":"refund-1","member":"ada","amount":"12.00"}');
is($status, 0, 'a refund');
is($reply->{balances}{points}, 361, 'takes points back');
($status, $reply) = call('events', "/loyalty-in/events/$order/reversal",
    '{"id":"refund-1","member":"ada","amount":"12.00"}');
ok($reply->{duplicate}, 'once');
($status, $reply) = call('admin', '/loyalty-in/events', '{"id":"x"}');
is("$status $reply->{code}", '22 invalid_signature', 'not with another key');
is((call('events', '/loyalty-in/events', '{}', qw(--id shop-1)))[0], 22,
   'an event that is none');
is((call('events', '/loyalty-in/events', '{}', qw(--id shop-2)))[0], 2,
   'a key that is none');
is($t->post('/loyalty-in/events', '{}', port => 'private')->code,
   'invalid_signature', 'nor without one');
is(submit($ada, '/loyalty-in/events', '{}')->status, 404,
   'nor where customers come');

my @refused = map { $t->post('/loyalty-in/events', '{}', port => 'private') }
              1 .. 8;
is($refused[-1]->code, 'rate_limited', 'nor too often');
is($refused[-1]->header('Retry-After'), 6, 'until later');


# ---- operators ----

($status, $reply) = call('admin', '/loyalty-admin/members/ada/adjustments',
    '{"wallet":"points","amount":50,"reason":"sorry"}',
    qw(--admin --key gift-1));
is($reply->{actor}, 'boss', 'an adjustment has an actor');
is(points($ada), 411, 'and is made');
is((call('admin', '/loyalty-admin/members/ada', undef, '--admin'))[1]{member},
   'ada', 'a look at a member');
is((call('events', '/loyalty-admin/members/ada', undef, '--admin'))[1]{code},
   'invalid_signature', 'servers are no operators');

($status, $reply) = call('admin', '/loyalty-admin/codes/coffee',
    qq{"CUP-1"\n"CUP-2"\n}, qw(--admin --type application/x-ndjson));
is($reply->{unused}, 2, 'codes');

is($t->get('/metrics', port => 'private')->status, 200, 'metrics');
is(browse(undef, '/metrics')->status, 404, 'which customers do not see');

my $sock = IO::Socket::INET->new(LocalAddr => '127.0.0.2',
    PeerAddr => '127.0.0.1:' . $t->port('private')) or die "connect: $!";
is(Loyalty::HTTP::exchange(5, [$sock,
   Loyalty::HTTP::format_request('GET', '/metrics', undef)])->status, 403,
   'nor anybody elsewhere');


# ---- a reward ----

# by another session, so that it is not too fast
my $phone = sign_in('ada');
my %key = (headers => { Cookie => "session=$phone",
                        'Idempotency-Key' => 'c1' });
my @twice = map { $t->post('/loyalty/rewards/free_coffee/redemptions', undef,
                           %key) } 1 .. 2;
is($twice[0]->json->{code}, 'CUP-1', 'a free coffee');
is($twice[1]->body, $twice[0]->body, 'once');
is(points($ada), 311, 'for 100 points');
is($t->post('/loyalty/rewards/free_coffee/redemptions', undef, headers =>
            { Cookie => "session=$phone" })->code, 'idempotency_key_required',
   'nothing that a form of another site could do');


# ---- without Redis ----

my %page = map { $_ => direct($_)->body } $ada, $bob;
$t->redis_kill;

my ($slowest, $wrong) = (0, 0);

for my $session ($ada, $bob, undef, $ada, $bob) {
    my $started = time;
    my $page = browse($session);

    $slowest = time - $started if time - $started > $slowest;
    $wrong++ if $page->status != 200
        || $page->body ne (defined $session ? $page{$session}
                                            : direct()->body);
}

is($wrong, 0, 'without Redis pages are the backend\'s, byte for byte');
cmp_ok($slowest, '<', 0.3 * $t->slow, 'at once');
unlike(browse($ada, '/headers')->body, qr/x-loyalty/,
       'the backend is told nothing');
is(browse($ada, '/loyalty/me')->code, 'unavailable',
   'what can only be known from Redis says so');

my @customer = map { sign_in("c$_") } 0 .. 9;
my @order = map { next_order($_) } @customer;

is(join(' ', map { buy($customer[$_], 'mug', 1, $order[$_])->status } 0 .. 9),
   join(' ', (201) x 10), 'purchases are made');
is(join(' ', map { buy($customer[$_], 'mug', 1, $order[$_])->status } 0 .. 9),
   join(' ', (200) x 10), 'and repeated');
ok($t->wait_for(sub { (metric('spooled_total') // 0) > 0 }, 8),
   'they are on the disk');
ok(-d "$dir/spool", 'where the configuration says');

$t->redis_start;
becomes($customer[$_], 9, "customer $_ is credited once") for 0 .. 9;
ok($t->wait_for(sub { metric('ring_used_slots') == 0
                      && metric('spool_bytes') == 0 }), 'nothing is left');
becomes($_, 9, 'nor is anything credited twice') for $customer[0];


# ---- with a Redis that hangs, and one that breaks off ----

# pages that are not the backend's, byte for byte, and the slowest, in s
sub differ {
    my ($shop, $session, $times) = @_;
    my ($slowest, $wrong) = (0, 0);
    my %headers = (headers => { Cookie => "session=$session" });

    for (1 .. $times) {
        my $started = time;
        my $page = $shop->get('/', %headers);

        $slowest = time - $started if time - $started > $slowest;
        $wrong++ if $page->status != 200 || $page->body ne
            $shop->get('/', %headers, port => 'backend')->body;
    }

    return ($wrong, $slowest);
}

$t->redis_stall;
($wrong, $slowest) = differ($t, $bob, 8);
is($wrong, 0, 'Redis hangs: pages are the backend\'s');
cmp_ok($slowest, '<', 0.3 * $t->slow, 'in time');
is(buy($bob, 'beans', 1)->status, 201, 'a purchase meanwhile');
my $before = 9 + 12;
$t->redis_go;
becomes($bob, $before, 'is credited once it goes on');

{
    my $s = Loyalty::Test->new(start => 0, files => \%files, conf =>
        $conf =~ s{unix:%%REDIS%%}{unix:%%TESTDIR%%/fake.sock}r);
    my $shop = Loyalty::Sample::backend($s);
    my $fake = Loyalty::FakeRedis->new($s, [
        [ qr/^GET /, CLOSE => 1, times => 6 ],
        [ qr/^FCALL event_.*order/s, RUN => 1, CLOSE => 1, times => 2 ] ]);

    $s->start;

    my $r = $s->post('/login', 'name=order', headers => {
        'Content-Type' => 'application/x-www-form-urlencoded' });
    my ($session) = $r->header('Set-Cookie') =~ /^session=(\w+)/;
    my ($differ, $longest) = differ($s, $session, 6);

    is($differ, 0, 'Redis breaks off: pages are the backend\'s');
    cmp_ok($longest, '<', 0.3 * $s->slow, 'in time');

    my ($number) = $s->get('/', port => 'backend', headers =>
        { Cookie => "session=$session" })->body =~ /name="order" value="(\d+)"/;
    is($s->post('/checkout', "order=$number&item=mug", headers => {
        Cookie => "session=$session",
        'Content-Type' => 'application/x-www-form-urlencoded' })->status, 201,
       'a purchase meanwhile');
    ok($s->wait_for(sub {
        my $me = $s->get('/loyalty/me', headers =>
                         { Cookie => "session=$session" })->json // {};
        return ($me->{wallets}{points}{balance} // 0) == 9;
    }), 'is credited once');
    $shop->stop;
}


# ---- too much ----

my $eve = sign_in('eve');
my %n;
$n{$_->status}++ for map { submit($eve, '/checkout', 'item=beans') } 1 .. 9;
is($n{409}, 9 - $n{429}, 'the backend wants the number of an order');
cmp_ok($n{429} // 0, '>=', 2, 'one session that checks out too often');
is(buy(sign_in('joe'), 'mug', 1)->status, 201, 'others are not touched');

my @many = $t->parallel(map { [ GET => '/loyalty/me', undef,
    headers => { Cookie => "session=$ada" } ] } 1 .. 160);
my ($limited) = grep { $_->status == 429 } @many;
ok(defined $limited, 'one address that asks too often');
is($limited->code . $limited->header('Retry-After'), 'rate_limited2',
   'is told so');


# ---- without the backend ----

$backend->stop;
ok($t->wait_for(sub { ($r = browse($ada))->status == 503 }),
   'the shop is away');
is($r->header('Retry-After'), 30, 'for a while');
like($r->body, qr/Please come back/, 'says nginx');

ok($t->quit, 'nginx quits');


# ---- a backend that does not tell whose session it is ----

for my $how ('refuses', 'is silent') {
    my $listen = IO::Socket::INET->new(Listen => 8,
                                       LocalAddr => '127.0.0.1:0');
    my $port = $listen->sockport;
    close $listen if $how eq 'refuses';

    (my $other = $conf)
        =~ s{http://backend/session;}{http://127.0.0.1:$port/session;} or die;
    my $s = Loyalty::Test->new(start => 0, conf => $other, files => \%files);
    my $shop = Loyalty::Sample::backend($s);

    $s->start;
    my $page = $s->get('/', headers => { Cookie => 'session=x1' });
    is($page->status, 200, "the service of sessions $how");
    like($page->body, qr/Sign in/, 'and the page is served all the same');
    $shop->stop;
}


done_testing();
