#!/usr/bin/perl

# What nginx -t says of earn, challenge and streak: each mistake has its file
# and line, and what was expected.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;


# program text => what is expected at which line of program.conf; lines are
# counted behind the two that every program has

my $head = "wallet points;\nmoney EUR 2;\n";


sub refused {
    my ($text, $line, $pattern, $name) = @_;

    return Loyalty::Test->refuses("$name: refused", $line + 2, $pattern,
                                  program => $head . $text);
}


sub accepted {
    my ($text, $name) = @_;

    return Loyalty::Test->accepts("$name: accepted",
                                  program => $head . $text);
}


sub challenge {
    return "challenge coffee {\n    on purchase;\n" . join('', map {
        "    $_\n" } @_) . "}\n";
}


sub streak {
    return "streak daily {\n    on visit;\n" . join('', map {
        "    $_\n" } @_) . "}\n";
}


# ---- earn ----

accepted('earn purchase points 1;', 'earn once an event');
accepted('earn purchase points 1.5 per=1.00 of=amount round=half_up;',
         'earn per amount');
accepted('earn purchase points 2 per=10 of=item.amount round=ceil;',
         'earn per amount of items');
accepted('earn purchase points 2 match item.category = coffee '
         . 'match channel in web app;', 'earn with match lines');
accepted("earn purchase points 1;\nearn purchase points 2;\n",
         'two earn rules for one event');
accepted("earn purchase points 1 per=1000.00;\n", 'earn per 1000');

refused('earn purchase points;', 1, 'expects EVENT WALLET POINTS',
        'earn without points');
refused("\nearn purchase gems 1;", 2, 'unknown wallet "gems": '
        . 'loyalty_program "shop" has no such "wallet" directive',
        'earn for an unknown wallet');
refused('earn purchase points 0;', 1, 'invalid points "0"', 'earn nothing');
refused('earn purchase points -1;', 1, 'invalid points "-1"',
        'earn less than nothing');
refused('earn purchase points 1e3;', 1, 'invalid points "1e3"',
        'earn with an exponent');
refused('earn purchase points 1 per=0;', 1, 'per=0.*over 0', 'earn per 0');
refused('earn purchase points 1 per=1.001;', 1,
        'per=1.001.*at most 2 decimals', 'earn per too many decimals');
refused('earn purchase points 1 of=amount;', 1, '"of=" needs "per=',
        'earn of without per');
refused('earn purchase points 1 per=1 of=weight;', 1, '"of=weight"',
        'earn of an unknown field');
refused('earn purchase points 1 per=1 round=up;', 1, 'invalid rounding "up"',
        'earn with an unknown rounding');
refused('earn purchase points 1 per=1 per=2;', 1, 'duplicate parameter',
        'earn with two per=');
refused('earn purchase points 1 per=;', 1, 'has no value',
        'earn with an empty per=');
refused('earn purchase points 1 twice;', 1, 'invalid parameter "twice"',
        'earn with an unknown word');
refused('earn purchase points 1 match channel;', 1, 'match',
        'earn with half a match line');
refused("earn purchase points 1 per=1;\nearn purchase points 1 per=1.00;\n",
        2, 'duplicate "earn".*program.conf:3', 'the same earn twice');
refused('earn purchase points 0.000000001 per=1.00;', 1, 'too fine',
        'earn beyond 53 bits');
refused("tier gold 0 multiplier=100;\n"
        . 'earn purchase points 1 per=10000.00;', 2, 'too fine',
        'earn beyond 53 bits with the highest multiplier');
refused('earn "pur chase" points 1;', 1, 'invalid event type',
        'earn for an invalid event type');


# ---- challenge ----

accepted(challenge('goal 5;'), 'challenge without an award');
accepted(challenge('goal 5;', 'every week;', 'day_starts 04:00;',
                   'award points 1;', 'award points 2;'), 'challenge');
accepted(challenge('goal 50.00 of amount;', 'every month;'),
         'challenge of an amount');
accepted(challenge('goal 50 of item.amount;', 'window 7d;',
                   'match item.sku = a;'), 'challenge of items');
accepted(challenge('goal 3 distinct item.sku;', 'window 7d;',
                   'opens_on offer match offer = 7 match partner = x;'),
         'challenge with opens_on');
accepted(join('', map { my $c = challenge('goal 5;', 'award points 1;');
                        $c =~ s/coffee/c$_/; $c } 1 .. 200),
         '200 challenges');

refused("challenge coffee {\n    goal 5;\n}\n", 1, 'has no "on EVENT"',
        'challenge without on');
refused(challenge(), 1, 'has no "goal"', 'challenge without goal');
refused(challenge('goal 0;'), 3, 'invalid goal "0"', 'goal 0');
refused(challenge('goal -1;'), 3, 'invalid goal "-1"', 'goal below 0');
refused(challenge('goal 1.5;'), 3, 'invalid goal "1.5"', 'goal with decimals');
refused(challenge('goal 9007199254740992;'), 3, 'invalid goal',
        'goal over 2^53');
refused(challenge('goal 0.00 of amount;'), 3, 'invalid goal "0.00"',
        'goal 0.00');
refused(challenge('goal 1.005 of amount;'), 3, 'at most 2 decimals',
        'goal with too many decimals');
refused(challenge('goal 5 of weight;'), 3, 'invalid goal, expected',
        'goal of something else');
refused(challenge('goal 5 of;'), 3, 'invalid number of arguments',
        'goal with two words');
refused(challenge('goal 256 distinct item.sku;'), 3, 'from 1 to 255',
        'goal of too many values');
refused(challenge('goal 2 distinct item.colour;'), 3, 'item.colour',
        'goal of an unknown field');
refused(challenge('goal 5;', 'goal 6;'), 4, 'is duplicate', 'two goals');
refused(challenge('goal 5;', 'on visit;'), 4, 'is duplicate', 'two on');
refused(challenge('goal 5;', 'every week;', 'every day;'), 5, 'is duplicate',
        'two every');
refused(challenge('goal 5;', 'window 1d;', 'window 2d;'), 5, 'is duplicate',
        'two windows');
refused(challenge('goal 5;', 'window 1d;', 'opens_on a;', 'opens_on b;'), 6,
        'is duplicate', 'two opens_on');
refused(challenge('goal 5;', 'every year;'), 4,
        'invalid period "year".*"day", "week" or "month"', 'every year');
refused(challenge('goal 5;', 'every week;', 'window 7d;'), 1,
        'takes "every" or "window"', 'every and window');
refused(challenge('goal 5;', 'every week;', 'opens_on a;'), 1,
        'takes "every" or "opens_on"', 'every and opens_on');
refused(challenge('goal 5;', 'opens_on a;'), 1, 'needs a "window"',
        'opens_on without window');
refused(challenge('goal 5;', 'day_starts 04:00;'), 1, 'needs "every"',
        'day_starts without every');
refused(challenge('goal 5;', 'every day;', 'day_starts 24:00;'), 5,
        'HH:MM from 00:00 to 23:59', 'day_starts 24:00');
refused(challenge('goal 5;', 'every day;', 'day_starts 4:00;'), 5,
        'HH:MM', 'day_starts 4:00');
refused(challenge('goal 5;', 'window 0;'), 4, 'invalid window "0"',
        'window 0');
refused(challenge('goal 5;', 'window soon;'), 4, 'invalid window "soon"',
        'window in words');
refused(challenge('goal 5;', 'window 1d;', 'opens_on a if b = c;'), 5,
        'invalid parameter "if"', 'opens_on with an unknown word');
refused(challenge('goal 5;', 'match channel about web;'), 4,
        'invalid operator "about"', 'match with an unknown operator');
refused(challenge('goal 5;', 'match channel ~ "(";'), 4, 'channel|regex|"\("',
        'match with a bad regex');
refused("challenge coffee {\n    match channel = web;\n    on purchase;\n"
        . "    goal 1;\n}\n", 2, 'must come after "on EVENT"',
        'match before on');
refused(challenge('goal 5;', 'award gems 1;'), 4, 'unknown wallet "gems"',
        'award in an unknown wallet');
refused(challenge('goal 5;', 'award points 0;'), 4, 'invalid award "0"',
        'award of nothing');
refused(challenge('goal 5;', 'award points 5 at=3;'), 4, 'award',
        'award at= in a challenge');
refused(challenge('goal 5;', 'award badge b;'), 4, 'unknown name "b"',
        'award of a badge that is not there');
refused(challenge('goal 5;', 'award badge;'), 4, 'a name is expected',
        'award of a badge without a name');
refused(challenge('goal 5;', 'award badge b 5;'), 4, 'a name is expected',
        'award of several badges');
accepted(challenge('goal 5;', 'award badge b;') . "badge b;\n",
         'award of a badge that is defined later');
refused("badge b;\nbadge b;\n", 2, 'duplicate badge "b"',
        'a badge defined twice');
accepted("reward r {\n cost points 5;\n stock 0;\n limit 1 per day;\n"
         . " limit 9 per member;\n codes pool;\n}\n", 'a reward');
refused("reward r {\n cost pints 5;\n}\n", 2, 'unknown wallet "pints"',
        'a reward of another wallet');
refused("reward r {\n cost badge 5;\n}\n", 2, 'wallet',
        'a reward that costs a badge');
refused("reward r {\n cost points 0;\n}\n", 2, 'invalid cost "0"',
        'a reward for nothing');
refused("reward r {\n $_\n $_\n}\n", 3, 'is duplicate', "$_ twice")
    for 'cost points 5;', 'stock 5;', 'limit 1 per day;', 'codes a;';
refused("reward r {\n limit 1 per year;\n}\n", 2, 'invalid limit "1 per year"',
        'a limit of no period');
refused("reward r {\n limit 0 per day;\n}\n", 2, 'invalid limit "0"',
        'a limit of nothing');
refused(join('', map { "reward r$_ { codes c$_; }\n" } 1 .. 65), 65,
        'too many pools', 'a pool too many');
refused("reward r {\n codes -a;\n}\n", 2, 'invalid pool name',
        'a pool with a bad name');
refused(challenge('goal 5;', 'award reward r;'), 4, 'unknown name "r"',
        'award of a reward that is not there');
refused("badge -b;\n", 1, 'invalid badge name', 'a badge with a bad name');
refused(challenge('goal 5;', 'award tickets spring 5;'), 4,
        'unknown name "spring"', 'award of tickets');
refused(challenge('goal 5;', 'award points;'), 4, 'award',
        'award without an amount');
refused(challenge('goal 5;', 'freeze 1;'), 4, '"freeze" directive is not',
        'freeze in a challenge');
refused(challenge('goal 5;') . challenge('goal 6;'), 5,
        'duplicate challenge "coffee".*program.conf:3', 'two of one name');
refused("challenge \"a b\" {\n}\n", 1, 'invalid challenge name "a b"',
        'challenge with a space in its name');
refused("challenge {\n}\n", 1, 'invalid number of arguments',
        'challenge without a name');


# ---- streak ----

accepted(streak('every day;'), 'streak without an award');
accepted(streak('every day;', 'day_starts 04:00;',
                'freeze 1 earn_every=7 max=2;', 'award points 10 at=3;',
                'award points 50 every=30;', 'match channel = app;'),
         'streak');
accepted(streak('every week;', 'freeze 0 earn_every=4;'),
         'streak with freezes to be earned');
accepted(streak('every week;') . challenge('goal 1;')
         . "challenge daily {\n    on a;\n    goal 1;\n}\n",
         'a streak and a challenge of one name');

refused("streak daily {\n    every day;\n}\n", 1, 'has no "on EVENT"',
        'streak without on');
refused(streak(), 1, 'has no "every day\|week\|month"',
        'streak without every');
refused(streak('every hour;'), 3, 'invalid period "hour"', 'every hour');
refused(streak('every day;', 'freeze one;'), 4, 'invalid freeze "one"',
        'freeze in words');
refused(streak('every day;', 'freeze 33;'), 4, 'from 0 to 32',
        'too many freezes');
refused(streak('every day;', 'freeze 3 max=2;'), 4,
        '"max=2" is less than the 3', 'more freezes than max');
refused(streak('every day;', 'freeze 1 earn_every=0;'), 4,
        'invalid earn_every "0"', 'a freeze earned every 0');
refused(streak('every day;', 'freeze 1 max=2 max=3;'), 4,
        'duplicate parameter "max=3"', 'two max');
refused(streak('every day;', 'freeze 1 often;'), 4,
        'invalid parameter "often"', 'freeze with an unknown word');
refused(streak('every day;', 'freeze 1;', 'freeze 2;'), 5, 'is duplicate',
        'two freezes');
refused(streak('every day;', 'award points 5;'), 4, 'at=N or every=N',
        'award without at= or every=');
refused(streak('every day;', 'award points 5 at=0;'), 4, 'invalid at "0"',
        'award at 0');
refused(streak('every day;', 'award points 5 at=1 every=2;'), 4, 'award',
        'award with at= and every=');
refused(streak('every day;', 'award gems 5 at=1;'), 4, 'unknown wallet',
        'award in an unknown wallet');
refused(streak('every day;', 'goal 3;'), 4, '"goal" directive is not',
        'goal in a streak');
refused(streak('every day;', 'day_starts 01:00;', 'day_starts 02:00;'), 5,
        'is duplicate', 'two day_starts');
refused(streak('every day;') . streak('every week;'), 5,
        'duplicate streak "daily".*program.conf:3', 'two of one name');


# ---- files ----

{
    my ($ok, $output) = Loyalty::Test->check(
        program => $head . "challenge coffee {\n    on purchase;\n"
                   . "    include %%TESTDIR%%/coffee.conf;\n}\n",
        files => { 'coffee.conf' => "goal 5;\naward gems 1;\n" });

    ok(!$ok, 'an included file: refused');
    like($output, qr/unknown wallet "gems".* in \S*coffee\.conf:2\b/,
         'an included file: with its name and line');
}

done_testing();
