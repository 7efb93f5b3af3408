#!/usr/bin/perl

# Instant wins over HTTP: what a play answers, what is refused and changes
# nothing, keys, what awards plays and what plays award, and what the member
# is shown.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Instant;
use Loyalty::Test;
use MIME::Base64 qw(decode_base64);
use Test::More;

# "redis ... split" has no rewards, no codes and no tickets of prizes; all
# else is the same

my $split = $ENV{LOYALTY_SPLIT};

sub at { return Loyalty::Instant::at(@_) }

my ($open, $close) = (at(-3600), at(86400 * 40));

my $t = Loyalty::Test->new(
    workers => 2,
    files => { secret => 'main:' . '5a' x 32 . "\n", staff => "boss\n" },
    server => <<'END',
location /fair/ { loyalty_proof shop; }
location /free/ { loyalty_member_api free; loyalty_member $http_x_member; }
END
    http => <<END,
loyalty_program free {
    redis unix:%%REDIS%%;
    secret_file %%TESTDIR%%/secret;
    unsafe_store on;
    idempotency optional;
    wallet points;
    instant_win open { open $open; close $close; draw odds;
                       prize a { odds 1/1; } }
}
END
    program => <<END);
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
wallet gems;
tier basic 0;
tier gold 1000;
earn purchase points 100;
earn jackpot points 1000;
earn find gems 1;
badge lucky;
@{[ $split ? '' : 'reward coffee { stock 100; }' ]}
challenge buyer { on visit; goal 1; every day; award plays token 2; }
streak daily { on visit; every day; award plays token 1 at=1; }
instant_win scratch {
    open $open; close $close;
    cost points 10; limit 5 per day; limit 7 per campaign;
    exclude_file %%TESTDIR%%/staff;
    draw odds;
    prize mug { stock 1000; odds 1/2; award points 4; }
    prize pen { odds 1/2; }
}
instant_win token {
    open $open; close $close; cost plays 1; draw deck blanks=0;
    prize all { stock 1000; award badge lucky;
                @{[ $split ? '' : 'award reward coffee;' ]}
                award plays token 1;
                @{[ $split ? '' : 'award tickets raffle 2;' ]} }
}
instant_win coded {
    open $open; close $close; draw odds; wins_per_member 2;
    prize code { stock 5; odds 1/1; @{[ $split ? '' : 'codes vouchers;' ]} }
}
instant_win later { open @{[at(3600)]}; close @{[at(7200)]}; draw odds;
                    prize a { odds 1/1; } }
instant_win gone { open @{[at(-7200)]}; close @{[at(-5)]}; draw odds;
                   prize a { odds 1/1; } }
instant_win short { open $open; close $close; draw deck blanks=2;
                    prize a { stock 1; } }
instant_win rich { open $open; close $close; draw odds; eligible tier = gold;
                   eligible balance.gems >= 1; prize a { odds 1/1; } }
instant_win web { open $open; close $close; draw odds;
                  eligible \$http_x_country in ES PT; prize a { odds 1/1; } }
sweepstakes raffle { open $open; close $close; prize trip { stock 1; } }
END

my %game = map { $_ => Loyalty::Instant->new($t, $_) }
           qw(scratch token coded later gone short rich web);
my $g = $game{scratch};
my $events = 0;

sub event {
    my ($member, $type) = @_;
    return $t->event({ id => 'e' . $events++, member => $member,
                       type => $type })->json;
}

sub refused {
    my ($r, $status, $code, $name) = @_;
    is($r->status . ' ' . ($r->code // ''), "$status $code", $name);
    return $r;
}

# nothing at all changes

sub untouched {
    my ($name, $status, $code, $game, @play) = @_;
    my $before = $g->everything;
    my $r = refused($game->play(@play), $status, $code, $name);

    is_deeply($g->everything, $before, "$name: nothing changed");

    return $r;
}


# ---- a play ----

event('ada', 'purchase');

my $r = $g->play('ada', 'one');
my $first = $r->json;

is($r->status, 200, 'a play');
is($r->header('Cache-Control'), 'no-store', 'which no cache keeps');
is($r->header('Idempotency-Replayed'), undef, 'is no repeat');

my $win = $first->{prize} eq 'mug' ? 4 : 0;

is($first->{game}, 'scratch', 'its game');
is($first->{outcome}, 'win', 'its outcome: all odds are 1 in sum');
is($first->{plays_left}, 4, 'how many are left');
is($first->{balances}{points}, 90 + $win, 'the balance');
is_deeply($first->{award},
          $win ? [{ wallet => 'points', amount => 4 }] : undef,
          'what was won with it');
is_deeply([map { $_->{type} } @{ $first->{effects} }],
          ['points', 'play', $win ? 'points' : ()], 'what changed');
is_deeply([@{ $first->{effects}[0] }{qw(amount reason balance)}],
          [-10, 'instant_win scratch', 90], 'the price');
is_deeply({ %{ $first->{effects}[1] } },
          { type => 'play', game => 'scratch', outcome => 'win',
            prize => $first->{prize}, plays_left => 4 }, 'the play');

my $record = pack 'H*', $first->{receipt}{record};

is($record, substr($g->log, 0, 189), 'the receipt is the record in the log');
is($first->{receipt}{campaign}, $g->{cid}, 'of this campaign');
is(unpack('H*', substr $record, 100, 16), $first->{play}, 'with its id');
is(length decode_base64($first->{receipt}{signature}), 64, 'signed');
$t->write_file('receipt', "nginx-loyalty/1 receipt\n"
               . "record $first->{receipt}{record}\n"
               . "signature $first->{receipt}{signature}\n");


# ---- keys ----

$r = $g->play('ada', 'one');
is($r->header('Idempotency-Replayed'), 'true', 'a repeat says so');
is_deeply($r->json, $first, 'and has the same result');

is_deeply([map { $_->json }
           $t->parallel(map { [$g->post('ada', 'many')] } 1 .. 20)]->[19],
          $g->play('ada', 'many')->json, 'twenty at once are one play');
is(length $g->log, 2 * 189, 'in the log');

$r = $g->play('ada', 'one', body => '{}', headers => {
    'Content-Type' => 'application/json' });
is($r->status, 200, 'an empty object is the same request');
refused($g->play('ada', 'one', body => { x => 1 }), 400, 'invalid_field',
        'a field');
refused($g->play('ada', undef, no_key => 1), 400, 'idempotency_key_required',
        'without a key');
refused($g->play('ada', ''), 400, 'idempotency_key_required',
        'with an empty one');
refused($g->play('ada', 'k' x 256), 400, 'invalid_field', 'of 256 bytes');
is($g->play('bea', 'k' x 255)->code, 'insufficient_balance', 'of 255');
refused($t->raw("POST /loyalty/games/scratch/plays HTTP/1.1\r\nHost: a\r\n"
                . "X-Member: ada\r\nIdempotency-Key: a\r\n"
                . "Idempotency-Key: b\r\nContent-Length: 0\r\n\r\n"),
        400, 'invalid_field', 'two keys');
refused($t->get('/loyalty/games/scratch/plays',
                headers => { 'X-Member' => 'ada' }), 405,
        'method_not_allowed', 'GET');
is($t->get('/loyalty/games/scratch/plays',
           headers => { 'X-Member' => 'ada' })->header('Allow'), 'POST',
   'says POST');
refused($g->play('ada', 'type', body => 'x', headers => {
    'Content-Type' => 'text/plain' }), 415, 'unsupported_type', 'a text');
refused($g->play('ada', 'json', body => '{', headers => {
    'Content-Type' => 'application/json' }), 400, 'invalid_json', 'half JSON');
refused($g->play('ada', 'array', body => '[]', headers => {
    'Content-Type' => 'application/json' }), 400, 'invalid_field',
    'an array');
refused($g->play('ada', 'large', body => '{"a":"' . 'x' x 70000 . '"}',
    headers => { 'Content-Type' => 'application/json' }), 413, 'too_large',
    'a large body');

my $anon = bless({ %$g, prefix => '/free/', name => 'open' }, ref $g);
my @free = map { $anon->play('zoe', undef, no_key => 1) } 1 .. 2;

is_deeply([map { $_->status } @free], [200, 200], 'where no key is needed');
isnt($free[0]->json->{play}, $free[1]->json->{play}, 'each is another play');


# ---- refused ----

untouched('no such game', 404, 'unknown_game',
          bless({ %$g, name => 'none' }, ref $g), 'ada', 'a');
untouched('a sweepstakes', 404, 'unknown_game',
          bless({ %$g, name => 'raffle' }, ref $g), 'ada', 'a');
untouched('before open', 409, 'not_open', $game{later}, 'ada', 'a');
untouched('after close', 409, 'closed', $game{gone}, 'ada', 'a');
untouched('without balance', 409, 'insufficient_balance', $g, 'bea', 'a');
untouched('without plays', 409, 'insufficient_balance', $game{token}, 'bea',
          'a');
untouched('excluded', 409, 'not_eligible', $g, 'boss', 'a');
untouched('another country', 409, 'not_eligible', $game{web}, 'ada', 'a',
          headers => { 'X-Country' => 'FR' });
is($game{web}->play('ada', 'b', headers => { 'X-Country' => 'PT' })->status,
   200, 'the right country');
untouched('the same request elsewhere is the same', 200, '', $game{web},
          'ada', 'b', headers => { 'X-Country' => 'FR' });

untouched('no tier', 409, 'not_eligible', $game{rich}, 'ada', 'a');
event('ada', 'jackpot');
untouched('no gems', 409, 'not_eligible', $game{rich}, 'ada', 'a');
event('ada', 'find');
is($game{rich}->play('ada', 'a')->status, 200, 'both');

is($g->play('ada', "day $_")->status, 200, 'within the limit') for 3 .. 5;
$r = untouched('over it', 409, 'limit_reached', $g, 'ada', 'day 6');
like($r->json->{retry_at}, qr/^\d{4}-\d\d-\d\dT00:00:00Z$/, 'until midnight');
is($g->play('ada', 'one')->status, 200, 'what was played is still known');

is($game{short}->play('ada', $_)->status, 200, 'a card') for 1 .. 3;
untouched('no card left', 409, 'sold_out', $game{short}, 'ada', 4);

if (!$split) {
untouched('no code there', 409, 'sold_out', $game{coded}, 'ada', 'a');

is($t->post('/loyalty-admin/codes/vouchers', "\"V1\"\n\"V2\"\n\"V3\"\n",
            headers => { 'Content-Type' => 'application/x-ndjson',
                         'Loyalty-Actor' => 'olga' })->status, 200,
   'codes are imported');
}

sub code {
    my ($r, $code, $name) = @_;
    return is($r->json->{code}, $split ? undef : $code, $name);
}

code($game{coded}->play('ada', 'a'), 'V1', 'a code');
code($game{coded}->play('ada', 'a'), 'V1', 'and once more');
code($game{coded}->play('ada', 'b'), 'V2', 'the next');
$r = $game{coded}->play('ada', 'c')->json;
is($r->{outcome}, 'lose', 'no more than two wins');
is($r->{code}, undef, 'without a code');
code($game{coded}->play('bea', 'a'), 'V3', 'which others get');


# ---- plays awarded, and what a play awards ----

my $token = $game{token};

is_deeply([map { [@$_{qw(game count)}] }
           grep { $_->{type} eq 'plays' } @{ event('cleo', 'visit')->{effects} }],
          [['token', 2], ['token', 1]], 'a challenge and a streak award plays');

$r = $token->play('cleo', 'a')->json;
is($r->{outcome}, 'win', 'a play of them');
is($r->{plays_left}, 3, 'one is used, one is won');
is_deeply($r->{award},
          [{ badge => 'lucky' }, $split ? () : { reward => 'coffee' },
           { game => 'token', plays => 1 },
           $split ? () : { sweepstakes => 'raffle', tickets => 2 }],
          'what it awards');
is_deeply([map { $_->{type} . ' ' . ($_->{count} // '') }
           @{ $r->{effects} }],
          ['plays -1', 'play ', 'badge ', $split ? () : 'reward ', 'plays 1',
           $split ? () : 'tickets 2'],
          'what changed');
is($t->get('/loyalty/sweepstakes/raffle',
           headers => { 'X-Member' => 'cleo' })->json->{tickets},
   $split ? 0 : 2, 'two tickets');

$r = $t->post('/loyalty-admin/games/token/grants',
              { member => 'dora', plays => 1, method => 'post' },
              headers => { 'Idempotency-Key' => 'grant',
                           'Loyalty-Actor' => 'olga' });
is($r->status, 200, 'a grant') or diag $r->body;
refused($t->post('/loyalty-admin/games/web/grants',
                 { member => 'dora', plays => 1 },
                 headers => { 'Idempotency-Key' => 'free' }), 400,
        'invalid_field', 'of a game that costs nothing');
is($token->play('dora', 'a')->status, 200, 'is a play');

is_deeply([map { [@$_{qw(game count)}] } grep { $_->{type} eq 'plays' }
           @{ $t->reversal('e' . ($events - 1), { id => 'back', member => 'cleo' })
              ->json->{effects} }],
          [['token', -2], ['token', -1]], 'a reversal takes plays back');
untouched('with none left', 409, 'insufficient_balance', $token, 'cleo', 'b');


# ---- what the member sees ----

my $me = $t->me('ada')->json;
my ($me_scratch) = grep { $_->{name} eq 'scratch' } @{ $me->{games} };

is_deeply([map { "$_->{name} $_->{state}" } @{ $me->{games} }],
          ['scratch open', 'token open', 'coded open', 'later not_open',
           'gone closed', 'short open', 'rich open', 'web open'],
          'the games');
is($me_scratch->{plays_left}, 0, 'plays left today');
is_deeply($me_scratch->{cost}, { wallet => 'points', amount => 10 },
          'the price');
is_deeply([map { "$_->{name} $_->{odds}" } @{ $me_scratch->{prizes} }],
          ['mug 1 in 2', 'pen 1 in 2'], 'the odds');

my ($me_token) = grep { $_->{name} eq 'token' }
                 @{ $t->me('cleo')->json->{games} };
is_deeply([@$me_token{qw(plays plays_left)}], [0, 0], 'plays of a member');
is_deeply($me_token->{cost}, { plays => 1 }, 'a price in plays');

my $short;

ok($t->wait_for(sub {
    ($short) = grep { $_->{name} eq 'short' } @{ $t->me('ada')->json->{games} };
    return ($short->{prizes}[0]{odds} // '') eq '0 of 0 cards left';
}), 'what is left of a deck') or diag explain $short;

my @history = @{ $t->history('ada', 'limit=100')->json->{history} };
my ($told) = grep { $_->{id} eq $first->{play} } @history;

is($told->{type}, 'play', 'the history has plays');
is_deeply($told->{effects}, $first->{effects}, 'with their effects');

# ---- in words ----

sub command {
    my ($name, @args) = @_;
    open my $out, '-|', $^X, "$FindBin::Bin/../bin/$name", '--redis',
         'unix:' . $t->dir . '/redis.sock', @args or die "$name: $!\n";
    local $/;
    return scalar <$out>;
}

my $words = command('loyalty-member', '--program', 'shop', 'ada');

like($words, qr/: play $first->{play} at /, 'loyalty-member knows plays');
like($words, qr/play 0 of instant_win scratch: won, row [01] of version 1, 4 left/,
     'tells their outcome');
like($words, qr/played 5 times, won 5 times, 0 plays awarded and not used/,
     'and the state of the game');
like(command('loyalty-member', '--program', 'shop', 'cleo'),
     qr/\+2 plays of instant_win token/, 'and plays that were awarded');


# ---- and what must hold of it all ----

$g->sound(stock => [1000, undef]);
$_->sound(stock => [1000]) for @game{qw(token coded short)};
Loyalty::Instant::fsck($t);

done_testing();
