# Sweepstakes: from the close to the draw, and what becomes of prizes.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../../t/lib";
use Engine;
use Loyalty::Fairness;
use Raffle;
use Test::More;

my $s = Raffle->new;
my $e = $s->engine;
my $CLOSE = $s->{close};

# the entries of vector A

my (@entries, $tickets);
my ($cid, $kp) = @$s{qw(cid kp)};

for my $i (0 .. 9) {
    my $m = 'member-' . $i % 7;
    my %e = (cid => $cid, seq => $i, t => $s->{open} + 1000 * $i,
             first => $tickets // 0, tickets => 1 + $i * $i % 5,
             person => person($kp, $cid, $m), method => 1 + $i % 2,
             commit => entry_commit(substr(H('entry salt' . u32($i)), 0, 16),
                                    $m, "event-$i"));
    push @entries, \%e;
    $tickets += $e{tickets};
}

push @entries, { %{ $entries[3] }, seq => 10, t => $s->{open} + 10_000,
                 commit => $Z, flags => 1 };

my @records = map { entry($_) } @entries;

$e->raw('SET', $s->key('e:0'), join '', @records);
$s->set_game(seq => 11, tickets => 30, voided => 5);

sub call {
    my ($fn, $keys, @arg) = @_;
    my $reply = $e->call($fn, [map { $s->key($_) } @$keys], \@arg);
    return ref $reply ? join ' ', map { $_ // 'nil' } @$reply
                      : $reply;
}

sub closing { return call('closing', ['s', 'meta'], $CLOSE,
                          $_[0] // $s->game->{generation}) }
sub covered { my (@a) = @_;
              return call('covered', ['s', 'meta', 'v'], $a[0], $a[1],
                          map { \$_ } @a[2 .. 4]) }
sub closed { my ($n, $note, $t) = @_;
             return call('closed', ['s', 'meta', 'f:close'], $n, \$note, $t) }

# open -> closing

$s->at($CLOSE + 1000, 499);
is(closing(), '0 11 30 0    0', 'not before close + 1.5 s');
is($s->game->{phase}, 0, 'it is open');
is(covered(0, 11, 'f', 'i', ''), 'R', 'and nothing is covered');
is(closed(0, 'n', 1), 'R', 'nor closed');
$s->at($CLOSE + 1000, 500);
is(closing($s->game->{generation} - 1), '0 11 30 0    0',
   'nor by who does not know the last version');
is(closing(), '1 11 30 0    0', 'then closing');
is(closing(), '1 11 30 0    0', 'as whoever takes over is told');

# closing -> closed

is(call('slice', ['e:0'], 396, 264), $records[3] . $records[4], 'a slice');
is(call('slice', ['e:0'], 1320, 660), $records[10], 'the last one');
is(call('slice', ['e:0'], 1452, 132), '', 'and no more');
is(covered(0, 8, 'frontier', u64(0), ''), 'N', 'eight are covered');
is(closing(), '1 11 30 8 frontier ' . u64(0) . '  0', 'and remembered');
is(covered(0, 8, 'f', u64(0), ''), 'R', 'another leader was there');
is(closed(11, 'note', 1), 'R', 'not all are covered');
is(covered(8, 11, 'all', '', u64($entries[3]{first})), 'N', 'the rest');
is($e->raw('GET', $s->key('v')), u64(8), 'with what is void');
is(closed(10, 'note', 1), 'R', 'of other entries');
is(call('waiting', ['s', 'meta'], 7, 0), 'D', 'nothing to wait for');
is(closed(11, 'note', $CLOSE + 1000), 'N', 'closed');
is(closed(11, 'other', $CLOSE + 2000), 'D', 'once');
is($e->raw('GET', $s->key('f:close')), 'note', 'the first note stands');
is(covered(11, 12, 'f', '', ''), 'R', 'nothing is covered any more');

# owners

sub owner_of {
    my (@tickets) = @_;
    return [map { defined ? (entries($_))[0]{seq} : undef }
            @{ $e->call('owners', [$s->key('e:0')],
                        [map { (1, $_) } @tickets]) }];
}

my @want = map { my $x = $_; (map { $_->{seq} }
                 grep { $x >= $_->{first} && $x < $_->{first} + $_->{tickets} }
                 @entries)[0] } 0 .. 29;
is_deeply(owner_of(0 .. 29), \@want, 'whose each ticket is');
is_deeply(owner_of(30, 1000), [undef, undef], 'and no more');

# closed -> waiting -> drawn

sub where { return call('sweepstakes', ['s', 'meta']) }

is(where(), '2 0 11 30 5 11 ' . ($CLOSE + 1000) . ' 0 0', 'where it stands');
is(call('waiting', ['s', 'meta'], 0, 0), 'N', 'waits for a timestamp');
is(where(), '3 0 11 30 5 11 ' . ($CLOSE + 1000) . ' 0 0', 'and says so');
is(call('waiting', ['s', 'meta'], 14517013, 1), 'N', 'for a round');
is(where(), '3 0 11 30 5 11 ' . ($CLOSE + 1000) . ' 14517013 1',
   'and that it is late');

my $mh = pack 'H*', '7ab3eb2460b3e34e1297170f2d22da1192561ec6dd00406ade49356c4c'
                    . '3e11d6';
my $root = root(map { leaf($_) } @records);
my $chain = pack 'H*', '52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94'
                       . '600c84e971';
my $b = pack 'H*', '97d920a0817f74b4dbff89a721faeda4ea307bc5d8890ebb833700ea68'
                   . 'b2d106';
my $seed = HMAC($Raffle::MASTER, T('draw-seed') . $cid . u32(1));
my $key = H(T('draw-key') . $mh . $root . u64(11) . u64(30) . $chain
            . u64(14517013) . $b . $seed);
is(unpack('H*', $key), 'e84b13cc5d66c64d99cee87ee6d55637410f16bbc7378ecaa33336'
   . '515d1c4e65', 'K_draw of vector A');

my @picks = winners($key, 'pick', [entries(join '', @records)], 0, 4);
is(join(' ', map { "($_->{position}, $_->{attempt}, $_->{ticket}, $_->{seq})" }
        @picks),
   '(0, 0, 6, 2) (1, 0, 13, 4) (2, 0, 18, 7) (3, 1, 2, 1) (4, 5, 16, 6)',
   'its picks');

sub who { my ($p) = @_;
          return u64($p->{seq}) . $p->{person} . u64($p->{ticket}) }
sub person_hex { return unpack 'H*', $_[0]{person} }

my $file = join '',
    (map { "pick $_->{position} $_->{attempt} $_->{ticket} $_->{seq} "
           . person_hex($_) . "\n" } @picks),
    (map { "winner $_->{position} 0 $_->{seq} " . person_hex($_) . "\n" }
     @picks[0, 1]);
my $filled = join '', map { who($_) } @picks;
my $T = $CLOSE + 3_600_000;
my @keys = qw(s meta w f:picks f:reveal);

is(call('winners', ['w'], 0, \''), '', 'no winners before the draw');
is(call('claim', ['w', 'f:picks'], $T, -1, \$picks[0]{person}, 1, 0),
   'Enot_open', 'nor claims');
$e->raw('HSET', $s->key('meta'), 't:close:0', 1234);
is(call('drawn', \@keys, $T, 1235, \$file, \"seed\n", [0, 0], \$filled,
        \'key'), 'R', 'an earlier timestamp is there by now');
is($s->game->{phase}, 3, 'nothing is drawn');
is(call('drawn', \@keys, $T, 1234, \$file, \"seed\n", [0, 0], \$filled,
        \'key'), 'N', 'drawn');
is(call('drawn', \@keys, $T + 1, 0, \'other', \'x', [0, 0], \$filled, \'key'), 'D',
   'a second draw');
is($e->raw('GET', $s->key('f:picks')), $file, 'the first result stands');
is($e->raw('GET', $s->key('f:reveal')), "seed\n", 'with what it reveals');
like(where(), qr/^4 0 11 30 5 11 \d+ 14517013 1$/, 'where it stands');
$e->raw('SET', $s->key('m'), 'the member');
my @view = @{ $e->call('sweepstakes', [map { $s->key($_) } qw(s meta w m)],
                       [\$picks[1]{person}]) };
is($view[9], join('', map { pack('NC', 0, 0) . who($picks[$_]) } 0, 1),
   'who has won');
is($view[10], '1', 'the position of a winner');
is($view[11], $e->raw('HGET', $s->key('w'), 'p1'), 'the prize');
is($view[12], 'the member', 'and the member');
@view = @{ $e->call('sweepstakes', [map { $s->key($_) } qw(s meta w none)],
                    [\$picks[2]{person}]) };
is_deeply([@view[10 .. 12]], ['', '', ''], 'an alternate, not seen before');
is(call('sweepstakes', ['none', 'meta']), '', 'no such game');
is(call('waiting', ['s', 'meta'], 1, 0), 'D', 'it waits for nothing');
like(closing(), qr/ key 1234$/, 'K_draw is kept');

# claims

sub prize {
    my ($position) = @_;
    my $r = $e->call('winners', [$s->key('w')], [$position, \'']);
    my $raw = $r->[4];
    return { next => $r->[1], k => $r->[2], settled => $r->[3] } if $raw eq '';
    my @p = map { Engine::decode(\$raw) } 1 .. 4;
    return { row => $p[0], status => $p[1], since => $p[2], who => $p[3],
             next => $r->[1], k => $r->[2], settled => $r->[3] };
}

sub claim { my ($t, $p, $who, $what, $within) = @_;
            return call('claim', ['w', 'f:picks'], $t, $p, \$who, $what,
                        $within) }

sub added { my $now = $e->raw('GET', $s->key('f:picks'));
            return substr $now, length $file }

my $DAY = 86400e3;
is_deeply(prize(1), { row => 0, status => 0, since => $T, k => 0, next => 0,
                      settled => 0, who => who($picks[1]) }, 'a prize is held');
is(claim($T + 5, -1, $picks[2]{person}, 1, $DAY), 'Enot_eligible',
   'an alternate has won nothing yet');
is(claim($T + 5, -1, $picks[1]{person}, 1, $DAY), 'N 1 0 ' . ($T + 5),
   'a winner claims');
is(claim($T + 9, -1, $picks[1]{person}, 1, $DAY), 'D 1 0 ' . ($T + 5),
   'once');
is(claim($T + $DAY, -1, $picks[0]{person}, 1, $DAY), 'Eclosed',
   'exactly when claim_within ends');
is(claim($T + 9, 1, '', 2, 0), 'N 1 0 ' . ($T + 9), 'delivered');
is(claim($T + 9, 1, '', 1, 0), 'D 1 0 ' . ($T + 9), 'and claimed before');
is(claim($T + 9, 7, '', 2, 0), 'Enot_eligible', 'no such position');
is(added(), 'claimed 1 ' . ($T + 5) . "\ndelivered 1 " . ($T + 9) . "\n",
   'the published lines');

# what is not claimed in time

sub unclaimed { return call('unclaimed', ['w'], @_) }

is(unclaimed(0, $T - 1), "0 0 -1  -1 $T", 'nothing is overdue');
is(unclaimed(0, $T), '0 0 0 ' . who($picks[0]) . ' -1 0', 'a prize is');
is(unclaimed(1, $T), '0 0 -1  -1 0', 'one that was claimed is not');
is(unclaimed(-1, $T), '0 0 -1  -1 0', 'and nothing is looked at');

# disqualified: listed alternates, until none is left

sub dq { my ($k, $p, $who, $note, $fresh) = @_;
         return call('disqualify', ['w', 'f:picks', 'f:dq'], $T + $DAY, $k, $p,
                     \$who, \$note, $fresh // 0) }

$file .= added();
is(dq(2, 0, who($picks[0]), 'n'), 'R', 'k is not the next one');
is(dq(1, 0, who($picks[1]), 'n'), 'R', 'of somebody who does not have it');
is(dq(1, 0, who($picks[0]), "note 1\n"), 'N', 'the winner of position 0');
is(added(), "winner 0 0 $picks[2]{seq} " . person_hex($picks[2]) . "\n",
   'the first alternate takes the prize');
is(prize(0)->{who}, who($picks[2]), 'and has it');
is(claim($T + $DAY + 1, -1, $picks[0]{person}, 1, 0), 'Enot_eligible',
   'who was disqualified has nothing to claim');
is(claim($T + $DAY + 1, -1, $picks[2]{person}, 1, $DAY),
   'N 0 0 ' . ($T + $DAY + 1), 'the alternate claims within its own time');
is(dq(2, 0, who($picks[2]), "note 2\n"), 'N', 'the alternate, too');
is(dq(3, 0, who($picks[3]), "note 3\n"), 'N', 'and the second');
is(dq(4, 0, who($picks[4]), "note 4\n"), 'N', 'and the last');
like(added(), qr/^vacant 0 0\n\z/m, 'the prize is vacant');
is(prize(0)->{status}, 3, 'and stays so');
is(dq(5, 0, who($picks[4]), 'n'), 'R', 'nobody has it');
is($e->raw('GET', $s->key('f:dq')), "note 1\nnote 2\nnote 3\nnote 4\n",
   'the notes');

# fresh alternates

my $f = Raffle->new(name => 'fresh');
$s = $f;
$e = $f->engine;
$s->set_game(seq => 11, tickets => 30, phase => 2);
call('drawn', \@keys, $T, 0, \$file, \'', [0, 0], \$filled, \'key');
is($e->raw('EXISTS', $s->key('f:reveal')), 0, 'nothing is revealed');

sub fresh { my ($k, $who, $a, $x) = @_;
            return call('fresh', ['w', 'f:picks'], $T + $DAY, $k, $a // 0,
                        $x // 0, \$who) }

my $held = $file;
is(fresh(1, who($picks[4])), 'R', 'nobody is waited for');
is(dq(1, 1, who($picks[1]), "note 1\n", 1), 'N', 'position 1');
is(dq(2, 0, who($picks[0]), "note 2\n", 1), 'N', 'position 0');
is(prize(1)->{status}, 4, 'awaiting');
is(claim($T, 1, '', 1, 0), 'Enot_eligible', 'not to be claimed');
is(dq(3, 1, who($picks[1]), 'n', 1), 'R', 'nor vacated again');
is(call('again', ['w', 'f:dq', 'meta'], 3, \'x'), 'R', 'no dq 3');
$e->raw('HSET', $s->key('meta'), 't:dq:1', 1);
is(call('again', ['w', 'f:dq', 'meta'], 1, \"note 1b\n"), 'N',
   'the first one came too late');
is($e->raw('HEXISTS', $s->key('meta'), 't:dq:1'), 0,
   'the next one wants a timestamp of its own');
is(fresh(2, who($picks[4])), 'R', 'k = 2 waits for k = 1');
is(fresh(1, who($picks[4]), 34, 15), 'N', 'found');
is(call('again', ['w', 'f:dq', 'meta'], 1, \'x'), 'R', 'no note after it');
is(fresh(2, ''), 'N', 'nobody is left');
is(fresh(2, ''), 'R', 'once');
$e->raw('GET', $s->key('f:picks')) =~ /\A\Q$file\E(.*)\z/s;
is($1, "fresh 1 34 15 6 " . person_hex($picks[4]) . "\nwinner 1 0 6 "
   . person_hex($picks[4]) . "\nvacant 0 0\n", 'the lines');
is($e->raw('GET', $s->key('f:dq')), "note 1\nnote 2\nnote 1b\n", 'the notes');
is(prize(1)->{who}, who($picks[4]), 'the prize is held');
is(prize(1)->{settled}, 2, 'all are settled');

# fewer persons than prizes, and nobody at all

my $few = Raffle->new(name => 'few', e => $e);
$s = $few;
$s->set_game(seq => 11, tickets => 30, phase => 3);
call('drawn', \@keys, $T, 0, \'p', \'', [0, 1, 1], \who($picks[0]), \'key');
is(prize(0)->{status}, 0, 'one has won');
is(prize(1)->{status}, 3, 'the second prize is vacant');
is(prize(2)->{row}, 1, 'and the third');
my $nobody = Raffle->new(name => 'nobody', e => $e);
$s = $nobody;
$s->set_game(phase => 3);
call('drawn', \@keys, $T, 0, \'', \'', [0], \'', \'key');
is($s->game->{phase}, 4, 'a draw with no entries');
is($e->raw('EXISTS', $s->key('f:picks')), 0, 'has no picks');
is(prize(0)->{status}, 3, 'and no winner');

# many winners

my $many = Raffle->new(name => 'many', e => $e);
$s = $many;
$s->set_game(phase => 3);
my @crowd = map { u64($_) . H($_) . u64($_ * 3) } 1 .. 1200;
call('drawn', \@keys, $T, 0, \'p', \'', [(0) x 1100], \join('', @crowd), \'key');
is($e->raw('HLEN', $s->key('w')), 2 * 1100 + 100 + 4, '1100 and 100');
is(prize(1099)->{who}, $crowd[1099], 'the last prize');
is(length $e->call('sweepstakes', [map { $s->key($_) } qw(s meta w none)],
                   [\$picks[2]{person}])->[9], 1000 * 53, 'a thousand are told');
is(unclaimed(0, 5), "0 0 -1  500 $T", 'they are looked at in parts');
is(unclaimed(500, 5), "0 0 -1  1000 $T", 'one after another');
is(unclaimed(1000, 5), "0 0 -1  -1 $T", 'to the end');
is($e->raw('HGET', $s->key('w'), 'a99'), $crowd[1199], 'the last alternate');

# owners among many voids: every ticket of chunks of all sorts

srand 7;

for my $void (0, 0.1, 0.5, 0.95) {
    my ($bytes, $seq, $x, @owner, @live) = ('', 0, 0);
    my $some = person($kp, $cid, 'x');

    while ($seq < 700) {
        my %r = (cid => $cid, seq => $seq, t => 1, person => $some,
                 commit => $Z, method => 1);

        if (@live && rand() < $void) {
            my $old = splice @live, int rand @live, 1;
            $bytes .= entry({ %r, first => $old->[0], tickets => $old->[1],
                              flags => 1 });
        }
        else {
            my $n = 1 + int rand 4;
            $bytes .= entry({ %r, first => $x, tickets => $n });
            push @live, [$x, $n];
            $owner[$_] = $seq for $x .. $x + $n - 1;
            $x += $n;
        }

        $seq++;
    }

    $e->raw('SET', $s->key('e:0'), $bytes);
    is_deeply(owner_of(0 .. $x - 1), \@owner, "voids: $void");
}

done_testing();
