package Verdict;

# What is expected of both verifiers on one campaign: PASS in every check but
# those that are named.
#
#     verdict('a raffle', raffle(), { V04 => 'INCOMPLETE', says => [qr/.../],
#                                     bare => 1, no_rounds => 1 }, @options);
#
# bare: without the options that make it pass; no_rounds: no round of the
# beacon is used.

use strict;
use warnings;

use Exporter qw(import);
use File::Temp qw(tempdir);
use Test::More;

use Proof;
use Samples;

our @EXPORT = qw(verdict changed without play);

my $dir = tempdir(CLEANUP => 1);
my $bls = has_blst();
my %seen;

# for page.t, which wants to see all of it

END { print "# seen $_\n" for sort keys %seen }


# the status of every check: PASS but where something else is expected

sub verdict {
    my ($what, $made, $want, @options) = @_;

    my $at = $made->write("$dir/files");

    @options = (options($made, $at), @options) if !$want->{bare};

    my $got = run_verify($at, @options);

    $seen{"$_ $got->{$_}"} = 1 for grep { /^V/ } keys %$got;

    my %want = map { sprintf('V%02d', $_) => 'PASS' } 1 .. 19;

    # without blst the rounds cannot be checked, whatever they are

    my $rounds = $made->{beacon} && !$want->{no_rounds};
    $want{V06} = 'INCOMPLETE' if !$bls && $rounds;

    for my $check (grep { /^V/ } keys %$want) {
        $want{$check} = $want->{$check}
            unless $check eq 'V06' && !$bls && $rounds;
    }

    my @got = map { "$_ $got->{$_}" } sort keys %want;
    my @want = map { "$_ $want{$_}" } sort keys %want;

    my %status = map { $_ => 1 } values %want;
    my $status = $status{FAIL} ? 1 : $status{INCOMPLETE} ? 2 : 0;

    my $ok = is_deeply(\@got, \@want, $what);
    $ok &= is($got->{status}, $status, "$what: exit $status");
    $ok &= is($got->{differs}, undef, "$what: loyalty-verify says the same")
        if $ENV{LOYALTY_VERIFY_PAGE};
    diag($got->{text}) if !$ok;

    for my $text (@{ $want->{says} || [] }) {
        like($got->{text}, $text, "$what: says so");
    }

    return;
}


# a file that is changed after all else was made, before the evidence

sub changed {
    my ($name, $change) = @_;

    return (hook => { files => sub {
        my ($files) = @_;

        local $_ = $files->{$name};
        $change->();
        $files->{$name} = $_;
    } });
}


sub without {
    my (@names) = @_;

    return (hook => { files => sub { delete @{ $_[0] }{@names} } });
}


# the play of this number, changed

sub play {
    my ($n, $change) = @_;

    return (hook => { play => sub { $change->($_[0]) if $_[1] == $n } });
}


1;
