#!/usr/bin/perl

# What nginx -t says of a program as a whole: each mistake has its file and
# line, and what was expected.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;


sub refused {
    my ($text, $line, $pattern) = @_;

    return Loyalty::Test->refuses('refused: ' . $text =~ s/\s+/ /gr, $line,
                                  $pattern, program => $text);
}


sub accepted {
    my ($text, $name) = @_;

    return Loyalty::Test->accepts("accepted: $name", program => $text);
}


# ---- simple directives: program, line, message ----

my $number = 'a whole number from';

my @broken = (
    [ 'timezone Mars/Phobos;', 1,
      'invalid timezone "Mars/Phobos".*IANA name' ],
    [ "wallet points;\ntimezone ../passwd;", 2, 'invalid timezone' ],
    [ "timezone UTC;\ntimezone UTC;", 2, '"timezone" directive is duplicate' ],
    [ 'timezone;', 1, 'invalid number of arguments in "timezone"' ],

    [ 'money EUR;', 1, 'invalid number of arguments in "money"' ],
    [ 'money EUR 7;', 1, "number of decimals \"7\": $number 0 to 6" ],
    [ 'money EUR two;', 1, 'number of decimals "two"' ],
    [ 'money E1 2;', 1, 'invalid currency "E1": a code of letters' ],
    [ "money EUR 2;\nmoney EUR 2;", 2, '"money" directive is duplicate' ],

    [ 'max_event_age week;', 1, 'invalid max_event_age "week": a time from' ],
    [ 'max_event_age 0;', 1, 'invalid max_event_age "0"' ],
    [ 'max_event_age 101y;', 1, 'invalid max_event_age "101y"' ],
    [ 'max_event_age 99999999999999999999y;', 1, 'invalid max_event_age' ],
    [ 'max_event_age -7d;', 1, 'invalid max_event_age "-7d"' ],
    [ "max_event_age 7d;\nmax_event_age 7d;", 2, 'is duplicate' ],

    [ 'idempotency off;', 1, 'invalid value "off", "idempotency" expects' ],
    [ "idempotency optional;\nidempotency required;", 2, 'is duplicate' ],
    [ 'remember x;', 1, 'invalid remember "x"' ],
    [ "max_event_age 30d;\n\nremember 30d;\nwallet points;", 3,
      'at least max_event_age and a day, 2678400s, is expected' ],
    [ "remember 90d;\nmax_event_age 90d;", 1, 'invalid "remember"' ],
    [ "remember 90d;\nremember 90d;", 2, 'is duplicate' ],

    [ 'feed_max 0;', 1, "invalid feed_max \"0\": $number 1" ],
    [ 'feed_max 10k;', 1, 'invalid feed_max "10k"' ],
    [ "feed_max 10;\nfeed_max 10;", 2, 'is duplicate' ],

    [ 'wallet;', 1, 'invalid number of arguments in "wallet"' ],
    [ 'wallet "two words";', 1, 'invalid wallet name "two words"' ],
    [ 'wallet ' . 'w' x 65 . ';', 1, 'invalid wallet name' ],
    [ 'wallet -points;', 1, 'the first a letter or digit' ],
    [ 'wallet "";', 1, 'invalid wallet name ""' ],
    [ 'wallet points expires=365d;', 1,
      '"expires=365d" of a wallet is not supported in this version' ],
    [ 'wallet points negative=on pending=14d;', 1,
      '"pending=14d" of a wallet is not supported in this version' ],
    [ 'wallet points negative=maybe;', 1,
      'invalid parameter "negative=maybe".*negative=on or negative=off' ],
    [ "wallet points;\n\nwallet points;", 3,
      'duplicate wallet "points", the first is in \S*program\.conf:1' ],
    ( map { [ "wallet $_;", 1, "invalid wallet name \"$_\"" ] }
      qw(tickets plays badge reward) ),

    [ "wallet points;\ntier gold;", 2, 'invalid number of arguments' ],
    [ "wallet points;\ntier gold -1;", 2, 'invalid threshold "-1"' ],
    [ "wallet points;\ntier gold 9007199254740992;", 2, 'invalid threshold' ],
    [ "wallet points;\ntier gold 0 multiplier=0;", 2,
      'invalid "multiplier=0": a multiplier over 0 and at most 100' ],
    ( map { [ "wallet points;\ntier gold 0 multiplier=$_;", 2,
              'at most 4 decimals' ] }
      qw(1.00001 100.0001 -1 x 1e2) ),
    [ "wallet points;\ntier gold 0 factor=2;", 2,
      'invalid parameter "factor=2".*multiplier=NUMBER is expected' ],
    [ "wallet points;\ntier a 0;\ntier a 5;", 3,
      'duplicate tier "a", the first is in \S*program\.conf:2' ],
    [ "wallet points;\ntier a 0;\ntier c 9;\ntier b 9;", 4,
      'tiers "c" and "b" have the same threshold 9' ],
    [ "wallet points;\ntier b 9;\ntier a 5;", 3,
      'the lowest tier "a" begins at 5: a tier with threshold 0 is expected' ],
    [ "tier a 0;", 1, 'tier "a" without a wallet' ],

    [ "wallet points;\nlottery x;", 2, 'unknown directive "lottery"' ],
    [ "wallet points;\non purchase;", 2,
      '"on" directive is not allowed here' ],
    [ "wallet points;\nserver_name x;", 2,
      '"server_name" directive is not allowed here' ],
    [ "wallet points { }", 1, 'directive "wallet" is not terminated by ";"' ],
);

refused(@$_) for @broken;


# ---- names that would be one to Redis ----

refused("wallet points;\nwallet w14209;\nwallet w76995;", 3,
        '"wallet w76995" and "wallet w14209" in \S*program\.conf:2 have the '
        . 'same hash: another name for one of them is expected');


# ---- awards of what does not exist, found when the program is closed ----

refused("wallet points;\nchallenge a {\n on x; goal 1;\n award pints 5;\n}", 4,
        'unknown wallet "pints"');
refused("challenge a {\n on x; goal 1;\n award points 5;\n}\nwallet point;", 3,
        'unknown wallet "points"');
refused("wallet points;\nchallenge a {\n on x; goal 1;\n award $_ 5;\n}", 4,
        "unknown name \"5\" in an award of $_")
    for qw(badge reward);


# ---- the block itself ----

{
    my ($ok, $output) = Loyalty::Test->check(conf => <<'END');
load_module %%MODULE%%;
error_log stderr;
pid %%TESTDIR%%/nginx.pid;
events { }
http {
    loyalty_program "my shop" {
    }
}
END
    ok(!$ok, 'a name with a space');
    like($output, qr/invalid program name "my shop".* in \S*nginx\.conf:6$/m);

    ($ok, $output) = Loyalty::Test->check(conf => <<'END');
load_module %%MODULE%%;
error_log stderr;
pid %%TESTDIR%%/nginx.pid;
events { }
http {
    loyalty_program shop {
        redis unix:%%REDIS%%;
    }
    loyalty_program shop {
        redis unix:%%REDIS%%;
    }
}
END
    ok(!$ok, 'two programs of one name');
    like($output, qr/duplicate loyalty_program "shop", the first is in /);
    like($output, qr/ \S*nginx\.conf:6 in \S*nginx\.conf:9$/m);

    ($ok, $output) = Loyalty::Test->check(conf => <<'END');
load_module %%MODULE%%;
error_log stderr;
pid %%TESTDIR%%/nginx.pid;
events { }
http {
    server {
        listen 127.0.0.1:%%PORT%%;
        loyalty_program shop { }
    }
}
END
    ok(!$ok, 'a program in a server');
    like($output,
         qr/"loyalty_program" directive is not allowed here in \S*:8$/m);

    ($ok, $output) = Loyalty::Test->check(conf => <<'END');
load_module %%MODULE%%;
error_log stderr;
pid %%TESTDIR%%/nginx.pid;
events { }
http {
    loyalty_program shop {
        wallet points;
END
    ok(!$ok, 'an open block');
    like($output, qr/unexpected end of file, expecting "\}"/);
}


# ---- what is good ----

accepted('wallet points;', 'a wallet alone');
accepted('', 'an empty program');
accepted('streak s { on visit; every day; }', 'a streak without wallets');
accepted("max_event_age 40y;\nwallet points;", 'remember follows 40 years');
accepted("max_event_age 1d12h;\nremember 2M;\nfeed_max 1;\nmoney JPY 0;\n"
         . "timezone America/Argentina/Buenos_Aires;", 'all simple ones');
accepted('wallet points negative=on; wallet miles negative=off;',
         'options of a wallet');
accepted("tier gold 5000 multiplier=1.5;\ntier bronze 0;\n"
         . "tier silver 1000 multiplier=0.0001;\nwallet points;",
         'tiers in any order, before the wallet');
accepted("earn purchase points 1;\nchallenge a { on x; goal 1;\n"
         . "award points 1; }\nwallet points;", 'names before they are known');
accepted("challenge a { on x; goal 1; }\nstreak a { on x; every day; }",
         'a challenge and a streak of one name');


# ---- 200 games, and a program in pieces ----

{
    my $games = join '', map {
        "challenge game_$_ {\n    on purchase;\n    match partner = p$_;\n"
        . "    goal $_;\n    every month;\n    award points $_;\n}\n"
    } 1 .. 200;

    accepted("wallet points;\n$games", '200 games');

    my ($ok, $output) = Loyalty::Test->check(
        program => "include %%TESTDIR%%/g*.conf;\n",
        files => {
            'g1.conf' => "include %%TESTDIR%%/w.conf;\n",
            'g2.conf' => "challenge c {\n  include %%TESTDIR%%/in.conf;\n}\n",
            'w.conf' => "wallet points;\n",
            'in.conf' => "on x;\ngoal 3;\naward points 5;\n",
        });
    ok($ok, 'include at every level') or diag($output);

    ($ok, $output) = Loyalty::Test->check(
        program => "wallet points;\ninclude %%TESTDIR%%/g.conf;\n",
        files => {
            'g.conf' => "\nchallenge c {\n  include %%TESTDIR%%/in.conf;\n}\n",
            'in.conf' => "on x;\ngoal 3;\n\naward pints 5;\n",
        });
    ok(!$ok, 'a mistake two files down');
    like($output, qr/unknown wallet "pints".* in \S*in\.conf:4$/m,
         'has its file and line');
}

done_testing();
