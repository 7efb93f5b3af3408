#!/usr/bin/perl

# A thousand plays at once: two workers each of two nginx, one Redis.  No prize
# beyond its stock, each play charged once, and the log complete.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Loyalty::Instant;
use Loyalty::Test;
use POSIX ();
use Test::More;

my $secret = 'main:' . '5a' x 32 . "\n";
my ($open, $close) = map { Loyalty::Instant::at($_) } -3600, 86400;
my $program = <<END;
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
earn purchase points 100;
instant_win scratch {
    open $open; close $close; cost points 7; limit 10 per day; draw odds;
    prize car { stock 10; odds 1/2; award points 3; }
}
instant_win deck {
    open $open; close $close; draw deck blanks=390;
    prize car { stock 10; award points 5; }
}
instant_win one {
    open $open; close $close; cost points 30; draw odds; wins_per_member 1;
    prize car { stock 100; odds 1/1; }
}
END

my %common = (workers => 2, server => 'location /fair/ { loyalty_proof shop; }',
              files => { secret => $secret });
my $t = Loyalty::Test->new(%common, program => $program);
my $other = Loyalty::Test->new(%common, redis => 0,
    program => 'redis unix:' . $t->dir . '/redis.sock'
               . ($ENV{LOYALTY_SPLIT} ? ' split' : '') . ";\n$program");

my %game = map { $_ => Loyalty::Instant->new($t, $_) } qw(scratch deck one);
my @members = map { "member-$_" } 0 .. 99;

is_deeply([grep { $_->{status} != 200 }
           $t->events([map { { id => 'e', member => $_, type => 'purchase' } }
                       @members])->lines], [], 'points for all');

# half of the requests to each nginx, at the same time

sub both {
    my (@requests) = @_;
    my $i = 0;
    my @mine = grep { $i++ % 2 == 0 } @requests;

    $i = 0;

    my @others = grep { $i++ % 2 } @requests;

    pipe my $in, my $out or die "pipe: $!";

    my $pid = fork // die "fork: $!";

    if ($pid == 0) {
        my @r = map { [$_->status, $_->body] } $other->parallel(@others);
        print {$out} pack('N/a*', $_) for map { @$_ } @r;
        close $out;
        POSIX::_exit(0);
    }

    close $out;

    my @r = map { [$_->status, $_->json] } $t->parallel(@mine);
    my $bytes = do { local $/; <$in> };

    waitpid $pid, 0;

    my @more = unpack '(N/a)*', $bytes;

    while (my ($status, $body) = splice @more, 0, 2) {
        push @r, [$status, JSON::PP->new->utf8->decode($body)];
    }

    return @r;
}

sub tally {
    my %n;
    $n{$_->[0] == 200 ? $_->[1]{outcome} : $_->[1]{code}}++ for @_;
    return \%n;
}


# ---- 1,000 plays, 10 prizes ----

my $g = $game{scratch};
my @r = both(map { my $m = $_; map { [$g->post($m, "play $_")] } 1 .. 10 }
             @members);

is_deeply(tally(@r), { win => 10, lose => 990 }, 'ten of a thousand win');

my $log = $g->sound(stock => [10]);

is(scalar @$log, 1000, 'a thousand plays in the log');
is_deeply($g->counts, { plays => 1000, wins => 10, tier => { 0 => 10 } },
          'ten of them won');
is_deeply($g->taken('car'), [10], 'the stock is used up');

my %won;

$won{ $_->{id} } = 1 for grep { $_->{status} == 1 } @$log;
is_deeply([sort map { $_->[1]{play} } grep { $_->[1]{outcome} eq 'win' } @r],
          [sort map { unpack 'H*', $_ } keys %won],
          'those who were told so');

my %wins;

$wins{ $_->[1]{effects}[1]{plays_left} }++ for @r;
is_deeply(\%wins, { map { $_ => 100 } 0 .. 9 },
          'each member has played ten times');

my $sum = 0;

$sum += $t->me($_)->json->{wallets}{points}{balance} for @members;
is($sum, 100 * 100 - 1000 * 7 + 10 * 3, 'points in all');

my %first = map { $_->[1]{play} => $_->[1] } @r;
my @again = both(map { my $m = $_; map { [$g->post($m, "play $_")] } 1, 6 }
                 @members);

is(scalar(grep { $_->[0] == 200
                 && $_->[1]{outcome} eq $first{ $_->[1]{play} }{outcome}
                 && $_->[1]{balances}{points}
                    == $first{ $_->[1]{play} }{balances}{points} } @again),
   200, 'repeats at another nginx have the same results');
is(length $g->log, 1000 * 189, 'and are not played');

is_deeply(tally(both(map { [$g->post($_, 'one more')] } @members)),
          { limit_reached => 100 }, 'an eleventh play is refused');


# ---- a deck of 400 cards, 600 plays of 20 members ----

$g = $game{deck};
@r = both(map { my $m = $_; map { [$g->post($m, "play $_")] } 1 .. 30 }
          @members[0 .. 19]);

my $tally = tally(@r);
my $busy = delete $tally->{busy} // 0;

is($tally->{win}, 10, 'ten cards win') or diag explain $tally;
is($tally->{lose}, 390, 'all others are drawn, too');
is($tally->{sold_out} + $busy, 200, 'and then there is no card');
$g->sound(stock => [10]);
is_deeply($g->taken('car', ''), [10, 390], 'the deck is empty');


# ---- one member, many keys at once ----

$g = $game{one};
$t->event({ id => 'f', member => 'rich', type => 'purchase' });
@r = both(map { [$g->post('rich', "play $_")] } 1 .. 40);
$tally = tally(@r);

is($tally->{win}, 1, 'one win');
is($tally->{lose}, 2, 'three plays are paid for');
is(($tally->{insufficient_balance} // 0) + ($tally->{busy} // 0), 37,
   'and no more');
is($t->me('rich')->json->{wallets}{points}{balance}, 10,
   'what is left is too little');
$g->sound(stock => [100]);

Loyalty::Instant::fsck($t);

done_testing();
