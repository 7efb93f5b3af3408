#!/usr/bin/perl

# The event API: one event and its reply, repeats, ids, paths, methods,
# types.

use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;

binmode Test::More->builder->$_, ':utf8'
    for qw(output failure_output todo_output);

my $t = Loyalty::Test->new(program => <<'END', server => <<'END_SERVER');
wallet points;
wallet stars;
money EUR 2;
tier bronze 0;
tier silver 20;
tier gold 1000;
earn purchase points 1 per=1.00;
earn both points 2;
earn both stars 3;

challenge two {
    on     purchase;
    goal   2;
    award  points 5;
}

streak daily {
    on     visit;
    every  day;
    award  stars 1 at=1;
}
END
location /plain { loyalty_event_api shop trusted; }
location /old/ { rewrite ^/old/(.*)$ /loyalty-in/$1 last; }
END_SERVER


# ---- one event ----

my $r = $t->event({ id => 'a', member => 'm', type => 'purchase',
                    amount => '12.34' });

is($r->status, 200, 'status');
is($r->header('Content-Type'), 'application/json', 'type');
is($r->header('Content-Length'), length $r->body, 'length');
like($r->header('X-Request-Id'), qr/^[0-9a-f]{32}$/, 'request id');

my $first = {
    id => 'a', member => 'm', duplicate => JSON::PP::false(),
    effects => [
        { type => 'points', wallet => 'points', amount => 12,
          reason => 'earn purchase points', balance => 12 },
        { type => 'challenge', name => 'two', progress => 1, goal => 2,
          completed => JSON::PP::false() },
    ],
    balances => { points => 12, stars => 0 },
};

$first->{effects}[0]{reason} = $r->json->{effects}[0]{reason};
like($first->{effects}[0]{reason}, qr/^earn purchase/, 'the reason');

is_deeply($r->json, $first, 'reply');

$r = $t->event({ id => 'b', member => 'm', type => 'purchase',
                 amount => '8.00' });

is_deeply([ map { $_->{type} eq 'points' ? "$_->{amount} = $_->{balance}"
                : $_->{type} eq 'tier' ? ($_->{from} // '-') . ">$_->{to}"
                : "$_->{type} $_->{progress}" } @{$r->json->{effects}} ],
          [ '8 = 20', 'challenge 2', '5 = 25', 'bronze>silver' ],
          'effects in order, with the balance after each')
    or diag($r->body);
is($r->json->{effects}[2]{reason}, 'challenge two', 'an award and its reason');

$r = $t->event({ id => 'c', member => 'm', type => 'both' });
is_deeply($r->json->{balances}, { points => 27, stars => 3 }, 'two wallets');
is_deeply([ map { "$_->{wallet} $_->{amount} = $_->{balance}" }
            @{$r->json->{effects}} ],
          [ 'points 2 = 27', 'stars 3 = 3' ], 'a balance for each');

$r = $t->event({ id => 'd', member => 'm', type => 'nothing' });
is_deeply($r->json, { id => 'd', member => 'm', effects => [],
                      duplicate => JSON::PP::false(),
                      balances => { points => 27, stars => 3 } },
          'an event that touches no rule');

$r = $t->event({ id => 'd', member => 'somebody', type => 'nothing' });
is_deeply($r->json->{balances}, { points => 0, stars => 0 },
          'a member without any wallet has all of them');


# ---- again ----

$r = $t->event({ id => 'a', member => 'm', type => 'purchase',
                 amount => '12.34' });
is_deeply($r->json, { %$first, duplicate => JSON::PP::true() },
          'a repeat has the first result');

$r = $t->post('/loyalty-in/events', '{"type":"purchase", "amount":"12.34",'
              . '"member":"m","\u0069d":"a"}');
is_deeply($r->json, { %$first, duplicate => JSON::PP::true() },
          'in whatever order and spelling');

$t->event({ id => 'n', member => 'm', type => 'purchase', amount => '1.5' });
$r = $t->event({ id => 'n', member => 'm', type => 'purchase',
                 amount => '1.50' });
is($r->json->{duplicate}, JSON::PP::true(), '1.5 is 1.50');

$r = $t->event({ id => 'a', member => 'other', type => 'visit' });
is($r->status, 200, 'ids are those of the member');


# ---- the same id, other contents ----

my %full = (id => 'full', member => 'm', type => 'both', amount => '5.00',
            at => POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time - 60)),
            quantity => 2, channel => 'web', partner => 'acme',
            items => [ { sku => 's', category => 'c', quantity => 2,
                         amount => '1.00' }, { sku => 't' } ],
            data => { a => 'x', b => { c => 1, d => 2 } });

is($t->event(\%full)->json->{duplicate}, JSON::PP::false(), 'every field');
is($t->event(\%full)->json->{duplicate}, JSON::PP::true(), 'and again');

my %at = %full;
$at{at} =~ s/Z$/+00:00/;
is($t->event(\%at)->json->{duplicate}, JSON::PP::true(),
   'the same instant in another form');

my %other = (
    type => 'nothing', amount => '5.01', channel => 'app', partner => 'duff',
    at => POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time - 120)),
    quantity => 3, data => { a => 'x', b => { c => 1, d => 3 } },
    items => [ { sku => 's', category => 'c', quantity => 2,
                 amount => '1.00' }, { category => 't' } ],
);

for my $field (sort keys %other) {
    $r = $t->event({ %full, $field => $other{$field} });
    is($r->status, 409, "another $field: status");
    is($r->code, 'event_conflict', "another $field: code");

    my %less = %full;
    delete $less{$field};
    next if $field eq 'type';
    is($t->event(\%less)->code, 'event_conflict', "no $field");
}

is($t->event({ id => 'd', member => 'm', type => 'nothing',
               data => {} })->code, 'event_conflict', 'a field more');
is($t->event({ %full, items => [ reverse @{$full{items}} ] })->code,
   'event_conflict', 'items in another order');
is($t->event({ %full,
               items => [ { %{$full{items}[0]}, sku => 'st' },
                          { sku => '' } ] })->code,
   'invalid_field', 'nothing is glued together');

is($t->me('m')->json->{wallets}{points}{balance},
   $t->event({ id => 'd2', member => 'm', type => 'nothing' })
     ->json->{balances}{points}, 'conflicts changed nothing');


# ---- at once ----

my @replies = $t->parallel(map { [ 'POST', '/loyalty-in/events',
    { id => 'once', member => 'p', type => 'purchase', amount => '7.00' } ] }
    1 .. 100);

is(scalar(grep { $_->status == 200 } @replies), 100, '100 posts of one id');
is(scalar(grep { !$_->json->{duplicate} } @replies), 1, 'one is the first');
is($t->me('p')->json->{wallets}{points}{balance}, 7, 'credited once');
is(scalar(keys %{{ map { $_->header('X-Request-Id') => 1 } @replies }}), 100,
   'every request has an id of its own');

@replies = $t->parallel(map { [ 'POST', '/loyalty-in/events',
    { id => "x$_", member => 'q', type => 'purchase', amount => '1.00' } ] }
    1 .. 100);
is(scalar(grep { $_->status == 200 && !$_->json->{duplicate} } @replies), 100,
   '100 events of one member');
is($t->me('q')->json->{wallets}{points}{balance}, 105, 'all of them counted');


# ---- hostile ids ----

for my $id ("'; FLUSHALL; --", '"}]', "a\\b", '../../etc', '%00', '{tag}',
            '*', '$(x)', "\x{202e}abc", ' ', '..', "\x{1f4a9}", '%s%n',
            'a/b?c#d', "1:m", "~0~1", 'x' x 128)
{
    my $what = $id;
    utf8::encode($what);

    $r = $t->event({ id => $id, member => $id, type => 'both' });
    is($r->status, 200, "id $what");
    is($r->json->{id}, $id, "id $what comes back");
    is($r->json->{member}, $id, "member $what comes back");
    is($t->event({ id => $id, member => $id, type => 'both' })
         ->json->{duplicate}, JSON::PP::true(), "id $what again");

    $r = $t->reversal($id, { id => 'undo', member => $id });

    # what nginx takes for a step up is not this API's path any more
    if ($id =~ m{\A\.\.}) {
        isnt($r->status, 500, "reversal of $what: " . $r->status);
        next;
    }

    is($r->status, 200, "reversal of $what") or diag($r->body);
    is($r->json->{reverses}, $id, "reversal of $what names it");
    is($r->json->{balances}{stars}, 0, "reversal of $what takes it back");
}


# ---- paths ----

for my $path ('', 'event', 'events/', '/events', 'events/a', 'events/a/',
              'events/a/reversal/', 'events/a/reversals', 'events//reversal',
              'events/a/reversal/x', 'Events', 'events%2f',
              'events/' . 'x' x 129 . '/reversal', 'x/../events/')
{
    $r = $t->post("/loyalty-in/$path", { id => 'p', member => 'm',
                                         type => 'visit' });
    is($r->status, 404, "path '$path': status");
    is($r->code, 'unknown_path', "path '$path': code");
    ok($r->header('X-Request-Id'), "path '$path': request id");
}

for my $path ('/loyalty-in/events?x=1', '/loyalty-in/events?', '/plain/events',
              '/loyalty-in/%65vents', '/loyalty%2Din/events', '/old/events')
{
    $r = $t->post($path, { id => "p$path", member => 'm', type => 'visit' });
    is($r->status, 200, "path $path") or diag($r->body);
}

$r = $t->raw("POST http://localhost/loyalty-in/events HTTP/1.1\r\n"
             . "Host: localhost\r\nContent-Type: application/json\r\n"
             . "Content-Length: 38\r\nConnection: close\r\n\r\n"
             . '{"id":"abs","member":"m","type":"any"}');
is($r->status, 200, 'an absolute URI') or diag($r->raw);

is($t->post('/plainevents', '{}')->status, 404, 'a prefix that goes on');
is($t->post('/loyalty-in/events/%01/reversal', {})->code, 'invalid_field',
   'a control character in the path');
is($t->post('/loyalty-in/events/%ff/reversal', {})->code, 'invalid_field',
   'a path that is not UTF-8');


# ---- methods ----

for my $method (qw(GET HEAD PUT DELETE PATCH OPTIONS BREW)) {
    for my $path ('events', 'events/a/reversal') {
        $r = $t->request($method, "/loyalty-in/$path", undef);
        is($r->status, 405, "$method $path: status");
        is($r->header('Allow'), 'POST', "$method $path: Allow");
        is($r->code, $method eq 'HEAD' ? undef : 'method_not_allowed',
           "$method $path: code");
        ok($r->header('X-Request-Id'), "$method $path: request id");
    }
}


# ---- types ----

for my $type ('application/json', 'Application/JSON',
              'application/json; charset=utf-8', 'application/json ; x=y',
              'application/json;charset=latin-1')
{
    is($t->event({ id => "t$type", member => 'm', type => 'visit' },
                 headers => { 'Content-Type' => $type })->status, 200, $type);
}

for my $type (undef, '', 'text/plain', 'application/jsonp', 'application/jso',
              'application/json x', 'application/xml', 'multipart/form-data',
              'application/x-www-form-urlencoded', 'application/x-ndjsonx',
              'application/ndjson')
{
    my $what = $type // 'no type';

    $r = $t->event({ id => "t$what", member => 'm', type => 'visit' },
                   headers => { 'Content-Type' => $type });
    is($r->status, 415, "$what: status");
    is($r->code, 'unsupported_type', "$what: code");
    like($r->json->{detail}, qr{application/json or application/x-ndjson},
         "$what: detail");
}

is($t->reversal('a', { id => 'r', member => 'm' },
                headers => { 'Content-Type' => 'application/x-ndjson' })
     ->code, 'unsupported_type', 'reversals are no lines');


# ---- problems ----

$r = $t->event({ id => 'a', member => 'm', type => 'visit' });
is($r->header('Content-Type'), 'application/problem+json', 'problem: type');
is($r->header('Content-Length'), length $r->body, 'problem: length');
is_deeply([ sort keys %{$r->json} ], [ qw(code detail status title type) ],
          'problem: members');
is($r->json->{status}, 409, 'problem: status');
like($r->json->{type}, qr/:event_conflict$/, 'problem: type member');


# ---- counters ----

my $m = $t->metrics;
cmp_ok($m->{'nginx_loyalty_events_total{program="shop"}'} // 0, '>', 130,
       'events are counted') or diag(join "\n", sort keys %$m);
cmp_ok($m->{'nginx_loyalty_duplicates_total{program="shop"}'} // 0, '>=', 100,
       'duplicates are counted');
cmp_ok($m->{'nginx_loyalty_rules_matched_total{program="shop"}'} // 0, '>',
       120, 'matched rules are counted');

done_testing();
