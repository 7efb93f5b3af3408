#!/usr/bin/perl

# A reload drops no play and no entry: a worker that has yet to hear of a
# campaign lets those wait that come first.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Loyalty::Instant;
use Test::More;
use Time::HiRes qw(sleep);

my $open = Loyalty::Instant::at(-600);
my $close = Loyalty::Instant::at(86400);

my $t = Loyalty::Test->new(
    workers => 2, files => { secret => 'main:' . 'ab' x 32 . "\n" },
    server => 'location /fair/ { loyalty_proof shop; }', program => <<"END");
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
earn visit points 1;
challenge entered { on visit;  goal 1;  every day;  award tickets spring 2; }
instant_win scratch {
    open $open;  close $close;  draw odds;
    prize mug { stock 50; odds 1/2; }
}
sweepstakes spring {
    open $open;  close $close;  free_entry on;
    prize trip { stock 1; }
}
END

my $g = Loyalty::Instant->new($t, 'scratch');
my ($n, %status) = (0);

sub some {
    my @requests = map {
        my $member = 'member-' . ++$n;

        my $headers = { 'X-Member' => $member,
                        'Idempotency-Key' => "key $n" };

        ([$g->post($member, "key $n")],
         ['POST', '/loyalty/sweepstakes/spring/entries', { tickets => 1 },
          headers => $headers],
         ['POST', '/loyalty-in/events',
          { id => "event $n", member => $member, type => 'visit' }]);
    } 1 .. 8;

    for my $r ($t->parallel(@requests)) {
        $status{$r->status}++;
        diag($r->body) if $r->status != 200;
    }

    return;
}

some();

for my $reload (1 .. 6) {
    my %old = map { $_ => 1 } $t->workers;

    $t->reload;

    # old workers, both, new ones: all are asked
    for (1 .. 40) {
        some();
        last if $_ > 12 && !grep { $old{$_} } $t->workers;
        sleep 0.005;
    }
}

is_deeply([keys %status], [200], "all of @{[$status{200} // 0]} are answered");
$g->sound(stock => [50]);
is($g->counts->{plays}, $n, 'each play is in the log');

my $entries = $t->get('/fair/games')->body =~ /^spring (\w+) /m
    ? length($t->get("/fair/spring/$1/entries")->body) / 132 : -1;
is($entries, 2 * $n, 'each entry, and each award');
Loyalty::Instant::fsck($t);


done_testing();
