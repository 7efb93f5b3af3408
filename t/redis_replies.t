#!/usr/bin/perl
# Replies as a network and a faulty server may bring them: byte by byte, too
# late, unasked for, too long.  No reply may ever reach another request than
# its own.

use strict;
use warnings;

use lib 't/lib';
use Loyalty::FakeRedis;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(time sleep);

my $t = Loyalty::Test->new(start => 0, program => <<'END',
redis unix:%%TESTDIR%%/fake.sock timeout=600ms connect_timeout=20s max_reply=128k;
wallet points;
earn purchase points 1 per=1.00;
END
    http => <<'END',
    loyalty_program other {
        redis unix:%%REDIS%% timeout=600ms;
        wallet points;
        earn purchase points 1 per=1.00;
    }
END
    server => <<'END',
        location /other-in/ { loyalty_event_api other trusted; }
END
);

my $big = 'x' x 200_000;

my $fake = Loyalty::FakeRedis->new($t, [
    [ qr/^INFO /, DRIBBLE => undef ],
    [ qr/^FCALL event\S+ .*dribble/s, DRIBBLE => undef, times => 3 ],
    [ qr/^GET \S+:dribbled/, DRIBBLE => undef ],
    [ qr/^GET \S+:unasked/, FORWARD => 1, SEND => "\$3\r\nfoo\r\n" ],
    [ qr/^GET \S+:half/, FORWARD => 1, SEND => "\$3\r\nfo" ],
    [ qr/^GET \S+:later/, FORWARD => 1, PAUSE => 0.2, SEND => "+OK\r\n" ],
    [ qr/^GET \S+:deep/, SEND => "*1\r\n*1\r\n:1\r\n" ],
    [ qr/^GET \S+:long/, SEND => '$200000' . "\r\n$big\r\n" ],
    [ qr/^GET \S+:cut/, SEND => "\$100\r\nabc", CLOSE => 1 ],
    [ qr/^FCALL event\S+ .*:slow/s, PAUSE => 1.0, FORWARD => 1 ],
]);

$t->start;

sub buy {
    my ($id, $member, %opt) = @_;
    my $uri = delete $opt{uri} // '/loyalty-in/events';

    return [ 'POST', $uri, { id => $id, member => $member,
             type => 'purchase', amount => '7.00' }, %opt ];
}

sub balance {
    my ($response) = @_;
    return ($response->json // {})->{wallets}{points}{balance};
}

sub metric {
    my ($name, $class) = @_;
    my $label = defined $class ? ",class=\"$class\"" : '';
    return $t->metrics->{"nginx_loyalty_redis_$name\{program=\"shop\"$label}"};
}

# waits until the connection is back: after a fault the first call may fail
sub settle {
    ok($t->wait_for(sub { $t->me('nobody')->status == 200 }, 5), $_[0]);
    return;
}


# byte by byte, several in one pipeline

settle('a greeting byte by byte');

my @responses = $t->parallel(map { buy("dribble$_", 'dribbled') } 1 .. 3);

is(scalar(grep { $_->status == 200 } @responses), 3,
   'replies byte by byte');
is(balance($t->me('dribbled')), 21, 'a member read byte by byte');


# over 16 kB

for my $n (1 .. 3) {
    $t->event({ id => "big$n", member => 'many', type => 'purchase',
                amount => '100.00', items => [ map { {
                    sku => "sku$_-" . 'x' x 80, quantity => 1,
                    category => 'category' x 8, amount => '1.00' } }
                    1 .. 100 ] });
}

my $history = $t->history('many');
is($history->status, 200, 'history of a large member');

my ($key) = grep { /:m:4:many/ } @{$t->redis->call('KEYS', '*')};
cmp_ok(length $t->redis->call('GET', $key), '>', 32768,
       'the member is larger than 32 kB');
is(balance($t->me('many')), 300, 'and read whole');


# replies nobody asked for

settle('before the faults');

for my $fault (qw(unasked half later deep long)) {
    my $before = metric(errors_total => 'protocol');
    my $response = $t->me($fault);

    if ($fault =~ /^(?:unasked|later)$/) {
        # the answer was good, what came behind it was not
        is($response->status, 200, "$fault: the reply before it is good");
    } elsif ($fault ne 'half') {
        is($response->status, 504, "$fault: outcome unknown");
    }

    ok($t->wait_for(sub {
        metric(errors_total => 'protocol') == $before + 1 }, 3),
       "$fault: a protocol error");
    settle("$fault: the connection is replaced");

    is(balance($t->me('dribbled')), 21, "$fault: replies are in step");
}

is($t->me('cut')->status, 504, 'closed within a reply: outcome unknown');
is(metric(errors_total => 'closed'), 1, 'and counted');
settle('and replaced');


# late replies

is($t->request(@{buy('before', 'before')})->status, 200, 'all is well');

my $started = time;
@responses = $t->parallel(
    buy('slow1', 'slow1'), buy('fast', 'fast'), buy('slow-other', 'x',
    uri => '/other-in/events'));

cmp_ok(time - $started, '<', 0.95, 'nobody waits for longer than timeout=');
is($responses[0]->status, 504, 'a late reply: outcome unknown');
is($responses[0]->code, 'outcome_unknown', 'and said so');
is($responses[1]->status, 504, 'so for the one behind it');
is($responses[2]->status, 200, 'another program does not notice');

my $response = $t->event({ id => 'next', member => 'next',
                           type => 'purchase', amount => '3.00' });
is($response->status, 200, 'the next is answered');
is($response->json->{id}, 'next', 'with its own reply');
is($response->json->{balances}{points}, 3, 'of its own member');

is(metric('late_replies_total'), 2, 'two late replies were dropped');
is(balance($t->me('slow1')), 7, 'what was late had happened');

$response = $t->request(@{buy('slow1', 'slow1')});
is($response->json->{duplicate}, JSON::PP::true, 'and is not done twice');
like($t->log, qr/redis did not answer within 600 ms.*program: shop/,
     'logged');

ok($t->wait_for(sub {
    $t->metrics->{"nginx_loyalty_redis_$_\{program=\"shop\"}"} == 0 }, 5),
   "gauge $_ is back at zero")
    for qw(inflight_operations queued_operations queued_bytes);

done_testing();
