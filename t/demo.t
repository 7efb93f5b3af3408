#!/usr/bin/perl

# "make demo" and its samples, as one command starts them: what is shown is
# what was answered, and everything ends with it.

use strict;
use warnings;

use Cwd qw(realpath);
use FindBin;
use IO::Socket::INET;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;

plan skip_all => 'the demo loads the module'
    if ($ENV{LOYALTY_MODULE} // '') eq 'static';

# a directory, and somebody who stops what is left of it
my $t = Loyalty::Test->new(start => 0, redis => 0);
my $script = realpath("$FindBin::Bin/../conf/demo.sh");

my %shown = (
    demo => [
        [ qr/^\{"id":"order-\d+","member":"ada","duplicate":false,/m,
          'a purchase' ],
        [ qr/^\{"id":"order-\d+","member":"ada","duplicate":true,/m,
          'once' ],
        [ qr/"reverses":"order-/, 'a refund' ],
        [ qr/^\{"play":"[0-9a-f]{32}","game":"wheel",/m, 'the wheel' ],
        [ qr/^\{"play":"[0-9a-f]{32}","game":"scratch",/m, 'a card' ],
        [ qr/^\{"sweepstakes":"raffle","entry":/m, 'tickets' ],
        [ qr/^\{"member":"ada","wallets":/m, 'the account' ],
        [ qr/^conf\/demo.sh fetch raffle [0-9a-f]{32}$/m, 'the campaign' ],
    ],
    shop => [
        [ qr/<p class="loyalty"[^>]*><b>bronze/, 'the page' ],
        [ qr/(?:^Thank you! Order (\d+), .*\n(?s:.*)){2}/m, 'a checkout' ],
        [ qr/^x-loyalty-points: 48\nx-loyalty-tier: bronze$/m,
          'the backend' ],
        [ qr/"amount":-24,"reason":"earn purchase","balance":24\}/,
          'a refund' ],
        [ qr/"actor":"demo",.*"balance":124\}/, 'an adjustment' ],
        [ qr/"reward":"free_coffee","code":"CUP-/, 'a reward' ],
        [ qr/^nginx_loyalty_observed_credited_total\{program="shop"\} 2$/m,
          'metrics' ],
    ],
    mobile => [
        [ qr/"type":"points","wallet":"points","amount":60,/, 'a purchase' ],
        [ qr/^(\{"play":"[0-9a-f]{32}",.*)\n(?s:.*)^\1$/m, 'a card, once' ],
        [ qr/"entry":0,.*"count":2,"free":false/, 'tickets' ],
        [ qr/"entry":1,.*"count":1,"free":true/, 'a free one' ],
        [ qr/"reward":"free_coffee","code":"CUP-/, 'a reward' ],
        [ qr/"detail":"expired","code":"invalid_token"/, 'an old token' ],
    ],
);


# three free ports in a row
sub ports {
    for (1 .. 1000) {
        my $port = 32100 + 3 * int rand 200;
        my @open = grep { defined } map { IO::Socket::INET->new(Listen => 1,
            LocalAddr => '127.0.0.1', LocalPort => $port + $_) } 0 .. 2;
        return $port if @open == 3;
    }

    die "no free ports\n";
}


# the page that verifies, where it was built, and else how to
sub page {
    my ($url) = @_;
    my $page = realpath("$FindBin::Bin/../build/verify.html");
    my $got = `curl -s -w '%{http_code} %{content_type}' $url/fair/verify.html`;

    if ($page && -f $page) {
        like($got, qr{<title>Verify a draw</title>.*200 text/html$}s,
             'the page');

    } else {
        like($got, qr{"make web" builds it.*404 text/plain$}s, 'no page yet');
    }

    like(`curl -s $url/fair/games`, qr/^raffle \w{32} sweepstakes open$/m,
         'finds the draws beside it');

    return;
}


# the line that is shown, as it is typed elsewhere, and one with a mistake
sub fetched {
    my ($output) = @_;
    my ($line, $cid) = $output =~ /^(conf\/demo.sh fetch raffle (\w+))$/m;

    delete local $ENV{DEMO_PORT};

    my $got = `cd $FindBin::Bin/.. && $line 2>&1`;
    like($got, qr/^manifest$/m, 'the published files are fetched');

    substr($cid, 0, 4) =~ tr/0-9a-f/1-9a-f0/;
    $got = `$script fetch raffle $cid 2>&1`;
    isnt($?, 0, 'another campaign is not there');
    like($got, qr/^there is no \S+$cid$/, 'which is said');

    return;
}


# what the documents say can be tried with the demo does what they say
sub documents {
    my ($url) = @_;
    my $root = realpath("$FindBin::Bin/..");
    my $ran = 0;

    # so that the member of the examples can pay
    system qw(curl -s -o /dev/null -H), 'Idempotency-Key: for-examples',
        "$url/loyalty-admin/members/ada/adjustments", '--json',
        '{ "wallet": "points", "amount": 500, "reason": "examples" }';

    for my $file ('README.md', 'docs/api.md') {
        open my $fh, '<', "$root/$file" or die "$file: $!";
        my $text = do { local $/; <$fh> };

        for ($text =~ /^```\n((?:(?!^```).)*?localhost:8080.*?)^```/msg) {
            s{http://localhost:8080}{$url}g;
            s/\bcurl /curl -sS --fail-with-body /g;
            $t->write_file('example.sh', "set -e -o pipefail\n$_");
            my $output = qx(cd $root && bash @{[$t->dir]}/example.sh 2>&1);
            my ($first) = /^(.*)/;
            is($?, 0, "$file: $first") or diag($output);
            $ran++;
        }
    }

    cmp_ok($ran, '>', 10, 'examples');

    return;
}


for my $name (sort keys %shown) {
    local $ENV{DEMO_DIR} = $t->dir . "/$name";
    local $ENV{DEMO_PORT} = ports();

    my $pid = $t->_spawn("$name.log", $script, 'start', $name);

    ok($t->wait_for(sub { $t->read_file("$name.log") =~ /^kill -HUP/m }, 30),
       "$name starts") or diag($t->read_file("$name.log"),
                               $t->read_file("$name/error.log"));
    my $output = $t->read_file("$name.log");
    like($output, $_->[0], "$name: $_->[1]") for @{$shown{$name}};
    unlike($output, qr/command not found|No such file|unavailable|"internal"/,
           "$name: nothing goes wrong");

    is(system("$script start $name > /dev/null 2>&1") >> 8, 1,
       "$name: runs once");

    if ($name eq 'demo') {
        page("http://127.0.0.1:$ENV{DEMO_PORT}");
        fetched($output);
        documents("http://127.0.0.1:$ENV{DEMO_PORT}");
    }

    my @pids = map { $t->read_file("$name/$_.pid") =~ /(\d+)/ }
               qw(nginx redis), $name eq 'shop' ? 'backend' : ();
    cmp_ok(scalar(grep { kill 0, $_ } @pids), '>=', 2, "$name: runs");
    is(system("$script stop $name") >> 8, 0, "$name: is stopped");
    ok($t->wait_for(sub { waitpid($pid, 1) != 0 }), "$name: and ends");
    $t->unguard($pid);
    is(scalar(grep { kill 0, $_ } @pids), 0, "$name: with all of it");
    unlike($t->read_file("$name/error.log"), qr/\[(?:alert|emerg|crit)\]/,
           "$name: in order");
}

is(system("$script start nothing > /dev/null 2>&1") >> 8, 2,
   'there is no other');

done_testing();
