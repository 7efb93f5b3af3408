#!/usr/bin/perl
# TLS to Redis: the certificate, its name, a client certificate.

use strict;
use warnings;

use lib 't/lib';
use Loyalty::CA;
use Loyalty::Test;
use Test::More;

my $ca = Loyalty::CA->new;
my $dir = $ca->dir;

$ca->authority('stranger');
$ca->certificate('server', 'subjectAltName=DNS:redis.example,IP:127.0.0.1');
$ca->certificate('client', 'subjectAltName=DNS:nginx.example');

# the port of TLS has to be known before Redis starts
my $ports = Loyalty::Test->new(redis => 0, start => 0);
my $tls = $ports->port('tls');

my %programs = (
    good => 'tls_name=redis.example tls_ca=CA CERT',
    ip => 'tls_ca=CA CERT',
    wrong => 'tls_name=other.example tls_ca=CA CERT',
    stranger => 'tls_name=redis.example tls_ca=STRANGER CERT',
    system => 'tls_name=redis.example CERT',
    careless => 'tls_verify=off CERT',
    nocert => 'tls_name=redis.example tls_ca=CA',
    wrongip => 'tls_name=127.0.0.2 tls_ca=CA CERT',
);

s/\bCA\b/$dir\/ca.crt/, s/STRANGER/$dir\/stranger.crt/,
s/CERT/tls_cert=$dir\/client.crt tls_key=$dir\/client.key/
    for values %programs;

my $http = join '', map { <<"END" } sort keys %programs;
    loyalty_program $_ {
        redis 127.0.0.1:$tls tls=on $programs{$_};
        wallet points;
        earn purchase points 1 per=1.00;
    }
END

my $t = Loyalty::Test->new(
    redis => { args => [ '--tls-port', $tls, '--tls-cert-file',
        "$dir/server.crt", '--tls-key-file', "$dir/server.key",
        '--tls-ca-cert-file', "$dir/ca.crt", '--tls-auth-clients', 'yes' ] },
    http => $http . <<"END",
    loyalty_program plain {
        redis unix:%%REDIS%%;
        wallet points;
    }
    loyalty_program notls {
        redis 127.0.0.1:%%PORT%% tls=on tls_verify=off connect_timeout=500ms;
        wallet points;
    }
    loyalty_program mismatched {
        redis 127.0.0.1:$tls;
        wallet points;
    }
END
    server => join('', map { <<"END" } sort keys %programs,
        location /$_/ { loyalty_event_api $_ trusted; }
END
        qw(plain notls mismatched)) . <<'END');
        location = /metrics { loyalty_metrics; }
END

sub buy {
    my ($program, $id) = @_;
    return $t->post("/$program/events", { id => $id, member => "m-$program",
        type => 'purchase', amount => '2.00' })->status;
}

sub logged {
    my ($program, $pattern) = @_;
    return $t->log =~ /$pattern.*program: $program$/m;
}

is(buy('good', 'a'), 200, 'a certificate of the authority');
is(buy('good', "b$_"), 200, 'more on the same connection') for 1 .. 3;
is(buy('ip', 'a'), 200, 'an address in the certificate');
is(buy('careless', 'a'), 200, 'tls_verify=off');

is(buy('wrong', 'a'), 503, 'another name: refused');
ok(logged('wrong', qr/certificate of redis is not for "other.example"/),
   'and logged');
is(buy('wrongip', 'a'), 503, 'another address: refused');
ok(logged('wrongip', qr/certificate of redis is not for "127.0.0.2"/),
   'and logged');
is(buy('stranger', 'a'), 503, 'another authority: refused');
ok(logged('stranger', qr/certificate of redis was not accepted/),
   'and logged');
is(buy('system', 'a'), 503, 'not known to the system: refused');
is(buy('nocert', 'a'), 503, 'a client without a certificate: refused');

my $started = time;
is(buy('notls', 'a'), 503, 'a server that speaks no TLS');
is(buy('mismatched', 'a'), 503, 'a client that speaks no TLS');
cmp_ok(time - $started, '<', 5, 'soon');

# a member of 50 kB through many records of TLS, both ways
my @lines = map { { id => "big$_", member => 'big', type => 'purchase',
    amount => '1.00', items => [ map { { sku => 'x' x 100 . $_,
    category => 'c' x 60, quantity => 1, amount => '0.01' } } 1 .. 90 ] } }
    1 .. 8;
my $reply = $t->post('/good/events', join('', map {
    JSON::PP::encode_json($_) . "\n" } @lines),
    headers => { 'Content-Type' => 'application/x-ndjson' });
is(scalar(grep { $_->{status} == 200 } $reply->lines), 8,
   'large commands through TLS');

$t->redis_kill;
ok($t->wait_for(sub { buy('good', 'c') == 503 }), 'Redis killed');
$t->redis_start;
ok($t->wait_for(sub { buy('good', 'c') == 200 }, 5), 'and back, with TLS');

ok($t->reload(wait => 1), 'reload');
is(buy('good', 'd'), 200, 'new workers connect');
ok($t->quit, 'quit with idle TLS connections');
is($t->log =~ /open socket/, '', 'none is left');

done_testing();
