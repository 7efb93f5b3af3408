#!/usr/bin/perl

# Batches: arrays and NDJSON, each line a step and a result of its own, in
# order.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;

my $t = Loyalty::Test->new(program => <<'END', server => <<'END_SERVER');
wallet points;
money EUR 2;
earn purchase points 1 per=1.00;
earn once points 1;
END
client_max_body_size 4m;
END_SERVER

my $json = JSON::PP->new->utf8->canonical;
my $false = JSON::PP::false();
my $true = JSON::PP::true();
my $ndjson = 'application/x-ndjson';


sub event { return { id => $_[0], member => $_[1], type => 'once' } }


sub lines {
    my ($body) = @_;

    return $t->post('/loyalty-in/events', $body,
                    headers => { 'Content-Type' => $ndjson });
}


sub told {
    return join ' ', map { $_->{status} == 200
        ? "$_->{id}" . ($_->{duplicate} ? '*' : '') : $_->{code} } @_;
}


# ---- the two forms ----

my $r = $t->post('/loyalty-in/events',
                 [ event('a', 'm'), event('b', 'm'), event('a', 'm') ]);
is($r->status, 200, 'array: status');
is($r->header('Content-Type'), 'application/json', 'array: type');
is($r->header('Content-Length'), length $r->body, 'array: length');
like($r->header('X-Request-Id'), qr/^[0-9a-f]{32}$/, 'array: request id');
is_deeply($r->json, [
    { status => 200, id => 'a', member => 'm', duplicate => $false,
      effects => [ { type => 'points', wallet => 'points', amount => 1,
                     reason => 'earn once', balance => 1 } ],
      balances => { points => 1 } },
    { status => 200, id => 'b', member => 'm', duplicate => $false,
      effects => [ { type => 'points', wallet => 'points', amount => 1,
                     reason => 'earn once', balance => 2 } ],
      balances => { points => 2 } },
    { status => 200, id => 'a', member => 'm', duplicate => $true,
      effects => [ { type => 'points', wallet => 'points', amount => 1,
                     reason => 'earn once', balance => 1 } ],
      balances => { points => 1 } },
], 'array: results');

$r = $t->events([ event('c', 'm'), event('c', 'm') ]);
is($r->status, 200, 'NDJSON: status');
is($r->header('Content-Type'), $ndjson, 'NDJSON: type');
is($r->header('Content-Length'), length $r->body, 'NDJSON: length');
is(told($r->lines), 'c c*', 'NDJSON: results');
like($r->body, qr/\A[^\n]+\n[^\n]+\n\z/, 'NDJSON: a line each');

is($t->post('/loyalty-in/events', '[]')->body, '[]', 'an empty array');
is(lines('')->status, 200, 'no lines: status');
is(lines('')->body, '', 'no lines: none');
is(lines("\n\r\n \n")->body, '', 'only empty lines');
is($t->post('/loyalty-in/events', [ event('d', 'm') ])->json->[0]{id}, 'd',
   'an array of one');


# ---- where lines begin and end ----

my $e = $json->encode(event('e', 'm'));

is(told(lines($e)->lines), 'e', 'no line feed at the end');
is(told(lines("$e\n\n\n")->lines), 'e*', 'empty lines at the end');
is(told(lines("$e\r\n$e\r\n")->lines), 'e* e*', 'carriage returns');
is(told(lines("\n$e")->lines), 'invalid_json e*', 'an empty line in front');
is(told(lines("$e\n\n$e")->lines), 'e* invalid_json e*', 'one in between');
is(told(lines("$e$e\n")->lines), 'invalid_json', 'two events in a line');
is(told(lines("{\n\"id\":1}")->lines), 'invalid_json invalid_json',
   'an event in two lines');
is(told(lines("[$e]\n")->lines), 'invalid_field', 'an array in a line');
is($t->post('/loyalty-in/events', "$e\n$e")->code, 'invalid_json',
   'lines as JSON');
is($t->post('/loyalty-in/events', "[$e,")->code, 'invalid_json',
   'an array that is not closed has no effect at all');


# ---- problems ----

my @bad = (
    '{"id":' => 'invalid_json', 'null' => 'invalid_field',
    '{"id":"x","id":"y"}' => 'json_not_supported',
    '"\u0000"' => 'json_not_supported',
    '{"id":"x","member":"m","type":"once","amount":1}' => 'invalid_field',
    $json->encode({ %{event('a', 'm')}, quantity => 5 }) => 'event_conflict',
    '{"id":"x","member":"m","type":"once","data":{"a":"'
        . 'x' x 70_000 . '"}}' => 'too_large',
);

for (my $i = 0; $i < @bad; $i += 2) {
    my ($line, $code) = @bad[$i, $i + 1];
    my @lines = $t->events([ $line, event("f$i", 'm') ])->lines;

    is(told(@lines), "$code f$i", "$code in a line");
    is_deeply([ grep { !exists $lines[0]{$_} } qw(type title code status) ],
              [], "$code has the members of a problem");

    next if $code eq 'invalid_json' || $code eq 'json_not_supported';

    $r = $t->post('/loyalty-in/events', "[$line," . $json->encode(
        event("g$i", 'm')) . ']');
    is(told(@{$r->json}), "$code g$i", "$code in an array");
}

is(($t->events([ '{"id":"x","member":"m","type":"once","amount":1}' ])
    ->lines)[0]{pointer}, '/amount', 'a pointer into the event');


# ---- many ----

my (@events, @want, %balance);

for my $i (0 .. 999) {
    my $member = 'many' . $i % 37;

    if ($i % 10 == 3) {
        push @events, "{\"id\":$i";
        push @want, 'invalid_json';

    } elsif ($i % 10 == 5) {
        push @events, event("k$i", '');
        push @want, 'invalid_field';

    } elsif ($i % 10 == 7 && $i > 50) {
        # an event of some lines ago, under way or not
        my $k = $i - 37;
        $k -= 37 while $k % 10 == 3 || $k % 10 == 5 || $k % 10 == 7;
        push @events, { %{$events[$k]} };
        push @want, "k$k*";

    } else {
        push @events, { id => "k$i", member => $member, type => 'purchase',
                        amount => '1.00' };
        push @want, "k$i";
        $balance{$member}++;
    }
}

$r = $t->events(\@events);
is($r->status, 200, '1000 lines');
is_deeply([ map { told($_) } $r->lines ], \@want, 'results in order');

my $wrong = 0;
for my $member (sort keys %balance) {
    my $now = $t->event({ id => 'last', member => $member, type => 'x' })
                ->json->{balances}{points};
    $wrong++ if $now != $balance{$member};
}
is($wrong, 0, 'each credited once');

$r = $t->events(\@events);
is(scalar(grep { $_->{status} == 200 && !$_->{duplicate} } $r->lines), 0,
   'the same again changes nothing');
is(scalar($r->lines), 1000, 'and has as many results');

$r = $t->post('/loyalty-in/events', [ map { event("l$_", "l$_") } 1 .. 1000 ]);
is_deeply([ map { told($_) } @{$r->json} ], [ map { "l$_" } 1 .. 1000 ],
          'an array of 1000');

is(scalar(grep { $_->{status} == 400 }
          lines("x\n" x 1000)->lines), 1000, '1000 lines of nothing');

for my $body ([ map { event("o$_", 'o') } 1 .. 1001 ]) {
    $r = $t->post('/loyalty-in/events', $body);
    is($r->status, 413, 'an array of 1001: status');
    is($r->code, 'too_large', 'an array of 1001: code');
    like($r->json->{detail}, qr/1000/, 'an array of 1001: detail');

    $r = $t->events($body);
    is($r->status, 413, '1001 lines: status');
    is($r->code, 'too_large', '1001 lines: code');
    like($r->json->{detail}, qr/1000/, '1001 lines: detail');
}

is_deeply($t->event(event('o1', 'o'))->json->{duplicate}, $false,
          'nothing of them was done');


# ---- large lines, large replies ----

my @large = map { { %{event("p$_", 'p')}, data => { a => 'x' x 8000 } } }
            1 .. 400;
$r = $t->events(\@large);
is(told($r->lines), join(' ', map { "p$_" } 1 .. 400), 'a body of 3 MB');

my $long = 'y' x 128;
$r = $t->events([ map { event(substr("$_$long", 0, 128), $long) } 1 .. 1000 ]);
is(scalar(grep { $_->{status} == 200 } $r->lines), 1000, 'long ids');
cmp_ok(length $r->body, '>', 400_000, 'a long reply');


# ---- beside each other ----

my @replies = $t->parallel(
    (map { my $k = $_; [ 'POST', '/loyalty-in/events',
        join('', map { $json->encode(event("s$_", "s$_")) . "\n" } 1 .. 500),
        headers => { 'Content-Type' => $ndjson } ] } 1 .. 4),
    (map { [ 'POST', '/loyalty-in/events', event("s$_", "s$_") ] } 1 .. 50));

my %first;
for my $result ((map { $_->lines } @replies[0 .. 3]),
                (map { $_->json } @replies[4 .. $#replies]))
{
    $first{$result->{id}}++ if !$result->{duplicate};
}

is(scalar(keys %first), 500, 'batches and single ones of the same ids');
is(scalar(grep { $_ != 1 } values %first), 0, 'each the first once');

my $m = $t->metrics;
cmp_ok($m->{'nginx_loyalty_requests_total{program="shop",api="event",'
            . 'status="4xx",code="invalid_json"}'}, '>', 1000,
       'lines are counted one by one');

done_testing();
