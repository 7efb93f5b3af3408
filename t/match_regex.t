#!/usr/bin/perl

# Regular expressions on what comes from outside: bounded, whatever the text,
# and never the cause of a failed event.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;
use Time::HiRes qw(time);

my $t = Loyalty::Test->new(program => <<'END');
wallet points;

challenge always   { on buy; goal 1000; }
challenge runaway  { on buy; match word ~ "^(a+)+$"; goal 1000; }
challenge nested   { on buy; match word ~ "^((a|aa)+)+!$"; goal 1000; }
challenge backref  { on buy; match word ~ "(.+)(.+)(.+)\\1\\2\\3x"; goal 1000; }
challenge plain    { on buy; match word ~ "b$"; goal 1000; }
challenge items    { on buy; match item.sku ~ "^(a+)+$"; goal 1000; }
challenge variable { on buy; match $http_x_word ~ "^[a-z]+$"; goal 1000; }
challenge any      { on buy; match $http_x_word ~ "."; goal 1000; }
challenge steps    { on buy; match word ~ "^(?:(a+)+z|a+c)$"; goal 1000; }
challenge depth    { on buy; match word ~ "(*NO_JIT)^(?:a|d)+d$"; goal 1000; }
END

my $id = 0;


sub names {
    my ($event, %opt) = @_;

    my $response = $t->event({ id => 'e' . ++$id, member => 'm',
                               type => 'buy', %$event }, %opt);

    is($response->status, 200, "event $id: 200") or diag($response->body);

    return [ map { $_->{name} } grep { $_->{type} eq 'challenge' }
             @{ $response->json->{effects} } ];
}


# ---- patterns that need ages for a chosen text ----

is_deeply(names({ data => { word => 'aaaa' } }), [qw(always runaway)],
          'the pattern works');

my $evil = 'a' x 60 . 'b';

{
    my $begin = time;
    my $names = names({ data => { word => $evil } });

    is_deeply([ grep { !/backref/ } @$names ], [qw(always plain)],
              'a runaway does not match, the other rules do');
    cmp_ok(time - $begin, '<', 2, 'and is soon over');
}

my $gave_up = 'of challenge runaway gave up and did not match: match limit '
              . 'exceeded';

ok($t->wait_log(qr/expression "\^\(a\+\)\+\$" $gave_up.* in \S*:4/, 5),
   'it is logged');

{
    my $begin = time;

    for (1 .. 30) {
        names({ data => { word => $evil } });
    }

    cmp_ok(time - $begin, '<', 10, 'thirty of them are soon over');

    my $lines = () = $t->log =~ /gave up and did not match/g;

    cmp_ok($lines, '<=', int(time - $begin) + 3,
           'and are logged once a second at most');
}

{
    my $begin = time;
    my $names = names({ items => [ map { { sku => $evil } } 1 .. 100 ] });

    is_deeply($names, [qw(always)], 'a hundred items of that kind');
    cmp_ok(time - $begin, '<', 2, 'are not tried one by one');
}

is_deeply(names({ data => { word => 'b' x 4096 } }), [qw(always plain)],
          'a long text');
is_deeply(names({ data => { word => 'b' x 4097 } }), [qw(always)],
          'a text that is too long matches nothing');


# ---- texts that would match with more steps, or deeper ----

is_deeply(names({ data => { word => 'aaac' } }), [qw(always steps)],
          'few steps');
is_deeply(names({ data => { word => 'a' x 20 . 'c' } }), [qw(always)],
          'too many steps');
is_deeply(names({ data => { word => 'a' x 200 . 'd' } }), [qw(always depth)],
          'not deep');
is_deeply(names({ data => { word => 'a' x 2000 . 'd' } }), [qw(always)],
          'too deep');


# ---- bytes that are no UTF-8 ----

is_deeply(names({}, headers => { 'X-Word' => 'word' }),
          [qw(always variable any)], 'a variable');
is_deeply(names({}, headers => { 'X-Word' => "\xff\xfe" }), [qw(always)],
          'bytes that are no text match nothing');
is_deeply(names({}, headers => { 'X-Word' => "\xc3\xa9" }), [qw(always any)],
          'one character of two bytes');
is_deeply(names({}), [qw(always)], 'no header, no match');

done_testing();
