#!/usr/bin/perl

# Replays purchases through HTTP and compares every member with the books:
#
#     replay.pl [--data DIR] [--every N] [--only cdnow|synthetic] [--long]
#
# First those of some made-up customers, then the CDNOW data, or only every
# Nth customer of it; --long takes also back what came late of it.  Output
# and exit status are those of a test.
#
# DIR holds CDNOW_master.txt, 69,659 purchases of 23,570 customers in 1997
# and 1998, and expected_customers.tsv.  Without --data it is looked for
# beside the tree, and left out where it is not.

use strict;
use warnings;

use Cwd qw(realpath);
use FindBin;
use Getopt::Long;
use Test::More;

my $root;

BEGIN { $root = realpath("$FindBin::RealBin/../..") }

use lib "$root/tests/replay", "$root/t/lib", "$root/bin/lib";

use Loyalty::Purchases;
use Loyalty::Replay;

my $LATE = 60;                  # days

my ($data, $every, $only, $long) = ("$root/../shared/data/cdnow", 1, '');

GetOptions('data=s' => \$data, 'every=i' => \$every, 'only=s' => \$only,
           'long' => \$long)
    or die "usage: replay.pl [--data DIR] [--every N] "
           . "[--only cdnow|synthetic] [--long]\n";

synthetic() if $only ne 'cdnow';
cdnow() if $only ne 'synthetic';

done_testing();


sub synthetic {
    my $purchases = Loyalty::Purchases::synthetic(1997, 120);

    in_order('made up, in order', $purchases);
    late('made up, late', $purchases, 1);

    return;
}


sub cdnow {
    SKIP: {
        skip "no CDNOW_master.txt in $data", 1
            if !-e "$data/CDNOW_master.txt";

        replay_cdnow();
    }

    return;
}


sub replay_cdnow {
    my $purchases = Loyalty::Purchases::cdnow("$data/CDNOW_master.txt");
    my $expected = expected("$data/expected_customers.tsv");

    if ($every > 1) {
        my $n = 0;
        my %chosen = map { $_ => 1 } grep { $n++ % $every == 0 }
                     sort keys %$expected;
        $purchases = [ grep { $chosen{$_->{customer}} } @$purchases ];
    }

    books_agree($purchases, $expected);

    my $seen = in_order('CDNOW, in order', $purchases);
    figures($seen) if $every == 1;

    late('CDNOW, late', $purchases, $long);

    return;
}


sub in_order {
    my ($name, $purchases) = @_;
    my $replay = Loyalty::Replay->new($name, $purchases);

    $replay->post($purchases);
    $replay->accounts;
    $replay->histories(10);
    $replay->fsck('after all purchases');

    $replay->repeat($purchases);

    $replay->reverse_all(Loyalty::Purchases::shuffled($purchases, 7));
    $replay->nothing_left;
    $replay->fsck('after all reversals');
    $replay->finish;

    return $replay->{seen};
}


sub late {
    my ($name, $purchases, $back) = @_;
    my $order = Loyalty::Purchases::late($purchases, $LATE, 11);
    my ($late, $most) = Loyalty::Purchases::lateness($order);

    cmp_ok($late, '>=', int(@$purchases / 4),
           "$name: $late of " . @$purchases
           . ' purchases come after a newer one of their customer');
    cmp_ok($most, '<=', $LATE, "$name: by at most $LATE days");

    my $replay = Loyalty::Replay->new($name, $purchases);

    $replay->post($order);
    $replay->accounts(late => 1);
    $replay->fsck('after all purchases');

    if ($back) {
        $replay->reverse_all(Loyalty::Purchases::shuffled($purchases, 13));
        $replay->nothing_left;
        $replay->fsck('after all reversals');
    }

    $replay->finish;

    return;
}


# ---- what is known of the CDNOW data ----

sub expected {
    my ($file) = @_;
    my %expected;

    open my $fh, '<', $file or die "$file: $!\n";
    chomp(my $names = <$fh>);
    my @names = split /\t/, $names;

    while (<$fh>) {
        chomp;
        my %row;
        @row{@names} = split /\t/;
        $expected{$row{customer}} = \%row;
    }

    close $fh;

    return \%expected;
}


# two accounts of the same purchases, made apart
sub books_agree {
    my ($purchases, $expected) = @_;
    my $books = Loyalty::Purchases::books($purchases);
    my @wrong;

    for my $customer (sort keys %$books) {
        my ($book, $row) = ($books->{$customer}, $expected->{$customer});

        push @wrong, $customer if !$row || join(' ', $book->{points},
                $book->{purchases}, @{$book->{best}}{qw(days weeks months)},
                @{$book->{last}}{qw(days weeks)})
            ne join(' ', @$row{qw(floor_points tx best_day_streak
                                  best_isoweek_streak best_month_streak
                                  last_day_streak last_isoweek_streak)});
    }

    is("@wrong", '', 'the books agree with expected_customers.tsv');
    is(scalar keys %$books, scalar keys %$expected, 'for every customer')
        if $every == 1;

    return;
}


# what the effects and the accounts of the shop add up to
sub figures {
    my ($seen) = @_;
    my ($five, $month) = @$seen{qw(five month)};
    my ($days, $weeks, $months) = @{$seen->{best}}{qw(days weeks months)};
    my ($times, %longest) = (0);

    is($seen->{points}, 2453159, 'points of all members');
    is(scalar keys %$five, 3925, 'members who completed the five');
    is(scalar(grep { $_ > 1 } values %$five), 0, 'each of them once');

    $times += $_ for values %$month;
    is($times, 4647, 'times the monthly one was completed');
    is(scalar keys %$month, 2620, 'by so many members');

    $longest{$_}++ for values %$days;
    is(join(' ', map { "$_:$longest{$_}" } sort { $a <=> $b } keys %longest),
       '1:22730 2:774 3:52 4:8 5:5 13:1', 'best streaks of days');

    is($weeks->{14048}, 72, 'best streak of weeks of customer 14048');
    is(scalar(grep { $_ == 18 } values %$months), 6,
       'members with 18 months');

    return;
}
