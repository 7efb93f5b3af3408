#!/usr/bin/perl

# The member API and values that the module did not write: an answer always,
# never a crash.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../bin/lib";

use Loyalty::Member;
use Loyalty::MsgPack;
use Loyalty::Test;
use Test::More;


my $t = Loyalty::Test->new(program => <<'END');
money EUR 2;
timezone Europe/Madrid;
max_event_age 7d;
wallet points;
tier bronze 0;
tier silver 10 multiplier=1.5;
earn purchase points 1 per=1.00;
challenge once { on purchase; goal 2; award points 7; }
challenge monthly { on purchase; goal 50.00 of amount; every month; }
challenge sorts { on purchase; goal 3 distinct item.sku; window 7d; }
challenge offer { on purchase; goal 3; opens_on offer; window 2d; }
streak days { on purchase; every day; freeze 2; award points 1 at=2; }
streak weeks { on purchase; every week; award points 1 every=2; }
END

my $redis = $t->redis;
my $key = Loyalty::Member::key('shop', 'm', 'anna');

is($t->event({ id => 'o', member => 'anna', type => 'offer' })->status, 200,
   'an offer');
is($t->event({ id => "p$_", member => 'anna', type => 'purchase',
               items => [{ sku => "sku $_", amount => "$_.00" }] })->status,
   200, "purchase $_") for 1 .. 4;
is($t->reversal('p3', { member => 'anna', id => 'r' })->status, 200,
   'a reversal');

my $value = $redis->call('GET', $key);

# the values of its head, and where its records begin
my (@head, $behind);

sub take {
    for (1 .. $_[0]) {
        (my $v, $behind) = Loyalty::MsgPack::decode_at($value, $behind // 0);
        push @head, $v;
    }

    return;
}

take(7);
take(length $head[5]);
take(length($head[6]) / 4);

# a state is a string of values: they are changed one by one, too
for my $v (@head[7 + length $head[5] .. $#head]) {
    $v = bless [ Loyalty::MsgPack::decode_all($v) ], 'State'
        if !ref $v && $v !~ /^\xc1/;
}


sub encode {
    my ($v) = @_;

    return Loyalty::MsgPack::encode(ref $v eq 'State'
        ? join '', map { Loyalty::MsgPack::encode($_) } @$v : $v);
}


# one connection for all
my $sock;

sub ask {
    my ($path) = @_;

    $sock = $t->connect if !defined $sock;
    print $sock "GET /loyalty/$path HTTP/1.1\r\nHost: a\r\n"
                . "X-Member: anna\r\n\r\n";

    local $/ = "\r\n\r\n";

    my $headers = <$sock> // '';
    my ($status) = $headers =~ /^HTTP\/1\.1 (\d+) /;
    my ($length) = $headers =~ /^Content-Length: (\d+)\r$/mi;
    my $body = '';

    read $sock, $body, $length if defined $length;
    undef $sock if ($status // 0) == 0 || $headers =~ /^Connection: close/mi;

    return ($status // 0, $body);
}


is((ask('me'))[0], 200, 'me of a good value');
is((ask('me/history'))[0], 200, 'its history');


# ---- what is told, and to whom ----

for my $case (['', 'nothing'], ['x', 'a byte'], ["\x90", 'an empty array'],
              [substr($value, 0, $behind - 1), 'a head cut off'],
              ["\xc1" x 100, 'no msgpack'], ["\xdd\xff\xff\xff\xff", 'a lie'],
              ["\x91" x 5000, 'deep arrays'])
{
    my ($bytes, $name) = @$case;

    $redis->call('SET', $key, $bytes);

    my ($status, $body) = ask('me');

    is($status, 500, "$name: 500");
    like($body, qr/"code":"internal"/, "$name: a problem");
    is((ask('me/history'))[0], 500, "$name: history");
}

like($t->log, qr/\[error\].*"\Q$key\E" in Redis is damaged/,
     'the log names the key');

$redis->call('DEL', $key);
$redis->call('HSET', $key, 'a', 'b');
is((ask('me'))[0], 500, 'a key of another type');
$redis->call('DEL', $key);


# ---- changed numbers: each place of the head gets values of any size ----

my @values = (0, 1, -1, 63, 64, 65, 2**31, -2**31, 2**53 - 1, -(2**53 - 1),
              9223372036854775807, -9223372036854775807 - 1, 1.5, -1e300,
              9**9**9, -sin(9**9**9), 'text', '', undef, [], [1], {},
              $Loyalty::MsgPack::TRUE, $Loyalty::MsgPack::FALSE);

my (%seen, @wrong);

sub try {
    my ($bytes, $what) = @_;

    $redis->call('SET', $key, $bytes);

    for my $path ('me', 'me/history') {
        my ($status, $body) = ask($path);

        $seen{"$path $status"}++;
        push @wrong, "$what: $path $status"
            if $status != 200 && $status != 500;
        push @wrong, "$what: $path is no JSON: $body"
            if !eval { JSON::PP->new->utf8->decode($body); 1 };
    }

    return;
}


sub change_each {
    my ($node, $what) = @_;

    for my $i (0 .. $#$node) {
        my $old = $node->[$i];

        for my $v (0 .. $#values) {
            $node->[$i] = $values[$v];
            try(join('', (map { encode($_) } @head),
                     substr $value, $behind), "$what $i value $v");
        }

        $node->[$i] = $old;
        change_each($old, "$what $i") if ref($old) =~ /^(?:ARRAY|State)$/;
    }

    return;
}


change_each(\@head, 'head');

is_deeply(\@wrong, [], 'an answer for each');
cmp_ok($seen{'me 200'}, '>', 100, 'some are numbers like others');
cmp_ok($seen{'me 500'}, '>', 100, 'others are refused');


# ---- changed bytes ----

@wrong = ();
srand 20261122;

for my $n (1 .. 1500) {
    my $bytes = $value;

    for (0 .. rand 3) {
        substr $bytes, rand length $bytes, 1, chr rand 256;
    }

    $bytes = substr $bytes, 0, rand length $bytes if rand() < 0.1;

    try($bytes, "bytes $n");
}

is_deeply(\@wrong, [], 'an answer for any bytes');


# ---- and whole again ----

$redis->call('SET', $key, $value);
is((ask('me'))[0], 200, 'me');
is((ask('me/history'))[0], 200, 'history');
is($t->event({ id => 'last', member => 'anna', type => 'offer' })->status,
   200, 'an event');

unlike($t->log, qr/exited on signal/, 'no worker died');

done_testing();
