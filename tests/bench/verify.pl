#!/usr/bin/perl
# How long loyalty-verify takes for a campaign of N entries, and for one of N
# plays, and the verifier of the page (in node, where it has been built); both
# with every file, so that the verdict is PASS.
#
#     verify.pl [N]            N is 1,000,000 when nothing is said

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../verify";

use Digest::SHA qw(hmac_sha256);
use File::Temp qw(tempdir);
use Time::HiRes qw(time);

use Proof;
use Raffle;
use Samples;
use Wheel;

my $n = $ARGV[0] || 1000000;
my $dir = tempdir(CLEANUP => 1);


# an empty campaign is made as those of the tests are, and its records are put
# in before what is computed from them

sub entries {
    my $made = raffle(entries => [], voids => [], dqs => [], versions => [],
                      limits => ['20 per day', '20 per campaign']);
    my $files = $made->{files};
    my $start = T('entry') . $made->{cid};
    my (@leaves, @ranges, $raw);
    my $next = 0;

    for my $i (0 .. $n - 1) {
        my $tickets = 1 + $i % 5;

        my $record = $start . u64($i) . u64(OPEN + int($i / 100)) . u64($next)
            . u32($tickets) . H('member ' . $i % ($n / 2 + 1)) . H($i)
            . "\1\0";

        push @ranges, $next;
        push @leaves, leaf($record);
        $raw .= $record;
        $next += $tickets;
    }

    $files->{entries} = $raw;
    $made->{tickets} = $next;
    $made->{leaves} = \@leaves;

    delete @$files{qw(close timestamps)};
    $made->token('manifest', 1, $files->{manifest}, OPEN - 3600000);
    $made->close_note;

    # two picks, by binary search

    no warnings 'redefine';
    local *Raffle::choose = sub {
        my ($self, $key, $tag, $p) = @_;

        my ($ticket, $a) = pick($key, $tag, $p, $next, 0);
        my ($low, $high) = (0, $n);

        while ($high - $low > 1) {
            my $middle = int(($low + $high) / 2);
            ($ranges[$middle] <= $ticket ? $low : $high) = $middle;
        }

        return { a => $a, ticket => $ticket, seq => $low,
                 person => substr $raw, 132 * $low + 66, 32 };
    };

    $made->{picks} = [];
    $made->draw;
    $made->publish;

    return $made;
}


# 1,000 plays a second, so that rounds are few, and a prize without an end

sub plays {
    my $span = int($n / 60000 + 1) * 60000;
    my $made = wheel(plays => [], versions => [], limits => [], wins => 0,
                     close => OPEN + $span, few_heads => 1,
                     prizes => [['coupon', undef, 1, 6]]);
    my $files = $made->{files};
    my $start = T('playrec') . $made->{cid};
    my $play = T('play') . $made->{mh};
    my (@leaves, $raw);
    my ($round, $B) = (0, '');

    for my $i (0 .. $n - 1) {
        my $t = OPEN + $i;
        my $e = $made->epoch($t);
        my $person = H('member ' . $i);

        if ($round != round_at($t - 6000)) {
            $round = round_at($t - 6000);
            $B = $made->beacon($round);
        }

        my $at = u32($e) . u64($round);
        my $u = hmac_sha256($play . $at . $B . $person . "\0" x 8,
                            $made->K($e));
        my $r = pick48($u, 6);

        my $record = $start . u64($i) . u64($t) . $at . $person
            . substr($u, 0, 16) . "\0" x 8 . "\1" . u64(6) . u64($r)
            . u32($r ? ~0 & 0xffffffff : 0) . u64(~0) . u32($r ? 0 : 1) . $u;

        push @leaves, leaf($record);
        $raw .= $record;
    }

    $files->{log} = $raw;
    $files->{heads} = note($made->{key}, 'head', T('head') . $made->{mh}
                           . u64($n) . root(@leaves)
                           . u64(OPEN + $span + 1000));
    $made->publish;

    return $made;
}


sub measure {
    my ($what, $made) = @_;

    my $at = $made->write("$dir/files");
    my @options = options($made, $at);

    undef $made;

    my $page = Proof::build() . '/verify-node.mjs';
    my $bad = timed($what, verify_program(), @options, $at);

    $bad |= timed("$what, page", 'node', $page, @options, $at) if -f $page;

    return $bad;
}


sub cpu {
    my @times = times;
    return $times[2] + $times[3];
}


sub timed {
    my ($what, @command) = @_;

    my ($begin, $cpu) = (time, cpu());
    my $got = command_says(@command);
    my $took = time - $begin;

    $cpu = cpu() - $cpu;

    my ($verdict) = $got->{text} =~ /(\w+[^\n]*)\n\z/;
    $verdict =~ s/ \(.*//;

    printf "%-13s %9d  %6.2f s  %6.2f s of a processor  %8.0f a second  %s\n",
           $what, $n, $took, $cpu, $n / $took, $verdict;

    return $got->{status};
}


my $bad = measure('entries', entries());
$bad |= measure('plays', plays());

exit($bad ? 1 : 0);
