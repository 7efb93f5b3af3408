#!/usr/bin/perl

# A second version of an instant win, end to end: its predecessor's prizes
# hold until two epochs after its timestamp, a node that does not have it is
# stale, and a stranger recomputes every play of both.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha256);
use Loyalty::Test;
use Loyalty::CA;
use Loyalty::Clock;
use Loyalty::Fair;
use Loyalty::FakeTSA;
use Loyalty::Instant;
use MIME::Base64 qw(decode_base64);
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(sleep time);

sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $_[0]) }

# nobody waits for minutes to pass
my $clock = Loyalty::Clock->everywhere;

# epoch 1 has some seconds left, 3 a few of its own
my $open = int(time) - 40;
my $close = $open + 132;
my $ca = Loyalty::CA->new;

sub program {
    my ($version, $closes, $prizes, $port) = @_;

    return <<"END";
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
earn hello points 900;
timestamp_authority http://127.0.0.1:$port trusted_certificate=@{[$ca->dir]}/ca.crt;
instant_win scratch {
    open @{[at($open)]};  close @{[at($closes)]};  version $version;
    draw odds;  $prizes
}
END
}

# of the first one three may be won, and one of the second
my $first = 'limit 2000 per day; prize mug { stock 3; odds 1/1; }';
my $second = 'cost points 1; limit 1000 per day; prize mug { stock 4; odds 1/2; } prize pen { odds 1/2; }';

my %common = (
    files => { secret => 'main:' . 'ab' x 32 . "\n" },
    server => 'location /fair/ { loyalty_proof shop; }',
    start => 0, allow => [qr/is stopped: this node has version 1/],
);

my $t = Loyalty::Test->new(%common, program => '');
my $tsa = Loyalty::FakeTSA->new($t, 'tsa', ca => $ca);
my $port = $t->port('tsa');
my $one = program(1, $open + 3600, $first, $port);
my $two = program(2, $close, $second, $port);

$t->write_file('program.conf', $one);
$t->start;

my $redis = $t->expand('%%REDIS%%');
my $older = Loyalty::Test->new(%common, redis => 0,
                               program => "redis unix:$redis;\n$one");
$older->start;

my $g = Loyalty::Instant->new($t, 'scratch');
my $tag = "{shop:g:scratch:$g->{cid}}";
my $n = 0;

sub play {
    my ($nginx) = @_;
    my $member = 'member-' . ++$n % 7;

    return ($nginx // $t)->post('/loyalty/games/scratch/plays', undef,
        headers => { 'X-Member' => $member, 'Idempotency-Key' => "key $n" });
}

# what the member is shown, and what operators are

sub shown {
    my ($nginx) = @_;
    my ($game) = @{ ($nginx // $t)->me('member-0')->json->{games} };
    my $admin = ($nginx // $t)->get('/loyalty-admin/games/scratch')->json;

    return (join(', ', map { "$_->{name} $_->{odds}" } @{ $game->{prizes} }),
            $game->{closes}, $admin->{version}, $admin->{next_version},
            join ', ', map { "$_->{name} " . ($_->{stock} // '-') }
                       @{ $admin->{prizes} // [] });
}

# by its price and its limits

sub terms {
    my ($nginx) = @_;
    my ($game) = @{ ($nginx // $t)->me('nobody')->json->{games} };

    return ($game->{plays_left}, $game->{cost} ? $game->{cost}{amount} : 'free');
}

sub epoch { return int((time - $open) / 60) + 1 }


# ---- version 1 ----

$t->event({ id => 'hello', member => "member-$_", type => 'hello' }) for 0 .. 6;
is_deeply([terms()], [2000, 'free'], 'price and limits of version 1');

my $r = play();
is($r->status, 200, 'a play');
is($r->json->{prize}, 'mug', 'wins for sure');
is(play($older)->json->{prize}, 'mug', 'at the other node, too');


# ---- version 2 comes, and does not govern ----

$t->write_file('program.conf', $two);
$t->reload;
ok($t->wait_for(sub { $t->redis->call('HGET', "$tag:meta", 'from:2') }, 20),
   'version 2 is stamped');
my $from = $t->redis->call('HGET', "$tag:meta", 'from:2');
is($from, 3, 'and governs from epoch 3');
is(epoch(), 1, 'this is epoch 1');

is(play()->json->{prize}, 'mug', 'the predecessor holds');
my $empty = play();
is($empty->status, 200, 'its stock is at an end');
is($empty->json->{outcome}, 'lose', 'and who would win loses');

my @former = ('mug 1 in 1', at($open + 3600));

is_deeply([shown()], [@former, 1, 2, 'mug 3'],
          'members and operators see what holds, and that another comes');

is_deeply([terms()], [2000, 'free'], 'price and limits, too');

my $stale = play($older);
is($stale->status, 503, 'the node without version 2');
is($stale->json->{code}, 'stale_configuration', 'says so');
like($older->log, qr/stopped: this node has version 1 of its terms, and/,
     'and why');
is_deeply([(shown($older))[0, 1]], \@former, 'members see the same there');
is($older->get("/fair/scratch/$g->{cid}/manifest")->body,
   $g->file('manifest'), 'what is published it serves');


# ---- version 2 governs ----

$clock->set($open + 120.2);
is(epoch(), 3, 'this is epoch 3');
ok($t->wait_for(sub { (shown())[2] == 2 }, 20), 'a worker has got over it');

is_deeply([shown()], ['mug 1 in 2, pen 1 in 2', at($close), 2, undef,
                      'mug 4, pen -'], 'all see the next');

is_deeply([terms()], [0, 1], 'and its price');

my %won;

while (time < $close - 1.5) {
    my $r = play();
    $r->status == 200 or diag($r->body);
    $won{ $r->json->{prize} // '-' }++;
    sleep 0.1;
}

cmp_ok($won{pen} // 0, '>', 5, 'its prizes');
is($won{mug}, 1, 'and what its stock leaves of the others');

my @record = $g->records;
my %seen = map { $_->{e} => 1 } @record;
is_deeply([sort keys %seen], [1, 3], 'plays in both epochs');


# ---- after the close ----

sleep 0.5 while time < $close + 0.2;
is(play()->json->{code}, 'closed', 'it is closed');
ok($t->wait_for(sub { $g->file('evidence') }, 60), 'it is finished');

my $dir = download($t, 'scratch', $g->{cid});
my $got = verify($dir, '--tsa-ca', $ca->dir . '/ca.crt');

is($got->{status}, 2, 'seed only: INCOMPLETE') or diag($got->{text});
unlike($got->{text}, qr/FAIL/, 'nothing fails');
is($got->{$_}, 'PASS', "$_ holds") or diag($got->{text})
    for qw(V01 V02 V03 V12 V13 V14 V18 V19);


# ---- a record and its receipt ----

my $win = (grep { $_->{status} == 1 } @record)[-1];
my $proof = $g->fetch("proof?seq=$win->{seq}");
is($proof->status, 200, 'the last win is in the log');
like($proof->body, qr/^size @{[scalar $g->records]}$/m, 'of the head at close');
my ($leaf) = $proof->body =~ /^leaf (\w+)$/m;
is($leaf, unpack('H*', sha256("\0$win->{bytes}")), 'it is this record');


# ---- one byte of a version ----

$t->redis->call('SETRANGE', "$tag:f:terms-1", 40, 'X');
$dir = download($t, 'scratch', $g->{cid});
is(verify($dir, '--tsa-ca', $ca->dir . '/ca.crt')->{status}, 1,
   'changed terms of the first version are seen');


$older->stop;
done_testing();
