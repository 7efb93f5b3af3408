#!/usr/bin/perl

# Every change that the admin API makes is on the feed, with who made it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha256);
use Loyalty::CA;
use Loyalty::FakeTSA;
use Loyalty::Instant;
use Loyalty::Member;
use Loyalty::Sweeps;
use Loyalty::Test;
use MIME::Base64 qw(encode_base64);
use Test::More;

my ($open, $close) = (Loyalty::Instant::at(-60), Loyalty::Instant::at(4));
my $later = Loyalty::Instant::at(3600);
my $ca = Loyalty::CA->new;
my ($seen, $n) = (0, 0);

my $t = Loyalty::Test->new(
    files => { secret => $Loyalty::Sweeps::SECRET },
    server => 'location /fair/ { loyalty_proof shop; }',
    program => <<END);
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
reward mug { cost points 5; codes mugs; }
sweepstakes spring { open $open; close $close; prize trip { stock 2; }
    alternates 1; }
instant_win wheel { open $open; close $later; draw odds; cost plays 1;
    prize pen { odds 1/1; } }
END

my $tsa = Loyalty::FakeTSA->new($t, 'tsa', ca => $ca);
my $spring = Loyalty::Sweeps->new($t, 'spring');
my $wheel = Loyalty::Instant->new($t, 'wheel');


sub admin {
    my ($actor, $method, $path, $body) = @_;

    return $t->request($method, "/loyalty-admin/$path", $body, headers => {
        'X-Actor' => $actor, 'Idempotency-Key' => 'key ' . $n++,
        !ref $body && defined $body
            ? ('Content-Type' => 'application/x-ndjson') : () });
}


# the change's own line: who, what, of what, details
sub noted {
    my ($want, $method, $path, $body) = @_;
    my $actor = 'olga ' . ++$n;
    my $r = admin($actor, $method, $path, $body);
    my @lines = map { +{ @{$_->[1]} } }
                @{ $t->redis->call('XRANGE', '{shop}:feed', '-', '+') };
    my @new = splice @lines, $seen;

    is($r->status, 200, "$method $path") or diag $r->body;
    is_deeply([ map { "$_->{w} $_->{o} $_->{d} by $_->{a}" } @new ],
              [ "$want by $actor" ], 'is on the feed');
    $seen += @new;

    return $r;
}


sub token {
    my ($file) = @_;
    return { token => encode_base64($tsa->stamp(sha256($file)), '') };
}


noted('pause wheel ', POST => 'games/wheel/pause', {});
noted('resume wheel ', POST => 'games/wheel/resume', {});
noted('timestamp wheel 1', POST => 'games/wheel/timestamp',
      token($wheel->file('manifest')));
noted('pause spring ', POST => 'sweepstakes/spring/pause', {});
noted('resume spring ', POST => 'sweepstakes/spring/resume', {});
noted('entries spring ', POST => 'sweepstakes/spring/entries', join '',
      map { qq({"member":"m$_","tickets":2,"id":"e$_"}\n) } 1 .. 5);
noted('codes mugs ', POST => 'codes/mugs', qq("A"\n));
noted('codes mugs ', POST => 'rewards/mug/codes', qq("B"\n));

ok($spring->wait_for_state('drawn', 20), 'the draw is made');

noted('close spring ', POST => 'sweepstakes/spring/close', {});
noted('draw spring ', POST => 'sweepstakes/spring/draw', {});
noted('claim spring 0', POST => 'sweepstakes/spring/winners/0/claim', {});
noted('deliver spring 0', POST => 'sweepstakes/spring/winners/0/deliver', {});
noted('disqualify spring position 1, fraud',
      POST => 'sweepstakes/spring/disqualifications',
      { position => 1, reason => 'fraud' });


# those of members are in the member's record, which the feed points at

sub feed {
    my ($member) = @_;
    my $tag = Loyalty::Member::tag('shop', Loyalty::Member::partition($member));

    return map { +{ @{$_->[1]} } }
           @{ $t->redis->call('XRANGE', "$tag:feed", '-', '+') };
}


for (
    ['members/ada/adjustments', { wallet => 'points', amount => 5,
                                  reason => 'late' }, 'late'],
    ['games/wheel/grants', { member => 'ada', plays => 1,
                             reason => 'sorry' }, 'sorry'],
    ['games/wheel/grants', { member => 'ada', plays => 1,
                             method => 'hotline' }, 'hotline'],
    ['games/wheel/grants', { member => 'ada', plays => 1, reason => 'sorry',
                             method => 'post' }, 'post: sorry'],
    ['games/wheel/grants', { member => 'ada', plays => 1,
                             reason => 'r' x 512, method => 'm' x 128 },
     'm' x 128 . ': ' . 'r' x 512],
) {
    my ($path, $body, $reason) = @$_;
    my $before = feed('ada');

    is(admin('kim', POST => $path, $body)->json->{actor}, 'kim', $path);
    is(scalar feed('ada'), $before + 1, 'a line of the member');

    my ($record) = @{ admin('kim', GET => 'members/ada/history?limit=1')
                      ->json->{history} };
    is("@$record{qw(actor reason)}", "kim $reason", 'whose record says who');
}

is(admin('kim', DELETE => 'members/ada')->status, 200, 'DELETE members/ada');
is_deeply([ map { "$_->{w} $_->{a}" } (feed('ada'))[-1] ], ['erased kim'],
          'is on the feed');

# what only looks leaves no line

admin('kim', GET => $_) for 'stats', 'games/wheel', 'sweepstakes/spring',
                            'members/m1', 'members/m1/export';
is($t->redis->call('XLEN', '{shop}:feed'), $seen, 'looking leaves none');

done_testing();
