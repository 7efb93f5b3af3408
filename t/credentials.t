#!/usr/bin/perl

# A credential that is forged, cut, sent again or expired changes nothing: all
# that Redis holds is the same before and after.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_hex);
use FindBin;
use JSON::PP ();
use MIME::Base64 qw(encode_base64url);
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Loyalty::Token;
use Test::More;

my $key = '1b' x 32;
my $other = '2c' x 32;
my $json = JSON::PP->new->utf8->canonical;
my %jwt = map { $_ => Loyalty::Token::key($_) } qw(RS256 ES256);
my $stranger = Loyalty::Token::key('ES256');

my $t = Loyalty::Test->new(
    files => { keys => "shop:$key\nnext:$other\n",
               'all.pem' => join('', map { $_->{public} } values %jwt) },
    program => <<'END',
wallet points negative=on;
earn   purchase points 1 per=1.00;
reward mug { cost points 5; stock 10; codes cups; }
END
    server => <<'END');
loyalty_signature key_file=keys;
loyalty_jwt key_file=all.pem;

location /in/    { loyalty_event_api shop; }
location /own/   { loyalty_event_api shop trusted; loyalty_signature off; }
location /admin/ { loyalty_admin_api shop; }
location /me/    { loyalty_member_api shop; loyalty_member $loyalty_jwt_sub; }
END

my ($n, $now) = (0, time);


# all keys and what they hold
sub state {
    my $redis = $t->redis;

    return { map { $_ => unpack 'H*', $redis->call('DUMP', $_) }
             grep { $_ ne 'loyalty:libraries' }
             @{$redis->call('KEYS', '*')} };
}


sub same {
    my ($before, $name) = @_;
    my $after = state();
    my @changed = grep { ($before->{$_} // '') ne ($after->{$_} // '') }
                  sort keys %{{ %$before, %$after }};

    return is("@changed", '', "$name: nothing has changed");
}


# a request as [method, uri, body, idempotency key], and what signs it
sub signed_text {
    my ($method, $uri, $body, $id) = @{$_[0]};

    return $uri =~ m{^/admin/} ? "$method $uri\n" . ($id // '') . "\n"
                                 . ($body // '')
                               : $body;
}


sub sign {
    my ($request, %opt) = @_;
    my $time = $opt{time} // $now;
    my $text = $opt{text} // signed_text($request);

    return "t=$time,v1=" . hmac_sha256_hex("$time.$text",
                                           pack 'H*', $opt{key} // $key);
}


sub call {
    my ($request, $signature) = @_;
    my ($method, $uri, $body, $id) = @$request;
    my $r = $t->request($method, $uri, $body, headers => {
        defined $signature ? ('Loyalty-Signature' => $signature) : (),
        defined $id ? ('Idempotency-Key' => $id) : (),
        defined $body ? ('Content-Type' => $body =~ /\}\n\{|^"/
                         ? 'application/x-ndjson' : 'application/json') : () });

    return $r->status . (defined $r->code ? ' ' . $r->code : '');
}


sub event {
    return $json->encode({ id => 'e' . ++$n, member => 'ada',
                           type => 'purchase', amount => '12.00', @_ });
}


# ---- signatures ----

is(call($_, sign($_)), 200, 'before') for
    ['POST', '/in/events', event(id => 'old-1')],
    ['POST', '/in/events', event(id => 'old-2')],
    ['POST', '/in/events', event(member => 'bob')];

my @requests = (
    ['an event', 'POST', '/in/events', event()],
    ['a batch', 'POST', '/in/events', event() . "\n" . event()],
    ['a reversal', 'POST', '/in/events/old-1/reversal',
     '{"id":"back-1","member":"ada"}'],
    ['an adjustment', 'POST', '/admin/members/ada/adjustments',
     '{"wallet":"points","amount":50,"reason":"gift"}', 'k1'],
    ['codes', 'POST', '/admin/codes/cups', '"C-1"' . "\n" . '"C-2"'],
    ['an erasure', 'DELETE', '/admin/members/bob', undef, 'k2'],
);

for (@requests) {
    my ($name, @request) = @$_;
    my $request = \@request;
    my $good = sign($request);
    my ($mac) = $good =~ /v1=(.*)/;
    my $before = state();
    my $body = $request[2];

    my %refused = (
        'no signature' => undef,
        'of a stranger' => sign($request, key => '3d' x 32),
        'one digit' => $good =~ s/(.)$/$1 eq '0' ? '1' : '0'/er,
        'another time' => $good =~ s/t=\d+/'t=' . ($now + 1)/er,
        'expired' => sign($request, time => $now - 310),
        'ahead' => sign($request, time => $now + 310),
        'of more' => sign($request, text => signed_text($request) . ' '),
        map({ ("cut to $_" => substr $good, 0, $_) }
            1, 13, 14, 18, length($good) - 2, length($good) - 1),
    );

    is(call($request, $refused{$_}), '403 invalid_signature', "$name: $_")
        for sort keys %refused;

    if (defined $body) {
        for my $cut (1, 2, length($body) - 1) {
            my @less = @request;
            $less[2] = substr $body, 0, length($body) - $cut;
            is(call(\@less, $good), '403 invalid_signature',
               "$name: the body without $cut bytes");
        }
    }

    same($before, "$name: forged, cut, expired");

    # on other paths, as other methods, for others
    for my $uri (grep { $_ ne $request[1] } map { $_->[2] } @requests,
                 [0, 0, '/in/events/old-2/reversal'],
                 [0, 0, '/admin/members/ada/adjustments?x'])
    {
        next if $request[1] =~ m{^/in/} && $uri eq '/in/events/old-2/reversal'
                && $name eq 'a reversal';
        unlike(call(['POST', $uri, @request[2, 3]], $good), qr/^200/,
               "$name: for $uri");
    }

    unlike(call(['DELETE', @request[1, 2, 3]], $good), qr/^200/,
           "$name: as DELETE") if $request[0] ne 'DELETE';
    unlike(call([@request[0 .. 2], 'k9'], $good), qr/^200/,
           "$name: another key") if $request[1] =~ /admin/;

    same($before, "$name: for something else");

    # sent again
    is(call($request, $good), 200, "$name: as it is");
    $before = state();
    like(call($request, $good), $request[1] =~ /admin/
         ? qr/^403 invalid_signature/ : qr/^200$/, "$name: again");
    like(call($request, "$good,v1=" . (sign($request, key => $other)
                                       =~ /v1=(.*)/)[0]),
         $request[1] =~ /admin/ ? qr/^403 invalid_signature/ : qr/^200$/,
         "$name: again, signed by two");
    same($before, "$name: again");
}

# whose path is not signed has an id
my $before = state();
my $back = ['POST', '/in/events/old-2/reversal',
            '{"id":"back-1","member":"ada"}'];
is(call($back, sign($back)), '409 event_conflict',
   'a reversal that was heard, for another event');
same($before, 'a reversal for another event');

# what has been done since stays done
is(call($_, sign($_)), 200, 'the member comes again')
    for ['POST', '/in/events', event(member => 'bob', id => 'new')];
$before = state();
my $erase = ['DELETE', '/admin/members/bob', undef, 'k2'];
is(call($erase, sign($erase)), '403 invalid_signature',
   'an erasure that was heard');
same($before, 'an erasure that was heard');

$erase = ['DELETE', '/admin/members/ada', undef, 'k3'];
is(call($erase, sign($erase)), 200, 'another erasure');
$before = state();
my $gift = [@{$requests[3]}[1 .. 4]];
is(call($gift, sign($gift)), '403 invalid_signature',
   'a gift that was heard, to who is gone');
same($before, 'a gift that was heard');
is(call($gift, sign($gift, time => $now + 1)), 200, 'signed again, it is done');


# an account that was erased does not begin anew with what was told of it
my @told = (
    ['POST', '/in/events', event(member => 'cat', id => 'cat-1')],
    ['POST', '/in/events', join "\n", map { event(member => 'cat') } 1 .. 40],
    ['POST', '/in/events/cat-1/reversal', '{"id":"cat-2","member":"cat"}'],
);
is(call($_, sign($_)), 200, 'told') for @told;
$erase = ['DELETE', '/admin/members/cat', undef, 'k4'];
is(call($erase, sign($erase)), 200, 'and erased');

for my $when ('gone', 'back') {
    $before = state();
    like(call($_, sign($_)), qr/^(?:200|409 event_conflict)$/,
         "$when: what was heard") for @told;
    same($before, "$when: what was heard");

    my $new = ['POST', '/in/events', event(member => 'cat', id => "n$when")];
    is(call($new, sign($new)), 200, "$when: what is new");
}

my $r = $t->post('/in/events', $told[1][2], headers => {
    'Loyalty-Signature' => sign($told[1]),
    'Content-Type' => 'application/x-ndjson' });
is((grep { $_->{code} eq 'event_conflict' } $r->lines), 40,
   'each line is told why');
is(call(['POST', '/own/events', $told[0][2]]), 200,
   'who needs no signature tells it');
my ($told) = grep { /:told$/ } @{$t->redis->call('KEYS', '*')};
my $left = $t->redis->call('PTTL', $told);
ok($left > 600_000 && $left <= 661_000, 'what is kept for it goes');
unlike($told . $t->redis->call('GET', $told), qr/cat/, 'and names nobody');


# ---- tokens ----

sub token { return Loyalty::Token::make(@_) }


sub redeem {
    my ($token, $id) = @_;
    my $r = $t->post('/me/rewards/mug/redemptions', '{}', headers => {
        Authorization => "Bearer $token", 'Idempotency-Key' => $id,
        'Content-Type' => 'application/json' });

    return $r->status . (defined $r->code ? ' ' . $r->code : '');
}


my $ada = { sub => 'ada' };
my $good = token($jwt{ES256}, $ada);
my ($head, $claims, $sig) = split /\./, $good;
my $eve = encode_base64url($json->encode({ sub => 'bob', exp => $now + 900 }));
my $none = encode_base64url('{"alg":"none"}');

my %refused = (
    'of a stranger' => token($stranger, $ada),
    'alg none' => "$none.$claims.",
    'alg none, signed' => "$none.$claims.$sig",
    'the public key as a secret' => token($jwt{RS256}{public}, $ada),
    'another alg' => token($jwt{ES256}, $ada, { alg => 'RS256' }),
    'claims of another' => "$head.$eve.$sig",
    'expired' => token($jwt{ES256}, { sub => 'ada', exp => $now - 20 }),
    'for ever' => token($jwt{ES256}, { sub => 'ada', exp => undef }),
    'not yet' => token($jwt{ES256}, { sub => 'ada', nbf => $now + 600 }),
    'twice the same claim' => token($jwt{ES256},
        '{"sub":"bob","sub":"ada","exp":' . ($now + 900) . '}'),
    map({ ("cut to $_" => substr $good, 0, $_) } grep { $_ % 29 == 1 }
        1 .. length($good) - 2),
);

$before = state();
is(redeem($refused{$_}, "r-$_"), '401 invalid_token', "a token: $_")
    for sort keys %refused;
same($before, 'tokens');

is(redeem($good, 'r1'), '200 C-1', 'a good one');
$before = state();
is(redeem($good, 'r1'), '200 C-1', 'again, under its key');
is(redeem($good, 'r1'), '200 C-1', 'and again');
same($before, 'a token again');
is(redeem($_, 'r1'), '401 invalid_token', 'a key that was used')
    for $refused{expired}, $refused{'of a stranger'};
same($before, 'a key that was used');


done_testing();
