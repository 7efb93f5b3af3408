#!/usr/bin/perl

# A batch goes over a connection of its own, so that it holds up neither
# single events nor the member API, and keeps at most 64 lines under way.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::FakeRedis;
use Loyalty::HTTP;
use Loyalty::Test;
use Test::More;

my $t = Loyalty::Test->new(start => 0, program => <<'END');
redis  unix:%%TESTDIR%%/fake.sock timeout=4s;
wallet points;
earn   purchase points 1;
END

# Redis takes what a batch says, and does not answer there
my $fake = Loyalty::FakeRedis->new($t, [
    [ qr/^FCALL event_.*:bulk/s, STALL => 1 ],
]);

$t->start;


sub event {
    return { id => $_[0], member => $_[1], type => 'purchase' };
}


sub line { return JSON::PP::encode_json(event(@_)) . "\n" }


sub connections {
    my ($pattern) = @_;
    my %seen = map { $_->[0] => 1 } $fake->commands($pattern);

    return sort keys %seen;
}


my $sock = $t->connect;
print {$sock} Loyalty::HTTP::format_request('POST', '/loyalty-in/events',
    join('', map { line("b$_", 'bulk') } 1 .. 3),
    'Content-Type' => 'application/x-ndjson');
$sock->flush;

ok($t->wait_for(sub { $fake->commands(qr/^FCALL event_.*:bulk/s) }),
   'a batch waits');

is($t->event(event('s', 'single'))->status, 200, 'a single event does not');
is($t->me('single')->json->{wallets}{points}{balance}, 1,
   'nor does the account');
is($t->history('single')->status, 200, 'nor the history');

my @bulk = connections(qr/^FCALL event_.*:bulk/s);
my @single = connections(qr/^(?:FCALL|GET) .*:single/s);

is(scalar @bulk, 1, 'a connection for the batch');
is(scalar @single, 1, 'and one for what is single');
isnt($bulk[0], $single[0], 'another one');

close $sock;


# ---- how many lines are under way ----

my $deep = Loyalty::Test->new(start => 0, program => <<'END');
redis  unix:%%TESTDIR%%/fake.sock timeout=4s;
wallet points;
earn   purchase points 1;
END

my $swallow = Loyalty::FakeRedis->new($deep, [
    [ qr/^FCALL event_.*:m\d/s, times => 1000 ],
]);

sub sent { return scalar(() = $swallow->commands(qr/^FCALL event_.*:m\d/s)) }

# the first call on a connection goes alone: it finds out about the library
$deep->start;
is($deep->events([event('w', 'warm')])->status, 200, 'a batch of one');

$sock = $deep->connect;
print {$sock} Loyalty::HTTP::format_request('POST', '/loyalty-in/events',
    join('', map { line('d', "m$_") } 1 .. 300),
    'Content-Type' => 'application/x-ndjson');
$sock->flush;

ok($deep->wait_for(sub { sent() >= 64 }), '64 lines are sent');
select undef, undef, undef, 0.3;
is(sent(), 64, 'and no more before they are answered');
close $sock;

done_testing();
