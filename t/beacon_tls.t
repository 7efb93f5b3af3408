#!/usr/bin/perl
# Relays by name and over TLS: resolved by nginx, their certificates checked.

use strict;
use warnings;

use lib 't/lib';
use Loyalty::CA;
use Loyalty::FakeDNS;
use Loyalty::FakeRelay;
use Loyalty::Test;
use Test::More;

my $ca = Loyalty::CA->new;
my $dir = $ca->dir;

$ca->authority('stranger');
$ca->certificate('relay', 'subjectAltName=DNS:relay.example,IP:127.0.0.1');

# the first relay of each answers; this is about the second one
my %second = (
    name => "https://relay.example:%%PORT_tls%% tls_ca=$dir/ca.crt",
    address => "https://127.0.0.1:%%PORT_tls%%/x tls_ca=$dir/ca.crt",
    several => "https://several.example:%%PORT_tls%% tls_ca=$dir/ca.crt",
    wrong => "https://other.example:%%PORT_tls%% tls_ca=$dir/ca.crt",
    stranger => "https://relay.example:%%PORT_tls%% tls_ca=$dir/stranger.crt",
    system => 'https://relay.example:%%PORT_tls%%',
    plain => 'http://relay.example:%%PORT_relay%%/plain',
    notls => "https://relay.example:%%PORT_relay%% tls_ca=$dir/ca.crt",
    absent => 'http://absent.example:%%PORT_relay%%',
    slow => 'http://slow.example:%%PORT_relay%% timeout=500ms',
);

my $t = Loyalty::Test->new(start => 0,
    server => 'location = /metrics { loyalty_metrics; }', http => <<"END"
    resolver 127.0.0.1:%%PORT_dns%% ipv6=off valid=1s;
    resolver_timeout 5s;
    log_format tls '\$ssl_server_name|\$host|\$http_host|\$request';

    server {
        listen 127.0.0.1:%%PORT_tls%% ssl;
        ssl_certificate $dir/relay.crt;
        ssl_certificate_key $dir/relay.key;

        location / {
            proxy_pass http://127.0.0.1:%%PORT_relay%%;
            access_log %%TESTDIR%%/tls.log tls;
        }
    }
END
    . join '', map { <<"END" } sort keys %second);
    loyalty_program $_ {
        redis unix:%%REDIS%%;
        wallet points;
        beacon drand_quicknet follow=on from=http://127.0.0.1:%%PORT_relay%%
               from=$second{$_};
    }
END

my $relay = Loyalty::FakeRelay->new($t, 'relay');
my $dns = Loyalty::FakeDNS->new($t, {
    'relay.example' => ['127.0.0.1'], 'other.example' => ['127.0.0.1'],
    'several.example' => ['127.0.0.3', '127.0.0.1', '127.0.0.2'],
    'slow.example' => undef });

$t->start;

sub round {
    my ($name) = @_;
    return $t->metrics->{"nginx_loyalty_beacon_round{program=\"$name\"}"};
}

sub logged {
    my ($name, $pattern) = @_;
    return $t->wait_log(qr/of loyalty program "$name" failed, round \d+: $pattern/, 8);
}


ok($t->wait_for(sub { round($_) > 0 }, 8), $_) for qw(name address plain);

like($t->read_file('tls.log'), qr/^relay\.example\|relay\.example\|relay\.example:\d+\|GET \/52db\w+\/public\/\d+ HTTP\/1\.1$/m,
     'the name is asked for in TLS and in HTTP');
like($t->read_file('tls.log'), qr/^-\|127\.0\.0\.1\|127\.0\.0\.1:\d+\|GET \/x\/52db\w+\/public\/\d+ HTTP\/1\.1$/m,
     'an address is no name for TLS');

ok(logged('several', qr/the certificate of https:\/\/several\.example:\d+ is not for "several\.example"/),
   'of several addresses the one that answers, which has another name');
ok(logged('wrong', qr/the certificate of https:\/\/other\.example:\d+ is not for "other\.example"/),
   'a certificate for another name');
ok(logged('stranger', qr/the certificate of \S+ was not accepted \(\d+: .*\)/),
   'a certificate of another authority');
ok(logged('system', qr/the certificate of \S+ was not accepted \(\d+: .*\)/),
   'which the system does not know');
ok(logged('notls', qr/the TLS handshake failed/), 'a relay without TLS');
ok(logged('absent', qr/"absent\.example" could not be resolved \(3: Host not found\)/),
   'a name that does not exist');
ok(logged('slow', qr/timed out while resolving its name|"slow\.example" could not be resolved/),
   'a name server that does not answer');

is(round($_), 0, "$_: no round is held")
    for qw(several wrong stranger system notls absent slow);

# a name that is being resolved, and handshakes, when the worker leaves
ok($t->reload(wait => 1), 'reload');
ok($t->quit, 'quit');
is($t->log =~ /open socket/, '', 'no connection is left');

done_testing();
