#!/usr/bin/perl

# Each file of lua-examples/, run as its first lines say.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(hmac_sha256_hex);
use JSON::PP ();
use Loyalty::Test;
use Loyalty::Instant;
use Loyalty::Member;
use POSIX ();
use Test::More;


my $modules = Loyalty::Test->lua_modules;

plan skip_all => 'no Lua module' if !defined $modules;

my $lua = "$FindBin::Bin/../lua-examples";

my $t = Loyalty::Test->new(
    modules => "${modules}load_module %%MODULE%%;",
    files => { 'page.html' => "<p>Hello</p>\n<!-- loyalty -->\n",
               'page.txt' => "<!-- loyalty -->\n",
               secret => 'main:' . '5a' x 32 . "\n",
               keys => "# servers\nold:" . '0b' x 32 . "\n" },
    program => <<"END",
wallet points;
tier bronze 0;  tier gold 100;
earn purchase points 1 per=1.00;
earn guess_won points 100;
reward mug { cost points 1; }
secret_file %%TESTDIR%%/secret;
unsafe_store on;
instant_win wheel { open @{[Loyalty::Instant::at(-600)]};
    close @{[Loyalty::Instant::at(7200)]}; draw odds;
    prize pen { stock 5; odds 1/10; } }
END
    http => <<"END",
lua_package_path "$lua/?.lua;$lua/lib/?.lua;;";
lua_shared_dict velocity 1m;
lua_shared_dict hook 1m;

init_worker_by_lua_block {
    require('courier').start {
        redis = { unix = 'unix:%%REDIS%%' }, program = 'shop', group = 'crm',
        to = { host = '127.0.0.1', port = %%PORT%%, path = '/hook' },
        secret = 'the courier signs with this', every = 0.2 }
}
END
    server => <<'END');
        location /apps/ {
            access_by_lua_block {
                require('velocity').check { member = ngx.var.loyalty_member,
                                            most = 3, seconds = 10 }
            }
            loyalty_member_api shop;
            loyalty_member $http_x_member;
        }

        location /fair/ { loyalty_proof shop; }

        location = /checkout {
            content_by_lua_block {
                require('checkout').run { host = '127.0.0.1', port = %%PORT%%,
                                          timeout = 300 }
            }
        }

        location = /guess {
            loyalty_member $http_x_member;
            content_by_lua_block {
                require('guess').run { host = '127.0.0.1', port = %%PORT%%,
                                       member = ngx.var.loyalty_member,
                                       secret = 'guess' }
            }
        }

        location /signed/ {
            loyalty_event_api shop;
            loyalty_signature key_file=%%TESTDIR%%/keys;
        }

        location /busy/ { return 429; }

        location /pages/ {
            alias %%TESTDIR%%/;
            default_type text/html;
            types { text/html html; text/plain txt; }
            loyalty_lookup shop member=$cookie_member timeout=500ms;
            rewrite_by_lua_block       { require('personal').request() }
            header_filter_by_lua_block { require('personal').header() }
            body_filter_by_lua_block   { require('personal').body() }
        }

        location = /hook {
            content_by_lua_block {
                ngx.req.read_body()
                local hook = ngx.shared.hook

                if hook:get('refuse') then
                    return ngx.exit(500)
                end

                local n = hook:incr('n', 1, 0)
                hook:set('body' .. n, ngx.req.get_body_data())
                hook:set('sign' .. n, ngx.var.http_loyalty_signature)
                ngx.exit(204)
            }
        }

        location = /hook/seen {
            content_by_lua_block {
                local hook = ngx.shared.hook

                if ngx.var.arg_refuse then
                    hook:set('refuse', ngx.var.arg_refuse == '1' or nil)
                end

                for n = 1, hook:get('n') or 0 do
                    ngx.say(hook:get('sign' .. n), ' ', hook:get('body' .. n))
                end
            }
        }

        location = /client {
            content_by_lua_block {
                local client = require('resty.loyalty').new {
                    port = %%PORT%% }
                local reply, problem = client:reversal('order-1',
                    { id = 'back', member = 'ada' })
                ngx.say(reply and reply.balances.points or problem.code)
                reply, problem = client:reversal('order-1',
                    { id = 'again', member = 'ada' })
                ngx.say(reply and 'reversed' or problem.status, ' ',
                        problem and problem.code)
                reply, problem = client:redeem('ada', 'mug', 'k9')
                ngx.say(problem and problem.code)
                ngx.say(client:me('ada').member)
                for _, member in ipairs { 'ada\r\nX-Member: eve', ' ada',
                                          'ada ' } do
                    reply, problem = client:me(member)
                    ngx.say(problem and problem.detail)
                end
                reply, problem = client:event { id = 'n', amount = 0 / 0 }
                ngx.say(problem and problem.code, ' ', problem.again)

                local more = { port = %%PORT%%, events = '/signed',
                               key = ('0b'):rep(32) }
                local event = { id = 's', member = 'sid', type = 'review' }
                reply, problem = require('resty.loyalty').new(more):event(event)
                ngx.say(reply and reply.id or problem.code)
                more.key = nil
                reply, problem = require('resty.loyalty').new(more):event(event)
                ngx.say(reply and reply.id or problem.code)
                more.events = '/busy'
                reply, problem = require('resty.loyalty').new(more):event(event)
                ngx.say(problem.status, ' ', problem.again)
                more.port = 1
                reply, problem = require('resty.loyalty').new(more):event(event)
                ngx.say(problem.code, ' ', problem.again)
            }
        }
END

my $json = JSON::PP->new->utf8;


sub told {
    my ($r) = @_;
    return $r->status . ' ' . $r->body =~ s/\s+\z//r;
}


sub checkout {
    my ($number, $total, $customer) = @_;

    return $t->post('/checkout', { number => $number, total => $total,
                                   customer => $customer // 'ada' });
}


# ---- a checkout ----

is_deeply(checkout(1, '120.00')->json,
          { order => 1, points => 120, points_follow => JSON::PP::false },
          'an order is credited');
is(checkout(1, '120.00')->json->{points}, 120, 'and told again when repeated');
is($t->me('ada')->json->{wallets}{points}{balance}, 120, 'credited once');
is(checkout(2, 'much')->status, 200, 'an order that cannot be credited');
ok($t->wait_log(qr/order-2 is not credited: invalid_field .*"amount":"much"/),
   'is logged');

for my $order ('', '{}', '5', '"x"', '[1]', '{"number":{},"customer":"a",
    "total":"1.00"}', '{"number":1,"customer":null,"total":"1.00"}',
    '{"number":1,"customer":"a","total":1.5}',
    '{"number":1e300,"customer":"a","total":"1.00"}')
{
    is($t->post('/checkout', $order)->status, 400, "no order: $order");
}

# numbers that Lua would write alike
is(checkout($_, '1.00', 'num')->status, 200, "order $_")
    for 123456789012345, 123456789012346;
is($t->me('num')->json->{wallets}{points}{balance}, 2, 'are two orders');

# ---- a page ----

my %cookie = (headers => { Cookie => 'member=ada' });

like($t->get('/pages/page.html', %cookie)->body,
     qr/^<p>Hello<\/p>\nWelcome back.* 120 points\.\n$/, 'a page for gold');
is($t->get('/pages/page.html')->body, "<p>Hello</p>\n\n",
   'a page for nobody');
like($t->get('/pages/page.html', headers => { Cookie => 'member=eve' })->body,
     qr/^<p>Hello<\/p>\nYou have 0 points\.\n$/, 'a page for a newcomer');
is($t->get('/pages/page.txt', %cookie)->body, "<!-- loyalty -->\n",
   'another type stays as it is');

# a browser that has the backend's page, or an older greeting

my @stat = stat $t->dir . '/page.html';
my $etag = sprintf '"%x-%x"', @stat[9, 7];

for my $has ({ 'If-None-Match' => $etag }, { 'If-None-Match' => '*' },
             { 'If-Modified-Since' => POSIX::strftime('%a, %d %b %Y %T GMT', gmtime $stat[9]) },
             { Range => 'bytes=0-4' })
{
    my ($what) = %$has;
    my $r = $t->get('/pages/page.html',
                    headers => { Cookie => 'member=ada', %$has });

    is($r->status, 200, "$what: the page is sent");
    like($r->body, qr/120 points/, "$what: as it is now");
    is($r->header($_), undef, "$what: without $_")
        for qw(ETag Last-Modified);
    is($r->header('Cache-Control'), 'private, no-store',
       "$what: nobody keeps it");
}

is($t->get('/pages/page.txt')->header('ETag') // '', sprintf('"%x-%x"',
   (stat $t->dir . '/page.txt')[9, 7]), 'other pages may be kept');

# ---- velocity ----

sub redeem {
    my ($member, $agent, $key) = @_;

    return $t->post('/apps/rewards/mug/redemptions', undef,
        headers => { 'X-Member' => $member, 'User-Agent' => $agent,
                     'Idempotency-Key' => $key });
}

my $app = 'ShopApp/3.1 (iPhone)';

is(redeem('ada', 'curl/8.0', 'a')->json->{code}, 'no_browser', 'no browser');
is(redeem('ada', undef, 'a')->status, 403, 'no agent at all');
is_deeply([ map { redeem('ada', $app, "k$_")->status } 1 .. 4 ],
          [ 200, 200, 200, 429 ], 'too fast');

my $slow = redeem('ada', $app, 'k5');
is($slow->code, 'rate_limited', 'a problem');
is($slow->header('Retry-After'), 10, 'and when to come back');
is(redeem('bob', $app, 'k1')->status, 409, 'others are not hindered');
is($t->get('/apps/me', headers => { 'X-Member' => 'ada' })->status, 200,
   'nor is reading');

# before a play

my $wheel = Loyalty::Instant->new($t, 'wheel');

sub play {
    my ($member, $agent, $key) = @_;

    return $t->post('/apps/games/wheel/plays', {},
        headers => { 'X-Member' => $member, 'User-Agent' => $agent,
                     'Idempotency-Key' => $key });
}

is(play('dora', $_, 'a')->status, 403, 'no play: ' . ($_ // 'no agent'))
    for 'curl/8.0', 'somebot', undef;
is_deeply([ map { play('dora', $app, "p$_")->status } 1 .. 5 ],
          [ 200, 200, 200, 429, 429 ], 'plays that are too fast');
is(length($wheel->log) / 189, 3, 'no others are made');
is(play('eric', $app, 'p1')->status, 200, 'others play');

# ---- a game of one's own ----

my %won;

sub guess {
    my ($member, $number, $method) = @_;
    return $t->request($method // 'POST', "/guess?number=$number", undef,
                       headers => { 'X-Member' => $member });
}

is(guess('p1', 1, 'GET')->status, 405, 'a link is no guess');
is(guess('', 1)->status, 401, 'nobody guesses');
is(guess('p1', 'x')->status, 400, 'nothing is guessed');

for my $n (1 .. 10) {
    $won{$n} = guess("p$n", $n)->json;
    is_deeply(guess("p$n", $n)->json, $won{$n}, 'the same guess once more');
    is(guess("p$n", $n % 10 + 1)->status, 409, "player $n guesses once")
        if $n < 3;
}

for my $n (1 .. 10) {
    is($won{$n}{points}, $won{$n}{won} ? 100 : 0, "player $n is paid");
}

my @winners = grep {
    guess("solo$_", $_)->json->{won} } 1 .. 10;
cmp_ok(scalar @winners, '<', 10, 'not everybody wins');

# ---- the client ----

is($t->get('/client')->body,
   "0\n409 over_reversal\ninsufficient_balance\nada\n"
   . "X-Member has a control character\n"
   . "X-Member begins or ends with a blank\n" x 2
   . "not_sent false\ns\ninvalid_signature\n429 true\n"
   . "unreachable true\n",
   'reversals, redemptions, the account')
    or diag($t->log);

# ---- the courier ----

sub delivered {
    return map { my ($sign, $body) = split ' ', $_, 2;
                 { sign => $sign, body => $body,
                   json => $json->decode($body) } }
           split /\n/, $t->get('/hook/seen' . ($_[0] // ''))->body;
}

my $feeds = 0;

for my $p (0 .. 63) {
    my ($key) = @{ $t->redis->call('KEYS', "{shop:$p.*}:feed") };
    $feeds += $t->redis->call('XLEN', $key) if defined $key;
}

ok($t->wait_for(sub { delivered() >= $feeds }), 'all changes are delivered');

my @seen = delivered();
my %ids = map { $_->{json}{id} => 1 } @seen;

is(scalar keys %ids, $feeds, 'each has an id of its own');
is(scalar(grep { ($_->{json}{member} // '') eq 'ada' } @seen),
   scalar(grep { 1 } @{ $t->history('ada', 'limit=100')->json->{history} }),
   'each of ada\'s');

my ($time, $sign) = $seen[0]{sign} =~ /^t=(\d+),v1=(\w+)$/;
is($sign, hmac_sha256_hex("$time.$seen[0]{body}",
                          'the courier signs with this'), 'signed');

delivered('?refuse=1');
checkout(7, '1.00', 'zoe');
select undef, undef, undef, 0.6;
is(scalar(grep { ($_->{json}{member} // '') eq 'zoe' } delivered()), 0,
   'a receiver that is down');
delivered('?refuse=0');
ok($t->wait_for(sub {
    grep { ($_->{json}{member} // '') eq 'zoe' } delivered() }),
   'gets it when it is back');

# changes that were read, and trimmed before anybody took them
delivered('?refuse=1');
my $tess = Loyalty::Member::tag('shop', Loyalty::Member::partition('tess'))
           . ':feed';
$t->events([ map { { id => "t$_", member => 'tess', type => 'purchase',
                     amount => '1.00' } } 1 .. 5 ]);
ok($t->wait_for(sub {
    ($t->redis->call('XPENDING', $tess, 'crm')->[0] // 0) >= 5 }),
   'changes that are pending');
$t->redis->call('XTRIM', $tess, 'MAXLEN', 0);
delivered('?refuse=0');
ok($t->wait_log(qr/courier: the change \d+-\d+-\d+ is lost, a larger feed_/),
   'and were trimmed, are told');
$t->event({ id => 't9', member => 'tess', type => 'purchase',
            amount => '1.00' });
ok($t->wait_for(sub {
    grep { ($_->{json}{member} // '') eq 'tess' } delivered() }),
   'and what comes then is delivered');

# ---- Redis away: the order goes on, points follow ----

$t->redis_kill;
my $order = checkout(8, '5.00', 'yan')->json;
is($order->{points_follow}, JSON::PP::true, 'an order while Redis is away');
is($t->get('/pages/page.html', %cookie)->body, "<p>Hello</p>\n\n",
   'a page, too');
$t->redis_start;
ok($t->wait_for(sub {
    (($t->me('yan')->json // {})->{wallets}{points}{balance} // 0) == 5 }),
   'is credited when it is back');

# whose worker ends before Redis is back
$t->redis_kill;
is(checkout(9, '6.00', 'yan')->json->{points_follow}, JSON::PP::true,
   'another one');
ok($t->reload(wait => 1), 'a reload');
ok($t->wait_log(qr/order-9 is not credited: un\w+ .*"amount":"6.00"/),
   'it is not forgotten silently');

done_testing();
