#!/usr/bin/perl

# POST beacons: a round of the beacon by hand, where the relays are away.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;


my $t = Loyalty::Test->new(program => <<'EOC');
    wallet points;
    beacon drand_quicknet from=http://127.0.0.1:%%PORT_one%%
                          from=http://127.0.0.1:%%PORT_two%% timeout=200ms;
EOC

# a real round of quicknet, and another one's signature
my $round = 1000;
my $signature = 'b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb'
              . '1125e342b73a8dd2bacbe47e4b6b63ed5e39';
my $other = 'b75c69d0b72a5d906e854e808ba7e2accb1542ac355ae486d591aa9d43765482'
          . 'e26cd02df835d3546d23c4b13e0dfc92';


sub put {
    my (%body) = @_;

    return $t->post('/loyalty-admin/beacons', \%body,
                    headers => { 'X-Actor' => 'olga' });
}


sub refused {
    my ($response, $pattern, $name) = @_;

    is($response->status . ' ' . ($response->code // ''),
       '400 invalid_field', $name);
    like($response->json->{detail} // '', $pattern, "$name: why");

    return;
}


is($t->metrics->{'nginx_loyalty_beacon_round{program="shop"}'}, 0,
   'no round is held');

refused(put(round => $round, signature => substr $signature, 2),
        qr/48 bytes/, 'a signature that is too short');
refused(put(round => $round, signature => 'x' x 96), qr/48 bytes/,
        'one that is not hex');
refused(put(round => 0, signature => $signature), qr/whole number/,
        'no round');
refused(put(round => 9007199254740991, signature => $signature),
        qr/not come out/, 'a round of the future');

is_deeply(put(round => $round, signature => $signature)->json,
          { round => $round, held => JSON::PP::true }, 'a round by hand');
is(put(round => $round, signature => $signature)->status, 200, 'again');
refused(put(round => $round, signature => $other), qr/differs/,
        'with another signature');

is($t->metrics->{'nginx_loyalty_beacon_round{program="shop"}'}, $round,
   'it is held');

my ($line) = grep { $_->{w} eq 'beacon' && $_->{o} eq $round }
             map { +{ @{$_->[1]} } }
             @{$t->redis->call('XRANGE', '{shop}:feed', '-', '+')};
is("$line->{a} $line->{o}", "olga $round", 'and on the feed');

my $without = Loyalty::Test->new(program => 'wallet points;');

is($without->post('/loyalty-admin/beacons',
                  { round => 1, signature => $signature })->status, 400,
   'a program without a beacon');

done_testing();
