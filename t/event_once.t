#!/usr/bin/perl

# Whatever way a request takes inside nginx, its event counts once or not at
# all.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;

my $t = Loyalty::Test->new(program => <<'END', server => <<'END_SERVER');
wallet points;
money EUR 2;
earn once points 1;
END
error_page 400 403 404 405 409 413 415 500 502 503 504 /loyalty-in/events;
recursive_error_pages on;

location /again/ {
    loyalty_event_api shop trusted;
    error_page 400 404 405 409 413 415 = /again/events;
}
location /named/ {
    loyalty_event_api shop trusted;
    error_page 400 404 405 409 413 415 = @other;
}
location @other { rewrite ^ /loyalty-in/events last; }

location /broken/ { return 502; }
location /hop/ {
    proxy_pass http://127.0.0.1:1/;
    proxy_next_upstream off;
    error_page 502 = @other;
}

location /mirrored/ {
    mirror /loyalty-in/events;
    mirror_request_body on;
    proxy_pass http://127.0.0.1:%%PORT%%/loyalty-in/;
}
location /mirror/ {
    loyalty_event_api shop trusted;
    mirror /loyalty-in/events;
}

location /ssi/ { ssi on; ssi_types *; root %%TESTDIR%%; }

location /auth/ {
    auth_request /loyalty-in/events;
    root %%TESTDIR%%;
}
location /tried/ { try_files /none /loyalty-in/events; }
location = /accel { proxy_pass http://127.0.0.1:%%PORT%%/redirect; }
location = /redirect {
    add_header X-Accel-Redirect /loyalty-in/events;
    return 200;
}
END_SERVER

mkdir $t->dir . "/$_" for qw(ssi auth);
$t->write_file('auth/page', 'secret');
$t->write_file('ssi/page',
    '[<!--# include virtual="/loyalty-in/events" -->]');

my $n = 0;


sub told {
    my ($r) = @_;

    return $r->status == 200 && ref $r->json ? 'ok'
         : $r->status . ' ' . ($r->code // 'no problem');
}


# posts a new event and says what came of it; checks how often it counted
sub once {
    my ($path, $want, $counted, $name, %more) = @_;
    my $member = 'm' . ++$n;

    my $r = $t->post($path, { id => 'e', member => $member, type => 'once',
                              %more });
    is(told($r), $want, "$name: reply") or diag($r->raw);

    # a mirror's request may come later than the reply
    my @late = $t->get('/metrics') for 1 .. 3;

    is($t->event({ id => 'after', member => $member, type => 'x' })
         ->json->{balances}{points}, $counted, "$name: counted $counted");

    return $r;
}


# ---- problems are no errors of nginx ----

once('/loyalty-in/events', 'ok', 1, 'as it should be');

my %bad = (amount => 1);

for my $api ('loyalty-in', 'again', 'named') {
    once("/$api/events", '400 invalid_field', 0, "$api: a problem", %bad);
    once("/$api/none", '404 unknown_path', 0, "$api: no path");

    is(told($t->get("/$api/events")), '405 method_not_allowed',
       "$api: no method");
    is(told($t->post("/$api/events", 'x' x 2_000_000)), '413 too_large',
       "$api: too large");
    is(told($t->post("/$api/events", '{}',
                     headers => { 'Content-Type' => 'text/plain' })),
       '415 unsupported_type', "$api: no type");
}


# ---- ways to come here ----

# (the status of an error page is that of the error)

once('/broken/x', '502 method_not_allowed', 0, 'an error page is a GET');
once('/hop/x', 'ok', 1, 'a named location of an error page keeps the POST');
once('/tried/x', 'ok', 1, 'try_files');
once('/accel', '405 method_not_allowed', 0, 'X-Accel-Redirect is a GET');


# ---- subrequests ----

once('/mirrored/events', 'ok', 1, 'a mirror of another location');
once('/mirror/events', 'ok', 1, 'a mirror of this API');

my $r = $t->post('/ssi/page', '{}');
is($r->status, 405, 'a page takes no POST');
$r = $t->get('/ssi/page');
like($r->body, qr/^\[\{.*"code":"unknown_path".*\}\]$/,
     'an include is told so');

is($t->get('/auth/page')->status, 500,
   'auth_request gets no answer it can use');

$t->redis_kill;
ok($t->wait_for(sub {
    told($t->event({ id => 'd', member => 'd', type => 'once' }))
        eq '503 unavailable' }), '503 is no error page');
is(told($t->post('/again/events', { id => 'd', member => 'd',
                                    type => 'once' })),
   '503 unavailable', 'anywhere');

done_testing();
