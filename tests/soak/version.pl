#!/usr/bin/perl

# A second version of instant wins: it is stamped, governs from the second
# minute after that, keeps what was awarded, and the log of both is what
# loyalty-verify recomputes.  Four minutes.

use strict;
use warnings;
no warnings 'portable';

use FindBin;
use lib "$FindBin::Bin/../../t/lib";

use Loyalty::CA;
use Loyalty::Clock;
use Loyalty::FakeRelay;
use Loyalty::FakeTSA;
use Loyalty::Instant;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(time sleep);

my $clock = Loyalty::Clock->new;

sub ago { return $clock->ago(@_) }

my $now = int time;
my $first = $now - 20;
my $last = $first + 235;
my ($open, $close) = map { Loyalty::Instant::at($_ - $now) } $first, $last;
my $ca = ago(86400, sub { Loyalty::CA->new });

sub program {
    my ($version) = @_;
    my @more = $version == 1
        ? ('prize mug { stock 20; odds 1/7; }', 'blanks=3000; prize mug { stock 20; }',
           'prize mug { stock 15; }')
        : ('prize pen { odds 1/3; } prize mug { stock 40; odds 1/9; }',
           'blanks=2500; prize hat { stock 90; } prize mug { stock 60; }',
           'prize hat { stock 30; } prize mug { stock 40; }');

    return <<END;
secret_file %%TESTDIR%%/secret;
unsafe_store on;
beacon drand_quicknet from=http://127.0.0.1:%%PORT_one%%
                      from=http://127.0.0.1:%%PORT_two%%;
timestamp_authority http://127.0.0.1:%%PORT_tsa%%
                    trusted_certificate=@{[$ca->dir]}/ca.crt;
wallet points;
instant_win wheel { open $open; close $close; version $version; draw odds;
                    prize car { stock 2; odds 1/20; } $more[0] }
instant_win scratch { open $open; close $close; version $version;
                      draw deck $more[1] prize car { stock 2; } }
instant_win calendar { open $open; close $close; version $version;
                       draw moments; prize car { stock 2; } $more[2] }
END
}

my $t = Loyalty::Test->new(
    start => 0, workers => 2, allow => [qr/is late$/],
    files => { secret => 'main:' . '5a' x 32 . "\n" },
    server => 'location /fair/ { loyalty_proof shop; }',
    program => program(1));

my @relays = map { Loyalty::FakeRelay->new($t, $_) } qw(one two);
my $past = ago(86400, sub { Loyalty::FakeTSA->new($t, 'past', ca => $ca) });
my $tsa = ago(86400, sub { Loyalty::FakeTSA->new($t, 'tsa', ca => $ca) });

$t->start;

my %g = map { $_ => Loyalty::Instant->new($t, $_) } qw(wheel scratch calendar);
my ($n, %codes) = (0);

sub play_until {
    my ($end) = @_;

    while (time < $end) {
        for my $name (sort keys %g) {
            $codes{$name}{$_->status . ($_->code // '')}++
                for $t->parallel(map { [$g{$name}->post('m' . $n % 9,
                                                        'k' . $n++)] } 1 .. 6);
        }

        sleep 0.3;
    }
}

ok($t->wait_for(sub { 3 == grep { ($_->file('timestamps') // '')
                                  =~ /^manifest 1 /m } values %g }, 20),
   'version 1 is stamped');
play_until($first + 40);

# the authority has the time of now

$tsa->stop if $tsa->can('stop');
$t->write_file('program.conf', $t->expand(program(2)
    =~ s/PORT_tsa/PORT_now/r));

my $present = Loyalty::FakeTSA->new($t, 'now', ca => $ca);

$t->reload;
ok($t->wait_for(sub { 3 == grep { ($_->file('timestamps') // '')
                                  =~ /^manifest 2 /m } values %g }, 20),
   'version 2 is stamped');
play_until($first + 150);
$t->reload;
play_until($last + 0.5);

for my $name (sort keys %g) {
    my $g = $g{$name};

    ok($t->wait_for(sub { 4 <= (() = ($g->file('reveal') // '') =~ /^c /mg) },
                    30), "$name: secrets are published");
    sleep 2;
    $t->write_file("saved-$name", $g->file('manifest'));

    my ($code, $out) = $g->verify('--tsa-ca', $ca->dir . '/ca.crt',
                                  '--saved-note', $t->dir . "/saved-$name");
    my @log = $g->records;

    diag "$name: ", scalar @log, ' plays, ', join ', ',
         map { "$_ $codes{$name}{$_}" } sort keys %{ $codes{$name} };
    is(join(' ', grep { $_ != 6 } $out =~ /^V(\d\d) FAIL/mg), '',
       "$name: nothing fails") or diag $out;
    is(join(' ', $out =~ /^V(12|13|14|15|18) PASS/mg), '12 13 14 15 18',
       "$name: both versions are recomputed") or diag $out;
}

done_testing();
