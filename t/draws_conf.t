#!/usr/bin/perl

# What nginx -t says of the directives that both draws share: each mistake has
# its file and line, and a secret is in no message.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;

my $hex = 'c0ffee' . '0123456789' x 5 . 'abcdefab';
my $secret = "main:$hex\n";

my %files = (
    secret => $secret,
    staff => "ann\nbob\r\n\nzoë\n",
    rules => "One prize a person.\n",
);

my $dates = 'open 2026-11-01T00:00:00+01:00; '
          . 'close 2026-12-24T00:00:00+01:00;';
my $program = 'secret_file %%TESTDIR%%/secret; wallet points; '
            . 'tier bronze 0; tier silver 100;';


sub conf {
    my ($text, %more) = @_;

    return (program => $text, files => { %files, %more });
}


sub refused {
    my ($text, $line, $pattern, %more) = @_;
    my $output = Loyalty::Test->refuses('refused: ' . $text =~ s/\s+/ /gr,
                                        $line, $pattern, conf($text, %more));

    unlike($output, qr/c0ffee/i, 'and no secret');

    return;
}


# ---- a line of the block: its text, what is said ----

my $number = 'a whole number from';
my $prize = 'prize mug { odds 1/50; }';

my @lines = (
    [ 'open 2026-11-01T00:00:00;', 'invalid time "2026-11-01T00:00:00": a '
      . 'date and time with an offset' ],
    [ 'open tomorrow;', 'invalid time "tomorrow"' ],
    [ 'open 2026-02-30T00:00:00Z;', 'invalid time' ],
    [ 'close 2026-12-24 00:00;', 'invalid number of arguments in "close"' ],
    [ 'close 2026-12-24T00:00:00+01:00;', '"close" directive is duplicate' ],
    [ 'open 2026-11-01T00:00:00Z; open 2026-11-01T00:00:00Z;',
      '"open" directive is duplicate' ],

    [ 'version 0;', "invalid version \"0\": $number 1" ],
    [ 'version 1.0;', 'invalid version "1.0"' ],
    [ 'version 1; version 1;', '"version" directive is duplicate' ],

    [ 'cost points;', 'invalid number of arguments in "cost"' ],
    [ 'cost points 0;', "invalid cost \"0\": $number 1" ],
    [ 'cost points 1.5;', 'invalid cost "1.5"' ],
    [ 'cost points 9007199254740992;', 'invalid cost' ],
    [ 'cost badge 5;', 'invalid cost "badge": a wallet or "plays"' ],
    [ 'cost gold 5;', 'unknown wallet "gold" in "cost"' ],
    [ 'cost points 5; cost plays 1;', '"cost" directive is duplicate' ],

    [ 'limit 3;', 'invalid number of arguments in "limit"' ],
    [ 'limit 3 a day;', 'invalid limit "3 a day": "N per day"' ],
    [ 'limit 3 per hour;', 'invalid limit "3 per hour"' ],
    [ 'limit 0 per day;', "invalid limit \"0\": $number 1" ],
    [ 'limit 1 per day; limit 2 per day;', '"limit" directive is duplicate' ],

    [ 'eligible tier;', 'invalid number of arguments in "eligible"' ],
    [ 'eligible tier =;', 'FIELD, an operator and VALUE are expected' ],
    [ 'eligible tier = platin;', 'unknown tier "platin" in "eligible"' ],
    [ 'eligible tier in silver platin;', 'unknown tier "platin"' ],
    [ 'eligible tier < bronze;', 'nobody could take part' ],
    [ 'eligible tier ~ ^s;', 'invalid operator "~" in "eligible": patterns '
      . 'are for \$variables' ],
    [ 'eligible tier == silver;', 'invalid operator "=="' ],
    [ 'eligible tier = silver bronze;', 'one value is expected behind "="' ],
    [ 'eligible name = ann;', 'invalid field "name" in "eligible"' ],
    [ 'eligible balance. > 1;', 'invalid field "balance\."' ],
    [ 'eligible balance.gold > 1;', 'unknown wallet "gold" in "eligible"' ],
    [ 'eligible balance.points > 1.5;', 'invalid value in "eligible" "1.5"' ],
    [ 'eligible lifetime.points >= lots;', 'invalid value in "eligible"' ],
    [ 'eligible $http_x ~ "(";', 'invalid .*"\("' ],
    [ 'eligible $nothing_here = 1;', 'unknown .*\$?nothing_here' ],

    [ 'exclude_file %%TESTDIR%%/nobody;', 'open\(\) exclude_file "\S+nobody" '
      . 'failed \(2: No such file' ],
    [ 'exclude_file %%TESTDIR%%;', 'a file of 1 to 16777216 bytes' ],
    [ 'exclude_file %%TESTDIR%%/long;', 'line 2 of exclude_file' ],
    [ 'exclude_file %%TESTDIR%%/staff; exclude_file %%TESTDIR%%/staff;',
      'is duplicate' ],

    [ 'rules_file %%TESTDIR%%/nothing;', 'open\(\) rules_file' ],
    [ 'rules_file %%TESTDIR%%/empty;', 'a file of 1 to 1048576 bytes' ],
    [ 'rules_file %%TESTDIR%%/rules; rules_file %%TESTDIR%%/rules;',
      'is duplicate' ],

    [ 'prize { }', 'invalid number of arguments in "prize"' ],
    [ 'prize mug;', 'directive "prize" has no opening "\{"' ],
    [ 'prize "big car" { odds 1/2; }', 'invalid prize name "big car"' ],
    [ "$prize $prize", 'duplicate prize "mug", the first is in '
      . '\S+program\.conf:3' ],
    [ 'prize mug { stock 0; odds 1/2; }', "invalid stock \"0\": $number 1" ],
    [ 'prize mug { stock 1099511627776; odds 1/2; }', 'invalid stock' ],
    [ 'prize mug { stock 1; stock 1; }', '"stock" directive is duplicate' ],
    [ 'prize mug { odds 50; }', 'invalid odds "50": a fraction' ],
    [ 'prize mug { odds 0/50; }', "invalid odds \"0\": $number 1" ],
    [ 'prize mug { odds 1/0; }', 'invalid odds "0"' ],
    [ 'prize mug { odds 1/; }', 'invalid odds ""' ],
    [ 'prize mug { odds 3/2; }', 'invalid odds "3/2": at most 1' ],
    [ 'prize mug { odds 1/1099511627776; }', 'invalid odds' ],
    [ 'prize mug { odds 1/2; odds 1/2; }', '"odds" directive is duplicate' ],
    [ 'prize mug { stock 5; }', 'prize "mug" has no "odds"' ],
    [ 'prize mug { odds 1/2; codes "a b"; }', 'invalid pool name "a b"' ],
    [ 'prize mug { odds 1/2; codes a; codes a; }', 'is duplicate' ],
    [ 'prize mug { odds 1/2; award points; }',
      'invalid number of arguments in "award"' ],
    [ 'prize mug { odds 1/2; award gold 5; }', 'unknown wallet "gold"' ],
    [ 'prize mug { odds 1/2; award points 5 at=3; }',
      'invalid number of arguments in "award"' ],
    [ 'prize a { odds 2/3; } prize b { odds 1/3; } prize c { odds 1/9999; }',
      'up to prize "c", are over 1 in sum' ],
    [ 'prize a { odds 1/1048583; } prize b { odds 1/1048589; }',
      'up to prize "b", have a common denominator of 2\^40' ],
    [ 'price mug { odds 1/2; }', 'unknown directive "price"' ],
    [ 'prize mug { odds 1/2; weight 5; }', 'unknown directive "weight"' ],
    [ 'on purchase;', 'unknown directive "on"|not allowed here' ],
);

for (@lines) {
    my ($line, $pattern) = @$_;
    my $with = $line =~ /prize/ ? '' : $prize;

    $with .= $dates if $line !~ /^open/;
    $with .= ' draw odds;';

    refused("$program\ninstant_win scratch { $with\n$line }", 3, $pattern,
            long => 'x' x 128 . "\n" . 'x' x 129, empty => '');
}

# ---- the block as a whole ----

for ([ "close 2026-12-24T00:00:00Z; $prize", 'has no "open"' ],
     [ "open 2026-11-01T00:00:00Z; $prize", 'has no "close"' ],
     [ $dates, 'has no "prize"' ])
{
    my ($text, $pattern) = @$_;
    refused("$program\ninstant_win scratch { draw odds; $text }", 2,
            "instant_win \"scratch\" $pattern");
}

refused("$program\ninstant_win s { draw odds; open 2026-12-24T00:00:00+01:00;\n"
        . "close 2026-12-23T23:00:00Z; $prize }", 3,
        'closes when it opens or before');
refused("$program\ninstant_win s { draw odds; open 2026-12-24T00:00:00+01:00;\n"
        . "close 2126-12-24T00:00:00Z; $prize }", 3, 'lasts too long.*3472 days');
refused("$program\nsweepstakes s { $dates prize mug { odds 1/2; stock 1; } }",
        2, 'prize "mug" of a sweepstakes has "odds"');
refused("$program\nsweepstakes s { $dates prize mug { award points 1; } }",
        2, 'prize "mug" of a sweepstakes has no "stock"');
refused("$program\nsweepstakes s { $dates\nprize a { stock 10000000; }\n"
        . "prize b { stock 1; } }", 4, 'has too many winners');
refused("$program\nsweepstakes s { $dates\ncost plays 1; "
        . 'prize a { stock 1; } }', 3, 'invalid cost "plays"');
refused("$program\ninstant_win s { $dates draw deck blanks=900;\n"
        . 'prize a { odds 1/2; stock 1; } }', 3,
        'prize "a" of a deck has "odds"');
refused("$program\ninstant_win s { $dates draw deck blanks=900;\n"
        . 'prize a { award points 1; } }', 3,
        'prize "a" of a deck has no "stock"');
refused("$program\ninstant_win s { $dates draw deck blanks=900;\n"
        . 'prize a { stock 1099511627775; } }', 3,
        'has too many cards, blanks included: at most 1099511627775');
refused("$program\ninstant_win s { $dates draw moments;\n"
        . 'prize a { stock 10000; } }', 3, 'has too many prizes by moments');
refused("$program\ninstant_win s { draw odds; $dates $prize }\n"
        . "sweepstakes s { $dates prize a { stock 1; } }", 3,
        'sweepstakes s and instant_win s in \S+:2 are one campaign');
refused("$program\ninstant_win s { draw odds; $dates $prize }\n"
        . "instant_win s { draw odds; $dates $prize }", 3, 'duplicate instant_win "s"');

# ---- secrets ----

refused("wallet points;\n\ninstant_win scratch { draw odds; $dates $prize }", 3,
        'instant_win scratch needs a "secret_file".*openssl rand -hex 32');
refused("wallet points;\nsecret_file %%TESTDIR%%/none;", 2,
        'open\(\) secret_file "\S+none" failed \(2:');
refused("secret_file %%TESTDIR%%/secret;\nsecret_file %%TESTDIR%%/secret;", 2,
        '"secret_file" directive is duplicate');

for ([ $hex, 1, 'a line without an id' ],
     [ "main:${hex}0", 1, 'a digit too many' ],
     [ 'main:' . substr($hex, 1), 1, 'a digit too few' ],
     [ "main: $hex", 1, 'a space' ],
     [ "ma in:$hex", 1, 'an id of two words' ],
     [ ":$hex", 1, 'an empty id' ],
     [ 'x' x 65 . ":$hex", 1, 'a long id' ],
     [ 'main:' . '0' x 64, 1, 'zeros' ],
     [ "main:$hex\n\nold:$hex", 2, 'an empty line' ],
     [ "main:$hex\nold:x$hex", 2, 'a second line' ])
{
    my ($text, $line, $name) = @$_;
    refused('secret_file %%TESTDIR%%/wrong;', 1,
            "invalid line $line of secret_file \"\\S+wrong\": ID:HEX is "
            . 'expected.*openssl rand -hex 32', wrong => $text);
}

refused('secret_file %%TESTDIR%%/wrong;', 1,
        'line 2 of secret_file "\S+": its id is that of an earlier',
        wrong => "a:$hex\na:$hex\n");
refused('secret_file %%TESTDIR%%/wrong;', 1, 'too many lines',
        wrong => join '', map { "k$_:$hex\n" } 1 .. 17);
refused('secret_file %%TESTDIR%%/wrong;', 1, 'a file of 1 to 8192 bytes',
        wrong => '');
refused('secret_file %%TESTDIR%%/wrong;', 1, 'a file of 1 to 8192 bytes',
        wrong => "a:$hex\n" x 200);

# ---- what is right ----

sub accepted {
    my ($text, $name, %more) = @_;
    my $output = Loyalty::Test->accepts("accepted: $name",
                                        conf($text, %more));

    unlike($output, qr/c0ffee/i, 'and no secret');

    return $output;
}

my $output = accepted("$program\n" . <<"END", 'everything');
instant_win scratch {
    $dates
    draw odds;
    version 1;
    cost points 100;
    limit 3 per day;  limit 10 per week;  limit 20 per month;
    limit 30 per campaign;
    eligible tier in silver;  eligible tier >= bronze;
    eligible balance.points >= 100;  eligible lifetime.points in 1 2 3;
    eligible \$http_x ~* "^a";  eligible \$http_y = 1;
    exclude_file %%TESTDIR%%/staff;
    rules_file %%TESTDIR%%/rules;
    prize car { stock 1; odds 1/1000000; }
    prize mug { stock 500; odds 2/100; award points 20; award points 5; }
    prize tiny { odds 1/5; codes tiny; }
}
sweepstakes spring { $dates cost points 50; prize trip { stock 3; } }
END

like($output, qr/\[warn\] instant_win scratch has no "beacon".*INCOMPLETE, in .*:2$/m,
     'a warning without a beacon');
like($output, qr/\[warn\].*secret_file "\S+" is open to others/,
     'a warning about the mode of the file');

accepted('secret_file %%TESTDIR%%/two; wallet points;', 'two secrets',
         two => "a:$hex\r\nb-2_x:" . uc($hex));
accepted("$program\nwallet gold; instant_win s { draw odds; $dates cost gold 1; "
         . 'prize a { odds 1/1; award silver 1; } } wallet silver;',
         'names before they are defined');
accepted("$program\ninstant_win s { $dates draw deck blanks=900; "
         . 'prize a { stock 1; } }', 'a deck');
accepted("$program\ninstant_win s { $dates draw moments; "
         . 'prize a { stock 10; } }', 'moments');


done_testing();
