#!/usr/bin/perl

# Instant wins that rest on a beacon, from open to close: odds, a deck and
# moments, and what loyalty-verify says of the published files.

use strict;
use warnings;
no warnings 'portable';

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../tests/verify";

use Loyalty::CA;
use Loyalty::Clock;
use Loyalty::Fairness qw(round_at);
use Loyalty::FakeRelay;
use Loyalty::FakeTSA;
use Loyalty::Instant;
use Loyalty::Test;
use POSIX qw(strftime);
use Proof ();
use Test::More;
use Time::HiRes qw(time sleep);

# openssl has another clock: the manifests of campaigns that opened a minute
# ago were stamped before

my $clock = Loyalty::Clock->new;

sub ago { return $clock->ago(@_) }

my $slack = 10 * Loyalty::Test->slow;
my $now = int time;
my ($first, $last) = ($now - 56, $now + $slack);

sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $_[0]) }

my $dates = 'open ' . at($first) . '; close ' . at($last) . ';';
my $ca = ago(86400, sub { Loyalty::CA->new });

my $t = Loyalty::Test->new(
    start => 0,
    workers => 2,
    files => { secret => 'main:' . '5a' x 32 . "\n" },
    server => 'location /fair/ { loyalty_proof shop; }',
    program => <<END);
secret_file %%TESTDIR%%/secret;
unsafe_store on;
beacon drand_quicknet from=http://127.0.0.1:%%PORT_one%%
                      from=http://127.0.0.1:%%PORT_two%%;
timestamp_authority http://127.0.0.1:%%PORT_tsa%%
                    trusted_certificate=@{[$ca->dir]}/ca.crt;
wallet points;
instant_win wheel { $dates draw odds; wins_per_member 40;
    prize car { stock 3; odds 1/20; } prize mug { stock 20; odds 1/7; }
    prize pen { odds 1/3; } }
instant_win scratch { $dates draw deck blanks=30000; limit 2000 per day;
    prize car { stock 2; } prize mug { stock 6000; } }
instant_win calendar { $dates draw moments;
    prize car { stock 3; } prize mug { stock 40; } }
END

my @relays = map { Loyalty::FakeRelay->new($t, $_) } qw(one two);
my $tsa = ago(86400, sub { Loyalty::FakeTSA->new($t, 'tsa', ca => $ca) });

$t->start;

my %g = map { $_ => Loyalty::Instant->new($t, $_) }
        qw(wheel scratch calendar);
my @members = map { "m$_" } 1 .. 12;
my $n = 0;

sub some {
    my ($name, $plays) = @_;
    my $g = $g{$name};

    $n++;
    return $t->parallel(map { [$g->post($members[$_ % @members], "$n $_")] }
                        1 .. $plays);
}

sub codes { my %n; $n{$_->status . ($_->code // '')}++ for @_; return \%n }

# what there is so far is as it should be; a head comes once a minute

my %running;

sub running {
    my $until = at($last);

    return if grep { !defined $g{$_}->file('heads') } keys %g;

    for my $name (sort keys %g) {
        my $dir = $g{$name}->save($t->dir . "/running-$name");

        for my $one ('command', 'page') {
            my $got = $one eq 'command'
                    ? Proof::command_says(Proof::verify_program(), $dir)
                    : -f Proof::build() . '/verify-node.mjs'
                    ? Proof::page_says($dir) : next;

            # rounds are made up

            is(join(' ', grep { $_ ne 'V06' }
                              $got->{text} =~ /^(V\d\d) FAIL/mg), '',
               "running $name: nothing fails, says the $one")
                or diag $got->{text};
            like($got->{text}, qr/\(running, until \Q$until\E\)$/m,
                 'it says until when');
            like($got->{text}, qr/^V03 INCOMPLETE heads and log: running/m,
                 'the last head is yet to come');
            $running{$name}++;
        }
    }

    return;
}

# the first plays wait for the rounds of now

for my $name (sort keys %g) {
    ok($t->wait_for(sub { $g{$name}->play('m1', "warm $n" . time)->status
                          == 200 }, 15), "$name is played");
}

while (time < $last - 2 * $t->slow) {
    for my $name (sort keys %g) {
        my $codes = codes(some($name, 24));
        delete $codes->{'503busy'};
        is_deeply([keys %$codes], [200], "$name: plays are answered")
            or diag explain $codes;
    }

    running() if !%running;
    sleep 0.3;
}

ok(scalar(keys %running), 'it was verified while it was played');
ok($t->wait_for(sub { (some('wheel', 1))[0]->code }, $slack), 'until it closes');
is_deeply(codes(map { some($_, 2) } sort keys %g), { '409closed' => 6 },
          'all of them');

# every unit of the moments was due, the log has who took it

my @units = grep { $_->{r} >= 0 } $g{calendar}->records;

$g{wheel}->sound(stock => [3, 20, undef]);
$g{scratch}->sound(stock => [2, 6000]);
$g{calendar}->sound(stock => [3, 40]);
cmp_ok(scalar(grep { $_->{status} == 1 } @units), '>', 20,
       'moments were won');
cmp_ok(scalar(keys %{{ map { $_->{e} => 1 } $g{wheel}->records }}), '>=', 2,
       'in more than one epoch');

# what a stranger finds; the page's verifier says the same, line for line

my $page = -f Proof::build() . '/verify-node.mjs';

for my $name (sort keys %g) {
    my $g = $g{$name};
    my $epochs = int(($last - $first + 59) / 60);

    ok($t->wait_for(sub {
        my @c = ($g->file('reveal') // '') =~ /^c 1 \d+ /mg;
        my $size = length $g->file('log');
        my $heads = $g->file('heads') // '';

        return @c == $epochs && $heads ne '';
    }, 20), "$name: secrets and heads are published");

    $t->write_file("saved-$name", $g->file('manifest'));
    sleep 1;

    my @options = ('--tsa-ca', $ca->dir . '/ca.crt',
                   '--saved-note', $t->dir . "/saved-$name");
    my ($code, $out) = $g->verify(@options);

    is(Proof::page_says(@options, $t->dir . "/proof-$name")->{text}, $out,
       "$name: what the page says") if $page;

    # rounds are made up, which shows where signatures are verified
    is(join(' ', grep { $_ != 6 } $out =~ /^V(\d\d) FAIL/mg), '',
       "$name: nothing fails") or diag $out;
    is(join(' ', $out =~ /^V(01|02|03|04|05|12|13|14|15) PASS/mg),
       '01 02 03 04 05 12 13 14 15', "$name: what passes") or diag $out;
}

done_testing();
