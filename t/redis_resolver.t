#!/usr/bin/perl
# Redis by name: through nginx's resolver, asked again for every connection.

use strict;
use warnings;

use lib 't/lib';
use Loyalty::FakeDNS;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(time);

my $t = Loyalty::Test->new(
    redis => { port => 1 }, start => 0,
    http => <<'END',
    resolver 127.0.0.1:%%PORT_dns%% ipv6=off valid=1s;
    resolver_timeout 5s;

    loyalty_program shop {
        redis redis.example:%%REDIS_PORT%% timeout=700ms connect_timeout=600ms;
        wallet points;
        earn purchase points 1 per=1.00;
    }
    loyalty_program several {
        redis several.example:%%REDIS_PORT%%;
        wallet points;
    }
    loyalty_program absent {
        redis absent.example:%%REDIS_PORT%%;
        wallet points;
    }
    loyalty_program slow {
        redis slow.example:%%REDIS_PORT%% connect_timeout=400ms;
        wallet points;
    }
END
    server => join '', map { <<"END" }
        location /$_/ { loyalty_member_api $_;
                        loyalty_member \$test_member; }
        location /$_-in/ { loyalty_event_api $_ trusted; }
END
    qw(shop several absent slow));


my $dns = Loyalty::FakeDNS->new($t, {
    'redis.example' => ['127.0.0.1'],
    'several.example' => ['127.0.0.3', '127.0.0.2', '127.0.0.1'],
    'slow.example' => undef,
});

$t->start;

my $response = $t->post('/shop-in/events', { id => 'a', member => 'm',
    type => 'purchase', amount => '2.00' });
is($response->status, 200, 'resolved and connected');
is($dns->questions('redis.example'), 1, 'one question');
$t->get('/shop/me?member=m') for 1 .. 3;
is($dns->questions('redis.example'), 1, 'none for more requests');

# connection refused by two addresses, welcomed by the third
is($t->get('/several/me?member=m')->status, 200,
   'all addresses are tried, in one attempt');

is($t->get('/absent/me?member=m')->status, 503, 'no such name: unavailable');
like($t->log, qr/"absent.example" could not be resolved \(3: Host not found\)/,
     'and logged');

my $started = time;
is($t->get('/slow/me?member=m')->status, 503, 'no answer: unavailable');
cmp_ok(time - $started, '<', 1, 'within connect_timeout');
is($t->get('/shop/me?member=m')->status, 200,
   'another program does not notice');

# resolved again for a new connection, when the answer is no longer valid
select undef, undef, undef, 2.2;
$t->redis->call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
ok($t->wait_for(sub { $t->get('/shop/me?member=m')->status == 200 }, 5),
   'connected again');
is($dns->questions('redis.example'), 2, 'and asked again');

# a name that is being resolved when the workers leave
my $sock = $t->connect;
print {$sock} "GET /slow/me?member=m HTTP/1.1\r\nHost: a\r\n"
              . "Connection: close\r\n\r\n";
$sock->flush;
my $n = $dns->questions('slow.example');
ok($t->reload(wait => 1), 'reload while a name is being resolved');
($response) = Loyalty::HTTP::exchange(5, [$sock, '']);
is($response->status, 503, 'the request was answered');
is($t->get('/shop/me?member=m')->status, 200, 'new workers resolve anew');
ok($t->quit, 'quit');

$dns->stop;


# without a resolver

my ($ok, $output) = Loyalty::Test->check(http => <<'END');
    loyalty_program shop {
        redis redis.example:6379;
        wallet points;
    }
END
ok(!$ok, 'a name without a resolver is refused');
like($output, qr{redis[ ]"redis.example:6379"[ ]is[ ]a[ ]host[ ]name,[ ]which[ ]needs[ ]a
                 [ ]"resolver"[ ]in[ ]http[ ]\{\}[ ]in[ ]\S+nginx.conf:\d+}x,
     'with its place');

($ok, $output) = Loyalty::Test->check(http => <<'END');
    loyalty_program shop {
        redis redis.example:6379;
        wallet points;
    }
    resolver 127.0.0.1;
END
ok($ok, 'a resolver may stand behind the program') or diag $output;

done_testing();
