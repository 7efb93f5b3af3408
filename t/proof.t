#!/usr/bin/perl

# loyalty_proof: published files of any size, whole and in ranges, for anyone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Fairness;
use Loyalty::Test;
use Loyalty::MsgPack;
use MIME::Base64 qw(encode_base64);
use Test::More;
use Time::HiRes qw(sleep);

my $t = Loyalty::Test->new(
    files => { secret => 'main:' . 'ab' x 32 . "\n" },
    program => "secret_file %%TESTDIR%%/secret; wallet points;\n",
    http => "loyalty_program other { redis unix:%%REDIS%%; wallet points; }",
    server => <<'END',
location /fair/ { loyalty_proof shop; }
location /slow/ { loyalty_proof shop; limit_rate 200k; }
location /other/ { loyalty_proof other; }
END
    allow => [qr/became shorter in Redis/],
);

my $redis = $t->redis;
my $cid = '00112233445566778899aabbccddeeff';
my $tag = "{shop:g:spring:$cid}";
my $fair = "/fair/spring/$cid";

sub pack_of { return join '', map { Loyalty::MsgPack::encode($_) } @_ }


# ---- the program ----

my $vkey = $t->get('/fair/vkey');
is($vkey->status, 200, 'vkey');
like($vkey->body, qr{^shop\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}\n$}, 'a key');
like($vkey->header('Content-Type'), qr{^text/plain}, 'is text');
is($t->get('/other/vkey')->status, 404, 'a program without secrets has none');

is($t->get('/fair/games')->status, 404, 'no games');
$redis->call('HSET', '{shop}:games', "spring/$cid", '5 sweepstakes drawn',
             'wheel/' . 'f' x 32, '4 instant_win open',
             'apple/' . 'e' x 32, '5 instant_win over');
my $games = $t->get('/fair/games');
is($games->body, 'wheel ' . 'f' x 32 . " instant_win open\n"
   . 'apple ' . 'e' x 32 . " instant_win over\n"
   . "spring $cid sweepstakes drawn\n", 'games by when they opened');
my $etag = $games->header('ETag');
is($t->get('/fair/games', headers => { 'If-None-Match' => $etag })->status,
   304, 'unchanged');
$redis->call('HSET', '{shop}:games', "spring/$cid", '5 sweepstakes closed');
is($t->get('/fair/games', headers => { 'If-None-Match' => $etag })->status,
   200, 'one of the same length is another');
is($t->get('/fair/games', headers => { Range => 'bytes=0-4' })->body,
   'wheel', 'a range');


# ---- what there is not ----

for (qw(/fair/ /fair /fair/spring /fair/nothing), "/fair/spring/$cid",
     "$fair/manifest", "$fair/meta", "$fair/s", "$fair/l:0", "$fair/log",
     "$fair/terms-0", "$fair/terms-01", "$fair/terms-", "$fair/terms-x",
     "$fair/manifest/x", '/fair/spring/' . uc($cid) . '/picks',
     "/fair/spring/$cid}/picks", "/fair/spr%7Ding/$cid/picks",
     "/fair/spring/${cid}0/picks", "/fair/%20/$cid/picks",
     '/fair/' . 'x' x 65 . "/$cid/picks", "/fair//$cid/picks",
     "/fair/spring/..%2f/picks")
{
    $redis->call('SET', "$tag:f:picks", 'abc');
    my $r = $t->get($_);
    is($r->status, 404, "no $_");
    like($r->body, qr/"code":"unknown_path"/, 'a problem') if /fair\//;
}

my $post = $t->post("$fair/picks", 'x');
is($post->status, 405, 'nothing is written');
is($post->header('Allow'), 'GET, HEAD', 'but read');
is($t->request('DELETE', "$fair/picks")->status, 405, 'or deleted');


# ---- a file ----

my $picks = $t->get("$fair/picks");
is($picks->body, 'abc', 'a file');
is($picks->header('Content-Length'), 3, 'its length');
like($picks->header('Content-Type'), qr{^text/plain}, 'its type');
is($picks->header('Accept-Ranges'), 'bytes', 'ranges');

$redis->call('SET', "$tag:f:prizes-12", "\0\1");
my $prizes = $t->get("$fair/prizes-12");
is($prizes->body, "\0\1", 'of a version');
is($prizes->header('Content-Type'), 'application/octet-stream', 'raw bytes');

my $head = $t->request('HEAD', "$fair/picks");
is($head->status, 200, 'HEAD');
is($head->header('Content-Length'), 3, 'has a length');
is($head->body, '', 'and no body');

$etag = $picks->header('ETag');
my $same = $t->get("$fair/picks", headers => { 'If-None-Match' => $etag });
is($same->status, 304, 'unchanged');
is($same->body, '', 'nothing comes');
$redis->call('APPEND', "$tag:f:picks", 'd');
my $grown = $t->get("$fair/picks", headers => { 'If-None-Match' => $etag });
is($grown->body, 'abcd', 'it has grown');
isnt($grown->header('ETag'), $etag, 'and has another tag');


# ---- many pieces ----

my $big = join '', map { sprintf "%07d\n", $_ } 1 .. 300_000;
$redis->call('SET', "$tag:f:beacons", $big);

my $all = $t->get("$fair/beacons");
ok($all->body eq $big, 'a large file');
$etag = $all->header('ETag');

my @ranges = (
    [ 'bytes=0-0', 206, 0, 0 ], [ 'bytes=0-', 206, 0, 2399999 ],
    [ 'bytes=8-15', 206, 8, 15 ], [ 'bytes=131071-131072', 206, 131071,
      131072 ], [ 'bytes=100000-1400000', 206, 100000, 1400000 ],
    [ 'bytes=2399999-', 206, 2399999, 2399999 ],
    [ 'bytes=2399990-9999999', 206, 2399990, 2399999 ],
    [ 'bytes=-1', 206, 2399999, 2399999 ], [ 'bytes=-189', 206, 2399811,
      2399999 ], [ 'bytes=-9999999', 206, 0, 2399999 ],
    [ 'bytes=2400000-', 416 ], [ 'bytes=-0', 416 ],
    [ 'bytes=9-8', 200 ], [ 'bytes=0-1,5-6', 200 ], [ 'bytes=a-b', 200 ],
    [ 'bytes=-', 200 ], [ 'bytes=', 200 ], [ 'lines=1-2', 200 ],
    [ 'bytes=0-1 ', 206, 0, 1 ],
    [ 'bytes=99999999999999999999-', 200 ],
);

for (@ranges) {
    my ($range, $status, $from, $to) = @$_;
    my $r = $t->get("$fair/beacons", headers => { Range => $range });

    is($r->status, $status, "$range: $status");

    if ($status == 206) {
        is($r->header('Content-Range'), "bytes $from-$to/2400000", 'is told');
        ok($r->body eq substr($big, $from, $to - $from + 1), 'its bytes');

    } elsif ($status == 416) {
        is($r->header('Content-Range'), 'bytes */2400000', 'is told');

    } else {
        ok($r->body eq $big, 'the whole file');
    }
}

for ([$etag, 206], ['"x"', 200]) {
    my ($tag, $status) = @$_;
    is($t->get("$fair/beacons", headers => { Range => 'bytes=0-3',
                                             'If-Range' => $tag })->status,
       $status, "If-Range $tag");
}

is($t->get("$fair/beacons", headers => { Range => 'bytes=0-3',
           'If-None-Match' => $etag })->status, 304, 'unchanged, and a range');
is($t->get("$fair/beacons", headers => { 'If-Match' => '"x"' })->status, 412,
   'another one was expected');

my $slow = $t->get("/slow/spring/$cid/beacons", headers =>
                   { Range => 'bytes=-400000' }, timeout => 20);
ok($slow->body eq substr($big, -400000), 'at a rate');


# ---- a log in chunks ----

my @record = map { pack('A20 N', "record $_", $_) . chr($_ % 256) x 108 }
             0 .. 8999;

for (0 .. 2) {
    my $last = 4096 * $_ + 4095;
    $last = 8999 if $last > 8999;
    $redis->call('SET', "$tag:e:$_", join '', @record[4096 * $_ .. $last]);
}

$redis->call('SET', "$tag:s", pack_of(1, 9000, 0, 5, 0, 4, 123));

my $entries = join '', @record;
my $log = $t->get("$fair/entries");
is($log->status, 200, 'entries');
ok($log->body eq $entries, 'of three chunks');
is($log->header('Content-Type'), 'application/octet-stream', 'raw');
is($t->get("$fair/entries", headers => { Range => 'bytes='
           . 4095 * 132 . '-' . (4097 * 132 - 1) })->body,
   $record[4095] . $record[4096], 'a range over two of them');
is($t->get("$fair/entries", headers => { Range => 'bytes=-132' })->body,
   $record[8999], 'the last one');
is($t->get("$fair/log")->status, 404, 'it has no log');

# what is written behind is not of the file before the state says so
$redis->call('APPEND', "$tag:e:2", 'x' x 132);
is(length $t->get("$fair/entries")->body, 9000 * 132, 'records that count');


# ---- that a record is in it ----

# RFC 6962, 2.1.1: the root that a path leads to
sub root_of {
    my ($leaf, $i, $size, @path) = @_;
    my ($n, $last, $r) = ($i, $size - 1, $leaf);

    for my $p (@path) {
        die "too long\n" if !$last;

        if ($n % 2 || $n == $last) {
            $r = H("\1" . $p . $r);
            while (!($n % 2) && $n) { $n >>= 1; $last >>= 1 }
        } else {
            $r = H("\1" . $r . $p);
        }

        $n >>= 1;
        $last >>= 1;
    }

    return $last ? '' : $r;
}

sub proof {
    my ($query) = @_;
    my $r = $t->get("$fair/proof?$query");

    $r->status == 200 or return { status => $r->status, text => $r->body };

    my ($first, @lines) = split /\n/, $r->body;
    my %p = (first => $first, status => 200, path => []);

    for (map { [split ' '] } @lines) {
        my ($word, $value) = @$_;
        $word eq 'path' ? push @{$p{path}}, pack 'H*', $value
                        : ($p{$word} = $value);
    }

    return \%p;
}

my @leaf = map { leaf($_) } @record;

like(proof('seq=3')->{text}, qr/no head holds.*"code":"invalid_field"/,
     'not before the close');

my $root = root(@leaf);
my $statement = T('close') . 'm' x 32 . u64(9000) . u64(123) . $root . u64(5);
$redis->call('SET', "$tag:f:close", "nginx-loyalty/1 close\n"
             . encode_base64($statement, '') . "\n\n\xe2\x80\x94 shop "
             . encode_base64('s' x 68, '') . "\n");

for my $seq (0, 1, 4095, 4096, 8191, 8192, 8999) {
    my $p = proof("seq=$seq");
    is($p->{first}, 'nginx-loyalty/1 proof', "record $seq");
    is($p->{size}, 9000, 'in the tree of the close');
    is($p->{leaf}, unpack('H*', $leaf[$seq]), 'its leaf');
    is($p->{root}, unpack('H*', $root), 'the root');
    is(unpack('H*', root_of($leaf[$seq], $seq, 9000, @{$p->{path}})),
       $p->{root}, 'the path leads there');
}

is($redis->call('GET', "$tag:roots"), root(@leaf[0 .. 4095])
   . root(@leaf[4096 .. 8191]), 'roots of full chunks are kept');

for my $size (1, 2, 3, 100, 4095, 4096, 4097, 8192, 8193) {
    my $seq = $size > 1 ? $size - 2 : 0;
    my $p = proof("seq=$seq&size=$size");
    is(unpack('H*', root_of($leaf[$seq], $seq, $size, @{$p->{path}})),
       unpack('H*', root(@leaf[0 .. $size - 1])), "in a tree of $size");
}

is(proof('seq=9000')->{status}, 404, 'no such record');
is(proof($_)->{status}, 400, "proof?$_")
    for '', 'seq=', 'seq=x', 'seq=-1', 'seq=5&size=5', 'seq=5&size=x',
        'seq=5&size=9001', 'seq=99999999999999999999';
is($t->get("/fair/nothing/$cid/proof?seq=0")->status, 404, 'no such campaign');


# ---- clients that do not read, or go away; Redis that goes away ----

my $huge = $big x 12;
$redis->call('SET', "$tag:f:reveal", $huge);

my @sock = map { $t->connect } 1 .. 12;
my $get = "GET $fair/reveal HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

syswrite $_, $get for @sock;

sleep 0.5;
close $_ for @sock[0 .. 9];
is($t->get("$fair/picks")->status, 200, 'others are served meanwhile');

for my $s (@sock[10, 11]) {
    my $bytes = '';
    1 while sysread $s, $bytes, 1 << 20, length $bytes;
    $bytes =~ s/^.*?\r\n\r\n//s;
    ok($bytes eq $huge, 'a slow one gets it all');
}

# it is cut short while it is sent: half of it is not taken for the whole
my $s = $t->connect;
syswrite $s, $get;
sleep 0.3;
$redis->call('SET', "$tag:f:reveal", 'x');
my $bytes = '';
1 while sysread $s, $bytes, 1 << 20, length $bytes;
cmp_ok(length $bytes, '<', length $huge, 'the connection ends before');
ok($t->wait_log(qr/\[error\].*"reveal" became shorter in Redis/),
   'and it is told why');

$t->redis_stop;
my $r = $t->get("$fair/picks");
is($r->status, 503, 'without Redis');
like($r->body, qr/"code":"unavailable"/, 'a problem');
is($t->get('/fair/vkey')->status, 200, 'the key is here');


done_testing();
