#!/usr/bin/perl

# loyalty_observe and clients that go before the shop has answered: that is
# status 499, unless nginx waits for the shop all the same.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

package Late;

use parent -norequire, 'Loyalty::FakeHTTP';

use Loyalty::FakeHTTP;

sub respond { return "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
                     . "X-Order: 1\r\nConnection: close\r\n\r\nok\n" }

package main;

use Loyalty::H2;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(sleep);

my $t = Loyalty::Test->new(start => 0, program => <<'END', server => <<'END2');
wallet points;
earn purchase points 1;
earn gone points 100;
END
listen 127.0.0.1:%%PORT_h2%% http2;

location /waiting/ {
    proxy_pass http://127.0.0.1:%%PORT_late%%/;
    proxy_ignore_client_abort on;
    loyalty_observe shop purchase member=$arg_m id=o-$upstream_http_x_order;
}

location / {
    proxy_pass http://127.0.0.1:%%PORT_late%%/;
    loyalty_observe shop purchase member=$arg_m id=o-$upstream_http_x_order;
    loyalty_observe shop gone member=$arg_m id=gone-$request_id if_status=499;
}
END2

my $late = Late->new($t, 'late');

$late->mode('slow 0.6');
$t->start;


sub points { return $t->me($_[0])->json->{wallets}{points}{balance} }


# asks, and does not wait for the answer
sub ask {
    my ($uri) = @_;
    my $sock = $t->connect;

    syswrite $sock, "GET $uri HTTP/1.1\r\nHost: shop\r\n\r\n";
    sleep 0.2;
    close $sock;
    return;
}


ask('/buy?m=ada');
ask('/waiting/buy?m=bob');

{
    my $h2 = Loyalty::H2->new($t->connect('h2'));
    $h2->request('GET', '/buy?m=cy');
    sleep 0.2;
}

ok($t->wait_for(sub { points('ada') == 100 }), 'who went is a 499');
ok($t->wait_for(sub { points('cy') == 100 }), 'over HTTP/2, too');
ok($t->wait_for(sub { points('bob') == 1 }),
   'with proxy_ignore_client_abort the purchase counts');

is($t->get('/buy?m=dan')->status, 200, 'who stays');
ok($t->wait_for(sub { points('dan') == 1 }), 'has bought');
is_deeply([ map { points($_) } qw(ada bob cy) ], [100, 1, 100],
          'and nothing else counted');

done_testing();
