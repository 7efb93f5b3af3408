#!/usr/bin/perl

# badge: given by challenges and streaks, held once, and lost with the last
# award of it that still stands.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Games;
use Test::More;


my $shop = Loyalty::Games->new(program => <<'EOC');
    wallet points;  max_event_age 2y;
    challenge one {
        on purchase;  goal 1;  every day;
        award badge shopper;  award points 5;
    }
    streak daily {
        on visit;  every day;
        award badge shopper at=2;  award badge regular at=3;
    }
    badge shopper;
    badge regular;
EOC

is_deeply($shop->me('badges'), [], 'none at first');

like($shop->send(purchase => id => 'p1', at => '2026-03-02T10:00:00Z'),
     qr/badge shopper; \+5 points/, 'given by a challenge');
is_deeply($shop->me('badges'), [ { name => 'shopper' } ], 'GET me shows it');

unlike($shop->send(visit => id => 'v1', at => '2026-03-02T10:00:00Z'),
       qr/badge/, 'the first visit gives none');
unlike($shop->send(visit => id => 'v2', at => '2026-03-03T10:00:00Z'),
       qr/badge/, 'one that the member has is not given again');
like($shop->send(visit => id => 'v3', at => '2026-03-04T10:00:00Z'),
     qr/badge regular/, 'given by a streak');
is_deeply($shop->me('badges'),
          [ { name => 'shopper' }, { name => 'regular' } ], 'both');

unlike($shop->reverse('p1'), qr/badge/,
       'one of two awards is taken back: the badge stays');
like($shop->reverse('v3'), qr/badge regular taken back/,
     'its only award is taken back');
like($shop->reverse('v2'), qr/badge shopper taken back/,
     'the last of two awards is taken back');
is_deeply($shop->me('badges'), [], 'none is left');

like($shop->send(visit => id => 'v4', at => '2026-03-03T11:00:00Z'),
     qr/badge shopper/, 'and can be had again');

my $socket = $shop->t->dir . '/redis.sock';
my $words = `$^X $FindBin::Bin/../bin/loyalty-member --redis unix:$socket --program shop m`;
like($words, qr/badge shopper\n\s+awarded 1 times/, 'loyalty-member tells it');

done_testing();
