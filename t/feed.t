#!/usr/bin/perl

# The feed: a line for each change, in order, that leads to the member; and
# no more of them than feed_max says.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../bin/lib";

use Loyalty::Member;
use Loyalty::Test;
use Test::More;

my $t = Loyalty::Test->new(program => <<'END');
feed_max  100;
wallet    points;
earn      purchase points 1;
END

my ($tag) = Loyalty::Member::key('shop', 'm', 'anna') =~ /^(\{.*?\})/;


sub event { return { id => $_[0], member => 'anna', type => $_[1] } }


# the lines as [ member, seq ]
sub feed {
    return map {
        my %line = @{$_->[1]};
        my $n = ord $t->redis->call('GETRANGE', "$tag:al", $line{m},
                                    $line{m});
        [ $t->redis->call('GETRANGE', "$tag:al", $line{m} + 1,
                          $line{m} + $n), $line{s} ];
    } @{ $t->redis->call('XRANGE', "$tag:feed", '-', '+') };
}


$t->event(event('a', 'purchase'));
$t->event(event('a', 'purchase'));
$t->event(event('b', 'nothing'));
$t->reversal('a', { id => 'r', member => 'anna' });

is_deeply([feed()], [['anna', 1], ['anna', 3]],
          'a line for each change, none for repeats and for nothing');

# Redis trims whole blocks of 100 lines

my @lines = $t->events([ map { event("e$_", 'purchase') } 1 .. 1000 ])->lines;
is(scalar(grep { $_->{status} == 200 } @lines), 1000, 'a thousand more');

my @feed = feed();
cmp_ok(scalar @feed, '>=', 100, 'feed_max of them are kept');
cmp_ok(scalar @feed, '<=', 200, 'and at most a block more');
is($feed[-1][1], 1003, 'the newest');

done_testing();
