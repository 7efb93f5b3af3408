#!/usr/bin/perl

# The spool outlives nginx: ended, killed, and with files that are not as they
# were left.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Shop;
use Test::More;
use Time::HiRes qw(sleep);

my $t = Loyalty::Shop->start(http => <<'END');
loyalty_ring  zone=seen:256k;
loyalty_spool path=%%TESTDIR%%/spool max=1m sync=on;
END

my $shop = Loyalty::Shop->new($t);


# nginx is killed, its workers first or last
sub killed {
    my ($signal, @first) = @_;
    my ($master, @workers) = ($t->pid, $t->workers);

    kill 'KILL', $master;
    waitpid $master, 0;
    kill $signal, @workers;

    ok($t->wait_for(sub { !grep { kill 0, $_ } @workers }), 'all are gone');

    unlink $t->dir . '/nginx.pid';
    $t->unguard($master);
    $t->start;

    return;
}


# ---- nginx ends, and starts ----

$t->redis_kill;
$shop->buy(100, 'before nginx quits');
ok($t->quit, 'nginx quits');

my @files = $shop->files;
cmp_ok(scalar @files, '>', 0, 'there are files');

$t->start;
$shop->buy(20, 'when it is back');
$t->redis_start;
$shop->credited('nginx quits');

# what is in the ring as it ends, with Redis away for less than a second
sleep 1;
$t->redis_kill;
$shop->buy(20, 'before nginx stops');
is_deeply([$shop->files], [], 'nothing is spooled yet');
ok($t->stop, 'nginx stops');
ok($t->log =~ /: 20 observed events went from the ring "seen:shop" to the sp/,
   'its ring goes to the spool');
$t->redis_start;
$t->start;
$shop->credited('nginx stops');

$t->redis_kill;
$shop->buy(100, 'before all are killed');
$shop->settled('before all are killed');
killed('KILL');
$t->redis_start;
$shop->credited('all are killed');

$t->redis_kill;
$shop->buy(20, 'before the master is killed');
killed('TERM');
$t->redis_start;
$shop->credited('the master is killed');


# ---- files that are not what they were ----

$t->redis_kill;
$shop->buy(200, 'before files are damaged');
$shop->settled('before files are damaged');
ok($t->quit, 'nginx quits');

{
    my ($file) = sort { -s $b <=> -s $a } $shop->files;
    my $bytes = $t->read_file($file =~ s/^.*?\/spool/spool/r);
    my @starts;

    push @starts, pos($bytes) - 4 while $bytes =~ /LyR1/g;
    cmp_ok(scalar @starts, '>', 20, 'records');

    # one loses a bit of its payload, one its head; the last is torn
    substr($bytes, $starts[3] + 30, 1) ^= "\1";
    substr($bytes, $starts[7], 1) = 'x';
    $bytes .= substr $bytes, $starts[0], 40;
    $shop->lost(2);

    open my $fh, '>:raw', $file or die "$file: $!";
    print {$fh} $bytes;
    close $fh;

    # one without a head, one that is empty, one that is rubbish, and names
    # that are none of ours
    $t->write_file("spool/shop.00000000000000f$_->[0]", $_->[1])
        for [1, 'LyR1'], [2, ''], [3, "\0" x 5000];
    $t->write_file("spool/$_", 'x')
        for 'shop.x', 'shop.0001', 'other.0000000000000001',
            'shop.zzzzzzzzzzzzzzzz', 'shop.ffffffffffffffff';
    mkdir $t->dir . '/spool/shop.00000000000000f4';
}

$t->redis_start;
$t->start;
$shop->credited('all but the damaged ones');
is($shop->metric(observed_dropped_total => 'reason="damaged"'), 5,
   'what was damaged is counted');
ok($t->log =~ /\[error\].* \d+ bytes at \d+ of the file \w+ of the spool/,
   'and told');
ok($t->wait_for(sub { -d $t->dir . '/spool/shop.00000000000000f4.bad' }),
   'what cannot be read is put aside');
is_deeply([map { s/.*\///r } grep { !-d } $shop->files],
          ['other.0000000000000001', 'shop.0001', 'shop.ffffffffffffffff',
           'shop.x', 'shop.zzzzzzzzzzzzzzzz'], 'nothing else is touched');
-d $_ ? rmdir : unlink for $shop->files;


# ---- the directory fails ----

sleep 1;
$t->redis_kill;
my $errors = $shop->metric('spool_errors_total');
rename $t->dir . '/spool', $t->dir . '/away' or die "rename: $!";
$shop->buy(20, 'the directory is away');
ok($t->wait_for(sub { $shop->metric('spool_errors_total') > $errors }, 5),
   'which is counted');
ok($t->log =~ /\[crit\].* of a file of the spool "\S+spool" failed/,
   'and told');
is($shop->metric('ring_used_slots'), 20, 'events stay in the ring');
rename $t->dir . '/away', $t->dir . '/spool' or die "rename: $!";
$shop->settled('when it is back');
$t->redis_start;
$shop->credited('the directory failed');

# under the hands of who reads
$t->redis_kill;
$shop->buy(60, 'before files vanish');
$shop->settled('before files vanish');
rename $t->dir . '/spool', $t->dir . '/away' or die "rename: $!";
$shop->buy(60, 'without a directory');
rename $t->dir . '/away', $t->dir . '/spool' or die "rename: $!";
$t->redis_start;
$shop->credited('files came back', 15);

done_testing();
