#!/usr/bin/perl

# A spool on a disk that is full: what does not fit stays in the ring, no file
# is left over, and all of it is sent when there is room or Redis again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Shop;
use Test::More;
use Time::HiRes qw(sleep);

my $t = Loyalty::Shop->start(start => 0, http => <<'END');
loyalty_ring  zone=seen:512k;
loyalty_spool path=%%TESTDIR%%/spool max=1m;
END

my $dir = $t->dir . '/spool';
my $mounted;

END { system 'umount', '-l', $dir if $mounted }

mkdir $dir, 0700;

# the mount's own words are of no interest
open my $err, '>&', \*STDERR or die "dup: $!";
open STDERR, '>', '/dev/null' or die "null: $!";
$mounted = system('mount', '-t', 'tmpfs', '-o', 'size=8k,mode=700', 'tmpfs',
                  $dir) == 0;
open STDERR, '>&', $err or die "dup: $!";

plan skip_all => 'no file system of one\'s own here' if !$mounted;

$t->start;

my $shop = Loyalty::Shop->new($t);

$shop->{pause} = 0.02;
$shop->buy(20, 'in peace');
$shop->credited('in peace');

$t->redis_kill;
$shop->buy(300, 'Redis is killed');
ok($t->wait_for(sub { $shop->metric('spool_errors_total') >= 3 }),
   'the disk is full');
is($shop->metric('ring_used_slots') + $shop->metric('spooled_total'), 300,
   'what does not fit stays in the ring');
cmp_ok(scalar $shop->files, '<=', 2, 'and a file that got nothing is no more');

my $bytes = 0;
$bytes += -s for $shop->files;
cmp_ok($bytes, '>', 8192 - 512, 'what fits is there');
is($shop->metric('spool_bytes'), $bytes, 'the bytes are those of the files');
like($t->log, qr/\[crit\].* write\(\) of a file of the spool .*\(28: No space/,
     'which is told');

is(system('mount', '-o', 'remount,size=1m', $dir), 0, 'there is room');
$shop->settled('there is room');
$t->redis_start;
$shop->credited('there is room');

# full when nginx ends: what is lost is told, and no file is left of it

sleep 1;
$t->redis_kill;
$shop->buy(20, 'before nginx stops');
is(system('mount', '-o', 'remount,size=4k', $dir), 0, 'no room');
open my $fh, '>', "$dir/other" or die "other: $!";
print {$fh} 'x' x 4096;
close $fh;
ok($t->stop, 'nginx stops');
like($t->log, qr/\[error\].*: 20 observed events are lost with the ring/,
     'what is lost is told');
is_deeply([grep { !/other$/ } $shop->files], [], 'no file is left');

done_testing();
