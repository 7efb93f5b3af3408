#!/usr/bin/perl
# The verifier of the page, which shares no line with loyalty-verify: on every
# campaign of the other tests it says what is expected, and the same as
# loyalty-verify, line for line.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Test::More;

use Proof;

my $build = $ENV{LOYALTY_BUILD} || 'build';

if (!has_blst()) {
    plan skip_all => 'without blst there are no rounds to verify';
}

if (!-f "$build/verify-node.mjs") {
    plan skip_all => 'the page has not been built (make web)';
}

# the tests of loyalty-verify, with another verifier in its place

$ENV{LOYALTY_VERIFY_PAGE} = 1;

my %seen;

for my $test (qw(checks limits running vectors differential)) {
    open my $pipe, '-|', $^X, "$FindBin::Bin/$test.t" or die "$test.t: $!";
    my @lines = <$pipe>;
    close $pipe;

    $seen{$_} = 1 for map { /^# seen (\w+ \w+)$/ ? $1 : () } @lines;

    my @failed = grep { /^not ok/ } @lines;
    my $passed = grep { /^ok/ } @lines;

    is($?, 0, "$test: $passed passed");
    diag(@failed) if @failed;
    cmp_ok($passed, '>', 20, "$test: there are such tests");
}

my @never = grep { !$seen{$_} }
            map { my $n = $_; map { sprintf 'V%02d %s', $n, $_ }
                                  qw(PASS INCOMPLETE FAIL) } 1 .. 19;

is("@never", '', 'each check has been each of pass, incomplete and fail');

done_testing();
