#!/usr/bin/perl

# A worker that is asked to leave finishes its batches first, also one of
# which nothing is under way in Redis at that moment.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = Loyalty::Test->new(
    program => 'wallet points;',
    http    => 'client_max_body_size 16m; client_body_buffer_size 16m;',
);
my $refused = 'nginx_loyalty_requests_total'
              . '{program="shop",api="event",status="4xx",code="invalid_field"}';

my $n = 1000;
my $body = ('{"data":{' . join(',', map { "\"k$_\":$_" } 1 .. 1300)
            . "}}\n") x $n;
my $sock = $t->connect;

print {$sock} "POST /loyalty-in/events HTTP/1.1\r\nHost: localhost\r\n"
              . "Content-Type: application/x-ndjson\r\nConnection: close\r\n"
              . 'Content-Length: ' . length($body) . "\r\n\r\n" . $body;

my $done = 0;
my ($worker) = $t->workers;

$t->wait_for(sub { ($done = $t->metrics->{$refused} // 0) > 0 }, 10);
kill 'QUIT', $worker;
cmp_ok($done, '<', $n, 'the batch is not at its end');

my $response = '';
my $end = time + 20 * $t->slow;

while (time < $end && sysread $sock, $response, 65536, length $response) { }

like($response, qr{^HTTP/1\.1 200 }, 'it is answered');
is(() = $response =~ /"code":"invalid_field"/g, $n, 'in full');
ok($t->wait_for(sub { !kill 0, $worker }, 10 * $t->slow), 'and then it leaves');

done_testing();
