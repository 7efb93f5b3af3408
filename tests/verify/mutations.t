#!/usr/bin/perl
# No single byte of any file of evidence can be changed without the verdict
# changing, too: thousands of positions, by a fixed seed.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Digest::SHA qw(sha256);
use File::Temp qw(tempdir);
use Test::More;

use Proof;
use Samples;

# a file's positions at most; all of them where it has fewer

my $most = $ENV{LOYALTY_MUTATIONS} || 35;
my $dir = tempdir(CLEANUP => 1);
my $numbers = 0;


# the same sequence on every machine and every Perl

sub number {
    my ($below) = @_;

    return unpack('Q>', sha256('mutations ' . $numbers++)) % $below;
}


sub positions {
    my ($n) = @_;

    return 0 .. $n - 1 if $n <= $most;

    my %chosen = (0 => 1, $n - 1 => 1);
    $chosen{number($n)} = 1 while keys %chosen < $most;

    return sort { $a <=> $b } keys %chosen;
}


# writes a byte in place: the rest of the file is as it was

sub poke {
    my ($path, $at, $byte) = @_;

    open my $file, '+<:raw', $path or die "$path: $!";
    seek $file, $at, 0 or die "$path: $!";
    print {$file} $byte or die "$path: $!";
    close $file or die "$path: $!";

    return;
}


# what the file "names" of a bundle or an option, and the command to try it

sub mutate {
    my ($name, $made, @more) = @_;

    my $at = $made->write("$dir/$name");
    my @options = (options($made, $at), @more);
    my @command = (verify_program(), @options, $at);

    # without blst nothing passes, and without evidence neither: then a change
    # has to make it worse

    my $verdict = verdict(@command);

    my @missing = (has_blst() ? () : 'V06',
                   $made->{files}{evidence} ? () : 'V19');

    like($verdict, @missing ? qr/^INCOMPLETE @missing$/ : qr/^PASS /,
         "$name: as it was made, @missing");

    my $count = 0;
    my @passed;

    # the files of the directory, and those that the user keeps

    for my $path (glob("$at/*"), grep { /^\Q$dir/ } @options) {

        # some of a token is neither signed nor meant: its hash alone sees it

        next if $path =~ /timestamps$/ && !$made->{files}{evidence};

        my $data = slurp($path);

        for my $i (positions(length $data)) {
            my $byte = chr(ord(substr $data, $i, 1) ^ (1 + number(255)));

            poke($path, $i, $byte);
            push @passed, "$path at $i" if verdict(@command) eq $verdict;
            poke($path, $i, substr $data, $i, 1);
            $count++;
        }
    }

    is("@passed[0 .. ($#passed < 5 ? $#passed : 5)]", '',
       "$name: $count changes, each of them seen");
    is(verdict(@command), $verdict, "$name: as it was made, still");

    return $count;
}


sub verdict {
    my (@command) = @_;

    open my $pipe, '-|', @command or die "$command[0]: $!";
    my @lines = <$pipe>;
    close $pipe;

    return $lines[-1] // '';
}


my $total = 0;

my %plays = (
    wheel => [@{ wheel()->{plays} }[0 .. 25, 130 .. 152]],
    scratch => [@{ scratch()->{plays} }[0 .. 40]],
);

for my $name (qw(raffle fresh wheel scratch calendar)) {
    my %few = $name =~ /^(raffle|fresh)$/ ? () : (few_heads => 1);
    $few{plays} = $plays{$name} if $plays{$name};

    my $made = Samples->can($name)->(%few);
    my @more;

    if ($name eq 'raffle') {
        push @more, '--receipt',
             spew("$dir/raffle.receipt", $made->receipt(5));
    }

    if ($name eq 'scratch') {
        my ($won) = grep { $made->{played}[$_]{status} == 1 } 0 .. 40;
        push @more, '--receipt',
             spew("$dir/scratch.receipt", $made->receipt($won));
    }

    $total += mutate($name, $made, @more) if $name =~ /^(raffle|scratch)$/;

    # nobody but the operator can change what the evidence is about: the other
    # checks see all of it without

    delete $made->{files}{evidence};

    $total += mutate($name, $made, @more);
}

cmp_ok($total, '>', 3000, "$total positions") if $most >= 35;

done_testing();
