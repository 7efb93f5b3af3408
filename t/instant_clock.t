#!/usr/bin/perl

# A clock of nginx that is not Redis's: within 1.5 s plays go on, beyond it
# they are refused and nothing is charged.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Clock;
use Loyalty::Instant;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(time);
use Time::Local qw(timegm);

plan skip_all => 'a sanitizer wants to be loaded first'
    if ($ENV{LOYALTY_MODULE} // '') eq 'static';

# nginx has a clock of its own, Redis's stays what it is

my $clock = Loyalty::Clock->new;

local $ENV{LOYALTY_NGINX} = $clock->program($ENV{LOYALTY_NGINX} || 'nginx');

my ($open, $close) = map { Loyalty::Instant::at($_) } -3600, 86400;
my $t = Loyalty::Test->new(
    files => { secret => 'main:' . '5a' x 32 . "\n" },
    server => 'location /fair/ { loyalty_proof shop; }',
    program => <<END);
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
earn purchase points 100;
instant_win scratch { open $open; close $close; cost points 1; draw odds;
                      prize a { odds 1/2; } }
sweepstakes spring { open $open; close $close; prize trip { stock 1; } }
challenge buyer { on buy; goal 1; every day; award tickets spring 2; }
END

my $g = Loyalty::Instant->new($t, 'scratch');

$t->event({ id => 'e', member => 'ada', type => 'purchase' });

my %month;

@month{qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec)} = 0 .. 11;

sub str2time {
    my ($day, $month, $year, $h, $m, $s)
        = $_[0] =~ /(\d+) (\w+) (\d+) (\d+):(\d+):(\d+)/;
    return timegm($s, $m, $h, $day, $month{$month}, $year);
}

sub skewed {
    my ($s) = @_;

    $clock->off($s);

    my $date = str2time($t->get('/none')->header('Date'));

    ok(abs($date + 0.5 - time - $s) < 1, "nginx's clock is $s s off")
        or diag $date - time;
}

is($g->play('ada', 'right')->status, 200, 'with one clock');

for my $s (-10, 10, -1.9, 1.9, 3600) {
    skewed($s);

    my $before = $g->everything;
    my $r = $g->play('ada', "off $s");

    is($r->status . ' ' . $r->code, '503 clock_skew', 'a play is refused');
    is($r->header('Retry-After'), 5, 'for a while');
    is_deeply($g->everything, $before, 'and nothing is charged');
    is($g->play('ada', 'right')->status, 200, 'what is known is known');

    $r = $t->event({ id => "buy $s", member => 'bob', type => 'buy' });
    is($r->status . ' ' . $r->code, '503 clock_skew',
       'nor are tickets awarded');
    is($t->event({ id => "other $s", member => 'bob', type => 'look' })
       ->status, 200, 'what awards none counts');
}

for my $s (-1, 1) {
    skewed($s);
    is($g->play('ada', "off $s")->status, 200, 'a little does not matter');
}

like($t->log, qr/\[error\].*the clock of this server and that of Redis differ/,
     'the operator is told');
is($t->me('ada')->json->{wallets}{points}{balance}, 97, 'three were charged');

done_testing();
