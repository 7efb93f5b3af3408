#!/usr/bin/perl

# The admin API on an instant win: what was won, pausing, and a timestamp that
# was fetched by hand.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha256);
use Loyalty::Test;
use Loyalty::CA;
use Loyalty::FakeTSA;
use Loyalty::Instant;
use MIME::Base64 qw(encode_base64);
use POSIX qw(strftime);
use Test::More;

my $ca = Loyalty::CA->new;

sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + $_[0])) }

my $t = Loyalty::Test->new(
    files => { secret => 'main:' . 'ab' x 32 . "\n" },
    server => 'location /fair/ { loyalty_proof shop; }',
    allow => [qr/came too late/],
    program => <<"END");
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
instant_win scratch {
    open @{[at(-600)]};  close @{[at(7200)]};  draw odds;
    prize mug { stock 3; odds 1/2; }  prize pen { odds 1/4; }
}
instant_win cards {
    open @{[at(3600)]};  close @{[at(7200)]};  draw deck blanks=90;
    prize car { stock 10; }
}
sweepstakes spring {
    open @{[at(-600)]};  close @{[at(7200)]};  prize trip { stock 1; }
}
END

my $tsa = Loyalty::FakeTSA->new($t, 'tsa', ca => $ca);
my $g = Loyalty::Instant->new($t, 'scratch');

sub admin {
    my ($method, $path, $body) = @_;
    return $t->request($method, "/loyalty-admin/games/$path", $body,
                       headers => { 'X-Actor' => 'ops' });
}


# ---- what was won ----

my $none = admin('GET', 'scratch');
is($none->status, 200, 'a game');
is_deeply([@{$none->json}{qw(name state version plays wins)}],
          ['scratch', 'open', 1, 0, 0], 'nobody has played');
is_deeply($none->json->{prizes}, [
    { name => 'mug', awarded => 0, stock => 3, left => 3, odds => '1/2',
      expected => '0.00' },
    { name => 'pen', awarded => 0, odds => '1/4', expected => '0.00' },
], 'its prizes');

$g->play("m$_") for 1 .. 41;

my %won;
$won{$_->{tier}}++ for grep { $_->{status} == 1 } $g->records;
my $some = admin('GET', 'scratch')->json;
is($some->{plays}, 41, 'plays');
is($some->{wins}, ($won{0} // 0) + ($won{1} // 0), 'wins');
is($some->{prizes}[0]{awarded}, 3, 'all mugs');
is($some->{prizes}[0]{left}, 0, 'are gone');
is($some->{prizes}[0]{expected}, '20.50', 'of so many by the odds');
is($some->{prizes}[1]{awarded}, $won{1} // 0, 'pens');
is($some->{prizes}[1]{expected}, '10.25', 'against their odds');

my $cards = admin('GET', 'cards')->json;
is($cards->{state}, 'planned', 'one that has not opened');
is_deeply($cards->{prizes},
          [{ name => 'car', awarded => 0, stock => 10, left => 10 }],
          'a deck without its blanks');

is(admin('GET', 'spring')->json->{code}, 'unknown_game', 'no instant win');
is(admin('GET', 'x')->status, 404, 'no game');
is(admin('DELETE', 'scratch')->status, 405, 'it stays');


# ---- pause ----

my $paused = admin('POST', 'scratch/pause', {});
is($paused->status, 200, 'pause') or diag $paused->body;
is($paused->json->{state}, 'paused', 'is told');
is($g->play('m')->json->{code}, 'paused', 'nobody plays');
is(admin('POST', 'scratch/pause', {})->json->{state}, 'paused', 'again');
is(admin('POST', 'scratch/resume', {})->json->{state}, 'open', 'resume');
is($g->play('m')->status, 200, 'it goes on');
is(admin('POST', 'scratch/pause', { x => 1 })->json->{code},
   'invalid_field', 'a field that it does not take');

my $feed = join ' ', map { ref $_ ? @{$_->[1]} : () }
           @{ $t->redis->call('XRANGE', '{shop}:feed', '-', '+') };
like($feed, qr/pause.*scratch|scratch.*pause/, 'the feed has it');
like($feed, qr/ops/, 'with who did it');


# ---- a token by hand ----

my $note = $g->file('manifest');
my $token = $tsa->stamp(sha256($note));

my $stamped = admin('POST', 'scratch/timestamp',
                    { token => encode_base64($token, '') });
is($stamped->status, 200, 'a token') or diag $stamped->body;
is($stamped->json->{number}, 1, 'of the first manifest');
like($stamped->json->{earliest}, qr/^\d{4}-\d\d-\d\dT/, 'its time');
is($g->file('timestamps'), 'manifest 1 ' . encode_base64($token, '') . "\n",
   'it is published');
is(admin('POST', 'scratch/timestamp',
         { token => encode_base64($token, '') })->status, 200, 'again');
is($g->file('timestamps') =~ tr/\n//, 1, 'it is published once');

for ([{}, 'no token'], [{ token => '%' }, 'no base64'],
     [{ token => encode_base64('x' x 100, '') }, 'no token in it'],
     [{ token => encode_base64($tsa->stamp(sha256('x')), '') },
      'of something else'],
     [{ token => encode_base64($token, ''), number => 2 },
      'of a version that there is not'])
{
    my ($body, $name) = @$_;
    my $r = admin('POST', 'scratch/timestamp', $body);
    is($r->status, 400, "refused: $name") or diag $r->body;
}


done_testing();
