#!/usr/bin/perl
# Two verifiers that share no line look at campaigns in which one byte, or a
# few, were changed: they come to the same verdict by the same checks, and a
# changed byte is never passed over.
#
# LOYALTY_MUTATIONS sets how many changes there are of each campaign.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Digest::SHA qw(sha256);
use File::Basename qw(basename);
use File::Temp qw(tempdir);
use Test::More;

use Proof;
use Samples;

my $build = $ENV{LOYALTY_BUILD} || 'build';

plan skip_all => 'without blst there are no rounds to verify' if !has_blst();
plan skip_all => 'the page has not been built (make web)'
    if !-f "$build/verify-node.mjs";

my $most = $ENV{LOYALTY_MUTATIONS} || 30;
my $seed = $ENV{LOYALTY_SEED} || 'two verifiers';
my $dir = tempdir(CLEANUP => 1);
my $numbers = 0;
my $total = 0;


# the same sequence on every machine and every Perl

sub number {
    my ($below) = @_;

    return unpack('Q>', sha256("$seed " . $numbers++)) % $below;
}


# the verdict and the status of each check; a damaged token may be readable
# for one library and not for another: of those neither may be a pass

sub outcome {
    my ($said, $file) = @_;

    return $said->{status} == 0 ? 'PASS' : 'not PASS'
        if $file eq 'timestamps';

    return join ' ', $said->{status}, map { "$_ $said->{$_}" }
                                      grep { /^V/ } sort keys %$said;
}


# changes one byte, takes one out, or puts one in

sub change {
    my ($data) = @_;

    my $at = number(length $data);
    my $how = number(8);

    if ($how == 0) {
        substr $data, $at, 1, '';

    } elsif ($how == 1) {
        substr $data, $at, 0, chr number(256);

    } else {
        substr $data, $at, 1, chr(ord(substr $data, $at, 1)
                                  ^ (1 + number(255)));
    }

    return $data;
}


sub both {
    my (@arguments) = @_;

    return (command_says(verify_program(), @arguments),
            page_says(@arguments));
}


my %few = (
    raffle => [], fresh => [], calendar => [few_heads => 1],
    wheel => [few_heads => 1,
              plays => [@{ wheel()->{plays} }[0 .. 25, 130 .. 152]]],
    scratch => [few_heads => 1,
                plays => [@{ scratch()->{plays} }[0 .. 40]]],
);

for my $name (sort keys %few) {
    for my $evidence (1, 0) {
        my $made = Samples->can($name)->(@{ $few{$name} });

        # without the evidence the other checks have to see it all

        delete $made->{files}{evidence} if !$evidence;

        my $at = $made->write("$dir/$name");
        my @arguments = (options($made, $at), $at);
        my $what = $name . ($evidence ? '' : ' without evidence');

        my ($one, $two) = both(@arguments);
        my $whole = outcome($one, '');

        is(outcome($two, ''), $whole, "$what: as it was made");
        is($whole =~ /^0 / ? 'PASS' : 'INCOMPLETE',
           $evidence ? 'PASS' : 'INCOMPLETE', 'which is complete, or not');

        my @files = sort glob "$at/*";
        my (@differ, @passed);

        for my $n (1 .. $most) {
            my $path = $files[number(scalar @files)];
            my $file = basename($path);
            my $data = slurp($path);
            my $changed = change($data);

            next if $changed eq $data;

            spew($path, $changed);
            ($one, $two) = both(@arguments);
            spew($path, $data);
            $total++;

            my $same = outcome($one, $file) eq outcome($two, $file);

            push @differ, "$file:\n$one->{text}$two->{text}" if !$same;

            # some of a token is neither signed nor meant

            push @passed, "$file, change $n"
                if $one->{status} == 0 || $two->{status} == 0
                   || ($file ne 'timestamps'
                       && outcome($two, '') eq $whole);
        }

        is(scalar(@differ), 0, "$what: both say the same")
            or diag($differ[0]);
        is("@passed", '', "$what: each change is seen");
    }
}

cmp_ok($total, '>', 9 * $most, "$total changes");

done_testing();
