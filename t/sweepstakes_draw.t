#!/usr/bin/perl

# A draw by the clock, recomputed from the published files: with voids, with
# nobody, with fewer persons than prizes, with one person who has nearly all
# tickets; and then claims, listed alternates and a second draw.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Loyalty::Sweeps;
use Loyalty::Test;
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(time sleep);

my $true = JSON::PP::true;

sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + $_[0])) }

my ($open, $close) = (at(-60), at(6));

my $t = Loyalty::Test->new(
    workers => 2,
    files => { secret => 'main:' . '5a' x 32 . "\n" },
    server => 'location /fair/ { loyalty_proof shop; }',
    program => <<END);
secret_file %%TESTDIR%%/secret;
unsafe_store on;
challenge buyer { on purchase; goal 1; every day; award tickets main 3; }
sweepstakes main { open $open; close $close; free_entry on;
                   prize trip { stock 2; } prize mug { stock 3; }
                   alternates 2; claim_within 1d; }
sweepstakes empty { open $open; close $close; prize trip { stock 2; } }
sweepstakes few { open $open; close $close; free_entry on;
                  prize a { stock 2; } prize b { stock 2; } alternates 3; }
sweepstakes whale { open $open; close $close; free_entry on;
                    prize a { stock 4; } alternates 1; }
sweepstakes hasty { open $open; close $close; free_entry on;
                    prize a { stock 1; } alternates 2; claim_within 2s; }
sweepstakes void { open $open; close $close; prize a { stock 1; } }
challenge void_me { on refunded; goal 1; every day; award tickets void 4; }
END

my %s = map { $_ => Loyalty::Sweeps->new($t, $_) }
        qw(main empty few whale hasty void);
my $left = $s{main}->show;

is($left->{state}, 'open', 'open');

# forty members, a third of them award tickets, and some are voided

for my $i (1 .. 40) {
    is($s{main}->enter("m$i", { tickets => 1 + $i % 4, free => $true })
       ->status, 200, "m$i") if $i % 3;
    $t->event({ id => "p$i", member => "m$i", type => 'purchase' })
        if $i % 3 == 0;
}

$t->reversal("p$_", { id => "r$_", member => "m$_" }) for 9, 21, 30;
$s{few}->enter("f$_", { tickets => 2, free => $true }) for 1, 2, 3, 1;
$s{whale}->enter("w$_", { tickets => 1, free => $true }) for 1 .. 4;
$s{whale}->enter('whale', { tickets => 400, free => $true });
$s{hasty}->enter("h$_", { tickets => 1, free => $true }) for 1 .. 6;
$t->event({ id => 'v', member => 'v', type => 'refunded' });
$t->reversal('v', { id => 'vr', member => 'v' });

is($s{main}->admin('close', {})->code, 'not_open', 'it closes by the clock');
is($s{main}->admin('draw', {})->code, 'not_open', 'and is drawn after it');

ok($_->wait_for_state('drawn', 20), "$_->{name} is drawn")
    for @s{qw(main empty few whale void)};
is($s{main}->enter('late', { tickets => 1, free => $true })->code, 'closed',
   'nobody enters any more');
is($t->reversal('p3', { id => 'r3', member => 'm3' })->status, 200,
   'a reversal after the close');
is($s{main}->show('m3')->{own}{tickets}, 3, 'leaves the tickets');

# what a stranger computes

sub agrees {
    my ($s) = @_;
    my $picks = $s->file('picks');
    my $want = $s->recomputed;

    is(substr($picks // '', 0, length $want), $want,
       "the draw of $s->{name}, recomputed");
    verified($s);
}

# seed only is INCOMPLETE, and everything else holds

sub verified {
    my ($s) = @_;
    my ($code, $out) = $s->verify;

    is($code, 2, "loyalty-verify on $s->{name}: seed only is INCOMPLETE")
        or diag $out;
    is(() = $out =~ /^V(?:01|02|07|08|09|10|16|17|18) PASS /mg, 9,
       'terms, signatures, seed, entries, root, picks, winners')
        or diag $out;
}

agrees($s{$_}) for qw(main empty few whale void);

unlike($s{main}->file('picks'), qr/^pick \d+ \d+ \d+ (?:$_) /m, 'no void wins')
    for grep { defined } map { $_->{seq} }
        grep { $_->{flags} & 1 } Loyalty::Fairness::entries(
            $s{main}->file('entries'));
is($s{empty}->file('picks'), "vacant 0 0\nvacant 1 0\n", 'no entries');
is($s{empty}->close->{entries}, 0, 'closed with none');
is(() = $s{few}->file('picks') =~ /^pick /mg, 3, 'three persons are picked');
like($s{few}->file('picks'), qr/^vacant 3 1$/m, 'the fourth prize is vacant');
is(() = $s{whale}->file('picks') =~ /^pick /mg, 5, 'one prize a person');
is($s{void}->file('picks'), "vacant 0 0\n", 'all entries voided');

# who has won, and claims

my $won = $s{main}->show;
my @winners = @{ $won->{winners} };
is(@winners, 5, 'five winners');
is_deeply([map { $_->{prize} } @winners], [qw(trip trip mug mug mug)],
          'prizes in the order of the table');
is($won->{state}, 'drawn', 'drawn');
ok(!(grep { exists $_->{member} || exists $_->{person} } @winners),
   'without identity');

my %of;

for my $i (1 .. 40) {
    my $j = $s{main}->show("m$i");
    my ($own) = grep { $_->{own} } @{ $j->{winners} };
    next if !$own;
    is($j->{won}{position}, $own->{position}, "m$i won");
    $of{$own->{position}} = "m$i";
}

is_deeply([sort keys %of], [0 .. 4], 'each winner knows');

my ($loser) = grep { my $m = $_; !grep { $_ eq $m } values %of }
              map { "m$_" } 1 .. 40;
is($s{main}->claim($loser)->code, 'not_eligible', 'nobody else claims');
my $r = $s{main}->claim($of{2});
is($r->status, 200, 'a claim') or diag $r->body;
is($r->json->{prize}, 'mug', 'of this prize');
is($s{main}->claim($of{2})->body, $r->body, 'once, and the same again');
ok($s{main}->show($of{2})->{won}{claimed}, 'it shows');
is($s{main}->admin('winners/2/deliver', {})->json->{position}, 2,
   'delivered');
is($s{main}->admin('winners/9/deliver', {})->code, 'not_eligible',
   'no such position');
is($s{main}->admin('winners/x/claim', {})->status, 404, 'no position');

# alternates

my $ticket = $s{main}->show->{winners}[0]{ticket};

is($s{main}->admin('disqualifications', { position => 0, reason => 'fraud',
   ticket => $ticket + 1 })->code, 'not_eligible', 'another ticket than won');
$r = $s{main}->admin('disqualifications', { position => 0, ticket => $ticket,
    reason => 'ineligible', evidence => 'ab' x 32 });
is($r->status, 200, 'disqualified') or diag $r->body;
is($r->json->{number}, 1, 'number 1');
is($s{main}->admin('disqualifications', { position => 0, ticket => $ticket,
   reason => 'ineligible' })->code, 'not_eligible',
   'a repeat leaves the alternate alone');
is($s{main}->claim($of{0})->code, 'not_eligible', 'who lost it cannot claim');
my @picks = grep { /^pick 5 / } split /\n/, $s{main}->file('picks');
my ($alternate) = $picks[0] =~ /(\S+)$/;
like($s{main}->file('picks'), qr/^winner 0 0 \d+ $alternate$/m,
     'the first alternate has the prize');
is($s{main}->show->{winners}[0]{ticket}, (split / /, $picks[0])[3],
   'with its ticket');
is($s{main}->admin('disqualifications', { position => 0, reason => 'nice' })
   ->code, 'invalid_field', 'a reason that is none');
is($s{main}->admin('disqualifications', { position => 0, reason => 'fraud',
   evidence => 'x' })->code, 'invalid_field', 'evidence that is none');
$s{main}->admin('disqualifications', { position => 0, reason => 'declined' })
    for 1, 2;
like($s{main}->file('picks'), qr/^vacant 0 0$/m, 'no alternate is left');
is($s{main}->admin('disqualifications', { position => 0, reason => 'fraud' })
   ->code, 'not_eligible', 'nobody has it');
is(@{ $s{main}->show->{winners} }, 4, 'four winners are left');

verified($s{main});

# claim_within

ok($s{hasty}->t->wait_for(sub {
    ($s{hasty}->file('picks') // '') =~ /^vacant 0 0$/m }, 20),
   'nobody claims in time: two alternates, then nobody');
is(() = $s{hasty}->file('dq') =~ /^nginx-loyalty\/1 dq$/mg, 3,
   'three notes of it');
is($s{hasty}->statement('dq') =~ /\x00\x03\x00\x00\x00\x0cclaim_within/ ? 1 : 0, 1,
   'reason 3, by the clock');
verified($s{hasty});

# a second draw

my $before = $s{main}->file('picks');
my $first = $t->get('/loyalty-admin/sweepstakes/main')->json;
is_deeply([map { [@$_{qw(position prize status)}] } @{ $first->{winners} }],
          [[0, 'trip', 'vacant'], [1, 'trip', 'held'], [2, 'mug', 'delivered'],
           [3, 'mug', 'held'], [4, 'mug', 'held']],
          'the admin sees what became of prizes');
is(join('', map { "$_->{ticket} $_->{entry} $_->{person}\n" }
        @{ $first->{winners} }[1 .. 4]),
   join('', map { /^pick \d+ \d+ (.*)/ ? "$1\n" : () }
        (split /\n/, $before)[1 .. 4]), 'and who has them');

$r = $s{main}->admin('draw', {});
is_deeply($r->json, $first, 'a second draw returns the first');
is($s{main}->file('picks'), $before, 'nothing changes');
ok($t->wait_log(qr/was to be drawn again by "admin"/), 'and it is logged');

done_testing();
