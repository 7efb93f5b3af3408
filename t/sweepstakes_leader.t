#!/usr/bin/perl

# A long close beside live traffic, with the worker that leads killed again
# and again: whoever takes over goes on, and the result is the one that there
# is.  Entries are put into Redis by the thousand, as enter_H appends them.

use strict;
use warnings;
no warnings 'portable';

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../bin/lib";

use Digest::SHA qw(sha256 hmac_sha256);
use Loyalty::Fairness qw(T H HMAC kp person entry entries $Z);
use Loyalty::MsgPack;
use Loyalty::Sweeps;
use Loyalty::Test;
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(time sleep);

my $RECORDS = 60_000;

sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + $_[0])) }

my ($open, $close) = (at(-3600), at(5));

my $t = Loyalty::Test->new(
    workers => 2,
    redis => { appendonly => 1 },
    files => { secret => 'main:' . '5a' x 32 . "\n" },
    server => 'location /fair/ { loyalty_proof shop; }',
    allow => [qr/exited on signal 9/],
    program => <<END);
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
earn visit points 1;
sweepstakes big { open $open; close $close; free_entry on;
                  prize trip { stock 5; } prize mug { stock 200; }
                  alternates 20; }
END

my $s = Loyalty::Sweeps->new($t, 'big');
my ($tag) = map { /^(\{shop:g:big:\w+\}):s$/ } @{ $t->redis->call('KEYS',
                                                                 '*:s') };
my $cid = pack 'H*', $s->cid;
my $salt = $t->redis->call('HGET', "$tag:meta", 'salt');
my $kp = kp("\x5a" x 32, $cid, $salt);
my @persons = map { person($kp, $cid, "m$_") } 0 .. 2999;
my $t0 = time * 1000 - 60_000;

# every tenth record voids an earlier entry

my ($ticket, $voided, $n, @live, $chunk) = (0, 0, 0);

for my $seq (0 .. $RECORDS - 1) {
    my %e = (cid => $cid, seq => $seq, t => int($t0 + $seq / 10),
             commit => H("c$seq"), method => 1 + $seq % 4);

    if ($seq % 10 == 9) {
        my ($first, $count, $p, $method) =
            @{ splice @live, ($seq * 7919) % @live, 1 };
        $chunk .= entry({ %e, first => $first, tickets => $count,
                          person => $p, method => $method, commit => $Z,
                          flags => 1 });
        $voided += $count;
    }
    else {
        my $count = 1 + $seq * 31 % 9;
        my $p = $persons[$seq * $seq % 3000];
        $chunk .= entry({ %e, first => $ticket, tickets => $count,
                          person => $p });
        push @live, [$ticket, $count, $p, $e{method}];
        $ticket += $count;
    }

    if ($seq % 4096 == 4095 || $seq == $RECORDS - 1) {
        $t->redis->call('SET', "$tag:e:" . $n++, $chunk);
        $chunk = '';
    }
}

my $raw = $t->redis->call('GET', "$tag:s");
my @state;

while (length $raw) {
    my ($value, $behind) = Loyalty::MsgPack::decode_at($raw, 0);
    push @state, $value;
    substr $raw, 0, $behind, '';
}

@state[1, 6, 7] = ($RECORDS, $ticket, $voided);
$t->redis->call('SET', "$tag:s", join '',
                map { Loyalty::MsgPack::encode($_) } @state);
is($s->show->{tickets}, $ticket, "$RECORDS entries, $ticket tickets");

# whoever leads is killed as often as can be

my %seen;
my ($kills, $served, $failed, $last) = (0, 0, 0, 0);
my ($beside, $in_order, $told, $at) = (0, 1, 0, 0);
my $deadline = time + 60 * $t->slow;

while (time < $deadline) {
    my $j = eval { $s->show };

    if ($j && $j->{state}) {
        $seen{$j->{state}}++;
        last if $j->{state} eq 'drawn';

        if ($j->{closing}) {
            my ($done, $total) = @{ $j->{closing} }{qw(done total)};

            $in_order &&= $total == $RECORDS && $done >= $at
                          && $done <= $total;
            $at = $done;
        }

        if ($j->{state} eq 'closing' && !$told) {
            my $m = eval { $t->metrics } // {};

            $told ||= $m->{'nginx_loyalty_draw_state{program="shop",'
                           . 'game="big",state="closing"}'}
                      && ($m->{'nginx_loyalty_draw_closing_done'
                               . '{program="shop",game="big"}'} // 0) > 0;
        }

        if ($j->{state} eq 'closing' && $kills < 12
            && ($j->{closing}{done} // 0) > $last)
        {
            $last = $j->{closing}{done};

            if (my ($pid) = (reverse $t->log =~ /(\d+)#\d+: this worker leads/g))
            {
                $kills += kill 'KILL', $pid;
            }
        }
    }

    my $r = eval { $t->event({ id => 'v' . $served, member => 'v',
                               type => 'visit' }) };
    $r && $r->status == 200 ? $served++ : $failed++;
    $beside++ if $r && $r->status == 200 && $j && $j->{closing}
                 && $at > 0 && $at < $RECORDS;
    sleep 0.02;
}

ok($seen{closing}, 'it was seen closing');
ok($in_order, 'how much of it is done, of how much');
ok($told, 'in metrics, too');
cmp_ok($beside, '>', 0, "$beside events in the middle of the close");
cmp_ok($kills, '>=', 1, "$kills leaders were killed");
is($s->show->{state}, 'drawn', 'and it is drawn');
is($t->me('v')->json->{wallets}{points}{balance}, $served,
   'live traffic went on');

my $want = $s->recomputed;
is($s->file('picks'), $want, 'the draw, recomputed');
is($s->close->{entries}, $RECORDS, 'of all entries');
is(() = $s->file('close') =~ /^nginx-loyalty\/1 close$/mg, 1, 'one note');
is(() = $s->file('picks') =~ /^pick /mg, 225, '225 positions are filled');

my ($code, $out) = $s->verify;
is($code, 2, 'loyalty-verify') or diag $out;
is(() = $out =~ /^V(?:02|07|08|09|10|17|18) PASS /mg, 7, 'agrees')
    or diag $out;

done_testing();
