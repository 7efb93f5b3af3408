#!/usr/bin/perl
# Timestamps from an authority: a token for a manifest is fetched, checked and
# published, whatever shape its response has; what is none is not.

use strict;
use warnings;

use lib 't/lib';
use Digest::SHA qw(sha256_hex);
use Loyalty::CA;
use Loyalty::FakeTSA;
use Loyalty::Test;
use MIME::Base64 qw(decode_base64);
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(time sleep);

my $ca = Loyalty::CA->new;
my $dir = $ca->dir;
$ca->authority('stranger');
$ca->certificate('server', 'subjectAltName=IP:127.0.0.1');

sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + $_[0])) }
my ($open, $close) = (at(-60), at(3600));

my $as = 'http://127.0.0.1:%%PORT_tsa%%/as';

my %good = (
    ok => 'http://127.0.0.1:%%PORT_tsa%%/tsr',
    root => 'http://127.0.0.1:%%PORT_tsa%%',
    trusted => "http://127.0.0.1:%%PORT_tsa%% trusted_certificate=$dir/ca.crt",
    tls => "https://127.0.0.1:%%PORT_tls%%/x tls_ca=$dir/ca.crt "
           . "trusted_certificate=$dir/ca.crt",
    chunked => "$as/chunked", dribble => "$as/dribble",
    closed => "$as/closed", slow => "$as/slow/0.5",
);

my %bad = (
    stranger => ["http://127.0.0.1:%%PORT_tsa%% "
                 . "trusted_certificate=$dir/stranger.crt",
                 qr/the token's signature was not accepted \(certificate verify error\)/],
    again => ["$as/again",
              qr/the token is over another hash|the token answers another request/],
    refuse => ["$as/refuse", qr/the authority refused: status 2/],
    html => ["$as/html", qr/the response is no TimeStampResp/],
    status => ["$as/status/503", qr/status 503/],
    redirect => ["$as/redirect", qr/status 302, and no redirect is followed/],
    huge => ["$as/huge", qr/the body of the response is too large/],
    cut => ["$as/cut", qr/the connection was closed within the body/],
    hangup => ["$as/hangup", qr/the connection (?:was closed without a response|broke)/],
    stall => ["$as/stall timeout=400ms", qr/timed out while reading a response/],
    away => ['http://127.0.0.1:%%PORT_nobody%%', qr/no connection \(111: /],
);

my %all = (%good, map { $_ => $bad{$_}[0] } keys %bad);

my $t = Loyalty::Test->new(start => 0, workers => 2,
    files => { secret => 'main:' . '5a' x 32 . "\n" },
    http => join('', map { <<"END" } sort keys %all) . <<"END",
    loyalty_program $_ {
        redis unix:%%REDIS%%;
        unsafe_store on;
        secret_file %%TESTDIR%%/secret;
        wallet points;
        timestamp_authority $all{$_};
        sweepstakes raffle { open $open; close $close; free_entry on;
                             prize trip { stock 1; } }
    }
END
    server {
        listen 127.0.0.1:%%PORT_tls%% ssl;
        ssl_certificate $dir/server.crt;
        ssl_certificate_key $dir/server.key;
        location / { proxy_pass http://127.0.0.1:%%PORT_tsa%%; }
    }
END
    server => join '', 'location = /metrics { loyalty_metrics; }',
              map { "location /$_/ { loyalty_proof $_; }\n" } sort keys %all);

my $tsa = Loyalty::FakeTSA->new($t, 'tsa', ca => $ca);
my $started = time;
$t->start;

my %cid;

sub file {
    my ($program, $file) = @_;

    $cid{$program} //= ($t->get("/$program/games")->body =~ /^raffle (\w{32})/)[0];
    return '' if !defined $cid{$program};
    my $response = $t->get("/$program/raffle/$cid{$program}/$file");

    return $response->status == 200 ? $response->body : '';
}

sub metric {
    my ($program, $name) = @_;
    return $t->metrics->{"nginx_loyalty_timestamp_$name\_total{program=\"$program\"}"};
}


for my $program (sort keys %good) {
    ok($t->wait_for(sub { file($program, 'timestamps') }, 15), $program)
        or diag($t->log);

    my ($token) = file($program, 'timestamps')
                =~ /^manifest 1 ([A-Za-z0-9+\/=]+)\n\z/;
    my $note = file($program, 'manifest');

    open my $fh, '>:raw', "$dir/token" or die $!;
    print {$fh} decode_base64($token);
    close $fh or die $!;

    ok(eval { $ca->openssl(qw(ts -verify -token_in -in token -CAfile ca.crt
                              -digest), sha256_hex($note)); 1 },
       'a token over the note') or diag($@);
    is(metric($program, 'failures'), 0, 'no failure');
}

is(metric('ok', 'fetches'), 1, 'one is enough');

for my $program (sort keys %bad) {
    ok($t->wait_log(qr/no timestamp for the manifest of sweepstakes raffle: $bad{$program}[1]/, 10),
       "$program is logged");
    ok($t->wait_for(sub { metric($program, 'failures') >= 1 }), 'and counted');
    is(file($program, 'timestamps'), '', 'nothing is published');
}


# the authority mends its ways

$tsa->mode('well');
ok($t->wait_for(sub { file($_, 'timestamps') }, 12), "$_ is over")
    for qw(again refuse html status cut hangup);
is(file('stranger', 'timestamps'), '', 'but not for who trusts another one');


# the worker that asks leaves while it does

$tsa->mode('stall');
my $requests = $tsa->requests;
ok($t->wait_for(sub { $tsa->requests > $requests }, 12), 'asked');
$started = time;
ok($t->reload(wait => 1), 'reload');
cmp_ok(time - $started, '<', 3, 'nobody waits for it');
$requests = $tsa->requests;
ok($t->wait_for(sub { $tsa->requests > $requests }, 15), 'asked');
$started = time;
ok($t->quit, 'quit');
cmp_ok(time - $started, '<', 3, 'nobody waits for it');
is($t->log =~ /open socket/, '', 'no connection is left');

done_testing();
