#!/usr/bin/perl

# A draw that rests on a beacon: the close note is timestamped before its
# round, the round is waited for, and a token that comes too late moves it.
# Campaigns closed half an hour ago, so that their rounds come out now.

use strict;
use warnings;
no warnings 'portable';

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../bin/lib",
        "$FindBin::Bin/../tests/verify";

use Loyalty::CA;
use Loyalty::Clock;
use Loyalty::Fairness qw(T H HMAC u16 u32 u64 lp round_at round_time leaf
                         pick entries);
use Loyalty::FakeRelay;
use Loyalty::FakeTSA;
use Loyalty::MsgPack;
use Loyalty::Sweeps;
use Loyalty::Test;
use MIME::Base64 qw(encode_base64);
use POSIX qw(strftime);
use Proof ();
use Test::More;
use Time::HiRes qw(time sleep);

my $now = int time;
my $open = $now - 40_000;
my $slack = 15 * Loyalty::Test->slow;

sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $_[0]) }

# R is out in $slack seconds, and up to two rounds later
my $close = $now - 1800 + $slack;
my $dates = 'open ' . at($open) . '; close ' . at($close) . ';';
my $long_ago = 'open ' . at($open) . '; close ' . at($now - 7200) . ';';

# openssl as it would have been some seconds ago

my $clock = Loyalty::Clock->new;

sub ago { return $clock->ago(@_) }

my $ca = ago(86400, sub { return Loyalty::CA->new });

my $t = Loyalty::Test->new(
    start => 0,
    workers => 2,
    files => { secret => $Loyalty::Sweeps::SECRET },
    server => 'location /fair/ { loyalty_proof shop; }',
    allow => [qr/the draw is late/, qr/is late$/],
    program => <<END);
secret_file %%TESTDIR%%/secret;
unsafe_store on;
beacon drand_quicknet from=http://127.0.0.1:%%PORT_one%%
                      from=http://127.0.0.1:%%PORT_two%%;
timestamp_authority http://127.0.0.1:%%PORT_tsa%%
                    trusted_certificate=@{[$ca->dir]}/ca.crt;
wallet points;
sweepstakes both { $dates prize trip { stock 2; } alternates 1; }
sweepstakes alone { $dates seed off; prize trip { stock 2; } }
sweepstakes fresh { $dates prize trip { stock 3; } alternates 1 fresh; }
sweepstakes small { $dates prize trip { stock 2; } alternates 0 fresh; }
sweepstakes late { $long_ago prize trip { stock 2; } }
END

my @relays = map { Loyalty::FakeRelay->new($t, $_) } qw(one two);
my $tsa = Loyalty::FakeTSA->new($t, 'tsa', ca => $ca);

ago(86400, sub { $ca->certificate('ts-tsa',
                     'extendedKeyUsage=critical,timeStamping') });

my @crowd = map { ["m$_", 1 + $_ % 7] } 1 .. 60;
my %tag = map { $_ => Loyalty::Sweeps::plant($t, $_, $open, \@crowd) }
          qw(both alone fresh late);
$tag{small} = Loyalty::Sweeps::plant($t, 'small', $open,
                                     [['m1', 1], ['m2', 2]]);

$tsa->mode('status 500');
$t->start;

my %s = map { $_ => Loyalty::Sweeps->new($t, $_) } keys %tag;
my ($both, $alone, $fresh) = @s{qw(both alone fresh)};
my $R = round_at($close * 1000 + 1_800_000) + 1;

is($both->manifest->{round}, $R, 'R in the manifest');
is($both->show->{commitments}{round}, $R, 'and in the view');
is($alone->show->{commitments}{seed}, undef, 'no seed is committed to');
ok($both->manifest->{seed} ne $Loyalty::Fairness::Z, 'or one is');

# without a timestamp it waits for one

ok($both->wait_for_state('waiting', 10), 'closed, and waiting');
is_deeply($both->show->{waiting}, { for => 'timestamp' }, 'for a timestamp');

sub metric {
    my ($name, $more) = @_;
    return $t->metrics->{"nginx_loyalty_draw_$name\{program=\"shop\","
                         . 'game="both"' . ($more // '') . '}'} // 'none';
}

ok($t->wait_for(sub { metric('waiting_round') eq '0' }), 'as metrics tell');
is(metric('state', ',state="waiting"'), 1, 'waiting');
is(metric('closing_done'), 'none', 'and not closing');
$tsa->mode('ok');

ok($t->wait_for(sub { ($both->show->{waiting} // {})->{round} }, 12),
   'then for a round');
is_deeply($both->show->{waiting},
          { for => 'beacon', round => $R,
            until => strftime('%Y-%m-%dT%H:%M:%S', gmtime(
                              round_time($R) / 1000)) . 'Z' },
          'which, and until when');
ok($t->wait_for(sub { metric('waiting_round') eq $R }), 'in metrics, too');
is($both->file('picks'), undef, 'nothing is drawn before it');
ok(time * 1000 < round_time($R), 'as the round is not out');

ok($_->wait_for_state('drawn', 30), "$_->{name} is drawn")
    for $both, $alone, $fresh, $s{small};

ok($t->wait_for(sub { metric('waiting_round') eq 'none' }),
   'and waits no more');

for my $s ($both, $alone, $fresh, $s{small}) {
    my $want = $s->recomputed;
    is($s->file('picks'), $want, "$s->{name}, recomputed with its round");
    like($s->file('beacons'), qr/^chain 52db9ba7.*\n$R [0-9a-f]{96}$/m,
         'its signature is published');
    like($s->file('timestamps'), qr/^close 0 \S+$/m, 'its timestamp, too');
    ok($t->wait_for(sub { $s->file('timestamps') =~ /^manifest 1 /m }, 15),
       'and that of the manifest');
}

ok($both->seed ne $Loyalty::Fairness::Z, 'the seed is revealed');
is($alone->file('reveal'), undef, 'or there is nothing to reveal');


sub verified {
    my ($s, @options) = @_;
    my $saved = $t->dir . '/saved';

    Loyalty::Sweeps::write_file($saved, $s->file('close')
                                        . ($s->file('dq') // ''));
    my ($code, $out) = $s->verify('--tsa-ca', $ca->dir . '/ca.crt',
                                  '--saved-note', $saved);
    is(() = $out =~ /^V(?:01|02|04|05|07|08|09|10|16|17|18) PASS /mg, 11,
       "loyalty-verify on $s->{name}: all but the signatures of made-up "
       . 'rounds and evidence') or diag $out;
}

verified($_) for $both, $alone, $fresh;

# a witness's cosignature of before the round does for a note that was saved;
# one of the moment of the round does not

{
    my $witness = Proof::witness('witness.example');
    my $keys = $t->dir . '/witness';
    my $vkey = Proof::vkey($witness, 4);

    Loyalty::Sweeps::write_file($keys, $vkey);
    chomp $vkey;

    for my $before (0, 1000) {
        my $line = Proof::cosign($witness, 'close', 0, $alone->file('close'),
                                 round_time($R) - $before);

        my $posted = $alone->admin('cosignature', {
            key => $vkey,
            cosignature => "\x{2014} " . join ' ', (split ' ', $line)[2, 3],
        });

        is($posted->status, 200, 'a cosignature') or diag $posted->body;
        is($posted->json->{for}, 'close', 'of the close note');

        my ($code, $out) = $alone->verify('--tsa-ca', $ca->dir . '/ca.crt',
                                          '--witness', $keys);

        my $says = $before ? 'PASS' : 'INCOMPLETE';

        like($out, qr/^V04 $says /m, "$before ms before the round: $says")
            or diag $out;
    }
}

# late: R is long past, and the draw waits for another

my $late = $s{late};
ok($late->wait_for_state('waiting', 5), 'a close that is stamped too late');
ok($t->wait_for(sub { $late->show->{late} }), 'says so');
my $moved = $late->show->{waiting}{round};
cmp_ok(abs(round_time($moved) / 1000 - (time + 1800)), '<', 60,
       'and waits half an hour from the token');
ok($t->wait_log(qr/the timestamp of the close of sweepstakes late came after/),
   'it is logged');

# a token by hand, of an earlier time, makes it earlier

my $token = ago(1900, sub { $tsa->stamp(H($late->file('close'))) });
my $r = $late->admin('timestamp', { token => encode_base64($token, '') });
is($r->status, 200, 'a token by hand') or diag $r->body;
like($r->json->{earliest}, qr/^\d{4}-/, 'its time');
is($late->admin('timestamp', { token => 'no base64' })->code, 'invalid_field',
   'no base64');
is($late->admin('timestamp', { token => encode_base64('no token', '') })
   ->code, 'invalid_field', 'no token');
is($late->admin('timestamp', { token => encode_base64($token, ''),
                               for => 'dinner' })->code, 'invalid_field',
   'for nothing there is');
is($late->admin('timestamp', { token => encode_base64($token, ''),
                               for => 'dq', number => 3 })->code, 'not_open',
   'for a note that is not there');
is($both->admin('timestamp', { token => encode_base64($token, '') })->code,
   'already_drawn', 'none for a draw that is done');

ok($late->wait_for_state('drawn', 15), 'and then it is drawn');
my ($earlier) = $late->file('beacons') =~ /^(\d+) /m;
cmp_ok($earlier, '<', $moved, 'with the round of the earlier token');
is($late->file('picks'), $late->recomputed($earlier), 'recomputed');
ok($late->show->{late}, 'late for ever');

my ($code, $out) = $late->verify('--tsa-ca', $ca->dir . '/ca.crt');
like($out, qr/^V10 INCOMPLETE .* LATE: drawn by round $earlier in place of /m,
     'loyalty-verify: never better than INCOMPLETE') or diag $out;
like($out, qr/^V17 PASS /m, 'but drawn right') or diag $out;

# fresh alternates: a dq of a minute ago, as disqualify_H writes it

my ($H) = map { /^event_(\w+)$/ } map { @$_ } map { @$_ }
          map { my %l = @$_; [map { my %f = @$_; [$f{name}] }
                              @{ $l{functions} }] }
          @{ $t->redis->call('FUNCTION', 'LIST') };

sub disqualify {
    my ($s, $k, $position, $ago) = @_;
    my @holders = $s->file('picks') =~ /^winner $position \d+ (\d+) (\S+)$/mg;
    my ($seq, $person) = ($holders[-2], pack 'H*', $holders[-1]);
    my ($ticket) = $s->file('picks')
                 =~ /^(?:pick|fresh) \d+ \d+ (\d+) $seq $holders[-1]$/m;
    my $time = int((time - $ago) * 1000);
    my $dq = T('dq') . pack('H*', $s->cid) . u32($k) . u64($time)
             . u32($position) . u64($seq) . $person . u16(5) . lp('ops')
             . H('evidence');

    my $reply = $t->redis->call('FCALL', "disqualify_$H", 3,
        (map { "$tag{$s->{name}}:$_" } qw(w f:picks f:dq)),
        Loyalty::MsgPack::encode($time) . Loyalty::MsgPack::encode($k)
        . Loyalty::MsgPack::encode($position)
        . Loyalty::MsgPack::encode(u64($seq) . $person . u64($ticket))
        . Loyalty::MsgPack::encode(Loyalty::Sweeps::note($t, 'dq', $dq))
        . Loyalty::MsgPack::encode(1));
    is($reply, 'N', "dq $k of $s->{name}");

    return ($dq, $time);
}

my ($dq, $time) = disqualify($fresh, 1, 1, 54);
ok($t->wait_for(sub { $fresh->file('picks') =~ /^fresh 1 /m }, 20),
   'a fresh alternate is drawn');

my $Rk = round_at($time + 60_000) + 1;
like($fresh->file('beacons'), qr/^$Rk [0-9a-f]{96}$/m, 'its round');
like($fresh->file('timestamps'), qr/^dq 1 \S+$/m, 'its timestamp');

my $k_alt = H(T('alt-key') . $fresh->draw_key . u32(1) . leaf($dq) . u64($Rk)
           . $fresh->randomness($Rk));
my @entries = entries($fresh->file('entries'));
my %picked = map { pack('H*', $_) => 1 }
             $fresh->file('picks') =~ /^pick .* (\S+)$/mg;
my ($alt) = Loyalty::Fairness::winners($k_alt, 'alt', \@entries, 1, 1,
                                       \%picked);
my $line = 'fresh 1 ' . join(' ', @$alt{qw(attempt ticket seq)},
                             unpack 'H*', $alt->{person}) . "\n"
           . "winner 1 0 $alt->{seq} " . unpack('H*', $alt->{person}) . "\n";
like($fresh->file('picks'), qr/\Q$line\E\z/, 'recomputed');
verified($fresh);

# nobody is left

disqualify($s{small}, 1, 0, 54);
ok($t->wait_for(sub { $s{small}->file('picks') =~ /^vacant 0 0$/m }, 20),
   'with nobody left the prize is vacant');

# a token that comes after its round: the same number once more

disqualify($fresh, 2, 0, 300);
ok($t->wait_for(sub {
    2 == (() = $fresh->file('dq') =~ /^nginx-loyalty\/1 dq$/mg) - 1 }, 15),
   'a dq whose token came too late is written again');
unlike($fresh->file('picks'), qr/^fresh 2 /m, 'and waits for its round');

done_testing();
