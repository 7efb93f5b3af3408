#!/usr/bin/perl
# The worker that fetches the beacon's rounds comes and goes: killed, stopped
# as if it hung, reloaded, told to leave while fetches are under way.

use strict;
use warnings;

use lib 't/lib';
use Loyalty::FakeRelay;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(time sleep);

my $t = Loyalty::Test->new(start => 0, workers => 3, program => <<'END');
wallet points;
beacon drand_quicknet from=http://127.0.0.1:%%PORT_one%%
       from=http://127.0.0.1:%%PORT_two%% follow=on timeout=10s;
END

my ($one, $two) = map { Loyalty::FakeRelay->new($t, $_) } qw(one two);
$t->start;

sub round {
    return $t->metrics->{'nginx_loyalty_beacon_round{program="shop"}'};
}

sub due { return Loyalty::FakeRelay::round_at(time) }

# who said last that it fetches
sub leader {
    my @said = $t->log =~ /\[info\] (\d+)#\d+: this worker fetches the beacon/g;
    return $said[-1];
}

sub advances {
    my ($name, $seconds) = @_;
    my $now = due();
    my $ok = ok($t->wait_for(sub { round() > $now }, $seconds // 5), $name);
    diag($t->log) if !$ok;
    return;
}


advances('rounds come');
my $first = leader();
ok((grep { $_ == $first } $t->workers), 'a worker fetches them');


# killed

$t->allow(qr/worker process \d+ exited on signal 9/);
my $before = round();
kill 'KILL', $first;
advances('the worker was killed, others go on');
my $second = leader();
isnt($second, $first, 'another worker fetches');
cmp_ok(round(), '>=', $before, 'what was held is held');


# hanging: requests of the test must not get to it

kill 'STOP', $second;
ok($t->wait_for(sub { leader() != $second }, 8),
   'a worker that hangs loses its turn');
kill 'CONT', $second;
advances('rounds come');


# reload: held rounds stay, the old worker gives its place to a new one

my %old = map { $_ => 1 } $t->workers;
$before = round();
my $started = time;
ok($t->reload(wait => 1), 'reload');
cmp_ok(round(), '>=', $before, 'what was held is held');
ok($t->wait_for(sub { !$old{leader()} }, 3), 'a new worker fetches');
cmp_ok(time - $started, '<', 4, 'soon');
advances('rounds come');


# an old worker that still serves a request does not fetch any more

my $sock = $t->connect;
print {$sock} "POST /loyalty-in/events HTTP/1.1\r\nHost: a\r\n"
              . "Content-Length: 10\r\n\r\n";
$sock->flush;
sleep 0.2;
%old = map { $_ => 1 } $t->workers;
$t->reload;
ok($t->wait_for(sub { !$old{leader()} }, 5),
   'a new worker fetches while an old one lives');
my $lives = grep { $old{$_} } $t->workers;
is($lives, 1, 'which it does');
advances('rounds come');
close $sock;
ok($t->wait_for(sub { !grep { $old{$_} } $t->workers }, 5), 'and leaves');


# fetches under way

$_->mode('stall') for $one, $two;

for my $end (qw(reload quit stop)) {
    my $asked = $one->requests;
    $t->start if $end eq 'stop';
    ok($t->wait_for(sub { $one->requests > $asked }, 6), 'a relay is asked');

    $started = time;
    ok($end eq 'reload' ? $t->reload(wait => 1) : $t->$end, $end);
    cmp_ok(time - $started, '<', 3, 'no fetch is waited for');
}

$_->mode('ok') for $one, $two;
$t->start;
ok($t->wait_for(sub { round() >= due() - 1 }, 5), 'and rounds come');

ok($t->quit, 'quit');
is($t->log =~ /open socket/, '', 'no connection is left');


# one process

{
    my $single = Loyalty::Test->new(start => 0, main => 'master_process off;',
        redis => 0, program => <<'END');
redis 127.0.0.1:1;
wallet points;
beacon drand_quicknet from=http://127.0.0.1:%%PORT_one%%
       from=http://127.0.0.1:%%PORT_two%% follow=on;
END
    my ($one, $two) = map { Loyalty::FakeRelay->new($single, $_) } qw(one two);
    $single->start;
    ok($single->wait_for(sub { $single->metrics->{
        'nginx_loyalty_beacon_round{program="shop"}'} >= due() - 1 }, 5),
        'without a master');
    $_->mode('stall') for $one, $two;
    my $asked = $one->requests;
    ok($single->wait_for(sub { $one->requests > $asked }, 6), 'asked');
    ok($single->stop, 'stop');
    is($single->log =~ /open socket/, '', 'no connection is left');
}

done_testing();
