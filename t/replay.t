#!/usr/bin/perl

# Two years of purchases through HTTP, each member compared with the books:
# in order, again, late, and all of it taken back.  tests/replay/replay.pl
# does it and can do it alone.

use strict;
use warnings;

use FindBin;

# sanitizers are slow: a sample of the customers is enough for them
my @sample = ($ENV{LOYALTY_MODULE} // '') eq 'static' ? ('--every', 20) : ();

exec $^X, "$FindBin::Bin/../tests/replay/replay.pl", @sample
    or die "cannot run replay.pl: $!\n";
