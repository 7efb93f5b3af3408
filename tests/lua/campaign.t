# A campaign beside its plays and entries: what is set once, what waits for
# Redis's clock, and what two leaders at a time do no harm to.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../../t/lib";
use Engine;
use Test::More;

my $open = 1_736_266_200_000;
my $close = $open + 600_000;
my $e = Engine->new(clock => $open - 3_600_000);
my $redis = $e->{redis};

my %key = map { $_ => "{shop:g:x:00}:$_" }
    qw(meta s rounds l:0 f:manifest f:terms-1 f:prizes-1 f:rules-1 f:terms-2
       f:prizes-2 f:rules-2 f:vkey f:timestamps f:reveal f:heads f:beacons
       f:picks f:evidence f:dq f:cosignatures);

sub call { my ($fn, $keys, @arg) = @_;
           return $e->call($fn, [map { $key{$_} // $_ } @$keys], \@arg) }
sub field { return $redis->call('HGET', $key{meta}, $_[0]) }
sub file { return $redis->call('GET', $key{"f:$_[0]"}) // '' }
sub state {
    my $raw = $redis->call('GET', $key{s});
    my @g;
    push @g, Engine::decode(\$raw) while length $raw;
    return \@g;
}
sub known { return call('campaign', ['meta', 's'], \($_[0] // ''), \'main',
                        \Engine::values_of(7, \'own')) }


# ---- begun once ----

is_deeply(known(), [], 'a worker that knows it does not begin it anew');
is($redis->call('EXISTS', $key{s}), 0, 'and nothing is written');
is_deeply(known('s' x 16), [1, 0, 's' x 16, 'main', 0, 0], 'a new one');
is_deeply(known('t' x 16), [1, 0, 's' x 16, 'main', 0, 0],
          'the first salt stays');
is_deeply(state(), [1, 0, 0, 1, 0, 7, 'own'], 'state, with the own part');

$redis->call('RENAME', $key{s}, 'away');
like(eval { known('t' x 16) } // $@, qr/half a campaign/,
     'half a campaign is not made whole');
$redis->call('RENAME', 'away', $key{s});


# ---- versions ----

sub register {
    my ($n, $before) = @_;
    return call('register', ['meta', 's', 'f:manifest', "f:terms-$n",
                             "f:prizes-$n", "f:rules-$n", 'f:vkey'],
                $n, $before, \"v$n", \"note$n\n", \"terms$n", \"prizes$n",
                \($n == 1 ? '' : "rules$n"), \'key');
}

is(register(2, 0), 'G', 'no version 2 without version 1');
is(register(1, 0), 'N', 'version 1');
is(register(1, 0), 'D', 'once');
is_deeply([map { file($_) } qw(manifest terms-1 prizes-1 rules-1 vkey)],
          ["note1\n", 'terms1', 'prizes1', '', 'key'], 'its files');
is_deeply(known(), [2, 0, 's' x 16, 'main', 0, 0, 'v1', 1, 0],
          'version 1 governs from the first epoch; the generation counts');

$e->clock($close);
is(register(2, $close), 'C', 'not when its predecessor has closed');
$e->clock($close - 1);
is(register(2, $close), 'N', 'but a moment before');
is(file('manifest'), "note1\nnote2\n", 'both manifests');
is(file('rules-2'), 'rules2', 'and rules');
is_deeply([@{known()}[0, 6 .. 11]], [3, 'v1', 1, 0, 'v2', 0, 0],
          'it does not govern yet');


# ---- tokens ----

sub stamped {
    my ($kind, $n, $time, $line, $governs) = @_;
    return call('stamped', ['meta', 's', 'f:timestamps'], \$kind, $n, $time,
                \$line, $governs ? ($open, 60_000) : (0, 0));
}

my $t = $open + 125_000;            # in epoch 3
$e->clock($t + 55_000);
is_deeply(stamped('manifest', 2, $t, "a\n", 1), ['N', $t], 'a token');
is(field('from:2'), 5, 'governs from the second epoch after its own');
is((state())->[3], 4, 'which is another generation');
is_deeply(stamped('manifest', 2, $t, "a\n", 1), ['D', $t], 'a repeat');
is_deeply(stamped('manifest', 2, $t + 60_000, "b\n", 1), ['N', $t],
          'a later one changes nothing');
is_deeply(stamped('manifest', 2, $t - 60_000, "c\n", 1), ['L', $t],
          'an earlier one would, and is refused');
is(field('from:2'), 5, 'it stays');
is(file('timestamps'), "a\nb\n", 'what was published');
is((state())->[3], 4, 'the generation too');

$redis->call('HDEL', $key{meta}, 'from:2', 't:manifest:2');
$e->clock($open + 240_000);         # epoch 5 begins
is_deeply(stamped('manifest', 2, $t, "d\n", 1), ['L', 0],
          'too late: epoch 5 has begun');
$e->clock($open + 239_999);
is_deeply(stamped('manifest', 2, $t, "d\n", 1), ['N', $t], 'just in time');
is(field('from:2'), 5, 'for epoch 5');

$redis->call('HDEL', $key{meta}, 'from:2', 't:manifest:2');
$e->clock($open - 1000);
is_deeply(stamped('manifest', 2, $open - 60_001, "e\n", 1),
          ['N', $open - 60_001], 'before the open');
is(field('from:2'), 1, 'from the first epoch');

is_deeply(stamped('close', 0, 5000, "f\n"), ['N', 5000], 'another note');
is_deeply(stamped('close', 0, 4000, "g\n"), ['N', 4000],
          'of several the earliest');
is_deeply(stamped('close', 0, 6000, "h\n"), ['N', 4000], 'counts');
is(field('t:close:0'), 4000, 'and is kept');


# ---- epochs are over ----

sub over { return call('over', ['meta', 's'], $_[0], $open + 60_000 * $_[0]) }
sub reveal { my ($a, $b) = @_;
             return call('reveal', ['meta', 's', 'f:reveal'], $a, $b,
                         \join '', map { "c $_\n" } $a .. $b) }

$e->clock($open + 61_499);
is_deeply([@{over(1)}[0, 3]], [0, 0], 'not 1.499 s after its end');
is_deeply(reveal(1, 1), ['R', 0], 'and no secret');
$e->clock($open + 61_500);
is_deeply(over(1), [1, 0, 3000, 0], '1.5 s after');
is((state())->[4], 1, 'is written');
is_deeply(reveal(1, 1), ['R', 0], 'no secret yet');
$e->clock($open + 64_499);
is_deeply(over(1), [1, 0, 1, 0], 'nearly');
is_deeply(reveal(1, 1), ['R', 0], 'no');
$e->clock($open + 64_500);
is_deeply(over(1), [1, 0, 0, 0], '3 s after it was over');
is_deeply(reveal(1, 2), ['R', 0], 'not of the next epoch');
is_deeply(reveal(2, 2), ['R', 0], 'none is left out');
is_deeply(reveal(1, 1), ['N', 1], 'its secret');
is_deeply(reveal(1, 1), ['R', 1], 'once');

$e->clock($open + 400_000);         # nobody led meanwhile
is_deeply(over(6), [6, 0, 3000, 1], 'several at once');
$e->clock($open + 403_000);
is_deeply(reveal(2, 6), ['N', 6], 'and their secrets');
is_deeply(over(5), [6, 0, 0, 6], 'over never goes back');
is(file('reveal'), join('', map { "c $_\n" } 1 .. 6), 'the file');


# ---- heads ----

sub head { return call('head', ['meta', 'f:heads'], @_[0 .. 2], \"t$_[2]",
                       \$_[3], $_[4]) }

is_deeply(call('tree', ['meta', 's'], undef),
          [0, 0, '', 0, 6, $open + 403_000, 0, (state())->[3]],
          'nothing yet');
is(head(0, 0, 10, "h1\n", 1000), 'N', 'a head of 10 records');
is(head(0, 0, 10, "h1\n", 1000), 'R', 'not twice');
is(head(0, 0, 12, "h2\n", 1001), 'R', 'nor by another leader');
is(head(10, 1000, 15, '', 0), 'N', 'the frontier without a head');
is(head(10, 1000, 20, "h3\n", 2000), 'R', 'which others see');
is(head(15, 1000, 20, "h3\n", 2000), 'N', 'the next head');
is(file('heads'), "h1\nh3\n", 'the file');
is_deeply([@{call('tree', ['meta', 's'], undef)}[1 .. 3]], [20, 't20', 2000],
          'what the next leader finds');


# ---- rounds ----

sub used { my ($rounds, $lines) = @_;
           return unpack 'Q>*', call('used', ['meta', 'rounds', 'f:beacons'],
                                     \"chain c\n", 100, $rounds, $lines) }

is_deeply([used([], [])], [], 'none');
is(file('beacons'), '', 'and no file');
is_deeply([used([100, 105], [])], [100, 105], 'used, and wanted');
is_deeply([used([105, 100, 106], [105, \"105 s\n", 106, \"106 s\n"])], [100],
          'some are here');
is(file('beacons'), "chain c\n105 s\n106 s\n", 'behind the chain');
is_deeply([used([105, 106], [105, \"105 s\n"])], [100], 'each once');
is_deeply([used([], [100, \"100 s\n", 107, \"107 s\n"])], [],
          'the missing one; not one that nobody used');
is(file('beacons'), "chain c\n105 s\n106 s\n100 s\n", 'the file');
cmp_ok($redis->call('STRLEN', $key{rounds}), '<=', 2, 'a bit a round');

sub few { my ($rounds, $lines) = @_;
          return unpack 'Q>*', call('used', ['meta', 'few', 'f:few'],
                                    \"chain c\n", 0, $rounds, $lines) }

is_deeply([few([34_000_000, 40_000_000], [])], [34_000_000, 40_000_000],
          'a few rounds far apart');
is_deeply([few([40_000_000, 34_000_000], [34_000_000, \"34 s\n"])],
          [40_000_000], 'each once, too');
is($redis->call('STRLEN', 'few'), 16, 'listed');


# ---- files, pause, pieces ----

sub publish { return call('publish', ['f:picks'], $_[0], \$_[1]) }

is_deeply(publish(0, 'abc'), ['N', 3], 'a beginning');
is_deeply(publish(0, 'abc'), ['N', 3], 'again: it stands there');
is_deeply(publish(0, 'abd'), ['R', 3], 'something else does not');
is_deeply(publish(3, 'de'), ['N', 5], 'it goes on');
is_deeply(publish(7, 'x'), ['R', 5], 'without a gap');
is_deeply(publish(-1, 'f'), ['N', 6], 'or wherever it ends');

sub line { return call('line', ['f:cosignatures'], \$_[0]) }

is(line("a b\n"), 'N', 'a line');
is(line("a\n"), 'N', 'another one');
is(line("a b\n"), 'D', 'each once');
is(line("b\n"), 'N', 'the end of one is another one');
is(file('cosignatures'), "a b\na\nb\n", 'the file');
is(line('x' x 262_137), 'F', 'it does not grow for ever');
is(length file('cosignatures'), 8, 'nothing is cut off');
is(file('picks'), 'abcdef', 'the file');

is_deeply(call('piece', ['f:picks'], 2, 3), [6, 'cde'], 'a piece of a file');
is_deeply(call('piece', ['f:picks'], 0, 0), [6, ''], 'its length');
is_deeply(call('piece', ['nothing'], 0, 0), [0, ''], 'there is none');
$redis->call('SET', $key{'l:0'}, 'records');
is_deeply(call('piece', ['s', 'l:0'], 3, 4), [0, 'ords'], 'of a log');
is_deeply(call('piece', ['nothing', 'l:0'], 3, 4), [], 'of no log');

is(call('pause', ['s'], 1), 'N', 'paused');
is((state())->[2], 1, 'is written');
is(call('pause', ['s'], 1), 'D', 'already');
is(call('pause', ['s'], 0), 'N', 'resumed');
is_deeply([(state())->@[1 .. 6]], [0, 0, 6, 6, 7, 'own'],
          'the rest of the state is as it was');

is_deeply(call('fields', ['meta'], \'size', \'nothing'), [20, undef],
          'fields');


# ---- evidence ----

is_deeply(call('lengths', ['meta', 's', 'f:heads', 'f:dq'], undef),
          ['', 0, 6, 0], 'lengths of files');

sub evidence { return call('evidence', ['meta', 's', 'f:evidence', 'f:heads',
                                        'f:dq'], \"note\n", \'6 0 ', @_) }

is(evidence(0, 5, 0), 'R', 'a file has grown');
is(evidence(1, 6, 0), 'R', 'or the log');
is($redis->call('EXISTS', '{shop:g:x:00}:f:evidence'), 0, 'no note');
is(evidence(0, 6, 0), 'N', 'a note about files as they are');
is(field('evidence'), '6 0 ', 'which is remembered');


# ---- who leads ----

sub lease { return call('lease', ['leader'], \$_[0], $_[1]) }

is(lease('a', 60_000), 1, 'the first one leads');
is(lease('b', 60_000), 0, 'nobody else');
is(lease('a', 60_000), 1, 'on');
cmp_ok($redis->call('PTTL', 'leader'), '<=', 60_000, 'for a time');
is(lease('b', 0), 0, 'what one does not have one cannot give back');
is(lease('b', 60_000), 0, 'a leads still');
is(lease('a', 0), 0, 'it gives it back');
is(lease('b', 60_000), 1, 'and b leads');

call('game', ['games'], \'x/00', \'5 instant_win open');
is_deeply(call('games', ['games'], undef), ['x/00', '5 instant_win open'],
          'the campaigns');


done_testing();
