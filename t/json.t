#!/usr/bin/perl

# What is JSON, what is JSON of a kind that is refused, and that neither
# harms: any bytes get a 2xx or a 4xx.

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
END
client_max_body_size 2m;
END_SERVER

my $suite = "$FindBin::Bin/../../shared/data/JSONTestSuite/test_parsing";


sub code {
    my ($text) = @_;
    my $r = $t->post('/loyalty-in/events', $text);

    return 'closed' if !$r->status;
    return 'ok' if $r->status == 200;
    return $r->status . ' ' . ($r->code // $r->body);
}


sub nested { return ('[' x $_[0]) . (']' x $_[0]) }


# ---- not JSON ----

my $event = '"id":"a","member":"m","type":"visit"';

for my $text ('', ' ', "\n", '{', '[', '{"a"}', '{"a":}', '{"a":1,}', '[1,]',
              '[,1]', '{a:1}', "{'a':1}", '{"a":1}}', '[1]]', '{} x', '01',
              '1.', '.5', '+1', '1e', '0x10', 'NaN', 'Infinity', 'nul', 'TRUE',
              '"a', "\"a\tb\"", '"\x61"', '"\u00"', '"\ud800"', '"\udc00"',
              '"\ud800\u0041"', '"\udbff\udbff"', "\"\xff\"", "\"\xc0\xaf\"",
              "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\xef\xbb\xbf{}",
              "123\0", "{\"a\":1\0}", "\"a\0b\"", "{}\0", "{}\x0c",
              '{"a":1 /* x */}', '{"a":1}//', '[' x 100_000,
              '{"a":' x 50_000, "{$event", "{$event}{$event}",
              "{$event},{$event}", '1e999', '[-1e999]',
              '99999999999999999999999999')
{
    my $shown = length $text > 40 ? substr($text, 0, 20) . '...' : $text;
    $shown =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;

    is(code($text), '400 invalid_json', "not JSON: $shown");
}


# ---- JSON that is refused ----

for my $text ('{"a":1,"a":1}', '{"a":1,"b":{"c":1,"c":2}}', '[{"a":1,"a":2}]',
              '{"\u0061":1,"a":2}', '"\u0000"', '{"a":"x\u0000y"}',
              '{"\u0000":1}', "{$event,\"type\":\"visit\"}", nested(33),
              nested(100), nested(2100), nested(5000))
{
    my $shown = length $text > 40 ? substr($text, 0, 20) . '...' : $text;

    is(code($text), '400 json_not_supported', "refused: $shown");
}


# ---- JSON that is no event ----

for my $text ('null', 'true', 'false', '0', '-1', '1.5', '""', '"event"',
              ' 1 ', "\"\\\"\"", '{}', "{\"a\":\"\\ud83d\\ude00\"}")
{
    is(code($text), '400 invalid_field', "no event: $text");
}

is(code('[]'), 'ok', 'an empty array');
is(code(nested(32)), 'ok', 'an array of an array');
is(code("\r\n\t {$event}\n"), 'ok', 'white space around');

my $r = $t->post('/loyalty-in/events', '"event"');
is($r->json->{pointer}, '', 'the pointer to the whole document');
is($r->json->{detail}, 'an object is expected', 'and what is expected');

$r = $t->post('/loyalty-in/events', "{\n\"a\": x}");
like($r->json->{detail}, qr/^line 2, column \d+: /, 'where it is not JSON');

for my $text ("{\n\"a\": \"\\u0000\"}", "{\n\"\\u0000\": 1}") {
    $r = $t->post('/loyalty-in/events', $text);
    like($r->json->{detail}, qr/^line 2, column \d+: \\u0000 in a string\z/,
         'what is not supported, and where');
}

is($t->post('/loyalty-in/events', '')->json->{detail}, 'it is empty',
   'no text at all');


# ---- a suite of other people's ideas ----

SKIP: {
    skip('no JSONTestSuite', 1) if !-d $suite;

    my %refused = map { $_ => 1 } qw(
        y_object_duplicated_key.json y_object_duplicated_key_and_value.json
        y_object_escaped_null_in_key.json y_string_null_escape.json);

    my $n = 0;

    for my $path (sort glob "$suite/*.json") {
        my ($name) = $path =~ m{([^/]+)\z};
        open my $fh, '<:raw', $path or die "$path: $!";
        my $text = do { local $/; <$fh> } // '';
        $n++;

        my $got = code($text);
        my $want = $name =~ /^n_/ ? qr/^400 invalid_json\z/
                 : $refused{$name} ? qr/^400 json_not_supported\z/
                 : $name =~ /^y_/ ? qr/^(?:ok|400 invalid_field)\z/
                 : qr/^(?:ok|4\d\d [a-z_]+)\z/;

        like($got, $want, $name);

        # the same as a line among others

        next if $text =~ /\n/ || length $text > 60_000;

        my @lines = $t->events([$text, "{$event}"])->lines;
        my $line = $lines[0];

        # empty lines count only in the middle
        if (@lines == 2) {
            my $said = !ref $line ? '' : $line->{status} == 200 ? 'ok'
                     : "$line->{status} $line->{code}";
            like($said, $name =~ /^n_/ || $refused{$name} ? $want
                        : qr/^(?:ok|4\d\d [a-z_]+)\z/, "$name in a line");
        } else {
            fail("$name in a line: " . @lines . " results");
        }
    }

    cmp_ok($n, '>', 300, "$n files");
}

done_testing();
