#!/usr/bin/perl
# The limits of one connection: operations and bytes on their way.

use strict;
use warnings;

use lib 't/lib';
use Loyalty::FakeRedis;
use Loyalty::Test;
use Test::More;

my $t = Loyalty::Test->new(start => 0, program => <<'END',
redis unix:%%TESTDIR%%/fake.sock max_inflight=4 timeout=800ms;
wallet points;
earn purchase points 1 per=1.00;
END
    http => <<'END',
    loyalty_program bytes {
        redis unix:%%TESTDIR%%/fake.sock max_queue=16k timeout=800ms;
        wallet points;
        earn purchase points 1 per=1.00;
    }
    loyalty_program spread {
        redis unix:%%TESTDIR%%/fake.sock connections=4;
        wallet points;
        earn purchase points 1 per=1.00;
    }
END
    server => <<'END',
        location /bytes/ { loyalty_member_api bytes;
                           loyalty_member $test_member; }
        location /bytes-in/ { loyalty_event_api bytes trusted; }
        location /spread/ { loyalty_member_api spread;
                            loyalty_member $test_member; }
END
);

my $fake = Loyalty::FakeRedis->new($t, [
    [ qr/:stall/, PAUSE => 0.3, FORWARD => 1, times => 20 ],
]);

$t->start;

sub metric {
    my ($name, $label, $program) = @_;
    $program //= 'shop';
    $label = defined $label ? ",$label" : '';
    return $t->metrics->{
        "nginx_loyalty_redis_$name\{program=\"$program\"$label}"};
}

sub count {
    my %n;
    $n{$_->status}++ for @_;
    return \%n;
}

sub buy {
    my ($id, $size, $uri) = @_;
    return [ POST => $uri, { id => $id, member => 'stall', type => 'purchase',
             amount => '1.00', items => [ map { { sku => 'x' x 100 . $_,
             category => 'c' x 60, quantity => 1, amount => '0.01' } }
             1 .. $size ] } ];
}


is($t->me('a')->status, 200, 'one is let through');
my @responses = $t->parallel(map { [ GET => '/loyalty/me?member=stall' ] }
                             1 .. 7);
is(count(@responses)->{503}, 3, 'four of seven at once are let through');
is((grep { $_->status == 503 } @responses)[0]->code, 'busy',
   'the others are told that it is busy');
is(metric(drops_total => 'reason="inflight"'), 3, 'and counted');

ok($t->wait_for(sub { metric('inflight_operations') == 0 }, 3),
   'places are free again when late replies have come');
is($t->me('a')->status, 200, 'and used');


is($t->get('/bytes/me?member=a')->status, 200, 'one is let through');
@responses = $t->parallel(map { buy("b$_", 20, '/bytes-in/events') } 1 .. 3);
is(count(@responses)->{503}, undef, 'commands of some kB are let through');
$t->wait_for(sub { metric('inflight_operations', undef, 'bytes') == 0 }, 3);

my $before = metric(drops_total => 'reason="bytes"', 'bytes');
@responses = $t->parallel(map { buy("c$_", 90, '/bytes-in/events') } 1 .. 6);
cmp_ok(count(@responses)->{503} // 0, '>', 0, 'not more than max_queue');
is((grep { $_->status == 503 } @responses)[0]->code, 'busy', 'is busy');
cmp_ok(metric(drops_total => 'reason="bytes"', 'bytes'), '>', $before,
       'and counted');
ok($t->wait_for(sub { metric('queued_bytes', undef, 'bytes') == 0 }, 5),
   'no byte is left');


# several connections: one member's operations stay on one of them

is(count($t->parallel(map { [ GET => "/spread/me?member=m$_" ] } 1 .. 40))
   ->{200}, 40, 'four connections');
is($t->get("/spread/me?member=m$_")->status, 200) for 1 .. 40;

my (%of, %used);
for ($fake->commands(qr/^GET \{spread:/)) {
    my ($conn, undef, $key) = @$_;
    $of{$key}{$conn} = $used{$conn} = 1;
}
is(scalar keys %used, 4, 'are all used');
is(scalar(grep { keys %$_ == 1 } values %of), 40,
   'and each member has its own');

ok($t->wait_for(sub { metric($_) == 0 }, 5), "gauge $_ is back at zero")
    for qw(inflight_operations queued_operations queued_bytes);

done_testing();
