#!/usr/bin/perl
# The directive beacon: what nginx -t says about it.

use strict;
use warnings;

use lib 't/lib';
use Loyalty::Test;
use Test::More;

my $two = 'from=http://127.0.0.1:1 from=http://127.0.0.1:2/x';

sub conf {
    my ($beacon, $http) = @_;

    return (http => $http // '', program => "wallet points;\n$beacon\n");
}


sub check { return Loyalty::Test->check(conf(@_)) }

sub refused {
    my ($beacon, $pattern, $name) = @_;

    return Loyalty::Test->refuses("$name is refused", 2, $pattern,
                                  conf($beacon));
}

sub taken {
    my ($beacon, $name, $http) = @_;
    my ($ok, $output) = check($beacon, $http);
    ok($ok, $name) or diag($output);
    unlike($output, qr/\[(?:warn|error)\]/, 'without a word');
    return;
}


taken("beacon drand_quicknet $two;", 'two relays');
taken("beacon drand_quicknet $two timeout=300ms follow=on;", 'all parameters');
taken("beacon drand_quicknet timeout=1m $two follow=off;", 'in any order');
taken('beacon drand_quicknet from=http://[::1]:8080/a%20b/ '
      . 'from=HTTP://127.0.0.1;', 'addresses and paths');
taken('beacon drand_quicknet from=https://127.0.0.1 from=https://127.0.0.1/b;',
      'https');
taken('beacon drand_quicknet from=http://api.example '
      . 'from=https://api.example/b;', 'names', 'resolver 127.0.0.1;');

refused('beacon;', 'invalid number of arguments in "beacon" directive',
        'nothing');
refused("beacon nist $two;",
        'unknown beacon "nist": "drand_quicknet" is expected',
        'an unknown beacon');
refused("beacon drand_quicknet $two; beacon drand_quicknet $two;",
        '"beacon" directive is duplicate', 'a second one');
refused("beacon drand_quicknet $two timeout=0;",
        'invalid parameter "timeout=0": a time from 1ms to 1m is expected',
        'no timeout');
refused("beacon drand_quicknet $two timeout=61s;",
        'a time from 1ms to 1m is expected', 'a long timeout');
refused("beacon drand_quicknet $two timeout=1s timeout=2s;",
        'parameter "timeout=2s" is duplicate', 'a second timeout');
refused("beacon drand_quicknet $two follow=on follow=on;",
        'parameter "follow=on" is duplicate', 'a second follow');
refused("beacon drand_quicknet $two follow=yes;",
        'invalid parameter "follow=yes"', 'another value');
refused("beacon drand_quicknet $two tls_ca=;", 'invalid parameter "tls_ca="',
        'an empty file name');
refused("beacon drand_quicknet http://127.0.0.1:1;",
        'invalid parameter "http://127.0.0.1:1": "from=URL"', 'a bare URL');
refused('beacon drand_quicknet from=http://127.0.0.1 from=http://127.0.0.1/;',
        '"from=http://127.0.0.1/" is duplicate: another relay is expected',
        'a relay twice');
refused('beacon drand_quicknet '
        . join(' ', map { "from=http://127.0.0.1:$_" } 1 .. 9) . ';',
        'too many "from=": at most 8 are expected', 'too many');

for my $url ('', 'http://', 'http:///x', 'ftp://127.0.0.1', '127.0.0.1:80',
             'http://127.0.0.1:0', 'http://127.0.0.1:x', 'http://a:1:2',
             'http://user@127.0.0.1', 'http://127.0.0.1/?a=b',
             'http://127.0.0.1/#a', 'http://unix:/tmp/sock', 'http://[::1',
             'http://127.0.0.1/"', 'http://127.0.0.1/a\\\\b',
             'http://' . 'a' x 250)
{
    refused("beacon drand_quicknet $two 'from=$url';",
            'invalid URL ".*".*: http://HOST\[:PORT\]\[/PATH\] or '
            . 'https://HOST\[:PORT\]\[/PATH\] is expected', "URL $url");
}

my ($ok, $output) = check('beacon drand_quicknet from=https://127.0.0.1/ '
                          . 'from=http://127.0.0.1 tls_ca=absent.pem;');
ok(!$ok, 'a file that is not there');
like($output, qr/absent\.pem/, 'is named');
like($output, qr/TLS to https:\/\/127\.0\.0\.1\/ cannot be set up in \S+program.conf:2/,
     'with its place');

($ok, $output) = check("beacon drand_quicknet\n"
                       . "$two\nfrom=https://api.example:1/x;");
ok(!$ok, 'a name without a resolver');
like($output, qr/"https:\/\/api\.example:1\/x" has a host name, which needs a "resolver" in http \{\} in \S+program\.conf:\d/,
     'with its place');


# too few relays to agree

for my $few ('', 'from=http://127.0.0.1:1') {
    ($ok, $output) = check("beacon drand_quicknet $few;");
    ok($ok, 'too few relays are taken');
    like($output, qr/\[warn\].*two "from=" are expected, as this module was built without blst and uses only what two relays agree on: the beacon's rounds come through the admin API alone in \S+program.conf:2/,
         'with a warning');
}

my $t = Loyalty::Test->new(program => <<'END');
wallet points;
beacon drand_quicknet from=http://127.0.0.1:%%PORT%%/relay follow=on;
END
sleep 1;
is($t->metrics->{'nginx_loyalty_beacon_fetches_total{program="shop"}'}, 0,
   'and nothing is fetched');
is($t->metrics->{'nginx_loyalty_beacon_round{program="shop"}'}, 0,
   'the metrics say so');

done_testing();
