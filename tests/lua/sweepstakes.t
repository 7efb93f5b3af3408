# Sweepstakes: entering, byte for byte as the draw protocol has it, caps,
# awards and voids.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../../t/lib";
use Engine;
use Loyalty::Fairness;
use Raffle;
use Test::More;

# the vectors: ten entries, and a void of the fourth

my $s = Raffle->new;
my $e = $s->engine;

for my $i (0 .. 9) {
    $s->at($s->{open} + 1000 * $i);

    my $r = $s->enter('member-' . $i % 7, key => "event-$i",
                      tickets => 1 + $i * $i % 5, method => 1 + $i % 2,
                      salt => substr(H('entry salt' . u32($i)), 0, 16));

    is($r->{code}, undef, "entry $i") or diag $r->{code};
}

is(unpack('H*', $s->{cid}), '14882ecf8eb28aca4d7efaf7a8eb5c7d', 'cid');
is(unpack('H*', $s->{kp}), '651a3523db09fcda077f4e54faa9176d604ffd6f1775354b'
   . '2dd82de732f37a67', 'K_p');
is(unpack('H*', substr $s->file, 0, 132), '6e67696e782d6c6f79616c74792f3120656e'
   . '7472790014882ecf8eb28aca4d7efaf7a8eb5c7d0000000000000000000001944187b3c0'
   . '000000000000000000000001d92e3316e587d3dae28357a7c4cac2564fb54d9aadcd2ee7'
   . '39e96d4564d425367d3789ee27ac8a96fe267683527de46d2d301fce1d5228328014b349'
   . 'b6b05a880100', 'entry 0, byte for byte');
is(unpack('H*', root(map { leaf($_->{record}) } entries($s->file))),
   '4ef6d7aa7d590e7acd7a3e3b1d61b1952c6d7e51a2af50f7391d75993ae52283',
   'the root of ten entries (vector C)');
is($s->game->{tickets}, 30, '30 tickets');
is($s->game->{seq}, 10, '10 entries');

# A void is what a reversed award leaves.  That of entry 3 in the vectors is
# of a bought entry, which no reversal reaches: the same transition is asked
# through the award of a challenge whose entry stands there.

{
    my $v = Raffle->new(e => Engine->new(clock => $s->{open}));
    my $chal = [2, \'CHAL', 1, 0, 0, 0, [2, \'SPRG', 5]];
    my $r;

    for my $i (0 .. 9) {
        $v->at($v->{open} + 1000 * $i);

        my $m = 'member-' . $i % 7;
        my %o = (salt => substr(H('entry salt' . u32($i)), 0, 16));

        if ($i != 3) {
            $v->enter($m, key => "event-$i", tickets => 1 + $i * $i % 5,
                      method => 1 + $i % 2, %o);
            next;
        }

        $r = $v->engine->event($m, id => 'event-3', rules => [[$chal]],
                               keys => [$v->game_keys],
                               targets => [$v->target($m, id => 'event-3',
                                                      %o)]);
    }

    is_deeply($r->{entries}[1],
              [15, 4, 3, 8, 5, 3, substr(H('entry salt' . u32(3)), 0, 16),
               ''], 'an award enters tickets: seq, first, count, method 3');

    $v->at($v->{open} + 10_000);
    my $member = 'member-3';
    $r = $v->engine->reverse($member, id => 'back', of => 'event-3',
                             keys => [$v->game_keys],
                             targets => [$v->target($member, id => 'back')]);
    is_deeply([grep { $_->[0] == 16 } @{ $r->{entries} }],
              [[16, 4, 10, 8, 5]], 'and its reversal voids them');

    # with the method that the vectors give to entry 3, their root
    my @entries = entries($v->file);
    is($entries[10]{flags}, 1, 'a record of its own');
    $_->{method} = 2 for @entries[3, 10];
    $entries[3]{tickets} = $entries[10]{tickets} = 5;
    is(unpack('H*', root(map { leaf(entry($_)) } @entries)),
       'c87ad73fa325bc03bb3094396b792ef3c4facca58001cf387a7feb283ab9e8ac',
       'the root of eleven entries (vectors A and B)');
    is($v->game->{tickets}, 30, 'a void takes no ticket number back');
    is($v->game->{voided}, 5, 'and is counted');
    is_deeply($v->state($member)->[0], 0, 'the member holds none');

    $r = $v->engine->reverse($member, id => 'again', of => 'event-3',
                             keys => [$v->game_keys],
                             targets => [$v->target($member, id => 'x')]);
    is($r->{code}, 'over_reversal', 'one void an entry');
    is($v->game->{seq}, 11, 'and no more');
}

# the record, and a repeat

$s->at($s->{open} + 20_000);

my $r = $s->enter('rosa', key => 'once', tickets => 7);
is_deeply($r->{entries}, [[15, 1, 10, 30, 7, 1,
                           substr(H('salt rosa once'), 0, 16), 'once']],
          'the record tells seq, first ticket, count, method, salt and key');
my $again = $s->enter('rosa', key => 'once', tickets => 7);
is($again->{dup}, 1, 'a repeat');
is_deeply($again->{entries}, $r->{entries}, 'is the same');
is($s->enter('rosa', key => 'once', fp => 'other')->{code},
   'idempotency_conflict', 'another request under the key');
is($s->game->{tickets}, 37, 'entered once');
is_deeply([unpack 'N', substr(${ \$s->state('rosa')->[7] }, 12)], [7],
          'the range is in the member');

# when it cannot be entered

sub code {
    my (%o) = @_;
    my $before = $s->file;
    my $r = $s->enter('zoe', %o);
    is($s->file, $before, 'nothing was entered') if $r->{code};
    return $r->{code} // 'entered';
}

$s->at($s->{open} - 1);
is(code(), 'not_open', 'before open');
$s->at($s->{open});
is(code(), 'entered', 'at open');
$s->at($s->{close} - 1);
is(code(), 'entered', 'the last moment');
$s->at($s->{close});
is(code(), 'closed', 'exactly at close');
$s->at($s->{close} - 1, 1501);
is(code(), 'clock_skew', 'Redis is 1501 ms ahead');
$s->at($s->{close} - 10_000, -1501);
is(code(), 'clock_skew', 'Redis is 1501 ms behind');
$s->at($s->{close} - 10_000, -1500);
is(code(), 'entered', '1500 ms are within');
$s->at($s->{close} - 10_000);
is(code(generation => 2), 'retrySPRG', 'a node that knows other rules');

my $g = $s->game;
$s->set_game(%$g, paused => 1);
is(code(), 'paused', 'paused');
$s->set_game(%$g, phase => 1);
is(code(), 'closed', 'closing');
$s->set_game(%$g, tickets => 2 ** 47 - 3);
is(code(tickets => 3), 'limit_reached:0', '2^47 tickets');
is(code(tickets => 2), 'entered', '2^47 - 1 tickets');
$s->set_game(%$g);

# chunks

my $c = Raffle->new;
$c->set_game(seq => 4094, tickets => 4094);
$c->engine->raw('SET', $c->key('e:0'), 'x' x (4094 * 132));
$c->at($c->{open} + 1);
ok(!$c->enter('a')->{code}, 'record 4094') for 1 .. 2;
ok(!$c->enter('b')->{code}, 'record 4096 begins a chunk');
is(length $c->engine->raw('GET', $c->key('e:0')), 4096 * 132, 'full');
is(length $c->engine->raw('GET', $c->key('e:1')), 132, 'the next one');
$c->set_game(seq => 8192, tickets => 8192);
is($c->enter('c')->{code}, 'retrySPRG8192', 'a guess that was wrong');
$c->{chunk} = 2;
ok(!$c->enter('c')->{code}, 'and put right');

# the price

my $p = Raffle->new(price => 50);
$p->at($p->{open} + 1);
$p->engine->event('a', id => '1', rules => [[[1, \'EARN', \'WPTS', 120, 1,
                                              0, 0]]]);
is($p->enter('a', tickets => 3)->{code}, 'insufficient_balance',
   '3 tickets cost 150');
is($p->engine->balance('a'), 120, 'nothing was charged');
is($p->game->{seq}, 0, 'nor entered');
$r = $p->enter('a', tickets => 2);
is_deeply($r->{entries}[0], [1, 1, -100, 4], 'two cost 100');
is($p->engine->balance('a'), 20, '20 are left');
is($p->engine->ledger('a'), 20, 'and in the ledger');
is($p->engine->state('a')->{wallets}[1], 120, 'lifetime stays');
ok(!$p->enter('a', method => 2)->{code}, 'a free entry');
is($p->engine->balance('a'), 20, 'is free');
ok(!$p->enter('nobody', method => 4)->{code}, 'an import');
is_deeply([map { $_->{method} } entries($p->file)], [1, 2, 4], 'methods');

# limits, by tickets

my $l = Raffle->new(limits => [1, 3, 2, 5, 0, 6]);
my $day = 86400e3;
$l->{close} = $l->{open} + 60 * $day;
$l->at($l->{open} + 1);
is($l->enter('a', tickets => 4)->{code}, 'limit_reached:1', '3 a day');
ok(!$l->enter('a', tickets => 2)->{code}, 'two');
ok(!$l->enter('a', method => 2)->{code}, 'a free one counts');
is($l->enter('a', method => 2)->{code}, 'limit_reached:1', 'in the same cap');
ok(!$l->enter('b', tickets => 3)->{code}, 'of a member');
$l->at($l->{open} + $day);
is($l->enter('a', tickets => 3)->{code}, 'limit_reached:2', '5 a week');
ok(!$l->enter('a', tickets => 2)->{code}, 'two more');
$l->at($l->{open} + 14 * $day);
is($l->enter('a', tickets => 2)->{code}, 'limit_reached:0', '6 in all');
ok(!$l->enter('a', tickets => 1)->{code}, 'the last one');

# two nodes at midnight, the second one's clock is a moment behind

{
    my $late = Raffle->new(limits => [1, 3]);
    my $midnight = $late->{open} + $day - $late->{open} % $day;

    $late->{close} = $late->{open} + 60 * $day;
    $late->at($midnight - 2000);
    ok(!$late->enter('a', tickets => 3)->{code}, 'all of a day');
    $late->at($midnight);
    ok(!$late->enter('a')->{code}, 'one of the next');
    $late->at($midnight - 1);
    is($late->enter('a')->{code}, 'limit_reached:1',
       'none of the day before, which is forgotten');
    ok(!$late->enter('b')->{code}, 'others have theirs');
    $late->at($midnight + 1);
    ok(!$late->enter('a', tickets => 2)->{code}, 'two more of the next');
    is($late->enter('a')->{code}, 'limit_reached:1', 'and that is all');

    # a clock that was set back by days begins anew

    $late->at($midnight - 3 * $day);
    $late->{open} = $midnight - 4 * $day;
    ok(!$late->enter('a', tickets => 3)->{code}, 'long before');
}

# eligible

my $el = Raffle->new(eligible => [[2, \'WPTS', 5, 100]]);
$el->at($el->{open} + 1);
is($el->enter('a')->{code}, 'not_eligible', 'a balance of 100 is asked for');
$el->engine->event('a', id => '1', rules => [[[1, \'EARN', \'WPTS', 100, 1, 0,
                                               0]]]);
ok(!$el->enter('a')->{code}, 'and there');

# awards

my $w = Raffle->new(limits => [0, 3]);
my $chal = [2, \'CHAL', 1, 0, 2, 1, [2, \'SPRG', 2]];

sub award {
    my ($id, %o) = @_;
    my $m = $o{member} // 'a';
    my $r = $w->engine->event($m, id => $id, rules => [[$chal]],
        keys => [$w->game_keys],
        targets => [$w->target($m, id => $id, %o)]);
    return $r->{code} ? $r : [grep { $_->[0] == 15 } @{ $r->{entries} }];
}

$w->at($w->{open} - 1);
is_deeply(award('e0'), [], 'nothing is awarded before open');
$w->at($w->{open} + 100);
is(scalar @{ award('e1') }, 1, 'tickets');
is((entries($w->file))[0]{commit},
   entry_commit(substr(H('salt a e1'), 0, 16), 'a', 'e1'),
   'committed to the event');
$w->at($w->{open} + 200);
is_deeply(award('e2'), [], 'nothing beyond a cap');
is($w->engine->state('a')->{seq}, 3, 'and the event counts');
$w->{limits} = [];
is_deeply(award('e3', index => 0), [], 'nothing from a node that may not');
is_deeply(award('f3', may => 0), [], 'nor for a member who may not');
$w->{eligible} = [[2, \'WPTS', 5, 1]];
is_deeply(award('g3'), [], 'nor for one who is not eligible');
$w->{eligible} = [];
is(award('e4', generation => 7)->{code}, 'retrySPRG', 'told to refresh');
is($w->engine->state('a')->{seq}, 6, 'nothing was written');
$w->{chunk} = 3;
is(award('e4')->{code}, 'retrySPRG1', 'told the seq');
$w->{chunk} = 0;
$w->at($w->{close} - 1, 1501);
is_deeply(award('e5', member => 'z'), [], 'nothing once Redis says it is over');
for my $off (-1501, 1501) {
    my $file = $w->file;
    $w->at($w->{open} + 5000, $off);
    is(award("off $off", member => 'y')->{code}, 'clock_skew',
       "none by a clock that is $off ms off");
    is(back('e1')->{code}, 'clock_skew', 'nor is one voided');
    is($w->file, $file, 'nothing is recorded');
}
$w->at($w->{open} - 9000, 3000);
is_deeply(award('early', member => 'y'), [], 'before it opens the event counts');
$w->at($w->{open} + 1000);
is(scalar @{ award('e6') }, 1, 'another entry');

sub back {
    my ($id, %o) = @_;
    my $r = $w->engine->reverse('a', id => "r$id", of => $id,
        keys => [$w->game_keys],
        targets => [$w->target('a', id => "r$id", %o)]);
    return $r->{code} ? $r : [grep { $_->[0] == 16 } @{ $r->{entries} }];
}

$w->at($w->{close});
is_deeply(back('e6'), [], 'no void after the close');
$w->at($w->{close} - 1);
is(back('e1', generation => 9)->{code}, 'retrySPRG', 'a void is told too');
is(scalar @{ back('e1') }, 1, 'a void before it');
is($w->state('a')->[0], 2, 'two tickets are left');

# a log that is damaged: nothing is entered, and the game is held

for (['lost', sub { $_[0]->raw('DEL', $_[1]) }],
     ['longer', sub { $_[0]->raw('APPEND', $_[1], 'x') }])
{
    my ($what, $damage) = @$_;
    my $d = Raffle->new(e => Engine->new(clock => $s->{open}));

    $d->at($d->{open} + 1);
    ok(!$d->enter('a')->{code}, 'an entry');

    my $redis = $d->engine;
    $damage->($redis, $d->key('e:0'));
    my $before = $redis->raw('GET', $d->key('e:0'));

    is($d->enter('b')->{code}, 'retrySPRG', "$what: another try");
    is($d->enter('b')->{code}, 'paused', 'finds it paused');
    is($redis->raw('GET', $d->key('e:0')), $before, 'the log as it was');
    is_deeply([@{ $d->game }{qw(seq paused tickets)}], [1, 3, 1], 'held');
    ok(!(eval { $d->state('b') } // [0])->[0], 'the member has no tickets');
}

# at most so many entries of a member

my $m = Raffle->new;
$m->at($m->{open} + 1);
ok(!$m->enter('a')->{code}, 'one entry');
for (1 .. 1023) { my $x = $m->enter('a'); $x->{code} and last }
is($m->game->{seq}, 1024, '1024 entries of a member');
is($m->enter('a')->{code}, 'limit_reached:0', 'and no more');
is(length $m->state('a')->[7], 16 * 1024, 'all are remembered');

done_testing();
