#!/usr/bin/perl

# Thousands of draws: the positions of sixty made-up sweepstakes with few and
# many entries, voids, large and small holders, fewer persons than prizes. Each
# is recomputed from what is published: in Perl, by loyalty-verify, and by the
# verifier of the page.

use strict;
use warnings;
no warnings 'portable';

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../bin/lib",
        "$FindBin::Bin/../tests/verify";

use Loyalty::Sweeps;
use Loyalty::Test;
use POSIX qw(strftime);
use Proof ();
use Test::More;

my $seed = $ENV{LOYALTY_SEED} // 20261125;
srand $seed;
diag "seed $seed" if $ENV{LOYALTY_SEED};

my $open = int(time) - 86400;

sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $_[0]) }

my $dates = 'open ' . at($open) . '; close ' . at($open + 3600) . ';';
my ($program, %entries) = '';

for my $n (1 .. 60) {
    my $persons = 1 + int rand(rand() < 0.2 ? 4 : 600);
    my $count = rand() < 0.3 ? int rand 8 : 200 + int rand 800;
    my $void = rand() < 0.5 ? 0 : rand 0.5;
    my $most = rand() < 0.3 ? 1 : 1 + int rand 30;
    my (@list, @live);

    for my $seq (0 .. $count - 1) {
        if (@live && rand() < $void) {
            push @list, [void => splice @live, int rand @live, 1];
            next;
        }

        # one of them has nearly all, now and then
        my $whale = $n % 7 == 0 && rand() < 0.2;
        push @list, [$whale ? 'whale' : 'm' . int rand $persons,
                     ($whale ? 1000 : 1) * (1 + int rand $most)];
        push @live, $seq;
    }

    $entries{"s$n"} = \@list;
    $program .= "sweepstakes s$n { $dates alternates " . int(rand 6) . ';'
              . join('', map { " prize p$_ { stock " . (1 + int rand 60)
                               . '; }' } 1 .. 1 + int rand 5) . " }\n";
}

my $t = Loyalty::Test->new(
    start => 0,
    files => { secret => $Loyalty::Sweeps::SECRET },
    server => 'location /fair/ { loyalty_proof shop; }',
    program => "secret_file %%TESTDIR%%/secret; unsafe_store on;\n"
               . "wallet points;\n$program");

Loyalty::Sweeps::plant($t, $_, $open, $entries{$_}) for keys %entries;
$t->start;

my ($picks, $vacant) = (0, 0);
my $page = -f Proof::build() . '/verify-node.mjs';

diag 'without a page (make web) two of three look at it' if !$page;

for my $n (1 .. 60) {
    my $s = Loyalty::Sweeps->new($t, "s$n");

    $s->wait_for_state('drawn', 60) or die "s$n is not drawn\n" . $t->log;

    my $file = $s->file('picks');
    my ($code, $out) = $s->verify;
    my $held = () = $out =~ /^V(?:01|02|07|08|09|10|14|17|18) PASS /mg;
    my $same = !$page
               || Proof::page_says($t->dir . "/proof-s$n")->{text} eq $out;

    $picks += () = $file =~ /^pick /mg;
    $vacant += () = $file =~ /^vacant /mg;

    ok($file eq $s->recomputed && $held == 9 && $same,
       "s$n: " . @{ $entries{"s$n"} } . ' records') or diag "$file$out";
}

cmp_ok($picks, '>', 2000, "$picks positions were filled");
cmp_ok($vacant, '>', 5, "and $vacant prizes were left");

done_testing();
