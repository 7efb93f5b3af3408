#!/usr/bin/perl

# Files of a spool that nobody sends any more, for the configuration was
# edited: they stay, it is told, and nothing is lost when somebody sees to it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Shop;
use Test::More;

my $t = Loyalty::Shop->start(http => 'include spool.conf;',
    files => { 'spool.conf' =>
               'loyalty_spool path=%%TESTDIR%%/spool max=1m;' });
my $shop = Loyalty::Shop->new($t);
my $conf = $t->read_file('nginx.conf');


sub told { return scalar(() = $t->log =~ /\[warn\].*$_[0]/g) }


# ---- another directory, or none ----

$t->redis_kill;
$shop->buy(60, 'before the path changes');
$shop->settled('before the path changes');
my ($file) = $shop->files;

$t->write_file('spool.conf', 'loyalty_spool path=%%TESTDIR%%/other max=1m;');
ok($t->reload(wait => 1), 'another path');
my $size = -s $file;
is(told(qr/"shop": there are $size bytes of .*spool", which is not the spool/),
   1, 'what is left in the old directory is told');
$t->redis_start;
rename $file, $t->dir . '/other/' . $file =~ s/.*\///r or die "rename: $!";
ok($t->reload(wait => 1), 'another reload');
$shop->credited('files that were moved');
is(told('which is not the spool any more'), 1, 'it is told once');

sleep 1;
$t->redis_kill;
$shop->buy(60, 'before the spool goes');
$shop->settled('before the spool goes');
$t->write_file('spool.conf', '');
ok($t->reload(wait => 1), 'no spool');
is(told('other", which is not the spool any more: they stay'), 1, 'is told');
$t->write_file('spool.conf', 'loyalty_spool path=%%TESTDIR%%/other max=1m;');
ok($t->reload(wait => 1), 'the spool is back');
$t->redis_start;
$shop->credited('the spool was away');


# ---- another program ----

sleep 1;
$t->redis_kill;
$shop->buy(60, 'before it is renamed');
$shop->settled('before it is renamed');
$t->write_file('nginx.conf', $conf =~ s/\bshop\b/store/gr);

my ($ok, $said) = $t->check;
ok($ok, 'a program is renamed');
like($said, qr/\[warn\] there are \d+ bytes of observed events in "\S+other" of a program "shop", which is not there: they stay/,
     'nginx -t says what it leaves');
ok($t->reload(wait => 1), 'reload');
is(told('of a program "shop", which is not there: they stay'), 2,
   'and the log, then and now');
$t->write_file('nginx.conf', $conf);
ok($t->reload(wait => 1), 'its old name');
$t->redis_start;
$shop->credited('it was renamed');

done_testing();
