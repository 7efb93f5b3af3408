#!/usr/bin/perl

# What nginx -t says of the directives in locations.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;

my $tls = <<'END';
    ssl_certificate cert.pem;
    ssl_certificate_key cert.pem;
    ssl_client_certificate cert.pem;
END

my $openssl = 'openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=x'
            . ' -keyout - 2>/dev/null';
my $cert = `$openssl`;


sub conf {
    my ($http, $server, $more) = @_;

    my %files = (files => { 'cert.pem' => $cert });

    return Loyalty::Test->check(%files, conf => <<END);
load_module %%MODULE%%;
pid nginx.pid;
events { }
http {
    access_log off;
    $http
    server {
        listen 127.0.0.1:%%PORT%%;
        $server
    }
    @{[ $more // '' ]}
}
END
}

my $program = 'loyalty_program shop { redis 127.0.0.1:1; wallet points; }';


sub good {
    my ($name, @conf) = @_;
    my ($ok, $output) = conf(@conf);

    ok($ok, $name) or diag($output);
    return;
}


sub bad {
    my ($name, $want, @conf) = @_;
    my ($ok, $output) = conf(@conf);

    ok(!$ok, "$name is refused");
    like($output, $want, "$name: the reason");
    return;
}


good('trusted', $program, 'location /e/ { loyalty_event_api shop trusted; }');
good('a program that comes later', '',
     'location /e/ { loyalty_event_api shop trusted; }', $program);
good('the member of the server', $program,
     'loyalty_member $remote_user; location /m/ { loyalty_member_api shop; }');
good('the member of http', "$program loyalty_member \$remote_user;",
     'location /m/ { loyalty_member_api shop; }');
good('no member', $program,
     'location /m/ { loyalty_member_api shop; loyalty_member ""; }');
good('metrics', $program, 'location = /metrics { loyalty_metrics; }');
good('no program', '', 'location = /metrics { loyalty_metrics; }');
good('everything at once', $program, <<'END');
    location /e {
        loyalty_event_api shop trusted;
        limit_except POST { deny all; }
    }
    location ^~ /f/ {
        loyalty_event_api shop trusted;
        if ($arg_x) { set $y 1; }
    }
    location /m/ { loyalty_member_api shop; loyalty_member "x-$arg_m"; }
END

bad('an unknown program', 
    qr/unknown program "shoe" in "loyalty_event_api".*nginx\.conf:10/, $program,
    "\nlocation /e/ { loyalty_event_api shoe trusted; }");
bad('an unknown program of the member API',
    qr/unknown program "shoe" in "loyalty_member_api"/, $program,
    'location /m/ { loyalty_member_api shoe; loyalty_member $arg_m; }');
bad('a member API without a member',
    qr/needs a "loyalty_member".* in .*nginx\.conf:10/, $program,
    "\nlocation /m/ { loyalty_member_api shop; }");
bad('another word', qr/invalid parameter "trust".*"trusted" or nothing/,
    $program, 'location /e/ { loyalty_event_api shop trust; }');

# one location has one handler, whichever comes first

for my $api ('loyalty_event_api shop trusted', 'loyalty_admin_api shop trusted',
             'loyalty_member_api shop', 'loyalty_proof shop',
             'loyalty_metrics', 'loyalty_problem rate_limited')
{
    my ($name) = split ' ', $api;
    my $member = $api =~ /member/ ? 'loyalty_member $remote_user;' : '';

    for my $other ('proxy_pass http://127.0.0.1:1', 'empty_gif') {
        bad("$other before $name",
            qr/"$name" directive is in a location that has another handler already in .*nginx\.conf:11/,
            $program, "\nlocation /e/ { $other;\n$api; $member }");
        bad("$other behind $name",
            qr/location "\/e\/" would not be answered by this: .* in .*nginx\.conf:11/,
            $program, "\nlocation /e/ { $member\n$api;\n$other; }");
    }
}

good('another handler in a place of its own', $program, <<'END');
    location /e/ {
        loyalty_event_api shop trusted;
        limit_except POST { proxy_pass http://127.0.0.1:1; }
        location /e/pages/ { proxy_pass http://127.0.0.1:1; }
        if ($arg_x) { proxy_pass http://127.0.0.1:1; }
    }
END

# the actor

bad('no actor', qr/invalid "loyalty_actor" "".* in .*nginx\.conf:10/, $program,
    "\nlocation /a/ { loyalty_admin_api shop trusted; loyalty_actor ''; }");
bad('a long actor', qr/invalid "loyalty_actor"/,
    "$program loyalty_actor " . 'a' x 129 . ';', '');
good('actors', "$program loyalty_actor ops;",
     'location /a/ { loyalty_admin_api shop trusted; loyalty_actor $arg_a; }');

bad('two APIs', qr/is duplicate or the location has another API/, $program,
    'location /e/ { loyalty_event_api shop trusted; loyalty_metrics; }');
bad('the same twice', qr/is duplicate or the location has another API/,
    $program, 'location /e/ { loyalty_event_api shop trusted;
    loyalty_event_api shop trusted; }');
bad('metrics twice', qr/is duplicate/, $program,
    'location /e/ { loyalty_metrics; loyalty_metrics; }');
bad('two members', qr/is duplicate/, $program,
    'loyalty_member $remote_user; loyalty_member $arg_b;');
bad('one member for all',
    qr/"remote_user" for everybody: a variable.* in .*nginx\.conf:11/, $program,
    "\nlocation /m/ { loyalty_member_api shop;\nloyalty_member remote_user; }");
bad('too many words', qr/invalid number of arguments/, $program,
    'location /e/ { loyalty_event_api shop trusted now; }');
bad('not in a location', qr/is not allowed here/, $program,
    'loyalty_event_api shop trusted;');
bad('in an if', qr/is not allowed here/, $program,
    'location /e/ { if ($arg_x) { loyalty_event_api shop trusted; } }');

for my $location ('~ ^/e/', '~* ^/e/', '= /e', '@e') {
    bad("location $location",
        qr/cannot be used in location.*prefix location such as/, $program,
        "location $location { loyalty_event_api shop trusted; }");
    bad("location $location for members",
        qr/"loyalty_member_api" cannot be used in location/, $program,
        "location $location { loyalty_member_api shop;
         loyalty_member \$remote_user; }");
}


# ---- who may come in ----

my $event = 'location /e/ { loyalty_event_api shop; }';
my $open = qr/open to anyone.*"ssl_verify_client on".*"trusted".*\.conf:\d/;

bad('no certificate', $open, $program, $event);

my $ssl = 'listen 127.0.0.1:%%PORT_s%% ssl;';

my $verify = $tls . 'ssl_verify_client on;';

for my $value ('off', 'optional', 'optional_no_ca') {
    bad("ssl_verify_client $value", $open, $program, '', "server { $ssl $tls
        ssl_verify_client $value; $event }");
}

good('ssl_verify_client on', $program, '',
     "server { $ssl $verify $event }");
good('for all of http', "$program $verify", '', "server { $ssl $event }");
bad('a way in without TLS', $open, $program, '',
    "server { $ssl listen 127.0.0.1:%%PORT_p%%; $verify $event }");
bad('no TLS at all', $open, $program, '',
    "server { listen 127.0.0.1:%%PORT_p%%; $verify $event }");
bad('the port of another server', $open, $program, '',
    "server { $ssl listen 127.0.0.1:%%PORT%%; server_name b; $verify $event }");
good('trusted all the same', $program, '',
     "server { listen 127.0.0.1:%%PORT_p%%; $verify
      location /e/ { loyalty_event_api shop trusted; } }");


# ---- and it is so ----

my $t = Loyalty::Test->new(program => 'wallet points; earn once points 1;',
    files => { 'cert.pem' => $cert }, http => <<'END');
server {
    listen 127.0.0.1:%%PORT_s%% ssl;
    ssl_certificate cert.pem;
    ssl_certificate_key cert.pem;
    ssl_client_certificate cert.pem;
    ssl_verify_client on;
    location /e/ { loyalty_event_api shop; }
}
END

my $curl = "curl -sk --max-time 10 -H 'Content-Type: application/json' "
         . "-d '{\"id\":\"a\",\"member\":\"m\",\"type\":\"once\"}' ";
my $url = 'https://127.0.0.1:' . $t->port('s') . '/e/events';

SKIP: {
    skip('no curl', 2) if !`curl --version 2>/dev/null`;

    like(`$curl $url`, qr/No required SSL certificate/, 'no certificate');
    my $pem = $t->dir . '/cert.pem';
    like(`$curl --cert $pem --key $pem $url`, qr/"points":1/, 'with one');
}

done_testing();
