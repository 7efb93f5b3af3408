#!/usr/bin/perl
# The directive timestamp_authority: what nginx -t says about it.

use strict;
use warnings;

use lib 't/lib';
use Loyalty::CA;
use Loyalty::Test;
use Test::More;

my $ca = Loyalty::CA->new;
my $pem = $ca->dir . '/ca.crt';

sub check {
    my ($line, $http) = @_;
    return Loyalty::Test->check(http => $http // '',
                                program => "wallet points;\n$line\n");
}

for my $line (
    'timestamp_authority http://127.0.0.1:1/tsa;',
    "timestamp_authority http://127.0.0.1 trusted_certificate=$pem;",
    "timestamp_authority https://127.0.0.1/a tls_ca=$pem timeout=3s "
    . "trusted_certificate=$pem;")
{
    my ($ok, $output) = check($line);
    ok($ok, $line) or diag($output);
    unlike($output, qr/\[(?:warn|error)\]/, 'without a word');
}

my ($ok) = check('timestamp_authority http://tsa.example;',
                 'resolver 127.0.0.1;');
ok($ok, 'a name, with a resolver');

my $url = 'http://127.0.0.1:1';

for (['timestamp_authority;', qr/invalid number of arguments/],
     ["timestamp_authority $url; timestamp_authority $url;",
      qr/"timestamp_authority" directive is duplicate/],
     ['timestamp_authority 127.0.0.1;', qr/invalid URL "127\.0\.0\.1": /],
     ["timestamp_authority $url/?a;", qr/invalid URL /],
     ["timestamp_authority $url timeout=0;",
      qr/invalid parameter "timeout=0": a time from 1ms to 1m is expected/],
     ["timestamp_authority $url timeout=2m;", qr/a time from 1ms to 1m/],
     ["timestamp_authority $url timeout=1s timeout=1s;",
      qr/parameter "timeout=1s" is duplicate/],
     ["timestamp_authority $url trusted_certificate=;",
      qr/invalid parameter "trusted_certificate=": /],
     ["timestamp_authority $url trusted_certificate=$pem "
      . "trusted_certificate=$pem;", qr/is duplicate/],
     ["timestamp_authority $url verify=off;",
      qr/invalid parameter "verify=off": "trusted_certificate=FILE", "tls_ca=FILE" or "timeout=TIME" is expected/],
     ["timestamp_authority $url trusted_certificate=absent.pem;",
      qr/"\S+absent\.pem" could not be read: a file of PEM certificates is expected/],
     ["timestamp_authority $url trusted_certificate=%%TESTDIR%%/nginx.conf;",
      qr/nginx\.conf" could not be read/],
     ['timestamp_authority http://tsa.example;',
      qr/"http:\/\/tsa\.example" has a host name, which needs a "resolver" in http \{\}/])
{
    my ($line, $pattern) = @$_;
    my ($ok, $output) = check($line);

    ok(!$ok, "$line is refused");
    like($output, qr/\[emerg\].*$pattern.* in \S+program\.conf:2$/m,
         'with its place');
}

done_testing();
