#!/usr/bin/perl
# Evidence that is missing: whatever file is not there, nothing passes, and its
# name is told.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use File::Temp qw(tempdir);
use Test::More;

use Proof;
use Samples;

my $dir = tempdir(CLEANUP => 1);
my @verifiers = ('loyalty-verify');

push @verifiers, 'page' if -f Proof::build() . '/verify-node.mjs';


sub says {
    my ($one, @arguments) = @_;

    return $one eq 'page' ? page_says(@arguments)
                          : command_says(verify_program(), @arguments);
}


for my $name (qw(raffle fresh wheel scratch calendar)) {
    my $made = Samples->can($name)->();
    my $at = $made->write("$dir/$name");
    my @arguments = (options($made, $at), $at);
    my @files = sort keys %{ $made->{files} };

    cmp_ok(scalar @files, '>', 8, "$name: " . @files . ' files');

    for my $file (@files) {
        rename "$at/$file", "$dir/away" or die "$at/$file: $!";

        for my $one (@verifiers) {
            my $got = says($one, @arguments);

            ok($got->{status} != 0, "$name without $file: no pass by $one");
            like($got->{text}, $file eq 'vkey'
                 ? qr/INCOMPLETE .*the file vkey is missing/
                 : qr/ (?:the )?(?:file )?\Q$file\E is missing|no file \Q$file/,
                 'its name is told');
        }

        rename "$dir/away", "$at/$file" or die "$at/$file: $!";
    }

    # evidence does not vouch for what was left out of it

    for my $file (grep { $_ ne 'evidence' } @files) {
        my $left = Samples->can($name)->(hook => { files => sub {
            delete $_[0]{$file} } });
        my @options = options($left, $left->write("$dir/left"));

        for my $one (@verifiers) {
            ok(says($one, @options, "$dir/left")->{status} != 0,
               "$name that never had $file: no pass by $one");
        }
    }
}

done_testing();
