#!/usr/bin/perl

# Limits per week and per month: who has played enough is told when there is
# more, and plays then.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Clock;
use Loyalty::Instant;
use Loyalty::Test;
use POSIX qw(strftime);
use Test::More;
use Time::Local qw(timegm);

my $clock = Loyalty::Clock->everywhere
    or plan skip_all => Loyalty::Clock->missing;

# a Wednesday in a week that is all of one month, and the month before its end

my ($year, $month) = (gmtime)[5, 4];

($year, $month) = $month == 11 ? ($year + 1, 0) : ($year, $month + 1);

my $wednesday = timegm(0, 0, 12, 3, $month, $year);

$wednesday += 86400 while (gmtime $wednesday)[6] != 3;

my $monday = $wednesday + 5 * 86400 - 12 * 3600;
my $next = timegm(0, 0, 0, 1, ($month + 1) % 12,
                  $month == 11 ? $year + 1 : $year);

sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $_[0]) }

my $t = Loyalty::Test->new(
    files => { secret => 'main:' . '5a' x 32 . "\n" },
    server => 'location /fair/ { loyalty_proof shop; }',
    program => 'secret_file %%TESTDIR%%/secret; unsafe_store on;'
               . ' instant_win wheel { open ' . at(time - 3600) . '; close '
               . at($next + 10 * 86400) . '; draw odds; limit 3 per week;'
               . ' limit 4 per month; prize mug { odds 1/2; } }');

my $wheel = Loyalty::Instant->new($t, 'wheel');
my $n = 0;

sub play { return $wheel->play('ada', 'k' . ++$n) }
sub left { return $t->me('ada')->json->{games}[0]{plays_left} }

sub more {
    my ($r, $when, $name) = @_;

    is($r->code, 'limit_reached', $name);
    is($r->json->{retry_at}, at($when), 'and when there is more');
}

$clock->set($wednesday);
ok($t->wait_for(sub { $t->get('/none')->header('Date') =~ /12:00/ }), 'noon');
is(left(), 3, 'three in a week');
is(play()->status, 200, 'a play') for 1 .. 3;
is(left(), 0, 'no more');
more(play(), $monday, 'enough for this week');

$clock->set($monday + 5);
ok($t->wait_for(sub { left() == 1 }), 'on Monday one is left of the month');
is(play()->status, 200, 'it is played');
more(play(), $next, 'enough for this month');

$clock->set($next + 5);
ok($t->wait_for(sub { left() == 3 }), 'the next month, another week');
is(play()->status, 200, 'goes on');

done_testing();
