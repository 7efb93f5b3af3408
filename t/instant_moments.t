#!/usr/bin/perl

# Moments: many units in epochs that have gone by, placed in slices while
# plays wait; what Redis keeps of them; workers that start later come to the
# same times.

use strict;
use warnings;
no warnings 'portable';

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Instant;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(time sleep);

my $slow = Loyalty::Test->slow;
my $now = int time;
my $first = $now - 310;
my $last = $now + 9 * $slow;
my ($open, $close) = map { Loyalty::Instant::at($_ - $now) } $first, $last;

my $t = Loyalty::Test->new(
    workers => 2,
    files => { secret => 'main:' . '5a' x 32 . "\n" },
    server => 'location /fair/ { loyalty_proof shop; }',
    program => <<END);
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
instant_win calendar { open $open; close $close; draw moments;
    wins_per_member 10;
    prize car { stock 2; } prize mug { stock 50; } prize pen { stock 90000; } }
END

my $g = Loyalty::Instant->new($t, 'calendar');
my $n = 0;

sub plays {
    my ($many) = @_;
    my %n;

    $n{$_->status . ($_->code // '')}++ for $t->parallel(
        map { [$g->post('m' . $n % 7, 'key ' . $n++)] } 1 .. $many);

    return \%n;
}

# 90,052 units in six epochs are placed while these wait

my $codes = plays(20);

delete $codes->{'503busy'};
is_deeply([keys %$codes], [200], 'the first plays wait for their moments')
    or diag explain $codes;

# G:m: epochs that are over, and nothing of the one that runs

my $kept;

# it grows with each epoch that is placed

ok($t->wait_for(sub { $kept = $t->redis->call('GET', "$g->{tag}:m");
                      defined $kept && unpack('N', $kept) >= 4 }),
   'Redis keeps moments');

my ($done, $version, $units) = unpack 'N3', $kept;

is("$version $units", '1 90052', 'all units of this version');
cmp_ok($done, '>=', 4, 'of epochs that are over');
is(length $kept, 12 + 8 * $units, 'a time for each');

my @times = unpack 'x12 Q>*', $kept;
my $none = 18446744073709551615;
my $edge = ($first + 60 * $done) * 1000;

is(scalar(grep { $_ != $none && $_ >= $edge } @times), 0,
   'none is of an epoch that is not over');
cmp_ok(scalar(grep { $_ != $none } @times), '>', 30000, 'many were due');
cmp_ok($edge, '<=', time * 1000, 'which have gone by');

# new workers read them

plays(20);

my %old = map { $_ => 1 } $t->workers;

$t->reload(wait => 1);
is(scalar(grep { $old{$_} } $t->workers), 0, 'other workers');
$codes = plays(40);
delete $codes->{'503busy'};
is_deeply([keys %$codes], [200], 'go on');

# what is damaged is made anew

$t->redis->call('SETRANGE', "$g->{tag}:m", 8, "\0\0\0\7");
$t->reload(wait => 1);
$codes = plays(40);
delete $codes->{'503busy'};
is_deeply([keys %$codes], [200], 'and others still');
like($t->log, qr/what Redis keeps of its moments is not understood and is made anew/,
     'who found that damaged');

sleep 0.2 while time < $last + 0.1;
is_deeply(plays(1), { '409closed' => 1 }, 'closed');

my $log = $g->sound(stock => [2, 50, 90000]);

cmp_ok(scalar(grep { $_->{r} >= 0 } @$log), '>', 100, 'units were taken');
is(scalar(grep { $_->{u} ne "\0" x 32 || $_->{round} || $_->{idx}
                 || $_->{ctr} } @$log), 0, 'nothing else decides');

my $epochs = int(($last - $first + 59) / 60);

ok($t->wait_for(sub { $epochs == (() = ($g->file('reveal') // '') =~ /^c 1/mg)
                      && $g->file('heads') }, 20), 'all is published');
sleep 1;

my ($code, $out) = $g->verify;

is(join(' ', $out =~ /^V(\d\d) FAIL/mg), '', 'nothing fails') or diag $out;
is(join(' ', $out =~ /^V(12|14|18) PASS/mg), '12 14 18',
   'loyalty-verify comes to the same units') or diag $out;

done_testing();
