#!/usr/bin/perl

# One worker of all nodes does what the clock asks for, whichever dies: two
# nginx on one Redis, an instant win from its last minutes to its close.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Fairness;
use Loyalty::Test;
use MIME::Base64 qw(decode_base64);
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(sleep time);

sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $_[0]) }

# epoch 5 ends while the test runs, and 6 is cut short by the close
my $start = int(time) + 1;
my $open = $start - 5 * 60 + 8;
my $close = $open + 5 * 60 + 14;

my $program = "secret_file %%TESTDIR%%/secret;\nwallet points;\n"
            . "instant_win scratch {\n    open @{[at($open)]};\n"
            . "    close @{[at($close)]};\n"
            . "    draw odds;\n    prize mug { stock 10; odds 1/2; }\n}\n";

my %common = (
    files => { secret => 'main:' . 'ab' x 32 . "\n" }, workers => 2,
    server => 'location /fair/ { loyalty_proof shop; }',
    allow => [qr/signal 9/, qr/exited on signal/],
);

my $t = Loyalty::Test->new(%common, program => $program);
my $redis = $t->expand('%%REDIS%%');
my $other = Loyalty::Test->new(%common, redis => 0,
                               program => "redis unix:$redis;\n$program");

sub leader { return $t->redis->call('GET', '{shop}:leader') }

# pids that lead, as the logs tell
sub leading {
    my %leads;

    for my $nginx ($t, $other) {
        for ($nginx->log =~ /(\d+#\d+: this worker (?:leads|no longer))/g) {
            my ($pid, $no) = /^(\d+)#.*worker (leads)?/;
            $leads{$pid} = $no ? $nginx : undef;
        }
    }

    return map { $leads{$_} && kill(0, $_) ? $_ : () } keys %leads;
}

my $cid;

sub file {
    my ($name, $nginx) = @_;
    my $r = ($nginx // $t)->get("/fair/scratch/$cid/$name");
    return $r->status == 200 ? $r->body : '';
}

sub notes { return map { decode_base64((split /\n/)[1]) }
                   $_[0] =~ /(.*?\n\n.*?\n)/gs }

sub head {
    my ($tag, $mh, $size, $root, $time) = unpack 'a21 a32 Q> a32 Q>', $_[0];
    return { mh => $mh, size => $size, root => $root, t => $time };
}


# ---- one leads ----

ok($t->wait_for(sub { leading() == 1 }), 'a worker leads');
ok($t->wait_for(sub { $t->get('/fair/games')->status == 200 }), 'games');
($cid) = $t->get('/fair/games')->body =~ /^scratch (\w+) instant_win open$/;
is($other->get('/fair/games')->body, $t->get('/fair/games')->body,
   'the other nginx says the same');

ok($t->wait_for(sub { file('heads') }), 'a head');
my @heads = map { head($_) } notes(file('heads'));
is(scalar @heads, 1, 'one');
is($heads[0]{size}, 0, 'of an empty log');
is($heads[0]{root}, H(''), 'and its root');
cmp_ok(abs($heads[0]{t} / 1000 - time), '<', 5, 'of now');
my ($manifest) = notes(file('manifest'));
is($heads[0]{mh}, H($manifest), 'under the manifest');

# what was over before anybody led is revealed 3 s later
ok($t->wait_for(sub { file('reveal') =~ /^c 1 4 /m }), 'epochs are revealed');
my %c = file('reveal') =~ /^c 1 (\d+) (\w{64})$/mg;
is_deeply([sort keys %c], [1 .. 4], 'those that are over');
my $anchor = substr $manifest, 303, 32;

for my $e (reverse 1 .. 4) {
    my $c = H(T('chain') . substr($manifest, 25, 16) . u32($e)
              . pack 'H*', $c{$e});
    is(unpack('H*', $c), $e > 1 ? $c{$e - 1} : unpack('H*', $anchor),
       "epoch $e leads to the one before");
}


# ---- what it tells of it ----

sub metrics {
    return map { my $m = $_->metrics;
                 map { /_draw_/ ? [$_, $m->{$_}] : () } keys %$m } $t, $other;
}

my $label = 'program="shop",game="scratch"';
my %told = map { @$_ } metrics();
is($told{"nginx_loyalty_draw_state{$label,state=\"open\"}"}, 1, 'its state');
is($told{"nginx_loyalty_draw_records{$label}"}, 0, 'records');
cmp_ok($told{"nginx_loyalty_draw_head_age_seconds{$label}"}, '<', 60, 'head');
is($told{"nginx_loyalty_draw_unrevealed_epochs{$label}"}, 0, 'epochs');
is($told{"nginx_loyalty_draw_missing_timestamps{$label}"}, 1, 'timestamps');
is($told{"nginx_loyalty_draw_stopped{$label}"}, 0, 'it goes on');
is(scalar(grep { $_->[0] =~ /_state/ } metrics()), 1, 'by one nginx');
is(scalar(grep { $_->[0] =~ /_stopped/ } metrics()), 2, 'stopped: by each');


# ---- it is killed, as its epoch ends ----

my ($first) = leading();
my $token = leader();
ok($token, 'a lease');
kill 'KILL', $first;
my $killed = time;
ok($t->wait_for(sub { (grep { $_ != $first } leading()) == 1 }),
   'another worker leads');
cmp_ok(time - $killed, '<', 6 * $t->slow, 'within seconds');
isnt(leader(), $token, 'with a lease of its own');


# ---- it is stopped, and comes back when another leads ----

my ($second) = leading();
kill 'STOP', $second;
$t->guard($second);
ok($t->wait_for(sub { (grep { $_ != $second } leading()) == 1 }),
   'a third worker leads');
kill 'CONT', $second;
ok($t->wait_for(sub { ($t->log . $other->log)
                      =~ /\b$second#\d+: this worker no longer leads/ }),
   'the one before sees that it does not');
is(scalar leading(), 1, 'one leads');


# ---- to the end ----

ok($t->wait_for(sub { file('reveal') =~ /^c 1 6 /m }, 60), 'the last epoch');
ok($t->wait_for(sub { notes(file('heads')) == 2 }), 'a head at the close');

@heads = map { head($_) } notes(file('heads'));
cmp_ok($heads[1]{t}, '>=', 1000 * $close, 'not before it');
my @lines = file('reveal') =~ /^c 1 (\d+) /mg;
is_deeply(\@lines, [1 .. 6], 'each epoch once, in order');
ok($t->wait_for(sub { $t->get('/fair/games')->body =~ / over$/ }),
   'it is over');
is(file('heads', $other), file('heads'), 'the other nginx serves the same');

is(notes(file('heads')), 2, 'nothing more is made');


# ---- evidence, when it is finished ----

sub evidence {
    my (undef, undef, undef, $n, $rest) = unpack 'a25 a16 Q> N a*', $_[0];
    return { unpack '(N/a a32)' . $n, $rest };
}

ok($t->wait_for(sub { file('evidence') }, 20), 'evidence');
my %named = %{ evidence(notes(file('evidence'))) };
is_deeply([sort keys %named], [qw(heads manifest prizes-1 reveal terms-1)],
          'all files that there are');
is($named{$_}, H(file($_)), "the hash of $_") for sort keys %named;

$t->redis->call('APPEND', "{shop:g:scratch:$cid}:f:picks", 'x');
ok($t->wait_for(sub { notes(file('evidence')) == 2 }, 30),
   'another note when a file grows');
%named = %{ evidence((notes(file('evidence')))[1]) };
is($named{picks}, H('x'), 'with its hash');
$t->redis->call('DEL', "{shop:g:scratch:$cid}:f:picks");


# ---- what a stranger makes of it ----

mkdir $t->dir . '/bundle';
$t->write_file("bundle/$_", file($_))
    for qw(vkey manifest heads reveal terms-1 prizes-1);

my $verify = ($ENV{LOYALTY_BUILD} // 'build') . '/loyalty-verify';
my $out = `$verify @{[$t->dir]}/bundle 2>&1`;
unlike($out, qr/FAIL/, 'nothing fails');
like($out, qr/^V01 PASS/m, 'rules, terms, prizes');
like($out, qr/^V02 PASS/m, 'signatures');
like($out, qr/^V03 PASS/m, 'heads');
like($out, qr/^V12 PASS/m, 'the chain');
diag($out) if $ENV{TEST_VERBOSE};


# ---- the worker leaves, and the lease goes on ----

my ($last) = leading();
my $n = length $t->log . $other->log;
$_->reload for $t, $other;
ok($t->wait_for(sub { leading() == 1 && (leading())[0] != $last }),
   'after a reload one of the new workers leads');

$other->stop;
$t->stop;
is_deeply([grep { /\[(?:alert|emerg)\]/ && !/signal 9/ } split /\n/,
           $t->log . $other->log], [], 'nothing went wrong');


done_testing();
