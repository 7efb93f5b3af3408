#!/usr/bin/perl
# Runs every test there is, or those that are named, and says how many
# passed:
#
#     run.pl [--jobs N] [--time SECONDS] [tests/unit/test_x.c t/x.t ...]
#
# Unit tests are programs that cmocka lets speak TAP; they have been built
# before.  Fuzzers try their seeds and what they make of them for a few seconds
# each, a minute in all.  The last line counts everything that ran; a test file that dies,
# hangs or breaks its plan counts as one more failure.

use strict;
use warnings;

use File::Basename qw(dirname);
use Getopt::Long;
use TAP::Harness;

chdir dirname(__FILE__) . '/..' or die "cannot enter the tree: $!";

my ($jobs, $seconds) = (2, 300);

GetOptions('jobs=i' => \$jobs, 'time=i' => \$seconds)
    or die "usage: run.pl [--jobs N] [--time SECONDS] [FILE...]\n";

my $build = $ENV{LOYALTY_BUILD} || 'build';

# the longest one first: nothing waits for it in the end
my $LONGEST = 't/replay.t';

my @tests = @ARGV ? @ARGV
          : ($LONGEST,
             glob('tests/unit/test_*.c'), glob('tests/fuzz/fuzz_*.c'),
             glob('tests/lua/*.t'),
             glob('tests/mutate/*.t'), glob('tests/verify/*.t'),
             grep { $_ ne $LONGEST } glob('t/*.t'));

for my $test (@tests) {
    -f $test or die "run.pl: no such test: $test\n";
}

# nothing of what the caller set may change what is tested
delete @ENV{qw(CMOCKA_XML_FILE CMOCKA_TEST_ABORT http_proxy HTTP_PROXY)};
$ENV{CMOCKA_MESSAGE_OUTPUT} = 'TAP';
$ENV{UBSAN_OPTIONS} //= 'print_stacktrace=1';

# a zone that is no whole number of hours away shows who reads it
$ENV{TZ} = 'America/St_Johns';

my $harness = TAP::Harness->new({
    jobs => $jobs,
    timer => 1,
    merge => 0,
    failures => 1,
    exec => sub { return command($_[1]) },
});

my $results = $harness->runtests(@tests);

my $skipped = count($results, 'skipped');
my $passed = count($results, 'passed') - $skipped;
my $failed = count($results, 'failed') + broken($results);

if ($skipped) {
    print "skipped: $skipped\n";
}

print "tests: $passed passed, $failed failed\n";

exit($failed || !$passed || !$results->all_passed ? 1 : 0);


sub command {
    my ($test) = @_;

    # a test that hangs is told to stop, so that it stops its servers
    my @limit = ('timeout', '-k', 10, $seconds);

    if ($test =~ m{(fuzz_([^/]+))\.c$}) {
        my @fuzzers = glob('tests/fuzz/fuzz_*.c');

        return [@limit, "$build/seeds/$1", int(60 / @fuzzers),
                glob("tests/fuzz/$2/*")];
    }

    if ($test =~ m{([^/]+)\.c$}) {
        # some versions of cmocka say "not ok" of what they skip
        return ['bash', '-o', 'pipefail', '-c',
                q{"$@" | sed -u 's/^not \(ok [0-9]* # SKIP\)/\1/'}, '-',
                @limit, "$build/unit/$1"];
    }

    return [@limit, $^X, '-It/lib', '-Ibin/lib', $test];
}


sub count {
    my ($results, $what) = @_;
    my $n = 0;

    for my $parser ($results->parsers) {
        # cmocka ends with a line for the group, which is no test
        my $planned = $parser->tests_planned // ~0;
        $n += grep { $_ <= $planned } $parser->$what;
    }

    return $n;
}


# files that went wrong beyond the tests that they reported
sub broken {
    my ($results) = @_;

    return scalar grep {
        !$_->failed && ($_->wait || $_->parse_errors)
    } $results->parsers;
}
