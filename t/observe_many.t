#!/usr/bin/perl

# A spool of many files, as after a long outage: no request waits for them to
# be counted, and the lock's next holder goes on with the last one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Shop;
use Test::More;

my $FILES = 10_000;

my $t = Loyalty::Shop->start(start => 0, workers => 1,
    http => 'loyalty_spool path=%%TESTDIR%%/spool max=1g;');
my $shop = Loyalty::Shop->new($t);

mkdir $t->dir . '/spool', 0700;
$t->write_file(sprintf('spool/shop.%016x', $_ * 7919 % $FILES + 1),
               "loyalty-spool 1\n") for 1 .. $FILES;

$t->redis_kill;
$t->start;
$shop->buy(300, 'with many files');
$shop->settled('with many files');

my @files = $shop->files;
my ($last) = sort { $b cmp $a } @files;
is(scalar @files, $FILES, 'no file is new');
cmp_ok(-s $last, '>', 300 * 50, 'all is in the last one');

for my $round (1 .. 3) {
    ok($t->reload(wait => 1), 'the lock changes hands');
    $shop->buy(40, "in round $round");
    $shop->settled("in round $round");
}

is_deeply([$shop->files], \@files, 'and the file does not');

# torn, as by a kill
open my $fh, '>>', $last or die "$last: $!";
print {$fh} "LyR1\100";
close $fh;
ok($t->reload(wait => 1), 'once more');
$shop->buy(40, 'behind what is torn');
$shop->settled('behind what is torn');
is_deeply([$shop->files], \@files, 'the same file');

$t->redis_start;
$shop->credited('all of it', 20);
is($shop->metric(observed_dropped_total => 'reason="damaged"'), 1,
   'but for what was torn');
is_deeply([$shop->files], [], 'no file is left');

done_testing();
