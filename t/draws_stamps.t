#!/usr/bin/perl

# What outsiders give a campaign: timestamps of its manifests, by which a
# later version governs, and the signatures of the beacon's rounds that it
# used.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha256_hex);
use Loyalty::CA;
use Loyalty::FakeRelay;
use Loyalty::FakeTSA;
use Loyalty::Fairness;
use Loyalty::Test;
use MIME::Base64 qw(decode_base64);
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(sleep time);

sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $_[0]) }

my $ca = Loyalty::CA->new;
my $open = int(time) - 200;
my ($opens, $closes) = (at($open), at($open + 3600));

sub program {
    my ($version, $stock) = @_;

    return <<"END";
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
beacon drand_quicknet from=http://127.0.0.1:%%PORT_one%%
                      from=http://127.0.0.1:%%PORT_two%%;
timestamp_authority http://127.0.0.1:%%PORT_tsa%%
                    trusted_certificate=@{[$ca->dir]}/ca.crt;
instant_win scratch {
    open $opens;  close $closes;  version $version;
    draw odds;  prize mug { stock $stock; odds 1/2; }
}
sweepstakes spring {
    open $opens;  close $closes;
    prize trip { stock 1; }
}
END
}

my $t = Loyalty::Test->new(
    start => 0, program => program(1, 10), workers => 2,
    files => { secret => 'main:' . 'ab' x 32 . "\n" },
    server => 'location /fair/ { loyalty_proof shop; }',
    allow => [qr/no timestamp for/],
);

my @relays = map { Loyalty::FakeRelay->new($t, $_) } qw(one two);
my $tsa = Loyalty::FakeTSA->new($t, 'tsa', ca => $ca);

$tsa->mode('refuse');
$t->start;

my %cid;
ok($t->wait_for(sub {
    my $games = $t->get('/fair/games');
    %cid = $games->status == 200 ? $games->body =~ /^(\w+) (\w{32}) /mg : ();
    keys %cid == 2;
}), 'both campaigns');

sub file {
    my ($game, $name) = @_;
    my $r = $t->get("/fair/$game/$cid{$game}/$name");
    return $r->status == 200 ? $r->body : '';
}

sub meta { my ($game, $field) = @_;
           return $t->redis->call('HGET', "{shop:g:$game:$cid{$game}}:meta",
                                  $field) }

sub notes { return $_[0] =~ /(.*?\n\n.*?\n)/gs }


# ---- no token ----

ok($t->wait_log(qr/no timestamp for the manifest of instant_win scratch: /),
   'a refusal is told');
is(file('scratch', 'timestamps'), '', 'nothing is published');
$tsa->mode('ok');


# ---- rounds ----

# epochs 1 to 3 are over, and their rounds were used
ok($t->wait_for(sub { file('scratch', 'reveal') =~ /^c 1 3 /m }, 20),
   'epochs are revealed');
ok($t->wait_for(sub { (() = file('scratch', 'beacons') =~ /^/mg) == 4 }, 20),
   'their rounds are published');

my @lines = split /\n/, file('scratch', 'beacons');
like($lines[0], qr/^chain 52db9ba70e0cc0f6[0-9a-f]{48}$/, 'behind the chain');

my %round = map { split ' ' } @lines[1 .. 3];
my @used = map { round_at(1000 * ($open + 60 * $_ - 6)) } 0 .. 2;
is_deeply([sort keys %round], [sort @used], 'one each epoch');
is($round{$_}, unpack('H*', Loyalty::FakeRelay::signature($_)), "round $_")
    for @used;


# ---- tokens ----

ok($t->wait_for(sub { file('scratch', 'timestamps')
                      && file('spring', 'timestamps') }, 20), 'timestamps');

sub token_ok {
    my ($game, $n) = @_;
    my ($base64) = file($game, 'timestamps') =~ /^manifest $n (\S+)$/m;
    my $note = (notes(file($game, 'manifest')))[$n - 1];

    $t->write_file("$game.tst", decode_base64($base64));

    my $out = `openssl ts -verify -in @{[$t->dir]}/$game.tst -token_in \\
        -digest @{[sha256_hex($note)]} -CAfile @{[$ca->dir]}/ca.crt 2>&1`;
    return like($out, qr/Verification: OK/, "$game, version $n");
}

token_ok('scratch', 1);
token_ok('spring', 1);
cmp_ok(abs(meta('scratch', 't:manifest:1') / 1000 - time), '<', 60,
       'its time is known');
is(meta('scratch', 'from:2'), undef, 'there is no version 2');

sleep 2.2;
is(file('scratch', 'timestamps') =~ tr/\n//, 1, 'one is enough');


# ---- a version ----

$t->write_file('program.conf', program(2, 20));
$t->reload;
ok($t->wait_for(sub { meta('scratch', 'from:2') }, 20),
   'from when it governs is known');

my $stamped = meta('scratch', 't:manifest:2');
is(meta('scratch', 'from:2'), int(($stamped - 1000 * $open) / 60000) + 3,
   'two epochs after its token');
token_ok('scratch', 2);


done_testing();
