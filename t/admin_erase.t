#!/usr/bin/perl

# Erasing members who take part in draws: nobody takes part twice, and what is
# published about the draws is verified as before.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Loyalty::Instant;
use Loyalty::Sweeps;
use Loyalty::Test;
use Test::More;

my $true = JSON::PP::true;
my ($open, $close) = (Loyalty::Instant::at(-60), Loyalty::Instant::at(5));

my $t = Loyalty::Test->new(
    workers => 2,
    files => { secret => $Loyalty::Sweeps::SECRET },
    server => 'location /fair/ { loyalty_proof shop; }',
    program => <<END);
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
earn purchase points 1 per=1.00;
challenge buyer { on purchase; goal 1; every day;
    award tickets raffle 2; award plays wheel 1; }
sweepstakes raffle { open $open; close $close; free_entry on;
    limit 9 per campaign; prize trip { stock 2; } alternates 1; }
instant_win wheel { open $open; close $close; draw odds; cost points 1;
    limit 3 per day; wins_per_member 1; prize pen { odds 1/1; } }
instant_win calendar { open $open; close $close; draw moments;
    prize pen { stock 90; } }
END

my $raffle = Loyalty::Sweeps->new($t, 'raffle');
my %game = map { $_ => Loyalty::Instant->new($t, $_) } qw(wheel calendar);


sub erase {
    my ($member) = @_;

    return $t->request('DELETE', "/loyalty-admin/members/$member")->status;
}


sub enter {
    my ($member, $key) = @_;

    return $raffle->enter($member, { tickets => 3, free => $true },
                          key => $key);
}


sub buy {
    my ($member, $id) = @_;

    return [ sort map { $_->{type} } @{ $t->event({ id => $id,
        member => $member, type => 'purchase', amount => '1.00' })
        ->json->{effects} } ];
}


is(enter("m$_", "k$_")->status, 200, "m$_ enters") for 1 .. 4;
is($t->event({ id => 'e0', member => $_, type => 'purchase', amount => '9.00',
               at => Loyalty::Instant::at(-100_000) })->status, 200,
   "$_ has points") for 'm1', 'm2';
is($game{wheel}->play('m1', "p$_")->status, 200, 'a play') for 1 .. 2;
is($game{calendar}->play('m1', 'p1')->status, 200, 'a play of moments');
is_deeply(buy('m1', 'e1'), [qw(challenge plays points tickets)],
          'tickets and a play for a purchase');

# everything that is known of m1 goes, and is no way to begin anew

is(erase('m1'), 200, 'erased');
is($t->get('/loyalty-admin/members/m1/export')->code, 'unknown_member',
   'nothing is left to export');
is(erase('m1'), 404, 'nor to erase');

is(enter('m1', 'new')->code, 'not_eligible', 'who comes back does not enter');
is(enter('m1', 'k1')->code, 'not_eligible', 'nor under a key of before');
is($game{$_}->play('m1', 'p1')->code, 'not_eligible', "nor plays $_")
    for qw(wheel calendar);
is_deeply(buy('m1', 'e1'), [qw(challenge plays points tickets_refused)],
          'a purchase counts, without tickets');
is($game{wheel}->play('m1', 'p3')->code, 'not_eligible',
   'a play that was awarded cannot be used');
is($raffle->admin('entries', '{"member":"m1","tickets":1,"id":"paper"}',
       headers => { 'Content-Type' => 'application/x-ndjson' })
       ->json->{lines}[0]{code}, 'not_eligible', 'nor is anybody imported');

is(erase('m1'), 200, 'erased once more');
is(enter('m1', 'newer')->code, 'not_eligible', 'which changes nothing');

# others are not touched

is($game{wheel}->play('m2', 'p1')->status, 200, 'another one plays');
is($t->event({ id => 'e1', member => 'm5', type => 'visit' })->status, 200,
   'who has taken part in nothing');
is(erase('m5'), 200, 'is erased');
is(enter('m5', 'k5')->status, 200, 'and enters');

ok($raffle->wait_for_state('drawn', 20), 'the draw is made');

# what a winner's erasing leaves

my @before = $raffle->verify;
like($before[1], qr/^V0[89] PASS .*^V10 PASS .*^V17 PASS /ms, 'verified');

my ($winner) = grep { $raffle->show($_)->{won} } map { "m$_" } 2 .. 5;
is(erase($winner), 200, 'a winner is erased');
is_deeply([$raffle->verify], \@before, 'the same verdict as before');
is($raffle->claim($winner)->status, 200, 'what was won is won');

for my $name (sort keys %game) {
    my $out;

    ok($t->wait_for(sub {
        $out = ($game{$name}->verify)[1];
        return $out =~ /^V03 PASS.*^V14 PASS/ms;
    }, 12), "$name is verified") or diag $out;
}

Loyalty::Instant::fsck($t);

done_testing();
