#!/usr/bin/perl

# Instant wins while the beacon is away: what waits, what goes on, and what a
# play says of it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::FakeRelay;
use Loyalty::Instant;
use Loyalty::Test;
use Test::More;

my ($open, $close) = map { Loyalty::Instant::at($_) } -30, 86400;

my $t = Loyalty::Test->new(
    start => 0,
    files => { secret => 'main:' . '5a' x 32 . "\n" },
    server => 'location /fair/ { loyalty_proof shop; }',
    allow => [qr/is late$/],
    program => <<END);
secret_file %%TESTDIR%%/secret;
unsafe_store on;
beacon drand_quicknet from=http://127.0.0.1:%%PORT_one%%
                      from=http://127.0.0.1:%%PORT_two%%;
wallet points;
instant_win wheel { open $open; close $close; draw odds; degraded on;
                    prize car { odds 1/20; } }
instant_win scratch { open $open; close $close; draw deck blanks=3000;
                      prize car { stock 2; } }
instant_win calendar { open $open; close $close; draw moments; epoch 1h;
                       prize car { stock 3; } }
END

my @relays = map { Loyalty::FakeRelay->new($t, $_) } qw(one two);

$t->start;

my %g = map { $_ => Loyalty::Instant->new($t, $_) }
        qw(wheel scratch calendar);

sub some { return $g{$_[0]}->play('m1') }

for my $name (sort keys %g) {
    ok($t->wait_for(sub { some($name)->status == 200 }, 15),
       "$name is played");
}

is($g{scratch}->play('m1', 'known')->status, 200, 'a play');

my $round = Loyalty::Instant::record(
    pack 'H*', some('wheel')->json->{receipt}{record});

is($round->{degraded}, 0, 'by the round that is due');
is($round->{round}, int(($round->{t} - 6000 - 1692803367000) / 3000) + 1,
   'of six seconds ago');

# the beacon is away: rounds that are held last for some seconds

$_->mode('early') for @relays;

ok($t->wait_for(sub { (some('scratch')->code // '')
                      eq 'beacon_unavailable' }, 15),
   'a deck needs its rounds');

my $before = $g{scratch}->everything;
my $r = some('scratch');

is($r->status . ' ' . $r->code, '503 beacon_unavailable', 'is refused');
is($r->header('Retry-After'), 3, 'for a round');
is_deeply($g{scratch}->everything, $before, 'and nothing changes');
is($g{scratch}->play('m1', 'known')->status, 200,
   'what is known is answered');

$r = some('wheel');
is($r->status, 200, 'where the block allows it an older round is used');
my $record = Loyalty::Instant::record(
    pack 'H*', $r->json->{receipt}{record});

is($record->{degraded}, 1, 'which the record says');
cmp_ok($record->{round}, '<',
       int(($record->{t} - 6000 - 1692803367000) / 3000) + 1, 'and which');
is(some('calendar')->status, 200, 'moments need none');

$_->mode('ok') for @relays;

ok($t->wait_for(sub { some('scratch')->status == 200 },
                15), 'the beacon is back');

$_->sound(stock => [undef]) for $g{wheel};
$_->sound(stock => [3]) for @g{qw(scratch calendar)};

done_testing();
