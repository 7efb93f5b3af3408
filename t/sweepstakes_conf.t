#!/usr/bin/perl

# The block of a sweepstakes: what it takes, and each mistake with its line.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;

my $DATES = 'open 2027-03-01T00:00:00+01:00; close 2027-04-01T00:00:00+02:00;';
my $PRIZE = 'prize trip { stock 3; }';


sub conf {
    my ($lines, $more) = @_;

    return (files => { secret => 'main:' . '5a' x 32 . "\n" },
            program => "secret_file %%TESTDIR%%/secret;\nwallet points;\n"
                       . ($more // '') . "sweepstakes spring {\n$lines\n}\n");
}


sub accepted {
    my ($lines, $name, $more) = @_;

    return Loyalty::Test->accepts($name, conf($lines, $more));
}


sub refused {
    my ($lines, $line, $pattern, $name, $more) = @_;

    return Loyalty::Test->refuses($name, $line, $pattern,
                                  conf($lines, $more));
}


like(accepted("$DATES $PRIZE", 'the least there can be'),
     qr/\[warn\].*sweepstakes spring has no "beacon"/, 'seed only is a warning');
accepted("$DATES\n$PRIZE\nprize mug { stock 9; }\ncost points 50;\n"
         . "limit 3 per day;\nlimit 100 per campaign;\nfree_entry on;\n"
         . "alternates 5 listed;\nclaim_within 7d;\nseed on;",
         'every directive');
accepted("$DATES\nprize a { stock 9000; }\nalternates 1000;",
         '10000 positions');

refused("$DATES $PRIZE\nalternates many;", 5, 'alternates', 'no number');
refused("$DATES $PRIZE\nalternates 5 new;", 5, 'invalid parameter "new"',
        'no kind of alternates');
refused("$DATES $PRIZE\nalternates 5;\nalternates 5;", 6, 'is duplicate',
        'alternates twice');
refused("$DATES $PRIZE\nalternates 5 fresh;", 3, 'rests on a beacon',
        'fresh alternates without a beacon');
refused("$DATES $PRIZE\nseed off;", 3, 'rests on a beacon',
        'no seed and no beacon');
refused("$DATES $PRIZE\nseed maybe;", 5, 'invalid value "maybe"',
        'seed is on or off');
refused("$DATES $PRIZE\nfree_entry yes;", 5, 'invalid value "yes"',
        'free_entry is on or off');
refused("$DATES $PRIZE\nfree_entry on;\nfree_entry on;", 6, 'is duplicate',
        'free_entry twice');
refused("$DATES $PRIZE\nclaim_within soon;", 5, 'claim_within',
        'no time to claim');
refused("$DATES $PRIZE\nclaim_within 1d;\nclaim_within 2d;", 6,
        'is duplicate', 'claim_within twice');
refused("$DATES $PRIZE\ncost plays 1;", 5, 'tickets of a sweepstakes cost points',
        'costs plays');
refused("$DATES\nprize a { stock 10001; }", 3, '1 to 10000 together',
        'too many winners');
refused("$DATES\nprize a { stock 9000; }\nalternates 1001;", 3,
        '1 to 10000 together', 'too many alternates');
refused("$DATES\nprize a { }", 5, 'no "stock"', 'no stock');
refused("$DATES\nprize a { stock 1; odds 1/2; }", 5, 'odds', 'odds');
refused("$DATES\nprize a { stock 1; award points 5; }", 5,
        'which an instant win alone hands out', 'a prize that awards');
refused("$PRIZE", 3, 'has no "open"', 'no dates');
refused("$DATES", 3, 'has no "prize"', 'no prize');
refused("$DATES $PRIZE\nextra on;", 5, 'unknown directive "extra"',
        'an unknown directive');

accepted("$DATES $PRIZE", 'awarded before it is defined',
         "challenge c { on buy; goal 1; award tickets spring 5; }\n");
refused("$DATES $PRIZE", 3, 'unknown name "summer"', 'of another name',
        "challenge c { on buy; goal 1; award tickets summer 5; }\n");
refused("$DATES $PRIZE", 3, 'award', 'no number of tickets',
        "challenge c { on buy; goal 1; award tickets spring; }\n");

done_testing();
