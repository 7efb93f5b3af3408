#!/usr/bin/perl

# Workers that are terminated between the last byte of an answer and the log
# phase, for which nginx waits for the client to close the connection, or for
# a mirror: what the client has seen counts, once, and nothing else does.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

package Never;

use parent -norequire, 'Loyalty::FakeHTTP';

use Loyalty::FakeHTTP;

sub respond { return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }

package main;

use Loyalty::Test;
use Test::More;
use Time::HiRes qw(sleep);

my $t = Loyalty::Test->new(start => 0, program => <<'END', server => <<'END2');
wallet points;
earn purchase points 1;
END
root %%TESTDIR%%/html;
loyalty_observe shop purchase member=$arg_m id=$arg_o;

location /buy { return 200 "bought\n"; }
location /slow { limit_rate 1k; }
location /mirrored { mirror /never; }
location = /never { internal; proxy_pass http://127.0.0.1:%%PORT_never%%; }
location /marker { return 200 "seen\n"; }
END2

my $never = Never->new($t, 'never');

$never->mode('stall');
mkdir $t->dir . '/html';
$t->write_file('html/slow', 'x' x 100_000);
$t->write_file('html/mirrored', "bought\n");
$t->start;

my @kinds = (
    [ 'a body that is read', 'POST', '/buy', 1, 'hello' ],
    [ 'a body that is not', 'POST', '/buy', 1, 'x' x 100_000 ],
    [ 'a mirror', 'GET', '/mirrored', 1, '' ],
    [ 'an answer that is cut', 'GET', '/slow', 0, '' ],
);

for my $signal (qw(TERM QUIT)) {
    my (@socks, @worker);

    for my $i (0 .. $#kinds) {
        my ($what, $method, $uri, $counts, $body) = @{$kinds[$i]};

        next if $signal eq 'QUIT' && $uri ne '/buy';

        my $sock = $t->connect;
        my $in = '';

        print {$sock} "$method $uri?m=$signal$i&o=1 HTTP/1.1\r\nHost: x\r\n"
            . "Connection: close\r\nContent-Length: " . length($body)
            . "\r\n\r\n$body";
        $sock->flush;
        $t->wait_for(sub { sysread $sock, $in, 4096, length $in;
                           return $in =~ /\r\n\r\n(?:bought\n|x)/ });
        like($in, qr/^HTTP\/1.1 200 /, "$what: is answered");
        push @socks, $sock;
    }

    @worker = $t->workers;
    kill $signal, @worker;

    # one that quits waits for its clients
    sleep 0.3;
    @socks = () if $signal eq 'QUIT';

    ok($t->wait_for(sub { my @now = $t->workers;
                          return @now == 1 && $now[0] != $worker[0] }),
       "a worker gets $signal, another comes");

    $t->get("/marker?m=marker&o=$signal");
    ok($t->wait_for(sub {
        return $t->me('marker')->json->{wallets}{points}{balance}
               == ($signal eq 'TERM' ? 1 : 2)
            && $t->metrics->{'nginx_loyalty_ring_used_slots{program="shop"}'}
               == 0 }), 'what was in the ring is sent');

    for my $i (0 .. $#kinds) {
        my ($what, $method, $uri, $counts) = @{$kinds[$i]};

        next if $signal eq 'QUIT' && $uri ne '/buy';
        is($t->me("$signal$i")->json->{wallets}{points}{balance}, $counts,
           "$signal: $what: counts $counts times");
    }
}

is($t->metrics->{'nginx_loyalty_observed_duplicates_total{program="shop"}'}, 0,
   'nothing was observed twice');

done_testing();
