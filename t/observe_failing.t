#!/usr/bin/perl

# Observed events and a Redis that resets connections, refuses, or fails on one
# member: each is credited once in the end, and a shop never notices.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::FakeRedis;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(sleep);

my $t = Loyalty::Test->new(start => 0, program => <<'END', server => <<'END2');
redis     unix:%%TESTDIR%%/fake.sock timeout=300ms;
wallet    points;
earn      purchase points 1 per=1.00;
END
location = /buy {
    loyalty_observe shop purchase member=$arg_m id=$arg_o amount=1.00;
    return 200 "bought\n";
}
END2

# what happens to the first calls, one after the other
my $fake = Loyalty::FakeRedis->new($t, [
    map({ [ qr/^FCALL event_.*reset/s, CLOSE => 1 ],
          [ qr/^FCALL event_.*reset/s, RUN => 1, CLOSE => 1 ] } 1 .. 2),
    [ qr/^FCALL event_.*loading/s, SEND => "-LOADING later\r\n" ],
    [ qr/^FCALL event_.*oom/s, SEND => "-OOM command not allowed\r\n",
      times => 3 ],
    [ qr/^FCALL event_.*noperm/s, SEND => "-NOPERM no permission\r\n",
      times => 5 ],
    [ qr/^FCALL event_.*strange/s, SEND => "\$3\r\nEno\r\n", times => 2 ],
    [ qr/^FCALL event_.*slow/s, PAUSE => 0.5, FORWARD => 1 ],
]);

$t->start;

my ($bought, $broken) = (0);


sub metric {
    my ($name, $labels) = @_;

    $labels = defined $labels ? ",$labels" : '';
    return $t->metrics->{"nginx_loyalty_$name\{program=\"shop\"$labels}"};
}


sub buy {
    my ($n, $member) = @_;

    return scalar grep { $_->status != 200 || $_->body ne "bought\n" }
        $t->parallel(map { [ GET => "/buy?m=$member&o=o" . $bought++ ] }
                     1 .. $n);
}


sub balance {
    my $me = $t->me($_[0]);

    return $me->status == 200 ? $me->json->{wallets}{points}{balance} : -1;
}


for my $member (qw(reset loading oom noperm strange slow)) {
    is(buy(20, $member), 0, "$member: pages are served");
    ok($t->wait_for(sub { balance($member) == 20 }, 8),
       "$member: each event counts once") or diag(balance($member));
}

ok($t->wait_for(sub { metric('ring_used_slots') == 0 }, 5),
   'the ring is empty');
cmp_ok(metric('observed_duplicates_total'), '>=', 5,
       'what Redis did not answer was sent again');
is(metric('observed_total'), 120, 'all were observed');


# ---- an event that Redis fails on ----

is(buy(1, 'broken'), 0, 'a member');
ok($t->wait_for(sub { balance('broken') == 1 }), 'who is');

my ($key) = @{$t->redis->call('KEYS', '*:m:6:broken')};
$t->redis->call('SET', $key, 'rubbish');

is(buy(1, 'broken'), 0, 'is damaged');
is(buy(50, 'others'), 0, 'and there are others');
ok($t->wait_for(sub { balance('others') == 50 }, 3), 'who are not held up');
is(metric(observed_refused_total => 'reason="failed"'), 0,
   'the event is not given up at once');
$t->redis->call('DEL', $key);
ok($t->wait_for(sub { balance('broken') == 1 }, 8),
   'when the member is mended it is credited');

$t->redis->call('SET', $key, 'rubbish');
is(buy(1, 'broken'), 0, 'damaged again');
ok($t->wait_for(sub {
    $broken += buy(1, 'others');
    return metric(observed_refused_total => 'reason="failed"') == 1;
}, 20), 'one that is not mended is given up at last');
is($broken, 0, 'others are served meanwhile');
my $id = 'o' . (120 + 1 + 1 + 50);
ok($t->log =~ /"$id" of member "broken" is given up, reason: failed, 0 more/,
   'which is told');
ok($t->wait_for(sub { metric('ring_used_slots') == 0 }, 5),
   'the ring is empty');

done_testing();
