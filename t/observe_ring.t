#!/usr/bin/perl

# Observed events in the ring: while Redis is away or slow, when workers go in
# whatever way, over reloads; and when there is no room for more.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;
use Time::HiRes qw(sleep time);

my $SERVER = <<'END';
location = /buy {
    loyalty_observe shop purchase member=$arg_m id=$arg_o amount=1.00;
    return 200 "bought\n";
}
END

my $PROGRAM = <<'END';
redis     unix:%%REDIS%% timeout=300ms;
wallet    points;
earn      purchase points 1 per=1.00;
END

my $ring = 'loyalty_ring zone=seen:1m;';

my $t = Loyalty::Test->new(workers => 2, redis => { appendonly => 1 },
    program => $PROGRAM, server => $SERVER, http => "include ring.conf;",
    files => { 'ring.conf' => $ring },
    allow => [ qr/exited on signal 9/, qr/a new size needs a new name/ ]);

my ($bought, $slowest) = (0, 0);


sub metric {
    my ($name, $labels, $program) = @_;

    $labels = defined $labels ? ",$labels" : '';
    $program //= 'shop';
    return ($_[3] // $t)->metrics->{
        "nginx_loyalty_$name\{program=\"$program\"$labels}"};
}


# so many purchases of ten members, each served as if nothing were
sub buy {
    my ($n, $what) = @_;
    my $wrong = 0;

    for my $i (1 .. $n / 10) {
        my $started = time;
        my @responses = $t->parallel(map {
            [ GET => '/buy?m=m' . $bought % 10 . '&o=o' . $bought++ ] }
            1 .. 10);

        $wrong += grep { $_->status != 200 || $_->body ne "bought\n" }
                  @responses;
        $slowest = time - $started if time - $started > $slowest;
    }

    is($wrong, 0, "$what: $n pages are served");
    return;
}


# each is credited once, in the end
sub credited {
    my ($what, $seconds) = @_;
    my $sum;

    my $ok = $t->wait_for(sub {
        $sum = eval {
            my $sum = 0;
            $sum += $t->me("m$_")->json->{wallets}{points}{balance} // die
                for 0 .. 9;
            $sum;
        } // 0;
        return $sum == $bought && metric('ring_used_slots') == 0;
    }, $seconds // 8);

    ok($ok, "$what: each is credited once") or diag("$sum of $bought");
    return;
}


buy(20, 'in peace');
credited('in peace');
is(metric('ring_slots') > 900, 1, 'the ring has the size it was given');


# ---- Redis goes ----

$t->redis_kill;
buy(100, 'Redis is killed');
cmp_ok(metric('ring_used_slots'), '>=', 100, 'they wait in the ring');
ok($t->wait_log(qr/observed events wait for redis/, 5), 'which is told');
$t->redis_start;
credited('Redis is killed');
ok($t->wait_log(qr/observed events are sent to redis again/, 5),
   'so is its end');

$t->redis_stall;
buy(100, 'Redis stalls');
sleep 0.7;
buy(20, 'Redis still stalls');
$t->redis_go;
credited('Redis stalls');
cmp_ok(metric('observed_duplicates_total'), '>', 0,
       'what Redis had taken is a duplicate then');

cmp_ok($slowest, '<', 0.25 * $t->slow, 'nobody waited for Redis');


# ---- in the order of observation ----

{
    my @ids = reverse map { $_->{id} }
              @{$t->history('m3', 'limit=100')->json->{history}};
    is(scalar @ids, 24, 'a member has all');

    # two workers saw them; what one saw stays in order
    $t->redis_kill;
    my $sock = $t->connect;
    my $requests = join '', map { "GET /buy?m=order&o=$_ HTTP/1.1\r\n"
                                  . "Host: x\r\n\r\n" } 1 .. 80;
    print {$sock} $requests;
    $sock->flush;
    ok($t->wait_for(sub { metric('ring_used_slots') == 80 }), 'one after one');
    close $sock;
    $t->redis_start;
    ok($t->wait_for(sub {
        @ids = eval { map { $_->{id} } @{$t->history('order', 'limit=100')
                                         ->json->{history}} };
        return @ids == 80 }, 8), 'all are there');
    is_deeply(\@ids, [reverse 1 .. 80], 'in order');
}


# ---- workers go ----

my @workers = $t->workers;
$t->redis_kill;
buy(60, 'workers are killed');
kill 'KILL', @workers;
ok($t->wait_for(sub { 2 == grep { my $pid = $_;
                                  !grep { $_ == $pid } @workers }
                      $t->workers }, 5), 'others come');
buy(20, 'by other workers');
ok($t->log =~ /\d+ observed events of workers that are gone are sent by/, 'which adopt what was left');
$t->redis_start;
credited('workers are killed');

@workers = $t->workers;
$t->redis_stall;
buy(60, 'a worker is killed');
kill 'KILL', $workers[0];
sleep 0.1;
$t->redis_go;
credited('a worker is killed');

for my $signal ('TERM', 'QUIT') {
    for my $stalled (1, 0) {
        my %old = map { $_ => 1 } $t->workers;

        $t->redis_stall if $stalled;
        buy(60, "workers get $signal");
        kill $signal, keys %old;
        ok($t->wait_for(sub { 2 == grep { !$old{$_} } $t->workers }, 8),
           'others come');
        $t->redis_go if $stalled;
        buy(20, "workers got $signal");
        credited("workers get $signal");
    }
}


# ---- reloads ----

buy(60, 'before a reload');
ok($t->reload, 'reload');
buy(20, 'after a reload');
credited('a reload');

$t->redis_kill;
buy(60, 'before a reload without Redis');
ok($t->reload(wait => 1), 'reload');
buy(20, 'after a reload without Redis');
$t->redis_start;
credited('a reload without Redis');

# the same name, and another size
$t->redis_kill;
buy(60, 'before a reload with a new ring');
$t->write_file('ring.conf', 'loyalty_ring zone=seen:2m;');
ok(!$t->reload(timeout => 1), 'a new size under the old name is refused');
ok($t->log =~ /\[emerg\].* the ring "seen" has 1048576 bytes, and .* a new size /,
   'and it is said why');
buy(20, 'the old configuration goes on');

$t->write_file('ring.conf', 'loyalty_ring zone=more:2m;');
ok($t->reload(wait => 1), 'a new size under a new name');
cmp_ok(metric('ring_slots'), '>', 2800, 'both rings are there');
is(metric('ring_used_slots'), 80, 'what was in the old one is');
buy(20, 'into the new ring');
is(metric('ring_used_slots'), 100, 'more is in the new one');
$t->redis_start;
credited('a new ring');
ok($t->reload(wait => 1), 'the next reload');
cmp_ok(metric('ring_slots'), '<', 2100, 'lets go of the old ring');
buy(20, 'after that');
credited('after that');

# a program that is not observed any more keeps its ring as long as it is
# needed
$t->redis_kill;
buy(60, 'before a reload without observing');
$t->write_file('nginx.conf', $t->read_file('nginx.conf')
               =~ s/^ *loyalty_observe/#$&/mr);
ok($t->reload(wait => 1), 'nothing is observed');
ok($t->log =~ /"shop" is not observed any more: 60 observed events stay/, 'what is left is told');
is(metric('ring_slots'), 0, 'the program has no ring');
$t->redis_start;
$t->write_file('nginx.conf', $t->read_file('nginx.conf')
               =~ s/^#( *loyalty_observe)/$1/mr);
ok($t->reload(wait => 1), 'observed again');
credited('observed again');


# ---- no room ----

my $small = Loyalty::Test->new(program => $PROGRAM, server => $SERVER,
    http => 'loyalty_ring zone=seen:64k;');
my $slots = metric('ring_slots', undef, undef, $small);

cmp_ok($slots, '>', 40, 'a small ring');
$small->redis_stop;
is($small->get("/buy?m=a&o=$_")->status, 200, "page $_") for 1 .. $slots + 20;
is(metric('ring_used_slots', undef, undef, $small), $slots, 'it is full');
is(metric('observed_dropped_total', 'reason="ring_full"', undef, $small), 20,
   'what has no room is counted');
ok($small->log =~ /: the ring "seen:shop" is full, reason: ring_full, \d+ more/,
   'and told');
$small->redis_start;
ok($small->wait_for(sub {
    my $me = $small->me('a');
    return $me->status == 200
        && $me->json->{wallets}{points}{balance} == $slots }, 8),
   'what was there first is kept');
is_deeply([sort { $a <=> $b } map { $_->{id} }
           @{$small->history('a', 'limit=100')->json->{history}}],
          [1 .. $slots], 'all of it');

$small->redis_stop;
is($small->get("/buy?m=b&o=$_")->status, 200, "page $_") for 1 .. 5;
ok($small->quit, 'nginx quits');
like($small->log, qr/\[error\].*: 5 observed events are lost with the ring/,
     'what is lost with the ring is told');

done_testing();
