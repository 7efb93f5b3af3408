#!/usr/bin/perl

# kill -9 of workers, of the master and of Redis in the midst of events: what
# was acknowledged is there, nothing has counted twice, and the ledger holds.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(sleep);

my $MEMBERS = 7;

$SIG{PIPE} = 'IGNORE';
srand 5;

my $t = Loyalty::Test->new(workers => 2,
    redis => { appendonly => 1, appendfsync => 'always' },
    allow => [ qr/exited on signal 9/ ],
    program => <<'END');
durability  always;
wallet      points;
earn        purchase points 1 per=1.00;
challenge   three { on purchase; goal 3; award points 100; }
END

my ($sent, %acknowledged) = (0);


sub event {
    my ($n) = @_;

    return { id => "e$n", member => 'm' . $n % $MEMBERS, type => 'purchase',
             amount => '1.00' };
}


# batches that are under way, on connections of their own
sub post {
    return map {
        my $sock = $t->connect;
        my $lines = join '', map { encode_json(event($sent++)) . "\n" }
                             1 .. 75;
        print {$sock} Loyalty::HTTP::format_request('POST',
            '/loyalty-in/events', $lines,
            'Content-Type' => 'application/x-ndjson', Connection => 'close');
        $sock->flush;
        $sock;
    } 1 .. 4;
}


# the lines that have come, which may be none and may end anywhere
sub collect {
    for my $sock (@_) {
        my $bytes = '';
        1 while sysread $sock, $bytes, 65536, length $bytes;

        while ($bytes =~ /^(\{"status":200,.*\})\r?$/mg) {
            my $line = eval { decode_json($1) } // next;
            $acknowledged{$line->{id}} = 1;
        }
    }

    return;
}


sub fsck {
    open my $out, '-|', $^X, "$FindBin::Bin/../bin/loyalty-fsck",
        '--redis', 'unix:' . $t->dir . '/redis.sock' or die "fork: $!";

    my $said = do { local $/; <$out> };

    return close $out ? 'sound' : $said;
}


sub check {
    my ($what) = @_;
    my (%new, $answered);

    for (my $from = 0; $from < $sent; $from += 300) {
        my @some = map { event($_) } $from .. $from + 299;
        my @lines;

        $t->wait_for(sub {
            @lines = eval { $t->events(\@some)->lines };
            $new{$_->{id}} = 1
                for grep { $_->{status} == 200 && !$_->{duplicate} } @lines;
            return 300 == grep { $_->{status} == 200 } @lines;
        }, 20);

        $answered += grep { $_->{status} == 200 } @lines;
    }

    is($answered, $sent, "$what: every event can be sent again");
    is_deeply([grep { $new{$_} } sort keys %acknowledged], [],
              "$what: what was acknowledged is remembered");

    # the worker that is asked may have been born this moment
    my $sum = 0;

    for my $member (map { "m$_" } 0 .. $MEMBERS - 1) {
        my $me;
        $t->wait_for(sub { ($me = $t->me($member))->status == 200 }, 20);
        $sum += $me->json->{wallets}{points}{balance} // 0;
    }

    is($sum, $sent + 100 * $MEMBERS, "$what: each has counted once");
    is(fsck(), 'sound', "$what: the ledger");

    return;
}


collect(post());
is(scalar keys %acknowledged, $sent, 'in peace all are acknowledged');

for my $round (1 .. 3) {
    my @under_way = post();

    sleep rand 0.03;
    my %old = map { $_ => 1 } $t->workers;
    kill 'KILL', keys %old;
    collect(@under_way);
    ok($t->wait_for(sub { 2 == grep { !$old{$_} } $t->workers }),
       'new workers');
    check("workers, round $round");
}

for my $round (1 .. 3) {
    my @under_way = post();

    sleep rand 0.03;
    $t->redis_kill;
    collect(@under_way);
    $t->redis_start;
    check("Redis, round $round");
}

{
    my @under_way = post();
    my @workers = $t->workers;
    my $master = $t->pid;

    kill 'KILL', $master;
    waitpid $master, 0;
    collect(@under_way);
    check('the master: its workers go on');

    @under_way = post();
    sleep rand 0.03;
    kill 'KILL', @workers;
    collect(@under_way);
    ok($t->wait_for(sub { !defined eval { $t->connect } }), 'all are gone');
    unlink $t->dir . '/nginx.pid';
    $t->unguard($master);
    $t->start;
    check('another nginx');
}

done_testing();
