#!/usr/bin/perl

# The block of an instant win: what it takes, and each mistake with its line.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;

my $DATES = 'open 2027-03-01T00:00:00+01:00; close 2027-04-01T00:00:00+02:00;';
my $ODDS = "$DATES draw odds;";
my $PRIZE = 'prize mug { odds 1/50; }';
my $STOCK = 'prize mug { stock 5; }';
my $BEACON = "beacon drand_quicknet from=http://127.0.0.1:1/;\n";


sub conf {
    my ($lines, $more) = @_;

    return (files => { secret => 'main:' . '5a' x 32 . "\n" },
            program => "secret_file %%TESTDIR%%/secret;\nwallet points;\n"
                       . ($more // '') . "instant_win scratch {\n$lines\n}\n");
}


sub accepted {
    my ($lines, $name, $more) = @_;

    return Loyalty::Test->accepts($name, conf($lines, $more));
}


sub refused {
    my ($lines, $line, $pattern, $more) = @_;

    return Loyalty::Test->refuses("refused: $pattern", $line, $pattern,
                                  conf($lines, $more));
}


like(accepted("$ODDS $PRIZE", 'the least there can be'),
     qr/\[warn\].*instant_win scratch has no "beacon"/, 'seed only is a warning');
accepted("$DATES\ndraw deck blanks=0;\n$STOCK", 'a deck without blanks');
accepted("$DATES\ndraw moments;\nepoch 1h;\n$STOCK", 'moments');
accepted("$ODDS\n$PRIZE\nprize pen { stock 9; odds 49/50; award points 20;\n"
         . "codes pens; }\ncost points 50;\nlimit 3 per day;\n"
         . "limit 9 per campaign;\nwins_per_member 2;\ndegraded on;",
         'every directive', $BEACON);
accepted("$ODDS\ncost plays 1;\n$PRIZE", 'plays as a price');

refused("$DATES\n$PRIZE", 3, 'instant_win scratch has no "draw"');
refused("$DATES\ndraw lots;\n$PRIZE", 5, 'invalid draw "lots"');
refused("$DATES\ndraw deck;\n$STOCK", 5, 'invalid draw "deck"');
refused("$DATES\ndraw odds blanks=1;\n$PRIZE", 5, 'invalid draw "odds"');
refused("$DATES\ndraw deck blank=1;\n$STOCK", 5, 'invalid parameter "blank=1"');
refused("$DATES\ndraw deck blanks=-1;\n$STOCK", 5, 'blanks');
refused("$DATES\ndraw deck blanks=1099511627776;\n$STOCK", 5, 'blanks');
refused("$DATES\ndraw odds;\ndraw odds;\n$PRIZE", 6, 'is duplicate');
refused("$ODDS\nwins_per_member 0;\n$PRIZE", 5, 'wins_per_member');
refused("$ODDS\nwins_per_member 1;\nwins_per_member 1;\n$PRIZE", 6,
        'is duplicate');
refused("$ODDS\nepoch 1h;\n$PRIZE", 5, 'has an "epoch"');
refused("$DATES draw moments;\nepoch 59s;\n$STOCK", 5, 'invalid epoch "59s"');
refused("$DATES draw moments;\nepoch 2d;\n$STOCK", 5, 'invalid epoch "2d"');
refused("$DATES draw moments;\nepoch 1h;\nepoch 1h;\n$STOCK", 6,
        'is duplicate');
refused("$ODDS\ndegraded on;\n$PRIZE", 5, 'do not use a round of a beacon');
refused("$DATES draw moments;\ndegraded on;\n$STOCK", 6,
        'do not use a round of a beacon', $BEACON);
refused("$ODDS\ndegraded maybe;\n$PRIZE", 6, 'invalid value "maybe"', $BEACON);
refused("$DATES draw deck blanks=1;\n$PRIZE", 5, 'are for "draw odds" alone');
refused("$ODDS\nprize mug { stock 1; }", 5, 'has no "odds"');
refused("$ODDS\n$PRIZE\n$PRIZE", 6, 'duplicate prize "mug"');
refused("$ODDS\n" . join("\n", map { "prize p$_ { odds 1/50; codes c$_; }" }
                         1 .. 9), 3, 'codes of too many pools');
refused("$ODDS\n$PRIZE", 4, 'challenge a awards plays of instant_win scratch, '
        . 'which costs nothing',
        "challenge a { on x; goal 1;\naward plays scratch 1; }\n");
refused("$ODDS\nprize mug { odds 1/2;\naward plays scratch 1; }", 6,
        'instant_win scratch awards plays of instant_win scratch, '
        . 'which costs nothing');
refused("$ODDS\n$PRIZE", 4, 'instant_win b awards plays of instant_win '
        . 'scratch, which costs nothing',
        "instant_win b { $ODDS cost points 1; prize p { odds 1/2;\n"
        . "award plays scratch 1; } }\n");
refused("$ODDS\nprize mug { odds 1/2;\naward plays none 1; }", 6,
        'unknown name "none"');

my ($ok, $output) = Loyalty::Test->check(
    program => "wallet points;\ninstant_win scratch { $ODDS $PRIZE }");
ok(!$ok && $output =~ /needs a "secret_file".*openssl rand/,
   'without a secret_file it is told how to make one') or diag $output;

done_testing();
