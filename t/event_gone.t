#!/usr/bin/perl

# Clients that go away while their event is under way, over HTTP/1 and
# HTTP/2; and a Redis that does not answer, or is not there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::H2;
use Loyalty::Test;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = Loyalty::Test->new(program => <<'END', server => <<'END_SERVER');
wallet points;
money EUR 2;
earn once points 1;
END
listen 127.0.0.1:%%PORT_h2%% http2;
client_body_timeout 2s;

location /post/ {
    loyalty_event_api shop trusted;
    post_action /loyalty-in/events;
}
END_SERVER

my $json = JSON::PP->new->utf8->canonical;


sub event { return { id => $_[0], member => $_[1], type => 'once' } }

sub text { return $json->encode(event(@_)) }


my $asked = 0;

sub balance {
    my ($member) = @_;

    return $t->event({ id => 'q' . ++$asked, member => $member, type => 'x' })
             ->json->{balances}{points};
}


# Redis stands still while the code runs
sub stalled {
    my ($code) = @_;

    $t->redis_stall;
    my $value = eval { $code->() };
    my $error = $@;
    sleep 0.1;
    $t->redis_go;
    die $error if $error;

    return $value;
}


sub inflight {
    return $t->metrics
             ->{'nginx_loyalty_redis_inflight_operations{program="shop"}'};
}


# which opens the connections to Redis, too

is($t->event(event('first', 'a'))->status, 200, 'all is well');
is($t->events([ map { event("all$_", "all$_") } 1 .. 500 ])->status, 200,
   'for batches, too');

my ($worker) = $t->workers;


# ---- HTTP/1 ----

for my $path ('loyalty-in', 'post') {
    stalled(sub {
        for my $i (1 .. 20) {
            my $sock = $t->connect;
            syswrite $sock, Loyalty::HTTP::format_request('POST',
                "/$path/events", text("$path$i", 'h1'));
            sleep 0.01;
            close $sock;
        }
    });

    # what is logged behind post_action is what that had to say
    ok($t->wait_for(sub {
        20 <= (() = $t->read_file('access.log')
                    =~ m{POST /$path/.*" (?:499|404) }g)
    }), "/$path/: 20 clients are gone") or diag($t->read_file('access.log'));
    ok($t->wait_for(sub { inflight() == 0 }), "/$path/: nothing is left");
}

is(balance('h1'), 40, 'what was sent was done');

for my $path ('loyalty-in', 'post') {
    my @again = map { $t->event(event("$path$_", 'h1'))->json->{duplicate} }
                1 .. 20;
    is(scalar(grep { $_ } @again), 20, "/$path/: a repeat finds it");
}

is(balance('h1'), 40, 'and credits nothing');


# ---- a batch ----

my $batch = join '', map { text("b$_", 'batch') . "\n" } 1 .. 300;

stalled(sub {
    my $sock = $t->connect;
    syswrite $sock, Loyalty::HTTP::format_request('POST',
        '/loyalty-in/events', $batch,
        'Content-Type' => 'application/x-ndjson');
    sleep 0.1;
    close $sock;
});

ok($t->wait_for(sub { inflight() == 0 }), 'a batch without its client ends');
is(balance('batch'), 64, 'with what was under way');
is(scalar(grep { $_->{status} == 200 && !$_->{duplicate} }
          $t->events([ split /\n/, $batch ])->lines), 300 - 64,
   'a repeat does the rest');
is(balance('batch'), 300, 'each once');


# ---- HTTP/2 ----

my $h2 = Loyalty::H2->new($t->connect('h2'));
my %type = ('content-type' => 'application/json');
my %lines = ('content-type' => 'application/x-ndjson');

is($h2->response($h2->request('POST', '/loyalty-in/events',
                              text('x', 'h2'), %type))->{status}, 200,
   'HTTP/2: an event');

my $id = $h2->headers(0, ':method' => 'POST', ':path' => '/loyalty-in/events',
    ':scheme' => 'http', ':authority' => 'localhost', %lines);
my $many = join '', map { text("m$_", 'h2') . "\n" } 1 .. 900;
$h2->data($id, $_, 0) for unpack '(a5000)*', $many;
$h2->data($id, '', 1);
my $r = $h2->response($id);
is($r->{status}, 200, 'HTTP/2: a batch in pieces of unknown length');
is(scalar(my @m = split /\n/, $r->{body}), 900, 'all of it');

$id = $h2->request('POST', '/loyalty-in/events', 'x' x 1_100_000, %lines,
                   'content-length' => 1_100_000);
is(($h2->response($id) // {})->{status}, 413, 'HTTP/2: too large');
$id = $h2->request('POST', '/loyalty-in/events', 'x' x 1_100_000, %lines);
is(($h2->response($id) // {})->{status}, 413,
   'HTTP/2: too large, of unknown length');

stalled(sub {
    my @ids = map { $h2->request('POST', '/loyalty-in/events',
        text("r$_", 'h2r'), %type) } 1 .. 20;
    push @ids, $h2->request('POST', '/loyalty-in/events', $batch, %lines);
    sleep 0.1;
    $h2->reset($_) for @ids;
    sleep 0.1;
});

ok($t->wait_for(sub { inflight() == 0 }), 'HTTP/2: streams are reset');
is(balance('h2r'), 20, 'HTTP/2: what was sent was done');
is($h2->response($h2->request('POST', '/loyalty-in/events',
                              text('r1', 'h2r'), %type))->{status}, 200,
   'HTTP/2: the connection lives');

stalled(sub {
    my $gone = Loyalty::H2->new($t->connect('h2'));
    $gone->request('POST', '/loyalty-in/events', text("g$_", 'h2g'), %type)
        for 1 .. 20;
    $gone->headers(0, ':method' => 'POST', ':path' => '/loyalty-in/events',
        ':scheme' => 'http', ':authority' => 'localhost', %lines);
    sleep 0.1;
    close $gone->{sock};
});

ok($t->wait_for(sub { inflight() == 0 }), 'HTTP/2: the connection is closed');
is(balance('h2g'), 20, 'HTTP/2: what was sent was done');


# ---- a Redis that does not answer ----

my @waiting = stalled(sub {
    my @r = $t->parallel(
        [ 'POST', '/loyalty-in/events', event('s1', 'stall') ],
        [ 'POST', '/loyalty-in/events', text('s2', 'stall') . "\n" . 'x',
          headers => { 'Content-Type' => 'application/x-ndjson' } ]);
    return \@r;
});

$r = $waiting[0][0];
is($r->status, 504, 'no reply in time');
is($r->code, 'outcome_unknown', 'what came of it is not known');
like($r->header('Retry-After'), qr/^\d+$/, 'when to try again');
is($r->json->{retry_after}, $r->header('Retry-After'), 'and in the body');

$r = $waiting[0][1];
is($r->status, 200, 'a batch');
is_deeply([ map { $_->{code} } $r->lines ],
          [ 'outcome_unknown', 'invalid_json' ], 'has it in the line');

ok($t->wait_for(sub { $t->event(event('s1', 'stall'))->status == 200 }),
   'the same again');
is($t->event(event('s2', 'stall'))->status, 200, 'and the other');
is(balance('stall'), 2, 'are credited once');


# ---- one that is not there ----

$t->redis_stop;
$t->event(event('d0', 'down'));

ok($t->wait_for(sub {
    $r = $t->event(event('d1', 'down'));
    return $r->status == 503;
}), 'Redis is down');
is($r->code, 'unavailable', 'so it says');
like($r->header('Retry-After'), qr/^\d+$/, 'and when to try again');

$r = $t->events([ map { event("d$_", 'down') } 1 .. 200 ]);
is($r->status, 200, 'a batch');
is(scalar(grep { $_->{status} == 503 && $_->{code} eq 'unavailable' }
          $r->lines), 200, 'has it in each line');

$t->redis_start;
ok($t->wait_for(sub { $t->event(event('d1', 'down'))->status == 200 }),
   'Redis is back');


# ---- leaving ----

is(($t->workers)[0], $worker, 'the worker has lived through it');

my $sock = $t->connect;
$t->redis_stall;
syswrite $sock, Loyalty::HTTP::format_request('POST', '/loyalty-in/events',
                                              text('q', 'quit'));
sleep 0.1;
kill 'QUIT', $t->pid;
sleep 0.2;
$t->redis_go;
$r = Loyalty::HTTP::exchange(10, [$sock, '']);
is($r->status, 200, 'who waits when nginx quits is answered');
ok($t->quit, 'and nginx quits');

done_testing();
