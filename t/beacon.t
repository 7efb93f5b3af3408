#!/usr/bin/perl
# The beacon: rounds are fetched from relays by one worker, and held when two
# relays agree on them; relays that are slow, away, or lie.

use strict;
use warnings;

use lib 't/lib';
use Loyalty::FakeRelay;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(time sleep);

# the second of two relays answers in another shape, and all is well
my @shapes = qw(chunked dribble closed late/900 slow/0.3);

# or what it says is no answer
my %failures = (
    lie => qr/the relay's randomness is not the hash of its signature/,
    wrong => qr/the relay replied with another round/,
    garbage => qr/the response is not HTTP\/1\.1/,
    html => qr/the relay's reply is no JSON object/,
    'status/500' => qr/status 500/,
    redirect => qr/status 302, and no redirect is followed/,
    huge => qr/the body of the response is too large/,
    head => qr/the head of the response is too large/,
    cut => qr/the connection was closed within the body of the response/,
    hangup => qr/the connection (?:was closed without a response|broke)/,
    stall => qr/timed out while reading a response/,
    away => qr/no connection \(111: Connection refused\)/,
);

my %relays = (
    other => 'from=http://127.0.0.1:%%PORT_more%%/as/other',
    three => 'from=http://127.0.0.1:%%PORT_more%%/as/other '
             . 'from=http://127.0.0.1:%%PORT_more%%/third',
    early => 'from=http://127.0.0.1:%%PORT_more%%/as/early',
    map({ name($_) => "from=http://127.0.0.1:%%PORT_more%%/as/$_" }
        @shapes, keys %failures),
    away => 'from=http://127.0.0.1:%%PORT_nobody%%/x',
);

sub name { return $_[0] =~ s/\W/_/gr }

my $t = Loyalty::Test->new(start => 0, workers => 2,
    program => <<'END', http => join '', map { <<"END" } sort keys %relays);
wallet points;
beacon drand_quicknet from=http://127.0.0.1:%%PORT_one%%
       from=http://127.0.0.1:%%PORT_two%%/drand follow=on timeout=2s;
END
    loyalty_program $_ {
        redis unix:%%REDIS%%;
        wallet points;
        beacon drand_quicknet follow=on timeout=@{[ $_ eq 'stall' ? '300ms' : '3s' ]}
               from=http://127.0.0.1:%%PORT_more%% $relays{$_};
    }
END

my %relay = map { $_ => Loyalty::FakeRelay->new($t, $_) } qw(one two more);
my $started = time;
$t->start;

sub metrics {
    my ($name, $metrics) = @_;
    $metrics //= $t->metrics;
    return { map { /^nginx_loyalty_beacon_(\w+)\{program="$name"\}$/
                   ? ($1, $metrics->{$_}) : () } keys %$metrics };
}

sub round { return metrics($_[0])->{round} }
sub due { return Loyalty::FakeRelay::round_at(time) }

sub log_of {
    my ($name) = @_;
    return join "\n", grep { /loyalty program "$name"/ } split /\n/, $t->log;
}


# what is there at the start, and what comes out

ok($t->wait_for(sub { round('shop') >= due() - 1 }, 5), 'the newest round');
ok($t->wait_for(sub { $relay{one}->requests >= 24
                      && $relay{two}->requests >= 24 }, 5),
   'and those of the last minute');

my $first = due();
ok($t->wait_for(sub { round('shop') > $first }, 6), 'and the next one');

my $beacon = metrics('shop');
cmp_ok($beacon->{age_seconds}, '<=', 5, 'its age');
is($beacon->{failures_total}, 0, 'no failure');
is($beacon->{disagreements_total}, 0, 'no disagreement');
is($beacon->{failing_relays}, 0, 'no relay fails');
is($beacon->{wanted_rounds}, 0, 'nothing is missing');
is($beacon->{fetches_total}, $relay{one}->requests + $relay{two}->requests,
   'fetches');

my %asked;
$asked{$_}++ for $relay{one}->requests;
is_deeply([grep { $_ > 1 } values %asked], [],
          'a relay is asked once for a round');
is(() = log_of('shop') =~ /this worker fetches the beacon's rounds/g, 1,
   'by one worker');


# responses of every shape

for my $shape (@shapes) {
    my $name = name($shape);
    ok($t->wait_for(sub { round($name) > $first }, 10), $shape);
    is(metrics($name)->{failures_total}, 0, 'no failure');
}


# what is no answer: it is logged, and no round is held

for my $mode (sort keys %failures) {
    my $name = name($mode);
    ok($t->wait_for(sub { log_of($name) =~ m{beacon relay "http://127.0.0.1:\d+\S*" of loyalty program "$name" failed, round \d+: $failures{$mode}} }, 8),
       "$mode is logged") or diag(log_of($name));

    my $failing = metrics($name);
    cmp_ok($failing->{failing_relays}, '>=', 1, 'and counted');
    cmp_ok($failing->{failures_total}, '>=', 1, 'each time');
    is($failing->{round}, 0, 'no round is held');
    is(() = log_of($name) =~ m{/(?:as/$mode|x)" .*failed, round}g, 1, 'one line');
}


# two relays that disagree, and a third one that decides

my $disagreeing = metrics('other');
is($disagreeing->{round}, 0, 'no round is held that relays disagree on');
cmp_ok($disagreeing->{disagreements_total}, '>=', 12, 'which is counted');
is($disagreeing->{failing_relays}, 0, 'none of them fails');

my ($line) = log_of('other') =~ /(.*disagree.*)/;
like($line, qr{"http://127.0.0.1:\d+\S*" and "http://127.0.0.1:\d+\S*" disagree on the signature of beacon round \d+, loyalty program "other"},
     'and logged');
is(() = log_of('other') =~ /disagree/g, 1, 'in one line');

ok($t->wait_for(sub { round('three') > $first }, 5), 'two of three agree');
cmp_ok(metrics('three')->{disagreements_total}, '>=', 12,
       'the third is noticed');


# a relay that has no rounds is not in trouble but for those of long ago

like(log_of('early'), qr{as/early" of loyalty program "early" does not have round \d+: status 404},
     'a relay without old rounds');
is(() = log_of('early') =~ /does not have/g, 1, 'one line');
is(round('early'), 0, 'no round is held');


# they all mend their ways

$relay{more}->mode('well');

my $now = due();
ok($t->wait_for(sub { round(name($_)) > $now }, 20), "$_ is over")
    for qw(lie hangup stall status/500 html);

for my $mode (qw(lie hangup stall status/500 html)) {
    my $name = name($mode);
    is(metrics($name)->{failing_relays}, 0, 'no relay fails');
    is(() = log_of($name) =~ m{/as/$mode" .*answers again}g, 1,
       'which is one line more');
}

ok($t->wait_for(sub { round('other') > $now }, 5),
   'relays that disagreed agree');
ok($t->wait_for(sub { round('early') > $now }, 5), 'a relay has rounds');
is(round('away'), 0, 'what was away is away');

ok($t->quit(5), 'quit');
is($t->log =~ /open socket/, '', 'no connection is left');

done_testing();
