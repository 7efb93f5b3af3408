#!/usr/bin/perl
# Rounds by name and by hand, through the admin API: real rounds of quicknet
# from relays, posted ones, those that contradict.

use strict;
use warnings;

use lib 't/lib';
use Digest::SHA qw(sha256_hex);
use Loyalty::FakeRelay;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(time sleep);

my $t = Loyalty::Test->new(start => 0, workers => 2,
    program => <<'END', http => <<'END', server => <<'END');
wallet points;
beacon drand_quicknet from=http://127.0.0.1:%%PORT_one%%
       from=http://127.0.0.1:%%PORT_two%%;
END
    loyalty_program hand {
        redis unix:%%REDIS%%;
        wallet points;
        beacon drand_quicknet from=http://127.0.0.1:%%PORT_one%%;
    }
    loyalty_program none {
        redis unix:%%REDIS%%;
        wallet points;
    }
END
        location /hand/ { loyalty_admin_api hand trusted; }
        location /none/ { loyalty_admin_api none trusted; }
END

my ($one, $two) = map { Loyalty::FakeRelay->new($t, $_) } qw(one two);
$t->start;

sub get { return $t->get("/loyalty-admin/$_[0]")->json }

sub post {
    my ($body, $base) = @_;
    return $t->post(($base // '/loyalty-admin') . '/beacons', $body,
                    headers => { 'X-Actor' => 'olga' });
}

sub refused {
    my ($response, $status, $code, $name) = @_;
    is($response->status . ' ' . ($response->code // ''), "$status $code",
       $name);
    return $response;
}

sub state_of { return get("beacons/$_[0]")->{state} }


# nothing is fetched unless it is asked for

sleep 0.5;
is($one->requests + $two->requests, 0, 'no round is needed');
my $status = get('beacons');
is($status->{newest}, undef, 'none is held');
is($status->{relays}, 2, 'two relays');
is($status->{chain}, '52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971',
   'of quicknet');
cmp_ok(abs($status->{due} - Loyalty::FakeRelay::round_at(time)), '<=', 1,
       'the round that is due');
is(state_of(123), 'missing', 'an old round');
is(state_of(Loyalty::FakeRelay::round_at(time) + 5), 'waiting',
   'one that has yet to come out');


# real rounds, by name

my %real = (
    123 => 'fb8f7bc29bf24db51871ec8c79f3a1e4bd0557bc0dfcee9ed1d924e69d1c60dc',
    1000 => 'fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd',
    657413 => 'fc1873a13f3545aeade8401532ef5519920652eee6b0d2b19ca12643b87b3587',
    4810223 => '3a7bb41dc289dcce3b5f4c9ef1067b4861777f30a95a663e97cee46ec6cabc07',
    14517013 => '97d920a0817f74b4dbff89a721faeda4ea307bc5d8890ebb833700ea68b2d106',
);

for my $round (sort { $a <=> $b } keys %real) {
    is(post({ round => $round })->json->{state}, 'missing',
       "round $round is to be fetched");
}

for my $round (sort { $a <=> $b } keys %real) {
    ok($t->wait_for(sub { state_of($round) eq 'held' }, 3), 'it is held');
    my $held = get("beacons/$round");
    is($held->{randomness}, $real{$round}, 'its randomness');
    is($held->{signature}, unpack('H*', Loyalty::FakeRelay::signature($round)),
       'its signature');
    is($held->{source}, 'relays', 'its source');
}

is_deeply([sort { $a <=> $b } $one->requests], [sort { $a <=> $b } keys %real],
          'these were asked for');
is(get('beacons')->{newest}, 14517013, 'the newest one');
is(get('beacons')->{held}, 5, 'five');
is(get('beacons')->{wanted}, 0, 'none is missing');


# one that comes out in a moment

my $soon = Loyalty::FakeRelay::round_at(time) + 2;
is(post({ round => $soon })->json->{state}, 'waiting', 'wanted beforehand');
is(get('beacons')->{wanted}, 1, 'it is wanted');
ok($t->wait_for(sub { state_of($soon) eq 'held' }, 9), 'and fetched');
cmp_ok(scalar(grep { $_ == $soon } $one->requests, $two->requests), '<=', 4,
       'when it had come out');


# relays that disagree on a wanted round: by hand it comes, and stays

$two->mode('other');
my $old = 77;
post({ round => $old });
ok($t->wait_log(qr/disagree on the signature of beacon round 77/, 3),
   'relays disagree');
is(state_of($old), 'missing', 'it is not held');

my $sig = Loyalty::FakeRelay::signature($old, 'hand');
my $posted = post({ round => $old, signature => unpack 'H*', $sig });
is($posted->status, 200, 'by hand');
is_deeply($posted->json, { round => $old, state => 'held', source => 'admin',
    signature => unpack('H*', $sig), randomness => sha256_hex($sig) },
    'it is held');
is(post({ round => $old, signature => uc unpack 'H*', $sig })->status, 200,
   'twice is the same');
refused(post({ round => $old, signature => 'ab' x 48 }), 409,
        'event_conflict', 'another signature');
is(get("beacons/$old")->{signature}, unpack('H*', $sig), 'it does not change');
refused(post({ round => 123, signature => 'ab' x 48 }), 409,
        'event_conflict', 'nor does one of the relays');

my ($line) = grep { $_->{w} eq 'beacon' && $_->{o} eq $old }
             map { +{ @{$_->[1]} } }
             @{$t->redis->call('XRANGE', '{shop}:feed', '-', '+')};
is("$line->{a} $line->{o}", "olga $old", 'the feed has it');


# by hand while relays are being asked: what they then say is compared

my $metric = 'nginx_loyalty_beacon_disagreements_total{program="shop"}';
my $disagreements = $t->metrics->{$metric};
$_->mode('slow 1') for $one, $two;
post({ round => 88 });
ok($t->wait_for(sub { grep { $_ == 88 } $one->requests }, 3), 'asked');
$sig = Loyalty::FakeRelay::signature(88, 'hand');
is(post({ round => 88, signature => unpack 'H*', $sig })->status, 200,
   'by hand in the meantime');
ok($t->wait_for(sub { $t->metrics->{$metric} == $disagreements + 2 }, 5),
   'both relays contradict') or diag($t->metrics->{$metric} - $disagreements);
is(get('beacons/88')->{signature}, unpack('H*', $sig), 'it does not change');
$_->mode('ok') for $one, $two;


# what cannot be

refused(post({ round => Loyalty::FakeRelay::round_at(time) + 100,
               signature => 'ab' x 48 }), 400, 'invalid_field',
        'a round that has yet to come out');
refused(post({ round => 5, signature => 'ab' x 47 }), 400, 'invalid_field',
        'a short signature');
refused(post({ round => 5, signature => 'ax' x 48 }), 400, 'invalid_field',
        'no hexadecimal digits');
refused(post({ round => 0 }), 400, 'invalid_field', 'round 0');
refused(post({ signature => 'ab' x 48 }), 400, 'invalid_field', 'no round');
refused(post({ round => 5, randomness => 'ab' x 32 }), 400, 'invalid_field',
        'a field too many');
refused($t->get('/loyalty-admin/beacons/x'), 404, 'unknown_path', 'no number');
refused($t->get('/none/beacons'), 404, 'unknown_path', 'no beacon');
refused($t->get('/none/beacons/5'), 404, 'unknown_path', 'no beacon');
refused(post({ round => 5 }, '/none'), 404, 'unknown_path', 'no beacon');


# a program whose rounds come by hand alone

my $now = Loyalty::FakeRelay::round_at(time);
my $requests = $one->requests;
for my $round ($now - 100 .. $now) {
    my $sig = Loyalty::FakeRelay::signature($round);
    is(post({ round => $round, signature => unpack 'H*', $sig },
            '/hand')->status, 200, 'a round by hand') if $round % 10 == 0
                                                      || $round == $now;
}
is($t->get('/hand/beacons')->json->{newest}, $now, 'the newest one');
is($one->requests, $requests, 'the one relay is not asked');


# too many: what is missing is not given up

my @full = map { my $part = $_; map { $_->status } $t->parallel(map {
    [ 'POST', '/hand/beacons', { round => 1000 + 130 * $part + $_ } ] }
    1 .. 130) } 0 .. 3;
is(scalar(grep { $_ == 200 } @full), 512, 'so many can be wanted');
is(scalar(grep { $_ == 503 } @full), 520 - 512, 'and no more');


# a reload keeps all of it

ok($t->reload(wait => 1), 'reload');
is(get("beacons/$old")->{source}, 'admin', 'a round by hand');
is(get('beacons/657413')->{randomness}, $real{657413}, 'and one of relays');
is($t->get('/hand/beacons')->json->{wanted}, 512, 'what is wanted');
ok($t->quit, 'quit');

done_testing();
