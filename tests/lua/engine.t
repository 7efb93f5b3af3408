# Points, tiers, duplicates, reversals, overflow and history of the library.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Engine;
use Test::More;

my $e = Engine->new;

sub earn {
    my ($num, $den, %o) = @_;
    return [1, \($o{hash} // 'EARN'), \($o{wallet} // 'WPTS'), $num, $den,
            $o{round} // 0, $o{basis} // 1];
}

my $dollar = [earn(1, 100)];

# earning

my $r = $e->event('a', id => '1', amount => 1177, rules => [$dollar]);

is_deeply($r->{entries}, [[1, 1, 11, 3]], 'floor of 11.77 at 1 per 1.00');
is_deeply($r->{balances}, [11], 'balance in the record');
is($r->{dup}, 0, 'new');
is_deeply($r->{slots}, ['PROG', 'buy ', 'EARN'], 'slots');

my $again = $e->event('a', id => '1', amount => 1177, rules => [$dollar]);

is($again->{dup}, 1, 'a repeat is a duplicate');
is_deeply($again->{entries}, $r->{entries}, 'with the first result');
is($e->event('a', id => '1', fp => 'other', amount => 5)->{code},
   'event_conflict', 'other contents under the id');
is($e->balance('a'), 11, 'credited once');

$r = $e->event('a', id => '2', amount => 99, rules => [$dollar]);
is_deeply($r->{entries}, [], '0.99 earns nothing');
is($e->raw('XLEN', ($e->keys_of('a'))[2]), 1, 'and leaves no feed line');

for my $case ([0, 15, 1], [1, 15, 2], [2, 15, 2], [2, 14, 1], [0, 10, 1],
              [1, 10, 1], [1, 11, 2])
{
    my ($round, $amount, $want) = @$case;
    my $m = "round$round-$amount";
    $e->event($m, id => '1', amount => $amount,
              rules => [[earn(1, 10, round => $round)]]);
    is($e->balance($m), $want, "mode $round of $amount / 10");
}

$r = $e->event('flat', id => '1', rules => [[earn(5, 1, basis => 0)]]);
is($e->balance('flat'), 5, 'flat points for an event without amount');

my @items = ('c1', 'coffee', 3, 900, 't1', 'tea', 2, 500, 'c2', 'coffee', 1, 250);

$e->event('items', id => '1', amount => 1650, items => \@items,
          rules => [[earn(10, 1, basis => 2), [1, 3]],
                    [earn(1, 100, basis => 3, hash => 'EAMT'), [1, 3]]]);
is($e->balance('items'), 40 + 11, 'by quantity and by amount of items');

# exact products past 2^53 would be lost in doubles

$e->event('big', id => '1', amount => 9_007_199_254_740_991,
          rules => [[earn(1, 1)]]);
is($e->balance('big'), 9_007_199_254_740_991, '2^53 - 1 points are exact');
is($e->event('big', id => '2', amount => 1, rules => [[earn(1, 1)]])->{code},
   'limit_reached', 'one more is refused');
is($e->state('big')->{seq}, 1, 'and nothing was written');

# tiers

my $t = Engine->new(tiers => [0, 10000, 'BRON', 100, 12500, 'SILV', 200,
                              15000, 'GOLD']);
$r = $t->event('t', id => '1', amount => 9900, rules => [$dollar]);
is_deeply($r->{entries}, [[1, 1, 99, 3]], 'bronze, 99 points');
$r = $t->event('t', id => '2', amount => 10100, rules => [$dollar]);
is_deeply($r->{entries}, [[1, 1, 101, 3], [10, 'BRON', 'GOLD']],
          'the multiplier is that of the tier before, the highest tier only');
$r = $t->event('t', id => '3', amount => 1100, rules => [$dollar]);
is_deeply($r->{entries}, [[1, 1, 16, 3]], 'floor(11 * 1.5)');
is($r->{multiplier}, 15000, 'the multiplier is kept');
$r = $t->reverse('t', id => 'r2', of => '2');
is_deeply($r->{entries}, [[11, '2', 0, 0], [1, 1, -101, 3],
                          [10, 'GOLD', 'SILV']], 'the tier falls');
$r = $t->reverse('t', id => 'r3', of => '3', amount => 550);
is_deeply($r->{entries}[1], [1, 1, -8, 3], 'a part, with the kept multiplier');

# reversal

$r = $e->reverse('a', id => 'r1', of => '1', amount => 177);
is_deeply($r->{entries}, [[11, '1', 177, 0], [1, 1, -1, 3]],
          'what stays is the rule applied to what remains');
is($e->reverse('a', id => 'r1', of => '1', amount => 177)->{dup}, 1,
   'a reversal is idempotent');
is($e->reverse('a', id => 'r2', of => '1', amount => 1001)->{code},
   'over_reversal', 'more than is left');
$e->reverse('a', id => 'r3', of => '1');
is($e->balance('a'), 0, 'all that was left');
is($e->reverse('a', id => 'r4', of => '1')->{code}, 'over_reversal',
   'the event is used up');
is($e->reverse('a', id => 'r5', of => 'nope')->{code}, 'unknown_event',
   'unknown event');
is($e->reverse('a', id => 'r6', of => 'r3')->{code}, 'unknown_event',
   'a reversal is not reversed');
is($e->reverse('nobody', id => 'r6', of => 'r3')->{code}, 'unknown_event',
   'unknown member');
is($e->reverse('flat', id => 'r', of => '1', amount => 1)->{code},
   'invalid_field', 'an amount of an event that has none');
is($e->ledger('a'), $e->balance('a'), 'ledger');

# by items

$r = $e->reverse('items', id => 'i1', of => '1', items => ['c1', '', 1, -1]);
is($e->balance('items'), 30 + 8, 'one of three c1: quantity 3, amount 8.50');
is($e->reverse('items', id => 'i2', of => '1', items => ['c1', '', 3, -1])
     ->{code}, 'over_reversal', 'more than was bought');
is($e->reverse('items', id => 'i3', of => '1', items => ['zz', '', 1, -1])
     ->{code}, 'invalid_field', 'not in the event');
$e->reverse('items', id => 'i4', of => '1', items => ['t1', '', -1, -1]);
is($e->balance('items'), 30 + 8, 'an item that no rule counted');
$e->reverse('items', id => 'i5', of => '1',
            items => ['c1', 'coffee', -1, -1, 'c2', '', -1, 250]);
is($e->balance('items'), 0, 'all items back');
is($e->reverse('items', id => 'i6', of => '1')->{code}, 'over_reversal',
   'returned to the last item is used up');

# a discount on the whole: an item takes its share of the amount

my @both = ($dollar, [earn(7, 1, basis => 0, hash => 'FLAT')]);
my @pair = ('a', '', 1, 1000, 'b', '', 3, 3000);

$e->event('disc', id => '1', amount => 2000, items => \@pair,
          rules => \@both);
$e->reverse('disc', id => 'r1', of => '1', items => ['a', '', -1, -1]);
is($e->balance('disc'), 15 + 7, 'a quarter of what was paid');
$e->reverse('disc', id => 'r2', of => '1', items => ['b', '', 1, -1]);
is($e->balance('disc'), 10 + 7, 'another');
$e->reverse('disc', id => 'r3', of => '1', items => ['b', '', -1, -1]);
is($e->balance('disc'), 0, 'the last item takes the rest');

# and after a reversal by amount, whose share of the items is rounded

@pair = ('a', '', 1, 100, 'b', '', 1, 100);
$e->event('cent', id => '1', amount => 200, items => \@pair,
          rules => \@both);
$e->reverse('cent', id => 'r1', of => '1', amount => 1);
$e->reverse('cent', id => "r$_", of => '1', items => [$_, '', -1, -1])
    for 'a', 'b';
is($e->balance('cent'), 0, 'no cent keeps the event alive');

# what the items do not make up, such as postage, stays with the event

$e->event('post', id => '1', amount => 700, items => \@pair,
          rules => \@both);
$e->reverse('post', id => "r$_", of => '1', items => [$_, '', -1, -1])
    for 'a', 'b';
is($e->balance('post'), 5 + 7, 'five for postage, seven for the event');
$e->reverse('post', id => 'r', of => '1');
is($e->balance('post'), 0, 'until it is reversed itself');

# below zero, and owed

my $n = Engine->new(wallets => ['WPTS', 1]);
my $z = Engine->new;

for my $case ([$n, -50, 0, 'negative=on'], [$z, 0, 50, 'otherwise owed']) {
    my ($x, $balance, $owed, $name) = @$case;
    $x->event('o', id => '1', amount => 5000, rules => [$dollar]);
    my ($m) = $x->keys_of('o');

    # spend what is there: nothing spends yet, so the state is edited
    my $state = $x->raw('GET', $m);
    my $packed = "WPTS\xacPROGbuy EARN\x32\x32\x00\x00";
    my $i = index $state, $packed;
    cmp_ok($i, '>', 0, 'wallet found');
    substr $state, $i + 17, 4, "\x00\x32\xd0\xce\x00";
    $x->raw('SET', $m, $state);
    $x->reverse('o', id => 'r', of => '1');
    is($x->balance('o'), $balance, "$name: balance");
    is($x->state('o')->{wallets}[3], $owed, "$name: owed");
    is($x->state('o')->{wallets}[1], 0, "$name: lifetime");
    is($x->ledger('o'), $balance, "$name: ledger");
}

# records leave the string, and are remembered all the same

for my $i (1 .. 60) {
    $e->event('x', id => "e$i", amount => 100 * $i, rules => [$dollar]);
}

my $st = $e->state('x');
cmp_ok($st->{kept}, '<=', 16, 'at most 16 records in the string');
is(@{ $st->{records} }, $st->{kept}, 'as many as the head says');
is(@{ $st->{old} } + $st->{kept}, 60, 'the others are in the overflow');
is($e->ledger('x'), $e->balance('x'), 'ledger');
is($e->balance('x'), 60 * 61 / 2, 'balance');
is($e->event('x', id => 'e3', amount => 300, rules => [$dollar])->{dup}, 1,
   'a duplicate in the overflow');
is($e->event('x', id => 'e3', fp => 'x', amount => 1)->{code},
   'event_conflict', 'a conflict in the overflow');
$r = $e->reverse('x', id => 're3', of => 'e3', amount => 150);
is_deeply($r->{entries}[1], [1, 1, -2, 3], 'a reversal in the overflow');
$r = $e->reverse('x', id => 're3b', of => 'e3');
is_deeply($r->{entries}[1], [1, 1, -1, 3], 'and the rest of it');
is($e->reverse('x', id => 're3c', of => 'e3')->{code}, 'over_reversal',
   'used up in the overflow');

sub history {
    my ($member, $before, $limit) = @_;
    my @k = ($e->keys_of($member))[0, 1];
    my $h = $e->raw('FCALL_RO', "history_$e->{hash}", 2, @k,
                    Engine::values_of($before, $limit));
    my ($head, $names, @records) = @$h;
    return if !defined $head;
    return [map { Engine::record($_) } @records], Engine::decode(\$names);
}

my ($page, $names) = history('x', 0, 100);
is(@$page, 62, 'history goes through the overflow');
is_deeply([map { $_->{seq} } @$page], [CORE::reverse 1 .. 62], 'newest first');
is_deeply($names, { 2 => 'buy' }, 'names of types');
($page) = history('x', 40, 10);
is_deeply([map { $_->{seq} } @$page], [CORE::reverse 30 .. 39], 'a page');
is_deeply([history('nobody', 0, 5)], [], 'of an unknown member');

# forgetting: what is older than remember goes to opening

my $late = Engine->new(remember => 86400e3);

for my $i (1 .. 200) {
    $late->{now} += 3600e3;
    $late->event('f', id => "e$i", amount => 100 * $i, rules => [$dollar]);
    is($late->ledger('f'), $i * ($i + 1) / 2, "ledger after $i")
        if $i % 20 == 0;
}

$st = $late->state('f');
cmp_ok(@{ $st->{old} }, '<', 60, 'the overflow is bounded by remember');
cmp_ok($st->{wallets}[2], '>', 0, 'opening holds the rest');
is(scalar keys %{ $st->{overflow} }, 2 * @{ $st->{old} },
   'two fields a record');
$late->{now} += 30 * 86400e3;
$late->event('f', id => "z$_", amount => 100, rules => [$dollar]) for 1 .. 60;
is($late->ledger('f'), $late->balance('f'), 'ledger after a long pause');
is($late->event('f', id => 'e10', fp => 'new', amount => 100,
                rules => [$dollar])->{dup}, 0, 'a forgotten id is new');

# a reversal is possible for remember, wherever the record is by then

$late->event('r', id => $_, amount => 100, rules => [$dollar]) for 'a', 'b';
$late->{now} += 86400e3;
is($late->reverse('r', id => 'ra', of => 'a')->{code}, undef,
   'a reversal when remember has just passed');
$late->{now} += 1000;
is($late->reverse('r', id => 'rb', of => 'b')->{code}, 'unknown_event',
   'a second later the event is no longer remembered');
is($late->reverse('r', id => 'ra', of => 'a')->{dup}, 1,
   'a repeat still finds its own');

# alias and feed

my ($m, $x, $feed, $al) = $e->keys_of('a');
my $alias = $e->state('items')->{alias};
my $bytes = $e->raw('GETRANGE', $al, $alias, -1);
is(substr($bytes, 1, ord $bytes), 'items', 'the alias leads to the member');

my $line = $e->raw('XREVRANGE', $feed, '+', '-', 'COUNT', 1)->[0][1];
my %f = @$line;
is($f{m}, $e->state('x')->{alias}, 'the feed names the alias');
($page) = history('x', $f{s} + 1, 1);
is($page->[0]{id}, 're3b', 'and leads to the record');

# ids that are the inside of other bytes

$e->event('id', id => "\x01a", amount => 100, rules => [$dollar]);
is($e->event('id', id => 'a', amount => 100, rules => [$dollar])->{dup}, 0,
   'an id inside another is not that other');

# a record has a bound

my @many = map { ('s' x 120 . $_, 'c' x 128, 1, 100) } 1 .. 100;
my @which = (1 .. 100);
$r = $e->event('huge', id => '1', amount => 10000, items => \@many,
               rules => [map { [[2, \sprintf('D%03d', $_), 200, 4, 0, 0, []],
                                [map { ($_, \sprintf('%08d', $_)) } 1 .. 100]]
                             } 1 .. 50]);
is($r->{code}, 'limit_reached', 'a record of too many values is refused');
is($e->state('huge'), undef, 'and writes nothing');

for my $case ([590, 1], [600, 0]) {
    my ($size, $taken) = @$case;
    my $m = "long$size";

    $r = $e->event($m, id => '1', amount => 100, rules => [$dollar],
                   items => [map { ('s' x $size, '', 1, 100) } 1 .. 100]);
    is($r->{code}, $taken ? undef : 'limit_reached',
       "a record of some $size hundred bytes");
    is(defined $e->state($m) ? 1 : 0, $taken, 'and what is written');
}

done_testing();
