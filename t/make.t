#!/usr/bin/perl

# Whatever is made first of all on a machine with nothing but make, what is
# missing is installed before it is needed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;

my $t = Loyalty::Test->new(start => 0, redis => 0);
my $top = "$FindBin::Bin/..";

# not of the make that runs the tests
delete local @ENV{qw(MAKEFLAGS MAKELEVEL MFLAGS)};

# these need nothing, or are made by others that have seen to it
my %part = map { $_ => 1 } qw(help deps module module-locked demo-stop clean
    verify-locked unit unit-locked fuzz-run FORCE);

my $makefile = do {
    open my $fh, '<', "$top/Makefile" or die "Makefile: $!";
    local $/;
    <$fh>;
};

my ($phony) = $makefile =~ /^\.PHONY: ((?:.*\\\n)*.*)/m;
my @targets = grep { !$part{$_} } split /[\s\\]+/, $phony;

# what would be done where nothing has been built
sub commands {
    my (@args) = @_;
    my $build = $t->dir . '/nothing';

    return `make -C $top -n --no-print-directory BUILD=$build @args 2>&1`;
}

for my $target (@targets) {
    like((commands($target))[0], qr{^build-aux/deps\.sh \w}, $target);
}

unlike((commands('stats', 'DIEHARDER='))[0], qr/stats/,
       'no more than is wanted');

done_testing();
