#!/usr/bin/perl

# What nginx -t says of match lines: each mistake has its file and line, and
# what was expected.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;


# a match line in a block, at line 4 of program.conf
sub block {
    my ($line, $more) = @_;

    return "wallet points;\nchallenge c {\n    on purchase;\n    $line\n"
           . "    goal 1;\n}\n" . ($more // '');
}


sub refused {
    my ($line, $pattern, $more) = @_;

    return Loyalty::Test->refuses("refused: $line", 4, $pattern,
                                  program => block($line, $more));
}


sub accepted {
    my ($line, $more) = @_;

    return Loyalty::Test->accepts("accepted: $line",
                                  program => block($line, $more));
}


# ---- fields ----

my $fields = 'amount, quantity, channel, partner, a key of "data"';

refused('match item.price > 5;', 'unknown field "item.price": item.sku');
refused('match item. = 5;', 'unknown field "item."');
refused('match "" = 5;', "invalid field \"\": $fields");
refused('match ' . 'k' x 129 . ' = 5;', "invalid field \"k+\": $fields");
refused('match $ = 5;', 'invalid variable name "\$": letters');
refused('match "$a b" = 5;', 'invalid variable name "\$a b"');
refused('match $no_such_variable = 5;',
        'unknown variable "\$no_such_variable"');
refused('match $1 = 5;', 'unknown variable "\$1"');

accepted("match $_ = 5;") for qw(amount quantity channel partner offer
    item.sku item.category item.quantity item.amount
    $arg_offer $http_x_offer $remote_addr $host), '"two words"';


# ---- operators and their values ----

refused('match channel == web;', 'invalid operator "==": one of = != < <= > '
        . '>= ~ ~\* in is expected');
refused('match channel is web;', 'invalid operator "is"');
refused('match channel web;', '"match"');
refused('match channel;', '"match"');
refused('match channel = web shop;',
        'invalid parameter "shop": one value is expected behind "="');
refused('match channel in;', '"match"');

for my $op (qw(< <= > >=)) {
    refused("match offer $op many;",
            "invalid value \"many\": \"$op\" compares numbers, a decimal "
            . "number is expected");
    accepted("match offer $op $_;") for qw(7 -7 0.125 12345678901234567890);
}

refused("match amount $_ ten;", 'invalid value "ten"')
    for qw(= != < <= > >= in);
refused('match amount = 1.234;',
        'invalid value "1.234" of "amount": an amount with at most 2 '
        . 'decimals is expected');
refused('match item.amount in 1.00 1.005;', 'invalid value "1.005" of '
        . '"item.amount"');
refused('match amount = -1.00;', 'invalid value "-1.00" of "amount"');
refused('match quantity > 1.5;', 'invalid value "1.5" of "quantity": a whole '
        . 'number is expected');
refused('match item.quantity != two;', 'invalid value "two" of '
        . '"item.quantity"');
refused('match amount >= 12.5;', 'a whole number is expected',
        "money JPY 0;\n");

# money may be written behind the rule that uses it

accepted('match amount >= 1.234;', "money KWD 3;\n");
accepted('match amount in 1 2.5 3.75;');


# ---- regular expressions ----

refused('match channel ~ "(web";', 'invalid regular expression "\(web": '
        . 'missing closing parenthesis at byte 4');
refused('match channel ~* "a{2,1}";', 'invalid regular expression '
        . '"a\{2,1\}": numbers out of order in \{\} quantifier at byte');
refused('match channel ~ "[z-a]";', 'range out of order');
refused("match channel ~ \"\xff\";", 'invalid regular expression.*UTF-8');
refused('match channel ~ "' . 'a' x 1025 . '";', 'too long a regular '
        . 'expression: at most 1024 bytes are expected');
refused('match channel ~ "a\\Cb";', 'invalid regular expression');
refused('match channel ~ a b;', 'invalid parameter "b"');

accepted('match channel ~ "^(web|app)$";');
accepted('match item.category ~* "^caf\xc3\xa9/[\\\\d]+";');
accepted('match amount ~ "\\.99$";');


# ---- lines written in one directive ----

{
    my ($ok, $output) = Loyalty::Test->check(program => <<'END');
wallet points;
earn purchase points 1 match channel = match match partner in a b
     match match = match;
challenge c {
    on purchase;
    opens_on offer match offer = 7 match "a b" != "c d";
    window 7d;
    goal 1;
}
END
    ok($ok, 'match inside earn and opens_on, the word match as a value')
        or diag($output);

    for (
        [ 'match channel', 'invalid number of arguments in "match"' ],
        [ 'match channel = match', undef ],
        [ 'match channel = web match', 'invalid number of arguments' ],
        [ 'match channel = web partner = a', 'one value is expected' ],
        [ 'match channel in web app match partner', 'number of arguments' ],
    ) {
        my ($line, $pattern) = @$_;

        ($ok, $output) = Loyalty::Test->check(
            program => "wallet points;\nearn purchase points 1 $line;\n");

        if (defined $pattern) {
            ok(!$ok, "refused: earn ... $line");
            like($output, qr/\[emerg\].*$pattern.* in \S*program\.conf:2$/m);

        } else {
            ok($ok, "accepted: earn ... $line") or diag($output);
        }
    }
}


# ---- variables that others define, before or after the program ----

{
    my ($ok, $output) = Loyalty::Test->check(
        program => block('match $segment = vip; match $later = 1;'),
        http => 'map $arg_s $segment { default none; }',
        server => 'set $later 1;');

    ok($ok, 'variables of map and set') or diag($output);
}

done_testing();
