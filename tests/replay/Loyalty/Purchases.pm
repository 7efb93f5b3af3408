package Loyalty::Purchases;

# Purchases to replay, the orders in which they may arrive, and what a shop's
# books would say about them: a model that keeps all days, weeks and months
# of a customer as sets, and so needs to know nothing of how the engine does
# it.
#
# A purchase is { line, customer, date => '1997-01-31', day, month, cents,
# at }: day counts from 1970-01-01, month from year 0; at is the RFC 3339
# time that is sent, somewhere within the day in the shop's zone, which is
# $ZONE.

use strict;
use warnings;

use Time::Local qw(timegm);

our $ZONE = 'America/New_York';

my $DAY = 86400;


# ---- where they come from ----

# the CDNOW data: customer, date, number of CDs, dollars
sub cdnow {
    my ($file) = @_;
    my (@purchases, %dates);

    open my $fh, '<', $file or die "$file: $!\n";

    while (<$fh>) {
        my ($customer, $date, undef, $dollars) = split;
        next if $. == 1;

        $dollars =~ /^(\d+)\.(\d\d)$/ or die "$file, line $.: $dollars\n";
        my $cents = $1 * 100 + $2;

        push @purchases, purchase($. - 1, $customer,
            $dates{$date} //= _day($date), $cents);
    }

    close $fh;

    return \@purchases;
}


# Customers of all habits, always the same for one seed: some come every
# day for months, some every week, some when they like.
sub synthetic {
    my ($seed, $customers) = @_;
    my $random = generator($seed);
    my $first = _day('19960901');
    my @purchases;

    for my $n (1 .. $customers) {
        my $habit = $n % 4;
        my $day = $first + $random->(200);
        my $last = $day + 30 + $random->($habit ? 700 : 150);

        while ($day < $last) {
            my $times = $random->(8) ? 1 : 1 + $random->(3);

            push @purchases, [ $n, $day, amount($random) ] for 1 .. $times;
            $day += $habit == 0 ? ($random->(9) ? 1 : 3)
                  : $habit == 1 ? 5 + $random->(5)
                  : $habit == 2 ? 1 + $random->(45)
                  : $random->(12) ? 1 + $random->(4) : 60 + $random->(90);
        }
    }

    my $line = 0;

    return [ map { purchase(++$line, sprintf('c%03d', $_->[0]), @$_[1, 2]) }
             @purchases ];
}


# cents: whole dollars, just under, nothing at all
sub amount {
    my ($random) = @_;
    my $kind = $random->(10);

    return $kind == 0 ? 0
         : $kind < 3 ? 100 * $random->(60)
         : $kind < 5 ? 100 * $random->(60) + 99
         : $random->(9000);
}


sub purchase {
    my ($line, $customer, $day, $cents) = @_;
    my ($d, $m, $y) = (gmtime $day * $DAY)[3, 4, 5];
    my $date = sprintf '%04d-%02d-%02d', $y + 1900, $m + 1, $d;

    return { line => $line, customer => $customer, day => $day,
             date => $date, month => ($y + 1900) * 12 + $m,
             cents => $cents, at => _at($line, $date) };
}


sub _day {
    my ($y, $m, $d) = $_[0] =~ /^(\d{4})(\d\d)(\d\d)$/
        or die "not a date: $_[0]\n";

    return timegm(0, 0, 0, $d, $m - 1, $y) / $DAY;
}


# Every hour of the day, its first and its last second too.  On the days
# when the clocks change it is after the change.
sub _at {
    my ($line, $date) = @_;
    my $n = $line % 26;
    my ($changes, $offset) = _offset($date);

    $n = 25 if $changes && ($n < 4 || $n == 24);

    my $time = $n == 24 ? '00:00:00' : $n == 25 ? '23:59:59'
             : sprintf '%02d:%02d:%02d', $n, $line % 60, $line % 59;

    return "${date}T$time$offset";
}


# New York from 1967 to 2006: summer time from the first Sunday (since 1987)
# of April to the last Sunday of October
my %offsets;

sub _offset {
    my ($date) = @_;

    return @{ $offsets{$date} //= do {
        my ($year) = $date =~ /^(\d+)/;
        my $from = _day($year . '0401');
        my $to = _day($year . '1031');

        # day 3 was a Sunday
        $from += (3 - $from) % 7;
        $to -= ($to - 3) % 7;

        my $day = _day($date =~ s/-//gr);

        [ $day == $from || $day == $to,
          $day >= $from && $day < $to ? '-04:00' : '-05:00' ];
    } };
}


# numbers from 0 to n - 1, the same everywhere
sub generator {
    my ($state) = @_;

    return sub {
        $state = ($state * 1103515245 + 12345) & 0x7fffffff;
        return int($_[0] * ($state >> 8) / (1 << 23));
    };
}


# ---- orders of arrival ----

sub shuffled {
    my ($list, $seed) = @_;
    my @list = @$list;
    my $random = generator($seed);

    for my $i (reverse 1 .. $#list) {
        my $j = $random->($i + 1);
        @list[$i, $j] = @list[$j, $i];
    }

    return \@list;
}


# All purchases by date, but a quarter of them up to so many days late, and
# each of that quarter behind a newer one of its customer.
sub late {
    my ($purchases, $days, $seed) = @_;
    my $random = generator($seed);
    my $wanted = int(@$purchases / 4);
    my (%next, %gap);

    for my $p (sort { $b->{day} <=> $a->{day} } @$purchases) {
        my $newer = $next{$p->{customer}} //= [];

        push @$newer, $p->{day} if !@$newer || $newer->[-1] != $p->{day};
        my $gap = @$newer > 1 ? $newer->[-2] - $p->{day} : $days + 1;
        $gap{$p->{line}} = $gap if $gap <= $days;
    }

    my @may = grep { $gap{$_->{line}} } @{ shuffled($purchases, $seed) };
    my %arrival = map { $_->{line} => $_->{day} } @$purchases;

    for (my $n = $wanted; $n <= @may; $n += 1 + int($wanted / 20)) {
        for my $p (@may[0 .. $n - 1]) {
            next if $arrival{$p->{line}} > $p->{day};
            my $gap = $gap{$p->{line}};
            $arrival{$p->{line}} += $gap + $random->($days + 1 - $gap);
        }

        # on one day, those that are late come last
        my @order = sort { $arrival{$a->{line}} <=> $arrival{$b->{line}}
                           || $b->{day} <=> $a->{day}
                           || $a->{line} <=> $b->{line} } @$purchases;
        my ($late, $most) = lateness(\@order);

        return \@order if $late >= $wanted && $most <= $days;
    }

    die "fewer than a quarter can be late\n";
}


# how many come after a newer one of their customer, and by how many days at
# most
sub lateness {
    my ($order) = @_;
    my ($late, $most, %newest) = (0, 0);

    for my $p (@$order) {
        my $newest = $newest{$p->{customer}} // $p->{day};

        if ($newest > $p->{day}) {
            $late++;
            $most = $newest - $p->{day} if $newest - $p->{day} > $most;
        } else {
            $newest{$p->{customer}} = $p->{day};
        }
    }

    return ($late, $most);
}


# ---- the books ----

# for each customer what the program owes them: points (whole dollars of each
# purchase), purchases, months (with 100.00 or more), best and last run of
# days, weeks and months, and treats (see Loyalty::Replay's program)
sub books {
    my ($purchases) = @_;
    my (%books, %sets);

    for my $p (@$purchases) {
        my $book = $books{$p->{customer}} //= { points => 0, purchases => 0 };
        my $s = $sets{$p->{customer}} //= {};

        $book->{points} += ($p->{cents} - $p->{cents} % 100) / 100;
        $book->{purchases}++;

        # day 0 was a Thursday
        $s->{days}{$p->{day}} = 1;
        $s->{weeks}{int(($p->{day} + 3) / 7)} = 1;
        $s->{months}{$p->{month}} += $p->{cents};
    }

    for my $customer (keys %books) {
        my ($book, $s) = ($books{$customer}, $sets{$customer});

        $book->{full_months} = grep { $_ >= 10000 } values %{$s->{months}};

        for my $unit (qw(days weeks months)) {
            my @runs = runs(keys %{$s->{$unit}});

            $book->{last}{$unit} = $runs[-1];
            $book->{best}{$unit} = (sort { $b <=> $a } @runs)[0];

            next if $unit ne 'weeks';

            $book->{treats} += ($_ >= 2 ? 1 : 0) + 10 * int($_ / 5) for @runs;
        }
    }

    return \%books;
}


# the lengths of the runs in a set of numbers
sub runs {
    my ($before, @runs);

    for my $n (sort { $a <=> $b } @_) {
        if (defined $before && $n == $before + 1) {
            $runs[-1]++;
        } else {
            push @runs, 1;
        }

        $before = $n;
    }

    return @runs;
}


1;
