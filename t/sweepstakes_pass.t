#!/usr/bin/perl

# A raffle from before it opens to its last prize, on the day of a round of
# quicknet that is known: nginx, Redis, the relays and the authority all have
# the clock of that day.  Nothing is made up, so loyalty-verify says PASS.

use strict;
use warnings;
no warnings 'portable';

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../bin/lib",
    "$FindBin::Bin/../tests/verify";

use JSON::PP ();
use Loyalty::CA;
use Loyalty::Clock;
use Loyalty::FakeRelay;
use Loyalty::FakeTSA;
use Loyalty::Fairness qw(round_at round_time entries);
use Loyalty::Sweeps;
use Loyalty::Test;
use POSIX qw(strftime);
use Proof qw(cosign vkey witness command_says page_says verify_program has_blst slurp spew);
use Test::More;
use Time::HiRes qw(time sleep);

my $clock = Loyalty::Clock->everywhere;

my $R = 14517013;
my $close = round_time($R) / 1000 - 1803;
my $open = $close - 86400;

sub clock {
    my ($to) = @_;

    $clock->set($to);
    ok(abs(time - $to) < 1, 'it is ' . at($to)) or diag time;
}

sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $_[0]) }

clock($open - 2 * 86400);

my $ca = Loyalty::CA->new;
my $t = Loyalty::Test->new(
    start => 0,
    workers => 2,
    # whose thread would wait for times of the other clock
    redis => { args => ['--jemalloc-bg-thread', 'no'] },
    files => { secret => $Loyalty::Sweeps::SECRET },
    server => 'location /fair/ { loyalty_proof shop; }',
    program => <<END);
secret_file %%TESTDIR%%/secret;
unsafe_store on;
beacon drand_quicknet from=http://127.0.0.1:%%PORT_one%%
                      from=http://127.0.0.1:%%PORT_two%%;
timestamp_authority http://127.0.0.1:%%PORT_tsa%%
                    trusted_certificate=@{[$ca->dir]}/ca.crt;
wallet points;
earn purchase points 100;
challenge buyer { on purchase; goal 1; every day; award tickets spring 3; }
sweepstakes spring {
    open @{[at($open)]}; close @{[at($close)]};
    cost points 10; free_entry on; claim_within 7d;
    prize trip { stock 2; } prize mug { stock 4; } alternates 3;
}
END

my @relays = map { Loyalty::FakeRelay->new($t, $_) } qw(one two);
my $tsa = Loyalty::FakeTSA->new($t, 'tsa', ca => $ca);

clock($open - 300);
$t->start;

my $s = Loyalty::Sweeps->new($t, 'spring');

is($s->manifest->{round}, $R, 'the round it rests on');
ok($t->wait_for(sub { ($s->file('timestamps') // '') =~ /^manifest 1 /m }, 30),
   'the manifest is stamped');
is($s->enter('m1', { tickets => 1, free => JSON::PP::true })->status, 409,
   'it is not open yet');

# tickets of every kind, and a purchase that is taken back

clock($open + 3600);

# the clock has jumped, which a worker may still have to get over

sub done {
    my ($post) = @_;
    my $r;

    $t->wait_for(sub { $r = $post->(); $r->status != 503 });
    return $r->status =~ /^20[01]$/ ? '' : $r->body;
}

my @refused;

for my $i (1 .. 40) {
    push @refused, map { done($_) }
        sub { $t->event({ id => "p$i", member => "m$i",
                          type => 'purchase' }) },
        sub { $s->enter("m$i", { tickets => 1 + $i % 9 }, key => "m$i") },
        sub { $s->enter("f$i", { tickets => 1, free => JSON::PP::true },
                        key => "f$i") };
}

for my $i (5, 17) {
    push @refused,
        done(sub { $t->reversal("p$i", { id => "r$i", member => "m$i" }) });
}

is(join('', @refused), '', 'all of them enter');

my $r = $s->admin('entries',
    join('', map { qq({"member":"i$_","tickets":2,"id":"paper $_"}\n) }
         1 .. 9),
    headers => { 'Content-Type' => 'application/x-ndjson' });
is($r->json->{entered}, 9, 'imported') or diag $r->body;

my $mine = $s->enter('eva', { tickets => 2, free => JSON::PP::true },
                     key => 'kept')->json->{receipt};

my %method;
$method{$_->{method}}++ for entries($s->file('entries'));
is_deeply(\%method, { 1 => 40, 2 => 41, 3 => 42, 4 => 9 }, 'by kind')
    or diag explain \%method;

# it closes, is stamped, and waits for the round

clock($close + 2);
ok($t->wait_for(sub { ($s->show->{waiting} // {})->{round} }, 30),
   'closed, stamped, waiting for the round');
is($s->file('picks'), undef, 'nothing is drawn');

# whoever will verify keeps the note of the close

Loyalty::Sweeps::write_file($t->dir . '/saved',
                            $s->file('manifest') . $s->file('close'));

# or a witness has cosigned it

my $witness = witness('witness.example');
my $line = cosign($witness, 'close', 0, $s->file('close'), time * 1000);

spew($t->dir . '/witness', vkey($witness, 4));
$r = $s->admin('cosignature', { key => vkey($witness, 4) =~ s/\n//r,
    cosignature => $line =~ s/^close 0 /\x{2014} /r =~ s/\n//r });
is($r->status, 200, 'a witness has seen the close') or diag $r->body;

clock(round_time($R) / 1000 - 60);
sleep 1.5;
is($s->show->{state}, 'waiting', 'a minute before the round');
clock(round_time($R) / 1000);
ok($s->wait_for_state('drawn', 30), 'drawn');
is($s->file('picks'), $s->recomputed, 'recomputed');

ok($t->wait_for(sub {
    $t->get('/fair/games')->body =~ /^spring \w+ sweepstakes drawn$/m
}, 30), 'so say the games');

# one winner is disqualified, two claim, and the others let it pass

my %won;

for my $m ((map { ("m$_", "f$_") } 1 .. 40), (map { "i$_" } 1 .. 9), 'eva') {
    my $won = $s->show($m)->{won} or next;
    $won{$won->{position}} = $m;
}

is(join(' ', sort keys %won), '0 1 2 3 4 5', 'six winners know');

sub disqualified {
    my ($n) = @_;

    ok($t->wait_for(sub {
        $n == (() = ($s->file('dq') // '') =~ m{^nginx-loyalty/1 dq$}mg);
    }, 30), "$n were disqualified");
}

$r = $s->admin('disqualifications',
               { position => 0, reason => 'fraud', evidence => 'ab' x 32 });
is($r->status, 200, 'one has cheated') or diag $r->body;
disqualified(1);

is($s->claim($won{$_})->status, 200, "position $_ is claimed") for 1, 2;
is($s->admin('winners/1/deliver')->status, 200, 'and delivered');

clock(round_time($R) / 1000 + 8 * 86400);
disqualified(5);
clock(round_time($R) / 1000 + 16 * 86400);
disqualified(7);

# what strangers say, with the clock of today: the command, and the page

Loyalty::Sweeps::write_file($t->dir . '/receipt', <<END);
nginx-loyalty/1 receipt
record $mine->{record}
signature $mine->{signature}
salt $mine->{salt}
member $mine->{member}
event $mine->{event}
END

my $dir = $t->dir . '/proof';
my @options = ('--tsa-ca', $ca->dir . '/ca.crt',
               '--saved-note', $t->dir . '/saved',
               '--receipt', $t->dir . '/receipt');
my $got;

sub command { return command_says(verify_program(), @_, $dir) }

delete $ENV{LD_PRELOAD};

ok($t->wait_for(sub {
    $s->save($dir);
    $got = command(@options);
    # without a library for BLS: all but the signature of the round
    $got->{V19} eq 'PASS' && $got->{status} == (has_blst() ? 0 : 2);
}, 40), 'loyalty-verify: PASS') or diag $got->{text};

my $checks = () = $got->{text} =~ /^V\d\d PASS /mg;
is($checks, has_blst() ? 19 : 18, 'all nineteen') or diag $got->{text};
like($got->{text}, qr/^V06 .*: 1 rounds$/m, 'with a round of quicknet')
    if has_blst();
like($got->{text},
     qr/^V18 PASS .*: awarded 2, redrawn 0, unclaimed 4, offered 6$/m,
     'who got what');
like($got->{text}, has_blst() ? qr/^PASS/m : qr/^INCOMPLETE/m, 'the verdict');

is(command(@options[2 .. 5])->{V04}, 'INCOMPLETE', 'with no certificate');
is(command(@options[0, 1, 4, 5])->{V04}, 'INCOMPLETE', 'with no saved note');

my @witness = (@options[0, 1, 4, 5], '--witness', $t->dir . '/witness');
my $seen = command(@witness);
is($seen->{status}, $got->{status}, 'with a witness in place of a saved note')
    or diag $seen->{text};

my $page = -f Proof::build() . '/verify-node.mjs';

SKIP: {
    skip 'the page has not been built (make web)', 4 if !$page;

    my $said = page_says(@options, $dir);

    is($said->{status}, 0, 'the page: PASS') or diag $said->{text};
    is(() = $said->{text} =~ /^V\d\d PASS /mg, 19, 'all nineteen');

    $said = page_says(@witness, $dir);
    is($said->{status}, 0, 'with a witness, too') or diag $said->{text};

    $said = page_says(@options[2 .. 5], $dir);
    is($said->{V04}, 'INCOMPLETE', 'with no certificate');
}

# one byte of any file: never again

my ($changed, @passed) = (0);

for my $path (sort glob "$dir/*") {
    my $data = slurp($path);
    my $n = length $data;

    for my $at ($n == 0 ? () : (0, int $n / 3, int $n / 2, $n - 1)) {
        my $other = $data;

        substr $other, $at, 1, chr(ord(substr $data, $at, 1) ^ 1);
        spew($path, $other);

        push @passed, "$path: $at" if command(@options)->{status} == 0;
        push @passed, "$path: $at, the page"
            if $page && $at == int $n / 3
               && page_says(@options, $dir)->{status} == 0;
        $changed++;
    }

    spew($path, $data);
}

is(join(', ', @passed), '', "$changed bytes changed, none of them passed");
cmp_ok($changed, '>=', 40, 'of all files');
is(command(@options)->{status}, $got->{status}, 'and back again');

done_testing();
