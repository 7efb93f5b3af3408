#!/usr/bin/perl
# redis, durability, unsafe_store: every mistake is told by nginx -t, with
# its line and with what is expected.

use strict;
use warnings;

use lib 't/lib';
use File::Temp qw(tempdir);
use Loyalty::Test;
use Test::More;

my $dir = tempdir(CLEANUP => 1);
chmod 0755, $dir;

my %files = (good => "secret\n", empty => '', blank => "\n",
             two => "one\ntwo\n", long => 'x' x 5000 . "\n",
             bad => "no certificate\n");

for my $name (keys %files) {
    open my $fh, '>', "$dir/$name" or die $!;
    print {$fh} $files{$name};
    close $fh;
}

sub check {
    my ($line) = @_;
    $line =~ s/FILE_/$dir\//g;
    return Loyalty::Test->check(http => <<"END");
    resolver 127.0.0.1;
    loyalty_program shop {
        wallet points;
        $line
    }
END
}

sub good {
    my ($line) = @_;
    my ($ok, $output) = check($line);
    ok($ok, "good: $line") or diag $output;
    return;
}

sub bad {
    my ($line, $expected) = @_;
    my ($ok, $output) = check($line);
    ok(!$ok, "bad: $line");
    like($output, qr/\[emerg\] .*\Q$expected\E.* in \S+nginx\.conf:\d+$/m,
         "told: $expected");
    return;
}


good('redis 127.0.0.1:6379;');
good('redis [::1]:6379;');
good('redis redis.example:6379;');
good('redis localhost:6379;');
good('redis unix:/run/redis.sock;');
good('redis 127.0.0.1:6379 connections=16 timeout=100ms connect_timeout=2s '
     . 'keepalive=1m max_inflight=10 max_queue=1m max_reply=64k db=15 split;');
good('redis 127.0.0.1:6379 password_file=FILE_good;');
good('redis 127.0.0.1:6379 user=shop password_file=FILE_good;');
good('redis 127.0.0.1:6379 tls=on;');
good('redis 127.0.0.1:6379 tls=off;');
good('redis redis.example:6379 tls=on tls_name=other.example;');
good('redis unix:/run/redis.sock tls=on tls_verify=off;');
good("redis 127.0.0.1:6379; durability $_;")
    for 'always', 'everysec', 'none', 'replicas=2', 'replicas=1 timeout=99ms';
good("durability always; unsafe_store on; redis 127.0.0.1:6379;");

my $address = 'HOST:PORT, IP:PORT, [IPv6]:PORT or unix:/PATH is expected';

bad('', 'loyalty_program "shop" has no "redis", such as "redis '
        . '127.0.0.1:6379"');
bad('durability always;', 'has no "redis"');
bad('redis;', 'invalid number of arguments in "redis" directive');
bad('redis 127.0.0.1;', $address);
bad('redis 6379;', $address);
bad('redis :6379;', $address);
bad('redis 127.0.0.1:70000;', $address);
bad('redis 127.0.0.1:port;', $address);
bad('redis [::1;', $address);
bad('redis unix:;', $address);
bad('redis redis.example:6379/path;', $address);
bad('redis redis://127.0.0.1:6379;', $address);
bad('redis 127.0.0.1:1; redis 127.0.0.1:2;', '"redis" directive is duplicate');

bad('redis cluster 127.0.0.1:1;',
    '"redis cluster" is not supported in this version');
bad('redis sentinel mymaster 127.0.0.1:1;',
    '"redis sentinel" is not supported in this version');
bad('redis 127.0.0.1:1 split split;', 'parameter "split" is duplicate');
bad('redis 127.0.0.1:1 split=on;', 'invalid parameter "split=on": one of ');

bad('redis 127.0.0.1:1 pool=3;', 'invalid parameter "pool=3": one of user=');
bad('redis 127.0.0.1:1 db=1 db=2;', 'parameter "db=2" is duplicate');
bad("redis 127.0.0.1:1 $_;", "invalid parameter \"$_\": a number from")
    for qw(db= db=x db=-1 db=10000 connections=0 connections=17
           max_inflight=0 max_inflight=1.5);
bad("redis 127.0.0.1:1 $_;", "invalid parameter \"$_\": a time from 1ms to 1h")
    for qw(timeout=0 timeout=2h timeout=soon connect_timeout=-1s timeout=
           keepalive=0);
bad("redis 127.0.0.1:1 $_;", "invalid parameter \"$_\": a size from 4k")
    for qw(max_queue=1k max_queue=2g max_reply=100 max_reply=big);
bad("redis 127.0.0.1:1 $_;", "invalid parameter \"$_\": \"on\" or \"off\"")
    for qw(tls=yes tls=);

bad('redis 127.0.0.1:1 user=shop;', '"user=shop" needs "password_file="');
bad('redis 127.0.0.1:1 user= password_file=FILE_good;', 'a name is expected');
bad('redis 127.0.0.1:1 password_file=FILE_absent;', 'No such file');
bad("redis 127.0.0.1:1 password_file=FILE_$_;",
    'one line with the password is expected')
    for qw(empty blank two long);

bad("redis 127.0.0.1:1 $_;", 'need "tls=on"')
    for 'tls_verify=off', 'tls_ca=FILE_bad', 'tls_name=a',
        'tls=off tls_name=a', 'tls_cert=FILE_bad tls_key=FILE_bad';
bad("redis 127.0.0.1:1 tls=on $_;",
    '"tls_cert=" and "tls_key=" need each other')
    for 'tls_cert=FILE_bad', 'tls_key=FILE_bad';
bad("redis 127.0.0.1:1 tls=on $_;", 'TLS to redis cannot be set up')
    for 'tls_ca=FILE_absent', 'tls_ca=FILE_bad',
        'tls_cert=FILE_bad tls_key=FILE_bad';
bad('redis unix:/a tls=on;',
    'TLS to a unix socket needs "tls_name=" or "tls_verify=off"');

my $durability = '"always", "everysec", "none" or "replicas=N '
                 . '[timeout=TIME]" is expected';

bad("redis 127.0.0.1:1; durability $_;", $durability)
    for 'sometimes', 'always timeout=1s', 'none none';
bad("redis 127.0.0.1:1; durability $_;", 'a number from 1 to 100 is expected')
    for 'replicas=0', 'replicas=', 'replicas=101', 'replicas=x';
bad("redis 127.0.0.1:1; durability replicas=1 $_;",
    '"timeout=" with a time from 1ms to 1h is expected')
    for 'timeout=0', 'timeout=', 'time=1s', 'timeout=x';
bad('redis 127.0.0.1:1 timeout=50ms; durability replicas=1 timeout=50ms;',
    'the timeout of "durability replicas" (50 ms) has to be shorter than '
    . 'that of "redis" (50 ms)');
bad('redis 127.0.0.1:1; durability none; durability none;',
    '"durability" directive is duplicate');
bad('redis 127.0.0.1:1; unsafe_store maybe;', '"on" or "off" is expected');
bad('redis 127.0.0.1:1; unsafe_store on; unsafe_store on;',
    '"unsafe_store" directive is duplicate');

done_testing();
