#!/usr/bin/perl

# "redis ... split", the connection being cut before and after each step: the
# same request again, another one of the member, or the leader bring to its end
# what was begun.  It is charged once, or not at all.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Cut;
use Loyalty::Instant;
use Loyalty::Test;
use Test::More;

my ($open, $close) = map { Loyalty::Instant::at($_) } -3600, 86400;

my $t = Loyalty::Test->new(
    files => { secret => 'main:' . '5a' x 32 . "\n" },
    server => 'location /fair/ { loyalty_proof shop; }', start => 0,
    program => "redis unix:%%TESTDIR%%/cut.sock split connections=16;\n"
               . (my $program = <<END));
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
earn purchase points 100;
instant_win scratch { open $open; close $close; cost points 10; draw odds;
                      prize mug { odds 1/2; award points 3; } }
sweepstakes raffle { open $open; close $close; cost points 10;
                     prize trip { stock 1; } }
END

my $cut = Loyalty::Cut->new($t, 'cut.sock');

$t->start;

my $g = Loyalty::Instant->new($t, 'scratch');

$t->wait_for(sub { $t->get('/fair/games')->body =~ /^raffle /m });

my %make = (
    play => sub {
        my ($member, $key, $at) = @_;
        bless({ %$g, t => $at // $t }, ref $g)->play($member, $key);
    },
    enter => sub {
        my ($member, $key, $at) = @_;
        ($at // $t)->post('/loyalty/sweepstakes/raffle/entries', { tickets => 1 },
                 headers => { 'X-Member' => $member,
                              'Idempotency-Key' => $key });
    },
);

# what was made of a member's, by the ledger: how many, and what they brought

sub made {
    my ($member) = @_;
    my ($n, $points) = (0, 100);

    for my $h (@{ $t->history($member, 'limit=50')->json->{history} }) {
        for my $e (@{ $h->{effects} }) {
            $n++ if $e->{type} eq 'play' || $e->{type} eq 'tickets';
            $points += $e->{amount}
                if $e->{type} eq 'points' && $h->{type} ne 'purchase';
        }
    }

    is($t->me($member)->json->{wallets}{points}{balance}, $points,
       "$member: the balance is what the ledger says");

    return $n;
}

# once more until nginx has found Redis again

sub surely {
    my ($make, @request) = @_;
    my $r;

    $t->wait_for(sub { $r = $make->(@request); $r->status != 503 });

    return $r;
}

my @left;

for my $kind (qw(play enter)) {
    for my $step (qw(reserve draw settle)) {
        for my $when (qw(before after)) {
            for my $then (qw(same other leader)) {
                my $member = "$kind-$when-$step-$then";
                my $make = $make{$kind};

                is(surely(sub { $t->event(@_) }, { id => 'e',
                       member => $member, type => 'purchase' })->status, 200,
                   "$member: points");
                $cut->next($when, "${kind}_$step");

                my $r = $make->($member, 'one');

                ok($cut->done && $r->status >= 500, 'it is cut off')
                    or diag $r->status;

                if ($then eq 'leader') {
                    push @left, [$kind, $when, $step, $member];
                    next;
                }

                $r = surely($make, $member, $then eq 'same' ? 'one' : 'two');
                is($r->status, 200, 'the next one') or diag $r->body;

                my $begun = $then eq 'same' || "$when $step" eq
                            'before reserve' ? 1 : 2;

                is(made($member), $begun, "$begun made");
                is(surely($make, $member, 'one')->status, 200,
                   'and with its key');
                is(made($member), $then eq 'same' ? 1 : 2, 'once');
            }
        }
    }
}


# ---- while something is open, and a node without "split" ----

my $plain = Loyalty::Test->new(
    redis => 0, files => { secret => 'main:' . '5a' x 32 . "\n" },
    server => 'location /fair/ { loyalty_proof shop; }',
    program => 'redis unix:' . $t->dir . "/redis.sock;\n$program");

for my $kind (qw(play enter)) {
    for my $step (qw(reserve draw)) {
        my $member = "$kind-$step-plain";

        surely(sub { $t->event(@_) }, { id => 'e', member => $member,
                                        type => 'purchase' });
        $cut->next(after => "${kind}_$step");
        $make{$kind}->($member, 'one');

        is($plain->me($member)->json->{wallets}{points}{balance}, 100,
           "$member: what is held is shown");
        is($plain->get("/loyalty-admin/members/$member$_")->status, 200,
           "the admin API: $_") for '', '/export', '/history';
        like(scalar(`bin/loyalty-member --redis unix:@{[ $t->dir
                     ]}/redis.sock --program shop $member 2>&1`),
             qr/points/, 'loyalty-member');
        is($plain->post("/loyalty-admin/members/$member/adjustments",
                        { wallet => 'points', amount => -95,
                          reason => 'all of it' },
                        headers => { 'Idempotency-Key' => $member,
                                     'Loyalty-Actor' => 'olga' })->code,
           'insufficient_balance', 'and cannot be spent');

        my $r = $make{$kind}->($member, 'two', $plain);

        is($r->status, 200, 'a node without "split" ends it')
            or diag $r->body;
        is(surely($make{$kind}, $member, 'one')->status, 200, 'with its key');
        is(made($member), 2, 'once');
    }
}


# ---- what nobody asks for again ----

sub open_ones {
    my $redis = $t->redis;

    return map { @{ $redis->call('ZRANGE', $_, 0, -1) } }
           @{ $redis->call('KEYS', '*:o:*') };
}

ok($t->wait_for(sub { !open_ones() }, 20), 'the leader ends it')
    or diag explain [open_ones()];

for (@left) {
    my ($kind, $when, $step, $member) = @$_;
    my $drawn = $step eq 'settle' || "$when $step" eq 'after draw';

    is(made($member), $drawn ? 1 : 0,
       $drawn ? 'what was drawn is settled' : 'what was not is given back');
    is(surely($make{$kind}, $member, 'one')->status, 200, 'the key');
    is(made($member), 1, 'once');
}

like($t->log, qr/what was cut off of member "play-after-reserve-leader" in (?#
                 )instant_win scratch is given back/, 'it is logged');
$g->sound;
Loyalty::Instant::fsck($t);

done_testing();
