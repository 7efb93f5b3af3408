#!/usr/bin/perl

# Prizes that award a reward: as long as it is sold out, nobody plays, so that
# nobody wins what is not there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Instant;
use Loyalty::Test;
use Test::More;

sub at { return Loyalty::Instant::at(@_) }

my $dates = "open @{[at(-3600)]}; close @{[at(3600)]};";

my $t = Loyalty::Test->new(
    files => { secret => 'main:' . '5a' x 32 . "\n" },
    server => 'location /fair/ { loyalty_proof shop; }',
    program => <<END);
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
earn purchase points 10;
reward mug { stock 2; }
reward cup { cost points 1; codes cups; }
instant_win mugs { $dates cost points 1; draw odds;
                   prize mug { odds 1/1; award reward mug; } }
instant_win cups { $dates draw odds; prize cup { odds 1/1; award reward cup; } }
instant_win deck { $dates draw deck blanks=1;
                   prize mug { stock 1; award reward mug; }
                   prize pen { stock 1; } }
sweepstakes raffle { $dates limit 3 per campaign; prize trip { stock 1; } }
instant_win all { $dates draw odds;
                  prize lot { odds 1/1; award points 5; award tickets raffle 2;
                              award plays mugs 1; award tickets raffle 1;
                              award tickets raffle 1; } }
END

my %game = map { $_ => Loyalty::Instant->new($t, $_) } qw(mugs cups deck all);

sub effects {
    my ($game, $key) = @_;
    my $r = $game{$game}->play('ada', $key);

    return $r->code if $r->status != 200;
    return join ' ', map { $_->{type} . ($_->{sold_out} ? ' of nothing' : '')
                           . ($_->{code} ? " $_->{code}" : '') }
                     grep { $_->{type} !~ /^(points|play)$/ }
                     @{ $r->json->{effects} };
}

sub points { return $t->me('ada')->json->{wallets}{points}{balance} }

$t->event({ id => 'e', member => 'ada', type => 'purchase' });

# ---- stock ----

is(effects(mugs => $_), 'reward', "mug $_") for 1, 2;
is(effects(mugs => 3), 'sold_out', 'no third one is won');
is(points(), 8, 'and nothing is charged');
is(effects(mugs => 1), 'reward', 'what was won is still known');
is(effects(deck => 1), 'sold_out', 'nor by the next game');
is(length $game{mugs}->log, 2 * 189, 'nothing is recorded');
is(length $game{deck}->log, 0, 'there neither');

# ---- codes ----

is(effects(cups => 1), 'sold_out', 'without a code');

sub codes {
    return $t->post('/loyalty-admin/codes/cups', join('', map { qq("$_"\n) } @_),
                    headers => { 'Content-Type' => 'application/x-ndjson' });
}

is(codes('C1')->json->{unused}, 1, 'there is one');
is(effects(cups => 1), 'reward C1', 'it is won');
is(effects(cups => 2), 'sold_out', 'no other one is');
is(codes('C2')->json->{unused}, 1, 'there is another one');
is(effects(cups => 2), 'reward C2', 'and it goes on');

# ---- what is listed is what was given ----

my @lists = map {
    my $won = $game{all}->play('lea', $_)->json;
    join ' ', map { $_->{sweepstakes} ? "tickets $_->{tickets}"
                    : $_->{game} ? "plays $_->{plays}" : "points $_->{amount}" }
              @{ $won->{award} }
} 1 .. 3, 1;

is($lists[0], 'points 5 tickets 2 plays 1 tickets 1', 'up to the limit');
is($lists[1], 'points 5 plays 1', 'tickets that were refused are not');
is($lists[3], $lists[0], 'a repeat says the same');

# ---- a prize that is gone awards nothing ----

$t->write_file('program.conf',
               $t->read_file('program.conf') =~ s/stock 2;/stock 3;/r);
$t->reload(wait => 1);

my %won;

for my $key (2 .. 4) {
    my $won = effects(deck => $key);
    $won{ $won eq '' ? $game{deck}->play('ada', $key)->json->{prize} // '-'
                     : $won }++;
}

is_deeply(\%won, { reward => 1, pen => 1, '-' => 1 },
          'all cards of the deck, the last mug among them');
is(effects(deck => 5), 'sold_out', 'no card is left');

$game{mugs}->sound(stock => [undef]);
$game{deck}->sound(stock => [1, 1]);
Loyalty::Instant::fsck($t);

done_testing();
