#!/usr/bin/perl

# What loyalty_observe cannot take: it is counted by its reason, told once a
# second, and harms nothing, whatever is in it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;
use Time::HiRes qw(sleep time);

my $t = Loyalty::Test->new(workers => 2, program => <<'END',
money EUR 2;
wallet points;
earn visit points 1;
earn purchase points 1 per=1.00;
earn purchase points 1 match note ~ "^x";
earn agent points 1 match $http_user_agent ~ "shop";
END
    http => 'large_client_header_buffers 8 32k;', server => <<'END');
location = /visit {
    loyalty_observe shop visit member=$http_m id=$http_i;
    return 200 "fine\n";
}
location = /purchase {
    loyalty_observe shop purchase member=$http_m id=$http_i amount=$http_a
                    quantity=$http_q data.note=$http_n channel=$http_c;
    return 200 "fine\n";
}
location = /agent {
    loyalty_observe shop agent member=$http_m id=$http_i;
    return 200 "fine\n";
}
END

my $n = 0;


sub metric {
    my ($name, $labels) = @_;

    $labels = defined $labels ? ",$labels" : '';
    return $t->metrics->{"nginx_loyalty_$name\{program=\"shop\"$labels}"};
}


sub refused { return metric(observed_refused_total => "reason=\"$_[0]\"") }


sub balance {
    my ($member) = @_;

    my $me = $t->get('/loyalty/me', headers => { 'X-Member' => $member });
    return $me->status == 200
        ? $me->json->{wallets}{points}{balance} : $me->status;
}


# served as always, and refused for this reason
sub refuse {
    my ($what, $reason, $uri, %headers) = @_;

    my $before = refused($reason);
    my $observed = metric('observed_total');
    my $response = $t->get($uri, headers => \%headers);

    is($response->status, 200, "$what: the page is served");
    is($response->body, "fine\n", 'as it is');
    ok($t->wait_for(sub { refused($reason) == $before + 1 }, 3),
       "it is refused as $reason");
    is(metric('observed_total'), $observed, 'and not taken');

    return;
}


# ---- members and ids, all of them harmless ----

for my $member ('"', "'; DROP", '{shop:0.3}', '{', '}', '{}', '\\', '\\n', '%s',
                "caf\xc3\xa9", "\xe2\x98\x95", 'a b', '<b>', '$http_m',
                '}:m:3:ada', '*', '../../etc', 'x' x 128) {
    my $id = 'good' . ++$n;

    is($t->get('/visit', headers => { M => $member, I => $id })->status, 200,
       "member $member");
    ok($t->wait_for(sub { balance($member) == 1 }, 3), 'is credited');
    is($t->get('/visit', headers => { M => 'ids', I => $member })->status, 200,
       'and as an id');
}

ok($t->wait_for(sub { balance('ids') == 18 }, 3), 'ids are told apart');
is(refused($_), 0, "none is refused as $_")
    for qw(invalid_member invalid_id too_large);

my @keys = grep { /:m:/ } @{$t->redis->call('KEYS', '*')};
is(scalar @keys, 19, 'a key for each member');
like($_, qr/^\{shop:\d+\.\d+\}:m:\d+:/, 'in a slot of the program') for @keys;


# ---- those that are none ----

refuse("a member with byte $_->[0]", 'invalid_member', '/visit',
       M => "a$_->[1]b", I => 'i' . ++$n)
    for ['01', "\x01"], ['1b', "\x1b[31m"], ['7f', "\x7f"], ['09', "\t"],
        ['85 of C1', "\xc2\x85"], ['e9 of Latin-1', "\xe9"],
        ['c0 80', "\xc0\x80"], ['ed a0 80', "\xed\xa0\x80"],
        ['cut', "\xe2\x98"];

refuse('a member of 129 bytes', 'invalid_member', '/visit', M => 'x' x 129,
       I => 'i' . ++$n);
refuse('a member of 300 bytes', 'invalid_member', '/visit', M => 'x' x 300,
       I => 'i' . ++$n);
refuse('a member of 8 kB', 'invalid_member', '/visit', M => '{' x 8192,
       I => 'i' . ++$n);
refuse('no member', 'no_member', '/visit', I => 'i' . ++$n);
refuse('an empty member', 'no_member', '/visit', M => '', I => 'i' . ++$n);
refuse('no id', 'no_id', '/visit', M => 'ada');
refuse('a bad id', 'invalid_id', '/visit', M => 'ada', I => "\x02");
refuse('an id of 8 kB', 'invalid_id', '/visit', M => 'ada', I => 'i' x 8192);

my %good = (M => 'ada', A => '1.00', Q => 1);

refuse("the amount \"$_\"", 'invalid_amount', '/purchase', %good,
       I => 'i' . ++$n, A => $_)
    for '', '12,50', '1.005', '-1.00', '+1', '1e3', '0x10', '1 0', '01', '.5',
        '1.', 'NaN', '90071992547409.92', '9' x 8192;
refuse('no amount', 'invalid_amount', '/purchase', %good, I => 'i' . ++$n,
       A => undef);
refuse("the quantity \"$_\"", 'invalid_quantity', '/purchase', %good,
       I => 'i' . ++$n, Q => $_) for '', '0', '1.5', 'one', '-1', '1' x 17;
refuse('a channel of 129 bytes', 'invalid_text', '/purchase', %good,
       I => 'i' . ++$n, C => 'c' x 129);
refuse('a note that is no text', 'invalid_text', '/purchase', %good,
       I => 'i' . ++$n, N => "\xff");
refuse('a note of 8 kB', 'invalid_text', '/purchase', %good,
       I => 'i' . ++$n, N => 'n' x 8192);
refuse('a note that does not fit', 'too_large', '/purchase', %good,
       I => 'i' . ++$n, N => 'n' x 1000);
refuse('a variable of 8 kB', 'too_large', '/agent', %good, I => 'i' . ++$n,
       'User-Agent' => 'shop' x 2048);

is(balance('ada'), 0, 'nothing of it counted');
is($t->get('/purchase', headers => { %good, I => 'last', N => 'x' x 900 })
   ->status, 200, 'one that fits');
ok($t->wait_for(sub { balance('ada') == 2 }, 3), 'is credited');


# ---- what is told ----

my $log = $t->log;
like($log, qr/"purchase" was not observed: the amount is no decimal number /,
     'what');
like($log, qr/: "12,50", reason: invalid_amount, |: "", reason: invalid_amount/,
     'why');
like($log, qr/, \d+ more since the last such line, in \S+nginx.conf:\d+ while/,
     'how often, and where');
like($log, qr/\[info\].*was not observed: there is no member/,
     'that nobody is signed in is no warning');
unlike($log, qr/[^\x20-\x7e\n]/, 'nothing but printable lines');
unlike($log, qr/not observed.*x{100}/, 'a long value is cut');

sub lines { return scalar(() = $t->log =~ /reason: no_id/g) }

# the second may change once on the way
sleep 1.1;
my $lines = lines();
my $second = int time;
my $silent = refused('no_id');
$t->parallel(map { [ GET => '/visit', undef, headers => { M => 'ada' } ] }
             1 .. 30) for 1 .. 2;
ok($t->wait_for(sub { refused('no_id') == $silent + 60 }, 3),
   'all are counted, by both workers');
my $seconds = int(time) - $second + 1;
cmp_ok(lines() - $lines, '>=', 1, 'it is told');
cmp_ok(lines() - $lines, '<=', $seconds, 'once a second');
sleep 1.1;
$t->get('/visit', headers => { M => 'ada' });
ok($t->wait_for(sub {
    my $sum = 0;
    $sum += 1 + $_ for $t->log =~ /reason: no_id, (\d+) more/g;
    return $sum == $silent + 61;
}, 3), 'and how many others there were');


# ---- the same id with other contents ----

$t->get('/purchase', headers => { %good, I => 'last', A => '2.00' });
ok($t->wait_for(sub { refused('event_conflict') == 1 }, 3),
   'another purchase under the same id is a conflict');
like($t->log, qr/"purchase" with the id "last" of member "ada" is given up, /,
     'and is told');
is(balance('ada'), 2, 'it changed nothing');


# ---- too much for a number ----

$t->get('/purchase', headers => { M => 'rich', I => $_, Q => 1,
                                  A => '90071992547409.91' }) for 1 .. 101;
ok($t->wait_for(sub { refused('limit_reached') == 1 }, 5),
   'a balance that would pass 2^53');
is(metric('ring_used_slots'), 0, 'the ring is empty');
is(metric('observed_total'),
   metric('observed_credited_total') + metric('observed_duplicates_total')
   + refused('event_conflict') + refused('limit_reached'),
   'each is accounted for');

done_testing();
