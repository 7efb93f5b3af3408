#!/usr/bin/perl

# Sweepstakes over HTTP: entering, what the receipt proves, what is refused
# and what the member is shown; tickets that events award and reversals void.

use strict;
use warnings;
no warnings 'portable';

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../bin/lib";

use JSON::PP ();
use Loyalty::Fairness;
use Loyalty::MsgPack;
use Loyalty::Sweeps;
use Loyalty::Test;
use MIME::Base64 qw(decode_base64);
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(time);

# with "redis ... split" events award no tickets; all else is the same
my $split = $ENV{LOYALTY_SPLIT};

my ($true, $false) = (JSON::PP::true, JSON::PP::false);

sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + $_[0])) }

my ($open, $close) = (at(-3600), at(86400 * 40));

my $t = Loyalty::Test->new(
    workers => 2,
    files => {
        secret => 'main:' . '5a' x 32 . "\n",
        staff => "boss\n",
    },
    server => 'location /fair/ { loyalty_proof shop; }',
    program => <<END);
secret_file %%TESTDIR%%/secret;
unsafe_store on;
money EUR 2;
wallet points;
earn purchase points 1 per=1.00;
@{[ $split ? '' : <<'AWARDS' ]}
challenge buyer { on purchase; match amount >= 100.00; goal 1; every day;
                  award tickets spring 5; award tickets spring 2; }
streak daily { on visit; every day; award tickets later 1 at=1; }
AWARDS
sweepstakes spring {
    open $open; close $close;
    cost points 50; free_entry on; exclude_file %%TESTDIR%%/staff;
    limit 40 per month; limit 60 per campaign;
    prize trip { stock 2; } prize mug { stock 3; } alternates 5;
}
sweepstakes later { open @{[at(3600)]}; close @{[at(7200)]};
                    prize mug { stock 1; } }
sweepstakes gone { open @{[at(-7200)]}; close @{[at(-5)]};
                   prize mug { stock 1; } }
sweepstakes rich { open $open; close $close; eligible balance.points >= 500;
                   prize mug { stock 1; } }
sweepstakes web { open $open; close $close; eligible \$http_x_country = ES;
                  prize mug { stock 1; } }
END

my $n = 0;

sub enter {
    my ($member, $body, %o) = @_;
    my $name = $o{name} // 'spring';

    return $t->post("/loyalty/sweepstakes/$name/entries", $body,
        headers => { 'X-Member' => $member,
                     'Idempotency-Key' => $o{key} // 'key ' . $n++,
                     %{ $o{headers} // {} } });
}

sub show {
    my ($member, $name) = @_;
    return $t->get('/loyalty/sweepstakes/' . ($name // 'spring'),
                   headers => { 'X-Member' => $member })->json;
}

sub of { my ($name) = @_;
         return (grep { $_->[0] eq $name }
                 map { [split / /] } split /\n/, $t->get('/fair/games')->body)
                [0] }

ok($t->wait_for(sub { ($t->get('/fair/games')->body // '') =~ /^spring /m }),
   'registered');

my $cid = of('spring')->[1];

sub file { return $t->get("/fair/spring/$cid/$_[0]")->body }


# ---- buying ----

$t->event({ id => 'p1', member => 'ada', type => 'purchase',
            amount => '90.00' });
$t->event({ id => 'p2', member => 'ada', type => 'purchase',
            amount => '90.00' });

my $r = enter('ada', { tickets => 3 }, key => 'first');
is($r->status, 200, 'three tickets') or diag $r->body;
my $j = $r->json;
is($j->{sweepstakes}, 'spring', 'of this sweepstakes');
is($j->{first}, 0, 'the first one');
is($j->{count}, 3, 'and how many');
is($j->{free}, $false, 'bought');
is($j->{balances}{points}, 30, 'for 50 each');
is_deeply([map { $_->{type} } @{ $j->{effects} }], ['points', 'tickets'],
          'all that changed');
is($j->{receipt}{campaign}, $cid, 'of this campaign');
is($r->header('Idempotency-Replayed'), undef, 'not a repeat');

my $again = enter('ada', { tickets => 3 }, key => 'first');
is($again->body, $r->body, 'a repeat is the same reply');
is($again->header('Idempotency-Replayed'), 'true', 'and says that it is one');
is(enter('ada', { tickets => 2 }, key => 'first')->code,
   'idempotency_conflict', 'another request under the key');
is($t->me('ada')->json->{wallets}{points}{balance}, 30, 'charged once');
is($t->me('ada')->json->{wallets}{points}{lifetime}, 180, 'lifetime stays');


# ---- the receipt ----

my ($record, $salt) = map { pack 'H*', $j->{receipt}{$_} } qw(record salt);
my ($e) = entries($record);

is($e->{seq}, $j->{entry}, 'seq');
is($e->{tickets}, 3, 'tickets');
is($e->{method}, 1, 'method 1');
is(unpack('H*', $e->{cid}), $cid, 'cid');
is($e->{commit}, entry_commit($salt, 'ada', 'first'), 'entry_commit opens');
is($j->{receipt}{event}, 'first', 'to the idempotency key');
is(file('entries'), $record, 'the published record');

sub verified {
    my ($message, $signature) = @_;
    my ($name, $hash, $key) = $t->get('/fair/vkey')->body =~ /(.*)\+(.*)\+(.*)/;

    $t->write_file('pub.der', pack('H*', '302a300506032b6570032100')
                              . substr decode_base64($key), 1);
    $t->write_file('message', $message);
    $t->write_file('signature', $signature);

    my $dir = $t->dir;
    return system("openssl pkeyutl -verify -pubin -keyform DER -inkey"
                  . " $dir/pub.der -rawin -in $dir/message"
                  . " -sigfile $dir/signature >/dev/null 2>&1") == 0;
}

my $signature = decode_base64($j->{receipt}{signature});
ok(verified(T('receipt') . $record, $signature), 'its signature holds');
ok(!verified(T('receipt') . $record . "\0", $signature), 'for it alone');


# ---- what is refused ----

sub refused {
    my ($code, $member, $body, %o) = @_;
    my $before = file('entries');
    my $r = enter($member, $body, %o);

    is($r->code, $code, $o{as} // $code) or diag $r->body;
    is(file('entries'), $before, 'nothing was entered');
    return $r;
}

refused('insufficient_balance', 'ada', { tickets => 1 });
is($t->me('ada')->json->{wallets}{points}{balance}, 30, 'nothing charged');
refused('not_eligible', 'boss', { tickets => 1, free => $true },
        as => 'the exclude_file');
refused('unknown_game', 'ada', { tickets => 1 }, name => 'nothing');
refused('not_open', 'ada', { tickets => 1 }, name => 'later');
refused('closed', 'ada', { tickets => 1 }, name => 'gone');
refused('not_eligible', 'ada', { tickets => 1 }, name => 'rich');
refused('not_eligible', 'ada', { tickets => 1 }, name => 'web');
is(enter('ada', { tickets => 1 }, name => 'web',
         headers => { 'X-Country' => 'ES' })->status, 200, 'a $variable');
refused('invalid_field', 'ada', $_->[0], as => $_->[1])
    for [{}, 'no tickets'], [{ tickets => 0 }, 'none'],
        [{ tickets => -1 }, 'less'], [{ tickets => '3' }, 'a string'],
        [{ tickets => 1.5 }, 'a fraction'], [{ tickets => 2 ** 32 }, 'many'],
        [{ tickets => 1, free => 'yes' }, 'free is no boolean'],
        [{ tickets => 1, extra => 1 }, 'an unknown field'];
refused('invalid_field', 'ada', { tickets => 1, free => $true },
        name => 'rich', as => 'no free entry there');
is($t->post('/loyalty/sweepstakes/spring/entries', { tickets => 1 },
            headers => { 'X-Member' => 'ada' })->code,
   'idempotency_key_required', 'no key');
is($t->request('GET', '/loyalty/sweepstakes/spring/entries', undef,
               headers => { 'X-Member' => 'ada' })->status, 405, 'GET');
is($t->post('/loyalty/sweepstakes/spring', {},
            headers => { 'X-Member' => 'ada' })->status, 405, 'POST');
is($t->get('/loyalty/sweepstakes/nothing',
           headers => { 'X-Member' => 'ada' })->code, 'unknown_game',
   'unknown');
is($t->post('/loyalty/sweepstakes/spring/claims', undef,
            headers => { 'X-Member' => 'ada' })->code, 'not_open',
   'nothing to claim before the draw');


# ---- free, and caps ----

$r = enter('bob', { tickets => 30, free => $true });
is($r->json->{free}, $true, 'free');
is((entries(pack 'H*', $r->json->{receipt}{record}))[0]{method}, 2,
   'method 2');
$r = refused('limit_reached', 'bob', { tickets => 11, free => $true });
like($r->json->{retry_at}, qr/^\d{4}-\d\d-01T00:00:00Z$/,
     'a month begins anew');
is(enter('bob', { tickets => 10, free => $true })->status, 200, '40 a month');
refused('limit_reached', 'bob', { tickets => 1, free => $true });
$r = refused('limit_reached', 'cy', { tickets => 61, free => $true },
             as => 'more than the campaign allows');


# ---- what the member is shown ----

my ($mine) = grep { $_->{name} eq 'spring' }
             @{ $t->me('ada')->json->{sweepstakes} };
is($mine->{tickets}, 3, 'own tickets in GET me');
is($mine->{odds}, 'depends on entries', 'odds in words');
is($mine->{closes}, $close, 'when it closes');
is_deeply($mine->{cost}, { wallet => 'points', amount => 50 }, 'the price');
is($mine->{free_entry}, $true, 'free entry');
is((grep { $_->{name} eq 'spring' }
    @{ $t->me('nobody')->json->{sweepstakes} })[0]{tickets}, 0,
   'a member never seen');

$j = show('ada');
is($j->{state}, 'open', 'open');
is($j->{tickets}, 43, 'all tickets');
is($j->{entries}, 3, 'all entries');
is_deeply($j->{own}{ranges}, [{ first => 0, count => 3 }], 'own ranges');
is($j->{own}{odds}, '3 of 43 now', 'n of N');
is($j->{commitments}{cid}, $cid, 'cid');
is($j->{commitments}{manifest},
   unpack('H*', H(decode_base64((split /\n/, file('manifest'))[1]))),
   'the hash of the manifest');
is($j->{commitments}{terms}, unpack('H*', H(file('terms-1'))), 'of terms');
is($j->{commitments}{prizes}, unpack('H*', H(file('prizes-1'))),
   'of prizes');
is_deeply($j->{prizes}, [{ name => 'trip', stock => 2 },
                         { name => 'mug', stock => 3 }], 'prizes');
is($j->{winners}, undef, 'no winners yet');
is(show('ada', 'later')->{state}, 'planned', 'planned');
is(show('zoe')->{own}{tickets}, 0, 'nobody knows her');


# ---- awarded, voided ----

sub awarded {
$r = $t->event({ id => 'big', member => 'dora', type => 'purchase',
                 amount => '100.00' })->json;
is_deeply([grep { $_->{type} eq 'tickets' } @{ $r->{effects} }],
          [{ type => 'tickets', sweepstakes => 'spring', first => 43,
             count => 5 },
           { type => 'tickets', sweepstakes => 'spring', first => 48,
             count => 2 }], 'a challenge awards tickets');
is_deeply([map { $_->{type} } @{ $t->event({ id => 'big', member => 'dora',
    type => 'purchase', amount => '100.00' })->json->{effects} }],
    [map { $_->{type} } @{ $r->{effects} }], 'once');
is(show('dora')->{own}{tickets}, 7, 'seven tickets');
my @all = entries(file('entries'));
is_deeply([map { [@$_{qw(first tickets method flags)}] } @all[-2, -1]],
          [[43, 5, 3, 0], [48, 2, 3, 0]], 'two records, method 3');

$r = $t->event({ id => 'v', member => 'dora', type => 'visit' })->json;
is_deeply([map { $_->{type} } @{ $r->{effects} }],
          ['streak', 'tickets_refused'],
          'nothing of what is not open, and the event counts');

$r = $t->reversal('big', { id => 'back', member => 'dora' })->json;
is_deeply([sort map { "$_->{first} $_->{count}" }
           grep { $_->{type} eq 'tickets' } @{ $r->{effects} }],
          ['43 -5', '48 -2'], 'a reversal voids them');
@all = entries(file('entries'));
is_deeply([sort map { "$_->{first} $_->{tickets} $_->{method} $_->{flags}" }
           @all[-2, -1]], ['43 5 3 1', '48 2 3 1'], 'void records');
is($all[-1]{commit}, $Z, 'without a commitment');
is($all[-1]{person}, $all[-3]{person}, 'of the same person');
$j = show('dora');
is_deeply($j->{own}, { tickets => 0, odds => '0 of 43 now', ranges => [] },
          'none are left');
is($j->{voided}, 7, 'and it shows');

my ($h) = grep { $_->{id} && $_->{id} eq 'big' }
          @{ $t->history('dora')->json->{history} };
ok($h, 'the history has the event') or diag $t->history('dora')->body;
}

awarded() if !$split;


# ---- at once ----

my @reply = $t->parallel(map {
    ['POST', '/loyalty/sweepstakes/spring/entries',
     { tickets => 1 + $_ % 3, free => $true },
     headers => { 'X-Member' => 'crowd' . $_ % 20,
                  'Idempotency-Key' => "c$_" }] } 0 .. 299);
my %status;
$status{$_->status}++ for @reply;
is($status{200}, 300, '300 entries by 20 members at once');

my $seq = 0;
my ($next, $ok) = (0, 1);

for my $e (entries(file('entries'))) {
    $ok &&= $e->{seq} == $seq++;
    next if $e->{flags};
    $ok &&= $e->{first} == $next;
    $next += $e->{tickets};
}

ok($ok, 'seq is dense, and the tickets are tiled');

my %first;
$first{$_->json->{first}}++ for @reply;
is(keys %first, 300, 'no ticket twice');

@reply = $t->parallel(map {
    ['POST', '/loyalty/sweepstakes/spring/entries',
     { tickets => 1, free => $true },
     headers => { 'X-Member' => 'greedy', 'Idempotency-Key' => "g$_" }] }
    1 .. 60);
is(scalar(grep { $_->status == 200 } @reply), 40, 'a cap holds');
is(show('greedy')->{own}{tickets}, 40, 'exactly');

@reply = $t->parallel(map {
    ['POST', '/loyalty/sweepstakes/spring/entries',
     { tickets => 1, free => $true },
     headers => { 'X-Member' => 'same', 'Idempotency-Key' => 'one' }] }
    1 .. 20);
my %body;
$body{$_->body}++ for @reply;
is(keys %body, 1, 'one key, one result');
is(show('same')->{own}{tickets}, 1, 'entered once');


# ---- a node that is behind, and many entries by others ----

my ($tag) = map { /^(\{shop:g:spring:\w+\}):s$/ }
            @{ $t->redis->call('KEYS', '*:s') };

# so many records, of which this nginx knows nothing

sub records {
    my ($seq, $tickets) = @_;
    my $raw = $t->redis->call('GET', "$tag:s");
    my @state;

    while (length $raw) {
        my ($value, $behind) = Loyalty::MsgPack::decode_at($raw, 0);
        push @state, $value;
        substr $raw, 0, $behind, '';
    }

    $state[1] = $seq;
    my $length = Loyalty::Sweeps::fill($t, $tag, $seq);
    $state[6] = $tickets if defined $tickets;
    $t->redis->call('SET', "$tag:s", join '',
                    map { Loyalty::MsgPack::encode($_) } @state);
    return $length;
}

my $length = records(9000);
$r = enter('tess', { tickets => 1, free => $true });
is($r->status, 200, 'an entry into another chunk than was guessed')
    or diag $r->body;
is($r->json->{entry}, 9000, 'with its number');
is($t->redis->call('STRLEN', "$tag:e:2"), $length + 132,
   'in its chunk');

sub awarded_far {
$length = records(20000);
$r = $t->event({ id => 'far', member => 'uma', type => 'purchase',
                 amount => '100.00' });
is($r->status, 200, 'an event that awards into another chunk')
    or diag $r->body;
is(scalar(grep { $_->{type} eq 'tickets' } @{ $r->json->{effects} }), 2,
   'has its tickets');
is($t->redis->call('STRLEN', "$tag:e:4"), $length + 264, 'there');
$length = records(40000);
my @lines = $t->events([map { { id => "far$_", member => "u$_",
    type => 'purchase', amount => '100.00' } } 1 .. 50])->lines;
is(scalar(grep { $_->{status} == 200 } @lines), 50, 'a batch');
is($t->redis->call('STRLEN', "$tag:e:9"), $length + 100 * 132,
   'all of it');
$r = $t->reversal('far', { id => 'farther', member => 'uma' });
is(scalar(grep { $_->{type} eq 'tickets' } @{ $r->json->{effects} }), 2,
   'a reversal');
}

awarded_far() if !$split;


# ---- in words, and the ledger ----

my $sock = $t->dir . '/redis.sock';
my $words = `bin/loyalty-member --redis unix:$sock --program shop ada`;
like($words, qr/sweepstakes spring, entry 0: tickets 0 to 2 bought/,
     'loyalty-member tells an entry');
like($words, qr/entry 0: tickets 0 to 2$/m, 'and what the member has');
like(`bin/loyalty-member --redis unix:$sock --program shop dora`,
     qr/tickets 43 to 47 awarded.*tickets 43 to 47 voided/s, 'and a void')
    if !$split;
like(`bin/loyalty-fsck --redis unix:$sock --program shop`,
     qr/ 0 violations/, 'every ledger holds');


# ---- 2^47 tickets ----

records(40200, 2 ** 47 - 4);
$r = enter('max', { tickets => 4, free => $true });
is($r->code, 'limit_reached', '2^47 tickets') or diag $r->body;
is($r->json->{retry_at}, undef, 'and there will be no more');

if ($split) {
    is(enter('max', { tickets => 2, free => $true })->json->{first},
       140737488355324, 'two are left');

} else {
    $r = $t->event({ id => 'max', member => 'max', type => 'purchase',
                     amount => '100.00' })->json;
    is_deeply([map { "$_->{count} " . ($_->{reason} // $_->{first}) }
               grep { $_->{type} =~ /^tickets/ } @{ $r->{effects} }],
              ['5 limit_reached', '2 140737488355324'], 'nor by an award');
}

is(enter('max', { tickets => 1, free => $true })->json->{first},
   140737488355326, 'the last one');
is(enter('max', { tickets => 1, free => $true })->code, 'limit_reached',
   'was the last one');
is(show('max')->{tickets}, 140737488355327, 'all are counted');

done_testing();
