#!/usr/bin/perl

# A spool that is full: what was first is kept, the rest is counted and told.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Shop;
use Test::More;
use Time::HiRes qw(sleep);

my $t = Loyalty::Shop->start(http => <<'END');
loyalty_ring  zone=seen:256k;
loyalty_spool path=%%TESTDIR%%/spool max=64k;
END

my $shop = Loyalty::Shop->new($t);
my $refused = sub { $shop->metric('observed_dropped_total',
                                  "reason=\"$_[0]\"") };

my $slots = $shop->metric('ring_slots');

$t->redis_kill;
$shop->{pause} = 0.1;

for (1 .. 100) {
    $shop->buy(40, "Redis is away, $_");
    last if $refused->('spool_full') > 40;
}

cmp_ok($refused->('spool_full'), '>', 40, 'the spool is full');
is($refused->('ring_full'), 0, 'and not the ring by itself');
is($shop->metric('ring_used_slots'), $slots, 'which is full, too');
cmp_ok($shop->metric('spool_bytes'), '<=', 65536, 'no more than allowed');
cmp_ok($shop->metric('spool_bytes'), '>', 60000, 'and nearly that');
ok($t->log =~ /\[error\].* the spool "\S+" is full, newer observed events/,
   'it is told');
ok($t->log =~ /: the ring "seen:shop" is full, reason: spool_full, \d+ more/,
   'and what is lost with it');

my $first = $shop->{bought} - $refused->('spool_full');
my $lost = $refused->('spool_full');

$shop->lost($lost);
$t->redis_start;
$shop->credited('all that was not dropped');
is($refused->('spool_full'), $lost, 'no more was dropped');

# the oldest: each member has a hundred first ones and more
my @kept = map { $_->{id} =~ s/o//r }
           @{$t->history('m3', 'limit=100')->json->{history}};
cmp_ok($kept[0], '<=', $first + 60, 'what was first is kept');

# there is room again
sleep 1;
$t->redis_kill;
$shop->buy(100, 'Redis is away again');
$shop->settled('Redis is away again');
$t->redis_start;
$shop->credited('Redis is away again');

done_testing();
